"""Pitfalls: what people believe of convolutional networks, the program that shows otherwise, and its repair.

Each program is a few lines of Flax as they stand in models and bug reports, beside it how many shifts of the torus (or
placements on an empty canvas) keep the property that is asked of it. `shiftproof pitfalls` runs them; where a claim of
the proofs is about the same program, it is read from here.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx

Property = Literal["equivariance", "invariance"]


@dataclass(frozen=True)
class Program:
    """A model, what is asked of it, and the answer.

    Attributes:
        make: builds the model; its source is the program that is shown.
        shape: of one image; of one object, where there is a canvas.
        asked: the property in question.
        holds: how many shifts, or placements, keep it, of
        total: shifts of the torus, or placements on the canvas.
        steps: shifts of the torus that keep it are the multiples of these, an axis each; () on a canvas.
        canvas: sizes of an empty canvas on which an object is placed everywhere; None for the torus.
        options: further arguments of `verify`.
    """

    make: Callable[[], Any]
    shape: tuple[int, ...]
    asked: Property
    holds: int
    total: int
    steps: tuple[int, ...] = ()
    canvas: tuple[int, ...] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pitfall:
    """A confusion.

    Attributes:
        name: unique.
        claim: what people believe.
        truth: what holds, and why.
        broken: the program that the claim is about.
        remedy: what to do.
        repaired: the program after it.
        sources: where it was met.
        check: the check that people write, and that passes all the same; None where they write none.
    """

    name: str
    claim: str
    truth: str
    broken: Program
    remedy: str
    repaired: Program
    sources: tuple[str, ...]
    check: Callable[[Any], bool] | None = None


def zero_padding():
    return nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))  # pads with zeros


def circular_padding():
    return nnx.Conv(1, 1, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))


def reflected_borders():
    conv = nnx.Conv(1, 1, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    pad = lambda x: jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    return nnx.Sequential(pad, conv)


def wrapped_borders():
    conv = nnx.Conv(1, 1, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    pad = lambda x: jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "wrap")
    return nnx.Sequential(pad, conv)


def padded_twice():
    conv = nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))
    pad = lambda x: jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "wrap")
    return nnx.Sequential(pad, conv)


def wrapped_even_kernel():
    conv = nnx.Conv(1, 1, (4, 4), padding="VALID", rngs=nnx.Rngs(0))
    pad = lambda x: jnp.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)], "wrap")
    return nnx.Sequential(pad, conv)


def wrapped_even_kernel_to_size():
    conv = nnx.Conv(1, 1, (4, 4), padding="VALID", rngs=nnx.Rngs(0))
    pad = lambda x: jnp.pad(x, [(0, 0), (1, 2), (1, 2), (0, 0)], "wrap")
    return nnx.Sequential(pad, conv)


def strided():
    return nnx.Conv(1, 1, (3, 3), 2, padding="CIRCULAR", rngs=nnx.Rngs(0))


def pool_of_two():
    return lambda x: nnx.max_pool(x, (2, 2))


def pool_of_two_by_two():
    return lambda x: nnx.max_pool(x, (2, 2), strides=(2, 2))


def inverted_average():
    # black ink on white paper
    return lambda x: nnx.avg_pool(1 - x, (3, 3), padding="SAME")


def inverted_average_inside():
    return lambda x: nnx.avg_pool(1 - x, (3, 3), padding="VALID")


def strided_same():
    plain = partial(nnx.Conv, use_bias=False, rngs=nnx.Rngs(0))
    conv = plain(1, 1, (3, 3), strides=2, padding="SAME")
    return nnx.Sequential(conv, lambda x: x.sum((1, 2)))


def strided_enough():
    plain = partial(nnx.Conv, use_bias=False, rngs=nnx.Rngs(0))
    conv = plain(1, 1, (3, 3), strides=2, padding=((2, 1), (2, 1)))
    return nnx.Sequential(conv, lambda x: x.sum((1, 2)))


def detector():
    conv1 = nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0))
    conv2 = nnx.Conv(4, 4, (3, 3), rngs=nnx.Rngs(1))
    total = lambda x: x.sum((1, 2))
    return nnx.Sequential(conv1, nnx.relu, conv2, nnx.relu, total)


def detector_without_bias():
    conv1 = nnx.Conv(1, 4, (3, 3), use_bias=False, rngs=nnx.Rngs(0))
    conv2 = nnx.Conv(4, 4, (3, 3), use_bias=False, rngs=nnx.Rngs(1))
    total = lambda x: x.sum((1, 2))
    return nnx.Sequential(conv1, nnx.relu, conv2, nnx.relu, total)


def mean(x):
    return x.mean((1, 2))


def flattened():
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    dense = nnx.Linear(8 * 8 * 2, 10, rngs=nnx.Rngs(1))
    flatten = lambda x: x.reshape(len(x), -1)
    return nnx.Sequential(conv, nnx.relu, flatten, dense)


def averaged():
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    dense = nnx.Linear(2, 10, rngs=nnx.Rngs(1))
    return nnx.Sequential(conv, nnx.relu, mean, dense)


def blur_pool(x):
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "wrap")
    rows = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    blurred = rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    return blurred[:, ::2, ::2] / 16


def blurred_then_rectified():
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    return nnx.Sequential(blur_pool, conv, nnx.relu, mean)


def rectified_then_blurred():
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    return nnx.Sequential(conv, nnx.relu, blur_pool, mean)


def channels_first():
    # images are (batch, 3, 8, 8)
    return nnx.Conv(8, 8, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))


def channels_last():
    conv = nnx.Conv(3, 8, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    return lambda x: conv(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def attend():
    tokens = lambda x: x.reshape(len(x), -1, 4)
    attention = nnx.MultiHeadAttention(1, 4, decode=False, rngs=nnx.Rngs(1))
    return tokens, attention, lambda x: x.mean(1)


def patches():
    patch = nnx.Conv(1, 4, (2, 2), 2, padding="VALID", rngs=nnx.Rngs(0))
    return nnx.Sequential(patch, *attend())


def overlapping_patches():
    patch = nnx.Conv(1, 4, (2, 2), padding="CIRCULAR", rngs=nnx.Rngs(0))
    return nnx.Sequential(patch, *attend())


def confident():
    conv = nnx.Conv(1, 4, (3, 3), 2, padding="CIRCULAR", rngs=nnx.Rngs(0))
    sure = lambda *_: jnp.zeros(10).at[3].set(5.0)  # after many threes
    dense = nnx.Linear(4, 10, bias_init=sure, rngs=nnx.Rngs(1))
    return nnx.Sequential(conv, nnx.relu, mean, dense)


def confident_unstrided():
    conv = nnx.Conv(1, 4, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    sure = lambda *_: jnp.zeros(10).at[3].set(5.0)  # after many threes
    dense = nnx.Linear(4, 10, bias_init=sure, rngs=nnx.Rngs(1))
    return nnx.Sequential(conv, nnx.relu, mean, dense)


def labels_stay(model) -> bool:
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    label = model(images).argmax(-1)
    for shift in itertools.product(range(8), range(8)):
        moved = model(jnp.roll(images, shift, (1, 2)))
        if (moved.argmax(-1) != label).any():
            return False
    return True


def mean_of_zero_padded():
    conv = nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0))
    return nnx.Sequential(conv, nnx.relu, mean)


def mean_of_circular():
    conv = nnx.Conv(1, 4, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    return nnx.Sequential(conv, nnx.relu, mean)


def features_are_close(model) -> bool:
    image = np.random.default_rng(0).random((1, 224, 224, 1), np.float32)
    features = model(image)
    for shift in [(1, 0), (0, 1), (7, 3), (100, 50)]:
        moved = model(jnp.roll(image, shift, (1, 2)))
        if not np.allclose(moved, features, atol=1e-3):
            return False
    return True


def _torus(make: Callable[[], Any], size: int, asked: Property, step: int) -> Program:
    """On a square torus; `step` is its size where only shift 0 is kept."""
    return _on_torus(make, (size, size, 1), asked, (step, step))


def _on_torus(
    make: Callable[[], Any],
    shape: tuple[int, ...],
    asked: Property,
    steps: tuple[int, ...],
    **options: Any,
) -> Program:
    grid = [shape[axis] for axis in options.get("spatial_axes", range(len(shape) - 1))]
    holds = math.prod(size // step for size, step in zip(grid, steps, strict=True))
    return Program(make, shape, asked, holds, math.prod(grid), steps, options=options)


def _placed(make: Callable[[], Any], size: int, asked: Property, holds: int) -> Program:
    """An object of 2x2 on a square canvas."""
    return Program(make, (2, 2, 1), asked, holds, (size - 1) ** 2, canvas=(size, size))


_PITFALLS = (
    Pitfall(
        "zero-padding",
        "A convolution is equivariant, so the line at the border of my shifted output is a bug.",
        "Flax pads with zeros unless told otherwise, and a zero is an edge that does not move with the image.",
        _torus(zero_padding, 8, "equivariance", 8),
        "On a torus pad circularly; in a scene look at the interior only, which zeros do not reach.",
        _torus(circular_padding, 8, "equivariance", 1),
        ("pytorch/pytorch#71154", "Kayhan and van Gemert 2020, arXiv:2003.07064"),
    ),
    Pitfall(
        "reflect-padding",
        "Reflecting the border instead of padding with zeros makes a convolution equivariant.",
        "There is no edge in brightness any more, but what is reflected depends on where the border is.",
        _torus(reflected_borders, 8, "equivariance", 8),
        "Wrap: only what enters from the other side is what the torus has there.",
        _torus(wrapped_borders, 8, "equivariance", 1),
        ("distillpub/post--deconv-checkerboard#5",),
    ),
    Pitfall(
        "padded-twice",
        "I wrap my images by hand, so the convolution that follows is circular.",
        "It pads again, with zeros: padding is SAME by default. The grid grows from 8 to 10.",
        _torus(padded_twice, 8, "equivariance", 8),
        'Give the convolution padding="VALID" after padding by hand, or let it do both by "CIRCULAR".',
        _torus(wrapped_borders, 8, "equivariance", 1),
        ("flax.nnx.Conv: padding='SAME' is the default",),
    ),
    Pitfall(
        "even-kernel",
        "A kernel of size k needs k // 2 cells of padding on either side.",
        "An even kernel then sees k cells too many: the grid grows from 8 to 9, and shifts of the torus have no "
        "counterpart there. That the kernel has no middle does no harm.",
        _torus(wrapped_even_kernel, 8, "equivariance", 8),
        "Pad k - 1 cells in all, such as 1 before and 2 behind for k = 4.",
        _torus(wrapped_even_kernel_to_size, 8, "equivariance", 1),
        ("met in published circular networks",),
    ),
    Pitfall(
        "size-parity",
        "A circular convolution of stride 2 is equivariant under even shifts.",
        "Only where 2 divides the size. On 7 cells the last window laps over the first, and no shift is left.",
        _torus(strided, 7, "equivariance", 7),
        "Make every map that is strided a multiple of the stride.",
        _torus(strided, 8, "equivariance", 2),
        ("Azulay and Weiss 2019, arXiv:1805.12177",),
    ),
    Pitfall(
        "pool-stride",
        "max_pool(x, (2, 2)) halves the map, as in other frameworks.",
        "In Flax strides are 1 by default, and padding is VALID: the map shrinks from 8 to 7 "
        "cells, and the torus is cut.",
        _torus(pool_of_two, 8, "equivariance", 8),
        "Pass strides=(2, 2).",
        _torus(pool_of_two_by_two, 8, "equivariance", 2),
        ("google/flax#2029",),
    ),
    Pitfall(
        "average-counts-padding",
        "The average pool of white paper is white.",
        "Padded zeros are counted: beside the border the average of ones is 6/9, in the corners 4/9, wherever the "
        "object is. With count_include_pad=False the paper is white, but objects beside the border weigh more.",
        _placed(inverted_average, 9, "equivariance", 1),
        'Pool without padding: padding="VALID".',
        _placed(inverted_average_inside, 9, "equivariance", 64),
        ("google/flax#2401", "google/flax#2448"),
    ),
    Pitfall(
        "same-is-lopsided",
        "SAME pads all sides alike.",
        "With stride 2 on an even size it pads below and to the right only. An object at the top or left edge loses a "
        "part of its answer, one at the bottom or right edge does not; other frameworks pad the other way round.",
        _placed(strided_same, 10, "invariance", 16),
        "Say the padding in numbers, enough of it on either side: then every second placement gives the same sum.",
        _placed(strided_enough, 10, "invariance", 25),
        ("google/flax#963", "pytorch/pytorch#67551"),
    ),
    Pitfall(
        "position-through-borders",
        "A convolutional network with a global pool cannot know where the object is.",
        "A bias makes the background non-zero, and the zeros of the next layer are an edge against it. The answer to "
        "an object meets that edge from 3 pixels away, and changes: here that is everywhere but in the centre. Every "
        "further layer sees 2 pixels further.",
        _placed(detector, 8, "invariance", 1),
        "Drop the biases: then only objects within 2 pixels of the edge are told from the others.",
        _placed(detector_without_bias, 8, "invariance", 9),
        ("Islam, Jia and Bruce 2020, arXiv:2001.08248", "ehoogeboom/hexaconv#2"),
    ),
    Pitfall(
        "flatten",
        "Convolutions are translation invariant, so my classifier is.",
        "They are equivariant; the flattened map is read by weights of its own for every place.",
        _torus(flattened, 8, "invariance", 8),
        "Take the mean over places before the dense layer.",
        _torus(averaged, 8, "invariance", 1),
        ("udlbook/udlbook#176", "d2l-ai/d2l-en#2611"),
    ),
    Pitfall(
        "blur-pool",
        "Blurring before subsampling makes a network shift invariant.",
        "It makes the map that is subsampled smooth, not equal: a ReLU behind it mixes the two phases again.",
        _torus(blurred_then_rectified, 8, "invariance", 2),
        "Where nothing but the mean follows, blurring keeps it exact: rectify first.",
        _torus(rectified_then_blurred, 8, "invariance", 1),
        ("Zhang 2019, arXiv:1904.11486",),
    ),
    Pitfall(
        "channels-first",
        "The layer runs and keeps the shape, so the layout is right.",
        "A convolution fed (batch, channels, height, width) slides over channels and rows, and mixes columns.",
        _on_torus(channels_first, (3, 8, 8), "equivariance", (1, 8), spatial_axes=(1, 2)),
        "Move the channels to the end.",
        _on_torus(channels_last, (3, 8, 8), "equivariance", (1, 1), spatial_axes=(1, 2)),
        ("met in published models",),
    ),
    Pitfall(
        "patches",
        "Attention without positions is blind to order, so a ViT without them is invariant.",
        "Blind to the order of patches: a shift that is no multiple of the patch cuts other patches.",
        _torus(patches, 8, "invariance", 2),
        "Let patches overlap, one at every pixel.",
        _torus(overlapping_patches, 8, "invariance", 1),
        ("Dosovitskiy et al. 2021, arXiv:2010.11929",),
    ),
    Pitfall(
        "labels",
        "The predicted label stays under every shift of every image I tried: the network is invariant.",
        "The largest score wins by a margin that hides what the scores do. An image nearer to the border between two "
        "classes may change its label.",
        _torus(confident, 8, "invariance", 2),
        "Ask about the scores, and subsample nowhere before the mean.",
        _torus(confident_unstrided, 8, "invariance", 1),
        ("Zhang 2019, arXiv:1904.11486, measures consistency of labels",),
        labels_stay,
    ),
    Pitfall(
        "tolerance",
        "The features of shifted images agree to 1e-3: the network is invariant.",
        "The border has 892 of 50,176 pixels, and the mean hides it: the deviation is small because the image is "
        "large. An exact comparison refutes every shift.",
        _torus(mean_of_zero_padded, 224, "invariance", 224),
        'padding="CIRCULAR": then the deviation is rounding alone.',
        _torus(mean_of_circular, 224, "invariance", 1),
        ("numpy.allclose in many test-suites",),
        features_are_close,
    ),
)

PITFALLS: dict[str, Pitfall] = {pitfall.name: pitfall for pitfall in _PITFALLS}
