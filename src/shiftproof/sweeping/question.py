"""Questions: what a sweep compares, fixed before anything runs.

A question holds the traced program, its layers, the weights and images in one dtype, and what is exact.
`Asker.choose` finds the cheapest dtype in which everything is exact.
"""

import dataclasses
import hashlib
import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import jaxlib.version
import numpy as np

from shiftproof._version import __version__
from shiftproof.algebras.digits import grade_program
from shiftproof.canvas import Canvas
from shiftproof.errors import InexactWarning, InputError, ModelCallError, WideningError
from shiftproof.exactness.calibration import calibrate
from shiftproof.exactness.exact import Exactness, judge
from shiftproof.exactness.probes import integer_question
from shiftproof.proving.asked import in_floats
from shiftproof.proving.layers import Layer, find_layers
from shiftproof.sweeping.compare import Law
from shiftproof.tracing.model import Model, native_dtype, program_in, weights_in
from shiftproof.tracing.settings import Precision, settings
from shiftproof.tracing.trace import Program, fixed_values, hash_array

Weights = Literal["these", "integers"]
DTYPES = ("auto", "float32", "float64", "bfloat16", "float16", "int32")


@dataclasses.dataclass(frozen=True)
class Question:
    """A sweep that is ready to run.

    Attributes:
        model: the adapted model.
        program: of the images at rest, in that dtype.
        layers: what is compared, outputs last.
        weights: leaves, in the dtypes of the program, replaced as asked.
        fixed: the values of the program that do not depend on the images.
        canvas: what the window slides over, in the dtype of the sweep.
        law: of the output shift.
        dtype: of the images: what the program was traced in, or `float64`, to which it is widened.
        exactness: of each layer.
        weights_kind: `these` or `integers`.
        scale: what integer images were multiplied by.
        output_axes: grid axes of the outputs, where the user gave them.
        precision: of matrix products.
        pair: the program of two images, for a question about one; None else, and where the model takes one only.
    """

    model: Model
    program: Program
    layers: tuple[Layer, ...]
    weights: list[Any]
    fixed: dict[int, jax.Array]
    canvas: Canvas
    law: Law
    dtype: str
    exactness: tuple[Exactness, ...]
    weights_kind: Weights
    scale: int
    output_axes: Sequence[int] | None
    precision: Precision
    pair: Program | None


def describe(question: Question, device: jax.Device) -> dict[str, str]:
    """What the chunks of a question's sweep depend on, one readable line each."""
    canvas = question.canvas
    weights = hashlib.sha256(b"".join(hash_array(w) for w in question.weights)).hexdigest()
    return {
        "model": question.model.name,
        "program": question.program.fingerprint,
        "weights": weights,
        "images": hash_array(canvas.array).hex(),
        "grid": " x ".join(map(str, canvas.grid)),
        "axes": f"{canvas.axes} of the images, {[layer.grid for layer in question.layers]} of the layers",
        "boundary": canvas.boundary.name,
        "law": question.law,
        "dtype": question.dtype,
        "matmul_precision": question.precision,
        "layers": ", ".join(layer.name for layer in question.layers),
        "platform": device.platform,
        "shiftproof": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
    }


@dataclasses.dataclass(frozen=True)
class Asker:
    """Traces and grades a model in a dtype, and chooses the dtype.

    The user's code runs once for all dtypes that `auto` tries: float64 is made of the same trace.

    Attributes:
        model: the adapted model.
        canvas: what the window slides over.
        law: of the output shift.
        kind: whose weights.
        output_axes: grid axes of the outputs, where the user gave them.
        keep: names of the layers to keep; all where None.
        seed: of integer weights.
        precision: of matrix products.
    """

    model: Model
    canvas: Canvas
    _: dataclasses.KW_ONLY
    law: Law = "stride"
    kind: Weights = "these"
    output_axes: Sequence[int] | None = None
    keep: Sequence[str] | None = None
    seed: int = 0
    precision: Precision = "highest"

    def choose(self, dtype: str, *, float64: bool = True) -> Question:
        """The question in the dtype asked for; `auto` takes the first in which more is exact.

        Args:
            dtype: one of `DTYPES`. The floats of JAX (float32, where 64-bit mode is off) are the model as it is;
                float64 the same program, widened. Another format is another program: images, and for floats weights
                too, are given in it.
            float64: whether the device computes in float64.

        Raises:
            InputError: float64 is asked for, and the device lacks it.
            WideningError: float64 is asked for, and the program cannot be widened to it.
        """
        if dtype == "float64" and not float64:
            raise InputError(
                "the device does not compute in float64: leave dtype out, or pass devices=jax.devices('cpu')."
            )
        if dtype != "auto":
            return self.ask(dtype)
        native = native_dtype()
        single = self.ask(native)
        if not float64 or native == "float64" or all(e.exact for e in single.exactness):
            return single
        try:
            double = self.ask("float64")
        except WideningError:
            return single
        exact_in = [sum(e.exact for e in question.exactness) for question in (single, double)]
        return double if exact_in[1] > exact_in[0] else single

    def ask(self, dtype: str) -> Question:
        """The question in one dtype."""
        program = program_in(self.model, self.canvas.shape, dtype, precision=self.precision)
        weights, pair = weights_in(self.model, program), self._pair(dtype)
        with settings(dtype, self.precision):
            return self._ask(program, weights, dtype, pair)

    def _pair(self, dtype: str) -> Program | None:
        """The program of two images, where the question is about one; traced here, in the user's own mode."""
        count, *rest = self.canvas.shape
        if count > 1:
            return None
        try:
            return program_in(self.model, (2, *rest), dtype, precision=self.precision)
        except ModelCallError:  # a batch of one is written into the model: it couples no images
            return None

    def _ask(
        self, program: Program, weights: list[Any], dtype: str, pair: Program | None
    ) -> Question:
        canvas = dataclasses.replace(self.canvas, array=self.canvas.array.astype(jnp.dtype(dtype)))
        oracle = in_floats(program, weights)
        layers = find_layers(program, canvas.axes, output_axes=self.output_axes, oracle=oracle)
        scale = 1
        if self.kind == "integers":
            drawn = integer_question(
                program, weights, canvas.array, replaceable=self.model.replaceable, seed=self.seed
            )
            weights, scale = drawn.weights, drawn.scale
            canvas = dataclasses.replace(
                canvas, array=canvas.array * np.asarray(scale, canvas.array.dtype)
            )
        fixed = fixed_values(program, weights)
        grades, reach = grade_program(program, fixed, canvas.array)
        layers = _select(layers, self.keep)
        return Question(
            model=self.model,
            program=program,
            layers=layers,
            weights=weights,
            fixed=fixed,
            canvas=canvas,
            law=self.law,
            dtype=dtype,
            exactness=tuple(judge(program, x.value, grades=grades, reach=reach) for x in layers),
            weights_kind=self.kind,
            scale=scale,
            output_axes=self.output_axes,
            precision=self.precision,
            pair=pair,
        )


def _select(layers: Sequence[Layer], keep: Sequence[str] | None) -> tuple[Layer, ...]:
    if keep is None:
        return tuple(layers)
    names = [layer.name for layer in layers]
    if not isinstance(keep, (list, tuple, set)) or not all(isinstance(name, str) for name in keep):
        raise InputError(f"layers= takes several names, such as {names[:1]}; got {keep!r}.")
    unknown = [name for name in keep if name not in names]
    if unknown:
        raise InputError(f"no layer is named {', '.join(unknown)}; there are {', '.join(names)}.")
    return tuple(layer for layer in layers if layer.name in keep or layer.output is not None)


def choose_weights(model: Model, asked: Weights | None, *, probing: bool) -> Weights:
    """The weights asked for; without word integers for integer probes, where the model has any to replace.

    Raises:
        InputError: no such choice, or integers for a model that hides its weights.
    """
    kind: Weights = asked or ("integers" if probing and model.replaceable else "these")
    if kind not in get_args(Weights):
        raise InputError(f"weights must be one of {', '.join(get_args(Weights))}; got {kind!r}.")
    if kind == "integers" and not any(model.replaceable):
        raise InputError(
            f"{model.name} has no parameters to replace by integers: a plain callable hides them. Pass the "
            'module of the framework with its weights, or (function, params), or weights="these".'
        )
    return kind


def calibrated(question: Question, device: jax.Device) -> Question:
    """Downgrade `exact` where the device itself is not exact on integers."""
    if not question.dtype.startswith(("float", "bfloat")):
        return question
    found = calibrate(device, question.dtype, question.precision)
    if found.exact:
        return question
    return dataclasses.replace(
        question,
        exactness=tuple(exactness.downgraded(found.reason) for exactness in question.exactness),
    )


def warn_inexact(question: Question) -> None:
    """Say where exactness ends, when exact integers were asked for."""
    rounded = [
        (x, e) for x, e in zip(question.layers, question.exactness, strict=True) if not e.exact
    ]
    if rounded and question.weights_kind == "integers":
        layer, first = rounded[0]
        warnings.warn(
            f"{question.model.name}: not exact from layer {layer.name} on ({first.reason}); from there equality is "
            "judged against the measured rounding noise.",
            InexactWarning,
            stacklevel=4,
        )
