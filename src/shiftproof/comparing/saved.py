"""Saved verdicts: the part of a verdict's JSON that is compared, read strictly."""

import math
from pathlib import Path
from typing import Literal

import msgspec

from shiftproof.deciding.verdict import SCHEMA, Verdict
from shiftproof.errors import InputError, ResultFileError, ShiftproofError
from shiftproof.files import plain_json
from shiftproof.group import Failing, Lattice

MOST_BYTES = 2**26
"""A longer file is not read."""

MOST_SHIFTS = 2**26
"""A verdict on a larger grid is not read."""

Question = Literal["equivariance", "invariance"]


class SavedCounterexample(msgspec.Struct, frozen=True):
    """A shift that is refuted by itself."""

    shift: tuple[int, ...]


class SavedEvidence(msgspec.Struct, frozen=True):
    """The counterexamples of a property."""

    witnesses: list[SavedCounterexample]


class SavedProperty(msgspec.Struct, frozen=True):
    """A property on the torus: its lattice, counts and counterexamples."""

    lattice: list[tuple[int, ...]]
    proved: int
    refuted: int
    refuted_numerically: int
    undecided: int
    law: str | None
    evidence: SavedEvidence


class SavedRegion(msgspec.Struct, frozen=True):
    """An output on a scene or a background: counts alone."""

    property: Question
    unit: Literal["cells", "places"]
    word: Literal["proved", "refuted", "undecided"]
    total: int
    proved: int
    refuted: int
    undecided: int


class SavedOutput(msgspec.Struct, frozen=True):
    """An output, and what was asked about it."""

    name: str
    equivariance: SavedProperty | None
    invariance: SavedProperty | None
    region: SavedRegion | None = None


class SavedBorder(msgspec.Struct, frozen=True):
    """A layer on a scene."""

    interior_cells: int


class SavedPlaces(msgspec.Struct, frozen=True):
    """A layer on a background."""

    proved: int


class SavedLayer(msgspec.Struct, frozen=True):
    """A row of the layer table."""

    name: str
    source: str
    steps: tuple[int, ...] | None
    identities: int | None = None
    border: SavedBorder | None = None
    places: SavedPlaces | None = None


class SavedCause(msgspec.Struct, frozen=True):
    """Why a layer keeps fewer shifts, and the repair."""

    layer: str
    words: str
    repair: str


class SavedVerdict(msgspec.Struct, frozen=True):
    """A verdict; other fields of the file are skipped."""

    schema: str
    model: str
    grid: tuple[int, ...]
    boundary: str
    weights: str
    outputs: list[SavedOutput]
    layers: list[SavedLayer]
    causes: list[SavedCause]
    object: tuple[int, ...] | None = None


def read_verdict(source: Verdict | str | Path) -> SavedVerdict:
    """The part of a verdict that is compared, in which everything fits together.

    Raises:
        ResultFileError: the file is no verdict, or its counts do not fit together.
        OSError: it cannot be read.
    """
    if isinstance(source, Verdict):
        return _decoded(plain_json(source.to_dict()), source.model)
    if not isinstance(source, (str, Path)):
        raise InputError(f"a Verdict, or the path of its file, is compared; got {source!r}.")
    with Path(source).open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ResultFileError(f"{source} is longer than {MOST_BYTES:,} bytes, and is not read.")
    return _decoded(content, str(source))


def _decoded(content: bytes, name: str) -> SavedVerdict:
    try:
        saved = msgspec.json.decode(content, type=SavedVerdict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultFileError(
            f"{name} is no verdict: {error}. Write one by shiftproof verify --json, or by --out."
        ) from error
    if saved.schema != SCHEMA:
        raise ResultFileError(f"{name} has the schema {saved.schema!r}; {SCHEMA!r} is needed.")
    grid = saved.grid
    if not grid or min(grid) < 1 or math.prod(grid) > MOST_SHIFTS:
        raise ResultFileError(f"{name} has the grid {grid}, which is none that is compared.")
    for output in saved.outputs:
        for found in (output.equivariance, output.invariance):
            if found is not None and not _fits(found, grid):
                raise ResultFileError(
                    f"{name}: the counts of {output.name} do not fit its lattice and counterexamples."
                )
    for layer in saved.layers:
        if layer.steps is not None and not (
            len(layer.steps) == len(grid)
            and all(0 < step <= n for step, n in zip(layer.steps, grid, strict=True))
        ):
            raise ResultFileError(
                f"{name}: the steps of the layer {layer.name} are none of {grid}."
            )
    return saved


def _fits(found: SavedProperty, grid: tuple[int, ...]) -> bool:
    """Whether the counts are those of the lattice and the counterexamples."""
    try:
        failing = failing_of(found, grid)
        refuted = failing.count
    except (ShiftproofError, OverflowError):
        return False
    stated = found.refuted + found.refuted_numerically
    proved = failing.lattice.count
    return (found.proved, stated, found.undecided) == (
        proved,
        refuted,
        math.prod(grid) - proved - refuted,
    )


def failing_of(found: SavedProperty, grid: tuple[int, ...]) -> Failing:
    """The shifts that are refuted.

    Raises:
        InputError: the lattice has other axes than the grid.
    """
    lattice = Lattice(grid, tuple(found.lattice))
    known = [
        tuple(s % n for s, n in zip(one.shift, grid, strict=True))
        for one in found.evidence.witnesses
        if len(one.shift) == len(grid)
    ]
    return Failing(lattice, tuple(known))
