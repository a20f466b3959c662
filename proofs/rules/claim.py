"""Claims: what a lemma supposes and concludes, as data, with the hints that turn each conclusion into an identity.

A goal that is a congruence comes with its multiplier: `x % y == 0` because x = y m. A goal that is an inequality comes
with a refutation: if it were false, then -1 would be a sum of products of numbers that are not negative. `NO` stands
for the number that would not be negative then. Solvers need no hints; z3 is given none.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from proofs.rules.errors import Misstated
from proofs.rules.terms import Integer, Relation, Truth, unknown

NO = unknown("¬")
"""In a refutation, what would not be negative if the goal were false: for a >= b, that is b - a - 1."""

Using = Mapping[str, Integer]
"""Hypotheses that are equations, by name, each with the factor that it is taken with."""


class Same(NamedTuple):
    """Both sides are one polynomial."""

    using: Using


class Times(NamedTuple):
    """x % y == 0 because x = y m."""

    m: Integer
    using: Using


class Refuted(NamedTuple):
    """-1 = the sum of the products, whose factors are not negative."""

    products: tuple[tuple[Integer, ...], ...]
    using: Using


class Split(NamedTuple):
    """An equation is refuted twice: were the left side larger, were it smaller."""

    larger: Refuted
    smaller: Refuted


Proof = Same | Times | Refuted | Split


class Goal(NamedTuple):
    """A conclusion and its hint."""

    truth: Truth
    proof: Proof


class Claim(NamedTuple):
    """From `given`, by the intermediate steps `cuts`, follows every member of `then`."""

    given: Mapping[str, Truth | tuple[Truth, ...]]
    then: tuple[Goal, ...]
    cuts: tuple[Goal, ...] = ()

    def hypotheses(self) -> dict[str, Truth]:
        """Each by its name; the members of a condition of the kernel are numbered."""
        return dict(self._flat())

    def uses_equations(self) -> bool:
        """Whether an identity takes hypotheses with a factor; bare, these are too hard for solvers."""
        return any(getattr(goal.proof, "using", None) for goal in self.then)

    def _flat(self) -> Iterator[tuple[str, Truth]]:
        for name, given in self.given.items():
            members = given if isinstance(given, tuple) else (given,)
            for number, truth in enumerate(members, 1):
                if truth is not True or not isinstance(given, tuple):
                    yield f"{name} {number}" if len(members) > 1 else name, truth

    def without(self, name: str) -> "Claim":
        """The claim with one hypothesis less; it should be false."""
        kept = {other: truth for other, truth in self.hypotheses().items() if other != name}
        return self._replace(given=kept, cuts=())


def same(a: Integer, b: Integer, **using: Integer) -> Goal:
    """a == b, as polynomials."""
    return Goal(a == b, Same(using))


def congruent(
    a: Integer, b: Integer, modulus: Integer, *, times: Integer, **using: Integer
) -> Goal:
    """Two positions are the same cell of a signal of this period: a - b = modulus times."""
    return Goal((a - b) % modulus == 0, Times(times, using))


def because(*products: Integer | tuple[Integer, ...], **using: Integer) -> Refuted:
    """The refutation with these products, of one factor or several."""
    return Refuted(tuple(p if isinstance(p, tuple) else (p,) for p in products), using)


def holds(truth: Truth, *products: Integer | tuple[Integer, ...], **using: Integer) -> Goal:
    """An inequality, by refutation."""
    return Goal(truth, because(*products, **using))


def either_way(truth: Truth, larger: Refuted, smaller: Refuted) -> Goal:
    """An equation, by two refutations."""
    return Goal(truth, Split(larger, smaller))


def exactly(x: Integer, y: Integer, result: Integer) -> Goal:
    """x // y == result where x = y result."""
    rest = x % y
    larger = because((y, NO), rest, y - 1)
    smaller = because((y, NO), y - 1 - rest)
    return either_way(x // y == result, larger, smaller)


def each(condition: tuple[Truth, ...], *proofs: Proof | Integer) -> tuple[Goal, ...]:
    """All members of a condition of the kernel; a bare number is a multiplier."""
    if len(condition) != len(proofs):
        raise Misstated(f"{len(condition)} conditions meet {len(proofs)} proofs")
    hints = [p if isinstance(p, Same | Times | Refuted | Split) else Times(p, {}) for p in proofs]
    return tuple(map(Goal, condition, hints))


def is_congruence(truth: Truth) -> bool:
    """Whether it reads x % y == 0."""
    if not isinstance(truth, Relation) or truth.op != "==":
        return False
    return truth.left.op == "%" and (truth.right.op, truth.right.text) == ("number", "0")
