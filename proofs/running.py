"""Running the audit: theorems by whatever tools there are, then claim after claim, and what the exit code says."""

import dataclasses
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from proofs import coq, rules
from proofs.claims import CLAIMS, lemmas
from proofs.claims.audit import Audit
from proofs.claims.claim import Claim, Decided, Findings, decide
from proofs.outcome import Outcome

PROVED, REFUTED, USAGE, UNDECIDED = 0, 1, 2, 3
"""Exit codes, as those of `shiftproof`."""

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of an audit.

    Attributes:
        decided: the claims.
        outcomes: of all theorems.
        strict: whether a missing tool counts.
    """

    decided: tuple[Decided, ...]
    outcomes: tuple[Outcome, ...]
    strict: bool = False

    @property
    def failed(self) -> list[Outcome]:
        """Theorems that a method did not prove."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def missing(self) -> dict[str, str]:
        """What was not run, by method, and why."""
        return {o.method: o.detail for o in self.outcomes if o.status == "not run"}

    @property
    def undecided(self) -> list[Decided]:
        """Claims without a verdict."""
        return [claim for claim in self.decided if not claim.is_decided]

    @property
    def exit_code(self) -> int:
        """0 where all is decided; 1 where a theorem fails; 3 where a claim is open or, if strict, a tool is missing."""
        if self.failed:
            return REFUTED
        if self.undecided or not self.decided or (self.strict and self.missing):
            return UNDECIDED
        return PROVED


def choose(ids: str) -> tuple[Claim, ...]:
    """The claims named, such as `A1,B2`; all where "".

    Raises:
        ValueError: there is no such claim.
    """
    if not ids:
        return CLAIMS
    wanted = [part.strip() for part in ids.split(",")]
    known = {claim.id: claim for claim in CLAIMS}
    strangers = [id for id in wanted if id not in known]
    if strangers:
        raise ValueError(f"there is no claim {', '.join(strangers)}; there are {', '.join(known)}")
    return tuple(claim for claim in CLAIMS if claim.id in wanted)


def prove_theorems(tell: Tell) -> tuple[Outcome, ...]:
    """All theorems by all methods; Coq runs beside the solvers."""
    with ThreadPoolExecutor(1) as beside:
        proofs = beside.submit(coq.run)
        begin = time.monotonic()
        outcomes = [*lemmas.run(), *rules.run()]
        tell(f"lemmas and rules: {count(outcomes)} ({time.monotonic() - begin:.0f} s)")
        found = proofs.result()
    tell(f"coq: {count(found)} ({time.monotonic() - begin:.0f} s)")
    return (*outcomes, *found)


def count(outcomes: Sequence[Outcome]) -> str:
    """Such as `54 proved, 1 not run`."""
    words = ("proved", "failed", "not run")
    numbers = {word: sum(o.status == word for o in outcomes) for word in words}
    return ", ".join(f"{number} {word}" for word, number in numbers.items() if number) or "none"


def examine(claims: Sequence[Claim], audit: Audit, tell: Tell) -> tuple[Decided, ...]:
    """Every claim, decided; one whose evidence cannot be collected is undecided and says why."""
    decided = []
    for number, claim in enumerate(claims, start=1):
        begin = time.monotonic()
        try:
            findings, trouble = claim.examine(audit), ""
        except Exception as error:  # the other claims are not to blame
            findings, trouble = Findings(()), f"{type(error).__name__}: {error}"
            tell(traceback.format_exc())
        one = decide(claim, findings, seconds=time.monotonic() - begin)
        if trouble:
            one = dataclasses.replace(one, reasons=(trouble, *one.reasons))
        decided.append(one)
        tell(f"{number}/{len(claims)} {claim.id}: {one.verdict} ({one.seconds:.0f} s)")
    return tuple(decided)
