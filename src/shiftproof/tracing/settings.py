"""The settings of JAX under which everything is traced and run."""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping
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


Options = dict[str, str | bool]

DETERMINISTIC: Mapping[str, Options] = {"gpu": {"xla_gpu_deterministic_ops": True}}

QUICK: Mapping[str, Options] = {
    "cpu": {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False}
}
"""For programs that run a few times on few cells: most of their time is the compiler's."""

SMALL = 2**20
"""Cells of all values together, up to which a few runs of a program take less time than the compiler saves."""


def compiler_options(platform: str, cells: float = math.inf) -> Options:
    """What the compiler is told, for each function, so that the same call gives the same bits on that platform.

    Args:
        platform: such as `cpu`.
        cells: of all values together, where the function runs a few times only.
    """
    return {**DETERMINISTIC.get(platform, {}), **(_quick(platform) if cells < SMALL else {})}


def all_options(platform: str) -> list[Options]:
    """Everything that the compiler is told on a platform, of one function or another: what is exact under these, is."""
    quick, usual = compiler_options(platform, 0), compiler_options(platform)
    return [usual] if quick == usual else [quick, usual]


@functools.cache
def _quick(platform: str) -> Options:
    """Those of `QUICK` that the compiler at hand understands: they differ from version to version."""
    understood: Options = {}
    for option, value in QUICK.get(platform, {}).items():
        function = jax.jit(lambda: 0).lower()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            function.compile({option: value})
            understood[option] = value
    return understood
