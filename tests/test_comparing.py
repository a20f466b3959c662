"""Two verdicts side by side: which shifts changed their word, what got worse, and which layer did it."""

import json
import subprocess
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.cli import main
from shiftproof.comparing.comparison import Change
from shiftproof.deciding.words import Word
from shiftproof.files import plain_json


class Net(nnx.Module):
    """A convolution, perhaps a pool, and a mean or a dense head."""

    def __init__(self, padding: str = "CIRCULAR", *, pool: bool = False, flat: bool = False):
        self.conv = nnx.Conv(1, 2, (3,), padding=padding, rngs=nnx.Rngs(0))
        self.pool = pool
        size = 4 if pool else 8
        self.head = nnx.Linear(2 * size, 1, rngs=nnx.Rngs(1)) if flat else None

    def __call__(self, x):
        x = nnx.relu(self.conv(x))
        if self.pool:
            x = nnx.max_pool(x, (2,), (2,))
        return self.head(x.reshape(len(x), -1)) if self.head else x.mean(1)


SHAPE = (8, 1)


@pytest.fixture(scope="module")
def verdicts() -> dict[str, sp.Verdict]:
    models = {
        "good": Net(),
        "padded": Net("SAME"),
        "pooled": Net(pool=True),
        "flat": Net(flat=True),
    }
    return {name: sp.verify(model, SHAPE, name=name) for name, model in models.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "worse", "layer", "because"),
    [
        ("good", 0, None, ""),
        ("padded", 7, "conv", "zero padding"),
        ("pooled", 4, "max_pool", "stride 2"),
        ("flat", 7, "head", "dense layer"),
    ],
)
def test_the_layer_that_did_it_is_named(verdicts, after, worse, layer, because) -> None:
    found = sp.compare(verdicts["good"], verdicts[after])
    assert found.is_worse == found.changed == bool(worse)
    (output,) = found.outputs
    assert output.before == "8/8 all shifts"
    assert [(c.before, c.after, c.count) for c in output.changes] == (
        [(Word.PROVED, Word.REFUTED, worse)] if worse else []
    )
    assert (found.blamed and found.blamed.name) == layer
    assert because in (found.blamed.because if found.blamed else "")
    back = sp.compare(verdicts[after], verdicts["good"])
    assert not back.is_worse
    assert back.changed == bool(worse)
    assert back.blamed is None


@pytest.mark.slow
def test_changed_shifts_are_those_of_the_maps(verdicts) -> None:
    before, after = (verdicts[name].invariance.map for name in ("pooled", "padded"))
    (change,) = sp.compare(verdicts["pooled"], verdicts["padded"]).outputs[0].changes
    lost = {i for i in range(8) if (before[i], after[i]) == (Word.PROVED, Word.REFUTED)}
    assert change.count == len(lost) == 3
    assert {shift[0] % 8 for shift in change.shifts} == lost == {2, 4, 6}


def test_what_is_printed(verdicts) -> None:
    text = str(sp.compare(verdicts["good"], verdicts["pooled"]))
    assert text.startswith("good -> pooled\noutput, invariance: 8/8 all shifts -> 4/8 2Z\n")
    assert "  4 shifts were proved, now refuted: (1,), (-1,), (3,), ...\n" in text
    assert "layer: max_pool (test_comparing.py:" in text
    assert text.endswith("\nworse.")
    assert str(sp.compare(verdicts["good"], verdicts["good"])).endswith("\nno shift changed.")


def test_words_have_an_order() -> None:
    order = [Word.REFUTED, Word.UNDECIDED, Word.PROVED]
    for i, before in enumerate(order):
        for j, after in enumerate(order):
            assert Change(before, after, 1, ()).is_worse == (j < i)


@pytest.mark.slow
def test_undecided_is_neither_as_good_as_proved_nor_as_bad_as_refuted() -> None:
    unknown = sp.verify(lambda x: jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1), (4, 1), name="f")
    known = sp.verify(lambda x: jnp.maximum(x, 0), (4, 1), name="f")
    broken = sp.verify(lambda x: x * jnp.arange(4.0)[:, None], (4, 1), name="f")
    lost = sp.compare(known, unknown).outputs[0]
    assert [(c.before, c.after) for c in lost.changes] == [(Word.PROVED, Word.UNDECIDED)]
    assert lost.is_worse
    assert sp.compare(unknown, broken).outputs[0].is_worse
    assert not sp.compare(broken, unknown).outputs[0].is_worse


@pytest.mark.slow
def test_an_output_that_is_gone_is_worse_and_a_new_one_is_not() -> None:
    one = sp.verify(lambda x: {"a": x}, (4, 1), name="f")
    two = sp.verify(lambda x: {"a": x, "b": x + 1}, (4, 1), name="f")
    gone, new = sp.compare(two, one), sp.compare(one, two)
    assert gone.is_worse
    assert not new.is_worse
    assert "-> gone" in str(gone)
    assert "not asked before -> 4/4" in str(new)


@pytest.mark.slow
def test_scenes_are_compared_by_their_cells() -> None:
    def ask(size: int) -> sp.Verdict:
        conv = nnx.Conv(1, 1, (size,), rngs=nnx.Rngs(0))
        return sp.verify(conv, (12, 1), boundary="scene", name="f")

    found = sp.compare(ask(3), ask(5))
    assert found.is_worse
    assert found.outputs[0].before.startswith("10 of 12 cells proved")
    assert found.outputs[0].after.startswith("8 of 12 cells proved")
    assert found.blamed
    assert (found.blamed.before, found.blamed.after) == ("10 cells inside", "8 cells inside")
    assert not sp.compare(ask(5), ask(3)).is_worse


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"weights": "these"}, "weights"),
        ({"law": "same"}, "law"),
        ({"boundary": "scene"}, "boundary"),
    ],
)
def test_other_questions_are_not_compared(options, name) -> None:
    conv = nnx.Conv(1, 1, (3,), padding="CIRCULAR", rngs=nnx.Rngs(0))
    with pytest.raises(sp.errors.InputError, match=f"different questions: (the )?{name}"):
        sp.compare(sp.verify(conv, SHAPE), sp.verify(conv, SHAPE, **options))


@pytest.mark.slow
def test_other_grids_are_not_compared(verdicts) -> None:
    with pytest.raises(sp.errors.InputError, match="different questions: grid"):
        sp.compare(verdicts["good"], sp.verify(Net(), (6, 1)))


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def saved(verdict: sp.Verdict, path: Path) -> Path:
    path.write_text(json.dumps(verdict.to_dict()))
    return path


@pytest.mark.slow
def test_files_are_compared_with_exit_codes(capsys, tmp_path, verdicts) -> None:
    good = saved(verdicts["good"], tmp_path / "good.json")
    folder = tmp_path / "out"
    folder.mkdir()
    saved(verdicts["padded"], folder / "verdict.json")
    code, out, err = call(capsys, "diff", good, folder)
    assert (code, err) == (1, "")
    assert "7 shifts were proved, now refuted" in out
    assert call(capsys, "diff", folder, good)[0] == 0
    code, out, _ = call(capsys, "diff", good, folder, "--json")
    data = json.loads(out)
    assert (code, data["schema"], data["worse"]) == (1, "shiftproof.diff/1", True)
    assert data["outputs"][0]["changes"][0] | {"shifts": None} == {
        "before": "proved",
        "after": "refuted",
        "count": 7,
        "shifts": None,
    }
    assert data["layers"][0]["name"] == "conv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data | {"schema": "shiftproof.verdict/9"}, "has the schema"),
        (lambda data: data | {"grid": [2**20, 2**20]}, "has the grid"),
        (lambda data: data | {"grid": [8, 8]}, "do not fit"),
        (lambda data: {"schema": data["schema"]}, "is no verdict"),
        (lambda data: data["outputs"][0]["invariance"].update(proved=7) or data, "do not fit"),
        (lambda data: data["outputs"][0]["invariance"].update(lattice=[[2]]) or data, "do not fit"),
        (lambda data: data["layers"][0].update(steps=[0]) or data, "the steps of the layer"),
    ],
)
def test_files_that_do_not_fit_together_are_a_bad_call(
    capsys, tmp_path, verdicts, change, said
) -> None:
    good = saved(verdicts["good"], tmp_path / "good.json")
    (tmp_path / "bad.json").write_text(json.dumps(change(json.loads(good.read_text()))))
    code, out, err = call(capsys, "diff", good, tmp_path / "bad.json")
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.json"], "two are compared"),
        (["a.json", "b.json"], "No such file"),
        (["a.json", "b.json", "--weights", "these"], "--weights belongs to models"),
        (["a.py", "b.py", "--rev", "HEAD", "HEAD"], "name that file alone"),
        (["resnet18", "--rev", "HEAD", "HEAD"], "--rev takes a file"),
        (["a.py", "--rev", "HEAD", "HEAD"], "git rev-parse"),
        (["no/a.py", "--rev", "HEAD", "HEAD"], "there is no folder no"),
    ],
)
def test_bad_calls(capsys, tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, out, err = call(capsys, "diff", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Two commits of a file that does not change, and of one beside it that does."""

    def git(*arguments: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "net.py").write_text(
        "import steps\n\ndef net(x):\n    return x[:, :: steps.STEP]\n\nimage_shape = (4, 1)\n"
    )
    for step in (1, 2):
        (folder / "steps.py").write_text(f"STEP = {step}\n")
        git("add", "-A")
        git("commit", "-qm", f"step {step}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_two_revisions_are_compared_with_the_files_that_they_import(capfd, repository) -> None:
    (repository / "models" / "steps.py").write_text("STEP = 4\n")  # not committed, so not asked
    code, out, err = call(capfd, "diff", "models/net.py:net", "--rev", "HEAD~1", "HEAD")
    assert code == 1, err
    assert "models/net.py:net of HEAD~1 -> models/net.py:net of HEAD" in out
    assert "output, equivariance: 4/4 all shifts -> 2/4 2Z" in out
    assert "2 shifts were proved, now refuted: (1,), (-1,)" in out
    assert {path.name for path in repository.iterdir()} == {".git", "models"}
    code, _, err = call(capfd, "diff", "models/other.py", "--rev", "HEAD~1", "HEAD")
    assert code == 2
    assert "there is no file models/other.py in the revision HEAD~1" in " ".join(err.split())
    code, _, err = call(capfd, "diff", "models/net.py", "--rev=--output=x", "HEAD")
    assert code == 2


@pytest.mark.slow
def test_a_model_is_compared_with_what_was_saved(capfd, tmp_path) -> None:
    (tmp_path / "net.py").write_text("def net(x):\n    return x[:, ::2]\n")
    before = saved(sp.verify(lambda x: x, (6, 1), name="net"), tmp_path / "before.json")
    code, out, err = call(capfd, "diff", before, tmp_path / "net.py", "--shape", 6, 1)
    assert code == 1, err
    assert "equivariance: 6/6 all shifts -> 3/6 2Z" in out
    code, out, err = call(capfd, "diff", before, tmp_path / "none.py")
    assert code == 2
    assert "there is no verdict on" in " ".join(err.split())


def test_what_is_refuted_numerically_says_so(tmp_path) -> None:
    verdict = sp.verify(lambda x: x[:, ::2], (4, 1), name="half")
    data = verdict.to_dict()
    found = data["outputs"][0]["equivariance"]
    found["refuted"], found["refuted_numerically"] = 0, found["refuted"]
    path = tmp_path / "verdict.json"
    path.write_bytes(plain_json(data))
    assert "2/4 2Z (2 refuted numerically)" in str(sp.compare(verdict, path))
