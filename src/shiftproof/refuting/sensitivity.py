"""Sensitivity: whether a model with its own weights answers to its image at all."""

import numpy as np

from shiftproof.errors import NonFiniteError
from shiftproof.refuting.trials import Trial
from shiftproof.refuting.witness import numbers

DEAD = 1e-3
"""Relative change between quite different images below which a model counts as dead."""


def sensitivity(trial: Trial, name: str, *, seed: int = 0) -> list[float]:
    """For every output the relative change between quite different images; the last one is tried where it is needed.

    Args:
        trial: of the model's own weights.
        name: of the model.
        seed: of the images.

    Raises:
        NonFiniteError: an output is NaN or infinite.
    """
    # positive, as images are, of two ranges, since a maximum of many values hardly varies; and of zeros and ones,
    # since to an automaton nothing else is an image
    shape = trial.program.avals[trial.program.images].shape[1:]
    dense = np.random.default_rng(seed + 7).random((3, *shape))
    dense[1] *= 3
    dense[2] = dense[2] < 0.4
    values = [numbers(leaf) for leaf in trial.outputs(dense[:2])]
    for output, leaf in zip(trial.program.output_names, values, strict=True):
        if not np.all(np.isfinite(leaf)):
            raise NonFiniteError(
                f"{name} gives NaN or infinity in {output}, in {int((~np.isfinite(leaf)).sum())} of {np.size(leaf)} "
                "entries. Check the weights and the scale of the images."
            )
    changes = [_change(leaf) for leaf in values]
    if min(changes, default=1.0) >= DEAD:
        return changes
    third = [numbers(leaf) for leaf in trial.outputs(dense[2:])]
    both = (np.concatenate(leaves) for leaves in zip(values, third, strict=True))
    return [_change(leaf if np.all(np.isfinite(leaf[2])) else leaf[:2]) for leaf in both]


def _change(outputs: np.ndarray) -> float:
    """The largest difference from the first output, relative to the largest value."""
    largest = float(np.max(np.abs(outputs), initial=0.0))
    return float(np.max(np.abs(outputs - outputs[:1]), initial=0.0)) / max(largest, 1e-300)
