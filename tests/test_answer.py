"""The answer fits a screen, names the cause as a user would, and its lines are what was decided."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.answer import Answer, explain
from shiftproof.deciding.words import Word


def conv(channels, seed=0, size=3, **options):
    return nnx.Conv(*channels, (size, size), rngs=nnx.Rngs(seed), **options)


class Classifier(nnx.Module):
    """Zero padding, pools, flatten, a dense layer: the usual first network."""

    def __init__(self) -> None:
        self.conv1, self.conv2 = conv((1, 2)), conv((2, 3), 1)
        self.head = nnx.Linear(3 * 16, 4, rngs=nnx.Rngs(2))

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
        return self.head(x.reshape(len(x), -1))


class Segmenter(nnx.Module):
    def __init__(self) -> None:
        self.first, self.second, self.out = conv((1, 2)), conv((2, 2), 1), conv((2, 1), 2, 1)

    def __call__(self, x):
        return self.out(nnx.relu(self.second(nnx.relu(self.first(x)))))


class Patches(nnx.Module):
    """Patches, a table of positions, a mean."""

    def __init__(self) -> None:
        self.patch = conv((1, 4), 0, 2, strides=2, padding="VALID")
        self.table = nnx.Param(jnp.arange(64.0).reshape(8, 8, 1))

    def __call__(self, x):
        return nnx.relu(self.patch(x) + self.table[...]).mean((1, 2))


MODELS = {
    "zero padding, flatten, dense layer": (
        Classifier,
        "zero padding of the convolution: conv1",
        ('padding="CIRCULAR"', "x.mean((1, 2)) in place of the flatten", "scene", "background"),
    ),
    "zero padding only": (
        Segmenter,
        "zero padding of the convolution: first",
        (
            "equivariant under 256 of 256",
            "144 of 256 cells of output are proved",
            "1 of 169 places (by identity, error < 2^-1",
        ),
    ),
    "a table of positions": (Patches, "a position table, a mask, coordinates", ("remove",)),
    "a stride alone": (
        lambda: lambda x: nnx.max_pool(x, (2, 2), (2, 2)).max((1, 2)) * 0 + x[:, ::2].max((1, 2)),
        "stride 2",
        (),
    ),
    "VALID": (lambda: lambda x: nnx.max_pool(x, (2, 2)), "(VALID): 15 of 16 cells", ("scene",)),
    "sort": (lambda: lambda x: jnp.sort(x[:, ::3], axis=1), "sort takes a part", ()),
    "cumsum": (lambda: lambda x: jnp.cumsum(x, 1), "cumsum depends on the order", ()),
    "reflect": (
        lambda: lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
        "as reflect and edge padding do: pad",
        ("nothing that was replaced helps", "256 of 324 cells of output", "81 of 169 places"),
    ),
    "a resize": (
        lambda: lambda x: jax.image.resize(x, (len(x), 32, 32, 1), "bilinear"),
        "a product with fixed numbers that differ from place to place, as in a resize",
        (),
    ),
    "a crop": (
        lambda: lambda x: x[:, 1:-1],
        "a crop leaves 14 of 16 cells: output",
        ("224 of 224 cells of output",),
    ),
    "a wrapped border alone": (
        lambda: lambda x: jnp.pad(x, ((0, 0), (2, 2), (0, 0), (0, 0)), mode="wrap"),
        "leaves 20 cells of a border padded by hand, where 16 go around",
        (),
    ),
    "a crop behind a wrapped border": (
        lambda: lambda x: sp.layers.max_pool(x, 3)[:, :, 2:],
        "a crop leaves 14 of 16 cells: output",
        (),
    ),
    "pools and mean": (
        lambda: lambda x: nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2)),
        "",
        ("256 of 256 shifts",),
    ),
}


def answer(name: str, **options) -> Answer:
    model = MODELS[name][0]()
    verdict = sp.verify(model, (16, 16, 1), search_seconds=5)
    return explain(verdict, model, (16, 16, 1), {"search_seconds": 5}, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_an_answer_fits_a_screen_and_names_the_cause(name) -> None:
    _, cause, told = MODELS[name]
    text = str(answer(name))
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    said = " ".join(text.split())
    assert cause in said
    for words in told:
        assert words in said
    assert "axis that moves" not in said
    assert "because" not in said or ".py:" in said


@pytest.mark.slow
def test_the_numbers_are_those_of_the_parts() -> None:
    found = answer("zero padding only")
    assert found.why is not None
    assert found.scene is not None
    assert found.background is not None
    assert found.why.repair is not None
    assert found.why.repair.outputs[0].proved == 256
    border, places = found.scene.layers[-1].border, found.background.layers[-1].places
    assert border is not None
    assert places is not None
    assert border.left == (144, 256)
    assert (places.count(Word.PROVED), places.total) == (1, 169)


@pytest.mark.slow
def test_what_no_line_of_the_users_calls_is_named_by_its_layer() -> None:
    flatten = lambda x: x.reshape(len(x), -1)  # noqa: E731
    conv, dense = (
        nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0)),
        nnx.Linear(128, 4, rngs=nnx.Rngs(1)),
    )
    found = sp.counterfactuals(nnx.Sequential(conv, nnx.relu, flatten, dense), (8, 8, 1))
    assert found.repair is not None
    assert dict(found.steps(found.repair)) == {
        "layers.0": 'padding="CIRCULAR"',
        "layers.3": "before the dense layer, x.mean((1, 2)) in place of the flatten",
    }


def test_what_strides_explain_needs_no_repair() -> None:
    found = answer("a stride alone")
    assert found.why is None
    assert "repair" not in str(found)


def test_without_why_the_verdict_stands_alone() -> None:
    found = answer("zero padding only", why=False)
    assert (found.why, found.scene, found.background) == (None, None, None)
    assert len(str(found).splitlines()) <= 6


@pytest.mark.slow
def test_repairs_can_be_typed(monkeypatch) -> None:
    """F9: Flax refuses circular padding with input_dilation, and has no flatten where there is none."""
    dilated = conv((1, 1), input_dilation=2, padding=((1, 2), (1, 2)))
    found = sp.counterfactuals(dilated, (8, 8, 1), refute=False)
    assert all("CIRCULAR" not in change.repair for change in found.changes)
    transposed = nnx.ConvTranspose(1, 1, (3, 3), strides=(2, 2), rngs=nnx.Rngs(0))
    found = sp.counterfactuals(transposed, (8, 8, 1), refute=False)
    assert [change.repair for change in found.changes] == ['padding="CIRCULAR"']
    head = nnx.Linear(4, 3, rngs=nnx.Rngs(1))

    def small(x):
        return head(nnx.max_pool(x, (8, 8), (8, 8))[:, 0, 0])

    assert not sp.counterfactuals(small, (8, 8, 4), refute=False).heads


@pytest.mark.slow
def test_an_output_that_stays_is_not_said_to_move() -> None:
    def constant_along_the_grid(x):
        mean = x[:, ::2, ::2].mean((1, 2), keepdims=True)
        return mean + 0 * x

    verdict = sp.verify(constant_along_the_grid, (8, 8, 1), property="invariance")
    assert verdict.layers[-1].has_grid
    text = str(sp.explain(verdict, constant_along_the_grid, (8, 8, 1), why=False))
    assert verdict.invariance.proved >= 16
    assert "moves with the image" not in text
