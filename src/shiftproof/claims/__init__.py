"""The audited claims about CNNs and shifts, as files of the package.

    python -m proofs --ship  ->  page/  ->  shiftproof claims

page/audit.html   every claim with its statements, verdict, counterexamples and pictures
page/audit.json   the same as data: a list of `AuditedClaim`
page/evidence/    certificates and counterexamples, which anyone can check again

Nothing is proved here. `python -m proofs` proves all of it again, and a test compares what it finds with these files.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from shiftproof.errors import InputError
from shiftproof.files import write_atomic
from shiftproof.report.tables import Table

PAGE = Path(__file__).parent / "page"
"""The folder of the page; everything that the page links to is in it."""

Kind = Literal["theorem", "verdict", "count", "sweep", "counterexample", "training"]
KINDS: Mapping[Kind, str] = {
    "theorem": "theorem for all sizes",
    "verdict": "decided on Flax",
    "count": "exact count",
    "sweep": "exhaustive sweep",
    "counterexample": "counterexample",
    "training": "training runs",
}
"""The kinds of evidence, as readers are told."""


@dataclasses.dataclass(frozen=True)
class AuditedStatement:
    """One exact sentence of a claim.

    Attributes:
        key: by which evidence refers to it.
        role: what is `told`; the `condition` under which it is true where it is not; or a `figure` that is measured.
        case: which case of the claim it is about; "" where there is only one.
        text: the sentence.
        word: `proved`, `refuted`, `measured` or `undecided`.
    """

    key: str
    role: str
    case: str
    text: str
    word: str


@dataclasses.dataclass(frozen=True)
class AuditedEvidence:
    """One finding about one statement.

    Attributes:
        about: key of the statement.
        kind: of evidence.
        word: what was found, such as `holds` or `fails`.
        text: one sentence with the figures.
        files: relative to the page; what can be checked again.
    """

    about: str
    kind: Kind
    word: str
    text: str
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class AuditedClaim:
    """A claim, and what the audit found.

    Attributes:
        id: such as `B1'`.
        told: the claim as usually told.
        verdict: such as `amended`, or `formulas: proved; equal functions: measured`.
        condition: what must be added for the claim to be true; "" where nothing must.
        remark: what to take home.
        statements: what the claim says exactly.
        evidence: for and against them.
        reasons: why a statement is undecided.
    """

    id: str
    told: str
    verdict: str
    condition: str
    remark: str
    statements: tuple[AuditedStatement, ...]
    evidence: tuple[AuditedEvidence, ...]
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.id}  {self.told}", "", f"verdict: {self.verdict}"]
        lines += [f"true if: {self.condition}"] if self.condition else []
        for statement in self.statements:
            role = ", as told" if statement.word == "refuted" and statement.role == "told" else ""
            role = ", the condition" if statement.role == "condition" else role
            case = f" ({statement.case})" if statement.case else ""
            lines += ["", f"{statement.word}{role}{case}: {statement.text}"]
            lines += [
                f"  {KINDS[piece.kind]}: {piece.text}"
                for piece in self.evidence
                if piece.about == statement.key
            ]
        return "\n".join([*lines, *(["", self.remark] if self.remark else [])])


class _Audit(msgspec.Struct, frozen=True):
    """What is read of `audit.json`."""

    claims: tuple[AuditedClaim, ...]


def load_claims(folder: Path = PAGE) -> tuple[AuditedClaim, ...]:
    """The claims, in the order of the questions.

    Args:
        folder: of a page; the one that ships by default.
    """
    return msgspec.json.decode((folder / "audit.json").read_bytes(), type=_Audit).claims


def find_claim(id: str) -> AuditedClaim:
    """The claim of that id.

    Args:
        id: such as `B1'`; letters may be small, and the prime a word, as in `b1-prime`.

    Raises:
        InputError: there is none.
    """
    known = {claim.id: claim for claim in load_claims()}
    asked = id.upper().replace("-PRIME", "'")
    if asked in known:
        return known[asked]
    close = difflib.get_close_matches(asked, known, n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise InputError(f"there is no claim {id!r}; there are {', '.join(known)}.{hint}")


def claims_table(claims: tuple[AuditedClaim, ...]) -> Table:
    """One row a claim: its id, the claim in words, the verdict and what must be added."""
    rows = tuple(
        (
            claim.id,
            claim.told,
            f"{claim.verdict}. True if: {claim.condition}" if claim.condition else claim.verdict,
        )
        for claim in claims
    )
    title = f"{len(claims)} claims about CNNs and shifted images, decided"
    return Table(title, ("", "claim", "verdict"), rows, flexible=frozenset({1, 2}))


def write_claims(directory: str | Path) -> Path:
    """Copy the page and everything that it links to.

    Args:
        directory: for the files; made if it does not exist.

    Returns:
        the path of the page.

    Raises:
        OSError: the directory cannot be written.
    """
    directory = Path(directory)
    for file in PAGE.rglob("*"):
        if file.is_file():
            write_atomic(directory / file.relative_to(PAGE), file.read_bytes())
    return directory / "audit.html"
