"""Balls: a number known to within a radius, and what is known of its digits."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.at_hand import host, in_numpy, like, run, xp
from shiftproof.tracing.primitives import Reading, plain, read
from shiftproof.tracing.trace import Equation

U = 2.0**-53
"""The relative rounding error of one operation in float64."""

SLACK = 2.0**-40
"""Relative; what radii are enlarged by, since they are computed in floats, as are the magnitudes in them."""

TINY = 2.0**-1000
"""Absolute; more than what an operation loses by underflow, where subnormal numbers are taken for 0.

Every number that may have been rounded has at least this radius. So a subnormal one, which an operation takes for 0,
stays inside its ball, and a radius is never so small that it is taken for 0 itself.
"""

DIGITS = 2.0**53
"""Whole numbers below this are floats, and so are their sums and products below it, in any order."""

SMALLEST, LARGEST = 2.0**-400, 2.0**400
"""The range of units: products of two numbers that are so many of them neither overflow nor underflow."""


class NoEnclosure(Exception):
    """A rule has no enclosure for an equation, and why."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["mid", "rad", "unit", "units"],
    meta_fields=[],
)
@dataclasses.dataclass(frozen=True)
class Ball:
    """Real or complex numbers, each within a radius of a float; or machine integers, truths, random keys.

    Attributes:
        mid: float64, complex128, or the integers themselves. Infinity, with radius 0, where the value is infinite.
        rad: float64 of that shape: the value is within `rad` of `mid`; infinite where nothing is known, and the value
            may be no number. Of integers and truths 0 or infinity. A NumPy array of zeros where that is known when the
            program is traced.
        unit: a power of two: no cell was rounded, and all are whole multiples of it; 0 where one may have been.
        units: the largest sum of magnitudes met on the way, by the unit it was made of; infinite where something was
            rounded. All that led here is exact in a format of p < 53 bits if this is at most 2^p, exponents aside.
    """

    mid: Any
    rad: Any
    unit: Any
    units: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self.mid.shape)

    @property
    def radius(self) -> Any:
        """What `rad` is broadcast from; the number 0 where that is known, so that no array of zeros is written out."""
        return np.float64(0.0) if is_point(self) else self.rad

    @property
    def radii(self) -> Any:
        """`rad` in full shape; of what is traced no array of zeros is written out."""
        return jnp.zeros(self.shape) if is_point(self) and not in_numpy(self.mid) else self.rad


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation with its operands.

    Attributes:
        eqn: the equation.
        operands: balls.
        types: shape and dtype of each operand, as traced.
        results: shape and dtype of each result, as traced.
        known: whether each operand is a number that was embedded, and not computed on balls.
    """

    eqn: Equation
    operands: Sequence[Ball]
    types: Sequence[Any]
    results: Sequence[Any]
    known: Sequence[bool]

    @property
    def name(self) -> str:
        """The name of the primitive."""
        return self.eqn.name

    @property
    def reading(self) -> Reading:
        """Its class, by the table; whether the places of a look-up are known is seen when it runs."""
        known = [True] * len(self.operands)
        return read(self.name, self.eqn.params, self.types, known, self.results[0])

    @property
    def same(self) -> bool:
        """Whether both operands are one and the same value."""
        first, *others = self.eqn.inputs
        return isinstance(first, int) and others == [first]

    def bind(self, *arrays: Any, **changed: Any) -> Sequence[Any]:
        """The primitive itself, run on other arrays."""
        if in_numpy(*arrays):
            one = [np.asarray(array)[None] for array in arrays]
            made = run(self.name, one, self.eqn.params)
            if made is not None:
                return [made[0]]
        params = self.eqn.primitive.get_bind_params({**self.eqn.params, **changed})
        result = self.eqn.primitive.bind(*arrays, **params)
        return like(arrays, result if self.eqn.primitive.multiple_results else [result])


# --- making balls ---


def is_inexact(dtype: Any) -> bool:
    """Whether numbers of this type are real or complex."""
    return jnp.issubdtype(dtype, np.inexact)


def is_complex(dtype: Any) -> bool:
    """Whether numbers of this type are complex."""
    return jnp.issubdtype(dtype, np.complexfloating)


def wide(dtype: Any) -> Any:
    """The type of the midpoint for numbers that were traced in some type."""
    if is_complex(dtype):
        return np.dtype(np.complex128)
    return np.dtype(np.float64) if is_inexact(dtype) else dtype


def no_radius(shape: Sequence[int]) -> np.ndarray:
    """Radius 0, known when the program is traced."""
    return np.broadcast_to(np.float64(0.0), tuple(shape))


def is_point(*balls: Ball) -> bool:
    """Whether all radii are known to be 0 when the program is traced."""
    return all(is_zeros(ball.rad) for ball in balls)


@np.errstate(all="ignore")
def embed(array: Any) -> Ball:
    """Known numbers, which are what they are; NaN is no number, and subnormal float64 are 0 within `TINY`."""
    array = host(array)
    if not plain(array.dtype) or not is_inexact(array.dtype):
        return Ball(array, no_radius(array.shape), 1.0, 0.0)
    if is_complex(array.dtype):
        real, imaginary = (embed(part) for part in (array.real, array.imag))
        mid = complex_of(real.mid, imaginary.mid)
        return settle(mid, real.radii + imaginary.radii, 0.0, math.inf)
    numbers = np if in_numpy(array) else jnp
    mid, rad, digits, sizes = _cells(_double(array, numbers), numbers)
    unit, units = _units(
        numbers.min(digits, initial=LARGEST), numbers.max(sizes, initial=0.0), numbers
    )
    return Ball(mid, no_radius(rad.shape) if is_zeros(rad) else rad, unit, units)


def complex_of(real: Any, imaginary: Any) -> Any:
    """Complex numbers of these parts, in double precision."""
    parts = [jnp.asarray(part, np.float64) for part in (real, imaginary)]
    return like([real, imaginary], [lax.complex(*parts)])[0]


def _cells(array: Any, numbers: Any) -> tuple[Any, Any, Any, Any]:
    """Of float64: midpoints, radii, lowest digits (0 where there is a radius), magnitudes."""
    nan = numbers.isnan(array)
    small = (_bits(array, numbers) << 1 != 0) & (abs(array) < 2.0**-1022)
    rad = numbers.where(nan, math.inf, numbers.where(small, TINY, 0.0))
    mid = numbers.where(nan | small, 0.0, array)
    infinite = numbers.isinf(mid)
    digits = numbers.where((mid == 0) | infinite, LARGEST, lowest_digit(mid))
    digits = numbers.where(nan | small, 0.0, digits)
    return mid, rad, digits, numbers.where(infinite, 0.0, abs(mid))


def _units(digits: Any, most: Any, numbers: Any) -> tuple[Any, Any]:
    """The unit of numbers with this lowest digit, and how many of it the largest of them are."""
    unit = numbers.where(digits < SMALLEST, 0.0, numbers.minimum(digits, LARGEST))
    return unit, numbers.where(unit > 0, most / numbers.where(unit > 0, unit, 1.0), math.inf)


def is_zeros(rad: Any) -> bool:
    """Whether these are zeros of NumPy, as `no_radius` makes them; other arrays of NumPy are looked at."""
    if not isinstance(rad, np.ndarray):
        return False
    return not (rad.any() if any(rad.strides) else rad.ravel()[:1].any())


def _double(array: Any, numbers: Any) -> Any:
    """The same numbers in float64. Devices take subnormal float32 for 0, so that these are made of their digits."""
    if array.dtype == np.float64:
        return numbers.asarray(array)
    if numbers is np:
        return np.asarray(array).astype(np.float64)
    array = array.astype(np.float32)
    bits = lax.bitcast_convert_type(array, np.int32)
    digits = bits & 0x7FFFFFFF
    small = xp.where(bits < 0, -1.0, 1.0) * digits.astype(np.float64) * 2.0**-149
    return xp.where(digits < 0x800000, small, array.astype(np.float64))


def _bits(array: Any, numbers: Any) -> Any:
    if numbers is np:
        return np.asarray(array, np.float64).view(np.int64)
    return lax.bitcast_convert_type(array, np.int64)


def lowest_digit(array: Any) -> Any:
    """The largest power of two that divides each number; 0 where that is below 2^-1022."""
    numbers = np if in_numpy(array) else jnp
    bits = _bits(array, numbers)
    exponent = numbers.minimum((bits >> 52) & 0x7FF, 2046)
    digits = (bits & (2**52 - 1)) | 2**52
    power = numbers.where(exponent > 52, (exponent - 52) << 52, 0)
    scale = (
        np.asarray(power).view(np.float64)
        if numbers is np
        else lax.bitcast_convert_type(power, np.float64)
    )
    return (digits & -digits).astype(np.float64) * scale


def settle(mid: Any, rad: Any, unit: Any, units: Any) -> Ball:
    """A ball, with no enclosure where its numbers are not: NaN, or infinity that is not known to be right.

    The selection also keeps the compiler from joining operations: (a / b) / c as a / (b c) overflows elsewhere.
    """
    known = (rad < math.inf) & ~xp.isnan(mid) & (xp.isfinite(mid) | (rad == 0))
    return Ball(xp.where(known, mid, 0), xp.where(known, rad, math.inf), unit, units)


def nothing(aval: Any) -> Ball:
    """Cells of which nothing is known."""
    if not plain(aval.dtype):
        raise NoEnclosure("it makes random keys of what is not known")
    mid = xp.zeros(aval.shape, wide(aval.dtype))
    return Ball(mid, xp.full(aval.shape, math.inf), 0.0, math.inf)


def machine_ball(mid: Any, rad: Any, operands: Sequence[Ball]) -> Ball:
    """Machine integers or truths."""
    unit = 1.0 if is_zeros(rad) else xp.where(xp.all(rad == 0), 1.0, 0.0)
    return Ball(mid, rad, unit, path(operands))


# --- digits ---


def path(operands: Sequence[Ball]) -> Any:
    """The units met on the way to some operands."""
    return functools.reduce(xp.maximum, (o.units for o in operands), 0.0)


def least_unit(operands: Sequence[Ball]) -> Any:
    """The unit of all cells of several operands; 0 where one of them was rounded."""
    return functools.reduce(xp.minimum, (o.unit for o in operands))


def size(array: Any) -> Any:
    """The magnitude; of complex numbers an upper bound, by the sum of both parts, that cannot underflow."""
    return xp.abs(array.real) + xp.abs(array.imag) if is_complex(array.dtype) else xp.abs(array)


def least_size(array: Any) -> Any:
    """The magnitude; of complex numbers a lower bound."""
    if is_complex(array.dtype):
        return xp.maximum(xp.abs(array.real), xp.abs(array.imag))
    return xp.abs(array)


def largest(array: Any) -> Any:
    """The largest magnitude; infinite where one is no number."""
    sizes = size(array)
    return xp.max(xp.where(sizes < math.inf, sizes, math.inf), initial=0.0)


def is_exact(total: Any, unit: Any) -> Any:
    """Whether nothing is rounded where sums of magnitudes are at most `total`, of numbers that are so many units.

    Floats of sums and products of magnitudes are rounded monotonely: if one is below 2^53 units, so is the number.
    """
    return (unit >= SMALLEST) & (unit <= LARGEST) & (total < DIGITS * unit)


def exact_unit(total: Any, unit: Any) -> Any:
    """The unit, or 0 where something is rounded."""
    return xp.where(is_exact(total, unit), unit, 0.0)


def further(before: Any, total: Any, unit: Any) -> Any:
    """The units met, after numbers that are at most `total` and multiples of `unit`, if that is not 0."""
    met = xp.where(unit > 0, total / xp.where(unit > 0, unit, 1.0), math.inf)
    return xp.maximum(before, met)


# --- radii ---


def rounding(magnitude: Any, terms: float = 1) -> Any:
    """What so many operations in any order lose, on numbers whose magnitudes sum to this."""
    return U * terms * magnitude + terms * TINY


def enlarged(rad: Any, terms: float = 1) -> Any:
    """A radius that was computed in floats, by so many operations."""
    return rad * (1 + SLACK + 4 * terms * U)


def rounded(rad: Any, magnitude: Any, unit: Any, terms: float = 2) -> Any:
    """The radius of a result: what it has of its operands', and what is lost unless its unit says nothing is."""
    return xp.where(unit > 0, 0.0, enlarged(rad + rounding(magnitude, terms), terms))


def ends(ball: Ball) -> tuple[Any, Any]:
    """Numbers below and above all values of a real ball; the midpoint where its radius is 0."""
    if is_point(ball):
        return ball.mid, ball.mid
    outer = enlarged(ball.radius + rounding(xp.abs(ball.mid) + ball.radius, 4))
    outer = xp.where(ball.radius > 0, outer, 0.0)
    return ball.mid - outer, ball.mid + outer


def hull(first: Ball, second: Ball) -> Ball:
    """A ball around two."""
    half = 0.5 * size(first.mid - second.mid)
    mid = 0.5 * first.mid + 0.5 * second.mid
    rad = half + xp.maximum(first.radius, second.radius)
    rad = enlarged(rad + rounding(size(first.mid) + size(second.mid), 4))
    return settle(mid, rad, 0.0, math.inf)


def separate(first: Ball, second: Ball) -> Any:
    """Where two balls have no number in common."""
    gap = least_size(first.mid - second.mid)
    return gap > enlarged(first.radius + second.radius)
