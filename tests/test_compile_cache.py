"""What JAX compiles is kept for the next run of the command: in the user's cache folder, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shiftproof import compile_cache
from shiftproof.compile_cache import FOLDER, keep_compiled


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shiftproof"


def _run(*words: str) -> subprocess.CompletedProcess:
    """The command, as a user who has set nothing calls it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-m", "shiftproof", *words]
    return subprocess.run(command, env=ours, capture_output=True, text=True)


def _entries(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.rglob("*-cache")}


@pytest.mark.slow
def test_the_next_run_finds_what_the_first_compiled(home):
    words = ("verify", "maxpool2x2-stride2", "--no-why")
    first = _run(*words)
    kept = _entries(home)
    assert len(kept) > 3
    again = _run(*words)
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)
    assert _entries(home) == kept  # nothing was compiled again
    for path in home.rglob("*-cache"):
        path.write_bytes(b"broken")
    broken = _run(*words)
    assert (broken.stdout, broken.stderr) == (first.stdout, first.stderr)


@pytest.mark.slow
def test_one_flag_keeps_nothing(home):
    done = _run("verify", "maxpool2x2-stride2", "--no-why", compile_cache.OFF)
    assert done.returncode == 1, done.stderr
    assert not home.exists()
    assert compile_cache.OFF in _run("--help").stdout
    assert _run("verify", "--no-such-flag").returncode == 2
    assert not home.exists()  # nor does what runs no command


def test_the_folder_is_the_users_own_and_bounded(home):
    environment = {"JAX_COMPILATION_CACHE_MAX_SIZE": "17"}
    folder = keep_compiled(environment)
    assert folder is not None
    assert folder.parent == home
    assert folder.stat().st_mode & 0o077 == 0
    assert environment.pop("JAX_COMPILATION_CACHE_MAX_SIZE") == "17"  # what the user said
    assert environment.pop(FOLDER) == str(folder)
    keep_compiled(whole := {})
    assert int(whole["JAX_COMPILATION_CACHE_MAX_SIZE"]) == compile_cache.LARGEST


def test_a_folder_that_the_user_named_stays(home):
    assert keep_compiled(environment := {FOLDER: "there"}) is None
    assert environment == {FOLDER: "there"}
    assert not home.exists()


def test_without_a_folder_to_write_to_nothing_is_kept(home):
    home.parent.write_text("a file where the folder should be")
    assert keep_compiled(environment := {}) is None
    assert environment == {}
