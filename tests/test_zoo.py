"""The zoo: every model builds, runs and is what its name says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from shiftproof import zoo

LOGITS = (10,)
SAME_TOO = {
    "conv3x3": (8, 8, 3),
    "conv3x3-stride2": (4, 4, 3),
    "conv3x3-stride1x2": (6, 4, 3),
    "conv3x3-dilation2": (8, 8, 3),
    "conv4x4": (8, 8, 3),
    "conv3x3-depthwise": (8, 8, 2),
    "conv-transpose3x3-stride2": (16, 16, 3),
    "maxpool2x2-stride1": (8, 8, 2),
    "maxpool2x2-stride2": (4, 4, 2),
    "maxpool3x3-stride1": (8, 8, 2),
    "maxpool3x3-stride2": (4, 4, 2),
    "avgpool2x2-stride1": (8, 8, 2),
    "avgpool2x2-stride2": (4, 4, 2),
    "avgpool3x3-stride1": (8, 8, 2),
    "avgpool3x3-stride2": (4, 4, 2),
    "lenet-flatten": LOGITS,
    "lenet-global": LOGITS,
    "resnet": LOGITS,
}
OUTPUT_SHAPES = (
    SAME_TOO
    | {name + "-same": shape for name, shape in SAME_TOO.items()}
    | {
        "conv1d": (8, 3),
        "conv3d": (4, 4, 4, 3),
        "dense": LOGITS,
        "dense-net": LOGITS,
        "polyphase": LOGITS,
        "resnet18": (1000,),
        "vit": LOGITS,
        "vit-positions": LOGITS,
    }
)


def draw_images(name, seed):
    return jax.random.normal(jax.random.key(seed), (2, *zoo.ENTRIES[name].shape))


def compiled(model):
    """The model as one program; a deep one is slow to start operation by operation."""
    return jax.jit(lambda images: model(images))


def read_weights(model):
    """Name -> array of every parameter; none for a plain function."""
    return dict(nnx.to_flat_state(nnx.state(model))) if isinstance(model, nnx.Module) else {}


def same_weights(one, other):
    one, other = read_weights(one), read_weights(other)
    assert one.keys() == other.keys()
    return all(np.array_equal(one[key][...], other[key][...]) for key in one)


def test_the_registry_holds_exactly_the_known_names():
    assert zoo.ENTRIES.keys() == OUTPUT_SHAPES.keys()
    assert all(entry.name == name for name, entry in zoo.ENTRIES.items())
    assert all(entry.about and "\n" not in entry.about for entry in zoo.ENTRIES.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUT_SHAPES)
def test_entry_runs_and_reads_its_input(name):
    model = compiled(zoo.build(name))
    first, second = model(draw_images(name, 0)), model(draw_images(name, 1))
    assert first.shape == (2, *OUTPUT_SHAPES[name])
    assert np.isfinite(first).all()
    assert not np.array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUT_SHAPES)
def test_seed_draws_the_weights(name):
    model, again, other = zoo.build(name), zoo.build(name, 0), zoo.build(name, seed=1)
    assert same_weights(model, again)
    assert same_weights(model, other) == name.startswith(("maxpool", "avgpool"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "vit", "lenet-global"])
def test_an_image_does_not_feel_the_rest_of_its_batch(name):
    model, images = compiled(zoo.build(name)), draw_images(name, 0)
    changed = images.at[1].multiply(3)
    np.testing.assert_array_equal(model(images)[0], model(changed)[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shift", "output_shift"),
    [
        ("conv3x3", (1, 3), (1, 3)),
        ("conv3x3-stride2", (2, 4), (1, 2)),
        ("conv3x3-stride1x2", (1, 2), (1, 1)),
        ("conv3x3-dilation2", (1, 3), (1, 3)),
        ("conv4x4", (1, 3), (1, 3)),
        ("conv3x3-depthwise", (1, 3), (1, 3)),
        ("conv-transpose3x3-stride2", (1, 3), (2, 6)),
        ("maxpool2x2-stride1", (1, 3), (1, 3)),
        ("maxpool3x3-stride2", (2, 4), (1, 2)),
        ("avgpool3x3-stride1", (1, 3), (1, 3)),
        ("avgpool3x3-stride2", (2, 4), (1, 2)),
    ],
)
def test_the_circular_layer_commutes_with_a_roll_and_its_twin_does_not(name, shift, output_shift):
    images = draw_images(name, 0)

    def deviation(model):
        rolled = model(jnp.roll(images, shift, axis=(1, 2)))
        return np.abs(rolled - jnp.roll(model(images), output_shift, axis=(1, 2))).max()

    assert deviation(compiled(zoo.build(name))) < 1e-5
    assert deviation(compiled(zoo.build(name + "-same"))) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shift", "broken_by"),
    [
        ("lenet-global", 4, "lenet-flatten"),
        ("resnet", 4, "resnet-same"),
        ("vit", 4, "vit-positions"),
    ],
)
def test_the_global_network_ignores_a_roll_by_its_total_stride(name, shift, broken_by):
    images = draw_images(name, 0)
    rolled = jnp.roll(images, (shift, 2 * shift), axis=(1, 2))

    def deviation(model):
        return np.abs(model(rolled) - model(images)).max()

    assert deviation(compiled(zoo.build(name))) < 1e-5
    assert deviation(compiled(zoo.build(broken_by))) > 1e-4


@pytest.mark.parametrize("name", ["conv3x2", "lenet", "maxpool2x2"])
def test_an_unknown_name_is_answered_with_close_ones(name):
    found = rf"no zoo model is named '{name}'; close names: .*{name[:5]}.*; 44 names exist"
    with pytest.raises(ValueError, match=found):
        zoo.build(name)


def test_a_name_unlike_any_is_told_so():
    with pytest.raises(ValueError, match="named 'qqq'; no name is close; 44 names exist"):
        zoo.build("qqq")


def test_entries_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot assign to field 'name'"):
        zoo.ENTRIES["vit"].name = "other"


# Options of the networks


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["CIRCULAR", "SAME"])
@pytest.mark.parametrize("head", ["flatten", "global"])
@pytest.mark.parametrize("pool_stride", [1, 2])
@pytest.mark.parametrize("pools", [2, 3])
def test_lenet_runs_with_every_option(padding, head, pool_stride, pools):
    options = {"padding": padding, "head": head, "pool_stride": pool_stride, "pools": pools}
    model = zoo.LeNet(**options, size=14, channels=2, width=2, hidden=5, rngs=nnx.Rngs(0))
    assert jax.eval_shape(model, jnp.ones((1, 14, 14, 2))).shape == (1, 10)


@pytest.mark.slow
@pytest.mark.parametrize(("padding", "side"), [("CIRCULAR", 3), ("SAME", 4)])
def test_lenet_of_three_pools_ends_on_the_known_size(padding, side):
    model = zoo.LeNet(padding=padding, pools=3, width=2, rngs=nnx.Rngs(0))
    assert model.hidden.in_features == side * side * 8


@pytest.mark.slow
def test_lenet_with_pools_of_stride_one_commutes_with_every_roll():
    model = zoo.LeNet(pool_stride=1, head="global", size=8, width=2, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 1))
    np.testing.assert_allclose(model(jnp.roll(x, (1, 3), (1, 2))), model(x), atol=1e-6)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (zoo.LeNet, {"padding": "VALID"}, "padding='VALID' is not .* 'CIRCULAR' or 'SAME'"),
        (zoo.LeNet, {"head": "mean"}, "head='mean' is not .* 'flatten' or 'global'"),
        (zoo.LeNet, {"pool_stride": 3}, "pool_stride=3 is not .* 2 or 1"),
        (zoo.LeNet, {"pools": 4}, "pools=4 is not .* 2 or 3"),
        (zoo.ResNet, {"padding": "VALID"}, "padding='VALID' is not .* 'CIRCULAR' or 'SAME'"),
        (zoo.ResNet, {"widths": (8, 16)}, r"widths \(8, 16\), blocks .* differ in length"),
        (zoo.ViT, {"size": 18}, "size=18 is not a multiple of patch=4"),
    ],
)
def test_a_network_refuses_an_option_it_cannot_honour(network, options, message):
    with pytest.raises(ValueError, match=message):
        network(**options, rngs=nnx.Rngs(0))
