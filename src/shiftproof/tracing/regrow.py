"""Regrowing: an equation of a traced program, evaluated on arrays that are longer than it was traced for.

A convolution that wraps around keeps the cells which one without padding loses, so everything behind it is longer.
The sizes that a trace wrote down follow along the axes where the program does not depend on them; elsewhere the value
is `Unfit`, and so is what is computed from it.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import CELLS, REDUCTIONS, WINDOWS
from shiftproof.tracing.trace import Equation, Literal, Program, apply

SIZELESS = (
    REDUCTIONS
    | WINDOWS
    | frozenset("conv_general_dilated dot_general pad rev sort transpose".split())
)
"""Primitives whose parameters say nothing of the sizes of the axes that are kept."""


@dataclasses.dataclass(frozen=True)
class Unfit:
    """In place of a value that cannot be computed at the new sizes.

    Attributes:
        reason: which equation is made for its size.
    """

    reason: str


Step = Callable[[Equation, Sequence[Any]], Sequence[Any]]
"""(equation, arrays of its operands) -> its results."""


def regrow(
    program: Program, eqn: Equation, operands: Sequence[Any], step: Step | None = None
) -> Sequence[Any]:
    """The results of an equation.

    Args:
        program: to which it belongs.
        eqn: the equation.
        operands: arrays, of other sizes than it was traced for, and literals; `Unfit` among them is handed on.
        step: what is done instead, if something is.
    """
    unfit = next((o for o in operands if isinstance(o, Unfit)), None)
    if unfit is None:
        try:
            if step is not None:
                return step(eqn, [o.value if isinstance(o, Literal) else o for o in operands])
            made = RULES[eqn.name](program, eqn, operands) if eqn.name in RULES else None
        except (TypeError, ValueError):  # what JAX says of shapes that do not fit
            made = None
        if made is not None:
            return made
        unfit = Unfit(f"{eqn.name} at {eqn.site} is made for as many cells as are left")
    return [unfit] * len(eqn.outputs)


class UnfitError(Exception):
    """An output cannot be computed at the new sizes; the text is the reason. Never met outside of a rewriting."""


def has_grown(program: Program, eqn: Equation, operands: Sequence[Any]) -> bool:
    """Whether an operand is not of the size that was traced."""
    return any(
        isinstance(value, Unfit) or np.shape(value) != program.avals[number].shape
        for number, value in zip(eqn.inputs, operands, strict=True)
        if not isinstance(number, Literal)
    )


def _sizeless(_: Program, eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
    return apply(eqn, operands)


def _cells(program: Program, eqn: Equation, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Cell by cell; an operand that repeats one cell along an axis is as long there as the others are."""
    makers = {output: e for e in program.equations for output in e.outputs}
    arrays = [o.value if isinstance(o, Literal) else o for o in operands]
    before = [_shape(program, o) for o in eqn.inputs]
    sizes = list(program.avals[eqn.outputs[0]].shape)
    for shape, array in zip(before, arrays, strict=True):
        for axis, size in enumerate(shape):
            if array.shape[axis] != size:
                sizes[axis] = array.shape[axis]
    fitted = []
    for number, shape, array in zip(eqn.inputs, before, arrays, strict=True):
        for axis, size in enumerate(shape):
            if size == 1 or array.shape[axis] == sizes[axis]:
                continue  # one cell is repeated by the primitive itself
            if not _repeats(program, makers, number, axis):
                return None
            longer = (*array.shape[:axis], sizes[axis], *array.shape[axis + 1 :])
            array = jnp.broadcast_to(array[(slice(None),) * axis + (slice(1),)], longer)
        fitted.append(array)
    return apply(eqn, fitted)


def _repeats(
    program: Program, makers: Mapping[int, Equation], number: int | Literal, axis: int
) -> bool:
    """Whether a value is one cell, again and again, along an axis."""
    if isinstance(number, Literal):
        return False  # a literal that is no scalar is a table
    eqn = makers.get(number)
    if eqn is None:
        return False
    if eqn.name in CELLS:
        return all(
            not _shape(program, o)
            or _shape(program, o)[axis] == 1
            or _repeats(program, makers, o, axis)
            for o in eqn.inputs
        )
    if eqn.name != "broadcast_in_dim":
        return False
    dims = tuple(eqn.params["broadcast_dimensions"])
    if axis not in dims:
        return True
    inner = dims.index(axis)
    return _shape(program, eqn.inputs[0])[inner] == 1 or _repeats(
        program, makers, eqn.inputs[0], inner
    )


def _shape(program: Program, operand: int | Literal) -> tuple[int, ...]:
    if isinstance(operand, Literal):
        return np.shape(operand.value)
    return program.avals[operand].shape


def _with(eqn: Equation, operands: Sequence[Any], **params: Any) -> Sequence[Any]:
    return apply(dataclasses.replace(eqn, params={**eqn.params, **params}), operands)


def _broadcast(program: Program, eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
    sizes = list(eqn.params["shape"])
    before = _shape(program, eqn.inputs[0])
    for axis, into in enumerate(eqn.params["broadcast_dimensions"]):
        if operands[0].shape[axis] != before[axis]:
            sizes[into] = operands[0].shape[axis]
    return _with(eqn, operands, shape=tuple(sizes))


def _reshape(program: Program, eqn: Equation, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Axes that are kept or merged are as long as what they are made of; one that is split may not have grown.

    Axes of size 1 may be put beside any, as `vmap` does.
    """
    before, after = _shape(program, eqn.inputs[0]), eqn.params["new_sizes"]
    now = operands[0].shape
    if 0 in before:
        return None
    sizes: list[int] = []
    end = 0
    while end < len(before) or len(sizes) < len(after):
        # the smallest next groups of axes with equally many cells
        start, begun = end, len(sizes)
        end += 1
        stop = begun + 1
        while math.prod(before[start:end]) != math.prod(after[begun:stop]):
            if math.prod(before[start:end]) < math.prod(after[begun:stop]):
                end += 1
            else:
                stop += 1
        grown = now[start:end] != before[start:end]
        made = list(after[begun:stop])
        if grown:
            longest = [axis for axis, size in enumerate(made) if size != 1]
            if len(made) > 1 and len(longest) != 1:
                return None
            made[longest[0] if longest else 0] = math.prod(now[start:end])
        sizes += made
    return _with(eqn, operands, new_sizes=tuple(sizes))


def _slice(program: Program, eqn: Equation, operands: Sequence[Any]) -> Sequence[Any] | None:
    """Whole axes, and pieces at either end that are put beside the value again, as wrap padding is written."""
    p, before = eqn.params, _shape(program, eqn.inputs[0])
    starts, limits = list(p["start_indices"]), list(p["limit_indices"])
    for axis, (old, new) in enumerate(zip(before, operands[0].shape, strict=True)):
        if old == new:
            continue
        whole = starts[axis] == 0 and limits[axis] == old
        users = [e for e in program.equations if eqn.outputs[0] in e.inputs]
        beside = users and all(
            e.name == "concatenate" and int(e.params["dimension"]) == axis for e in users
        )
        if not whole and (not beside or (starts[axis] and limits[axis] < old)):
            return None
        if limits[axis] == old:
            starts[axis] += new - old if starts[axis] else 0
            limits[axis] = new
    return _with(eqn, operands, start_indices=tuple(starts), limit_indices=tuple(limits))


RULES: Mapping[str, Callable[[Program, Equation, Sequence[Any]], Sequence[Any] | None]] = {
    **dict.fromkeys(CELLS, _cells),
    **dict.fromkeys(SIZELESS, _sizeless),
    "broadcast_in_dim": _broadcast,
    "concatenate": _sizeless,
    "reshape": _reshape,
    "squeeze": _sizeless,
    "slice": _slice,
}
"""By primitive, its results at other sizes; None where it is made for its own."""
