"""Known answers: every row of the case table that a sweep can see, with its exact counts.

A row names how to build the model, the shape of one image, and how many of the torus shifts are equivariant and
invariant (None: not asked). Rows that compute in exact integers are marked so; the others are judged in float64 against
measured noise.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

from shiftproof import layers, zoo
from shiftproof.zoo import LeNet


@dataclasses.dataclass(frozen=True)
class Case:
    """One row: `equivariant` and `invariant` count shifts, out of all of the grid."""

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...]
    equivariant: int | None
    invariant: int | None
    exact: bool = True
    law: str = "stride"
    apply_kwargs: dict[str, Any] | None = None


def conv(kernel: tuple[int, ...], **options: Any) -> Callable[[], Any]:
    channels = options.pop("channels", 2)
    return lambda: nnx.Conv(
        channels, 3, kernel, rngs=nnx.Rngs(0), **{"padding": "CIRCULAR", **options}
    )


def pool(window: int, stride: int, padding: str = "VALID") -> Callable[[], Any]:
    return lambda: lambda x: nnx.max_pool(x, (window,) * 2, (stride,) * 2, padding)


class PositionNorm(nnx.Module):
    """LayerNorm over H, W and C with a scale per position."""

    def __init__(self, shape: tuple[int, ...]):
        self.scale = nnx.Param(
            jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
        )

    def __call__(self, x):
        centred = x - x.mean((1, 2, 3), keepdims=True)
        return (
            centred / jnp.sqrt((centred**2).mean((1, 2, 3), keepdims=True) + 1e-6) * self.scale[...]
        )


def average(x: Any) -> Any:
    return nnx.avg_pool(x, (2, 2), (2, 2))


def global_mean(x: Any) -> Any:
    return jnp.mean(x, axis=(1, 2))


def conv_mean(stride: int) -> nnx.Module:
    return nnx.Sequential(conv((3, 3), strides=stride)(), nnx.relu, global_mean)


def lenet(**options: Any) -> Callable[[], Any]:
    return lambda: LeNet(**{"width": 2, "hidden": 8, "rngs": nnx.Rngs(0), **options})


def dense(circulant: bool) -> Callable[[], Any]:
    """A plain 8x8 matrix on a 1-D grid without channels."""
    matrix = np.random.default_rng(1).integers(-3, 4, (8, 8)).astype(np.float32)
    if circulant:
        matrix = np.stack([np.roll(matrix[0], i) for i in range(8)])
    return lambda: lambda x: (x[..., 0] @ jnp.asarray(matrix, x.dtype))[..., None]


def train_batch_norm() -> Any:
    module = linen.BatchNorm(use_running_average=False)
    variables = module.init({"params": jax.random.key(0)}, jnp.ones((2, 8, 8, 2)))
    return module, variables


def image(size: int = 8, width: int | None = None, channels: int = 2) -> tuple[int, ...]:
    return (size, width or size, channels)


CASES = (
    Case("conv3x3 circular", conv((3, 3)), image(), 64, 1),
    Case("conv3x3 circular, any law", conv((3, 3)), image(), 64, 1, law="any"),
    Case("conv3x3 SAME", conv((3, 3), padding="SAME"), image(), 1, 1),
    Case("conv3x3 SAME, any law", conv((3, 3), padding="SAME"), image(), 1, 1, law="any"),
    Case("conv3x3 REFLECT", conv((3, 3), padding="REFLECT"), image(), 1, 1),
    Case("conv3x3 stride 2 circular", conv((3, 3), strides=2), image(), 16, 1),
    Case("conv3x3 stride 2 circular, any law", conv((3, 3), strides=2), image(), 16, 1, law="any"),
    Case("conv3x3 stride 2 circular, 7x7", conv((3, 3), strides=2), image(7), 1, 1),
    Case(
        "conv3x3 stride 2 circular, 7x7, any law",
        conv((3, 3), strides=2),
        image(7),
        1,
        1,
        law="any",
    ),
    Case("conv3x3 stride (1,2) circular", conv((3, 3), strides=(1, 2)), image(6, 8), 24, 1),
    Case("conv4x4 circular", conv((4, 4)), image(), 64, 1),
    Case("conv3x3 dilation 2 circular", conv((3, 3), kernel_dilation=2), image(), 64, 1),
    Case("conv 1-D circular", conv((3,), channels=1), (8, 1), 8, 1),
    Case("conv 1-D SAME", conv((3,), channels=1, padding="SAME"), (8, 1), 1, 1),
    Case("conv 1-D stride 2 circular", conv((3,), channels=1, strides=2), (8, 1), 4, 1),
    Case("conv 3-D circular", conv((3, 3, 3), channels=1), (4, 4, 6, 1), 96, 1),
    Case("conv 3-D SAME", conv((3, 3, 3), channels=1, padding="SAME"), (4, 4, 6, 1), 1, 1),
    Case("conv 3-D stride 2 circular", conv((3, 3, 3), channels=1, strides=2), (4, 4, 6, 1), 12, 1),
    Case("max_pool 2x2 stride 2", pool(2, 2), image(), 16, 1),
    Case("max_pool 2x2 stride 2, 7x7", pool(2, 2, "SAME"), image(7), 1, 1),
    Case("max_pool 2x2 stride 2 VALID, 7x7", pool(2, 2), image(7), 1, 1),
    Case("max_pool 2x2 stride 1 SAME", pool(2, 1, "SAME"), image(), 1, 1),
    Case(
        "max_pool 2x2 stride 1 wrapped",
        lambda: lambda x: layers.max_pool(x, 2),
        image(),
        64,
        1,
    ),
    Case("max_pool 3x3 stride 2 SAME", pool(3, 2, "SAME"), image(), 1, 1),
    Case("conv stride 1, ReLU, global mean", lambda: conv_mean(1), image(), None, 64),
    Case("conv stride 2, ReLU, global mean", lambda: conv_mean(2), image(), None, 16),
    Case("LeNet, 2 pools, global mean", lenet(head="global"), (28, 28, 1), None, 49),
    Case("LeNet, 3 pools, global mean", lenet(head="global", pools=3), (28, 28, 1), None, 1),
    Case("LeNet, 2 pools, flatten", lenet(head="flatten"), (28, 28, 1), None, 1),
    Case("avg_pool, global mean", lambda: lambda x: global_mean(average(x)), image(), None, 64),
    Case(
        "avg_pool, ReLU(y - c), global mean",
        lambda: lambda x: global_mean(nnx.relu(average(x) - 1)),
        image(),
        None,
        16,
    ),
    Case(
        "max_pool, global max",
        lambda: lambda x: jnp.max(nnx.max_pool(x, (2, 2), (2, 2)), axis=(1, 2)),
        image(),
        None,
        64,
    ),
    Case("blur-pool", layers.BlurPool, image(), 16, 1),
    Case(
        "blur-pool, global mean",
        lambda: nnx.Sequential(layers.BlurPool(), global_mean),
        image(),
        None,
        64,
    ),
    Case(
        "LayerNorm over channels",
        lambda: nnx.LayerNorm(4, rngs=nnx.Rngs(0)),
        image(channels=4),
        64,
        1,
        False,
    ),
    Case(
        "GroupNorm",
        lambda: nnx.GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0)),
        image(channels=4),
        64,
        1,
        False,
    ),
    Case("LayerNorm with positions", lambda: PositionNorm((8, 8, 2)), image(), 1, 1, False),
    Case(
        "ConvTranspose stride 2 circular",
        lambda: zoo.build("conv-transpose3x3-stride2"),
        image(),
        64,
        1,
    ),
    Case(
        "ConvTranspose stride 2 SAME",
        lambda: zoo.build("conv-transpose3x3-stride2-same"),
        image(),
        1,
        1,
    ),
    Case("ViT without positions", lambda: zoo.build("vit"), (16, 16, 3), None, 16, False),
    Case("ViT with positions", lambda: zoo.build("vit-positions"), (16, 16, 3), None, 1, False),
    Case("dense 8 -> 8, random", dense(circulant=False), (8, 1), 1, 1),
    Case("dense 8 -> 8, circulant", dense(circulant=True), (8, 1), 8, 1),
)
