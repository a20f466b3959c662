"""What a notebook and a rich console show of a result: a title, a sentence, small maps, and tables to unfold.

No script and no matplotlib: the maps are PNGs of one pixel per shift. What they show stands in words beside them.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Group
from rich.text import Text

from shiftproof.answer import Answer
from shiftproof.certificate import Certificate
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.group import Lattice
from shiftproof.plain import plain, plain_lines
from shiftproof.report.cells import central, centred
from shiftproof.report.counterfactuals import counterfactual_table
from shiftproof.report.html import page_environment
from shiftproof.report.pictures import indexed_png
from shiftproof.report.tables import (
    Table,
    count_text,
    counted,
    question_of,
    sizes_text,
    sweep_table,
)
from shiftproof.report.verdicts import (
    evidence_table,
    layer_table,
    region_text,
    text_map,
    verdict_tables,
)
from shiftproof.rewriting.counterfactuals import Counterfactuals
from shiftproof.sweeping.placements import Placements
from shiftproof.sweeping.result import Status, Sweep

WIDTH = 168
"""Pixels of a map."""
BLUE, SAND, GREY, PALE = (0, 89, 214), (240, 220, 180), (139, 146, 154), (236, 236, 236)
WORDS = {Word.UNDECIDED: GREY, Word.PROVED: BLUE, Word.REFUTED: SAND}
STATUSES = {Status.DIFFERS: SAND, Status.EQUAL: BLUE, Status.UNCLEAR: GREY, Status.UNDEFINED: PALE}
GUIDE = "one square per shift, shift 0 in the middle, dy down, dx right"


@dataclasses.dataclass(frozen=True)
class Thumb:
    """A small map: its PNG, its size on the screen, and what it shows."""

    title: str
    text: str
    png: bytes
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is shown: `title` above `lines`, `maps` with their `keys` and a `guide`, and tables that are `folded`."""

    title: str
    lines: tuple[str, ...]
    maps: tuple[Thumb, ...] = ()
    keys: tuple[tuple[str, tuple[int, ...]], ...] = ()
    guide: str = GUIDE
    folded: tuple[tuple[str, Table], ...] = ()


def html_of(result: Any) -> str:
    """A result as HTML that stands alone in a notebook.

    Args:
        result: a verdict, an answer, one of its properties, counterfactuals, a sweep, placements, a lattice or a
            certificate.
    """
    return page_environment().get_template("notebook.html.jinja").render(shown=show(result))


def rich_of(result: Any) -> Any:
    """A result as rich prints it.

    Args:
        result: a verdict, an answer, one of its properties, counterfactuals, a sweep, placements, a lattice or a
            certificate.
    """
    match result:
        case Verdict():
            told = (str(result), *region_text(result)) if result.boundary != "torus" else ()
            return Group(*verdict_tables(result), *map(_text, told))
        case Answer():
            return _text(str(result))
        case Sweep():
            return sweep_table(result)
        case Placements():
            return _text(str(result))
        case PropertyVerdict():
            shown = show(result)
            drawn = text_map(result)
            return _text(shown.title, *shown.lines, *([drawn] if drawn else []))
        case _:
            shown = show(result)
            return _text(shown.title, *shown.lines)


def _text(*lines: str) -> Text:
    return Text(plain_lines("\n".join(lines)))


@functools.singledispatch
def show(result: Any) -> Shown:
    """What is shown of a result."""
    raise TypeError(f"a {type(result).__name__} is not shown here")


@show.register
def _(verdict: Verdict) -> Shown:
    if verdict.boundary != "torus":
        return _region(verdict)
    return _answered(Answer(verdict, None, None, None, verdict.notes))


@show.register
def _answered(answer: Answer) -> Shown:
    """What is told first, above the maps."""
    verdict = answer.verdict
    (title, *lines) = (
        f"{name}: {text}" if name else text for name, texts in answer.paragraphs for text in texts
    )
    shown = [(output.name, v) for output in verdict.outputs for v in output.properties]
    return Shown(
        title,
        tuple(lines),
        tuple(_word_map(f"{name}: {v.claim.property}", v) for name, v in shown),
        _keys(WORDS, [v.map for _, v in shown]),
        folded=(
            ("Layer by layer", layer_table(verdict)),
            ("Evidence", evidence_table(verdict)),
        ),
    )


@show.register
def _(verdict: PropertyVerdict) -> Shown:
    claim = verdict.claim
    undecided = f", undecided for {verdict.undecided}" if verdict.undecided else ""
    identity = f"; {verdict.identity_text}" if verdict.by_identity else ""
    return Shown(
        f"{claim.property} of {claim.output}",
        (
            f"proved for {verdict.proved} of {verdict.total} shifts ({verdict.lattice}{identity}), "
            f"refuted for {verdict.refuted_text}{undecided}",
        ),
        (_word_map(claim.property, verdict),),
        _keys(WORDS, [verdict.map]),
    )


@show.register
def _(found: Counterfactuals) -> Shown:
    title, *lines = str(found).split("\n")
    told = tuple(line.strip() for line in lines)
    return Shown(title, told, folded=(("What would hold", counterfactual_table(found)),))


@show.register
def _(sweep: Sweep) -> Shown:
    header = sweep.header
    line = (
        f"boundary {header.boundary}, law {header.law}, {counted(header.images, 'image')}; a sweep refutes and "
        "measures, it does not prove"
    )
    return _swept(sweep, f"Sweep of {header.model}", (line,))


@show.register
def _(placements: Placements) -> Shown:
    head, *_ = str(placements).split("\n\n")
    title = " ".join(head.split())
    causes = [
        f"{c.layer} ({c.source}): {c.before} → {c.after}. {c.text}" for c in placements.causes
    ]
    return _swept(placements.sweep, title, (*causes, *placements.notes))


def _swept(sweep: Sweep, title: str, lines: tuple[str, ...]) -> Shown:
    maps, status = [], []
    torus = sweep.is_torus
    for layer in sweep.layers:
        property = question_of(layer)
        status.append(sweep.status(property, layer.name))
        text = count_text(sweep, layer.name, property=property)
        drawn = central(status[-1], sweep)
        maps.append(_thumb(f"{layer.name}: {property}", text, drawn, colours=STATUSES))
    return Shown(
        title,
        lines,
        tuple(maps),
        _keys(STATUSES, status),
        guide=GUIDE if torus else "one square per shift, dy down, dx right",
        folded=(("Counts", sweep_table(sweep)),),
    )


def _region(verdict: Verdict) -> Shown:
    """A verdict on a scene or a background."""
    title, *lines = str(verdict).split("\n")
    from shiftproof.report import regions as room  # a table alone imports no matplotlib

    colours = {Word.UNDECIDED: GREY, Word.PROVED: BLUE, Word.REFUTED: SAND, room.NOTHING: PALE}
    drawn = [(x, room.region_map(x)) for x in room.mapped(verdict)]
    labels = room.LABELS[verdict.boundary]
    return Shown(
        title,
        (*(line.strip() for line in lines), *verdict.notes),
        tuple(_thumb(x.name, room.proved_of(x), words, colours=colours) for x, words in drawn),
        tuple((labels[n], colours[n]) for n in labels if any(np.any(w == n) for _, w in drawn)),
        guide={
            "scene": "one square per cell of a layer",
            "background": "one square per place of the object",
        }[verdict.boundary],
        folded=(("Layer by layer", layer_table(verdict)),),
    )


@show.register
def _(lattice: Lattice) -> Shown:
    mask = lattice.mask()
    text = f"{lattice.count} of {mask.size} shifts of the grid {sizes_text(lattice.grid)}"
    words = np.where(mask, Word.PROVED, Word.REFUTED)
    colours = {Word.PROVED: BLUE, Word.REFUTED: PALE}
    return Shown(
        str(lattice),
        (text,),
        (_thumb("lattice", str(lattice), centred(words), colours=colours),),
        (("in the lattice", BLUE), ("not", PALE)),
    )


@show.register
def _(certificate: Certificate) -> Shown:
    checked = certificate.checked
    under = (
        f"under {checked.proved} of {checked.shifts} shifts"
        if checked.interior is None
        else f"for all shifts of a scene, in the interior {checked.interior}"
    )
    weights = "all weights" if checked.weights == "all" else "the weights of one model"
    grid = sizes_text(checked.grid)
    rows = (
        ("boundary", checked.boundary),
        ("grid", grid),
        ("generators", ", ".join(str(shift) for shift, _ in checked.generators) or "shift 0 alone"),
        ("program", checked.program_sha256),
        ("certificate", f"{certificate.size:,} bytes, {certificate.sha256}"),
    )
    table = Table("Certificate", ("what", "value"), rows, flexible=frozenset({1}))
    return Shown(
        "✓ proved, checked by the kernel",
        (
            f"{checked.property} of {plain(checked.output)} {under} of the grid {grid}, for all inputs and {weights}",
        ),
        folded=(("What it rests on", table),),
    )


def _word_map(title: str, verdict: PropertyVerdict) -> Thumb:
    text = f"{verdict.proved} of {verdict.total}: {verdict.lattice}"
    if verdict.by_identity:
        text += f"; {verdict.identity_text}"
    return _thumb(title, text, centred(verdict.map), colours=WORDS)


def _thumb(title: str, text: str, cells: np.ndarray, *, colours: Any) -> Thumb:
    """A map; where it is large, lone blue cells are drawn larger, or they would be lost."""
    down, across = cells.shape
    blue = next(word for word, colour in colours.items() if colour == BLUE)
    reach = max(down, across) // 64
    if reach and np.mean(cells == blue) < 0.05:
        rows, columns = np.nonzero(cells == blue)
        cells = cells.copy()
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                cells[np.clip(rows + dy, 0, down - 1), np.clip(columns + dx, 0, across - 1)] = blue
    palette = np.array([colours.get(level, PALE) for level in range(max(colours) + 1)])
    height = 28 if down == 1 else max(28, round(WIDTH * down / across))
    scale = min(1, WIDTH * 2 / height)
    return Thumb(
        title, text, indexed_png(cells, palette), round(WIDTH * scale), round(height * scale)
    )


def _keys(colours: Any, maps: Sequence[np.ndarray]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The colours that occur."""
    return tuple(
        (word.name.lower(), colour)
        for word, colour in colours.items()
        if any(np.any(map == word) for map in maps)
    )
