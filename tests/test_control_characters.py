"""What strangers name is printed so that it shows, and never so that it acts (G5).

Names of models, layers and outputs, paths, fields of files and messages of a user's code: none may move the cursor of a
terminal, forge a line of ours, turn the direction of writing, break out of a page, or stop us by half a character.
"""

import contextlib
import dataclasses
import html.parser
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import rich.console
from flax import nnx

import shiftproof as sp
from shiftproof import data, messages, plain, pytest_plugin
from shiftproof.certificate import Certificate
from shiftproof.cli import main
from shiftproof.errors import InputError, ResumeError, ShiftproofWarning
from shiftproof.files import file_name, plain_json
from shiftproof.progress import reporting
from shiftproof.records import record_of, settle
from shiftproof.refuting.counterexample import load_counterexample
from shiftproof.report.html import Prose, Section, render_report
from shiftproof.report.pages import report_sweep
from shiftproof.report.tables import Table
from shiftproof.report.verdict_page import report_verdict
from shiftproof.sweeping.result import load_sweep
from shiftproof.sweeping.store import Plan, Store
from shiftproof.terminal import Console
from shiftproof_kernel import check_text

KINDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of what acts, or stands for no character: controls, formats, surrogates, lines, paragraphs."""

FORGED = "proved: equivariance of all"
LETTERS = "éλ"
WILD = (
    f"a\x1b[2J\x1b]0;title\x07\r{FORGED}\n{FORGED}\u2028{FORGED}\u2029\x85{FORGED}\u202e\u200b\x9b1m\x7f\ufeff"
    f"{LETTERS}"
)
"""A name that acts. A class can have it."""
WILDER = f"{WILD}\x00\ud800\U000e0001"
"""More than a class may be called."""
BREAKOUT = "</script></pre><b x=\"'><img src=x onerror=y>"
"""A name that would become part of a page."""


def acting(text: str) -> list[str]:
    """What acts in a text, and the lines that it forges; none is right."""
    found = [f"U+{ord(c):04X}" for c in text if c != "\n" and unicodedata.category(c) in KINDS]
    return found + [FORGED for line in text.split("\n") if line.startswith(FORGED)]


def assert_plain(text: str, *, shows: bool = True) -> None:
    assert text
    assert not acting(text), ascii(text)
    if shows:  # what a stranger wrote is seen, and letters are left as they are
        assert "x1b" in text
        assert LETTERS in text


class Net(nnx.Module):
    """Its convolution, its output and its class have names that act."""

    def __init__(self, name: str) -> None:
        self.layer = name
        setattr(self, name, nnx.Conv(1, 1, (3, 3), padding="SAME", rngs=nnx.Rngs(0)))

    def __call__(self, x):
        moved = nnx.max_pool(getattr(self, self.layer)(x), (2, 2), (2, 2))
        return {self.layer + "\x00\ud800": moved, "mean": moved.mean((1, 2))}


SHAPE = (8, 8, 1)


def make(name: str = WILD) -> Net:
    return type(name, (Net,), {})(name)


@pytest.fixture(scope="module")
def model() -> Net:
    return make()


@pytest.fixture(scope="module")
def verdict(model) -> sp.Verdict:
    return sp.verify(model, SHAPE)


@pytest.fixture(scope="module")
def swept(model) -> sp.Sweep:
    return sp.sweep(model, SHAPE)


FILE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_control_characters as t
def make(): return t.make()
def fails(): raise RuntimeError(t.WILDER)
def picky(x): raise TypeError(t.WILDER)
def unhashable(x): return {{t.WILDER: "a text"}}
setattr(sys.modules[__name__], t.WILD, make)
"""


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / f"m{WILD[:40].replace('/', '')}{LETTERS}.py"
    path.write_text(FILE)
    return path


# --- the function ---


@pytest.mark.slow
def test_every_character_is_shown_or_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        shown = plain.plain(chr(code))
        assert shown.isprintable()
        assert not any(unicodedata.category(c) in KINDS for c in shown)
        if unicodedata.category(chr(code))[0] in "LMNPS":
            assert shown == chr(code)
        assert plain.plain(shown) == shown


def test_escapes_are_those_of_python() -> None:
    for wild in (WILDER, "\x1b\u202e\U000e0001\ud800\x00"):
        assert plain.plain(wild).encode().decode("unicode_escape", "strict").isprintable() is False
    assert plain.plain("日本") == "日本"
    assert plain.plain("\x1b\x9b\u202e\n\x00") == r"\x1b\x9b\u202e\n\x00"
    assert plain.plain_lines("a\n\tb") == "a\n\\tb"


def test_a_strangers_line_break_begins_no_line() -> None:
    assert acting(WILD)
    assert_plain(plain.plain(WILD))
    assert_plain(plain.hanging(WILD))
    assert acting(plain.plain_lines(WILD)) == [FORGED]  # for line breaks that are ours
    assert plain.hanging("a\n  b\n\nc") == "a\n  b\n\n  c"


def test_data_is_plain_all_through() -> None:
    told = plain_json({WILDER: [WILDER, {"x": (WILDER, 1, None)}]}).decode()
    assert_plain(told)
    assert_plain(json.dumps(json.loads(told), ensure_ascii=False))


# --- results ---


@pytest.mark.slow
def test_results_print_plain(model, verdict, swept) -> None:
    why = sp.counterfactuals(model, SHAPE)
    answer = sp.explain(verdict, model, SHAPE)
    for result in (verdict, swept, why, answer, verdict.outputs[0].equivariance):
        assert_plain(str(result), shows=result is not verdict.outputs[0].equivariance)
        assert not acting(repr(result))
    for told in (verdict.to_dict(), swept.to_json(), why.to_dict()):
        assert_plain(json.dumps(told, ensure_ascii=False))


@pytest.mark.slow
def test_placements_and_other_boundaries_print_plain(model) -> None:
    assert_plain(str(sp.placements(model, (3, 3, 1), canvas=(8, 8))))
    for boundary in ("scene", "background"):
        found = sp.verify(model, SHAPE, boundary=boundary, search_seconds=1)
        assert_plain(str(found))
        assert_plain(found._repr_html_())


@pytest.mark.slow
def test_notebooks_and_rich_show_plain(model, verdict, swept) -> None:
    for result in (verdict, swept, sp.explain(verdict, model, SHAPE, why=False)):
        assert_plain(result._repr_html_())
        console = rich.console.Console(file=io.StringIO(), width=300)
        console.print(result)
        assert_plain(console.file.getvalue())


def test_counterexamples_are_plain_in_files_too(verdict, tmp_path) -> None:
    examples = verdict.counterexamples(WILDER)
    assert examples
    for example in examples:
        found = load_counterexample(example.save(tmp_path / "x.npz"))
        assert found.header == load_counterexample(found.save(tmp_path / "y.npz")).header
        assert_plain(str(found))
        assert_plain(found.header.target)


# --- assertions, errors, warnings ---


def unknowable(x):
    return {WILDER: jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1)}


@pytest.mark.slow
def test_assertions_are_plain(model) -> None:
    with pytest.raises(AssertionError) as failed:
        sp.assert_equivariant(model, SHAPE)
    assert_plain(str(failed.value))
    with pytest.raises(AssertionError) as failed:
        sp.assert_equivariant(model, SHAPE, evidence="sweep", custom_message=f"{LETTERS}\x1b[2J")
    assert_plain(str(failed.value))
    with pytest.raises(sp.errors.UndecidedError) as left:
        sp.assert_equivariant(unknowable, (4, 1))
    assert_plain(str(left.value))


def test_heads_of_messages_are_wrapped_behind_their_first_word() -> None:
    for length in range(60):
        assert not acting(messages.head(f"equivariance of {'x' * length} {FORGED}"))


def picky(x):
    raise TypeError(WILDER)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: sp.verify(picky, (4, 1)),
        lambda: sp.verify(type(WILD, (), {})(), (4, 1)),
        lambda: sp.verify(lambda x: {WILDER: x[:, :0]}, (4, 1)),
        lambda: sp.verify(lambda x: x, (4, 1), boundary=WILDER),
        lambda: sp.sweep(make(), SHAPE, layers=[WILDER]),
        lambda: sp.check(WILD),
        lambda: load_sweep(WILD),
        lambda: data.mnist(WILD),
    ],
)
def test_errors_are_plain(wrong) -> None:
    with pytest.raises((sp.errors.ShiftproofError, OSError, ValueError)) as failed:
        wrong()
    told = io.StringIO()
    Console(file=told).say(f"error: {failed.value}")
    assert not acting(told.getvalue())
    assert "x1b" in told.getvalue()
    if isinstance(failed.value, sp.errors.ShiftproofError):
        assert not acting(str(failed.value))


def test_warnings_are_plain() -> None:
    def constant(x):
        return jnp.zeros_like(x)

    constant.__name__ = WILD
    with pytest.warns(ShiftproofWarning) as told:
        sp.sweep(constant, (4, 1))
    assert all(not acting(str(one.message)) for one in told)
    assert_plain(str(ShiftproofWarning(WILDER)))


# --- files of strangers ---


def forged(path: Path, **fields: object) -> Path:
    """The same archive, its header with other fields, byte for byte as a stranger may write them."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()}
    header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes()) | fields
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(json.dumps(header, ensure_ascii=False).encode(), np.uint8))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"header.npy": buffer.getvalue()}).items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path) -> Path:
    """A counterexample whose header is a stranger's."""
    (first, *_) = sp.verify(lambda x: x[:, ::2], (4, 1)).counterexamples("")
    return forged(first.save(tmp_path / "x.npz"), model=WILD, output=WILD, target=WILD)


def test_headers_of_counterexamples_are_plain(archive, capsys) -> None:
    code, out, err = call(capsys, "replay", archive)
    assert code == 3
    assert not err
    assert_plain(out)
    assert_plain(call(capsys, "replay", archive, "--json")[1])


def test_a_replay_that_does_not_fit_is_told_plainly(archive, file, capsys) -> None:
    code, out, err = call(capsys, "replay", archive, "--target", f"{file}:make")
    assert code == 2
    assert not out
    assert not acting(err)


def test_headers_of_sweeps_are_plain(tmp_path) -> None:
    path = sp.sweep(lambda x: x, (4, 1)).save(tmp_path / "x.npz")
    found = load_sweep(forged(path, model=WILD, provenance={WILD: WILD}))
    assert_plain(repr(found))
    page = report_sweep(found, tmp_path / "out").html.read_text("utf-8")
    assert_plain(page)


def test_plans_of_sweeps_are_told_plainly(tmp_path) -> None:
    store = Store(tmp_path)
    store.begin(Plan("shiftproof.plan/1", {WILD: WILD}, 1))
    with pytest.raises(ResumeError) as failed:
        store.open(Plan("shiftproof.plan/1", {}, 1), resume=True)
    assert_plain(str(failed.value))


def test_an_archive_of_another_schema_is_refused_plainly(archive) -> None:
    forged(archive, schema=WILD)
    with pytest.raises(sp.errors.ResultFileError) as failed:
        load_counterexample(archive)
    assert_plain(str(failed.value))


def test_fields_of_certificates_are_plain(tmp_path, capsys) -> None:
    (certificate, *_) = sp.verify(nnx.relu, (4, 1)).certificates.values()
    checked = check_text(json.dumps(certificate))
    object.__setattr__(checked, "output", WILDER)  # the kernel refuses such a name
    shown = Certificate(checked, 1, "")
    assert_plain(shown._repr_html_())
    assert not acting(str(shown))
    console = rich.console.Console(file=io.StringIO(), width=300)
    console.print(shown)
    assert_plain(console.file.getvalue())
    text = json.dumps(certificate).replace('"output"', '"output\\u001b[2J\\n' + FORGED + '"')
    for name, content in (("x.json", text), (f"x\x1b{LETTERS}\n{FORGED}.json", "")):
        path = tmp_path / name
        path.write_text(content)
        code, out, err = call(capsys, "check", path)
        assert code == 1
        assert not acting(out + err)


def test_rows_of_benchmarks_are_plain(tmp_path) -> None:
    from benchmarks.harness import SCHEMA, read_rows

    rows = Path(__file__).parent.parent.rglob("*.jsonl")
    (line, *_) = next(rows).read_bytes().splitlines()
    row = json.loads(line) | {"case": WILD}
    assert row["schema"] == SCHEMA
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (found,) = read_rows(path)
    assert_plain(found.case)


# --- the command line ---


@pytest.mark.slow
def test_verify_prints_plain(file, capsys, tmp_path) -> None:
    out_dir = tmp_path / f"out\x1b\n{FORGED}"
    code, out, err = call(capsys, "verify", f"{file}:make", "--full", "--sweep", "--grid", 8, 8,
                          "--channels", 1, "--out", out_dir)  # fmt: skip
    assert code == 1
    assert_plain(out)
    assert not err
    assert "wrote " in out
    page = (out_dir / "report.html").read_text("utf-8")
    assert_plain(page)
    assert_plain((out_dir / "verdict.json").read_text("utf-8"))
    found = sorted(path.name for path in out_dir.iterdir())
    assert found == [plain.plain(name) for name in found]
    assert len([name for name in found if name.endswith(".counterexample.npz")]) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [["--json"], ["--boundary", "scene"], ["--boundary", "background"]]
)
def test_other_answers_print_plain(file, capsys, more) -> None:
    _, out, err = call(capsys, "verify", f"{file}:make", "--grid", 8, 8, "--channels", 1, *more)
    assert_plain(out)
    assert not acting(err)


@pytest.mark.slow
def test_sweep_and_placements_print_plain(file, capsys) -> None:
    code, out, err = call(capsys, "sweep", f"{file}:make", "--shape", 8, 8, 1)
    assert code == 0
    assert_plain(out)
    assert not acting(err)
    code, out, _ = call(capsys, "placements", f"{file}:make", "--object", 3, 3, 1, "--canvas", 8, 8)
    assert code == 0
    assert_plain(out)


def test_doctor_prints_plain(capsys, monkeypatch) -> None:
    from shiftproof import doctor

    found = dataclasses.replace(doctor.examine(), versions={WILDER: WILDER})
    monkeypatch.setattr(doctor, "examine", lambda: found)
    # versions are not a stranger's, and may wrap inside of their cells
    assert not set(acting(call(capsys, "doctor")[1])) - {FORGED}
    assert_plain(call(capsys, "doctor", "--json")[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fails", "picky", "unhashable", "missing", WILDER])
def test_mistakes_are_told_plainly(file, capsys, name) -> None:
    code, out, err = call(capsys, "verify", f"{file}:{name}", "--grid", 8, 8, "--channels", 1)
    assert code == 2
    assert not out
    assert err.startswith(("error: ", "note: "))
    assert_plain(err, shows=name not in ("picky", "missing"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "a.json", WILDER],
        ["verify", WILDER],
        ["verify", "lenet", "--property", WILDER],
        ["replay", f"{WILD}.npz"],
        ["pitfalls", WILDER],
        [WILDER],
    ],
)
def test_words_of_the_call_are_told_plainly(capsys, arguments) -> None:
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert not out
    assert err
    assert not acting(err)


def test_a_path_that_is_no_text_ends_in_a_message() -> None:
    """Half a character reaches the terminal of a real process as an escape, not as a UnicodeEncodeError."""
    name = b"\xff\x1b[2J.certificate.json"
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"shiftproof", b"check", name], capture_output=True
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert not acting((done.stdout + done.stderr).decode())


def test_bars_and_lines_of_progress_are_plain(monkeypatch) -> None:
    monkeypatch.setattr("shiftproof.progress.PLAIN_SECONDS", 0.0)
    told = io.StringIO()
    with reporting(Console(file=told, width=300), plain.plain(f"[bold]{WILDER}")) as report:
        report(1, 2)
    assert "[bold]" in told.getvalue()
    assert_plain(told.getvalue())


# --- the terminal ---


def test_only_our_own_colours_reach_a_terminal() -> None:
    told = io.StringIO()
    console = Console(file=told, force_terminal=True, color_system="truecolor", width=40)
    console.say(f"error: {WILDER}", style="red")
    console.print(Table("a\x1b[2J", ("b\x9b", "c"), ((WILDER, "x"),), flexible=frozenset({0})))
    console.print(f"a\x1b[2J{LETTERS}", markup=False)
    text = told.getvalue()
    assert "\x1b[31m" in text
    assert_plain(re.sub(r"\x1b\[[\d;]*m", "", text))


def test_wrapping_begins_no_line_with_a_strangers_words() -> None:
    for width in range(20, 120):
        told = io.StringIO()
        Console(file=told, width=width).say(f"error: {'x ' * 20}{FORGED}", f"  {'y' * 30} {FORGED}")
        assert not acting(told.getvalue())
        assert FORGED.split() == [w for w in told.getvalue().split() if w in FORGED.split()][:4]


def test_sentences_are_wrapped_as_they_were_and_paths_stay_whole() -> None:
    told = io.StringIO()
    path = "/".join(["folder"] * 20)
    Console(file=told, width=40).say(f"wrote {path} in one go", "", "    a b", "[red]")
    assert told.getvalue() == f"wrote {path}\n  in one go\n\n    a b\n[red]\n"


# --- pages ---


class Elements(html.parser.HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.found.add((tag, *sorted(name for name, _ in attrs)))


@pytest.fixture(scope="module")
def tame(tmp_path_factory) -> str:
    """The page of the same model under a name of letters, elements and all."""
    folder = tmp_path_factory.mktemp("tame")
    return report_verdict(sp.verify(make("conv"), SHAPE), folder, target="a.py:b").html.read_text()


@pytest.mark.slow
def test_pages_are_plain_and_nothing_breaks_out(tame, tmp_path) -> None:
    found = sp.verify(make(WILD + BREAKOUT), SHAPE)
    page = report_verdict(found, tmp_path / "out", target=WILDER + BREAKOUT).html.read_text("utf-8")
    assert_plain(page)
    assert_plain(html.unescape(page))
    assert Elements(page).found == Elements(tame).found
    for script in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL):
        assert_plain(json.dumps(json.loads(script), ensure_ascii=False))
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir()]


@pytest.mark.slow
def test_no_output_is_written_outside_of_the_folder(tmp_path) -> None:
    found = sp.verify(lambda x: {"../../out": x, "a/b": x[:, ::2]}, (4, 1))
    report_verdict(found, tmp_path / "deep" / "er" / "report")
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == [
        path.name for path in (tmp_path / "deep" / "er" / "report").iterdir()
    ]
    assert file_name("a/b") != file_name("a%2fb")


def test_the_page_of_a_test_run_is_plain(verdict) -> None:
    record = record_of(verdict) | {"test": WILDER + BREAKOUT, "folder": "x"}
    record["model"] = WILDER + BREAKOUT
    settle([record], failed=False)
    page = pytest_plugin._page([record])
    assert_plain(page)
    kinds = {kind[0] for kind in Elements(page).found}
    assert not kinds & {"b", "img", "script"}


def test_our_own_line_breaks_stay_on_pages() -> None:
    page = render_report("a\x1b", summary="", sections=(Section("b\u202e", (Prose("c\nd\r"),)),))
    assert "c\nd\\r" in page
    assert r"a\x1b" in page
    assert not acting(page)


# --- and the checks above can fail ---


@contextlib.contextmanager
def switched_off(monkeypatch, *places: str):
    with monkeypatch.context() as patch:
        for place in places:
            patch.setattr(place, lambda text: text)
        yield


ENTRIES = ("shiftproof.tracing.doors.door.plain", "shiftproof.tracing.trace.plain")


def test_without_entries_a_name_forges_a_line(monkeypatch) -> None:
    with switched_off(monkeypatch, *ENTRIES):
        found = sp.verify(make(), SHAPE)
    assert FORGED in acting(str(found))
    assert "U+001B" in acting(str(found))


def test_without_exits_a_page_and_an_error_act(monkeypatch, verdict, tmp_path) -> None:
    with switched_off(monkeypatch, "shiftproof.report.html.plain_lines"):
        assert acting(render_report(WILD, summary="", sections=()))
    with switched_off(monkeypatch, "shiftproof.errors.hanging"):
        assert FORGED in acting(str(InputError(WILD)))
    with switched_off(monkeypatch, "shiftproof.files.plain_texts"):
        assert acting(plain_json({"a": "\x9b"}).decode())
    with switched_off(
        monkeypatch, "shiftproof.terminal.hanging", "shiftproof.terminal.plain_lines"
    ):
        told = io.StringIO()
        Console(file=told).say(WILD)
        assert FORGED in acting(told.getvalue())
    with switched_off(monkeypatch, "shiftproof.report.tables.plain"):
        assert "\n" in Table("", ("a",), ((WILD,),)).rows[0][0]


def test_without_reading_plainly_a_file_acts(monkeypatch, archive) -> None:
    with switched_off(monkeypatch, "shiftproof.archive.plain_texts"):
        assert FORGED in acting(str(load_counterexample(archive)))
