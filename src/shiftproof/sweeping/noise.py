"""Rounding noise: how far a layer is from the exact result, measured by computing it in another precision.

Where a layer is not exact, `==` means nothing, and a deviation is judged against this floor instead of a tolerance.
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import WideningError
from shiftproof.exactness.calibration import float64_device
from shiftproof.sweeping.checks import in_doubles, read_values
from shiftproof.sweeping.question import Question
from shiftproof.tracing.trace import Program, fixed_values
from shiftproof.tracing.widen import DOUBLE, SINGLE, Format, recast

RATIO = float(jnp.finfo(np.float64).eps / jnp.finfo(np.float32).eps)
"""2^-29, of the rounding of float64 to that of float32."""


def measure_noise(question: Question) -> list[float]:
    """The rounding noise of every layer: 0 where exact, else measured against another precision.

    A layer is compared with the same layer of the program widened to float64. For a sweep in float64, the difference
    from the program narrowed to float32 is scaled by the ratio of the two roundings, 2^-29. At least one unit in the
    last place of the coarsest format on the way counts. NaN where the program computes in one precision only, and for
    integers and truths (an argmax of rounded values), which have no small deviations.
    """
    if all(e.exact for e in question.exactness):
        return [0.0] * len(question.layers)
    double = question.dtype == "float64"
    try:
        other = recast(question.program, SINGLE if double else DOUBLE)
    except WideningError:
        return [0.0 if e.exact else float("nan") for e in question.exactness]
    own = _layer_values(question, question.program, None)
    others = _layer_values(question, other, SINGLE if double else DOUBLE)
    rounding = question.program.rounding
    noise = []
    for exactness, layer, a, b in zip(
        question.exactness, question.layers, own, others, strict=True
    ):
        if exactness.exact or not isinstance(layer.value, int):
            noise.append(0.0)
        elif not np.issubdtype(a.dtype, np.inexact):
            noise.append(float("nan"))
        else:
            measured = float(np.max(np.abs(a - b), initial=0.0)) * (RATIO if double else 1.0)
            largest = float(np.max(np.abs(a), initial=0.0))
            noise.append(max(measured, rounding[layer.value] * largest))
    return noise


def _layer_values(question: Question, program: Program, form: Format | None) -> list[np.ndarray]:
    """The layers at rest, as the question's program has them, or that program in another format."""
    weights, images = question.weights, question.canvas.still
    if form is not None:
        weights = [form.value(weight) for weight in weights]
        images = form.value(images)
    # what is not float64 is measured on the device that is swept, which may round in its own way
    double = form is DOUBLE or (form is None and question.dtype == "float64")
    with jax.enable_x64(True), float64_device() if double else contextlib.nullcontext():
        fixed = fixed_values(program, weights)
        layers = [layer.value for layer in question.layers]
        # what rounds far less than what it is measured against may round in another way than the sweep
        quick = form is DOUBLE
        (values,) = read_values(program, layers, images, fixed=fixed, quick=quick)
    return [in_doubles(x) if jnp.issubdtype(x.dtype, np.inexact) else x for x in values]
