"""`shiftproof verify FILE --watch`: what changed is said whenever a file of the model changes."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading

import pytest

from shiftproof.errors import InputError
from shiftproof.watching import Watch

NET = """
from flax import nnx
from helper import PADDING

def make():
    return nnx.Conv(1, 2, (3, 3), strides={stride}, padding=PADDING, rngs=nnx.Rngs(0))
"""


class Command:
    """The command in a process of its own; its lines as they come."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip())

    def until(self, part: str) -> str:
        """All lines to the first that holds a part; where none comes in time, `queue.Empty`."""
        told = []
        while not told or part not in told[-1]:
            told.append(self.lines.get(timeout=240))
        return "\n".join(told)

    def end(self) -> int:
        """As Ctrl-C does; it is pressed again where nothing happens, since Python drops one that meets a finalizer."""
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(timeout=30)
        raise AssertionError("it does not end")


@contextlib.contextmanager
def watching(folder):
    """The command at work in a folder."""
    words = "-m shiftproof verify net.py --grid 4 4 --watch --no-why".split()
    # what is started in the background ignores Ctrl-C, and so would the command
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    signal.signal(signal.SIGINT, before)
    with process:
        command = Command(process)
        try:
            yield command
        finally:
            process.kill()
            command.reader.join()


WATCHING = "watching for changes; Ctrl-C ends."


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(NET.format(stride=1))
    (tmp_path / "helper.py").write_text('PADDING = "SAME"\n')
    return tmp_path


@pytest.mark.slow
def test_what_changed_is_said_whenever_a_file_changes(folder):
    with watching(folder) as command:
        first = command.until(WATCHING)
        assert "equivariant under 1 of 16 shifts" in first
        assert "zero padding" in first
        (folder / "helper.py").write_text('PADDING = "CIRCULAR"\n')  # which the file imports
        better = command.until(WATCHING)
        assert re.search(r"^\d\d:\d\d:\d\d helper\.py changed\.$", better, re.MULTILINE)
        assert "15 shifts were refuted, now proved" in better
        (folder / "net.py").write_text("def make(:\n")  # as while somebody types
        assert "net.py cannot be imported: SyntaxError" in command.until(WATCHING)
        (folder / "net.py").write_text(NET.format(stride=2))
        worse = command.until(WATCHING)  # than before the mistake
        assert "12 shifts were proved, now refuted" in worse
        assert "stride 2 of the convolution" in worse
        assert "note:" in first
        assert "note:" not in better + worse
        assert command.end() == 1  # the last word is refuted


@pytest.mark.slow
def test_a_file_that_fails_at_first_is_waited_for(folder):
    (folder / "helper.py").unlink()
    with watching(folder) as command:
        assert "No module named 'helper'" in command.until(WATCHING)
        (folder / "helper.py").write_text('PADDING = "CIRCULAR"\n')
        assert "equivariant under 16 of 16 shifts" in command.until(WATCHING)
        assert command.end() == 1  # not invariant


@pytest.mark.slow
def test_changes_are_of_files_beside_the_target(folder, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    watch = Watch(f"{folder / 'net.py'}:make", sleep=lambda _: turns.pop()())
    turns = [lambda: None, lambda: (folder / "helper.py").write_text("PADDING = 1\n")]
    assert watch.wait() == [folder / "helper.py"]
    turns += [lambda: None, (folder / "helper.py").unlink, lambda: None]
    assert watch.wait() == [folder / "helper.py"]
    turns += [lambda: None, lambda: None, lambda: (folder / "new.py").touch()]
    (folder / "notes.txt").touch()
    assert watch.wait() == [folder / "new.py"]
    (folder / "late.py").touch()  # before the wait begins, as while the verdict is drawn up
    turns += [lambda: None]
    assert watch.wait() == [folder / "late.py"]


@pytest.mark.parametrize("target", ["lenet-global", "torchvision:resnet18", "none.py", ""])
def test_what_is_in_no_file_is_not_watched(target):
    with pytest.raises(InputError, match="--watch belongs to a model in a file"):
        Watch(target)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["--json"], ["--out", "x"], ["--boundary", "scene"], ["--sweep"]]
)
def test_options_that_do_not_go_with_it(folder, options):
    words = [sys.executable, "-m", "shiftproof", "verify", "net.py", "--watch", *options]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--watch goes with none of" in done.stderr
