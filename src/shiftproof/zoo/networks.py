"""Models of the zoo that Flax does not have ready made: pools, a dense layer, LeNet, ResNet, ViT, U-Net, an automaton.

They are sized for tests, not for accuracy, and take their options by keyword so that one class
covers the circular, the zero padded and the broken variants. Unless they say otherwise they map (batch, h, w, channels)
to logits (batch, classes).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof import layers

Array = jax.Array
Padding = Literal["CIRCULAR", "SAME"]


def _check_option(value: object, allowed: Sequence[object], *, what: str) -> None:
    if value not in allowed:
        choices = " or ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{what}={value!r} is not supported, expected {choices}")


POOLS = {"max": (nnx.max_pool, layers.max_pool), "avg": (nnx.avg_pool, layers.avg_pool)}
"""Pools of Flax, and the same on the torus."""


def pool_layer(
    kind: Literal["max", "avg"], window: int, *, stride: int, padding: Padding = "CIRCULAR"
) -> Callable[[Array], Array]:
    """A pool as a plain function on (batch, h, w, channels); `SAME` is Flax's own padding.

    >>> pool_layer("max", 3, stride=2)(jnp.ones((1, 8, 8, 2))).shape
    (1, 4, 4, 2)
    """
    padded, wrapped = POOLS[kind]

    def same(x: Array) -> Array:
        return padded(x, (window, window), strides=(stride, stride), padding="SAME")

    def circular(x: Array) -> Array:
        return wrapped(x, window, stride)

    return same if padding == "SAME" else circular


class Dense(nnx.Module):
    """Flatten and one linear layer, (batch, *shape) -> (batch, features).

    >>> Dense(shape=(8, 8, 2), features=10, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 2))).shape
    (1, 10)
    """

    def __init__(self, *, shape: Sequence[int], features: int = 10, rngs: nnx.Rngs):
        self.linear = nnx.Linear(math.prod(shape), features, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Features (batch, features) of inputs (batch, *shape)."""
        return self.linear(x.reshape(x.shape[0], -1))


class LeNet(nnx.Module):
    """Conv 5x5, ReLU, max pool 2x2, two or three times; then a dense or a global head.

    The maps have ``width, 2 * width, 4 * width`` channels. With ``head="flatten"`` two linear
    layers read every position, with ``head="global"`` one reads the mean over positions.

    Args:
        padding: of convolutions and pools. A circular pool of stride 1 wraps one pixel; of
            stride 2 it needs no wrap on an even size and drops the last row on an odd one
            (28, 14, 7, 3), as a plain VALID pool does.
        head: ``"flatten"`` or ``"global"``.
        pool_stride: 2 or 1.
        pools: number of stages, 2 or 3.
        size: height and width of the input, pixels.
        channels: of the input.
        width: channels of the first map.
        hidden: features between the two linear layers of the flatten head.
        classes: logits.

    Raises:
        ValueError: an option is none of the values above.

    >>> LeNet(head="global", rngs=nnx.Rngs(0))(jnp.ones((1, 28, 28, 1))).shape
    (1, 10)
    """

    def __init__(
        self,
        *,
        padding: Padding = "CIRCULAR",
        head: Literal["flatten", "global"] = "flatten",
        pool_stride: int = 2,
        pools: int = 2,
        size: int = 28,
        channels: int = 1,
        width: int = 8,
        hidden: int = 64,
        classes: int = 10,
        rngs: nnx.Rngs,
    ):
        _check_option(padding, ("CIRCULAR", "SAME"), what="padding")
        _check_option(head, ("flatten", "global"), what="head")
        _check_option(pool_stride, (2, 1), what="pool_stride")
        _check_option(pools, (2, 3), what="pools")
        self.padding, self.head, self.pool_stride = padding, head, pool_stride
        widths = [channels] + [width * 2**stage for stage in range(pools)]
        self.pools = pools
        for number, (before, after) in enumerate(itertools.pairwise(widths), start=1):
            convolution = nnx.Conv(before, after, (5, 5), padding=padding, rngs=rngs)
            setattr(self, f"conv{number}", convolution)  # as people call them, not convolutions.0
        features = widths[-1]
        if head == "flatten":
            features *= self._pooled_size(size) ** 2
            self.hidden = nnx.Linear(features, hidden, rngs=rngs)
            features = hidden
        self.logits = nnx.Linear(features, classes, rngs=rngs)

    @property
    def convolutions(self) -> list[nnx.Conv]:
        """`conv1`, `conv2` and, where there are three pools, `conv3`."""
        return [getattr(self, f"conv{number + 1}") for number in range(self.pools)]

    def __call__(self, x: Array) -> Array:
        """Logits (batch, classes) of images (batch, size, size, channels)."""
        for convolution in self.convolutions:
            x = self._pool(nnx.relu(convolution(x)))
        if self.head == "flatten":
            x = nnx.relu(self.hidden(x.reshape(x.shape[0], -1)))
        else:
            x = x.mean(axis=(1, 2))
        return self.logits(x)

    def _pool(self, x: Array) -> Array:
        if self.padding == "CIRCULAR" and self.pool_stride == 1:
            return layers.max_pool(x, 2)
        strides = (self.pool_stride, self.pool_stride)
        padding = "SAME" if self.padding == "SAME" else "VALID"
        return nnx.max_pool(x, (2, 2), strides=strides, padding=padding)

    def _pooled_size(self, size: int) -> int:
        if self.pool_stride == 1:
            return size
        for _ in self.convolutions:
            size = (size + 1) // 2 if self.padding == "SAME" else size // 2
        return size


class DenseNet(nnx.Module):
    """Flatten, linear, ReLU, linear: no notion of position at all.

    >>> DenseNet(rngs=nnx.Rngs(0))(jnp.ones((1, 28, 28, 1))).shape
    (1, 10)
    """

    def __init__(
        self,
        *,
        shape: Sequence[int] = (28, 28, 1),
        hidden: int = 64,
        classes: int = 10,
        rngs: nnx.Rngs,
    ):
        self.hidden = nnx.Linear(math.prod(shape), hidden, rngs=rngs)
        self.logits = nnx.Linear(hidden, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Logits (batch, classes) of inputs (batch, *shape)."""
        return self.logits(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))


class ResidualBlock(nnx.Module):
    """Two 3x3 convolutions with BatchNorm beside a shortcut: ``relu(x' + g(x))``.

    The shortcut ``x'`` is ``x``, or its 1x1 projection where stride or width change.

    >>> ResidualBlock(8, 16, stride=2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 16)
    """

    def __init__(
        self,
        channels: int,
        features: int,
        *,
        stride: int = 1,
        padding: Padding = "CIRCULAR",
        rngs: nnx.Rngs,
    ):
        self.conv1 = nnx.Conv(
            channels, features, (3, 3), stride, padding=padding, use_bias=False, rngs=rngs
        )
        self.norm1 = nnx.BatchNorm(features, rngs=rngs)
        self.conv2 = nnx.Conv(
            features, features, (3, 3), padding=padding, use_bias=False, rngs=rngs
        )
        self.norm2 = nnx.BatchNorm(features, rngs=rngs)
        self.projects = stride != 1 or channels != features
        if self.projects:
            self.projection = nnx.Conv(
                channels, features, (1, 1), stride, padding=padding, use_bias=False, rngs=rngs
            )
            self.projection_norm = nnx.BatchNorm(features, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, h, w, channels) -> (batch, ceil(h / stride), ceil(w / stride), features)."""
        y = nnx.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        shortcut = self.projection_norm(self.projection(x)) if self.projects else x
        return nnx.relu(shortcut + y)


class ResNet(nnx.Module):
    """A stem, stages of residual blocks, global mean, linear.

    The small stem is one 3x3 convolution. The large one, of networks for 224 x 224 images, is a 7x7 convolution of
    stride 2 and a 3x3 max pool of stride 2.

    Like any Flax model with BatchNorm it starts in training mode: call ``.eval()`` for one whose
    output does not depend on the rest of the batch. The zoo's ``build`` does.

    Args:
        widths: channels, one per stage.
        blocks: number of residual blocks, one per stage.
        strides: pixels, of the first block of each stage.
        stem: ``"small"`` or ``"large"``.
        padding: of all convolutions, and of the pool.
        channels: of the input.
        classes: logits.

    Raises:
        ValueError: unknown `stem` or `padding`, or `widths`, `blocks` and `strides` differ in length.

    >>> ResNet(rngs=nnx.Rngs(0))(jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (8, 16, 32),
        blocks: Sequence[int] = (1, 1, 1),
        strides: Sequence[int] = (1, 2, 2),
        stem: Literal["small", "large"] = "small",
        padding: Padding = "CIRCULAR",
        channels: int = 3,
        classes: int = 10,
        rngs: nnx.Rngs,
    ):
        _check_option(padding, ("CIRCULAR", "SAME"), what="padding")
        _check_option(stem, ("small", "large"), what="stem")
        if not len(widths) == len(blocks) == len(strides):
            raise ValueError(
                f"widths {tuple(widths)}, blocks {tuple(blocks)} and strides {tuple(strides)}"
                " differ in length, expected one entry per stage in each"
            )
        kernel, step = ((7, 7), 2) if stem == "large" else ((3, 3), 1)
        self.stem = nnx.Conv(
            channels, widths[0], kernel, step, padding=padding, use_bias=False, rngs=rngs
        )
        self.pools, self.padding = stem == "large", padding
        self.norm = nnx.BatchNorm(widths[0], rngs=rngs)
        self.blocks = nnx.List()
        before = widths[0]
        for width, count, stride in zip(widths, blocks, strides, strict=True):
            for index in range(count):
                step = stride if index == 0 else 1
                block = ResidualBlock(before, width, stride=step, padding=padding, rngs=rngs)
                self.blocks.append(block)
                before = width
        self.logits = nnx.Linear(before, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Logits (batch, classes) of images (batch, h, w, channels)."""
        x = nnx.relu(self.norm(self.stem(x)))
        if self.pools:
            x = self._pool(x)
        for block in self.blocks:
            x = block(x)
        return self.logits(x.mean(axis=(1, 2)))

    def _pool(self, x: Array) -> Array:
        if self.padding == "CIRCULAR":
            return layers.max_pool(x, 3, 2)
        return nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")


class TransformerBlock(nnx.Module):
    """Pre-norm attention and MLP, (batch, tokens, width) -> (batch, tokens, width).

    >>> TransformerBlock(32, heads=4, rngs=nnx.Rngs(0))(jnp.ones((1, 16, 32))).shape
    (1, 16, 32)
    """

    def __init__(self, width: int, *, heads: int, rngs: nnx.Rngs):
        self.norm1 = nnx.LayerNorm(width, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            heads, width, decode=False, deterministic=True, rngs=rngs
        )
        self.norm2 = nnx.LayerNorm(width, rngs=rngs)
        self.expand = nnx.Linear(width, 2 * width, rngs=rngs)
        self.contract = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, tokens, width) -> (batch, tokens, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.contract(nnx.gelu(self.expand(self.norm2(x))))


class ViT(nnx.Module):
    """Patches by a strided convolution, transformer blocks, mean over tokens, linear.

    Args:
        patch: height and width of a patch, pixels.
        width: features of a token.
        depth: number of blocks.
        heads: of the attention.
        positions: add a learned table (tokens, width), drawn from a normal of deviation 0.02.
        size: height and width of the input, pixels; a multiple of `patch`.
        channels: of the input.
        classes: logits.

    Raises:
        ValueError: `size` is no multiple of `patch`.

    >>> ViT(positions=True, rngs=nnx.Rngs(0))(jnp.ones((1, 16, 16, 3))).shape
    (1, 10)
    """

    def __init__(
        self,
        *,
        patch: int = 4,
        width: int = 32,
        depth: int = 2,
        heads: int = 4,
        positions: bool = False,
        size: int = 16,
        channels: int = 3,
        classes: int = 10,
        rngs: nnx.Rngs,
    ):
        if size % patch:
            raise ValueError(
                f"size={size} is not a multiple of patch={patch}, so patches would be cut"
            )
        self.patches = nnx.Conv(
            channels, width, (patch, patch), (patch, patch), padding="VALID", rngs=rngs
        )
        self.has_positions = positions
        if positions:
            table = nnx.initializers.normal(0.02)(rngs.params(), ((size // patch) ** 2, width))
            self.positions = nnx.Param(table)
        self.blocks = nnx.List(
            TransformerBlock(width, heads=heads, rngs=rngs) for _ in range(depth)
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.logits = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Logits (batch, classes) of images (batch, size, size, channels)."""
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        if self.has_positions:
            x = x + self.positions[...]
        for block in self.blocks:
            x = block(x)
        return self.logits(self.norm(x).mean(axis=1))


class UNet(nnx.Module):
    """Ronneberger et al., 2015, with circular padding: two convolutions a scale, max pools down, transposed ones up.

    >>> UNet(depth=1, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 3))).shape
    (1, 8, 8, 1)
    """

    def __init__(
        self, *, width: int = 8, depth: int = 4, channels: int = 3, rngs: nnx.Rngs
    ) -> None:
        widths = [width * 2**scale for scale in range(depth + 1)]
        self.down = nnx.List(
            [_double(a, b, rngs) for a, b in zip([channels, *widths], widths, strict=False)]
        )
        self.raised = nnx.List(
            [
                nnx.ConvTranspose(2 * w, w, (2, 2), strides=(2, 2), rngs=rngs)
                for w in reversed(widths[:-1])
            ]
        )
        self.up = nnx.List([_double(2 * w, w, rngs) for w in reversed(widths[:-1])])
        self.last = nnx.Conv(width, 1, (1, 1), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, n, n, channels) to (batch, n, n, 1); n is a multiple of 2^depth."""
        skips: list[Array] = []
        for scale, convolutions in enumerate(self.down):
            x = convolutions(nnx.max_pool(x, (2, 2), strides=(2, 2)) if scale else x)
            skips.append(x)
        for skip, raised, convolutions in zip(skips[-2::-1], self.raised, self.up, strict=True):
            x = convolutions(jnp.concatenate([raised(x), skip], -1))
        return self.last(x)


def _double(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Sequential:
    return nnx.Sequential(
        nnx.Conv(inputs, outputs, (3, 3), padding="CIRCULAR", rngs=rngs),
        nnx.relu,
        nnx.Conv(outputs, outputs, (3, 3), padding="CIRCULAR", rngs=rngs),
        nnx.relu,
    )


class Automaton(nnx.Module):
    """A neural cellular automaton (Mordvintsev et al., 2020): Sobel filters and an update, many times.

    Args:
        channels: of a cell; the fourth says how much it is alive.
        hidden: features of the update.
        steps: of time.
        torus: whether cells at the border see the opposite one; zeros otherwise.
        alive: whether a cell without a living neighbour dies, by a pool that pads with zeros, as published.

    >>> Automaton(channels=4, steps=2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 4))).shape
    (1, 8, 8, 4)
    """

    def __init__(
        self,
        *,
        channels: int = 16,
        hidden: int = 64,
        steps: int = 64,
        torus: bool = True,
        alive: bool = False,
        rngs: nnx.Rngs,
    ):
        self.steps, self.torus, self.alive = steps, torus, alive
        self.hidden = nnx.Conv(3 * channels, hidden, (1, 1), rngs=rngs)
        self.update = nnx.Conv(hidden, channels, (1, 1), rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, n, n, channels) to the same."""

        def step(x: Array, _: None) -> tuple[Array, None]:
            y = x + self.update(nnx.relu(self.hidden(self._perceive(x))))
            if self.alive:
                y = jnp.where(self._living(x) & self._living(y), y, 0.0)
            return y, None

        return jax.lax.scan(step, x, None, length=self.steps)[0]

    def _perceive(self, x: Array) -> Array:
        smooth = np.array([1, 2, 1]) / 4
        edges = [np.outer([0, 1, 0], [0, 1, 0]), np.outer(smooth, [-1, 0, 1])]
        filters = jnp.asarray(np.stack([*edges, edges[1].T], -1), x.dtype)
        filters = jnp.tile(filters[:, :, None], (1, 1, 1, x.shape[-1]))
        if self.torus:
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        return jax.lax.conv_general_dilated(
            x,
            filters,
            (1, 1),
            "VALID" if self.torus else "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1],
        )

    def _living(self, x: Array) -> Array:
        return nnx.max_pool(x[..., 3:4], (3, 3), padding="SAME") > 0.1


class PolyphaseNet(nnx.Module):
    """Circular convolutions, between them polyphase sampling with canonical ties, and a global mean.

    >>> PolyphaseNet(rngs=nnx.Rngs(0))(jnp.ones((1, 12, 12, 1))).shape
    (1, 10)
    """

    def __init__(
        self,
        *,
        width: int = 4,
        depth: int = 2,
        channels: int = 1,
        classes: int = 10,
        rngs: nnx.Rngs,
    ):
        widths = (channels, *(width,) * (depth + 1))
        self.convolutions = nnx.List(
            nnx.Conv(*pair, (3, 3), padding="CIRCULAR", rngs=rngs)
            for pair in itertools.pairwise(widths)
        )
        self.sample = layers.AdaptivePolyphaseSampling(2, ties="canonical")
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(batch, h, w, channels) -> (batch, classes)."""
        *before, last = self.convolutions
        for convolution in before:
            x = self.sample(nnx.relu(convolution(x)))
        return self.head(nnx.relu(last(x)).mean((1, 2)))
