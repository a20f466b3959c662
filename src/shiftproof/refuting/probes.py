"""Probes: the images that the search for a counterexample tries, from integers with hardly any rounding on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shiftproof.exactness.probes import integer_images


def small_probes(shape: Sequence[int], axes: Sequence[int], seed: int) -> np.ndarray:
    """Integer images of magnitude at most 8: a bright pixel, a dense image, a dark pixel, two pixels, and others.

    Args:
        shape: of one image.
        axes: its grid axes.
        seed: of NumPy's generator.

    >>> small_probes((8, 8, 1), (0, 1), 0).shape
    (7, 8, 8, 1)
    """
    generator = np.random.default_rng(seed)
    count = [shape[axis] for axis in range(len(shape)) if axis not in axes]
    colours = generator.integers(1, 9, count)

    def dot(value: Any) -> np.ndarray:
        image = np.zeros(shape)
        where: list[Any] = [slice(None)] * len(shape)
        for axis in axes:
            where[axis] = int(generator.integers(0, shape[axis]))
        image[tuple(where)] = value
        return image

    dots = [dot(colours), -dot(colours), np.maximum(dot(colours), dot(9 - colours))]
    dense, *others = integer_images(shape, seed=seed)
    return np.stack([dots[0], dense, *dots[1:], *others])


def level_probes(shape: Sequence[int], seed: int) -> np.ndarray:
    """Integer images with values far apart and hardly a tie: 0..63, and -63..63.

    >>> level_probes((8, 8, 1), 0).shape
    (2, 8, 8, 1)
    """
    generator = np.random.default_rng(seed + 1)
    shape = tuple(shape)
    return np.stack([generator.integers(0, 64, shape), generator.integers(-63, 64, shape)]).astype(
        np.float64
    )


def wrapping_probes(shape: Sequence[int], seed: int, bits: int) -> np.ndarray:
    """Integer images of which about half of the pixels are large, so that sums of two wrap in so many bits.

    >>> wrapping_probes((8, 8, 1), 0, 8).shape
    (4, 8, 8, 1)
    """
    generator = np.random.default_rng(seed + 3)
    shape = (4, *shape)
    large = generator.integers(2 ** (bits - 2), 2 ** (bits - 1), shape)
    return (large * (generator.random(shape) < 0.5)).astype(np.float64)


def generic_probes(shape: Sequence[int], seed: int) -> np.ndarray:
    """Images of random floats, which lie at no edge where a program rounds or compares.

    >>> generic_probes((8, 8, 1), 0).shape
    (3, 8, 8, 1)
    """
    generator = np.random.default_rng(seed + 2)
    scales = np.reshape([1.0, 8.0, 64.0], (3, *(1,) * len(shape)))
    return scales * generator.uniform(-0.5, 1, (3, *shape))


def lit_pixels(image: np.ndarray, axes: Sequence[int]) -> list[tuple[int, ...]]:
    """The places of the grid where an image is not zero.

    Args:
        image: one image.
        axes: its grid axes, in the order of the places.
    """
    others = tuple(axis for axis in range(image.ndim) if axis not in axes)
    support = np.any(image != 0, axis=others)
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    places = np.argwhere(support)
    back = np.argsort(order)
    return [tuple(int(p[i]) for i in back) for p in places]


def only(image: np.ndarray, pixels: Sequence[tuple[int, ...]], axes: Sequence[int]) -> np.ndarray:
    """The image with all other pixels zero."""
    result = np.zeros_like(image)
    for pixel in pixels:
        where: list[Any] = [slice(None)] * image.ndim
        for axis, place in zip(axes, pixel, strict=True):
            where[axis] = place
        result[tuple(where)] = image[tuple(where)]
    return result
