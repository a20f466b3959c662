"""The cache of evidence: what decided a question before is a hint, and is checked again before it counts.

An entry holds no verdict. It holds the steps of the kernel's derivations, which the kernel takes again on the graph of
the freshly traced program, and counterexamples, which are run again on the freshly compiled one. So neither an altered
file nor a wrong key can make a false claim pass; at worst the question is decided anew. What an answer from the
cache does not repeat is the search, and the comparison of each proof with the compiled program: that was done when
the entry was written, by the same versions, on the same program.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np

from shiftproof.deciding.subject import Subject, graph_of
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.errors import ShiftproofError
from shiftproof.files import write_atomic
from shiftproof.group import Failing, Lattice, Shift
from shiftproof.provenance import provenance
from shiftproof.proving.analysis import Claim
from shiftproof.proving.certify import certificate_of, needed_part
from shiftproof.refuting.counterexample import (
    Counterexample,
    from_witness,
    load_counterexample,
    replay,
)
from shiftproof_kernel import Program, Refusal

SCHEMA = "shiftproof.cache/1"
EVIDENCE = "evidence.json"
MOST_BYTES = 2**24
"""Of a longer file of evidence nothing is decoded."""

Steps = list[tuple[tuple[int, ...], list[list[int]]]]
"""For each generator the shift, and the rolls chosen for constants: all that a derivation leaves open."""


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of an entry.

    Attributes:
        schema: `shiftproof.cache/1`.
        steps: by claim, the derivations of its generators.
        counterexamples: by claim, how many files hold counterexamples.
    """

    schema: str
    steps: list[Steps]
    counterexamples: list[int]


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """What a cache answered: every claim has the words that were wanted, on evidence that was checked again.

    Attributes:
        model: its name.
        claims: one per output.
        words: (n1, ..., nd) of `Word`; undecided where nothing was asked.
    """

    model: str
    claims: tuple[Claim, ...]
    words: np.ndarray


class Entry:
    """The place of one question in a cache.

    Args:
        directory: of the cache.
        subject: the traced model.
        claims: what is asked of it.
    """

    def __init__(self, directory: str | Path, subject: Subject, claims: Sequence[Claim]) -> None:
        self.subject, self.claims = subject, tuple(claims)
        self.folder = Path(directory) / _key(subject, claims)

    def confirm(self, wanted: np.ndarray) -> Confirmed | None:
        """The answer where every claim has the words that are wanted; None where it must be decided anew.

        Args:
            wanted: (n1, ..., nd) of `Word`; shifts marked undecided are not asked about.
        """
        evidence = self._read()
        if evidence is None:
            return None
        program = graph_of(self.subject).program
        for number, claim in enumerate(self.claims):
            proved = self._proved(program, claim, evidence.steps[number])
            if proved is None or not np.all(proved.mask()[wanted == Word.PROVED]):
                return None
            if np.any(wanted == Word.REFUTED):
                shifts = self._refuted(claim, number, evidence.counterexamples[number])
                if not np.all(Failing(proved, tuple(shifts)).mask()[wanted == Word.REFUTED]):
                    return None
        return Confirmed(self.subject.model.name, self.claims, wanted)

    def _read(self) -> Evidence | None:
        """The file; None where there is none that fits."""
        try:
            with (self.folder / EVIDENCE).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                return None
            evidence = msgspec.json.decode(content, type=Evidence)
        except (OSError, msgspec.DecodeError):
            return None
        fits = len(evidence.steps) == len(evidence.counterexamples) == len(self.claims)
        return evidence if evidence.schema == SCHEMA and fits else None

    def _proved(self, program: Program, claim: Claim, steps: Steps) -> Lattice | None:
        """The shifts that the kernel proves by these steps; None where it refuses them."""
        grid, shifts = self.subject.grid, [shift for shift, _ in steps]
        if steps:
            try:
                certificate_of(
                    needed_part(program, claim.leaf)[0],
                    claim,
                    grid,
                    [(shift, {row[0]: row[1:] for row in rows}) for shift, rows in steps],
                    weights_sha256=self.subject.weights_sha256,
                )
            except (Refusal, IndexError):
                return None
        return Lattice(grid, tuple(shifts))

    def _refuted(self, claim: Claim, number: int, count: int) -> list[Shift]:
        """The shifts whose counterexamples fail again on the compiled program."""
        found = []
        for index in range(count):
            try:
                example = load_counterexample(self.folder / _name(number, index))
                if not self._fits(example, claim):
                    continue
                again = replay(
                    example,
                    self.subject.model,
                    spatial_axes=self.subject.image_axes,
                    output_axes=self.subject.output_axes,
                )
                if again.reproduced:
                    found.append(example.header.shift)
            except FileNotFoundError:
                break  # however many the file says that there are
            except (OSError, ValueError, ShiftproofError):
                continue
        return found

    def _fits(self, example: Counterexample, claim: Claim) -> bool:
        """Whether a file is about this claim, these weights and images such as the model takes."""
        h, subject = example.header, self.subject
        return (
            Claim(h.output, h.leaf, h.property, h.axes, h.sizes, h.law) == claim
            and h.spatial_axes == subject.image_axes
            and len(h.shift) == len(subject.grid)
            and (subject.weights == "all" or h.draw == "these")
            and h.dtype in ("float32", "float64")
            and example.images.shape[1:] == subject.shape
            and bool(np.all(np.isfinite(example.image)))
        )

    def keep(self, verdict: Verdict) -> None:
        """Write what a verdict rests on, if it has something to be confirmed by.

        A verdict with notes is not kept, so that they are told in every run; nor is one on a program that calls back
        to Python, of which nothing tells whether it is the same program; nor one that refutes numerically.

        Raises:
            OSError: the folder cannot be written.
        """
        numerically = any(not witness.is_rigorous for witness in verdict.witnesses)
        if verdict.notes or self.subject.program.calls_python or numerically:
            return
        found = [v for output in verdict.outputs for v in output.properties]
        by_claim = {v.claim: v for v in found}
        ordered = [by_claim[claim] for claim in self.claims]
        for number, one in enumerate(ordered):
            for index, witness in enumerate(one.witnesses):
                example = from_witness(
                    witness, model=verdict.model, spatial_axes=verdict.spatial_axes
                )
                example.save(self.folder / _name(number, index))
        evidence = Evidence(
            SCHEMA,
            [_steps(one.certificate) for one in ordered],
            [len(one.witnesses) for one in ordered],
        )
        write_atomic(self.folder / EVIDENCE, msgspec.json.encode(evidence))


def _steps(certificate: Mapping[str, Any] | None) -> Steps:
    generators = certificate["generators"] if certificate else ()
    return [(tuple(entry["shift"]), entry["choices"]) for entry in generators]


def _name(claim: int, index: int) -> str:
    return f"{claim}.{index}.counterexample.npz"


def _key(subject: Subject, claims: Sequence[Claim]) -> str:
    """The name of a question: the program, everything that is asked of it, and the versions that ran it."""
    question = {
        "schema": SCHEMA,
        "program": subject.program.fingerprint,
        "shape": subject.shape,
        "axes": subject.axes,
        "weights": subject.weights,
        "weights_sha256": subject.weights_sha256,
        "opaque": sorted(subject.opaque),
        "seed": subject.seed,
        "claims": claims,
        "provenance": provenance(jax.local_devices()[0], subject.model.door.package),
    }
    return hashlib.sha256(msgspec.json.encode(question, order="sorted")).hexdigest()
