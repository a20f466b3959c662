"""Progress of long sweeps: a bar on a terminal, a plain line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_SECONDS = 5.0
"""Least time between two plain lines."""


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
