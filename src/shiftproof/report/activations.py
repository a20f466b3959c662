"""One image at several shifts: what each layer shows, and the scores, side by side."""

import dataclasses
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shiftproof.report.maps import EQUAL_COLOUR

OTHER_COLOUR = "#a63a3a"


@dataclasses.dataclass(frozen=True, eq=False)
class Strip:
    """One column of the figure: the same layer, once for each shift.

    Attributes:
        title: above the column.
        values: one array a shift: (height, width) for a map, (classes,) for scores.
        notes: below each, such as `= moved copy`; "" for none.
        equal: for each shift, whether it is equal to shift 0 in the sense of its note; None where
            nothing is said.
    """

    title: str
    values: tuple[np.ndarray, ...]
    notes: tuple[str, ...]
    equal: tuple[bool | None, ...]


def activation_figure(strips: Sequence[Strip], *, shifts: Sequence[tuple[int, ...]]) -> Figure:
    """Rows are shifts, columns are layers; maps of one column share one grey scale.

    Args:
        strips: the columns, from left to right.
        shifts: one per row, in pixels.
    """
    rows, columns = len(shifts), len(strips)
    height = 1.72 if any(strip.values[0].ndim > 1 for strip in strips) else 1.45
    figure = Figure(
        figsize=(1.55 * columns + 0.5, height * rows + 0.4), layout="constrained", facecolor="white"
    )
    for row, shift in enumerate(shifts):
        for column, strip in enumerate(strips):
            axes = figure.add_subplot(rows, columns, row * columns + column + 1)
            _draw(axes, strip, row)
            if row == 0:
                axes.set_title(strip.title, fontsize=9, fontweight="bold", parse_math=False)
            if column == 0:
                axes.set_ylabel(f"shift {shift}", fontsize=9)
    return figure


def _draw(axes: Axes, strip: Strip, row: int) -> None:
    value = strip.values[row]
    if value.ndim == 1:
        _draw_scores(axes, value)
    else:
        low, high = min(v.min() for v in strip.values), max(v.max() for v in strip.values)
        grey = matplotlib.colormaps["gray_r"]
        axes.imshow(value, cmap=grey, vmin=low, vmax=high, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
    equal = strip.equal[row]
    colour = "black" if equal is None else EQUAL_COLOUR if equal else OTHER_COLOUR
    axes.set_xlabel(strip.notes[row], fontsize=8.5, color=colour, labelpad=3, parse_math=False)


def _draw_scores(axes: Axes, scores: np.ndarray) -> None:
    """Bars of the softmax, the largest in black."""
    shares = np.exp(scores - scores.max())
    shares = shares / shares.sum()
    colours = ["black" if i == shares.argmax() else "#b0b0b0" for i in range(len(shares))]
    axes.bar(range(len(shares)), shares, color=colours)
    axes.set_ylim(0, 1)
    axes.set_box_aspect(0.6)
    axes.set_xticks(range(len(shares)))
    axes.set_yticks([])
    axes.tick_params(labelsize=8, length=0, pad=1.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
