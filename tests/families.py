"""Compact versions of the families of published models, in the idioms of their authors, with their known answers.

Written from the papers: widths of a few channels, grids of 4 to 32 pixels, the padding and the heads that were
published, and beside them the circular twin. The answers count shifts, and follow from the mathematics of each
architecture.

Over 600 lines, because it is one list of models.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx
from jax import lax

from shiftproof import layers, zoo

Array = Any


@dataclasses.dataclass(frozen=True)
class Family:
    """A model and its answers.

    Attributes:
        name: unique.
        build: makes the model, in the form in which a user passes it.
        shape: of one image.
        answers: for each output how many shifts are equivariant (None: it has no grid) and how many invariant.
        options: further arguments of `verify` and `sweep`: apply_kwargs, spatial_axes, output_axes.
        open: where shifts stay undecided that the answers count: what the reason must say.
        dead: whether the output does not answer to the image at initialisation.
        swept: whether refuted shifts differ on random images with the model's own weights, which may be degenerate.
    """

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...]
    answers: tuple[tuple[int | None, int], ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    open: str = ""
    dead: bool = False
    swept: bool = True


def linen_model(module: linen.Module, shape: Sequence[int], **arguments: Any) -> Callable[[], Any]:
    """A linen module with the variables of its initialisation."""

    def build() -> Any:
        fields = {f.name: getattr(module, f.name) for f in dataclasses.fields(module)}
        alike = {k: v for k, v in fields.items() if k not in ("padding", "parent", "name")}
        key = f"{type(module).__name__} {alike} {shape}"  # twins in their padding share variables
        if key not in _VARIABLES:
            init = jax.jit(functools.partial(module.init, **arguments))
            keys = {name: quick_key(i) for i, name in enumerate(("params", "dropout", "sample"))}
            lowered = init.lower(keys, jnp.ones((1, *shape)))
            made = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
            _VARIABLES[key] = made(keys, jnp.ones((1, *shape)))
        return module, _VARIABLES[key]

    return build


_VARIABLES: dict[str, Any] = {}


def quick_key(seed: int) -> Array:
    """A key of the generator that compiles in a fraction of the usual time."""
    return jax.random.key(seed, impl="unsafe_rbg")


def nnx_model(kind: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    """An nnx module with weights of a fixed seed."""
    return lambda: kind(*arguments, **options, rngs=nnx.Rngs(quick_key(0)))


EVAL = {"apply_kwargs": {"train": False}}
COLOUR, SMALL = (16, 16, 3), (8, 8, 3)


# --- residual networks ---


class ResNetBlock(linen.Module):
    """3x3, 3x3 and a shortcut, as for CIFAR; `norm` and `conv` come as partials."""

    features: int
    strides: int
    conv: Any
    norm: Any

    @linen.compact
    def __call__(self, x):
        residual = x
        y = self.conv(self.features, (3, 3), (self.strides, self.strides))(x)
        y = linen.relu(self.norm()(y))
        y = self.norm(scale_init=linen.initializers.zeros)(self.conv(self.features, (3, 3))(y))
        if residual.shape != y.shape:
            shortcut = self.conv(
                self.features, (1, 1), (self.strides, self.strides), name="conv_proj"
            )
            residual = self.norm(name="norm_proj")(shortcut(residual))
        return linen.relu(residual + y)


class BottleneckBlock(linen.Module):
    """1x1, 3x3, 1x1 and a shortcut."""

    features: int
    strides: int
    conv: Any
    norm: Any

    @linen.compact
    def __call__(self, x):
        y = linen.relu(self.norm()(self.conv(self.features, (1, 1))(x)))
        y = self.conv(self.features, (3, 3), (self.strides, self.strides))(y)
        y = linen.relu(self.norm()(y))
        y = self.norm(scale_init=linen.initializers.zeros)(self.conv(2 * self.features, (1, 1))(y))
        if x.shape != y.shape:
            x = self.norm()(self.conv(2 * self.features, (1, 1), (self.strides, self.strides))(x))
        return linen.relu(x + y)


class ResNet(linen.Module):
    """Stem `imagenet` (7x7 of stride 2 and a max pool) or `cifar` (3x3)."""

    stem: str = "cifar"
    block: Any = ResNetBlock
    stages: tuple[int, ...] = (1, 1)
    padding: Any = "SAME"
    width: int = 4

    @linen.compact
    def __call__(self, x, train: bool = True):
        conv = functools.partial(linen.Conv, use_bias=False, padding=self.padding)
        norm = functools.partial(linen.BatchNorm, use_running_average=not train, momentum=0.9)
        if self.stem == "imagenet":
            x = conv(self.width, (7, 7), (2, 2), name="conv_init")(x)
            x = linen.relu(norm(name="bn_init")(x))
            x = linen.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        else:
            x = linen.relu(norm()(conv(self.width, (3, 3))(x)))
        for i, count in enumerate(self.stages):
            for j in range(count):
                strides = 2 if i > 0 and j == 0 else 1
                x = self.block(self.width * 2**i, strides, conv=conv, norm=norm)(x)
        x = jnp.mean(x, axis=(1, 2))
        return linen.Dense(5)(x)


class NnxBlock(nnx.Module):
    def __init__(self, inputs, outputs, stride, padding, rngs):
        conv = functools.partial(nnx.Conv, padding=padding, use_bias=False, rngs=rngs)
        self.conv1 = conv(inputs, outputs, (3, 3), strides=stride)
        self.bn1 = nnx.BatchNorm(outputs, rngs=rngs)
        self.conv2 = conv(outputs, outputs, (3, 3))
        self.bn2 = nnx.BatchNorm(outputs, rngs=rngs)
        self.shortcut = (
            conv(inputs, outputs, (1, 1), strides=stride)
            if stride != 1 or inputs != outputs
            else None
        )

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class NnxResNet(nnx.Module):
    def __init__(self, padding="SAME", *, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), padding=padding, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.layers = nnx.List([NnxBlock(4, 4, 1, padding, rngs), NnxBlock(4, 8, 2, padding, rngs)])
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.stem(x)))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.dropout(x.mean(axis=(1, 2))))


class PreActivation(linen.Module):
    """Wide pre-activation residual network with dropout."""

    padding: str = "SAME"

    @linen.compact
    def __call__(self, x, train: bool = False):
        norm = functools.partial(linen.BatchNorm, use_running_average=not train)
        conv = functools.partial(linen.Conv, padding=self.padding, use_bias=False)
        x = conv(4, (3, 3))(x)
        for features, stride in ((8, 1), (8, 2)):
            y = linen.relu(norm()(x))
            shortcut = conv(features, (1, 1), (stride, stride))(y) if x.shape[-1] != features else x
            if stride != 1 and x.shape[-1] == features:
                shortcut = linen.avg_pool(x, (stride, stride), (stride, stride))
            y = conv(features, (3, 3), (stride, stride))(y)
            y = linen.Dropout(0.3, deterministic=not train)(linen.relu(norm()(y)))
            x = shortcut + conv(features, (3, 3))(y)
        x = linen.relu(norm()(x))
        x = linen.avg_pool(x, x.shape[1:3])
        return linen.Dense(5)(x.reshape((x.shape[0], -1)))


class PaddingShortcut(linen.Module):
    """Option A of the paper: strided slice and zero channels; group norm and leaky relu."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (3, 3), padding=self.padding)(x)
        y = linen.Conv(8, (3, 3), (2, 2), padding=self.padding)(
            linen.leaky_relu(linen.GroupNorm(2)(x))
        )
        y = linen.Conv(8, (3, 3), padding=self.padding)(linen.leaky_relu(linen.GroupNorm(2)(y)))
        shortcut = jnp.pad(x[:, ::2, ::2, :], ((0, 0), (0, 0), (0, 0), (2, 2)))
        return jnp.mean(linen.log_softmax(y + shortcut), axis=(1, 2))


class StandardisedConv(linen.Conv):
    """Weights with zero mean and unit variance, as of Big Transfer."""

    def param(self, name, *args, **kwargs):
        value = super().param(name, *args, **kwargs)
        if name == "kernel":
            axes = tuple(range(value.ndim - 1))
            value = value - jnp.mean(value, axes)
            value = value / (jnp.std(value, axes) + 1e-5)
        return value


class BigTransfer(linen.Module):
    padding: str = "SAME"

    @linen.compact
    def __call__(self, x):
        x = StandardisedConv(4, (7, 7), (2, 2), padding=self.padding, use_bias=False)(x)
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) if self.padding == "SAME" else x
        if self.padding == "SAME":
            x = linen.max_pool(x, (3, 3), (2, 2), "VALID")
        y = linen.relu(linen.GroupNorm(2)(x))
        x = x + StandardisedConv(4, (3, 3), padding=self.padding)(y)
        x = linen.relu(linen.GroupNorm(2)(x))
        x = jnp.mean(x, axis=(1, 2))
        return linen.Dense(3, kernel_init=linen.initializers.zeros)(x)


# --- plain and dense networks ---


class VGG(linen.Module):
    padding: str = "SAME"
    head: str = "flatten"

    @linen.compact
    def __call__(self, x, train=False):
        for item in (4, "M", 8, 8, "M"):
            if item == "M":
                x = linen.max_pool(x, (2, 2), strides=(2, 2))
            else:
                x = linen.Conv(item, (3, 3), padding=self.padding)(x)
                x = linen.relu(linen.BatchNorm(use_running_average=not train)(x))
        if self.head == "flatten":
            x = x.transpose((0, 3, 1, 2)).reshape((x.shape[0], -1))
            x = linen.relu(linen.Dense(8)(x))
            x = linen.Dropout(0.5, deterministic=not train)(x)
        else:
            x = x.mean((-3, -2))
        return linen.Dense(5)(x)


class DenseNet(linen.Module):
    """Concatenations, transitions that average, total stride 32 where `deep`."""

    padding: Any = "SAME"
    deep: bool = False

    @linen.compact
    def __call__(self, x, train: bool = True):
        norm = functools.partial(linen.BatchNorm, use_running_average=not train)
        growth = 3
        if self.deep:
            x = linen.Conv(4, (7, 7), (2, 2), padding=self.padding, use_bias=False)(x)
            x = linen.relu(norm()(x))
            x = layers.max_pool(x, 3, 2)
        else:
            x = linen.Conv(4, (3, 3), padding=self.padding, use_bias=False)(x)
        blocks = 4 if self.deep else 2
        for block in range(blocks):
            for _ in range(2):
                y = linen.Conv(2 * growth, (1, 1), use_bias=False)(linen.relu(norm()(x)))
                y = linen.Conv(growth, (3, 3), padding=self.padding, use_bias=False)(
                    linen.relu(norm()(y))
                )
                x = jnp.concatenate([x, y], axis=3)
            if block < blocks - 1:
                x = linen.Conv(x.shape[-1] // 2, (1, 1), use_bias=False)(linen.relu(norm()(x)))
                x = linen.avg_pool(x, (2, 2), strides=(2, 2))
        x = jnp.mean(linen.relu(norm()(x)), axis=(1, 2))
        return linen.Dense(3)(x)


class Inception(linen.Module):
    padding: str = "SAME"

    @linen.compact
    def __call__(self, x):
        conv = functools.partial(linen.Conv, padding=self.padding)
        if self.padding == "SAME":
            pooled = linen.max_pool(x, (3, 3), strides=(1, 1), padding="SAME")
        else:
            pooled = layers.max_pool(x, 3)
        branches = [
            conv(2, (1, 1))(x),
            conv(2, (3, 3))(linen.relu(conv(2, (1, 1))(x))),
            conv(2, (1, 5))(conv(2, (5, 1))(x)),
            conv(2, (1, 1))(pooled),
        ]
        x = linen.relu(jnp.concatenate(branches, axis=-1))
        return {"logits": linen.Dense(3)(x.mean(axis=(1, 2))), "aux": linen.Dense(2)(x.max((1, 2)))}


class SqueezeNet(linen.Module):
    """Fire modules; classes are averaged over all places."""

    padding: str = "SAME"

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), (2, 2), padding=self.padding)(x))
        squeezed = linen.relu(linen.Conv(2, (1, 1))(x))
        left = linen.relu(linen.Conv(4, (1, 1))(squeezed))
        right = linen.relu(linen.Conv(4, (3, 3), padding=self.padding)(squeezed))
        x = linen.Conv(3, (1, 1))(jnp.concatenate([left, right], -1))
        x = linen.avg_pool(x, window_shape=x.shape[1:3], strides=(1, 1))
        return linen.softmax(jnp.squeeze(x, axis=(1, 2)))


# --- mobile networks, ConvNeXt ---


class SqueezeExcite(linen.Module):
    @linen.compact
    def __call__(self, x):
        y = x.mean(axis=(1, 2), keepdims=True)
        y = linen.swish(linen.Conv(2, (1, 1))(y))
        return x * linen.sigmoid(linen.Conv(x.shape[-1], (1, 1))(y))


class EfficientNet(linen.Module):
    """Inverted residuals with squeeze-and-excite, drop path and swish."""

    padding: Any = "SAME"

    @linen.compact
    def __call__(self, x, train: bool = False):
        norm = functools.partial(linen.BatchNorm, use_running_average=not train, epsilon=1e-3)
        x = linen.swish(norm()(linen.Conv(4, (3, 3), (2, 2), padding=self.padding)(x)))
        for kernel, stride, features in ((3, 1, 4), (5, 2, 6)):
            inner = 2 * x.shape[-1]
            y = linen.swish(norm()(linen.Conv(inner, (1, 1), use_bias=False)(x)))
            y = linen.Conv(
                inner,
                (kernel, kernel),
                (stride, stride),
                padding=self.padding,
                feature_group_count=inner,
            )(y)
            y = SqueezeExcite()(linen.swish(norm()(y)))
            y = norm()(linen.Conv(features, (1, 1), use_bias=False)(y))
            if stride == 1 and x.shape[-1] == features:
                rate = linen.Dropout(0.2, broadcast_dims=(1, 2, 3), deterministic=not train)
                y = rate(y) + x
            x = y
        x = linen.swish(norm()(linen.Conv(8, (1, 1))(x)))
        return linen.Dense(3)(jnp.mean(x, axis=(1, 2)))


class MobileNetV3(nnx.Module):
    """Depthwise convolutions with explicit padding, hard swish and hard sigmoid."""

    def __init__(self, padding: Any = ((1, 1), (1, 1)), *, rngs: nnx.Rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), strides=2, padding=padding, rngs=rngs)
        self.expand = nnx.Conv(4, 8, (1, 1), rngs=rngs)
        self.depthwise = nnx.Conv(8, 8, (3, 3), padding=padding, feature_group_count=8, rngs=rngs)
        self.squeeze = nnx.Linear(8, 2, rngs=rngs)
        self.excite = nnx.Linear(2, 8, rngs=rngs)
        self.project = nnx.Conv(8, 4, (1, 1), rngs=rngs)
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.hard_swish(self.stem(x))
        y = nnx.hard_swish(self.depthwise(nnx.relu6(self.expand(x))))
        gate = nnx.hard_sigmoid(self.excite(nnx.relu(self.squeeze(y.mean((1, 2))))))
        x = x + self.project(y * gate[:, None, None, :])
        return self.head(x.mean((1, 2)))


class ShuffleNet(linen.Module):
    """Grouped convolutions and a channel shuffle."""

    padding: str = "SAME"

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (1, 1))(x)
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height, width, 2, channels // 2)
        x = jnp.swapaxes(x, -1, -2).reshape(batch, height, width, channels)
        x = linen.Conv(8, (3, 3), padding=self.padding, feature_group_count=4)(x)
        return linen.relu(x)


class ConvNeXt(linen.Module):
    """Patchify stem, 7x7 depthwise, LayerNorm, GELU, layer scale, and GRN where `version` is 2."""

    padding: Any = "SAME"
    scale: float = 1e-6
    version: int = 1

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (2, 2), (2, 2), padding="VALID")(x)
        x = linen.LayerNorm(epsilon=1e-6)(x)
        for stage in range(2):
            if stage:
                x = linen.LayerNorm(epsilon=1e-6)(x)
                x = linen.Conv(8, (2, 2), (2, 2), padding="VALID")(x)
            y = linen.Conv(
                x.shape[-1], (7, 7), padding=self.padding, feature_group_count=x.shape[-1]
            )(x)
            y = linen.LayerNorm(epsilon=1e-6)(y)
            y = linen.gelu(linen.Dense(2 * x.shape[-1])(y))
            if self.version == 2:
                norm = jnp.sqrt(jnp.sum(y**2, axis=(1, 2), keepdims=True) + 1e-6)
                norm = norm / (norm.mean(axis=-1, keepdims=True) + 1e-6)
                gamma = self.param(f"gamma{stage}", linen.initializers.ones, (1, 1, 1, y.shape[-1]))
                y = gamma * (y * norm) + y
            y = linen.Dense(x.shape[-1])(y)
            if self.version == 1:
                y = y * self.param(
                    f"scale{stage}", linen.initializers.constant(self.scale), (x.shape[-1],)
                )
            x = x + y
        return linen.Dense(3)(linen.LayerNorm()(x.mean(axis=(1, 2))))


class ConvMixer(linen.Module):
    """Patch embedding, then depthwise and pointwise convolutions."""

    padding: str = "SAME"

    @linen.compact
    def __call__(self, x):
        x = linen.gelu(linen.Conv(4, (4, 4), strides=(4, 4))(x))
        x = x + linen.gelu(linen.Conv(4, (3, 3), padding=self.padding, feature_group_count=4)(x))
        x = linen.gelu(linen.Conv(4, (1, 1))(x))
        return linen.Dense(3)(jnp.mean(x, axis=[1, 2]))


CONVOLUTIONAL = [
    Family("resnet, cifar", linen_model(ResNet(), SMALL), SMALL, ((None, 1),), EVAL),
    Family(
        "resnet, cifar, circular",
        linen_model(ResNet(padding="CIRCULAR"), SMALL),
        SMALL,
        ((None, 16),),
        EVAL,
    ),
    Family(
        "resnet, imagenet",
        linen_model(ResNet(stem="imagenet", block=BottleneckBlock), COLOUR),
        COLOUR,
        ((None, 1),),
        EVAL,
    ),
    Family(
        "resnet, explicit padding",
        linen_model(ResNet(padding=[(1, 1), (1, 1)], stages=(1,)), SMALL),
        SMALL,
        ((None, 1),),
        EVAL,
    ),
    Family("resnet, nnx", nnx_model(NnxResNet), SMALL, ((None, 1),)),
    Family("resnet, nnx, circular", nnx_model(NnxResNet, "CIRCULAR"), SMALL, ((None, 16),)),
    Family("wide resnet", linen_model(PreActivation(), SMALL), SMALL, ((None, 1),), EVAL),
    Family(
        "wide resnet, circular",
        linen_model(PreActivation("CIRCULAR"), SMALL),
        SMALL,
        ((None, 16),),
    ),
    Family("resnet, option A", linen_model(PaddingShortcut(), SMALL), SMALL, ((None, 16),)),
    Family("big transfer", linen_model(BigTransfer(), COLOUR), COLOUR, ((None, 1),), dead=True),
    Family(
        "big transfer, circular",
        linen_model(BigTransfer("CIRCULAR"), SMALL),
        SMALL,
        ((None, 16),),
        dead=True,
    ),
    Family("vgg", linen_model(VGG(), SMALL), SMALL, ((None, 1),), EVAL),
    Family("vgg, circular", linen_model(VGG("CIRCULAR"), SMALL), SMALL, ((None, 1),), EVAL),
    Family(
        "vgg, circular, global", linen_model(VGG("CIRCULAR", "mean"), SMALL), SMALL, ((None, 4),)
    ),
    Family("densenet", linen_model(DenseNet(), SMALL), SMALL, ((None, 1),), EVAL),
    Family(
        "densenet, circular", linen_model(DenseNet("CIRCULAR"), SMALL), SMALL, ((None, 16),), EVAL
    ),
    Family(
        "densenet of total stride 32",
        linen_model(DenseNet("CIRCULAR", deep=True), (32, 32, 3)),
        (32, 32, 3),
        ((None, 4),),
        EVAL,
    ),
    Family("inception", linen_model(Inception(), SMALL), SMALL, ((None, 1), (None, 1))),
    Family(
        "inception, circular",
        linen_model(Inception("CIRCULAR"), SMALL),
        SMALL,
        ((None, 64), (None, 64)),
    ),
    Family("squeezenet", linen_model(SqueezeNet(), SMALL), SMALL, ((None, 1),)),
    Family(
        "squeezenet, circular", linen_model(SqueezeNet("CIRCULAR"), SMALL), SMALL, ((None, 16),)
    ),
    Family("efficientnet", linen_model(EfficientNet(), SMALL), SMALL, ((None, 1),), EVAL),
    Family(
        "efficientnet, circular",
        linen_model(EfficientNet("CIRCULAR"), SMALL),
        SMALL,
        ((None, 4),),
        EVAL,
    ),
    Family("mobilenet", nnx_model(MobileNetV3), SMALL, ((None, 1),)),
    Family("mobilenet, circular", nnx_model(MobileNetV3, "CIRCULAR"), SMALL, ((None, 16),)),
    Family("shufflenet", linen_model(ShuffleNet(), SMALL), SMALL, ((1, 1),)),
    Family("shufflenet, circular", linen_model(ShuffleNet("CIRCULAR"), SMALL), SMALL, ((64, 1),)),
    Family("convnext", linen_model(ConvNeXt(), SMALL), SMALL, ((None, 1),), swept=False),
    Family("convnext, circular", linen_model(ConvNeXt("CIRCULAR"), SMALL), SMALL, ((None, 4),)),
    Family(
        "convnext of scale 0",
        linen_model(ConvNeXt("CIRCULAR", scale=0.0), SMALL),
        SMALL,
        ((None, 4),),
    ),
    Family("convnext 2", linen_model(ConvNeXt(version=2), SMALL), SMALL, ((None, 1),)),
    Family("convmixer", linen_model(ConvMixer(), COLOUR), COLOUR, ((None, 1),)),
    Family(
        "convmixer, circular", linen_model(ConvMixer("CIRCULAR"), COLOUR), COLOUR, ((None, 16),)
    ),
]


# --- transformers ---


class EncoderBlock(linen.Module):
    heads: int = 2

    @linen.compact
    def __call__(self, x, *, deterministic: bool):
        y = linen.LayerNorm()(x)
        y = linen.MultiHeadDotProductAttention(
            num_heads=self.heads, dropout_rate=0.1, deterministic=deterministic
        )(y, y)
        x = x + linen.Dropout(0.1)(y, deterministic=deterministic)
        y = linen.gelu(linen.Dense(2 * x.shape[-1])(linen.LayerNorm()(x)))
        return x + linen.Dense(x.shape[-1])(y)


def sincos2d(height: int, width: int, features: int) -> Array:
    """Positions as sines and cosines of rows and columns, as of simple ViT."""
    y, x = np.mgrid[:height, :width]
    omega = 1.0 / 100.0 ** (np.arange(features // 4) / (features // 4))
    y, x = np.einsum("m,d->md", y.ravel(), omega), np.einsum("m,d->md", x.ravel(), omega)
    table = np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)
    return jnp.asarray(table[None], jnp.float32)


class ViT(linen.Module):
    """Patches by convolution; class token, learned or sin-cos positions, several pools; logits and a dict of layers."""

    positions: str = "learned"
    pool: str = "token"
    patch: int = 4

    @linen.compact
    def __call__(self, x, *, train: bool = False):
        out = {}
        x = linen.Conv(
            8, (self.patch,) * 2, strides=(self.patch,) * 2, padding="VALID", name="embedding"
        )(x)
        n, h, w, c = x.shape
        x = out["stem"] = x.reshape(n, h * w, c)
        if self.positions == "learned":
            x = x + self.param(
                "pos", linen.initializers.normal(stddev=1 / np.sqrt(c)), (1, h * w, c)
            )
        elif self.positions == "sincos":
            x = x + sincos2d(h, w, c)
        if self.pool == "token":
            token = self.param("cls", linen.initializers.normal(1.0), (1, 1, c))
            x = jnp.concatenate([jnp.tile(token, [n, 1, 1]), x], axis=1)
        for _ in range(2):
            x = EncoderBlock()(x, deterministic=not train)
        x = linen.LayerNorm()(x)
        if self.pool == "token":
            x = x[:, 0]
        elif self.pool == "mean":
            x = jnp.mean(x, axis=1)
        elif self.pool == "max":
            x = jnp.max(x, axis=1)
        elif self.pool == "attention":
            probe = jnp.tile(
                self.param("probe", linen.initializers.normal(1.0), (1, 1, c)), [n, 1, 1]
            )
            x = linen.MultiHeadDotProductAttention(2)(probe, x)[:, 0]
        if self.pool == "map":
            return x.reshape(n, h, w, c), out
        return linen.Dense(3)(x), out


class NnxViT(nnx.Module):
    """Cat of a class token, learned positions, nnx attention with a cache switched off."""

    def __init__(self, positions: bool = True, *, rngs: nnx.Rngs):
        self.patches = nnx.Conv(3, 8, (4, 4), strides=(4, 4), padding="VALID", rngs=rngs)
        self.positions = (
            nnx.Param(jax.random.normal(rngs.params(), (1, 5, 8)) * 0.02) if positions else None
        )
        self.token = nnx.Param(jnp.zeros((1, 1, 8)))
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, dropout_rate=0.1, rngs=rngs)
        self.norm1, self.norm2 = nnx.LayerNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.mlp = nnx.Sequential(
            nnx.Linear(8, 16, rngs=rngs),
            nnx.gelu,
            nnx.Dropout(0.1, rngs=rngs),
            nnx.Linear(16, 8, rngs=rngs),
        )
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        patches = self.patches(x)
        patches = patches.reshape(patches.shape[0], -1, 8)
        tokens = jnp.concatenate([jnp.tile(self.token[...], [x.shape[0], 1, 1]), patches], axis=1)
        if self.positions is not None:
            tokens = tokens + self.positions[...]
        tokens = tokens + self.attention(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return self.head(tokens[:, 0])


class MlpMixer(linen.Module):
    """Dense layers over tokens, then over channels."""

    @linen.compact
    def __call__(self, x, *, train: bool = False):
        x = linen.Conv(4, (4, 4), strides=(4, 4), name="stem")(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        y = jnp.swapaxes(linen.LayerNorm()(x), 1, 2)
        y = linen.Dense(y.shape[-1])(linen.gelu(linen.Dense(6)(y)))
        x = x + jnp.swapaxes(y, 1, 2)
        x = x + linen.Dense(4)(linen.gelu(linen.Dense(6)(linen.LayerNorm()(x))))
        return linen.Dense(3)(jnp.mean(linen.LayerNorm()(x), axis=1))


def windows(x: Array, size: int) -> Array:
    b, h, w, c = x.shape
    x = x.reshape(b, h // size, size, w // size, size, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, size * size, c)


def unwindow(x: Array, size: int, h: int, w: int) -> Array:
    x = x.reshape(-1, h // size, w // size, size, size, x.shape[-1])
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, h, w, x.shape[-1])


class WindowAttention(linen.Module):
    """Attention inside windows with a bias for relative positions, and a mask after the cyclic shift."""

    size: int
    shift: int
    masked: bool
    heads: int = 2

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        if self.shift:
            x = jnp.roll(x, (-self.shift, -self.shift), axis=(1, 2))
        tokens = windows(x, self.size)
        n = self.size**2
        qkv = linen.Dense(3 * c)(tokens).reshape(-1, n, 3, self.heads, c // self.heads)
        q, k, v = jnp.moveaxis(qkv.transpose(2, 0, 3, 1, 4), 0, 0)
        scores = (q * (c // self.heads) ** -0.5) @ jnp.swapaxes(k, -1, -2)
        cells = np.stack(np.mgrid[: self.size, : self.size]).reshape(2, -1)
        offsets = cells[:, :, None] - cells[:, None, :] + self.size - 1
        index = offsets[0] * (2 * self.size - 1) + offsets[1]
        table = self.param(
            "bias", linen.initializers.normal(1.0), ((2 * self.size - 1) ** 2, self.heads)
        )
        scores = scores + table[index.reshape(-1)].reshape(n, n, -1).transpose(2, 0, 1)[None]
        if self.masked and self.shift:
            region = np.zeros((1, h, w, 1))
            cuts = (slice(0, -self.size), slice(-self.size, -self.shift), slice(-self.shift, None))
            for count, (i, j) in enumerate((i, j) for i in cuts for j in cuts):
                region[:, i, j] = count
            region = np.asarray(region).reshape(
                1, h // self.size, self.size, w // self.size, self.size, 1
            )
            region = region.transpose(0, 1, 3, 2, 4, 5).reshape(-1, n)
            mask = np.where(region[:, None] != region[:, :, None], -100.0, 0.0)
            scores = scores.reshape(b, -1, self.heads, n, n) + mask[None, :, None]
            scores = scores.reshape(-1, self.heads, n, n)
        weights = linen.softmax(scores, axis=-1)
        x = jnp.swapaxes(weights @ v, 1, 2).reshape(-1, n, c)
        x = unwindow(linen.Dense(c)(x), self.size, h, w)
        return jnp.roll(x, (self.shift, self.shift), axis=(1, 2)) if self.shift else x


class Swin(linen.Module):
    """Windows, shifted windows, patch merging by strided slices."""

    masked: bool = True

    @linen.compact
    def __call__(self, x):
        x = linen.LayerNorm()(linen.Conv(4, (2, 2), strides=(2, 2), padding="VALID")(x))
        for shift in (0, 1):
            x = x + WindowAttention(2, shift, self.masked)(linen.LayerNorm()(x))
            x = x + linen.Dense(4)(linen.gelu(linen.Dense(8)(linen.LayerNorm()(x))))
        parts = [x[:, i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        x = linen.Dense(8, use_bias=False)(linen.LayerNorm()(jnp.concatenate(parts, -1)))
        return linen.Dense(3)(jnp.mean(linen.LayerNorm()(x), axis=(1, 2)))


class AxialAttention(linen.Module):
    """Attention along rows, then along columns, by einsum."""

    @linen.compact
    def __call__(self, x):
        for axis in "hw":
            q, k, v = jnp.split(linen.Dense(12, use_bias=False)(x), 3, axis=-1)
            score = (
                jnp.einsum("bhwc,biwc->bwhi", q, k)
                if axis == "h"
                else jnp.einsum("bhwc,bhic->bhwi", q, k)
            )
            weights = jax.nn.softmax(score / 2.0, axis=-1)
            x = x + (
                jnp.einsum("bwhi,biwc->bhwc", weights, v)
                if axis == "h"
                else jnp.einsum("bhwi,bhic->bhwc", weights, v)
            )
        return x


class LinearAttention(linen.Module):
    """Softmax over space on the keys, a context matrix, then the queries."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        qkv = linen.Conv(12, (1, 1), use_bias=False)(x).reshape(b, h * w, 3, 2, 2)
        q, k, v = (qkv[:, :, i] for i in range(3))
        context = jnp.einsum("bnhd,bnhe->bhde", jax.nn.softmax(k, axis=1), v)
        out = jnp.einsum("bhde,bnhd->bhne", context, jax.nn.softmax(q, axis=-1))
        return linen.Conv(c, (1, 1))(out.transpose(0, 2, 1, 3).reshape(b, h, w, 4))


class NonLocal(linen.Module):
    """Embedded Gaussian attention over pooled keys, with a zero-initialised scale."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        theta = linen.Conv(2, (1, 1))(x).reshape(b, h * w, 2)
        phi = linen.max_pool(linen.Conv(2, (1, 1))(x), (2, 2), (2, 2)).reshape(b, h * w // 4, 2)
        g = linen.max_pool(linen.Conv(2, (1, 1))(x), (2, 2), (2, 2)).reshape(b, h * w // 4, 2)
        attention = jax.nn.softmax(jnp.einsum("bik,bjk->bij", theta, phi), axis=-1)
        y = jnp.einsum("bij,bjk->bik", attention, g).reshape(b, h, w, 2)
        sigma = self.param("sigma", linen.initializers.zeros, ())
        return x + sigma * linen.Conv(c, (1, 1))(y)


class PoolFormer(linen.Module):
    """Average pooling as the token mixer, with its border counted apart."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (2, 2), (2, 2))(x)
        y = linen.GroupNorm(1)(x)
        y = linen.avg_pool(y, (3, 3), (1, 1), padding="SAME", count_include_pad=False) - y
        scale = self.param("scale", linen.initializers.constant(1e-5), (4,))
        x = x + y * scale
        return x.mean((1, 2))


class PerceiverPool(linen.Module):
    """Latents attend to pixels with Fourier features of their places, then to themselves."""

    features: bool = True

    @linen.compact
    def __call__(self, x):
        b, h, w, _ = x.shape
        if self.features:
            axes = jnp.meshgrid(jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w), indexing="ij")
            grid = jnp.stack(axes, -1)[..., None] * jnp.linspace(1.0, 4.0, 2)
            grid = jnp.concatenate([jnp.sin(np.pi * grid), jnp.cos(np.pi * grid)], -1)
            grid = jnp.broadcast_to(grid.reshape(1, h, w, -1), (b, h, w, 8))
            x = jnp.concatenate([x, grid], axis=-1)
        x = x.reshape(b, h * w, -1)
        latents = self.param("latents", linen.initializers.normal(1.0), (3, 4))
        latents = jnp.broadcast_to(latents, (b, 3, 4))
        latents = linen.MultiHeadDotProductAttention(2, qkv_features=4)(latents, x)
        latents = latents + linen.SelfAttention(num_heads=2)(latents)
        return linen.Dense(3)(latents.mean(1))


class RotaryAttention(linen.Module):
    """Queries and keys turned by their place: relative, but not around the torus."""

    @linen.compact
    def __call__(self, x):
        n = x.shape[1]
        q, k, v = (linen.DenseGeneral((2, 4))(x) for _ in range(3))

        def turn(y: Array) -> Array:
            angle = jnp.arange(n)[:, None] / 10.0 ** jnp.arange(2)
            sin, cos = jnp.sin(angle)[None, :, None], jnp.cos(angle)[None, :, None]
            first, second = jnp.split(y, 2, axis=-1)
            return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)

        y = linen.dot_product_attention(turn(q), turn(k), v)
        return linen.DenseGeneral(4, axis=(-2, -1))(y)


class Decoder(linen.Module):
    """Causal self-attention."""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(4)(x)
        mask = linen.make_causal_mask(jnp.ones(x.shape[:2]))
        return x + linen.SelfAttention(num_heads=2)(linen.LayerNorm()(x), mask=mask)


PATCHES = (None, 16)
TRANSFORMERS = [
    Family("vit, class token", linen_model(ViT(), SMALL), SMALL, ((None, 1), (None, 1))),
    Family(
        "vit, class token, no positions",
        linen_model(ViT(positions="none"), SMALL),
        SMALL,
        ((None, 4), (None, 1)),
    ),
    Family(
        "vit, sin-cos, mean",
        linen_model(ViT(positions="sincos", pool="mean"), SMALL),
        SMALL,
        ((None, 1), (None, 1)),
    ),
    Family(
        "vit, attention pool",
        linen_model(ViT(positions="none", pool="attention"), SMALL),
        SMALL,
        ((None, 4), (None, 1)),
    ),
    Family(
        "vit, attention pool, positions",
        linen_model(ViT(pool="attention"), SMALL),
        SMALL,
        ((None, 1), (None, 1)),
    ),
    Family(
        "vit, max over tokens",
        linen_model(ViT(positions="none", pool="max"), SMALL),
        SMALL,
        ((None, 4), (None, 1)),
    ),
    Family(
        "vit, map",
        linen_model(ViT(positions="none", pool="map"), SMALL),
        SMALL,
        ((4, 1), (None, 1)),
    ),
    Family("vit, nnx", nnx_model(NnxViT), SMALL, ((None, 1),)),
    Family(
        "vit, nnx, no positions",
        nnx_model(NnxViT, positions=False),
        SMALL,
        ((None, 4),),
    ),
    Family("mlp-mixer", linen_model(MlpMixer(), SMALL), SMALL, ((None, 1),)),
    Family("swin", linen_model(Swin(), SMALL), SMALL, ((None, 1),)),
    Family("swin on the torus", linen_model(Swin(masked=False), SMALL), SMALL, ((None, 4),)),
    Family("axial attention", linen_model(AxialAttention(), (6, 4, 4)), (6, 4, 4), ((24, 1),)),
    Family("linear attention", linen_model(LinearAttention(), SMALL), SMALL, ((64, 1),)),
    Family("non-local", linen_model(NonLocal(), (4, 4, 2)), (4, 4, 2), ((4, 1),), swept=False),
    Family("poolformer", linen_model(PoolFormer(), SMALL), SMALL, ((None, 1),)),
    Family("perceiver", linen_model(PerceiverPool(), SMALL), SMALL, ((None, 1),)),
    Family(
        "perceiver, no features", linen_model(PerceiverPool(False), SMALL), SMALL, ((None, 64),)
    ),
    Family("rotary attention", linen_model(RotaryAttention(), (8, 4)), (8, 4), ((1, 1),)),
    Family("decoder", linen_model(Decoder(), (8, 4)), (8, 4), ((1, 1),)),
]


# --- images to images ---


class DoubleConv(linen.Module):
    features: int
    padding: str

    @linen.compact
    def __call__(self, x, train):
        for _ in range(2):
            x = linen.Conv(self.features, (3, 3), padding=self.padding)(x)
            x = linen.relu(linen.BatchNorm(use_running_average=not train)(x))
        return x


class UNet(linen.Module):
    """Down by pooling, up by `up`, skips by concatenation."""

    padding: str = "SAME"
    up: str = "transpose"

    @linen.compact
    def __call__(self, x, train: bool = True):
        first = DoubleConv(4, self.padding)(x, train)
        x = linen.max_pool(first, window_shape=(2, 2), strides=(2, 2))
        x = DoubleConv(6, self.padding)(x, train)
        b, h, w, c = x.shape
        if self.up == "transpose":
            x = linen.ConvTranspose(4, (2, 2), strides=(2, 2), padding=self.padding)(x)
        elif self.up == "transpose4":
            x = linen.ConvTranspose(4, (4, 4), strides=(2, 2), padding=self.padding)(x)
        else:
            x = jax.image.resize(x, (b, 2 * h, 2 * w, c), self.up)
        x = jnp.concatenate([first, x], axis=-1)
        x = DoubleConv(4, self.padding)(x, train)
        return linen.Conv(1, (1, 1))(x)


class NnxUNet(nnx.Module):
    """Strided convolutions down, repeat up, sums as skips."""

    def __init__(self, padding: str = "CIRCULAR", *, rngs: nnx.Rngs):
        conv = functools.partial(nnx.Conv, padding=padding, rngs=rngs)
        self.enter, self.leave = conv(3, 4, (3, 3)), conv(4, 3, (3, 3))
        self.down = conv(4, 8, (4, 4), strides=(2, 2))
        self.middle = nnx.Sequential(conv(8, 8, (3, 3)), nnx.GroupNorm(8, 4, rngs=rngs), nnx.silu)
        self.up = conv(8, 4, (3, 3))

    def __call__(self, x):
        skip = nnx.silu(self.enter(x))
        x = self.middle(self.down(skip))
        x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        return jnp.tanh(self.leave(skip + self.up(x)))


def time_embedding(t: Array, features: int) -> Array:
    half = features // 2
    rates = jnp.exp(-np.log(10_000) * jnp.arange(half) / (half - 1))
    angles = t[:, None] * rates[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class DiffusionUNet(linen.Module):
    """Residual blocks that take a time step, attention in the middle, zero-initialised last convolution."""

    padding: str = "SAME"
    zero: bool = True

    @linen.compact
    def __call__(self, x, t, train: bool = False):
        zeros = linen.initializers.zeros if self.zero else linen.initializers.lecun_normal()
        temb = linen.Dense(8)(linen.swish(linen.Dense(8)(time_embedding(t, 8))))

        def block(x: Array, features: int) -> Array:
            h = linen.Conv(features, (3, 3), padding=self.padding)(
                linen.swish(linen.GroupNorm(2)(x))
            )
            h = h + linen.Dense(features)(linen.swish(temb))[:, None, None, :]
            h = linen.Dropout(0.1)(linen.swish(linen.GroupNorm(2)(h)), deterministic=not train)
            h = linen.Conv(features, (3, 3), padding=self.padding, kernel_init=zeros)(h)
            return h + (linen.Conv(features, (1, 1))(x) if x.shape[-1] != features else x)

        x = linen.Conv(4, (3, 3), padding=self.padding)(x)
        skips = [x := block(x, 4)]
        x = linen.Conv(4, (3, 3), strides=(2, 2), padding=self.padding)(x)
        x = block(x, 8)
        b, h, w, c = x.shape
        q, k, v = (linen.Dense(c)(linen.GroupNorm(2)(x)) for _ in range(3))
        scores = jnp.einsum("bhwc,bHWc->bhwHW", q, k) * c**-0.5
        scores = jax.nn.softmax(scores.reshape(b, h, w, h * w), axis=-1).reshape(b, h, w, h, w)
        x = x + linen.Dense(c, kernel_init=zeros)(jnp.einsum("bhwHW,bHWc->bhwc", scores, v))
        x = jax.image.resize(x, (b, 2 * h, 2 * w, c), method="nearest")
        x = linen.Conv(4, (3, 3), padding=self.padding)(x)
        x = block(jnp.concatenate([x, skips.pop()], axis=-1), 4)
        x = linen.swish(linen.GroupNorm(2)(x))
        return linen.Conv(3, (3, 3), padding=self.padding, kernel_init=zeros)(x)


class FPN(linen.Module):
    """A pyramid: three maps as a list, each coarser one enlarged and added."""

    padding: Any = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        maps = []
        for features in (4, 6, 8):
            x = linen.relu(linen.Conv(features, (3, 3), (2, 2), padding=self.padding)(x))
            maps.append(linen.Conv(4, (1, 1))(x))
        for fine, coarse in ((1, 2), (0, 1)):
            up = jax.image.resize(maps[coarse], maps[fine].shape, "nearest")
            maps[fine] = maps[fine] + up
        return [linen.Conv(2, (3, 3), padding=self.padding)(m) for m in maps]


class DeepLab(linen.Module):
    """Dilated convolutions in parallel, an image pool, and a bilinear enlargement."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), (2, 2), padding=self.padding)(x))
        branches = [
            linen.Conv(2, (3, 3), kernel_dilation=rate, padding=self.padding)(x) for rate in (1, 2)
        ]
        pooled = linen.Conv(2, (1, 1))(x.mean((1, 2), keepdims=True))
        branches.append(jax.image.resize(pooled, branches[0].shape, "bilinear"))
        x = linen.Conv(2, (1, 1))(jnp.concatenate(branches, -1))
        return jax.image.resize(x, (x.shape[0], 8, 8, 2), "bilinear")


class Generator(nnx.Module):
    """Encoder, residual blocks with instance norm, transposed convolutions; reflection padding where published."""

    def __init__(self, mode: str = "reflect", *, rngs: nnx.Rngs):
        self.mode = mode
        self.conv1 = nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs)
        self.norm = nnx.InstanceNorm(4, rngs=rngs)
        self.conv2 = nnx.Conv(4, 4, (3, 3), padding="VALID", rngs=rngs)
        self.down = nnx.Conv(
            4, 8, (3, 3), strides=2, padding="CIRCULAR" if mode == "wrap" else "SAME", rngs=rngs
        )
        self.up = nnx.ConvTranspose(
            8, 4, (3, 3), strides=2, padding="CIRCULAR" if mode == "wrap" else "SAME", rngs=rngs
        )
        self.conv3 = nnx.Conv(4, 3, (3, 3), padding="VALID", rngs=rngs)

    def pad(self, x):
        return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=self.mode)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv1(self.pad(x))))
        x = self.up(self.down(x + self.conv2(self.pad(x))))
        return jnp.tanh(self.conv3(self.pad(nnx.leaky_relu(x, 0.2))))


class SuperResolution(linen.Module):
    """Sub-pixel convolution: channels become pixels."""

    padding: str = "CIRCULAR"
    factor: int = 2

    @linen.compact
    def __call__(self, x):
        x = jnp.tanh(linen.Conv(4, (5, 5), padding=self.padding)(x))
        x = linen.Conv(3 * self.factor**2, (3, 3), padding=self.padding)(x)
        b, h, w, _ = x.shape
        x = x.reshape(b, h, w, self.factor, self.factor, 3).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(b, h * self.factor, w * self.factor, 3)


class Autoencoder(linen.Module):
    """Down to a vector and up again: no shift survives the flatten; returns a tuple."""

    @linen.compact
    def __call__(self, x):
        shape = x.shape
        x = linen.relu(linen.Conv(4, (3, 3), (2, 2))(x))
        mean, log_variance = jnp.split(linen.Dense(4)(x.reshape(shape[0], -1)), 2, axis=-1)
        x = linen.relu(linen.Dense(4 * 4 * 4)(mean)).reshape(shape[0], 4, 4, 4)
        x = linen.ConvTranspose(3, (3, 3), (2, 2))(x)
        return linen.sigmoid(x), mean, log_variance


class VectorQuantiser(linen.Module):
    """Nearest code by distance, straight-through, ids beside the map."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        z = linen.Conv(4, (4, 4), (2, 2), padding=self.padding)(x)
        codes = self.param("codes", linen.initializers.normal(1.0), (6, 4))
        flat = z.reshape(-1, 4)
        distances = (
            jnp.sum(flat**2, axis=1, keepdims=True)
            - 2 * flat @ codes.T
            + jnp.sum(codes.T**2, axis=0)
        )
        ids = jnp.argmin(distances, axis=1)
        chosen = jnp.take(codes, ids, axis=0).reshape(z.shape)
        chosen = z + lax.stop_gradient(chosen - z)
        out = linen.ConvTranspose(3, (4, 4), (2, 2), padding=self.padding)(chosen)
        return {"ids": ids.reshape(z.shape[:-1]), "map": out}


def blur(x: Array, mode: str) -> Array:
    """Binomial filter of stride 2, padded by hand, one channel at a time."""
    line = np.asarray([1.0, 2.0, 1.0])
    kernel = jnp.asarray(np.outer(line, line) / 16, jnp.float32)
    kernel = jnp.tile(kernel[:, :, None, None], (1, 1, 1, x.shape[-1]))
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
    return lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        (2, 2),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


class PatchDiscriminator(linen.Module):
    """PatchGAN with blur filters; published with reflect padding inside a circular net."""

    mode: str = "reflect"

    @linen.compact
    def __call__(self, x):
        x = linen.leaky_relu(linen.Conv(4, (4, 4), padding="CIRCULAR")(x), 0.2)
        x = blur(x, self.mode)
        x = linen.Conv(6, (4, 4), padding="CIRCULAR")(x)
        x = linen.leaky_relu(linen.GroupNorm(2)(x), 0.2)
        return linen.Conv(1, (4, 4), padding="CIRCULAR")(x)


IMAGES = [
    Family("unet", linen_model(UNet(), SMALL), SMALL, ((1, 1),), EVAL),
    Family("unet, circular", linen_model(UNet("CIRCULAR"), SMALL), SMALL, ((16, 1),), EVAL),
    Family(
        "unet, transposed 4x4",
        linen_model(UNet("CIRCULAR", "transpose4"), SMALL),
        SMALL,
        ((16, 1),),
        EVAL,
    ),
    Family(
        "unet, nearest", linen_model(UNet("CIRCULAR", "nearest"), SMALL), SMALL, ((16, 1),), EVAL
    ),
    Family(
        "unet, bilinear", linen_model(UNet("CIRCULAR", "bilinear"), SMALL), SMALL, ((1, 1),), EVAL
    ),
    Family(
        "unet, bilinear, zeros",
        linen_model(UNet("SAME", "bilinear"), SMALL),
        SMALL,
        ((1, 1),),
        EVAL,
    ),
    Family("unet, deep", nnx_model(zoo.UNet, width=2, depth=2), (8, 8, 3), ((4, 1),)),
    Family("unet, nnx", nnx_model(NnxUNet), SMALL, ((16, 1),)),
    Family("unet, nnx, zeros", nnx_model(NnxUNet, "SAME"), SMALL, ((1, 1),)),
    Family(
        "diffusion unet",
        linen_model(DiffusionUNet(), SMALL, t=jnp.ones((1,))),
        SMALL,
        ((1, 1),),
        {"apply_kwargs": {"t": np.ones((1,), np.float32)}},
        dead=True,
    ),
    Family(
        "diffusion unet, circular",
        linen_model(DiffusionUNet("CIRCULAR", zero=False), SMALL, t=jnp.ones((1,))),
        SMALL,
        ((16, 1),),
        {"apply_kwargs": {"t": np.ones((1,), np.float32)}},
    ),
    Family(
        "feature pyramid",
        linen_model(FPN(), COLOUR),
        COLOUR,
        ((4, 1), (4, 1), (4, 1)),
    ),
    Family("feature pyramid, zeros", linen_model(FPN("SAME"), SMALL), SMALL, ((1, 1),) * 3),
    Family("deeplab", linen_model(DeepLab(), SMALL), SMALL, ((1, 1),)),
    Family("generator", nnx_model(Generator), SMALL, ((1, 1),)),
    Family("generator, circular", nnx_model(Generator, "wrap"), SMALL, ((16, 1),)),
    Family("super-resolution", linen_model(SuperResolution(), (6, 4, 3)), (6, 4, 3), ((24, 1),)),
    Family(
        "super-resolution, zeros",
        linen_model(SuperResolution("SAME"), (4, 4, 3)),
        (4, 4, 3),
        ((1, 1),),
    ),
    Family("autoencoder", linen_model(Autoencoder(), SMALL), SMALL, ((1, 1), (None, 1), (None, 1))),
    Family("vector quantiser", linen_model(VectorQuantiser(), SMALL), SMALL, ((16, 1), (16, 1))),
    Family("patch discriminator", linen_model(PatchDiscriminator(), SMALL), SMALL, ((1, 1),)),
    Family(
        "patch discriminator, wrapped",
        linen_model(PatchDiscriminator("wrap"), SMALL),
        SMALL,
        ((16, 1),),
    ),
]


# --- time, volumes, lines ---


class ConvLSTM(linen.Module):
    """Convolutional LSTM over the frames of a video, by `nn.RNN`."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        cell = linen.ConvLSTMCell(features=2, kernel_size=(3, 3), padding=self.padding)
        return linen.RNN(cell)(x)


class NnxConvLSTM(nnx.Module):
    """Gates by hand, frames by `lax.scan`, the last state through a head."""

    def __init__(self, padding: str = "CIRCULAR", *, rngs: nnx.Rngs):
        self.gates = nnx.Conv(1 + 2, 8, (3, 3), padding=padding, rngs=rngs)
        self.head = nnx.Conv(2, 1, (1, 1), rngs=rngs)

    def __call__(self, x):
        graph, state = nnx.split(self.gates)

        def step(carry, frame):
            hidden, cell = carry
            both = jnp.concatenate([frame, hidden], axis=-1)
            i, f, g, o = jnp.split(nnx.merge(graph, state)(both), 4, axis=-1)
            cell = nnx.sigmoid(f + 1) * cell + nnx.sigmoid(i) * jnp.tanh(g)
            hidden = nnx.sigmoid(o) * jnp.tanh(cell)
            return (hidden, cell), hidden

        b, _, h, w, _ = x.shape
        start = jnp.zeros((b, h, w, 2), x.dtype)
        (hidden, _), _ = lax.scan(step, (start, start), jnp.swapaxes(x, 0, 1))
        return self.head(hidden)


class Video(linen.Module):
    """Factorised 3-D convolutions: space, then time; the batch of frames is folded."""

    @linen.compact
    def __call__(self, x):
        b, t, h, w, c = x.shape
        x = linen.relu(linen.Conv(3, (3, 3), padding="CIRCULAR")(x.reshape(b * t, h, w, c)))
        x = x.reshape(b, t, h, w, 3)
        x = linen.Conv(2, (3, 1, 1), padding="SAME")(x)
        return x.mean(axis=1)


class VNet(linen.Module):
    """Volumes: strided down, transposed up, sums as skips."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        first = linen.relu(linen.Conv(2, (3, 3, 3), padding=self.padding)(x))
        x = linen.relu(linen.Conv(3, (2, 2, 2), (2, 2, 2), padding=self.padding)(first))
        x = linen.ConvTranspose(2, (2, 2, 2), (2, 2, 2), padding=self.padding)(x)
        return linen.Conv(1, (1, 1, 1))(x + first)


class WaveNet(linen.Module):
    """Gated dilated convolutions, padded on the left by zeros; sums of skips."""

    padding: Any = "CAUSAL"

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (1,))(x)
        skips = []
        for rate in (1, 2):
            y = linen.Conv(8, (2,), kernel_dilation=(rate,), padding=self.padding)(x)
            filtered, gate = jnp.split(y, 2, axis=-1)
            y = jnp.tanh(filtered) * linen.sigmoid(gate)
            skips.append(linen.Conv(4, (1,))(y))
            x = x + linen.Conv(4, (1,))(y)
        return linen.log_softmax(linen.Dense(5)(linen.relu(sum(skips))), axis=-1)


class Audio(nnx.Module):
    """Strided 1-D convolutions with weight norm, and statistics over time."""

    def __init__(self, padding: str = "CIRCULAR", *, rngs: nnx.Rngs):
        self.conv = nnx.WeightNorm(
            nnx.Conv(1, 4, (5,), strides=(2,), padding=padding, rngs=rngs), rngs=rngs
        )
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.elu(self.conv(x))
        return self.head(jnp.concatenate([x.mean(1), x.std(1)], axis=-1))


class TextCnn(linen.Module):
    """Pools over time of several widths, valid convolutions."""

    @linen.compact
    def __call__(self, x):
        maps = [linen.relu(linen.Conv(3, (k,), padding="VALID")(x)) for k in (2, 3)]
        return linen.Dense(2)(jnp.concatenate([m.max(axis=1) for m in maps], axis=-1))


class Recurrent(linen.Module):
    """An LSTM along the line."""

    @linen.compact
    def __call__(self, x):
        return linen.RNN(linen.LSTMCell(3))(x)


# --- Fourier ---


class SpectralConv(linen.Module):
    """Fourier layer: the lowest modes times a matrix each."""

    modes: int = 2
    features: int = 2

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        scale = linen.initializers.normal(1.0)
        spectrum = jnp.fft.rfft2(x, axes=(1, 2))
        out = jnp.zeros((b, h, w // 2 + 1, self.features), spectrum.dtype)
        for name, rows in (("low", slice(0, self.modes)), ("high", slice(-self.modes, None))):
            shape = (c, self.features, self.modes, self.modes)
            weight = self.param(f"{name}_re", scale, shape) + 1j * self.param(
                f"{name}_im", scale, shape
            )
            part = jnp.einsum("bxyi,ioxy->bxyo", spectrum[:, rows, : self.modes], weight)
            out = out.at[:, rows, : self.modes].set(part)
        return jnp.fft.irfft2(out, s=(h, w), axes=(1, 2))


class FNO(linen.Module):
    """Fourier neural operator, with or without its coordinate grid."""

    grid: bool = False

    @linen.compact
    def __call__(self, x):
        if self.grid:
            b, h, w, _ = x.shape
            rows = jnp.broadcast_to(jnp.linspace(0, 1, h)[None, :, None, None], (b, h, w, 1))
            columns = jnp.broadcast_to(jnp.linspace(0, 1, w)[None, None, :, None], (b, h, w, 1))
            x = jnp.concatenate([x, rows, columns], axis=-1)
        x = linen.Dense(2)(x)
        for _ in range(2):
            x = linen.gelu(SpectralConv()(x) + linen.Conv(2, (1, 1))(x))
        return linen.Dense(1)(x)


class GlobalFilter(linen.Module):
    """GFNet: patches, a filter whose real and imaginary parts are learned for every frequency, dense layers."""

    rectified: bool = False

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(4, (2, 2), strides=(2, 2), padding="VALID")(x)
        for i in range(2):
            _, h, w, c = x.shape
            y = jnp.fft.rfft2(linen.LayerNorm()(x), axes=(1, 2), norm="ortho")
            weight = self.param(
                f"filter_{i}", linen.initializers.normal(1.0), (h, w // 2 + 1, c, 2)
            )
            if self.rectified:
                y = lax.complex(linen.relu(y.real), linen.relu(y.imag))
            y = y * lax.complex(weight[..., 0], weight[..., 1])
            y = jnp.fft.irfft2(y, s=(h, w), axes=(1, 2), norm="ortho")
            x = x + linen.Dense(4)(linen.gelu(linen.Dense(8)(linen.LayerNorm()(y))))
        return linen.Dense(3)(linen.LayerNorm()(x).mean((1, 2)))


class FourierLine(linen.Module):
    """One Fourier layer along a line, all modes."""

    @linen.compact
    def __call__(self, x):
        n = x.shape[1]
        weight = self.param("re", linen.initializers.normal(1.0), (n // 2 + 1, 2, 2)) + 0j
        y = jnp.einsum("bki,kio->bko", jnp.fft.rfft(x, axis=1), weight)
        return jnp.fft.irfft(y, n=n, axis=1)


class FNet(linen.Module):
    """Fourier mixing of tokens: the real part of a transform over tokens and channels."""

    @linen.compact
    def __call__(self, x):
        y = jnp.fft.fft2(x, axes=(1, 2)).real
        return linen.Dense(2)(linen.LayerNorm()(x + y))


class SpectrumPower(linen.Module):
    """The power spectrum does not change under a shift."""

    @linen.compact
    def __call__(self, x):
        power = jnp.abs(jnp.fft.fft2(x, axes=(1, 2))) ** 2
        return linen.Dense(3)(jnp.log1p(power).reshape(x.shape[0], -1))


# --- automata ---


automaton = functools.partial(nnx_model, zoo.Automaton, channels=4, hidden=8, steps=2)


class RolledAutomaton(nnx.Module):
    """Neighbours by rolls, a step repeated by `lax.fori_loop`; grids of any dimension."""

    def __init__(self, dimensions: int = 2, *, rngs: nnx.Rngs):
        self.dimensions = dimensions
        self.mix = nnx.Linear(2 * (1 + 2 * dimensions), 2, rngs=rngs)

    def __call__(self, x):
        def step(_, x):
            seen = [x]
            for axis in range(1, 1 + self.dimensions):
                seen += [jnp.roll(x, 1, axis=axis), jnp.roll(x, -1, axis=axis)]
            return x + jnp.tanh(mix(jnp.concatenate(seen, axis=-1)))

        mix = self.mix
        return lax.fori_loop(0, 3, step, x)


def game_of_life(x: Array) -> Array:
    """The rule of life, by eight rolls."""
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    count = sum(jnp.roll(x, shift, axis=(1, 2)) for shift in shifts)
    return ((count == 3) | ((x == 1) & (count == 2))).astype(x.dtype)


DYNAMIC = [
    Family(
        "conv lstm",
        linen_model(ConvLSTM(), (3, 4, 4, 1)),
        (3, 4, 4, 1),
        ((16, 1),),
        {"spatial_axes": (1, 2)},
    ),
    Family(
        "conv lstm, zeros",
        linen_model(ConvLSTM("SAME"), (3, 4, 4, 1)),
        (3, 4, 4, 1),
        ((1, 1),),
        {"spatial_axes": (1, 2)},
    ),
    Family(
        "conv lstm, nnx",
        nnx_model(NnxConvLSTM),
        (3, 4, 4, 1),
        ((16, 1),),
        {"spatial_axes": (1, 2)},
    ),
    Family(
        "video",
        linen_model(Video(), (3, 4, 4, 1)),
        (3, 4, 4, 1),
        ((16, 1),),
        {"spatial_axes": (1, 2)},
    ),
    Family("v-net", linen_model(VNet(), (4, 4, 4, 1)), (4, 4, 4, 1), ((8, 1),)),
    Family("v-net, zeros", linen_model(VNet("SAME"), (4, 4, 4, 1)), (4, 4, 4, 1), ((1, 1),)),
    Family("wavenet", linen_model(WaveNet(), (16, 1)), (16, 1), ((1, 1),)),
    Family("wavenet, circular", linen_model(WaveNet("CIRCULAR"), (16, 1)), (16, 1), ((16, 1),)),
    Family("audio", nnx_model(Audio), (16, 1), ((None, 8),)),
    Family("text cnn", linen_model(TextCnn(), (8, 2)), (8, 2), ((None, 1),)),
    Family("lstm", linen_model(Recurrent(), (8, 2)), (8, 2), ((1, 1),)),
    Family("fourier layer", linen_model(FourierLine(), (8, 2)), (8, 2), ((8, 1),)),
    Family("fourier operator", linen_model(FNO(), (8, 8, 1)), (8, 8, 1), ((64, 1),)),
    Family("fourier operator, grid", linen_model(FNO(True), (8, 8, 1)), (8, 8, 1), ((1, 1),)),
    Family("gfnet", linen_model(GlobalFilter(), (8, 8, 2)), (8, 8, 2), ((None, 16),)),
    Family("gfnet, rectified", linen_model(GlobalFilter(True), (8, 8, 2)), (8, 8, 2), ((None, 1),)),
    Family("fnet", linen_model(FNet(), (8, 4)), (8, 4), ((1, 1),)),
    Family(
        "power spectrum",
        linen_model(SpectrumPower(), (4, 4, 1)),
        (4, 4, 1),
        ((None, 16),),
    ),
    Family("automaton", automaton(), (8, 8, 4), ((64, 1),)),
    Family("automaton, zeros", automaton(torus=False), (8, 8, 4), ((1, 1),)),
    Family("automaton, alive", automaton(alive=True), (8, 8, 4), ((1, 1),)),
    Family("automaton by rolls", nnx_model(RolledAutomaton), (6, 8, 2), ((48, 1),)),
    Family("automaton in 3-D", nnx_model(RolledAutomaton, 3), (4, 4, 4, 2), ((64, 1),)),
    Family("game of life", lambda: game_of_life, (6, 6, 1), ((36, 1),), swept=False),
]


# --- idioms ---


class ScannedBlocks(linen.Module):
    """Blocks by `nn.scan`, rematerialised."""

    padding: str = "CIRCULAR"

    @linen.compact
    def __call__(self, x):
        padding = self.padding

        class Block(linen.Module):
            @linen.compact
            def __call__(self, x, _):
                return x + linen.Conv(x.shape[-1], (3, 3), padding=padding)(linen.silu(x)), None

        blocks = linen.scan(
            linen.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        x, _ = blocks()(linen.Dense(3)(x), None)
        return x


class NnxScanned(nnx.Module):
    """Blocks by `nnx.vmap` and `nnx.scan`."""

    def __init__(self, padding: str = "CIRCULAR", *, rngs: nnx.Rngs):
        @nnx.split_rngs(splits=3)
        @nnx.vmap(in_axes=(0,), out_axes=0)
        def make(rngs):
            return nnx.Conv(2, 2, (3, 3), padding=padding, rngs=rngs)

        self.blocks = make(rngs)

    def __call__(self, x):
        @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
        def forward(block, x):
            return x + nnx.relu(block(x))

        return forward(self.blocks, x)


class Spectral(nnx.Module):
    """Spectral norm, which writes its state in the forward pass."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv = nnx.SpectralNorm(
            nnx.Conv(2, 3, (3, 3), padding="CIRCULAR", rngs=rngs), rngs=rngs
        )

    def __call__(self, x):
        return nnx.relu(self.conv(x, update_stats=False)).sum((1, 2))


class LinenSpectral(linen.Module):
    @linen.compact
    def __call__(self, x, train: bool):
        conv = linen.SpectralNorm(linen.Conv(3, (3, 3), padding="CIRCULAR"))
        x = linen.relu(conv(x, update_stats=train))
        return linen.WeightNorm(linen.Conv(2, (1, 1)))(x)


class TiedWeights(nnx.Module):
    """One convolution under two names."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.first = nnx.Conv(2, 2, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.second = self.first

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


@flax.struct.dataclass
class Prediction:
    logits: Array
    features: Array


class StructOutput(linen.Module):
    """A dataclass of logits and maps."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(3, (3, 3), padding="CIRCULAR")(x)
        return Prediction(logits=x.mean((1, 2)), features=x)


class Statistics(linen.Module):
    """In training mode: returns what it would store."""

    @linen.compact
    def __call__(self, x):
        return linen.BatchNorm(use_running_average=False)(linen.Conv(2, (1, 1))(x))


class Squeezed(linen.Module):
    """A scalar for the whole batch, as of a loss."""

    @linen.compact
    def __call__(self, x):
        return jnp.square(linen.Conv(2, (3, 3), padding="CIRCULAR")(x)).mean()


class Maxout(linen.Module):
    """Maxout, PReLU, and softmax over channels."""

    @linen.compact
    def __call__(self, x):
        x = linen.PReLU()(linen.Conv(6, (3, 3), padding="CIRCULAR")(x))
        x = x.reshape(*x.shape[:-1], 3, 2).max(-1)
        return linen.softmax(x)


class SpatialSoftmax(linen.Module):
    """Expected coordinates of every channel: as tied to places as can be."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        x = linen.Conv(c, (3, 3), padding="CIRCULAR")(x)
        weights = linen.softmax(x.reshape(b, h * w, c), axis=1).reshape(b, h, w, c)
        rows, columns = jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w)
        return jnp.concatenate(
            [jnp.einsum("bhwc,h->bc", weights, rows), jnp.einsum("bhwc,w->bc", weights, columns)],
            -1,
        )


class SpatialTransformer(linen.Module):
    """Looks where the image says: a gather that depends on data."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        theta = linen.Dense(6)(x.mean((1, 2))).reshape(b, 2, 3)
        axes = jnp.meshgrid(jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w), indexing="ij")
        grid = jnp.stack([*axes, jnp.ones((h, w))])
        place = jnp.einsum("bij,jhw->bihw", theta, grid)
        place = (place + 1) * jnp.asarray([h - 1, w - 1])[:, None, None] / 2

        def sample(image, place):
            channels = [
                jax.scipy.ndimage.map_coordinates(image[..., i], place, order=1, mode="nearest")
                for i in range(c)
            ]
            return jnp.stack(channels, -1)

        return jax.vmap(sample)(x, place)


class Deformable(linen.Module):
    """A convolution whose taps are moved by what it sees, on the torus."""

    @linen.compact
    def __call__(self, x):
        h, w = x.shape[1:3]
        offset = linen.Conv(2, (3, 3), padding="CIRCULAR")(x)
        rows = jnp.arange(h)[None, :, None] + offset[..., 0]
        columns = jnp.arange(w)[None, None, :] + offset[..., 1]

        def sample(image, rows, columns):
            i, j = jnp.floor(rows).astype(int) % h, jnp.floor(columns).astype(int) % w
            return image[i, j]

        return jax.vmap(sample)(x, rows, columns)


class Segmenter(linen.Module):
    """Integer ids per pixel, and where the largest value is."""

    @linen.compact
    def __call__(self, x):
        logits = linen.Conv(3, (3, 3), padding="CIRCULAR")(x)
        return {
            "ids": jnp.argmax(logits, axis=-1),
            "place": jnp.argmax(logits[..., 0].reshape(x.shape[0], -1), axis=-1),
        }


class Conditional(linen.Module):
    """A branch that data choose, and a loop that data end."""

    @linen.compact
    def __call__(self, x):
        kernel = self.param("kernel", linen.initializers.normal(1.0), (3, 3, 1, 1))

        def conv(y):
            y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
            return lax.conv_general_dilated(
                y,
                kernel.astype(y.dtype),
                (1, 1),
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )

        x = lax.cond(x.sum() > 0, conv, lambda y: -y, x)
        state = lax.while_loop(lambda s: jnp.abs(s).max() > 0.7, lambda s: s / 2, x)
        return state


class CoordConv(linen.Module):
    @linen.compact
    def __call__(self, x):
        b, h, w, _ = x.shape
        y, z = jnp.meshgrid(jnp.arange(h) / h, jnp.arange(w) / w, indexing="ij")
        coordinates = jnp.broadcast_to(jnp.stack([y, z], -1)[None], (b, h, w, 2))
        x = jnp.concatenate([x, coordinates], axis=-1)
        return linen.Conv(2, (3, 3), padding="CIRCULAR")(x)


class Checkerboard(linen.Module):
    """Coupling of a normalising flow: one colour of the board conditions the other."""

    @linen.compact
    def __call__(self, x):
        rows, columns = np.indices(x.shape[1:3])
        mask = jnp.asarray((rows + columns) % 2, jnp.float32)[None, :, :, None]
        y = linen.relu(linen.Conv(4, (3, 3), padding="CIRCULAR")(x * mask))
        shift, scale = jnp.split(linen.Conv(2, (3, 3), padding="CIRCULAR")(y), 2, axis=-1)
        return x * mask + (1 - mask) * (x * jnp.exp(jnp.tanh(scale)) + shift)


class Glow(linen.Module):
    """Squeeze, invertible 1x1, affine coupling, and the log-determinant."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(b, h // 2, w // 2, 4 * c)
        matrix = self.param("matrix", linen.initializers.orthogonal(), (4 * c, 4 * c))
        x = jnp.einsum("bhwc,cd->bhwd", x, matrix)
        first, second = jnp.split(x, 2, axis=-1)
        y = linen.Conv(4 * c, (3, 3), padding="CIRCULAR")(linen.relu(first))
        shift, scale = jnp.split(y, 2, axis=-1)
        scale = linen.sigmoid(scale + 2.0)
        log_determinant = jnp.sum(jnp.log(scale), axis=(1, 2, 3))
        return jnp.concatenate([first, (second + shift) * scale], axis=-1), log_determinant


class LpPool(linen.Module):
    """Lp pooling, generalised mean and minimum pools."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(2, (3, 3), padding="CIRCULAR")(x)) + 0.1
        x = linen.avg_pool(x**3, (2, 2), (2, 2)) ** (1 / 3)
        return {"map": x, "mean": x.mean((1, 2)), "min": x.min((1, 2))}


class Pools(linen.Module):
    """Global pools after strided ones: the composition repairs."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(2, (3, 3), padding="CIRCULAR")(x)
        return {
            "mean": linen.avg_pool(x, (2, 2), (2, 2)).mean((1, 2)),
            "max": linen.max_pool(x, (2, 2), (2, 2)).max((1, 2)),
            "same": linen.max_pool(x, (3, 3), (2, 2), "SAME").max((1, 2)),
            "border": linen.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False).mean(
                (1, 2)
            ),
        }


class AdaptivePool(linen.Module):
    """Means over a fixed number of cells."""

    cells: int = 2

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        x = linen.relu(linen.Conv(c, (3, 3), padding="CIRCULAR")(x))
        return x.reshape(b, self.cells, h // self.cells, self.cells, w // self.cells, c).mean(
            (2, 4)
        )


class ChannelsFirst(nnx.Module):
    """Images (batch, channels, height, width), moved to where Flax has its channels and back."""

    def __init__(self, padding: str = "CIRCULAR", *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), strides=2, padding=padding, rngs=rngs)

    def __call__(self, x):
        return self.conv(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class Unbatched(nnx.Module):
    """One image (height, width), to be vmapped."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(1, 1, (3, 3), padding="CIRCULAR", rngs=rngs)

    def __call__(self, x):
        return self.conv(x[..., None])[..., 0]


class Noisy(linen.Module):
    """Samples a latent with the key that it is given."""

    @linen.compact
    def __call__(self, x):
        mean = linen.Conv(2, (3, 3), padding="CIRCULAR")(x)
        return mean + jax.random.normal(self.make_rng("sample"), mean.shape, mean.dtype)


class HalfPrecision(linen.Module):
    """Computes in bfloat16."""

    @linen.compact
    def __call__(self, x):
        x = x.astype(jnp.bfloat16)
        x = linen.relu(linen.Conv(4, (3, 3), padding="CIRCULAR", dtype=jnp.bfloat16)(x))
        return linen.Dense(3, dtype=jnp.bfloat16)(x.mean((1, 2))).astype(jnp.float32)


class MinibatchDeviation(linen.Module):
    """Couples the images of a batch."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(2, (3, 3), padding="CIRCULAR")(x)
        deviation = jnp.sqrt(jnp.var(x, axis=0) + 1e-8).mean()
        extra = jnp.broadcast_to(deviation, (*x.shape[:-1], 1))
        return linen.Conv(1, (1, 1))(jnp.concatenate([x, extra], -1))


class Attractor(linen.Module):
    """Capsules: routing by agreement over places."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (3, 3), (2, 2), padding="CIRCULAR")(x)
        votes = linen.Dense(3 * 4)(x.reshape(x.shape[0], -1, 4)).reshape(x.shape[0], -1, 3, 4)
        logits = jnp.zeros(votes.shape[:3])
        for _ in range(2):
            share = jax.nn.softmax(logits, axis=2)
            total = jnp.sum(share[..., None] * votes, axis=1)
            norm = jnp.sum(total**2, axis=-1, keepdims=True)
            out = norm / (1 + norm) * total / jnp.sqrt(norm + 1e-7)
            logits = logits + jnp.einsum("bnkd,bkd->bnk", votes, out)
        return jnp.sqrt(jnp.sum(out**2, -1) + 1e-7)


class Identity(linen.Module):
    """A residual network whose scale is zero: the identity."""

    @linen.compact
    def __call__(self, x):
        y = linen.Conv(x.shape[-1], (3, 3))(linen.relu(x))
        return x + self.param("alpha", linen.initializers.zeros, ()) * y


class GroupEquivariant(linen.Module):
    """Convolutions with a kernel in four turns, pooled over the turns."""

    @linen.compact
    def __call__(self, x):
        kernel = self.param("kernel", linen.initializers.normal(1.0), (3, 3, x.shape[-1], 2))
        turned = jnp.concatenate([jnp.rot90(kernel, k) for k in range(4)], axis=-1)
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        y = lax.conv_general_dilated(
            x, turned.astype(x.dtype), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y.reshape(*y.shape[:-1], 4, 2).max(axis=-2)


class Involution(linen.Module):
    """A kernel per place, made from that place, on patches of the torus."""

    @linen.compact
    def __call__(self, x):
        b, h, w, c = x.shape
        kernel = linen.Dense(9)(x)
        wrapped = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        patches = lax.conv_general_dilated_patches(
            wrapped, (3, 3), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.einsum("bhwck,bhwk->bhwc", patches.reshape(b, h, w, c, 9), kernel)


class Highway(linen.Module):
    """Gates, local response normalisation, and a cumulative sum over channels."""

    @linen.compact
    def __call__(self, x):
        conv = functools.partial(linen.Conv, 4, (3, 3), padding="CIRCULAR")
        x = linen.Dense(4)(x)
        gate = linen.sigmoid(conv(bias_init=linen.initializers.constant(-2.0))(x))
        x = gate * linen.relu(conv()(x)) + (1 - gate) * x
        squares = lax.reduce_window(x**2, 0.0, lax.add, (1, 1, 1, 3), (1, 1, 1, 1), "SAME")
        return jnp.cumsum(x / (1 + 1e-2 * squares) ** 0.75, axis=-1)


def rgb_to_grey_and_flips(x: Array) -> Array:
    """Test-time augmentation: the mean over the image and its mirror image."""
    kernel = jnp.asarray([1.0, 2.0, -1.0], x.dtype).reshape(3, 1, 1)

    def net(y):
        wrapped = jnp.pad(y, ((0, 0), (1, 1), (0, 0)), mode="wrap")
        return lax.conv_general_dilated(
            wrapped, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
        )

    return jnp.stack([net(x), net(x[:, ::-1])]).mean((0, 2))


IDIOMS = [
    Family("nn.scan and remat", linen_model(ScannedBlocks(), SMALL), SMALL, ((64, 1),)),
    Family("nn.scan, zeros", linen_model(ScannedBlocks("SAME"), SMALL), SMALL, ((1, 1),)),
    Family("nnx.scan", nnx_model(NnxScanned), (8, 8, 2), ((64, 1),)),
    Family("nnx.scan, zeros", nnx_model(NnxScanned, "SAME"), (8, 8, 2), ((1, 1),)),
    Family("spectral norm, nnx", nnx_model(Spectral), (4, 4, 2), ((None, 16),)),
    Family(
        "spectral norm",
        linen_model(LinenSpectral(), (4, 4, 2), train=False),
        (4, 4, 2),
        ((16, 1),),
        EVAL,
    ),
    Family("tied weights", nnx_model(TiedWeights), (4, 4, 2), ((16, 1),)),
    Family("dataclass", linen_model(StructOutput(), (4, 4, 2)), (4, 4, 2), ((None, 16), (16, 1))),
    Family(
        "mutable statistics",
        linen_model(Statistics(), (4, 4, 2)),
        (4, 4, 2),
        ((16, 1), (None, 16), (None, 16)),
        {"apply_kwargs": {"mutable": ["batch_stats"]}},
    ),
    Family("scalar", linen_model(Squeezed(), (4, 4, 2)), (4, 4, 2), ((None, 16),)),
    Family("maxout", linen_model(Maxout(), (4, 4, 2)), (4, 4, 2), ((16, 1),)),
    Family("spatial softmax", linen_model(SpatialSoftmax(), (4, 4, 2)), (4, 4, 2), ((None, 1),)),
    Family(
        "spatial transformer", linen_model(SpatialTransformer(), (4, 4, 2)), (4, 4, 2), ((1, 1),)
    ),
    Family(
        "deformable convolution",
        linen_model(Deformable(), (4, 4, 2)),
        (4, 4, 2),
        ((16, 1),),
        open="values that stay in place meet values that move",
    ),
    Family("argmax", linen_model(Segmenter(), (4, 4, 2)), (4, 4, 2), ((16, 1), (None, 1))),
    Family("branch and loop", linen_model(Conditional(), (4, 4, 1)), (4, 4, 1), ((16, 1),)),
    Family("coordinates", linen_model(CoordConv(), (4, 4, 2)), (4, 4, 2), ((1, 1),)),
    Family("checkerboard", linen_model(Checkerboard(), (4, 4, 1)), (4, 4, 1), ((8, 1),)),
    Family("glow", linen_model(Glow(), (4, 4, 1)), (4, 4, 1), ((4, 1), (None, 4))),
    Family("lp pools", linen_model(LpPool(), (4, 4, 2)), (4, 4, 2), ((4, 1), (None, 4), (None, 4))),
    Family(
        "global pools",
        linen_model(Pools(), (4, 4, 2)),
        (4, 4, 2),
        ((None, 1), (None, 16), (None, 16), (None, 16)),
    ),
    Family("adaptive pool", linen_model(AdaptivePool(), (8, 8, 2)), (8, 8, 2), ((4, 1),)),
    Family(
        "channels first",
        nnx_model(ChannelsFirst),
        (3, 8, 8),
        ((16, 1),),
        {"spatial_axes": (1, 2)},
    ),
    Family(
        "unbatched",
        lambda: jax.vmap(Unbatched(rngs=nnx.Rngs(0))),
        (4, 4),
        ((16, 1),),
        {"spatial_axes": (0, 1)},
    ),
    Family(
        "sampled latent",
        linen_model(Noisy(), (4, 4, 2)),
        (4, 4, 2),
        ((1, 1),),
        {"apply_kwargs": {"rngs": {"sample": jax.random.key(2)}}},
    ),
    Family("bfloat16", linen_model(HalfPrecision(), (4, 4, 2)), (4, 4, 2), ((None, 16),)),
    Family(
        "minibatch deviation", linen_model(MinibatchDeviation(), (4, 4, 2)), (4, 4, 2), ((16, 1),)
    ),
    Family("capsules", linen_model(Attractor(), (4, 4, 2)), (4, 4, 2), ((None, 4),)),
    Family("identity", linen_model(Identity(), (4, 4, 2)), (4, 4, 2), ((1, 1),), swept=False),
    Family("turned kernels", linen_model(GroupEquivariant(), (4, 4, 2)), (4, 4, 2), ((16, 1),)),
    Family("involution", linen_model(Involution(), (4, 4, 2)), (4, 4, 2), ((16, 1),)),
    Family("highway", linen_model(Highway(), (4, 4, 2)), (4, 4, 2), ((16, 1),)),
    Family("mirrored", lambda: rgb_to_grey_and_flips, (8, 1), ((None, 8),)),
]


FAMILIES = [*CONVOLUTIONAL, *TRANSFORMERS, *IMAGES, *DYNAMIC, *IDIOMS]
"""All of them."""
