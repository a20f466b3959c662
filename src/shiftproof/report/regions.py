"""Scenes and backgrounds in tables and maps: which cells move with a scene, at which places an object does."""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.files import write_atomic
from shiftproof.report.html import Block, Commands, Picture, Prose, Section, write_report
from shiftproof.report.maps import EQUAL_COLOUR, elided, to_png
from shiftproof.report.pages import check_commands, write_all, write_json
from shiftproof.report.shown_figure import ShownFigure
from shiftproof.report.verdicts import layer_table, region_table, region_text, summary_of

NOTHING = 3
"""In a map: places that move a layer by no whole number of cells, where nothing is asked."""
COLOURS = {
    Word.PROVED: EQUAL_COLOUR,
    Word.REFUTED: "#f3d9a4",
    Word.UNDECIDED: "#7d7d7d",
    NOTHING: "#ffffff",
}
LABELS = {
    "scene": {
        Word.PROVED: "proved to move with the scene",
        Word.REFUTED: "refuted: it does not",
        Word.UNDECIDED: "undecided",
    },
    "background": {
        Word.PROVED: "proved to move with the object",
        Word.REFUTED: "refuted",
        Word.UNDECIDED: "undecided",
        NOTHING: "no whole number of cells",
    },
}
COLUMNS = 5
"""Maps side by side."""


def region_map(layer: LayerVerdict) -> np.ndarray:
    """(rows, columns) of `Word`, or `NOTHING`: cells of a layer, or places of an object, along the last two axes.

    Along other axes of the grid the map is the slice in the middle.
    """
    if layer.border is not None:
        words = layer.border.words
    elif layer.places is not None:
        words = np.where(layer.places.asked, layer.places.words, NOTHING)
    else:
        raise ValueError("a layer of the torus has no such map")
    while words.ndim > 2:
        words = words[words.shape[0] // 2]
    return words.reshape(1, -1) if words.ndim == 1 else words


def mapped(verdict: Verdict) -> list[LayerVerdict]:
    """The layers that have a map: those that run along the grid, and on a background all."""
    return [x for x in verdict.layers if x.places is not None or (x.border and x.has_grid)]


def region_maps(verdict: Verdict) -> Figure:
    """One map a layer, in the colours of the words."""
    layers = mapped(verdict)
    columns, rows = min(COLUMNS, max(1, len(layers))), max(1, -(-len(layers) // COLUMNS))
    figure = ShownFigure(figsize=(max(3, 2.2 * columns), 2.5 * rows + 0.5), layout="constrained")
    colours = ListedColormap([COLOURS[n] for n in range(NOTHING + 1)])
    present: set[int] = set()
    for number, layer in enumerate(layers):
        axes, words = figure.add_subplot(rows, columns, number + 1), region_map(layer)
        axes.imshow(words, cmap=colours, vmin=0, vmax=NOTHING, interpolation="nearest")
        present |= {int(word) for word in np.unique(words)}
        axes.set_title(f"{elided(layer.name)}\n{proved_of(layer)}", fontsize=8, parse_math=False)
        axes.set_xticks(())
        axes.set_yticks(())
    labels = {n: label for n, label in LABELS[verdict.boundary].items() if n in present}
    handles = [
        Patch(facecolor=COLOURS[n], edgecolor="#999999", label=label) for n, label in labels.items()
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, columns // 2),
        fontsize=8,
        frameon=False,
    )
    return figure


def proved_of(layer: LayerVerdict) -> str:
    """How many cells, or places, are proved of how many."""
    if layer.border is not None:
        inside, cells = layer.border.left
        return f"{inside} of {cells}"
    return (
        "" if layer.places is None else f"{layer.places.count(Word.PROVED)} of {layer.places.total}"
    )


def report_region(verdict: Verdict, directory: Path, answer: list[Section]) -> tuple[Path, ...]:
    """Write `report.html`, `maps.png`, `verdict.json` and the certificates, each atomically.

    Args:
        verdict: on a scene or a background.
        directory: made if it does not exist.
        answer: what stands first.

    Returns:
        The certificates.

    Raises:
        OSError: the folder cannot be written.
    """
    png = to_png(region_maps(verdict))
    write_atomic(directory / "maps.png", png)
    write_json(directory / "verdict.json", verdict.to_dict())
    certificates = write_all(directory, "certificate", verdict.certificates)
    unit = {"scene": "cell of the layer", "background": "place of the object"}[verdict.boundary]
    title = {"scene": "Where the border reaches", "background": "Where it moves with the object"}
    picture = Picture(png, "One map a layer.", f"One square is one {unit}.")
    blocks: list[Block] = [*map(Prose, region_text(verdict)), picture]
    blocks += [region_table(verdict), layer_table(verdict)]
    if certificates:
        blocks.append(Commands("\n".join(check_commands(certificates))))
    write_report(
        directory / "report.html",
        f"{verdict.model} on a {verdict.boundary}",
        summary=summary_of(verdict),
        sections=[*answer, Section(title[verdict.boundary], tuple(blocks))],
    )
    return certificates
