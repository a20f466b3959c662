"""What is decided: a traced model, and everything that is asked of it but the claims."""

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from shiftproof.progress import tell_stage
from shiftproof.proving.graph import Graph, build_graph
from shiftproof.proving.identity import Identities
from shiftproof.proving.layers import Layer
from shiftproof.proving.runs import Question
from shiftproof.tracing.model import Model
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import Program, hash_array

Weights = Literal["all", "these"]


@dataclasses.dataclass(frozen=True)
class Subject:
    """A traced model and everything that is asked of it but the claims.

    Attributes:
        model: the adapted model.
        shape: of one image.
        axes: grid axes of a batch.
        traced: the program as the user's code gave it.
        program: the same in float64, where it can be widened to that; all claims are about it.
        arrays: the model's own weights, for `program`.
        dtype: what `program` computes in.
        layers: of the program, outputs last.
        weights: `all` or `these`.
        images: to be tried first.
        seed: of probes and drawn weights.
        search_seconds: that the search for counterexamples may take.
        seconds: what each stage took.
        notes: what a reader should know already.
        output_axes: grid axes of the batched outputs, where the user gave them.
    """

    model: Model
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    traced: Program
    program: Program
    arrays: list[Any]
    dtype: str
    layers: tuple[Layer, ...]
    weights: Weights
    images: np.ndarray | None
    seed: int
    search_seconds: float
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    output_axes: Sequence[int] | None = None

    @property
    def opaque(self) -> frozenset[int]:
        """The numbers of the weights that stand for any values."""
        free = zip(self.program.weights, self.model.opaque, strict=True)
        return frozenset(n for n, opaque in free if opaque and self.weights == "all")

    @property
    def drawn(self) -> Literal["integers", "these"]:
        """Which weights a sweep takes to refute: drawn ones, where any will do and there are some."""
        return "integers" if self.weights == "all" and any(self.model.replaceable) else "these"

    @property
    def weights_sha256(self) -> str:
        """The hash of the weights, and of the program that holds all else; "" where any weights will do."""
        if self.weights == "all":
            return ""
        hashes = b"".join(hash_array(array) for array in self.arrays)
        return hashlib.sha256(self.program.fingerprint.encode() + hashes).hexdigest()

    @property
    def image_axes(self) -> tuple[int, ...]:
        """Grid axes of one image; `axes` are those of a batch."""
        return tuple(axis - 1 for axis in self.axes)

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        return tuple(self.shape[axis] for axis in self.image_axes)


def graph_of(subject: Subject, ties: Sequence[str] = ("canonical",)) -> Graph:
    """The kernel's program of a traced model.

    Args:
        subject: the model.
        ties: of polyphase layers that are selections, as in `build_graph`.
    """
    with settings(subject.dtype):
        return build_graph(
            subject.program,
            subject.arrays,
            opaque=subject.opaque,
            spatial_axes=subject.axes,
            ties=ties,
        )


def question_of(subject: Subject) -> Question:
    """What the field is asked about a traced model."""
    return Question(subject.program, subject.arrays, subject.opaque, subject.axes, subject.seed)


def identities_of(subject: Subject) -> Identities:
    """The field on a traced model."""
    with settings(subject.dtype):
        return Identities(question_of(subject))


STAGES = {
    "trace": "tracing the model",
    "analysis": "proving",
    "identities": "trying shifts in the field",
    "witnesses": "searching for counterexamples",
    "certificates": "checking certificates",
}
"""What a line of progress says of a stage."""


class timed:
    """Adds the seconds spent inside to an entry, and says what is done in the line of progress."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage

    def __enter__(self) -> None:
        tell_stage(STAGES[self.stage])
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self.start
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + spent
