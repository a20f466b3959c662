"""Digits: where every float of a program is the exact real number, whatever the shift, so that `==` is meaningful.

Each value carries a *grade*: a bound `|v| <= bound` and a *quantum* of which it is an integer multiple. A float
format with p significant bits holds every such value exactly while `bound / quantum <= 2^p` (quantum reduced to its
power of two), partial sums in any order included. The bound is computed from the program, the weights and the images
at hand, for every equation; it is never hoped for. Where it cannot be kept, the grade is a reason, which names the
equation.

One fold over the classes of the table, on two numbers a value, so that it costs nothing beside a forward pass and holds
for all images of one size. Balls (`interval/`) are the second opinion: what is exact by its digits has a ball of radius
0, for every image.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import CONTRACTIONS, Kind, entry_of, read, type_of
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    bodies,
    interpret,
    known_values,
)


@dataclasses.dataclass(frozen=True)
class Exact:
    """Every element is an integer multiple of `quantum`, and at most `bound` in magnitude."""

    bound: Fraction
    quantum: Fraction

    @property
    def units(self) -> Fraction:
        """The bound counted in the unit of the last place that the value needs."""
        return self.bound / _power_of_two(self.quantum) if self.bound else Fraction(0)


@dataclasses.dataclass(frozen=True)
class Inexact:
    """Rounding may occur: why, and at which line of the user's code.

    Attributes:
        reason: what rounds.
        divisor: the odd number divided by, where making the inputs multiples of it would help.
    """

    reason: str
    divisor: int = 1


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that does not depend on the images, so it is simply evaluated."""

    array: Any


Grade = Exact | Inexact
Meaning = Grade | Known


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation with its operands, none of them inexact.

    Attributes:
        eqn: the equation.
        operands: grades, or known arrays.
        types: shape and dtype of each operand.
        result: shape and dtype of the first result.
    """

    eqn: Equation
    operands: Sequence[Meaning]
    types: Sequence[Any]
    result: Any

    @property
    def grades(self) -> list[Exact]:
        """Of all operands."""
        return [_exact(operand) for operand in self.operands]

    def size(self, axes: Sequence[int], position: int = 0) -> int:
        """Cells of an operand along some axes."""
        return math.prod(self.types[position].shape[axis] for axis in axes)

    def rounds(self, how: str) -> Inexact:
        """What there is to say where it does not stay exact."""
        return Inexact(f"{_place(self.eqn)} {how}")


def grade_program(
    program: Program, fixed: Mapping[int, Any], images: Any
) -> tuple[dict[int, Grade], dict[int, Fraction]]:
    """Grade every value that depends on the images, for these weights and all shifts of these images.

    Args:
        program: the traced model.
        fixed: its values that do not depend on the images, from `fixed_values`.
        images: everything a shifted image can show (the canvas).

    Returns:
        The grade of every value, and the largest number of units met on the way to it, by number.
    """
    unused = dict.fromkeys((*program.weights, *program.constants), Known(0.0))
    meaning: dict[int, Meaning] = {**unused, **{n: Known(array) for n, array in fixed.items()}}
    meaning[program.images] = _fits(
        grade_array(images), program.avals[program.images].dtype, "the images"
    )
    reach: dict[int, Fraction] = {}

    def step(eqn: Equation, operands: Sequence[Any]) -> list[Meaning]:
        if eqn.outputs[0] not in program.from_images:
            return [Known(fixed.get(output, 0.0)) for output in eqn.outputs]
        results = _graded(program, eqn, operands)
        before = max(reach.get(o, Fraction(0)) for o in eqn.inputs if isinstance(o, int))
        for output, result in zip(eqn.outputs, results, strict=True):
            own = result.units if isinstance(result, Exact) else Fraction(0)
            reach[output] = max(before, own)
        return list(results)

    graded = interpret(program, meaning, step)
    return {n: _plain(m) for n, m in graded.items() if n in program.from_images}, reach


def _graded(program: Program, eqn: Equation, operands: Sequence[Any]) -> list[Grade]:
    """The grades of the results of an equation."""
    known = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
    types = [type_of(o.value) if isinstance(o, Literal) else program.avals[o] for o in eqn.inputs]
    return _grades(eqn, known, types, [program.avals[output] for output in eqn.outputs])


def _grades(
    eqn: Equation, operands: Sequence[Meaning], types: Sequence[Any], results: Sequence[Any]
) -> list[Grade]:
    grade = _grade(Call(eqn, operands, types, results[0]))
    return [_fits(grade, aval.dtype, _place(eqn)) for aval in results]


def is_exact(
    eqn: Equation, arrays: Sequence[Any], types: Sequence[Any], results: Sequence[Any]
) -> bool:
    """Whether an equation gives the real numbers that it stands for, if these arrays are such numbers.

    Args:
        eqn: the equation.
        arrays: its operands.
        types: shape and dtype of each operand.
        results: shape and dtype of each result.
    """
    if _is_left_open(eqn):
        return False
    if read(eqn.name, eqn.params, types, [True] * len(types), results[0]).kind is Kind.MOVES:
        return True  # the grades say so too, but look at every cell
    known = [Known(array) for array in arrays]
    return all(isinstance(grade, Exact) for grade in _grades(eqn, known, types, results))


def _is_left_open(eqn: Equation) -> bool:
    """Whether compilers may answer as they like: with how many digits they contract, and in which order they leave what
    has equal keys.
    """
    unstable = eqn.name == "sort" and not eqn.params["is_stable"]
    return eqn.name in CONTRACTIONS or (unstable and eqn.params["num_keys"] < len(eqn.inputs))


def rounded_values(program: Program, weights: Mapping[int, Any]) -> dict[int, str]:
    """The values computed of weights that may be none of the real numbers, by number: what rounds on the way to them.

    Constants are what the program computes; of weights, the real numbers count.

    Args:
        program: the traced model.
        weights: arrays of those of its weights that count, by number.
    """
    free = {program.images, *program.weights} - set(weights)
    computed = program.depending_on(set(weights)) - program.depending_on(free)
    if not any(eqn.outputs[0] in computed for eqn in program.equations):
        return {}
    known = {**program.constants, **known_values(program, program.constants)}
    meaning: dict[int, Meaning] = {n: Known(0.0) for n in free}
    meaning |= {n: Known(array) for n, array in {**known, **weights}.items()}

    def step(eqn: Equation, operands: Sequence[Any]) -> list[Meaning]:
        if eqn.outputs[0] not in computed:
            return [Known(known.get(output, 0.0)) for output in eqn.outputs]
        grades = _graded(program, eqn, operands)
        lost = next((grade for grade in grades if isinstance(grade, Inexact)), None)
        return list(grades) if lost is None else [lost] * len(grades)

    graded = interpret(program, meaning, step)
    reasons = ((number, graded[number]) for number in sorted(computed))
    return {number: grade.reason for number, grade in reasons if isinstance(grade, Inexact)}


def uncertain_values(program: Program, weights: Mapping[int, Any]) -> frozenset[int]:
    """The values computed of weights of which a proof is not to read anything: those that rounded, and what depends on
    how a device contracts or breaks ties.

    Args:
        program: the traced model.
        weights: arrays of those of its weights that count, by number.
    """
    computed = program.depending_on(set(weights))
    own = (eqn for eqn in program.equations if eqn.outputs[0] in computed)
    chosen = (o for eqn in own if _is_left_open(eqn) for o in eqn.outputs)
    free = {program.images, *program.weights} - set(weights)
    found = program.depending_on({*rounded_values(program, weights), *chosen})
    return found - program.depending_on(free)


def rounded_weights(program: Program, weights: Sequence[Any]) -> str:
    """What rounds before the images are met: why a value that is computed of weights may be none of the real numbers.

    "" where nothing rounds.
    """
    rounded = rounded_values(program, dict(zip(program.weights, weights, strict=True)))
    moving = (eqn for eqn in program.equations if eqn.outputs[0] in program.from_images)
    used = {o for eqn in moving for o in eqn.inputs} | set(program.outputs)
    return next((reason for number, reason in rounded.items() if number in used), "")


def grade_array(array: Any) -> Exact:
    """The tightest grade of a concrete array; infinities are left out, since arithmetic with them is exact.

    >>> grade_array(np.array([0.5, -3.0]))
    Exact(bound=Fraction(3, 1), quantum=Fraction(1, 2))
    """
    dtype = getattr(array, "dtype", np.float64)
    if not (jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)):
        return Exact(Fraction(0), Fraction(1))
    if jnp.issubdtype(dtype, np.complexfloating):
        array = np.stack([np.real(array), np.imag(array)])
    flat = np.asarray(array).ravel()
    bound, quantum = Fraction(0), Fraction(0)
    for begin in range(0, flat.size, BLOCK):
        largest, unit = _grade_block(flat[begin : begin + BLOCK].astype(np.float64), quantum)
        bound, quantum = max(bound, largest), _common(quantum, unit)
    return Exact(bound, quantum or Fraction(1))


BLOCK = 2**16
"""Numbers that are graded at a time, so that what is computed of them stays in a processor's cache."""


def _grade_block(block: np.ndarray, known: Fraction) -> tuple[Fraction, Fraction]:
    """The largest magnitude of some floats, and a number of which all are multiples; 0 where all are 0.

    Args:
        block: floats; infinities and NaN are left out.
        known: of which all others are multiples; where that divides 1, whole numbers are not looked at closer.
    """
    block = np.abs(block[np.isfinite(block) & (block != 0)])
    if block.size == 0:
        return Fraction(0), Fraction(0)
    bound = Fraction(float(block.max()))
    if bound < 2**53 and np.all(block == np.rint(block)):
        coarse = known and known.numerator == 1
        return bound, Fraction(1 if coarse else int(np.gcd.reduce(block.astype(np.int64))))
    mantissa, exponent = np.frexp(block)
    digits = (mantissa * 2.0**53).astype(np.int64)
    trailing = np.log2((digits & -digits).astype(np.float64)).astype(np.int64)
    quantum = Fraction(2) ** int((exponent - 53 + trailing).min())
    if bound / quantum < 2**53:
        quantum *= int(np.gcd.reduce((block / float(quantum)).astype(np.int64)))
    return bound, quantum


def holds(dtype: Any) -> float:
    """Whole numbers up to this are numbers of the type: 2^24 in float32, 2^53 in float64."""
    if jnp.issubdtype(dtype, np.floating):
        return float(2 ** (jnp.finfo(dtype).nmant + 1))
    if jnp.issubdtype(dtype, np.integer):
        return float(jnp.iinfo(dtype).max)
    return math.inf


def as_float(number: Fraction) -> float:
    """The nearest float; infinity beyond the largest, as between a pixel of 1 and one of 1e-310.

    >>> as_float(Fraction(10) ** 400)
    inf
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _plain(meaning: Meaning) -> Grade:
    return grade_array(meaning.array) if isinstance(meaning, Known) else meaning


def _exact(meaning: Meaning) -> Exact:
    grade = _plain(meaning)
    assert isinstance(grade, Exact)
    return grade


def _place(eqn: Equation) -> str:
    place = str(eqn.site)
    return f"{eqn.name} at {place}" if place else eqn.name


def _fits(grade: Grade, dtype: Any, place: str) -> Grade:
    """The grade, unless values of the dtype cannot hold it."""
    if isinstance(grade, Inexact):
        return grade
    if jnp.issubdtype(dtype, np.complexfloating):
        return Inexact(f"{place} computes in {np.dtype(dtype).name}")
    odd = grade.quantum.denominator // _largest_power(grade.quantum.denominator)
    if odd != 1:
        return Inexact(f"{place} gives values that are no multiples of a power of two", odd)
    limit = holds(dtype)
    if jnp.issubdtype(dtype, np.integer) and (
        grade.bound > limit or jnp.issubdtype(dtype, np.unsignedinteger)
    ):
        # machine integers wrap, by definition and without rounding; a negative number is a large unsigned one
        return Exact(Fraction(2 * int(limit) + 1), Fraction(1))
    if jnp.issubdtype(dtype, np.floating) and grade.bound > Fraction(float(jnp.finfo(dtype).max)):
        return Inexact(f"{place} may exceed {jnp.dtype(dtype).name}")
    if _may_vanish(grade, dtype):
        return Inexact(f"{place} may be too small for {jnp.dtype(dtype).name}")
    if grade.units > limit:
        return Inexact(
            f"{place} needs integers up to {as_float(grade.units):.2g}, "
            f"{jnp.dtype(dtype).name} holds {limit:.2g}"
        )
    return grade


def _may_vanish(grade: Exact, dtype: Any) -> bool:
    """Whether a value may be a number that the dtype holds with fewer digits; devices take these for 0."""
    if not (grade.bound and jnp.issubdtype(dtype, np.floating)):
        return False
    return _power_of_two(grade.quantum) < Fraction(float(jnp.finfo(dtype).smallest_normal))


def _largest_power(number: int) -> int:
    return number & -number


def _power_of_two(quantum: Fraction) -> Fraction:
    """The largest power of two that divides every multiple of `quantum`."""
    return Fraction(_largest_power(quantum.numerator), quantum.denominator)


def _common(first: Fraction, second: Fraction) -> Fraction:
    """The greatest common quantum of two."""
    denominator = math.lcm(first.denominator, second.denominator)
    return Fraction(math.gcd(int(first * denominator), int(second * denominator)), denominator)


# --- one rule per class: call -> grade of the results ---


def _grade(call: Call) -> Grade:
    lost = next((o for o in call.operands if isinstance(o, Inexact)), None)
    if lost is not None:
        return lost
    for operand, aval in zip(call.operands, call.types, strict=True):
        if isinstance(operand, Known) and _may_vanish(_exact(operand), aval.dtype):
            return call.rounds(f"is given numbers too small for {aval.dtype.name}")
    # where cells are looked up makes no difference to what they hold
    known = [True] * len(call.types)
    kind = read(call.eqn.name, call.eqn.params, call.types, known, call.result).kind
    if kind in (Kind.MOVES, Kind.LOOKUP):
        return _chosen(call)
    rule = RULES.get(kind, {}).get(call.eqn.name)
    if rule is None and _has_whole_numbers_only(call):
        return Exact(Fraction(2**64), Fraction(1))
    return rule(call) if rule else call.rounds("rounds or has no rule")


def _has_whole_numbers_only(call: Call) -> bool:
    """Whether machine integers, truths and random keys are all that an equation meets; none of these rounds."""
    types = [*call.types, call.result]
    floats = any(jnp.issubdtype(aval.dtype, np.inexact) for aval in types)
    return not floats and not any(True for _ in bodies(call.eqn.params))


def _chosen(call: Call) -> Grade:
    """Every cell is one of the operands', or stands for what lies outside of them; those that say where hold none."""
    entry = entry_of(call.eqn.name, call.eqn.params)
    assert entry is not None
    held = [_exact(o) for i, o in enumerate(call.operands) if i not in entry.known]
    fill = call.eqn.params.get("fill_value")
    return _union(held if fill is None else [*held, grade_array(np.asarray(fill))])


def _union(grades: Sequence[Exact]) -> Exact:
    quanta = [grade.quantum for grade in grades if grade.bound]
    quantum = functools.reduce(_common, quanta) if quanta else Fraction(1)
    return Exact(max(grade.bound for grade in grades), quantum)


# --- sums ---


def _add(call: Call) -> Grade:
    return Exact(sum((g.bound for g in call.grades), Fraction(0)), _union(call.grades).quantum)


def _sums(count: Callable[[Call], int]) -> Callable[[Call], Grade]:
    """Sums of so many cells."""

    def rule(call: Call) -> Grade:
        (grade,) = call.grades
        return Exact(grade.bound * count(call), grade.quantum)

    return rule


def _scatter_add(call: Call) -> Grade:
    """All updates may meet in one place."""
    into, _, added = call.grades
    count = math.prod(call.types[2].shape)
    return Exact(into.bound + added.bound * count, _union([into, added]).quantum)


def _cast(call: Call) -> Grade:
    (grade,), target = call.grades, call.eqn.params["new_dtype"]
    if not jnp.issubdtype(target, np.integer):
        return grade
    if grade.bound > holds(target) or (grade.bound and jnp.issubdtype(target, np.unsignedinteger)):
        return call.rounds(f"may exceed {np.dtype(target).name}")
    return Exact(grade.bound, _common(grade.quantum, Fraction(1)))


# --- products ---


def _multiply(call: Call) -> Grade:
    first, second = call.grades
    return Exact(first.bound * second.bound, first.quantum * second.quantum)


def _power(call: Call) -> Grade:
    (base,), exponent = call.grades, call.eqn.params.get("y", 2)
    if exponent < 0:
        return call.rounds("divides")
    return Exact(base.bound**exponent, base.quantum**exponent)


def _divide(call: Call) -> Grade:
    numerator, denominator = call.operands
    if not isinstance(denominator, Known):
        return call.rounds("divides by a value that depends on the images")
    divisors = np.unique(_magnitudes(denominator))
    if divisors.size > 64 or not np.all(np.isfinite(divisors)) or 0 in divisors:
        return call.rounds(f"divides by {divisors.size} different numbers")
    top = _exact(numerator)
    quotients = [top.quantum / Fraction(float(d)) for d in divisors]
    return Exact(top.bound / Fraction(float(divisors[0])), functools.reduce(_common, quotients))


def _convolution(call: Call) -> Grade:
    image, kernel = call.operands
    if not isinstance(kernel, Known):
        return call.rounds("has a kernel that depends on the images")
    out_axis = call.eqn.params["dimension_numbers"].rhs_spec[0]
    magnitudes = _magnitudes(kernel)
    sums = magnitudes.sum(axis=tuple(a for a in range(magnitudes.ndim) if a != out_axis))
    return _contraction(_exact(image), kernel, sums)


def _dot(call: Call) -> Grade:
    axes, _ = call.eqn.params["dimension_numbers"]
    for position in (0, 1):
        known = call.operands[position]
        if isinstance(known, Known):
            sums = _magnitudes(known).sum(axis=tuple(axes[position]))
            return _contraction(_exact(call.operands[1 - position]), known, sums)
    first, second = call.grades
    count = call.size(axes[0])
    return Exact(first.bound * second.bound * count, first.quantum * second.quantum)


def _magnitudes(known: Known) -> np.ndarray:
    array = np.asarray(known.array)
    # NumPy knows no bfloat16
    return np.abs(array if array.dtype.kind == "c" else array.astype(np.float64))


def _contraction(moving: Exact, fixed: Known, sums: np.ndarray) -> Grade:
    """Products with known factors, whose magnitudes have these sums."""
    largest = Fraction(float(np.max(sums, initial=0.0)))
    return Exact(moving.bound * largest, moving.quantum * _exact(fixed).quantum)


# --- whole numbers ---


def _integers(call: Call) -> Grade:
    return Exact(call.grades[0].bound + 1, Fraction(1))


def _truths(call: Call) -> Grade:
    """Comparisons and signs: -1, 0 or 1."""
    return Exact(Fraction(1), Fraction(1))


def _logic(call: Call) -> Grade:
    """Of truths, and of the bits of integers: in two's complement they need no more of these."""
    if call.result.dtype == np.bool_:
        return _truths(call)
    digits = max(int(grade.bound).bit_length() for grade in call.grades)
    return Exact(Fraction(2**digits), Fraction(1))


def _quotient(call: Call) -> Grade:
    """Of machine integers: truncated, and -1 for a division by 0."""
    return Exact(max(call.grades[0].bound, Fraction(1)), Fraction(1))


def _remainder(call: Call) -> Grade:
    """No larger than what is divided, and never rounded."""
    first, second = call.grades
    return Exact(first.bound, _common(first.quantum, second.quantum))


def _place_of_extremum(call: Call) -> Grade:
    """An index below the size."""
    return Exact(Fraction(call.size(call.eqn.params["axes"])), Fraction(1))


def _top(call: Call) -> Grade:
    """Values, and their places."""
    places = Exact(Fraction(max(call.types[0].shape)), Fraction(1))
    return _union([*call.grades, places])


Rules = Mapping[str, Callable[[Call], Grade]]


def _each(names: str, rule: Callable[[Call], Grade]) -> Rules:
    return dict.fromkeys(names.split(), rule)


RULES: Mapping[Kind, Rules] = {
    Kind.LINEAR: {
        "neg": _chosen,
        **_each("add add_any sub", _add),
        "convert_element_type": _cast,
        "reduce_sum": _sums(lambda call: call.size(call.eqn.params["axes"])),
        "cumsum": _sums(lambda call: call.size([call.eqn.params["axis"]])),
        "reduce_window_sum": _sums(lambda call: math.prod(call.eqn.params["window_dimensions"])),
        **_each("scatter-add scatter-sub", _scatter_add),
    },
    Kind.BILINEAR: {
        "mul": _multiply,
        "square": _power,
        "div": _divide,
        "dot_general": _dot,
        "conv_general_dilated": _convolution,
    },
    Kind.POINTWISE: {
        **_each("abs clamp", _chosen),
        **_each("eq ge gt is_finite le lt ne sign", _truths),
        **_each("ceil floor round", _integers),
        **_each("not xor", _logic),
        "convert_element_type": _cast,
        "div": _quotient,
        "integer_pow": _power,
        "rem": _remainder,
    },
    Kind.EXTREMUM: {
        **_each("max min reduce_max reduce_min reduce_window_max reduce_window_min", _chosen),
        **_each("scatter_max scatter_min scatter-max scatter-min", _chosen),
        **_each("and or reduce_and reduce_or reduce_xor", _logic),
    },
    Kind.ORDERED: {
        **_each("cummax cummin sort", _chosen),
        **_each("argmax argmin", _place_of_extremum),
        "top_k": _top,
    },
}
