"""Layers as the user wrote them, with the grid they keep."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from shiftproof import layers
from shiftproof.proving.layers import find_layers
from shiftproof.tracing.model import adapt
from shiftproof.tracing.trace import trace


def layers_of(model, shape=(2, 8, 8, 2), axes=(1, 2), **options):
    model = adapt(model, **options)
    images = jax.ShapeDtypeStruct(shape, np.float32)
    return find_layers(trace(model.call, model.weights, images), axes)


def names(model, *args, **options):
    return [layer.name for layer in layers_of(model, *args, **options)]


class Pools(nnx.Module):
    """Pools in all the ways people write them."""

    def __init__(self, rngs):
        self.first = nnx.Conv(2, 3, (3, 3), rngs=rngs)
        self.rest = nnx.List([nnx.Conv(3, 3, (3, 3), rngs=rngs) for _ in range(2)])

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.first(x)), (2, 2), strides=(2, 2))
        for conv in self.rest:
            x = conv(x)
        x = layers.avg_pool(x, 2, 2)
        return x.reshape(x.shape[0], -1)


@pytest.mark.slow
def test_pools_are_layers_of_their_own() -> None:
    found = layers_of(Pools(nnx.Rngs(0)))
    assert [layer.name for layer in found] == [
        "first",
        "max_pool",
        "rest.0",
        "rest.1",
        "avg_pool",
        "reshape",
    ]
    assert [layer.grid_shape for layer in found] == [(8, 8), (4, 4), (4, 4), (4, 4), (2, 2), (1, 1)]
    assert [layer.strides[0] for layer in found] == [1, 2, 2, 2, 4, None]
    assert [layer.output for layer in found] == [None] * 5 + ["output"]
    assert all(str(layer.site).startswith(("test_layers.py:", "layers.py:")) for layer in found)


@pytest.mark.slow
def test_linen_modules_are_named_by_their_parameters() -> None:
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Conv(3, (3, 3), name="stem")(x))
            x = linen.max_pool(x, (2, 2), strides=(2, 2))
            return {"map": x, "logits": linen.Dense(4)(x.mean((1, 2)))}

    module = Net()
    variables = module.init(jax.random.key(0), jnp.zeros((1, 8, 8, 2)))
    found = layers_of((module, variables))
    assert [layer.name for layer in found] == ["stem", "mean", "output.logits", "output.map"]


def test_pools_inside_jit_and_remat_are_seen() -> None:
    @jax.jit
    def inner(x):
        y = nnx.max_pool(x, (2, 2), (2, 2))
        return nnx.avg_pool(y, (2, 2))

    assert names(lambda x: inner(x) + 1) == ["max_pool", "avg_pool", "output"]
    assert names(lambda x: jax.checkpoint(lambda y: nnx.max_pool(y, (2, 2), (2, 2)).sum(1))(x)) == [
        "max_pool",
        "sum",
    ]


def test_activations_and_padding_are_no_layers_but_joins_are() -> None:
    def model(x):
        y = nnx.max_pool(
            jnp.pad(nnx.relu(x), ((0, 0), (1, 0), (1, 0), (0, 0)), mode="wrap"), (2, 2)
        )
        return (y + jnp.tanh(x)).sum((1, 2))

    assert names(model) == ["max_pool", "add", "sum"]


def test_a_strided_slice_is_a_layer() -> None:
    (layer,) = layers_of(lambda x: x[:, ::2, 1::4])
    assert layer.strides == (2, 4)


def test_dead_code_is_no_layer() -> None:
    def model(x):
        nnx.avg_pool(x, (2, 2), (2, 2)).sum()
        return nnx.max_pool(x, (2, 2), (2, 2))

    assert names(model) == ["max_pool"]


def test_the_grid_is_followed_through_other_layouts() -> None:
    def channels_first(x):
        y = jax.lax.conv(x, jnp.ones((3, 2, 3, 3)), (2, 1), "SAME")
        return y.transpose(2, 3, 0, 1)

    found = layers_of(channels_first, (5, 2, 8, 6), (2, 3))
    assert (found[0].grid, found[0].batch) == ((2, 3), 0)
    assert (found[-1].grid, found[-1].batch, found[-1].strides) == ((0, 1), 2, (2, 1))


def test_patches_pixel_shuffle_and_their_strides() -> None:
    def patches(x):
        b, h, w, c = x.shape
        return (
            x.reshape(b, h // 2, 2, w // 4, 4, c)
            .transpose(0, 1, 3, 2, 4, 5)
            .reshape(b, h // 2, w // 4, -1)
        )

    (layer,) = layers_of(patches)
    assert (layer.grid, layer.strides) == ((1, 2), (2, 4))

    def shuffle(x):
        b, h, w, c = x.shape
        return x.reshape(b, h, w, 2, c // 2).transpose(0, 1, 3, 2, 4).reshape(b, 2 * h, w, c // 2)

    (layer,) = layers_of(shuffle)
    assert layer.strides == (Fraction(1, 2), 1)


def test_attention_scores_are_no_grid() -> None:
    def scores(x):  # (batch, tokens, channels) on a 1-D grid
        return jnp.einsum("bnc,bmc->bnm", x, x)

    (layer,) = layers_of(scores, (2, 8, 4), (1,))
    assert not layer.has_grid


def test_flattening_two_axes_loses_the_grid() -> None:
    layer = layers_of(lambda x: x.reshape(x.shape[0], -1, x.shape[-1]))[-1]
    assert layer.name == "reshape"
    assert not layer.has_grid
    assert layer.batch == 0


def test_an_output_of_the_images_shape_is_on_their_grid() -> None:
    matrix = jnp.ones((8, 8))
    layer = layers_of(lambda x: (x[..., 0] @ matrix)[..., None], (2, 8, 1), (1,))[-1]
    assert layer.grid == (1,)
