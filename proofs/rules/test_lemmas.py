"""All lemmas by all methods, and that they are about the kernel: all of it, and nothing else."""

import ast
import inspect
import itertools
import random
from typing import Any

import pytest

from proofs import rules
from proofs.rules import factors, mutants, paths, scenes, sliding, solvers
from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.terms import unknown
from proofs.rules.twins import is_false
from shiftproof_kernel import arithmetic, derivation, facts
from shiftproof_kernel import rules as kernel_rules

EVERY = pytest.mark.parametrize("lemma", rules.LEMMAS, ids=lambda lemma: lemma.name)


@EVERY
def test_proved_by_identities(lemma: Lemma) -> None:
    assert rules.by_identity(lemma) == ("proved", "")


@EVERY
@pytest.mark.parametrize("method", solvers.MODULES)
def test_proved_by_solver(lemma: Lemma, method: solvers.Method) -> None:
    pytest.importorskip(solvers.MODULES[method])
    assert rules.by_solver(lemma, method) == ("proved", "")


@pytest.mark.slow
@EVERY
def test_hypotheses_can_be_met_and_each_is_needed(lemma: Lemma) -> None:
    pytest.importorskip("z3")
    status, detail = rules.by_twins(lemma)
    assert status == "proved", detail


@EVERY
def test_no_plain_numbers_are_against_it(lemma: Lemma) -> None:
    dice = random.Random(lemma.name)
    for _ in range(200):
        values = {name: dice.randint(1, 6) for name in lemma.sizes}
        values |= {name: dice.randint(-4, 8) for name in lemma.integers}
        assert not is_false(lemma, values), values


@EVERY
def test_it_says_something_of_the_kernel_in_one_line(lemma: Lemma) -> None:
    assert (
        lemma.used()
        if lemma.rule is None
        else lemma.rule.__module__.startswith("shiftproof_kernel")
    )
    assert lemma.statement.isprintable()
    assert " ⟹ " in lemma.formula()


N, M, n, m, o, p, q, r, t = map(unknown, "N M n m o p q r t".split())
MAJOR = {
    "flat": factors.Still(n, 1),
    "still": factors.Still(n, p),
    "moving": factors.Moving(n, N, o, r),
    "fold": factors.Fold(n, N, r, "whole", 0),
    "laps": factors.Fold(n, N, r, "laps", 0),
    "scene": scenes.Scene(n, *map(unknown, ("first", "end")), o, r),
    "phase": factors.Phase(n, N, o, r),
}
MINOR = (factors.Still(m, q), factors.Moving(m, M, o, t), factors.Fold(m, M, t, "whole", 0))
SPAN = sliding.Span(*map(unknown, ("a", "s")))
PADS = tuple(map(unknown, ("low", "high", "base")))
RUNS = {
    factors.TIDY: [(([MAJOR[name]],), {}) for name in ("still", "moving", "scene", "phase")],
    factors.MERGE: [
        ((major, minor), options)
        for major in MAJOR.values()
        for minor in MINOR
        for options in ({}, {"all_flat": True})
    ],
    factors.SPLIT: [((kind, m), {}) for name, kind in MAJOR.items() if name != "flat"],
    sliding.TAKE: [
        *(((kind, SPAN, m), {}) for kind in MAJOR.values()),
        *(((MAJOR[name], (p, q), m), {}) for name in ("flat", "still", "phase", "fold")),
    ],
    sliding.STRIDE: [((MAJOR["moving"], *map(unknown, ("s", "count", "start", "past"))), {})],
    scenes.PASS: [((MAJOR["scene"], *map(unknown, ("s", "count", "start", "past"))), {})],
    sliding.STRETCH: [((MAJOR[name], *PADS), {}) for name in ("still", "moving", "scene")],
}
"""What the rules are run on. A still factor of any period stands for a flat one too, unless a rule tells them apart.
Of lists, which may be long, `signals.pattern` says what holds from one number to the next.
"""


def signature(rule: Any, arguments: Any, answers: Any) -> tuple[Any, ...]:
    if isinstance(arguments[0], list):
        arguments = arguments[0]
    flat = [str(getattr(argument, "period", "")) == "1" for argument in arguments]
    return (rule.__name__, *[type(argument) for argument in arguments], *flat, *answers)


def walked(monkeypatch: pytest.MonkeyPatch) -> set[tuple[Any, ...]]:
    """The paths that have a lemma."""
    found = set()

    def watched(rule: Any, *arguments: Any, answers: Any, **options: bool) -> paths.Path:
        found.add(signature(rule, arguments, answers))
        return paths.along(rule, *arguments, answers=answers, **options)

    for module in (factors, scenes, sliding):
        monkeypatch.setattr(module, "along", watched)
        for lemma in module.LEMMAS:
            lemma.claim()
    return found


@pytest.mark.parametrize("rule", RUNS, ids=lambda rule: rule.__name__)
def test_every_path_of_a_rule_has_a_lemma(monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    given = paths.Given(rule, gcd=unknown("g"), inverse=unknown("inverse"))
    known, found = walked(monkeypatch), set()
    for arguments, options in RUNS[rule]:
        for path in paths.explore(given.rule, *arguments, **options):
            told = {str(asked): yes for asked, yes in zip(path.asked, path.answers, strict=True)}
            flat = told.get("p == 1", False)  # has runs of its own
            if path.result is not None and not flat:
                found.add(signature(rule, arguments, path.answers))
    assert found == {path for path in known if path[0] == rule.__name__}


def test_names_are_names() -> None:
    assert len({lemma.name for lemma in rules.LEMMAS}) == len(rules.LEMMAS)


def test_every_formula_of_the_kernel_has_a_lemma() -> None:
    assert set(KERNEL) == set().union(*(lemma.used() for lemma in rules.LEMMAS))
    written = ast.parse(inspect.getsource(arithmetic)).body
    assert set(KERNEL) == {part.name for part in written if isinstance(part, ast.FunctionDef)}


def test_the_rules_of_the_kernel_use_every_formula() -> None:
    used = {
        part.attr
        for module in (facts, kernel_rules, derivation)
        for part in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "arithmetic"
    }
    assert used == set(KERNEL)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNEL)
def test_every_mutant_makes_a_lemma_false_or_is_the_same_function(name: str) -> None:
    pytest.importorskip("z3")
    status, detail = rules.by_mutants(name)
    assert status == "proved", detail


def test_every_formula_has_mutants_and_hardly_any_is_the_same_function() -> None:
    found = [mutant.name for mutant in mutants.mutants()]
    assert set(found) == set(KERNEL)
    assert len(found) > 350


@pytest.mark.slow
def test_run_reports_every_lemma_by_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LEMMAS", rules.LEMMAS[:1])
    monkeypatch.setattr(rules, "KERNEL", {"covers": KERNEL["covers"]})
    monkeypatch.setattr(rules, "by_mutants", lambda name: ("proved", name))
    seen = []
    outcomes = rules.run(seen.append)
    assert seen == outcomes
    assert [o.method for o in outcomes] == ["identity", "z3", "cvc5", "twins", "mutants"]
    assert all(o.seconds > 0 and o.statement for o in outcomes)


CONDITIONS = {
    "Moving": {"low < b", "high < b", "r * b % g == 0"},
    "Fold": {"n == N", "s == 1", "low >= d * (K - 1)", "high >= d * (K - 1)"},
    "period=1)": {"low < b", "high < b", "d == 1", "K % (N * b) == 0"},
    "period=N * b // g)": {"low < b", "high < b", "r * b % g == 0", "not made.step != 0"},
    "period=p // g)": {"b == 1", "low <= 0", "high <= 0"},
    "Scene": {"s > 0", "r * b % s == 0"},
}
"""What the lemmas about windows suppose, by what the rule gives then."""


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("kind", ["moving", "still", "fold", "scene"])
def test_windows_give_nothing_but_what_the_lemmas_are_about(kind: str, flags: tuple) -> None:
    given = paths.Given(sliding.SLIDE, gcd=unknown("g"), inverse=unknown("inverse"))
    dim = sliding.along_axis(*map(unknown, ("K", "s", "low", "high", "b", "d")))
    op = sliding.function(linear=flags[0], symmetric=flags[1])
    size = "((n - 1) * b + 1 + low + high - 1 - d * (K - 1)) // s + 1"
    seen = set()
    for path in paths.explore(given.rule, MAJOR[kind], dim, op):
        if not path.result:  # refused, or one cell that stays
            continue
        (made,) = path.result
        told = {str(asked) for asked, yes in zip(path.asked, path.answers, strict=True) if yes}
        if str(path.asked[-3]).endswith("!= 0") and not path.answers[-3]:
            told.add("not made.step != 0")
        if "s < 0" in told:  # which the smallest of the numbers is not
            continue
        assert made.n.text == size
        assert {"K >= 1", "s >= 1", "b >= 1", "d >= 1"} & told
        assert f"{size} > 0" in told
        claims = [text for text in CONDITIONS if text in str(made)]
        for text in claims:
            assert told >= CONDITIONS[text]
        seen |= set(claims)
        says_nothing = f"period={size})", "period=((n - 1) * b + 1 + low + high) // g)"
        assert claims or str(made).endswith(says_nothing)
    whole = {"period=1)"} if flags[1] else set()
    laps = {"Fold"} if flags[0] else set()
    moving = {"Moving", "period=N * b // g)", *whole, *laps}
    others = {"still": {"period=p // g)"}, "fold": set(), "scene": {"Scene"}}
    assert seen == ({"moving": moving} | others)[kind]
