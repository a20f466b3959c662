"""The first hour of somebody new: wrong calls, messages, files and pictures, each named by its fault."""

import importlib.metadata
import re
import subprocess
import sys
import traceback

import numpy as np
import pytest

import shiftproof as sp
from shiftproof.errors import InputError

INSTALLED = bool(importlib.metadata.entry_points(group="pytest11", name="shiftproof"))
NAMED = () if INSTALLED else ("-p", "shiftproof.pytest_plugin")
SCREEN = 40
"""Lines of a terminal."""


def halved(x):
    return x[:, ::2]


# --- H8, H10: under pytest ---

WRONG = """
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
