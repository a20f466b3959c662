"""Receptive fields: on which pixels a cell of the interior depends, read off the kernel's program.

Along one axis of the grid cell u of a value depends on the pixels jump * u + low .. jump * u + high. Strides multiply
the jump, windows widen the field, branches join to the wider one. This is a report and no proof; the interior that the
kernel proves does not rest on it. Of cells joined from several parts, as wrap padding does, the longest part counts, as
for the interior. Source: A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks",
Distill 2019.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from shiftproof.proving.graph import Graph
from shiftproof.tracing.layers import Layer
from shiftproof_kernel import Node, Program


@dataclasses.dataclass(frozen=True)
class Field:
    """On which pixels along one axis of the grid a value depends.

    Attributes:
        axis: of the value that runs along the grid axis; None where every cell depends on all pixels.
        jump: pixels between neighbouring cells.
        low, high: the first and last pixel of cell 0; they may lie outside of the image.
    """

    axis: int | None
    jump: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    @property
    def size(self) -> int | None:
        """Pixels that one cell depends on, at most; None for all.

        Between pixels, as after a transposed convolution, cells of different phases depend on different counts.
        """
        if self.axis is None:
            return None
        phases = [self.jump * cell for cell in range(self.jump.denominator)]
        return max(math.floor(self.high + p) - math.ceil(self.low + p) + 1 for p in phases)

    @property
    def offset(self) -> int | None:
        """The first pixel that cell 0 depends on."""
        return None if self.axis is None else math.ceil(self.low)

    def seen(self, start: Fraction | int, last: Fraction | int, step: Fraction | int) -> "Field":
        """The field of a value whose cell q depends on cells start + step q .. last + step q of this one."""
        ends = self.low + self.jump * start, self.high + self.jump * last
        return Field(self.axis, self.jump * step, min(ends), max(ends))


ALL = Field(None)
"""Every cell depends on every pixel."""
Known = Field | None
"""None where a value does not depend on the image."""


def receptive_fields(program: Program, axis: int) -> list[Known]:
    """The field of every node along one axis of the grid."""
    found: list[Known] = []
    for node in program.nodes:
        operands = [(found[source], program.nodes[source].shape) for source in node.inputs]
        found.append(_field(node, axis, operands))
    return found


def layer_fields(
    graph: Graph, layers: Sequence[Layer], grid: Sequence[int]
) -> list[tuple[Known, ...]]:
    """For every layer, the field along every axis of the grid; None where it does not depend on the image."""
    fields = [receptive_fields(graph.program, axis) for axis in range(len(grid))]
    nodes = [graph.nodes.get(x.value) if isinstance(x.value, int) else None for x in layers]
    return [tuple(None if node is None else along[node] for along in fields) for node in nodes]


Operands = Sequence[tuple[Known, tuple[int, ...]]]


def _field(node: Node, axis: int, operands: Operands) -> Known:
    if node.op == "input":
        return Field(node.params["grid"][axis])
    if all(field is None for field, _ in operands):
        return None
    if any(field is ALL for field, _ in operands):
        return ALL
    return RULES.get(node.op, _everything)(node, operands)


def _everything(node: Node, operands: Operands) -> Known:
    return ALL


def _joined(fields: Sequence[Known]) -> Known:
    """What depends on any of them; all pixels where they run along different axes, or at different speeds."""
    there = [field for field in fields if field is not None]
    if len({(field.axis, field.jump) for field in there}) > 1:
        return ALL
    low, high = min(field.low for field in there), max(field.high for field in there)
    return dataclasses.replace(there[0], low=low, high=high)


def _map(node: Node, operands: Operands) -> Known:
    return _joined([field for field, _ in operands])


def _renamed(field: Known, places: Mapping[int, int]) -> Known:
    """The same field, where the axes of the operand go to other places; those that go nowhere are mixed."""
    if field is None or field.axis is None:
        return field
    if field.axis not in places:
        return ALL
    return dataclasses.replace(field, axis=places[field.axis])


def _broadcast(node: Node, operands: Operands) -> Known:
    return _renamed(operands[0][0], dict(enumerate(node.params["axes"])))


def _transpose(node: Node, operands: Operands) -> Known:
    order = node.params["order"]
    return _renamed(operands[0][0], {source: place for place, source in enumerate(order)})


def _reshape(node: Node, operands: Operands) -> Known:
    """Cells in blocks: the axis of the result whose stride in memory is that of the operand's axis, or a multiple."""
    (field, shape), target = operands[0], node.shape
    if field is None or field.axis is None:  # not so, says `_field`
        return field
    inner, size = math.prod(shape[field.axis + 1 :]), shape[field.axis]
    for place, n in enumerate(target):
        behind = math.prod(target[place + 1 :])
        if n == 1 and size > 1:
            continue
        inside = behind < inner * size or size == 1
        if behind % inner == 0 and n * behind <= inner * size and inside:
            block = behind // inner  # the major part of a split: each cell holds a block
            return dataclasses.replace(field.seen(0, block - 1, block), axis=place)
        if inner % behind == 0 and n * behind >= inner * size:
            block = inner // behind  # merged with what lies inside
            if n * behind == inner * size:
                part = Fraction(1, block)
                return dataclasses.replace(field.seen(-1 + part, 0, part), axis=place)
    return ALL


def _take(node: Node, operands: Operands) -> Known:
    field, _ = operands[0]
    if field is None or field.axis != node.params["axis"]:
        return field
    index = node.params["index"]
    if isinstance(index, Mapping):
        return field.seen(index["start"], index["start"], index["step"])
    slope = _slope(index)
    rests = [place - slope * q for q, place in enumerate(index)]
    return field.seen(min(rests), max(rests), slope)


def _slope(index: Sequence[int]) -> Fraction:
    """The slope of the shortest pattern that repeats in an index; from its first entry to its last where none does."""
    for period in range(1, len(index)):
        rises = {later - sooner for sooner, later in zip(index, index[period:], strict=False)}
        if len(rises) == 1:
            return Fraction(rises.pop(), period)
    return Fraction(0)


def _concat(node: Node, operands: Operands) -> Known:
    axis = node.params["axis"]
    if not any(field is not None and field.axis == axis for field, _ in operands):
        return _joined([field for field, _ in operands])
    place, longest = 0, (0, ALL)
    for field, shape in operands:
        if field is not None and field.axis == axis and shape[axis] > longest[0]:
            longest = shape[axis], field.seen(-place, -place, 1)
        place += shape[axis]
    return longest[1]


def _pad(node: Node, operands: Operands) -> Known:
    field, _ = operands[0]
    if field is None or field.axis != node.params["axis"]:
        return field
    low, base = node.params["low"], node.params["inner"] + 1
    return _stretched(field, low, base, 0, 1)


def _stretched(field: Field, low: int, base: int, reach: int, stride: int) -> Field:
    """Windows of `reach` more cells, `stride` apart, over cells that were pulled `base` apart."""
    return field.seen(Fraction(-low, base), Fraction(reach - low, base), Fraction(stride, base))


def _window(node: Node, operands: Operands) -> Known:
    field, _ = operands[0]
    if any(other is not None for other, _ in operands[1:]):
        return ALL
    if field is None or field.axis is None:
        return field
    for dim in node.params["dims"]:
        if dim["axis"] == field.axis:
            reach = dim["dilation"] * (dim["size"] - 1)
            moved = _stretched(field, dim["low"], dim["base"], reach, dim["stride"])
            return dataclasses.replace(moved, axis=dim["out"])
    return _renamed(field, dict(node.params["kept"]))


def _mix(node: Node, operands: Operands) -> Known:
    mixed, outs = node.params["axes"], node.params["outs"]
    rank = len(operands[0][1])
    others = [axis for axis in range(rank) if axis not in mixed]
    rest = [out for out in range(len(node.shape)) if out not in outs]
    places = dict(zip(others, rest, strict=True))
    return _joined([_renamed(field, places) for field, _ in operands])


def _whole(node: Node, operands: Operands) -> Known:
    if any(other is not None for other, _ in operands[1:]):
        return ALL
    return _renamed(operands[0][0], dict(node.params["kept"]))


RULES: Mapping[str, Callable[[Node, Operands], Known]] = {
    "map": _map,
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "take": _take,
    "concat": _concat,
    "pad": _pad,
    "window": _window,
    "mix": _mix,
    "whole": _whole,
}
"""What depends on what, by operation; of all others every cell depends on everything."""
