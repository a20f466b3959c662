"""The field: a program run on numbers for which `==` means equal, for all images, all weights and all functions.

The program is evaluated modulo several primes. Pixels and free weights are random residues; known numbers are what
they are, since floats are whole numbers times powers of two. Whatever is not algebraic becomes a random function: a
pointwise function a random function of its operands, a maximum `psi^-1(psi(a) + psi(b))` with a random permutation
psi, so that maxima of maxima regroup; a spectrum is taken with roots of unity. Two outputs that are equal by the laws
of commutative rings, of functions, and of symmetric associative operations, are equal here, whatever the seed. So a
claim that fails here is not an identity of that kind; and one that holds is one, but for an error that is bounded as
follows.

**The error.** Call two expressions different if they are not equal by these laws. Numbers are tuples of k tracks, one
residue modulo an own prime each, and random functions act on tuples. Suppose that in no function two different
arguments have been met whose tuples agree. Then the values of the functions are independent random elements, as fresh
as the pixels, and the difference of two different expressions is a polynomial in fresh elements. Let d be its degree.
On one track it vanishes only if

- it is not zero modulo the track's prime p, and vanishes at random elements: at most d / p of these cases (J.
  Schwartz, 1980; R. Zippel, 1979); or
- its coefficients are all multiples of p. They are whole numbers of at most b bits (and powers of two), of which at
  most b / 19 primes above 2^19 are divisors; p was drawn among q primes: b / (19 q); or
- one of d arguments of a random function adds up, modulo 2^64, to the same number as another of N arguments: at most
  d N / 2^43, since the factors are odd and their operands below 2^21.

The sum of the three is the *atom* a. The tracks are independent, so a pair of different expressions agrees with
probability a^k at most. There are N^2 / 2 pairs of arguments, and one final pair. In all

    error <= (N^2 / 2 + 1) a^k,

where N counts the cells at which some function was met, in both runs that are compared, d and b are the largest met.
(One chain of expressions instead of all pairs would give a smaller sum, but no bound: the maxima of x, 2x, 4x, 8x,
16x agree modulo 31 with those of y whenever y is x times a power of two.) A random function is one that mixes bits;
that it behaves as one drawn at random is an assumption, as usual for hash functions. The idea of random
interpretation: S. Gulwani, G. Necula, "Discovering affine equalities using random interpretation", 2003; "Global
value numbering using random interpretation", 2004.

**What is not seen**: laws of particular functions (relu(x) - relu(-x) = x), and that max(x, x) = x, except at 0, where
the function itself is used. Then "differs" is said, which refutes nothing.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import FftType, GatherScatterMode

from shiftproof.algebras.arithmetic import (
    MOST_TERMS,
    Arithmetic,
    FieldError,
    inverses,
    primes,
    root_of_unity,
    size_in_bits,
)
from shiftproof.tracing.primitives import TABLE, Kind, Reading, plain, read, type_of
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    apply,
    interpret,
    open_body,
    scan_counts,
)

MOST_UNROLLED = 2000
"""Equations that an unrolled loop may come to."""


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that depends neither on the image nor on free weights."""

    array: Any


@dataclasses.dataclass(frozen=True)
class Value:
    """Numbers in the field.

    Attributes:
        parts: (tracks, *shape) residues; a complex number has two parts.
        degree: of these expressions as polynomials in what is fresh.
        bits: of their coefficients.
        special: (*shape) int8: 1, -1 and 2 where cells are infinity, -infinity and NaN, whatever the image; None where
            none is. The residues there are 0.
    """

    parts: tuple[Any, ...]
    degree: int = 1
    bits: int = 0
    special: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, tracks not counted."""
        return tuple(self.parts[0].shape[1:])


Operand = Known | Value


@dataclasses.dataclass
class Tally:
    """What the error bound is made of.

    Attributes:
        lookups: cells at which a random function was met.
        degree: the largest of an argument or result.
        bits: the largest size of a coefficient.
    """

    lookups: int = 0
    degree: int = 1
    bits: int = 0

    def met(self, values: Sequence[Value]) -> None:
        """Count expressions that are compared with others."""
        self.degree = max(self.degree, *(v.degree for v in values))
        self.bits = max(self.bits, *(v.bits for v in values))

    def log2_error(self, pool: int, moduli: Sequence[int]) -> float:
        """The base-2 logarithm of the error bound, for one pair of runs.

        Args:
            pool: number of primes among which those of the tracks were drawn.
            moduli: the primes.
        """
        count = 2 * self.lookups
        coefficients = self.bits / (19 * pool) if pool else 0.0
        # the mixed bits are as even as 32 bits can be on a million residues
        atoms = [self.degree * (1.001 / p + count * 2.0**-43) + coefficients for p in moduli]
        return math.log2(count**2 / 2 + 1) + sum(math.log2(min(1.0, atom)) for atom in atoms)


def orders_of_unity(program: Program) -> int:
    """The order of the roots of unity that the spectra of a program need; 1 where there are none."""
    order = 1
    for eqn in program.equations:
        if eqn.name == "fft":
            order = math.lcm(order, 4, *(int(n) for n in eqn.params["fft_lengths"]))
        for body in _bodies(eqn):
            order = math.lcm(order, orders_of_unity(body))
    return order


def _bodies(eqn: Equation) -> list[Program]:
    """The bodies of a loop or a branch."""
    closed = [eqn.params.get(key) for key in ("jaxpr", "body_jaxpr", "cond_jaxpr")]
    found = [body for body in closed if body is not None and eqn.name in ("scan", "while")]
    return [open_body(body) for body in (*found, *eqn.params.get("branches", ()))]


def make_arithmetic(order: int, tracks: int, seed: int) -> tuple[Arithmetic, int]:
    """Primes drawn at random, all different, whose fields hold roots of unity of that order; and among how many.

    Raises:
        FieldError: there are not enough of them below 2^20.
    """
    pool = primes(order)
    if len(pool) < tracks:
        raise FieldError(
            f"spectra need roots of unity of order {order}, and only {len(pool)} primes below 2^20 have them"
        )
    drawn = np.random.default_rng([seed, order]).choice(pool, tracks, replace=False)
    return Arithmetic(tuple(int(p) for p in drawn), seed), len(pool)


def draw(arithmetic: Arithmetic, name: str, aval: Any) -> Value:
    """Random numbers in place of any: an image, or a free weight."""
    count = 2 if _is_complex(aval) else 1
    return Value(tuple(arithmetic.draw(f"{name} {i}", aval.shape) for i in range(count)))


class Field:
    """Evaluates programs in the field; one rule per class of the table.

    Args:
        arithmetic: primes and random functions.

    Attributes:
        tally: what the error bound is made of; grows while programs run.
        opaque: equations read as any function of their whole operands, and why.
    """

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        self.tally = Tally()
        self.opaque: dict[str, None] = {}

    def run(self, program: Program, start: Mapping[int, Operand]) -> dict[int, Operand]:
        """Every value of a program, by number.

        Args:
            program: the traced model, or a body.
            start: its inputs and constants.
        """

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Operand]:
            given = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
            types = [
                type_of(o.value) if isinstance(o, Literal) else program.avals[o] for o in eqn.inputs
            ]
            return self.apply(Call(eqn, given, types, [program.avals[n] for n in eqn.outputs]))

        return interpret(program, start, step)

    def apply(self, call: "Call") -> Sequence[Operand]:
        """The results of one equation."""
        if all(isinstance(o, Known) for o in call.operands):
            return _known_results(call)
        if all(0 in aval.shape for aval in call.results):
            return [Known(np.zeros(aval.shape, aval.dtype)) for aval in call.results]
        reading = call.reading
        if reading.kind is not Kind.MOVES and any(0 in aval.shape for aval in call.types):
            reading = Reading(Kind.OPAQUE, "an operand has no cells")
        try:
            made = RULES[reading.kind](self, dataclasses.replace(call, reason=reading.reason))
        except NotHere as reason:
            made = _opaque(self, dataclasses.replace(call, reason=str(reason)))
        for made_of, aval in zip(made, call.results, strict=True):
            if isinstance(made_of, Value) and made_of.shape != tuple(aval.shape):
                raise AssertionError(f"{call.eqn.name} gives {made_of.shape}, not {aval.shape}")
        return made

    # --- from known numbers to tuples ---

    def value(self, operand: Operand, dtype: Any = None) -> Value:
        """An operand in the field; known numbers are embedded.

        Raises:
            NotHere: it is no number.
        """
        if isinstance(operand, Value):
            return operand
        if not plain(operand.array.dtype if hasattr(operand.array, "dtype") else np.float64):
            raise NotHere("it uses random keys")
        array = np.asarray(operand.array)
        if not np.issubdtype(array.dtype, np.complexfloating) and array.dtype.kind not in "iub":
            array = array.astype(np.float64)  # NumPy knows no bfloat16
        parts = (array.real, array.imag) if np.iscomplexobj(array) else (array,)
        special = None
        if array.dtype.kind in "fc" and not np.all(np.isfinite(array)):
            if len(parts) == 2:
                raise NotHere("it uses a complex table that holds infinities or NaN")
            special = _special(array)
            parts = (np.where(special != 0, 0.0, array),)
        embedded = tuple(self.arithmetic.embed(np.asarray(part)) for part in parts)
        return Value(embedded, 0, max(map(size_in_bits, parts)), special)

    # --- random functions ---

    def function(self, name: str, values: Sequence[Value], *, outputs: int = 1) -> Value:
        """A random function of all parts of some values, cell by cell."""
        self.tally.met(values)
        cells = max(math.prod(v.shape) for v in values)
        self.tally.lookups += outputs * cells
        shape = np.broadcast_shapes(*(v.shape for v in values))
        inputs = [
            jnp.broadcast_to(part, (part.shape[0], *shape)) for v in values for part in _coded(v)
        ]
        found = [self.arithmetic.function(f"{name} {i}", inputs) for i in range(outputs)]
        return Value(tuple(found))

    def digest(self, name: str, value: Value, axes: Sequence[int], *, ordered: bool) -> Value:
        """A number for all cells along some axes, of size 1 then; of their set with multiplicity unless ordered."""
        values = [value]
        if ordered:
            shape = [n if axis in axes else 1 for axis, n in enumerate(value.shape)]
            places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
            values.append(self.value(Known(places)))
        marks = self.function(f"{name} digest", values)
        where = tuple(axis + 1 for axis in axes)
        return Value((self.arithmetic.reduce(jnp.sum(marks.parts[0], where, keepdims=True)),))

    def is_zero(self, values: Sequence[Value]) -> Any:
        """Where all values are known to be 0: no other expression has a tuple of zeros, but for the error."""
        found = None
        for value in values:
            for part in value.parts:
                zero = jnp.all(jnp.asarray(part) == 0, axis=0)
                found = zero if found is None else found & zero
        return found


class NotHere(Exception):
    """A rule does not apply to an equation, which is opaque then, for the reason given."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation with its operands.

    Attributes:
        eqn: the equation.
        operands: not all of them known.
        types: shape and dtype of each operand.
        results: shape and dtype of each result.
        reason: why it is opaque.
    """

    eqn: Equation
    operands: Sequence[Operand]
    types: Sequence[Any]
    results: Sequence[Any]
    reason: str = ""

    @property
    def reading(self) -> Reading:
        """Its class, by the table."""
        known = [isinstance(o, Known) for o in self.operands]
        return read(self.eqn.name, self.eqn.params, self.types, known, self.results[0])

    @property
    def label(self) -> str:
        """Primitive and parameters: equal labels are equal functions. Floats of all widths are real numbers."""
        params = sorted((k, v) for k, v in self.eqn.params.items() if k not in _HOW)
        types = [_family(aval.dtype) for aval in (*self.types, *self.results)]
        return f"{self.eqn.name} {params} {types}"

    def known(self, position: int) -> np.ndarray:
        """The values of a known operand."""
        operand = self.operands[position]
        assert isinstance(operand, Known)
        return np.asarray(operand.array)

    def bind(self, *arrays: Any, **changed: Any) -> Sequence[Any]:
        """The primitive itself, run on other arrays."""
        eqn = self.eqn
        params = eqn.primitive.get_bind_params({**eqn.params, **changed})
        result = eqn.primitive.bind(*arrays, **params)
        return result if eqn.primitive.multiple_results else [result]


_HOW = frozenset(["accuracy", "sharding", "weak_type", "unroll", "index_dtype"])
"""Parameters that say how to compute, and not what."""


def _family(dtype: Any) -> str:
    """Real and complex numbers have no width; integers of different widths wrap differently."""
    if jnp.issubdtype(dtype, np.complexfloating):
        return "complex"
    return "real" if jnp.issubdtype(dtype, np.floating) else str(dtype)


def _is_complex(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, np.complexfloating)


def _known_results(call: Call) -> list[Known]:
    """What follows from known operands is computed as the user's program computes it."""
    with jax.ensure_compile_time_eval():
        found = apply(call.eqn, [o.array for o in call.operands])
        return [Known(np.asarray(v) if plain(v.dtype) else v) for v in found]


def _special(array: np.ndarray) -> np.ndarray:
    """1, -1 and 2 for infinity, -infinity and NaN."""
    infinite = np.where(np.isinf(array), np.sign(array), 0)
    return np.where(np.isnan(array), 2, infinite).astype(np.int8)


def _number_of(codes: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Infinities and NaN where the codes say so, 0 elsewhere."""
    if codes is None:
        return np.zeros(shape, np.float32)
    return np.array([0.0, math.inf, math.nan, -math.inf], np.float32)[np.asarray(codes, np.int64)]


def _coded(value: Value) -> list[Any]:
    """The parts, with numbers that are no residues in place of infinities and NaN."""
    if value.special is None:
        return list(value.parts)
    codes = 2.0**20 + 2.0 + value.special
    return [jnp.where(value.special != 0, codes, part) for part in value.parts]


def _finite(*values: Value) -> None:
    if any(value.special is not None for value in values):
        raise NotHere("it computes with infinities or NaN")


# --- moves: JAX runs the primitive itself on the tracks ---


def _moves(field: Field, call: Call) -> list[Value]:
    name = call.eqn.name
    raw = [i for i in TABLE[name].known if i < len(call.operands)]
    if any(not isinstance(call.operands[i], Known) for i in raw):
        raise NotHere("it looks up places that are not known")
    if name in ("gather", "scatter"):
        _check_places(call)
    values = {i: field.value(o) for i, o in enumerate(call.operands) if i not in raw}
    degree, bits = _largest(values.values())
    count = 2 if _is_complex(call.results[0]) else 1
    parts = [
        _on_tracks(call, {i: _part(v, part) for i, v in values.items()}, raw)
        for part in range(count)
    ]
    special: Sequence[Any] = [None] * len(call.results)
    if any(v.special is not None for v in values.values()):
        codes = {i: _number_of(v.special, v.shape) for i, v in values.items()}
        with jax.ensure_compile_time_eval():
            arrays = [call.known(i) if i in raw else codes[i] for i in range(len(call.operands))]
            found = [_special(np.asarray(v)) for v in call.bind(*arrays)]
        special = [codes if np.any(codes) else None for codes in found]
    return [
        Value(tuple(found), degree, bits, codes)
        for *found, codes in zip(*parts, special, strict=True)
    ]


def _part(value: Value, part: int) -> Any:
    """A part of a complex number; of a real one the second is 0."""
    return value.parts[part] if part < len(value.parts) else jnp.zeros_like(value.parts[0])


def _on_tracks(
    call: Call, arrays: Mapping[int, Any], raw: Sequence[int], **changed: Any
) -> list[Any]:
    """The results of the primitive on every track; operands in `raw` stay what they are."""

    def one(*tracks: Any) -> Sequence[Any]:
        given = iter(tracks)
        full = [call.known(i) if i in raw else next(given) for i in range(len(call.operands))]
        return call.bind(*full, **changed)

    return list(jax.vmap(one)(*(jnp.asarray(arrays[i]) for i in sorted(arrays))))


def _largest(values: Any) -> tuple[int, int]:
    """Degree and size of what consists of cells, or of single sums, of some values."""
    found = list(values)
    return max(v.degree for v in found), max(v.bits for v in found)


def _check_places(call: Call) -> None:
    """A look-up outside of the array has no value, and of two writes to one place any may win."""
    shape = call.types[0].shape
    with jax.ensure_compile_time_eval():
        if call.eqn.name == "gather":
            cells = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
            mode = call.eqn.params["mode"]
            checked = (
                GatherScatterMode.CLIP
                if mode == GatherScatterMode.CLIP
                else GatherScatterMode.FILL_OR_DROP
            )
            (found,) = call.bind(cells, call.known(1), mode=checked, fill_value=-1)
            if np.any(np.asarray(found) < 0):
                raise NotHere("it looks up places outside of the array")
        else:
            ones = np.ones(call.types[2].shape, np.int32)
            counts = lax.scatter_add(
                jnp.zeros(shape, jnp.int32),
                jnp.asarray(call.known(1)),
                ones,
                call.eqn.params["dimension_numbers"],
                mode=call.eqn.params["mode"],
            )
            if np.any(np.asarray(counts) > 1):
                raise NotHere("it writes twice to one place")


# --- sums ---


def _linear(field: Field, call: Call) -> list[Value]:
    name = call.eqn.name
    if name == "convert_element_type":
        return [_cast(field, call)]
    raw = [i for i in TABLE[name].known if i < len(call.operands)]
    values = {i: field.value(o) for i, o in enumerate(call.operands) if i not in raw}
    shape = tuple(call.results[0].shape)
    terms = max(1, math.prod(call.types[0].shape) // max(1, math.prod(shape)))
    if name in ("add", "add_any", "complex", "sub"):
        values = {i: _spread(v, shape) for i, v in values.items()}
        terms = 2
    elif name in ("cumsum", "reduce_window_sum", "scatter-add", "scatter-sub"):
        terms = math.prod(call.types[0].shape)
    match name:
        case "real" | "imag":
            (value,) = values.values()
            return [dataclasses.replace(value, parts=(_part(value, int(name == "imag")),))]
        case "complex":
            _finite(*values.values())
            return [Value((values[0].parts[0], values[1].parts[0]), *_largest(values.values()))]
        case "conj":
            (value,) = values.values()
            negative = field.arithmetic.reduce(-_part(value, 1))
            return [dataclasses.replace(value, parts=(value.parts[0], negative))]
    special = None
    if name in ("add", "add_any", "neg", "sub"):
        special = _special_results(call, list(values.values()))
    else:
        _finite(*values.values())
    count = 2 if _is_complex(call.results[0]) else 1
    parts = []
    for part in range(count):
        (found,) = _on_tracks(call, {i: _part(v, part) for i, v in values.items()}, raw)
        found = field.arithmetic.reduce(found)
        parts.append(found if special is None else jnp.where(special != 0, 0.0, found))
    degree, bits = _largest(values.values())
    return [Value(tuple(parts), degree, bits + math.ceil(math.log2(max(1, terms))), special)]


def _cast(field: Field, call: Call) -> Value:
    """Between floats, and from truths, the identity over the reals."""
    value = field.value(call.operands[0])
    if _is_complex(call.results[0]) and len(value.parts) == 1:
        _finite(value)
        return dataclasses.replace(value, parts=(value.parts[0], jnp.zeros_like(value.parts[0])))
    return value


def _special_results(call: Call, values: Sequence[Value]) -> np.ndarray | None:
    """Where the result is infinite or NaN whatever the finite cells are: the primitive itself says so."""
    if all(value.special is None for value in values) and "window" not in call.eqn.name:
        return None
    with jax.ensure_compile_time_eval():
        (found,) = call.bind(*(_number_of(value.special, value.shape) for value in values))
        codes = _special(np.asarray(found))
    return codes if np.any(codes) else None


# --- products ---


def _bilinear(field: Field, call: Call) -> list[Value]:
    name = call.eqn.name
    if name == "div":
        return [_quotient(field, call)]
    first = field.value(call.operands[0])
    second = first if name == "square" else field.value(call.operands[1])
    _finite(first, second)
    terms = 1
    if name in ("mul", "square"):
        shape = tuple(call.results[0].shape)
        first, second = _spread(first, shape), _spread(second, shape)
    if name == "dot_general":
        (contracted, _), _ = call.eqn.params["dimension_numbers"]
        terms = math.prod(call.types[0].shape[axis] for axis in contracted)
    elif name == "conv_general_dilated":
        kernel = call.types[1].shape
        terms = math.prod(kernel) // kernel[call.eqn.params["dimension_numbers"].rhs_spec[0]]

    def product(a: Any, b: Any) -> Any:
        return _product(field.arithmetic, call, a, b, terms)

    return [_complex_product(field, first, second, product, terms, _is_complex(call.results[0]))]


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
        (a, b), (c, d) = ((_part(v, 0), _part(v, 1)) for v in (first, second))
        parts = (
            reduce(product(a, c) - product(b, d)),
            reduce(product(a, d) + product(b, c)),
        )
    size = first.bits + second.bits + 1 + math.ceil(math.log2(max(1, terms)))
    return Value(parts, first.degree + second.degree, size)


def _product(arithmetic: Arithmetic, call: Call, a: Any, b: Any, terms: int) -> Any:
    """Residues of a product or contraction; long sums in two halves of the digits of one factor."""
    if terms <= MOST_TERMS:
        return arithmetic.reduce(_multiply(call, a, b))
    high = jnp.floor(jnp.asarray(b) / 1024)
    upper = arithmetic.reduce(_multiply(call, a, high))
    return arithmetic.reduce(upper * 1024 + arithmetic.reduce(_multiply(call, a, b - high * 1024)))


def _multiply(call: Call, a: Any, b: Any) -> Any:
    name = call.eqn.name
    if name in ("mul", "square", "div"):
        return a * b
    changed = {"preferred_element_type": np.dtype(np.float64), "precision": None}
    # track by track: a convolution over tracks at once would be a grouped one, which is slow
    tracks = [
        call.bind(jnp.asarray(x), jnp.asarray(y), **changed)[0] for x, y in zip(a, b, strict=True)
    ]
    return jnp.stack(tracks)


def _quotient(field: Field, call: Call) -> Value:
    """A product with the inverse: exact where that is known, else a random function of the divisor."""
    arithmetic, divisor, shape = field.arithmetic, call.operands[1], tuple(call.results[0].shape)
    top = _spread(field.value(call.operands[0]), shape)

    def product(a: Any, b: Any) -> Any:
        return arithmetic.reduce(a * b)

    if isinstance(divisor, Known) and not np.iscomplexobj(divisor.array):
        below = field.value(divisor)
        if below.special is None and np.all(np.asarray(divisor.array) != 0):
            _finite(top)
            inverse = np.stack(
                [inverses(row, p) for row, p in zip(below.parts[0], arithmetic.primes, strict=True)]
            )
            below = _spread(dataclasses.replace(below, parts=(inverse,)), shape)
            return _complex_product(field, top, below, product, 1, _is_complex(call.results[0]))
    below = _spread(field.value(divisor), shape)
    _finite(top, below)
    if not _is_complex(call.results[0]):
        inverse = field.function("reciprocal", [below])
        return _complex_product(field, top, inverse, product, 1, False)
    # a / b = a conj(b) f(|b|^2)
    inverse = field.function("reciprocal", [_square_of_norm(field, below)])
    conjugate = Value(
        (_part(below, 0), arithmetic.reduce(-_part(below, 1))), below.degree, below.bits
    )
    above = _complex_product(field, top, conjugate, product, 1, True)
    return _complex_product(field, above, inverse, product, 1, True)


def _square_of_norm(field: Field, value: Value) -> Value:
    reduce = field.arithmetic.reduce
    squares = [reduce(part * part) for part in value.parts]
    total = reduce(squares[0] + squares[1]) if len(squares) == 2 else squares[0]
    return Value((total,), 2 * value.degree, 2 * value.bits + 1)


# --- cell by cell ---


def _pointwise(field: Field, call: Call) -> list[Value]:
    values = [field.value(o) for o in call.operands]
    if call.eqn.name == "abs" and _is_complex(call.types[0]):
        return [field.function(f"{call.label} of the norm", [_square_of_norm(field, values[0])])]
    shape = tuple(call.results[0].shape)
    values = [_spread(v, shape) for v in values]
    count = 2 if _is_complex(call.results[0]) else 1
    found = field.function(call.label, values, outputs=count)
    moving = [v for v, o in zip(values, call.operands, strict=True) if isinstance(o, Value)]
    found = _where_known(field, call, found, field.is_zero(moving), 0.0)
    if len(moving) == 1 and moving[0].special is not None:
        for code, number in ((1, math.inf), (-1, -math.inf), (2, math.nan)):
            where = moving[0].special == code
            if np.any(where):
                found = _where_known(field, call, found, where, number)
    return [found]


def _spread(value: Value, shape: tuple[int, ...]) -> Value:
    """A scalar, or axes of size 1, beside a larger array."""
    if value.shape == shape:
        return value
    missing = [1] * (len(shape) - len(value.shape))
    parts = tuple(
        jnp.broadcast_to(jnp.reshape(p, (len(p), *missing, *value.shape)), (len(p), *shape))
        for p in value.parts
    )
    codes = None if value.special is None else np.broadcast_to(value.special, shape)
    return dataclasses.replace(value, parts=parts, special=codes)


def _where_known(field: Field, call: Call, found: Value, where: Any, number: float) -> Value:
    """The value of the function itself where all operands but the known ones are a given number."""
    arrays = []
    for operand, aval in zip(call.operands, call.types, strict=True):
        known = isinstance(operand, Known)
        if not known and not math.isfinite(number) and not jnp.issubdtype(aval.dtype, np.floating):
            return found
        arrays.append(operand.array if known else np.full(aval.shape, number, aval.dtype))
    with jax.ensure_compile_time_eval():
        (real,) = apply(call.eqn, arrays)
        real = np.asarray(real)
    # NumPy knows no bfloat16
    real = real.astype(np.complex128 if np.iscomplexobj(real) else np.float64)
    finite = np.isfinite(real)
    exact = field.value(Known(np.where(finite, real, 0.0)))
    if math.isfinite(number):
        where = where & finite  # elsewhere, as log is at 0, it is a random function there as well
    elif not np.iscomplexobj(real) and not np.all(finite):
        codes = np.where(where, _special(real), 0)
        old = np.zeros(real.shape, np.int8) if found.special is None else found.special
        found = dataclasses.replace(found, special=(codes + old).astype(np.int8))
    parts = tuple(jnp.where(where, _part(exact, i), part) for i, part in enumerate(found.parts))
    return dataclasses.replace(found, parts=parts)


# --- symmetric and associative operations ---


def _extremum(field: Field, call: Call) -> list[Value]:
    """psi^-1(sum of psi(x)): in any order, and in any groups, the same."""
    name, params = call.eqn.name, call.eqn.params
    kind = name.removeprefix("reduce_window_").removeprefix("reduce_")
    symbol = f"{kind} {_family(call.types[0].dtype)}"
    if _is_complex(call.types[0]):
        raise NotHere("it orders complex numbers")
    values = [field.value(o) for o in call.operands]
    arithmetic, shape = field.arithmetic, tuple(call.results[0].shape)

    def total(x: Any) -> Any:
        """The sum, over (tracks, *shape), of what the operation joins."""
        if name.startswith("reduce_window"):
            return lax.reduce_window(
                x,
                np.float64(0),
                lax.add,
                (1, *params["window_dimensions"]),
                (1, *params["window_strides"]),
                ((0, 0), *params["padding"]),
                base_dilation=(1, *params["base_dilation"]),
                window_dilation=(1, *params["window_dilation"]),
            )
        return jnp.sum(x, tuple(int(axis) + 1 for axis in params["axes"]))

    marks, present = [], []
    for value in values:
        mark = arithmetic.permute(symbol, value.parts[0])
        there = jnp.any(jnp.asarray(value.parts[0]) != 0, axis=0, keepdims=True)
        if value.special is not None:
            mark = jnp.where(value.special != 0, 0.0, mark)
            there = there | (value.special != 0)
        marks.append(_spread(Value((mark,)), shape).parts[0] if len(values) == 2 else mark)
        present.append(there.astype(jnp.float64))
        field.tally.lookups += 4 * math.prod(value.shape)
    field.tally.met(values)
    if len(values) == 2:
        joined, some = marks[0] + marks[1], present[0] + present[1]
    else:
        joined, some = total(marks[0]), total(present[0])
    found = arithmetic.unpermute(symbol, arithmetic.reduce(joined))
    found = jnp.where(some > 0, found, 0.0)  # of zeros alone, the operation gives 0
    field.tally.lookups += 4 * math.prod(call.results[0].shape)
    special = None
    if name in ("reduce_window_max", "reduce_window_min"):
        special = _special_results(call, values)  # a window may lie on padding alone
    elif any(value.special is not None for value in values):
        if kind not in ("max", "min"):
            raise NotHere("it computes with infinities or NaN")
        arrays = [_spread(v, shape) for v in values] if len(values) == 2 else values
        special = _special_results(call, arrays)
    if special is not None:
        found = jnp.where(special != 0, 0.0, found)
    return [Value((found,), special=special)]


# --- operations for which order counts ---


def _ordered(field: Field, call: Call) -> list[Value]:
    name, params = call.eqn.name, call.eqn.params
    values = [field.value(o) for o in call.operands]
    if any(_is_complex(aval) for aval in call.types):
        raise NotHere("it orders complex numbers")
    if name == "reduce_window":
        return _window(field, call, values)
    if name in ("argmax", "argmin"):
        axes = tuple(int(a) for a in params["axes"])
        whole = field.digest(call.label, values[0], axes, ordered=True)
        found = field.function(call.label, [whole])
        return [Value(tuple(jnp.squeeze(p, tuple(a + 1 for a in axes)) for p in found.parts))]
    rank = len(call.types[0].shape)
    axis = int(params.get("axis", params.get("dimension", rank - 1)))
    if name.startswith("cum"):
        return [_running(field, call, values[0], axis)]
    keys_only = name == "top_k" or params["num_keys"] == len(values)
    pairs = values[0] if len(values) == 1 else field.function(f"{call.label} tuple", values)
    made = []
    for i, aval in enumerate(call.results):
        # positions of equal values, and what travels with equal keys, depend on the order of the cells
        symmetric = keys_only and not (name == "top_k" and i == 1)
        whole = field.digest(f"{call.label} {symmetric}", pairs, (axis,), ordered=not symmetric)
        rank_of = [n if a == axis else 1 for a, n in enumerate(aval.shape)]
        places = field.value(Known(np.arange(math.prod(rank_of)).reshape(rank_of)))
        made.append(field.function(f"{call.label} result {i}", [whole, places]))
    return made


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
        _finite(value, start)
        part = jnp.take(jnp.reshape(value.parts[0], (len(value.parts[0]), -1)), index, axis=1)
        begin = jnp.reshape(start.parts[0], (-1, *[1] * inside.ndim))
        rows.append(Value((jnp.where(inside, part, begin),), *_largest([value, start])))
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
    sums = lax.cumsum(marks, axis + 1, reverse=bool(call.eqn.params["reverse"]))
    return field.function(call.label, [Value((field.arithmetic.reduce(sums),))])


# --- spectra ---


def _spectral(field: Field, call: Call) -> list[Value]:
    """Axis by axis a product with the matrix of roots of unity."""
    value = field.value(call.operands[0])
    _finite(value)
    kind, lengths = call.eqn.params["fft_type"], [int(n) for n in call.eqn.params["fft_lengths"]]
    arithmetic, rank = field.arithmetic, len(value.shape)
    inverse = kind in (FftType.IFFT, FftType.IRFFT)
    axes = list(range(rank - len(lengths), rank))
    pair = (jnp.asarray(value.parts[0]), jnp.asarray(_part(value, 1)))
    order = list(zip(axes, lengths, strict=True))
    if kind == FftType.RFFT:
        order.reverse()  # the last axis first, of which half is kept
    for axis, n in order:
        if kind == FftType.IRFFT and axis == axes[-1]:
            pair = _whole_spectrum(arithmetic, pair, axis, n)
        pair = _transform(arithmetic, pair, axis, n, inverse)
        if kind == FftType.RFFT and axis == axes[-1]:
            pair = tuple(lax.slice_in_dim(part, 0, n // 2 + 1, axis=axis + 1) for part in pair)
    size = sum(math.ceil(math.log2(n)) + 20 for n in lengths)
    parts = pair if _is_complex(call.results[0]) else pair[:1]
    return [Value(tuple(parts), value.degree, value.bits + size)]


def _transform(arithmetic: Arithmetic, pair: Any, axis: int, n: int, inverse: bool) -> Any:
    cosines, sines = np.zeros((2, arithmetic.tracks, n, n))
    for track, p in enumerate(arithmetic.primes):
        root, unit = root_of_unity(p, n), root_of_unity(p, 4)
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
        moved = jnp.moveaxis(part, axis + 1, -1)
        flat = moved.reshape(len(moved), -1, n)
        high = jnp.floor(flat / 1024)
        upper = arithmetic.reduce(jnp.matmul(high, matrix)) * 1024 if n > MOST_TERMS else 0.0
        lower = flat - high * 1024 if n > MOST_TERMS else flat
        found = arithmetic.reduce(upper + arithmetic.reduce(jnp.matmul(lower, matrix)))
        return jnp.moveaxis(found.reshape(moved.shape), -1, axis + 1)

    (cos, sin), (re, im) = scaled, pair
    return (
        arithmetic.reduce(product(cos, re) - product(sin, im)),
        arithmetic.reduce(product(cos, im) + product(sin, re)),
    )


def _whole_spectrum(arithmetic: Arithmetic, pair: Any, axis: int, n: int) -> Any:
    """The spectrum of a real signal from its first half: the rest is conjugate, and the ends are real."""
    re, im = (lax.slice_in_dim(part, 0, n // 2 + 1, axis=axis + 1) for part in pair)
    ends = np.zeros(n // 2 + 1, bool)
    ends[0] = True
    ends[-1] |= n % 2 == 0
    im = jnp.where(ends.reshape(-1, *[1] * (re.ndim - axis - 2)), 0.0, im)
    tail = slice(1, (n + 1) // 2)
    rest = [jnp.flip(jnp.moveaxis(part, axis + 1, 0)[tail], 0) for part in (re, im)]
    rest = [jnp.moveaxis(part, 0, axis + 1) for part in rest]
    return (
        jnp.concatenate([re, rest[0]], axis + 1),
        jnp.concatenate([im, arithmetic.reduce(-rest[1])], axis + 1),
    )


# --- loops and branches ---


def _loop(field: Field, call: Call) -> list[Operand]:
    rule = {"scan": _scan, "while": _while, "cond": _cond}[call.eqn.name]
    return rule(field, call)


def _run_body(field: Field, body: Program, inputs: Sequence[Operand]) -> list[Operand]:
    start = dict(zip(body.weights, inputs, strict=True))
    start |= {number: Known(array) for number, array in body.constants.items()}
    values = field.run(body, start)
    return [Known(o.value) if isinstance(o, Literal) else values[o] for o in body.outputs]


def _scan(field: Field, call: Call) -> list[Operand]:
    """Round by round, so that counters stay known; a long one as a loop."""
    constants, carries = scan_counts(call.eqn)
    body, length = open_body(call.eqn.params["jaxpr"]), int(call.eqn.params["length"])
    if length * len(body.equations) > MOST_UNROLLED:
        return _long_scan(field, call, body, length)
    carry = list(call.operands[constants : constants + carries])
    order = range(length)[::-1] if call.eqn.params["reverse"] else range(length)
    stacks: list[list[Operand]] = []
    for i in order:
        slices = [_slice_of(o, i) for o in call.operands[constants + carries :]]
        made = _run_body(field, body, [*call.operands[:constants], *carry, *slices])
        carry = made[:carries]
        stacks.append(made[carries:])
    if call.eqn.params["reverse"]:
        stacks.reverse()
    avals = call.results[carries:]
    return [*carry, *(_stacked(field, [s[i] for s in stacks], a) for i, a in enumerate(avals))]


def _slice_of(operand: Operand, i: int) -> Operand:
    if isinstance(operand, Known):
        return Known(operand.array[i])
    codes = None if operand.special is None else operand.special[i]
    parts = tuple(part[:, i] for part in operand.parts)
    return dataclasses.replace(operand, parts=parts, special=codes)


def _stacked(field: Field, slices: Sequence[Operand], aval: Any) -> Operand:
    if not slices:
        return Known(np.zeros(aval.shape, aval.dtype))
    known = [o.array for o in slices if isinstance(o, Known)]
    if len(known) == len(slices):
        return Known(np.stack([np.asarray(a) for a in known]))
    values = [field.value(o) for o in slices]
    codes = None
    if any(v.special is not None for v in values):
        codes = np.stack(
            [np.zeros(v.shape, np.int8) if v.special is None else v.special for v in values]
        )
    count = max(len(v.parts) for v in values)
    parts = tuple(jnp.stack([_part(v, i) for v in values], axis=1) for i in range(count))
    return Value(parts, *_largest(values), codes)


def _long_scan(field: Field, call: Call, body: Program, length: int) -> list[Operand]:
    """One body for all rounds: nothing that it carries is known, and degrees grow from round to round."""
    constants, carries = scan_counts(call.eqn)
    values = [field.value(o) for o in call.operands]
    _finite(*values)
    fixed, carried, slices = (
        values[:constants],
        values[constants : constants + carries],
        values[constants + carries :],
    )
    made: list[Value] = []
    before = dataclasses.replace(field.tally)

    def one(carry: Any, piece: Any) -> Any:
        inputs = [
            *fixed,
            *(dataclasses.replace(v, parts=p) for v, p in zip(carried, carry, strict=True)),
            *(dataclasses.replace(v, parts=p) for v, p in zip(slices, piece, strict=True)),
        ]
        found = [field.value(o) for o in _run_body(field, body, inputs)]
        _finite(*found)
        made[:] = found
        parts = [
            tuple(jnp.asarray(_part(v, i)) for i in range(2 if _is_complex(a) else 1))
            for v, a in zip(found, _body_avals(body), strict=True)
        ]
        return parts[:carries], parts[carries:]

    start = [tuple(jnp.asarray(p) for p in v.parts) for v in carried]
    pieces = [tuple(jnp.moveaxis(jnp.asarray(p), 1, 0) for p in v.parts) for v in slices]
    carry, stacks = lax.scan(one, start, pieces, length, reverse=bool(call.eqn.params["reverse"]))
    field.tally.lookups = before.lookups + length * (field.tally.lookups - before.lookups)
    gain = max([0, *(m.degree - v.degree for m, v in zip(made, carried, strict=False))])
    growth = max([0, *(m.bits - v.bits for m, v in zip(made, carried, strict=False))])
    grown = [
        dataclasses.replace(m, degree=m.degree + gain * length, bits=m.bits + growth * length)
        for m in made
    ]
    field.tally.met(grown)
    ends = [dataclasses.replace(m, parts=tuple(p)) for m, p in zip(grown, carry, strict=False)]
    rows = [
        dataclasses.replace(m, parts=tuple(jnp.moveaxis(x, 0, 1) for x in p))
        for m, p in zip(grown[carries:], stacks, strict=True)
    ]
    return [*ends, *rows]


def _body_avals(body: Program) -> list[Any]:
    return [type_of(o.value) if isinstance(o, Literal) else body.avals[o] for o in body.outputs]


def _while(field: Field, call: Call) -> list[Operand]:
    """As long as its test is known, as that of a counter is."""
    params = call.eqn.params
    tested, used = params["cond_nconsts"], params["body_nconsts"]
    test, body = open_body(params["cond_jaxpr"]), open_body(params["body_jaxpr"])
    state = list(call.operands[tested + used :])
    for _ in range(1 + MOST_UNROLLED // max(1, len(body.equations))):
        (going,) = _run_body(field, test, [*call.operands[:tested], *state])
        if not isinstance(going, Known):
            raise NotHere("the number of its rounds depends on the image, or on free weights")
        if not bool(np.asarray(going.array)):
            return state
        state = _run_body(field, body, [*call.operands[tested : tested + used], *state])
    raise NotHere("it has too many rounds")


def _cond(field: Field, call: Call) -> list[Operand]:
    """The branch, where the choice is known; else any function of the choice and of what all branches give."""
    bodies = [open_body(branch) for branch in call.eqn.params["branches"]]
    choice, *operands = call.operands
    if isinstance(choice, Known):
        number = min(max(int(np.asarray(choice.array)), 0), len(bodies) - 1)
        return _run_body(field, bodies[number], operands)
    made = [_run_body(field, body, operands) for body in bodies]
    results = []
    for i, aval in enumerate(call.results):
        values = [field.value(outputs[i]) for outputs in made]
        count = 2 if _is_complex(aval) else 1
        given = [_spread(choice, tuple(aval.shape)), *values]
        results.append(field.function(f"choice of {len(bodies)} {count}", given, outputs=count))
    return results


# --- whatever has no class ---


def _opaque(field: Field, call: Call) -> list[Value]:
    """Any function of all cells of all operands."""
    place = f" at {call.eqn.site}" if str(call.eqn.site) else ""
    field.opaque[f"{call.eqn.name}{place}: {call.reason}"] = None
    marks = _digests(field, call, range(len(call.operands)))
    made = []
    for i, aval in enumerate(call.results):
        places = np.arange(math.prod(aval.shape)).reshape(aval.shape)
        given = [*(_spread(m, tuple(aval.shape)) for m in marks), field.value(Known(places))]
        outputs = 2 if _is_complex(aval) else 1
        name = f"{call.label} {call.reason} result {i}"
        made.append(field.function(name, given, outputs=outputs))
    return made


def _digests(field: Field, call: Call, positions: Iterable[int]) -> list[Value]:
    """One number for all cells of each operand."""
    marks = []
    for i in positions:
        operand = call.operands[i]
        if isinstance(operand, Known) and not plain(jnp.result_type(operand.array)):
            continue  # random keys are the same in every run
        value = field.value(operand)
        if 0 not in value.shape:
            axes = range(len(value.shape))
            whole = field.digest(f"{call.label} operand {i}", value, axes, ordered=True)
            marks.append(Value(tuple(jnp.reshape(p, (len(p),)) for p in whole.parts)))
    return marks


def _lookup(field: Field, call: Call) -> list[Value]:
    kept = _kept(call)
    if kept is None:
        raise NotHere("it looks up places that depend on the image, or on free weights")
    return [_looked_up(field, call, kept)]


def _kept(call: Call) -> tuple[int, dict[int, int]] | None:
    """Of a look-up at places that the image chooses: an operand, and axes of it along which every cell is looked up
    alike, each with the axis of the result that runs along it.
    """
    params = call.eqn.params
    if len(call.results) != 1 or _is_complex(call.results[0]):
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
    along = field.digest(f"{call.label} looked up", value, others, ordered=True)
    sources = list(axes)
    parts = tuple(jnp.squeeze(p, tuple(axis + 1 for axis in others)) for p in along.parts)
    order = np.argsort([axes[axis] for axis in sources])
    parts = tuple(jnp.transpose(p, (0, *(1 + int(i) for i in order))) for p in parts)
    missing = tuple(1 + out for out in range(len(shape)) if out not in axes.values())
    along = Value(tuple(jnp.expand_dims(p, missing) for p in parts))
    rest = [1 if out in axes.values() else n for out, n in enumerate(shape)]
    places = field.value(Known(np.arange(math.prod(rest)).reshape(rest)))
    marks = _digests(field, call, (i for i in range(len(call.operands)) if i != position))
    given = [_spread(v, shape) for v in (along, places, *marks)]
    return field.function(call.label, given)


RULES: Mapping[Kind, Callable[[Field, Call], Sequence[Any]]] = {
    Kind.MOVES: _moves,
    Kind.LINEAR: _linear,
    Kind.BILINEAR: _bilinear,
    Kind.POINTWISE: _pointwise,
    Kind.EXTREMUM: _extremum,
    Kind.ORDERED: _ordered,
    Kind.SPECTRAL: _spectral,
    Kind.LOOP: _loop,
    Kind.LOOKUP: _lookup,
    Kind.OPAQUE: _opaque,
}
"""One rule per class."""
