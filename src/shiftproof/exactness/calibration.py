"""Calibration: is this device exact on integers? Measured against int64 on the host, never assumed.

FFT and Winograd convolutions, TF32 and bf16 products round even where the exactness bound holds. Where the
calibration fails, `exact` becomes `rounded`, and the reason says by how much.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
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


def _calibrate(device: jax.Device, dtype: str) -> Calibration:
    digits = int(jnp.finfo(dtype).nmant)
    worst, failed = 0.0, []
    for channels, size, stride in CASES:
        gap = _convolution_gap(
            device, dtype, channels=channels, size=size, stride=stride, digits=digits
        )
        if gap:
            failed.append(f"conv {size}x{size} stride {stride} with {channels} channels")
        worst = max(worst, gap)
    gap = _product_gap(device, dtype, digits=digits)
    if gap:
        failed.append("matrix product")
    worst = max(worst, gap)
    reason = (
        f"{device.device_kind} is not exact on integers in {dtype}: {failed[0]} is off by up to {worst:.3g}"
        if failed
        else ""
    )
    return Calibration(not failed, len(CASES) + 1, worst, reason)


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


def _convolution_gap(
    device: jax.Device, dtype: str, *, channels: int, size: int, stride: int, digits: int
) -> float:
    generator = np.random.default_rng(channels * 100 + size)
    top = _largest_value(channels * size * size, digits)
    images = generator.integers(-top, top + 1, (2, 12, 12, channels))
    kernel = generator.integers(-top, top + 1, (size, size, channels, channels))
    placed = jax.device_put((images.astype(dtype), kernel.astype(dtype)), device)

    def convolve(x: Any, w: Any) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        strides = (stride, stride)
        return jax.lax.conv_general_dilated(x, w, strides, "VALID", dimension_numbers=dimensions)

    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), (1, 2))
    expected = np.einsum("nyxcuv,uvco->nyxo", windows[:, ::stride, ::stride], kernel)
    return _gap(convolve, placed, expected)


def _product_gap(device: jax.Device, dtype: str, *, digits: int) -> float:
    generator = np.random.default_rng(7)
    top = _largest_value(64, digits)
    left = generator.integers(-top, top + 1, (32, 64))
    right = generator.integers(-top, top + 1, (64, 48))
    placed = jax.device_put((left.astype(dtype), right.astype(dtype)), device)
    return _gap(jnp.matmul, placed, left @ right)


def _gap(function: Callable[..., Any], given: Sequence[Any], expected: np.ndarray) -> float:
    """How far a function is from what is expected at most, under all that the compiler is told of it."""
    (device,) = given[0].devices()
    gaps = [0.0]
    for options in all_options(device.platform):
        found = jax.jit(function).lower(*given).compile(options)(*given)
        gaps.append(float(np.max(np.abs(np.asarray(found).astype(np.float64) - expected))))
    return max(gaps)
