"""From a traced program to the kernel's: every primitive of JAX becomes a few operations of the kernel.

This table is trusted: it says of each primitive to which class of functions it belongs. A primitive that is not in it
becomes a function that uses its operands whole, about which the kernel claims nothing once an operand moves.
What depends neither on the images nor on opaque weights is computed, and enters as a constant whose periods are
read off its values.

Over 600 lines, because the table and its translators are one list that is read, and trusted, as a whole.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.axes import ELEMENTWISE
from shiftproof.trace import (
    Equation,
    Literal,
    Program,
    apply,
    interpret,
    known_values,
    open_body,
    scan_counts,
)
from shiftproof_kernel import Node
from shiftproof_kernel import Program as KernelProgram

MAX_ROLLS = 2**20
"""Constants with more entries are not searched for rolls that leave them unchanged."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A kernel program and where its nodes come from.

    Attributes:
        program: what the kernel reasons about; its outputs are those of the traced program.
        nodes: the node of every value that it holds, by number of the value.
        origins: for each node the equation that made it; None for inputs and constants.
        computed: for each output, whether it was computed because it does not depend on the images.
    """

    program: KernelProgram
    nodes: Mapping[int, int]
    origins: tuple[Equation | None, ...]


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that was computed."""

    array: Any


Operand = int | Known


def build_graph(
    program: Program, weights: Sequence[Any], *, opaque: Set[int], spatial_axes: Sequence[int]
) -> Graph:
    """The kernel's program of a traced one.

    Args:
        program: the traced model.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
    """
    known = {n: w for n, w in zip(program.weights, weights, strict=True) if n not in opaque}
    builder = _Builder()
    start: dict[int, Operand] = {
        number: builder.add("weight", (), program.avals[number].shape, {})
        for number in program.weights
        if number in opaque and 0 not in program.avals[number].shape
    }
    images = program.avals[program.images].shape
    start[program.images] = builder.add("input", (), images, {"grid": tuple(spatial_axes)})
    meaning, outputs = builder.translate(program, start, {**known, **program.constants})
    nodes = {n: m for n, m in meaning.items() if isinstance(m, int)}
    numbers = tuple(builder.node(output) for output in outputs)
    return Graph(KernelProgram(tuple(builder.nodes), numbers), nodes, tuple(builder.origins))


class _Builder:
    """Collects nodes; each remembers the equation that is being translated."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.origins: list[Equation | None] = []
        self.equation: Equation | None = None
        self.constants: dict[tuple[int, tuple[int, ...]], tuple[int, Any]] = {}

    def add(
        self, op: str, inputs: Sequence[int], shape: Sequence[int], params: Mapping[str, Any]
    ) -> int:
        source = str(self.equation.site) if self.equation else ""
        sizes = tuple(int(n) for n in shape)
        self.nodes.append(Node(op, tuple(inputs), sizes, params, source))
        self.origins.append(self.equation)
        return len(self.nodes) - 1

    def translate(
        self, program: Program, start: Mapping[int, Operand], known: Mapping[int, Any]
    ) -> tuple[dict[int, Operand], list[Operand]]:
        """Nodes for all that depends on `start`; the rest is computed."""
        unknown = program.depending_on(set(start))
        values = known_values(program, known)
        computed = {n: Known(values.get(n)) for n in program.avals if n not in unknown}

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Operand | None]:
            if eqn.outputs[0] not in unknown:
                return [computed[output] for output in eqn.outputs]
            self.equation = eqn
            given = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
            return self.equation_nodes(
                Call(self, eqn, given, [program.avals[o] for o in eqn.outputs])
            )

        meaning = interpret(program, {**computed, **start}, step)
        self.equation = None
        outputs = [
            Known(o.value) if isinstance(o, Literal) else meaning[o] for o in program.outputs
        ]
        return meaning, outputs

    def equation_nodes(self, call: "Call") -> Sequence[Operand | None]:
        translate = TABLE.get(call.eqn.name, whole)
        empty = any(0 in shape for shape in call.shapes) and call.eqn.name != "concatenate"
        if empty or any(0 in aval.shape for aval in call.results):
            # nothing is claimed of arrays without cells
            return [Known(np.zeros(aval.shape, np.float32)) for aval in call.results]
        return translate(call)

    def shape(self, operand: Operand) -> tuple[int, ...]:
        if isinstance(operand, Known):
            return tuple(np.shape(operand.array))
        return self.nodes[operand].shape

    def node(self, operand: Operand, rank: int | None = None) -> int:
        """The node of an operand; scalars get `rank` axes of length 1 where other operands have that many."""
        if isinstance(operand, Known):
            return self._constant(operand.array, rank)
        if rank and not self.nodes[operand].shape:
            return self.add("reshape", [operand], (1,) * rank, {})
        return operand

    def _constant(self, value: Any, rank: int | None) -> int:
        array = np.asarray(value) if _is_plain(value) else np.zeros(np.shape(value))
        if rank and not array.shape:
            array = array.reshape((1,) * rank)
        key = (id(value), array.shape)
        if key not in self.constants:
            plain = _is_plain(value)
            params = {
                "periods": tuple(
                    _period(array, axis) if plain else n for axis, n in enumerate(array.shape)
                ),
                "rolls": _rolls(array) if plain else (),
            }
            made = self.equation, self.add("constant", (), array.shape, params)
            self.origins[-1] = None
            self.constants[key] = made[1], value  # the value is kept, so that its id stays its own
        return self.constants[key][0]


def _is_plain(value: Any) -> bool:
    dtype = jnp.result_type(value) if not hasattr(value, "dtype") else value.dtype
    return jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def _period(array: np.ndarray, axis: int) -> int:
    """The smallest divisor of the axis with which the values repeat."""
    n = array.shape[axis]
    for period in (p for p in range(1, n) if n % p == 0):
        first = np.take(array, range(period), axis), np.take(array, range(period, 2 * period), axis)
        if _same(*first):
            head, tail = (
                np.take(array, range(n - period), axis),
                np.take(array, range(period, n), axis),
            )
            if _same(head, tail):
                return period
    return n


def _rolls(array: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Joint rolls of two axes that leave the array unchanged (a circulant matrix has one)."""
    if array.ndim < 2 or array.size > MAX_ROLLS:
        return ()
    found = []
    wide = [axis for axis, n in enumerate(array.shape) if n > 1 and _period(array, axis) == n]
    for i, a in enumerate(wide):
        for b in wide[i + 1 :]:
            pair = np.moveaxis(array, (a, b), (0, 1))
            steps = _joint_roll(pair.reshape(*pair.shape[:2], -1))
            if steps:
                found.append(
                    tuple(
                        steps[0] if c == a else steps[1] if c == b else 0 for c in range(array.ndim)
                    )
                )
    return tuple(found)


def _joint_roll(pair: np.ndarray) -> tuple[int, int] | None:
    rows, columns = pair.shape[:2]
    for step in (s for s in range(1, rows) if rows % s == 0):
        moved = pair[-step % rows]
        for shift in range(1, columns):
            if _same(pair[0, shift], moved[0]) and _same(
                np.roll(pair, (step, shift), (0, 1)), pair
            ):
                return step, shift
    return None


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation with its operands, as the translators see it."""

    builder: _Builder
    eqn: Equation
    operands: Sequence[Operand]
    results: Sequence[Any]

    @property
    def params(self) -> Mapping[str, Any]:
        return self.eqn.params

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return [self.builder.shape(operand) for operand in self.operands]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.results[0].shape)

    def node(self, position: int) -> int:
        return self.builder.node(self.operands[position])

    def add(
        self, op: str, inputs: Sequence[int], shape: Sequence[int] | None = None, **params: Any
    ) -> int:
        return self.builder.add(op, inputs, self.shape if shape is None else shape, params)

    def known(self, position: int) -> np.ndarray | None:
        """The operand's values, where they were computed."""
        operand = self.operands[position]
        return np.asarray(operand.array) if isinstance(operand, Known) else None


Translator = Callable[[Call], Sequence[Operand]]


# --- the translators, one per family of primitives ---


def whole(call: Call) -> Sequence[Operand]:
    """Any function of all operands."""
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [call.add("whole", inputs, aval.shape, kept=()) for aval in call.results]


def elementwise(call: Call) -> Sequence[Operand]:
    rank = len(call.shape)
    if call.eqn.name == "mul":
        for position in range(2):
            value = call.known(position)
            if value is not None and not np.any(value):
                return [Known(np.zeros(call.shape))]
    inputs = [call.builder.node(operand, rank) for operand in call.operands]
    return [call.add("map", inputs)]


def same_shape(call: Call) -> Sequence[Operand]:
    """Elementwise where the shape is kept, as when bits are read as another type."""
    return elementwise(call) if call.shapes[0] == call.shape else whole(call)


def passed_on(call: Call) -> Sequence[Operand]:
    """Every operand is a result."""
    return list(call.operands)


def broadcast(call: Call) -> Sequence[Operand]:
    axes = tuple(int(a) for a in call.params["broadcast_dimensions"])
    return [call.add("broadcast", [call.node(0)], axes=axes)]


def reshape(call: Call) -> Sequence[Operand]:
    if call.eqn.name == "reshape" and call.params["dimensions"] is not None:
        return whole(call)
    return [call.add("reshape", [call.node(0)])]


def transpose(call: Call) -> Sequence[Operand]:
    order = tuple(int(a) for a in call.params["permutation"])
    return [call.add("transpose", [call.node(0)], order=order)]


def tile(call: Call) -> Sequence[Operand]:
    (shape,), reps = call.shapes, call.params["reps"]
    apart = [n for r, size in zip(reps, shape, strict=True) for n in (int(r), size)]
    axes = tuple(range(1, 2 * len(shape), 2))
    copies = call.add("broadcast", [call.node(0)], apart, axes=axes)
    return [call.add("reshape", [copies])]


def stack(call: Call) -> Sequence[Operand]:
    axis = int(call.params["axis"])
    shape = (*call.shapes[0][:axis], 1, *call.shapes[0][axis:])
    parts = [call.add("reshape", [call.node(i)], shape) for i in range(len(call.operands))]
    return [call.add("concat", parts, axis=axis)]


def _part(call: Call, node: int, axis: int, start: int, count: int, step: int = 1) -> int:
    """`count` positions of one axis, from `start`; nothing where these are all."""
    shape = list(call.builder.nodes[node].shape)
    if count == shape[axis] and step == 1:
        return node
    shape[axis] = count
    index = {"start": int(start), "step": int(step)}
    return call.add("take", [node], shape, axis=axis, index=index)


def slice_(call: Call) -> Sequence[Operand]:
    node = call.node(0)
    starts, limits = call.params["start_indices"], call.params["limit_indices"]
    strides = call.params["strides"] or (1,) * len(starts)
    for axis, (start, limit, stride) in enumerate(zip(starts, limits, strides, strict=True)):
        count = -(-(limit - start) // stride)
        node = _part(call, node, axis, start, count, stride)
    return [node]


def reverse(call: Call) -> Sequence[Operand]:
    node = call.node(0)
    for axis in call.params["dimensions"]:
        n = call.shape[axis]
        node = _part(call, node, int(axis), n - 1, n, -1)
    return [node]


def split(call: Call) -> Sequence[Operand]:
    starts = np.cumsum([0, *call.params["sizes"]])
    axis, node = int(call.params["axis"]), call.node(0)
    sizes = zip(starts, call.params["sizes"], strict=False)
    return [_part(call, node, axis, int(start), int(count)) for start, count in sizes]


def concatenate(call: Call) -> Sequence[Operand]:
    parts = [call.node(i) for i, shape in enumerate(call.shapes) if 0 not in shape]
    return [call.add("concat", parts, axis=int(call.params["dimension"]))]


def dynamic_slice(call: Call) -> Sequence[Operand]:
    sizes, node = call.params["slice_sizes"], call.node(0)
    starts = [call.known(i) for i in range(1, len(call.operands))]
    if any(start is None for start in starts):
        kept = tuple((a, a) for a, n in enumerate(call.shapes[0]) if n == sizes[a])
        inputs = [call.node(i) for i in range(len(call.operands))]
        return [call.add("whole", inputs, kept=kept)]
    for axis, start in enumerate(starts):
        assert start is not None
        room = call.shapes[0][axis] - sizes[axis]
        node = _part(call, node, axis, min(max(int(start), 0), room), int(sizes[axis]))
    return [node]


def dynamic_update_slice(call: Call) -> Sequence[Operand]:
    """The operand before, the update, the operand behind, joined along the one axis that is updated in part."""
    (outer, inner), starts = call.shapes[:2], [call.known(i) for i in range(2, len(call.operands))]
    partial = [axis for axis, n in enumerate(outer) if inner[axis] != n]
    if not partial:
        return [call.operands[1]]
    if len(partial) > 1 or any(start is None for start in starts):
        return whole(call)
    axis, count = partial[0], inner[partial[0]]
    start = starts[axis]
    assert start is not None
    return [_replaced(call, axis, min(max(int(start), 0), outer[axis] - count))]


def _replaced(call: Call, axis: int, start: int) -> int:
    """Operand 0 with operand 1 put in its place from `start` on."""
    node, update = call.node(0), call.node(1)
    outer, end = call.shapes[0][axis], start + call.shapes[1][axis]
    parts = [_part(call, node, axis, 0, start)] if start else []
    parts.append(update)
    parts += [_part(call, node, axis, end, outer - end)] if end < outer else []
    return call.add("concat", parts, axis=axis)


def pad(call: Call) -> Sequence[Operand]:
    node, value = call.node(0), call.node(1)
    fill = call.known(1)
    zero = fill is not None and not np.any(fill)
    shape = list(call.shapes[0])
    for axis, (low, high, inner) in enumerate(call.params["padding_config"]):
        low, high, inner = int(low), int(high), int(inner)
        if (low, high, inner) != (0, 0, 0):
            shape[axis] += low + high + inner * (shape[axis] - 1)
            params = {"axis": axis, "low": low, "high": high, "inner": inner, "zero": zero}
            node = call.add("pad", [node, value], shape, **params)
    return [node]


def gather(call: Call) -> Sequence[Operand]:
    """With known indices: run on the numbers of the cells, and read off which position each axis takes."""
    if call.known(1) is None:
        return _look_up(call)
    shape = call.shapes[0]
    cells = jnp.arange(math.prod(shape), dtype=jnp.int32).reshape(shape)
    fill = {"fill_value": -1} if "fill_value" in call.params else {}
    probe = dataclasses.replace(call.eqn, params={**call.params, **fill})
    (found,) = apply(probe, [cells, call.known(1)])
    where = np.asarray(found)
    if np.any(where < 0):
        return whole(call)
    positions = np.unravel_index(where, shape)
    node, driven = call.node(0), []
    for axis, position in enumerate(positions):
        varies = [out for out, n in enumerate(where.shape) if n > 1 and _varies(position, out)]
        if len(varies) > 1:
            return whole(call)
        line = np.moveaxis(position, varies[0], 0) if varies else position.reshape(-1, 1)[:1]
        index = tuple(int(i) for i in line.reshape(line.shape[0], -1)[:, 0])
        driven.append(varies[0] if varies else None)
        if index != tuple(range(shape[axis])):
            node = _picked(call, node, axis, index)
    return [_arranged(call, node, driven)]


def _varies(position: np.ndarray, axis: int) -> bool:
    return not np.array_equal(position, np.broadcast_to(position.take([0], axis), position.shape))


def _picked(call: Call, node: int, axis: int, index: tuple[int, ...]) -> int:
    steps = set(np.diff(index).tolist())
    if steps <= {1}:
        return _part(call, node, axis, index[0], len(index))
    shape = list(call.builder.nodes[node].shape)
    shape[axis] = len(index)
    return call.add("take", [node], shape, axis=axis, index=index)


def _arranged(call: Call, node: int, driven: Sequence[int | None]) -> int:
    """Axes of a node where the result has them: axis i goes to `driven[i]`, or has length 1 and is dropped."""
    shape = call.builder.nodes[node].shape
    kept = [i for i, out in enumerate(driven) if out is not None]
    order = sorted(kept, key=lambda i: driven[i])  # type: ignore[arg-type, return-value]
    node = call.add("reshape", [node], [shape[i] for i in kept])
    ranks = {axis: position for position, axis in enumerate(kept)}
    node = call.add(
        "transpose", [node], [shape[i] for i in order], order=tuple(ranks[i] for i in order)
    )
    targets = tuple(driven[i] for i in order)
    return call.add("broadcast", [node], axes=targets)


def _look_up(call: Call) -> Sequence[Operand]:
    """Rows of a table that the indices choose, alike at every position of the indices."""
    numbers = call.params["dimension_numbers"]
    batch = [axis for axis in range(len(call.shape)) if axis not in numbers.offset_dims]
    indices = call.shapes[1]
    if len(batch) != len(indices) - 1 or numbers.operand_batching_dims:
        return whole(call)
    kept = tuple(enumerate(batch))
    return [call.add("whole", [call.node(1), call.node(0)], kept=kept)]


def convolution(call: Call) -> Sequence[Operand]:
    if any((value := call.known(i)) is not None and not np.any(value) for i in range(2)):
        return [Known(np.zeros(call.shape))]
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
    return [call.add("window", inputs, dims=dims, kept=kept, symmetric=False, linear=True)]


def _dim(
    axis: int, out: int, *, size: int, stride: int, padding: Sequence[int], base: int, dilation: int
) -> dict[str, int]:
    values = {"axis": axis, "out": out, "size": size, "stride": stride, "low": padding[0]}
    values |= {"high": padding[1], "base": base, "dilation": dilation}
    return {key: int(value) for key, value in values.items()}


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
        return [
            call.add("window", inputs, dims=dims, kept=kept, symmetric=symmetric, linear=linear)
        ]

    return translate


def reduction(*, symmetric: bool, total: bool = False) -> Translator:
    def translate(call: Call) -> Sequence[Operand]:
        axes = call.params.get("axes", call.params.get("dimensions"))
        params = {
            "axes": tuple(sorted(int(a) for a in axes)),
            "outs": (),
            "symmetric": symmetric,
            "sum": total,
        }
        return [call.add("mix", [call.node(0)], **params)]

    return translate


def _along(call: Call, axes: tuple[int, ...], *, symmetric: Sequence[bool]) -> Sequence[Operand]:
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [
        call.add("mix", inputs, aval.shape, axes=axes, outs=axes, symmetric=any_order, sum=False)
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
    axis = int(call.params.get("axis", len(call.shape) - 1))
    return _along(call, (axis,), symmetric=[True, False])


def fft(call: Call) -> Sequence[Operand]:
    rank = len(call.shape)
    axes = tuple(range(rank - len(call.params["fft_lengths"]), rank))
    return _along(call, axes, symmetric=[False])


def contraction(call: Call) -> Sequence[Operand]:
    """Products of all pairs, summed over the contracted axes."""
    if any((value := call.known(i)) is not None and not np.any(value) for i in range(2)):
        return [Known(np.zeros(call.shape))]
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
    products = call.add("map", spread, shape)
    last = tuple(range(len(shape) - len(left_c), len(shape)))
    if not last:
        return [products]
    return [call.add("mix", [products], axes=last, outs=(), symmetric=True, sum=True)]


def _spread(call: Call, node: int, places: Sequence[int | None], shape: Sequence[int]) -> int:
    """A node with its axes where `places` names them, repeated along the others."""
    own = call.builder.nodes[node].shape
    order = tuple(int(a) for a in places if a is not None)
    if order != tuple(range(len(own))):
        node = call.add("transpose", [node], [own[a] for a in order], order=order)
    targets = tuple(i for i, a in enumerate(places) if a is not None)
    return (
        node if len(targets) == len(shape) else call.add("broadcast", [node], shape, axes=targets)
    )


def scan(call: Call) -> Sequence[Operand]:
    constants, carries = scan_counts(call.eqn)
    body = _body(open_body(call.params["jaxpr"]), call.shapes, stacked=constants + carries)
    return _loop(call, body, None, constants, carries)


def while_(call: Call) -> Sequence[Operand]:
    p = call.params
    tested, used = p["cond_nconsts"], p["body_nconsts"]
    carries = len(call.operands) - tested - used
    state = call.shapes[tested + used :]
    body = _body(open_body(p["body_jaxpr"]), call.shapes[tested:], gap=(0, call.shapes[:tested]))
    test = _body(
        open_body(p["cond_jaxpr"]),
        [*call.shapes[:tested], *state],
        gap=(tested, call.shapes[tested : tested + used]),
    )
    return _loop(call, body, test, tested + used, carries)


def _loop(
    call: Call, body: KernelProgram, test: KernelProgram | None, constants: int, carries: int
) -> Sequence[Operand]:
    inputs = [call.node(i) for i in range(len(call.operands))]
    params = {"body": body, "test": test, "constants": constants, "carries": carries}
    return [
        call.add("loop", inputs, aval.shape, **params, result=i)
        for i, aval in enumerate(call.results)
    ]


def cond(call: Call) -> Sequence[Operand]:
    bodies = tuple(_body(open_body(b), call.shapes[1:]) for b in call.params["branches"])
    inputs = [call.node(i) for i in range(len(call.operands))]
    return [
        call.add("branch", inputs, aval.shape, bodies=bodies, result=i)
        for i, aval in enumerate(call.results)
    ]


def _body(
    program: Program,
    shapes: Sequence[tuple[int, ...]],
    *,
    stacked: int | None = None,
    gap: tuple[int, Sequence[tuple[int, ...]]] = (0, ()),
) -> KernelProgram:
    """The kernel's program of a body.

    Args:
        program: the body, from `open_body`.
        shapes: of its operands; those from number `stacked` on lose their first axis.
        stacked: the first operand of which a round sees one slice.
        gap: position and shapes of operands of the loop that this body does not use.
    """
    builder = _Builder()
    start: dict[int, Operand] = {}
    for position, (number, shape) in enumerate(zip(program.weights, shapes, strict=True)):
        if position == gap[0]:
            for other in gap[1]:
                builder.add("input", (), other, {"grid": ()})
        own = shape[1:] if stacked is not None and position >= stacked else shape
        start[number] = builder.add("input", (), own, {"grid": ()})
    _, outputs = builder.translate(program, start, program.constants)
    numbers = tuple(builder.node(output) for output in outputs)
    return KernelProgram(tuple(builder.nodes), numbers)


FURTHER = frozenset(
    """
    acosh bessel_j0 bessel_j1 clz complex conj copy_p erf_inv igamma_grad_a is_finite mul_add
    nextafter polygamma random_gamma_grad reduce_precision round sinc sinpi zeta
    """.split()
)
"""Elementwise primitives that no other part of the package needs."""

TABLE: Mapping[str, Translator] = {
    **dict.fromkeys(ELEMENTWISE | FURTHER, elementwise),
    "bitcast_convert_type": same_shape,
    "optimization_barrier": passed_on,
    "broadcast_in_dim": broadcast,
    **dict.fromkeys(("expand_dims", "reshape", "squeeze"), reshape),
    "transpose": transpose,
    "tile": tile,
    "stack": stack,
    "slice": slice_,
    "rev": reverse,
    "split": split,
    "concatenate": concatenate,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "pad": pad,
    "gather": gather,
    "conv_general_dilated": convolution,
    "reduce_window_max": pooling(symmetric=True),
    "reduce_window_min": pooling(symmetric=True),
    "reduce_window_sum": pooling(symmetric=True, linear=True),
    "reduce_window": pooling(symmetric=False),
    **dict.fromkeys(
        "reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_xor".split(),
        reduction(symmetric=True),
    ),
    "reduce_sum": reduction(symmetric=True, total=True),
    **dict.fromkeys(("argmax", "argmin"), reduction(symmetric=False)),
    **dict.fromkeys(("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum"), running),
    "sort": sort,
    "top_k": top_k,
    "fft": fft,
    "dot_general": contraction,
    "scan": scan,
    "while": while_,
    "cond": cond,
}
"""Every primitive that has a translation; all others are used whole."""
