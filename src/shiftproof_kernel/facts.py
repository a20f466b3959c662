"""Facts: what a shift of the input does to an array, axis by axis.

An axis is a product of *factors*, major to minor, whose sizes multiply to its length. Fix a program, an input x and
its shifted copy Tx. A factor says how the array A(x) depends on the index i along it, and how A(Tx) follows from A(x):

- `Still(n, period)`: A(Tx) = A(x) along it, and A[i] = A[i + period]. Period 1 is *flat*: the value does not vary.
- `Moving(n, period, offset, step)`: a window on a periodic signal S: A[i] = S[(offset + i) mod period], for every x,
  and S(Tx)[u] = S(x)[u - step]. The window may show less or more than one period.
- `Fold(n, period, step, part, tag)`: A is no such window, but the sum of A over all indices that agree modulo the
  period is: P(Tx)[u] = P(x)[u - step]. Split into laps and cells (`part`), summing the laps gives P.

A fact joins the factors of all axes: all moving ones shift together, the array is one signal seen through windows.
`signal` names that signal: two facts of the same signal show parts of the same array, and may be glued.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Refusal(Exception):
    """A rule does not apply. `code` is the kind of reason, `detail` numbers that belong to it."""

    def __init__(self, code: str, message: str, **detail: int) -> None:
        super().__init__(message)
        self.code, self.detail = code, detail


class Still(NamedTuple):
    """The shift changes nothing along it; values repeat after `period`."""

    n: int
    period: int


class Moving(NamedTuple):
    """A window of `n` cells, from `offset`, on a signal of that period which the shift moves by `step`."""

    n: int
    period: int
    offset: int
    step: int


class Fold(NamedTuple):
    """Cells of which only the sum modulo the period is moved by `step`; part is whole, laps or cells."""

    n: int
    period: int
    step: int
    part: str
    tag: int


Factor = Still | Moving | Fold
Factors = tuple[Factor, ...]


class Fact(NamedTuple):
    """Factors of every axis, and the name of the signal that the array shows."""

    axes: tuple[Factors, ...]
    signal: tuple

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(size(factors) for factors in self.axes)


def size(factors: Sequence[Factor]) -> int:
    return math.prod(factor.n for factor in factors)


def still(n: int, period: int | None = None) -> Factors:
    """An axis that the shift does not touch."""
    return tidy([Still(n, n if period is None else period)])


def is_still(factors: Sequence[Factor]) -> bool:
    return all(isinstance(factor, Still) for factor in factors)


def tidy(factors: Sequence[Factor]) -> Factors:
    """Normal form: no factor of size 1 that says nothing, nothing moving by a multiple of its period, neighbours merged."""
    done: list[Factor] = []
    for given in factors:
        factor = given
        if isinstance(factor, Moving):
            n, period, offset, step = factor
            step %= period
            factor = Moving(n, period, offset % period, step) if step else Still(n, period)
        if isinstance(factor, Still):
            factor = Still(factor.n, min(factor.n, factor.period))
            if factor.n == 1:
                continue
        while done and (merged := _merge(done[-1], factor)) is not None:
            done.pop()
            factor = merged
        done.append(factor)
    return tuple(done)


def _merge(major: Factor, minor: Factor) -> Factor | None:
    """One factor that says as much as two neighbours, or None."""
    if isinstance(major, Still) and isinstance(minor, Still):
        n = major.n * minor.n
        if major.period > 1:
            return Still(n, min(n, major.period * minor.n))
        return Still(n, minor.period if minor.n % minor.period == 0 else minor.n)
    if isinstance(major, Moving) and isinstance(minor, Still) and minor.period > 1:
        return Moving(*(minor.n * number for number in major))
    if isinstance(major, Still) and isinstance(minor, Moving):
        tiles = major.period == 1 and minor.n % minor.period == 0
        return minor._replace(n=major.n * minor.n) if tiles else None
    return None


def split(factor: Factor, minor: int) -> tuple[Factor, Factor]:
    """The factor as a major one times a minor one of the size given (which divides its size)."""
    major = factor.n // minor
    if major == 1:
        return Still(1, 1), factor
    if isinstance(factor, Still):
        period = factor.period
        if minor % period == 0:
            return Still(major, 1), Still(minor, period)
        return Still(major, period // minor if period % minor == 0 else major), Still(minor, minor)
    if isinstance(factor, Fold):
        if factor.part != "whole" or minor != factor.period:
            raise Refusal("fold", f"overlapping laps of {factor.period} are split into {minor}")
        return factor._replace(n=major, part="laps"), factor._replace(n=minor, part="cells")
    n, period, offset, step = factor
    if minor % period == 0:
        return Still(major, 1), Moving(minor, period, offset, step)
    if step % minor == 0 and period % minor == 0:
        return Moving(major, period // minor, 0, step // minor), Still(minor, minor)
    raise Refusal(
        "split",
        f"an axis that moves by {step} of {period} is cut into blocks of {minor}",
        step=step,
        period=period,
        block=minor,
    )


def merged(factors: Factors) -> Factor:
    """One axis as one factor."""
    if not factors:
        return Still(1, 1)
    whole = factors[0]
    for minor in factors[1:]:
        if isinstance(minor, Still):
            minor = minor._replace(period=max(2, minor.period) if minor.n > 1 else 1)
        joined = _merge(whole, minor)
        if joined is None:
            raise Refusal("merge", "an axis of several factors moves in its minor part")
        whole = joined
    return whole


def reshape(axes: Sequence[Factors], shape: Sequence[int]) -> tuple[Factors, ...]:
    """The same cells in row-major order under another shape: factors are regrouped, and split where needed."""
    queue = [factor for factors in axes for factor in factors]
    result = []
    for target in shape:
        taken: list[Factor] = []
        left = target
        while queue and (left > 1 or (queue[0].n == 1 and not taken)):
            head = queue.pop(0)
            if left % head.n == 0:
                taken.append(head)
                left //= head.n
            elif head.n % left == 0:
                major, minor = split(head, head.n // left)
                taken.append(major)
                queue.insert(0, minor)
                left = 1
            elif queue and (whole := _merge(head, queue[0])) is not None:
                queue[0] = whole
            else:
                raise Refusal(
                    "split", f"an axis is cut across its factors, at a multiple of {left}"
                )
        if left != 1:
            raise Refusal("shape", "a reshape changes the number of cells")
        result.append(tidy(taken))
    if queue:
        raise Refusal("shape", "a reshape changes the number of cells or drops a moving cell")
    return tuple(result)


def unify(lists: Sequence[Factors], n: int) -> Factors:
    """The factors of an axis of length n of `g(A, B, ...)`, position by position, for any g."""
    rest = [list(f) if size(f) == n else _stretched(f, n) for f in lists]
    result: list[Factor] = []
    while any(rest):
        for queue in rest:
            queue or queue.append(Still(1, 1))
        least = min(queue[0].n for queue in rest)
        for queue in rest:
            head = queue[0]
            if head.n % least:
                raise Refusal("positions", f"factors of sizes {head.n} and {least} meet")
            if head.n > least:
                queue[:1] = split(head, head.n // least)
        result.append(_join([queue.pop(0) for queue in rest]))
    return tidy(result)


def _stretched(factors: Factors, n: int) -> list[Factor]:
    """An axis of length 1 meets one of length n: its value is repeated, so it must not be a moving cell."""
    if factors:
        raise Refusal("cell", f"one cell of a moving axis is used at all {n} positions")
    return [Still(n, 1)]


def _join(heads: Sequence[Factor]) -> Factor:
    moving = [head for head in heads if isinstance(head, Moving)]
    if any(isinstance(head, Fold) for head in heads):
        if len(heads) == 1:
            raise Refusal("fold", "overlapping laps are used before they are summed")
        raise Refusal("fold", "overlapping laps meet another operand before they are summed")
    stills = [head for head in heads if isinstance(head, Still)]
    period = math.lcm(*(head.period for head in stills))
    if not moving:
        return Still(heads[0].n, min(heads[0].n, period))
    result = moving[0]
    for other in moving[1:]:
        if result.period < other.period:
            result, other = other, result
        if result.period % other.period or (result.step - other.step) % other.period:
            raise Refusal(
                "laws",
                f"one operand moves by {result.step} of {result.period}, another by {other.step} of {other.period}",
            )
    if result.step % period or result.period % period:
        raise Refusal(
            "positions",
            f"values that stay in place meet values that move by {result.step} of {result.period}",
            step=result.step,
            period=result.period,
        )
    offsets = {head.offset % result.period for head in moving}
    return result._replace(offset=offsets.pop() if len(offsets) == 1 else 0)


def decimated(window: Moving, stride: int) -> tuple[int, int]:
    """Period and step of T[q] = S[a + stride q], for every a.

    T has period N/g with g = gcd(N, stride), and moves by r' where stride r' = r mod N; that needs g | r.
    """
    common = math.gcd(window.period, stride)
    if window.step % common:
        raise Refusal(
            "stride",
            f"stride {stride} meets a signal of period {window.period} that moves by {window.step}, "
            f"no multiple of {common}",
            stride=stride,
            period=window.period,
            step=window.step,
        )
    period = window.period // common
    return period, window.step // common * pow(stride // common, -1, period) % period
