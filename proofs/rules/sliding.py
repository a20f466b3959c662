"""Lemmas about the rules for windows, which branch: parts, padding, strides and windows, run on symbols along their
paths.

Notation as in windows.py; what a rule gives must say no more than what it was given.
"""

from collections.abc import Callable
from typing import Any

from proofs.rules.claim import NO, Claim, because, congruent, either_way, holds, same
from proofs.rules.factors import Moving, Phase, Rule, Still
from proofs.rules.lemma import Integer, Lemma
from proofs.rules.paths import Given, along
from proofs.rules.terms import Relation, lift
from shiftproof_kernel import program, rules

Dim: Any = program.Dim  # here they are made of terms
Span: Any = program.Span


def cut_still(
    rule: Rule,
    *,
    n: Integer,
    p: Integer,
    low: Integer,
    high: Integer,
    base: Integer,
    v: Integer,
) -> Claim:
    """Of what is only cut, every cell is a cell, so it repeats as it did."""
    path = along(rule, Still(n, p), low, high, base, answers=[True] * 4)
    made = path.result
    return Claim(
        {
            "apart": path.asked[1],
            "no more before": path.asked[2],
            "no more behind": path.asked[3],
            "v from 0": v >= 0,
            "v below": v < made.n,
        },
        (
            same(made.period, p),
            holds(v - low >= 0, v, -low, NO),
            holds(v - low < n, made.n - 1 - v, -high, NO),
        ),
    )


def pad_still(answers: list[bool]) -> Rule:
    """Of what is padded nothing is said: the period is the whole size."""

    def build(
        rule: Rule, *, n: Integer, p: Integer, low: Integer, high: Integer, base: Integer
    ) -> Claim:
        made = along(rule, Still(n, p), low, high, base, answers=answers).result
        return Claim({}, (same(made.period, made.n),))

    return build


def pad_moving(
    rule: Rule,
    b: Integer,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    low: Integer,
    high: Integer,
    v: Integer,
    c: Integer,
) -> Claim:
    """U[b c] = S[c] moves by b r, and wherever it shows a cell the padded array shows that cell."""
    path = along(rule, Moving(n, N, o, r), low, high, b, answers=[True] * 3)
    made = path.result
    return Claim(
        {
            "before": path.asked[1],
            "behind": path.asked[2],
            "v from 0": v >= 0,
            "v below": v < made.n,
            "a cell": made.offset + v == b * c,
        },
        (
            same(made.period, b * N),
            same(made.step, b * r),
            same(v, b * (c - o) + low),
            holds(c - o >= 0, (b, NO), v, b - 1 - low),
            holds(c - o < n, (b, NO), made.n - 1 - v, b - 1 - high),
        ),
    )


def stride(
    rule: Rule,
    N: Integer,
    g: Integer,
    *,
    n: Integer,
    o: Integer,
    r: Integer,
    s: Integer,
    count: Integer,
    inverse: Integer,
    w: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """T[q] = S[a + s q] has the period that the rule gives, and moves by its step."""
    given = Given(rule, gcd=g, inverse=inverse)
    path = along(given.rule, Moving(n, N, o, r), s, count, a, a + 1, answers=[True])
    return _strides(given, path.asked[0], path.result, N, g, r, s, count, inverse, w, a, q)


def take_stride(
    rule: Rule,
    N: Integer,
    g: Integer,
    *,
    n: Integer,
    o: Integer,
    r: Integer,
    s: Integer,
    count: Integer,
    inverse: Integer,
    w: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """So does what is taken, in steps, of a window."""
    given = Given(rule, gcd=g, inverse=inverse)
    path = along(given.rule, Moving(n, N, o, r), Span(a, s), count, answers=[False, True])
    (made,) = path.result
    return _strides(given, path.asked[1], made, N, g, r, s, count, inverse, w, a, q)


def _strides(
    given: Given,
    strides: Relation,
    made: Any,
    N: Integer,
    g: Integer,
    r: Integer,
    s: Integer,
    count: Integer,
    inverse: Integer,
    w: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    x, period = given.inverted
    turns = (r // g * inverse) // period
    return Claim(
        {
            "common": tuple(number % g == 0 for number in given.divided),
            "inverse": x * inverse == 1 + period * w,
            "strides": strides,
        },
        (
            same(made.n, count),
            same(made.offset, 0),
            congruent(a + s * (q + made.period), a + s * q, N, times=s // g),
            congruent(
                a + s * (q - made.step),
                a + s * q - r,
                N,
                times=s // g * turns - r // g * w,
                inverse=-r,
            ),
        ),
        cuts=(holds(period > 0, (g, NO), N - 1),),
    )


def take_flat(index: Callable[..., Any]) -> Rule:
    """Of cells that are all alike, B[x] = B[x + 1], any are."""

    def build(
        rule: Rule, *, n: Integer, count: Integer, a: Integer, s: Integer, x: Integer, y: Integer
    ) -> Claim:
        (made,) = along(rule, Still(n, 1), index(a, s), count, answers=[]).result
        return Claim({}, (same(made.n, count), congruent(x, y, made.period, times=x - y)))

    return build


def take_still(index: Callable[..., Any]) -> Rule:
    """Of others no period is claimed."""

    def build(
        rule: Rule, *, p: Integer, n: Integer, count: Integer, a: Integer, s: Integer
    ) -> Claim:
        (made,) = along(rule, Still(n, p), index(a, s), count, answers=[False]).result
        return Claim({}, (same(made.n, count), same(made.period, count)))

    return build


def take_phase(
    rule: Rule,
    *,
    n: Integer,
    N: Integer,
    f: Integer,
    t: Integer,
    count: Integer,
    a: Integer,
    s: Integer,
    q: Integer,
) -> Claim:
    """Cell q is cell a + s q, and turned as that is."""
    (made,) = along(rule, Phase(n, N, f, t), Span(a, s), count, answers=[]).result
    return Claim(
        {},
        (
            same(made.n, count),
            same(made.period, N),
            same(made.first + q * made.step, f + (a + s * q) * t),
        ),
    )


def take_part(
    rule: Rule,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    a: Integer,
    s: Integer,
    q: Integer,
) -> Claim:
    """A contiguous part R[q] = A[a + s q] is a window on the same signal."""
    path = along(rule, Moving(n, N, o, r), Span(a, s), count, answers=[True])
    (made,) = path.result
    return Claim(
        {"contiguous": path.asked[0]},
        (
            same(made.n, count),
            same(made.period, N),
            same(made.step, r),
            same(made.offset + q, o + (a + s * q)),
        ),
    )


SMALLEST = [False, False, False, True]
"""The size of a window is the least of its numbers, and at least 1; whichever is, the rule goes on alike."""


def along_axis(K: Integer, s: Integer, low: Integer, high: Integer, b: Integer, d: Integer) -> Any:
    """How a window runs."""
    return Dim(axis=0, out=0, size=K, stride=s, low=low, high=high, base=b, dilation=d)


def function(*, linear: bool, symmetric: bool) -> program.Window:
    """What is known of the function of a window."""
    return program.Window(dims=(), kept=(), symmetric=symmetric, linear=linear)


def window_moves(
    rule: Rule,
    N: Integer,
    b: Integer,
    s: Integer,
    d: Integer,
    g: Integer,
    *,
    n: Integer,
    o: Integer,
    r: Integer,
    K: Integer,
    low: Integer,
    high: Integer,
    inverse: Integer,
    w: Integer,
    a: Integer,
    u: Integer,
    t: Integer,
) -> Claim:
    """Place u reads the cells s u + d t of U; places have the period that the rule gives, and move by its step."""
    given = Given(rule, gcd=g, inverse=inverse)
    op = function(linear=False, symmetric=False)
    answers = [*SMALLEST, True, False, True, True, True, True, True]
    path = along(
        given.rule, Moving(n, N, o, r), along_axis(K, s, low, high, b, d), op, answers=answers
    )
    (made,) = path.result
    x, period = given.inverted
    step = r * b
    turns, again = step // g * inverse // period, step // g * inverse % period // period
    times = s // g * (turns + again) - step // g * w
    cells = (n - 1) * b + 1 + low + high
    rest = (cells - 1 - d * (K - 1)) % s
    return Claim(
        {
            "common": tuple(number % g == 0 for number in given.divided),
            "inverse": x * inverse == 1 + period * w,
            "strides": path.asked[9],
            "u from 0": u >= 0,
            "u below": u < made.n,
            "t from 0": t >= 0,
            "t below": t < K,
        },
        (
            holds(s * u + d * t >= 0, (s, u), (d, t), NO),
            holds(s * u + d * t < cells, (s, made.n - 1 - u), rest, (d, K - 1 - t), NO),
            congruent(made.offset, 0, made.period, times=0 - lift(0) // period),
            congruent(
                a + s * (u + made.period), a + s * u, N * b, times=s // g, **{"common 1": -(s // g)}
            ),
            congruent(
                a + s * (u - made.step),
                a + s * u - step,
                N * b,
                times=times,
                inverse=-g * (step // g),
                strides=1,
                **{"common 1": -times},
            ),
        ),
        cuts=(holds(period > 0, (g, NO), N * b - 1, **{"common 1": 1}),),
    )


def window_folds(
    rule: Rule,
    n: Integer,
    N: Integer,
    b: Integer,
    s: Integer,
    d: Integer,
    *,
    o: Integer,
    r: Integer,
    K: Integer,
    low: Integer,
    high: Integer,
    i: Integer,
    t: Integer,
) -> Claim:
    """Weight t meets cell i at a place u of the laps, and after the shift at u + r b modulo N b."""
    op = function(linear=True, symmetric=False)
    answers = [*SMALLEST, True, True, True, True, True, False, True]
    path = along(rule, Moving(n, N, o, r), along_axis(K, s, low, high, b, d), op, answers=answers)
    (made,) = path.result
    reach, place = d * (K - 1), b * i + low - d * t
    u, rest = place // s, place % s
    spare = s - 1 - ((n - 1) * b + 1 + low + high - 1 - reach) % s
    return Claim(
        {
            "folds": path.asked[5:9],
            "i from 0": i >= 0,
            "i below": i < n,
            "t from 0": t >= 0,
            "t below": t < K,
        },
        (
            either_way(s * u == place, because(NO, rest), because(NO, s - 1 - rest)),
            holds(u >= 0, NO, (b, i), low - reach, (d, K - 1 - t), s - 1 - rest),
            holds(u < made.n, NO, (b, n - 1 - i), high - reach, (d, t), rest, spare),
            congruent(
                b * ((i + r) % n) + low - d * t,
                place + made.step,
                made.period,
                times=-((i + r) // n),
            ),
        ),
    )


def window_still(
    rule: Rule,
    p: Integer,
    g: Integer,
    *,
    s: Integer,
    n: Integer,
    K: Integer,
    d: Integer,
    low: Integer,
    high: Integer,
    b: Integer,
    a: Integer,
    u: Integer,
) -> Claim:
    """Places of an axis that stays repeat where their cells do."""
    given = Given(rule, gcd=g)
    op = function(linear=False, symmetric=False)
    answers = [*SMALLEST, True, True, True, True, True, True, False]
    path = along(given.rule, Still(n, p), along_axis(K, s, low, high, b, d), op, answers=answers)
    (made,) = path.result
    return Claim(
        {"common": tuple(number % g == 0 for number in given.divided)},
        (congruent(a + s * (u + made.period), a + s * u, p, times=s // g),),
    )


def window_whole(
    rule: Rule,
    N: Integer,
    b: Integer,
    K: Integer,
    *,
    s: Integer,
    n: Integer,
    o: Integer,
    r: Integer,
    d: Integer,
    low: Integer,
    high: Integer,
    x: Integer,
    y: Integer,
    i: Integer,
) -> Claim:
    """Windows at any two places x and y hold the same cells of whole periods, in another order."""
    op = function(linear=False, symmetric=True)
    answers = [*SMALLEST, True, False, True, True, True, True, True, True, False]
    path = along(rule, Moving(n, N, o, r), along_axis(K, s, low, high, b, d), op, answers=answers)
    (made,) = path.result
    turns = (i + y - x) // K
    return Claim(
        {"neighbours": path.asked[9], "whole periods": path.asked[10]},
        (
            same(made.period, 1),
            congruent(x + d * ((i + y - x) % K), y + d * i, N * b, times=-(K // (N * b)) * turns),
        ),
    )


TAKE, STRETCH, STRIDE, SLIDE = rules._taken, rules._stretched, rules._strided, rules._slid

LEMMAS = (
    Lemma(
        "rule pad: still, cut",
        "base = 1, low, high ≤ 0: 0 ≤ v − low < n, so the period stays",
        cut_still,
        STRETCH,
    ),
    *(
        Lemma(
            f"rule pad: still, {name}",
            "otherwise no period is claimed",
            pad_still(answers),
            STRETCH,
        )
        for name, answers in {
            "apart": [True, False],
            "before": [True, True, False],
            "behind": [True, True, True, False],
        }.items()
    ),
    Lemma(
        "rule pad: moving",
        "low, high < b: U[b c] = S[c] has period b N, moves by b r, and shows cells where the array does",
        pad_moving,
        STRETCH,
    ),
    Lemma(
        "rule window: moving",
        "place u reads U[a + s u + d t], of period N b and step r b: the places have period N b/g and move by r′",
        window_moves,
        SLIDE,
    ),
    Lemma(
        "rule window: laps",
        "weight t meets cell i at place u, and moved cells at u + r b (mod N b)",
        window_folds,
        SLIDE,
    ),
    Lemma(
        "rule window: still",
        "places of period p, s apart, have period p/gcd(p, s)",
        window_still,
        SLIDE,
    ),
    Lemma(
        "rule window: whole periods",
        "d = 1, N b | K: windows at x and y hold the same cells",
        window_whole,
        SLIDE,
    ),
    Lemma(
        "rule stride",
        "g = gcd(N, s) | r: T[q] = S[a + s q] has period N/g and moves by r′ with s r′ ≡ r (mod N)",
        stride,
        STRIDE,
    ),
    *(
        Lemma(
            f"rule take: {name}, {how}",
            statement,
            build(index),
            TAKE,
        )
        for name, statement, build in (
            ("flat", "B[x] = B[y], so any cells are alike", take_flat),
            ("still", "otherwise no period is claimed", take_still),
        )
        for how, index in {"span": Span, "list": lambda a, s: (a, s)}.items()
    ),
    Lemma("rule take: spectrum", "cell q is turned by f + (a + s q) t", take_phase, TAKE),
    Lemma("rule take: part", "s = 1: R[q] = S[o + a + s q], of the same signal", take_part, TAKE),
    Lemma(
        "rule take: stride",
        "g = gcd(N, s) | r: R[q] = S[a + s q] has period N/g and moves by r′ with s r′ ≡ r (mod N)",
        take_stride,
        TAKE,
    ),
)
