"""Blur-pool: a fixed binomial low-pass filter before subsampling.

R. Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019 (arXiv:1904.11486). The filter makes what the
stride breaks smaller; it does not keep more shifts. With circular padding the layer is equivariant under multiples of
the stride, as without a filter. A global mean right behind it keeps every shift, for filters of size 2 and more at
stride 2, whose even and odd taps weigh the same; a function between the two, such as ReLU, ends that.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof.errors import InputError
from shiftproof.layers.grid import Numbers, grid_of, per_axis
from shiftproof.layers.pooling import padded

MODES = {"CIRCULAR": "wrap", "SAME": "constant", "REFLECT": "reflect", "EDGE": "edge"}


class BlurPool(nnx.Module):
    """Binomial filter per channel, then every `strides`-th sample.

    Max blur pooling is `BlurPool()(max_pool(x, 2))`, a strided convolution becomes one of stride 1, then `BlurPool()`.

    Args:
        strides: cells, one number or one per grid axis.
        size: taps of the filter along every axis, 2 to 7: [1, 1], [1, 2, 1], [1, 3, 3, 1], ... over their sum.
        padding: `CIRCULAR`, `SAME` (zeros), `REFLECT` (as in the paper) or `EDGE`. Only the first keeps shifts.

    Raises:
        InputError: no such size or padding.

    >>> BlurPool(2, size=3)(jnp.array([4.0, 0.0, 0.0, 8.0]).reshape(1, 4, 1)).ravel().tolist()
    [1.0, 5.0]
    """

    def __init__(self, strides: Numbers = 2, *, size: int = 3, padding: str = "CIRCULAR") -> None:
        if not 2 <= size <= 7:
            raise InputError(f"BlurPool: size must be 2 to 7; got {size}.")
        if padding not in MODES:
            raise InputError(
                f"BlurPool: padding must be one of {', '.join(MODES)}; got {padding!r}."
            )
        self.strides, self.size, self.padding = strides, size, padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, *grid, channels) to (batch, *ceil(grid / strides), channels)."""
        rank = len(grid_of(x.shape, "BlurPool"))
        strides, sizes = per_axis(self.strides, rank, "strides"), (self.size,) * rank
        channels = x.shape[-1]
        taps = [math.comb(self.size - 1, k) / 2 ** (self.size - 1) for k in range(self.size)]
        kernel = np.ones(())
        for _ in range(rank):
            kernel = np.multiply.outer(kernel, taps)
        kernel = jnp.asarray(np.repeat(kernel[..., None, None], channels, -1), x.dtype)
        spatial = "DHW"[-rank:] if rank <= 3 else "".join(map(chr, range(97, 97 + rank)))
        layout = f"N{spatial}C", f"{spatial}IO", f"N{spatial}C"
        wide = padded(x, sizes, strides, mode=MODES[self.padding])
        return jax.lax.conv_general_dilated(
            wide,
            kernel,
            strides,
            "VALID",
            dimension_numbers=layout,
            feature_group_count=channels,
        )
