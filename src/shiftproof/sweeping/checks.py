"""Checks of a call, made before it is swept: a sweep of a broken call says nothing.

Random, non-finite, batch-coupled and vacuous models are each detected by what they do, in the very executable
that the sweep runs.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import (
    BatchCoupledWarning,
    NonDeterministicError,
    NonFiniteError,
    VacuousWarning,
)
from shiftproof.exactness.exact import Exactness
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.engine import Engine
from shiftproof.sweeping.question import Question
from shiftproof.tracing.settings import compiler_options, current_device
from shiftproof.tracing.trace import Literal, Program, evaluate, fixed_values


@dataclasses.dataclass(frozen=True)
class CallReport:
    """What the check of a call found.

    Attributes:
        batch_coupled: whether images of one batch influence each other.
        vacuous: for each layer, whether it is the same for quite other images.
        magnitude: for each layer, its largest absolute value.
        exactness: of each layer, downgraded where the compiled values contradict it.
    """

    batch_coupled: bool
    vacuous: tuple[bool, ...]
    magnitude: tuple[float, ...]
    exactness: tuple[Exactness, ...]


def check_call(engine: Engine) -> CallReport:
    """Call the model and distrust it.

    Warns:
        VacuousWarning: an output does not depend on the images.
        BatchCoupledWarning: images of one batch influence each other.

    Raises:
        NonDeterministicError: two calls differ in bits.
        NonFiniteError: a layer holds NaN or infinity; the first one is named.
    """
    question = engine.question
    first = engine.at_rest()
    _check_repeat(engine, first)
    for layer, value in zip(question.layers, first, strict=True):
        _check_finite(question.model.name, layer, value)
    second = engine.at_rest(_other_images(question.canvas.array))
    report = CallReport(
        batch_coupled=_is_coupled(engine, first),
        vacuous=tuple(np.array_equal(a, b) for a, b in zip(first, second, strict=True)),
        magnitude=tuple(float(np.max(np.abs(value), initial=0.0)) for value in first),
        exactness=tuple(map(_confirm, question.exactness, first)),
    )
    _warn(question, report)
    _check_images_move(question)
    return report


def _confirm(exactness: Exactness, value: np.ndarray) -> Exactness:
    if exactness.contradicted_by(value):
        return exactness.downgraded("the compiled program rounds where the written one does not")
    return exactness


def _check_images_move(question: Question) -> None:
    """Images that are constant along an axis pass every shift along it, whatever the model does."""
    canvas = question.canvas
    for position, axis in enumerate(canvas.axes):
        first = np.take(canvas.array, [0], axis=axis)
        if canvas.grid[position] > 1 and np.all(canvas.array == first):
            warnings.warn(
                f"all images are constant along spatial axis {position}, so every shift along it passes and nothing "
                "is learnt: use images with content.",
                VacuousWarning,
                stacklevel=5,
            )


def read_values(
    program: Program,
    values: Sequence[int | Literal],
    *batches: Any,
    fixed: dict[int, Any],
    quick: bool = False,
) -> list[list[np.ndarray]]:
    """Some values of the compiled program for each of some batches of images, all of one shape.

    Args:
        program: the traced model.
        values: numbers of values, or what they are.
        batches: images.
        fixed: the values that do not depend on them.
        quick: whether the compiler may be as quick as it can, where it does not matter how values are rounded.
    """

    def run(fixed: Any, images: Any) -> list[Any]:
        known = evaluate(program, fixed, images)
        return [value.value if isinstance(value, Literal) else known[value] for value in values]

    options = compiler_options(current_device().platform, 0 if quick else math.inf)
    compiled = jax.jit(run).lower(fixed, batches[0]).compile(options)
    return [[np.asarray(result) for result in compiled(fixed, images)] for images in batches]


def in_doubles(value: np.ndarray) -> np.ndarray:
    """Numbers in float64, or complex128, so that differences of coarse formats do not round."""
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def _check_repeat(engine: Engine, first: Sequence[np.ndarray]) -> None:
    """Run the program again. A device may not be deterministic, nor may what the program calls back to."""
    question = engine.question
    for layer, a, b in zip(question.layers, first, engine.at_rest(), strict=True):
        if a.tobytes() != b.tobytes():
            raise NonDeterministicError(
                f"{question.model.name} is not deterministic: two runs on the same images differ in "
                f"{layer.name}{_by(a, b)}. Keep random numbers and state out of functions that are called back, and "
                "ask the device for deterministic operations."
            )


def _by(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape or a.dtype.kind not in "fiuc":
        return ""
    return f" by up to {np.max(np.abs(in_doubles(a) - in_doubles(b))):.3g}"


def _check_finite(name: str, layer: Layer, value: np.ndarray) -> None:
    if not jnp.issubdtype(value.dtype, np.inexact):
        return
    bad = ~np.isfinite(value.astype(np.complex128))
    if np.any(bad):
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f" ({layer.site})" if str(layer.site) else ""
        raise NonFiniteError(
            f"{name} gives NaN or infinity: first in layer {layer.name}{where}, in {int(bad.sum())} of "
            f"{value.size} entries, first at index {place}. Check the weights and the scale of the images."
        )


def _other_images(images: np.ndarray) -> np.ndarray:
    """Images of the same shape, dtype and magnitude, but others."""
    generator = np.random.default_rng(1)
    scale = max(1.0, float(np.max(np.abs(images.astype(np.float64)))))
    noise = generator.integers(-8, 9, images.shape) / 8 * scale
    return noise.astype(images.dtype)


def _is_coupled(engine: Engine, first: Sequence[np.ndarray]) -> bool:
    """Whether image 0 changes its output when only the other images of the batch change."""
    question = engine.question
    if question.canvas.array.shape[0] == 1:
        return _is_coupled_pair(question)
    array = question.canvas.array
    mixed = engine.at_rest(np.concatenate([array[:1], _other_images(array)[1:]]))
    return any(
        layer.batch == 0 and layer.output is not None and a[0].tobytes() != b[0].tobytes()
        for layer, a, b in zip(question.layers, first, mixed, strict=True)
    )


def _is_coupled_pair(question: Question) -> bool:
    """The same for a single image, which is given another one for company."""
    still = question.canvas.still
    company = [_other_images(still), still]
    pairs = [np.concatenate([still, other]) for other in company]
    program = question.pair
    if program is None:
        return False
    fixed = fixed_values(program, question.weights)
    a, b = read_values(program, program.outputs, *pairs, fixed=fixed, quick=True)
    return any(
        x.ndim > 0 and x.shape[0] == 2 and x[0].tobytes() != y[0].tobytes()
        for x, y in zip(a, b, strict=True)
    )


def _warn(question: Question, report: CallReport) -> None:
    name = question.model.name
    pairs = zip(question.layers, report.vacuous, strict=True)
    dead = [layer.output for layer, vacuous in pairs if vacuous and layer.output]
    if dead:
        warnings.warn(
            f"{name}: {', '.join(dead)} does not depend on the images, so every shift passes and nothing is learnt. "
            "Zero-initialised heads and dead activations do this: train the model, or use other weights.",
            VacuousWarning,
            stacklevel=5,
        )
    if report.batch_coupled:
        warnings.warn(
            f"{name}: the output for one image changes with the other images of the batch, as with batch statistics in "
            "training mode. All images are shifted together and judged as one input; to judge each alone, pass the "
            'inference switch, such as apply_kwargs={"train": False}.',
            BatchCoupledWarning,
            stacklevel=5,
        )
