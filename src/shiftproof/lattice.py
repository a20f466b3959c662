"""Lattices: the shifts that keep a property, as a subgroup of the grid `Z_n1 x ... x Z_nd`.

The set of shifts under which a function is equivariant, or invariant, is closed under composition. A set of
passing shifts that is no subgroup is therefore an accident of the inputs, and is never reported as a lattice.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from shiftproof.display import Displayed
from shiftproof.translation import Shift


@dataclasses.dataclass(frozen=True)
class Lattice(Displayed):
    """A subgroup of the grid.

    Attributes:
        grid: sizes (n1, ..., nd).
        generators: shifts that generate it; multiples of the axes where the lattice is a product of axes.
        count: number of its elements on the grid.
    """

    grid: tuple[int, ...]
    generators: tuple[Shift, ...]
    count: int

    @property
    def steps(self) -> tuple[int, ...] | None:
        """The step per axis where the lattice is `s1 Z x ... x sd Z`, else None."""
        steps = [0] * len(self.grid)
        for generator in self.generators:
            moving = [axis for axis, step in enumerate(generator) if step]
            if len(moving) != 1:
                return None
            steps[moving[0]] = generator[moving[0]]
        return tuple(step or size for step, size in zip(steps, self.grid, strict=True))

    def __str__(self) -> str:
        if self.count == 1:
            return "only 0"
        if self.count == math.prod(self.grid):
            return "all shifts"
        if self.steps is not None:
            return " × ".join(
                "0" if step == size else f"{step}Z" if step > 1 else "Z"
                for step, size in zip(self.steps, self.grid, strict=True)
            )
        return "⟨" + ", ".join(str(generator) for generator in self.generators) + "⟩"


def find_lattice(passing: np.ndarray) -> Lattice | None:
    """The lattice of all passing shifts, or None where they are no subgroup of the torus.

    Args:
        passing: (n1, ..., nd) bool, indexed by shift from 0 to n - 1.

    >>> mask = np.zeros((4, 6), bool)
    >>> mask[::2, ::3] = True
    >>> str(find_lattice(mask))
    '2Z × 3Z'
    >>> mask[1, 1] = True
    >>> find_lattice(mask) is None
    True
    """
    grid = passing.shape
    if not passing[(0,) * len(grid)]:
        return None
    axes = _axis_generators(passing)
    spanned = span(grid, axes)
    generators = list(axes)
    for index in np.argwhere(passing & ~spanned):
        element = tuple(int(i) for i in index)
        if not spanned[element]:
            generators.append(element)
            spanned = span(grid, generators)
            if np.any(spanned & ~passing):
                return None
    if np.any(spanned != passing):
        return None
    return Lattice(grid, tuple(generators), int(spanned.sum()))


def span(grid: Sequence[int], generators: Iterable[Shift]) -> np.ndarray:
    """The subgroup that `generators` generate, as a mask of shape `grid`."""
    mask = np.zeros(tuple(grid), bool)
    mask[(0,) * len(mask.shape)] = True
    for generator in generators:
        order = math.lcm(
            *(size // math.gcd(size, step) for size, step in zip(grid, generator, strict=True))
        )
        # doubling: after k rounds the mask holds all multiples up to 2^k - 1
        for power in (2**k for k in range((order - 1).bit_length())):
            shift = tuple(power * step % size for size, step in zip(grid, generator, strict=True))
            mask = mask | np.roll(mask, shift, tuple(range(mask.ndim)))
    return mask


def _axis_generators(passing: np.ndarray) -> tuple[Shift, ...]:
    """The smallest passing shift along each axis alone, where there is one."""
    generators = []
    for axis, size in enumerate(passing.shape):
        for step in range(1, size):
            element = tuple(step if a == axis else 0 for a in range(passing.ndim))
            if passing[element]:
                generators.append(element)
                break
    return tuple(generators)
