"""Draws: which weights and which images a search for counterexamples tries, in order."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from shiftproof.refuting.probes import (
    generic_probes,
    level_probes,
    small_probes,
    wrapping_probes,
)
from shiftproof.refuting.trials import Draw

OWN: Sequence[tuple[Draw, int, str]] = (
    ("these", 0, "small"),
    ("these", 0, "levels"),
    ("these", 0, "generic"),
    ("these", 0, "bytes"),
    ("these", 0, "shorts"),
)
DRAWN: Sequence[tuple[Draw, int, str]] = (
    ("integers", 0, "small"),
    ("integers", 1, "levels"),
    ("shallow", 0, "small"),
    ("random", 0, "small"),
    ("sparse", 0, "small"),
    ("quiet", 0, "small"),
    ("these", 0, "small"),
    ("sparse", 1, "levels"),
    ("random", 1, "small"),
    ("random", 2, "generic"),
    ("these", 0, "levels"),
    ("these", 0, "generic"),
    ("integers", 2, "bytes"),
    ("integers", 2, "shorts"),
)
"""Whose weights the trials have, in order, what is added to the seed, and which images they try. A claim about all
weights is refuted by one choice of them, so the model's own are tried beside drawn ones: they may be special.
"""

NARROW = {"bytes": 8, "shorts": 16}
"""Images for programs that compute with machine integers of so many bits."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one trial is to be.

    Attributes:
        draw: whose weights.
        seed: of drawn weights.
        drawn: makes its images.
        bits: of the machine integers that the images are made for; None for any program.
    """

    draw: Draw
    seed: int
    drawn: Callable[[], np.ndarray]
    bits: int | None

    @property
    def images(self) -> np.ndarray:
        """(count, *image shape)."""
        return self.drawn()


def plans(
    shape: Sequence[int],
    axes: Sequence[int],
    *,
    drawn: bool,
    seed: int = 0,
    images: np.ndarray | None = None,
) -> list[Plan]:
    """The trials of a search, in order.

    Args:
        shape: of one image.
        axes: its grid axes.
        drawn: whether weights may be drawn beside the model's own.
        seed: of images and weights.
        images: to try first; (count, *shape).

    >>> [(plan.draw, len(plan.images)) for plan in plans((8, 8, 1), (0, 1), drawn=False)][:2]
    [('these', 7), ('these', 2)]
    """

    def small() -> np.ndarray:
        own = small_probes(shape, axes, seed)
        return own if images is None else np.concatenate([images.astype(np.float64), own])

    # made when a trial needs them, once: most searches end with the first
    probes = {
        "small": functools.cache(small),
        "levels": functools.cache(lambda: level_probes(shape, seed)),
        "generic": functools.cache(lambda: generic_probes(shape, seed)),
        "bytes": functools.cache(lambda: wrapping_probes(shape, seed, NARROW["bytes"])),
        "shorts": functools.cache(lambda: wrapping_probes(shape, seed, NARROW["shorts"])),
    }
    return [
        Plan(draw, seed + offset, probes[kind], NARROW.get(kind))
        for draw, offset, kind in (DRAWN if drawn else OWN)
    ]
