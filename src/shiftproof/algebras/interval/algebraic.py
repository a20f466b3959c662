"""Balls under moves, sums, products and spectra."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.at_hand import xp
from shiftproof.algebras.interval.ball import (
    TINY,
    Ball,
    Call,
    NoEnclosure,
    complex_of,
    embed,
    ends,
    enlarged,
    exact_unit,
    further,
    is_complex,
    is_exact,
    is_inexact,
    is_point,
    largest,
    least_size,
    least_unit,
    lowest_digit,
    machine_ball,
    no_radius,
    path,
    rounded,
    rounding,
    settle,
    size,
    wide,
)
from shiftproof.tracing.primitives import TABLE, plain

# --- moves ---

AS_THEY_ARE = frozenset(
    "copy copy_p device_put name optimization_barrier sharding_constraint stop_gradient".split()
)
"""Moves of no cell."""


def moves(call: Call) -> list[Ball]:
    """The primitive itself, on midpoints and on radii; at places that are certain."""
    if call.name in AS_THEY_ARE:
        return list(call.operands)
    where = [i for i in TABLE[call.name].known if i < len(call.operands)]
    data = [o for i, o in enumerate(call.operands) if i not in where]
    mids = call.bind(*(o.mid for o in call.operands))
    fills = call.name == "gather"
    if is_point(*call.operands) and not fills:
        rads: Sequence[Any] = [no_radius(mid.shape) for mid in mids]
    else:
        radii = [o.mid if i in where else o.radii for i, o in enumerate(call.operands)]
        changed = {"fill_value": 0} if fills and call.eqn.params["fill_value"] is not None else {}
        rads = call.bind(*radii, **changed)
    certain: Any = True
    for i in where:
        if not is_point(call.operands[i]):
            certain &= xp.all(call.operands[i].radius == 0)
    if call.name == "scatter":
        certain &= ~_twice(call)
    unit, units = least_unit(data), path(call.operands)
    if certain is True and not fills:
        return [Ball(mid, rad, unit, units) for mid, rad in zip(mids, rads, strict=True)]
    return [_where_certain(m, r, unit, units, certain) for m, r in zip(mids, rads, strict=True)]


def _twice(call: Call) -> Any:
    """Which cells a scatter writes more than once: any of the writes may win."""
    (into, where, added), params = call.operands, call.eqn.params
    nothing, ones = xp.zeros(into.shape, np.int32), xp.ones(added.shape, np.int32)
    numbers, mode = params["dimension_numbers"], params["mode"]
    return lax.scatter_add(nothing, where.mid, ones, numbers, mode=mode) > 1


def _where_certain(mid: Any, rad: Any, unit: Any, units: Any, certain: Any) -> Ball:
    """A ball whose cells were looked up; a place outside gives NaN, as a fill value."""
    if not plain(mid.dtype):
        raise NoEnclosure("it looks up random keys")
    rad = xp.where(certain, rad, math.inf)
    if not is_inexact(mid.dtype):
        rad = xp.where(xp.isnan(rad), 0.0, rad)
        return Ball(mid, rad, xp.where(xp.all(rad == 0), unit, 0.0), units)
    made = settle(mid, rad, unit, units)
    return Ball(made.mid, made.rad, xp.where(xp.all(made.rad < math.inf), unit, 0.0), units)


# --- sums ---


def add(first: Ball, second: Ball, *, sign: int = 1) -> Ball:
    """The sum, or the difference; what is infinite stays so."""
    mid = first.mid + second.mid if sign > 0 else first.mid - second.mid
    infinite = (
        xp.zeros(mid.shape, bool)
        if is_complex(mid.dtype)
        else xp.isinf(first.mid) | xp.isinf(second.mid)
    )
    sums = xp.where(infinite & ~xp.isnan(mid), 0.0, size(first.mid) + size(second.mid))
    total, unit = largest(sums), least_unit([first, second])
    unit = exact_unit(total, unit)
    radii = first.radius + second.radius
    rad = rounded(radii, size(mid), unit)
    rad = xp.where(infinite, xp.where(radii < math.inf, 0.0, math.inf), rad)
    return settle(mid, rad, unit, further(path([first, second]), total, unit))


def negate(ball: Ball) -> Ball:
    """The negative."""
    return Ball(-ball.mid, ball.rad, ball.unit, ball.units)


def part(ball: Ball, function: Callable[[Any], Any]) -> Ball:
    """The real or imaginary part, or the conjugate."""
    return Ball(function(ball.mid), ball.rad, ball.unit, ball.units)


def _complex(real: Ball, imaginary: Ball) -> Ball:
    rad = real.radius + imaginary.radius
    rad = xp.broadcast_to(enlarged(rad), real.shape)
    return settle(complex_of(real.mid, imaginary.mid), rad, 0.0, math.inf)


def _sums(
    call: Call, operand: Ball, terms: float, run: Callable[[Any], Any], unit: Any = None
) -> Ball:
    """Sums of so many cells, in any order."""
    sizes = size(operand.mid)
    total = largest(run(sizes))
    unit = exact_unit(total, operand.unit)
    scale = xp.where(unit > 0, 0.0, 1.0)
    # one run of the primitive for what operands bring and what rounding adds
    rad = run(operand.radius + scale * rounding(sizes, terms + 2))
    return settle(run(operand.mid), enlarged(rad, terms), unit, further(operand.units, total, unit))


def _bound(call: Call) -> Callable[[Any], Any]:
    return lambda array: call.bind(array)[0]


def _reduce_sum(call: Call) -> Ball:
    (operand,) = call.operands
    terms = math.prod(operand.shape[axis] for axis in call.eqn.params["axes"])
    return _sums(call, operand, terms, _bound(call))


def _running_sum(call: Call) -> Ball:
    (operand,) = call.operands
    return _sums(call, operand, operand.shape[call.eqn.params["axis"]], _bound(call))


def _window_sum(call: Call) -> Ball:
    terms = math.prod(call.eqn.params["window_dimensions"])
    return _sums(call, call.operands[0], terms, _bound(call))


def _scatter_sum(call: Call) -> Ball:
    into, where, added = call.operands
    kept = {k: v for k, v in call.eqn.params.items() if not k.startswith("update_")}
    signed = lax.scatter_sub if call.name == "scatter-sub" else lax.scatter_add
    mid = signed(into.mid, where.mid, added.mid, **kept)
    sizes = lax.scatter_add(size(into.mid), where.mid, size(added.mid), **kept)
    total = largest(sizes)
    unit = exact_unit(total, least_unit([into, added]))
    terms = 2 + math.prod(added.shape)
    rads = lax.scatter_add(into.radii, where.mid, added.radii, **kept)
    rad = rounded(rads, sizes, unit, terms)
    rad = xp.where(xp.all(where.radius == 0), rad, math.inf)
    unit = xp.where(xp.all(where.radius == 0), unit, 0.0)
    return settle(mid, rad, unit, further(path(call.operands), total, unit))


def _cast(call: Call) -> Ball:
    """Between floats the identity; to integers where the number that is left is certain."""
    (operand,), source = call.operands, call.types[0].dtype
    target = call.eqn.params["new_dtype"]
    if is_inexact(target):
        if is_inexact(source):
            if is_complex(source) and not is_complex(target):
                raise NoEnclosure("a complex number is cast to a real one")
            return operand if wide(source) == wide(target) else part(operand, _widened)
        return _of_integers(operand, target)
    if is_complex(source):
        raise NoEnclosure("a complex number is cast to a real one")
    if not is_inexact(source):
        return machine_ball(call.bind(operand.mid)[0], operand.rad, [operand])
    return _to_integers(operand, target)


def _widened(mid: Any) -> Any:
    return mid.astype(np.complex128)


def _of_integers(operand: Ball, target: Any) -> Ball:
    mid = operand.mid.astype(np.float64)
    total = largest(mid)
    unit = exact_unit(total, operand.unit)
    rad = xp.where(operand.radius == 0, rounded(0.0, size(mid), unit), math.inf)
    made = settle(mid, rad, unit, further(operand.units, total, unit))
    return part(made, _widened) if is_complex(target) else made


def _to_integers(operand: Ball, target: Any) -> Ball:
    """Truncated; certain where all numbers of the ball are truncated to one, inside the range of the type."""
    low, high = ends(operand)
    if jnp.issubdtype(target, np.bool_):
        certain = (operand.radius == 0) | (low > 0) | (high < 0)
        mid = operand.mid != 0
    else:
        info = jnp.iinfo(target)
        low, high = xp.trunc(low), xp.trunc(high)
        # the largest 64-bit integers are no floats: half the range is certain enough
        inside = (low >= float(info.min)) & (high < float(int(info.max) + 1))
        certain = (low == high) & inside
        mid = xp.where(certain, low, 0.0).astype(target)
    return machine_ball(mid, xp.where(certain, 0.0, math.inf), [operand])


LINEAR: Mapping[str, Callable[[Call], Ball]] = {
    "add": lambda call: add(*call.operands),
    "add_any": lambda call: add(*call.operands),
    "sub": lambda call: add(*call.operands, sign=-1),
    "neg": lambda call: negate(*call.operands),
    "real": lambda call: part(call.operands[0], xp.real),
    "imag": lambda call: part(call.operands[0], xp.imag),
    "conj": lambda call: part(call.operands[0], lambda mid: xp.conj(mid).astype(np.complex128)),
    "complex": lambda call: _complex(*call.operands),
    "convert_element_type": _cast,
    "reduce_sum": _reduce_sum,
    "cumsum": _running_sum,
    "reduce_window_sum": _window_sum,
    "scatter-add": _scatter_sum,
    "scatter-sub": _scatter_sum,
}


def linear(call: Call) -> list[Ball]:
    """Sums."""
    return [LINEAR[call.name](call)]


# --- products ---


def multiply(first: Ball, second: Ball) -> Ball:
    """The product."""
    mid = first.mid * second.mid
    sizes = size(first.mid), size(second.mid)
    product = sizes[0] * sizes[1]
    total, unit = largest(product), first.unit * second.unit
    unit = exact_unit(total, unit)
    radii: Any = 0.0
    if not is_point(first):
        radii += first.radius * (sizes[1] + second.radius)
    if not is_point(second):
        radii += sizes[0] * second.radius
    rad = rounded(radii, product, unit, 8 if is_complex(mid.dtype) else 2)
    return settle(mid, rad, unit, further(path([first, second]), total, unit))


def power(ball: Ball, exponent: int) -> Ball:
    """A product of so many equal factors."""
    result = None
    while exponent:
        if exponent & 1:
            result = ball if result is None else multiply(result, ball)
        exponent >>= 1
        if exponent:
            ball = multiply(ball, ball)
    return embed(np.ones(ball.shape)) if result is None else result


def divide(first: Ball, second: Ball) -> Ball:
    """The quotient, where the divisor is away from 0.

    Divisors are neither huge nor tiny, since XLA multiplies by their reciprocals; in complex numbers, with squares.
    """
    mid, least = first.mid / second.mid, least_size(second.mid)
    unit: Any = 0.0
    largest_power = 200 if is_complex(mid.dtype) else 900
    usable = (least > 2.0**-largest_power) & (least < 2.0**largest_power)
    if is_complex(mid.dtype):
        above = size(first.mid)
        usable &= (above == 0) | ((above > 2.0**-200) & (above < 2.0**200))
    else:
        mid, unit = _exact_quotient(first, second, mid)
    radii = _quotient_radius(first, second, size(mid), least)
    rad = rounded(radii, size(mid), unit, 64 if is_complex(mid.dtype) else 8)
    rad = xp.where(usable | (unit > 0), rad, math.inf)
    return settle(mid, rad, unit, further(path([first, second]), largest(mid), unit))


def _quotient_radius(first: Ball, second: Ball, sizes: Any, least: Any) -> Any:
    if is_point(second):
        return first.radius / least
    lower = least - enlarged(second.radius)
    # the radius by the divisor first: what underflows then is far below the rounding of the quotient
    relative = second.radius / xp.where(lower > 0, lower, 1.0)
    found = first.radius / lower + (sizes + TINY) * relative
    return xp.where(lower > 0, enlarged(found), math.inf)


def _exact_quotient(first: Ball, second: Ball, quotient: Any) -> tuple[Any, Any]:
    """The quotient and its unit, if all cells are quotients without rest: then it is checked by a product.

    Whole numbers of units divided by whole numbers of units are multiples of the quotient of units, for the largest
    power of two in a divisor; so the nearest of those is the only candidate.
    """
    power = xp.max(lowest_digit(second.mid), initial=0.0)
    possible = (power >= 2.0**-300) & (power <= 2.0**300) & (second.unit > 0)
    unit = xp.where(possible, first.unit / xp.where(possible, power, 1.0), 0.0)
    step = xp.where(unit > 0, unit, 1.0)
    candidate = xp.round(quotient / step) * step
    products = candidate * second.mid
    fits = is_exact(largest(candidate), unit)
    fits &= is_exact(largest(products), unit * second.unit)
    fits &= xp.all(products == first.mid)
    return xp.where(fits, candidate, quotient), xp.where(fits, unit, 0.0)


def _contraction(
    call: Call, terms: float, total: Any, most: Callable[[int, Any, Any], Any]
) -> Ball:
    """Sums of so many products, in any order.

    Args:
        call: the equation.
        terms: how many.
        total: a bound of the sums of the magnitudes of the products.
        most: given a position, one operand's magnitudes in its place and the other's, the same bound for them.
    """
    kind = wide(call.results[0].dtype)

    def run(*arrays: Any) -> Any:
        changed = {"preferred_element_type": jnp.result_type(*arrays)}
        return call.bind(*arrays, precision=None, **changed)[0]

    first, second = call.operands
    unit = exact_unit(total, first.unit * second.unit)
    count = (terms + 4) * (4 if is_complex(kind) else 1)
    # the rounding goes to one operand, with what may be subnormal there and meet a large number
    noisy, still = (1, 0) if call.known[0] and not call.known[1] else (0, 1)
    sizes, radii = [size(o.mid) for o in call.operands], [o.radius for o in call.operands]
    loss = xp.where(unit > 0, 0.0, rounding(1.0, count))
    factors = [s + r for s, r in zip(sizes, radii, strict=True)]
    factors[noisy] = sizes[noisy] * loss + radii[noisy] + xp.where(unit > 0, 0.0, TINY)
    rad = run(*factors)
    if call.known[still]:  # its radii are 0, but for what is no number and what is subnormal
        rad = rad + most(still, radii[still] + xp.zeros(sizes[still].shape), sizes[noisy])
    else:
        factors = list(sizes)
        factors[still] = call.operands[still].radii
        rad = rad + run(*factors)
    rad = rounded(rad, 0.0, unit, count)
    return settle(
        run(first.mid, second.mid), rad, unit, further(path([first, second]), total, unit)
    )


def _dot(call: Call) -> Ball:
    axes, _ = call.eqn.params["dimension_numbers"]

    def most(position: int, sizes: Any, others: Any) -> Any:
        return largest(xp.sum(sizes, tuple(axes[position]))) * largest(others)

    first, second = (size(o.mid) for o in call.operands)
    total = xp.minimum(most(0, first, second), most(1, second, first))
    return _contraction(call, math.prod(first.shape[axis] for axis in axes[0]), total, most)


def _convolution(call: Call) -> Ball:
    kernel = call.operands[1]
    out = call.eqn.params["dimension_numbers"].rhs_spec[0]
    along = tuple(axis for axis in range(len(kernel.shape)) if axis != out)
    terms = math.prod(kernel.shape[axis] for axis in along)

    def most(position: int, sizes: Any, others: Any) -> Any:
        if position == 0:
            return most(1, others, sizes)
        return largest(xp.sum(sizes, along)) * largest(others)

    total = most(1, size(kernel.mid), size(call.operands[0].mid))
    return _contraction(call, terms, total, most)


BILINEAR: Mapping[str, Callable[[Call], Ball]] = {
    "mul": lambda call: multiply(*call.operands),
    "square": lambda call: power(call.operands[0], 2),
    "div": lambda call: divide(*call.operands),
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
}


def bilinear(call: Call) -> list[Ball]:
    """Products and quotients."""
    return [BILINEAR[call.name](call)]


# --- spectra ---


def spectral(call: Call) -> list[Ball]:
    """A Fourier transform: its error is small in the 2-norm, along the axes that are transformed.

    A cell is a sum of operands times numbers of magnitude 1, twice each where half a spectrum is given, so radii add
    up. The rounding of a transform is a small multiple of log2(n) roundings of the 2-norm of all results; odd lengths
    are made of longer ones, for which a good deal is added.
    """
    (operand,), lengths = call.operands, [int(n) for n in call.eqn.params["fft_lengths"]]
    axes = tuple(range(len(operand.shape) - len(lengths), len(operand.shape)))
    (mid,) = call.bind(operand.mid)
    count, kind = math.prod(lengths), lax.FftType(call.eqn.params["fft_type"])
    scale = 2.0 / count if kind in (lax.FftType.IFFT, lax.FftType.IRFFT) else 1.0
    norm = xp.sum(size(operand.mid), axes, keepdims=True)
    radii = xp.sum(operand.radius, axes, keepdims=True) if not is_point(operand) else 0.0
    factor = SPECTRAL_ROUNDINGS * (math.log2(max(2, count)) + 8)
    rad = enlarged(scale * (radii + math.sqrt(count) * rounding(norm, factor)), count)
    return [settle(mid, xp.broadcast_to(rad, mid.shape), 0.0, math.inf)]


SPECTRAL_ROUNDINGS = 8.0
"""Roundings of the norm for each doubling of the length."""
