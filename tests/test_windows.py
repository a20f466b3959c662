"""Cells on scenes and placements of objects, by the field: against brute force over all windows and places."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import placed as placed_by_force
import pytest
from amounts import ALL, some
from families import FAMILIES
from flax import nnx
from test_scene import border_of

from shiftproof import zoo
from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.subject import Subject, question_of
from shiftproof.deciding.verify import ask, verify, verify_scene
from shiftproof.deciding.words import Word
from shiftproof.proving import windows
from shiftproof.proving.runs import Runs
from shiftproof.proving.windows import Placed, find_interiors, find_placed
from shiftproof.tracing.settings import settings


def conv(channels, seed, size=3, **options):
    return nnx.Conv(*channels, (size, size), rngs=nnx.Rngs(seed), **options)


def masked(rows) -> nnx.Conv:
    """A kernel of which only some weights count, as in a PixelCNN."""
    return conv((1, 1), 0, mask=np.array(rows, float)[:, :, None, None])


class Stack(nnx.Module):
    def __init__(self, *, bias: bool) -> None:
        self.first = conv((1, 2), 0, use_bias=bias)
        self.second = conv((2, 2), 1, use_bias=bias)

    def __call__(self, x):
        return nnx.relu(self.second(nnx.relu(self.first(x))))


class LeNet(nnx.Module):
    def __init__(self) -> None:
        self.first, self.second = conv((1, 2), 0, 5), conv((2, 3), 1)
        self.head = nnx.Linear(3 * 16, 4, rngs=nnx.Rngs(2))

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.first(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.second(x)), (2, 2), (2, 2))
        return self.head(x.reshape(len(x), -1))


class UNet(nnx.Module):
    def __init__(self) -> None:
        self.down, self.low, self.up = conv((1, 2), 0), conv((2, 2), 1), conv((4, 1), 2)

    def __call__(self, x):
        skip = nnx.relu(self.down(x))
        low = nnx.relu(self.low(nnx.avg_pool(skip, (2, 2), (2, 2))))
        up = jax.image.resize(low, skip.shape, "bilinear")
        return self.up(jnp.concatenate([skip, up], -1))


def resized(how: str, size: int):
    return lambda x: jax.image.resize(x, (len(x), size, size, 1), how)


MODELS = {
    "two convolutions": (lambda: Stack(bias=False), 10),
    "with biases": (lambda: Stack(bias=True), 10),
    "LeNet": (LeNet, 16),
    "U-Net": (UNet, 12),
    "masked": (lambda: masked([[1, 1, 1], [1, 0, 0], [0, 0, 0]]), 9),
    "bilinear": (lambda: resized("bilinear", 16), 8),
    "cubic, smaller": (lambda: resized("cubic", 6), 12),
    "transposed": (lambda: nnx.ConvTranspose(1, 1, (3, 3), (2, 2), rngs=nnx.Rngs(0)), 7),
    "normalised": (lambda: nnx.Sequential(conv((1, 2), 0), nnx.LayerNorm(2, rngs=nnx.Rngs(1))), 8),
    "flipped": (lambda: lambda x: jnp.tanh(x)[:, ::-1], 7),
}


def with_random_weights(model):
    """Integers as weights, where there are some."""
    if isinstance(model, nnx.Module):
        generator = np.random.default_rng(7)
        drawn = jax.tree.map(
            lambda w: jnp.asarray(generator.integers(1, 9, w.shape), w.dtype),
            nnx.state(model, nnx.Param),
        )
        nnx.update(model, drawn)
    return model


def answers(model, images: list[np.ndarray]) -> np.ndarray:
    with settings("float64"):
        return np.asarray(model(jnp.asarray(np.stack(images))), np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_interior_is_what_all_windows_of_scenes_say(name) -> None:
    """Cell u after k steps of the window shows what cell u - k r showed: for cells of the interior, and no more."""
    build, size = MODELS[name]
    model = with_random_weights(build())
    subject, _ = ask(model, (size, size, 1))
    with settings(subject.dtype):
        found = find_interiors(
            question_of(subject), subject.layers, [[None, None]] * len(subject.layers)
        )
    output = next(layer for layer in subject.layers if layer.output)
    interior = found.by_name[output.name]
    if None in interior.moves:
        assert not interior.cells.any()
        return
    (step_y, y), (step_x, x) = interior.moves
    scenes = np.random.default_rng(3).integers(-9, 10, (6, 3 * size, 3 * size, 1)).astype(float)
    reach = (
        range(-(size // step_y), size // step_y + 1),
        range(-(size // step_x), size // step_x + 1),
    )
    moves = list(itertools.product(*reach))
    crops = [
        scene[size - a * step_y :, size - b * step_x :][:size, :size]
        for a, b in moves
        for scene in scenes
    ]
    values = answers(model, crops)
    values = values.reshape(len(moves), len(scenes), *values.shape[1:])
    shown = dict(zip(moves, np.moveaxis(values, 1, -1), strict=True))
    still, inside = shown[0, 0], interior.cells
    alike = np.ones(inside.shape, bool)
    middle = np.argwhere(inside)[len(np.argwhere(inside)) // 2]
    for cell in np.ndindex(inside.shape):
        # both windows put one point of the scene before the cell and before the middle of the interior
        gap = [int(c - m) for c, m in zip(cell, middle, strict=True)]
        if gap[0] % y or gap[1] % x:
            phase = np.argwhere(inside & phases(inside.shape, cell, (y, x)))
            gap = [int(c - m) for c, m in zip(cell, phase[len(phase) // 2], strict=True)]
        move = gap[0] // y, gap[1] // x
        if move in shown:
            there = tuple(c - g for c, g in zip(cell, gap, strict=True))
            alike[cell] = np.allclose(shown[move][cell], still[there], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(alike, inside)


def phases(shape, cell, steps) -> np.ndarray:
    """The cells that are whole moves away from one."""
    rows, columns = np.indices(shape)
    return ((rows - cell[0]) % abs(steps[0]) == 0) & ((columns - cell[1]) % abs(steps[1]) == 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_placements_are_what_all_places_of_objects_say(name) -> None:
    """Every cell of every layer at every place: where it moves for twenty objects it is proved to, and nowhere else."""
    build, size = MODELS[name]
    subject, _ = ask(build(), (size, size, 1))
    assert_placed(subject, (3, 2))


FAMILY = {family.name: family for family in FAMILIES}
QUICK = ("vgg", "mobilenet")
SLOW = (
    *("resnet, cifar", "resnet, nnx", "resnet, imagenet", "densenet", "efficientnet", "convnext"),
    *(
        "unet",
        "unet, nnx, zeros",
        "unet, bilinear, zeros",
        "inception",
        "squeezenet",
        "generator",
        "wavenet",
    ),
    *("feature pyramid, zeros", "deeplab", "swin", "v-net, zeros", "channels first"),
)
PUBLISHED = [
    *QUICK,
    *some(SLOW, 12),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_placements_of_published_families_for_all_weights(name) -> None:
    family = FAMILY[name]
    subject, _ = ask(family.build(), family.shape, **family.options)
    assert_placed(subject, (2, 3, 2)[: len(subject.grid)])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_placements_of_published_families_that_answer_zero_to_nothing(name) -> None:
    """Without biases the border is seen only where the object is near, so that many places are left."""
    family = FAMILY[name]
    model = without_biases(family.build())
    subject, _ = ask(model, family.shape, weights="these", **family.options)
    assert_placed(subject, (2, 2, 2)[: len(subject.grid)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "weights"),
    [
        ("global", "these"),
        *(pair for pair in (("flatten", "all"), ("flatten", "these"), ("global", "all")) if ALL),
    ],
)
def test_placements_of_the_zero_padded_lenet(head, weights) -> None:
    model = zoo.LeNet(head=head, padding="SAME", size=24, pools=2, rngs=nnx.Rngs(0))
    subject, _ = ask(without_biases(model), (24, 24, 1), weights=weights)
    placed = assert_placed(subject, (3, 2))
    counts = [int(found.places.sum()) for found in placed.values()]
    assert counts[:2] == [506, 121]
    assert (counts[-1] == 1) == (weights == "all" or head == "flatten")


def without_biases(model: Any) -> Any:
    """Random kernels of both signs, and nothing added: a layer answers 0 to an empty canvas."""
    generator = np.random.default_rng(5)

    def drawn(path: Any, weight: Any) -> Any:
        last = jax.tree_util.keystr(path)
        if "bias" in last or "mean" in last:
            return jnp.zeros_like(weight)
        values = generator.uniform(0.5, 1.5, np.shape(weight))
        if np.ndim(weight) > 1:
            values *= generator.choice((-1, 1), np.shape(weight)) / np.sqrt(np.shape(weight)[-2])
        return jnp.asarray(values, weight.dtype)

    if isinstance(model, tuple):
        return model[0], jax.tree_util.tree_map_with_path(drawn, model[1])
    kinds = (nnx.Param, nnx.BatchStat)
    for kind in kinds:
        nnx.update(model, jax.tree_util.tree_map_with_path(drawn, nnx.state(model, kind)))
    return model


def assert_placed(subject: Subject, object: tuple[int, ...]) -> dict[str, Placed]:
    """The field says of every cell of every layer what twenty objects at every place say; it may know less if blind."""
    with settings(subject.dtype):
        placed, log2_error = find_placed(question_of(subject), subject.layers, object)
    assert log2_error < -100
    seen = placed_by_force.see(subject, object)
    assert placed.keys() == seen.keys()
    for name, found in placed.items():
        brute = seen[name]
        np.testing.assert_array_equal(found.whole, brute.whole, name)
        for proved, right in ((found.places, brute.places), (found.cells, brute.cells)):
            assert not np.any(proved & ~right), f"{name}: proved though false"
            assert found.blind or not np.any(right & ~proved), f"{name}: not proved though true"
    return placed


def test_fewer_primes_than_usual_give_the_same_answer(monkeypatch) -> None:
    subject, _ = ask(masked([[1, 1, 1], [1, 0, 0], [0, 0, 0]]), (6, 6, 1))

    def found() -> tuple[dict[str, Placed], float]:
        with settings(subject.dtype):
            return find_placed(question_of(subject), subject.layers, (2, 2))

    usual, error = found()
    monkeypatch.setattr(windows, "USUAL", 10**6)
    with pytest.raises(FieldError, match=r"only \d+ primes"):
        Runs(question_of(subject), windows.USUAL, [])
    few, error_of_few = found()
    assert error <= error_of_few < -100  # no more tracks than it takes
    for name, placed in usual.items():
        np.testing.assert_array_equal(placed.places, few[name].places)


@pytest.mark.slow
def test_published_numbers_of_the_design() -> None:
    """Two zero-padded convolutions and an object of 4x4 on 16x16: 169 and 121 places; with biases 169 and 1."""
    for bias, counts in ((False, [169, 121]), (True, [169, 1])):
        subject, _ = ask(Stack(bias=bias), (16, 16, 1))
        with settings(subject.dtype):
            placed, _ = find_placed(question_of(subject), subject.layers, (4, 4))
        assert [int(placed[n].places.sum()) for n in ("first", "second")] == counts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([[1, 1, 1], [1, 0, 0], [0, 0, 0]], 13 * 12),
        ([[0, 0, 0], [1, 0, 1], [0, 0, 0]], 14 * 12),
        ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 12 * 12),
    ],
)
def test_masked_kernels_have_their_exact_interior(rows, left) -> None:
    """C10: the kernel knows windows, not the zeros of a mask."""
    output = border_of(verify_scene(masked(rows), (14, 14, 1)))
    assert (output.left, output.certified) == ((left, 196), 144)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "left"), [("bilinear", 22 * 22), ("cubic", 18 * 18)])
def test_resizes_have_their_exact_interior(how, left) -> None:
    """C10: cells between two pixels read both."""
    output = border_of(verify_scene(resized(how, 24), (12, 12, 1)))
    assert output.left[0] == left
    assert [(r.step, r.cells) for r in output.reaches] == [(1, 2), (1, 2)]


def striped(x: jax.Array) -> jax.Array:
    """A row and a column of zeros divide the map into four parts, which are alike."""
    mask = np.ones((10, 10, 1), np.float32)
    mask[6], mask[:, 4] = 0, 0
    return x * mask


@pytest.mark.slow
def test_parts_that_are_no_neighbours_are_one_interior() -> None:
    verdict = verify_scene(striped, (10, 10, 1))
    words = border_of(verdict).words
    expected = np.full((10, 10), Word.PROVED)
    expected[6], expected[:, 4] = Word.REFUTED, Word.REFUTED
    np.testing.assert_array_equal(words, expected)


@pytest.mark.slow
def test_cells_in_corners_and_between_parts_are_refuted_too() -> None:
    words = border_of(verify_scene(lambda x: masked_sum(striped(x)), (10, 10, 1))).words
    expected = np.full((10, 10), Word.REFUTED)
    for rows, columns in itertools.product((slice(1, 5), slice(8, 9)), (slice(1, 3), slice(6, 9))):
        expected[rows, columns] = Word.PROVED
    np.testing.assert_array_equal(words, expected)


def masked_sum(x: jax.Array) -> jax.Array:
    """Sums of 3x3 cells, with zeros around."""
    return nnx.avg_pool(x, (3, 3), (1, 1), padding="SAME", count_include_pad=True) * 9.0


def holed(x: jax.Array) -> jax.Array:
    return x.at[:, 1, 0].set(0.0)


def two_blocks(x: jax.Array) -> jax.Array:
    return x * np.kron([[0, 1], [1, 0]], np.ones((2, 2)))[..., None].astype(np.float32)


ATTACKED = {
    # what an attack from outside found: a line on which the middle is a hole, parts that share no line, no weights
    "a hole": (holed, (3, 3, 1), 8),
    "two blocks": (two_blocks, (4, 4, 1), 8),
    "two runs": (lambda x: x.at[:, 3].set(0.0), (7, 1), 6),
    "a module without weights": (nnx.Sequential(lambda x: x[:, :-1]), (5, 1), 4),
    "a constant": (lambda x: jnp.ones((x.shape[0], 3)), (6, 1), 1),
    "nothing": (lambda x: x.mean(1) * 0, (6, 1), 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKED)
def test_cells_on_scenes_that_an_attack_found(name) -> None:
    model, shape, proved = ATTACKED[name]
    (output,) = verify_scene(model, shape).outputs
    assert output.region is not None
    assert (output.region.proved, output.region.undecided) == (proved, 0)


@pytest.mark.slow
def test_objects_below_zero_are_tried_and_modules_need_no_weights() -> None:
    def least(x: jax.Array) -> jax.Array:
        return jnp.minimum(x, 0) + jnp.minimum(jnp.roll(x, 1, 1), 0)

    for model, shape, counts in (
        (least, (6, 1), (4, 1, 0)),
        (nnx.Sequential(lambda x: x[:, :-1]), (5, 1), (4, 0, 0)),
    ):
        (output,) = verify(model, shape, boundary="background", object=(2,)).outputs
        region = output.region
        assert region is not None
        assert (region.proved, region.refuted, region.undecided) == counts
