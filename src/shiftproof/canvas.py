"""Canvases: images, and the larger arrays over which a window of their size slides.

`(T_Δ x)(u) = x(u - Δ)`: content moves *by* Δ, so on the torus `T_Δ x` is `jnp.roll(x, Δ)`. A sweep slices windows of a
canvas and never rolls. What a window shows is said by the boundary (`group.py`); here are the arrays.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError
from shiftproof.group import Background, Boundary, BoundaryName, Scene, Torus, check_boundary


def translate(
    x: Any, shift: Sequence[int], *, axes: Sequence[int], boundary: BoundaryName = "torus"
) -> jax.Array:
    """Translate `x` by `shift`: `(T_Δ x)(u) = x(u - Δ)`.

    Args:
        x: array of any rank.
        shift: pixels, one integer per axis of `axes`; negative moves up or left. Reduced mod n on the torus.
        axes: the spatial axes of `x`, in the order of `shift`.
        boundary: `"torus"` or `"background"`, where zeros enter. A scene has no T on one frame; see `Canvas`.

    Returns:
        Array of the shape and dtype of `x`.

    Raises:
        InputError: a shift and axes of different lengths, or the boundary `"scene"`.

    >>> translate(np.array([1, 2, 3, 4]), (1,), axes=(0,)).tolist()
    [4, 1, 2, 3]
    >>> translate(np.array([1, 2, 3, 4]), (-1,), axes=(0,), boundary="background").tolist()
    [2, 3, 4, 0]
    """
    check_boundary(boundary)
    if boundary == "scene":
        raise InputError(
            "a scene is shifted by moving the window: use Canvas.scene(...).window(shift)."
        )
    x = jnp.asarray(x)
    axes = normalise_axes(axes, x.ndim)
    if len(shift) != len(axes):
        raise InputError(
            f"shift {tuple(shift)} has {len(shift)} entries for {len(axes)} spatial axes."
        )
    if boundary == "torus":
        return jnp.roll(x, tuple(int(s) for s in shift), axes)
    for axis, step in zip(axes, shift, strict=True):
        x = _shift_zero(x, int(step), axis=axis)
    return x


def _shift_zero(x: jax.Array, step: int, *, axis: int) -> jax.Array:
    size = x.shape[axis]
    step = max(-size, min(size, step))
    kept = jax.lax.slice_in_dim(x, max(0, -step), size - max(0, step), axis=axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (max(0, step), max(0, -step))
    return jnp.pad(kept, widths)


def normalise_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Non-negative `axes` of an array of the given rank; raises `InputError` when out of range or repeated."""
    for axis in axes:
        if not -rank <= axis < rank:
            raise InputError(f"axis {axis} is out of range for an array of rank {rank}.")
    normal = tuple(axis % rank for axis in axes)
    if len(set(normal)) != len(normal):
        raise InputError(f"spatial axes {tuple(axes)} name the same axis twice.")
    return normal


@dataclasses.dataclass(frozen=True)
class Canvas:
    """A larger array over which a window of the grid's size slides.

    `window(Δ)` is `T_Δ x`: it starts at `origin - Δ`.

    Attributes:
        array: the images with every spatial axis enlarged; tiled twice on the torus, so that no window wraps around.
        axes: its spatial axes.
        boundary: what the window shows; its `ranges` are the shifts that are swept.
    """

    array: np.ndarray
    axes: tuple[int, ...]
    boundary: Boundary

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the window."""
        return self.boundary.grid

    @property
    def origin(self) -> tuple[int, ...]:
        """Where the window of shift 0 starts."""
        return self.boundary.origin

    @property
    def wraps(self) -> bool:
        """Whether this is the torus."""
        return isinstance(self.boundary, Torus)

    @property
    def ranges(self) -> tuple[range, ...]:
        """Along each axis the shifts that are swept; all shifts are their product."""
        return self.boundary.ranges

    @property
    def shifts(self) -> np.ndarray:
        """All shifts, (count, axes) int32, in row-major order."""
        return np.array(list(itertools.product(*self.ranges)), np.int32).reshape(-1, len(self.axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a window, batch included."""
        sizes = list(self.array.shape)
        for axis, size in zip(self.axes, self.grid, strict=True):
            sizes[axis] = size
        return tuple(sizes)

    @property
    def still(self) -> np.ndarray:
        """The window of shift 0: the images themselves."""
        kept = [slice(None)] * self.array.ndim
        for axis, begin, size in zip(self.axes, self.origin, self.grid, strict=True):
            kept[axis] = slice(begin, begin + size)
        return self.array[tuple(kept)]

    def window(self, shift: Sequence[int] | jax.Array) -> jax.Array:
        """`T_Δ x` for one shift inside `ranges` (or congruent to one, on the torus); traceable."""
        return slide(
            jnp.asarray(self.array), shift, axes=self.axes, grid=self.grid, origin=self.origin
        )

    @staticmethod
    def torus(images: np.ndarray, *, axes: Sequence[int]) -> "Canvas":
        """The image wraps around; all shifts from 0 to n - 1."""
        axes = normalise_axes(axes, images.ndim)
        repeats = [2 if axis in axes else 1 for axis in range(images.ndim)]
        grid = tuple(images.shape[axis] for axis in axes)
        return Canvas(np.tile(images, repeats), axes, Torus(grid))

    @staticmethod
    def background(images: np.ndarray, *, axes: Sequence[int]) -> "Canvas":
        """A zero background: all shifts that keep every non-zero pixel of every image inside the frame."""
        axes = normalise_axes(axes, images.ndim)
        grid = tuple(images.shape[axis] for axis in axes)
        spans = [_support(images, axis) for axis in axes]
        back = tuple(span.start for span in spans)
        forth = tuple(n - span.stop for n, span in zip(grid, spans, strict=True))
        widths = [(0, 0)] * images.ndim
        for axis, f, b in zip(axes, forth, back, strict=True):
            widths[axis] = (f, b)
        boundary = Background(grid, back, forth, tuple(map(len, spans)))
        return Canvas(np.pad(images, widths), axes, boundary)

    @staticmethod
    def scene(scene: np.ndarray, *, axes: Sequence[int], grid: Sequence[int]) -> "Canvas":
        """Crops of a larger scene: the window of shift 0 is the central crop; all shifts that stay inside."""
        axes = normalise_axes(axes, scene.ndim)
        sizes = tuple(scene.shape[axis] for axis in axes)
        grid = tuple(int(size) for size in grid)
        if len(grid) != len(sizes) or any(g > s or g < 1 for g, s in zip(grid, sizes, strict=True)):
            raise InputError(
                f"a scene of size {sizes} has no window of size {grid}: "
                "pass a scene larger than the grid, or a smaller grid=."
            )
        forth = tuple((s - g) // 2 for s, g in zip(sizes, grid, strict=True))
        back = tuple(s - g - f for s, g, f in zip(sizes, grid, forth, strict=True))
        return Canvas(np.asarray(scene), axes, Scene(grid, back, forth))


def slide(
    array: jax.Array,
    shift: Any,
    *,
    axes: Sequence[int],
    grid: Sequence[int],
    origin: Sequence[int],
) -> jax.Array:
    """The window of size `grid` that starts at `origin - shift`; on a doubly tiled torus any shift works."""
    starts: list[Any] = [jnp.int32(0)] * array.ndim
    sizes = list(array.shape)
    for position, axis in enumerate(axes):
        start = jnp.int32(origin[position]) - jnp.asarray(shift[position], jnp.int32)
        if array.shape[axis] == 2 * grid[position] and origin[position] == grid[position]:
            start = jnp.mod(start, jnp.int32(grid[position]))
        starts[axis] = start
        sizes[axis] = grid[position]
    return jax.lax.dynamic_slice(array, starts, sizes)


def _support(images: np.ndarray, axis: int) -> range:
    """The rows of one axis that hold all content of all images; the whole axis where there is none."""
    others = tuple(other for other in range(images.ndim) if other != axis)
    (support,) = np.nonzero(np.any(images != 0, axis=others))
    if support.size == 0:
        return range(images.shape[axis])
    return range(int(support[0]), int(support[-1]) + 1)
