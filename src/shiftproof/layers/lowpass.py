"""Low-pass downsampling: the spectrum is cut to what the coarser grid can hold, so that nothing aliases.

J. Grabinski et al., FrequencyLowCut Pooling, ECCV 2022 (arXiv:2204.00491), which cuts the spectrum; H. Michaeli,
T. Michaeli and D. Soudry, Alias-Free Convnets, CVPR 2023 (arXiv:2303.08085), who keep what lies between the
samples too. Here the Nyquist frequency of the coarser grid is dropped as well: it has no phase there, and would
break the shifts by parts of a cell.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from shiftproof.layers.grid import Numbers, grid_of, need_divisors, per_axis


class LowPassPool(nnx.Module):
    """The samples, `strides` apart, of the part of a signal that the coarser grid can hold.

    Along every axis of size n, with m = n / s: `y[u] = sum over |k| < m/2 of X[k] e^(2 pi i k u / m) / n`. Under a
    shift by Δ the output moves by Δ/s cells: exactly so where s divides Δ, else in between its samples (each of its
    frequencies k turns by e^(-2 pi i k Δ / n)). Means, and sums of squares, over the grid keep every shift. What acts
    cell by cell on the samples, such as ReLU, brings aliasing back.

    Args:
        strides: cells, one number or one per grid axis; each divides the size of its axis.

    >>> x = jnp.cos(2 * jnp.pi * jnp.arange(8.0) / 8).reshape(1, 8, 1)
    >>> [abs(round(float(value), 4)) for value in LowPassPool(2)(x).ravel()]
    [1.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, strides: Numbers = 2) -> None:
        self.strides = strides

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *grid, channels) to (batch, *grid / strides, channels).

        Raises:
            InputError: a stride does not divide its axis.
        """
        grid = grid_of(x.shape, "LowPassPool")
        strides = per_axis(self.strides, len(grid), "strides")
        need_divisors(grid, strides, "LowPassPool")
        spectrum = x.astype(jnp.result_type(x.dtype, jnp.complex64))
        for axis, (n, stride) in enumerate(zip(grid, strides, strict=True), start=1):
            if stride > 1:
                size = n // stride
                spectrum = jnp.fft.fft(spectrum, axis=axis)
                keep = (size + 1) // 2  # 0 ... keep - 1, and as many below 0, without Nyquist
                low = jax.lax.slice_in_dim(spectrum, 0, keep, axis=axis)
                high = jax.lax.slice_in_dim(spectrum, n - keep + 1, n, axis=axis)
                gap = [(0, 0, 0)] * x.ndim
                gap[axis] = (0, size - 2 * keep + 1, 0)
                low = jax.lax.pad(low, jnp.zeros((), spectrum.dtype), gap)
                cut = jnp.concatenate([low, high], axis)
                spectrum = jnp.fft.ifft(cut, axis=axis) / stride
        return spectrum.real.astype(x.dtype)
