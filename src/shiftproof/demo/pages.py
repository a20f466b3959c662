"""The pages of the demo: figures, tables, the sections of the report, and the terminal."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shiftproof.deciding.verdict import Verdict
from shiftproof.demo.opening import HEADINGS, break_map_section, figure_one, position_section
from shiftproof.demo.sweeps import Swept, all_placed
from shiftproof.demo.train import GRAIN, Stage
from shiftproof.report.html import Folded, Picture, Prose, Section
from shiftproof.report.maps import compare_maps, label_maps, layer_maps, to_png
from shiftproof.report.pages import explorer, maps_picture, provenance_blocks, reading_guide
from shiftproof.report.tables import Table, compare_table, labels_text

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
        "figure1": figure_one(swept, picture),
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


# --- the report ---


def make_sections(
    results: Mapping[str, Any],
    tables: Mapping[str, Table],
    figures: Mapping[str, bytes],
    swept: Mapping[str, Swept],
    *,
    picture: np.ndarray,
) -> list[Section]:
    """The report, in order."""
    return [
        break_map_section(swept),
        position_section(results, figures["figure1"], swept, picture),
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
