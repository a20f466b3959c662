"""The store of a running sweep: finished chunks on disk, so that a killed sweep goes on where it was.

`plan.json` says which question is asked. Each chunk is one file, written atomically: a line with its number, the plan
it belongs to and the sha256 of what follows, then its arrays. A resumed sweep must ask the same question; every
difference is named.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from shiftproof.errors import DamagedChunkWarning, ResumeError
from shiftproof.files import write_atomic

PLAN_SCHEMA = "shiftproof.plan/1"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The question a sweep answers, as far as its chunks depend on it.

    Attributes:
        schema: of this record.
        question: what must agree on resume: model, weights, images, grid, dtype, versions, ...
        chunk: shifts per chunk, shift 0 included; a resumed sweep keeps the stored one.
    """

    schema: str
    question: dict[str, str]
    chunk: int

    @property
    def digest(self) -> str:
        """sha256 that every chunk carries."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class _ChunkHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    plan: str
    sha256: str


class Store:
    """Finished chunks of one sweep under one folder."""

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.plan_file = self.directory / "plan.json"
        self.chunks = self.directory / "chunks"

    def open(self, plan: Plan, *, resume: bool) -> Plan:
        """Begin a sweep, or go on with a stored one; returns the plan to follow.

        Raises:
            ResumeError: something is stored and `resume` is False, or it answers another question.
        """
        if not self.plan_file.exists():
            self.begin(plan)
            return plan
        if not resume:
            raise ResumeError(
                f"{self.directory} already holds a sweep. Go on with it by --resume (resume=True), or choose "
                "another folder."
            )
        stored = self._read_plan()
        differences = [
            f"{key}: stored {stored.question.get(key, 'nothing')}, now {plan.question.get(key, 'nothing')}"
            for key in sorted(stored.question.keys() | plan.question.keys())
            if stored.question.get(key) != plan.question.get(key)
        ]
        if differences:
            raise ResumeError(
                f"{self.directory} holds a sweep of another question, so it cannot be resumed. "
                f"{'; '.join(differences)}. Choose another folder, or restore what changed."
            )
        return stored

    def begin(self, plan: Plan) -> None:
        """Write down the plan that all chunks will follow."""
        write_atomic(self.plan_file, msgspec.json.format(msgspec.json.encode(plan), indent=2))

    @property
    def holds_chunks(self) -> bool:
        """Whether some chunk was finished."""
        return any(self.chunks.glob("*.chunk"))

    def _read_plan(self) -> Plan:
        try:
            plan = msgspec.json.decode(self.plan_file.read_bytes(), type=Plan)
        except msgspec.DecodeError as error:
            raise ResumeError(
                f"{self.plan_file} is damaged ({error}), so nothing says what its chunks belong to. Delete the folder "
                "and sweep again."
            ) from error
        if plan.schema != PLAN_SCHEMA:
            raise ResumeError(
                f"{self.plan_file} has schema {plan.schema!r}; this version reads {PLAN_SCHEMA!r}."
            )
        return plan

    def path(self, index: int) -> Path:
        """The file of a chunk."""
        return self.chunks / f"{index:06d}.chunk"

    def write(self, plan: Plan, index: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Store one finished chunk."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        payload = buffer.getvalue()
        header = _ChunkHeader(index, plan.digest, hashlib.sha256(payload).hexdigest())
        write_atomic(self.path(index), msgspec.json.encode(header) + b"\n" + payload)

    def read(self, plan: Plan, index: int) -> dict[str, np.ndarray] | None:
        """A stored chunk, or None where it is missing or damaged.

        Warns:
            DamagedChunkWarning: the file is truncated or altered, or belongs to another plan.
        """
        path = self.path(index)
        if not path.exists():
            return None
        head, _, payload = path.read_bytes().partition(b"\n")
        try:
            header = msgspec.json.decode(head, type=_ChunkHeader)
        except msgspec.DecodeError:
            header = None
        expected = _ChunkHeader(index, plan.digest, hashlib.sha256(payload).hexdigest())
        if header != expected:
            warnings.warn(
                f"{path} was truncated or altered (its sha256 does not fit); it is computed again.",
                DamagedChunkWarning,
                stacklevel=3,
            )
            return None
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
