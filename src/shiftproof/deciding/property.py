"""Properties on the torus: one of three words for every shift of the grid, and the evidence behind each.

`proved` holds for all inputs, `refuted` fails on a counterexample that is kept, `undecided` is neither and says why.
Few shifts carry direct evidence; the others follow because the shifts that keep a property form a group. Evidence is
counted apart: what a certificate proves, and what is proved by an identity in the field, with its error bound.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shiftproof.deciding.words import Word, refuted_words
from shiftproof.display import Displayed
from shiftproof.errors import InputError
from shiftproof.group import Failing, Lattice, Shift
from shiftproof.proving.analysis import Claim
from shiftproof.proving.identity import Evidence as Identity
from shiftproof.proving.polyphase import Conditional
from shiftproof.refuting.witness import Witness


@dataclasses.dataclass(frozen=True)
class Proof:
    """A generator of the lattice.

    Attributes:
        shift: of the image, pixels.
        output_shift: by how many cells the output moves; `()` for invariance.
        method: `kernel` (a derivation that the kernel replays) or `identity` (decided in the field).
    """

    shift: Shift
    output_shift: Shift
    method: str


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Why a shift has its word.

    Attributes:
        word: proved, refuted or undecided.
        shift: the shift asked about, reduced mod the grid.
        text: one sentence.
        by: `certificate`, `identity` or `counterexample`; "" where the shift is undecided.
        multiple: for a refuted shift the k, and
        offset: the l in the lattice, such that k Δ + l is the shift of
        witness: the counterexample; None elsewhere.
    """

    word: Word
    shift: Shift
    text: str
    by: str = ""
    multiple: int = 1
    offset: Shift = ()
    witness: Witness | None = None


@dataclasses.dataclass(frozen=True)
class PropertyVerdict(Displayed):
    """The verdict on one property of one output, for every shift.

    Attributes:
        claim: output, property, its grid axes and law.
        lattice: the proved shifts.
        proofs: of the generators.
        witnesses: the counterexamples, by shift.
        reasons: for shifts that stay undecided, why no proof was found.
        probes: how many images were tried in search of a counterexample, by shift.
        vacuous: whether the proofs would hold of a broken program too, so that they say nothing.
        certificate: what the kernel replays; None where it proves shift 0 alone.
        identity: evidence of the field; None where the kernel suffices.
        conditional: what polyphase layers keep beside what is proved, as for images without ties; None where that is
            nothing.
    """

    claim: Claim
    lattice: Lattice
    proofs: tuple[Proof, ...]
    witnesses: tuple[Witness, ...]
    reasons: Mapping[Shift, str]
    probes: Mapping[Shift, int]
    vacuous: bool
    certificate: Mapping[str, Any] | None
    identity: Identity | None
    conditional: Conditional | None = None

    def __str__(self) -> str:
        doubt = f" ({self.undecided} undecided)" if self.undecided else ""
        if self.by_identity:
            doubt = f" ({self.identity_text}){doubt}"
        if self.conditional is not None:
            doubt += f"; {self.conditional}"
        return f"{self.proved}/{self.total} {self.lattice}{doubt}"

    def __repr__(self) -> str:
        return (
            f"PropertyVerdict({self.claim.property} of {self.claim.output}: proved {self.proved}/{self.total} "
            f"({self.lattice}), refuted {self.refuted_text}, undecided {self.undecided})"
        )

    @property
    def total(self) -> int:
        """Number of shifts."""
        return math.prod(self.lattice.grid)

    @property
    def proved(self) -> int:
        """Number of proved shifts."""
        return self.lattice.count

    @property
    def words(self) -> set[Word]:
        """The words that some shift has."""
        counts = self.proved, self._failing.count, self.undecided
        return {
            w for w, n in zip((Word.PROVED, Word.REFUTED, Word.UNDECIDED), counts, strict=True) if n
        }

    @property
    def refuted(self) -> int:
        """Number of shifts that are refuted rigorously: exactly, or by enclosures of the real outputs."""
        return self._failing_rigorously.count

    @property
    def refuted_numerically(self) -> int:
        """Number of shifts that only a numerical counterexample refutes: rounding was measured, not bounded."""
        return self._failing.count - self.refuted

    @functools.cached_property
    def _failing(self) -> Failing:
        return Failing(self.lattice, tuple(witness.shift for witness in self.witnesses))

    @functools.cached_property
    def _failing_rigorously(self) -> Failing:
        known = tuple(witness.shift for witness in self.witnesses if witness.is_rigorous)
        return self._failing if known == self._failing.known else Failing(self.lattice, known)

    @functools.cached_property
    def map(self) -> np.ndarray:
        """(n1, ..., nd) of `Word`, made when it is first looked at."""
        return words_of(self._failing)

    @functools.cached_property
    def numerical_map(self) -> np.ndarray:
        """(n1, ..., nd) bool: the shifts that only a numerical counterexample refutes."""
        return self._failing.mask() & ~self._failing_rigorously.mask()

    @property
    def refuted_text(self) -> str:
        """How many shifts are refuted, those refuted numerically apart."""
        return refuted_words(self.refuted, self.refuted_numerically)

    @property
    def undecided(self) -> int:
        """Number of undecided shifts."""
        return self.total - self.proved - self._failing.count

    @property
    def by_identity(self) -> int:
        """Number of proved shifts that no certificate proves: they are identities in the field."""
        return self.proved - self.certified

    @property
    def certified(self) -> int:
        """Number of shifts that the certificate alone proves, shift 0 included."""
        return self.certified_lattice.count

    @functools.cached_property
    def certified_lattice(self) -> Lattice:
        """The shifts that the certificate alone proves."""
        kernel = (proof.shift for proof in self.proofs if proof.method == "kernel")
        return Lattice(self.lattice.grid, tuple(kernel))

    @property
    def identity_text(self) -> str:
        """How many shifts are proved by identity, and the error bound; "" where none is."""
        if self.identity is None:
            return ""
        return f"{self.by_identity} by identity, {self.identity.error}"

    @functools.cached_property
    def certified_map(self) -> np.ndarray:
        """(n1, ..., nd) of `Word`: what the certificate and the counterexamples say without any identity."""
        return words_of(Failing(self.certified_lattice, self._failing.known))

    def word(self, shift: Sequence[int]) -> Word:
        """The word for one shift."""
        if shift in self.lattice:
            return Word.PROVED
        return Word.REFUTED if shift in self._failing else Word.UNDECIDED

    def evidence(self, shift: Sequence[int]) -> Evidence:
        """The evidence for one shift.

        Args:
            shift: pixels, one per grid axis; reduced mod the grid.
        """
        grid = self.lattice.grid
        if len(shift) != len(grid):
            raise InputError(f"a shift of the grid {grid} has {len(grid)} steps; got {shift}.")
        asked = tuple(int(s) % n for s, n in zip(shift, grid, strict=True))
        word = self.word(asked)
        if word is Word.PROVED:
            certified = asked in self.certified_lattice
            by = "certificate" if certified else "identity"
            return Evidence(word, asked, self._proof_text(asked, certified=certified), by)
        if word is Word.UNDECIDED:
            return Evidence(word, asked, self.reason(asked))
        # a rigorous witness for a multiple says more than a numerical one for the shift itself
        steps = itertools.product((True, False), range(1, self.lattice.order(asked)))
        for rigorous, multiple in steps:
            reached = tuple(multiple * s % n for s, n in zip(asked, grid, strict=True))
            for witness in self.witnesses:
                if witness.is_rigorous != rigorous:
                    continue
                gap = zip(witness.shift, reached, grid, strict=True)
                offset = tuple((g - r) % n for g, r, n in gap)
                if offset in self.lattice:
                    certified = offset in self.certified_lattice
                    text = _refuted_text(asked, multiple, offset, witness, certified=certified)
                    return Evidence(word, asked, text, "counterexample", multiple, offset, witness)
        raise AssertionError("a refuted shift has a witness")

    def _proof_text(self, shift: Shift, *, certified: bool) -> str:
        if not any(shift):
            return "shift 0 changes nothing."
        bound = "" if self.identity is None else f", {self.identity.error}"
        direct = next((proof for proof in self.proofs if proof.shift == shift), None)
        if direct is not None:
            moved = f", the output moves by {direct.output_shift}" if direct.output_shift else ""
            how = "derived by the kernel" if certified else f"an identity in the field{bound}"
            return f"{how}{moved}."
        used = [proof for proof in self.proofs if proof.method == "kernel" or not certified]
        shifts = ", ".join(str(proof.shift) for proof in used)
        ends = "" if certified else f"; an identity in the field{bound}"
        return f"composed of the proved shifts {shifts}{ends}."

    def reason(self, shift: Shift) -> str:
        """Why a shift is undecided."""
        known, tried = self.reasons.get(shift), self.probes.get(shift, 0)
        if known is None:
            known = next(
                (f"as for {other}, {why}" for other, why in self.reasons.items()),
                "no proof was found",
            )
        return f"{known}; {tried} images were tried under this shift, and none refutes it."

    def to_dict(self) -> dict[str, Any]:
        """Counts, lattice and evidence as plain data."""
        return {
            "lattice": [list(row) for row in self.lattice.basis],
            "proved": self.proved,
            "refuted": self.refuted,
            "refuted_numerically": self.refuted_numerically,
            "undecided": self.undecided,
            "law": self.claim.law if self.claim.property == "equivariance" else None,
            "conditional": None if self.conditional is None else self.conditional.to_dict(),
            "evidence": {
                "proofs": [
                    {"shift": list(p.shift), "output_shift": list(p.output_shift), "by": p.method}
                    for p in self.proofs
                ],
                "witnesses": [
                    {
                        "shift": list(w.shift),
                        "evidence": w.evidence,
                        "deviation": w.difference.deviation,
                        "gap": w.gap,
                        "floor": w.floor,
                        "pixels": int(np.count_nonzero(w.image)),
                        "weights": w.trial.draw,
                    }
                    for w in self.witnesses
                ],
                "undecided": [
                    {"shift": list(shift), "reason": reason, "probes": self.probes.get(shift, 0)}
                    for shift, reason in self.reasons.items()
                ],
                "probes": sum(self.probes.values()),
                "vacuous": self.vacuous,
                "certified": self.certified,
                "by_identity": self.by_identity,
                "identity": self.identity and self.identity.to_dict(),
            },
        }


def words_of(failing: Failing) -> np.ndarray:
    """(n1, ..., nd) of `Word`: proved in the lattice, refuted where shifts fail."""
    words = np.full(failing.lattice.grid, Word.UNDECIDED, np.uint8)
    words[failing.mask()] = Word.REFUTED
    words[failing.lattice.mask()] = Word.PROVED
    return words


def _refuted_text(
    shift: Shift, multiple: int, offset: Shift, witness: Witness, *, certified: bool
) -> str:
    if multiple == 1 and not any(offset):
        how = "" if witness.is_rigorous else ", seen numerically"
        return f"a counterexample: the output differs by {witness.difference.deviation:.3g}{how}."
    steps = f"{multiple} times {shift}" if multiple > 1 else str(shift)
    how = "" if certified else " (by identity)"
    shifted = f", then the proved shift {offset}{how}," if any(offset) else ""
    seen = "" if witness.is_rigorous else " numerically"
    return f"{steps}{shifted} is the shift {witness.shift}, which a counterexample refutes{seen}."
