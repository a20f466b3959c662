"""Placements: an object on an empty canvas, everywhere it fits; where does the model's answer just move with it?

    objects -> canvas -> every layer under every placement, and for the empty canvas -> Placements, with causes

A layer moves with the object where its value is that of the central placement, moved by Δ/s, in every cell of the
frame; in cells that enter at the edge it must be what the layer answers to an empty canvas. On the plane every layer of
a convolutional network would do so. What stops it on a frame is a stride, an answer that reaches the border and is cut
there, or a background that is not zero: zero padding then is an edge, seen from wherever the object is.
"""

import dataclasses
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
import numpy as np

from shiftproof.canvas import Canvas
from shiftproof.display import Displayed
from shiftproof.errors import InputError
from shiftproof.exactness.probes import integer_images
from shiftproof.provenance import provenance
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.causes import Background, Cause, background_of, find_causes
from shiftproof.sweeping.checks import check_call
from shiftproof.sweeping.engine import Engine, chunk_size
from shiftproof.sweeping.noise import measure_noise
from shiftproof.sweeping.question import (
    DTYPES,
    Asker,
    Question,
    Weights,
    calibrated,
    choose_weights,
    describe,
    warn_inexact,
)
from shiftproof.sweeping.result import (
    EQUAL_WITHIN,
    Count,
    LayerRecord,
    Property,
    Status,
    Sweep,
)
from shiftproof.sweeping.sweep import Progress, make_groups, make_header, make_maps, place_rows
from shiftproof.tracing.arguments import (
    at_the_door,
    check_choice,
    check_seed,
    check_sizes,
    read_images,
)
from shiftproof.tracing.model import adapt
from shiftproof.tracing.settings import current_device, settings

SCHEMA = "shiftproof.placements/1"
GLYPHS = {Status.EQUAL: "#", Status.DIFFERS: ".", Status.UNCLEAR: "?", Status.UNDEFINED: "-"}
WIDEST = 72
"""Maps of more columns are not drawn."""


@dataclasses.dataclass(frozen=True, eq=False)
class Placements(Displayed):
    """Every placement of objects on an empty canvas, and what each layer makes of it.

    Attributes:
        sweep: deviations per layer and placement; all cells of a layer are compared. Position p of a map is the
            placement with the object's first corner at p.
        object: sizes of the object, or of the frame around several.
        reference: the placement that all others are compared with: the central one.
        backgrounds: for each layer with a grid what it answers to an empty canvas, else None.
        causes: where placements are lost, in order of execution.
        notes: what a reader should know.
    """

    sweep: Sweep
    object: tuple[int, ...]
    reference: tuple[int, ...]
    backgrounds: tuple[Background | None, ...]
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]

    @property
    def canvas(self) -> tuple[int, ...]:
        """Sizes of the canvas."""
        return self.sweep.grid

    @property
    def total(self) -> int:
        """How many placements there are."""
        return math.prod(len(room) for room in self.sweep.ranges)

    @property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The layers in order, outputs last."""
        return self.sweep.layers

    def count(self, property: Property, layer: str | int = -1) -> Count:
        """How many placements just move the layer (`equivariance`), or leave it alone (`invariance`)."""
        return self.sweep.count(property, layer)

    def equal(self, property: Property, layer: str | int = -1) -> np.ndarray:
        """The mask of these placements, indexed by the first corner of the object."""
        return self.sweep.status(property, layer) == Status.EQUAL

    def to_dict(self) -> dict[str, Any]:
        """The stable schema `shiftproof.placements/1`."""
        return {
            "schema": SCHEMA,
            "model": self.sweep.header.model,
            "canvas": list(self.canvas),
            "object": list(self.object),
            "objects": self.sweep.header.images,
            "weights": self.sweep.header.weights,
            "placements": self.total,
            "reference": list(self.reference),
            "layers": [
                {
                    "name": layer.name,
                    "source": layer.source,
                    "output": layer.output,
                    "exact": layer.exact,
                    "background": background and msgspec.to_builtins(background),
                    **{
                        asked: msgspec.to_builtins(self.count(asked, i))
                        if asked == "invariance" or layer.has_grid
                        else None
                        for asked in get_args(Property)
                    },
                }
                for i, (layer, background) in enumerate(
                    zip(self.layers, self.backgrounds, strict=True)
                )
            ],
            "causes": msgspec.to_builtins(self.causes),
            "notes": list(self.notes),
            "provenance": self.sweep.header.provenance,
        }

    def __str__(self) -> str:
        header = self.sweep.header
        weights = "integer weights" if header.weights == "integers" else "its own weights"
        lines = [
            *_wrapped(
                f"{header.model}: an object of {_times(self.object)} on a canvas of {_times(self.canvas)}, "
                f"{self.total} placements, {weights}"
            ),
            "",
            *self._table(),
        ]
        for number, cause in enumerate(self.causes, 1):
            place = f" ({cause.source})" if cause.source else ""
            lines += ["", f"{number}. {cause.layer}{place}: {cause.before} -> {cause.after}"]
            lines += [f"   {line}" for line in _wrapped(cause.text)]
        for note in self.notes:
            lines += ["", *_wrapped(f"Note: {note}")]
        return "\n".join([*lines, *self._map()])

    def __repr__(self) -> str:
        return str(self)

    def _table(self) -> list[str]:
        rows = [("layer", "source", "empty canvas", "moves", "unchanged")]
        for i, (layer, background) in enumerate(zip(self.layers, self.backgrounds, strict=True)):
            moves = str(self.count("equivariance", i)) if layer.has_grid else ""
            alone = str(self.count("invariance", i))
            rows.append((layer.name, layer.source, str(background or ""), moves, alone))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return [
            "  ".join(
                cell.rjust(width) if column > 2 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]

    def _map(self) -> list[str]:
        """The map of the last layer in characters, where it is no more than a page."""
        layer = self.layers[-1]
        asked: Property = "equivariance" if layer.has_grid else "invariance"
        status = np.atleast_2d(self.sweep.status(asked, -1))
        if status.ndim > 2 or 2 * status.shape[1] > WIDEST or status.shape[0] > WIDEST:
            return []
        word = "moves" if layer.has_grid else "is unchanged"
        signs = {
            Status.EQUAL: f"{layer.name} {word}",
            Status.DIFFERS: "differs",
            Status.UNCLEAR: "unclear",
            Status.UNDEFINED: "no whole output shift",
        }
        present = [kind for kind in signs if np.any(status == kind)]
        legend = [f"  {GLYPHS[kind]} {signs[kind]}" for kind in present]
        rows = [" ".join(GLYPHS[Status(int(cell))] for cell in row) for row in status]
        return ["", "By the place of the object's first corner:", *legend, "", *rows]


@at_the_door()
def placements(
    model: Any,
    objects: Any,
    *,
    canvas: Sequence[int] | None = None,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    weights: Weights | None = None,
    dtype: str = "auto",
    layers: Sequence[str] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    seed: int = 0,
    probes: int = 4,
    progress: Progress | None = None,
) -> Placements:
    """Put an object on an empty canvas everywhere it fits, and compare every layer with that of the central placement.

    Args:
        model: of Flax, PyTorch, Equinox, Haiku or Keras, `(function, params)`, or a callable on batches: see `verify`.
        objects: (batch, *sizes, channels) numbers, zero where there is only background; or the shape of one object,
            such as `(3, 3, 1)`, for integer probes. Several are moved together.
        canvas: sizes of the canvas; that of `objects` by default.
        spatial_axes: grid axes of one object (batch not counted); all but that of the channels by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.
        weights: `these`, or `integers` to ask about the architecture; the latter by default when `objects` is a shape.
        dtype: `auto` takes float32 where exact, else float64 where exact, else float32.
        layers: names of the layers to keep; all by default. Outputs always stay.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in reports.
        seed: of integer probes and weights.
        probes: how many integer probes, when `objects` is a shape.
        progress: called with (placements done, placements in all).

    Returns:
        Counts and maps per layer, the answer of each layer to an empty canvas, and causes.

    Raises:
        InputError, ModelCallError, NonDeterministicError, NonFiniteError: each says what to do.

    >>> from flax import nnx
    >>> conv = lambda x: nnx.Conv(1, 1, (3, 3), use_bias=False, rngs=nnx.Rngs(0))(x)
    >>> result = placements(lambda x: conv(conv(x)), (2, 2, 1), canvas=(8, 8))
    >>> result.count("equivariance").equal  # all but those next to the border: (8 - 2 + 1 - 2) ** 2
    25
    """
    check_seed(seed)
    check_choice("dtype", dtype, DTYPES)
    adapted = adapt(model, apply_kwargs=apply_kwargs, name=name)
    given = read_images(objects, spatial_axes, channels_first=adapted.channels_first)
    axes, array = given.batch_axes, given.array
    kind = choose_weights(adapted, weights, probing=array is None)
    if array is None:
        array = integer_images(given.shape, count=probes, seed=seed)
        array[0][array[0] == 0] = 1  # so that the object is as large as was asked
    centred, sizes, reference = _centred(array, axes, canvas)
    board = Canvas.background(centred, axes=axes)
    asker = Asker(adapted, board, kind=kind, output_axes=output_axes, keep=layers, seed=seed)
    question = asker.choose(dtype)
    with settings(question.dtype):
        return _run(question, sizes, reference, seed=seed, progress=progress)


def _centred(
    array: np.ndarray, axes: Sequence[int], canvas: Sequence[int] | None
) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    """The objects in the middle of the canvas, their sizes, and where they begin."""
    own = tuple(array.shape[axis] for axis in axes)
    chosen = own if canvas is None else check_sizes("canvas", canvas, len(axes))
    if not np.any(array):
        raise InputError("the objects are all zero: there is nothing to place.")
    cut: list[slice] = [slice(None)] * array.ndim
    for axis in axes:
        others = tuple(other for other in range(array.ndim) if other != axis)
        (support,) = np.nonzero(np.any(array != 0, axis=others))
        cut[axis] = slice(int(support[0]), int(support[-1]) + 1)
    objects = array[tuple(cut)]
    sizes = tuple(objects.shape[axis] for axis in axes)
    if any(size > room for size, room in zip(sizes, chosen, strict=True)):
        raise InputError(
            f"an object of {_times(sizes)} does not fit on a canvas of {_times(chosen)}: pass a larger canvas=."
        )
    reference = tuple((room - size) // 2 for size, room in zip(sizes, chosen, strict=True))
    widths = [(0, 0)] * array.ndim
    for axis, size, room, begin in zip(axes, sizes, chosen, reference, strict=True):
        widths[axis] = (begin, room - size - begin)
    return np.pad(objects, widths), sizes, reference


def _run(
    question: Question,
    sizes: tuple[int, ...],
    reference: tuple[int, ...],
    *,
    seed: int,
    progress: Progress | None,
) -> Placements:
    device = current_device()
    question = calibrated(question, device)
    groups = make_groups(question.canvas.shifts, chunk_size(question, device))
    engine = Engine(question, chunk=len(groups[0]), devices=[device], moving=True)
    report = check_call(engine)
    question = dataclasses.replace(question, exactness=report.exactness)
    warn_inexact(question)
    noise = measure_noise(question)
    still, empty = engine.at_rest(), engine.at_rest(np.zeros_like(question.canvas.array))
    rows = []
    for group in groups:
        judged = engine.rows(group[None], empty)
        rows.append({name: np.asarray(row[0]) for name, row in judged.items()})
        if progress is not None:
            total = len(question.canvas.shifts)
            progress(min(1 + len(rows) * (len(group) - 1), total), total)
    order, placed = place_rows(groups, rows, None, grid=question.canvas.grid)
    maps = make_maps(question, order, placed, whole=True)
    header = make_header(
        question,
        report,
        noise,
        provenance=provenance(device, question.model.door.package)
        | describe(question, device)
        | {"seed": str(seed)},
        cosets=None,
    )
    sweep = Sweep(header, **maps)
    backgrounds = tuple(
        background_of(layer, value, allowed=EQUAL_WITHIN * floor)
        for layer, value, floor in zip(question.layers, empty, noise, strict=True)
    )
    status = [
        sweep.status("equivariance" if layer.has_grid else "invariance", i)
        for i, layer in enumerate(sweep.layers)
    ]
    causes = tuple(find_causes(question, status, backgrounds))
    notes = _notes(question.layers, still, empty)
    return Placements(sweep, sizes, reference, backgrounds, causes, notes)


def _touches(layer: Layer, still: np.ndarray, empty: np.ndarray) -> bool:
    """Whether the answer to the object reaches the border of the layer's frame."""
    kept = [axis for axis in layer.grid if axis is not None]
    others = tuple(axis for axis in range(still.ndim) if axis not in kept)
    answer = np.any(still != empty, axis=others)
    return bool(kept) and any(
        np.any(np.take(answer, [0, -1], axis=axis)) for axis in range(answer.ndim)
    )


def _notes(
    layers: Sequence[Layer], still: Sequence[np.ndarray], empty: Sequence[np.ndarray]
) -> tuple[str, ...]:
    values = zip(layers, still, empty, strict=True)
    reached = [layer.name for layer, *pair in values if _touches(layer, *pair)]
    return tuple(
        f"even from the centre the answer to the object reaches the border at {name}, so that the central placement "
        "may be cut itself. On a larger canvas more placements may agree."
        for name in reached[:1]
    )


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 76)
