"""Weights of trials of an architecture.

Random ones are of a usual size. Sparse ones keep enclosures narrow through any depth: every output of a kernel takes
one or two inputs, times one or two, so that little rounding is added up; scales are powers of two. Quiet ones are
sparse and small: the exponentials of an attention magnify a radius by the size of what they are taken of. Shallow ones
are quiet, and 0 in most residual branches.
"""

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.exactness.probes import additive_weights
from shiftproof.refuting.kernels import kernels_of
from shiftproof.tracing.trace import Program

FACTORS = (-2, -1, 1, 2)
"""What a sparse weight multiplies by; powers of two, with which no product rounds."""

TAPS = 2
"""Inputs that every output of a sparse kernel is made of, at most: one would be a mere shift, and show little."""


QUIET = 1 / 8
"""What quiet kernels, and what is added, are smaller by."""


def random_weights(
    program: Program, weights: Sequence[Any], replaceable: Sequence[bool], seed: int
) -> list[Any]:
    """Random parameters of a usual size: kernels around 0, all others around what they are.

    Args:
        program: the traced model.
        weights: the model's own, in order.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
    """
    generator, kernels = np.random.default_rng(seed), kernels_of(program)
    drawn = []
    for position, (weight, free) in enumerate(zip(weights, replaceable, strict=True)):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        noise = generator.normal(size=weight.shape)
        if (inputs := _inputs(kernels, position, weight)) is not None:
            values = noise / math.sqrt(max(1, inputs))
        else:
            values = np.asarray(weight, np.float64) + 0.3 * noise
        drawn.append(np.asarray(values, weight.dtype))
    return drawn


def _inputs(kernels: Mapping[int, np.ndarray], position: int, weight: Any) -> int | None:
    """How many inputs an output of a kernel has; None for what is no kernel.

    A kernel that is computed with before it is contracted, as one that is standardised, has its outputs on the axis
    that is longest.
    """
    if position in kernels:
        return len(kernels[position])
    long = [n for n in weight.shape if n > 1]
    return weight.size // max(long) if len(long) > 1 else None


def sparse_weights(
    program: Program,
    weights: Sequence[Any],
    replaceable: Sequence[bool],
    seed: int,
    *,
    scale: float = 1.0,
    silent: Set[int] = frozenset(),
) -> list[Any]:
    """Kernels with few weights per output; all others, and what is added, small whole numbers.

    Args:
        program: the traced model.
        weights: its own weights, in order.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
        scale: what kernels, and what is added, are multiplied by.
        silent: positions of weights that are 0.
    """
    generator = np.random.default_rng(seed)
    added, kernels = additive_weights(program), kernels_of(program)
    drawn = []
    named = zip(program.weight_names, weights, replaceable, strict=True)
    for position, (name, weight, free) in enumerate(named):
        if not free or not jnp.issubdtype(weight.dtype, np.floating):
            drawn.append(weight)
            continue
        values = generator.choice(FACTORS, weight.shape).astype(np.float64)
        if position in kernels and name not in added:
            inputs, outputs = kernels[position].shape
            taken = generator.integers(0, inputs, (TAPS, outputs))
            kept = np.zeros(weight.size, bool)
            kept[kernels[position][taken, np.arange(outputs)]] = True
            values *= kept.reshape(weight.shape)
        if name in added or _inputs(kernels, position, weight) is not None:
            values *= scale
        if position in silent:
            values[...] = 0
        drawn.append(np.asarray(values, weight.dtype))
    return drawn
