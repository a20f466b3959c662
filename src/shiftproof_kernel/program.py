"""Programs: what a statement is about, as plain data. A graph is a list of nodes, each the result of one operation.

Every operation names a *class* of functions: `map` is any function applied position by position, `window` any
function of a window, the same at every place. What is proved of a graph holds for all members of these classes, so
weights and activation functions need not be known. The operations, with their parameters:

    input      the image; `grid`: its axes that are shifted, in the order of a shift
    weight     any array that does not depend on the image
    constant   a known array; `periods`: period along each axis; `rolls`: shifts of all its axes that leave it as it is
    map        any function of the operands, position by position; axes of length 1 are repeated
    combine    a weighted sum of the operands, position by position; its weights are complex numbers
    multiply   their product, position by position; `conjugated`: numbers of the operands that are conjugated first
    broadcast  `axes`: where each axis of the operand goes, in order; it is repeated along the others
    reshape    the same cells in row-major order
    transpose  `order`: for each axis the operand's axis
    take       `axis`, and `index`: which of its positions, a list or {"start", "step"}
    concat     `axis`
    pad        `axis`, `low`, `high`, `inner`: cells put (or, negative, cut) before, behind and between, of the value of
               the second operand, a scalar; `zero`: it is 0
    window     `dims`: per axis that it runs along {"axis", "out", "size", "stride", "low", "high", "base", "dilation"};
               cells are pulled `base` apart, `low` and `high` are put around (or, negative, cut), of one value;
               `kept`: pairs (axis, out) of axes on which it acts alike; all other axes are mixed; `symmetric`: any
               order of the cells gives the same; `linear`: a weighted sum, of cells among which 0 is put.
               Operands after the first are used whole, at every place alike.
    mix        `axes`: mixed by any function, alike at every position of the others; `outs`: axes of the result it
               makes; `symmetric`: any order of the cells along the axes gives the same; `sum`: it is their sum
    fourier    `axis`: its discrete Fourier transform, a multiple of sum_j x[j] exp(-2 pi i j k / n), or where `inverse`
               with +; `half`: of the n frequencies only the first n // 2 + 1 are given, or made, the inverse being the
               real signal whose other frequencies are conjugate to these (so of the ends the real part counts)
    whole      any function of the operands; it acts alike at every position of the axes `kept` of the first one
    loop       `body` and `test`: programs; `constants`, `carries`: how many operands; `result`: which output of the
               body. The other operands are cut into one slice per round. The first outputs are carried on, each
               other one is stacked along a new first axis. Without `test` the number of rounds is fixed.
    branch     `bodies`: programs; `result`: which output. The first operand chooses the body.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from shiftproof_kernel.facts import Refusal, need

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "input": {"grid": "integers"},
    "weight": {},
    "constant": {"periods": "integers", "rolls": "lists"},
    "map": {},
    "combine": {},
    "multiply": {"conjugated": "integers"},
    "broadcast": {"axes": "integers"},
    "reshape": {},
    "transpose": {"order": "integers"},
    "take": {"axis": "integer", "index": "index"},
    "concat": {"axis": "integer"},
    "pad": {**dict.fromkeys(("axis", "low", "high", "inner"), "integer"), "zero": "flag"},
    "window": {"dims": "dims", "kept": "pairs", "symmetric": "flag", "linear": "flag"},
    "mix": {"axes": "integers", "outs": "integers", "symmetric": "flag", "sum": "flag"},
    "fourier": {"axis": "integer", "inverse": "flag", "half": "flag"},
    "whole": {"kept": "pairs"},
    "loop": {
        **{"body": "program", "test": "test"},
        **dict.fromkeys(("constants", "carries", "result"), "integer"),
    },
    "branch": {"bodies": "programs", "result": "integer"},
}
"""The operations, and the parameters that each must have, no more and no less, with their kinds."""

WINDOW = ("axis", "out", "size", "stride", "low", "high", "base", "dilation")
LARGEST = 2**48  # of all numbers in a program
ROUNDS = 16  # how often a loop's rule may go through its body


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation: `inputs` are numbers of earlier nodes, `shape` is that of its result."""

    op: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    params: Mapping[str, Any]
    source: str = ""

    def __post_init__(self) -> None:
        known = isinstance(self.op, str) and self.op in PARAMETERS
        need(known, "format", "unknown operation")
        expect_text(self.source, "source")
        kinds = PARAMETERS[self.op]
        expect_keys(self.params, kinds, self.op)
        params = {key: _decoded(kind, self.params[key], key) for key, kind in kinds.items()}
        object.__setattr__(self, "params", MappingProxyType(params))
        object.__setattr__(self, "inputs", integers(self.inputs, "inputs"))
        object.__setattr__(self, "shape", integers(self.shape, "shape"))
        need(all(n > 0 for n in self.shape), "format", "sizes must be at least 1")
        given = self.op in ("input", "weight", "constant")
        need(not (given and self.inputs), "format", "what is given has no operands")


@dataclasses.dataclass(frozen=True)
class Program:
    """Nodes in order of evaluation, and the numbers of the outputs; `cost` bounds the rules applied in a derivation."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    cost: int = dataclasses.field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", integers(self.outputs, "outputs"))
        for number, node in enumerate(self.nodes):
            earlier = all(0 <= source < number for source in node.inputs)
            need(earlier, "format", f"node {number}: operands must come before it")
        there = [0 <= output < len(self.nodes) for output in self.outputs]
        need(any(there) and all(there), "format", "outputs must be nodes, one at least")
        values = [value for node in self.nodes for value in node.params.values()]
        lists = [value if isinstance(value, tuple) else (value,) for value in values]
        inner = [item for items in lists for item in items if isinstance(item, Program)]
        cost = len(self.nodes) + (ROUNDS + 1) * sum(program.cost for program in inner)
        object.__setattr__(self, "cost", cost)

    def to_json(self) -> dict[str, Any]:
        """The program as JSON data."""
        fields = [field.name for field in dataclasses.fields(Node)]
        nodes = [{field: plain(getattr(node, field)) for field in fields} for node in self.nodes]
        return {"nodes": nodes, "outputs": list(self.outputs)}

    def sha256(self) -> str:
        """The digest of the program's canonical JSON text."""
        return digest(self.to_json())


def decode_program(data: Any) -> Program:
    """A program from JSON data, checked: known operations, exactly their parameters, inputs before their use.

    Raises:
        Refusal: with the place and what is wrong there.
    """
    expect_keys(data, ("nodes", "outputs"), "program")
    need(isinstance(data["nodes"], list), "format", "nodes are no list")
    nodes = []
    for number, item in enumerate(data["nodes"]):
        try:
            expect_keys(item, [field.name for field in dataclasses.fields(Node)], "node")
            nodes.append(Node(**item))
        except Refusal as refusal:
            raise Refusal(refusal.code, f"node {number}: {refusal}") from refusal
    return Program(tuple(nodes), data["outputs"])


def _decoded(kind: str, value: Any, place: str) -> Any:
    """A parameter that is of its kind and does not change, or a refusal."""
    match kind, value:
        case (("integers" | "index"), list() | tuple()):
            return integers(value, place)
        case "integer", _:
            return integers([value], place)[0]
        case (("lists" | "pairs"), list() | tuple()):
            rows = tuple(integers(row, place) for row in value)
            if kind == "lists" or all(len(row) == 2 for row in rows):
                return rows
        case "dims", list() | tuple():
            return tuple(_numbers(row, WINDOW, place) for row in value)
        case "index", _:
            return _numbers(value, ("start", "step"), place)
        case ("flag", bool()) | (("program" | "test"), Program()) | ("test", None):
            return value
        case (("program" | "test"), Mapping()):
            return decode_program(value)
        case "programs", [_, *_]:
            return tuple(_decoded("program", body, place) for body in value)
    raise Refusal("format", f"{place}: found {type(value).__name__}, expected {kind}")


def _numbers(value: Any, keys: Iterable[str], place: str) -> Mapping[str, int]:
    expect_keys(value, keys, place)
    return MappingProxyType({key: integers([value[key]], place)[0] for key in keys})


def plain(value: Any) -> Any:
    """JSON data of parameters, facts and the like."""
    if isinstance(value, Program):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
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


def expect_text(value: Any, place: str) -> None:
    """One short line of text, or a refusal."""
    line = isinstance(value, str) and len(value) <= 1000 and value.isprintable()
    need(line, "format", f"{place}: expected one line of text")


def integers(value: Any, place: str) -> tuple[int, ...]:
    """A tuple of integers (and no booleans) of a sane size, or a refusal."""
    sane = isinstance(value, list | tuple) and all(
        type(item) is int and abs(item) <= LARGEST for item in value
    )
    need(sane, "format", f"{place}: expected a list of integers up to 2^48")
    return tuple(value)
