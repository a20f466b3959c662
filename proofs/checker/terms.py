"""Certificates as Coq terms: what is read here of a file is what the proved checker is about.

Operations and factors keep their names, and numbers are written as they are. What the checker has no name for becomes
`Other`, and a fact with such a factor no fact, so that they are not covered. A program with a selection is not made a
term at all. Not read are labels, digests, counts, and the rolls that are chosen for constants, which the facts show.

An axis becomes a list of its parts, of which there are several where it is `joined`, and each a list of factors. That
of a scene becomes its interior, as a signal of period 0, with its border before and behind, of which nothing is said.
A fact with folds becomes two: of the sums, and of the cells that are summed. One with phases becomes a fact of cells
that are turned back, and the phases. Only of a certificate with folds or phases is it read that an operation is a sum,
or a product, or a Fourier transform: any other one is of all functions.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from shiftproof_kernel import Fold, Moving, Phase, Scene, Still, decode_program
from shiftproof_kernel.certificate import Question
from shiftproof_kernel.facts import Factor, Factors, need, parts, size
from shiftproof_kernel.program import (
    Broadcast,
    Combine,
    Concat,
    Constant,
    Dim,
    Fourier,
    Input,
    Mix,
    Multiply,
    Node,
    Operation,
    Pad,
    Select,
    Span,
    Take,
    Transpose,
    Whole,
    Window,
    fields,
    kind,
    typed,
)

LARGEST = 10_000
"""The largest number of a node or an axis: these are unary in Coq."""
BARE = ("weight", "map", "reshape")
"""Operations without fields."""
Row = tuple[Factors, ...] | None


@dataclasses.dataclass(frozen=True)
class Exact:
    """Whether operations are read as what they are, and not as any function: where there are sums, and spectra."""

    sums: bool
    spectra: bool


def certificate(data: Mapping[str, Any], name: str) -> str:
    """Definitions that end with that of `name`, the term of a certificate as read from a file.

    Raises:
        Refusal: it has no such parts.
    """
    program, question = decode_program(data["program"]), asked(data)
    need(len(program.outputs) == 1, "format", "the program has several outputs")
    for number, node in enumerate(program.nodes):
        known = not isinstance(node.op, Select)
        need(known, "format", f"not covered: select (node {number})")
    entries = [_generator(entry) for entry in data["generators"]]
    exact = Exact(reads_sums(data), reads_spectra(data))
    nodes = listed(_node(node, exact) for node in program.nodes)
    return (
        f"Definition {name}_program := Program {nodes} {natural(program.outputs[0])}.\n"
        f"Definition {name} := Certificate {name}_program {_property(question, data)} "
        f"{listed(map(integer, question.grid))} {listed(entries)}.\n"
    )


def asked(data: Mapping[str, Any]) -> Question:
    """What the statement asks."""
    return Question(**{name: data["statement"][name] for name in fields(Question)})


def rows(entry: Mapping[str, Any]) -> list[Row]:
    """The facts that a generator lists; what is listed of a node that wanders is none."""
    return [
        typed(tuple[Factors, ...], row, "facts") if isinstance(row, list | tuple) else None
        for row in entry["facts"]
    ]


def strangers(row: Row) -> Set[str]:
    """The kinds of factors in a fact that are not covered.

    The border of a scene must be major; a phase must not be in one of several parts, nor beside a fold.
    """
    found = (
        (f, number, part is axis)
        for axis in row or ()
        for part in parts(axis)
        for number, f in enumerate(part)
    )
    both = {"phase"} if has_folds(row) and has_phases(row) else set()
    return both | {kind(f) for f, number, alone in found if not _is_known(f, number, alone)}


def _is_known(factor: Factor, number: int, alone: bool) -> bool:
    if isinstance(factor, Scene):
        return (number == 0 and alone) or (factor.low, factor.high) == (0, factor.n)
    return isinstance(factor, Still | Moving | Fold) or (isinstance(factor, Phase) and alone)


def has_folds(row: Row) -> bool:
    """Whether a fact is one of sums."""
    return any(isinstance(factor, Fold) for axis in row or () for factor in axis)


def has_phases(row: Row) -> bool:
    """Whether a fact is one of a spectrum."""
    return any(isinstance(factor, Phase) for axis in row or () for factor in axis)


def reads_sums(data: Mapping[str, Any]) -> bool:
    """Whether a fact is one of sums."""
    return any(has_folds(row) for entry in data["generators"] for row in rows(entry))


def reads_spectra(data: Mapping[str, Any]) -> bool:
    """Whether a fact is one of a spectrum."""
    return any(has_phases(row) for entry in data["generators"] for row in rows(entry))


# --- numbers and lists ---


def integer(number: int) -> str:
    """An integer."""
    return f"({number})" if number < 0 else str(number)


def natural(number: int) -> str:
    """The number of a node or an axis."""
    need(0 <= number <= LARGEST, "format", f"{number} is no number of a node or an axis")
    return f"{number}%nat"


def listed(terms: Iterable[str]) -> str:
    """A list."""
    return "[" + "; ".join(terms) + "]"


def _naturals(numbers: Iterable[int]) -> str:
    return listed(map(natural, numbers))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


# --- parts ---


def _property(question: Question, data: Mapping[str, Any]) -> str:
    if question.property == "invariance":
        return "Invariance"
    said = f"{_naturals(question.axes)} {_boolean(question.law == 'same')}"
    if question.boundary == "torus":
        return f"(Equivariance {said})"
    box = typed(tuple[tuple[int, int], ...], data["statement"]["interior"], "interior")
    pairs = (f"({integer(low)}, {integer(high)})" for low, high in box)
    return f"(OfScene {said} {listed(pairs)})"


def _generator(entry: Mapping[str, Any]) -> str:
    shift = typed(tuple[int, ...], entry["shift"], "shift")
    moved = entry["output_shift"]
    output = () if moved is None else typed(tuple[int, ...], moved, "output shift")
    facts = listed(map(_row, rows(entry)))
    return f"Generator {listed(map(integer, shift))} {listed(map(integer, output))}\n  {facts}"


def _row(row: Row) -> str:
    if row is None or strangers(row):
        return "None"
    facts = _axes(row, _factor)
    if has_folds(row):
        return f"Some (OfSums {facts} {_axes(row, _summed)})"
    if has_phases(row):
        return f"Some (OfTurned {facts} {listed(_phases(row))})"
    return f"Some (OfCells {facts})"


def _axes(row: tuple[Factors, ...], word: Callable[[Factor], str]) -> str:
    return listed(listed(_parts(axis, word)) for axis in row)


def _parts(axis: Factors, word: Callable[[Factor], str]) -> Iterator[str]:
    """The parts of an axis; of a scene its border, where it has one, and what lies within."""
    first, cells = axis[:1], size(axis[1:])
    borders = [(f.low, f.n - f.high) for f in first if isinstance(f, Scene)]
    before, behind = borders[0] if borders else (0, 0)
    if before > 0:
        yield f"[Nothing {before * cells}]"
    for part in parts(axis):
        yield listed(map(word, part))
    if behind > 0:
        yield f"[Nothing {behind * cells}]"


def _factor(factor: Factor) -> str:
    """What a factor says of cells, or of their sums: once all laps are summed, they do not vary along the laps."""
    match factor:
        case Fold(n, _, _, "laps"):
            factor = Still(n, 1)
        case Fold(n, period, step):
            factor = Moving(n, period, 0, step)
        case Scene(_, low, high, offset, step):
            return f"Factor {' '.join(map(integer, (high - low, 0, offset + low, step)))}"
        case Phase(n):
            factor = Still(n, n)
    numbers = (getattr(factor, name) for name in fields(type(factor)))
    return f"{type(factor).__name__} {' '.join(map(integer, numbers))}"


def _summed(factor: Factor) -> str:
    """Which cells of a factor are summed, as a factor that stays: those that it calls alike."""
    match factor:
        case Fold(n, _, _, "laps"):
            return _factor(Still(n, 1))
        case Fold(n, period, _, "whole"):
            return _factor(Still(n, period))
    return _factor(Still(factor.n, factor.n))


def _phases(row: tuple[Factors, ...]) -> Iterator[str]:
    """By how much cells are turned: the digits of a place along an axis, each with the cells that are minor to it."""
    for axis, factors in enumerate(row):
        for number, f in enumerate(factors):
            if isinstance(f, Phase):
                numbers = (size(factors[number + 1 :]), f.n, f.period, f.first, f.step)
                yield f"Phase {natural(axis)} {' '.join(map(integer, numbers))}"


def _node(node: Node, exact: Exact) -> str:
    op = _operation(node.op, len(node.shape), exact)
    return f"Node ({op}) {_naturals(node.inputs)} {listed(map(integer, node.shape))}\n  "


def _operation(op: Operation, rank: int, exact: Exact) -> str:
    either = exact.sums or exact.spectra
    match op:
        case Input(grid):
            return f"Input {_naturals(grid)}"
        case Constant(periods, rolls):
            every = listed(listed(map(integer, roll)) for roll in rolls)
            return f"Constant {listed(map(integer, periods))} {every}"
        case Combine():
            return f"Combine {_boolean(exact.spectra)}"
        case Multiply(conjugated):
            return f"Multiply {_boolean(exact.spectra)} {_naturals(conjugated)}"
        case Broadcast(axes):
            return f"Broadcast {_naturals(axes)}"
        case Transpose(order):
            return f"Transpose {_naturals(order)}"
        case Take(axis, Span(start, step)):
            return f"Take {natural(axis)} {integer(start)} {integer(step)}"
        case Take(axis, tuple(places)):
            return f"Pick {natural(axis)} {listed(map(integer, places))}"
        case Concat(axis):
            return f"Concat {natural(axis)}"
        case Pad(axis, low, high, inner, zero):
            numbers = " ".join(map(integer, (low, high, inner)))
            return f"Pad {natural(axis)} {numbers} {_boolean(zero and either)}"
        case Window(dims, kept, symmetric, linear):
            flags = f"{_boolean(symmetric)} {_boolean(linear and exact.sums)}"
            return f"Window {listed(map(_dim, dims))} {_kept(kept)} {flags}"
        case Mix(axes, outs, symmetric, added):
            flags = f"{_boolean(symmetric)} {_boolean(added and either)}"
            return f"Mix {_naturals(axes)} {_naturals(outs)} {flags}"
        case Fourier(axis, inverse, half) if either:
            return f"Fourier {natural(axis)} {_boolean(inverse)} {_boolean(half)}"
        case Fourier(axis):
            others = ((a, a) for a in range(rank) if a != axis)
            return f"Whole {_kept(others)}"
        case Whole(kept):
            return f"Whole {_kept(kept)}"
    return kind(op).capitalize() if kind(op) in BARE else "Other"


def _dim(dim: Dim) -> str:
    numbers = (dim.size, dim.stride, dim.low, dim.high, dim.base, dim.dilation)
    return f"Dim {natural(dim.axis)} {natural(dim.out)} {' '.join(map(integer, numbers))}"


def _kept(kept: Iterable[tuple[int, int]]) -> str:
    return listed(f"({natural(axis)}, {natural(out)})" for axis, out in kept)
