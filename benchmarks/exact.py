"""Exact: what is taken for exact on this device is so, compared with the host's processor.

Whole numbers in products and convolutions, and residues of the field; then whole models: their values in the field, bit
for bit, and the words of their verdicts. Every figure counts what is off, and its aim is 0. Where residues are rounded,
or float64 is, the benchmarks stop here: what they would time is not what they say.
"""

from pathlib import Path

import jax
import numpy as np

import shiftproof as sp
from benchmarks.harness import Rows
from shiftproof import zoo
from shiftproof.algebras.arithmetic import is_exact
from shiftproof.deciding.verify import analyse
from shiftproof.exactness.calibration import calibrate, has_float64
from shiftproof.proving.runs import Question, Runs
from shiftproof.refuting.trials import forget_compiled
from shiftproof.terminal import Console
from shiftproof.tracing.settings import settings

FORMATS = (("float32", "highest"), ("float32", "default"), ("float64", "highest"))
MODELS = ("lenet-global", "vit", "resnet")
"""Of the zoo."""
TRACKS = 6
SHIFTS = 4


def run(path: Path, *, quick: bool, until: float) -> None:
    """Check this device, append the rows to `path`, print a table.

    Raises:
        ValueError: the device rounds where the benchmarks rely on it.
    """
    rows, console = Rows(path, part="exact", until=until, quick=quick), Console()
    device = jax.local_devices()[0]
    for dtype, precision in FORMATS:
        found = calibrate(device, dtype, precision)
        facts = {"cases": found.cases, "reason": found.reason}
        case = f"whole numbers in {dtype}, precision {precision}"
        rows.add(case, "largest error", [found.worst], unit="count", aim=0, **facts)
    residues = is_exact(device)
    rows.add("residues of the field", "rounded", [float(not residues)], unit="count", aim=0)
    if not (residues and has_float64(device)):
        rows.show(console)
        raise ValueError(f"{device.device_kind} rounds in float64: nothing else is measured on it.")
    for name in rows.in_time(MODELS[: 1 if quick else None]):
        console.print(f"{name} ...")
        _field(rows, name)
        _words(rows, name)
    rows.show(console)


def _field(rows: Rows, name: str) -> None:
    """Values of a model in the field, on this device and on the processor."""
    entry = zoo.ENTRIES[name]
    subject = analyse(entry.build(), entry.shape, name=name).subject
    outputs = [o for o in subject.program.outputs if isinstance(o, int)]
    shifts = [(i, *(0 for _ in subject.grid[1:])) for i in range(SHIFTS)]

    def values() -> list[np.ndarray]:
        with settings(subject.dtype):
            question = Question(
                subject.program, subject.arrays, subject.opaque, subject.axes, subject.seed
            )
        made = Runs(question, TRACKS, outputs, most=SHIFTS, at_once=False).values(shifts)
        return [part for value in made for parts in value for part in parts]

    here = values()
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        there = values()
    wrong = sum(int(np.sum(a != b)) for a, b in zip(here, there, strict=True))
    numbers = sum(part.size for part in here)
    rows.add(
        name, "residues unlike the processor's", [float(wrong)], unit="count", aim=0, of=numbers
    )


def _words(rows: Rows, name: str) -> None:
    """The verdict on this device and on the processor."""
    entry = zoo.ENTRIES[name]
    here = sp.verify(entry.build(), entry.shape, name=name)
    forget_compiled()
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        there = sp.verify(entry.build(), entry.shape, name=name)
    pairs = [
        (a, b)
        for one, other in zip(here.outputs, there.outputs, strict=True)
        for a, b in zip(one.properties, other.properties, strict=True)
    ]
    wrong = sum(int(np.sum(a.map != b.map)) for a, b in pairs)
    kinds = sum(int(np.sum(a.numerical_map != b.numerical_map)) for a, b in pairs)
    words = sum(a.map.size for a, _ in pairs)
    facts = {"of": words, "refuted": sum(a.refuted for a, _ in pairs)}
    rows.add(name, "words unlike the processor's", [float(wrong)], unit="count", aim=0, **facts)
    rows.add(name, "kinds of refutation unlike", [float(kinds)], unit="count", aim=0, **facts)
