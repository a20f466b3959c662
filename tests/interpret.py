"""The kernel's operations on whole numbers: a random member of each class of functions, run in NumPy.

All arithmetic is modulo a prime, where sums, products and weighted sums are exact in any order. A function that is not
otherwise bound is a polynomial followed by a mixing of bits, so that two inputs that differ give results that differ,
but for a chance of about 2^-26 for each entry: a claim that fails for some function fails for these.
Values carry a leading axis: one entry for every shift of the grid.

Complex numbers are pairs of residues; the prime has the roots of unity. Where a program has a Fourier transform, one
half of the leading axis holds the first residues, with the root that stands for exp(-2 pi i / n), the other the second
ones, with its inverse; conjugation swaps the halves, and the real numbers are pairs of equals. So transforms,
conjugates and real parts are exact. The first halves are returned.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shiftproof_kernel import Node, Program
from shiftproof_kernel.program import (
    Branch,
    Broadcast,
    Combine,
    Concat,
    Constant,
    Fourier,
    Input,
    Loop,
    Map,
    Mix,
    Multiply,
    Pad,
    Reshape,
    Select,
    Span,
    Take,
    Transpose,
    Weight,
    Whole,
    Window,
)

Array = np.ndarray
EMPTY = np.uint64(0x9E3779B97F4A7C15)
"""What stands in the holes of a window that is not linear."""

ORDER, PRIME = 2**5 * 3**3 * 5 * 7, 67102561
"""Modulo PRIME there are roots of unity of all orders that divide ORDER; sums of 400 products fit 64 bits."""
ROOT = pow(13, (PRIME - 1) // ORDER, PRIME)
FIRST = False
"""Whether a selection takes the first component of the best score, as none of its class does."""
SMALL = np.uint64(1021)
"""Weights of linear functions are below it, so that products of three of them and a residue fit too."""


def roots(order: int, exponents: Array) -> Array:
    """Powers of the root of unity of this order that stands for exp(-2 pi i / order)."""
    assert ORDER % order == 0, f"no root of the order {order}"
    table = [pow(ROOT, ORDER // order * e, PRIME) for e in range(order)]
    return np.array(table, np.uint64)[np.asarray(exponents) % order]


def is_spectral(program: Program) -> bool:
    """Whether it, or a body in it, has a Fourier transform or a conjugate."""
    own = (isinstance(node.op, Fourier) for node in program.nodes)
    turned = (isinstance(node.op, Multiply) and node.op.conjugated for node in program.nodes)
    inner = (is_spectral(body) for node in program.nodes for body in node.bodies)
    return any(own) or any(turned) or any(inner)


def shifted(image: Array, grid_axes: Sequence[int]) -> Array:
    """The image under every shift of its grid, in row-major order of the shifts."""
    sizes = [image.shape[axis] for axis in grid_axes]
    return np.stack([np.roll(image, s, tuple(grid_axes)) for s in np.ndindex(*sizes)])


def numbers(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Random residues."""
    return rng.integers(0, PRIME, tuple(shape), np.uint64, endpoint=False)


def mixed_up(value: Array) -> Array:
    """A fixed function of one number that no algebra simplifies."""
    value = (value ^ (value >> np.uint64(31))) * np.uint64(0x7FB5D329728EA185)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x81DADEF4BC2DD44D)
    return value ^ (value >> np.uint64(33))


def run(
    program: Program,
    inputs: Sequence[Array],
    constants: Mapping[int, Array],
    seed: int,
    bodies: Mapping[int, Any] | None = None,
) -> list[Array]:
    """The values of all nodes.

    Args:
        program: what to run.
        inputs: values of its input nodes, each with the leading axis.
        constants: arrays of its constants.
        seed: chooses the functions and the weights.
        bodies: for loops and branches the constants of their bodies, by number of the node.
    """
    if not is_spectral(program):
        return _run(program, inputs, constants, seed, bodies, spectral=False)
    pairs = [np.concatenate([value, value]) for value in inputs]
    values = _run(program, pairs, constants, seed, bodies, spectral=True)
    return [value[: len(value) // 2] for value in values]


def _run(
    program: Program,
    inputs: Sequence[Array],
    constants: Mapping[int, Array],
    seed: int,
    bodies: Mapping[int, Any] | None,
    *,
    spectral: bool,
) -> list[Array]:
    values: list[Array] = []
    given = iter(inputs)
    count = len(inputs[0])
    for number, node in enumerate(program.nodes):
        rng = np.random.default_rng([seed, number])
        operands = [values[source] for source in node.inputs]
        op = node.op
        if isinstance(op, Input):
            value = next(given)
        elif isinstance(op, Constant):
            value = np.broadcast_to(constants[number], (count, *node.shape))
        elif isinstance(op, Weight):
            halves = 2 if spectral else 1
            weights = [numbers(rng, (1, *node.shape))] * (count // halves)
            weights += [numbers(rng, (1, *node.shape))] * (count - len(weights))
            value = np.concatenate(weights)
        elif isinstance(op, Select):
            value = _select(node, operands, rng, spectral=spectral)
        elif isinstance(op, Loop | Branch):
            body = (bodies or {})[number]
            value = OPERATIONS[type(op)](node, operands, seed, body, spectral=spectral)
        else:
            value = OPERATIONS[type(op)](node, operands, rng)
        assert value.shape == (count, *node.shape), f"{op} makes {value.shape}, not {node}"
        values.append(value % np.uint64(PRIME))
    return values


def _odd(rng: np.random.Generator, shape: Sequence[int] = ()) -> Array:
    return numbers(rng, shape) | np.uint64(1)


def _function(rng: np.random.Generator, operands: Sequence[Array]) -> Array:
    """A function of several numbers, position by position."""
    total = np.broadcast_arrays(*operands)[0] * np.uint64(0) + numbers(rng, (1,) * operands[0].ndim)
    for operand in operands:
        total = mixed_up(total * np.uint64(3) + operand * _odd(rng, (1,)))
    return total


def _map(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    return _function(rng, operands)


def _combine(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    return sum(operand * (numbers(rng, ()) % SMALL) for operand in np.broadcast_arrays(*operands))


def _conjugate(value: Array) -> Array:
    return np.roll(value, len(value) // 2, axis=0)


def _multiply(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    total = np.ones(1, np.uint64)
    for number, operand in enumerate(operands):
        factor = _conjugate(operand) if number in node.op.conjugated else operand
        total = total * factor % np.uint64(PRIME)
    return total


def _transformed(value: Array, inverse: bool) -> Array:
    """The transform along the last axis, of the first half with the root, of the second with its inverse."""
    n = value.shape[-1]
    scale = np.uint64(pow(n, -1, PRIME)) if inverse else np.uint64(1)
    exponents = np.multiply.outer(np.arange(n), np.arange(n))
    halves = [
        half @ (roots(n, sign * exponents) * scale % np.uint64(PRIME))
        for half, sign in zip(np.split(value, 2), (-1, 1) if inverse else (1, -1), strict=True)
    ]
    return np.concatenate(halves) % np.uint64(PRIME)


def _fourier(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    p = node.op
    value, n = np.moveaxis(operands[0], p.axis + 1, -1), node.shape[p.axis]
    if p.half and p.inverse:
        full = np.zeros((*value.shape[:-1], n), np.uint64)
        full[..., : value.shape[-1]] += value
        mirrored = -np.arange(value.shape[-1]) % n
        full[..., mirrored] += _conjugate(value)
        ends = mirrored == np.arange(value.shape[-1])  # these were added twice
        full[..., : value.shape[-1]][..., ends] *= np.uint64((PRIME + 1) // 2)
        value = full % np.uint64(PRIME)
    made = _transformed(value, p.inverse)[..., :n]
    return np.moveaxis(made, -1, p.axis + 1)


def _broadcast(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    (value,) = operands
    shape = [len(value)] + [1] * len(node.shape)
    for axis, target in enumerate(node.op.axes):
        shape[target + 1] = value.shape[axis + 1]
    return np.broadcast_to(value.reshape(shape), (len(value), *node.shape))


def _reshape(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    return operands[0].reshape(len(operands[0]), *node.shape)


def _transpose(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    return operands[0].transpose(0, *(axis + 1 for axis in node.op.order))


def _take(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    axis, index = node.op.axis, node.op.index
    if isinstance(index, Span):
        index = [index.start + i * index.step for i in range(node.shape[axis])]
    return operands[0].take(index, axis + 1)


def _concat(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    sizes = [
        max(value.shape[axis] for value in operands) if axis != node.op.axis + 1 else None
        for axis in range(operands[0].ndim)
    ]
    wide = [
        np.broadcast_to(v, [v.shape[a] if n is None else n for a, n in enumerate(sizes)])
        for v in operands
    ]
    return np.concatenate(wide, node.op.axis + 1)


def stretched(value: Array, axis: int, low: int, high: int, base: int, hole: Array) -> Array:
    """Holes between, before and behind the cells of an axis; negative numbers cut cells off.

    `hole` has one entry, or one for each entry of the leading axis.
    """
    shape = list(value.shape)
    n = shape[axis]
    shape[axis] = (n - 1) * base + 1 + max(low, 0) + max(high, 0)
    filler = np.asarray(hole, value.dtype).reshape([-1] + [1] * (value.ndim - 1))
    wide = np.array(np.broadcast_to(filler, shape))
    place = [slice(None)] * value.ndim
    start = max(low, 0)
    place[axis] = slice(start, start + (n - 1) * base + 1, base)
    wide[tuple(place)] = value
    place[axis] = slice(max(-low, 0), shape[axis] - max(-high, 0))
    return wide[tuple(place)]


def _pad(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    value, p = operands[0], node.op
    hole = operands[1].reshape(len(value), -1).sum(1)
    if p.zero:
        hole = hole * np.uint64(0)
    return stretched(value, p.axis + 1, p.low, p.high, p.inner + 1, hole)


def _window(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    value, p = operands[0], node.op
    hole = np.uint64(0) if p.linear else EMPTY
    dims = sorted(p.dims, key=lambda d: d.axis)
    for done, d in enumerate(dims):
        axis = d.axis + 1 + done  # every window before left one axis more
        value = stretched(value, axis, d.low, d.high, d.base, hole)
        reach = d.dilation * (d.size - 1)
        starts = np.arange(0, value.shape[axis] - reach, d.stride)
        value = value.take(starts[:, None] + d.dilation * np.arange(d.size), axis)
    # where each axis of the operand is now, and which are made
    places = {d.axis: d.axis + 1 + i for i, d in enumerate(dims)}
    kept = [(axis + 1 + sum(d.axis < axis for d in dims), out) for axis, out in p.kept]
    made = sorted([(d.out, places[d.axis]) for d in dims] + [(o, a) for a, o in kept])
    return _gathered(
        node,
        value,
        made,
        rng,
        salts=operands[1:],
        linear=p.linear,
        symmetric=p.symmetric,
    )


def _gathered(
    node: Node,
    value: Array,
    made: Sequence[tuple[int, int]],
    rng: np.random.Generator,
    *,
    salts: Sequence[Array],
    linear: bool,
    symmetric: bool,
) -> Array:
    """All axes but those of `made` (axis of the result, axis of the value) are mixed, alike everywhere."""
    front = [0, *(axis for _, axis in made)]
    rest = [axis for axis in range(value.ndim) if axis not in front]
    value = value.transpose(*front, *rest)
    head = value.shape[: len(front)]
    value = value.reshape(*head, -1)
    outs = [axis for axis in range(len(node.shape)) if axis not in [out for out, _ in made]]
    sizes = [node.shape[axis] for axis in outs]
    width = int(np.prod(sizes))
    salt = np.ones(len(value), np.uint64)
    for other in salts:
        whole = other.reshape(len(other), -1)
        salt = mixed_up(salt + (whole * _odd(rng, whole.shape[1:])).sum(1)) | np.uint64(1)
    salt = salt.reshape(-1, *(1,) * (value.ndim - 1))
    if linear:
        salt = salt % SMALL
    if symmetric:
        columns = _odd(rng, (1,) * (value.ndim - 1) + (width,))
        if linear:
            result = value.sum(-1, keepdims=True) * salt
            result = result * (columns % SMALL if outs else np.uint64(1))
        elif rng.integers(2):
            result = value.max(-1, keepdims=True) * columns + salt
        else:
            result = (mixed_up(value * salt) * np.uint64(5)).sum(-1, keepdims=True) * columns
    else:
        weights = numbers(rng, (value.shape[-1], width))
        result = (value * salt) @ (weights % SMALL if linear else weights)
        if not linear:
            result = mixed_up(result)
    result = result.reshape(*head, *sizes)
    order = [out for out, _ in made] + outs
    return result.transpose(0, *(order.index(axis) + 1 for axis in range(len(order))))


def _mix(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    p = node.op
    value = operands[0] if len(operands) == 1 else _function(rng, operands)
    others = [axis for axis in range(value.ndim - 1) if axis not in p.axes]
    rest = [out for out in range(len(node.shape)) if out not in p.outs]
    made = [(out, axis + 1) for axis, out in zip(others, rest, strict=True)]
    plain_sum = p.sum and len(operands) == 1
    if plain_sum and not p.outs:
        return value.sum(tuple(axis + 1 for axis in p.axes))
    return _gathered(node, value, made, rng, salts=(), linear=p.sum, symmetric=p.symmetric or p.sum)


def _whole(node: Node, operands: Sequence[Array], rng: np.random.Generator) -> Array:
    made = sorted((out, axis + 1) for axis, out in node.op.kept)
    return _gathered(
        node, operands[0], made, rng, salts=operands[1:], linear=False, symmetric=False
    )


def _select(
    node: Node, operands: Sequence[Array], rng: np.random.Generator, *, spectral: bool
) -> Array:
    """Of the components with the best score one with the greatest word; where several have it, all cells say which.

    Scores are few, so that they tie. Of complex numbers both residues belong to a cell.
    """
    p, value = node.op, operands[0]
    halves = np.split(value, 2) if spectral else [value]
    front = [axis + 1 for axis in p.axes]
    cells = [np.moveaxis(half, front, range(1, len(front) + 1)) for half in halves]
    salt = [np.uint64(1)] * len(value)
    for other in operands[1:]:
        whole = other.reshape(len(other), -1)
        salt = mixed_up(salt + (whole * _odd(rng, whole.shape[1:])).sum(1))
    grid = cells[0].shape[1 : len(front) + 1]
    sizes = [n // s for n, s in zip(grid, p.strides, strict=True)]
    made = [
        np.empty((len(half), *sizes, *half.shape[len(front) + 1 :]), half.dtype) for half in cells
    ]
    for entry in range(len(halves[0])):
        both = np.stack([half[entry].reshape(*grid, -1) for half in cells], -1)
        found: list[tuple[Any, tuple[int, ...]]] = []
        for phase in np.ndindex(*p.strides):
            part = tuple(slice(q, None, s) for q, s in zip(phase, p.strides, strict=True))
            component = both[part]
            score = int(
                mixed_up(component.sum(axis=tuple(range(len(sizes)))) * salt[entry]).sum()
                % np.uint64(2)
            )
            words = [
                np.roll(component, roll, range(len(sizes))).ravel().tolist()
                for roll in np.ndindex(*sizes)
            ]
            found.append(((score, max(words)), part))
        best = max(key[0] if FIRST else key for key, _ in found)
        tied = [part for key, part in found if (key[0] if FIRST else key) == best]
        part = tied[0] if FIRST else tied[zlib.crc32(both.tobytes()) % len(tied)]
        for half, result in zip(cells, made, strict=True):
            result[entry] = half[entry][part]
    return np.concatenate([np.moveaxis(m, range(1, len(front) + 1), front) for m in made])


def _loop(
    node: Node,
    operands: Sequence[Array],
    seed: int,
    bodies: Mapping[str, Any],
    *,
    spectral: bool,
) -> Array:
    """As many rounds as the sliced operands have, or two; with a test, as many as it asks for, up to three."""
    p = node.op
    constants = list(operands[: p.constants])
    carried = list(operands[p.constants : p.constants + p.carries])
    sliced = operands[p.constants + p.carries :]
    stacked = []
    rounds = sliced[0].shape[1] if sliced else 2
    if p.result >= p.carries:
        rounds = node.shape[0]
    active = np.ones(len(operands[0]), bool)
    for i in range(rounds if p.test is None else 3):
        if p.test is not None:
            given = [*constants, *carried]
            inside = bodies["inside test"]
            found = _run(p.test, given, bodies["test"], seed + 1, inside, spectral=spectral)
            outcome = found[p.test.outputs[0]].reshape(len(active), -1).sum(1)
            active &= outcome % np.uint64(3) > 0
        given = [*constants, *carried, *(value[:, i] for value in sliced)]
        inside = bodies["inside body"]
        found = _run(p.body, given, bodies["body"], seed, inside, spectral=spectral)
        outputs = [found[output] for output in p.body.outputs]
        carried = [
            np.where(active.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
            for old, new in zip(carried, outputs, strict=False)
        ]
        stacked.append(outputs[p.result])
    return carried[p.result] if p.result < p.carries else np.stack(stacked, 1)


def _branch(
    node: Node,
    operands: Sequence[Array],
    seed: int,
    bodies: Mapping[str, Any],
    *,
    spectral: bool,
) -> Array:
    p = node.op
    chosen = operands[0].reshape(len(operands[0]), -1).sum(1) % np.uint64(len(p.bodies))
    results = []
    for i, body in enumerate(p.bodies):
        inside = bodies[f"inside {i}"]
        found = _run(body, operands[1:], bodies[f"body {i}"], seed + i, inside, spectral=spectral)
        results.append(found[body.outputs[p.result]])
    return np.stack([results[int(c)][row] for row, c in enumerate(chosen)])


OPERATIONS: Mapping[type, Any] = {
    Map: _map,
    Combine: _combine,
    Multiply: _multiply,
    Broadcast: _broadcast,
    Reshape: _reshape,
    Transpose: _transpose,
    Take: _take,
    Concat: _concat,
    Pad: _pad,
    Window: _window,
    Mix: _mix,
    Fourier: _fourier,
    Whole: _whole,
    Loop: _loop,
    Branch: _branch,
}
