"""How an output moves, asked of the model itself: the image is moved, and a roll of the output is looked for.

For outputs that no rule can follow, such as those of a solver. It decides only which question is put; the answer is
proved or refuted as any other.
"""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from shiftproof.tracing.trace import Literal, Program, evaluate, fixed_values

Evaluate = Callable[[np.ndarray], Sequence[np.ndarray]]
"""Images (count, *shape of a batch) to every output of the program, each (count, *its shape)."""
PROBES = 2


@dataclasses.dataclass(frozen=True)
class Oracle:
    """A model that can be asked.

    Attributes:
        evaluate: its outputs for several batches of images.
        same: whether two arrays of outputs count as equal.
    """

    evaluate: Evaluate
    same: Callable[[np.ndarray, np.ndarray], bool] = np.array_equal


def in_floats(program: Program, weights: Sequence[Any]) -> Oracle:
    """The compiled program with some weights; rounding is left out of account.

    Args:
        program: the traced model.
        weights: one array per weight, in order.
    """

    def run(fixed: dict[int, Any], images: Any) -> list[Any]:
        values = evaluate(program, fixed, images)
        return [o.value if isinstance(o, Literal) else values[o] for o in program.outputs]

    def answer(images: np.ndarray) -> list[np.ndarray]:
        fixed = fixed_values(program, weights)
        compiled = jax.jit(run)
        made = [[np.asarray(x) for x in compiled(fixed, batch)] for batch in images]
        return [np.stack(values) for values in zip(*made, strict=True)]

    return Oracle(answer, _close)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree to half of their digits: a question may be put too often, for it is answered apart."""
    if not np.issubdtype(a.dtype, np.inexact):
        return np.array_equal(a, b)
    largest = np.max(np.abs(b), initial=0.0)
    return bool(np.max(np.abs(a - b), initial=0.0) <= largest * np.finfo(a.dtype).eps ** 0.5)


def find_roll(
    oracle: Oracle,
    output: int,
    images: jax.ShapeDtypeStruct,
    axis: int,
    free: Sequence[int],
) -> tuple[int, Fraction] | None:
    """The axis of an output that rolls when the image is moved along an axis, and pixels per cell; None where none is.

    The image is moved by the divisors of its size, small ones first. A roll by 0 says nothing; nor does an output that
    is the same under several rolls.

    Args:
        oracle: the model.
        output: the number of the output.
        images: shape and dtype of a batch.
        axis: of the batched images.
        free: axes of the output that may roll.
    """
    size = images.shape[axis]
    generator = np.random.default_rng(0)
    still = generator.integers(-8, 9, (PROBES, *images.shape)).astype(images.dtype)
    rest = oracle.evaluate(still)[output]
    if not np.all(np.isfinite(rest)):
        return None
    for step in (step for step in range(1, size) if size % step == 0):
        moved = oracle.evaluate(np.roll(still, step, axis + 1))[output]
        for out in free:
            count = rest.shape[out + 1]
            rolls = [k for k in range(count) if oracle.same(moved, np.roll(rest, k, out + 1))]
            if len(rolls) == 1 and rolls[0]:
                return out, _jump(step, rolls[0], size, count)
    return None


def _jump(step: int, roll: int, size: int, count: int) -> Fraction:
    """Pixels per cell: the ratio of the sizes where that fits, else by the shorter way round."""
    ways = [Fraction(step, roll), Fraction(step, roll - count)]
    fitting = [way for way in ways if abs(way) == Fraction(size, count)]
    return fitting[0] if fitting else max(ways, key=abs)
