"""Causes: the equations at which the lattice shrinks, in plain words, with the cheapest change that would help.

A cause is found where the kernel loses a claim under a step that the operands still answer to. What the kernel says is
exact and general; what a user is told names the thing: zero padding, a stride, a dense layer, a table of positions.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from shiftproof.group import axis_shift, divisors
from shiftproof.proving.analysis import Prover
from shiftproof.proving.graph import Graph
from shiftproof.proving.layers import Layer
from shiftproof.tracing.doors.door import FLAX, Words
from shiftproof.tracing.primitives import RANDOM
from shiftproof.tracing.trace import Equation, Program
from shiftproof_kernel import Lost, Moving, Refusal, Theorem, equivariant
from shiftproof_kernel.program import Concat, Pad, Take, Window

THINGS: Mapping[str, str] = {
    "argmax": "argmax",
    "argmin": "argmin",
    "concatenate": "a concatenation",
    "conv_general_dilated": "the convolution",
    "dot_general": "the dense layer",
    "pad": "the padding",
    "reduce_window_max": "the max pool",
    "reduce_window_min": "the min pool",
    "reduce_window_sum": "the average or sum pool",
    "scan": "a loop over the cells",
    "select_n": "a mask",
}
"""What a user calls an operation; others go by their own name."""

CROPS = frozenset("slice dynamic_slice gather".split())
"""Operations that take a part of what they are given."""

RANDOM_WORDS = "random bits under a fixed key: dropout or noise that is the same for every image"
DENSE = "the dense layer has weights of its own for every place, as after a flatten"
TABLE_WORDS = "a product with fixed numbers that differ from place to place, as in a resize"


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
        words: the cause in plain words, such as `zero padding of the convolution`.
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
    words: str
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
    """Whether something is known; of what wanders too, by how it moves with what was picked."""
    return isinstance(outcome, Theorem) or bool(outcome.along)


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


def find_causes(
    prover: Prover, layers: Sequence[Layer], program: Program, *, words: Words = FLAX
) -> list[Cause]:
    """All equations at which the lattice of some axis shrinks, in order of execution.

    Args:
        prover: of the graph of
        program: the traced model.
        layers: of it.
        words: repairs, as the user's framework has them.
    """
    drawn = {o for eqn in program.equations if eqn.name in RANDOM for o in eqn.outputs}
    fixed = program.depending_on(drawn) - program.from_images
    known, whole = _node_steps(prover, _is_known), _node_steps(prover, _moves_whole)
    found = [*_losses_of(prover, layers, known, words), *_cut_short(prover, layers, whole, words)]
    told = {cause.axis for _, cause in found}
    found += [pair for pair in _left_over(prover, layers, words) if pair[1].axis not in told]
    unique: dict[tuple[int, int], Cause] = {}
    for number, cause in sorted(found, key=lambda pair: pair[0]):
        origin = prover.graph.origins[number]
        values = _values(origin) if origin else []
        if cause.code == "positions" and fixed.intersection(values):
            cause = dataclasses.replace(cause, words=RANDOM_WORDS, repair=words.random)
        elif cause.words == DENSE and origin and _is_table(origin, program):
            cause = dataclasses.replace(cause, words=TABLE_WORDS)
        unique.setdefault((id(origin), cause.axis), cause)
    return list(unique.values())


def _values(eqn: Equation) -> list[int]:
    return [operand for operand in eqn.inputs if isinstance(operand, int)]


def _is_table(eqn: Equation, program: Program) -> bool:
    """Whether numbers that are no weights mix the cells of one axis and leave the others, as no dense layer does."""
    learnt = program.depending_on(set(program.weights)) - program.from_images
    ranks = [len(program.avals[v].shape) for v in _values(eqn) if v in program.from_images]
    contracted = eqn.params["dimension_numbers"][0][0]
    return not learnt.intersection(_values(eqn)) and len(contracted) == 1 and min(ranks) > 2


def _losses_of(
    prover: Prover, layers: Sequence[Layer], known: Sequence[Sequence[int]], words: Words
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
                yield number, _cause(prover, layers, number, axis, steps, refusal, words)


def _cut_short(
    prover: Prover, layers: Sequence[Layer], whole: Sequence[Sequence[int]], words: Words
) -> Iterator[tuple[int, Cause]]:
    """Windows that do not go round: a layer shows a part of a period, for want of padding or by its stride."""
    values = [layer.value for layer in layers if isinstance(layer.value, int)]
    ends = [prover.graph.nodes[value] for value in values if value in prover.graph.nodes]
    for axis, row in enumerate(whole):
        before, begin = 1, 0
        for end in sorted(ends):
            if row[end] > before:
                steps = before, row[end]
                yield from _strides_cut(prover, layers, (begin, end), axis, steps, words)
                before = row[end]
            begin = end + 1


def _left_over(
    prover: Prover, layers: Sequence[Layer], words: Words
) -> Iterator[tuple[int, Cause]]:
    """For each axis the last crop or border after which an output is no whole period."""
    graph, ends = prover.graph, prover.graph.program.outputs
    for axis, n in enumerate(prover.grid):
        outcomes = prover.derive(axis_shift(prover.grid, axis, 1)).outcomes
        if all(_moves_whole(outcomes[end]) for end in ends):
            continue
        cut = [
            (number, factor)
            for number, node in enumerate(graph.program.nodes[: max(ends) + 1])
            if isinstance(node.op, (Take, Pad, Concat)) and graph.origins[number] is not None
            for factor in _parts_of_periods(outcomes[number])
        ]
        if cut:
            number, factor = cut[-1]
            text = f"{factor.n} of {factor.period} cells are left"
            refusal = Refusal("valid", text, left=factor.n, period=factor.period)
            yield number, _cause(prover, layers, number, axis, (1, n), refusal, words)


def _parts_of_periods(outcome: Theorem | Lost) -> list[Moving]:
    """The axes that move, and do not go round a whole number of times."""
    if isinstance(outcome, Lost):
        return []
    factors = [factor for factors in outcome.fact.axes for factor in factors]
    return [f for f in factors if isinstance(f, Moving) and f.step % f.period and f.n % f.period]


def _strides_cut(
    prover: Prover,
    layers: Sequence[Layer],
    nodes: tuple[int, int],
    axis: int,
    steps: tuple[int, int],
    words: Words,
) -> Iterator[tuple[int, Cause]]:
    outcomes = prover.derive(axis_shift(prover.grid, axis, steps[0])).outcomes
    for number in range(nodes[0], nodes[1] + 1):
        node, outcome = prover.graph.program.nodes[number], outcomes[number]
        if not isinstance(node.op, Window) or not isinstance(outcome, Theorem):
            continue
        for dim in node.op.dims:
            for factor in outcome.fact.axes[dim.out]:
                # the period of the signal is that of its operand, since the stride does not divide it
                if not isinstance(factor, Moving) or not factor.n % factor.period:
                    continue
                stride, n, period = dim.stride, factor.n, factor.period
                if stride > 1:
                    text = f"stride {stride} does not divide the size {period}"
                    refusal = Refusal("stride", text, stride=stride, period=period)
                else:
                    text = f"{n} of {period} cells are left"
                    refusal = Refusal("valid", text, left=n, period=period)
                yield number, _cause(prover, layers, number, axis, steps, refusal, words)


def _cause(
    prover: Prover,
    layers: Sequence[Layer],
    number: int,
    axis: int,
    steps: tuple[int, int],
    refusal: Refusal,
    words: Words,
) -> Cause:
    origin = prover.graph.origins[number]
    told, repair = _told(refusal, origin, words)
    return Cause(
        layer=_layer_of(prover.graph, number, layers),
        source=str(origin.site) if origin else "",
        primitive=origin.name if origin else "",
        axis=axis,
        before=steps[0],
        after=steps[1],
        code=refusal.code,
        words=told,
        reason=str(refusal),
        repair=repair,
    )


def _layer_of(graph: Graph, number: int, layers: Sequence[Layer]) -> str:
    """The first layer that lies behind the node."""
    places = [(graph.nodes.get(x.value, -1), x.name) for x in layers if isinstance(x.value, int)]
    return next((name for node, name in sorted(places) if node >= number), layers[-1].name)


def _thing(eqn: Equation | None) -> str:
    """What a user calls an equation."""
    if eqn is None:
        return "the operation"
    if eqn.name == "conv_general_dilated" and any(d > 1 for d in eqn.params["lhs_dilation"]):
        return "the transposed convolution"
    return THINGS.get(eqn.name, eqn.name)


def _told(refusal: Refusal, eqn: Equation | None, words: Words) -> tuple[str, str]:
    """The cause in plain words, and the cheapest change that would help."""
    thing, name = _thing(eqn), eqn.name if eqn else ""
    detail = refusal.detail
    match refusal.code:
        case "padding" if name == "reduce_window_max":
            return f"padding of {thing} with -inf", f"pool around the border: {words.pool(name)}"
        case "padding" if name.startswith("reduce_window"):
            return f"zero padding of {thing}", f"pool around the border: {words.pool(name)}"
        case "padding" if thing == "the convolution":
            return f"zero padding of {thing}", f"use {words.convolution}"
        case "padding" if thing == "the transposed convolution":
            return f"zero padding of {thing}", "wrap the borders before it, and crop behind"
        case "padding":
            return "padding with a constant", 'wrap the borders instead: jnp.pad(..., mode="wrap")'
        case "glue":
            what = "borders joined to cells that are not next to them on the torus, as reflect and edge padding do"
            return what, 'wrap the borders instead: jnp.pad(..., mode="wrap")'
        case "valid" if detail["left"] > detail["period"]:
            left, period = detail["left"], detail["period"]
            what = (
                f"{thing} leaves {left} cells of a border padded by hand, where {period} go around"
            )
            return what, f"crop to {period} cells behind it"
        case "valid" if name in CROPS:
            left, period = detail["left"], detail["period"]
            return f"a crop leaves {left} of {period} cells", f"keep all {period} cells"
        case "valid":
            what = f"{thing} has no padding (VALID): {detail['left']} of {detail['period']} cells are left"
            return what, f"go around the border: {words.around}"
        case "stride" if detail["stride"] and detail["period"] % detail["stride"]:
            wider = -(-detail["period"] // detail["stride"]) * detail["stride"]
            what = (
                f"stride {detail['stride']} of {thing} does not divide the size {detail['period']}"
            )
            return what, f"pad to the size {wider}"
        case "stride" if detail["stride"]:
            what = f"stride {detail['stride']} of {thing} keeps one shift in {detail['stride']}"
            return (
                what,
                "use stride 1 (a blur before it makes the deviation smaller, but breaks as many shifts)",
            )
        case "contract" | "positions" if name == "dot_general":
            return DENSE, "pool globally before it"
        case "contract":
            return f"{thing} reads all places together", "pool globally before it"
        case "positions" if name == "select_n":
            return "a mask that knows places", "remove it, or pool globally before it"
        case "positions":
            what = f"numbers of its own for every place ({thing}): a position table, a mask, coordinates"
            return what, "remove them, or pool globally before"
        case "part" if name.startswith("reduce_"):
            what = "a sum or extremum over a part of the torus, as VALID padding, a crop or an uneven stride leave it"
            return what, "pad circularly before it, or make the sizes divisible by the strides"
        case "part":
            return (
                f"{thing} takes a part of the image, not all of a row or column",
                "take all of it",
            )
        case "split":
            block = detail.get("block", "?")
            return (
                f"a cut into blocks of {block}, such as patches",
                "none: whole blocks are what it keeps",
            )
        case "phase":
            what = "frequencies are used otherwise than by weighted sums, while a shift turns their phases"
            return what, "keep to weighted sums and products, or take magnitudes"
        case "wanders":
            what = f"{thing}: {refusal}"
            return (
                what,
                "give all that shall meet to one polyphase layer, which cuts it at one phase",
            )
        case "order" | "loop":
            return f"{thing} depends on the order of the cells", "pool globally before it"
        case _:
            return f"{thing}: {refusal}", "none is known"
