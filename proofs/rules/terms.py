"""Symbols that the kernel's formulas run on: integers not yet known, and relations between them that are not yet true.

A `Term` is what a formula did, written down. A solver translates it, a polynomial expands it, its text is a line of
mathematics. A relation of unknowns has no truth value, so a formula that branches cannot be run on them; a rule that
does can, once it is said what to answer (paths.py).
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, Union

from proofs.rules.errors import Misstated

Integer = Union[int, "Term"]
Truth = Union[bool, "Relation"]

ARITHMETIC: Mapping[str, tuple[int, Callable[[int, int], int]]] = {
    "+": (1, operator.add),
    "-": (1, operator.sub),
    "*": (2, operator.mul),
    "//": (2, operator.floordiv),
    "%": (2, operator.mod),
}
"""How strongly each operation binds, and what it does to integers."""

COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


DECIDERS: list[Callable[["Relation"], bool]] = []
"""Who says whether a relation holds, the last first."""


class Relation:
    """Two terms, compared; whether it holds is for a proof to say."""

    __slots__ = ("left", "op", "right")

    def __init__(self, op: str, left: "Term", right: "Term") -> None:
        self.op, self.left, self.right = op, left, right

    def __repr__(self) -> str:
        return f"{self.left} {self.op} {self.right}"

    def __bool__(self) -> bool:
        if DECIDERS:
            return DECIDERS[-1](self)
        if all(term.op != "unknown" for term in subterms(self)):
            return COMPARISONS[self.op](evaluate(self.left, {}), evaluate(self.right, {}))
        raise Misstated(f"a formula asks whether {self} before it is known; formulas do not branch")


class Term:
    """A number, an unknown, or an operation on two terms. Two terms with the same text are the same."""

    __slots__ = ("args", "op", "text")
    __hash__ = None  # type: ignore[assignment]  # == is a relation, so terms are no keys; their texts are

    def __init__(self, op: str, *args: "Term", text: str = "") -> None:
        self.op, self.args, self.text = op, args, text or _text(op, *args)

    def __repr__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> NoReturn:
        raise Misstated(f"a formula asks for the number {self} before it is known")

    def __add__(self, other: Integer) -> "Term":
        return Term("+", self, lift(other))

    def __radd__(self, other: int) -> "Term":
        return Term("+", lift(other), self)

    def __sub__(self, other: Integer) -> "Term":
        return Term("-", self, lift(other))

    def __rsub__(self, other: int) -> "Term":
        return Term("-", lift(other), self)

    def __mul__(self, other: Integer) -> "Term":
        return Term("*", self, lift(other))

    def __rmul__(self, other: int) -> "Term":
        return Term("*", lift(other), self)

    def __neg__(self) -> "Term":
        return lift(0) - self

    def __floordiv__(self, other: Integer) -> "Term":
        return Term("//", self, lift(other))

    def __rfloordiv__(self, other: int) -> "Term":
        return Term("//", lift(other), self)

    def __mod__(self, other: Integer) -> "Term":
        return Term("%", self, lift(other))

    def __rmod__(self, other: int) -> "Term":
        return Term("%", lift(other), self)

    def __eq__(self, other: Integer) -> Relation:  # type: ignore[override]
        return Relation("==", self, lift(other))

    def __ne__(self, other: Integer) -> Relation:  # type: ignore[override]
        return Relation("!=", self, lift(other))

    def __lt__(self, other: Integer) -> Relation:
        return Relation("<", self, lift(other))

    def __le__(self, other: Integer) -> Relation:
        return Relation("<=", self, lift(other))

    def __gt__(self, other: Integer) -> Relation:
        return Relation(">", self, lift(other))

    def __ge__(self, other: Integer) -> Relation:
        return Relation(">=", self, lift(other))


def unknown(name: str) -> Term:
    """An integer that is not known."""
    return Term("unknown", text=name)


def lift(value: Integer) -> Term:
    """A term, of an integer too."""
    return value if isinstance(value, Term) else Term("number", text=str(operator.index(value)))


def subterms(value: Integer | Relation) -> Iterator[Term]:
    """All terms within, parts before the whole."""
    if isinstance(value, Relation):
        yield from subterms(value.left)
        yield from subterms(value.right)
    elif isinstance(value, Term):
        for part in value.args:
            yield from subterms(part)
        yield value


def divisions(value: Integer | Relation) -> dict[str, tuple[Term, Term]]:
    """Dividend and divisor of every // and %, by the text of the quotient, inner ones first."""
    found = [part.args for part in subterms(value) if part.op in ("//", "%")]
    return {quotient(x, y): (x, y) for x, y in found}


def quotient(x: Term, y: Term) -> str:
    """The name of the quotient of x by y."""
    return (x // y).text


def evaluate(term: Term, values: Mapping[str, int]) -> int:
    """The number that a term is, in Python's arithmetic."""
    if term.op == "number":
        return int(term.text)
    if term.op == "unknown":
        return values[term.text]
    return ARITHMETIC[term.op][1](*(evaluate(part, values) for part in term.args))


def _text(op: str, left: Term, right: Term) -> str:
    binds = ARITHMETIC[op][0]
    return f"{_within(left, binds)} {op} {_within(right, binds + 1)}"


def _within(term: Term, binds: int) -> str:
    loose = term.op in ARITHMETIC and ARITHMETIC[term.op][0] < binds
    return f"({term})" if loose or term.text.startswith("-") else term.text
