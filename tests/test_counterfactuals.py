"""Counterfactuals: the rewritten program is the model that a user would write, and is decided like any other."""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import ALL, some
from families import FAMILIES, Family, UNet, ViT, linen_model
from flax import nnx
from jax import lax

import shiftproof as sp
from shiftproof.cli import main
from shiftproof.deciding.words import Word
from shiftproof.errors import ModelCallError
from shiftproof.rewriting.counterfactuals import Counterfactuals, lines
from shiftproof.tracing.model import Model, adapt
from shiftproof.tracing.rewrite import Leaf, rewrite


def proved(model: Any, shape: tuple[int, ...], **options: Any) -> Counterfactuals:
    return sp.counterfactuals(model, shape, refute=False, **options)


def counts(found: Counterfactuals, *interventions) -> list[int]:
    return [output.proved for output in found.row(*interventions).outputs]


def outputs(model, shape, **options) -> list[np.ndarray]:
    """The outputs for one random image, computed by the model's own function."""
    adapted = model if isinstance(model, Model) else adapt(model, **options)
    image = jax.random.normal(jax.random.key(1), (1, *shape))
    with jax.default_matmul_precision("highest"):
        found = jax.jit(adapted.call)(adapted.weights, image)
    return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(found)]


def alike(left, right) -> bool:
    pairs = zip(left, right, strict=True)
    return all(a.shape == b.shape and np.allclose(a, b, 1e-3, 1e-4) for a, b in pairs)


# --- circular padding is the circular twin ---


ZOO = [name for name in sp.zoo.ENTRIES if f"{name}-same" in sp.zoo.ENTRIES]


@pytest.mark.slow
@pytest.mark.parametrize("name", some(ZOO, 2))
def test_circular_padding_gives_the_circular_twin_of_the_zoo(name) -> None:
    shape = sp.zoo.ENTRIES[name].shape
    same, circular = sp.zoo.build(f"{name}-same"), sp.zoo.build(name)
    found, twin = proved(same, shape), proved(circular, shape)
    if not found.changes:  # nothing is padded, as in a pool of stride 2
        assert not twin.changes
        assert counts(found) == counts(twin)
        return
    row = found.row("padding")
    assert counts(found, "padding") == counts(twin)
    assert counts(found) != counts(twin) or twin.heads
    assert alike(outputs(row.model, shape), outputs(circular, shape))
    assert not alike(outputs(same, shape), outputs(circular, shape))  # the border is seen


def family(name: str) -> Family:
    return next(family for family in FAMILIES if family.name == name)


TWINS = [
    ("resnet, nnx", "resnet, nnx, circular"),
    ("unet, nnx, zeros", "unet, nnx"),
    ("generator", "generator, circular"),
    ("patch discriminator", "patch discriminator, wrapped"),
    ("conv lstm, zeros", "conv lstm"),
    ("nnx.scan, zeros", "nnx.scan"),
    ("automaton, zeros", "automaton"),
    ("inception", "inception, circular"),
    ("densenet", "densenet, circular"),
    ("resnet, cifar", "resnet, cifar, circular"),
    ("wide resnet", "wide resnet, circular"),
    ("vgg", "vgg, circular"),
    ("squeezenet", "squeezenet, circular"),
    ("efficientnet", "efficientnet, circular"),
    ("mobilenet", "mobilenet, circular"),
    ("shufflenet", "shufflenet, circular"),
    ("convnext", "convnext, circular"),
    ("convmixer", "convmixer, circular"),
    ("unet", "unet, circular"),
    ("v-net, zeros", "v-net"),
    ("nn.scan, zeros", "nn.scan and remat"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zeros", "circular"),
    [pair for i, pair in enumerate(TWINS) if ALL or i % 3 == 0],
)
def test_circular_padding_gives_the_circular_twin_of_a_family(zeros, circular) -> None:
    zero, twin = family(zeros), family(circular)
    assert zero.shape == twin.shape
    options = {k: v for k, v in zero.options.items() if k == "apply_kwargs"}
    found = proved(zero.build(), zero.shape, **zero.options)
    expected = [e if e is not None else i for e, i in twin.answers]
    assert counts(found, "padding") == expected
    row = found.row("padding")
    assert alike(outputs(row.model, zero.shape), outputs(twin.build(), zero.shape, **options))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_a_transposed_convolution_is_wrapped_as_flax_wraps_it(kernel) -> None:
    def make(padding):
        return nnx.ConvTranspose(2, 3, (kernel,) * 2, 2, padding=padding, rngs=nnx.Rngs(0))

    found = proved(make("SAME"), (4, 6, 2))
    assert counts(found, "padding") == [24]
    circular = make("CIRCULAR")
    assert alike(outputs(found.row("padding").model, (4, 6, 2)), outputs(circular, (4, 6, 2)))
    assert not proved(circular, (4, 6, 2)).changes  # its own zeros are laps that are summed


@pytest.mark.slow
def test_transposed_4x4_unet_of_zeros() -> None:
    zero = linen_model(UNet("SAME", "transpose4"), (8, 8, 3))()
    circular = linen_model(UNet("CIRCULAR", "transpose4"), (8, 8, 3))()
    options = {"apply_kwargs": {"train": False}}
    row = proved(zero, (8, 8, 3), **options).row("padding")
    assert row.outputs[0].proved == 16
    assert alike(outputs(row.model, (8, 8, 3)), outputs(circular, (8, 8, 3), **options))


def smooth(mode: str, x):
    padded = jnp.pad(x, ((0, 0), (1, 1), (2, 1), (0, 0)), mode=mode)
    kernel = jnp.arange(1.0, 13.0, dtype=x.dtype).reshape(3, 4, 1, 1)
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(padded, kernel, (1, 1), "VALID", dimension_numbers=numbers)


def bordered(x):
    """Zeros by hand, along one axis; the other is a ring."""
    zeros = jnp.zeros_like(x[:, :1])
    ring = jnp.concatenate([zeros, x, zeros], 1)
    return ring[:, :-2] + 2 * ring[:, 2:]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "edge"])
def test_padding_by_hand_is_replaced(mode) -> None:
    found = proved(functools.partial(smooth, mode), (4, 6, 1), name=mode)
    assert (counts(found), counts(found, "padding")) == ([1], [24])
    (cause, *_) = sp.verify(functools.partial(smooth, mode), (4, 6, 1), name=mode).causes
    assert "wrap" in cause.repair
    wrapped = outputs(functools.partial(smooth, "wrap"), (4, 6, 1), name="wrap")
    assert alike(outputs(found.row("padding").model, (4, 6, 1)), wrapped)
    assert all(change.source.startswith("test_counterfactuals.py") for change in found.changes)


@pytest.mark.slow
def test_zeros_that_are_concatenated_are_padding() -> None:
    found = proved(bordered, (4, 6, 1))
    assert (counts(found), counts(found, "padding")) == ([6], [24])


@pytest.mark.parametrize(
    "model",
    [
        functools.partial(smooth, "wrap"),
        lambda x: x + jnp.roll(x, 1, 1),
        lambda x: jnp.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1))),  # channels are no grid
    ],
)
def test_what_is_no_padding_is_left_alone(model) -> None:
    found = proved(model, (4, 6, 1), name="model")
    assert (len(found.rows), counts(found)) == (1, [24])
    assert "nothing to repair" in str(found)


@pytest.mark.slow
def test_where_all_shifts_are_kept_nothing_is_said_to_cost_some() -> None:
    convs = [nnx.Conv(1, 1, (3, 3), padding="VALID", rngs=nnx.Rngs(i)) for i in range(2)]

    def model(x):
        x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        return convs[1](convs[0](x))

    found = proved(model, (8, 8, 1))
    assert "equivariant under 64 of 64 (all shifts)" in found.summary


@pytest.mark.slow
def test_a_border_that_goes_around_already_is_never_told_to_do_so() -> None:
    convs = [nnx.Conv(1, 1, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(i)) for i in range(2)]

    def model(x):
        # one cell is too few for two convolutions, and mode="wrap" is what is written already
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        return convs[1](convs[0](x))[:, 1:-1, 1:-1]

    found = proved(model, (6, 6, 1))
    assert (counts(found), found.changes) == ([1], ())


@pytest.mark.slow
def test_the_cells_that_a_pool_counts_are_the_same_everywhere() -> None:
    def pool(x):
        return nnx.avg_pool(x, (3, 3), (1, 1), padding="SAME", count_include_pad=False)

    row = proved(pool, (6, 6, 1)).row("padding")
    wrapped = sp.zoo.pool_layer("avg", 3, stride=1)
    assert row.outputs[0].proved == 36
    assert alike(outputs(row.model, (6, 6, 1)), outputs(wrapped, (6, 6, 1), name="pool"))


class Branches(nnx.Module):
    """Zero padding in a branch, in a loop that data end, and in a rematerialised call."""

    def __init__(self, padding, *, rngs):
        self.conv = nnx.Conv(2, 2, (3, 3), padding=padding, rngs=rngs)

    def __call__(self, x):
        conv = self.conv
        x = lax.cond(x.sum() > 0, lambda y: conv(y), lambda y: conv(-y) * 2, x)
        x = jax.checkpoint(lambda y: jnp.tanh(conv(y)))(x)
        return lax.while_loop(lambda y: jnp.abs(y).max() > 0.5, lambda y: conv(y) / 4, x)


@pytest.mark.slow
def test_padding_in_branches_loops_and_calls() -> None:
    zero, twin = (Branches(p, rngs=nnx.Rngs(0)) for p in ("SAME", "CIRCULAR"))
    found = proved(zero, (4, 4, 2))
    assert (counts(found), counts(found, "padding")) == ([1], [16])
    assert len(found.changes) == 4
    assert alike(outputs(found.row("padding").model, (4, 4, 2)), outputs(twin, (4, 4, 2)))


@pytest.mark.slow
def test_one_padding_that_is_left_breaks_the_proof() -> None:
    model = adapt(sp.zoo.build("resnet-same"))
    changes = proved(model, (32, 32, 3)).changes
    leaf = [Leaf("output", 0)]
    for left in (0, len(changes) - 1):
        steps = {change.place: change.step for i, change in enumerate(changes) if i != left}
        broken = rewrite(model, steps, leaf, name="broken")
        assert counts(proved(broken, (32, 32, 3))) == [1]
    steps = {change.place: change.step for change in changes}
    assert counts(proved(rewrite(model, steps, leaf, name="whole"), (32, 32, 3))) == [64]


class Valid(nnx.Module):
    """Layers without padding, or their twins that go around the border."""

    def __init__(self, padding, pool, *, rngs):
        self.first = nnx.Conv(1, 2, (3, 3), padding=padding, rngs=rngs)
        self.second = nnx.Conv(2, 2, (5, 3), strides=(2, 1), padding=padding, rngs=rngs)
        self.last = nnx.Conv(2, 3, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.pool = pool

    def __call__(self, x):
        x = self.pool(nnx.relu(self.first(x)), (2, 2))
        x = self.last(jnp.tanh(self.second(x)))
        return x * jax.nn.sigmoid(x.mean((1, 2), keepdims=True)) + jnp.ones(x.shape)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["max_pool", "avg_pool", "min_pool"])
def test_layers_without_padding_go_around_the_border(pool) -> None:
    valid = Valid("VALID", getattr(nnx, pool), rngs=nnx.Rngs(0))
    wrapped = Valid("CIRCULAR", getattr(sp.layers, pool), rngs=nnx.Rngs(0))
    found = proved(valid, (12, 12, 1))
    assert (counts(found), counts(found, "padding")) == ([1], [72])
    assert [c.grows for c in found.changes] == [True] * 3  # the last one goes around already
    assert found.steps(found.row("padding"))[1][1] == f"shiftproof.layers.{pool}"
    row = found.row("padding").model
    assert row.call(row.weights, jnp.zeros((1, 12, 12, 1))).shape == (1, 6, 12, 3)
    twins = [
        proved(adapt(lambda x, m=m: m(x)), (12, 12, 1)).as_is.outputs[0].lattice
        for m in (wrapped, valid)
    ]
    assert [lattice.count for lattice in twins] == [72, 1]


@pytest.mark.slow
@pytest.mark.parametrize("strides", [1, 2])
def test_a_convolution_without_padding_becomes_its_circular_twin(strides) -> None:
    valid, twin = (
        nnx.Conv(1, 2, (3, 3), strides, padding=p, rngs=nnx.Rngs(0)) for p in ("VALID", "CIRCULAR")
    )
    row = proved(valid, (8, 8, 1)).row("padding")
    assert row.outputs[0].proved == 64 // strides**2
    assert alike(outputs(row.model, (8, 8, 1)), outputs(twin, (8, 8, 1)))


class Flat(nnx.Module):
    """Convolutions without padding before a dense layer for as many cells as they leave."""

    def __init__(self, rngs, *, mean=False, tail=False):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="VALID", rngs=rngs)
        self.tail = nnx.Conv(2, 2, (6, 6), padding="VALID", rngs=rngs) if tail else lambda x: x
        self.dense = nnx.Linear(2 if mean or tail else 72, 3, rngs=rngs)
        self.mean = mean

    def __call__(self, x):
        x = self.tail(nnx.relu(self.conv(x)))
        return self.dense(x.mean((1, 2)) if self.mean else x.reshape(len(x), -1))


@pytest.mark.slow
def test_a_dense_layer_for_the_cells_that_are_left_needs_a_mean_as_well() -> None:
    found = proved(Flat(nnx.Rngs(0)), (8, 8, 1))
    assert {row.interventions for row in found.rows} == {
        (),
        ("mean",),
        ("head",),
        ("padding", "mean"),
        ("padding", "head"),
    }
    assert counts(found, "padding", "mean") == counts(found, "padding", "head") == [64]
    assert found.repair is found.row("padding", "mean")
    assert counts(proved(Flat(nnx.Rngs(0), mean=True), (8, 8, 1)), "padding") == [64]


@pytest.mark.slow
def test_a_layer_over_all_that_is_left_keeps_its_size() -> None:
    found = proved(Flat(nnx.Rngs(0), tail=True), (8, 8, 1))
    assert not [change for change in found.changes if change.eqn.params["window_strides"] == (6, 6)]
    assert all("no padding" not in step for _, step in found.steps(found.rows[-1]))


@pytest.mark.slow
def test_a_table_for_the_cells_that_are_left_cannot_grow() -> None:
    table = jax.random.normal(jax.random.key(0), (6, 6, 1))
    found = proved(lambda x: nnx.avg_pool(x, (3, 3)) + table, (8, 8, 1), name="tabled")
    assert not found.changes or all(not change.grows for change in found.changes)
    (skipped,) = found.to_dict()["skipped"]
    assert (skipped["primitive"], skipped["reason"].split(" at ")[0]) == (
        "reduce_window_sum",
        "add",
    )


def test_what_cannot_be_replaced_is_said() -> None:
    model = nnx.ConvTranspose(1, 1, (3, 3), 2, padding="VALID", rngs=nnx.Rngs(0))
    found = proved(model, (4, 4, 1))
    assert not found.changes
    assert "transposed convolution from 4 to 9 cells" in str(found)
    assert found.to_dict()["skipped"][0]["primitive"] == "conv_general_dilated"


def test_another_program_is_told() -> None:
    model = adapt(lambda x: x)
    moved = rewrite(
        model, {(("conv", 0),): lambda eqn, arrays: arrays}, [Leaf("output", 0)], name=""
    )
    with pytest.raises(ModelCallError, match="another program"):
        sp.verify(moved, (4, 4, 1))


# --- positions ---


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sincos", pytest.param("learned", marks=pytest.mark.slow)])
def test_without_positions_a_transformer_is_the_one_without(kind) -> None:
    shape = (8, 8, 3)
    module, variables = linen_model(ViT(positions=kind, pool="mean"), shape)()
    found = proved((module, variables), shape)
    assert (counts(found), counts(found, "positions")) == ([1, 1], [4, 1])
    plain = ViT(positions="none", pool="mean")
    parameters = {k: v for k, v in variables["params"].items() if k != "pos"}
    twin = outputs((plain, {"params": parameters}), shape)
    assert alike(outputs(found.row("positions").model, shape), twin)
    assert not alike(outputs((module, variables), shape), twin)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coordinates", [16]),
        ("decoder", [8]),
        ("rotary attention", [8]),
        ("perceiver", [64]),
        ("checkerboard", [16]),
    ],
)
def test_tables_masks_and_coordinates_are_removed(name, expected) -> None:
    model = family(name)
    found = proved(model.build(), model.shape, **model.options)
    assert counts(found, "positions") == expected
    assert expected != counts(found)


def test_a_bias_of_channels_is_no_position() -> None:
    model = sp.zoo.build("conv3x3-same")
    assert {change.kind for change in proved(model, (8, 8, 2)).changes} == {"padding"}


@pytest.mark.slow
def test_a_circulant_bias_is_no_position() -> None:
    table = jnp.asarray(np.arange(6)[(np.arange(6)[:, None] - np.arange(6)) % 6], jnp.float32)

    def attend(x):
        weights = jax.nn.softmax(jnp.einsum("bic,bjc->bij", x, x) + table, axis=-1)
        return jnp.einsum("bij,bjc->bic", weights, x)

    def masked(x):
        weights = jax.nn.softmax(jnp.einsum("bic,bjc->bij", x, x) + jnp.tril(table), axis=-1)
        return jnp.einsum("bij,bjc->bic", weights, x)

    assert counts(proved(attend, (6, 2))) == [6]
    assert not proved(attend, (6, 2)).changes
    assert counts(proved(masked, (6, 2)), "positions") == [6]


# --- heads ---


class Small(nnx.Module):
    """A small CNN as people write it."""

    def __init__(self, *, rngs):
        self.conv1 = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(4, 4, (3, 3), strides=2, rngs=rngs)
        self.dense = nnx.Linear(64, 3, rngs=rngs)

    def features(self, x):
        return nnx.relu(self.conv2(nnx.relu(self.conv1(x))))

    def __call__(self, x):
        return self.dense(self.features(x).reshape(x.shape[0], -1))


@pytest.mark.slow
def test_a_small_network_tells_its_causes_and_is_repaired() -> None:
    model = Small(rngs=nnx.Rngs(0))
    found = sp.counterfactuals(model, (8, 8, 1))
    expected = {
        (): ("invariance", 1),
        ("padding",): ("invariance", 1),
        ("head",): ("equivariance", 1),
        ("mean",): ("invariance", 1),
        ("padding", "head"): ("equivariance", 16),
        ("padding", "mean"): ("invariance", 16),
    }
    assert {
        row.interventions: (row.outputs[0].question, row.outputs[0].proved) for row in found.rows
    } == expected
    assert found.repair is not None
    assert found.repair.interventions == ("padding", "mean")
    assert (found.repair.outputs[0].refuted, found.repair.outputs[0].undecided) == (48, 0)
    text = str(found)
    assert "as is invariant under 1 of 64; with circular padding and with a mean" in text
    assert "invariant under 16 of 64 (2Z × 2Z; stride 2 at test_counterfactuals.py:" in text
    assert 'padding="CIRCULAR"' in text
    assert "x.mean((1, 2)) in place of the flatten" in text
    # the value that precedes the flatten, and its mean
    (features,) = outputs(found.row("head").model, (8, 8, 1))
    image = jax.random.normal(jax.random.key(1), (1, 8, 8, 1))
    assert np.allclose(features, model.features(image), atol=1e-5)
    (mean,) = outputs(found.row("mean").model, (8, 8, 1))
    assert np.allclose(mean, features.mean((1, 2)), atol=1e-5)


@pytest.mark.slow
def test_a_rewritten_model_is_a_model() -> None:
    row = proved(Small(rngs=nnx.Rngs(0)), (8, 8, 1)).row("padding", "mean")
    sp.assert_lattice(row.model, (8, 8, 1), "2Z x 2Z")
    with pytest.raises(AssertionError, match="4Z x 4Z"):
        sp.assert_lattice(row.model, (8, 8, 1), "4Z x 4Z")
    verdict = sp.verify(row.model, (8, 8, 1))
    swept = sp.sweep(row.model, (8, 8, 1), layers=[])
    equal = swept.status("invariance", 0) == sp.Status.EQUAL
    np.testing.assert_array_equal(equal, verdict.invariance.map == Word.PROVED)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2])
def test_a_grid_with_one_axis_is_averaged_before_the_flatten(channels) -> None:
    conv = nnx.Conv(1, channels, (3,), padding="CIRCULAR", rngs=nnx.Rngs(0))
    dense = nnx.Linear(8 * channels, 3, rngs=nnx.Rngs(0))
    model = nnx.Sequential(conv, lambda x: x.reshape(len(x), -1), dense)
    found = proved(model, (8, 1))
    assert [(output.shape, output.proved) for output in found.row("mean").outputs] == [
        ((1, channels), 8)
    ]
    ((_, step),) = found.steps(found.row("mean"))
    assert step == "before the dense layer, x.mean(1) in place of the flatten"


@pytest.mark.slow
def test_a_convolution_over_the_whole_map_is_a_head() -> None:
    class Patch(nnx.Module):
        def __init__(self, *, rngs):
            self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=rngs)
            self.whole = nnx.Conv(2, 3, (4, 4), padding="VALID", rngs=rngs)

        def __call__(self, x):
            return self.whole(self.conv(x))[:, 0, 0]

    found = proved(Patch(rngs=nnx.Rngs(0)), (4, 4, 1))
    assert (counts(found), counts(found, "head"), counts(found, "mean")) == ([1], [16], [16])
    assert "convolution over the whole map" in str(found)


@pytest.mark.slow
def test_a_stride_over_the_last_cells_is_no_head() -> None:
    """As a shortcut of a ResNet has it: of a map of 2x2 its kernel sees one cell."""

    class Shortcut(nnx.Module):
        def __init__(self, *, rngs):
            self.conv = nnx.Conv(1, 2, (1, 1), strides=2, padding="VALID", rngs=rngs)

        def __call__(self, x):
            return self.conv(x).mean((1, 2))

    found = proved(Shortcut(rngs=nnx.Rngs(0)), (2, 2, 1))
    assert [row.interventions for row in found.rows] == [()]
    assert not found.heads


@pytest.mark.slow
def test_tokens_that_are_mixed_have_a_mean_only() -> None:
    mixer = family("mlp-mixer")
    found = proved(mixer.build(), mixer.shape)
    assert [row.interventions for row in found.rows] == [(), ("mean",)]
    assert counts(found, "mean") == [4]
    with pytest.raises(KeyError, match="no counterfactual head"):
        found.row("head")


@pytest.mark.slow
def test_a_resize_is_no_head_and_nothing_helps() -> None:
    model = family("unet, bilinear, zeros")
    found = proved(model.build(), model.shape, **model.options)
    assert not found.heads
    assert found.repair is None
    assert found.to_dict()["repair"] is None
    assert "nothing that was replaced helps" in found.summary


@pytest.mark.slow
def test_nothing_to_replace() -> None:
    model = family("lstm")
    found = proved(model.build(), model.shape)
    assert len(found.rows) == 1
    assert (
        "there is nothing to replace (a loop over the cells depends on the order of the cells"
        in found.summary
    )


# --- what is printed ---


def test_lines_name_a_file_once() -> None:
    assert lines(["a.py:1", "a.py:1", "a.py:2", "conv", "a.py:3"]) == "a.py:1, :2, conv, a.py:3"


@pytest.mark.slow
def test_an_assertion_tells_the_repair_that_was_proved() -> None:
    model = Small(rngs=nnx.Rngs(0))
    with pytest.raises(AssertionError) as failed:
        sp.assert_invariant(model, (8, 8, 1), stride=2)
    said = " ".join(str(failed.value).split())
    assert 'repair padding="CIRCULAR" at test_counterfactuals.py:' in said
    assert "proved under 16 of 64 shifts" in said
    with pytest.raises(AssertionError) as failed:  # strides are no cause that is removed
        sp.assert_invariant(lambda x: x[:, ::2].max((1, 2)), (4, 4, 1))
    assert "repair" not in str(failed.value)


@pytest.mark.slow
def test_the_command_line_tells_why(capsys, tmp_path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["verify", "conv3x3-same", "--json"])
    assert stopped.value.code == 1
    data = json.loads(capsys.readouterr().out)["counterfactuals"]
    assert data["schema"] == "shiftproof.counterfactuals/1"
    assert [row["outputs"][0]["proved"] for row in data["rows"]] == [1, 64]
    assert [row["outputs"][0]["refuted"] for row in data["rows"]] == [63, 0]
    assert data["repair"]["steps"][0]["change"] == 'padding="CIRCULAR"'
    with pytest.raises(SystemExit):
        main(["verify", "conv3x3-same", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert 'padding="CIRCULAR"' in printed.partition("repair ")[2]
    assert "What would hold without one cause" in (tmp_path / "report.html").read_text()
