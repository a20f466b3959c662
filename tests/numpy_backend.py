"""JAX without a compiler: what is traced is evaluated equation by equation in NumPy.

Most of the time of a small program goes into compilers, which are not what is tested. Inside `numpy_backend()` a jitted
or compiled function is traced as ever, and its jaxpr is interpreted here; so the code under test is the same, and a
program takes milliseconds in place of a second. A primitive without a rule runs by itself under XLA, compiled once for
all equations that are alike.

Its values are compared with XLA's on random programs (`test_many_programs.py`). What differs is that nothing is fused,
that sums have NumPy's order, and that subnormal numbers are kept.

Over 600 lines, because it is one table of rules.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import lax
from jax._src import core, dispatch, pjit, stages
from jax._src.lib import xla_client
from jax.extend.core import ClosedJaxpr, Literal

from shiftproof.tracing.trace import scan_counts

Array = Any
Rule = Callable[..., Any]

# --- jaxprs ---


def open_jaxpr(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """A jaxpr and its constants."""
    return (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, ClosedJaxpr) else (jaxpr, ())


def run(jaxpr: Any, *operands: Array) -> list[Array]:
    """The results of a jaxpr, open or closed, on arrays of NumPy."""
    body, consts = open_jaxpr(jaxpr)
    values: dict[Any, Array] = dict(zip(body.constvars, map(host, consts), strict=True))
    values.update(zip(body.invars, operands, strict=True))
    for eqn in body.eqns:
        given = [_literal(v) if isinstance(v, Literal) else values[v] for v in eqn.invars]
        made = evaluate(eqn.primitive, given, eqn.params)
        for var, value in zip(eqn.outvars, made, strict=True):
            aval = var.aval
            if value.dtype != aval.dtype or value.shape != aval.shape:
                raise AssertionError(
                    f"{eqn.primitive} gives {value.dtype}{value.shape}, not {aval}"
                )
            values[var] = value
    return [_literal(v) if isinstance(v, Literal) else values[v] for v in body.outvars]


def _literal(literal: Any) -> Array:
    return np.asarray(literal.val, literal.aval.dtype)


def cellwise(jaxpr: Any, *operands: Array) -> Array:
    """The one result of a body on numbers, for arrays of them."""
    body, consts = open_jaxpr(jaxpr)
    if consts or len(body.outvars) != 1 or any(e.primitive.name not in CELLS for e in body.eqns):
        raise NoRule
    values = dict(zip(body.invars, operands, strict=True))
    for eqn in body.eqns:
        given = [_literal(v) if isinstance(v, Literal) else values[v] for v in eqn.invars]
        (values[eqn.outvars[0]],) = evaluate(eqn.primitive, given, eqn.params)
    (result,) = body.outvars
    return _literal(result) if isinstance(result, Literal) else values[result]


def evaluate(primitive: Any, operands: Sequence[Array], params: Mapping[str, Any]) -> list[Array]:
    """The results of one equation."""
    rule = RULES.get(primitive.name)
    if rule is None:
        return compiled(primitive, operands, params)
    try:
        made = rule(*operands, **params)
    except NoRule:
        return compiled(primitive, operands, params)
    return list(made) if primitive.multiple_results else [np.asarray(made)]


class NoRule(Exception):
    """A rule does not know some parameter."""


def host(value: Any) -> Any:
    """An array of NumPy with the numbers of a jax array; random keys are left as they are."""
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return value
    return np.asarray(value)


def compiled(primitive: Any, operands: Sequence[Array], params: Mapping[str, Any]) -> list[Array]:
    """By XLA, under the widths of these operands."""
    with native(), jax.enable_x64(True):
        made = dispatch.apply_primitive(primitive, *map(jnp.asarray, operands), **params)
    return [host(value) for value in (made if primitive.multiple_results else [made])]


# --- cell by cell ---


def _like_operand(function: Rule) -> Rule:
    """In the type of the first operand, whatever the parameters."""

    def run(*operands: Array, **params: Any) -> Any:
        x = operands[0]
        if x.dtype.kind == "V" or x.dtype.name == "bfloat16":
            wide = [o.astype(np.float32) for o in operands]
            return np.asarray(function(*wide)).astype(x.dtype)
        return np.asarray(function(*operands)).astype(x.dtype, copy=False)

    return run


def is_integer(x: Array) -> bool:
    return x.dtype.kind in "iu"


def div(x: Array, y: Array, **_: Any) -> Array:
    """Integers are rounded towards zero; over 0 they are -1."""
    if not is_integer(x):
        return np.divide(x, y)
    zero = y == 0
    safe = np.where(zero, 1, y).astype(x.dtype)
    if x.dtype.kind == "u":
        quotient = x // safe
    else:
        least = np.iinfo(x.dtype).min
        wraps = (x == least) & (safe == -1)
        safe = np.where(wraps, 1, safe).astype(x.dtype)
        quotient = x // safe
        quotient = quotient + ((x % safe != 0) & ((x < 0) != (safe < 0)))
    return np.where(zero, np.array(-1).astype(x.dtype), quotient).astype(x.dtype)


def rem(x: Array, y: Array) -> Array:
    """With the sign of the dividend; modulo 0 it is the dividend."""
    if not is_integer(x):
        return np.fmod(x, y)
    zero = y == 0
    least = (y == -1) if x.dtype.kind == "i" else zero
    safe = np.where(zero | least, 1, y).astype(x.dtype)
    return np.where(zero, x, np.fmod(x, safe)).astype(x.dtype)


def sign(x: Array) -> Array:
    if x.dtype.kind == "c":
        raise NoRule
    return np.where(np.isnan(x), x, np.sign(x)) if x.dtype.kind == "f" else np.sign(x)


def round_(x: Array, *, rounding_method: Any) -> Array:
    if rounding_method == lax.RoundingMethod.TO_NEAREST_EVEN:
        return np.rint(x)
    whole = np.trunc(x)
    away = abs(x - whole) >= 0.5
    return np.where(away, whole + np.sign(x), np.copysign(whole, x)).astype(x.dtype)


def integer_pow(x: Array, *, y: int) -> Array:
    """By squaring, as the compiler does it."""
    if y == 0:
        return np.ones_like(x)
    left, square, result = abs(y), x, None
    while left:
        if left & 1:
            result = square if result is None else result * square
        left >>= 1
        square = square * square if left else square
    return np.asarray(result) if y > 0 else np.asarray(1 / result).astype(x.dtype)


def power(x: Array, y: Array) -> Array:
    if not is_integer(y) or is_integer(x):
        return np.power(x, y) if x.dtype == y.dtype else _none()
    return np.power(x, y.astype(x.dtype))


def _none() -> Any:
    raise NoRule


def select_n(which: Array, *cases: Array) -> Array:
    if which.dtype == bool:
        return np.where(which, cases[-1], cases[0])
    if which.shape != cases[0].shape:
        which = np.broadcast_to(which, cases[0].shape)
    return np.choose(which, cases) if len(cases) < 32 else _none()


def clamp(least: Array, x: Array, most: Array) -> Array:
    return np.minimum(np.maximum(x, least), most)


LIMITS = {np.dtype(t): (np.iinfo(t).min, np.iinfo(t).max) for t in "bhilBHIL"}


def convert(x: Array, *, new_dtype: Any, **_: Any) -> Array:
    """Floats become the nearest number that an integer type holds; NaN becomes 0."""
    new = np.dtype(new_dtype)
    if x.dtype == new:
        return x
    if x.dtype.kind == "c" and new.kind != "c":
        x = x.real
    if x.dtype.kind in "biu" or new.kind not in "iu":
        return x.astype(new)
    least, most = LIMITS[new]
    wide = np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    wide = np.trunc(wide)
    inside = (wide >= least) & (wide < float(most))
    whole = np.where(inside, wide, 0).astype(new)
    return np.where(wide >= float(most), most, np.where(wide < least, least, whole)).astype(new)


def bits_of(dtype: Any) -> int:
    return 8 * np.dtype(dtype).itemsize


def shifted(kind: str) -> Rule:
    """Shifts by so many bits; by too many, or a negative number of, nothing or the sign is left."""

    def run(x: Array, y: Array) -> Array:
        n, unsigned = bits_of(x.dtype), np.dtype(f"u{x.dtype.itemsize}")
        far = y.view(unsigned) >= n
        near = np.where(far, 0, y).astype(x.dtype)
        if kind == "left":
            return np.where(far, np.array(0, x.dtype), np.left_shift(x, near))
        if kind == "logical":
            made = np.right_shift(x.view(unsigned), near.astype(unsigned)).view(x.dtype)
            return np.where(far, np.array(0, x.dtype), made)
        last = np.array(n - 1, x.dtype)
        return np.right_shift(x, np.where(far, last, near))

    return run


def population_count(x: Array) -> Array:
    return np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype)


def clz(x: Array) -> Array:
    unsigned = x.view(f"u{x.dtype.itemsize}")
    count = np.zeros(x.shape, x.dtype)
    for bit in range(bits_of(x.dtype)):
        count = np.where(unsigned >> bit == 1, bits_of(x.dtype) - 1 - bit, count).astype(x.dtype)
    return np.where(x == 0, bits_of(x.dtype), count).astype(x.dtype)


def bitcast(x: Array, *, new_dtype: Any) -> Array:
    if np.dtype(new_dtype).itemsize != x.dtype.itemsize or x.dtype == bool:
        raise NoRule
    return np.ascontiguousarray(x).view(new_dtype).reshape(x.shape)


def not_(x: Array) -> Array:
    return np.logical_not(x) if x.dtype == bool else np.bitwise_not(x)


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def is_finite(x: Array) -> Array:
    return np.isfinite(x)


def mul(x: Array, y: Array, **_: Any) -> Array:
    return np.multiply(x, y)


# --- cells that only change places ---


def broadcast_in_dim(
    x: Array, *_: Any, shape: Any, broadcast_dimensions: Any, sharding: Any
) -> Array:
    middle = [1] * len(shape)
    for axis, place in enumerate(broadcast_dimensions):
        middle[place] = x.shape[axis]
    return np.broadcast_to(x.reshape(middle), shape)


def reshape(x: Array, *_: Any, new_sizes: Any, dimensions: Any, sharding: Any) -> Array:
    return (x if dimensions is None else np.transpose(x, dimensions)).reshape(new_sizes)


def slice_(x: Array, *, start_indices: Any, limit_indices: Any, strides: Any) -> Array:
    steps = strides or (1,) * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


def spread(x: Array, fill: Any, config: Sequence[tuple[int, int, int]]) -> Array:
    """Padded: low, high (negative ones cut), and between the cells."""
    sizes = [
        max(0, (n - 1) * (inner + 1) + 1) if n else 0
        for n, (_, _, inner) in zip(x.shape, config, strict=True)
    ]
    shape = [max(0, low + size + high) for size, (low, high, _) in zip(sizes, config, strict=True)]
    made = np.full(shape, fill, x.dtype)
    to, where = [], []
    for n, size, (low, _, inner) in zip(x.shape, shape, config, strict=True):
        places = low + np.arange(n) * (inner + 1)
        kept = np.flatnonzero((places >= 0) & (places < size))
        to.append(places[kept])
        where.append(kept)
    if made.size and all(len(p) for p in to):
        made[np.ix_(*to)] = x[np.ix_(*where)]
    return made


def pad(x: Array, fill: Array, *, padding_config: Any) -> Array:
    return spread(x, fill, padding_config)


def dynamic_slice(x: Array, *starts: Array, slice_sizes: Any) -> Array:
    begin = _clamped(starts, x.shape, slice_sizes)
    return x[tuple(slice(b, b + n) for b, n in zip(begin, slice_sizes, strict=True))]


def dynamic_update_slice(x: Array, update: Array, *starts: Array) -> Array:
    begin = _clamped(starts, x.shape, update.shape)
    made = np.array(x)
    made[tuple(slice(b, b + n) for b, n in zip(begin, update.shape, strict=True))] = update
    return made


def _clamped(starts: Sequence[Array], shape: Sequence[int], sizes: Sequence[int]) -> list[int]:
    return [min(max(int(s), 0), n - size) for s, n, size in zip(starts, shape, sizes, strict=True)]


def split(x: Array, *, sizes: Any, axis: int) -> list[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def iota(*_: Any, dtype: Any, shape: Any, dimension: int, sharding: Any) -> Array:
    middle = [1] * len(shape)
    middle[dimension] = -1
    return np.broadcast_to(np.arange(shape[dimension]).astype(dtype).reshape(middle), shape)


MODES = lax.GatherScatterMode


def gather(
    x: Array,
    indices: Array,
    *,
    dimension_numbers: Any,
    slice_sizes: Any,
    mode: Any,
    fill_value: Any,
    **_: Any,
) -> Array:
    d = dimension_numbers
    batch = indices.shape[:-1]
    starts, inside = _starts(
        x.shape,
        slice_sizes,
        indices,
        d.start_index_map,
        d.operand_batching_dims,
        d.start_indices_batching_dims,
    )
    kept = [
        a
        for a in range(x.ndim)
        if a not in d.collapsed_slice_dims and a not in d.operand_batching_dims
    ]
    places = _places(starts, slice_sizes, kept, len(batch))
    made = x[tuple(places)] if places else np.broadcast_to(x, batch)
    made = np.broadcast_to(made, (*batch, *(slice_sizes[a] for a in kept)))
    if mode == MODES.FILL_OR_DROP:
        mask = inside.reshape(*batch, *[1] * len(kept))
        made = np.where(mask, made, _fill(x.dtype, fill_value))
    elif mode not in (MODES.CLIP, MODES.PROMISE_IN_BOUNDS):
        raise NoRule
    return np.moveaxis(made, range(len(batch), made.ndim), d.offset_dims)


def _fill(dtype: Any, value: Any) -> Any:
    if value is not None:
        return np.asarray(value).astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array(limits.min if dtype.kind == "i" else limits.max, dtype)
    return np.array(True if dtype.kind == "b" else np.nan).astype(dtype)


def _starts(
    shape: Sequence[int],
    sizes: Sequence[int],
    indices: Array,
    named: Sequence[int],
    batching: Sequence[int],
    batching_of_indices: Sequence[int],
) -> tuple[list[Array], Array]:
    """Where each window begins, one array an axis, moved inside; and which windows lay inside."""
    batch = indices.shape[:-1]
    inside = np.ones(batch, bool)
    starts = []
    for axis, (n, size) in enumerate(zip(shape, sizes, strict=True)):
        if axis in batching:
            place = batching_of_indices[list(batching).index(axis)]
            middle = [1] * len(batch)
            middle[place] = -1
            start = np.broadcast_to(np.arange(batch[place]).reshape(middle), batch)
        elif axis in named:
            start = indices[..., list(named).index(axis)].astype(np.int64)
            inside &= (start >= 0) & (start <= n - size)
            start = np.clip(start, 0, n - size)
        else:
            start = np.zeros(batch, np.int64)
        starts.append(start)
    return starts, inside


def _places(
    starts: Sequence[Array], sizes: Sequence[int], windows: Sequence[int], rank: int
) -> list[Array]:
    """Index arrays, one an axis: (*batch, *windows)."""
    places = []
    for axis, start in enumerate(starts):
        place = start.reshape(*start.shape, *[1] * len(windows))
        if axis in windows:
            middle = [1] * (rank + len(windows))
            middle[rank + list(windows).index(axis)] = -1
            place = place + np.arange(sizes[axis]).reshape(middle)
        places.append(place)
    return places


def scatter(combine: Any) -> Rule:
    def run(
        x: Array,
        indices: Array,
        updates: Array,
        *,
        dimension_numbers: Any,
        mode: Any,
        update_jaxpr: Any = None,
        **_: Any,
    ) -> Array:
        d = dimension_numbers
        windows = [
            a
            for a in range(x.ndim)
            if a not in d.inserted_window_dims and a not in d.operand_batching_dims
        ]
        own = list(d.update_window_dims)
        updates = np.moveaxis(updates, own, range(updates.ndim - len(own), updates.ndim))
        rank = updates.ndim - len(own)
        sizes = [1] * x.ndim
        for axis, size in zip(windows, updates.shape[rank:], strict=True):
            sizes[axis] = size
        starts, inside = _starts(
            x.shape,
            sizes,
            indices,
            d.scatter_dims_to_operand_dims,
            d.operand_batching_dims,
            d.scatter_indices_batching_dims,
        )
        places = [np.broadcast_to(p, updates.shape) for p in _places(starts, sizes, windows, rank)]
        kept = np.ones(updates.shape, bool)
        if mode != MODES.CLIP:
            kept = np.broadcast_to(
                inside.reshape(*inside.shape, *[1] * len(windows)), updates.shape
            )
        made = np.array(x)
        where = tuple(p[kept] for p in places)
        values = updates[kept].astype(x.dtype)
        if not places:
            raise NoRule
        if combine is None and update_jaxpr is not None:
            for place, value in zip(zip(*where, strict=True), values, strict=True):
                made[place] = cellwise(update_jaxpr, made[place], value)
        elif combine is None:
            made[where] = values
        else:
            combine.at(made, where, values)
        return made

    return run


# --- reductions, windows, order ---


def reduction(ufunc: Any) -> Rule:
    def run(x: Array, *, axes: Any, **_: Any) -> Array:
        if x.dtype.kind == "V" or x.dtype.name == "bfloat16":
            return ufunc.reduce(x.astype(np.float32), axis=tuple(axes)).astype(x.dtype)
        if ufunc in (np.maximum, np.minimum) and x.size == 0:
            return np.full(np.delete(x.shape, axes).astype(int), _neutral(ufunc, x.dtype), x.dtype)
        if ufunc in (np.add, np.multiply):
            return ufunc.reduce(x, axis=tuple(axes), dtype=x.dtype)
        return ufunc.reduce(x, axis=tuple(axes))

    return run


def _neutral(ufunc: Any, dtype: Any) -> Any:
    if ufunc is np.maximum:
        return LIMITS[dtype][0] if dtype.kind in "iu" else dtype.kind != "b" and -np.inf
    return LIMITS[dtype][1] if dtype.kind in "iu" else True if dtype.kind == "b" else np.inf


def running(ufunc: Any) -> Rule:
    def run(x: Array, *, axis: int, reverse: bool) -> Array:
        given = np.flip(x, axis) if reverse else x
        if x.dtype.name == "bfloat16":
            raise NoRule
        made = ufunc.accumulate(given, axis=axis, dtype=x.dtype)
        return np.flip(made, axis) if reverse else made

    return run


def argument(function: Any) -> Rule:
    def run(x: Array, *, axes: Any, index_dtype: Any) -> Array:
        (axis,) = axes
        if x.dtype.name == "bfloat16":
            x = x.astype(np.float32)
        return function(x, axis=axis).astype(index_dtype)

    return run


def sort(*operands: Array, dimension: int, is_stable: bool, num_keys: int) -> list[Array]:
    keys = [_ordered(o) for o in operands[:num_keys]]
    order = np.lexsort(keys[::-1], axis=dimension)
    return [np.take_along_axis(o, order, dimension) for o in operands]


def _ordered(x: Array) -> Array:
    """NumPy sorts NaN last, as JAX does; complex numbers and bfloat16 by their parts."""
    if x.dtype.kind == "c":
        raise NoRule
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def top_k(x: Array, *, k: int, axis: int, **_: Any) -> list[Array]:
    """In the total order of floats, which tells -0.0 from 0.0."""
    if x.dtype.kind in "biu":
        keys = x.astype(object) if x.dtype.itemsize == 8 else x.astype(np.int64)
    else:
        wide = np.ascontiguousarray(x, np.float64 if x.dtype == np.float64 else np.float32)
        bits = wide.view(f"i{wide.itemsize}")
        keys = np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
        keys = ~keys  # descending, and no overflow
        order = np.argsort(keys, axis=axis, kind="stable")
        order = np.take(order, np.arange(k), axis=axis)
        return [np.take_along_axis(x, order, axis), order.astype(np.int32)]
    order = np.take(np.argsort(-keys, axis=axis, kind="stable"), np.arange(k), axis=axis)
    return [np.take_along_axis(x, order, axis), order.astype(np.int32)]


def windowed(ufunc: Any) -> Rule:
    def run(x: Array, **params: Any) -> Array:
        return _window(ufunc, x, _start_of(ufunc, x.dtype), **params)

    return run


def _start_of(ufunc: Any, dtype: Any) -> Any:
    return np.array(0 if ufunc is np.add else _neutral(ufunc, dtype)).astype(dtype)


def _window(
    ufunc: Any,
    x: Array,
    start: Array,
    *,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any,
    window_dilation: Any,
) -> Array:
    config = [(low, high, b - 1) for (low, high), b in zip(padding, base_dilation, strict=True)]
    padded = spread(x, start, config)
    reach = [(w - 1) * d + 1 for w, d in zip(window_dimensions, window_dilation, strict=True)]
    counts = [
        max(0, (n - r) // s + 1)
        for n, r, s in zip(padded.shape, reach, window_strides, strict=True)
    ]
    total = np.full(counts, start, x.dtype)
    for offset in itertools.product(*map(range, window_dimensions)):
        part = padded[
            tuple(
                slice(o * d, o * d + (c - 1) * s + 1 if c else 0, s)
                for o, d, c, s in zip(offset, window_dilation, counts, window_strides, strict=True)
            )
        ]
        total = ufunc(total, part).astype(x.dtype, copy=False)
    return total


UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
NEUTRAL = {"add": 0, "mul": 1, "max": -np.inf, "min": np.inf}


def reduce_window(
    x: Array, start: Array, *rest: Any, jaxpr: Any, consts: Any, **params: Any
) -> list[Array]:
    """By a ufunc, from its neutral element: what stands in holes and beyond the ends is that."""
    body, _ = open_jaxpr(jaxpr)
    name = body.eqns[0].primitive.name if len(body.eqns) == 1 else ""
    if rest or name not in UFUNCS or start != NEUTRAL.get(name, np.nan):
        raise NoRule
    return [_window(UFUNCS[name], x, start, **params)]


def reduce(*operands: Array, jaxpr: Any, dimensions: Any, **_: Any) -> list[Array]:
    """By any body, cell after cell."""
    if len(operands) != 2:
        raise NoRule
    x, total = operands
    kept = [a for a in range(x.ndim) if a not in dimensions]
    lines = np.transpose(x, (*dimensions, *kept)).reshape(-1, *(x.shape[a] for a in kept))
    total = np.broadcast_to(total, lines.shape[1:])
    for line in lines:
        total = cellwise(jaxpr, total, line)
    return [np.asarray(total)]


# --- sums of products ---


def _number(dtype: Any) -> Any:
    """The type in which products are summed."""
    return np.dtype(np.float32) if np.dtype(dtype).name == "bfloat16" else np.dtype(dtype)


def dot_general(
    x: Array, y: Array, *, dimension_numbers: Any, preferred_element_type: Any, **_: Any
) -> Array:
    (xc, yc), (xb, yb) = dimension_numbers
    result = np.dtype(preferred_element_type or x.dtype)
    xf = [a for a in range(x.ndim) if a not in xc and a not in xb]
    yf = [a for a in range(y.ndim) if a not in yc and a not in yb]
    batch, left = [x.shape[a] for a in xb], [x.shape[a] for a in xf]
    right, inner = [y.shape[a] for a in yf], math.prod(x.shape[a] for a in xc)
    wide = _number(result)
    first = np.transpose(x, (*xb, *xf, *xc)).reshape(*batch, math.prod(left), inner).astype(wide)
    second = np.transpose(y, (*yb, *yc, *yf)).reshape(*batch, inner, math.prod(right)).astype(wide)
    return np.matmul(first, second).reshape(*batch, *left, *right).astype(result)


def convolution(
    x: Array,
    kernel: Array,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    preferred_element_type: Any,
    **_: Any,
) -> Array:
    d = dimension_numbers
    result = np.dtype(preferred_element_type or x.dtype)
    x = np.transpose(x, d.lhs_spec).astype(_number(result))
    kernel = np.transpose(kernel, d.rhs_spec).astype(_number(result))
    inner = [(low, high, b - 1) for (low, high), b in zip(padding, lhs_dilation, strict=True)]
    x = spread(x, 0, [(0, 0, 0), (0, 0, 0), *inner])
    n, channels, features = x.shape[0], x.shape[1], kernel.shape[0]
    groups = feature_group_count * batch_group_count
    if batch_group_count > 1:
        x = x.reshape(groups, n // groups, channels, *x.shape[2:])
    else:
        x = np.moveaxis(x.reshape(n, groups, channels // groups, *x.shape[2:]), 1, 0)
    kernel = kernel.reshape(groups, features // groups, *kernel.shape[1:])
    sizes = kernel.shape[3:]
    counts = [
        max(0, (m - (k - 1) * r - 1) // s + 1)
        for m, k, r, s in zip(x.shape[3:], sizes, rhs_dilation, window_strides, strict=True)
    ]
    total = np.zeros((groups, x.shape[1], features // groups, *counts), x.dtype)
    for offset in itertools.product(*map(range, sizes)):
        part = x[
            (
                ...,
                *(
                    slice(o * r, o * r + (c - 1) * s + 1 if c else 0, s)
                    for o, r, c, s in zip(offset, rhs_dilation, counts, window_strides, strict=True)
                ),
            )
        ]
        taps = kernel[(..., *offset)]
        flat = part.reshape(*part.shape[:3], -1)
        total += np.matmul(taps[:, None], flat).reshape(total.shape)
    made = np.moveaxis(total, 0, 1).reshape(x.shape[1], features, *counts)
    return np.transpose(made, np.argsort(d.out_spec)).astype(result)


def fft(x: Array, *, fft_type: Any, fft_lengths: Any) -> Array:
    function = getattr(np.fft, lax.FftType(fft_type).name.lower() + "n")
    return function(x, fft_lengths, tuple(range(x.ndim - len(fft_lengths), x.ndim)))


# --- loops, branches, calls ---


def scan(*operands: Array, jaxpr: Any, length: int, reverse: bool, **params: Any) -> list[Array]:
    num_consts, num_carry = scan_counts(SimpleNamespace(params=params))  # type: ignore[arg-type]
    consts = operands[:num_consts]
    carry = list(operands[num_consts : num_consts + num_carry])
    rows = operands[num_consts + num_carry :]
    made: list[list[Array]] = []
    order = range(length - 1, -1, -1) if reverse else range(length)
    for i in order:
        results = run(jaxpr, *consts, *carry, *(row[i] for row in rows))
        carry = results[:num_carry]
        made.append(results[num_carry:])
    if reverse:
        made.reverse()
    avals = open_jaxpr(jaxpr)[0].outvars[num_carry:]
    columns = zip(*made, strict=True) if made else [[] for _ in avals]
    stacked = [
        np.stack(column) if len(column) else np.zeros((0, *v.aval.shape), v.aval.dtype)
        for column, v in zip(columns, avals, strict=True)
    ]
    return [*carry, *stacked]


def while_(
    *operands: Array, cond_nconsts: int, cond_jaxpr: Any, body_nconsts: int, body_jaxpr: Any
) -> list[Array]:
    tested = operands[:cond_nconsts]
    given = operands[cond_nconsts : cond_nconsts + body_nconsts]
    state = list(operands[cond_nconsts + body_nconsts :])
    for _ in range(MOST_ROUNDS):
        test = run(cond_jaxpr, *tested, *state)[0]
        if test.shape:  # under `vmap` each program has its own
            raise NoRule
        if not test:
            return state
        state = run(body_jaxpr, *given, *state)
    raise RuntimeError("a loop without end")


MOST_ROUNDS = 100_000


def cond(which: Array, *operands: Array, branches: Any, **_: Any) -> list[Array]:
    return run(branches[min(max(int(which), 0), len(branches) - 1)], *operands)


def call(key: str) -> Rule:
    return lambda *operands, **params: run(params[key], *operands)


# --- the table ---


def _same(x: Array, **_: Any) -> Array:
    return x


def _same_all(*operands: Array, **_: Any) -> list[Array]:
    return list(operands)


FLOATS: Mapping[str, Any] = {
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "logistic": logistic,
    "floor": np.floor,
    "ceil": np.ceil,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "lgamma": scipy.special.gammaln,
    "nextafter": np.nextafter,
}

PLAIN: Mapping[str, Rule] = {
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": mul,
    "div": div,
    "rem": rem,
    "neg": np.negative,
    "abs": np.abs,
    "max": np.maximum,
    "min": np.minimum,
    "square": lambda x: x * x,
    "sign": sign,
    "round": round_,
    "integer_pow": integer_pow,
    "pow": power,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": not_,
    "shift_left": shifted("left"),
    "shift_right_logical": shifted("logical"),
    "shift_right_arithmetic": shifted("arithmetic"),
    "population_count": population_count,
    "clz": clz,
    "select_n": select_n,
    "clamp": clamp,
    "convert_element_type": convert,
    "bitcast_convert_type": bitcast,
    "is_finite": is_finite,
    "real": np.real,
    "imag": np.imag,
    "conj": lambda x, **_: np.conj(x + 0j),
    "complex": lambda x, y: x + 1j * y if x.dtype == np.float64 else _none(),
    "copy": _same,
    "copy_p": _same,
    "stop_gradient": _same,
    "sharding_constraint": _same,
    "name": _same,
    "broadcast_in_dim": broadcast_in_dim,
    "reshape": reshape,
    "squeeze": lambda x, dimensions: np.squeeze(x, tuple(dimensions)),
    "expand_dims": lambda x, dimensions: np.expand_dims(x, tuple(dimensions)),
    "transpose": lambda x, permutation: np.transpose(x, permutation),
    "tile": lambda x, reps: np.tile(x, reps),
    "stack": lambda *xs, axis: np.stack(xs, axis),
    "stage": _same,
    "reshard": _same,
    "rev": lambda x, dimensions: np.flip(x, dimensions),
    "slice": slice_,
    "pad": pad,
    "concatenate": lambda *xs, dimension: np.concatenate(xs, dimension),
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "iota": iota,
    "gather": gather,
    "scatter": scatter(None),
    "scatter-add": scatter(np.add),
    "scatter-sub": scatter(np.subtract),
    "scatter_add": scatter(np.add),
    "scatter-mul": scatter(np.multiply),
    "scatter_mul": scatter(np.multiply),
    "scatter-min": scatter(np.minimum),
    "scatter_min": scatter(np.minimum),
    "scatter-max": scatter(np.maximum),
    "scatter_max": scatter(np.maximum),
    "reduce_sum": reduction(np.add),
    "reduce_prod": reduction(np.multiply),
    "reduce_max": reduction(np.maximum),
    "reduce_min": reduction(np.minimum),
    "reduce_and": reduction(np.bitwise_and),
    "reduce_or": reduction(np.bitwise_or),
    "reduce_xor": reduction(np.bitwise_xor),
    "argmax": argument(np.argmax),
    "argmin": argument(np.argmin),
    "cumsum": running(np.add),
    "cumprod": running(np.multiply),
    "cummax": running(np.maximum),
    "cummin": running(np.minimum),
    "reduce_window_sum": windowed(np.add),
    "reduce_window_max": windowed(np.maximum),
    "reduce_window_min": windowed(np.minimum),
    "dot_general": dot_general,
    "conv_general_dilated": convolution,
    "fft": fft,
}
"""Rules for primitives of one result."""

RULES: Mapping[str, Rule] = {
    **{name: _like_operand(function) for name, function in FLOATS.items()},
    **PLAIN,
    "split": split,
    "unstack": lambda x, axis: [np.take(x, i, axis) for i in range(x.shape[axis])],
    "reduce": reduce,
    "sort": sort,
    "top_k": top_k,
    "reduce_window": reduce_window,
    "optimization_barrier": _same_all,
    "device_put": _same_all,
    "scan": scan,
    "while": while_,
    "cond": cond,
    "jit": call("jaxpr"),
    "pjit": call("jaxpr"),
    "closed_call": call("call_jaxpr"),
    "core_call": call("call_jaxpr"),
    "remat": call("jaxpr"),
    "checkpoint": call("jaxpr"),
    "custom_jvp_call": call("call_jaxpr"),
    "custom_vjp_call": call("call_jaxpr"),
}

# --- in the place of the compiler ---


class _State:
    active = 0


@contextlib.contextmanager
def native() -> Iterator[None]:
    """Let XLA compile and run."""
    before, _State.active = _State.active, 0
    try:
        yield
    finally:
        _State.active = before


@functools.cache
def _place(device: Any) -> Any:
    return jax.sharding.SingleDeviceSharding(device)


def on_device(value: Array, aval: Any) -> Any:
    """A jax array."""
    device = jax.config.jax_default_device or jax.local_devices()[0]  # type: ignore[attr-defined]
    whole = np.ascontiguousarray(value).reshape(value.shape)
    return xla_client.batched_device_put(aval, _place(device), [whole], [device])


def _plain(aval: Any) -> bool:
    return isinstance(aval, core.ShapedArray) and not jnp.issubdtype(
        aval.dtype, jax.dtypes.extended
    )


class Interpreted:
    """In the place of a compiled function."""

    def __init__(self, traced: Any) -> None:
        self._jaxpr, self._tree = traced.jaxpr, traced.lojax.out_tree

    def compile(self, options: Any = None) -> "Interpreted":
        return self

    def __call__(self, *operands: Any) -> Any:
        made = run(self._jaxpr, *(np.asarray(leaf) for leaf in jax.tree.leaves(operands)))
        leaves = [
            on_device(value, aval)
            for value, aval in zip(made, open_jaxpr(self._jaxpr)[0].outvars, strict=True)
            for aval in [aval.aval]
        ]
        return jax.tree.unflatten(self._tree, leaves)


@contextlib.contextmanager
def numpy_backend() -> Iterator[None]:
    """Nothing is compiled inside."""
    own_lower, own_call = stages.Traced.lower, pjit._pjit_call_impl_python
    own_eager = core.EvalTrace.process_primitive

    def lower(traced: Any, **options: Any) -> Any:
        if not _State.active or not all(map(_plain, traced.jaxpr.in_avals)):
            return own_lower(traced, **options)
        return Interpreted(traced)

    def call_impl(*operands: Any, jaxpr: Any, **params: Any) -> Any:
        body, _ = open_jaxpr(jaxpr)
        if not _State.active or not all(_plain(v.aval) for v in (*body.invars, *body.outvars)):
            return own_call(*operands, jaxpr=jaxpr, **params)
        given = [np.asarray(o, v.aval.dtype) for o, v in zip(operands, body.invars, strict=True)]
        made = run(jaxpr, *given)
        avals = [v.aval for v in body.outvars]
        return [on_device(m, a) for m, a in zip(made, avals, strict=True)], None, None, []

    def eager(trace: Any, primitive: Any, operands: Any, params: Any, /) -> Any:
        if not _State.active or primitive.name not in RULES or primitive.name in CALLS:
            return own_eager(trace, primitive, operands, params)
        avals = [core.typeof(o) for o in operands]
        if not all(map(_plain, avals)):
            return own_eager(trace, primitive, operands, params)
        given = [np.asarray(o, a.dtype) for o, a in zip(operands, avals, strict=True)]
        weak = bool(avals) and all(a.weak_type for a in avals)
        weak = bool(params.get("weak_type", weak))
        made = evaluate(primitive, given, params)
        found = [on_device(m, core.ShapedArray(m.shape, m.dtype, weak_type=weak)) for m in made]
        return found if primitive.multiple_results else found[0]

    stages.Traced.lower, pjit._pjit_call_impl_python = lower, call_impl
    core.EvalTrace.process_primitive = eager
    _State.active = 1
    try:
        with np.errstate(all="ignore"):  # infinities and NaN are results like others
            yield
    finally:
        _State.active = 0
        stages.Traced.lower, pjit._pjit_call_impl_python = own_lower, own_call
        core.EvalTrace.process_primitive = own_eager


CALLS = frozenset(["jit", "pjit", "custom_jvp_call", "custom_vjp_call", "device_put"])
"""Primitives that JAX calls by rules of its own."""

CELLS = frozenset(FLOATS) | set(
    """
    add sub mul div rem neg abs max min square sign round integer_pow pow eq ne lt le gt ge and or xor not shift_left
    shift_right_logical shift_right_arithmetic select_n clamp convert_element_type is_finite copy population_count
    """.split()
)
"""Primitives whose rules work cell by cell on arrays of any shape."""
