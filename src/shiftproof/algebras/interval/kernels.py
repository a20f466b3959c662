"""Kernels: one equation on balls, compiled by itself, once for all equations that are alike.

A whole program on balls has twenty times as many operations as it has on floats, and the compiler joins them anew for
each of its results. Equation by equation, layers that are alike share what is compiled, in one model and in all.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import lax

from shiftproof.algebras.interval.ball import Ball, Call, NoEnclosure, is_point, no_radius, nothing
from shiftproof.tracing.trace import Literal

Rule = Callable[[Call], Sequence[Ball]]

MOST_KERNELS = 4096


class Kernel:
    """One equation, compiled.

    Args:
        call: the equation, with operands of these shapes; numbers that stand in it are part of the kernel.
        rule: what it does to balls.
    """

    def __init__(self, call: Call, rule: Rule) -> None:
        self._points = [is_point(operand) for operand in call.operands]
        self._fixed = [isinstance(operand, Literal) for operand in call.eqn.inputs]
        own = zip(call.operands, self._fixed, strict=True)
        kept = [operand if fixed else None for operand, fixed in own]
        self._call, self._rule = dataclasses.replace(call, operands=kept), rule
        self._still: list[bool] = []
        self._reason = ""
        self._compiled = jax.jit(self._one)

    def run(self, operands: Sequence[Ball]) -> tuple[list[Ball], str]:
        """The results, and why there is no enclosure; "" where there is one."""
        given = [
            None if fixed else dataclasses.replace(operand, rad=None) if point else operand
            for operand, point, fixed in zip(operands, self._points, self._fixed, strict=True)
        ]
        made = self._compiled(given)
        results = [
            dataclasses.replace(ball, rad=no_radius(ball.shape)) if still else ball
            for ball, still in zip(made, self._still, strict=True)
        ]
        return results, self._reason

    def _one(self, given: Sequence[Ball | None]) -> list[Ball]:
        call = self._call
        operands = [
            own
            if ball is None
            else dataclasses.replace(ball, rad=no_radius(ball.shape))
            if point
            else ball
            for own, ball, point in zip(call.operands, given, self._points, strict=True)
        ]
        try:
            made = list(self._rule(dataclasses.replace(call, operands=operands)))
        except NoEnclosure as why:
            self._reason = str(why)
            made = [nothing(aval) for aval in call.results]
        for ball, aval in zip(made, call.results, strict=True):
            if ball.shape != tuple(aval.shape) or np.shape(ball.rad) != ball.shape:
                raise AssertionError(f"{call.name} gives {ball.shape}, not {aval.shape}")
        self._still = [is_point(ball) for ball in made]
        kept = [
            dataclasses.replace(ball, rad=None) if still else ball
            for ball, still in zip(made, self._still, strict=True)
        ]
        # in the body of a loop, equations are not to be joined
        return lax.optimization_barrier(kept)


def kernel_of(call: Call, rule: Rule) -> Kernel:
    """The kernel for an equation, made when it is first met."""
    try:
        return _kernel(_Key(call, rule))
    except TypeError:  # some parameter has no hash
        return Kernel(call, rule)


class _Key:
    """What makes two equations alike."""

    def __init__(self, call: Call, rule: Rule) -> None:
        self.call, self.rule = call, rule
        eqn = call.eqn
        own = tuple(
            (np.asarray(o.value).tobytes(), str(np.asarray(o.value).dtype))
            if isinstance(o, Literal)
            else None
            for o in eqn.inputs
        )
        kinds = tuple((o.shape, str(o.mid.dtype), is_point(o)) for o in call.operands)
        types = tuple((tuple(a.shape), str(a.dtype)) for a in (*call.types, *call.results))
        params = tuple(sorted(eqn.params.items()))
        self.parts = (eqn.primitive, params, own, kinds, types, tuple(call.known), call.same)

    def __hash__(self) -> int:
        return hash(self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.parts == other.parts


@functools.lru_cache(MOST_KERNELS)
def _kernel(key: _Key) -> Kernel:
    return Kernel(key.call, key.rule)


def forget_kernels() -> None:
    """Drop all kernels, so that the next ones are compiled again; for benchmarks."""
    _kernel.cache_clear()
