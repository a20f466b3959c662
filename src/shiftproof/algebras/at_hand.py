"""At hand: arrays that are there are computed by NumPy at once; what is being traced is computed by JAX.

JAX compiles every operation for every shape, which takes longer than a few runs of a small program. The rules of an
algebra are written once, by `xp` in place of `jax.numpy`, and which library computes follows from the arrays. The most
frequent primitives that move, sum or multiply are here as well; JAX runs the others itself.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import plain
from shiftproof.tracing.trace import is_at_hand


def in_numpy(*arrays: Any) -> bool:
    """Whether all are arrays of NumPy or numbers, or lists of such."""
    return all(
        in_numpy(*a) if isinstance(a, list | tuple) else not hasattr(a, "aval") for a in arrays
    )


def host(array: Any) -> Any:
    """An array of NumPy where the numbers are known, and no random keys; else what is given."""
    known = is_at_hand(array) and plain(getattr(array, "dtype", np.float64))
    return np.asarray(array) if known else array


def like(operands: Sequence[Any], made: Sequence[Any]) -> list[Any]:
    """What JAX has made, in NumPy where the operands are."""
    return [host(array) for array in made] if in_numpy(*operands) else list(made)


class _Either:
    """The functions of `jax.numpy`, run by NumPy where the arrays are at hand."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(np if in_numpy(*args) else jnp, name)(*args, **kwargs)

        setattr(self, name, call)
        return call


xp: Any = _Either()
"""Each function by the library that its positional arguments ask for."""


def run(name: str, arrays: Sequence[Any], params: Mapping[str, Any]) -> np.ndarray | None:
    """What a primitive gives, each array with one more axis in front, along which it is run.

    Args:
        name: of the primitive.
        arrays: (tracks, *shape) each; of numbers in float64, but for what only moves.
        params: of the equation.

    Returns:
        (tracks, *shape); None where there is no rule here, or some array is none of NumPy.
    """
    rule = _MOVES.get(name) or _REALS.get(name)
    if rule is None or not in_numpy(*arrays) or not all(array.size for array in arrays):
        return None
    if name not in _MOVES and any(array.dtype != np.float64 for array in arrays):
        return None  # machine integers wrap around
    return rule(params, *arrays)


# --- moves ---


def _reshape(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray | None:
    return x.reshape(len(x), *params["new_sizes"]) if params["dimensions"] is None else None


def _transpose(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return np.transpose(x, (0, *(axis + 1 for axis in params["permutation"])))


def _squeeze(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, tuple(axis + 1 for axis in params["dimensions"]))


def _expand(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return np.expand_dims(x, tuple(axis + 1 for axis in params["dimensions"]))


def _broadcast(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    shape = tuple(params["shape"])
    middle = [1] * len(shape)
    for axis, place in enumerate(params["broadcast_dimensions"]):
        middle[place] = x.shape[axis + 1]
    return np.broadcast_to(x.reshape(len(x), *middle), (len(x), *shape))


def _slice(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    steps = params["strides"] or (1,) * (x.ndim - 1)
    parts = map(slice, params["start_indices"], params["limit_indices"], steps)
    return x[(slice(None), *parts)]


def _reverse(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    return np.flip(x, tuple(axis + 1 for axis in params["dimensions"]))


def _concatenate(params: Mapping[str, Any], *arrays: np.ndarray) -> np.ndarray:
    return np.concatenate(arrays, params["dimension"] + 1)


def _pad(params: Mapping[str, Any], x: np.ndarray, fill: np.ndarray) -> np.ndarray:
    return _padded(x, [(0, 0, 0), *params["padding_config"]], fill)


def _padded(x: np.ndarray, config: Sequence[tuple[int, int, int]], fill: Any = None) -> np.ndarray:
    """With so many cells before and behind each axis, negative ones cut, and between its cells."""
    to, origin, shape = [], [], []
    for n, (low, high, inner) in zip(x.shape, config, strict=True):
        shape.append(max(0, low + (max(0, (n - 1) * (inner + 1) + 1) if n else 0) + high))
        step = inner + 1
        first = max(0, -(low // step)) if low < 0 else 0
        last = min(n, (shape[-1] - 1 - low) // step + 1)
        to.append(slice(low + first * step, max(0, low + (last - 1) * step + 1), step))
        origin.append(slice(first, max(first, last)))
        if last <= first:
            to[-1] = slice(0, 0)
    made = np.zeros(shape, x.dtype)
    if fill is not None:
        made[...] = np.reshape(fill, (-1, *[1] * (x.ndim - 1)))
    made[tuple(to)] = x[tuple(origin)]
    return made


# --- sums and extrema ---


def _reduced(params: Mapping[str, Any], x: np.ndarray, join: np.ufunc) -> np.ndarray:
    return join.reduce(x, axis=tuple(axis + 1 for axis in params["axes"]))


def _window(params: Mapping[str, Any], x: np.ndarray, join: np.ufunc, start: float) -> np.ndarray:
    """Windows joined by an associative operation, with its neutral element: they are boxes, so axis after axis."""
    config = [
        (low, high, base - 1)
        for (low, high), base in zip(params["padding"], params["base_dilation"], strict=True)
    ]
    if any(map(any, config)):
        x = _padded(x, [(0, 0, 0), *config], np.float64(start))
    steps = (params["window_dimensions"], params["window_strides"], params["window_dilation"])
    for axis, (size, stride, dilation) in enumerate(zip(*steps, strict=True), 1):
        count, lead = _count(x.shape[axis], size, stride, dilation), (slice(None),) * axis
        taps = (x[(*lead, _places(tap, count, stride, dilation))] for tap in range(size))
        x = functools.reduce(join, taps)
    return x


def _count(cells: int, size: int, stride: int, dilation: int) -> int:
    """How many windows there are."""
    return max(0, (cells - (size - 1) * dilation - 1) // stride + 1)


def _places(tap: int, count: int, stride: int, dilation: int) -> slice:
    """The cell that stands at a tap, of every window."""
    begin = tap * dilation
    return slice(begin, begin + (count - 1) * stride + 1 if count else begin, stride)


# --- products ---


def _dot(params: Mapping[str, Any], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    (xc, yc), (xb, yb) = params["dimension_numbers"]
    xc, yc, xb, yb = ([a + 1 for a in axes] for axes in (xc, yc, xb, yb))
    xf = [a for a in range(1, x.ndim) if a not in xc and a not in xb]
    yf = [a for a in range(1, y.ndim) if a not in yc and a not in yb]
    batch = [len(x), *(x.shape[a] for a in xb)]
    left, right = [x.shape[a] for a in xf], [y.shape[a] for a in yf]
    inner = math.prod(x.shape[a] for a in xc)
    first = np.transpose(x, (0, *xb, *xf, *xc)).reshape(*batch, math.prod(left), inner)
    second = np.transpose(y, (0, *yb, *yc, *yf)).reshape(*batch, inner, math.prod(right))
    return np.matmul(first, second).reshape(*batch, *left, *right)


def _convolution(params: Mapping[str, Any], x: np.ndarray, kernel: np.ndarray) -> np.ndarray | None:
    """A product of matrices: the windows, channels last, by the kernel; groups are matrices of their own."""
    numbers = params["dimension_numbers"]
    x = np.transpose(x, _channels_last(numbers.lhs_spec))
    kernel = np.transpose(kernel, _channels_last(numbers.rhs_spec))
    config = [
        (low, high, base - 1)
        for (low, high), base in zip(params["padding"], params["lhs_dilation"], strict=True)
    ]
    if any(map(any, config)):
        x = _padded(x, [(0, 0, 0)] * 2 + config + [(0, 0, 0)])
    tracks, features, *sizes, inner = kernel.shape
    batches, groups = params["batch_group_count"], params["feature_group_count"]
    steps = list(zip(sizes, params["window_strides"], params["rhs_dilation"], strict=True))
    counts = [_count(n, *step) for n, step in zip(x.shape[2:-1], steps, strict=True)]
    if 0 in counts:
        return None
    taps = []
    for offset in itertools.product(*map(range, sizes)):
        where = (
            _places(tap, count, stride, dilation)
            for tap, count, (_, stride, dilation) in zip(offset, counts, steps, strict=True)
        )
        taps.append(x[(slice(None), slice(None), *where)])
    images, many = x.shape[1] // batches, batches * groups
    # groups are of batches or of features, never of both
    split = (tracks, batches, images, math.prod(counts), len(taps), groups, inner)
    windows = np.stack(taps, -2).reshape(split)
    windows = np.moveaxis(windows, 5, 2).reshape(tracks, many, images * split[3], -1)
    weights = np.moveaxis(kernel, 1, -1).reshape(tracks, -1, many, features // many)
    found = np.matmul(windows, np.moveaxis(weights, 2, 1))
    found = np.moveaxis(found, 1, 2).reshape(tracks, images, *counts, features)
    order = np.argsort((numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))
    return np.transpose(found, (0, *(1 + int(axis) for axis in order)))


def _channels_last(spec: Sequence[int]) -> tuple[int, ...]:
    """The axes behind the tracks: images or features of the result, the grid, channels."""
    return (0, 1 + spec[0], *(1 + axis for axis in spec[2:]), 1 + spec[1])


_MOVES: Mapping[str, Callable[..., np.ndarray | None]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "expand_dims": _expand,
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "rev": _reverse,
    "concatenate": _concatenate,
    "pad": _pad,
    "copy": lambda _, x: x,
}
_REALS: Mapping[str, Callable[..., np.ndarray | None]] = {
    "neg": lambda _, x: -x,
    "add": lambda _, x, y: x + y,
    "add_any": lambda _, x, y: x + y,
    "sub": lambda _, x, y: x - y,
    "max": lambda _, x, y: np.maximum(x, y),
    "min": lambda _, x, y: np.minimum(x, y),
    "reduce_sum": functools.partial(_reduced, join=np.add),
    "reduce_max": functools.partial(_reduced, join=np.maximum),
    "reduce_min": functools.partial(_reduced, join=np.minimum),
    "reduce_window_sum": functools.partial(_window, join=np.add, start=0.0),
    "reduce_window_max": functools.partial(_window, join=np.maximum, start=-math.inf),
    "reduce_window_min": functools.partial(_window, join=np.minimum, start=math.inf),
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
}
