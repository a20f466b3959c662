"""Sweeps in stages give what sweeps by cosets give, with fewer passes of the early layers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.canvas import Canvas
from shiftproof.errors import ContradictionError
from shiftproof.sweeping import stages
from shiftproof.sweeping import sweep as sweep_module
from shiftproof.sweeping.cosets import find_cosets
from shiftproof.sweeping.question import Asker
from shiftproof.sweeping.stages import Schedule, find_stages, ordered
from shiftproof.tracing.model import adapt

MAPS = ("equivariance", "invariance", "equivariance_cells", "invariance_cells", "agreement")


def conv(channels: int, stride: int, into: int = 3) -> nnx.Conv:
    return nnx.Conv(
        into, channels, (3, 3), strides=stride, padding="CIRCULAR", rngs=nnx.Rngs(channels)
    )


class Strides(nnx.Module):
    """Two strides of 2 with a pool between, a residual branch, and a head."""

    def __init__(self) -> None:
        self.first, self.second, self.branch = conv(4, 2), conv(5, 2, 4), conv(5, 1, 5)
        self.head = nnx.Linear(5, 3, rngs=nnx.Rngs(9))

    def __call__(self, x):
        x = nnx.relu(self.first(x))
        x = nnx.relu(self.second(x))
        x = x + self.branch(x)
        return self.head(jnp.sum(x, (1, 2)))


class Signal(nnx.Module):
    """One axis, and different strides behind one another."""

    def __init__(self) -> None:
        made = {"padding": "CIRCULAR", "rngs": nnx.Rngs(0)}
        self.first = nnx.Conv(1, 2, (3,), strides=3, **made)
        self.second = nnx.Conv(2, 2, (3,), strides=2, **made)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


CASES = {
    "strides": (Strides, (1, 8, 12, 3), (1, 4, 16)),
    "signal": (Signal, (2, 24, 1), (1, 3, 6)),
}


@pytest.fixture
def always(monkeypatch) -> None:
    """Stages for small models too."""
    monkeypatch.setattr(stages, "WORTH", 0.0)


def swept(model, shape, **options):
    images = np.random.default_rng(0).integers(-2, 3, shape).astype(np.float32)
    return sp.sweep(model, images, weights="integers", method="cosets", **options)


def question_of(model, shape, **options):
    images = sp.integer_images(shape[1:], count=1, seed=0)
    canvas = Canvas.torus(images, axes=tuple(range(1, len(shape) - 1)))
    return Asker(adapt(model), canvas, **options).ask("float32")


@pytest.mark.parametrize("name", [*CASES])
def test_early_layers_are_computed_once_for_every_phase(name, always) -> None:
    build, shape, phases = CASES[name]
    for keep in (None, []):
        question = question_of(build(), shape, keep=keep)
        found = find_stages(question, find_cosets(question))
        assert [len(stage.cosets.representatives) for stage in found] == list(phases)
        equations = [eqn for stage in found for eqn in stage.program.equations]
        assert equations == list(question.program.equations)
        assert sorted(i for stage in found for i in stage.layers) == [*range(len(question.layers))]


def test_stages_are_not_worth_while_for_a_small_model() -> None:
    question = question_of(Strides(), (1, 8, 12, 3))
    assert find_stages(question, find_cosets(question)) == ()


@pytest.mark.parametrize(
    "program",
    [
        lambda x: x[:, ::2, ::2] + x.mean((1, 2), keepdims=True),  # two values go on to the end
        lambda x: nnx.avg_pool(x, (2, 2), (2, 2)).sum((1, 2)),  # all of it keeps more than its part
    ],
)
def test_what_cannot_be_cut_is_computed_in_one(program, always) -> None:
    question = question_of(program, (1, 8, 8, 1), keep=[])
    assert find_stages(question, find_cosets(question)) == ()


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("name", [*CASES])
def test_a_sweep_in_stages_gives_the_numbers_of_one_by_cosets(name, chunk, monkeypatch) -> None:
    build, shape, _ = CASES[name]
    for keep in (None, []):
        plain = swept(build(), shape, chunk=chunk, layers=keep)
        with monkeypatch.context() as patch:
            patch.setattr(stages, "WORTH", 0.0)
            staged = swept(build(), shape, chunk=chunk, layers=keep)
        assert "phases of" in staged.header.provenance["stages"]
        assert "stages" not in plain.header.provenance
        assert all(layer.exact for layer in staged.header.layers)
        for name_of in MAPS:
            np.testing.assert_array_equal(getattr(staged, name_of), getattr(plain, name_of))


@pytest.mark.slow
def test_a_sweep_in_stages_that_was_interrupted_goes_on(tmp_path, always) -> None:
    options = {"chunk": 5, "layers": []}
    swept(Strides(), (1, 8, 12, 3), directory=tmp_path / "whole", **options)
    whole = (tmp_path / "whole" / "sweep.npz").read_bytes()
    swept(Strides(), (1, 8, 12, 3), directory=tmp_path / "part", **options)
    (tmp_path / "part" / "sweep.npz").unlink()
    chunks = sorted((tmp_path / "part").glob("chunks/*"))
    assert len(chunks) > 1
    chunks[0].unlink()
    swept(Strides(), (1, 8, 12, 3), directory=tmp_path / "part", resume=True, **options)
    assert (tmp_path / "part" / "sweep.npz").read_bytes() == whole


def test_neighbours_share_their_early_phases(always) -> None:
    question = question_of(Strides(), (1, 8, 12, 3), keep=[])
    cosets = find_cosets(question)
    found = find_stages(question, cosets)
    sorted_cosets = ordered(cosets, found)
    assert not np.any(sorted_cosets.representatives[0])
    assert sorted(map(tuple, sorted_cosets.representatives)) == sorted(
        map(tuple, cosets.representatives)
    )
    groups = sweep_module.make_groups(sorted_cosets.representatives, 5, least=3)
    assert Schedule(found, groups).sizes == (
        1,
        3,
    )  # that of shift 0, which sits in every chunk, and two
    shuffled = np.random.default_rng(0).permutation(cosets.representatives)
    assert Schedule(found, sweep_module.make_groups(shuffled, 5, least=3)).sizes > (1, 3)


def test_a_chunk_that_was_not_foreseen_is_refused(always) -> None:
    question = question_of(Strides(), (1, 8, 12, 3), keep=[])
    found = find_stages(question, find_cosets(question))
    schedule = Schedule(found, [np.zeros((5, 2), np.int32)])
    with pytest.raises(ValueError, match="not laid out"):
        schedule.steps(np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]], np.int32))


def wrong_element(self, shifts):
    """Every phase stays where it is."""
    numbers, first, elements = right(self, shifts)
    return numbers, first, 0 * elements


def wrong_phase(self, shifts):
    """Every shift takes the first phase."""
    numbers, first, elements = right(self, shifts)
    return 0 * numbers, first, elements


right = stages.Stage.split


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [wrong_element, wrong_phase])
def test_stages_that_are_wrong_are_a_contradiction(wrong, always, monkeypatch) -> None:
    monkeypatch.setattr(stages.Stage, "split", wrong)
    with pytest.raises(ContradictionError, match="computed in stages"):
        swept(Strides(), (1, 8, 12, 3), chunk=5)


@pytest.mark.slow
def test_a_layer_that_moves_otherwise_than_proved_is_a_contradiction(always, monkeypatch) -> None:
    def cosets_of(question, prover, layers):
        found = cosets_of_right(question, prover, layers)
        still = tuple(
            tuple(dataclasses.replace(m, sources=np.roll(m.sources, 1, 0)) for m in motions)
            for motions in found.motions
        )
        return dataclasses.replace(found, motions=still)

    cosets_of_right = stages.cosets_of
    monkeypatch.setattr(stages, "cosets_of", cosets_of)
    with pytest.raises(ContradictionError, match="computed in stages"):
        swept(Strides(), (1, 8, 12, 3), chunk=5)


@pytest.mark.slow
@pytest.mark.skipif(len(jax.local_devices()) > 1, reason="one device")
def test_rounded_layers_differ_by_rounding_only(always) -> None:
    images = np.random.default_rng(0).normal(size=(1, 8, 12, 3)).astype(np.float32)
    staged = sp.sweep(Strides(), images, method="cosets", dtype="float32", layers=[])
    brute = sp.sweep(Strides(), images, method="brute", dtype="float32", layers=[])
    noise = staged.header.layers[-1].noise
    np.testing.assert_allclose(staged.invariance, brute.invariance, rtol=0, atol=16 * noise)
