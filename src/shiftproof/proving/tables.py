"""Patterns in known tables: indices that rise evenly, and matrices whose rows are one row, moved on.

Interpolation, circulants and repeated cells are written as tables. What matters of them for the geometry is by how many
cells a table moves on along one axis when the other moves by one.
"""

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from shiftproof.proving.graph import Graph
from shiftproof.proving.periods import rolls
from shiftproof_kernel.program import Broadcast, Constant, Reshape, Span, Take, Transpose, Weight

LARGEST_TABLE = 2**22
"""Tables with more cells are not searched for a band."""


@dataclasses.dataclass(frozen=True)
class Band:
    """Cell q of a result takes cells slope * q + low .. slope * q + high.

    Attributes:
        slope: cells per cell of the result.
        low, high: the first and last cell that cell 0 takes, as far as the band goes.
        wraps: whether that holds only where the first cell follows the last.
        dense: whether it takes all cells besides, moved on alike.
    """

    slope: Fraction
    low: Fraction
    high: Fraction
    wraps: bool = False
    dense: bool = False


def find_pattern(index: Sequence[int], size: int) -> Band | None:
    """How evenly an index into an axis of that size rises; None where it does not.

    >>> find_pattern([0, 0, 1, 1, 2, 2], 3)
    Band(slope=Fraction(1, 2), low=Fraction(-1, 2), high=Fraction(0, 1), wraps=False, dense=False)
    >>> band = find_pattern([1, 2, 3, 0], 4)
    >>> band.slope, band.low, band.wraps
    (Fraction(1, 1), Fraction(1, 1), True)
    >>> find_pattern([0, 3, 1, 5, 2], 6) is None
    True
    """
    array = np.asarray(index)
    count = len(array)
    if count == 1:
        return Band(Fraction(1), Fraction(index[0]), Fraction(index[0]))
    # a pattern is one that was seen twice, or a line through two points
    for period in range(1, max(count // 2, 1) + 1):
        rises = array[period:] - array[:-period]
        if np.all(rises == rises[0]):
            return _band_of(array, Fraction(int(rises[0]), period))
        if np.all((rises - rises[0]) % size == 0):
            return _wrapped(array, Fraction(_nearest(int(rises[0]), size), period), size)
    if np.all(np.diff(array) >= 0):
        # an uneven resize: all of the axis, or from the first cell to the last
        whole = array[0] == 0 and array[-1] == size - 1
        rise = Fraction(size, count) if whole else Fraction(int(array[-1] - array[0]), count - 1)
        return _band_of(array, rise)
    return None


def _band_of(array: np.ndarray, slope: Fraction, *, wraps: bool = False) -> Band:
    rests = [int(place) - slope * q for q, place in enumerate(array)]
    return Band(slope, Fraction(min(rests)), Fraction(max(rests)), wraps)


def _wrapped(array: np.ndarray, slope: Fraction, size: int) -> Band:
    """The band of an index that goes round, followed beyond the end of the axis."""
    line = [array[0] + slope * q for q in range(len(array))]
    rounds = [round((int(place) - at) / size) for place, at in zip(array, line, strict=True)]
    return _band_of(array - size * np.array(rounds), slope, wraps=True)


def _nearest(step: int, size: int) -> int:
    """The number congruent to a step that is closest to 0."""
    step %= size
    return step if 2 * step <= size else step - size


def find_band(table: np.ndarray) -> Band | None:
    """How the columns of a matrix move on along its rows; None where they do not.

    Args:
        table: (cells, cells of the result), of what each cell of the result takes of each cell.

    >>> circulant = np.array([[2, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 1], [1, 0, 0, 2]])
    >>> find_band(circulant)
    Band(slope=Fraction(1, 1), low=Fraction(-1, 1), high=Fraction(0, 1), wraps=True, dense=False)
    >>> find_band(np.arange(16).reshape(4, 4)) is None
    True
    """
    if not np.any(table):
        return None
    return _circulant(table) or _interpolation(table)


def _circulant(table: np.ndarray) -> Band | None:
    """Of a matrix that is the same after a joint roll of rows and columns."""
    found = rolls(table)
    if not found:
        return None
    rows, columns = found[0]
    size = len(table)
    slope = Fraction(_nearest(rows, size), columns)
    reaches = []
    for column in range(columns):
        (cells,) = np.nonzero(table[:, column])
        reaches += [_nearest(int(cell) - math.floor(slope * column), size) for cell in cells]
    dense = len(set(reaches)) == size
    low, high = (0, 0) if dense or not reaches else (min(reaches), max(reaches))
    return Band(slope, Fraction(low), Fraction(high), wraps=True, dense=dense)


def _interpolation(table: np.ndarray) -> Band | None:
    """Of a matrix with a band around a line, but for the ends, as resizing makes."""
    size, count = table.shape
    if np.iscomplexobj(table) or count < 2:
        return None
    weights = table.astype(np.float64)
    if not np.all(np.isfinite(weights)):
        return None
    if np.any(weights.sum(0) <= 0):
        weights = np.abs(weights)
    totals = weights.sum(0)
    if np.any(totals == 0):
        return None
    centres = np.arange(size) @ (weights / totals)
    rise = float(np.median(np.diff(centres)))
    ratio = Fraction(size, count)
    slope = ratio if abs(rise - ratio) * count < 1 else Fraction(rise).limit_denominator(2 * count)
    support = [np.flatnonzero(column) for column in weights.T]
    lows = [int(cells[0]) - slope * q for q, cells in enumerate(support)]
    highs = [int(cells[-1]) - slope * q for q, cells in enumerate(support)]
    widest = max(int(cells[-1] - cells[0]) + 1 for cells in support)
    # the band must be narrow beside the axis; or, of a wide one, the centres must rise as those of a resize
    narrow = max(widest, float(max(highs) - min(lows))) <= max(size / 2, 2)
    even = np.isclose(np.diff(centres), float(slope), rtol=1e-3).mean() >= 1 / 2
    if not slope or not (narrow or (slope == ratio and count > 2 and even)):
        return None
    return Band(slope, Fraction(min(lows)), Fraction(max(highs)))


def table_of(graph: Graph, number: int) -> np.ndarray | None:
    """A constant, or the numbers of the weights that stand in a value that is only put together from weights."""
    node = graph.program.nodes[number]
    if math.prod(node.shape) > LARGEST_TABLE and not isinstance(node.op, Broadcast):
        return None
    if isinstance(node.op, Constant):
        return graph.constants.get(number)
    if isinstance(node.op, Weight):
        return np.arange(1, math.prod(node.shape) + 1).reshape(node.shape)
    if not isinstance(node.op, Broadcast | Reshape | Transpose | Take) or len(node.inputs) != 1:
        return None
    table = table_of(graph, node.inputs[0])
    if table is None:
        return None
    match node.op:
        case Broadcast(axes):
            places = dict(zip(axes, table.shape, strict=True))
            aligned = table.reshape([places.get(a, 1) for a in range(len(node.shape))])
            return np.broadcast_to(aligned, node.shape)
        case Reshape():
            return table.reshape(node.shape)
        case Transpose(order):
            return table.transpose(order)
        case Take(axis, index):
            if isinstance(index, Span):
                index = [index.start + index.step * i for i in range(node.shape[axis])]
            return table.take(index, axis)
