"""Changes: one equation of a program, and what takes its place in a counterfactual.

A finder looks for one kind of cause. What it cannot replace soundly it says, instead of leaving it out.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from shiftproof.proving.cells import Label, Labels
from shiftproof.proving.layers import Layer
from shiftproof.tracing.regrow import Step
from shiftproof.tracing.rewrite import Place
from shiftproof.tracing.trace import Equation

Kind = Literal["padding", "positions"]


@dataclasses.dataclass(frozen=True)
class Change:
    """One equation with another meaning.

    Attributes:
        kind: the cause that it removes.
        place: the equation, in any trace of the model.
        eqn: the equation, as traced.
        source: the user's file and line.
        what: what was replaced by what.
        repair: the change of the user's code that does the same.
        step: the other meaning.
        grows: whether its result is longer than what was traced.
    """

    kind: Kind
    place: Place
    eqn: Equation
    source: str
    what: str
    repair: str
    step: Step
    grows: bool = False


@dataclasses.dataclass(frozen=True)
class Skipped:
    """An equation that belongs to a cause and is left as it is, and why."""

    place: Place
    eqn: Equation
    source: str
    reason: str


def source_of(eqn: Equation, around: str = "") -> str:
    """The user's line, that of the loop around it, or what was called where no line is the user's."""
    return str(eqn.site) or eqn.site.module or around or eqn.site.callee or eqn.name


def named_by_layer(found: Any, layers: Sequence[Layer]) -> Any:
    """A change, or a head, whose source is its layer where no line of the user's called it, as in `nnx.Sequential`."""
    site = found.eqn.site
    if str(site) or site.module or len(found.place) > 1:  # a body numbers its own values
        return found
    values = {layer.value: layer for layer in layers if isinstance(layer.value, int)}
    behind = [values[n] for n in sorted(values) if n >= found.eqn.outputs[0]]
    if not behind or behind[0].name == behind[0].output:
        return found
    return dataclasses.replace(found, source=behind[0].name)


def runs_along_grid(label: Label | None) -> bool:
    """Whether an axis runs along one axis of the input's grid."""
    return label is not None and label.jump is not None


def moves(label: Label | None) -> bool:
    """Whether an axis runs along the grid, alone or merged with others, as tokens do."""
    return label is not None


def grid_axes(labels: Labels) -> tuple[int, ...]:
    """The axes of a value that run along the grid."""
    return tuple(axis for axis, label in enumerate(labels) if runs_along_grid(label))


def moving_axes(labels: Labels) -> tuple[int, ...]:
    """The axes of a value that run along the grid, merged ones included."""
    return tuple(axis for axis, label in enumerate(labels) if moves(label))
