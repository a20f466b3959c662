"""Enclosures of outputs: whether two real outputs differ, whatever was rounded on the way.

The program is run in the interval algebra on an image and on the shifted one. Where two enclosures are disjoint in some
cell, the real outputs differ there; for equivariance they must be, for every output shift that may fit.
"""

import contextlib
import hashlib
import itertools
import time
from collections.abc import Sequence

import numpy as np

from shiftproof.algebras.interval import Enclosures, enclose
from shiftproof.algebras.interval.ball import NoEnclosure, embed, nothing
from shiftproof.exactness.calibration import host_processor
from shiftproof.group import Shift
from shiftproof.refuting.trials import Trial
from shiftproof.refuting.witness import numbers
from shiftproof.tracing.primitives import type_of
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import known_values

Ball = tuple[np.ndarray, np.ndarray]
"""Midpoints and radii, of one shape."""

SLACK = 2.0**-48
"""Relative room for the rounding of differences of midpoints and of sums of radii."""

QUICK = 64
"""Cells in which an output shift is tried before all others."""


_MET: set[str] = set()
"""Programs that were run on intervals before: their kernels are compiled."""

MOST_BALLS = 64
"""Images of a trial whose enclosures are kept."""

MOST_EMBEDDED = 2**26
"""Numbers, as weights have them, whose enclosures are kept from image to image."""

MOST_UNKNOWN = 4
"""Images of which nothing is known in any cell of an output, after which no more are tried."""


def enclosures(trial: Trial, images: np.ndarray, leaf: int) -> Ball:
    """The real outputs for images: midpoints and radii, (*output shape, count); infinite radii where nothing is known.

    Args:
        trial: program and weights.
        images: (count, *image shape), unscaled.
        leaf: which output.
    """
    found = []
    for image in images:
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in trial.balls:
            while len(trial.balls) >= MOST_BALLS:
                del trial.balls[next(iter(trial.balls))]
            trial.balls[key] = _enclosed(trial, image)
        found.append(trial.balls[key][leaf])
    mids, rads = zip(*found, strict=True)
    return np.stack(mids, -1), np.stack(rads, -1)


@host_processor()
def _enclosed(trial: Trial, image: np.ndarray) -> list[Ball]:
    """Enclosures of all outputs for one image."""
    program, begin = trial.program, time.perf_counter()
    compiles = program.fingerprint not in _MET
    with settings("float64"), trial.budget.uncounted() if compiles else contextlib.nullcontext():
        given = np.asarray(image[None] * float(trial.scale), np.float64)
        # constants are what the program computes; what is computed of weights is rounded
        weights = dict(zip(program.weights, trial.weights, strict=True))
        own = {**program.constants, **known_values(program, program.constants), **weights}
        if not trial.embedded and sum(np.size(array) for array in own.values()) <= MOST_EMBEDDED:
            trial.embedded.update((n, embed(array)) for n, array in own.items())
        try:
            made = enclose(program, own, given, embedded=trial.embedded or None)
        except NoEnclosure:  # random keys that follow from what is not known
            avals = (
                program.avals[o] if isinstance(o, int) else type_of(o.value)
                for o in program.outputs
            )
            made = Enclosures(tuple(map(nothing, avals)), {}, ("it makes random keys",))
        balls = [(numbers(np.asarray(b.mid)), np.asarray(b.rad)) for b in made.outputs]
    _MET.add(program.fingerprint)
    trial.budget.run += 1
    trial.budget.enclosing += time.perf_counter() - begin
    for leaf, (mid, rad) in enumerate(balls):
        least = np.min(rad, initial=np.inf)
        trial.unknown[leaf] += np.isinf(least)
        blind = np.isinf(least) and (made.reasons or trial.unknown[leaf] == MOST_UNKNOWN)
        if blind or np.max(np.abs(mid), initial=0.0) < least < np.inf:
            trial.loose.add(leaf)
    return balls


def gap_between(
    trial: Trial,
    images: np.ndarray,
    *,
    leaf: int,
    axes: Sequence[int],
    shifts: Sequence[Shift] | None,
) -> float:
    """By how much the real outputs for images at rest and shifted differ at least; 0 where they may be the same.

    Args:
        trial: the weights.
        images: (2 count, *image shape): at rest, then the same ones shifted.
        leaf: which output.
        axes: its grid axes.
        shifts: output shifts that may fit all images, of which each must fail for one; None for all.
    """
    if leaf in trial.loose:
        return 0.0
    still = enclosures(trial, images[: len(images) // 2], leaf)
    if leaf in trial.loose or not np.any(np.isfinite(still[1])):
        return 0.0
    moved = enclosures(trial, images[len(images) // 2 :], leaf)
    if shifts is None and not np.iscomplexobj(still[0]):
        # sorting never brings values closer than the best shift does
        apart = _gap(_sorted(still, axes), _sorted(moved, axes))
        if apart > 0:
            return apart
    sizes = [still[0].shape[axis] for axis in axes]
    every = itertools.product(*map(range, sizes)) if shifts is None else shifts
    order = np.argsort(-np.abs(moved[0]).ravel(), kind="stable")[:QUICK]
    cells = np.array(np.unravel_index(order, moved[0].shape))
    least = np.inf
    for shift in every:
        places = cells.copy()
        for axis, step in zip(axes, shift, strict=True):
            places[axis] = (places[axis] - step) % moved[0].shape[axis]
        apart = _gap(_at(still, places), _at(moved, cells))
        if apart == 0:
            mid, rad = (np.roll(part, shift, tuple(axes)) for part in still)
            apart = _gap((mid, rad), moved)
        least = min(least, apart)
        if least == 0:
            break
    return float(least)


def _at(ball: Ball, cells: np.ndarray) -> Ball:
    return ball[0][tuple(cells)], ball[1][tuple(cells)]


def _sorted(ball: Ball, axes: Sequence[int]) -> Ball:
    """The cells in order along the grid; sorting moves no value by more than the largest radius does."""
    mid, rad = ball
    kept = [axis for axis in range(mid.ndim) if axis not in axes]
    lines = np.transpose(mid, (*kept, *axes)).reshape(*(mid.shape[axis] for axis in kept), -1)
    widest = np.full(lines.shape, np.max(rad, initial=0.0))
    return np.sort(lines), widest


def _gap(first: Ball, second: Ball) -> float:
    """The largest distance of the enclosures of a cell; 0 where all meet. What is no number meets everything."""
    with np.errstate(invalid="ignore", over="ignore"):
        between = np.abs(first[0] - second[0]) * (1 - SLACK) - (first[1] + second[1]) * (1 + SLACK)
    return float(np.max(between, initial=0.0, where=np.isfinite(between)))
