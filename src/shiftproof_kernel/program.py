"""Programs: what a statement is about, as plain data. A graph is a list of nodes, each the result of one operation.

Every operation names a *class* of functions: `map` is any function applied position by position, `window` any
function of a window, the same at every place. What is proved of a graph holds for all members of these classes, so
weights and activation functions need not be known. The operations, with their parameters:

    input      the image; `grid`: its axes that are shifted, in the order of a shift
    weight     any array that does not depend on the image
    constant   a known array; `periods`: period along each axis; `rolls`: shifts of all its axes that leave it as it is
    map        any function of the operands, position by position; axes of length 1 are repeated
    broadcast  `axes`: where each axis of the operand goes; the others repeat
    reshape    the same cells in row-major order
    transpose  `order`: for each axis the operand's axis
    take       `axis`, and `index`: which of its positions, a list or {"start", "step"}
    concat     `axis`
    pad        `axis`, `low`, `high`, `inner`: cells put (or, negative, cut) before, behind and between; `zero`: of value 0
    window     `dims`: per axis a window runs along {"axis", "out", "size", "stride", "low", "high", "base", "dilation"};
               `kept`: pairs (axis, out) of axes on which it acts alike; all other axes are mixed; `symmetric`: any order of
               the cells gives the same; `linear`: a weighted sum. Operands after the first are used whole.
    mix        `axes`: mixed by any function, alike at every position of the others; `outs`: axes of the result it
               makes; `symmetric`: any order of the cells along the axes gives the same; `sum`: it is their sum
    whole      any function of the operands; it acts alike at every position of the axes `kept` of the first one
    loop       `body` and `test`: programs; `constants`, `carries`: how many operands; `result`: which output of the body
    branch     `bodies`: programs; `result`: which output. The first operand chooses.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shiftproof_kernel.facts import Refusal

PARAMETERS: Mapping[str, frozenset[str]] = {
    name: frozenset(keys.split())
    for name, keys in {
        "input": "grid",
        "weight": "",
        "constant": "periods rolls",
        "map": "",
        "broadcast": "axes",
        "reshape": "",
        "transpose": "order",
        "take": "axis index",
        "concat": "axis",
        "pad": "axis low high inner zero",
        "window": "dims kept symmetric linear",
        "mix": "axes outs symmetric sum",
        "whole": "kept",
        "loop": "body test constants carries result",
        "branch": "bodies result",
    }.items()
}
"""The operations, and the parameters that each must have, no more and no less."""

WINDOW = frozenset("axis out size stride low high base dilation".split())


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation: `inputs` are numbers of earlier nodes, `shape` is that of its result."""

    op: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    params: Mapping[str, Any]
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Program:
    """Nodes in order of evaluation, and the numbers of the outputs."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        nodes = [
            {
                "op": node.op,
                "inputs": list(node.inputs),
                "shape": list(node.shape),
                "params": _plain(node.params),
                "source": node.source,
            }
            for node in self.nodes
        ]
        return {"nodes": nodes, "outputs": list(self.outputs)}

    def sha256(self) -> str:
        return digest(self.to_json())


def digest(data: Any) -> str:
    """sha256 of the canonical JSON text."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Program):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def decode_program(data: Any, *, within: bool = False) -> Program:
    """A program from JSON data, checked: known operations, exactly their parameters, inputs before their use.

    Raises:
        Refusal: with the place and what is wrong there.
    """
    expect_keys(data, {"nodes", "outputs"}, "program")
    if not isinstance(data["nodes"], list):
        raise Refusal("format", "program.nodes is no list")
    nodes: list[Node] = []
    for number, item in enumerate(data["nodes"]):
        place = f"node {number}"
        expect_keys(item, {"op", "inputs", "shape", "params", "source"}, place)
        op = item["op"]
        if not isinstance(op, str) or op not in PARAMETERS or not isinstance(item["source"], str):
            raise Refusal(
                "format", f"{place}: unknown operation {op!r}, or a source that is no text"
            )
        expect_keys(item["params"], set(PARAMETERS[op]), place)
        inputs, shape = integers(item["inputs"], place), integers(item["shape"], place)
        if any(not 0 <= source < number for source in inputs) or any(n < 1 for n in shape):
            raise Refusal("format", f"{place}: inputs must come before it, sizes be at least 1")
        params = {key: _decode_param(key, value, place) for key, value in item["params"].items()}
        if op == "input" and (inputs or not set(params["grid"]) <= set(range(len(shape)))):
            raise Refusal("format", f"{place}: the grid names axes that the image has not")
        nodes.append(Node(op, inputs, shape, params, item["source"]))
    outputs = integers(data["outputs"], "outputs")
    if any(not 0 <= output < len(nodes) for output in outputs) or not (within or outputs):
        raise Refusal("format", "an output is no node")
    return Program(tuple(nodes), outputs)


def _decode_param(key: str, value: Any, place: str) -> Any:
    if key in ("body", "test"):
        return None if value is None and key == "test" else decode_program(value, within=True)
    if key == "bodies":
        if not isinstance(value, list) or not value:
            raise Refusal("format", f"{place}: bodies must be a list of programs")
        return tuple(decode_program(body, within=True) for body in value)
    if key in ("symmetric", "linear", "sum", "zero"):
        if not isinstance(value, bool):
            raise Refusal("format", f"{place}: {key} must be true or false")
        return value
    if key in ("axis", "low", "high", "inner", "constants", "carries", "result"):
        return integers([value], place)[0]
    if (
        key in ("rolls", "kept")
        and isinstance(value, list)
        and value
        and isinstance(value[0], list)
    ):
        return tuple(integers(item, place) for item in value)
    if key == "dims":
        if not isinstance(value, list):
            raise Refusal("format", f"{place}: dims must be a list")
        for item in value:
            expect_keys(item, set(WINDOW), place)
        return tuple(
            dict(zip(item, integers(list(item.values()), place), strict=True)) for item in value
        )
    if key == "index" and isinstance(value, dict):
        expect_keys(value, {"start", "step"}, place)
        return dict(zip(value, integers(list(value.values()), place), strict=True))
    return integers(value, place)


def expect_keys(data: Any, keys: set[str], place: str) -> None:
    """Exactly these keys, or a refusal."""
    if not isinstance(data, Mapping) or set(data) != keys:
        found = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise Refusal("format", f"{place}: expected the fields {sorted(keys)}, found {found}")


def integers(value: Any, place: str) -> tuple[int, ...]:
    """A tuple of integers (and no booleans), or a refusal."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Refusal("format", f"{place}: expected a list of integers, found {value!r}")
    if any(not isinstance(item, int) or isinstance(item, bool) for item in value):
        raise Refusal("format", f"{place}: expected integers, found {value!r}")
    return tuple(value)
