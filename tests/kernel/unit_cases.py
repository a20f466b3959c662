"""Named tests of single functions of the kernel."""

from collections.abc import Callable
from types import SimpleNamespace

UNITS: dict[str, Callable[[SimpleNamespace], None]] = {}
