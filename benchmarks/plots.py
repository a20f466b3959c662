"""Figures of the report: each asks one question, its title, and has one answer, its caption.

They are narrow, so that a phone and a column of a paper show them with letters that can be read; the legend stands
below the data, and ticks are plain numbers.
"""

import dataclasses
import io
import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.harness import Row, plain_number
from shiftproof.report.html import Block

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, which the colour-blind tell apart."""
MARKERS = "os^Dvp*"
STYLE: dict[str, Any] = {
    "font.size": 12,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "shiftproof",  # the same figure gives the same bytes
}
WIDTH = 5.0
"""Inches."""
LINE = 42
"""Letters of a title in one line."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure, and what it is about.

    Attributes:
        name: of its files.
        question: its title.
        answer: computed of the rows, with numbers.
        figure: as drawn.
    """

    name: str
    question: str
    answer: str
    figure: Figure

    def svg(self) -> bytes:
        """The figure as SVG; the same figure gives the same bytes."""
        buffer = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()


Blocks = list[Block | Plot]
"""Of a section of the page."""


def blank(question: str, height: float = 3.9, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure with its title and empty axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    title(figure, question)
    return figure, figure.subplots()


def title(figure: Figure, question: str) -> None:
    """Write the question above all axes."""
    figure.suptitle(textwrap.fill(question, LINE), fontsize=13, fontweight="bold")


def finish(figure: Figure, axes: Axes, *, log: str = "") -> None:
    """Plain ticks on the logarithmic axes, and the legend below where there is more than one name."""
    for name in log:
        axes.set(**{f"{name}scale": "log"})
        _plain_ticks(getattr(axes, f"{name}axis"))
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        columns = 2 if max(map(len, labels)) < 20 else 1
        # room for the legend, so that it takes none from the data
        figure.set_figheight(figure.get_figheight() + 0.24 * math.ceil(len(labels) / columns))
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=columns,
            fontsize=11,
            frameon=False,
        )


def _plain_ticks(axis: Any) -> None:
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    steps = (1,) if decades > 2.5 else (1, 2, 5) if decades > 0.7 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))
    axis.set_minor_locator(NullLocator())


def curves(
    axes: Axes, series: Mapping[str, tuple[Sequence[float], np.ndarray]], *, paired: bool = False
) -> None:
    """Lines with error bars.

    Args:
        axes: to draw on.
        series: by name, places and (places, 3): the value, and the lower and upper end of its bar.
        paired: whether two neighbours share a colour, the second one dashed.
    """
    for number, (name, (x, values)) in enumerate(series.items()):
        kind = number // 2 if paired else number
        axes.errorbar(
            x,
            values[:, 0],
            np.abs(values[:, 1:] - values[:, :1]).T,
            color=COLOURS[kind % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            linestyle="--" if paired and number % 2 else "-",
            label=name,
            capsize=2,
        )


def boxes(rows: Sequence[Row], factor: float = 1) -> np.ndarray:
    """Median and quartiles of some rows, (rows, 3), times a factor."""
    return factor * np.array([[r.median, r.quartile_low, r.quartile_high] for r in rows])


def dots(
    question: str, groups: Mapping[str, Mapping[str, Row]], *, label: str, line: float | None = None
) -> Figure:
    """One line a group, its name above it; one dot with quartiles for each of its series; a stroke where an aim is.

    Args:
        question: the title.
        groups: by name, the rows of the group by their series.
        label: of the axis.
        line: where a dashed line is drawn.
    """
    figure, axes = blank(question, height=1.3 + 0.5 * len(groups))
    names = list(dict.fromkeys(itertools.chain.from_iterable(groups.values())))
    for place, (group, found) in enumerate(groups.items()):
        axes.text(
            0.01,
            place - 0.38,
            group,
            transform=axes.get_yaxis_transform(),
            va="center",
            size=11,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )
        for name, row in found.items():
            number = names.index(name)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            ((middle, low, high),) = boxes([row])
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            axes.plot([middle], [place], marker, color=colour, markersize=7)
            if row.aim:
                axes.plot([row.aim], [place], "|", color="black", markersize=13)
    for number, name in enumerate(names):
        axes.plot([], [], MARKERS[number % len(MARKERS)], color=COLOURS[number % 7], label=name)
    if any(row.aim for found in groups.values() for row in found.values()):
        axes.plot([], [], "|", color="black", markersize=11, label="aim")
    if line is not None:
        axes.axvline(line, color="#7d7d7d", linestyle="--", linewidth=1)
    axes.set(xlabel=label, yticks=(), ylim=(len(groups) - 0.5, -0.75))
    finish(figure, axes, log="x")
    return figure


# --- rows, and words for them ---


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> list[tuple[Any, list[Row]]]:
    """Rows by a key, in the order in which the keys appear."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())


def series_name(*words: str, machine: str, names: dict[str, str]) -> str:
    """The name of a series; that of its machine is in it where there are several."""
    return ", ".join([*words, *([names[machine]] if len(names) > 1 else [])])


def on_machine(machine: str, names: dict[str, str]) -> str:
    """How a sentence on one machine begins."""
    return f"{names[machine]}: " if len(names) > 1 else ""


def sentences(parts: Iterable[str]) -> str:
    """Sentences, each with a capital letter and a full stop."""
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def label_of(row: Row) -> str:
    """The label of its machine."""
    return row.machine.label
