"""Kernels: one equation on balls in a program that is being traced, as the body of a loop is.

A whole program on balls has twenty times as many operations as it has on floats, and the compiler joins them anew for
each of its results. Equation by equation, equations that are alike are traced once, in one model and in all.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from shiftproof.algebras.interval.ball import (
    Ball,
    Call,
    NoEnclosure,
    embed,
    is_point,
    no_radius,
    nothing,
)
from shiftproof.tracing.trace import Literal

Rule = Callable[[Call], Sequence[Ball]]

MOST_KERNELS = 4096


class Kernel:
    """One equation, traced.

    Args:
        call: the equation, with operands of these shapes; numbers that stand in it are part of the kernel.
        rule: what it does to balls.
    """

    def __init__(self, call: Call, rule: Rule) -> None:
        self._points = [is_point(operand) for operand in call.operands]
        self._fixed = [isinstance(operand, Literal) for operand in call.eqn.inputs]
        # numbers are embedded anew, and no array of the first call is kept
        self._call, self._rule = dataclasses.replace(call, operands=()), rule
        self._still: list[bool] = []
        self._reason = ""
        self._traced = jax.jit(self._one)

    def run(self, operands: Sequence[Ball]) -> tuple[list[Ball], str]:
        """The results, and why there is no enclosure; "" where there is one."""
        given = [
            None if fixed else dataclasses.replace(operand, rad=None) if point else operand
            for operand, point, fixed in zip(operands, self._points, self._fixed, strict=True)
        ]
        made = self._traced(given)
        results = [
            dataclasses.replace(ball, rad=no_radius(ball.shape)) if still else ball
            for ball, still in zip(made, self._still, strict=True)
        ]
        return results, self._reason

    def _one(self, given: Sequence[Ball | None]) -> list[Ball]:
        call = self._call
        operands = []
        for own, ball, point in zip(call.eqn.inputs, given, self._points, strict=True):
            if ball is None:
                assert isinstance(own, Literal)
                ball = embed(own.value)
            elif point:
                ball = dataclasses.replace(ball, rad=no_radius(ball.shape))
            operands.append(ball)
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


_KERNELS: dict[tuple[Any, ...], Kernel] = {}


def kernel_of(call: Call, rule: Rule) -> Kernel:
    """The kernel for an equation, made when it is first met."""
    key = _key(call)
    try:
        if key not in _KERNELS:
            while len(_KERNELS) >= MOST_KERNELS:
                del _KERNELS[next(iter(_KERNELS))]
            _KERNELS[key] = Kernel(call, rule)
    except TypeError:  # some parameter has no hash
        return Kernel(call, rule)
    return _KERNELS[key]


def forget_kernels() -> None:
    """Drop all kernels, so that the next ones are traced again."""
    _KERNELS.clear()


def _key(call: Call) -> tuple[Any, ...]:
    """What makes two equations alike."""
    literals = [np.asarray(o.value) for o in call.eqn.inputs if isinstance(o, Literal)]
    own = tuple((str(value.dtype), value.shape, value.tobytes()) for value in literals)
    where = tuple(isinstance(o, Literal) for o in call.eqn.inputs)
    kinds = tuple((o.shape, str(o.mid.dtype), is_point(o)) for o in call.operands)
    types = tuple((tuple(a.shape), str(a.dtype)) for a in (*call.types, *call.results))
    params = tuple(sorted(call.eqn.params.items()))
    return (call.eqn.primitive, params, where, own, kinds, types, tuple(call.known), call.same)
