"""True numbers: rationals as long as nothing irrational is met, then intervals with ends of 200 bits.

A cell is one of

    int, Fraction       that number (machine integers are ints; truths are bools)
    float               an infinity, and nothing else
    Span                some real number between two ends, which were rounded outwards
    Complex             a pair of real cells
    Unknown             nothing can be said, and where that began

Every function here is one of these cells, not of arrays; whatever is not decided by its operands is `Unknown`. What is
irrational is taken from the true functions of `balls`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import balls
import numpy as np
from mpmath import libmp

mp = balls.mp
BITS = mp.prec
LOST = 180
"""Bits of a value of mpmath that are relied on."""
MOST_BITS = 4096
"""Longer fractions become intervals."""
LARGE = 2**1100
"""No function is evaluated beyond, and no step closer to a jump than its inverse."""
RATIONAL = (int, Fraction)
INF = math.inf

Number = Any
"""A cell."""


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A cell of which nothing is known; `why` names the primitive where that began."""

    why: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Some number from `lo` to `hi`, which are raw numbers of mpmath."""

    lo: Any
    hi: Any

    def __repr__(self) -> str:
        return f"{libmp.to_str(self.lo, 20)}..{libmp.to_str(self.hi, 20)}"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Complex:
    """A complex number of two real cells."""

    re: Number
    im: Number


def exact(value: Any) -> Number:
    """The number that a scalar of NumPy holds."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (complex, np.complexfloating)):
        return Complex(exact(value.real), exact(value.imag))
    number = float(value)
    if math.isnan(number):
        return Unknown("nan")
    if math.isinf(number):
        return number
    return int(number) if number.is_integer() else Fraction(number)


def span(number: Number) -> tuple[Any, Any]:
    """A finite real cell as an interval."""
    if type(number) is Span:
        return number.lo, number.hi
    p, q = (number, 1) if isinstance(number, int) else (number.numerator, number.denominator)
    return libmp.from_rational(p, q, BITS, "f"), libmp.from_rational(p, q, BITS, "c")


def short(number: Number) -> Number:
    """The same rational, or an interval around it where it is very long."""
    if type(number) is int:
        long = number.bit_length() > MOST_BITS
    else:
        long = number.denominator.bit_length() + number.numerator.bit_length() > MOST_BITS
    return Span(*span(number)) if long else number


def doubt(*numbers: Number) -> Unknown | None:
    """The first operand of which nothing is known."""
    return next((number for number in numbers if type(number) is Unknown), None)


def lifted(why: str, real: Callable[..., Number]) -> Callable[..., Number]:
    """A function of finite and infinite real cells that gives back a doubt."""

    def function(*numbers: Number) -> Number:
        found = doubt(*numbers)
        if found is None and any(type(number) is Complex for number in numbers):
            return Unknown(f"{why} of complex numbers")
        return found or real(*numbers)

    return function


# --- the four operations ---


def add(a: Number, b: Number) -> Number:
    if type(a) in RATIONAL and type(b) in RATIONAL:
        return short(a + b)
    if found := doubt(a, b):
        return found
    if Complex in (type(a), type(b)):
        (p, q), (r, s) = parts(a), parts(b)
        return Complex(add(p, r), add(q, s))
    if float in (type(a), type(b)):
        infinite = {x for x in (a, b) if type(x) is float}
        return infinite.pop() if len(infinite) == 1 else Unknown("add of two infinities")
    return Span(*libmp.mpi_add(span(a), span(b), BITS))


def mul(a: Number, b: Number) -> Number:
    if type(a) in RATIONAL and type(b) in RATIONAL:
        return short(a * b)
    if found := doubt(a, b):
        return found
    if Complex in (type(a), type(b)):
        (p, q), (r, s) = parts(a), parts(b)
        return Complex(sub(mul(p, r), mul(q, s)), add(mul(p, s), mul(q, r)))
    if float in (type(a), type(b)):
        signs = compare(a, 0), compare(b, 0)
        return signs[0] * signs[1] * INF if all(signs) else Unknown("mul of 0 and infinity")
    if 0 in (a, b):
        return 0
    return Span(*libmp.mpi_mul(span(a), span(b), BITS))


def neg(a: Number) -> Number:
    return -a if type(a) is float else mul(-1, a)


def sub(a: Number, b: Number) -> Number:
    return add(a, neg(b))


def div(a: Number, b: Number) -> Number:
    if found := doubt(a, b):
        return found
    if type(b) is Complex:
        (p, q), (r, s) = parts(a), parts(b)
        size = add(mul(r, r), mul(s, s))
        upper = Complex(add(mul(p, r), mul(q, s)), sub(mul(q, r), mul(p, s)))
        return Complex(div(upper.re, size), div(upper.im, size))
    if type(a) is Complex:
        return Complex(div(a.re, b), div(a.im, b))
    if type(b) is float:
        return 0 if type(a) is not float else Unknown("div of two infinities")
    if not compare(b, 0):
        return Unknown("div by what may be 0")
    if type(a) is float:
        return a * compare(b, 0)
    if type(a) in RATIONAL and type(b) in RATIONAL:
        quotient = Fraction(a) / b
        return short(int(quotient) if quotient.denominator == 1 else quotient)
    return Span(*libmp.mpi_div(span(a), span(b), BITS))


def parts(a: Number) -> tuple[Number, Number]:
    """Real and imaginary part."""
    return (a.re, a.im) if type(a) is Complex else (a, 0)


# --- order ---


def compare(a: Number, b: Number) -> int | None:
    """-1, 0 or 1 for less, equal and greater real cells; None where that cannot be said."""
    if type(a) is not Span and type(b) is not Span:
        return (a > b) - (a < b)
    if float in (type(a), type(b)):
        return 1 if a == INF or b == -INF else -1
    (p, q), (r, s) = span(a), span(b)
    if p == q == r == s:
        return 0
    return -1 if libmp.mpf_lt(q, r) else 1 if libmp.mpf_lt(s, p) else None


def comparison(name: str, accepts: Callable[[int], bool]) -> Callable[..., Number]:
    """A truth about two cells."""

    def function(a: Number, b: Number) -> Number:
        if found := doubt(a, b):
            return found
        if Complex in (type(a), type(b)):
            pairs = [compare(x, y) for x, y in zip(parts(a), parts(b), strict=True)]
            # two complex numbers differ where some part does
            order = next((o for o in pairs if o), None if None in pairs else 0)
        else:
            order = compare(a, b)
        return Unknown(f"{name} of a tie") if order is None else accepts(order)

    return function


eq = comparison("eq", lambda order: order == 0)
lt = comparison("lt", lambda order: order < 0)


def extreme(sign: int) -> Callable[[Number, Number], Number]:
    """The greater cell, or the smaller one for -1."""

    def function(a: Number, b: Number) -> Number:
        order = compare(a, b)
        if order is not None:
            return a if order * sign >= 0 else b
        ends = zip(span(a), span(b), strict=True)
        return Span(*((p if libmp.mpf_cmp(p, q) * sign >= 0 else q) for p, q in ends))

    return lifted("an extremum", function)


greater, smaller = extreme(1), extreme(-1)


def absolute(a: Number) -> Number:
    if type(a) is Complex:
        return root(add(mul(a.re, a.re), mul(a.im, a.im)))
    if found := doubt(a):
        return found
    return greater(greater(a, neg(a)), 0)


def sign(a: Number) -> Number:
    if found := doubt(a):
        return found
    order = compare(a, 0)
    return Unknown("sign of what may be 0") if order is None else order


def select(which: Number, *cases: Number) -> Number:
    if type(which) is not Unknown:
        return cases[int(which)]
    first = cases[0]
    alike = all(type(c) in RATIONAL and type(first) in RATIONAL and c == first for c in cases)
    return first if alike else Unknown(which.why)


# --- steps ---


def step(name: str, rounds: Callable[[Fraction], int]) -> Callable[[Number], Number]:
    """A function to whole numbers, constant between its jumps."""

    def function(a: Number) -> Number:
        if type(a) is not Span:
            return a if type(a) is float else rounds(Fraction(a))
        sizes = [abs(mp.make_mpf(end)) for end in span(a)]
        if any(size > LARGE or 0 < size < 1 / mp.mpf(LARGE) for size in sizes):
            return Unknown(f"{name} of a number without measure")
        low, high = (rounds(Fraction(*libmp.to_rational(end))) for end in span(a))
        return low if low == high else Unknown(f"{name} at a jump")

    return lifted(name, function)


floor, ceil = step("floor", math.floor), step("ceil", math.ceil)
nearest_even = step("round", round)
truncated = step("truncation", math.trunc)


def _away(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2)) if x >= 0 else math.ceil(x - Fraction(1, 2))


nearest_away = step("round", _away)


def remainder(a: Number, b: Number) -> Number:
    """With the sign of the dividend."""
    return sub(a, mul(b, truncated(div(a, b))))


# --- functions ---


def enlarged(values: list[Any]) -> Number:
    """The interval of values of mpmath, and what they may have lost."""
    ends = []
    for value, way in ((min(values)._mpf_, "f"), (max(values)._mpf_, "c")):
        lost = libmp.mpf_shift(libmp.mpf_abs(value), -LOST)
        moved = libmp.mpf_sub if way == "f" else libmp.mpf_add
        ends.append(moved(value, lost, BITS, way))
    return Span(*ends)


def at_ends(name: str, true: Callable[..., Any], *numbers: Number) -> Number:
    """A function that rises or falls in each operand: between its values at the ends."""
    ends = [[mp.make_mpf(end) for end in dict.fromkeys(span(number))] for number in numbers]
    if any(abs(end) > LARGE for pair in ends for end in pair):
        return Unknown(f"{name} of large numbers")
    function = balls.Function(lambda: None, true)
    corners = [[]]
    for pair in ends:
        corners = [[*corner, end] for corner in corners for end in pair]
    values = [balls.true_value(function, corner) for corner in corners]
    if any(value is None for value in values):
        return Unknown(f"{name} outside of its domain")
    return enlarged(values)


TRUE: Mapping[str, Callable[..., Any]] = {
    name: balls.FUNCTIONS[name].true
    for name in """
    acos acosh asin asinh atan atanh atan2 cbrt erf erfc exp exp2 expm1 log log1p log2 logistic pow rsqrt sinh sqrt tanh
    """.split()
}

AT: Mapping[str, Mapping[Number, Number]] = {
    "acos": {1: 0},
    "acosh": {1: 0},
    "asin": {0: 0},
    "asinh": {0: 0},
    "atan": {0: 0},
    "atanh": {0: 0},
    "cbrt": {-1: -1, 0: 0, 1: 1},
    "cos": {0: 1},
    "cosh": {0: 1},
    "erf": {0: 0, INF: 1, -INF: -1},
    "erfc": {0: 1, INF: 0, -INF: 2},
    "exp": {0: 1, INF: INF, -INF: 0},
    "exp2": {INF: INF, -INF: 0},
    "expm1": {0: 0, INF: INF, -INF: -1},
    "log": {1: 0, INF: INF},
    "log1p": {0: 0, INF: INF},
    "log2": {1: 0, INF: INF},
    "logistic": {0: Fraction(1, 2), INF: 1, -INF: 0},
    "sin": {0: 0},
    "sinh": {0: 0},
    "sqrt": {INF: INF},
    "rsqrt": {INF: 0},
    "tan": {0: 0},
    "tanh": {0: 0, INF: 1, -INF: -1},
}
"""Where values are rational, or infinite."""


def function(name: str) -> Callable[[Number], Number]:
    """A function of one real cell, by the name of its primitive."""

    def evaluated(a: Number) -> Number:
        if type(a) is not Span and a in AT[name]:
            return AT[name][a]
        if type(a) is float:
            return Unknown(f"{name} of an infinity")
        return SPECIAL[name](a) if name in SPECIAL else at_ends(name, TRUE[name], a)

    return lifted(name, evaluated)


def _swings(name: str) -> Callable[[Number], Number]:
    """Sine or cosine: they change no more than the angle."""
    true = {"sin": mp.sin, "cos": mp.cos}[name]

    def evaluated(a: Number) -> Number:
        low, high = span(a)
        if max(abs(mp.make_mpf(end)) for end in (low, high)) > LARGE:
            return Unknown(f"{name} of large numbers")
        width = Span(libmp.fzero, libmp.mpf_sub(high, low, BITS, "c"))
        value = enlarged([true(mp.make_mpf(low))])
        return add(add(value, width), neg(width))

    return evaluated


def _tangent(a: Number) -> Number:
    return div(function("sin")(a), function("cos")(a))


def _cosh(a: Number) -> Number:
    grows = function("exp")
    return div(add(grows(a), grows(neg(a))), 2)


def _exp2(a: Number) -> Number:
    if type(a) is int and abs(a) < MOST_BITS:
        return 2**a if a >= 0 else Fraction(1, 2**-a)
    return at_ends("exp2", TRUE["exp2"], a)


def _whole_root(a: Number) -> Number | None:
    """The square root of a rational that has a rational one."""
    if type(a) not in RATIONAL or a < 0:
        return None
    p, q = Fraction(a).numerator, Fraction(a).denominator
    found = Fraction(math.isqrt(p), math.isqrt(q))
    if found * found != a:
        return None
    return int(found) if found.denominator == 1 else found


def _root(a: Number) -> Number:
    whole = _whole_root(a)
    if whole is not None:
        return whole
    if type(a) is Span and libmp.mpf_lt(a.lo, libmp.fzero) and not libmp.mpf_lt(a.hi, libmp.fzero):
        return Unknown("sqrt of what may be negative")
    return at_ends("sqrt", TRUE["sqrt"], a)


def _inverse_root(a: Number) -> Number:
    return div(1, _root(a)) if _whole_root(a) else at_ends("rsqrt", TRUE["rsqrt"], a)


SPECIAL: Mapping[str, Callable[[Number], Number]] = {
    "cos": _swings("cos"),
    "cosh": _cosh,
    "exp2": _exp2,
    "rsqrt": _inverse_root,
    "sin": _swings("sin"),
    "sqrt": _root,
    "tan": _tangent,
}

root = function("sqrt")


def integer_power(a: Number, exponent: int) -> Number:
    if exponent < 0:
        return div(1, integer_power(a, -exponent))
    if type(a) is Span and exponent % 2 == 0 and exponent:
        a = absolute(a)  # a square is not negative
    result: Number = 1
    for _ in range(exponent):
        result = mul(result, a)
    return result


def power(a: Number, b: Number) -> Number:
    if float in (type(a), type(b)):
        return Unknown("pow of an infinity")
    if type(b) in RATIONAL and Fraction(b).denominator == 1 and abs(b) <= 64:
        return integer_power(a, int(b))
    if b == Fraction(1, 2):
        return root(a)
    order = compare(a, 0)
    if order == 0 and compare(b, 0) == 1:
        return 0
    return at_ends("pow", TRUE["pow"], a, b) if order == 1 else Unknown("pow of no positive number")


def angle(y: Number, x: Number) -> Number:
    """In each quadrant it rises or falls with each operand."""
    if float in (type(y), type(x)):
        return Unknown("atan2 of an infinity")
    signs = compare(y, 0), compare(x, 0)
    if signs == (0, 1):
        return 0
    if None in signs or signs == (0, 0):
        return Unknown("atan2 near an axis")
    return at_ends("atan2", TRUE["atan2"], y, x)
