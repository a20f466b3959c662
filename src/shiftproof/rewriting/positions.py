"""Positions: values that do not depend on the image, vary along the grid, and meet what moves.

Learned and sin-cos tables, coordinates, masks, biases of relative positions. Where one is added to a moving value, or
multiplied with it, or chooses between it and a constant, the moving value takes its place; where it is concatenated to
one along the channels, zeros do.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.proving.analysis import Prover
from shiftproof.proving.building import is_plain
from shiftproof.proving.cells import Labels
from shiftproof.proving.periods import periods, rolls
from shiftproof.rewriting.changes import Change, moves, source_of
from shiftproof.tracing.regrow import Step
from shiftproof.tracing.rewrite import Place, places
from shiftproof.tracing.trace import Equation, Literal, Program
from shiftproof_kernel import Still, Theorem

MEETS = {"add": "added", "add_any": "added", "sub": "subtracted", "mul": "multiplied"}


class Tables:
    """Which values that do not depend on the image vary along which axes.

    Args:
        program: the traced model.
        prover: of its graph; the kernel says what does not vary, for any weights.
        known: arrays of the values that are known and meet others.
    """

    def __init__(self, program: Program, prover: Prover, known: Mapping[int, Any]) -> None:
        self.program, self.prover, self.known = program, prover, known
        self.still = prover.derive((0,) * len(prover.grid)).outcomes

    def vary(self, operand: int | Literal, labels: Labels) -> bool:
        """Whether a fixed operand varies along axes with which the image moves.

        A table of two axes that move alike, which is the same after a roll of both, is none: it depends on how far two
        places are apart.
        """
        axes = [axis for axis, label in enumerate(labels) if moves(label)]
        if isinstance(operand, Literal) or operand in self.program.from_images:
            return False
        shape = self.program.avals[operand].shape
        wide = [axis for axis in axes if axis < len(shape) and shape[axis] > 1]
        node = self.prover.graph.nodes.get(operand)
        if not wide or (node is None and operand not in self.known):
            return False
        if node is None:
            array = np.asarray(self.known[operand]) if is_plain(self.known[operand]) else None
            if array is None:
                return True
            lengths = periods(array)
            relative = any(
                len({labels[axis] for axis, step in enumerate(roll) if step}) == 1
                for roll in rolls(array)
            )
            return any(lengths[axis] > 1 for axis in wide) and not relative
        outcome = self.still[node]
        if not isinstance(outcome, Theorem):
            return True
        factors = [factor for axis in wide for factor in outcome.fact.axes[axis]]
        return any(isinstance(f, Still) and f.n > 1 and f.period > 1 for f in factors)


def find_positions(
    program: Program, labels: Mapping[int, Labels], tables: Tables
) -> Iterator[Change]:
    """All tables that meet a moving value at the top of a program.

    Args:
        program: the traced model.
        labels: of all values, from the geometry.
        tables: which fixed values vary.
    """
    moving = program.from_images
    for place, eqn in places(program):
        mine = labels[eqn.outputs[0]]
        if not any(map(moves, mine)) or eqn.outputs[0] not in moving:
            continue
        positions = [i for i, o in enumerate(eqn.inputs) if tables.vary(o, mine)]
        if not positions:
            continue
        found = _meeting(place, eqn, positions, moving)
        if found is not None:
            yield found


def _meeting(
    place: Place, eqn: Equation, positions: Sequence[int], moving: Set[int]
) -> Change | None:
    others = [i for i, o in enumerate(eqn.inputs) if isinstance(o, int) and o in moving]
    if eqn.name in MEETS and len(others) == 1:
        what = f"a value that varies along the grid, {MEETS[eqn.name]} here, was removed"
        return _change(place, eqn, what, _kept(others[0]))
    if eqn.name == "select_n" and positions == [0] and len(others) == 1:
        return _change(place, eqn, "a mask along the grid was removed", _kept(others[0]))
    if eqn.name == "concatenate":
        what = "values that vary along the grid, concatenated here, became zeros"
        return _change(place, eqn, what, _zeroed(positions))
    return None


def _change(place: Place, eqn: Equation, what: str, step: Step) -> Change:
    return Change("positions", place, eqn, source_of(eqn), what, "remove it, and train again", step)


def _kept(position: int) -> Step:
    def step(eqn: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        shape = jnp.broadcast_shapes(*(jnp.shape(a) for a in arrays))
        return [jnp.broadcast_to(arrays[position], shape)]

    return step


def _zeroed(positions: Sequence[int]) -> Step:
    def step(eqn: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        parts = [jnp.zeros_like(a) if i in positions else a for i, a in enumerate(arrays)]
        return [jnp.concatenate(parts, eqn.params["dimension"])]

    return step
