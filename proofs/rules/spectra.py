"""Lemmas about spectra: cell k of a transform of n cells is turned by k r of n where the signal moves by r.

A turn by a of N is the factor e(a/N) = exp(−2πi a/N), so two turns are equal where a congruence holds, and no lemma
needs to speak of complex numbers: a transform is a sum over all cells j, with the exponents jk modulo n.
"""

from proofs.rules.claim import Claim, Times, congruent, each, same
from proofs.rules.lemma import Formulas, Integer, Lemma


def transform(
    k: Formulas, n: Integer, N: Integer, *, o: Integer, r: Integer, i: Integer, f: Integer
) -> Claim:
    """Cell i of the shifted window is cell j = (i − r) mod n of the window, and frequency f tells them apart by f r."""
    j, turns = (i - r) % n, (i - r) // n
    turn, _ = k.turned(0, r, f, 1)
    return Claim(
        {"covers": k.covers(n, N)},
        (
            congruent(o + j, o + i - r, N, times=-(n // N) * turns),
            congruent(j * f + turn, i * f, n, times=-turns * f),
        ),
    )


def part(k: Formulas, *, f: Integer, t: Integer, a: Integer, s: Integer, q: Integer) -> Claim:
    """Cell q of the part is cell a + s q."""
    first, step = k.turned(f, t, a, s)
    return Claim({}, (same(first + q * step, f + (a + s * q) * t),))


def product(k: Formulas, *, f: Integer, t: Integer, g: Integer, u: Integer, q: Integer) -> Claim:
    """Turns add."""
    first, step = k.turned_twice(f, t, g, u)
    return Claim({}, (same(first + q * step, (f + q * t) + (g + q * u)),))


def conjugate(k: Formulas, *, f: Integer, t: Integer, q: Integer) -> Claim:
    """The other way."""
    first, step = k.turned_back(f, t)
    return Claim({}, (same(first + q * step, -(f + q * t)),))


def back(k: Formulas, N: Integer, n: Integer, *, f: Integer, t: Integer, q: Integer) -> Claim:
    """Cell q is turned by q r of n."""
    r = k.returned_step(N, t, n)
    return Claim(
        {"returns": k.returns(N, f, t, n)},
        (
            same(r * N, t * n, **{"returns 2": -1}),
            congruent((f + q * t) * n, q * r * N, N * n, times=f // N, **{"returns 2": q}),
        ),
    )


def back_moves(k: Formulas, n: Integer, *, r: Integer, j: Integer, f: Integer) -> Claim:
    """A turn of frequency f by f r is a cell r further back."""
    turn, _ = k.turned(0, r, f, 1)
    place, turns = (j - r) % n, (j - r) // n
    return Claim({}, (congruent(turn - f * j, -f * place, n, times=-f * turns),))


def back_exact(
    k: Formulas,
    N: Integer,
    *,
    n: Integer,
    f: Integer,
    t: Integer,
    r: Integer,
    a: Integer,
    b: Integer,
) -> Claim:
    """If the cells 0 and 1 are turned as by a shift, then the condition holds."""
    return Claim(
        {"cell 0": f == N * a, "cell 1": (f + t) * n == r * N + N * n * b},
        each(
            k.returns(N, f, t, n),
            Times(a, {"cell 0": 1}),
            Times(r + n * b - n * a, {"cell 0": -n, "cell 1": 1}),
        ),
    )


def mirrored(k: Formulas, n: Integer, *, r: Integer, f: Integer) -> Claim:
    """Frequency n − f is turned as the conjugate of frequency f is."""
    turn, _ = k.turned(0, r, f, 1)
    other, _ = k.turned(0, r, n - f, 1)
    conjugated, _ = k.turned_back(turn, r)
    return Claim({}, (congruent(other, conjugated, n, times=r),))


def middle(k: Formulas, n: Integer, *, r: Integer, f: Integer) -> Claim:
    """The middle frequency is turned as its conjugate is: by half a turn, or not at all."""
    turn, _ = k.turned(0, r, f, 1)
    conjugated, _ = k.turned_back(turn, r)
    return Claim({"middle": 2 * f == n}, (congruent(turn, conjugated, n, times=r, middle=r),))


LEMMAS = (
    Lemma(
        "transform turns",
        "N | n: x(Tx)[i] = x[(i − r) mod n], and e(i f/n) = e(f r/n) e(j f/n) there; so X(Tx)[f] = e(f r/n) X(x)[f]",
        transform,
    ),
    Lemma("part of a spectrum", "cell a + s q of f + k t is cell q of f' + k t'", part),
    Lemma("product of spectra", "e(a) X · e(b) Y = e(a + b) X Y", product),
    Lemma("conjugate of a spectrum", "the conjugate of e(a) X is e(−a) X̄", conjugate),
    Lemma("transform back", "N | f, N | t n: (f + q t)/N = q r/n modulo 1", back),
    Lemma("transform back moves", "e(f r/n) e(−f j/n) = e(−f ((j − r) mod n)/n)", back_moves),
    Lemma(
        "transform back, exact",
        "if cells 0 and 1 are turned by 0 and r/n then N | f and N | t n",
        back_exact,
    ),
    Lemma("mirrored frequencies", "(n − f) r ≡ −f r (mod n)", mirrored),
    Lemma(
        "middle frequency", "2 f = n: f r ≡ −f r (mod n), so real parts are turned alike", middle
    ),
)
