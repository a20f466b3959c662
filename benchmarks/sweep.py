"""Sweeps: over bare forwards, over the hand-written loop, and memory against chunk size.

The aims: a full sweep of all layers costs at most 1.10 times the bare batched forwards of the same images; it is 15
times as fast as the loop that people write, and 1000 times as fast on a first run.
"""

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import shiftproof as sp
from benchmarks.harness import Rows, interleaved, ratios
from shiftproof import zoo
from shiftproof.canvas import Canvas
from shiftproof.sweeping.cosets import find_cosets
from shiftproof.sweeping.engine import Engine, chunk_size
from shiftproof.sweeping.question import Asker
from shiftproof.sweeping.stages import Schedule, describe_stages, find_stages, ordered
from shiftproof.sweeping.sweep import make_groups, run_chunks
from shiftproof.terminal import Console
from shiftproof.tracing.arguments import read_images
from shiftproof.tracing.model import adapt
from shiftproof.tracing.settings import settings

CASES = {"lenet-global": 1, "resnet": 1}
"""Zoo model to number of images."""
CHUNKS = defaultdict(lambda: (128, 512, 1024), quick=(16, 64), cpu=(8, 16, 32, 64, 128, 256))
"""Sizes of chunks, by platform: accelerators take larger ones."""
LOOP_SHIFTS = 49
"""Shifts of the hand-written loop that are timed; the rest is extrapolated, and the row says so."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """A compiled sweep and the same model bare."""

    name: str
    model: nnx.Module
    images: np.ndarray
    engine: Engine
    groups: list[np.ndarray]
    compile_seconds: float

    @property
    def shifts(self) -> int:
        """Shifts of the whole grid."""
        return len(self.engine.question.canvas.shifts)


def prepare(
    name: str, *, count: int, chunk: int | None = None, outputs_only: bool = False
) -> Setup:
    """Trace and compile the sweep of a zoo model on random float32 images."""
    entry = zoo.ENTRIES[name]
    model = entry.build(0)
    images = np.random.default_rng(0).random((count, *entry.shape)).astype(np.float32)
    given = read_images(images, None)
    canvas = Canvas.torus(images, axes=given.batch_axes)
    device = jax.local_devices()[0]
    begin = time.perf_counter()
    with settings("float32"):
        keep = [] if outputs_only else None
        question = Asker(adapt(model), canvas, keep=keep).ask("float32")
        groups = make_groups(canvas.shifts, chunk or chunk_size(question, device))
        engine = Engine(question, chunk=len(groups[0]), devices=[device])
        engine.rows(groups[0][None])
    return Setup(name, model, images, engine, groups, time.perf_counter() - begin)


def sweep_all(setup: Setup) -> None:
    """All shifts of all layers, as `shiftproof.sweep` runs them."""
    run_chunks(setup.engine, setup.groups)


def bare_forwards(setup: Setup) -> Callable[[], None]:
    """The same number of forward passes of the model alone, in batches of the same size, nothing compared."""
    graph, state = nnx.split(setup.model)
    with jax.default_matmul_precision("highest"):
        forward = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
    size = setup.engine.chunk * len(setup.images)
    batches = -(-setup.shifts * len(setup.images) // size)
    # different inputs in turn, so that no cache is what is measured
    inputs = [
        jnp.asarray(np.roll(np.repeat(setup.images, setup.engine.chunk, 0), i, 1)) for i in range(4)
    ]

    def run() -> None:
        with jax.default_matmul_precision("highest"):
            jax.block_until_ready([forward(state, inputs[i % 4]) for i in range(batches)])

    return run


def hand_loop(setup: Setup, shifts: np.ndarray) -> Callable[[], None]:
    """What people write: one roll and one forward per shift, one deviation at a time."""
    model = nnx.jit(setup.model.__class__.__call__)
    images = jnp.asarray(setup.images)

    def run() -> None:
        reference = model(setup.model, images)
        for dy, dx in shifts:
            shifted = model(setup.model, jnp.roll(images, (int(dy), int(dx)), (1, 2)))
            float(jnp.max(jnp.abs(shifted - reference)))

    return run


def run(path: Path, *, repeats: int, quick: bool, until: float) -> None:
    """Measure every case, append the rows to `path`, print a table."""
    rows, console = Rows(path, part="sweep", until=until, quick=quick), Console()
    for name, count in rows.in_time(list(CASES.items())[: 1 if quick else None]):
        console.print(f"{name}: compiling ...")
        setup = prepare(name, count=count)
        _against_forwards(rows, setup, repeats)
        _against_loop(rows, setup, repeats)
        if name == "lenet-global" and rows.machine.platform == "cpu":
            _against_torch(rows, console, setup, repeats)
        _memory(
            rows,
            name,
            count,
            repeats=repeats,
            sizes=CHUNKS["quick" if quick else rows.machine.platform],
        )
    for name in rows.in_time([] if quick else ["resnet18"]):
        console.print(f"{name}: compiling ...")
        _in_stages(rows, name, repeats)
    rows.show(console)


def _in_stages(rows: Rows, name: str, repeats: int) -> None:
    """A chunk of a sweep by cosets, outputs only: every phase of an early layer once, against one pass per coset."""
    entry = zoo.ENTRIES[name]
    images = np.random.default_rng(0).random((1, *entry.shape)).astype(np.float32)
    canvas = Canvas.torus(images, axes=read_images(images, None).batch_axes)
    device = jax.local_devices()[0]
    with settings("float32"):
        question = Asker(adapt(entry.build(0)), canvas, keep=[]).ask("float32")
        cosets = find_cosets(question)
        stages = find_stages(question, cosets)
        cosets = ordered(cosets, stages)
        groups = make_groups(cosets.representatives, chunk_size(question, device), least=3)
        schedule = Schedule(stages, groups)
        engine = Engine(
            question, chunk=len(groups[0]), devices=[device], cosets=cosets, schedule=schedule
        )
    shifts = groups[len(groups) // 2][None]
    programs = {
        "in stages": lambda: jax.block_until_ready(engine.in_stages(shifts)),
        "in passes": lambda: jax.block_until_ready(engine.forward(shifts)),
    }
    seconds = interleaved(programs, repeats=min(repeats, 5))
    facts = {
        "shape": list(entry.shape),
        "cosets": len(cosets.representatives),
        "chunk": engine.chunk,
        "stages": describe_stages(stages),
        "phases": [*schedule.sizes, engine.chunk],
    }
    for how, samples in seconds.items():
        rows.add(name, f"a chunk of cosets {how}", samples, unit="s", **facts)
    ratio = [a / b for a, b in zip(seconds["in passes"], seconds["in stages"], strict=True)]
    rows.add(name, "one pass per coset / in stages", ratio, unit="ratio", aim=3, **facts)


def _facts(setup: Setup) -> dict[str, Any]:
    return {
        "shifts": setup.shifts,
        "chunk": setup.engine.chunk,
        "images": len(setup.images),
        "layers": len(setup.engine.question.layers),
        "shape": list(setup.images.shape[1:]),
    }


def _against_forwards(rows: Rows, setup: Setup, repeats: int) -> None:
    outputs = prepare(setup.name, count=len(setup.images), outputs_only=True)
    actions = {
        "sweep": lambda: sweep_all(setup),
        "outputs": lambda: sweep_all(outputs),
        "forwards": bare_forwards(setup),
    }
    seconds = interleaved(actions, repeats=repeats)
    facts = _facts(setup)
    rows.add(setup.name, "sweep", seconds["sweep"], unit="s", **facts)
    rows.add(setup.name, "bare forwards", seconds["forwards"], unit="s", **facts)
    rows.add(
        setup.name,
        "sweep / bare forwards",
        ratios(seconds["sweep"], seconds["forwards"]),
        unit="ratio",
        aim=1.10,
        **facts,
    )
    rows.add(
        setup.name,
        "sweep of the outputs only / bare forwards",
        ratios(seconds["outputs"], seconds["forwards"]),
        unit="ratio",
        **facts | {"layers": len(outputs.engine.question.layers)},
    )
    rows.add(setup.name, "trace and compile", [setup.compile_seconds], unit="s", **facts)


def _against_loop(rows: Rows, setup: Setup, repeats: int) -> None:
    """First run: from empty caches, a few shifts, scaled to all. Steady state: the same shifts again."""
    shifts = setup.engine.question.canvas.shifts[1 : LOOP_SHIFTS + 1]
    scale = setup.shifts / len(shifts)
    facts = _facts(setup) | {"extrapolated_from_shifts": len(shifts)}
    loop = hand_loop(setup, shifts)
    jax.clear_caches()
    begin = time.perf_counter()
    loop()
    first = (time.perf_counter() - begin) * scale
    seconds = interleaved({"loop": loop, "sweep": lambda: sweep_all(setup)}, repeats=repeats)
    steady = [s * scale for s in seconds["loop"]]
    jax.clear_caches()
    begin = time.perf_counter()
    sp.sweep(setup.model, setup.images, dtype="float32")
    whole = time.perf_counter() - begin
    rows.add(setup.name, "hand-written loop", steady, unit="s", **facts)
    rows.add(setup.name, "hand-written loop, first run", [first], unit="s", **facts)
    rows.add(
        setup.name, "sp.sweep, first run with checks and compilation", [whole], unit="s", **facts
    )
    rows.add(
        setup.name, "loop / sweep", ratios(steady, seconds["sweep"]), unit="ratio", aim=15, **facts
    )
    rows.add(
        setup.name,
        "first loop / steady sweep",
        ratios([first] * repeats, seconds["sweep"]),
        unit="ratio",
        aim=1000,
        **facts,
    )
    rows.add(setup.name, "first loop / first sp.sweep", [first / whole], unit="ratio", **facts)


def _against_torch(rows: Rows, console: Console, setup: Setup, repeats: int) -> None:
    """The hand-written loop in PyTorch, with the same weights, where PyTorch is installed."""
    try:
        import torch
    except ImportError:
        console.print("PyTorch is not installed: its loop is left out.")
        return
    layers = []
    for convolution in setup.model.convolutions:
        kernel, bias = (np.asarray(p[...]) for p in (convolution.kernel, convolution.bias))
        copy = torch.nn.Conv2d(
            *kernel.shape[2:], kernel.shape[0], padding="same", padding_mode="circular"
        )
        copy.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1))
        copy.bias.data = torch.tensor(bias)
        layers += [copy, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    linear = setup.model.logits
    head = torch.nn.Linear(linear.in_features, linear.out_features)
    head.weight.data = torch.tensor(np.asarray(linear.kernel[...]).T)
    head.bias.data = torch.tensor(np.asarray(linear.bias[...]))
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head)
    images = torch.tensor(setup.images.transpose(0, 3, 1, 2))
    shifts = setup.engine.question.canvas.shifts
    scores = np.asarray(setup.model(jnp.asarray(setup.images)))

    def loop() -> None:
        reference = net(images)
        for dy, dx in shifts.tolist():
            float((net(torch.roll(images, (dy, dx), (2, 3))) - reference).abs().max())

    with torch.no_grad():
        np.testing.assert_allclose(net(images).numpy(), scores, rtol=1e-4, atol=1e-5)
        seconds = interleaved({"torch": loop, "sweep": lambda: sweep_all(setup)}, repeats=repeats)
    facts = _facts(setup) | {"torch": str(torch.__version__)}
    rows.add(setup.name, "hand-written loop in PyTorch", seconds["torch"], unit="s", **facts)
    ratio = ratios(seconds["torch"], seconds["sweep"])
    rows.add(setup.name, "loop in PyTorch / sweep", ratio, unit="ratio", **facts)


def _memory(rows: Rows, name: str, count: int, *, repeats: int, sizes: tuple[int, ...]) -> None:
    """Bytes that the compiler sets aside, and time per shift, for several chunk sizes."""
    for size in sizes:
        setup = prepare(name, count=count, chunk=size)
        seconds = interleaved(
            {"sweep": lambda s=setup: sweep_all(s)}, repeats=max(5, repeats // 2)
        )["sweep"]
        facts = _facts(setup)
        rows.add(
            name, f"memory, chunk {size}", [setup.engine.memory() / 2**20], unit="MiB", **facts
        )
        rates = [setup.shifts / s for s in seconds]
        rows.add(name, f"shifts per second, chunk {size}", rates, unit="1/s", **facts)
        rows.add(
            name,
            f"time per shift, chunk {size}",
            [1e6 * s / setup.shifts for s in seconds],
            unit="us",
            **facts,
        )
