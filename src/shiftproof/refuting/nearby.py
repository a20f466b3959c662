"""Nearby: from a counterexample for a multiple of a shift to one for the shift itself."""

from collections.abc import Sequence

import numpy as np

from shiftproof.group import Shift
from shiftproof.refuting.judging import judge
from shiftproof.refuting.witness import Doubt, Witness


def witness_nearby(
    witness: Witness, shift: Shift, multiple: int, axes: Sequence[int], *, seed: int = 0
) -> Witness | None:
    """A witness for a shift of which a multiple is refuted, from the images on the way there.

    Where `f(T x)` and `f(x)` agree for an image and all that `T` makes of it, they agree for its multiples.

    Args:
        witness: of the multiple.
        shift: in question.
        multiple: how often it is taken.
        axes: grid axes of one image.
        seed: of disturbances, where the trial rounds.
    """
    claim, trial = witness.claim, witness.trial
    doubt = Doubt(claim, shift, claim.expected(shift))
    places = tuple(axis + 1 for axis in axes)
    way = [np.roll(witness.images, [step * s for s in shift], places) for step in range(multiple)]
    # several images that no output shift fits for the multiple are several on each step of the way
    for images in way if not witness.others else [np.concatenate(way)]:
        found, _ = judge(trial, doubt, images, axes=axes, seed=seed)
        if found is not None:
            return found
    return None
