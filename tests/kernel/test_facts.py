"""Single functions of the kernel do what their docstrings say."""

import kernels
import pytest
from unit_cases import UNITS


@pytest.mark.parametrize("name", UNITS)
def test_unit(name: str) -> None:
    UNITS[name](kernels.REAL)
