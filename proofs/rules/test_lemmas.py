"""All lemmas by all methods, and that they are about the kernel: all of it, and nothing else."""

import ast
import inspect
import random

import pytest

from proofs import rules
from proofs.rules import mutants, solvers
from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.twins import is_false
from shiftproof_kernel import arithmetic, facts
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


@EVERY
def test_hypotheses_can_be_met_and_each_is_needed(lemma: Lemma) -> None:
    pytest.importorskip("z3")
    status, detail = rules.by_twins(lemma)
    assert status == "proved", detail


@EVERY
def test_no_plain_numbers_are_against_it(lemma: Lemma) -> None:
    dice = random.Random(lemma.name)
    for _ in range(2000):
        values = {name: dice.randint(1, 6) for name in lemma.sizes}
        values |= {name: dice.randint(-4, 8) for name in lemma.integers}
        assert not is_false(lemma, values), values


@EVERY
def test_it_says_something_of_the_kernel_in_one_line(lemma: Lemma) -> None:
    assert lemma.used()
    assert lemma.statement.isprintable()
    assert " ⟹ " in lemma.formula()


def test_names_are_names() -> None:
    assert len({lemma.name for lemma in rules.LEMMAS}) == len(rules.LEMMAS)


def test_every_formula_of_the_kernel_has_a_lemma() -> None:
    assert set(KERNEL) == set().union(*(lemma.used() for lemma in rules.LEMMAS))
    written = ast.parse(inspect.getsource(arithmetic)).body
    assert set(KERNEL) == {part.name for part in written if isinstance(part, ast.FunctionDef)}


def test_the_rules_of_the_kernel_use_every_formula() -> None:
    used = {
        part.attr
        for module in (facts, kernel_rules)
        for part in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "arithmetic"
    }
    assert used == set(KERNEL)


@pytest.mark.parametrize("name", KERNEL)
def test_every_mutant_makes_a_lemma_false_or_is_the_same_function(name: str) -> None:
    pytest.importorskip("z3")
    status, detail = rules.by_mutants(name)
    assert status == "proved", detail


def test_every_formula_has_mutants_and_hardly_any_is_the_same_function() -> None:
    found = [mutant.name for mutant in mutants.mutants()]
    assert set(found) == set(KERNEL)
    assert len(found) > 350


def test_run_reports_every_lemma_by_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LEMMAS", rules.LEMMAS[:1])
    monkeypatch.setattr(rules, "KERNEL", {"covers": KERNEL["covers"]})
    monkeypatch.setattr(rules, "by_mutants", lambda name: ("proved", name))
    seen = []
    outcomes = rules.run(seen.append)
    assert seen == outcomes
    assert [o.method for o in outcomes] == ["identity", "z3", "cvc5", "twins", "mutants"]
    assert all(o.seconds > 0 and o.statement for o in outcomes)
