"""Claims and their evidence; the verdict is a function of the evidence and is written down nowhere.

    statements + evidence -> each statement proved, refuted, measured or undecided -> the verdict of the claim

A statement names the kinds of evidence without which it does not count as proved, such as a theorem for all sizes. One
failure refutes it. Where one piece of evidence proves what another refutes, nothing is chosen: it is undecided.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from shiftproof.claims import KINDS, Kind
from shiftproof.report.html import Picture

Word = Literal["holds", "fails", "measured", "undecided", "not run"]
Settled = Literal["proved", "refuted", "measured", "undecided"]
Role = Literal["told", "condition", "figure"]


@dataclasses.dataclass(frozen=True)
class Statement:
    """One precise sentence. Mathematics stands between dollar signs, with `_` and `^` for indices.

    Attributes:
        key: by which evidence refers to it.
        text: the sentence.
        role: what is `told`; the `condition` under which it is true where it is not; or a `figure` to be measured.
        needs: kinds of evidence without which it does not count as proved; none where it can only be refuted.
        case: which case of the claim it is about; "" where there is only one.
    """

    key: str
    text: str
    role: Role = "told"
    needs: frozenset[Kind] = frozenset()
    case: str = ""


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One finding about one statement.

    Attributes:
        about: key of the statement.
        kind: of evidence.
        word: what was found.
        text: one sentence with the figures.
        files: what anyone can check again, by file name: certificates and counterexamples.
    """

    about: str
    kind: Kind
    word: Word
    text: str
    files: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Findings:
    """All that an evidence function found.

    Attributes:
        evidence: one piece or more for every statement.
        pictures: of the evidence.
        tables: small ones, as (title, columns, rows).
    """

    evidence: tuple[Evidence, ...]
    pictures: tuple[Picture, ...] = ()
    tables: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the coursework.

    Attributes:
        id: such as `B1'`.
        told: the claim as usually told.
        statements: what it says exactly.
        examine: collects the evidence.
        remark: what a reader should take home; mathematics between dollar signs.
        condition: what must be added for the claim to be true, in a few words.
    """

    id: str
    told: str
    statements: tuple[Statement, ...]
    examine: Callable[[Any], Findings]
    remark: str = ""
    condition: str = ""


@dataclasses.dataclass(frozen=True)
class Decided:
    """A claim, its findings and what follows.

    Attributes:
        claim: which.
        findings: the evidence.
        verdict: such as `amended`, or `proved; on a frame: amended`.
        reasons: why a statement is undecided.
        seconds: that the evidence took.
    """

    claim: Claim
    findings: Findings
    verdict: str
    reasons: tuple[str, ...]
    seconds: float

    @property
    def is_decided(self) -> bool:
        """Whether every statement has a word."""
        return not self.reasons

    @property
    def condition(self) -> str:
        """What must be added, in a few words; "" where nothing must."""
        return self.claim.condition if "amended" in self.verdict else ""

    def settled(self, statement: Statement) -> Settled:
        """The word for one statement."""
        return settle(statement, self.findings.evidence)[0]


def decide(claim: Claim, findings: Findings, *, seconds: float = 0.0) -> Decided:
    """The verdict that follows from the evidence.

    Args:
        claim: with its statements.
        findings: about them.
        seconds: that they took.

    Raises:
        ValueError: a piece of evidence is about no statement of the claim.
    """
    keys = {statement.key for statement in claim.statements}
    strangers = {piece.about for piece in findings.evidence} - keys
    if strangers:
        raise ValueError(f"{claim.id} has no statements {', '.join(sorted(strangers))}")
    words, reasons = {}, []
    for statement in claim.statements:
        words[statement.key], reason = settle(statement, findings.evidence)
        if reason:
            reasons.append(reason)
    cases = dict.fromkeys(statement.case for statement in claim.statements)
    verdicts = {case: _verdict(claim.statements, words, case) for case in cases}
    named = (f"{case}: {word}" if case else word for case, word in verdicts.items())
    return Decided(claim, findings, "; ".join(named), tuple(reasons), seconds)


def settle(statement: Statement, evidence: Sequence[Evidence]) -> tuple[Settled, str]:
    """The word for one statement, and the reason where it is undecided."""
    found = [piece for piece in evidence if piece.about == statement.key]
    unclear = [piece for piece in found if piece.word == "undecided"]
    held = {piece.kind for piece in found if piece.word in ("holds", "measured")}
    missing = statement.needs - held
    failed = {piece.kind for piece in found if piece.word == "fails"}
    # what all that is needed proves, and something else refutes
    if failed and statement.needs and not missing | (statement.needs & failed):
        return "undecided", f"{statement.key}: the evidence contradicts itself"
    if failed:
        return "refuted", ""
    if unclear:
        return "undecided", f"{statement.key}: {unclear[0].text}"
    absent = [piece for piece in found if piece.word == "not run" and piece.kind in missing]
    if absent:
        return "undecided", f"{statement.key}: not run: {absent[0].text}"
    if not statement.needs:
        return (
            "undecided",
            f"{statement.key}: no counterexample was found, and examples prove nothing",
        )
    if missing:
        kinds = ", ".join(sorted(KINDS[kind] for kind in missing))
        return "undecided", f"{statement.key}: there is no {kinds}"
    return ("measured" if statement.role == "figure" else "proved"), ""


def _verdict(statements: Sequence[Statement], words: Mapping[str, Settled], case: str) -> str:
    """The word for one case: what is told decides, then the conditions."""
    of_role: dict[Role, set[Settled]] = {"told": set(), "condition": set(), "figure": set()}
    for statement in statements:
        if statement.case == case:
            of_role[statement.role].add(words[statement.key])
    told, conditions, figures = of_role["told"], of_role["condition"], of_role["figure"]
    if "undecided" in told | conditions | figures:
        return "undecided"
    if not told:
        return "refuted" if "refuted" in figures else "measured"
    if "refuted" not in told:
        return "proved"
    return "amended" if conditions and "refuted" not in conditions else "refuted"
