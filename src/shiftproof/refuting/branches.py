"""Residual branches, and the weights that silence them.

    program -> which weights, if they are 0, make a value 0 -> sums x + F(x) -> the weights that make F(x) 0

A claim about all weights is refuted by one choice of them. Where most residual branches are 0, a network is as shallow
as it can be, and its enclosures are narrow. Nothing rests on this being right: any weights may be tried.
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import Kind, entry_of
from shiftproof.tracing.trace import Equation, Literal, Program, apply

ALIVE = 2
"""Branches that stay, of the first and of the last: often the first sees the border, and the last the token that is
read.
"""

Silencers = frozenset[int] | None
"""Positions of weights which, if they are 0, make a value 0; None where none are known."""


def silent_weights(program: Program, replaceable: Sequence[bool]) -> frozenset[int]:
    """Positions of the weights that silence most residual branches; none where there are few.

    Args:
        program: the traced model.
        replaceable: for each weight, whether it is a parameter that any value may take.
    """
    branches = _branches(program, replaceable)
    return frozenset().union(*branches[ALIVE:-ALIVE])


def _branches(program: Program, replaceable: Sequence[bool]) -> list[frozenset[int]]:
    """For every residual sum, in order, the weights that silence its deeper operand and do not touch the other."""
    given = dict.fromkeys((program.images, *program.constants))
    silencers: dict[int, Silencers] = given | {
        number: frozenset([position]) if replaceable[position] else None
        for position, number in enumerate(program.weights)
    }
    used: dict[int, frozenset[int]] = dict.fromkeys(given, frozenset()) | {
        number: frozenset([position]) for position, number in enumerate(program.weights)
    }
    found = []
    for eqn in program.equations:
        numbers = [o for o in eqn.inputs if isinstance(o, int)]
        upstream = frozenset().union(*(used[number] for number in numbers))
        used.update(dict.fromkeys(eqn.outputs, upstream))
        silencers.update(dict.fromkeys(eqn.outputs, _silencers(eqn, silencers)))
        if eqn.name in ("add", "add_any") and program.from_images.issuperset(eqn.inputs):
            first, second = numbers
            for branch, other in sorted(
                ((first, second), (second, first)), key=lambda pair: -len(used[pair[0]])
            ):
                silent = silencers[branch]
                if silent and not silent & used[other]:
                    found.append(silent)
                    break
    return found


def _silencers(eqn: Equation, known: Mapping[int, Silencers]) -> Silencers:
    """Of the results of an equation, from those of its operands, by its class."""
    given = [None if isinstance(o, Literal) else known[o] for o in eqn.inputs]
    entry = entry_of(eqn.name, eqn.params)
    match None if entry is None else entry.kind:
        case Kind.BILINEAR:
            # 0 where a factor is: few weights, and near, as they are in a kernel, which comes last
            return min((one for one in reversed(given) if one is not None), key=len, default=None)
        case Kind.LINEAR | Kind.MOVES | Kind.EXTREMUM:
            return _all(eqn, given)
        case Kind.POINTWISE if given[0] is not None and len(given) == 1:
            (at_zero,) = apply(eqn, [jnp.zeros((), float)])
            return given[0] if at_zero == 0 else None
    return None


def _all(eqn: Equation, given: Sequence[Silencers]) -> Silencers:
    """A sum, or what is put side by side, is 0 where all of it is."""
    parts = [
        frozenset() if isinstance(o, Literal) and not np.any(o.value) else one
        for o, one in zip(eqn.inputs, given, strict=True)
    ]
    if any(part is None for part in parts):
        return None
    return frozenset().union(*(part for part in parts if part is not None))
