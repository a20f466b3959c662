"""Strategies for Hypothesis: grids, shifts, lattices, images and small models, to test your own layers with.

    @given(st.images((8, 8, 1)), st.shifts((8, 8)))
    def test_my_layer(images, shift): ...

What is drawn is small and made of whole numbers, on which sums, products and maxima of float32 are exact: where a layer
computes no more than these, its outputs can be compared by `==`. Failing examples shrink to images that are one number
in nearly all cells, to short shifts, and to few layers with harmless choices (`CIRCULAR`, stride 1).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof import layers
from shiftproof.errors import InputError
from shiftproof.group import Lattice, Shift, axis_shift, divisors
from shiftproof.tracing.arguments import check_integers, check_whole, is_whole

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as arrays
except ImportError as error:
    raise ImportError(
        "shiftproof.testing.strategies needs Hypothesis, which is missing: pip install hypothesis, or in a checkout of "
        'shiftproof pip install -e ".[testing]"'
    ) from error

__all__ = ["batch_shapes", "grids", "image_shapes", "images", "lattices", "models", "shifts"]

Shape = tuple[int, ...]
Paddings = Sequence[str]

PADDINGS = ("CIRCULAR", "SAME", "VALID")
"""What enters at the border of a layer: the other side, zeros (of a max pool: nothing), or no window reaches over."""

LARGEST = 4
"""Magnitude of a pixel."""

WEIGHTS = (-1, 1, 2)
"""Of convolutions: never 0, never all alike."""


def __dir__() -> list[str]:
    return __all__


def grids(
    *, min_dims: int = 1, max_dims: int = 3, min_side: int = 1, max_side: int = 8
) -> st.SearchStrategy[Shape]:
    """Sizes (n1, ..., nd) of a grid.

    Args:
        min_dims, max_dims: bounds on the number of axes.
        min_side, max_side: bounds on every size, in pixels.

    Raises:
        hypothesis.errors.InvalidArgument: bounds that exclude each other; raised when something is drawn.
    """
    return arrays.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def image_shapes(*, max_channels: int = 3, **bounds: int) -> st.SearchStrategy[Shape]:
    """Shapes (*grid, channels) of one image; `bounds` as for `grids`."""
    return st.tuples(grids(**bounds), st.integers(1, max_channels)).map(lambda x: (*x[0], x[1]))


def batch_shapes(*, max_count: int = 3, **bounds: int) -> st.SearchStrategy[Shape]:
    """Shapes (count, *grid, channels) of a batch of images; `bounds` as for `image_shapes`."""
    return st.tuples(st.integers(1, max_count), image_shapes(**bounds)).map(lambda x: (x[0], *x[1]))


def shifts(
    grid: Sequence[int] | Lattice, *, stride: int | Sequence[int] = 1
) -> st.SearchStrategy[Shift]:
    """Shifts of a grid: pixels, one number from 0 to n - 1 per axis.

    Args:
        grid: sizes (n1, ..., nd); or a lattice, whose shifts alone are drawn.
        stride: draw multiples of this many pixels along every axis, or one number per axis.

    Raises:
        InputError: no grid, or a stride that does not fit it.
    """
    lattice = grid if isinstance(grid, Lattice) else _multiples(grid, stride)
    counts = (n // b for n, b in zip(lattice.grid, lattice.box, strict=True))
    factors = st.tuples(*(st.integers(0, count - 1) for count in counts))
    # the basis is triangular, so that these factors reach every shift of the lattice once
    return factors.map(lambda row: _sum(lattice.grid, zip(row, lattice.basis, strict=True)))


def lattices(grid: Sequence[int]) -> st.SearchStrategy[Lattice]:
    """Lattices of a grid: the subgroups of its shifts, from the shift by 0 alone to all of them.

    Args:
        grid: sizes (n1, ..., nd).

    Raises:
        InputError: no grid.
    """
    sizes = Lattice(tuple(grid)).grid
    period = math.lcm(*sizes)
    # drawn alone, shifts would generate nearly all of a grid; multiples by a divisor generate small lattices, too
    factors = st.sampled_from((1, *divisors(period)[1:]))
    generators = st.tuples(factors, shifts(sizes)).map(lambda term: _sum(sizes, [term]))
    return st.lists(generators, max_size=len(sizes)).map(lambda g: Lattice(sizes, tuple(g)))


def images(shape: Sequence[int], *, count: int = 1) -> st.SearchStrategy[np.ndarray]:
    """Batches of images (count, *shape), float32: whole numbers from -4 to 4.

    Some cells are drawn one by one, and one number fills the others. A failing image shrinks until it is that number in
    nearly all cells.

    Args:
        shape: of one image, channels last; any other array of at least one axis will do.
        count: images in the batch.

    Raises:
        InputError: a shape or a count of no image.
    """
    check_whole("count", count, least=1)
    numbers = st.integers(-LARGEST, LARGEST).map(float)
    return arrays.arrays(np.float32, (count, *_shape(shape)), elements=numbers, fill=numbers)


class SmallModel(nnx.Sequential):
    """Layers one after the other. As text it is the code of them."""

    def __init__(self, *pieces: "_Conv | _Pool | _Function") -> None:
        super().__init__(*pieces)
        self.text = f"SmallModel({', '.join(piece.text for piece in pieces)})"

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__  # that of Flax shows every field


class _Conv(nnx.Conv):
    """A convolution with weights of -1, 1 and 2."""

    def __init__(self, channels: int, features: int, seed: int, **options: Any) -> None:
        def init(_: Any, shape: Sequence[int], dtype: Any, *__: Any) -> jax.Array:
            return jnp.asarray(np.random.default_rng(seed).choice(WEIGHTS, shape), dtype)

        super().__init__(
            *(channels, features), kernel_init=init, bias_init=init, rngs=nnx.Rngs(0), **options
        )
        self.text = _call("Conv", channels, features, **options, seed=seed)


class _Pool(nnx.Module):
    """A pool by its kind (`max`, `min` or `avg`)."""

    def __init__(self, kind: str, window: Shape, strides: Shape, padding: str) -> None:
        self.kind, self.window, self.strides, self.padding = kind, window, strides, padding
        self.text = _call(f"{kind}_pool", window, strides=strides, padding=padding)

    def __call__(self, x: jax.Array) -> jax.Array:
        name = f"{self.kind}_pool"
        if self.padding == "CIRCULAR":
            return getattr(layers, name)(x, self.window, self.strides)
        return getattr(nnx, name)(x, self.window, self.strides, self.padding)


class _Function(nnx.Module):
    """A function of every number, or of the whole grid, by its name."""

    def __init__(self, name: str) -> None:
        self.text = name

    def __call__(self, x: jax.Array) -> jax.Array:
        return {**FUNCTIONS, **HEADS}[self.text](x)


FUNCTIONS = {"relu": nnx.relu, "abs": jnp.abs}
HEADS = {
    "sum over the grid": lambda x: x.sum(tuple(range(1, x.ndim - 1))),
    "max over the grid": layers.global_max_pool,
}
"""Exact in floats; a mean over 7 cells would not be."""


@st.composite
def _models(
    draw: st.DrawFn,
    shape: Shape,
    max_layers: int,
    paddings: Paddings,
    strides: Sequence[int],
    pooled: bool,
) -> SmallModel:
    sizes, channels, made = shape[:-1], shape[-1], []
    # asked before every layer, and not once for all: so each can be left out when an example shrinks
    while not made or (len(made) < max_layers and draw(st.booleans())):
        kind = draw(st.sampled_from(("conv", "conv", "max", "min", "avg", *FUNCTIONS)))
        if kind in FUNCTIONS:
            made.append(_Function(kind))
            continue
        # a mean of 3 cells is not exact in floats
        widths = (1, 2) if kind == "avg" else (1, 2, 3)
        window = tuple(draw(st.sampled_from([k for k in widths if k <= n])) for n in sizes)
        steps = tuple(draw(st.sampled_from(strides)) for _ in sizes)
        padding = draw(st.sampled_from(paddings))
        if kind == "conv":
            features, seed = draw(st.integers(1, 2)), draw(st.integers(0, 99))
            options = {"kernel_size": window, "strides": steps, "padding": padding}
            made.append(_Conv(channels, features, seed, **options))
            channels = features
        else:
            made.append(_Pool(kind, window, steps, padding))
        lost = (k - 1 if padding == "VALID" else 0 for k in window)
        sizes = tuple(-(-(n - gone) // s) for n, gone, s in zip(sizes, lost, steps, strict=True))
    if pooled:
        made.append(_Function(draw(st.sampled_from(tuple(HEADS)))))
    return SmallModel(*made)


def models(
    shape: Sequence[int],
    *,
    max_layers: int = 3,
    paddings: Paddings = PADDINGS,
    strides: Sequence[int] = (1, 2),
    pooled: bool = False,
) -> st.SearchStrategy[SmallModel]:
    """Small Flax models of convolutions, pools and functions of every number, called on a batch (count, *shape).

    Their weights are whole numbers, so small that float32 rounds nothing on `images` of one or two axes and up to 2
    channels, with up to 3 layers. With `paddings=("CIRCULAR",)` and `strides=(1,)` they are equivariant under all
    shifts.

    Args:
        shape: of one image, (*grid, channels).
        max_layers: how many layers at most.
        paddings: what to choose from: `CIRCULAR`, `SAME`, `VALID`.
        strides: what to choose from, along every axis.
        pooled: end with the sum or the maximum over the grid: (count, channels).

    Returns:
        Models from (count, *grid, channels) to (count, *smaller grid, channels of its own).

    Raises:
        InputError: a shape without a grid, or a choice that there is none of.
    """
    sizes = _shape(shape, least=2)
    check_whole("max_layers", max_layers, least=1)
    if isinstance(paddings, str) or not set(paddings) <= set(PADDINGS) or not paddings:
        raise InputError(f"paddings= takes some of {PADDINGS}; got {paddings!r}.")
    steps = check_integers("strides", strides, "(1, 2)")
    if min(steps, default=0) < 1:
        raise InputError(f"strides= takes numbers of at least 1, such as (1, 2); got {strides!r}.")
    return _models(sizes, max_layers, tuple(paddings), steps, pooled)


def _shape(shape: Sequence[int], *, least: int = 1) -> Shape:
    """The shape of one image, of at least so many axes.

    Raises:
        InputError: it is none.
    """
    sizes = check_integers("shape", shape, "(8, 8, 1)")
    if len(sizes) < least or min(sizes) < 1:
        raise InputError(
            f"shape={sizes} is no shape of an image: give sizes of at least 1, channels last, such as (8, 8, 1)."
        )
    return sizes


def _multiples(grid: Sequence[int], stride: int | Sequence[int]) -> Lattice:
    """The lattice of the multiples of a stride."""
    sizes = Lattice(tuple(grid)).grid
    steps = check_integers(
        "stride", (stride,) * len(sizes) if is_whole(stride) else stride, "(2, 2), or one"
    )
    if len(steps) != len(sizes) or min(steps) < 1:
        raise InputError(
            f"stride={stride} is no stride of the grid {sizes}: give one number of at least 1, or one per axis."
        )
    return Lattice(sizes, tuple(axis_shift(sizes, axis, step) for axis, step in enumerate(steps)))


def _sum(grid: Shape, terms: Iterable[tuple[int, Shift]]) -> Shift:
    """The sum of multiples of shifts, from 0 to n - 1 along each axis."""
    rows = [[factor * step for step in shift] for factor, shift in terms]
    return tuple(sum(steps) % n for steps, n in zip(zip(*rows, strict=True), grid, strict=True))


def _call(name: str, *arguments: Any, **options: Any) -> str:
    """The code of a call."""
    told = [*map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())]
    return f"{name}({', '.join(told)})"
