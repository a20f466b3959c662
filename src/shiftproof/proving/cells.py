"""Cells: what the cells of a value see of the image, and how that changes when cells are moved.

The pixels that a cell sees along one axis of the grid are `jump * digit + low .. jump * digit + high`, where a *digit*
is a part of the cell's index along one axis of the array, `(i - start) // inner % count`. A plain map has one digit
that is the whole index; tokens are one axis that holds a digit of the rows and a digit of the columns; patches have two
digits of the rows, on two axes. Where two operands run along the same axis of the grid in different ways (as the scores
of attention do), the result has one *view* of each. What sees the whole image beside (a normalisation, attention) keeps
its views and is marked.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

BATCH = -1
"""The source of views along the batch; others are numbers of axes of the grid."""
MOST_VIEWS = 16
"""Values with more views are taken to see everything."""


@dataclasses.dataclass(frozen=True)
class Digit:
    """A part of the index along one axis of an array: `(i - start) // inner % count`, worth `jump` pixels each."""

    axis: int
    inner: int
    count: int
    jump: Fraction
    start: int = 0


@dataclasses.dataclass(frozen=True)
class View:
    """What the cells of a value see along one axis of the grid: the sum of jump times digit, plus low .. high.

    Attributes:
        source: the axis of the grid, or `BATCH`.
        digits: on which axes of the value the pixels are counted; at least one.
        low, high: the first and last pixel where all digits are 0; they may lie outside of the image.
    """

    source: int
    digits: tuple[Digit, ...]
    low: Fraction
    high: Fraction

    def on(self, axis: int) -> list[Digit]:
        """The digits on an axis of the value."""
        return [digit for digit in self.digits if digit.axis == axis]

    def with_digits(self, digits: Iterable[Digit]) -> "View":
        """The same with other digits."""
        return dataclasses.replace(self, digits=tuple(digits))

    def widened(self, first: Fraction | int, last: Fraction | int) -> "View":
        """The same, seeing as well what lies from `first` to `last` pixels on."""
        ends = sorted((first, last))
        return dataclasses.replace(self, low=self.low + ends[0], high=self.high + ends[1])


@dataclasses.dataclass(frozen=True)
class Cells:
    """What the cells of a value see.

    Attributes:
        views: along the grid and the batch.
        whole: sources of which every cell may see all, whether there is a view of them or not.
        lost: sources that could not be followed, each with the number of the node at which.
    """

    views: tuple[View, ...] = ()
    whole: frozenset[int] = frozenset()
    lost: tuple[tuple[int, int], ...] = ()

    @property
    def moving(self) -> bool:
        """Whether the value depends on the images."""
        return bool(self.views or self.whole)

    @property
    def sources(self) -> frozenset[int]:
        """All that it depends on."""
        return self.whole | {view.source for view in self.views}


NOTHING = Cells()
"""Of values that do not depend on the images."""


def make_cells(views: Iterable[View], whole: Iterable[int], lost: Mapping[int, int]) -> Cells:
    """Cells in normal form: one view for every way in which a source is counted."""
    found: dict[tuple[int, tuple[Digit, ...]], View] = {}
    everything = set(whole)
    for view in map(_normal, views):
        if not view.digits:
            everything.add(view.source)
            continue
        key = view.source, view.digits
        old = found.get(key, view)
        found[key] = dataclasses.replace(
            view, low=min(old.low, view.low), high=max(old.high, view.high)
        )
    counted = {source for source, digits in found if any(d.count > 1 for d in digits)}
    for source, digits in list(found):
        if source in counted and all(digit.count == 1 for digit in digits):
            # pixels that stay, beside others that are counted: every cell may see them
            everything.add(source)
            del found[source, digits]
    if len(found) > MOST_VIEWS:
        return Cells((), frozenset(everything | {s for s, _ in found}), tuple(lost.items()))
    return Cells(tuple(found.values()), frozenset(everything), tuple(lost.items()))


def _normal(view: View) -> View:
    """Digits that are one number, as of a split that was undone, become one digit; those that count nothing go."""
    digits = sorted(view.digits, key=lambda d: (d.axis, d.inner))
    joined: list[Digit] = []
    for digit in digits:
        turn = digit.inner * digit.count
        digit = dataclasses.replace(digit, start=digit.start % turn)
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.axis == digit.axis
            and last.inner * last.count == digit.inner
            and last.jump * last.count == digit.jump
            and last.start == digit.start % (last.inner * last.count)
        ):
            count = last.count * digit.count
            joined[-1] = dataclasses.replace(last, count=count, start=digit.start)
        else:
            joined.append(digit)
    counting = [digit for digit in joined if digit.count > 1 and digit.jump]
    return view.with_digits(counting or [digit for digit in joined if digit.count == 1][:1])


def union(many: Sequence[Cells]) -> Cells:
    """What depends on all of them, cell by cell."""
    lost = {source: at for cells in reversed(many) for source, at in cells.lost}
    whole = frozenset().union(*(cells.whole for cells in many))
    return make_cells([view for cells in many for view in cells.views], whole, lost)


def lone(
    view: View, cells: Cells, axis: int, size: int, sizes: Mapping[int, int], *, laps: bool = False
) -> View | None:
    """The view with its only digit on an axis as the whole index of it; None where it shares the axis.

    Axes that lie inside of the digit and count nothing, such as channels after a pixel shuffle, make cells that are
    fractions of a pixel apart.

    Args:
        view: the view.
        cells: of the value.
        axis: of the value.
        size: of that axis.
        sizes: of the grid.
        laps: whether copies of one whole turn count as one axis.
    """
    digits = view.on(axis)
    others = [v for v in cells.views if v.source != view.source]
    if len(digits) != 1 or any(d.count > 1 for other in others for d in other.on(axis)):
        return None
    (digit,) = digits
    turn = sizes.get(view.source)
    rounds = turn is not None and digit.jump * digit.count % turn == 0 and digit.inner == 1
    if digit.inner * digit.count != size and not (laps and rounds):
        return None
    jump, back = digit.jump / digit.inner, -digit.jump / digit.inner
    plain = Digit(axis, 1, size, jump)
    kept = [d for d in view.digits if d is not digit]
    first = back * (digit.start if digit.start <= size // 2 else digit.start - size)
    return view.with_digits([*kept, plain]).widened(first, first + back * (digit.inner - 1))


def seen(
    view: View,
    axis: int,
    out: int,
    size: int,
    *,
    first: Fraction | int,
    last: Fraction | int,
    step: Fraction | int,
) -> View:
    """A lone view where cell q of the axis `out` of a result depends on cells first + step q .. last + step q."""
    (digit,) = view.on(axis)
    kept = [d for d in view.digits if d is not digit]
    moved = Digit(out, 1, size, digit.jump * step)
    return view.with_digits([*kept, moved]).widened(digit.jump * first, digit.jump * last)


def part(view: View, axis: int, start: int, count: int) -> View:
    """A view of neighbouring cells along an axis; of one cell only, its digits are numbers."""
    digits = []
    for digit in view.digits:
        if digit.axis != axis:
            digits.append(digit)
        elif count > 1:
            digits.append(dataclasses.replace(digit, start=digit.start - start))
        else:
            here = digit.jump * ((start - digit.start) // digit.inner % digit.count)
            view = view.widened(here, here)
    return view.with_digits(digits)


def without(view: View, digits: Sequence[Digit], sizes: Mapping[int, int]) -> View | None:
    """A view whose cells are mixed along some digits; None where these are the largest, so that no grid is left."""
    turn = sizes.get(view.source)
    # laps of whole turns, as in circular transposed convolutions, show the same pixels
    idle = [d for d in digits if turn is not None and d.jump % turn == 0]
    view = view.with_digits(d for d in view.digits if d not in idle)
    digits = [d for d in digits if d not in idle]
    if not digits:
        return view
    kept = [d for d in view.digits if d not in digits]
    if not kept or max(abs(d.jump) for d in digits) > max(abs(d.jump) for d in kept):
        return None
    for digit in digits:
        view = view.widened(0, digit.jump * (digit.count - 1))
    return view.with_digits(kept)


def placed(view: View, places: Mapping[int, int], sizes: Mapping[int, int]) -> View | None:
    """A view whose axes go to other places; those that go nowhere are mixed."""
    left = without(view, [d for d in view.digits if d.axis not in places], sizes)
    if left is None:
        return None
    return left.with_digits(dataclasses.replace(d, axis=places[d.axis]) for d in left.digits)


def cut(digit: Digit, shape: tuple[int, ...], target: tuple[int, ...]) -> list[Digit] | None:
    """The parts of a digit on the axes of a reshaped array, or None where it is not cut at whole cells."""
    behind = math.prod(shape[digit.axis + 1 :])
    inner, size = digit.inner * behind, shape[digit.axis]
    if digit.count == 1:
        return _cut_small(digit, shape, target)
    places = [
        (axis, math.prod(target[axis + 1 :]), math.prod(target[axis:]))
        for axis in range(len(target))
    ]
    if digit.start:  # only where its axis stays as it is
        same = [a for a, small, large in places if (small, large) == (behind, behind * size)]
        wide = [a for a in same if target[a] > 1]
        return [dataclasses.replace(digit, axis=wide[0])] if wide else None
    if size % (digit.inner * digit.count):
        return None
    parts = []
    for axis, small, large in places:
        low, high = max(inner, small), min(inner * digit.count, large)
        if low >= high:
            continue
        if low % inner or high % low or low % small or (inner * digit.count) % high:
            return None
        parts.append(Digit(axis, low // small, high // low, digit.jump * (low // inner)))
    return parts


def _cut_small(digit: Digit, shape: tuple[int, ...], target: tuple[int, ...]) -> list[Digit] | None:
    """An axis of length 1 goes to the axis of length 1 that stands at the same place."""
    behind = math.prod(shape[digit.axis + 1 :])
    before, after = (
        [a for a, n in enumerate(sizes) if n == 1 and math.prod(sizes[a + 1 :]) == behind]
        for sizes in (shape, target)
    )
    position = before.index(digit.axis) if digit.axis in before else len(after)
    return [dataclasses.replace(digit, axis=after[position])] if position < len(after) else None


# --- reading: fields along one axis of the grid, labels of the axes of a value ---


@dataclasses.dataclass(frozen=True)
class Field:
    """What a value has of one axis of the grid.

    Attributes:
        axis: of the value, that runs along it; None where none does alone.
        jump: pixels between neighbouring cells, negative after a flip; None where cells are not told apart along the
            grid. Tokens have a jump, but no axis of their own.
        low, high: the first and last pixel of cell 0; they may lie outside of the image.
        whole: whether a cell may see all pixels, as after a normalisation.
    """

    axis: int | None
    jump: Fraction | None
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    whole: bool = False

    @property
    def size(self) -> int | None:
        """Pixels that one cell depends on, at most; None for all.

        Between pixels, as after a transposed convolution, cells of different phases depend on different counts.
        """
        if self.whole or self.jump is None:
            return None
        phases = [self.jump * cell for cell in range(self.jump.denominator)]
        return max(math.floor(self.high + p) - math.ceil(self.low + p) + 1 for p in phases)

    @property
    def offset(self) -> int | None:
        """The first pixel that cell 0 depends on."""
        return None if self.whole or self.jump is None else math.ceil(self.low)


@dataclasses.dataclass(frozen=True)
class Label:
    """What runs along one axis of a value.

    Attributes:
        axes: axes of the grid; several for tokens.
        jump: pixels between neighbouring cells; None for tokens.
    """

    axes: tuple[int, ...]
    jump: Fraction | None


Labels = tuple[Label | None, ...]


def coarse(cells: Cells, sizes: Mapping[int, int]) -> Cells:
    """The cells by the largest digit of every view: patches are cells, which see what all their parts see."""
    views = []
    for view in cells.views:
        turn = sizes.get(view.source)
        # laps of whole turns tell no pixels apart
        digits = [d for d in view.digits if turn is None or d.jump % turn] or view.digits
        largest = max(digits, key=lambda digit: abs(digit.jump))
        for digit in digits:
            if digit is not largest:
                view = view.widened(0, digit.jump * (digit.count - 1))
        views.append(view.with_digits([largest]))
    return dataclasses.replace(cells, views=tuple(views))


def field_of(cells: Cells, source: int, shape: tuple[int, ...]) -> Field | None:
    """What coarse cells have of one axis of the grid; None where the value does not depend on the images."""
    if not cells.moving:
        return None
    found = [_along(view, cells, shape) for view in cells.views if view.source == source]
    ways = {(axis, jump and abs(jump)) for axis, jump, _, _ in found}
    if len(ways) != 1 or found[0][1] is None:
        return Field(None, None, whole=True)
    axis, jump = max(((axis, jump) for axis, jump, _, _ in found if jump), key=lambda way: way[1])
    whole = source in cells.whole or len({jump for _, jump, _, _ in found}) > 1
    low, high = min(way[2] for way in found), max(way[3] for way in found)
    return Field(axis, jump, low, high, whole)


def _along(
    view: View, cells: Cells, shape: tuple[int, ...]
) -> tuple[int | None, Fraction | None, Fraction, Fraction]:
    """The axis that runs along the grid, its jump, and what cell 0 sees; tokens have no axis, but a jump."""
    (digit,) = view.digits
    alone = lone(view, cells, digit.axis, shape[digit.axis], {})
    if alone is not None:
        return digit.axis, alone.digits[0].jump, alone.low, alone.high
    beside = {v.source: d for v in cells.views for d in v.on(digit.axis)}
    filled = math.prod(d.count for d in beside.values()) == shape[digit.axis]
    is_token = filled and len(beside) > 1 and len(shape) > 2
    return None, digit.jump if is_token else None, view.low, view.high


def labels_of(cells: Cells, shape: tuple[int, ...]) -> Labels:
    """What runs along every axis of a value with coarse cells; the batch does not count."""
    labels: list[Label | None] = [None] * len(shape)
    for axis in range(len(shape)):
        views = [view for view in cells.views if view.source != BATCH and view.on(axis)]
        found = [_along(view, cells, shape) for view in views]
        sources = tuple(sorted({view.source for view in views}))
        jumps = {abs(jump) for place, jump, _, _ in found if place == axis and jump is not None}
        if sources:
            labels[axis] = Label(sources, jumps.pop() if len(sources) == len(jumps) == 1 else None)
    return tuple(labels)
