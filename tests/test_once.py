"""The user's code runs once, in the user's own configuration of JAX, and nothing of the user's is changed by it."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.experimental import io_callback

import shiftproof as sp
from shiftproof.errors import InputError, ModelCallError, NonDeterministicError


class Counted:
    """A function that knows how often it was called, and with which dtypes."""

    def __init__(self, function):
        self.function, self.dtypes = function, []

    def __call__(self, x):
        self.dtypes.append(x.dtype.name)
        return self.function(x)


class CountedNet(nnx.Module):
    """The same with weights."""

    def __init__(self, padding):
        self.conv = nnx.Conv(1, 2, (3, 3), padding=padding, rngs=nnx.Rngs(0))
        self.calls = Counted(lambda x: jax.nn.softmax(x, axis=(1, 2)))

    def __call__(self, x):
        return self.calls(self.conv(x))


@pytest.mark.slow
def test_a_proved_model_is_called_once() -> None:
    model = Counted(lambda x: jnp.tanh(x).sum((1, 2)))
    assert sp.verify(model, (4, 4, 1)).invariance.proved == 16
    assert model.dtypes == ["float32"]
    scene = Counted(jnp.tanh)
    assert sp.verify_scene(scene, (4, 4, 1)).proved
    # once to be proved, and once on the several scenes that refute what is not
    assert scene.dtypes == ["float32"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["all", "these"])
def test_a_refuted_model_is_called_twice(weights) -> None:
    model = CountedNet("SAME")
    assert sp.verify(model, (4, 4, 1), weights=weights).equivariance.refuted == 15
    assert model.calls.dtypes == ["float32"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR"])
@pytest.mark.parametrize("method", ["brute", "cosets"])
def test_a_sweep_calls_once(padding, method) -> None:
    """It tries float32 and float64, and measures noise in both; that is one trace."""
    model = CountedNet(padding)
    result = sp.sweep(model, (4, 4, 1), method=method, weights="these")
    assert result.count("equivariance").equal == (16 if padding == "CIRCULAR" else 1)
    assert model.calls.dtypes == ["float32"]
    model = CountedNet(padding)
    sp.placements(model, (2, 2, 1), canvas=(6, 6), weights="these")
    assert model.calls.dtypes == ["float32"]


@pytest.mark.slow
def test_a_sweep_of_one_image_also_tries_two() -> None:
    model = Counted(jnp.tanh)
    sp.sweep(model, np.arange(16.0).reshape(1, 4, 4, 1))
    assert len(model.dtypes) == 2


@pytest.mark.slow
def test_another_format_is_another_program() -> None:
    for dtype in ("bfloat16", "float16", "int32"):
        model = Counted(lambda x: x + x)
        assert sp.sweep(model, (4, 4, 1), dtype=dtype).count("equivariance").equal == 16
        assert model.dtypes == [dtype]


@pytest.mark.slow
def test_a_counterfactual_does_not_call_again() -> None:
    model = CountedNet("SAME")
    found = sp.counterfactuals(model, (4, 4, 1))
    assert max(row.count for row in found.rows) == 16
    assert set(model.calls.dtypes) == {"float32"}
    assert len(model.calls.dtypes) <= 2


P = np.array([1, 2, 3, 0])


def closing_over(table, function):
    return lambda x: function(x, table)


TABLES = {
    "int64": (P, lambda x, t: x[:, t], 4),
    "float64": (np.arange(4.0)[:, None], lambda x, t: x * t, 1),
    "complex128": (1j * np.arange(4.0)[:, None], lambda x, t: jnp.abs(x * t), 1),
    "uint64": (P.astype(np.uint64), lambda x, t: jnp.take(x, t, axis=1), 4),
}


CALLS = {
    "verify": lambda model: sp.verify(model, (4, 1)),
    "verify these": lambda model: sp.verify(model, (4, 1), weights="these", seed=3),
    "sweep float64": lambda model: sp.sweep(model, (4, 1), dtype="float64"),
    "scene": lambda model: sp.verify_scene(model, (4, 1)),
}
RAISING = {
    "wrong size": lambda model: sp.verify(lambda x: model(x) + jnp.zeros((7, 1)), (4, 1)),
    "wrong shifts": lambda model: sp.verify(model, (4, 1), shifts=[("xZ",)]),
    "wrong output": lambda model: sp.sweep(lambda x: model(x)[:, :0], (4, 1)),
    "not finite": lambda model: sp.verify(lambda x: jnp.log(model(x) - 1e9), (4, 1)),
}


def check_unbroken(model, function, table) -> None:
    """Eager and compiled, the user's function gives what it gives of a table that JAX has never seen."""
    images = jnp.arange(4.0).reshape(1, 4, 1)
    fresh = function(images, table.copy())
    for result in (model(images), jax.jit(model)(images)):
        assert result.dtype == fresh.dtype
        np.testing.assert_array_equal(result, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("call", [*CALLS, *RAISING])
@pytest.mark.parametrize("name", TABLES)
def test_a_numpy_table_in_a_closure_breaks_nothing_of_the_users(name, call) -> None:
    table, function, _ = TABLES[name]
    table = table.copy()  # JAX remembers tables by their identity
    model = closing_over(table, function)
    if call in CALLS:
        CALLS[call](model)
    else:
        with pytest.raises(sp.errors.ShiftproofError):
            RAISING[call](model)
    check_unbroken(model, function, table)


@pytest.mark.parametrize("name", TABLES)
def test_a_numpy_table_in_a_closure_is_decided(name) -> None:
    table, function, proved = TABLES[name]
    verdict = sp.verify(closing_over(table.copy(), function), (4, 1))
    assert verdict.equivariance.proved == proved
    assert verdict.equivariance.refuted == 4 - proved


@pytest.mark.slow
def test_a_model_that_is_changed_between_two_calls_is_another_one() -> None:
    rows = [slice(None)]
    model = sp.adapt(Counted(lambda x: x[:, rows[0]]))
    assert sp.verify(model, (4, 4, 1)).equivariance.proved == 16
    rows[0] = slice(0, 1)
    assert sp.verify(model, (4, 4, 1)).equivariance.proved == 4
    assert sp.sweep(model, (4, 4, 1), law="any").count("equivariance").equal == 4


class ComplexNet(nnx.Module):
    """With complex parameters."""

    def __init__(self):
        key = jax.random.key(0)
        self.kernel = nnx.Param(jax.random.normal(key, (1, 2), jnp.complex64))
        self.scale = nnx.Param(jnp.ones(2, jnp.complex64))

    def __call__(self, x):
        return jnp.abs((x.astype(jnp.complex64) @ self.kernel[...]) * self.scale[...])


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["all", "these"])
def test_complex_parameters_are_silent(weights) -> None:
    # pytest makes errors of all warnings
    assert sp.verify(ComplexNet(), (4, 4, 1), weights=weights).equivariance.proved == 16


@pytest.mark.slow
def test_a_model_that_looks_at_dtypes_is_the_one_that_the_user_runs() -> None:
    def model(x):
        return jnp.tanh(x) if x.dtype == jnp.float32 else x[:, ::2]

    assert sp.verify(model, (4, 4, 1)).equivariance.proved == 16
    assert sp.sweep(model, (4, 4, 1)).count("equivariance").equal == 16


IN_64_BITS = """
import jax, jax.numpy as jnp, numpy as np, shiftproof as sp
from flax import nnx
assert jax.config.jax_enable_x64
seen = []
def model(x):
    seen.append(x.dtype.name)
    return jax.nn.softmax(x, axis=(1, 2)) if x.dtype == jnp.float64 else x[:, :1]
assert sp.verify(model, (4, 4, 1)).equivariance.proved == 16
result = sp.sweep(model, (4, 4, 1))
assert result.count("equivariance").equal == 16 and result.header.dtype == "float64"
assert 0 < result.layers[-1].noise < 1e-12, result.layers[-1].noise
assert set(seen) == {"float64"} and len(seen) == 3, seen
assert str(sp.sweep(lambda x: x + x, (4, 4, 1), dtype="float32").count("equivariance")) == "16/16"
net = nnx.Sequential(nnx.Conv(1, 2, (3, 3), dtype=jnp.float32, rngs=nnx.Rngs(0)), nnx.silu)
assert sp.verify(net, (4, 4, 1)).equivariance.refuted == 15
assert sp.verify(net, (4, 4, 1), weights="these").equivariance.refuted == 15
assert sp.counterfactuals(net, (4, 4, 1)).rows[-1].count == 16
assert sp.verify(lambda x: jnp.copysign(jnp.exp(x), x), (4, 1)).invariance.refuted_numerically == 3
assert jax.config.jax_enable_x64 and jnp.zeros(()).dtype == jnp.float64
"""


@pytest.mark.slow
def test_with_64_bits_chosen_by_the_user() -> None:
    code = "import jax; jax.config.update('jax_enable_x64', True)\n" + IN_64_BITS
    subprocess.run([sys.executable, "-c", code], check=True)


def generator_of(kind):
    generator = np.random.default_rng(0)
    return {
        "values": lambda x: x[:, :1] * generator.normal(),
        "table": lambda x: x + generator.normal(size=(4, 4, 1)),
        "choice": lambda x: jnp.roll(x, generator.integers(1, 4), 1)[:, : generator.integers(1, 9)],
    }[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["values", "table", "choice"])
def test_a_counterexample_of_a_random_model_does_not_count(kind) -> None:
    with pytest.raises(NonDeterministicError, match="two traces of it differ"):
        sp.verify(generator_of(kind), (4, 4, 1))


def writing(x):
    ref = jax.new_ref(x)
    ref[...] = ref[...] + 1
    return ref[...]


def drawing(x):
    return x.sum() + lax.rng_uniform(0.0, 1.0, ())


IMPURE = {
    "callback": (
        lambda x: x + io_callback(lambda v: v, jax.ShapeDtypeStruct((), np.float32), 1.0),
        "io_callback at test_once.py:.*Use jax.pure_callback",
    ),
    "ordered callback": (
        lambda x: io_callback(lambda v: v, jax.ShapeDtypeStruct(x.shape, x.dtype), x, ordered=True),
        "io_callback at test_once.py:.*Use jax.pure_callback",
    ),
    "mutable array": (writing, "writing: new_ref at test_once.py:.* instead of writing"),
    "under jit": (jax.jit(writing), "new_ref at test_once.py:.* instead of writing"),
    "in a loop": (
        lambda x: lax.fori_loop(0, 2, lambda _, v: writing(v), x),
        "new_ref at test_once.py:.* instead of writing",
    ),
    "random numbers without a key": (drawing, "drawing: rng_uniform at test_once.py:.* fixed key"),
    "such numbers in a branch": (
        lambda x: lax.cond(x.sum() > 0, drawing, jnp.sum, x),
        "rng_uniform at test_once.py:.* fixed key",
    ),
}


@pytest.mark.parametrize("name", IMPURE)
@pytest.mark.parametrize("call", [sp.verify, sp.sweep, sp.verify_scene], ids=lambda f: f.__name__)
def test_what_does_more_than_compute_is_refused(name, call) -> None:
    model, message = IMPURE[name]
    with pytest.raises(ModelCallError, match=message):
        call(model, (4, 4, 1))


@pytest.mark.slow
def test_printing_is_no_effect(capfd) -> None:
    def model(x):
        jax.debug.print("sum {}", x.sum(), ordered=True)
        return lax.fori_loop(0, 2, lambda _, v: [jax.debug.print("{}", v.sum()), 2 * v][1], x)

    assert sp.verify(model, (4, 4, 1)).equivariance.proved == 16


MISTAKES = {
    "no cells": (lambda: sp.verify(lambda x: x[:, :0], (4, 1)), ModelCallError, "without cells"),
    "no cells beside": (
        lambda: sp.sweep(lambda x: (x, x[:, :0]), (4, 4, 1)),
        ModelCallError,
        r"without cells in output\.1, of shape \(4, 0, 4, 1\)",
    ),
    "a key": (
        lambda: sp.verify(lambda x: (x, jax.random.key(0)), (4, 1)),
        ModelCallError,
        r"random keys in output\.1.*key_data",
    ),
    "a negative seed": (
        lambda: sp.verify(lambda x: x, (4, 4, 1), seed=-1),
        InputError,
        "seed must be an integer of at least 0; got -1",
    ),
    "such a seed of a sweep": (
        lambda: sp.sweep(lambda x: x, (4, 4, 1), seed=-1),
        InputError,
        "seed must be",
    ),
    "such a seed of placements": (
        lambda: sp.placements(lambda x: x, (2, 2, 1), canvas=(4, 4), seed=-1),
        InputError,
        "seed must be",
    ),
    "a seed in words": (
        lambda: sp.verify_scene(lambda x: x, (4, 4, 1), seed="a"),  # type: ignore[arg-type]
        InputError,
        "seed must be an integer of at least 0; got 'a'",
    ),
    "a word for a step": (
        lambda: sp.verify(lambda x: x, (4, 4, 1), shifts=[("xZ", 0)]),
        InputError,
        "'xZ' is no step of a shift: write an integer, or 4Z",
    ),
    "half a step": (
        lambda: sp.verify(lambda x: x, (4, 4, 1), shifts=[(0.5, 0)]),  # type: ignore[list-item]
        InputError,
        "0.5 is no step",
    ),
    "one shift for several": (
        lambda: sp.verify(lambda x: x, (4, 4, 1), shifts=(2, 0)),  # type: ignore[arg-type]
        InputError,
        r"takes several shifts.*; got \(2, 0\).*write shifts=\[\(2, 0\)\]",
    ),
    "a number for shifts": (
        lambda: sp.verify(lambda x: x, (4, 1), shifts=2),  # type: ignore[arg-type]
        InputError,
        r"got 2.*write shifts=\[\('2Z',\)\]",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_a_message(name) -> None:
    call, kind, message = MISTAKES[name]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("pixel", [1e-310, 1e-200, 1e200])
def test_pixels_far_from_one_are_decided(pixel) -> None:
    images = np.ones((1, 4, 4, 1))
    images[0, 1, 2] = pixel
    verdict = sp.verify(lambda x: x * jnp.abs(x) * x, images)
    assert (verdict.equivariance.proved, verdict.invariance.refuted) == (16, 15)
