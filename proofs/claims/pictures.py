"""The figures of the claims, drawn at the width of a phone so that nothing needs zooming."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shiftproof.report.html import Picture
from shiftproof.report.maps import to_png

BLUE, RED, GREY = "#2f6db3", "#a63a3a", "#9aa3ad"
WIDTH = 4.2
"""Inches: on a phone a point of a font is then about a pixel and a quarter, so that 8 points can be read."""


def picture(figure: Figure, alternative: str, caption: str) -> Picture:
    """The figure as part of a page."""
    return Picture(to_png(figure, dpi=220), alternative, caption, wide=False)


def canvas(rows: float) -> Figure:
    """A figure of the usual width."""
    return Figure(figsize=(WIDTH, rows), layout="constrained", facecolor="white")


def count_maps(counts: Mapping[int, np.ndarray]) -> Picture:
    """For each window the places of one bright pixel that a shift leaves unchanged, as numbers on a map."""
    shown = list(counts.items())[:2]
    figure = canvas(WIDTH / len(shown) + 0.25)
    for number, (window, found) in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), number + 1)
        extent = (-window - 0.5, window + 0.5, window + 0.5, -window - 0.5)
        axes.imshow(found / window**2, cmap="Blues", vmin=0, vmax=1.3, extent=extent)
        size = 10 if window < 3 else 8
        for (row, column), value in np.ndenumerate(found):
            place = (column - window, row - window)
            axes.annotate(str(int(value)), place, ha="center", va="center", fontsize=size)
        axes.set_title(f"k = {window}: of {window**2} places", fontsize=9)
        _ticks(axes, range(-window, window + 1))
    return picture(
        figure,
        "Maps of counts that fall from the middle like a pyramid.",
        "One bright pixel, max pool with window = stride = k: in how many of its k² places the output stays the same, "
        "for every shift (dy down, dx right). Counted on nnx.max_pool; equal to ∏(k − |δᵢ|).",
    )


def _ticks(axes: Axes, steps: Sequence[int]) -> None:
    axes.set_xticks(list(steps))
    axes.set_yticks(list(steps))
    axes.tick_params(labelsize=8, length=2)


def chain(names: Sequence[str], masks: Sequence[np.ndarray], notes: Sequence[str]) -> Picture:
    """One map of proved shifts per stage of a network."""
    columns = 3
    rows = -(-len(names) // columns)
    figure = canvas(rows * (WIDTH / columns + 0.32))
    for number, (name, mask, note) in enumerate(zip(names, masks, notes, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        colours = ListedColormap(["#e9dfc9", BLUE])
        axes.imshow(mask, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"{name}\n{note}", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    return picture(
        figure,
        "Maps of shifts, blue where proved: all, then every second, then every fourth, and so on.",
        "Every shift of the torus (dy down, dx right, shift 0 top left), up to each stage: blue is "
        "proved for all images "
        "and weights, sand is refuted by a counterexample.",
    )


def accuracy_maps(maps: Mapping[str, np.ndarray]) -> Picture:
    """Test accuracy at every placement, one map a network, averaged over seeds."""
    figure = canvas(WIDTH / len(maps) + 1.0)
    middle = next(iter(maps.values())).shape[-1] // 2
    panels = []
    for number, (name, found) in enumerate(maps.items()):
        axes = figure.add_subplot(1, len(maps), number + 1)
        extent = (-middle - 0.5, middle + 0.5, middle + 0.5, -middle - 0.5)
        axes.imshow(found.mean(axis=0), cmap="cividis", vmin=0, vmax=1, extent=extent)
        axes.set_title(f"{name}\nmean {100 * found.mean():.0f} %", fontsize=8)
        _ticks(axes, (-middle, 0, middle))
        panels.append(axes)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), "cividis"),
        ax=panels,
        location="bottom",
        fraction=0.09,
        aspect=40,
    )
    bar.ax.tick_params(labelsize=8)
    bar.set_label("test accuracy", fontsize=8)
    seeds = len(next(iter(maps.values())))
    return picture(
        figure,
        "Accuracy over placements: flat for a CNN of stride 1, a chequered pattern for stride 2, a peak in the middle "
        "for a dense net.",
        f"Trained on digits in the middle alone, tested at every placement (dy down, dx right; mean of {seeds} seeds).",
    )


def gap_figure(sizes: Sequence[int], gaps: Mapping[str, np.ndarray]) -> Picture:
    """Train minus test accuracy against the number of training images, with error bars over seeds."""
    figure = canvas(2.9)
    axes = figure.add_subplot()
    for (name, found), colour, mark in zip(gaps.items(), (BLUE, RED, GREY), "osd", strict=False):
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        axes.errorbar(
            sizes,
            100 * found.mean(axis=0),
            100 * error,
            label=name,
            color=colour,
            marker=mark,
            capsize=3,
        )
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("training images", fontsize=9)
    axes.set_ylabel("train − test accuracy, points", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    seeds = len(next(iter(gaps.values())))
    return picture(
        figure,
        "Two falling curves, the gap against the number of training images.",
        f"How much better a network does on the images it was trained on; mean and standard error of {seeds} seeds.",
    )


def three_positions(
    shifts: Sequence[tuple[int, int]],
    columns: Mapping[str, Sequence[np.ndarray]],
    notes: Mapping[str, Sequence[str]],
    *,
    words: tuple[str, str],
) -> Picture:
    """A part of Figure 1: rows are shifts; columns the image, maps, or the scores of networks.

    Args:
        shifts: one per row.
        columns: heading -> one array per shift, a map or ten scores.
        notes: heading -> one note per shift, below it; "" for none.
        words: what is to be seen, and the caption.
    """
    rows, count = len(shifts), len(columns)
    flat = next(iter(columns.values()))[0].ndim == 1
    figure = canvas(rows * (1.0 if flat else WIDTH / count + 0.2) + 0.3)
    for across, (name, values) in enumerate(columns.items()):
        for down, value in enumerate(values):
            axes = figure.add_subplot(rows, count, down * count + across + 1)
            if value.ndim == 2:
                top = max(float(v.max()) for v in values)
                axes.imshow(value, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
                axes.set_yticks([])
                axes.set_xticks([])
            else:
                _bars(axes, value)
            if down == 0:
                axes.set_title(name, fontsize=9)
            if across == 0:
                axes.set_ylabel(f"shift {shifts[down]}", fontsize=8)
            note = notes.get(name, [""] * rows)[down]
            colour = BLUE if note.startswith(("=", "≈")) else RED
            axes.set_xlabel(note, fontsize=8, color=colour, labelpad=2)
    return picture(figure, *words)


KEPT = ("class changes", "same class", "same scores")
"""What a shift does to the scores of one image, from worst to best."""


def kept_maps(maps: Mapping[str, np.ndarray]) -> Picture:
    """For every shift of one image what the scores keep: 0, 1 or 2, as in `KEPT`; shift 0 in the middle."""
    figure = canvas(WIDTH / len(maps) + 0.55)
    colours = ListedColormap(["#e9dfc9", "#a9c6e8", BLUE])
    for number, (name, found) in enumerate(maps.items()):
        axes = figure.add_subplot(1, len(maps), number + 1)
        half = len(found) // 2
        centred = np.roll(found, (half, half), (0, 1))
        extent = (-half - 0.5, half - 0.5, half - 0.5, -half - 0.5)
        axes.imshow(centred, cmap=colours, vmin=0, vmax=2, extent=extent, interpolation="nearest")
        axes.set_title(name, fontsize=9)
        _ticks(axes, (-half, 0, half - 1))
    keys = [Patch(facecolor=colours(i), label=word) for i, word in enumerate(KEPT)]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return picture(
        figure,
        "Two maps: a regular grid of equal scores for the CNN, a small island of the same class for the dense net.",
        "The same digit at every shift of the torus (dy down, dx right): whether the scores are equal in "
        "every bit, the "
        "class is the same, or neither.",
    )


def _bars(axes: Axes, scores: np.ndarray) -> None:
    shares = np.exp(scores - scores.max())
    shares = shares / shares.sum()
    colours = ["black" if i == shares.argmax() else "#b5b5b5" for i in range(len(shares))]
    axes.bar(range(len(shares)), shares, color=colours)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_xticks(range(len(shares)))
    axes.tick_params(labelsize=8, length=0, pad=1)
    axes.spines[["top", "right", "left"]].set_visible(False)
