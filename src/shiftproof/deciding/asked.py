"""The shifts that a user asks about: single ones, and lattices such as `4Z`, as a mask over the grid."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from shiftproof.errors import InputError
from shiftproof.tracing.arguments import is_whole


def asked_mask(
    shifts: Sequence[Sequence[int | str]] | np.ndarray | None, grid: tuple[int, ...]
) -> np.ndarray:
    """The shifts asked about as a mask over the grid; all where None, which needs no memory."""
    if shifts is None:
        return np.broadcast_to(True, grid)
    if isinstance(shifts, np.ndarray) and shifts.dtype == bool:
        if shifts.shape != grid:
            raise InputError(f"the mask of shifts has shape {shifts.shape}, the grid is {grid}.")
        return _some(shifts)
    mask = np.zeros(grid, bool)
    for shift in _listed(shifts, grid):
        if len(shift) != len(grid):
            raise InputError(f"a shift of the grid {grid} has {len(grid)} steps; got {shift}.")
        mask[np.ix_(*(_places(step, n) for step, n in zip(shift, grid, strict=True)))] = True
    return _some(mask)


def _some(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise InputError("shifts= names no shift: leave it out to ask about all.")
    return mask


def _listed(shifts: Any, grid: tuple[int, ...]) -> list[Sequence[Any]]:
    """The shifts one by one.

    Raises:
        InputError: it is one shift instead of several, or something else.
    """
    several = isinstance(shifts, (Sequence, np.ndarray)) and not isinstance(shifts, str)
    listed: list[Any] = list(shifts) if several else [shifts]
    if not all(isinstance(shift, (tuple, list, np.ndarray)) for shift in listed):
        raise InputError(
            f"shifts= takes several shifts, each with one step per axis of the grid {grid}; got {shifts!r}. "
            f"{_meant(listed, grid)}"
        )
    return listed


def _meant(steps: Sequence[Any], grid: tuple[int, ...]) -> str:
    """What to write in place of steps."""
    if len(steps) == len(grid) > 1 and all(map(is_whole, steps)):
        return f"For that one shift write shifts=[{tuple(map(int, steps))}]."
    if len(steps) == 1 and re.fullmatch(r"\d+Z?", str(steps[0])):
        multiples = f"{str(steps[0]).removesuffix('Z')}Z"
        return f"For its multiples along every axis write shifts=[{(multiples,) * len(grid)}]."
    return f"For one shift write shifts=[{(2,) * len(grid)}]."


def _places(step: Any, size: int) -> list[int]:
    """One place of an axis, or with `4Z` all multiples of 4."""
    if isinstance(step, str) and re.fullmatch(r"\d{0,9}Z", step):
        factor = int(step.removesuffix("Z") or 1)
        return [k * factor % size for k in range(size)]
    if not is_whole(step):
        raise InputError(
            f"{step!r} is no step of a shift: write an integer, or 4Z for all multiples of 4."
        )
    return [int(step) % size]


def steps_asked(
    shifts: Sequence[Sequence[int | str]] | np.ndarray | None, rank: int
) -> tuple[int, ...]:
    """For each axis the step of which all shifts asked are multiples; 1 where all are asked about.

    >>> steps_asked([("4Z", 0), (2, "6Z")], 2)
    (2, 6)
    """
    if shifts is None:
        return (1,) * rank
    rows = [[int(str(step).removesuffix("Z") or 1) for step in shift] for shift in shifts]
    if not rows:
        raise InputError("shifts= names no shift: leave it out to ask about all.")
    if any(len(row) != rank for row in rows):
        raise InputError(f"a shift of a grid of {rank} axes has {rank} steps; got {shifts}.")
    return tuple(math.gcd(*(row[axis] for row in rows)) for axis in range(rank))


def shifts_of(words: Sequence[str]) -> list[tuple[int | str, ...]]:
    """Shifts written as `4,0`, or as a lattice `4Z,4Z`.

    >>> shifts_of(["4,0", "2Z,0"])
    [(4, 0), ('2Z', 0)]
    """
    found: list[tuple[int | str, ...]] = []
    for word in words:
        steps = [step.strip() for step in word.split(",")]
        if not all(re.fullmatch(r"-?\d{1,9}|\d{0,9}Z", step) for step in steps):
            raise InputError(
                f"{word!r} is no shift: write 4,0 for one shift, 4Z,4Z for all multiples."
            )
        found.append(tuple(step if step.endswith("Z") else int(step) for step in steps))
    return found
