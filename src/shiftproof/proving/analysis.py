"""Analysis: the largest lattice of shifts that the kernel proves, and the first equation at which it shrinks.

One derivation per shift; a handful of shifts decide the whole grid, since those that keep a property are a group.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from shiftproof.group import Shift
from shiftproof.proving.graph import Graph
from shiftproof_kernel import (
    Lost,
    Node,
    Program,
    Theorem,
    derive,
    equivariant,
    invariant,
)
from shiftproof_kernel.program import Constant, Input, Map

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
                for roll in _rolls(nodes[source]):
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
        return sorted(number for number in seen if _rolls(nodes[number]))

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


def _rolls(node: Node) -> tuple[tuple[int, ...], ...]:
    """The rolls that leave a node as it is, where it is a constant."""
    return node.op.rolls if isinstance(node.op, Constant) else ()


def _broken(program: Program) -> Program:
    """The program with a table that repeats nowhere added to its image."""
    nodes: list[Node] = []
    places: dict[int, int] = {}
    for number, node in enumerate(program.nodes):
        inputs = tuple(places[i] for i in node.inputs)
        nodes.append(dataclasses.replace(node, inputs=inputs))
        places[number] = len(nodes) - 1
        if isinstance(node.op, Input):
            nodes.append(Node(Constant(periods=node.shape, rolls=()), (), node.shape))
            nodes.append(Node(Map(), (len(nodes) - 2, len(nodes) - 1), node.shape))
            places[number] = len(nodes) - 1
    return Program(tuple(nodes), tuple(places[output] for output in program.outputs))


def _losses(outcomes: Sequence[Theorem | Lost]) -> int:
    return sum(isinstance(outcome, Lost) for outcome in outcomes)
