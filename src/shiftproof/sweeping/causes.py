"""Why placements are lost: the answer of each layer to an empty canvas, and the first layer at which some differ.

A layer is held against what it reads. Where it just moves with the object at fewer placements than that does, its cells
are too far apart, or the border is seen, or it knows places by itself.
"""

import dataclasses
import graphlib
import math
from collections.abc import Sequence

import msgspec
import numpy as np

from shiftproof.proving.cells import Field
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.checks import in_doubles
from shiftproof.sweeping.question import Question
from shiftproof.sweeping.result import Status
from shiftproof.tracing.primitives import WINDOWS
from shiftproof.tracing.trace import Program

PADDING = WINDOWS | {"pad", "conv_general_dilated"}
"""Primitives that may pad."""
SIDES = ("front", "back", "top", "bottom", "left", "right")
"""Of the axes (z, y, x), beginning and end of each."""


class Background(msgspec.Struct, frozen=True):
    """What a layer answers to an empty canvas.

    Attributes:
        constant: whether it is the same in every cell of the grid.
        low: its smallest value, and
        high: its largest, over cells, channels and images; of complex numbers, of their moduli.
    """

    constant: bool
    low: float
    high: float

    @property
    def zero(self) -> bool:
        """Whether it is zero everywhere."""
        return self.low == self.high == 0

    def __str__(self) -> str:
        span = f"{self.low:.4g}" if self.low == self.high else f"{self.low:.4g} to {self.high:.4g}"
        return span if self.constant else f"uneven, {span}"


class Cause(msgspec.Struct, frozen=True):
    """A layer at which placements are lost.

    Attributes:
        layer: its name.
        source: the user's file and line.
        code: `background`, `places`, `stride`, `border` or `frame`.
        before: how many placements just moved all that the layer reads.
        after: how many of them just move the layer, or leave it alone where it has no grid.
        text: why, in one sentence.
    """

    layer: str
    source: str
    code: str
    before: int
    after: int
    text: str


def background_of(layer: Layer, empty: np.ndarray, *, allowed: float) -> Background | None:
    """What a layer answers to an empty canvas; None where it has no grid.

    Args:
        layer: the layer.
        empty: its value for an empty canvas.
        allowed: differences that rounding explains; 0 where it is exact, NaN where they could not be measured.
    """
    kept = [axis for axis in layer.grid if axis is not None]
    if not kept:
        return None
    value = np.moveaxis(in_doubles(empty), kept, range(len(kept)))
    value = value.reshape(math.prod(value.shape[: len(kept)]), -1)
    uneven = np.abs(value - value[0]).max(initial=0) > (0 if math.isnan(allowed) else allowed)
    size = np.abs(value) if np.iscomplexobj(value) else value
    return Background(not uneven, float(size.min()), float(size.max()))


def find_causes(
    question: Question,
    status: Sequence[np.ndarray],
    backgrounds: Sequence[Background | None],
) -> list[Cause]:
    """For every layer the placements that just move all that it reads, and do not just move it.

    Args:
        question: what was compared.
        status: for each layer the `Status` of every placement: whether it moves, or stays where it has no grid.
        backgrounds: for each layer its answer to an empty canvas, None where it has no grid.
    """
    layers = question.layers
    links = [_reads(question.program, layers, i) for i in range(len(layers))]
    order = list(
        graphlib.TopologicalSorter({i: reads for i, (reads, _) in enumerate(links)}).static_order()
    )
    above: dict[int, set[int]] = {}
    for i in order:
        above[i] = set(links[i][0]).union(*(above[j] for j in links[i][0]))
    kept = [row == Status.EQUAL for row in status]
    found = []
    for i in order:
        reads, between = links[i]
        before = np.logical_and.reduce([np.ones_like(kept[i]), *(kept[j] for j in reads)])
        lost = before & ~kept[i]
        if not layers[i].has_grid and any(np.any(lost & kept[j]) for j in order if i in above[j]):
            # its cells lie in one axis with others, where they cannot be followed, and come back later
            kept[i] = before
        else:
            view = _View(question, backgrounds, status[i], before, i, reads, between)
            found += view.causes()
    return found


def _reads(program: Program, layers: Sequence[Layer], i: int) -> tuple[list[int], list[int]]:
    """The layers that a layer reads directly, and the positions of the equations in between."""
    known = {layer.value: j for j, layer in enumerate(layers) if j != i}
    makers = {out: n for n, eqn in enumerate(program.equations) for out in eqn.outputs}
    reads: set[int] = set()
    between: set[int] = set()
    pending = [layers[i].value]
    while pending:
        value = pending.pop()
        if value in known:
            reads.add(known[value])
        elif isinstance(value, int) and value in makers and makers[value] not in between:
            between.add(makers[value])
            pending += [o for o in program.equations[makers[value]].inputs if isinstance(o, int)]
    return sorted(reads), sorted(between)


@dataclasses.dataclass(frozen=True)
class _View:
    """One layer, what it reads, and the placements that it loses."""

    question: Question
    backgrounds: Sequence[Background | None]
    status: np.ndarray
    before: np.ndarray
    index: int
    reads: Sequence[int]
    between: Sequence[int]

    def causes(self) -> list[Cause]:
        """At most two: placements without a whole output shift, and placements that differ."""
        found = []
        moving = self.before
        undefined = moving & (self.status == Status.UNDEFINED)
        if undefined.any():
            moving = moving & ~undefined
            found.append(self._cause("stride", self.before, moving, self._stride()))
        kept = moving & (self.status == Status.EQUAL)
        if np.any(kept != moving):
            found.append(self._cause(*self._difference(moving, kept)))
        return found

    def _cause(self, code: str, before: np.ndarray, after: np.ndarray, text: str) -> Cause:
        layer = self._layer
        return Cause(layer.name, str(layer.site), code, int(before.sum()), int(after.sum()), text)

    @property
    def _layer(self) -> Layer:
        return self.question.layers[self.index]

    def _stride(self) -> str:
        strides = [str(s) for s in self._layer.strides if s is not None]
        return (
            f"It has one cell every {' and '.join(dict.fromkeys(strides))} pixels, so only placements that are such "
            "multiples away from the centre move it by whole cells."
        )

    def _difference(
        self, before: np.ndarray, after: np.ndarray
    ) -> tuple[str, np.ndarray, np.ndarray, str]:
        own, read = self.backgrounds[self.index], self._read_backgrounds()
        margins = _margins(before, after, self._layer.fields)
        near = "" if margins is None else f"for placements within {_sides(margins)} of the canvas"
        uneven = own is not None and not own.constant and all(b.constant for b in read)
        if uneven and self._pads() and any(not b.zero for b in read):
            code, text = "background", self._edge()
        elif uneven:
            code = "places"
            padding = "zero padding, " if self._pads() else ""
            text = (
                f"It answers to an empty canvas differently in different places: {padding}a table of positions, a "
                "mask, or weights of their own for every place."
            )
        elif margins is None:
            code = "places"
            text = "It changes with the place of the object, and in other ways than through the border."
            if own is None:
                text += " Here the cells of the grid are read one by one, or merged into one axis."
        elif own is None:
            code = "frame"
            text = (
                f"It sums up the whole frame, and {near} a part of the answer lies outside of it."
            )
        else:
            code = "border"
            text = (
                f"The answer to the object reaches the border before this layer {near}: what lies beyond is cut off, "
                "or comes back on the other side."
            )
        return code, before, after, text

    def _read_backgrounds(self) -> list[Background]:
        """Of the layers read; the empty canvas itself where the layer reads the image."""
        known = [self.backgrounds[j] for j in self.reads]
        return [b for b in known if b is not None] or [Background(True, 0.0, 0.0)]

    def _pads(self) -> bool:
        """Whether something between what is read and the layer pads."""
        equations = self.question.program.equations
        for eqn in (equations[n] for n in self.between):
            widths = eqn.params.get("padding_config" if eqn.name == "pad" else "padding", ())
            if eqn.name in PADDING and np.any(np.asarray(widths)):
                return True
        return False

    def _edge(self) -> str:
        """Names the layer from which on the background is not zero."""
        first = next(
            j for j, b in enumerate(self.backgrounds) if b is not None and b.constant and not b.zero
        )
        origin, background = self.question.layers[first], self.backgrounds[first]
        place = f" ({origin.site})" if str(origin.site) else ""
        return (
            f"{origin.name}{place} answers {background}, not 0, to an empty canvas (a bias, or a normalisation). The "
            f"zero padding of {self._layer.name} is an edge against that background, seen at the border wherever the "
            "object is."
        )


def _margins(
    before: np.ndarray, after: np.ndarray, fields: Sequence[Field | None]
) -> list[tuple[int, int]] | None:
    """How far from either side placements are lost, where those kept are all within a box; else None.

    One placement is a box where the layer's receptive field reaches the border from there; else the layer may know
    places by itself.
    """
    kept = np.argwhere(after)
    box = np.zeros_like(after)
    box[tuple(slice(a, b + 1) for a, b in zip(kept.min(0), kept.max(0), strict=True))] = True
    if np.any(before & box & ~after):
        return None
    found = [
        (int(a), int(n - 1 - b))
        for a, b, n in zip(kept.min(0), kept.max(0), after.shape, strict=True)
    ]
    if len(kept) == 1 and not all(
        field is not None and field.size is not None and field.size // 2 >= min(pair)
        for pair, field in zip(found, fields, strict=True)
    ):
        return None
    return found


def _sides(margins: Sequence[tuple[int, int]]) -> str:
    """Such as `2 pixels of the edges`, or with the sides told apart where they differ."""
    widths = [width for pair in margins for width in pair]
    names = SIDES[-len(widths) :]
    if len(set(widths)) == 1 or len(names) < len(widths):
        return f"{_pixels(max(widths))} of the edges"
    words = []
    for width in sorted({*widths} - {0}, reverse=True):
        sides = [side for side, reached in zip(names, widths, strict=True) if reached == width]
        words.append(f"{_pixels(width)} of the {' or '.join(sides)} edge")
    return ", or ".join(words)


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"
