"""Identities: claims that the field decides, for all images, all weights and all functions at once.

Every shift is tried by running the traced program in the field, on a random image and on the shifted one. A claim
that fails on few tracks is no identity; one that holds there is tried again on as many tracks as make the error bound
smaller than 2^-100, and only then believed. The claims of the kernel are put to the vote here,
unless some equation is not looked into: an identity never fails, so a denial is a defect of one of the two.
"""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from shiftproof.algebras.arithmetic import FieldError, exact_device
from shiftproof.algebras.digits import uncertain_values
from shiftproof.algebras.field import (
    Known,
    NotHere,
    Operand,
    Value,
    coded,
    draw,
    make_arithmetic,
    make_field,
    orders_of_unity,
)
from shiftproof.group import Boundary, Shift, Torus
from shiftproof.proving.analysis import Claim
from shiftproof.proving.layers import Layer
from shiftproof.tracing.primitives import CONTRACTIONS, plain
from shiftproof.tracing.settings import current_device
from shiftproof.tracing.trace import Literal, Program, hash_array, known_values

SCREEN = 2
"""Tracks on which a claim is tried first."""

LOG2_ERROR = -100.0
"""The error bound that backs a word."""

WORKING_BYTES = 2**28
"""Memory that the values of one call may fill."""

FEW, MANY = 4, 64
"""Shifts per call: where a few are tried, and where all are."""

SAMPLE = 16
"""Cells of an output of which the rarest is looked for."""

SMALL = 2**20
"""Cells of all values together, up to which a run of a few shifts takes less time than its compilation."""

LARGE = 2**12
"""Entries from which on a known array is an argument of the compiled function, not a constant in it."""

SUMS = frozenset("add convert_element_type mul neg reduce_sum square sub".split())
"""Sums and products, on which most that is computed of large weights begins."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A program, what is known of it, and its grid.

    Attributes:
        program: the traced model on one image.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
        seed: of the field.
        boundary: what enters when the image is shifted; the torus where None.
    """

    program: Program
    weights: Sequence[Any]
    opaque: frozenset[int]
    spatial_axes: tuple[int, ...]
    seed: int
    boundary: Boundary | None = None

    @property
    def slides(self) -> Boundary:
        """How images are shifted: on the torus, where nothing else is said."""
        return self.boundary or Torus(self.grid)

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        shape = self.program.avals[self.program.images].shape
        return tuple(shape[axis] for axis in self.spatial_axes)

    @functools.cached_property
    def own_weights(self) -> dict[int, Any]:
        """The weights that are what they are, by number."""
        given = zip(self.program.weights, self.weights, strict=True)
        return {n: weight for n, weight in given if n not in self.opaque}

    @functools.cached_property
    def uncertain(self) -> frozenset[int]:
        """The values computed of weights that are followed in the field, since they may be none of the real numbers."""
        return uncertain_values(self.program, self.own_weights)

    @functools.cached_property
    def known(self) -> dict[int, Any]:
        """All values that are computed beforehand, and are used by some that are not."""
        inputs = {**self.program.constants, **self.own_weights}
        values = known_values(self.program, inputs, self.uncertain)
        return {n: np.asarray(v) if plain(v.dtype) else v for n, v in values.items()}


class Runs:
    """A program in one field, compiled: its values under any shift.

    Args:
        question: the program.
        tracks: of the field.
        wanted: numbers of the values that are returned.
        most: shifts per call, at most.
        cells: by value the axes that are looked at; cell by cell of these, all others become one number.

    Raises:
        FieldError: there is no such field.
    """

    def __init__(
        self,
        question: Question,
        tracks: int,
        wanted: Sequence[int],
        *,
        most: int = FEW,
        cells: Mapping[int, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        self.question, self.wanted, self._most = question, tuple(wanted), most
        self._cells = cells
        program, known = question.program, question.known
        self.arithmetic, self.pool = make_arithmetic(
            orders_of_unity(program), tracks, question.seed
        )
        self.field = make_field(self.arithmetic)
        self.image = self._drawn_image()
        free = sorted(question.opaque)
        self.given = {n: draw(self.arithmetic, f"weight {n}", program.avals[n]) for n in free}
        self.given |= {
            n: self.field.value(Known(array))
            for n, array in known.items()
            if np.size(array) > LARGE and _is_factor(question, n) and np.all(np.isfinite(array))
        }
        with jax.enable_x64(True), exact_device():  # once, and not for every call
            self.given = {
                n: dataclasses.replace(v, parts=tuple(jnp.asarray(part) for part in v.parts))
                for n, v in self.given.items()
            }
        self.made: list[Operand] = []
        with exact_device():
            # every local device of that kind takes its share of the shifts
            self._devices = jax.local_devices(backend=current_device().platform)
        self._spread = NamedSharding(Mesh(np.array(self._devices), ("shifts",)), P("shifts"))
        rows = jax.ShapeDtypeStruct(
            (self.slots, len(question.grid)), np.int32, sharding=self._spread
        )
        with jax.enable_x64(True), exact_device():
            run = jax.jit(jax.vmap(self._one, in_axes=(0, None, None)))
            self._lowered = run.lower(rows, self.image.parts, self._parts)
        self.tally = dataclasses.replace(self.field.tally)
        self.tally.met([v for v in self.made if isinstance(v, Value)] or [self.image])

    def _drawn_image(self) -> Value:
        """Random numbers on the whole canvas, and zeros where there is no content."""
        aval = self.question.program.avals[self.question.program.images]
        shape, axes = list(aval.shape), self.question.spatial_axes
        for axis, size in zip(axes, self.question.slides.canvas, strict=True):
            shape[axis] = size
        image = draw(self.arithmetic, "image", jax.ShapeDtypeStruct(tuple(shape), aval.dtype))
        content = self.question.slides.content()
        if content is None:
            return image
        # the axes of the grid come in any order among those of the image
        order = np.argsort(axes)
        mask = np.expand_dims(
            content.transpose(order), [a for a in range(len(shape)) if a not in axes]
        )
        return dataclasses.replace(image, parts=tuple(part * mask for part in image.parts))

    @property
    def _parts(self) -> dict[int, Any]:
        return {n: value.parts for n, value in self.given.items()}

    @functools.cached_property
    def _run(self) -> Any:
        """The compiled function; for a few small runs it is not worth while to optimise it."""
        program = self.question.program
        cells = sum(math.prod(program.avals[n].shape) for n in program.from_images)
        quick = self._most == FEW and cells * self.slots < SMALL
        options: Any = {"xla_backend_optimization_level": 0} if quick else None
        return self._lowered.compile(options)

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
        share = int(max(1, min(self._most, count, WORKING_BYTES // max(1, held))))
        return share * len(self._devices)

    def _one(self, shift: Any, image: Any, given: Any) -> tuple[list[Any], Any]:
        """The values wanted for the image, shifted, of one shift; and whether some function has no value."""
        self.field.undefined = []
        program = self.question.program
        moved = image
        for position, axis in enumerate(self.question.spatial_axes):
            places = self.question.slides.places(position, shift[position])
            moved = tuple(jnp.take(part, places, axis=axis + 1) for part in moved)
        start: dict[int, Operand] = {n: Known(None) for n in (*program.weights, *program.constants)}
        weighted = program.depending_on(set(program.weights))
        start |= {n: Known(array, n in weighted) for n, array in self.question.known.items()}
        start |= {n: dataclasses.replace(v, parts=given[n]) for n, v in self.given.items()}
        start[program.images] = dataclasses.replace(self.image, parts=moved)
        values = self.field.run(_skipping(self.question), start)
        self.made = [values[n] for n in self.wanted]
        try:
            found = [self.field.value(value) for value in self.made]
        except NotHere as reason:
            raise FieldError(f"{reason}, and gives it as an output") from reason
        found = [self._by_cell(n, value) for n, value in zip(self.wanted, found, strict=True)]
        parts = [tuple(jnp.asarray(part) for part in coded(value)) for value in found]
        return parts, jnp.any(jnp.asarray([False, *self.field.undefined]))

    def _by_cell(self, number: int, value: Value) -> Value:
        """The value with one number for all that is not looked at apart."""
        if number not in self._cells:
            return value
        others = [axis for axis in range(len(value.shape)) if axis not in self._cells[number]]
        return self.field.digest("what a cell shows", value, others, ordered=True)

    def values(
        self, shifts: Sequence[Shift], *, empty: bool = False
    ) -> Iterator[list[tuple[np.ndarray, ...]]]:
        """For each shift the parts of every value wanted, (tracks, *shape).

        Args:
            shifts: of the image.
            empty: whether the image is zero everywhere instead.

        Raises:
            FieldError: at some place there is no value, whatever the image.
        """
        image = tuple(np.zeros_like(p) for p in self.image.parts) if empty else self.image.parts
        for begin in range(0, len(shifts), self.slots):
            block = list(shifts[begin : begin + self.slots])
            rows = np.array(block + block[:1] * (self.slots - len(block)), np.int32)
            with jax.enable_x64(True), exact_device():
                given = jax.device_put(rows.reshape(self.slots, -1), self._spread)
                found, undefined = self._run(given, image, self._parts)
                if np.any(np.asarray(undefined)):
                    raise FieldError("a function is infinite or NaN at 0 at some place, always")
                host = [tuple(np.asarray(part) for part in parts) for parts in found]
            for i in range(len(block)):
                yield [tuple(part[i] for part in parts) for parts in host]


_COMPILED: dict[tuple[Any, ...], Runs] = {}
"""Small runs by what they ask, so that a question asked again is not compiled again."""

MOST_COMPILED = 8


def forget_compiled() -> None:
    """Drop all compiled runs; for benchmarks."""
    _COMPILED.clear()


def _compiled(question: Question, tracks: int, wanted: Sequence[int]) -> Runs:
    program = question.program
    held = 8 * tracks * sum(math.prod(program.avals[n].shape) for n in question.opaque)
    # a fingerprint does not tell the functions apart that a program calls back
    if program.calls_python or held > WORKING_BYTES:
        return Runs(question, tracks, wanted)
    arrays = b"".join(hash_array(question.known[n]) for n in sorted(question.known))
    free = question.opaque, question.uncertain, question.spatial_axes, question.slides
    own = (*free, question.seed, tracks, tuple(wanted))
    key = (program.fingerprint, hashlib.sha256(arrays).digest(), current_device(), *own)
    if key not in _COMPILED:
        while len(_COMPILED) >= MOST_COMPILED:
            del _COMPILED[next(iter(_COMPILED))]
        _COMPILED[key] = Runs(question, tracks, wanted)
    return _COMPILED[key]


def _is_factor(question: Question, number: int) -> bool:
    """Whether a value is used by contractions only, and by sums and products that are followed, for which it need not
    be known.
    """
    users = [eqn for eqn in _skipping(question).equations if number in eqn.inputs]
    followed = [eqn for eqn in users if eqn.name not in CONTRACTIONS]
    return bool(users) and all(
        eqn.name in SUMS and eqn.outputs[0] in question.uncertain for eqn in followed
    )


def _skipping(question: Question) -> Program:
    """The program without what is known already."""
    program = question.program
    live = program.depending_on({*question.opaque, *question.uncertain, program.images})
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
        return error_words(self.log2_error)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "shifts": [{"shift": list(s), "output_shift": list(m)} for s, m in self.shifts],
            "bound": self.error,
            "log2_error": math.ceil(10 * self.log2_error) / 10,
            "primes": list(self.primes),
            "seed": self.seed,
            "program": self.program,
            "exhaustive": self.exhaustive,
        }


def error_words(log2_error: float) -> str:
    """A bound of the probability of an error in words.

    >>> error_words(-108.2)
    'error < 2^-108'
    """
    return f"error < 2^{math.ceil(log2_error)}"


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
            self._runs[tracks] = _compiled(self.question, tracks, self._wanted)
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

    def prepare(self, shifts: Sequence[Shift]) -> None:
        """Run some shifts together, which takes less time than one after the other."""
        if self.refusal:
            return
        try:
            self._find(self.screen(), [(0,) * len(self.question.grid), *shifts])
        except FieldError as reason:
            self.refusal = str(reason)

    def _find(self, runs: Runs, shifts: Sequence[Shift]) -> None:
        tracks = runs.arithmetic.tracks
        missing = [s for s in dict.fromkeys(shifts) if (tracks, s) not in self._values]
        for shift, values in zip(missing, runs.values(missing), strict=True):
            self._values[tracks, shift] = values

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

    def doubts(self, reason: str) -> str:
        """Why the field proves no more than it does, in words.

        Args:
            reason: of the kernel, which often names the same equation.
        """
        if self.refusal:
            return f"the field cannot run the program: {self.refusal}"
        opaque = list(self.screen().field.opaque)
        if not opaque:
            return "in the field the outputs differ, which refutes nothing"
        if any(equation in reason for equation in opaque):
            return "the field does not look inside it either"
        more = f", and {len(opaque) - 1} more" if len(opaque) > 1 else ""
        return f"the field does not look inside {opaque[0]}{more}"

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

    def sweep(
        self, claims: Sequence[Claim], layers: Sequence[Layer] = ()
    ) -> tuple[dict[Claim, np.ndarray], list[np.ndarray]]:
        """Every shift of the grid, one by one.

        Args:
            claims: about outputs.
            layers: values of which it is asked whether they just move, or stay.

        Returns:
            For each claim, and for each layer, the mask of the shifts under which it is an identity.

        Raises:
            FieldError: the field cannot run the program.
        """
        grid, shifts = self.question.grid, list(np.ndindex(*self.question.grid))
        asked = [(claim, self.question.program.outputs[claim.leaf]) for claim in claims]
        asked += [(_movement(layer), layer.value) for layer in layers]
        wanted = sorted({value for _, value in asked if isinstance(value, int)})
        runs = Runs(self.question, self._tracks, wanted, most=MANY)
        masks = [np.zeros(grid, bool) for _ in asked]
        still: list[Parts] = []
        for shift, values in zip(shifts, runs.values(shifts), strict=True):
            still = still or values
            for (claim, value), mask in zip(asked, masks, strict=True):
                if isinstance(value, Literal):
                    mask[shift] = True
                    continue
                place = wanted.index(value)
                moves = _moves(still[place], values[place], claim, shift, grid)
                mask[shift] = next(moves, None) is not None
        by_claim = dict(zip(claims, masks, strict=False))
        return by_claim, masks[len(claims) :]

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
        self._find(runs, [zero, shift])
        tracks = runs.arithmetic.tracks
        return tuple(self._of(claim, self._values[tracks, s]) for s in (zero, shift))


Parts = tuple[np.ndarray, ...]


def _movement(layer: Layer) -> Claim:
    """What is asked of a layer: that it moves with the image, or stays where it has no grid."""
    axes = tuple(axis for axis in layer.grid if axis is not None)
    sizes = tuple(layer.shape[axis] for axis in axes)
    return Claim(layer.name, -1, "equivariance" if axes else "invariance", axes, sizes, "any")


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
    # a cell that is rare in the output leaves few places; some cells are enough to find one
    count = math.prod(still.shape[1:])
    if not count:
        return
    sample = [np.unravel_index(n, still.shape[1:]) for n in range(0, count, -(-count // SAMPLE))]
    columns = [still[(slice(None), *here)].reshape(-1, *[1] * (still.ndim - 1)) for here in sample]
    equal = [int(np.count_nonzero(np.all(still == column, axis=0))) for column in columns]
    here, value = sample[int(np.argmin(equal))], columns[int(np.argmin(equal))]
    seen = set()
    for there in np.argwhere(np.all(after == value, axis=0)):
        moved = tuple(int((there[a] - here[a]) % still.shape[a + 1]) for a in claim.axes)
        if moved not in seen:
            seen.add(moved)
            yield moved
