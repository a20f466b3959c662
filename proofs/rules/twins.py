"""Twins: a lemma with one hypothesis less must be false, and all its hypotheses together must have a model.

z3 finds the models; each is then replayed on plain integers by the kernel's own functions, so nothing here rests on
the solver's word. A size that the formulas divide by is needed without asking: there is no division by 0.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from proofs.rules.lemma import KERNEL, Lemma
from proofs.rules.solvers import Questions, Undecided, negation
from proofs.rules.terms import divisions, unknown

Formulas = Mapping[str, Callable[..., Any]]


NEEDLESS = "no numbers were found for which the lemma is false without it"


class Twin(NamedTuple):
    """What was dropped, and the numbers for which the lemma is false then; or why none were found."""

    dropped: str
    model: dict[str, int] | None
    note: str = ""


def twins(lemma: Lemma, questions: Questions) -> Iterator[Twin]:
    """One twin for every size and every hypothesis."""
    claim = lemma.claim()
    for name in claim.hypotheses():
        model = counterexample(lemma, questions, dropped=name)
        yield Twin(str(claim.hypotheses()[name]), model, "" if model else NEEDLESS)
    for name in lemma.sizes:
        if _is_divided_by(lemma, name):
            yield Twin(f"{name} > 0", {name: 0}, "it is divided by")
        else:
            model = counterexample(lemma, questions, dropped=name)
            yield Twin(f"{name} > 0", model, "" if model else NEEDLESS)


def example(lemma: Lemma, questions: Questions) -> dict[str, int] | None:
    """Numbers that meet all hypotheses, sizes above 1 where they can be."""
    claim = lemma.claim()
    facts = list(claim.hypotheses().values())
    large = [size > 1 for size in map(unknown, lemma.sizes)]
    answer = questions.ask([*facts, *large], small=True)
    if answer.word != "sat":
        answer = questions.ask(facts, small=True)
    if answer.word != "sat":
        return None
    values = _filled(lemma, answer.model)
    met = lemma.claim(values=values).hypotheses().values()
    return values if all(map(bool, met)) else None


def counterexample(
    lemma: Lemma, questions: Questions, *, formulas: Formulas = KERNEL, dropped: str = ""
) -> dict[str, int] | None:
    """Numbers for which the hypotheses hold, but for one that is dropped, and a conclusion does not."""
    claim = lemma.claim(formulas)
    facts = list(claim.without(dropped).hypotheses().values())
    facts += [y > 0 for goal in claim.then for _, y in divisions(goal.truth).values()]
    kept = Questions(questions.solver, questions.sizes - {dropped}, seconds=questions.seconds)
    for goal in claim.then:
        answer = kept.ask([*facts, negation(goal.truth)], small=True)
        if answer.word == "sat":
            values = _filled(lemma, answer.model)
            if is_false(lemma, values, formulas, dropped=dropped):
                return values
            raise Undecided(f"the model {values} of {goal.truth} is none for plain integers")
    return None


def is_false(
    lemma: Lemma, values: Mapping[str, int], formulas: Formulas = KERNEL, *, dropped: str = ""
) -> bool:
    """Whether the lemma is false for these numbers, in Python's own arithmetic, less a hypothesis that is dropped."""
    if any(values[size] < 1 for size in lemma.sizes if size != dropped):
        return False
    try:
        claim = lemma.claim(formulas, values)
    except ZeroDivisionError:
        return False
    hypotheses = claim.without(dropped).hypotheses().values()
    return all(map(bool, hypotheses)) and not all(bool(goal.truth) for goal in claim.then)


def _is_divided_by(lemma: Lemma, size: str) -> bool:
    """Whether the formulas divide by it, or by what is 0 where it is."""
    values = dict.fromkeys((*lemma.sizes, *lemma.integers), 1) | {size: 0}
    try:
        claim = lemma.claim(values=values)
        all([*map(bool, claim.hypotheses().values()), *(bool(goal.truth) for goal in claim.then)])
    except ZeroDivisionError:
        return True
    return False


def _filled(lemma: Lemma, model: Mapping[str, int]) -> dict[str, int]:
    """The model with a number for unknowns that no question was about."""
    names = (*lemma.sizes, *lemma.integers)
    return {name: model.get(name, int(name in lemma.sizes)) for name in names}
