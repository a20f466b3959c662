"""Balls under extrema, and under what depends on order."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.at_hand import in_numpy, run, xp
from shiftproof.algebras.interval.algebraic import multiply
from shiftproof.algebras.interval.ball import (
    Ball,
    Call,
    NoEnclosure,
    enlarged,
    is_complex,
    is_inexact,
    is_point,
    least_unit,
    machine_ball,
    no_radius,
    path,
)
from shiftproof.algebras.interval.functions import greater, lesser, machine
from shiftproof.tracing.primitives import plain

# --- extrema ---


def _window_extremum(call: Call) -> Ball:
    """Radii by the maximum over the same windows; where there is none, the neutral element."""
    (operand,), params = call.operands, call.eqn.params
    (mid,) = call.bind(operand.mid)
    if is_point(operand):
        return Ball(mid, no_radius(mid.shape), operand.unit, operand.units)
    if in_numpy(operand.radii):
        found = run("reduce_window_max", [np.asarray(operand.radii)[None]], params)
        if found is not None:
            return Ball(mid, np.maximum(found[0], 0.0), operand.unit, operand.units)
    rad = lax.reduce_window(
        operand.radii,
        -math.inf,
        lax.max,
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params["base_dilation"],
        params["window_dilation"],
    )
    return Ball(mid, xp.maximum(rad, 0.0), operand.unit, operand.units)


def _reduced_extremum(call: Call) -> Ball:
    (operand,) = call.operands
    (mid,) = call.bind(operand.mid)
    if is_point(operand):
        return Ball(mid, no_radius(mid.shape), operand.unit, operand.units)
    rad = xp.max(operand.radii, tuple(call.eqn.params["axes"]), initial=0.0)
    return Ball(mid, rad, operand.unit, operand.units)


def _scattered_extremum(call: Call) -> Ball:
    into, where, added = call.operands
    kept = {k: v for k, v in call.eqn.params.items() if not k.startswith("update_")}
    function = lax.scatter_max if "max" in call.name else lax.scatter_min
    mid = function(into.mid, where.mid, added.mid, **kept)
    rad = lax.scatter_max(into.radii, where.mid, added.radii, **kept)
    certain = xp.all(where.radius == 0)
    unit = xp.where(certain, least_unit([into, added]), 0.0)
    return Ball(mid, xp.where(certain, rad, math.inf), unit, path(call.operands))


def _reduced_product(call: Call) -> Ball:
    """Halves with halves."""
    (operand,) = call.operands
    for axis in sorted(call.eqn.params["axes"], reverse=True):
        operand = _product_along(operand, axis)
    return operand


def _product_along(operand: Ball, axis: int) -> Ball:
    rad = operand.radii
    operand = Ball(
        xp.moveaxis(operand.mid, axis, 0), xp.moveaxis(rad, axis, 0), operand.unit, operand.units
    )
    if not operand.shape[0]:
        raise NoEnclosure("it has no factors")
    while operand.shape[0] > 1:
        half = operand.shape[0] // 2
        pairs = multiply(_rows(operand, 0, half), _rows(operand, half, 2 * half))
        rest = _rows(operand, 2 * half, operand.shape[0])
        operand = Ball(
            xp.concatenate([pairs.mid, rest.mid]),
            xp.concatenate([pairs.radii, rest.radii]),
            xp.minimum(pairs.unit, rest.unit),
            pairs.units,
        )
    return Ball(operand.mid[0], operand.rad[0], operand.unit, operand.units)


def _rows(operand: Ball, start: int, stop: int) -> Ball:
    return Ball(operand.mid[start:stop], operand.rad[start:stop], operand.unit, operand.units)


def _logic(call: Call) -> Ball:
    """and, or: certain as well where one operand decides."""
    if call.types[0].dtype != np.bool_:
        return machine(call)[0]
    decides = "or" in call.name
    certain = [o.radii == 0 for o in call.operands]
    known = [xp.where(c, o.mid, not decides) for c, o in zip(certain, call.operands, strict=True)]
    (mid,) = call.bind(*known)
    if call.name in ("and", "or"):
        all_certain = functools.reduce(xp.logical_and, certain)
    else:
        all_certain = xp.all(certain[0], tuple(call.eqn.params["axes"]))
    return machine_ball(mid, xp.where(all_certain | (mid == decides), 0.0, math.inf), call.operands)


LOGIC = frozenset(["and", "or", "reduce_and", "reduce_or"])
"""Of truths, where one may decide; of integers they are those of the machine."""

EXTREMA: Mapping[str, Callable[[Call], Ball]] = {
    "max": lambda call: greater(*call.operands),
    "min": lambda call: lesser(*call.operands),
    **dict.fromkeys(("reduce_max", "reduce_min"), _reduced_extremum),
    **dict.fromkeys(("reduce_window_max", "reduce_window_min"), _window_extremum),
    **dict.fromkeys(
        ("scatter-max", "scatter-min", "scatter_max", "scatter_min"), _scattered_extremum
    ),
    "reduce_prod": _reduced_product,
    **dict.fromkeys(LOGIC, _logic),
}


def extremum(call: Call) -> list[Ball]:
    """Extrema, products, truths; not those of complex numbers."""
    if is_complex(call.types[0].dtype) and call.name != "reduce_prod":
        raise NoEnclosure("complex numbers have no order")
    rule = EXTREMA.get(call.name)
    return machine(call) if rule is None else [rule(call)]


# --- order ---


def _worst(operand: Ball, axis: int) -> Any:
    """The largest radius along an axis."""
    return xp.max(operand.radii, axis, keepdims=True, initial=0.0)


def _clear(values: Any, worst: Any, axis: int) -> Any:
    """Whether all neighbours, of values in their order, are farther apart than two radii; or all radii are 0."""
    gaps = xp.abs(xp.diff(values, axis=axis))
    gaps = xp.min(gaps, axis, keepdims=True, initial=math.inf)
    return (gaps > enlarged(2 * worst)) | (worst == 0)


def _arg_extremum(call: Call) -> Ball:
    """Certain where the winner is ahead by more than two radii; ties of points are decided by the primitive."""
    (operand,), (axis,) = call.operands, call.eqn.params["axes"]
    (mid,) = call.bind(operand.mid)
    worst = xp.squeeze(_worst(operand, axis), axis)
    values = operand.mid if call.name == "argmax" else -operand.mid
    places = lax.broadcasted_iota(mid.dtype, values.shape, axis)
    chosen = places == xp.expand_dims(mid, axis)
    best = xp.max(xp.where(chosen, values, -math.inf), axis)
    others = xp.max(xp.where(chosen, -math.inf, values), axis)
    certain = (best - others > enlarged(2 * worst)) | (worst == 0)
    return machine_ball(mid, xp.where(certain, 0.0, math.inf), call.operands)


def _sort(call: Call) -> list[Ball]:
    """Sorted numbers change at most as much as the numbers; what is sorted with them where their order is clear."""
    keys, axis = call.eqn.params["num_keys"], call.eqn.params["dimension"]
    first, *others = call.operands
    if keys != 1 or not is_inexact(call.types[0].dtype):
        keyed = call.operands[:keys]
        rads = [o.radii for o in call.operands]
        made = call.bind(*(o.mid for o in call.operands), *rads)
        sure = functools.reduce(xp.logical_and, (_worst(o, axis) == 0 for o in keyed))
        count = len(call.operands)
        return [
            _ordered(o, m, r, sure)
            for o, m, r in zip(call.operands, made[:count], made[count:], strict=True)
        ]
    worst = _worst(first, axis)
    if not others:
        (mid,) = call.bind(first.mid)
        return [Ball(mid, xp.broadcast_to(worst, mid.shape), first.unit, first.units)]
    count = len(call.operands)
    rads = [o.radii for o in call.operands]
    made = call.bind(*(o.mid for o in call.operands), *rads)
    sure = _clear(made[0], worst, axis)
    best = Ball(made[0], xp.broadcast_to(worst, made[0].shape), first.unit, first.units)
    rest = zip(others, made[1:count], made[count + 1 :], strict=True)
    return [best, *(_ordered(o, m, r, sure) for o, m, r in rest)]


def _ordered(operand: Ball, mid: Any, rad: Any, sure: Any) -> Ball:
    if not plain(mid.dtype):
        raise NoEnclosure("it sorts random keys")
    unit = xp.where(xp.all(sure), operand.unit, 0.0)
    return Ball(mid, xp.where(sure, rad, math.inf), unit, operand.units)


def _top(call: Call) -> list[Ball]:
    """The largest numbers, and their places where these are clear."""
    (operand,), count = call.operands, call.eqn.params["k"]
    axis = call.eqn.params.get("axis", -1) % len(operand.shape)
    values, places = call.bind(operand.mid)
    worst = _worst(operand, axis)
    one_more = min(count + 1, operand.shape[axis])
    ordered = xp.flip(xp.sort(operand.mid, axis), axis)
    sure = _clear(ordered[(slice(None),) * axis + (slice(one_more),)], worst, axis)
    rad = xp.broadcast_to(worst, values.shape)
    where = xp.broadcast_to(xp.where(sure, 0.0, math.inf), places.shape)
    return [
        Ball(values, rad, operand.unit, operand.units),
        machine_ball(places, where, call.operands),
    ]


def _running(call: Call) -> Ball:
    (operand,), axis = call.operands, call.eqn.params["axis"]
    (mid,) = call.bind(operand.mid)
    rad = lax.cummax(operand.radii, axis, reverse=call.eqn.params["reverse"])
    return Ball(mid, rad, operand.unit, operand.units)


def _running_product(call: Call) -> Ball:
    (operand,), axis = call.operands, call.eqn.params["axis"]
    rows = [jnp.moveaxis(jnp.asarray(x), axis, 0) for x in (operand.mid, operand.radii)]
    units = [jnp.full(operand.shape[axis], x) for x in (operand.unit, operand.units)]
    product = jax.vmap(multiply)
    found = lax.associative_scan(product, Ball(*rows, *units), reverse=call.eqn.params["reverse"])
    mid, rad = (xp.moveaxis(x, 0, axis) for x in (found.mid, found.radii))
    return Ball(mid, rad, xp.min(found.unit, initial=1.0), xp.max(found.units, initial=0.0))


def ordered(call: Call) -> list[Ball]:
    """What depends on the order along an axis."""
    if any(is_complex(aval.dtype) for aval in call.types):
        raise NoEnclosure("complex numbers have no order")
    if call.name in ("argmax", "argmin") and is_inexact(call.types[0].dtype):
        return [_arg_extremum(call)]
    if call.name == "sort":
        return _sort(call)
    if call.name == "top_k" and is_inexact(call.types[0].dtype):
        return _top(call)
    if call.name in ("cummax", "cummin") and is_inexact(call.types[0].dtype):
        return [_running(call)]
    if call.name == "cumprod" and is_inexact(call.types[0].dtype):
        return [_running_product(call)]
    return machine(call)
