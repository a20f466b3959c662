"""The judge of the prover: every theorem about every array is compared with the arrays' values, under every shift."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import meaning
import numpy as np

from shiftproof_kernel import (
    Fact,
    Fold,
    Joined,
    Lost,
    Moving,
    Phase,
    Program,
    Scene,
    Still,
    Theorem,
    equivariant,
)
from shiftproof_kernel.program import Input, kind

Outcomes = Sequence[Theorem | Lost]
Moves = list[tuple[int, ...]]
"""By how much a node moves if what a selection picked moves by one cell along an axis, for each in turn."""


@dataclass(frozen=True)
class Violation:
    """A claim that the values contradict.

    Attributes:
        shift: the shift of the claim.
        numbers: the node, or the nodes that should show one signal.
        text: the claim, and those that it was derived from.
    """

    shift: tuple[int, ...]
    numbers: tuple[int, ...]
    text: str


@dataclass
class Tally:
    """What was judged.

    Attributes:
        claims: all claims.
        moving: claims that a value moves.
        repaired: claims that a value stays which depends on the image.
        signals: claims about a signal that was met before.
        lost: nodes of which nothing is claimed.
        wandering: nodes that move with what a selection picked.
        operations: operations of the nodes of which something is claimed.
        factors: kinds of factor in these claims.
        refusals: codes of the refusals.
    """

    claims: int = 0
    moving: int = 0
    repaired: int = 0
    signals: int = 0
    lost: int = 0
    wandering: int = 0
    operations: Counter = field(default_factory=Counter)
    factors: Counter = field(default_factory=Counter)
    refusals: Counter = field(default_factory=Counter)


def first_violation(
    program: Program,
    values: Mapping[int, np.ndarray],
    grid: Sequence[int],
    outcomes: Callable[[tuple[int, ...]], Outcomes],
    tally: Tally,
    *,
    tolerance: Callable[[int], float] = lambda number: 0.0,
) -> Violation | None:
    """The first claim that values contradict.

    Args:
        program: what was claimed about.
        values: for the nodes to be judged their values under every shift of the grid, in row-major order.
        grid: sizes of the grid.
        outcomes: what the kernel says under a shift.
        tally: counts what was judged.
        tolerance: for a node, how far apart equal numbers may be for rounding.
    """
    for shift in np.ndindex(*grid):
        orbit = meaning.turns(grid, shift)
        orbits = {number: value[orbit] for number, value in values.items()}
        found = violation(program, shift, outcomes(shift), orbits, tally, tolerance=tolerance)
        if found is not None:
            return found
    return None


def violation(
    program: Program,
    shift: tuple[int, ...],
    outcomes: Outcomes,
    orbits: Mapping[int, np.ndarray],
    tally: Tally,
    *,
    tolerance: Callable[[int], float] = lambda number: 0.0,
) -> Violation | None:
    """The first claim under one shift that the orbits of the nodes contradict."""
    moved, found = _depending(program), []
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Lost):
            tally.lost += 1
            tally.wandering += bool(outcome.along)
            if outcome.number == number:
                tally.refusals[outcome.refusal.code] += 1
            continue
        fact = outcome.fact
        _count(tally, program, number, fact, shift, depends=number in moved)
        if number not in orbits:
            continue
        found.append((number, fact))
        if not meaning.holds(fact, orbits[number], tolerance(number)):
            return Violation(shift, (number,), _told(program, outcomes, number))
    strays = stray(program, shift, outcomes, orbits)
    if strays:
        return Violation(shift, strays, f"no shift of what was picked explains the nodes {strays}")
    loose = max((tolerance(number) for number, _ in found), default=0.0)
    broken = meaning.broken_signals(found, orbits, loose)
    tally.signals += len(found) - len({fact.signal for _, fact in found})
    if broken:
        texts = [_told(program, outcomes, number) for number in broken[0]]
        return Violation(shift, broken[0], "one signal, different cells:\n" + "\n".join(texts))
    return None


def stray(
    program: Program,
    shift: tuple[int, ...],
    outcomes: Outcomes,
    orbits: Mapping[int, np.ndarray],
) -> tuple[int, ...]:
    """Nodes said to move with what one selection picked, where no shift of that, the same for all, explains them."""
    groups: dict[int, list[tuple[int, Moves]]] = {}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Lost) and outcome.along and number in orbits:
            axes = range(len(outcome.shape))
            along = [Theorem(program, shift, "torus", number, Fact(a)) for a in outcome.along]
            moves = [step for one in along if (step := equivariant(one, axes)) is not None]
            if len(moves) == len(along):
                groups.setdefault(outcome.number, []).append((number, moves))
    for selection, group in groups.items():
        node = program.nodes[selection]
        sizes = [node.shape[axis] for axis in node.op.axes]
        for turn in range(1, len(next(iter(orbits.values())))):
            if not any(_explains(cells, group, orbits, turn) for cells in np.ndindex(*sizes)):
                return tuple(number for number, _ in group)
    return ()


def _explains(
    cells: tuple[int, ...],
    group: Sequence[tuple[int, Moves]],
    orbits: Mapping[int, np.ndarray],
    turn: int,
) -> bool:
    for number, moves in group:
        total = [
            sum(w * m for w, m in zip(cells, along, strict=True))
            for along in zip(*moves, strict=True)
        ]
        rolled = np.roll(orbits[number][0], total, range(len(total)))
        if not np.array_equal(rolled, orbits[number][turn]):
            return False
    return True


def _depending(program: Program) -> set[int]:
    """The nodes that depend on an input."""
    reached: set[int] = set()
    for number, node in enumerate(program.nodes):
        if isinstance(node.op, Input) or reached.intersection(node.inputs):
            reached.add(number)
    return reached


def _count(
    tally: Tally, program: Program, number: int, fact: Fact, shift: Sequence[int], *, depends: bool
) -> None:
    factors = [factor for factors in fact.axes for factor in factors]
    tally.claims += 1
    moving = any(not isinstance(factor, Still) for factor in factors)
    repaired = depends and not moving and any(shift)
    tally.moving += moving
    tally.repaired += repaired
    if moving or repaired:
        tally.operations[kind(program.nodes[number].op)] += 1
        for factor in factors:
            tally.factors[_kind(factor)] += 1


def _kind(factor: Any) -> str:
    match factor:
        case Still(n, period):
            return "flat" if period == 1 else "periodic" if period < n else "still"
        case Moving(n, period, offset):
            part = "part of a period" if n < period else "period" if n == period else "periods"
            return f"moving, {part}{', offset' if offset else ''}"
        case Fold(part=part):
            return f"fold, {part}"
        case Joined():
            return "parts"
        case Phase(n, period):
            return f"phase, {'all' if n >= period else 'some'} frequencies"
        case Scene(n, low, high, _, step):
            part = "full" if high - low == n else "part" if high - low > abs(step) else "narrow"
            return f"scene, {part}{', backwards' if step < 0 else ''}"
    raise TypeError(factor)


def _told(program: Program, outcomes: Outcomes, number: int) -> str:
    node = program.nodes[number]
    lines = [f"node {number}: {node.op} -> {node.shape} {node.source}"]
    for label, at in [*((f"from {i}", i) for i in node.inputs), ("to", number)]:
        outcome = outcomes[at]
        told = outcome.fact if isinstance(outcome, Theorem) else f"lost: {outcome.refusal}"
        lines.append(f"    {label}: {told}")
    return "\n".join(lines)
