"""Counterexamples as files: they replay, and altered ones are refused."""

import dataclasses
import io
import re
import zipfile

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.cli import main
from shiftproof.errors import InputError, ResultFileError
from shiftproof.refuting.counterexample import grounds_of, load_counterexample, replay
from shiftproof.tracing.model import adapt


@pytest.fixture(scope="module")
def exact():
    verdict = sp.verify(zoo.build("conv3x3-stride2"), (8, 8, 2), name="conv")
    return verdict.counterexamples("conv3x3-stride2")


def conv():
    return adapt(zoo.build("conv3x3-stride2"), name="conv")


@pytest.mark.slow
def test_a_counterexample_replays_from_its_file(exact, tmp_path) -> None:
    for example in exact:
        path = example.save(tmp_path / "one.npz")
        loaded = load_counterexample(path)
        assert loaded.header == example.header
        result = replay(loaded, conv())
        assert result.reproduced
        assert result.changed == ()
        assert result.deviation == example.header.deviation > 0
        assert grounds_of(result) == grounds_of(loaded.header)
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


@pytest.mark.slow
def test_a_model_that_keeps_the_shift_does_not_reproduce_it(exact) -> None:
    example = next(e for e in exact if e.header.property == "invariance")
    whole = nnx.Conv(2, 3, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    result = replay(example, adapt(nnx.Sequential(whole, lambda x: x.mean((1, 2)))))
    assert not result.reproduced
    assert "NOT reproduced" in result.text()
    assert any("program is another" in line for line in result.changed)
    with pytest.raises(InputError, match="has the outputs"):
        replay(example, adapt(lambda x: {"a": x}))


@pytest.mark.slow
def test_other_weights_are_noticed() -> None:
    model = zoo.build("maxpool2x2-stride2")
    (example, *_) = sp.verify(model, (8, 8, 2), property="equivariance").counterexamples()
    assert example.header.draw == "these"
    assert replay(example, adapt(model)).changed == ()
    own = sp.verify(zoo.build("conv3x3-same"), (8, 8, 2), weights="these", property="equivariance")
    (example, *_) = own.counterexamples()
    other = replay(example, adapt(zoo.build("conv3x3-same", seed=1)))
    assert "the weights are others" in other.changed


@pytest.mark.slow
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


@pytest.mark.slow
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
    with pytest.raises(AssertionError, match=r"under 3 of 4 shifts\s+asked, 3 of them numerically"):
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


# --- files of strangers (G1, G2, G5) ---


@pytest.fixture
def example(exact) -> sp.Counterexample:
    return next(x for x in exact if x.header.property == "equivariance")


def test_g1_nothing_that_a_file_names_is_run(example, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('was run')\n")
    header = msgspec.structs.replace(example.header, target="evil.py:make")
    path = dataclasses.replace(example, header=header).save(tmp_path / "evil.counterexample.npz")
    with pytest.raises(SystemExit) as stopped:
        main(["replay", str(path)])
    said = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 3
    assert "Nothing was run" in said
    assert "'evil.py:make'" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial_axes": (1, 0)}, "takes the axes (1, 0) of an image for its grid"),
        ({"spatial_axes": (0,)}, "takes the axes (0,) of an image for its grid"),
        ({"axes": (2, 1)}, "is asked along its axes (2, 1)"),
        ({"axes": (1,), "sizes": (8,)}, "is asked along its axes (1,)"),
        ({"sizes": (8, 8)}, "of sizes (8, 8)"),
        ({"leaf": -1}, "the file is about output"),
        ({"shift": (1,)}, "about the shift (1,) of a grid of 2 axes"),
    ],
)
def test_g2_axes_are_those_of_the_model(example, changes, words) -> None:
    altered = dataclasses.replace(
        example, header=msgspec.structs.replace(example.header, **changes)
    )
    with pytest.raises(InputError, match=re.escape(words)):
        replay(altered, conv())


def rewritten(path, name, content: bytes):
    """The same archive with another member."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()} | {name: content}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def npy(array: np.ndarray, shape: str | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    data = buffer.getvalue()
    return data if shape is None else data.replace(str(array.shape).encode(), shape.encode(), 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(np.array(["a text"])), "holds no numbers"),
        (npy(np.array([{"an": "object"}], dtype=object)), "holds no numbers"),
        (npy(np.zeros(9), "(9" + "0" * 9 + ",)"), "another number of bytes"),
        (npy(np.zeros(9)) + b"more", "another number of bytes"),
        (b"no array at all", "no readable counterexample"),
    ],
)
def test_g5_arrays_are_numbers_of_the_size_they_say(example, tmp_path, content, words) -> None:
    path = rewritten(example.save(tmp_path / "x.npz"), "image.npy", content)
    with pytest.raises(ResultFileError, match=words):
        load_counterexample(path)


def test_g5_what_would_fill_the_memory_is_not_unpacked(example, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("shiftproof.archive.MOST_BYTES", 2**20)
    path = rewritten(example.save(tmp_path / "x.npz"), "more.npy", bytes(2**21))
    assert path.stat().st_size < 2**16
    with pytest.raises(ResultFileError, match=r"it unpacks to [\d,]+ bytes, and no more than"):
        load_counterexample(path)
