"""Weights are real numbers: what rounds on the way from them to the image is no table that a proof may read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import shiftproof as sp
from shiftproof.algebras.digits import rounded_values, uncertain_values
from shiftproof.proving.runs import Question, Runs
from shiftproof.tracing.model import adapt, trace_model

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Reports of contradictions are written to the working directory."""
    monkeypatch.chdir(tmp_path)


class OfWeights(nnx.Module):
    """`fn(x, w)` with one weight along the grid."""

    def __init__(self, fn, values):
        self.fn = fn
        self.w = nnx.Param(jnp.asarray(values, jnp.float32)[:, None])

    def __call__(self, x):
        return self.fn(x, self.w[...])


def proved(fn, values, property="equivariance", weights="these") -> int:
    """How many of the shifts are proved."""
    model = OfWeights(fn, values)
    asked = {"property": property, "weights": weights, "search_seconds": 1.0}
    verdict = sp.verify(model, (len(values), 1), **asked)
    return getattr(verdict, property).proved


def in_a_loop(x, w):
    return lax.scan(lambda carry, row: (carry, row * jnp.tanh(20 + w)), 0.0, x)[1]


def in_a_branch(x, w):
    return lax.cond(w.sum() > 0, lambda y: y * jnp.tanh(20 + w), lambda y: y, x)


ONE = [1.0, 2, 3, 5]

# each multiplies the image by a table that is flat in floats, and by its real numbers is not
ROUNDED = {
    "tanh": lambda x, w: x * jnp.tanh(20 + w),
    "sigmoid": lambda x, w: x * jax.nn.sigmoid(40 + w),
    "a sum": lambda x, w: x * (1e20 + w),
    "a comparison": lambda x, w: x * (w + 1e20 != 1e20 + w[:1]),
    "exp": lambda x, w: x * jnp.exp(-1000 * (1 + w**2)),
    "argmax": lambda x, w: x * (jnp.argmax(jnp.stack([w + 1e17, 0 * w + 1e17 + 2.5]), 0) + 1),
    "in a loop": in_a_loop,
    "in a branch": in_a_branch,
    "behind a product with zero": lambda x, w: x * jnp.tanh(0 * x + 20 + w),
    "behind a choice": lambda x, w: x * jnp.tanh(jnp.where(np.ones((4, 1), bool), 20 + w, x)),
    "a matrix product": lambda x, w: x * jnp.tanh(20 + np.eye(4, dtype=np.float32) @ w),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUNDED)
def test_what_rounds_on_the_way_from_weights_is_no_table(name) -> None:
    assert proved(ROUNDED[name], ONE) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUNDED)
def test_equal_weights_make_a_flat_table_also_where_it_rounds(name) -> None:
    assert proved(ROUNDED[name], [3.0] * 4) == 4


@pytest.mark.parametrize("name", ROUNDED)
def test_periods_of_weights_are_those_of_what_follows_cell_by_cell(name) -> None:
    if name != "a comparison":  # with the first weight
        assert proved(ROUNDED[name], [3.0, 1, 3, 1]) == 2


@pytest.mark.slow
def test_a_table_that_vanishes_in_floats_alone_makes_nothing_invariant() -> None:
    """w / 49 * 49 is just below w, for these."""
    assert proved(lambda x, w: x * (jnp.floor(w / 49 * 49) - w + 1), [1, 2, 4, 8], "invariance") < 4


# what is exact is read, as before
EXACT = {
    "a sum": (lambda x, w: x * (w + 1), [1, 2, 1, 2], 2),
    "a floor": (lambda x, w: x * (jnp.floor(w / 2 * 2) - w + 1), ONE, 4),
    "a comparison": (lambda x, w: x * (w + 1e3 != 1e3), ONE, 4),
    "argmax": (lambda x, w: x * jnp.argmax(jnp.stack([w, w + 1]), 0), ONE, 4),
    "places": (lambda x, w: x[:, w[:, 0].astype(jnp.int32) % 4], [1, 2, 3, 4], 4),
    "a branch": (lambda x, w: lax.cond(w.sum() > 3, lambda y: y, lambda y: y[:, ::-1], x), ONE, 4),
    "a slice": (
        lambda x, w: x * lax.dynamic_slice(w, ((w[0, 0] + 1).astype(jnp.int32), 0), (1, 1)),
        ONE,
        4,
    ),
    "constants": (lambda x, w: x * jnp.tanh(20 + np.array(ONE)[:, None]) + w, [1] * 4, 4),
}


@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_is_read(name) -> None:
    fn, values, count = EXACT[name]
    assert proved(fn, values) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "in a loop"])
def test_under_all_weights_nothing_is_read(name) -> None:
    assert proved(ROUNDED[name], [3.0] * 4, weights="all") == 1


def test_which_values_are_uncertain() -> None:
    def fn(x, w):
        exact, rounded = w + 1, jnp.tanh(w)
        return x * exact * (rounded > 2) * (w.T @ w) + lax.stop_gradient(exact)

    model = adapt(OfWeights(fn, ONE))
    program = trace_model(model, model.cast(jnp.float32), np.zeros((1, 4, 1), np.float32))
    weights = dict(zip(program.weights, model.cast(jnp.float32), strict=True))
    made = {eqn.name: set(eqn.outputs) for eqn in program.equations}
    reasons = rounded_values(program, weights)
    assert made["tanh"] | made["gt"] <= set(reasons)
    assert "tanh" in reasons[made["gt"].pop()]
    assert not (made["dot_general"] | made["stop_gradient"] | made["transpose"]) & set(reasons)
    uncertain = uncertain_values(program, weights)
    # contractions are exact here, but not on every device
    assert uncertain > set(reasons)
    assert uncertain & made["dot_general"]
    assert not uncertain & program.from_images
    assert uncertain_values(program, {}) == frozenset()


class Standardised(nnx.Module):
    """A convolution whose kernel has mean 0 and variance 1, in a format of 16 bits."""

    def __init__(self, dtype, channels=2):
        self.dtype = dtype
        self.kernel = nnx.Param(jax.random.normal(jax.random.key(0), (3, channels, 64)))

    def __call__(self, x):
        kernel = self.kernel[...]
        kernel = (kernel - kernel.mean((0, 1))) * lax.rsqrt(kernel.var((0, 1)) + 1e-5)
        x = jnp.pad(x, ((0, 0), (1, 1), (0, 0)), mode="wrap").astype(self.dtype)
        return lax.conv_general_dilated(
            x, kernel.astype(self.dtype), (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")
        )


@pytest.mark.slow
def test_large_weights_are_arguments_of_what_is_compiled_and_no_constants_in_it() -> None:
    model = adapt(Standardised(jnp.float32, 32))
    leaves = model.cast(jnp.float32)
    program = trace_model(model, leaves, np.zeros((1, 4, 32), np.float32))
    outputs = [o for o in program.outputs if isinstance(o, int)]
    runs = Runs(Question(program, leaves, frozenset(), (1,), 0), 2, outputs)
    assert set(runs.given) == set(program.weights)
    added = adapt(OfWeights(lambda x, w: x + jnp.tanh(w), np.arange(5000)))
    program = trace_model(added, added.cast(jnp.float32), np.zeros((1, 5000, 1), np.float32))
    question = Question(program, added.cast(jnp.float32), frozenset(), (1,), 0)
    outputs = [o for o in program.outputs if isinstance(o, int)]
    assert not Runs(question, 2, outputs).given


class Normalised(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(2, 4, (3,), padding="CIRCULAR", rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.layer = nnx.LayerNorm(4, rngs=rngs)
        self.norm.scale[...] = jnp.array([0.3, 0.7, 1.1, 1.9])
        self.norm.var[...] = jnp.array([0.5, 0.25, 3.0, 7.0])

    def __call__(self, x):
        return self.layer(nnx.gelu(self.norm(self.conv(x))))


class Spectral(nnx.Module):
    """A filter whose transform is multiplied with that of the image."""

    def __init__(self):
        self.filter = nnx.Param(jnp.array([0.3, 0.1, -0.7, 0, 0, 0, 0, 0])[:, None])

    def __call__(self, x):
        spectrum = jnp.fft.fft(self.filter[...], axis=0)
        return jnp.fft.ifft(jnp.fft.fft(x, axis=1) * spectrum, axis=1).real


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [Normalised, Spectral, lambda: Standardised(jnp.float32), lambda: Standardised(jnp.bfloat16)],
)
def test_what_is_computed_of_the_weights_of_a_layer_costs_no_proof(model) -> None:
    verdict = sp.verify(model(), (8, 2), property="equivariance", weights="these")
    assert verdict.equivariance.proved == 8


# --- behind a product with zero, and behind a choice, the kernel knows no more than the field ---

TABLE = np.arange(4, dtype=np.float32)[:, None]


def chosen(x):
    return jnp.where(np.ones((4, 1), bool), np.float32(0.3), x)


# what is added to the image, and under how many shifts it is proved to move then
BEHIND = {
    "sorted": (lambda x: lax.sort(0 * x, dimension=1), 4),
    "sorted by a flat key": (lambda x: lax.sort((0 * x, x), dimension=1, num_keys=1)[1], 4),
    "products so far": (lambda x: lax.cumprod(0 * x + 1, 1), 1),
    "windows": (
        lambda x: lax.reduce_window(0 * x, 1.0, lax.mul, (1, 2, 1), (1, 1, 1), "SAME"),
        1,
    ),
    "written products": (lambda x: (0 * x).at[:, np.array([0, 1])].multiply(3.0), 1),
    "a floor": (lambda x: TABLE * jnp.floor(0 * x + 0.3), 1),
    "a floor of a choice": (lambda x: TABLE * jnp.floor(chosen(x)), 1),
    "a product with a table": (lambda x: TABLE * (0 * x), 4),
    "a sine": (lambda x: TABLE * jnp.sin(0 * x), 4),
    "an arc cosine": (
        lambda x: x * (jnp.arccos(0 * x) - np.float32(np.pi / 2) * (TABLE == 1)),
        1,
    ),
    "a branch": (
        lambda x: lax.cond((0 * x).sum() > 1, lambda y: y * TABLE, lambda y: y, x),
        1,
    ),
    "a slice": (
        lambda x: x * lax.dynamic_slice(TABLE, ((0 * x).sum().astype(jnp.int32), 0), (1, 1)),
        4,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BEHIND)
def test_kernel_and_field_agree_behind_a_product_with_zero(name) -> None:
    added, count = BEHIND[name]
    verdict = sp.verify(lambda x: jnp.tanh(x) + added(x), (4, 1), property="equivariance")
    assert verdict.equivariance.proved == count


@pytest.mark.slow
def test_an_image_of_integers_that_vanish_names_no_branch() -> None:
    def fn(x):
        y = x.astype(jnp.int32)
        return lax.switch((0 * y)[0, 0, 0], [lambda z: z, lambda z: z * TABLE], x)

    assert sp.verify(fn, (4, 1), property="equivariance").equivariance.refuted == 0
