"""The notebooks for students run, print what stands in them, and their exercises know right from wrong."""

import base64
import re
import shlex
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from notebooks import executed, exercises, read, shown

from shiftproof import cli
from shiftproof.notebooks import NOTEBOOKS

PNG = b"\x89PNG\r\n\x1a\n"

WRONG = {
    "1-what-is-a-shift.ipynb": {
        "shift": ["shift = (1, 2)", "shift = (2, -1)"],
        "both": ["both = (9, 9)", "both = (3, 4)"],
        "pixels": ["pixels = 4", "pixels = 1"],
        "mine": ["mine = lambda x: x", "mine = lambda x: x[:, 0, 0]"],
    },
    "2-where-pooling-breaks-it.ipynb": {
        "shifts_kept": ["shifts_kept = [0, 2]", "shifts_kept = list(range(8))"],
        "number": ["number = 196", "number = 784"],
        "my_pool": ["my_pool = pool", "my_pool = maximum"],
    },
    "3-repair-your-own-network.ipynb": {
        "invariant": ["invariant = 16", "invariant = 64"],
        "pool": ["pool = lambda x: sp.layers.max_pool(x, 2, 2)"],
        "my_network": [
            "my_network = lambda x: nnx.max_pool(x, (2, 2), (2, 2)).max((1, 2, 3)) + x[:, 0, 0, 0]"
        ],
    },
}
"""Answers that students give."""

NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


def differences(recorded, found) -> list[tuple[str, object, object]]:
    """The cells that print something else than what was recorded."""
    pairs = zip(recorded.cells, found.cells, strict=True)
    code = [(a, b) for a, b in pairs if a.cell_type == "code"]
    return [(a.source, shown(a), shown(b)) for a, b in code if shown(a) != shown(b)]


def test_there_are_three() -> None:
    assert list(WRONG) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_prints_what_stands_in_it_and_checks_its_exercises(name, tmp_path) -> None:
    notebook = read(name)
    asked = exercises(notebook)
    assert {exercise.name for exercise in asked} == set(WRONG[name])
    answers = {e.cell: list(map(e.filled, [e.answer, *WRONG[name][e.name]])) for e in asked}
    found = executed(notebook, tmp_path, answers)
    assert differences(notebook, found) == []
    for exercise in asked:
        right, *wrong = found.cells[exercise.cell].metadata["told"]
        assert right.endswith("Right.\n"), right
        assert all(told.startswith("AssertionError: ") for told in wrong), wrong


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_with_its_outputs_and_nothing_of_the_machine(name) -> None:
    text = (NOTEBOOKS / name).read_text("utf-8")
    notebook = read(name)
    nbformat.validate(notebook)
    assert len(text) < 400_000
    assert not re.search(r"/(tmp|home|root|work|Users)/|ipykernel|\bseconds\b", text)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, 1 + len(code)))
    assert all(cell.metadata == {} for cell in notebook.cells)
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.get("name") != "stderr" for output in outputs)
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    assert all(base64.b64decode(picture).startswith(PNG) for picture in pictures)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_begins_with_the_two_definitions_and_its_links_resolve(name) -> None:
    first, *others = read(name).cells
    assert "`f(T x) = T' f(x)`" in first.source
    assert "`f(T x) = f(x)`" in first.source
    texts = "".join(cell.source for cell in (first, *others) if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)]+)\)", texts):
        assert (NOTEBOOKS / target).is_file(), target


# --- and where they do not ---


def notebook_of(*sources: str):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


@pytest.mark.slow
def test_a_wrong_claim_is_noticed(tmp_path) -> None:
    true = "kept = [s for s in range(8) if s % 2 == 0]\nprint('the pool keeps', len(kept), 'of 8')"
    recorded = executed(notebook_of("import math", true), tmp_path)
    claimed = nbformat.from_dict(recorded)
    claimed.cells[1].outputs[0].text = "the pool keeps 8 of 8\n"
    found = executed(claimed, tmp_path)
    assert differences(recorded, found) == []
    assert [source for source, _, _ in differences(claimed, found)] == [true]
    with pytest.raises(CellExecutionError, match="AssertionError"):
        executed(notebook_of(true, "assert len(kept) == 8"), tmp_path)


def test_a_missing_picture_is_noticed() -> None:
    drawn = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": "", "text/plain": "<Figure>"},
    }
    with_picture, without = notebook_of("draw()"), notebook_of("draw()")
    with_picture.cells[0].outputs = [nbformat.from_dict(drawn)]
    assert differences(with_picture, with_picture) == []
    assert differences(with_picture, without)


# --- the command ---


def call(capsys, command: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(shlex.split(command)[1:])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, " ".join(captured.err.split())


def test_the_command_copies_them_and_says_how_to_open_them(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jupyterlab", SimpleNamespace(__spec__=object()))
    code, out, err = call(capsys, "shiftproof notebooks")
    assert (code, err) == (0, "")
    folder = tmp_path / "shiftproof-notebooks"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert all((folder / name).read_bytes() == (NOTEBOOKS / name).read_bytes() for name in NAMES)
    assert out.endswith(f"To open them: jupyter lab shiftproof-notebooks/{NAMES[0]}\n")
    assert "pip install" not in out


def test_the_command_says_what_is_missing(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _, out, _ = call(capsys, f"shiftproof notebooks --out {tmp_path}")
    told = " ".join(out.split())
    assert "They need jupyterlab and scikit-learn: pip install jupyterlab scikit-learn" in told
    assert 'pip install -e ".[notebooks]"' in told


def test_answers_of_a_student_are_never_overwritten(capsys, tmp_path) -> None:
    assert call(capsys, f"shiftproof notebooks --out {tmp_path}")[0] == 0
    assert call(capsys, f"shiftproof notebooks --out {tmp_path}")[0] == 0  # nothing was changed
    (tmp_path / NAMES[0]).unlink()
    (tmp_path / NAMES[1]).write_text("my answers")
    code, out, err = call(capsys, f"shiftproof notebooks --out {tmp_path}")
    assert (code, out) == (2, "")
    assert err.count("error:") == 1
    assert f"{NAMES[1]} is there already" in err.replace(" -", "-")
    assert "choose another folder by --out" in err
    assert (tmp_path / NAMES[1]).read_text() == "my answers"
    assert not (tmp_path / NAMES[0]).exists()


def test_a_folder_that_is_a_file_is_told(capsys, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = call(capsys, f"shiftproof notebooks --out {tmp_path / 'file'}")
    assert code == 2
    assert err.startswith("error:")
    assert "is a file: pass a folder" in err
