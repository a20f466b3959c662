"""Geometry: which axis of a value runs along the grid, how many pixels apart its cells lie, and what a cell sees.

The only place that says so. An algebra over the operations of the kernel's program: the pixels that a cell sees along
one axis of the grid are `jump * digit + low .. jump * digit + high`, where a *digit* is a part of the cell's index
along one axis of the array, `(i - start) // inner % count`. A plain map has one digit that is the whole index; tokens
are one axis that holds a digit of the rows and a digit of the columns; patches have two digits of the rows, on two
axes. Where two operands run along the same axis of the grid in different ways (as the scores of attention do), the
result has one *view* of each. What sees the whole image beside (a normalisation, attention) keeps its views and is
marked.

This is a report, and says which questions are asked; no proof rests on it. Of cells joined from several parts, as wrap
padding does, the longest part counts. Receptive fields follow A. Araujo, W. Norris, J. Sim, "Computing receptive
fields of convolutional neural networks", Distill 2019.

Over 600 lines where the operations and the values they act on are read together.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from shiftproof.proving.graph import Graph, body_graph, build_graph
from shiftproof.proving.tables import Band, find_band, find_pattern
from shiftproof.tracing.trace import Equation, Literal, open_body, scan_counts
from shiftproof.tracing.trace import Program as Traced
from shiftproof_kernel import Node, Program

BATCH = -1
"""The source of views along the batch; others are numbers of axes of the grid."""
HERE = -1
"""The number of the node at hand, where its own number is not known yet."""
MOST_VIEWS = 16
"""Values with more views are taken to see everything."""
MOST_ROUNDS = 8
"""How often what a loop carries is followed through its body."""
LARGEST_TABLE = 2**22
"""Tables with more cells are not searched for a band."""

LOOPS = frozenset(["scan", "while", "cond"])
"""Primitives with bodies that `bodies` follows."""


@dataclasses.dataclass(frozen=True)
class Digit:
    """A part of the index along one axis of an array: `(i - start) // inner % count`, worth `jump` pixels each."""

    axis: int
    inner: int
    count: int
    jump: Fraction
    start: int = 0


@dataclasses.dataclass(frozen=True)
class View:
    """What the cells of a value see along one axis of the grid: the sum of jump times digit, plus low .. high.

    Attributes:
        source: the axis of the grid, or `BATCH`.
        digits: on which axes of the value the pixels are counted; at least one.
        low, high: the first and last pixel where all digits are 0; they may lie outside of the image.
    """

    source: int
    digits: tuple[Digit, ...]
    low: Fraction
    high: Fraction

    def on(self, axis: int) -> list[Digit]:
        """The digits on an axis of the value."""
        return [digit for digit in self.digits if digit.axis == axis]

    def with_digits(self, digits: Iterable[Digit]) -> "View":
        """The same with other digits."""
        return dataclasses.replace(self, digits=tuple(digits))

    def widened(self, first: Fraction | int, last: Fraction | int) -> "View":
        """The same, seeing as well what lies from `first` to `last` pixels on."""
        ends = sorted((first, last))
        return dataclasses.replace(self, low=self.low + ends[0], high=self.high + ends[1])


@dataclasses.dataclass(frozen=True)
class Cells:
    """What the cells of a value see.

    Attributes:
        views: along the grid and the batch.
        whole: sources of which every cell may see all, whether there is a view of them or not.
        lost: sources that could not be followed, each with the number of the node at which.
    """

    views: tuple[View, ...] = ()
    whole: frozenset[int] = frozenset()
    lost: tuple[tuple[int, int], ...] = ()

    @property
    def moving(self) -> bool:
        """Whether the value depends on the images."""
        return bool(self.views or self.whole)

    @property
    def sources(self) -> frozenset[int]:
        """All that it depends on."""
        return self.whole | {view.source for view in self.views}


NOTHING = Cells()
"""Of values that do not depend on the images."""
Operands = Sequence[tuple[Cells, tuple[int, ...]]]


@dataclasses.dataclass(frozen=True)
class Field:
    """What a value has of one axis of the grid.

    Attributes:
        axis: of the value, that runs along it; None where none does alone.
        jump: pixels between neighbouring cells, negative after a flip; None where cells are not told apart along the
            grid. Tokens have a jump, but no axis of their own.
        low, high: the first and last pixel of cell 0; they may lie outside of the image.
        whole: whether a cell may see all pixels, as after a normalisation.
    """

    axis: int | None
    jump: Fraction | None
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    whole: bool = False

    @property
    def size(self) -> int | None:
        """Pixels that one cell depends on, at most; None for all.

        Between pixels, as after a transposed convolution, cells of different phases depend on different counts.
        """
        if self.whole or self.jump is None:
            return None
        phases = [self.jump * cell for cell in range(self.jump.denominator)]
        return max(math.floor(self.high + p) - math.ceil(self.low + p) + 1 for p in phases)

    @property
    def offset(self) -> int | None:
        """The first pixel that cell 0 depends on."""
        return None if self.whole or self.jump is None else math.ceil(self.low)


@dataclasses.dataclass(frozen=True)
class Label:
    """What runs along one axis of a value.

    Attributes:
        axes: axes of the grid; several for tokens.
        jump: pixels between neighbouring cells; None for tokens.
    """

    axes: tuple[int, ...]
    jump: Fraction | None


Labels = tuple[Label | None, ...]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """The cells of every value of a program.

    Attributes:
        graph: the kernel's program.
        cells: of every node.
        sizes: pixels along every axis of the grid.
    """

    graph: Graph
    cells: tuple[Cells, ...]
    sizes: Mapping[int, int]

    def of(self, value: int | Literal) -> Cells:
        """The cells of a value of the traced program."""
        node = self.graph.nodes.get(value) if isinstance(value, int) else None
        return NOTHING if node is None else self.cells[node]

    def field(self, value: int | Literal, source: int, shape: tuple[int, ...]) -> Field | None:
        """What a value of that shape has of one axis of the grid; None where it does not depend on the images."""
        return _field(_coarse(self.of(value), self.sizes), source, shape)

    def labels(self, value: int | Literal, shape: tuple[int, ...]) -> Labels:
        """What runs along each axis of a value of that shape."""
        return _labels(_coarse(self.of(value), self.sizes), shape)

    def all_labels(self, program: Traced) -> dict[int, Labels]:
        """The labels of every value of the program, by number."""
        return {n: self.labels(n, aval.shape) for n, aval in program.avals.items()}

    def bodies(self, eqn: Equation) -> "list[tuple[Traced, Geometry]]":
        """The bodies of a loop or a branch that the program holds, with the geometry inside.

        Args:
            eqn: a `scan`, `while` or `cond` of the traced program.
        """
        p, given = eqn.params, [self.of(operand) for operand in eqn.inputs]
        if eqn.name == "cond":
            bodies = [open_body(branch) for branch in p["branches"]]
            return [(body, self._inside(body_graph(body), given[1:])) for body in bodies]
        if eqn.name == "while":
            body, first = open_body(p["body_jaxpr"]), p["body_nconsts"]
            given = given[p["cond_nconsts"] :]
            count = len(given) - first
        else:
            body, (first, count) = open_body(p["jaxpr"]), scan_counts(eqn)
        graph = body_graph(body)
        parts = given[:first], given[first : first + count], given[first + count :]
        return [(body, self._inside(graph, _carried(graph.program, *parts, self.sizes)))]

    def _inside(self, graph: Graph, cells: Sequence[Cells]) -> "Geometry":
        return Geometry(graph, tuple(_walk(graph.program, cells, self.sizes)), self.sizes)


def follow(graph: Graph) -> Geometry:
    """The geometry of a program, from that of its images."""
    sizes = _sizes(graph.program)
    return Geometry(graph, tuple(_walk(graph.program, _given(graph.program), sizes, graph)), sizes)


def geometry_of(program: Traced, spatial_axes: Sequence[int]) -> Geometry:
    """The geometry of a traced program, whatever its weights are.

    Args:
        program: the traced model; axis 0 of its images is the batch.
        spatial_axes: axes of the batched images that form the grid, in order.
    """
    weights = [None] * len(program.weights)
    opaque = frozenset(program.weights)
    return follow(build_graph(program, weights, opaque=opaque, spatial_axes=spatial_axes))


def _sizes(program: Program) -> Mapping[int, int]:
    """Pixels along every axis of the grid."""
    images = next(node for node in program.nodes if node.op == "input")
    return {position: images.shape[axis] for position, axis in enumerate(images.params["grid"])}


def _given(program: Program) -> list[Cells]:
    """The images' own cells: each sees itself."""
    images = next(node for node in program.nodes if node.op == "input")
    axes = dict(enumerate(images.params["grid"]))
    if images.shape and 0 not in axes.values():
        axes[BATCH] = 0
    zero = Fraction(0)
    return [
        Cells(
            tuple(
                View(source, (Digit(axis, 1, images.shape[axis], Fraction(1)),), zero, zero)
                for source, axis in axes.items()
            )
        )
    ]


def _walk(
    program: Program, inputs: Sequence[Cells], sizes: Mapping[int, int], graph: Graph | None = None
) -> list[Cells]:
    """The cells of every node; losses are numbered where the graph is that of the whole program."""
    given = iter(inputs)
    found: list[Cells] = []
    for number, node in enumerate(program.nodes):
        operands = [(found[source], program.nodes[source].shape) for source in node.inputs]
        if node.op == "input":
            cells = next(given)
        elif not any(operand.moving for operand, _ in operands):
            cells = NOTHING
        else:
            step = _Step(node, number, operands, sizes, graph)
            cells = RULES.get(node.op, _anything)(step)
        if graph is not None:
            lost = tuple((s, number if at == HERE else at) for s, at in cells.lost)
            cells = dataclasses.replace(cells, lost=lost)
        found.append(cells)
    return found


@dataclasses.dataclass(frozen=True)
class _Step:
    """One node with what is known of its operands."""

    node: Node
    number: int
    operands: Operands
    sizes: Mapping[int, int]
    graph: Graph | None

    @property
    def first(self) -> Cells:
        return self.operands[0][0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first operand."""
        return self.operands[0][1]

    def each(self, change: "Callable[[View], View | None]", **kinds: Any) -> Cells:
        """The first operand with every view changed; None where it is lost to the whole."""
        views = [(view, change(view)) for view in self.first.views]
        gone = {old.source for old, new in views if new is None}
        kept = [new for _, new in views if new is not None]
        return _cells(kept, self.first.whole | gone, _losses(self.first, gone, **kinds))


def _losses(cells: Cells, gone: Iterable[int], *, lost: bool = False) -> dict[int, int]:
    """First losses by source."""
    return (dict.fromkeys(gone, HERE) if lost else {}) | dict(cells.lost)


def _cells(views: Iterable[View], whole: Iterable[int], lost: Mapping[int, int]) -> Cells:
    """Cells in normal form: one view for every way in which a source is counted."""
    found: dict[tuple[int, tuple[Digit, ...]], View] = {}
    everything = set(whole)
    for view in map(_normal, views):
        if not view.digits:
            everything.add(view.source)
            continue
        key = view.source, view.digits
        old = found.get(key, view)
        found[key] = dataclasses.replace(
            view, low=min(old.low, view.low), high=max(old.high, view.high)
        )
    if len(found) > MOST_VIEWS:
        return Cells((), frozenset(everything | {s for s, _ in found}), tuple(lost.items()))
    return Cells(tuple(found.values()), frozenset(everything), tuple(lost.items()))


def _normal(view: View) -> View:
    """Digits that are one number, as of a split that was undone, become one digit; those that count nothing go."""
    digits = sorted(view.digits, key=lambda d: (d.axis, d.inner))
    joined: list[Digit] = []
    for digit in digits:
        turn = digit.inner * digit.count
        digit = dataclasses.replace(digit, start=digit.start % turn)
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.axis == digit.axis
            and last.inner * last.count == digit.inner
            and last.jump * last.count == digit.jump
            and last.start == digit.start % (last.inner * last.count)
        ):
            count = last.count * digit.count
            joined[-1] = dataclasses.replace(last, count=count, start=digit.start)
        else:
            joined.append(digit)
    counting = [digit for digit in joined if digit.count > 1 and digit.jump]
    return view.with_digits(counting or [digit for digit in joined if digit.count == 1][:1])


def _union(many: Sequence[Cells]) -> Cells:
    """What depends on all of them, cell by cell."""
    lost = {source: at for cells in reversed(many) for source, at in cells.lost}
    whole = frozenset().union(*(cells.whole for cells in many))
    return _cells([view for cells in many for view in cells.views], whole, lost)


def _lone(
    view: View, cells: Cells, axis: int, size: int, sizes: Mapping[int, int], *, laps: bool = False
) -> View | None:
    """The view with its only digit on an axis as the whole index of it; None where it shares the axis.

    Axes that lie inside of the digit and count nothing, such as channels after a pixel shuffle, make cells that are
    fractions of a pixel apart.

    Args:
        view: the view.
        cells: of the value.
        axis: of the value.
        size: of that axis.
        sizes: of the grid.
        laps: whether copies of one whole turn count as one axis.
    """
    digits = view.on(axis)
    others = [v for v in cells.views if v.source != view.source]
    if len(digits) != 1 or any(d.count > 1 for other in others for d in other.on(axis)):
        return None
    (digit,) = digits
    turn = sizes.get(view.source)
    rounds = turn is not None and digit.jump * digit.count % turn == 0 and digit.inner == 1
    if digit.inner * digit.count != size and not (laps and rounds):
        return None
    jump, back = digit.jump / digit.inner, -digit.jump / digit.inner
    plain = Digit(axis, 1, size, jump)
    kept = [d for d in view.digits if d is not digit]
    first = back * (digit.start if digit.start <= size // 2 else digit.start - size)
    return view.with_digits([*kept, plain]).widened(first, first + back * (digit.inner - 1))


def _seen(
    view: View,
    axis: int,
    out: int,
    size: int,
    *,
    first: Fraction | int,
    last: Fraction | int,
    step: Fraction | int,
) -> View:
    """A lone view where cell q of the axis `out` of a result depends on cells first + step q .. last + step q."""
    (digit,) = view.on(axis)
    kept = [d for d in view.digits if d is not digit]
    moved = Digit(out, 1, size, digit.jump * step)
    return view.with_digits([*kept, moved]).widened(digit.jump * first, digit.jump * last)


def _without(view: View, digits: Sequence[Digit], sizes: Mapping[int, int]) -> View | None:
    """A view whose cells are mixed along some digits; None where these are the largest, so that no grid is left."""
    turn = sizes.get(view.source)
    # laps of whole turns, as in circular transposed convolutions, show the same pixels
    idle = [d for d in digits if turn is not None and d.jump % turn == 0]
    view = view.with_digits(d for d in view.digits if d not in idle)
    digits = [d for d in digits if d not in idle]
    if not digits:
        return view
    kept = [d for d in view.digits if d not in digits]
    if not kept or max(abs(d.jump) for d in digits) > max(abs(d.jump) for d in kept):
        return None
    for digit in digits:
        view = view.widened(0, digit.jump * (digit.count - 1))
    return view.with_digits(kept)


def _placed(view: View, places: Mapping[int, int], sizes: Mapping[int, int]) -> View | None:
    """A view whose axes go to other places; those that go nowhere are mixed."""
    left = _without(view, [d for d in view.digits if d.axis not in places], sizes)
    if left is None:
        return None
    return left.with_digits(dataclasses.replace(d, axis=places[d.axis]) for d in left.digits)


# --- rules, one for every operation of the kernel ---


def _anything(step: _Step) -> Cells:
    sources = frozenset().union(*(cells.sources for cells, _ in step.operands))
    lost = {s: HERE for s in sources} | dict(_union([c for c, _ in step.operands]).lost)
    return Cells((), sources, tuple(lost.items()))


def _map(step: _Step) -> Cells:
    target = step.node.shape
    spread = []
    for cells, shape in step.operands:
        # an axis of length 1 is repeated: its digit counts nothing in the result
        repeated = {a for a, (n, m) in enumerate(zip(shape, target, strict=False)) if n == 1 < m}
        views = [v.with_digits(d for d in v.digits if d.axis not in repeated) for v in cells.views]
        spread.append(dataclasses.replace(cells, views=tuple(views)))
    return _union(spread)


def _broadcast(step: _Step) -> Cells:
    axes = step.node.params["axes"]
    shape, target = step.shape, step.node.shape
    grown = {axis for axis, place in enumerate(axes) if shape[axis] == 1 < target[place]}
    places = {axis: place for axis, place in enumerate(axes) if axis not in grown}
    return step.each(lambda view: _placed(view, places, step.sizes))


def _transpose(step: _Step) -> Cells:
    places = {source: place for place, source in enumerate(step.node.params["order"])}
    return step.each(lambda view: _placed(view, places, step.sizes))


def _reshape(step: _Step) -> Cells:
    """Digits are parts of the number of a cell in row-major order: each is cut at the axes of the result."""
    shape, target = step.shape, step.node.shape

    def change(view: View) -> View | None:
        placed, missed = [], []
        for digit in view.digits:
            parts = _cut(digit, shape, target)
            (missed.append(digit) if parts is None else placed.extend(parts))
        left = _without(view, missed, step.sizes)
        return None if left is None else left.with_digits(placed)

    # axes of length 1 may go without a loss: nothing moves along them
    found = step.each(change, lost=True)
    small = {v.source for v in step.first.views if all(d.count == 1 for d in v.digits)}
    lost = tuple(x for x in found.lost if x in step.first.lost or x[0] not in small)
    return dataclasses.replace(found, lost=lost)


def _cut(digit: Digit, shape: tuple[int, ...], target: tuple[int, ...]) -> list[Digit] | None:
    """The parts of a digit on the axes of a reshaped array, or None where it is not cut at whole cells."""
    behind = math.prod(shape[digit.axis + 1 :])
    inner, size = digit.inner * behind, shape[digit.axis]
    if digit.count == 1:
        return _cut_small(digit, shape, target)
    places = [
        (axis, math.prod(target[axis + 1 :]), math.prod(target[axis:]))
        for axis in range(len(target))
    ]
    if digit.start:  # only where its axis stays as it is
        same = [a for a, small, large in places if (small, large) == (behind, behind * size)]
        wide = [a for a in same if target[a] > 1]
        return [dataclasses.replace(digit, axis=wide[0])] if wide else None
    if size % (digit.inner * digit.count):
        return None
    parts = []
    for axis, small, large in places:
        low, high = max(inner, small), min(inner * digit.count, large)
        if low >= high:
            continue
        if low % inner or high % low or low % small or (inner * digit.count) % high:
            return None
        parts.append(Digit(axis, low // small, high // low, digit.jump * (low // inner)))
    return parts


def _cut_small(digit: Digit, shape: tuple[int, ...], target: tuple[int, ...]) -> list[Digit] | None:
    """An axis of length 1 goes to the axis of length 1 that stands at the same place."""
    behind = math.prod(shape[digit.axis + 1 :])
    before, after = (
        [a for a, n in enumerate(sizes) if n == 1 and math.prod(sizes[a + 1 :]) == behind]
        for sizes in (shape, target)
    )
    position = before.index(digit.axis) if digit.axis in before else len(after)
    return [dataclasses.replace(digit, axis=after[position])] if position < len(after) else None


def _take(step: _Step) -> Cells:
    axis, index = step.node.params["axis"], step.node.params["index"]
    size, count = step.shape[axis], step.node.shape[axis]
    if isinstance(index, Mapping):
        start, stride = index["start"], index["step"]
        fit = Band(Fraction(stride), Fraction(start), Fraction(start))
    else:
        start, stride, fit = index[0], None, find_pattern(index, size)

    def change(view: View) -> View | None:
        if not view.on(axis):
            return view
        lone = _lone(view, step.first, axis, size, step.sizes)
        if lone is not None and fit is not None and (not fit.wraps or _turns(lone, axis, step)):
            return _seen(lone, axis, axis, count, first=fit.low, last=fit.high, step=fit.slope)
        if stride == 1 or count == 1:
            return _part(view, axis, start, count)
        return _without(view, view.on(axis), step.sizes)

    return step.each(change, lost=True)


def _turns(view: View, axis: int, step: _Step) -> bool:
    """Whether the cells along an axis go round the torus, so that the first one follows the last."""
    turn = step.sizes.get(view.source)
    return turn is not None and all(d.jump * d.count % turn == 0 for d in view.on(axis))


def _part(view: View, axis: int, start: int, count: int) -> View:
    """A view of neighbouring cells along an axis; of one cell only, its digits are numbers."""
    digits = []
    for digit in view.digits:
        if digit.axis != axis:
            digits.append(digit)
        elif count > 1:
            digits.append(dataclasses.replace(digit, start=digit.start - start))
        else:
            here = digit.jump * ((start - digit.start) // digit.inner % digit.count)
            view = view.widened(here, here)
    return view.with_digits(digits)


def _concat(step: _Step) -> Cells:
    """Along the axis that is joined the longest part counts, and beside it what all parts have."""
    axis, total = step.node.params["axis"], step.node.shape[step.node.params["axis"]]
    views: list[View] = []
    longest: dict[int, tuple[int, int, int]] = {}
    place = 0
    for number, (cells, shape) in enumerate(step.operands):
        for source in {view.source for view in cells.views if view.on(axis)}:
            if shape[axis] > longest.get(source, (0, 0, 0))[0]:
                longest[source] = shape[axis], number, place
        place += shape[axis]
    for source, (size, number, start) in longest.items():
        cells = step.operands[number][0]
        for view in cells.views:
            if view.source == source and view.on(axis):
                lone = _lone(view, cells, axis, size, step.sizes)
                views.append(
                    _part(view, axis, -start, total)
                    if lone is None
                    else _seen(lone, axis, axis, total, first=-start, last=-start, step=1)
                )
    all_cells = [cells for cells, _ in step.operands]
    views += [v for cells in all_cells for v in cells.views if not v.on(axis)]
    whole: set[int] = set()
    lost: dict[int, int] = {}
    for number, cells in enumerate(all_cells):
        counted = {s for s in cells.sources if longest.get(s, (0, number, 0))[1] == number}
        whole |= cells.whole & counted
        lost = {s: at for s, at in cells.lost if s in counted} | lost
    return _cells(views, whole, lost)


def _pad(step: _Step) -> Cells:
    p = step.node.params
    axis, low, base = p["axis"], p["low"], p["inner"] + 1
    size, count = step.shape[axis], step.node.shape[axis]

    def change(view: View) -> View | None:
        if not view.on(axis):
            return view
        lone = _lone(view, step.first, axis, size, step.sizes, laps=True)
        if lone is not None:
            return _stretched(lone, axis, axis, count, low=low, base=base)
        if base == 1:
            return _part(view, axis, -low, count)
        return _without(view, view.on(axis), step.sizes)

    return _beside(step, step.each(change, lost=True))


def _stretched(
    view: View,
    axis: int,
    out: int,
    size: int,
    *,
    low: int,
    base: int,
    reach: int = 0,
    stride: int = 1,
) -> View:
    """Windows of `reach` more cells, `stride` apart, over cells that were pulled `base` apart."""
    first, last = Fraction(-low, base), Fraction(reach - low, base)
    return _seen(view, axis, out, size, first=first, last=last, step=Fraction(stride, base))


def _beside(step: _Step, cells: Cells, *, lost: bool = False) -> Cells:
    """The cells of a result to which all operands but the first are the same everywhere: these are seen whole."""
    others = [operand for operand, _ in step.operands[1:]]
    sources = frozenset().union(*(operand.sources for operand in others))
    losses = dict(cells.lost) | _losses(_union(others), sources, lost=lost)
    return Cells(cells.views, cells.whole | sources, tuple((losses | dict(cells.lost)).items()))


def _window(step: _Step) -> Cells:
    dims = {dim["axis"]: dim for dim in step.node.params["dims"]}
    places = dict(step.node.params["kept"]) | {axis: dim["out"] for axis, dim in dims.items()}

    def change(view: View) -> View | None:
        for axis, dim in dims.items():
            if not view.on(axis):
                continue
            lone = _lone(view, step.first, axis, step.shape[axis], step.sizes, laps=True)
            if lone is None:
                left = _without(view, view.on(axis), step.sizes)
                if left is None:
                    return None
                view = left
                continue
            reach = dim["dilation"] * (dim["size"] - 1)
            view = _stretched(
                lone,
                axis,
                axis,
                step.node.shape[dim["out"]],
                **{key: dim[key] for key in ("low", "base", "stride")},
                reach=reach,
            )
        return _placed(view, places, step.sizes)

    return _beside(step, step.each(change))


def _mix(step: _Step) -> Cells:
    mixed, outs = step.node.params["axes"], step.node.params["outs"]
    others = [axis for axis in range(len(step.shape)) if axis not in mixed]
    rest = [out for out in range(len(step.node.shape)) if out not in outs]
    places = dict(zip(others, rest, strict=True))
    dense: set[int] = set()
    tables: list[np.ndarray] | None = None

    def change(view: View) -> View | None:
        nonlocal tables
        for axis in mixed:
            if not view.on(axis):
                continue
            if tables is None:
                tables = _tables(step)
            found = _through_tables(step, view, axis, tables, others)
            if found is not None:
                view, whole = found
                dense.update({view.source} if whole else ())
        return _placed(view, places, step.sizes)

    found = step.each(change, lost=_meets_table(step) or bool(outs))
    return dataclasses.replace(found, whole=found.whole | dense)


def _meets_table(step: _Step) -> bool:
    """Whether a contraction is with more than plain weights: what was computed may be the same along the grid."""
    graph = step.graph
    eqn = None if graph is None else graph.origins[step.number]
    if graph is None or eqn is None or eqn.name != "dot_general":
        return False
    bases = [_base(graph.program, n) for n in graph.program.nodes[step.node.inputs[0]].inputs]
    return not any(node.op == "weight" for node in bases)


def _base(program: Program, number: int) -> Node:
    """The node of which another one has only moved the axes."""
    node = program.nodes[number]
    plain = node.op in ("broadcast", "reshape", "transpose")
    return _base(program, node.inputs[0]) if plain else node


def _tables(step: _Step) -> list[np.ndarray]:
    """The tables that the operand of a sum is a product with."""
    graph, number = step.graph, step.node.inputs[0]
    if graph is None or not step.node.params["sum"]:
        return []
    product, eqn = graph.program.nodes[number], graph.origins[number]
    if (
        product.op not in ("map", "multiply")
        or eqn is None
        or eqn.name not in ("dot_general", "mul")
    ):
        return []
    found = [_table(graph, source) for source in product.inputs]
    return [table for table in found if table is not None]


def _table(graph: Graph, number: int) -> np.ndarray | None:
    """A constant, or the numbers of the weights that stand in a value that is only put together from weights."""
    node = graph.program.nodes[number]
    if math.prod(node.shape) > LARGEST_TABLE and node.op != "broadcast":
        return None
    if node.op == "constant":
        return graph.constants.get(number)
    if node.op == "weight":
        return np.arange(1, math.prod(node.shape) + 1).reshape(node.shape)
    if node.op not in ("broadcast", "reshape", "transpose", "take") or len(node.inputs) != 1:
        return None
    table = _table(graph, node.inputs[0])
    if table is None:
        return None
    match node.op:
        case "broadcast":
            axes = node.params["axes"]
            places = dict(zip(axes, table.shape, strict=True))
            aligned = table.reshape([places.get(a, 1) for a in range(len(node.shape))])
            return np.broadcast_to(aligned, node.shape)
        case "reshape":
            return table.reshape(node.shape)
        case "transpose":
            return table.transpose(node.params["order"])
    index = node.params["index"]
    if isinstance(index, Mapping):
        count = node.shape[node.params["axis"]]
        index = [index["start"] + index["step"] * i for i in range(count)]
    return table.take(index, node.params["axis"])


def _through_tables(
    step: _Step, view: View, axis: int, tables: Sequence[np.ndarray], others: Sequence[int]
) -> tuple[View, bool] | None:
    """A view along an axis that a sum contracts with a table, whose rows are shifted along another axis."""
    lone = _lone(view, step.first, axis, step.shape[axis], step.sizes)
    if lone is None:
        return None
    for table in tables:
        wide = [a for a, n in enumerate(table.shape) if n > 1 and table.strides[a]]
        targets = [a for a in wide if a != axis and a in others and not view.on(a)]
        if axis not in wide or len(wide) != 2 or len(targets) != 1:
            continue
        (out,) = targets
        corner = [slice(None) if a in wide else 0 for a in range(table.ndim)]
        rows = table[tuple(corner)]
        band = find_band(rows if axis < out else rows.T)
        if band is not None and (not band.wraps or _turns(lone, axis, step)):
            size = step.shape[out]
            seen = _seen(lone, axis, out, size, first=band.low, last=band.high, step=band.slope)
            return seen, band.dense
    return None


def _fourier(step: _Step) -> Cells:
    axis = step.node.params["axis"]
    return step.each(lambda view: _without(view, view.on(axis), step.sizes), lost=True)


def _whole(step: _Step) -> Cells:
    kept = dict(step.node.params["kept"])
    found = step.each(lambda view: _placed(view, kept, step.sizes), lost=True)
    return _beside(step, found, lost=not kept)


def _loop(step: _Step) -> Cells:
    p = step.node.params
    body, count, first = p["body"], p["carries"], p["constants"]
    cells = [operand for operand, _ in step.operands]
    inputs = _carried(
        body, cells[:first], cells[first : first + count], cells[first + count :], step.sizes
    )
    made = _outputs(body, inputs, step.sizes)[p["result"]]
    if p["result"] < count:
        return _union([inputs[first + p["result"]], made])
    # what is stacked runs along the axis along which the loop ran, and carries what came before
    raised = [
        v.with_digits(dataclasses.replace(d, axis=d.axis + 1) for d in v.digits) for v in made.views
    ]
    along = _along_first(cells[first + count :])
    return _cells([*raised, *along], made.whole, dict(made.lost))


def _along_first(slices: Sequence[Cells]) -> list[View]:
    """Views of the slices of a loop by their first axis only."""
    for cells in slices:
        views = [v for v in cells.views if v.on(0) and len(v.digits) == 1]
        if views:
            return views
    return []


def _carried(
    body: Program,
    constants: Sequence[Cells],
    start: Sequence[Cells],
    stacks: Sequence[Cells],
    sizes: Mapping[int, int],
) -> list[Cells]:
    """The cells of a body's inputs once its carries have all that the rounds give them."""
    slices = [_slice(cells) for cells in stacks]
    carried = list(start)
    for _ in range(MOST_ROUNDS):
        made = _outputs(body, [*constants, *carried, *slices], sizes)
        fuller = [_steady(old, new) for old, new in zip(carried, made, strict=False)]
        if fuller == carried:
            break
        carried = fuller
    else:
        carried = [
            Cells((), c.sources, tuple((s, HERE) for s in sorted(c.sources))) for c in carried
        ]
    return [*constants, *carried, *slices]


def _slice(cells: Cells) -> Cells:
    """What one round sees of an array that is cut along its first axis."""
    gone = {view.source for view in cells.views if view.on(0)}
    views = [
        v.with_digits(dataclasses.replace(d, axis=d.axis - 1) for d in v.digits)
        for v in cells.views
        if not v.on(0)
    ]
    return _cells(views, cells.whole | gone, dict(cells.lost))


def _steady(old: Cells, new: Cells) -> Cells:
    """What is carried by the next round: fields that grow from round to round become the whole image."""
    known = {(view.source, view.digits): view for view in old.views}
    both = _union([old, new])
    grown = {
        view.source
        for view in both.views
        if (before := known.get((view.source, view.digits))) is not None and before != view
    }
    views = [known.get((view.source, view.digits), view) for view in both.views]
    return Cells(tuple(views), both.whole | grown, both.lost)


def _outputs(body: Program, inputs: Sequence[Cells], sizes: Mapping[int, int]) -> list[Cells]:
    values = _walk(body, inputs, sizes)
    return [values[output] for output in body.outputs]


def _branch(step: _Step) -> Cells:
    choice, *given = [cells for cells, _ in step.operands]
    result = step.node.params["result"]
    made = [_outputs(body, given, step.sizes)[result] for body in step.node.params["bodies"]]
    return _union([*made, Cells((), choice.sources, choice.lost)])


RULES: Mapping[str, Callable[[_Step], Cells]] = {
    "map": _map,
    "combine": _map,
    "multiply": _map,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "take": _take,
    "concat": _concat,
    "pad": _pad,
    "window": _window,
    "mix": _mix,
    "fourier": _fourier,
    "whole": _whole,
    "loop": _loop,
    "branch": _branch,
}


# --- reading: fields of one axis of the grid, labels of the axes of a value, bodies of loops ---


def _coarse(cells: Cells, sizes: Mapping[int, int]) -> Cells:
    """The cells by the largest digit of every view: patches are cells, which see what all their parts see."""
    views = []
    for view in cells.views:
        turn = sizes.get(view.source)
        # laps of whole turns tell no pixels apart
        digits = [d for d in view.digits if turn is None or d.jump % turn] or view.digits
        largest = max(digits, key=lambda digit: abs(digit.jump))
        for digit in digits:
            if digit is not largest:
                view = view.widened(0, digit.jump * (digit.count - 1))
        views.append(view.with_digits([largest]))
    return dataclasses.replace(cells, views=tuple(views))


def _field(cells: Cells, source: int, shape: tuple[int, ...]) -> Field | None:
    if not cells.moving:
        return None
    found = [_along(view, cells, shape) for view in cells.views if view.source == source]
    ways = {(axis, jump and abs(jump)) for axis, jump, _, _ in found}
    if len(ways) != 1 or found[0][1] is None:
        return Field(None, None, whole=True)
    axis, jump, _, _ = max(found, key=lambda way: way[1])
    whole = source in cells.whole or len({jump for _, jump, _, _ in found}) > 1
    low, high = min(way[2] for way in found), max(way[3] for way in found)
    return Field(axis, jump, low, high, whole)


def _along(
    view: View, cells: Cells, shape: tuple[int, ...]
) -> tuple[int | None, Fraction | None, Fraction, Fraction]:
    """The axis that runs along the grid, its jump, and what cell 0 sees; tokens have no axis, but a jump."""
    (digit,) = view.digits
    lone = _lone(view, cells, digit.axis, shape[digit.axis], {})
    if lone is not None:
        return digit.axis, lone.digits[0].jump, lone.low, lone.high
    beside = {v.source: d for v in cells.views for d in v.on(digit.axis)}
    filled = math.prod(d.count for d in beside.values()) == shape[digit.axis]
    is_token = filled and len(beside) > 1 and len(shape) > 2
    return None, digit.jump if is_token else None, view.low, view.high


def _labels(cells: Cells, shape: tuple[int, ...]) -> Labels:
    labels: list[Label | None] = [None] * len(shape)
    for axis in range(len(shape)):
        views = [view for view in cells.views if view.source != BATCH and view.on(axis)]
        found = [_along(view, cells, shape) for view in views]
        sources = tuple(sorted({view.source for view in views}))
        jumps = {abs(jump) for place, jump, _, _ in found if place == axis and jump is not None}
        if sources:
            labels[axis] = Label(sources, jumps.pop() if len(sources) == len(jumps) == 1 else None)
    return tuple(labels)
