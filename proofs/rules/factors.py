"""Lemmas about the rules for factors, which branch: each is run on symbols along each of its paths.

A still factor says B[w] = B[w + p] where both are cells, a moving one A[i] = S[(o + i) mod N]. What a rule gives must
say no more than what it was given, about the same cells.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from proofs.rules import solvers
from proofs.rules.claim import NO, Claim, Goal, because, congruent, either_way, same
from proofs.rules.lemma import Integer, Lemma
from proofs.rules.paths import Given, along
from proofs.rules.terms import Term, Truth, lift
from shiftproof_kernel import facts

Rule = Callable[..., Any]
Still: Any = facts.Still  # here they are made of terms
Moving: Any = facts.Moving
Fold: Any = facts.Fold
Phase: Any = facts.Phase


def tidy_moving(rule: Rule, N: Integer, *, n: Integer, o: Integer, r: Integer, u: Integer) -> Claim:
    """Offset and step count modulo the period."""
    (made,) = along(rule, [Moving(n, N, o, r)], answers=[True]).result
    return Claim(
        {},
        (
            same(made.n, n),
            same(made.period, N),
            congruent(made.offset + u, o + u, N, times=-(o // N)),
            congruent(u - made.step, u - r, N, times=r // N),
        ),
    )


def tidy_turned(answers: list[bool]) -> Rule:
    """What moves by whole periods stays, and repeats as its signal does, where it is longer than a period."""

    def build(rule: Rule, N: Integer, *, n: Integer, o: Integer, r: Integer, u: Integer) -> Claim:
        path = along(rule, [Moving(n, N, o, r)], answers=answers)
        (made,) = path.result
        repeats = (
            congruent(o + u + made.period, o + u, N, times=1)
            if answers[1]
            else same(made.period, n)
        )
        return Claim(
            {"whole turns": solvers.opposite(path.asked[0])},
            (same(made.n, n), repeats, congruent(u - r, u, N, times=-(r // N))),
        )

    return build


def tidy_still(answers: list[bool]) -> Rule:
    """The period is as it was, or the size, which says nothing."""

    def build(rule: Rule, *, n: Integer, p: Integer) -> Claim:
        (made,) = along(rule, [Still(n, p)], answers=answers).result
        return Claim({}, (same(made.n, n), same(made.period, p if answers[0] else n)))

    return build


def tidy_phase(answers: list[bool]) -> Rule:
    """Turns count modulo the period, and of one cell there is no other; without any, nothing is turned."""

    def build(rule: Rule, N: Integer, *, n: Integer, f: Integer, t: Integer, q: Integer) -> Claim:
        path = along(rule, [Phase(n, N, f, t)], answers=answers)
        (made,) = path.result
        first, step = f // N, q * (t // N)
        given: dict[str, Truth | tuple[Truth, ...]] = {}
        cuts: tuple[Goal, ...] = ()
        if not answers[0]:  # then the step is of no account
            step = lift(0)
            given = {"one cell": solvers.opposite(path.asked[0]), "from": q >= 0, "below": q < n}
            cuts = (either_way(q == 0, because(NO, n - 1 - q, 1 - n), because(NO, q)),)
        if isinstance(made, facts.Phase):
            turn = congruent(made.first + q * made.step, f + q * t, N, times=-(first + step))
            return Claim(given, (same(made.n, n), same(made.period, N), turn), cuts)
        unturned = path.asked[1:3] if answers[0] else path.asked[1:2]
        given |= {f"no turn {i}": solvers.opposite(asked) for i, asked in enumerate(unturned)}
        turn = congruent(f + q * t, 0, N, times=first + step)
        return Claim(given, (same(made.n, n), same(made.period, n), turn), cuts)

    return build


def tidy_single(make: Callable[..., Any], answers: list[bool]) -> Rule:
    """Only a factor of one cell that stays is left out."""

    def build(rule: Rule, *, n: Integer, N: Integer, o: Integer, r: Integer) -> Claim:
        path = along(rule, [make(n, N, o, r)], answers=answers)
        return Claim({"one cell": path.asked[-1]}, (same(lift(len(path.result)), 0), same(n, 1)))

    return build


def flat_times_still(rule: Rule, p: Integer, m: Integer, *, n: Integer, w: Integer) -> Claim:
    """C[w] = B[w mod m], of whole periods p: it repeats after p."""
    path = along(rule, Still(n, 1), Still(m, p), answers=[True])
    made = path.result
    turns = (w + made.period) // m - w // m
    return Claim(
        {"whole periods": path.asked[0]},
        (
            same(made.n, n * m),
            congruent((w + made.period) % m, w % m, p, times=1 - m // p * turns),
        ),
    )


def flat_times_odd(rule: Rule, m: Integer, *, p: Integer, n: Integer, w: Integer) -> Claim:
    """C[w] = B[w mod m] repeats after m, whatever B does."""
    made = along(rule, Still(n, 1), Still(m, p), answers=[False]).result
    return Claim({}, (same(made.n, n * m), congruent(w + made.period, w, m, times=1)))


def still_times_still(
    rule: Rule, *, n: Integer, q: Integer, m: Integer, p: Integer, u: Integer, j: Integer
) -> Claim:
    """C[u m + j] = A[u][j] repeats after q m, where A repeats after q."""
    made = along(rule, Still(n, q), Still(m, p), answers=[False]).result
    return Claim({}, (same(made.n, n * m), same(u * m + j + made.period, (u + q) * m + j)))


def flat_times_moving(
    rule: Rule,
    N: Integer,
    *,
    n: Integer,
    m: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    j: Integer,
) -> Claim:
    """Copies of a window on whole periods are one longer window."""
    path = along(rule, Still(n, 1), Moving(m, N, o, r), answers=[True])
    made = path.result
    return Claim(
        {"whole periods": path.asked[0]},
        (
            same(made.n, n * m),
            same(made.period, N),
            same(made.step, r),
            congruent(made.offset + u * m + j, o + j, N, times=u * (m // N)),
        ),
    )


def moving_times_still(
    rule: Rule,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    m: Integer,
    p: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """The cells of blocks of a moving axis move, a block at a time."""
    made = along(rule, Moving(n, N, o, r), Still(m, p), answers=[True]).result
    return _blocks_move(made, n, N, o, r, m, u, i, j)


def moving_times_flat(
    rule: Rule,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    m: Integer,
    p: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """So do equal cells, where one factor is wanted."""
    window, flat = Moving(n, N, o, r), Still(m, p)
    made = along(rule, window, flat, answers=[False], all_flat=True).result
    return _blocks_move(made, n, N, o, r, m, u, i, j)


def _blocks_move(
    made: Any,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    m: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    return Claim(
        {},
        (
            same(made.n, n * m),
            same(u * m + j + made.period, (u + N) * m + j),
            same(u * m + j - made.step, (u - r) * m + j),
            same(made.offset + i * m + j, (o + i) * m + j),
        ),
    )


def split_into_one(make: Callable[..., Any]) -> Rule:
    """One block is the whole axis."""

    def build(rule: Rule, m: Integer, *, n: Integer, N: Integer, o: Integer, r: Integer) -> Claim:
        given = make(n, N, o, r)
        path = along(rule, given, m, answers=[True])
        one, block = path.result
        return Claim(
            {"whole blocks": n % m == 0, "one": path.asked[0]},
            (
                same(one.n, 1),
                same(one.period, 1),
                same(block.n, m),
                *(
                    same(part, whole)
                    for part, whole in zip(_beside_size(block), _beside_size(given), strict=True)
                ),
            ),
        )

    return build


def _beside_size(factor: Any) -> list[Term]:
    """All numbers of a factor but the first."""
    values = [getattr(factor, field.name) for field in dataclasses.fields(factor)]
    return [value for value in values[1:] if isinstance(value, Term)]


def split_still_flat(
    rule: Rule, p: Integer, m: Integer, *, n: Integer, u: Integer, j: Integer
) -> Claim:
    """Blocks of whole periods are alike."""
    path = along(rule, Still(n, p), m, answers=[False, True])
    major, minor = path.result
    return Claim(
        {"whole blocks": n % m == 0, "whole periods": path.asked[1]},
        (
            same(major.n * minor.n, n),
            congruent((u + major.period) * m + j, u * m + j, p, times=m // p),
            congruent(u * m + j + minor.period, u * m + j, p, times=1),
        ),
    )


def split_still_blocks(
    rule: Rule, p: Integer, m: Integer, *, n: Integer, u: Integer, j: Integer
) -> Claim:
    """Where a period is whole blocks, blocks repeat after as many."""
    path = along(rule, Still(n, p), m, answers=[False, False, True])
    major, minor = path.result
    return Claim(
        {"whole blocks": n % m == 0, "blocks of a period": path.asked[2]},
        (
            same(major.n * minor.n, n),
            congruent((u + major.period) * m + j, u * m + j, p, times=1),
            same(minor.period, m),
        ),
    )


def split_still_odd(rule: Rule, m: Integer, *, p: Integer, n: Integer) -> Claim:
    """Otherwise nothing is said: each period is the whole size."""
    major, minor = along(rule, Still(n, p), m, answers=[False, False, False]).result
    return Claim(
        {"whole blocks": n % m == 0},
        (same(major.n * minor.n, n), same(major.period, major.n), same(minor.period, minor.n)),
    )


def split_moving_flat(
    rule: Rule,
    N: Integer,
    m: Integer,
    *,
    n: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """Blocks that hold whole periods are alike, and each is the window."""
    path = along(rule, Moving(n, N, o, r), m, answers=[False, True])
    major, minor = path.result
    return Claim(
        {"whole blocks": n % m == 0, "whole periods": path.asked[1]},
        (
            same(major.n * minor.n, n),
            congruent(
                o + (i + major.period * u) * m + j, minor.offset + i * m + j, N, times=u * (m // N)
            ),
            same(minor.period, N),
            same(minor.step, r),
        ),
    )


def split_moving_blocks(
    rule: Rule,
    N: Integer,
    m: Integer,
    *,
    n: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    j: Integer,
) -> Claim:
    """B[u][j] = S[o + u m + j] has blocks for its cells; it begins with block 0."""
    path = along(rule, Moving(n, N, o, r), m, answers=[False, False, True, True])
    major, minor = path.result
    return Claim(
        {"whole blocks": n % m == 0, "period": path.asked[2], "step": path.asked[3]},
        (
            same(major.n * minor.n, n),
            congruent(o + (u + major.period) * m + j, o + u * m + j, N, times=1),
            same(o + (u - major.step) * m + j, o + u * m + j - r),
            same(major.offset, 0),
            same(minor.period, m),
        ),
    )


def split_laps(
    rule: Rule, N: Integer, m: Integer, *, n: Integer, r: Integer, u: Integer, j: Integer
) -> Claim:
    """Laps of one period: cell j of every lap counts for cell j of the sum."""
    fold = Fold(n, N, r, "whole", 0)
    path = along(rule, fold, m, answers=[False, True])
    laps, cells = path.result
    return Claim(
        {"whole blocks": n % m == 0, "one period": path.asked[1]},
        (
            same(laps.n * cells.n, n),
            congruent(u * m + j, j, cells.period, times=u),
            same(cells.n, N),
            same(cells.step, r),
        ),
    )


def join(
    rule: Rule,
    M: Integer,
    p: Integer,
    L: Integer,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    e: Integer,
    t: Integer,
    v: Integer,
) -> Claim:
    """G[v] = g(S[v], R[v - o + e], B[v - o]) has the period N and moves by r."""
    given = Given(rule, lcm=L)
    heads = [Moving(n, N, o, r), Moving(n, M, e, t), Still(n, p)]
    path = along(given.rule, heads, answers=[False, True, True, True, True])
    made = path.result
    (period,) = given.multiplied
    ends = v + made.period, v - made.step
    return Claim(
        {
            "a multiple": L % period == 0,
            "alike": path.asked[1:3],
            "repeats": path.asked[3:],
        },
        (
            same(made.n, n),
            same(made.period, N),
            same(made.offset, o),
            same(made.step, r),
            congruent(ends[0] - o + e, v - o + e, M, times=N // M),
            congruent(v - t - o + e, ends[1] - o + e, M, times=(r - t) // M),
            congruent(ends[0] - o, v - o, p, times=N // L * (L // p), **{"repeats 1": 1}),
            congruent(ends[1] - o, v - o, p, times=-(r // L * (L // p))),
        ),
    )


def join_still(rule: Rule, p: Integer, q: Integer, *, L: Integer, n: Integer, v: Integer) -> Claim:
    """g(B[v], C[v]) repeats with both."""
    given = Given(rule, lcm=L)
    made = along(given.rule, [Still(n, p), Still(n, q)], answers=[]).result
    first, second = given.multiplied
    return Claim(
        {"a multiple": (L % first == 0, L % second == 0)},
        (
            same(made.n, n),
            congruent(v + made.period, v, p, times=L // p),
            congruent(v + made.period, v, q, times=L // q, **{"a multiple 2": 1}),
        ),
    )


TIDY, MERGE, SPLIT, JOIN = facts.tidy, facts._merge, facts.split, facts._join

LEMMAS = (
    Lemma("rule tidy: moving", "o mod N ≡ o, r mod N ≡ r (mod N)", tidy_moving, TIDY),
    Lemma(
        "rule tidy: whole turns",
        "N | r: S[u − r] = S[u], so it stays, and has period N",
        tidy_turned([False, True, False]),
        TIDY,
    ),
    Lemma(
        "rule tidy: whole turns, odd",
        "N | r: it stays, and no period is claimed of less than one",
        tidy_turned([False, False, False]),
        TIDY,
    ),
    Lemma("rule tidy: still", "the period stays", tidy_still([True, False]), TIDY),
    Lemma("rule tidy: still, odd", "or nothing is claimed", tidy_still([False, False]), TIDY),
    *(
        Lemma(f"rule tidy: one cell, {name}", "n = 1: left out", tidy_single(make, answers), TIDY)
        for name, make, answers in (
            ("moving", lambda n, N, o, r: Moving(n, N, o, r), [False, True, True]),
            ("turned", lambda n, N, o, r: Moving(n, N, o, r), [False, False, True]),
            ("still", lambda n, N, o, r: Still(n, N), [True, True]),
            ("odd", lambda n, N, o, r: Still(n, N), [False, True]),
            ("unturned", lambda n, N, o, r: Phase(n, N, o, r), [True, False, False, True]),
            ("unturned cell", lambda n, N, o, r: Phase(n, N, o, r), [False, False, True]),
        )
    ),
    *(
        Lemma(f"rule tidy: spectrum, {name}", statement, tidy_phase(answers), TIDY)
        for name, statement, answers in (
            ("turned", "(f mod N) + q (t mod N) ≡ f + q t (mod N)", [True, True]),
            ("turned but the first", "the same of N | f", [True, False, True]),
            ("unturned", "N | f, N | t: f + q t ≡ 0 (mod N)", [True, False, False, False]),
            ("one cell", "n ≤ 1: (f mod N) ≡ f + q t (mod N) for 0 ≤ q < n", [False, True]),
            ("no turn", "n ≤ 1, N | f: f + q t ≡ 0 (mod N) for 0 ≤ q < n", [False, False, False]),
        )
    ),
    Lemma(
        "rule merge: flat, still",
        "p | m: B[w mod m] of period p, copied, has period p",
        flat_times_still,
        MERGE,
    ),
    Lemma("rule merge: flat, odd", "B[w mod m], copied, has period m", flat_times_odd, MERGE),
    Lemma(
        "rule merge: still, still",
        "A[u][j] of period q in u: cell u m + j has period q m",
        still_times_still,
        MERGE,
    ),
    Lemma(
        "rule merge: flat, moving",
        "N | m: a window of m cells, copied, is a window",
        flat_times_moving,
        MERGE,
    ),
    Lemma(
        "rule merge: moving, still",
        "S[u m + j] = B[u][j]: period N m, step r m, offset o m, n m cells",
        moving_times_still,
        MERGE,
    ),
    Lemma(
        "rule merge: moving, flat",
        "the same of equal cells, where one factor is wanted",
        moving_times_flat,
        MERGE,
    ),
    *(
        Lemma(
            f"rule split: {name}, one block",
            "n/m = 1: the block is the axis",
            split_into_one(make),
            SPLIT,
        )
        for name, make in {
            "still": lambda n, N, o, r: Still(n, N),
            "moving": lambda n, N, o, r: Moving(n, N, o, r),
            "laps": lambda n, N, o, r: Fold(n, N, r, "whole", 0),
            "scene": lambda n, N, o, r: facts.Scene(n, r, N, o, r),
            "spectrum": lambda n, N, o, r: Phase(n, N, o, r),
        }.items()
    ),
    Lemma("rule split: still, flat", "p | m: B[u m + j] = B[j]", split_still_flat, SPLIT),
    Lemma(
        "rule split: still, blocks",
        "m | p: blocks of m have period p/m",
        split_still_blocks,
        SPLIT,
    ),
    Lemma("rule split: still, odd", "otherwise no period is claimed", split_still_odd, SPLIT),
    Lemma("rule split: moving, flat", "N | m: S[o + u m + j] = S[o + j]", split_moving_flat, SPLIT),
    Lemma(
        "rule split: moving, blocks",
        "m | N, m | r: B[u][j] = S[o + u m + j] has period N/m and moves by r/m",
        split_moving_blocks,
        SPLIT,
    ),
    Lemma("rule split: laps", "m = N: u m + j ≡ j (mod N)", split_laps, SPLIT),
    Lemma(
        "rule join",
        "M | N, M | r − t, lcm | N, lcm | r: g of moving and still values has period N and moves by r",
        join,
        JOIN,
    ),
    Lemma("rule join: still", "g of still values has period lcm(p, q)", join_still, JOIN),
)
