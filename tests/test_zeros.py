"""The two zeros of floats: a note where a program holds -0.0 and may tell it from 0.0, and none elsewhere."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import shiftproof as sp

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.VacuousWarning")

ZERO = np.array([-0.0], np.float32)


class Table(nnx.Module):
    """A table of -0.0 under a quotient."""

    def __init__(self) -> None:
        self.table = nnx.Param(jnp.array(ZERO))

    def __call__(self, x):
        return 1 / (x * self.table[...] + 1)


def looped(x):
    return lax.fori_loop(0, 2, lambda _, y: jnp.arctan2(y, -0.0), x)


TOLD = {
    "a quotient": lambda x: 1 / (x * ZERO + 1),
    "arctan2": lambda x: jnp.arctan2(x, ZERO),
    "bits": lambda x: jnp.copysign(x, ZERO * x),
    "a literal in a loop": looped,
    "a power": lambda x: (x * ZERO + 1) ** -1,
    "a root": lambda x: lax.rsqrt(x * ZERO + 1),
    "a complex logarithm": lambda x: jnp.log(lax.complex(x, x * ZERO)).real,
}
SILENT = {
    "no negative zero": lambda x: jnp.arctan2(x, 0 * ZERO * -1),
    "nothing that tells": lambda x: jnp.tanh(x + ZERO),
    "a quotient by a number": lambda x: (x + ZERO) / 3,
    "a square": lambda x: (x + ZERO) ** 2,
}


def told(model, **options) -> bool:
    return any("-0.0 is 0" in note for note in sp.verify(model, (4, 1), **options).notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD)
def test_a_negative_zero_that_may_be_told_apart_is_told(name) -> None:
    assert told(TOLD[name])


@pytest.mark.parametrize("name", SILENT)
def test_elsewhere_there_is_no_note(name) -> None:
    assert not told(SILENT[name])


@pytest.mark.slow
def test_weights_count_where_they_are_asked_about() -> None:
    assert told(Table(), weights="these")
    assert not told(Table(), weights="all")
