"""Geometry: axes, jumps and fields by hand, questions that used to be dropped, and what sweeps make of them."""

import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.proving.asked import Oracle, find_roll
from shiftproof.proving.geometry import geometry_of
from shiftproof.proving.tables import find_band, find_pattern
from shiftproof.tracing.model import adapt
from shiftproof.tracing.trace import trace

CIRCULANT = np.array([np.roll([2.0, 1, 0, 0], i) for i in range(4)])
DENSE = np.random.default_rng(0).normal(size=4)[(np.arange(4)[:, None] - np.arange(4)) % 4]


def fields(fn, shape, axes=None):
    """(axis, jump, size) of the only output along every axis of the grid."""
    model = adapt(fn)
    program = trace(model.call, model.weights, jax.ShapeDtypeStruct((1, *shape), np.float32))
    axes = axes or tuple(range(1, len(shape)))
    (output,) = (o for o in program.outputs if isinstance(o, int))
    found = geometry_of(program, axes)
    seen = [found.field(output, i, program.avals[output].shape) for i in range(len(axes))]
    return [f and (f.axis, f.jump, f.size) for f in seen]


def windows(x):
    """Blocks of 4 x 4, and back: (batch, 8, 8, channels)."""
    blocks = x.reshape(-1, 2, 4, 2, 4, x.shape[-1]).transpose(0, 1, 3, 2, 4, 5)
    blocks = blocks.reshape(-1, 4, 4, x.shape[-1]) * 2
    blocks = blocks.reshape(-1, 2, 2, 4, 4, x.shape[-1])
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 8, 8, x.shape[-1])


def tokens_with_class(x):
    """Tokens behind a class token, which is dropped again; then the map."""
    tokens = x.reshape(len(x), -1, x.shape[-1])
    both = jnp.concatenate([jnp.ones((len(x), 1, x.shape[-1])), tokens], 1)
    return jnp.tanh(both)[:, 1:].reshape(x.shape)


def attention(x):
    """Over a 1-D grid."""
    scores = jax.nn.softmax(jnp.einsum("bnc,bmc->bnm", x, x))
    return jnp.einsum("bnm,bmc->bnc", scores, x)


def scanned(x):
    """Circular convolution, again and again."""

    def step(carry, _):
        return jnp.roll(carry, 1, 1) + carry, None

    return jax.lax.scan(step, x, None, 5)[0]


def swept_rows(x):
    """A loop over the rows of (batch, 8, 6, channels)."""

    def step(carry, row):
        carry = carry + row
        return carry, carry

    return jnp.moveaxis(jax.lax.scan(step, x[:, 0], jnp.moveaxis(x, 1, 0))[1], 0, 1)


HALF, TWO_THIRDS = Fraction(1, 2), Fraction(2, 3)
KNOWN = {
    "slice": (lambda x: x[:, 1:15:2], (16, 1), [(1, 2, 1)]),
    "slice by index": (lambda x: x[:, jnp.arange(1, 15, 2)], (16, 1), [(1, 2, 1)]),
    "repeated": (lambda x: x[:, jnp.array([0, 0, 1, 1, 2, 2])], (8, 1), [(1, HALF, 1)]),
    "rolled by index": (lambda x: x[:, jnp.array([1, 2, 3, 0])], (4, 1), [(1, 1, 1)]),
    "shuffled": (lambda x: x[:, jnp.array([0, 3, 1, 5, 2, 4])], (6, 1), [(None, None, None)]),
    "flip": (lambda x: x[:, ::-1], (6, 1), [(1, -1, 1)]),
    "flip and sum": (lambda x: x + x[:, ::-1], (6, 1), [(1, 1, None)]),
    "roll": (lambda x: jnp.roll(x, 1, 1), (8, 1), [(1, 1, 1)]),
    "window partition": (windows, (8, 8, 2), [(1, 1, 1), (2, 1, 1)]),
    "class token": (tokens_with_class, (4, 6, 2), [(1, 1, 1), (2, 1, 1)]),
    "tokens": (lambda x: x.reshape(1, -1, 2), (4, 6, 2), [(None, 1, 1), (None, 1, 1)]),
    "flatten": (lambda x: x.reshape(1, -1), (4, 6, 2), [(None, None, None)] * 2),
    "tile": (lambda x: jnp.tile(x, (1, 2, 1)), (8, 1), [(None, None, None)]),
    "tile, window, crop": (
        lambda x: jax.lax.reduce_window(
            jnp.tile(x, (1, 2, 1)), 0.0, jax.lax.add, (1, 3, 1), (1, 1, 1), "VALID"
        )[:, :8],
        (8, 1),
        [(1, 1, 3)],
    ),
    "attention": (attention, (8, 4), [(1, 1, None)]),
    "scores": (lambda x: jnp.einsum("bnc,bmc->bnm", x, x), (8, 4), [(None, None, None)]),
    "mean": (lambda x: x.mean(1), (4, 6, 2), [(None, None, None), (1, 1, 1)]),
    "normalised": (lambda x: (x - x.mean((1, 2), keepdims=True))[:, ::2], (4, 6, 2), None),
    "scan": (scanned, (8, 1), [(1, 1, None)]),
    "rows": (swept_rows, (8, 6, 1), [(1, 1, None), (2, 1, 1)]),
    "circulant": (
        lambda x: jnp.einsum("ij,bjw->biw", CIRCULANT, x[..., 0]),
        (4, 6, 1),
        [(1, 1, 2), (2, 1, 1)],
    ),
    "dense circulant": (
        lambda x: jnp.einsum("ij,bjw->biw", DENSE, x[..., 0]),
        (4, 6, 1),
        [(1, 1, None), (2, 1, 1)],
    ),
    "complex": (lambda x: jax.lax.complex(x, x), (4, 6, 1), [(1, 1, 1), (2, 1, 1)]),
    "size 1": (lambda x: x.reshape(1, 1, 8), (1, 8, 1), [(1, 1, 1), (2, 1, 1)]),
    **{
        f"resize, {how}": (
            lambda x, how=how: jax.image.resize(x, (1, 16, 12, 1), how),
            (8, 8, 1),
            [(1, HALF, size), (2, TWO_THIRDS, size)],
        )
        for how, size in (("nearest", 1), ("bilinear", 2), ("bicubic", 4))
    },
    "halved": (
        lambda x: jax.image.resize(x, (1, 8, 8, 1), "bilinear"),
        (16, 16, 1),
        [(1, 2, 4), (2, 2, 4)],
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_axes_jumps_and_fields(name) -> None:
    fn, shape, expected = KNOWN[name]
    if expected is None:
        expected = [(1, 2, None), (2, 1, None)]
    assert fields(fn, shape) == expected


def test_what_does_not_depend_on_the_image_has_no_field() -> None:
    assert fields(lambda x: jnp.ones((1, 4)), (4, 1)) == [None]


class Normalised(nnx.Module):
    """A group normalisation and a stride."""

    def __init__(self):
        self.norm = nnx.GroupNorm(2, 2, rngs=nnx.Rngs(0))
        self.conv = nnx.Conv(2, 2, (3, 3), 2, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.conv(self.norm(x))


class Tokens(nnx.Module):
    """Patches of 4 x 4 as tokens."""

    def __init__(self):
        self.patch = nnx.Conv(1, 4, (4, 4), 4, padding="VALID", rngs=nnx.Rngs(0))
        self.dense = nnx.Linear(4, 4, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.dense(self.patch(x).reshape(len(x), -1, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shape", "field", "jump", "whole"),
    [
        (Normalised(), (8, 8, 2), None, "2", True),
        (Tokens(), (8, 8, 1), 4, "4", False),
        (lambda x: x.reshape(len(x), -1), (4, 4, 1), None, None, True),
        (
            nnx.ConvTranspose(1, 1, (3, 3), 2, padding="CIRCULAR", rngs=nnx.Rngs(0)),
            (8, 8, 1),
            2,
            "1/2",
            False,
        ),
    ],
)
def test_a_verdict_tells_fields_and_jumps(model, shape, field, jump, whole) -> None:
    (*_, layer) = sp.verify(model, shape).to_dict()["layers"]
    assert layer["receptive_field"] == [field] * 2
    assert layer["jump"] == [jump] * 2
    assert layer["whole_image"] == [whole] * 2


def adaptive(x):
    """Means of three uneven parts."""
    return jnp.stack([x[:, a:b].mean(1) for a, b in ((0, 3), (2, 6), (5, 8))], 1)


RING = np.array([np.roll([4.0, 1, 0, 0, 0, 0, 0, 1], i) for i in range(8)])
ASKED = {
    "fft and back": (lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x[..., 0])), (4, 6, 1), (1, 2), 24),
    "complex": (lambda x: jax.lax.complex(x[..., 0], jnp.tanh(x[..., 0])), (4, 6, 1), (1, 2), 24),
    "solve": (lambda x: jnp.linalg.solve(RING, x[..., 0][..., None]), (8, 1), (1,), 1),
    "solve rows": (lambda x: jnp.linalg.solve(np.eye(6) + 1, x), (4, 6, 2), (1, 2), 1),
    "conjugate gradients": (
        lambda x: jax.scipy.sparse.linalg.cg(lambda v: RING @ v, x[0, :, 0], maxiter=9)[0][None],
        (8, 1),
        (1,),
        1,
    ),
    "resize": (lambda x: jax.image.resize(x, (1, 12, 1), "bilinear"), (8, 1), (1,), 1),
    "circulant": (
        lambda x: jnp.einsum("ij,bjw->biw", CIRCULANT, x[..., 0]),
        (4, 6, 1),
        (1, 2),
        24,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_equivariance_is_asked(name) -> None:
    model, shape, axes, least = ASKED[name]
    found = sp.verify(model, shape, property="equivariance").equivariance
    assert found.claim.axes == axes
    assert found.proved >= least


@pytest.mark.parametrize(
    ("model", "shape", "text"),
    [
        (adaptive, (8, 1), "could be followed"),
        (
            lambda x: jnp.sort(x, 1)[:, :5],
            (8, 1),
            r"could be followed to the image \(lost at sort, test_ge",
        ),
        (lambda x: x.reshape(len(x), -1, 1), (4, 4, 1), "share an axis, as tokens do"),
    ],
)
def test_an_output_that_is_not_asked_says_why_and_what_to_pass(model, shape, text) -> None:
    verdict = sp.verify(model, shape)
    (note,) = verdict.notes
    assert verdict.outputs[0].equivariance is None
    assert "is not asked for equivariance: " in note
    assert "output_axes=(1, 2)" in note
    assert re.search(text, note)


@pytest.mark.slow
def test_class_scores_carry_no_note() -> None:
    assert not sp.verify(lambda x: x.mean((1, 2)), (4, 4, 3)).notes


@pytest.mark.slow
def test_an_unusual_shape_says_what_was_taken_for_what() -> None:
    (note,) = sp.verify(lambda x: x.mean((1, 2, 3)), (3, 8, 8), property="invariance").notes
    assert "a grid of 3x8 with 8 channels" in note
    assert "spatial_axes=(1, 2)" in note
    (note, *_) = sp.verify(lambda x: x, (1, 8, 8, 1)).notes
    assert "a grid of 1x8x8 with 1 channels" in note
    assert "pass (8, 8, 1)" in note
    told = sp.verify(lambda x: x.mean((2, 3)), (3, 8, 8), spatial_axes=(1, 2))
    assert not told.notes


PAIRS = (lambda x: x[:, 1:-1], lambda x: x[:, jnp.arange(1, x.shape[1] - 1)])


@pytest.mark.slow
def test_a_slice_and_the_same_cells_by_index_are_swept_alike() -> None:
    placed = [sp.placements(f, (2, 1), canvas=(16,)).count("equivariance") for f in PAIRS]
    assert [str(count) for count in placed] == ["15/15"] * 2
    scenes = np.random.default_rng(0).integers(-8, 9, (2, 48, 1)).astype(np.float32)
    panned = [sp.sweep(f, scenes, boundary="scene", grid=(8,)) for f in PAIRS]
    assert [str(swept.count("equivariance")) for swept in panned] == ["11/41"] * 2


@pytest.mark.slow
def test_repeated_cells_move_twice_as_fast_on_a_scene() -> None:
    def twice(x):
        return x[:, jnp.array([0, 0, 1, 1, 2, 2, 3, 3])]

    scenes = np.random.default_rng(0).integers(-8, 9, (2, 48, 1)).astype(np.float32)
    swept = sp.sweep(twice, scenes, boundary="scene", grid=(8,))
    assert swept.layers[-1].strides == ("1/2",)
    count = swept.count("equivariance")
    assert (count.equal, count.differs, count.unclear) == (7, 0, 0)  # two cells a pixel, of 8 cells
    assert sp.verify_scene(twice, (8, 1)).layers[-1].border.left == (8, 8)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "margin"), [("bilinear", 1), ("bicubic", 3)])
def test_placements_follow_a_resize(how, margin) -> None:
    model = lambda x: jax.image.resize(x, (len(x), 32, 32, 1), how)  # noqa: E731
    found = sp.placements(model, (3, 3, 1), canvas=(16, 16))
    assert found.layers[-1].strides == ("1/2", "1/2")
    # two cells a pixel reach one pixel, or three, beyond the object
    assert found.count("equivariance").equal == (14 - 2 * margin) ** 2
    assert {cause.code for cause in found.causes} == {"border"}


@pytest.mark.slow
def test_sweeps_of_complex_layers_are_decided() -> None:
    swept = sp.sweep(lambda x: jax.lax.complex(jnp.sin(x[..., 0]), x[..., 0]), (6, 6, 1))
    assert 0 < swept.layers[-1].noise < 1e-3
    assert swept.count("equivariance").equal == 36
    assert (swept.count("invariance").equal, swept.count("invariance").differs) == (1, 35)


@pytest.mark.slow
def test_equivariance_of_class_scores_does_not_apply() -> None:
    swept = sp.sweep(lambda x: x.mean((1, 2)), (4, 4, 3))
    assert str(swept.count("equivariance")) == "does not apply"
    assert str(swept.count("invariance")) == "16/16"


def images(*shape):
    return jax.ShapeDtypeStruct(shape, np.int64)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (lambda x: x.transpose(0, 2, 1), (2, Fraction(1))),
        (lambda x: x[:, ::-1], (1, Fraction(-1))),
        (lambda x: x[:, ::2], (1, Fraction(2))),
        (lambda x: np.repeat(x, 3, 1), (1, Fraction(1, 3))),
        (lambda x: np.sort(x, 1), None),
        (lambda x: np.ones_like(x), None),
        (lambda x: x * np.arange(6)[:, None], None),
    ],
)
def test_a_roll_is_found_by_moving_the_image(model, found) -> None:
    oracle = Oracle(lambda many: [np.stack([model(x) for x in many])])
    assert find_roll(oracle, 0, images(2, 6, 3), 1, (1, 2)) == found


def test_patterns_and_bands_of_tables() -> None:
    found = (
        find_pattern([0, 1, 1, 2, 3, 4, 4, 5], 6),
        find_pattern([3, 2, 1, 0], 4),
        find_band(np.eye(8)[:, ::2]),
    )
    assert [band and band.slope for band in found] == [Fraction(3, 4), -1, 2]
    assert find_band(np.random.default_rng(0).normal(size=(8, 8))) is None
    assert find_band(np.ones((8, 4))) is None
    assert find_band(np.fft.fft(np.eye(8))) is None
