"""Polynomials with integer coefficients, and how a term becomes one. No solver, no library: this is the page to read.

A polynomial is a mapping from monomials to coefficients; a monomial is the sorted tuple of its symbols. A quotient is a
symbol of its own, named by its text, and a remainder is what is left: x % y = x - y (x // y).
"""

from collections import Counter
from collections.abc import Mapping

from proofs.rules.terms import Integer, lift, quotient

Polynomial = dict[tuple[str, ...], int]


def clean(poly: Mapping[tuple[str, ...], int]) -> Polynomial:
    """Without the monomials of coefficient 0, so that equal polynomials are equal mappings."""
    return {monomial: c for monomial, c in poly.items() if c}


def add(one: Polynomial, other: Polynomial, times: int = 1) -> Polynomial:
    """one + times other."""
    total = Counter(one)
    for monomial, c in other.items():
        total[monomial] += times * c
    return clean(total)


def multiply(one: Polynomial, other: Polynomial) -> Polynomial:
    """Every monomial with every monomial."""
    total: Counter[tuple[str, ...]] = Counter()
    for a, c in one.items():
        for b, d in other.items():
            total[tuple(sorted(a + b))] += c * d
    return clean(total)


def expand(value: Integer) -> Polynomial:
    """The polynomial of a term in its unknowns and quotients."""
    term = lift(value)
    match term.op, *(term.args):
        case ("number",):
            return clean({(): int(term.text)})
        case ("unknown",):
            return {(term.text,): 1}
        case "+", x, y:
            return add(expand(x), expand(y))
        case "-", x, y:
            return add(expand(x), expand(y), -1)
        case "*", x, y:
            return multiply(expand(x), expand(y))
        case "//", x, y:
            return {(quotient(x, y),): 1}
        case "%", x, y:
            whole = multiply(expand(y), {(quotient(x, y),): 1})
            return add(expand(x), whole, -1)
    raise TypeError(f"{term.op} is no operation")


def substitute(poly: Polynomial, symbol: str, by: Polynomial) -> Polynomial:
    """The polynomial with another in the place of a symbol."""
    total: Polynomial = {}
    for monomial, c in poly.items():
        product: Polynomial = {tuple(s for s in monomial if s != symbol): c}
        for _ in range(monomial.count(symbol)):
            product = multiply(product, by)
        total = add(total, product)
    return total


def show(poly: Polynomial) -> str:
    """The polynomial as text."""
    if not poly:
        return "0"
    parts = [" ".join([str(c), *(f"[{s}]" for s in monomial)]) for monomial, c in poly.items()]
    return " + ".join(parts)


def is_positive(poly: Polynomial, positive: frozenset[str]) -> bool:
    """Whether it is a sum of products of positive symbols, none of them taken away."""
    return bool(poly) and all(c > 0 and positive.issuperset(m) for m, c in poly.items())
