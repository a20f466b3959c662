"""Balls under functions cell by cell, extrema, and what depends on order."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

import shiftproof.algebras.interval.ball as margins
from shiftproof.algebras.at_hand import like, xp
from shiftproof.algebras.interval.algebraic import divide, multiply, power
from shiftproof.algebras.interval.ball import (
    Ball,
    Call,
    NoEnclosure,
    embed,
    ends,
    enlarged,
    hull,
    is_complex,
    is_inexact,
    is_point,
    is_zeros,
    least_unit,
    machine_ball,
    no_radius,
    path,
    rounding,
    separate,
    settle,
    wide,
)
from shiftproof.tracing.primitives import SIGNED_ZEROS, TABLE, Form, plain

# --- machine integers, truths, random keys ---

RUN_PYTHON = frozenset(
    """
    custom_partitioning debug_callback infeed io_callback outfeed pallas_call pure_callback
    """.split()
)
"""Primitives that run code of the user's; not run on numbers of ours."""


def machine(call: Call) -> list[Ball]:
    """The primitive itself, on numbers of the types it was traced in, where all operands are exactly such numbers.

    Raises:
        NoEnclosure: it gives real numbers, or runs code.
    """
    if call.name in RUN_PYTHON or any(is_inexact(aval.dtype) for aval in call.results):
        raise NoEnclosure("it has no enclosure")
    if call.name in SIGNED_ZEROS and any(is_inexact(aval.dtype) for aval in call.types):
        raise NoEnclosure("it tells -0.0 from 0.0")
    pairs = [_stored(o, aval) for o, aval in zip(call.operands, call.types, strict=True)]
    results = call.bind(*(array for array, _ in pairs))
    rads = [rad for _, rad in pairs]
    if all(is_zeros(rad) for rad in rads):
        return [Ball(r, no_radius(r.shape), 1.0, path(call.operands)) for r in results]
    if not all(plain(r.dtype) for r in results):
        raise NoEnclosure("it makes random keys of what may not be known")
    return [machine_ball(r, _spread(call, rads, r.shape), call.operands) for r in results]


def _stored(operand: Ball, aval: Any) -> tuple[Any, Any]:
    """The numbers in the type that was traced, and 0 or infinity, as they are exactly these or may not be."""
    if not is_inexact(aval.dtype):
        return operand.mid, operand.rad
    stored = operand.mid.astype(aval.dtype)
    same = (stored.astype(wide(aval.dtype)) == operand.mid) & (operand.radius == 0)
    return stored, xp.where(same, 0.0, math.inf)


def _spread(call: Call, rads: Sequence[Any], shape: Sequence[int]) -> Any:
    """Infinity in the cells of a result that depend on cells with that radius."""
    form = TABLE[call.name].form if call.name in TABLE else Form.OTHER
    if form is Form.CELLS:
        return xp.broadcast_to(functools.reduce(xp.maximum, rads), shape)
    if form is Form.REDUCTION:
        return xp.max(rads[0], tuple(call.eqn.params["axes"]), initial=0.0)
    worst = functools.reduce(xp.maximum, (xp.max(rad, initial=0.0) for rad in rads))
    return xp.broadcast_to(worst, shape)


# --- functions with a stated margin ---

MARGIN = 2.0**-40
"""How far the computed value of an elementary function is from the true one, relative to it; tests measure that."""

FLOOR = 2.0**-1000
"""The same, absolute, where numbers are too small for a relative margin."""

NEAR_ZERO = 2.0**-46
"""The same for functions of which small values are differences of large ones."""

FLOORS: Mapping[str, float] = dict.fromkeys("acos acosh log log2 tan".split(), NEAR_ZERO)
"""Of monotone functions that are not accurate near their zeros."""

COARSE: Mapping[str, float] = dict.fromkeys("cosh erfc exp2 sinh".split(), 2.0**-34)
"""Relative margins of functions that err by a multiple of their operand or its square, as exp(x log 2) does."""

MONOTONE = frozenset(
    """
    acos acosh asin asinh atan atanh cbrt erf erfc exp exp2 expm1 log log1p log2 logistic rsqrt sinh sqrt tanh
    """.split()
)
"""Real functions that rise or fall all over their domain, outside of which they give NaN or infinity."""


def monotone(function: Callable[[Any], Any], operand: Ball, name: str) -> Ball:
    """A function that rises or falls: at both ends and in the middle."""
    margin, floor = COARSE.get(name, MARGIN), FLOOR + FLOORS.get(name, 0.0)
    if is_point(operand):
        (mid,) = like([operand.mid], [function(operand.mid)])
        return settle(mid, margin * xp.abs(mid) + floor, 0.0, math.inf)
    low, high = ends(operand)
    ends_and_middle = xp.stack([low, operand.mid, high])
    low, mid, high = like([ends_and_middle], [function(ends_and_middle)])[0]
    reach = xp.maximum(xp.abs(high - mid), xp.abs(mid - low))
    sizes = xp.maximum(xp.maximum(xp.abs(low), xp.abs(high)), xp.abs(mid))
    nan = 0.0 * (low + mid + high)  # which a maximum may lose, and a sum does not
    return settle(mid, enlarged(reach + 2 * margin * sizes + 2 * floor) + nan, 0.0, math.inf)


def _bound(call: Call) -> Callable[[Any], Any]:
    return lambda array: call.bind(array)[0]


def _monotone(call: Call) -> Ball:
    _refuse_complex(call)
    return monotone(_bound(call), call.operands[0], call.name)


def _cosh(call: Call) -> Ball:
    """It rises with the magnitude."""
    _refuse_complex(call)
    return monotone(_bound(call), magnitude(call.operands[0]), call.name)


def _refuse_complex(call: Call) -> None:
    if any(is_complex(aval.dtype) for aval in call.types):
        raise NoEnclosure("a function of complex numbers has no enclosure")


FARTHEST = 2.0**30
"""Up to where trigonometric functions are trusted."""


def _wave(call: Call) -> Ball:
    """Sine and cosine change at most as much as the angle."""
    (operand,) = call.operands
    _refuse_complex(call)
    (mid,) = call.bind(operand.mid)
    rad = enlarged(operand.radius + MARGIN * xp.abs(mid) + NEAR_ZERO)
    near = xp.abs(operand.mid) < FARTHEST
    return settle(mid, xp.where(near, rad, math.inf), 0.0, math.inf)


def _tan(call: Call) -> Ball:
    """Where no pole is near; its slope is 1 / cos^2."""
    (operand,) = call.operands
    _refuse_complex(call)
    (mid,) = call.bind(operand.mid)
    cosine = (
        xp.abs(*like([operand.mid], [jnp.cos(operand.mid)])) - enlarged(operand.radius) - NEAR_ZERO
    )
    # with a cosine of at least 2^-10, the sine of what is left out of its argument is within the margin
    usable = (cosine > 2.0**-10) & (xp.abs(operand.mid) < FARTHEST)
    slope = 1.0 / xp.where(usable, cosine * cosine, 1.0)
    rad = enlarged(slope * operand.radius + MARGIN * xp.abs(mid) + NEAR_ZERO)
    return settle(mid, xp.where(usable, rad, math.inf), 0.0, math.inf)


def _atan2(call: Call) -> Ball:
    """Away from the origin and from where the angle jumps; its slope is 1 / distance."""
    y, x = call.operands
    (mid,) = call.bind(y.mid, x.mid)
    distance = xp.maximum(xp.abs(x.mid), xp.abs(y.mid))
    radii = enlarged(x.radius + y.radius)
    usable = (x.mid > radii) | (xp.abs(y.mid) > radii)
    usable &= (distance > 2.0**-400) & (distance < 2.0**400) & (distance > 2 * radii)
    # the ball stays at half the distance or farther from the origin
    rad = enlarged(2 * radii / xp.where(usable, distance, 1.0) + MARGIN * xp.abs(mid) + NEAR_ZERO)
    return settle(mid, xp.where(usable, rad, math.inf), 0.0, math.inf)


def _pow(call: Call) -> Ball:
    """exp(e log |x|) with the sign of x^e; of negative numbers where the exponent is certainly whole."""
    base, exponent = (_real(o, aval) for o, aval in zip(call.operands, call.types, strict=True))
    _refuse_complex(call)
    logarithm = monotone(jnp.log, magnitude(base), "log")
    made = monotone(jnp.exp, multiply(exponent, logarithm), "exp")
    whole = (exponent.radius == 0) & (xp.round(exponent.mid) == exponent.mid)
    whole &= xp.abs(exponent.mid) < 2.0**50
    odd = whole & (xp.round(exponent.mid / 2) * 2 != exponent.mid)
    positive = base.mid > enlarged(base.radius)
    usable = positive | (whole & (xp.abs(base.mid) > enlarged(base.radius)))
    mid = xp.where(odd & ~positive, -made.mid, made.mid)
    zero = (base.mid == 0) & (base.radius == 0) & (exponent.mid > enlarged(exponent.radius))
    one = (exponent.mid == 0) & (exponent.radius == 0) & (base.radius < math.inf)
    mid = xp.where(one, 1.0, xp.where(zero, 0.0, mid))
    rad = xp.where(one | zero, FLOOR, xp.where(usable, made.radius, math.inf))
    return settle(mid, rad, 0.0, math.inf)


def _real(operand: Ball, aval: Any) -> Ball:
    if is_inexact(aval.dtype):
        return operand
    return Ball(operand.mid.astype(np.float64), operand.rad, operand.unit, operand.units)


# --- steps, comparisons, choices ---


def magnitude(operand: Ball) -> Ball:
    """The absolute value, which changes at most as much as the number."""
    mid = xp.abs(operand.mid)
    if not is_complex(operand.mid.dtype):
        return Ball(mid, operand.rad, operand.unit, operand.units)
    rad = enlarged(operand.radius + rounding(mid, 16) + 2.0**-500)
    return settle(mid, rad, 0.0, math.inf)


def _absolute(call: Call) -> Ball:
    return magnitude(call.operands[0])


def _step(call: Call) -> Ball:
    """floor, ceil, round and sign rise, and give whole numbers."""
    (operand,) = call.operands
    _refuse_complex(call)
    if is_point(operand):
        mid, rad = call.bind(operand.mid)[0], no_radius(operand.shape)
    else:
        low, mid, high = (
            call.bind(x)[0] for x in (ends(operand)[0], operand.mid, ends(operand)[1])
        )
        rad = xp.maximum(high - mid, mid - low)
        rad = xp.where(operand.radius == 0, 0.0, xp.where(rad >= 0, enlarged(rad), math.inf))
    unit = xp.where(xp.all(rad == 0), 1.0, 0.0)
    return settle(mid, rad, unit, operand.units)


def _compare(call: Call) -> Ball:
    """Certain where the balls are apart, or both are points, or both are one value."""
    first, second = call.operands
    if not is_inexact(call.types[0].dtype):
        (made,) = machine(call)
        return made
    (mid,) = call.bind(first.mid, second.mid)
    if is_point(first, second):
        return Ball(mid, no_radius(mid.shape), 1.0, path(call.operands))
    certain = separate(first, second) | ((first.radius == 0) & (second.radius == 0))
    if call.same:
        certain = first.radius < math.inf
    return machine_ball(mid, xp.where(certain, 0.0, math.inf), call.operands)


def _is_finite(call: Call) -> Ball:
    (operand,) = call.operands
    rad = xp.where(operand.radii < math.inf, 0.0, math.inf)
    return machine_ball(call.bind(operand.mid)[0], rad, call.operands)


def select(call: Call) -> list[Ball]:
    """The case that is chosen; a ball around all where the choice is not certain."""
    choice, *cases = call.operands
    (mid,) = call.bind(choice.mid, *(case.mid for case in cases))
    units = path(call.operands)
    if is_point(choice, *cases):
        return [Ball(mid, no_radius(mid.shape), least_unit(cases), units)]
    (rad,) = call.bind(choice.mid, *(case.radii for case in cases))
    unit = least_unit(cases)
    if is_point(choice):
        return [Ball(mid, rad, unit, units)]
    certain = choice.radius == 0
    unit = xp.where(xp.all(certain), unit, 0.0)
    if not is_inexact(call.results[0].dtype):
        if not plain(mid.dtype):
            raise NoEnclosure("it chooses among random keys")
        return [Ball(mid, xp.where(certain, rad, math.inf), unit, units)]
    around = functools.reduce(hull, cases)
    mid = xp.where(certain, mid, around.mid)
    return [Ball(mid, xp.where(certain, rad, around.rad), unit, units)]


def _integer_power(call: Call) -> Ball:
    exponent, operand = int(call.eqn.params["y"]), call.operands[0]
    made = power(operand, abs(exponent))
    return made if exponent >= 0 else divide(embed(np.ones(operand.shape)), made)


def _rem(call: Call) -> Ball:
    """Of exact numbers, checked by a product; never rounded then."""
    first, second = call.operands
    (mid,) = call.bind(first.mid, second.mid)
    unit = xp.minimum(first.unit, second.unit)
    size = xp.maximum(margins.largest(first.mid), margins.largest(second.mid))
    quotient = xp.round((first.mid - mid) / second.mid)
    fits = margins.is_exact(2 * size, unit)
    right = (quotient * second.mid == first.mid - mid) & (xp.abs(mid) < xp.abs(second.mid))
    right &= (mid == 0) | (xp.sign(mid) == xp.sign(first.mid))
    fits &= xp.all(right)
    unit = xp.where(fits, unit, 0.0)
    return settle(
        mid,
        xp.where(fits, 0.0, math.inf),
        unit,
        margins.further(path([first, second]), size, unit),
    )


def greater(first: Ball, second: Ball) -> Ball:
    """The maximum changes at most as much as what it is the maximum of, and not with what is surely below."""
    mid = xp.maximum(first.mid, second.mid)
    units = path([first, second])
    unit = least_unit([first, second])
    if is_point(first, second):
        return Ball(mid, no_radius(mid.shape), unit, units)
    apart = separate(first, second)
    above = first.mid > second.mid
    winner = xp.where(above, first.radius, second.radius)
    either = xp.maximum(first.radius, second.radius)
    return Ball(mid, xp.where(apart, winner, either), unit, units)


def lesser(first: Ball, second: Ball) -> Ball:
    """The minimum."""
    found = greater(*(Ball(-o.mid, o.rad, o.unit, o.units) for o in (first, second)))
    return Ball(-found.mid, found.rad, found.unit, found.units)


def _clamp(call: Call) -> Ball:
    low, operand, high = call.operands
    return lesser(greater(operand, low), high)


POINTWISE: Mapping[str, Callable[[Call], Ball]] = {
    **dict.fromkeys(MONOTONE, _monotone),
    **dict.fromkeys(("ceil", "floor", "round", "sign"), _step),
    **dict.fromkeys(("eq", "ge", "gt", "le", "lt", "ne"), _compare),
    **dict.fromkeys(("cos", "sin"), _wave),
    "abs": _absolute,
    "atan2": _atan2,
    "clamp": _clamp,
    "cosh": _cosh,
    "integer_pow": _integer_power,
    "is_finite": _is_finite,
    "pow": _pow,
    "rem": _rem,
    "tan": _tan,
}


def pointwise(call: Call) -> list[Ball]:
    """Functions cell by cell; those without an enclosure where they are functions of integers."""
    rule = POINTWISE.get(call.name)
    return machine(call) if rule is None else [rule(call)]
