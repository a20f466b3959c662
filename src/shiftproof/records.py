"""Records: what the tests of a run decided, as plain data, and the sentences, properties and annotations made of it.

A record is one verdict, or what a cache confirmed; it has one claim for each output and property. The pytest plugin
collects them. Loading this imports neither JAX nor NumPy; they are there when there is something to record.
"""

from collections.abc import Iterator
from typing import Any

from shiftproof.listening import expectation
from shiftproof.plain import plain

MOST_LINES = 8
"""Undecided claims that are listed."""

WORDS = ("proved", "refuted", "undecided")

EXPECTED, UNEXPECTED, ASKED = "as expected", "not as expected", "only asked"
"""The statuses of a claim: what an assertion or a test expects, something else, or nothing was expected."""


def record_of(answer: Any) -> dict[str, Any]:
    """A verdict, or what a cache confirmed, as plain data; counts are of the shifts, cells or places asked about."""
    from shiftproof.deciding.verdict import Verdict

    shared = {"model": answer.model, "cached": not isinstance(answer, Verdict)}
    if not isinstance(answer, Verdict):
        claims = [_confirmed(answer, claim) for claim in answer.claims]
        return {**shared, "boundary": "torus", "cause": "", "claims": claims}
    cause = answer.causes[0] if answer.causes else None
    meets = expectation()
    claims = []
    for output in answer.outputs:
        met = None if meets is None else meets(answer, output)
        status = ASKED if met is None else EXPECTED if met else UNEXPECTED
        claims += [_decided(answer, found) | {"status": status} for found in output.properties]
        if output.region is not None:
            claims.append(_region(answer, output) | {"status": status})
    words = "" if cause is None else f"{cause.words}: {cause.layer}"
    where = f" ({cause.source})" if cause is not None and cause.source else ""
    return {**shared, "boundary": answer.boundary, "cause": words + where, "claims": claims}


def _decided(verdict: Any, found: Any) -> dict[str, Any]:
    """A property on the torus."""
    from shiftproof.deciding.words import Word

    certified = int((found.certified_map[verdict.asked] == Word.PROVED).sum())
    words = found.map[verdict.asked]
    return {
        "property": found.claim.property,
        "output": found.claim.output,
        "unit": "shifts",
        "lattice": str(found.lattice),
        "reason": next(iter(found.reasons.values()), ""),
        "identity": found.identity.error if found.identity is not None else "",
        **_counts(words, certified, int(found.numerical_map[verdict.asked].sum())),
    }


def _region(verdict: Any, output: Any) -> dict[str, Any]:
    """An output on a scene or on a background."""
    found = output.region
    row = next((row for row in verdict.layers if row.output == output.name), None)
    border = None if row is None else row.border
    certified = found.proved if not found.error else border.certified if border else 0
    numerically = 0 if found.exact else found.refuted
    return {
        "property": found.claim,
        "output": output.name,
        "unit": found.unit,
        "lattice": f"on a {verdict.boundary}",
        "reason": found.reason,
        "identity": found.error,
        **_counts(found.map[found.asked], certified, numerically),
    }


def _confirmed(answer: Any, claim: Any) -> dict[str, Any]:
    """What a cache confirms: certificates and rigorous counterexamples for the words that were wanted, no identity."""
    from shiftproof.deciding.words import Word

    words = answer.words[answer.words != Word.UNDECIDED]
    return {
        "property": claim.property,
        "output": claim.output,
        "unit": "shifts",
        "lattice": "",
        "reason": "",
        "identity": "",
        **_counts(words, int((words == Word.PROVED).sum()), 0),
        "status": EXPECTED,
    }


def _counts(words: Any, certified: int, numerically: int) -> dict[str, int]:
    from shiftproof.deciding.words import Word

    counts = {str(word): int((words == word).sum()) for word in Word}
    return {
        **counts,
        "refuted": counts["refuted"] - numerically,
        "numerically": numerically,
        "by_identity": counts["proved"] - certified,
    }


def settle(records: list[dict[str, Any]], *, failed: bool) -> None:
    """What a test that did not fail expects to fail, as with `pytest.raises`, is as expected."""
    for claim in (claim for record in records for claim in record["claims"]):
        if claim["status"] == UNEXPECTED and not failed:
            claim["status"] = EXPECTED


def summary_of(records: list[dict[str, Any]]) -> str:
    """One sentence on what a run decided.

    >>> counts = {"proved": 4, "refuted": 12, "undecided": 0, "by_identity": 0, "numerically": 0}
    >>> claim = counts | {"unit": "shifts", "status": EXPECTED}
    >>> summary_of([{"test": "a", "claims": [claim, claim], "cached": False}])
    '2 claims in 1 test, all as expected: 8 shifts proved, 24 refuted (as expected), 0 undecided'
    """
    claims = [claim for record in records for claim in record["claims"]]
    tests = len({record["test"] for record in records})
    cached = sum(len(record["claims"]) for record in records if record["cached"])
    units = [unit for unit in ("shifts", "cells", "places") if _with("unit", unit, claims)]
    counted = [_counted(unit, _with("unit", unit, claims)) for unit in units]
    return (
        f"{len(claims)} claim{'s' * (len(claims) != 1)} in {tests} test{'s' * (tests != 1)}"
        f"{_statuses(claims)}: {'; '.join(counted)}"
        + (f"; {cached} from the cache, checked again" if cached else "")
    )


def _with(key: str, value: str, claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [claim for claim in claims if claim[key] == value]


def _statuses(claims: list[dict[str, Any]]) -> str:
    counts = {name: len(_with("status", name, claims)) for name in (EXPECTED, UNEXPECTED, ASKED)}
    if counts[EXPECTED] == len(claims):
        return ", all as expected"
    return "".join(f", {count} {name}" for name, count in counts.items() if count)


def _counted(unit: str, claims: list[dict[str, Any]]) -> str:
    """How many shifts, cells or places have which word, and how many of the refuted ones alarm nobody."""
    counts = {word: sum(claim[word] for claim in claims) for word in (*WORDS, "numerically")}
    identities = sum(claim["by_identity"] for claim in claims)
    apart = f" ({identities:,} by identity)" if identities else ""
    seen = f", {counts['numerically']:,} refuted numerically" if counts["numerically"] else ""
    refuted = counts["refuted"] + counts["numerically"]
    known = sum(c["refuted"] + c["numerically"] for c in _with("status", EXPECTED, claims))
    told = (
        "" if not known else " (as expected)" if known == refuted else f" ({known:,} as expected)"
    )
    return (
        f"{counts['proved']:,} {unit} proved{apart}, {counts['refuted']:,} refuted{seen}{told}, "
        f"{counts['undecided']:,} undecided"
    )


def undecided_of(records: list[dict[str, Any]]) -> list[str]:
    """One line for each of the first undecided claims: the test, the claim, and why."""
    lines = [
        f"undecided: {record['test']}: {claim['property']} of {claim['output']}: {claim['reason']}"
        for record in records
        for claim in record["claims"]
        if claim["undecided"]
    ]
    more = len(lines) - MOST_LINES
    return lines[:MOST_LINES] + ([f"and {more} more are undecided"] if more > 0 else [])


PROPERTIES = (
    "property",
    "output",
    "unit",
    *WORDS,
    "numerically",
    "by_identity",
    "status",
)


def properties_of(records: list[dict[str, Any]], first: int = 1) -> Iterator[tuple[str, str]]:
    """The properties of a test in JUnit's XML: `shiftproof.1.model`, `shiftproof.1.proved`, and so on.

    Args:
        records: of the test.
        first: number of their first claim.
    """
    claims = [(record, claim) for record in records for claim in record["claims"]]
    for number, (record, claim) in enumerate(claims, first):
        yield f"shiftproof.{number}.model", plain(record["model"])
        yield f"shiftproof.{number}.boundary", record["boundary"]
        for name in PROPERTIES:
            yield f"shiftproof.{number}.{name}", plain(str(claim[name]))


def annotations_of(records: list[dict[str, Any]]) -> list[str]:
    """One workflow command of GitHub for each claim that is not as expected, at the line of its test.

    The commands are read from what a job prints; a line must hold one, and nothing of a stranger's may end it.
    """
    return [
        f"::error file={_property(record['file'])},line={record['line']},title=shiftproof::"
        + _data(_sentence(record, claim))
        for record in records
        for claim in record["claims"]
        if claim["status"] == UNEXPECTED
    ]


def _sentence(record: dict[str, Any], claim: dict[str, Any]) -> str:
    seen = f", {claim['numerically']:,} refuted numerically" if claim["numerically"] else ""
    told = (
        f"{record['test']}: {claim['property']} of {claim['output']} of {record['model']} is not as expected: "
        f"{claim['proved']:,} {claim['unit']} proved, {claim['refuted']:,} refuted{seen}, "
        f"{claim['undecided']:,} undecided"
    )
    if record["cause"]:
        told += f"; because of {record['cause']}"
    return told + (f"; {claim['reason']}" if claim["undecided"] and claim["reason"] else "")


def _data(text: str) -> str:
    """A message of a workflow command; `plain` leaves no line break, and the percent sign begins an escape.

    >>> _data("50%\\n::error::no")
    '50%25\\\\n::error::no'
    """
    return plain(text).replace("%", "%25")


def _property(text: str) -> str:
    """A value before the message, where commas and colons end something.

    >>> _property("a,b:c%.py")
    'a%2Cb%3Ac%25.py'
    """
    return _data(text).replace(":", "%3A").replace(",", "%2C")
