"""Rules: the only functions that make theorems.

A theorem says: node v of program P has this fact under this shift, for every image and every function of the named
classes. Each rule checks its side conditions and gives the conclusion, or refuses with the reason. `derive` applies
the rule of every node in order.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shiftproof_kernel.facts import (
    Fact,
    Factors,
    Fold,
    Moving,
    Refusal,
    Still,
    decimated,
    is_still,
    merged,
    reshape,
    still,
    tidy,
    unify,
)
from shiftproof_kernel.program import Node, Program

_KEY = object()
_serial = itertools.count()

Shift = tuple[int, ...]
Rule = Callable[[Node, Sequence[Fact]], Fact]


class Theorem:
    """ "Node `number` of `program` has `fact` under `shift`": made by the rules of this module, and by nothing else."""

    __slots__ = ("fact", "number", "program", "shift")

    def __init__(
        self, key: object, program: Program, shift: Shift, number: int, fact: Fact
    ) -> None:
        if key is not _KEY:
            raise TypeError("theorems are made by rules only")
        for name, value in zip(self.__slots__, (fact, number, program, shift), strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("theorems do not change")

    __delattr__ = __setattr__  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True)
class Lost:
    """No claim about a node: the first node on the way where a rule refused, and why."""

    number: int
    refusal: Refusal


Outcome = Theorem | Lost


def derive(
    program: Program, shift: Shift, *, choices: Mapping[int, Sequence[int]] | None = None
) -> list[Outcome]:
    """A theorem, or the reason why there is none, for every node of a program.

    Args:
        program: what is shifted.
        shift: the shift of its input, one step per grid axis.
        choices: for some constants, by number, a roll under which they do not change, to be taken as how they move.
    """
    facts = _walk(program, shift, None, choices or {})
    return [
        fact if isinstance(fact, Lost) else Theorem(_KEY, program, shift, number, fact)
        for number, fact in enumerate(facts)
    ]


def _walk(
    program: Program,
    shift: Shift,
    given: Sequence[Fact] | None,
    choices: Mapping[int, Sequence[int]],
) -> list[Fact | Lost]:
    """The facts of all nodes; `given` are those of the input nodes of a loop's body."""
    facts: list[Fact | Lost] = []
    arguments = iter(given or ())
    for number, node in enumerate(program.nodes):
        premises = [facts[source] for source in node.inputs]
        lost = next((premise for premise in premises if isinstance(premise, Lost)), None)
        if lost is not None:
            facts.append(lost)
            continue
        try:
            if node.op == "input":
                fact = assume_input(node, shift) if given is None else next(arguments)
            elif node.op == "constant":
                fact = assume_constant(node, choices.get(number))
            else:
                fact = RULES[node.op](node, premises)  # type: ignore[arg-type]
            if fact.shape != node.shape:
                raise Refusal("shape", f"{node.op} gives shape {fact.shape}, not {node.shape}")
            facts.append(fact)
        except Refusal as refusal:
            facts.append(Lost(number, refusal))
    return facts


def _fresh(axes: Sequence[Factors]) -> Fact:
    return Fact(tuple(axes), (next(_serial),))


def assume_input(node: Node, shift: Shift) -> Fact:
    """The image: every grid axis is one period, moved by the shift."""
    steps = dict(zip(node.params["grid"], shift, strict=True))
    return _fresh(
        tidy([Moving(n, n, 0, steps[axis])]) if axis in steps else still(n)
        for axis, n in enumerate(node.shape)
    )


def assume_weight(node: Node, premises: Sequence[Fact]) -> Fact:
    return _fresh([still(n) for n in node.shape])


def assume_constant(node: Node, roll: Sequence[int] | None) -> Fact:
    """It stays; or, unchanged by a roll of its axes, it may be seen as moving by that roll."""
    periods, rolls = node.params["periods"], node.params["rolls"]
    if roll is None:
        if len(periods) != len(node.shape) or any(p < 1 for p in periods):
            raise Refusal("shape", "a constant needs one period per axis")
        return _fresh([still(n, p) for n, p in zip(node.shape, periods, strict=True)])
    multiples = range(math.lcm(*node.shape)) if node.shape else ()
    if len(roll) != len(node.shape) or not any(
        all((k * a - b) % n == 0 for a, b, n in zip(known, roll, node.shape, strict=True))
        for known in rolls
        for k in multiples
    ):
        raise Refusal("constant", f"the constant is not known to be unchanged by the roll {roll}")
    return _fresh([tidy([Moving(n, n, 0, step)]) for n, step in zip(node.shape, roll, strict=True)])


def map_positions(node: Node, premises: Sequence[Fact]) -> Fact:
    """Position by position: operands must move alike, and what stays must repeat with a period that divides the step."""
    _need_rank(premises, len(node.shape))
    return _fresh(
        unify([fact.axes[axis] for fact in premises], n) for axis, n in enumerate(node.shape)
    )


def broadcast(node: Node, premises: Sequence[Fact]) -> Fact:
    """New axes are flat."""
    (fact,), targets = premises, node.params["axes"]
    if len(targets) != len(fact.axes) or list(targets) != sorted(set(targets)):
        raise Refusal("shape", "a broadcast must place every axis once, in order")
    axes: list[Factors] = [still(n, 1) for n in node.shape]
    for factors, target in zip(fact.axes, targets, strict=True):
        axes[target] = unify([factors], node.shape[target])
    return _fresh(axes)


def reshape_cells(node: Node, premises: Sequence[Fact]) -> Fact:
    """Factors are regrouped; a moving one splits into blocks that divide its step, or that hold whole periods."""
    (fact,) = premises
    return _fresh(reshape(fact.axes, node.shape))


def transpose(node: Node, premises: Sequence[Fact]) -> Fact:
    (fact,), order = premises, node.params["order"]
    if sorted(order) != list(range(len(fact.axes))):
        raise Refusal("shape", "a transposition must name every axis once")
    return _fresh(fact.axes[axis] for axis in order)


def take(node: Node, premises: Sequence[Fact]) -> Fact:
    """Fixed positions of one axis. A contiguous part shows the same signal; a pattern of k positions that repeats every
    t cells shows k signals of stride t side by side.
    """
    (fact,), axis = premises, node.params["axis"]
    factors, index = _axis(fact, axis), node.params["index"]
    n, count = fact.shape[axis], node.shape[axis]
    if isinstance(index, Mapping):
        start, step = index["start"], index["step"]
        contiguous = step == 1
        if not (0 <= start < n and 0 <= start + (count - 1) * step < n):
            raise Refusal("shape", "a slice leaves its axis")
        index = range(start, start + count * step, step) if step else (start,) * count
    else:
        start, contiguous = 0, False
        if len(index) != count or not all(0 <= i < n for i in index):
            raise Refusal("shape", "an index leaves its axis")
    axes = list(fact.axes)
    if is_still(factors):
        flat = not factors or factors[0].period == 1  # type: ignore[union-attr]
        axes[axis] = still(count, 1 if flat else count)
        if contiguous:
            return Fact(tuple(axes), (*fact.signal, axis, start, count))
        return _fresh(axes)
    window = merged(factors)
    if not isinstance(window, Moving):
        raise Refusal("fold", "overlapping laps are cut before they are summed")
    if contiguous:
        axes[axis] = tidy([window._replace(n=count, offset=window.offset + start)])
        return Fact(tuple(axes), fact.signal)
    axes[axis] = _pattern(window, index)
    return _fresh(axes)


def _pattern(window: Moving, index: Sequence[int]) -> Factors:
    """Positions index[q k + j] = a_j + t q modulo the period, for the smallest k: a signal of stride t, k cells wide."""
    count, period = len(index), window.period
    for width in (k for k in range(1, count) if count % k == 0):
        step = (index[width] - index[0]) % period
        if all((index[i + width] - index[i] - step) % period == 0 for i in range(count - width)):
            new_period, new_step = decimated(window, step)
            flat = len({(i - index[0]) % period for i in index[:width]}) == 1
            return tidy(
                [
                    Moving(count // width, new_period, 0, new_step),
                    Still(width, 1 if flat else width),
                ]
            )
    raise Refusal("order", "positions of a moving axis are picked without a regular pattern")


def concatenate(node: Node, premises: Sequence[Fact]) -> Fact:
    """Neighbouring windows of one signal glue together; along an axis that stays, anything does."""
    axis = node.params["axis"]
    _need_rank(premises, len(node.shape))
    along = [_axis(fact, axis) for fact in premises]
    if all(is_still(factors) for factors in along):
        axes = [
            still(n) if a == axis else unify([fact.axes[a] for fact in premises], n)
            for a, n in enumerate(node.shape)
        ]
        return _fresh(axes)
    windows = [merged(factors) for factors in along]
    first = windows[0]
    joined = first
    for fact, window in zip(premises[1:], windows[1:], strict=True):
        others = [f for a, f in enumerate(fact.axes) if a != axis]
        if fact.signal != premises[0].signal or others != [
            f for a, f in enumerate(premises[0].axes) if a != axis
        ]:
            raise Refusal("glue", "a moving axis is joined to something else than its own signal")
        if not isinstance(joined, Moving) or not isinstance(window, Moving):
            raise Refusal("glue", "a moving axis is joined to an axis that stays")
        if (window.period, window.step) != (first.period, first.step):  # type: ignore[union-attr]
            raise Refusal("glue", "two windows move differently")
        if (joined.offset + joined.n - window.offset) % joined.period:
            raise Refusal(
                "glue", f"two windows of a signal of period {joined.period} do not meet end to end"
            )
        joined = joined._replace(n=joined.n + window.n)
    axes = list(premises[0].axes)
    axes[axis] = tidy([joined])
    return Fact(tuple(axes), premises[0].signal)


def pad(node: Node, premises: Sequence[Fact]) -> Fact:
    """Zeros (or any one value) between the cells stretch period and step; around them they are foreign, except as
    many as lie between two cells. Laps that overlap may be padded by zeros at will.
    """
    fact, axis = premises[0], node.params["axis"]
    _need_still(premises[1:], "the value of a padding is")
    low, high, inner = (node.params[key] for key in ("low", "high", "inner"))
    axes = list(fact.axes)
    factors = _axis(fact, axis)
    folded = any(isinstance(factor, Fold) for factors in axes for factor in factors)
    if inner < 0 or (folded and not node.params["zero"]):
        raise Refusal("fold", "overlapping laps are padded by something else than zero")
    if is_still(factors):
        axes[axis] = still(node.shape[axis])
    elif isinstance(fold := merged(factors), Fold):
        if min(low, high) < 0 or inner or fold.part != "whole":
            raise Refusal("fold", "overlapping laps are cut or pulled apart")
        axes[axis] = (fold._replace(n=fold.n + low + high),)
    else:
        axes[axis] = tidy([_stretched(merged(factors), low, high, inner + 1)])
    return _fresh(axes)


def _stretched(window: Any, low: int, high: int, base: int) -> Moving:
    """The window after `base - 1` cells of one value were put between its cells, and some before and behind."""
    if low >= base or high >= base:
        raise Refusal(
            "padding",
            f"an axis that moves by {window.step} of {window.period} is padded by foreign values",
            low=low,
            high=high,
            step=window.step,
            period=window.period,
        )
    n = (window.n - 1) * base + 1 + low + high
    if n < 1:
        raise Refusal("shape", "everything is cut away")
    return Moving(n, window.period * base, window.offset * base - low, window.step * base)


def slide(node: Node, premises: Sequence[Fact]) -> Fact:
    """A window that runs along axes: convolution and pooling."""
    fact, dims, kept = premises[0], node.params["dims"], node.params["kept"]
    _need_still(premises[1:], "the kernel of a window is")
    used = [d["axis"] for d in dims] + [axis for axis, _ in kept]
    made = [d["out"] for d in dims] + [out for _, out in kept]
    if len(set(used)) != len(used) or len(set(made)) != len(made):
        raise Refusal("shape", "a window uses an axis twice")
    for axis in set(range(len(fact.axes))) - set(used):
        if not is_still(fact.axes[axis]):
            raise Refusal("contract", "a window mixes all cells of a moving axis")
    axes: list[Factors] = [still(n) for n in node.shape]
    for axis, out in kept:
        axes[out] = unify([_axis(fact, axis)], node.shape[out])
    for tag, dim in enumerate(dims):
        axes[dim["out"]] = _slide_axis(_axis(fact, dim["axis"]), dim, node.params, tag=tag)
    return _fresh(axes)


def _slide_axis(
    factors: Factors, dim: Mapping[str, int], params: Mapping[str, Any], *, tag: int
) -> Factors:
    window = merged(factors)
    count, stride, low, high = dim["size"], dim["stride"], dim["low"], dim["high"]
    base, dilation = dim["base"], dim["dilation"]
    if min(count, stride, base, dilation) < 1:
        raise Refusal("shape", "sizes, strides and dilations of a window are at least 1")
    reach = dilation * (count - 1)
    cells = (window.n - 1) * base + 1 + low + high
    places = (cells - 1 - reach) // stride + 1
    if places < 1:
        raise Refusal("shape", "the window is larger than its axis")
    if isinstance(window, Still):
        plain = base == 1 and low <= 0 and high <= 0
        period = window.period // math.gcd(window.period, stride)
        return still(places, period if plain else places)
    if isinstance(window, Fold):
        raise Refusal("fold", "overlapping laps are used before they are summed")
    whole = window.n == window.period and stride == 1 and min(low, high) >= reach
    if params["linear"] and whole and max(low, high) >= base:
        # every cell meets every weight: the sum over laps is the circular convolution
        return (Fold(places, window.period * base, window.step * base, "whole", tag),)
    moved = _stretched(window, low, high, base)
    if params["symmetric"] and dilation == 1 and count % moved.period == 0:
        return still(places, 1)  # every window holds whole periods
    period, step = decimated(moved, stride)
    return tidy([Moving(places, period, moved.offset if stride == 1 else 0, step)])


def mix(node: Node, premises: Sequence[Fact]) -> Fact:
    """All cells along some axes meet. Where these move, any order must give the same, and whole periods be covered."""
    mixed, outs = node.params["axes"], node.params["outs"]
    rank = len(premises[0].axes)
    _need_rank(premises, rank)
    others = [axis for axis in range(rank) if axis not in mixed]
    rest = [out for out in range(len(node.shape)) if out not in outs]
    if len(others) != len(rest) or not set(mixed) <= set(range(rank)):
        raise Refusal("shape", "an operation mixes axes that are not there")
    axes: list[Factors] = [still(n) for n in node.shape]
    linear = node.params["sum"] and len(premises) == 1
    if linear and not outs and len(mixed) == 1:
        laps = premises[0].axes[mixed[0]]
        if len(laps) == 1 and isinstance(laps[0], Fold) and laps[0].part == "laps":
            return _fresh(_summed(premises[0].axes[axis], laps[0]) for axis in others)
    for axis in mixed:
        for factor in unify([fact.axes[axis] for fact in premises], premises[0].shape[axis]):
            if isinstance(factor, Still):
                continue
            if not node.params["symmetric"]:
                raise Refusal(
                    "order", "an operation depends on the order of the cells of a moving axis"
                )
            if not isinstance(factor, Moving) or factor.n % factor.period:
                raise Refusal(
                    "part", "an operation takes a part of a moving axis, not a whole period"
                )
    for axis, out in zip(others, rest, strict=True):
        # a sum may be taken before laps are summed; any other function may not
        along = [fact.axes[axis] for fact in premises]
        axes[out] = along[0] if linear else unify(along, node.shape[out])
    return _fresh(axes)


def _summed(factors: Factors, laps: Fold) -> Factors:
    """After the laps are summed, their cells are one period of a signal."""
    return tidy(
        Moving(f.n, f.period, 0, f.step)
        if isinstance(f, Fold) and f.part == "cells" and f.tag == laps.tag
        else f
        for f in factors
    )


def use_whole(node: Node, premises: Sequence[Fact]) -> Fact:
    """A function that acts alike at every position of the kept axes, and uses the other operands whole."""
    fact, kept = premises[0], node.params["kept"]
    _need_still(premises[1:], "an operand that is used whole is")
    for axis in set(range(len(fact.axes))) - {axis for axis, _ in kept}:
        if not is_still(fact.axes[axis]):
            raise Refusal("contract", "an operation mixes all cells of a moving axis")
    axes: list[Factors] = [still(n) for n in node.shape]
    for axis, out in kept:
        axes[out] = unify([_axis(fact, axis)], node.shape[out])
    return _fresh(axes)


def loop(node: Node, premises: Sequence[Fact]) -> Fact:
    """Carried values keep an invariant fact: found by weakening what they start with until the body gives it back.

    Operands: constants, carried values, then arrays of which the body sees one slice per round. The first outputs of
    the body are the carried values; each further one is stacked along a new first axis.
    """
    params = node.params
    body, test, result = params["body"], params["test"], params["result"]
    first, count = params["constants"], params["carries"]
    constants, sliced = list(premises[:first]), list(premises[first + count :])
    if len(premises) < first + count or not 0 <= result < len(body.outputs):
        raise Refusal("format", "a loop has fewer operands than it names")
    if any(not fact.axes or not is_still(fact.axes[0]) for fact in sliced):
        raise Refusal("order", "a loop runs along a moving axis")
    slices = [_fresh(fact.axes[1:]) for fact in sliced]
    carried = [_fresh(fact.axes) for fact in premises[first : first + count]]
    for _ in range(100):
        facts = _inner(body, [*constants, *carried, *slices])
        weaker = [_weaker(old, facts[i]) for i, old in enumerate(carried)]
        if [fact.axes for fact in weaker] == [fact.axes for fact in carried]:
            break
        carried = weaker
    else:
        raise Refusal("loop", "what a loop carries keeps no fact")
    if test is not None:
        outcome = _inner(test, [*constants, *carried])
        _need_still(outcome, "the test of a loop is")
    made = facts[result]
    if result < count:
        return _fresh(carried[result].axes)
    return _fresh([still(node.shape[0]), *made.axes])


def _inner(program: Program, given: Sequence[Fact]) -> list[Fact]:
    """The facts of the outputs of a body, from those of its inputs."""
    if sum(node.op == "input" for node in program.nodes) != len(given):
        raise Refusal("format", "a body has another number of inputs than operands")
    facts = _walk(program, (), given, {})
    results = []
    for output in program.outputs:
        fact = facts[output]
        if isinstance(fact, Lost):
            node = program.nodes[fact.number]
            raise Refusal(fact.refusal.code, f"{fact.refusal} ({node.op} {node.source})".strip())
        results.append(fact)
    return results


def _weaker(old: Fact, new: Fact) -> Fact:
    """A fact that both have: the same laws, or one that stays with a period that divides the other's step."""
    if old.shape != new.shape:
        raise Refusal("shape", "a loop changes the shape of what it carries")
    return _fresh(unify([a, b], n) for a, b, n in zip(old.axes, new.axes, old.shape, strict=True))


def branch(node: Node, premises: Sequence[Fact]) -> Fact:
    """The choice must not change; the result has what all branches have."""
    choice, *rest = premises
    _need_still([choice], "the choice of a branch is")
    made = [_inner(body, rest)[node.params["result"]] for body in node.params["bodies"]]
    fact = made[0]
    for other in made[1:]:
        fact = _weaker(fact, other)
    return _fresh(fact.axes)


def _axis(fact: Fact, axis: int) -> Factors:
    if not 0 <= axis < len(fact.axes):
        raise Refusal("shape", f"there is no axis {axis}")
    return fact.axes[axis]


def _need_rank(premises: Sequence[Fact], rank: int) -> None:
    if not premises or any(len(fact.axes) != rank for fact in premises):
        raise Refusal("shape", "operands of different rank meet")


def _need_still(premises: Sequence[Fact], what: str) -> None:
    if not all(is_still(factors) for fact in premises for factors in fact.axes):
        raise Refusal("contract", f"{what} moved by the shift")


RULES: Mapping[str, Rule] = {
    "weight": assume_weight,
    "map": map_positions,
    "broadcast": broadcast,
    "reshape": reshape_cells,
    "transpose": transpose,
    "take": take,
    "concat": concatenate,
    "pad": pad,
    "window": slide,
    "mix": mix,
    "whole": use_whole,
    "loop": loop,
    "branch": branch,
}
"""The rule of every operation but `input` and `constant`, which assume."""


def invariant(theorem: Theorem) -> bool:
    """Whether the theorem says that the value does not change."""
    return all(is_still(factors) for factors in theorem.fact.axes)


def equivariant(theorem: Theorem, axes: Sequence[int]) -> Shift | None:
    """The output shift along the axes given, where the theorem says that the value moves by it; None where it does not.

    Every axis must show exactly one period, and all other axes must stay.
    """
    steps = []
    for axis, factors in enumerate(theorem.fact.axes):
        try:
            window = merged(factors)
        except Refusal:
            return None
        whole = isinstance(window, Moving) and window.n == window.period
        if not isinstance(window, Still) and not (axis in axes and whole):
            return None
        if axis in axes:
            steps.append((axis, window.step if isinstance(window, Moving) else 0))
    found = dict(steps)
    return tuple(found[axis] for axis in axes) if set(axes) <= set(found) else None
