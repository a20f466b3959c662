"""The door of PyTorch: its models have their verdicts, each mistake one message. Runs where PyTorch is installed."""

import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.answer import explain
from shiftproof.cli import main
from shiftproof.deciding.verify import analyse
from shiftproof.errors import InputError, ModelCallError
from shiftproof.report.verdict_page import report_verdict
from shiftproof.targets import load_target
from shiftproof.tracing.doors import FRAMEWORKS, door_of
from shiftproof.tracing.model import adapt, trace_once
from tests.lenets import InNnx, skeleton, told_of

pytestmark = pytest.mark.frameworks

NEEDED = ("torch", "torchax", "torchvision", "timm")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
if missing:
    pytest.skip(f"missing: {missing}: pip install -e .[torch]", allow_module_level=True)

import timm  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import torchvision  # noqa: E402
from torch import nn  # noqa: E402

DOOR = next(door for door in FRAMEWORKS if door.kind == "torch")


class InTorch(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, padding_mode=mode)
        self.max_pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1, padding_mode=mode)
        self.dense = nn.Linear(6, 3)

    def forward(self, x):
        x = self.max_pool(F.relu(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.dense(x.mean((2, 3)))


class Calls(nn.Module):
    """A circular convolution, then a function of the module and its features."""

    def __init__(self, function, **attributes):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x, **arguments):
        return self.function(self, self.conv(x), **arguments)


def calls(function, **attributes):
    return Calls(function, **attributes).eval()


def told(model, shape=(1, 4, 4), error=ModelCallError, **options) -> str:
    """The message that a model gets."""
    with pytest.raises(error) as raised:
        sp.verify(model, shape, **options)
    return str(raised.value)


# --- known answers ---


@pytest.mark.parametrize("mode", ["circular", "zeros"])
def test_a_lenet_has_the_verdict_that_it_has_in_flax(mode) -> None:
    padding = "CIRCULAR" if mode == "circular" else "SAME"
    model, other = InTorch(mode).eval(), InNnx(padding, nnx.Rngs(0))
    verdict, expected = sp.verify(model, (1, 8, 8)), sp.verify(other, (8, 8, 1))
    assert adapt(model).kind == "torch"
    found = verdict.invariance
    assert (found.proved, found.refuted) == ((16, 48) if mode == "circular" else (1, 63))
    assert (found.map == expected.invariance.map).all()
    assert told_of(verdict) == told_of(expected) != []
    assert [layer.name for layer in verdict.layers] == [layer.name for layer in expected.layers]
    assert skeleton(model, (1, 8, 8)) == skeleton(other, (8, 8, 1))
    assert {cause.source.partition(":")[0] for cause in verdict.causes} == {"test_torch.py"}


class WrappedPool(nn.Module):
    def forward(self, x):
        return F.max_pool2d(F.pad(x, (1, 1, 1, 1), mode="circular"), 3, 2)


def circular_resnet18():
    model = torchvision.models.resnet18()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            other = nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                bias=False,
                padding_mode="circular",
            )
            model.set_submodule(name, other)
    model.maxpool = WrappedPool()
    return model.eval()


def in_the_zoo(name: str) -> str:
    """The name in Flax of a layer of torchvision."""
    block = re.fullmatch(r"layer(\d)\.(\d)\.(.*)", name)
    if block:
        number = 2 * (int(block[1]) - 1) + int(block[2])
        return f"blocks.{number}.{block[3].replace('downsample.0', 'projection')}"
    names = {"conv1": "stem", "maxpool": "max_pool", "avgpool": "mean", "fc": "logits"}
    return names.get(name, name)


def test_a_circular_resnet18_keeps_what_it_keeps_in_flax() -> None:
    found = analyse(circular_resnet18(), (3, 64, 64), property="invariance")
    expected = analyse(zoo.build("resnet18"), (64, 64, 3), property="invariance")
    names = [layer.name for layer in found.subject.layers]
    assert "layer1.0.conv2" in names
    assert [in_the_zoo(name) for name in names] == [e.name for e in expected.subject.layers]
    assert found.steps == expected.steps
    assert found.steps[-1] == (32, 32)
    renamed = [(in_the_zoo(layer), *rest) for layer, *rest in told_of(found)]
    assert renamed == [tuple(each) for each in told_of(expected)]
    assert len(renamed) == 16


@pytest.mark.slow
def test_a_circular_resnet18_at_224_keeps_every_32nd_shift() -> None:
    found = sp.verify(circular_resnet18(), (3, 224, 224), search_seconds=0).invariance
    assert (found.proved, found.refuted, str(found.lattice)) == (49, 0, "32Z × 32Z")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("positions", "size", "kept"), [("none", 224, 196), ("none", 32, 4), ("learn", 32, 1)]
)
def test_a_vision_transformer_keeps_every_16th_shift_without_positions(
    positions, size, kept
) -> None:
    model = timm.create_model("vit_tiny_patch16_224", pos_embed=positions, depth=2, img_size=size)
    found = sp.verify(model, (3, size, size), property="invariance", search_seconds=0).invariance
    assert (found.proved, found.undecided) == (kept, size**2 - kept)


def test_attention_is_traced_as_it_is_written() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True)
    model = calls(lambda self, x: self.layer(x.flatten(2).mT).mean(1), layer=layer)
    model.conv = nn.Conv2d(1, 4, 2, 2)
    verdict = sp.verify(model.eval(), (1, 4, 4))
    assert (verdict.invariance.proved, verdict.invariance.refuted) == (4, 12)
    names = [each.name for each in verdict.layers]
    assert {"layer.self_attn", "layer.linear1", "layer.norm2"} <= set(names)


# --- names and places ---


def test_layers_have_the_names_of_modules_and_causes_the_lines_of_the_user() -> None:
    features = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    model = calls(lambda self, x: self.features(x[:, :1]) + 1, features=features)
    line = model.function.__code__.co_firstlineno
    verdict = sp.verify(model, (1, 4, 4))
    assert [layer.name for layer in verdict.layers][1:3] == ["features.0", "features.2"]
    assert {cause.source for cause in verdict.causes} == {f"test_torch.py:{line}"}
    assert [c.repair for c in verdict.causes if c.code == "padding"] == (
        2 * ['use padding_mode="circular"']
    )


def test_a_sum_of_branches_is_named_add() -> None:
    verdict = sp.verify(
        calls(lambda self, x: x + self.second(x), second=nn.Conv2d(2, 2, 1)), (1, 4, 4)
    )
    assert [layer.name for layer in verdict.layers] == ["conv", "second", "add"]


def test_repairs_are_in_the_words_of_pytorch() -> None:
    found = sp.counterfactuals(InTorch("zeros").eval(), (1, 8, 8), refute=False)
    assert found.repair.outputs[0].proved == 16
    ((_, change),) = found.steps(found.repair)
    assert change == 'padding_mode="circular"'
    valid = sp.counterfactuals(nn.Conv2d(1, 1, 3).eval(), (1, 6, 6), refute=False)
    ((_, change),) = valid.steps(valid.repair)
    assert change == 'padding=(size of the kernel) // 2, padding_mode="circular"'


def test_weights_that_are_computed_belong_to_their_layer() -> None:
    conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 2, 3, padding=1))
    model = calls(lambda self, x: self.other(x), other=conv)
    assert [layer.name for layer in sp.verify(model, (1, 4, 4)).layers] == ["conv", "other"]
    assert set(adapt(conv).weights["params"][""]) == {"bias", "weight_original"}


# --- what is a weight, what a constant ---


def test_the_model_of_the_user_stays_as_it_is() -> None:
    seen = []
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(2))
    model.append(nn.Dropout(0.5)).append(nn.LeakyReLU(inplace=True))
    hook = model[0].register_forward_hook(lambda *_: seen.append(1))
    torch.backends.mha.set_fastpath_enabled(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hooks = {name: len(part._forward_hooks) for name, part in model.named_modules()}
    state = torch.get_rng_state()
    verdict = sp.verify(model, (1, 4, 4))
    assert verdict.equivariance.proved == 16
    assert "Sequential was in training mode; a copy in inference mode" in verdict.notes[0]
    assert all(part.training for part in model.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert hooks == {name: len(part._forward_hooks) for name, part in model.named_modules()}
    assert len(model[2]._forward_pre_hooks) == 0
    assert torch.equal(state, torch.get_rng_state())
    assert torch.backends.mha.get_fastpath_enabled()
    assert seen  # a hook is a part of the model
    hook.remove()
    assert "training mode" not in " ".join(sp.verify(model.eval(), (1, 4, 4)).notes)


def test_statistics_of_norms_are_opaque_and_not_replaced() -> None:
    leaves = adapt(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    assert (sum(leaves.replaceable), sum(leaves.opaque), len(leaves.opaque)) == (4, 6, 7)
    held = {"running_mean", "running_var", "num_batches_tracked"}
    assert set(leaves.weights["batch_stats"]["1"]) == held


def test_a_buffer_is_a_constant_and_a_parameter_is_not() -> None:
    mask = torch.ones(4, 4)
    mask[:, 0] = 0

    def masked(self, x):
        return (x * self.mask).sum((2, 3))

    buffer, parameter = calls(masked), calls(masked)
    buffer.register_buffer("mask", torch.ones(4, 4))
    assert sp.verify(buffer, (1, 4, 4)).invariance.proved == 16
    buffer.mask = mask
    found = sp.verify(buffer, (1, 4, 4))
    assert (found.invariance.proved, found.invariance.refuted) == (4, 12)
    assert found.causes[0].code == "positions"
    parameter.mask = nn.Parameter(torch.ones(4, 4))
    found = sp.verify(parameter, (1, 4, 4)).invariance
    assert (found.proved, found.refuted) == (1, 15)
    assert sp.verify(parameter, (1, 4, 4), weights="these").invariance.proved == 16


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: x * self.plain,
        lambda self, x: x * torch.arange(4.0),
        lambda self, x: x * torch.tensor([0.0, 1.0, 2.0, 3.0]),
        lambda self, x: x * torch.arange(4.0, device=x.device),
    ],
)
def test_tensors_without_a_device_are_constants(function) -> None:
    verdict = sp.verify(calls(function, plain=torch.arange(4.0)), (1, 4, 4))
    assert (verdict.equivariance.proved, verdict.equivariance.refuted) == (4, 12)
    assert str(verdict.equivariance.lattice) == "Z × 0"


def test_a_tensor_of_the_call_is_a_constant() -> None:
    def scaled(self, x, by):
        return x * by

    verdict = sp.verify(calls(scaled), (1, 4, 4), apply_kwargs={"by": torch.arange(4.0)[:, None]})
    assert str(verdict.equivariance.lattice) == "0 × Z"


def test_one_weight_that_is_used_twice_is_one() -> None:
    tied = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)).eval()
    tied[1].weight = tied[0].weight
    weights = adapt(tied).weights["params"]
    assert {layer: set(own) for layer, own in weights.items()} == {
        "0": {"weight", "bias"},
        "1": {"bias"},
    }
    images = np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype("float32")
    with torch.no_grad():
        expected = tied(torch.from_numpy(images)).numpy()
    model = adapt(tied)
    found = model.call(model.weights, jnp.asarray(images))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_random_numbers_are_found() -> None:
    model = calls(lambda self, x: F.dropout(x))
    noisy = calls(lambda self, x: x + torch.randn(4, 4))
    state = torch.get_rng_state()
    dropped = told(model)  # and PyTorch drops others, so there is nothing to compare
    assert "draws random numbers at test_torch.py:" in dropped
    assert "training=self.training" in dropped
    message = told(noisy)
    assert "random numbers are drawn on the processor" in message
    assert "device=x.device" in message
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_floats(dtype) -> None:
    model = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular").to(dtype).eval()
    verdict = sp.verify(model, (1, 4, 4))
    assert verdict.equivariance.proved == 16
    rounded = any("float64 were rounded to float32" in note for note in verdict.notes)
    assert rounded == (dtype == torch.float64)


def test_outputs_are_named() -> None:
    def several(self, x):
        return {"map": x, "answer": x.mean((2, 3)), "none": None, "both": (x, [x + 1])}

    outputs = {output.name: output for output in sp.verify(calls(several), (1, 4, 4)).outputs}
    assert set(outputs) == {"output.map", "output.answer", "output.both.0", "output.both.1.0"}
    assert outputs["output.map"].equivariance.proved == 16
    assert outputs["output.answer"].invariance.proved == 16


# --- what was traced is what PyTorch computes ---


def column(self, x):
    x = x.clone()
    x.view(-1)[0:4] = 7
    return x


UNFOLLOWED = {
    "flatten": lambda self, x: (x.flatten(1).add_(1), x)[1],
    "chunk": lambda self, x: (x.chunk(2, 2)[0].mul_(2), x)[1],
    "view": column,
    "transpose": lambda self, x: (x.transpose(2, 3)[:, :, 0].zero_(), x)[1],
}
FOLLOWED = {
    "inplace": lambda self, x: x.mul_(2).add_(1),
    "index": lambda self, x: (x[:, :, 0].add_(1), x)[1],
    "relu": lambda self, x: F.relu(x, inplace=True),
    "cat": lambda self, x: torch.cat([x, x.flip(2)], 1),
}


@pytest.mark.parametrize("name", UNFOLLOWED)
def test_a_trace_that_is_another_function_is_refused(name) -> None:
    message = told(calls(UNFOLLOWED[name]))
    assert "was traced as another function than PyTorch computes: on images of random" in message
    assert "does not follow what changes a part of a tensor in place" in message


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_trace_that_is_the_same_function_is_taken(name) -> None:
    assert trace_once(adapt(calls(FOLLOWED[name])), (1, 1, 4, 4)).outputs


def test_a_model_that_pytorch_cannot_call_is_told() -> None:
    def only_adapted(self, x):
        assert type(x).__module__.startswith("torchax"), "not here"
        return x

    assert "PyTorch itself cannot call it" in told(calls(only_adapted))


def overwritten(self, x):
    mask = torch.zeros(4, 4)
    y = x + mask
    mask.add_(1)
    return y * mask


@pytest.mark.parametrize(
    "function",
    [lambda self, x: torch.zeros(1, 2, 4, 4).add_(x.mean()), overwritten],
    ids=["by images", "later"],
)
def test_constants_that_change_are_told(function) -> None:
    message = told(calls(function))
    assert "a tensor that was made on the processor is changed in place" in message
    assert "device=x.device" in message


# --- messages ---


def test_unknown_operations_are_told() -> None:
    message = told(nn.Sequential(nn.Conv2d(1, 1, 1), nn.FractionalMaxPool2d(2, output_size=2)))
    assert "fractional_max_pool2d" in message
    assert (
        "torchax, through which models of PyTorch are traced, cannot do this operation" in message
    )
    assert "torch 2.9 with torchax 0.0.13" in message


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: x * x.sum().item(),
        lambda self, x: x if x.sum() > 0 else -x,
        lambda self, x: torch.from_numpy(x.numpy() * 2),
    ],
    ids=["item", "if", "numpy"],
)
def test_values_that_are_read_are_told(function) -> None:
    assert "Use torch.where there." in told(calls(function))


CONV = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular").eval()


def test_the_layout_is_told() -> None:
    (note,) = sp.verify(CONV, (1, 6, 4)).notes
    assert "a grid of 6x4 with 1 channel, as PyTorch has the channels first" in note
    assert sp.verify(CONV, (1, 6, 4), spatial_axes=(1, 2)).notes == ()


@pytest.mark.parametrize("shape", [(6, 4, 1), (3, 6, 4)])
def test_a_wrong_shape_is_told(shape) -> None:
    assert "It can be called on images of shape (1, 6, 4)" in told(CONV, shape)


def test_what_is_no_module_to_trace_is_told() -> None:
    def refused(model):
        return told(model, error=InputError)

    assert "LazyConv2d has lazy layers without weights" in refused(nn.LazyConv2d(2, 3))
    traced = torch.jit.trace(CONV, torch.zeros(1, 1, 4, 4))
    assert "is compiled by torch.jit, and shows no layers" in refused(traced)
    locked = calls(lambda self, x: x, stream=(each for each in ()))
    assert re.search(r"Calls cannot be copied.*TypeError.*copy\.deepcopy", refused(locked))
    assert "Conv2d is a class" in refused(nn.Conv2d)
    assert "no array of numbers" in refused(nn.Conv2d(1, 2, 3, device="meta"))
    with pytest.raises(InputError, match=r"a keras\.Model, a torch\.nn\.Module, a pair"):
        sp.verify("model", (4, 4, 1))  # type: ignore[arg-type]


def test_a_missing_or_other_adapter_is_told(monkeypatch) -> None:
    original = importlib.util.find_spec

    def fails(name):
        raise AttributeError(name)

    with monkeypatch.context() as patched:
        patched.setattr(
            importlib.util, "find_spec", lambda n, *a: None if n == "torchax" else original(n, *a)
        )
        message = told(CONV, error=InputError)
        assert message.startswith("models of PyTorch are traced through torchax: torch 2.9 with")
    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "version", lambda _: "2.8.1+cpu")
        assert "torch 2.8.1+cpu is too old: torch 2.9 with" in told(CONV, error=InputError)
    with monkeypatch.context() as patched:
        patched.setattr(importlib, "import_module", fails)
        message = told(CONV, error=InputError)
        assert f"torchax cannot be imported with torch {torch.__version__}" in message
        assert torch.backends.mha.get_fastpath_enabled()


def test_what_to_install_is_what_the_extra_installs() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"]["torch"]
    assert {"torch>=2.9,<2.10", "torchax==0.0.13"} < set(extra)
    assert re.search(r'"torch==2\.9\.\*" "torchax==0\.0\.13".*"\.\[torch\]"', DOOR.install)


def test_compiled_and_parallel_models_are_unwrapped(monkeypatch) -> None:
    assert sp.verify(torch.compile(CONV), (1, 4, 4)).equivariance.proved == 16
    # the adapter registers a device, to which it would be moved
    module = sys.modules["torch.nn.parallel.data_parallel"]
    monkeypatch.setattr(module, "_get_available_device_type", lambda: None)
    assert sp.verify(nn.DataParallel(CONV).eval(), (1, 4, 4)).equivariance.proved == 16


# --- everything that takes models ---


def test_all_that_takes_models_takes_these(tmp_path) -> None:
    wide = nn.Conv2d(1, 1, 3, padding=1).eval()
    assert sp.sweep(CONV, (1, 4, 4)).count("equivariance").equal == 16
    assert sp.verify(CONV, (1, 6, 6), boundary="scene").outputs[0].region.proved == 16
    sp.assert_equivariant(CONV, (1, 4, 4))
    sp.assert_close_under_shifts(CONV, sp.integer_images((1, 4, 4), count=1), atol=1e-5)
    with pytest.raises(AssertionError, match="15 of 16"):
        sp.assert_equivariant(wide, (1, 4, 4))
    assert sp.placements(CONV, (1, 2, 2), canvas=(6, 6)).layers
    verdict = sp.verify(wide, (1, 4, 4))
    assert "padding_mode" in str(explain(verdict, wide, (1, 4, 4)))
    report_verdict(verdict, tmp_path / "report")
    assert "Conv2d" in (tmp_path / "report" / "report.html").read_text()
    path = verdict.counterexamples()[0].save(tmp_path / "example.npz")
    again = sp.replay(sp.load_counterexample(path), adapt(wide))
    assert (again.reproduced, again.changed) == (True, ())
    assert verdict.provenance["torch"] == importlib.metadata.version("torch")


def test_pytorch_is_not_imported_to_look_for_it() -> None:
    code = (
        "import sys, shiftproof as sp\n"
        "assert sp.verify(lambda x: x, (4, 4, 1)).equivariance.proved == 16\n"
        "assert not {'torch', 'torchax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert door_of(CONV).kind == "torch"


# --- the command line ---

FILE = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.{conv}
    def forward(self, x):
        return self.conv(x)
"""


@pytest.fixture
def write(tmp_path):
    def written(name, conv):
        (tmp_path / name).write_text(FILE.format(conv=conv))
        return str(tmp_path / name)

    return written


def test_a_file_of_pytorch_is_a_target(write, capsys) -> None:
    path = write("in_torch.py", "Conv2d(3, 4, 3, padding=1)")
    target = load_target(path)
    assert target.shape == (3, 32, 32)
    assert "to say otherwise: --shape 3 32 32." in target.notes[-1]
    assert load_target(path, grid=(8, 6)).shape == (3, 8, 6)
    with pytest.raises(SystemExit) as ended:
        main(["verify", path, "--grid", "4", "4"])
    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert 'padding_mode="circular"' in printed
    assert "in_torch.py:8" in printed


def test_a_lazy_model_is_initialised_on_the_command_line(write) -> None:
    path = write("lazy.py", "LazyConv2d(4, 3, padding=1)")
    state = torch.get_rng_state()
    target = load_target(path, shape=(2, 6, 6))
    assert torch.equal(state, torch.get_rng_state())
    assert target.model.weights["params"]["conv"]["weight"].shape == (4, 2, 3, 3)
    assert any("those of its initialisation with key 0" in note for note in target.notes)
    again = load_target(path, shape=(2, 6, 6)).model.weights
    assert jax.tree_util.tree_all(
        jax.tree_util.tree_map(lambda a, b: bool((a == b).all()), target.model.weights, again)
    )
    with pytest.raises(InputError, match=r"a model of PyTorch without weights.*--shape 3 32 32"):
        load_target(path)


def test_published_architectures_are_targets() -> None:
    state = torch.get_rng_state()
    target = load_target("torchvision:resnet18", grid=(64, 64))
    assert (target.shape, target.notes, target.model.kind) == ((3, 64, 64), (), "torch")
    assert load_target("torchvision:squeezenet1_1", shape=(3, 32, 40)).shape == (3, 32, 40)
    whole = load_target("timm:vit_tiny_patch16_224")
    assert whole.shape == (3, 224, 224)
    assert "for which vit_tiny_patch16_224 was published" in whole.notes[0]
    small = load_target("timm:vit_tiny_patch16_224", grid=(32, 32)).model
    assert small.weights["params"][""]["pos_embed"].shape == (1, 5, 192)
    assert torch.equal(state, torch.get_rng_state())


def test_published_architectures_that_are_missing_are_told(monkeypatch) -> None:
    with pytest.raises(InputError, match=r"no architecture 'resnet18x'. Did you mean resnet18, "):
        load_target("torchvision:resnet18x")
    with pytest.raises(
        InputError, match=r"no architecture 'convnext_tinyy'. Did you mean convnext"
    ):
        load_target("timm:convnext_tinyy")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        InputError, match=r"timm cannot be imported \(.*\): torch 2.9 with .*\[torch"
    ):
        load_target("timm:convnext_tiny")


def test_layers_of_a_list_are_named_as_they_are_reached() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1))
    found = sp.counterfactuals(model.eval(), (1, 8, 8), refute=False)
    assert found.repair is not None
    assert found.steps(found.repair) == [("model[0], model[2]", 'padding_mode="circular"')]
