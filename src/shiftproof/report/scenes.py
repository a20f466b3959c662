"""Scenes in words, tables and maps: how far into every layer the border of the image reaches."""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shiftproof.deciding.scene import SceneLayer, SceneVerdict, explain
from shiftproof.files import write_atomic
from shiftproof.report.html import Block, Commands, Picture, Prose, Section, write_report
from shiftproof.report.maps import EQUAL_COLOUR, elided, to_png
from shiftproof.report.pages import check_commands, write_all, write_json
from shiftproof.report.tables import Table, once

BORDER_COLOUR, UNEXPLAINED_COLOUR = "#f3d9a4", "#7d7d7d"
COLUMNS = 5
"""Maps side by side."""


def scene_table(verdict: SceneVerdict) -> Table:
    """One row a layer: step, jump, receptive field and interior along every axis."""
    swept = any(layer.swept is not None for layer in verdict.layers)
    columns = ("layer", "source", "jump", "field", "offset", "interior", "cells", "swept")
    rows = tuple(
        (
            layer.name,
            layer.source,
            *_along(layer),
            f"{layer.left[0]}/{layer.left[1]}" if layer.proved else "none",
            _swept(layer),
        )
        for layer in verdict.layers
    )
    weights = "all weights" if verdict.weights == "all" else "its own weights"
    sizes = "x".join(map(str, verdict.grid))
    note = (
        "jump: pixels between cells. field: the receptive field, offset: its first pixel for cell 0. interior: cells "
        "that are proved to move with the scene, with their places; the border may reach the others."
    )
    if verdict.error:
        note += f" More than certificates prove, by identities in the field: {verdict.error}."
    if swept:
        note += " swept: = where exactly the cells of the interior were seen to be equal."
    return Table(
        f"{verdict.model}: a window of {sizes} on a scene, {weights}",
        columns if swept else columns[:-1],
        rows if swept else tuple(row[:-1] for row in rows),
        numbers=frozenset({2, 3, 4, 6}),
        flexible=frozenset({0, 1}),
        note=note,
        optional=(1, 4),
    )


def _along(layer: SceneLayer) -> tuple[str, str, str, str]:
    """Jump, field, offset and interior, once where all axes agree."""
    fields = [reach.field for reach in layer.reaches]
    return (
        once("-" if reach.jump is None else str(reach.jump) for reach in layer.reaches),
        once("-" if f is None else "all" if f.size is None else str(f.size) for f in fields),
        once("-" if f is None or f.offset is None else str(f.offset) for f in fields),
        once(
            f"{reach.low}..{reach.high - 1}" if not reach.lost else "none"
            for reach in layer.reaches
        ),
    )


def _swept(layer: SceneLayer) -> str:
    if layer.swept is None or not layer.proved:
        return ""
    return "=" if not layer.unexplained else f"{layer.unexplained} more equal"


def scene_text(verdict: SceneVerdict) -> list[str]:
    """What is to be said besides the table."""
    gone = verdict.vanished
    return [
        *([] if gone is None else [explain(gone) + "."]),
        *(
            f"{layer.output}: the interior is no wider than one step, so nothing is claimed."
            for layer in verdict.outputs
            if layer.proved and not layer.compared
        ),
        *verdict.notes,
    ]


def scene_maps(verdict: SceneVerdict) -> Figure:
    """One map a layer of the cells of two axes of the grid: interior, and what the border may reach."""
    layers = [layer for layer in verdict.layers if any(a is not None for a in layer.grid)]
    rows = -(-len(layers) // COLUMNS)
    figure = Figure(
        figsize=(max(3, 2.2 * min(COLUMNS, len(layers))), 2.5 * max(1, rows) + 0.5),
        layout="constrained",
    )
    colours = ListedColormap([BORDER_COLOUR, EQUAL_COLOUR, UNEXPLAINED_COLOUR])
    for number, layer in enumerate(layers):
        axes = figure.add_subplot(max(1, rows), min(COLUMNS, len(layers)), number + 1)
        axes.imshow(cell_map(layer), cmap=colours, vmin=0, vmax=2, interpolation="nearest")
        inside, cells = layer.left
        axes.set_title(f"{elided(layer.name)}\n{inside} of {cells}", fontsize=8, parse_math=False)
        axes.set_xticks(())
        axes.set_yticks(())
    handles = [
        Patch(color=EQUAL_COLOUR, label="interior: moves with the scene"),
        Patch(color=BORDER_COLOUR, label="not proved: the border may reach it"),
    ]
    if any(layer.unexplained for layer in layers):
        handles.append(Patch(color=UNEXPLAINED_COLOUR, label="seen to be equal, not proved"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(COLUMNS, len(layers)) // 2),
        fontsize=8,
        frameon=False,
    )
    return figure


def cell_map(layer: SceneLayer) -> np.ndarray:
    """The cells of a layer along its first two grid axes: 1 interior, 0 not proved, 2 equal as seen, but not proved."""
    cells = [n if axis in layer.grid else 1 for axis, n in enumerate(layer.shape)]
    inside = np.zeros(cells, bool) if layer.interior is None else layer.interior
    more = np.zeros(cells, bool) if layer.swept is None else layer.swept & ~inside
    shown = [axis for axis in layer.grid if axis is not None][-2:]
    rest = tuple(axis for axis in range(len(layer.shape)) if axis not in shown)
    flat = np.where(inside.any(rest), 1, np.where(more.any(rest), 2, 0))
    return flat.reshape(1, -1) if flat.ndim == 1 else flat if shown[0] < shown[1] else flat.T


def report_scene(verdict: SceneVerdict, directory: str | Path) -> list[Path]:
    """Write `report.html`, `cells.png`, `scene.json` and the certificates, each atomically.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = Path(directory)
    png = to_png(scene_maps(verdict))
    write_atomic(directory / "cells.png", png)
    write_json(directory / "scene.json", verdict.to_dict())
    certificates = write_all(directory, "scene.certificate", verdict.certificates)
    picture = Picture(
        png,
        "One map a layer: its cells, the interior coloured.",
        "One square is one cell of the layer.",
    )
    blocks: list[Block] = [*map(Prose, scene_text(verdict)), picture, scene_table(verdict)]
    if certificates:
        blocks.append(Commands("\n".join(check_commands(certificates))))
    page = write_report(
        directory / "report.html",
        f"{verdict.model} on a scene",
        summary="; ".join(line.strip() for line in str(verdict).split("\n")) + ".",
        sections=[Section("Where the border reaches", tuple(blocks))],
    )
    return [page, directory / "cells.png", directory / "scene.json", *certificates]
