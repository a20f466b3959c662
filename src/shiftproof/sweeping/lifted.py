"""Lifted: what was moved by what the kernel proved is computed as well, for a sample, and compared."""

from collections.abc import Sequence

import numpy as np

from shiftproof.errors import ContradictionError
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.engine import Engine
from shiftproof.sweeping.question import Question
from shiftproof.sweeping.result import EQUAL_WITHIN, CosetRecord

LIFTED_SAMPLE = 8
"""Lifted shifts that are computed as well."""


def check_lifted(
    engine: Engine, question: Question, noise: Sequence[float], *, seed: int
) -> CosetRecord:
    """Compute a sample of lifted shifts as well, and compare.

    Raises:
        ContradictionError: they differ; on layers that are not exact, by more than 16 times the measured noise.
    """
    cosets = engine.cosets
    if cosets is None:
        raise ValueError("an engine without cosets lifts nothing")
    grid, allowed = question.canvas.grid, _allowed(question, noise)
    sample = cosets.sample(LIFTED_SAMPLE, seed)
    room = (engine.chunk - 1) // 2
    for begin in range(0, len(sample), room):
        part = sample[begin : begin + room]
        starts = cosets.representatives[part[:, 0]]
        ends = (starts + cosets.elements[part[:, 1]]) % grid
        shifts = np.zeros((engine.chunk, len(grid)), np.int32)
        shifts[1 : 1 + len(part)], shifts[1 + len(part) : 1 + 2 * len(part)] = starts, ends
        slots = np.arange(1, 1 + len(part))
        pairs = np.stack([slots, part[:, 1], slots + len(part)], axis=1)
        gaps = engine.gaps(shifts, pairs)
        for layer, gap, limit in zip(question.layers, gaps, allowed, strict=True):
            # a limit of NaN, where no noise could be measured, judges nothing; a gap of NaN is no agreement
            bad = np.flatnonzero(~(np.abs(gap[:, 0]) <= limit) & ~np.isnan(limit))
            if len(bad):
                number = bad[0]
                raise ContradictionError(
                    _contradiction(
                        question, layer, starts[number], ends[number], gap[number], limit
                    )
                )
    return CosetRecord(
        generators=cosets.generators,
        forwards=len(cosets.representatives),
        checked=len(sample),
        unchecked=tuple(
            layer.name
            for layer, limit in zip(question.layers, allowed, strict=True)
            if np.isnan(limit)
        ),
    )


def _allowed(question: Question, noise: Sequence[float]) -> list[float]:
    """For every layer by how much two ways to compute it may differ."""
    pairs = zip(question.exactness, noise, strict=True)
    return [0.0 if e.exact else EQUAL_WITHIN * floor for e, floor in pairs]


def check_stages(
    engine: Engine, question: Question, noise: Sequence[float], groups: Sequence[np.ndarray]
) -> None:
    """Compute some chunks in one as well, and compare.

    Raises:
        ContradictionError: they differ; on layers that are not exact, by more than 16 times the measured noise.
    """
    if engine.schedule is None:
        return
    allowed = _allowed(question, noise)
    for group in groups:
        gaps = engine.staged_gaps(group)
        for layer, (gap, staged, whole), limit in zip(question.layers, gaps, allowed, strict=True):
            if not (gap <= limit or np.isnan(limit)):
                where = f" ({layer.site})" if str(layer.site) else ""
                raise ContradictionError(
                    f"{question.model.name}: layer {layer.name}{where}, computed in stages by what the kernel proved, "
                    f"holds {staged.item()!r} where the compiled program gives {whole.item()!r}, and rounding explains "
                    f"{limit:.3g}. Either the proof or the program is wrong: please report a bug, with the model. "
                    'method="brute" relies on no proof.'
                )


def _contradiction(
    question: Question,
    layer: Layer,
    start: np.ndarray,
    end: np.ndarray,
    gap: np.ndarray,
    limit: float,
) -> str:
    where = f" ({layer.site})" if str(layer.site) else ""
    difference, lifted, computed = gap.tolist()
    return (
        f"{question.model.name}: layer {layer.name}{where} under shift {tuple(end.tolist())}, lifted from shift "
        f"{tuple(start.tolist())} by what the kernel proved, holds {lifted!r} where the compiled program gives "
        f"{computed!r}: {abs(difference):.3g} apart, and rounding explains {limit:.3g}. Either the proof or the "
        'program is wrong: please report a bug, with the model. method="brute" relies on no proof. (A step in the '
        "model, such as round or sign, can turn rounding into such a difference; integer images decide.)"
    )
