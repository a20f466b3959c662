"""The networks that the claims are about and the zoo does not have, written as a user would write them."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from shiftproof import layers

Array = jax.Array


class SmallCNN(nnx.Module):
    """Two circular convolutions with a pool between them, then the maximum over positions.

    >>> SmallCNN(rngs=nnx.Rngs(0))(jnp.ones((1, 16, 16, 1))).shape
    (1, 10)
    """

    def __init__(self, *, stride: int = 2, widths: tuple[int, int] = (8, 16), rngs: nnx.Rngs):
        first, second = widths
        self.stride = stride
        self.first = nnx.Conv(1, first, (5, 5), padding="CIRCULAR", rngs=rngs)
        self.second = nnx.Conv(first, second, (5, 5), padding="CIRCULAR", rngs=rngs)
        self.logits = nnx.Linear(second, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Logits (batch, 10) of images (batch, h, w, 1)."""
        return self.logits(self.features(x)[-1].max(axis=(1, 2)))

    def features(self, x: Array) -> tuple[Array, ...]:
        """The maps after the first convolution, the pool, and the second convolution."""
        first = nnx.relu(self.first(x))
        pooled = layers.max_pool(first, 2, self.stride)
        return first, pooled, nnx.relu(self.second(pooled))


class Decoder(nnx.Module):
    """A number for the whole image, then a picture drawn from it: invariant, and no moved copy of anything."""

    def __init__(self, *, size: int = 6, rngs: nnx.Rngs):
        self.size = size
        self.draw = nnx.Linear(1, size * size, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, size, size, 1) -> (batch, size, size, 1)."""
        return self.draw(x.mean(axis=(1, 2))).reshape(-1, self.size, self.size, 1)


class TrueConvolution(nnx.Module):
    """Convolution in the sense of signal processing: Flax correlates, so the kernel is turned around first."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(rngs.params.normal((3, 3, 1, 2)))

    def __call__(self, x: Array) -> Array:
        """(batch, h, w, 1) -> (batch, h, w, 2)."""
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        return jax.lax.conv_general_dilated(
            x,
            self.kernel[...][::-1, ::-1],
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


class Prefix(nnx.Module):
    """The first stages of a LeNet: convolution, pool, convolution, pool, and then the mean over positions."""

    def __init__(self, depth: int, *, widths: tuple[int, int] = (2, 3), rngs: nnx.Rngs):
        first, second = widths
        self.depth = depth
        self.first = nnx.Conv(1, first, (5, 5), padding="CIRCULAR", rngs=rngs)
        self.second = nnx.Conv(first, second, (5, 5), padding="CIRCULAR", rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, h, w, 1) -> the value after `depth` stages."""
        stages = (
            lambda v: nnx.relu(self.first(v)),
            lambda v: nnx.max_pool(v, (2, 2), strides=(2, 2)),
            lambda v: nnx.relu(self.second(v)),
            lambda v: nnx.max_pool(v, (2, 2), strides=(2, 2)),
            lambda v: v.mean(axis=(1, 2)),
        )
        for stage in stages[: self.depth]:
            x = stage(x)
        return x


STAGES = (
    "convolution 5×5",
    "max pool 2×2, stride 2",
    "convolution 5×5",
    "max pool 2×2, stride 2",
    "global mean",
)


# --- four networks with a stride of 2 that no shift disturbs ---


def average_then_mean(x: Array) -> Array:
    """Average pooling of stride 2, then the mean over positions."""
    return nnx.avg_pool(x, (2, 2), strides=(2, 2)).mean(axis=(1, 2))


def maximum_then_maximum(x: Array) -> Array:
    """Max pooling 3×3 of stride 2, then the maximum over positions."""
    return layers.max_pool(x, 3, 2).max(axis=(1, 2))


def blur(x: Array, taps: tuple[float, ...]) -> Array:
    """Blur each channel with the taps on both axes, and keep every second pixel."""
    line = jnp.asarray(taps)
    kernel = jnp.broadcast_to((line[:, None] * line)[..., None, None], (3, 3, 1, x.shape[-1]))
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (2, 2),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def blur_then_mean(x: Array) -> Array:
    """The blur 1 2 1 of stride 2: its even taps sum to 2, and so do its odd ones. Then the mean."""
    return blur(x, (1.0, 2.0, 1.0)).mean(axis=(1, 2))


def lopsided_blur_then_mean(x: Array) -> Array:
    """The blur 1 3 1, whose even taps sum to 2 and its odd one to 3. Then the mean."""
    return blur(x, (1.0, 3.0, 1.0)).mean(axis=(1, 2))


def polyphase_then_mean(x: Array) -> Array:
    """Of the four images of every second pixel the one of largest norm, then its mean over positions."""
    batch, height, width, channels = x.shape
    phases = x.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 2, 4, 1, 3, 5)
    phases = phases.reshape(batch, 4, height // 2, width // 2, channels)
    best = jnp.argmax((phases**2).sum(axis=(2, 3, 4)), axis=1)
    chosen = jnp.take_along_axis(phases, best[:, None, None, None, None], axis=1)
    return chosen[:, 0].mean(axis=(1, 2))


def parameters(model: Any) -> int:
    """How many numbers a module learns."""
    return sum(int(leaf.size) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
