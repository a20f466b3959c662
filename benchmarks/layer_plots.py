"""The report of the layers: a convolution against its matrix by size, and against what the machine can do."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.harness import Row, plain_number, quantity, used_columns
from benchmarks.layers import Roof, exponent
from benchmarks.plots import (
    COLOURS,
    MARKERS,
    Blocks,
    Plot,
    blank,
    boxes,
    curves,
    finish,
    grouped,
    label_of,
    on_machine,
    sentences,
    series_name,
)
from shiftproof.report.html import Prose
from shiftproof.report.tables import Table

LARGE = 14
"""Pixels from which the growth of the time is fitted: below, a program takes no longer than its start."""
ROOF = (
    "The roof of a pass is the time it would take at the speed of a large matrix product, or at the speed of reading a "
    "block of as many bytes, from the cache that holds it, whichever is longer. Starting a program is in no roof, so "
    "passes of a few microseconds are far from theirs."
)
NO_ROOF = (
    "Shares of what the machine can do at most are left out: these rows do not hold the speeds of its caches. "
    "python -m benchmarks layers measures them."
)


def draw_layers(rows: list[Row], names: dict[str, str]) -> Blocks:
    """The section of the layers: times and ratios by size, then shares of the roof, then the question."""
    sizes = [r for r in rows if r.case.startswith("equal function, size")]
    sizes.sort(key=lambda r: r.facts["size"])
    roofs = {label: Roof.of(found) for label, found in grouped(rows, label_of)}
    question = [r for r in rows if r.case.startswith("question") and r.unit == "s"]
    blocks: Blocks = []
    if sizes:
        blocks = [
            Prose(
                "The same function twice: a 2x2 convolution with three filters, and its matrix, which holds each "
                "filter once for every place. Before they are timed their outputs are compared on integers, bit by bit."
            ),
            _layer_times([r for r in sizes if r.unit == "s"], names),
            _layer_ratios([r for r in sizes if r.unit == "ratio"], names),
        ]
    timed = [r for r in rows if r.unit == "s" and _least(r, roofs)]
    blocks += [_roof_plot(timed, roofs, names), _roof_table(roofs, names)] if timed else []
    blocks += [_costs(found, roofs, names) for _, found in grouped(question, label_of)]
    return [*blocks, Prose(NO_ROOF)] if blocks and not timed else blocks


def _least(row: Row, roofs: dict[str, Roof]) -> float | None:
    return roofs[row.machine.label].least_seconds(row)


def _pixels(rows: Sequence[Row]) -> list[float]:
    return [int(r.facts["size"]) for r in rows]  # type: ignore[arg-type]


def _layer_times(rows: list[Row], names: dict[str, str]) -> Plot:
    question = "How long do a convolution and its own matrix take?"
    figure, axes = blank(question)
    forward = [r for r in rows if r.facts["direction"] == "forward"]
    series, told = {}, []
    for label, mine in grouped(forward, label_of):
        for layer, found in grouped(mine, lambda r: r.figure):
            name = series_name(layer, machine=label, names=names)
            series[name] = _pixels(found), boxes(found, 1e3)
            ends = [
                f"{quantity(r.median, 's')} at {r.facts['size']}" for r in (found[0], found[-1])
            ]
            large = [r for r in found if int(r.facts["size"]) >= LARGE]  # type: ignore[arg-type]
            growth = ""
            if len(large) > 2:
                slope, error = exponent(_pixels(large), [r.median for r in large])
                growth = f", growing as size^{slope:.1f} (± {error:.1f}) from {LARGE} on"
            told.append(f"{on_machine(label, names)}{layer}, {' and '.join(ends)} pixels{growth}")
    curves(axes, series, paired=len(names) > 1)
    axes.set(xlabel="height and width, pixels", ylabel="forward pass of 16 images, ms")
    finish(figure, axes, log="xy")
    return Plot("layers-time", question, sentences(told), figure)


def _layer_ratios(rows: list[Row], names: dict[str, str]) -> Plot:
    question = "From which image size on does the convolution win over its own matrix?"
    figure, axes = blank(question)
    series, told = {}, []
    for (label, direction), found in grouped(rows, lambda r: (label_of(r), r.facts["direction"])):
        name = series_name(str(direction), machine=label, names=names)
        series[name] = _pixels(found), boxes(found)
        told.append(f"{on_machine(label, names)}{direction}, {_crossing(found)}")
    curves(axes, series, paired=len(names) > 1)
    axes.axhline(1, color="#7d7d7d", linestyle="--", linewidth=1)
    axes.set(xlabel="height and width, pixels", ylabel="time of matrix / convolution")
    finish(figure, axes, log="xy")
    below = "Below the dashed line the matrix is faster."
    return Plot("layers-ratio", question, f"{sentences(told)} {below}", figure)


def _crossing(rows: Sequence[Row]) -> str:
    """In words: up to which size the matrix wins, from which on the convolution does; quartiles must agree."""
    wins = [r for r in rows if r.quartile_high < 1]
    beyond = [r for r in rows if r.facts["size"] > max([0, *_pixels(wins)])]  # type: ignore[operator]
    losses = [
        r
        for i, r in enumerate(beyond)
        if all(later.quartile_low > 1 for later in beyond[i:]) and r.quartile_low > 1
    ]
    told = []
    if wins:
        least = min(wins, key=lambda r: r.median)
        told.append(
            f"the matrix wins up to {wins[-1].facts['size']} pixels (least ratio {plain_number(least.median)})"
        )
    if losses:
        last = losses[-1]
        told.append(
            f"the convolution wins from {losses[0].facts['size']} pixels on "
            f"({plain_number(last.median)} times as fast at {last.facts['size']})"
        )
    return " and ".join(told) or "neither wins beyond the quartiles"


def _roof_plot(rows: list[Row], roofs: dict[str, Roof], names: dict[str, str]) -> Plot:
    question = "How near do the layers come to what the machine can do?"
    figure, axes = blank(question, height=4.2)
    kind = lambda r: "dense" if r.figure.startswith("dense") else r.figure  # noqa: E731
    shares = []
    for number, ((label, layer), found) in enumerate(
        grouped(rows, lambda r: (label_of(r), kind(r)))
    ):
        least = np.array([_least(r, roofs) for r in found], float)
        times = np.array([r.median for r in found])
        name = series_name(layer, machine=label, names=names)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.plot(1e3 * least, 1e3 * times, marker, color=colour, label=name, alpha=0.8)
        shares.append((name, least / times))
    ends = np.array([f for r in rows for f in (1e3 * (_least(r, roofs) or 0), 1e3 * r.median)])
    span = np.array([ends.min(), ends.max()])
    for factor, text in ((1, "the roof"), (10, "10 times as long"), (100, "100 times as long")):
        style = "-" if factor == 1 else ":"
        axes.plot(span, factor * span, style, color="#7d7d7d", label=text if factor == 1 else None)
    axes.set(xlabel="time that the roof allows, ms", ylabel="time measured, ms")
    axes.set_ylim(0.5 * span[0], 2 * span[1])
    finish(figure, axes, log="xy")
    told = [
        f"{name} {100 * found.min():.1f} to {100 * found.max():.0f} % of the roof"
        for name, found in shares
    ]
    over = np.concatenate([found for _, found in shares])
    above = int((over > 1).sum())
    verdict = (
        f"above the roof: {above} of {len(over)} passes, at most {100 * over.max():.0f} %: the machine was busier "
        f"while the roof was measured; measure again"
        if above
        else f"none of {len(over)} passes is above the roof"
    )
    dotted = "Dotted: 10 and 100 times as long."
    return Plot(
        "layers-roof", question, f"{sentences([verdict, ', '.join(told)])} {dotted} {ROOF}", figure
    )


def _roof_table(roofs: dict[str, Roof], names: dict[str, str]) -> Table:
    cells: dict[str, dict[str, str]] = {}
    for label, roof in roofs.items():
        for dtype, rate in roof.products.items():
            cells.setdefault(f"matrix product, {dtype}", {})[label] = quantity(rate, "FLOP/s")
        for size, rate in roof.reading.items():
            block = (
                f"reading {size // 2**10:,} KiB" if size < 2**20 else f"reading {size >> 20} MiB"
            )
            cells.setdefault(block, {})[label] = quantity(rate, "B/s")
    rows = tuple(
        (name, *(found.get(label, "") for label in roofs)) for name, found in cells.items()
    )
    columns = ("", *(names[label] for label in roofs))
    return used_columns(Table("The roof", columns, rows, numbers=frozenset(range(1, len(columns)))))


def _costs(rows: Sequence[Row], roofs: dict[str, Roof], names: dict[str, str]) -> Table:
    """Parameters, arithmetic and memory of the layers of the question."""
    cells = []
    for r in rows:
        facts: dict[str, Any] = r.facts  # type: ignore[assignment]
        least = _least(r, roofs)
        cells.append(
            (
                r.figure,
                r.case.removeprefix("question, "),
                f"{facts['parameters']:,}",
                quantity(r.median, "s"),
                f"{plain_number(facts['flops'] / 1e6)} M",
                quantity(facts["flops"] / r.median, "FLOP/s"),
                quantity(facts["bytes"] / r.median, "B/s"),
                quantity(facts["memory_bytes"], "B") if facts["memory_bytes"] else "",
                quantity(facts["compile_seconds"], "s"),
                f"{100 * least / r.median:.0f} %" if least else "",
            )
        )
    columns = (
        *("layer", "pass", "parameters", "time", "operations", "speed", "bytes moved"),
        *("memory", "compilation", "of the roof"),
    )
    return used_columns(
        Table(
            "Three 2x2x3 filters on 28x28x3 against dense layers that read the same 16 images"
            + (f", on {names[label_of(rows[0])]}" if len(names) > 1 else ""),
            columns,
            tuple(cells),
            numbers=frozenset(range(2, 10)),
        )
    )
