"""Weights of trials of an architecture.

Random ones are of a usual size. Sparse ones keep enclosures narrow through any depth: every output of a kernel takes
one or two inputs, times one or two, so that little rounding is added up; scales are powers of two. Quiet ones are
sparse and small: the exponentials of an attention magnify a radius by the size of what they are taken of.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.exactness.probes import additive_weights
from shiftproof.tracing.trace import Program

FACTORS = (-2, -1, 1, 2)
"""What a sparse weight multiplies by; powers of two, with which no product rounds."""

TAPS = 2
"""Inputs that every output of a sparse kernel is made of, at most: one would be a mere shift, and show little."""


QUIET = 1 / 8
"""What quiet kernels, and what is added, are smaller by."""


def random_weights(weights: Sequence[Any], replaceable: Sequence[bool], seed: int) -> list[Any]:
    """Random parameters of a usual size: kernels around 0, vectors around what they are."""
    generator = np.random.default_rng(seed)
    drawn = []
    for weight, free in zip(weights, replaceable, strict=True):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        noise = generator.normal(size=weight.shape)
        if weight.ndim >= 2:
            values = noise / math.sqrt(max(1, math.prod(weight.shape[:-1])))
        else:
            values = np.asarray(weight, np.float64) + 0.3 * noise
        drawn.append(np.asarray(values, weight.dtype))
    return drawn


def sparse_weights(
    program: Program,
    weights: Sequence[Any],
    replaceable: Sequence[bool],
    seed: int,
    *,
    scale: float = 1.0,
) -> list[Any]:
    """Kernels with few weights per output, the last axis; all others, and what is added, small whole numbers.

    Args:
        program: the traced model.
        weights: its own weights, in order.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
        scale: what kernels, and what is added, are multiplied by.
    """
    generator = np.random.default_rng(seed)
    added = additive_weights(program)
    drawn = []
    for name, weight, free in zip(program.weight_names, weights, replaceable, strict=True):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        values = generator.choice(FACTORS, weight.shape).astype(np.float64)
        if weight.ndim >= 2 and name not in added:
            *inputs, outputs = weight.shape
            taken = generator.integers(0, math.prod(inputs), (TAPS, 1, outputs))
            places = np.any(np.arange(math.prod(inputs))[:, None] == taken, 0)
            values *= places.reshape(weight.shape)
        if weight.ndim >= 2 or name in added:
            values *= scale
        drawn.append(np.asarray(values, weight.dtype))
    return drawn
