"""A report of recorded rows: one page, and every figure as SVG and PNG, for one machine or several side by side.

    rows -> by part: plots and tables -> report.html, NAME.svg, NAME.png
    rows of part atlas -> atlas.html, to which the report leads

Every figure asks a question and answers it with numbers of the rows. A part without rows is named at the end, with the
command that measures it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import msgspec
import numpy as np
from matplotlib.figure import Figure

from benchmarks import atlas_page
from benchmarks.harness import (
    Row,
    figure_table,
    machine_box,
    plain_number,
    quantity,
    read_rows,
    spread,
    used_columns,
)
from benchmarks.layer_plots import draw_layers
from benchmarks.layers import exponent
from benchmarks.plots import (
    COLOURS,
    MARKERS,
    STYLE,
    WIDTH,
    Blocks,
    Plot,
    blank,
    boxes,
    curves,
    dots,
    finish,
    grouped,
    label_of,
    on_machine,
    sentences,
    series_name,
    title,
)
from benchmarks.zoo import BRUTE, FIRST, RATIO, family_table
from shiftproof.files import write_atomic
from shiftproof.report.html import (
    Block,
    Commands,
    Folded,
    Picture,
    Prose,
    Reference,
    Section,
    write_report,
)
from shiftproof.report.maps import to_png
from shiftproof.report.tables import Table, counted

QUICK = (
    "small cases only. They show that everything runs, and say nothing of larger ones. To cite figures, run "
    "python -m benchmarks without --quick."
)


def write(files: Sequence[Path], out: Path) -> list[Path]:
    """Write `report.html` and the figures of some files of rows, and `atlas.html` where they hold rows of the atlas.

    Raises:
        ValueError: there is no file, or one holds something else than rows.
        OSError: a file is missing, or the folder cannot be written.
    """
    read = [row for path in files for row in read_rows(path)]
    rows = _pooled(read)
    if not rows:
        raise ValueError("there are no rows to report: give files that python -m benchmarks wrote.")
    names = _names(rows)
    sections, plots = [], []
    with matplotlib.rc_context(STYLE):
        for part, (heading, draw) in PARTS.items():
            if found := [row for row in rows if row.part == part]:
                mine = {label: names[label] for label, _ in grouped(found, label_of)}
                blocks = draw(found, mine)
                if len(mine) < len(names):
                    blocks.insert(0, Prose(f"Measured on {'; '.join(mine.values())}."))
                plots += [block for block in blocks if isinstance(block, Plot)]
                if part != ATLAS:  # whose page shows them all
                    folded = figure_table("", found, machines=len(names) > 1)
                    blocks.append(Folded("All figures", (folded,)))
                sections.append((heading, blocks))
        pngs = {plot.name: to_png(plot.figure) for plot in plots}
    machines = {
        names[label]: [row.machine for row in found] for label, found in grouped(read, label_of)
    }
    made = [Section("The machines", (machine_box(machines),))]
    made += [Section(h, tuple(_block(b, pngs) for b in blocks)) for h, blocks in sections]
    measured = {row.part for row in rows} | {ATLAS}  # which takes hours, and is asked for by name
    if missing := [part for part in PARTS if part not in measured]:
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
    if mine := [row for row in read if row.part == ATLAS]:
        written.append(atlas_page.write(mine, out / ATLAS_PAGE))
    for plot in plots:
        for suffix, content in (("svg", plot.svg()), ("png", pngs[plot.name])):
            written.append(out / f"{plot.name}.{suffix}")
            write_atomic(written[-1], content)
    return written


def _pooled(rows: Sequence[Row]) -> list[Row]:
    """One row a figure and machine: runs that were appended to one file are taken together.

    Learning is the last one alone: it repeats from its seeds, so that a second run adds nothing.
    """
    pooled = []
    for _, found in grouped(rows, lambda r: (r.part, r.case, r.figure, label_of(r))):
        last = found[-1]
        samples = [sample for row in found for sample in row.samples]
        if len(found) > 1 and last.part != "learning":
            middle, low, high = spread(samples)
            last = msgspec.structs.replace(
                last, samples=samples, median=middle, quartile_low=low, quartile_high=high
            )
        pooled.append(last)
    return pooled


def _block(block: Block | Plot, pngs: dict[str, bytes]) -> Block:
    if not isinstance(block, Plot):
        return block
    return Picture(pngs[block.name], block.question, block.answer, wide=False)


def _names(rows: Sequence[Row]) -> dict[str, str]:
    """A short name of each machine, by its label; the label itself where two would be called the same."""
    kinds = {row.machine.label: row.machine.kind for row in rows}
    names = list(kinds.values())
    return {label: kind if names.count(kind) == 1 else label for label, kind in kinds.items()}


# --- exact ---


def _exact(rows: list[Row], names: dict[str, str]) -> Blocks:
    off = [f"{row.case}, {row.figure}: {plain_number(row.median)}" for row in rows if row.median]
    told = (
        f"{len(rows)} checks of what is taken for exact: {len(rows) - len(off)} found nothing off."
    )
    return [Prose(" ".join([told, *(f"Off: {line}." for line in off)]))]


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
        *_curve_plot(
            rows,
            names,
            "test accuracy",
            "learning-accuracy",
            "Which network learns most from few images?",
            "accuracy on new centred digits, %",
        ),
        *_curve_plot(
            rows,
            names,
            "gap",
            "learning-gap",
            "Which network overfits?",
            "training minus test accuracy, points",
        ),
        *(_placements(found, label, names) for label, found in grouped(maps, label_of)),
    ]


def _curve_plot(
    rows: list[Row], names: dict[str, str], word: str, file: str, question: str, axis: str
) -> Blocks:
    mine = [r for r in rows if r.figure.startswith(f"{word},")]
    if not mine:
        return []
    figure, axes = blank(question)
    series, ends = {}, {}
    for (case, label), found in grouped(mine, lambda r: (r.case, label_of(r))):
        values = [_standard(r.samples) for r in found]
        name = series_name(case, machine=label, names=names)
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
    return [Plot(file, question, sentences(told), figure)]


def _placements(rows: list[Row], label: str, names: dict[str, str]) -> Plot:
    """Two maps a network: trained on centred digits, and below it on digits anywhere."""
    question = "Where on its canvas does a network recognise a digit?"
    by_case = grouped(rows, lambda r: r.case)
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
    return Plot(name, question, f"{on_machine(label, names)}{middle}: {'; '.join(told)}.", figure)


# --- ratios: sweeps, verdicts, the field ---


def _ratio_plot(rows: list[Row], names: dict[str, str], file: str, question: str) -> Blocks:
    """All ratios of a part with their aims; nothing without any."""
    ratios = [r for r in rows if r.unit == "ratio"]
    if not ratios:
        return []
    groups = {}
    for (case, figure), found in grouped(ratios, lambda r: (r.case, r.figure)):
        groups[f"{case}: {figure}"] = {names[label_of(r)]: r for r in found}
    aimed = [r for r in ratios if r.aim is not None]
    met = [r for r in aimed if _is_met(r)]
    told = [
        f"{r.case}, {r.figure} {plain_number(r.median)} (aim {plain_number(r.aim or 0)})"
        + (f" on {names[label_of(r)]}" if len(names) > 1 else "")
        for r in aimed
    ]
    answer = sentences([f"{len(met)} of {counted(len(aimed), 'aim')} met: {'; '.join(told)}"])
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
        for (case, label), found in grouped(timed, lambda r: (r.case, label_of(r))):
            chunks = [float(r.figure.split()[-1]) for r in found]
            name = series_name(case, machine=label, names=names)
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
            series = series_name(name, machine=label_of(r), names=names)
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
    for (label, name), found in grouped(mine, lambda r: (label_of(r), kind(r))):
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


def _command(rows: list[Row], names: dict[str, str]) -> Blocks:
    question = "How long does the command take, beside a process that only imports Flax?"
    return _ratio_plot(rows, names, "command", question)


def _field(rows: list[Row], names: dict[str, str]) -> Blocks:
    question = "What does exact arithmetic cost beside floats, and its vote in a verdict?"
    return _ratio_plot(rows, names, "field-ratios", question)


# --- families, processes ---


def _zoo(rows: list[Row], names: dict[str, str]) -> Blocks:
    whole = {
        r.case for r in rows if r.figure == RATIO
    }  # an interrupted run leaves a part of a family
    rows = [r for r in rows if r.case in whole]
    if not rows:
        return []
    question = "Is a verdict faster than brute force, at 32 pixels?"
    figure, axes = blank(question)
    blocks, told = [], []
    for number, (label, found) in enumerate(grouped(rows, label_of)):
        times = {name: [r.median for r in found if r.figure == name] for name in (FIRST, BRUTE)}
        ratios = [r.median for r in found if r.figure == RATIO]
        axes.plot(
            times[FIRST], times[BRUTE], MARKERS[number], color=COLOURS[number], label=names[label]
        )
        faster = sum(ratio > 1 for ratio in ratios)
        told.append(
            f"{on_machine(label, names)}in {faster} of {len(ratios)} families; brute force over a first verdict: "
            f"{plain_number(min(ratios))} to {plain_number(max(ratios))}, median "
            f"{plain_number(float(np.median(ratios)))}"
        )
        blocks.append(dataclasses.replace(family_table(found), title=names[label]))
    ends = [r.median for r in rows if r.figure in (FIRST, BRUTE)]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], "--", color="#7d7d7d")
    axes.set(xlabel="first verdict, compilation included, s", ylabel="brute force, s")
    finish(figure, axes, log="xy")
    above = "Above the dashed line it is."
    return [Plot("zoo", question, f"{sentences(told)} {above}", figure), *blocks]


def _scale(rows: list[Row], names: dict[str, str]) -> Blocks:
    rates = [r for r in rows if r.unit == "1/s"]
    question = "How fast do several devices and processes sweep together?"
    groups: dict[str, dict[str, Row]] = {}
    for r in rates:
        groups.setdefault(r.case, {})[names[label_of(r)]] = r
    drawn = dots(question, groups, label="shifts per second")
    return [Plot("scale", question, _range(rates), drawn)] if rates else []


# --- published architectures ---

ATLAS, ATLAS_PAGE = "atlas", "atlas.html"


def _atlas(rows: list[Row], names: dict[str, str]) -> Blocks:
    return [
        Prose(" ".join(atlas_page.summary_of(rows))),
        Reference("All findings, and a table of all architectures:", ATLAS_PAGE, ATLAS_PAGE),
    ]


PARTS: dict[str, tuple[str, Callable[[list[Row], dict[str, str]], Blocks]]] = {
    "exact": ("What is taken for exact", _exact),
    "layers": ("Convolution against dense, one layer", draw_layers),
    "learning": ("Convolution against dense, what is learnt", _learning),
    "sweep": ("Sweeps", _sweep),
    "verify": ("Verdicts", _verify),
    "command": ("The command line", _command),
    "field": ("The field: exact arithmetic", _field),
    "zoo": ("Families of published models", _zoo),
    "scale": ("Several devices and processes", _scale),
    ATLAS: ("The atlas of published architectures", _atlas),
}
"""Parts in the order of the page, with their headings."""
