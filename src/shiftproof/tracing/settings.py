"""The settings of JAX under which everything is traced and run."""

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
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

QUICK: Mapping[str, Sequence[Options]] = {
    "cpu": [
        {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False},
        {"xla_backend_optimization_level": "1", "xla_cpu_use_fusion_emitters": False},
    ]
}
"""For programs that run a few times on few cells: most of their time is the compiler's. The first for the smallest."""

SMALL, MEDIUM = 2**20, 2**26
"""Cells of all values together, up to which a few runs of a program take less time than the compiler saves by each."""


def compiler_options(platform: str, cells: float = math.inf) -> Options:
    """What the compiler is told, for each function, so that the same call gives the same bits on that platform.

    Args:
        platform: such as `cpu`.
        cells: of all values together, where the function runs a few times only.
    """
    usual = DETERMINISTIC.get(platform, {})
    quick = zip((SMALL, MEDIUM), QUICK.get(platform, ()), strict=False)
    for most, options in quick:
        if cells < most:
            return {**usual, **_understood(platform, tuple(options.items()))}
    return dict(usual)


def all_options(platform: str, least: int = 0) -> list[Options]:
    """What the compiler is told on a platform of functions with so many cells or more: what is exact under all, is."""
    found: list[Options] = []
    for cells in sorted({max(least, most) for most in (0, SMALL, MEDIUM)}):
        options = compiler_options(platform, cells)
        found += [options] if options not in found else []
    return found


@functools.cache
def _understood(platform: str, options: tuple[tuple[str, str | bool], ...]) -> Options:
    """Those that the compiler at hand understands: they differ from version to version."""
    understood: Options = {}
    for option, value in options:
        function = jax.jit(lambda: 0).lower()
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            function.compile({option: value})
            understood[option] = value
    return understood
