"""Identities: claims that the field decides, for all images, all weights and all functions at once.

Every shift is tried by running the traced program in the field, on a random image and on the shifted one. A claim
that fails on few tracks is no identity; one that holds there is tried again on as many tracks as make the error bound
smaller than 2^-100, and only then believed. Each claim of the kernel is put to the vote here: an identity never
fails, so a denial is a defect of one of the two."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.arithmetic import FieldError, exact_device
from shiftproof.algebras.field import (
    Known,
    Operand,
    Value,
    coded,
    draw,
    make_arithmetic,
    make_field,
    orders_of_unity,
)
from shiftproof.proving.analysis import Claim
from shiftproof.tracing.primitives import plain
from shiftproof.tracing.trace import Literal, Program, known_values
from shiftproof.translation import Shift

SCREEN = 2
"""Tracks on which a claim is tried first."""

LOG2_ERROR = -100.0
"""The error bound that backs a word."""

WORKING_BYTES = 2**28
"""Memory that the values of one call may fill."""

MOST_SLOTS = 64

LARGE = 2**12
"""Entries from which on a known array is an argument of the compiled function, not a constant in it."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A program, what is known of it, and its grid.

    Attributes:
        program: the traced model on one image.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
        seed: of the field.
    """

    program: Program
    weights: Sequence[Any]
    opaque: frozenset[int]
    spatial_axes: tuple[int, ...]
    seed: int

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        shape = self.program.avals[self.program.images].shape
        return tuple(shape[axis] for axis in self.spatial_axes)

    @functools.cached_property
    def known(self) -> dict[int, Any]:
        """All values that depend neither on the image nor on free weights, and are used by some that do."""
        given = zip(self.program.weights, self.weights, strict=True)
        inputs = {n: w for n, w in given if n not in self.opaque} | dict(self.program.constants)
        values = known_values(self.program, inputs)
        return {n: np.asarray(v) if plain(v.dtype) else v for n, v in values.items()}


class Runs:
    """A program in one field, compiled: its values under any shift.

    Args:
        question: the program.
        tracks: of the field.
        wanted: numbers of the values that are returned.

    Raises:
        FieldError: there is no such field.
    """

    def __init__(self, question: Question, tracks: int, wanted: Sequence[int]) -> None:
        self.question, self.wanted = question, tuple(wanted)
        program, known = question.program, question.known
        self.arithmetic, self.pool = make_arithmetic(
            orders_of_unity(program), tracks, question.seed
        )
        self.field = make_field(self.arithmetic)
        self.image = draw(self.arithmetic, "image", program.avals[program.images])
        free = sorted(question.opaque)
        self.given = {n: draw(self.arithmetic, f"weight {n}", program.avals[n]) for n in free}
        self.given |= {
            n: self.field.value(Known(array))
            for n, array in known.items()
            if np.size(array) > LARGE and _is_factor(program, n) and np.all(np.isfinite(array))
        }
        self.made: list[Operand] = []
        with jax.enable_x64(True), exact_device():
            self._run = jax.jit(jax.vmap(self._one, in_axes=(0, None, None)))
            shift = jax.ShapeDtypeStruct((len(question.grid),), np.int32)
            jax.eval_shape(self._one, shift, self.image.parts, self._parts)
        self.tally = dataclasses.replace(self.field.tally)
        self.tally.met([v for v in self.made if isinstance(v, Value)] or [self.image])

    @property
    def _parts(self) -> dict[int, Any]:
        return {n: value.parts for n, value in self.given.items()}

    @property
    def log2_error(self) -> float:
        """The base-2 logarithm of the probability that two outputs agree here and are different."""
        return self.tally.log2_error(self.pool, self.arithmetic.primes)

    @functools.cached_property
    def slots(self) -> int:
        """Shifts per call."""
        program = self.question.program
        cells = max(math.prod(program.avals[n].shape) for n in program.from_images)
        held = 64 * self.arithmetic.tracks * cells
        count = math.prod(self.question.grid)
        return int(max(1, min(MOST_SLOTS, count, WORKING_BYTES // max(1, held))))

    def _one(self, shift: Any, image: Any, parts: Any) -> tuple[list[Any], Any]:
        """The values wanted for the image, shifted, of one shift; and whether some function has no value."""
        self.field.undefined = []
        program = self.question.program
        moved = image
        for position, axis in enumerate(self.question.spatial_axes):
            n = program.avals[program.images].shape[axis]
            places = (jnp.arange(n) - shift[position]) % n
            moved = tuple(jnp.take(part, places, axis=axis + 1) for part in moved)
        start: dict[int, Operand] = {n: Known(None) for n in (*program.weights, *program.constants)}
        start |= {n: Known(array) for n, array in self.question.known.items()}
        start |= {n: dataclasses.replace(v, parts=parts[n]) for n, v in self.given.items()}
        start[program.images] = dataclasses.replace(self.image, parts=moved)
        values = self.field.run(_skipping(program, self.question.opaque, start), start)
        self.made = [values[n] for n in self.wanted]
        return [
            tuple(jnp.asarray(part) for part in coded(value))
            for value in map(self.field.value, self.made)
        ], jnp.any(jnp.asarray([False, *self.field.undefined]))

    def values(self, shifts: Sequence[Shift]) -> Iterator[list[tuple[np.ndarray, ...]]]:
        """For each shift the parts of every value wanted, (tracks, *shape).

        Raises:
            FieldError: at some place there is no value, whatever the image.
        """
        for begin in range(0, len(shifts), self.slots):
            block = list(shifts[begin : begin + self.slots])
            rows = np.array(block + block[:1] * (self.slots - len(block)), np.int32)
            with jax.enable_x64(True), exact_device():
                found, undefined = self._run(
                    rows.reshape(self.slots, -1), self.image.parts, self._parts
                )
                if np.any(np.asarray(undefined)):
                    raise FieldError("a function is infinite or NaN at 0 at some place, always")
                host = [tuple(np.asarray(part) for part in parts) for parts in found]
            for i in range(len(block)):
                yield [tuple(part[i] for part in parts) for parts in host]


def _is_factor(program: Program, number: int) -> bool:
    """Whether a value is used as a factor of contractions only, for which it need not be known."""
    users = [eqn.name for eqn in program.equations if number in eqn.inputs]
    return bool(users) and set(users) <= {"conv_general_dilated", "dot_general"}


def _skipping(program: Program, opaque: Set[int], start: Mapping[int, Operand]) -> Program:
    """The program without what is known already."""
    live = program.depending_on({*opaque, program.images})
    equations = tuple(eqn for eqn in program.equations if eqn.outputs[0] in live)
    return dataclasses.replace(program, equations=equations)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What stands behind the shifts of one claim that are identities.

    Attributes:
        shifts: the shifts that were tried, each with the output shift; others follow from these and the certificate.
        log2_error: the base-2 logarithm of the probability that one of them is none.
        primes: of the fields, drawn with
        seed: that of all random numbers.
        program: fingerprint of the traced program.
        exhaustive: whether every shift of the grid was tried.
    """

    shifts: tuple[tuple[Shift, Shift], ...]
    log2_error: float
    primes: tuple[int, ...]
    seed: int
    program: str
    exhaustive: bool = False

    @property
    def error(self) -> str:
        """The bound in words."""
        return f"error < 2^{math.ceil(self.log2_error)}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "shifts": [{"shift": list(s), "output_shift": list(m)} for s, m in self.shifts],
            "log2_error": round(self.log2_error, 1),
            "primes": list(self.primes),
            "seed": self.seed,
            "program": self.program,
            "exhaustive": self.exhaustive,
        }


class Identities:
    """Decides claims about one program in the field.

    Args:
        question: the program.

    Attributes:
        refusal: why the field cannot run it; "" where it can.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.refusal = ""
        self._values: dict[tuple[int, Shift], list[tuple[np.ndarray, ...]]] = {}
        outputs = question.program.outputs
        self._wanted = sorted({o for o in outputs if isinstance(o, int)})
        self._runs: dict[int, Runs] = {}
        try:
            self.screen()
        except FieldError as reason:
            self.refusal = str(reason)

    def screen(self) -> Runs:
        """A field of few tracks, in which what differs is told apart."""
        return self._make(SCREEN)

    def full(self) -> Runs:
        """A field with as many tracks as the error bound needs.

        Raises:
            FieldError: there are not enough primes.
        """
        return self._make(self._tracks)

    def _make(self, tracks: int) -> Runs:
        if tracks not in self._runs:
            self._runs[tracks] = Runs(self.question, tracks, self._wanted)
        return self._runs[tracks]

    @functools.cached_property
    def _tracks(self) -> int:
        """The least number of tracks whose error bound is small enough."""
        screen = self.screen()
        for tracks in range(4, 64):
            arithmetic, pool = make_arithmetic(
                orders_of_unity(self.question.program), tracks, self.question.seed
            )
            comparisons = math.log2(math.prod(self.question.grid) * self._output_shifts)
            if screen.tally.log2_error(pool, arithmetic.primes) + comparisons < LOG2_ERROR:
                return tracks
        raise FieldError("no number of tracks makes the error bound small enough")

    @property
    def _output_shifts(self) -> int:
        """With how many output shifts the output under one shift may be compared."""
        avals = self.question.program.avals
        return max([1, *(math.prod(avals[n].shape) for n in self._wanted)])

    @property
    def is_blind(self) -> bool:
        """Whether some equation is read as any function of its whole operands: the kernel may know more of it."""
        return bool(self.refusal or self.screen().field.opaque)

    def output_shift(self, claim: Claim, shift: Shift) -> Shift | None:
        """By what the output moves under the claim, `()` for invariance; None where that is no identity."""
        if self.refusal:
            return None
        try:
            if next(self._moves(self.screen(), claim, shift), None) is None:
                return None
            return next(self._moves(self.full(), claim, shift), None)
        except FieldError as reason:
            self.refusal = str(reason)
            return None

    def evidence(
        self, shifts: Sequence[tuple[Shift, Shift]], *, exhaustive: bool = False
    ) -> Evidence:
        """The evidence of some identities, which were found by `output_shift`."""
        runs = self.full()
        tried = math.prod(self.question.grid) if exhaustive else len(shifts)
        comparisons = tried * self._output_shifts
        return Evidence(
            tuple(shifts),
            runs.log2_error + math.log2(comparisons),
            runs.arithmetic.primes,
            self.question.seed,
            self.question.program.fingerprint,
            exhaustive,
        )

    @property
    def doubts(self) -> str:
        """What limits the field on this program, in words; "" where nothing does."""
        if self.refusal:
            return f"the field cannot run it: {self.refusal}"
        opaque = list(self.screen().field.opaque)
        return (
            f"the field takes for any function of its whole operands: {opaque[0]}" if opaque else ""
        )

    def denies(self, claim: Claim, shift: Shift, moved: Shift) -> bool:
        """Whether a claim, with the output shift, fails here: then it is no identity. Not asked where it is blind."""
        if self.is_blind:
            return False
        try:
            still, after = self._pair(self.screen(), claim, shift)
        except FieldError as reason:
            self.refusal = str(reason)
            return False
        return not _agree(still, after, claim.axes, moved)

    def sweep(self, claims: Sequence[Claim]) -> dict[Claim, np.ndarray]:
        """Every shift of the grid, one by one: for each claim the mask of those under which it is an identity.

        Raises:
            FieldError: the field cannot run the program.
        """
        runs, grid = self.full(), self.question.grid
        shifts = list(np.ndindex(*grid))
        masks = {claim: np.zeros(grid, bool) for claim in claims}
        still: list[tuple[np.ndarray, ...]] = []
        for shift, values in zip(shifts, runs.values(shifts), strict=True):
            still = still or values
            for claim in claims:
                before, after = self._of(claim, still), self._of(claim, values)
                found = next(_moves(before, after, claim, shift, grid), None)
                masks[claim][shift] = found is not None
        return masks

    def _of(self, claim: Claim, values: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        output = self.question.program.outputs[claim.leaf]
        if isinstance(output, Literal):
            return (np.zeros((1, *np.shape(output.value))),)
        return values[self._wanted.index(output)]

    def _moves(self, runs: Runs, claim: Claim, shift: Shift) -> Iterator[Shift]:
        still, after = self._pair(runs, claim, shift)
        return _moves(still, after, claim, shift, self.question.grid)

    def _pair(self, runs: Runs, claim: Claim, shift: Shift) -> Any:
        zero = (0,) * len(shift)
        tracks = runs.arithmetic.tracks
        missing = [s for s in (zero, shift) if (tracks, s) not in self._values]
        for s, values in zip(missing, runs.values(missing), strict=True):
            self._values[tracks, s] = values
        return tuple(self._of(claim, self._values[tracks, s]) for s in (zero, shift))


Parts = tuple[np.ndarray, ...]


def _agree(still: Parts, after: Parts, axes: Sequence[int], moved: Shift) -> bool:
    """Whether the output after is the one at rest, rolled."""
    places = tuple(axis + 1 for axis in axes)
    return all(
        np.array_equal(np.roll(a, moved, places) if moved else a, b)
        for a, b in zip(still, after, strict=True)
    )


def _moves(
    still: Parts, after: Parts, claim: Claim, shift: Shift, grid: Sequence[int]
) -> Iterator[Shift]:
    """The output shifts under which the claim holds of a pair of outputs."""
    if claim.property == "invariance":
        candidates: Any = [()]
    elif claim.law == "same":
        candidates = [claim.expected(shift)]
    else:
        candidates = _candidates(still[0], after[0], claim, shift, grid)
    for moved in candidates:
        if _agree(still, after, claim.axes, moved):
            yield moved


def _candidates(
    still: np.ndarray, after: np.ndarray, claim: Claim, shift: Shift, grid: Sequence[int]
) -> Iterator[Shift]:
    """Output shifts that may fit: what strides suggest, then those that bring some cell to where it is."""
    if len(claim.sizes) == len(shift):
        triples = list(zip(shift, claim.sizes, grid, strict=True))
        if all(s * m % n == 0 for s, m, n in triples):
            yield tuple(s * m // n % m for s, m, n in triples)
    # a cell that is rare in the output leaves few places
    if not still.size:
        return
    cells = still.reshape(len(still), -1)
    _, first, counts = np.unique(cells, axis=1, return_index=True, return_counts=True)
    here = np.unravel_index(first[np.argmin(counts)], still.shape[1:])
    value = still[(slice(None), *here)].reshape(-1, *[1] * (still.ndim - 1))
    seen = set()
    for there in np.argwhere(np.all(after == value, axis=0)):
        moved = tuple(int((there[a] - here[a]) % still.shape[a + 1]) for a in claim.axes)
        if moved not in seen:
            seen.add(moved)
            yield moved
