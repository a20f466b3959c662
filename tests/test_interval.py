"""The interval algebra, held against arithmetic of 200 bits and exact fractions; and its mutants, each caught."""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import balls
import faults
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import ALL, some
from balls import FUNCTIONS, ball, fractions, outside, run
from flax import nnx
from jax import lax
from jaxpr_programs import random_program

import shiftproof.algebras.interval as interval
from shiftproof.algebras.interval import algebraic, apart, enclose, functions, loops, order
from shiftproof.algebras.interval import ball as margins
from shiftproof.algebras.interval.kernels import forget_kernels
from shiftproof.errors import WideningError
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import evaluate, fixed_values
from shiftproof.tracing.widen import widen

mp = balls.mp


@pytest.fixture(autouse=True, params=[False, True], ids=["at once", "traced"])
def traced(request, monkeypatch):
    """Both ways in which balls are computed."""
    monkeypatch.setattr(balls, "traced", request.param)


# --- functions, cell by cell ---


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_balls_hold_what_is_true_inside_their_operands(name):
    assert balls.violations(FUNCTIONS[name]) == []


@pytest.mark.parametrize("name", some(FUNCTIONS, 3))
def test_ordinary_operands_have_small_radii(name):
    generator = np.random.default_rng(1)
    function = FUNCTIONS[name]
    mids = generator.uniform(0.3, 0.9, (function.arity, 50))
    if name == "acosh":
        mids += 1
    rad = np.where(np.arange(50) % 2, 1e-9, 0.0)
    (made,) = run(function.jax, *(ball(mid, rad) for mid in mids), options=balls.QUICK)
    assert made.rad.max() < 1e-6
    assert made.rad[::2].max() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(functions.MONOTONE | {"cosh", "tan"}))
def test_margins_are_far_above_what_the_device_errs(name):
    """A hundredth of the margin is enough for points of all sizes."""
    function = FUNCTIONS[name]
    generator = np.random.default_rng(2)
    given = ball(balls.numbers(generator, 300, function.low, function.high))
    (made,) = run(function.jax, given)
    for x, mid, rad in zip(given.mid, made.mid, made.rad, strict=True):
        value = balls.true_value(function, [mp.mpf(float(x))])
        if np.isfinite(rad):
            assert value is not None
            assert abs(value - mp.mpf(float(mid))) <= mp.mpf(float(rad)) / 100


@pytest.mark.parametrize("name", ["log", "sqrt", "rsqrt", "acos", "acosh", "atanh", "div"])
def test_what_has_no_value_somewhere_in_a_ball_has_no_enclosure(name):
    function = FUNCTIONS[name]
    over_zero = ball(np.array([0.1, -3.0, 1.0]), np.array([0.2, 0.1, 2.5]))
    (made,) = run(function.jax, *[over_zero] * function.arity)
    unknown = [True, name != "div", True]
    if name in ("acos", "atanh"):
        unknown = [False, True, True]
    assert list(np.isinf(made.rad)) == unknown


# --- steps, comparisons, choices ---


STEPS = {
    "lt": (lax.lt, lambda x, y: x < y),
    "le": (lax.le, lambda x, y: x <= y),
    "gt": (lax.gt, lambda x, y: x > y),
    "ge": (lax.ge, lambda x, y: x >= y),
    "eq": (lax.eq, lambda x, y: x == y),
    "ne": (lax.ne, lambda x, y: x != y),
}


def compared(name: str) -> list[str]:
    """Comparisons that are called certain and are not."""
    generator = np.random.default_rng(3)
    given = balls.operands(generator, 2, low=-3, high=3)
    (made,) = run(STEPS[name][0], *given)
    assert 0.2 < np.mean(made.rad == 0) < 1
    inside = [balls.points(generator, one) for one in given]
    return [
        f"{x} {name} {y}"
        for i in np.flatnonzero(made.rad == 0)
        for x in inside[0][i]
        for y in inside[1][i]
        if bool(STEPS[name][1](x, y)) != bool(made.mid[i])
    ]


@pytest.mark.parametrize("name", STEPS)
def test_comparisons_are_certain_only_away_from_ties(name):
    assert compared(name) == []


def test_a_number_is_itself():
    (made,) = run(lambda x: x != x, ball(np.ones(2), np.array([1.0, np.inf])))
    assert list(made.rad) == [0, np.inf]
    assert not made.mid[0]


@pytest.mark.slow
def test_casts_to_integers_are_certain_away_from_jumps_and_inside_the_range():
    mid = np.array([1.5, 2.0, -0.5, 2.0, 3e9, 127.2, np.inf])
    rad = np.array([0.25, 0.1, 0.3, 0.0, 0.0, 0.1, 0.0])
    (made,) = run(lambda x: x.astype(jnp.int32), ball(mid, rad))
    assert list(made.rad) == [0, np.inf, 0, 0, np.inf, 0, np.inf]
    assert list(made.mid[[0, 2, 3, 5]]) == [1, 0, 2, 127]
    (made,) = run(lambda x: x.astype(jnp.uint8), ball(np.array([-1.0, -0.5, 255.9, 256.0])))
    assert list(made.rad) == [np.inf, 0, 0, np.inf]
    (made,) = run(lambda x: x.astype(bool), ball(np.array([0.0, 1.0, 1.0]), np.array([0, 0.5, 1])))
    assert list(made.rad) == [0, 0, np.inf]


@pytest.mark.slow
def test_machine_integers_are_certain_or_unknown_and_wrap():
    x = ball(np.array([100.0, 2.5, 3.0]), np.array([0.0, 0.0, 0.5]))

    def compute(x: Any) -> tuple[Any, ...]:
        y = x.astype(jnp.int8)
        return y * y, jnp.sign(y), y**3, jnp.maximum(y, 3), y.sum(), y[:2].max(), y >> 1, y % 7

    for made, true in zip(
        run(compute, x),
        ([16, 4], [1, 1], [64, 8], [100, 3], None, 100, [50, 1], [2, 2]),
        strict=True,
    ):
        assert jnp.issubdtype(made.mid.dtype, np.integer)
        if isinstance(true, list):
            assert list(made.rad) == [0, 0, np.inf]
            assert list(made.mid[:2]) == true
        else:
            assert made.rad == (np.inf if true is None else 0)
    with jax.enable_x64(True):
        bits = run(lambda x: lax.bitcast_convert_type(x, jnp.int64), x)[0]
    assert np.all(np.isinf(bits.rad))


def test_a_choice_that_is_not_certain_is_a_ball_around_all_cases():
    x = ball(np.array([-1.0, 0.01, 1.0]), 0.1)
    (made,) = run(lambda x: jnp.where(x > 0, 3 * x, 7.0), x)
    assert made.rad[0] == 0
    assert made.mid[1] - made.rad[1] < 0.03 - 0.3 < 7 < made.mid[1] + made.rad[1]
    assert abs(made.mid[2] - 3) < 1e-9
    assert made.rad[2] < 0.31


@pytest.mark.slow
def test_truths_are_certain_where_one_operand_decides():
    x = ball(np.array([-1.0, 0.0, 1.0]), np.array([0.1, 0.1, 0.1]))
    (both,) = run(lambda x: (x > 0) & (x > 2), x)
    (either,) = run(lambda x: (x > 0) | (x > -2), x)
    (some,) = run(lambda x: jnp.any(x > 0), x)
    (every,) = run(lambda x: jnp.all(x > -0.5), x)
    assert not both.rad.any()
    assert not both.mid.any()
    assert not either.rad.any()
    assert either.mid.all()
    assert (some.rad, bool(some.mid)) == (0, True)
    assert (every.rad, bool(every.mid)) == (0, False)


# --- sums and products, against fractions ---

Sums = tuple[Callable[..., Any], Callable[..., Any], tuple[tuple[int, ...], ...]]


def _convolved(x: Any, k: Any) -> Any:
    """A circular one over one axis."""
    return sum(np.roll(x, j, 0) @ k[j] for j in range(len(k)))


def _jax_convolved(x: Any, k: Any) -> Any:
    padded = jnp.concatenate([x[-2:], x])[None]
    return lax.conv_general_dilated(
        padded, k[::-1], (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")
    )[0]


PLACES = np.array([0, 2, 2, 5])

CONTRACTIONS: dict[str, Sums] = {
    "sum": (lambda x: x.sum(0), lambda x: x.sum(0), ((40, 6),)),
    "mean": (lambda x: x.mean(0), lambda x: x.sum(0) / Fraction(len(x)), ((49, 6),)),
    "cumsum": (lambda x: jnp.cumsum(x, 0), lambda x: np.cumsum(x, 0), ((40, 2),)),
    "prod": (lambda x: x.prod(0), lambda x: x.prod(0), ((7, 20),)),
    "cumprod": (lambda x: jnp.cumprod(x, 0), lambda x: np.cumprod(x, 0), ((7, 20),)),
    "dot": (jnp.dot, np.dot, ((6, 30), (30, 5))),
    "convolution": (_jax_convolved, _convolved, ((9, 4), (3, 4, 5))),
    "window": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (3, 1), (1, 1), "VALID"),
        lambda x: x[:-2] + x[1:-1] + x[2:],
        ((30, 3),),
    ),
    "scatter": (
        lambda x, y: x.at[PLACES].add(y),
        lambda x, y: [x.__setitem__(i, x[i] + v) for i, v in zip(PLACES, y, strict=True)] and x,
        ((6,), (4,)),
    ),
    "gather": (lambda x: x[PLACES], lambda x: x[PLACES], ((6, 5),)),
    "pad": (lambda x: jnp.pad(x, 1), lambda x: np.pad(x, 1, constant_values=0), ((6, 5),)),
    "max pool": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (3, 1), (1, 1), "VALID"),
        lambda x: np.maximum(np.maximum(x[:-2], x[1:-1]), x[2:]),
        ((30, 3),),
    ),
    "max": (lambda x: x.max(0), lambda x: x.max(0), ((40, 6),)),
    "cummax": (lambda x: lax.cummax(x, 0), lambda x: np.maximum.accumulate(x, 0), ((40, 6),)),
    "sort": (lambda x: jnp.sort(x, 0), lambda x: np.sort(x, 0), ((40, 6),)),
    "top_k": (lambda x: lax.top_k(x, 3)[0], lambda x: -np.sort(-x, 1)[:, :3], ((9, 20),)),
}


def contracted(name: str, *, low: float = -8, high: float = 8) -> list[str]:
    """Cells of sums and products outside of their balls."""
    compute, exactly, shapes = CONTRACTIONS[name]
    found = []
    for seed, scale in enumerate([0.0, 1e-17, 1e-3]):
        generator = np.random.default_rng(seed)
        given = []
        for shape in shapes:
            mid = np.exp2(generator.uniform(low, high, shape)) * generator.choice([-1, 1], shape)
            given.append(ball(mid, scale * generator.uniform(0, 2, shape)))
        (made,) = run(compute, *given)
        true = exactly(*(balls.shaken(generator, one) for one in given))
        found += outside(made, np.asarray(true, object))
        if high - low < 20 and "prod" not in name:
            assert np.all(made.rad < 1e-9 + 1e4 * scale * np.exp2(3 * high))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRACTIONS)
def test_sums_and_products_hold_the_exact_number(name):
    assert contracted(name) == []


@pytest.mark.parametrize("name", ["sum", "dot", "convolution", "cumsum", "window"])
def test_sums_of_numbers_of_all_sizes(name):
    assert contracted(name, low=-500, high=480) == []


@pytest.mark.slow
def test_a_product_that_underflows_keeps_a_radius():
    x = ball(np.array([2.0**-600, 2.0**-1000, 5e-324]))
    (made,) = run(lambda x: x * 2.0**-600, x)
    assert outside(made, fractions([2.0**-600, 2.0**-1000, 5e-324]) * Fraction(2) ** -600) == []
    (made,) = run(lambda x: (x * 2.0**-600) * 2.0**1000, x)
    true = fractions([2.0**-600, 2.0**-1000, 5e-324]) * Fraction(2) ** 400
    assert outside(made, true) == []


@pytest.mark.slow
def test_quotients_of_quotients_are_not_joined():
    """XLA takes (a / b) / c for a / (b c), which overflows, and gives 0."""
    big, c = ball(np.array([2.0**800])), ball(np.array([2.0**400]))
    (made,) = run(lambda a, b, c: (a / b) / c, big, big, c)
    assert outside(made, np.array([Fraction(2) ** -400])) == []
    assert made.rad[0] < 2.0**-440


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 7, 12, 31, 64, 101])
def test_spectra(size):
    generator = np.random.default_rng(size)
    x = ball(generator.normal(size=size), 1e-12)
    shaken = balls.shaken(generator, x)
    there, back, half = run(
        lambda x: (jnp.fft.fft(x), jnp.fft.ifft(x).real, jnp.fft.irfft(jnp.fft.rfft(x), size)), x
    )
    numbers = [mp.mpf(v.numerator) / v.denominator for v in shaken]
    for k in range(size):
        true = sum(v * mp.expjpi(-mp.mpf(2 * k * j) / size) for j, v in enumerate(numbers))
        assert abs(true - mp.mpmathify(complex(there.mid[k]))) <= there.rad[k] < 1e-9
        inverse = mp.conj(true).real / size
        assert abs(inverse - float(back.mid[k])) <= back.rad[k] < 1e-9
        assert abs(numbers[k] - float(half.mid[k])) <= half.rad[k] < 1e-8


@pytest.mark.slow
def test_complex_products_and_quotients():
    generator = np.random.default_rng(0)
    z, w = generator.normal(size=(2, 200)) + 1j * generator.normal(size=(2, 200))
    for compute, exactly in (
        (lambda z, w: z * w, lambda z, w: z * w),
        (lambda z, w: z / w, lambda z, w: z / w),
        (lambda z, w: abs(z - w), lambda z, w: abs(z - w)),
    ):
        (made,) = run(compute, ball(z, 1e-13), ball(w, 1e-12))
        for a, b, mid, rad in zip(z, w, made.mid, made.rad, strict=True):
            true = exactly(mp.mpc(complex(a)) + 1e-13, mp.mpc(complex(b)) - mp.mpc(0, 1e-12))
            assert abs(true - mp.mpmathify(complex(mid))) <= rad < 1e-8


# --- order ---


@pytest.mark.slow
def test_winners_are_certain_where_they_are_ahead():
    x = ball(np.array([[1.0, 3.0, 2.0], [1.0, 2.1, 2.0], [2.0, 2.0, 1.0]]), 0.1)
    for compute in (
        lambda x: jnp.argmax(x, 1),
        lambda x: jnp.argmin(-x, 1),
        lambda x: lax.top_k(x, 1)[1][:, 0],
        lambda x: jnp.argsort(x, 1)[:, 2],
    ):
        (made,) = run(compute, x)
        assert list(made.rad) == [0, np.inf, np.inf]
        assert made.mid[0] == 1
        (made,) = run(compute, ball(x.mid))
        assert not made.rad.any()


def test_what_is_sorted_along_moves_with_the_keys():
    keys = ball(np.array([3.0, 1.0, 2.0]), 0.1)
    others = ball(np.array([30.0, 10.0, 20.0]), np.array([3.0, 1.0, 2.0]))
    _, made = run(lambda k, v: lax.sort((k, v), num_keys=1), keys, others)
    assert list(made.mid) == [10, 20, 30]
    assert list(made.rad) == [1, 2, 3]


@pytest.mark.slow
def test_cells_are_looked_up_at_certain_places_only():
    table = np.array([1.0, 2.0, 4.0])
    look = lambda i: jnp.asarray(table)[i.astype(jnp.int32)]  # noqa: E731
    (made,) = run(look, ball(np.array([0.5, 2.2]), 0.1))
    assert list(made.mid) == [1, 4]
    assert not made.rad.any()
    (made,) = run(look, ball(np.array([0.5, 2.0]), 0.1))
    assert np.all(np.isinf(made.rad))


# --- digits: what is exact ---


def embedded(array: np.ndarray) -> interval.Ball:
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, interval.embed(array))


def exact_program(x: Any) -> Any:
    y = jnp.maximum(x * 3 - 7, 0) / 4
    y = jnp.sort(y.reshape(-1)).reshape(4, 3) @ jnp.arange(6.0).reshape(3, 2)
    y = jnp.where(y > 8, -y, jnp.floor(y * 0.5)) ** 2
    return lax.scan(lambda c, v: (c + v, abs(c)), y[0] * 0, y)[1] % 64


def exactly(x: np.ndarray) -> np.ndarray:
    y = np.vectorize(lambda v: max(v * 3 - 7, Fraction(0)) / 4)(x)
    y = np.sort(y.reshape(-1)).reshape(4, 3) @ fractions(np.arange(6.0).reshape(3, 2))
    y = np.vectorize(lambda v: (-v if v > 8 else Fraction(math.floor(v / 2))) ** 2)(y)
    sums, total = [], [Fraction(0)] * 2
    for row in y:
        sums.append([abs(v) % 64 for v in total])
        total = [a + b for a, b in zip(total, row, strict=True)]
    return np.array(sums, object)


def digits() -> list[str]:
    """Cells of an exact program that are not what they are said to be."""
    x = np.random.default_rng(0).integers(-9, 20, 12).astype(float)
    found = []
    for scale in (1.0, 2.0**8, 2.0**24 + 1, 2.0**28 + 1, 0.1):
        (made,) = run(exact_program, embedded(x * scale))
        true = exactly(fractions(x * scale))
        found += outside(made, true)
        if made.unit > 0:
            found += ["a radius" for rad in made.rad.ravel() if rad]
            found += [f"{v}" for v in true.ravel() if v % Fraction(float(made.unit))]
        elif scale in (1.0, 2.0**8):
            found.append(f"not exact at {scale}")
    return found


@pytest.mark.slow
def test_exact_programs_have_a_unit_and_no_radius():
    assert digits() == []


@pytest.mark.slow
def test_units_are_the_largest_sum_on_the_way():
    (made,) = run(lambda x: (x.sum() - x.sum() + x[0]) / 4, embedded(np.array([3.0, 5, 8])))
    assert (float(made.unit), float(made.units)) == (0.25, 32.0)
    (made,) = run(lambda x: x * 0.1, embedded(np.array([3.0, 5, 8])))
    assert (float(made.unit), float(made.units)) == (0, np.inf)


@pytest.mark.slow
def test_quotients_without_rest_are_exact():
    x = embedded(np.array([49.0, 98.0, -147.0]))
    (made,) = run(lambda x: x / 49, x)
    assert list(made.mid) == [1, 2, -3]
    assert made.unit == 1
    (made,) = run(lambda x: x / 48, x)
    assert made.unit == 0
    assert made.rad.all()


def test_embedded_numbers_are_multiples_of_their_unit():
    for array in ([3.0, 0.75, 0, -np.inf], [0.0], [1.5e300], [0.1, 1e-5], [6.0, 10.0]):
        for dtype in (np.float64, np.float32):
            if dtype == np.float32 and max(array) > 1e38:
                continue
            one = embedded(np.array(array, dtype))
            if one.unit:
                finite = fractions([v for v in np.array(array, dtype) if np.isfinite(v)])
                assert all(v % Fraction(float(one.unit)) == 0 for v in finite)
    assert embedded(np.array([6.0, 10.0])).unit == 2
    assert embedded(np.array([1.5e300])).unit == margins.LARGEST
    assert embedded(np.array([1.0, 1e-200])).unit == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_embedded_by_numpy_as_by_jax(dtype):
    generator = np.random.default_rng(0)
    array = np.concatenate([generator.normal(size=700), [1e-40, 5e-324, np.nan, np.inf, 0.0, -3.0]])
    array = array.astype(dtype)
    with jax.enable_x64(True):
        here, traced = margins.embed(array), jax.jit(margins.embed)(array)
    assert isinstance(here.mid, np.ndarray)
    for name in ("mid", "rad", "unit", "units"):
        first, second = (np.asarray(getattr(b, name)) for b in (here, traced))
        np.testing.assert_array_equal(first, second)


# --- no number ---


def overflows() -> list[str]:
    """Cells that are called known though the program overflows there, or gives no number."""
    x = ball(np.array([1e200, -1e200, 800.0]))
    programs = {
        "product": lambda x: (x * x)[:2],
        "exponential": lambda x: jnp.exp(x[2:]),
        "sum": lambda x: (abs(x) * 1e108).sum(keepdims=True) * 0,
        "logarithm": lambda x: jnp.log(x[1:2]),
        "zero": lambda x: (x - x)[:1] / (x - x)[:1],
        "infinities": lambda x: (x[:1] - jnp.inf) + jnp.inf,
        "hidden": lambda x: jnp.minimum(jnp.exp(x[2:]), 1.0),
        "compared": lambda x: (jnp.exp(x[2:]) > 1).astype(float),
        "multiplied by 0": lambda x: jnp.exp(x[2:]) * 0,
    }
    return [name for name, fn in programs.items() if not np.all(np.isinf(run(fn, x)[0].rad))]


@pytest.mark.slow
def test_what_overflows_has_no_enclosure():
    assert overflows() == []


@pytest.mark.slow
def test_known_infinities_are_exact():
    mask = jnp.array([0.0, -jnp.inf, 0.0])
    (made,) = run(lambda x: jax.nn.softmax(x + mask), ball(np.array([1.0, 2.0, 3.0]), 1e-9))
    share = mp.exp(1) / (mp.exp(1) + mp.exp(3))
    assert abs(share - float(made.mid[0])) <= made.rad[0] < 1e-7
    assert made.mid[1] == 0
    assert made.rad[1] < 1e-200
    (made,) = run(lambda x: nnx.max_pool(x, (3,), padding="SAME"), ball(np.ones((1, 4, 1)), 0.1))
    assert np.all(made.rad == 0.1)


# --- loops and branches ---


@pytest.mark.slow
def test_loops_carry_balls():
    x = ball(np.array([1.0, 2.0, 3.0]), 1e-9)
    (made,) = run(lambda x: lax.fori_loop(0, 10, lambda i, c: c * 0.5 + i, x), x)
    true = fractions(x.mid)
    for i in range(10):
        true = true / 2 + i
    assert outside(made, true) == []
    assert made.rad.max() < 1e-11
    (made,) = run(lambda x: lax.while_loop(lambda c: c.sum() < 100, lambda c: 2 * c, x), x)
    assert list(made.mid) == [32, 64, 96]
    (made,) = run(lambda x: lax.while_loop(lambda c: c.sum() < 12, lambda c: 2 * c, x), x)
    assert np.all(np.isinf(made.rad))


@pytest.mark.slow
def test_branches_are_certain_or_unknown():
    x = ball(np.array([1.0, 2.0]), 1e-9)
    for limit, known in ((2.0, True), (4.0, True), (3.0, False)):
        (made,) = run(
            lambda x, limit=limit: lax.cond(x.sum() > limit, lambda x: 2 * x, lambda x: -x, x), x
        )
        assert np.all(np.isfinite(made.rad)) == known
        if known:
            assert made.mid[0] == (2 if limit == 2 else -1)


@pytest.mark.slow
def test_of_two_writes_to_one_place_any_may_win():
    x = ball(np.array([1.0, 2.0, 3.0]))
    (twice,) = run(lambda x: jnp.zeros(3).at[jnp.array([0, 0, 1])].set(x), x)
    assert list(twice.rad) == [np.inf, 0, 0]
    (once,) = run(lambda x: jnp.zeros(3).at[jnp.array([2, 0, 1])].set(x), x)
    assert list(once.mid) == [2, 3, 1]
    assert not once.rad.any()


# --- whole programs ---


def enclosed(model: Any, images: np.ndarray, wanted: Any = ()) -> list[interval.Enclosures]:
    """The enclosures of a batch of images, each by itself."""
    adapted = adapt(model)
    weights = adapted.cast(images.dtype)
    with jax.enable_x64(images.dtype == np.float64):
        program = trace_model(adapted, weights, images[:1])
        fixed = fixed_values(program, weights)
    with jax.enable_x64(True):
        made = [enclose(program, fixed, jnp.asarray(image[None]), wanted) for image in images]
        return [jax.tree.map(np.asarray, one) for one in made]


class Network(nnx.Module):
    """A bit of everything: convolution, normalisation, attention, a sigmoid."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 4, (3,), padding="CIRCULAR", rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.dense = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        y = nnx.relu(self.conv(x))
        y = y + nnx.gelu(self.norm(y), approximate=False)
        y = nnx.softmax(jnp.einsum("bic,bjc->bij", y, y)) @ y
        return nnx.sigmoid(self.dense(y.mean(1)))


def evaluated(model: Network, x: np.ndarray) -> np.ndarray:
    """The same with numbers of 200 bits."""

    def of(array: Any) -> np.ndarray:
        return np.vectorize(lambda v: mp.mpf(float(v)), otypes=[object])(np.asarray(array))

    def each(function: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
        return np.vectorize(function, otypes=[object])

    x = of(x)
    kernel = of(model.conv.kernel[...])
    assert model.conv.bias is not None
    assert model.norm.scale is not None
    assert model.norm.bias is not None
    assert model.dense.bias is not None
    y = sum(np.roll(x, 1 - j, 0) @ kernel[j] for j in range(3)) + of(model.conv.bias[...])
    y = each(lambda v: max(v, mp.mpf(0)))(y)
    mean = y.mean(1, keepdims=True)
    variance = (y * y).mean(1, keepdims=True) - mean * mean
    root = each(lambda v: 1 / mp.sqrt(v + mp.mpf(float(np.float32(1e-6)))))(variance)
    z = (y - mean) * root * of(model.norm.scale[...]) + of(model.norm.bias[...])
    y = y + each(lambda v: v * mp.erfc(-v / mp.sqrt(2)) / 2)(z)
    scores = each(mp.exp)(y @ y.T)
    y = scores / scores.sum(1, keepdims=True) @ y
    y = y.mean(0) @ of(model.dense.kernel[...]) + of(model.dense.bias[...])
    return each(lambda v: 1 / (1 + mp.exp(-v)))(y)


@pytest.mark.slow
def test_a_network_traced_in_float32_is_enclosed_over_the_reals():
    model = Network()
    images = np.random.default_rng(0).normal(size=(3, 6, 1)).astype(np.float32)
    for found, image in zip(enclosed(model, images), images, strict=True):
        assert found.reasons == ()
        (made,) = found.outputs
        for value, mid, rad in zip(evaluated(model, image), made.mid[0], made.rad[0], strict=True):
            # the constants of the library are float32: sqrt(1/2) is what it is to 24 digits
            assert abs(value - mp.mpf(float(mid))) <= mp.mpf(float(rad)) + 1e-7
            assert rad < 1e-8


@pytest.mark.slow
def test_what_has_no_enclosure_says_so():
    (found,) = enclosed(lambda x: jnp.linalg.inv(x[..., 0]).sum() + x, np.ones((1, 3, 3, 1)))
    assert np.all(np.isinf(found.outputs[0].rad))
    assert any("lu" in reason and "test_interval.py" in reason for reason in found.reasons)


@pytest.mark.slow
def test_values_on_the_way_are_given_if_wanted():
    model = lambda x: jnp.tanh(x.sum((1, 2)))  # noqa: E731
    images = np.ones((1, 3, 3, 1), np.float32)
    with jax.enable_x64(False):
        number = next(
            e.outputs[0]
            for e in trace_model(adapt(model), [], images).equations
            if e.name == "reduce_sum"
        )
    (found,) = enclosed(model, images, (number,))
    assert float(found.values[number].mid[0, 0]) == 9
    assert found.values[number].unit > 0


@pytest.mark.slow
def test_enclosures_are_those_of_one_image_or_of_many():
    adapted = adapt(faults.large_table)
    images = np.random.default_rng(0).normal(size=(5, 1, 4, 4, 1))
    with jax.enable_x64(True):
        program = trace_model(adapted, [], images[0])
        fixed = fixed_values(program, [])
        many = jax.jit(jax.vmap(lambda image: enclose(program, fixed, image)))(images)
        one = jax.jit(lambda image: enclose(program, fixed, image))(images[2])
    many, one = jax.tree.map(np.asarray, (many.outputs[0], one.outputs[0]))
    assert np.all(np.abs(many.mid[2] - one.mid) <= many.rad[2] + one.rad)
    assert np.all(many.rad < 1e5)


# --- random programs, against what they give in float64 ---


def strayed(seed: int) -> list[str]:
    """Values of a random program in float64 that are farther from the ball than two of its radii.

    Rounding moves the plain program no farther from the real value than the ball allows, so that twice is enough.
    """
    source = random_program(seed)
    generator = np.random.default_rng(seed)
    image = generator.integers(-5, 6, (1, *source.shape)) + generator.choice([0, 0.3])
    image = image.astype(np.float32)
    program = trace_model(adapt(source.function()), [], image)
    (found,) = enclosed(source.function(), image)
    try:
        wider = widen(program)
    except WideningError:  # nothing to compare with
        return []
    with jax.enable_x64(True):
        fixed = fixed_values(wider, [])
        outputs = [n for n in wider.outputs if isinstance(n, int)]
        # equation by equation: compiled as a whole, int32 to uint32 to float is one cast on a CPU, and keeps the sign
        values = evaluate(wider, fixed, jnp.asarray(image, np.float64))
        plain = [values[n] for n in outputs]
    lost = []
    for one, value in zip(found.outputs, map(np.asarray, plain), strict=True):
        assert one.mid.dtype == value.dtype
        assert not (one.unit > 0 and one.rad.any())
        differ = (one.rad < np.inf) & (one.mid != value)
        gap = abs(one.mid[differ] * 1.0 - value[differ] * 1.0)
        lost += [
            f"{g} > {r} in\n{source}"
            for g, r in zip(gap, one.rad[differ], strict=False)
            if not g <= 2 * r
        ]
    return lost


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 8, 4))
def test_random_programs_stay_inside_their_balls(first):
    assert [v for seed in range(first, first + 4) for v in strayed(seed)] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(8, 108 if ALL else 18, 10))
def test_more_random_programs_stay_inside_their_balls(first):
    assert [v for seed in range(first, first + 10) for v in strayed(seed)] == []


# --- true shifts are never told apart, false ones are ---


def by_scan(step: Any, start: float, cells: Any) -> Any:
    return lambda x: lax.scan(step, jnp.asarray(start, x.dtype), cells(x).ravel())[0]


PAIRS = {
    "B1": (faults.absolute_sums, (6, 6, 1), "invariant", 40.0),
    "B2": (faults.large_table, (4, 4, 1), "invariant", 1.0),
    "B3": (faults.sum_of_signs, (4, 4, 1), "invariant", 1.0),
    "B3, centred": (faults.centred_signs, (6, 1), "invariant", 1.0),
    "B4": (faults.product_of_exponentials, (4, 4, 1), "invariant", 1.0),
    "B4, overflows": (faults.product_of_exponentials, (4, 4, 1), "invariant", 50.0),
    "B5": (faults.LargeBias, (8, 8, 1), "equivariant", 1.0),
}

TWINS = {
    "B2": (
        lambda x: (((x * 1.1 + (t := jnp.arange(16.0).reshape(4, 4, 1))) - t) ** 2 * t).sum((1, 2)),
        (4, 4, 1),
    ),
    "B3": (by_scan(lambda c, v: (0.5 * c + v, None), 0, lambda x: jnp.sign(x) * 0.1), (4, 4, 1)),
    "B4": (
        by_scan(lambda c, v: (0.9 * c * jnp.exp(v) + 0.1, None), 1, lambda x: x - x.mean()),
        (4, 4, 1),
    ),
    "B5": (lambda x: faults.LargeBias()(x)[:, ::-1], (8, 8, 1)),
}


def told_apart(model: Any, shape: tuple[int, ...], law: str, scale: float) -> int:
    """The cells in which a shifted image gives another output than the law says."""
    image = scale * np.random.default_rng(0).normal(size=shape)
    shifts = [(0, 0), (1, 0), (2, 3), (0, 1)]
    axes = tuple(range(len(shape) - 1))
    images = np.stack([np.roll(image, s[: len(axes)], axes) for s in shifts])
    first, *others = (found.outputs[0] for found in enclosed(model, images))
    count = 0
    for shift, other in zip(shifts[1:], others, strict=True):
        if law == "equivariant":
            mid, rad = (np.roll(x, shift, (1, 2)) for x in (first.mid, first.rad))
            count += int(np.sum(apart(margins.Ball(mid, rad, 0.0, 0.0), other)))
        else:
            count += int(np.sum(apart(first, other)))
    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_true_shifts_are_never_apart(name):
    model, shape, law, scale = PAIRS[name]
    with jax.enable_x64(True):
        model = model() if isinstance(model, type) else model
        assert told_apart(model, shape, law, scale) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TWINS)
def test_false_shifts_are_apart(name):
    model, shape = TWINS[name]
    with jax.enable_x64(True):
        law = "equivariant" if name == "B5" else "invariant"
        assert told_apart(model, shape, law, 1.0) > 0


# --- mutants: what is left out or turned round is seen ---

MODULES = (interval, algebraic, functions, loops, order, margins)


def mutate(patch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Replace a name wherever it is used."""
    for module in MODULES:
        if hasattr(module, name):
            patch.setattr(module, name, value)


def without_radius(position: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that takes one operand for a point."""

    def rule(*given: Any) -> Any:
        changed = list(given)
        one = changed[position]
        changed[position] = margins.Ball(one.mid, margins.no_radius(one.shape), one.unit, one.units)
        return function(*changed)

    return rule


def trusting(mid: Any, rad: Any, unit: Any, units: Any) -> Any:
    return margins.Ball(mid, jnp.where(jnp.isnan(rad), 0.0, rad), unit, units)


def winner_only(first: Any, second: Any) -> Any:
    above = first.mid > second.mid
    rad = jnp.where(above, first.radius, second.radius)
    return margins.Ball(jnp.maximum(first.mid, second.mid), rad, 0.0, math.inf)


def functions_of(*names: str) -> Callable[[], list[str]]:
    return lambda: [v for name in names for v in balls.violations(FUNCTIONS[name])]


def ties_of_sort() -> list[str]:
    (made,) = run(lambda x: jnp.argsort(x), ball(np.array([1.1, 1.0]), 0.1))
    return [] if np.all(np.isinf(made.rad)) else ["an order that may change"]


def meeting() -> list[str]:
    x, y = ball(np.array([1.0]), 0.2), ball(np.array([1.3]), 0.2)
    found = [] if np.isinf(run(lax.lt, x, y)[0].rad[0]) else ["a comparison near a tie"]
    with jax.enable_x64(True):
        return [*found, *(["balls that meet, apart"] if apart(x, y)[0] else [])]


def underflow() -> list[str]:
    (made,) = run(lambda x: (x * 2.0**-600) * 2.0**600, ball(np.array([2.0**-600])))
    return outside(made, fractions([2.0**-600]))


MUTANTS: dict[str, tuple[str, Any, Callable[[], list[str]]]] = {
    "no rounding of a sum": ("U", 0.0, functools.partial(contracted, "sum")),
    "no rounding of a product": ("U", 0.0, functools.partial(contracted, "dot")),
    "no rounding of one operation": (
        "rounded",
        lambda rad, magnitude, unit, terms=2: jnp.where(unit > 0, 0.0, margins.enlarged(rad)),
        functions_of("add, near", "mul, near"),
    ),
    "no underflow": ("TINY", 0.0, underflow),
    "no margin of functions": ("MARGIN", 0.0, functions_of("exp", "tanh", "erf")),
    "no ends": ("ends", lambda one: (one.mid, one.mid), functions_of("exp", "sqrt")),
    "an end turned round": (
        "ends",
        lambda one: (one.mid + one.radius, one.mid + one.radius),
        functions_of("exp", "floor"),
    ),
    "a product without the first radius": (
        "multiply",
        without_radius(0, algebraic.multiply),
        functools.partial(contracted, "prod"),
    ),
    "a product without the second radius": (
        "multiply",
        without_radius(1, algebraic.multiply),
        functools.partial(contracted, "prod"),
    ),
    "a quotient without the divisor's radius": (
        "divide",
        without_radius(1, algebraic.divide),
        functions_of("integer_pow -2"),
    ),
    "a sum of radii with the wrong sign": (
        "separate",
        lambda a, b: margins.least_size(a.mid - b.mid) > jnp.abs(a.radius - b.radius),
        meeting,
    ),
    "a maximum with the winner's radius": ("greater", winner_only, functions_of("clamp", "elu")),
    "infinities trusted": ("settle", trusting, overflows),
    "no bound of exact numbers": (
        "is_exact",
        lambda total, unit: unit > 0,
        digits,
    ),
    "ties won": ("_clear", lambda values, worst, axis: worst < math.inf, ties_of_sort),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", some(MUTANTS, 2))
def test_mutants_are_caught(name, monkeypatch):
    changed, value, check = MUTANTS[name]
    forget_kernels()
    assert check() == []
    mutate(monkeypatch, changed, value)
    forget_kernels()
    assert check() != []
    forget_kernels()
