"""Rounding noise: how far a layer is from the exact result, measured by computing it in another precision.

Where a layer is not exact, `==` means nothing, and a deviation is judged against this floor instead of a tolerance.
"""

import contextlib

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ModelCallError
from shiftproof.exactness.calibration import float64_device
from shiftproof.proving.layers import find_layers
from shiftproof.sweeping.checks import read_values
from shiftproof.sweeping.question import Question
from shiftproof.tracing.model import trace_model
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import fixed_values


def measure_noise(question: Question) -> list[float]:
    """The rounding noise of every layer: 0 where exact, else measured against another precision.

    A layer in float32 is compared with the same layer in float64. For a sweep in float64 the same difference is
    scaled by the ratio of the two roundings, 2^-29, unless the program itself computes in float32 on the way, as
    attention does. NaN where the model runs in one precision only, and for integers
    and truths (an argmax of rounded values), which have no small deviations.
    """
    if all(e.exact for e in question.exactness):
        return [0.0] * len(question.layers)
    low = "float32" if question.dtype == "float64" else question.dtype
    try:
        coarse = _layer_values(question, low)
        fine = _layer_values(question, "float64")
    except ModelCallError:
        return [0.0 if e.exact else float("nan") for e in question.exactness]
    ratio = (
        float(jnp.finfo(np.float64).eps / jnp.finfo(np.float32).eps)
        if question.dtype == "float64"
        else 1.0
    )
    coarse_layers = question.program.narrower_than(question.dtype)
    noise = []
    for exactness, layer, a, b in zip(
        question.exactness, question.layers, coarse, fine, strict=True
    ):
        if exactness.exact:
            noise.append(0.0)
        elif a is None or b is None or a.shape != b.shape or not _is_float(layer.dtype):
            noise.append(float("nan"))
        else:
            is_coarse = layer.value in coarse_layers
            measured = float(np.max(np.abs(a - b), initial=0.0)) * (1.0 if is_coarse else ratio)
            precision = low if is_coarse else layer.dtype
            one_ulp = float(jnp.finfo(precision).eps) * float(np.max(np.abs(b), initial=0.0))
            noise.append(max(measured, one_ulp))
    return noise


def _is_float(dtype: str) -> bool:
    return bool(jnp.issubdtype(jnp.dtype(dtype), np.inexact))


def _layer_values(question: Question, dtype: str) -> list[np.ndarray | None]:
    """The layers at rest in another precision; None for a layer that this trace does not have."""
    with settings(dtype), float64_device() if dtype == "float64" else contextlib.nullcontext():
        weights = [
            w.astype(dtype) if jnp.issubdtype(w.dtype, np.floating) else w
            for w in map(jnp.asarray, question.weights)
        ]
        images = question.canvas.still.astype(dtype)
        program = trace_model(question.model, weights, images)
        layers = find_layers(program, question.canvas.axes, output_axes=question.output_axes)
        found = {layer.name: layer.value for layer in layers}
        shared = [layer.name for layer in question.layers if layer.name in found]
        fixed = fixed_values(program, weights)
        values = read_values(program, [found[name] for name in shared], fixed=fixed, images=images)
    numbers = {
        n: v.astype(np.complex128 if v.dtype.kind == "c" else np.float64)
        for n, v in zip(shared, values, strict=True)
        if v.dtype.kind in "fiubc"
    }
    return [numbers.get(layer.name) for layer in question.layers]
