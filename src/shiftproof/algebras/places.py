"""Places: which cell of an update a scatter writes where, found by JAX itself."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.tracing.trace import Equation


def landing(eqn: Equation, shape: Sequence[int], index: Any, update: Sequence[int]) -> np.ndarray:
    """For every cell of an array the number of the update's cell that is written there.

    Args:
        eqn: a scatter of any kind.
        shape: of the array.
        index: its indices.
        update: shape of the update.

    Returns:
        Numbers in row-major order; -1 where nothing is written, -2 where several cells are.
    """
    numbers = np.arange(math.prod(update), dtype=np.int32).reshape(tuple(update))
    how = {"dimension_numbers": eqn.params["dimension_numbers"], "mode": eqn.params["mode"]}
    with jax.ensure_compile_time_eval():
        index = jnp.asarray(index)
        nowhere = jnp.full(tuple(shape), -1, jnp.int32)
        placed = lax.scatter(nowhere, index, numbers, **how)
        counts = lax.scatter_add(nowhere, index, np.ones_like(numbers), **how)
        return np.where(np.asarray(counts) > 0, -2, np.asarray(placed))
