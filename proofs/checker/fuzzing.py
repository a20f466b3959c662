"""Random programs with claims about them, true and false by the kernel, for a comparison of two checkers.

A program is a chain of operations on an image, each with random numbers; the shape of each result is what the kernel's
formulas say. The kernel derives facts of all nodes. A claim that follows from them is true, and another one is false.
"""

import dataclasses
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proofs.checker import terms
from shiftproof_kernel import (
    Lost,
    Moving,
    Node,
    Program,
    Refusal,
    Still,
    arithmetic,
    decode_program,
    derive,
    equivariant,
    invariant,
    make_certificate,
)
from shiftproof_kernel import program as ops
from shiftproof_kernel.certificate import SCHEMA, Question
from shiftproof_kernel.derivation import interior
from shiftproof_kernel.facts import Factors, merged
from shiftproof_kernel.program import fields, plain

SIZES = (2, 3, 4, 6, 8)
"""Of the axes of a torus."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A certificate, as far as the checker reads it, and whether the kernel proves it."""

    data: Any
    true: bool


def kernel_proves(data: Mapping[str, Any]) -> bool:
    """Whether the statement of a certificate follows from what the kernel derives, whatever facts are listed there,
    with the rolls that are chosen or without.
    """
    entries = data["generators"]
    without = {**data, "generators": [{**entry, "choices": []} for entry in entries]}
    return _proves(data) or (any(entry["choices"] for entry in entries) and _proves(without))


def _proves(data: Mapping[str, Any]) -> bool:
    """The same with the rolls that are chosen."""
    try:
        program = decode_program(data["program"])
        question = Question(**{name: data["statement"][name] for name in fields(Question)})
        shifts = [(tuple(entry["shift"]), _choices(entry)) for entry in data["generators"]]
        made = make_certificate(program, dataclasses.asdict(question), shifts, "")
        if question.boundary == "scene":
            return _lies_within(data, made)
        return all(_moves(program, question, entry) for entry in data["generators"])
    except Refusal:
        return False


def _lies_within(data: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether the box of a certificate lies in the interior that follows, and what moves in it does so as it says."""
    inner, outer = data["statement"]["interior"], made["statement"]["interior"]
    moves = [entry["output_shift"] for entry in data["generators"]]
    output, axes = made["program"]["outputs"][0], made["statement"]["axes"]
    return (
        len(inner) == len(outer)
        and all(a <= low < high <= b for (low, high), (a, b) in zip(inner, outer, strict=True))
        and all(
            step == moved or _moves_along(terms.rows(entry)[output][axis], step)
            for shift, entry in zip(moves, made["generators"], strict=True)
            for axis, step, moved in zip(axes, shift, entry["output_shift"], strict=True)
        )
        and all(
            sum(shift[k] != 0 for shift in moves) <= 1
            and sum(abs(shift[k]) for shift in moves) < high - low
            for k, (low, high) in enumerate(inner)
        )
    )


def _choices(entry: Mapping[str, Any]) -> dict[int, tuple[int, ...]]:
    """The rolls that a generator chooses."""
    return {number: tuple(roll) for number, *roll in entry["choices"]}


def _moves(program: Program, question: Question, entry: Mapping[str, Any]) -> bool:
    """Whether the output moves as a generator says: what repeats moves by every multiple of its period."""
    if question.property == "invariance":
        return entry["output_shift"] is None
    derived = derive(program, tuple(entry["shift"]), choices=_choices(entry))
    theorem = derived[program.outputs[0]]
    if isinstance(theorem, Lost) or len(entry["output_shift"]) != len(question.axes):
        return False
    pairs = zip(question.axes, entry["output_shift"], strict=True)
    return all(_moves_along(theorem.fact.axes[axis], moved) for axis, moved in pairs)


def _moves_along(factors: Factors, moved: int) -> bool:
    match merged(factors):
        case Still(n, period):
            return moved % n == 0 or (n % period == 0 and moved % period == 0)
        case Moving(n, period, _, step):
            return n % period == 0 and (moved - step) % period == 0
    return False


def claims(seed: int, *, first: str = "") -> Iterator[Claim]:
    """What follows of a random program under a random shift; the same with other shifts; and another property.

    Args:
        seed: of the choices.
        first: what the program begins with: `fold`, a transposed convolution; `tokens`, arrays side by side;
            `pick`, positions from a list; `mask`, a constant that rolls leave as it is; or `spectrum`, a Fourier
            transform.
    """
    chance = random.Random(seed)
    builder = Builder(chance)
    try:
        if first:
            getattr(builder, first)()
        for _ in range(chance.randint(0 if first else 1, 3 if first else 7)):
            builder.grow()
        if chance.random() < 0.4:
            builder.mix(list(range(len(builder.shape))))
        program = Program(tuple(builder.nodes), (len(builder.nodes) - 1,))
    except Refusal:
        return
    grid = builder.grid
    shift = tuple(chance.choice([0, 1, 2, 3, n // 2]) % n for n in grid)
    choices = _rolls(chance, program, shift)
    try:
        outcomes = derive(program, shift, choices=choices)
    except Refusal:
        return
    last = outcomes[-1]
    rank = len(builder.shape)

    def claim(axes: tuple[int, ...], moved: Any) -> Claim:
        return _claim(program, grid, axes, [_entry(shift, moved, outcomes, choices)])

    yield claim((), None)
    if rank and not isinstance(last, Lost):
        axes = tuple(range(rank))
        moved = equivariant(last, axes)
        right = [0] * rank if moved is None else list(moved)
        yield claim(axes, right)
        wrong = [
            (r + chance.randint(1, max(1, n - 1))) % n
            for r, n in zip(right, builder.shape, strict=True)
        ]
        if not invariant(last) and wrong != right:
            yield claim(axes, wrong)


def scene_claims(seed: int) -> Iterator[Claim]:
    """What follows of a random program of cells of a scene; the same of a smaller box, of a larger one, and with other
    shifts.
    """
    chance = random.Random(seed)
    builder = Builder(chance, sizes=(6, 8, 9, 12))
    try:
        for _ in range(chance.randint(1, 5)):
            builder.grow()
        program = Program(tuple(builder.nodes), (len(builder.nodes) - 1,))
    except Refusal:
        return
    grid, shape = builder.grid, builder.shape
    moved_axes = chance.sample(range(len(grid)), chance.randint(1, len(grid)))
    shifts = [
        tuple(step if k == axis else 0 for k in range(len(grid)))
        for axis in moved_axes
        for step in [chance.choice([1, 1, 2, 2, 3, 4, 6])]
    ]
    derived = [derive(program, shift, boundary="scene") for shift in shifts]
    axes = tuple(range(len(shape)))
    found = [None if isinstance(one[-1], Lost) else interior(one[-1], axes) for one in derived]
    if not shape or None in found:
        return
    moves = [[step for step, _, _ in box] for box in found]
    box = [
        [max(a for _, a, _ in one), min(b for _, _, b in one)] for one in zip(*found, strict=True)
    ]

    def claim(moves: Any, box: Any) -> Claim:
        entries = [_entry(*one, {}) for one in zip(shifts, moves, derived, strict=True)]
        return _claim(program, grid, axes, entries, box)

    yield claim(moves, box)
    axis = chance.choice(axes)
    low, high = box[axis]
    for another in ([low + 1, high], [low, high - 1], [low - 1, high], [low, high + 1]):
        yield claim(moves, [*box[:axis], another, *box[axis + 1 :]])
    wrong = [list(one) for one in moves]
    wrong[0][axis] += chance.choice([1, -1])
    yield claim(wrong, box)


def _rolls(
    chance: random.Random, program: Program, shift: Sequence[int]
) -> dict[int, tuple[int, ...]]:
    """For each constant with rolls a multiple of one of them, perhaps that by which an image is shifted."""
    found = {}
    for number, node in enumerate(program.nodes):
        if isinstance(node.op, ops.Constant) and node.op.rolls:
            roll, k = chance.choice(node.op.rolls), chance.choice([0, 1, 2, max(shift)])
            found[number] = tuple(k * r % n for r, n in zip(roll, node.shape, strict=True))
    return found


def _entry(
    shift: tuple[int, ...], moved: Any, outcomes: Sequence[Any], choices: Mapping[int, Any]
) -> dict[str, Any]:
    """One generator, with what is derived of all nodes."""
    facts = [None if isinstance(one, Lost) else plain(one.fact.axes) for one in outcomes]
    rows = [[number, *roll] for number, roll in choices.items()]
    return {"shift": list(shift), "output_shift": moved, "choices": rows, "facts": facts}


def _claim(
    program: Program, grid: Any, axes: tuple[int, ...], entries: list[Any], box: Any = None
) -> Claim:
    """A certificate, as far as it is read; with a box it is one of a scene."""
    data = {
        "schema": SCHEMA,
        "statement": {
            "property": "equivariance" if axes else "invariance",
            "output": "output",
            "grid": list(grid),
            "axes": list(axes),
            "law": "any",
            "boundary": "torus" if box is None else "scene",
            "interior": box,
        },
        "program": program.to_json(),
        "generators": entries,
    }
    return Claim(data, _proves(data))


class Builder:
    """A chain of nodes: each operation is applied to the last one."""

    def __init__(self, chance: random.Random, sizes: Sequence[int] = SIZES) -> None:
        self.chance, self.scene = chance, sizes != SIZES
        channels = chance.choice([1, 2])
        self.grid = tuple(chance.choice(sizes) for _ in range(chance.choice([1, 1, 2])))
        shape = (*self.grid, channels)
        self.nodes = [Node(ops.Input(tuple(range(len(self.grid)))), (), shape)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the last node."""
        return self.nodes[-1].shape

    def add(self, op: ops.Operation, shape: Any, *inputs: int) -> int:
        """Another node, on the last one if nothing else is said."""
        before = inputs or (len(self.nodes) - 1,)
        given = isinstance(op, ops.Given)
        self.nodes.append(Node(op, () if given else before, tuple(shape)))
        return len(self.nodes) - 1

    def grow(self) -> None:
        """One more operation."""
        kinds = [
            self.window,
            self.window,
            self.wrap,
            self.wrap,
            self.take,
            self.pick,
            self.pad,
            self.add_table,
            self.reshape,
            self.transpose,
            self.broadcast,
            self.join,
            self.rotate,
            self.plane,
            self.whole,
            self.pair,
            self.fold,
            self.spectrum,
            self.tokens,
            lambda: self.mix([self.axis()]),
        ]
        if self.shape:
            self.chance.choice(kinds)()
            if math.prod(self.shape) > 200:
                self.mix([self.axis()])

    def axis(self) -> int:
        """One of the axes."""
        return self.chance.randrange(len(self.shape))

    def along(self, axis: int, n: int) -> tuple[int, ...]:
        """The shape with another length of an axis."""
        return (*self.shape[:axis], n, *self.shape[axis + 1 :])

    def window(self) -> None:
        """A window along one axis, with a kernel."""
        chance, axis = self.chance, self.axis()
        n = self.shape[axis]
        base, dilation = chance.choice([1, 1, 1, 2]), chance.choice([1, 1, 2])
        low, high = (chance.choice([0, 0, base - 1, 1, -1]) for _ in range(2))
        dim = ops.Dim(
            axis,
            axis,
            chance.choice([1, 2, 3, n]),
            chance.choice([1, 1, 2, 3]),
            low,
            high,
            base,
            dilation,
        )
        cells = arithmetic.stretched_size(n, low, high, base)
        count = arithmetic.places(cells, arithmetic.reach(dim.size, dilation), dim.stride)
        kept = tuple((a, a) for a in range(len(self.shape)) if a != axis)
        if count > 0:
            symmetric = chance.random() < 0.3
            self.add(ops.Window((dim,), kept, symmetric, linear=False), self.along(axis, count))

    def wrap(self) -> None:
        """Wrap padding along one axis, of a random width."""
        axis, last = self.axis(), len(self.nodes) - 1
        n = self.shape[axis]
        width, start = self.chance.randint(1, n), self.chance.choice([0, 0, n])
        if start:
            head = self.add(ops.Take(axis, ops.Span(n - width, 1)), self.along(axis, width), last)
            self.add(ops.Concat(axis), self.along_of(last, axis, n + width), head, last)
        else:
            tail = self.add(ops.Take(axis, ops.Span(0, 1)), self.along(axis, width), last)
            self.add(ops.Concat(axis), self.along_of(last, axis, n + width), last, tail)

    def along_of(self, node: int, axis: int, n: int) -> tuple[int, ...]:
        """The shape of a node with another length of an axis."""
        shape = self.nodes[node].shape
        return (*shape[:axis], n, *shape[axis + 1 :])

    def take(self) -> None:
        """A strided slice, forwards or backwards."""
        axis = self.axis()
        n, step = self.shape[axis], self.chance.choice([1, 2, 3, -1])
        start = self.chance.randrange(n)
        most = (n - 1 - start) // step + 1 if step > 0 else start // -step + 1
        count = self.chance.choice([most, self.chance.randint(1, most)])
        self.add(ops.Take(axis, ops.Span(start, step)), self.along(axis, count))

    def pick(self) -> None:
        """Positions from a list: blocks at a stride, mostly."""
        chance, axis = self.chance, self.axis()
        n, width, step = (
            self.shape[axis],
            chance.choice([1, 2, 2, 3]),
            chance.choice([1, 2, 3, -1, -2]),
        )
        block = [chance.randrange(n) for _ in range(width)]
        if chance.random() < 0.3:
            block = block[:1] * width
        count = chance.choice([n, max(1, n // abs(step)), chance.randint(1, n)])
        index = [v + step * k for k in range(count) for v in block]
        if chance.random() < 0.8:
            index = [v % n for v in index]
        if chance.random() < 0.1:
            index[chance.randrange(len(index))] = chance.randrange(n)
        if all(0 <= v < n for v in index):
            self.add(ops.Take(axis, tuple(index)), self.along(axis, len(index)))

    def pad(self) -> None:
        """Padding between cells, around them, or less than nothing."""
        axis, last = self.axis(), len(self.nodes) - 1
        inner = self.chance.choice([0, 1, 1])
        low, high = (self.chance.choice([0, 0, inner, -1]) for _ in range(2))
        n = arithmetic.stretched_size(self.shape[axis], low, high, inner + 1)
        if n > 0:
            shape = self.along(axis, n)
            value = self.add(ops.Weight(), ())
            self.add(ops.Pad(axis, low, high, inner, zero=False), shape, last, value)

    def add_table(self) -> None:
        """A function of the last node and of a constant, or weight, of its shape, or with axes of length 1."""
        last, chance = len(self.nodes) - 1, self.chance
        shape = tuple(chance.choice([n, n, 1]) for n in self.shape)
        periods = tuple(chance.choice([1, n, max(1, n // 2), 2]) for n in shape)
        op = chance.choice([ops.Weight(), ops.Constant(periods, self.rolls(shape))])
        result = self.shape
        self.add(ops.Map(), result, last, self.add(op, shape))

    def mask(self) -> None:
        """A function of the last node and of a constant of its shape that rolls leave as it is."""
        shape, last = self.shape, len(self.nodes) - 1
        periods = tuple(self.chance.choice([n, n, 1]) for n in shape)
        steps = tuple(1 if k < len(self.grid) else 0 for k in range(len(shape)))
        rolls = tuple(self.chance.sample([steps, tuple(2 * s for s in steps)], 2))
        table = self.add(ops.Constant(periods, rolls), shape)
        self.add(ops.Map(), shape, last, table)

    def rolls(self, shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Rolls that are said to leave a constant as it is, now and then; mostly by one along its axes."""
        if self.scene or self.chance.random() < 0.5:
            return ()
        steps = ([1, 0] if len(self.grid) > k else [0, 0, 1] for k in range(len(shape)))
        return (tuple(self.chance.choice(some) % n for some, n in zip(steps, shape, strict=True)),)

    def reshape(self) -> None:
        """Two axes become one, or one becomes two."""
        shape, axis = self.shape, self.axis()
        n = shape[axis]
        divisors = [d for d in range(2, n) if n % d == 0]
        if divisors and self.chance.random() < 0.6:
            d = self.chance.choice(divisors)
            self.add(ops.Reshape(), (*shape[:axis], n // d, d, *shape[axis + 1 :]))
        elif axis + 1 < len(shape):
            self.add(ops.Reshape(), (*shape[:axis], n * shape[axis + 1], *shape[axis + 2 :]))

    def transpose(self) -> None:
        """Axes in another order."""
        order = tuple(self.chance.sample(range(len(self.shape)), len(self.shape)))
        self.add(ops.Transpose(order), [self.shape[a] for a in order])

    def broadcast(self) -> None:
        """A new axis."""
        place = self.chance.randint(0, len(self.shape))
        axes = tuple(a + (a >= place) for a in range(len(self.shape)))
        shape = (*self.shape[:place], self.chance.choice([1, 2, 3]), *self.shape[place:])
        self.add(ops.Broadcast(axes), shape)

    def join(self) -> None:
        """Two copies, side by side."""
        axis, last = self.axis(), len(self.nodes) - 1
        self.add(ops.Concat(axis), self.along(axis, 2 * self.shape[axis]), last, last)

    def tokens(self) -> None:
        """Arrays side by side, as a class token beside tokens of the image; then a part is taken, or all are mixed."""
        chance, axis, last = self.chance, self.axis(), len(self.nodes) - 1
        shape, n = self.shape, self.shape[axis]
        kinds = chance.choice(["so", "os", "sos", "oso", "oo", "soo", "ss"])
        sizes = [n if kind == "o" else chance.choice([1, 1, 2]) for kind in kinds]
        inputs = [
            last
            if kind == "o"
            else self.add(ops.Weight(), (*shape[:axis], size, *shape[axis + 1 :]))
            for kind, size in zip(kinds, sizes, strict=True)
        ]
        total = sum(sizes)
        self.add(ops.Concat(axis), (*shape[:axis], total, *shape[axis + 1 :]), *inputs)
        for _ in range(2):
            found = self.beside(axis)
            if found is None:
                return
            axis = found
        number = chance.randrange(len(sizes))
        start, count = sum(sizes[:number]), sizes[number]
        match chance.choice(["part", "part", "table", "mix", "twice", "any"]):
            case "part" if self.shape[axis] == total:
                start = max(0, start + self.now_and_then([-1, 1]))
                count = min(count + self.now_and_then([1]), total - start)
                step = chance.choice([1, 1, 1, 2])
                self.add(ops.Take(axis, ops.Span(start, step)), self.along(axis, -(-count // step)))
            case "table":
                self.add_table()
            case "mix":
                self.mix([axis])
            case "twice":
                self.tokens()

    def rotate(self) -> None:
        """The cells of an axis in a cycle, by slices; and a function of these and those."""
        axis, last = self.axis(), len(self.nodes) - 1
        shape, n = self.shape, self.shape[axis]
        if n > 1:
            by = self.chance.randint(1, n - 1)
            tail = self.add(ops.Take(axis, ops.Span(by, 1)), self.along(axis, n - by), last)
            head = self.add(ops.Take(axis, ops.Span(0, 1)), self.along_of(last, axis, by), last)
            turned = self.add(ops.Concat(axis), shape, tail, head)
            self.add(ops.Map(), shape, last, turned)

    def plane(self) -> None:
        """A window along two axes; the others are kept, or mixed."""
        if len(self.shape) < 2:
            return
        chance, shape = self.chance, list(self.shape)
        axes = chance.sample(range(len(shape)), 2)
        dims = []
        for axis in axes:
            size, stride = chance.choice([1, 2, shape[axis]]), chance.choice([1, 2])
            dims.append(ops.Dim(axis, axis, size, stride, 0, 0, 1, 1))
            shape[axis] = arithmetic.places(shape[axis], size - 1, stride)
        others = [axis for axis in range(len(shape)) if axis not in axes]
        if chance.random() < 0.5:
            kept = tuple((axis, axis) for axis in others)
        else:
            kept = ()
            for axis in others:
                shape[axis] = chance.choice([1, 3])
        if min(shape) > 0:
            last, kernel = len(self.nodes) - 1, self.add(ops.Weight(), (2,))
            op = ops.Window(tuple(dims), kept, chance.random() < 0.5, linear=False)
            self.add(op, shape, last, kernel)

    def fold(self) -> None:
        """A transposed convolution around an axis, as programs compute it, other things done in between.

        A weighted sum over windows that run over the ends, zeros up to whole laps, and their sum. Each number may be
        another than it should.
        """
        chance, axis = self.chance, self.chance.randrange(min(len(self.grid), len(self.shape)))
        n, size, base, dilation = self.shape[axis], *(chance.choice([1, 2, 3]) for _ in "sbd")
        reach = arithmetic.reach(size, dilation)
        more = chance.choice([0, 0, 1, max(0, base - reach)])
        low, high = (reach + more + self.now_and_then([-1, 1, 2]) for _ in "lh")
        stride = 1 + self.now_and_then([1])
        dim = ops.Dim(axis, axis, size, stride, low, high, base, dilation)
        count = arithmetic.places(arithmetic.stretched_size(n, low, high, base), reach, stride)
        kept = tuple((a, a) for a in range(len(self.shape)) if a != axis and chance.random() < 0.9)
        linear = chance.random() < 0.9
        if count <= 0:
            return
        self.add(ops.Window((dim,), kept, False, linear), self.along(axis, count))
        axis = self.beside(axis)
        period = n * base + self.now_and_then([-1, 1, base])
        if axis is None or period < 1:
            return
        n = self.shape[axis]
        low = chance.choice([0, 0, period, chance.randrange(period)])
        high = -(n + low) % period + self.now_and_then([-1, period])
        self.zeros(axis, low, high, self.now_and_then([1]))
        axis = self.beside(axis)
        if axis is None or self.shape[axis] % period:
            return
        n = self.shape[axis]
        self.add(ops.Reshape(), (*self.shape[:axis], n // period, period, *self.shape[axis + 1 :]))
        axis = self.beside(axis)
        if axis is not None:
            self.mix([axis + self.now_and_then([1]) * (axis + 1 < len(self.shape))], summed=True)

    def spectrum(self) -> None:
        """The Fourier transform of an axis, something done with its frequencies, and mostly the inverse."""
        chance, axis = self.chance, self.chance.randrange(min(len(self.grid), len(self.shape)))
        n, half = self.shape[axis], chance.random() < 0.5
        inverse = not half and chance.random() < 0.2
        self.fourier(axis, n, inverse=inverse, half=half)
        for _ in range(chance.randint(0, 3)):
            found = self.filter(axis)
            if found is None:
                return
            axis = found
        if chance.random() < 0.85:
            count = self.shape[axis]
            n = chance.choice([n, 2 * count - 2, 2 * count - 1])
            back = not inverse if chance.random() < 0.9 else inverse
            self.fourier(axis, max(1, n), inverse=back, half=half)

    def fourier(self, axis: int, n: int, *, inverse: bool, half: bool) -> None:
        """A transform; half an inverse is one of n cells."""
        count = self.shape[axis]
        made = (n if inverse else count // 2 + 1) if half else count
        self.add(ops.Fourier(axis, inverse, half), self.along(axis, made))

    def filter(self, axis: int) -> int | None:
        """Something done with frequencies along an axis, or along another one; and where the axis is then."""
        chance, last, shape = self.chance, len(self.nodes) - 1, self.shape
        n = shape[axis]
        match chance.choice(
            (
                "weights weights numbers square power modes roll other other again merged stride any"
            ).split()
        ):
            case "weights":
                weights = self.add(ops.Weight(), [chance.choice([m, m, 1]) for m in shape])
                op = chance.choice([ops.Multiply(()), ops.Multiply((1,)), ops.Multiply((0,))])
                self.add(op, shape, last, weights)
            case "numbers":
                other = last if chance.random() < 0.8 else self.add(ops.Weight(), shape)
                self.add(ops.Combine(), shape, last, other)
            case "square":
                self.add(ops.Multiply(()), shape, last, last)
            case "power":
                self.add(ops.Multiply((chance.choice([0, 1]),)), shape, last, last)
            case "modes":
                first = chance.choice([0, 0, chance.randrange(n)])
                count = chance.randint(1, n - first)
                self.add(ops.Take(axis, ops.Span(first, 1)), self.along(axis, count))
                low = first + self.now_and_then([1])
                self.zeros(axis, low, chance.choice([n, n + 1, 2 * n]) - low - count, 0)
            case "roll" if n > 1:
                by = chance.randint(1, n - 1)
                tail = self.add(ops.Take(axis, ops.Span(by, 1)), self.along(axis, n - by), last)
                head = self.add(ops.Take(axis, ops.Span(0, 1)), self.along_of(last, axis, by), last)
                self.add(ops.Concat(axis), shape, *chance.choice([(tail, head), (head, tail)]))
            case "other":
                return self.beside(axis)
            case "again" if len(shape) > 1:
                other = chance.choice([a for a in range(len(shape)) if a != axis])
                half = chance.random() < 0.3
                self.fourier(other, shape[other], inverse=chance.random() < 0.3, half=half)
            case "merged" if axis + 1 < len(shape):
                flat = (*shape[:axis], n * shape[axis + 1], *shape[axis + 2 :])
                self.add(ops.Reshape(), flat)
                if chance.random() < 0.3:
                    return None
                self.add(ops.Reshape(), shape)
            case "stride":
                first, step = chance.choice([(0, 2), (n - 1, -1)])
                count = -(-n // abs(step))
                self.add(ops.Take(axis, ops.Span(first, step)), self.along(axis, count))
            case "any":
                self.add_table()
        return axis

    def now_and_then(self, others: list[int]) -> int:
        """Mostly 0."""
        return self.chance.choice(others) if self.chance.random() < 0.05 else 0

    def beside(self, axis: int) -> int | None:
        """Something done along another axis than this, perhaps; and where this one is then."""
        chance, others = self.chance, [a for a in range(len(self.shape)) if a != axis]
        if not others or chance.random() < 0.5:
            return axis
        other = chance.choice(others)
        n, kind = self.shape[other], chance.choice(["order", "take", "zeros", "sum", "any"])
        if kind == "order":
            order = tuple(chance.sample(range(len(self.shape)), len(self.shape)))
            self.add(ops.Transpose(order), [self.shape[a] for a in order])
            return order.index(axis)
        if kind == "take":
            first, step = chance.choice([(0, 1), (n - 1, -1), (0, 2)])
            self.add(ops.Take(other, ops.Span(first, step)), self.along(other, -(-n // abs(step))))
        elif kind == "zeros":
            self.zeros(
                other, chance.choice([0, 1]), chance.choice([0, 1, -1]), chance.choice([0, 1])
            )
        elif kind == "sum":
            self.mix([other], summed=True)
            return axis - (other < axis)
        elif chance.random() < 0.3:
            before = len(self.shape)
            self.grow()
            return axis if len(self.shape) == before else None
        return axis

    def zeros(self, axis: int, low: int, high: int, inner: int) -> None:
        """Padding by zeros, or now and then by something else."""
        n = arithmetic.stretched_size(self.shape[axis], low, high, inner + 1)
        if n > 0:
            last, zero = len(self.nodes) - 1, self.chance.random() < 0.95
            value = self.add(ops.Constant((), ()), ())
            self.add(
                ops.Pad(axis, low, high, inner, zero), self.along_of(last, axis, n), last, value
            )

    def whole(self) -> None:
        """Any function of the whole, which keeps an axis."""
        axis = self.axis()
        self.add(ops.Whole(((axis, 0),)), (self.shape[axis], 3))

    def pair(self) -> None:
        """All pairs of cells along one axis, and a mixture of these: each meets each."""
        if len(self.shape) == 1:
            last, n = len(self.nodes) - 1, self.shape[0]
            one = self.add(ops.Broadcast((0,)), (n, n), last)
            other = self.add(ops.Broadcast((1,)), (n, n), last)
            self.add(ops.Mix((1,), (), True, sum=False), (n,), one, other)

    def mix(self, axes: list[int], *, summed: bool = False) -> None:
        """A reduction, or any function, of some axes; it may make one."""
        rest = [n for axis, n in enumerate(self.shape) if axis not in axes]
        summed = summed and self.chance.random() < 0.95
        symmetric = summed or self.chance.random() < 0.8
        outs = (len(rest),) if not summed and self.chance.random() < 0.2 else ()
        self.add(ops.Mix(tuple(axes), outs, symmetric, summed), [*rest, *[2] * len(outs)])
