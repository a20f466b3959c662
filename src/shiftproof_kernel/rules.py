"""Rules: what follows for the result of one operation from the facts of its operands, for every function of its class.

A rule gives a fact or refuses with the reason; its docstring states what it claims. There A(x), B(x), ... are the
operands, R(x) is the result, f is any function of the operation's class, and T the shift. `axis by axis` means that
what is written of an index i holds along every axis. A fact without a signal is about one that nothing else shows.

Over 600 lines, because the rules are one list that is read, and trusted, as a whole.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
from shiftproof_kernel.program import (
    AXES,
    Broadcast,
    Combine,
    Concat,
    Constant,
    Dim,
    Fourier,
    Input,
    Map,
    Mix,
    Multiply,
    Pad,
    Reshape,
    Select,
    Span,
    Take,
    Transpose,
    Weight,
    Whole,
    Window,
)

Shape = tuple[int, ...]
Facts = Sequence[Fact]
PART = "of an axis of a scene, which has no end, only a part is there"


# --- assumptions ---


def assume_torus(op: Input, shape: Shape, shift: Shape) -> Fact:
    """x(T)[i] = x[i - shift], modulo the size of every grid axis."""
    steps = _steps(op, shape, shift)
    return Fact(tuple(tidy([Moving(n, n, 0, r)]) for n, r in zip(shape, steps, strict=True)))


def assume_scene(op: Input, shape: Shape, shift: Shape) -> Fact:
    """x[i] = X[i] for 0 <= i < n, and (T X)[i] = X[i - shift], for every X on the infinite grid."""
    steps = zip(shape, _steps(op, shape, shift), strict=True)
    return Fact(tuple((Scene(n, 0, n, 0, r),) if r else still(n) for n, r in steps))


BOUNDARIES: Mapping[str, Callable[[Input, Shape, Shape], Fact]] = {
    "torus": assume_torus,
    "scene": assume_scene,
}
"""What is assumed of the image."""


def _steps(op: Input, shape: Shape, shift: Shape) -> list[int]:
    """The step of every axis of the image."""
    need_axes(op.grid, len(shape))
    need(len(op.grid) == len(shift), "shape", "a shift needs one step for every axis of the grid")
    steps = dict(zip(op.grid, shift, strict=True))
    return [steps.get(axis, 0) for axis in range(len(shape))]


def assume_weight(op: Weight, shape: Shape, facts: Facts) -> Fact:
    """R(Tx) = R(x), for every R that x does not enter."""
    return Fact(tuple(still(n) for n in shape))


def assume_constant(op: Constant, shape: Shape, roll: Shape | None) -> Fact:
    """R(Tx) = R(x) = R, and R[i + period] = R[i], axis by axis. As R[i - k roll] = R[i] for each of its rolls and every
    k, it may, where k roll is chosen, also be seen as a signal that moves by k roll.
    """
    if roll is not None:
        known = any(_is_multiple(shape, roll, one) for one in op.rolls)
        need(known, "constant", f"the constant is not known to be unchanged by the roll {roll}")
        return Fact(tuple(tidy([Moving(n, n, 0, r)]) for n, r in zip(shape, roll, strict=True)))
    need(len(op.periods) == len(shape), "shape", "a constant needs one period per axis")
    need(all(period > 0 for period in op.periods), "shape", "periods are at least 1")
    return Fact(tuple(still(n, period) for n, period in zip(shape, op.periods, strict=True)))


def _is_multiple(shape: Shape, roll: Shape, known: Shape) -> bool:
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


def map_positions(op: Map, shape: Shape, facts: Facts) -> Fact:
    """R(x)[i] = f(A(x)[i], B(x)[i], ...). If A(Tx)[i] = A(x)[i - r] and B(Tx)[i] = B(x)[i - r], for all i, then
    R(Tx)[i] = R(x)[i - r]; what stays must have B[i] = B[i - r].
    """
    return Fact(_position_by_position([fact.axes for fact in facts], shape, "any"))


def combine(op: Combine, shape: Shape, facts: Facts) -> Fact:
    """R = a A + b B + ...: as for any function; and if A(Tx)[k] = w[k] A(x)[k] and B(Tx)[k] = w[k] B(x)[k], then
    R(Tx)[k] = w[k] R(x)[k].
    """
    return Fact(_position_by_position([fact.axes for fact in facts], shape, "linear"))


def multiply(op: Multiply, shape: Shape, facts: Facts) -> Fact:
    """R = A B ...: as for any function; and if A(Tx)[k] = v[k] A(x)[k] and B(Tx)[k] = w[k] B(x)[k], then
    R(Tx)[k] = v[k] w[k] R(x)[k]. Of a conjugated operand the turn is conjugated.
    """
    conjugated = set(op.conjugated)
    factors = [
        tuple(map(_conjugate, fact.axes)) if number in conjugated else fact.axes
        for number, fact in enumerate(facts)
    ]
    return Fact(_position_by_position(factors, shape, "product"))


def _position_by_position(
    operands: Sequence[tuple[Factors, ...]], shape: Shape, kind: str
) -> tuple[Factors, ...]:
    need_rank(map(len, operands), len(shape))
    return tuple(unify([axes[axis] for axes in operands], n, kind) for axis, n in enumerate(shape))


def _conjugate(factors: Factors) -> Factors:
    return tuple(
        Phase(f.n, f.period, *arithmetic.turned_back(f.first, f.step))
        if isinstance(f, Phase)
        else f
        for f in factors
    )


def broadcast(op: Broadcast, shape: Shape, facts: Facts) -> Fact:
    """R(x)[..., j, ...] = A(x)[...] for every j of a new axis, which is flat."""
    fact = _only(facts)
    need_axes(op.axes, len(shape))
    need(list(op.axes) == sorted(op.axes), "shape", "a broadcast keeps the order of its axes")
    need(len(op.axes) == len(fact.axes), "shape", "a broadcast places every axis")
    axes = [still(n, 1) for n in shape]
    for factors, target in zip(fact.axes, op.axes, strict=True):
        axes[target] = unify([factors], shape[target], "linear")
    return Fact(tuple(axes))


# --- the same cells elsewhere ---


def reshape_cells(op: Reshape, shape: Shape, facts: Facts) -> Fact:
    """R(x)[i] = A(x)[j], where i and j are the same place in row-major order. A factor that moves by r is split into
    blocks of b, A[u b + v] = R[u][v], if b divides r and the period, or holds whole periods.
    """
    return Fact(reshape(_only(facts).axes, shape))


def transpose(op: Transpose, shape: Shape, facts: Facts) -> Fact:
    """R(x)[i[order[0]], i[order[1]], ...] = A(x)[i[0], i[1], ...]."""
    fact = _only(facts)
    need_axes(op.order, len(fact.axes))
    need(len(op.order) == len(fact.axes), "shape", "a transposition names every axis")
    return Fact(tuple(fact.axes[axis] for axis in op.order))


def take(op: Take, shape: Shape, facts: Facts) -> Fact:
    """R(x)[q] = A(x)[index[q]] along one axis. Of A[i] = S[o + i] a contiguous part is R[q] = S[o + start + q], of the
    same signal; with a step s it is R[q] = S'[q], and S' moves by the r' that solves s r' = r. A list counts as k
    signals where index[q k + j] = index[j] + s q.
    """
    fact = _only(facts)
    need_axes([op.axis], min(len(shape), len(fact.axes)))
    axis, count, whole = op.axis, shape[op.axis], fact.axes[op.axis]
    if isinstance(op.index, Span):
        ends = (op.index.start, op.index.start + (count - 1) * op.index.step)
    else:
        need(len(op.index) == count, "shape", "the index has another length than its result")
        ends = op.index
    need(all(0 <= end < size(whole) for end in ends), "shape", "an index leaves its axis")
    first, contiguous = min(ends), isinstance(op.index, Span) and op.index.step == 1
    window = merged(whole)
    if isinstance(window, Joined):
        reduced = cut(whole, first, max(ends) - first + 1)
        if contiguous:
            return _with(fact, axis, reduced, (fact.signal, axis, first))
        window = merged(reduced)  # from where on it is taken does not matter then
    factors = tidy(_taken(window, op.index, count))
    if not contiguous:
        return _with(fact, axis, factors)
    own = isinstance(window, Still | Phase)
    return _with(fact, axis, factors, (fact.signal, axis, first, count) if own else fact.signal)


def _taken(window: Factor, index: Span | Shape, count: int) -> Factors:
    """The factors of the positions taken of a window."""
    match window, index:
        case Joined(), _:
            raise Refusal("glue", "cells of several parts are picked")
        case Fold(), _:
            raise Refusal("fold", "overlapping laps are cut before they are summed")
        case Still(_, period), _:
            return (Still(count, 1 if period == 1 else count),)
        case Phase(), Span(start, step):
            return (turned(window, start, step, count),)
        case Phase(), _:
            raise Refusal("phase", "frequencies are picked from a list")
        case Scene(n), Span(start, 1):
            return (_spread(window, -start, start + count - n, 1),)
        case Moving(_, period, offset, moved), Span(start, 1):
            return (Moving(count, period, offset + start, moved),)
        case Moving() | Scene(), Span(start, step):
            return (_strided(window, step, count, start, start + 1),)
        case _:
            return _pattern(window, index)


def turned(spectrum: Phase, start: int, stride: int, count: int) -> Phase:
    """The cells start + stride q of a spectrum."""
    turn = arithmetic.turned(spectrum.first, spectrum.step, start, stride)
    return Phase(count, spectrum.period, *turn)


def _strided(
    window: Moving | Scene, stride: int, count: int, start: int, end: int
) -> Moving | Scene:
    """T[q] = S[a + stride q], for all a from `start` to below `end`, if the stride divides the step. On a torus its gcd
    with the period is enough, and any a is as good.
    """
    if isinstance(window, Scene):
        return _passed(window, stride, count, start, end)
    period, step = window.period, window.step
    common = math.gcd(period, stride)
    text = f"stride {stride} meets a signal of period {period} that moves by {step}, no multiple of {common}"
    moves = arithmetic.strides(step, common)
    need(moves, "stride", text, period=period, step=step, stride=stride)
    period = arithmetic.strided_period(period, common)
    inverse = pow(stride // common, -1, period)
    return Moving(count, period, 0, arithmetic.strided_step(period, step, common, inverse))


def _passed(scene: Scene, stride: int, count: int, start: int, end: int) -> Scene:
    """Backwards is forwards along the mirrored axis."""
    low, high, step = scene.low, scene.high, scene.step
    if stride < 0:
        low, high = arithmetic.mirror(scene.n, low, high)
        start, end = arithmetic.mirror(scene.n, start, end)
        stride, step = -stride, -step
    text = f"stride {stride} meets a scene that moves by {scene.step}"
    moves = stride > 0 and all(arithmetic.scene_strides(step, stride))
    need(moves, "stride", text, step=scene.step, stride=stride)
    low, high = arithmetic.within(low, high, start, stride, end - 1 - start)
    return Scene(count, low, high, 0, arithmetic.scene_strided(step, stride))


def _pattern(window: Moving | Scene, index: Shape) -> Factors:
    """Positions index[q k + j] = a_j + t q, modulo a period, for the smallest k: k signals of stride t."""
    count = len(index)
    leaps = [_leap(window, before, after) for before, after in itertools.pairwise(index)]
    for width in range(1, count):
        if count % width == 0 and leaps[width:] == leaps[: len(leaps) - width]:
            block = index[:width]
            flat = not any(_leap(window, block[0], cell) for cell in block)
            step = index[width] - index[0]
            moved = _strided(window, step, count // width, min(block), max(block) + 1)
            return (moved, Still(width, 1 if flat else width))
    raise Refusal("order", "positions of a moving axis are picked without a regular pattern")


def _leap(window: Moving | Scene, first: int, second: int) -> int:
    """From one cell of a signal to another: on a torus, modulo its period."""
    if isinstance(window, Moving):
        return arithmetic.leap(window.period, first, second)
    return second - first


def concatenate(
    op: Concat, shape: Shape, found: Sequence[Fact | None], shapes: Sequence[Shape]
) -> Fact | None:
    """R(x)[i] = A(x)[i] for i < n, and B(x)[i - n] from there on. Neighbouring windows of one signal glue together,
    A[i] = S[o + i] and B[i] = S[o + n + i], and spectra that are turned alike. Along an axis that stays anything does;
    what stays, and whole periods of what moves, are parts side by side. Of a scene the longest part is kept.

    Args:
        op: the operation.
        shape: of the result.
        found: the facts of the operands, None where one has none. Then the result has none, but for a scene.
        shapes: of the operands.
    """
    need_rank(map(len, shapes), len(shape))
    need_axes([op.axis], len(shape))
    beside = {tuple(n for axis, n in enumerate(one) if axis != op.axis) for one in shapes}
    need(len(beside) == 1, "shape", "arrays of different sizes are joined")
    facts = [fact for fact in found if fact is not None]
    if any(isinstance(factor, Scene) for fact in facts for factor in fact.axes[op.axis]):
        sizes = [one[op.axis] for one in shapes]
        return _pieces(op.axis, shape[op.axis], found, sizes)
    return _glued(op.axis, shape, facts) if len(facts) == len(found) else None


def _pieces(axis: int, total: int, found: Sequence[Fact | None], sizes: Sequence[int]) -> Fact:
    """Of arrays joined along a scene the longest part that shows one signal is kept; all else is its border."""
    need(sum(sizes) == total, "shape", "arrays joined have other sizes")
    pieces: list[tuple[Fact, Scene]] = []
    ends = itertools.accumulate(sizes)
    for fact, n, end in zip(found, sizes, ends, strict=True):
        window = None if fact is None else _window(fact, axis)
        if fact is not None and isinstance(window, Scene):
            piece = _spread(window, end - n, total - end, 1)
            rest = _with(fact, axis, (), fact.signal)
            if pieces:  # it may go on with the piece before it
                low = pieces[-1][1].low
                if pieces[-1] == (rest, dataclasses.replace(piece, low=low, high=piece.low)):
                    piece = dataclasses.replace(piece, low=pieces.pop()[1].low)
            pieces.append((rest, piece))
    need(len(pieces) > 0, "glue", "a scene is joined whose axis has several factors")
    rest, piece = max(pieces, key=lambda part: part[1].high - part[1].low)
    return _with(rest, axis, (piece,), rest.signal)


def _window(fact: Fact, axis: int) -> Factor | None:
    """An axis as one factor, where it is one."""
    try:
        return merged(fact.axes[axis])
    except Refusal:
        return None


def _glued(axis: int, shape: Shape, facts: Facts) -> Fact:
    """On a torus every operand counts."""
    first, along = facts[0], [fact.axes[axis] for fact in facts]
    windows = [_window(fact, axis) for fact in facts]
    moving = [window for window in windows if isinstance(window, Moving)]
    rest = _with(first, axis, (), first.signal)
    if len(moving) < len(facts) or any(_with(f, axis, (), f.signal) != rest for f in facts):
        phases = [window for window in windows if isinstance(window, Phase)]
        total = _spectra(along, phases) if phases else _side_by_side(along)
        return Fact(
            tuple(
                total if a == axis else unify([fact.axes[a] for fact in facts], n, "linear")
                for a, n in enumerate(shape)
            )
        )
    joined, *others = moving
    for window in others:
        meet = arithmetic.same_cell(joined.period, joined.offset + joined.n, window.offset)
        text = f"two windows of a signal of period {joined.period} do not meet end to end"
        need(meet, "glue", text)
        joined = dataclasses.replace(joined, n=joined.n + window.n)
    return _with(first, axis, tidy([joined]), first.signal)


def _side_by_side(along: Sequence[Factors]) -> Factors:
    """Parts that stay, and whole periods of parts that move."""
    for factor in cells(along):
        whole = isinstance(factor, Moving) and all(arithmetic.covers(factor.n, factor.period))
        text = "a part of a moving axis is joined to something else than its own signal"
        need(whole or isinstance(factor, Still), "glue", text)
    return join(along)


def cells(lists: Iterable[Factors]) -> Iterator[Factor]:
    """All factors of some axes, and of the parts of each."""
    for factors in lists:
        for part in parts(factors):
            yield from part


def _spectra(along: Sequence[Factors], phases: Sequence[Phase]) -> Factors:
    """Parts of a spectrum side by side: the longest one says how all of them must be turned."""
    longest = max(phases, key=lambda phase: phase.n)
    before = itertools.takewhile(lambda factors: longest not in factors, along)
    total = turned(longest, -sum(map(size, before)), 1, sum(map(size, along)))
    place = 0
    for factors in along:
        alike = factors == tidy([turned(total, place, 1, size(factors))])
        need(alike, "phase", "spectra that are turned by other phases are joined")
        place += size(factors)
    return tidy([total])


def _with(fact: Fact, axis: int, factors: Factors, signal: tuple = ()) -> Fact:
    """The fact with another axis; of the signal given, or of a new one."""
    return Fact((*fact.axes[:axis], factors, *fact.axes[axis + 1 :]), signal)


# --- windows ---


def pad(op: Pad, shape: Shape, facts: Facts) -> Fact:
    """R(x)[low + b i] = A(x)[i] along one axis, with b = 1 + inner, and else the value v. If low < b and high < b, R
    shows S'[b u] = S[u], with S'[w] = v between, which moves by b r. Laps that overlap, and ends of spectra, may be
    padded by zeros at will.
    """
    need(len(facts) == 2 and facts[1].axes == (), "shape", "a padding is one scalar value")
    fact, axis, low, high, base = facts[0], op.axis, op.low, op.high, op.inner + 1
    need_axes([axis], len(fact.axes))
    need(base > 0, "shape", "cells are pulled together")
    linear = any(isinstance(f, Fold | Phase) for factors in fact.axes for f in factors)
    zero = not linear or op.zero
    need(zero, "fold", "overlapping laps, or a spectrum, are padded by something else than zero")
    match merged(fact.axes[axis]):
        case Fold(n) as fold:
            more = fold.part == "whole" and base == 1 and low >= 0 and high >= 0
            need(more, "fold", "overlapping laps are cut or pulled apart")
            return _with(fact, axis, (dataclasses.replace(fold, n=n + low + high),))
        case Phase(n) as phase:
            need(base == 1, "phase", "frequencies are pulled apart")
            count = arithmetic.stretched_size(n, low, high, base)
            need(count > 0, "shape", "everything is cut away")
            return _with(fact, axis, tidy([turned(phase, -low, 1, count)]))
        case window:
            return _with(fact, axis, tidy([_stretched(window, low, high, base)]))


def _stretched(
    window: Still | Moving | Scene | Joined, low: int, high: int, base: int
) -> Still | Moving | Scene:
    """The window after `base - 1` cells of one value were put between its cells, and some before and behind."""
    n = arithmetic.stretched_size(window.n, low, high, base)
    need(n > 0, "shape", "everything is cut away")
    match window:
        case Still(_, period):
            return Still(n, period if base == 1 and low <= 0 and high <= 0 else n)
        case Scene():
            return _spread(window, low, high, base)
        case Moving(_, period, offset, step):
            text = f"an axis that moves by {step} of {period} is padded by foreign values"
            inside = arithmetic.pads_inside(low, high, base)
            need(inside, "padding", text, low=low, high=high, step=step, period=period)
            period, step = arithmetic.stretch(period, step, base)
            return Moving(n, period, arithmetic.stretched_offset(offset, low, base), step)
    text = "a window runs along, or cells are put around, an axis of several parts"
    raise Refusal("glue", text)


def _spread(scene: Scene, low: int, high: int, base: int) -> Scene:
    """The same of a scene: where there were no right cells, none are made."""
    n = arithmetic.stretched_size(scene.n, low, high, base)
    first, end, step = arithmetic.scene_stretch(scene.low, scene.high, scene.step, low, base)
    return Scene(n, first, end, arithmetic.stretched_offset(scene.offset, low, base), step)


def slide(op: Window, shape: Shape, facts: Facts) -> Fact:
    """R(x)[q] = f(A'(x)[s q], A'(x)[s q + d], ..., A'(x)[s q + (k-1) d]) along each of its axes, where A' is A padded:
    so it moves by the r' that solves s r' = b r, as `take` and `pad` say. If f is symmetric and its cells are whole
    periods, it stays. If f is linear, of zeros and of all cells of one period, sums of R modulo the period move.
    """
    axes = _alike(op.kept, shape, facts, [(dim.axis, dim.out) for dim in op.dims])
    for dim in op.dims:
        axes[dim.out] = _slid(merged(facts[0].axes[dim.axis]), dim, op)
    return Fact(tuple(axes))


def _slid(window: Factor, dim: Dim, op: Window) -> Factors:
    """Along one axis: foreign padding is refused, but where it makes laps of a weighted sum; then the stride counts."""
    size, stride, base, low, high = dim.size, dim.stride, dim.base, dim.low, dim.high
    one = min(size, stride, base, dim.dilation) >= 1
    need(one, "shape", "sizes, strides and dilations of a window are at least 1")
    if isinstance(window, Fold):
        raise Refusal("fold", "overlapping laps are used before they are summed")
    if isinstance(window, Phase):
        raise Refusal("phase", "a window runs along frequencies")
    reach = arithmetic.reach(size, dim.dilation)
    padded = arithmetic.stretched_size(window.n, low, high, base)
    count = arithmetic.places(padded, reach, stride)
    need(count > 0, "shape", "the window is larger than its axis")
    if isinstance(window, Moving):
        folded = all(arithmetic.folds(window.n, window.period, stride, low, high, reach))
        if folded and op.linear and max(low, high) >= base:  # with less padding it moves
            period, step = arithmetic.stretch(window.period, window.step, base)
            return (Fold(count, period, step, "whole", dim.axis),)
    moved = _stretched(window, low, high, base)
    if isinstance(moved, Still):
        common = math.gcd(moved.period, stride)
        return still(count, arithmetic.strided_period(moved.period, common))
    if isinstance(moved, Moving):
        blind = op.symmetric and dim.dilation == 1
        if blind and all(arithmetic.covers(size, moved.period)):
            return still(count, 1)  # every window holds whole periods
    return tidy([_strided(moved, stride, count, 0, reach + 1)])


def mix(op: Mix, shape: Shape, facts: Facts) -> Fact:
    """R(x)[..., q] = f(A(x)[..., :])[q]: all cells along some axes meet. If f is symmetric, f(A[p(i)]) = f(A[i]) for
    every permutation p of the cells, whole periods of what moves are as good as what stays. The sum of laps moves.
    """
    rank = len(facts[0].axes) if facts else 0
    need_rank((len(fact.axes) for fact in facts), rank)
    need_axes(op.axes, rank)
    need_axes(op.outs, len(shape))
    others = [axis for axis in range(rank) if axis not in op.axes]
    rest = [out for out in range(len(shape)) if out not in op.outs]
    need(len(others) == len(rest), "shape", "a mixture loses or makes axes that it does not name")
    summed = op.sum and len(facts) == 1 and not op.outs
    if summed and len(op.axes) == 1:
        match facts[0].axes[op.axes[0]]:
            case (Fold(part="laps", tag=tag),):
                return Fact(tuple(_lap(facts[0].axes[axis], tag) for axis in others))
    for axis in op.axes:
        _need_whole([fact.axes[axis] for fact in facts], op.symmetric)
    axes = [still(n) for n in shape]
    for axis, out in zip(others, rest, strict=True):
        along = [fact.axes[axis] for fact in facts]
        # laps may be summed before or after other cells; any other function must wait
        axes[out] = along[0] if summed else unify(along, shape[out])
    return Fact(tuple(axes))


def _need_whole(along: Sequence[Factors], symmetric: bool) -> None:
    """Cells that are mixed stay, or are whole periods whose order is of no account."""
    scene = any(isinstance(factor, Scene) for factors in along for factor in factors)
    need(not scene, "part", PART)
    for factor in cells([unify(along, max(map(size, along)))]):
        if isinstance(factor, Moving):
            need(symmetric, "order", "a result depends on the order of cells of a moving axis")
            whole = arithmetic.covers(factor.n, factor.period)
            need(whole, "part", "a part of a moving axis is taken, not a whole period")


def _lap(factors: Factors, tag: int) -> Factors:
    """After the laps are summed, their cells are one period of a signal."""
    return tidy(
        Moving(f.n, f.period, 0, f.step)
        if isinstance(f, Fold) and (f.part, f.tag) == ("cells", tag)
        else f
        for f in factors
    )


def fourier(op: Fourier, shape: Shape, facts: Facts) -> Fact:
    """R(x)[k] = sum_j A(x)[j] e(j k), with e(a) = exp(-2 pi i a / n). If A(Tx)[j] = A(x)[j - r], then
    R(Tx)[k] = e(k r) R(x)[k]; the inverse turns a phase into a shift. What other axes do is kept, since it is linear;
    but half an inverse takes real parts, so nothing else may be turned.
    """
    fact, axis, inverse, half = _only(facts), op.axis, op.inverse, op.half
    need_axes([axis], min(len(shape), len(fact.axes)))
    given, made = size(fact.axes[axis]), shape[axis]
    n, count = (made, given) if inverse else (given, made)
    need(count == (n // 2 + 1 if half else n), "shape", "a transform has other frequencies")
    beside = [f for a, factors in enumerate(fact.axes) if a != axis for f in factors]
    real = half and inverse
    other = any(isinstance(f, Phase) for f in beside)
    need(not (real and other), "phase", "the real part of a spectrum is taken")
    match merged(fact.axes[axis]):
        case Still():
            return _with(fact, axis, still(made))
        case Moving(_, period, _, step) if not real:
            whole = arithmetic.covers(n, period)
            need(whole, "part", "a part of a moving axis is transformed, not a whole period")
            turn = arithmetic.turned_back(0, step) if inverse else (0, step)
            return _with(fact, axis, tidy([Phase(made, n, *turn)]))
        case Phase(_, period, first, step) if inverse or not half:
            back = arithmetic.returns(period, first, step, n)
            text = f"what turns a spectrum of period {period} is no shift of {n} cells"
            need(back, "phase", text)
            moved = arithmetic.returned_step(period, step, n)
            return _with(fact, axis, tidy([Moving(n, n, 0, moved if inverse else -moved)]))
        case Scene():
            raise Refusal("part", PART)
    raise Refusal("phase", "what is transformed is no signal, or no spectrum")


def use_whole(op: Whole, shape: Shape, facts: Facts) -> Fact:
    """R(x)[i, :] = f(A(x)[i, :], B(x), ...): alike at every position i of the kept axes, and all else must stay."""
    return Fact(tuple(_alike(op.kept, shape, facts, ())))


def _alike(
    kept: Sequence[Shape], shape: Shape, facts: Facts, windows: Sequence[Shape]
) -> list[Factors]:
    """Axes of a result that has the kept axes of the first operand; what is neither kept nor seen by windows stays."""
    need(len(facts) > 0, "shape", "an operation has no operand")
    first, *others = facts
    need_axes([axis for axis, _ in (*kept, *windows)], len(first.axes))
    need_axes([out for _, out in (*kept, *windows)], len(shape))
    named = {axis for axis, _ in (*kept, *windows)}
    mixed = [factors for axis, factors in enumerate(first.axes) if axis not in named]
    need(all(map(is_still, mixed)), "contract", "all cells of a moving axis are mixed")
    whole = all(is_still(factors) for fact in others for factors in fact.axes)
    need(whole, "contract", "an operand that is used whole is moved by the shift")
    axes = [still(n) for n in shape]
    for axis, out in kept:
        axes[out] = unify([first.axes[axis]], size(first.axes[axis]))
    return axes


def select(op: Select, shape: Shape, facts: Facts) -> tuple[Fact, ...]:
    """R(x)[u] = A(x)[s u + p(x)] along some axes. If A(Tx)[i] = A(x)[i - r] along these, each a whole torus, then the
    components of A(Tx) are those of A(x), each rolled: write r - p = s d - q, with 0 <= q < s, and component p of A(Tx)
    is component q of A(x), moved by d. So R(Tx)[u] = R(x)[u - w(x)], for some whole cells w(x) along these axes.

    No fact says that. What would hold of R if w were one cell along one axis is given, for each axis in turn; of an A
    that stays, what holds of R, which then stays.
    """
    need(len(facts) > 0, "shape", "an operation has no operand")
    first, *others = facts
    need_axes(op.axes, len(first.axes))
    paired = 0 < len(op.axes) == len(op.strides)
    need(paired, "shape", "a selection has some axes, and a stride for each")
    whole = all(is_still(factors) for fact in others for factors in fact.axes)
    need(whole, "contract", "an operand that is used whole is moved by the shift")
    beside = [factors for axis, factors in enumerate(first.axes) if axis not in op.axes]
    text = "along a moving axis what is picked would be one component for all positions"
    need(all(map(is_still, beside)), "contract", text)
    rest = list(first.axes)
    for axis, stride in zip(op.axes, op.strides, strict=True):
        rest[axis] = still(_component(first.axes[axis], stride))
    picked = Fact(tuple(rest))
    if all(map(is_still, first.axes)):
        return (picked,)
    sizes = [(axis, picked.shape[axis]) for axis in op.axes]
    return tuple(_with(picked, axis, tidy([Moving(n, n, 0, 1)])) for axis, n in sizes)


def _component(factors: Factors, stride: int) -> int:
    """How many cells a component has along an axis that stays, or is a whole torus."""
    match merged(factors):
        case Still(n):
            pass
        case Moving(n, period):
            whole = arithmetic.covers(n, period)
            need(whole, "part", "a part of a moving axis is cut into components, not whole periods")
        case Scene():
            raise Refusal("part", PART)
        case _:
            raise Refusal("glue", "what is cut into components is no signal alone")
    need(stride > 0, "shape", "strides of a selection are at least 1")
    text = f"stride {stride} of a selection does not divide its axis of {n} cells"
    need(arithmetic.covers(n, stride), "shape", text)
    return arithmetic.strided_period(n, stride)


def slice_of(fact: Fact) -> Fact:
    """A(x)[t, ...], what one round t of a loop sees of an array that is cut along its first axis, which must stay."""
    cuts = fact.axes != () and is_still(fact.axes[0])
    need(cuts, "order", "a loop runs along a moving axis")
    return Fact(fact.axes[1:])


def weaker(old: Fact, new: Fact) -> Fact:
    """A fact that both have: that of any function of the two, so of each."""
    need(old.shape == new.shape, "shape", "two values that stand for one differ in shape")
    axes = zip(old.axes, new.axes, old.shape, strict=True)
    return Fact(tuple(unify([a, b], n) for a, b, n in axes))


def _only(facts: Facts) -> Fact:
    need(len(facts) == 1, "shape", "an operation needs exactly one operand")
    return facts[0]


def need_rank(ranks: Iterable[int], rank: int) -> None:
    """There are operands, and each has as many axes."""
    ranks = list(ranks)
    same = len(ranks) > 0 and all(found == rank for found in ranks)
    need(same, "shape", "operands of different rank meet")


def need_axes(axes: Sequence[int], rank: int) -> None:
    """The axes are there, each once."""
    there = len(set(axes)) == len(axes) and all(0 <= axis < rank for axis in axes)
    need(there, "shape", f"the axes {list(axes[:AXES])} are not there, or twice")


RULES: Mapping[type, Callable[..., Fact]] = {
    Weight: assume_weight,
    Map: map_positions,
    Combine: combine,
    Multiply: multiply,
    Broadcast: broadcast,
    Reshape: reshape_cells,
    Transpose: transpose,
    Take: take,
    Pad: pad,
    Window: slide,
    Mix: mix,
    Fourier: fourier,
    Whole: use_whole,
}
"""The rules of operations whose result has a fact only if all operands have one."""
