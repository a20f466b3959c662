"""Doors: one network in four frameworks has one verdict; each framework's mistakes get one message."""

import dataclasses
import importlib.metadata
import importlib.util
import subprocess
import sys
from itertools import pairwise
from typing import ClassVar

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from flax import linen, nnx

import shiftproof as sp
from shiftproof.cli import main
from shiftproof.errors import InputError, ModelCallError
from shiftproof.refuting import weights
from shiftproof.refuting.kernels import kernels_of
from shiftproof.refuting.trials import make_trial
from shiftproof.refuting.weights import TAPS
from shiftproof.targets import load_target
from shiftproof.tracing.doors import DOORS, FRAMEWORKS, door_of
from shiftproof.tracing.model import adapt
from tests.lenets import InNnx, skeleton, told_of

KEY = jax.random.key(0)

# --- one LeNet, four times: two convolutions, a pool of stride 2, a global mean, a dense layer ---


class InLinen(linen.Module):
    padding: str

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), padding=self.padding, name="conv1")(x))
        x = linen.max_pool(x, (2, 2), (2, 2))
        x = linen.relu(linen.Conv(6, (3, 3), padding=self.padding, name="conv2")(x))
        return linen.Dense(3, name="dense")(x.mean((1, 2)))


class InEquinox(eqx.Module):
    conv1: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    conv2: eqx.nn.Conv2d
    dense: eqx.nn.Linear

    def __init__(self, mode, *, key):
        keys = jax.random.split(key, 3)
        self.conv1 = eqx.nn.Conv2d(1, 4, 3, padding="SAME", padding_mode=mode, key=keys[0])
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.conv2 = eqx.nn.Conv2d(4, 6, 3, padding="SAME", padding_mode=mode, key=keys[1])
        self.dense = eqx.nn.Linear(6, 3, key=keys[2])

    def __call__(self, x):
        x = jax.nn.relu(self.conv1(x))
        x = self.pool(x)
        x = jax.nn.relu(self.conv2(x))
        return self.dense(x.mean((1, 2)))


def in_haiku(circular):
    def around(x):
        return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap") if circular else x

    def net(x):
        padding = "VALID" if circular else "SAME"
        x = jax.nn.relu(hk.Conv2D(4, 3, padding=padding, name="conv1")(around(x)))
        x = hk.max_pool(x, (2, 2, 1), (2, 2, 1), "VALID")
        x = jax.nn.relu(hk.Conv2D(6, 3, padding=padding, name="conv2")(around(x)))
        return hk.Linear(3, name="dense")(x.mean((1, 2)))

    transformed = hk.transform(net)
    return transformed, transformed.init(KEY, jnp.zeros((1, 8, 8, 1)))


def lenets(circular):
    """The same network by framework, with the shape of one image."""
    padding = "CIRCULAR" if circular else "SAME"
    module = InLinen(padding)
    return {
        "nnx": (InNnx(padding, nnx.Rngs(0)), (8, 8, 1)),
        "linen": ((module, module.init(KEY, jnp.zeros((1, 8, 8, 1)))), (8, 8, 1)),
        "equinox": (InEquinox("CIRCULAR" if circular else "ZEROS", key=KEY), (1, 8, 8)),
        "haiku": (in_haiku(circular), (8, 8, 1)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "circular",
    [pytest.param(True, id="circular", marks=pytest.mark.slow), pytest.param(False, id="zeros")],
)
def test_one_network_in_four_frameworks_has_one_verdict(circular) -> None:
    told, names, programs, counts = {}, {}, {}, []
    for framework, (model, shape) in lenets(circular).items():
        verdict = sp.verify(model, shape)
        found = verdict.invariance
        assert adapt(model).kind == framework
        assert found.undecided == 0
        counts.append((found.proved, found.refuted, str(found.lattice)))
        told[framework] = told_of(verdict)
        names[framework] = [layer.name for layer in verdict.layers]
        programs[framework] = skeleton(model, shape)
        assert {c.source.partition(":")[0] for c in verdict.causes} <= {
            "test_doors.py",
            "lenets.py",
        }
    assert counts == [(16, 48, "2Z × 2Z") if circular else (1, 63, "only 0")] * 4
    for found in (told, names, programs):
        assert all(each == found["nnx"] for each in found.values())
    assert names["nnx"] == ["conv1", "max_pool", "conv2", "mean", "dense"]
    assert [code for _, code, *_ in told["nnx"]] == ["stride" if circular else "padding"] * 2


@pytest.mark.slow
def test_the_skeleton_tells_other_networks_apart() -> None:
    one, other = (skeleton(*lenets(circular)["equinox"]) for circular in (True, False))
    assert one != other


@pytest.mark.slow
def test_repairs_are_in_the_words_of_the_framework() -> None:
    repairs = {}
    for framework, (model, shape) in lenets(circular=False).items():
        found = sp.counterfactuals(model, shape, refute=False)
        assert found.repair.outputs[0].proved == 16
        ((_, repairs[framework]),) = found.steps(found.repair)
    assert repairs["nnx"] == repairs["linen"] == 'padding="CIRCULAR"'
    assert repairs["equinox"] == 'padding_mode="CIRCULAR"'
    assert repairs["haiku"].startswith("jnp.pad(x, ...")


# --- Equinox ---

CONV = eqx.nn.Conv2d(1, 2, 3, padding="SAME", padding_mode="CIRCULAR", key=KEY)


class Stateful(eqx.Module):
    """With a state, and with dropout that splits a key."""

    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout

    def __init__(self):
        self.conv, self.dropout = CONV, eqx.nn.Dropout(0.5)
        self.norm = eqx.nn.BatchNorm(2, "batch", mode="batch")

    def __call__(self, x, state, key):
        first, _ = jax.random.split(key)
        x, state = self.norm(self.conv(x), state)
        return self.dropout(x, key=first), state


class Flat(eqx.Module):
    conv: eqx.nn.Conv2d
    dense: eqx.nn.Linear
    table: np.ndarray

    def features(self, x):
        return self.conv(x) * self.table

    def __call__(self, x):
        return self.dense(self.features(x).reshape(-1))


FLAT = Flat(CONV, eqx.nn.Linear(72, 3, key=KEY), np.ones((6, 6), int))


class NoisyForever(eqx.Module):
    def __call__(self, x, *, key):
        return x + jax.random.normal(key, x.shape)


class NotCallable(eqx.Module):
    pass


@pytest.mark.slow
def test_equinox_takes_images_with_the_channels_first_and_says_so() -> None:
    verdict = sp.verify(CONV, (1, 6, 6))
    assert verdict.grid == (6, 6)
    assert verdict.equivariance.proved == 36
    (note,) = verdict.notes
    assert "a grid of 6x6 with 1 channel, as Equinox has the channels first" in note
    assert sp.verify(CONV, (1, 6, 6), spatial_axes=(1, 2)).notes == ()
    assert sp.sweep(CONV, (1, 6, 6)).count("equivariance").equal == 36
    assert sp.verify(CONV, (1, 6, 6), boundary="scene").outputs[0].region.proved == 16
    sp.assert_equivariant(CONV, np.ones((2, 1, 6, 6), np.float32))
    with pytest.raises(AssertionError, match="36 of 36"):
        sp.assert_lattice(CONV, (1, 6, 6), "2Z x 2Z", property="equivariance")


@pytest.mark.slow
@pytest.mark.parametrize("wrapped", [Stateful, eqx.nn.make_with_state(Stateful)])
def test_equinox_with_a_state_is_run_in_inference_mode_and_not_changed(wrapped) -> None:
    model = wrapped()
    verdict = sp.verify(model, (1, 6, 6))
    assert verdict.equivariance.proved == 36
    assert "takes a key, and was given jax.random.key(0)" in verdict.notes[0]
    module = model[0] if isinstance(model, tuple) else model
    assert module.norm.inference is False
    assert module.dropout.inference is False
    leaves = adapt(model)
    assert sum(leaves.replaceable) == 4  # weight and bias, twice
    assert sum(leaves.opaque) == 6  # and the statistics


def test_floating_arrays_are_the_parameters_of_an_equinox_module() -> None:
    mask = np.arange(36).reshape(6, 6)
    model = Flat(CONV, eqx.nn.Linear(72, 3, key=KEY), mask)
    assert sum(adapt(model).opaque) == 4
    assert sum(adapt(eqx.tree_at(lambda m: m.table, model, mask / 2)).replaceable) == 5
    verdict = sp.verify(FLAT.features, (1, 6, 6))
    assert verdict.model == "features"
    assert verdict.layers[0].name == "conv"
    assert verdict.equivariance.proved == 36
    assert sp.verify(model.features, (1, 6, 6)).equivariance.proved == 1


def test_repairs_of_equinox_count_axes_without_the_batch() -> None:
    found = sp.counterfactuals(FLAT, (1, 6, 6), refute=False)
    ((_, change),) = found.steps(found.repair)
    assert change == "before the dense layer, x.mean((1, 2)) in place of the flatten"


def test_a_convolution_of_equinox_without_padding_is_wrapped() -> None:
    found = sp.counterfactuals(eqx.nn.Conv2d(1, 1, 3, key=KEY), (1, 6, 6), refute=False)
    ((_, change),) = found.steps(found.repair)
    assert change == 'padding="SAME", padding_mode="CIRCULAR"'
    assert found.repair.outputs[0].proved == 36


def test_noise_in_inference_mode_is_found() -> None:
    cause = sp.verify(NoisyForever(), (1, 4, 4)).causes[0]
    assert "random bits under a fixed key" in cause.words
    assert cause.repair == "switch it off, by eqx.nn.inference_mode or inference=True"


class Deep(eqx.Module):
    """Eight convolutions, and a flatten; all layers are outputs."""

    convs: list
    dense: eqx.nn.Linear

    def __init__(self):
        sizes = [2, *8 * [16]]
        self.convs = [eqx.nn.Conv2d(a, b, 3, padding=1, key=KEY) for a, b in pairwise(sizes)]
        self.dense = eqx.nn.Linear(576, 4, key=KEY)

    def __call__(self, x):
        seen = []
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
            seen.append(x)
        return seen, self.dense(x.reshape(-1))


DEEP = Deep()


def turned(program):
    """Inputs taken for outputs."""
    return {position: matrix.T for position, matrix in kernels_of(program).items()}


@pytest.mark.parametrize("right", [True, False])
def test_random_weights_of_a_deep_equinox_network_have_a_usual_size(right, monkeypatch) -> None:
    monkeypatch.setattr(weights, "kernels_of", kernels_of if right else turned)
    images = np.random.default_rng(0).normal(size=(4, 2, 6, 6))
    layers = make_trial(adapt(DEEP), images, draw="random", dtype="float32").outputs(images)
    sizes = [float(np.abs(layer).mean()) for layer in layers]
    changes = [float(layer.std(0).mean()) for layer in layers]  # from image to image
    assert (0.005 < min(changes) <= max(sizes) < 5) == right, (changes, sizes)


@pytest.mark.parametrize("right", [True, False])
def test_sparse_weights_of_equinox_leave_no_output_without_inputs(right, monkeypatch) -> None:
    monkeypatch.setattr(weights, "kernels_of", kernels_of if right else turned)
    trial = make_trial(adapt(DEEP), np.ones((1, 2, 6, 6)), draw="sparse", dtype="float32")
    kernels = [w for w in trial.weights if w.ndim == 4 or w.shape == (4, 576)]
    counts = [np.count_nonzero(w.reshape(len(w), -1), 1) for w in kernels]
    few = all(1 <= count <= TAPS for count in np.concatenate(counts))
    assert (len(kernels), few) == (9, right)


# --- Haiku ---


def training_by_default(x, is_training=True):
    x = hk.Conv2D(2, 3, name="conv")(x)
    x = hk.BatchNorm(True, True, 0.9, name="norm")(x, is_training)
    return hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x


def without_statistics(x, is_training=True):
    x = hk.Linear(2)(x)
    return hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x


STATEFUL = hk.transform_with_state(training_by_default)
STATELESS = hk.transform(without_statistics)
IMAGES = jnp.ones((1, 6, 6, 1))
INFERENCE: dict = {"apply_kwargs": {"is_training": False}}


@pytest.mark.slow
def test_haiku_with_a_state_is_taken_with_its_switch() -> None:
    model = (STATEFUL, *STATEFUL.init(KEY, IMAGES))
    verdict = sp.verify(model, (6, 6, 1), boundary="scene", **INFERENCE)
    assert verdict.outputs[0].region.proved == 16
    assert verdict.layers[0].name == "conv"
    leaves = adapt(model, **INFERENCE)
    assert sum(leaves.replaceable) == 4
    assert sum(leaves.opaque) > 4


def test_haiku_with_and_without_a_key() -> None:
    params = STATELESS.init(KEY, IMAGES)
    for transformed in (STATELESS, hk.without_apply_rng(STATELESS)):
        verdict = sp.verify((transformed, params), (6, 6, 1), **INFERENCE)
        assert verdict.equivariance.proved == 36
        assert verdict.layers[0].name == "linear"


def encoder_and_decoder():
    conv, dense = hk.Conv2D(2, 3, name="conv"), hk.Linear(3)

    def encode(x):
        return conv(x)

    def decode(x):
        return dense(x.mean((1, 2)))

    return lambda x: decode(encode(x)), {"encode": encode, "decode": decode}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["alone", "with its weights", "with a state"])
def test_one_of_several_functions_of_haiku_is_taken_as_the_message_says(form) -> None:
    transform = hk.multi_transform_with_state if form == "with a state" else hk.multi_transform
    multi = transform(encoder_and_decoder)
    made = multi.init(KEY, IMAGES)
    params, state = made if form == "with a state" else (made, None)
    given = {"alone": multi, "with its weights": (multi, params)}.get(form, (multi, params, state))
    with pytest.raises(InputError, match="one is verified at a time: pass ") as told:
        sp.verify(given, (6, 6, 1))
    code, others = str(told.value).partition(": pass ")[2].split(". ")
    assert others == "Its functions: multi.apply['decode'], multi.apply['encode']."
    names = {"hk": hk, "multi": multi, "params": params, "state": state}
    assert sp.verify(eval(code, names), (6, 6, 2)).invariance.proved == 36
    encoder = eval(code.replace("decode", "encode"), names)
    assert sp.verify(encoder, (6, 6, 1), boundary="scene").outputs[0].region.proved == 16


# --- messages ---


def only_statistics(x):
    return hk.BatchNorm(True, True, 0.9, name="norm")(x, is_training=True)


def trained():
    transformed = hk.transform_with_state(only_statistics)
    return transformed, *transformed.init(KEY, IMAGES)


FIRST, LAST = (1, 6, 6), (6, 6, 1)
ERRORS = {
    "statistics in training": (
        trained,
        LAST,
        r"updates its state in norm/.*\"is_training\": False",
    ),
    "dropout in training": (
        lambda: (STATELESS, STATELESS.init(KEY, IMAGES)),
        LAST,
        r'(?s)random numbers.*"is_training": False',
    ),
    "haiku without weights": (
        lambda: STATELESS,
        LAST,
        r"pass \(transformed, params\), with params",
    ),
    "haiku without its state": (
        lambda: (STATEFUL, STATEFUL.init(KEY, IMAGES)[0]),
        LAST,
        r"pass \(transformed, params, state\)",
    ),
    "equinox without its state": (
        lambda: eqx.nn.make_with_state(Stateful)()[0],
        FIRST,
        r"pass \(model, state\), as eqx.nn.make_with_state",
    ),
    "no state": (lambda: (CONV, 3), FIRST, r"got \(Conv2d, int\)"),
    "vmapped": (lambda: eqx.filter_vmap(CONV), FIRST, "without filter_vmap"),
    "not callable": (NotCallable, FIRST, "without __call__"),
    "a class": (lambda: Stateful, FIRST, "Stateful is a class"),
    "channels last": (lambda: CONV, (6, 8, 1), r"on images of shape \(1, 6, 8\); .*as Equinox has"),
    "wrong channels": (lambda: CONV, (3, 6, 8), r"can be called on images of shape \(1, 6, 8\)"),
    "no channels": (lambda: CONV, (6, 8), r"can be called on images of shape \(1, 6, 8\)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name) -> None:
    make, shape, message = ERRORS[name]
    with pytest.raises((InputError, ModelCallError), match=message):
        sp.verify(make(), shape)


@pytest.mark.parametrize("door", [d for d in FRAMEWORKS if d.package], ids=lambda d: d.kind)
def test_an_old_version_is_told(door, monkeypatch) -> None:
    if importlib.util.find_spec(door.kind):
        door.check_version()
    older = ".".join(map(str, (*door.least[:-1], door.least[-1] - 1)))
    monkeypatch.setattr(importlib.metadata, "version", lambda _: older)
    with pytest.raises(InputError, match=rf"{older} is too old: .*pip install .*\[{door.kind}\]"):
        door.check_version()


@pytest.mark.slow
def test_the_version_of_the_framework_is_recorded_and_not_needed_to_read(tmp_path) -> None:
    wide = eqx.nn.Conv2d(1, 1, 3, padding=1, key=KEY)
    verdict = sp.verify(wide, (1, 4, 4))
    example = verdict.counterexamples()[0]
    swept = sp.sweep(wide, (1, 4, 4), directory=tmp_path / "sweep")
    placed = sp.placements(wide, (1, 2, 2), canvas=(4, 4)).to_dict()
    made = [verdict.provenance, example.header.provenance, swept.header.provenance]
    for found in (*made, placed["provenance"]):
        assert found["equinox"] == importlib.metadata.version("equinox")
    assert not {"dm-haiku", "keras"} & set(verdict.provenance)
    assert "equinox" not in sp.verify(lambda x: x, (4, 4, 1)).provenance

    # as files were before
    older = {name: version for name, version in made[1].items() if name != "equinox"}
    header = msgspec.structs.replace(example.header, provenance=older)
    path = dataclasses.replace(example, header=header).save(tmp_path / "older.npz")
    again = sp.replay(sp.load_counterexample(path), adapt(wide))
    assert (again.reproduced, again.changed) == (True, ())
    assert again.bound == example.header.bound
    assert "equinox" not in (tmp_path / "sweep" / "plan.json").read_text()
    assert (
        sp.sweep(wide, (1, 4, 4), directory=tmp_path / "sweep", resume=True).header == swept.header
    )


@pytest.mark.slow
def test_no_framework_is_imported_to_look_for_it() -> None:
    code = (
        "import sys, shiftproof as sp\n"
        "assert sp.verify(lambda x: x, (4, 4, 1)).equivariance.proved == 16\n"
        "assert not {'equinox', 'haiku', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_class_that_only_has_the_name_is_no_model_of_a_framework() -> None:
    class Module:
        __module__: ClassVar[str] = "equinoxious"

        def __call__(self, x):
            return x

    assert door_of(Module()).kind == "callable"
    assert door_of(CONV).kind == "equinox"
    assert door_of(3) is None
    assert len({door.kind for door in DOORS}) == len(DOORS)


# --- the command line ---

EQUINOX = """
import equinox as eqx, jax
class Net(eqx.Module):
    conv: eqx.nn.Conv2d
    def __init__(self, *, key):
        self.conv = eqx.nn.Conv2d(3, 4, 3, padding=1, key=key)
    def __call__(self, x):
        return self.conv(x)
"""
HAIKU = """
import haiku as hk
def net(x, is_training):
    return hk.BatchNorm(True, True, 0.9)(hk.Conv2D(4, 3)(x), is_training)
model = hk.transform_with_state(net)
"""


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return written


def test_a_file_of_equinox_is_a_target(write) -> None:
    target = load_target(write("in_equinox.py", EQUINOX))
    assert target.shape == (3, 32, 32)
    assert "Net is made with key=jax.random.key(0)." in target.notes
    assert "to say otherwise: --shape 3 32 32." in target.notes[-1]
    assert load_target(write("in_equinox.py", EQUINOX), grid=(8, 6)).shape == (3, 8, 6)
    assert load_target(write("in_equinox.py", EQUINOX), grid=(8, 6), channels=3).shape == (3, 8, 6)


@pytest.mark.slow
def test_the_layout_is_told_with_the_flag_that_says_otherwise(write, capsys) -> None:
    def printed(*options):
        with pytest.raises(SystemExit):
            main(["verify", *options])
        return " ".join(capsys.readouterr().out.replace("│", "").split())

    question = (write("in_equinox.py", EQUINOX), "--shape", "3", "4", "6", "--no-why")
    told = printed(*question)
    assert "Net: all 24 shifts of 4x6 pixels" in told
    assert (
        "as Equinox has the channels first. To say otherwise, pass spatial_axes= (--spatial-axes)"
        in told
    )
    told = printed(*question, "--spatial-axes", "1")
    assert "Net: all 4 shifts of 4 pixels" in told
    assert "channels first" not in told
    default = "By default all but that of the channels, which the framework has last, or first"
    assert default in printed("--help")


@pytest.mark.slow
def test_a_file_of_haiku_is_a_target(write) -> None:
    target = load_target(write("in_haiku.py", HAIKU), shape=(8, 8, 3))
    assert "model is called with is_training=False, for inference." in target.notes
    assert sp.verify(target.model, target.shape, boundary="scene").outputs[0].region.proved == 36
    with pytest.raises(InputError, match=r"a model of Haiku without weights.*add --shape 32 32 3"):
        load_target(write("in_haiku.py", HAIKU))


def test_a_missing_framework_is_told_with_what_to_install(write, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "haiku", None)  # makes its import fail as where it is missing
    with pytest.raises(InputError, match=r'needs Haiku: pip install "dm-haiku>=.*\[haiku\]'):
        load_target(write("in_haiku.py", HAIKU))
