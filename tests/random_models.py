"""Random models in plain JAX: pieces of networks at random, with parameters often right, often slightly wrong."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

MAX_CELLS = 600
GRIDS = ((4,), (6,), (8,), (5,), (4, 4), (2, 3), (6, 2), (3, 3), (2, 2, 2))


def random_model(seed: int, length: int = 9) -> tuple[Callable[[Any], Any], tuple[int, ...]]:
    """A function of a batch of images, and the shape of one image: a grid, then channels."""
    grid = random.Random(seed).choice(GRIDS)
    channels = random.Random(seed + 1).choice((1, 2, 3))

    def model(images: Any) -> Any:
        rng = random.Random(seed + 2)  # choices depend on shapes alone, so tracing repeats them
        values = [images]
        for _ in range(4 * length):
            if len(values) > length:
                break
            value = values[-1] if rng.random() < 0.75 else rng.choice(values)
            try:
                made = rng.choice(PIECES)(rng, value, values)
            except (ValueError, TypeError, IndexError):
                continue
            if 0 < made.size <= MAX_CELLS and made.ndim <= 6:
                values.append(made)
        return values[-1]

    return model, (*grid, channels)


def _axis(rng: random.Random, x: Any) -> int:
    """Mostly not the batch."""
    long = [a for a in range(1, x.ndim) if x.shape[a] > 1]
    return rng.choice(long) if long and rng.random() < 0.95 else rng.randrange(x.ndim)


def _numbers(rng: random.Random, shape: Sequence[int]) -> Any:
    return jnp.asarray(np.random.default_rng(rng.getrandbits(32)).integers(-3, 4, shape), float)


def _function(rng: random.Random, x: Any, values: list) -> Any:
    functions = (
        jnp.sin,
        jnp.tanh,
        jnp.abs,
        nnx.relu,
        jnp.square,
        lambda y: y / 3,
        jax.jit(jnp.cos),
    )
    return rng.choice(functions)(x)


def _residual(rng: random.Random, x: Any, values: list) -> Any:
    other = rng.choice([v for v in values if v.shape == x.shape])
    return rng.choice((jnp.add, jnp.multiply, jnp.maximum, jnp.arctan2))(x, other)


def _table(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    n = x.shape[axis]
    period = rng.choice([p for p in range(1, n + 1) if n % p == 0])
    table = jnp.tile(_numbers(rng, (period,)), n // period)
    return rng.choice((jnp.add, jnp.multiply))(x, table.reshape(-1, *(1,) * (x.ndim - 1 - axis)))


def _mask(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    inside = jnp.arange(x.shape[axis]) % rng.choice((1, 2, 3)) == 0
    return jnp.where(inside.reshape(-1, *(1,) * (x.ndim - 1 - axis)), x, 0.5)


def _roll(rng: random.Random, x: Any, values: list) -> Any:
    return jnp.roll(x, rng.randrange(-3, 4), _axis(rng, x))


def _joined(rng: random.Random, x: Any, values: list) -> Any:
    other = rng.choice([v for v in values if v.shape == x.shape])
    return jnp.concatenate([x, other], _axis(rng, x))


def _halves(rng: random.Random, x: Any, values: list) -> Any:
    parts = jnp.split(x, 2, _axis(rng, x))
    axis = _axis(rng, x)
    return jnp.concatenate(parts[:: rng.choice((1, -1))], axis) if rng.random() < 0.5 else parts[0]


def _padded(rng: random.Random, x: Any, values: list) -> Any:
    room = [(0, 0)] * x.ndim
    room[_axis(rng, x)] = (rng.randrange(3), rng.randrange(3))
    return jnp.pad(
        x, room, mode=rng.choice(("wrap", "wrap", "wrap", "constant", "reflect", "edge"))
    )


def _stretched(rng: random.Random, x: Any, values: list) -> Any:
    config = [(0, 0, 0)] * x.ndim
    config[_axis(rng, x)] = rng.choice(
        ((0, 1, 1), (1, 0, 1), (0, 2, 2), (1, 1, 1), (-1, 0, 0), (-1, -2, 2))
    )
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _convolution(rng: random.Random, x: Any, values: list) -> Any:
    rank = x.ndim - 2
    letters = "DHW"[3 - rank :] if rank else ""
    size = [rng.choice((1, 2, 3)) for _ in range(rank)]
    dilation = [rng.choice((1, 1, 2)) for _ in range(rank)]
    room = [(0, 0)]
    for n, d in zip(size, dilation, strict=True):
        low = rng.randrange(d * (n - 1) + 1)
        room.append((low, max(d * (n - 1) - low + rng.choice((0, 0, 0, 0, -1, 1)), 0)))
    groups = rng.choice([g for g in (1, 1, 2, 3) if x.shape[-1] % g == 0])
    kernel = _numbers(rng, (*size, x.shape[-1] // groups, groups * rng.choice((1, 2))))
    wrapped = jnp.pad(x, (*room, (0, 0)), mode="wrap")
    return jnp.sin(
        lax.conv_general_dilated(
            wrapped,
            kernel,
            [rng.choice((1, 1, 1, 2)) for _ in range(rank)],
            "VALID",
            rhs_dilation=dilation,
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
            feature_group_count=groups,
        )
    )


def _transposed_convolution(rng: random.Random, x: Any, values: list) -> Any:
    rank = x.ndim - 2
    layer = nnx.ConvTranspose(
        x.shape[-1],
        rng.choice((1, 2)),
        [rng.choice((2, 3, 4)) for _ in range(rank)],
        [rng.choice((1, 2)) for _ in range(rank)],
        padding=rng.choice(("CIRCULAR", "CIRCULAR", "CIRCULAR", "SAME")),
        param_dtype=x.dtype,
        rngs=nnx.Rngs(rng.randrange(9)),
    )
    return layer(x)


def _pool(rng: random.Random, x: Any, values: list) -> Any:
    rank = x.ndim - 2
    window = [rng.choice((1, 2, 2, 3)) for _ in range(rank)]
    strides = rng.choice((window, [1] * rank, [2] * rank))
    pool = rng.choice((nnx.max_pool, nnx.avg_pool, nnx.min_pool))
    return pool(x, window, strides, rng.choice(("VALID", "VALID", "VALID", "SAME")))


def _reduced(rng: random.Random, x: Any, values: list) -> Any:
    axes = tuple(a for a in range(1, x.ndim) if rng.random() < 0.5) or (_axis(rng, x),)
    return rng.choice((jnp.mean, jnp.max, jnp.sum, jnp.var))(x, axes, keepdims=rng.random() < 0.6)


def _normed(rng: random.Random, x: Any, values: list) -> Any:
    axes = tuple(a for a in range(1, x.ndim) if rng.random() < 0.5) or (_axis(rng, x),)
    return (x - jnp.mean(x, axes, keepdims=True)) / (1 + jnp.var(x, axes, keepdims=True))


def _dense(rng: random.Random, x: Any, values: list) -> Any:
    return jnp.tanh(x @ _numbers(rng, (x.shape[-1], rng.choice((1, 2, 3)))))


def _flat(rng: random.Random, x: Any, values: list) -> Any:
    return x.reshape(x.shape[0], -1)


def _attention(rng: random.Random, x: Any, values: list) -> Any:
    tokens = x.reshape(x.shape[0], -1, x.shape[-1])
    other = tokens if rng.random() < 0.6 else jnp.roll(tokens, 1, 1)
    scores = jnp.einsum("bic,bjc->bij", jnp.tanh(tokens), jnp.tanh(other))
    if rng.random() < 0.15:
        scores = jnp.where(np.tri(tokens.shape[1]) > 0, scores, -9.0)
    return jnp.einsum("bij,bjc->bic", jax.nn.softmax(scores, -1), other)


def _patches(rng: random.Random, x: Any, values: list) -> Any:
    axis = rng.randrange(1, x.ndim - 1)
    n = x.shape[axis]
    block = rng.choice([b for b in (1, 2, 3, 4) if n % b == 0])
    made = x.reshape(*x.shape[:axis], n // block, block, *x.shape[axis + 1 :])
    made = jnp.moveaxis(made, axis + 1, -2)
    return made.reshape(*made.shape[:-2], -1)


def _shuffled(rng: random.Random, x: Any, values: list) -> Any:
    """Channels become pixels."""
    axis = rng.randrange(1, x.ndim - 1)
    block = rng.choice([b for b in (2, 3, 4) if x.shape[-1] % b == 0])
    made = x.reshape(*x.shape[:-1], block, -1)
    made = jnp.moveaxis(made, -2, axis + (1 if rng.random() < 0.8 else 0))
    return made.reshape(*x.shape[:axis], x.shape[axis] * block, *x.shape[axis + 1 : -1], -1)


def _picked(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    n = x.shape[axis]
    kinds = (
        np.arange(0, n, 2),
        np.repeat(np.arange(n), 2),
        (np.arange(n)[:, None] + np.arange(2)) % n,
        (2 * np.arange(n)[:, None] + np.arange(3)) % n,
        np.arange(n)[::-1].copy(),
        np.asarray([rng.randrange(n) for _ in range(n)]),
    )
    return jnp.take(x, rng.choice(kinds), axis=axis)


def _sliced(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    start, step = rng.choice((0, 0, 1)), rng.choice((1, 2, 2, -1))
    index = [slice(None)] * x.ndim
    index[axis] = slice(start, None, step) if step > 0 else slice(None, None, -1)
    return x[tuple(index)]


def _resized(rng: random.Random, x: Any, values: list) -> Any:
    shape = list(x.shape)
    axis = _axis(rng, x)
    shape[axis] = max(rng.choice((2 * shape[axis], shape[axis] // 2, shape[axis] * 3 // 2)), 1)
    return jax.image.resize(x, shape, rng.choice(("nearest", "nearest", "linear")))


def _set(rng: random.Random, x: Any, values: list) -> Any:
    index = [slice(None)] * x.ndim
    index[_axis(rng, x)] = rng.choice((0, slice(0, 2)))
    at = x.at[tuple(index)]
    return at.set(0.25) if rng.random() < 0.5 else at.add(x[tuple(index)])


def _sorted(rng: random.Random, x: Any, values: list) -> Any:
    functions: Sequence[Callable] = (
        jnp.sort,
        jnp.cumsum,
        lambda y, axis: lax.top_k(jnp.moveaxis(y, axis, -1), 2)[0],
    )
    return rng.choice(functions)(x, axis=_axis(rng, x))


def _turned(rng: random.Random, x: Any, values: list) -> Any:
    order = list(range(1, x.ndim))
    rng.shuffle(order)
    return x.transpose(0, *order)


def _copied(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    if rng.random() < 0.5:
        return jnp.repeat(x, 2, axis)
    return jnp.stack([x, 2 * x], rng.choice((axis, axis + 1, x.ndim)))


def _looped(rng: random.Random, x: Any, values: list) -> Any:
    axis, table = _axis(rng, x), rng.random() < 0.15
    numbers = jnp.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - 1 - axis))

    def body(carry, i):
        made = jnp.sin(carry) + jnp.roll(x, 1, axis) * i
        return made + (numbers if table else 0), jnp.max(carry, axis)

    last, stacked = lax.scan(body, jnp.zeros_like(x), jnp.arange(3.0))
    return last if rng.random() < 0.7 else stacked


def _branched(rng: random.Random, x: Any, values: list) -> Any:
    axis = _axis(rng, x)
    test = jnp.sum(x) > 0 if rng.random() < 0.8 else x.ravel()[0] > 0
    return lax.cond(test, jnp.sin, lambda y: jnp.roll(y, 1, axis), x)


PIECES = (
    *(_function, _function, _residual, _residual, _table, _mask, _roll, _joined, _halves),
    *(_padded, _stretched, _convolution, _convolution, _convolution, _transposed_convolution),
    *(_pool, _pool, _reduced, _normed, _dense, _flat, _attention, _patches, _patches, _shuffled),
    *(_picked, _sliced, _resized, _set, _sorted, _turned, _turned, _copied, _looped, _branched),
)
