"""Exactness: where every float of a program is the exact real number, so that `==` is meaningful.

Each value carries a *grade*: a bound `|v| <= bound` and a *quantum* of which it is an integer multiple. A float
format with p significant bits holds every such value exactly while `bound / quantum <= 2^p` (quantum reduced to its
power of two), partial sums in any order included. The bound is computed from the program, the weights and the images
at hand, for every equation; it is never hoped for. Where it cannot be kept, the grade is a reason, which names the
equation.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.tracing.primitives import MOVES
from shiftproof.tracing.trace import Equation, Literal, Program, interpret

Shapes = Sequence[tuple[int, ...]]


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
class Exactness:
    """Whether `==` on one layer's values is meaningful.

    Attributes:
        exact: True where every float up to here is the exact real number.
        bound: the largest magnitude met on the way, in units of the last place needed.
        limit: what the float format can hold (2^24 for float32, 2^53 for float64).
        reason: why not, where it is not.
        quantum: what every value is a multiple of, where it is exact.
    """

    exact: bool
    bound: float
    limit: float
    reason: str
    quantum: float

    def downgraded(self, reason: str) -> "Exactness":
        """Inexact for the reason given, unless it already was."""
        return dataclasses.replace(self, exact=False, reason=reason) if self.exact else self

    def contradicted_by(self, value: np.ndarray) -> bool:
        """Whether a compiled value is no multiple of the quantum: then the compiler changed the arithmetic."""
        if not self.exact or self.quantum == 0 or not np.issubdtype(value.dtype, np.floating):
            return False
        finite = value[np.isfinite(value)].astype(np.float64)
        return bool(np.any(np.remainder(finite, self.quantum) != 0))

    def __str__(self) -> str:
        if self.exact:
            return f"exact: {self.bound:.3g} of {self.limit:.3g} units"
        return f"rounded: {self.reason}"


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
        known = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
        if eqn.outputs[0] not in program.from_images:
            return [Known(fixed.get(output, 0.0)) for output in eqn.outputs]
        dtypes = [program.avals[output].dtype for output in eqn.outputs]
        shapes = [
            np.shape(o.value) if isinstance(o, Literal) else program.avals[o].shape
            for o in eqn.inputs
        ]
        grade = _grade(eqn, known, shapes)
        results = [_fits(grade, dtype, _place(eqn)) for dtype in dtypes]
        before = max(reach.get(o, Fraction(0)) for o in eqn.inputs if isinstance(o, int))
        for output, result in zip(eqn.outputs, results, strict=True):
            own = result.units if isinstance(result, Exact) else Fraction(0)
            reach[output] = max(before, own)
        return list(results)

    graded = interpret(program, meaning, step)
    return {n: _plain(m) for n, m in graded.items() if n in program.from_images}, reach


def judge(
    program: Program,
    value: int | Literal,
    *,
    grades: Mapping[int, Grade],
    reach: Mapping[int, Fraction],
) -> Exactness:
    """The exactness of one value, from `grade_program`."""
    if value not in grades:  # it does not depend on the images
        return Exactness(True, 0.0, math.inf, "", 0.0)
    assert isinstance(value, int)
    grade = grades[value]
    limit = _limit(program.avals[value].dtype)
    reason = grade.reason if isinstance(grade, Inexact) else ""
    exact = isinstance(grade, Exact)
    quantum = as_float(grade.quantum) if exact else math.nan
    return Exactness(exact, as_float(reach.get(value, Fraction(0))), limit, reason, quantum)


def as_float(number: Fraction) -> float:
    """The nearest float; infinity beyond the largest, as between a pixel of 1 and one of 1e-310.

    >>> as_float(Fraction(10) ** 400)
    inf
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf


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
    flat = np.asarray(array).astype(np.float64).ravel()
    flat = np.abs(flat[np.isfinite(flat) & (flat != 0)])
    if flat.size == 0:
        return Exact(Fraction(0), Fraction(1))
    mantissa, exponent = np.frexp(flat)
    digits = (mantissa * 2.0**53).astype(np.int64)
    trailing = np.log2((digits & -digits).astype(np.float64)).astype(np.int64)
    lowest = int((exponent - 53 + trailing).min())
    bound = Fraction(float(flat.max()))
    quantum = Fraction(2) ** lowest
    if bound / quantum < 2**53:
        units = (flat / float(quantum)).astype(np.int64)
        quantum *= int(np.gcd.reduce(units))
    return Exact(bound, quantum)


def _plain(meaning: Meaning) -> Grade:
    return grade_array(meaning.array) if isinstance(meaning, Known) else meaning


def _place(eqn: Equation) -> str:
    place = str(eqn.site)
    return f"{eqn.name} at {place}" if place else eqn.name


def _limit(dtype: Any) -> float:
    if jnp.issubdtype(dtype, np.floating):
        return float(2 ** (jnp.finfo(dtype).nmant + 1))
    if jnp.issubdtype(dtype, np.integer):
        return float(jnp.iinfo(dtype).max)
    return math.inf


def _fits(grade: Grade, dtype: Any, place: str) -> Grade:
    """The grade, unless values of the dtype cannot hold it."""
    if isinstance(grade, Inexact):
        return grade
    if jnp.issubdtype(dtype, np.complexfloating):
        return Inexact(f"{place} computes in {np.dtype(dtype).name}")
    odd = grade.quantum.denominator // _largest_power(grade.quantum.denominator)
    if odd != 1:
        return Inexact(f"{place} gives values that are no multiples of a power of two", odd)
    limit = _limit(dtype)
    if jnp.issubdtype(dtype, np.integer) and (
        grade.bound > limit or jnp.issubdtype(dtype, np.unsignedinteger)
    ):
        # machine integers wrap, by definition and without rounding; a negative number is a large unsigned one
        return Exact(Fraction(2 * int(limit) + 1), Fraction(1))
    if jnp.issubdtype(dtype, np.floating) and grade.bound > Fraction(float(jnp.finfo(dtype).max)):
        return Inexact(f"{place} may exceed {jnp.dtype(dtype).name}")
    if grade.units > limit:
        return Inexact(
            f"{place} needs integers up to {as_float(grade.units):.2g}, "
            f"{jnp.dtype(dtype).name} holds {limit:.2g}"
        )
    return grade


def _largest_power(number: int) -> int:
    return number & -number


def _power_of_two(quantum: Fraction) -> Fraction:
    """The largest power of two that divides every multiple of `quantum`."""
    return Fraction(_largest_power(quantum.numerator), quantum.denominator)


def _common(first: Fraction, second: Fraction) -> Fraction:
    """The greatest common quantum of two."""
    denominator = math.lcm(first.denominator, second.denominator)
    return Fraction(math.gcd(int(first * denominator), int(second * denominator)), denominator)


# --- rules: (equation, operands) -> grade of the output ---


def _grade(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    lost = next((o for o in operands if isinstance(o, Inexact)), None)
    if lost is not None:
        return lost
    rule = RULES.get(eqn.name)
    return rule(eqn, operands, shapes) if rule else Inexact(f"{_place(eqn)} rounds or has no rule")


def _select(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """The output consists of operand values (moves, maxima, selections, signs)."""
    return _union([_exact(o) for o in operands])


def _union(grades: Sequence[Exact]) -> Exact:
    quanta = [grade.quantum for grade in grades if grade.bound]
    quantum = functools.reduce(_common, quanta) if quanta else Fraction(1)
    return Exact(max(grade.bound for grade in grades), quantum)


def _select_case(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return _union([_exact(o) for o in operands[1:]])


def _look_up(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """Cells of the first operand, and of a gather the number that stands for what lies outside of it."""
    fill = eqn.params.get("fill_value")
    outside = [] if fill is None else [grade_array(np.asarray(fill))]
    return _union([_exact(operands[0]), *outside])


def _update(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return _union([_exact(o) for o in operands[:2]])


def _convert(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    grade = _exact(operands[0])
    target = eqn.params["new_dtype"]
    if not jnp.issubdtype(target, np.integer):
        return grade
    if grade.bound > _limit(target) or (grade.bound and jnp.issubdtype(target, np.unsignedinteger)):
        return Inexact(f"{_place(eqn)} may exceed {np.dtype(target).name}")
    return Exact(grade.bound, _common(grade.quantum, Fraction(1)))


def _exact(meaning: Meaning) -> Exact:
    grade = _plain(meaning)
    assert isinstance(grade, Exact)
    return grade


def _add(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    grades = [_exact(o) for o in operands]
    return Exact(sum((g.bound for g in grades), Fraction(0)), _union(grades).quantum)


def _multiply(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    first, second = (_exact(o) for o in operands)
    return Exact(first.bound * second.bound, first.quantum * second.quantum)


def _power(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    exponent = eqn.params.get("y", 2)
    base = _exact(operands[0])
    if exponent < 0:
        return Inexact(f"{_place(eqn)} divides")
    return Exact(base.bound**exponent, base.quantum**exponent)


def _divide(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    numerator, denominator = operands
    if not isinstance(denominator, Known):
        return Inexact(f"{_place(eqn)} divides by a value that depends on the images")
    divisors = np.unique(_magnitudes(denominator))
    if divisors.size > 64 or not np.all(np.isfinite(divisors)) or 0 in divisors:
        return Inexact(f"{_place(eqn)} divides by {divisors.size} different numbers")
    top = _exact(numerator)
    quotients = [top.quantum / Fraction(float(d)) for d in divisors]
    return Exact(top.bound / Fraction(float(divisors[0])), functools.reduce(_common, quotients))


def _integers(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return Exact(_exact(operands[0]).bound + 1, Fraction(1))


def _truths(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """Comparisons and signs: -1, 0 or 1."""
    return Exact(Fraction(1), Fraction(1))


def _logic(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """Of truths, and of the bits of integers: in two's complement they need no more of these."""
    digits = max(int(_exact(o).bound).bit_length() for o in operands)
    return Exact(Fraction(2**digits), Fraction(1))


def _index(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """argmax and argmin: an index below the size."""
    return Exact(Fraction(math.prod(shapes[0][axis] for axis in eqn.params["axes"])), Fraction(1))


def _remainder(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """No larger than what is divided, and never rounded."""
    first, second = (_exact(o) for o in operands)
    return Exact(first.bound, _common(first.quantum, second.quantum))


def _scatter(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    if eqn.params["update_jaxpr"] is not None:
        return Inexact(f"{_place(eqn)} has an update function of its own")
    return _union([_exact(operands[0]), _exact(operands[2])])


def _scatter_add(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """All updates may meet in one place."""
    into, added = _exact(operands[0]), _exact(operands[2])
    count = math.prod(shapes[2])
    return Exact(into.bound + added.bound * count, _union([into, added]).quantum)


def _top(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    """Values, and their places."""
    places = Exact(Fraction(max(shapes[0])), Fraction(1))
    return _union([_exact(operands[0]), places])


def _total(count: int, operand: Meaning) -> Grade:
    grade = _exact(operand)
    return Exact(grade.bound * count, grade.quantum)


def _reduce_sum(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return _total(math.prod(shapes[0][axis] for axis in eqn.params["axes"]), operands[0])


def _running_sum(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return _total(shapes[0][eqn.params["axis"]], operands[0])


def _window_sum(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    return _total(math.prod(eqn.params["window_dimensions"]), operands[0])


def _convolution(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    numbers = eqn.params["dimension_numbers"]
    kernel = operands[1]
    image = _exact(operands[0])
    if not isinstance(kernel, Known):
        return Inexact(f"{_place(eqn)} has a kernel that depends on the images")
    out_axis = numbers.rhs_spec[0]
    magnitudes = _magnitudes(kernel)
    sums = magnitudes.sum(axis=tuple(a for a in range(magnitudes.ndim) if a != out_axis))
    return _contraction(image, kernel, largest_sum=float(sums.max(initial=0.0)))


def _dot(eqn: Equation, operands: Sequence[Meaning], shapes: Shapes) -> Grade:
    (left, right), _ = eqn.params["dimension_numbers"]
    if all(not isinstance(o, Known) for o in operands):
        first, second = (_exact(o) for o in operands)
        count = math.prod(shapes[0][axis] for axis in left)
        return Exact(first.bound * second.bound * count, first.quantum * second.quantum)
    known, axes, other = (
        (operands[0], left, operands[1])
        if isinstance(operands[0], Known)
        else (operands[1], right, operands[0])
    )
    sums = _magnitudes(known).sum(axis=tuple(axes))
    return _contraction(_exact(other), known, largest_sum=float(np.max(sums, initial=0.0)))


def _magnitudes(known: Meaning) -> np.ndarray:
    assert isinstance(known, Known)
    array = np.asarray(known.array)
    # NumPy knows no bfloat16
    return np.abs(array if array.dtype.kind == "c" else array.astype(np.float64))


def _contraction(moving: Exact, fixed: Meaning, *, largest_sum: float) -> Grade:
    return Exact(moving.bound * Fraction(largest_sum), moving.quantum * _exact(fixed).quantum)


RULES: Mapping[str, Callable[[Equation, Sequence[Meaning], Shapes], Grade]] = {
    **dict.fromkeys(MOVES, _select),
    **dict.fromkeys(
        """
        abs clamp copy copy_p cummax cummin max min neg optimization_barrier reduce_max
        reduce_min reduce_window_max reduce_window_min rev sort stack stop_gradient tile unstack
        """.split(),
        _select,
    ),
    **dict.fromkeys(("dynamic_slice", "gather"), _look_up),
    "dynamic_update_slice": _update,
    "rem": _remainder,
    "scatter": _scatter,
    **dict.fromkeys(("scatter-add", "scatter-sub"), _scatter_add),
    "top_k": _top,
    **dict.fromkeys(["add", "add_any", "sub"], _add),
    **dict.fromkeys(
        ["eq", "ge", "gt", "is_finite", "le", "lt", "ne", "reduce_and", "reduce_or", "sign"],
        _truths,
    ),
    **dict.fromkeys(("and", "not", "or", "xor"), _logic),
    **dict.fromkeys(("ceil", "floor", "round"), _integers),
    **dict.fromkeys(("argmax", "argmin"), _index),
    **dict.fromkeys(("integer_pow", "square"), _power),
    "conv_general_dilated": _convolution,
    "convert_element_type": _convert,
    "cumsum": _running_sum,
    "div": _divide,
    "dot_general": _dot,
    "mul": _multiply,
    "reduce_sum": _reduce_sum,
    "reduce_window_sum": _window_sum,
    "select_n": _select_case,
}
