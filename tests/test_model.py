"""Adapters and the checks of a call: each mistake gets its message, and no model is changed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import shiftproof as sp
from shiftproof.errors import (
    BatchCoupledWarning,
    InputError,
    ModelCallError,
    NonDeterministicError,
    NonFiniteError,
    VacuousWarning,
)

IMAGES = np.random.default_rng(0).integers(-4, 5, (2, 6, 6, 1)).astype(np.float32)


class Training(nnx.Module):
    """Dropout and batch norm, constructed in training mode."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.norm(self.conv(x)))


class Spectral(nnx.Module):
    """Writes its own parameters while it runs."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.SpectralNorm(
            nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=rngs), rngs=rngs
        )

    def __call__(self, x):
        return self.conv(x)


class Linen(linen.Module):
    """With the usual train switch, which defaults to training."""

    @linen.compact
    def __call__(self, x, train=True):
        x = linen.Conv(3, (3, 3), padding="CIRCULAR")(x)
        x = linen.BatchNorm(use_running_average=not train)(x)
        x = linen.Dropout(0.5, deterministic=not train)(x)
        return {
            "maps": linen.max_pool(x, (2, 2), (2, 2)),
            "heads": (linen.Dense(4)(x.mean((1, 2))),),
        }


def linen_pair():
    module = Linen()
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return module, module.init(keys, IMAGES)


@pytest.mark.slow
def test_an_nnx_module_is_swept_in_evaluation_mode_and_not_changed() -> None:
    module = Training(nnx.Rngs(0))
    before = jax.tree_util.tree_map(
        np.asarray, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))
    )
    result = sp.sweep(module, IMAGES, dtype="float64")
    after = jax.tree_util.tree_map(
        np.asarray, nnx.to_pure_dict(nnx.state(module, nnx.Not(nnx.RngState)))
    )
    jax.tree_util.tree_map(np.testing.assert_array_equal, before, after)
    assert module.norm.use_running_average is False
    assert module.dropout.deterministic is False
    assert result.count("equivariance").equal == 36


@pytest.mark.slow
def test_an_nnx_module_without_dropout_or_batch_norm() -> None:
    assert sp.sweep(nnx.Linear(1, 2, rngs=nnx.Rngs(0)), (4, 4, 1)).count("equivariance").equal == 16


@pytest.mark.slow
def test_a_module_that_writes_its_parameters_is_swept_on_a_copy() -> None:
    module = Spectral(nnx.Rngs(0))
    before = np.asarray(module.conv.layer_instance.kernel[...])
    assert sp.sweep(module, IMAGES, dtype="float64").count("equivariance").equal == 36
    np.testing.assert_array_equal(before, module.conv.layer_instance.kernel[...])


@pytest.mark.slow
def test_linen_with_apply_kwargs_and_named_output_leaves() -> None:
    result = sp.sweep(linen_pair(), IMAGES, apply_kwargs={"train": False}, dtype="float64")
    outputs = {x.output: x for x in result.layers if x.output}
    assert set(outputs) == {"output.heads.0", "output.maps"}
    assert result.count("equivariance", "output.maps").equal == 9
    assert not outputs["output.heads.0"].has_grid
    assert (
        result.agreement[result.index("output.heads.0")].min() >= 0
    )  # (batch, classes): labels are compared
    assert np.all(result.agreement[result.index("output.maps")] == -1)


@pytest.mark.slow
def test_every_leaf_of_a_pytree_is_swept_and_named() -> None:
    result = sp.sweep(
        lambda x: (x, {"sum": x.sum((1, 2)), "label": jnp.argmax(x[:, 0, :, 0], -1)}), IMAGES
    )
    assert set(result.outputs) == {"output.0", "output.1.label", "output.1.sum"}
    assert result.count("equivariance", "output.0").equal == 36
    assert result.count("invariance", "output.1.sum").equal == 36


@pytest.mark.slow
def test_integer_and_boolean_outputs() -> None:
    result = sp.sweep(lambda x: (x > 0, jnp.argmax(x, axis=-1)), IMAGES.repeat(2, -1) * [1, -1])
    assert all(result.count("equivariance", name).equal == 36 for name in result.outputs)


def closure(module):
    return lambda x: module(x)


def counter():
    calls = []

    def model(x):
        calls.append(1)
        return x[:, :1] * len(calls)

    return model


def calling_back(generator):
    def model(x):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        noise = jax.pure_callback(
            lambda v: np.float32(generator.normal(size=np.shape(v))),
            shape,
            x,
            vmap_method="sequential",
        )
        return x + noise

    return model


def wrong_for_shift(x):
    return jnp.where(x[:, :1, :1] == 8, jnp.inf, x)


ERRORS = {
    "train-mode batch statistics in linen": (
        lambda: sp.sweep(linen_pair(), IMAGES),
        ModelCallError,
        r'(?s)immutable.*training mode.*apply_kwargs=\{"train": False\}',
    ),
    "train-mode dropout in linen": (
        lambda: sp.sweep((linen.Dropout(0.5, deterministic=False), {}), IMAGES),
        ModelCallError,
        r'(?s)random numbers.*"deterministic": True',
    ),
    "a closure over an nnx model in training mode": (
        lambda: sp.sweep(closure(Training(nnx.Rngs(0))), IMAGES),
        ModelCallError,
        r"(?s)writes its own state.*Pass the nnx.Module itself",
    ),
    "state in Python": (
        lambda: sp.verify(counter(), (6, 6, 1)),
        NonDeterministicError,
        "two traces of it differ",
    ),
    "NumPy randomness": (
        lambda: sp.verify(lambda x: x[:, :1] + np.random.default_rng().random(), (6, 6, 1)),
        NonDeterministicError,
        "keep NumPy's generator out",
    ),
    "randomness of what is called back": (
        lambda: sp.sweep(calling_back(np.random.default_rng()), IMAGES),
        NonDeterministicError,
        "two runs on the same images differ in pure_callback by up to .* called back",
    ),
    "NaN": (
        lambda: sp.sweep(lambda x: jnp.log(x - 10), IMAGES),
        NonFiniteError,
        r"NaN or infinity: first in layer output, in 72 of 72 entries",
    ),
    "NaN names the first layer": (
        lambda: sp.sweep(lambda x: nnx.max_pool(jnp.sqrt(x - 9), (2, 2)).sum(1), IMAGES),
        NonFiniteError,
        r"first in layer max_pool \(test_model.py:\d+\)",
    ),
    "infinity under a shift only": (
        lambda: sp.sweep(
            wrong_for_shift, 4 * np.eye(6)[None, ::-1, :, None] * np.arange(1, 7)[:, None, None]
        ),
        NonFiniteError,
        r"under \d+ shifts, first under \(0?\d, \d\)",
    ),
    "values read while running": (
        lambda: sp.sweep(lambda x: x * float(x.max()), IMAGES),
        ModelCallError,
        "(?s)cannot be traced",
    ),
    "an if on values": (
        lambda: sp.sweep(lambda x: x if x.sum() > 0 else -x, IMAGES),
        ModelCallError,
        "jnp.where",
    ),
    "wrong rank": (
        lambda: sp.sweep(nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0)), IMAGES[..., 0]),
        ModelCallError,
        r"(?s)shape \(2, 6, 6\).*\(batch, \*grid, channels\)",
    ),
    "too low a rank": (
        lambda: sp.sweep(nnx.relu, IMAGES[0, :, :, 0]),
        InputError,
        r"images\[None, ..., None\]",
    ),
    "wrong channels": (
        lambda: sp.sweep(nnx.Conv(3, 2, (3, 3), rngs=nnx.Rngs(0)), IMAGES),
        ModelCallError,
        r"can be called on images of shape \(6, 6, 3\)",
    ),
    "bytes": (
        lambda: sp.sweep(nnx.relu, IMAGES.astype(np.uint8)),
        InputError,
        "dtype uint8.* / 256",
    ),
    "booleans": (lambda: sp.sweep(nnx.relu, IMAGES > 0), InputError, "dtype bool"),
    "text": (
        lambda: sp.sweep(nnx.relu, np.full((1, 2, 2, 1), "a")),
        InputError,
        "numbers are needed",
    ),
    "complex images": (
        lambda: sp.sweep(nnx.relu, IMAGES * 1j),
        InputError,
        "complex64; numbers are needed",
    ),
    "ragged": (lambda: sp.sweep(nnx.relu, [[1, 2], [3]]), InputError, "images are no array"),
    "empty": (lambda: sp.sweep(nnx.relu, np.zeros((0, 4, 4, 1))), InputError, "nothing to shift"),
    "NaN in the images": (
        lambda: sp.sweep(nnx.relu, np.where(IMAGES.max() == IMAGES, np.nan, IMAGES)),
        InputError,
        r"images hold NaN or infinity, first at index \(",
    ),
    "spatial axes": (
        lambda: sp.sweep(nnx.relu, IMAGES, spatial_axes=(0, 5)),
        InputError,
        "do not fit one image",
    ),
    "spatial axes twice": (
        lambda: sp.sweep(nnx.relu, IMAGES, spatial_axes=(0, 0)),
        InputError,
        "same axis twice",
    ),
    "a linen module without variables": (
        lambda: sp.sweep(Linen(), IMAGES),
        InputError,
        r"module.init\(key, images\)",
    ),
    "linen variables of another kind": (
        lambda: sp.sweep((Linen(), 3), IMAGES),
        InputError,
        "mapping of collections",
    ),
    "no model": (lambda: sp.sweep(3, IMAGES), InputError, "got int"),
    "no outputs": (lambda: sp.sweep(lambda x: None, IMAGES), ModelCallError, "returns no arrays"),
    "integer weights of a callable": (
        lambda: sp.sweep(nnx.relu, IMAGES, weights="integers"),
        InputError,
        "no parameters to replace",
    ),
    "unknown layer": (
        lambda: sp.sweep(nnx.relu, IMAGES, layers=["conv9"]),
        InputError,
        "no layer is named conv9; there are output",
    ),
    "unknown law": (
        lambda: sp.sweep(nnx.relu, IMAGES, law="none"),
        InputError,
        "law must be one of",
    ),  # type: ignore[arg-type]
    "unknown dtype": (
        lambda: sp.sweep(nnx.relu, IMAGES, dtype="int4"),
        InputError,
        "dtype must be one of",
    ),
    "any law off the torus": (
        lambda: sp.sweep(nnx.relu, IMAGES, law="any", boundary="background"),
        InputError,
        "needs the torus",
    ),
    "scene without a grid": (
        lambda: sp.sweep(nnx.relu, IMAGES, boundary="scene"),
        InputError,
        "needs grid=",
    ),
    "grid without a scene": (
        lambda: sp.sweep(nnx.relu, IMAGES, grid=(3, 3)),
        InputError,
        'belongs to boundary="scene"',
    ),
    "too small a chunk": (lambda: sp.sweep(nnx.relu, IMAGES, chunk=1), InputError, "at least 2"),
    "no probes": (lambda: sp.integer_images((4, 4, 1), count=0), InputError, "at least 1; got 0"),
    "wrong keyword": (
        lambda: sp.sweep(Training(nnx.Rngs(0)), IMAGES, apply_kwargs={"foo": 1}),
        ModelCallError,
        "unexpected keyword argument 'foo'",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name) -> None:
    call, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [lambda x: jnp.ones((2, 3)), lambda x: x * 0], ids=["constant", "times zero"]
)
def test_a_vacuous_pass_is_reported_as_vacuous(model) -> None:
    with pytest.warns(VacuousWarning, match="output does not depend on the images"):
        result = sp.sweep(model, IMAGES)
    assert result.layers[-1].vacuous
    assert result.count("invariance").equal == 36  # it passes, and says that this means nothing


@pytest.mark.slow
def test_constant_images_are_reported_as_vacuous() -> None:
    with pytest.warns(VacuousWarning, match="constant along spatial axis 0"):
        sp.sweep(nnx.relu, IMAGES[:, :1].repeat(6, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_batch_statistics_are_detected(count) -> None:
    def model(x):
        return x - x.mean((0, 1, 2))

    with pytest.warns(BatchCoupledWarning, match="changes with the other images of the batch"):
        sp.sweep(model, IMAGES[:count])


@pytest.mark.slow
def test_a_fixed_random_key_is_no_randomness() -> None:
    def model(x):
        return x + jax.random.normal(jax.random.key(0), x.shape)

    assert sp.sweep(model, IMAGES, dtype="float64").count("equivariance").equal == 1
