"""Rules: the only functions that make theorems.

A theorem says: node v of program P has this fact under this shift, for every image and every function of the named
classes. Each rule checks its side conditions and gives the conclusion, or refuses with the reason. `derive` applies
the rule of every node in order.

Over 600 lines, because the rules are one list that is read, and trusted, as a whole.
"""

import functools
import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from shiftproof_kernel import arithmetic
from shiftproof_kernel.facts import (
    Fact,
    Factor,
    Factors,
    Fold,
    Joined,
    Moving,
    Phase,
    Refusal,
    Scene,
    Still,
    cut,
    is_still,
    join,
    merged,
    need,
    parts,
    reshape,
    size,
    still,
    tidy,
    unify,
)
from shiftproof_kernel.program import LARGEST, ROUNDS, Node, Program

Shift = tuple[int, ...]
Choices = Mapping[int, Sequence[int]]
Facts = Sequence[Fact]
COSTLIEST = 10**6
"""Loops that need more applications of rules than this are refused."""


PART = "of an axis of a scene, which has no end, only a part is there"


class Lost(NamedTuple):
    """No claim about a node, of this shape: the first node on the way where a rule refused, and why."""

    number: int
    refusal: Refusal
    shape: Shift = ()

    @property
    def axes(self) -> None:
        """Nothing is known of them."""


Outcome = Fact | Lost
Saying = tuple[Program, Shift, str, int, Fact]


class Theorem:
    """Node `number` of `program` has `fact` under `shift`, on the torus (the boundary is `circular`) or of a `scene`.
    Made by `derive`, and by nothing else.

    The object holds nothing that could be set: what it says is written in a book that only this module has.
    """

    __slots__ = ("__weakref__",)
    program = property(lambda self: _said(self)[0])
    shift = property(lambda self: _said(self)[1])
    boundary = property(lambda self: _said(self)[2])
    number = property(lambda self: _said(self)[3])
    fact = property(lambda self: _said(self)[4])

    def __new__(cls, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise TypeError("theorems are made by rules only")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("there is one kind of theorem only")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("theorems are not copied")


def _book() -> tuple[Callable[[Saying], Theorem], Callable[[object], Saying]]:
    """Two functions that share the book, which has no name outside."""
    book: weakref.WeakKeyDictionary[object, Saying] = weakref.WeakKeyDictionary()

    def write(saying: Saying) -> Theorem:
        theorem = object.__new__(Theorem)
        book[theorem] = saying
        return theorem

    def read(theorem: object) -> Saying:
        if type(theorem) is not Theorem or theorem not in book:
            raise TypeError("this is no theorem: no rule made it")
        return book[theorem]

    return write, read


_written, _said = _book()


def derive(
    program: Program, shift: Shift, *, choices: Choices | None = None, boundary: str = "circular"
) -> list[Theorem | Lost]:
    """A theorem, or the reason why there is none, for every node of a program.

    Args:
        program: what is shifted.
        shift: the shift of its input, one step per grid axis.
        choices: for some constants, by number, a roll under which they do not change, to be taken as how they move.
            None are made for a scene.
        boundary: `circular`, where the image is a torus; or `scene`, where it is cut out of an infinite one.
    """
    shift = tuple(shift)
    need(boundary in BOUNDARIES, "format", f"the boundary is none of {', '.join(BOUNDARIES)}")
    need(not choices or boundary == "circular", "constant", "no constant moves with a scene")
    image = functools.partial(BOUNDARIES[boundary], shift=shift)
    return [
        fact if isinstance(fact, Lost) else _written((program, shift, boundary, number, fact))
        for number, fact in enumerate(_walk(program, image, choices or {}))
    ]


def _walk(program: Program, image: Callable[[Node], Outcome], choices: Choices) -> list[Outcome]:
    """What holds of every node; of the input nodes what `image` says."""
    outcomes: list[Outcome] = []
    for number, node in enumerate(program.nodes):
        premises = [outcomes[source] for source in node.inputs]
        lost = [premise for premise in premises if isinstance(premise, Lost)]
        try:
            if node.op == "input":
                outcome = image(node)
            elif node.op == "constant":
                outcome = assume_constant(node, choices.get(number))
            elif lost and node.op not in ("loop", "branch", "concat"):
                outcome = lost[0]
            else:
                outcome = RULES[node.op](node, premises)
            if isinstance(outcome, Fact):
                _recheck(node, outcome)
            else:
                known = not node.inputs or _among(outcome, lost)
                at = outcome.number if known else number
                outcome = Lost(at, outcome.refusal, node.shape)
        except Refusal as refusal:
            outcome = Lost(number, refusal, node.shape)
        outcomes.append(outcome)
    return outcomes


def _among(lost: Lost, others: Iterable[Outcome]) -> bool:
    """Whether it was lost where one of the others was."""
    return any(isinstance(one, Lost) and one.refusal is lost.refusal for one in others)


def _recheck(node: Node, fact: Fact) -> None:
    """A rule must give the shape that the program states, and no number may grow without bounds."""
    need(fact.shape == node.shape, "shape", f"{node.op} gives shape {fact.shape}, not {node.shape}")
    for factor in _cells(fact.axes):
        sane = all(abs(item) <= LARGEST for item in factor if isinstance(item, int))
        need(sane, "size", "a period, offset or step is larger than 2^48")
        inside = not isinstance(factor, Scene) or factor.low < factor.high
        need(inside, "interior", "the border reaches every cell: of the interior nothing is left")


_serial = itertools.count()


def _fresh(axes: Iterable[Factors]) -> Fact:
    """A fact about a signal that nothing else shows."""
    return Fact(tuple(axes), (next(_serial),))


# --- assumptions ---


def assume_input(node: Node, shift: Shift) -> Fact:
    """The image: every grid axis is one period, moved by the shift."""
    steps = _steps(node, shift)
    return _fresh(tidy([Moving(n, n, 0, r)]) for n, r in zip(node.shape, steps, strict=True))


def assume_scene(node: Node, shift: Shift) -> Fact:
    """The image shows a part of an infinite scene that moves along the axes which the shift has steps for."""
    steps = _steps(node, shift)
    return _fresh(
        (Scene(n, 0, n, 0, r),) if r else still(n) for n, r in zip(node.shape, steps, strict=True)
    )


BOUNDARIES: Mapping[str, Callable[..., Fact]] = {"circular": assume_input, "scene": assume_scene}
"""What is assumed of the image."""


def _steps(node: Node, shift: Shift) -> list[int]:
    """The step of every axis of the image."""
    grid = node.params["grid"]
    _need_axes(grid, len(node.shape))
    need(len(grid) == len(shift), "shape", "a shift needs one step for every axis of the grid")
    steps = dict(zip(grid, shift, strict=True))
    return [steps.get(axis, 0) for axis in range(len(node.shape))]


def assume_weight(node: Node, premises: Facts) -> Fact:
    """It stays."""
    return _fresh(still(n) for n in node.shape)


def assume_constant(node: Node, roll: Sequence[int] | None) -> Fact:
    """It stays; or, unchanged by a roll of its axes, it may be seen as moving by that roll."""
    shape, periods = node.shape, node.params["periods"]
    if roll is not None:
        known = any(_is_multiple(shape, roll, one) for one in node.params["rolls"])
        need(known, "constant", f"the constant is not known to be unchanged by the roll {roll}")
        return _fresh(tidy([Moving(n, n, 0, r)]) for n, r in zip(shape, roll, strict=True))
    need(len(periods) == len(shape), "shape", "a constant needs one period per axis")
    need(all(period > 0 for period in periods), "shape", "periods are at least 1")
    return _fresh(still(n, period) for n, period in zip(shape, periods, strict=True))


def _is_multiple(shape: Shift, roll: Sequence[int], known: Sequence[int]) -> bool:
    """Whether k known = roll modulo every size, for some k, found axis by axis (and then tried)."""
    if not len(roll) == len(known) == len(shape):
        return False
    k, modulus = 0, 1
    for n, wanted, step in zip(shape, roll, known, strict=True):
        common = math.gcd(modulus * step, n)
        inverse = pow(modulus * step // common, -1, n // common)
        k += modulus * ((wanted - k * step) // common * inverse % (n // common))
        modulus *= n // common
    sizes = zip(shape, roll, known, strict=True)
    return all(all(arithmetic.rolls(n, wanted, step, k)) for n, wanted, step in sizes)


# --- position by position ---


def map_positions(node: Node, premises: Facts) -> Fact:
    """Operands must move alike, and what stays must repeat with a period that divides the step."""
    _need_rank(premises, len(node.shape))
    return _fresh(
        unify([fact.axes[axis] for fact in premises], n) for axis, n in enumerate(node.shape)
    )


def combine(node: Node, premises: Facts) -> Fact:
    """What all operands are turned by turns their weighted sum."""
    _need_rank(premises, len(node.shape))
    return _fresh(
        unify([fact.axes[axis] for fact in premises], n, "linear")
        for axis, n in enumerate(node.shape)
    )


def multiply(node: Node, premises: Facts) -> Fact:
    """The turns of all factors, back where they are conjugated, turn the product."""
    _need_rank(premises, len(node.shape))
    conjugated = node.params["conjugated"]
    factors = [
        _conjugate(fact) if i in conjugated else fact.axes for i, fact in enumerate(premises)
    ]
    return _fresh(
        unify([axes[axis] for axes in factors], n, "product") for axis, n in enumerate(node.shape)
    )


def _conjugate(fact: Fact) -> list[Factors]:
    return [
        tuple(
            Phase(f.n, f.period, *arithmetic.turned_back(f.first, f.step))
            if isinstance(f, Phase)
            else f
            for f in factors
        )
        for factors in fact.axes
    ]


def broadcast(node: Node, premises: Facts) -> Fact:
    """New axes are flat."""
    fact, targets = _only(premises), node.params["axes"]
    _need_axes(targets, len(node.shape))
    need(list(targets) == sorted(targets), "shape", "a broadcast keeps the order of its axes")
    need(len(targets) == len(fact.axes), "shape", "a broadcast places every axis")
    axes = [still(n, 1) for n in node.shape]
    for factors, target in zip(fact.axes, targets, strict=True):
        axes[target] = unify([factors], node.shape[target], "linear")
    return _fresh(axes)


# --- the same cells elsewhere ---


def reshape_cells(node: Node, premises: Facts) -> Fact:
    """Factors are regrouped; a moving one splits into blocks that divide its step, or that hold whole periods."""
    return _fresh(reshape(_only(premises).axes, node.shape))


def transpose(node: Node, premises: Facts) -> Fact:
    """Axes trade places."""
    fact, order = _only(premises), node.params["order"]
    _need_axes(order, len(fact.axes))
    need(len(order) == len(fact.axes), "shape", "a transposition names every axis")
    return _fresh(fact.axes[axis] for axis in order)


def take(node: Node, premises: Facts) -> Fact:
    """Fixed positions of one axis. A contiguous part shows the same signal, a stride or a pattern a new one."""
    fact, axis, index = _only(premises), node.params["axis"], node.params["index"]
    _need_axes([axis], min(len(node.shape), len(fact.axes)))
    window, n, count = merged(fact.axes[axis]), fact.shape[axis], node.shape[axis]
    regular = isinstance(index, Mapping)
    start, step = (index["start"], index["step"]) if regular else (0, 0)
    need(regular or len(index) == count, "shape", "the index has another length than its result")
    ends = (start, start + (count - 1) * step) if regular else index
    need(all(0 <= end < n for end in ends), "shape", "an index leaves its axis")
    signal = fact.signal
    if isinstance(window, Joined):
        least = min(ends)
        factors = cut(fact.axes[axis], least, max(ends) - least + 1)
        if step == 1:
            return _with(fact, axis, factors, (*signal, axis, least))
        window = merged(factors)  # from where on it is taken does not matter then
        if isinstance(window, Joined):
            raise Refusal("glue", "cells of several parts are picked")
    if isinstance(window, Fold):
        raise Refusal("fold", "overlapping laps are cut before they are summed")
    if isinstance(window, Still | Phase):
        signal = (*signal, axis, start, count)
    if isinstance(window, Still):
        factors = still(count, 1 if window.period == 1 else count)
    elif isinstance(window, Phase):
        need(regular, "phase", "frequencies are picked from a list")
        factors = tidy([_turned(window, start, step, count)])
    elif step == 1 and isinstance(window, Scene):
        factors = tidy([_spread(window, -start, start + count - n, 1)])
    elif step == 1:
        factors = tidy([window._replace(n=count, offset=window.offset + start)])
    elif regular:
        factors = tidy([_strided(window, step, count, start, start + 1)])
    else:
        factors = _pattern(window, index)
    return _with(fact, axis, factors, *([signal] if step == 1 else []))


def _turned(spectrum: Phase, start: int, stride: int, count: int) -> Phase:
    """The cells start + stride q of a spectrum."""
    _, period, first, step, _ = spectrum
    return Phase(count, period, *arithmetic.turned(first, step, start, stride))


def _strided(
    window: Moving | Scene, stride: int, count: int, start: int, end: int
) -> Moving | Scene:
    """T[q] = S[a + stride q], for all a from `start` to below `end`, if the stride divides the step. On a torus its gcd
    with the period is enough, and any a is as good.
    """
    if isinstance(window, Scene):
        return _passed(window, stride, count, start, end)
    common = math.gcd(window.period, stride)
    text = (
        f"stride {stride} meets a signal of period {window.period} that moves by {window.step}, "
        f"no multiple of {common}"
    )
    need(arithmetic.strides(window.step, common), "stride", text, **window._asdict(), stride=stride)
    period = arithmetic.strided_period(window.period, common)
    inverse = pow(stride // common, -1, period)
    return Moving(count, period, 0, arithmetic.strided_step(period, window.step, common, inverse))


def _passed(scene: Scene, stride: int, count: int, start: int, end: int) -> Scene:
    """Backwards is forwards along the mirrored axis."""
    n, low, high, _, step = scene
    if stride < 0:
        low, high = arithmetic.mirror(n, low, high)
        start, end = arithmetic.mirror(n, start, end)
        stride, step = -stride, -step
    text = f"stride {stride} meets a scene that moves by {scene.step}"
    moves = stride > 0 and all(arithmetic.scene_strides(step, stride))
    need(moves, "stride", text, step=scene.step, stride=stride)
    low, high = arithmetic.within(low, high, start, stride, end - 1 - start)
    return Scene(count, low, high, 0, arithmetic.scene_strided(step, stride))


def _pattern(window: Moving | Scene, index: Sequence[int]) -> Factors:
    """Positions index[q k + j] = a_j + t q, modulo a period, for the smallest k: k signals of stride t."""
    count = len(index)

    def same(first: int, second: int) -> bool:
        if isinstance(window, Scene):
            return first == second
        return all(arithmetic.same_cell(window.period, first, second))

    for width in (k for k in range(1, count) if count % k == 0):
        step = index[width] - index[0]
        if all(same(index[i + width], index[i] + step) for i in range(count - width)):
            block = index[:width]
            flat = all(same(cell, block[0]) for cell in block)
            moved = _strided(window, step, count // width, min(block), max(block) + 1)
            return tidy([moved, Still(width, 1 if flat else width)])
    raise Refusal("order", "positions of a moving axis are picked without a regular pattern")


def concatenate(node: Node, premises: Sequence[Outcome]) -> Outcome:
    """Neighbouring windows of one signal glue together, and spectra that are turned alike; along an axis that stays,
    anything does. What stays and whole periods of what moves are parts side by side.
    """
    axis, rank = node.params["axis"], len(node.shape)
    facts = [premise for premise in premises if isinstance(premise, Fact)]
    _need_rank(premises, rank)
    _need_axes([axis], rank)
    shapes = [tuple(0 if a == axis else n for a, n in enumerate(p.shape)) for p in premises]
    need(len(set(shapes)) == 1, "shape", "arrays of different sizes are joined")
    if any(isinstance(factor, Scene) for fact in facts for factor in fact.axes[axis]):
        return _pieces(node, premises)
    if len(facts) < len(premises):
        return next(premise for premise in premises if isinstance(premise, Lost))
    return _glued(node, facts)


def _pieces(node: Node, premises: Sequence[Outcome]) -> Fact:
    """Of arrays joined along a scene the longest part that shows one signal is kept; all else is its border."""
    axis = node.params["axis"]
    start, total = 0, node.shape[axis]
    need(sum(p.shape[axis] for p in premises) == total, "shape", "arrays joined have other sizes")
    parts: list[tuple[Fact, Scene]] = []
    for premise in premises:
        n = premise.shape[axis]
        if isinstance(premise, Fact) and isinstance(window := _window(premise, axis), Scene):
            piece = _spread(window, start, total - start - n, 1)
            rest = _with(premise, axis, (), premise.signal)
            if parts and parts[-1] == (rest, piece._replace(low=parts[-1][1].low, high=piece.low)):
                piece = piece._replace(low=parts.pop()[1].low)
            parts.append((rest, piece))
        start += n
    need(len(parts) > 0, "glue", "a scene is joined whose axis has several factors")
    rest, piece = max(parts, key=lambda part: part[1].high - part[1].low)
    return _with(rest, axis, (piece,), rest.signal)


def _window(fact: Fact, axis: int) -> Factor | None:
    """An axis as one factor, where it is one."""
    try:
        return merged(fact.axes[axis])
    except Refusal:
        return None


def _glued(node: Node, premises: Facts) -> Fact:
    """On a torus every operand counts."""
    axis = node.params["axis"]
    along = [fact.axes[axis] for fact in premises]
    first, before, behind = premises[0], slice(axis), slice(axis + 1, None)
    windows = [_window(fact, axis) for fact in premises]
    moving = [window for window in windows if isinstance(window, Moving)]
    own = len(moving) == len(premises) and all(
        fact.signal == first.signal
        and fact.axes[before] == first.axes[before]
        and fact.axes[behind] == first.axes[behind]
        for fact in premises
    )
    if not own:
        phases = [window for window in windows if isinstance(window, Phase)]
        total = _spectra(along, phases) if phases else _side_by_side(along)
        return _fresh(
            total if a == axis else unify([fact.axes[a] for fact in premises], n, "linear")
            for a, n in enumerate(node.shape)
        )
    joined, *others = moving
    for window in others:
        meet = arithmetic.same_cell(joined.period, joined.offset + joined.n, window.offset)
        text = f"two windows of a signal of period {joined.period} do not meet end to end"
        need(meet, "glue", text)
        joined = joined._replace(n=joined.n + window.n)
    return _with(first, axis, tidy([joined]), first.signal)


def _side_by_side(along: Sequence[Factors]) -> Factors:
    """Parts that stay, and whole periods of parts that move."""
    for factor in _cells(along):
        whole = isinstance(factor, Moving) and all(arithmetic.covers(factor.n, factor.period))
        text = "a part of a moving axis is joined to something else than its own signal"
        need(whole or isinstance(factor, Still), "glue", text)
    return join(along)


def _cells(lists: Iterable[Factors]) -> Iterator[Factor]:
    """All factors of some axes, and of the parts of each."""
    for factors in lists:
        for part in parts(factors):
            yield from part


def _spectra(along: Sequence[Factors], phases: Sequence[Phase]) -> Factors:
    """Parts of a spectrum side by side: the longest one says how all of them must be turned."""
    longest = max(phases, key=lambda phase: phase.n)
    before = itertools.takewhile(lambda factors: longest not in factors, along)
    total = _turned(longest, -sum(map(size, before)), 1, sum(map(size, along)))
    place = 0
    for factors in along:
        alike = factors == tidy([_turned(total, place, 1, size(factors))])
        need(alike, "phase", "spectra that are turned by other phases are joined")
        place += size(factors)
    return tidy([total])


def _with(fact: Fact, axis: int, factors: Factors, *signal: tuple) -> Fact:
    """The fact with another axis; of the signal given, or of a new one."""
    axes = [factors if a == axis else old for a, old in enumerate(fact.axes)]
    return Fact(tuple(axes), *signal) if signal else _fresh(axes)


# --- windows ---


def pad(node: Node, premises: Facts) -> Fact:
    """Cells of one value: as many as lie between two cells may be put around them, since they move with these. Laps
    that overlap, and ends of spectra, may be padded by zeros at will.
    """
    need(len(premises) == 2 and premises[1].axes == (), "shape", "a padding is one scalar value")
    fact, axis = premises[0], node.params["axis"]
    low, high, base = node.params["low"], node.params["high"], node.params["inner"] + 1
    _need_axes([axis], len(fact.axes))
    need(base > 0, "shape", "cells are pulled together")
    linear = any(isinstance(f, Fold | Phase) for factors in fact.axes for f in factors)
    zero = not linear or node.params["zero"]
    need(zero, "fold", "overlapping laps, or a spectrum, are padded by something else than zero")
    window = merged(fact.axes[axis])
    if isinstance(window, Fold):
        more = window.part == "whole" and base == 1 and low >= 0 and high >= 0
        need(more, "fold", "overlapping laps are cut or pulled apart")
        return _with(fact, axis, (window._replace(n=window.n + low + high),))
    if isinstance(window, Phase):
        need(base == 1, "phase", "frequencies are pulled apart")
        count = arithmetic.stretched_size(window.n, low, high, base)
        need(count > 0, "shape", "everything is cut away")
        return _with(fact, axis, tidy([_turned(window, -low, 1, count)]))
    return _with(fact, axis, tidy([_stretched(window, low, high, base)]))


def _stretched(
    window: Still | Moving | Scene | Joined, low: int, high: int, base: int
) -> Still | Moving | Scene:
    """The window after `base - 1` cells of one value were put between its cells, and some before and behind."""
    n = arithmetic.stretched_size(window.n, low, high, base)
    need(n > 0, "shape", "everything is cut away")
    if isinstance(window, Joined):
        raise Refusal(
            "glue", "a window runs along, or cells are put around, an axis of several parts"
        )
    if isinstance(window, Still):
        return Still(n, window.period if base == 1 and low <= 0 and high <= 0 else n)
    if isinstance(window, Scene):
        return _spread(window, low, high, base)
    _, period, offset, step = window
    text = f"an axis that moves by {step} of {period} is padded by foreign values"
    inside = arithmetic.pads_inside(low, high, base)
    need(inside, "padding", text, low=low, high=high, step=step, period=period)
    period, step = arithmetic.stretch(period, step, base)
    return Moving(n, period, arithmetic.stretched_offset(offset, low, base), step)


def _spread(scene: Scene, low: int, high: int, base: int) -> Scene:
    """The same of a scene: where there were no right cells, none are made."""
    n, first, end, offset, step = scene
    n = arithmetic.stretched_size(n, low, high, base)
    first, end, step = arithmetic.scene_stretch(first, end, step, low, base)
    return Scene(n, first, end, arithmetic.stretched_offset(offset, low, base), step)


def slide(node: Node, premises: Facts) -> Fact:
    """A window that runs along axes: convolution and pooling."""
    dims = node.params["dims"]
    axes = _alike(node, premises, [(dim["axis"], dim["out"]) for dim in dims])
    for dim in dims:
        axes[dim["out"]] = _slid(merged(premises[0].axes[dim["axis"]]), dim, node.params)
    return _fresh(axes)


def _slid(window: Factor, dim: Mapping[str, int], params: Mapping[str, Any]) -> Factors:
    """Along one axis: foreign padding is refused, but where it makes laps of a weighted sum; then the stride counts."""
    size, stride, base = dim["size"], dim["stride"], dim["base"]
    low, high = dim["low"], dim["high"]
    one = min(size, stride, base, dim["dilation"]) >= 1
    need(one, "shape", "sizes, strides and dilations of a window are at least 1")
    if isinstance(window, Fold):
        raise Refusal("fold", "overlapping laps are used before they are summed")
    if isinstance(window, Phase):
        raise Refusal("phase", "a window runs along frequencies")
    reach = arithmetic.reach(size, dim["dilation"])
    cells = arithmetic.stretched_size(window.n, low, high, base)
    count = arithmetic.places(cells, reach, stride)
    need(count > 0, "shape", "the window is larger than its axis")
    if isinstance(window, Moving):
        folded = all(arithmetic.folds(window.n, window.period, stride, low, high, reach))
        if folded and params["linear"] and max(low, high) >= base:  # with less padding it moves
            period, step = arithmetic.stretch(window.period, window.step, base)
            return (Fold(count, period, step, "whole", dim["axis"]),)
    moved = _stretched(window, low, high, base)
    if isinstance(moved, Still):
        common = math.gcd(moved.period, stride)
        return still(count, arithmetic.strided_period(moved.period, common))
    if isinstance(moved, Moving):
        blind = params["symmetric"] and dim["dilation"] == 1
        if blind and all(arithmetic.covers(size, moved.period)):
            return still(count, 1)  # every window holds whole periods
    return tidy([_strided(moved, stride, count, 0, reach + 1)])


def mix(node: Node, premises: Facts) -> Fact:
    """All cells along some axes meet. Where these move, any order must give the same, and whole periods be covered."""
    mixed, outs, symmetric = (node.params[key] for key in ("axes", "outs", "symmetric"))
    rank = len(premises[0].axes) if premises else 0
    _need_rank(premises, rank)
    _need_axes(mixed, rank)
    _need_axes(outs, len(node.shape))
    others = [axis for axis in range(rank) if axis not in mixed]
    rest = [out for out in range(len(node.shape)) if out not in outs]
    need(len(others) == len(rest), "shape", "a mixture loses or makes axes that it does not name")
    summed = node.params["sum"] and len(premises) == 1 and not outs
    if summed and len(mixed) == 1:
        match premises[0].axes[mixed[0]]:
            case (Fold(part="laps", tag=tag),):
                return _fresh(_lap(premises[0].axes[axis], tag) for axis in others)
    for axis in mixed:
        along = [fact.axes[axis] for fact in premises]
        scene = any(isinstance(factor, Scene) for factors in along for factor in factors)
        need(not scene, "part", PART)
        for factor in _cells([unify(along, max(size(factors) for factors in along))]):
            if isinstance(factor, Moving):
                need(symmetric, "order", "a result depends on the order of cells of a moving axis")
                whole = arithmetic.covers(factor.n, factor.period)
                need(whole, "part", "a part of a moving axis is taken, not a whole period")
    axes = [still(n) for n in node.shape]
    for axis, out in zip(others, rest, strict=True):
        along = [fact.axes[axis] for fact in premises]
        # laps may be summed before or after other cells; any other function must wait
        axes[out] = along[0] if summed else unify(along, node.shape[out])
    return _fresh(axes)


def _lap(factors: Factors, tag: int) -> Factors:
    """After the laps are summed, their cells are one period of a signal."""
    return tidy(
        Moving(f.n, f.period, 0, f.step)
        if isinstance(f, Fold) and (f.part, f.tag) == ("cells", tag)
        else f
        for f in factors
    )


def fourier(node: Node, premises: Facts) -> Fact:
    """A shift becomes a phase, and a phase a shift. What other axes do is kept, since it is linear; but half an inverse
    takes real parts, so nothing else may be turned.
    """
    fact, axis = _only(premises), node.params["axis"]
    inverse, half = node.params["inverse"], node.params["half"]
    _need_axes([axis], min(len(node.shape), len(fact.axes)))
    given, made = fact.shape[axis], node.shape[axis]
    n, count = (made, given) if inverse else (given, made)
    need(count == (n // 2 + 1 if half else n), "shape", "a transform has other frequencies")
    window = merged(fact.axes[axis])
    beside = [f for a, factors in enumerate(fact.axes) if a != axis for f in factors]
    real = half and inverse
    turned = any(isinstance(f, Phase) for f in beside)
    need(not (real and turned), "phase", "the real part of a spectrum is taken")
    match window:
        case Still():
            return _with(fact, axis, still(made))
        case Moving(_, period, _, step) if not real:
            whole = arithmetic.covers(n, period)
            need(whole, "part", "a part of a moving axis is transformed, not a whole period")
            turn = arithmetic.turned_back(0, step) if inverse else (0, step)
            return _with(fact, axis, tidy([Phase(made, n, *turn)]))
        case Phase(_, period, first, step) if inverse or not half:
            back = arithmetic.returns(period, first, step, n)
            need(
                back, "phase", f"what turns a spectrum of period {period} is no shift of {n} cells"
            )
            moved = arithmetic.returned_step(period, step, n)
            return _with(fact, axis, tidy([Moving(n, n, 0, moved if inverse else -moved)]))
        case Scene():
            raise Refusal("part", PART)
    raise Refusal("phase", "what is transformed is no signal, or no spectrum")


def use_whole(node: Node, premises: Facts) -> Fact:
    """A function that acts alike at every position of the kept axes, and uses the other operands whole."""
    return _fresh(_alike(node, premises, ()))


def _alike(node: Node, premises: Facts, windows: Sequence[Shift]) -> list[Factors]:
    """Axes of a result that has the kept axes of the first operand; what is neither kept nor seen by windows stays."""
    need(len(premises) > 0, "shape", "an operation has no operand")
    (first, *others), kept = premises, node.params["kept"]
    _need_axes([axis for axis, _ in (*kept, *windows)], len(first.axes))
    _need_axes([out for _, out in (*kept, *windows)], len(node.shape))
    named = {axis for axis, _ in (*kept, *windows)}
    mixed = [factors for axis, factors in enumerate(first.axes) if axis not in named]
    need(all(map(is_still, mixed)), "contract", "all cells of a moving axis are mixed")
    whole = all(is_still(factors) for fact in others for factors in fact.axes)
    need(whole, "contract", "an operand that is used whole is moved by the shift")
    axes = [still(n) for n in node.shape]
    for axis, out in kept:
        axes[out] = unify([first.axes[axis]], first.shape[axis])
    return axes


# --- programs within programs: of these alone, operands without a fact may be of no account ---


def loop(node: Node, premises: Sequence[Outcome]) -> Outcome:
    """Carried values keep an invariant fact: found by weakening what they start with until the body gives it back.

    What keeps none is lost, and with it only what depends on it.
    """
    body, test, result = (node.params[key] for key in ("body", "test", "result"))
    first, count = node.params["constants"], node.params["carries"]
    fits = 0 <= first <= len(premises) - count and 0 <= count <= len(body.outputs)
    need(fits, "shape", "a loop has fewer operands, or its body fewer outputs, than it names")
    need(0 <= result < len(body.outputs), "shape", "the body of a loop lacks the result")
    cheap = body.cost * ROUNDS <= COSTLIEST
    need(cheap, "loop", "loops lie too deep within each other")
    constants, carried = premises[:first], [_weaker(p, p) for p in premises[first : first + count]]
    slices = [_slice(premise) for premise in premises[first + count :]]
    for _ in range(ROUNDS):
        made = _inside(body, [*constants, *carried, *slices])
        weaker = [_weaker(old, new) for old, new in zip(carried, made, strict=False)]
        if [outcome.axes for outcome in weaker] == [outcome.axes for outcome in carried]:
            break
        carried = weaker
    else:
        raise Refusal("loop", f"what a loop carries keeps no fact within {ROUNDS} rounds")
    if test is not None:
        _need_choice(_inside(test, [*constants, *carried]))
    outcome = carried[result] if result < count else made[result]
    if isinstance(outcome, Lost) or result < count:
        return outcome
    need(len(node.shape) > 0, "shape", "what a loop stacks has an axis of its rounds")
    return _fresh([still(node.shape[0]), *outcome.axes])


def branch(node: Node, premises: Sequence[Outcome]) -> Outcome:
    """The choice must not change; the result has what all branches have."""
    bodies, result = node.params["bodies"], node.params["result"]
    there = all(0 <= result < len(body.outputs) for body in bodies)
    need(there, "shape", "a branch lacks the result")
    _need_choice(premises[:1])
    first, *others = (_inside(body, premises[1:])[result] for body in bodies)
    return functools.reduce(_weaker, others, _weaker(first, first))


def _inside(program: Program, given: Sequence[Outcome]) -> list[Outcome]:
    """What holds of the outputs of a body, from what holds of its inputs; with the place in it where that was lost."""
    count = sum(node.op == "input" for node in program.nodes)
    need(count == len(given), "shape", "a body has another number of inputs than operands")
    inputs = iter(given)
    outcomes = _walk(program, lambda _: next(inputs), {})
    found = [outcomes[output] for output in program.outputs]
    for position, outcome in enumerate(found):
        if isinstance(outcome, Lost) and not _among(outcome, given):
            node, refusal = program.nodes[outcome.number], outcome.refusal
            text = f"{refusal} ({' '.join([node.op, node.source]).strip()})"
            found[position] = Lost(0, Refusal(refusal.code, text, **refusal.detail))
    return found


def _slice(premise: Outcome) -> Outcome:
    """What one round sees of an array that is cut along its first axis."""
    if isinstance(premise, Lost):
        return premise
    if not premise.axes or not is_still(premise.axes[0]):
        return Lost(0, Refusal("order", "a loop runs along a moving axis"))
    return _fresh(premise.axes[1:])


def _weaker(old: Outcome, new: Outcome) -> Outcome:
    """A fact that both have: that of any function of the two, so of each."""
    if isinstance(old, Lost) or isinstance(new, Lost):
        return old if isinstance(old, Lost) else new
    try:
        need(old.shape == new.shape, "shape", "two values that stand for one differ in shape")
        pairs = zip(old.axes, new.axes, old.shape, strict=True)
        return _fresh(unify([a, b], n) for a, b, n in pairs)
    except Refusal as refusal:
        return Lost(0, refusal)


def _need_choice(outcomes: Sequence[Outcome]) -> None:
    """What decides between programs, or about a further round, must be one value that does not change."""
    need(len(outcomes) == 1, "shape", "a choice is one value")
    if isinstance(outcomes[0], Lost):
        raise outcomes[0].refusal
    stays = all(map(is_still, outcomes[0].axes))
    need(stays, "contract", "what a loop or a branch is decided by is moved by the shift")


def _only(premises: Facts) -> Fact:
    need(len(premises) == 1, "shape", "an operation needs exactly one operand")
    return premises[0]


def _need_rank(premises: Sequence[Outcome], rank: int) -> None:
    same = len(premises) > 0 and all(len(premise.shape) == rank for premise in premises)
    need(same, "shape", "operands of different rank meet")


def _need_axes(axes: Sequence[int], rank: int) -> None:
    there = len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)
    need(there, "shape", f"the axes {list(axes)} are not there, or twice")


RULES: Mapping[str, Callable[..., Outcome]] = {
    "weight": assume_weight,
    "map": map_positions,
    "combine": combine,
    "multiply": multiply,
    "broadcast": broadcast,
    "reshape": reshape_cells,
    "transpose": transpose,
    "take": take,
    "concat": concatenate,
    "pad": pad,
    "window": slide,
    "mix": mix,
    "fourier": fourier,
    "whole": use_whole,
    "loop": loop,
    "branch": branch,
}
"""The rule of every operation but `input` and `constant`, which assume."""


# --- conclusions ---


def invariant(theorem: Theorem) -> bool:
    """Whether the theorem says that the value does not change."""
    return all(map(is_still, theorem.fact.axes))


def equivariant(theorem: Theorem, axes: Sequence[int]) -> Shift | None:
    """The output shift along the axes given, where the theorem says that the value moves by it; None where it does not.

    Every axis named must show whole periods, or stay; all other axes must stay.
    """
    try:
        _need_axes(axes, len(theorem.fact.axes))
        windows = [merged(factors) for factors in theorem.fact.axes]
    except Refusal:
        return None
    for axis, window in enumerate(windows):
        if not isinstance(window, Still) and (
            axis not in axes
            or not isinstance(window, Moving)
            or not all(arithmetic.covers(window.n, window.period))
        ):
            return None
    steps = [window.step if isinstance(window, Moving) else 0 for window in windows]
    return tuple(steps[axis] for axis in axes)


def interior(theorem: Theorem, axes: Sequence[int]) -> tuple[tuple[int, int, int], ...] | None:
    """Step and interior, (step, low, high), along each of the axes given, where the theorem says of a scene that the
    value moves by these steps; None where it does not. For every k and every u: A[u](T^k X) = A[u - k steps](X), if
    u and u - k steps lie in the interior.

    Every axis named must show a scene, or stay, which counts as step 0; all other axes must stay.
    """
    try:
        _need_axes(axes, len(theorem.fact.axes))
        windows = [merged(factors) for factors in theorem.fact.axes]
    except Refusal:
        return None
    found = []
    for axis, window in enumerate(windows):
        if isinstance(window, Still):
            found.append((0, 0, window.n))
        elif isinstance(window, Scene) and axis in axes:
            found.append((window.step, window.low, window.high))
        else:
            return None
    return tuple(found[axis] for axis in axes) if theorem.boundary == "scene" else None
