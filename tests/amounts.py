"""How much the slow tests run. CI takes a part of what is alike; `SHIFTPROOF_ALL=1` takes all of it."""

import os
from collections.abc import Sequence
from typing import Any

ALL = os.environ.get("SHIFTPROOF_ALL") == "1"


def some(rows: Sequence[Any], every: int) -> list[Any]:
    """Every so many of some rows; all of them where that is asked for."""
    return list(rows) if ALL else list(rows)[::every]
