"""The pages of the demo: figures, tables, the sections of the report, and the terminal."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shiftproof.deciding.verdict import Verdict
from shiftproof.demo.sweeps import Swept, all_placed, pictured
from shiftproof.demo.train import GRAIN, Network, Stage, Variant
from shiftproof.proving.layers import find_layers
from shiftproof.report import (
    Folded,
    Picture,
    Prose,
    Section,
    Strip,
    Table,
    activation_figure,
    compare_maps,
    compare_table,
    label_maps,
    layer_maps,
    to_png,
)
from shiftproof.report.pages import explorer, maps_picture, provenance_blocks, reading_guide
from shiftproof.report.tables import labels_text, question_of
from shiftproof.sweeping.checks import read_values
from shiftproof.sweeping.result import Status, Sweep
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import fixed_values
from shiftproof.training import scores

SHIFTS = ((0, 0), (0, 1), (4, 4))
"""The three positions of Figure 1: at rest, off every stride, on every stride."""
SCORED = (
    Variant("CIRCULAR", 2),
    Variant("CIRCULAR", 2, "global"),
    Variant("CIRCULAR", 1, "global"),
    Variant(None),
)
"""The networks whose scores Figure 1 shows."""
HEADINGS = {
    "convolutions.0": "conv1",
    "max_pool": "pool1",
    "convolutions.1": "conv2",
    "max_pool_2": "pool2",
    "reshape": "flat",
}


# --- tables and figures ---


def make_tables(swept: Mapping[str, Swept]) -> dict[str, Table]:
    """Verdicts, architectures, one image, accuracy; each row fits one line of 80 columns."""
    total = next(iter(swept.values())).architecture.count("invariance").total
    named = {one.network.variant.short: one for one in swept.values()}
    return {
        "verdict": _verdict_table(swept),
        "architecture": compare_table(
            {name: one.architecture for name, one in named.items()},
            title=f"The architectures (/2: pool stride 2): equal shifts of {total}, integer weights",
            headings=HEADINGS,
        ),
        "digit": compare_table(
            {name: one.digit for name, one in named.items()},
            title=f"The trained networks on one image: equal shifts of {total}",
            headings=HEADINGS,
        ),
        "accuracy": _accuracy_table(swept),
    }


def _verdict_table(swept: Mapping[str, Swept]) -> Table:
    found = {one.network.variant.short: one.verdict for one in swept.values()}
    rows = tuple(
        (
            name,
            f"{verdict.invariance.proved}/{verdict.invariance.total}",
            verdict.invariance.refuted_text,
            str(verdict.invariance.undecided),
            str(verdict.invariance.lattice),
            _first_break(verdict),
        )
        for name, verdict in found.items()
    )
    return Table(
        "Invariance of the class scores, every shift decided",
        ("network", "proved", "refuted", "undecided", "lattice", "breaks first at"),
        rows,
        numbers=frozenset({1, 2, 3}),
        flexible=frozenset({0, 5}),
        note="proved: for all inputs and weights. refuted: by counterexamples with some weights; few decide all "
        "shifts, since those that keep a property form a group.",
        optional=(5,),
    )


def _first_break(verdict: Verdict) -> str:
    """The first layer at which the lattice shrinks, and its line."""
    if not verdict.causes:
        return "-"
    cause = verdict.causes[0]
    return f"{cause.layer} ({cause.source})" if cause.source else cause.layer


def _accuracy_table(swept: Mapping[str, Swept]) -> Table:
    first = next(iter(all_placed(swept).values()))
    return Table(
        "Accuracy on centred images; labels kept over placements",
        ("network", "parameters", "trained", "rounded", "labels kept"),
        tuple(map(_accuracy_row, swept.values())),
        numbers=frozenset({1, 2, 3, 4}),
        flexible=frozenset({0}),
        note=f"/2, /1: stride of the pools. rounded: weights rounded to multiples of 1/{GRAIN}, as "
        f"swept. labels kept: share of {first.header.images} images × "
        f"{first.count('invariance').total} placements whose label is that of the centred image, "
        "right or wrong; - not measured.",
    )


def _accuracy_row(swept: Swept) -> tuple[str, ...]:
    network = swept.network
    return (
        network.variant.short,
        f"{network.parameters:,}",
        f"{100 * network.trained:.1f} %",
        f"{100 * network.rounded:.1f} %",
        labels_text(swept.placed, -1) if swept.placed else "-",
    )


def make_figures(swept: Mapping[str, Swept], picture: np.ndarray) -> dict[str, bytes]:
    """File name without suffix -> PNG, of all figures but the maps."""
    figures = {
        "figure1": _figure_one(swept, picture),
        "scores": compare_maps({name: one.digit for name, one in swept.items()}),
        "labels": label_maps(all_placed(swept)),
    }
    return {name: to_png(figure) for name, figure in figures.items()}


def maps_name(network: str) -> str:
    """File name without suffix, such as `maps-circular-stride-2-global`."""
    return f"maps-{network.lower().replace(' ', '-')}"


def draw_maps(swept: Swept) -> bytes:
    """All layers of one network on the one image, as PNG."""
    return to_png(layer_maps(swept.digit))


def _figure_one(swept: Mapping[str, Swept], picture: np.ndarray) -> Figure:
    """The image at three positions: the layers of one CNN, and the scores of a few networks."""
    images = np.concatenate([np.roll(picture, shift, (1, 2)) for shift in SHIFTS])
    strips = [Strip("input", tuple(images[..., 0]), ("",) * len(SHIFTS), (None,) * len(SHIFTS))]
    shown = pictured(swept)
    strips += _layer_strips(shown.network, shown.digit, images)
    strips += [
        _score_strip(swept[variant.name].network, swept[variant.name].digit, images)
        for variant in SCORED
        if variant.name in swept
    ]
    return activation_figure(strips, shifts=SHIFTS)


def _layer_strips(network: Network, result: Sweep, images: np.ndarray) -> list[Strip]:
    """For each layer with a grid the channel that is most active at rest."""
    adapted = adapt(network.model)
    weights = adapted.cast("float32")
    program = trace_model(adapted, weights, images)
    layers = [layer for layer in find_layers(program, (1, 2)) if layer.has_grid]
    fixed = fixed_values(program, weights)
    values = read_values(program, [x.value for x in layers], fixed=fixed, images=images)
    strips = []
    for layer, value in zip(layers, values, strict=True):
        channel = int(value[0].sum(axis=(0, 1)).argmax())
        notes, equal = _notes(result, layer.name, alike="moved copy")
        title = HEADINGS.get(layer.name, layer.name)
        strips.append(Strip(title, tuple(value[..., channel]), notes, equal))
    return strips


def _score_strip(network: Network, result: Sweep, images: np.ndarray) -> Strip:
    notes, equal = _notes(result, result.outputs[-1], alike="same scores")
    title = network.variant.name.replace(" ", "\n", 1)
    return Strip(title, tuple(scores(network.model, images)), notes, equal)


def _notes(
    result: Sweep, layer: str, *, alike: str
) -> tuple[tuple[str, ...], tuple[bool | None, ...]]:
    """What the sweep says of each of the three shifts."""
    record = result.layers[result.index(layer)]
    asked = question_of(record)
    status, deviation = result.status(asked, layer), getattr(result, asked)[result.index(layer)]
    mark = "=" if record.exact else "≈"
    notes: list[str] = [""]
    equal: list[bool | None] = [None]
    for shift in SHIFTS[1:]:
        at = result.at(shift)
        equal.append(bool(status[at] == Status.EQUAL))
        notes.append(f"{mark} {alike}" if equal[-1] else f"differs by {deviation[at]:.2g}")
    return tuple(notes), tuple(equal)


# --- the report ---


def make_sections(
    results: Mapping[str, Any],
    tables: Mapping[str, Table],
    figures: Mapping[str, bytes],
    swept: Mapping[str, Swept],
) -> list[Section]:
    """The report, in order."""
    return [
        _position_section(results, figures),
        Section("Every shift decided", (tables["verdict"],)),
        Section(
            "Every shift, exactly", (tables["architecture"], Prose(_architecture_words(swept)))
        ),
        Section("The trained networks", (tables["accuracy"], *_training_words(results))),
        Section("One real image, every shift", (tables["digit"], *_digit_blocks(results, figures))),
        Section("Real images at every place", (_labels_picture(figures, swept),)),
        Section(
            "Every layer of every network",
            tuple(
                block
                for name, one in swept.items()
                for block in (
                    maps_picture(one.digit, figures[maps_name(name)]),
                    Folded(f"{name}: every shift of every layer", (explorer(one.digit),)),
                )
            ),
        ),
        Section("How to read a map", reading_guide()),
        Section("Provenance", _provenance(swept)),
    ]


def _position_section(results: Mapping[str, Any], figures: Mapping[str, bytes]) -> Section:
    positions = ", ".join(map(str, SHIFTS))
    caption = (
        f"One image at the shifts {positions}: for each layer with a grid of the network "
        f"{results['layers_of']} its most active channel, then the class scores (softmax). Blue "
        "notes: a moved copy, or the same scores; red ones: the largest deviation."
    )
    picture = Picture(figures["figure1"], f"One image at the shifts {positions}", caption)
    return Section("One image at three positions", (picture, Prose(results["pictured"])))


def _architecture_words(swept: Mapping[str, Swept]) -> str:
    first = next(iter(swept.values())).architecture
    layers = [layer for one in swept.values() for layer in one.architecture.layers]
    exact = sum(layer.exact for layer in layers)
    return (
        f"{first.header.images} integer images and integer weights; {exact} of {len(layers)} "
        "layers are exact, so that equal means equal in every bit and a difference is a "
        "counterexample for the architecture."
    )


def _training_words(results: Mapping[str, Any]) -> tuple[Prose, ...]:
    return (
        Prose(results["images"]),
        Prose(
            "Within one padding all CNNs share convolutions: the network of stride 2 that flattens "
            "is trained whole, the others borrow its convolutions and train their heads only. A "
            "global head sees the means of a few channels and no positions, so it is less accurate "
            "here."
        ),
        Prose(
            f"After training all weights were rounded to multiples of 1/{GRAIN}. Sums and products "
            "of such numbers are exact in float64, so a trained network can be compared by ==, up "
            "to the first division by a number that is no power of two."
        ),
    )


def _digit_blocks(results: Mapping[str, Any], figures: Mapping[str, bytes]) -> tuple[Any, ...]:
    caption = (
        "Class scores of each network: which shifts leave them unchanged, and how far the others "
        "move them."
    )
    checks = [network["agreement"] for network in results["networks"]]
    layers = sum(len(check["layers"]) for check in checks)
    broken = sum(len(check["contradicted"]) for check in checks)
    same = sum(len(check["identical"]) for check in checks)
    return (
        Prose(
            f"Against the architectures: {layers} layers are exact in both sweeps. In "
            f"{layers - broken} of them every shift that the architecture keeps is kept here too; "
            f"in {same} of them the very same shifts are. In the others this one image passes more "
            "shifts than the architecture can promise, such as a digit far enough from a zero "
            "padded border."
        ),
        Picture(figures["scores"], caption, caption),
    )


def _labels_picture(figures: Mapping[str, bytes], swept: Mapping[str, Swept]) -> Picture:
    placed = all_placed(swept)
    caption = (
        f"Share of {next(iter(placed.values())).header.images} test images that keep the label of "
        "the centred image, for every placement that keeps them inside the frame (zero "
        f"background); measured for {len(placed)} of {len(swept)} networks."
    )
    return Picture(figures["labels"], caption, caption)


def _provenance(swept: Mapping[str, Swept]) -> tuple[Folded, ...]:
    return tuple(
        Folded(f"{name}, {which}", provenance_blocks(result))
        for name, one in swept.items()
        for which, result in (("integers", one.architecture), ("one image", one.digit))
    )


# --- the terminal ---


@contextlib.contextmanager
def show_stages(console: Console, total: int) -> Iterator[Stage]:
    """A callback for each finished stage: a bar on a terminal, a plain line elsewhere."""
    begin = time.monotonic()
    if console.is_terminal:
        columns = (BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("training", total=total)
            yield lambda text: bar.update(task, advance=1, description=text)
        return
    done = itertools.count(1)

    def line(text: str) -> None:
        seconds = time.monotonic() - begin
        console.print(
            f"[{next(done)}/{total}] {seconds:.0f} s  {text}", markup=False, highlight=False
        )

    yield line


def print_findings(
    console: Console, tables: Mapping[str, Table], *, summary: str, path: Path
) -> None:
    """The tables and the summary of the report, and where it lies."""
    for table in tables.values():
        console.print(table)
        console.print()
    console.print(summary, markup=False, highlight=False)
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
