"""Listeners: who is told of every verdict of this process, as a test run is that collects them, and what is expected.

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


Meets = Callable[[Any, Any], bool | None]
"""Whether a verdict says of one of its outputs what an assertion expects; None where it expects nothing of that one."""

_listeners: list[Listener] = []
_expectations: list[Meets] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell this listener of everything that is decided in the `with` block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextlib.contextmanager
def expecting(meets: Meets) -> Iterator[None]:
    """What is decided in the `with` block is expected to meet this."""
    _expectations.append(meets)
    try:
        yield
    finally:
        _expectations.pop()


def expectation() -> Meets | None:
    """What is expected of the verdict that is told now; None where no assertion asked for it."""
    return _expectations[-1] if _expectations else None


def tell(answer: Any) -> None:
    """Tell all listeners of a verdict or a confirmed answer."""
    for listener in _listeners:
        listener.hear(answer)


def verdicts_are_wanted() -> bool:
    """Whether some listener needs whole verdicts."""
    return any(listener.complete for listener in _listeners)
