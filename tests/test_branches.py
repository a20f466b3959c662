"""Residual branches are found, and weights that are 0 silence them."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.refuting.branches import ALIVE, silent_weights
from shiftproof.refuting.enclosing import enclosures
from shiftproof.refuting.trials import make_trial
from shiftproof.tracing.model import adapt

DEPTH = 7


class Net(nnx.Module):
    """A deep network of residual blocks, the branch of each as `block` makes and calls it."""

    def __init__(self, block, rngs) -> None:
        self.stem = nnx.Conv(1, 4, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.blocks = nnx.List([block(rngs) for _ in range(DEPTH)])

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return x.mean((1, 2))


class Mlp(nnx.Module):
    """LayerNorm, two products, GELU as tanh: the sum within that is no branch."""

    def __init__(self, rngs) -> None:
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.up, self.down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)

    def __call__(self, x):
        return self.down(nnx.gelu(self.up(self.norm(x))))


class Scaled(nnx.Module):
    """A convolution, and a scale for every channel."""

    def __init__(self, rngs) -> None:
        self.conv = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.scale = nnx.Param(jnp.full(4, 1e-6))

    def __call__(self, x):
        return nnx.relu(self.conv(x)) * self.scale[...]


class Normed(nnx.Module):
    """A convolution before a batch norm."""

    def __init__(self, rngs) -> None:
        self.conv = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


SILENCED = {
    Mlp: ("down.bias", "down.kernel"),
    Scaled: ("scale",),
    Normed: ("norm.bias", "norm.scale"),
}


def _trial(model, draw="shallow"):
    return make_trial(adapt(model), np.ones((1, 6, 6, 1)), draw=draw)


@pytest.mark.slow
@pytest.mark.parametrize("block", SILENCED)
def test_the_branches_in_the_middle_are_silenced_by_their_last_weights(block) -> None:
    model = Net(block, nnx.Rngs(0))
    trial = _trial(model)
    names = trial.program.weight_names
    silent = silent_weights(trial.program, [True] * len(names))
    expected = {
        f"blocks.{i}.{name}" for i in range(ALIVE, DEPTH - ALIVE) for name in SILENCED[block]
    }
    assert {names[i].removeprefix("params.") for i in silent} == expected
    for position, free in enumerate(adapt(model).replaceable):
        if free:
            assert (not np.any(trial.weights[position])) == (position in silent), names[position]


@pytest.mark.slow
def test_the_others_still_say_something() -> None:
    """A twin: with all branches silent, nothing but the circular stem would be left, which keeps every shift."""
    verdict = sp.verify(Net(Scaled, nnx.Rngs(0)), (6, 6, 1))
    assert verdict.invariance.proved == 1
    assert verdict.invariance.refuted == 35


def test_weights_that_both_operands_use_stay() -> None:
    shared = nnx.Linear(1, 1, rngs=nnx.Rngs(0))

    def again(x):
        for _ in range(DEPTH):
            x = shared(x) + jnp.sin(shared(shared(x)))
        return x

    trial = _trial((lambda params, x: again(x), {}), draw="these")
    assert not silent_weights(trial.program, [True] * len(trial.weights))


def test_branches_may_begin_at_the_image() -> None:
    class Bare(nnx.Module):
        def __init__(self, rngs) -> None:
            layers = [nnx.Conv(1, 1, (3, 3), rngs=rngs) for _ in range(DEPTH)]
            self.convs = nnx.List(layers)

        def __call__(self, x):
            for conv in self.convs:
                x = x + nnx.relu(conv(x))
            return x + 1

    trial = _trial(Bare(nnx.Rngs(0)), draw="these")
    silent = silent_weights(trial.program, [True] * len(trial.weights))
    assert len(silent) == 2 * (DEPTH - 2 * ALIVE)


def test_weights_that_may_not_be_drawn_silence_nothing() -> None:
    trial = _trial(Net(Scaled, nnx.Rngs(0)), draw="these")
    assert not silent_weights(trial.program, [False] * len(trial.weights))


def test_a_function_that_is_not_0_at_0_is_no_way_to_silence() -> None:
    class Cosine(Scaled):
        def __call__(self, x):
            return jnp.cos(super().__call__(x))

    trial = _trial(Net(Cosine, nnx.Rngs(0)), draw="these")
    assert not silent_weights(trial.program, [True] * len(trial.weights))


def test_few_branches_are_all_left_alone() -> None:
    model = nnx.Sequential(lambda x: x, *[nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))] * 3)
    trial = _trial(model, draw="these")
    assert not silent_weights(trial.program, [True] * len(trial.weights))


class Steep(Mlp):
    """Every block makes enclosures a hundred times as wide."""

    def __call__(self, x):
        return self.down(jnp.sin(64 * self.up(x)))


@pytest.mark.slow
def test_enclosures_of_a_deep_network_are_narrow() -> None:
    model, image = Net(Steep, nnx.Rngs(0)), np.eye(6)[None, ..., None]

    def width(draw) -> float:
        return float(np.min(enclosures(_trial(model, draw), image, 0)[1]))

    assert width("shallow") < 1e-6
    assert width("random") > 1e-2  # the twin
