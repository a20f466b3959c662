"""Facts: what a shift of the input does to an array, axis by axis.

An axis is a product of *factors*, major to minor, whose sizes multiply to its length. Fix a program, an input x and
its shifted copy Tx. A factor says how the array A(x) depends on the index i along it, and how A(Tx) follows from A(x):

- `Still(n, period)`: A(Tx) = A(x) along it, and A[i] = A[i + period]. Period 1 is *flat*: the value does not vary.
- `Moving(n, period, offset, step)`: a window on a periodic signal S: A[i] = S[(offset + i) mod period], for every x,
  and S(Tx)[u] = S(x)[u - step]. The window may show less or more than one period.
- `Fold(n, period, step, part, tag)`: A is no such window, but the sum P of A over all indices that agree modulo the
  period is: P(Tx)[u] = P(x)[u - step]. Split into laps and cells (`part`), summing the laps gives P.
- `Scene(n, low, high, offset, step)`: there is no torus, x is cut out of an infinite scene X, and T shifts that. A
  shows a signal S of the whole scene: A[i] = S[offset + i] for low <= i < high, for every X, and S(TX)[u] =
  S(X)[u - step]. The step is not 0. Of cells outside this *interior*, where the border reaches, nothing is said.
- `Phase(n, period, first, step)`: the spectrum of a moving axis: A(Tx)[k] = e(first + k step) A(x)[k], where
  e(a) = exp(-2 pi i a / period).
- `Joined(parts)`: parts side by side, each of which stays or moves as its own factor says, such as a class token beside
  tokens of the image. What a fact says with a part in the place of the whole is true of the cells of that part.

A fact joins the factors of all axes: all moving ones shift together, the array is one signal seen through windows, and
the turns of all phases are multiplied.
Where there are scenes it speaks of the cells that lie in the interiors of all of them, and of no others.
`signal` names that signal: two facts of the same signal show parts of the same array, and may be glued.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from shiftproof_kernel import arithmetic

PARTS = 64
"""An axis of more parts than this is refused."""


class Refusal(Exception):
    """A rule does not apply. `code` is the kind of reason, `detail` numbers that belong to it."""

    def __init__(self, code: str, message: str, **detail: int) -> None:
        super().__init__(message)
        self.code, self.detail = code, detail


def need(condition: bool | tuple[bool, ...], code: str, message: str, **detail: int) -> None:
    """A side condition: refuse where it, or any member of it, does not hold."""
    if not (all(condition) if isinstance(condition, tuple) else condition):
        raise Refusal(code, message, **detail)


@dataclasses.dataclass(frozen=True, slots=True)
class Still:
    """The shift changes nothing along it; values repeat after `period`."""

    n: int
    period: int


@dataclasses.dataclass(frozen=True, slots=True)
class Moving:
    """A window of `n` cells, from `offset`, on a signal of that period which the shift moves by `step`."""

    n: int
    period: int
    offset: int
    step: int


@dataclasses.dataclass(frozen=True, slots=True)
class Fold:
    """Cells of which only the sum modulo the period is moved by `step`; part is whole, laps or cells."""

    n: int
    period: int
    step: int
    part: str
    tag: int


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """A window of `n` cells, right from `low` to below `high`, on an infinite signal that moves by `step`."""

    n: int
    low: int
    high: int
    offset: int
    step: int


@dataclasses.dataclass(frozen=True, slots=True)
class Phase:
    """Cell k is turned by `first + k step` of the period."""

    n: int
    period: int
    first: int
    step: int


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """Parts side by side, each with its own factors; neighbours that stay are one part."""

    parts: tuple[tuple["Factor", ...], ...]

    @property
    def n(self) -> int:
        """The number of cells."""
        return sum(map(size, self.parts))


Factor = Still | Moving | Fold | Scene | Phase | Joined
Factors = tuple[Factor, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """Factors of every axis, and the name of the signal that the array shows; () until the derivation gives it one."""

    axes: tuple[Factors, ...]
    signal: tuple = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(size(factors) for factors in self.axes)


def size(factors: Iterable[Factor]) -> int:
    """The number of cells."""
    return math.prod(factor.n for factor in factors)


def still(n: int, period: int | None = None) -> Factors:
    """An axis that the shift does not touch."""
    return tidy([Still(n, n if period is None else period)])


def is_still(factors: Iterable[Factor]) -> bool:
    """Whether the shift does not touch an axis."""
    return all(isinstance(factor, Still) for factor in factors)


def tidy(factors: Iterable[Factor]) -> Factors:
    """Normal form: nothing moves by whole periods, no still factor has size 1, the interior of a scene lies within the
    axis, and neighbours that say as much are one.
    """
    done: list[Factor] = []
    for given in factors:
        factor = _reduced(given)
        if isinstance(factor, Still) and factor.n == 1:
            continue
        while done and (joined := _merge(done[-1], factor)) is not None:
            done.pop()
            factor = joined
        done.append(factor)
    return tuple(done)


def _reduced(factor: Factor) -> Factor:
    """The one way to write what a factor says by itself."""
    match factor:
        case Still(n, period):
            return Still(n, min(n, period))
        case Moving(n, period, offset, step):
            return (
                Moving(n, period, offset % period, step % period)
                if step % period
                else _reduced(Still(n, period))
            )
        case Scene(n, low, high, offset, step):
            return Scene(n, max(low, 0), min(high, n), offset, step)
        case Phase(n, period, first, step):
            first, step = first % period, step % period if n > 1 else 0
            return Phase(n, period, first, step) if first or step else Still(n, n)
    return factor


def _merge(major: Factor, minor: Factor, *, all_flat: bool = False) -> Factor | None:
    """One factor that says as much as two neighbours, or None.

    A flat minor factor may meet anything that stays, so it is kept apart from what moves, but for `all_flat`.
    """
    match major, minor:
        case Still(period=1), Still():
            repeats = all(arithmetic.covers(minor.n, minor.period))
            return Still(major.n * minor.n, minor.period if repeats else minor.n)
        case Still(), Still():
            return Still(major.n * minor.n, major.period * minor.n)
        case Still(period=1), Moving() if all(arithmetic.covers(minor.n, minor.period)):
            return dataclasses.replace(minor, n=major.n * minor.n)
        case Moving(n, period, offset, step), Still() if minor.period > 1 or all_flat:
            return Moving(*arithmetic.merge(n, period, offset, step, minor.n))
        case Scene(n, low, high, offset, step), Still() if minor.period > 1 or all_flat:
            return Scene(*arithmetic.scene_merge(n, low, high, offset, step, minor.n))
    return None


def merged(factors: Factors) -> Factor:
    """One axis as one factor."""
    if not factors:
        return Still(1, 1)
    whole, *rest = factors
    for factor in rest:
        joined = _merge(whole, factor, all_flat=True)
        if joined is None:
            raise Refusal("merge", "an axis of several factors moves in its minor part")
        whole = joined
    return whole


def split(factor: Factor, minor: int) -> tuple[Factor, Factor]:
    """The factor as a major one times a minor one of the size given, which divides its size."""
    major = factor.n // minor
    if major == 1:
        return Still(1, 1), factor
    match factor:
        case Still(_, period):
            if all(arithmetic.covers(minor, period)):
                return Still(major, 1), Still(minor, period)
            blocks = all(arithmetic.covers(period, minor))
            return Still(major, period // minor if blocks else major), Still(minor, minor)
        case Moving(n, period, offset, step):
            if all(arithmetic.covers(minor, period)):
                return Still(major, 1), Moving(minor, period, offset, step)
            text = f"an axis that moves by {step} of {period} is cut into blocks of {minor}"
            whole = arithmetic.splits(period, step, minor)
            need(whole, "split", text, step=step, period=period, block=minor)
            n, period, step = arithmetic.split(n, period, step, minor)
            return Moving(n, period, 0, step), Still(minor, minor)
        case Fold(_, period, _, part, _):
            whole = part == "whole" and minor == period
            need(whole, "fold", f"overlapping laps of {period} are split into {minor}")
            laps = dataclasses.replace(factor, n=major, part="laps")
            return laps, dataclasses.replace(factor, n=minor, part="cells")
        case Scene(_, low, high, _, step):
            text = f"an axis that moves by {step} is cut into blocks of {minor}"
            need(arithmetic.scene_strides(step, minor), "split", text, step=step, block=minor)
            low, high = arithmetic.within(low, high, 0, minor, minor - 1)
            blocks = Scene(major, low, high, 0, arithmetic.scene_strided(step, minor))
            return blocks, Still(minor, minor)
        case Phase() | Joined():
            raise Refusal("split", "a spectrum, or an axis of several parts, is cut into blocks")


def reshape(axes: Iterable[Factors], shape: Sequence[int]) -> tuple[Factors, ...]:
    """The same cells in row-major order under another shape: factors are regrouped, and split where needed."""
    queue = [factor for factors in axes for factor in factors]
    result = []
    for target in shape:
        taken: list[Factor] = []
        left = target
        while queue and (left > 1 or not taken):
            head = queue.pop(0)
            if left % head.n == 0:
                taken.append(head)
                left //= head.n
            elif head.n % left == 0:
                major, minor = split(head, head.n // left)
                taken.append(major)
                queue.insert(0, minor)
                left = 1
            elif queue and (joined := _merge(head, queue[0])) is not None:
                queue[0] = joined
            else:
                raise Refusal("split", f"an axis is cut across its factors, by a block of {left}")
        need(left == 1, "shape", "a reshape asks for more cells than there are")
        result.append(tidy(taken))
    need(not queue, "shape", "a reshape leaves cells over")
    return tuple(result)


def unify(lists: Iterable[Factors], n: int, kind: str = "any") -> Factors:
    """The factors of an axis of length n of g(A, B, ...), position by position; length 1 is repeated.

    The kind of g is any function, a `linear` one, or a `product`. All rules but these two take it for any.
    """
    rest = [list(factors) if size(factors) == n else _repeated(factors, n) for factors in lists]
    several = [f for f in map(tuple, rest) if any(isinstance(factor, Joined) for factor in f)]
    if list(map(merged, several)):  # each is alone on its axis
        return _unified_parts(list(map(tuple, rest)), kind)
    result: list[Factor] = []
    while any(rest):
        heads = [queue.pop(0) if queue else Still(1, 1) for queue in rest]
        least = min(head.n for head in heads)
        for position, head in enumerate(heads):
            need(head.n % least == 0, "positions", f"factors of sizes {head.n} and {least} meet")
            if head.n > least:
                heads[position], minor = split(head, head.n // least)
                rest[position].insert(0, minor)
        phases = [head for head in heads if isinstance(head, Phase)]
        result.append(_turned(heads, phases, kind) if phases else _join(heads))
    return tidy(result)


def _unified_parts(lists: Sequence[Factors], kind: str) -> Factors:
    """The same part by part, wherever a part of any operand ends."""
    ends = {end for factors in lists for end in itertools.accumulate(map(size, parts(factors)))}
    need(len(ends) <= PARTS, "parts", f"axes meet that have more than {PARTS} parts together")
    sizes = [b - a for a, b in itertools.pairwise([0, *sorted(ends)])]
    pieces = zip(*(_pieces(factors, sizes) for factors in lists), strict=True)
    return join(unify(along, n, kind) for along, n in zip(pieces, sizes, strict=True))


def _pieces(factors: Factors, sizes: Iterable[int]) -> Iterator[Factors]:
    """The cells of an axis, so many at a time, of one part each."""
    found = iter(parts(factors))
    part, start = next(found), 0
    for n in sizes:
        if start == size(part):
            part, start = next(found), 0
        yield cut(part, start, n)
        start += n


def parts(factors: Factors) -> tuple[Factors, ...]:
    """The parts of an axis, which may be one."""
    match factors:
        case (Joined(found),):
            return found
    return (factors,)


def cut(factors: Factors, start: int, n: int) -> Factors:
    """The `n` cells of an axis from `start` on."""
    if n == size(factors):
        return factors
    match merged(factors):
        case Joined(found):
            first = itertools.accumulate(map(size, found), initial=-start)
            spans = [(max(0, -a), min(size(p), n - a)) for p, a in zip(found, first, strict=False)]
            return join(cut(p, a, b - a) for p, (a, b) in zip(found, spans, strict=True) if a < b)
        case Still(_, period):
            return tidy([Still(n, period)])
        case Moving(_, period, offset, step):
            return tidy([Moving(n, period, offset + start, step)])
    raise Refusal("glue", "what meets an axis of several parts has no such parts")


def join(lists: Iterable[Factors]) -> Factors:
    """Parts side by side."""
    done: list[Factors] = []
    for part in itertools.chain.from_iterable(map(parts, lists)):
        if done and is_still(done[-1]) and is_still(part):
            done[-1] = still(size(done[-1]) + size(part))
        else:
            done.append(part)
            need(len(done) <= PARTS, "parts", f"an axis has more than {PARTS} parts")
    return done[0] if len(done) == 1 else (Joined(tuple(done)),)


def _repeated(factors: Factors, n: int) -> list[Factor]:
    """An axis of length 1 meets one of length n: its value is repeated, so it must not be a moving cell."""
    need(not factors, "cell", f"a moving cell, or {size(factors)} cells, meet {n} positions")
    return [Still(n, 1)]


def _join(heads: Sequence[Factor]) -> Factor:
    """Factors of one size meet: what moves must move alike, what stays must repeat within the step."""
    folded = any(isinstance(head, Fold) for head in heads)
    need(not folded, "fold", "overlapping laps are used before they are summed")
    period = math.lcm(*(head.period for head in heads if isinstance(head, Still)))
    scenes = [head for head in heads if isinstance(head, Scene)]
    if scenes:
        step = scenes[0].step
        alone = all(
            isinstance(h, Still) or (isinstance(h, Scene) and h.step == step) for h in heads
        )
        need(alone, "laws", f"one operand moves by {step} of a scene, another by something else")
        text = f"values that stay in place meet values that move by {step}"
        need(arithmetic.stays(step, period), "positions", text, step=step)
        low, high = max(scene.low for scene in scenes), min(scene.high for scene in scenes)
        return dataclasses.replace(scenes[0], low=low, high=high)
    moving = sorted((h for h in heads if isinstance(h, Moving)), key=lambda h: -h.period)
    if not moving:
        return Still(heads[0].n, period)
    first = moving[0]
    for other in moving[1:]:
        alike = arithmetic.moves_alike(first.period, first.step, other.period, other.step)
        text = f"one operand moves by {first.step} of {first.period}, another by {other.step} of {other.period}"
        need(alike, "laws", text)
    repeats = arithmetic.holds_still(first.period, first.step, period)
    text = f"values that stay in place meet values that move by {first.step} of {first.period}"
    need(repeats, "positions", text, step=first.step, period=first.period)
    return first


def _turned(heads: Sequence[Factor], phases: Sequence[Phase], kind: str) -> Phase:
    """Phases meet: a linear function keeps the one that all have, and a product turns by all of them."""
    need(kind != "any", "phase", "a spectrum meets a function that is not linear")
    if kind == "linear":
        need(len(set(heads)) == 1, "phase", "values that are turned by other phases are added")
        return phases[0]
    beside = all(isinstance(head, Still | Phase) for head in heads)
    beside = beside and len({phase.period for phase in phases}) == 1
    need(beside, "phase", "a spectrum is multiplied by what moves, or by one of another period")
    total, *others = phases
    for other in others:
        turn = arithmetic.turned_twice(total.first, total.step, other.first, other.step)
        total = Phase(total.n, total.period, *turn)
    return total
