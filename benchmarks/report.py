"""The report of recorded rows: tables and plots, as PNG files and one page, for one machine or several side by side."""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import msgspec
import numpy as np

from benchmarks.harness import Row, read_rows
from benchmarks.layers import exponent
from benchmarks.zoo import family_table
from shiftproof.files import write_atomic
from shiftproof.report.html import Block, Folded, Picture, Prose, Section, write_report
from shiftproof.report.maps import to_png
from shiftproof.report.tables import Table

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, which the colour-blind tell apart."""
MARKERS = "os^Dvp*"


def write(files: Sequence[Path], out: Path) -> list[Path]:
    """Write `report.html` and the plots of some files of rows.

    Raises:
        ValueError: there is no file, or one holds something else than rows.
        OSError: a file is missing, or the folder cannot be written.
    """
    rows = [row for path in files for row in read_rows(path)]
    if not rows:
        raise ValueError("there are no rows to report: give files that python -m benchmarks wrote.")
    sections, pictures = [], {}
    for part, found in _grouped(rows, key=lambda row: row.part):
        section, plots = _PAGES.get(part, _plain)(part, found)
        sections.append(section)
        pictures |= plots
    machines = {row.machine.label for row in rows}
    summary = (
        f"{len(rows)} figures of {len(sections)} parts, measured on {'; '.join(sorted(machines))}."
    )
    written = []
    for name, png in pictures.items():
        write_atomic(out / f"{name}.png", png)
        written.append(out / f"{name}.png")
    title = "Benchmarks: convolution against dense, sweeps and verdicts"
    return [
        write_report(out / "report.html", title, summary=summary, sections=sections),
        *written,
    ]


def _grouped(rows: Iterable[Row], *, key: Any) -> list[tuple[Any, list[Row]]]:
    """Rows by a key, in the order in which the keys appear."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())


def _several(rows: Iterable[Row]) -> bool:
    return len({row.machine.label for row in rows}) > 1


def _all_rows(rows: Sequence[Row]) -> Folded:
    """Every figure, folded away."""
    several = _several(rows)
    columns = (*(("machine",) if several else ()), "case", "figure", "median", "quartiles", "unit")
    cells = [
        (
            *((row.machine.label,) if several else ()),
            row.case,
            row.figure,
            f"{row.median:.4g}",
            f"{row.quartile_low:.4g} .. {row.quartile_high:.4g}" if len(row.samples) > 1 else "",
            row.unit,
        )
        for row in rows
    ]
    shift = int(several)
    numbers = frozenset({2 + shift, 3 + shift})
    return Folded("All figures", (Table("", columns, tuple(cells), numbers=numbers),))


def _plain(part: str, rows: list[Row]) -> tuple[Section, dict[str, bytes]]:
    """A part without plots of its own: the ratios, and all figures."""
    ratios = [row for row in rows if row.unit == "ratio"]
    blocks: list[Block] = [_ratio_table(ratios)] if ratios else []
    return Section(part.capitalize(), (*blocks, _all_rows(rows))), {}


def _ratio_table(rows: Sequence[Row]) -> Table:
    cells = tuple(
        (
            row.case,
            row.figure,
            f"{row.median:.3g}",
            f"{row.quartile_low:.3g} .. {row.quartile_high:.3g}",
            "" if row.aim is None else f"{row.aim:g}",
            row.machine.label,
        )
        for row in rows
    )
    columns = ("case", "ratio", "median", "quartiles", "aim", "machine")
    numbers = frozenset({2, 3, 4})
    return Table(
        "Ratios within one run", columns, cells, numbers=numbers, flexible=frozenset({0, 1, 5})
    )


# --- layers ---


def _layers(part: str, rows: list[Row]) -> tuple[Section, dict[str, bytes]]:
    """Time against size, the ratio, and what the two layers of the question cost."""
    by_size = [r for r in rows if r.case.startswith("equal function, size") and r.unit == "s"]
    figure = matplotlib.figure.Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    fits = []
    styles = itertools.cycle(zip(COLOURS, MARKERS, strict=False))
    key = lambda r: (r.figure, r.facts["direction"], r.machine.label)  # noqa: E731
    series = dict(_grouped(by_size, key=key))
    for (layer, direction, label), found in series.items():
        colour, marker = next(styles)
        sizes = [r.facts["size"] for r in found]
        name = f"{layer}, {direction}" + (f", {label}" if _several(by_size) else "")
        _errorbars(left, sizes, found, name, colour, marker)
        large = [r for r in found if r.facts["size"] >= 14]
        if len(large) > 2:
            slope, error = exponent([r.facts["size"] for r in large], [r.median for r in large])
            fits.append((name, f"{slope:.2f} ± {error:.2f}", f"{min(sizes)} .. {max(sizes)}"))
        dense = series.get(("its matrix", direction, label))
        if layer == "convolution" and dense:
            other = {r.facts["size"]: r.median for r in dense}
            shared = [r for r in found if r.facts["size"] in other]
            right.plot(
                [r.facts["size"] for r in shared],
                [other[r.facts["size"]] / r.median for r in shared],
                color=colour,
                marker=marker,
                label=name.removeprefix("convolution, "),
            )
    for axes, title in ((left, "seconds per batch"), (right, "matrix / convolution")):
        axes.set(xscale="log", yscale="log", xlabel="height and width, pixels", title=title)
        if axes.has_data():
            axes.legend(fontsize=8)
        sizes = sorted({r.facts["size"] for r in by_size})
        axes.set_xticks(sizes, map(str, sizes), fontsize=8)
        axes.set_xticks((), minor=True)
        axes.grid(alpha=0.3)
    right.axhline(1, color="#7d7d7d", linestyle="--", linewidth=1)
    png = to_png(figure)
    question = [r for r in rows if r.case.startswith("question") and r.unit == "s"]
    blocks = (
        Prose(
            "The same function twice: a 2x2 convolution with three filters, and its matrix, which holds each filter "
            "once for every place. Before they are timed their outputs are compared on integers, bit by bit."
        ),
        Picture(
            png,
            "Time of a convolution and of its matrix against image size, and their ratio.",
            "Below the dashed line the dense layer is the faster one.",
        ),
        Table(
            "Growth with the size, time = a size^b, from 14 pixels on",
            ("layer", "b", "sizes"),
            tuple(fits),
            numbers=frozenset({1}),
        ),
        _crossings(rows),
        _costs(question),
        _all_rows(rows),
    )
    return Section("Convolution against dense, one layer", blocks), {"layers": png}


def _errorbars(
    axes: Any, x: Sequence[Any], rows: Sequence[Row], name: str, colour: str, marker: str
) -> None:
    """Medians with quartiles."""
    middle = np.array([r.median for r in rows])
    spread = np.abs([[r.quartile_low for r in rows], [r.quartile_high for r in rows]] - middle)
    axes.errorbar(x, middle, spread, color=colour, marker=marker, label=name, capsize=2)


def _crossings(rows: Sequence[Row]) -> Table:
    """Where the dense layer is faster than the convolution that computes the same."""
    wins = [
        (r.case.removeprefix("equal function, "), f"{r.median:.2f}", r.machine.label)
        for r in rows
        if r.unit == "ratio" and r.case.startswith("equal function") and r.quartile_high < 1
    ]
    note = "Cases in which all three quartiles of the ratio lie below 1." if wins else "In no case."
    return Table(
        "Where the matrix is faster",
        ("case", "matrix / convolution", "machine"),
        tuple(wins),
        numbers=frozenset({1}),
        note=note,
    )


def _costs(rows: Sequence[Row]) -> Table:
    """Parameters, arithmetic and memory of the layers of the question."""
    cells = tuple(
        (
            r.case.removeprefix("question, "),
            r.figure,
            f"{r.facts['parameters']:,}",
            f"{1e6 * r.median:.0f}",
            f"{r.facts['flops']:,}",
            f"{r.facts['flops_compiled'] or 0:,.0f}",
            f"{(r.facts['memory_bytes'] or 0) / 2**20:.1f}",
            f"{1e3 * r.facts['compile_seconds']:.0f}",
            f"{100 * r.facts['roofline_share']:.0f} %",
        )
        for r in rows
    )
    columns = (
        "pass",
        "layer",
        "parameters",
        "µs",
        "FLOPs, formula",
        "FLOPs, compiler",
        "MiB",
        "compile ms",
        "of the roofline",
    )
    return Table(
        "Three 2x2x3 filters on 28x28x3 against dense layers that read the same image",
        columns,
        cells,
        numbers=frozenset(range(2, 9)),
    )


# --- learning ---


def _learning(part: str, rows: list[Row]) -> tuple[Section, dict[str, bytes]]:
    """Accuracy and gap against the number of images, and heat maps of the accuracy at every placement."""
    curves = matplotlib.figure.Figure(figsize=(10, 4.2), layout="constrained")
    axes = curves.subplots(1, 2)
    several = _several(rows)
    for (case, label), found in _grouped(rows, key=lambda r: (r.case, r.machine.label)):
        index = [case for case, _ in _grouped(rows, key=lambda r: r.case)].index(case)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        for plot, word in zip(axes, ("test accuracy", "gap"), strict=True):
            points = [r for r in found if r.figure.startswith(f"{word},")]
            mean = [np.mean(r.samples) for r in points]
            error = [np.std(r.samples, ddof=1) / len(r.samples) ** 0.5 for r in points]
            name = f"{case} ({points[0].facts['parameters']:,})" + (f", {label}" if several else "")
            plot.errorbar(
                [r.facts["images"] for r in points],
                mean,
                error,
                color=colour,
                marker=marker,
                label=name,
                capsize=2,
            )
    axes[0].set(title="accuracy on new centred digits, %", xlabel="training images", xscale="log")
    axes[1].set(title="train minus test, points", xlabel="training images", xscale="log")
    axes[0].legend(fontsize=8, title="network (parameters)", title_fontsize=8)
    images = sorted({r.facts["images"] for r in rows if "images" in r.facts})
    for plot in axes:
        plot.set_xticks(images, map(str, images))
        plot.set_xticks((), minor=True)
        plot.grid(alpha=0.3)
    maps = [r for r in rows if r.figure.startswith("accuracy everywhere")]
    pngs = {"learning": to_png(curves), "placements": to_png(_heat_maps(maps))}
    cells = tuple(
        (
            r.case,
            "at random" if r.facts["placed"] else "in the middle",
            f"{np.mean(r.samples):.1f} ± {np.std(r.samples, ddof=1) / len(r.samples) ** 0.5:.1f}",
            f"{np.min(r.facts['map']):.1f} .. {np.max(r.facts['map']):.1f}",
        )
        for r in maps
    )
    seeds = rows[0].facts["seeds"]
    blocks = (
        Prose(
            f"Digits: {rows[0].facts['digits']} {seeds} seeds each; error bars are standard errors."
        ),
        Picture(
            pngs["learning"],
            "Accuracy and gap of each network against the number of training images.",
        ),
        Picture(
            pngs["placements"],
            "Accuracy of each network at every placement of the digit.",
            "Test accuracy with the digit at every place of the canvas, mean over seeds.",
        ),
        Table(
            "Accuracy over all placements, %",
            ("network", "trained on digits", "mean over placements", "worst and best place"),
            cells,
            numbers=frozenset({2, 3}),
        ),
        _all_rows(rows),
    )
    return Section("Convolution against dense, what is learnt", blocks), pngs


def _heat_maps(rows: Sequence[Row]) -> matplotlib.figure.Figure:
    """One map a network, above trained on centred digits, below on random placements."""
    cases = [case for case, _ in _grouped(rows, key=lambda r: r.case)]
    figure = matplotlib.figure.Figure(figsize=(1 + 2.1 * len(cases), 5), layout="constrained")
    axes = figure.subplots(2, len(cases), squeeze=False)
    drawn = None
    for row in rows:
        plot = axes[int(bool(row.facts["placed"])), cases.index(row.case)]
        found = np.array(row.facts["map"])
        reach = len(found) // 2
        extent = (-reach - 0.5, reach + 0.5, reach + 0.5, -reach - 0.5)
        drawn = plot.imshow(found, vmin=0, vmax=100, cmap="cividis", extent=extent)
        plot.set(xticks=(-reach, 0, reach), yticks=(-reach, 0, reach))
        trained = "placed at random" if row.facts["placed"] else "centred"
        plot.set_title(f"{row.case}\ntrained {trained}: {found.mean():.0f} %", fontsize=8)
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, label="accuracy, %", shrink=0.8)
    return figure


# --- verdicts ---


def _verdicts(part: str, rows: list[Row]) -> tuple[Section, dict[str, bytes]]:
    """Ratios, and the growth of the analysis with depth and grid."""
    fits = []
    for (kind, label), found in _grouped(
        [r for r in rows if r.case.split()[0] in ("blocks", "grid")],
        key=lambda r: (r.case.split()[0], r.machine.label),
    ):
        if len(found) > 2:
            sizes = [int(r.case.split()[1]) for r in found]
            slope, error = exponent(sizes, [r.median for r in found])
            fits.append(
                (kind, f"{slope:.2f} ± {error:.2f}", f"{min(sizes)} .. {max(sizes)}", label)
            )
    ratios = [row for row in rows if row.unit == "ratio"]
    growth = Table(
        "Growth of the analysis, time = a x^b",
        ("x", "b", "range", "machine"),
        tuple(fits),
        numbers=frozenset({1}),
    )
    return Section("Verdicts", (_ratio_table(ratios), growth, _all_rows(rows))), {}


def _families(part: str, rows: list[Row]) -> tuple[Section, dict[str, bytes]]:
    """One line a family, for each machine."""
    tables = [
        dataclasses.replace(family_table(found), title=label)
        for label, found in _grouped(rows, key=lambda row: row.machine.label)
    ]
    return Section("Families of published models", (*tables, _all_rows(rows))), {}


_PAGES = {"layers": _layers, "learning": _learning, "verify": _verdicts, "zoo": _families}


def schema() -> dict[str, Any]:
    """The JSON Schema of a row."""
    return json.loads(msgspec.json.encode(msgspec.json.schema(Row)))
