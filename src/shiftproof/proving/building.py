"""Building a kernel program: nodes are collected equation by equation, and each remembers where it comes from.

What depends neither on the images nor on opaque weights is computed, and enters as a constant whose periods are read
off its values. Constants are what the program computes of them; but weights are real numbers, and what rounds on the
way from them is not computed: its equations are translated, as those of what moves. How a primitive is translated
stands in a table that is given to the builder.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.digits import is_exact
from shiftproof.proving.periods import periods, rolls
from shiftproof.proving.selections import SELECTION
from shiftproof.tracing.primitives import Kind, Reading, is_complex, plain, read, type_of
from shiftproof.tracing.trace import Equation, Literal, Program, apply, interpret, known_values
from shiftproof_kernel import Node
from shiftproof_kernel.program import Constant, Operation, Reshape


@dataclasses.dataclass(frozen=True)
class Known:
    """A value that was computed.

    Attributes:
        array: the value.
        behind: whether an equation gave it that was translated, as a product with zero; the field knows such values
            less well.
    """

    array: Any
    behind: bool = False


Operand = int | Known
"""A node, or a value that was computed."""


EMPTY_OPERANDS = frozenset(["concatenate", "split"])
"""Primitives whose translators bear with operands that have no cells. The kernel knows no such arrays, and needs none:
what is computed from them is a function of the other operands."""


class Builder:
    """Collects nodes; each remembers the equation that is being translated.

    Attributes:
        rules: for every class of the table, translators by name, and that of all others.
        other: the translator of what is used whole.
        selection: the translator of polyphase layers.
        nodes: so far.
        origins: for each node the equation that made it; None for inputs and constants.
        inside: whether it builds the body of a loop or a branch.
        opaque: why equations are used whole, by the number of their first result.
    """

    def __init__(
        self,
        rules: "Mapping[Kind, tuple[Mapping[str, Translator], Translator]]",
        other: "Translator",
        *,
        selection: "Translator | None" = None,
        inside: bool = False,
    ) -> None:
        self.rules, self.other, self.inside = rules, other, inside
        self.selection = selection or other
        self.nodes: list[Node] = []
        self.origins: list[Equation | None] = []
        self.opaque: dict[int, str] = {}
        self._equation: Equation | None = None
        self._constants: dict[tuple[int, tuple[int, ...]], tuple[int, Any]] = {}

    def add(self, op: Operation, inputs: Sequence[int], shape: Sequence[int]) -> int:
        """Append a node, and return its number."""
        eqn = self._equation
        source = f"{eqn.name} {eqn.site}".strip() if eqn else ""
        self.nodes.append(Node(op, tuple(inputs), tuple(int(n) for n in shape), source))
        self.origins.append(eqn)
        return len(self.nodes) - 1

    def translate(
        self,
        program: Program,
        start: Mapping[int, Operand],
        known: Mapping[int, Any],
        uncertain: Set[int] = frozenset(),
    ) -> tuple[dict[int, Operand], list[Operand]]:
        """Nodes for all that depends on `start`, and for what is uncertain; the rest is computed.

        Args:
            program: a traced program.
            start: meanings of its weights and images that are not known.
            known: arrays of those that are, and of its constants.
            uncertain: values that follow from these, and are not read off them.

        Returns:
            The meaning of every value by number, and of the outputs.
        """
        unknown = program.depending_on({*start, *uncertain})
        values = known_values(program, known, uncertain)
        computed = {n: Known(values.get(n)) for n in program.avals if n not in unknown}

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Operand]:
            if eqn.outputs[0] not in unknown:
                return [computed[output] for output in eqn.outputs]
            self._equation = eqn
            given = [Known(o.value) if isinstance(o, Literal) else o for o in operands]
            types = [
                type_of(o.value) if isinstance(o, Literal) else program.avals[o] for o in eqn.inputs
            ]
            made = [program.avals[o] for o in eqn.outputs]
            return self._translate_equation(Call(self, eqn, given, types, made))

        meaning = interpret(program, {**computed, **start}, step)
        self._equation = None
        outputs = [
            Known(o.value) if isinstance(o, Literal) else meaning[o] for o in program.outputs
        ]
        return meaning, outputs

    def _translate_equation(self, call: "Call") -> Sequence[Operand]:
        arrays = [operand.array for operand in call.operands if isinstance(operand, Known)]
        if len(arrays) == len(call.operands) and _is_computed(call, arrays):
            made: Sequence[Any] = [Known(array) for array in apply(call.eqn, arrays)]
        else:
            made = self._translate_unknown(call)
        return [_behind(m) if isinstance(m, Known) else m for m in made]

    def _translate_unknown(self, call: "Call") -> Sequence[Operand]:
        if all(0 in aval.shape for aval in call.results):
            return [nothing(aval) for aval in call.results]
        if any(0 in shape for shape in call.shapes) and call.eqn.name not in EMPTY_OPERANDS:
            return self.other(call)
        if call.eqn.primitive is SELECTION:
            return self.selection(call)
        reading = call.reading
        if reading.reason:
            self.opaque[call.eqn.outputs[0]] = reading.reason
        by_name, otherwise = self.rules[reading.kind]
        return by_name.get(call.eqn.name, otherwise)(call)

    def shape(self, operand: Operand) -> tuple[int, ...]:
        """The shape of an operand."""
        if isinstance(operand, Known):
            return tuple(np.shape(operand.array))
        return self.nodes[operand].shape

    def node(self, operand: Operand, rank: int | None = None) -> int:
        """The node of an operand; scalars get `rank` axes of length 1 where other operands have that many."""
        if isinstance(operand, Known):
            return self._constant(operand.array, rank)
        if rank and not self.nodes[operand].shape:
            return self.add(Reshape(), [operand], (1,) * rank)
        return operand

    @property
    def constants(self) -> dict[int, np.ndarray]:
        """The arrays of the constants that are numbers, by node."""
        found = ((n, shape, v) for (_, shape), (n, v) in self._constants.items() if is_plain(v))
        return {number: np.asarray(value).reshape(shape) for number, shape, value in found}

    def _constant(self, value: Any, rank: int | None) -> int:
        if 0 in np.shape(value):
            value = np.zeros(())  # nothing moves where there are no cells
        is_number = is_plain(value)
        array = np.asarray(value) if is_number else np.zeros(np.shape(value))
        if rank and not array.shape:
            array = array.reshape((1,) * rank)
        key = (id(value), array.shape)
        if key not in self._constants:
            known = (periods(array), rolls(array)) if is_number else (array.shape, ())
            number = self.add(Constant(*known), (), array.shape)
            self.origins[number] = None
            self._constants[key] = number, value  # kept, so that its id stays its own
        return self._constants[key][0]


def _is_computed(call: "Call", arrays: Sequence[Any]) -> bool:
    """Whether an equation on known values is computed here, as behind a product with zero.

    Only what the field computes as well: functions of no cells, and, with residues, moves, sums and products that round
    nothing. Machine integers are added modulo a power of two.
    """
    if all(0 in np.shape(array) for array in arrays):
        return True
    kind = call.reading.kind
    floats = all(jnp.issubdtype(aval.dtype, np.inexact) for aval in call.results)
    if kind is Kind.MOVES or (kind in (Kind.LINEAR, Kind.BILINEAR) and floats):
        return is_exact(call.eqn, arrays, call.types, call.results)
    return False


def _behind(known: Known) -> Known:
    """What the translation of an equation gave; arrays without cells are known in the field, too."""
    return Known(known.array, behind=0 not in np.shape(known.array))


def nothing(aval: Any) -> Known:
    """Zeros; or, as often, an array without cells."""
    return Known(np.zeros(aval.shape, aval.dtype))


def is_plain(value: Any) -> bool:
    """Whether the values are numbers that can be compared, and not, say, random keys."""
    return plain(value.dtype if hasattr(value, "dtype") else jnp.result_type(value))


@dataclasses.dataclass(frozen=True)
class Call:
    """One equation with its operands, as the translators see it.

    Attributes:
        builder: collects the nodes.
        eqn: the equation.
        operands: nodes, or values that were computed.
        types: shape and dtype of every operand.
        results: shape and dtype of every result.
    """

    builder: Builder
    eqn: Equation
    operands: Sequence[Operand]
    types: Sequence[Any]
    results: Sequence[Any]

    @property
    def reading(self) -> Reading:
        """Its class, by the table."""
        known = [self.known(i) is not None for i in range(len(self.operands))]
        return read(self.eqn.name, self.eqn.params, self.types, known, self.results[0])

    @property
    def takes_complex(self) -> bool:
        """Whether it is given complex numbers."""
        return any(map(is_complex, self.types))

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters of the primitive."""
        return self.eqn.params

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the operands."""
        return [self.builder.shape(operand) for operand in self.operands]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first result."""
        return tuple(self.results[0].shape)

    @property
    def is_complex(self) -> bool:
        """Whether the first result holds complex numbers."""
        return is_complex(self.results[0])

    def node(self, position: int) -> int:
        """The node of an operand."""
        return self.builder.node(self.operands[position])

    def shape_of(self, node: int) -> tuple[int, ...]:
        """The shape of a node."""
        return self.builder.nodes[node].shape

    def add(self, op: Operation, inputs: Sequence[int], shape: Sequence[int] | None = None) -> int:
        """Append a node, of the first result's shape where none is given."""
        return self.builder.add(op, inputs, self.shape if shape is None else shape)

    def known(self, position: int) -> np.ndarray | None:
        """The operand's values, where they were computed, and not behind what was translated."""
        operand = self.operands[position]
        if isinstance(operand, Known) and not operand.behind:
            return np.asarray(operand.array)
        return None

    def is_zero(self, position: int) -> bool:
        """Whether all cells of an operand are zero."""
        operand = self.operands[position]
        if not (isinstance(operand, Known) and is_plain(operand.array)):
            return False
        # NumPy's own: for an array of JAX's `any` looks at real parts only
        return not np.any(np.asarray(operand.array))


Translator = Callable[[Call], Sequence[Operand]]
