"""Periods and rolls of known arrays: tables, masks, index matrices.

What does not depend on the image may still meet it position by position. That keeps a shift only where the array
repeats with a period that divides the step, or is left unchanged by a joint roll of two axes, as a circulant is.
"""

import numpy as np

MAX_ROLLS = 2**20
"""Arrays with more entries are not searched for rolls."""


def periods(array: np.ndarray) -> tuple[int, ...]:
    """For every axis the smallest divisor of its size with which the values repeat; the size where they do not.

    >>> periods(np.array([[1, 2, 1, 2], [3, 2, 3, 2], [5, 5, 5, 5]]))
    (3, 2)
    """
    return tuple(_period(array, axis) for axis in range(array.ndim))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def _period(array: np.ndarray, axis: int) -> int:
    lines = np.moveaxis(array, axis, 0)
    n = len(lines)
    # compare two blocks first: most arrays do not repeat, and are done with after the first cells
    return next(
        (
            period
            for period in range(1, n)
            if n % period == 0
            and _same(lines[:period], lines[period : 2 * period])
            and _same(lines[: n - period], lines[period:])
        ),
        n,
    )


def rolls(array: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Joint rolls of two axes that leave the array unchanged, one step for every axis.

    The rolls that leave it unchanged, up to those of one axis alone (`periods`), pair the steps of one axis with steps
    of the other; so all of them are multiples of the one with the smallest step, and that one is found.

    >>> rolls(np.array([[1, 2, 3], [3, 1, 2], [2, 3, 1]]))
    ((1, 1),)
    >>> checkerboard = np.indices((4, 6)).sum(0) % 2
    >>> periods(checkerboard), rolls(checkerboard)
    ((2, 2), ((1, 1),))
    """
    if array.ndim < 2 or array.size > MAX_ROLLS:
        return ()
    found = []
    lengths = periods(array)
    wide = [axis for axis, period in enumerate(lengths) if period > 1]
    for i, a in enumerate(wide):
        for b in wide[i + 1 :]:
            # one period of each axis says all
            block = array.take(range(lengths[a]), a).take(range(lengths[b]), b)
            pair = np.moveaxis(block, (a, b), (0, 1))
            steps = _joint_roll(pair.reshape(*pair.shape[:2], -1))
            if steps:
                roll = dict(zip((a, b), steps, strict=True))
                found.append(tuple(roll.get(axis, 0) for axis in range(array.ndim)))
    return tuple(found)


def _joint_roll(pair: np.ndarray) -> tuple[int, int] | None:
    rows, columns = pair.shape[:2]
    for step in (s for s in range(1, rows) if rows % s == 0):
        for shift in range(1, columns):
            first = _same(pair[0, shift], pair[-step % rows][0])
            if first and _same(np.roll(pair, (step, shift), (0, 1)), pair):
                return step, shift
    return None
