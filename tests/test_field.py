"""The field computes what the program computes, and claims nothing that is false."""

import itertools

import fields
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fields import INVARIANCE, Lab, claimed, equivariance, identities
from jax import lax
from jax.lax import FftType, GatherScatterMode

import shiftproof as sp
from shiftproof.algebras.arithmetic import primes, root_of_unity
from shiftproof.algebras.field import functions

RNG = np.random.default_rng(0)


def conv(x, w, *, dims=("NHWC", "HWIO", "NHWC"), **options):
    given = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": dims, **options}
    return lax.conv_general_dilated(x, w, **given)


def scattered(x, w, op=lax.scatter_add, mode=None):
    """Many updates, of which some fall on one place and some beside the array."""
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    places = np.array([[0], [2], [2], [1], [9], [2], [0]])
    return op(x[0, :, 0], places, w, numbers, mode=mode)


def gathered(x, mode):
    numbers = lax.GatherDimensionNumbers((1,), (0,), (0,))
    return lax.gather(x[0], np.array([[3], [0], [-2], [7]]), numbers, (1, 2), mode=mode)


EXACT = {
    "conv": (conv, (1, 6, 5, 2), (3, 3, 2, 4)),
    "conv, dilated kernel": (
        lambda x, w: conv(x, w, rhs_dilation=(2, 1), padding=((3, 0), (-1, 2))),
        (1, 7, 6, 2),
        (2, 3, 2, 4),
    ),
    "conv, dilated image, strides": (
        lambda x, w: conv(
            x, w, lhs_dilation=(2, 3), window_strides=(2, 1), padding=((1, 0), (2, 2))
        ),
        (1, 5, 4, 2),
        (3, 2, 2, 4),
    ),
    "conv, groups": (lambda x, w: conv(x, w, feature_group_count=2), (1, 5, 5, 4), (3, 3, 2, 6)),
    "conv, batch groups": (
        lambda x, w: conv(
            x, w, batch_group_count=3, padding="VALID", dims=("HNWC", "HWIO", "HNWC")
        ),
        (5, 3, 5, 2),
        (3, 3, 2, 6),
    ),
    "dot with batch axes": (
        lambda x, w: lax.dot_general(x, w, (((1,), (2,)), ((3,), (0,)))),
        (2, 5, 3, 4),
        (4, 2, 5),
    ),
    "products": (lambda x, w: x * w - jnp.square(x - 3) + 2 * x / 8, (1, 4, 2), (4, 2)),
    "division by a table": (lambda x, w: x * 60 / np.arange(1.0, 6)[:, None], (1, 5, 2), ()),
    "cumsum": (lambda x, w: lax.cumsum(x, 1) - lax.cumsum(x, 1, reverse=True), (1, 6, 2), ()),
    "sums of windows": (
        lambda x, w: lax.reduce_window(
            x, 0.0, lax.add, (1, 3, 1), (1, 2, 1), ((0, 0), (2, 1), (0, 0)), None, (1, 2, 1)
        ),
        (1, 8, 2),
        (),
    ),
    "scatter-add": (scattered, (1, 4, 1), (7,)),
    "scatter-add, clipped": (
        lambda x, w: scattered(x, w, mode=GatherScatterMode.CLIP),
        (1, 4, 1),
        (7,),
    ),
    "scatter-sub": (lambda x, w: scattered(x, w, lax.scatter_sub), (1, 4, 1), (7,)),
    "gather, clipped": (lambda x, w: gathered(x, GatherScatterMode.CLIP), (1, 4, 2), ()),
    "scatter, in any order": (lambda x, w: x.at[:, np.array([2, 0])].set(w), (1, 4, 1), (2, 1)),
    "pad, with holes and less": (
        lambda x, w: lax.pad(x, 7.0, ((0, 0, 0), (2, -1, 3), (-1, 1, 0))),
        (1, 4, 2),
        (),
    ),
    "slices": (
        lambda x, w: lax.dynamic_update_slice(x, w, (0, 2, 1))[:, ::-2],
        (1, 6, 3),
        (1, 2, 2),
    ),
    "masks": (lambda x, w: jnp.where(np.eye(4, 2, dtype=bool), x, 2 * w), (1, 4, 2), (4, 2)),
    "rounds": (
        lambda x, w: lax.fori_loop(0, 5, lambda i, y: y.at[0, i % 4].add(2) + i * w, x),
        (1, 4, 2),
        (4, 2),
    ),
    "scan backwards": (
        lambda x, w: lax.scan(lambda c, p: (c + p, c - 2 * p), w, x[0], reverse=True)[1],
        (1, 6, 2),
        (2,),
    ),
    "long scan": (
        lambda x, w: lax.scan(lambda c, p: (c + p[0] - p[1], c - 2 * p), w, jnp.tile(x, (1500, 1)))[
            1
        ],
        (2, 2),
        (1,),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_residues_are_those_of_the_exact_result(name) -> None:
    fn, shape, size = EXACT[name]
    image, w = (RNG.integers(-50, 50, s).astype(np.float64) for s in (shape, size))
    with jax.enable_x64(True):
        lab = Lab(fields.program(lambda x, w: fn(x, w), image, {"w": w}), (31, 1_048_573))
        (found,) = lab.run(lab.arithmetic.embed(image), [lab.arithmetic.embed(w)])
        expected = np.asarray(fn(jnp.asarray(image), jnp.asarray(w)))
    assert not lab.made[-1].opaque
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(found.parts[0], lab.arithmetic.embed(expected))


@pytest.mark.slow
@pytest.mark.parametrize("terms", [2**13, 2**13 + 1, 20_000, 2**17 + 3])
def test_long_contractions_are_exact(terms) -> None:
    def whole(array):
        return array.astype(np.int64).astype(object)

    lab = Lab(fields.program(lambda x, w: x @ w, np.ones((1, terms)), {"w": np.ones((terms, 2))}))
    image, w = lab.image, lab.arithmetic.draw("w", (terms, 2))
    image[:, :, :20], w[:, :20] = 1_048_570, 1_048_570
    (found,) = lab.run(image, [w])
    for track, p in enumerate(lab.arithmetic.primes):
        exact = whole(image[track]) @ whole(w[track])
        assert np.asarray(found.parts[0][track]).tolist() == [[int(n) % p for n in exact[0]]]


def test_contractions_that_are_too_long_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("shiftproof.algebras.field.algebraic.MOST_HALVES", 9)
    asked = identities(lambda x: jnp.einsum("nhc,nhc->nc", x, x), (10, 1))
    assert "10 terms, more than are exact" in asked.doubts("")


# --- spectra ---


def spectrum(values, order, inverse, field):
    """By its definition, with whole numbers: (tracks, n) of elements."""
    rows = []
    for row, root, p in zip(values, field.roots(order), field.primes, strict=True):
        n, base = len(row), root if inverse else pow(root, -1, p)
        scale = pow(n, -1, p) if inverse else 1
        rows.append(
            [
                sum(int(x) * pow(base, j * k, p) for j, x in enumerate(row)) * scale % p
                for k in range(n)
            ]
        )
    return np.array(rows)


def joined(value, field, sign=1):
    """re + i im, with the i of the field."""
    re, im = (np.asarray(part).astype(np.int64) for part in value.parts)
    rows = zip(re, im, field.roots(4), field.primes, strict=True)
    return np.array([(a + sign * i * b) % p for a, b, i, p in rows])


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 12, 15])
def test_spectra_are_those_of_the_roots_of_the_field(n) -> None:
    def run(fn):
        return Lab(fields.program(fn, np.ones((1, n), np.complex64)), seed=n)

    for kind in (FftType.FFT, FftType.IFFT):
        lab = run(lambda x, kind=kind: lax.fft(lax.complex(x.real, 2 * x.real), kind, (n,)))
        (found,) = lab.run(lab.image)
        field, x = lab.arithmetic, lab.image[:, 0].astype(np.int64)
        for sign in (1, -1):
            units = zip(x, field.roots(4), field.primes, strict=True)
            given = [(row + sign * 2 * i * row) % p for row, i, p in units]
            # conjugates go with the conjugate root
            expected = spectrum(given, n, (kind == FftType.IFFT) ^ (sign < 0), field)
            if sign < 0:
                scale = [pow(n, 1 if kind == FftType.FFT else -1, p) for p in field.primes]
                moduli = np.array(field.primes)[:, None]
                expected = expected * np.array(scale)[:, None] % moduli
            np.testing.assert_array_equal(joined(found, field, sign)[:, 0], expected)


REAL = [(4,), (5,), (8,), (3, 4), (2, 3, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("lengths", REAL, ids=str)
def test_real_spectra_agree_with_complex_ones_and_are_undone(lengths) -> None:
    axes = tuple(range(1, 1 + len(lengths)))

    def outputs(x):
        whole = jnp.fft.fftn(x.astype(np.complex64), axes=axes)
        half = jnp.fft.rfftn(x, axes=axes)
        back = jnp.fft.irfftn(half, lengths, axes=axes)
        # of a spectrum that is none of a real signal
        kept = whole[..., : lengths[-1] // 2 + 1] * (1 + 2j)
        crooked = jnp.fft.irfftn(kept, lengths, axes=axes)
        pairs = (whole[..., : lengths[-1] // 2 + 1] - half, back - x)
        return (*pairs, jnp.fft.ifftn(whole, axes=axes) - x, crooked - crooked_by_hand(kept))

    def crooked_by_hand(kept):
        """The last axis as JAX documents it: Hermitian, with real ends; the others before."""
        n = lengths[-1]
        for axis in axes[:-1]:
            kept = jnp.fft.ifft(kept, axis=axis)
        ends = np.zeros(n // 2 + 1, bool)
        ends[0], ends[-1] = True, ends[-1] or n % 2 == 0
        kept = lax.complex(kept.real, jnp.where(ends, 0, kept.imag))
        rest = jnp.conj(kept[..., 1 : (n + 1) // 2])[..., ::-1]
        return jnp.fft.ifft(jnp.concatenate([kept, rest], -1)).real

    lab = Lab(fields.program(outputs, np.ones((1, *lengths), np.float32)), seed=sum(lengths))
    values = lab.run(lab.image)
    assert not lab.made[-1].opaque
    assert [max(float(np.max(np.asarray(part))) for part in v.parts) for v in values] == [0.0] * 4
    real = jax.jit(outputs)(RNG.normal(size=(1, *lengths)).astype(np.float32))
    assert all(np.max(np.abs(np.asarray(v))) < 1e-4 for v in real)


@pytest.mark.slow
def test_spectra_of_several_lengths_have_one_root() -> None:
    """The spectrum of a signal three times over; the sum with the mirrored signal keeps no shift but two."""

    def fn(x):
        line = x[0, :, 0]
        back = jnp.fft.ifft(jnp.fft.fft(jnp.concatenate([line] * 3))[::3] / 3).real
        return (back + jnp.roll(line[::-1], 1))[None, :, None]

    traced = fields.program(fn, jax.ShapeDtypeStruct((1, 4, 1), np.float32))
    # where the least roots of the two orders are not powers of one
    bad = [p for p in primes(12).tolist() if pow(root_of_unity(p, 12), 3, p) != root_of_unity(p, 4)]
    for seed in range(10):
        moduli = (bad[2 * seed], bad[2 * seed + 1])
        still, *others = (Lab(traced, moduli, seed).rolled((s,))[0][0] for s in range(4))
        kept = [
            [np.array_equal(np.roll(still, by, 2), other) for by in range(4)] for other in others
        ]
        nothing, half = [False] * 4, [False, False, True, False]
        assert kept == [nothing, half, nothing]


# --- claims that were made and are false ---

TIMES = np.array([0.0, 1, 0, 1, 0, 1], np.float32)[:, None]


def told_apart(x):
    """Two equal numbers, by their digits in formats of one width."""
    half, brain = x[0, 0, 0].astype(jnp.float16), x[0, 0, 0].astype(jnp.bfloat16)
    casts = [lax.bitcast_convert_type(v, jnp.bfloat16) for v in (half, brain)]
    return casts[0] - casts[1]


def neighbours(x):
    half, single = x[0, 0, 0].astype(jnp.float16), x[0, 0, 0]
    near = [jnp.nextafter(v, v.dtype.type(np.inf)).astype(np.float32) for v in (half, single)]
    return near[0] - near[1]


def padded_integers(x):
    window = lax.reduce_window(x[0, :, 0], np.int32(-(2**31)), lax.max, (1,), (1,), ((1, 1),))
    return window[0] + x[0, 0, 0]


def two_shapes(x):
    norms = [jnp.linalg.svd(x.reshape(shape), compute_uv=False)[0] for shape in ((2, 8), (4, 4))]
    return norms[0] - norms[1]


def barred(x):
    return lax.optimization_barrier((x, lax.complex(x, x * x)))[1].imag


KEYS = jax.random.key(1), jax.random.key(2)


def two_keys(x):
    drawn = [jax.random.gamma(key, jnp.abs(x) + 1) for key in KEYS]
    return drawn[0] - drawn[1]


def two_tables(x):
    """The same text, and a table in it that the text only names."""
    made = [
        x.at[:, 0].apply(jax.jit(lambda v, t=table: v * jnp.asarray(t)[1]))
        for table in (np.array([1, 2], np.float32), np.array([1, 5], np.float32))
    ]
    return made[0] - made[1]


FALSE = {
    "one function of two keys": (two_keys, (6, 1), "float32", INVARIANCE, 1),
    "one text, two tables": (two_tables, (6, 1), "float32", equivariance((6, 1)), 1),
    "an imaginary part behind a barrier": (barred, (6, 1), "float32", INVARIANCE, 1),
    "one function of two shapes": (two_shapes, (16, 1), "float32", INVARIANCE, 1),
    "the least integer beside a window": (padded_integers, (4, 1), "int32", INVARIANCE, 1),
    "neighbours in two formats": (neighbours, (6, 1), "float32", INVARIANCE, 1),
    "digits in two formats": (told_apart, (6, 1), "float32", INVARIANCE, 1),
    "infinite cells": (
        lambda x: 0 * x + np.array([np.inf, 0, 0, 0, 0, 0], np.float32)[:, None],
        (6, 1),
        "float32",
        equivariance((6, 1)),
        1,
    ),
    "NaN beside infinity": (
        lambda x: 0 * x + np.array([np.inf, np.nan] * 3, np.float32)[:, None],
        (6, 1),
        "float32",
        equivariance((6, 1)),
        3,
    ),
    "differences of quotients by 0": (
        lambda x: x / TIMES - x / TIMES,
        (6, 1),
        "float32",
        equivariance((6, 1)),
        0,
    ),
    "quotients of 0 by 0": (
        lambda x: (x * TIMES - x * TIMES) / (x * TIMES),
        (6, 1),
        "float32",
        equivariance((6, 1)),
        0,
    ),
    "a logarithm of 0, times 0": (
        lambda x: 0 * jnp.log(x * TIMES),
        (6, 1),
        "float32",
        equivariance((6, 1)),
        0,
    ),
    "a logarithm of 0 that is written, compared": (
        lambda x: jnp.where(
            (y := (x - x).at[0, 0, 0].apply(jnp.log)) - y == 0, x, jnp.zeros_like(x)
        ),
        (6, 1),
        "float32",
        equivariance((6, 1)),
        0,
    ),
    "the same in a long loop": (
        lambda x: 0 * lax.fori_loop(0, 1100, lambda _, y: jnp.log(y) * TIMES[:, 0], x[:, :, 0] * 0),
        (6, 1),
        "float32",
        equivariance((6, 1)),
        0,
    ),
    "quotients by 0 that are masked": (
        lambda x: jnp.where(TIMES > 0, x / TIMES, x),
        (6, 1),
        "float32",
        equivariance((6, 1)),
        6,
    ),
    "quotients by 0 that are shown": (
        lambda x: x / TIMES,
        (6, 1),
        "float32",
        equivariance((6, 1)),
        3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FALSE)
def test_nothing_false_is_claimed(name) -> None:
    fn, shape, dtype, claim, count = FALSE[name]
    assert claimed(fn, shape, claim, dtype) == count


# --- lines of equal cells ---


def flat(x):
    return jnp.broadcast_to(jnp.mean(x, 1, keepdims=True), x.shape)


def endless(x):
    return 0 * x + np.float32(np.inf)


def beside(x):
    """A flat line and another one."""
    return jnp.concatenate([flat(x), x], 2)


PLACES = np.arange(6, dtype=np.int32)[:, None]

# what is added to the image, and how many shifts keep that equivariant
LINES = {
    "sorted": (lambda x: lax.sort(flat(x), dimension=1), 6),
    "sorted, another": (lambda x: lax.sort(x, dimension=1), 1),
    "sorted, of two lines": (lambda x: lax.sort(beside(x), dimension=1)[..., :1], 6),
    "sorted, of two lines the other": (lambda x: lax.sort(beside(x), dimension=1)[..., 1:], 1),
    "sorted infinities": (lambda x: jnp.minimum(x, lax.sort(endless(x), dimension=1)), 6),
    "sorted, some infinite": (
        lambda x: lax.sort(0 * x + np.where(PLACES, 0, np.float32(np.inf)), dimension=1),
        1,
    ),
    "largest so far": (lambda x: lax.cummax(flat(x), 1), 6),
    "least so far": (lambda x: lax.cummin(flat(x), 1, reverse=True), 6),
    "sums so far": (lambda x: lax.cumsum(flat(x), 1), 1),
    "the largest ones": (lambda x: lax.top_k(flat(x)[..., 0], 3)[0][:, :1, None], 6),
    "places of the largest ones": (
        lambda x: (lax.top_k(flat(x)[..., 0], 6)[1] - PLACES[:, 0])[..., None],
        6,
    ),
    "the place of the largest": (lambda x: x * lax.argmax(flat(x), 1, np.int32)[:, None], 6),
    "places in order": (lambda x: jnp.argsort(flat(x), 1) - PLACES, 6),
    "places in order, of another": (lambda x: jnp.argsort(x, 1) - PLACES, 1),
    "by a flat key": (lambda x: lax.sort((flat(x), x), dimension=1, num_keys=1)[1], 6),
    "by two flat keys": (lambda x: lax.sort((flat(x), flat(x) + 1, x), 1, num_keys=2)[2], 6),
    "by a flat key and another": (lambda x: lax.sort((flat(x), x, x), 1, num_keys=2)[2], 1),
    "by a flat key, in any order": (
        lambda x: lax.sort((flat(x), x), dimension=1, num_keys=1, is_stable=False)[1],
        1,
    ),
    "flat, by another key": (lambda x: lax.sort((x, flat(x)), dimension=1, num_keys=1)[1], 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_line_of_equal_cells_is_in_order(name) -> None:
    added, count = LINES[name]
    assert claimed(lambda x: x + added(x), (6, 1), equivariance((6, 1))) == count


@pytest.mark.slow
def test_cells_that_are_compared_are_counted() -> None:
    lab = Lab(fields.program(lambda x: lax.sort(x, dimension=1), np.zeros((1, 6, 1), np.float32)))
    lab.rolled((0,))
    # each in its digest, in its result, and beside the first one
    assert lab.made[-1].tally.lookups == 3 * 6


def test_reasons_are_given_where_there_is_no_number() -> None:
    by_zero = identities(lambda x: x / TIMES - 1, (6, 1))
    assert "divides by zero at some places" in by_zero.doubts("")
    logarithm = identities(lambda x: jnp.log(x * TIMES), (6, 1))
    assert not logarithm.denies(equivariance((6, 1)), (1,), (1,))
    assert "infinite or NaN at 0" in logarithm.doubts("")
    assert logarithm.is_blind


@pytest.mark.slow
def test_complex_tables_that_hold_infinities_are_used_whole() -> None:
    table = np.array([np.inf, 1j, 2, 3], np.complex64)[:, None]
    used = identities(lambda x: x + jnp.isfinite(lax.complex(x, x) * table), (4, 1))
    assert "a complex table that holds infinities or NaN" in used.doubts("")
    given = identities(lambda x: (x, table), (4, 1))
    assert "holds infinities or NaN, and gives it as an output" in given.doubts("")


# --- what must hold ---


def windows(x, size):
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, size, 1), (1, size, 1), ((0, 0), (0, 0), (0, 0))
    )


def attention(x):
    """Softmax over a rolled axis."""
    scores = jnp.einsum("nic,njc->nij", x, x)
    return jnp.einsum("nij,njc->nic", jax.nn.softmax(scores, -1), x)


def rolled_conv(x):
    padded = jnp.concatenate([x[:, -1:], x, x[:, :1]], 1)
    kernel = np.array([0.5, 2.0, -0.25], np.float32).reshape(3, 1, 1)
    return lax.conv_general_dilated(
        padded, kernel, (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")
    )


HOLDS = {
    "updates that are added": (
        lambda x: jnp.zeros_like(x).at[:, np.arange(12) // 2 * 0].add(x),
        INVARIANCE,
    ),
    "maxima of maxima": (lambda x: windows(windows(x, 2), 6).ravel(), INVARIANCE),
    "mean of means": (lambda x: x.reshape(1, 6, 2).mean(2).mean(1), INVARIANCE),
    "magnitudes of a spectrum": (lambda x: jnp.abs(jnp.fft.fft(x, axis=1)), INVARIANCE),
    "power of a real spectrum": (
        lambda x: jnp.sum(jnp.abs(jnp.fft.rfft(x, axis=1)) ** 2),
        INVARIANCE,
    ),
    "a filter by its spectrum": (
        lambda x: jnp.fft.ifft(jnp.fft.fft(x, axis=1) * np.arange(12.0)[:, None], axis=1).real,
        None,
    ),
    "convolution": (lambda x: jax.nn.gelu(rolled_conv(x)), None),
    "attention": (attention, None),
    "masks that all agree": (lambda x: jnp.where(x > 0, x, 0.01 * x), None),
    "sorted": (lambda x: jnp.sort(x, axis=1), INVARIANCE),
    "the largest ones": (lambda x: lax.top_k(x[..., 0], 3)[0], INVARIANCE),
    "a loop of steps": (
        lambda x: lax.fori_loop(0, 4, lambda _, y: y + jnp.tanh(jnp.roll(y, 1, 1) - y), x),
        None,
    ),
    "a long loop of steps": (
        lambda x: lax.fori_loop(0, 700, lambda _, y: jnp.tanh(jnp.roll(y, 1, 1) - y), x),
        None,
    ),
    "a weighted choice": (
        lambda x: lax.cond(x.sum() > 0, lambda y: y.sum(), lambda y: y.max(), x),
        INVARIANCE,
    ),
}


@pytest.mark.slow
def test_what_is_an_identity_is_one_for_every_seed() -> None:
    programs = {
        name: fields.program(fn, jax.ShapeDtypeStruct((1, 12, 1), np.float32))
        for name, (fn, _) in HOLDS.items()
    }
    for seed, (name, (_, claim)) in itertools.product(range(20), HOLDS.items()):
        lab = Lab(programs[name], seed=seed)
        still, after = lab.rolled((0,))[0], lab.rolled((1 + seed % 11,))[0]
        for a, b in zip(still, after, strict=True):
            expected = a if claim is INVARIANCE else np.roll(a, 1 + seed % 11, 2)
            np.testing.assert_array_equal(expected, b, err_msg=f"{name}, seed {seed}")
        if claim is None:
            assert not np.array_equal(still[0], after[0])


@pytest.mark.slow
def test_the_same_twins_do_not_hold() -> None:
    twins = {
        "maxima of halves": lambda x: windows(x, 6).ravel(),
        "a part of a spectrum": lambda x: jnp.fft.fft(x, axis=1).real,
        "cells in their order": lambda x: jnp.argmax(x, 1),
        "a long loop that counts": lambda x: lax.fori_loop(
            0, 700, lambda i, y: jnp.tanh(y) + i * x[0, 0, 0], x[0, 1, 0]
        ),
    }
    for name, fn in twins.items():
        assert claimed(fn, (12, 1), INVARIANCE) == 1, name


def test_only_what_has_the_same_bits_everywhere_is_looked_at_in_one_cell() -> None:
    assert [a.shape for a in functions._as_one([np.zeros((2, 3)), 0.0])] == [(1, 1), ()]
    for array in (np.array([0.0, -0.0]), np.array([1.0, 2.0]), np.zeros((0,)), jax.random.key(0)):
        assert functions._as_one([np.ones(2), array])[0].shape == (2,)


def test_a_function_of_a_moving_value_and_a_table_is_known_where_the_value_is_zero() -> None:
    """`max(x, table)` is `max(0, table)` at zeros, cell by cell, whether or not the table is the same everywhere."""
    rising = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    for table in (np.full((4, 4, 1), 3, np.float32), rising):

        def border(x, table=table):
            framed = jnp.pad(x[:, 1:3, 1:3], [(0, 0), (1, 1), (1, 1), (0, 0)])
            return jnp.maximum(framed, table)[:, :, 0] + x.mean((1, 2, 3), keepdims=True)[..., 0]

        assert sp.verify(border, (4, 4, 1)).invariance.proved == 16
