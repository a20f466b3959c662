"""Lemmas about signals: S has the period N, and the shift moves it by r, S(Tx)[u] = S(x)[u - r].

That two positions are the same cell of every such signal is a congruence, so no lemma needs to speak of functions. A
rule is *sound* where its formulas make the congruences true, and *exact* where its condition is also necessary.
"""

from proofs.rules.claim import NO, Claim, because, congruent, each, either_way, exactly, holds, same
from proofs.rules.lemma import Formulas, Integer, Lemma


def whole_periods(
    k: Formulas, n: Integer, N: Integer, *, a: Integer, b: Integer, i: Integer
) -> Claim:
    """The cells of n places from a are those from b, in another order."""
    j = (i + b - a) % n
    turns = (i + b - a) // n
    return Claim(
        {"covers": k.covers(n, N)},
        (
            congruent(a + j, b + i, N, times=-(n // N) * turns),
            congruent(j + a - b, i, n, times=-turns),
        ),
    )


def covers_exact(k: Formulas, N: Integer, *, n: Integer, a: Integer, m: Integer) -> Claim:
    """If the place behind the last is again the first cell, then the condition holds."""
    return Claim({"closes": a + n == a + N * m}, each(k.covers(n, N), m))


def tiles(k: Formulas, N: Integer, *, n: Integer, o: Integer, u: Integer, j: Integer) -> Claim:
    """Cells of blocks that hold whole periods do not depend on the block."""
    return Claim(
        {"covers": k.covers(n, N)}, (congruent(o + u * n + j, o + j, N, times=u * (n // N)),)
    )


def still_meets_moving(
    k: Formulas, p: Integer, *, N: Integer, r: Integer, o: Integer, v: Integer
) -> Claim:
    """G[v] = g(S[v], B[v - o]) has the period N and moves by r, where B stays and has the period p."""
    return Claim(
        {"holds still": k.holds_still(N, r, p)},
        (
            congruent(v + N - o, v - o, p, times=N // p),
            congruent(v - o, v - r - o, p, times=r // p),
        ),
    )


def still_exact(
    k: Formulas, p: Integer, *, N: Integer, r: Integer, v: Integer, x: Integer, y: Integer
) -> Claim:
    """If B looks alike a period and a step further on, then the condition holds."""
    return Claim(
        {"a period on": (v + N) - v == p * x, "a step on": v - (v - r) == p * y},
        each(k.holds_still(N, r, p), x, y),
    )


def moving_meets_moving(
    k: Formulas, M: Integer, *, N: Integer, r: Integer, t: Integer, u: Integer
) -> Claim:
    """A signal of period M that moves by t is one of period N that moves by r."""
    return Claim(
        {"moves alike": k.moves_alike(N, r, M, t)},
        (
            congruent(u + N, u, M, times=N // M),
            congruent(u - t, u - r, M, times=(r - t) // M),
        ),
    )


def moving_exact(
    k: Formulas,
    M: Integer,
    *,
    N: Integer,
    r: Integer,
    t: Integer,
    u: Integer,
    x: Integer,
    y: Integer,
) -> Claim:
    """If a signal of period M that moves by t repeats after N and moves by r, then the condition holds."""
    return Claim(
        {"repeats": (u + N) - u == M * x, "moves": (u - t) - (u - r) == M * y},
        each(k.moves_alike(N, r, M, t), x, y),
    )


def split_moves(
    k: Formulas,
    N: Integer,
    b: Integer,
    *,
    r: Integer,
    n: Integer,
    o: Integer,
    u: Integer,
    j: Integer,
) -> Claim:
    """B[u][j] = S[o + u b + j] has the period N' and moves by r' blocks."""
    _, period, step = k.split(n, N, r, b)
    return Claim(
        {"splits": k.splits(N, r, b)},
        (
            congruent(o + (u + period) * b + j, o + u * b + j, N, times=1),
            same(o + (u - step) * b + j, o + u * b + j - r),
        ),
    )


def split_cells(
    k: Formulas,
    b: Integer,
    *,
    n: Integer,
    u: Integer,
    j: Integer,
    i: Integer,
    N: Integer,
    r: Integer,
) -> Claim:
    """Blocks and places in them count the cells: u b + j of (u, j), and i // b, i % b of i."""
    blocks, _, _ = k.split(n, N, r, b)
    return Claim(
        {
            "whole blocks": n % b == 0,
            "u from 0": u >= 0,
            "u below": u < blocks,
            "j from 0": j >= 0,
            "j below": j < b,
            "i from 0": i >= 0,
            "i below": i < n,
        },
        (
            holds(u * b + j >= 0, (b, u), j, NO),
            holds(u * b + j < n, (b, blocks - 1 - u), b - 1 - j, NO),
            holds(i // b >= 0, (b, NO), i, b - 1 - i % b),
            holds(i // b < blocks, (b, NO), n - 1 - i, i % b),
        ),
    )


def split_exact(
    k: Formulas,
    b: Integer,
    *,
    N: Integer,
    r: Integer,
    u: Integer,
    j: Integer,
    x: Integer,
    y: Integer,
    m: Integer,
) -> Claim:
    """If blocks tile the period and moving some number of them is a step, then the condition holds."""
    return Claim(
        {
            "blocks tile": b * x == N,
            "blocks move": (u - y) * b + j == u * b + j - r + N * m,
        },
        each(k.splits(N, r, b), x, y + x * m),
    )


def merge_moves(
    k: Formulas,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    b: Integer,
    u: Integer,
    i: Integer,
    j: Integer,
) -> Claim:
    """S[u b + j] = B[u][j] has the period N b, moves by r b, and a window on B from o is one on S from o b."""
    _, period, offset, step = k.merge(n, N, o, r, b)
    return Claim(
        {},
        (
            same(u * b + j + period, (u + N) * b + j),
            same(u * b + j - step, (u - r) * b + j),
            same(offset + i * b + j, (o + i) * b + j),
        ),
    )


def merge_cells(
    k: Formulas,
    b: Integer,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    u: Integer,
    j: Integer,
    i: Integer,
) -> Claim:
    """The window on S shows as many cells as all blocks hold: each pair (u, j) is one, and each is a pair."""
    size, _, _, _ = k.merge(n, N, o, r, b)
    return Claim(
        {
            "u from 0": u >= 0,
            "u below": u < n,
            "j from 0": j >= 0,
            "j below": j < b,
            "i from 0": i >= 0,
            "i below": i < size,
        },
        (
            holds(u * b + j >= 0, (b, u), j, NO),
            holds(u * b + j < size, (b, n - 1 - u), b - 1 - j, NO),
            holds(i // b >= 0, (b, NO), i, b - 1 - i % b),
            holds(i // b < n, (b, NO), size - 1 - i, i % b),
        ),
    )


def regroup(k: Formulas, b: Integer, *, n: Integer, N: Integer, o: Integer, r: Integer) -> Claim:
    """What was merged can be split again, and is what it was."""
    size, period, _, step = k.merge(n, N, o, r, b)
    size_again, period_again, step_again = k.split(size, period, step, b)
    return Claim(
        {},
        (
            *each(k.splits(period, step, b), N, r),
            _quotient(size_again, size, b, n),
            _quotient(period_again, period, b, N),
            _quotient(step_again, step, b, r),
        ),
    )


def split_twice(
    k: Formulas, b: Integer, c: Integer, *, n: Integer, N: Integer, r: Integer
) -> Claim:
    """Split into blocks of b, and these by c, is split into blocks of b c."""
    once = k.split(n, N, r, b)
    twice = k.split(*once, c)
    direct = k.split(n, N, r, b * c)
    return Claim(
        {
            "splits": k.splits(N, r, b),
            "splits again": k.splits(once[1], once[2], c),
        },
        (
            *each(k.splits(N, r, b * c), twice[1], twice[2]),
            either_way(
                direct[0] == twice[0],
                because((b * c, NO), n % (b * c), (b, c - 1 - once[0] % c), b - 1 - n % b),
                because((b * c, NO), b * c - 1 - n % (b * c), (b, once[0] % c), n % b),
            ),
            _quotient(direct[1], N, b * c, twice[1]),
            _quotient(direct[2], r, b * c, twice[2]),
        ),
    )


def _quotient(found: Integer, x: Integer, y: Integer, result: Integer):
    """That a formula gives x / y, which is `result`."""
    return exactly(x, y, result)._replace(truth=found == result)


def stride_period(
    k: Formulas, N: Integer, g: Integer, *, s: Integer, a: Integer, q: Integer
) -> Claim:
    """T[q] = S[a + s q] has the period N / g."""
    period = k.strided_period(N, g)
    return Claim(
        {"g divides N": N % g == 0, "g divides s": s % g == 0},
        (congruent(a + s * (q + period), a + s * q, N, times=s // g),),
    )


def stride_moves(
    k: Formulas,
    N: Integer,
    g: Integer,
    *,
    s: Integer,
    r: Integer,
    inverse: Integer,
    w: Integer,
    a: Integer,
    q: Integer,
) -> Claim:
    """T moves by r', as s r' = r modulo N."""
    period = k.strided_period(N, g)
    step = k.strided_step(period, r, g, inverse)
    turns = (r // g * inverse) // period
    return Claim(
        {
            "g divides N": N % g == 0,
            "g divides s": s % g == 0,
            "inverse": s // g * inverse == 1 + period * w,
            "strides": k.strides(r, g),
        },
        (
            congruent(
                a + s * (q - step),
                a + s * q - r,
                N,
                times=s // g * turns - r // g * w,
                inverse=-r,
            ),
            holds(step >= 0, step, NO),
            holds(step < period, period - 1 - step, NO),
        ),
        cuts=(_positive(N, g, period),),
    )


def _positive(N: Integer, g: Integer, period: Integer):
    """N / g > 0, since g (N / g) = N > 0."""
    return holds(period > 0, (g, NO), N - 1)


def stride_exact(
    k: Formulas,
    g: Integer,
    *,
    N: Integer,
    s: Integer,
    r: Integer,
    a: Integer,
    q: Integer,
    y: Integer,
    m: Integer,
) -> Claim:
    """If T moves by any y at all, then the condition holds."""
    return Claim(
        {
            "g divides N": N % g == 0,
            "g divides s": s % g == 0,
            "moves": (a + s * (q - y)) - (a + s * q - r) == N * m,
        },
        each(k.strides(r, g), s // g * y + N // g * m),
    )


def stride_least(
    k: Formulas,
    N: Integer,
    g: Integer,
    *,
    s: Integer,
    inverse: Integer,
    w: Integer,
    q: Integer,
    y: Integer,
    m: Integer,
) -> Claim:
    """T has no other periods: if it repeats after y for every S, then N / g divides y."""
    period = k.strided_period(N, g)
    t, n = s // g, N // g
    return Claim(
        {
            "g divides N": N % g == 0,
            "g divides s": s % g == 0,
            "inverse": t * inverse == 1 + n * w,
            "repeats": s * (q + y) - s * q == N * m,
        },
        (congruent(y, 0, period, times=inverse * m - w * y, inverse=-y, **{"cut 2": inverse}),),
        cuts=(
            _positive(N, g, period),
            either_way(
                t * y == n * m,
                because((g, NO), g - 1, repeats=1),
                because((g, NO), g - 1, repeats=-1),
            ),
        ),
    )


def stride_adds(
    k: Formulas, P: Integer, g: Integer, *, r: Integer, t: Integer, inverse: Integer
) -> Claim:
    """The step of T is linear: r + t is allowed where r and t are, and the steps of T add up."""
    steps = [k.strided_step(P, step, g, inverse) for step in (r, t, r + t)]
    turns = [step // g * inverse // P for step in (r, t, r + t)]
    return Claim(
        {"strides by r": k.strides(r, g), "strides by t": k.strides(t, g)},
        (
            *each(k.strides(r + t, g), r // g + t // g),
            congruent(steps[2], steps[0] + steps[1], P, times=turns[0] + turns[1] - turns[2]),
        ),
        cuts=(exactly(r + t, g, r // g + t // g),),
    )


def blocks_add(
    k: Formulas,
    b: Integer,
    *,
    n: Integer,
    N: Integer,
    o: Integer,
    r: Integer,
    t: Integer,
) -> Claim:
    """The steps of blocks, of their cells and of cells pulled apart are linear."""
    steps = [k.split(n, N, step, b)[2] for step in (r, t, r + t)]
    merged = [k.merge(n, N, o, step, b)[3] for step in (r, t, r + t)]
    stretched = [k.stretch(N, step, b)[1] for step in (r, t, r + t)]
    return Claim(
        {"splits by r": k.splits(N, r, b), "splits by t": k.splits(N, t, b)[1:]},
        (
            *each(k.splits(N, r + t, b), N // b, r // b + t // b),
            _quotient(steps[2], r + t, b, steps[0] + steps[1]),
            same(merged[2], merged[0] + merged[1]),
            same(stretched[2], stretched[0] + stretched[1]),
        ),
    )


def glue(k: Formulas, N: Integer, *, n: Integer, o: Integer, p: Integer, i: Integer) -> Claim:
    """The window from p goes on where that of n cells from o ends: its cell i - n is cell i of the first."""
    return Claim(
        {"same cell": k.same_cell(N, o + n, p)},
        (congruent(o + i, p + (i - n), N, times=(o + n - p) // N),),
    )


def cell_exact(k: Formulas, N: Integer, *, x: Integer, y: Integer, m: Integer) -> Claim:
    """Positions whole periods apart are told to be the same cell."""
    return Claim({"periods apart": x == y + N * m}, each(k.same_cell(N, x, y), m))


def leap_leads(k: Formulas, N: Integer, *, x: Integer, y: Integer) -> Claim:
    """A leap from x ends at the cell of y, and is no longer than it must be."""
    leap = k.leap(N, x, y)
    return Claim(
        {},
        (
            congruent(x + leap, y, N, times=-((y - x) // N)),
            holds(leap >= 0, leap, NO),
            holds(leap < N, N - 1 - leap, NO),
        ),
    )


def pattern(
    k: Formulas,
    N: Integer,
    *,
    u: Integer,
    v: Integer,
    x: Integer,
    y: Integer,
    a: Integer,
    t: Integer,
    q: Integer,
    m: Integer,
    h: Integer,
) -> Claim:
    """The positions u and v lie a block of step t apart, and the next ones are x and y. If x is as far behind u as y
    is behind v, then x and y too lie t apart, modulo N; and if x = a + t q, then y = a + t (q + 1).
    """
    apart = (y - v) // N - (x - u) // N + m
    return Claim(
        {
            "a block apart": v == u + t + N * m,
            "leaps": k.leap(N, u, x) == k.leap(N, v, y),
            "so far": x == a + t * q + N * h,
        },
        (
            congruent(y, x + t, N, times=apart),
            congruent(y, a + t * (q + 1), N, times=apart + h),
        ),
    )


def pattern_exact(
    k: Formulas, N: Integer, *, u: Integer, v: Integer, x: Integer, y: Integer, m: Integer
) -> Claim:
    """If x lies as far behind u as y behind v, modulo N, then the leaps are equal."""
    one, other = k.leap(N, u, x), k.leap(N, v, y)
    turns = (y - v) // N - (x - u) // N - m
    return Claim(
        {"as far": y - v == x - u + N * m},
        (either_way(one == other, because(NO, (N, -turns)), because(NO, (N, turns))),),
        cuts=(
            holds(turns <= 0, (N, NO), N - 1 - (x - u) % N, (y - v) % N),
            holds(turns >= 0, (N, NO), N - 1 - (y - v) % N, (x - u) % N),
        ),
    )


def block_flat(
    k: Formulas, N: Integer, *, x: Integer, y: Integer, o: Integer, t: Integer, q: Integer
) -> Claim:
    """Positions without a leap between them show one cell, in every block."""
    return Claim(
        {"no leap": k.leap(N, x, y) == 0},
        (congruent(o + y + t * q, o + x + t * q, N, times=(y - x) // N),),
    )


def block_flat_exact(k: Formulas, N: Integer, *, x: Integer, y: Integer, m: Integer) -> Claim:
    """From a cell to the same one, whole periods on, there is no leap."""
    return Claim({"periods apart": y == x + N * m}, each((k.leap(N, x, y) == 0,), m))


def rolls(
    k: Formulas, n: Integer, *, roll: Integer, known: Integer, m: Integer, u: Integer
) -> Claim:
    """C[u - known] = C[u] everywhere, m times over, is C[u - roll] = C[u]."""
    return Claim(
        {"rolls": k.rolls(n, roll, known, m)},
        (congruent(u - roll, u - m * known, n, times=(m * known - roll) // n),),
    )


def rolls_exact(
    k: Formulas, n: Integer, *, roll: Integer, known: Integer, m: Integer, x: Integer
) -> Claim:
    """A roll that is m known ones, and whole turns, is told to be one."""
    return Claim({"turns apart": roll == m * known + n * x}, each(k.rolls(n, roll, known, m), -x))


LEMMAS = (
    Lemma(
        "whole periods",
        "N | n: {S[a], …, S[a+n−1]} = {S[b], …, S[b+n−1]} as multisets, by i ↦ (i + b − a) mod n, for all a, b; "
        "so a sum over whole periods does not change",
        whole_periods,
    ),
    Lemma(
        "whole periods, exact", "if place a + n shows the cell of place a then N | n", covers_exact
    ),
    Lemma("tiles", "N | n: S[o + u n + j] = S[o + j]", tiles),
    Lemma(
        "still meets moving",
        "p | N, p | r, B of period p stays: G[v] = g(S[v], B[v−o]) has period N, and G(Tx)[v] = G(x)[v−r]",
        still_meets_moving,
    ),
    Lemma(
        "still meets moving, exact",
        "if B repeats after N and after r then p | N and p | r",
        still_exact,
    ),
    Lemma(
        "moving meets moving",
        "M | N, M | r − t: what has period M and moves by t has period N and moves by r",
        moving_meets_moving,
    ),
    Lemma(
        "moving meets moving, exact",
        "if it has period N and moves by r then M | N and M | r − t",
        moving_exact,
    ),
    Lemma(
        "split moves",
        "b | N, b | r: B[u][j] = S[o + u b + j] has period N/b, and B(Tx)[u][j] = B(x)[u − r/b][j]",
        split_moves,
    ),
    Lemma(
        "split counts the cells",
        "b | n: (u, j) ↦ u b + j maps n/b × b onto n, with inverse i ↦ (⌊i/b⌋, i mod b)",
        split_cells,
    ),
    Lemma(
        "split, exact",
        "if blocks of b tile the period N and y of them are a step modulo N then b | N and b | r",
        split_exact,
    ),
    Lemma(
        "merge moves",
        "S[u b + j] = B[u][j]: period N b, S(Tx)[w] = S(x)[w − r b], and B[o + i][j] = S[o b + i b + j]",
        merge_moves,
    ),
    Lemma(
        "merge counts the cells",
        "(u, j) ↦ u b + j maps n × b onto n b, with inverse i ↦ (⌊i/b⌋, i mod b)",
        merge_cells,
    ),
    Lemma("regroup", "split by b undoes merge by b: size, period and step come back", regroup),
    Lemma(
        "split twice", "split by b and then by c is split by b c: (n/b)/c = n/(b c)", split_twice
    ),
    Lemma(
        "stride has a period",
        "g | N, g | s: T[q] = S[a + s q] has period N/g, for any a",
        stride_period,
    ),
    Lemma(
        "stride moves",
        "g = gcd(N, s) | r: T(Tx)[q] = T(x)[q − r′] with s r′ ≡ r (mod N), 0 ≤ r′ < N/g",
        stride_moves,
    ),
    Lemma("stride, exact", "if s y ≡ r (mod N) for any y then gcd(N, s) | r", stride_exact),
    Lemma("stride, least period", "if s y ≡ 0 (mod N) then N/g | y", stride_least),
    Lemma(
        "stride is linear",
        "g | r, g | t: g | r + t, and (r + t)′ ≡ r′ + t′ (mod N/g): shifts compose",
        stride_adds,
    ),
    Lemma(
        "blocks are linear",
        "(r + t)/b = r/b + t/b and (r + t) b = r b + t b: shifts compose",
        blocks_add,
    ),
    Lemma("glue", "o + n ≡ p (mod N): S[p + (i − n)] = S[o + i], so two windows are one", glue),
    Lemma("same cell, exact", "x ≡ y (mod N) is told to be the same cell", cell_exact),
    Lemma("leap", "x + leap ≡ y (mod N), 0 ≤ leap < N", leap_leads),
    Lemma(
        "pattern",
        "v ≡ u + t and y − v ≡ x − u (mod N): y ≡ x + t, and of x ≡ a + t q it is a + t (q + 1)",
        pattern,
    ),
    Lemma("pattern, exact", "y − v ≡ x − u (mod N) are told to be one leap", pattern_exact),
    Lemma("pattern of one cell", "x ≡ y (mod N): S[o + y + t q] = S[o + x + t q]", block_flat),
    Lemma("pattern of one cell, exact", "x ≡ y (mod N) is told to be no leap", block_flat_exact),
    Lemma("rolls", "m·known ≡ roll (mod n): C[u − roll] = C[u − m·known]", rolls),
    Lemma("rolls, exact", "m·known ≡ roll (mod n) is told to be a multiple", rolls_exact),
)
