"""Probes: small integers for images and weights, on which every float of a program can be exact.

A non-linear layer can pass a shift by accident on one image, so probes are several: dense, sparse, and with ties.
Integer weights stand for an architecture. Where the program divides by an odd number (a mean over 7x7 cells), images
and additive weights (biases, position tables) are made multiples of that number, so that the division is exact too.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.digits import Inexact, grade_program
from shiftproof.errors import InputError
from shiftproof.tracing.arguments import check_integers, check_whole
from shiftproof.tracing.trace import Program, fixed_values

MAX_SCALE = 2**20
"""Largest factor that images are multiplied by to keep divisions exact."""

WEIGHTS = (-2, -1, 1, 2)
"""Integer weights are drawn from these: never zero, never all alike."""


def integer_images(shape: Sequence[int], *, count: int = 4, seed: int = 0) -> np.ndarray:
    """Integer-valued images, (count, *shape) float64, magnitudes at most 8.

    In turn: dense in -4..4; sparse (one in five) in 1..8; dense in 0..8; few values, so full of ties.

    Args:
        shape: of one image, channels included, batch not counted.
        count: how many images.
        seed: of NumPy's generator.

    >>> integer_images((8, 8, 1), count=2).shape
    (2, 8, 8, 1)
    """
    check_whole("the number of probes", count, least=1)
    shape = check_integers("shape", shape, "(28, 28, 1)")
    if min(shape, default=0) < 1:
        raise InputError(f"shape={shape} needs sizes of at least 1, such as (28, 28, 1).")
    generator = np.random.default_rng(seed)
    kinds = (
        lambda: generator.integers(-4, 5, shape),
        lambda: generator.integers(1, 9, shape) * (generator.random(shape) < 0.2),
        lambda: generator.integers(0, 9, shape),
        lambda: generator.integers(-1, 2, shape),
    )
    return np.stack([kinds[i % len(kinds)]() for i in range(count)]).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class IntegerQuestion:
    """Weights and images of an exact question about an architecture.

    Attributes:
        weights: one array per weight of the program; floating parameters replaced by small integers.
        scale: what images and additive weights were multiplied by.
    """

    weights: list[Any]
    scale: int


def integer_question(
    program: Program,
    weights: Sequence[Any],
    images: np.ndarray,
    *,
    replaceable: Sequence[bool],
    seed: int = 0,
    scale: int | None = None,
) -> IntegerQuestion:
    """Integer weights, and the scale of images under which as much as possible of the program is exact.

    Args:
        program: the traced model.
        weights: its own weights, in order; those not replaceable (statistics, tables, keys) are kept.
        images: integer-valued images, unscaled.
        replaceable: for each weight, whether it is a parameter that any value may take.
        seed: of the drawn weights.
        scale: where it is known already.
    """
    additive = additive_weights(program)
    factor = scale or 1
    while True:
        drawn = _draw(
            program, weights, replaceable=replaceable, additive=additive, scale=factor, seed=seed
        )
        if scale is not None:
            return IntegerQuestion(drawn, scale)
        grades, _ = grade_program(program, fixed_values(program, drawn), images * factor)
        needed = next((g.divisor for g in grades.values() if isinstance(g, Inexact)), 1)
        if needed == 1 or factor * needed > MAX_SCALE:
            return IntegerQuestion(drawn, factor)
        factor *= needed


def _draw(
    program: Program,
    weights: Sequence[Any],
    *,
    replaceable: Sequence[bool],
    additive: frozenset[str],
    scale: int,
    seed: int,
) -> list[Any]:
    generator = np.random.default_rng(seed)
    drawn = []
    for name, weight, free in zip(program.weight_names, weights, replaceable, strict=True):
        if free and jnp.issubdtype(weight.dtype, np.floating):
            values = generator.choice(WEIGHTS, weight.shape) * (scale if name in additive else 1)
            drawn.append(np.asarray(values, weight.dtype))
        else:
            drawn.append(weight)
    return drawn


def additive_weights(program: Program) -> frozenset[str]:
    """Names of the weights that are added to what depends on the images, such as biases."""
    added: set[str] = set()
    for eqn in program.equations:
        if eqn.name in ("add", "sub", "add_any") and eqn.outputs[0] in program.from_images:
            for operand in eqn.inputs:
                if isinstance(operand, int) and operand not in program.from_images:
                    added |= program.weights_of.get(operand, frozenset())
    return frozenset(added)


def object_in_the_middle(images: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The images with nothing but a quarter of them along every axis, in the middle, so that there is room to move."""
    inside = np.ones(images.shape, bool)
    for axis in axes:
        n = images.shape[axis]
        size = max(1, n // 4)
        places = np.arange(n) - (n - size) // 2
        kept = (places >= 0) & (places < size)
        inside &= np.expand_dims(kept, [a for a in range(images.ndim) if a != axis])
    return np.where(inside, np.where(images == 0, 1, images), 0)
