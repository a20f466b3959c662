"""The page of the audit: one self-contained HTML file in the style of all reports, and what anyone can check again.

audit.html                     the claims, their statements, evidence and pictures
evidence/ID/NAME.certificate.json   python -m shiftproof_kernel check FILE
evidence/ID/NAME.counterexample.npz image, shift, weights and both outputs
audit.json                     the verdicts and all findings as data

The page that ships with shiftproof is one of these, see `shiftproof.claims`; `differences` compares it with an audit.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from proofs.claims.claim import KINDS, Decided, Evidence
from proofs.notation import to_html, to_text
from proofs.outcome import Outcome
from shiftproof.claims import AuditedClaim, AuditedEvidence, AuditedStatement
from shiftproof.files import write_atomic
from shiftproof.refuting.counterexample import Counterexample
from shiftproof.refuting.witness import Pair
from shiftproof.report.html import Example, page_environment
from shiftproof.report.pictures import pair_tiles

QUESTIONS = {
    "A": "What are shifts, equivariance and invariance?",
    "B": "Which component gives which: convolution, pooling?",
    "C": "One image at three places: are activations and class scores the same?",
    "D": "How many parameters does weight sharing save, and what else does it do?",
}
"""What the claims of each letter are about."""
MARKS = {"holds": "✓", "fails": "✗", "measured": "●", "undecided": "?", "not run": "–"}


def write_page(
    directory: Path,
    decided: Sequence[Decided],
    outcomes: Sequence[Outcome],
    *,
    settings: Mapping[str, str],
) -> Path:
    """Write the page and everything beside it.

    Args:
        directory: for the files; made if it does not exist.
        decided: the claims.
        outcomes: of all theorems.
        settings: versions and sizes.

    Returns:
        the path of the page.

    Raises:
        OSError: the directory cannot be written.
    """
    for claim in decided:
        for piece in claim.findings.evidence:
            for name, content in piece.files.items():
                _write(directory / place(claim, name), content)
    # without the time that each took, so that the same findings give the same bytes
    theorems = [{k: v for k, v in vars(o).items() if k != "seconds"} for o in outcomes]
    data = {"settings": settings, "claims": [*map(audited, decided)], "theorems": theorems}
    write_atomic(directory / "audit.json", msgspec.json.format(msgspec.json.encode(data)) + b"\n")
    path = directory / "audit.html"
    write_atomic(path, render(decided, outcomes, settings=settings).encode())
    return path


def _write(path: Path, content: Any) -> None:
    if isinstance(content, Counterexample):
        path.parent.mkdir(parents=True, exist_ok=True)
        content.save(path)
    else:
        write_atomic(path, msgspec.json.encode(content) + b"\n")


def place(claim: Decided, name: str) -> str:
    """Where a file of a claim lies, relative to the page."""
    return f"evidence/{anchor(claim.claim.id)}/{name}"


def label(name: str) -> str:
    """What a link to a file says.

    >>> label("pool.0_1.counterexample.npz"), label("pool.certificate.json")
    ('counterexample under (0, 1)', 'certificate')
    """
    *_, shift, kind, _ = name.rsplit(".", 3)
    return f"{kind} under ({shift.replace('_', ', ')})" if kind == "counterexample" else kind


def anchor(id: str) -> str:
    """The id of a claim as part of an address.

    >>> anchor("B1'")
    'B1-prime'
    """
    return id.replace("'", "-prime")


def audited(decided: Decided) -> AuditedClaim:
    """A claim as data, in plain text."""
    claim = decided.claim
    statements = (
        AuditedStatement(s.key, s.role, s.case, to_text(s.text), decided.settled(s))
        for s in claim.statements
    )
    evidence = (
        AuditedEvidence(e.about, e.kind, e.word, e.text, tuple(place(decided, f) for f in e.files))
        for e in decided.findings.evidence
    )
    return AuditedClaim(
        claim.id,
        to_text(claim.told),
        decided.verdict,
        to_text(decided.condition),
        to_text(claim.remark),
        tuple(statements),
        tuple(evidence),
        decided.reasons,
    )


def differences(shipped: Sequence[AuditedClaim], decided: Sequence[Decided]) -> list[str]:
    """Where a page says other than an audit finds: claims, statements, words, verdicts, remarks.

    Evidence is not compared, since an audit of smaller sizes counts other shifts.

    Args:
        shipped: the claims of the page.
        decided: what the audit found.
    """
    said, found = (
        {claim.id: dataclasses.replace(claim, evidence=(), reasons=()) for claim in claims}
        for claims in (shipped, map(audited, decided))
    )
    return [
        f"{id}: the page says {said.get(id)!r}, the audit finds {found.get(id)!r}"
        for id in dict.fromkeys([*said, *found])
        if said.get(id) != found.get(id)
    ]


def example_of(piece: Evidence, key: str) -> Example | None:
    """The first counterexample of a piece of evidence, drawn; None where it has none of one image.

    Args:
        piece: with its files.
        key: unique on the page.
    """
    for found in piece.files.values():
        if isinstance(found, Counterexample) and found.header.images == 1:
            h = found.header
            pair = Pair(found.image, found.still, found.moved)
            fitted = found.difference.output_shift
            tiles = pair_tiles(found.claim, h.shift, pair, h.spatial_axes, fitted=fitted)
            return Example(key, f"{h.property.capitalize()} fails under {h.shift}:", tiles)
    return None


def render(
    decided: Sequence[Decided], outcomes: Sequence[Outcome], *, settings: Mapping[str, str]
) -> str:
    """The page as text."""
    environment = page_environment(Path(__file__).parent)
    environment.filters |= {
        "math": lambda text: Markup(to_html(text)),
        "anchor": anchor,
        "kindname": lambda kind: KINDS[kind],
        "tone": tone,
        "label": label,
        "plainmath": to_text,
    }
    return environment.get_template("audit.html.jinja").render(
        title="What shifts do to CNNs: the claims, decided",
        decided=decided,
        summary=summary(decided),
        groups=grouped(decided),
        example=example_of,
        statements=_statements,
        place=place,
        kinds=KINDS,
        marks=MARKS,
        theorems=by_name(outcomes),
        settings=settings,
    )


def grouped(decided: Sequence[Decided]) -> list[tuple[str, list[Decided]]]:
    """The claims under the question that each helps to answer."""
    return [
        (question, found)
        for letter, question in QUESTIONS.items()
        if (found := [one for one in decided if one.claim.id.startswith(letter)])
    ]


def tone(verdict: str) -> str:
    """The colour of a verdict: of its first word that is not `measured`, if there is one."""
    words = [part.rpartition(": ")[2] for part in verdict.split("; ")]
    ranked = ("undecided", "refuted", "amended", "proved", "measured")
    return next(word for word in ranked if word in words)


def summary(decided: Sequence[Decided]) -> str:
    """One sentence: how many claims got which verdict."""
    counts = Counter(tone(claim.verdict) for claim in decided)
    ranked = ("proved", "amended", "refuted", "measured", "undecided")
    words = [f"{counts[word]} {word}" for word in ranked if counts[word]]
    claims = "1 claim" if len(decided) == 1 else f"{len(decided)} claims"
    return f"{claims}: {', '.join(words)}."


def _statements(decided: Decided) -> list[tuple[Any, str, list[Evidence]]]:
    """Each statement with its word and its evidence."""
    return [
        (s, decided.settled(s), [e for e in decided.findings.evidence if e.about == s.key])
        for s in decided.claim.statements
    ]


def by_name(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str]]:
    """Theorems: name, statement, and what each method says."""
    grouped: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        grouped.setdefault(outcome.name, []).append(outcome)
    marks = {"proved": "✓", "failed": "✗", "not run": "– not run"}
    return [
        (name, found[0].statement, ", ".join(f"{o.method} {marks[o.status]}" for o in found))
        for name, found in grouped.items()
    ]
