"""The door of Keras: its models have their verdicts, each mistake one message. Runs where Keras is installed."""

import sys

import pytest

import shiftproof as sp
from shiftproof.errors import InputError
from shiftproof.targets import load_target
from shiftproof.tracing.model import adapt, channel_counts

pytestmark = pytest.mark.frameworks


@pytest.fixture
def keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # read once, when Keras is imported first
    return pytest.importorskip("keras", reason="Keras is missing: pip install -e .[keras]")


def test_keras_on_jax_is_taken_in_inference_mode(keras) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(2, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
        ]
    )
    verdict = sp.verify(model, (6, 6, 1), boundary="scene")
    assert verdict.outputs[0].region.proved == 16
    assert verdict.notes == ()
    assert verdict.layers[0].name.startswith("conv2d")
    assert "keras.ops.pad" in sp.verify(model, (6, 6, 1)).causes[0].repair
    leaves = adapt(model)
    assert (sum(leaves.replaceable), sum(leaves.opaque)) == (4, 6)


def test_the_layout_of_keras_is_that_of_its_layers(keras) -> None:
    conv = keras.layers.Conv2D(2, 3, data_format="channels_first")
    with pytest.raises(InputError, match="is not built, so it has no weights"):
        sp.verify(conv, (1, 6, 6))
    conv.build((None, 1, 6, 6))
    assert sp.verify(conv, (1, 6, 6)).grid == (6, 6)
    three = keras.layers.Conv2D(2, 5, data_format="channels_first")
    three.build((None, 3, 8, 8))
    assert channel_counts(adapt(three))[0] == 3  # of a kernel (5, 5, 3, 2)


def test_another_backend_of_keras_is_told(keras, monkeypatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    with pytest.raises(InputError, match=r"runs on tensorflow here.*set KERAS_BACKEND=jax"):
        sp.verify(keras.layers.ReLU(), (4, 4, 1))


def test_a_published_architecture_of_keras_is_a_target(keras, monkeypatch) -> None:
    target = load_target("keras:mobilenetv2", grid=(32, 32))
    assert (target.shape, target.notes) == ((32, 32, 3), ())
    assert target.model.kind == "keras"
    with pytest.raises(InputError, match=r"no architecture 'mobilenetv9'. Did you mean mobilenetv"):
        load_target("keras:mobilenetv9")
    with pytest.raises(InputError, match="--shape and --grid or --channels exclude each other"):
        load_target("keras:mobilenetv2", grid=(32, 32), shape=(32, 32, 3))


def test_keras_that_is_missing_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)  # makes its import fail as where it is missing
    with pytest.raises(InputError, match=r'keras cannot be imported .*: pip install "keras>=.*'):
        load_target("keras:mobilenetv2")
