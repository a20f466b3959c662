"""Numbers in the field, and the equations that rules are given."""

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.arithmetic import FRESH, Arithmetic, FieldError, Size, size_of
from shiftproof.algebras.at_hand import like, run, xp
from shiftproof.algebras.digits import is_exact
from shiftproof.tracing.primitives import TABLE, Kind, Reading, plain, read, type_of
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    apply,
    hash_array,
    held_arrays,
    interpret,
)


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that depends neither on the image nor on free weights.

    Attributes:
        array: the value.
        weighted: whether it follows from weights, and so is a real number; constants are what the program computes.
    """

    array: Any
    weighted: bool = False


@dataclasses.dataclass(frozen=True)
class Value:
    """Numbers in the field.

    Attributes:
        parts: (tracks, *shape) residues; a complex number has two parts.
        size: of these expressions as polynomials in what is fresh.
        special: (*shape) int8: 1, -1 and 2 where cells are infinity, -infinity and NaN, whatever the image, and the
            residues are 0; `NO_NUMBER` where a cell is one of these, as the image wants; None where all are numbers.
        members: of a small extremum, what it is the extremum of.
    """

    parts: tuple[Any, ...]
    size: Size = FRESH
    special: np.ndarray | None = None
    members: "Members | None" = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, tracks not counted."""
        return tuple(self.parts[0].shape[1:])


@dataclasses.dataclass(frozen=True)
class Members:
    """The cells of which every cell of a value is the extremum, so that none counts twice.

    Attributes:
        symbol: of the operation.
        marks: (tracks, count) permuted values of the cells.
        nonzero: (count,) which of them are not 0.
        cover: (*shape, count) truths: which cells each cell of the value is made of.
    """

    symbol: str
    marks: Any
    nonzero: Any
    cover: np.ndarray


Operand = Known | Value

NO_NUMBER = 3
"""The code of a cell that is infinite or NaN, and which of them depends on the image."""


@dataclasses.dataclass
class Tally:
    """What the error bound is made of.

    Attributes:
        lookups: cells at which a random function was met.
        size: the largest of an argument or result.
        joined: bits of how often one cell may occur among all that nested symmetric operations join.
    """

    lookups: int = 0
    size: Size = FRESH
    joined: int = 0

    def met(self, values: Sequence[Value]) -> None:
        """Count expressions that are compared with others."""
        self.size = self.size.with_(*(v.size for v in values))

    def join(self, terms: int) -> None:
        """Count a symmetric operation on so many cells."""
        self.joined += math.ceil(math.log2(max(1, terms)))

    def log2_error(self, pool: int, moduli: Sequence[int]) -> float:
        """The base-2 logarithm of the error bound, for one pair of runs.

        Args:
            pool: number of primes among which those of the tracks were drawn.
            moduli: the primes.
        """
        count = 2 * self.lookups
        # one bit more for a difference
        coefficients = (max(self.size.bits, self.joined) + 1) / (19 * pool)
        # the mixed bits are as even as 32 bits can be on a million residues
        each = count * 2.0**-43
        atoms = [coefficients + self.size.degree * (1.001 / p + each) for p in moduli]
        return math.log2((count + 1) ** 2 / 2 + 1) + sum(math.log2(min(1.0, a)) for a in atoms)


class Field:
    """Evaluates programs in the field; one rule per class of the table.

    Args:
        arithmetic: primes and random functions.
        rules: by class, the results of an equation.
        at_once: whether values are computed when an equation is met, and not when what is traced is run.

    Attributes:
        tally: what the error bound is made of; grows while programs run.
        opaque: equations read as any function of their whole operands, and why.
        undefined: truths, each whether some function is infinite or NaN at cells where its operands are known to be 0.
    """

    def __init__(
        self, arithmetic: Arithmetic, rules: "Mapping[Kind, Rule]", *, at_once: bool = False
    ) -> None:
        self.arithmetic, self.rules, self.at_once = arithmetic, rules, at_once
        self.tally = Tally()
        self.opaque: dict[str, None] = {}
        self.undefined: list[Any] = []
        self._kept: dict[int, Any] = {}
        self._remembered: dict[Any, Any] = {}

    def keep(self, program: Program, known: Mapping[int, Any]) -> None:
        """Remember what follows from known values and numbers in equations, which are the same in every run at once."""
        inputs = (o for eqn in program.equations for o in eqn.inputs)
        arrays = [*known.values(), *(o.value for o in inputs if isinstance(o, Literal))]
        self._kept.update((id(array), array) for array in arrays)

    def again(self) -> "Field":
        """The same field for another run: what follows from known values is remembered, nothing is counted yet."""
        found = copy.copy(self)
        found.tally, found.undefined = Tally(), []
        return found

    def remember(self, what: Any, operands: Sequence[Operand], make: Callable[[], Any]) -> Any:
        """What follows from the known ones among some operands: made once, where they are the same in every run."""
        arrays = tuple(id(o.array) for o in operands if isinstance(o, Known))
        if not self.at_once or not all(array in self._kept for array in arrays):
            return make()
        key = (what, *arrays)
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]

    def run(self, program: Program, start: Mapping[int, Operand]) -> dict[int, Operand]:
        """Every value of a program, by number.

        Args:
            program: the traced model, or a body.
            start: its inputs and constants.
        """

        joined = _joined_values(program)

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Operand]:
            given = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
            types = [
                type_of(o.value) if isinstance(o, Literal) else program.avals[o] for o in eqn.inputs
            ]
            results = [program.avals[n] for n in eqn.outputs]
            return self.apply(Call(eqn, given, types, results, joins=eqn.outputs[0] in joined))

        return interpret(program, start, step)

    def apply(self, call: "Call") -> Sequence[Operand]:
        """The results of one equation."""
        if all(isinstance(o, Known) for o in call.operands):
            if not call.rounds:
                return _known_results(call)
            call = self._followed(call)
        if all(0 in aval.shape for aval in call.results):
            return [Known(np.zeros(aval.shape, aval.dtype)) for aval in call.results]
        reading = call.reading
        if reading.kind not in (Kind.MOVES, Kind.UPDATES) and any(
            0 in aval.shape for aval in call.types
        ):
            reading = Reading(Kind.OPAQUE, "an operand has no cells")
        if reading.kind not in (Kind.MOVES, Kind.LOOP):
            refuse_no_number(call)
        try:
            made = self.rules[reading.kind](self, dataclasses.replace(call, reason=reading.reason))
        except NotHere as reason:
            made = self.rules[Kind.OPAQUE](self, dataclasses.replace(call, reason=str(reason)))
        for made_of, aval in zip(made, call.results, strict=True):
            if isinstance(made_of, Value) and made_of.shape != tuple(aval.shape):
                raise AssertionError(f"{call.eqn.name} gives {made_of.shape}, not {aval.shape}")
        return made

    def _followed(self, call: "Call") -> "Call":
        """An equation on weights that rounds: these are followed as what moves, but where places are named."""
        entry = TABLE.get(call.eqn.name)
        if entry is None or entry.kind in (Kind.LOOP, Kind.OPAQUE):
            return call
        operands = list(call.operands)
        for i, operand in enumerate(call.operands):
            if isinstance(operand, Known) and operand.weighted and i not in entry.known:
                try:
                    operands[i] = self.value(operand)
                except NotHere:  # the rule meets the same reason
                    return call
        return dataclasses.replace(call, operands=operands)

    # --- from known numbers to tuples ---

    def value(self, operand: Operand) -> Value:
        """An operand in the field; known numbers are embedded.

        Raises:
            NotHere: it is no number.
        """
        if isinstance(operand, Value):
            return operand
        if self.at_once:
            return self.remember("value", [operand], lambda: self.embed(operand))
        found = self.embed(operand)
        # constants of what is traced, with all that is computed of them
        return dataclasses.replace(found, parts=tuple(map(jnp.asarray, found.parts)))

    def embed(self, operand: Known) -> Value:
        """A known operand in the field, by NumPy.

        Raises:
            NotHere: it is no number.
        """
        if not plain(operand.array.dtype if hasattr(operand.array, "dtype") else np.float64):
            raise NotHere("it uses random keys")
        array = np.asarray(operand.array)
        if not np.issubdtype(array.dtype, np.complexfloating) and array.dtype.kind not in "iub":
            array = array.astype(np.float64)  # NumPy knows no bfloat16
        parts = (np.real(array), np.imag(array)) if np.iscomplexobj(array) else (array,)
        special = None
        if array.dtype.kind in "fc" and not np.all(np.isfinite(array)):
            if len(parts) == 2:
                raise NotHere("it uses a complex table that holds infinities or NaN")
            special = special_codes(array)
            parts = (np.where(special != 0, 0.0, array),)
        embedded = tuple(self.arithmetic.embed(np.asarray(part)) for part in parts)
        size, *more = (size_of(np.asarray(part)) for part in parts)
        return Value(embedded, size.with_(*more), special)

    # --- random functions ---

    def function(self, name: str, values: Sequence[Value], *, outputs: int = 1) -> Value:
        """A random function of all parts of some values, cell by cell."""
        self.tally.met(values)
        shape = np.broadcast_shapes(*(v.shape for v in values))
        self.tally.lookups += outputs * math.prod(shape)
        inputs = [
            xp.broadcast_to(part, (part.shape[0], *shape)) for v in values for part in coded(v)
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
        else:
            self.tally.join(math.prod(value.shape[axis] for axis in axes))
        marks = self.function(f"{name} digest", values)
        where = tuple(axis + 1 for axis in axes)
        return Value((self.arithmetic.reduce(xp.sum(marks.parts[0], where, keepdims=True)),))

    def is_zero(self, values: Sequence[Value]) -> Any:
        """Where all values are known to be 0: no other expression has a tuple of zeros, but for the error."""
        found = None
        for value in values:
            for part in value.parts:
                zero = xp.all(part == 0, axis=0)
                found = zero if found is None else found & zero
        return found


def refuse_no_number(call: "Call") -> None:
    """Laws of numbers do not hold for what is none, nor for what is made of it.

    Raises:
        FieldError: it is no number at some place.
    """
    values = [o for o in call.operands if isinstance(o, Value) and o.special is not None]
    if any(np.any(v.special == NO_NUMBER) for v in values):
        raise FieldError("it divides by zero at some places, whatever the image")


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
        joins: of an extremum with a constant, whether other extrema may be taken of it.
        reason: why it is opaque.
    """

    eqn: Equation
    operands: Sequence[Operand]
    types: Sequence[Any]
    results: Sequence[Any]
    joins: bool = True
    reason: str = ""

    @property
    def reading(self) -> Reading:
        """Its class, by the table."""
        known = [isinstance(o, Known) for o in self.operands]
        return read(self.eqn.name, self.eqn.params, self.types, known, self.results[0])

    @property
    def label(self) -> str:
        """Primitive and parameters: equal labels are equal functions, cell by cell.

        Floats of all widths are real numbers, but for what sees their digits.
        """
        params = sorted((k, v) for k, v in self.eqn.params.items() if k not in _HOW)
        digits = self.eqn.name in ("bitcast_convert_type", "nextafter")
        types = [
            str(aval.dtype) if digits else family(aval.dtype)
            for aval in (*self.types, *self.results)
        ]
        held = [hash_array(array).hex() for array in held_arrays(value for _, value in params)]
        return f"{self.eqn.name} {params} {types} {held}"

    @property
    def whole_label(self) -> str:
        """The same for functions of whole operands, which see the shapes."""
        return f"{self.label} {[tuple(aval.shape) for aval in (*self.types, *self.results)]}"

    def known(self, position: int) -> np.ndarray:
        """The values of a known operand."""
        operand = self.operands[position]
        assert isinstance(operand, Known)
        return np.asarray(operand.array)

    @property
    def rounds(self) -> bool:
        """Whether all operands are known, some of them weights, and the results may be none of the real numbers."""
        known = [o for o in self.operands if isinstance(o, Known)]
        if not any(o.weighted for o in known):
            return False
        arrays = [o.array for o in known]
        return not is_exact(self.eqn, arrays, self.types, self.results)

    def bind(self, *arrays: Any, **changed: Any) -> Sequence[Any]:
        """The primitive itself, run on other arrays."""
        eqn = self.eqn
        if eqn.name in _SCATTERS:  # its body is one of the traced type of numbers
            kept = {k: v for k, v in eqn.params.items() if not k.startswith("update_")}
            return [_SCATTERS[eqn.name](*arrays, **kept)]
        params = eqn.primitive.get_bind_params({**eqn.params, **changed})
        result = eqn.primitive.bind(*arrays, **params)
        return result if eqn.primitive.multiple_results else [result]


def _joined_values(program: Program) -> frozenset[int]:
    """The values from which moves and extrema lead to an extremum of several cells, where order must not matter."""
    moving = {*program.weights, program.images}
    for eqn in program.equations:
        if moving.intersection(o for o in eqn.inputs if isinstance(o, int)):
            moving.update(eqn.outputs)
    reached: set[int] = set()
    for eqn in reversed(program.equations):
        entry = TABLE.get(eqn.name)
        kind = entry.kind if entry is not None else Kind.OPAQUE
        inputs = [o for o in eqn.inputs if isinstance(o, int) and o in moving]
        several = kind is Kind.EXTREMUM and (len(eqn.inputs) == 1 or len(inputs) == 2)
        passes = kind in (Kind.EXTREMUM, Kind.MOVES) and reached.intersection(eqn.outputs)
        if several or passes:
            reached.update(inputs)
    return frozenset(reached)


Rule = Callable[[Field, Call], Sequence[Operand]]
"""The results of an equation."""

_SCATTERS = {"scatter-add": lax.scatter_add, "scatter-sub": lax.scatter_sub}

_HOW = frozenset(["accuracy", "sharding", "weak_type", "unroll", "index_dtype"])
"""Parameters that say how to compute, and not what."""


def family(dtype: Any) -> str:
    """Real and complex numbers have no width; integers of different widths wrap differently."""
    if jnp.issubdtype(dtype, np.complexfloating):
        return "complex"
    return "real" if jnp.issubdtype(dtype, np.floating) else str(dtype)


def _known_results(call: Call) -> list[Known]:
    """What follows from known operands is computed as the user's program computes it."""
    known = [o for o in call.operands if isinstance(o, Known)]
    weighted = any(o.weighted for o in known)
    with jax.ensure_compile_time_eval():
        found = apply(call.eqn, [o.array for o in known])
        return [Known(np.asarray(v) if plain(v.dtype) else v, weighted) for v in found]


def moved_codes(array: np.ndarray) -> np.ndarray | None:
    """The codes of numbers that `numbers_of` made and that were moved."""
    codes = np.where(array == NO_NUMBER, NO_NUMBER, special_codes(array)).astype(np.int8)
    return codes if np.any(codes) else None


def special_codes(array: np.ndarray) -> np.ndarray:
    """1, -1 and 2 for infinity, -infinity and NaN."""
    infinite = np.where(np.isinf(array), np.sign(array), 0)
    return np.where(np.isnan(array), 2, infinite).astype(np.int8)


def numbers_of(codes: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Infinities and NaN where the codes say so, the code where it says that there is no number, 0 elsewhere."""
    if codes is None:
        return np.zeros(shape, np.float32)
    numbers = np.array([0.0, math.inf, math.nan, NO_NUMBER, -math.inf], np.float32)
    return numbers[np.asarray(codes, np.int64)]


def coded(value: Value) -> list[Any]:
    """The parts, with numbers that are no residues in place of infinities and NaN."""
    if value.special is None:
        return list(value.parts)
    codes, none = 2.0**20 + 2.0 + value.special, value.special == NO_NUMBER
    return [
        xp.where(value.special == 0, part, xp.where(none, 2.0**20 + 8 + part, codes))
        for part in value.parts
    ]


def check_finite(*values: Value) -> None:
    """Refuse infinities and NaN.

    Raises:
        NotHere: there are some.
    """
    if any(value.special is not None for value in values):
        raise NotHere("it computes with infinities or NaN")


def part_of(value: Value, part: int) -> Any:
    """A part of a complex number; of a real one the second is 0."""
    return value.parts[part] if part < len(value.parts) else xp.zeros_like(value.parts[0])


def on_tracks(call: Call, arrays: Mapping[int, Any], raw: Sequence[int]) -> list[Any]:
    """The results of the primitive on every track; operands in `raw` stay what they are."""

    operands = [arrays[i] for i in sorted(arrays)]
    if not raw and (made := run(call.eqn.name, operands, call.eqn.params)) is not None:
        return [made]

    def one(*tracks: Any) -> Sequence[Any]:
        given = iter(tracks)
        full = [call.known(i) if i in raw else next(given) for i in range(len(call.operands))]
        return call.bind(*full)

    return like(operands, jax.vmap(one)(*map(jnp.asarray, operands)))


def largest(values: Any, terms: int = 1) -> Size:
    """The size of what consists of cells of some values, or of sums of so many."""
    first, *others = (v.size for v in values)
    return first.with_(*others, terms=terms)


def spread(value: Value, shape: tuple[int, ...]) -> Value:
    """A scalar, or axes of size 1, beside a larger array."""
    if value.shape == shape:
        return value
    missing = [1] * (len(shape) - len(value.shape))
    parts = tuple(
        xp.broadcast_to(xp.reshape(p, (len(p), *missing, *value.shape)), (len(p), *shape))
        for p in value.parts
    )
    codes = None if value.special is None else np.broadcast_to(value.special, shape)
    return dataclasses.replace(value, parts=parts, special=codes, members=None)


def special_results(call: Call, values: Sequence[Value]) -> np.ndarray | None:
    """Where the result is infinite or NaN whatever the finite cells are: the primitive itself says so."""
    if all(value.special is None for value in values) and "window" not in call.eqn.name:
        return None
    if "window" in call.eqn.name and not jnp.issubdtype(call.types[0].dtype, np.floating):
        raise NotHere("its neutral element is a number")
    with jax.ensure_compile_time_eval():
        (found,) = call.bind(*(numbers_of(value.special, value.shape) for value in values))
        codes = special_codes(np.asarray(found))
    return codes if np.any(codes) else None


def square_of_norm(field: Field, value: Value) -> Value:
    """|z|^2."""
    reduce = field.arithmetic.reduce
    squares = [reduce(part * part) for part in value.parts]
    total = reduce(squares[0] + squares[1]) if len(squares) == 2 else squares[0]
    return Value((total,), value.size.times(value.size, 2))
