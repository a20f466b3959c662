"""Every pitfall is as it is told: the verdict, the counterexample that replays, and the verdict on the repair."""

import dataclasses
import inspect

import pytest
from amounts import some

import shiftproof as sp
from shiftproof.cli import main
from shiftproof.errors import InputError
from shiftproof.pitfalls import find_pitfall, run_pitfall
from shiftproof.refuting.counterexample import load_counterexample, replay
from shiftproof.sweeping.placements import Placements
from shiftproof.tracing.model import adapt
from shiftproof.zoo.pitfalls import PITFALLS


@pytest.mark.slow
@pytest.mark.parametrize("name", some(PITFALLS, 3))  # test_recheck has the verdicts of all
def test_a_pitfall_is_as_stated_and_its_counterexample_replays(name, tmp_path) -> None:
    pitfall = PITFALLS[name]
    outcome = run_pitfall(pitfall)
    assert outcome.broken.counts == (
        pitfall.broken.holds,
        pitfall.broken.total - pitfall.broken.holds,
    )
    assert outcome.repaired.counts == (
        pitfall.repaired.holds,
        pitfall.repaired.total - pitfall.repaired.holds,
    )
    assert outcome.as_stated
    assert (outcome.passed is None) == (pitfall.check is None)
    share = [p.holds / p.total for p in (pitfall.broken, pitfall.repaired)]
    assert share[0] < share[1]
    found = outcome.broken.found
    if isinstance(found, Placements):
        assert found.causes
        return
    for answer in (outcome.broken, outcome.repaired):
        assert answer.verdict.lattice.steps == answer.program.steps
    model = adapt(pitfall.broken.make(), name=found.model)
    for i, example in enumerate(found.counterexamples()):
        path = example.save(tmp_path / f"{i}.counterexample.npz")
        axes = found.spatial_axes
        assert replay(load_counterexample(path), model, spatial_axes=axes).reproduced
        assert not is_reproduced(load_counterexample(path), still(model), axes)


def is_reproduced(example, model, axes) -> bool:
    try:
        return replay(example, model, spatial_axes=axes).reproduced
    except InputError:  # the grid does not run through a constant
        return False


def still(model):
    """The same model on an image of zeros: no counterexample is one of it."""
    return dataclasses.replace(
        model, call=lambda weights, images: model.call(weights, 0 * images), programs={}
    )


@pytest.mark.slow
def test_the_tolerance_that_passes_is_no_proof() -> None:
    """A zero padded net at 224x224 that deviates by less than 1e-3 is refuted, and its circular twin proved."""
    pitfall = find_pitfall("tolerance")
    assert pitfall.check is not None
    assert pitfall.check(pitfall.broken.make())
    broken, repaired = (
        sp.verify(p.make(), p.shape).invariance for p in (pitfall.broken, pitfall.repaired)
    )
    assert (broken.proved, broken.refuted, broken.undecided) == (1, 50175, 0)
    assert {witness.evidence for witness in broken.witnesses} == {"exact"}
    assert (repaired.proved, repaired.refuted, repaired.undecided) == (50176, 0, 0)
    own = sp.verify(pitfall.broken.make(), pitfall.broken.shape, weights="these").invariance
    assert (own.proved, own.refuted, own.undecided) == (1, 50175, 0)


@pytest.mark.slow
def test_a_wrong_statement_is_noticed(monkeypatch, capsys) -> None:
    pitfall = find_pitfall("pool-stride")
    wrong = dataclasses.replace(pitfall, broken=dataclasses.replace(pitfall.broken, holds=16))
    assert not run_pitfall(wrong).as_stated
    monkeypatch.setitem(PITFALLS, "pool-stride", wrong)
    with pytest.raises(SystemExit) as stop:
        main(["pitfalls", "pool-stride"])
    assert stop.value.code == 1
    assert "Not as stated: pool-stride." in capsys.readouterr().out
    never = dataclasses.replace(pitfall, check=lambda model: False)
    assert not run_pitfall(never).as_stated


@pytest.mark.slow
def test_the_command_lists_and_tells_at_80_columns(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["pitfalls"])
    listed = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(name in listed for name in PITFALLS)
    for name in ("even-kernel", "same-is-lopsided", "labels"):
        with pytest.raises(SystemExit) as stop:
            main(["pitfalls", name])
        assert stop.value.code == 0
        told = capsys.readouterr().out
        pitfall = PITFALLS[name]
        assert f"def {pitfall.broken.make.__name__}" in told
        assert f"def {pitfall.repaired.make.__name__}" in told
        assert pitfall.claim in told.replace("\n", " ")
        assert max(map(len, (listed + told).splitlines())) <= 80
    assert "The check passes." in told


def test_every_program_fits_a_terminal() -> None:
    for pitfall in PITFALLS.values():
        for shown in (pitfall.broken.make, pitfall.repaired.make, pitfall.check):
            if shown is not None:
                assert max(map(len, inspect.getsource(shown).splitlines())) <= 76, shown.__name__


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(InputError, match="no pitfall is named 'pool'; there are zero-padding"):
        find_pitfall("pool")
