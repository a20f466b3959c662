"""Balls held against arithmetic of 200 bits: operands of all sizes, points inside them, and what is true there."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from jax import lax, nn

from shiftproof.algebras.interval import Ball, Interval
from shiftproof.algebras.interval.ball import TINY
from shiftproof.tracing.trace import open_body

mp: Any = mpmath.mp.clone()
mp.prec = 200

Real = Any
"""A number of 200 bits."""

DIGITS = np.array([0.0, 2.0**-50, 2.0**-30, 2.0**-8, 0.5, 0.99])


QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiling takes longer than running here."""


traced = False
"""Whether balls are traced and compiled, as in the bodies of loops, and not computed by NumPy at once."""


def run(fn: Callable[..., Any], *balls: Ball, options: Any = None) -> list[Ball]:
    """The balls that a function of JAX gives."""
    with jax.enable_x64(True):
        shapes = [jax.ShapeDtypeStruct(np.shape(b.mid), np.asarray(b.mid).dtype) for b in balls]
        body = open_body(jax.make_jaxpr(fn)(*shapes))

        def go(given: Sequence[Ball]) -> list[Ball]:
            return Interval().body(body, given)

        made = jax.jit(go, compiler_options=options)(list(balls)) if traced else go(list(balls))
        return [jax.tree.map(np.asarray, ball) for ball in made]


def ball(mid: Any, rad: Any = 0.0, unit: float = 0.0) -> Ball:
    """A ball as computations give them: nothing subnormal, radii of 0 or at least `TINY`."""
    mid = np.asarray(mid, np.float64 if not np.iscomplexobj(mid) else np.complex128)
    rad = np.broadcast_to(np.asarray(rad, np.float64), mid.shape)
    small = (np.abs(mid) < 2.0**-1022) & (mid != 0)
    mid = np.where(small, 0.0, mid)
    rad = np.where(rad > 0, np.maximum(rad, TINY), rad)
    return Ball(mid, np.where(small, np.maximum(rad, TINY), rad), unit, 0.0 if unit else np.inf)


def numbers(generator: np.random.Generator, count: int, low: float, high: float) -> np.ndarray:
    """Numbers of all sizes between two powers of two, of both signs, with whole and special ones among them."""
    size = np.exp2(generator.uniform(low, high, count)) * generator.choice([-1.0, 1.0], count)
    special = np.array(
        [0, 1, -1, 2, 0.5, 1e-310, -5e-324, 2.3e-308, 1.7e308, -1.7e308, 709.5, -745.0, 88.0]
    )
    special = special[(np.abs(special) <= 2.0**high) | (special == 0)]
    whole = np.round(generator.uniform(-20, 20, count // 4))
    return np.concatenate([size, special, whole])


def operands(
    generator: np.random.Generator, arity: int, *, low: float = -40, high: float = 40
) -> list[Ball]:
    """Balls of all sizes; some are points, some reach over 0, some pairs cancel."""
    mids = [numbers(generator, 160, low, high) for _ in range(arity)]
    count = len(mids[0])
    if arity == 2:
        near = generator.random(count) < 0.2
        mids[1] = np.where(near, mids[0] * (1 + generator.choice([0, 2e-16, 1e-9], count)), mids[1])
    balls = []
    for mid in mids:
        mid = generator.permutation(mid) if arity == 1 else mid
        relative = np.exp2(generator.uniform(-52, 1, count)) * np.minimum(np.abs(mid), 1e300)
        absolute = np.exp2(generator.uniform(-30, 1, count))
        rad = np.select(
            [generator.random(count) < 0.4, generator.random(count) < 0.6],
            [0.0, relative],
            absolute,
        )
        balls.append(ball(mid, rad))
    return balls


def points(generator: np.random.Generator, one: Ball, *, count: int = 3) -> list[list[Real]]:
    """For every cell some numbers of its ball, the ends among them."""
    found = []
    for mid, rad in zip(one.mid.ravel(), one.rad.ravel(), strict=True):
        steps = [-1.0, 1.0, *generator.uniform(-1, 1, count - 2)] if rad else [0.0] * count
        found.append([mp.mpf(float(mid)) + mp.mpf(float(rad)) * mp.mpf(float(s)) for s in steps])
    return found


@dataclasses.dataclass(frozen=True)
class Function:
    """A function of JAX and the true one.

    Attributes:
        jax: on arrays.
        true: on numbers of 200 bits; raises or gives a complex number where there is no real value.
        arity: the number of operands.
        low, high: the sizes of operands, as powers of two.
    """

    jax: Callable[..., Any]
    true: Callable[..., Real]
    arity: int = 1
    low: float = -40
    high: float = 40


def _power(x: Real, y: Real) -> Real:
    if x == 0 and y < 0:
        raise ValueError("a division by 0")
    return mp.power(x, y)


def _divide(x: Real, y: Real) -> Real:
    return x / y


def _angle(y: Real, x: Real) -> Real:
    return mp.atan2(y, x)


def _cbrt(x: Real) -> Real:
    return mp.sign(x) * mp.cbrt(abs(x))


def _round(x: Real) -> Real:
    return mp.nint(x)


def _wide(compute: Callable[..., Any], true: Callable[..., Real], arity: int = 1) -> Function:
    """A function of numbers of all sizes."""
    return Function(compute, true, arity, -1070.0, 1023.9)


FUNCTIONS: dict[str, Function] = {
    "add": _wide(lax.add, lambda x, y: x + y, 2),
    "sub": _wide(lax.sub, lambda x, y: x - y, 2),
    "mul": _wide(lax.mul, lambda x, y: x * y, 2),
    "div": _wide(lax.div, _divide, 2),
    "max": _wide(lax.max, max, 2),
    "min": _wide(lax.min, min, 2),
    "add, near": Function(lax.add, lambda x, y: x + y, 2, -3, 3),
    "sub, near": Function(lax.sub, lambda x, y: x - y, 2, -3, 3),
    "mul, near": Function(lax.mul, lambda x, y: x * y, 2, -3, 3),
    "div, near": Function(lax.div, _divide, 2, -3, 3),
    "max, near": Function(lax.max, max, 2, -3, 3),
    "pow": Function(lax.pow, _power, 2, -5, 5),
    "pow 2.5": Function(lambda x: x**2.5, lambda x: _power(x, mp.mpf(2.5)), 1, -100, 100),
    "pow -3": Function(lambda x: lax.pow(x, -3.0), lambda x: _power(x, mp.mpf(-3)), 1, -100, 100),
    "integer_pow 3": Function(lambda x: x**3, lambda x: x**3, 1, -400, 340),
    "integer_pow -2": Function(lambda x: x**-2, lambda x: 1 / x**2, 1, -400, 340),
    "square": _wide(jnp.square, lambda x: x * x),
    "atan2": Function(lax.atan2, _angle, 2, -60, 60),
    "neg": _wide(lax.neg, lambda x: -x),
    "abs": _wide(lax.abs, abs),
    "sign": _wide(lax.sign, mp.sign),
    "floor": Function(lax.floor, mp.floor, low=-60, high=60),
    "ceil": Function(lax.ceil, mp.ceil, low=-60, high=60),
    "round": Function(
        functools.partial(lax.round, rounding_method=lax.RoundingMethod.TO_NEAREST_EVEN), _round
    ),
    "clamp": Function(lambda x: lax.clamp(-1.5, x, 2.5), lambda x: min(max(x, mp.mpf(-1.5)), 2.5)),
    "exp": Function(lax.exp, mp.exp, high=11),
    "exp2": Function(lax.exp2, lambda x: mp.power(2, x), high=11),
    "expm1": Function(lax.expm1, mp.expm1, high=11),
    "log": _wide(lax.log, mp.log),
    "log, near 1": Function(lambda x: lax.log(1 + x), lambda x: mp.log(1 + x), low=-50, high=-1),
    "log2": _wide(jnp.log2, lambda x: mp.log(x) / mp.log(2)),
    "log1p": Function(lax.log1p, mp.log1p, high=1000),
    "tanh": Function(lax.tanh, mp.tanh, high=8),
    "logistic": Function(lax.logistic, lambda x: 1 / (1 + mp.exp(-x)), high=10),
    "erf": Function(lax.erf, mp.erf, high=5),
    "erfc": Function(lax.erfc, mp.erfc, high=5),
    "sqrt": _wide(lax.sqrt, mp.sqrt),
    "rsqrt": _wide(lax.rsqrt, lambda x: 1 / mp.sqrt(x)),
    "cbrt": _wide(lax.cbrt, _cbrt),
    "sin": Function(lax.sin, mp.sin, high=29),
    "cos": Function(lax.cos, mp.cos, high=29),
    "tan": Function(lax.tan, mp.tan, high=29),
    "asin": Function(lax.asin, mp.asin, high=1),
    "acos": Function(lax.acos, mp.acos, high=1),
    "atan": _wide(lax.atan, mp.atan),
    "sinh": Function(lax.sinh, mp.sinh, high=11),
    "cosh": Function(lax.cosh, mp.cosh, high=11),
    "asinh": Function(lax.asinh, mp.asinh, high=500),
    "acosh": Function(lax.acosh, mp.acosh, high=500),
    "atanh": Function(lax.atanh, mp.atanh, high=1),
    "gelu": Function(
        functools.partial(nn.gelu, approximate=False),
        lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        high=5,
    ),
    "silu": Function(nn.silu, lambda x: x / (1 + mp.exp(-x)), high=10),
    "softplus": Function(nn.softplus, lambda x: mp.log1p(mp.exp(x)), high=9),
    "elu": Function(nn.elu, lambda x: x if x > 0 else mp.expm1(x), high=9),
}


def true_value(function: Function, given: Sequence[Real]) -> Real | None:
    """The true value, or None where there is none."""
    try:
        found = function.true(*given)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return None if isinstance(found, mp.mpc) or not mp.isfinite(found) else found


def violations(function: Function, seed: int = 0) -> list[str]:
    """Cells whose ball does not hold what is true somewhere in the balls of the operands."""
    generator = np.random.default_rng(seed)
    given = operands(generator, function.arity, low=function.low, high=function.high)
    (made,) = run(function.jax, *given)
    inside = [points(generator, one) for one in given]
    found = []
    for i in np.flatnonzero(made.rad < np.inf):
        for chosen in zip(*(one[i] for one in inside), strict=True):
            value = true_value(function, chosen)
            if value is None or not within(value, made.mid[i], made.rad[i]):
                found.append(f"{chosen}: {value} is not {made.mid[i]} +- {made.rad[i]}")
    return found


def within(value: Real, mid: Any, rad: Any) -> bool:
    """Whether a number is in a ball."""
    if np.isinf(mid):
        return False
    reading = abs(value) * mp.mpf(2) ** -180  # what 200 bits lose
    return abs(value - mp.mpf(float(mid))) <= mp.mpf(float(rad)) + reading


def fractions(array: Any) -> np.ndarray:
    """The exact numbers of an array."""
    return np.vectorize(lambda x: Fraction(float(x)), otypes=[object])(np.asarray(array))


def outside(made: Ball, true: np.ndarray) -> list[str]:
    """Cells whose ball does not hold the exact number; an unknown cell holds every number."""
    cells = zip(made.mid.ravel(), made.rad.ravel(), np.ravel(true), strict=True)
    return [
        f"{float(value)} is not {mid} +- {rad}"
        for mid, rad, value in cells
        if np.isfinite(rad) and abs(value - Fraction(float(mid))) > Fraction(float(rad))
    ]


def shaken(generator: np.random.Generator, one: Ball) -> np.ndarray:
    """Exact numbers of the balls: the ends, mostly."""
    steps = generator.choice([-1.0, 1.0, 0.5], one.mid.shape)
    return fractions(one.mid) + fractions(one.rad) * fractions(steps)
