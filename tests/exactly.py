"""Traced programs evaluated in true numbers: an independent reading of each primitive, for small images.

    start, outputs = given(program, weights), evaluate(program, start | {program.images: image}, leaf)

Values are NumPy arrays of cells (see `exact_numbers`). Over the reals floats have no format: casts between floats, and
roundings to fewer bits, are the identity; machine integers wrap; constants are what the program computes of them. It
shares nothing with the algebras of the package but the traced program: primitives are read here once more, from their
definition by XLA, in NumPy and Python. What has no reading here is run by JAX where it is about integers, and is
unknown elsewhere.

Over 600 lines, because it is one list of primitives.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import exact_numbers as numbers
import jax
import jax.numpy as jnp
import numpy as np
from exact_numbers import INF, RATIONAL, Complex, Number, Unknown
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    apply,
    known_values,
    open_body,
    scan_counts,
)

Cells = np.ndarray
"""An array of cells; random keys are arrays of JAX."""

MOST_ROUNDS = 500
"""Of a loop whose end is not known."""


# --- arrays of cells ---


def exact(array: Any) -> Any:
    """The numbers that an array holds; random keys as they are."""
    if jnp.issubdtype(jnp.result_type(array), jax.dtypes.extended):
        return array
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":  # bfloat16 and its like
        array = array.astype(np.float64)
    return each(numbers.exact, array)


def each(function: Callable[..., Number], *arrays: Any) -> Cells:
    """A function, cell by cell."""
    made = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return filled((), made) if np.ndim(made) == 0 else made


def filled(shape: Sequence[int], number: Number) -> Cells:
    """One number everywhere."""
    array = np.empty(tuple(shape), object)
    array.fill(number)
    return array


def fold(function: Callable[[Number, Number], Number], cells: Cells, axis: int) -> Cells:
    """The cells of an axis, combined one after the other; there is at least one."""
    rows = np.moveaxis(cells, axis, 0)
    return functools.reduce(functools.partial(each, function), rows[1:], _array(rows[0]))


def _array(value: Any) -> Cells:
    return value if isinstance(value, np.ndarray) else filled((), value)


def is_rational(*arrays: Cells) -> bool:
    """Whether every cell is a rational number."""
    return all(type(cell) in RATIONAL for array in arrays for cell in array.flat)


def product(a: Cells, b: Cells) -> Cells:
    """The matrix product of (m, k) and (k, n)."""
    if is_rational(a, b) and a.shape[1]:
        return each(numbers.short, np.dot(a, b))
    made = filled((a.shape[0], b.shape[1]), 0)
    for i, j, k in itertools.product(*map(range, (*made.shape, a.shape[1]))):
        made[i, j] = numbers.add(made[i, j], numbers.mul(a[i, k], b[k, j]))
    return made


# --- equations ---


@dataclasses.dataclass(frozen=True)
class Call:
    """An equation with its operands.

    Attributes:
        eqn: the equation.
        operands: arrays of cells.
        types: shape and dtype of each operand.
        results: shape and dtype of each result.
    """

    eqn: Equation
    operands: Sequence[Any]
    types: Sequence[Any]
    results: Sequence[Any]

    def __getitem__(self, parameter: str) -> Any:
        return self.eqn.params[parameter]

    @property
    def dtype(self) -> Any:
        """Of the first result."""
        return self.results[0].dtype

    def unknown(self, why: str) -> list[Cells]:
        """Results of which nothing is known."""
        return [filled(aval.shape, Unknown(f"{self.eqn.name}: {why}")) for aval in self.results]


def whole(call: Call, position: int) -> np.ndarray | None:
    """An operand of integers; None where some are unknown."""
    cells = call.operands[position]
    if any(type(cell) is Unknown for cell in cells.flat):
        return None
    return cells.astype(np.int64)


def wrapped(cells: Cells, dtype: Any) -> Cells:
    """Integers as machine integers; all else as it is."""
    if not jnp.issubdtype(dtype, np.integer):
        return cells
    info = jnp.iinfo(dtype)
    size, low = 2**info.bits, int(info.min)
    return each(lambda x: x if type(x) is Unknown else (int(x) - low) % size + low, cells)


def given(program: Program, weights: Sequence[Any]) -> dict[int, Any]:
    """The numbers of weights and constants, and what the program computes of constants alone, in its own format."""
    found = {**program.constants, **known_values(program, program.constants)}
    found |= dict(zip(program.weights, weights, strict=True))
    return {number: exact(value) for number, value in found.items()}


def evaluate(program: Program, start: Mapping[int, Any], wanted: Sequence[int | Literal]) -> list:
    """Values of a program.

    Args:
        program: the traced model, or a body.
        start: its inputs and whatever is known of it.
        wanted: which values.
    """
    values = dict(start)
    needed = {o for o in wanted if isinstance(o, int)} - values.keys()
    chosen = []
    for eqn in reversed(program.equations):
        if needed.intersection(eqn.outputs):
            chosen.append(eqn)
            needed.update(o for o in eqn.inputs if isinstance(o, int) and o not in values)
    for eqn in reversed(chosen):
        results = run(_call(program, eqn, values))
        values.update((n, r) for n, r in zip(eqn.outputs, results, strict=True))
    return [exact(o.value) if isinstance(o, Literal) else values[o] for o in wanted]


def _call(program: Program, eqn: Equation, values: Mapping[int, Any]) -> Call:
    operands, types = [], []
    for o in eqn.inputs:
        is_literal = isinstance(o, Literal)
        operands.append(exact(o.value) if is_literal else values[o])
        dtype = jnp.result_type(o.value) if is_literal else None
        types.append(jax.ShapeDtypeStruct((), dtype) if is_literal else program.avals[o])
    return Call(eqn, operands, types, [program.avals[n] for n in eqn.outputs])


def run(call: Call) -> Sequence[Any]:
    """The results of one equation."""
    keys = any(jnp.issubdtype(t.dtype, jax.dtypes.extended) for t in (*call.types, *call.results))
    rule = RULES.get(call.eqn.name)
    if keys or rule is None or not call.operands:
        return machine(call)
    made = rule(call)
    assert [m.shape for m in made] == [r.shape for r in call.results], call.eqn.name
    return [wrapped(cells, aval.dtype) for cells, aval in zip(made, call.results, strict=True)]


def machine(call: Call) -> Sequence[Any]:
    """What JAX itself computes: of integers, truths, keys, bits; of nothing else."""
    arrays = []
    for cells, aval in zip(call.operands, call.types, strict=True):
        if jnp.issubdtype(aval.dtype, jax.dtypes.extended):
            arrays.append(cells)
            continue
        if jnp.issubdtype(aval.dtype, np.inexact):
            return call.unknown("no reading")
        if any(type(cell) is Unknown for cell in cells.flat):
            return call.unknown("of what is unknown")
        arrays.append(jnp.asarray(cells.astype(np.int64).astype(aval.dtype)))
    with jax.enable_x64(True):
        made = apply(call.eqn, arrays)
    return [exact(array) for array in made]


def function_of(closed: Any) -> Callable[..., list[Any]]:
    """A body as a function of its inputs."""
    body = open_body(closed)

    def call(*inputs: Any) -> list[Any]:
        start = {number: exact(value) for number, value in body.constants.items()}
        start |= dict(zip(body.weights, inputs, strict=True))
        return evaluate(body, start, body.outputs)

    return call


def _of_two(body: Any, constants: Sequence[Any]) -> Callable[[Number, Number], Number]:
    """A body as a function of two cells."""
    inner = function_of(ClosedJaxpr(body, constants) if isinstance(body, Jaxpr) else body)
    return lambda a, b: inner(filled((), a), filled((), b))[0][()]


# --- cell by cell ---


def quotient(dtype: Any) -> Callable[[Number, Number], Number]:
    """Of machine integers towards zero, and -1 of a division by 0; of all else as it is."""
    if not jnp.issubdtype(dtype, np.integer):
        return numbers.div

    def divide(a: Number, b: Number) -> Number:
        if found := numbers.doubt(a, b):
            return found
        return math.trunc(Fraction(a, b)) if b else -1

    return divide


def remainder(dtype: Any) -> Callable[[Number, Number], Number]:
    """With the sign of the dividend, which it is for a machine integer divided by 0."""
    if not jnp.issubdtype(dtype, np.integer):
        return numbers.lifted("rem", numbers.remainder)

    def divide(a: Number, b: Number) -> Number:
        if found := numbers.doubt(a, b):
            return found
        return a - b * math.trunc(Fraction(a, b)) if b else a

    return divide


def logic(combine: Callable[..., int]) -> Callable[..., Number]:
    """Of truths, or of the bits of integers."""

    def function(*operands: Number) -> Number:
        if found := numbers.doubt(*operands):
            return found
        return combine(*operands)

    return function


def complement(a: Number) -> Number:
    return not a if type(a) is bool else ~a


def clamped(low: Number, x: Number, high: Number) -> Number:
    return numbers.smaller(numbers.greater(x, low), high)


def finite(a: Number) -> Number:
    return a if type(a) is Unknown else type(a) is not float


def conjugate(a: Number) -> Number:
    re, im = numbers.parts(a)
    return a if type(a) is Unknown else Complex(re, numbers.neg(im))


def part(position: int) -> Callable[[Number], Number]:
    return lambda a: a if type(a) is Unknown else numbers.parts(a)[position]


CELLWISE: Mapping[str, Callable[..., Number]] = {
    "abs": numbers.absolute,
    "add": numbers.add,
    "add_any": numbers.add,
    "and": logic(lambda a, b: a & b),
    "atan2": numbers.lifted("atan2", numbers.angle),
    "ceil": numbers.ceil,
    "clamp": clamped,
    "complex": numbers.lifted("complex", Complex),
    "conj": conjugate,
    "floor": numbers.floor,
    "imag": part(1),
    "is_finite": finite,
    "max": numbers.greater,
    "min": numbers.smaller,
    "mul": numbers.mul,
    "neg": numbers.neg,
    "not": logic(complement),
    "or": logic(lambda a, b: a | b),
    "pow": numbers.lifted("pow", numbers.power),
    "real": part(0),
    "select_n": numbers.select,
    "sign": numbers.sign,
    "square": lambda a: numbers.integer_power(a, 2),
    "sub": numbers.sub,
    "xor": logic(lambda a, b: a ^ b),
    **{name: numbers.function(name) for name in numbers.AT},
}


def cellwise(call: Call) -> list[Cells]:
    return [each(CELLWISE[call.eqn.name], *call.operands)]


COMPARED: Mapping[str, Callable[[Number, Number], Number]] = {
    "eq": numbers.eq,
    "ge": lambda a, b: complement_of(numbers.lt(a, b)),
    "gt": lambda a, b: numbers.lt(b, a),
    "le": lambda a, b: complement_of(numbers.lt(b, a)),
    "lt": numbers.lt,
    "ne": lambda a, b: complement_of(numbers.eq(a, b)),
}


def complement_of(truth: Number) -> Number:
    return truth if type(truth) is Unknown else not truth


def compared(call: Call) -> list[Cells]:
    """A value is itself, known or not; what is no number at all is unknown."""
    name = call.eqn.name
    first, second = call.eqn.inputs
    if isinstance(first, int) and first == second:
        same = name in ("eq", "ge", "le")
        return [each(lambda a: a if type(a) is Unknown else same, call.operands[0])]
    return [each(COMPARED[name], *call.operands)]


def divided(call: Call) -> list[Cells]:
    return [each(quotient(call.dtype), *call.operands)]


def rem(call: Call) -> list[Cells]:
    return [each(remainder(call.dtype), *call.operands)]


def integer_pow(call: Call) -> list[Cells]:
    return [each(lambda a: numbers.integer_power(a, call["y"]), call.operands[0])]


def rounded(call: Call) -> list[Cells]:
    away = call["rounding_method"] == lax.RoundingMethod.AWAY_FROM_ZERO
    return [each(numbers.nearest_away if away else numbers.nearest_even, call.operands[0])]


def same(call: Call) -> Sequence[Cells]:
    return call.operands


def converted(call: Call) -> list[Cells]:
    """Floats have no format; integers are cut off, and must fit."""
    cells, source, target = call.operands[0], call.types[0].dtype, call.dtype
    if jnp.issubdtype(target, np.bool_):
        return [each(lambda a: complement_of(numbers.eq(a, 0)), cells)]
    if jnp.issubdtype(target, np.integer) and jnp.issubdtype(source, np.inexact):
        info = jnp.iinfo(target)

        def cut(a: Number) -> Number:
            whole = numbers.truncated(a)
            fits = type(whole) is int and info.min <= whole <= info.max
            return whole if fits or type(whole) is Unknown else Unknown("a cast out of range")

        return [each(cut, cells)]
    if jnp.issubdtype(source, np.complexfloating) and not jnp.issubdtype(
        target, np.complexfloating
    ):
        return [each(part(0), cells)]
    return [each(lambda a: int(a) if type(a) is bool else a, cells)]


def bits_of(call: Call) -> Sequence[Cells]:
    """Of integers; what is irrational, or moves, has no bits."""
    if jnp.issubdtype(call.types[0].dtype, np.inexact):
        return call.unknown("bits of a real number")
    return machine(call)


# --- places ---


def broadcast(call: Call) -> list[Cells]:
    (cells,), shape = call.operands[:1], call["shape"]
    inner = [1] * len(shape)
    for axis, place in enumerate(call["broadcast_dimensions"]):
        inner[place] = cells.shape[axis]
    return [np.broadcast_to(cells.reshape(inner), shape)]


def reshaped(call: Call) -> list[Cells]:
    cells, order = call.operands[0], call["dimensions"]
    turned = cells if order is None else np.transpose(cells, order)
    return [turned.reshape(call["new_sizes"])]


def sliced(call: Call) -> list[Cells]:
    steps = call["strides"] or (1,) * call.operands[0].ndim
    ends = zip(call["start_indices"], call["limit_indices"], steps, strict=True)
    return [call.operands[0][tuple(slice(*end) for end in ends)]]


def padded(call: Call) -> list[Cells]:
    cells, value = call.operands
    for axis, (low, high, inner) in enumerate(call["padding_config"]):
        n = cells.shape[axis]
        places = np.arange(n) * (inner + 1) + low
        size = low + high + n + max(n - 1, 0) * inner
        kept = (places >= 0) & (places < size)
        rows = filled((size, *np.delete(cells.shape, axis)), value[()])
        rows[places[kept]] = np.moveaxis(cells, axis, 0)[kept]
        cells = np.moveaxis(rows, 0, axis)
    return [cells]


def dynamic_slice(call: Call) -> list[Cells]:
    cells = call.operands[0]
    starts = _starts(call, 1, cells.shape, call["slice_sizes"])
    if starts is None:
        return call.unknown("at unknown places")
    return [cells[_box(starts, call["slice_sizes"])]]


def dynamic_update_slice(call: Call) -> list[Cells]:
    cells, update = call.operands[0].copy(), call.operands[1]
    starts = _starts(call, 2, cells.shape, update.shape)
    if starts is None:
        return call.unknown("at unknown places")
    cells[_box(starts, update.shape)] = update
    return [cells]


def _starts(call: Call, first: int, shape: Sequence[int], sizes: Sequence[int]) -> Any:
    """Where a box begins, moved inside; None where that is unknown."""
    starts = [call.operands[i][()] for i in range(first, len(call.operands))]
    if any(type(start) is Unknown for start in starts):
        return None
    room = [n - size for n, size in zip(shape, sizes, strict=True)]
    return [min(max(int(s), 0), r) for s, r in zip(starts, room, strict=True)]


def _box(starts: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(int(s), int(s) + int(n)) for s, n in zip(starts, sizes, strict=True))


Mode = lax.GatherScatterMode


def _place(starts: Sequence[int], shape: Sequence[int], sizes: Sequence[int], mode: Any) -> Any:
    """Where a window begins; None where it is outside and dropped."""
    room = [n - size for n, size in zip(shape, sizes, strict=True)]
    inside = all(0 <= s <= r for s, r in zip(starts, room, strict=True))
    if not inside and Mode.from_any(mode) == Mode.CLIP:
        return [min(max(s, 0), r) for s, r in zip(starts, room, strict=True)]
    return starts if inside else None


def _fill(call: Call) -> Number:
    """What JAX gives outside."""
    if call["fill_value"] is not None:
        return numbers.exact(np.asarray(call["fill_value"]).astype(call.dtype)[()])
    if jnp.issubdtype(call.dtype, np.inexact):
        return Unknown("gather outside")
    if jnp.issubdtype(call.dtype, np.bool_):
        return True
    info = jnp.iinfo(call.dtype)
    return int(info.min) if info.min < 0 else int(info.max)


def gather(call: Call) -> list[Cells]:
    cells, indices = call.operands[0], whole(call, 1)
    if indices is None:
        return call.unknown("at unknown places")
    how, sizes = call["dimension_numbers"], call["slice_sizes"]
    dropped = {*how.collapsed_slice_dims, *how.operand_batching_dims}
    inner = tuple(n for axis, n in enumerate(sizes) if axis not in dropped)
    outer = indices.shape[:-1]
    made = filled((*outer, *inner), _fill(call))
    for at in np.ndindex(*outer):
        starts = [0] * cells.ndim
        for axis, value in zip(how.start_index_map, indices[at], strict=True):
            starts[axis] = int(value)
        batches = zip(how.operand_batching_dims, how.start_indices_batching_dims, strict=True)
        for axis, place in batches:
            starts[axis] = at[place]
        found = _place(starts, cells.shape, sizes, call["mode"])
        if found is not None:
            made[at] = cells[_box(found, sizes)].reshape(inner)[()]
    rank = made.ndim
    batch = [axis for axis in range(rank) if axis not in how.offset_dims]
    order = np.argsort([*batch, *how.offset_dims])
    return [np.transpose(made, order)]


def scatter(combine: Callable[[Number, Number], Number] | None) -> Callable[[Call], list[Cells]]:
    """One update after the other, combined with what is there; None for the program's own function."""

    def rule(call: Call) -> list[Cells]:
        cells, indices, updates = call.operands[0].copy(), whole(call, 1), call.operands[2]
        if indices is None:
            return call.unknown("at unknown places")
        function = combine or _update_of(call)
        if function is None:
            return call.unknown("by a function that is not read")
        how = call["dimension_numbers"]
        dropped = {*how.inserted_window_dims, *how.operand_batching_dims}
        kept = [axis for axis in range(cells.ndim) if axis not in dropped]
        sizes = [1] * cells.ndim
        for axis, place in zip(kept, how.update_window_dims, strict=True):
            sizes[axis] = updates.shape[place]
        outer = [axis for axis in range(updates.ndim) if axis not in how.update_window_dims]
        rows = np.transpose(updates, (*outer, *how.update_window_dims))
        for at in np.ndindex(*indices.shape[:-1]):
            starts = [0] * cells.ndim
            for axis, value in zip(how.scatter_dims_to_operand_dims, indices[at], strict=True):
                starts[axis] = int(value)
            batches = zip(how.operand_batching_dims, how.scatter_indices_batching_dims, strict=True)
            for axis, place in batches:
                starts[axis] = at[place]
            found = _place(starts, cells.shape, sizes, call["mode"])
            if found is not None:
                box = _box(found, sizes)
                row = _array(rows[at]).reshape(sizes)
                cells[box] = wrapped(each(function, cells[box], row), call.dtype)
        return [cells]

    return rule


def _update_of(call: Call) -> Callable[[Number, Number], Number] | None:
    """The function of a scatter: the last one written, or a body of its own."""
    body = call["update_jaxpr"]
    if body is None:
        return lambda old, new: new
    return _of_two(body, call["update_consts"])


# --- sums, products, extrema, along axes and in windows ---


def least(dtype: Any) -> Number:
    """The neutral element of a maximum."""
    if jnp.issubdtype(dtype, np.bool_):
        return False
    return -INF if jnp.issubdtype(dtype, np.inexact) else int(jnp.iinfo(dtype).min)


def most(dtype: Any) -> Number:
    """The neutral element of a minimum."""
    if jnp.issubdtype(dtype, np.bool_):
        return True
    return INF if jnp.issubdtype(dtype, np.inexact) else int(jnp.iinfo(dtype).max)


NEUTRAL: Mapping[str, Callable[[Any], Number]] = {
    "add": lambda dtype: 0,
    "and": lambda dtype: True if jnp.issubdtype(dtype, np.bool_) else -1,
    "max": least,
    "min": most,
    "mul": lambda dtype: 1,
    "or": lambda dtype: False if jnp.issubdtype(dtype, np.bool_) else 0,
    "xor": lambda dtype: False if jnp.issubdtype(dtype, np.bool_) else 0,
}


def reduction(name: str) -> Callable[[Call], list[Cells]]:
    """All cells of some axes combined."""

    def rule(call: Call) -> list[Cells]:
        cells = call.operands[0]
        for axis in sorted(call["axes"], reverse=True):
            empty = cells.shape[axis] == 0
            neutral = filled(np.delete(cells.shape, axis), NEUTRAL[name](call.dtype))
            cells = neutral if empty else fold(CELLWISE[name], cells, axis)
        return [cells]

    return rule


def running(function: Callable[[Number, Number], Number]) -> Callable[[Call], list[Cells]]:
    """Combined with all that comes before."""

    def rule(call: Call) -> list[Cells]:
        rows = np.moveaxis(call.operands[0], call["axis"], 0)
        rows = rows[::-1] if call["reverse"] else rows
        made = list(
            itertools.accumulate(rows, lambda a, b: wrapped(each(function, a, b), call.dtype))
        )
        stacked = np.stack(list(map(_array, made[::-1] if call["reverse"] else made)))
        return [np.moveaxis(stacked, 0, call["axis"])]

    return rule


def log_add_exp(a: Number, b: Number) -> Number:
    exp, log = numbers.function("exp"), numbers.function("log")
    return log(numbers.add(exp(a), exp(b)))


def extreme_place(sign: int) -> Callable[[Call], list[Cells]]:
    """The first place of the greatest cell, or of the smallest one."""

    def first(cells: Sequence[Number]) -> Number:
        best = 0
        for i in range(1, len(cells)):
            order = numbers.lt(*((cells[best], cells[i])[::sign]))
            if type(order) is Unknown:
                return order
            best = i if order else best
        return best

    def rule(call: Call) -> list[Cells]:
        (axis,) = call["axes"]
        rows = np.moveaxis(call.operands[0], axis, -1)
        made = np.empty(rows.shape[:-1], object)
        for at in np.ndindex(*made.shape):
            made[at] = first(list(rows[at]))
        return [made]

    return rule


def windows(
    shape: Sequence[int],
    sizes: Sequence[int],
    *,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base: Sequence[int],
    dilation: Sequence[int],
) -> np.ndarray:
    """For each place of a window the cells that it sees: (*places, *sizes), flat indices, -1 where there is none."""
    flat = np.zeros((), np.int64)
    seen = np.ones((), bool)
    for n, size, stride, (low, high), b, d in zip(
        shape, sizes, strides, padding, base, dilation, strict=True
    ):
        long = max(n - 1, 0) * b + (n > 0) + low + high
        count = max((long - (size - 1) * d - 1) // stride + 1, 0)
        at = np.arange(count)[:, None] * stride + np.arange(size) * d - low
        own = (at >= 0) & (at % b == 0) & (at // b < n)
        rank = flat.ndim // 2
        spread = (*[slice(None)] * rank, None, *[slice(None)] * rank, None)
        place = own.reshape(count, *[1] * rank, size)
        flat = flat[spread] * n + (at // b).reshape(place.shape)
        seen = seen[spread] & place
    return np.where(seen, flat, -1)


def _windows_of(call: Call) -> np.ndarray:
    sizes = call["window_dimensions"]
    ones = (1,) * len(sizes)
    return windows(
        call.operands[0].shape,
        sizes,
        strides=call["window_strides"],
        padding=call["padding"],
        base=call["base_dilation"] or ones,
        dilation=call["window_dilation"] or ones,
    )


def window_fold(
    call: Call, function: Callable[[Number, Number], Number], start: Number, *, holes: bool
) -> list[Cells]:
    """The cells of each window combined; holes hold the start value too, where they count."""
    places, cells = _windows_of(call), call.operands[0].ravel()
    rank = call.operands[0].ndim
    made = filled(places.shape[:rank], start)
    for at in np.ndindex(*made.shape):
        seen = places[at].ravel()
        values = [cells[i] if i >= 0 else start for i in seen if i >= 0 or holes]
        made[at] = functools.reduce(function, values, start)
    return [made]


def named_window(name: str) -> Callable[[Call], list[Cells]]:
    def rule(call: Call) -> list[Cells]:
        return window_fold(call, CELLWISE[name], NEUTRAL[name](call.dtype), holes=False)

    return rule


def own_window(call: Call) -> list[Cells]:
    """A function of the program's own, with a start value that fills the holes."""
    if len(call.operands) != 2:
        return call.unknown("of several operands")
    combine = _of_two(call["jaxpr"], call["consts"])
    return window_fold(call, combine, call.operands[1][()], holes=True)


def dot(call: Call) -> list[Cells]:
    left, right = call.operands
    (left_sum, right_sum), (left_batch, right_batch) = call["dimension_numbers"]
    left_free = [a for a in range(left.ndim) if a not in (*left_sum, *left_batch)]
    right_free = [a for a in range(right.ndim) if a not in (*right_sum, *right_batch)]
    batch = [left.shape[a] for a in left_batch]
    count = math.prod(left.shape[a] for a in left_sum)
    outer = [left.shape[a] for a in left_free], [right.shape[a] for a in right_free]
    sizes = [math.prod(shape) for shape in (batch, *outer)]
    a = np.transpose(left, (*left_batch, *left_free, *left_sum)).reshape(sizes[0], sizes[1], count)
    b = np.transpose(right, (*right_batch, *right_sum, *right_free))
    b = b.reshape(sizes[0], count, sizes[2])
    made = np.empty(sizes, object)
    for i in range(sizes[0]):
        made[i] = product(a[i], b[i])
    return [made.reshape(*batch, *outer[0], *outer[1])]


def convolution(call: Call) -> list[Cells]:
    how = call["dimension_numbers"]
    images = np.transpose(call.operands[0], how.lhs_spec)
    kernel = np.transpose(call.operands[1], how.rhs_spec)
    rank, (features, channels), taps = images.ndim - 2, kernel.shape[:2], kernel.shape[2:]
    places = windows(
        images.shape[2:],
        taps,
        strides=call["window_strides"],
        padding=call["padding"],
        base=call["lhs_dilation"],
        dilation=call["rhs_dilation"],
    )
    outer = places.shape[:rank]
    seen = places.reshape(math.prod(outer), math.prod(taps))
    groups, batches = call["feature_group_count"], call["batch_group_count"]
    count = images.shape[0] // batches
    made = np.empty((count, features, len(seen)), object)
    flat = images.reshape(*images.shape[:2], -1)
    holed = np.concatenate([flat, filled((*flat.shape[:2], 1), 0)], -1)  # -1 is the last one
    each_group = features // (groups * batches)
    for group in range(groups * batches):
        own = slice(group * each_group, (group + 1) * each_group)
        first = (group % groups) * channels
        rows = kernel[own].reshape(each_group, -1)
        for n in range(count):
            patches = holed[(group // groups) * count + n, first : first + channels][:, seen]
            columns = np.moveaxis(patches, 1, -1).reshape(-1, len(seen))
            made[n, own] = product(rows, columns)
    result = made.reshape(count, features, *outer)
    return [np.transpose(result, np.argsort(how.out_spec))]


# --- order ---


def sort(call: Call) -> list[Cells]:
    """By the first keys; equals stay in their order. One operand alone is sorted by both ends of its intervals."""
    axis, keys = call["dimension"], call["num_keys"]
    rows = [np.moveaxis(cells, axis, -1) for cells in call.operands]
    made = [np.empty(row.shape, object) for row in rows]
    for at in np.ndindex(*rows[0].shape[:-1]):
        order = _order(list(zip(*(row[at] for row in rows[:keys]), strict=True)))
        for row, result in zip(rows, made, strict=True):
            if order is not None:
                result[at] = row[at][order]
            elif len(rows) == 1:
                result[at] = _by_ends(row[at])
            else:
                result[at] = filled(row[at].shape, Unknown("sort of ties"))
    return [np.moveaxis(result, -1, axis) for result in made]


class _Tie(Exception):
    """An order that cannot be said."""


def _order(keys: Sequence[Sequence[Number]]) -> list[int] | None:
    """The places in ascending order; None where it cannot be said."""

    def before(i: int, j: int) -> int:
        for a, b in zip(keys[i], keys[j], strict=True):
            if numbers.doubt(a, b) or Complex in (type(a), type(b)):
                raise _Tie
            order = numbers.compare(a, b)
            if order is None:
                raise _Tie
            if order:
                return order
        return 0

    try:
        return sorted(range(len(keys)), key=functools.cmp_to_key(before))
    except _Tie:
        return None


def _by_ends(cells: Cells) -> Cells:
    """Sorted intervals: the lower ends in order, and the upper ones."""
    made = np.empty(len(cells), object)
    if any(type(cell) in (Unknown, Complex, float) for cell in cells):
        return filled(cells.shape, Unknown("sort of what is unknown"))
    ends = [
        sorted(map(numbers.mp.make_mpf, e)) for e in zip(*map(numbers.span, cells), strict=True)
    ]
    for i, (low, high) in enumerate(zip(*ends, strict=True)):
        made[i] = numbers.Span(low._mpf_, high._mpf_)
    return made


def top(call: Call) -> list[Cells]:
    """The greatest first; of equals the one that comes first."""
    axis = call["axis"] if "axis" in call.eqn.params else -1
    rows = np.moveaxis(call.operands[0], axis, -1)
    made = [np.empty((*rows.shape[:-1], call["k"]), object) for _ in range(2)]
    for at in np.ndindex(*rows.shape[:-1]):
        order = _order([(numbers.neg(cell),) for cell in rows[at]])
        if order is not None:
            made[0][at], made[1][at] = rows[at][order][: call["k"]], order[: call["k"]]
        else:
            made[0][at] = _by_ends(rows[at])[::-1][: call["k"]]
            made[1][at] = filled((call["k"],), Unknown("top_k of ties"))
    return [np.moveaxis(result, -1, axis) for result in made]


# --- spectra ---


def _cosine(k: int, n: int) -> Number:
    """cos(2 pi k / n), rational where it is."""
    twelfths = Fraction(12 * k, n) % 12
    table = {
        0: 1,
        2: Fraction(1, 2),
        3: 0,
        4: Fraction(-1, 2),
        6: -1,
        8: Fraction(-1, 2),
        9: 0,
        10: Fraction(1, 2),
    }
    if twelfths in table:
        return table[twelfths]
    mp = numbers.mp
    return numbers.enlarged([mp.cos(2 * mp.pi * k / n)])


def transform(cells: Cells, n: int, sign: int) -> Cells:
    """The sum of cells times exp(sign 2 pi i j k / n), along the last axis."""
    roots = np.empty((n, n), object)
    for j, k in np.ndindex(n, n):
        # sin(t) = cos(t - pi / 2), in quarters of the circle
        roots[j, k] = Complex(
            _cosine(4 * j * k % (4 * n), 4 * n), _cosine((sign * 4 * j * k - n) % (4 * n), 4 * n)
        )
    return product(cells.reshape(-1, n), roots).reshape(cells.shape)


def fourier(call: Call) -> list[Cells]:
    lengths, kind = call["fft_lengths"], call["fft_type"].name
    cells = call.operands[0]
    axes = list(range(cells.ndim - len(lengths), cells.ndim))
    sign = -1 if kind in ("FFT", "RFFT") else 1
    for axis, n in zip(axes, lengths, strict=True):
        if kind == "IRFFT" and axis == axes[-1]:
            cells = _hermitian(cells, n)
        cells = np.moveaxis(transform(np.moveaxis(cells, axis, -1), n, sign), -1, axis)
    if sign == 1:
        cells = each(lambda a: numbers.div(a, math.prod(lengths)), cells)
    if kind == "RFFT":
        cells = cells[..., : lengths[-1] // 2 + 1]
    return [each(part(0), cells) if kind == "IRFFT" else cells]


def _hermitian(cells: Cells, n: int) -> Cells:
    """The spectrum of real rows from its first half; what must be real there is taken for real."""
    made = np.empty((*cells.shape[:-1], n), object)
    for k in range(n):
        source = cells[..., k] if k <= n // 2 else each(conjugate, cells[..., n - k])
        made[..., k] = each(part(0), source) if k == 0 or 2 * k == n else source
    return made


# --- loops ---


def scan(call: Call) -> Sequence[Cells]:
    fixed, carried = scan_counts(call.eqn)
    body, end = function_of(call["jaxpr"]), fixed + carried
    state, rows = list(call.operands[fixed:end]), []
    length = int(call["length"])
    for i in reversed(range(length)) if call["reverse"] else range(length):
        made = body(*call.operands[:fixed], *state, *(_array(x[i]) for x in call.operands[end:]))
        state = made[:carried]
        rows.append(made[carried:])
    rows = rows[::-1] if call["reverse"] else rows
    stacked = [np.stack(column) for column in zip(*rows, strict=True)]
    empty = [np.empty(aval.shape, object) for aval in call.results[carried:]]
    return [*state, *(stacked if rows else empty)]


def repeat(call: Call) -> Sequence[Cells]:
    first = call["cond_nconsts"]
    second = first + call["body_nconsts"]
    tested, fixed, state = (
        call.operands[:first],
        call.operands[first:second],
        list(call.operands[second:]),
    )
    test, body = function_of(call["cond_jaxpr"]), function_of(call["body_jaxpr"])
    for _ in range(MOST_ROUNDS):
        goes_on = test(*tested, *state)[0][()]
        if type(goes_on) is Unknown:
            return call.unknown("how often")
        if not goes_on:
            return state
        state = body(*fixed, *state)
    return call.unknown("too many rounds")


def branch(call: Call) -> Sequence[Cells]:
    which = call.operands[0][()]
    if type(which) is Unknown:
        return call.unknown("of unknown branch")
    branches = call["branches"]
    chosen = min(max(int(which), 0), len(branches) - 1)
    return function_of(branches[chosen])(*call.operands[1:])


RULES: Mapping[str, Callable[[Call], Sequence[Cells]]] = {
    **dict.fromkeys(CELLWISE, cellwise),
    **dict.fromkeys(COMPARED, compared),
    **dict.fromkeys(
        """
        copy copy_p device_put name optimization_barrier reduce_precision sharding_constraint stop_gradient
        """.split(),
        same,
    ),
    **{f"reduce_{name}": reduction(name) for name in ("and", "max", "min", "or", "xor")},
    **{f"reduce_window_{name}": named_window(name) for name in ("max", "min")},
    **{
        f"scatter{mark}{name}": scatter(CELLWISE[name])
        for mark in "-_"
        for name in ("add", "max", "min", "mul", "sub")
    },
    "argmax": extreme_place(1),
    "argmin": extreme_place(-1),
    "bitcast_convert_type": bits_of,
    "broadcast_in_dim": broadcast,
    "concatenate": lambda call: [np.concatenate(call.operands, call["dimension"])],
    "cond": branch,
    "conv_general_dilated": convolution,
    "convert_element_type": converted,
    "cumlogsumexp": running(log_add_exp),
    "cummax": running(numbers.greater),
    "cummin": running(numbers.smaller),
    "cumprod": running(numbers.mul),
    "cumsum": running(numbers.add),
    "div": divided,
    "dot_general": dot,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "expand_dims": lambda call: [call.operands[0].reshape(call.results[0].shape)],
    "fft": fourier,
    "gather": gather,
    "integer_pow": integer_pow,
    "pad": padded,
    "reduce_prod": reduction("mul"),
    "reduce_sum": reduction("add"),
    "reduce_window": own_window,
    "reduce_window_sum": named_window("add"),
    "rem": rem,
    "reshape": reshaped,
    "rev": lambda call: [np.flip(call.operands[0], call["dimensions"])],
    "round": rounded,
    "scan": scan,
    "scatter": scatter(None),
    "slice": sliced,
    "sort": sort,
    "split": lambda call: np.split(call.operands[0], np.cumsum(call["sizes"])[:-1], call["axis"]),
    "squeeze": lambda call: [call.operands[0].reshape(call.results[0].shape)],
    "stack": lambda call: [np.stack(call.operands, call["axis"])],
    "tile": lambda call: [np.tile(call.operands[0], call["reps"])],
    "top_k": top,
    "transpose": lambda call: [np.transpose(call.operands[0], call["permutation"])],
    "unstack": lambda call: list(map(_array, np.moveaxis(call.operands[0], call["axis"], 0))),
    "while": repeat,
}
