"""Every error and warning a user can meet: each message names the cause, the place and the remedy."""

from collections.abc import Mapping
from typing import Any

from shiftproof.plain import hanging


def __dir__() -> list[str]:
    return sorted(name for name in globals() if name.endswith(("Error", "Warning")))


def _told(self: BaseException) -> str:
    """Its message may quote names, paths and messages of others, so it is told in plain text."""
    return hanging(BaseException.__str__(self))


class ShiftproofError(Exception):
    """Base of all errors that shiftproof raises on purpose."""

    __str__ = _told


class InputError(ShiftproofError, ValueError):
    """The arguments do not describe a question that can be asked."""


class ModelCallError(ShiftproofError):
    """The model could not be called, or traced, on the images given."""


class WideningError(ModelCallError):
    """The traced program cannot be evaluated in float64: an equation depends on how its floats are stored."""


class NonDeterministicError(ShiftproofError):
    """Two calls of the model on the same images gave different bits."""


class NonFiniteError(ShiftproofError):
    """The model's output holds NaN or infinity."""


class ResumeError(ShiftproofError):
    """The stored sweep answers another question than the one asked."""


class DeviceMemoryError(ShiftproofError):
    """The device ran out of memory, and no smaller chunk of shifts is possible."""


class ResultFileError(ShiftproofError, ValueError):
    """A stored result is truncated, altered, or of an unknown schema."""


class ShiftproofWarning(UserWarning):
    """Base of all warnings of shiftproof."""

    __str__ = _told


class BatchCoupledWarning(ShiftproofWarning):
    """The output for one image depends on the other images of the batch."""


class VacuousWarning(ShiftproofWarning):
    """The output does not depend on the images, so every shift passes and nothing is learnt."""


class InexactWarning(ShiftproofWarning):
    """The exactness bound could not be kept; equality is judged against a measured noise floor."""


class SmallerChunkWarning(ShiftproofWarning):
    """The device ran out of memory; the sweep goes on with fewer shifts at a time."""


class DamagedChunkWarning(ShiftproofWarning):
    """A stored chunk was truncated or altered; it is computed again."""


class UndecidedError(ShiftproofError, AssertionError):
    """An assertion asked for a proof, and there is neither a proof nor a counterexample."""


class ContradictionError(ShiftproofError):
    """A proof and a run of the compiled program contradict each other: a defect of shiftproof, never chosen away.

    Attributes:
        report: everything that is needed to look into it, as plain data.
    """

    def __init__(self, message: str, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.report = dict(report or {})
