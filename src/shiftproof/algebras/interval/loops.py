"""Loops and branches: the same loops of JAX, carrying balls."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.interval.ball import Ball, Call, NoEnclosure, wide
from shiftproof.tracing.primitives import plain
from shiftproof.tracing.trace import Program, open_body, scan_counts

Run = Callable[[Program, Sequence[Ball]], list[Ball]]
"""A body on some balls."""


def _whole(ball: Ball) -> Ball:
    """The same with arrays of fixed types in all places, as loops want them."""
    mid = ball.mid
    if plain(mid.dtype):
        mid = lax.convert_element_type(jnp.asarray(mid), wide(mid.dtype))
    rad, unit, units = (
        lax.convert_element_type(jnp.asarray(x), np.dtype(np.float64))
        for x in (ball.radii, ball.unit, ball.units)
    )
    return Ball(mid, rad, unit, units)


def scan(run: Run, call: Call) -> list[Ball]:
    """Slices have the unit of the whole; what is stacked has the least of all rounds."""
    constants, carries = scan_counts(call.eqn)
    body = open_body(call.eqn.params["jaxpr"])
    fixed, carried = call.operands[:constants], call.operands[constants : constants + carries]
    pieces = [_whole(o) for o in call.operands[constants + carries :]]

    def one(carry: Any, rows: Any) -> Any:
        slices = [Ball(m, r, p.unit, p.units) for (m, r), p in zip(rows, pieces, strict=True)]
        made = [_whole(o) for o in run(body, [*fixed, *carry, *slices])]
        return made[:carries], made[carries:]

    ends, stacks = lax.scan(
        one,
        [_whole(o) for o in carried],
        [(p.mid, p.rad) for p in pieces],
        int(call.eqn.params["length"]),
        reverse=bool(call.eqn.params["reverse"]),
    )
    rows = [
        Ball(s.mid, s.rad, jnp.min(s.unit, initial=2.0**400), jnp.max(s.units, initial=0.0))
        for s in stacks
    ]
    return [*ends, *rows]


def while_(run: Run, call: Call) -> list[Ball]:
    """As long as its test is certainly true; if it is ever uncertain, nothing is known."""
    params = call.eqn.params
    tested, used = params["cond_nconsts"], params["body_nconsts"]
    test, body = open_body(params["cond_jaxpr"]), open_body(params["body_jaxpr"])
    state = [_whole(o) for o in call.operands[tested + used :]]

    def going(carry: Sequence[Ball]) -> Ball:
        (made,) = run(test, [*call.operands[:tested], *carry])
        return made

    def goes(carry: Sequence[Ball]) -> Any:
        found = going(carry)
        return jnp.all(found.mid & (found.rad == 0))

    def one(carry: Sequence[Ball]) -> list[Ball]:
        return [_whole(o) for o in run(body, [*call.operands[tested : tested + used], *carry])]

    state = lax.while_loop(goes, one, state)
    last = going(state)
    return [_if(jnp.all(last.rad == 0), o, last.units) for o in state]


def cond(run: Run, call: Call) -> list[Ball]:
    """The branch that is certainly chosen."""
    bodies = [open_body(branch) for branch in call.eqn.params["branches"]]
    choice, *operands = call.operands
    branches = [lambda given, body=body: [_whole(o) for o in run(body, given)] for body in bodies]
    made = lax.switch(choice.mid.astype(np.int32), branches, [_whole(o) for o in operands])
    return [_if(jnp.all(choice.rad == 0), o, choice.units) for o in made]


def _if(certain: Any, ball: Ball, units: Any) -> Ball:
    """The ball, if that is certain."""
    if not plain(ball.mid.dtype):
        raise NoEnclosure("it carries random keys")
    rad = jnp.where(certain, ball.rad, math.inf)
    unit = jnp.where(certain, ball.unit, 0.0)
    return Ball(ball.mid, rad, unit, jnp.maximum(ball.units, units))


LOOPS = {"scan": scan, "while": while_, "cond": cond}
