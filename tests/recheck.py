"""Counterexamples judged once more, in true numbers: do the two sides of the claim differ, whatever floats say?

`recheck` takes a counterexample with its own weights and evaluates the traced program on each image and its shifted
twin in `exactly`. It holds that

- some cell differs, at least by the gap that is stated, for each output shift that may fit, and in the cell named;
- evidence called exact is: the compiled outputs are the true ones;
- evidence called enclosed is: the true outputs lie in the enclosures.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import exact_numbers as numbers
import exactly
import numpy as np
from exact_numbers import INF, Complex, Number, Span, Unknown
from exactly import Cells, each

from shiftproof.refuting.enclosing import enclosures
from shiftproof.refuting.witness import Doubt, Pair, Witness
from shiftproof.tracing.settings import settings


@dataclasses.dataclass(frozen=True)
class Recheck:
    """What was found.

    Attributes:
        evidence: `exact`, `enclosed` or `numerical`.
        faults: what true numbers deny.
        unsaid: primitives where true numbers were lost, if that left something open.
    """

    evidence: str
    faults: tuple[str, ...]
    unsaid: frozenset[str]


def recheck(witness: Witness, spatial_axes: Sequence[int]) -> Recheck:
    """Judge a counterexample.

    Args:
        witness: the counterexample.
        spatial_axes: grid axes of one image.
    """
    trial, leaf = witness.trial, witness.claim.leaf
    program = trial.program
    with settings(trial.dtype):
        start = exactly.given(program, trial.weights)

    def true(image: np.ndarray) -> Cells:
        given = {program.images: exactly.exact(image[None] * float(trial.scale))}
        return exactly.evaluate(program, start | given, [program.outputs[leaf]])[0]

    images = [pair.image for pair in witness.pairs]
    still = [true(image) for image in images]
    moved = [true(np.roll(image, witness.shift, tuple(spatial_axes))) for image in images]
    answers = [*_differs(witness, still, moved), *_place(witness, still[0], moved[0])]
    for pair, *both in zip(witness.pairs, still, moved, strict=True):
        if witness.evidence == "exact":
            answers += _compiled(pair, *both)
        elif witness.evidence == "enclosed":
            answers += _enclosed(witness, pair, spatial_axes, *both)
    faults = tuple(answer for answer in answers if isinstance(answer, str))
    unsaid = frozenset(answer.why for answer in answers if isinstance(answer, Unknown))
    return Recheck(witness.evidence, faults, unsaid)


Answers = Iterator[str | Unknown]
"""Faults, and what cannot be said."""


def distance(a: Number, b: Number) -> Number:
    """How far two cells are apart."""
    if found := numbers.doubt(a, b):
        return found
    if float in (type(a), type(b)):
        return 0 if type(a) is not Span and a == b else INF
    if type(a) is bool:
        a, b = int(a), int(b)
    return numbers.absolute(numbers.sub(a, b))


def _differs(witness: Witness, still: Sequence[Cells], moved: Sequence[Cells]) -> Answers:
    """Every output shift that may fit is ruled out by some cell of some image."""
    claim = witness.claim
    sizes = [still[0].shape[axis] for axis in claim.axes]
    allowed = Doubt(claim, witness.shift, claim.expected(witness.shift)).output_shifts
    least = numbers.exact(witness.gap)
    for shift in itertools.product(*map(range, sizes)) if allowed is None else allowed:
        rolled = [_rolled(cells, shift, claim.axes) for cells in still]
        apart = [each(distance, *pair) for pair in zip(rolled, moved, strict=True)]
        cells = [cell for array in apart for cell in array.flat]
        if any(type(c) is not Unknown and numbers.compare(c, 0) == 1 for c in cells):
            if not any(type(c) is not Unknown and _reaches(c, least) for c in cells):
                yield from _told(cells, f"the outputs differ by less than {witness.gap}")
        else:
            yield from _told(cells, f"the outputs do not differ for the output shift {shift}")


def _rolled(cells: Cells, shift: Sequence[int] | None, axes: Sequence[int]) -> Cells:
    return np.roll(cells, shift, axes) if shift else cells


def _reaches(size: Number, least: Number) -> bool:
    """Whether a size is at least so much; a root is not asked for its last digit."""
    return numbers.compare(size, numbers.mul(least, 1 - numbers.Fraction(1, 2**100))) in (0, 1)


def _told(cells: Iterable[Number], fault: str) -> Answers:
    """The fault, unless a cell is unknown."""
    unknown = [c for c in cells if type(c) is Unknown]
    open_ones = [c for c in cells if type(c) is Span and numbers.compare(c, 0) is None]
    if unknown:
        yield unknown[0]
    elif open_ones:
        yield Unknown("a difference below 2^-150")
    else:
        yield fault


def _place(witness: Witness, still: Cells, moved: Cells) -> Answers:
    """The cell that is named differs."""
    found = witness.difference
    rolled = _rolled(still, found.output_shift, witness.claim.axes)
    cell = distance(rolled[found.place], moved[found.place])
    if type(cell) is Unknown or numbers.compare(cell, 0) != 1:
        yield from _told([cell], f"the outputs do not differ in the cell {found.place}")


def _compiled(pair: Pair, still: Cells, moved: Cells) -> Answers:
    """The compiled outputs are the true ones, to the last digit."""
    for given, true in ((pair.still, still), (pair.moved, moved)):
        for one, other in zip(exactly.exact(given).flat, true.flat, strict=True):
            if type(other) is Unknown:
                yield other
            elif type(other) in (Span, Complex) or one != other:
                yield f"the compiled output {one} is called exact, and is {other}"


def _enclosed(
    witness: Witness, pair: Pair, spatial_axes: Sequence[int], still: Cells, moved: Cells
) -> Answers:
    """The true outputs lie in the enclosures."""
    both = np.stack([pair.image, np.roll(pair.image, witness.shift, tuple(spatial_axes))])
    mids, rads = enclosures(witness.trial, both, witness.claim.leaf)
    for i, true in enumerate((still, moved)):
        for cell, mid, rad in zip(true.flat, mids[..., i].flat, rads[..., i].flat, strict=True):
            if np.isinf(rad):
                continue
            size = distance(cell, numbers.exact(mid))
            if type(size) is Unknown:
                yield size
            elif numbers.compare(size, numbers.exact(rad)) not in (-1, 0):
                yield f"the true output {cell} is not {mid} +- {rad}"


@dataclasses.dataclass
class Tally:
    """What was judged.

    Attributes:
        judged: counterexamples, by evidence.
        unsaid: those of which something was left open, by evidence.
        why: the primitives where that began.
        faults: what true numbers deny.
    """

    judged: Counter[str] = dataclasses.field(default_factory=Counter)
    unsaid: Counter[str] = dataclasses.field(default_factory=Counter)
    why: Counter[str] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def rigorous(self) -> int:
        """Counterexamples that were called exact or enclosed."""
        return self.judged["exact"] + self.judged["enclosed"]

    def add(self, name: str, verdict: Any) -> None:
        """Judge all counterexamples of a verdict."""
        for witness in verdict.witnesses:
            found = recheck(witness, verdict.spatial_axes)
            self.judged[found.evidence] += 1
            self.unsaid[found.evidence] += bool(found.unsaid)
            self.why.update(found.unsaid)
            about = f"{name}, {witness.claim.property} under {witness.shift}, {found.evidence}"
            self.faults += [f"{about}: {fault}" for fault in found.faults]


def assert_true(name: str, verdict: Any) -> None:
    """No counterexample of a verdict is denied."""
    tally = Tally()
    tally.add(name, verdict)
    assert not tally.faults, "\n".join(tally.faults)
