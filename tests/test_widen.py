"""Widening: the float64 program is made of the traced one, and is the function that the user wrote."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import shiftproof as sp
from shiftproof.errors import WideningError
from shiftproof.tracing.trace import evaluate, fixed_values, trace
from shiftproof.tracing.widen import DOUBLE, SINGLE, recast, widen

IMAGES = np.random.default_rng(0).normal(size=(1, 4, 4, 2))


def branches(x):
    return lax.cond(x.sum() > 0, jnp.sin, lambda v: lax.fori_loop(0, 2, lambda _, u: 1.5 * u, v), x)


EXACT = {
    "scan": lambda x: lax.scan(lambda c, _: (c * 2 + jnp.sin(c), c.sum()), x, None, length=3),
    "while": lambda x: lax.while_loop(
        lambda c: c[1] < 3, lambda c: (jnp.tanh(c[0]), c[1] + 1), (x, 0)
    )[0],
    "cond": branches,
    "loops in loops": lambda x: lax.scan(lambda c, _: (branches(c), None), x, None, length=3)[0],
    "scatter": lambda x: x.at[0, 1].add(2.0).at[0, 2].max(0.5).at[0, 3].set(4.0),
    "scatter of a function": lambda x: x.at[0, 0].apply(lambda v: v * 3 + 1),
    "reduce": lambda x: lax.reduce(x, 0.0, lambda a, b: a + b * 1, (1,)),
    "reduce_window": lambda x: lax.reduce_window(
        x, 0.0, lambda a, b: a + b * 1, (1, 2, 2, 1), (1, 1, 1, 1), "VALID"
    ),
    "conj": lambda x: (jnp.conj(x * (1 + 2j)) * x).imag,
    "conjugate gradients": lambda x: jax.scipy.sparse.linalg.cg(lambda v: 2 * v, x)[0],
    "spectrum": lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x[..., 0]) * 1j).real,
    "order": lambda x: (jnp.sort(x, 1), jnp.argmax(x, 1), lax.top_k(x, 1)),
    "a stated result": lambda x: lax.dot(
        x[0, ..., 0], x[0, ..., 1], preferred_element_type=x.dtype
    ),
    "integers": lambda x: (x * 10).astype(jnp.int8) + jnp.int8(100),
    "complex": lambda x: lax.complex(x, 2 * x) * (1 + 2j),
    "gradient": jax.grad(lambda x: (jax.nn.softmax(x) ** 2).sum()),
    "jit": jax.jit(lambda x: nnx.relu(x) + jnp.arange(2.0)),
    "a literal output": lambda x: (x, 3.0, jnp.zeros(2)),
}
"""What it computes in float64 is what JAX computes in 64-bit mode."""

ROUNDED = {
    "bfloat16": lambda x: nnx.silu(x.astype(jnp.bfloat16) * 1.5).astype(jnp.float32),
    "float8": lambda x: nnx.silu(x.astype(jnp.float8_e4m3fn).astype(jnp.float16) * 1.5),
    "reduce_precision": lambda x: nnx.silu(lax.reduce_precision(x, 5, 3) * 1.5),
}
"""Casts between floats are the identity over the real numbers."""


def run(program, images):
    with jax.enable_x64(True):
        values = evaluate(program, fixed_values(program, []), images)
        return [np.asarray(values[o] if isinstance(o, int) else o.value) for o in program.outputs]


def traced(model):
    return trace(lambda _, x: model(x), (), jax.ShapeDtypeStruct(IMAGES.shape, np.float32))


def check_formats(program, wide):
    """All floats of the traced program are double in the other, at the same numbers."""
    for number, aval in program.avals.items():
        assert wide.avals[number].shape == aval.shape
        assert wide.avals[number].dtype == DOUBLE.dtype(aval.dtype)
    for value in wide.constants.values():
        assert value.dtype == DOUBLE.dtype(value.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_a_widened_program_computes_what_jax_computes_in_float64(name) -> None:
    program = traced(EXACT[name])
    wide = widen(program)
    check_formats(program, wide)
    assert wide.fingerprint != program.fingerprint
    with jax.enable_x64(True):
        wanted = jax.tree_util.tree_leaves(jax.jit(EXACT[name])(jnp.asarray(IMAGES)))
    for got, want in zip(run(wide, IMAGES), wanted, strict=True):
        assert got.dtype == DOUBLE.dtype(got.dtype)
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-13, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUNDED)
def test_casts_between_floats_are_the_identity(name) -> None:
    program = traced(ROUNDED[name])
    wide = widen(program)
    check_formats(program, wide)
    (found,) = run(wide, IMAGES)
    np.testing.assert_allclose(found, IMAGES * 1.5 / (1 + np.exp(-1.5 * IMAGES)), rtol=1e-13)
    (rounded,) = run(program, IMAGES.astype(np.float32))
    assert np.abs(rounded - found).max() > 1e-4  # as it was traced it does round


def test_an_algorithm_of_products_names_formats_and_goes() -> None:
    program = traced(lambda x: lax.dot(x[0, ..., 0], x[0, ..., 1], precision="BF16_BF16_F32"))
    (found,) = run(widen(program), IMAGES)
    np.testing.assert_allclose(found, IMAGES[0, ..., 0] @ IMAGES[0, ..., 1], rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [jax.random.normal, lambda key, shape: jax.random.gamma(key, 2.0, shape)],
    ids=["normal", "gamma"],
)
def test_random_tables_keep_their_numbers(draw) -> None:
    """They are made of the bits of integers, which do not change; only what follows is computed in float64."""
    table = np.asarray(draw(jax.random.key(0), IMAGES.shape))
    (found,) = run(widen(traced(lambda x: x + draw(jax.random.key(0), x.shape))), 0 * IMAGES)
    np.testing.assert_allclose(found, table, rtol=1e-5)


def test_a_program_that_is_wide_on_its_face_is_widened_inside() -> None:
    def step(carry, _):
        return nnx.silu(carry.astype(jnp.bfloat16)).astype(carry.dtype), None

    with jax.enable_x64(True):
        aval = jax.ShapeDtypeStruct(IMAGES.shape, np.float64)
        program = trace(lambda _, x: lax.scan(step, x, None, length=1)[0], (), aval)
    assert program.rounding[program.outputs[0]] == 2.0**-7
    wide = widen(program)
    assert wide.rounding[program.outputs[0]] == 2.0**-52
    np.testing.assert_allclose(run(wide, IMAGES)[0], IMAGES / (1 + np.exp(-IMAGES)), rtol=1e-13)
    narrow = recast(program, SINGLE)
    assert {aval.dtype for aval in narrow.avals.values()} == {np.dtype(np.float32)}
    assert narrow.rounding[program.outputs[0]] == 2.0**-23


@pytest.mark.slow
def test_a_coarse_format_in_a_loop_is_told() -> None:
    def step(carry, _):
        return nnx.silu(carry.astype(jnp.bfloat16)).astype(carry.dtype), None

    verdict = sp.verify(lambda x: lax.scan(step, x, None, length=2)[0], (4, 4, 1))
    assert verdict.equivariance.proved == 16
    assert "computes in bfloat16 on the way" in verdict.notes[0]


def calling_back(x):
    return jax.pure_callback(
        lambda v: np.asarray(v), jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential"
    )


REFUSED = {
    "bits": (lambda x: lax.bitcast_convert_type(x, jnp.int32), "reads the bits of a float"),
    "sign bit": (lambda x: jnp.copysign(x, 2 * x), "reads the bits of a float"),
    "neighbour": (lambda x: jnp.nextafter(x, x + 1), "neighbour of a float"),
    "callback": (calling_back, "promised other formats"),
    "in a loop": (
        lambda x: lax.fori_loop(0, 2, lambda _, v: jnp.nextafter(v, v + 1), x),
        "neighbour of a float",
    ),
    "gamma of the image": (
        lambda x: jax.random.gamma(jax.random.key(0), jnp.exp(x)),
        "draws other random numbers",
    ),
    "another way to run a body": (
        lambda x: jax.shard_map(
            lambda v: 2 * v,
            mesh=jax.make_mesh((1,), ("a",)),
            in_specs=jax.sharding.PartitionSpec(),
            out_specs=jax.sharding.PartitionSpec(),
        )(x),
        "holds a program",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_a_format_is_refused_with_the_line(name) -> None:
    model, reason = REFUSED[name]
    with pytest.raises(WideningError, match=rf"at test_widen\.py:\d+ .*{reason}"):
        widen(traced(model))


@pytest.mark.slow
def test_what_cannot_be_widened_runs_as_it_was_traced() -> None:
    def model(x):
        return jnp.copysign(jnp.exp(x), x)

    verdict = sp.verify(model, (4, 1))
    assert verdict.invariance.refuted_numerically == 3
    assert {witness.trial.dtype for witness in verdict.witnesses} == {"float32"}
    result = sp.sweep(model, (4, 4, 1))
    assert result.header.dtype == "float32"
    assert result.count("equivariance").equal == 16
    assert np.isnan(result.layers[-1].noise)
    with pytest.raises(WideningError, match="reads the bits of a float"):
        sp.sweep(model, (4, 4, 1), dtype="float64")


class Half(nnx.Module):
    """A convolution in a format with 8 bits, with zero padding or without."""

    def __init__(self, dtype, padding):
        self.conv = nnx.Conv(1, 2, (3, 3), padding=padding, dtype=dtype, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.silu(self.conv(x))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize(("padding", "proved"), [("SAME", 1), ("CIRCULAR", 64)])
def test_models_in_coarse_formats_are_decided_over_the_reals(dtype, padding, proved) -> None:
    verdict = sp.verify(Half(dtype, padding), (8, 8, 1))
    found = verdict.equivariance
    assert (found.proved, found.refuted, found.undecided) == (proved, 64 - proved, 0)
    name = jnp.dtype(dtype).name
    notes = [note for note in verdict.notes if f"computes in {name} on the way" in note]
    assert len(notes) == 1
    swept = sp.sweep(Half(dtype, padding), (8, 8, 1), weights="these")
    assert swept.count("equivariance").equal == proved


class Attention(nnx.Module):
    """Attends in bfloat16; its head is in float32."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.embed = nnx.Linear(3, 8, dtype=jnp.bfloat16, rngs=rngs)
        self.mix = nnx.MultiHeadAttention(2, 8, 8, dtype=jnp.bfloat16, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        tokens = self.embed(x.reshape(x.shape[0], -1, 3))
        return self.head((tokens + self.mix(tokens)).astype(jnp.float32)).reshape(*x.shape[:3], 5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["brute", "cosets"])
def test_noise_is_that_of_the_coarsest_format_on_the_way(method) -> None:
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 3))
    result = sp.sweep(Attention(1), images, method=method)
    assert result.header.dtype == "float32"
    assert result.count("equivariance").equal == 64
    assert result.layers[-1].noise > 1e-3
