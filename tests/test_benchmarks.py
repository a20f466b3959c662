"""The benchmarks: rows of a schema, pairs that compute the same, learning that repeats, a report. No timings."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import msgspec
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import compare, exact, harness, layer_plots, layers, learning, plots, report, zoo
from benchmarks.harness import Row, Rows, read_rows
from benchmarks.layers import Convolution, Roof, equal_pair, exponent, sweeps, too_large
from tests.chromium import Browser, needs_chromium

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
    assert json.loads((FOLDER / "schema.json").read_text()) == harness.schema()


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_learning_repeats_from_its_seeds(tmp_path, digits) -> None:
    kind = learning.kinds(digits.canvas)[0]
    first, again = (learnt(tmp_path / name, kind, digits) for name in "ab")
    assert [row.samples for row in first] == [row.samples for row in again]
    assert len({tuple(row.samples) for row in first}) > 1


@pytest.mark.slow
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


@pytest.mark.slow
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


# --- numbers as people read them ---


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.794e11, "FLOP/s", "179 GFLOP/s"),
        (6.16e9, "B/s", "6.16 GB/s"),
        (3.2e12, "B/s", "3.2 TB/s"),
        (0.00047, "s", "470 µs"),
        (0.0333, "s", "33.3 ms"),
        (347.6, "us", "348 µs"),
        (4500, "us", "4.5 ms"),
        (245288, "B", "245 kB"),
        (17400, "1/s", "17,400 /s"),
        (0.0000123, "ratio", "0.0000123"),
        (99.97, "%", "100 %"),
        (0, "count", "0"),
    ],
)
def test_quantities_have_no_exponents(value, unit, text) -> None:
    assert harness.quantity(value, unit) == text


# --- the roof ---


@pytest.fixture
def rows(tmp_path) -> Rows:
    return Rows(tmp_path / "rows.jsonl", part="layers")


def add_roof(rows: Rows) -> None:
    rows.add("roof, float32", "matrix product", [90e9, 100e9], unit="FLOP/s", dtype="float32")
    for size, rate in ((2**16, 2e9), (2**20, 50e9), (2**24, 40e9), (2**28, 10e9)):
        rows.add("roof", f"reading {size}", [rate], unit="B/s", bytes=size)


def add_pass(rows: Rows, seconds: float, *, flops: int = 1, size: int = 1) -> Row:
    facts = {"dtype": "float32", "flops": flops, "bytes": size, "size": 28, "direction": "forward"}
    rows.add("equal function, size 28, forward", "its matrix", [seconds], unit="s", **facts)
    return rows.rows[-1]


def test_the_roof_is_that_of_the_cache_which_holds_the_bytes(rows) -> None:
    """A pass on 2 MiB at 30 GB/s is honest: memory reads at 10 GB/s, the cache at 50."""
    add_roof(rows)
    roof = Roof.of(rows.rows)
    cached, large = (add_pass(rows, size / 30e9, size=size) for size in (2**21, 2**29))
    assert roof.least_seconds(cached) == 2**21 / 50e9
    assert roof.least_seconds(large) == 2**29 / 10e9
    assert (roof.least_seconds(cached) or 1) < cached.median
    assert (roof.least_seconds(large) or 0) > large.median  # faster than any memory: told of below
    # what is below the smallest block, or between two, takes the best that may hold it
    assert [roof.bandwidth(size) for size in (1, 2**17, 2**24, 2**27)] == [50e9, 50e9, 40e9, 40e9]
    assert roof.least_seconds(add_pass(rows, 1, flops=10**12)) == 10
    assert Roof.of([]).least_seconds(cached) is None


def test_a_memory_that_knows_no_caches_would_put_that_pass_above_the_roof(rows) -> None:
    rows.add("roof, float32", "matrix product", [100e9], unit="FLOP/s", dtype="float32")
    rows.add("roof", "reading 256 MiB", [10e9], unit="B/s", bytes=2**28)
    roof, names = Roof.of(rows.rows), {rows.machine.label: "this"}
    cached = add_pass(rows, 2**21 / 30e9, size=2**21)
    assert (roof.least_seconds(cached) or 0) > cached.median
    drawn = {b.name: b for b in layer_plots.draw_layers(rows.rows, names) if hasattr(b, "name")}
    assert (
        "Above the roof: 1 of 1 passes, at most 300 %: the machine" in drawn["layers-roof"].answer
    )


@pytest.mark.slow
def test_the_roof_is_measured_before_and_after_the_layers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(layers, "HIDDEN", (10,))
    monkeypatch.setattr(layers, "BLOCKS", (2**16, 2**18))
    layers.run(tmp_path / "rows.jsonl", repeats=5, quick=True, until=math.inf, sizes=[4])
    found = read_rows(tmp_path / "rows.jsonl")
    assert all(row.facts["quick"] is True for row in found)
    names = [row.figure for row in found if row.case.startswith("roof")]
    assert names[:4] == ["matrix product", "matrix product", "reading 64 KiB", "reading 256 KiB"]
    assert names[4:] == names[:4]
    assert [row.case.startswith("roof") for row in found] == [True] * 4 + [False] * 9 + [True] * 4
    roof = Roof.of(found)
    assert all((roof.least_seconds(row) or 0) > 0 for row in found if row.unit == "s")


# --- the report ---


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """The report of all committed rows, of three machines."""
    folder = tmp_path_factory.mktemp("report")
    written = report.write(COMMITTED, folder)
    assert sorted(written) == sorted(folder.iterdir())
    return folder


@pytest.mark.slow
def test_every_figure_is_there_as_svg_and_png_with_its_answer(committed) -> None:
    names = {path.stem for path in committed.glob("*.svg")}
    assert names == {path.stem for path in committed.glob("*.png")}
    assert {"layers-time", "layers-ratio", "learning-gap", "placements", "sweep-chunks"} <= names
    page = (committed / "report.html").read_text()
    assert page.count("<img") == len(names)
    captions = re.findall("<figcaption>(.+?)</figcaption>", page, re.S)
    assert len(captions) >= len(names)
    assert all(re.search(r"\d", caption) for caption in captions)


def test_the_report_is_written_in_plain_numbers(committed) -> None:
    page = re.sub('src="data:[^"]*"', "", (committed / "report.html").read_text())
    text = page[page.index("<main>") :]
    assert not re.search(r"\de[+-]?\d", re.sub("<td[^>]*>[0-9a-f, ]{10,}.*?</td>", "", text))
    for words in ("GFLOP/s", "GB/s", " ms", " µs", "TFLOP/s"):
        assert words in text
    for svg in committed.glob("*.svg"):
        # a tick such as 6x10^-1 is drawn in mathtext
        assert "mathdefault" not in svg.read_text(), svg.name


def overlaps(figure, legend) -> bool:
    figure.canvas.draw()
    return figure.axes[0].bbox.overlaps(legend.get_window_extent())


def test_legends_stand_beside_the_data_and_ticks_are_plain() -> None:
    figure, axes = plots.blank("How long is it?")
    values = np.array([[0.4, 0.3, 0.5], [0.7, 0.6, 0.8]])
    plots.curves(axes, {"a": ([1, 2], values), "b": ([1, 2], values + 0.1)})
    plots.finish(figure, axes, log="y")
    assert not overlaps(figure, figure.legends[0])
    plain = [text.get_text() for text in axes.get_yticklabels()]
    assert "0.5" in plain
    assert not any("$" in text for text in plain)
    # matplotlib's own would do neither
    figure, axes = plots.blank("How long is it?")
    plots.curves(axes, {"a": ([1, 2], values), "b": ([1, 2], values + 0.1)})
    axes.set_yscale("log")
    assert overlaps(figure, axes.legend())
    labels = axes.get_yticklabels() + axes.get_yticklabels(minor=True)
    assert any("$" in text.get_text() for text in labels)


def test_an_answer_is_computed_of_the_rows(committed) -> None:
    page = (committed / "report.html").read_text()
    rows = {(r.case, r.figure): r for r in read_rows(FOLDER / "rows" / "layers.jsonl")}
    ratio = rows["equal function, size 80, forward", "its matrix / convolution"].median
    assert f"({ratio:.1f} times as fast at 80)" in page
    assert "AMD EPYC, 2 cores: forward, the matrix wins up to" in page
    assert "Shares of what the machine can do at most are left out" in page  # rows of before


@pytest.mark.slow
def test_what_is_missing_is_named_with_its_command_and_nothing_is_empty(
    committed, tmp_path
) -> None:
    page = (committed / "report.html").read_text()
    assert "hold no rows of zoo." in page
    assert "python -m benchmarks zoo" in page
    report.write([FOLDER / "rows" / "field.jsonl"], tmp_path)
    alone = (tmp_path / "report.html").read_text()
    assert "hold no rows of exact, layers, learning, sweep, verify, command, zoo, scale." in alone
    assert "python -m benchmarks zoo\npython -m benchmarks scale" in alone
    for text in (page, alone):
        assert not re.findall(r"<tbody>\s*</tbody>", text)
        assert text.count("<td>device</td>") == 1  # one machine box
        headings = re.findall("<h2>(.*?)</h2>", text)
        assert len(headings) == len(set(headings))
    assert "Sweeps" in page
    assert "Sweeps" not in alone


def test_runs_in_one_file_are_taken_together(rows, tmp_path) -> None:
    for seconds in (1.0, 3.0, 5.0):
        add_pass(rows, seconds)
    (row,) = report._pooled(rows.rows)
    assert (row.median, row.samples) == (3.0, [1.0, 3.0, 5.0])
    assert report._pooled(rows.rows[:1]) == rows.rows[:1]


def test_a_report_of_a_quick_run_says_so(tmp_path) -> None:
    for quick in (True, False):
        made = Rows(tmp_path / f"{quick}.jsonl", part="sweep", quick=quick)
        made.add("lenet", "sweep", [1.0], unit="s")
        report.write([made.path], tmp_path)
        assert ("QUICK RUN (all of 1 figures)" in (tmp_path / "report.html").read_text()) is quick


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_of_the_report_is_wider_than_the_window(committed, width) -> None:
    with Browser() as browser:
        page = browser.open(committed / "report.html", width=width)
        assert page.outside() == []
        assert page.errors == []
        assert page.requests == []
        narrow = "[...document.images].filter(i => i.getBoundingClientRect().width < 340).length"
        assert page.value(narrow) == 0
        page.value("void (document.querySelector('img').style.minWidth = '2000px')")
        assert page.value("document.querySelector('.plate').style.overflow = 'visible'")
        assert page.outside() != []


@pytest.mark.slow
def test_rows_of_several_machines_stand_side_by_side(tmp_path) -> None:
    rows = read_rows(FOLDER / "rows" / "field.jsonl")
    other = [
        msgspec.structs.replace(r, machine=msgspec.structs.replace(r.machine, jax="9.9"))
        for r in rows
    ]
    path = tmp_path / "other.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, other)))
    report.write([FOLDER / "rows" / "field.jsonl", path], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "jax 9.9" in page
    assert rows[0].machine.label in page


# --- old against new ---


def write_rows(path: Path, scale: float = 1, *, jax: str = "", **samples: list[float]) -> Path:
    """Rows of one case: by figure its samples, times a scale."""
    rows = Rows(path, part="layers")
    if jax:
        rows.machine = msgspec.structs.replace(rows.machine, jax=jax)
    for figure, found in samples.items():
        unit = "MiB" if figure == "memory" else "FLOP/s" if figure == "rate" else "s"
        rows.add("case", figure, [scale * s for s in found], unit=unit)
    return path


STEADY = [1.0, 1.01, 0.99, 1.0, 1.02]
WILD = [1.0, 1.9, 0.3, 1.0, 2.5]


@pytest.fixture
def compared(tmp_path, capsys):
    def call(scale: float = 1, fail_if: float | None = None, *, jax: str = "", **samples):
        old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
        old.unlink(missing_ok=True)
        new.unlink(missing_ok=True)
        write_rows(old, **samples)
        write_rows(new, scale, jax=jax, **samples)
        code = compare.compare(old, new, fail_if=fail_if)
        return code, capsys.readouterr().out

    return call


@pytest.mark.parametrize(
    ("scale", "samples", "code", "told"),
    [
        (1.5, STEADY, 1, "1 figure compared: 1 slower."),
        (1.1, STEADY, 0, "1 figure compared: 1 slower."),
        (1, STEADY, 0, "1 figure compared: 1 noise."),
        (0.5, STEADY, 0, "1 figure compared: 1 faster."),
        (1.5, WILD, 0, "1 figure compared: 1 noise."),  # the ratio is above 1.2, its spread is not
        (1.5, [1.0], 0, "1 figure compared: 1 no spread."),
    ],
)
def test_a_ratio_fails_only_beyond_its_spread(compared, scale, samples, code, told) -> None:
    found, out = compared(scale, 1.2, forward=samples)
    assert found == code
    assert told in out
    assert ("above 1.2: layers, case, forward: 1.5" in out) is bool(code)
    assert ("No ratio is above 1.2" in out) is not code
    assert compared(scale, None, forward=samples)[0] == 0


def test_spreads_are_of_the_quartiles(tmp_path) -> None:
    rows = [read_rows(write_rows(tmp_path / f"{k}", k, forward=[1, 2, 3, 4, 5])) for k in (1, 2)]
    pair = compare._pair(*rows)
    assert (pair.ratio, pair.low, pair.high) == (2, 3 / 4.5, 9 / 1.5)


def test_memory_has_no_spread_and_rates_are_not_compared(compared) -> None:
    code, out = compared(1.5, 1.2, memory=[7.0], rate=STEADY)
    assert code == 1
    assert "above 1.2: layers, case, memory: 1.5" in out
    assert "1 figure compared: 1 larger." in out
    assert "1 figure compared: 1 same." in compared(1, 1.2, memory=[7.0])[1]


def test_runs_of_one_file_are_pooled(tmp_path, capsys) -> None:
    """A second run that was slower widens the spread: what one run called slower is noise."""
    old, new = write_rows(tmp_path / "old", a=STEADY), write_rows(tmp_path / "new", 1.5, a=STEADY)
    assert compare.compare(old, new, fail_if=1.2) == 1
    write_rows(old, 1.5, a=STEADY)
    assert compare.compare(old, new, fail_if=1.2) == 0
    assert capsys.readouterr().out.count("1 noise") == 1


def test_what_one_file_alone_holds_is_said(tmp_path, capsys) -> None:
    old = write_rows(tmp_path / "old", a=STEADY, b=STEADY)
    new = write_rows(tmp_path / "new", a=STEADY)
    assert compare.compare(old, new) == 0
    out = capsys.readouterr().out
    assert "only in old: layers, 1 case: case" in out
    assert "only in new" not in out


def test_machines_that_differ_are_a_warning(compared) -> None:
    assert "warning: the machines differ" not in compared(a=STEADY)[1]
    told = " ".join(compared(a=STEADY, jax="9.9")[1].split())
    assert f"warning: the machines differ in jax ({jax.__version__} and 9.9)" in told
    assert "jax, jaxlib" in told  # the box


def test_other_tasks_and_other_devices_are_other_rows(tmp_path) -> None:
    old, new = (Rows(tmp_path / name, part="learning") for name in ("old", "new"))
    old.add("cnn", "training", STEADY, unit="s", steps=40)
    new.add("cnn", "training", STEADY, unit="s", steps=400)
    with pytest.raises(ValueError, match="in common: old holds learning on cpu; new holds"):
        compare.compare(old.path, new.path)
    new.add("cnn", "training", STEADY, unit="s", steps=40)
    assert compare.compare(old.path, new.path) == 0


ROWS = FOLDER / "rows"


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ((ROWS / "layers.jsonl", "missing.jsonl"), [], "missing.jsonl: No such file"),
        ((ROWS / "layers.jsonl", ROWS / "layers.jsonl"), [], "is compared with itself"),
        ((ROWS / "layers.jsonl", FOLDER / "README.md"), [], "README.md, line 1: JSON is malformed"),
        ((ROWS / "layers.jsonl", os.devnull), [], "holds no rows"),
        ((ROWS / "layers.jsonl", ROWS / "nvidia-h200/layers.jsonl"), [], "in common"),
        ((ROWS / "layers.jsonl", ROWS / "field.jsonl"), ["--fail-if", "0.5"], "at least 1"),
    ],
)
def test_what_cannot_be_compared_is_one_message(files, options, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "compare", *map(str, files), *options])
    assert command.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert message in " ".join(told.err.split())


def test_another_schema_is_refused(tmp_path, monkeypatch, capsys) -> None:
    old, new = write_rows(tmp_path / "old", a=STEADY), tmp_path / "new"
    new.write_text(old.read_text().replace("benchmark/2", "benchmark/1"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "compare", str(old), str(new)])
    assert command.main() == 2
    assert "rows have the schema shiftproof.benchmark/2" in " ".join(
        capsys.readouterr().err.split()
    )


def test_a_regression_exits_with_1(tmp_path, monkeypatch, capsys) -> None:
    old, new = write_rows(tmp_path / "old", a=STEADY), write_rows(tmp_path / "new", 2, a=STEADY)
    for options, code in (["--fail-if", "1.2"], 1), (["--fail-if", "3"], 0), ([], 0):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "compare", str(old), str(new), *options])
        assert command.main() == code
    assert "above 1.2" in capsys.readouterr().out


# --- the command ---


def test_a_quick_run_trains_nothing_and_says_that_it_is_quick(
    monkeypatch, capsys, tmp_path
) -> None:
    """Networks that are trained for seconds would say that dense ones win (H3)."""
    ran: list[tuple[str, bool]] = []
    for part in command.PARTS:
        call = lambda c, part=part: ran.append((part.__name__, c.quick))  # noqa: E731
        monkeypatch.setitem(command.RUNS, part, call)
    monkeypatch.chdir(tmp_path)
    for options, quick in ([], False), (["--quick"], True):
        ran.clear()
        monkeypatch.setattr(sys, "argv", ["benchmarks", *options])
        assert command.main() == 0
        names = [
            part.__name__ for part in command.PARTS if not quick or part.__name__ != "Learning"
        ]
        assert ran == [(name, quick) for name in names]
        assert capsys.readouterr().out.count("quick run: small cases") == 2 * quick
    monkeypatch.setattr(sys, "argv", ["benchmarks", "learning", "--quick"])
    assert command.main() == 2
    assert "error: learning has no quick run" in capsys.readouterr().err


def test_help_shows_all_commands_and_the_quick_run(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.main()
    told = capsys.readouterr().out
    for kind in command.COMMANDS:
        assert f"• {kind.__name__.lower()} " in told
    assert "$ python -m benchmarks --quick            small" in told
    assert "$ python -m benchmarks compare OLD NEW " in told


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
def test_bad_input_gets_one_clear_message(name, tmp_path, monkeypatch, capsys) -> None:
    arguments, message = BAD[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    assert command.main() == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert message in " ".join(told.split())
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_the_command_runs_in_any_folder_and_exits_with_its_code(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "report", "missing.jsonl"],
        cwd=tmp_path,
        # not sys.path, to which other tests add folders of theirs
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (FOLDER.parent, FOLDER.parent / "src"))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: missing.jsonl: No such file or directory.\n"


# --- families ---


def family(name: str):
    (found,) = (f for f in zoo.all_families() if f.name == name)
    return found


@pytest.mark.slow
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


@pytest.mark.slow
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
