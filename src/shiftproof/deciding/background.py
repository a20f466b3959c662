"""Backgrounds: an object at every place of an empty image; at which of them does every layer just move with it?

A layer moves with the object where its value is that of the central place, moved, in every cell; what enters is what
the layer answers to an empty image. Places are proved by the field, for all objects of the size and all weights, and
refuted by integer objects. A zero-padded network moves with an object as long as the answer does not reach the border.
"""

import dataclasses
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.region import Places, RegionVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.subject import Subject, question_of, timed
from shiftproof.deciding.verdict import OutputVerdict, Verdict, verdict_of
from shiftproof.deciding.words import Word
from shiftproof.errors import ContradictionError, InexactWarning
from shiftproof.exactness.probes import integer_images
from shiftproof.group import Background
from shiftproof.proving.causes import Cause
from shiftproof.proving.identity import error_words
from shiftproof.proving.layers import Layer
from shiftproof.proving.windows import Placed, find_placed, output_shift
from shiftproof.sweeping.placements import Placements, placements
from shiftproof.sweeping.result import Status
from shiftproof.tracing.settings import settings

OBJECTS = 4
"""So many integer objects, and their negatives, are moved about."""

AFFORDABLE = 2**26
"""Cells that are computed in the field, at most, unless all places are asked for in spite of the time that takes."""


def decide_background(
    subject: Subject,
    rows: Sequence[LayerVerdict],
    causes: Sequence[Cause],
    *,
    object: Sequence[int] | None = None,
    exhaustive: bool = False,
    refute: bool = True,
) -> Verdict:
    """Where a model just moves with an object on an empty background.

    Args:
        subject: the traced model.
        rows: what is known of its layers on the torus, and
        causes: why.
        object: its sizes; a quarter of the image by default.
        exhaustive: try every place of a large model too.
        refute: whether counterexamples are sought.

    Raises:
        InputError: the object does not fit.
        ContradictionError: field and the compiled program do not agree.
    """
    sizes = tuple(max(1, n // 4) for n in subject.grid) if object is None else tuple(object)
    boundary, seconds = Background.of(subject.grid, sizes), dict(subject.seconds)
    found: Mapping[str, Placed] = {}
    seen, error, notes = None, "", []
    if exhaustive or is_affordable(subject, boundary):
        with timed(seconds, "identities"), settings(subject.dtype):
            try:
                found, log2_error = find_placed(question_of(subject), subject.layers, sizes)
                error = error_words(log2_error)
            except FieldError as reason:
                notes.append(f"The field cannot run the program, so nothing is proved: {reason}.")
        if refute:
            with timed(seconds, "witnesses"):
                seen = _seen(subject, sizes)
    else:
        notes.append("The model is large, so no places were tried. Pass exhaustive=True.")
    made = [
        dataclasses.replace(row, places=_places(subject, layer, boundary, found, seen, error))
        for layer, row in zip(subject.layers, rows, strict=True)
    ]
    outputs = [
        OutputVerdict(row.output, row.shape, region=_region(row))
        for row in made
        if row.output is not None
    ]
    return verdict_of(
        subject, "background", outputs, made, causes, notes=notes, seconds=seconds, object=sizes
    )


def is_affordable(subject: Subject, boundary: Background) -> bool:
    """Whether all places together take seconds, and no more."""
    program = subject.program
    cells = sum(math.prod(program.avals[n].shape) for n in program.from_images)
    return cells * math.prod(map(len, boundary.ranges)) <= AFFORDABLE


def _seen(subject: Subject, object: Sequence[int]) -> Placements:
    """Integer objects at every place."""
    shape = list(subject.shape)
    for axis, size in zip(subject.image_axes, object, strict=True):
        shape[axis] = size
    objects = integer_images(tuple(shape), count=OBJECTS, seed=subject.seed)
    objects[0][objects[0] == 0] = 1  # so that they are as large as was asked
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InexactWarning)  # what is not exact is told apart
        return placements(
            subject.model,
            np.concatenate([objects, -objects]),  # minima see one half, maxima the other
            canvas=subject.grid,
            spatial_axes=subject.image_axes,
            output_axes=subject.output_axes,
            weights=subject.drawn,
            seed=subject.seed,
        )


def _places(
    subject: Subject,
    layer: Layer,
    boundary: Background,
    found: Mapping[str, Placed],
    seen: Placements | None,
    error: str,
) -> Places:
    """The words of one layer.

    Raises:
        ContradictionError: a place is proved, and integer objects refute it.
    """
    rooms = tuple(map(len, boundary.ranges))
    shifts = itertools.product(*boundary.ranges)
    asked = np.array([output_shift(layer, shift) is not None for shift in shifts]).reshape(rooms)
    words = np.full(rooms, Word.UNDECIDED, np.uint8)
    placed = found.get(layer.name)
    constant = not isinstance(layer.value, int) or layer.value not in subject.program.from_images
    if constant:
        words[asked] = Word.PROVED  # it does not depend on the image
    elif placed is not None:
        words[placed.places & asked] = Word.PROVED
    names = [] if seen is None else [record.name for record in seen.layers]
    differs, exact = np.zeros(rooms, bool), True
    if seen is not None and layer.name in names:
        number = names.index(layer.name)
        record = seen.layers[number]
        status = seen.sweep.status("equivariance" if record.has_grid else "invariance", number)
        differs, exact = status == Status.DIFFERS, record.exact
    if np.any(differs & (words == Word.PROVED)):
        place = tuple(int(i) for i in np.argwhere(differs & (words == Word.PROVED))[0])
        raise ContradictionError(
            f"{subject.model.name}: layer {layer.name} ({layer.site}) is proved to just move with every object at "
            f"{place}, and does not for an integer one: please report a bug, with the model."
        )
    words[differs & asked] = Word.REFUTED
    cells = np.full(layer.grid_shape, constant) if placed is None else placed.cells
    return Places(
        words,
        asked,
        cells,
        constant or (placed is not None and placed.constant),
        exact,
        "" if placed is None else placed.blind,
        error if placed is not None and np.any(placed.places) else "",
    )


def _region(row: LayerVerdict) -> RegionVerdict:
    """The words of the places of an object, for an output."""
    found = row.places
    assert found is not None
    word = Word.UNDECIDED
    if found.count(Word.PROVED) == found.total:
        word = Word.PROVED
    elif found.count(Word.REFUTED):
        word = Word.REFUTED
    reason = "no object that was tried tells it from the central place"
    if found.blind:
        reason = f"the field does not look inside {found.blind}, and {reason}"
    return RegionVerdict(
        "equivariance" if row.has_grid else "invariance",
        "places",
        found.words,
        found.asked,
        word,
        found.exact,
        found.error,
        reason if found.count(Word.UNDECIDED) else "",
    )
