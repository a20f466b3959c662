"""Listeners: who is told of every verdict of this process, as a test run is that collects them.

Standard library only, so that the pytest plugin can listen without importing JAX.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class Listener:
    """Someone who is told.

    Attributes:
        hear: called with every `Verdict`, and with every `Confirmed` answer of a cache.
        complete: whether only whole verdicts will do, so that no cache may answer in their place.
    """

    hear: Callable[[Any], None]
    complete: bool = False


_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell this listener of everything that is decided in the `with` block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(answer: Any) -> None:
    """Tell all listeners of a verdict or a confirmed answer."""
    for listener in _listeners:
        listener.hear(answer)


def verdicts_are_wanted() -> bool:
    """Whether some listener needs whole verdicts."""
    return any(listener.complete for listener in _listeners)
