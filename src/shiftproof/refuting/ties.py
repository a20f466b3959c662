"""Ties: choices of the largest value that is there twice, in every image. Then the first place wins, wherever it is.

A choice by the largest value follows a shift only where one place has it. Where images in general position tie, the
choice never follows: polyphase sampling by the largest value, behind a max pool that shows each value in several
places, is a plain stride.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.refuting.trials import Trial
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import Equation, evaluate


def tied_choices(trial: Trial, images: np.ndarray) -> list[Equation]:
    """The `argmax` and `argmin` equations whose extreme value lies in several places, in each of the images.

    Args:
        trial: the program and its weights.
        images (count, *image shape): in general position.
    """
    program = trial.program
    choices = [
        eqn
        for eqn in program.equations
        if eqn.name in ("argmax", "argmin")
        and eqn.outputs[0] in program.from_images
        and jnp.issubdtype(program.avals[_operand(eqn)].dtype, np.floating)
    ]
    if not choices:
        return []
    with settings(trial.dtype):

        @jax.jit
        def operands(image: jax.Array) -> Sequence[jax.Array]:
            values = evaluate(program, trial.fixed, image)
            return [values[_operand(eqn)] for eqn in choices]

        batches = [jax.device_put(image[None].astype(jnp.dtype(trial.dtype))) for image in images]
        seen = [[np.asarray(value) for value in operands(batch)] for batch in batches]
    rows = zip(choices, zip(*seen, strict=True), strict=True)
    return [eqn for eqn, values in rows if all(_is_tied(eqn, value) for value in values)]


def _operand(eqn: Equation) -> int:
    (number,) = eqn.inputs
    assert isinstance(number, int)  # what depends on the images is no literal
    return number


def _is_tied(eqn: Equation, value: np.ndarray) -> bool:
    axes = tuple(eqn.params["axes"])
    extreme = (np.max if eqn.name == "argmax" else np.min)(value, axis=axes, keepdims=True)
    return bool(np.all(np.equal(value, extreme).sum(axes) > 1))
