"""Programs: what a statement is about, as plain data. A graph is a list of nodes, each the result of one operation.

Every operation names a *class* of functions: `map` is any function applied position by position, `window` any
function of a window, the same at every place. What is proved of a graph holds for all members of these classes, so
weights and activation functions need not be known. The operations, with their parameters:

    input      the image; `grid`: its axes that are shifted, in the order of a shift
    weight     any array that does not depend on the image
    constant   a known array; `periods`: period along each axis; `rolls`: shifts of all its axes that leave it as it is
    map        any function of the operands, position by position; axes of length 1 are repeated
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
    whole      any function of the operands; it acts alike at every position of the axes `kept` of the first one
    loop       `body` and `test`: programs; `constants`, `carries`: how many operands; `result`: which output of the
               body. The other operands are cut into one slice per round. The first outputs are carried on, each
               other one is stacked along a new first axis. Without `test` the number of rounds is fixed.
    branch     `bodies`: programs; `result`: which output. The first operand chooses the body.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shiftproof_kernel.facts import Refusal

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "input": {"grid": "integers"},
    "weight": {},
    "constant": {"periods": "integers", "rolls": "lists"},
    "map": {},
    "broadcast": {"axes": "integers"},
    "reshape": {},
    "transpose": {"order": "integers"},
    "take": {"axis": "integer", "index": "index"},
    "concat": {"axis": "integer"},
    "pad": dict.fromkeys(("axis", "low", "high", "inner"), "integer") | {"zero": "flag"},
    "window": {"dims": "dims", "kept": "pairs", "symmetric": "flag", "linear": "flag"},
    "mix": {"axes": "integers", "outs": "integers", "symmetric": "flag", "sum": "flag"},
    "whole": {"kept": "pairs"},
    "loop": {"body": "program", "test": "program or null"}
    | dict.fromkeys(("constants", "carries", "result"), "integer"),
    "branch": {"bodies": "programs", "result": "integer"},
}
"""The operations, and the parameters that each must have, no more and no less, with their kinds."""

WINDOW = ("axis", "out", "size", "stride", "low", "high", "base", "dilation")
LARGEST = 2**48  # of all numbers in a program
DEEPEST = 8  # programs within programs
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
        """Refuse what is no operation, and keep the parameters from being changed later."""
        if not isinstance(self.op, str) or self.op not in PARAMETERS:
            raise Refusal("format", f"unknown operation {self.op!r}")
        expect_text(self.source, "source")
        kinds = PARAMETERS[self.op]
        expect_keys(self.params, kinds, self.op)
        frozen = {key: _frozen(kinds[key], self.params[key], key) for key in kinds}
        object.__setattr__(self, "params", MappingProxyType(frozen))
        object.__setattr__(self, "inputs", integers(self.inputs, "inputs"))
        object.__setattr__(self, "shape", integers(self.shape, "shape"))
        if any(n < 1 for n in self.shape):
            raise Refusal("format", "sizes must be at least 1")


@dataclasses.dataclass(frozen=True)
class Program:
    """Nodes in order of evaluation, and the numbers of the outputs.

    `cost` bounds the applications of rules in one derivation, `depth` counts programs within programs.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    cost: int = dataclasses.field(init=False, compare=False)
    depth: int = dataclasses.field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse operands that come later and outputs that are not there."""
        object.__setattr__(self, "outputs", integers(self.outputs, "outputs"))
        for number, node in enumerate(self.nodes):
            if not all(0 <= source < number for source in node.inputs):
                raise Refusal("format", f"node {number}: operands must come before it")
        if not self.outputs or not all(0 <= output < len(self.nodes) for output in self.outputs):
            raise Refusal("format", "a program needs outputs, and they must be nodes of it")
        inner = [(body, ROUNDS + 1) for node in self.nodes for body in _bodies(node)]
        object.__setattr__(self, "cost", len(self.nodes) + sum(b.cost * r for b, r in inner))
        object.__setattr__(self, "depth", 1 + max((b.depth for b, _ in inner), default=0))
        if self.depth > DEEPEST:
            raise Refusal("format", f"programs lie {self.depth} deep within each other")

    def to_json(self) -> dict[str, Any]:
        """The program as JSON data."""
        fields = ("op", "inputs", "shape", "params", "source")
        nodes = [{field: _plain(getattr(node, field)) for field in fields} for node in self.nodes]
        return {"nodes": nodes, "outputs": list(self.outputs)}

    def sha256(self) -> str:
        """The digest of the program's canonical JSON text."""
        return digest(self.to_json())


def canonical(data: Any) -> str:
    """The one JSON text of some data, so that 1, 1.0 and true differ."""
    try:
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refusal("format", f"this is no JSON data: {error}") from error


def digest(data: Any) -> str:
    """The sha256 of the canonical JSON text."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def decode_program(data: Any, depth: int = 1) -> Program:
    """A program from JSON data, checked: known operations, exactly their parameters, inputs before their use.

    Raises:
        Refusal: with the place and what is wrong there.
    """
    expect_keys(data, ("nodes", "outputs"), "program")
    if not isinstance(data["nodes"], list) or depth > DEEPEST:
        raise Refusal("format", f"program.nodes is no list, or lies {depth} deep")
    nodes = []
    for number, item in enumerate(data["nodes"]):
        try:
            expect_keys(item, ("op", "inputs", "shape", "params", "source"), "node")
            params = _with_programs(item["params"], depth + 1)
            nodes.append(Node(**{**item, "params": params}))
        except Refusal as refusal:
            raise Refusal(refusal.code, f"node {number}: {refusal}") from refusal
    return Program(tuple(nodes), data["outputs"])


def _with_programs(params: Any, depth: int) -> Any:
    """Parameters with the programs among them decoded."""
    if not isinstance(params, Mapping):
        return params
    made = dict(params)
    for key in {"body", "test"} & set(made):
        made[key] = None if made[key] is None else decode_program(made[key], depth)
    if isinstance(made.get("bodies"), list):
        made["bodies"] = [decode_program(body, depth) for body in made["bodies"]]
    return made


def _bodies(node: Node) -> list[Program]:
    found = [node.params.get("body"), node.params.get("test"), *node.params.get("bodies", ())]
    return [body for body in found if body is not None]


def _frozen(kind: str, value: Any, place: str) -> Any:
    """A parameter that is of its kind and does not change, or a refusal."""
    match kind, value:
        case "integer", _:
            return integers([value], place)[0]
        case "flag", bool():
            return value
        case "program", Program():
            return value
        case "program or null", Program() | None:
            return value
        case "programs", [Program(), *_] if all(isinstance(body, Program) for body in value):
            return tuple(value)
        case "lists", [*rows]:
            return tuple(integers(row, place) for row in rows)
        case "pairs", [*rows]:
            pairs = tuple(integers(row, place) for row in rows)
            if all(len(pair) == 2 for pair in pairs):
                return pairs
        case "dims", [*rows]:
            return tuple(_numbers(row, WINDOW, place) for row in rows)
        case "index", Mapping():
            return _numbers(value, ("start", "step"), place)
        case (("integers" | "index"), [*_]):
            return integers(value, place)
    raise Refusal("format", f"{place}: found {type(value).__name__}, expected {kind}")


def _numbers(value: Any, keys: Sequence[str], place: str) -> Mapping[str, int]:
    expect_keys(value, keys, place)
    return MappingProxyType({key: integers([value[key]], f"{place}.{key}")[0] for key in keys})


def _plain(value: Any) -> Any:
    match value:
        case Program():
            return value.to_json()
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case tuple():
            return [_plain(item) for item in value]
    return value


def expect_keys(data: Any, keys: Sequence[str] | Mapping[str, str], place: str) -> None:
    """Exactly these keys, or a refusal."""
    if not isinstance(data, Mapping) or set(data) != set(keys):
        found = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise Refusal("format", f"{place}: expected the fields {sorted(keys)}, found {found}")


def expect_text(value: Any, place: str) -> None:
    """One short line of text, or a refusal."""
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise Refusal("format", f"{place}: expected one line of text, found {value!r:.60}")


def integers(value: Any, place: str) -> tuple[int, ...]:
    """A tuple of integers (and no booleans) of a sane size, or a refusal."""
    if not isinstance(value, (list, tuple)):
        raise Refusal("format", f"{place}: expected a list of integers, found {value!r:.60}")
    if not all(type(item) is int and abs(item) <= LARGEST for item in value):
        raise Refusal("format", f"{place}: expected integers up to 2^48, found {value!r:.60}")
    return tuple(value)
