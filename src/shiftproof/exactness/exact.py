"""Exactness: what the digits of a layer say of `==` on its values."""

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from shiftproof.algebras.digits import Exact, Grade, Inexact, as_float, holds
from shiftproof.tracing.trace import Literal, Program


@dataclasses.dataclass(frozen=True)
class Exactness:
    """Whether `==` on one layer's values is meaningful.

    Attributes:
        exact: True where every float up to here is the exact real number.
        bound: the largest magnitude met on the way, in units of the last place needed.
        limit: what the float format can hold (2^24 for float32, 2^53 for float64).
        reason: why not, where it is not.
        quantum: what every value is a multiple of, where it is exact.
    """

    exact: bool
    bound: float
    limit: float
    reason: str
    quantum: float

    def downgraded(self, reason: str) -> "Exactness":
        """Inexact for the reason given, unless it already was."""
        return dataclasses.replace(self, exact=False, reason=reason) if self.exact else self

    def contradicted_by(self, value: np.ndarray) -> bool:
        """Whether a compiled value is no multiple of the quantum: then the compiler changed the arithmetic."""
        if not self.exact or self.quantum == 0 or not np.issubdtype(value.dtype, np.floating):
            return False
        finite = value[np.isfinite(value)].astype(np.float64)
        return bool(np.any(np.remainder(finite, self.quantum) != 0))

    def __str__(self) -> str:
        if self.exact:
            return f"exact: {self.bound:.3g} of {self.limit:.3g} units"
        return f"rounded: {self.reason}"


def judge(
    program: Program,
    value: int | Literal,
    *,
    grades: Mapping[int, Grade],
    reach: Mapping[int, Fraction],
) -> Exactness:
    """The exactness of one value, from `grade_program`."""
    if value not in grades:  # it does not depend on the images
        return Exactness(True, 0.0, math.inf, "", 0.0)
    assert isinstance(value, int)
    grade = grades[value]
    limit = holds(program.avals[value].dtype)
    reason = grade.reason if isinstance(grade, Inexact) else ""
    exact = isinstance(grade, Exact)
    quantum = as_float(grade.quantum) if exact else math.nan
    return Exactness(exact, as_float(reach.get(value, Fraction(0))), limit, reason, quantum)
