"""Decisions: one claim, from the lattice that is proved to a word for every shift.

The shifts that keep a property form a group. So a counterexample for one element of every minimal larger group refutes
everything outside the lattice. Where none is found for some, shifts are tried one by one; what is left is undecided.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from shiftproof.deciding.property import Proof, PropertyVerdict
from shiftproof.errors import ContradictionError
from shiftproof.group import Failing, Shift, grown_lattice, largest_lattice, simplest
from shiftproof.proving.analysis import Claim, Prover
from shiftproof.proving.certify import certify
from shiftproof.proving.identity import Evidence, Identities
from shiftproof.refuting.bench import Bench
from shiftproof.refuting.witness import Doubt, Witness

FEW = 16
"""Minimal larger groups that the field tries together with what the kernel proved."""

MOST_DIRECT = 256
"""Shifts tried one by one where some minimal larger group is not refuted."""


class Case:
    """One claim while it is being decided.

    Args:
        claim: what is asked.
        prover: asks the kernel.
        identities: asks the field, which votes on the proofs of the kernel where it is not blind, and proves what the
            kernel cannot.
        swept: the shifts that are identities, each tried one by one; None where the group is relied on.

    Raises:
        ContradictionError: kernel and field disagree.
    """

    def __init__(
        self,
        claim: Claim,
        prover: Prover,
        identities: Identities,
        *,
        swept: np.ndarray | None = None,
    ) -> None:
        self.claim, self.prover, self.identities = claim, prover, identities
        self.swept = swept
        self.derived, self.certified = largest_lattice(
            prover.grid, lambda shift: prover.proves(claim, shift)
        )
        identities.prepare([*self.derived, *(o.shift for o in self.certified.overgroups[:FEW])])
        for shift in self.derived:
            moved = prover.output_shift(claim, shift)
            if moved is not None and identities.denies(claim, shift, moved):
                raise _denied(claim, shift, moved)
        self.generators, self.lattice = grown_lattice(
            self.derived, self.certified, lambda shift: self._proof(shift) is not None
        )
        if swept is not None:
            self._agree(swept)
        self.witnesses: dict[Shift, Witness] = {}
        self.probes: dict[Shift, int] = {}
        self.stopped = ""

    def _agree(self, swept: np.ndarray) -> None:
        """Hold the lattice against an exhaustive sweep of the field."""
        inside = self.lattice.mask()
        wrong = inside != swept
        if self.identities.is_blind:
            wrong &= ~inside  # the kernel may know more
        if np.any(wrong):
            shift = simplest(wrong)
            raise ContradictionError(
                f"{self.claim.property} of {self.claim.output} under the shift {shift} is "
                f"{'an identity' if swept[shift] else 'no identity'} by the exhaustive sweep of the field, and not so "
                "by generators and minimal overgroups: this is a defect of shiftproof.",
                {"claim": dataclasses.asdict(self.claim), "shift": shift},
            )

    def _proof(self, shift: Shift) -> Proof | None:
        moved = self.prover.output_shift(self.claim, shift)
        if moved is not None:
            return Proof(shift, moved, "kernel")
        moved = self.identities.output_shift(self.claim, shift)
        return None if moved is None else Proof(shift, moved, "identity")

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """One proof per generator of what the kernel proves, and of what is proved beyond that."""
        beyond = [shift for shift in self.generators if shift not in self.certified]
        found = (self._proof(shift) for shift in (*self.derived, *beyond))
        return tuple(proof for proof in found if proof is not None)

    def facts(self) -> list[Doubt]:
        """What is proved, with the output shift: the compiled program must agree with it."""
        return [Doubt(self.claim, p.shift, p.output_shift or None) for p in self.proofs]

    def doubts(self) -> list[Doubt]:
        """One element of every minimal group larger than the lattice."""
        return [self._doubt(overgroup.shift) for overgroup in self.lattice.overgroups]

    def _doubt(self, shift: Shift) -> Doubt:
        return Doubt(self.claim, shift, self.claim.expected(shift))

    def settle(self, found: Mapping[Doubt, Witness], bench: Bench) -> None:
        """Take the witnesses found; where some larger group is left, try its shifts one by one."""
        self.witnesses = {d.shift: w for d, w in found.items() if d.claim == self.claim}
        if not self.failing.is_complete:
            self._try_one_by_one(bench)
        self.stopped = bench.budget.stopped
        self.probes = {d.shift: n for d, n in bench.tried.items() if d.claim == self.claim}

    def _try_one_by_one(self, bench: Bench) -> None:
        if bench.budget.is_spent:
            return
        left = self.failing.left
        for _ in range(MOST_DIRECT):
            if not left.any() or bench.budget.is_spent:
                break
            doubt = self._doubt(simplest(left))
            left[doubt.shift] = False
            witness = bench.search([doubt]).get(doubt)
            if witness is not None:
                self.witnesses[doubt.shift] = witness
                left &= self.failing.left

    @property
    def failing(self) -> Failing:
        """The shifts that the witnesses refute."""
        return Failing(self.lattice, tuple(self.witnesses))

    def verdict(self, *, weights_sha256: str) -> PropertyVerdict:
        """The word for every shift, with the evidence.

        Args:
            weights_sha256: of these weights; "" for all.
        """
        proofs = self.proofs
        return PropertyVerdict(
            claim=self.claim,
            lattice=self.lattice,
            proofs=proofs,
            witnesses=tuple(self.witnesses.values()),
            reasons=self._reasons(),
            probes=self.probes,
            vacuous=self._is_vacuous(),
            certificate=certify(
                self.prover,
                self.claim,
                [proof.shift for proof in proofs if proof.method == "kernel"],
                weights_sha256=weights_sha256,
            ),
            identity=self._identity(proofs),
        )

    def _is_vacuous(self) -> bool:
        """Whether every proof would hold of a broken program too, as that of a constant does."""
        shifts = [proof.shift for proof in self.proofs if proof.method == "kernel"]
        needed = (self.prover.needs_the_program(self.claim, shift) for shift in shifts)
        return bool(shifts) and not any(needed)

    def _reasons(self) -> dict[Shift, str]:
        """Why no proof was found, for the simplest shift of every minimal larger group that is not refuted."""
        left = (o.shift for o in self.lattice.overgroups if o.shift not in self.failing)
        return {shift: self._reason(shift) for shift in left}

    def _reason(self, shift: Shift) -> str:
        reason = self.prover.reason(self.claim, shift)
        known = f"{reason}; {self.identities.doubts(reason)}"
        return f"{known}; {self.stopped}" if self.stopped else known

    def _identity(self, proofs: Sequence[Proof]) -> Evidence | None:
        shifts = [(p.shift, p.output_shift) for p in proofs if p.method == "identity"]
        if not shifts:
            return None
        return self.identities.evidence(shifts, exhaustive=self.swept is not None)


def _denied(claim: Claim, shift: Shift, moved: Shift) -> ContradictionError:
    report = {"claim": dataclasses.asdict(claim), "shift": shift, "output_shift": moved}
    return ContradictionError(
        f"{claim.property} of {claim.output} under the shift {shift} is proved by the kernel, and denied by the field. "
        "One of the two is wrong, and none is chosen: this is a defect of shiftproof.",
        report,
    )
