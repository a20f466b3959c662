"""Places: which cell a gather looks up, and which cell of an update a scatter writes where, found by JAX itself."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import GatherScatterMode

from shiftproof.tracing.trace import Equation


def looked_up(eqn: Equation, shape: Sequence[int], index: Any) -> np.ndarray:
    """For every cell of a gather's result the number of the array's cell that is looked up; -1 outside of the array.

    Args:
        eqn: a gather. Only where it clips is nothing outside; a broken promise to be inside counts as outside.
        shape: of the array.
        index: its indices.
    """
    clips = eqn.params["mode"] == GatherScatterMode.CLIP
    params = {
        **eqn.params,
        "mode": GatherScatterMode.CLIP if clips else GatherScatterMode.FILL_OR_DROP,
        "fill_value": -1,
    }
    cells = np.arange(math.prod(shape), dtype=np.int32).reshape(tuple(shape))
    with jax.ensure_compile_time_eval():
        return np.asarray(eqn.primitive.bind(jnp.asarray(cells), jnp.asarray(index), **params))


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
