"""The first hour of somebody new: wrong calls, messages, files and pictures, each named by its fault."""

import importlib.metadata
import inspect
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import some
from figures import boxes_of, overlaps
from flax import nnx
from rich.console import Console

import shiftproof as sp
from shiftproof import progress
from shiftproof.cli import main
from shiftproof.errors import InputError
from shiftproof.files import private_folder
from shiftproof.zoo import ENTRIES

ROOT = Path(__file__).parents[1]
INSTALLED = bool(importlib.metadata.entry_points(group="pytest11", name="shiftproof"))
NAMED = () if INSTALLED else ("-p", "shiftproof.pytest_plugin")
SCREEN = 40
"""Lines of a terminal."""


def halved(x):
    return x[:, ::2]


# --- H8, H10: under pytest ---

WRONG = """
import jax.numpy as jnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shiftproof as sp

def halved(x):
    return x[:, ::2]

def mistaken(x):
    return x @ jnp.ones((7, 3))

def test_shape_of_one_number():
    sp.assert_equivariant(halved, 16)

def test_one_shift():
    sp.verify(halved, (4, 4, 1), shifts=2)

def test_lattice():
    sp.assert_lattice(halved, (4, 4, 1), "4Zx")

def test_unknown_argument():
    sp.verify(halved, (4, 4, 1), shift=2)

def test_unknown_option():
    sp.counterfactuals(halved, (4, 4, 1), wieghts="all")

def test_model_fails():
    sp.verify(mistaken, (4, 4, 1))

def test_model_fails_in_an_assertion():
    sp.assert_invariant(mistaken, (4, 4, 1))

def test_no_model():
    sp.sweep(3, (4, 4, 1))

def test_placements():
    sp.placements(halved, 16)

def test_random():
    sp.verify(lambda x: x + np.random.rand(1, 4, 4, 1), (4, 4, 1))

@pytest.mark.shiftproof(weigths="these")
def test_marker(shiftproof):
    shiftproof.verify(halved, (4, 4, 1))

@pytest.mark.shiftproof(weights="these")
def test_unread_marker():
    pass

@pytest.mark.shiftproof(weights="these")
def test_read_marker(shiftproof):
    assert shiftproof.options == {"weights": "these"}
"""


@pytest.fixture(scope="module")
def wrong_calls(tmp_path_factory, request) -> str:
    """What pytest prints of tests that call shiftproof wrongly."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "test_wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "pytest", *NAMED, "-p", "no:cacheprovider", "test_wrong.py"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert "10 failed, 2 passed, 1 warning, 1 error" in ran.stdout, ran.stdout
    return ran.stdout


@pytest.mark.slow
def test_h8_wrong_calls_fit_a_screen(wrong_calls) -> None:
    shown = re.split(
        r"^_+ (?:ERROR at setup of )?(test_\w+) _+$|^=+ \w[\w ]* =+$",
        wrong_calls,
        flags=re.MULTILINE,
    )
    texts = {name: text for name, text in zip(shown[1::2], shown[2::2], strict=True) if name}
    assert len(texts) == 11
    for name, text in texts.items():
        assert len(text.splitlines()) <= SCREEN, (name, text)
        assert "site-packages" not in text, text
        if name != "test_marker":
            assert "> " in text, text  # the line of the test
    assert "x @ jnp.ones((7, 3))" in texts["test_model_fails"]  # and that of the model


def test_h8_other_errors_keep_their_frames() -> None:
    def fails(x):
        raise ValueError("of the model")

    with pytest.raises(sp.errors.ModelCallError) as caught:
        sp.verify(fails, (4, 4, 1))
    cause = caught.value.__cause__
    assert cause is not None
    assert [frame.name for frame in traceback.extract_tb(cause.__traceback__)] == ["fails"]


@pytest.mark.slow
def test_h10_a_marker_that_nothing_reads_warns(wrong_calls) -> None:
    told = " ".join(wrong_calls.split())
    assert told.count("PytestWarning: @pytest.mark.shiftproof changes nothing in this test") == 1
    assert "@pytest.mark.shiftproof takes no argument weigths=; did you mean weights=?" in told


# --- H9: at the door ---

ASKED = {
    "one number": ({"shifts": 2}, r"write shifts=\[\('2Z', '2Z'\)\]"),
    "one step": ({"shifts": "2Z"}, r"write shifts=\[\('2Z', '2Z'\)\]"),
    "one shift": ({"shifts": (2, 0)}, r"For that one shift write shifts=\[\(2, 0\)\]"),
    "an array": ({"shifts": np.array([2, 0])}, r"write shifts=\[\(2, 0\)\]"),
    "floats": ({"shifts": (2.5, 0)}, r"For one shift write shifts=\[\(2, 2\)\]"),
}


@pytest.mark.parametrize("name", ASKED)
def test_h9_single_shifts(name) -> None:
    options, message = ASKED[name]
    for ask in (sp.verify, sp.assert_equivariant):
        with pytest.raises(InputError, match=message):
            ask(halved, (4, 4, 1), **options)


@pytest.mark.parametrize(
    ("ask", "given", "close"),
    [
        (sp.verify, "shift", "shifts"),
        (sp.assert_invariant, "shift", "shifts"),
        (sp.assert_equivariant, "strid", "stride"),
        (sp.verify_scene, "wieghts", "weights"),
        (sp.counterfactuals, "weigths", "weights"),
        (sp.sweep, "image", "images"),
        (sp.placements, "canvass", "canvas"),
    ],
)
def test_h9_names_that_are_close(ask, given, close) -> None:
    with pytest.raises(
        TypeError, match=rf"{ask.__name__} takes no argument {given}=; .*{close}=\?"
    ):
        ask(halved, (4, 4, 1), **{given: 1})


@pytest.mark.parametrize("lattice", ["4Zx", "4z x 4z", "4Z,4Z", "all", "x", ""])
def test_h9_lattices(lattice) -> None:
    with pytest.raises(InputError, match="is no lattice: write a step such as 4Z, Z or 0 for each"):
        sp.assert_lattice(halved, (4, 4, 1), lattice)


@pytest.mark.parametrize("size", [16, np.int64(16)])
def test_h9_a_shape_of_one_number(size) -> None:
    with pytest.raises(InputError, match=r"images are 16, one number: .* such as \(16, 16, 1\)"):
        sp.verify(halved, size)


# --- H12: whose weights, and random bits ---

KERNEL = jnp.arange(1.0, 10).reshape(3, 3, 1, 1)


def convolved(kernel, x):
    wrapped = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
    return jax.lax.conv_general_dilated(
        wrapped, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.slow
def test_h12_all_weights_of_a_callable_that_hides_them() -> None:
    def model(x):
        return convolved(KERNEL, x)

    for ask in (sp.verify, sp.assert_equivariant, sp.counterfactuals):
        with pytest.raises(
            InputError, match=r"Pass \(function, params\), to be called as function"
        ):
            ask(model, (4, 4, 1), weights="all")
    assert sp.verify(model, (4, 4, 1)).weights == "these"
    assert sp.verify(halved, (4, 4, 1), weights="all").weights == "all"  # it has none


@pytest.mark.slow
def test_h12_a_function_with_its_parameters() -> None:
    verdict = sp.verify((convolved, KERNEL), (4, 4, 1))
    assert (verdict.weights, verdict.model) == ("all", "convolved")
    assert verdict.equivariance.certified == 16
    assert verdict.invariance.refuted == 15
    # weights that are equal keep every shift, but not all weights are
    own = (lambda row, x: (x * row[:, None]).sum((1, 2, 3)), jnp.ones(4))
    assert sp.verify(own, (4, 4, 1), weights="these").invariance.proved == 16
    assert sp.verify(own, (4, 4, 1)).invariance.refuted
    with pytest.raises(InputError, match=r"params of \(function, params\) are a pytree of arrays"):
        sp.verify((convolved, "weights"), (4, 4, 1))


def dropped(x):
    return jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, x.shape), 2 * x, 0)


def noisy(x):
    return x + jax.random.normal(jax.random.key(0), x.shape)


@pytest.mark.slow
@pytest.mark.parametrize("model", [dropped, noisy])
def test_h12_random_bits_under_a_fixed_key(model) -> None:
    causes = sp.verify(model, (4, 4, 1)).causes
    assert causes
    assert all(cause.words.startswith("random bits under a fixed key") for cause in causes)


@pytest.mark.slow
def test_h12_a_table_is_a_table() -> None:
    table = jax.random.normal(jax.random.key(0), (4, 4, 1))
    causes = sp.verify(
        lambda x: noisy(x)[..., ::-1].mean((1, 2)) + (x * table).sum((1, 2)), (4, 4, 1)
    ).causes
    words = [cause.words for cause in causes]
    assert any("position table" in said for said in words), words


# --- H2: files of counterexamples ---


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def failure_of(model) -> str:
    with pytest.raises(AssertionError) as caught:
        sp.assert_equivariant(model, (4, 4, 1), name="model")
    return str(caught.value)


@pytest.mark.slow
def test_h2_each_model_and_user_has_files_of_its_own(temporary) -> None:
    messages = [failure_of(halved), failure_of(lambda x: x[:, :, ::2]), failure_of(halved)]
    paths = [Path(message.split()[-1]) for message in messages]
    assert paths[0] == paths[2] != paths[1]
    assert all(path.is_file() for path in paths)
    (folder,) = temporary.iterdir()
    assert folder.stat().st_mode & 0o077 == 0  # nobody else's business
    assert {path.parent for path in paths} == {folder}


@pytest.mark.parametrize("way", ["a file", "a link", "another user", "read only"])
def test_h2_the_message_survives_a_file_that_cannot_be_saved(temporary, monkeypatch, way) -> None:
    folder = private_folder()
    if way == "a file":
        folder.rmdir()
        folder.write_text("in the way")
    elif way == "a link":
        folder.rmdir()
        (temporary / "elsewhere").mkdir()
        folder.symlink_to(temporary / "elsewhere")
    elif way == "another user":
        found = folder.lstat()
        other = os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))
        monkeypatch.setattr(Path, "lstat", lambda _: other)
    else:

        def refuse(path, content):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("shiftproof.archive.write_atomic", refuse)
    message = failure_of(halved)
    assert "is refuted under" in message
    assert "stride 2" in message
    assert "not saved" in message
    assert "shiftproof replay" not in message
    assert not list(temporary.rglob("*.npz"))


REPLAYED = """
def halved(x):
    return x[:, ::2]

def doubled(x):
    return 2 * x[:, ::2]

def empty(x):
    return 0 * x[:, ::2]

def named(x):
    return {"features": x}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("halved", 0, "reproduced: the outputs differ"),
        ("doubled", 5, "another model than the file is about, on which it is reproduced"),
        ("empty", 5, "another model than the file is about, on which it is NOT reproduced"),
        ("named", 2, "has the outputs output.features; the file is about output"),
    ],
)
def test_h2_replay_says_that_the_model_is_another(tmp_path, capsys, target, code, told) -> None:
    source = tmp_path / "nets.py"
    source.write_text(REPLAYED)
    with pytest.raises(SystemExit):
        main([*f"verify {source}:halved --shape 4 4 1 --no-why --out {tmp_path}".split()])
    file = next(tmp_path.rglob("*invariance*.counterexample.npz"))
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["replay", str(file), "--target", f"{source}:{target}"])
    said = " ".join(" ".join(capsys.readouterr()).split())
    assert left.value.code == code, said
    assert told in said


# --- H4: pictures ---


class Encoder(nnx.Module):
    """Two layers with long names."""

    def __init__(self, padding: str) -> None:
        self.stages_of_the_encoder = nnx.Conv(1, 2, (3, 3), padding=padding, rngs=nnx.Rngs(0))
        self.projection_to_features = nnx.Linear(2, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.projection_to_features(self.stages_of_the_encoder(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", some([(28, 28, 1), (8, 8, 1), (4, 20, 1), (20, 4, 1)], 2), ids=str
)
@pytest.mark.parametrize("padding", ["SAME", "CIRCULAR"])
def test_h4_texts_of_maps_do_not_overlap(shape, padding) -> None:
    swept = sp.sweep(Encoder(padding), shape)
    assert len(swept.layers) == 2
    for figure in (swept.plot(), swept.plot(layer=0)):
        assert any(text.startswith("stages_of") for text, _ in boxes_of(figure))
        assert not overlaps(figure)


@pytest.mark.slow
def test_h4_the_test_of_overlaps_sees_one() -> None:
    figure = sp.sweep(Encoder("SAME"), (8, 8, 1)).plot()
    figure.text(0.1, 0.02, "over the legend and more")
    assert overlaps(figure)


@pytest.mark.slow
@pytest.mark.parametrize("boundary", ["torus", "scene", "background"])
def test_h4_figures_show_themselves_in_a_notebook(boundary) -> None:
    figure = sp.verify(Encoder("SAME"), (8, 8, 1), boundary=boundary).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook asks for
    assert not overlaps(figure)


# --- H5: one line each ---


@pytest.mark.slow
def test_h5_representations_are_one_line() -> None:
    verdict = sp.verify(Encoder("SAME"), (28, 28, 1))
    found = sp.counterfactuals(Encoder("SAME"), (28, 28, 1))
    shown = [verdict.equivariance, verdict.invariance, found, *verdict.witnesses]
    shown += verdict.counterexamples()
    assert verdict.witnesses
    for thing in shown:
        assert "\n" not in repr(thing)
        assert len(repr(thing)) < 250, repr(thing)
        assert type(thing).__name__ in repr(thing)
    assert len(repr(verdict.witnesses)) < 250 * len(verdict.witnesses)
    assert "proved 1/784 (only 0), refuted 783, undecided 0" in repr(verdict.equivariance)


@pytest.mark.slow
def test_h5_counterfactuals_have_a_view() -> None:
    found = sp.counterfactuals(Encoder("SAME"), (8, 8, 1))
    html = found._repr_html_()
    assert found.summary in unescape(html)
    assert "What would hold" in html
    assert "circular padding" in html
    console = Console(file=io.StringIO(), width=100)
    console.print(found)
    assert "cheapest repair" in console.file.getvalue()


# --- H11: flags, and the shifts asked ---

NET = """
from flax import nnx

class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=rngs)

    def __call__(self, x):
        return nnx.max_pool(self.conv(x), (2, 2), (2, 2))
"""


def run_on_net(capsys, folder, monkeypatch, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.chdir(folder)
    (folder / "net.py").write_text(NET)
    with pytest.raises(SystemExit) as left:
        main([arguments[0], "net.py", *arguments[1:]])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, " ".join(err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("verify --no-why", "--shape 32 32 1"),
        ("sweep --count 1 --layers conv", "--shape 32 32 1"),
        ("placements --count 1", "--canvas 32 32 --object 3 3 1"),
    ],
)
def test_h11_flags_that_a_note_names_are_taken(
    capsys, tmp_path, monkeypatch, command, flags
) -> None:
    words = command.split()
    code, _, err = run_on_net(capsys, tmp_path, monkeypatch, *words)
    assert f"to say otherwise: {flags}." in err, (code, err)
    smaller = flags.replace("32", "8").split()
    code, out, err = run_on_net(capsys, tmp_path, monkeypatch, *words, *smaller)
    assert code in (0, 1), err
    assert "8x8" in out or "8×8" in out
    assert "otherwise" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shifts", "code", "told"),
    [
        ("2Z,2Z", 0, ["Net: 16 of 64 shifts of", "output: equivariant under 16 of 16 asked."]),
        ("2,0 1,0", 1, ["Net: 2 of 64", "equivariant under 1 of 2 asked; refuted under 1."]),
        ("Z,Z", 1, ["Net: all 64 shifts", "output: equivariant under 16 of 64 shifts (2Z × 2Z)"]),
    ],
)
def test_h11_the_first_lines_answer_what_was_asked(
    capsys, tmp_path, monkeypatch, shifts, code, told
) -> None:
    asked = ["--shifts", *shifts.split(), "--property", "equivariance", "--grid", "8", "8"]
    left, out, _ = run_on_net(capsys, tmp_path, monkeypatch, "verify", "--no-why", *asked)
    assert left == code
    for line, words in zip(out.splitlines(), told, strict=False):
        assert words in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("padding", "told"),
    [
        (
            "CIRCULAR",
            "because output moves with the image (2Z × 2Z); a mean over its grid behind it would stay",
        ),
        ("SAME", "because zero padding of the convolution: conv (net.py:9)"),
    ],
)
def test_h11_an_output_that_moves_is_the_cause_where_it_should_stay(
    capsys, tmp_path, monkeypatch, padding, told
) -> None:
    monkeypatch.setitem(globals(), "NET", NET.replace("CIRCULAR", padding))
    asked = ["--property", "invariance", "--grid", "8", "8"]
    code, out, _ = run_on_net(capsys, tmp_path, monkeypatch, "verify", "--no-why", *asked)
    assert code == 1
    assert told in " ".join(out.split())


# --- H16: what there is ---


def said_by(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_h16_the_zoo_is_listed(capsys) -> None:
    lines = said_by(capsys, "zoo").splitlines()
    assert [line.split()[0] for line in lines[: len(ENTRIES)]] == [*ENTRIES]
    assert lines[0].endswith(next(iter(ENTRIES.values())).about)
    rows = json.loads(said_by(capsys, "zoo", "--json"))
    assert [row["name"] for row in rows] == [*ENTRIES]


def test_h16_help_shows_the_version(capsys) -> None:
    told = said_by(capsys, "--help")
    assert sp.__version__ in told
    assert "--version" in told
    assert " zoo " in told


@pytest.mark.slow
def test_h16_help_of_benchmarks_shows_the_quick_run() -> None:
    command = [sys.executable, "-m", "benchmarks", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "--quick" in told


@pytest.mark.parametrize("module", [sp.data, sp.errors, sp.layers, sp.zoo], ids=str)
def test_h16_modules_show_their_own_names_alone(module) -> None:
    for name in dir(module):
        value = getattr(module, name)
        assert not inspect.ismodule(value), name
        assert getattr(value, "__module__", module.__name__).startswith("shiftproof"), name


def test_h16_errors_are_at_the_top() -> None:
    kinds = {name for name in dir(sp.errors) if name != "WideningError"}  # met inside only
    assert "UndecidedError" in kinds
    assert kinds <= set(dir(sp))
    assert all(getattr(sp, name) is getattr(sp.errors, name) for name in kinds)


# --- H18: instructions that work ---


@pytest.mark.slow
def test_h18_remedies_name_what_pip_finds(monkeypatch) -> None:
    swept = sp.sweep(halved, (4, 4, 1))
    for module, call in (("xarray", swept.to_xarray), ("sklearn.datasets", sp.data.digits)):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(
            ImportError, match=r'checkout of shiftproof pip install -e "\.\['
        ) as found:
            call()
        assert '"shiftproof[' not in str(found.value)


@pytest.mark.slow
def test_h18_the_page_of_the_package_stands_alone() -> None:
    readme = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]
    assert readme["content-type"] == "text/markdown"
    assert "equivariance" in readme["text"]
    assert not re.search(r"!\[|<img|\]\((?!https://)", readme["text"])
    code = re.search(r"```python\n(.*?)```", readme["text"], re.DOTALL)
    assert code is not None
    exec(compile(code[1], "pyproject.toml", "exec"), {})


# --- H17: cells of a notebook ---


def test_h17_a_cell_has_a_number_in_place_of_the_name_of_its_file(monkeypatch) -> None:
    file = f"{tempfile.gettempdir()}/ipykernel_71/1428937316.py"
    code = "def model(x):\n    return x[:, ::2]\n"
    names: dict[str, object] = {}
    exec(compile(code, file, "exec"), names)
    assert sp.verify(names["model"], (4, 4, 1)).causes[0].source == "1428937316.py:2"

    def named(name: str):  # as IPython's compiler does
        return ("Cell", "In[3]") if name == file else None

    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=named))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    verdict = sp.verify(names["model"], (4, 4, 1))
    assert [cause.source for cause in verdict.causes] == ["cell 3, line 2"]
    assert sp.check(verdict.certificates["output.equivariance"]).checked.proved == 8
    assert sp.verify(halved, (4, 4, 1)).causes[0].source.startswith("test_first_hour.py:")


# --- H19: long work says so ---


class Terminal(io.StringIO):
    """What is written to standard error, of a terminal or of a pipe."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def slow(x):
    time.sleep(0.3)
    return x[:, ::2]


@pytest.mark.slow
@pytest.mark.parametrize("ask", [sp.verify, sp.counterfactuals])
@pytest.mark.parametrize(("is_terminal", "quiet"), [(True, 0.1), (True, 60), (False, 0.1)])
def test_h19_a_line_of_progress_on_a_terminal(monkeypatch, ask, is_terminal, quiet) -> None:
    stream = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "QUIET_SECONDS", quiet)
    ask(slow, (4, 4, 1))
    said = stream.getvalue()
    if not is_terminal or quiet > 1:
        assert said == ""
        return
    assert said.startswith(f"\r\x1b[2K{ask.__name__}: tracing the model, 0 s")
    assert said.endswith("\r\x1b[2K")  # and is gone
    assert "\n" not in said


@pytest.mark.slow
def test_h19_the_line_is_gone_after_an_error_too(monkeypatch) -> None:
    def fails(x):
        time.sleep(0.3)
        raise ValueError("of the model")

    stream = Terminal(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.1)
    with pytest.raises(sp.ModelCallError):
        sp.verify(fails, (4, 4, 1))
    assert stream.getvalue().endswith("\r\x1b[2K")
    assert not [thread for thread in threading.enumerate() if type(thread).__name__ == "_Line"]


def test_h19_two_seconds_are_quiet() -> None:
    assert progress.QUIET_SECONDS == 2.0
