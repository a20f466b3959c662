"""Scenes: where the border reaches, by the kernel and by sweeping, cell by cell."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import ALL, sampled
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.deciding import scene as module
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.verify import verify_scene
from shiftproof.deciding.words import Word
from shiftproof.errors import ContradictionError, UndecidedError
from shiftproof.proving.scenes import SceneProver
from shiftproof_kernel import Refusal, check


def conv(size=3, channels=(1, 2), seed=0, **options):
    kernel = size if isinstance(size, tuple) else (size, size)
    return nnx.Conv(*channels, kernel, rngs=nnx.Rngs(seed), **options)


def output_of(verdict: Verdict) -> LayerVerdict:
    """The row of the only output."""
    (row,) = [row for row in verdict.layers if row.output]
    return row


def border_of(verdict: Verdict):
    """What is known of it on a scene."""
    border = output_of(verdict).border
    assert border is not None
    return border


def stack(*layers):
    return nnx.Sequential(*layers)


def pool(kind=nnx.max_pool, size=2, stride=2, **options):
    return lambda x: kind(x, (size, size), (stride, stride), **options)


class Residual(nnx.Module):
    """A branch of two convolutions beside a shortcut: the narrower interior counts."""

    def __init__(self):
        self.first, self.second = conv(5, (1, 1)), conv(3, (1, 1), 1)

    def __call__(self, x):
        return x + self.second(nnx.relu(self.first(x)))


def upsampled(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def patches(x):
    b, h, w, c = x.shape
    return (
        x.reshape(b, h // 4, 4, w // 4, 4, c)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(b, h // 4, w // 4, -1)
    )


def reflected(x):
    return nnx.max_pool(
        jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), (3, 3), (1, 1)
    )


def flipped(x):
    return nnx.avg_pool(x[:, ::-1], (3, 3), (1, 1), padding="SAME")


def resized(x):
    return jax.image.resize(x, (x.shape[0], 24, 24, x.shape[3]), "nearest")


# model, size of the image; along each axis step, cells, low, high of the output
CASES = {
    "valid": (lambda: conv(padding="VALID"), 8, (1, 1, 0, 6)),
    "same": (conv, 8, (1, 1, 1, 7)),
    "same, even kernel": (lambda: conv(4), 8, (1, 1, 1, 6)),
    "dilated": (lambda: conv(kernel_dilation=2), 9, (1, 1, 2, 7)),
    "stride 2, even size": (lambda: conv(strides=2), 12, (2, 1, 0, 5)),
    "stride 2, odd size": (lambda: conv(strides=2), 13, (2, 1, 1, 6)),
    "stride 3 of 2": (
        lambda: stack(conv(strides=2), conv(2, (2, 1), 1, strides=3)),
        30,
        (6, 1, 0, 5),
    ),
    "circular": (lambda: conv(padding="CIRCULAR"), 8, (1, 1, 1, 7)),
    "reflect": (lambda: reflected, 8, (1, 1, 1, 7)),
    "max pool": (pool, 8, (2, 1, 0, 4)),
    "max pool, SAME, stride 1": (lambda: pool(size=3, stride=1, padding="SAME"), 8, (1, 1, 1, 7)),
    "avg pool, SAME, stride 1": (lambda: pool(nnx.avg_pool, 3, 1, padding="SAME"), 8, (1, 1, 1, 7)),
    "residual": (Residual, 12, (1, 1, 3, 9)),
    "conv, pool, conv": (lambda: stack(conv(), pool(), conv(3, (2, 1), 1)), 16, (2, 1, 2, 6)),
    "nearest, by repeating": (lambda: stack(conv(), upsampled), 8, (1, 2, 2, 14)),
    "nearest, by resize": (lambda: stack(conv(), resized), 8, (1, 3, 3, 21)),
    "transposed conv": (
        lambda: nnx.ConvTranspose(1, 1, (3, 3), 2, padding="SAME", rngs=nnx.Rngs(0)),
        6,
        (1, 2, 1, 12),
    ),
    "patches": (lambda: stack(conv(), patches), 16, (4, 1, 1, 3)),
    "flip along one axis": (lambda: flipped, 8, None),
    "strided slice": (lambda: stack(conv(), lambda x: x[:, 1::2, 1::2]), 8, (2, 1, 0, 3)),
}


@pytest.mark.parametrize("name", sampled(CASES, plain=12, slow=1))
def test_the_interior_is_known_and_every_cell_agrees_with_the_sweep(name) -> None:
    """No proved cell differs on integer scenes, and every other cell does."""
    build, size, expected = CASES[name]
    verdict = verify_scene(build(), (size, size, 1))
    reaches = border_of(verdict).reaches
    found = [(r.step, r.cells, r.low, r.high) for r in reaches]
    assert found == ([expected] * 2 if expected else [(1, -1, 1, 7), (1, 1, 1, 7)])
    for layer in verdict.layers:
        assert layer.border is not None
        assert layer.border.count(Word.UNDECIDED) == 0, layer.name
        assert layer.border.exact or "avg" in layer.name
    checked = check(verdict.certificates["output.equivariance"])
    assert checked.boundary == "scene"
    assert checked.interior == tuple((r.low, r.high) for r in reaches)
    region = verdict.outputs[0].region
    assert region is not None
    steps = [reach.step or 1 for reach in reaches]
    assert set(region.between.values()) == ({Word.REFUTED} if max(steps) > 1 else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "kernel"), [((10, 1), (3,)), ((6, 5, 7, 1), (3, 2, 3)), ((5, 9, 2), (3, 5))]
)
def test_one_and_three_dimensions(shape, kernel) -> None:
    net = stack(conv(kernel, (shape[-1], 2)), conv(kernel, (2, 1), 1))
    verdict = verify_scene(net, shape)
    for reach, size, n in zip(border_of(verdict).reaches, kernel, shape, strict=False):
        assert (reach.low, reach.high) == (2 * ((size - 1) // 2), n - 2 * (size // 2))
    assert border_of(verdict).count(Word.UNDECIDED) == 0


@pytest.mark.slow
def test_a_stack_of_same_convolutions_loses_its_radius_layer_by_layer() -> None:
    sizes = (3, 5, 3, 7)
    verdict = verify_scene(stack(*(conv(k, (1, 1), k) for k in sizes)), (24, 24, 1))
    radius = 0
    for layer, kernel in zip(verdict.layers, sizes, strict=True):
        radius += kernel // 2
        assert layer.border is not None
        for reach in layer.border.reaches:
            assert (reach.low, reach.high) == (radius, 24 - radius)
            assert reach.field is not None
            assert (reach.field.size, reach.field.offset) == (2 * radius + 1, -radius)
        assert layer.border.count(Word.UNDECIDED) == 0


@pytest.mark.slow
def test_an_interior_that_is_one_cell_too_large_is_noticed(monkeypatch) -> None:
    """Field and sweep are oracles: were the kernel one cell too generous, both would say so."""
    true = SceneProver.along

    def generous(self, axis):
        grown = []
        for found in true(self, axis):
            moves = getattr(found, "moves", None)
            if moves is not None and any(move[0] for move in moves):
                larger = tuple((s, max(0, lo - bool(s)), hi) for s, lo, hi in moves)
                found = type(found)(found.step, larger)
            grown.append(found)
        return grown

    verify_scene(conv(), (8, 8, 1))
    monkeypatch.setattr(module.SceneProver, "along", generous)
    monkeypatch.setattr(module, "_certificate", lambda *_: None)
    with pytest.raises(ContradictionError, match=r"proved by the kernel to move by 1 .* denies it"):
        verify_scene(conv(), (8, 8, 1))
    monkeypatch.setattr(module, "_vote", lambda *_: None)
    with pytest.raises(ContradictionError, match="is proved to move with the scene, and does not"):
        verify_scene(conv(), (8, 8, 1))


# --- where it vanishes ---


class Tokens(nnx.Module):
    """Patches, a table of positions or none, and a layer that looks at every token."""

    def __init__(self, positions):
        self.embed = conv(4, (1, 4), strides=4, padding="VALID")
        self.table = nnx.Param(jnp.arange(64.0).reshape(4, 4, 4)) if positions else None
        self.attention = nnx.MultiHeadAttention(1, 4, decode=False, rngs=nnx.Rngs(0))

    def __call__(self, x):
        x = self.embed(x)
        if self.table is not None:
            x = x + self.table[...]
        return self.attention(x.reshape(x.shape[0], -1, 4))


VANISHING = {
    "global mean": (
        lambda: stack(conv(), lambda x: x.mean((1, 2))),
        8,
        r"no interior is proved at .*reduce_sum at test_scene.py:\d+: of an axis of a scene",
    ),
    "flatten and dense": (
        lambda: stack(
            conv(1), lambda x: x.reshape(x.shape[0], -1), nnx.Linear(128, 2, rngs=nnx.Rngs(0))
        ),
        8,
        r"no interior is proved at reshape \(test_scene.py:\d+\)",
    ),
    "positions": (
        lambda: Tokens(True),
        16,
        r"no interior is proved .*add at test_scene.py:\d+: values that stay in place meet",
    ),
    "attention": (lambda: Tokens(False), 16, r"no interior is proved at .*test_scene.py:\d+"),
    "too many layers": (
        lambda: stack(*(conv(5, (1, 1), i) for i in range(3))),
        8,
        r"the interior vanishes at layers\.1: .*the border reaches every cell",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VANISHING)
def test_the_verdict_names_the_layer_where_nothing_is_left(name) -> None:
    build, size, words = VANISHING[name]
    verdict = verify_scene(build(), (size, size, 1))
    gone = verdict.vanished
    assert gone is not None
    assert not verdict.proved
    assert gone.border is not None
    assert re.match(words, gone.gone), gone.gone
    assert any(reach.vanished for reach in gone.border.reaches) == ("vanishes" in words)
    assert gone.border.left[0] == 0
    assert not verdict.certificates


@pytest.mark.slow
@pytest.mark.parametrize("exhaustive", [False, True] if ALL else [False])
def test_resnet18_at_224_ends_without_an_interior(exhaustive) -> None:
    """A finding, and no error; 435 pixels is the receptive field that is published for it."""
    verdict = verify_scene(zoo.ENTRIES["resnet18"].build(0), (224, 224, 3), exhaustive=exhaustive)
    gone = verdict.vanished
    assert gone is not None
    assert gone.name == "blocks.6.conv1"
    layers = {layer.name: layer for layer in verdict.layers}
    last = layers["blocks.7.conv2"].fields[0]
    assert last is not None
    assert (last.size, last.jump) == (435, 32)
    assert layers["add_6"].border.left == (1, 196)
    assert bool(verdict.notes) != exhaustive  # a large model: the field is asked on request


@pytest.mark.slow
@pytest.mark.parametrize(("size", "claimed"), [(9, False), (10, True)])
def test_an_interior_no_wider_than_a_step_claims_nothing(size, claimed) -> None:
    """No two windows show one point in it: a claim about it would compare nothing."""
    deep = stack(conv(5, (1, 1)), conv(5, (1, 1), 1))
    verdict = verify_scene(deep, (size, size, 1))
    assert border_of(verdict).left == ((size - 8) ** 2, size**2)
    assert verdict.vanished is None
    assert (verdict.proved, "output.equivariance" in verdict.certificates) == (claimed, claimed)
    assert ("nothing is claimed" in str(verdict)) == (not claimed)
    if claimed:
        sp.assert_equivariant(deep, (size, size, 1), boundary="scene")
        return
    with pytest.raises(UndecidedError, match="is no wider than one"):
        sp.assert_equivariant(deep, (size, size, 1), boundary="scene")


@pytest.mark.slow
def test_a_step_that_is_no_multiple_is_not_claimed() -> None:
    verdict = verify_scene(conv(strides=2), (12, 12, 1))
    certificate = json.loads(json.dumps(verdict.certificates["output.equivariance"]))
    checked = check(certificate)
    assert [shift for shift, _ in checked.generators] == [(2, 0), (0, 2)]
    certificate["generators"][0]["shift"] = [1, 0]
    with pytest.raises(Refusal):
        check(certificate)


@pytest.mark.slow
def test_the_models_own_weights_can_be_asked_about() -> None:
    net = conv()
    net.kernel[...] = (
        net.kernel[...].at[0].set(0).at[2].set(0)
    )  # the rows above and below are ignored
    rows = [border_of(verify_scene(net, (8, 8, 1), weights=w)) for w in ("all", "these")]
    assert rows[0].reaches[0].low == 1
    # the kernel reads no zero in a convolution's weights; the field does
    assert (rows[0].left, rows[0].certified) == ((36, 64), 36)
    assert (rows[1].left, rows[1].certified) == ((48, 64), 36)
    assert rows[1].count(Word.UNDECIDED) == 0


@pytest.mark.slow
def test_data_and_words() -> None:
    verdict = verify_scene(stack(conv(), pool()), (8, 8, 1))
    data = json.loads(json.dumps(verdict.to_dict()))
    assert data["schema"] == "shiftproof.verdict/1"
    assert (data["boundary"], data["word"]) == ("scene", "proved")
    borders = [layer["border"] for layer in data["layers"]]
    assert [border["interior_cells"] for border in borders] == [36, 4]
    assert [border["refuted_cells"] for border in borders] == [28, 12]
    region = data["outputs"][0]["region"]
    assert (region["proved"], region["refuted"], region["undecided"]) == (4, 12, 0)
    assert [x["shift"] for x in region["between"]] == [[0, 1], [1, 0], [1, 1]]
    assert borders[1]["axes"][0] == {
        "step": 2,
        "jump": "2",
        "interior": [1, 3],
        "size": 4,
        "receptive_field": 4,
        "receptive_offset": -1,
        "whole_image": False,
        "reason": None,
    }
    assert "4 of 16 cells (1..2 × 1..2) move with the scene, in steps of 2 × 2 pixels" in str(
        verdict
    )


@pytest.mark.slow
def test_the_command_line_and_its_files(tmp_path, capsys) -> None:
    from shiftproof.cli import main

    with pytest.raises(SystemExit) as exit_:
        main(["verify", "conv3x3-same", "--boundary", "scene", "--out", str(tmp_path)])
    assert exit_.value.code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "report.html",
        "maps.png",
        "verdict.json",
        "output.equivariance.certificate.json",
    }
    assert (
        check(json.loads((tmp_path / "output.equivariance.certificate.json").read_text())).boundary
        == "scene"
    )
    assert "1..6" in capsys.readouterr().out
    with pytest.raises(SystemExit) as exit_:
        main(["verify", "lenet-global-same", "--boundary", "scene", "--json"])
    assert exit_.value.code == 1
    region = json.loads(capsys.readouterr().out)["outputs"][0]["region"]
    assert (region["property"], region["refuted"]) == ("invariance", 1)


@pytest.mark.slow
def test_the_map_of_cells_shows_interior_and_border() -> None:
    from shiftproof.report.regions import region_map

    expected = np.full((6, 6), Word.REFUTED)
    expected[1:5, 1:5] = Word.PROVED
    found = region_map(output_of(sp.verify_scene(conv(), (6, 6, 1))))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_what_is_proved_by_identity_or_refuted_numerically_says_so() -> None:
    resized_bilinear = lambda x: jax.image.resize(x, (x.shape[0], 12, 1), "linear")  # noqa: E731
    assert re.search(
        r"\(by identity, error < 2\^-1\d\d\); refuted in 2$",
        str(sp.verify(resized_bilinear, (6, 1), boundary="scene")),
    )
    rounded = str(
        sp.verify(lambda x: jnp.tanh(pool(nnx.avg_pool, 3)(x)), (9, 9, 1), boundary="scene")
    )
    assert "not under shifts by (0, 1), (1, 0), (1, 1) (numerically, far above rounding)" in rounded
    assert "by identity" not in rounded
    scores = str(sp.verify(lambda x: jnp.tanh(x).mean(1), (9, 1), boundary="scene"))
    assert "it changes with the scene (numerically, far above rounding)" in scores
