"""Groups: what a shift is, and the lattices of the shifts that keep a property.

`(T_Δ x)(u) = x(u - Δ)`: content moves *by* Δ, down for positive dy and right for positive dx. Three boundaries differ
in what enters: on a *torus* what leaves on the other side, on a *scene* new content, on a *background* nothing. All
three are a window that slides over a canvas.

The shifts of a torus are the group `Z_n1 x ... x Z_nd`. Those under which a function is equivariant, or invariant, are
closed under composition, so they are a *lattice*: a subgroup. It is kept as the rows of a Hermite normal form; sizes,
members and larger lattices follow from these alone, and no array of the size of the grid is made unless one looks at a
map.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from shiftproof.display import Displayed
from shiftproof.errors import InputError

Shift = tuple[int, ...]
"""Pixels, one integer per axis of the grid, in the order of the axes."""

BoundaryName = Literal["torus", "scene", "background"]


def check_boundary(boundary: str) -> None:
    """Raise `InputError` unless `boundary` is one of the three."""
    if boundary not in get_args(BoundaryName):
        raise InputError(
            f"boundary must be one of {', '.join(get_args(BoundaryName))}; got {boundary!r}."
        )


@dataclasses.dataclass(frozen=True)
class Torus:
    """The image wraps around: what leaves on one side enters on the other. Its shifts are a group.

    Attributes:
        grid: sizes (n1, ..., nd) of the image.

    >>> Torus((4,)).places(0, 1).tolist()
    [3, 0, 1, 2]
    """

    name: ClassVar[BoundaryName] = "torus"
    words: ClassVar[str] = "the image wraps around"
    grid: tuple[int, ...]

    @property
    def canvas(self) -> tuple[int, ...]:
        """Sizes of what the window slides over."""
        return self.grid

    @property
    def origin(self) -> tuple[int, ...]:
        """Where the window of shift 0 starts, on a canvas that is tiled twice."""
        return self.grid

    @property
    def ranges(self) -> tuple[range, ...]:
        """Along each axis the shifts there are."""
        return tuple(range(n) for n in self.grid)

    def places(self, axis: int, step: Any) -> Any:
        """The cells of the canvas that the window shows when it has moved the content by `step`; traceable."""
        return (np.arange(self.grid[axis]) - step) % self.grid[axis]

    def content(self) -> np.ndarray | None:
        """Which cells of the canvas may hold content, where not all do."""
        return None


@dataclasses.dataclass(frozen=True)
class Scene:
    """The image is a window on a larger scene, so that new content enters.

    Attributes:
        grid: sizes (n1, ..., nd) of the image.
        back: along each axis the pixels by which the content can move back (up, left), and
        forth: those by which it can move forth (down, right).

    >>> Scene((3,), (1,), (2,)).places(0, 1).tolist()
    [1, 2, 3]
    """

    name: ClassVar[BoundaryName] = "scene"
    words: ClassVar[str] = "the image is a window on a larger scene"
    grid: tuple[int, ...]
    back: tuple[int, ...]
    forth: tuple[int, ...]

    @property
    def canvas(self) -> tuple[int, ...]:
        """Sizes of what the window slides over."""
        return tuple(n + b + f for n, b, f in zip(self.grid, self.back, self.forth, strict=True))

    @property
    def origin(self) -> tuple[int, ...]:
        """Where the window of shift 0 starts."""
        return self.forth

    @property
    def ranges(self) -> tuple[range, ...]:
        """Along each axis the shifts there are."""
        return tuple(range(-b, f + 1) for b, f in zip(self.back, self.forth, strict=True))

    def places(self, axis: int, step: Any) -> Any:
        """The cells of the canvas that the window shows when it has moved the content by `step`; traceable."""
        return np.arange(self.grid[axis]) + self.forth[axis] - step

    def content(self) -> np.ndarray | None:
        """Which cells of the canvas may hold content, where not all do."""
        return None


@dataclasses.dataclass(frozen=True)
class Background(Scene):
    """An object on an empty canvas, so that nothing enters; it is never cut. Shift 0 has it in the middle.

    Attributes:
        object: sizes of the object.

    >>> Background.of((5,), (2,)).ranges
    (range(-1, 3),)
    """

    name: ClassVar[BoundaryName] = "background"
    words: ClassVar[str] = "an object moves on an empty background"
    object: tuple[int, ...] = ()

    @staticmethod
    def of(grid: Sequence[int], object: Sequence[int]) -> "Background":
        """All places of an object on an image.

        Raises:
            InputError: it does not fit, or has other axes.
        """
        if len(grid) != len(object) or not all(
            _is_whole(o) and 1 <= o <= n for n, o in zip(grid, object, strict=True)
        ):
            raise InputError(f"an object of sizes {object} does not fit on a grid of {grid}.")
        first = tuple((n - o) // 2 for n, o in zip(grid, object, strict=True))
        rest = tuple(n - o - f for n, o, f in zip(grid, object, first, strict=True))
        return Background(tuple(grid), first, rest, tuple(object))

    @property
    def first(self) -> Shift:
        """Where the object begins under shift 0."""
        return self.back

    def content(self) -> np.ndarray | None:
        """Which cells of the canvas may hold content, where not all do."""
        mask = np.zeros(self.canvas, bool)
        places = zip(self.forth, self.first, self.object, strict=True)
        mask[tuple(slice(f + at, f + at + size) for f, at, size in places)] = True
        return mask


Boundary = Torus | Scene | Background
BOUNDARIES: dict[str, type[Boundary]] = {kind.name: kind for kind in (Torus, Scene, Background)}


@dataclasses.dataclass(frozen=True)
class Lattice(Displayed):
    """A subgroup of the shifts of a grid.

    Two lattices are equal where they hold the same shifts, whatever they were generated by.

    Attributes:
        grid: sizes (n1, ..., nd).
        generators: shifts that generate it, in normal form; multiples of the axes where it is a product of axes.

    >>> Lattice((8, 8), ((4, 0), (0, 12)))
    Lattice(grid=(8, 8), generators=((4, 0), (0, 4)))
    >>> Lattice((8, 8), ((4, 0), (0, 4))).count
    4
    """

    grid: tuple[int, ...]
    generators: tuple[Shift, ...] = ()

    def __post_init__(self) -> None:
        if not self.grid or any(not _is_whole(n) or n < 1 for n in self.grid):
            raise InputError(f"a grid has one positive size per axis; got {tuple(self.grid)}.")
        object.__setattr__(self, "grid", tuple(int(n) for n in self.grid))
        object.__setattr__(self, "generators", tuple(map(self._whole, self.generators)))
        kept = (tuple(s % n for s, n in zip(row, self.grid, strict=True)) for row in self.basis)
        object.__setattr__(self, "generators", tuple(row for row in kept if any(row)))

    @functools.cached_property
    def basis(self) -> tuple[Shift, ...]:
        """The lattice with all whole turns of the grid: the rows of its Hermite normal form, one per axis.

        >>> Lattice((4, 4), ((1, 1),)).basis
        ((1, 1), (0, 4))
        """
        turns = np.diag(self.grid).tolist()
        return _hermite([*map(list, self.generators), *turns])

    @property
    def box(self) -> tuple[int, ...]:
        """Sizes of the box of shifts, from 0 on, that holds one of every coset: the diagonal of the basis."""
        return tuple(row[axis] for axis, row in enumerate(self.basis))

    @property
    def index(self) -> int:
        """Number of cosets: by how much fewer shifts the lattice has than the grid."""
        return math.prod(self.box)

    @property
    def count(self) -> int:
        """Number of its shifts."""
        return math.prod(self.grid) // self.index

    @property
    def steps(self) -> tuple[int, ...] | None:
        """The step per axis where the lattice is `s1 Z x ... x sd Z`, else None."""
        alone = all(sum(map(bool, row)) == 1 for row in self.basis)
        return self.box if alone else None

    def __str__(self) -> str:
        if self.count == 1:
            return "only 0"
        if self.index == 1:
            return "all shifts"
        if self.steps is not None:
            return " × ".join(
                "0" if step == size else f"{step}Z" if step > 1 else "Z"
                for step, size in zip(self.steps, self.grid, strict=True)
            )
        return "⟨" + ", ".join(str(generator) for generator in self.generators) + "⟩"

    def _whole(self, shift: Sequence[int]) -> Shift:
        """A shift as whole numbers.

        Raises:
            InputError: it has other axes than the grid, or is no tuple of whole numbers.
        """
        if len(shift) != len(self.grid) or not all(map(_is_whole, shift)):
            raise InputError(
                f"a shift of the grid {self.grid} is {len(self.grid)} whole numbers; got {shift!r}."
            )
        return tuple(int(step) for step in shift)

    def reduced(self, shift: Sequence[int]) -> Shift:
        """The shift of the box that lies in the same coset."""
        rest = list(self._whole(shift))
        for axis, row in enumerate(self.basis):
            factor = rest[axis] // row[axis]
            rest = [a - factor * b for a, b in zip(rest, row, strict=True)]
        return tuple(rest)

    def __contains__(self, shift: Sequence[int]) -> bool:
        return not any(self.reduced(shift))

    def with_shifts(self, *shifts: Sequence[int]) -> "Lattice":
        """The lattice that these shifts generate together with it."""
        return Lattice(self.grid, (*self.generators, *map(tuple, shifts)))

    def order(self, shift: Sequence[int]) -> int:
        """The smallest positive multiple of a shift that the lattice holds."""
        return self.index // self.with_shifts(shift).index

    @functools.cached_property
    def overgroups(self) -> "tuple[Overgroup, ...]":
        """The lattices that cover it minimally: those by one element of prime order in the quotient.

        If more shifts than the lattice kept a property, so would one of these.
        """
        return tuple(
            overgroup
            for prime in prime_divisors(self.index)
            for overgroup in sorted(
                (Overgroup(_simplest_new(self, o), prime, o) for o in self._covers(prime)),
                key=lambda o: _simplicity(o.shift),
            )
        )

    def _covers(self, prime: int) -> "Iterator[Lattice]":
        """The lattices in which it has that prime index.

        They are generated by the shifts `c B / p`, where the row c is a combination of the basis B that is 0 mod p.
        """
        kernel = _left_kernel(self.basis, prime)
        for leading in range(len(kernel)):
            # one multiple of every combination: its first factor is 1
            for factors in itertools.product(range(prime), repeat=len(kernel) - 1 - leading):
                rows = zip((1, *factors), kernel[leading:], strict=True)
                row = np.sum([factor * np.array(c) for factor, c in rows], axis=0) % prime
                yield self.with_shifts((row @ np.array(self.basis) // prime).tolist())

    def numbers(self, shifts: np.ndarray) -> np.ndarray:
        """The numbers of the cosets of shifts (count, d): those of their places in the box, in row-major order."""
        rest = np.array(shifts, np.int64)
        for axis, row in enumerate(self.basis):
            rest -= (rest[:, axis : axis + 1] // row[axis]) * np.array(row)
        return np.asarray(np.ravel_multi_index(tuple(rest.T), self.box))

    # --- arrays, for those who look at a map ---

    def cosets(self) -> np.ndarray:
        """(n1, ..., nd) int: for every shift the number of its coset."""
        rest = list(np.indices(self.grid, sparse=True))
        for axis, row in enumerate(self.basis):
            factor = rest[axis] // row[axis]
            rest = [a - factor * b if b else a for a, b in zip(rest, row, strict=True)]
        found = np.zeros((1,) * len(self.grid), np.int64)
        for places, size in zip(rest, self.box, strict=True):
            found = found * size + places
        return np.broadcast_to(found, self.grid)

    def mask(self) -> np.ndarray:
        """(n1, ..., nd) bool: which shifts it holds."""
        return self.cosets() == 0


@dataclasses.dataclass(frozen=True)
class Overgroup:
    """A lattice that covers another minimally.

    Attributes:
        shift: the simplest one that is new: along the fewest axes, and the smallest of those.
        prime: how many times as many shifts it has.
        lattice: itself.
    """

    shift: Shift
    prime: int
    lattice: Lattice


@dataclasses.dataclass(frozen=True)
class Failing:
    """The shifts that fail where some are known to: if a multiple of a shift fails, up to the lattice, so does it.

    Attributes:
        lattice: of the shifts that hold.
        known: shifts that fail.
    """

    lattice: Lattice
    known: tuple[Shift, ...]

    def __contains__(self, shift: Sequence[int]) -> bool:
        if shift in self.lattice:
            return False
        multiples = self.lattice.with_shifts(shift)
        return any(known in multiples for known in self.known)

    @functools.cached_property
    def is_complete(self) -> bool:
        """Whether every shift outside the lattice fails: in each minimal larger group one is known to."""
        if self.lattice.index == 1:
            return True
        reached = {self.lattice.with_shifts(known) for known in self.known}
        return all(overgroup.lattice in reached for overgroup in self.lattice.overgroups)

    @functools.cached_property
    def count(self) -> int:
        """How many fail."""
        if self.is_complete:
            return math.prod(self.lattice.grid) - self.lattice.count
        return int(self._quotient.sum()) * self.lattice.count

    @functools.cached_property
    def _quotient(self) -> np.ndarray:
        """Whether every coset fails, in the order of their numbers.

        A shift whose multiple by m fails does so through one by the primes of m: those that do not divide its order
        give shifts that generate the same group, and the others are followed one by one.
        """
        failing = np.zeros(self.lattice.index, bool)
        for known in self.known:
            order = self.lattice.order(known)
            powers = np.array([k for k in range(1, order) if math.gcd(k, order) == 1], np.int64)
            failing[self.lattice.numbers(powers[:, None] * np.array(known))] = True
        places = np.indices(self.lattice.box).reshape(len(self.lattice.box), -1).T
        exponent = math.lcm(*self.lattice.grid)
        times = {p: self.lattice.numbers(p * places) for p in prime_divisors(exponent)}
        before = -1
        while before != (before := int(failing.sum())):
            for multiple in times.values():
                failing |= failing[multiple]
        failing[0] = False
        return failing

    @property
    def left(self) -> np.ndarray:
        """Bool, of the sizes of the lattice's box: which of its shifts, one of every coset, neither hold nor fail."""
        left = ~self._quotient
        left[0] = False
        return left.reshape(self.lattice.box)

    def mask(self) -> np.ndarray:
        """(n1, ..., nd) bool: which shifts fail."""
        if self.is_complete:
            return ~self.lattice.mask()
        return self._quotient[self.lattice.cosets()]


Holds = Callable[[Shift], bool]
"""Whether a property holds under a shift; the shifts under which it does are taken to be a group."""


def largest_lattice(grid: Sequence[int], holds: Holds) -> tuple[list[Shift], Lattice]:
    """The largest lattice found under which a property holds, and shifts that were tried and generate it.

    Args:
        grid: sizes (n1, ..., nd).
        holds: whether a shift does.
    """
    generators: list[Shift] = []
    lattice = Lattice(tuple(grid))
    for axis, n in enumerate(grid):
        for step in divisors(n):
            shift = axis_shift(grid, axis, step)
            if shift in lattice:
                break
            if holds(shift):
                generators.append(shift)
                lattice = lattice.with_shifts(shift)
                break
    return grown_lattice(generators, lattice, holds)


def grown_lattice(
    generators: Sequence[Shift], lattice: Lattice, holds: Holds
) -> tuple[list[Shift], Lattice]:
    """A lattice made larger as long as some minimal larger one holds, and the generators of it that are needed."""
    found = list(generators)
    while (new := next((o for o in lattice.overgroups if holds(o.shift)), None)) is not None:
        found.append(new.shift)
        lattice = new.lattice
    for generator in list(found):
        rest = [other for other in found if other != generator]
        if generator in Lattice(lattice.grid, tuple(rest)):
            found = rest
    return found, lattice


def find_lattice(passing: np.ndarray) -> Lattice | None:
    """The lattice of all passing shifts, or None where they are no subgroup: then some pass by accident.

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
    if not passing.size or not passing.ndim:
        raise InputError(f"a mask of shifts has the shape of a grid; got {passing.shape}.")
    lattice = Lattice(passing.shape)
    total = int(passing.sum())
    while lattice.count < total:
        missed = np.argwhere(passing & ~lattice.mask())
        if not len(missed):
            return None
        lattice = lattice.with_shifts(missed[0].tolist())
    return lattice if lattice.count == total and np.all(passing[lattice.mask()]) else None


def _is_whole(number: Any) -> bool:
    return isinstance(number, (int, np.integer))


def simplest(mask: np.ndarray) -> Shift:
    """The shift of a mask (n1, ..., nd) along the fewest axes, and the smallest of those."""
    return min((tuple(row) for row in np.argwhere(mask).tolist()), key=_simplicity)


def nearest(mask: np.ndarray, count: int) -> list[Shift]:
    """The shifts of a mask (n1, ..., nd) nearest to 0 on the torus, as they go there: backwards where that is less.

    >>> nearest(np.ones((3, 1), bool), 2)
    [(0, 0), (1, 0)]
    """
    places = np.argwhere(mask)
    sizes = np.array(mask.shape)
    signed = np.where(places > sizes // 2, places - sizes, places)
    order = np.lexsort((*(-signed).T, np.abs(signed).sum(1)))
    return [tuple(row) for row in signed[order[:count]].tolist()]


def _simplicity(shift: Shift) -> tuple[int, int, Shift]:
    return sum(map(bool, shift)), sum(shift), shift


def _simplest_new(lattice: Lattice, larger: Lattice) -> Shift:
    """The simplest shift of a lattice that covers another, and is not in that.

    Shifts along few axes are looked at first. Where none is new, all that differ by one of these are alike, so that of
    those along some axes only the smallest step along the last needs to be.
    """
    rank = len(lattice.grid)
    for count in range(1, rank + 1):
        found = [
            shift
            for axes in itertools.combinations(range(rank), count)
            if (shift := _smallest_new(lattice, larger, axes)) is not None
        ]
        if found:
            return min(found, key=_simplicity)
    raise ValueError("the lattice is not larger")


def _smallest_new(lattice: Lattice, larger: Lattice, axes: Sequence[int]) -> Shift | None:
    """The smallest new shift along just these axes; None where there is none."""
    rank = len(lattice.grid)
    others = [axis for axis in range(rank) if axis not in axes]
    order = [*others, *axes]
    rows = _hermite([[row[axis] for axis in order] for row in larger.basis])
    block = np.array([row[len(others) :] for row in rows[len(others) :]])
    sizes = [lattice.grid[axis] // block[i, i] for i, axis in enumerate(axes[:-1])]
    factors = np.indices(sizes).reshape(len(sizes), math.prod(sizes)).T
    shifts = np.zeros((len(factors), rank), np.int64)
    shifts[:, axes] = factors @ block[:-1]
    shifts %= np.array(lattice.grid)
    shifts[:, axes[-1]] %= block[-1, -1]
    if len(axes) == 1:
        shifts[:, axes[0]] = block[0, 0]
    new = shifts[(lattice.numbers(shifts) != 0) & np.all(shifts[:, axes] > 0, axis=1)]
    return min((tuple(row) for row in new.tolist()), key=_simplicity, default=None)


def axis_shift(grid: Sequence[int], axis: int, step: int) -> Shift:
    """The shift by `step` along one axis."""
    return tuple(step if a == axis else 0 for a in range(len(grid)))


def divisors(n: int) -> list[int]:
    """The divisors of n below n, ascending."""
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)} - {n})


def prime_divisors(n: int) -> list[int]:
    """The primes that divide n, ascending."""
    return [d for d in (*divisors(n), n) if d > 1 and len(divisors(d)) == 1]


def _hermite(rows: Sequence[Sequence[int]]) -> tuple[Shift, ...]:
    """The Hermite normal form of the lattice that rows of full rank generate: upper triangular, and reduced."""
    left = [list(row) for row in rows]
    basis: list[list[int]] = []
    for column in range(len(left[0])):
        while len(live := [row for row in left if row[column]]) > 1:
            least = min(live, key=lambda row: abs(row[column]))
            for row in live:
                if row is not least:
                    factor = row[column] // least[column]
                    row[:] = [a - factor * b for a, b in zip(row, least, strict=True)]
        (pivot,) = live
        left = [row for row in left if row is not pivot]
        if pivot[column] < 0:
            pivot = [-a for a in pivot]
        for row in basis:
            factor = row[column] // pivot[column]
            row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
        basis.append(pivot)
    return tuple(tuple(row) for row in basis)


def _left_kernel(matrix: Sequence[Sequence[int]], prime: int) -> list[Shift]:
    """A basis of the rows c with c B = 0 mod a prime."""
    rank = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(rank))] for i, row in enumerate(matrix)]
    for column in range(rank):
        pivot = next((row for row in rows if row[column] % prime), None)
        if pivot is None:
            continue
        inverse = pow(pivot[column], -1, prime)
        rows = [
            [(a - row[column] * inverse * b) % prime for a, b in zip(row, pivot, strict=True)]
            for row in rows
            if row is not pivot
        ]
    return [tuple(row[rank:]) for row in rows]
