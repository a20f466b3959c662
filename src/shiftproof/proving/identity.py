"""Identities: claims that the field decides, for all images, all weights and all functions at once.

Every shift is tried by running the traced program in the field, on a random image and on the shifted one. A claim
that fails on few tracks is no identity; one that holds there is tried again on as many tracks as make the error bound
smaller than 2^-100, and only then believed. The claims of the kernel are put to the vote here,
unless some equation is not looked into: an identity never fails, so a denial is a defect of one of the two.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.group import Shift
from shiftproof.proving.analysis import Claim
from shiftproof.proving.layers import Layer
from shiftproof.proving.runs import MANY, SCREEN, Question, Runs, compiled
from shiftproof.tracing.trace import Literal

SAMPLE = 16
"""Cells of an output of which the rarest is looked for."""


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
            self._runs[tracks] = compiled(self.question, tracks, self._wanted)
        return self._runs[tracks]

    @functools.cached_property
    def _tracks(self) -> int:
        """The least number of tracks whose error bound is small enough."""
        comparisons = math.prod(self.question.grid) * self._output_shifts
        return self.screen().least_tracks(math.log2(comparisons))

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
