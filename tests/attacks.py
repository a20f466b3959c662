"""Attacks: small programs whose claim is plain over the real numbers, and not in floats.

Each weighs the cells by their place, so that what rounding leaves breaks the claim: it is true (`holds`) where the real
numbers cancel, or false where floats lose what the real numbers keep.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax


@dataclasses.dataclass(frozen=True)
class Attack:
    """A program of four cells, and whether the real numbers are invariant under every shift, or under none but 0."""

    name: str
    holds: bool
    program: Callable[..., Array]
    weighted: bool = False

    @property
    def model(self) -> Any:
        """What is verified: the program, or a module that gives it weights."""
        return Weighted(self.program) if self.weighted else self.program


class Weighted(nnx.Module):
    """A program of an image and of one weight per cell."""

    def __init__(self, program: Callable[[Array, Array], Array]) -> None:
        self.w = nnx.Param(jax.random.normal(jax.random.key(0), (4, 1)))
        self.program = program

    def __call__(self, x: Array) -> Array:
        """The program's value."""
        return self.program(x, self.w[...])


def placed(x: Array) -> Array:
    """The cells, weighed by their place and summed."""
    return jnp.sum(x * jnp.arange(1.0, 5.0)[:, None], (1, 2))


def _fixed_point(x: Array) -> Array:
    """The fixed point of the cosine, which floats reach and disturbed ones never do."""
    start = (x, jnp.cos(x))
    return lax.while_loop(lambda c: jnp.any(c[0] != c[1]), lambda c: (c[1], jnp.cos(c[1])), start)[
        1
    ]


def _once_at_most(x: Array, w: Array) -> Array:
    """Times how often a loop runs that never does over the reals, and at most once where floats round."""
    rounds, _ = lax.while_loop(
        lambda c: jnp.sin(c[1]) ** 2 + jnp.cos(c[1]) ** 2 != 1,
        lambda c: (c[0] + 1, c[1] * 0),
        (0.0, w[0, 0]),
    )
    return x[:, 0, 0] * rounds


ATTACKS = (
    Attack(
        "sign of sin2 + cos2 - 1",
        True,
        lambda x: placed(jnp.sign(jnp.sin(x) ** 2 + jnp.cos(x) ** 2 - 1)),
    ),
    Attack(
        "floor of rsqrt * sqrt",
        True,
        lambda x: placed(jnp.floor(lax.rsqrt(x * x + 1) * jnp.sqrt(x * x + 1))),
    ),
    Attack("x / 49 * 49 differs", True, lambda x: placed((x / 49 * 49 != x) * 1.0)),
    Attack("x + 1e20 - 1e20 - x", True, lambda x: placed(jnp.sign((x + 1e20) - 1e20 - x))),
    Attack("exp is never 0", True, lambda x: placed((jnp.exp(-1000 * x * x) > 0) * 1.0)),
    Attack("a sigmoid is never 1", True, lambda x: placed((jax.nn.sigmoid(100 * x) < 1) * 1.0)),
    Attack(
        "there and back to 2^-200",
        True,
        lambda x: placed(jnp.sign((x * 2.0**-100 * 2.0**-100) * 2.0**100 * 2.0**100 - x)),
    ),
    Attack(
        "int32 times 2^32",
        True,
        lambda x: placed(jnp.clip(x, -9, 9).astype(jnp.int32) * 65536 * 65536 * 1.0),
    ),
    Attack("low above high", True, lambda x: placed(jnp.clip(x, 2.0, 1.0))),
    Attack(
        "ties of argmax",
        True,
        lambda x: placed(jnp.argmax(jnp.stack([x / 3 * 3, x], -1), -1) * 1.0),
    ),
    Attack(
        "modulus 1",
        True,
        lambda x: placed(jnp.sign(jnp.abs(lax.complex(jnp.sin(x), jnp.cos(x))) - 1)),
    ),
    Attack("signs of 2^-200", False, lambda x: placed(jnp.sign(x * 2.0**-100 * 2.0**-100))),
    Attack("lost beside 1e20", False, lambda x: placed((x + 1e20) - 1e20)),
    Attack("a fixed point", False, lambda x: placed(x * _fixed_point(x))),
    Attack(
        "w / 49 * 49 differs", True, lambda x, w: x[:, 0, 0] * (w[0, 0] / 49 * 49 != w[0, 0]), True
    ),
    Attack(
        "sqrt(w)^2 differs",
        True,
        lambda x, w: x[:, 0, 0] * (jnp.sqrt(1 + w[0, 0] ** 2) ** 2 != 1 + w[0, 0] ** 2),
        True,
    ),
    Attack(
        "exp of weights is never 0",
        True,
        lambda x, w: x[:, 0, 0] * (jnp.exp(-1000 * (1 + w[0, 0] ** 2)) <= 0),
        True,
    ),
    Attack(
        "float16 of weights is finite",
        True,
        lambda x, w: x[:, 0, 0] * (1 - jnp.isfinite(w[0, 0].astype(jnp.float16) * 60000 * 60000)),
        True,
    ),
    Attack(
        "floor of whole weights",
        True,
        lambda x, w: (
            x[:, 0, 0] * (jnp.floor(jnp.round(8 * w[0, 0]) / 49 * 49) - jnp.round(8 * w[0, 0]))
        ),
        True,
    ),
    Attack(
        "weights distribute",
        True,
        lambda x, w: (
            x[:, 0, 0] * ((w[0, 0] + w[1, 0]) * w[2, 0] != w[0, 0] * w[2, 0] + w[1, 0] * w[2, 0])
        ),
        True,
    ),
    Attack("a loop of weights", True, _once_at_most, True),
)
