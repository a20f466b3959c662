"""Analysis: the largest lattice of shifts that the kernel proves, and the first equation at which it shrinks.

One derivation per shift; a handful of shifts decide the whole grid, since those that keep a property are a group.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

from shiftproof.group import Shift, axis_shift, divisors
from shiftproof.proving.graph import Graph
from shiftproof.proving.layers import Layer
from shiftproof_kernel import (
    Lost,
    Moving,
    Node,
    Program,
    Refusal,
    Theorem,
    derive,
    equivariant,
    invariant,
)

MAX_CHOICES = 8
"""How many constants may be taken as moving with the image, one after the other."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One question about one output: `invariance`, or `equivariance` along the output's grid axes.

    Attributes:
        output: name of the output.
        leaf: its position among the outputs of the program.
        property: `equivariance` or `invariance`.
        axes: grid axes of the output; empty for invariance.
        sizes: of the output along these axes.
        law: `any` output shift, or the `same` as that of the input.
    """

    output: str
    leaf: int
    property: str
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    law: str

    def expected(self, shift: Shift) -> Shift | None:
        """The output shift that the law demands; None where any will do."""
        if self.law == "any" or self.property == "invariance":
            return None
        return tuple(s % n for s, n in zip(shift, self.sizes, strict=True))


@dataclasses.dataclass(frozen=True)
class Derivation:
    """What the kernel says under one shift: an outcome per node, and the rolls chosen for constants."""

    outcomes: list[Theorem | Lost]
    choices: dict[int, tuple[int, ...]]


class Prover:
    """Asks the kernel about one graph, each shift once."""

    def __init__(self, graph: Graph, grid: Sequence[int]) -> None:
        self.graph = graph
        self.grid = tuple(grid)
        self._known: dict[Shift, Derivation] = {}
        self._twin: Prover | None = None

    def derive(self, shift: Shift) -> Derivation:
        """The derivation under a shift; constants with rolls are taken as moving where that keeps more."""
        if shift not in self._known:
            self._known[shift] = self._derive(shift)
        return self._known[shift]

    def _derive(self, shift: Shift) -> Derivation:
        program, choices = self.graph.program, {}
        outcomes = derive(program, shift)
        for _ in range(MAX_CHOICES):
            for number, roll in itertools.islice(self._chosen(outcomes, choices), MAX_CHOICES):
                tried = derive(program, shift, choices={**choices, number: roll})
                if _losses(tried) < _losses(outcomes):
                    choices, outcomes = {**choices, number: roll}, tried
                    break
            else:
                break
        return Derivation(outcomes, choices)

    def _chosen(
        self, outcomes: Sequence[Theorem | Lost], choices: dict[int, tuple[int, ...]]
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Constants, and rolls of theirs, that could meet a value that moves where they stay."""
        nodes = self.graph.program.nodes
        for number, outcome in enumerate(outcomes):
            if not isinstance(outcome, Lost) or outcome.number != number:
                continue
            if outcome.refusal.code != "positions" or "step" not in outcome.refusal.detail:
                continue
            step = outcome.refusal.detail["step"]
            for source in self._constants_of(number):
                if source in choices:
                    continue
                for roll in nodes[source].params["rolls"]:
                    for factor in range(1, math.lcm(*nodes[source].shape)):
                        moved = tuple(
                            factor * r % n for r, n in zip(roll, nodes[source].shape, strict=True)
                        )
                        if step in moved:  # along which axis is found out by trying
                            yield source, moved

    def _constants_of(self, number: int) -> list[int]:
        """The constants with rolls that a node is made of."""
        nodes, seen, queue = self.graph.program.nodes, set(), [number]
        while queue:
            here = queue.pop()
            if here not in seen:
                seen.add(here)
                queue += nodes[here].inputs
        return sorted(n for n in seen if nodes[n].op == "constant" and nodes[n].params["rolls"])

    def proves(self, claim: Claim, shift: Shift) -> bool:
        """Whether the kernel derives the claim under this shift."""
        return self.output_shift(claim, shift) is not None

    def output_shift(self, claim: Claim, shift: Shift) -> Shift | None:
        """By what the output moves under the claim, `()` for invariance; None where nothing is proved."""
        outcome = self.derive(shift).outcomes[self.graph.program.outputs[claim.leaf]]
        if isinstance(outcome, Lost):
            return None
        if claim.property == "invariance":
            return () if invariant(outcome) else None
        moved = equivariant(outcome, claim.axes)
        if moved is None:
            return None
        moved = tuple(m % n for m, n in zip(moved, claim.sizes, strict=True))
        return moved if claim.expected(shift) in (None, moved) else None

    def needs_the_program(self, claim: Claim, shift: Shift) -> bool:
        """Whether the same program, slightly broken, is not proved: else the proof says nothing about the program.

        The broken twin adds a table of positions to the image, which no shift but 0 leaves alone.
        """
        if self._twin is None:
            self._twin = Prover(Graph(_broken(self.graph.program), {}, ()), self.grid)
        return not self._twin.proves(claim, shift)

    def reason(self, claim: Claim, shift: Shift) -> str:
        """Why the kernel does not derive the claim under this shift: what was lost, where."""
        outcome = self.derive(shift).outcomes[self.graph.program.outputs[claim.leaf]]
        if not isinstance(outcome, Lost):
            return f"the kernel derives another answer of the output than the {claim.property} asked for"
        return self.graph.told(outcome)


def _broken(program: Program) -> Program:
    """The program with a table that repeats nowhere added to its image."""
    nodes: list[Node] = []
    places: dict[int, int] = {}
    for number, node in enumerate(program.nodes):
        inputs = tuple(places[i] for i in node.inputs)
        nodes.append(Node(node.op, inputs, node.shape, node.params, node.source))
        places[number] = len(nodes) - 1
        if node.op == "input":
            table = {"periods": node.shape, "rolls": ()}
            nodes.append(Node("constant", (), node.shape, table))
            nodes.append(Node("map", (len(nodes) - 2, len(nodes) - 1), node.shape, {}))
            places[number] = len(nodes) - 1
    return Program(tuple(nodes), tuple(places[output] for output in program.outputs))


def _losses(outcomes: Sequence[Theorem | Lost]) -> int:
    return sum(isinstance(outcome, Lost) for outcome in outcomes)


# --- where the lattice shrinks ---


@dataclasses.dataclass(frozen=True)
class Cause:
    """An equation at which the provable lattice shrinks.

    Attributes:
        layer: the name of the layer that it is part of.
        source: the user's file and line.
        primitive: the JAX primitive.
        axis: the spatial axis of the input.
        before: the smallest step along it that was still proved before the equation.
        after: the same behind it; the size of the axis where none is.
        code: the kind of reason.
        reason: what the kernel says.
        repair: the cheapest change that would help.
    """

    layer: str
    source: str
    primitive: str
    axis: int
    before: int
    after: int
    code: str
    reason: str
    repair: str


def layer_steps(prover: Prover, layers: Sequence[Layer]) -> list[tuple[int, ...] | None]:
    """For each layer and axis the smallest step under which its value is proved to move as a whole, or to stay."""
    whole = _node_steps(prover, _moves_whole)
    found = []
    for layer in layers:
        node = prover.graph.nodes.get(layer.value) if isinstance(layer.value, int) else None
        found.append(None if node is None else tuple(row[node] for row in whole))
    return found


def _moves_whole(outcome: Theorem | Lost) -> bool:
    """Whether a value is rolled, or stays; a window on a part of a period is neither."""
    if isinstance(outcome, Lost):
        return False
    return equivariant(outcome, range(len(outcome.fact.shape))) is not None


def _is_known(outcome: Theorem | Lost) -> bool:
    return isinstance(outcome, Theorem)


def _node_steps(prover: Prover, holds: Callable[[Theorem | Lost], bool]) -> list[list[int]]:
    """By axis and node: the smallest divisor of the axis under which the node's outcome is as asked."""
    rows = []
    for axis, n in enumerate(prover.grid):
        row = [n] * len(prover.graph.program.nodes)
        for step in reversed(divisors(n)):
            outcomes = prover.derive(axis_shift(prover.grid, axis, step)).outcomes
            row = [step if holds(o) else old for o, old in zip(outcomes, row, strict=True)]
        rows.append(row)
    return rows


def find_causes(prover: Prover, layers: Sequence[Layer]) -> list[Cause]:
    """All equations at which the lattice of some axis shrinks, in order of execution."""
    known, whole = _node_steps(prover, _is_known), _node_steps(prover, _moves_whole)
    found = [*_losses_of(prover, layers, known), *_cut_short(prover, layers, whole)]
    unique: dict[tuple[int, int], Cause] = {}
    for number, cause in sorted(found, key=lambda pair: pair[0]):
        unique.setdefault((id(prover.graph.origins[number]), cause.axis), cause)
    return list(unique.values())


def _losses_of(
    prover: Prover, layers: Sequence[Layer], known: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Cause]]:
    """Nodes at which the kernel loses the claim under a step that its operands still answer to."""
    for axis, row in enumerate(known):
        for number, node in enumerate(prover.graph.program.nodes):
            before = math.lcm(1, *(row[source] for source in node.inputs))
            if row[number] <= before or before == prover.grid[axis]:
                continue
            outcome = prover.derive(axis_shift(prover.grid, axis, before)).outcomes[number]
            if isinstance(outcome, Lost) and prover.graph.origins[number] is not None:
                refusal = outcome.refusal
                steps = before, row[number]
                yield number, _cause(prover, layers, number, axis, steps, refusal)


def _cut_short(
    prover: Prover, layers: Sequence[Layer], whole: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Cause]]:
    """Windows whose stride does not divide the size, so that a layer shows a part of a period of a finer signal."""
    values = [layer.value for layer in layers if isinstance(layer.value, int)]
    ends = [prover.graph.nodes[value] for value in values if value in prover.graph.nodes]
    for axis, row in enumerate(whole):
        before, begin = 1, 0
        for end in sorted(ends):
            if row[end] > before:
                yield from _strides_cut(prover, layers, (begin, end), axis, (before, row[end]))
                before = row[end]
            begin = end + 1


def _strides_cut(
    prover: Prover,
    layers: Sequence[Layer],
    nodes: tuple[int, int],
    axis: int,
    steps: tuple[int, int],
) -> Iterator[tuple[int, Cause]]:
    outcomes = prover.derive(axis_shift(prover.grid, axis, steps[0])).outcomes
    for number in range(nodes[0], nodes[1] + 1):
        node, outcome = prover.graph.program.nodes[number], outcomes[number]
        if node.op != "window" or not isinstance(outcome, Theorem):
            continue
        for dim in node.params["dims"]:
            for factor in outcome.fact.axes[dim["out"]]:
                # the period of the signal is that of its operand, since the stride does not divide it
                if isinstance(factor, Moving) and factor.n % factor.period and dim["stride"] > 1:
                    refusal = Refusal(
                        "stride",
                        f"stride {dim['stride']} does not divide the size {factor.period}",
                        stride=dim["stride"],
                        period=factor.period,
                    )
                    yield number, _cause(prover, layers, number, axis, steps, refusal)


def _cause(
    prover: Prover,
    layers: Sequence[Layer],
    number: int,
    axis: int,
    steps: tuple[int, int],
    refusal: Refusal,
) -> Cause:
    origin = prover.graph.origins[number]
    return Cause(
        layer=_layer_of(prover.graph, number, layers),
        source=str(origin.site) if origin else "",
        primitive=origin.name if origin else "",
        axis=axis,
        before=steps[0],
        after=steps[1],
        code=refusal.code,
        reason=str(refusal),
        repair=_repair(refusal.code, refusal.detail, origin.name if origin else ""),
    )


def _layer_of(graph: Graph, number: int, layers: Sequence[Layer]) -> str:
    """The first layer that lies behind the node."""
    places = [(graph.nodes.get(x.value, -1), x.name) for x in layers if isinstance(x.value, int)]
    return next((name for node, name in sorted(places) if node >= number), layers[-1].name)


def _repair(code: str, detail: dict[str, int], primitive: str) -> str:
    if code == "padding":
        if primitive == "conv_general_dilated":
            return "zero padding: use padding='CIRCULAR'"
        return "the padding brings in foreign values: wrap the borders instead"
    if code == "stride" and detail["stride"]:
        stride, period = detail["stride"], detail["period"]
        if period % stride:
            wider = -(-period // stride) * stride
            return f"size {period} is not divisible by stride {stride}: pad to {wider}"
        return (
            f"stride {stride} keeps one shift in {stride}: use stride 1 (a blur before it makes the deviation "
            "smaller, but breaks as many shifts)"
        )
    if code == "contract":
        return "a dense layer sees every place with other weights: pool globally first"
    if code == "positions":
        return "values tied to places (a position table, a mask, a dense layer): remove them or pool globally first"
    if code == "part":
        return "a part of a period is summed: make the sizes divisible by the strides"
    if code == "split":
        return f"blocks of {detail.get('block', '?')}: only shifts by whole blocks are kept"
    if code == "phase":
        return (
            "a shift turns each frequency: keep to weighted sums and products, or take magnitudes"
        )
    if code == "glue":
        return 'what is joined are no neighbours on the torus, as in mirrored padding: pad with mode="wrap"'
    if code == "order":
        return "the operation depends on the order of the cells: pool globally first"
    return "no rule keeps the claim here"
