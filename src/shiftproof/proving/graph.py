"""From a traced program to the kernel's: the graph that theorems are about, and where its nodes come from."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from shiftproof.algebras.digits import uncertain_values
from shiftproof.proving.building import Builder, Operand
from shiftproof.proving.primitives import RULES, polyphase, whole
from shiftproof.proving.selections import with_selections
from shiftproof.tracing.trace import Equation, Program
from shiftproof_kernel import Lost
from shiftproof_kernel import Program as KernelProgram
from shiftproof_kernel.program import Input, Weight


@dataclasses.dataclass(frozen=True)
class Graph:
    """A kernel program and where its nodes come from.

    Attributes:
        program: what the kernel reasons about; its outputs are those of the traced program.
        nodes: the node of every value that it holds, by number of the value.
        origins: for each node the equation that made it; None for inputs and constants.
        constants: the arrays of the constants, by node.
        opaque: why equations are used whole, by their first result.
    """

    program: KernelProgram
    nodes: Mapping[int, int]
    origins: tuple[Equation | None, ...]
    constants: Mapping[int, np.ndarray] = dataclasses.field(default_factory=dict, repr=False)
    opaque: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def told(self, lost: Lost) -> str:
        """Why nothing is claimed: the primitive, the user's file and line, and what the kernel refused."""
        eqn = self.origins[lost.number]
        if eqn is None:
            return str(lost.refusal)
        place = f" at {eqn.site}" if str(eqn.site) else ""
        why = self.opaque.get(eqn.outputs[0], "")
        known = f" ({why})" if why else ""
        return f"{eqn.name}{place}{known}: {lost.refusal}"


def build_graph(
    program: Program,
    weights: Sequence[Any],
    *,
    opaque: Set[int],
    spatial_axes: Sequence[int],
    ties: Sequence[str] = ("canonical",),
) -> Graph:
    """The kernel's program of a traced one.

    Args:
        program: the traced model.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
        ties: of polyphase layers that are selections; of a program in which `first` is one, what is proved holds of
            images without ties.
    """
    builder = Builder(RULES, other=whole, selection=polyphase)
    known: dict[int, Any] = dict(program.constants)
    start: dict[int, Operand] = {}
    for number, weight in zip(program.weights, weights, strict=True):
        shape = program.avals[number].shape
        if number in opaque and 0 not in shape:
            start[number] = builder.add(Weight(), (), shape)
        else:
            known[number] = np.zeros(shape, program.avals[number].dtype) if 0 in shape else weight
    images = program.avals[program.images].shape
    start[program.images] = builder.add(Input(tuple(spatial_axes)), (), images)
    own = {n: known[n] for n in program.weights if n in known}
    selected = with_selections(program, ties)
    return _graph(builder, selected, start, known, uncertain_values(program, own))


def body_graph(program: Program) -> Graph:
    """The kernel's program of the body of a loop or a branch, whose inputs are its weights."""
    builder = Builder(RULES, other=whole, inside=True)
    start: dict[int, Operand] = {
        number: builder.add(Input(()), (), program.avals[number].shape)
        for number in program.weights
    }
    return _graph(builder, program, start, program.constants)


def _graph(
    builder: Builder,
    program: Program,
    start: Mapping[int, Operand],
    known: Mapping[int, Any],
    uncertain: Set[int] = frozenset(),
) -> Graph:
    meaning, outputs = builder.translate(program, start, known, uncertain)
    nodes = {n: m for n, m in meaning.items() if isinstance(m, int)}
    numbers = tuple(builder.node(output) for output in outputs)
    made = KernelProgram(tuple(builder.nodes), numbers)
    return Graph(made, nodes, tuple(builder.origins), builder.constants, builder.opaque)
