"""What a fact means, as a plain NumPy function that decides it: the definition the prover is held to.

A fact speaks of an array A and of the orbit of the image under a shift: x, Tx, TTx, ... It says that there is one
signal S, the same for the whole orbit, with A(T^k x)[i] = S[key(i) - k step] for every k and every index i. Along a
moving factor the key is the offset plus the index, modulo the period; along one that stays it is the index modulo its
period, with step 0. All axes count together. So the fact holds exactly when any two entries of the orbit that ask for
the same cell of S are equal, and that is what is checked. Overlapping laps are summed first, and what a phase turns is
turned back: e(-k (first + i step)) A(T^k x)[i]. Parts side by side are looked at one by one.

Along a scene the orbit is made of crops of one larger image, the key is the offset plus the index, and entries outside
the interior ask for nothing.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from interpret import PRIME, roots

from shiftproof_kernel import Fact, Fold, Joined, Moving, Phase, Refusal, Scene, Still
from shiftproof_kernel.facts import Factor, merged, size

LINE = 2**13
"""Keys along a scene count modulo this, which none of them reaches."""


class Meaningless(Exception):
    """A fact whose factors do not fit together: there is nothing that it could be true of."""


@dataclass(frozen=True)
class Cells:
    """Which cell of the signal each entry of an orbit shows.

    Attributes:
        law: moduli and steps; two windows with the same law can be compared cell by cell.
        numbers: for each entry the number of its cell.
        entries: the entries, in the same order.
    """

    law: tuple
    numbers: np.ndarray
    entries: np.ndarray


def blocks(
    axes: Sequence[Sequence[Factor]], orbit: np.ndarray
) -> Iterator[tuple[Sequence[Sequence[Factor]], np.ndarray]]:
    """The fact and the orbit of every choice of parts, where some axes are made of parts."""
    for axis, factors in enumerate(axes):
        at = next((i for i, f in enumerate(factors) if isinstance(f, Joined)), None)
        if at is not None:
            major, joined, minor = factors[:at], factors[at], factors[at + 1 :]
            shape = orbit.shape
            split = (*shape[: axis + 1], size(major), joined.n, size(minor), *shape[axis + 2 :])
            start = 0
            for part in joined.parts:
                taken = range(start, start + size(part))
                start += size(part)
                inner = orbit.reshape(split).take(taken, axis + 2)
                inner = inner.reshape(*shape[: axis + 1], -1, *shape[axis + 2 :])
                yield from blocks([*axes[:axis], (*major, *part, *minor), *axes[axis + 1 :]], inner)
            return
    yield axes, orbit


def cells(axes: Sequence[Sequence[Factor]], orbit: np.ndarray) -> Cells:
    """The cells of a fact's signal, as read off an orbit.

    Args:
        axes: factors of every axis.
        orbit: (length of the orbit, *shape of the array); entry k is the array's value for T^k x.
    """
    flat = [factor for factors in axes for factor in factors]
    values = orbit.reshape(len(orbit), *(factor.n for factor in flat))
    flat, values = _unfolded(flat, values)
    number = np.zeros(1, np.int64)
    turns, inside = np.arange(len(orbit)), np.ones(1, bool)
    law = []
    for axis, factor in enumerate(flat):
        match factor:
            case Moving(n, period, offset, step):
                key = (offset + np.arange(n) - step * turns[:, None]) % period
            case Scene(n, low, high, offset, step):
                key, period = (offset + np.arange(n) - step * turns[:, None]) % LINE, LINE
                valid = (np.arange(n) >= low) & (np.arange(n) < high)
                inside = inside & valid.reshape([-1 if a == axis else 1 for a in range(len(flat))])
            case Still(n, period):
                key, step = np.broadcast_to(np.arange(n) % period, (len(turns), n)), 0
            case Phase(n, period, _, step):
                values = _turned_back(values, axis, factor)
                key = np.broadcast_to(np.arange(n), (len(turns), n))
            case Fold():
                raise Meaningless("laps are left that no axis of cells belongs to")
        law.append(factor if isinstance(factor, Phase) else (period, step % period))
        shape = [1] * (len(flat) + 1)
        shape[0], shape[axis + 1] = key.shape
        number = number * (n if isinstance(factor, Phase) else period) + key.reshape(shape)
    inside = np.broadcast_to(inside, values.shape)
    number = np.broadcast_to(number, values.shape)
    return Cells(tuple(law), number[inside], values[inside])


def _turned_back(values: np.ndarray, axis: int, phase: Phase) -> np.ndarray:
    """The values without their phase, over the complex numbers or those of the finite field."""
    n, period, first, step = phase.n, phase.period, phase.first, phase.step
    exponents = -np.arange(len(values))[:, None] * (first + np.arange(n) * step)
    shape = [1] * values.ndim
    shape[0], shape[axis + 1] = exponents.shape
    if values.dtype == np.uint64:
        return values * roots(period, exponents).reshape(shape) % np.uint64(PRIME)
    return values * np.exp(-2j * np.pi * exponents / period).reshape(shape)


def _unfolded(flat: list[Factor], values: np.ndarray) -> tuple[list[Factor], np.ndarray]:
    """Sum the overlapping laps, and see the sums as one period that moves."""
    flat = list(flat)
    while (at := next((i for i, f in enumerate(flat) if isinstance(f, Fold)), None)) is not None:
        fold = flat[at]
        moving = Moving(fold.period, fold.period, 0, fold.step)
        if fold.part == "whole":
            laps = -(-fold.n // fold.period)
            room = [(0, 0)] * values.ndim
            room[at + 1] = (0, laps * fold.period - fold.n)
            shape = values.shape
            values = np.pad(values, room).reshape(
                *shape[: at + 1], laps, fold.period, *shape[at + 2 :]
            )
            values, flat[at] = _sum(values, at + 1), moving
            continue
        pair = {f.part: i for i, f in enumerate(flat) if isinstance(f, Fold) and f.tag == fold.tag}
        count = sum(isinstance(f, Fold) and f.tag == fold.tag for f in flat)
        if set(pair) != {"laps", "cells"} or count != 2 or flat[pair["cells"]].n != fold.period:
            raise Meaningless("laps and cells do not pair")
        values = _sum(values, pair["laps"] + 1)
        flat[pair["cells"]] = moving
        del flat[pair["laps"]]
    return flat, values


def _sum(values: np.ndarray, axis: int) -> np.ndarray:
    """Of numbers, or of residues."""
    total = values.sum(axis)
    return total % np.uint64(PRIME) if values.dtype == np.uint64 else total


def agree(seen: Iterable[Cells], tolerance: float = 0.0) -> bool:
    """Whether all entries of the same cell are equal."""
    found = list(seen)
    numbers = np.concatenate([part.numbers for part in found])
    entries = np.concatenate([part.entries for part in found])
    span = int(numbers.max()) + 1
    if span > 4 * len(numbers) + 1024:
        numbers = np.unique(numbers, return_inverse=True)[1]
        span = int(numbers.max()) + 1
    cell = np.zeros(span, entries.dtype)
    cell[numbers] = entries
    if tolerance:
        both = np.nan_to_num(cell[numbers]), np.nan_to_num(entries)
        return bool(np.allclose(*both, rtol=0, atol=tolerance * max(1.0, np.abs(both).max())))
    same = cell[numbers] == entries
    return bool(np.all(same | ((entries != entries) & (cell[numbers] != cell[numbers]))))


def holds(fact: Fact, orbit: np.ndarray, tolerance: float = 0.0) -> bool:
    """Whether a fact is true of an orbit: `orbit[k]` is the array's value for T^k x."""
    if fact.shape != orbit.shape[1:]:
        return False
    try:
        return all(agree([cells(*block)], tolerance) for block in blocks(fact.axes, orbit))
    except Meaningless:
        return False


def broken_signals(
    facts: Sequence[tuple[int, Fact]], orbits: Sequence[np.ndarray], tolerance: float = 0.0
) -> list[tuple[int, ...]]:
    """Groups of facts that claim to show one signal, and do not.

    Args:
        facts: numbers of arrays, with their facts under one derivation.
        orbits: for each number the orbit of the array.
        tolerance: for arrays of rounded numbers.
    """
    signals: dict[tuple, list[tuple[int, Fact]]] = {}
    for number, fact in facts:
        signals.setdefault(fact.signal, []).append((number, fact))
    broken = []
    for group in signals.values():
        if len(group) < 2:
            continue
        seen: dict[tuple, list[tuple[int, Cells]]] = {}
        for number, fact in group:
            axes = [_as_one(factors) for factors in fact.axes]
            for place, block in enumerate(blocks(axes, orbits[number])):
                part = cells(*block)
                seen.setdefault((place, part.law), []).append((number, part))
        for parts in seen.values():
            if len(parts) > 1 and not agree([part for _, part in parts], tolerance):
                broken.append(tuple(number for number, _ in parts))
    return broken


def _as_one(factors: Sequence[Factor]) -> Sequence[Factor]:
    """An axis as the one window that gluing sees, where it is one."""
    try:
        return (merged(tuple(factors)),)
    except Refusal:
        return factors


def turns(grid: Sequence[int], shift: Sequence[int]) -> np.ndarray:
    """The shifts 0, shift, 2 shift, ... until they return, as numbers in the row-major list of all shifts."""
    places = [0]
    for k in itertools.count(1):
        place = [k * s % n for s, n in zip(shift, grid, strict=True)]
        number = int(np.ravel_multi_index(place, grid)) if grid else 0
        if number == 0:
            return np.array(places)
        places.append(number)
    raise AssertionError


def panned(
    scene: np.ndarray, axes: Sequence[int], sizes: Sequence[int], shift: Sequence[int], count: int
) -> np.ndarray:
    """Crops of a scene: entry k shows it moved by k shifts, so that content from outside enters.

    Args:
        scene: at least `count - 1` steps larger than the crops, along each axis.
        axes: the axes of the grid.
        sizes: of the crops along them.
        shift: one step for each.
        count: how many crops.
    """
    images = []
    for k in range(count):
        part = [slice(None)] * scene.ndim
        for axis, n, step in zip(axes, sizes, shift, strict=True):
            start = max(step, 0) * (count - 1) - k * step
            part[axis] = slice(start, start + n)
        images.append(scene[tuple(part)])
    return np.stack(images)


def is_trivial(fact: Fact) -> bool:
    """Whether the fact says nothing beyond the shape: an array that stays, without periods."""
    return all(
        isinstance(f, Still) and f.period == f.n for factors in fact.axes for f in factors
    ) or not size([f for factors in fact.axes for f in factors])
