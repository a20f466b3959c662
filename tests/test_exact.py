"""The exactness bound: computed from the program, tight enough to be met, and refused where it cannot be kept."""

import functools
import math
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import sampled, some
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import shiftproof as sp
from shiftproof.algebras import digits
from shiftproof.algebras.digits import Exact, Inexact, grade_array, grade_program
from shiftproof.algebras.interval import enclose
from shiftproof.errors import InexactWarning
from shiftproof.exactness.probes import additive_weights, integer_question
from shiftproof.tracing.trace import evaluate, fixed_divisors, fixed_values, trace

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(-4, 5, (2, 6, 6, 3)).astype(np.float32)
KERNEL = jnp.asarray(GENERATOR.integers(-2, 3, (3, 3, 3, 4)), np.float32)
MATRIX = jnp.asarray(GENERATOR.integers(-2, 3, (3, 5)), np.float32)


def conv(x, **options):
    options = {"window_strides": (1, 1), "padding": "SAME", **options}
    return jax.lax.conv_general_dilated(
        x, KERNEL, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


EXACT = {
    "add": lambda x: x + x + 0.5,
    "sub": lambda x: 3 - x,
    "mul": lambda x: x * x * 0.25,
    "square": jnp.square,
    "cube": lambda x: x**3,
    "neg abs": lambda x: -jnp.abs(x),
    "max min": lambda x: jnp.maximum(jnp.minimum(x, 2), -1),
    "clamp": lambda x: jax.lax.clamp(-1.0, x, 1.0),
    "relu": nnx.relu,
    "select": lambda x: jnp.where(x > 0, x, 0.5),
    "compare": lambda x: (x > 1).astype(x.dtype) + jnp.sign(x),
    "convert": lambda x: x.astype(jnp.int32).astype(jnp.float32) / 4,
    "floor": lambda x: jnp.floor(x / 4) + jnp.round(x / 2) + jnp.ceil(x / 8),
    "conv": conv,
    "conv strided, dilated": lambda x: conv(x, window_strides=(2, 1), rhs_dilation=(1, 2)),
    "dot": lambda x: x @ MATRIX,
    "dot of two moving": lambda x: jnp.einsum("bhwc,bhwd->bcd", x, x),
    "sum": lambda x: x.sum((1, 2)),
    "cumsum": lambda x: jnp.cumsum(x, 1),
    "max": lambda x: x[:, :2, :1].max((1, 2)),
    "argmax": lambda x: jnp.argmax(x, 1),
    "avg_pool": lambda x: nnx.avg_pool(x, (2, 2), (2, 2)),
    "max_pool": lambda x: nnx.max_pool(x, (3, 3), (2, 2), "SAME"),
    "moves": lambda x: jnp.concatenate(
        [x[:, ::-1].transpose(0, 2, 1, 3), jnp.pad(x, ((0, 0),) * 3 + ((1, 0),))[..., :3]], 1
    ),
    "logic": lambda x: ((x > 1) & ~(x < 3) | (x == 0)).astype(x.dtype),
    "remainder": lambda x: (x * 1.5) % 2.5 + (x.astype(int) % 3),
    "scatter": lambda x: x.at[:, 1].set(x[:, 0] / 4).at[:, 2].add(x[:, 0]),
    "unstack": lambda x: sum(jnp.unstack(x / 2, axis=1)),
    "top_k": lambda x: sum(jax.lax.top_k(x / 2, 2)),
    "bits": lambda x: ~(x.astype(int) ^ 5) & 6,
    "sort": lambda x: jnp.sort(x, 1),
    "tile and stack": lambda x: jnp.tile(jnp.stack([x, -x], 1), (1, 1, 2, 1, 1)),
    "update": lambda x: jax.lax.dynamic_update_slice(x, x[:, :2] / 2, (0, 1, 0, 0)),
    "gather": lambda x: jax.image.resize(x, (2, 3, 3, 3), "nearest"),
    "gather that fills": lambda x: x.at[:, np.array([1, 9])].get(mode="fill", fill_value=100.25),
    "mean over 36": lambda x: (36 * x).mean((1, 2)),
    "scatter, smaller": lambda x: x.at[:, 1].min(x[:, 0] / 2).at[:, 2].max(x[:, 0]),
    "scatter, subtracted": lambda x: jax.lax.scatter_sub(
        x[0, 0, :, 0],
        np.array([[1], [2]]),
        x[0, :2, 0, 0] / 2,
        jax.lax.ScatterDimensionNumbers((), (0,), (0,)),
    ),
    "running": lambda x: jax.lax.cummax(x / 2, 1) - jax.lax.cummin(x / 4, 2),
    "smallest": lambda x: x.min(1) + nnx.min_pool(x / 2, (2, 2), padding="SAME")[:, 0],
    "places": lambda x: jnp.argmin(x, 1) - jnp.argmax(x, 2),
    "truths": lambda x: (
        jnp.any(x > 3, 1) & jnp.all(x < 4, 2) | jnp.isfinite(x[:, 0]) & (x != 2)[:, 1]
    ),
    "comparisons": lambda x: (x <= 2).astype(x.dtype) * (x >= -2) - (x < 0) * (x == 1),
    "bits, reduced": lambda x: [
        jax.lax.reduce_xor_p.bind(x.astype(int), axes=(1,)),
        jax.lax.reduce_and_p.bind(x.astype(int), axes=(1,)),
        jax.lax.reduce_or_p.bind(x.astype(int), axes=(1,)),
    ][0],
    "whole quotients": lambda x: jax.lax.div((9 * x).astype(int), 2),
    "gradient": jax.grad(lambda x: (x * x + 3 * x).sum()),
    "window sums": lambda x: jax.lax.reduce_window(
        x / 2, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "SAME"
    ),
}
INEXACT = {
    "exp": (jnp.exp, "exp"),
    "rsqrt": (lambda x: jax.lax.rsqrt(x + 9), "rsqrt"),
    "divide by a third": (lambda x: x / 3, "no multiples of a power of two"),
    "divide by images": (lambda x: x / (x + 9), "depends on the images"),
    "too large": (lambda x: (x * 4096 + 1) * 4096 + 1, "needs integers up to"),
    "cubes": (lambda x: (x**4) ** 4, "needs integers up to"),
    "range": (lambda x: x.astype(jnp.float16) * 2**14, "may exceed float16"),
    "vanishing": (lambda x: x * np.float32(2.0**-80) * np.float32(2.0**-80), "too small"),
    "subnormal": (
        lambda x: (x >= np.float32(2.0**-140)).astype(x.dtype),
        "given numbers too small",
    ),
    "tenth": (lambda x: x * 0.1 * 0.1, "needs integers up to"),
    "fill": (
        lambda x: 3 * x.at[:, np.array([1, 9])].get(mode="fill", fill_value=0.1),
        "needs integers up to",
    ),
    "fft": (lambda x: jnp.fft.fft2(x, axes=(1, 2)).real, "fft|complex"),
    "scan": (lambda x: jax.lax.scan(lambda c, _: (c * 2, None), x, None, length=2)[0], "scan"),
    "after": (lambda x: jnp.maximum(jnp.exp(x), 0), "exp"),
}


def graded(function, images=IMAGES):
    program = trace(lambda _, x: function(x), (), images)
    fixed = fixed_values(program, [])
    grades, reach = grade_program(program, fixed, images)
    (output,) = program.outputs
    values = jax.jit(lambda x, d: evaluate(program, fixed, x, d)[output])(
        images, fixed_divisors(program, fixed)
    )
    return grades[output], np.asarray(values), reach[output]


@pytest.mark.parametrize("name", EXACT)
def test_exact_programs_keep_their_grade(name) -> None:
    grade, values, reach = graded(EXACT[name])
    assert isinstance(grade, Exact), grade
    values = np.asarray(values, np.float64)
    assert np.abs(values).max() <= grade.bound
    assert np.all(np.remainder(values, float(grade.quantum)) == 0)
    assert reach <= 2**24


@pytest.mark.parametrize("name", INEXACT)
def test_inexact_programs_say_why(name) -> None:
    function, reason = INEXACT[name]
    grade, *_ = graded(function)
    assert isinstance(grade, Inexact)
    assert re.search(reason, grade.reason), grade.reason


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::shiftproof.errors.VacuousWarning")
def test_numbers_that_vanish_refute_nothing_exactly() -> None:
    """Over the reals 0 for every image; in floats the product vanishes, and the places of positive cells are left."""
    small, places = np.float32(2.0**-80), np.arange(4.0, dtype=np.float32)[None, :, None]

    def model(x):
        made = x * small * small
        return (places * ((made > 0).astype(x.dtype) - (x > 0).astype(x.dtype))).sum((1, 2))

    found = sp.verify(model, (4, 1)).invariance
    assert (found.refuted, found.refuted_numerically) == (0, 0)


def test_the_reason_names_the_users_line() -> None:
    def model(x):
        return jnp.tanh(x) * 2

    grade, *_ = graded(model)
    assert isinstance(grade, Inexact)
    assert f"tanh at test_exact.py:{model.__code__.co_firstlineno + 1}" in grade.reason


# --- the second opinion: balls ---


EXTREME = [IMAGES, np.full_like(IMAGES, 4), np.full_like(IMAGES, -4), np.sign(IMAGES) * 4]
"""Images of no larger numbers than those that are graded."""


def disagreements(function):
    """Values that are exact by their digits, where the balls of images of that size say something else."""
    program = trace(lambda _, x: function(x), (), IMAGES)
    fixed = fixed_values(program, [])
    grades, reach = grade_program(program, fixed, IMAGES)
    exact = {n: grade for n, grade in grades.items() if isinstance(grade, Exact)}
    shown = exact[program.images].units
    with jax.enable_x64(True):
        for image in EXTREME:
            balls = enclose(program, fixed, jnp.asarray(image, np.float64), list(exact)).values
            for number, grade in exact.items():
                ball = balls[number]
                mid = np.asarray(ball.mid).astype(np.float64)
                finite = mid[np.isfinite(mid)]  # what stands for nothing is infinite
                yield from {
                    f"{number} has a radius": np.any(np.asarray(ball.rad) > 0),
                    f"{number} is too large": np.any(np.abs(finite) > grade.bound),
                    f"{number} is no multiple": np.any(finite % float(grade.quantum) != 0),
                    f"{number} met more units": float(ball.units)
                    > max(shown, reach.get(number, 0)),
                }.items()


@pytest.mark.parametrize("name", sampled(EXACT, plain=8, slow=1))
def test_what_is_exact_by_its_digits_has_no_radius(name) -> None:
    assert not [text for text, wrong in disagreements(EXACT[name]) if wrong]


MUTANTS = {
    "bound": lambda grade: Exact(grade.bound / 64, grade.quantum),
    "quantum": lambda grade: Exact(grade.bound, grade.quantum * 2),
}


@functools.cache
def rules_of(name):
    """The rules that a program uses."""
    program = trace(lambda _, x: EXACT[name](x), (), IMAGES)
    moving = [e for e in program.equations if e.outputs[0] in program.from_images]
    return {e.name for e in moving}


@pytest.mark.slow
@pytest.mark.parametrize("how", MUTANTS)
@pytest.mark.parametrize(
    ("kind", "name"),
    some([(kind, name) for kind, rules in digits.RULES.items() for name in rules], 3),
)
def test_a_wrong_rule_is_found(kind, name, how, monkeypatch) -> None:
    names = {name, name.replace("scatter_", "scatter-"), name.replace("scatter-", "scatter_")}
    users = [program for program in EXACT if names & rules_of(program)]
    assert users
    right = digits.RULES[kind][name]

    def wrong(call):
        grade = right(call)
        return MUTANTS[how](grade) if isinstance(grade, Exact) else grade

    for known in names & digits.RULES[kind].keys():  # versions of JAX differ in them
        monkeypatch.setitem(digits.RULES[kind], known, wrong)
    assert any(wrong for user in users for _, wrong in disagreements(EXACT[user]))


dyadic = st.builds(lambda n, k: Fraction(n, 2**k), st.integers(-999, 999), st.integers(0, 9))


@pytest.mark.slow
@given(st.lists(dyadic, min_size=1), st.sampled_from([1, 3, digits.BLOCK]))
def test_grade_of_an_array(fractions, block) -> None:
    """The largest magnitude, and the greatest common divisor: however many numbers are looked at together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "BLOCK", block)
        grade = grade_array(np.array([float(f) for f in fractions]))
    assert grade.bound == max(abs(f) for f in fractions)
    denominator = math.lcm(*(f.denominator for f in fractions))
    common = math.gcd(*(int(f * denominator) for f in fractions))
    assert grade.quantum == (Fraction(common, denominator) or 1)


def test_the_bound_is_met_and_one_more_is_refused() -> None:
    """A sum of four products that just fits float32, and its twin that does not."""
    fits = np.full((1, 2, 2, 1), 2.0**22 - 1, np.float32)
    grade, values, reach = graded(lambda x: x.sum((1, 2)), fits)
    assert isinstance(grade, Exact)
    assert reach == 2**24 - 4 == values.max()
    grade, *_ = graded(lambda x: x.sum((1, 2)), fits + 2)
    assert isinstance(grade, Inexact)


def test_units_count_from_the_power_of_two_in_the_quantum() -> None:
    """Multiples of 49 need as many bits as integers do; multiples of 64 need six fewer."""
    assert Exact(Fraction(4900), Fraction(49)).units == 4900
    assert Exact(Fraction(6400), Fraction(64)).units == 100


def mean_net(images=IMAGES):
    module = nnx.Dict(
        conv=nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(0)), head=nnx.Linear(4, 3, rngs=nnx.Rngs(1))
    )
    graph, state = nnx.split(module)

    def call(weights, x):
        net = nnx.merge(graph, weights)
        return net["head"](nnx.relu(net["conv"](x)).mean((1, 2)))

    program = trace(call, state, images)
    return program, jax.tree_util.tree_leaves(state)


@pytest.mark.slow
def test_integer_weights_make_a_mean_over_36_cells_exact() -> None:
    program, weights = mean_net()
    assert additive_weights(program) == {"conv.bias", "head.bias"}
    question = integer_question(program, weights, IMAGES, replaceable=[True] * len(weights))
    assert question.scale == 9  # 36 = 4 * 9, and 4 is a power of two
    drawn = dict(zip(program.weight_names, question.weights, strict=True))
    assert set(np.unique(drawn["conv.kernel"])) <= {-2, -1, 1, 2}
    assert set(np.unique(drawn["conv.bias"])) <= {-18, -9, 9, 18}
    grades, _ = grade_program(
        program, fixed_values(program, question.weights), IMAGES * question.scale
    )
    assert isinstance(grades[program.outputs[0]], Exact)


def test_weights_that_are_no_parameters_are_kept() -> None:
    program, weights = mean_net()
    question = integer_question(program, weights, IMAGES, replaceable=[False] * len(weights))
    for kept, own in zip(question.weights, weights, strict=True):
        np.testing.assert_array_equal(kept, own)


@pytest.mark.slow
def test_a_sweep_says_where_exactness_ends() -> None:
    module = nnx.Sequential(nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0)), jax.nn.softmax)
    with pytest.warns(InexactWarning, match=r"not exact from layer softmax on \(exp rounds"):
        result = sp.sweep(module, (6, 6, 1))
    assert [layer.exact for layer in result.layers] == [True, False]
    assert result.layers[1].noise > 0
    assert "exp" in result.layers[1].reason
    assert result.layers[0].bound <= result.layers[0].limit == 2**24


@pytest.mark.slow
def test_auto_takes_float64_only_where_it_is_needed() -> None:
    assert sp.sweep(lambda x: x * 3, (4, 4, 1)).header.dtype == "float32"
    assert sp.sweep(lambda x: x * 3 * 2.0**20 + 0.5, (4, 4, 1)).header.dtype == "float64"
    assert sp.sweep(jnp.tanh, (4, 4, 1)).header.dtype == "float32"


SQUARE_KERNEL = np.random.default_rng(4).integers(-2, 3, (3, 3, 3, 3))
STEPS = {
    "conv": lambda x: jax.lax.conv_general_dilated(
        x,
        jnp.asarray(SQUARE_KERNEL, x.dtype),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ),
    "relu": nnx.relu,
    "shift by a fraction": lambda x: x - 0.375,
    "quarter": lambda x: x * 0.25,
    "third": lambda x: x / 3,
    "times three": lambda x: x * 3,
    "square": jnp.square,
    "max_pool": lambda x: nnx.max_pool(x, (3, 3), padding="SAME"),
    "avg_pool": lambda x: nnx.avg_pool(x, (2, 2), padding="SAME"),
    "cumsum": lambda x: jnp.cumsum(x, 2),
    "centre": lambda x: x - x.mean((1, 2), keepdims=True),
    "join": lambda x: x * jnp.roll(x, 1, 1) + jnp.where(x > 0, x, -2 * x),
}


@pytest.mark.slow
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6))
@settings(max_examples=60)
def test_where_float32_is_called_exact_it_agrees_with_float64(names) -> None:
    """Random programs: an exact grade means that more precision changes nothing."""

    def model(x):
        for name in names:
            x = STEPS[name](x)
        return x

    def values(dtype):
        images = IMAGES[:1].astype(dtype)
        program = trace(lambda _, x: model(x), (), images)
        fixed = fixed_values(program, [])
        (output,) = program.outputs
        grades, _ = grade_program(program, fixed, images)
        found = evaluate(program, fixed, images, fixed_divisors(program, fixed))[output]
        return grades[output], np.asarray(found, np.float64)

    grade, single = values(np.float32)
    with jax.enable_x64(True):
        finer, double = values(np.float64)
    if isinstance(grade, Exact):
        np.testing.assert_array_equal(single, double)
    if isinstance(finer, Exact):
        assert np.abs(double).max() <= finer.bound
        assert np.all(np.remainder(double, float(finer.quantum)) == 0)
