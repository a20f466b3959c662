import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from shiftproof import zoo
from shiftproof.tracing.model import adapt
from shiftproof.tracing.trace import (
    apply,
    evaluate,
    fixed_divisors,
    fixed_values,
    interpret,
    trace,
)

IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)


def run(fn, weights=(), images=IMAGES):
    program = trace(fn, weights, images)
    values = evaluate(program, fixed_values(program, jax.tree_util.tree_leaves(weights)), images)
    return program, [values[o] if isinstance(o, int) else o.value for o in program.outputs]


@jax.custom_jvp
def clipped(x):
    return jnp.clip(x, -1, 1)


clipped.defjvp(lambda primals, tangents: (clipped(*primals), tangents[0]))

FUNCTIONS = {
    "jit": jax.jit(lambda x: jnp.tanh(x) + 1),
    "custom_jvp": clipped,
    "remat": jax.checkpoint(lambda x: jnp.sin(x) * 2),
    "nested": lambda x: jax.jit(lambda y: nnx.relu(jax.jit(jnp.cumsum)(y)))(x),
    "scan": lambda x: jax.lax.scan(lambda c, _: (c * 2, c.sum()), x, None, length=3),
    "while": lambda x: jax.lax.while_loop(
        lambda c: c[1] < 3, lambda c: (c[0] * 2, c[1] + 1), (x, 0)
    )[0],
    "cond": lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x),
    "constants": lambda x: x * jnp.asarray(np.arange(8.0)[:, None, None]) + jnp.eye(8)[..., None],
    "literal output": lambda x: (x, 3.0, jnp.zeros(2)),
    "random": lambda x: x + jax.random.normal(jax.random.key(0), x.shape),
    "dict": lambda x: {"b": x.sum(), "a": [x, (x.max(1),)]},
    "pool": lambda x: nnx.avg_pool(x, (3, 3), (2, 2), "SAME", count_include_pad=False),
    "gather": lambda x: jax.image.resize(x, (2, 4, 4, 2), "nearest"),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_program_computes_what_was_traced(name) -> None:
    function = FUNCTIONS[name]
    _, outputs = run(lambda _, x: function(x))
    expected = jax.tree_util.tree_leaves(function(jnp.asarray(IMAGES)))
    assert len(outputs) == len(expected)
    for got, want in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-6, atol=1e-6)


def test_values_that_nothing_wants_are_dropped_after_their_last_use() -> None:
    alive = []

    class Value:
        """Knows which others there are."""

        def __init__(self, array) -> None:
            self.array = array
            alive.append(weakref.ref(self))

    def step(eqn, operands):
        most.append(sum(one() is not None for one in alive))
        arrays = [o.array if isinstance(o, Value) else o for o in operands]
        return [Value(array) for array in apply(eqn, arrays)]

    def chain(x):
        for _ in range(9):
            x = jnp.sin(x)
        return x, x.sum()

    program = trace(lambda _, x: chain(x), (), IMAGES)
    wanted = {o for o in program.outputs if isinstance(o, int)}
    most: list[int] = []
    kept = interpret(program, {program.images: Value(IMAGES)}, step, keep=wanted)
    assert kept.keys() == wanted
    assert max(most) == 2  # the image stays with its owner
    alive.clear()
    most.clear()
    whole = interpret(program, {program.images: Value(IMAGES)}, step)
    assert max(most) >= 9
    for number in wanted:
        np.testing.assert_array_equal(kept[number].array, whole[number].array)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet-flatten", "vit"])
def test_networks(name) -> None:
    entry = zoo.ENTRIES[name]
    module = entry.build(0)
    model = adapt(module)
    images = np.random.default_rng(0).normal(size=(2, *entry.shape)).astype(np.float32)
    program, (output,) = run(model.call, model.weights, images)
    np.testing.assert_allclose(output, module(images), rtol=1e-4, atol=1e-5)
    assert not {"jit", "pjit", "custom_jvp_call", "custom_vjp_call"} & {
        e.name for e in program.equations
    }


def test_names_of_weights_and_outputs() -> None:
    module = nnx.Dict(conv=nnx.Conv(2, 3, (3, 3), rngs=nnx.Rngs(0)))
    graph, state = nnx.split(module)
    program = trace(lambda w, x: {"y": nnx.merge(graph, w)["conv"](x), "z": (x, x)}, state, IMAGES)
    assert program.weight_names == ("conv.bias", "conv.kernel")
    assert program.output_names == ("output.y", "output.z.0", "output.z.1")
    assert trace(lambda w, x: x, (), IMAGES).output_names == ("output",)


def test_equations_know_the_users_line() -> None:
    def model(_, x):
        y = jnp.tanh(x)
        return nnx.max_pool(y, (2, 2))

    program = trace(model, (), IMAGES)
    sites = {e.name: e.site for e in program.equations}
    first = model.__code__.co_firstlineno
    assert [f.line for f in sites["tanh"].frames] == [first + 1]
    assert [f.line for f in sites["reduce_window_max"].frames] == [first + 2]
    assert sites["reduce_window_max"].callee == "max_pool"
    assert str(sites["tanh"]) == f"test_trace.py:{first + 1}"


def test_fingerprint_tells_programs_and_constants_apart() -> None:
    def fingerprint(fn):
        return trace(lambda _, x: fn(x), (), IMAGES).fingerprint

    table = jnp.arange(8.0)[:, None, None]
    assert fingerprint(lambda x: x + table) == fingerprint(lambda x: x + table)
    assert fingerprint(lambda x: x + table) != fingerprint(lambda x: x + 2 * table)
    assert fingerprint(lambda x: x + 1) != fingerprint(lambda x: x - 1)
    assert fingerprint(nnx.relu) == fingerprint(nnx.relu)  # no memory addresses in it
    tables = np.array([1, 2], np.float32), np.array([1, 5], np.float32)
    bodies = [jax.jit(lambda v, t=t: v * jnp.asarray(t)[1]) for t in tables]
    inside = [fingerprint(lambda x, fn=fn: x.at[0].apply(fn)) for fn in bodies]
    assert inside[0] != inside[1]  # the text of the body only names its table


def test_a_division_stays_a_division() -> None:
    """XLA multiplies by the rounded reciprocal of whatever is broadcast; divisors of full shape prevent it."""
    images = (49.0 * np.arange(1, 10_001)).reshape(1, -1, 1)
    with jax.enable_x64(True):
        program = trace(lambda _, x: x / 49, (), images)
        fixed = fixed_values(program, [])
        divisors = fixed_divisors(program, fixed)

        def quotient(images, divisors):
            return evaluate(program, fixed, images, divisors)[program.outputs[0]]

        ours = jax.jit(quotient)(images, divisors)
        naive = jax.jit(quotient)(images, {})
    np.testing.assert_array_equal(np.asarray(ours), images / 49)
    assert np.any(np.asarray(naive) != images / 49)  # the reason for all this


@pytest.mark.slow
def test_a_table_of_numpy_has_the_width_of_the_mode_it_is_traced_in() -> None:
    """JAX remembers the width that a closed-over table had when it was traced first."""
    for modes in ((False, True, False), (True, False, True)):
        table = np.arange(8.0)[:, None, None]
        for wide in modes:
            with jax.enable_x64(wide):
                dtype = np.dtype(np.float64 if wide else np.float32)
                images = IMAGES.astype(dtype)
                program, (output,) = run(lambda _, x, t=table: nnx.relu(x) * t, images=images)
                assert {aval.dtype for aval in program.avals.values()} == {dtype}
                assert {value.dtype for value in program.constants.values()} == {dtype}
                np.testing.assert_array_equal(output, np.maximum(images, 0) * table.astype(dtype))
