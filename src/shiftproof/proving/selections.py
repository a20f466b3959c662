"""Selections: the polyphase layers of a traced program, each as one equation that the kernel has an operation for.

A layer is a `composite` of JAX (`shiftproof.layers.polyphase`). Its name alone is believed of nobody: it is one of ours
if the program that defines it is, word for word, the one that our layer has for these settings, shapes and types.

With ties broken canonically such a layer is a member of the class `Select` of the kernel: which component wins, up to a
roll, depends on the set of the components up to rolls, and on the weights of the score
(`proofs/coq/Polyphase.v`, `greatest_words_keep_every_shift`). The first of those that tie is no such choice; where none
tie, it is.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import jax.numpy as jnp

from shiftproof.layers.polyphase import COMPOSITE, Order, Ties, reference
from shiftproof.tracing.trace import Composite, Equation, Program


@dataclasses.dataclass(frozen=True)
class Primitive:
    """In place of a primitive of JAX. No equation of JAX holds this object, whatever it is called."""

    name: str = "polyphase sampling"


SELECTION: Any = Primitive()
SETTINGS = ("strides", "order", "ties")
FLOATS = frozenset(map(jnp.dtype, (jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64)))
"""Types of the arrays that compete; of narrower floats some have no infinity, and others no zero."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """A polyphase layer on one image.

    Attributes:
        equation: the call.
        within: the values that its parts define.
        strides: along the axes 1, 2, ... of its arrays.
        ties: `first` or `canonical`.
    """

    equation: Equation
    within: range
    strides: tuple[int, ...]
    ties: str

    @property
    def source(self) -> str:
        """The user's file and line."""
        return str(self.equation.site)


def find_selections(program: Program) -> list[Selection]:
    """The polyphase layers of a program; a namesake that computes something else is none."""
    return [found for each in program.composites if (found := _selection(each)) is not None]


def _selection(composite: Composite) -> Selection | None:
    equation, operands = composite.equation, composite.operands
    if equation.params["name"] != COMPOSITE or not all(type(i) is int for i in equation.inputs):
        return None
    said, count = composite.settings, len(equation.outputs)
    if not _are_settings(said):
        return None
    strides, order, ties = (said[key] for key in SETTINGS)
    arrays, weights = operands[:count], operands[count:]
    types = {array.dtype for array in arrays}
    # a batch of several images is cut at several phases, and types that differ are rounded to one before words compete
    if any(array.shape[:1] != (1,) for array in arrays) or len(types) != 1:
        return None
    if not types <= FLOATS:
        return None
    if [weight.shape for weight in weights] != _weights(order, arrays[0].shape, weights):
        return None
    try:
        alike = composite.is_like(reference(strides, order, ties), tuple(arrays), tuple(weights))
    except (TypeError, ValueError, ArithmeticError, IndexError):  # it takes no such arguments
        return None
    return Selection(equation, composite.within, strides, ties) if alike else None


def _weights(order: str, shape: Sequence[int], weights: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes that the weights of a score must have, so that no roll changes it: with a kernel of another size some
    cells would count more often than others, and a bias could differ from cell to cell.
    """
    if order != "learned":
        return []
    hidden = weights[1].shape[-1] if len(weights) == 3 and weights[1].shape else 0
    rank = len(shape) - 2
    return [((3,) * rank + (shape[-1], hidden)), (hidden,), (hidden, 1)]


def _are_settings(said: Mapping[str, Any]) -> bool:
    """Whether our layer could have them: whole strides, and the words for the order and for ties."""
    if set(said) != set(SETTINGS):
        return False
    strides, order, ties = (said[key] for key in SETTINGS)
    whole = isinstance(strides, tuple) and all(type(n) is int and n > 0 for n in strides)
    words = isinstance(order, str) and isinstance(ties, str)
    return whole and words and order in get_args(Order) and ties in get_args(Ties)


def with_selections(program: Program, ties: Sequence[str]) -> Program:
    """The program in which each layer with such ties that depends on the images is one equation of `SELECTION`."""
    for found in find_selections(program):
        if found.ties in ties and program.from_images.intersection(found.equation.outputs):
            program = _with_selection(program, found)
    return program


def _with_selection(program: Program, found: Selection) -> Program:
    """One equation in the place of the parts of a layer; arrays and results that nothing needs are left out."""
    parts = [n for n, e in enumerate(program.equations) if e.outputs[0] in found.within]
    defined = {*program.weights, program.images, *program.constants}
    defined |= {output for equation in program.equations for output in equation.outputs}
    equation, count = found.equation, len(found.equation.outputs)
    pairs = zip(equation.inputs[:count], equation.outputs, strict=True)
    kept = [(array, result) for array, result in pairs if array in defined]
    made = dataclasses.replace(
        equation,
        primitive=SELECTION,
        params={"strides": found.strides},
        inputs=(*(array for array, _ in kept), *equation.inputs[count:]),
        outputs=tuple(result for _, result in kept),
    )
    before, behind = program.equations[: parts[0]], program.equations[parts[-1] + 1 :]
    return dataclasses.replace(program, equations=(*before, made, *behind))
