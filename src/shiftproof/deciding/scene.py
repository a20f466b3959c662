"""Scenes: the verdict on a model whose input is a window that moves over an infinite scene, cell by cell.

On the torus a zero-padded network is equivariant under shift 0 only, which is true and says little. Over a scene the
question is where the border reaches: `f(T_Δ x)[u] = f(x)[u - Δ']` for all cells u that lie, with u - Δ', in the
*interior*, for every scene, all weights, and every Δ that is a multiple of the layer's step. The interior shrinks from
layer to layer by what padding and windows see of the border. Where none is left, the verdict says at which layer it
vanished.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.subject import Subject, Weights, graph_of, question_of
from shiftproof.deciding.verify import ask
from shiftproof.display import Displayed, figure_of
from shiftproof.errors import ContradictionError
from shiftproof.exactness.calibration import float64_device
from shiftproof.group import axis_shift
from shiftproof.provenance import provenance
from shiftproof.proving.analysis import Claim
from shiftproof.proving.cells import Field
from shiftproof.proving.certify import certificate_of, needed_part
from shiftproof.proving.graph import Graph
from shiftproof.proving.identity import error_words
from shiftproof.proving.layers import Layer
from shiftproof.proving.scenes import Passage, SceneProver
from shiftproof.proving.windows import Interior, find_interiors, is_large
from shiftproof.sweeping.cells import Moves, sweep_cells
from shiftproof.tracing.settings import current_device, settings
from shiftproof_kernel import Lost

SCHEMA = "shiftproof.scene/1"


@dataclasses.dataclass(frozen=True)
class Reach:
    """What is known of a layer along one axis of the grid.

    Attributes:
        step: the smallest step of the window, in pixels, under which the layer moves; None where none is proved.
        cells: by how many cells it then moves; negative after a flip.
        low, high: the interior: cells from `low` up to `high` - 1, of
        size: cells in all.
        field: the receptive field; None where the layer does not depend on the image.
        lost: why nothing is proved; "" where something is.
        vanished: whether that is because no interior is left.
    """

    step: int | None
    cells: int
    low: int
    high: int
    size: int
    field: Field | None
    lost: str
    vanished: bool

    @property
    def compared(self) -> bool:
        """Whether two windows show one point of the scene in their interiors; else the claim would be empty."""
        return not self.cells or self.high - self.low > abs(self.cells)

    @property
    def jump(self) -> Fraction | None:
        """Pixels between neighbouring cells; negative after a flip."""
        return None if self.step is None or not self.cells else Fraction(self.step, self.cells)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        field = self.field
        return {
            "step": self.step,
            "jump": None if self.jump is None else str(self.jump),
            "interior": [self.low, self.high],
            "size": self.size,
            "receptive_field": None if field is None else field.size,
            "receptive_offset": None if field is None else field.offset,
            "whole_image": field is not None and field.size is None,
            "reason": self.lost or None,
        }


@dataclasses.dataclass(frozen=True)
class SceneLayer:
    """A layer and its interior.

    Attributes:
        name, source, shape: of the layer.
        grid: its axes that run along the grid; None where one does not.
        reaches: one for each axis of the grid.
        output: the name of the output it is, or None.
        interior: truths along its grid axes, all other axes of size 1; None where nothing is proved along some axis of
            the grid.
        certified: how many cells of it a derivation of the kernel covers.
        swept: in the same shape, which cells were seen to be equal in all windows; None without a sweep, and of
            layers that a batch of several images does not have.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    grid: tuple[int | None, ...]
    reaches: tuple[Reach, ...]
    output: str | None
    interior: np.ndarray | None = dataclasses.field(repr=False)
    certified: int = 0
    swept: np.ndarray | None = dataclasses.field(default=None, repr=False)

    @property
    def proved(self) -> bool:
        """Whether an interior is left along every axis."""
        return self.interior is not None

    @property
    def compared(self) -> bool:
        """Whether the interior is wider than one move along every axis."""
        return all(reach.compared for reach in self.reaches)

    @property
    def left(self) -> tuple[int, int]:
        """Cells of the interior, and cells in all."""
        cells = math.prod(reach.size for reach in self.reaches)
        return (0 if self.interior is None else int(np.count_nonzero(self.interior))), cells

    @property
    def is_box(self) -> bool:
        """Whether the interior is all cells between its first and its last along every axis."""
        return self.left[0] == math.prod(reach.high - reach.low for reach in self.reaches)

    @property
    def unexplained(self) -> int:
        """Cells that no proof covers, and that no scene swept told apart either."""
        if self.swept is None:
            return 0
        inside = np.zeros_like(self.swept) if self.interior is None else self.interior
        return int(np.count_nonzero(self.swept & ~inside))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        inside, cells = self.left
        return {
            "name": self.name,
            "source": self.source,
            "shape": list(self.shape),
            "cells": cells,
            "interior_cells": inside,
            "certified_cells": self.certified,
            "axes": [reach.to_dict() for reach in self.reaches],
            "swept_equal": None if self.swept is None else int(np.count_nonzero(self.swept)),
            "unexplained": None if self.swept is None else self.unexplained,
        }


@dataclasses.dataclass(frozen=True)
class SceneVerdict(Displayed):
    """What `verify_scene` decided.

    Attributes:
        model: its name.
        grid: sizes of the window.
        shape: of one image.
        weights: `all` or `these`.
        layers: in order of execution, outputs last.
        certificates: of the outputs that move, by their names; the kernel replays them.
        error: the bound of the error of what is proved by identity; "" where the field was not asked, or knows no more.
        notes: what a reader should know.
        provenance: versions, program, seed.
    """

    model: str
    grid: tuple[int, ...]
    shape: tuple[int, ...]
    weights: Weights
    layers: tuple[SceneLayer, ...]
    certificates: Mapping[str, Mapping[str, Any]]
    error: str
    notes: tuple[str, ...]
    provenance: Mapping[str, str]

    @property
    def outputs(self) -> tuple[SceneLayer, ...]:
        """The layers that are outputs."""
        return tuple(layer for layer in self.layers if layer.output is not None)

    @property
    def output(self) -> SceneLayer:
        """The only output.

        Raises:
            ValueError: there are several.
        """
        (output,) = self.outputs
        return output

    @property
    def proved(self) -> bool:
        """Whether every output has an interior that is wider than one move; a narrower one compares nothing."""
        return all(layer.proved and layer.compared for layer in self.outputs)

    @property
    def vanished(self) -> SceneLayer | None:
        """The first layer without an interior; None where all have one."""
        return next((layer for layer in self.layers if not layer.proved), None)

    def __str__(self) -> str:
        lines = [f"{self.model} as a window of {_times(self.grid)} on a scene, {_asked(self)}"]
        lines += [f"  {layer.output}: {_left(layer)}" for layer in self.outputs]
        if self.vanished is not None:
            lines.append(f"  {explain(self.vanished)}")
        return "\n".join(lines)

    def plot(self) -> Any:
        """The cells of every layer, as a `matplotlib.figure.Figure`: blue moves with the scene, sand does not."""
        return figure_of(self)

    def to_dict(self) -> dict[str, Any]:
        """A stable schema."""
        gone = self.vanished
        return {
            "schema": SCHEMA,
            "model": self.model,
            "grid": list(self.grid),
            "boundary": "scene",
            "weights": self.weights,
            "proved": self.proved,
            "vanished": gone
            and {"layer": gone.name, "source": gone.source, "reason": explain(gone)},
            "layers": [layer.to_dict() for layer in self.layers],
            "error": self.error or None,
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _asked(verdict: SceneVerdict) -> str:
    return "for all weights" if verdict.weights == "all" else "with its own weights"


def _left(layer: SceneLayer) -> str:
    inside, cells = layer.left
    if not layer.proved:
        return "no interior"
    if not any(reach.cells for reach in layer.reaches):
        return "it stays, whatever the window does"
    steps = " × ".join(str(reach.step) for reach in layer.reaches)
    spans = " × ".join(f"{reach.low}..{reach.high - 1}" for reach in layer.reaches)
    where = f" ({spans})" if layer.is_box else ""
    told = f"{inside} of {cells} cells{where} move with the scene, in steps of {steps} pixels"
    return told if layer.compared else f"{told}: no wider than one step, so nothing is claimed"


def explain(layer: SceneLayer) -> str:
    """Why a layer has no interior, in one sentence."""
    reach = next(reach for reach in layer.reaches if reach.lost)
    place = f" ({layer.source})" if layer.source else ""
    word = "the interior vanishes" if reach.vanished else "no interior is proved"
    return f"{word} at {layer.name}{place}: {reach.lost}"


@float64_device()
def verify_scene(
    model: Any,
    images: Any,
    *,
    weights: Weights = "all",
    sweep: bool = False,
    exhaustive: bool = False,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    seed: int = 0,
) -> SceneVerdict:
    """Decide, cell by cell, where a model just moves with a scene of which its input is a window.

    Args:
        model: an `nnx.Module`, linen `(module, variables)`, or a callable on batches.
        images: the shape of one image, such as `(28, 28, 1)`, or images (batch, *shape), of which only that is used.
        weights: `all` asks about the architecture, `these` about the model with its own weights.
        sweep: also run all windows of larger integer scenes, along one axis at a time, and see which cells the border
            reaches; a proved cell that differs stops with an error.
        exhaustive: ask the field for the interior of a large model too, which takes a minute or more.
        spatial_axes: grid axes of one image; all but the last by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in reports.
        seed: of the scenes and of the weights drawn for the sweep.

    Returns:
        A `SceneVerdict`: for each layer step, jump, receptive field and interior.

    Raises:
        InputError, ModelCallError, NonDeterministicError: each says what to do.
        ContradictionError: a proof and the compiled program disagree.

    >>> from flax import nnx
    >>> net = nnx.Sequential(*(nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(i)) for i in range(2)))
    >>> print(verify_scene(net, (8, 8, 1)))
    Sequential as a window of 8x8 on a scene, for all weights
      output: 16 of 64 cells (2..5 × 2..5) move with the scene, in steps of 1 × 1 pixels
    """
    subject, _ = ask(
        model,
        images,
        weights=weights,
        spatial_axes=spatial_axes,
        output_axes=output_axes,
        apply_kwargs=apply_kwargs,
        name=name,
        seed=seed,
    )
    with settings(subject.dtype):
        graph = graph_of(subject)
        prover = SceneProver(graph, subject.grid)
        layers = [_layer(layer, subject, prover) for layer in subject.layers]
        certificates = {
            layer.output: certificate
            for leaf, layer in enumerate(_by_leaf(subject, layers))
            if layer.output and (certificate := _certificate(subject, graph, leaf, layer))
        }
        layers, error, notes = _with_identities(subject, layers, exhaustive=exhaustive)
    if sweep:
        layers = _swept(subject, layers, seed=seed, output_axes=output_axes)
    return SceneVerdict(
        model=subject.model.name,
        grid=subject.grid,
        shape=subject.shape,
        weights=subject.weights,
        layers=tuple(layers),
        certificates=certificates,
        error=error,
        notes=(*subject.notes, *notes),
        provenance=provenance(current_device())
        | {"program": subject.program.fingerprint, "seed": str(seed)},
    )


def _by_leaf(subject: Subject, layers: Sequence[SceneLayer]) -> list[SceneLayer]:
    """The outputs in the order of the program's."""
    named = {layer.output: layer for layer in layers}
    return [named[name] for name in subject.program.output_names]


def _layer(layer: Layer, subject: Subject, prover: SceneProver) -> SceneLayer:
    """What is proved of one layer along every axis."""
    graph, rank = prover.graph, len(subject.grid)
    node = graph.nodes.get(layer.value) if isinstance(layer.value, int) else None
    cells = [n if axis in layer.grid else 1 for axis, n in enumerate(layer.shape)]
    reaches, box = [], np.ones(cells, bool)
    for position in range(rank):
        found = None if node is None else prover.along(position)[node]
        reach = _reach(graph, found, layer, position, layer.fields[position])
        reaches.append(reach)
        if isinstance(found, Passage) and not reach.lost:
            for axis, (step, low, high) in enumerate(found.moves):
                inside = np.zeros(cells[axis], bool)
                inside[low:high] = True
                box &= inside.reshape(-1, *[1] * (box.ndim - 1 - axis)) | (step == 0)
    proved = all(not reach.lost for reach in reaches)
    return SceneLayer(
        name=layer.name,
        source=str(layer.site),
        shape=layer.shape,
        grid=layer.grid,
        reaches=tuple(reaches),
        output=layer.output,
        interior=box if proved else None,
        certified=int(np.count_nonzero(box)) if proved else 0,
    )


def _with_identities(
    subject: Subject, layers: Sequence[SceneLayer], *, exhaustive: bool
) -> tuple[list[SceneLayer], str, tuple[str, ...]]:
    """The layers with the interiors that the field sees, where these are larger; the error bound, and notes.

    Raises:
        ContradictionError: the kernel proves cells to move that the field denies.
    """
    if is_large(subject.program) and not exhaustive:
        note = "The model is large, so the field was not asked: the border may reach fewer cells. Pass exhaustive=True."
        return list(layers), "", (note,)
    known = [
        [
            (reach.step, reach.cells) if reach.step and reach.cells else None
            for reach in layer.reaches
        ]
        for layer in layers
    ]
    try:
        found = find_interiors(question_of(subject), subject.layers, known)
    except FieldError as reason:
        return (
            list(layers),
            "",
            (f"The field cannot run the program, so the border may reach fewer cells: {reason}.",),
        )
    made = []
    for layer in layers:
        seen = found.by_name.get(layer.name)
        if seen is not None and not found.is_blind:
            _vote(subject, layer, seen)
        made.append(layer if seen is None else _widened(layer, seen))
    by_identity = any(layer.left[0] > layer.certified for layer in made)
    return made, error_words(found.log2_error) if by_identity else "", ()


def _vote(subject: Subject, layer: SceneLayer, seen: Interior) -> None:
    """Every pair of cells that the kernel proves to be alike must be so in the field."""
    if layer.interior is None:
        return
    inside = _along_grid(layer, layer.interior)
    for axis, reach in enumerate(layer.reaches):
        if not reach.step or not reach.cells:
            continue
        before = np.roll(inside, reach.cells, axis)  # whole turns are outside of both
        edge = np.arange(reach.size) - reach.cells
        there = np.expand_dims(
            (edge >= 0) & (edge < reach.size), [a for a in range(inside.ndim) if a != axis]
        )
        proved = inside & before & there
        if np.any(proved & ~seen.alike[axis].get((reach.step, reach.cells), proved)):
            raise ContradictionError(
                f"{subject.model.name}: cells of layer {layer.name} ({layer.source}) are proved by the kernel to move "
                f"by {reach.cells} with a step of {reach.step} pixels of the scene, and the field denies it. One of "
                "the two is wrong: this is a defect of shiftproof, please report it with the model."
            )


def _widened(layer: SceneLayer, seen: Interior) -> SceneLayer:
    """The layer with the interior that the field sees, where that is larger."""
    inside, (kept, _) = seen.cells, layer.left
    if int(np.count_nonzero(inside)) <= kept:
        return layer
    reaches = []
    for axis, (reach, move) in enumerate(zip(layer.reaches, seen.moves, strict=True)):
        rest = tuple(a for a in range(inside.ndim) if a != axis)
        (places,) = np.nonzero(np.any(inside, rest))
        low, high = int(places[0]), int(places[-1]) + 1
        step, cells = move or (reach.step, 0)
        reaches.append(Reach(step, cells, low, high, reach.size, reach.field, "", False))
    return dataclasses.replace(layer, reaches=tuple(reaches), interior=_along_axes(layer, inside))


def _along_grid(layer: SceneLayer, cells: np.ndarray) -> np.ndarray:
    """Truths along the axes of a layer's value, along those of the grid instead."""
    order = [axis for axis in layer.grid if axis is not None]
    rest = [axis for axis in range(cells.ndim) if axis not in order]
    return cells.transpose(*order, *rest).reshape([reach.size for reach in layer.reaches])


def _along_axes(layer: SceneLayer, cells: np.ndarray) -> np.ndarray:
    """The inverse of `_along_grid`."""
    order = np.argsort([axis for axis in layer.grid if axis is not None])
    sizes = [n if axis in layer.grid else 1 for axis, n in enumerate(layer.shape)]
    wide = [size for size, axis in zip(cells.shape, layer.grid, strict=True) if axis is not None]
    return cells.reshape(wide).transpose(order).reshape(sizes)


def _reach(
    graph: Graph, found: Passage | Lost | None, layer: Layer, position: int, field: Field | None
) -> Reach:
    size = layer.grid_shape[position]
    if found is None:
        return Reach(None, 0, 0, 0, size, field, "the value does not depend on the image", False)
    if isinstance(found, Lost):
        gone = found.refusal.code == "interior"
        return Reach(None, 0, 0, 0, size, field, graph.told(found), gone)
    moving = [(axis, move) for axis, move in enumerate(found.moves) if move[0]]
    if not moving:  # it stays, whatever the window does
        return Reach(found.step, 0, 0, size, size, field, "", False)
    axis, (cells, low, high) = moving[0]
    if len(moving) > 1 or axis != layer.grid[position]:
        why = "it moves along other axes than that of the grid"
        return Reach(None, 0, 0, 0, size, field, why, False)
    return Reach(found.step, cells, low, high, size, field, "", False)


def _certificate(
    subject: Subject, graph: Graph, leaf: int, layer: SceneLayer
) -> Mapping[str, Any] | None:
    """A derivation for each axis along which the output moves; None where there is none, or nothing to compare."""
    axes = tuple(axis for axis in layer.grid if axis is not None)
    steps = [(position, reach) for position, reach in enumerate(layer.reaches) if reach.cells]
    if not layer.proved or not layer.compared or not steps:
        return None
    claim = Claim(
        layer.output or "",
        leaf,
        "equivariance",
        axes,
        tuple(layer.shape[axis] for axis in axes),
        "any",
    )
    generators = [
        (axis_shift(subject.grid, position, reach.step or 0), {}) for position, reach in steps
    ]
    program, _ = needed_part(graph.program, leaf)
    return certificate_of(
        program,
        claim,
        subject.grid,
        generators,
        weights=subject.weights,
        weights_sha256=subject.weights_sha256,
        boundary="scene",
    )


def _swept(
    subject: Subject, layers: Sequence[SceneLayer], *, seed: int, output_axes: Sequence[int] | None
) -> list[SceneLayer]:
    """The layers with the cells that were seen to be equal, and a stop where a proved one was not."""
    moves = {
        layer.name: [_moves(layer, position) for position in range(len(subject.grid))]
        for layer in layers
    }
    found = sweep_cells(
        subject.model,
        subject.shape,
        moves,
        spatial_axes=subject.image_axes,
        output_axes=output_axes,
        weights="integers" if subject.weights == "all" else "these",
        seed=seed,
    )
    done = []
    for layer in layers:
        swept = found.get(layer.name)
        done.append(dataclasses.replace(layer, swept=swept))
        if swept is not None and layer.interior is not None and np.any(layer.interior & ~swept):
            cell = tuple(int(i) for i in np.argwhere(layer.interior & ~swept)[0])
            raise ContradictionError(
                f"{subject.model.name}: cell {cell} of layer {layer.name} ({layer.source}) is proved to move with the "
                "scene, and does not on integer scenes: please report a bug, with the model."
            )
    return done


def _moves(layer: SceneLayer, position: int) -> Moves | None:
    """How a layer moves along one axis; None where it does not, or where its interior is no wider than a move."""
    reach, axis = layer.reaches[position], layer.grid[position]
    if reach.step is None or axis is None or not reach.cells:
        return None
    if reach.high - reach.low < abs(reach.cells):
        return None
    return Moves(reach.step, axis, reach.cells, (reach.low + reach.high - abs(reach.cells)) // 2)
