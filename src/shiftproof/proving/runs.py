"""Runs: a program in the field, and its values under any shift.

A question is a program, what is known of it, and what enters when its image is shifted. It is run on one random image
and the shifted ones. Values can be looked at whole, or cell by cell.

To compile a program takes longer than to run it a few times. So its equations are computed at once, one after the
other, until as much time was lost by that as compiling takes; then it is compiled. The numbers are the same.
"""

import dataclasses
import functools
import hashlib
import math
import operator
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
    Field,
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
from shiftproof.beside import go_on
from shiftproof.exactness.calibration import host_processor
from shiftproof.group import Boundary, Shift, Torus
from shiftproof.tracing.primitives import CONTRACTIONS, TABLE, Kind, plain
from shiftproof.tracing.settings import SMALL, compiler_options, current_device
from shiftproof.tracing.trace import Program, hash_array, known_values

WORKING_BYTES = 2**28
"""Memory that the values of one call may fill."""

FEW, MANY = 2, 8
"""Shifts per call: where a few are tried, and where all are. More at once is slower on a processor's caches."""

SCREEN, USUAL = 2, 11
"""Tracks on which a claim is tried first; and so many as most programs need."""

LOG2_ERROR = -100.0
"""The error bound that backs a word."""

LARGE = 2**12
"""Entries from which on a known array is an argument of the compiled function, not a constant in it."""

AT_ONCE, COMPILING, COMPILING_EACH = 2**15, 2**27, 2**21
"""What is lost with every equation that is computed at once; what compiling a program costs, and each of its equations.
The unit is what is lost with every number, some 10 ns."""

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
    """A program in one field: its values under any shift.

    Args:
        question: the program.
        tracks: of the field.
        wanted: numbers of the values that are returned.
        most: shifts per call, at most.
        cells: by value the axes that are looked at; cell by cell of these, all others become one number.
        at_once: whether a few runs may be computed at once; where not, all are compiled.

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
        at_once: bool = True,
    ) -> None:
        self.question, self.wanted, self._most = question, tuple(wanted), most
        self._cells = cells
        program, known = question.program, question.known
        self.arithmetic, self.pool = make_arithmetic(
            orders_of_unity(program), tracks, question.seed
        )
        self.field = make_field(self.arithmetic, at_once=at_once and _is_flat(program))
        self.field.keep(program, known)
        self.image = self._drawn_image()
        free = sorted(question.opaque)
        self.given = {n: draw(self.arithmetic, f"weight {n}", program.avals[n]) for n in free}
        self.given |= {
            n: self.field.embed(Known(array))
            for n, array in known.items()
            if np.size(array) > LARGE and _is_factor(question, n) and np.all(np.isfinite(array))
        }
        numbers = sum(math.prod(program.avals[n].shape) for n in program.from_images)
        self._loss = tracks * numbers + AT_ONCE * len(program.equations)
        self._budget = COMPILING + COMPILING_EACH * len(program.equations)
        self._at_rest: Any = None
        if self._is_cheap(1):
            zero = (0,) * len(question.grid)
            self._at_rest = self._run_at_once(self.field, zero, self.image.parts)
        else:
            _ = self._traced
        self.tally = dataclasses.replace(self.field.tally)

    def _is_cheap(self, count: int) -> bool:
        """Whether with so many more runs at once less is lost than compiling the program costs."""
        return self.field.at_once and count * self._loss <= self._budget

    def _run_at_once(self, field: Field, shift: Shift, image: tuple[np.ndarray, ...]) -> Any:
        """What a compiled run gives, of one shift; in a field of its own, since several threads may ask."""
        self._budget -= self._loss
        with jax.enable_x64(True), host_processor():
            return self._one(field, shift, image, self._parts)

    @functools.cached_property
    def _placed(self) -> dict[int, Any]:
        """What is given to every call of the compiled function, on the device."""
        with jax.enable_x64(True), exact_device():
            return {n: tuple(map(jax.device_put, parts)) for n, parts in self._parts.items()}

    @functools.cached_property
    def _spread(self) -> NamedSharding:
        """Every device takes its share of the shifts."""
        return NamedSharding(Mesh(np.array(self._devices), ("shifts",)), P("shifts"))

    @functools.cached_property
    def _traced(self) -> Any:
        """The function that is compiled."""
        field = make_field(self.arithmetic) if self.field.at_once else self.field
        one = functools.partial(self._one, field)
        rows = jax.ShapeDtypeStruct(
            (self.slots, len(self.question.grid)), np.int32, sharding=self._spread
        )
        with jax.enable_x64(True), exact_device():  # once, and not for every call
            run = jax.jit(jax.vmap(one, in_axes=(0, None, None)))
            return run.trace(rows, self.image.parts, self._placed)

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

    @functools.cached_property
    def _devices(self) -> list[jax.Device]:
        """Every local device of one kind takes its share of the shifts."""
        with exact_device():
            return jax.local_devices(backend=current_device().platform)

    @property
    def _parts(self) -> dict[int, Any]:
        return {n: value.parts for n, value in self.given.items()}

    @functools.cached_property
    def _run(self) -> Any:
        """The compiled function."""
        program = self.question.program
        cells = sum(math.prod(program.avals[n].shape) for n in program.from_images)
        computed = max(SMALL, cells * self.slots * self.arithmetic.tracks)
        with jax.enable_x64(True), exact_device():
            lowered = self._traced.lower()
        return lowered.compile(compiler_options(self._devices[0].platform, computed))

    @property
    def log2_error(self) -> float:
        """The base-2 logarithm of the probability that two outputs agree here and are different."""
        return self.tally.log2_error(self.pool, self.arithmetic.primes)

    def least_tracks(self, log2_comparisons: float) -> int:
        """The least number of tracks whose error bound is small enough for so many comparisons.

        Raises:
            FieldError: there is none, or there are not enough primes.
        """
        for tracks in range(4, 64):
            arithmetic, pool = make_arithmetic(
                orders_of_unity(self.question.program), tracks, self.question.seed
            )
            if self.tally.log2_error(pool, arithmetic.primes) + log2_comparisons < LOG2_ERROR:
                return tracks
        raise FieldError("no number of tracks makes the error bound small enough")

    @functools.cached_property
    def slots(self) -> int:
        """Shifts per call."""
        program = self.question.program
        cells = max(math.prod(program.avals[n].shape) for n in program.from_images)
        held = 64 * self.arithmetic.tracks * cells
        count = math.prod(self.question.grid)
        share = int(max(1, min(self._most, count, WORKING_BYTES // max(1, held))))
        return share * len(self._devices)

    def _one(self, field: Field, shift: Any, image: Any, given: Any) -> tuple[list[Any], Any]:
        """The values wanted for the image, shifted, of one shift; and whether some function has no value."""
        program = self.question.program
        moved = image
        for position, axis in enumerate(self.question.spatial_axes):
            places = self.question.slides.places(position, shift[position])
            take = jnp.take if hasattr(places, "aval") else np.take
            moved = tuple(take(part, places, axis=axis + 1) for part in moved)
        start: dict[int, Operand] = {n: Known(None) for n in (*program.weights, *program.constants)}
        weighted = program.depending_on(set(program.weights))
        start |= {n: Known(array, n in weighted) for n, array in self.question.known.items()}
        start |= {n: dataclasses.replace(v, parts=given[n]) for n, v in self.given.items()}
        start[program.images] = dataclasses.replace(self.image, parts=moved)
        values = field.run(_skipping(self.question), start)
        made = [values[n] for n in self.wanted]
        field.tally.met([v for v in made if isinstance(v, Value)] or [self.image])
        try:
            found = [field.value(value) for value in made]
        except NotHere as reason:
            raise FieldError(f"{reason}, and gives it as an output") from reason
        found = [self._by_cell(field, n, v) for n, v in zip(self.wanted, found, strict=True)]
        undefined = functools.reduce(operator.or_, field.undefined, np.False_)
        return [tuple(coded(value)) for value in found], undefined

    def _by_cell(self, field: Field, number: int, value: Value) -> Value:
        """The value with one number for all that is not looked at apart."""
        if number not in self._cells:
            return value
        others = [axis for axis in range(len(value.shape)) if axis not in self._cells[number]]
        return field.digest("what a cell shows", value, others, ordered=True)

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
        cheap = self._is_cheap(len(shifts))
        for found, undefined in (self._few if cheap else self._many)(shifts, image):
            if undefined:
                raise FieldError("a function is infinite or NaN at 0 at some place, always")
            yield found

    def _few(self, shifts: Sequence[Shift], image: tuple[np.ndarray, ...]) -> Iterator[Any]:
        """The values under each shift, computed at once, and whether some function has none."""
        for shift in shifts:
            go_on()
            found = self._at_rest if image is self.image.parts and not any(shift) else None
            yield found or self._run_at_once(self.field.again(), shift, image)

    def _many(self, shifts: Sequence[Shift], image: tuple[np.ndarray, ...]) -> Iterator[Any]:
        """The same by what is compiled."""
        for begin in range(0, len(shifts), self.slots):
            go_on()
            block = list(shifts[begin : begin + self.slots])
            rows = np.array(block + block[:1] * (self.slots - len(block)), np.int32)
            with jax.enable_x64(True), exact_device():
                given = jax.device_put(rows.reshape(self.slots, -1), self._spread)
                found, undefined = self._run(given, image, self._placed)
                host = [tuple(np.asarray(part) for part in parts) for parts in found]
            for i in range(len(block)):
                yield [tuple(part[i] for part in parts) for parts in host], np.any(undefined)


_COMPILED: dict[tuple[Any, ...], Runs] = {}
"""Small runs by what they ask, so that a question asked again is not compiled again."""

MOST_COMPILED = 8


def forget_compiled() -> None:
    """Drop all compiled runs; for benchmarks."""
    _COMPILED.clear()


def compiled(question: Question, tracks: int, wanted: Sequence[int]) -> Runs:
    """The runs of a question, kept from when it was last asked where they are small."""
    program = question.program
    drawn = (program.images, *question.opaque)
    held = 8 * tracks * sum(math.prod(program.avals[n].shape) for n in drawn)
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


def _is_flat(program: Program) -> bool:
    """Whether there are no loops and branches: the rounds of those are not counted before they are run."""
    entries = (TABLE.get(eqn.name) for eqn in program.equations)
    return not any(entry and entry.kind is Kind.LOOP for entry in entries)


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
