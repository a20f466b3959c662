"""Comparison on the device: one chunk of shifts in, one row of deviations per shift out, for all layers at once.

The shifted images of a chunk are windows of one canvas. Slot 0 of every chunk is shift 0, so that everything that
is compared comes from the same executable at the same batch size. All functions here are traceable.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.canvas import Canvas, slide
from shiftproof.proving.layers import Layer
from shiftproof.tracing.trace import Literal as Constant
from shiftproof.tracing.trace import Program, evaluate

Law = Literal["same", "stride", "any"]
ROWS = ("equivariance", "equivariance_cells", "invariance", "invariance_cells", "agreement")


def output_steps(layer: Layer, canvas: Canvas, law: Law) -> tuple[Fraction, ...]:
    """Cells of output shift per pixel of input shift, per axis; 0 along axes that the layer does not have."""
    axes = zip(layer.grid, layer.strides, canvas.grid, strict=True)
    return tuple(
        Fraction(0)
        if axis is None
        else output_step(law, stride, layer.shape[axis], size, wraps=canvas.wraps)
        for axis, stride, size in axes
    )


def output_step(
    law: Law, stride: Fraction | None, cells: int, pixels: int, *, wraps: bool
) -> Fraction:
    """The same along one axis of so many cells, for a grid of so many pixels; 0 where there is no stride.

    The law `stride` is `Δ' = Δ / s`. On the torus s is the ratio of the sizes, the only law that is linear there, and
    negative after a flip; elsewhere it is the stride composed through the layers.
    """
    if stride is None:
        return Fraction(0)
    if law == "same":
        return Fraction(1)
    return Fraction(cells, pixels) * (1 if stride > 0 else -1) if wraps else 1 / stride


def defined(shifts: np.ndarray, steps: Sequence[Fraction]) -> np.ndarray:
    """For each shift, whether the law gives an output shift in whole cells; (count,) bool."""
    fits = np.ones(len(shifts), bool)
    for position, step in enumerate(steps):
        fits &= shifts[:, position].astype(np.int64) * step.numerator % step.denominator == 0
    return fits


def make_forward(
    program: Program, layers: Sequence[Layer], canvas: Canvas
) -> Callable[..., list[jax.Array]]:
    """The function `(fixed, divisors, canvas array, shifts) -> values`: every layer under every shift of a chunk.

    `shifts` is (chunk, axes) int32, every divisor (chunk, *shape of its quotient), every value (chunk, *layer.shape).
    """

    def forward(
        fixed: dict[int, Any], divisors: dict[int, Any], array: jax.Array, shifts: jax.Array
    ) -> Any:
        def one(shift: jax.Array, divisors: dict[int, Any]) -> list[Any]:
            images = slide(array, shift, axes=canvas.axes, grid=canvas.grid, origin=canvas.origin)
            values = evaluate(program, fixed, images, divisors)
            return [read_layer(layer, values) for layer in layers]

        return jax.vmap(one)(shifts, divisors)

    return forward


def make_compare(
    layers: Sequence[Layer], canvas: Canvas, law: Law
) -> Callable[..., dict[str, jax.Array]]:
    """The function `(values, shifts) -> rows` that compares every slot of a chunk with slot 0, which is shift 0.

    It must not be fused with what computes the values: computed twice, with different rounding, these would differ from
    themselves. Each row is (chunk, layers): `equivariance` and `invariance` deviations, `*_cells` numbers of differing
    cells, `agreement` of the largest logit.

    Off the torus the cells are compared that are in both frames; with a third argument `empty`, the values for an empty
    canvas, all of them: what enters must be as there.
    """

    def compare(
        values: Sequence[jax.Array], shifts: jax.Array, empty: Sequence[jax.Array] | None = None
    ) -> dict[str, jax.Array]:
        judge = _make_judge(layers, canvas, law, [value[0] for value in values], empty)
        return jax.vmap(judge)(values, shifts)

    return compare


def make_lifted_compare(
    layers: Sequence[Layer],
    canvas: Canvas,
    law: Law,
    *,
    lift: Callable[..., Sequence[jax.Array]],
    elements: np.ndarray,
    block: int,
) -> Callable[..., dict[str, jax.Array]]:
    """The function `(values, shifts) -> rows` that compares what every slot of a chunk becomes under every element.

    Each row is (chunk * elements, layers): all elements of slot 0, which is shift 0, come first.

    Args:
        layers: what is compared.
        canvas: a torus.
        law: of the output shift.
        lift: `(values, slot, element) -> values`, what the layers of a slot become under one more shift.
        elements: (count, axes), the shifts that are added.
        block: how many pairs of slot and element are compared at a time.
    """

    def compare(values: Sequence[jax.Array], shifts: jax.Array) -> dict[str, jax.Array]:
        judge = _make_judge(layers, canvas, law, [value[0] for value in values])
        grid = jnp.asarray(canvas.grid, jnp.int32)

        def pair(number: jax.Array) -> dict[str, jax.Array]:
            slot, element = number // len(elements), number % len(elements)
            moved = (shifts[slot] + jnp.asarray(elements)[element]) % grid
            return judge(lift(values, slot, element), moved)

        count = len(shifts) * len(elements)
        # full blocks only: a remainder would be compiled as a second program
        numbers = jnp.arange(-(-count // block) * block, dtype=jnp.int32)
        rows = jax.lax.map(pair, jnp.minimum(numbers, count - 1), batch_size=block)
        return {name: row[:count] for name, row in rows.items()}

    return compare


def _make_judge(
    layers: Sequence[Layer],
    canvas: Canvas,
    law: Law,
    still: Sequence[jax.Array],
    empty: Sequence[jax.Array] | None = None,
) -> Callable[..., dict[str, jax.Array]]:
    """The function `(values, shift) -> row` that compares all layers with themselves at rest."""
    references = [
        _Reference(layer, canvas, law, value, None if empty is None else empty[i])
        for i, (layer, value) in enumerate(zip(layers, still, strict=True))
    ]

    def judge(values: Sequence[jax.Array], shift: jax.Array) -> dict[str, jax.Array]:
        rows = [r.judge(value, shift) for r, value in zip(references, values, strict=True)]
        return {
            name: jnp.stack(column)
            for name, column in zip(ROWS, zip(*rows, strict=True), strict=True)
        }

    return judge


def make_gaps(lift: Callable[..., Sequence[jax.Array]]) -> Callable[..., list[jax.Array]]:
    """The function `(values, pairs) -> gaps` that says how far lifted values are from computed ones.

    A pair is (slot to lift, element, slot that it should become); for each layer the gaps are (pairs, 3): the largest
    difference, and the two entries that differ so.
    """

    def gaps(values: Sequence[jax.Array], pair: jax.Array) -> list[jax.Array]:
        lifted = lift(values, pair[0], pair[1])
        return [largest_gap(a, b[pair[2]]) for a, b in zip(lifted, values, strict=True)]

    return jax.vmap(gaps, (None, 0))


def largest_gap(a: jax.Array, b: jax.Array) -> jax.Array:
    """(3,): the largest difference of two arrays, and the two entries that differ so."""
    if a.size == 0:
        return jnp.zeros(3)
    if a.dtype == jnp.bool_:
        a, b = a.astype(jnp.int32), b.astype(jnp.int32)
    gap = jnp.abs(a - b).ravel()
    worst = jnp.argmax(gap)  # NaN counts as the largest
    return jnp.stack([x.ravel()[worst] for x in (gap, a, b)])


class _Reference:
    """One layer at rest, prepared for comparison with the layer under a shift."""

    def __init__(
        self, layer: Layer, canvas: Canvas, law: Law, still: jax.Array, empty: jax.Array | None
    ) -> None:
        self.layer, self.canvas, self.law, self.still, self.empty = layer, canvas, law, still, empty
        self.steps = output_steps(layer, canvas, law)
        if layer.has_grid:
            self.wide = _tile(layer, still) if canvas.wraps else _pad(layer, still)
        if is_logits(layer):
            self.labels = jnp.argmax(still, axis=-1)

    def judge(self, value: jax.Array, shift: jax.Array) -> tuple[jax.Array, ...]:
        """The row of one shift, in the order of `ROWS`; what the law leaves undefined is masked by the caller."""
        still = _gap(value, self.still)
        if self.layer.has_grid and self.law != "any":
            # both are read in one pass
            moved = self._gap_of_moved(value, shift)
            equivariance, invariance = _distances(self.layer, [moved, still])
        else:
            (invariance,) = _distances(self.layer, [still])
            equivariance = (jnp.float32(0), jnp.int32(-1))
            if self.layer.has_grid:
                equivariance = _best_distance(self.layer, value, self.wide)
        deviation, cells = equivariance
        return deviation.astype(invariance[0].dtype), cells, *invariance, self._agreement(value)

    def _gap_of_moved(self, value: jax.Array, shift: jax.Array) -> jax.Array:
        """From the shifted reference."""
        moved = [shift[i] * step.numerator // step.denominator for i, step in enumerate(self.steps)]
        moved = jnp.stack(moved).astype(jnp.int32)
        if self.canvas.wraps:
            return _gap(value, _rolled(self.layer, self.wide, moved))
        return _overlap_gap(self.layer, value, self.wide, moved, self.empty)

    def _agreement(self, value: jax.Array) -> jax.Array:
        """Images whose largest logit stays in place, for outputs (batch, classes); -1 elsewhere."""
        if not is_logits(self.layer):
            return jnp.int32(-1)
        return jnp.sum(jnp.argmax(value, axis=-1) == self.labels, dtype=jnp.int32)


def read_layer(layer: Layer, values: dict[int, Any]) -> jax.Array:
    """The value of a layer among the values of its program."""
    if isinstance(layer.value, Constant):
        return jnp.asarray(layer.value.value)
    return jnp.asarray(values[layer.value])


def _gap(value: jax.Array, reference: jax.Array) -> jax.Array:
    """`|value - reference|`, entry by entry; NaN stays NaN."""
    if value.dtype == jnp.bool_:
        value, reference = value.astype(jnp.int32), reference.astype(jnp.int32)
    return jnp.abs(value - reference)


def _distances(layer: Layer, gaps: Sequence[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
    """For each array of gaps the largest, and the number of cells that differ for some image of the batch.

    A cell is a position of the grid, whatever the channels; an entry where there is no grid. NaN is the largest.
    """
    kept = [axis for axis in layer.grid if axis is not None]
    if not kept:
        kept = [axis for axis in range(len(layer.shape)) if axis != layer.batch]
    bits = tuple(map(_ordered_bits, gaps))
    merged = tuple(axis for axis in range(len(layer.shape)) if axis not in kept)
    zeros = tuple(np.zeros((), cells.dtype) for cells in bits)
    largest = jax.lax.reduce(bits, zeros, lambda a, b: tuple(map(jnp.maximum, a, b)), merged)
    return [
        (
            _from_bits(jnp.max(cells, initial=0), gap.dtype),
            jnp.sum(cells != 0, dtype=jnp.int32),
        )
        for cells, gap in zip(largest, gaps, strict=True)
    ]


def _ordered_bits(gap: jax.Array) -> jax.Array:
    """Non-negative floats as integers of the same order, NaN last: a CPU reduces those several times faster."""
    if not jnp.issubdtype(gap.dtype, np.floating):
        return gap
    return jax.lax.bitcast_convert_type(gap, np.dtype(f"int{8 * gap.dtype.itemsize}"))


def _from_bits(bits: jax.Array, dtype: Any) -> jax.Array:
    if not jnp.issubdtype(dtype, np.floating):
        return bits.astype(np.float32)
    return jax.lax.bitcast_convert_type(bits, dtype)


def _axes(layer: Layer) -> tuple[list[int], list[int], list[int]]:
    """Positions, axes and sizes of the grid axes that the layer has."""
    pairs = [(position, axis) for position, axis in enumerate(layer.grid) if axis is not None]
    return [p for p, _ in pairs], [a for _, a in pairs], [layer.shape[a] for _, a in pairs]


def _tile(layer: Layer, value: jax.Array) -> jax.Array:
    _, axes, _ = _axes(layer)
    return jnp.tile(value, [2 if axis in axes else 1 for axis in range(value.ndim)])


def _rolled(layer: Layer, tiled: jax.Array, moved: jax.Array) -> jax.Array:
    positions, axes, sizes = _axes(layer)
    return slide(tiled, [moved[p] for p in positions], axes=axes, grid=sizes, origin=sizes)


def _pad(layer: Layer, value: jax.Array) -> jax.Array:
    _, axes, _ = _axes(layer)
    return jnp.pad(
        value, [(value.shape[a],) * 2 if a in axes else (0, 0) for a in range(value.ndim)]
    )


def _overlap_gap(
    layer: Layer,
    value: jax.Array,
    padded: jax.Array,
    moved: jax.Array,
    empty: jax.Array | None,
) -> jax.Array:
    """Gaps of cells u with u - Δ' where both are in the frame, and of the others from `empty` where it is given."""
    positions, axes, sizes = _axes(layer)
    starts: list[Any] = [jnp.int32(0)] * value.ndim
    inside = jnp.ones((1,) * value.ndim, bool)
    for position, axis, size in zip(positions, axes, sizes, strict=True):
        starts[axis] = jnp.int32(size) - moved[position]
        cell = (
            jnp.arange(size).reshape([-1 if a == axis else 1 for a in range(value.ndim)])
            - moved[position]
        )
        inside &= (cell >= 0) & (cell < size)
    reference = jax.lax.dynamic_slice(padded, starts, value.shape)
    if empty is not None:
        return _gap(value, jnp.where(inside, reference, empty))
    return jnp.where(inside, _gap(value, reference), 0)


def _best_distance(layer: Layer, value: jax.Array, tiled: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The smallest deviation over all output shifts, and the cells that differ there."""
    positions, _, sizes = _axes(layer)
    candidates = np.zeros((math.prod(sizes), len(layer.grid)), np.int32)
    candidates[:, positions] = list(itertools.product(*map(range, sizes)))

    def distance(moved: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _distances(layer, [_gap(value, _rolled(layer, tiled, moved))])[0]

    def better(best: Any, moved: jax.Array) -> tuple[Any, None]:
        deviation, cells = distance(moved)
        closer = (deviation < best[0]) | ((deviation == best[0]) & (cells < best[1]))
        return (jnp.where(closer, deviation, best[0]), jnp.where(closer, cells, best[1])), None

    start = distance(jnp.asarray(candidates[0]))
    best, _ = jax.lax.scan(
        better, start, jnp.asarray(candidates[1:])
    )  # NaN compares false and so stays
    return best


def overlap_cells(layer: Layer, canvas: Canvas, shifts: np.ndarray, law: Law) -> np.ndarray:
    """Number of cells compared at each shift, (count,) int: all of them on the torus."""
    count = np.ones(len(shifts), np.int64)
    for size, position, step in zip(
        layer.grid_shape, range(len(layer.grid)), output_steps(layer, canvas, law), strict=True
    ):
        moved = np.abs(shifts[:, position].astype(np.int64) * step.numerator // step.denominator)
        count *= size if canvas.wraps else np.maximum(size - moved, 0)
    return count


def is_logits(layer: Layer) -> bool:
    """Whether a layer is an output of shape (batch, at least two classes)."""
    return (
        layer.output is not None
        and len(layer.shape) == 2
        and layer.batch == 0
        and not layer.has_grid
        and layer.shape[1] > 1
    )
