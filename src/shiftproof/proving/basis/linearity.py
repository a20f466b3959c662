"""Linearity: which values of a program are affine, max-plus or min-plus linear in one earlier value.

This table is trusted: a primitive that stands in it under a kind is, with the operands that its rule accepts, a
function of that kind over the reals. One pass over the program gives every value its *source*: the earliest value in
which it is of the kind, and on which alone it depends. What no rule accepts is its own source, and the reason is kept.

- `affine`: f(x) = A x + b. Coefficients must be known; an added term may be any weight, since it only enters b.
- `max-plus`: f(x)_i = max(c_i, max_j (A_ij + x_j)), entries may be -infinity. `min-plus` is its mirror image.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Literal

import jax
import numpy as np

from shiftproof.tracing.families import MOVES
from shiftproof.tracing.trace import Equation, Program, apply, interpret
from shiftproof.tracing.trace import Literal as Constant

Kind = Literal["affine", "max-plus", "min-plus"]
KINDS: tuple[Kind, ...] = ("affine", "max-plus", "min-plus")
FLOATS = ("bfloat16", "float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64")


@dataclasses.dataclass(frozen=True)
class Linear:
    """A value that is of the kind in the value `source`, and depends on nothing else that moves."""

    source: int


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that depends neither on the images nor on weights that stand for any values."""

    array: Any


@dataclasses.dataclass(frozen=True)
class Opaque:
    """A value that depends on weights that stand for any values, and not on the images."""


Meaning = Linear | Known | Opaque


@dataclasses.dataclass(frozen=True)
class Regions:
    """Where a program is of one kind.

    Attributes:
        kind: of linearity.
        sources: for every value that depends on the images, its source; itself where no rule applies.
        reasons: for every source but the images, why it is not of the kind in anything earlier.
    """

    kind: Kind
    sources: Mapping[int, int]
    reasons: Mapping[int, str]


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation of a program, what is known of its operands, their types, and the kind asked about."""

    kind: Kind
    eqn: Equation
    operands: Sequence[Meaning]
    avals: Sequence[Any]
    results: Sequence[Any]

    def moving(self, position: int) -> bool:
        """Whether the operand depends on the source."""
        return isinstance(self.operands[position], Linear)

    def known(self, position: int) -> np.ndarray | None:
        """The operand's values, where it is known."""
        operand = self.operands[position]
        return np.asarray(operand.array) if isinstance(operand, Known) else None


Rule = Callable[[Call], str | None]
"""The reason why a call is not of the kind, or None where it is."""


def find_regions(
    program: Program, values: Mapping[int, Any], *, opaque: Set[int], kind: Kind
) -> Regions:
    """The source of every value that depends on the images.

    Args:
        program: the traced model.
        values: what depends neither on the images nor on opaque weights, from `known_values`.
        opaque: numbers of the weights that stand for any values.
        kind: of linearity.
    """
    given = (*program.weights, *program.constants)
    start: dict[int, Meaning] = {n: Known(values.get(n)) for n in given}
    start |= {n: Opaque() for n in opaque}
    start[program.images] = Linear(program.images)
    reasons: dict[int, str] = {}

    def step(eqn: Equation, operands: Sequence[Any]) -> list[Meaning]:
        meanings = [Known(o.value) if isinstance(o, Constant) else o for o in operands]
        if eqn.outputs[0] not in program.from_images:
            unclear = any(isinstance(o, Opaque) for o in meanings)
            return [Opaque() if unclear else Known(values.get(o)) for o in eqn.outputs]
        avals = [
            jax.typeof(o.value) if isinstance(o, Constant) else program.avals[o] for o in eqn.inputs
        ]
        call = Call(kind, eqn, meanings, avals, [program.avals[o] for o in eqn.outputs])
        reason = refusal(call)
        if reason is None:
            return [next(m for m in meanings if isinstance(m, Linear))] * len(eqn.outputs)
        reasons.update(dict.fromkeys(eqn.outputs, f"{place(eqn)} {reason}"))
        return [Linear(output) for output in eqn.outputs]

    meaning = interpret(program, start, step)
    sources = {n: m.source for n, m in meaning.items() if isinstance(m, Linear)}
    return Regions(kind, sources, reasons)


def place(eqn: Equation) -> str:
    """The primitive of an equation, and the user's line."""
    return f"{eqn.name} at {eqn.site}" if str(eqn.site) else eqn.name


def refusal(call: Call) -> str | None:
    """Why the result is not of the kind in the one source of the operands, or None where it is."""
    if len({o.source for o in call.operands if isinstance(o, Linear)}) != 1:
        return "joins values that depend on the images in different ways"
    rule = RULES[call.kind].get(call.eqn.name)
    if rule is None:
        return f"is not {call.kind}"
    moving = [aval for i, aval in enumerate(call.avals) if call.moving(i)]
    names = [np.dtype(aval.dtype).name for aval in (*moving, *call.results)]
    accepted = (*FLOATS, *INTEGERS) if call.kind == "affine" else FLOATS
    odd = next((name for name in names if name not in accepted), None)
    if odd is not None:
        return f"computes in {odd}"
    if call.kind != "affine" and any(isinstance(o, Opaque) for o in call.operands):
        return "uses a weight that stands for any value"
    known = [call.known(i) for i in range(len(call.operands))]
    if not all(_is_bounded(array, call.kind) for array in known if array is not None):
        return "uses a constant that is not finite"
    return rule(call)


def _is_bounded(array: np.ndarray, kind: Kind) -> bool:
    """Finite; the neutral element of the kind's addition is allowed too."""
    values = array.astype(np.float64)
    neutral = {"affine": 0.0, "max-plus": -np.inf, "min-plus": np.inf}[kind]
    return bool(np.all(np.isfinite(values) | (values == neutral)))


# --- the rules ---


def _jointly(call: Call) -> str | None:
    """Of the kind in all operands together, whichever of them move; the others enter the constant."""
    return None


def _product(call: Call) -> str | None:
    """Bilinear: one factor moves, the other must be known."""
    if call.moving(0) and call.moving(1):
        return "multiplies two values that depend on the images"
    if any(isinstance(o, Opaque) for o in call.operands):
        return "multiplies by weights that stand for any values"
    return None


def _quotient(call: Call) -> str | None:
    if call.moving(1):
        return "divides by a value that depends on the images"
    divisor = call.known(1)
    if divisor is None:
        return "divides by weights that stand for any values"
    if np.dtype(call.results[0].dtype).name not in FLOATS:
        return "divides integers, which drops remainders"
    return None if np.all(divisor.astype(np.float64)) else "divides by zero"


def _convert(call: Call) -> str | None:
    old, new = (np.dtype(aval.dtype).name for aval in (call.avals[0], call.results[0]))
    return "rounds to integers" if old in FLOATS and new in INTEGERS else None


def _choice(call: Call) -> str | None:
    """A choice that does not depend on the images picks cells."""
    return None if call.known(0) is not None else "chooses by values that are not known"


def _look_up(call: Call) -> str | None:
    """Cells at known places; slices are clamped to the inside, a gather must stay inside."""
    if any(call.known(i) is None for i in range(1, len(call.operands))):
        return "looks up places that are not known"
    if call.eqn.name == "gather":
        zeros = np.zeros(call.avals[0].shape, call.avals[0].dtype)
        (found,) = apply(call.eqn, [zeros, call.known(1)])
        if np.any(np.asarray(found) != 0):
            return "looks up places outside"
    return None


def _offset(call: Call) -> str | None:
    """Tropical product: one operand moves, the other must be known."""
    if call.moving(0) and call.moving(1):
        return f"joins two values that depend on the images, which is not {call.kind}"
    return None


def _offset_back(call: Call) -> str | None:
    """Subtracting: only what is known and finite may be subtracted."""
    if call.moving(1):
        return f"subtracts a value that depends on the images, which is not {call.kind}"
    offset = call.known(1)
    finite = offset is not None and np.all(np.isfinite(offset.astype(np.float64)))
    return None if finite else "subtracts a constant that is not finite"


EVERYWHERE: Mapping[str, Rule] = {
    **dict.fromkeys(MOVES, _jointly),
    **dict.fromkeys(("copy", "copy_p", "optimization_barrier", "rev", "stack", "tile"), _jointly),
    **dict.fromkeys(("dynamic_slice", "gather"), _look_up),
    "convert_element_type": _convert,
    "select_n": _choice,
}
"""What places values elsewhere is linear of every kind."""

RULES: Mapping[Kind, Mapping[str, Rule]] = {
    "affine": {
        **EVERYWHERE,
        **dict.fromkeys(("add", "add_any", "neg", "sub"), _jointly),
        **dict.fromkeys(("cumsum", "reduce_sum", "reduce_window_sum"), _jointly),
        **dict.fromkeys(("conv_general_dilated", "dot_general", "mul"), _product),
        "div": _quotient,
    },
    "max-plus": {
        **EVERYWHERE,
        **dict.fromkeys(("cummax", "max", "reduce_max", "reduce_window_max"), _jointly),
        **dict.fromkeys(("add", "add_any"), _offset),
        "sub": _offset_back,
    },
    "min-plus": {
        **EVERYWHERE,
        **dict.fromkeys(("cummin", "min", "reduce_min", "reduce_window_min"), _jointly),
        **dict.fromkeys(("add", "add_any"), _offset),
        "sub": _offset_back,
    },
}
"""By kind: every primitive that can be of that kind, and on what condition."""
