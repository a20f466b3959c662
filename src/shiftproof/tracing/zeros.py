"""The two zeros of floats: over the real numbers -0.0 is 0, and some compiled programs tell the two apart."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import SIGNED_ZEROS, TABLE, Kind
from shiftproof.tracing.trace import Applied, Program, applied


def zeros_notes(program: Program, weights: Sequence[Any]) -> list[str]:
    """A note where a program holds -0.0, and a primitive that tells it from 0.0.

    Args:
        program: as the user's code gave it.
        weights: those whose values are part of the question.
    """
    equations = list(applied(program))
    if not any(map(_tells, equations)):
        return []
    literals = (value for each in equations for value in each.fixed if value is not None)
    if not any(map(has_negative_zero, (*weights, *program.constants.values(), *literals))):
        return []
    return [
        "a table, weight or number in the model is -0.0, and the program holds a primitive that tells it from 0.0, "
        "such as a quotient or arctan2. Over the real numbers -0.0 is 0, and the verdict is about these; the compiled "
        "program may tell the two zeros apart."
    ]


def _tells(each: Applied) -> bool:
    if any(jnp.issubdtype(dtype, np.complexfloating) for dtype in each.dtypes):
        # the cuts of logarithms and roots: above and below the real line
        entry = TABLE.get(each.name)
        return entry is not None and entry.kind is Kind.POINTWISE
    if each.name not in SIGNED_ZEROS:
        return False
    if not all(jnp.issubdtype(dtype, np.floating) for dtype in each.dtypes[:1]):
        return False
    if each.name == "div":
        divisor = each.fixed[1]
        return divisor is None or not np.all(np.asarray(divisor))
    if each.name == "integer_pow":
        return each.params["y"] < 0
    return True


def has_negative_zero(value: Any) -> bool:
    """Whether an array or number holds -0.0.

    >>> has_negative_zero(np.array([0.0, -0.0])), has_negative_zero(0.0), has_negative_zero(0)
    (True, False, False)
    """
    dtype = jnp.result_type(value)
    if jnp.issubdtype(dtype, np.complexfloating):
        return has_negative_zero(np.real(value)) or has_negative_zero(np.imag(value))
    if not jnp.issubdtype(dtype, np.floating):
        return False
    array = np.asarray(value).astype(np.float64)
    return bool(np.any((array == 0) & np.signbit(array)))
