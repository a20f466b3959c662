"""Scale: one sweep by one device, by several, and by several processes; the bytes must be the same for all.

Each crew is started as real processes (`jax.distributed`, on CPUs by gloo) that share a folder, as on a TPU slice or
under Slurm. On a machine with few cores this shows the cost of sharing, not what more machines would gain.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Rows
from shiftproof.terminal import Console

CREWS = ((1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (3, 1), (4, 1))
"""Processes, and forced host devices of each."""
QUICK = ((1, 1), (1, 4), (2, 1))
CHUNK = 50

WORKER = """
import json, sys, time
import jax
directory, index, count, port, name = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
if count > 1:
    jax.distributed.initialize(f"localhost:{port}", count, index)
import numpy as np
import shiftproof as sp

entry = sp.zoo.ENTRIES[name]
images = np.random.default_rng(0).integers(-4, 5, (1, *entry.shape)).astype(np.float32)
times = []
sp.sweep(
    entry.build(0), images, weights="these", dtype="float32", chunk=int(sys.argv[6]),
    directory=directory, progress=lambda done, total: times.append((time.perf_counter(), done)),
)
first, last = times[0], times[-1]
if index == 0:
    print(json.dumps({"seconds": last[0] - first[0], "shifts": last[1]}))
"""


def run(path: Path, *, repeats: int, quick: bool, until: float) -> None:
    """Measure every crew, append the rows to `path`, print a table.

    Raises:
        ArithmeticError: two crews give different bytes.
    """
    rows, console = Rows(path, part="scale", until=until, quick=quick), Console()
    name = "lenet-global" if quick else "resnet"
    crews = QUICK if quick else CREWS
    digests: dict[tuple[int, int], bytes] = {}
    samples: dict[tuple[int, int], list[float]] = {crew: [] for crew in crews}
    shifts = 0
    for _ in rows.in_time(range(1 if quick else repeats)):
        for crew in crews:
            with tempfile.TemporaryDirectory() as folder:
                told = _crew(Path(folder), *crew, name=name)
                digests[crew] = (Path(folder) / "sweep.npz").read_bytes()
            samples[crew].append(told["seconds"])
            shifts = int(told["shifts"])
    if not digests:
        return
    if len(set(digests.values())) > 1:
        raise ArithmeticError(f"{name}: sweeps by {', '.join(map(str, crews))} differ in bytes.")
    for (processes, devices), seconds in samples.items():
        facts = {"crew_processes": processes, "crew_devices": devices, "chunk": CHUNK}
        case = f"{processes} processes of {devices} devices".replace("1 processes", "1 process")
        case = case.replace(" 1 devices", " 1 device")
        rows.add(
            case, f"sweep of {name}", seconds, unit="s", shifts=shifts, same_bytes=True, **facts
        )
        rates = [shifts / second for second in seconds]
        rows.add(case, f"{name}, shifts per second", rates, unit="1/s", shifts=shifts, **facts)
        if processes > 1 and devices == 1:
            alone = samples[1, 1]
            shares = [a / (processes * s) for a, s in zip(alone, seconds, strict=True)]
            rows.add(
                case, "efficiency: one process / (processes x this)", shares, unit="ratio", **facts
            )
    rows.show(console)


def _crew(folder: Path, processes: int, devices: int, *, name: str) -> dict[str, float]:
    """What the first of some processes tells, all of which share one sweep."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    crew = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                WORKER,
                folder,
                *map(str, (i, processes, port)),
                name,
                str(CHUNK),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    told = [process.communicate() for process in crew]
    for process, (_, errors) in zip(crew, told, strict=True):
        if process.returncode:
            raise ChildProcessError(
                f"a process of the crew failed: {errors.strip().splitlines()[-1]}"
            )
    # gloo writes to standard output too
    return json.loads(told[0][0].strip().splitlines()[-1])
