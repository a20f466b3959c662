"""Intervals: enclosures of the real values of a program, evaluated in float64 whatever format it was traced in.

Every value is a *ball*: a midpoint that is a float, and a radius within which the real number is. Casts between
floats are the identity, and constants, weights and images are the numbers that they hold; integers and truths are
those of the machine, and are certain or unknown. Two outputs whose balls are apart differ, over the reals: that is a
proof, as rigorous as the bounds of this package. Where the radius is 0 everywhere, nothing was rounded.

**Who computes.** NumPy, equation by equation, and JAX inside of loops, and elementary functions, sorts and the like; no
matter which, since the bounds below are those of both.

**Rounding.** Let u = 2^-53. The bounds hold for every order of the operations, and for fused ones, since BLAS and XLA
are free to choose; there are no error-free transformations, which they may undo.

- One operation: |fl(a op b) - (a op b)| <= u |a op b| + t, where t is for underflow: results and operands that are
  subnormal count as 0. An operand that was rounded has at least the radius `TINY` >> t; one that was not is normal.
- A sum of n numbers, in any order: at most n u sum|x_i|, to first order; of n products, (n + 1) u sum|a_i b_i|.
- A product of balls: |ab - (a + d)(b + e)| <= |a| |e| + |b| |d| + |d| |e|; a quotient: (|d| + |a/b| |e|) / (|b| - |e|).
- All that is written above is itself computed in floats: each radius is enlarged by a factor 1 + `SLACK`, 2^13 times u,
  and by 4 n u besides for long sums. Terms of second order are far below that.

**Exact numbers.** A value has a unit if none of its cells was rounded and all are whole multiples of it. Sums and
products of them are exact if the sums of their magnitudes are below 2^53 units, whatever the order; then nothing is
added to radii that are 0. A quotient is exact if the nearest multiple of the unit, times the divisor, is the dividend.

**Functions.** One that rises or falls is evaluated at both ends, with a margin of `MARGIN` = 2^-40 relative, which is
2^13 times u, for the function as the device computes it; the tests measure it against arithmetic of 200 bits. Sine and
cosine change no more than the angle; extrema, sorted numbers and absolute values no more than what they are made of.
Comparisons and steps are certain away from ties, look-ups at certain places, loops as long as their test is certain.
What has no rule has no enclosure, and `Enclosures.reasons` says so.

**No number.** NaN, an infinity out of finite numbers, or a division by what may be 0 has no enclosure: the radius is
infinite, and stays so, also where it is multiplied by 0. An infinity that was there before (padding of a max pool, a
mask before a softmax) is exact, with radius 0, where it is moved, compared, added to, or its exponential is taken.

R. Moore, "Interval Analysis", 1966; N. Higham, "Accuracy and Stability of Numerical Algorithms", 2002, chapters 3, 4;
S. Rump, "Verification methods: rigorous results using floating-point arithmetic", 2010.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.at_hand import host
from shiftproof.algebras.interval.algebraic import bilinear, linear, moves, spectral
from shiftproof.algebras.interval.ball import (
    Ball,
    Call,
    NoEnclosure,
    embed,
    is_inexact,
    is_zeros,
    no_radius,
    nothing,
    separate,
    wide,
)
from shiftproof.algebras.interval.functions import machine, pointwise, select
from shiftproof.algebras.interval.kernels import kernel_of
from shiftproof.algebras.interval.loops import LOOPS
from shiftproof.algebras.interval.order import LOGIC, extremum, ordered
from shiftproof.tracing.primitives import Kind, plain, type_of
from shiftproof.tracing.trace import Equation, Literal, Program, apply, interpret, is_at_hand

__all__ = ["RULES", "Ball", "Enclosures", "apart", "embed", "enclose"]


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["outputs", "values"], meta_fields=["reasons"]
)
@dataclasses.dataclass(frozen=True)
class Enclosures:
    """What a program gives.

    Attributes:
        outputs: of the program, in order.
        values: those that were asked for, by number.
        reasons: equations that have no enclosure, with the place and why; known when the program is traced.
    """

    outputs: tuple[Ball, ...]
    values: Mapping[int, Ball]
    reasons: tuple[str, ...]


def enclose(
    program: Program,
    fixed: Mapping[int, Any],
    images: Any,
    wanted: Collection[int] = (),
    *,
    embedded: Mapping[int, Ball] | None = None,
) -> Enclosures:
    """Enclosures of the real values of a program; traceable, so it can be jitted and vmapped, in 64-bit mode.

    Args:
        program: the traced model, in whatever format.
        fixed: known numbers by value, taken as they are. What follows from weights among them is enclosed; so with
            `fixed_values` in their place its rounding is not counted.
        images: one batch, of the traced shape.
        wanted: numbers of values that are given besides the outputs.
        embedded: what `embed` makes of `fixed`, where it is known already.
    """
    _check_double()
    algebra = Interval()
    start = dict.fromkeys((*program.weights, *program.constants))
    start |= {n: embed(array) for n, array in fixed.items()} if embedded is None else embedded
    start[program.images] = embed(images)
    kept = {*wanted, *(o for o in program.outputs if isinstance(o, int))}
    values = algebra.run(program, start, fixed, keep=kept)
    outputs = tuple(
        embed(o.value) if isinstance(o, Literal) else values[o] for o in program.outputs
    )
    return Enclosures(outputs, {n: values[n] for n in wanted}, tuple(algebra.reasons))


def _check_double() -> None:
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise AssertionError("balls are computed in 64-bit mode")


@np.errstate(all="ignore")
def apart(first: Ball, second: Ball) -> Any:
    """The cells in which two values differ: their enclosures have no number in common. In 64-bit mode."""
    _check_double()
    if not plain(first.mid.dtype):
        return jnp.zeros(first.shape, bool)
    if is_inexact(first.mid.dtype):
        return separate(first, second)
    return (first.mid != second.mid) & (first.rad == 0) & (second.rad == 0)


class Interval:
    """Evaluates programs on balls; one rule per class of the table.

    Attributes:
        reasons: equations without an enclosure, and why; grows while programs run.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, None] = {}

    def run(
        self,
        program: Program,
        start: Mapping[int, Ball | None],
        fixed: Mapping[int, Any] | None = None,
        *,
        keep: Set[int],
    ) -> dict[int, Ball]:
        """Values of a program, by number.

        Args:
            program: the traced model, or a body.
            start: its inputs and constants.
            fixed: of a model, the values that do not depend on the images; those that nothing needs are missing.
            keep: numbers of those that are wanted.
        """

        numbers = program.constants if fixed is None else fixed
        computed = program.depending_on({n for n in program.weights if n in numbers})

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Ball | None]:
            if fixed is not None and eqn.outputs[0] not in program.from_images:
                given = [start.get(output) for output in eqn.outputs]
                if eqn.outputs[0] not in computed or any(ball is not None for ball in given):
                    return given
            given = [embed(o.value) if isinstance(o, Literal) else o for o in operands]
            types = [
                type_of(o.value) if isinstance(o, Literal) else program.avals[o] for o in eqn.inputs
            ]
            known = [isinstance(o, Literal) or o in numbers for o in eqn.inputs]
            results = [program.avals[n] for n in eqn.outputs]
            return self.apply(Call(eqn, given, types, results, known))

        return interpret(program, start, step, keep=keep)

    def apply(self, call: Call) -> Sequence[Ball]:
        """The results of one equation."""
        if not call.operands:
            return [embed(array) for array in apply(call.eqn, [])]
        if all(0 in aval.shape for aval in call.results):
            return [
                Ball(jnp.zeros(a.shape, wide(a.dtype)), no_radius(a.shape), 1.0, 0.0)
                for a in call.results
            ]
        if call.reading.kind is Kind.LOOP:
            return self._loop(call)
        if all(is_at_hand(ball.mid) for ball in call.operands):
            return self._now(call)
        made, reason = kernel_of(call, rule_of(call)).run(call.operands)
        if reason:
            self._without(call, reason)
        return made

    def _now(self, call: Call) -> Sequence[Ball]:
        """The same of operands that are known now."""
        try:
            with np.errstate(all="ignore"):
                made = rule_of(call)(call)
        except NoEnclosure as why:
            self._without(call, str(why))
            return [nothing(aval) for aval in call.results]
        for ball, aval in zip(made, call.results, strict=True):
            if ball.shape != tuple(aval.shape) or np.shape(ball.rad) != ball.shape:
                raise AssertionError(f"{call.name} gives {ball.shape}, not {aval.shape}")
        return [_at_hand(ball) for ball in made]

    def _loop(self, call: Call) -> Sequence[Ball]:
        try:
            return [_at_hand(ball) for ball in LOOPS[call.name](self.body, call)]
        except NoEnclosure as why:
            self._without(call, str(why))
            return [nothing(aval) for aval in call.results]

    def _without(self, call: Call, reason: str) -> None:
        place = f"{call.name} at {call.eqn.site}" if str(call.eqn.site) else call.name
        self.reasons[f"{place}: {reason}"] = None

    def body(self, body: Program, inputs: Sequence[Ball]) -> list[Ball]:
        """What the body of a loop, or a branch, gives."""
        start = dict(zip(body.weights, inputs, strict=True))
        start |= {number: embed(array) for number, array in body.constants.items()}
        kept = {o for o in body.outputs if isinstance(o, int)}
        values = self.run(body, start, keep=kept)
        return [embed(o.value) if isinstance(o, Literal) else values[o] for o in body.outputs]


def _at_hand(ball: Ball) -> Ball:
    """The same ball by NumPy, where its numbers are known; where its radii are 0, that is known as well."""
    rad = host(ball.rad)
    rad = no_radius(ball.shape) if is_zeros(rad) else rad
    return Ball(host(ball.mid), rad, host(ball.unit), host(ball.units))


RULES: Mapping[Kind, Callable[[Call], Sequence[Ball]]] = {
    Kind.MOVES: moves,
    Kind.LINEAR: linear,
    Kind.BILINEAR: bilinear,
    Kind.POINTWISE: pointwise,
    Kind.EXTREMUM: extremum,
    Kind.ORDERED: ordered,
    Kind.SPECTRAL: spectral,
}
"""One rule per class; of the others only integers are certain, since JAX itself computes them."""


def rule_of(call: Call) -> Callable[[Call], Sequence[Ball]]:
    """The rule for an equation that is no loop."""
    kind = call.reading.kind
    if call.name == "select_n":
        return select
    if call.name == "convert_element_type":
        return linear if plain(call.results[0].dtype) else machine
    real = any(is_inexact(aval.dtype) for aval in (*call.types, *call.results))
    if not real and kind is not Kind.MOVES and call.name not in LOGIC:
        return machine
    return RULES.get(kind, machine)
