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
from shiftproof.demo.opening import answer, break_map_section, figure_one, position_section
from shiftproof.demo.sweeps import Swept, moved_sentence, placed_sentence, proved_sentence
from shiftproof.demo.train import GRAIN, Stage
from shiftproof.report.html import Folded, Picture, Prose, Section
from shiftproof.report.maps import compare_maps, label_maps, layer_maps, to_png
from shiftproof.report.pages import explorer, provenance_blocks, reading_guide
from shiftproof.report.tables import Table, compare_table, labels_text

# --- tables and figures ---


def make_tables(swept: Mapping[str, Swept]) -> dict[str, Table]:
    """Verdicts, architectures, one image, accuracy; each row fits one line of 80 columns."""
    total = next(iter(swept.values())).architecture.count("invariance").total
    return {
        "verdict": _verdict_table(swept),
        "architecture": compare_table(
            {name: one.architecture for name, one in swept.items()},
            title=f"The architectures, with integer weights: equal shifts of {total}",
        ),
        "digit": compare_table(
            {name: one.digit for name, one in swept.items()},
            title=f"The trained networks on one image: equal shifts of {total}",
        ),
        "accuracy": _accuracy_table(swept),
    }


def _verdict_table(swept: Mapping[str, Swept]) -> Table:
    found = {name: one.verdict for name, one in swept.items()}
    rows = tuple(
        (
            name,
            f"{verdict.invariance.proved}/{verdict.invariance.total}",
            verdict.invariance.refuted_text,
            str(verdict.invariance.lattice),
            _first_break(verdict),
        )
        for name, verdict in found.items()
    )
    undecided = sum(verdict.invariance.undecided for verdict in found.values())
    left = f" {undecided} shifts are undecided." if undecided else " No shift is undecided."
    return Table(
        "Shifts that keep the class scores",
        ("network", "proved", "refuted", "lattice", "first cause"),
        rows,
        numbers=frozenset({1, 2}),
        flexible=frozenset({0, 4}),
        note="proved: for all images and weights. refuted: by counterexamples with some weights; few decide all "
        f"shifts, since those that keep a property form a group. 4Z × 4Z: every 4th shift in both directions.{left}",
        optional=(4,),
    )


def _first_break(verdict: Verdict) -> str:
    """The first layer at which the lattice shrinks, and why."""
    if not verdict.causes:
        return "none: nothing is lost"
    cause = verdict.causes[0]
    return f"{cause.layer}: {cause.words}"


def _accuracy_table(swept: Mapping[str, Swept]) -> Table:
    first = next(iter(swept.values())).placed
    return Table(
        "Accuracy on centred images; labels kept over placements",
        ("network", "parameters", "trained", "rounded", "labels kept"),
        tuple(map(_accuracy_row, swept.values())),
        numbers=frozenset({1, 2, 3, 4}),
        flexible=frozenset({0}),
        note=f"rounded: weights rounded to multiples of 1/{GRAIN}, as swept. labels kept: share of "
        f"{first.header.images} images × {first.count('invariance').total} placements whose label is that of the "
        "centred image, right or wrong.",
    )


def _accuracy_row(swept: Swept) -> tuple[str, ...]:
    network = swept.network
    return (
        network.variant.name,
        f"{network.parameters:,}",
        f"{100 * network.trained:.1f} %",
        f"{100 * network.rounded:.1f} %",
        labels_text(swept.placed, -1),
    )


def make_figures(swept: Mapping[str, Swept], picture: np.ndarray) -> dict[str, bytes]:
    """File name without suffix -> PNG, of all figures but the maps."""
    figures = figure_one(swept, picture) | {
        "scores": compare_maps({name: one.digit for name, one in swept.items()}, columns=3),
        "labels": label_maps({name: one.placed for name, one in swept.items()}, columns=3),
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
) -> list[Section]:
    """The report, in order: each section a question, its answer and the reason."""
    return [
        break_map_section(swept),
        position_section(results, figures, swept),
        Section(
            "Which networks keep their class scores, whatever the image?",
            (
                answer(
                    proved_sentence(swept),
                    "Three things lose shifts: zero padding shows where the border is, a stride above 1 skips places, "
                    "and a dense layer reads every position by its own weights. What has none of the three keeps all.",
                ),
                tables["verdict"],
                Folded(
                    "Layer by layer", (tables["architecture"], Prose(_architecture_words(swept)))
                ),
            ),
        ),
        Section(
            "Does a trained network keep its label, wherever the digit is?",
            (
                answer(
                    placed_sentence(swept),
                    "Training showed digits in the middle only. What was learnt there holds at other places as far as "
                    "the architecture keeps shifts; beyond that nothing makes it hold.",
                ),
                tables["accuracy"],
                _labels_picture(figures, swept),
                Folded("How they were trained", _training_words(results)),
            ),
        ),
        Section(
            "How far do the scores of one image move?",
            (
                answer(
                    moved_sentence(swept),
                    "A shift that the architecture keeps changes nothing. All others may change the scores, and the "
                    "maps show by how much they do for this image.",
                ),
                _scores_picture(figures),
                Folded("Layer by layer", (tables["digit"], Prose(_digit_words(results)))),
            ),
        ),
        Section("Every layer of every network", _explorers(swept)),
        Section(
            "How this was made",
            (Folded("How to read a map", reading_guide()), _provenance(swept)),
        ),
    ]


def _explorers(swept: Mapping[str, Swept]) -> tuple[Any, ...]:
    guide = "Open a network, choose a layer, and point at a shift."
    maps = (Folded(name, (explorer(one.digit),)) for name, one in swept.items())
    return (Prose(guide), *maps)


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


def _digit_words(results: Mapping[str, Any]) -> str:
    checks = [network["agreement"] for network in results["networks"]]
    layers = sum(len(check["layers"]) for check in checks)
    broken = sum(len(check["contradicted"]) for check in checks)
    same = sum(len(check["identical"]) for check in checks)
    return (
        f"Against the architectures: {layers} layers are exact in both sweeps. In {layers - broken} of them every "
        f"shift that the architecture keeps is kept here too; in {same} of them the very same shifts are. In the "
        "others this one image passes more shifts than the architecture can promise, such as a digit far enough from a "
        "zero padded border."
    )


def _scores_picture(figures: Mapping[str, bytes]) -> Picture:
    caption = "Class scores: which shifts leave them as they are, and how far the others move them."
    return Picture(figures["scores"], caption, caption)


def _labels_picture(figures: Mapping[str, bytes], swept: Mapping[str, Swept]) -> Picture:
    images = next(iter(swept.values())).placed.header.images
    caption = (
        f"Share of {images} test images that keep the label of the centred image, place by place."
    )
    return Picture(figures["labels"], caption, caption)


def _provenance(swept: Mapping[str, Swept]) -> Folded:
    """Settings and versions of all sweeps."""
    each = tuple(
        Folded(f"{name}, {which}", provenance_blocks(result))
        for name, one in swept.items()
        for which, result in (("integers", one.architecture), ("one image", one.digit))
    )
    return Folded("Settings and versions", each)


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
