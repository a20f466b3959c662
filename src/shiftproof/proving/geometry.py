"""Geometry: which axis of a value runs along the grid, how many pixels apart its cells lie, and what a cell sees.

The only place that says so: an algebra over the operations of the kernel's program, whose values are `Cells`. It is a
report, and says which questions are asked; no proof rests on it. Of cells joined from several parts, as wrap padding
does, the longest part counts. Receptive fields follow A. Araujo, W. Norris, J. Sim, "Computing receptive fields of
convolutional neural networks", Distill 2019.

Over 600 lines, because the operations are one list.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from shiftproof.proving.cells import (
    BATCH,
    NOTHING,
    Cells,
    Digit,
    Field,
    Labels,
    View,
    coarse,
    cut,
    field_of,
    labels_of,
    lone,
    make_cells,
    part,
    placed,
    seen,
    union,
    without,
)
from shiftproof.proving.graph import Graph, body_graph, build_graph
from shiftproof.proving.tables import Band, find_band, find_pattern, table_of
from shiftproof.tracing.trace import Equation, Literal, open_body, scan_counts
from shiftproof.tracing.trace import Program as Traced
from shiftproof_kernel import Node, Program
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

HERE = -1
"""The number of the node at hand, where its own number is not known yet."""
MOST_ROUNDS = 8
"""How often what a loop carries is followed through its body."""
LOOPS = frozenset(["scan", "while", "cond"])
"""Primitives with bodies that `bodies` follows."""
Operands = Sequence[tuple[Cells, tuple[int, ...]]]


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
        return field_of(coarse(self.of(value), self.sizes), source, shape)

    def labels(self, value: int | Literal, shape: tuple[int, ...]) -> Labels:
        """What runs along each axis of a value of that shape."""
        return labels_of(coarse(self.of(value), self.sizes), shape)

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
    shape, grid = _images(program)
    return {position: shape[axis] for position, axis in enumerate(grid)}


def _images(program: Program) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of the images, and the axes of their grid."""
    return next((n.shape, n.op.grid) for n in program.nodes if isinstance(n.op, Input))


def _given(program: Program) -> list[Cells]:
    """The images' own cells: each sees itself."""
    shape, grid = _images(program)
    axes = dict(enumerate(grid))
    if shape and 0 not in axes.values():
        axes[BATCH] = 0
    zero = Fraction(0)
    return [
        Cells(
            tuple(
                View(source, (Digit(axis, 1, shape[axis], Fraction(1)),), zero, zero)
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
        if isinstance(node.op, Input):
            cells = next(given)
        elif not any(operand.moving for operand, _ in operands):
            cells = NOTHING
        else:
            step = _Step(node, number, operands, sizes, graph)
            cells = RULES[type(node.op)](step, node.op)
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
        return make_cells(kept, self.first.whole | gone, _losses(self.first, gone, **kinds))


def _losses(cells: Cells, gone: Iterable[int], *, lost: bool = False) -> dict[int, int]:
    """First losses by source."""
    return (dict.fromkeys(gone, HERE) if lost else {}) | dict(cells.lost)


def _anything(step: _Step, op: object) -> Cells:
    sources = frozenset().union(*(cells.sources for cells, _ in step.operands))
    lost = {s: HERE for s in sources} | dict(union([c for c, _ in step.operands]).lost)
    return Cells((), sources, tuple(lost.items()))


def _map(step: _Step, op: Map | Combine | Multiply) -> Cells:
    target = step.node.shape
    spread = []
    for cells, shape in step.operands:
        # an axis of length 1 is repeated: its digit counts nothing in the result
        repeated = {a for a, (n, m) in enumerate(zip(shape, target, strict=False)) if n == 1 < m}
        views = [v.with_digits(d for d in v.digits if d.axis not in repeated) for v in cells.views]
        spread.append(dataclasses.replace(cells, views=tuple(views)))
    return union(spread)


def _broadcast(step: _Step, op: Broadcast) -> Cells:
    shape, target = step.shape, step.node.shape
    grown = {axis for axis, place in enumerate(op.axes) if shape[axis] == 1 < target[place]}
    places = {axis: place for axis, place in enumerate(op.axes) if axis not in grown}
    return step.each(lambda view: placed(view, places, step.sizes))


def _transpose(step: _Step, op: Transpose) -> Cells:
    places = {source: place for place, source in enumerate(op.order)}
    return step.each(lambda view: placed(view, places, step.sizes))


def _reshape(step: _Step, op: Reshape) -> Cells:
    """Digits are parts of the number of a cell in row-major order: each is cut at the axes of the result."""
    shape, target = step.shape, step.node.shape

    def change(view: View) -> View | None:
        kept, missed = [], []
        for digit in view.digits:
            parts = cut(digit, shape, target)
            (missed.append(digit) if parts is None else kept.extend(parts))
        left = without(view, missed, step.sizes)
        return None if left is None else left.with_digits(kept)

    # axes of length 1 may go without a loss: nothing moves along them
    found = step.each(change, lost=True)
    small = {v.source for v in step.first.views if all(d.count == 1 for d in v.digits)}
    lost = tuple(x for x in found.lost if x in step.first.lost or x[0] not in small)
    return dataclasses.replace(found, lost=lost)


def _take(step: _Step, op: Take) -> Cells:
    axis, index = op.axis, op.index
    size, count = step.shape[axis], step.node.shape[axis]
    if isinstance(index, Span):
        start, stride = index.start, index.step
        fit = Band(Fraction(stride), Fraction(start), Fraction(start))
    else:
        start, stride, fit = index[0], None, find_pattern(index, size)

    def change(view: View) -> View | None:
        if not view.on(axis):
            return view
        alone = lone(view, step.first, axis, size, step.sizes)
        if alone is not None and fit is not None and (not fit.wraps or _turns(alone, axis, step)):
            return seen(alone, axis, axis, count, first=fit.low, last=fit.high, step=fit.slope)
        if stride == 1 or count == 1:
            return part(view, axis, start, count)
        return without(view, view.on(axis), step.sizes)

    return step.each(change, lost=True)


def _turns(view: View, axis: int, step: _Step) -> bool:
    """Whether the cells along an axis go round the torus, so that the first one follows the last."""
    turn = step.sizes.get(view.source)
    return turn is not None and all(d.jump * d.count % turn == 0 for d in view.on(axis))


def _concat(step: _Step, op: Concat) -> Cells:
    """Along the axis that is joined the longest part counts, and beside it what all parts have."""
    axis, total = op.axis, step.node.shape[op.axis]
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
                alone = lone(view, cells, axis, size, step.sizes)
                views.append(
                    part(view, axis, -start, total)
                    if alone is None
                    else seen(alone, axis, axis, total, first=-start, last=-start, step=1)
                )
    all_cells = [cells for cells, _ in step.operands]
    views += [v for cells in all_cells for v in cells.views if not v.on(axis)]
    whole: set[int] = set()
    lost: dict[int, int] = {}
    for number, cells in enumerate(all_cells):
        counted = {s for s in cells.sources if longest.get(s, (0, number, 0))[1] == number}
        whole |= cells.whole & counted
        lost = {s: at for s, at in cells.lost if s in counted} | lost
    return make_cells(views, whole, lost)


def _pad(step: _Step, op: Pad) -> Cells:
    axis, low, base = op.axis, op.low, op.inner + 1
    size, count = step.shape[axis], step.node.shape[axis]

    def change(view: View) -> View | None:
        if not view.on(axis):
            return view
        alone = lone(view, step.first, axis, size, step.sizes, laps=True)
        if alone is not None:
            return _stretched(alone, axis, axis, count, low=low, base=base)
        if base == 1:
            return part(view, axis, -low, count)
        return without(view, view.on(axis), step.sizes)

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
    return seen(view, axis, out, size, first=first, last=last, step=Fraction(stride, base))


def _beside(step: _Step, cells: Cells, *, lost: bool = False) -> Cells:
    """The cells of a result to which all operands but the first are the same everywhere: these are seen whole."""
    others = [operand for operand, _ in step.operands[1:]]
    sources = frozenset().union(*(operand.sources for operand in others))
    losses = _losses(union(others), sources, lost=lost) | dict(cells.lost)
    return Cells(cells.views, cells.whole | sources, tuple(losses.items()))


def _window(step: _Step, op: Window) -> Cells:
    dims = {dim.axis: dim for dim in op.dims}
    places = dict(op.kept) | {axis: dim.out for axis, dim in dims.items()}

    def change(view: View) -> View | None:
        for axis, dim in dims.items():
            if not view.on(axis):
                continue
            alone = lone(view, step.first, axis, step.shape[axis], step.sizes, laps=True)
            if alone is None:
                left = without(view, view.on(axis), step.sizes)
                if left is None:
                    return None
                view = left
                continue
            view = _stretched(
                alone,
                axis,
                axis,
                step.node.shape[dim.out],
                low=dim.low,
                base=dim.base,
                stride=dim.stride,
                reach=dim.dilation * (dim.size - 1),
            )
        return placed(view, places, step.sizes)

    return _beside(step, step.each(change))


def _mix(step: _Step, op: Mix) -> Cells:
    mixed, outs = op.axes, op.outs
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
                tables = _tables(step) if op.sum else []
            found = _through_tables(step, view, axis, tables, others)
            if found is not None:
                view, whole = found
                dense.update({view.source} if whole else ())
        return placed(view, places, step.sizes)

    found = step.each(change, lost=_meets_table(step) or bool(outs))
    return dataclasses.replace(found, whole=found.whole | dense)


def _meets_table(step: _Step) -> bool:
    """Whether a contraction is with more than plain weights: what was computed may be the same along the grid."""
    graph = step.graph
    eqn = None if graph is None else graph.origins[step.number]
    if graph is None or eqn is None or eqn.name != "dot_general":
        return False
    bases = [_base(graph.program, n) for n in graph.program.nodes[step.node.inputs[0]].inputs]
    return not any(isinstance(node.op, Weight) for node in bases)


def _base(program: Program, number: int) -> Node:
    """The node of which another one has only moved the axes."""
    node = program.nodes[number]
    plain = isinstance(node.op, Broadcast | Reshape | Transpose)
    return _base(program, node.inputs[0]) if plain else node


def _tables(step: _Step) -> list[np.ndarray]:
    """The tables that the operand of a sum is a product with."""
    graph, number = step.graph, step.node.inputs[0]
    if graph is None:
        return []
    product, eqn = graph.program.nodes[number], graph.origins[number]
    if (
        not isinstance(product.op, Map | Multiply)
        or eqn is None
        or eqn.name not in ("dot_general", "mul")
    ):
        return []
    found = [table_of(graph, source) for source in product.inputs]
    return [table for table in found if table is not None]


def _through_tables(
    step: _Step, view: View, axis: int, tables: Sequence[np.ndarray], others: Sequence[int]
) -> tuple[View, bool] | None:
    """A view along an axis that a sum contracts with a table, whose rows are shifted along another axis."""
    alone = lone(view, step.first, axis, step.shape[axis], step.sizes)
    if alone is None:
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
        if band is not None and (not band.wraps or _turns(alone, axis, step)):
            size = step.shape[out]
            moved = seen(alone, axis, out, size, first=band.low, last=band.high, step=band.slope)
            return moved, band.dense
    return None


def _fourier(step: _Step, op: Fourier) -> Cells:
    return step.each(lambda view: without(view, view.on(op.axis), step.sizes), lost=True)


def _whole(step: _Step, op: Whole) -> Cells:
    kept = dict(op.kept)
    found = step.each(lambda view: placed(view, kept, step.sizes), lost=True)
    return _beside(step, found, lost=not kept)


def _select(step: _Step, op: Select) -> Cells:
    """A cell is one of a block, as a stride takes it; which one, the whole image says."""
    pairs = zip(op.axes, op.strides, strict=True)
    dims = tuple(Dim(a, a, s, s, low=0, high=0, base=1, dilation=1) for a, s in pairs)
    kept = tuple((a, a) for a in range(len(step.shape)) if a not in op.axes)
    found = _window(step, Window(dims, kept, symmetric=False, linear=False))
    return dataclasses.replace(found, whole=found.sources - {BATCH})


def _loop(step: _Step, op: Loop) -> Cells:
    body, count, first = op.body, op.carries, op.constants
    cells = [operand for operand, _ in step.operands]
    inputs = _carried(
        body, cells[:first], cells[first : first + count], cells[first + count :], step.sizes
    )
    made = _outputs(body, inputs, step.sizes)[op.result]
    if op.result < count:
        return union([inputs[first + op.result], made])
    # what is stacked runs along the axis along which the loop ran, and carries what came before
    raised = [
        v.with_digits(dataclasses.replace(d, axis=d.axis + 1) for d in v.digits) for v in made.views
    ]
    along = _along_first(cells[first + count :])
    return make_cells([*raised, *along], made.whole, dict(made.lost))


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
    return make_cells(views, cells.whole | gone, dict(cells.lost))


def _steady(old: Cells, new: Cells) -> Cells:
    """What is carried by the next round: fields that grow from round to round become the whole image."""
    known = {(view.source, view.digits): view for view in old.views}
    both = union([old, new])
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


def _branch(step: _Step, op: Branch) -> Cells:
    choice, *given = [cells for cells, _ in step.operands]
    made = [_outputs(body, given, step.sizes)[op.result] for body in op.bodies]
    return union([*made, Cells((), choice.sources, choice.lost)])


RULES: Mapping[type, Callable[..., Cells]] = {
    Weight: _anything,
    Constant: _anything,
    Map: _map,
    Combine: _map,
    Multiply: _map,
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
    Select: _select,
    Loop: _loop,
    Branch: _branch,
}
