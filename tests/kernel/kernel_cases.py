"""The case table of the kernel: small programs, a shift, and exactly what the rules must say of the last node.

Facts are written axis by axis, factors major to minor: `S4/2` stays, 4 cells of period 2; `M6/8+3>2` shows 6 cells of a
signal of period 8 from offset 3 that moves by 2; `F5/4>1w0` is a fold of 5 cells modulo 4, whole (or laps, cells), of
tag 0; `V6[1,4)+3>2` shows 6 cells of a scene (see scene_cases); `1` is an axis of one cell. A refusal is written
`!code: part of the message`. What wanders by the selection that is node 1 is `~1: ...; ...`, the facts axis by axis.
"""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

Spec = tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Inner:
    """A program within a program."""

    nodes: Sequence[Spec]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """A program, a shift of its image, and what must be said of its last node (or of those in `also`)."""

    shift: tuple[int, ...]
    nodes: Sequence[Spec]
    expected: str
    choices: Mapping[int, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    boundary: str = "torus"


def program(
    kernel: SimpleNamespace, nodes: Sequence[Spec], outputs: Sequence[int] = (), weights: str = ""
) -> Any:
    """The kernel's program; its last node is the output unless said otherwise."""
    made = [
        kernel.Node(_operation(kernel, op, params), inputs, shape)
        for op, inputs, shape, params in nodes
    ]
    return kernel.Program(tuple(made), tuple(outputs) or (len(made) - 1,), weights)


def _operation(kernel: SimpleNamespace, op: str, params: Mapping[str, Any]) -> Any:
    """The operation of this kernel, which may be one of many: each has classes of its own."""
    classes = {kernel.kind(cls): cls for cls in typing.get_args(kernel.Operation)}
    return classes[op](**{name: _value(kernel, value) for name, value in params.items()})


def _value(kernel: SimpleNamespace, value: Any) -> Any:
    match value:
        case Inner():
            return program(kernel, value.nodes, value.outputs)
        case {"start": _}:
            return kernel.Span(**value)
        case {"stride": _}:
            return kernel.Dim(**value)
        case list() | tuple():
            return tuple(_value(kernel, item) for item in value)
    return value


def show(kernel: SimpleNamespace, axes: Sequence[Any]) -> str:
    """A fact in the notation of the table."""

    def one(f: Any) -> str:
        if isinstance(f, kernel.Still):
            return f"S{f.n}/{f.period}"
        if isinstance(f, kernel.Moving):
            return f"M{f.n}/{f.period}+{f.offset}>{f.step}"
        if isinstance(f, kernel.Phase):
            return f"P{f.n}/{f.period}+{f.first}>{f.step}"
        if isinstance(f, kernel.Scene):
            return f"V{f.n}[{f.low},{f.high})+{f.offset}>{f.step}"
        if isinstance(f, kernel.Joined):
            return f"({', '.join(map(axis, f.parts))})"
        return f"F{f.n}/{f.period}>{f.step}{f.part[0]}{f.tag}"

    def axis(factors: Any) -> str:
        return " ".join(map(one, factors)) or "1"

    return " | ".join(map(axis, axes))


def judge(kernel: SimpleNamespace, case: Case) -> None:
    """The kernel says what the table says."""
    made = program(kernel, case.nodes)
    outcome = kernel.derive(made, case.shift, choices=case.choices, boundary=case.boundary)[-1]
    if isinstance(outcome, kernel.Lost) and outcome.along:
        said = f"~{outcome.number}: {'; '.join(show(kernel, axes) for axes in outcome.along)}"
        assert (said, outcome.refusal.code) == (case.expected, "wanders"), said
        assert outcome.shape == made.nodes[-1].shape
    elif isinstance(outcome, kernel.Lost):
        said = f"!{outcome.refusal.code}: {outcome.refusal}"
        assert case.expected.startswith("!"), said
        code, _, message = case.expected.partition(": ")
        assert said.startswith(code + ":"), said
        assert message in said, said
    else:
        said = show(kernel, outcome.fact.axes)
        assert said == case.expected, said


# --- how nodes are written ---


def image(*shape: int, grid: tuple[int, ...] = (0,)) -> Spec:
    return "input", (), shape, {"grid": grid}


def weight(*shape: int) -> Spec:
    return "weight", (), shape, {}


def constant(*shape: int, periods: tuple[int, ...] | None = None, rolls: Any = ()) -> Spec:
    return "constant", (), shape, {"periods": shape if periods is None else periods, "rolls": rolls}


def mapped(inputs: tuple[int, ...], *shape: int) -> Spec:
    return "map", inputs, shape, {}


def combine(inputs: tuple[int, ...], *shape: int) -> Spec:
    return "combine", inputs, shape, {}


def multiply(inputs: tuple[int, ...], *shape: int, conjugated: tuple[int, ...] = ()) -> Spec:
    return "multiply", inputs, shape, {"conjugated": conjugated}


def fourier(source: int, *shape: int, axis=0, inverse=False, half=False) -> Spec:
    return "fourier", (source,), shape, {"axis": axis, "inverse": inverse, "half": half}


def broadcast(source: int, axes: tuple[int, ...], *shape: int) -> Spec:
    return "broadcast", (source,), shape, {"axes": axes}


def reshape(source: int, *shape: int) -> Spec:
    return "reshape", (source,), shape, {}


def transpose(source: int, order: tuple[int, ...], *shape: int) -> Spec:
    return "transpose", (source,), shape, {"order": order}


def part(source: int, start: int, step: int, *shape: int, axis: int = 0) -> Spec:
    return "take", (source,), shape, {"axis": axis, "index": {"start": start, "step": step}}


def pick(source: int, index: tuple[int, ...], *shape: int, axis: int = 0) -> Spec:
    return "take", (source,), shape, {"axis": axis, "index": index}


def concat(inputs: tuple[int, ...], *shape: int, axis: int = 0) -> Spec:
    return "concat", inputs, shape, {"axis": axis}


def pad(inputs: tuple[int, ...], *shape: int, axis=0, low=0, high=0, inner=0, zero=True) -> Spec:
    settings = {"axis": axis, "low": low, "high": high, "inner": inner, "zero": zero}
    return "pad", inputs, shape, settings


def dim(axis=0, out=None, size=1, stride=1, low=0, high=0, base=1, dilation=1) -> dict[str, int]:
    out = axis if out is None else out
    return {
        **{"axis": axis, "out": out, "size": size, "stride": stride},
        **{"low": low, "high": high, "base": base, "dilation": dilation},
    }


def window(inputs, shape, *dims, kept=(), symmetric=False, linear=False) -> Spec:
    settings = {"dims": dims, "kept": kept, "symmetric": symmetric, "linear": linear}
    return "window", inputs, shape, settings


def mix(inputs, shape, axes, outs=(), symmetric=False, total=False) -> Spec:
    return "mix", inputs, shape, {"axes": axes, "outs": outs, "symmetric": symmetric, "sum": total}


def whole(inputs, shape, kept=()) -> Spec:
    return "whole", inputs, shape, {"kept": kept}


def select(inputs, shape, axes=(0,), strides=(2,)) -> Spec:
    return "select", inputs, shape, {"axes": axes, "strides": strides}


def loop(inputs, shape, body, constants=0, carries=0, result=0, test=None) -> Spec:
    counts = {"constants": constants, "carries": carries, "result": result}
    return "loop", inputs, shape, {"body": body, "test": test, **counts}


def branch(inputs, shape, bodies, result=0) -> Spec:
    return "branch", inputs, shape, {"bodies": bodies, "result": result}


def given(*shape: int) -> Spec:
    return image(*shape, grid=())


IMAGE = image(8)
PLANE = image(4, 6, grid=(0, 1))
ZERO = constant()
LAPS = window((0,), (6,), dim(size=3, low=2, high=2), linear=True)  # of image(4): F6
SAME = Inner([given(8)], (0,))
SPECTRUM = [IMAGE, fourier(0, 8)]
TOKENS = [IMAGE, weight(1), concat((1, 0), 9)]
FLAT6 = constant(6, periods=(1,))
CUT = [
    *(image(4), image(2), constant(2, periods=(1,)), constant(4, periods=(1,))),
    *(concat((2, 0), 6), concat((3, 1), 6), mapped((4, 5), 6)),
]
BACK = {"inverse": True, "half": True}


def _parts(pairs: int) -> list[Spec]:
    """A class token before an image, again and again."""
    return [IMAGE, weight(1), concat((1, 0) * pairs, 9 * pairs)]


def _meeting(more: int) -> list[Spec]:
    """Flat cells meet moving ones, part by part: 63 parts and some more."""
    n = 105 + 2 * more
    flat = [constant(size, periods=(1,)) for size in (3, 2 * more)]
    one, other = (0,) * more + (1, 0) * 21, (2,) + (0, 1) * 21
    return [image(2), *flat, concat(one, n), concat(other, n), mapped((3, 4), n)]


CASES: dict[str, Case] = {
    # assumptions
    "the image moves": Case((3,), [IMAGE], "M8/8+0>3"),
    "a shift counts modulo the size": Case((11,), [IMAGE], "M8/8+0>3"),
    "a shift by whole periods is still": Case((8,), [IMAGE], "S8/8"),
    "axes off the grid stay": Case(
        (1, 2), [image(2, 4, 6, grid=(2, 1))], "S2/2 | M4/4+0>2 | M6/6+0>1"
    ),
    "one cell is still": Case((1,), [image(1)], "1"),
    "a shift needs a step per axis": Case(
        (1, 1), [IMAGE], "!shape: one step for every axis of the grid"
    ),
    "a grid names axes once": Case(
        (1, 1), [image(4, 4, grid=(1, 1))], "!shape: are not there, or twice"
    ),
    "a grid names axes that are there": Case(
        (1,), [image(4, grid=(1,))], "!shape: are not there, or twice"
    ),
    "weights stay": Case((1,), [IMAGE, weight(3, 4)], "S3/3 | S4/4"),
    "constants repeat": Case((1,), [IMAGE, constant(6, 4, periods=(2, 1))], "S6/2 | S4/1"),
    "a period longer than the axis": Case((1,), [IMAGE, constant(4, periods=(9,))], "S4/4"),
    "a period for every axis": Case(
        (1,), [IMAGE, constant(4, periods=())], "!shape: one period per axis"
    ),
    "periods are positive": Case(
        (1,), [IMAGE, constant(4, periods=(0,))], "!shape: periods are at least 1"
    ),
    "a known roll": Case(
        (1,), [IMAGE, constant(4, 4, rolls=((1, 1),))], "M4/4+0>1 | M4/4+0>1", {1: (1, 1)}
    ),
    "a multiple of a known roll": Case(
        (1,), [IMAGE, constant(4, 6, rolls=((1, 2),))], "M4/4+0>3 | S6/6", {1: (3, 0)}
    ),
    "a multiple of the second known roll": Case(
        (1,), [IMAGE, constant(3, 6, rolls=((0, 3), (1, 2)))], "M3/3+0>2 | M6/6+0>4", {1: (2, 4)}
    ),
    "no multiple of a known roll": Case(
        (1,),
        [IMAGE, constant(4, 4, rolls=((1, 2),))],
        "!constant: unchanged by the roll (1, 0)",
        {1: (1, 0)},
    ),
    "no multiple on one axis": Case(
        (1,),
        [IMAGE, constant(4, rolls=((2,),))],
        "!constant: unchanged by the roll (1,)",
        {1: (1,)},
    ),
    "a roll of too few axes": Case(
        (1,),
        [IMAGE, constant(4, 4, rolls=((1, 1),))],
        "!constant: unchanged by the roll (1,)",
        {1: (1,)},
    ),
    "a known roll of too few axes": Case(
        (1,),
        [IMAGE, constant(4, 4, rolls=((1,),))],
        "!constant: unchanged by the roll (1, 1)",
        {1: (1, 1)},
    ),
    # position by position
    "two that move alike": Case((1,), [IMAGE, mapped((0,), 8), mapped((0, 1), 8)], "M8/8+0>1"),
    "flat meets moving": Case(
        (1,), [IMAGE, constant(8, periods=(1,)), mapped((0, 1), 8)], "M8/8+0>1"
    ),
    "a scalar axis is repeated": Case((1,), [IMAGE, weight(1), mapped((1, 0), 8)], "M8/8+0>1"),
    "a position table stops it": Case(
        (1,), [IMAGE, weight(8), mapped((0, 1), 8)], "!positions: move by 1 of 8"
    ),
    "a periodic table allows its period": Case(
        (2,), [IMAGE, constant(8, periods=(2,)), mapped((0, 1), 8)], "M8/8+0>2"
    ),
    "a periodic table stops other steps": Case(
        (3,), [IMAGE, constant(8, periods=(2,)), mapped((0, 1), 8)], "!positions: move by 3 of 8"
    ),
    "a table whose period does not divide": Case(
        (3,), [image(8), constant(8, periods=(3,)), mapped((0, 1), 8)], "!positions: move by 3 of 8"
    ),
    "two tables of different periods": Case(
        (6,),
        [image(12), constant(12, periods=(2,)), constant(12, periods=(3,)), mapped((0, 1, 2), 12)],
        "M12/12+0>6",
    ),
    "two tables must both repeat": Case(
        (2,),
        [image(12), constant(12, periods=(2,)), constant(12, periods=(3,)), mapped((0, 1, 2), 12)],
        "!positions: move by 2 of 12",
    ),
    "tables that meet repeat together": Case(
        (1,),
        [image(12), constant(12, periods=(2,)), constant(12, periods=(3,)), mapped((1, 2), 12)],
        "S12/6",
    ),
    "other laws do not meet": Case(
        (1, 2),
        [image(4, 4, grid=(0, 1)), transpose(0, (1, 0), 4, 4), mapped((0, 1), 4, 4)],
        "!laws: moves by 1 of 4, another by 2 of 4",
    ),
    "a shorter period meets a longer one": Case(
        (3,), [image(8), part(0, 0, 1, 4), image(4), mapped((1, 2), 4)], "M4/8+0>3"
    ),
    "a longer period that is no multiple": Case(
        (1,),
        [image(6), part(0, 0, 1, 4), image(4), mapped((1, 2), 4)],
        "!laws: moves by 1 of 6, another by 1 of 4",
    ),
    "a shorter period of the same law modulo it": Case(
        (5,), [image(8), part(0, 0, 1, 4), image(4), mapped((2, 1), 4)], "M4/8+0>5"
    ),
    "operands of another rank": Case(
        (1,), [IMAGE, weight(1, 8), mapped((0, 1), 8)], "!shape: different rank"
    ),
    "a map of nothing": Case((1,), [IMAGE, mapped((), 8)], "!shape: different rank"),
    "a moving cell is not repeated": Case(
        (1,),
        [IMAGE, part(0, 0, 1, 1), mapped((1, 0), 8)],
        "!cell: a moving cell, or 1 cells, meet 8",
    ),
    "cells do not fit": Case(
        (1,), [IMAGE, weight(3), mapped((0, 1), 8)], "!cell: or 3 cells, meet 8"
    ),
    "the program states another shape": Case(
        (0,), [IMAGE, reshape(0, 8), transpose(1, (0,), 7)], "!shape: not (7,)"
    ),
    "what is lost stays lost": Case(
        (1,), [IMAGE, weight(8), mapped((0, 1), 8), mapped((2,), 8)], "!positions: move by 1 of 8"
    ),
    "a loss that nobody asked for": Case(
        (1,), [IMAGE, weight(8), mapped((0, 1), 8), mapped((0,), 8)], "M8/8+0>1"
    ),
    # spectra
    "a shift turns a spectrum": Case((3,), SPECTRUM, "P8/8+0>3"),
    "an inverse transform turns back": Case((3,), [IMAGE, fourier(0, 8, inverse=True)], "P8/8+0>5"),
    "half a spectrum": Case((3,), [IMAGE, fourier(0, 5, half=True)], "P5/8+0>3"),
    "half a spectrum of odd size": Case((3,), [image(7), fourier(0, 4, half=True)], "P4/7+0>3"),
    "a spectrum of two periods": Case(
        (1,), [image(4), broadcast(0, (1,), 2, 4), reshape(1, 8), fourier(2, 8)], "P8/8+0>1"
    ),
    "a spectrum of a part": Case(
        (1,), [IMAGE, part(0, 0, 1, 4), fourier(1, 4)], "!part: not a whole period"
    ),
    "a spectrum of what stays": Case((1,), [IMAGE, weight(6), fourier(1, 4, half=True)], "S4/4"),
    "there and back": Case((3,), [*SPECTRUM, fourier(1, 8, inverse=True)], "M8/8+0>3"),
    "a long way there and back": Case((7,), [*SPECTRUM, fourier(1, 8, inverse=True)], "M8/8+0>7"),
    "back and there": Case((3,), [IMAGE, fourier(0, 8, inverse=True), fourier(1, 8)], "M8/8+0>3"),
    "there and there again": Case((3,), [*SPECTRUM, fourier(1, 8)], "M8/8+0>5"),
    "half there and back": Case(
        (3,), [IMAGE, fourier(0, 5, half=True), fourier(1, 8, **BACK)], "M8/8+0>3"
    ),
    "half of odd size there and back": Case(
        (3,), [image(7), fourier(0, 4, half=True), fourier(1, 7, **BACK)], "M7/7+0>3"
    ),
    "back to fewer cells": Case(
        (6,), [IMAGE, fourier(0, 5, half=True), part(1, 0, 1, 3), fourier(2, 4, **BACK)], "M4/4+0>3"
    ),
    "back to fewer cells, a shift by half of one": Case(
        (1,),
        [IMAGE, fourier(0, 5, half=True), part(1, 0, 1, 3), fourier(2, 4, **BACK)],
        "!phase: of period 8 is no shift of 4 cells",
    ),
    "back from other frequencies": Case(
        (2,),
        [*SPECTRUM, part(1, 1, 1, 4), fourier(2, 4, inverse=True)],
        "!phase: of period 8 is no shift of 4 cells",
    ),
    "half a spectrum of a spectrum": Case(
        (1,), [*SPECTRUM, fourier(1, 5, half=True)], "!phase: is no signal, or no spectrum"
    ),
    "back from half a signal": Case(
        (1,), [IMAGE, fourier(0, 14, **BACK)], "!phase: is no signal, or no spectrum"
    ),
    "a spectrum of laps": Case(
        (1,), [image(4), LAPS, fourier(1, 6)], "!phase: is no signal, or no spectrum"
    ),
    "a spectrum beside laps": Case(
        (1,),
        [
            image(4, 3),
            window((0,), (6, 3), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            fourier(1, 6, 3, axis=1),
        ],
        "F6/4>1w0 | S3/3",
    ),
    "real parts beside a spectrum": Case(
        (1,),
        [image(4, 6), fourier(0, 4, 6), fourier(1, 4, 10, axis=1, **BACK)],
        "!phase: the real part of a spectrum is taken",
    ),
    "complex parts beside a spectrum": Case(
        (1,),
        [image(4, 6), fourier(0, 4, 6), fourier(1, 4, 6, axis=1, inverse=True)],
        "P4/4+0>1 | S6/6",
    ),
    "real parts beside what moves": Case(
        (1, 2),
        [PLANE, fourier(0, 4, 4, axis=1, half=True), fourier(1, 4, 6, axis=1, **BACK)],
        "M4/4+0>1 | M6/6+0>2",
    ),
    "a plane there and back": Case(
        (1, 2),
        [
            PLANE,
            fourier(0, 4, 4, axis=1, half=True),
            fourier(1, 4, 4),
            fourier(2, 4, 4, inverse=True),
            fourier(3, 4, 6, axis=1, **BACK),
        ],
        "M4/4+0>1 | M6/6+0>2",
    ),
    "a transform keeps the number of cells": Case(
        (1,), [IMAGE, fourier(0, 7)], "!shape: other frequencies"
    ),
    "half a spectrum has half and one": Case(
        (1,), [IMAGE, fourier(0, 4, half=True)], "!shape: other frequencies"
    ),
    "a transform back from half": Case(
        (1,), [*SPECTRUM, fourier(1, 8, **BACK)], "!shape: other frequencies"
    ),
    "a transform of no axis": Case((1,), [IMAGE, fourier(0, 8, axis=1)], "!shape: not there"),
    "a transform of an axis that goes": Case((1,), [IMAGE, fourier(0)], "!shape: not there"),
    "a spectrum times weights": Case((3,), [*SPECTRUM, weight(8), multiply((2, 1), 8)], "P8/8+0>3"),
    "a spectrum times one weight": Case(
        (3,), [*SPECTRUM, weight(1), multiply((1, 2), 8)], "P8/8+0>3"
    ),
    "a spectrum times itself": Case((3,), [*SPECTRUM, multiply((1, 1), 8)], "P8/8+0>6"),
    "parts of spectra multiply": Case(
        (3,),
        [*SPECTRUM, part(1, 1, 1, 4), part(1, 2, 1, 4), multiply((2, 3), 4)],
        "P4/8+1>6",
    ),
    "a spectrum times its conjugate": Case(
        (3,), [*SPECTRUM, multiply((1, 1), 8, conjugated=(1,))], "S8/8"
    ),
    "a conjugate turns back": Case(
        (3,), [*SPECTRUM, part(1, 1, 1, 4), multiply((2,), 4, conjugated=(0,))], "P4/8+5>5"
    ),
    "a conjugate of what moves": Case(
        (3,), [IMAGE, multiply((0,), 8, conjugated=(0,))], "M8/8+0>3"
    ),
    "a product of what moves": Case((3,), [IMAGE, multiply((0, 0), 8)], "M8/8+0>3"),
    "a product with a table": Case(
        (3,), [IMAGE, weight(8), multiply((0, 1), 8)], "!positions: move by 3 of 8"
    ),
    "a spectrum times what moves": Case(
        (3,), [*SPECTRUM, multiply((1, 0), 8)], "!phase: multiplied by what moves"
    ),
    "spectra of different periods multiply": Case(
        (1,),
        [
            image(8),
            image(16),
            fourier(0, 8),
            fourier(1, 9, half=True),
            part(3, 0, 1, 8),
            multiply((2, 4), 8),
        ],
        "!phase: or by one of another period",
    ),
    "a product of operands of another rank": Case(
        (1,), [IMAGE, weight(1, 8), multiply((0, 1), 8)], "!shape: different rank"
    ),
    "spectra add": Case((3,), [*SPECTRUM, combine((1, 1), 8)], "P8/8+0>3"),
    "what moves adds": Case((3,), [IMAGE, combine((0, 0), 8)], "M8/8+0>3"),
    "a spectrum and its conjugate add": Case(
        (3,),
        [*SPECTRUM, multiply((1,), 8, conjugated=(0,)), combine((1, 2), 8)],
        "!phase: other phases are added",
    ),
    "a spectrum and a weight add": Case(
        (3,), [*SPECTRUM, weight(8), combine((1, 2), 8)], "!phase: other phases are added"
    ),
    "a spectrum and its signal add": Case(
        (3,), [*SPECTRUM, combine((1, 0), 8)], "!phase: other phases are added"
    ),
    "a sum of operands of another rank": Case(
        (1,), [IMAGE, weight(1, 8), combine((0, 1), 8)], "!shape: different rank"
    ),
    "any function of a spectrum": Case((3,), [*SPECTRUM, mapped((1,), 8)], "!phase: is not linear"),
    "a spectrum is repeated": Case((3,), [*SPECTRUM, broadcast(1, (1,), 3, 8)], "S3/1 | P8/8+0>3"),
    "one frequency is not repeated": Case(
        (3,), [*SPECTRUM, part(1, 1, 1, 1), broadcast(2, (0,), 5)], "!cell: meet 5 positions"
    ),
    "a part of a spectrum": Case((3,), [*SPECTRUM, part(1, 2, 1, 3)], "P3/8+6>3"),
    "every other frequency": Case((3,), [*SPECTRUM, part(1, 1, 2, 3)], "P3/8+3>6"),
    "frequencies backwards": Case((3,), [*SPECTRUM, part(1, 7, -1, 8)], "P8/8+5>5"),
    "even frequencies of half a turn": Case((4,), [*SPECTRUM, part(1, 0, 2, 4)], "S4/4"),
    "the mean of a signal": Case((3,), [*SPECTRUM, part(1, 0, 1, 1)], "1"),
    "one frequency": Case((3,), [*SPECTRUM, part(1, 1, 1, 1)], "P1/8+3>0"),
    "frequencies from a list": Case(
        (3,), [*SPECTRUM, pick(1, (0, 1, 3), 3)], "!phase: picked from a list"
    ),
    "spectra are told apart by their place": Case(
        (1, 4),
        [
            image(4, 8, grid=(0, 1)),
            fourier(0, 4, 8, axis=1),
            part(1, 0, 1, 4, 2, axis=1),
            part(1, 2, 1, 4, 2, axis=1),
            part(2, 0, 1, 2, 2),
            part(3, 2, 1, 2, 2),
            concat((4, 5), 4, 2),
        ],
        "!glue: something else than its own signal",
    ),
    "neighbouring frequencies": Case(
        (3,), [*SPECTRUM, part(1, 0, 1, 3), part(1, 3, 1, 5), concat((2, 3), 8)], "P8/8+0>3"
    ),
    "frequencies around 0": Case(
        (3,), [*SPECTRUM, part(1, 4, 1, 4), part(1, 0, 1, 4), concat((2, 3), 8)], "P8/8+4>3"
    ),
    "frequencies behind the mean": Case(
        (3,), [*SPECTRUM, part(1, 0, 1, 1), part(1, 1, 1, 7), concat((2, 3), 8)], "P8/8+0>3"
    ),
    "three parts of a spectrum": Case(
        (3,),
        [*SPECTRUM, part(1, 0, 1, 2), part(1, 2, 1, 1), part(1, 3, 1, 5), concat((2, 3, 4), 8)],
        "P8/8+0>3",
    ),
    "ends of a spectrum that leave a gap": Case(
        (3,),
        [*SPECTRUM, part(1, 0, 1, 3), part(1, 5, 1, 3), concat((2, 3), 6)],
        "!phase: other phases are joined",
    ),
    "a spectrum beside a weight": Case(
        (3,),
        [*SPECTRUM, part(1, 1, 1, 4), weight(2), concat((2, 3), 6)],
        "!phase: other phases are joined",
    ),
    "a spectrum beside its signal": Case(
        (3,), [*SPECTRUM, concat((1, 0), 16)], "!phase: other phases are joined"
    ),
    "spectra side by side": Case(
        (3,), [image(8, 1), fourier(0, 8, 1), concat((1, 1), 8, 2, axis=1)], "P8/8+0>3 | S2/2"
    ),
    "a spectrum and its conjugate side by side": Case(
        (3,),
        [
            image(8, 1),
            fourier(0, 8, 1),
            multiply((1,), 8, 1, conjugated=(0,)),
            concat((1, 2), 8, 2, axis=1),
        ],
        "!phase: other phases are added",
    ),
    "zeros around a spectrum": Case(
        (3,), [*SPECTRUM, ZERO, pad((1, 2), 11, low=2, high=1)], "P11/8+2>3"
    ),
    "the ends of a spectrum cut": Case(
        (3,), [*SPECTRUM, ZERO, pad((1, 2), 5, low=-2, high=-1)], "P5/8+6>3"
    ),
    "a spectrum cut away": Case(
        (3,), [*SPECTRUM, ZERO, pad((1, 2), 1, low=-8)], "!shape: everything is cut away"
    ),
    "other values around a spectrum": Case(
        (3,), [*SPECTRUM, ZERO, pad((1, 2), 11, low=2, high=1, zero=False)], "!fold: than zero"
    ),
    "zeros beside a spectrum": Case(
        (3,),
        [image(8, 1), fourier(0, 8, 1), ZERO, pad((1, 2), 8, 2, axis=1, low=1)],
        "P8/8+0>3 | S2/2",
    ),
    "other values beside a spectrum": Case(
        (3,),
        [image(8, 1), fourier(0, 8, 1), ZERO, pad((1, 2), 8, 2, axis=1, low=1, zero=False)],
        "!fold: than zero",
    ),
    "frequencies pulled apart": Case(
        (3,), [*SPECTRUM, ZERO, pad((1, 2), 15, inner=1)], "!phase: pulled apart"
    ),
    "a window along frequencies": Case(
        (3,), [*SPECTRUM, window((1,), (6,), dim(size=3))], "!phase: runs along frequencies"
    ),
    "a window beside frequencies": Case(
        (3,),
        [image(8, 3), fourier(0, 8, 3), window((1,), (8, 2), dim(axis=1, size=2), kept=((0, 0),))],
        "!phase: is not linear",
    ),
    "a sum beside frequencies": Case(
        (3,), [image(8, 3), fourier(0, 8, 3), mix((1,), (8,), (1,), total=True)], "P8/8+0>3"
    ),
    "a maximum beside frequencies": Case(
        (3,),
        [image(8, 3), fourier(0, 8, 3), mix((1,), (8,), (1,), symmetric=True)],
        "!phase: is not linear",
    ),
    "a sum of frequencies": Case(
        (3,), [*SPECTRUM, mix((1,), (), (0,), symmetric=True, total=True)], "!phase: is not linear"
    ),
    "a spectrum in blocks": Case((2,), [*SPECTRUM, reshape(1, 4, 2)], "!split: cut into blocks"),
    "a spectrum in a loop": Case(
        (3,), [*SPECTRUM, loop((1,), (8,), SAME, carries=1)], "!phase: is not linear"
    ),
    # parts side by side
    "a class token": Case((3,), [*TOKENS], "(1, M8/8+0>3)"),
    "a token behind": Case((3,), [IMAGE, weight(1), concat((0, 1), 9)], "(M8/8+0>3, 1)"),
    "two tokens are one part": Case(
        (3,), [*TOKENS, weight(2), concat((3, 2, 3), 13)], "(S3/3, M8/8+0>3, S2/2)"
    ),
    "tokens of two sizes": Case(
        (2,), [IMAGE, part(0, 0, 2, 4), concat((0, 1), 12)], "(M8/8+0>2, M4/4+0>1)"
    ),
    "a token beside a part": Case(
        (3,),
        [IMAGE, weight(1), part(0, 0, 1, 4), concat((1, 2), 5)],
        "!glue: part of a moving axis is joined",
    ),
    "a token beside a spectrum": Case(
        (3,), [*SPECTRUM, weight(3), concat((1, 2), 11)], "!phase: other phases are joined"
    ),
    "a token beside a plane": Case(
        (1, 2),
        [PLANE, reshape(0, 24), weight(1), concat((2, 1), 25)],
        "(1, M4/4+0>1 M6/6+0>2)",
    ),
    "a token beside a part of a plane": Case(
        (1, 2),
        [PLANE, part(0, 0, 1, 4, 3, axis=1), reshape(1, 12), weight(1), concat((3, 2), 13)],
        "!glue: part of a moving axis is joined",
    ),
    "a token beside laps": Case(
        (1,),
        [image(4), LAPS, weight(2), concat((1, 2), 8)],
        "!glue: part of a moving axis is joined",
    ),
    "a token beside split laps": Case(
        (1,),
        [
            image(4),
            window((0,), (8,), dim(size=5, low=4, high=4), linear=True),
            reshape(1, 2, 4),
            weight(1, 4),
            concat((3, 2), 3, 4),
        ],
        "!glue: part of a moving axis is joined",
    ),
    "channels beside tokens": Case(
        (3,),
        [image(8, 2), weight(1, 2), concat((1, 0), 9, 2)],
        "(1, M8/8+0>3) | S2/2",
    ),
    "tokens that move otherwise in their channels": Case(
        (1, 2),
        [PLANE, weight(1, 6), concat((1, 0), 5, 6)],
        "!positions: move by 2 of 6",
    ),
    "a function of parts": Case((3,), [*TOKENS, mapped((2, 2), 9)], "(1, M8/8+0>3)"),
    "parts and one value": Case((3,), [*TOKENS, weight(1), mapped((3, 2), 9)], "(1, M8/8+0>3)"),
    "parts and flat values": Case(
        (3,), [*TOKENS, constant(9, periods=(1,)), mapped((2, 3), 9)], "(1, M8/8+0>3)"
    ),
    "parts and a position table": Case(
        (3,), [*TOKENS, weight(9), mapped((2, 3), 9)], "!positions: move by 3 of 8"
    ),
    "parts and a table that repeats": Case(
        (3,), [*TOKENS, constant(9, periods=(3,)), mapped((2, 3), 9)], "!positions: move by 3 of 8"
    ),
    "parts and a table that repeats with them": Case(
        (2,),
        [image(4), weight(2), concat((1, 0), 6), constant(6, periods=(2,)), mapped((2, 3), 6)],
        "(S2/2, M4/4+0>2)",
    ),
    "parts of several operands": Case(
        (1,),
        [image(6), FLAT6, concat((0, 1), 12), concat((1, 0), 12), mapped((2, 3), 12)],
        "(M6/6+0>1, M6/6+0>1)",
    ),
    "parts that end elsewhere": Case((1,), CUT, "(S2/1, M2/4+0>1, M2/4+2>1)"),
    "a sum of parts that end elsewhere": Case(
        (1,), [*CUT, mix((6,), (), (0,), symmetric=True)], "!part: not a whole period"
    ),
    "parts are no blocks": Case((3,), [*TOKENS, reshape(2, 3, 3)], "!split: is cut into blocks"),
    "parts merged with channels": Case(
        (3,),
        [image(8, 2), weight(1, 2), concat((1, 0), 9, 2), reshape(2, 18), mapped((3,), 18)],
        "!merge: of several factors",
    ),
    "a token beside parts merged with channels": Case(
        (3,),
        [
            image(8, 2),
            weight(1, 2),
            concat((1, 0), 9, 2),
            reshape(2, 18),
            weight(3),
            concat((3, 4), 21),
        ],
        "!glue: part of a moving axis is joined",
    ),
    "parts are repeated": Case((3,), [*TOKENS, broadcast(2, (1,), 3, 9)], "S3/1 | (1, M8/8+0>3)"),
    "the token": Case((3,), [*TOKENS, part(2, 0, 1, 1)], "1"),
    "all but the token": Case((3,), [*TOKENS, part(2, 1, 1, 8)], "M8/8+0>3"),
    "some cells beside the token": Case((3,), [*TOKENS, part(2, 3, 1, 4)], "M4/8+2>3"),
    "the token and some cells": Case((3,), [*TOKENS, part(2, 0, 1, 4)], "(1, M3/8+0>3)"),
    "the token between some cells": Case(
        (3,),
        [IMAGE, weight(1), concat((0, 1, 0), 17), part(2, 5, 1, 6)],
        "(M3/8+5>3, 1, M2/8+0>3)",
    ),
    "every other cell beside the token": Case((2,), [*TOKENS, part(2, 1, 2, 4)], "M4/4+0>1"),
    "every other cell": Case((2,), [*TOKENS, part(2, 0, 2, 5)], "!glue: of several parts"),
    "cells beside the token, backwards": Case((3,), [*TOKENS, part(2, 8, -1, 8)], "M8/8+0>5"),
    "cells beside the token, picked": Case((2,), [*TOKENS, pick(2, (1, 3, 5, 7), 4)], "M4/4+0>1"),
    "cells beside the token, picked anyhow": Case(
        (1,), [*TOKENS, pick(2, (1, 3, 4, 7), 4)], "!order: without a regular pattern"
    ),
    "a plane beside the token": Case(
        (1, 2),
        [PLANE, reshape(0, 24), weight(1), concat((2, 1), 25), part(3, 1, 1, 24), reshape(4, 4, 6)],
        "M4/4+0>1 | M6/6+0>2",
    ),
    "a part of a plane beside the token": Case(
        (1, 2),
        [PLANE, reshape(0, 24), weight(1), concat((2, 1), 25), part(3, 1, 1, 12)],
        "!merge: of several factors",
    ),
    "a plane beside the token, with another": Case(
        (1, 2),
        [PLANE, reshape(0, 24), weight(1), concat((2, 1), 25), mapped((3, 3), 25)],
        "(1, M4/4+0>1 M6/6+0>2)",
    ),
    "cells taken off the token roll": Case(
        (3,),
        [*TOKENS, part(2, 1, 1, 8), part(3, 3, 1, 5), part(3, 0, 1, 3), concat((4, 5), 8)],
        "M8/8+3>3",
    ),
    "cells of two parts do not glue": Case(
        (3,),
        [
            IMAGE,
            mapped((0,), 8),
            concat((0, 1), 16),
            part(2, 0, 1, 4),
            part(2, 12, 1, 4),
            concat((3, 4), 8),
        ],
        "!glue: part of a moving axis is joined",
    ),
    "cells of two parts beside another axis do not glue": Case(
        (1, 2),
        [
            PLANE,
            mapped((0,), 4, 6),
            concat((0, 1), 8, 6),
            part(2, 0, 1, 4, 6),
            part(2, 4, 1, 4, 6),
            part(3, 0, 1, 4, 3, axis=1),
            part(4, 3, 1, 4, 3, axis=1),
            concat((5, 6), 4, 6, axis=1),
        ],
        "!glue: part of a moving axis is joined",
    ),
    "zeros around parts": Case(
        (3,), [*TOKENS, ZERO, pad((2, 3), 11, low=1, high=1)], "!glue: an axis of several parts"
    ),
    "a window along parts": Case(
        (3,), [*TOKENS, window((2,), (7,), dim(size=3))], "!glue: an axis of several parts"
    ),
    "a spectrum of parts": Case((3,), [*TOKENS, fourier(2, 9)], "!phase: no signal"),
    "a maximum over parts": Case(
        (3,),
        [image(8, 2), weight(1, 2), concat((1, 0), 9, 2), mix((2,), (2,), (0,), symmetric=True)],
        "S2/2",
    ),
    "an ordered function of parts": Case(
        (3,),
        [image(8, 2), weight(1, 2), concat((1, 0), 9, 2), mix((2,), (2,), (0,))],
        "!order: depends on the order of cells",
    ),
    "as many parts as may be": Case((3,), _parts(32), f"({', '.join(['1, M8/8+0>3'] * 32)})"),
    "too many parts": Case((3,), _parts(33), "!parts: an axis has more than 64 parts"),
    "as many parts as may meet": Case(
        (1,), _meeting(1), f"({', '.join(['M2/2+0>1'] + ['M2/2+0>1, 1, M2/2+0>1'] * 21)})"
    ),
    "too many parts meet": Case(
        (1,), _meeting(2), "!parts: axes meet that have more than 64 parts together"
    ),
    "parts in a loop": Case(
        (3,),
        [*TOKENS, loop((2,), (9,), Inner([given(9)], (0,)), carries=1)],
        "(1, M8/8+0>3)",
    ),
    # broadcast, transpose
    "new axes are flat": Case((1,), [IMAGE, broadcast(0, (1,), 3, 8, 2)], "S3/1 | M8/8+0>1 | S2/1"),
    "a broadcast repeats one cell": Case((1,), [IMAGE, weight(1), broadcast(1, (0,), 5)], "S5/1"),
    "a broadcast keeps the order": Case(
        (1, 1), [PLANE, broadcast(0, (1, 0), 6, 4)], "!shape: keeps the order"
    ),
    "a broadcast places every axis": Case(
        (1, 1), [PLANE, broadcast(0, (0,), 4)], "!shape: places every axis"
    ),
    "a broadcast has no axes twice": Case(
        (1, 1), [PLANE, broadcast(0, (0, 0), 4, 6)], "!shape: not there, or twice"
    ),
    "a broadcast has no such axis": Case(
        (1,), [IMAGE, broadcast(0, (-1,), 8)], "!shape: not there, or twice"
    ),
    "one operand, not two": Case(
        (1,),
        [IMAGE, broadcast(0, (0,), 8), ("broadcast", (0, 0), (8,), {"axes": (0,)})],
        "!shape: exactly one operand",
    ),
    "axes trade places": Case((1, 2), [PLANE, transpose(0, (1, 0), 6, 4)], "M6/6+0>2 | M4/4+0>1"),
    "a transposition names every axis": Case(
        (1, 1), [PLANE, transpose(0, (0,), 4)], "!shape: names every axis"
    ),
    "a transposition names axes once": Case(
        (1, 1), [PLANE, transpose(0, (0, 0), 4, 4)], "!shape: or twice"
    ),
    # reshape
    "blocks that divide the step": Case((4,), [IMAGE, reshape(0, 4, 2)], "M4/4+0>2 | S2/2"),
    "blocks that do not divide the step": Case(
        (1,), [IMAGE, reshape(0, 4, 2)], "!split: by 1 of 8 is cut into blocks of 2"
    ),
    "blocks that do not divide the period": Case(
        (4,),
        [image(6), broadcast(0, (1,), 2, 6), reshape(1, 12), reshape(2, 3, 4)],
        "!split: by 4 of 6 is cut into blocks of 4",
    ),
    "blocks of whole periods": Case(
        (1,),
        [image(3), broadcast(0, (1,), 4, 3), reshape(1, 12), reshape(2, 2, 6)],
        "S2/1 | M6/3+0>1",
    ),
    "patches": Case(
        (2, 4),
        [image(4, 8, grid=(0, 1)), reshape(0, 2, 2, 4, 2)],
        "M2/2+0>1 | S2/2 | M4/4+0>2 | S2/2",
    ),
    "tokens": Case((2,), [image(4, 3), reshape(0, 12)], "M12/12+0>6"),
    "pixels repeat and are pooled": Case(
        (1,), [image(4), broadcast(0, (0,), 4, 3), reshape(1, 12)], "M4/4+0>1 S3/1"
    ),
    "tiles are one signal": Case(
        (1,), [image(4), broadcast(0, (1,), 3, 4), reshape(1, 12)], "M12/4+0>1"
    ),
    "two moving axes stay two factors": Case((1, 2), [PLANE, reshape(0, 24)], "M4/4+0>1 M6/6+0>2"),
    "two moving axes come apart": Case(
        (1, 2), [PLANE, reshape(0, 24), reshape(1, 4, 6)], "M4/4+0>1 | M6/6+0>2"
    ),
    "an axis cut across its factors": Case(
        (1, 2), [PLANE, reshape(0, 3, 8)], "!split: cut across its factors, by a block of 3"
    ),
    "factors merge to be cut": Case(
        (1,), [image(4, 3), reshape(0, 6, 2)], "!split: by 3 of 12 is cut into blocks of 2"
    ),
    "merged factors are cut evenly": Case((2,), [image(4, 3), reshape(0, 6, 2)], "M6/6+0>3 | S2/2"),
    "merged factors are cut": Case((2,), [image(4, 3), reshape(0, 2, 6)], "M2/2+0>1 | S6/6"),
    "a reshape with more cells": Case(
        (0,), [IMAGE, reshape(0, 8, 2)], "!shape: more cells than there are"
    ),
    "a reshape with fewer cells": Case(
        (0,), [image(8, 3), reshape(0, 8)], "!shape: leaves cells over"
    ),
    "a table is cut": Case(
        (1,), [IMAGE, constant(12, periods=(6,)), reshape(1, 4, 3)], "S4/2 | S3/3"
    ),
    "a table is cut at its period": Case(
        (1,), [IMAGE, constant(12, periods=(3,)), reshape(1, 2, 6)], "S2/1 | S6/3"
    ),
    "a table is cut elsewhere": Case(
        (1,), [IMAGE, constant(12, periods=(4,)), reshape(1, 2, 6)], "S2/2 | S6/6"
    ),
    "tables merge": Case((1,), [IMAGE, constant(4, 3, periods=(2, 3)), reshape(1, 12)], "S12/6"),
    "a flat axis before a table": Case(
        (1,), [IMAGE, constant(4, 6, periods=(1, 2)), reshape(1, 24)], "S24/2"
    ),
    "a flat axis before a table that breaks off": Case(
        (1,), [IMAGE, constant(4, 5, periods=(1, 2)), reshape(1, 20)], "S20/5"
    ),
    "a moving cell between axes": Case(
        (1, 1),
        [image(4, 3, grid=(0, 1)), part(0, 1, 1, 1, 3), reshape(1, 1, 3), reshape(2, 3)],
        "M1/4+1>1 M3/3+0>1",
    ),
    "a moving cell alone": Case(
        (1,), [image(4, 3), part(0, 1, 1, 1, 3), reshape(1, 1, 1, 3)], "M1/4+1>1 | 1 | S3/3"
    ),
    # take
    "a part of the signal": Case((1,), [IMAGE, part(0, 5, 1, 2)], "M2/8+5>1"),
    "a part of a part": Case((1,), [IMAGE, part(0, 2, 1, 5), part(1, 1, 1, 3)], "M3/8+3>1"),
    "every second": Case((2,), [IMAGE, part(0, 1, 2, 3)], "M3/4+0>1"),
    "every second of an odd step": Case(
        (1,),
        [IMAGE, part(0, 1, 2, 3)],
        "!stride: stride 2 meets a signal of period 8 that moves by 1",
    ),
    "every third": Case((1,), [IMAGE, part(0, 0, 3, 3)], "M3/8+0>3"),
    "backwards": Case((1,), [IMAGE, part(0, 7, -1, 8)], "M8/8+0>7"),
    "one cell again and again": Case((1,), [IMAGE, part(0, 3, 0, 4)], "!stride: stride 0 meets"),
    "a slice that leaves its axis": Case(
        (1,), [IMAGE, part(0, 6, 1, 3)], "!shape: an index leaves its axis"
    ),
    "a slice from before its axis": Case(
        (1,), [IMAGE, part(0, -1, 1, 3)], "!shape: an index leaves its axis"
    ),
    "an index that leaves its axis": Case(
        (1,), [IMAGE, pick(0, (0, 8), 2)], "!shape: an index leaves its axis"
    ),
    "an index of another length": Case(
        (1,), [IMAGE, pick(0, (0, 2, 4), 2)], "!shape: another length"
    ),
    "a take along no axis": Case((1,), [IMAGE, part(0, 0, 1, 2, axis=-1)], "!shape: or twice"),
    "a take that changes the rank": Case(
        (1, 1), [PLANE, part(0, 0, 1, 2)], "!shape: gives shape (2, 6)"
    ),
    "a pattern": Case((4,), [IMAGE, pick(0, (0, 1, 4, 5), 4)], "M4/4+0>2"),
    "a pattern of one cell, repeated": Case(
        (2,), [IMAGE, pick(0, (0, 0, 2, 2, 4, 4), 6)], "M3/4+0>1 S2/1"
    ),
    "a pattern with other steps": Case(
        (2,), [IMAGE, pick(0, (0, 1, 4, 5), 4)], "!stride: stride 4 meets"
    ),
    "a pattern by index": Case((2,), [IMAGE, pick(0, (1, 3, 5, 7), 4)], "M4/4+0>1"),
    "a pattern around the border": Case((1,), [IMAGE, pick(0, (6, 7, 0, 1), 4)], "M4/8+0>1"),
    "no pattern": Case(
        (4,), [IMAGE, pick(0, (0, 1, 4, 6), 4)], "!order: without a regular pattern"
    ),
    "a list of one position": Case(
        (1,), [IMAGE, pick(0, (3,), 1)], "!order: without a regular pattern"
    ),
    "a part of a table": Case((1,), [IMAGE, weight(6), part(1, 1, 1, 3)], "S3/3"),
    "a part of a flat axis": Case(
        (1,), [IMAGE, constant(6, periods=(1,)), pick(1, (3, 0), 2)], "S2/1"
    ),
    "a pattern of a table": Case((1,), [IMAGE, weight(6), pick(1, (3, 0), 2)], "S2/2"),
    "a slice of two factors": Case(
        (1, 2), [PLANE, reshape(0, 24), part(1, 0, 1, 12)], "!merge: moves in its minor part"
    ),
    "a slice of repeated pixels": Case(
        (1,), [image(4), broadcast(0, (0,), 4, 3), reshape(1, 12), part(2, 1, 1, 7)], "M7/12+1>3"
    ),
    # concat
    "a roll": Case(
        (1,), [IMAGE, part(0, 5, 1, 3), part(0, 0, 1, 5), concat((1, 2), 8)], "M8/8+5>1"
    ),
    "circular padding": Case(
        (1,), [IMAGE, part(0, 7, 1, 1), part(0, 0, 1, 1), concat((1, 0, 2), 10)], "M10/8+7>1"
    ),
    "a wrapped slice that is one off": Case(
        (1,),
        [IMAGE, part(0, 6, 1, 1), part(0, 0, 1, 1), concat((1, 0, 2), 10)],
        "!glue: period 8 do not meet end to end",
    ),
    "a gap": Case(
        (1,),
        [IMAGE, part(0, 0, 1, 3), part(0, 4, 1, 4), concat((1, 2), 7)],
        "!glue: do not meet end to end",
    ),
    "another signal": Case(
        (1,),
        [IMAGE, mapped((0,), 8), concat((0, 1), 16)],
        "(M8/8+0>1, M8/8+0>1)",
    ),
    "an axis that stays": Case((1,), [IMAGE, weight(2), concat((0, 1), 10)], "(M8/8+0>1, S2/2)"),
    "an axis that stays comes first": Case(
        (1,), [IMAGE, weight(2), concat((1, 0), 10)], "(S2/2, M8/8+0>1)"
    ),
    "other cells of another axis": Case(
        (1,),
        [
            image(8, 4),
            part(0, 0, 1, 8, 2, axis=1),
            part(0, 2, 1, 8, 2, axis=1),
            concat((1, 2), 16, 2),
        ],
        "(M8/8+0>1, M8/8+0>1) | S2/2",
    ),
    "other cells of another moving axis": Case(
        (1, 1),
        [PLANE, part(0, 0, 1, 4, 2, axis=1), part(0, 2, 1, 4, 2, axis=1), concat((1, 2), 8, 2)],
        "(M4/4+0>1, M4/4+0>1) | M2/6+0>1",
    ),
    "other cells of an earlier moving axis": Case(
        (1, 1),
        [PLANE, part(0, 0, 1, 2, 6), part(0, 2, 1, 2, 6), concat((1, 2), 2, 12, axis=1)],
        "M2/4+0>1 | (M6/6+0>1, M6/6+0>1)",
    ),
    "the same cells of another axis": Case(
        (1, 1),
        [
            PLANE,
            part(0, 1, 1, 2, 6),
            part(1, 0, 1, 2, 3, axis=1),
            part(1, 3, 1, 2, 3, axis=1),
            concat((3, 2), 2, 6, axis=1),
        ],
        "M2/4+1>1 | M6/6+3>1",
    ),
    "channels are joined": Case(
        (1,), [image(8, 2), mapped((0,), 8, 2), concat((0, 1), 8, 4, axis=1)], "M8/8+0>1 | S4/4"
    ),
    "channels of other laws are joined": Case(
        (1, 2),
        [
            image(4, 4, grid=(0, 1)),
            reshape(0, 4, 4, 1),
            transpose(0, (1, 0), 4, 4),
            reshape(2, 4, 4, 1),
            concat((1, 3), 4, 4, 2, axis=2),
        ],
        "!laws: moves by 1 of 4, another by 2 of 4",
    ),
    "joined arrays of different sizes": Case(
        (1,),
        [image(8, 2), weight(1, 2), concat((0, 1), 8, 4, axis=1)],
        "!shape: different sizes are joined",
    ),
    "a join along no axis": Case((1,), [IMAGE, concat((0,), 8, axis=1)], "!shape: or twice"),
    "a join of nothing": Case((1,), [IMAGE, concat((), 8)], "!shape: different rank"),
    "a join with another sum": Case(
        (1,), [IMAGE, weight(3), concat((1, 1), 7)], "!shape: gives shape (6,), not (7,)"
    ),
    # pad
    "holes between the cells": Case(
        (1,), [image(4), ZERO, pad((0, 1), 12, low=1, high=1, inner=2)], "M12/12+11>3"
    ),
    "more around than between, before": Case(
        (1,),
        [image(4), ZERO, pad((0, 1), 12, low=2, inner=1, high=1)],
        "!padding: moves by 1 of 4 is padded",
    ),
    "more around than between, behind": Case(
        (1,),
        [image(4), ZERO, pad((0, 1), 12, low=1, inner=1, high=2)],
        "!padding: moves by 1 of 4 is padded",
    ),
    "cells that are cut": Case((1,), [IMAGE, ZERO, pad((0, 1), 5, low=-1, high=-2)], "M5/8+1>1"),
    "all cells are cut": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 8, low=-4, high=-4)], "!shape: everything is cut away"
    ),
    "zeros around a table": Case(
        (1,), [IMAGE, constant(4, periods=(2,)), ZERO, pad((1, 2), 6, low=1, high=1)], "S6/6"
    ),
    "zeros before a table": Case(
        (1,), [IMAGE, constant(4, periods=(2,)), ZERO, pad((1, 2), 5, low=1)], "S5/5"
    ),
    "zeros behind a table": Case(
        (1,), [IMAGE, constant(4, periods=(2,)), ZERO, pad((1, 2), 5, high=1)], "S5/5"
    ),
    "zeros within a table": Case(
        (1,), [IMAGE, constant(4, periods=(2,)), ZERO, pad((1, 2), 7, inner=1)], "S7/7"
    ),
    "a table is cut on both sides": Case(
        (1,), [IMAGE, constant(8, periods=(2,)), ZERO, pad((1, 2), 5, low=-1, high=-2)], "S5/2"
    ),
    "zeros beside what moves": Case(
        (1,), [image(4, 2), ZERO, pad((0, 1), 4, 3, axis=1, low=1)], "M4/4+0>1 | S3/3"
    ),
    "a padding with a table": Case(
        (1,), [IMAGE, weight(2), pad((0, 1), 8)], "!shape: one scalar value"
    ),
    "a padding with two values": Case(
        (1,), [IMAGE, ZERO, ZERO, pad((0, 1, 2), 8)], "!shape: one scalar value"
    ),
    "cells pulled together": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 1, inner=-1)], "!shape: pulled together"
    ),
    "a padding along no axis": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 8, axis=1)], "!shape: or twice"
    ),
    # windows
    "a window": Case(
        (1,), [IMAGE, weight(3), window((0, 1), (6,), dim(size=3), linear=True)], "M6/8+0>1"
    ),
    "a window of a wrapped signal": Case(
        (1,),
        [
            IMAGE,
            part(0, 7, 1, 1),
            part(0, 0, 1, 1),
            concat((1, 0, 2), 10),
            window((3,), (8,), dim(size=3)),
        ],
        "M8/8+0>1",
    ),
    "a window with a stride": Case(
        (2,), [IMAGE, window((0,), (4,), dim(size=2, stride=2))], "M4/4+0>1"
    ),
    "a stride that does not divide": Case(
        (2,), [image(9), window((0,), (4,), dim(size=2, stride=2))], "M4/9+0>1"
    ),
    "a stride that breaks the step": Case(
        (3,),
        [IMAGE, window((0,), (4,), dim(size=2, stride=2))],
        "!stride: stride 2 meets a signal of period 8 that moves by 3, no multiple of 2",
    ),
    "a window with zeros": Case(
        (1,),
        [IMAGE, window((0,), (8,), dim(size=3, low=1, high=1))],
        "!padding: is padded by foreign",
    ),
    "a weighted sum with zeros": Case(
        (1,),
        [IMAGE, window((0,), (8,), dim(size=3, low=1, high=1), linear=True)],
        "!padding: is padded by foreign",
    ),
    "a window with holes": Case(
        (1,),
        [image(4), window((0,), (6,), dim(size=4, low=1, high=1, base=2), linear=True)],
        "M6/8+0>2",
    ),
    "a dilated window": Case(
        (1,), [IMAGE, window((0,), (4,), dim(size=3, dilation=2))], "M4/8+0>1"
    ),
    "a window with a stride and a dilation": Case(
        (2,), [IMAGE, window((0,), (2,), dim(size=3, stride=2, dilation=2))], "M2/4+0>1"
    ),
    "a window that cuts": Case(
        (1,), [IMAGE, window((0,), (5,), dim(size=2, low=-1, high=-1))], "M5/8+0>1"
    ),
    "a window over a whole period": Case(
        (1,), [image(4), window((0,), (1,), dim(size=4), symmetric=True)], "1"
    ),
    "windows over whole periods": Case(
        (1,),
        [
            image(3),
            broadcast(0, (1,), 4, 3),
            reshape(1, 12),
            window((2,), (3,), dim(size=6, stride=3), symmetric=True),
        ],
        "S3/1",
    ),
    "a window over half a period": Case(
        (1,),
        [image(4), window((0,), (2,), dim(size=2, stride=2), symmetric=True)],
        "!stride: stride 2 meets",
    ),
    "a dilated window over a period": Case(
        (1,),
        [
            image(4),
            broadcast(0, (1,), 2, 4),
            reshape(1, 8),
            window((2,), (2,), dim(size=4, dilation=2), symmetric=True),
        ],
        "M2/4+0>1",
    ),
    "an ordered window over a whole period": Case(
        (1,), [image(4), window((0,), (1,), dim(size=4))], "M1/4+0>1"
    ),
    "a window of a table": Case(
        (1,), [IMAGE, constant(12, periods=(4,)), window((1,), (6,), dim(size=2, stride=2))], "S6/2"
    ),
    "a window of a table with zeros": Case(
        (1,),
        [IMAGE, constant(12, periods=(4,)), window((1,), (7,), dim(size=2, stride=2, low=2))],
        "S7/7",
    ),
    "a window larger than its axis": Case(
        (1,), [IMAGE, window((0,), (1,), dim(size=9))], "!shape: larger than its axis"
    ),
    "a window of no cells": Case(
        (1,), [IMAGE, window((0,), (9,), dim(size=0))], "!shape: at least 1"
    ),
    "a stride of none": Case(
        (1,), [IMAGE, window((0,), (8,), dim(stride=0))], "!shape: at least 1"
    ),
    "a dilation of none": Case(
        (1,), [IMAGE, window((0,), (8,), dim(dilation=0))], "!shape: at least 1"
    ),
    "a base of none": Case((1,), [IMAGE, window((0,), (8,), dim(base=0))], "!shape: at least 1"),
    "a window in two dimensions": Case(
        (2, 1),
        [
            image(2, 4, 6, 3, grid=(1, 2)),
            weight(3, 3, 3, 5),
            window((0, 1), (2, 2, 4, 5), dim(1, size=2, stride=2), dim(2, size=3), kept=((0, 0),)),
        ],
        "S2/2 | M2/2+0>1 | M4/6+0>1 | S5/5",
    ),
    "a window that moves axes": Case(
        (1, 1),
        [image(4, 6, 3, grid=(0, 1)), window((0,), (5, 6, 4), dim(0, out=2), kept=((1, 1),))],
        "S5/5 | M6/6+0>1 | M4/4+0>1",
    ),
    "a window that mixes a moving axis": Case(
        (1, 1),
        [PLANE, window((0,), (4, 6), dim(0))],
        "!contract: all cells of a moving axis are mixed",
    ),
    "a window with a moving kernel": Case(
        (1,), [IMAGE, window((0, 0), (8,), dim(0))], "!contract: used whole is moved"
    ),
    "a window that uses an axis twice": Case(
        (1,), [IMAGE, window((0,), (8, 8), dim(0), kept=((0, 1),))], "!shape: or twice"
    ),
    "a window that makes an axis twice": Case(
        (1, 1), [PLANE, window((0,), (4,), dim(0), kept=((1, 0),))], "!shape: or twice"
    ),
    "a window without an operand": Case(
        (1,), [IMAGE, window((), (8,), dim(0))], "!shape: no operand"
    ),
    "a window that keeps another size": Case(
        (1, 1),
        [image(4, 1, grid=(0, 1)), window((0,), (4, 6), dim(0), kept=((1, 1),))],
        "!shape: gives shape (4, 1)",
    ),
    # folds
    "laps fold": Case((1,), [image(4), LAPS], "F6/4>1w0"),
    "laps with holes fold": Case(
        (1,),
        [image(4), window((0,), (11,), dim(size=3, low=3, high=3, base=2), linear=True)],
        "F11/8>2w0",
    ),
    "fewer zeros before than laps need": Case(
        (1,),
        [image(4), window((0,), (5,), dim(size=3, low=1, high=2), linear=True)],
        "!padding: foreign",
    ),
    "fewer zeros behind than laps need": Case(
        (1,),
        [image(4), window((0,), (5,), dim(size=3, low=2, high=1), linear=True)],
        "!padding: foreign",
    ),
    "laps of a part of a period": Case(
        (1,),
        [IMAGE, part(0, 0, 1, 4), window((1,), (6,), dim(size=3, low=2, high=2), linear=True)],
        "!padding: foreign",
    ),
    "laps with a stride": Case(
        (2,),
        [image(4), window((0,), (3,), dim(size=3, stride=2, low=2, high=2), linear=True)],
        "!padding: foreign",
    ),
    "laps of another function": Case(
        (1,), [image(4), window((0,), (6,), dim(size=3, low=2, high=2))], "!padding: foreign"
    ),
    "laps with dilation fold": Case(
        (1,),
        [image(4), window((0,), (8,), dim(size=3, low=4, high=4, dilation=2), linear=True)],
        "F8/4>1w0",
    ),
}


def _folded(*more: Spec, shift=(1,), expected: str) -> Case:
    laps = window((0,), (6,), dim(size=3, low=2, high=2), linear=True)
    return Case(
        shift, [image(4), ZERO, laps, pad((2, 1), 8, high=2), reshape(3, 2, 4), *more], expected
    )


def _plane(*more: Spec, expected: str) -> Case:
    """Laps along two axes: nodes 1 (9, 12), 2 (3, 3, 3, 4) and more."""
    dims = dim(0, size=3, low=4, high=4), dim(1, size=3, low=5, high=5)
    start = [
        image(3, 4, grid=(0, 1)),
        window((0,), (9, 12), *dims, linear=True),
        reshape(1, 3, 3, 3, 4),
    ]
    return Case((1, 2), [*start, *more], expected)


CASES |= {
    "laps and cells": _folded(expected="F2/4>1l0 | F4/4>1c0"),
    "laps are summed": _folded(
        mix((4,), (4,), (0,), total=True, symmetric=True), expected="M4/4+0>1"
    ),
    "laps are summed by another function": _folded(
        mix((4,), (4,), (0,), symmetric=True), expected="!fold: used before they are summed"
    ),
    "cells are summed": _folded(
        mix((4,), (2,), (1,), total=True, symmetric=True),
        expected="!fold: used before they are summed",
    ),
    "laps and cells are summed": _folded(
        mix((4,), (), (0, 1), total=True, symmetric=True),
        expected="!fold: used before they are summed",
    ),
    "laps are summed into an axis": _folded(
        mix((4,), (1, 4), (0,), outs=(0,), total=True, symmetric=True),
        expected="!fold: used before they are summed",
    ),
    "laps are cells": _folded(
        transpose(4, (1, 0), 4, 2),
        mix((5,), (4,), (1,), total=True, symmetric=True),
        expected="M4/4+0>1",
    ),
    "a function of laps": _folded(
        mapped((4,), 2, 4), expected="!fold: used before they are summed"
    ),
    "laps are cut": _folded(part(4, 0, 1, 1, 4), expected="!fold: cut before they are summed"),
    "cells of laps are cut": _folded(
        part(4, 0, 1, 2, 2, axis=1), expected="!fold: cut before they are summed"
    ),
    "a window of laps": _folded(
        window((4,), (2, 4), dim(0), dim(1), linear=True),
        expected="!fold: used before they are summed",
    ),
    "laps are kept": _folded(
        whole((4,), (2, 4), ((0, 0), (1, 1))), expected="!fold: used before they are summed"
    ),
    "laps are cut again": _folded(
        reshape(4, 2, 2, 2), expected="!fold: laps of 4 are split into 2"
    ),
    "laps of another length": Case(
        (1,),
        [image(4), window((0,), (6,), dim(size=3, low=2, high=2), linear=True), reshape(1, 2, 3)],
        "!fold: laps of 4 are split into 3",
    ),
    "laps are padded by something": Case(
        (1,),
        [
            image(4),
            weight(),
            window((0,), (6,), dim(size=3, low=2, high=2), linear=True),
            pad((2, 1), 8, high=2, zero=False),
        ],
        "!fold: something else than zero",
    ),
    "laps are padded before": Case(
        (1,),
        [
            image(4),
            ZERO,
            window((0,), (6,), dim(size=3, low=2, high=2), linear=True),
            pad((2, 1), 8, low=2),
        ],
        "F8/4>1w0",
    ),
    "laps are cut before": Case(
        (1,),
        [
            image(4),
            ZERO,
            window((0,), (6,), dim(size=3, low=2, high=2), linear=True),
            pad((2, 1), 5, low=-1),
        ],
        "!fold: cut or pulled apart",
    ),
    "laps are cut behind": Case(
        (1,),
        [
            image(4),
            ZERO,
            window((0,), (6,), dim(size=3, low=2, high=2), linear=True),
            pad((2, 1), 5, high=-1),
        ],
        "!fold: cut or pulled apart",
    ),
    "laps are pulled apart": Case(
        (1,),
        [
            image(4),
            ZERO,
            window((0,), (6,), dim(size=3, low=2, high=2), linear=True),
            pad((2, 1), 11, inner=1),
        ],
        "!fold: cut or pulled apart",
    ),
    "laps are padded when split": _folded(
        pad((4, 1), 3, 4, high=1), expected="!fold: cut or pulled apart"
    ),
    "zeros beside laps": Case(
        (1,),
        [
            image(4, 2),
            ZERO,
            window((0,), (6, 2), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            pad((2, 1), 6, 3, axis=1, low=1),
        ],
        "F6/4>1w0 | S3/3",
    ),
    "something beside laps": Case(
        (1,),
        [
            image(4, 2),
            ZERO,
            window((0,), (6, 2), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            pad((2, 1), 6, 3, axis=1, low=1, zero=False),
        ],
        "!fold: something else than zero",
    ),
    "channels are summed before laps": Case(
        (1,),
        [
            image(4, 2),
            window((0,), (6, 2), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            mix((1,), (6,), (1,), total=True, symmetric=True),
        ],
        "F6/4>1w0",
    ),
    "channels are multiplied before laps": Case(
        (1,),
        [
            image(4, 2),
            window((0,), (6, 2), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            mix((1,), (6,), (1,), symmetric=True),
        ],
        "!fold: used before they are summed",
    ),
    "two operands are summed before laps": Case(
        (1,),
        [
            image(4, 2),
            window((0,), (6, 2), dim(size=3, low=2, high=2), kept=((1, 1),), linear=True),
            mix((1, 1), (6,), (1,), total=True, symmetric=True),
        ],
        "!fold: used before they are summed",
    ),
    "laps along two axes": _plane(expected="F3/3>1l0 | F3/3>1c0 | F3/4>2l1 | F4/4>2c1"),
    "laps of one axis are summed": _plane(
        mix((2,), (3, 3, 4), (0,), total=True, symmetric=True),
        expected="M3/3+0>1 | F3/4>2l1 | F4/4>2c1",
    ),
    "laps of both axes are summed": _plane(
        mix((2,), (3, 3, 4), (2,), total=True, symmetric=True),
        mix((3,), (3, 4), (0,), total=True, symmetric=True),
        expected="M3/3+0>1 | M4/4+0>2",
    ),
    "laps are joined to nothing": Case(
        (1,),
        [image(4), window((0,), (6,), dim(size=3, low=2, high=2), linear=True), concat((1,), 6)],
        "!glue: part of a moving axis is joined",
    ),
    "laps are joined": Case(
        (1,),
        [image(4), window((0,), (6,), dim(size=3, low=2, high=2), linear=True), concat((1, 1), 12)],
        "!glue: part of a moving axis is joined",
    ),
    # mixtures
    "a sum over a period": Case((1,), [image(8, 3), mix((0,), (3,), (0,), symmetric=True)], "S3/3"),
    "a sum over a channel": Case((1,), [image(8, 3), mix((0,), (8,), (1,))], "M8/8+0>1"),
    "a sum over several periods": Case(
        (1,),
        [image(3), broadcast(0, (1,), 4, 3), reshape(1, 12), mix((2,), (), (0,), symmetric=True)],
        "",
    ),
    "a sum over a part": Case(
        (1,),
        [IMAGE, part(0, 0, 1, 6), mix((1,), (), (0,), symmetric=True)],
        "!part: not a whole period",
    ),
    "an ordered mixture": Case((1,), [IMAGE, mix((0,), (), (0,))], "!order: depends on the order"),
    "a mixture of two axes": Case((1, 1), [PLANE, mix((0,), (), (0, 1), symmetric=True)], ""),
    "a mixture of two axes, one in part": Case(
        (1, 1),
        [PLANE, part(0, 0, 1, 4, 5, axis=1), mix((1,), (), (0, 1), symmetric=True)],
        "!part: not a whole period",
    ),
    "a sorted axis": Case(
        (1,), [image(8, 3), mix((0,), (8, 3), (0,), outs=(0,), symmetric=True)], "S8/8 | S3/3"
    ),
    "a running sum along a channel": Case(
        (1,), [image(8, 3), mix((0,), (8, 3), (1,), outs=(1,))], "M8/8+0>1 | S3/3"
    ),
    "two operands mixed": Case(
        (1,), [image(8), mapped((0,), 8), mix((0, 1), (), (0,), symmetric=True)], ""
    ),
    "two operands mixed, one repeated": Case(
        (1,), [image(8), weight(1), mix((1, 0), (), (0,), symmetric=True)], ""
    ),
    "two operands of other laws mixed": Case(
        (1,),
        [image(8), weight(8), mix((0, 1), (), (0,), symmetric=True)],
        "!positions: move by 1 of 8",
    ),
    "two operands of other laws beside a mixture": Case(
        (1,),
        [image(8, 2), weight(8, 2), mix((0, 1), (8,), (1,), symmetric=True)],
        "!positions: move by 1 of 8",
    ),
    "a mixture of a missing axis": Case((1,), [IMAGE, mix((0,), (8,), (1,))], "!shape: or twice"),
    "a mixture that makes a missing axis": Case(
        (1,), [image(8, 2), mix((0,), (8, 2), (1,), outs=(2,))], "!shape: or twice"
    ),
    "a mixture that loses an axis": Case(
        (1,), [image(8, 2), mix((0,), (), (1,))], "!shape: loses or makes axes"
    ),
    "a mixture of nothing": Case((1,), [IMAGE, mix((), (), ())], "!shape: different rank"),
    "a mixture of different ranks": Case(
        (1,), [IMAGE, weight(), mix((0, 1), (), (0,))], "!shape: different rank"
    ),
    "a moving axis with a table inside": Case(
        (1,), [image(4), broadcast(0, (1,), 2, 4), mix((1,), (), (0, 1), symmetric=True)], ""
    ),
    # whole
    "a dense layer": Case(
        (1,), [image(8, 3), weight(3, 5), whole((0, 1), (8, 5), ((0, 0),))], "M8/8+0>1 | S5/5"
    ),
    "a dense layer over places": Case(
        (1,),
        [image(8, 3), weight(8, 5), whole((0, 1), (3, 5), ((1, 0),))],
        "!contract: moving axis are mixed",
    ),
    "a moving table": Case(
        (1,), [IMAGE, whole((0, 0), (8,), ((0, 0),))], "!contract: used whole is moved"
    ),
    "kept twice": Case(
        (1, 1), [image(4, 4, grid=(0, 1)), whole((0,), (4,), ((0, 0), (1, 0)))], "!shape: or twice"
    ),
    "kept at a missing place": Case(
        (1,), [IMAGE, whole((0,), (8,), ((0, -1),))], "!shape: or twice"
    ),
    "kept from a missing place": Case(
        (1,), [IMAGE, whole((0,), (8,), ((-1, 0),))], "!shape: or twice"
    ),
}

NEXT = Inner([given(8), mapped((0,), 8)], (1,))
ROLLED = Inner([given(8), part(0, 7, 1, 1), part(0, 0, 1, 7), concat((1, 2), 8)], (3,))
TWO = Inner([given(8), given(8), mapped((0,), 8), mapped((0, 1), 8)], (2, 3))
SUMMED = Inner([given(8), given(), mapped((0,), 8), mix((0,), (), (0,), symmetric=True)], (2, 3))
TEST = Inner([given(8), given(), mapped((1,))], (2,))


HALVES = Inner([given(8), given(8), part(0, 0, 1, 4), part(1, 4, 1, 4), concat((2, 3), 8)], (4, 1))
HALVES_THEN = Inner([*HALVES.nodes, given(8)], (4,))


def _deep(levels: int) -> Spec:
    body = NEXT
    for _ in range(levels):
        body = Inner([given(8), loop((0,), (8,), body, carries=1)], (1,))
    return loop((0,), (8,), body, carries=1)


def _rotation(others: int, expected: str) -> Case:
    """Flat carries that each become the next one, behind the image: one round each until all move."""
    count = others + 1
    start = [image(2), *[constant(2, periods=(1,))] * others]
    body = Inner([given(2)] * count, (*range(1, count), 0))
    return Case((1,), [*start, loop(tuple(range(count)), (2,), body, carries=count)], expected)


def _patient(levels: int) -> Spec:
    """Loops in loops, each of which weakens its carries for as long as it may."""
    others = 14
    start = [*[given(2)] * (others + 1)]
    turned: list[Spec] = [*start]
    if levels:
        turned += [_patient(levels - 1)] + [mapped((i,), 2) for i in range(1, others + 1)]
        outputs = (*range(others + 2, 2 * others + 2), others + 1)
    else:
        outputs = (*range(1, others + 1), 0)
    return loop(tuple(range(others + 1)), (2,), Inner(turned, outputs), carries=others + 1)


def _patience(levels: int, expected: str) -> Case:
    return Case((1,), [image(2), *[constant(2, periods=(1,))] * 14, _patient(levels)], expected)


CASES |= {
    # loops
    "a carry keeps its law": Case((1,), [IMAGE, loop((0,), (8,), NEXT, carries=1)], "M8/8+0>1"),
    "a carry is rolled": Case((1,), [IMAGE, loop((0,), (8,), ROLLED, carries=1)], "M8/8+0>1"),
    "a carry that starts still and then moves": Case(
        (1,),
        [IMAGE, constant(8, periods=(1,)), loop((0, 1), (8,), TWO, carries=2, result=1)],
        "M8/8+0>1",
    ),
    "a carry that starts as a table": Case(
        (1,), [IMAGE, weight(8), loop((0, 1), (8,), TWO, carries=2, result=1)], "!positions: (map)"
    ),
    "a lost carry that nobody asked for": Case(
        (1,), [IMAGE, weight(8), loop((0, 1), (8,), TWO, carries=2, result=0)], "M8/8+0>1"
    ),
    "an operand without a fact that nobody needs": Case(
        (1,),
        [IMAGE, weight(8), mapped((0, 1), 8), loop((0, 2), (8,), TWO, carries=2, result=0)],
        "M8/8+0>1",
    ),
    "an operand without a fact that is needed": Case(
        (1,),
        [IMAGE, weight(8), mapped((0, 1), 8), loop((0, 2), (8,), TWO, carries=2, result=1)],
        "!positions: by 1 of 8",
    ),
    "a constant of a loop": Case(
        (1,),
        [
            IMAGE,
            loop(
                (0, 0),
                (8,),
                Inner([given(8), given(8), mapped((0, 1), 8)], (2,)),
                constants=1,
                carries=1,
            ),
        ],
        "M8/8+0>1",
    ),
    "a stacked result": Case(
        (1,),
        [IMAGE, loop((0,), (3, 8), Inner(NEXT.nodes, (1, 1)), carries=1, result=1)],
        "S3/3 | M8/8+0>1",
    ),
    "a stacked result without rounds": Case(
        (1,),
        [IMAGE, loop((0,), (8,), Inner(NEXT.nodes, (1, 1)), carries=1, result=1)],
        "!shape: gives shape (8, 8)",
    ),
    "a stacked scalar without an axis": Case(
        (1,),
        [
            IMAGE,
            loop(
                (0,),
                (),
                Inner([given(8), mix((0,), (), (0,), symmetric=True)], (0, 1)),
                carries=1,
                result=1,
            ),
        ],
        "!shape: axis of its rounds",
    ),
    "a sliced operand": Case(
        (1,),
        [
            IMAGE,
            weight(3, 8),
            broadcast(0, (1,), 3, 8),
            loop((0, 2), (8,), Inner([given(8), given(8), mapped((0, 1), 8)], (2,)), carries=1),
        ],
        "M8/8+0>1",
    ),
    "a sliced table": Case(
        (1,),
        [
            IMAGE,
            weight(3, 8),
            loop((0, 1), (8,), Inner([given(8), given(8), mapped((0, 1), 8)], (2,)), carries=1),
        ],
        "!positions: by 1 of 8 (map)",
    ),
    "a loop along a moving axis": Case(
        (1,),
        [IMAGE, loop((0,), (8,), Inner([given()], (0,)), result=0)],
        "!order: runs along a moving axis",
    ),
    "a slice that nobody needs": Case(
        (1,), [IMAGE, loop((0, 0), (8,), Inner([given(8), given()], (0,)), carries=1)], "M8/8+0>1"
    ),
    "a scalar cannot be sliced": Case(
        (1,),
        [
            IMAGE,
            weight(),
            loop((0, 1), (3, 8), Inner([given(8), given()], (0, 1)), carries=1, result=1),
        ],
        "!order: runs along",
    ),
    "a sum that is carried": Case(
        (1,), [IMAGE, ZERO, loop((0, 1), (), SUMMED, carries=2, result=1)], ""
    ),
    "a test that stays": Case(
        (1,), [IMAGE, ZERO, loop((0, 1), (8,), SUMMED, carries=2, test=TEST)], "M8/8+0>1"
    ),
    "a test that moves": Case(
        (1,),
        [IMAGE, loop((0,), (8,), NEXT, carries=1, test=NEXT)],
        "!contract: decided by is moved",
    ),
    "a test without a fact": Case(
        (1,),
        [
            IMAGE,
            weight(8),
            loop(
                (0, 1),
                (8,),
                TWO,
                carries=2,
                test=Inner([given(8), given(8), mapped((1,), 8)], (2,)),
            ),
        ],
        "!positions: by 1 of 8",
    ),
    "two tests": Case(
        (1,),
        [IMAGE, ZERO, loop((0, 1), (8,), SUMMED, carries=2, test=Inner(TEST.nodes, (1, 2)))],
        "!shape: a choice is one value",
    ),
    "a carry that changes its shape": Case(
        (1,),
        [IMAGE, loop((0,), (8,), Inner([given(8), part(0, 0, 1, 7)], (1,)), carries=1)],
        "!shape: stand for one differ in shape",
    ),
    "a carry that weakens round by round": Case(
        (6,),
        [
            image(12),
            constant(12, periods=(1,)),
            constant(12, periods=(2,)),
            constant(12, periods=(3,)),
            loop(
                (0, 1, 2, 3),
                (12,),
                Inner(
                    [given(12)] * 4 + [mapped((0, 1), 12), mapped((1, 2), 12), mapped((2, 3), 12)],
                    (4, 5, 6, 3),
                ),
                carries=4,
            ),
        ],
        "M12/12+0>6",
    ),
    "a carry that weakens long enough": _rotation(15, "M2/2+0>1"),
    "a carry that weakens too long": _rotation(16, "!loop: keeps no fact within 16 rounds"),
    "loops in loops that take long": _patience(2, "M2/2+0>1"),
    "loops in loops that take too long": _patience(3, "!budget: need more than 200000 steps"),
    "loops in loops that settle at once": Case((1,), [IMAGE, _deep(6)], "M8/8+0>1"),
    "a loop with too few operands": Case(
        (1,), [IMAGE, loop((0,), (8,), NEXT, constants=1, carries=1)], "!shape: fewer operands"
    ),
    "a loop with negative constants": Case(
        (1,), [IMAGE, loop((0,), (8,), NEXT, constants=-1, carries=1)], "!shape: fewer operands"
    ),
    "a loop with negative carries": Case(
        (1,), [IMAGE, loop((0,), (8,), NEXT, constants=1, carries=-1)], "!shape: fewer operands"
    ),
    "a loop with more carries than outputs": Case(
        (1,), [IMAGE, loop((0, 0), (8,), NEXT, carries=2)], "!shape: fewer operands"
    ),
    "a loop without the result": Case(
        (1,), [IMAGE, loop((0,), (8,), NEXT, carries=1, result=1)], "!shape: lacks the result"
    ),
    "a loop with a negative result": Case(
        (1,), [IMAGE, loop((0,), (8,), NEXT, carries=1, result=-1)], "!shape: lacks the result"
    ),
    "a body with more inputs": Case(
        (1,), [IMAGE, loop((0,), (8,), TWO, carries=1)], "!shape: another number of inputs"
    ),
    "a body with other shapes": Case(
        (1,),
        [IMAGE, loop((0,), (8,), Inner([given(4), mapped((0,), 4)], (1,)), carries=1)],
        "!shape: not (4,) (input)",
    ),
    "a body with a constant": Case(
        (2,),
        [
            IMAGE,
            loop(
                (0,),
                (8,),
                Inner([given(8), constant(8, periods=(2,)), mapped((0, 1), 8)], (2,)),
                carries=1,
            ),
        ],
        "M8/8+0>2",
    ),
    "carries are told apart": Case(
        (1,),
        [IMAGE, loop((0, 0), (8,), HALVES, carries=2)],
        "!glue: something else than its own signal",
    ),
    "constants are told apart": Case(
        (1,),
        [IMAGE, mapped((0,), 8), loop((0, 1, 0), (8,), HALVES_THEN, constants=2, carries=1)],
        "!glue: something else than its own signal",
    ),
    "a constant given twice is one signal": Case(
        (1,), [IMAGE, loop((0, 0, 0), (8,), HALVES_THEN, constants=2, carries=1)], "M8/8+0>1"
    ),
    "slices are told apart": Case(
        (1,),
        [
            *(IMAGE, broadcast(0, (1,), 3, 8), mapped((1,), 3, 8)),
            loop((1, 2), (3, 8), Inner(HALVES.nodes, (4,))),
        ],
        "!glue: something else than its own signal",
    ),
    "operands of a branch are told apart": Case(
        (1,),
        [IMAGE, mapped((0,), 8), ZERO, branch((2, 0, 1), (8,), [Inner(HALVES.nodes, (4,))])],
        "!glue: something else than its own signal",
    ),
    "an operand given twice to a branch is one signal": Case(
        (1,), [IMAGE, ZERO, branch((1, 0, 0), (8,), [Inner(HALVES.nodes, (4,))])], "M8/8+0>1"
    ),
    "a loop's result is told apart from its operand": Case(
        (1,),
        [
            *(IMAGE, loop((0,), (8,), NEXT, carries=1)),
            *(part(0, 0, 1, 4), part(1, 4, 1, 4), concat((2, 3), 8)),
        ],
        "!glue: something else than its own signal",
    ),
    "a branch's result is told apart from its operand": Case(
        (1,),
        [
            *(IMAGE, ZERO, branch((1, 0), (8,), [SAME])),
            *(part(0, 0, 1, 4), part(2, 4, 1, 4), concat((3, 4), 8)),
        ],
        "!glue: something else than its own signal",
    ),
    # branches
    "branches that agree": Case(
        (1,), [IMAGE, ZERO, branch((1, 0), (8,), [NEXT, ROLLED])], "M8/8+0>1"
    ),
    "branches of a table": Case(
        (1,),
        [IMAGE, ZERO, branch((1, 0), (8,), [NEXT, Inner([given(8), weight(8)], (1,))])],
        "!positions: by 1 of 8",
    ),
    "branches with a flat one": Case(
        (1,),
        [
            IMAGE,
            ZERO,
            branch((1, 0), (8,), [NEXT, Inner([given(8), constant(8, periods=(1,))], (1,))]),
        ],
        "M8/8+0>1",
    ),
    "a choice that moves": Case(
        (1,), [IMAGE, branch((0, 0), (8,), [NEXT])], "!contract: decided by is moved"
    ),
    "a choice without a fact": Case(
        (1,),
        [IMAGE, weight(8), mapped((0, 1), 8), branch((2, 0), (8,), [NEXT])],
        "!positions: by 1 of 8",
    ),
    "no choice": Case(
        (1,), [IMAGE, branch((), (8,), [Inner([weight(8)], (0,))])], "!shape: a choice is one value"
    ),
    "a branch without the result": Case(
        (1,),
        [IMAGE, ZERO, branch((1, 0), (8,), [NEXT, Inner(NEXT.nodes, (1, 1))], result=1)],
        "!shape: lacks the result",
    ),
    "a branch with a negative result": Case(
        (1,), [IMAGE, ZERO, branch((1, 0), (8,), [NEXT], result=-1)], "!shape: lacks the result"
    ),
    "the second result of a branch": Case(
        (1,),
        [
            IMAGE,
            ZERO,
            branch(
                (1, 0),
                (),
                [Inner([given(8), mix((0,), (), (0,), symmetric=True)], (0, 1))],
                result=1,
            ),
        ],
        "",
    ),
    "a branch without bodies": Case(
        (1,), [IMAGE, ZERO, branch((1, 0), (8,), [])], "!shape: lacks the result"
    ),
    "a branch that loses": Case(
        (1,),
        [
            IMAGE,
            ZERO,
            branch((1, 0), (8,), [Inner([given(8), weight(8), mapped((0, 1), 8)], (2,)), NEXT]),
        ],
        "!positions: by 1 of 8 (map)",
    ),
    "branches of different shapes": Case(
        (1,),
        [IMAGE, ZERO, branch((1, 0), (8,), [NEXT, Inner([given(8), part(0, 0, 1, 7)], (1,))])],
        "!shape: differ in shape",
    ),
    # sizes
    "a period that grows": Case(
        (0,), [image(1), *[window((i,), (1,), dim(base=2**30)) for i in range(2)]], "1"
    ),
    "a moving period that grows": Case(
        (1,),
        [image(2), part(0, 0, 1, 1), *[window((i + 1,), (1,), dim(base=2**24)) for i in range(3)]],
        "!size: larger than 2^48",
    ),
}

CASES |= {
    "a cut between factors": Case(
        (1,), [image(4, 3), part(0, 1, 1, 1, 3), reshape(1, 1, 1, 3)], "M1/4+1>1 | 1 | S3/3"
    ),
    "a moving cell behind an axis": Case(
        (1,),
        [image(4, 3, grid=(1,)), part(0, 1, 1, 4, 1, axis=1), reshape(1, 4, 1)],
        "S4/4 | M1/3+1>1",
    ),
    "an axis cut nowhere": Case(
        (1,), [IMAGE, reshape(0, 3, 2)], "!split: cut across its factors, by a block of 3"
    ),
    "flat meets two factors": Case(
        (1, 2),
        [PLANE, reshape(0, 24), constant(24, periods=(1,)), mapped((2, 1), 24)],
        "M4/4+0>1 M6/6+0>2",
    ),
    "a table meets two factors": Case(
        (1, 0),
        [PLANE, reshape(0, 24), constant(24, periods=(6,)), mapped((2, 1), 24)],
        "M24/24+0>6",
    ),
    "factors of other sizes meet": Case(
        (1, 1),
        [PLANE, reshape(0, 24), transpose(0, (1, 0), 6, 4), reshape(2, 24), mapped((1, 3), 24)],
        "!positions: factors of sizes 6 and 4 meet",
    ),
    "a moving cell meets a scalar": Case(
        (1,), [IMAGE, part(0, 3, 1, 1), weight(1), mapped((1, 2), 1)], "M1/8+3>1"
    ),
    "a period as long as may be": Case(
        (1,),
        [image(2), part(0, 0, 1, 1), window((1,), (1,), dim(base=2**47))],
        f"M1/{2**48}+0>{2**47}",
    ),
    "rolls of too few axes": Case(
        (1,),
        [IMAGE, constant(4, 4, rolls=((1,),))],
        "!constant: unchanged by the roll (1,)",
        {1: (1,)},
    ),
    "a roll that needs an inverse": Case(
        (1,), [IMAGE, constant(8, rolls=((3,),))], "M8/8+0>1", {1: (1,)}
    ),
    "strided parts do not glue": Case(
        (2,),
        [IMAGE, part(0, 0, 2, 4), part(0, 1, 2, 4), concat((1, 2), 8)],
        "(M4/4+0>1, M4/4+0>1)",
    ),
    "picked channels do not glue": Case(
        (1,),
        [
            image(8, 4),
            pick(0, (0, 1), 8, 2, axis=1),
            pick(0, (2, 3), 8, 2, axis=1),
            concat((1, 2), 16, 2),
        ],
        "(M8/8+0>1, M8/8+0>1) | S2/2",
    ),
    "a pattern of two cells": Case((2,), [IMAGE, pick(0, (0, 2), 2)], "M2/4+0>1"),
    "holes of any value": Case(
        (1,), [image(4), ZERO, pad((0, 1), 8, inner=1, high=1, zero=False)], "M8/8+0>2"
    ),
    "a weighted sum of a table": Case(
        (1,),
        [IMAGE, weight(4), window((1,), (6,), dim(size=3, low=2, high=2), linear=True)],
        "S6/6",
    ),
    "a weighted sum of one cell": Case(
        (1,), [image(4), window((0,), (4,), dim(size=1), linear=True)], "M4/4+0>1"
    ),
    "laps of two cells": Case(
        (1,), [image(4), window((0,), (5,), dim(size=2, low=1, high=1), linear=True)], "F5/4>1w0"
    ),
    "a table meets two moving factors": Case(
        (1, 3),
        [PLANE, reshape(0, 24), constant(24, periods=(3,)), mapped((2, 1), 24)],
        "M4/4+0>1 M6/6+0>3",
    ),
    "holes in a part": Case(
        (1,), [IMAGE, part(0, 2, 1, 3), ZERO, pad((1, 2), 6, inner=1, high=1)], "M6/16+4>2"
    ),
    "a window at every place of a table": Case(
        (1,), [IMAGE, constant(12, periods=(4,)), window((1,), (11,), dim(size=2))], "S11/4"
    ),
    "slices without a fact": Case(
        (1,),
        [
            IMAGE,
            weight(3, 8),
            broadcast(0, (1,), 3, 8),
            mapped((1, 2), 3, 8),
            loop((0, 3), (8,), Inner([given(8), given(8), mapped((0, 1), 8)], (2,)), carries=1),
        ],
        "!positions: by 1 of 8",
    ),
}

# selections: 8 cells of which every second is picked
PICKED = [IMAGE, select((0,), (4,))]
GRID = image(4, 6, 2, grid=(0, 1))
PLANES = [GRID, select((0,), (2, 3, 2), (0, 1), (2, 2))]
WANDERS = "~1: M4/4+0>1"


def _total(source: int) -> Spec:
    return mix((source,), (), (0,), symmetric=True)


CHOSEN: dict[str, Case] = {
    "what is picked wanders": Case((1,), PICKED, WANDERS),
    "by whole strides too": Case((2,), PICKED, WANDERS),
    "what stays is picked and stays": Case((0,), PICKED, "S4/4"),
    "along every axis, whichever moves": Case(
        (0, 1), PLANES, "~1: M2/2+0>1 | S3/3 | S2/2; S2/2 | M3/3+0>1 | S2/2"
    ),
    "components of one cell stay": Case((1,), [IMAGE, select((0,), (1,), strides=(8,))], "1"),
    "components of one cell along one axis": Case(
        (1, 1),
        [GRID, select((0,), (1, 3, 2), (0, 1), (4, 2))],
        "~1: 1 | S3/3 | S2/2; 1 | M3/3+0>1 | S2/2",
    ),
    "a stride of 1": Case((1,), [IMAGE, select((0,), (8,), strides=(1,))], "~1: M8/8+0>1"),
    "channels keep their periods": Case(
        (1,),
        [
            image(4, 6),
            broadcast(0, (0, 1), 4, 6),
            broadcast(1, (0, 2), 4, 3, 6),
            select((2,), (2, 3, 6)),
        ],
        "~3: M2/2+0>1 | S3/1 | S6/6",
    ),
    "several periods are cut": Case(
        (1,),
        [image(4), broadcast(0, (1,), 2, 4), reshape(1, 8), select((2,), (4,))],
        "~3: M4/4+0>1",
    ),
    "a part of a period is cut": Case(
        (1,), [IMAGE, part(0, 0, 1, 4), select((1,), (2,))], "!part: not whole periods"
    ),
    "a period and a half is cut": Case(
        (1,),
        [image(4), window((0,), (6,), dim(size=3, low=2, high=2), linear=True), select((1,), (3,))],
        "!glue: no signal alone",
    ),
    "a spectrum is cut": Case((1,), [*SPECTRUM, select((1,), (4,))], "!glue: no signal alone"),
    "parts are cut": Case(
        (1,), [*TOKENS, select((2,), (3,), strides=(3,))], "!glue: no signal alone"
    ),
    "an axis of two factors is cut": Case(
        (1, 1),
        [image(4, 6, grid=(0, 1)), reshape(0, 24), select((1,), (12,))],
        "!merge: several factors",
    ),
    "a selection along a part of the axes that move": Case(
        (0, 1), [GRID, select((0,), (2, 6, 2))], "!contract: one component for all positions"
    ),
    "a stride that does not divide the cells": Case(
        (1,), [IMAGE, select((0,), (2,), strides=(3,))], "!shape: stride 3 of a selection does not"
    ),
    "a stride that divides the period only": Case(
        (1,),
        [image(3), broadcast(0, (1,), 3, 3), reshape(1, 9), select((2,), (3,), strides=(3,))],
        "~3: M3/3+0>1",
    ),
    "no stride": Case((1,), [IMAGE, select((0,), (8,), strides=(0,))], "!shape: at least 1"),
    "a stride backwards": Case(
        (1,), [IMAGE, select((0,), (8,), strides=(-1,))], "!shape: at least"
    ),
    "a stride too few": Case(
        (1,), [IMAGE, select((0,), (8,), strides=())], "!shape: stride for each"
    ),
    "a stride too many": Case(
        (1,), [IMAGE, select((0,), (4,), strides=(2, 2))], "!shape: a stride for each"
    ),
    "a selection along no axis": Case(
        (1,), [IMAGE, select((0,), (8,), (), ())], "!shape: some axes"
    ),
    "a selection along an axis that is not there": Case(
        (1,), [IMAGE, select((0,), (4,), (1,))], "!shape: are not there"
    ),
    "a selection of nothing": Case((1,), [IMAGE, select((), (4,))], "!shape: no operand"),
    "a selection of another shape": Case(
        (1,), [IMAGE, select((0,), (4, 1))], "!shape: gives shape (4,)"
    ),
    "a selection of another size": Case(
        (1,), [IMAGE, select((0,), (3,))], "!shape: gives shape (4,)"
    ),
    "weights of a score": Case((1,), [IMAGE, weight(3), select((0, 1), (4,))], "~2: M4/4+0>1"),
    "weights of a score that the image makes": Case(
        (1,), [IMAGE, _total(0), select((0, 1), (4,))], "~2: M4/4+0>1"
    ),
    "weights of a score that move": Case(
        (1,), [IMAGE, select((0, 0), (4,))], "!contract: used whole is moved"
    ),
    "weights of a score that wander": Case(
        (1,),
        [*PICKED, weight(8), select((2, 1), (4,))],
        "!contract: used whole is moved",
    ),
    # behind a selection
    "a function of what wanders": Case((1,), [*PICKED, mapped((1, 1), 4)], WANDERS),
    "a sum of what wanders stays": Case((1,), [*PICKED, _total(1)], ""),
    "what stays again meets the image": Case(
        (1,),
        [*PICKED, _total(1), reshape(2, 1), mapped((0, 3), 8)],
        "M8/8+0>1",
    ),
    "what wanders meets what stays": Case(
        (1,), [*PICKED, _total(0), reshape(2, 1), mapped((1, 3), 4)], WANDERS
    ),
    "what wanders meets a table": Case(
        (1,), [*PICKED, weight(4), mapped((1, 2), 4)], "!positions: move by 1 of 4"
    ),
    "what wanders meets a table along one axis": Case(
        (1, 0),
        [*PLANES, weight(2, 1, 1), mapped((1, 2), 2, 3, 2)],
        "!positions: move by 1 of 2",
    ),
    "what wanders meets a table along the other axis": Case(
        (1, 0),
        [*PLANES, weight(1, 3, 1), mapped((1, 2), 2, 3, 2)],
        "!positions: move by 1 of 3",
    ),
    "what wanders meets the image": Case(
        (1,),
        [*PICKED, part(0, 0, 2, 4), image(4), mapped((1, 3), 4)],
        "!wanders: meets values that move with the image",
    ),
    "the image meets what wanders": Case(
        (1,),
        [*PICKED, image(4), mapped((2, 1), 4)],
        "!wanders: meets values that move with the image",
    ),
    "what wanders meets what is lost": Case(
        (1,), [*PICKED, part(0, 0, 2, 4), mapped((1, 2), 4)], "!stride: stride 2 meets"
    ),
    "what wanders is joined to what is lost": Case(
        (1,), [*PICKED, part(0, 0, 2, 4), concat((1, 2), 8)], "!stride: stride 2 meets"
    ),
    "what wanders is joined to the image": Case(
        (1,), [*PICKED, concat((1, 0), 12)], "!wanders: meets values that move with the image"
    ),
    "what wanders is joined to what stays": Case(
        (1,), [*PICKED, weight(1), concat((2, 1), 5)], "~1: (1, M4/4+0>1)"
    ),
    "what wanders is wrapped": Case(
        (1,), [*PICKED, part(1, 3, 1, 1), concat((2, 1), 5)], "~1: M5/4+3>1"
    ),
    "two selections meet": Case(
        (1,),
        [*PICKED, select((0,), (4,)), mapped((1, 2), 4)],
        "!wanders: meets what another one picked",
    ),
    "two selections meet in their sums": Case(
        (1,),
        [*PICKED, _total(1), select((0,), (4,)), _total(3), mapped((2, 4))],
        "",
    ),
    "one selection by two ways": Case(
        (1,),
        [*PICKED, window((1,), (4,), dim()), mapped((1, 2), 4)],
        WANDERS,
    ),
    "one selection backwards and forwards": Case(
        (1,),
        [*PICKED, part(1, 3, -1, 4), mapped((1, 2), 4)],
        "!laws: moves by 1 of 4, another by 3",
    ),
    "one selection turned and not": Case(
        (1, 0),
        [
            image(4, 4, grid=(0, 1)),
            select((0,), (2, 2), (0, 1), (2, 2)),
            transpose(1, (1, 0), 2, 2),
            mapped((1, 2), 2, 2),
        ],
        "!positions: move by 1 of 2",
    ),
    "a stride behind a selection": Case(
        (1,), [*PICKED, part(1, 0, 2, 2)], "!stride: stride 2 meets"
    ),
    "a window with zeros behind a selection": Case(
        (1,),
        [*PICKED, window((1,), (4,), dim(size=3, low=1, high=1))],
        "!padding: is padded by foreign",
    ),
    "all cells behind a selection": Case(
        (1,), [*PICKED, whole((1,), (3,))], "!contract: all cells of a moving axis are mixed"
    ),
    "a spectrum behind a selection": Case((1,), [*PICKED, fourier(1, 4)], "~1: P4/4+0>1"),
    "a power behind a selection": Case(
        (1,), [*PICKED, fourier(1, 4), multiply((2, 2), 4, conjugated=(1,))], "S4/4"
    ),
    "selections behind each other": Case((1,), [*PICKED, select((1,), (2,))], "~2: M2/2+0>1"),
    "what two selections behind each other picked": Case(
        (1,),
        [*PICKED, select((1,), (2,)), part(1, 0, 1, 2), mapped((2, 3), 2)],
        "!wanders: meets what another one picked",
    ),
    "a selection of a part behind a selection": Case(
        (1,),
        [*PICKED, window((1,), (2,), dim(size=3)), select((2,), (1,))],
        "!part: not whole periods",
    ),
    "a selection of a part along the second axis": Case(
        (1, 0),
        [
            *PLANES,
            window((1,), (2, 2, 2), dim(1, size=2), kept=((0, 0), (2, 2))),
            select((2,), (1, 1, 2), (0, 1), (2, 2)),
        ],
        "!part: not whole periods",
    ),
    "a selection of a part along the first axis": Case(
        (1, 0),
        [
            *PLANES,
            window((1,), (1, 3, 2), dim(0, size=2), kept=((1, 1), (2, 2))),
            select((2,), (1, 1, 2), (0, 1), (1, 3)),
        ],
        "!part: not whole periods",
    ),
    "a selection of what stays along the first axis": Case(
        (1, 0),
        [*PLANES, mix((1,), (3, 2), (0,), symmetric=True), select((2,), (1, 2), strides=(3,))],
        "1 | S2/2",
    ),
    "a selection of what wanders along one axis": Case(
        (1, 0),
        [
            image(4, 8, grid=(0, 1)),
            select((0,), (2, 4), (0, 1), (2, 2)),
            mix((1,), (4,), (0,), symmetric=True),
            select((2,), (2,)),
        ],
        "~3: M2/2+0>1",
    ),
    "a selection of what wanders along the other axis": Case(
        (1, 0),
        [
            image(8, 4, grid=(0, 1)),
            select((0,), (4, 2), (0, 1), (2, 2)),
            mix((1,), (4,), (1,), symmetric=True),
            select((2,), (2,)),
        ],
        "~3: M2/2+0>1",
    ),
    "a loop over what wanders": Case(
        (1,),
        [*PICKED, loop((1,), (4,), Inner([given(4), mapped((0,), 4)], (1,)), carries=1)],
        WANDERS,
    ),
    "a loop beside the image": Case(
        (1,),
        [*PICKED, loop((1, 0), (4,), Inner([given(4), given(8)], (0, 1)), carries=2)],
        WANDERS,
    ),
    "a loop over the image beside what wanders": Case(
        (1,),
        [*PICKED, loop((1, 0), (8,), Inner([given(4), given(8)], (0, 1)), carries=2, result=1)],
        "!wanders: meets values that move with the image",
    ),
    "a branch by what wanders": Case(
        (1,),
        [*PICKED, branch((1, 1), (4,), [Inner([given(4)], (0,))])],
        "!contract: decided by is moved by the shift",
    ),
    "a branch of what wanders": Case(
        (1,),
        [*PICKED, _total(1), branch((2, 1), (4,), [Inner([given(4)], (0,))])],
        WANDERS,
    ),
    "a selection in a branch": Case(
        (1,),
        [IMAGE, weight(), branch((1, 0), (4,), [Inner([given(8), select((0,), (4,))], (1,))])],
        "!wanders: depends on the image (select)",
    ),
    "a selection and a sum in a branch": Case(
        (1,),
        [
            *(IMAGE, weight()),
            branch((1, 0), (), [Inner([given(8), select((0,), (4,)), _total(1)], (2,))]),
        ],
        "",
    ),
    "a selection of a scene": Case((1,), PICKED, "!part: which has no end", boundary="scene"),
    "a selection beside a scene": Case(
        (1,), [IMAGE, weight(8), select((1,), (4,))], "S4/4", boundary="scene"
    ),
}
CASES |= CHOSEN
