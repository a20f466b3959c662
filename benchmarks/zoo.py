"""The zoo: families of published models, decided, against a sweep of all their shifts.

The families are those of the tests (`tests/families.py`), at 32 pixels along each axis of a line or an image where the
model takes that size, else at the size it was written for. Every figure is that of one family: trace, analysis,
counterexamples, the whole verdict, and brute force, one forward pass a shift. First runs include compilation, which is
what a user waits for.
"""

import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import shiftproof as sp
from benchmarks.harness import Row, Rows, forget_compiled
from shiftproof.errors import ModelCallError, ShiftproofWarning
from shiftproof.report.tables import Table
from shiftproof.terminal import Console
from shiftproof.tracing.model import adapt, trace_model

if TYPE_CHECKING:
    from tests.families import Family

SIZE = 32
QUICK = (
    "resnet, cifar",
    "vgg, circular, global",
    "vit, class token",
    "unet, nnx",
    "automaton by rolls",
)
STAGES = {"trace": "trace", "analysis": "analysis", "witnesses": "counterexamples"}
"""Stages of a verdict that are recorded, and what they are called."""
SLOW = 5
"""Verdicts that take more seconds are repeated once only."""
FIRST, AGAIN, BRUTE, RATIO = (
    "verdict, first run",
    "verdict, compiled",
    "brute force",
    "brute force / first verdict",
)


def run(path: Path, *, repeats: int, quick: bool, until: float) -> None:
    """Measure every family, append the rows to `path`, print a table."""
    rows, console = Rows(path, part="zoo", until=until, quick=quick), Console()
    families = [family for family in all_families() if not quick or family.name in QUICK]
    for number, family in enumerate(rows.in_time(families), 1):
        console.print(f"{number}/{len(families)} {family.name} ...", highlight=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftproofWarning)
            _measure(rows, family, repeats)
    console.print(family_table(rows.rows))
    console.print(f"{len(rows.rows)} rows in {path}", highlight=False)


def all_families() -> "Sequence[Family]":
    """The families of the tests; they hold arrays, so they are made after the device is chosen."""
    from tests.families import FAMILIES

    return FAMILIES


def _measure(rows: Rows, family: "Family", repeats: int) -> None:
    model = family.build()
    shape = shape_of(family, model)
    forget_compiled()
    begin = time.perf_counter()
    verdict = sp.verify(model, shape, name=family.name, **family.options)
    first = time.perf_counter() - begin
    decided = [found for output in verdict.outputs for found in output.properties]
    facts = {
        "shape": list(shape),
        "shifts": int(np.prod(verdict.grid)),
        "questions": len(decided),
        "proved": sum(found.proved for found in decided),
        "refuted": sum(found.refuted for found in decided),
        "undecided": sum(found.undecided for found in decided),
    }
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    again = []
    for _ in range(repeats if first < SLOW else 1):
        begin = time.perf_counter()
        verdict = sp.verify(model, shape, name=family.name, **family.options)
        again.append(time.perf_counter() - begin)
        for stage, samples in stages.items():
            samples.append(verdict.seconds[stage])
    for stage, samples in stages.items():
        rows.add(family.name, STAGES[stage], samples, unit="s", **facts)
    rows.add(family.name, FIRST, [first], unit="s", **facts)
    rows.add(family.name, AGAIN, again, unit="s", **facts)
    image = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    forget_compiled()
    begin = time.perf_counter()
    sp.sweep(model, image, dtype="float32", layers=[], **family.options)
    brute = time.perf_counter() - begin
    rows.add(family.name, BRUTE, [brute], unit="s", **facts)
    rows.add(family.name, RATIO, [brute / first], unit="ratio", **facts)


def shape_of(family: "Family", model: object) -> tuple[int, ...]:
    """The shape of one image at `SIZE` along each grid axis, where the model takes it and has no more than two."""
    axes = family.options.get("spatial_axes", range(len(family.shape) - 1))
    wide = tuple(SIZE if axis in axes else n for axis, n in enumerate(family.shape))
    if len(axes) > 2:
        return family.shape
    try:
        adapted = adapt(model, apply_kwargs=family.options.get("apply_kwargs"))
        trace_model(adapted, adapted.cast("float32"), np.zeros((1, *wide), np.float32))
    except ModelCallError:
        return family.shape
    return wide


def family_table(rows: Iterable[Row]) -> Table:
    """One line a family: its grid, the words for all its questions, and seconds."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.case, {})[row.figure] = row
    columns = (
        "family",
        "image",
        "proved",
        "refuted",
        "open",
        *STAGES.values(),
        "first",
        "brute",
        "ratio",
    )
    cells = tuple(_line(case, figures) for case, figures in found.items())
    ratios = [figures[RATIO].median for figures in found.values()]
    return Table(
        "Families, seconds",
        columns,
        cells,
        numbers=frozenset(range(2, len(columns))),
        flexible=frozenset({0}),
        note=f"first: the whole verdict, compilation included; brute: all shifts in one sweep, the same. Median ratio "
        f"{np.median(ratios):.2g}. proved, refuted, open: of all outputs and properties." if ratios else "",
        optional=(5, 6, 7),
    )  # fmt: skip


def _line(case: str, figures: dict[str, Row]) -> tuple[str, ...]:
    facts = figures[FIRST].facts
    shape: Sequence = facts["shape"]  # type: ignore[assignment]
    names = (*STAGES.values(), FIRST, BRUTE)
    return (
        case,
        "x".join(map(str, shape)),
        *(str(facts[word]) for word in ("proved", "refuted", "undecided")),
        *(f"{figures[name].median:.2g}" for name in names),
        f"{figures[RATIO].median:.2g}",
    )
