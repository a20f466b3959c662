"""Tolerances: how far outputs deviate under all shifts, for given images, against a number that the user chose.

A sweep and one question: is any deviation larger than allowed? It says nothing about other images; `assert_equivariant`
and `assert_invariant` do.
"""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, cast, get_args

import jax
import numpy as np

from shiftproof.canvas import translate
from shiftproof.deciding.asked import asked_mask
from shiftproof.errors import InputError
from shiftproof.group import Shift, nearest
from shiftproof.messages import head, label_rows, steps_text
from shiftproof.plain import plain_lines
from shiftproof.sweeping.compare import Law, output_step
from shiftproof.sweeping.result import LayerRecord, Property, Sweep
from shiftproof.sweeping.sweep import sweep
from shiftproof.tracing.arguments import check_choice, read_images
from shiftproof.tracing.model import Model, adapt, grid_ranks, takes


def assert_close_under_shifts(
    model: Any,
    images: Any,
    *,
    atol: float,
    rtol: float = 0.0,
    property: Property | None = None,
    law: Law = "stride",
    shifts: Sequence[Sequence[int | str]] | np.ndarray | None = None,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    dtype: str = "float32",
    chunk: int | None = None,
    custom_message: str | None = None,
) -> None:
    """Fail unless the outputs for these images deviate by no more than a tolerance, under every shift of the grid.

    With the model's own weights, on images that wrap around: `max |f(T x) - T' f(x)| <= atol + rtol max |f(x)|`.

    Args:
        model: of Flax, PyTorch, Equinox, Haiku or Keras, `(function, params)`, or a callable on batches: see `verify`.
        images: any numbers: (batch, *grid, channels), or one image if the model does not take its rows for a batch;
            or the shape of one image, for test images of whole numbers.
        atol: the largest deviation allowed.
        rtol: the same as a part of the largest value of the output.
        property: `equivariance` (the output moves with the image) or `invariance` (it stays); by default the first
            where the output has a grid, else the second.
        law: how far the output should move: `stride` (as many cells as strides leave of the shift), `same`, or `any`
            (the shift of the output that fits best).
        shifts: ask for these shifts; all by default. A step may be a string such as `4Z`.
        spatial_axes: grid axes of one image, all but that of the channels by default.
        output_axes: grid axes of the outputs, where they cannot be followed through the program.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in messages.
        dtype: number format, as for `sweep`.
        chunk: shifts computed at once; chosen from the memory by default.
        custom_message: put before the message.

    Raises:
        AssertionError: it says under how many shifts of how many, and where the largest deviation is.
        InputError: a tolerance that is none, or a property that no output has.

    >>> from flax import nnx
    >>> blur = lambda x: nnx.avg_pool(x, (2, 2), padding="SAME")
    >>> image = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    >>> assert_close_under_shifts(blur, image, atol=1.0)
    >>> assert_close_under_shifts(blur, image, atol=0.1)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    AssertionError: equivariance of output: it deviates by more than 0.1 under ...
    """
    __tracebackhide__ = True
    for label, value in (("atol", atol), ("rtol", rtol)):
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not value >= 0:
            raise InputError(f"{label}= is a number of at least 0; got {value!r}.")
    if property is not None:
        check_choice("property", property, get_args(Property))
    adapted = adapt(model, apply_kwargs=apply_kwargs, name=name)
    images = _batched(adapted, images)
    result = sweep(
        adapted,
        images,
        law=law,
        weights="these",
        layers=[],
        spatial_axes=spatial_axes,
        output_axes=output_axes,
        dtype=dtype,
        chunk=chunk,
    )
    asked = asked_mask(shifts, result.grid)
    layers = [layer for layer in result.layers if layer.has_grid or property != "equivariance"]
    if not layers:
        raise InputError("no output has a grid, so there is no equivariance: ask for invariance.")
    for layer in layers:
        question = property or ("equivariance" if layer.has_grid else "invariance")
        allowed = atol + rtol * layer.magnitude
        found = Deviations(result, layer, question, asked, allowed)
        if found.beyond.any():
            text = found.text(_place(adapted, images, found, spatial_axes))
            told = "\n".join(part for part in (custom_message, text) if part)
            raise AssertionError(plain_lines(told))


@dataclasses.dataclass(frozen=True)
class Deviations:
    """How far one output deviates, and how far it may.

    Attributes:
        result: of the sweep.
        layer: the output.
        question: the property.
        asked: mask of the shifts asked about.
        allowed: the largest deviation allowed.
    """

    result: Sweep
    layer: LayerRecord
    question: Property
    asked: np.ndarray
    allowed: float

    @property
    def map(self) -> np.ndarray:
        """The deviation under every shift; NaN where the output would move by no whole number of cells."""
        return getattr(self.result, self.question)[self.result.index(self.layer.name)]

    @property
    def beyond(self) -> np.ndarray:
        """Mask of the shifts asked about that fail: those where nothing can be compared, too."""
        return self.asked & ~(self.map <= self.allowed)

    @property
    def undefined(self) -> np.ndarray:
        """Mask of the shifts asked about where nothing can be compared."""
        return self.asked & np.isnan(self.map)

    @property
    def worst(self) -> Shift | None:
        """The shift of the largest deviation, the nearest to 0 of several; None where nothing can be compared."""
        known = np.where(self.asked, self.map, np.nan)
        if np.isnan(known).all():
            return None
        return nearest(known == np.nanmax(known), 1)[0]

    def text(self, place: str) -> str:
        """The message of the failure; `place` is where the largest deviation is."""
        count, total = int(self.beyond.sum()), int(self.asked.sum())
        told = (
            f"{self.question} of {self.layer.output}: it deviates by more than {self.allowed:.4g} under {count} of "
            f"{total} shifts."
        )
        rows, worst = [], self.worst
        differing = self.beyond & ~self.undefined
        if worst is not None and differing.any():
            first = nearest(differing, 1)[0]
            rows.append(("largest", f"{self._at(worst):.6g} at {steps_text(worst)}{place}"))
            rows.append(("smallest", f"{steps_text(first)}: {self._at(first):.6g}"))
        rows.append(("values", f"up to {self.layer.magnitude:.6g}"))
        if self.layer.noise > 0:
            rows.append(("rounding", f"{self.layer.noise:.2g}, measured against another precision"))
        lost = int(self.undefined.sum())
        if lost:
            rows.append(("no cells", f"under {lost} the output would move by a part of a cell"))
            rows.append(("to do", f'ask for shifts=[{self._whole}], or for law="any"'))
        else:
            rows.append(("to do", "sp.verify(model, shape) says which layer, and how to repair it"))
        return head(told) + "\n".join(label_rows(rows))

    @property
    def _whole(self) -> tuple[str, ...]:
        """The shifts that move the output by whole cells, as `shifts=` takes them."""
        return tuple(f"{step.denominator}Z".removeprefix("1") for step in self.steps)

    @property
    def steps(self) -> tuple[Fraction, ...]:
        """Cells of output shift per pixel of input shift, along each axis of the grid."""
        layer = self.layer
        axes = zip(layer.grid, layer.strides, self.result.grid, strict=True)
        return tuple(
            Fraction(0)
            if axis is None or stride is None
            else output_step(
                cast(Law, self.result.header.law),
                Fraction(stride),
                layer.shape[axis],
                size,
                wraps=True,
            )
            for axis, stride, size in axes
        )

    def _at(self, shift: Shift) -> float:
        return float(self.map[self.result.at(shift)])


def _batched(model: Model, images: Any) -> Any:
    """The images with a batch axis, which one image has not."""
    if isinstance(images, (tuple, list)) and all(isinstance(n, (int, np.integer)) for n in images):
        return images  # the shape of one
    array = read_images(images, None).array if np.ndim(images) > 2 else np.asarray(images)
    if array is None or array.ndim < 2:
        return images
    ranks = grid_ranks(model)
    if ranks:
        single = array.ndim - 1 in ranks and array.ndim - 2 not in ranks
    else:
        single = not takes(model, array.shape[1:]) and takes(model, array.shape)
    return array[None] if single else array


def _place(model: Model, images: Any, found: Deviations, spatial_axes: Sequence[int] | None) -> str:
    """The image, the cell and the channel of the largest deviation, computed again; "" where it cannot be told."""
    given = read_images(images, spatial_axes, channels_first=model.channels_first)
    names = [layer.name for layer in found.result.layers if layer.output is not None]
    if found.worst is None or given.array is None:
        return ""
    array = given.array.astype(found.result.header.dtype)
    moved = translate(array, found.worst, axes=given.batch_axes)
    at_rest, shifted = (jax.tree.leaves(model.call(model.weights, x)) for x in (array, moved))
    number = names.index(found.layer.name)
    if len(at_rest) != len(names) or at_rest[number].shape != found.layer.shape:
        return ""
    gap = _gap(np.asarray(at_rest[number]), np.asarray(shifted[number]), found)
    index = np.unravel_index(int(np.argmax(gap)), gap.shape)
    return f", in {_index_text(tuple(map(int, index)), found.layer)}"


def _gap(at_rest: np.ndarray, shifted: np.ndarray, found: Deviations) -> np.ndarray:
    """`|f(T x) - T' f(x)|` in every cell, for the shift of the output that the law says, or that fits best."""
    layer, law = found.layer, found.result.header.law
    if found.question == "invariance":
        return np.abs(shifted - at_rest)
    assert found.worst is not None
    axes = [axis for axis in layer.grid if axis is not None]
    if law == "any":
        steps = np.ndindex(*(layer.shape[axis] for axis in axes))
        gaps = (np.abs(shifted - np.roll(at_rest, step, axes)) for step in steps)
        return min(gaps, key=lambda gap: float(gap.max()))
    moved = [
        int(step * shift)
        for axis, step, shift in zip(layer.grid, found.steps, found.worst, strict=True)
        if axis is not None
    ]
    return np.abs(shifted - np.roll(at_rest, moved, axes))


def _index_text(index: tuple[int, ...], layer: LayerRecord) -> str:
    """An entry of an output in words: the first axis is the batch, where it has one; the rest is no grid."""
    cell = tuple(index[axis] for axis in layer.grid if axis is not None)
    rest = tuple(i for axis, i in enumerate(index) if axis and axis not in layer.grid)
    told = f"image {index[0]}" if index else "it"
    told += f", cell {cell}" if cell else ""
    return told + (f", entry {', '.join(map(str, rest))}" if rest else "")
