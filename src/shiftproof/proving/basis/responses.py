"""Responses: the values of the compiled program on a complete basis of inputs, exact or not at all.

An affine function is given by its values on zero and on all unit impulses, a max-plus linear one by those on
all *tropical* impulses (0 at one place, -infinity elsewhere). These are finitely many runs of the compiled program, and
`exact` bounds them so that every float is the exact real number. What cannot be bounded so is declined.

The impulse has the *height* h instead of 1. For an affine function h makes all divisions come out even. A max-plus
linear function with finite entries and constants of magnitude at most K takes h = 2K + 1, so that a finite entry always
beats a constant: the response tells all entries apart.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.exactness.exact import Exact, Exactness, Inexact, grade_program, judge
from shiftproof.proving.basis.linearity import Kind
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    evaluate,
    fixed_divisors,
    hash_array,
)

MAX_WORK = 2**33
"""Multiplications and additions that one table of responses may take: some ten seconds on two cores."""

MAX_TABLE = 2**24
"""Entries that one table may have."""

MAX_HEIGHT = 2**20
"""Largest impulse that is tried so that divisions come out even."""

CHUNK = 2**22
"""Entries of all values that are computed at once."""


class Declined(Exception):
    """No table of responses is made, for the reason given."""


@dataclasses.dataclass(frozen=True)
class Tail:
    """The part of a program from one value to another, runnable.

    Attributes:
        kind: what it is in its source.
        program: its images are the source, its one output is the target.
        fixed: the values that it uses; weights that stand for any values enter the constant as zeros.
        divisors: from `fixed_divisors`.
        height: of the impulses.
        exactness: of the target, on impulses of that height.
        entire: whether the constant of an affine function is in it, or only its matrix.
    """

    kind: Kind
    program: Program
    fixed: Mapping[int, Any]
    divisors: Mapping[int, np.ndarray]
    height: int
    exactness: Exactness
    entire: bool

    @property
    def rest(self) -> float:
        """What a basis input is where it is not the impulse."""
        return {"affine": 0.0, "max-plus": -math.inf, "min-plus": math.inf}[self.kind]

    @property
    def signed_height(self) -> int:
        """The height; downwards where the minimum counts."""
        return -self.height if self.kind == "min-plus" else self.height

    @property
    def source(self) -> int:
        """The number of the value that it starts from."""
        return self.program.images

    @property
    def target(self) -> int:
        """The number of the value that it ends in."""
        (target,) = self.program.outputs
        if not isinstance(target, int):
            raise TypeError("the target of a tail is a value of the program")
        return target

    def run(self, images: Any, divisors: Mapping[int, Any] | None = None) -> Any:
        """The target for one value of the source."""
        divisors = self.divisors if divisors is None else divisors
        return evaluate(self.program, self.fixed, images, divisors)[self.target]


def cut_out(program: Program, source: int, target: int) -> Program:
    """The program from `source`, which becomes its images, to `target`, its one output."""
    kept, needed = [], {target} - {source}
    for eqn in reversed(program.equations):
        if needed.intersection(eqn.outputs) and source not in eqn.outputs:
            kept.append(eqn)
            needed.update(o for o in eqn.inputs if isinstance(o, int) and o != source)
    return dataclasses.replace(
        program,
        equations=tuple(reversed(kept)),
        images=source,
        outputs=(target,),
        output_names=("target",),
    )


def make_tail(
    program: Program, values: Mapping[int, Any], *, kind: Kind, source: int, target: int
) -> Tail:
    """The part from `source` to `target`, which is of the kind, with the height at which impulses are exact.

    Args:
        program: the traced model.
        values: what depends neither on the images nor on opaque weights, from `known_values`.
        kind: of linearity.
        source: number of the value that becomes the input.
        target: number of the value that becomes the output.

    Raises:
        Declined: too much work, or rounding cannot be excluded.
    """
    part = cut_out(program, source, target)
    impulses, cells = (math.prod(part.avals[n].shape) for n in (source, target))
    work = impulses * sum(_cost(part, eqn) for eqn in part.equations)
    if work > MAX_WORK:
        raise Declined(
            f"{impulses} impulses need {work:.2g} operations, the limit is {MAX_WORK:.2g}"
        )
    if impulses * cells > MAX_TABLE:
        raise Declined(f"{impulses} x {cells} responses are more than {MAX_TABLE:.2g}")
    try:
        return _certified(part, values, kind, entire=True)
    except Declined:
        if kind != "affine":
            raise
        return _certified(_homogeneous(part), values, kind, entire=False)


def _certified(part: Program, values: Mapping[int, Any], kind: Kind, *, entire: bool) -> Tail:
    fixed, target = _fixed(part, values), part.outputs[0]
    height = _height(part, fixed, kind)
    grades, reach = grade_program(part, fixed, np.asarray([float(height)]))
    exactness = judge(part, target, grades=grades, reach=reach)
    if not exactness.exact:
        raise Declined(exactness.reason)
    _check_range(part, grades)
    entire = entire and all(n in values for n in used_by(part))
    return Tail(kind, part, fixed, fixed_divisors(part, fixed), height, exactness, entire)


def _homogeneous(part: Program) -> Program:
    """The program without the terms that it adds to what depends on the source: another constant, the same matrix."""

    def without_terms(eqn: Equation) -> Equation:
        moving = [isinstance(o, int) and o in part.from_images for o in eqn.inputs]
        if eqn.name not in ("add", "add_any", "sub") or all(moving) or not any(moving):
            return eqn
        inputs = tuple(
            operand if moves else _zeros(part, operand)
            for operand, moves in zip(eqn.inputs, moving, strict=True)
        )
        return dataclasses.replace(eqn, inputs=inputs)

    return dataclasses.replace(part, equations=tuple(map(without_terms, part.equations)))


def _zeros(part: Program, operand: int | Literal) -> Literal:
    like = operand.value if isinstance(operand, Literal) else part.avals[operand]
    return Literal(np.zeros(np.shape(like), jnp.result_type(like)))


def _fixed(part: Program, values: Mapping[int, Any]) -> dict[int, np.ndarray]:
    """The values used together with what depends on the source; what is not known only enters the constant, as zero."""
    found = {}
    for n in used_by(part):
        aval = part.avals[n]
        found[n] = np.asarray(values[n]) if n in values else np.zeros(aval.shape, aval.dtype)
    return found


def used_by(part: Program) -> frozenset[int]:
    """The values that do not depend on the source and are used together with what does."""
    return frozenset(
        o
        for eqn in part.equations
        if eqn.outputs[0] in part.from_images
        for o in eqn.inputs
        if isinstance(o, int) and o not in part.from_images
    )


def _height(part: Program, fixed: Mapping[int, Any], kind: Kind) -> int:
    if kind != "affine":
        grades, reach = grade_program(part, fixed, np.asarray([0.0]))
        entries = judge(part, part.outputs[0], grades=grades, reach=reach)
        if not entries.exact:
            raise Declined(entries.reason)
        grade = grades[part.outputs[0]]  # type: ignore[index]
        return 2 * math.ceil(grade.bound) + 1  # type: ignore[union-attr]
    height = 1
    while True:
        grades, _ = grade_program(part, fixed, np.asarray([float(height)]))
        needed = next((g.divisor for g in grades.values() if isinstance(g, Inexact)), 1)
        if needed == 1 or height * needed > MAX_HEIGHT:
            return height
        height *= needed


def _check_range(part: Program, grades: Mapping[int, Any]) -> None:
    """No value overflows to an infinity, or is flushed to zero."""
    for number, grade in grades.items():
        dtype = part.avals[number].dtype
        if jnp.issubdtype(dtype, np.floating) and isinstance(grade, Exact) and grade.bound:
            limits = jnp.finfo(dtype)
            if grade.bound > Fraction(float(limits.max)):
                raise Declined(f"values up to {float(grade.bound):.3g} overflow {limits.dtype}")
            if grade.quantum < Fraction(float(limits.tiny)):
                raise Declined(f"multiples of {float(grade.quantum):.3g} underflow {limits.dtype}")


def _cost(part: Program, eqn: Any) -> int:
    """Multiplications and additions of an equation, roughly."""
    if eqn.outputs[0] not in part.from_images:
        return 0
    size = sum(math.prod(part.avals[o].shape) for o in eqn.outputs)
    shapes: list[tuple[int, ...]] = [
        part.avals[o].shape if isinstance(o, int) else () for o in eqn.inputs
    ]
    match eqn.name:
        case "conv_general_dilated":
            out = eqn.params["dimension_numbers"].rhs_spec[0]
            return size * (math.prod(shapes[1]) // shapes[1][out])
        case "dot_general":
            contracted = eqn.params["dimension_numbers"][0][0]
            return size * math.prod(shapes[0][axis] for axis in contracted)
        case "reduce_window_max" | "reduce_window_min" | "reduce_window_sum":
            return size * math.prod(eqn.params["window_dimensions"])
        case _:
            return max(size, *map(math.prod, shapes))


@dataclasses.dataclass(frozen=True)
class Responses:
    """The table of a tail.

    Attributes:
        tail: what was run.
        table: one row per cell of the source, one column per cell of the target.
        base: the target where the source holds no impulse.
    """

    tail: Tail
    table: np.ndarray
    base: np.ndarray

    @functools.cached_property
    def classes(self) -> np.ndarray:
        """Which cells of the source have equal responses, in the shape of the source."""
        numbers: dict[bytes, int] = {}
        rows = [numbers.setdefault(row.tobytes(), len(numbers)) for row in self.table]
        return np.asarray(rows).reshape(self._shape(self.tail.source))

    @functools.cached_property
    def sha256(self) -> str:
        """Digest of base and table."""
        return hash_array(np.concatenate([self.base[None], self.table])).hex()

    def unmoved(self, roll: Sequence[int]) -> bool:
        """Whether the target stays when the source is rolled, one step per axis: equal on all impulses."""
        return bool(np.array_equal(self._rolled(self.classes, roll), self.classes))

    def moved(self, roll: Sequence[int], by: Mapping[int, int]) -> bool:
        """Whether the target is rolled by `by`, steps by axis, when the source is rolled."""
        shape = self._shape(self.tail.target)
        axes, steps = tuple(by), tuple(by.values())
        if not np.array_equal(
            np.roll(self.base.reshape(shape), steps, axes), self.base.reshape(shape)
        ):
            return False
        before = self._rolled(np.arange(len(self.table)).reshape(self.classes.shape), roll).ravel()
        # row k + roll is row k, rolled; a few rows first, since most wrong rolls show there
        for rows in (slice(0, 64), slice(0, None)):
            old = self.table[before[rows]].reshape(-1, *shape)
            new = np.roll(old, steps, tuple(axis + 1 for axis in axes))
            if not np.array_equal(new.reshape(len(old), -1), self.table[rows]):
                return False
        return True

    def candidates(self, roll: Sequence[int], axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Rolls of the target, one step per axis given, that bring the peak of one response where it must be."""
        shape = self._shape(self.tail.target)
        spread = np.ptp(np.where(np.isfinite(self.table), self.table, -1), axis=1)
        number = int(np.argmax(spread))
        index = np.unravel_index(number, self.classes.shape)
        moved = [(i + r) % n for i, r, n in zip(index, roll, self.classes.shape, strict=True)]
        old = self.table[number].reshape(shape)
        new = self.table[np.ravel_multi_index(moved, self.classes.shape)].reshape(shape)
        best = np.argmin if self.tail.kind == "min-plus" else np.argmax
        peak = np.unravel_index(int(best(old)), shape)
        for place in np.argwhere(new == old[peak]):
            if all(
                p == q for a, (p, q) in enumerate(zip(place, peak, strict=True)) if a not in axes
            ):
                yield tuple(int((place[a] - peak[a]) % shape[a]) for a in axes)

    def _shape(self, number: int) -> tuple[int, ...]:
        return tuple(self.tail.program.avals[number].shape)

    @staticmethod
    def _rolled(array: np.ndarray, roll: Sequence[int]) -> np.ndarray:
        return np.roll(array, tuple(roll), tuple(range(array.ndim)))


def respond(tail: Tail) -> Responses:
    """Run the compiled program on every impulse, and on none.

    Raises:
        Declined: a value is not finite, or shows that the compiler changed the arithmetic.
    """
    source = tail.program.avals[tail.source]
    count = math.prod(source.shape)
    held = sum(math.prod(tail.program.avals[n].shape) for n in tail.program.from_images)
    chunk = int(min(count + 1, max(1, CHUNK // held), 1024))
    divisors = {
        n: np.broadcast_to(value, (chunk, *value.shape)) for n, value in tail.divisors.items()
    }

    def one(index: Any, fixed: Any, divisors: Any) -> Any:
        here = jnp.arange(count, dtype=np.int32) == index
        image = jnp.where(here, tail.signed_height, tail.rest).astype(source.dtype)
        return dataclasses.replace(tail, fixed=fixed).run(image.reshape(source.shape), divisors)

    run = jax.jit(jax.vmap(one, in_axes=(0, None, 0)))
    rows = []
    with on_cpu(), settings(precision(tail.program)):
        for start in range(0, count + 1, chunk):
            # the index `count` is no cell: its row is the base
            indices = np.minimum(np.arange(start, start + chunk, dtype=np.int32), count)
            found = np.asarray(run(indices, dict(tail.fixed), divisors)).reshape(chunk, -1)
            rows.append(found[: count + 1 - start])
    table = _plain(np.concatenate(rows))
    _check(tail, table)
    return Responses(tail, table[:-1], table[-1])


def precision(program: Program) -> str:
    """The type in which JAX must be set up to run the program as traced."""
    wide = any(
        np.dtype(a.dtype).name in ("float64", "int64")
        for a in program.avals.values()
        if _numeric(a)
    )
    return "float64" if wide else "float32"


def _numeric(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, np.number)


def on_cpu() -> Any:
    """Where XLA computes sums as they are written; accelerators may not."""
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError as error:
        raise Declined(f"there is no CPU device: {error}") from error


def _plain(table: np.ndarray) -> np.ndarray:
    """In a type of NumPy, with one zero only, so that equal rows have equal bytes."""
    if not np.issubdtype(table.dtype, np.integer):
        table = table.astype(np.float64)
    return table + 0


def _check(tail: Tail, table: np.ndarray) -> None:
    allowed = np.isfinite(table) | (table == tail.rest)
    if not np.all(allowed):
        raise Declined("a response is not finite")
    if tail.exactness.contradicted_by(table):
        raise Declined(
            f"responses are no multiples of {tail.exactness.quantum:g}: the compiler changed the arithmetic"
        )
