"""The benchmarks: rows of a schema, pairs that compute the same, learning that repeats, a report. No timings."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import msgspec
import numpy as np
import pytest

from benchmarks import exact, harness, layers, learning, report, zoo
from benchmarks.harness import Row, Rows, read_rows
from benchmarks.layers import Convolution, equal_pair, exponent, sweeps, too_large

FOLDER = Path(harness.__file__).parent
COMMITTED = sorted((FOLDER / "rows").rglob("*.jsonl"))


# --- rows ---


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_committed_rows_are_of_the_schema(path) -> None:
    rows = read_rows(path)
    assert rows
    for row in rows:
        assert row.part == path.stem
        assert (row.median, row.quartile_low, row.quartile_high) == harness.spread(row.samples)


def test_the_published_schema_is_that_of_the_rows() -> None:
    """`schema.json` is what other tools validate rows with."""
    assert json.loads((FOLDER / "schema.json").read_text()) == report.schema()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"unit":"s"', '"unit":7'),
        ('"unit":"s",', ""),
        ('"unit":"s"', '"unit":"s","more":1'),
        ("benchmark/2", "benchmark/1"),
        ("}", ""),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path, old, new) -> None:
    rows = Rows(tmp_path / "rows.jsonl", part="layers")
    rows.add("case", "figure", [1.0, 2.0], unit="s", size=3)
    text = rows.path.read_text()
    assert read_rows(rows.path) == rows.rows
    assert old in text
    rows.path.write_text(text + text.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2: "):
        read_rows(rows.path)


def test_a_row_tells_where_it_was_measured(tmp_path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", part="layers")
    rows.add("case", "figure", [3.0, 1.0, 2.0], unit="s")
    (row,) = rows.rows
    assert row.median == 2.0
    assert row.machine.jax == jax.__version__
    assert row.machine.git == harness._git("rev-parse", "HEAD")


def test_no_case_begins_after_the_end_and_what_is_left_out_is_said(tmp_path, capsys) -> None:
    rows = Rows(tmp_path / "rows.jsonl", part="layers", until=-math.inf)
    assert not list(rows.in_time(["a", "b"]))
    assert capsys.readouterr().out == "layers: no time for 2 of 2 cases.\n"
    assert list(Rows(rows.path, part="layers").in_time(["a", "b"])) == ["a", "b"]


def test_an_accelerator_tells_its_memory_and_clock(monkeypatch) -> None:
    told = subprocess.CompletedProcess([], 0, "143771, 1980\n")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: told)
    assert harness._of_accelerator() == (143771 * 2**20, 1980.0)


def test_what_is_off_on_a_device_is_counted(tmp_path, monkeypatch) -> None:
    exact.run(tmp_path / "rows.jsonl", quick=True, until=math.inf)
    assert [row.median for row in read_rows(tmp_path / "rows.jsonl")] == [0] * 7
    make, seeds = exact.Question, iter(range(9))
    monkeypatch.setattr(exact, "Question", lambda *given: make(*given[:-1], next(seeds)))
    rows = Rows(tmp_path / "wrong.jsonl", part="exact")
    exact._field(rows, "lenet-global")  # other residues are drawn the second time
    (row,) = rows.rows
    assert row.median > 0


def test_nothing_is_measured_where_residues_are_rounded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exact, "is_exact", lambda device: False)
    with pytest.raises(ValueError, match="rounds in float64: nothing else is measured"):
        exact.run(tmp_path / "rows.jsonl", quick=True, until=math.inf)


def test_a_compiled_program_takes_its_inputs_in_turn_and_folds_nothing_away() -> None:
    weights = np.ones((8, 8), np.float32)
    images = [np.full((2, 8), i, np.float32) for i in range(3)]
    program = harness.compile_program(lambda w, x: x @ w, [(weights, x) for x in images])
    results = [float(np.asarray(program.run())[0, 0]) for _ in range(4)]
    assert results == [0.0, 8.0, 16.0, 0.0]
    assert program.facts["flops_compiled"] == 2 * 2 * 8 * 8
    memory = program.facts["memory_bytes"]
    assert isinstance(memory, int)
    assert memory >= 4 * (64 + 16 + 16)  # weights are arguments, so they are counted


# --- a convolution and its matrix ---

FITTING = sorted(
    {case for _, case, _ in sweeps(quick=False) if case.size <= 40}, key=dataclasses.astuple
)


@pytest.mark.parametrize(
    "case", FITTING, ids=lambda case: "-".join(map(str, dataclasses.astuple(case)))
)
def test_a_convolution_and_its_matrix_give_the_same_bits(case) -> None:
    convolution, matrix, images = equal_pair(case)
    assert matrix[0].shape == (case.inputs, case.outputs)
    assert np.count_nonzero(matrix[0]) == np.count_nonzero(convolution[0]) * case.places**2
    assert images.shape == (case.batch, case.size, case.size, case.channels)


def test_a_matrix_that_is_off_by_one_entry_is_noticed(monkeypatch) -> None:
    right = Convolution.matrix

    def wrong(self, filters):
        matrix = right(self, filters)
        matrix[-1, -1] += 1
        return matrix

    monkeypatch.setattr(Convolution, "matrix", wrong)
    with pytest.raises(ArithmeticError, match="differ on integers"):
        equal_pair(Convolution(size=6))


def test_sums_that_a_format_rounds_are_refused() -> None:
    with pytest.raises(ArithmeticError, match="rounded in bfloat16"):
        equal_pair(Convolution(size=8, kernel=8, channels=8, dtype="bfloat16"))


def test_the_question_has_39_parameters() -> None:
    assert layers.QUESTION.weights == 39
    assert (layers.QUESTION.inputs, layers.QUESTION.outputs) == (2352, 2187)


def test_a_matrix_that_does_not_fit_is_left_out_with_the_reason() -> None:
    assert not too_large(Convolution(size=8))
    assert "the matrix of the convolution has 3,000,000 x 2,994,003 entries" in too_large(
        Convolution(size=1000)
    )


def test_exponents_are_fitted_with_their_error() -> None:
    slope, error = exponent([1, 2, 4, 8, 16], [1.0, 4.4, 15.0, 66.0, 250.0])
    assert abs(slope - 2) < 0.05
    assert 0 < error < 0.05


# --- learning ---

TINY = learning.Plan(seeds=2, sizes=(20, 60), test=50, steps=12, batch=8)


@pytest.fixture(scope="module")
def digits() -> learning.Digits:
    return learning.load(None)


def learnt(path: Path, kind: learning.Kind, digits: learning.Digits) -> list[Row]:
    rows = Rows(path, part="learning")
    learning.learn(rows, kind, TINY, digits)
    return [row for row in rows.rows if row.unit == "%"]


def test_learning_repeats_from_its_seeds(tmp_path, digits) -> None:
    kind = learning.kinds(digits.canvas)[0]
    first, again = (learnt(tmp_path / name, kind, digits) for name in "ab")
    assert [row.samples for row in first] == [row.samples for row in again]
    assert len({tuple(row.samples) for row in first}) > 1


def test_a_cnn_without_stride_is_as_good_everywhere_as_in_the_middle(tmp_path, digits) -> None:
    """And the one with strides is not: so says the lattice, and so does training."""
    strided, dense_pool = learning.kinds(digits.canvas)[:2]
    maps = {}
    for kind in (strided, dense_pool):
        rows = learnt(tmp_path / kind.name, kind, digits)
        maps[kind.name] = np.array(
            next(r for r in rows if "trained centred" in r.figure).facts["map"]
        )
    assert np.ptp(maps[dense_pool.name]) == 0
    middle = maps[strided.name][4, 4]
    np.testing.assert_array_equal(maps[strided.name][::4, ::4], middle)  # two strides of two
    assert np.ptp(maps[strided.name]) > 0


def test_dense_networks_are_of_equal_size_or_width(digits) -> None:
    named = {kind.name: kind for kind in learning.kinds(digits.canvas)}
    cnn = named["CNN, pool stride 2"]
    convolutional = [kind for name, kind in named.items() if name.startswith("CNN")]
    assert len(convolutional) == 4
    assert {kind.parameters for kind in convolutional} == {cnn.parameters}
    assert abs(named["dense, as many parameters"].parameters / cnn.parameters - 1) < 0.1
    assert (
        named["dense, as wide"].shapes["hidden"][1] == 8 * digits.canvas**2
    )  # the CNN's first map


# --- the report and the command ---


def test_a_report_is_made_of_the_committed_rows(tmp_path) -> None:
    written = report.write(COMMITTED, tmp_path)
    names = {path.name for path in written}
    assert {"report.html", "layers.png", "learning.png", "placements.png"} <= names
    page = (tmp_path / "report.html").read_text()
    for row in read_rows(COMMITTED[0])[:5]:
        assert f"{row.median:.4g}" in page


def test_rows_of_several_machines_stand_side_by_side(tmp_path) -> None:
    rows = read_rows(FOLDER / "rows" / "layers.jsonl")
    other = [
        msgspec.structs.replace(r, machine=msgspec.structs.replace(r.machine, jax="9.9"))
        for r in rows
    ]
    path = tmp_path / "other.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, other)))
    report.write([FOLDER / "rows" / "layers.jsonl", path], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "jax 9.9" in page
    assert rows[0].machine.label in page


BAD = {
    "unknown part": (
        ["nonsense"],
        "there is no part 'nonsense'; there are exact, layers, learning",
    ),
    "too large": (
        ["layers", "--sizes", "1000"],
        "size 1000, forward: the matrix of the convolution has",
    ),
    "too small": (["layers", "--sizes", "1"], "size 1 is smaller than the kernel"),
    "few repeats": (["sweep", "--repeats", "2"], "--repeats must be at least 5"),
    "no folder": (
        ["sweep", "--out", "no/such/folder/rows.jsonl"],
        "rows cannot be written to no/such/folder",
    ),
    "no device": (["layers", "--device", "tpu"], "there is no device 'tpu' that JAX can use here"),
    "no rows": (["report", "missing.jsonl"], "missing.jsonl"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_one_clear_message(name, tmp_path) -> None:
    arguments, message = BAD[name]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), *filter(None, sys.path)]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


# --- families ---


def family(name: str):
    (found,) = (f for f in zoo.all_families() if f.name == name)
    return found


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet, nnx", (32, 32, 3)),
        ("wavenet", (32, 1)),
        ("conv lstm, nnx", (3, 32, 32, 1)),
        ("vit, nnx", (8, 8, 3)),  # a table of positions has one size
        ("v-net", (4, 4, 4, 1)),  # three axes of 32 are too many shifts
    ],
)
def test_a_family_is_measured_at_32_pixels_where_it_takes_them(name, shape) -> None:
    assert zoo.shape_of(family(name), family(name).build()) == shape


def test_a_family_has_a_row_for_every_figure_and_a_line_in_the_report(
    tmp_path, monkeypatch
) -> None:
    life = family("game of life")
    monkeypatch.setattr(zoo, "all_families", lambda: [life])
    monkeypatch.setattr(zoo, "SIZE", 6)
    monkeypatch.setattr(
        zoo, "forget_compiled", lambda: None
    )  # what the other tests compiled is kept
    zoo.run(tmp_path / "zoo.jsonl", repeats=2, quick=False, until=math.inf)
    rows = {row.figure: row for row in read_rows(tmp_path / "zoo.jsonl")}
    assert set(rows) == {*zoo.STAGES.values(), zoo.FIRST, zoo.AGAIN, zoo.BRUTE, zoo.RATIO}
    assert len(rows["analysis"].samples) == 2
    facts = rows[zoo.FIRST].facts
    assert (facts["shifts"], facts["proved"], facts["refuted"], facts["undecided"]) == (
        36,
        37,
        35,
        0,
    )
    (line,) = zoo.family_table(rows.values()).rows
    assert line[:5] == ("game of life", "6x6x1", "37", "35", "0")
    page, *_ = report.write([tmp_path / "zoo.jsonl"], tmp_path / "report")
    assert "game of life" in page.read_text()


def test_the_quick_families_exist() -> None:
    assert {*zoo.QUICK} <= {f.name for f in zoo.all_families()}
