"""Lemmas that the claims need beyond those of the kernel, each for all sizes, by two solvers.

All are free of quantifiers: a hypothesis "for all u" is used at the one place that the proof needs, and "there is a u"
is replaced by the u. Every lemma has a twin without one of its hypotheses, which must have a counterexample, and
hypotheses that can be met.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable
from typing import Any

from proofs.outcome import Outcome

SOLVERS: dict[str, str] = {"z3": "z3", "cvc5": "cvc5.pythonic"}
INSTALL = {"z3": 'pip install "shiftproof[proofs]"', "cvc5": "pip install cvc5"}
MILLISECONDS = 20_000


@dataclasses.dataclass(frozen=True)
class Posed:
    """A lemma in the terms of one solver.

    Attributes:
        hypotheses: the last one is dropped in the twin.
        goal: what follows from them.
    """

    hypotheses: tuple[Any, ...]
    goal: Any


@dataclasses.dataclass(frozen=True)
class Lemma:
    """A statement, and how to pose it to a solver.

    Attributes:
        name: by which claims refer to it.
        statement: in words and formulas.
        pose: from a solver's module to the problem.
    """

    name: str
    statement: str
    pose: Callable[[Any], Posed]


def _action(s: Any) -> Posed:
    """Shifts act on signals: indices subtract one after the other."""
    x = s.Function("x", s.IntSort(), s.IntSort())
    u, a, b, c = s.Ints("u a b c")
    once, twice = x(u - c), x((u - a) - b)
    return Posed((c == a + b,), s.And(once == twice, x(u - 0) == x(u)))


def _windows(s: Any) -> Posed:
    """What a window of stride s sees at i after a shift d = s q is what it saw at i - q, pixel by pixel."""
    x = s.Function("x", s.IntSort(), s.IntSort())
    stride, i, q, offset, d = s.Ints("s i q o d")
    return Posed((d == stride * q,), x(stride * i + offset - d) == x(stride * (i - q) + offset))


def _frame(s: Any) -> Posed:
    """There and back on a frame with zero fill."""
    x = s.Function("x", s.IntSort(), s.IntSort())
    u, n, d = s.Ints("u n d")

    def inside(i: Any) -> Any:
        return s.And(i >= 0, i < n)

    def shifted(signal: Callable[[Any], Any], step: Any) -> Callable[[Any], Any]:
        return lambda i: s.If(s.And(inside(i), inside(i - step)), signal(i - step), 0)

    back = shifted(shifted(x, d), -d)
    stays = s.Implies(x(u) != 0, inside(u + d))
    return Posed((inside(u), stays), back(u) == x(u))


def _share(s: Any) -> Posed:
    """A pixel at u of a window of k stays in it under a shift d: exactly k - |d| of the k places."""
    u, k, d, low, high = s.Ints("u k d low high")
    stays = s.And(u + d >= 0, u + d < k)
    size = s.If(d >= 0, d, -d)
    bounds = (low == s.If(d >= 0, 0, -d), high == s.If(d >= 0, k - d, k))
    counted = s.If(high > low, high - low, 0) == s.If(k > size, k - size, 0)
    return Posed(
        (k > 0, *bounds, s.And(u >= 0, u < k)),
        s.And(stays == s.And(low <= u, u < high), counted, low >= 0, high <= k),
    )


def _maximum(s: Any) -> Posed:
    """The largest value of a window, before at p and after at q, where p is still inside and nothing larger enters."""
    x = s.Function("x", s.IntSort(), s.RealSort())
    p, q = s.Ints("p q")
    stays_inside, nothing_larger = x(q) >= x(p), x(q) <= x(p)
    return Posed((stays_inside, nothing_larger), x(q) == x(p))


def _stabiliser(s: Any) -> Posed:
    """A window of k < n pixels on a circle of n is moved by every t from 1 to n - 1: some pixel leaves it."""
    k, n, t, u, v = s.Ints("k n t u v")
    place = u == s.If(t <= n - k, k - 1, n - 1 - t)
    wrapped = v == s.If(u + t >= n, u + t - n, u + t)
    leaves = s.And(u >= 0, u < k, v >= k, v < n)
    return Posed((k > 0, t > 0, t < n, place, wrapped, k < n), leaves)


def _circulant(s: Any) -> Posed:
    """A matrix that commutes with all shifts is given by its first column."""
    a = s.Function("A", s.IntSort(), s.IntSort(), s.IntSort())
    u, v, d = s.Ints("u v d")
    commutes = a(u + d, v + d) == a(u, v)
    return Posed((d == -v, commutes), a(u, v) == a(u - v, 0))


def _block_circulant(s: Any) -> Posed:
    """One that commutes with multiples of a stride is given by its first s columns: v = w + m with s | m."""
    a = s.Function("A", s.IntSort(), s.IntSort(), s.IntSort())
    u, v, w, m, d = s.Ints("u v w m d")
    commutes = a(u + d, v + d) == a(u, v)
    return Posed((v == w + m, d == -m, commutes), a(u, v) == a(u - m, w))


def _selection(s: Any) -> Posed:
    """Two of four phases with their norms and means; a shift renames them, and the choice follows."""
    norms = [s.Real(f"e{i}") for i in range(4)]
    means = [s.Real(f"m{i}") for i in range(4)]
    roll = s.Int("roll")

    def choose(order: list[int]) -> Any:
        """The mean of the first phase that no other exceeds, as `argmax` does."""
        chosen = means[order[-1]]
        for i in reversed(order[:-1]):
            largest = s.And(*(norms[i] >= norms[j] for j in order))
            chosen = s.If(largest, means[i], chosen)
        return chosen

    orders = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    same = [
        s.Implies(roll == i, choose(order) == choose(orders[0])) for i, order in enumerate(orders)
    ]
    distinct = s.And(*(norms[i] != norms[j] for i in range(4) for j in range(i)))
    return Posed((roll >= 0, roll < 4, distinct), s.And(*same))


LEMMAS = (
    Lemma(
        "shifts add",
        "x((u − a) − b) = x(u − (a + b)) and x(u − 0) = x(u), for every signal x on Z; a torus is "
        "a signal of period n",
        _action,
    ),
    Lemma(
        "windows see the same",
        "if Δ = s q, then x(s i + o − Δ) = x(s (i − q) + o): whatever is computed of a window "
        "moves by q; s = 1 is convolution",
        _windows,
    ),
    Lemma(
        "there and back on a frame", "zero fill on 0..n−1 loses nothing that stays inside", _frame
    ),
    Lemma(
        "share of a window",
        "u and u + d both lie in 0..k−1 for exactly max(0, k − |d|) places u, the interval "
        "max(0, −d) ≤ u < k − max(0, d)",
        _share,
    ),
    Lemma(
        "a maximum that stays",
        "the largest value of a window is the same if its place is still inside, x(q) ≥ x(p), and "
        "nothing larger enters, "
        "x(q) ≤ x(p)",
        _maximum,
    ),
    Lemma(
        "a proper window is moved",
        "if 0 < k < n and 0 < t < n, then some u in 0..k−1 has (u + t) mod n outside",
        _stabiliser,
    ),
    Lemma(
        "commuting matrices are circulant",
        "A(u + d, v + d) = A(u, v) for all d gives A(u, v) = A(u − v, 0)",
        _circulant,
    ),
    Lemma(
        "a stride keeps s columns",
        "A(u + d, v + d) = A(u, v) for all multiples d of s gives "
        "A(u, w + m) = A(u − m, w) for s | m",
        _block_circulant,
    ),
    Lemma(
        "a unique phase is found again",
        "if norms are distinct, the mean of the phase of largest norm does not "
        "change when a shift renames the four phases",
        _selection,
    ),
)


def run() -> list[Outcome]:
    """Every lemma by every solver, with its twin."""
    return [prove(lemma, solver) for lemma in LEMMAS for solver in SOLVERS]


def prove(lemma: Lemma, solver: str) -> Outcome:
    """One lemma by one solver: the hypotheses can be met, the goal follows, and not from all but the last."""
    begin = time.monotonic()
    try:
        module = importlib.import_module(SOLVERS[solver])
    except ImportError:
        detail = f"{solver} is missing: {INSTALL[solver]}"
        return Outcome(lemma.name, solver, lemma.statement, "not run", detail)
    posed = lemma.pose(module)
    goal = module.Not(posed.goal)
    wanted = {
        "the hypotheses can be met": (posed.hypotheses, "sat"),
        "the goal follows": ((*posed.hypotheses, goal), "unsat"),
        "without the last hypothesis it fails": ((*posed.hypotheses[:-1], goal), "sat"),
    }
    for what, (formulas, answer) in wanted.items():
        found = _ask(module, formulas)
        if found != answer:
            detail = f"not shown that {what}: the solver says {found}"
            return Outcome(lemma.name, solver, lemma.statement, "failed", detail)
    seconds = time.monotonic() - begin
    return Outcome(lemma.name, solver, lemma.statement, "proved", "", seconds)


def _ask(module: Any, formulas: tuple[Any, ...]) -> str:
    solver = module.Solver()
    if module.__name__ == "z3":
        solver.set("timeout", MILLISECONDS)
    else:
        solver.setOption("tlimit-per", MILLISECONDS)
    for formula in formulas:
        solver.add(formula)
    return str(solver.check())
