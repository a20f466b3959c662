"""What is false is not proved, by any method, and for the right reason; what is missing proves nothing."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from proofs import rules
from proofs.rules import factors, identities, mutants, paths, solvers, terms, twins
from proofs.rules.claim import (
    NO,
    Claim,
    Goal,
    Times,
    because,
    congruent,
    each,
    either_way,
    exactly,
    holds,
    same,
)
from proofs.rules.errors import Misstated
from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.polynomial import expand, substitute
from proofs.rules.terms import unknown

x, y, m = map(unknown, ("x", "y", "m"))
METHODS = pytest.mark.parametrize("method", solvers.MODULES)


def questions(*sizes: str, seconds: float = 10) -> solvers.Questions:
    pytest.importorskip("z3")
    solver = solvers.load("z3")
    assert solver is not None
    return solvers.Questions(solver, sizes, seconds=seconds)


def named(name: str) -> Lemma:
    return next(lemma for lemma in rules.LEMMAS if lemma.name == name)


# --- terms ---


def test_a_formula_that_branches_is_refused() -> None:
    with pytest.raises(Misstated, match="formulas do not branch"):
        min(x, y)
    with pytest.raises(Misstated, match="asks for the number x"):
        range(x)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


@pytest.mark.parametrize("seed", range(20))
def test_terms_polynomials_and_solvers_calculate_like_python(seed: int) -> None:
    dice = random.Random(seed)
    values = {"x": dice.randint(-9, 9), "y": dice.randint(1, 5), "m": dice.randint(-4, 4)}
    ours: Any
    ours, theirs = [x, y, m], list(values.values())
    divided = {}
    for _ in range(12):
        i, j = dice.randrange(len(ours)), dice.randrange(len(ours))
        op = dice.choice(["+", "-", "*", "//", "%"])
        if op in ("//", "%"):
            j = 1
            divided[(ours[i] // ours[j]).text] = theirs[i] // theirs[j]
        ours.append(terms.ARITHMETIC[op][1](ours[i], ours[j]))
        theirs.append(terms.ARITHMETIC[op][1](theirs[i], theirs[j]))
    poly = expand(ours[-1])
    for symbol, value in {**divided, **values}.items():
        poly = substitute(poly, symbol, {(): value})
    assert terms.evaluate(ours[-1], values) == poly.get((), 0) == theirs[-1]
    assert eval(ours[-1].text, {}, values) == theirs[-1]
    known = [unknown(name) == value for name, value in values.items()]
    questions("y").need(known, ours[-1] == theirs[-1])
    with pytest.raises(solvers.Undecided, match="false at"):
        questions("y").need(known, ours[-1] == theirs[-1] + 1)


# --- identities ---


@pytest.mark.parametrize(
    ("goal", "reason"),
    [
        (same(x + y, y + x + 1), "left over"),
        (same(x, y, nothing=1), "no equation named nothing"),
        (congruent(x * y, 0, 3, times=x), "left over"),
        (Goal(x % 3 == 1, Times(x, {})), "no congruence"),
        (Goal(x >= 3, Times(x, {})), "no congruence"),
        (congruent(x * y, 0, y, times=x), "divisor y is not known to be positive"),
        (congruent(x, 0, 0 * x, times=0), "not known to be positive"),
        (holds(x >= 0, x, NO), "x is not known not to be negative"),
        (holds(m >= 0, m), "left over"),
        (holds(m >= 2, m - 1, NO), "left over"),
        (holds(m > 1, m - 1, NO), "left over"),
        (holds(x == y, NO), "no inequality"),
        (Goal(x < y, same(x, x).proof), "no equation"),
        (either_way(x <= y, because(), because()), "no equation"),
        (either_way(m == 1, because(NO, m - 1), because(NO, m - 1)), "left over"),
        (exactly(x, m, x), "left over"),
        (Goal(False, same(x, x).proof), "a conclusion is false"),
    ],
)
def test_wrong_identities_are_found(goal: Goal, reason: str) -> None:
    found = identities.check(Claim({}, (goal,)), ["m"])
    assert found is not None
    assert reason in found


def test_wrong_hypotheses_are_found() -> None:
    assert identities.check(Claim({"no": False}, ()), []) == "the hypothesis no is false"
    found = identities.check(Claim({"odd": x != y}, ()), [])
    assert found is not None
    assert "no hypothesis that this page knows" in found


def test_a_cut_must_be_proved_before_it_is_used() -> None:
    claim = Claim({}, (same(x, y),), cuts=(same(x, y),))
    assert identities.check(claim, []) == "x == y: 1 [x] + -1 [y] is left over"
    assert identities.check(Claim({"given": x == y}, (same(x, y),)), []) is None


def test_right_identities_pass() -> None:
    goals = (holds(m >= 1, NO, m - 1), holds(m > 0, NO, m - 1), congruent(x * m, 0, m, times=x))
    assert identities.check(Claim({}, goals), ["m"]) is None


# --- solvers ---


@METHODS
def test_solvers_do_not_prove_what_is_false(method: solvers.Method) -> None:
    pytest.importorskip(solvers.MODULES[method])
    for goal in (same(x, x + 0 * y + 1), holds(m > 1, NO), congruent(x, 0, m, times=x)):
        found = solvers.prove(method, Claim({}, (goal,)), ["m"])
        assert found is not None
        assert "false at" in found
    assert solvers.prove(method, Claim({}, (Goal(False, same(x, x).proof),)), []) is not None


@METHODS
def test_a_divisor_that_may_be_0_is_no_theorem(method: solvers.Method) -> None:
    pytest.importorskip(solvers.MODULES[method])
    found = solvers.prove(method, Claim({}, (holds(x % y >= 0, x % y, NO),)), [])
    assert found is not None
    assert "y > 0: false at" in found


@pytest.mark.slow
@METHODS
def test_no_answer_in_time_is_no_proof(method: solvers.Method) -> None:
    pytest.importorskip(solvers.MODULES[method])
    cubes = x * x * x + y * y * y + m * m * m
    goal = Goal(cubes != 114, because())  # whether 114 is a sum of three cubes is not known
    found = solvers.prove(method, Claim({}, (goal,)), [], seconds=0.5)
    assert found is not None
    assert "no answer in 0.5 s" in found


@METHODS
def test_a_wrong_cut_proves_nothing(method: solvers.Method) -> None:
    pytest.importorskip(solvers.MODULES[method])
    found = solvers.prove(method, Claim({}, (same(x, y),), cuts=(same(x, y),)), [])
    assert found is not None
    assert "false at" in found


def test_a_missing_solver_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "MODULES", {"z3": "no_such_solver", "cvc5": "no_such_solver"})
    lemma = rules.LEMMAS[0]
    for status, detail in (
        rules.by_solver(lemma, "z3"),
        rules.by_solver(lemma, "cvc5"),
        rules.by_twins(lemma),
        rules.by_mutants("covers"),
    ):
        assert status == "not run"
        assert 'pip install "shiftproof[proofs]"' in detail
    assert rules.by_identity(lemma) == ("proved", "")


# --- the kernel's formulas ---

WRONG: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "strided_step": ("stride moves", lambda period, step, common, inverse: step // common),
    "places": ("one more does not", lambda cells, reach, stride: (cells - reach) // stride),
    "splits": ("split moves", lambda period, step, block: (period % block == 0,) * 2),
    "pads_inside": ("padding moves", lambda low, high, base: (low <= base, high < base)),
    "merge": (
        "merge moves",
        lambda n, period, offset, step, block: (
            n * block,
            period * block,
            offset * block,
            step,
        ),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_formula_breaks_every_proof(name: str) -> None:
    lemma, function = named(WRONG[name][0]), WRONG[name][1]
    formulas = {**KERNEL, name: function}
    claim = lemma.claim(formulas)
    assert identities.check(claim, lemma.sizes) is not None
    for method in solvers.MODULES:
        pytest.importorskip(solvers.MODULES[method])
        assert solvers.prove(method, claim, lemma.sizes, seconds=2) is not None
    model = twins.counterexample(lemma, questions(*lemma.sizes), formulas=formulas)
    assert model is not None
    assert twins.is_false(lemma, model, formulas)
    assert not twins.is_false(lemma, model)


def test_a_condition_of_another_length_is_misstated() -> None:
    with pytest.raises(Misstated, match="1 conditions meet 2 proofs"):
        each((True,), 1, 2)


# --- twins ---


def test_a_hypothesis_that_is_not_needed_is_found() -> None:
    lemma = Lemma(
        "idle",
        "n > 3, N | n: S[u + n] = S[u]",
        lambda k, N, *, n, u: Claim(
            {"covers": k.covers(n, N), "idle": n > 3}, (congruent(u + n, u, N, times=n // N),)
        ),
    )
    assert rules.by_identity(lemma) == ("proved", "")
    status, detail = rules.by_twins(lemma)
    assert status == "failed"
    assert detail == f"n > 3: {twins.NEEDLESS}"


def test_hypotheses_that_contradict_each_other_are_found() -> None:
    lemma = Lemma(
        "empty",
        "n ≡ 0 and n ≡ 1: anything",
        lambda k, N, *, n: Claim(
            {"covers": k.covers(n, N), "not": n % N == 1}, (same(n, n + 1, covers=1),)
        ),
    )
    status, detail = rules.by_twins(lemma)
    assert (status, detail) == ("failed", "no numbers were found that meet its hypotheses")


def test_numbers_below_the_sizes_are_no_counterexample() -> None:
    lemma = named("reach")
    values = {"d": -1, "K": 3, "t": 1}
    assert not twins.is_false(lemma, values)
    assert twins.is_false(lemma, values, dropped="d")


# --- mutants ---


def test_a_mutant_that_changes_nothing_is_the_same_function() -> None:
    nothing = mutants.Mutant("covers", "nothing", KERNEL["covers"])
    solver = questions().solver
    assert mutants.fate(nothing, rules.LEMMAS, solver, 3, {}).word == "the same"


@pytest.mark.slow
def test_mutants_survive_where_lemmas_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("z3")
    monkeypatch.setattr(rules, "LEMMAS", (named("whole periods"),))  # without the exact one
    status, detail = rules.by_mutants("covers")
    original = "(n % period == 0,)  →  "
    never = [original + "(n % period + 1 == 0,)", original + "(n % period == 0 - 1,)"]
    assert status == "failed"
    assert detail.split("; ") == ["11 of 14 killed, but not", *never]


@pytest.mark.slow
def test_the_numbers_that_kill_a_mutant_do_so_in_plain_python() -> None:
    lemmas = [lemma for lemma in rules.LEMMAS if "folds" in lemma.used()]
    killed = [f for f in mutants.fates(lemmas, questions().solver, 3, name="folds") if f.model]
    assert len(killed) > 20
    for fate in killed:
        formulas = {**KERNEL, "folds": fate.mutant.function}
        assert twins.is_false(named(fate.lemma), fate.model or {}, formulas)
        assert not twins.is_false(named(fate.lemma), fate.model or {})


# --- rules that branch ---


def wrong_merge(major: Any, minor: Any) -> Any:
    if minor.period > 1:
        given = major.n, major.period, major.offset, major.step, minor.n
        n, period, offset, step = KERNEL["merge"](*given)
        return factors.Moving(n, period, offset + 1, step)
    return None


def test_a_rule_that_wires_its_formulas_wrongly_breaks_every_proof() -> None:
    lemma = named("rule merge: moving, still")._replace(rule=wrong_merge)
    status, reason = rules.by_identity(lemma)
    assert status == "failed"
    assert "left over" in reason
    for method in solvers.MODULES:
        pytest.importorskip(solvers.MODULES[method])
        status, reason = rules.by_solver(lemma, method)
        assert status == "failed"
        assert "false at" in reason
    assert twins.counterexample(lemma, questions()) is not None


def test_a_path_is_taken_exactly() -> None:
    kinds = factors.Still(x, 1), factors.Moving(m, y, 0, 1)
    with pytest.raises(Misstated, match=r"_merge asks further: m % y == 0"):
        paths.along(factors.MERGE, *kinds, answers=[])
    with pytest.raises(Misstated, match=r"_merge asked m % y == 0, and that is another path"):
        paths.along(factors.MERGE, *kinds, answers=[True, True])
    with pytest.raises(Misstated, match="another path"):  # no factor says as much as both
        paths.along(factors.MERGE, *kinds, answers=[False])
    with pytest.raises(Misstated, match="another path"):  # refused
        paths.along(factors.SPLIT, kinds[1], x, answers=[False, False, False])
    assert not terms.DECIDERS


def test_exploring_finds_every_path_once_and_no_contradiction() -> None:
    def rule(number: Any) -> str:
        first = "a" if number > 0 else "b"
        second = "a" if number > 0 else "b"
        return first + second + ("c" if number > 5 else "d")

    found = [path.result for path in paths.explore(rule, x)]
    assert sorted(found) == ["aac", "aad", "bbc", "bbd"]


def test_another_power_than_the_inverse_is_misstated() -> None:
    def rule(number: Any) -> Any:
        return pow(number, 2, 3)

    with pytest.raises(Misstated, match="power 2"):
        paths.Given(rule, gcd=1, inverse=1).rule(x)


def test_numbers_decide_relations_and_unknowns_do_not() -> None:
    assert terms.lift(3) > terms.lift(2)
    assert not terms.lift(0)
    with pytest.raises(Misstated, match="asks whether x > 2 before it is known"):
        bool(x > 2)
