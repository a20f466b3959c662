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


def random_weights(
    weights: Sequence[Any], replaceable: Sequence[bool], seed: int, *, outputs_axis: int = -1
) -> list[Any]:
    """Random parameters of a usual size: kernels around 0, vectors around what they are.

    Args:
        weights: the model's own, in order.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
        outputs_axis: of kernels, as `Door.outputs_axis`.
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for weight, free in zip(weights, replaceable, strict=True):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        noise = generator.normal(size=weight.shape)
        if _is_kernel(weight, outputs_axis):
            inputs = weight.size // max(1, weight.shape[outputs_axis])
            values = noise / math.sqrt(max(1, inputs))
        else:
            values = np.asarray(weight, np.float64) + 0.3 * noise
        drawn.append(np.asarray(values, weight.dtype))
    return drawn


def _is_kernel(weight: Any, outputs_axis: int) -> bool:
    """Whether a weight is no vector; where outputs come first, a bias has axes of size 1 behind them."""
    return weight.ndim >= 2 and (outputs_axis != 0 or math.prod(weight.shape[1:]) > 1)


def sparse_weights(
    program: Program,
    weights: Sequence[Any],
    replaceable: Sequence[bool],
    seed: int,
    *,
    scale: float = 1.0,
    outputs_axis: int = -1,
) -> list[Any]:
    """Kernels with few weights per output; all others, and what is added, small whole numbers.

    Args:
        program: the traced model.
        weights: its own weights, in order.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
        scale: what kernels, and what is added, are multiplied by.
        outputs_axis: of kernels, as `Door.outputs_axis`.
    """
    generator = np.random.default_rng(seed)
    added = additive_weights(program)
    drawn = []
    for name, weight, free in zip(program.weight_names, weights, replaceable, strict=True):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        values = generator.choice(FACTORS, weight.shape).astype(np.float64)
        if _is_kernel(weight, outputs_axis) and name not in added:
            kernel = np.moveaxis(
                values, outputs_axis, -1
            )  # a view: what is written here is in `values`
            *inputs, outputs = kernel.shape
            taken = generator.integers(0, math.prod(inputs), (TAPS, 1, outputs))
            places = np.any(np.arange(math.prod(inputs))[:, None] == taken, 0)
            kernel *= places.reshape(kernel.shape)
        if _is_kernel(weight, outputs_axis) or name in added:
            values *= scale
        drawn.append(np.asarray(values, weight.dtype))
    return drawn
