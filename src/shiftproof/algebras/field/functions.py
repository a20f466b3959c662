"""What the field takes for random functions: cell by cell, of sets, of sequences, of whole operands."""

import dataclasses
import functools
import math
import operator
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.at_hand import in_numpy, like, run, xp
from shiftproof.algebras.digits import is_exact
from shiftproof.algebras.field.values import (
    Call,
    Field,
    Known,
    Members,
    NotHere,
    Value,
    check_finite,
    coded,
    family,
    largest,
    numbers_of,
    part_of,
    refuse_no_number,
    special_codes,
    special_results,
    spread,
    square_of_norm,
)
from shiftproof.algebras.places import landing
from shiftproof.tracing.primitives import is_complex, plain
from shiftproof.tracing.trace import apply, hash_array

# --- cell by cell ---


def pointwise(field: Field, call: Call) -> list[Value]:
    """A random function of the operands, cell by cell; where they are known, the function itself."""
    values = [field.value(o) for o in call.operands]
    if call.eqn.name == "select_n" and all(value.special is None for value in values):
        truth = np.issubdtype(call.types[0].dtype, np.bool_)
        return [choose(field, values[0], values[1:], call.results[0], truth=truth)]
    if call.eqn.name == "abs" and is_complex(call.types[0]):
        return [field.function(f"{call.label} of the norm", [square_of_norm(field, values[0])])]
    shape = tuple(call.results[0].shape)
    values = [spread(v, shape) for v in values]
    count = 2 if is_complex(call.results[0]) else 1
    found = field.function(call.label, values, outputs=count)
    moving = [v for v, o in zip(values, call.operands, strict=True) if isinstance(o, Value)]
    found = _where_known(field, call, found, field.is_zero(moving), 0.0)
    if len(moving) == 1 and moving[0].special is not None:
        for code, number in ((1, math.inf), (-1, -math.inf), (2, math.nan)):
            where = moving[0].special == code
            if np.any(where):
                found = _where_known(field, call, found, where, number)
    return [found]


def choose(
    field: Field, index: Value, cases: Sequence[Value], result: Any, *, truth: bool
) -> Value:
    """One of several values, cell by cell: the first one, and for each other the difference times a weight.

    The weight is 0 or 1; here it is any number, so what holds for all weights holds for those.

    Args:
        field: of the values.
        index: says which.
        cases: the values.
        result: shape and dtype.
        truth: whether the index is 0 or 1, and so the weight of the second value itself.
    """
    reduce, shape = field.arithmetic.reduce, tuple(result.shape)
    first, *others = (spread(case, shape) for case in cases)
    count = 2 if is_complex(result) else 1
    parts = [part_of(first, i) for i in range(count)]
    size = first.size
    for number, case in enumerate(others, 1):
        weight = index if truth else field.function(f"chosen {number} of {len(cases)}", [index])
        factor = spread(weight, shape).parts[0]
        for i in range(count):
            gap = reduce(part_of(case, i) - part_of(first, i))
            parts[i] = reduce(parts[i] + reduce(factor * gap))
        size = size.with_(weight.size.times(case.size.with_(first.size, terms=2)), terms=2)
    return Value(tuple(parts), size)


def _where_known(
    field: Field, call: Call, found: Value, where: Any, number: float, *, by_cell: bool = True
) -> Value:
    """The value of the function itself where all operands but the known ones are a given number, and it is exact."""
    known = field.remember(
        (id(call.eqn), number), call.operands, lambda: _known_at(field, call, number, by_cell)
    )
    if known is None:
        return found
    exact, finite, is_real, codes = known
    if math.isfinite(number):
        field.undefined.append(xp.any(where & ~finite))
        where = where & finite
    elif codes is not None:
        codes = np.where(where, codes, 0)
        old = np.zeros(codes.shape, np.int8) if found.special is None else found.special
        found = dataclasses.replace(found, special=(codes + old).astype(np.int8))
    where = where & (is_real | ~finite)
    parts = tuple(xp.where(where, part_of(exact, i), part) for i, part in enumerate(found.parts))
    return dataclasses.replace(found, parts=parts, size=found.size.with_(exact.size))


def _known_at(
    field: Field, call: Call, number: float, by_cell: bool
) -> tuple[Value, np.ndarray, np.ndarray, np.ndarray | None] | None:
    """What the function itself gives where all operands but the known ones are a number: its finite values, where they
    are finite, where they are the real numbers, and codes of the others, if there are any; None where it is not told.
    """
    arrays = []
    for operand, aval in zip(call.operands, call.types, strict=True):
        known = isinstance(operand, Known)
        if not known and not math.isfinite(number) and not jnp.issubdtype(aval.dtype, np.floating):
            return None
        arrays.append(operand.array if known else np.full(aval.shape, number, aval.dtype))
    if by_cell:
        arrays = _as_one(arrays)
    with jax.ensure_compile_time_eval():
        (real,) = apply(call.eqn, arrays)
        real = np.broadcast_to(np.asarray(real), call.results[0].shape)
    # NumPy knows no bfloat16
    real = real.astype(np.complex128 if np.iscomplexobj(real) else np.float64)
    finite = np.isfinite(real)
    numbers = np.where(finite, real, 0.0)
    codes = None if np.iscomplexobj(real) or np.all(finite) else special_codes(real)
    return field.value(Known(numbers)), finite, _is_real(call, arrays, numbers), codes


def _as_one(arrays: Sequence[Any]) -> list[Any]:
    """One cell of each array where all cells are alike, as they are beside zeros: no function is compiled for each size
    of a layer then.
    """
    if not all(_is_uniform(a) for a in arrays):
        return list(arrays)
    return [np.ravel(array)[:1].reshape((1,) * np.ndim(array)) for array in arrays]


def _is_uniform(array: Any) -> bool:
    """Whether all cells hold the same bits: 0 and -0 are two numbers to a function."""
    if np.size(array) == 0 or not plain(getattr(array, "dtype", np.float64)):
        return False
    cells = np.ascontiguousarray(array).reshape(-1)
    cells = cells.view(f"V{cells.itemsize}")
    return bool(np.all(cells == cells[0]))


def _is_real(call: Call, arrays: Sequence[Any], found: np.ndarray) -> np.ndarray:
    """Where the floats that a function gives at 0 are the real numbers that it has there.

    Beside weights, where nothing rounds. Of constants alone, 0 among them, the primitives have values that floats hold,
    0, 1/2 and 1, or irrational ones, as acos has, which floats do not take for multiples of 1/2.
    """
    if any(isinstance(o, Known) and o.weighted for o in call.operands):
        return np.full(found.shape, is_exact(call.eqn, arrays, call.types, call.results))
    with np.errstate(over="ignore"):
        double = 2 * found
    return double == np.round(double)


def updates(field: Field, call: Call) -> list[Value]:
    """At the places that are written a random function of what is there and of the update, and where these are known
    the function itself; elsewhere what is there.
    """
    old, update = field.value(call.operands[0]), field.value(call.operands[2])
    check_finite(old, update)
    if not isinstance(call.operands[1], Known):
        raise NotHere("it looks up places that are not known")
    where = landing(call.eqn, old.shape, call.known(1), update.shape)
    if np.any(where == -2):
        raise NotHere("it writes twice to one place")
    cells = np.maximum(where, 0)
    if 0 in update.shape:
        return [old]
    parts = tuple(xp.reshape(p, (len(p), -1))[:, cells] for p in update.parts)
    count = 2 if is_complex(call.results[0]) else 1
    given = [old, dataclasses.replace(update, parts=parts, members=None)]
    found = field.function(call.label, given, outputs=count)
    moving = [v for v, i in zip(given, (0, 2), strict=True) if isinstance(call.operands[i], Value)]
    found = _where_known(
        field, call, found, field.is_zero(moving) & (where >= 0), 0.0, by_cell=False
    )
    parts = tuple(xp.where(where >= 0, made, part_of(old, i)) for i, made in enumerate(found.parts))
    return [Value(parts, largest([old, found]))]


# --- symmetric and associative operations ---


IDEMPOTENT = frozenset(["max", "min", "and", "or"])
"""Operations of which a cell that is met twice counts once."""

MOST_MEMBERS, MOST_PAIRS = 1024, 2**26
"""Cells of which an extremum may be taken for that to be seen, and comparisons that this may take."""


def extremum(field: Field, call: Call) -> list[Value]:
    """psi^-1(sum of psi(x)): in any order, and in any groups, the same.

    Of a few cells each counts once, so that an extremum of overlapping extrema is that of all cells.
    """
    name, shape = call.eqn.name, tuple(call.results[0].shape)
    scatters = name.startswith("scatter")
    kind = re.split("[-_]", name)[-1].replace("mul", "prod")
    if is_complex(call.types[0]):
        if scatters:
            return updates(field, call)
        raise NotHere("it joins complex numbers")
    if any(isinstance(o, Known) for o in call.operands) and not (call.joins or scatters):
        return pointwise(field, call)  # a function of one operand, and cheaper
    values = [field.value(o) for i, o in enumerate(call.operands) if not (scatters and i == 1)]
    if any(value.special is not None for value in values) and kind not in ("max", "min"):
        raise NotHere("it computes with infinities or NaN")
    field.tally.met(values)
    field.tally.join(sum(math.prod(v.shape) for v in values) if len(values) == 1 or scatters else 2)
    symbol = f"{kind} {family(call.types[0].dtype)}"
    small = kind in IDEMPOTENT and not scatters
    members = _members(field, call, symbol, values) if small else None
    joined, some = _distinct(members) if members else _all(field, call, symbol, values)
    found = field.arithmetic.unpermute(symbol, field.arithmetic.reduce(joined))
    field.tally.lookups += 4 * math.prod(shape)
    found = xp.where(some > 0, found, 0.0)  # of zeros alone, the operation gives 0
    if scatters:
        special = _special_scattered(call, kind, values)
    else:  # a window may lie on padding alone
        wide = [spread(v, shape) for v in values] if len(values) == 2 else values
        special = special_results(call, wide)
    if special is not None:
        found = xp.where(special != 0, 0.0, found)
    return [Value((found,), special=special, members=members)]


def _marked(field: Field, symbol: str, value: Value) -> tuple[Any, Any]:
    """Permuted values, 0 where they are infinite, as the neutral element is; and which cells are not 0."""
    field.tally.lookups += 4 * math.prod(value.shape)
    marks = field.arithmetic.permute(symbol, value.parts[0])
    nonzero = xp.any(value.parts[0] != 0, axis=0)
    if value.special is not None:
        marks = xp.where(value.special != 0, 0.0, marks)
        nonzero = nonzero | (value.special != 0)
    return marks, nonzero.astype(np.float64)


def _all(field: Field, call: Call, symbol: str, values: Sequence[Value]) -> tuple[Any, Any]:
    """The sum of all marks, (tracks, *shape), and how many of what it is made of are not 0."""
    shape = tuple(call.results[0].shape)
    marked = [_marked(field, symbol, value) for value in values]
    if call.eqn.name.startswith("scatter"):
        (old, some), (new, others) = marked
        return _scattered(call, old, new), _scattered(call, some[None], others[None])[0]
    if len(values) == 2:
        (first, some), (second, others) = (
            (spread(Value((marks,)), shape).parts[0], nonzero) for marks, nonzero in marked
        )
        return first + second, some + others
    ((marks, nonzero),) = marked
    return _joined(call, marks, lax.add), _joined(call, nonzero[None], lax.add)[0]


def _scattered(call: Call, old: Any, new: Any) -> Any:
    """What is there plus all that is written there, over (tracks, *shape)."""
    params = call.eqn.params

    def one(a: Any, b: Any) -> Any:
        return lax.scatter_add(
            a, jnp.asarray(call.known(1)), b, params["dimension_numbers"], mode=params["mode"]
        )

    return like([old, new], [jax.vmap(one)(jnp.asarray(old), jnp.asarray(new))])[0]


def _special_scattered(call: Call, kind: str, values: Sequence[Value]) -> np.ndarray | None:
    if all(value.special is None for value in values):
        return None
    params = call.eqn.params
    old, new = (numbers_of(value.special, value.shape) for value in values)
    with jax.ensure_compile_time_eval():
        join = lax.scatter_max if kind == "max" else lax.scatter_min
        found = join(old, call.known(1), new, params["dimension_numbers"], mode=params["mode"])
        codes = special_codes(np.asarray(found))
    return codes if np.any(codes) else None


def _joined(call: Call, x: Any, join: Any, *, axis: int = 0) -> Any:
    """The reduction or windows of the call by another operation, over an array with one more axis."""
    params, windows = call.eqn.params, call.eqn.name.startswith("reduce_window")
    if join is lax.add and axis == 0:
        made = run("reduce_window_sum" if windows else "reduce_sum", [x], params)
        if made is not None:
            return made

    def wider(sizes: Sequence[Any], one: Any) -> tuple[Any, ...]:
        return (one, *sizes) if axis == 0 else (*sizes, one)

    if windows:
        return lax.reduce_window(
            x,
            np.zeros((), x.dtype),
            join,
            wider(params["window_dimensions"], 1),
            wider(params["window_strides"], 1),
            wider(params["padding"], (0, 0)),
            base_dilation=wider(params["base_dilation"], 1),
            window_dilation=wider(params["window_dilation"], 1),
        )
    axes = tuple(int(a) + (axis == 0) for a in params["axes"])
    return lax.reduce(x, np.zeros((), x.dtype), join, axes)


def _members(field: Field, call: Call, symbol: str, values: Sequence[Value]) -> Members | None:
    """What the results are the extrema of; None where that is too much."""
    shape = tuple(call.results[0].shape)
    counts = [
        v.members.cover.shape[-1]
        if v.members and v.members.symbol == symbol
        else math.prod(v.shape)
        for v in values
    ]
    if sum(counts) > MOST_MEMBERS or math.prod(shape) * sum(counts) ** 2 > MOST_PAIRS:
        return None
    parts = []
    for value, count in zip(values, counts, strict=True):
        if value.members and value.members.symbol == symbol:
            parts.append(value.members)
            continue
        marks, nonzero = _marked(field, symbol, value)
        cover = np.eye(count, dtype=bool).reshape(*value.shape, count)
        if value.special is not None:
            cover = cover & (value.special == 0)[..., None]
        flat = xp.reshape(marks, (len(marks), -1)), xp.reshape(nonzero, (-1,))
        parts.append(Members(symbol, *flat, cover))
    marks = xp.concatenate([part.marks for part in parts], axis=1)
    nonzero = xp.concatenate([part.nonzero for part in parts])
    if len(parts) == 2:
        covers = [np.broadcast_to(p.cover, (*shape, n)) for p, n in zip(parts, counts, strict=True)]
        return Members(symbol, marks, nonzero, np.concatenate(covers, axis=-1))
    with jax.ensure_compile_time_eval():
        cover = np.asarray(_joined(call, parts[0].cover.astype(np.float32), lax.max, axis=-1)) > 0
    return Members(symbol, marks, nonzero, cover)


def _distinct(members: Members) -> tuple[Any, Any]:
    """The sum of the marks of different cells, (tracks, *shape), and how many cells are not 0."""
    *shape, count = members.cover.shape
    cover = members.cover.reshape(-1, count).astype(np.float64)
    equal = xp.all(members.marks[:, :, None] == members.marks[:, None, :], axis=0)
    earlier = xp.where(np.triu(np.ones((count, count), bool), 1), equal, False)
    first = cover * (cover @ earlier.astype(np.float64) == 0)
    joined = members.marks @ first.T
    return joined.reshape(-1, *shape), (cover @ members.nonzero).reshape(shape)


# --- operations for which order counts ---


def ordered(field: Field, call: Call) -> list[Value]:
    """Random functions of the cells along an axis, in their order, or of their set and a rank.

    Where all cells of a line are equal, it is sorted, and so is every part of it; what is found there is the line, and
    places are counted from 0. Cells are taken for equal where their tuples agree, for which `_lines` counts them once
    more: the bound is about pairs of arguments, whatever the function.
    """
    name, params = call.eqn.name, call.eqn.params
    values = [field.value(o) for o in call.operands]
    if any(is_complex(aval) for aval in call.types):
        raise NotHere("it orders complex numbers")
    if name == "reduce_window":
        return _window(field, call, values)
    if name in ("argmax", "argmin"):
        axes = tuple(int(a) for a in params["axes"])
        whole = field.digest(call.label, values[0], axes, ordered=True)
        found = field.function(call.label, [whole])
        zero = field.value(Known(np.zeros(found.shape)))
        found = _where_flat(found, zero, _lines(field, values[0], axes)[1])
        return [Value(tuple(xp.squeeze(p, tuple(a + 1 for a in axes)) for p in found.parts))]
    rank = len(call.types[0].shape)
    axis = int(params.get("axis", params.get("dimension", rank - 1)))
    if name.startswith("cum"):
        found = _running(field, call, values[0], axis)
        if name in ("cummax", "cummin"):
            found = _where_flat(found, *_lines(field, values[0], [axis]))
        return [found]
    lines = [_lines(field, value, [axis]) for value in values]
    keys = [flat for _, flat in lines[: params.get("num_keys", 1)]]
    stays = functools.reduce(operator.and_, keys) & params.get("is_stable", True)
    keys_only = name == "top_k" or params["num_keys"] == len(values)
    pairs = values[0] if len(values) == 1 else field.function(f"{call.label} tuple", values)
    made = []
    for i, aval in enumerate(call.results):
        # positions of equal values, and what travels with equal keys, depend on the order of the cells
        symmetric = keys_only and not (name == "top_k" and i == 1)
        whole = field.digest(f"{call.label} {symmetric}", pairs, (axis,), ordered=not symmetric)
        rank_of = [n if a == axis else 1 for a, n in enumerate(aval.shape)]
        places = field.value(Known(np.arange(math.prod(rank_of)).reshape(rank_of)))
        found = field.function(f"{call.label} result {i}", [whole, places])
        if name == "top_k":
            line = places if i else _first(lines[0][0], axis, aval.shape[axis])
            made.append(_where_flat(found, line, lines[0][1]))
            continue
        found = _where_flat(found, *lines[i])
        if len(values) > 1 and values[i].special is None:  # equal keys stay in their order
            found = _where_flat(found, values[i], stays)
        made.append(found)
    return made


def _lines(field: Field, value: Value, axes: Sequence[int]) -> tuple[Value, Any]:
    """A value as far as it is flat, and along which lines: where all cells are equal, or the same infinity."""
    field.tally.met([value])
    field.tally.lookups += math.prod(value.shape)
    flat: Any = True
    for part in coded(value):
        first = part
        for axis in axes:
            first = first[(slice(None),) * (axis + 1) + (slice(1),)]
        flat = flat & xp.all(part == first, (0, *(axis + 1 for axis in axes)), keepdims=True)[0]
    codes = value.special
    if codes is not None:
        where = tuple(axes)
        one = np.max(codes, where, keepdims=True) == np.min(codes, where, keepdims=True)
        codes = np.where(one, codes, 0).astype(np.int8)
    return dataclasses.replace(value, special=codes, members=None), flat


def _first(value: Value, axis: int, count: int) -> Value:
    """The first cells along an axis."""
    parts = tuple(p[(slice(None),) * (axis + 1) + (slice(count),)] for p in value.parts)
    codes = None if value.special is None else value.special.take(range(count), axis)
    return dataclasses.replace(value, parts=parts, special=codes, members=None)


def _where_flat(found: Value, line: Value, flat: Any) -> Value:
    """What was found, and the line itself where that is flat."""
    line = spread(line, found.shape)
    parts = tuple(
        xp.where(flat, old, new) for old, new in zip(line.parts, found.parts, strict=True)
    )
    return Value(parts, found.size.with_(line.size), line.special)


def _window(field: Field, call: Call, values: Sequence[Value]) -> list[Value]:
    """Any function of the cells of a window in their order, the same everywhere; cells beside the array are the
    initial value.
    """
    params, count = call.eqn.params, len(call.results)
    shape = values[0].shape
    index = np.zeros((1,) * len(shape), np.int64)
    inside = np.ones((1,) * len(shape), bool)
    for axis, n in enumerate(shape):
        base, dilation = params["base_dilation"][axis], params["window_dilation"][axis]
        out = np.arange(call.results[0].shape[axis]) * params["window_strides"][axis]
        cells = out[:, None] + dilation * np.arange(params["window_dimensions"][axis])
        cells = cells - params["padding"][axis][0]
        valid = (cells >= 0) & (cells % base == 0) & (cells // base < n)
        steps = np.where(valid, cells // base, 0) * math.prod(shape[axis + 1 :])
        # (out_0, ..., out_axis, ..., window): the window's cells in one last axis
        ones = [1] * len(shape)
        ones[axis] = len(out)
        index = (
            index[..., :, None] + steps.reshape(*ones, 1, -1) if axis else steps.reshape(*ones, -1)
        )
        inside = (
            inside[..., :, None] & valid.reshape(*ones, 1, -1) if axis else valid.reshape(*ones, -1)
        )
        index = index.reshape(*index.shape[: len(shape)], -1)
        inside = inside.reshape(*inside.shape[: len(shape)], -1)
    rows = []
    for value, start in zip(values[:count], values[count:], strict=True):
        check_finite(value, start)
        part = xp.take(xp.reshape(value.parts[0], (len(value.parts[0]), -1)), index, axis=1)
        begin = xp.reshape(start.parts[0], (-1, *[1] * inside.ndim))
        rows.append(Value((xp.where(inside, part, begin),), largest([value, start])))
    joined = rows[0] if count == 1 else field.function(f"{call.label} tuple", rows)
    name = f"{call.label} window"
    whole = field.digest(name, joined, (inside.ndim - 1,), ordered=True)
    whole = Value(tuple(part[..., 0] for part in whole.parts))
    return [field.function(f"{name} {i}", [whole]) for i in range(count)]


def _running(field: Field, call: Call, value: Value, axis: int) -> Value:
    """A function of the cells so far, in their order."""
    shape = [n if a == axis else 1 for a, n in enumerate(value.shape)]
    places = field.value(Known(np.arange(math.prod(shape)).reshape(shape)))
    marks = field.function(f"{call.label} cell", [value, places]).parts[0]
    backwards = bool(call.eqn.params["reverse"])
    if in_numpy(marks):
        line = np.flip(marks, axis + 1) if backwards else marks
        sums = np.cumsum(line, axis + 1)
        sums = np.flip(sums, axis + 1) if backwards else sums
    else:
        sums = lax.cumsum(marks, axis + 1, reverse=backwards)
    return field.function(call.label, [Value((field.arithmetic.reduce(sums),))])


# --- whatever has no class ---


def opaque(field: Field, call: Call) -> list[Value]:
    """Any function of all cells of all operands."""
    refuse_no_number(call)
    place = f" at {call.eqn.site}" if str(call.eqn.site) else ""
    field.opaque[f"{call.eqn.name}{place} ({call.reason})"] = None
    marks = _digests(field, call, range(len(call.operands)))
    made = []
    for i, aval in enumerate(call.results):
        places = np.arange(math.prod(aval.shape)).reshape(aval.shape)
        given = [*(spread(m, tuple(aval.shape)) for m in marks), field.value(Known(places))]
        outputs = 2 if is_complex(aval) else 1
        name = f"{call.whole_label} {call.reason} result {i}"
        made.append(field.function(name, given, outputs=outputs))
    return made


def _digests(field: Field, call: Call, positions: Iterable[int]) -> list[Value]:
    """One number for all cells of each operand."""
    marks = []
    for i in positions:
        operand = call.operands[i]
        try:
            value = field.value(operand)
        except (
            NotHere
        ):  # random keys, or a complex table with infinities: a number that its bytes name
            assert isinstance(operand, Known)
            name = f"table {hash_array(operand.array).hex()}"
            marks.append(Value((field.arithmetic.draw(name, ()),)))
            continue
        if 0 not in value.shape:
            axes = range(len(value.shape))
            whole = field.digest(f"{call.whole_label} operand {i}", value, axes, ordered=True)
            marks.append(Value(tuple(xp.reshape(p, (len(p),)) for p in whole.parts)))
    return marks


def lookup(field: Field, call: Call) -> list[Value]:
    """Cells at places that the image chooses."""
    kept = _kept(call)
    if kept is None:
        raise NotHere("it looks up places that depend on the image, or on free weights")
    return [_looked_up(field, call, kept)]


def _kept(call: Call) -> tuple[int, dict[int, int]] | None:
    """Of a look-up at places that the image chooses: an operand, and axes of it along which every cell is looked up
    alike, each with the axis of the result that runs along it.
    """
    params = call.eqn.params
    if len(call.results) != 1 or is_complex(call.results[0]):
        return None
    if call.eqn.name == "dynamic_slice":
        sizes = zip(call.types[0].shape, params["slice_sizes"], strict=True)
        return 0, {axis: axis for axis, (n, m) in enumerate(sizes) if n == m}
    if call.eqn.name == "gather":
        numbers, shape = params["dimension_numbers"], call.types[1].shape
        batch = [a for a in range(len(call.results[0].shape)) if a not in numbers.offset_dims]
        if not numbers.operand_batching_dims and len(batch) == len(shape) - 1:
            return 1, dict(enumerate(batch))
    return None


def _looked_up(field: Field, call: Call, kept: tuple[int, dict[int, int]]) -> Value:
    """A function of what one operand shows at a place of the kept axes, of all other operands, and of other axes."""
    position, axes = kept
    value, shape = field.value(call.operands[position]), tuple(call.results[0].shape)
    others = [axis for axis in range(len(value.shape)) if axis not in axes]
    along = field.digest(f"{call.whole_label} looked up", value, others, ordered=True)
    sources = list(axes)
    parts = tuple(xp.squeeze(p, tuple(axis + 1 for axis in others)) for p in along.parts)
    order = np.argsort([axes[axis] for axis in sources])
    parts = tuple(xp.transpose(p, (0, *(1 + int(i) for i in order))) for p in parts)
    missing = tuple(1 + out for out in range(len(shape)) if out not in axes.values())
    along = Value(tuple(xp.expand_dims(p, missing) for p in parts))
    rest = [1 if out in axes.values() else n for out, n in enumerate(shape)]
    places = field.value(Known(np.arange(math.prod(rest)).reshape(rest)))
    marks = _digests(field, call, (i for i in range(len(call.operands)) if i != position))
    given = [spread(v, shape) for v in (along, places, *marks)]
    return field.function(call.whole_label, given)
