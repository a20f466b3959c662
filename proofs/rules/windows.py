"""Lemmas about windows: how cells are pulled apart and padded, where a window fits, and which cells it reads.

N is the period of the signal, r its step, b the distance of cells pulled apart, K the size of the window, d its
dilation, s its stride; `low` and `high` cells are put before and behind.
"""

from proofs.rules.claim import (
    NO,
    Claim,
    Same,
    because,
    congruent,
    each,
    either_way,
    holds,
    same,
)
from proofs.rules.lemma import Formulas, Integer, Lemma


def stretch_moves(
    k: Formulas,
    b: Integer,
    *,
    N: Integer,
    r: Integer,
    c: Integer,
    o: Integer,
    i: Integer,
    low: Integer,
) -> Claim:
    """U[b c] = S[c], and one value elsewhere, has the period N b and moves by r b; cell i lies at b i + low."""
    period, step = k.stretch(N, r, b)
    offset = k.stretched_offset(o, low, b)
    return Claim(
        {},
        (
            same(b * c + period, b * (c + N)),
            same(b * c - step, b * (c - r)),
            congruent(period, 0, b, times=N),
            congruent(step, 0, b, times=r),
            same(offset + (b * i + low), b * (o + i)),
        ),
    )


def padding_moves(
    k: Formulas,
    b: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    v: Integer,
    c: Integer,
) -> Claim:
    """Wherever U shows a cell, the padded array shows that cell, and no padding."""
    offset = k.stretched_offset(o, low, b)
    size = k.stretched_size(n, low, high, b)
    return Claim(
        {
            "inside": k.pads_inside(low, high, b),
            "v from 0": v >= 0,
            "v below": v < size,
            "a cell": offset + v == b * c,
        },
        (
            same(v, b * (c - o) + low),
            holds(c - o >= 0, (b, NO), v, b - 1 - low),
            holds(c - o < n, (b, NO), size - 1 - v, b - 1 - high),
        ),
    )


def padding_exact(k: Formulas, *, b: Integer, n: Integer, low: Integer, high: Integer) -> Claim:
    """If cells -1 and n would lie outside the padded array, then the condition holds."""
    size = k.stretched_size(n, low, high, b)
    return Claim(
        {"before": b * -1 + low < 0, "behind": b * n + low >= size},
        each(
            k.pads_inside(low, high, b),
            because(b - low - 1, NO),
            because(b * n + low - size, NO),
        ),
    )


def padded_size(k: Formulas, *, n: Integer, b: Integer, low: Integer, high: Integer) -> Claim:
    """Behind the last cell, at b (n - 1) + low, there are `high` more."""
    size = k.stretched_size(n, low, high, b)
    return Claim({}, (same(size - 1 - high, b * (n - 1) + low),))


def window_reach(k: Formulas, d: Integer, *, K: Integer, t: Integer) -> Claim:
    """The cells d t of a window lie between 0 and its reach, where the last one lies."""
    reach = k.reach(K, d)
    return Claim(
        {"t from 0": t >= 0, "t below": t < K},
        (
            holds(d * t >= 0, (d, t), NO),
            holds(d * t <= reach, (d, K - 1 - t), NO),
            same(reach, d * (K - 1)),
        ),
    )


def window_fits(k: Formulas, s: Integer, *, cells: Integer, R: Integer, u: Integer) -> Claim:
    """Every place that is counted fits."""
    count = k.places(cells, R, s)
    return Claim(
        {"u below": u < count},
        (holds(s * u + R <= cells - 1, (s, count - 1 - u), (cells - 1 - R) % s, NO),),
    )


def window_all(k: Formulas, s: Integer, *, cells: Integer, R: Integer, u: Integer) -> Claim:
    """Every place that fits is counted."""
    count = k.places(cells, R, s)
    rest = (cells - 1 - R) % s
    return Claim(
        {"fits": s * u + R <= cells - 1},
        (holds(u < count, (s, NO), cells - 1 - (s * u + R), s - 1 - rest),),
    )


def window_reads(
    k: Formulas,
    d: Integer,
    s: Integer,
    *,
    K: Integer,
    cells: Integer,
    u: Integer,
    t: Integer,
) -> Claim:
    """Cell u of the result reads the cells s u + d t, all of which are there."""
    reach = k.reach(K, d)
    count = k.places(cells, reach, s)
    rest = (cells - 1 - reach) % s
    return Claim(
        {"u from 0": u >= 0, "u below": u < count, "t from 0": t >= 0, "t below": t < K},
        (
            holds(s * u + d * t >= 0, (s, u), (d, t), NO),
            holds(s * u + d * t < cells, (s, count - 1 - u), rest, (d, K - 1 - t), NO),
        ),
    )


def laps(
    k: Formulas,
    n: Integer,
    b: Integer,
    d: Integer,
    s: Integer,
    *,
    N: Integer,
    r: Integer,
    K: Integer,
    low: Integer,
    high: Integer,
    i: Integer,
    t: Integer,
) -> Claim:
    """Weight t meets cell i at one place u of the full convolution, and after the shift at u + r b modulo N b."""
    reach = k.reach(K, d)
    size = k.stretched_size(n, low, high, b)
    count = k.places(size, reach, s)
    period, step = k.stretch(n, r, b)  # of the signal, whose one period is shown
    place = b * i + low - d * t
    u, rest = place // s, place % s
    moved = (i + r) % n
    spare = s - 1 - (size - 1 - reach) % s
    return Claim(
        {
            "folds": k.folds(n, N, s, low, high, reach),
            "i from 0": i >= 0,
            "i below": i < n,
            "t from 0": t >= 0,
            "t below": t < K,
        },
        (
            either_way(s * u == place, because(NO, rest), because(NO, s - 1 - rest)),
            holds(u >= 0, NO, (b, i), low - reach, (d, K - 1 - t), s - 1 - rest),
            holds(u < count, NO, (b, n - 1 - i), high - reach, (d, t), rest, spare),
            congruent(b * moved + low - d * t, place + step, period, times=-((i + r) // n)),
            congruent(b * N, 0, period, times=1),
        ),
    )


def laps_exact(
    k: Formulas,
    s: Integer,
    *,
    n: Integer,
    b: Integer,
    N: Integer,
    low: Integer,
    high: Integer,
    R: Integer,
) -> Claim:
    """If the last weight meets the first cell, and the first the last, then the condition holds."""
    size = k.stretched_size(n, low, high, b)
    count = k.places(size, R, s)
    rest = (size - 1 - R) % s
    return Claim(
        {
            "one period": n == N,
            "every place": s == 1,
            "first cell": b * 0 + low - R >= 0,
            "last cell": b * (n - 1) + low < count,
        },
        each(
            k.folds(n, N, s, low, high, R),
            Same({}),
            Same({}),
            because(b * 0 + low - R, NO),
            because(count - 1 - (b * (n - 1) + low), rest, NO),
        ),
    )


def torus(
    k: Formulas,
    N: Integer,
    s: Integer,
    *,
    K: Integer,
    d: Integer,
    low: Integer,
    high: Integer,
) -> Claim:
    """A window on N + low + high cells of a signal gives one period, if s | N and 1 - s <= low + high - reach <= 0."""
    reach = k.reach(K, d)
    cells = k.stretched_size(N, low, high, 1)
    count, period = k.places(cells, reach, s), k.strided_period(N, s)
    over, rest = low + high - reach, (cells - 1 - reach) % s
    return Claim(
        {"s divides N": N % s == 0, "enough": 1 - s <= over, "no more": over <= 0},
        (same(count, period), *each(k.covers(count, period), 1)),
        cuts=(
            holds(period > 0, (s, NO), N - 1),
            either_way(
                count == period,
                because((s, NO), rest, -over),
                because((s, NO), over - (1 - s), s - 1 - rest),
            ),
        ),
    )


def torus_exact(
    k: Formulas,
    s: Integer,
    *,
    N: Integer,
    K: Integer,
    d: Integer,
    low: Integer,
    high: Integer,
) -> Claim:
    """If s | N and the result is one period, then 1 - s <= low + high - reach <= 0."""
    reach = k.reach(K, d)
    cells = k.stretched_size(N, low, high, 1)
    count, period = k.places(cells, reach, s), k.strided_period(N, s)
    over, rest = low + high - reach, (cells - 1 - reach) % s
    return Claim(
        {"s divides N": N % s == 0, "one period": count == period},
        (
            holds(1 - s <= over, rest, NO),
            holds(over <= 0, s - 1 - rest, NO),
        ),
    )


def torus_divides(
    k: Formulas,
    N: Integer,
    s: Integer,
    g: Integer,
    *,
    K: Integer,
    d: Integer,
    low: Integer,
    high: Integer,
) -> Claim:
    """If the result of no more padding is whole periods of more than one cell, then s | N."""
    reach = k.reach(K, d)
    cells = k.stretched_size(N, low, high, 1)
    count, period = k.places(cells, reach, s), k.strided_period(N, g)
    over, rest = low + high - reach, (cells - 1 - reach) % s
    t, n, m = s // g, N // g, count // period
    return Claim(
        {
            "g divides N": N % g == 0,
            "g divides s": s % g == 0,
            "no more": over <= 0,
            "more than one cell": period > 1,
            "whole periods": k.covers(count, period),
            "not empty": count > 0,
        },
        (congruent(N, 0, s, times=n),),
        cuts=(
            holds(t > 0, (g, NO), s - 1),
            holds(m > 0, (period, NO), count - 1),
            either_way(
                t == 1,
                because((g, t, n, m - 1), (g, NO, n - 1), (g, n - 2), -over, rest),
                because(t - 1, NO),
            ),
        ),
    )


LEMMAS = (
    Lemma(
        "cells pulled apart move",
        "U[b c] = S[c], else one value: period N b, U(Tx)[w] = U(x)[w − r b], and cell i of a window from o is at "
        "place b i + low of a window from o b − low",
        stretch_moves,
    ),
    Lemma(
        "padding moves",
        "low, high < b: where U[o b − low + v] = S[c] with 0 ≤ v < size, there v = b i + low of a cell 0 ≤ i < n",
        padding_moves,
    ),
    Lemma(
        "padding, exact",
        "if places −b + low and b n + low of cells −1 and n lie outside then low, high < b",
        padding_exact,
    ),
    Lemma("padded size", "size − 1 − high = b (n − 1) + low", padded_size),
    Lemma("reach", "0 ≤ d t ≤ d (K − 1) for 0 ≤ t < K", window_reach),
    Lemma("the last window fits", "u < ⌊(cells − 1 − R)/s⌋ + 1 ⟹ s u + R ≤ cells − 1", window_fits),
    Lemma("one more does not", "s u + R ≤ cells − 1 ⟹ u < ⌊(cells − 1 − R)/s⌋ + 1", window_all),
    Lemma(
        "windows read cells", "0 ≤ s u + d t < cells for 0 ≤ u < places, 0 ≤ t < K", window_reads
    ),
    Lemma(
        "laps fold",
        "n = N, s = 1, low, high ≥ reach: weight t meets cell i at 0 ≤ u < places, and moved cells at u + r b mod N b: "
        "a full convolution summed over laps is a circular one",
        laps,
    ),
    Lemma(
        "laps fold, exact",
        "n = N, s = 1, and the outermost meetings have places: low, high ≥ reach",
        laps_exact,
    ),
    Lemma(
        "wrap padding is a torus",
        "s | N, 1 − s ≤ low + high − d (K − 1) ≤ 0: the result has N/s cells, one period",
        torus,
    ),
    Lemma(
        "wrap padding, exact",
        "s | N, N/s cells in the result: 1 − s ≤ low + high − d (K − 1) ≤ 0",
        torus_exact,
    ),
    Lemma(
        "wrap padding, divisible",
        "low + high − d (K − 1) ≤ 0 and the result is whole periods N/g of more than one cell, g = gcd(N, s): s | N",
        torus_divides,
    ),
)
