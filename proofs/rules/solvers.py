"""Routes one and two: lemmas in z3 and cvc5, over unbounded integers, without quantifiers.

Both see a division as its witness: x // y and x % y are q and r with x = y q + r and 0 <= r < y, once y is known to be
positive. Written with the solver's own `mod` the same lemmas time out. z3 gets the bare lemma where that will do,
cvc5 the hints as cuts, each of which it proves before it may use it. Anything but `unsat` in time is no proof.
"""

import functools
import importlib
import operator
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

from proofs.rules.claim import NO, Claim, Goal, Refuted, Split, Times, because, is_congruence
from proofs.rules.terms import (
    COMPARISONS,
    Integer,
    Relation,
    Term,
    Truth,
    divisions,
    lift,
    subterms,
    unknown,
)

SECONDS = 10
"""After this a question counts as not answered."""
SMALL = 12
"""Models are first looked for among integers no larger than this, since they are to be read."""

Method = Literal["z3", "cvc5"]
MODULES: Mapping[Method, str] = {"z3": "z3", "cvc5": "cvc5.pythonic"}


class Undecided(Exception):
    """The solver found no proof: a countermodel, or no answer."""


def load(method: Method) -> ModuleType | None:
    """The solver's Python interface; None where it is not installed."""
    try:
        return importlib.import_module(MODULES[method])
    except ImportError:
        return None


class Answer(NamedTuple):
    """`sat`, `unsat` or `unknown`, and the model of the unknowns where there is one."""

    word: str
    model: dict[str, int]


class Questions:
    """One solver, asked about terms. Positive divisors are known by their text."""

    def __init__(self, solver: ModuleType, sizes: Iterable[str], *, seconds: float) -> None:
        self.solver: Any = solver
        self.sizes = frozenset(sizes)
        self.seconds = seconds
        self.context: Any = None

    def ask(self, truths: Sequence[Truth], *, small: bool = False) -> Answer:
        """Whether all of them can hold together, with every size and every divisor in them positive."""
        self.context = self.solver.Context()  # so that no answer depends on what was asked before
        solver, limit = self.solver.Solver(ctx=self.context), round(1000 * self.seconds)
        if self.solver.__name__ == "z3":
            solver.set("timeout", limit)
        else:
            solver.setOption("tlimit-per", str(limit))
            solver.setOption("produce-models", "true")
        terms = [term for truth in truths for term in subterms(truth)]
        names = sorted({term.text for term in terms if term.op == "unknown"} | self.sizes)
        for name in names:
            variable = self.term(unknown(name))
            if name in self.sizes:
                solver.add(variable >= 1)
            if small:
                solver.add(variable <= SMALL, variable >= -SMALL)
        pairs = {key: pair for truth in truths for key, pair in divisions(truth).items()}
        for x, y in pairs.values():
            q, r = self.term(x // y), self.term(x % y)
            solver.add(self.term(x) == self.term(y) * q + r, r >= 0, r < self.term(y))
        for truth in truths:
            solver.add(self.truth(truth))
        word, model = str(solver.check()), {}
        if word == "sat":
            found = solver.model()
            for name in names:
                value = found.eval(self.term(unknown(name)), model_completion=True)
                model[name] = int(str(value))
        return Answer(word, model)

    def truth(self, truth: Truth) -> Any:
        """The solver's formula."""
        if isinstance(truth, bool):
            return self.solver.BoolVal(truth, self.context)
        return COMPARISONS[truth.op](self.term(truth.left), self.term(truth.right))

    def term(self, term: Term) -> Any:
        """The solver's term; quotients and remainders are variables of their own."""
        match term.op, *(term.args):
            case ("number",):
                return self.solver.IntVal(int(term.text), self.context)
            case ("unknown",):
                return self.solver.Int(term.text, self.context)
            case (("//" | "%"), x, y):
                return self.solver.Int(f"{'q' if term.op == '//' else 'r'} {x // y}", self.context)
            case "+", x, y:
                return self.term(x) + self.term(y)
            case "-", x, y:
                return self.term(x) - self.term(y)
            case "*", x, y:
                return self.term(x) * self.term(y)
        raise TypeError(f"{term.op} is no operation")

    def need(self, facts: Sequence[Truth], truth: Truth) -> None:
        """Prove it from the facts, or raise."""
        answer = self.ask([*facts, negation(truth)])
        if answer.word != "unsat":
            shown = ", ".join(f"{name} = {value}" for name, value in answer.model.items())
            word = f"false at {shown}" if answer.word == "sat" else f"no answer in {self.seconds} s"
            raise Undecided(f"{truth}: {word}")


def negation(truth: Truth) -> Truth:
    """What holds where it does not."""
    return not truth if isinstance(truth, bool) else opposite(truth)


def opposite(relation: Relation) -> Relation:
    """The relation that holds where this one does not."""
    words = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
    return Relation(words[relation.op], relation.left, relation.right)


def prove(
    method: Method, claim: Claim, sizes: Iterable[str], seconds: float = SECONDS
) -> str | None:
    """None where the solver proves every conclusion, otherwise which one it does not, and why."""
    solver = load(method)
    if solver is None:
        raise ModuleNotFoundError(MODULES[method])
    questions = Questions(solver, sizes, seconds=seconds)
    facts: list[Truth] = []
    try:
        for truth in claim.hypotheses().values():
            _need_divisors(questions, facts, [truth])
            facts.append(truth)
        if method == "z3" and not claim.cuts and not claim.uses_equations():
            for goal in claim.then:
                _need_divisors(questions, facts, [goal.truth])
                questions.need(facts, goal.truth)
        else:
            for goal in (*claim.cuts, *claim.then):
                _need_divisors(questions, facts, [goal.truth])
                _need_by_cuts(questions, facts, goal)
                if goal in claim.cuts:
                    facts.append(goal.truth)
    except Undecided as reason:
        return str(reason)
    return None


def _need_divisors(questions: Questions, facts: Sequence[Truth], truths: Sequence[Truth]) -> None:
    """Every divisor is positive, which must not be taken from its own witness."""
    for truth in truths:
        for _, y in divisions(truth).values():
            if y.text not in questions.sizes:
                questions.need(facts, y > 0)


def _need_by_cuts(questions: Questions, facts: Sequence[Truth], goal: Goal) -> None:
    """By the hints. A congruence x % y == 0 is x == y m, of which no rest is left whatever x, y, m are; where an
    inequality is refuted, no product of what is not negative is negative.
    """
    match goal.proof:
        case Times(m) if isinstance(goal.truth, Relation) and is_congruence(goal.truth):
            x, y = goal.truth.left.args
            questions.need(facts, x == y * m)
            _need_no_rest(questions.solver, questions.seconds)
        case Split(larger, smaller) if not isinstance(goal.truth, bool):
            left, right = goal.truth.left, goal.truth.right
            _need_by_products(questions, facts, left <= right, larger)
            _need_by_products(questions, facts, left >= right, smaller)
            questions.need([left <= right, left >= right], goal.truth)
        case Refuted() as refuted if not isinstance(goal.truth, bool):
            _need_by_products(questions, facts, goal.truth, refuted)
        case _:
            questions.need(facts, goal.truth)


def _need_by_products(
    questions: Questions, facts: Sequence[Truth], truth: Relation, refuted: Refuted
) -> None:
    no = opposite(truth)
    known = [*facts, no]
    for product in refuted.products:
        if len(product) > 1:
            factors = [_without_no(factor, no) for factor in product]
            for factor in factors:
                questions.need([*facts, no], factor >= 0)
            known.append(functools.reduce(operator.mul, factors) >= 0)
    _need_no_minus(questions.solver, questions.seconds)
    questions.need(known, truth)


@functools.cache
def _need_no_minus(solver: ModuleType, seconds: float) -> None:
    """A product of numbers that are not negative is not negative."""
    x, y = unknown("x"), unknown("y")
    Questions(solver, (), seconds=seconds).need([x >= 0, y >= 0], x * y >= 0)


@functools.cache
def _need_no_rest(solver: ModuleType, seconds: float) -> None:
    """If x = y m then x % y = y k with k = m - x // y, and k = 0, since 0 <= y k < y."""
    x, y, m, k, rest = map(unknown, ("x", "y", "m", "k", "rest"))
    questions = Questions(solver, (), seconds=seconds)
    questions.need([y > 0, x == y * m], x % y == y * (m - x // y))
    facts = [y > 0, rest == y * k, rest >= 0, rest < y]
    _need_by_products(questions, facts, k <= 0, because((y, NO)))
    _need_by_products(questions, facts, k >= 0, because((y, NO)))
    questions.need([k <= 0, k >= 0, rest == y * k], rest == 0)


def _without_no(factor: Integer, no: Relation) -> Term:
    """What is not negative if the relation holds, in the place of `NO`."""
    if not isinstance(factor, Term) or factor.text != NO.text:
        return lift(factor)
    more, less = (no.left, no.right) if no.op in (">", ">=") else (no.right, no.left)
    return more - less - (1 if no.op in (">", "<") else 0)
