"""Lemmas about scenes: A[i] = S[o + i] for low <= i < high, and the shift moves S by r, S(TX)[u] = S(X)[u - r].

There is no period. An *interior* is sound where each of its cells shows the signal, and exact where it has all of them.
"""

from typing import Any

from proofs.rules.claim import NO, Claim, congruent, each, holds, same
from proofs.rules.factors import Rule, Still
from proofs.rules.lemma import Formulas, Integer, Lemma
from proofs.rules.paths import Given, along
from proofs.rules.sliding import SMALLEST, Span, along_axis, function
from shiftproof_kernel import facts, rules

Scene: Any = facts.Scene  # here it is made of terms


def table_stays(k: Formulas, p: Integer, *, r: Integer, o: Integer, v: Integer) -> Claim:
    """G[v] = g(S[v], B[v - o]) moves by r, where B stays and has the period p."""
    return Claim({"stays": k.stays(r, p)}, (congruent(v - o, v - r - o, p, times=r // p),))


def table_exact(k: Formulas, p: Integer, *, r: Integer, v: Integer, y: Integer) -> Claim:
    """If B looks alike a step further on, then the condition holds."""
    return Claim({"a step on": v - (v - r) == p * y}, each(k.stays(r, p), y))


def places_inside(
    k: Formulas,
    s: Integer,
    *,
    low: Integer,
    high: Integer,
    a: Integer,
    R: Integer,
    q: Integer,
) -> Claim:
    """From place q on, and below the other, all that is read lies in the interior."""
    first, end = k.within(low, high, a, s, R)
    return Claim(
        {"q from": q >= first, "q below": q < end},
        (
            holds(a + s * q >= low, (s, q - first), s - 1 - (low - a + s - 1) % s, NO),
            holds(a + s * q + R < high, (s, end - 1 - q), (high - a - R + s - 1) % s, NO),
        ),
    )


def places_all(
    k: Formulas,
    s: Integer,
    *,
    low: Integer,
    high: Integer,
    a: Integer,
    R: Integer,
    q: Integer,
) -> Claim:
    """Every place that reads nothing else is among them."""
    first, end = k.within(low, high, a, s, R)
    return Claim(
        {"first cell": a + s * q >= low, "last cell": a + s * q + R < high},
        (
            holds(q >= first, (s, NO), a + s * q - low, (low - a + s - 1) % s),
            holds(q < end, (s, NO), high - 1 - (a + s * q + R), s - 1 - (high - a - R + s - 1) % s),
        ),
    )


def stride_moves(k: Formulas, s: Integer, *, r: Integer, a: Integer, q: Integer) -> Claim:
    """T[q] = S[a + s q] moves by r'."""
    step = k.scene_strided(r, s)
    return Claim({"strides": k.scene_strides(r, s)}, (same(a + s * (q - step), a + s * q - r),))


def stride_exact(
    k: Formulas, s: Integer, *, r: Integer, a: Integer, q: Integer, y: Integer
) -> Claim:
    """If T moves by any number of cells, then the condition holds."""
    return Claim({"moves": a + s * (q - y) == a + s * q - r}, each(k.scene_strides(r, s), y))


def blocks_move(
    k: Formulas,
    *,
    b: Integer,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """S[u b + j] = B[u][j] moves by r b, from o b on; only cells of right blocks are right."""
    size, first, end, offset, step = k.scene_merge(n, low, high, o, r, b)
    cell = i * b + j
    return Claim(
        {"from": cell >= first, "below": cell < end, "j from 0": j >= 0, "j below": j < b},
        (
            holds(i >= low, (b, NO), cell - first, b - 1 - j),
            holds(i < high, (b, NO), end - 1 - cell, j),
            same(u * b + j - step, (u - r) * b + j),
            same(offset + cell, (o + i) * b + j),
            same(size - 1, (n - 1) * b + b - 1),
        ),
        cuts=(holds(b > 0, j, b - 1 - j, NO),),
    )


def blocks_exact(
    k: Formulas,
    *,
    b: Integer,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """All cells of right blocks are in the interior."""
    _, first, end, _, _ = k.scene_merge(n, low, high, o, r, b)
    return Claim(
        {"from": i >= low, "below": i < high, "j from 0": j >= 0, "j below": j < b},
        (
            holds(i * b + j >= first, (b, i - low), j, NO),
            holds(i * b + j < end, (b, high - 1 - i), b - 1 - j, NO),
        ),
        cuts=(holds(b > 0, j, b - 1 - j, NO),),
    )


def holes_move(
    k: Formulas,
    b: Integer,
    *,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    pad: Integer,
    v: Integer,
    c: Integer,
) -> Claim:
    """U[b c] = S[c], and one value elsewhere, moves by r b; each cell that U shows in the interior is a right one."""
    first, end, step = k.scene_stretch(low, high, r, pad, b)
    return Claim(
        {"from": v >= first, "below": v < end, "a cell": v == b * (c - o) + pad},
        (
            holds(c - o >= low, (b, NO), v - first),
            holds(c - o < high, (b, NO), end - 1 - v),
            same(b * c - step, b * (c - r)),
        ),
    )


def holes_exact(
    k: Formulas, *, b: Integer, low: Integer, high: Integer, r: Integer, pad: Integer
) -> Claim:
    """The cells before the interior and behind it lie just outside."""
    first, end, _ = k.scene_stretch(low, high, r, pad, b)
    return Claim({}, (same(first - 1, b * (low - 1) + pad), same(end, b * high + pad)))


def mirrored(k: Formulas, *, n: Integer, low: Integer, high: Integer, i: Integer) -> Claim:
    """R[i] = A[n - 1 - i] is right where A is."""
    first, end = k.mirror(n, low, high)
    return Claim(
        {"from": i >= first, "below": i < end},
        (
            holds(n - 1 - i >= low, end - 1 - i, NO),
            holds(n - 1 - i < high, i - first, NO),
        ),
    )


def mirrored_exact(k: Formulas, *, n: Integer, low: Integer, high: Integer, i: Integer) -> Claim:
    """And nowhere else."""
    first, end = k.mirror(n, low, high)
    return Claim(
        {"from": n - 1 - i >= low, "below": n - 1 - i < high},
        (
            holds(i >= first, high - 1 - (n - 1 - i), NO),
            holds(i < end, n - 1 - i - low, NO),
        ),
    )


# --- the rules, along their paths ---


def tidy_scene(before: bool, behind: bool) -> Rule:
    """The interior lies within the axis, and within what it was."""

    def build(
        rule: Rule,
        *,
        n: Integer,
        low: Integer,
        high: Integer,
        o: Integer,
        r: Integer,
        i: Integer,
    ) -> Claim:
        path = along(rule, [Scene(n, low, high, o, r)], answers=[before, behind])
        (made,) = path.result
        given, goals = {}, [same(made.n, n), same(made.offset, o), same(made.step, r)]
        if before:
            given |= {"cut before": path.asked[0], "from": i >= made.low}
            goals.append(holds(i >= low, i, -low, NO))
        else:
            goals.append(same(made.low, low))
        if behind:
            given |= {"cut behind": path.asked[1], "below": i < made.high}
            goals.append(holds(i < high, n - 1 - i, high - n, NO))
        else:
            goals.append(same(made.high, high))
        return Claim(given, tuple(goals))

    return build


def scene_times_still(answer: bool, **options: bool) -> Rule:
    """The cells of blocks of a scene move, a block at a time, and are right where the block is."""

    def build(
        rule: Rule,
        *,
        m: Integer,
        n: Integer,
        low: Integer,
        high: Integer,
        o: Integer,
        r: Integer,
        p: Integer,
        u: Integer,
        i: Integer,
        j: Integer,
    ) -> Claim:
        scene = Scene(n, low, high, o, r)
        made = along(rule, scene, Still(m, p), answers=[answer], **options).result
        cell = i * m + j
        return Claim(
            {
                "from": cell >= made.low,
                "below": cell < made.high,
                "j from 0": j >= 0,
                "j below": j < m,
            },
            (
                same(made.n, n * m),
                holds(i >= low, (m, NO), cell - made.low, m - 1 - j),
                holds(i < high, (m, NO), made.high - 1 - cell, j),
                same(u * m + j - made.step, (u - r) * m + j),
                same(made.offset + cell, (o + i) * m + j),
            ),
            cuts=(holds(m > 0, j, m - 1 - j, NO),),
        )

    return build


def split_scene(
    rule: Rule,
    m: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    j: Integer,
) -> Claim:
    """B[u][j] = S[o + u m + j] moves by whole blocks, and is right where every cell of the block is."""
    path = along(rule, Scene(n, low, high, o, r), m, answers=[False, True])
    major, minor = path.result
    cell = u * m + j
    begins, ends = (low - 0 + m - 1) % m, (high - 0 - (m - 1) + m - 1) % m
    return Claim(
        {
            "whole blocks": n % m == 0,
            "step": path.asked[1],
            "u from": u >= major.low,
            "u below": u < major.high,
            "j from 0": j >= 0,
            "j below": j < m,
        },
        (
            same(major.n * minor.n, n),
            holds(cell >= low, (m, u - major.low), j, m - 1 - begins, NO),
            holds(cell < high, (m, major.high - 1 - u), ends, m - 1 - j, NO),
            same(o + (u - major.step) * m + j, o + u * m + j - r),
            same(major.offset, 0),
            same(minor.period, m),
        ),
    )


def join_scenes(later: bool, sooner: bool) -> Rule:
    """G[v] = g(S[v], R[v - o + e], B[v - o]) moves by r, and is right where S and R both are."""

    def build(
        rule: Rule,
        p: Integer,
        L: Integer,
        *,
        n: Integer,
        low: Integer,
        high: Integer,
        o: Integer,
        r: Integer,
        first: Integer,
        end: Integer,
        e: Integer,
        t: Integer,
        v: Integer,
        i: Integer,
    ) -> Claim:
        given = Given(rule, lcm=L)
        heads = [Scene(n, low, high, o, r), Scene(n, first, end, e, t), Still(n, p)]
        answers = [True, True, True, later, sooner]
        path = along(given.rule, heads, answers=answers)
        made = path.result
        (period,) = given.multiplied
        begins, ends = path.asked[3], path.asked[4]
        at_least, below = i - made.low, made.high - 1 - i
        return Claim(
            {
                "a multiple": L % period == 0,
                "alike": path.asked[1],
                "repeats": path.asked[2],
                "begins": begins if later else first <= low,
                "ends": ends if sooner else end >= high,
                "from": i >= made.low,
                "below": i < made.high,
            },
            (
                same(made.n, n),
                same(made.offset, o),
                same(made.step, r),
                same(v - t - o + e, v - made.step - o + e),
                congruent(v - made.step - o, v - o, p, times=-(r // L * (L // p))),
                holds(i >= low, at_least, *([first - low] if later else []), NO),
                holds(i >= first, at_least, *([] if later else [low - first]), NO),
                holds(i < high, below, *([high - end] if sooner else []), NO),
                holds(i < end, below, *([] if sooner else [end - high]), NO),
            ),
        )

    return build


def pad_scene(
    rule: Rule,
    b: Integer,
    *,
    n: Integer,
    first: Integer,
    end: Integer,
    o: Integer,
    r: Integer,
    low: Integer,
    high: Integer,
    v: Integer,
    c: Integer,
) -> Claim:
    """U[b c] = S[c] moves by b r, and where the padded array shows a cell of the interior, it is a right one."""
    made = along(rule, Scene(n, first, end, o, r), low, high, b, answers=[True]).result
    return Claim(
        {"from": v >= made.low, "below": v < made.high, "a cell": made.offset + v == b * c},
        (
            same(made.n - 1 - high, b * (n - 1) + low),
            same(b * c - made.step, b * (c - r)),
            same(v, b * (c - o) + low),
            holds(c - o >= first, (b, NO), v - made.low),
            holds(c - o < end, (b, NO), made.high - 1 - v),
        ),
    )


def stride_forwards(
    rule: Rule,
    s: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    start: Integer,
    end: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """T[q] = A[a + s q] for a from start to below end: inside, A is right there, and T moves."""
    path = along(rule, Scene(n, low, high, o, r), s, count, start, end, answers=[False, True, True])
    made = path.result
    begins = (low - start + s - 1) % s
    ends = (high - start - (end - 1 - start) + s - 1) % s
    return Claim(
        {
            "strides": path.asked[2],
            "a from": a >= start,
            "a below": a < end,
            "q from": q >= made.low,
            "q below": q < made.high,
        },
        (
            same(made.n, count),
            same(made.offset, 0),
            same(a + s * (q - made.step), a + s * q - r),
            holds(a + s * q >= low, (s, q - made.low), s - 1 - begins, a - start, NO),
            holds(a + s * q < high, (s, made.high - 1 - q), ends, end - 1 - a, NO),
        ),
    )


def stride_backwards(
    rule: Rule,
    s: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    start: Integer,
    end: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """The same of T[q] = A[a - s q]."""
    scene, stride = Scene(n, low, high, o, r), -s
    path = along(rule, scene, stride, count, start, end, answers=[True, True, True])
    made = path.result
    begins = (n - high - (n - end) + -stride - 1) % -stride
    ends = (n - low - (n - end) - (n - start - 1 - (n - end)) + -stride - 1) % -stride
    return Claim(
        {
            "strides": path.asked[2],
            "a from": a >= start,
            "a below": a < end,
            "q from": q >= made.low,
            "q below": q < made.high,
        },
        (
            same(made.n, count),
            same(made.offset, 0),
            same(a - s * (q - made.step), a - s * q - r),
            holds(a - s * q < high, (s, q - made.low), s - 1 - begins, end - 1 - a, NO),
            holds(a - s * q >= low, (s, made.high - 1 - q), ends, a - start, NO),
        ),
    )


def take_part(
    rule: Rule,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    a: Integer,
    s: Integer,
    q: Integer,
) -> Claim:
    """A contiguous part R[q] = A[a + s q] is a window on the same signal, and right where A is."""
    path = along(rule, Scene(n, low, high, o, r), Span(a, s), count, answers=[True])
    (made,) = path.result
    return Claim(
        {"contiguous": path.asked[0], "q from": q >= made.low, "q below": q < made.high},
        (
            same(made.n, count),
            same(made.step, r),
            same(made.offset + q, o + (a + s * q)),
            holds(a + s * q >= low, q - made.low, NO),
            holds(a + s * q < high, made.high - 1 - q, NO),
        ),
    )


def take_forwards(
    rule: Rule,
    s: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """R[q] = A[a + s q] moves, and is right where A is."""
    scene, answers = Scene(n, low, high, o, r), [False, False, True, True]
    path = along(rule, scene, Span(a, s), count, answers=answers)
    (made,) = path.result
    begins = (low - a + s - 1) % s
    ends = (high - a - (a + 1 - 1 - a) + s - 1) % s
    return Claim(
        {"strides": path.asked[3], "q from": q >= made.low, "q below": q < made.high},
        (
            same(made.n, count),
            same(made.offset, 0),
            same(a + s * (q - made.step), a + s * q - r),
            holds(a + s * q >= low, (s, q - made.low), s - 1 - begins, NO),
            holds(a + s * q < high, (s, made.high - 1 - q), ends, NO),
        ),
    )


def take_backwards(
    rule: Rule,
    s: Integer,
    *,
    n: Integer,
    low: Integer,
    high: Integer,
    o: Integer,
    r: Integer,
    count: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """The same of R[q] = A[a - s q]."""
    scene, answers = Scene(n, low, high, o, r), [False, True, True, True]
    path = along(rule, scene, Span(a, -s), count, answers=answers)
    (made,) = path.result
    end, back = a + 1, -s
    begins = (n - high - (n - end) + -back - 1) % -back
    ends = (n - low - (n - end) - (n - a - 1 - (n - end)) + -back - 1) % -back
    return Claim(
        {"strides": path.asked[3], "q from": q >= made.low, "q below": q < made.high},
        (
            same(made.n, count),
            same(made.offset, 0),
            same(a - s * (q - made.step), a - s * q - r),
            holds(a - s * q < high, (s, q - made.low), s - 1 - begins, NO),
            holds(a - s * q >= low, (s, made.high - 1 - q), ends, NO),
        ),
    )


def window_scene(
    rule: Rule,
    b: Integer,
    s: Integer,
    d: Integer,
    *,
    n: Integer,
    first: Integer,
    end: Integer,
    o: Integer,
    r: Integer,
    K: Integer,
    low: Integer,
    high: Integer,
    u: Integer,
    t: Integer,
    i: Integer,
) -> Claim:
    """Place u reads the cells s u + d t of the stretched axis: inside, those which show a cell show a right one."""
    op, dim = function(linear=True, symmetric=True), along_axis(K, s, low, high, b, d)
    answers = [*SMALLEST, True, True, False, True, True, False, False]
    path = along(rule, Scene(n, first, end, o, r), dim, op, answers=answers)
    (made,) = path.result
    begins, ends = (first - 1) * b + 1 + low, end * b + low
    reach = d * (K - 1) + 1 - 1 - 0
    rests = (begins - 0 + s - 1) % s, (ends - 0 - reach + s - 1) % s
    return Claim(
        {
            "strides": path.asked[8],
            "t from": t >= 0,
            "t below": t < K,
            "u from": u >= made.low,
            "u below": u < made.high,
            "a cell": s * u + d * t == b * i + low,
        },
        (
            same(s * (u - made.step), s * u - r * b, strides=1),
            holds(i >= first, (b, NO), (s, u - made.low), s - 1 - rests[0], (d, t)),
            holds(i < end, (b, NO), (s, made.high - 1 - u), rests[1], (d, K - 1 - t)),
        ),
    )


TIDY, MERGE, SPLIT, JOIN = facts.tidy, facts._merge, facts.split, facts._join
TAKE, STRETCH, PASS, SLIDE = rules._taken, rules._stretched, rules._passed, rules._slid
ENDS = {
    "neither": (False, False),
    "before": (True, False),
    "behind": (False, True),
    "both": (True, True),
}

LEMMAS = (
    Lemma("scene: a table", "p | r: B[v − o] ≡ B[v − r − o]", table_stays),
    Lemma("scene: a table, exact", "B looks alike one step on ⟹ p | r", table_exact),
    Lemma(
        "scene: places inside",
        "⌈(low − a)/s⌉ ≤ q < ⌈(high − R − a)/s⌉: low ≤ a + s q and a + s q + R < high",
        places_inside,
    ),
    Lemma("scene: all places inside", "and no other place reads the interior alone", places_all),
    Lemma("scene: stride", "s | r: T[q] = S[a + s q] moves by r/s", stride_moves),
    Lemma("scene: stride, exact", "T moves ⟹ s | r", stride_exact),
    Lemma(
        "scene: blocks",
        "S[u b + j] = B[u][j]: step r b, offset o b, and low b ≤ i b + j < high b: low ≤ i < high",
        blocks_move,
    ),
    Lemma("scene: blocks, exact", "low ≤ i < high: low b ≤ i b + j < high b", blocks_exact),
    Lemma(
        "scene: holes",
        "U[b c] = S[c] moves by r b; (low − 1) b + 1 + pad ≤ b i + pad < high b + pad: low ≤ i < high",
        holes_move,
    ),
    Lemma("scene: holes, exact", "cells low − 1 and high lie just outside", holes_exact),
    Lemma("scene: mirror", "n − high ≤ i < n − low: low ≤ n − 1 − i < high", mirrored),
    Lemma("scene: mirror, exact", "low ≤ n − 1 − i < high: n − high ≤ i < n − low", mirrored_exact),
    *(
        Lemma(
            f"rule tidy: scene, cut {name}",
            "max(low, 0) ≤ i < min(high, n): low ≤ i < high",
            tidy_scene(*answers),
            TIDY,
        )
        for name, answers in ENDS.items()
    ),
    Lemma(
        "rule merge: scene, still",
        "S[u m + j] = B[u][j]: step r m, offset o m, interior low m to high m",
        scene_times_still(True),
        MERGE,
    ),
    Lemma(
        "rule merge: scene, flat",
        "the same of equal cells, where one factor is wanted",
        scene_times_still(False, all_flat=True),
        MERGE,
    ),
    Lemma(
        "rule split: scene, blocks",
        "m | r: B[u][j] = S[o + u m + j] moves by r/m, and in ⌈low/m⌉ ≤ u < ⌊high/m⌋ all cells are right",
        split_scene,
        SPLIT,
    ),
    *(
        Lemma(
            f"rule join: scenes, cut {name}",
            "r = t, lcm | r: g of scenes and still values moves by r, where both are right",
            join_scenes(*answers),
            JOIN,
        )
        for name, answers in ENDS.items()
    ),
    Lemma(
        "rule pad: scene",
        "U[b c] = S[c]: step r b, and in (first − 1) b + 1 + low to end b + low it shows right cells only",
        pad_scene,
        STRETCH,
    ),
    Lemma(
        "rule window: scene",
        "inside, cells s u + d t = b i + low that place u reads have first ≤ i < end; places move by r b/s",
        window_scene,
        SLIDE,
    ),
    Lemma(
        "rule stride: scene",
        "s | r: T[q] = A[a + s q] moves by r/s, and is right for ⌈(low − start)/s⌉ ≤ q < ⌈(high − end + 1)/s⌉",
        stride_forwards,
        PASS,
    ),
    Lemma(
        "rule stride: scene, backwards",
        "s | r: T[q] = A[a − s q] moves by −r/s, and is right where it reads the interior alone",
        stride_backwards,
        PASS,
    ),
    Lemma(
        "rule take: scene, part",
        "s = 1: R[q] = S[o + a + s q], of the same signal, is right for low − a ≤ q < high − a",
        take_part,
        TAKE,
    ),
    Lemma(
        "rule take: scene",
        "s | r: R[q] = A[a + s q] moves by r/s, and is right where it reads the interior",
        take_forwards,
        TAKE,
    ),
    Lemma(
        "rule take: scene, backwards",
        "s | r: R[q] = A[a − s q] moves by −r/s, and is right where it reads the interior",
        take_backwards,
        TAKE,
    ),
)
