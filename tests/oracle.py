"""An independent, slow sweep: plain NumPy, its own loops, its own roll, int64 throughout."""

import itertools

import numpy as np


def roll(x: np.ndarray, shift: tuple[int, ...]) -> np.ndarray:
    """`y[b, u, c] = x[b, u - shift, c]`, cell by cell."""
    y = np.empty_like(x)
    grid = x.shape[1:-1]
    for u in itertools.product(*map(range, grid)):
        source = tuple((a - s) % n for a, s, n in zip(u, shift, grid, strict=True))
        y[(slice(None), *u)] = x[(slice(None), *source)]
    return y


def conv(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, *, stride: int, padding: str
) -> np.ndarray:
    """Cross-correlation as Flax's Conv computes it; `padding` is CIRCULAR or SAME."""
    size = kernel.shape[0]
    batch, height, width, _ = x.shape
    if padding == "CIRCULAR":
        low = [(size - 1) // 2] * 2
        out = [-(-n // stride) for n in (height, width)]
    else:
        out = [-(-n // stride) for n in (height, width)]
        total = [
            max((o - 1) * stride + size - n, 0) for o, n in zip(out, (height, width), strict=True)
        ]
        low = [t // 2 for t in total]
    y = np.zeros((batch, *out, kernel.shape[-1]), np.int64)
    for i, j, a, b in itertools.product(range(out[0]), range(out[1]), range(size), range(size)):
        u, v = i * stride + a - low[0], j * stride + b - low[1]
        if padding == "CIRCULAR":
            u, v = u % height, v % width
        elif not (0 <= u < height and 0 <= v < width):
            continue
        y[:, i, j] += x[:, u, v] @ kernel[a, b]
    return y + bias


def max_pool(x: np.ndarray, *, window: int, stride: int) -> np.ndarray:
    """VALID max pooling."""
    out = [(n - window) // stride + 1 for n in x.shape[1:3]]
    y = np.empty((x.shape[0], *out, x.shape[3]), np.int64)
    for i, j in itertools.product(range(out[0]), range(out[1])):
        y[:, i, j] = x[:, i * stride : i * stride + window, j * stride : j * stride + window].max(
            (1, 2)
        )
    return y


def compare(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Largest deviation, and grid cells that differ for some image and channel."""
    gap = np.abs(a - b)
    return int(gap.max()), int((gap.max(axis=(0, -1)) > 0).sum())


def sweep(f, x: np.ndarray, *, law: str) -> dict[tuple[int, ...], tuple[object, object]]:
    """For every shift ((equivariance deviation, cells) or None, (invariance deviation, cells))."""
    still = f(x)
    grid, cells = x.shape[1:-1], still.shape[1:-1]
    results = {}
    for shift in itertools.product(*map(range, grid)):
        y = f(roll(x, shift))
        if law == "any":
            equivariance = min(
                compare(y, roll(still, t)) for t in itertools.product(*map(range, cells))
            )
        elif any(s * m % n for s, m, n in zip(shift, cells, grid, strict=True)):
            equivariance = None
        else:
            moved = tuple(s * m // n for s, m, n in zip(shift, cells, grid, strict=True))
            equivariance = compare(y, roll(still, moved))
        results[shift] = (equivariance, compare(y, still))
    return results
