"""Facts: every class of primitives as a few operations of the kernel.

The table (`shiftproof.tracing.primitives`) says of each primitive to which class of functions it belongs. What is
opaque becomes a function that uses its operands whole, about which the kernel claims nothing once an operand moves.

Over 600 lines, because the translators are one list that is read, and trusted, as a whole.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.lax import FftType

from shiftproof.algebras.places import landing, looked_up
from shiftproof.proving.building import Builder, Call, Operand, Translator, nothing
from shiftproof.tracing.primitives import Kind
from shiftproof.tracing.trace import Program, open_body, scan_counts
from shiftproof_kernel import Program as KernelProgram
from shiftproof_kernel import program as ops

# --- the translators, one per family of primitives ---


def whole(call: Call) -> Sequence[Operand]:
    """Any function of all operands that have cells."""
    inputs = [call.node(i) for i, shape in enumerate(call.shapes) if 0 not in shape]
    return [
        nothing(aval) if 0 in aval.shape else call.add(ops.Whole(()), inputs, aval.shape)
        for aval in call.results
    ]


def elementwise(call: Call) -> Sequence[Operand]:
    """Position by position; a product with zero is zero."""
    rank = len(call.shape)
    if call.eqn.name == "mul" and (call.is_zero(0) or call.is_zero(1)):
        return [nothing(call.results[0])]
    inputs = [call.builder.node(operand, rank) for operand in call.operands]
    if call.is_complex:
        return [_of_spectra(call, inputs)]
    if call.eqn.name == "abs" and call.takes_complex:
        inputs = [call.add(ops.Multiply((1,)), [*inputs, *inputs])]
    return [call.add(ops.Map(), inputs)]


def _of_spectra(call: Call, inputs: Sequence[int]) -> int:
    """Position by position, of complex numbers: what is a sum or a product is told apart, since these keep phases."""
    match call.eqn.name:
        case (
            "add"
            | "add_any"
            | "complex"
            | "convert_element_type"
            | "copy"
            | "copy_p"
            | "neg"
            | "sub"
        ):
            return call.add(ops.Combine(), inputs)
        case "mul":
            return call.add(ops.Multiply(()), inputs)
        case "div":
            inverse = call.add(ops.Map(), inputs[1:], call.shape_of(inputs[1]))
            return call.add(ops.Multiply(()), [inputs[0], inverse])
        case "conj":
            return call.add(ops.Multiply((0,)), inputs)
    return call.add(ops.Map(), inputs)


def select(call: Call) -> Sequence[Operand]:
    """Position by position; a choice that is known and the same everywhere needs no other operand, and one between
    zeros and something else is a product with a mask.
    """
    choice = call.known(0)
    if choice is not None and np.all(choice == choice.flat[0]):
        return [call.operands[1 + int(choice.flat[0])]]
    zeros = [i for i in range(1, len(call.operands)) if call.is_zero(i)]
    if call.is_complex and zeros and len(call.operands) == 3:
        inputs = [call.builder.node(call.operands[i], len(call.shape)) for i in (0, 3 - zeros[0])]
        inputs[0] = call.add(ops.Map(), inputs[:1], call.shape_of(inputs[0]))
        return [call.add(ops.Multiply(()), inputs)]
    return elementwise(call)


def passed_on(call: Call) -> Sequence[Operand]:
    """Every operand is a result."""
    return list(call.operands)


def broadcast(call: Call) -> Sequence[Operand]:
    """Axes are placed among new ones."""
    axes = tuple(int(a) for a in call.params["broadcast_dimensions"])
    return [call.add(ops.Broadcast(axes), [call.node(0)])]


def reshape(call: Call) -> Sequence[Operand]:
    """The same cells in row-major order; first in the order of the axes named, where some are."""
    node, order = call.node(0), call.params.get("dimensions")
    if call.eqn.name == "reshape" and order is not None:
        order = tuple(int(a) for a in order)
        shape = [call.shapes[0][a] for a in order]
        node = call.add(ops.Transpose(order), [node], shape)
    return [call.add(ops.Reshape(), [node])]


def transpose(call: Call) -> Sequence[Operand]:
    """Axes trade places."""
    order = tuple(int(a) for a in call.params["permutation"])
    return [call.add(ops.Transpose(order), [call.node(0)])]


def tile(call: Call) -> Sequence[Operand]:
    """Copies along a new major axis, merged with the old one."""
    (shape,), reps = call.shapes, call.params["reps"]
    apart = [n for r, size in zip(reps, shape, strict=True) for n in (int(r), size)]
    axes = tuple(range(1, 2 * len(shape), 2))
    copies = call.add(ops.Broadcast(axes), [call.node(0)], apart)
    return [call.add(ops.Reshape(), [copies])]


def stack(call: Call) -> Sequence[Operand]:
    """Operands side by side along a new axis."""
    axis = int(call.params["axis"])
    shape = (*call.shapes[0][:axis], 1, *call.shapes[0][axis:])
    parts = [call.add(ops.Reshape(), [call.node(i)], shape) for i in range(len(call.operands))]
    return [call.add(ops.Concat(axis), parts)]


def _part(call: Call, node: int, axis: int, start: int, count: int, step: int = 1) -> int:
    """`count` positions of one axis, from `start`; nothing where these are all."""
    shape = list(call.shape_of(node))
    if count == shape[axis] and step == 1:
        return node
    shape[axis] = int(count)
    index = ops.Span(int(start), int(step) if count > 1 else 1)
    return call.add(ops.Take(axis, index), [node], shape)


def slice_(call: Call) -> Sequence[Operand]:
    """Some positions of every axis."""
    node = call.node(0)
    starts, limits = call.params["start_indices"], call.params["limit_indices"]
    strides = call.params["strides"] or (1,) * len(starts)
    for axis, (start, limit, stride) in enumerate(zip(starts, limits, strides, strict=True)):
        count = -(-(limit - start) // stride)
        node = _part(call, node, axis, start, count, stride)
    return [node]


def reverse(call: Call) -> Sequence[Operand]:
    """All positions of some axes, backwards."""
    node = call.node(0)
    for axis in call.params["dimensions"]:
        n = call.shape[axis]
        node = _part(call, node, int(axis), n - 1, n, -1)
    return [node]


def split(call: Call) -> Sequence[Operand]:
    """Neighbouring slices."""
    starts = np.cumsum([0, *call.params["sizes"]])
    axis, node = int(call.params["axis"]), call.node(0)
    parts = zip(starts, call.results, strict=False)
    return [
        nothing(aval) if 0 in aval.shape else _part(call, node, axis, start, aval.shape[axis])
        for start, aval in parts
    ]


def unstack(call: Call) -> Sequence[Operand]:
    """Slices of width one, without the axis they are cut along."""
    axis, node = int(call.params["axis"]), call.node(0)
    parts = [_part(call, node, axis, i, 1) for i in range(len(call.results))]
    return [call.add(ops.Reshape(), [part]) for part in parts]


def concatenate(call: Call) -> Sequence[Operand]:
    """Operands one behind the other; those without cells add nothing, and zeros beside a spectrum are its padding."""
    there = [i for i, shape in enumerate(call.shapes) if 0 not in shape]
    axis = int(call.params["dimension"])
    zeros = [i for i in there if call.is_complex and call.is_zero(i)]
    parts = [call.node(i) for i in there if i not in zeros]
    if zeros and parts:
        return [_with_zeros(call, there, zeros, axis)]
    if call.builder.inside:
        # a loop may begin with values that are the same everywhere, which slices of one value still are
        source, index = _slices_of_one(call, parts, axis)
        if source is not None:
            return [_picked(call, source, axis, index)]
    return [call.add(ops.Concat(axis), parts)]


def _with_zeros(call: Call, there: Sequence[int], zeros: Sequence[int], axis: int) -> int:
    """Operands one behind the other, of which some are zeros, and not all."""
    parts: list[int] = []
    room = 0
    for i in there:
        if i not in zeros:
            parts.append(_zeros_around(call, call.node(i), axis, room, 0))
            room = 0
        elif parts:
            parts[-1] = _zeros_around(call, parts[-1], axis, 0, call.shapes[i][axis])
        else:
            room += call.shapes[i][axis]
    return call.add(ops.Concat(axis), parts) if len(parts) > 1 else parts[0]


def _zeros_around(call: Call, node: int, axis: int, low: int, high: int) -> int:
    """A node with zeros before and behind it."""
    if low == high == 0:
        return node
    shape = list(call.shape_of(node))
    shape[axis] += low + high
    zero = call.builder.node(nothing(jax.ShapeDtypeStruct((), call.results[0].dtype)))
    padding = ops.Pad(axis, int(low), int(high), inner=0, zero=True)
    return call.add(padding, [node, zero], shape)


def _slices_of_one(
    call: Call, parts: Sequence[int], axis: int
) -> tuple[int | None, tuple[int, ...]]:
    """The node of which all parts are slices along the axis, and the positions they take; None where there is none."""
    sources, index = set(), []
    for part in parts:
        node = call.builder.nodes[part]
        whole_index = range(node.shape[axis])
        match node.op:
            case ops.Take(along, ops.Span(start, 1)) if along == axis:
                sources.add(node.inputs[0])
                index += [start + i for i in whole_index]
            case ops.Take(along) if along == axis:
                return None, ()
            case _:
                sources.add(part)
                index += whole_index
    return (sources.pop(), tuple(index)) if len(sources) == 1 else (None, ())


def dynamic_slice(call: Call) -> Sequence[Operand]:
    """With known starts a slice; otherwise alike at every position of the axes that are taken whole."""
    sizes, node = call.params["slice_sizes"], call.node(0)
    starts = [call.known(i) for i in range(1, len(call.operands))]
    if any(start is None for start in starts):
        kept = tuple((a, a) for a, n in enumerate(call.shapes[0]) if n == sizes[a])
        inputs = [call.node(i) for i in range(len(call.operands))]
        return [call.add(ops.Whole(kept), inputs)]
    for axis, start in enumerate(starts):
        assert start is not None
        room = call.shapes[0][axis] - sizes[axis]
        node = _part(call, node, axis, min(max(int(start), 0), room), int(sizes[axis]))
    return [node]


def dynamic_update_slice(call: Call) -> Sequence[Operand]:
    """With known starts: what lies before, the update, what lies behind, joined axis by axis."""
    (outer, inner), starts = call.shapes[:2], [call.known(i) for i in range(2, len(call.operands))]
    first = [
        min(max(int(start), 0), n - m)
        for start, n, m in zip(starts, outer, inner, strict=True)
        if start is not None
    ]
    if len(first) < len(starts):
        return whole(call)
    return [_put(call, call.node(1), first)]


def _put(call: Call, update: int, starts: Sequence[int]) -> int:
    """The first operand with an update in its place from `starts` on; zeros around it, where that is zero."""
    if not call.is_zero(0):
        return _replaced(call, call.node(0), update, starts)
    sizes = zip(starts, call.shape_of(update), call.shape, strict=True)
    for axis, (start, n, outer) in enumerate(list(sizes)):
        update = _zeros_around(call, update, axis, start, outer - n - start)
    return update


def _replaced(call: Call, node: int, update: int, starts: Sequence[int]) -> int:
    """A node with an update in its place from `starts` on."""
    outer, inner = call.shape_of(node), call.shape_of(update)
    axis = next((a for a, n in enumerate(outer) if inner[a] != n), None)
    if axis is None:
        return update
    start, count = starts[axis], inner[axis]
    end = start + count
    middle = _replaced(call, _part(call, node, axis, start, count), update, starts)
    parts = [_part(call, node, axis, 0, start)] if start else []
    parts.append(middle)
    parts += [_part(call, node, axis, end, outer[axis] - end)] if end < outer[axis] else []
    return call.add(ops.Concat(axis), parts, outer)


def scatter(call: Call) -> Sequence[Operand]:
    """With known indices that fill a box: the box is cut out, changed, and put back."""
    box = _box(call)
    if box is None:
        return whole(call)
    starts, sizes, order = box
    update = call.node(2)
    shape = call.shape_of(update)
    kept = [axis for axis in order if shape[axis] > 1]
    update = call.add(ops.Reshape(), [update], [n for n in shape if n > 1])
    ranks = {axis: i for i, axis in enumerate(sorted(kept))}
    turned = tuple(ranks[axis] for axis in kept)
    update = call.add(ops.Transpose(turned), [update], [shape[a] for a in kept])
    update = call.add(ops.Reshape(), [update], sizes)
    if call.reading.kind is not Kind.MOVES:
        old = call.node(0)
        for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            old = _part(call, old, axis, start, size)
        sums = call.is_complex and call.reading.kind is Kind.LINEAR
        update = call.add(ops.Combine() if sums else ops.Map(), [old, update], sizes)
    return [_put(call, update, starts)]


def _box(call: Call) -> tuple[list[int], list[int], list[int]] | None:
    """Start and sizes of the box that is filled, and the order in which it uses the axes of the update.

    None where it is no box, or where a cell is written twice or not at all.
    """
    index = call.known(1)
    if index is None or 0 in call.shapes[2]:
        return None
    outer, inner = call.shapes[0], call.shapes[2]
    count, cells = math.prod(inner), landing(call.eqn, outer, index, inner)
    where = np.argwhere(cells >= 0)
    if len(where) != count or set(cells[cells >= 0]) != set(range(count)):
        return None
    low, high = where.min(0), where.max(0) + 1
    sizes = [int(n) for n in high - low]
    if math.prod(sizes) != count:
        return None
    block = cells[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    strides = [math.prod(inner[axis + 1 :]) for axis in range(len(inner))]
    order: list[int] = []
    for axis, n in enumerate(sizes):
        if n > 1:
            step = int(block.take(1, axis).flat[0] - block.flat[0])
            fitting = [a for a, s in enumerate(strides) if s == step and inner[a] == n]
            if len(fitting) != 1:
                return None
            order += fitting
    wide = [axis for axis, n in enumerate(inner) if n > 1]
    if sorted(order) != wide:
        return None
    expected = np.arange(count).reshape([n for n in inner if n > 1])
    turned = expected.transpose([wide.index(axis) for axis in order]).reshape(sizes)
    return ([int(n) for n in low], sizes, order) if np.array_equal(turned, block) else None


def pad(call: Call) -> Sequence[Operand]:
    """Axis by axis."""
    node, value, zero = call.node(0), call.node(1), call.is_zero(1)
    shape = list(call.shapes[0])
    for axis, (low, high, inner) in enumerate(call.params["padding_config"]):
        low, high, inner = int(low), int(high), int(inner)
        if (low, high, inner) != (0, 0, 0):
            shape[axis] += low + high + inner * (shape[axis] - 1)
            node = call.add(ops.Pad(axis, low, high, inner, zero), [node, value], shape)
    return [node]


def gather(call: Call) -> Sequence[Operand]:
    """With known indices: run on the numbers of the cells, and read off which positions each axis takes."""
    if call.known(1) is None:
        return _look_up(call)
    shape = call.shapes[0]
    where = looked_up(call.eqn, shape, call.known(1))
    if np.any(where < 0):
        return whole(call)
    node, driven = call.node(0), []
    for axis, position in enumerate(np.unravel_index(where, shape)):
        varies = [out for out, n in enumerate(where.shape) if n > 1 and _varies(position, out)]
        if set(varies) & set(driven):
            return whole(
                call
            )  # one axis of the result runs along several of the operand: a diagonal
        corner = tuple(slice(None) if out in varies else 0 for out in range(position.ndim))
        index = tuple(int(i) for i in position[corner].ravel())
        driven += varies
        if index != tuple(range(shape[axis])):
            node = _picked(call, node, axis, index)
    return [_arranged(call, node, driven, where.shape)]


def _varies(position: np.ndarray, axis: int) -> bool:
    return not np.array_equal(position, np.broadcast_to(position.take([0], axis), position.shape))


def _picked(call: Call, node: int, axis: int, index: tuple[int, ...]) -> int:
    if set(np.diff(index).tolist()) <= {1}:
        return _part(call, node, axis, index[0], len(index))
    shape = list(call.shape_of(node))
    shape[axis] = len(index)
    return call.add(ops.Take(axis, index), [node], shape)


def _arranged(call: Call, node: int, driven: Sequence[int], shape: Sequence[int]) -> int:
    """The axes of a node, each split into the axes of the result that run along it, put where these are."""
    node = call.add(ops.Reshape(), [node], [shape[out] for out in driven])
    targets = tuple(sorted(driven))
    order = tuple(driven.index(out) for out in targets)
    node = call.add(ops.Transpose(order), [node], [shape[out] for out in targets])
    return call.add(ops.Broadcast(targets), [node])


def _look_up(call: Call) -> Sequence[Operand]:
    """Rows of a table that the indices choose, alike at every position of the indices."""
    numbers = call.params["dimension_numbers"]
    batch = [axis for axis in range(len(call.shape)) if axis not in numbers.offset_dims]
    indices = call.shapes[1]
    if len(batch) != len(indices) - 1 or numbers.operand_batching_dims:
        return whole(call)
    kept = tuple(enumerate(batch))
    return [call.add(ops.Whole(kept), [call.node(1), call.node(0)])]


def convolution(call: Call) -> Sequence[Operand]:
    """A window with weights, along the spatial axes, alike for every image of the batch."""
    if call.is_zero(0) or call.is_zero(1):
        return [nothing(call.results[0])]
    numbers, p = call.params["dimension_numbers"], call.params
    kernel = call.shapes[1]
    dims = tuple(
        _dim(
            numbers.lhs_spec[2 + i],
            numbers.out_spec[2 + i],
            size=kernel[numbers.rhs_spec[2 + i]],
            stride=p["window_strides"][i],
            padding=p["padding"][i],
            base=p["lhs_dilation"][i],
            dilation=p["rhs_dilation"][i],
        )
        for i in range(len(p["window_strides"]))
    )
    kept = ((int(numbers.lhs_spec[0]), int(numbers.out_spec[0])),)
    if p["batch_group_count"] != 1:
        kept = ()
    inputs = [call.node(0), call.node(1)]
    return [call.add(ops.Window(dims, kept, symmetric=False, linear=True), inputs)]


def _dim(
    axis: int, out: int, *, size: int, stride: int, padding: Sequence[int], base: int, dilation: int
) -> ops.Dim:
    return ops.Dim(*map(int, (axis, out, size, stride, *padding, base, dilation)))


def pooling(*, symmetric: bool, linear: bool = False) -> Translator:
    """A window in which all cells meet; the axes on which it is one cell wide are left alone."""

    def translate(call: Call) -> Sequence[Operand]:
        p, rank = call.params, len(call.shape)
        ones = (1,) * rank
        settings = list(
            zip(
                p["window_dimensions"],
                p["window_strides"],
                p["padding"],
                p.get("base_dilation") or ones,
                p.get("window_dilation") or ones,
                strict=True,
            )
        )
        plain = (1, 1, (0, 0), 1, 1)
        still = [axis for axis, s in enumerate(settings) if (*s[:2], tuple(s[2]), *s[3:]) == plain]
        dims = tuple(
            _dim(a, a, size=s[0], stride=s[1], padding=s[2], base=s[3], dilation=s[4])
            for a, s in enumerate(settings)
            if a not in still
        )
        kept = tuple((axis, axis) for axis in still)
        inputs = [call.node(i) for i in range(len(call.operands))]
        arrays = inputs[: len(call.results)]  # the others are where each begins
        if len(arrays) > 1:
            tuples = call.add(ops.Map(), arrays, call.shapes[0])
            inputs = [tuples, *inputs[len(arrays) :]]
        window = ops.Window(dims, kept, symmetric, linear)
        return [call.add(window, inputs, aval.shape) for aval in call.results]

    return translate


def reduction(*, symmetric: bool, total: bool = False) -> Translator:
    """All cells along some axes."""

    def translate(call: Call) -> Sequence[Operand]:
        axes = call.params.get("axes", call.params.get("dimensions"))
        mixed = tuple(sorted(int(a) for a in axes))
        return [call.add(ops.Mix(mixed, (), symmetric, sum=total), [call.node(0)])]

    return translate


def _along(call: Call, axes: tuple[int, ...], *, symmetric: Sequence[bool]) -> Sequence[Operand]:
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [
        call.add(ops.Mix(axes, axes, any_order, sum=False), inputs, aval.shape)
        for aval, any_order in zip(call.results, symmetric, strict=True)
    ]


def running(call: Call) -> Sequence[Operand]:
    """Cumulative operations."""
    return _along(call, (int(call.params["axis"]),), symmetric=[False])


def sort(call: Call) -> Sequence[Operand]:
    """Sorted keys do not depend on the order of the cells; what travels with equal keys does."""
    count = len(call.operands)
    keys_only = call.params["num_keys"] == count
    return _along(call, (int(call.params["dimension"]),), symmetric=[keys_only] * count)


def top_k(call: Call) -> Sequence[Operand]:
    """The largest values do not depend on the order of the cells; their positions do."""
    axis = int(call.params.get("axis", len(call.shape) - 1))
    return _along(call, (axis,), symmetric=[True, False])


def fft(call: Call) -> Sequence[Operand]:
    """Transforms along the last axes, one after the other; of real signals half along the very last one."""
    kind, lengths = call.params["fft_type"], call.params["fft_lengths"]
    inverse = kind in (FftType.IFFT, FftType.IRFFT)
    half = kind in (FftType.RFFT, FftType.IRFFT)
    node, shape = call.node(0), list(call.shapes[0])
    last = len(shape) - 1
    axes = range(last, last - len(lengths), -1)
    for axis in reversed(axes) if inverse else axes:
        shape[axis] = call.shape[axis]
        node = call.add(ops.Fourier(axis, inverse, half and axis == last), [node], shape)
    return [node]


def contraction(call: Call) -> Sequence[Operand]:
    """Products of all pairs, summed over the contracted axes."""
    if call.is_zero(0) or call.is_zero(1):
        return [nothing(call.results[0])]
    (left_c, right_c), (left_b, right_b) = call.params["dimension_numbers"]
    left, right = call.shapes
    left_free = [a for a in range(len(left)) if a not in (*left_c, *left_b)]
    right_free = [a for a in range(len(right)) if a not in (*right_c, *right_b)]
    # one axis each for: batch, free of the left, free of the right, contracted
    sides = [
        [*left_b, *left_free, *([None] * len(right_free)), *left_c],
        [*right_b, *([None] * len(left_free)), *right_free, *right_c],
    ]
    shape = [
        left[a] if a is not None else right[b]  # type: ignore[index]
        for a, b in zip(*sides, strict=True)
    ]
    spread = [_spread(call, call.node(i), sides[i], shape) for i in range(2)]
    product = ops.Multiply(()) if call.is_complex else ops.Map()
    products = call.add(product, spread, shape)
    last = tuple(range(len(shape) - len(left_c), len(shape)))
    if not last:
        return [products]
    return [call.add(ops.Mix(last, (), symmetric=True, sum=True), [products])]


def _spread(call: Call, node: int, places: Sequence[int | None], shape: Sequence[int]) -> int:
    """A node with its axes where `places` names them, repeated along the others."""
    own = call.shape_of(node)
    order = tuple(int(a) for a in places if a is not None)
    if order != tuple(range(len(own))):
        node = call.add(ops.Transpose(order), [node], [own[a] for a in order])
    targets = tuple(i for i, a in enumerate(places) if a is not None)
    return node if len(targets) == len(shape) else call.add(ops.Broadcast(targets), [node], shape)


def polyphase(call: Call) -> Sequence[Operand]:
    """A polyphase layer: its arrays, side by side along their last axis, are cut into components all alike."""
    count = len(call.results)
    nodes = [call.node(i) for i in range(len(call.operands))]
    *grid, last = range(1, len(call.shape))
    shapes = call.shapes[:count]
    width = sum(shape[last] for shape in shapes)
    joined = nodes[0]
    if count > 1:
        joined = call.add(ops.Concat(last), nodes[:count], (*shapes[0][:last], width))
    op = ops.Select(tuple(grid), call.params["strides"])
    picked = call.add(op, [joined, *nodes[count:]], (*call.shape[:last], width))
    starts = np.cumsum([0, *(shape[last] for shape in shapes)])
    pairs = zip(shapes, starts, strict=False)
    return [_part(call, picked, last, start, shape[last]) for shape, start in pairs]


def scan(call: Call) -> Sequence[Operand]:
    """A loop without a test."""
    constants, carries = scan_counts(call.eqn)
    body = _body(call, open_body(call.params["jaxpr"]), call.shapes, stacked=constants + carries)
    return _loop(call, body, None, constants, carries)


def while_(call: Call) -> Sequence[Operand]:
    """A loop with a test."""
    p = call.params
    tested, used = p["cond_nconsts"], p["body_nconsts"]
    carries = len(call.operands) - tested - used
    state = call.shapes[tested + used :]
    body = _body(
        call, open_body(p["body_jaxpr"]), call.shapes[tested:], gap=(0, call.shapes[:tested])
    )
    test = _body(
        call,
        open_body(p["cond_jaxpr"]),
        [*call.shapes[:tested], *state],
        gap=(tested, call.shapes[tested : tested + used]),
    )
    return _loop(call, body, test, tested + used, carries)


def _loop(
    call: Call, body: KernelProgram, test: KernelProgram | None, constants: int, carries: int
) -> Sequence[Operand]:
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [
        nothing(aval)
        if 0 in aval.shape
        else call.add(ops.Loop(body, test, constants, carries, result=i), inputs, aval.shape)
        for i, aval in enumerate(call.results)
    ]


def cond(call: Call) -> Sequence[Operand]:
    """A branch; where the choice is known, its body alone."""
    branches, choice = call.params["branches"], call.known(0)
    if choice is not None:
        branches = branches[min(max(int(choice), 0), len(branches) - 1) :][:1]
    bodies = tuple(_body(call, open_body(b), call.shapes[1:]) for b in branches)
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [
        nothing(aval)
        if 0 in aval.shape
        else call.add(ops.Branch(bodies, result=i), inputs, aval.shape)
        for i, aval in enumerate(call.results)
    ]


def _body(
    call: Call,
    program: Program,
    shapes: Sequence[tuple[int, ...]],
    *,
    stacked: int | None = None,
    gap: tuple[int, Sequence[tuple[int, ...]]] = (0, ()),
) -> KernelProgram:
    """The kernel's program of a body.

    Args:
        call: the loop or branch.
        program: the body, from `open_body`.
        shapes: of its operands; those from number `stacked` on lose their first axis.
        stacked: the first operand of which a round sees one slice.
        gap: position and shapes of operands of the loop that this body does not use.
    """
    builder = Builder(call.builder.rules, call.builder.other, inside=True)
    start: dict[int, Operand] = {}
    for position, (number, shape) in enumerate(zip(program.weights, shapes, strict=True)):
        if position == gap[0]:
            for other in gap[1]:
                builder.add(ops.Input(()), (), other)
        own = shape[1:] if stacked is not None and position >= stacked else shape
        start[number] = builder.add(ops.Input(()), (), own)
    _, outputs = builder.translate(program, start, program.constants)
    numbers = tuple(builder.node(output) for output in outputs)
    return KernelProgram(tuple(builder.nodes), numbers)


WINDOWED = pooling(symmetric=True)
REDUCED = reduction(symmetric=True)

RULES: Mapping[Kind, tuple[Mapping[str, Translator], Translator]] = {
    Kind.MOVES: (
        {
            **dict.fromkeys(
                """
                copy copy_p device_put name optimization_barrier sharding_constraint stop_gradient
                """.split(),
                passed_on,
            ),
            "broadcast_in_dim": broadcast,
            **dict.fromkeys(("expand_dims", "reshape", "squeeze"), reshape),
            "transpose": transpose,
            "tile": tile,
            "stack": stack,
            "slice": slice_,
            "rev": reverse,
            "split": split,
            "unstack": unstack,
            "concatenate": concatenate,
            "dynamic_slice": dynamic_slice,
            "dynamic_update_slice": dynamic_update_slice,
            "scatter": scatter,
            "pad": pad,
            "gather": gather,
            "select_n": select,
        },
        whole,
    ),
    Kind.LINEAR: (
        {
            "reduce_sum": reduction(symmetric=True, total=True),
            "reduce_window_sum": pooling(symmetric=True, linear=True),
            "cumsum": running,
            **dict.fromkeys(("scatter-add", "scatter-sub"), scatter),
        },
        elementwise,
    ),
    Kind.BILINEAR: (
        {"conv_general_dilated": convolution, "dot_general": contraction},
        elementwise,
    ),
    Kind.POINTWISE: ({"select_n": select}, elementwise),
    Kind.EXTREMUM: (
        {
            **dict.fromkeys(("reduce_window_max", "reduce_window_min"), WINDOWED),
            **dict.fromkeys(
                "reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_xor".split(), REDUCED
            ),
            **dict.fromkeys(("scatter-max", "scatter-min", "scatter-mul"), scatter),
        },
        elementwise,
    ),
    Kind.ORDERED: (
        {
            "reduce_window": pooling(symmetric=False),
            **dict.fromkeys(("argmax", "argmin"), reduction(symmetric=False)),
            **dict.fromkeys(("cumlogsumexp", "cummax", "cummin", "cumprod"), running),
            "sort": sort,
            "top_k": top_k,
        },
        whole,
    ),
    Kind.SPECTRAL: ({"fft": fft}, whole),
    Kind.LOOP: ({"scan": scan, "while": while_, "cond": cond}, whole),
    Kind.UPDATES: ({}, scatter),
    Kind.LOOKUP: ({"dynamic_slice": dynamic_slice, "gather": gather}, whole),
    Kind.OPAQUE: ({}, whole),
}
"""What becomes of every class: translators by name where operations of the kernel differ in their axes, and all others.

What primitive belongs to what class is said by the table alone.
"""
