"""The settings of JAX under which everything is traced and run."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp

Precision = Literal["highest", "high", "default"]
"""Of matrix products and convolutions in float32: on a CPU all are one; accelerators compute the lower ones faster."""


@contextlib.contextmanager
def settings(dtype: str, precision: Precision = "highest") -> Iterator[None]:
    """A precision of products, full by default, and float64 only where it is asked for.

    The user's code never runs inside, but where float64 is the user's own choice.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision(precision))
        if dtype == "float64":
            stack.enter_context(jax.enable_x64(True))
        yield


def current_device() -> jax.Device:
    """The device that runs what is not placed elsewhere."""
    (device,) = jnp.zeros(()).devices()
    return device


DETERMINISTIC = {"gpu": {"xla_gpu_deterministic_ops": True}}


def compiler_options(platform: str) -> dict[str, str | bool]:
    """What the compiler is told, for each function, so that the same call gives the same bits on that platform."""
    return {**DETERMINISTIC.get(platform, {})}
