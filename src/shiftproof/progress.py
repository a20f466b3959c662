"""Progress of long work: of sweeps a bar on a terminal, and a plain line now and then elsewhere; of verdicts one line.

A library prints nothing that was not asked for: the line of a verdict is shown on a terminal only, after two seconds,
and is gone when the verdict is there.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0
"""Least time between two plain lines."""

QUIET_SECONDS = 2.0
"""Work that takes no longer shows no line."""

COLUMNS = 79
"""The longest line: one that wraps could not be taken back."""


@contextlib.contextmanager
def reporting(console: Console, label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress callback `(done, total)` for the length of a `with` block."""
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),  # a model may be called "[bold]"
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _plain(console, label)


def _plain(console: Console, label: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS:
            last = now
            console.print(f"{label}: {done} of {total} shifts", highlight=False, markup=False)

    return report


class _Line(threading.Thread):
    """Writes what goes on, again every second, over what it wrote before.

    Args:
        stream: a terminal.
        work: what is done, in a word or two.
    """

    def __init__(self, stream: TextIO, work: str) -> None:
        super().__init__(daemon=True)  # it keeps no process alive
        self.stream, self.work, self.stage = stream, work, ""
        self.begin = time.monotonic()
        self.over = threading.Event()

    def run(self) -> None:
        """Write until it is over, and then take the line back."""
        if self.over.wait(QUIET_SECONDS):
            return
        while True:
            seconds = time.monotonic() - self.begin
            told = ": ".join(part for part in (self.work, self.stage) if part)
            self.stream.write(f"\r\x1b[2K{told[: COLUMNS - 8]}, {seconds:.0f} s")
            self.stream.flush()
            if self.over.wait(1.0):
                break
        self.stream.write("\r\x1b[2K")
        self.stream.flush()


_shown: list[_Line] = []


@contextlib.contextmanager
def waiting(work: str) -> Iterator[None]:
    """Show a line on standard error while a `with` block takes long; nothing where that is no terminal.

    What is called inside, and would show a line of its own, only adds its stages to this one.

    Args:
        work: what is done, in a word or two.
    """
    if _shown or not sys.stderr.isatty():
        yield
        return
    line = _Line(sys.stderr, work)
    _shown.append(line)
    line.start()
    try:
        yield
    finally:
        _shown.remove(line)
        line.over.set()
        line.join()


def tell_stage(stage: str) -> None:
    """Say in the line, if there is one, what is done now."""
    for line in _shown:
        line.stage = stage
