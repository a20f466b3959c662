"""Single layers of the zoo that Flax does not have ready made.

Convolutions come straight from Flax, which has a circular mode for them. Its pools have none, so
`wrap_pool` pads by hand, as users do. Whole networks are in `networks`, the names of all models in
the package itself.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

Array = jax.Array
Layer = Callable[[Array], Array]


def wrap_pool(
    pool: Callable[..., Array],
    x: Array,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int],
) -> Array:
    """Pool on the torus: the window sees the opposite edge instead of padding.

    Per spatial axis of size ``n``, with window ``k``, stride ``s`` and ``m = ceil(n / s)``::

        p = max((m - 1) * s + k - n, 0)
        y[i] = pool over j < k of x[(s * i + j - p // 2) mod n],   i < m

    Args:
        pool: `nnx.max_pool`, `nnx.avg_pool` or `nnx.min_pool`.
        x (batch, *grid, channels): any number of grid axes.
        window: pixels, one number or one per grid axis.
        stride: pixels, one number or one per grid axis.

    Returns:
        (batch, *ceil(grid / stride), channels), where ``padding="SAME"`` puts its windows too, so
        that the two differ at the border only.

    Raises:
        ValueError: `window` or `stride` has not one entry per grid axis.

    >>> x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    >>> wrap_pool(nnx.avg_pool, x, 2, stride=1).ravel().tolist()
    [1.5, 2.5, 2.0]
    """
    grid = x.shape[1:-1]
    windows = _per_axis(window, len(grid), what="window")
    strides = _per_axis(stride, len(grid), what="stride")
    margins = [_wrap_margin(*sizes) for sizes in zip(grid, windows, strides, strict=True)]
    wrapped = jnp.pad(x, [(0, 0), *margins, (0, 0)], mode="wrap")
    return pool(wrapped, windows, strides=strides, padding="VALID")


def _per_axis(value: int | Sequence[int], count: int, *, what: str) -> tuple[int, ...]:
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count:
        raise ValueError(
            f"{what} {values} has {len(values)} entries, expected {count}: one per grid axis of a"
            " (batch, *grid, channels) input"
        )
    return values


def _wrap_margin(size: int, window: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    margin = max((outputs - 1) * stride + window - size, 0)
    # The odd pixel goes behind, as Flax's SAME does it.
    return margin // 2, margin - margin // 2


def pool_layer(
    pool: Callable[..., Array], window: int, *, stride: int, padding: str = "CIRCULAR"
) -> Layer:
    """A pool as a plain function on (batch, h, w, channels); ``"SAME"`` is Flax's own padding.

    >>> pool_layer(nnx.max_pool, 3, stride=2)(jnp.ones((1, 8, 8, 2))).shape
    (1, 4, 4, 2)
    """

    def same(x: Array) -> Array:
        return pool(x, (window, window), strides=(stride, stride), padding="SAME")

    def circular(x: Array) -> Array:
        return wrap_pool(pool, x, (window, window), stride=stride)

    return same if padding == "SAME" else circular


class Dense(nnx.Module):
    """Flatten and one linear layer, (batch, *shape) -> (batch, features).

    >>> Dense(shape=(8, 8, 2), features=10, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 2))).shape
    (1, 10)
    """

    def __init__(self, *, shape: Sequence[int], features: int = 10, rngs: nnx.Rngs):
        self.linear = nnx.Linear(math.prod(shape), features, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Features (batch, features) of inputs (batch, *shape)."""
        return self.linear(x.reshape(x.shape[0], -1))
