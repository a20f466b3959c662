"""Counterexamples as files: they replay, and altered ones are refused."""

import io

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.errors import InputError, ResultFileError
from shiftproof.refuting.counterexample import load_counterexample, replay
from shiftproof.tracing.model import adapt


@pytest.fixture(scope="module")
def exact():
    verdict = sp.verify(zoo.build("conv3x3-stride2"), (8, 8, 2), name="conv")
    return verdict.counterexamples("conv3x3-stride2")


def conv():
    return adapt(zoo.build("conv3x3-stride2"), name="conv")


def test_a_counterexample_replays_from_its_file(exact, tmp_path) -> None:
    for example in exact:
        path = example.save(tmp_path / "one.npz")
        loaded = load_counterexample(path)
        assert loaded.header == example.header
        result = replay(loaded, conv())
        assert result.reproduced
        assert result.changed == ()
        assert result.deviation == example.header.deviation > 0
        assert example.header.bound <= example.header.limit == 2.0**24
        assert "exact" in result.text()
        # the file alone shows it: no roll of one output gives the other
        still, moved = loaded.still, loaded.moved
        if example.header.property == "equivariance":
            rolls = [np.roll(still, (i, j), (1, 2)) for i in range(4) for j in range(4)]
            assert not any(np.array_equal(roll, moved) for roll in rolls)
        else:
            assert not np.array_equal(still, moved)


def test_counterexamples_are_small(exact) -> None:
    assert max(np.count_nonzero(example.image.any(-1)) for example in exact) == 1


def test_a_model_that_keeps_the_shift_does_not_reproduce_it(exact) -> None:
    example = next(e for e in exact if e.header.property == "equivariance")
    whole = nnx.Conv(2, 3, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    result = replay(example, adapt(whole))
    assert not result.reproduced
    assert "NOT reproduced" in result.text()
    assert any("program is another" in line for line in result.changed)
    with pytest.raises(InputError, match="has the outputs"):
        replay(example, adapt(lambda x: {"a": x}))


def test_other_weights_are_noticed() -> None:
    model = zoo.build("maxpool2x2-stride2")
    (example, *_) = sp.verify(model, (8, 8, 2), property="equivariance").counterexamples()
    assert example.header.draw == "these"
    assert replay(example, adapt(model)).changed == ()
    own = sp.verify(zoo.build("conv3x3-same"), (8, 8, 2), weights="these", property="equivariance")
    (example, *_) = own.counterexamples()
    other = replay(example, adapt(zoo.build("conv3x3-same", seed=1)))
    assert "the weights are others" in other.changed


def test_rounded_evidence_states_by_how_much_the_real_outputs_differ() -> None:
    verdict = sp.verify(zoo.build("vit"), (16, 16, 3))
    example = verdict.counterexamples()[0]
    assert example.header.evidence == "enclosed"
    result = replay(example, adapt(zoo.build("vit")))
    assert result.reproduced
    assert result.evidence == "enclosed"
    assert result.gap == example.header.gap > 0
    assert "at least by" in result.text()
    assert "at least by" in str(example)


def test_numerical_evidence_states_its_ratio_to_the_floor() -> None:
    """A Bessel function has no enclosure."""

    def model(x):
        return jax.scipy.special.i0e(jnp.exp(x))[:, :2]

    verdict = sp.verify(model, (4, 1))
    assert verdict.invariance.refuted == 0
    assert verdict.invariance.refuted_numerically == 3
    assert verdict.invariance.to_dict()["refuted_numerically"] == 3
    assert "3 numerically" in repr(verdict)
    assert all("numerically" in verdict.invariance.evidence((s,)).text for s in (1, 2, 3))
    with pytest.raises(AssertionError, match=r"under 3 of 4 shifts\sasked, 3 of them numerically"):
        sp.assert_invariant(model, (4, 1))
    example = verdict.counterexamples()[0]
    assert example.header.evidence == "numerical"
    result = replay(example, adapt(model))
    assert result.reproduced
    assert result.evidence == "numerical"
    assert "times the rounding floor" in result.text()
    assert "times the rounding floor" in str(example)


def rewrite(path, **changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path.write_bytes(buffer.getvalue())


def header_with(**fields):
    def change(header):
        data = msgspec.json.decode(header.tobytes()) | fields
        return np.frombuffer(msgspec.json.encode(data), np.uint8)

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": lambda a: a + 1}, "was altered: its arrays do not fit"),
        ({"moved": lambda a: a * 2}, "was altered: its arrays do not fit"),
        ({"header": header_with(schema="shiftproof.counterexample/9")}, "has schema"),
        ({"header": header_with(property="beauty")}, "no readable counterexample"),
        ({"header": header_with(note="x")}, "no readable counterexample"),
    ],
)
def test_an_altered_file_is_refused(exact, tmp_path, changes, message) -> None:
    path = exact[0].save(tmp_path / "one.npz")
    rewrite(path, **changes)
    with pytest.raises(ResultFileError, match=message):
        load_counterexample(path)


def test_a_truncated_file_is_refused(exact, tmp_path) -> None:
    path = exact[0].save(tmp_path / "one.npz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ResultFileError, match="truncated, altered or another kind of file"):
        load_counterexample(path)


def test_files_of_the_first_edition_are_read_as_numerical(exact, tmp_path) -> None:
    """They have no gap, and call the evidence by another word."""
    path = exact[0].save(tmp_path / "old.npz")

    def older(header):
        fields = msgspec.json.decode(header.tobytes())
        del fields["gap"]
        fields |= {"evidence": "separated", "floor": 1e-9}
        return np.frombuffer(msgspec.json.encode(fields), np.uint8)

    rewrite(path, header=older)
    old = load_counterexample(path)
    assert old.header.gap == 0
    assert "numerically: " in str(old)
