"""How much the tests run. CI takes a part of what is alike; `SHIFTPROOF_ALL=1` with --slow takes all of it."""

import os
from collections.abc import Iterable
from typing import Any

import pytest

ALL = os.environ.get("SHIFTPROOF_ALL") == "1"


def some(rows: Iterable[Any], every: int) -> list[Any]:
    """Every so many of some rows; all of them where that is asked for."""
    return list(rows) if ALL else list(rows)[::every]


def sampled(rows: Iterable[Any], plain: int, slow: int) -> list[Any]:
    """Parameters: every so many of some rows, more of them with --slow, all of them where that is asked for.

    Args:
        rows: of tests, each with a `name`, or names.
        plain: every so many run always.
        slow: every so many run with --slow; it divides `plain`.
    """
    return [
        pytest.param(
            row, id=getattr(row, "name", row), marks=[pytest.mark.slow] if i % plain else []
        )
        for i, row in enumerate(rows)
        if ALL or i % slow == 0
    ]
