"""Enclosures of outputs: whether two real outputs differ, whatever was rounded on the way.

The program is run in the interval algebra on an image and on the shifted one. Where two enclosures are disjoint in some
cell, the real outputs differ there; for equivariance they must be, for every output shift that may fit.
"""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.interval import enclose
from shiftproof.exactness.calibration import float64_device
from shiftproof.refuting.trials import Trial
from shiftproof.tracing.settings import settings
from shiftproof.translation import Shift

Ball = tuple[np.ndarray, np.ndarray]
"""Midpoints and radii, of one shape."""

SLACK = 2.0**-48
"""Relative room for the rounding of differences of midpoints and of sums of radii."""

QUICK = 64
"""Cells in which an output shift is tried before all others."""


@float64_device()
def enclosures(trial: Trial, images: np.ndarray) -> list[list[Ball]]:
    """For every image the real outputs: midpoints and radii, the latter infinite where nothing is known.

    Args:
        trial: program and weights.
        images: (count, *image shape), unscaled.
    """
    found = []
    with settings("float64"):
        for image in images * float(trial.scale):
            given = jnp.asarray(image[None], np.float64)
            balls = enclose(trial.program, trial.fixed, given).outputs
            found.append([(np.asarray(ball.mid), np.asarray(ball.rad)) for ball in balls])
    return found


def gap_between(
    trial: Trial,
    pair: np.ndarray,
    *,
    leaf: int,
    axes: Sequence[int],
    shifts: Sequence[Shift] | None,
) -> float:
    """By how much the real outputs for two images differ at least; 0 where they may be the same.

    Args:
        trial: the weights.
        pair: (2, *image shape) the image, and the shifted image.
        leaf: which output.
        axes: its grid axes.
        shifts: output shifts that may fit, of which each must fail; None for all.
    """
    still, moved = (balls[leaf] for balls in enclosures(trial, pair))
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
            rolled = tuple(np.roll(part, shift, tuple(axes)) for part in still)
            apart = _gap((rolled[0], rolled[1]), moved)
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
