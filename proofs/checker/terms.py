"""Certificates as Coq terms: what is read here of a file is what the proved checker is about.

Operations and factors keep their names, and numbers are written as they are. What the checker has no name for becomes
`Other`, and a fact with such a factor no fact, so that they are not covered. A program with a selection is not made a
term at all. Not read are labels, digests, counts, and the rolls that are chosen for constants, which the facts show.

An axis becomes a list of its parts, of which there are several where it is `joined`, and each a list of factors. That
of a scene becomes its interior, as a signal of period 0, with its border before and behind, of which nothing is said.
A fact with folds becomes two: of the sums, and of the cells that are summed. Only of a certificate with folds is it
read that an operation is a sum: any other one is of all functions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from shiftproof_kernel import Fold, Moving, Scene, Still, decode_program
from shiftproof_kernel.certificate import Question
from shiftproof_kernel.facts import Factor, Factors, need, parts, size
from shiftproof_kernel.program import (
    Broadcast,
    Concat,
    Constant,
    Dim,
    Input,
    Mix,
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
BARE = ("weight", "map", "combine", "multiply", "reshape")
"""Operations without fields."""
Row = tuple[Factors, ...] | None


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
    sums = reads_sums(data)
    nodes = listed(_node(node, sums) for node in program.nodes)
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
    """The kinds of factors in a fact that are not covered; the border of a scene must be major."""
    found = (
        (f, number, part is axis)
        for axis in row or ()
        for part in parts(axis)
        for number, f in enumerate(part)
    )
    return {kind(f) for f, number, alone in found if not _is_known(f, number == 0 and alone)}


def _is_known(factor: Factor, major: bool) -> bool:
    if isinstance(factor, Scene):
        return major or (factor.low, factor.high) == (0, factor.n)
    return isinstance(factor, Still | Moving | Fold)


def has_folds(row: Row) -> bool:
    """Whether a fact is one of sums."""
    return any(isinstance(factor, Fold) for axis in row or () for factor in axis)


def reads_sums(data: Mapping[str, Any]) -> bool:
    """Whether it is read of operations that they are sums: only where a fact is one of sums."""
    return any(has_folds(row) for entry in data["generators"] for row in rows(entry))


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


def _node(node: Node, sums: bool) -> str:
    return f"Node ({_operation(node.op, sums)}) {_naturals(node.inputs)} {listed(map(integer, node.shape))}\n  "


def _operation(op: Operation, sums: bool) -> str:
    match op:
        case Input(grid):
            return f"Input {_naturals(grid)}"
        case Constant(periods, rolls):
            every = listed(listed(map(integer, roll)) for roll in rolls)
            return f"Constant {listed(map(integer, periods))} {every}"
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
            return f"Pad {natural(axis)} {numbers} {_boolean(zero and sums)}"
        case Window(dims, kept, symmetric, linear):
            flags = f"{_boolean(symmetric)} {_boolean(linear and sums)}"
            return f"Window {listed(map(_dim, dims))} {_kept(kept)} {flags}"
        case Mix(axes, outs, symmetric, added):
            flags = f"{_boolean(symmetric)} {_boolean(added and sums)}"
            return f"Mix {_naturals(axes)} {_naturals(outs)} {flags}"
        case Whole(kept):
            return f"Whole {_kept(kept)}"
    return kind(op).capitalize() if kind(op) in BARE else "Other"


def _dim(dim: Dim) -> str:
    numbers = (dim.size, dim.stride, dim.low, dim.high, dim.base, dim.dilation)
    return f"Dim {natural(dim.axis)} {natural(dim.out)} {' '.join(map(integer, numbers))}"


def _kept(kept: Iterable[tuple[int, int]]) -> str:
    return listed(f"({natural(axis)}, {natural(out)})" for axis, out in kept)
