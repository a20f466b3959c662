"""Random programs of the kernel's operations, biased towards those of which something can be proved.

A program grows as plausible pieces (a wrapped convolution, a roll, a patch embedding, attention, a circular transposed
convolution, a loop) with parameters that are often right and often slightly wrong. While it grows, the kernel's rules
are asked about one shift; a piece that loses everything is mostly thrown away, since nothing is claimed behind it.
What is claimed is then judged by values, never by the rules.

Over 600 lines, because the pieces are one list.
"""

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from interpret import ORDER

from shiftproof_kernel import Fact, Lost, Node, Program, Refusal, Still
from shiftproof_kernel.derivation import Wandering, Work, _Walk
from shiftproof_kernel.program import (
    Branch,
    Broadcast,
    Combine,
    Concat,
    Constant,
    Dim,
    Fourier,
    Input,
    Loop,
    Map,
    Mix,
    Multiply,
    Operation,
    Pad,
    Reshape,
    Select,
    Span,
    Take,
    Transpose,
    Weight,
    Whole,
    Window,
    kind,
)
from shiftproof_kernel.rules import BOUNDARIES

MAX_CELLS = 400
GRIDS = (
    *((n,) for n in (2, 3, 4, 4, 5, 6, 6, 8, 9, 12)),
    *((2, 2), (2, 3), (4, 2), (3, 3), (4, 4), (6, 2), (1, 4), (4, 3), (2, 8)),
    *((2, 2, 2), (2, 3, 2), (2, 1, 4), (1, 2, 3)),
)
SCENES = (
    *((n,) for n in (5, 7, 8, 9, 12, 12, 16, 24)),
    *((8, 2), (3, 9), (12, 3), (4, 12), (6, 6), (6, 8), (1, 9), (2, 3, 8)),
)
"""Grids of scenes, larger, since borders grow."""


@dataclass
class Sample:
    """A random program with all that is needed to run it.

    Attributes:
        program: the kernel's program.
        constants: arrays of its constants.
        bodies: constants of the bodies of loops and branches.
        rolls: for constants that a roll leaves unchanged, that roll.
        grid: sizes of the grid.
        seed: of the functions and of the image.
        boundary: what the image is cut out of.
    """

    program: Program
    constants: Mapping[int, np.ndarray]
    bodies: Mapping[int, Any]
    rolls: Mapping[int, tuple[int, ...]]
    grid: tuple[int, ...]
    seed: int
    boundary: str = "torus"

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, grid {self.grid}"]
        for number, node in enumerate(self.program.nodes):
            lines.append(
                f"  {number} = {kind(node.op)}{list(node.inputs)} -> {node.shape}  {_short(node)}"
            )
        return "\n".join(lines)


def _short(node: Node) -> str:
    """The fields of an operation."""
    found = {}
    for name in type(node.op).__slots__:
        value = getattr(node.op, name)
        inner = value if isinstance(value, tuple) else (value,)
        if inner and all(isinstance(one, Program) for one in inner):
            value = [([(n.op, n.inputs, n.shape) for n in one.nodes], one.outputs) for one in inner]
        found[name] = value
    return str(found)


def random_sample(seed: int, length: int = 14, boundary: str = "torus") -> Sample:
    """The program of a seed."""
    rng = random.Random(seed)
    grid = rng.choice(GRIDS if boundary == "torus" else SCENES)
    shape, axes = list(grid), list(range(len(grid)))
    if rng.random() < 0.7:
        shape.append(rng.choice((1, 2, 2, 3, 4)))
    if rng.random() < 0.3:
        shape.append(2)
    order = list(range(len(shape)))
    if rng.random() < 0.4:
        rng.shuffle(order)
    axes = [order.index(axis) for axis in axes]
    shift = tuple(
        rng.choice([s for s in range(n) if n % max(s, 1) == 0] + [0, 1 % n]) for n in grid
    )
    if not any(shift):
        shift = tuple(n // 2 for n in grid)
    grower = Grower(rng, shift, boundary=boundary)
    grower.add(Input(tuple(axes)), (), [shape[axis] for axis in order])
    grower.grow(length)
    program = Program(tuple(grower.nodes), (len(grower.nodes) - 1,))
    return Sample(program, grower.constants, grower.bodies, grower.rolls, grid, seed, boundary)


@dataclass
class Grower:
    """A program that grows.

    Attributes:
        rng: source of all choices.
        shift: the shift about which the rules are asked meanwhile.
        given: facts of the inputs of a loop's body; None in a program of its own.
        nodes: so far.
        facts: what the rules say of them, None where they refused.
        constants: arrays of the constants.
        bodies: constants of the bodies of loops and branches.
        rolls: of the constants that have one.
        depth: how many programs this one lies within.
        boundary: what the image is cut out of.
    """

    rng: random.Random
    shift: tuple[int, ...]
    given: list[Fact] | None = None
    nodes: list[Node] = field(default_factory=list)
    facts: list[Fact | Wandering | None] = field(default_factory=list)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    bodies: dict[int, Any] = field(default_factory=dict)
    rolls: dict[int, tuple[int, ...]] = field(default_factory=dict)
    depth: int = 0
    boundary: str = "torus"

    def add(self, op: Operation, inputs: Sequence[int], shape: Sequence[int]) -> int:
        """A node; ValueError where it would be too large."""
        if math.prod(shape) > MAX_CELLS or any(n < 1 for n in shape) or len(shape) > 7:
            raise ValueError("size")
        node = Node(op, tuple(inputs), tuple(int(n) for n in shape))
        self.nodes.append(node)
        self.facts.append(self._fact(len(self.facts), node))
        return len(self.nodes) - 1

    def _fact(self, number: int, node: Node) -> Fact | Wandering | None:
        """What the kernel's derivation says of one more node."""
        premises = [
            self.facts[source] or Lost(0, Refusal("lost", ""), self.shape(source))
            for source in node.inputs
        ]
        walk = _Walk(self._image, {}, Work())
        outcome = walk._found(number, node, premises, (self.depth, number))
        return None if isinstance(outcome, Lost) else outcome

    def _image(self, node: Node, op: Input) -> Fact:
        if self.given is None:
            return BOUNDARIES[self.boundary](op, node.shape, self.shift)
        return self.given.pop(0)

    def grow(self, length: int) -> None:
        """Pieces, until there are so many nodes."""
        for _ in range(3 * length):
            if len(self.nodes) >= length:
                break
            before = len(self.nodes)
            piece = self.rng.choice(PIECES)
            try:
                result = piece(self, self.operand())
                good = result is None or self.facts[result] is not None
            except (ValueError, IndexError):
                good = False
            if not good and self.rng.random() < 0.85:
                self.forget(before)

    def forget(self, before: int) -> None:
        """Drop all nodes from `before` on."""
        del self.nodes[before:], self.facts[before:]
        for found in (self.constants, self.bodies, self.rolls):
            for number in [n for n in found if n >= before]:
                del found[number]

    # --- choices ---

    def operand(self) -> int:
        """A node to go on from: mostly a late one of which something is known."""
        good = [
            i
            for i, n in enumerate(self.nodes)
            if self.facts[i] and not isinstance(n.op, Constant | Weight)
        ]
        if not good or self.rng.random() < 0.05:
            return self.rng.randrange(len(self.nodes))
        return good[-1] if self.rng.random() < 0.65 else self.rng.choice(good)

    def alike(self, shape: Sequence[int]) -> list[int]:
        """The nodes of a shape."""
        return [i for i, node in enumerate(self.nodes) if node.shape == tuple(shape)]

    def shape(self, node: int) -> tuple[int, ...]:
        return self.nodes[node].shape

    def axis(self, node: int) -> int:
        """An axis: mostly one that is longer than 1."""
        shape = self.shape(node)
        if not shape:
            raise ValueError("scalar")
        long = [a for a, n in enumerate(shape) if n > 1]
        return (
            self.rng.choice(long)
            if long and self.rng.random() < 0.9
            else self.rng.randrange(len(shape))
        )

    def some(self, items: Sequence[Any], chance: float = 0.5) -> list[Any]:
        return [item for item in items if self.rng.random() < chance]

    def wrong(self, chance: float = 0.15) -> int:
        """0, or sometimes a small mistake."""
        return self.rng.choice((-1, 1)) if self.rng.random() < chance else 0

    # --- pieces that others use ---

    def part(self, node: int, axis: int, start: int, count: int, step: int = 1) -> int:
        shape = list(self.shape(node))
        n, shape[axis] = shape[axis], count
        if count < 1 or not (0 <= start < n and 0 <= start + (count - 1) * step < n):
            raise ValueError("slice")
        return self.add(Take(axis, Span(start, step)), [node], shape)

    def joined(self, parts: Sequence[int], axis: int) -> int:
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.add(Concat(axis), parts, shape)

    def wrapped(self, node: int, axis: int, low: int, high: int) -> int:
        """An axis with its own cells put before and behind it, as often as needed."""
        n = self.shape(node)[axis]
        parts = [node]
        while low > 0 and n:
            count = min(low, n)
            parts.insert(0, self.part(node, axis, n - count, count))
            low -= count
        while high > 0 and n:
            count = min(high, n)
            parts.append(self.part(node, axis, 0, count))
            high -= count
        return self.joined(parts, axis) if len(parts) > 1 else node

    def reshaped(self, node: int, shape: Sequence[int]) -> int:
        if math.prod(shape) != math.prod(self.shape(node)):
            raise ValueError("reshape")
        return self.add(Reshape(), [node], shape)

    def weight(self, shape: Sequence[int]) -> int:
        return self.add(Weight(), (), shape)

    def constant(self, shape: Sequence[int], periods: Sequence[int]) -> int:
        """Random numbers, repeated with the periods."""
        block = self.rng.getrandbits(32)
        found = np.random.default_rng(block).integers(0, 2**64, periods, np.uint64, endpoint=False)
        for axis, (n, period) in enumerate(zip(shape, periods, strict=True)):
            found = found.take(np.arange(n) % period, axis)
        number = self.add(Constant(tuple(periods), ()), (), shape)
        self.constants[number] = found
        return number

    def mixed(
        self,
        nodes: Sequence[int],
        axes: Sequence[int],
        outs: Sequence[int] = (),
        *,
        symmetric: bool,
        sum: bool,
    ) -> int:
        """All cells of some axes together; `outs` gives the sizes of those that are made in their place."""
        shape = list(self.shape(nodes[0]))
        if outs:
            for axis, n in zip(axes, outs, strict=True):
                shape[axis] = n
            places = tuple(axes)
        else:
            shape = [n for axis, n in enumerate(shape) if axis not in axes]
            places = ()
        return self.add(Mix(tuple(axes), places, symmetric, sum), nodes, shape)


def _function(g: Grower, node: int) -> int:
    operands = [node]
    if g.rng.random() < 0.5:
        operands.append(g.rng.choice(g.alike(g.shape(node))))
    g.rng.shuffle(operands)
    return g.add(Map(), operands, g.shape(node))


def _with_weight(g: Grower, node: int) -> int:
    shape = [1 if g.rng.random() < 0.8 else n for n in g.shape(node)]
    return g.add(Map(), [node, g.weight(shape)], g.shape(node))


def _with_table(g: Grower, node: int) -> int:
    """A table that repeats, or does not."""
    shape = g.shape(node)
    periods = [g.rng.choice([p for p in range(1, n + 1) if n % p == 0]) for n in shape]
    return g.add(Map(), [node, g.constant(shape, periods)], shape)


def _size_one(g: Grower, node: int) -> int:
    """An operand of length 1 along some axes, repeated."""
    shape = g.shape(node)
    fitting = [
        i
        for i, other in enumerate(g.nodes)
        if len(other.shape) == len(shape)
        and all(n in (1, m) for n, m in zip(other.shape, shape, strict=True))
    ]
    return g.add(Map(), [node, g.rng.choice(fitting)], shape)


def _roll(g: Grower, node: int) -> int:
    axis = g.axis(node)
    n = g.shape(node)[axis]
    cut = g.rng.randrange(1, n)
    head = g.part(node, axis, cut, n - cut)
    tail = g.part(node, axis, g.rng.choice((0, 0, 0, 1)), cut)
    return g.joined([head, tail], axis)


def _wrap(g: Grower, node: int) -> int:
    axis = g.axis(node)
    n = g.shape(node)[axis]
    return g.wrapped(node, axis, g.rng.randrange(0, n + 2), g.rng.randrange(0, n + 1))


def _join(g: Grower, node: int) -> int:
    """Two values of one shape, one behind the other."""
    return g.joined([node, g.rng.choice(g.alike(g.shape(node)))], g.axis(node))


def _patchwork(g: Grower, node: int) -> int:
    """Slices of one value, joined in any order."""
    axis = g.axis(node)
    n = g.shape(node)[axis]
    parts = []
    for _ in range(g.rng.randrange(2, 4)):
        start = g.rng.randrange(n)
        parts.append(g.part(node, axis, start, g.rng.randrange(1, n - start + 1)))
    if g.rng.random() < 0.3:  # slices of slices
        m = g.shape(parts[-1])[axis]
        parts[-1] = g.part(parts[-1], axis, m // 2, m - m // 2)
    return g.joined(parts, axis)


def _channels(g: Grower, node: int) -> int:
    """The same cells of another channel are joined along a moving axis: this must not glue."""
    first, second = g.axis(node), g.axis(node)
    n, m = g.shape(node)[first], g.shape(node)[second]
    i, j = g.rng.randrange(n), g.rng.randrange(n)
    left, right = g.part(node, first, i, 1), g.part(node, first, j, 1)
    cut = g.rng.randrange(1, m)
    return g.joined([g.part(left, second, 0, cut), g.part(right, second, cut, m - cut)], second)


def _dims(
    g: Grower, node: int, axes: Sequence[int], *, wrap: bool
) -> tuple[int, list[Dim], list[int]]:
    """A window along axes, the node wrapped so that it may fit, and the sizes of the result."""
    dims, sizes = [], []
    for axis in axes:
        n = g.shape(node)[axis]
        size = g.rng.choice((1, 2, 2, 3, 3, 4, n))
        stride = g.rng.choice((1, 1, 1, 2, 2, 3, n))
        base = g.rng.choice((1, 1, 1, 1, 2, 3))
        dilation = g.rng.choice((1, 1, 1, 2))
        reach = dilation * (size - 1)
        low = high = 0
        if wrap:
            # the right amount makes as many places as the period over the stride
            left = g.rng.randrange(reach + 1)
            node = g.wrapped(node, axis, left, max(reach - left + g.wrong(), 0))
            if base > 1:
                high = base - 1 + g.wrong()
        elif g.rng.random() < 0.5:
            low, high = g.rng.randrange(-1, reach + 1), g.rng.randrange(-1, reach + base)
        cells = (g.shape(node)[axis] - 1) * base + 1 + low + high
        places = (cells - 1 - reach) // stride + 1
        if places < 1 or cells < 1 or reach >= cells:
            raise ValueError("window")
        dims.append(Dim(axis, axis, size, stride, low, high, base, dilation))
        sizes.append(places)
    return node, dims, sizes


def _convolution(g: Grower, node: int) -> int:
    rank = len(g.shape(node))
    axes = g.some(range(rank), 0.6) or [g.axis(node)]
    node, dims, sizes = _dims(g, node, axes, wrap=g.rng.random() < 0.7)
    rest = [axis for axis in range(rank) if axis not in axes]
    kept = g.some(rest, 0.7)
    mixed = [axis for axis in rest if axis not in kept]
    shape = [
        sizes[axes.index(a)] if a in axes else g.shape(node)[a]
        for a in range(rank)
        if a not in mixed
    ]
    outs = [a for a in range(rank) if a not in mixed]
    if mixed or g.rng.random() < 0.2:
        shape.append(g.rng.choice((1, 2, 3)))
        outs.append(-1)
    order = list(range(len(shape)))
    if g.rng.random() < 0.3:
        g.rng.shuffle(order)
    place = {axis: order.index(i) for i, axis in enumerate(outs)}
    dims = tuple(dataclasses.replace(d, out=place[d.axis]) for d in dims)
    linear = g.rng.random() < 0.5
    inputs = [node, g.weight((2,))] if g.rng.random() < 0.5 else [node]
    keep = tuple((a, place[a]) for a in kept)
    op = Window(dims, keep, symmetric=False, linear=linear)
    return g.add(op, inputs, [shape[i] for i in order])


def _pool(g: Grower, node: int) -> int:
    rank = len(g.shape(node))
    axes = g.some(range(rank), 0.4) or [g.axis(node)]
    node, dims, sizes = _dims(g, node, axes, wrap=g.rng.random() < 0.4)
    shape = [sizes[axes.index(a)] if a in axes else g.shape(node)[a] for a in range(rank)]
    kept = tuple((a, a) for a in range(rank) if a not in axes)
    linear = g.rng.random() < 0.5
    return g.add(Window(tuple(dims), kept, symmetric=True, linear=linear), [node], shape)


def _whole_period(g: Grower, node: int) -> int:
    """A window as long as an axis, or as half of it."""
    axis = g.axis(node)
    n = g.shape(node)[axis]
    size = n if g.rng.random() < 0.6 else max(n // 2, 1)
    stride = g.rng.choice((1, 1, 2, n))
    node = g.wrapped(node, axis, 0, g.rng.choice((0, 0, size - 1, n)))
    places = (g.shape(node)[axis] - size) // stride + 1
    dim = Dim(axis, axis, size, stride, low=0, high=0, base=1, dilation=1)
    shape = list(g.shape(node))
    shape[axis] = places
    kept = tuple((a, a) for a in range(len(shape)) if a != axis)
    symmetric = g.rng.random() < 0.8
    return g.add(Window((dim,), kept, symmetric=symmetric, linear=symmetric), [node], shape)


def _fold(g: Grower, node: int) -> int:
    """The circular transposed convolution: everything is padded, laps overlap, and are summed."""
    shape = list(g.shape(node))
    axes = [axis for axis, n in enumerate(shape) if n > 1 and g.rng.random() < 0.6][:2] or [
        g.axis(node)
    ]
    dims, periods = [], {}
    for axis in axes:
        n, base, size = shape[axis], g.rng.choice((1, 2, 3)), g.rng.choice((2, 2, 3, 4))
        stride, dilation = g.rng.choice((1, 1, 1, 2)), g.rng.choice((1, 1, 2))
        reach = dilation * (size - 1)
        low, high = reach + g.wrong(), max(reach, base) + g.wrong()
        cells = (n - 1) * base + 1 + low + high
        shape[axis] = (cells - 1 - reach) // stride + 1
        periods[axis] = n * base
        dims.append(Dim(axis, axis, size, stride, low, high, base, dilation))
    kept = tuple((a, a) for a in range(len(shape)) if a not in axes)
    linear = g.rng.random() < 0.9
    node = g.add(Window(tuple(dims), kept, symmetric=False, linear=linear), [node], shape)
    for axis in reversed(axes):
        n, period = g.shape(node)[axis], max(periods[axis] + g.wrong(0.1), 1)
        missing = -n % period
        low = g.rng.choice((0, 0, missing, missing // 2))
        if missing:
            node = _padded(g, node, axis, low, missing - low, 0, zero=g.rng.random() < 0.9)
        shape = g.shape(node)
        node = g.reshaped(node, [*shape[:axis], shape[axis] // period, period, *shape[axis + 1 :]])
    offset = len(axes) - 1
    for axis in reversed(axes):
        mixed = axis + offset + (1 if g.rng.random() < 0.1 else 0)
        node = g.mixed([node], [mixed], symmetric=True, sum=g.rng.random() < 0.9)
        offset -= 1
    return node


def _padded(g: Grower, node: int, axis: int, low: int, high: int, inner: int, *, zero: bool) -> int:
    shape = list(g.shape(node))
    shape[axis] = (shape[axis] - 1) * (inner + 1) + 1 + low + high
    return g.add(Pad(axis, low, high, inner, zero), [node, g.weight(())], shape)


def _pad(g: Grower, node: int) -> int:
    inner = g.rng.choice((0, 0, 1, 1, 2))
    low = g.rng.choice((0, 0, -1, 1, inner))
    high = g.rng.choice((inner - low, inner - low, inner, 0, -1, 1))
    return _padded(g, node, g.axis(node), low, high, inner, zero=g.rng.random() < 0.5)


def _split_axis(g: Grower, node: int) -> int:
    axis = g.axis(node)
    shape = list(g.shape(node))
    block = g.rng.choice([d for d in range(1, shape[axis] + 1) if shape[axis] % d == 0])
    return g.reshaped(node, [*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :]])


def _merge_axes(g: Grower, node: int) -> int:
    shape = list(g.shape(node))
    axis = g.rng.randrange(len(shape) - 1)
    return g.reshaped(node, [*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]])


def _any_shape(g: Grower, node: int) -> int:
    left, shape = math.prod(g.shape(node)), []
    while left > 1 and len(shape) < 4:
        shape.append(g.rng.choice([d for d in range(1, left + 1) if left % d == 0]))
        left //= shape[-1]
    return g.reshaped(node, [*shape, left])


def _transpose(g: Grower, node: int) -> int:
    shape = g.shape(node)
    order = list(range(len(shape)))
    g.rng.shuffle(order)
    return g.add(Transpose(tuple(order)), [node], [shape[a] for a in order])


def _patches(g: Grower, node: int) -> int:
    """Blocks of an axis become a minor axis, and perhaps return there in another order."""
    axis = g.axis(node)
    shape = list(g.shape(node))
    block = g.rng.choice([d for d in range(1, shape[axis] + 1) if shape[axis] % d == 0])
    made = g.reshaped(node, [*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :]])
    rank = len(shape) + 1
    order = [a for a in range(rank) if a != axis + 1]
    order.insert(g.rng.randrange(rank), axis + 1)
    made = g.add(Transpose(tuple(order)), [made], [g.shape(made)[a] for a in order])
    return _merge_axes(g, made) if g.rng.random() < 0.5 else made


def _slice(g: Grower, node: int) -> int:
    axis = g.axis(node)
    n = g.shape(node)[axis]
    step = g.rng.choice((1, 1, 2, 2, 3, -1, n, 0))
    start = g.rng.choice((0, 0, n - 1 if step < 0 else g.rng.randrange(n)))
    room = (n - 1 - start) // step if step > 0 else start if step < 0 else 3
    count = room + 1 if g.rng.random() < 0.7 else g.rng.randrange(room + 1) + 1
    return g.part(node, axis, start, count, step)


def _pick(g: Grower, node: int) -> int:
    """Positions in a pattern, or at random."""
    axis = g.axis(node)
    shape = list(g.shape(node))
    n = shape[axis]
    kind = g.rng.randrange(4)
    repeat, stride = g.rng.choice((1, 2, 3)), g.rng.choice((1, 2, 3))
    if kind == 0:
        index = [i for i in range(0, n, stride) for _ in range(repeat)]
    elif kind == 1:
        first = g.rng.sample(range(n), min(n, repeat))
        index = [(i + a) % n for i in range(0, n, stride) for a in first]
    elif kind == 2:
        index = [(i + g.rng.randrange(n)) % n for i in range(n)]
    else:
        index = [(i * stride + repeat) % n for i in range(g.rng.randrange(1, 2 * n + 1))]
    if g.rng.random() < 0.1:
        index[g.rng.randrange(len(index))] = g.rng.randrange(n)
    shape[axis] = len(index)
    return g.add(Take(axis, tuple(index)), [node], shape)


def _broadcast(g: Grower, node: int) -> int:
    shape = list(g.shape(node))
    axis = g.rng.randrange(len(shape) + 1)
    axes = [a for a in range(len(shape) + 1) if a != axis]
    shape.insert(axis, g.rng.choice((1, 2, 3)))
    return g.add(Broadcast(tuple(axes)), [node], shape)


def _tile(g: Grower, node: int) -> int:
    axis, copies = g.axis(node), g.rng.choice((2, 3))
    shape = list(g.shape(node))
    axes = tuple(a for a in range(len(shape) + 1) if a != axis)
    made = g.add(Broadcast(axes), [node], [*shape[:axis], copies, *shape[axis:]])
    shape[axis] *= copies
    return g.reshaped(made, shape)


def _reduce(g: Grower, node: int) -> int:
    shape = g.shape(node)
    axes = g.some(range(len(shape)), 0.4) or [g.axis(node)]
    total = g.rng.random() < 0.4
    return g.mixed([node], axes, symmetric=total or g.rng.random() < 0.7, sum=total)


def _along(g: Grower, node: int) -> int:
    """Sorting, running sums: an axis is mixed and made again."""
    axis = g.axis(node)
    nodes = [node] if g.rng.random() < 0.6 else [node, g.rng.choice(g.alike(g.shape(node)))]
    n = g.shape(node)[axis] if g.rng.random() < 0.7 else 2
    return g.mixed(nodes, [axis], [n], symmetric=g.rng.random() < 0.7, sum=False)


def _repaired(g: Grower, node: int) -> int:
    """A normalisation: a reduction over some axes is put back beside them."""
    shape = g.shape(node)
    axes = g.some(range(len(shape)), 0.5) or [g.axis(node)]
    total = g.rng.random() < 0.5
    found = g.mixed([node], axes, symmetric=True, sum=total)
    rest = tuple(a for a in range(len(shape)) if a not in axes)
    wide = g.add(Broadcast(rest), [found], shape)
    return g.add(Map(), [node, wide], shape)


def _attention(g: Grower, node: int) -> int:
    """Scores of all pairs along an axis, a function of them over one of its sides, and a sum of what they weigh."""
    axis = g.axis(node)
    shape = list(g.shape(node))
    n, rank = shape[axis], len(shape)
    other = g.rng.choice(g.alike(shape))
    rest = [a for a in range(rank) if a != axis]
    wide = [n, n, *(shape[a] for a in rest)]
    moved = [g.add(Transpose((axis, *rest)), [v], [n, *wide[2:]]) for v in (node, other)]
    tail = tuple(range(2, rank + 1))
    left = g.add(Broadcast((0, *tail)), [moved[0]], wide)
    right = g.add(Broadcast((1, *tail)), [moved[1]], wide)
    scores = g.add(Map(), [left, right], wide)
    if rest and g.rng.random() < 0.5:
        scores = g.mixed([scores], [2], symmetric=False, sum=False)
        wide = wide[:2] + wide[3:]
    if g.rng.random() < 0.4:  # softmax
        norm = g.mixed([scores], [1], symmetric=True, sum=True)
        axes = (0, *range(2, len(wide)))
        scores = g.add(Map(), [scores, g.add(Broadcast(axes), [norm], wide)], wide)
    if len(wide) == len(shape) + 1:
        scores = g.add(Map(), [scores, right], wide)
    return g.mixed([scores], [g.rng.choice((1, 1, 0))], symmetric=True, sum=g.rng.random() < 0.7)


def _spectral_layer(g: Grower, node: int) -> int:
    """A transform along some axes, the lowest modes of the spectrum, a mixture of channels, and the way back."""
    axes = g.some(range(len(g.shape(node))), 0.5)[:2] or [g.axis(node)]
    sizes = {axis: g.shape(node)[axis] for axis in axes}
    if any(ORDER % n for n in sizes.values()):
        raise ValueError("no roots")
    half = g.rng.random() < 0.5
    node = _transform(g, node, axes[0], sizes[axes[0]] // 2 + 1 if half else 0)
    for axis in axes[1:]:
        node = _transform(g, node, axis)
    for axis in axes:
        node = _truncated(g, node, axis, ends=axis != axes[0] or not half)
    shape = [n if a in axes or g.rng.random() < 0.5 else 1 for a, n in enumerate(g.shape(node))]
    conjugated = g.some((0, 1), 0.1)
    node = g.add(Multiply(tuple(conjugated)), [node, g.weight(shape)], g.shape(node))
    if g.rng.random() < 0.5:
        node = _combined(g, node)
    for axis in axes[1:]:
        node = _transform(g, node, axis, inverse=g.rng.random() < 0.9)
    n = sizes[axes[0]] + (g.wrong(0.1) if half else 0)
    return _transform(g, node, axes[0], n if half else 0, inverse=True)


def _transform(g: Grower, node: int, axis: int, made: int = 0, *, inverse: bool = False) -> int:
    """A transform along an axis; half of one where it says how many cells that makes."""
    shape = list(g.shape(node))
    full = shape[axis] if not inverse else made or shape[axis]
    many = shape[axis] if inverse else made or full
    if ORDER % full or many != (full // 2 + 1 if made else full):
        raise ValueError("no roots, or another half")
    shape[axis] = made or shape[axis]
    return g.add(Fourier(axis, inverse, half=made > 0), [node], shape)


def _truncated(g: Grower, node: int, axis: int, *, ends: bool) -> int:
    """The low frequencies of a spectrum, zeros for the others: by padding, and of both ends side by side."""
    n = g.shape(node)[axis]
    modes = g.rng.randrange(1, n + 1)
    low = g.part(node, axis, 0, modes)
    if not ends or 2 * modes > n:
        return _padded(g, low, axis, 0, n - modes + g.wrong(0.1), 0, zero=g.rng.random() < 0.9)
    low = _padded(g, low, axis, 0, n - 2 * modes, 0, zero=True)
    return g.joined([low, g.part(node, axis, n - modes + g.wrong(0.1), modes)], axis)


def _power(g: Grower, node: int) -> int:
    """A spectrum times the conjugate of one: a correlation, or its power."""
    axis = g.axis(node)
    node = _transform(g, node, axis, inverse=g.rng.random() < 0.2)
    other = node if g.rng.random() < 0.5 else g.rng.choice(g.alike(g.shape(node)))
    conjugated = g.rng.choice(((1,), (0,), ()))
    made = g.add(Multiply(conjugated), [node, other], g.shape(node))
    return _transform(g, made, axis, inverse=True) if g.rng.random() < 0.5 else made


def _combined(g: Grower, node: int) -> int:
    other = g.rng.choice(g.alike(g.shape(node)))
    return g.add(Combine(), [node, other], g.shape(node))


def _multiplied(g: Grower, node: int) -> int:
    other = g.rng.choice(g.alike(g.shape(node)))
    conjugated = tuple(g.some((0, 1), 0.3))
    return g.add(Multiply(conjugated), [node, other], g.shape(node))


def _any_transform(g: Grower, node: int) -> int:
    axis = g.axis(node)
    n, inverse = g.shape(node)[axis], g.rng.random() < 0.5
    made = 0 if g.rng.random() < 0.5 else 2 * n - g.rng.choice((1, 2)) if inverse else n // 2 + 1
    return _transform(g, node, axis, made, inverse=inverse)


def _tokens(g: Grower, node: int) -> int:
    """Cells that stay beside an axis, mostly a function of all of them, and perhaps one part or some cells again."""
    if g.rng.random() < 0.4 and len(g.shape(node)) > 1:
        node = _merge_axes(g, node)
    axis = g.axis(node)
    shape = list(g.shape(node))
    n = shape[axis]
    shape[axis] = count = g.rng.choice((1, 1, 2, n))
    beside = g.weight(shape) if g.rng.random() < 0.8 else g.rng.choice(g.alike(shape))
    before = g.rng.random() < 0.7
    made = g.joined([beside, node] if before else [node, beside], axis)
    kind = g.rng.randrange(4)
    if kind == 0:
        made = _attention(g, made)
        axis = next((a for a, m in enumerate(g.shape(made)) if m == n + count), None)
        if axis is None:
            return made
    elif kind == 1:
        made = _repaired(g, made)
    elif kind == 2:
        made = _with_weight(g, made)
    start = g.rng.choice((0, count if before else 0, n - 1, g.rng.randrange(n + count)))
    room = n + count - start
    return g.part(made, axis, start, g.rng.choice((count, n, room, min(1, room))))


def _flatten(g: Grower, node: int) -> int:
    """A function of everything, or alike at the positions of some axes."""
    shape = g.shape(node)
    kept = g.some(range(len(shape)), 0.6)
    outs = [shape[a] for a in kept] + [2] * g.rng.randrange(2)
    inputs = [node, g.weight((2,))] if g.rng.random() < 0.3 else [node]
    if g.rng.random() < 0.15:
        inputs.append(g.operand())
    return g.add(Whole(tuple((a, i) for i, a in enumerate(kept))), inputs, outs)


def _select(g: Grower, node: int) -> int:
    """One component along the axes that move, or some others; and mostly what makes something of it that stays."""
    shape, fact = g.shape(node), g.facts[node]
    facts = fact.along if isinstance(fact, Wandering) else [fact] if fact else []
    moving = [a for a in range(len(shape)) if any(not all(map(_stays, f.axes[a])) for f in facts)]
    axes = moving if moving and g.rng.random() < 0.85 else g.some(range(len(shape)), 0.6)
    g.rng.shuffle(axes)
    strides = [g.rng.choice([s for s in range(1, shape[a] + 1) if shape[a] % s == 0]) for a in axes]
    sizes = list(shape)
    for axis, stride in zip(axes, strides, strict=True):
        sizes[axis] //= stride
    inputs = [node]
    if g.rng.random() < 0.2:
        inputs.append(g.weight((2,)) if g.rng.random() < 0.5 else g.operand())
    picked = g.add(Select(tuple(axes), tuple(strides)), inputs, sizes)
    if g.rng.random() < 0.6:
        made = g.rng.choice((_function, _convolution, _roll, _with_table, _reduce, _repaired))(
            g, picked
        )
        if g.facts[made] is not None and g.rng.random() < 0.5:
            return g.mixed([made], range(len(g.shape(made))), symmetric=True, sum=True)
        return made
    return picked


def _stays(factor: Any) -> bool:
    return isinstance(factor, Still)


def _circulant(g: Grower, node: int) -> int:
    """An axis times a matrix that a joint roll of its axes leaves unchanged."""
    axis = g.axis(node)
    shape = list(g.shape(node))
    n = shape[axis]
    down = g.rng.choice([s for s in range(1, n + 1) if n % s == 0])
    across = g.rng.randrange(n)
    generator = np.random.default_rng(g.rng.getrandbits(32))
    block = generator.integers(0, 2**64, (n, n), np.uint64, endpoint=False)
    matrix = np.zeros((n, n), np.uint64)
    for k in range(n):
        matrix += np.roll(block, (k * down, k * across), (0, 1))
    number = g.add(Constant((n, n), ((down % n, across),)), (), (n, n))
    g.constants[number] = matrix
    g.rolls[number] = (down % n, across)
    rest = [a for a in range(len(shape)) if a != axis]
    wide = [n, n, *(shape[a] for a in rest)]
    moved = g.add(Transpose((axis, *rest)), [node], [n, *wide[2:]])
    left = g.add(Broadcast((0, *range(2, len(wide)))), [moved], wide)
    right = g.add(Broadcast((0, 1)), [number], wide)
    products = g.add(Map(), [left, right], wide)
    g.mixed([products], [0], symmetric=True, sum=True)
    return node  # seen as moving only with a choice, so nothing is asked here


def _body(
    g: Grower,
    facts: Sequence[Fact | Wandering | None],
    shapes: Sequence[Sequence[int]],
    wanted: Sequence[Sequence[int]],
) -> tuple[Any, ...]:
    """A small program over inputs of the shapes given, with outputs of the shapes wanted."""
    if not all(isinstance(fact, Fact) for fact in facts) or g.depth == 3:
        raise ValueError("lost, or deep")
    inner = Grower(g.rng, (), given=list(facts), depth=g.depth + 1)  # type: ignore[arg-type]
    for shape in shapes:
        inner.add(Input(()), (), shape)
    inner.grow(len(shapes) + g.rng.randrange(1, 6))
    outputs = []
    for shape in wanted:
        fitting = inner.alike(shape)
        outputs.append(fitting[-1] if fitting and g.rng.random() < 0.8 else g.rng.choice(fitting))
    program = Program(tuple(inner.nodes), tuple(outputs))
    return program, inner.constants, inner.bodies


def _loop(g: Grower, node: int) -> int:
    constants = [g.rng.choice(g.alike(g.shape(node)))] if g.rng.random() < 0.6 else []
    carries = [node]
    if g.rng.random() < 0.4:
        carries.append(g.rng.choice(g.alike(g.shape(node))))
    if g.rng.random() < 0.4:  # what starts flat is filled by the body
        carries.insert(g.rng.randrange(2), g.constant(g.shape(node), [1] * len(g.shape(node))))
    sliced = [v for v in [g.operand()] if g.shape(v) and g.rng.random() < 0.4]
    operands = [*constants, *carries, *sliced]
    shapes = [g.shape(v) for v in operands[: len(constants) + len(carries)]]
    shapes += [g.shape(v)[1:] for v in sliced]
    facts: list[Fact | Wandering | None] = [g.facts[v] for v in operands]
    for i, _ in enumerate(sliced, len(operands) - len(sliced)):
        fact = facts[i]
        facts[i] = Fact(fact.axes[1:], ("slice", i)) if isinstance(fact, Fact) else None
    state = [g.shape(v) for v in carries]
    test, test_constants, inside_test = None, {}, {}
    stacked = [] if g.rng.random() < 0.5 else [g.rng.choice(shapes)]
    if not sliced and not stacked and g.rng.random() < 0.5:
        inputs = len(operands)
        test, test_constants, inside_test = _body(
            g, facts[:inputs], shapes[:inputs], [g.rng.choice(state)]
        )
        if g.rng.random() < 0.8:
            last = len(test.nodes)
            rank = len(test.nodes[test.outputs[0]].shape)
            total = Mix(tuple(range(rank)), (), symmetric=True, sum=True)
            made = Node(total, test.outputs, ())
            test = Program((*test.nodes, made), (last,))
    body, body_constants, inside = _body(g, facts, shapes, [*state, *stacked])
    result = g.rng.randrange(len(state) + len(stacked))
    shape = body.nodes[body.outputs[result]].shape
    if result >= len(state):
        shape = (g.shape(sliced[0])[0] if sliced else 2, *shape)
    made = g.add(Loop(body, test, len(constants), len(carries), result), operands, shape)
    g.bodies[made] = {
        "body": body_constants, "inside body": inside, "test": test_constants, "inside test": inside_test,
    }  # fmt: skip
    return made


def _branch(g: Grower, node: int) -> int:
    operands = [node] + ([g.rng.choice(g.alike(g.shape(node)))] if g.rng.random() < 0.5 else [])
    choice = g.rng.choice([g.weight(()), g.operand()])
    if g.facts[choice] is not None and g.shape(choice) and g.rng.random() < 0.6:
        choice = g.mixed([choice], range(len(g.shape(choice))), symmetric=True, sum=True)
    shapes = [g.shape(v) for v in operands]
    bodies, inside = [], {}
    for i in range(2):
        body, constants, deeper = _body(g, [g.facts[v] for v in operands], shapes, [g.shape(node)])
        bodies.append(body)
        inside |= {f"body {i}": constants, f"inside {i}": deeper}
    made = g.add(Branch(tuple(bodies), 0), [choice, *operands], g.shape(node))
    g.bodies[made] = inside
    return made


PIECES = (
    *(_function, _function, _with_weight, _with_table, _size_one),
    *(_roll, _wrap, _join, _patchwork, _channels),
    *(_convolution, _convolution, _convolution, _pool, _pool, _whole_period, _fold, _fold),
    *(_pad, _pad, _split_axis, _split_axis, _merge_axes, _merge_axes, _any_shape),
    *(_transpose, _patches, _patches, _slice, _slice, _pick, _pick, _broadcast, _tile),
    *(_reduce, _reduce, _along, _repaired, _attention, _flatten, _circulant, _loop, _branch),
    *(
        _select,
        _select,
        _tokens,
        _tokens,
        _join,
        _spectral_layer,
        _spectral_layer,
        _power,
        _combined,
        _multiplied,
        _any_transform,
    ),
)
