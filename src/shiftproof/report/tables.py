"""Tables: the exact counts of one sweep, or of several side by side.

A `Table` is plain text in cells, so that the terminal (rich) and the HTML page show the same
words. Nothing in it depends on colour.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from shiftproof.plain import plain
from shiftproof.sweeping.result import LayerRecord, Property, Sweep

EXACT, ROUNDED = "=", "≈"
WIDE = 100
"""A terminal of so many columns shows a table whole, be it with wrapped names."""
MAX_COLUMNS = 9
"""More columns than this do not fit a terminal; then only outputs are compared."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells of text under headings; printable by rich.

    Attributes:
        title: one line above.
        columns: headings.
        rows: cells, each row as long as `columns`.
        numbers: positions of the columns that are aligned to the right.
        flexible: positions of the columns that may wrap where the room is short; counts never do.
        note: what the signs mean, below.
        optional: positions of the columns that a terminal narrower than `WIDE` may leave out, the
            first to go first; the page shows all.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    flexible: frozenset[int] = frozenset()
    note: str = ""
    optional: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # a line break in a cell would begin a line that looks like one of ours
        object.__setattr__(self, "rows", tuple(tuple(map(plain, row)) for row in self.rows))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, missing = list(range(len(self.columns))), []
        for position in self.optional:
            if options.max_width >= min(WIDE, self._width(shown)):
                break
            shown.remove(position)
            missing.append(self.columns[position])
        room = f" Not shown, for want of room: {', '.join(missing).rstrip('.')}." if missing else ""
        yield self._drawn(shown, note=self.note + room)

    def _width(self, shown: Sequence[int]) -> int:
        """Width of a row that is not wrapped, two blanks between columns."""
        widest = [
            max(cell_len(line) for row in (self.columns, *self.rows) for line in row[i].split("\n"))
            for i in shown
        ]
        return sum(widest) + 2 * (len(widest) - 1)

    def _drawn(self, shown: Sequence[int], *, note: str) -> rich.table.Table:
        # Text and not str: a layer may be called "[bold]"
        table = rich.table.Table(
            title=Text(self.title, style="bold"),
            caption=Text(note) if note else None,
            title_justify="left",
            caption_justify="left",
            box=rich.box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
            show_edge=False,
        )
        for position in shown:
            table.add_column(
                Text(self.columns[position]),
                justify="right" if position in self.numbers else "left",
                no_wrap=position not in self.flexible,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(row[position]) for position in shown))
        return table


def sizes_text(sizes: Sequence[int]) -> str:
    """Such as `28×28`."""
    return "×".join(map(str, sizes))


def once(words: Iterable[str]) -> str:
    """One word for all axes where they agree, such as `3`, else one per axis, such as `3 × 5`."""
    found = list(words)
    return found[0] if len({*found}) == 1 else " × ".join(found)


def counted(count: int, noun: str) -> str:
    """Such as `1 image` and `4 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def question_of(layer: LayerRecord) -> Property:
    """What is asked of a layer first: equivariance where it has a grid, else invariance."""
    return "equivariance" if layer.has_grid else "invariance"


def mark_of(layer: LayerRecord) -> str:
    """`=` where equal means exactly equal, `≈` where it means within the measured noise."""
    return EXACT if layer.exact else ROUNDED


def lattice_text(sweep: Sweep, layer: str | int, *, property: Property) -> str:
    """The equal shifts in words, such as `2Z × 2Z`, `only 0`, `no lattice`; "" off the torus."""
    if not sweep.is_torus:
        return ""
    lattice = sweep.lattice(property, layer)
    return "no lattice" if lattice is None else str(lattice)


def labels_text(sweep: Sweep, layer: str | int) -> str:
    """The share of images and shifts that keep their largest logit; "" without logits."""
    agreement = sweep.agreement[sweep.index(layer)]
    if np.any(agreement < 0):
        return ""
    share = float(np.mean(agreement)) / sweep.header.images
    # a share short of all must not be rounded to all
    percent = 100.0 if share == 1 else min(99.9, 100 * share)
    return f"{percent:.0f} %" if percent in (0.0, 100.0) else f"{percent:.1f} %"


def sweep_table(sweep: Sweep) -> Table:
    """One row a layer: where it is, its grid, the exact counts, and how far it deviates at most."""
    columns = ("layer", "source", "grid", "equivariant", "invariant", "max dev.", "labels")
    rows = tuple(_sweep_row(sweep, index) for index in range(len(sweep.layers)))
    kept = _used(rows, always=frozenset(range(6)))
    header = sweep.header
    asked = "integer weights" if header.weights == "integers" else "its own weights"
    return Table(
        f"{header.model}: {header.boundary}, law {header.law}, {sizes_text(header.grid)}, {asked}",
        tuple(columns[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
        numbers=frozenset({5, 6}) & frozenset(kept),
        flexible=frozenset({0, 1}),
        note=_note(sweep),
        optional=(1, 5),
    )


def _sweep_row(sweep: Sweep, index: int) -> tuple[str, ...]:
    layer = sweep.layers[index]
    equivariant = count_text(sweep, index, property="equivariance") if layer.has_grid else "-"
    return (
        layer.name,
        layer.source,
        grid_text(layer),
        equivariant,
        count_text(sweep, index, property="invariance"),
        deviation_text(sweep, index, property=question_of(layer)),
        labels_text(sweep, index),
    )


def count_text(sweep: Sweep, layer: str | int, *, property: Property) -> str:
    """Mark, count and lattice, such as `= 196/784 2Z × 2Z`."""
    index = sweep.index(layer)
    count = sweep.count(property, index)
    if not count.applies:
        return str(count)
    mark = mark_of(sweep.layers[index])
    return f"{mark} {count} {lattice_text(sweep, index, property=property)}".rstrip()


def grid_text(layer: LayerRecord) -> str:
    """Cells and stride, such as `14×14 /2`; `-` without a grid."""
    if not layer.has_grid:
        return "-"
    strides = [stride for stride in layer.strides if stride is not None]
    stride = strides[0] if len(set(strides)) == 1 else ",".join(strides)
    return f"{sizes_text(layer.grid_shape)} /{stride}"


def deviation_text(sweep: Sweep, layer: str | int, *, property: Property) -> str:
    """The largest deviation over all shifts where one is defined."""
    deviation = getattr(sweep, property)[sweep.index(layer)]
    known = deviation[~np.isnan(deviation)]
    largest = float(known.max(initial=0.0))
    return "0" if largest == 0 else f"{largest:.2g}"


def _note(sweep: Sweep) -> str:
    parts = ["equivariant, invariant: shifts that are equal / all shifts swept, and their lattice."]
    if any(layer.exact for layer in sweep.layers):
        parts.append(f"{EXACT} every float is exact, equal means equal.")
    if not all(layer.exact for layer in sweep.layers):
        parts.append(f"{ROUNDED} judged against the measured rounding noise.")
    if any(labels_text(sweep, index) for index in range(len(sweep.layers))):
        parts.append("labels: share of shifted images that keep their class.")
    return " ".join(parts)


def _used(rows: tuple[tuple[str, ...], ...], *, always: frozenset[int]) -> list[int]:
    """Columns with something in them, and those that always stand."""
    return [i for i in range(len(rows[0])) if i in always or any(row[i] for row in rows)]


def compare_table(sweeps: Mapping[str, Sweep], *, title: str = "") -> Table:
    """One row a network, one column for each layer with a grid and each output: the number of equal shifts.

    Args:
        sweeps: name of the network -> its sweep; all over the same shifts.
        title: above the table; names the shifts by default.
    """
    names = _shared_layers(sweeps)
    first = next(iter(sweeps.values()))
    kinds = {name: _kinds(sweeps, name) for name in names}
    heads = [f"{name}\n{kinds[name]}" for name in names]
    return Table(
        title or f"Equal shifts of {first.count('invariance').total}",
        ("network", *heads),
        tuple((key, *_compare_cells(sweep, names)) for key, sweep in sweeps.items()),
        numbers=frozenset(range(1, len(names) + 1)),
        flexible=frozenset({0}),
        note=_compare_note(sweeps),
    )


def _shared_layers(sweeps: Mapping[str, Sweep]) -> list[str]:
    """The layers with a grid of every network, then the outputs; outputs only if these are too many."""
    records = [layer for sweep in sweeps.values() for layer in sweep.layers]
    inner = dict.fromkeys(x.name for x in records if x.has_grid and not x.output)
    outputs = dict.fromkeys(x.name for x in records if x.output)
    shown = [*inner, *outputs]
    return shown if len(shown) < MAX_COLUMNS else [*outputs]


def _kinds(sweeps: Mapping[str, Sweep], name: str) -> str:
    """The letters of what is asked of a layer: E, I, or both where networks differ."""
    asked = {
        question_of(layer)
        for sweep in sweeps.values()
        for layer in sweep.layers
        if layer.name == name
    }
    return "/".join(sorted(property[0].upper() for property in asked))


def _compare_cells(sweep: Sweep, names: list[str]) -> list[str]:
    known = {layer.name: layer for layer in sweep.layers}
    cells = []
    for name in names:
        layer = known.get(name)
        if layer is None:
            cells.append("")
            continue
        count = sweep.count(question_of(layer), name)
        cells.append(f"{'' if layer.exact else ROUNDED}{count.equal}{'?' if count.unclear else ''}")
    return cells


def _has_all(sweep: Sweep, names: Sequence[str]) -> bool:
    return {*names} <= {layer.name for layer in sweep.layers}


def _compare_note(sweeps: Mapping[str, Sweep]) -> str:
    layers = [layer for sweep in sweeps.values() for layer in sweep.layers]
    parts = []
    if any(layer.has_grid for layer in layers):
        parts.append("E: equivariance, f(Tx) = T'f(x).")
    parts.append("I: invariance, f(Tx) = f(x).")
    if not all(_has_all(sweep, _shared_layers(sweeps)) for sweep in sweeps.values()):
        parts.append("Empty: the network has no such layer.")
    if not all(layer.exact for layer in layers):
        parts.append(f"{ROUNDED} judged against the measured rounding noise.")
    counts = [
        sweep.count(question_of(layer), layer.name)
        for sweep in sweeps.values()
        for layer in sweep.layers
    ]
    if any(count.unclear for count in counts):
        parts.append("? some shifts are unclear.")
    return " ".join(parts)
