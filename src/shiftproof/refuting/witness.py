"""Witnesses: inputs that show that a claim fails under a shift, and how outputs are compared.

For equivariance a shift is refuted only if no output shift fits; a shift keeps the multiset of values, so where that
changed none does, and no search is needed.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from shiftproof.group import Shift
from shiftproof.proving.analysis import Claim
from shiftproof.refuting.trials import Draw, Trial

WEIGHTS: Mapping[Draw, str] = {
    "these": "the model's own weights",
    "integers": "integers as weights",
    "sparse": "sparse integers as weights",
    "quiet": "sparse eighths as weights",
    "shallow": "sparse eighths as weights, 0 in most residual branches",
    "random": "random weights",
}

Evidence = Literal["exact", "enclosed", "numerical"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two outputs differ, at best.

    Attributes:
        deviation: the largest difference, for the output shift that fits best.
        output_shift: that output shift; None where the multisets of values differ, so that none can fit.
        place: index of the largest difference in the output.
    """

    deviation: float
    output_shift: Shift | None
    place: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image with its outputs.

    Attributes:
        image: (*image shape) float64, unscaled.
        still: the output for it.
        moved: the output for the shifted image.
    """

    image: np.ndarray
    still: np.ndarray
    moved: np.ndarray


@dataclasses.dataclass(frozen=True)
class Witness:
    """An image under which a claim fails, or several that no output shift fits together.

    Attributes:
        claim: what fails.
        shift: of the image, pixels.
        image: (*image shape) float64, unscaled.
        trial: the weights and the number format.
        evidence: `exact` (every number is the real one), `enclosed` (the real outputs lie in enclosures that are
            disjoint in some cell), or `numerical` (the deviation stands far above the rounding that was measured).
        difference: of the two outputs.
        floor: rounding floor of the output; 0 for exact evidence.
        outputs: the output for the image, and for the shifted image.
        gap: by how much the real outputs differ at least, for the output shift that fits best; 0 where numerical.
        others: where some output shift fits this image, others that it does not fit.
    """

    claim: Claim
    shift: Shift
    image: np.ndarray
    trial: Trial
    evidence: Evidence
    difference: Difference
    floor: float
    outputs: tuple[np.ndarray, np.ndarray]
    gap: float = 0.0
    others: tuple[Pair, ...] = ()

    def __repr__(self) -> str:
        told = f"{self.claim.property} of {self.claim.output} under {self.shift}"
        return f"Witness({told}: differs by {self.difference.deviation:.4g}, {self.strength})"

    @property
    def is_rigorous(self) -> bool:
        """Whether the real outputs are shown to differ."""
        return self.evidence != "numerical"

    @property
    def strength(self) -> str:
        """Why the difference counts, in words."""
        if self.evidence == "exact":
            return "exactly"
        if self.evidence == "enclosed":
            return f"at least by {self.gap:.3g}, by enclosures"
        return f"numerically: {self.difference.deviation / self.floor:.0e} times what rounding explains"

    @property
    def whose(self) -> str:
        """The weights, in words."""
        return WEIGHTS[self.trial.draw]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All images with their outputs."""
        return (Pair(self.image, *self.outputs), *self.others)

    @property
    def images(self) -> np.ndarray:
        """All images, (count, *image shape)."""
        return np.stack([pair.image for pair in self.pairs])


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A claim under a shift that is neither proved nor refuted; `expected` is the output shift that a law demands."""

    claim: Claim
    shift: Shift
    expected: Shift | None = None

    @property
    def output_shifts(self) -> tuple[Shift, ...] | None:
        """The output shifts that may fit; None for all."""
        if self.claim.property == "invariance":
            return ((0,) * len(self.claim.axes),)
        return None if self.expected is None else (self.expected,)

    @property
    def is_free(self) -> bool:
        """Whether the output may move by any shift, so that one image may leave some that another rules out."""
        return self.claim.property == "equivariance" and self.expected is None


def compare_outputs(
    doubt: Doubt, still: np.ndarray, moved: np.ndarray, *, limit: float = 0.0
) -> Difference:
    """How far the claim is from holding on a pair of outputs: `f(x)` and `f(T x)`.

    Args:
        doubt: the claim and shift.
        still: output for the image at rest.
        moved: output for the shifted image.
        limit: differences up to this one count as none.
    """
    still, moved = numbers(still), numbers(moved)
    axes = doubt.claim.axes
    with np.errstate(invalid="ignore"):
        if doubt.claim.property == "invariance":
            return _difference(still, moved, ())
        if doubt.expected is not None:
            return _difference(np.roll(still, doubt.expected, axes), moved, doubt.expected)
        return _best(still, moved, axes, limit)


def compare_pairs(
    doubt: Doubt, still: np.ndarray, moved: np.ndarray, *, limit: float = 0.0
) -> Difference:
    """The same for the outputs of several images, (count, *output shape), of which all move by one output shift."""
    # behind the axes of the claim, images are compared like channels
    return compare_outputs(doubt, np.moveaxis(still, 0, -1), np.moveaxis(moved, 0, -1), limit=limit)


def numbers(value: np.ndarray) -> np.ndarray:
    """An array as complex or real numbers of double precision."""
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def _difference(first: np.ndarray, second: np.ndarray, shift: Shift | None) -> Difference:
    gap = np.where(first == second, 0.0, np.abs(first - second))  # infinities may be equal
    place = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.size else ()
    return Difference(float(np.max(gap, initial=0.0)), shift, tuple(int(i) for i in place))


def _best(still: np.ndarray, moved: np.ndarray, axes: Sequence[int], limit: float) -> Difference:
    """The smallest difference over all output shifts, stopping at the first within the limit."""
    kept = [axis for axis in range(still.ndim) if axis not in axes]
    lines = [
        np.transpose(a, (*kept, *axes)).reshape(*(a.shape[k] for k in kept), -1)
        for a in (still, moved)
    ]
    if still.dtype.kind != "c":
        # sorting never brings values closer than the best shift does
        multiset = _difference(np.sort(lines[0]), np.sort(lines[1]), None).deviation
        if multiset > limit:
            found = _difference(still, moved, None)
            return dataclasses.replace(found, deviation=multiset)
    best: Difference | None = None
    probe = np.argsort(-np.abs(moved).ravel(), kind="stable")[:64]
    cells = np.array(np.unravel_index(probe, moved.shape))
    for shift in itertools.product(*(range(moved.shape[axis]) for axis in axes)):
        places = cells.copy()
        for axis, step in zip(axes, shift, strict=True):
            places[axis] = (places[axis] - step) % moved.shape[axis]
        quick = _difference(still[tuple(places)], moved[tuple(cells)], None).deviation
        if best is not None and quick >= best.deviation:
            continue
        found = _difference(np.roll(still, shift, tuple(axes)), moved, shift)
        if best is None or found.deviation < best.deviation:
            best = found
        if best.deviation <= limit:
            break
    return best if best is not None else Difference(0.0, (), ())
