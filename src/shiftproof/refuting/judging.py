"""Judging: whether images refute a claim, and how surely.

Exact numbers come first, on which `!=` is a counterexample. Then enclosures of the real outputs: where they are
disjoint, the real outputs differ. Where they say nothing, a difference counts only if it stands orders of magnitude
above what rounding does, which is measured by disturbing every value on the way in its last place.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from shiftproof.refuting.enclosing import gap_between
from shiftproof.refuting.trials import Trial
from shiftproof.refuting.witness import Doubt, Evidence, Pair, Witness, compare_pairs, numbers

SEPARATION = 1024.0
"""How far above rounding a deviation must stand to refute."""

DISTURBANCES = 4
"""How often last places are disturbed, at random, to see what rounding can do; the last time, what is almost equal is
taken for equal where it is compared."""


def judge(
    trial: Trial,
    doubt: Doubt,
    images: np.ndarray,
    *,
    axes: Sequence[int],
    rigorous: bool = False,
    least: float = 0.0,
    seed: int = 0,
) -> tuple[Witness | None, tuple[Pair, ...]]:
    """The witness that images are together, None where the claim may hold; and all images with their outputs.

    Args:
        trial: to run.
        doubt: the claim and shift.
        images: (count, *image shape); the claim fails where no output shift fits them all.
        axes: grid axes of one image.
        rigorous: whether nothing that is merely seen numerically counts.
        least: rounding that is known already.
        seed: of disturbances.
    """
    leaf = doubt.claim.leaf
    both = np.concatenate([images, np.roll(images, doubt.shift, tuple(a + 1 for a in axes))])
    outputs = trial.outputs(both)
    still, moved = np.split(outputs[leaf], 2)
    pairs = tuple(Pair(*row) for row in zip(images, still, moved, strict=True))
    exactness = trial.exactness[leaf]
    if trial.draw == "integers" and not exactness.exact:
        return None, pairs
    if any(exactness.contradicted_by(value) for value in (still, moved)):
        return None, pairs
    evidence: Evidence = "exact"
    floor = limit = gap = 0.0
    if not exactness.exact:
        limit = SEPARATION * trial.eps * _largest(outputs[leaf])
    found = compare_pairs(doubt, still, moved, limit=limit)
    if not found.deviation > limit:
        return None, pairs
    if exactness.exact:
        gap = found.deviation
    else:
        evidence = "enclosed"
        gap = gap_between(trial, both, leaf=leaf, axes=doubt.claim.axes, shifts=doubt.output_shifts)
    if gap == 0 and rigorous:
        return None, pairs
    if gap == 0:
        evidence = "numerical"
        floor = max(least, rounding_floors(trial, both, seed=seed)[leaf])
        found = compare_pairs(doubt, still, moved, limit=SEPARATION * floor)
        if not found.deviation > SEPARATION * floor:
            return None, pairs
    *place, worst = found.place
    first, others = pairs[worst], (*pairs[:worst], *pairs[worst + 1 :])
    witness = Witness(
        doubt.claim,
        doubt.shift,
        first.image,
        trial,
        evidence,
        dataclasses.replace(found, place=tuple(place)),
        floor,
        (first.still, first.moved),
        gap,
        others,
    )
    return witness, pairs


def _largest(outputs: np.ndarray) -> float:
    sizes = np.abs(numbers(outputs))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))


def rounding_floors(trial: Trial, images: np.ndarray, *, seed: int = 0) -> list[float]:
    """The largest of `image_floors`, for every output."""
    return [float(floors.max()) for floors in image_floors(trial, images, seed=seed)]


def image_floors(trial: Trial, images: np.ndarray, *, seed: int = 0) -> list[np.ndarray]:
    """For every output and image the answer to disturbances of all last places; 0 where it is exact, and infinite where
    a value on the way leaves the range of its format, so that nothing is judged.

    The image is disturbed, and every value on the way: behind a sign or a round the image alone would change nothing,
    and where large numbers cancel it would change too little.

    Args:
        trial: whose outputs.
        images: (count, *image shape).
        seed: of the disturbance.
    """
    still = trial.outputs(images)
    floors = [np.zeros(len(images)) for _ in still]
    if trial.exact:
        return floors
    generator = np.random.default_rng(seed)
    for number in range(1, DISTURBANCES + 1):
        noise = generator.integers(-2, 3, images.shape)
        disturbed, left = trial.disturbed(images * (1 + noise * trial.eps), number)
        for leaf, exactness in enumerate(trial.exactness):
            if not exactness.exact:
                pairs = zip(still[leaf], disturbed[leaf], strict=True)
                seen = [_floor(a, b, trial.eps) for a, b in pairs]
                floors[leaf] = np.maximum(floors[leaf], np.where(left, np.inf, seen))
    return floors


def _floor(first: np.ndarray, second: np.ndarray, eps: float) -> float:
    """Of the finite entries; a probe outside the model's domain says nothing."""
    first, second = numbers(first), numbers(second)
    finite = np.isfinite(first) & np.isfinite(second)
    first, second = first[finite], second[finite]
    largest = float(np.max(np.abs(first), initial=0.0))
    return max(float(np.max(np.abs(first - second), initial=0.0)), eps * largest)
