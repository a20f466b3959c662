"""Boundaries, laws, layouts and labels of a sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.canvas import Canvas
from shiftproof.errors import ContradictionError, VacuousWarning
from shiftproof.sweeping.engine import Engine
from shiftproof.sweeping.question import Asker
from shiftproof.tracing.model import adapt

IMAGES = np.random.default_rng(0).integers(-4, 5, (2, 6, 8, 2)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet-global", "resnet", "vit"])
def test_a_shift_by_nothing_changes_no_bit(name) -> None:
    """What is compared is computed once: twice, with different rounding, values would differ from themselves."""
    entry = sp.zoo.ENTRIES[name]
    images = np.random.default_rng(0).random((1, *entry.shape)).astype(np.float32)
    canvas = Canvas.torus(images, axes=(1, 2))
    question = Asker(adapt(entry.build(0)), canvas).ask("float32")
    engine = Engine(question, chunk=5, devices=jax.local_devices()[:1])
    rows = engine.rows(np.array([[(0, 0), (0, 0), (4, 4), (0, 0), (1, 2)]]))
    for kind in ("equivariance", "invariance"):
        deviations = np.asarray(rows[kind])[0]
        assert not np.any(deviations[[0, 1, 3]])
        assert np.any(deviations[4])


def test_what_differs_from_itself_is_refused(monkeypatch) -> None:
    """The twin: a compiler that has slot 0 computed twice."""
    rows = Engine.rows

    def twice(self, shifts, empty=None):
        return rows(self, shifts, empty) | {"invariance": np.full((1, shifts.shape[1], 1), 1e-9)}

    monkeypatch.setattr(Engine, "rows", twice)
    with pytest.raises(ContradictionError, match="under shift 0 a layer differs from itself"):
        sp.sweep(nnx.relu, (4, 4, 1))


@pytest.mark.slow
def test_scene_valid_convolution_is_equal_at_every_offset() -> None:
    scene = np.random.default_rng(0).integers(-4, 5, (1, 12, 14, 2))
    conv = nnx.Conv(2, 3, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    result = sp.sweep(conv, scene, boundary="scene", grid=(8, 8), weights="integers")
    assert result.ranges == (range(-2, 3), range(-3, 4))
    assert result.layers[-1].exact
    assert result.count("equivariance") == sp.Count(equal=35, differs=0, unclear=0, undefined=0)
    assert result.count("invariance").equal == 1


@pytest.mark.slow
def test_scene_same_convolution_differs_at_the_border_only() -> None:
    scene = np.random.default_rng(0).integers(1, 9, (1, 12, 12, 2))
    conv = nnx.Conv(2, 3, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    result = sp.sweep(conv, scene, boundary="scene", grid=(8, 8), weights="integers")
    assert result.count("equivariance").equal == 1
    # shift (1, 0): seven rows overlap; of them the first and the last, and both outer columns, touch a border
    assert result.equivariance_cells[-1][result.at((1, 0))] == 7 * 8 - 5 * 8


@pytest.mark.slow
def test_scene_stride_law_follows_the_stride_not_the_sizes() -> None:
    """VALID 3x3 stride 2 maps 9 to 4 cells: the law is Δ/2, which no ratio of sizes gives."""
    scene = np.random.default_rng(0).integers(-4, 5, (1, 13, 13, 2))
    conv = nnx.Conv(2, 3, (3, 3), strides=2, padding="VALID", rngs=nnx.Rngs(0))
    result = sp.sweep(conv, scene, boundary="scene", grid=(9, 9), weights="integers")
    count = result.count("equivariance")
    assert (count.equal, count.undefined) == (
        9,
        16,
    )  # even shifts hold, odd ones have no output shift
    assert result.lattice("equivariance") is None  # not a torus


@pytest.mark.slow
def test_an_empty_overlap_is_undefined_and_never_equal() -> None:
    scene = np.random.default_rng(0).integers(-4, 5, (1, 12, 12, 1))
    result = sp.sweep(nnx.relu, scene, boundary="scene", grid=(3, 3))
    assert result.ranges == (range(-5, 5), range(-5, 5))
    assert result.count("equivariance") == sp.Count(equal=25, differs=0, unclear=0, undefined=75)


@pytest.mark.slow
def test_zero_boundary_equals_a_scene_on_a_zero_background() -> None:
    image = np.zeros((1, 8, 8, 1))
    image[0, 3:5, 2:5, 0] = [[1, 2, 3], [4, 5, 6]]
    conv = nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    zero = sp.sweep(conv, image, boundary="background", weights="integers")
    scene = sp.sweep(
        conv,
        np.pad(image, ((0, 0), (3, 3), (3, 3), (0, 0))),
        boundary="scene",
        grid=(8, 8),
        weights="integers",
    )
    assert zero.ranges == (range(-3, 4), range(-2, 4))
    for dy in zero.ranges[0]:
        for dx in zero.ranges[1]:
            for name in ("equivariance", "equivariance_cells", "invariance", "invariance_cells"):
                a = getattr(zero, name)[-1][zero.at((dy, dx))]
                b = getattr(scene, name)[-1][scene.at((dy, dx))]
                assert a == b, (name, dy, dx)


@pytest.mark.slow
def test_the_three_laws() -> None:
    pool = lambda x: nnx.max_pool(x, (2, 2), (2, 2))  # noqa: E731
    stride = sp.sweep(pool, IMAGES)
    assert stride.count("equivariance") == sp.Count(equal=12, differs=0, unclear=0, undefined=36)
    same = sp.sweep(pool, IMAGES, law="same")
    assert same.count("equivariance").equal == 1
    best = sp.sweep(pool, IMAGES, law="any")
    assert best.count("equivariance") == sp.Count(equal=12, differs=36, unclear=0, undefined=0)
    assert np.all(best.equivariance[-1] <= same.equivariance[-1])


@pytest.mark.slow
def test_any_law_finds_a_shift_that_no_stride_explains() -> None:
    """f(x)[u] = x[3 u]: f(T x) = T^3 f(x) on 8 columns, since 3 * 3 = 1 mod 8."""
    model = lambda x: x[:, :, 3 * jnp.arange(8) % 8] * 2  # noqa: E731
    assert sp.sweep(model, IMAGES).count("equivariance").equal == 6 * 2  # only where Δ = 3 Δ
    assert sp.sweep(model, IMAGES, law="any").count("equivariance").equal == 48


@pytest.mark.slow
def test_a_flip_has_a_stride_of_minus_one() -> None:
    flip = lambda x: x[:, ::-1, ::-1] * 2  # noqa: E731
    result = sp.sweep(flip, IMAGES)
    assert result.layers[-1].strides == ("-1", "-1")
    assert result.count("equivariance").equal == 48
    same = sp.sweep(flip, IMAGES, law="same")
    assert same.count("equivariance").equal == 4  # only where Δ = -Δ


@pytest.mark.slow
def test_channels_first() -> None:
    kernel = jnp.asarray(np.random.default_rng(0).integers(-2, 3, (3, 2, 3, 3)), np.float32)

    def model(x):
        wrapped = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="wrap")
        return jax.lax.conv(wrapped, kernel, (1, 2), "VALID")

    images = IMAGES.transpose(0, 3, 1, 2)
    for axes in ((1, 2), (-2, -1)):
        result = sp.sweep(model, images, spatial_axes=axes)
        assert result.grid == (6, 8)
        assert str(result.lattice("equivariance")) == "Z × 2Z"


@pytest.mark.slow
def test_only_some_axes_of_the_grid_may_move() -> None:
    result = sp.sweep(lambda x: x.sum(1), IMAGES)
    assert result.layers[-1].grid == (None, 1)
    assert (
        result.count("equivariance").equal == 48
    )  # a mean over rows is invariant down and equivariant across
    assert str(result.lattice("invariance")) == "Z × 0"


@pytest.mark.slow
def test_output_axes_may_be_declared() -> None:
    shuffled = jnp.eye(8)[:, jnp.array([0, 3, 1, 5, 2, 4, 7, 6])]

    def model(x):  # (batch, 8, 1) -> (batch, 3, 8), through a matrix that no rule follows
        return jnp.stack([x[..., 0] @ shuffled] * 3, axis=1)

    images = IMAGES[:, 0, :, :1]
    assert not sp.sweep(model, images).layers[-1].has_grid
    declared = sp.sweep(model, images, output_axes=(2,))
    assert declared.layers[-1].grid == (2,)
    assert declared.count("equivariance").equal == 1


@pytest.mark.slow
def test_label_agreement() -> None:
    def model(x):
        return jnp.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], axis=-1)

    result = sp.sweep(model, IMAGES)
    expected = np.zeros((6, 8), int)
    for image in IMAGES[..., 0]:
        for dy in range(6):
            for dx in range(8):
                label = np.argmax([image[-dy, -dx], -image[-dy, -dx]])
                expected[dy, dx] += label == np.argmax([image[0, 0], -image[0, 0]])
    np.testing.assert_array_equal(result.agreement[-1], expected)


@pytest.mark.slow
def test_a_zero_channel_only_flaw_is_seen() -> None:
    """One wrong pixel of one channel is enough to break every shift but 0."""

    def model(x):
        return x.at[:, 2, 3, 1].add(1)

    result = sp.sweep(model, IMAGES)
    assert result.count("equivariance").equal == 1
    assert set(np.unique(result.equivariance_cells[-1])) == {0, 2}


def test_progress_counts_every_shift_once() -> None:
    seen = []
    sp.sweep(nnx.relu, IMAGES, chunk=9, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1, 48)
    assert seen[-1] == (48, 48)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.slow
def test_precision_of_the_caller_is_left_alone() -> None:
    sp.sweep(nnx.relu, IMAGES, dtype="float64")
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int32"])
def test_dtypes(dtype) -> None:
    result = sp.sweep(lambda x: jnp.maximum(x, 0) * 2, IMAGES, dtype=dtype)
    assert result.layers[-1].dtype == dtype
    assert result.layers[-1].exact
    assert result.count("equivariance").equal == 48


@pytest.mark.slow
def test_integers_from_rounded_values_are_never_called_different() -> None:
    """An argmax after exp may flip by rounding alone: where it changed, that is unclear."""
    result = sp.sweep(lambda x: (jnp.exp(x), jnp.argmax(jnp.exp(x), axis=1)), IMAGES)
    values, places = result.outputs
    assert result.count("invariance", values).differs > 0
    count = result.count("invariance", places)
    assert (count.differs, count.unclear + count.equal) == (0, 48)
    assert np.isnan(result.layers[result.index(places)].noise)


@pytest.mark.slow
def test_constant_outputs_are_swept_beside_others() -> None:
    with pytest.warns(VacuousWarning, match=r"output\.1, output\.2 does not depend"):
        result = sp.sweep(lambda x: (x, 3.0, jnp.zeros(2)), IMAGES)
    assert [layer.vacuous for layer in result.layers] == [False, True, True]
