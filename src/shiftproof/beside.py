"""Work beside other work, in a thread; it ends early where nobody waits for it any more.

The interpreter runs one thread at a time, but what JAX compiles and computes runs beside it.
"""

import concurrent.futures
import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_here = threading.local()


class Abandoned(BaseException):
    """Nobody waits for this work any more; seen by nobody, since it ends a thread of which nothing is asked."""


def go_on() -> None:
    """Called between the steps of long work: ends it where it runs beside something that is over."""
    over = getattr(_here, "over", None)
    if over is not None and over.is_set():
        raise Abandoned


@contextlib.contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Do some work beside a `with` block, in a thread of its own.

    When the block is left, by an interrupt as well, the work ends with its next step.

    Yields:
        A function that waits for the result, and raises what the work raised.

    >>> with beside(lambda: 6 * 7) as result:
    ...     result()
    42
    """
    over, context = threading.Event(), contextvars.copy_context()

    def run() -> T:
        _here.over = over
        return context.run(work)

    with concurrent.futures.ThreadPoolExecutor(1, "shiftproof-beside") as pool:
        asked = pool.submit(run)
        try:
            yield asked.result
        finally:
            over.set()
