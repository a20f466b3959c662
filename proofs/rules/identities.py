"""Route three: every lemma as identities between polynomials, which this page checks without any solver.

Hypotheses that are equations are solved for a symbol of theirs and put in; those that cannot be solved come with a
factor. Then x - y m must be the polynomial 0 for a congruence, and 1 + the sum of the products must be 0 for an
inequality. Each factor of a product must be one of the numbers known not to be negative: sizes and sizes less one,
hypotheses, remainders x % y and what they lack of y.
"""

from collections.abc import Iterable, Mapping

from proofs.rules.claim import NO, Claim, Goal, Refuted, Same, Split, Times, is_congruence
from proofs.rules.polynomial import (
    Polynomial,
    add,
    expand,
    is_positive,
    multiply,
    show,
    substitute,
)
from proofs.rules.terms import Integer, Relation, Term, Truth, divisions


class Unproved(Exception):
    """An identity that does not hold, or is not of the form that it should have."""


class Known:
    """What is known so far: symbols that are solved, equations that are not, numbers that are not negative."""

    def __init__(self, sizes: Iterable[str]) -> None:
        self.sizes = frozenset(sizes)
        self.solved: list[tuple[str, Polynomial]] = []
        self.equations: dict[str, Polynomial] = {}
        self.bounds: list[Polynomial] = []

    def reduced(self, poly: Polynomial) -> Polynomial:
        """With the solved symbols put in."""
        for symbol, by in self.solved:
            poly = substitute(poly, symbol, by)
        return poly

    def suppose(self, name: str, truth: Truth) -> None:
        """Take a relation as known."""
        if isinstance(truth, bool):
            if not truth:
                raise Unproved(f"the hypothesis {name} is false")
            return
        self.divide(truth)
        difference = add(expand(truth.left), expand(truth.right), -1)
        match truth.op:
            case "==":
                self._equation(name, self.reduced(difference), truth)
            case ">" | ">=":
                self._bound(difference, strict=truth.op == ">")
            case "<" | "<=":
                self._bound(multiply({(): -1}, difference), strict=truth.op == "<")
            case _:
                raise Unproved(f"{truth} is no hypothesis that this page knows")

    def divide(self, value: Integer | Relation) -> None:
        """Divisors are positive; remainders lie between 0 and these."""
        for x, y in divisions(value).values():
            divisor = expand(y)
            if not self.not_negative(add(divisor, {(): 1}, -1)):
                raise Unproved(f"the divisor {y} is not known to be positive")
            self._bound(expand(x % y))
            self._bound(add(add(divisor, {(): 1}, -1), expand(x % y), -1))

    def not_negative(self, poly: Polynomial) -> bool:
        """Whether it is one of the numbers that are known not to be negative."""
        if not poly or set(poly) == {()}:
            return poly.get((), 0) >= 0
        if is_positive(poly, self.sizes) or is_positive(add(poly, {(): 1}), self.sizes):
            return True
        above = [add(self.reduced(poly), self.reduced(bound), -1) for bound in self.bounds]
        return any(set(rest) <= {()} and rest.get((), 0) >= 0 for rest in above)

    def _bound(self, poly: Polynomial, *, strict: bool = False) -> None:
        self.bounds.append(add(poly, {(): 1}, -1) if strict else poly)

    def _equation(self, name: str, difference: Polynomial, truth: Relation) -> None:
        """Solve for a symbol that stands alone, once, with the factor 1 or -1."""
        alone = [
            monomial[0]
            for monomial, c in difference.items()
            if len(monomial) == 1
            and abs(c) == 1
            and sum(other.count(monomial[0]) for other in difference) == 1
        ]
        alone.sort(key=lambda symbol: symbol != truth.left.text)
        self.equations[name] = difference
        if alone:
            symbol = alone[0]
            sign = difference[(symbol,)]
            rest = {m: -sign * c for m, c in difference.items() if m != (symbol,)}
            self.solved.append((symbol, rest))


def check(claim: Claim, sizes: Iterable[str]) -> str | None:
    """None where every conclusion is proved, otherwise the first identity that fails."""
    known = Known(sizes)
    try:
        for name, truth in claim.hypotheses().items():
            known.suppose(name, truth)
        for number, cut in enumerate(claim.cuts):
            _prove(known, cut)
            known.suppose(f"cut {number + 1}", cut.truth)
        for goal in claim.then:
            _prove(known, goal)
    except Unproved as reason:
        return str(reason)
    return None


def _prove(known: Known, goal: Goal) -> None:
    truth, proof = goal
    if isinstance(truth, bool):
        if not truth:
            raise Unproved("a conclusion is false")
        return
    known.divide(truth)
    left, right = expand(truth.left), expand(truth.right)
    match proof:
        case Same(using):
            if truth.op != "==":
                raise Unproved(f"{truth} is no equation")
            _vanishes(known, add(left, right, -1), using, truth)
        case Times(m, using):
            if not is_congruence(truth):
                raise Unproved(f"{truth} is no congruence")
            x, y = truth.left.args
            _vanishes(known, add(expand(x), multiply(expand(y), expand(m)), -1), using, truth)
        case Refuted():
            no = add(right, left, -1)
            match truth.op:
                case ">=":
                    _refute(known, add(no, {(): 1}, -1), proof, truth)
                case ">":
                    _refute(known, no, proof, truth)
                case "<=":
                    _refute(known, add(multiply({(): -1}, no), {(): 1}, -1), proof, truth)
                case "<":
                    _refute(known, multiply({(): -1}, no), proof, truth)
                case _:
                    raise Unproved(f"{truth} is no inequality")
        case Split(larger, smaller):
            if truth.op != "==":
                raise Unproved(f"{truth} is no equation")
            _refute(known, add(add(left, right, -1), {(): 1}, -1), larger, truth)
            _refute(known, add(add(right, left, -1), {(): 1}, -1), smaller, truth)


def _refute(known: Known, no: Polynomial, proof: Refuted, truth: Relation) -> None:
    """1 + the sum of the products is 0, if `no` were not negative."""
    total: Polynomial = {(): 1}
    for product in proof.products:
        value: Polynomial = {(): 1}
        for factor in product:
            supposed = isinstance(factor, Term) and factor.text == NO.text
            poly = no if supposed else expand(factor)
            if not supposed and not known.not_negative(poly):
                raise Unproved(f"{factor} is not known not to be negative, for {truth}")
            value = multiply(value, poly)
        total = add(total, value)
    _vanishes(known, total, proof.using, truth)


def _vanishes(
    known: Known, poly: Polynomial, using: Mapping[str, Integer], truth: Relation
) -> None:
    """The polynomial is 0, less the equations that are named, times their factors."""
    for name, factor in using.items():
        if name not in known.equations:
            raise Unproved(f"there is no equation named {name}")
        poly = add(poly, multiply(expand(factor), known.equations[name]), -1)
    rest = known.reduced(poly)
    if rest:
        raise Unproved(f"{truth}: {show(rest)} is left over")
