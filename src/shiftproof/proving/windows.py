"""Windows: which cells of every layer just move when the image is a window on a scene, or an object is moved about.

The program is run in the field on a larger random image, seen through windows. Cells u and u - r of a layer are
*alike* if, for all scenes, u shows after one step of the window what u - r showed before. Alike is an equivalence, so
few windows tell which cells are alike: one step along each axis, and what follows from it. The largest set of cells
that are alike is the *interior*. The others see the border.

On a background the image is an object on an empty canvas, at every place; a layer moves with it where all its cells do,
and what enters is what the layer answers to an empty canvas.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.group import Background, Scene, Shift, axis_shift, divisors
from shiftproof.proving.layers import Layer
from shiftproof.proving.runs import MANY, SCREEN, USUAL, Question, Runs
from shiftproof.tracing.primitives import plain
from shiftproof.tracing.trace import Equation, Literal, Program

LARGE = 2**22
"""Cells of all values of a program together, from which on it is large."""

MOST_PARTS = 16
"""Windows that are looked at, at most, to see whether parts of a layer that are no neighbours are alike."""

Move = tuple[int, int]
"""A step of the window along one axis, in pixels, and by how many cells a layer then moves; negative after a flip."""


@dataclasses.dataclass(frozen=True)
class Interior:
    """The cells of a layer that just move with a scene, along the axes of the grid, by identities in the field.

    Attributes:
        moves: for each axis of the grid the smallest step found under which some cells move; None where there is none.
        cells: (n1, ..., nd) bool, of size 1 along axes of the grid along which the layer does not run.
        still: the cells that are the same in all windows, in the same shape.
        alike: for each axis, and each step that was tried, which cells show after it what they should.
    """

    moves: tuple[Move | None, ...]
    cells: np.ndarray
    still: np.ndarray
    alike: tuple[Mapping[Move, np.ndarray], ...]


@dataclasses.dataclass(frozen=True)
class Interiors:
    """The interiors of the layers of a program.

    Attributes:
        by_name: of the layers that depend on the image.
        log2_error: the base-2 logarithm of the probability that one of them is too large.
        is_blind: whether some equation is read as any function of its whole operands: the kernel may know more of it.
    """

    by_name: Mapping[str, Interior]
    log2_error: float
    is_blind: bool


class Windows:
    """The layers of a program in the field, seen through windows on a scene or a background.

    Args:
        question: the program, with a scene or a background as boundary.
        layers: those that are looked at.
        comparisons: of windows, at most, that one answer rests on.

    Attributes:
        layers: those of them that depend on the image and hold numbers.

    Raises:
        FieldError: the field cannot run the program.
    """

    def __init__(self, question: Question, layers: Sequence[Layer], comparisons: int) -> None:
        program = question.program
        self.layers = [
            layer
            for layer in layers
            if isinstance(layer.value, int)
            and layer.value in program.from_images
            and plain(program.avals[layer.value].dtype)
        ]
        self.question = question
        cells = {
            x.value: [a for a in x.grid if a is not None]
            for x in self.layers
            if isinstance(x.value, int)
        }
        make = functools.partial(Runs, question, wanted=list(cells), most=MANY, cells=cells)
        log2_count = math.log2(
            comparisons * max([1, *(math.prod(x.grid_shape) for x in self.layers)])
        )
        try:
            self.runs = make(USUAL)
        except FieldError:  # there may be fewer primes, which may do
            self.runs = make(SCREEN)
        tracks = self.runs.least_tracks(log2_count)
        if tracks > self.runs.arithmetic.tracks:
            self.runs = make(tracks)
        self.log2_error = self.runs.log2_error + log2_count

    def see(self, shifts: Sequence[Shift], *, empty: bool = False) -> Iterator[list[np.ndarray]]:
        """For every shift, and every layer, what its cells show: (*cells, numbers), along the axes of the grid.

        Args:
            shifts: of the boundary.
            empty: on an empty canvas instead.
        """
        for values in self.runs.values(shifts, empty=empty):
            yield [_cells(layer, parts) for layer, parts in zip(self.layers, values, strict=True)]


def _cells(layer: Layer, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The numbers of each cell, the axes in the order of the grid."""
    found = np.stack(parts)
    order = [0, 1, *(2 + axis for axis in layer.grid if axis is not None)]
    rest = [axis for axis in range(found.ndim) if axis not in order]
    found = found.transpose(*order, *rest).reshape(-1, *layer.grid_shape)
    return np.moveaxis(found, 0, -1)


# --- scenes ---


def find_interiors(
    question: Question, layers: Sequence[Layer], known: Sequence[Sequence[Move | None]]
) -> "Interiors":
    """The interior of every layer on a scene.

    Args:
        question: the program.
        layers: those that are looked at.
        known: for each layer and each axis of the grid a move that is proved already, which is tried too.

    Raises:
        FieldError: the field cannot run the program.
    """
    grid = question.grid
    tried = [
        [_candidates(layer, grid, axis, move) for axis, move in enumerate(moves)]
        for layer, moves in zip(layers, known, strict=True)
    ]
    shifts = [
        axis_shift(grid, axis, step)
        for axis in range(len(grid))
        for step in sorted({1, *(step for row in tried for step, _ in row[axis])})
    ]
    reach = tuple(max([0, *(shift[axis] for shift in shifts)]) for axis in range(len(grid)))
    scene = Scene(grid, (0,) * len(grid), reach)
    windows = Windows(dataclasses.replace(question, boundary=scene), layers, len(shifts))
    still, *moved = windows.see([(0,) * len(grid), *shifts])
    seen = dict(zip(shifts, moved, strict=True))
    by_name = {layer.name: row for layer, row in zip(layers, tried, strict=True)}
    found, apart = {}, {}
    for number, layer in enumerate(windows.layers):
        shown = {shift: values[number] for shift, values in seen.items()}
        found[layer.name], apart[layer.name] = _interior(
            still[number], shown, by_name[layer.name], grid
        )
    united, log2_error = _united(question, windows.layers, found, apart)
    log2_error = float(np.logaddexp2(windows.log2_error, log2_error))
    return Interiors(united, log2_error, bool(windows.runs.field.opaque))


@dataclasses.dataclass(frozen=True)
class Part:
    """Cells that are alike, but are not neighbours of the interior.

    Attributes:
        cells: (n1, ..., nd) bool.
        here: one of them, and
        there: a cell of the interior near it.
        shift: under which `here` shows what `there` showed before, if they are alike.
    """

    cells: np.ndarray
    here: Shift
    there: Shift
    shift: Shift


def _united(
    question: Question,
    layers: Sequence[Layer],
    found: Mapping[str, Interior],
    apart: Mapping[str, Sequence[Part]],
) -> tuple[dict[str, Interior], float]:
    """The interiors with the parts that are alike with them, and the logarithm of the error bound of that."""
    shifts = list(dict.fromkeys(part.shift for parts in apart.values() for part in parts))
    shifts = shifts[:MOST_PARTS]
    if not shifts:
        return dict(found), -math.inf
    back = tuple(max(0, *(-s for s in steps)) for steps in zip(*shifts, strict=True))
    forth = tuple(max(0, *steps) for steps in zip(*shifts, strict=True))
    scene = Scene(question.grid, back, forth)
    asked = [layer for layer in layers if apart[layer.name]]
    windows = Windows(dataclasses.replace(question, boundary=scene), asked, len(shifts))
    still, *moved = windows.see([(0,) * len(question.grid), *shifts])
    seen, made = dict(zip(shifts, moved, strict=True)), dict(found)
    for number, layer in enumerate(windows.layers):
        inside = found[layer.name].cells.copy()
        for part in apart[layer.name]:
            values = seen.get(part.shift)
            if values is not None and np.all(
                values[number][part.here] == still[number][part.there]
            ):
                inside |= part.cells
        made[layer.name] = dataclasses.replace(found[layer.name], cells=inside)
    return made, windows.log2_error


def is_large(program: Program) -> bool:
    """Whether a window takes a second or more."""
    return sum(math.prod(program.avals[n].shape) for n in program.from_images) > LARGE


def _candidates(
    layer: Layer, grid: Sequence[int], axis: int, known: Move | None
) -> tuple[Move, ...]:
    """Moves along one axis of the grid that may leave some cells alike, smallest first.

    What is known, and a whole number of cells; where nothing is known, larger steps too.
    """
    jump, size = layer.strides[axis], layer.grid_shape[axis]
    found = {} if known is None else {known[0]: known}
    if layer.grid[axis] is not None and jump:
        more = () if found else divisors(grid[axis])
        for step in (abs(jump.numerator), *more):
            cells = step / jump
            if cells.denominator == 1 and abs(cells) < size:
                found[step] = (step, int(cells))
    return tuple(found[step] for step in sorted(found))


def _interior(
    still: np.ndarray,
    shown: dict[Shift, np.ndarray],
    tried: Sequence[Sequence[Move]],
    grid: Sequence[int],
) -> tuple[Interior, list[Part]]:
    """The interior of a layer, and parts that may belong to it."""
    same = [np.all(values == still, axis=-1) for values in shown.values()]
    idle = np.logical_and.reduce(same) if same else np.ones(still.shape[:-1], bool)
    alike = tuple(
        {
            (step, cells): _alike(still, shown[axis_shift(grid, axis, step)], axis, cells)
            for step, cells in candidates
        }
        for axis, candidates in enumerate(tried)
    )
    moves = tuple(
        next((move for move, kept in along.items() if np.any(kept & ~idle)), None)
        for along in alike
    )
    inside, parts = np.zeros(idle.shape, bool), []
    found = [move for move in moves if move is not None]
    if len(found) == len(moves):
        edges = [(axis, move[1], alike[axis][move] & ~idle) for axis, move in enumerate(found)]
        inside, parts = _largest(idle, edges, [step for step, _ in found])
    return Interior(moves, inside, idle, alike), parts


def _alike(still: np.ndarray, moved: np.ndarray, axis: int, cells: int) -> np.ndarray:
    """Which cells u show after a move what cell u - `cells` showed before."""
    before, after = _pair(axis, cells)
    found = np.zeros(still.shape[:-1], bool)
    found[after] = np.all(still[before] == moved[after], axis=-1)
    return found


def _pair(axis: int, cells: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The cells u - `cells` along an axis, and the cells u."""
    low, high = slice(None, -abs(cells)), slice(abs(cells), None)
    lead = (slice(None),) * axis
    return ((*lead, low), (*lead, high)) if cells > 0 else ((*lead, high), (*lead, low))


def _largest(
    idle: np.ndarray, edges: Sequence[tuple[int, int, np.ndarray]], steps: Sequence[int]
) -> tuple[np.ndarray, list[Part]]:
    """The largest set of cells that are alike, and the others; of each phase, where cells move by several."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    numbers = np.arange(idle.size).reshape(idle.shape)
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    for axis, cells, alike in edges:
        before, after = _pair(axis, cells)
        kept = alike[after]
        ends.append((numbers[before][kept], numbers[after][kept]))
    rows, columns = (np.concatenate(side) for side in zip(*ends, strict=True))
    links = coo_matrix((np.ones(len(rows), bool), (rows, columns)), (idle.size, idle.size))
    _, labels = connected_components(links, directed=False)
    labels = labels.reshape(idle.shape)
    phases = np.zeros(idle.shape, np.int64)
    for axis, cells, _ in edges:
        places = np.arange(idle.shape[axis]) % abs(cells)
        phases = phases * abs(cells) + np.expand_dims(
            places, [a for a in range(idle.ndim) if a != axis]
        )
    inside, parts = np.zeros(idle.shape, bool), []
    moves = np.array([cells for _, cells, _ in edges])
    for phase in np.unique(phases):
        mine = (phases == phase) & ~idle
        if not np.any(mine):
            continue
        counts = np.bincount(labels[mine])
        chosen = _middle(labels, mine, np.flatnonzero(counts == counts.max()))
        largest = mine & (labels == chosen)
        inside |= largest
        places = np.argwhere(largest)
        for label in np.flatnonzero(counts):
            if label == chosen:
                continue
            cells = mine & (labels == label)
            here = np.argwhere(cells)[0]
            there = places[np.argmin(np.abs(places - here).sum(1))]
            times = (here - there) // moves
            if np.abs(times).sum() > 1:  # neighbours were compared
                pixels = times * np.array(steps)
                parts.append(
                    Part(cells, *(tuple(map(int, place)) for place in (here, there, pixels)))
                )
    return inside, sorted(parts, key=lambda part: -int(part.cells.sum()))


def _middle(labels: np.ndarray, mine: np.ndarray, largest: np.ndarray) -> int:
    """Of the largest sets that with a cell nearest to the middle."""
    places = np.argwhere(mine & np.isin(labels, largest))
    middle = (np.array(labels.shape) - 1) / 2
    nearest = places[np.argmin(np.abs(places - middle).sum(1))]
    return int(labels[tuple(nearest)])


# --- backgrounds ---


@dataclasses.dataclass(frozen=True)
class Placed:
    """What a layer makes of an object at every place, by identities in the field.

    Attributes:
        places: (places along every axis) bool: where all its cells just move, or stay where it has no grid.
        whole: in the same shape, whether the object is moved by a whole number of cells.
        cells: (n1, ..., nd) bool: which of its cells just move under every place that moves it by whole cells.
        constant: whether the layer answers the same in all cells to an empty canvas.
        blind: an equation on the way to the layer into which the field does not look, so that more places may hold than
            are proved; "" where there is none.
    """

    places: np.ndarray
    whole: np.ndarray
    cells: np.ndarray
    constant: bool
    blind: str


def find_placed(
    question: Question, layers: Sequence[Layer], object: Sequence[int]
) -> tuple[dict[str, Placed], float]:
    """For every layer where it just moves with an object on an empty canvas, and the logarithm of the error bound.

    Args:
        question: the program.
        layers: those that are looked at.
        object: its sizes.

    Raises:
        FieldError: the field cannot run the program.
    """
    boundary = Background.of(question.grid, object)
    shifts = [tuple(map(int, s)) for s in np.ndindex(*(len(r) for r in boundary.ranges))]
    first = tuple(r.start for r in boundary.ranges)
    shifts = [tuple(s + f for s, f in zip(shift, first, strict=True)) for shift in shifts]
    zero = (0,) * len(question.grid)
    windows = Windows(dataclasses.replace(question, boundary=boundary), layers, len(shifts))
    (still,), (empty,) = windows.see([zero]), windows.see([zero], empty=True)
    rooms = tuple(len(r) for r in boundary.ranges)
    places = [np.zeros(rooms, bool) for _ in windows.layers]
    whole = [np.zeros(rooms, bool) for _ in windows.layers]
    cells = [np.ones(layer.grid_shape, bool) for layer in windows.layers]
    for shift, seen in zip(shifts, windows.see(shifts), strict=True):
        at = tuple(s - f for s, f in zip(shift, first, strict=True))
        for number, layer in enumerate(windows.layers):
            moved = output_shift(layer, shift)
            if moved is None:
                continue
            expected = _moved(still[number], empty[number], moved)
            alike = np.all(expected == seen[number], axis=-1)
            whole[number][at] = True
            places[number][at] = np.all(alike)
            cells[number] &= alike
    blind = _blind(question.program, list(windows.runs.field.opaque))
    found = {
        layer.name: Placed(
            places[n], whole[n], cells[n], _is_constant(empty[n]), blind.get(layer.value, "")
        )
        for n, layer in enumerate(windows.layers)
    }
    return found, windows.log2_error


def _blind(program: Program, opaque: Sequence[str]) -> dict[int | Literal, str]:
    """The values of a program that depend on an equation read as any function, each with the first such equation."""
    found: dict[int | Literal, str] = {}
    for words in opaque:
        made = {
            n for eqn in program.equations if words.startswith(_named(eqn)) for n in eqn.outputs
        }
        # one inside a loop stands for the whole program
        values = program.depending_on(made) if made else program.from_images
        found = dict.fromkeys(values, words) | found
    return found


def _named(eqn: Equation) -> str:
    """How the field begins what it tells of an equation that is read as any function."""
    place = f" at {eqn.site}" if str(eqn.site) else ""
    return f"{eqn.name}{place} ("


def output_shift(layer: Layer, shift: Shift) -> Shift | None:
    """By how many cells a layer should move; None where that is no whole number."""
    moved = []
    for step, jump in zip(shift, layer.strides, strict=True):
        cells = step / jump if jump else 0
        if cells != int(cells):
            return None
        moved.append(int(cells))
    return tuple(moved)


def _moved(still: np.ndarray, empty: np.ndarray, shift: Shift) -> np.ndarray:
    """The cells moved by so many, with those of an empty canvas where some enter."""
    found = empty.copy()
    source, target = [], []
    for size, step in zip(still.shape, shift, strict=False):
        source.append(slice(max(0, -step), max(0, size - max(0, step))))
        target.append(slice(max(0, step), max(0, size + min(0, step))))
    found[tuple(target)] = still[tuple(source)]
    return found


def _is_constant(empty: np.ndarray) -> bool:
    flat = empty.reshape(-1, empty.shape[-1])
    return bool(np.all(flat == flat[0]))
