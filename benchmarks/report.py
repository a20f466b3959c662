"""A report of recorded rows: one page, and every figure as SVG and PNG, for one machine or several side by side.

    rows -> by part: plots and tables -> report.html, NAME.svg, NAME.png

Every figure asks a question and answers it with numbers of the rows. A part without rows is named at the end, with the
command that measures it.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import msgspec
import numpy as np
from matplotlib.figure import Figure

from benchmarks.harness import (
    Row,
    figure_table,
    machine_box,
    plain_number,
    quantity,
    read_rows,
    used_columns,
)
from benchmarks.layers import Roof, exponent
from benchmarks.plots import (
    COLOURS,
    MARKERS,
    STYLE,
    WIDTH,
    Plot,
    blank,
    boxes,
    curves,
    dots,
    finish,
    title,
)
from benchmarks.zoo import BRUTE, FIRST, RATIO, family_table
from shiftproof.files import write_atomic
from shiftproof.report.html import Block, Commands, Folded, Picture, Prose, Section, write_report
from shiftproof.report.maps import to_png
from shiftproof.report.tables import Table, counted

QUICK = (
    "small cases only. They show that everything runs, and say nothing of larger ones. To cite figures, run "
    "python -m benchmarks without --quick."
)
LARGE = 14
"""Pixels from which the growth of the time is fitted: below, a program takes no longer than its start."""
ROOF = (
    "The roof of a pass is the time it would take at the speed of a large matrix product, or at the speed of reading a "
    "block of as many bytes, from the cache that holds it, whichever is longer. Starting a program is in no roof, so "
    " passes of a few microseconds are far from theirs."
)
NO_ROOF = (
    "Shares of what the machine can do at most are left out: these rows do not hold the speeds of its caches. "
    "python -m benchmarks layers measures them."
)


def write(files: Sequence[Path], out: Path) -> list[Path]:
    """Write `report.html` and the figures of some files of rows.

    Raises:
        ValueError: there is no file, or one holds something else than rows.
        OSError: a file is missing, or the folder cannot be written.
    """
    rows = [row for path in files for row in read_rows(path)]
    if not rows:
        raise ValueError("there are no rows to report: give files that python -m benchmarks wrote.")
    names = _names(rows)
    sections, plots = [], []
    with matplotlib.rc_context(STYLE):
        for part, (heading, draw) in PARTS.items():
            if found := [row for row in rows if row.part == part]:
                mine = {label: names[label] for label, _ in _grouped(found, _label)}
                blocks = draw(found, mine)
                if len(mine) < len(names):
                    blocks.insert(0, Prose(f"Measured on {'; '.join(mine.values())}."))
                plots += [block for block in blocks if isinstance(block, Plot)]
                folded = figure_table("", found, machines=len(names) > 1)
                sections.append((heading, [*blocks, Folded("All figures", (folded,))]))
        pngs = {plot.name: to_png(plot.figure) for plot in plots}
    machines = {
        names[label]: [row.machine for row in found] for label, found in _grouped(rows, _label)
    }
    made = [Section("The machines", (machine_box(machines),))]
    made += [Section(h, tuple(_block(b, pngs) for b in blocks)) for h, blocks in sections]
    if missing := [part for part in PARTS if part not in {row.part for row in rows}]:
        told = f"The files hold no rows of {', '.join(missing)}. To measure them:"
        lines = "\n".join(f"python -m benchmarks {part}" for part in missing)
        made.append(Section("Not measured", (Prose(told), Commands(lines))))
    quick = sum(bool(row.facts.get("quick")) for row in rows)
    of_them = "all" if quick == len(rows) else str(quick)
    summary = (f"QUICK RUN ({of_them} of {len(rows)} figures): {QUICK} " if quick else "") + (
        f"{len(rows)} figures of {counted(len(sections), 'part')}, measured on {'; '.join(machines)}."
    )
    heading = "Benchmarks: convolution against dense, sweeps and verdicts"
    page = write_report(out / "report.html", heading, summary=summary, sections=made)
    written = [page]
    for plot in plots:
        for suffix, content in (("svg", plot.svg()), ("png", pngs[plot.name])):
            written.append(out / f"{plot.name}.{suffix}")
            write_atomic(written[-1], content)
    return written


def _block(block: Block | Plot, pngs: dict[str, bytes]) -> Block:
    if not isinstance(block, Plot):
        return block
    return Picture(pngs[block.name], block.question, block.answer, wide=False)


def _label(row: Row) -> str:
    return row.machine.label


def _names(rows: Sequence[Row]) -> dict[str, str]:
    """A short name of each machine, by its label; the label itself where two would be called the same."""
    kinds = {row.machine.label: row.machine.kind for row in rows}
    names = list(kinds.values())
    return {label: kind if names.count(kind) == 1 else label for label, kind in kinds.items()}


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> list[tuple[Any, list[Row]]]:
    """Rows by a key, in the order in which the keys appear."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.items())


def _series(*words: str, machine: str, names: dict[str, str]) -> str:
    """The name of a series; that of its machine is in it where there are several."""
    return ", ".join([*words, *([names[machine]] if len(names) > 1 else [])])


def _on(machine: str, names: dict[str, str]) -> str:
    """How a sentence on one machine begins."""
    return f"{names[machine]}: " if len(names) > 1 else ""


def _sentences(parts: Iterable[str]) -> str:
    """Sentences, each with a capital letter and a full stop."""
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


Blocks = list[Block | Plot]


# --- exact ---


def _exact(rows: list[Row], names: dict[str, str]) -> Blocks:
    off = [f"{row.case}, {row.figure}: {plain_number(row.median)}" for row in rows if row.median]
    told = (
        f"{len(rows)} checks of what is taken for exact: {len(rows) - len(off)} found nothing off."
    )
    return [Prose(" ".join([told, *(f"Off: {line}." for line in off)]))]


# --- layers ---


def _layers(rows: list[Row], names: dict[str, str]) -> Blocks:
    sizes = [r for r in rows if r.case.startswith("equal function, size")]
    roofs = {label: Roof.of(found) for label, found in _grouped(rows, _label)}
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
    blocks += [_costs(found, roofs, names) for _, found in _grouped(question, _label)]
    return blocks if timed else [*blocks, Prose(NO_ROOF)]


def _least(row: Row, roofs: dict[str, Roof]) -> float | None:
    return roofs[row.machine.label].least_seconds(row)


def _pixels(rows: Sequence[Row]) -> list[float]:
    return [int(r.facts["size"]) for r in rows]  # type: ignore[arg-type]


def _layer_times(rows: list[Row], names: dict[str, str]) -> Plot:
    question = "How long do a convolution and its own matrix take?"
    figure, axes = blank(question)
    forward = [r for r in rows if r.facts["direction"] == "forward"]
    series, told = {}, []
    for label, mine in _grouped(forward, _label):
        for layer, found in _grouped(mine, lambda r: r.figure):
            name = _series(layer, machine=label, names=names)
            series[name] = _pixels(found), boxes(found, 1e3)
            ends = [
                f"{quantity(r.median, 's')} at {r.facts['size']}" for r in (found[0], found[-1])
            ]
            large = [r for r in found if int(r.facts["size"]) >= LARGE]  # type: ignore[arg-type]
            growth = ""
            if len(large) > 2:
                slope, error = exponent(_pixels(large), [r.median for r in large])
                growth = f", growing as size^{slope:.1f} (± {error:.1f}) from {LARGE} on"
            told.append(f"{_on(label, names)}{layer}, {' and '.join(ends)} pixels{growth}")
    curves(axes, series, paired=len(names) > 1)
    axes.set(xlabel="height and width, pixels", ylabel="forward pass of 16 images, ms")
    finish(figure, axes, log="xy")
    return Plot("layers-time", question, _sentences(told), figure)


def _layer_ratios(rows: list[Row], names: dict[str, str]) -> Plot:
    question = "From which image size on does the convolution win over its own matrix?"
    figure, axes = blank(question)
    series, told = {}, []
    for (label, direction), found in _grouped(rows, lambda r: (_label(r), r.facts["direction"])):
        name = _series(str(direction), machine=label, names=names)
        series[name] = _pixels(found), boxes(found)
        told.append(f"{_on(label, names)}{direction}, {_crossing(found)}")
    curves(axes, series, paired=len(names) > 1)
    axes.axhline(1, color="#7d7d7d", linestyle="--", linewidth=1)
    axes.set(xlabel="height and width, pixels", ylabel="time of matrix / convolution")
    finish(figure, axes, log="xy")
    below = "Below the dashed line the matrix is faster."
    return Plot("layers-ratio", question, f"{_sentences(told)} {below}", figure)


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
        _grouped(rows, lambda r: (_label(r), kind(r)))
    ):
        least = np.array([_least(r, roofs) for r in found], float)
        times = np.array([r.median for r in found])
        name = _series(layer, machine=label, names=names)
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
        f"{above} of {len(over)} passes are above the roof, at most {100 * over.max():.0f} %: the machine was busier "
        f"while the roof was measured; measure again"
        if above
        else f"none of {len(over)} passes is above the roof"
    )
    dotted = "Dotted: 10 and 100 times as long."
    return Plot(
        "layers-roof", question, f"{_sentences([verdict, ', '.join(told)])} {dotted} {ROOF}", figure
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
            + (f", on {names[_label(rows[0])]}" if len(names) > 1 else ""),
            columns,
            tuple(cells),
            numbers=frozenset(range(2, 10)),
        )
    )


# --- learning ---


def _standard(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard error."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(np.mean(values)), float(error)


def _learning(rows: list[Row], names: dict[str, str]) -> Blocks:
    facts = rows[0].facts
    maps = [r for r in rows if r.figure.startswith("accuracy everywhere")]
    told = f"Digits: {facts['digits']} {facts['seeds']} seeds each; error bars are standard errors."
    return [
        Prose(told),
        _curve_plot(
            rows,
            names,
            "test accuracy",
            "learning-accuracy",
            "Which network learns most from few images?",
            "accuracy on new centred digits, %",
        ),
        _curve_plot(
            rows,
            names,
            "gap",
            "learning-gap",
            "Which network overfits?",
            "training minus test accuracy, points",
        ),
        *(_placements(found, label, names) for label, found in _grouped(maps, _label)),
    ]


def _curve_plot(
    rows: list[Row], names: dict[str, str], word: str, file: str, question: str, axis: str
) -> Plot:
    figure, axes = blank(question, height=3.9)
    series, ends = {}, {}
    mine = [r for r in rows if r.figure.startswith(f"{word},")]
    for (case, label), found in _grouped(mine, lambda r: (r.case, _label(r))):
        values = [_standard(r.samples) for r in found]
        name = _series(case, machine=label, names=names)
        images = [int(r.facts["images"]) for r in found]  # type: ignore[arg-type]
        series[name] = images, np.array([(m, m - e, m + e) for m, e in values])
        ends[name] = values[0][0], values[-1][0], images
    curves(axes, series)
    axes.set(xlabel="training images", ylabel=axis)
    finish(figure, axes, log="x")
    told = []
    for place in (0, 1):
        order = sorted(ends, key=lambda name, place=place: ends[name][place])
        images = ends[order[0]][2][-place]
        low, high = (f"{ends[name][place]:.0f} ({name})" for name in (order[0], order[-1]))
        told.append(f"with {images:,} images from {low} to {high}")
    return Plot(file, question, _sentences(told), figure)


def _placements(rows: list[Row], label: str, names: dict[str, str]) -> Plot:
    """Two maps a network: trained on centred digits, and below it on digits anywhere."""
    question = "Where on its canvas does a network recognise a digit?"
    by_case = _grouped(rows, lambda r: r.case)
    across = 3
    blocks = -(-len(by_case) // across)
    figure = Figure(figsize=(WIDTH, 1.3 + 3.7 * blocks), layout="constrained")
    title(figure, question)
    axes = figure.subplots(2 * blocks, across, squeeze=False)
    for place in axes.flat:
        place.set_visible(False)
    drawn, told = None, []
    for number, (case, found) in enumerate(by_case):
        row, column = divmod(number, across)
        means = {}
        for r in found:
            placed = bool(r.facts["placed"])
            values = np.array(r.facts["map"])
            means[placed] = values.mean()
            plot = axes[2 * row + placed, column]
            plot.set_visible(True)
            reach = len(values) // 2
            extent = (-reach - 0.5, reach + 0.5, reach + 0.5, -reach - 0.5)
            drawn = plot.imshow(values, vmin=0, vmax=100, cmap="cividis", extent=extent)
            plot.set(xticks=(-reach, 0, reach), yticks=(-reach, 0, reach))
            plot.grid(visible=False)
            trained = "anywhere" if placed else "in the middle"
            plot.set_title(f"{case}\n{trained}: {values.mean():.0f} %", fontsize=9)
        told.append(f"{case}: " + ", then ".join(f"{mean:.0f} %" for mean in means.values()))
    if drawn is not None:
        figure.colorbar(
            drawn, ax=axes, label="accuracy, %", location="bottom", shrink=0.6, aspect=30
        )
    middle = "Mean over all places, trained on digits in the middle, then on digits anywhere"
    name = "placements" if len(names) == 1 else f"placements-{[*names].index(label) + 1}"
    return Plot(name, question, f"{_on(label, names)}{middle}: {'; '.join(told)}.", figure)


# --- ratios: sweeps, verdicts, the field ---


def _ratio_plot(rows: list[Row], names: dict[str, str], file: str, question: str) -> Blocks:
    """All ratios of a part with their aims; nothing without any."""
    ratios = [r for r in rows if r.unit == "ratio"]
    if not ratios:
        return []
    groups = {}
    for (case, figure), found in _grouped(ratios, lambda r: (r.case, r.figure)):
        groups[f"{case}: {figure}"] = {names[_label(r)]: r for r in found}
    aimed = [r for r in ratios if r.aim is not None]
    met = [r for r in aimed if _is_met(r)]
    told = [
        f"{r.case}, {r.figure} {plain_number(r.median)} (aim {plain_number(r.aim or 0)})"
        + (f" on {names[_label(r)]}" if len(names) > 1 else "")
        for r in aimed
    ]
    answer = _sentences([f"{len(met)} of {counted(len(aimed), 'aim')} met: {'; '.join(told)}"])
    drawn = dots(question, groups, label="ratio", line=1)
    return [Plot(file, question, answer if aimed else _range(ratios), drawn)]


def _is_met(row: Row) -> bool:
    """Of a ratio over us, such as that of a loop, more is better; of ours over others', less."""
    more = row.figure.startswith(("loop", "first loop", "brute force"))
    return row.aim is not None and (row.median >= row.aim if more else row.median <= row.aim)


def _range(rows: Sequence[Row]) -> str:
    least, most = (f(rows, key=lambda r: r.median) for f in (min, max))
    ends = (f"{plain_number(r.median)} ({r.case}, {r.figure})" for r in (least, most))
    return f"From {' to '.join(ends)}."


def _sweep(rows: list[Row], names: dict[str, str]) -> Blocks:
    blocks = _ratio_plot(
        rows, names, "sweep-ratios", "What does a sweep cost beside bare forward passes and loops?"
    )
    timed = [r for r in rows if r.figure.startswith("time per shift, chunk")]
    if timed:
        question = "How many shifts should be swept at once?"
        figure, axes = blank(question)
        series, told = {}, []
        for (case, label), found in _grouped(timed, lambda r: (r.case, _label(r))):
            chunks = [float(r.figure.split()[-1]) for r in found]
            name = _series(case, machine=label, names=names)
            series[name] = chunks, boxes(found)
            best = min(found, key=lambda r: r.median)
            told.append(
                f"{name}: {best.figure.split()[-1]} at once, {quantity(best.median, 'us')} a shift"
            )
        curves(axes, series)
        axes.set(xlabel="shifts in one chunk", ylabel="time per shift, µs")
        finish(figure, axes, log="xy")
        blocks.append(Plot("sweep-chunks", question, f"Fastest: {'; '.join(told)}.", figure))
    return blocks


def _verify(rows: list[Row], names: dict[str, str]) -> Blocks:
    against = [r for r in rows if r.unit == "ratio" and r.figure.startswith("brute force")]
    blocks: Blocks = []
    if against:
        question = "How much faster is a verdict than brute force?"
        groups: dict[str, dict[str, Row]] = {}
        for r in against:
            name = r.figure.removeprefix("brute force / ")
            series = _series(name, machine=_label(r), names=names)
            groups.setdefault(r.case, {})[series] = r
        firsts = [r for r in against if r.figure.endswith("first verify")]
        faster = [r for r in firsts if r.median > 1]
        told = f"A first verdict is faster than brute force in {len(faster)} of {counted(len(firsts), 'case')}."
        drawn = dots(question, groups, label="time of brute force / verdict", line=1)
        blocks.append(Plot("verify-ratios", question, f"{told} {_range(against)}", drawn))
    growth = _growth(rows, names)
    return [*blocks, growth] if growth.rows else blocks


def _growth(rows: list[Row], names: dict[str, str]) -> Table:
    """How the analysis grows with depth and grid; no rows where fewer than three points are known."""
    kind = lambda r: r.figure.removeprefix("graph and lattice, ").split()[0]  # noqa: E731
    mine = [r for r in rows if r.case == "analysis"]
    cells = []
    for (label, name), found in _grouped(mine, lambda r: (_label(r), kind(r))):
        sizes = [int(r.figure.split()[-1]) for r in found]
        if len(found) > 2:
            slope, error = exponent(sizes, [r.median for r in found])
            ends = " .. ".join(quantity(r.median, "s") for r in (found[0], found[-1]))
            machine = names[label] if len(names) > 1 else ""
            fit = f"{slope:.2f} ± {error:.2f}"
            cells.append((name, f"{min(sizes)} .. {max(sizes)}", ends, fit, machine))
    columns = ("x", "range", "time", "b", "machine")
    table = Table("Growth of the analysis, time = a x^b", columns, tuple(cells))
    return used_columns(table) if cells else table


def _field(rows: list[Row], names: dict[str, str]) -> Blocks:
    question = "What does exact arithmetic cost beside floats, and its vote in a verdict?"
    return _ratio_plot(rows, names, "field-ratios", question)


# --- families, processes ---


def _zoo(rows: list[Row], names: dict[str, str]) -> Blocks:
    question = "Is a verdict faster than brute force, at 32 pixels?"
    figure, axes = blank(question)
    blocks, told = [], []
    for number, (label, found) in enumerate(_grouped(rows, _label)):
        times = {name: [r.median for r in found if r.figure == name] for name in (FIRST, BRUTE)}
        ratios = [r.median for r in found if r.figure == RATIO]
        axes.plot(
            times[FIRST], times[BRUTE], MARKERS[number], color=COLOURS[number], label=names[label]
        )
        faster = sum(ratio > 1 for ratio in ratios)
        told.append(
            f"{_on(label, names)}in {faster} of {len(ratios)} families; time of brute force over a first verdict: "
            f"{plain_number(min(ratios))} to {plain_number(max(ratios))}, median "
            f"{plain_number(float(np.median(ratios)))}"
        )
        blocks.append(dataclasses.replace(family_table(found), title=names[label]))
    ends = [r.median for r in rows if r.figure in (FIRST, BRUTE)]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], "--", color="#7d7d7d")
    axes.set(xlabel="first verdict, compilation included, s", ylabel="brute force, s")
    finish(figure, axes, log="xy")
    above = "Above the dashed line it is."
    return [Plot("zoo", question, f"{_sentences(told)} {above}", figure), *blocks]


def _scale(rows: list[Row], names: dict[str, str]) -> Blocks:
    rates = [r for r in rows if r.unit == "1/s"]
    question = "How fast do several devices and processes sweep together?"
    groups: dict[str, dict[str, Row]] = {}
    for r in rates:
        groups.setdefault(r.case, {})[names[_label(r)]] = r
    drawn = dots(question, groups, label="shifts per second")
    return [Plot("scale", question, _range(rates), drawn)] if rates else []


PARTS: dict[str, tuple[str, Callable[[list[Row], dict[str, str]], Blocks]]] = {
    "exact": ("What is taken for exact", _exact),
    "layers": ("Convolution against dense, one layer", _layers),
    "learning": ("Convolution against dense, what is learnt", _learning),
    "sweep": ("Sweeps", _sweep),
    "verify": ("Verdicts", _verify),
    "field": ("The field: exact arithmetic", _field),
    "zoo": ("Families of published models", _zoo),
    "scale": ("Several devices and processes", _scale),
}
"""Parts in the order of the page, with their headings."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a row."""
    return json.loads(msgspec.json.encode(msgspec.json.schema(Row)))
