"""Cells: which cells of every layer the border of the image reaches, seen on windows that move over larger scenes.

Cell u of a layer shows the same point of the scene as cell u - k r when the window has moved k steps, r being by how
many cells the layer moves in one step. Of all windows that show a point one shows it in the middle of the layer,
farthest from the border. A cell is *equal* where it shows, in every window and every scene, what the middle shows of
the same point; what else is there comes from the border. One axis of the grid at a time; the cells that are equal along
all axes are equal.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from shiftproof.exactness.probes import integer_images
from shiftproof.sweeping.checks import in_doubles
from shiftproof.sweeping.engine import Engine, chunk_size
from shiftproof.sweeping.noise import measure_noise
from shiftproof.sweeping.question import Asker, Question, Weights, calibrated
from shiftproof.sweeping.result import EQUAL_WITHIN
from shiftproof.tracing.model import Model
from shiftproof.tracing.settings import current_device, settings
from shiftproof.translation import Canvas, normalise_axes


@dataclasses.dataclass(frozen=True)
class Moves:
    """How a layer moves when the window moves along one axis.

    Attributes:
        step: pixels by which the window moves.
        axis: of the layer's value that moves.
        cells: by how many it moves; negative after a flip.
        middle: a cell in the middle of the interior.
    """

    step: int
    axis: int
    cells: int
    middle: int


def sweep_cells(
    model: Model,
    shape: Sequence[int],
    moves: Mapping[str, Sequence[Moves | None]],
    *,
    spatial_axes: Sequence[int],
    output_axes: Sequence[int] | None = None,
    weights: Weights = "integers",
    seed: int = 0,
    probes: int = 2,
) -> dict[str, np.ndarray]:
    """For every layer named which cells are equal, truths along its grid axes; all other axes have size 1.

    Args:
        model: the adapted model.
        shape: of one image.
        moves: by name of a layer how it moves along each axis of the grid; None where nothing is claimed, and then no
            cell is equal along that axis.
        spatial_axes: grid axes of one image.
        output_axes: grid axes of the batched outputs.
        weights: the model's own, or `integers`.
        seed: of scenes and weights.
        probes: how many scenes.
    """
    axes = normalise_axes([axis + 1 for axis in spatial_axes], len(shape) + 1)
    grid = tuple(shape[axis - 1] for axis in axes)
    equal: dict[str, np.ndarray] = {}
    for position in range(len(grid)):
        along = {name: found[position] for name, found in moves.items()}
        larger = list(shape)
        larger[axes[position] - 1] = 3 * grid[position]
        scenes = integer_images(tuple(larger), count=probes, seed=seed)
        canvas = Canvas.scene(scenes, axes=axes, grid=grid)
        asker = Asker(model, canvas, kind=weights, output_axes=output_axes, keep=None, seed=seed)
        question = asker.choose("auto")
        with settings(question.dtype):
            for name, cells in _along(
                calibrated(question, current_device()), position, along
            ).items():
                equal[name] = equal[name] & cells if name in equal else cells
    return equal


def _along(
    question: Question, position: int, along: dict[str, Moves | None]
) -> dict[str, np.ndarray]:
    """Equal cells along one axis."""
    grid, reach = question.canvas.grid, question.canvas.grid[position]
    shifts = np.zeros((2 * reach + 1, len(grid)), np.int32)
    shifts[:, position] = np.arange(-reach, reach + 1)
    values = _values(question, shifts)
    noise = measure_noise(question)
    found = {}
    for layer, value, floor, exact in zip(
        question.layers, values, noise, question.exactness, strict=True
    ):
        if layer.name not in along:
            continue
        moved = along[layer.name]
        cells = np.zeros(layer.shape, bool)
        if moved is not None:
            cells = _equal(value, moved, reach, 0.0 if exact.exact else EQUAL_WITHIN * floor)
        rest = tuple(axis for axis in range(cells.ndim) if axis not in layer.grid)
        found[layer.name] = cells.all(rest, keepdims=True)
    return found


def _values(question: Question, shifts: np.ndarray) -> list[np.ndarray]:
    """Every layer for every shift: (shifts, *shape of the layer)."""
    device = current_device()
    chunk = min(len(shifts), chunk_size(question, device))
    engine = Engine(question, chunk=chunk, devices=[device])
    parts: list[list[np.ndarray]] = []
    for begin in range(0, len(shifts), chunk):
        part = np.zeros((1, chunk, shifts.shape[1]), np.int32)
        given = shifts[begin : begin + chunk]
        part[0, : len(given)] = given
        parts.append([np.asarray(v[0])[: len(given)] for v in engine.forward(part)])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _equal(values: np.ndarray, moves: Moves, reach: int, allowed: float) -> np.ndarray:
    """Which cells show in all windows what the middle shows of the same point, (*shape of the layer).

    `values` holds the windows moved by -reach .. reach pixels.
    """
    axis = moves.axis + 1  # the first one counts the windows
    size = values.shape[axis]
    equal = np.ones(values.shape[1:], bool)
    for cell in range(size):
        # cell = middle + rest + times * cells, with a middle as wide as one move
        times, rest = divmod(cell - moves.middle, abs(moves.cells))
        times *= 1 if moves.cells > 0 else -1
        shift = times * moves.step
        here = np.take(values, cell, axis)  # (windows, ...)
        there = np.take(values, moves.middle + rest, axis)
        # the window moved by `shift` less shows in the middle what this one shows here
        windows = np.arange(max(-reach, -reach + shift), min(reach, reach + shift) + 1) + reach
        gap = np.abs(in_doubles(here[windows]) - in_doubles(there[windows - shift]))
        gap = gap.max(0, initial=0.0)
        equal[(slice(None),) * moves.axis + (cell,)] = gap <= allowed
    return equal
