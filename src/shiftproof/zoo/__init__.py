"""A small zoo of Flax models, written as a user would write them.

The tool is tried on these by name: single layers whose break map is known by heart and small
networks (`networks`). A plain name is circular; ``-same`` is its zero padded twin. Of the rest of
shiftproof only `layers` is used here.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import jax
from flax import nnx

from shiftproof.zoo.networks import (
    POOLS,
    Automaton,
    Dense,
    DenseNet,
    LeNet,
    PolyphaseNet,
    ResidualBlock,
    ResNet,
    TransformerBlock,
    UNet,
    ViT,
    pool_layer,
)

__all__ = [
    "ENTRIES",
    "Automaton",
    "Dense",
    "DenseNet",
    "Entry",
    "LeNet",
    "PolyphaseNet",
    "ResNet",
    "ResidualBlock",
    "TransformerBlock",
    "UNet",
    "ViT",
    "build",
    "pool_layer",
]

Model = Callable[[jax.Array], jax.Array]


def __dir__() -> list[str]:
    return __all__


class Build(Protocol):
    """Makes a fresh model; the seed draws its weights."""

    def __call__(self, seed: int = 0) -> Model: ...


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    Attributes:
        name: as in `ENTRIES`.
        build: ``build(seed=0)``, a fresh `nnx.Module` or plain function on batches.
        shape: of one input, without batch, channels last.
        about: one line.
    """

    name: str
    build: Build
    shape: tuple[int, ...]
    about: str


PADDINGS = {"": "CIRCULAR", "-same": "SAME"}
PADDED = {"CIRCULAR": "circular", "SAME": "zero padded"}


def build(name: str, seed: int = 0) -> Model:
    """The model of that name, fresh, with weights drawn from `seed`.

    Args:
        name: a key of `ENTRIES`.
        seed: of the weights; models without weights ignore it.

    Returns:
        An `nnx.Module` or a plain function, on (batch, *grid, channels).

    Raises:
        ValueError: no model has that name; the message lists the close ones.

    >>> import jax.numpy as jnp
    >>> build("conv3x3-stride2")(jnp.ones((1, *ENTRIES["conv3x3-stride2"].shape))).shape
    (1, 4, 4, 3)
    """
    if name not in ENTRIES:
        close = _close_names(name)
        hint = f"close names: {', '.join(close)}" if close else "no name is close"
        raise ValueError(f"no zoo model is named {name!r}; {hint}; {len(ENTRIES)} names exist")
    return ENTRIES[name].build(seed)


def _close_names(name: str, count: int = 5) -> list[str]:
    """Names that begin like it before names that are merely spelt alike: lenet, then resnet."""
    longer = [known for known in ENTRIES if known.startswith(name)]
    alike = difflib.get_close_matches(name, ENTRIES, n=count)
    return list(dict.fromkeys(longer + alike))[:count]


def _seeded(layer: Callable[..., nnx.Module], *arguments: object, **options: object) -> Build:
    def build_seeded(seed: int = 0) -> Model:
        model = layer(*arguments, **options, rngs=nnx.Rngs(seed))
        # BatchNorm and dropout would otherwise start in training mode.
        model.eval()
        return model

    return build_seeded


def _unseeded(layer: Callable[..., Model], *arguments: object, **options: object) -> Build:
    return lambda seed=0: layer(*arguments, **options)


def _convolutions(suffix: str, padding: str) -> list[Entry]:
    small, wide = (8, 8, 2), (6, 8, 2)
    about = f"convolution, {PADDED[padding]}"
    conv = partial(_seeded, nnx.Conv, 2, padding=padding)
    twice = _seeded(nnx.ConvTranspose, 2, 3, (3, 3), strides=2, padding=padding)
    depthwise = conv(2, (3, 3), feature_group_count=2)
    return [
        Entry("conv3x3" + suffix, conv(3, (3, 3)), small, f"3x3 {about}"),
        Entry("conv3x3-stride2" + suffix, conv(3, (3, 3), 2), small, f"3x3 stride 2 {about}"),
        Entry(
            "conv3x3-stride1x2" + suffix,
            conv(3, (3, 3), (1, 2)),
            wide,
            f"3x3 stride (1, 2) {about}",
        ),
        Entry(
            "conv3x3-dilation2" + suffix,
            conv(3, (3, 3), kernel_dilation=2),
            small,
            f"3x3 dilation 2 {about}",
        ),
        Entry("conv4x4" + suffix, conv(3, (4, 4)), small, f"4x4 {about}: an even kernel"),
        Entry("conv3x3-depthwise" + suffix, depthwise, small, f"3x3 depthwise {about}"),
        Entry(
            "conv-transpose3x3-stride2" + suffix, twice, small, f"3x3 stride 2 transposed {about}"
        ),
    ]


def _pools(suffix: str, padding: str) -> list[Entry]:
    return [
        Entry(
            f"{kind}pool{size}x{size}-stride{stride}{suffix}",
            _unseeded(pool_layer, kind, size, stride=stride, padding=padding),
            (8, 8, 2),
            f"{size}x{size} stride {stride} {kind} pool, {PADDED[padding]}",
        )
        for kind in POOLS
        for size in (2, 3)
        for stride in (1, 2)
    ]


def _networks(suffix: str, padding: str) -> list[Entry]:
    image, colour = (28, 28, 1), (32, 32, 3)
    about = f"convolutions {PADDED[padding]}"
    flatten = _seeded(LeNet, padding=padding, head="flatten")
    mean = _seeded(LeNet, padding=padding, head="global")
    resnet = _seeded(ResNet, padding=padding)
    return [
        Entry("lenet-flatten" + suffix, flatten, image, f"LeNet that flattens, {about}"),
        Entry("lenet-global" + suffix, mean, image, f"LeNet with a global mean, {about}"),
        Entry("resnet" + suffix, resnet, colour, f"small ResNet of total stride 4, {about}"),
    ]


def _singles() -> list[Entry]:
    """The models without a zero padded twin."""
    line = _seeded(nnx.Conv, 1, 3, (3,), padding="CIRCULAR")
    cube = _seeded(nnx.Conv, 1, 3, (3, 3, 3), padding="CIRCULAR")
    dense = _seeded(Dense, shape=(8, 8, 2))
    vit = partial(_seeded, ViT)
    resnet18 = _seeded(
        ResNet,
        widths=(64, 128, 256, 512),
        blocks=(2, 2, 2, 2),
        strides=(1, 2, 2, 2),
        stem="large",
        classes=1000,
    )
    return [
        Entry("conv1d", line, (8, 1), "3 wide 1-D convolution, circular"),
        Entry("conv3d", cube, (4, 4, 4, 1), "3x3x3 convolution, circular"),
        Entry("dense", dense, (8, 8, 2), "flatten and one linear layer"),
        Entry("dense-net", _seeded(DenseNet), (28, 28, 1), "flatten and two linear layers"),
        Entry(
            "polyphase",
            _seeded(PolyphaseNet),
            (12, 12, 1),
            "polyphase sampling between circular convolutions, and a global mean",
        ),
        Entry("resnet18", resnet18, (224, 224, 3), "ResNet-18 of total stride 32, circular"),
        Entry("vit", vit(positions=False), (16, 16, 3), "small ViT without positions"),
        Entry("vit-positions", vit(positions=True), (16, 16, 3), "small ViT, learned positions"),
    ]


def _entries() -> list[Entry]:
    families = (_convolutions, _pools, _networks)
    twins = [
        entry
        for family in families
        for suffix, padding in PADDINGS.items()
        for entry in family(suffix, padding)
    ]
    return twins + _singles()


ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _entries()}
