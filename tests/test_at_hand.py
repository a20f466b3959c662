"""Arrays at hand: NumPy computes what JAX would, number for number, and values do not depend on who computes."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import ALL
from jax import lax

from shiftproof import zoo
from shiftproof.algebras import at_hand, blocks
from shiftproof.algebras.arithmetic import FieldError
from shiftproof.algebras.at_hand import in_numpy, run, xp
from shiftproof.algebras.interval import apart, embed, enclose
from shiftproof.proving.runs import Question, Runs
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import trace

Drawn = tuple[list[np.ndarray], Callable[..., Any]]
"""Arrays, and a function of them that is one primitive."""


def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Small whole numbers, on which sums and products are exact in any order."""
    return rng.integers(-9, 10, shape).astype(np.float64)


def sizes(rng: np.random.Generator, least: int = 1, most: int = 5) -> list[int]:
    return [int(n) for n in rng.integers(least, most, rng.integers(1, 4))]


def window(rng: np.random.Generator, rank: int) -> dict[str, Any]:
    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, rank))

    return {
        "window_dimensions": some(1, 4),
        "window_strides": some(1, 3),
        "padding": tuple(zip(some(0, 3), some(0, 3), strict=True)),
        "base_dilation": some(1, 3),
        "window_dilation": some(1, 3),
    }


def reshape(rng: np.random.Generator) -> Drawn:
    x = whole(rng, 2, 3, 4)
    shape = [(24,), (4, 6), (3, 2, 4), (1, 24)][rng.integers(4)]
    return [x], lambda x: lax.reshape(x, shape)


def transpose(rng: np.random.Generator) -> Drawn:
    x = whole(rng, *sizes(rng))
    order = tuple(int(a) for a in rng.permutation(x.ndim))
    return [x], lambda x: lax.transpose(x, order)


def squeeze(rng: np.random.Generator) -> Drawn:
    return [whole(rng, 1, 3, 1)], lambda x: lax.squeeze(x, [(0,), (2,), (0, 2)][rng.integers(3)])


def broadcast(rng: np.random.Generator) -> Drawn:
    x = whole(rng, 3, 1)
    shape, axes = [((3, 5), (0, 1)), ((2, 3, 4), (1, 2)), ((3, 2, 1), (0, 2))][rng.integers(3)]
    return [x], lambda x: lax.broadcast_in_dim(x, shape, axes)


def cut(rng: np.random.Generator) -> Drawn:
    x = whole(rng, *sizes(rng, 2, 7))
    low = [int(rng.integers(0, n)) for n in x.shape]
    high = [int(rng.integers(a + 1, n + 1)) for a, n in zip(low, x.shape, strict=True)]
    steps = [int(s) for s in rng.integers(1, 4, x.ndim)]
    return [x], lambda x: lax.slice(x, low, high, steps)


def reverse(rng: np.random.Generator) -> Drawn:
    return [whole(rng, 3, 4)], lambda x: lax.rev(x, [(0,), (1,), (0, 1)][rng.integers(3)])


def concatenate(rng: np.random.Generator) -> Drawn:
    return [whole(rng, 2, 3), whole(rng, 4, 3)], lambda x, y: lax.concatenate([x, y], 0)


def pad(rng: np.random.Generator) -> Drawn:
    x = whole(rng, *sizes(rng, 2, 6))
    config = [(int(a), int(b), int(c)) for a, b, c in rng.integers((-1, -1, 0), 3, (x.ndim, 3))]
    return [x, np.float64(7)], lambda x, fill: lax.pad(x, fill, config)


def reduced(name: str) -> Callable[[np.random.Generator], Drawn]:
    function = {"sum": jnp.sum, "max": jnp.max, "min": jnp.min}[name]

    def draw(rng: np.random.Generator) -> Drawn:
        x = whole(rng, 3, 2, 4)
        axes = [(0,), (1, 2), (0, 1, 2)][rng.integers(3)]
        return [x], lambda x: function(x, axes)

    return draw


def windowed(name: str) -> Callable[[np.random.Generator], Drawn]:
    start, join = {"sum": (0.0, lax.add), "max": (-np.inf, lax.max), "min": (np.inf, lax.min)}[name]

    def draw(rng: np.random.Generator) -> Drawn:
        x = whole(rng, *sizes(rng, 5, 8))
        return [x], lambda x: lax.reduce_window(x, start, join, **window(rng, x.ndim))

    return draw


def dot(rng: np.random.Generator) -> Drawn:
    cases = [
        ((4, 3), (3, 2), (((1,), (0,)), ((), ()))),
        ((2, 4, 3), (3, 2, 5), (((2,), (0,)), ((0,), (1,)))),
        ((4, 3, 2), (2, 5, 3), (((1, 2), (2, 0)), ((), ()))),
        ((3,), (3,), (((0,), (0,)), ((), ()))),
    ]
    first, second, numbers = cases[rng.integers(len(cases))]
    return [whole(rng, *first), whole(rng, *second)], lambda x, y: lax.dot_general(x, y, numbers)


def convolution(rng: np.random.Generator) -> Drawn:
    rank = int(rng.integers(1, 4))
    groups, batches = [(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)][rng.integers(5)]
    inner = int(rng.integers(1, 3))
    features = groups * batches * int(rng.integers(1, 3))
    params = window(rng, rank)
    x = whole(rng, 2, inner * groups, *rng.integers(5, 8, rank))
    kernel = whole(rng, features, inner, *params["window_dimensions"])
    orders = [tuple(int(a) for a in rng.permutation(rank + 2)) for _ in range(3)]
    arrays = [np.transpose(x, np.argsort(orders[0])), np.transpose(kernel, np.argsort(orders[1]))]
    padding = tuple((low - 1, high - 1) for low, high in params["padding"])
    return arrays, lambda x, y: lax.conv_general_dilated(
        x,
        y,
        params["window_strides"],
        padding,
        params["base_dilation"],
        params["window_dilation"],
        lax.ConvDimensionNumbers(*orders),
        groups,
        batches,
    )


CASES: Mapping[str, Callable[[np.random.Generator], Drawn]] = {
    "reshape": reshape,
    "transpose": transpose,
    "squeeze": squeeze,
    "broadcast_in_dim": broadcast,
    "slice": cut,
    "rev": reverse,
    "concatenate": concatenate,
    "pad": pad,
    "copy": lambda rng: ([whole(rng, 3)], lax.copy_p.bind),
    "neg": lambda rng: ([whole(rng, 3)], lax.neg),
    "add": lambda rng: ([whole(rng, 3), whole(rng, 3)], lax.add),
    "add_any": lambda rng: ([whole(rng, 3), whole(rng, 3)], lax.add),
    "sub": lambda rng: ([whole(rng, 3), whole(rng, 3)], lax.sub),
    "max": lambda rng: ([whole(rng, 3), whole(rng, 3)], lax.max),
    "min": lambda rng: ([whole(rng, 3), whole(rng, 3)], lax.min),
    **{f"reduce_{name}": reduced(name) for name in ("sum", "max", "min")},
    **{f"reduce_window_{name}": windowed(name) for name in ("sum", "max", "min")},
    "dot_general": dot,
    "conv_general_dilated": convolution,
}


def equation(function: Callable[..., Any], arrays: list[np.ndarray]) -> Any:
    """The one primitive that the function is traced to."""
    (eqn,) = jax.make_jaxpr(function)(*arrays).eqns
    return eqn


def test_every_rule_has_a_case() -> None:
    assert set(CASES) | {"expand_dims"} >= {*at_hand._MOVES, *at_hand._REALS} >= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_numpy_gives_what_the_primitive_gives(name) -> None:
    rng, tried = np.random.default_rng(0), 0
    with jax.enable_x64(True):
        for _ in range(60 if ALL else 12):
            arrays, function = CASES[name](rng)
            state = rng.bit_generator.state
            try:
                eqn = equation(function, arrays)
            except (TypeError, ValueError):  # JAX refuses some of what is drawn
                continue
            rng.bit_generator.state = state
            wanted = np.asarray(function(*arrays))
            tracks = [np.stack([array, 2 * array]) for array in arrays]
            found = run(name, tracks, eqn.params)
            if 0 in wanted.shape and found is None:
                continue
            assert found is not None
            rng.bit_generator.state = state
            np.testing.assert_array_equal(found[0], wanted)
            np.testing.assert_array_equal(found[1], np.asarray(function(*(2 * a for a in arrays))))
            tried += 1
    assert tried >= 2


def test_machine_integers_are_left_to_jax() -> None:
    """They wrap around, and a sum of NumPy's has more bits."""
    small = np.full((1, 300), 127, np.int8)
    assert run("reduce_sum", [small], {"axes": (0,)}) is None
    assert run("add", [small, small], {}) is None
    np.testing.assert_array_equal(run("rev", [small], {"dimensions": (0,)}), small)


def test_who_computes_follows_from_the_arrays() -> None:
    here, there = np.arange(3.0), jnp.arange(3.0)
    assert in_numpy(here, 2, [here, (here, 1.0)])
    assert not in_numpy([here, there])
    assert isinstance(xp.where(here > 1, here, 0.0), np.ndarray)
    assert isinstance(xp.where(here > 1, there, 0.0), jax.Array)
    assert isinstance(xp.concatenate([here, there]), jax.Array)


# --- the field ---


class Counted(Runs):
    """Runs that say how many were computed at once."""

    at_once = 0

    def _run_at_once(self, field, shift, image):
        self.at_once += 1
        return super()._run_at_once(field, shift, image)


def question(name: str, *, free: bool) -> Question:
    entry = zoo.ENTRIES[name]
    model = adapt(entry.build())
    leaves = model.cast(jnp.float32)
    program = trace_model(model, leaves, np.zeros((1, *entry.shape), np.float32))
    opaque = frozenset(program.weights) if free else frozenset()
    axes = tuple(range(1, len(entry.shape)))
    return Question(program, leaves, opaque, axes, 0)


def flat(values: Iterator[list[tuple[np.ndarray, ...]]]) -> list[np.ndarray]:
    return [part for found in values for parts in found for part in parts]


SMALL = (
    "conv3x3-stride2",
    "conv-transpose3x3-stride2",
    "maxpool3x3-stride2-same",
    "lenet-flatten-same",
    "vit",
    "resnet",
)


@pytest.mark.slow
@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_what_is_computed_at_once_is_what_is_compiled(name, free) -> None:
    compare_both_ways(name, free=free)


@pytest.mark.slow
def test_what_is_compiled_for_blocks_changes_nothing(monkeypatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 2**10)
    monkeypatch.setattr(blocks, "COMPILING", 0)
    blocks._compiled.cache_clear()
    compare_both_ways("lenet-global", free=True)
    assert blocks._compiled.cache_info().currsize >= 3  # sums, functions, permutations
    blocks._compiled.cache_clear()


def compare_both_ways(name: str, *, free: bool) -> None:
    asked = question(name, free=free)
    wanted = sorted({o for o in asked.program.outputs if isinstance(o, int)})
    rank = len(asked.grid)
    shifts = [(0,) * rank, (1,) + (0,) * (rank - 1), (2,) * rank]
    few = Counted(asked, 3, wanted)
    first = flat(few.values(shifts))
    many = Counted(asked, 3, wanted, at_once=False)
    assert (few.at_once, many.at_once) == (3, 0)
    for here, there in zip(first, flat(many.values(shifts)), strict=True):
        np.testing.assert_array_equal(here, there)
    assert few.tally == many.tally
    assert few.field.opaque == many.field.opaque


@pytest.mark.slow
def test_a_program_is_compiled_when_runs_at_once_have_cost_as_much(monkeypatch) -> None:
    asked = question("conv3x3-stride2", free=True)
    wanted = [o for o in asked.program.outputs if isinstance(o, int)]
    found = Counted(asked, 2, wanted)
    shifts = [(i, 0) for i in range(4)]
    before = flat(found.values(shifts))
    assert found.at_once == 4  # at rest among them
    monkeypatch.setattr(found, "_budget", 2 * found._loss)
    after = flat(found.values(shifts))
    assert found.at_once == 4
    for here, there in zip(before, after, strict=True):
        np.testing.assert_array_equal(here, there)
    assert "_run" in vars(found)
    assert found.tally.lookups == Counted(asked, 2, wanted).tally.lookups


@pytest.mark.slow
def test_two_threads_may_ask_at_once() -> None:
    """What one finds to have no value is not lost to the other."""

    def model(x):
        y = jnp.log(x * 0)
        for _ in range(12):
            y = y + x
        return y

    traced = trace_model(adapt(model), [], np.zeros((1, 4, 1), np.float32))
    wanted = [o for o in traced.outputs if isinstance(o, int)]
    found = Runs(Question(traced, [], frozenset(), (1,), 0), 2, wanted)
    barrier = threading.Barrier(2)

    def ask(_: int) -> str:
        barrier.wait()
        try:
            list(found.values([(1,), (2,)]))
        except FieldError as error:
            return str(error)
        return "not refused"

    with ThreadPoolExecutor(2) as pool:
        told = set(pool.map(ask, range(100)))
    assert told == {"a function is infinite or NaN at 0 at some place, always"}


# --- enclosures ---


@pytest.mark.parametrize("rank", [0, 1])
def test_a_product_of_weights_without_terms_is_enclosed(rank) -> None:
    """An adapter of rank 0; what JAX computes may not be written to."""
    weights = [np.zeros((2, rank), np.float32), np.zeros((rank, 3), np.float32)]
    image = np.ones((1, 4, 4, 2), np.float32)
    program = trace(lambda w, x: x @ (w[0] @ w[1]), weights, image)
    with jax.enable_x64(True):
        (found,) = enclose(program, dict(zip(program.weights, weights, strict=True)), image).outputs
    assert np.all(np.abs(found.mid) <= found.rad)
    assert np.all(found.rad < 2.0**-900)


def test_numbers_at_the_ends_of_the_range_are_embedded_without_a_warning() -> None:
    numbers = np.array([1e300, 1.1e-100, -np.inf, np.nan, 5e-324])
    with warnings.catch_warnings(), jax.enable_x64(True):
        warnings.simplefilter("error")
        ball = embed(numbers)
        assert not np.any(apart(ball, ball))
