"""Layers of PyTorch that keep what they computed: nothing of a call stays for the next one."""

import importlib.util
import subprocess
import sys

import jax
import numpy as np
import pytest

import shiftproof as sp
from shiftproof.tracing.model import adapt, trace_model

pytestmark = pytest.mark.frameworks

if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchax") is None:
    pytest.skip("missing: torch, torchax: pip install -e .[torch]", allow_module_level=True)

import torch  # noqa: E402
from torch import nn  # noqa: E402


class Keeps(nn.Module):
    """Adds a table of positions, which in inference mode is computed once and kept, as timm's LeViT does.

    Args:
        how: where it is kept: in a dictionary, a list, or an attribute.
    """

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        self.table = nn.Parameter(torch.randn(2, 6, 6))
        self.how, self.cache, self.log, self.kept = how, {}, [], None

    def train(self, mode: bool = True):
        if mode:
            self.cache, self.log, self.kept = {}, [], None
        return super().train(mode)

    def positions(self):
        fresh = torch.tanh(self.table)
        if self.training:
            return fresh
        if self.how == "dictionary":
            return self.cache.setdefault("table", fresh)
        if self.how == "list":
            self.log.append(fresh)
            return self.log[0]
        if self.kept is None:
            self.kept = fresh
        return self.kept

    def forward(self, x):
        return (torch.relu(self.conv(x)) + self.positions()).mean((2, 3))


def traced(model, shape):
    """A trace of its own, not one that is kept."""
    return trace_model(model, jax.tree_util.tree_leaves(model.weights), np.zeros(shape, np.float32))


@pytest.mark.parametrize("how", ["dictionary", "list", "attribute"])
def test_what_layers_keep_does_not_outlive_a_call(how) -> None:
    model = Keeps(how).eval()
    with torch.no_grad():
        model(torch.zeros(1, 1, 6, 6))  # so that the user's own model holds a table already
    before = (dict(model.cache), list(model.log), model.kept)
    adapted = adapt(model)
    for _ in range(2):  # what the first trace leaves would be in the way of the second
        program = traced(adapted, (1, 1, 6, 6))
        (table,) = (
            n
            for n, name in zip(program.weights, program.weight_names, strict=True)
            if "table" in name
        )
        assert any(table in eqn.inputs for eqn in program.equations)  # and no constant in its place
        assert adapted.native is not None
        adapted.native(np.zeros((1, 1, 6, 6), np.float32))
    assert (dict(model.cache), list(model.log), model.kept) == before
    assert sp.verify(model, (1, 6, 6)).invariance.proved == 36


def test_a_published_one_is_decided() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    from shiftproof.published import build_published

    found = build_published("timm", "levit_128s", grid=(64, 64))
    program = traced(adapt(found.model), (1, *found.shape))
    biases = [n for n in program.weight_names if n.endswith("attention_biases")]
    numbers = dict(zip(program.weight_names, program.weights, strict=True))
    used = {o for eqn in program.equations for o in eqn.inputs if isinstance(o, int)}
    assert biases
    assert all(numbers[name] in used for name in biases)


def test_a_model_of_the_users_can_still_be_wrapped_for_several_devices() -> None:
    """The adapter offers JAX as a device of PyTorch, and `DataParallel` took the offer."""
    code = (
        "import torch, shiftproof as sp\n"
        "conv = torch.nn.Conv2d(1, 2, 3, padding=1).eval()\n"
        "sp.verify(conv, (1, 4, 4), search_seconds=1)\n"
        "print(torch.nn.DataParallel(conv)(torch.ones(1, 1, 4, 4)).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "torch.Size([1, 2, 4, 4])", done.stderr[-2000:]
