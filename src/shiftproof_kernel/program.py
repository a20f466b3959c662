"""Programs: what a statement is about, as plain data. A graph is a list of nodes, each the result of one operation.

Every operation names a *class* of functions: `Map` is any function applied position by position, `Window` any
function of a window, the same at every place. What is proved of a graph holds for all members of these classes, so
weights and activation functions need not be known.

As JSON every object says its `kind`, the name of its class in small letters, and has exactly the fields of that class.
"""

import dataclasses
import functools
import hashlib
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from shiftproof_kernel.facts import Refusal, need

LARGEST = 2**48
"""The largest number in a program."""
AXES = 32
"""The most axes of an array."""
NESTED = 8
"""The deepest programs within programs within programs."""

Integers = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Input:
    """The image. `grid`: its axes that are shifted, in the order of a shift."""

    grid: Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Weight:
    """Any array that does not depend on the image."""


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """A known array. `periods`: along each axis; `rolls`: shifts of all its axes that leave it as it is."""

    periods: Integers
    rolls: tuple[Integers, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Map:
    """Any function of the operands, position by position; axes of length 1 are repeated."""


@dataclasses.dataclass(frozen=True, slots=True)
class Combine:
    """A weighted sum of the operands, position by position; its weights are complex numbers."""


@dataclasses.dataclass(frozen=True, slots=True)
class Multiply:
    """The product of the operands, position by position. `conjugated`: which of them are conjugated first."""

    conjugated: Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Broadcast:
    """`axes`: where each axis of the operand goes, in order; it is repeated along the others."""

    axes: Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Reshape:
    """The same cells in row-major order."""


@dataclasses.dataclass(frozen=True, slots=True)
class Transpose:
    """`order`: for each axis the operand's axis."""

    order: Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The positions `start + step q`, as many as the result has."""

    start: int
    step: int


@dataclasses.dataclass(frozen=True, slots=True)
class Take:
    """Fixed positions of one axis: a list, or a span."""

    axis: int
    index: Span | Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Concat:
    """The operands side by side along one axis."""

    axis: int


@dataclasses.dataclass(frozen=True, slots=True)
class Pad:
    """Cells put (or, negative, cut) before, behind and between those of the first operand, of the value of the second,
    a scalar. `zero`: it is 0.
    """

    axis: int
    low: int
    high: int
    inner: int
    zero: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Dim:
    """How a window runs along `axis`, which makes the axis `out`: its cells are pulled `base` apart, and `low` and
    `high` put around (or, negative, cut), of one value; `size` of them, `dilation` apart, are seen at every `stride`.
    """

    axis: int
    out: int
    size: int
    stride: int
    low: int
    high: int
    base: int
    dilation: int


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """Any function of the cells that a window shows, the same at every place: a convolution, or pooling.

    `kept`: pairs (axis, out) of axes on which it acts alike; all axes without a name are mixed. `symmetric`: any order
    of the cells gives the same; `linear`: a weighted sum, of cells among which 0 is put. Operands after the first are
    used whole, at every place alike.
    """

    dims: tuple[Dim, ...]
    kept: Pairs
    symmetric: bool
    linear: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Mix:
    """Any function of all cells along `axes`, alike at every position of the others; `outs`: axes of the result that it
    makes. `symmetric`: any order of the cells along the axes gives the same; `sum`: it is their sum.
    """

    axes: Integers
    outs: Integers
    symmetric: bool
    sum: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Fourier:
    """The discrete Fourier transform of an axis: a multiple of sum_j x[j] exp(-2 pi i j k / n), or, `inverse`, with +.

    `half`: of the n frequencies only the first n // 2 + 1 are given, or made, the inverse being the real signal whose
    other frequencies are conjugate to these (so of the ends the real part counts).
    """

    axis: int
    inverse: bool
    half: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Whole:
    """Any function of the operands; it acts alike at every position of the axes `kept` of the first one."""

    kept: Pairs


@dataclasses.dataclass(frozen=True, slots=True)
class Select:
    """One component of the first operand, A[s u + p] along `axes`, s being the strides; p is the same at all positions
    of the other axes. Which component, up to a roll of it along the axes, depends on nothing but the set of all
    components, each up to a roll, and on the other operands, which are used whole.

    Such is polyphase sampling by a score that no roll changes, if of those that tie the greatest word wins. A rule that
    looks at p, as the first of those that tie, is not of this class.
    """

    axes: Integers
    strides: Integers


@dataclasses.dataclass(frozen=True, slots=True)
class Loop:
    """A body that is applied again and again; `result`: which of its outputs.

    Of the operands the first `constants` stay, the next `carries` are replaced by the first outputs after every round,
    and the others are cut into one slice per round. Outputs that are not carried are stacked along a new first axis.
    Without `test` the number of rounds is fixed.
    """

    body: "Program"
    test: "Program | None"
    constants: int
    carries: int
    result: int


@dataclasses.dataclass(frozen=True, slots=True)
class Branch:
    """One of some bodies, chosen by the first operand and applied to the others; `result`: which output."""

    bodies: tuple["Program", ...]
    result: int


Given = Input | Weight | Constant
"""What has no operands."""
Moved = Broadcast | Reshape | Transpose | Take | Concat | Pad
"""What makes no values."""
Made = Map | Combine | Multiply | Window | Mix | Fourier | Whole | Select | Loop | Branch
Operation = Given | Moved | Made


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """One operation: `inputs` are numbers of earlier nodes, `shape` is that of its result."""

    op: Operation
    inputs: Integers
    shape: Integers
    source: str = ""

    def __post_init__(self) -> None:
        for name, hint in fields(Node).items():
            object.__setattr__(self, name, typed(hint, getattr(self, name), name))
        need(all(n > 0 for n in self.shape), "format", "sizes must be at least 1")
        need(len(self.shape) <= AXES, "budget", f"an array has more than {AXES} axes")
        given = isinstance(self.op, Given)
        need(not (given and self.inputs), "format", "what is given has no operands")

    @property
    def bodies(self) -> tuple["Program", ...]:
        """The programs within it."""
        match self.op:
            case Loop(body, test):
                return (body,) if test is None else (body, test)
            case Branch(bodies):
                return bodies
        return ()


@dataclasses.dataclass(frozen=True)
class Program:
    """Nodes in order of evaluation, and the numbers of the outputs.

    `weights` is empty where the program is that of a model for all values of its weights: they are its `Weight` nodes.
    Otherwise it is the sha256 of values that constants, and the program itself, were read off.
    """

    nodes: tuple[Node, ...]
    outputs: Integers
    weights: str = ""

    def __post_init__(self) -> None:
        for name, hint in fields(Program).items():
            object.__setattr__(self, name, typed(hint, getattr(self, name), name))
        for number, node in enumerate(self.nodes):
            earlier = all(0 <= source < number for source in node.inputs)
            need(earlier, "format", f"node {number}: operands must come before it")
            own = not any(body.weights for body in node.bodies)
            need(own, "format", f"node {number}: a body has weights of its own")
        there = [0 <= output < len(self.nodes) for output in self.outputs]
        need(any(there) and all(there), "format", "outputs must be nodes, one at least")
        named = re.fullmatch("([0-9a-f]{64})?", self.weights)
        need(named is not None, "format", "weights are named by their sha256, or not at all")
        deep = self.depth <= NESTED
        need(deep, "budget", f"programs lie within programs, more than {NESTED} deep")

    @functools.cached_property
    def depth(self) -> int:
        """How deep programs lie within each other."""
        return 1 + max((body.depth for node in self.nodes for body in node.bodies), default=0)

    @functools.cached_property
    def images(self) -> int:
        """How many inputs it has, not counting those of programs within it."""
        return sum(isinstance(node.op, Input) for node in self.nodes)

    def to_json(self) -> dict[str, Any]:
        """The program as JSON data."""
        return plain(self)

    def sha256(self) -> str:
        """The digest of the program's canonical JSON text."""
        return digest(self.to_json())


def decode_program(data: Any) -> Program:
    """A program from JSON data, checked: known operations, exactly their fields, inputs before their use.

    Raises:
        Refusal: with the place and what is wrong there.
    """
    return typed(Program, data, "program")


# --- data and types ---


@functools.cache
def fields(cls: type) -> Mapping[str, Any]:
    """The fields of a dataclass, with their types."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def typed(hint: Any, value: Any, place: str) -> Any:
    """A value that is of the type named and does not change, made of JSON data or of Python's; or a refusal."""
    if hint is int:
        sane = type(value) is int and abs(value) <= LARGEST
        need(sane, "format", f"{place}: expected an integer up to 2^48")
        return value
    if hint is bool:
        need(isinstance(value, bool), "format", f"{place}: expected true or false")
        return value
    if hint is str:
        line = isinstance(value, str) and len(value) <= 1000 and value.isprintable()
        need(line, "format", f"{place}: expected one line of text")
        return value
    if typing.get_origin(hint) is tuple:
        return _list(typing.get_args(hint), value, place)
    if isinstance(hint, types.UnionType):
        return _member(typing.get_args(hint), value, place)
    return _object(hint, value, place)


def _list(hints: tuple, value: Any, place: str) -> tuple:
    need(isinstance(value, list | tuple), "format", f"{place}: expected a list")
    each = hints[:1] * len(value) if hints[-1] is ... else hints
    need(len(each) == len(value), "format", f"{place}: expected a list of {len(each)}")
    items = enumerate(zip(each, value, strict=True))
    return tuple(typed(one, item, f"{place}[{number}]") for number, (one, item) in items)


def _member(hints: tuple, value: Any, place: str) -> Any:
    """One of several types: a list, or nothing, where it may be; or else what its kind names."""
    if value is None and types.NoneType in hints:
        return None
    if isinstance(value, list | tuple) and Integers in hints:
        return typed(Integers, value, place)
    name = value.get("kind") if isinstance(value, Mapping) else kind(value)
    known = [one for one in hints if isinstance(one, type) and kind(one) == name]
    need(len(known) == 1, "format", f"{place}: unknown kind")
    return typed(known[0], value, place)


def _object(cls: type, value: Any, place: str) -> Any:
    """A dataclass. Those that look at their fields themselves do so once."""
    alone, hints = hasattr(cls, "__post_init__"), fields(cls)
    if type(value) is not cls:
        expect_keys(value, ("kind", *hints), place)
        need(value["kind"] == kind(cls), "format", f"{place}: expected the kind {kind(cls)}")
    elif alone:
        return value
    else:
        value = {name: getattr(value, name) for name in hints}
    if not alone:
        return cls(
            **{name: typed(hint, value[name], f"{place}.{name}") for name, hint in hints.items()}
        )
    try:
        return cls(**{name: value[name] for name in hints})
    except Refusal as refusal:
        raise Refusal(refusal.code, f"{place}: {refusal}") from refusal


def kind(value: Any) -> str:
    """The name of the class of a value, or of a class, as it stands in files."""
    return (value if isinstance(value, type) else type(value)).__name__.lower()


def plain(value: Any) -> Any:
    """JSON data of programs, facts and the like."""
    if dataclasses.is_dataclass(value):
        own = {name: plain(getattr(value, name)) for name in fields(type(value))}
        return {"kind": kind(type(value)), **own}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def canonical(data: Any) -> str:
    """The one JSON text of some data, in which 1, 1.0 and true differ."""
    try:
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal("format", f"this is no JSON data: {error}") from error


def digest(data: Any) -> str:
    """The sha256 of the canonical JSON text."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def expect_keys(data: Any, keys: Iterable[str], place: str) -> None:
    """Exactly these keys, or a refusal."""
    exact = isinstance(data, Mapping) and set(data) == set(keys)
    need(exact, "format", f"{place}: expected exactly the fields {', '.join(keys)}")
