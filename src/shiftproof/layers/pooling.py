"""Pools on the torus, which Flax lacks: a window sees the opposite edge instead of padding.

Per grid axis of size n, with window k and stride s, there are `m = ceil(n / s)` outputs, placed as `padding="SAME"`
places them: `y[i] = pool over j < k of x[(s i + j - p // 2) mod n]`, with `p = max((m - 1) s + k - n, 0)`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from shiftproof.layers.grid import Numbers, grid_of, per_axis

Array = jax.Array


def max_pool(x: Array, window: Numbers, strides: Numbers = 1) -> Array:
    """The largest value of every window.

    Args:
        x (batch, *grid, channels): any number of grid axes.
        window: cells, one number or one per grid axis; it may be larger than the grid.
        strides: cells, one number or one per grid axis. One that does not divide its axis keeps shift 0 only.

    Returns:
        (batch, *ceil(grid / strides), channels).

    Raises:
        InputError: there is no grid, or `window` or `strides` do not fit it.

    >>> max_pool(jnp.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1), 2).ravel().tolist()
    [3.0, 3.0, 2.0, 1.0]
    """
    return _pool(nnx.max_pool, x, window, strides)


def min_pool(x: Array, window: Numbers, strides: Numbers = 1) -> Array:
    """The smallest value of every window; see `max_pool`."""
    return _pool(nnx.min_pool, x, window, strides)


def avg_pool(x: Array, window: Numbers, strides: Numbers = 1) -> Array:
    """The mean of every window; see `max_pool`."""
    return _pool(nnx.avg_pool, x, window, strides)


def _pool(pool: Callable[..., Array], x: Array, window: Numbers, strides: Numbers) -> Array:
    grid = grid_of(x.shape, pool.__name__)
    windows = per_axis(window, len(grid), "window")
    steps = per_axis(strides, len(grid), "strides")
    wrapped = padded(x, windows, steps, mode="wrap")
    return pool(wrapped, windows, strides=steps, padding="VALID")


def padded(x: Array, windows: tuple[int, ...], strides: tuple[int, ...], *, mode: str) -> Array:
    """The input with as many cells around its grid as windows placed as by `SAME` reach over."""
    margins = [
        max((-(-n // stride) - 1) * stride + k - n, 0)
        for n, k, stride in zip(x.shape[1:-1], windows, strides, strict=True)
    ]
    # the odd cell goes behind, as Flax's SAME does it
    sides = [(margin // 2, margin - margin // 2) for margin in margins]
    return jnp.pad(x, [(0, 0), *sides, (0, 0)], mode=mode)


def global_avg_pool(x: Array) -> Array:
    """The mean over the grid: (batch, *grid, channels) to (batch, channels)."""
    return x.mean(range(1, 1 + len(grid_of(x.shape, "global_avg_pool"))))


def global_max_pool(x: Array) -> Array:
    """The maximum over the grid: (batch, *grid, channels) to (batch, channels)."""
    return x.max(range(1, 1 + len(grid_of(x.shape, "global_max_pool"))))
