"""Faithfulness: a model that was traced through an adapter is compared with what its own framework computes.

A verdict is about the program that was traced. Where an adapter stands between it and the user's code, the program may
be another function, and nothing else would notice.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ModelCallError
from shiftproof.tracing.doors.door import Model
from shiftproof.tracing.primitives import RANDOM
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import Program, evaluate, fixed_values

TRIES = 3
"""Batches of random numbers, one of which must agree: on some a comparison may hang on the last bit of a sum."""


def check_faithful(model: Model, program: Program) -> None:
    """Stop where a program is another function than the framework of the model computes.

    Args:
        model: the adapted model; where it has no `native`, there is nothing to compare.
        program: traced from it, with its weights as they are.

    Raises:
        ModelCallError: the outputs differ by more than rounding, random numbers leave nothing to compare, or the
            framework cannot call the model.
    """
    if model.native is None:
        return
    drawn = next((eqn for eqn in program.equations if eqn.name in RANDOM), None)
    if drawn is not None:  # which differ between frameworks
        place = f" at {drawn.site}" if str(drawn.site) else ""
        raise ModelCallError(
            f"{model.name} draws random numbers{place}, so what was traced cannot be compared with what "
            f"{model.door.framework} computes, and nothing is decided of it: {model.door.words.random}."
        )
    images = program.avals[program.images]
    with settings(images.dtype.name):
        fixed = fixed_values(program, jax.tree_util.tree_leaves(model.weights))

        @jax.jit
        def run(fixed: Any, batch: Any) -> list[Any]:
            known = evaluate(program, fixed, batch)
            return [known[o] if isinstance(o, int) else o.value for o in program.outputs]

        generator, told = np.random.default_rng(0), ""
        for _ in range(TRIES):
            batch = generator.normal(size=images.shape).astype(images.dtype)
            try:
                own = jax.tree_util.tree_leaves(model.native(batch))
            except Exception as error:
                raise ModelCallError(
                    f"{model.name} can be traced, but {model.door.framework} itself cannot call it on images of shape "
                    f"{images.shape}: {type(error).__name__}: {error}"
                ) from error
            told = _difference(program, run(fixed, batch), own)
            if not told:
                return
    raise ModelCallError(
        f"{model.name} was traced as another function than {model.door.framework} computes: on images of random "
        f"numbers {told}. {model.door.unfollowed}"
    )


def _difference(program: Program, traced: list[Any], own: list[Any]) -> str:
    """Where outputs differ by more than rounding, in words; "" where they do not."""
    if len(traced) != len(own):
        return f"it has {len(own)} outputs, not {len(traced)}"
    for name, number, one, other in zip(
        program.output_names, program.outputs, traced, own, strict=True
    ):
        if np.shape(one) != np.shape(other):
            return f"{name} has the shape {np.shape(other)}, not {np.shape(one)}"
        first, second = (np.asarray(jnp.asarray(each), np.complex128) for each in (one, other))
        coarse = program.rounding.get(number, 0.0) if isinstance(number, int) else 0.0
        if jnp.issubdtype(other.dtype, np.inexact):
            coarse = max(coarse, float(jnp.finfo(other.dtype).eps))
        size = float(np.max(np.abs(second), initial=0.0, where=np.isfinite(second)))
        # half of the digits may be lost on the way
        if not np.allclose(first, second, rtol=0, atol=np.sqrt(coarse) * size, equal_nan=True):
            gap = float(np.nanmax(np.abs(first - second)))
            return f"{name} differs by {gap:.3g}, where it is {size:.3g} at most"
    return ""
