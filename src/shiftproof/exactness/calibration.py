"""Calibration: is this device exact on integers? Measured against int64 on the host, never assumed.

FFT and Winograd convolutions, TF32 and bf16 products round even where the exactness bound holds. Where the
calibration fails, `exact` becomes `rounded`, and the reason says by how much.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError
from shiftproof.tracing.settings import Precision, all_options, current_device, settings


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What a device did to integer convolutions and products.

    Attributes:
        exact: True where every result agreed with int64 on the host.
        cases: how many were tried.
        worst: largest difference seen.
        reason: what failed, or "".
    """

    exact: bool
    cases: int
    worst: float
    reason: str


CASES = ((1, 3, 1), (4, 3, 2), (8, 5, 1), (16, 1, 1), (32, 3, 1))
"""(channels, kernel size, stride) of the convolutions tried."""


@functools.lru_cache(maxsize=32)
def calibrate(device: jax.Device, dtype: str, precision: Precision = "highest") -> Calibration:
    """Compare integer convolutions and matrix products on a device with int64 on the host.

    Values grow until the largest sum fills half of what the format holds (2^24 in float32, 2^53 in float64).

    Args:
        device: where to compute.
        dtype: a floating type.
        precision: of the products.
    """
    with settings(dtype, precision):
        return _calibrate(device, dtype)


def calibrate_ahead() -> None:
    """Calibrate for what most models are, so that it is known when it is asked for."""
    for dtype in ("float32", "float64"):
        calibrate(current_device(), dtype)


def _calibrate(device: jax.Device, dtype: str) -> Calibration:
    digits = int(jnp.finfo(dtype).nmant)
    trials = [*(_convolution(*case, digits) for case in CASES), _product(digits)]
    given = [tuple(array.astype(dtype) for array in trial.given) for trial in trials]
    gaps = np.zeros(len(trials))

    def compute(given: Any) -> list[Any]:
        return [trial.function(*arrays) for trial, arrays in zip(trials, given, strict=True)]

    placed = jax.device_put(given, device)
    lowered = jax.jit(compute).lower(placed)
    # under all that the compiler is told of any function
    for options in all_options(device.platform):
        found = lowered.compile(options)(placed)
        for number, (trial, array) in enumerate(zip(trials, found, strict=True)):
            gap = np.max(np.abs(np.asarray(array).astype(np.float64) - trial.expected))
            gaps[number] = np.maximum(gaps[number], gap)  # NaN stays
    worst = float(np.max(gaps))
    failed = [trial.words for trial, gap in zip(trials, gaps, strict=True) if gap]
    reason = (
        f"{device.device_kind} is not exact on integers in {dtype}: {failed[0]} is off by up to {worst:.3g}"
        if failed
        else ""
    )
    return Calibration(not failed, len(trials), worst, reason)


@functools.lru_cache(maxsize=32)
def has_float64(device: jax.Device) -> bool:
    """Whether a device computes in float64, and not in something narrower that it takes for it."""
    small = 2.0**-52
    with settings("float64"):
        try:
            one, rest = jax.device_put((np.float64(1), np.float64(small)), device)
            return float(jax.jit(lambda a, b: (a + b) - 1)(one, rest)) == small
        except (jax.errors.JaxRuntimeError, TypeError, ValueError):
            return False


@contextlib.contextmanager
def float64_device() -> Iterator[jax.Device]:
    """Run on the current device where it computes in float64, and on the host's processor where it does not.

    Raises:
        InputError: there is no processor that JAX may use.
    """
    device = current_device()
    device = device if has_float64(device) else processor(device)
    with jax.default_device(device):
        yield device


@contextlib.contextmanager
def host_processor() -> Iterator[jax.Device]:
    """Run on the host's processor: the bounds of enclosures are those of its compiler and libraries.

    Raises:
        InputError: there is no processor that JAX may use.
    """
    device = processor(current_device())
    with jax.default_device(device):
        yield device


def processor(instead_of: jax.Device) -> jax.Device:
    """The host's processor.

    Raises:
        InputError: there is none that JAX may use.
    """
    if instead_of.platform == "cpu":
        return instead_of
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise InputError(
            f"on {instead_of.device_kind} a verdict needs the processor too, for float64 with known rounding, and JAX "
            "was told not to use it: add cpu to JAX_PLATFORMS."
        ) from error


def _largest_value(terms: int, digits: int) -> int:
    """Integers up to this keep a sum of `terms` products below 2^digits."""
    return max(1, int((2**digits / terms) ** 0.5))


@dataclasses.dataclass(frozen=True)
class _Trial:
    """A function, the integers that it is given, and what it must give."""

    words: str
    function: Callable[..., Any]
    given: tuple[np.ndarray, ...]
    expected: np.ndarray


def _convolution(channels: int, size: int, stride: int, digits: int) -> _Trial:
    generator = np.random.default_rng(channels * 100 + size)
    top = _largest_value(channels * size * size, digits)
    images = generator.integers(-top, top + 1, (2, 12, 12, channels))
    kernel = generator.integers(-top, top + 1, (size, size, channels, channels))

    def convolve(x: Any, w: Any) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        strides = (stride, stride)
        return jax.lax.conv_general_dilated(x, w, strides, "VALID", dimension_numbers=dimensions)

    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), (1, 2))
    expected = np.einsum("nyxcuv,uvco->nyxo", windows[:, ::stride, ::stride], kernel)
    words = f"conv {size}x{size} stride {stride} with {channels} channels"
    return _Trial(words, convolve, (images, kernel), expected)


def _product(digits: int) -> _Trial:
    generator = np.random.default_rng(7)
    top = _largest_value(64, digits)
    left = generator.integers(-top, top + 1, (32, 64))
    right = generator.integers(-top, top + 1, (64, 48))
    return _Trial("matrix product", jnp.matmul, (left, right), left @ right)
