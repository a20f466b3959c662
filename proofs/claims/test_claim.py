"""Verdicts follow from evidence: every way in which they can, and every way in which they must not."""

import itertools

import pytest

from proofs.claims.claim import Claim, Evidence, Findings, Kind, Role, Statement, Word, decide


def claim(*statements: Statement) -> Claim:
    return Claim("X", "told", statements, lambda audit: Findings(()))


def told(*needs: Kind, key: str = "told", case: str = "") -> Statement:
    return Statement(key, "it is so", needs=frozenset(needs), case=case)


def condition(*needs: Kind, role: Role = "condition") -> Statement:
    return Statement("condition", "it is so where", role=role, needs=frozenset(needs))


def found(about: str, kind: Kind, word: Word) -> Evidence:
    return Evidence(about, kind, word, "a finding")


def verdict(statements, *evidence: Evidence) -> str:
    return decide(claim(*statements), Findings(evidence)).verdict


def test_a_theorem_and_a_verdict_prove() -> None:
    both = found("told", "theorem", "holds"), found("told", "verdict", "holds")
    assert verdict([told("theorem", "verdict")], *both) == "proved"


@pytest.mark.parametrize("missing", ["theorem", "verdict"])
def test_without_a_kind_that_is_needed_nothing_is_proved(missing: Kind) -> None:
    kinds: set[Kind] = {"theorem", "verdict"}
    pieces = [found("told", kind, "holds") for kind in kinds - {missing}]
    decided = decide(claim(told(*kinds)), Findings(tuple(pieces)))
    assert decided.verdict == "undecided"
    assert "there is no" in decided.reasons[0]
    assert not decided.is_decided


def test_no_evidence_proves_nothing() -> None:
    for statement in (told(), told("count"), condition(role="figure")):
        decided = decide(claim(statement), Findings(()))
        assert decided.verdict == "undecided"
        assert decided.reasons


def test_examples_prove_nothing() -> None:
    decided = decide(claim(told()), Findings((found("told", "verdict", "holds"),)))
    assert decided.verdict == "undecided"
    assert "examples prove nothing" in decided.reasons[0]


def test_one_counterexample_refutes() -> None:
    assert verdict([told()], found("told", "counterexample", "fails")) == "refuted"
    evidence = found("told", "verdict", "fails"), found("told", "verdict", "holds")
    assert verdict([told()], *evidence) == "refuted"


def test_proof_and_counterexample_contradict_each_other() -> None:
    evidence = found("told", "theorem", "holds"), found("told", "sweep", "fails")
    decided = decide(claim(told("theorem")), Findings(evidence))
    assert decided.verdict == "undecided"
    assert "contradicts itself" in decided.reasons[0]


def test_a_condition_that_holds_amends_and_one_that_fails_does_not() -> None:
    statements = [told(), condition("theorem")]
    false = found("told", "counterexample", "fails")
    assert verdict(statements, false, found("condition", "theorem", "holds")) == "amended"
    assert verdict(statements, false, found("condition", "sweep", "fails")) == "refuted"
    assert verdict(statements, false, found("condition", "theorem", "undecided")) == "undecided"
    assert verdict(statements, false) == "undecided"


def test_a_missing_tool_blocks_only_what_nothing_else_proves() -> None:
    absent, other = found("told", "theorem", "not run"), found("told", "theorem", "holds")
    assert verdict([told("theorem")], absent, other) == "proved"
    decided = decide(claim(told("theorem")), Findings((absent,)))
    assert decided.verdict == "undecided"
    assert "not run" in decided.reasons[0]


def test_figures_are_measured_and_a_wrong_one_refutes() -> None:
    figure = condition("training", role="figure")
    assert verdict([figure], found("condition", "training", "measured")) == "measured"
    assert verdict([figure], found("condition", "training", "fails")) == "refuted"


def test_cases_have_words_of_their_own() -> None:
    statements = [told("count", case="a"), told(key="b", case="b")]
    evidence = found("told", "count", "holds"), found("b", "count", "fails")
    assert verdict(statements, *evidence) == "a: proved; b: refuted"


def test_evidence_about_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="X has no statements other"):
        verdict([told()], found("other", "count", "holds"))


def test_never_proved_with_a_piece_that_is_undecided_or_fails() -> None:
    words: tuple[Word, ...] = ("holds", "fails", "undecided", "not run")
    for combination in itertools.product(words, repeat=3):
        kinds: tuple[Kind, ...] = ("theorem", "verdict", "count")
        evidence = [found("told", k, w) for k, w in zip(kinds, combination, strict=True)]
        proved = verdict([told("theorem", "verdict", "count")], *evidence) == "proved"
        assert proved == (set(combination) == {"holds"})
