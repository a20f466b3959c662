"""Polyphase sampling: what holds behind a choice that the image makes itself.

The theorem (`shiftproof.layers.polyphase`, in Coq `proofs/coq/Polyphase.v`): shift the arrays among which the layer
chooses, all alike, and what it picks moves by some whole number of cells along every axis, which depends on the image;
for every image where ties are broken canonically, else for those without ties. So a program with such layers is cut at
them. Up to the first the kernel proves that the arrays move with the image; from each on, what it picks taken for an
input that moves by one cell along one axis, that the arrays of the next move; and from the last one that the output
stays, or moves. One cell along every axis is enough: what one cell keeps, any number of cells does. No path may lead
around a layer.

The kernel proves the parts, and does not know the theorem, so the result is *conditional*, and never called proved.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from shiftproof.group import Lattice, Shift, axis_shift, largest_lattice
from shiftproof.layers.polyphase import reference
from shiftproof.proving.analysis import Claim, Prover
from shiftproof.proving.graph import Graph
from shiftproof.tracing.trace import Call, Program
from shiftproof_kernel import Lost, Node, Theorem, derive, equivariant, invariant
from shiftproof_kernel import Program as KernelProgram
from shiftproof_kernel.program import Input

NAME = re.compile(r"polyphase_(\d+(?:x\d+)*)_(l1|l2|max|learned)_(first|canonical)")


@dataclasses.dataclass(frozen=True)
class Selection:
    """One layer that chooses a polyphase component.

    Attributes:
        arrays: numbers of the values that are cut, all at one phase.
        outputs: numbers of their components, in the same order.
        axes: of these values that are the grid.
        ties: `first` or `canonical`.
        source: the user's file and line.
    """

    arrays: tuple[int, ...]
    outputs: tuple[int, ...]
    axes: tuple[int, ...]
    ties: str
    source: str


@dataclasses.dataclass(frozen=True)
class Conditional:
    """What holds of a property under the theorem on polyphase sampling.

    Attributes:
        lattice: the shifts.
        except_ties: where phases must not tie: the lines of the layers; empty where it holds for every image.
    """

    lattice: Lattice
    except_ties: tuple[str, ...]

    def __str__(self) -> str:
        places = ", ".join(filter(None, self.except_ties))
        where = f", except where two phases tie{f' ({places})' if places else ''}"
        where = where if self.except_ties else ""
        return (
            f"kept under {self.lattice.count} of {math.prod(self.lattice.grid)} shifts ({self.lattice}){where}, by "
            "what the kernel proves before and behind polyphase sampling, and the theorem about it"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "lattice": [list(row) for row in self.lattice.generators],
            "shifts": self.lattice.count,
            "except_ties_at": list(self.except_ties),
        }


def find_selections(program: Program) -> list[Selection]:
    """The polyphase layers of a program on one image; a namesake that computes something else is none."""
    found = []
    for call in program.calls:
        matched = NAME.fullmatch(call.name)
        selection = _selection(program, call, *matched.groups()) if matched else None
        if selection is not None:
            found.append(selection)
    return found


def _selection(program: Program, call: Call, steps: str, order: str, ties: str) -> Selection | None:
    strides = tuple(map(int, steps.split("x")))
    values = [*call.inputs, *call.outputs]
    if not all(isinstance(value, int) for value in values):
        return None
    count = len(call.outputs)
    arrays, weights = call.inputs[:count], call.inputs[count:]
    avals = program.avals
    asked = reference(strides, order, ties)  # type: ignore[arg-type]
    given = tuple(avals[n] for n in arrays), tuple(avals[n] for n in weights)  # type: ignore[index]
    if program.from_images & set(weights) or any(aval.shape[:1] != (1,) for aval in given[0]):
        return None
    if not call.is_of(asked, *given):
        return None
    axes = tuple(range(1, 1 + len(strides)))
    return Selection(arrays, call.outputs, axes, ties, str(call.site))  # type: ignore[arg-type]


def conditional(
    prover: Prover, program: Program, claims: Sequence[Claim], grid: Sequence[int]
) -> dict[Claim, Conditional]:
    """For every claim that polyphase layers keep under more shifts than 0: under which, and where."""
    chain = find_selections(program)
    if not chain or not all(
        n in prover.graph.nodes for s in chain for n in (*s.arrays, *s.outputs)
    ):
        return {}
    if not all(
        _leads_on(prover.graph, one, _arrays(prover.graph, other))
        for one, other in itertools.pairwise(chain)
    ):
        return {}
    first, last = chain[0], chain[-1]

    def enters(shift: Shift) -> bool:
        outcomes = prover.derive(shift).outcomes
        return _move_alike([outcomes[n] for n in _arrays(prover.graph, first)], first.axes)

    found = {}
    lattice = None
    for claim in claims:
        output = prover.graph.program.outputs[claim.leaf]
        if claim.law != "any" or not _leads_on(prover.graph, last, [output], claim):
            continue
        if lattice is None:
            _, lattice = largest_lattice(grid, enters)
        if lattice.count > 1:
            lines = dict.fromkeys(s.source for s in chain if s.ties != "canonical")
            found[claim] = Conditional(lattice, tuple(lines))
    return found


def _arrays(graph: Graph, selection: Selection) -> list[int]:
    return [graph.nodes[number] for number in selection.arrays]


def _move_alike(outcomes: Sequence[Theorem | Lost], axes: Sequence[int]) -> bool:
    """Whether all arrays move by one shift along the axes, each a whole torus."""
    moved = {None if isinstance(o, Lost) else equivariant(o, axes) for o in outcomes}
    return len(moved) == 1 and None not in moved


def _leads_on(
    graph: Graph, selection: Selection, targets: Sequence[int], claim: Claim | None = None
) -> bool:
    """Whether, when what a layer picked moves by one cell along any axis, the targets move alike, or a claim holds."""
    rest = _behind(graph, selection, targets)
    if rest is None:
        return False
    for axis in range(len(selection.axes)):
        shift = axis_shift([0] * len(selection.axes), axis, 1)
        derived = derive(rest, shift)
        outcomes = [derived[output] for output in rest.outputs]
        if claim is None:
            kept = _move_alike(outcomes, selection.axes)
        else:
            (outcome,) = outcomes
            kept = isinstance(outcome, Theorem) and (
                invariant(outcome)
                if claim.property == "invariance"
                else equivariant(outcome, claim.axes) is not None
            )
        if not kept:
            return False
    return True


def _behind(graph: Graph, selection: Selection, targets: Sequence[int]) -> KernelProgram | None:
    """The part of the program from what a layer picked to the targets; None where the image leads there too."""
    picked = {graph.nodes[number] for number in selection.outputs}
    needed, waiting = set(), list(targets)
    while waiting:
        number = waiting.pop()
        if number in needed:
            continue
        needed.add(number)
        node = graph.program.nodes[number]
        if number in picked:
            continue
        if isinstance(node.op, Input):
            return None
        waiting += node.inputs
    if not needed & picked:
        return None
    kept = sorted(needed)
    places = {number: place for place, number in enumerate(kept)}
    nodes = []
    for number in kept:
        node = graph.program.nodes[number]
        if number in picked:
            nodes.append(Node(Input(tuple(selection.axes)), (), node.shape, node.source))
        else:
            inputs = tuple(places[i] for i in node.inputs)
            nodes.append(dataclasses.replace(node, inputs=inputs))
    return KernelProgram(tuple(nodes), tuple(places[target] for target in targets))
