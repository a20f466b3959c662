"""Loops and branches in the field: round by round, so that counters stay known."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.arithmetic import Size
from shiftproof.algebras.at_hand import xp
from shiftproof.algebras.field.functions import choose
from shiftproof.algebras.field.values import (
    Call,
    Field,
    Known,
    NotHere,
    Operand,
    Value,
    check_finite,
    largest,
    part_of,
)
from shiftproof.tracing.primitives import is_complex, type_of
from shiftproof.tracing.trace import Literal, Program, open_body, scan_counts

MOST_UNROLLED = 2000
"""Equations that an unrolled loop may come to."""


def _run_body(field: Field, body: Program, inputs: Sequence[Operand]) -> list[Operand]:
    start = dict(zip(body.weights, inputs, strict=True))
    start |= {number: Known(array) for number, array in body.constants.items()}
    values = field.run(body, start)
    return [Known(o.value) if isinstance(o, Literal) else values[o] for o in body.outputs]


def scan(field: Field, call: Call) -> list[Operand]:
    """Round by round, so that counters stay known; a long one as a loop."""
    constants, carries = scan_counts(call.eqn)
    body, length = open_body(call.eqn.params["jaxpr"]), int(call.eqn.params["length"])
    if length * len(body.equations) > MOST_UNROLLED:
        return _long_scan(field, call, body, length)
    carry = list(call.operands[constants : constants + carries])
    order = range(length)[::-1] if call.eqn.params["reverse"] else range(length)
    stacks: list[list[Operand]] = []
    for i in order:
        slices = [_slice_of(o, i) for o in call.operands[constants + carries :]]
        made = _run_body(field, body, [*call.operands[:constants], *carry, *slices])
        carry = made[:carries]
        stacks.append(made[carries:])
    if call.eqn.params["reverse"]:
        stacks.reverse()
    avals = call.results[carries:]
    return [*carry, *(_stacked(field, [s[i] for s in stacks], a) for i, a in enumerate(avals))]


def _slice_of(operand: Operand, i: int) -> Operand:
    if isinstance(operand, Known):
        return dataclasses.replace(operand, array=operand.array[i])
    codes = None if operand.special is None else operand.special[i]
    parts = tuple(part[:, i] for part in operand.parts)
    return dataclasses.replace(operand, parts=parts, special=codes, members=None)


def _stacked(field: Field, slices: Sequence[Operand], aval: Any) -> Operand:
    if not slices:
        return Known(np.zeros(aval.shape, aval.dtype))
    known = [o for o in slices if isinstance(o, Known)]
    if len(known) == len(slices):
        stack = np.stack([np.asarray(o.array) for o in known])
        return Known(stack, any(o.weighted for o in known))
    values = [field.value(o) for o in slices]
    codes = None
    if any(v.special is not None for v in values):
        codes = np.stack(
            [np.zeros(v.shape, np.int8) if v.special is None else v.special for v in values]
        )
    count = max(len(v.parts) for v in values)
    parts = tuple(xp.stack([part_of(v, i) for v in values], axis=1) for i in range(count))
    return Value(parts, largest(values), codes)


def _long_scan(field: Field, call: Call, body: Program, length: int) -> list[Operand]:
    """One body for all rounds: nothing that it carries is known, and degrees grow from round to round.

    The size of what the body gives is a convex function of that of what it is given, all carries alike. So if it grows
    by no more than its gain in the first round where carries are as large as that many gains make them, it does so in
    every round.
    """
    constants, carries = scan_counts(call.eqn)
    values = [dataclasses.replace(field.value(o), members=None) for o in call.operands]
    check_finite(*values)
    fixed, carried, slices = (
        values[:constants],
        values[constants : constants + carries],
        values[constants + carries :],
    )
    made: list[Value] = []
    outside, before = field.undefined, dataclasses.replace(field.tally)

    def one(size: Size, carry: Any, piece: Any) -> Any:
        field.tally, field.undefined = dataclasses.replace(before), []
        inputs = [
            *fixed,
            *(Value(p, size) for p in carry),
            *(dataclasses.replace(v, parts=p) for v, p in zip(slices, piece, strict=True)),
        ]
        try:
            given = [field.value(o) for o in _run_body(field, body, inputs)]
        finally:
            undefined, field.undefined = jnp.asarray([False, *field.undefined]), outside
        found = [dataclasses.replace(v, members=None) for v in given]
        check_finite(*found)
        made[:] = found
        parts = [
            tuple(jnp.asarray(part_of(v, i)) for i in range(2 if is_complex(a) else 1))
            for v, a in zip(found, _body_avals(body), strict=True)
        ]
        return parts[:carries], (parts[carries:], jnp.any(undefined))

    start = [tuple(jnp.asarray(p) for p in v.parts) for v in carried]
    pieces = [tuple(jnp.moveaxis(jnp.asarray(p), 1, 0) for p in v.parts) for v in slices]
    size = largest([*carried, Value((), Size(0))])
    jax.eval_shape(functools.partial(one, size), start, [tuple(x[0] for x in p) for p in pieces])
    first = largest([Value((), size), *made[:carries]])
    last = size.grown(first, length)
    carry, (stacks, undefined) = lax.scan(
        functools.partial(one, last),
        start,
        pieces,
        length,
        reverse=bool(call.eqn.params["reverse"]),
    )
    if not largest([Value((), last), *made[:carries]]).within(size.grown(first, length + 1)):
        raise NotHere("its numbers grow too fast from round to round")
    field.undefined.append(jnp.any(undefined))
    field.tally.lookups = before.lookups + length * (field.tally.lookups - before.lookups)
    field.tally.joined = before.joined + length * (field.tally.joined - before.joined)
    ends = [dataclasses.replace(m, parts=tuple(p)) for m, p in zip(made, carry, strict=False)]
    rows = [
        dataclasses.replace(m, parts=tuple(jnp.moveaxis(x, 0, 1) for x in p))
        for m, p in zip(made[carries:], stacks, strict=True)
    ]
    return [*ends, *rows]


def _body_avals(body: Program) -> list[Any]:
    return [type_of(o.value) if isinstance(o, Literal) else body.avals[o] for o in body.outputs]


def while_(field: Field, call: Call) -> list[Operand]:
    """As long as its test is known, as that of a counter is."""
    params = call.eqn.params
    tested, used = params["cond_nconsts"], params["body_nconsts"]
    test, body = open_body(params["cond_jaxpr"]), open_body(params["body_jaxpr"])
    state = list(call.operands[tested + used :])
    for _ in range(1 + MOST_UNROLLED // max(1, len(body.equations))):
        (going,) = _run_body(field, test, [*call.operands[:tested], *state])
        if not isinstance(going, Known):
            raise NotHere("the number of its rounds depends on the image, or on free weights")
        if not bool(np.asarray(going.array)):
            return state
        state = _run_body(field, body, [*call.operands[tested : tested + used], *state])
    raise NotHere("it has too many rounds")


def cond(field: Field, call: Call) -> list[Operand]:
    """The branch, where the choice is known; else any function of the choice and of what all branches give."""
    bodies = [open_body(branch) for branch in call.eqn.params["branches"]]
    choice, *operands = call.operands
    if isinstance(choice, Known):
        number = min(max(int(np.asarray(choice.array)), 0), len(bodies) - 1)
        return _run_body(field, bodies[number], operands)
    made = [_run_body(field, body, operands) for body in bodies]
    results = []
    for i, aval in enumerate(call.results):
        values = [field.value(outputs[i]) for outputs in made]
        check_finite(*values)
        results.append(choose(field, choice, values, aval, truth=False))
    return results
