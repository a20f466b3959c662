"""What the field computes: moves, sums, products, spectra. JAX runs the primitives themselves, on residues."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import FftType, GatherScatterMode

from shiftproof.algebras.arithmetic import (
    MOST_HALVES,
    MOST_TERMS,
    Arithmetic,
    FieldError,
    Size,
    inverses,
    size_of_inverses,
)
from shiftproof.algebras.at_hand import like, run, xp
from shiftproof.algebras.field.values import (
    NO_NUMBER,
    Call,
    Field,
    Known,
    Members,
    NotHere,
    Value,
    check_finite,
    largest,
    moved_codes,
    numbers_of,
    on_tracks,
    part_of,
    special_results,
    spread,
    square_of_norm,
)
from shiftproof.algebras.places import landing, looked_up
from shiftproof.tracing.primitives import TABLE, is_complex

# --- moves: JAX runs the primitive itself on the tracks ---


def moves(field: Field, call: Call) -> list[Value]:
    """Every output cell is an input cell or a constant: the primitive itself, run on every track."""
    name = call.eqn.name
    raw = [i for i in TABLE[name].known if i < len(call.operands)]
    if any(not isinstance(call.operands[i], Known) for i in raw):
        raise NotHere("it looks up places that are not known")
    if name == "scatter" and np.any(
        landing(call.eqn, call.types[0].shape, call.known(1), call.types[2].shape) == -2
    ):
        raise NotHere("it writes twice to one place")
    if name == "gather":
        outside = looked_up(call.eqn, call.types[0].shape, call.known(1)) < 0
        if np.any(outside):
            return [_filled(field, call, outside)]
    values = {i: field.value(o) for i, o in enumerate(call.operands) if i not in raw}
    counts = [2 if is_complex(aval) else 1 for aval in call.results]
    parts = [
        on_tracks(call, {i: part_of(v, part) for i, v in values.items()}, raw)
        for part in range(max(counts))
    ]
    special: Sequence[Any] = [None] * len(call.results)
    if any(v.special is not None for v in values.values()):
        codes = {i: numbers_of(v.special, v.shape) for i, v in values.items()}
        with jax.ensure_compile_time_eval():
            arrays = [call.known(i) if i in raw else codes[i] for i in range(len(call.operands))]
            special = [moved_codes(np.asarray(v)) for v in call.bind(*arrays)]
    members: list[Members | None] = [None] * len(call.results)
    source = values[min(values)].members
    if len(values) == 1 and source is not None:
        members = _moved_members(call, source, raw)
    return [
        Value(tuple(found[:count]), largest(values.values()), codes, kept)
        for *found, count, codes, kept in zip(*parts, counts, special, members, strict=True)
    ]


def _moved_members(call: Call, members: Members, raw: Sequence[int]) -> list[Members | None]:
    """What moves takes along what it is the extremum of."""

    def one(cover: Any) -> Sequence[Any]:
        return call.bind(*(call.known(i) if i in raw else cover for i in range(len(call.operands))))

    with jax.ensure_compile_time_eval():
        found = jax.vmap(one, -1, -1)(jnp.asarray(members.cover, np.float32))
        return [dataclasses.replace(members, cover=np.asarray(cover) > 0) for cover in found]


def _filled(field: Field, call: Call, outside: np.ndarray) -> Value:
    """What is looked up in the array, and the number that stands for what lies outside of it."""
    number, mode = call.eqn.params["fill_value"], call.eqn.params["mode"]
    if number is None or mode != GatherScatterMode.FILL_OR_DROP:
        raise NotHere("it looks up places outside of the array")
    value, (aval,) = field.value(call.operands[0]), call.results
    check_finite(value)
    around = field.value(Known(np.full(aval.shape, number, aval.dtype)))
    parts = tuple(
        xp.where(outside, part, on_tracks(call, {0: part_of(value, i)}, [1])[0])
        for i, part in enumerate(around.parts)
    )
    codes = None if around.special is None else np.where(outside, around.special, 0)
    return Value(parts, largest([value, around]), codes)


# --- sums ---


def linear(field: Field, call: Call) -> list[Value]:
    """Sums: the primitive itself, and residues of the result."""
    name = call.eqn.name
    if name == "convert_element_type":
        return [_cast(field, call)]
    raw = [i for i in TABLE[name].known if i < len(call.operands)]
    values = {i: field.value(o) for i, o in enumerate(call.operands) if i not in raw}
    shape = tuple(call.results[0].shape)
    terms = sum(math.prod(v.shape) for v in values.values())
    if name == "reduce_sum":
        terms //= math.prod(shape)
    elif name in ("add", "add_any", "complex", "sub", "neg"):
        values = {i: spread(v, shape) for i, v in values.items()}
        terms = len(values)
    match name:
        case "real" | "imag":
            (value,) = values.values()
            return [dataclasses.replace(value, parts=(part_of(value, int(name == "imag")),))]
        case "complex":
            check_finite(*values.values())
            return [Value((values[0].parts[0], values[1].parts[0]), largest(values.values()))]
        case "conj":
            (value,) = values.values()
            negative = field.arithmetic.reduce(-part_of(value, 1))
            return [dataclasses.replace(value, parts=(value.parts[0], negative))]
    special = None
    if name in ("add", "add_any", "neg", "sub"):
        special = special_results(call, list(values.values()))
    else:
        check_finite(*values.values())
    count = 2 if is_complex(call.results[0]) else 1
    parts = []
    for part in range(count):
        (found,) = on_tracks(call, {i: part_of(v, part) for i, v in values.items()}, raw)
        found = field.arithmetic.reduce(found)
        parts.append(found if special is None else xp.where(special != 0, 0.0, found))
    return [Value(tuple(parts), largest(values.values(), terms), special)]


def _cast(field: Field, call: Call) -> Value:
    """Between floats, and from truths, the identity over the reals."""
    value = field.value(call.operands[0])
    if is_complex(call.results[0]) and len(value.parts) == 1:
        check_finite(value)
        return dataclasses.replace(value, parts=(value.parts[0], xp.zeros_like(value.parts[0])))
    return value


# --- products ---


def bilinear(field: Field, call: Call) -> list[Value]:
    """Products and contractions: the primitive itself, and residues of the result."""
    name = call.eqn.name
    if name == "div":
        return [_quotient(field, call)]
    first = field.value(call.operands[0])
    second = first if name == "square" else field.value(call.operands[1])
    check_finite(first, second)
    terms = 1
    if name in ("mul", "square"):
        shape = tuple(call.results[0].shape)
        first, second = spread(first, shape), spread(second, shape)
    if name == "dot_general":
        (contracted, _), _ = call.eqn.params["dimension_numbers"]
        terms = math.prod(call.types[0].shape[axis] for axis in contracted)
    elif name == "conv_general_dilated":
        kernel = call.types[1].shape
        terms = math.prod(kernel) // kernel[call.eqn.params["dimension_numbers"].rhs_spec[0]]
    if terms > MOST_HALVES:
        raise FieldError(f"a contraction has {terms} terms, more than are exact")

    def product(a: Any, b: Any) -> Any:
        return _product(field.arithmetic, call, a, b, terms)

    return [_complex_product(field, first, second, product, terms, is_complex(call.results[0]))]


def _complex_product(
    field: Field,
    first: Value,
    second: Value,
    product: Callable[[Any, Any], Any],
    terms: int,
    pairs: bool,
) -> Value:
    """(a + b i)(c + d i), where there are imaginary parts."""
    reduce = field.arithmetic.reduce
    if not pairs:
        parts = (product(first.parts[0], second.parts[0]),)
    else:
        (a, b), (c, d) = ((part_of(v, 0), part_of(v, 1)) for v in (first, second))
        parts = (
            reduce(product(a, c) - product(b, d)),
            reduce(product(a, d) + product(b, c)),
        )
    return Value(parts, first.size.times(second.size, terms * (2 if pairs else 1)))


def _product(arithmetic: Arithmetic, call: Call, a: Any, b: Any, terms: int) -> Any:
    """Residues of a product or contraction; long sums in two halves of the digits of one factor."""
    if terms <= MOST_TERMS:
        return arithmetic.reduce(_multiply(call, a, b))
    high = xp.floor(b / 1024)
    upper = arithmetic.reduce(_multiply(call, a, high))
    return arithmetic.reduce(upper * 1024 + arithmetic.reduce(_multiply(call, a, b - high * 1024)))


def _multiply(call: Call, a: Any, b: Any) -> Any:
    name = call.eqn.name
    if name in ("mul", "square", "div"):
        return a * b
    changed = {"preferred_element_type": np.dtype(np.float64), "precision": None}
    made = run(name, [a, b], call.eqn.params)
    if made is not None:
        return made
    # track by track: a convolution over tracks at once would be a grouped one, which is slow
    tracks = [
        call.bind(jnp.asarray(x), jnp.asarray(y), **changed)[0] for x, y in zip(a, b, strict=True)
    ]
    return like([a, b], [jnp.stack(tracks)])[0]


def _quotient(field: Field, call: Call) -> Value:
    """A product with the inverse: exact where that is known, else a random function of the divisor.

    By a known 0 nothing is divided: there is no number, and moves alone may go on with it.
    """
    arithmetic, divisor, shape = field.arithmetic, call.operands[1], tuple(call.results[0].shape)
    top = spread(field.value(call.operands[0]), shape)

    def product(a: Any, b: Any) -> Any:
        return arithmetic.reduce(a * b)

    if isinstance(divisor, Known) and not np.iscomplexobj(divisor.array):
        inverse = field.remember("inverse", [divisor], lambda: _inverse(field, divisor))
        if inverse is not None:
            check_finite(top)
            factor = spread(dataclasses.replace(inverse, special=None), shape)
            found = _complex_product(field, top, factor, product, 1, False)
            codes = inverse.special
            codes = None if codes is None else np.broadcast_to(codes, shape)
            return dataclasses.replace(found, special=codes)
    below = spread(field.value(divisor), shape)
    check_finite(top, below)
    field.undefined.append(xp.any(field.is_zero([below])))
    if not is_complex(call.results[0]):
        inverse = field.function("reciprocal", [below])
        return _complex_product(field, top, inverse, product, 1, False)
    # a / b = a conj(b) f(|b|^2)
    inverse = field.function("reciprocal", [square_of_norm(field, below)])
    conjugate = Value((part_of(below, 0), arithmetic.reduce(-part_of(below, 1))), below.size)
    above = _complex_product(field, top, conjugate, product, 1, True)
    return _complex_product(field, above, inverse, product, 1, True)


def _inverse(field: Field, divisor: Known) -> Value | None:
    """One over a known number, and no number where it is 0; None where some divisor is no number."""
    if field.value(divisor).special is not None:
        return None
    zero = np.asarray(divisor.array) == 0
    numbers = np.where(zero, 1.0, np.asarray(divisor.array).astype(np.float64))
    rows = zip(field.arithmetic.embed(numbers), field.arithmetic.primes, strict=True)
    inverse = np.stack([inverses(row, p) for row, p in rows])
    codes = np.where(zero, NO_NUMBER, 0).astype(np.int8) if np.any(zero) else None
    return Value((inverse,), size_of_inverses(numbers), codes)


# --- spectra ---


def spectral(field: Field, call: Call) -> list[Value]:
    """Axis by axis a product with the matrix of roots of unity."""
    value = field.value(call.operands[0])
    check_finite(value)
    kind, lengths = call.eqn.params["fft_type"], [int(n) for n in call.eqn.params["fft_lengths"]]
    arithmetic, rank = field.arithmetic, len(value.shape)
    inverse = kind in (FftType.IFFT, FftType.IRFFT)
    axes = list(range(rank - len(lengths), rank))
    pair = (value.parts[0], part_of(value, 1))
    order = list(zip(axes, lengths, strict=True))
    if kind == FftType.RFFT:
        order.reverse()  # the last axis first, of which half is kept
    for axis, n in order:
        if kind == FftType.IRFFT and axis == axes[-1]:
            pair = _whole_spectrum(arithmetic, pair, axis, n)
        pair = _transform(arithmetic, pair, axis, n, inverse)
        if kind == FftType.RFFT and axis == axes[-1]:
            pair = tuple(part[(slice(None),) * (axis + 1) + (slice(n // 2 + 1),)] for part in pair)
    parts = pair if is_complex(call.results[0]) else pair[:1]
    # twice a sine or cosine is an algebraic integer
    table = Size(0, 0, {2: 1})
    size = value.size
    for n in lengths:
        size = size.times(table, 2 * n)
        if inverse:
            size = size.times(size_of_inverses(np.array([float(n)])))
    return [Value(tuple(parts), size)]


def _transform(arithmetic: Arithmetic, pair: Any, axis: int, n: int, inverse: bool) -> Any:
    cosines, sines = np.zeros((2, arithmetic.tracks, n, n))
    tracks = zip(arithmetic.primes, arithmetic.roots(n), arithmetic.roots(4), strict=True)
    for track, (p, root, unit) in enumerate(tracks):
        powers = np.array([pow(root, k, p) for k in range(n)], np.int64)
        turns = powers[np.outer(np.arange(n), np.arange(n)) % n]
        back = turns[:, -np.arange(n) % n]  # the inverse of each entry
        cosines[track] = (turns + back) * pow(2, -1, p) % p
        sines[track] = (turns - back) * pow(2 * unit, -1, p) % p
    scale = arithmetic.embed(np.asarray(1.0))
    if inverse:
        scale = np.array([pow(n, -1, p) for p in arithmetic.primes], np.float64)
    else:
        sines = -sines  # exp(-2 pi i j k / n)
    scaled = [arithmetic.reduce(m * scale.reshape(-1, 1, 1)) for m in (cosines, sines)]

    def product(matrix: Any, part: Any) -> Any:
        moved = xp.moveaxis(part, axis + 1, -1)
        flat = moved.reshape(len(moved), -1, n)
        high = xp.floor(flat / 1024)
        upper = arithmetic.reduce(xp.matmul(high, matrix)) * 1024 if n > MOST_TERMS else 0.0
        lower = flat - high * 1024 if n > MOST_TERMS else flat
        found = arithmetic.reduce(upper + arithmetic.reduce(xp.matmul(lower, matrix)))
        return xp.moveaxis(found.reshape(moved.shape), -1, axis + 1)

    (cos, sin), (re, im) = scaled, pair
    return (
        arithmetic.reduce(product(cos, re) - product(sin, im)),
        arithmetic.reduce(product(cos, im) + product(sin, re)),
    )


def _whole_spectrum(arithmetic: Arithmetic, pair: Any, axis: int, n: int) -> Any:
    """The spectrum of a real signal from its first half: the rest is conjugate, and the ends are real."""
    re, im = (part[(slice(None),) * (axis + 1) + (slice(n // 2 + 1),)] for part in pair)
    ends = np.zeros(n // 2 + 1, bool)
    ends[0] = True
    ends[-1] |= n % 2 == 0
    im = xp.where(ends.reshape(-1, *[1] * (re.ndim - axis - 2)), 0.0, im)
    tail = slice(1, (n + 1) // 2)
    rest = [xp.flip(xp.moveaxis(part, axis + 1, 0)[tail], 0) for part in (re, im)]
    rest = [xp.moveaxis(part, 0, axis + 1) for part in rest]
    return (
        xp.concatenate([re, rest[0]], axis + 1),
        xp.concatenate([im, arithmetic.reduce(-rest[1])], axis + 1),
    )
