"""Cells: which cells of every layer the border of the image reaches, seen on windows that move over larger scenes.

Cell u of a layer shows the same point of the scene as cell u - k r when the window has moved k steps, r being by how
many cells the layer moves in one step. Of all windows that show a point one shows it in the middle of the interior,
farthest from the border. A cell *differs* where it shows, in some window of some scene, something else than the middle
shows of the same point. Where no interior is known, it differs where it shows something else than both neighbours do.
One axis of the grid at a time; a cell that differs along one axis does so.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from shiftproof.canvas import Canvas, normalise_axes
from shiftproof.exactness.probes import integer_images
from shiftproof.group import Lattice, Shift
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.checks import in_doubles
from shiftproof.sweeping.engine import Engine, chunk_size
from shiftproof.sweeping.noise import measure_noise
from shiftproof.sweeping.question import Asker, Question, Weights, calibrated
from shiftproof.sweeping.result import DIFFERS_BEYOND
from shiftproof.tracing.model import Model
from shiftproof.tracing.settings import current_device, settings

FEW, MANY = 2, 8
"""Scenes for all windows along an axis, and for the few windows between the steps."""

MOST_WINDOWS, BLOCK = 1024, 64
"""Windows that are looked at for cells off the lines, at most, and so many at once."""

MOST_CELLS = 512
"""Cells whose values are compared with those of all others, at most, to rule out output shifts."""


@dataclasses.dataclass(frozen=True)
class Moves:
    """How a layer moves when the window moves along one axis.

    Attributes:
        step: pixels by which the window moves.
        cells: by how many the layer moves then; negative after a flip, 0 where it is to stay.
        axis: of the layer's value that moves; None where it is to stay.
        inside: (n1, ..., nd) bool: the interior, along the axes of the grid; None where none is known.
    """

    step: int
    cells: int
    axis: int | None
    inside: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of a layer.

    Attributes:
        differs: (n1, ..., nd) bool: which of its cells differ, along the axes of the grid.
        exact: whether they do so exactly; else by far more than rounding.
    """

    differs: np.ndarray
    exact: bool


@dataclasses.dataclass(frozen=True)
class Scenes:
    """A model on larger scenes.

    Attributes:
        model: the adapted model.
        shape: of one image.
        spatial_axes: grid axes of one image.
        output_axes: grid axes of the batched outputs; None where they are followed through the program.
        weights: the model's own, or `integers`.
        seed: of scenes and weights.
    """

    model: Model
    shape: tuple[int, ...]
    spatial_axes: tuple[int, ...]
    output_axes: Sequence[int] | None = None
    weights: Weights = "integers"
    seed: int = 0

    def cells(self, moves: Mapping[str, Sequence[Moves | None]]) -> dict[str, Seen]:
        """Which cells of every layer named differ.

        Args:
            moves: by name of a layer how it moves along each axis of the grid; None where nothing can be compared.
        """
        found: dict[str, Seen] = {}
        for position, n in enumerate(self._grid):
            shifts = np.zeros((2 * n + 1, len(self._grid)), np.int32)
            shifts[:, position] = np.arange(-n, n + 1)
            for layer, values, floor, exact in self._run(shifts, FEW):
                if layer.name not in moves:
                    continue
                along, differs = moves[layer.name][position], np.zeros(layer.grid_shape, bool)
                if along is not None:
                    differs = _differing(layer, values, along, position, n, floor)
                before = found.get(layer.name, Seen(np.zeros_like(differs), True))
                found[layer.name] = Seen(before.differs | differs, exact and before.exact)
        return self._off_the_lines(moves, found)

    def _off_the_lines(
        self, moves: Mapping[str, Sequence[Moves | None]], found: Mapping[str, Seen]
    ) -> dict[str, Seen]:
        """The same with cells that share no line with the interior, as in corners, by windows of their own."""
        pairs = {name: _pairs(moves[name], seen.differs) for name, seen in found.items()}
        shifts = list(dict.fromkeys(pair.shift for some in pairs.values() for pair in some))
        made, still = dict(found), (0,) * len(self._grid)
        for begin in range(0, min(len(shifts), MOST_WINDOWS), BLOCK):
            block = shifts[begin : begin + BLOCK]
            for layer, values, floor, _ in self._run(np.array([still, *block], np.int32), MANY):
                differs = made[layer.name].differs.copy() if layer.name in made else np.zeros(())
                for pair in pairs.get(layer.name, ()):
                    if pair.shift in block:
                        here = _along_grid(layer, values[1 + block.index(pair.shift)])[pair.here]
                        there = _along_grid(layer, values[0])[pair.there]
                        gap = np.abs(in_doubles(here) - in_doubles(there))
                        differs[pair.here] |= np.any(gap > floor)
                if layer.name in made:
                    made[layer.name] = dataclasses.replace(made[layer.name], differs=differs)
        return made

    def between(
        self, interiors: Mapping[str, tuple[tuple[int, ...], np.ndarray]]
    ) -> dict[str, tuple[dict[Shift, bool], bool]]:
        """Whether shifts between the steps of a layer are refuted, one in each smallest larger group; and if exactly.

        Such a shift is refuted where under every output shift that leaves cells of the interior to compare one differs.

        Args:
            interiors: by name of a layer its steps in pixels, and its interior along the axes of the grid.
        """
        asked = {
            name: [o.shift for o in Lattice(steps).overgroups]
            for name, (steps, _) in interiors.items()
        }
        shifts = sorted({shift for some in asked.values() for shift in some})
        if not shifts:
            return {name: ({}, True) for name in interiors}
        found = {}
        still = (0,) * len(self._grid)
        for layer, values, floor, exact in self._run(np.array([still, *shifts], np.int32), MANY):
            if layer.name in interiors:
                inside = interiors[layer.name][1]
                rest, *moved = (_along_grid(layer, value) for value in values)
                seen = dict(zip(shifts, moved, strict=True))
                refuted = {
                    shift: _fits_nowhere(rest, seen[shift], inside, floor)
                    for shift in asked[layer.name]
                }
                found[layer.name] = refuted, exact
        return found

    @property
    def _grid(self) -> tuple[int, ...]:
        return tuple(self.shape[axis] for axis in self.spatial_axes)

    def _run(
        self, shifts: np.ndarray, probes: int
    ) -> Iterator[tuple[Layer, np.ndarray, float, bool]]:
        """Every layer: its values for every shift (shifts, *shape), what is more than rounding, and if it is exact."""
        axes = normalise_axes([axis + 1 for axis in self.spatial_axes], len(self.shape) + 1)
        sizes = list(self.shape)
        for axis, reach in zip(self.spatial_axes, np.abs(shifts).max(0), strict=True):
            sizes[axis] += 2 * int(reach)
        scenes = integer_images(tuple(sizes), count=probes, seed=self.seed)
        canvas = Canvas.scene(scenes, axes=axes, grid=self._grid)
        asker = Asker(
            self.model,
            canvas,
            kind=self.weights,
            output_axes=self.output_axes,
            keep=None,
            seed=self.seed,
        )
        question = asker.choose("auto")
        with settings(question.dtype):
            question = calibrated(question, current_device())
            values, noise = _values(question, shifts), measure_noise(question)
        for layer, value, floor, graded in zip(
            question.layers, values, noise, question.exactness, strict=True
        ):
            yield layer, value, 0.0 if graded.exact else DIFFERS_BEYOND * floor, graded.exact


@dataclasses.dataclass(frozen=True)
class _Pair:
    """A cell, one of the interior, and the shift under which it is to show what that showed before."""

    here: Shift
    there: Shift
    shift: Shift


def _pairs(along: Sequence[Moves | None], differs: np.ndarray) -> list[_Pair]:
    """For every cell that is neither in the interior nor differs, the nearest one in the interior."""
    known = [moves for moves in along if moves is not None]
    inside = next((moves.inside for moves in known if moves.inside is not None), None)
    lost = any(moves.axis is not None and moves.inside is None for moves in known)
    if inside is None or lost or len(known) < len(along):
        return []
    cells = np.array([moves.cells if moves.axis is not None else 1 for moves in known])
    steps = np.array([moves.step if moves.axis is not None else 0 for moves in known])
    found, places = [], np.argwhere(inside)
    for here in np.argwhere(~inside & ~differs):
        alike = places[np.all((places - here) % np.abs(cells) == 0, axis=1)]
        if len(alike):
            there = alike[np.argmin(np.abs(alike - here).sum(1))]
            shift = (here - there) // cells * steps
            found.append(_Pair(*(tuple(map(int, place)) for place in (here, there, shift))))
    return found


def _values(question: Question, shifts: np.ndarray) -> list[np.ndarray]:
    """Every layer for every shift: (shifts, *shape of the layer)."""
    device = current_device()
    chunk = max(2, min(len(shifts), chunk_size(question, device)))
    engine = Engine(question, chunk=chunk, devices=[device])
    parts: list[list[np.ndarray]] = []
    for begin in range(0, len(shifts), chunk):
        part = np.zeros((1, chunk, shifts.shape[1]), np.int32)
        given = shifts[begin : begin + chunk]
        part[0, : len(given)] = given
        parts.append([np.asarray(v[0])[: len(given)] for v in engine.forward(part)])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _along_grid(layer: Layer, value: np.ndarray) -> np.ndarray:
    """The numbers of each cell: (n1, ..., nd, numbers), the axes in the order of the grid."""
    order = [axis for axis in layer.grid if axis is not None]
    rest = [axis for axis in range(value.ndim) if axis not in order]
    return value.transpose(*order, *rest).reshape(*layer.grid_shape, -1)


def _differing(
    layer: Layer, values: np.ndarray, moves: Moves, position: int, reach: int, floor: float
) -> np.ndarray:
    """Which cells differ along one axis; `values` holds the windows moved by -reach .. reach pixels."""
    if moves.axis is None:
        gap = np.abs(in_doubles(values) - in_doubles(values[reach])).max(0)
        return np.any(_along_grid(layer, gap) > floor, axis=-1)
    if moves.inside is not None:
        differs = np.zeros(layer.grid_shape, bool)
        for middle, lines in _middles(moves.inside, position, abs(moves.cells)):
            gap = np.zeros(values.shape[1:])
            for cell in range(gap.shape[moves.axis]):
                # cell = middle + rest + times * cells, with a middle as wide as one move
                times, rest = divmod(cell - middle, abs(moves.cells))
                times *= 1 if moves.cells > 0 else -1
                place = (slice(None),) * moves.axis + (cell,)
                gap[place] = _gap(values, moves, cell, middle + rest, times, reach)
            differs |= np.any(_along_grid(layer, gap) > floor, axis=-1) & lines
        return differs
    size, lonely = values.shape[moves.axis + 1], True
    differs = np.ones(layer.grid_shape, bool)
    for step in (1, -1):
        gap = np.full(values.shape[1:], np.inf)
        for cell in range(size):
            other = cell - step * moves.cells
            if 0 <= other < size:
                lonely = False
                place = (slice(None),) * moves.axis + (cell,)
                gap[place] = _gap(values, moves, cell, other, step, reach)
        differs &= np.any(_along_grid(layer, gap) > floor, axis=-1)
    return differs & (not lonely)


def _middles(inside: np.ndarray, position: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cells along an axis with which all others of a line are compared, so many at once, and the lines they serve.

    They lie in the interior, as near to its middle as can be. A line that has none of it is not compared.
    """
    rest = tuple(axis for axis in range(inside.ndim) if axis != position)
    (places,) = np.nonzero(inside.any(rest))
    centre = (places[0] + places[-1] + 1 - width) / 2
    starts = range(int(places[0]), int(places[-1]) + 2 - width)
    lacking = np.ones_like(inside.take([0], position))
    for start in sorted(starts, key=lambda s: abs(s - centre)):
        window = inside.take(range(start, start + width), position)
        lines = window.all(position, keepdims=True) & lacking
        if lines.any():
            lacking &= ~lines
            yield start, lines


def _gap(
    values: np.ndarray, moves: Moves, cell: int, other: int, times: int, reach: int
) -> np.ndarray:
    """By how much a cell differs from what another shows of the same point, so many steps before; over all windows."""
    axis, shift = (moves.axis or 0) + 1, times * moves.step
    here, there = np.take(values, cell, axis), np.take(values, other, axis)
    windows = np.arange(max(-reach, -reach + shift), min(reach, reach + shift) + 1) + reach
    return np.abs(in_doubles(here[windows]) - in_doubles(there[windows - shift])).max(
        0, initial=0.0
    )


def _fits_nowhere(still: np.ndarray, moved: np.ndarray, inside: np.ndarray, floor: float) -> bool:
    """Whether for every output shift that leaves cells of the interior to compare one of them differs."""
    sizes = np.array(inside.shape)
    flipped = inside[(slice(None, None, -1),) * inside.ndim]
    shape = tuple(2 * sizes - 1)
    axes = range(inside.ndim)
    spectra = (np.fft.rfftn(mask, shape, axes) for mask in (inside, flipped))
    overlaps = np.fft.irfftn(math.prod(spectra), shape, axes)
    open_shifts = np.rint(overlaps) > 0
    cells, values = np.argwhere(inside), in_doubles(still[inside])
    # cells in the corners are compared under output shifts that leave few others
    signs = itertools.product((1, -1), repeat=inside.ndim)
    corners = [int(np.argmax(cells @ np.array(sign))) for sign in signs]
    spread = np.linspace(0, len(cells) - 1, min(len(cells), MOST_CELLS)).astype(int)
    for number in (*corners, *spread.tolist()):
        cell = cells[number]
        differs = np.any(np.abs(in_doubles(moved[tuple(cell)]) - values) > floor, axis=-1)
        open_shifts[tuple((cell - cells[differs] + sizes - 1).T)] = False
        if not open_shifts.any():
            return True
    return False
