"""Notes of a verdict: what a reader should know beside the words."""

import warnings
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from shiftproof.deciding.subject import Subject
from shiftproof.deciding.verdict import OutputVerdict
from shiftproof.errors import VacuousWarning
from shiftproof.proving.layers import find_layers
from shiftproof.refuting.budget import Budget
from shiftproof.refuting.probes import generic_probes
from shiftproof.refuting.ties import tied_choices
from shiftproof.refuting.trials import Trial
from shiftproof.tracing.model import weights_in
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import Program
from shiftproof.tracing.zeros import zeros_notes


def verdict_notes(
    subject: Subject, outputs: Sequence[OutputVerdict], sensitivity: Sequence[float]
) -> list[str]:
    """What a reader should know; the most serious is a warning too."""
    notes: list[str] = []
    dead = [o.name for o in outputs if o.vacuous]
    if dead:
        seen = max(s for s, o in zip(sensitivity, outputs, strict=True) if o.vacuous)
        notes.append(
            f"{subject.model.name}: {', '.join(dead)} hardly answers to the image with the model's own weights "
            f"(relative change {seen:.1g} between quite different images): with them every shift passes and nothing is "
            "learnt. Zero-initialised heads and dead activations do this: train the model."
        )
        warnings.warn(notes[-1], VacuousWarning, stacklevel=4)
    empty = [f"{v.claim.property} of {o.name}" for o in outputs for v in o.properties if v.vacuous]
    if empty:
        notes.append(
            f"{', '.join(empty)} is proved of a broken program as well: the proof holds whatever the program does with "
            "the image, as for a constant output, and says nothing about it."
        )
    coarse = _coarse_formats(subject.traced)
    if coarse:
        notes.append(
            f"the compiled program computes in {' and '.join(coarse)} on the way, which rounds. The verdict is about "
            "the real numbers that it stands for."
        )
    tests = _tests_for_numbers(subject.traced)
    if tests:
        notes.append(
            f"{tests[0]} asks whether something is a number. Proofs are about numbers: where a quotient or a logarithm "
            "has no value, they take it for one."
        )
    fixed = zip(subject.traced.weights, weights_in(subject.model, subject.traced), strict=True)
    notes += zeros_notes(subject.traced, [w for n, w in fixed if n not in subject.opaque])
    small = [axis for axis, n in enumerate(subject.grid) if n == 1]
    if small:
        notes.append(
            f"the grid has size 1 along axis {small[0]}, where there is nothing to shift: that is trivial, no finding."
        )
    return notes


def budget_notes(budget: Budget, outputs: Sequence[OutputVerdict]) -> list[str]:
    """That a search stopped before everything was decided."""
    left = [
        f"{v.undecided} shifts for {v.claim.property} of {o.name}"
        for o in outputs
        for v in o.properties
        if v.undecided
    ]
    if not (budget.stopped and left):
        return []
    return [f"{budget.stopped}; undecided are {', '.join(left)}."]


def _coarse_formats(program: Program) -> list[str]:
    """The floats coarser than float32 in which a program computes on the way from the image."""
    dtypes = (
        dtype
        for eqn in program.equations
        if eqn.outputs[0] in program.from_images
        for dtype in program.formats(eqn)
    )
    coarse = float(jnp.finfo(np.float32).eps)
    floats = (d for d in dtypes if jnp.issubdtype(d, np.floating) and jnp.finfo(d).eps > coarse)
    return list(dict.fromkeys(jnp.dtype(d).name for d in floats))


def _tests_for_numbers(program: Program) -> list[str]:
    """Where a program asks of what depends on the image whether it is finite, or equal to itself, as NaN is not."""
    found = []
    for eqn in program.equations:
        itself = eqn.name in ("eq", "ne") and eqn.inputs[0] == eqn.inputs[1]
        if eqn.outputs[0] in program.from_images and (itself or eqn.name == "is_finite"):
            found.append(f"{eqn.name} at {eqn.site}" if str(eqn.site) else eqn.name)
    return found


def tie_notes(subject: Subject, trial: Trial) -> list[str]:
    """Choices that no shift moves, each with its layer."""
    tied = tied_choices(trial, generic_probes(subject.shape, subject.seed))
    if not tied:
        return []
    with settings(trial.dtype):
        layers = find_layers(trial.program, subject.axes)
    values = sorted((x.value, x.name) for x in layers if isinstance(x.value, int))
    notes = []
    for eqn in tied:
        layer = next((name for value, name in values if value >= eqn.outputs[0]), layers[-1].name)
        place = f"{layer} ({eqn.site})" if str(eqn.site) else layer
        notes.append(
            f"{place} chooses the largest of several values, and the largest ties in every image tried: the first of "
            "them wins whatever the shift, as in polyphase sampling by order='max' behind a max pool, which is then a "
            "plain stride. Choose by another norm, such as l2, or break ties canonically "
            "(shiftproof.layers.AdaptivePolyphaseSampling(ties='canonical'))."
        )
    return notes
