"""The page of the atlas: its findings, and a table of all architectures that can be sorted and filtered.

    rows of part atlas -> findings, lines of a table -> atlas.html.jinja, atlas.css, atlas.js -> one file

Nothing is loaded from elsewhere, and without JavaScript the table is still a table.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.atlas import BRUTE, FAILED, REPAIR
from benchmarks.atlas_findings import KEPT, Entry, entries, grouped_findings, repair_words
from benchmarks.harness import Row, machine_box, plain_number
from shiftproof.files import write_atomic
from shiftproof.group import Lattice
from shiftproof.report.cells import centred
from shiftproof.report.html import Section, Terms, page_environment
from shiftproof.report.tables import counted, sizes_text


@dataclasses.dataclass(frozen=True)
class Map:
    """A lattice, drawn small: a dot for every shift, shift 0 in the middle.

    Attributes:
        words: the alternative.
        width, height: of the torus, in pixels; the central slice of more than two axes.
        path: a point for every shift.
        dot: width of a dot.
        whole: whether all shifts are there.
    """

    words: str
    width: int
    height: int
    path: str
    dot: float
    whole: bool


def map_of(lattice: Lattice) -> Map:
    """The map of a lattice.

    >>> map_of(Lattice((4, 4), ((2, 0), (0, 2)))).path
    'M0.5 0.5h0M2.5 0.5h0M0.5 2.5h0M2.5 2.5h0'
    """
    mask = centred(lattice.mask())
    rows, width = mask.shape
    height = rows if len(lattice.grid) > 1 else max(1, width // 4)  # a strip
    ys, xs = mask.nonzero()
    whole = bool(mask.all())
    dots = [
        f"M{x + 0.5:g} {y + height / rows / 2:g}h0"
        for y, x in zip(ys, xs, strict=True)
        if not whole
    ]
    words = f"{lattice}: {lattice.count:,} of {math.prod(lattice.grid):,} shifts"
    # a lone shift of 64 by 64 would be smaller than a dot of the screen
    step = (mask.size / max(1, len(ys))) ** (1 / min(2, len(lattice.grid)))
    dot = max(1.0, min(0.6 * step, width / 11))
    return Map(words, width, height, "".join(dots), round(dot, 2), whole)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: its first line.
        sort: what it is sorted by, a number or a text; "" comes last, whatever the order.
        small: a quiet line below.
        map: before the text.
        hidden: causes and changes, each with its heading, behind words that open them.
        kind: of its words, such as `refuted`.
    """

    text: str
    sort: str | float = ""
    small: str = ""
    map: Map | None = None
    hidden: tuple[tuple[str, str], ...] = ()
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Column:
    """A heading, what its cells say, and their kind: `number`, `sizes` or `words`, which wrap anywhere."""

    head: str
    cell: Callable[[Entry], Cell]
    kind: str = ""


def _published(each: Entry) -> Cell:
    share = each.lattice.count / each.facts["shifts"]
    counts = f"{each.lattice.count:,}/{each.facts['shifts']:,}"
    return Cell(counts, share, str(each.lattice), map_of(each.lattice))


def _circular(each: Entry) -> Cell:
    row = each.circular
    return Cell(f"{row.median:,.0f}", row.median) if row else Cell("–")


def _best(each: Entry) -> Cell:
    share = each.repaired.count / each.facts["shifts"]
    counts = f"{each.repaired.count:,}/{each.facts['shifts']:,}"
    if each.best is None:
        return Cell("–", share)
    label = each.figures[REPAIR].facts["label"] if REPAIR in each.figures else ""
    by = "" if each.best.figure == label else f", with {repair_words(each.best.figure)}"
    return Cell(counts, share, f"{each.repaired}{by}", map_of(each.repaired))


def _cheapest(each: Entry) -> Cell:
    row = each.figures.get(REPAIR)
    causes = [("causes", text) for text in str(each.facts["causes"]).split("; ") if text]
    steps = [("change", text) for text in str(row.facts["steps"]).split("; ")] if row else []
    label = repair_words(str(row.facts["label"])) if row else "none"
    more = each.best is not None and row is not None and each.best.median > row.median
    small = f"{row.median:,.0f} shifts" if more and row else ""
    return Cell(label, label if row else "", small, hidden=(*causes, *steps))


def _interior(each: Entry) -> Cell:
    row = each.interior
    if row is None:
        return Cell("")
    inside, cells = int(row.median), int(row.facts["cells"])  # type: ignore[arg-type]
    lost = f"none proved from {row.facts['lost']} on" if row.facts["lost"] else ""
    if not cells:
        return Cell("none", 0, lost)
    return Cell(f"{inside:,} of {cells:,} cells of {row.facts['layer']}", inside / cells, lost)


def _proofs(each: Entry) -> Cell:
    facts = each.facts
    words = {"proved": "proved", "refuted": "refuted", "numerically": "numerically"}
    told = ", ".join(f"{facts[name]:,} {word}" for name, word in words.items() if facts[name])
    brute = each.figures.get(BRUTE)
    stopped = each.figures.get(FAILED)
    agrees = brute is not None and brute.facts["agrees"]
    small = "; ".join(
        [
            *(["brute force agrees" if agrees else "brute force disagrees"] if brute else []),
            *([f"stopped: {stopped.facts['reason']}"] if stopped else []),
        ]
    )
    kind = "refuted" if stopped or (brute and not agrees) else ""
    return Cell(told, facts["refuted"] / facts["shifts"], small, kind=kind)


COLUMNS = (
    Column("architecture", lambda e: Cell(e.name, e.name)),
    Column("framework", lambda e: Cell(e.facts["framework"], e.facts["framework"])),
    Column("family", lambda e: Cell(e.family, e.family)),
    Column("image", lambda e: Cell(_sizes(e.facts["shape"]), e.facts["shifts"]), "sizes"),
    Column("total stride", lambda e: _number(e.facts["stride"]), "number"),
    Column("as published", _published),
    Column("circular padding", _circular, "number"),
    Column("best repairs", _best),
    Column("cheapest repair", _cheapest, "words"),
    Column("interior of a scene", _interior, "words"),
    Column("open", lambda e: _number(e.facts["undecided"]), "number"),
    Column("evidence", _proofs, "words"),
    Column("s", lambda e: _number(round(e.seconds)), "number"),
)


def _sizes(sizes: Iterable[float]) -> str:
    return sizes_text([int(n) for n in sizes])


def _number(value: float) -> Cell:
    return Cell(plain_number(value), value)


def _line(each: Entry) -> tuple[Cell, ...]:
    if each.verdict:
        return tuple(column.cell(each) for column in COLUMNS)
    reason = str(each.figures[FAILED].facts["reason"]) if FAILED in each.figures else "interrupted"
    known = {
        "architecture": Cell(each.name, each.name),
        "family": Cell(each.family, each.family),
        "evidence": Cell(f"not decided: {reason}", kind="refuted"),
    }
    return tuple(known.get(column.head, Cell("")) for column in COLUMNS)


READING = Terms(
    (
        (
            "map",
            "Every shift of the torus, shift 0 in the middle: blue are those that are proved to be kept.",
        ),
        (
            "as published",
            "Shifts that are kept for all weights, of all shifts: the output stays as it is, or, where it is a map, "
            "moves along.",
        ),
        (
            "best repairs",
            "Of all combinations of circular padding, a mean before the dense layer and no positions, that which keeps "
            "most; it is named where it is not the cheapest that helps. –: none keeps more.",
        ),
        ("cheapest repair", "The least change that keeps more shifts, and where in the code."),
        (
            "interior",
            "Cells that just move with a scene, where new content enters at the border, of the last layer with any.",
        ),
        ("open", "Shifts that are neither proved nor refuted."),
        (
            "evidence",
            "Proved by a certificate, refuted rigorously (exactly, or by enclosures), or numerically alone.",
        ),
        ("s", "Seconds of verdict, repairs and scene, one process to a core."),
    )
)


def summary_of(rows: Iterable[Row]) -> list[str]:
    """The findings that stand on top."""
    groups = grouped_findings(entries(rows))
    return groups.get(KEPT, [*itertools.chain(*groups.values())])[:2]


def render(rows: Sequence[Row]) -> str:
    """The page as text.

    Args:
        rows: of part `atlas`.
    """
    found = entries(rows)
    quick = any(row.facts.get("quick") for row in rows)
    on_top = summary_of(rows)
    groups = {
        heading: left
        for heading, told in grouped_findings(found).items()
        if (left := [sentence for sentence in told if sentence not in on_top])
    }
    warning = ["QUICK RUN: a few architectures only."] if quick else []
    machines: dict[str, list[Any]] = {}
    for row in rows:
        machines.setdefault(row.machine.label, []).append(row.machine)
    return (
        page_environment(Path(__file__).parent)
        .get_template("atlas.html.jinja")
        .render(
            title=f"The atlas: every shift of {counted(len(found), 'published architecture')}",
            summary=" ".join([*warning, *on_top]),
            groups=groups,
            columns=COLUMNS,
            lines=[_line(each) for each in found],
            families=sorted({each.family for each in found}),
            frameworks=sorted({each.facts["framework"] for each in found if each.verdict}),
            sections=[
                Section("How to read the table", (READING,)),
                Section("Where it was measured", (machine_box(machines),)),
            ],
        )
    )


def write(rows: Sequence[Row], path: Path) -> Path:
    """Write the page, atomically.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomic(path, render(rows).encode("utf-8"))
    return path
