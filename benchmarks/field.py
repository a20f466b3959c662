"""The field: what exact arithmetic costs beside a forward pass, and what its vote adds to a verdict.

The aims, each a ratio within one run: one evaluation on as many tracks as an error below 2^-100 needs, against one
forward pass in float64 of the same batch, 12 for a LeNet at 28 pixels and 8 for a ResNet-18 at 224; all 784 shifts of
the LeNet, every layer compared, compilation included, in 20 s; the vote at most half of what a verdict takes without.
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

import shiftproof as sp
from benchmarks.harness import Rows, forget_compiled, interleaved
from shiftproof import zoo
from shiftproof.deciding.subject import Subject
from shiftproof.deciding.verify import analyse
from shiftproof.proving.runs import SCREEN, Question, Runs
from shiftproof.terminal import Console
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import evaluate, fixed_values


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and how many shifts one call runs."""

    name: str
    build: Callable[[], nnx.Module]
    shape: tuple[int, ...]
    batch: int
    aim: float
    exhaustive: bool = False


CASES = (
    Case("lenet-28", zoo.ENTRIES["lenet-global"].build, (28, 28, 1), 16, 12, exhaustive=True),
    Case("resnet18-224", zoo.ENTRIES["resnet18"].build, (224, 224, 3), 1, 8),
)
QUICK = ("lenet-28",)


def run(path: Path, *, repeats: int, quick: bool, until: float) -> None:
    """Measure every case, append the rows to `path`, print a table."""
    rows, console = Rows(path, part="field", until=until, quick=quick), Console()
    for case in rows.in_time(case for case in CASES if not quick or case.name in QUICK):
        console.print(f"{case.name} ...")
        model = case.build()
        _evaluation(rows, case, model, repeats)
        if case.exhaustive:
            _exhaustive(rows, case, model)
        for _ in rows.in_time(["the vote"]):
            _vote(rows, case, model, min(repeats, 5))
    rows.show(console)


def _evaluation(rows: Rows, case: Case, model: nnx.Module, repeats: int) -> None:
    """One call of the field against one forward pass in float64, of one batch."""
    subject = analyse(model, case.shape, name=case.name).subject
    with settings(subject.dtype):
        question = Question(
            subject.program, subject.arrays, subject.opaque, subject.axes, subject.seed
        )
    outputs = [o for o in subject.program.outputs if isinstance(o, int)]
    tracks = _tracks(question, outputs)
    runs = Runs(question, tracks, outputs, most=case.batch, at_once=False)
    shifts = [(i % case.shape[0], *(0 for _ in subject.grid[1:])) for i in range(runs.slots)]
    forward = _forward(subject, runs.slots)
    timed = {"field": lambda: list(runs.values(shifts)), "forward": forward}
    seconds = interleaved(timed, repeats=repeats)
    facts: dict[str, Any] = {
        "shape": list(case.shape),
        "batch": runs.slots,
        "tracks": tracks,
        "log2_error": round(runs.log2_error, 1),
    }
    rows.add(case.name, f"field on {tracks} tracks", seconds["field"], unit="s", **facts)
    rows.add(case.name, "forward pass in float64", seconds["forward"], unit="s", **facts)
    ratio = [a / b for a, b in zip(seconds["field"], seconds["forward"], strict=True)]
    rows.add(case.name, "field / forward pass", ratio, unit="ratio", aim=case.aim, **facts)


def _tracks(question: Question, outputs: list[int]) -> int:
    """The least number of tracks with an error below 2^-100."""
    return Runs(question, SCREEN, outputs).least_tracks(0.0)


def _forward(subject: Subject, batch: int) -> Callable[[], Any]:
    program = subject.program
    with settings(subject.dtype):
        fixed = fixed_values(program, subject.arrays)
        generator = np.random.default_rng(0)
        images = jax.numpy.asarray(generator.random((batch, 1, *subject.shape)))

        def one(fixed: Any, image: Any) -> list[Any]:
            values = evaluate(program, fixed, image)
            return [values[o] for o in program.outputs if isinstance(o, int)]

        compiled = jax.jit(jax.vmap(one, in_axes=(None, 0))).lower(fixed, images).compile()

    def run() -> Any:
        with settings(subject.dtype):
            return jax.block_until_ready(compiled(fixed, images))

    return run


def _vote(rows: Rows, case: Case, model: nnx.Module, repeats: int) -> None:
    """Seconds in the field over those that a verdict takes without it: compilation included in both, and in neither."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(repeats):
        forget_compiled()
        for shares in (first, again):
            seconds = sp.verify(model, case.shape, name=case.name).seconds
            rest = sum(s for stage, s in seconds.items() if stage != "identities")
            shares.append(seconds["identities"] / rest)
    rows.add(case.name, "vote / rest of a first verdict", first, unit="ratio", aim=0.5)
    rows.add(case.name, "vote / rest of a compiled verdict", again, unit="ratio", aim=0.5)


def _exhaustive(rows: Rows, case: Case, model: nnx.Module) -> None:
    forget_compiled()
    begin = time.perf_counter()
    verdict = sp.verify(model, case.shape, name=case.name, exhaustive=True)
    whole = time.perf_counter() - begin
    facts = {"shifts": int(verdict.invariance.map.size), "layers": len(verdict.layers)}
    rows.add(case.name, "exhaustive verify, first run", [whole], unit="s", aim=20, **facts)
    rows.add(
        case.name,
        "exhaustive sweep in the field",
        [verdict.seconds["identities"]],
        unit="s",
        aim=20,
        **facts,
    )
