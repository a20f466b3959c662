"""Doors: one for each framework, and one way in. A model goes through the first door that takes it."""

from typing import Any

from shiftproof.tracing.doors.door import Door
from shiftproof.tracing.doors.equinox import Equinox
from shiftproof.tracing.doors.flax import Linen, Nnx
from shiftproof.tracing.doors.functions import Callables, Function
from shiftproof.tracing.doors.haiku import Haiku
from shiftproof.tracing.doors.keras import Keras
from shiftproof.tracing.doors.torch import Torch

FRAMEWORKS: tuple[Door, ...] = (Nnx(), Linen(), Equinox(), Haiku(), Keras(), Torch())
"""Those of frameworks, whose models are told by their types."""

DOORS: tuple[Door, ...] = (*FRAMEWORKS, Function(), Callables())
"""All, in the order in which they are tried: what none of a framework takes is a function, or nothing."""


def door_of(model: Any) -> Door | None:
    """The door that takes a model; None for what is no model."""
    return next((door for door in DOORS if door.takes(model)), None)


def door_for(kind: type) -> Door | None:
    """The door of the framework whose models a class makes; None for other classes."""
    return next((door for door in FRAMEWORKS if door.makes(kind)), None)


def framework_of(model: Any) -> Door | None:
    """The door of the framework that a model is of; None for functions and for what is no model."""
    return next((door for door in FRAMEWORKS if door.takes(model)), None)
