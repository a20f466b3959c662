"""The cache of evidence: it saves the search, and believes nothing that it reads."""

import dataclasses
import zipfile

import msgspec
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.deciding import cache as module
from shiftproof.deciding.cache import Confirmed, Entry
from shiftproof.deciding.verify import ask
from shiftproof.errors import UndecidedError
from shiftproof.listening import Listener, listening

SHAPE = (8, 8, 1)


class Net(nnx.Module):
    """A strided convolution and a global mean."""

    def __init__(self, padding: str = "CIRCULAR") -> None:
        self.conv = nnx.Conv(1, 2, (3, 3), strides=2, padding=padding, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.relu(self.conv(x))


@pytest.fixture
def told(tmp_path):
    """What is told while one question after the other is asked of the cache in this folder."""
    heard = []
    with listening(Listener(heard.append)):
        yield heard


def lattice(folder, model=None, **options) -> None:
    sp.assert_lattice(
        model or Net(), SHAPE, "2Z x 2Z", property="equivariance", cache=folder, **options
    )


def evidence(folder):
    (path,) = folder.glob("*/evidence.json")
    return path, msgspec.json.decode(path.read_bytes())


@pytest.mark.slow
def test_what_was_decided_is_confirmed(tmp_path, told) -> None:
    for _ in range(2):
        sp.assert_equivariant(Net(), SHAPE, stride=2, cache=tmp_path)
        sp.assert_breaks(
            Net(), SHAPE, property="equivariance", shifts=[(1, 0), (3, 5)], cache=tmp_path
        )
        lattice(tmp_path)
    assert [type(answer) for answer in told] == [sp.Verdict] + 5 * [Confirmed]
    assert np.count_nonzero(told[1].words) == 2
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_a_failure_is_decided_and_told_in_full(tmp_path, told) -> None:
    for _ in range(2):
        with pytest.raises(AssertionError, match="fails for"):
            sp.assert_equivariant(Net(), SHAPE, cache=tmp_path)
    assert {type(answer) for answer in told} == {sp.Verdict}


@pytest.mark.slow
def test_another_question_is_another_entry(tmp_path, told) -> None:
    lattice(tmp_path)
    sp.assert_breaks(Net("SAME"), SHAPE, property="equivariance", cache=tmp_path)
    lattice(tmp_path, weights="these")
    other = Net()
    other.conv.kernel[...] *= 2
    lattice(tmp_path, other, weights="these")
    assert {type(answer) for answer in told} == {sp.Verdict}
    lattice(tmp_path, other)  # all weights: the same architecture
    assert type(told[-1]) is Confirmed


@pytest.mark.slow
def test_a_proof_for_another_program_is_refused(tmp_path, told, monkeypatch) -> None:
    """The key is no part of the trust: with one key for all, the kernel still decides on the fresh graph."""
    monkeypatch.setattr(module, "_key", lambda *_: "one")
    lattice(tmp_path)
    with pytest.raises(AssertionError, match="refuted"):
        sp.assert_equivariant(Net("SAME"), SHAPE, stride=2, cache=tmp_path)
    assert {type(answer) for answer in told} == {sp.Verdict}


def test_a_counterexample_for_another_program_does_not_count(tmp_path, told, monkeypatch) -> None:
    monkeypatch.setattr(module, "_key", lambda *_: "one")
    asked = {"property": "equivariance", "shifts": [(2, 0)], "cache": tmp_path}
    sp.assert_breaks(Net("SAME"), SHAPE, **asked)
    with pytest.raises(AssertionError, match="was to break"):
        sp.assert_breaks(Net(), SHAPE, **asked)
    assert {type(answer) for answer in told} == {sp.Verdict}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["shift", "schema", "count", "cut", "field"])
def test_an_altered_entry_is_decided_anew(tmp_path, told, part) -> None:
    lattice(tmp_path)
    path, data = evidence(tmp_path)
    if part == "shift":
        data["steps"][0][0][0] = [1, 0]
    if part == "schema":
        data["schema"] = "shiftproof.cache/0"
    if part == "count":
        data["counterexamples"] = [0]
    if part == "field":
        data["word"] = "proved"
    path.write_bytes(msgspec.json.encode(data)[: 20 if part == "cut" else None])
    lattice(tmp_path)
    assert type(told[-1]) is sp.Verdict


@pytest.mark.parametrize("part", ["missing", "cut", "claim"])
def test_an_altered_counterexample_does_not_count(tmp_path, told, part) -> None:
    lattice(tmp_path)
    for path in tmp_path.glob("*/*.counterexample.npz"):
        example = sp.load_counterexample(path)
        if part == "missing":
            path.unlink()
        if part == "cut":
            path.write_bytes(path.read_bytes()[:-40])
        if part == "claim":
            header = msgspec.structs.replace(example.header, shift=(2, 0))
            sp.Counterexample(header, example.image, example.still, example.moved).save(path)
    lattice(tmp_path)
    assert type(told[-1]) is sp.Verdict


class Placed(nnx.Module):
    """Adds a table of positions, which is the same everywhere so far."""

    def __init__(self) -> None:
        self.table = nnx.Param(np.ones(SHAPE, np.float32))

    def __call__(self, x):
        return x + self.table[...]


def each_counterexample(folder, change) -> None:
    for path in folder.glob("*/*.counterexample.npz"):
        example = sp.load_counterexample(path)
        header = msgspec.structs.replace(example.header, **change)
        dataclasses.replace(example, header=header).save(path)


def test_forged_files_g1_nothing_that_is_named_is_run(tmp_path, told, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('was run')\n")
    lattice(tmp_path)
    each_counterexample(tmp_path, {"target": "evil.py:make"})
    lattice(tmp_path)
    assert type(told[-1]) is Confirmed


@pytest.mark.parametrize(
    "change",
    [{"spatial_axes": (1, 0)}, {"axes": (2, 1)}, {"sizes": (8, 8)}, {"leaf": 1}, {"shift": (1,)}],
    ids=str,
)
def test_forged_files_g2_axes_are_those_of_the_model(tmp_path, told, change) -> None:
    lattice(tmp_path)
    each_counterexample(tmp_path, change)
    lattice(tmp_path)
    assert type(told[-1]) is sp.Verdict


@pytest.mark.slow
def test_forged_files_g3_a_proof_for_these_weights_is_none_for_all(
    tmp_path, told, monkeypatch
) -> None:
    monkeypatch.setattr(module, "_key", lambda *_: "one")
    sp.assert_equivariant(Placed(), SHAPE, weights="these", cache=tmp_path)
    with pytest.raises(AssertionError, match="refuted"):
        sp.assert_equivariant(Placed(), SHAPE, cache=tmp_path)
    assert {type(answer) for answer in told} == {sp.Verdict}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["steps", "rolls", "long", "count", "deep"])
def test_forged_files_g4_their_work_is_bounded(tmp_path, told, part) -> None:
    lattice(tmp_path)
    path, data = evidence(tmp_path)
    if part == "steps":
        data["steps"] = [data["steps"][0] * 100_000]
    if part == "rolls":
        data["steps"][0][0][1] = [[n] for n in range(100_000)]
    if part == "count":
        data["counterexamples"] = [10**12]
    text = msgspec.json.encode(data)
    if part == "long":
        text += b" " * (module.MOST_BYTES + 1)
    if part == "deep":
        text = text.replace(b'"steps":', b'"steps":' + b"[" * 200_000)
    path.write_bytes(text)
    lattice(tmp_path)
    assert type(told[-1]) is (Confirmed if part == "count" else sp.Verdict)


@pytest.mark.slow
def test_forged_files_g5_archives_are_bounded_and_hold_numbers(tmp_path, told, monkeypatch) -> None:
    monkeypatch.setattr("shiftproof.archive.MOST_BYTES", 2**24)
    for name, content in (("more.npy", bytes(2**25)), ("image.npy", b"no array at all")):
        lattice(tmp_path)
        for path in tmp_path.glob("*/*.counterexample.npz"):
            with zipfile.ZipFile(path) as archive:
                members = {m.filename: archive.read(m) for m in archive.infolist()}
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for member, data in {**members, name: content}.items():
                    archive.writestr(member, data)
        lattice(tmp_path)
        assert type(told[-1]) is sp.Verdict


def test_a_counterexample_must_be_about_this_claim_and_these_images(tmp_path) -> None:
    lattice(tmp_path, weights="these")
    options = {"property": "equivariance", "weights": "these"}
    subject, claims = ask(Net(), SHAPE, **options)
    entry = Entry(tmp_path, subject, claims)
    example = sp.load_counterexample(next(entry.folder.glob("*.npz")))
    assert entry._fits(example, claims[0])
    for change in (
        {"property": "invariance"},
        {"law": "same"},
        {"leaf": 1},
        {"spatial_axes": (1, 0)},
        {"shift": (1,)},
        {"draw": "integers"},
        {"dtype": "bfloat16"},
    ):
        header = msgspec.structs.replace(example.header, **change)
        assert not entry._fits(dataclasses.replace(example, header=header), claims[0]), change
    for image in (example.image[:4], example.image + np.inf):
        assert not entry._fits(dataclasses.replace(example, image=image), claims[0])


def averaged(x):
    """Invariant under every shift: the even ones are certified, the others are identities."""
    return nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2))


def half(x):
    """Invariant along the first axis, of which the even shifts are certified."""
    return nnx.relu(nnx.avg_pool(x, (2, 2), (2, 2)).mean(1))[:, 0]


@pytest.mark.slow
def test_an_identity_is_decided_anew_and_what_is_certified_is_confirmed(tmp_path, told) -> None:
    for _ in range(2):
        sp.assert_invariant(averaged, SHAPE, cache=tmp_path)
        sp.assert_invariant(averaged, SHAPE, stride=2, cache=tmp_path)
    kinds = [type(answer) for answer in told]
    assert kinds == [sp.Verdict, Confirmed, sp.Verdict, Confirmed]
    assert told[0].invariance.by_identity == 48
    # with certificates asked for, the cache never turns an identity into one
    sp.assert_invariant(averaged, SHAPE, stride=2, cache=tmp_path, evidence="certificate")
    with pytest.raises(UndecidedError, match="not certified"):
        sp.assert_invariant(averaged, SHAPE, cache=tmp_path, evidence="certificate")
    assert [type(answer) for answer in told[4:]] == [Confirmed, sp.Verdict]


@pytest.mark.slow
def test_what_is_refuted_by_way_of_an_identity_is_decided_anew(tmp_path, told) -> None:
    sp.assert_lattice(half, SHAPE, "Z x 8Z", cache=tmp_path)
    (found,) = (v for o in told[0].outputs for v in o.properties)
    certified = found.certified_map == sp.Word.REFUTED
    refuted = found.map == sp.Word.REFUTED
    assert found.by_identity == 4
    for mask in (refuted & certified, refuted):
        sp.assert_breaks(half, SHAPE, shifts=np.argwhere(mask), cache=tmp_path)
        assert type(told[-1]) is (Confirmed if np.array_equal(mask, certified) else sp.Verdict)


@pytest.mark.slow
def test_an_exhaustive_question_is_not_answered_from_the_cache(tmp_path, told) -> None:
    for _ in range(2):
        lattice(tmp_path, exhaustive=True)
    assert [type(answer) for answer in told] == [sp.Verdict, sp.Verdict]


@pytest.mark.slow
def test_what_must_be_said_again_is_not_kept(tmp_path) -> None:
    with pytest.warns(match="hardly answers"):
        sp.assert_invariant(lambda x: 0 * x.max((1, 2)), SHAPE, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_listeners_who_need_verdicts_get_them(tmp_path) -> None:
    heard = []
    with listening(Listener(heard.append, complete=True)):
        lattice(tmp_path)
        lattice(tmp_path)
    assert [type(answer) for answer in heard] == [sp.Verdict, sp.Verdict]
