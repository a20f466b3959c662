"""Verdicts: every shift decided, against the sweep that runs them all.

The aims: ResNet-18 at 224x224 fully decided in 30 s on two cores, compilation included, and at least 200 times as
fast as brute force; its analysis within 1.5 s; the replay of a certificate within 1 s.

Brute force is measured up to 64x64. At 224x224 it is extrapolated: seconds of one forward pass of a batch, times the
number of shifts; the row says so.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

import shiftproof as sp
from benchmarks.harness import Rows, compile_program, forget_compiled, interleaved
from shiftproof import zoo
from shiftproof.group import largest_lattice
from shiftproof.proving.analysis import Claim, Prover
from shiftproof.proving.graph import build_graph
from shiftproof.terminal import Console
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.zoo import Automaton, LeNet, ResNet, UNet, ViT
from shiftproof_kernel import check

BATCH = 16
"""Images of one forward pass from which brute force is extrapolated."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A model to decide, and whether brute force is run or extrapolated."""

    name: str
    build: Callable[[], nnx.Module]
    shape: tuple[int, ...]
    brute: bool


def _made(kind: Callable[..., nnx.Module], **options: Any) -> Callable[[], nnx.Module]:
    return lambda: kind(**options, rngs=nnx.Rngs(0))


VIT_SMALL = _made(
    ViT, size=224, patch=16, width=384, depth=12, heads=6, classes=1000, positions=True
)
"""Of the size of ViT-S (Touvron et al., 2021), with a table of positions."""
LARGE = (224, 224, 3)
CASES = (
    *(
        Case(f"lenet-{n}", _made(LeNet, head="global", size=n), (n, n, 1), True)
        for n in (28, 32, 64)
    ),
    *(Case(f"resnet-{n}", zoo.ENTRIES["resnet"].build, (n, n, 3), True) for n in (32, 64)),
    *(Case(f"vit-{n}", _made(ViT, size=n), (n, n, 3), True) for n in (32, 64)),
    Case("lenet-224", _made(LeNet, head="global", size=224), (224, 224, 1), False),
    Case("resnet18-224", zoo.ENTRIES["resnet18"].build, LARGE, False),
    Case("vit-224", _made(ViT, size=224, patch=16), LARGE, False),
    Case("vit-s-224", VIT_SMALL, LARGE, False),
    Case("unet-128", _made(UNet), (128, 128, 3), False),
    Case("automaton-64", _made(Automaton), (64, 64, 16), False),
)
QUICK = ("lenet-28",)
GRIDS = ((256, 256), (1024, 1024), (4096, 4096), (1_000_000,))
"""Of one convolution with stride 2: time of a verdict over that of a forward pass should not grow with the grid."""


def run(path: Path, *, repeats: int, quick: bool, until: float, cases: Sequence[str] = ()) -> None:
    """Measure every case, or those named, append the rows to `path`, print a table.

    Raises:
        ValueError: there is no case of a name.
    """
    names = [case.name for case in CASES]
    if unknown := [name for name in cases if name not in names]:
        raise ValueError(f"there is no case {unknown[0]!r}; there are {', '.join(names)}.")
    chosen = cases or (QUICK if quick else names)
    rows, console = Rows(path, part="verify", until=until, quick=quick), Console()
    for case in rows.in_time(case for case in CASES if case.name in chosen):
        console.print(f"{case.name} ...")
        _decide(rows, case, repeats)
    for _ in rows.in_time(["the growth of the analysis"] if not cases else []):
        _growth(rows, repeats, quick=quick)
    grids = [] if cases else [(64, 64), (1000,)] if quick else GRIDS
    for grid in rows.in_time(grids):
        _grid(rows, grid, repeats)
    rows.show(console)


def _decide(rows: Rows, case: Case, repeats: int) -> None:
    model = case.build()
    forget_compiled()
    begin = time.perf_counter()
    verdict = sp.verify(model, case.shape, name=case.name)
    first = time.perf_counter() - begin
    found = verdict.invariance
    facts = {
        "shape": list(case.shape),
        "shifts": int(found.total),
        "proved": found.proved,
        "refuted": found.refuted,
        "undecided": found.undecided,
    }
    rows.add(
        case.name,
        "verify, first run, compilation included",
        [first],
        unit="s",
        aim=_aim(case, 30),
        **facts,
    )
    again: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(repeats):
        begin = time.perf_counter()
        verdict = sp.verify(model, case.shape, name=case.name)
        again.append(time.perf_counter() - begin)
        for stage, seconds in verdict.seconds.items():
            stages.setdefault(stage, []).append(seconds)
    rows.add(case.name, "verify, compiled", again, unit="s", **facts)
    for stage, samples in stages.items():
        aim = _aim(case, 1.5) if stage == "analysis" else None
        rows.add(case.name, f"stage {stage}, compiled", samples, unit="s", aim=aim, **facts)
    for certificate in verdict.certificates.values():
        seconds = interleaved({"check": partial(check, certificate)}, repeats=repeats)["check"]
        rows.add(
            case.name, "replay of the certificate", seconds, unit="s", aim=_aim(case, 1), **facts
        )
    rows.add(
        case.name, "shifts decided per second", _rates(found.total, again), unit="1/s", **facts
    )
    forward = _forward(model, case, repeats)
    rows.add(case.name, "forward pass per image", forward, unit="s", **facts)
    searches = [seconds / float(np.median(forward)) for seconds in stages["witnesses"]]
    rows.add(case.name, "search / forward pass", searches, unit="ratio", aim=10, **facts)
    predicted = float(np.median(forward)) * found.total
    if not case.brute:
        brute, how = [s * found.total for s in forward], f"extrapolated from {BATCH} forwards"
    else:
        brute, how = _swept(rows, model, case, predicted, facts, repeats), "compilation included"
    rows.add(case.name, f"brute force, {how}", brute, unit="s", **facts)
    ratio = [b / first for b in brute]
    rows.add(
        case.name, "brute force / first verify", ratio, unit="ratio", aim=_aim(case, 200), **facts
    )
    ratio = [b / a for b, a in zip(brute, again, strict=False)]
    rows.add(case.name, "brute force / compiled verify", ratio, unit="ratio", **facts)


def _rates(shifts: int, seconds: list[float]) -> list[float]:
    return [shifts / s for s in seconds]


def _swept(
    rows: Rows, model: nnx.Module, case: Case, predicted: float, facts: dict[str, Any], repeats: int
) -> list[float]:
    """Sweep all shifts, outputs only, one image, by both methods; seconds in all of brute force."""
    image = np.random.default_rng(0).random((1, *case.shape)).astype(np.float32)
    whole: dict[str, list[float]] = {}
    for method, share in (("brute", 1.0), ("cosets", 1 / facts["proved"])):
        running: list[float] = []
        for _ in range(min(repeats, 5)):
            times: list[float] = []
            begin = time.perf_counter()
            sp.sweep(
                model,
                image,
                dtype="float32",
                layers=[],
                method=method,  # type: ignore[arg-type]
                progress=lambda *_, times=times: times.append(time.perf_counter()),
            )
            whole.setdefault(method, []).append(time.perf_counter() - begin)
            running.append(times[-1] - times[0])
        rows.add(case.name, f"sweep by {method}, running", running, unit="s", **facts)
        rates = _rates(facts["shifts"], running)
        rows.add(case.name, f"shifts swept per second by {method}", rates, unit="1/s", **facts)
        ratio = [predicted * share / s for s in running]
        rows.add(case.name, f"forwards of {method} / sweep running", ratio, unit="ratio", **facts)
    return whole["brute"]


def _aim(case: Case, aim: float) -> float | None:
    return aim if case.name == "resnet18-224" else None


def _forward(model: nnx.Module, case: Case, repeats: int) -> list[float]:
    """Seconds per image of a forward pass of a batch, nothing compared."""
    graph, state = nnx.split(model)
    images = np.random.default_rng(0).random((BATCH, *case.shape)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        program = compile_program(
            lambda state, x: nnx.merge(graph, state)(x),
            [(state, np.roll(images, i, 1)) for i in range(4)],
        )
        run = interleaved({"forward": program.run}, repeats=min(repeats, 5))["forward"]
    return [s / BATCH for s in run]


def _growth(rows: Rows, repeats: int, *, quick: bool) -> None:
    """Seconds of the analysis as the depth and the grid grow."""
    for blocks in (1, 2) if quick else (1, 2, 4, 8, 16):
        _analysis(rows, f"blocks {blocks}", blocks, 32, repeats)
    for size in (32, 64) if quick else (32, 64, 128, 256, 512):
        _analysis(rows, f"grid {size}", 2, size, repeats)


def _grid(rows: Rows, grid: tuple[int, ...], repeats: int) -> None:
    """A verdict, counterexamples and field included, and a forward pass of one image, as the grid grows."""
    kernel = (3,) * len(grid)
    model = nnx.Conv(1, 2, kernel, strides=2, padding="CIRCULAR", rngs=nnx.Rngs(0))
    shape, name = (*grid, 1), "conv of stride 2, " + "x".join(map(str, grid))
    found = sp.verify(model, shape).equivariance
    graph, state = nnx.split(model)
    image = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        program = compile_program(
            lambda state, x: nnx.merge(graph, state)(x),
            [(state, np.roll(image, i, 1)) for i in range(2)],
        )
        programs = {"verify": partial(sp.verify, model, shape), "forward": program.run}
        few = 3 if math.prod(grid) > 2**22 else repeats  # a minute each
        seconds = interleaved(programs, repeats=few)
    facts = {"shape": list(shape), "proved": found.proved, "undecided": found.undecided}
    rows.add(name, "verify, compiled", seconds["verify"], unit="s", **facts)
    rows.add(name, "forward pass per image", seconds["forward"], unit="s", **facts)
    ratio = [a / b for a, b in zip(seconds["verify"], seconds["forward"], strict=True)]
    rows.add(name, "verify / forward pass", ratio, unit="ratio", **facts)


def _analysis(rows: Rows, name: str, blocks: int, size: int, repeats: int) -> None:
    model = ResNet(widths=(4, 4), blocks=(blocks, 1), strides=(2, 2), rngs=nnx.Rngs(0))
    model.eval()
    adapted, shape = adapt(model), (size, size, 3)
    arrays = adapted.cast("float32")
    program = trace_model(adapted, arrays, np.zeros((1, *shape), np.float32))
    claim = Claim("output", 0, "invariance", (), (), "any")

    def analyse() -> None:
        graph = build_graph(program, arrays, opaque=set(program.weights), spatial_axes=(1, 2))
        prover = Prover(graph, shape[:-1])
        largest_lattice(shape[:-1], partial(prover.proves, claim))

    facts: Mapping[str, Any] = {"equations": len(program.equations), "shape": list(shape)}
    seconds = interleaved({"analysis": analyse}, repeats=repeats)["analysis"]
    rows.add("analysis", f"graph and lattice, {name}", seconds, unit="s", **facts)
