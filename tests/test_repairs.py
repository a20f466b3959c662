"""Layers that repair: what each keeps, proved where the prover decides, else swept; and where each stops to."""

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof import layers
from shiftproof.errors import InputError
from shiftproof.layers import polyphase

APS: Any = layers.AdaptivePolyphaseSampling  # called with wrong words too
LPS = layers.LearnablePolyphaseSampling


def shifts_of(grid):
    return list(itertools.product(*map(range, grid)))


def rolls(x, grid):
    """All shifts of a batch, (shifts, *x.shape)."""
    axes = tuple(range(1, 1 + len(grid)))
    return jnp.asarray(np.stack([np.roll(x, shift, axes) for shift in shifts_of(grid)]))


def outputs(fn, x):
    """The outputs under all shifts, (shifts, batch, ...), from one call."""
    moved = rolls(x, x.shape[1:-1])
    flat = jax.jit(fn)(moved.reshape(-1, *x.shape[1:]))
    shape = moved.shape[:2]
    return jax.tree.map(lambda y: np.asarray(y).reshape(*shape, *y.shape[1:]), flat)


def kept(fn, x):
    """How many shifts leave the outputs of all images as they are."""
    found = outputs(fn, x)
    return int(np.all(found == found[:1], axis=tuple(range(1, found.ndim))).sum())


def is_rolled(found):
    """For every image whether under every shift some roll of the output, the same for all arrays, gives it back."""
    arrays = [found] if isinstance(found, np.ndarray) else list(found)
    grid = arrays[0].shape[2:-1]
    axes = tuple(range(1, 1 + len(grid)))
    fits = np.zeros((*arrays[0].shape[:2],), bool)
    for shift in shifts_of(grid):
        same = [
            np.all(a == np.roll(a[0], shift, axes), axis=tuple(range(2, a.ndim))) for a in arrays
        ]
        fits |= np.logical_and.reduce(same)
    return fits.all(0)


def every_image(grid, values=None):
    """All images over {0, 1, 2} on a grid of up to 6 cells, else over {0, 1}; one channel."""
    count = math.prod(grid)
    values = values or (3 if count <= 6 else 2)
    digits = np.indices((values,) * count).reshape(count, -1).T
    return jnp.asarray(digits.reshape(-1, *grid, 1), jnp.float32)


def images(grid, channels=1, count=2, seed=0):
    return jax.random.normal(jax.random.key(seed), (count, *grid, channels))


# --- pools ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "window", "stride"),
    [((5,), 2, 1), ((7,), 3, 2), ((6, 5), 2, 2), ((4, 6), (3, 2), 2), ((2, 4, 3), 3, 1)],
)
def test_pools_agree_with_a_loop(grid, window, stride) -> None:
    rank = len(grid)
    windows = (window,) * rank if isinstance(window, int) else window
    x = np.asarray(images(grid))
    sizes = [-(-n // stride) for n in grid]
    margins = [
        max((m - 1) * stride + k - n, 0) for m, k, n in zip(sizes, windows, grid, strict=True)
    ]
    pairs = (
        (layers.max_pool, np.max),
        (layers.min_pool, np.min),
        (layers.avg_pool, np.mean),
    )
    for pool, reduce in pairs:
        y = np.asarray(pool(jnp.asarray(x), window, stride))
        assert y.shape == (2, *sizes, 1)
        for place in itertools.product(*map(range, sizes)):
            cells = [
                x[
                    (
                        slice(None),
                        *(
                            (p * stride + j - m // 2) % n
                            for p, j, m, n in zip(place, tap, margins, grid, strict=True)
                        ),
                    )
                ]
                for tap in itertools.product(*map(range, windows))
            ]
            assert np.allclose(y[(slice(None), *place)], reduce(np.stack(cells), 0), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("pool", [layers.max_pool, layers.avg_pool, layers.min_pool])
@pytest.mark.parametrize(
    ("grid", "stride", "proved"), [((8, 8), 1, 64), ((8, 8), 2, 16), ((7, 7), 2, 1)]
)
def test_pools_keep_what_the_stride_divides(pool, grid, stride, proved) -> None:
    verdict = sp.verify(lambda x: pool(x, 3, stride), (*grid, 1), property="equivariance")
    assert (verdict.equivariance.proved, verdict.equivariance.undecided) == (proved, 0)


@pytest.mark.slow
def test_global_pools_keep_every_shift() -> None:
    for pool in (layers.global_avg_pool, layers.global_max_pool):
        assert sp.verify(pool, (4, 6, 2)).invariance.proved == 24


# --- blur-pool ---


@pytest.mark.parametrize("size", range(2, 8))
def test_blur_pool_is_a_binomial_filter(size) -> None:
    y = layers.BlurPool(1, size=size)(jnp.eye(1, 12).reshape(1, 12, 1))
    taps = sorted(np.asarray(y).ravel() * 2 ** (size - 1))[-size:]
    assert taps == sorted(math.comb(size - 1, k) for k in range(size))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "padding", "equivariant", "invariant"),
    [
        ((8, 8), "CIRCULAR", 16, 64),  # the mean repairs what the stride broke
        ((7, 7), "CIRCULAR", 1, 1),
        ((8, 8), "SAME", 1, 1),
        ((8, 8), "REFLECT", 1, 1),
        ((8, 8), "EDGE", 1, 1),
    ],
)
def test_blur_pool(grid, padding, equivariant, invariant) -> None:
    blur = layers.BlurPool(2, size=3, padding=padding)
    before = sp.verify(blur, (*grid, 2), property="equivariance").equivariance
    after = sp.verify(nnx.Sequential(blur, layers.global_avg_pool), (*grid, 2)).invariance
    assert (before.proved, before.undecided) == (equivariant, 0)
    assert (after.proved, after.undecided) == (invariant, 0)


@pytest.mark.slow
def test_a_function_between_blur_and_mean_ends_the_repair() -> None:
    model = nnx.Sequential(layers.BlurPool(2), lambda x: nnx.relu(x - 1), layers.global_avg_pool)
    verdict = sp.verify(model, (8, 8, 1)).invariance
    assert (verdict.proved, verdict.undecided) == (16, 0)


@pytest.mark.slow
def test_blur_pool_takes_any_stride_and_rank() -> None:
    assert layers.BlurPool(3, size=5)(images((9,), 2)).shape == (2, 3, 2)
    assert layers.BlurPool((1, 2, 2))(images((2, 4, 6), 3)).shape == (2, 2, 2, 3, 3)


# --- low-pass ---


def turned(y, fractions):
    """Moved by fractions of a cell, on the torus, between the samples."""
    spectrum = np.fft.fftn(y, axes=tuple(range(1, y.ndim - 1)))
    for axis, fraction in enumerate(fractions, start=1):
        shape = [1] * y.ndim
        shape[axis] = -1
        phase = np.exp(-2j * np.pi * np.fft.fftfreq(y.shape[axis]) * fraction)
        spectrum = spectrum * phase.reshape(shape)
    return np.fft.ifftn(spectrum, axes=tuple(range(1, y.ndim - 1))).real


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "strides"), [((12,), 2), ((6, 8), (3, 2)), ((9, 6), (3, 1)), ((4, 6, 4), (1, 2, 1))]
)
def test_low_pass_moves_by_fractions(grid, strides) -> None:
    pool = layers.LowPassPool(strides)
    steps = (strides,) * len(grid) if isinstance(strides, int) else strides
    found = outputs(pool, images(grid))
    for shift, y in zip(shifts_of(grid), found, strict=True):
        fractions = [a / s for a, s in zip(shift, steps, strict=True)]
        assert np.allclose(y, turned(found[0], fractions), atol=1e-5)
    inside = tuple(range(2, found.ndim - 1))
    assert np.ptp(found.mean(inside), axis=0).max() < 1e-5
    assert np.ptp(np.square(found).mean(inside), axis=0).max() < 1e-5
    # the twin: what acts on the samples aliases again
    assert np.ptp(np.maximum(found, 0).mean(inside), axis=0).max() > 1e-3


def test_plain_samples_do_not_move_by_fractions() -> None:
    found = outputs(lambda x: x[:, ::2], images((12,)))
    assert not np.allclose(found[1], turned(found[0], [0.5]), atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "proved"), [((8,), 4), ((6, 8), 12)])
def test_low_pass_is_proved_for_multiples_of_the_stride(grid, proved) -> None:
    verdict = sp.verify(layers.LowPassPool(2), (*grid, 1), property="equivariance").equivariance
    assert (verdict.proved, verdict.undecided) == (proved, 0)


# --- polyphase ---

GRIDS = [
    ((4,), 2),
    ((6,), 2),
    ((6,), 3),
    ((4,), 4),
    ((2, 4), 2),
    ((2, 4), (1, 2)),
    ((2, 2, 2), (1, 2, 2)),
]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["l1", "l2", "max"])
@pytest.mark.parametrize(("grid", "strides"), GRIDS)
def test_canonical_ties_keep_every_shift_of_every_image(grid, strides, order) -> None:
    x = every_image(grid)
    assert is_rolled(outputs(APS(strides, order=order, ties="canonical"), x)).all()


@pytest.mark.slow
@pytest.mark.parametrize("order", ["l1", "l2", "max"])
@pytest.mark.parametrize(("grid", "strides"), [((6,), 2), ((2, 4), (1, 2))])
def test_the_first_of_tied_phases_breaks_some_image(grid, strides, order) -> None:
    """And only images that tie."""
    x = every_image(grid)
    rolled = is_rolled(outputs(APS(strides, order=order), x))
    steps = (strides,) * len(grid) if isinstance(strides, int) else strides
    points = np.asarray(polyphase.scores(polyphase.components(x, steps), (), order))
    tied = np.equal(points, points.max(1, keepdims=True)).sum(1) > 1
    assert not rolled.all()
    assert np.all(rolled | tied)
    assert not np.all(tied)


@pytest.mark.slow
def test_canonical_ties_compare_all_channels() -> None:
    """Equal in the first channel, different in the second: every image of two channels over {0, 1}."""
    x = every_image((8,), 2).reshape(-1, 4, 2)
    assert is_rolled(outputs(APS(ties="canonical"), x)).all()
    assert not is_rolled(outputs(APS(), x)).all()


@pytest.mark.slow
def test_the_known_tie() -> None:
    x = jnp.array([5.0, 3.0, 0.0, 4.0]).reshape(1, 4, 1)
    sums = {
        ties: outputs(lambda x, ties=ties: APS(ties=ties)(x).sum((1, 2)), x)
        for ties in ("first", "canonical")
    }
    assert sums["first"].ravel().tolist() == [5, 7, 5, 7]
    assert sums["canonical"].ravel().tolist() == [5, 5, 5, 5]


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["first", "canonical"])
@pytest.mark.parametrize("kind", ["l1", "l2", "max", "learned"])
def test_generic_images_keep_all_shifts(kind, ties) -> None:
    """1024 of 1024 at 32x32; plain strides keep a quarter."""
    learned = functools.partial(LPS, 1, deterministic=True, rngs=nnx.Rngs(0), hidden=2)
    layer = learned(ties=ties) if kind == "learned" else APS(order=kind, ties=ties)
    x = images((32, 32), count=1)
    count = {
        name: kept(lambda x, f=f: jnp.sort(f(x).reshape(len(x), -1)), x)
        for name, f in (("polyphase", layer), ("stride", lambda x: x[:, ::2, ::2]))
    }
    assert count == {"polyphase": 1024, "stride": 256}


@pytest.mark.slow
def test_the_largest_value_of_a_max_pool_lies_in_several_phases() -> None:
    x = images((8, 8))
    for ties, count in (("first", 16), ("canonical", 64)):
        layer = APS(order="max", ties=ties)
        model = lambda x, layer=layer: jnp.sort(layer(layers.max_pool(x, 2)).reshape(len(x), -1))  # noqa: E731
        assert kept(model, x) == count


@pytest.mark.slow
@pytest.mark.parametrize(("ties", "words"), [("first", (1, 2)), ("canonical", (4, 0))])
def test_verify_finds_the_tie(ties, words) -> None:
    """With canonical ties there is none to find: that is proved."""
    model = lambda x: APS(ties=ties)(x).sum((1, 2))  # noqa: E731
    known = np.array([5.0, 3.0, 0.0, 4.0]).reshape(1, 4, 1)
    verdict = sp.verify(model, known).invariance
    assert (verdict.proved, verdict.refuted) == words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "ties", "pool", "warns"),
    [
        ("max", "first", True, True),
        ("max", "canonical", True, False),
        ("l2", "first", True, False),
        ("max", "first", False, False),
    ],
)
def test_verify_tells_of_a_choice_that_always_ties(order, ties, pool, warns) -> None:
    def model(x):
        x = layers.max_pool(x, 2) if pool else x
        return APS(order=order, ties=ties)(x).mean((1, 2))

    notes = sp.verify(model, (4, 4, 1)).notes
    assert any("ties in every image tried" in note for note in notes) == warns
    assert not warns or "(test_repairs.py:" in notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["first", "canonical"])
def test_branches_share_one_phase(ties) -> None:
    """A residual block whose skip branch is cut where the main one is; cut on its own, the two no longer meet."""
    x, layer = images((8, 8), 2), APS(ties=ties)
    conv = nnx.Conv(2, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    shared = lambda x: sum(layer(conv(x), x))  # noqa: E731
    alone = lambda x: layer(conv(x)) + layer(x)  # noqa: E731
    gaps = {}
    for name, model in (("shared", shared), ("alone", alone)):
        found = np.sort(outputs(model, x).reshape(64, 2, -1))
        gaps[name] = np.abs(found - found[:1]).max()
    assert gaps["shared"] < 1e-5
    assert gaps["alone"] > 1e-2


@pytest.mark.slow
def test_canonical_ties_are_broken_by_all_branches() -> None:
    x = every_image((4,))
    y = jnp.roll(x[..., ::-1], 1, 0)  # another image of the list beside each
    layer = APS(ties="canonical")
    pairs = jnp.concatenate([x, y], -1)
    both = lambda z: layer(z[..., :1], z[..., 1:])  # noqa: E731
    assert is_rolled(outputs(both, pairs)).all()
    first = lambda z: APS()(z[..., :1], z[..., 1:])  # noqa: E731
    assert not is_rolled(outputs(first, pairs)).all()


@functools.cache
def trained():
    return LPS(2, rngs=nnx.Rngs(0, gumbel=1))


@pytest.mark.slow
def test_learned_scores_get_gradients_in_training_only() -> None:
    x = images((4, 4), 2)

    def loss(layer):
        return jnp.square(layer(x)).sum()

    layer = trained()
    grads = nnx.grad(loss)(layer)
    assert float(jnp.abs(grads.kernel[...]).max()) > 0
    assert not jnp.array_equal(layer(x), layer(x))  # noise
    layer = nnx.clone(layer)
    layer.eval()
    assert jnp.array_equal(layer(x), layer(x))
    still = nnx.grad(loss)(layer)
    assert float(jnp.abs(still.kernel[...]).max()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["first", "canonical"])
def test_gradients_pass_to_the_cells_that_are_kept(ties) -> None:
    x = jnp.array([5.0, 3.0, 0.0, 4.0]).reshape(1, 4, 1)
    grads = jax.grad(lambda x: APS(ties=ties)(x).sum())(x)
    assert grads.ravel().tolist() == [1, 0, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["first", "canonical"])
@pytest.mark.parametrize("kind", ["l2", "max", "learned"])
def test_derivatives_and_maps_are_those_of_the_plain_function(kind, ties) -> None:
    """A composite of JAX has neither of its own."""
    x, y = images((4, 6), 2), images((4, 6), 1)
    weights = ()
    if kind == "learned":
        net = LPS(2, deterministic=True, rngs=nnx.Rngs(0), hidden=2)
        weights = tuple(p[...] for p in (net.kernel, net.bias, net.head))
    plain = functools.partial(polyphase._select, strides=(2, 3), order=kind, ties=ties)
    layer = polyphase.reference((2, 3), kind, ties)

    def total(f, x, y, weights):
        return sum(jnp.square(each).sum() for each in f((x, y), weights))

    def each(f):
        return lambda x, y: f((x[None], y[None]), weights)

    loss, other = (functools.partial(total, f) for f in (layer, plain))
    derived = (
        lambda f: jax.value_and_grad(f, (0, 1, 2))(x, y, weights),
        lambda f: jax.jit(jax.grad(f))(x, y, weights),
        lambda f: jax.jvp(lambda x: f(x, y, weights), (x,), (jnp.cos(x),)),
        lambda f: jax.grad(jax.checkpoint(lambda x: f(x, y, weights)))(x),
        lambda f: jax.grad(lambda x: jax.grad(f)(x, y, weights).sum())(x),
        lambda f: jax.hessian(lambda t: f(t * x, y, weights))(2.0),
    )
    for make in derived:
        jax.tree.map(np.testing.assert_array_equal, make(loss), make(other))
    mapped = (
        lambda f: jax.vmap(each(f))(x, y),
        lambda f: jax.vmap(each(f), (0, None))(x, y[0]),
        lambda f: jax.vmap(jax.vmap(each(f)))(x[None], y[None]),
        lambda f: jax.lax.map(lambda pair: each(f)(*pair), (x, y)),
        lambda f: jax.vmap(jax.grad(lambda x: each(f)(x, y[0])[0].sum()))(x),
        lambda f: jax.grad(lambda x: jax.vmap(each(f))(x, y)[0].sum())(x),
    )
    for make in mapped:
        jax.tree.map(np.testing.assert_array_equal, make(layer), make(plain))
    assert "composite" in str(jax.make_jaxpr(layer)((x, y), weights))


def test_whole_numbers_beside_floats_have_no_derivative() -> None:
    x = images((4,), 1)
    number = jnp.arange(x.size).reshape(x.shape)
    grads = jax.grad(lambda x: APS()(x, number)[0].sum())(x)
    assert float(grads.sum()) == 2 * len(x)
    assert APS()(x, number)[1].dtype == number.dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: APS()(jnp.ones((1, 7, 1))),
            "stride 2 does not divide the size 7 of grid axis 0.*Pad the axis to 8",
        ),
        (lambda: APS((2, 2))(jnp.ones((1, 8, 1))), "strides .2, 2. does not fit 1 grid axes"),
        (lambda: APS()(jnp.ones((1, 8))), "has no grid"),
        (lambda: APS(order="l3"), "order must be l1, l2 or max; got 'l3'"),
        (lambda: APS(ties="last"), "ties must be first or canonical; got 'last'"),
        (lambda: APS()(jnp.ones((1, 8, 1)), jnp.ones((1, 4, 1))), "cannot share one phase"),
        (lambda: trained()(jnp.ones((1, 8, 2))), "made with rank=2, features=2"),
        (lambda: LPS(1, rngs=nnx.Rngs(params=0))(jnp.ones((1, 4, 4, 1))), "no random stream"),
        (
            lambda: layers.LowPassPool()(jnp.ones((1, 9, 1))),
            "LowPassPool: stride 2 does not divide the size 9",
        ),
        (lambda: layers.BlurPool(size=8), "size must be 2 to 7; got 8"),
        (lambda: layers.BlurPool(padding="VALID"), "padding must be one of CIRCULAR"),
        (lambda: layers.max_pool(jnp.ones((1, 4, 1)), 0), "window 0 does not fit"),
        (lambda: layers.max_pool(jnp.ones((1, 4, 4, 1)), (2,)), "window .* does not fit 2 grid"),
    ],
)
def test_mistakes_are_told(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()
