"""Scenes: a model whose input is a window that moves over an infinite scene, cell by cell.

On the torus a zero-padded network is equivariant under shift 0 only, which is true and says little. Over a scene the
question is where the border reaches: `f(T_Δ x)[u] = f(x)[u - Δ']` for all cells u that lie, with u - Δ', in the
*interior*, for every scene, all weights, and every Δ that is a multiple of the layer's step. The interior shrinks from
layer to layer by what padding and windows see of the border. Where none is left, the verdict says at which layer it
vanished. Cells outside of the interior, and shifts between the steps, are refuted on integer scenes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.region import Border, Reach, RegionVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.subject import Subject, graph_of, question_of, timed
from shiftproof.deciding.verdict import OutputVerdict, Verdict, verdict_of
from shiftproof.deciding.words import Word
from shiftproof.errors import ContradictionError
from shiftproof.group import Shift, axis_shift
from shiftproof.proving.analysis import Claim
from shiftproof.proving.causes import Cause
from shiftproof.proving.certify import certificate_of, needed_part
from shiftproof.proving.graph import Graph
from shiftproof.proving.identity import error_words
from shiftproof.proving.layers import Layer
from shiftproof.proving.scenes import Passage, SceneProver
from shiftproof.proving.windows import Interior, find_interiors, is_large
from shiftproof.sweeping.cells import Moves, Scenes, Seen
from shiftproof.tracing.settings import settings
from shiftproof_kernel import Lost


def decide_scene(
    subject: Subject,
    rows: Sequence[LayerVerdict],
    causes: Sequence[Cause],
    *,
    exhaustive: bool = False,
    identities: bool = True,
    refute: bool = True,
) -> Verdict:
    """Where a model just moves with a scene of which its input is a window.

    Args:
        subject: the traced model.
        rows: what is known of its layers on the torus, and
        causes: why.
        exhaustive: look at a large model too, which takes a minute or more.
        identities: whether the field is asked too, which votes, and may see that the border reaches fewer cells.
        refute: whether counterexamples are sought.

    Raises:
        ContradictionError: kernel, field and the compiled program do not agree.
    """
    seconds = dict(subject.seconds)
    with settings(subject.dtype):
        with timed(seconds, "analysis"):
            graph = graph_of(subject)
            prover = SceneProver(graph, subject.grid)
            borders = [_border(layer, subject, prover) for layer in subject.layers]
        with timed(seconds, "certificates"):
            certificates = {
                layer.output: _certificate(subject, graph, leaf, layer, border)
                for leaf, (layer, border) in enumerate(_by_leaf(subject, borders))
            }
        notes: tuple[str, ...] = ()
        if identities:
            with timed(seconds, "identities"):
                borders, notes = _with_identities(subject, borders, exhaustive=exhaustive)
    scenes = Scenes(
        subject.model,
        subject.shape,
        subject.image_axes,
        subject.output_axes,
        weights=subject.drawn,
        seed=subject.seed,
    )
    between: dict[str, tuple[dict[Shift, Word], bool]] = {}
    if refute:
        with timed(seconds, "witnesses"):
            between = _between(subject, borders, scenes)
            if exhaustive or not is_large(subject.program):
                borders = _refuted(subject, borders, scenes)
    found = [
        dataclasses.replace(row, border=border) for row, border in zip(rows, borders, strict=True)
    ]
    outputs = [
        OutputVerdict(
            row.output,
            row.shape,
            region=_region(row, certificates[row.output], *between.get(row.name, ({}, True))),
        )
        for row in found
        if row.output is not None
    ]
    return verdict_of(subject, "scene", outputs, found, causes, notes=notes, seconds=seconds)


def _by_leaf(subject: Subject, borders: Sequence[Border]) -> list[tuple[Layer, Border]]:
    """The outputs in the order of the program's."""
    named = {x.output: (x, border) for x, border in zip(subject.layers, borders, strict=True)}
    return [named[name] for name in subject.program.output_names]


def _region(
    row: LayerVerdict,
    certificate: Mapping[str, Any] | None,
    between: Mapping[Shift, Word],
    exact: bool,
) -> RegionVerdict:
    """The words of the cells of an output."""
    border = row.border
    assert border is not None
    word = Word.UNDECIDED
    if border.proved and border.compared:
        word = Word.PROVED
    elif border.count(Word.REFUTED) == border.words.size:
        word = Word.REFUTED
    reason = ""
    if border.count(Word.UNDECIDED):
        reason = row.gone or "no scene that was tried tells these cells from the interior"
    return RegionVerdict(
        "equivariance" if row.has_grid else "invariance",
        "cells",
        border.words,
        np.ones(border.words.shape, bool),
        word,
        border.exact and exact,
        border.error,
        reason,
        between,
        certificate,
    )


# --- by the kernel ---


def _border(layer: Layer, subject: Subject, prover: SceneProver) -> Border:
    """What is proved of one layer along every axis."""
    graph, rank = prover.graph, len(subject.grid)
    value = layer.value if isinstance(layer.value, int) else None
    node = None if value is None else graph.nodes.get(value)
    is_fixed = value not in subject.program.from_images
    inside, reaches = np.ones(layer.grid_shape, bool), []
    for position in range(rank):
        found = None if node is None else prover.along(position)[node]
        reach = _reach(graph, found, layer, position, is_fixed=is_fixed)
        reaches.append(reach)
        if isinstance(found, Passage) and not reach.lost and reach.cells:
            places = np.arange(reach.size)
            kept = (places >= reach.low) & (places < reach.high)
            inside &= np.expand_dims(kept, [a for a in range(rank) if a != position])
    if any(reach.lost for reach in reaches):
        inside[:] = False
    words = np.where(inside, Word.PROVED, Word.UNDECIDED).astype(np.uint8)
    return Border(tuple(reaches), words, int(np.count_nonzero(inside)))


def _reach(
    graph: Graph, found: Passage | Lost | None, layer: Layer, position: int, *, is_fixed: bool
) -> Reach:
    size, field = layer.grid_shape[position], layer.fields[position]
    if is_fixed:
        return Reach(1, 0, 0, size, size, field, "", False)
    if found is None:
        return Reach(None, 0, 0, 0, size, field, "the kernel does not follow the value", False)
    if isinstance(found, Lost):
        gone = found.refusal.code == "interior"
        return Reach(None, 0, 0, 0, size, field, graph.told(found), gone)
    moving = [(axis, move) for axis, move in enumerate(found.moves) if move[0]]
    if not moving:  # it stays, whatever the window does
        return Reach(found.step, 0, 0, size, size, field, "", False)
    axis, (cells, low, high) = moving[0]
    if len(moving) > 1 or axis != layer.grid[position]:
        why = "its cells do not lie along the grid any more"
        return Reach(None, 0, 0, 0, size, field, why, False)
    return Reach(found.step, cells, low, high, size, field, "", False)


def _certificate(
    subject: Subject, graph: Graph, leaf: int, layer: Layer, border: Border
) -> Mapping[str, Any] | None:
    """A derivation for each axis along which the output moves; None where there is none, or nothing to compare."""
    axes = tuple(axis for axis in layer.grid if axis is not None)
    steps = [(position, reach) for position, reach in enumerate(border.reaches) if reach.cells]
    if not border.proved or not border.compared or not steps:
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
        weights_sha256=subject.weights_sha256,
        boundary="scene",
    )


# --- by the field ---


def _with_identities(
    subject: Subject, borders: Sequence[Border], *, exhaustive: bool
) -> tuple[list[Border], tuple[str, ...]]:
    """The interiors that the field sees, where these are larger, and notes.

    Raises:
        ContradictionError: the kernel proves cells to move that the field denies.
    """
    if is_large(subject.program) and not exhaustive:
        note = (
            "The model is large, so cells outside of the interior were not looked at: the border may reach fewer. "
            "Pass exhaustive=True."
        )
        return list(borders), (note,)
    known = [
        [
            (reach.step, reach.cells) if reach.step and reach.cells else None
            for reach in border.reaches
        ]
        for border in borders
    ]
    try:
        found = find_interiors(question_of(subject), subject.layers, known)
    except FieldError as reason:
        note = f"The field cannot run the program, so the border may reach fewer cells: {reason}."
        return list(borders), (note,)
    made = []
    for layer, border in zip(subject.layers, borders, strict=True):
        seen = found.by_name.get(layer.name)
        if seen is not None and not found.is_blind:
            _vote(subject, layer, border, seen)
        error = error_words(found.log2_error)
        made.append(border if seen is None else _widened(border, seen, error))
    return made, ()


def _vote(subject: Subject, layer: Layer, border: Border, seen: Interior) -> None:
    """Every pair of cells that the kernel proves to be alike must be so in the field."""
    inside = border.interior
    for axis, reach in enumerate(border.reaches):
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
                f"{subject.model.name}: cells of layer {layer.name} ({layer.site}) are proved by the kernel to move "
                f"by {reach.cells} with a step of {reach.step} pixels of the scene, and the field denies it. One of "
                "the two is wrong: this is a defect of shiftproof, please report it with the model."
            )


def _widened(border: Border, seen: Interior, error: str) -> Border:
    """The border with the interior that the field sees, where that is larger."""
    inside, (kept, cells) = seen.cells, border.left
    if seen.still.all() and kept < cells:
        reaches = [Reach(1, 0, 0, r.size, r.size, r.field, "", False) for r in border.reaches]
        words = np.full(border.words.shape, Word.PROVED, np.uint8)
        return dataclasses.replace(border, reaches=tuple(reaches), words=words, error=error)
    if int(np.count_nonzero(inside)) <= kept:
        return border
    reaches = []
    for axis, (reach, move) in enumerate(zip(border.reaches, seen.moves, strict=True)):
        rest = tuple(a for a in range(inside.ndim) if a != axis)
        (places,) = np.nonzero(np.any(inside, rest))
        low, high = int(places[0]), int(places[-1]) + 1
        step, cells = move or (reach.step, 0)
        reaches.append(Reach(step, cells, low, high, reach.size, reach.field, "", False))
    words = np.where(inside, Word.PROVED, Word.UNDECIDED).astype(np.uint8)
    return dataclasses.replace(border, reaches=tuple(reaches), words=words, error=error)


# --- on integer scenes ---


def _refuted(subject: Subject, borders: Sequence[Border], scenes: Scenes) -> list[Border]:
    """The borders with the cells that were seen to differ, and a stop where a proved one was."""
    pairs = list(zip(subject.layers, borders, strict=True))
    rank = range(len(subject.grid))
    found = scenes.cells({x.name: [_moves(x, border, p) for p in rank] for x, border in pairs})
    return [_with_seen(subject, x, border, found.get(x.name)) for x, border in pairs]


def _with_seen(subject: Subject, layer: Layer, border: Border, seen: Seen | None) -> Border:
    if seen is None:  # a batch of several images has no such layer
        return border
    claimed = border.interior & border.proved & border.compared
    if np.any(claimed & seen.differs):
        cell = tuple(int(i) for i in np.argwhere(claimed & seen.differs)[0])
        raise ContradictionError(
            f"{subject.model.name}: cell {cell} of layer {layer.name} ({layer.site}) is proved to move with the "
            "scene, and does not on integer scenes: please report a bug, with the model."
        )
    words = border.words.copy()
    words[seen.differs & ~border.interior] = Word.REFUTED
    return dataclasses.replace(border, words=words, exact=seen.exact)


def _moves(layer: Layer, border: Border, position: int) -> Moves | None:
    """How a layer moves along one axis; None where nothing can be compared."""
    reach, axis, jump = border.reaches[position], layer.grid[position], layer.strides[position]
    if axis is None or (not reach.lost and not reach.cells):
        return Moves(1, 0, None, None)
    if reach.step and reach.cells and border.proved and border.compared:
        return Moves(reach.step, reach.cells, axis, border.interior)
    if not jump:
        return None
    cells = jump.denominator * (1 if jump > 0 else -1)
    return Moves(abs(jump.numerator), cells, axis, None)


def _between(
    subject: Subject, borders: Sequence[Border], scenes: Scenes
) -> dict[str, tuple[dict[Shift, Word], bool]]:
    """For every output that moves, by its layer's name, the words of shifts between its steps, and if exactly."""
    interiors = {
        layer.name: (tuple(reach.step or 1 for reach in border.reaches), border.interior)
        for layer, border in zip(subject.layers, borders, strict=True)
        if layer.output is not None and border.moving
    }
    if not any(step > 1 for steps, _ in interiors.values() for step in steps):
        return {}
    return {
        name: ({s: Word.REFUTED if no else Word.UNDECIDED for s, no in found.items()}, exact)
        for name, (found, exact) in scenes.between(interiors).items()
    }
