"""From shifts to the cells of a map: which array is drawn of values that have one entry per shift."""

import numpy as np

from shiftproof.sweeping.result import Sweep


def centred(words: np.ndarray) -> np.ndarray:
    """The 2-D map that is drawn: shift 0 in the middle; the central slice of more axes."""
    rolled = np.roll(words, [n // 2 for n in words.shape], tuple(range(words.ndim)))
    while rolled.ndim > 2:
        rolled = rolled[rolled.shape[0] // 2]
    return rolled[None] if rolled.ndim == 1 else rolled


def central(values: np.ndarray, sweep: Sweep) -> np.ndarray:
    """The 2-D map that is drawn: on the torus shift 0 in the centre; a slice or strip if not 2-D.

    Args:
        values: (*shift), as the sweep holds them.
        sweep: says which shift stands where.

    Returns:
        (rows, columns), in the order of `axis_shifts`.
    """
    if sweep.is_torus:
        return centred(values)
    while values.ndim > 2:
        values = values[axis_shifts(sweep, values.ndim).index(0)]
    return values[None] if values.ndim == 1 else values


def axis_shifts(sweep: Sweep, rank_left: int) -> list[int]:
    """The signed shifts along the axis with `rank_left - 1` axes after it, in the order drawn."""
    room = sweep.ranges[len(sweep.grid) - rank_left]
    if sweep.is_torus:
        return [step - len(room) // 2 for step in room]
    return list(room)
