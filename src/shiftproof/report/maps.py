"""Break maps: for one layer, one cell per shift of the input, shift 0 in the centre.

Down is +dy, right is +dx. A cell is blue where the layer is equal, and else shows how far it
deviates, on a logarithmic scale that all maps of a figure share. Figures are made without pyplot:
no global state, no display.
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator

from shiftproof.report.cells import axis_shifts, central
from shiftproof.report.shown_figure import ShownFigure
from shiftproof.report.tables import labels_text, lattice_text, mark_of, question_of
from shiftproof.sweeping.result import Property, Status, Sweep

EQUAL_COLOUR = "#0059d6"
UNCLEAR_COLOUR = "#7d7d7d"
UNDEFINED_COLOUR = "#ececec"
HATCH_COLOUR = "#b5b5b5"
HATCH = "////"
DPI = 150
PANEL = 2.1
"""Inches of one map."""
LETTERS = 7.5
"""Points of the smallest letters: 10 pixels, where a page shows the figure at its own size."""
LONGEST_TITLE = 25
"""Characters above a map of `PANEL` inches; more would run into the title of the next map."""
GRID_LINES_UP_TO = 40
"""Cells per axis up to which each cell is drawn apart; beyond that lines would hide the cells."""


@dataclasses.dataclass(frozen=True)
class Panel:
    """One map of a figure: which layer of which sweep, and what is asked of it."""

    sweep: Sweep
    layer: str | int
    property: Property
    title: str = ""


def break_map(sweep: Sweep, layer: str | int = -1, *, property: Property | None = None) -> Figure:
    """The break map of one layer.

    Args:
        sweep: what was swept, of any rank; a 3-D sweep shows its central slice.
        layer: name or position; the last output by default.
        property: what is asked; equivariance where the layer has a grid, else invariance, by
            default.

    Raises:
        InputError: no such layer.
    """
    index = sweep.index(layer)
    asked = property or question_of(sweep.layers[index])
    return panel_figure([Panel(sweep, index, asked)], columns=1, panel=3.4)


def layer_maps(sweep: Sweep, *, property: Property | None = None, columns: int = 4) -> Figure:
    """The break maps of all layers in one figure, row by row.

    Args:
        sweep: what was swept.
        property: asked of every layer; by default of each its own, equivariance where it has a
            grid, else invariance.
        columns: maps per row at most.
    """
    panels = [
        Panel(sweep, index, property or question_of(layer))
        for index, layer in enumerate(sweep.layers)
        if property != "equivariance" or layer.has_grid
    ]
    # six maps at four a row stand better as three and three
    columns = -(-len(panels) // -(-len(panels) // columns))
    return panel_figure(panels, columns=columns, title=sweep.header.model)


def single_maps(sweep: Sweep) -> dict[str, Figure]:
    """Layer -> its map in a figure of its own, without a title; all on one colour scale.

    Letters are larger than in a figure of many maps, since a page shows these small.

    Args:
        sweep: what was swept.
    """
    panels = [Panel(sweep, layer.name, question_of(layer)) for layer in sweep.layers]
    norm = _norm(panels)
    figures = {}
    for panel in panels:
        size = (PANEL + 0.3, PANEL * _proportion(sweep) + 0.3)
        figure = ShownFigure(figsize=size, layout="constrained", facecolor="white")
        _draw(figure.add_subplot(), panel, norm, size=10)
        figures[str(panel.layer)] = figure
    return figures


def compare_maps(sweeps: Mapping[str, Sweep], *, layer: str | int = -1, columns: int = 4) -> Figure:
    """The same layer of several networks, by default what they put out."""
    panels = [
        Panel(sweep, layer, question_of(sweep.layers[sweep.index(layer)]), name)
        for name, sweep in sweeps.items()
    ]
    return panel_figure(panels, columns=columns)


def panel_figure(
    panels: Sequence[Panel], *, columns: int, title: str = "", panel: float = PANEL
) -> Figure:
    """Maps side by side on one colour scale, with one legend.

    Args:
        panels: at least one.
        columns: maps per row at most.
        title: above all.
        panel: inches of one map.
    """
    norm = _norm(panels)
    figure, axes = _grid([shown.sweep for shown in panels], columns=columns, panel=panel)
    for shown, place in zip(panels, axes, strict=True):
        _draw(place, shown, norm)
        layer = shown.sweep.layers[shown.sweep.index(shown.layer)]
        _set_title(place, shown.title or layer.name, *_subtitle(shown))
    if title:
        figure.suptitle(title, fontsize=10, fontweight="bold", parse_math=False)
    _add_legend(figure, panels)
    if norm is not None:
        bar = ScalarMappable(norm, deviation_colours())
        _add_bar(figure, bar, axes=axes, label="largest deviation")
    return figure


def label_maps(sweeps: Mapping[str, Sweep], *, layer: str | int = -1, columns: int = 4) -> Figure:
    """For every shift the share of images that keep their class, one map a network.

    Args:
        sweeps: name -> sweep of a model whose layer is logits.
        layer: the logits; the last output by default.
        columns: maps per row at most.
    """
    figure, axes = _grid([*sweeps.values()], columns=columns, panel=PANEL)
    norm, colours = Normalize(0, 1), matplotlib.colormaps["cividis"]
    for (name, sweep), place in zip(sweeps.items(), axes, strict=True):
        agreement = sweep.agreement[sweep.index(layer)]
        share = np.where(agreement < 0, np.nan, agreement / sweep.header.images)
        values = np.ma.masked_invalid(central(share, sweep))
        _image(place, values, sweep=sweep, colours=colours, norm=norm)
        label_axes(place, *_rooms(sweep))
        _set_title(place, name, f"{labels_text(sweep, layer) or 'no labels'} kept")
    _add_bar(figure, ScalarMappable(norm, colours), axes=axes, label="share of labels kept")
    return figure


def to_png(figure: Figure, *, dpi: int = DPI) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def deviation_colours() -> Colormap:
    """Pale yellow to red, even in lightness; far from blue, also to the colour-blind."""
    return ListedColormap(matplotlib.colormaps["inferno_r"](np.linspace(0.02, 0.5, 256)))


# --- geometry: from shifts to cells ---


def _rooms(sweep: Sweep) -> tuple[list[int], list[int]]:
    """The signed shifts across and down, in the order drawn; none down where there is one axis."""
    return axis_shifts(sweep, 1), axis_shifts(sweep, 2) if len(sweep.grid) > 1 else []


def map_extent(across: Sequence[int], down: Sequence[int]) -> tuple[float, float, float, float]:
    """Left, right, bottom, top in signed shifts, so that a tick at -4 is the shift -4."""
    down = down or [0]
    return across[0] - 0.5, across[-1] + 0.5, down[-1] + 0.5, down[0] - 0.5


def _ticks(shifts: Sequence[int], most: int) -> list[int]:
    step = next(2**k for k in range(32) if len(shifts) <= most * 2**k)
    return [shift for shift in shifts if shift % step == 0]


# --- drawing ---


def _grid(sweeps: Sequence[Sweep], *, columns: int, panel: float) -> tuple[Figure, list[Axes]]:
    """A figure with one axes a sweep, row by row, each as wide as `panel` inches (strips wider)."""
    columns = min(columns, len(sweeps))
    rows = -(-len(sweeps) // columns)
    tallest = max(_proportion(sweep) for sweep in sweeps)
    width = panel if any(len(sweep.grid) > 1 for sweep in sweeps) else 1.6 * panel
    size = (columns * (width + 0.4) + 0.9, rows * (width * tallest + 0.72) + 0.75)
    figure = ShownFigure(figsize=size, layout="constrained", facecolor="white")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(len(sweeps))]
    return figure, axes


def _proportion(sweep: Sweep) -> float:
    """Height over width of a map; neither a needle nor a line."""
    if len(sweep.grid) == 1:
        return 0.25
    return min(3.0, max(0.3, len(sweep.ranges[-2]) / len(sweep.ranges[-1])))


def _norm(panels: Sequence[Panel]) -> LogNorm | None:
    """One scale for all deviations that differ; None where nothing does."""
    shown = [np.ravel(_differing(panel)) for panel in panels]
    values = np.concatenate(
        [np.ma.compressed(values) for values in map(np.ma.masked_invalid, shown)]
    )
    values = values[values > 0]
    if not values.size:
        return None
    # a handful of tiny deviations must not use up the scale
    low, high = float(np.quantile(values, 0.02)), float(values.max())
    return LogNorm(low / 1.25, high * 1.25) if low == high else LogNorm(low, high)


def _differing(panel: Panel) -> np.ndarray:
    """(*shift) deviation where the layer differs or is unclear, else NaN."""
    deviation = getattr(panel.sweep, panel.property)[panel.sweep.index(panel.layer)]
    status = panel.sweep.status(panel.property, panel.layer)
    return np.where(status == Status.DIFFERS, deviation, np.nan)


def _draw(axes: Axes, panel: Panel, norm: LogNorm | None, size: float = LETTERS) -> None:
    sweep = panel.sweep
    status = central(sweep.status(panel.property, panel.layer), sweep)
    _add_ground(axes, sweep)
    values = np.ma.masked_invalid(central(_differing(panel), sweep))
    _image(axes, values, sweep=sweep, colours=deviation_colours(), norm=norm or Normalize(0, 1))
    flags = np.ma.masked_array(
        (status == Status.UNCLEAR).astype(float), ~np.isin(status, (Status.EQUAL, Status.UNCLEAR))
    )
    colours = ListedColormap([EQUAL_COLOUR, UNCLEAR_COLOUR])
    _image(axes, flags, sweep=sweep, colours=colours, norm=Normalize(0, 1))
    mark_sparse(axes, status == Status.EQUAL, *_rooms(sweep))
    label_axes(axes, *_rooms(sweep), size)


def _image(
    axes: Axes, values: np.ma.MaskedArray, *, sweep: Sweep, colours: Colormap, norm: Normalize
) -> None:
    axes.imshow(
        values,
        cmap=colours,
        norm=norm,
        extent=map_extent(*_rooms(sweep)),
        interpolation="nearest",
        aspect="auto" if len(sweep.grid) == 1 else "equal",
    )


def _add_ground(axes: Axes, sweep: Sweep) -> None:
    """The hatch of undefined shifts lies below everything and shows where no cell is drawn."""
    left, right, bottom, top = map_extent(*_rooms(sweep))
    axes.add_patch(
        Rectangle(
            (left, top), right - left, bottom - top, linewidth=0, zorder=-1, **_undefined_style()
        )
    )


def _undefined_style() -> dict[str, Any]:
    return {"facecolor": UNDEFINED_COLOUR, "edgecolor": HATCH_COLOUR, "hatch": HATCH}


def mark_sparse(axes: Axes, equal: np.ndarray, across: Sequence[int], down: Sequence[int]) -> None:
    """On a large grid a lone equal shift is smaller than a dot of the screen: mark it."""
    if max(equal.shape) <= GRID_LINES_UP_TO or equal.mean() > 0.1:
        return
    rows, columns = np.nonzero(equal)
    x, y = np.array(across)[columns], np.array(down or [0])[rows]
    axes.scatter(x, y, s=7, marker="s", color=EQUAL_COLOUR, linewidths=0)


def label_axes(
    axes: Axes, across: Sequence[int], down: Sequence[int], size: float = LETTERS
) -> None:
    """Ticks at multiples of a power of two, and lines between the cells where these are few."""
    most = 8 if size <= LETTERS else 4  # larger numbers need more room
    axes.set_xticks(_ticks(across, most))
    axes.set_xlabel("dx", fontsize=size + 0.5, labelpad=1)
    axes.set_yticks(_ticks(down, most))
    if down:
        axes.set_ylabel("dy", fontsize=size + 0.5, labelpad=1)
    axes.tick_params(labelsize=size, length=2, pad=1.5, width=0.5)
    axes.spines[:].set_linewidth(0.5)
    if max(len(across), len(down)) <= GRID_LINES_UP_TO:
        _separate_cells(axes, across, down)


def _separate_cells(axes: Axes, across: Sequence[int], down: Sequence[int]) -> None:
    # two collections and not minor ticks, which take ten times as long to draw
    style: dict[str, Any] = {"colors": "white", "linewidths": 0.35, "zorder": 1}
    left, right, bottom, top = map_extent(across, down)
    axes.vlines([shift - 0.5 for shift in across[1:]], top, bottom, **style)
    axes.hlines([shift - 0.5 for shift in down[1:]], left, right, **style)


def _subtitle(panel: Panel) -> tuple[str, str]:
    """`= 196 of 784 equivariant`, and the lattice."""
    sweep = panel.sweep
    record = sweep.layers[sweep.index(panel.layer)]
    count = sweep.count(panel.property, panel.layer)
    if not count.applies:
        return f"{panel.property} {count}", ""
    kind = {"equivariance": "equivariant", "invariance": "invariant"}[panel.property]
    notes = [lattice_text(sweep, panel.layer, property=panel.property)]
    notes += [f"{count.unclear} unclear"] if count.unclear else []
    notes += ["slice " + _slice_name(sweep)] if len(sweep.grid) > 2 else []
    notes += ["constant"] if record.vacuous else []
    line = f"{mark_of(record)} {count.equal} of {count.total} {kind}"
    return line, ", ".join(note for note in notes if note)


def _slice_name(sweep: Sweep) -> str:
    return "dz=0" if len(sweep.grid) == 3 else "0"


def elided(name: str, most: int = LONGEST_TITLE) -> str:
    """A name that fits above a map: each part of a long one is cut, so that the number of a layer stays.

    >>> elided("stages_of_the_encoder.0.projection_convolution")
    'stages_of_….0.projection…'
    """
    parts = name.split(".")
    for room in range(most, 1, -1):
        cut = ".".join(p if len(p) <= room else f"{p[: room - 1]}…" for p in parts)
        if len(cut) <= most:
            return cut
    return f"…{name[1 - most :]}"


def _set_title(axes: Axes, title: str, *lines: str) -> None:
    """A bold title over smaller lines; never read as mathematics, since names may hold a `$`."""
    below = "\n".join(line for line in lines if line)
    axes.set_title(below, fontsize=8, loc="left", pad=3, parse_math=False)
    rise = 3 + 10.4 * (below.count("\n") + 1 if below else 0)
    axes.annotate(
        elided(title),
        (0, 1),
        (0, rise),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        fontweight="bold",
        annotation_clip=False,
        parse_math=False,
    )


def _add_legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """What the colours mean, of those that occur; equality always."""
    counts = [panel.sweep.count(panel.property, panel.layer) for panel in panels]
    keys = [Patch(facecolor=EQUAL_COLOUR, label="equal")]
    if any(count.unclear for count in counts):
        keys.append(Patch(facecolor=UNCLEAR_COLOUR, label="unclear"))
    if any(count.undefined for count in counts):
        keys.append(Patch(linewidth=0, label="no output shift", **_undefined_style()))
    figure.legend(handles=keys, loc="outside lower left", ncols=3, fontsize=8, frameon=False)


def _add_bar(figure: Figure, shown: ScalarMappable, *, axes: Sequence[Axes], label: str) -> None:
    # a bar of one width, however many rows it runs along
    height = figure.get_figheight()
    extend = "min" if isinstance(shown.norm, LogNorm) else "neither"
    bar = figure.colorbar(
        shown, ax=list(axes), shrink=0.8, aspect=6 * height, pad=0.02, extend=extend
    )
    bar.set_label(label, fontsize=8)
    if isinstance(shown.norm, LogNorm):
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.yaxis.set_major_formatter("{x:g}")  # not 6 × 10^0
    bar.ax.minorticks_off()
    bar.ax.tick_params(labelsize=LETTERS, length=2)
