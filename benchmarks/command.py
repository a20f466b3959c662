"""The command line: whole processes of `shiftproof verify FILE`, against one that only imports Flax.

A first run finds an empty cache of compiled programs, a second one what the first kept. The verdict is printed before
it is explained; `--watch` pays for imports once, and decides again after each change of the file. Byte code is kept, as
users have it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.harness import Rows, ratios
from shiftproof.terminal import Console

MODEL = """from flax import nnx

class Net(nnx.Module):
    def __init__(self, *, rngs):
        self.c1 = nnx.Conv(1, 6, (5, 5), padding="{first}", rngs=rngs)
        self.c2 = nnx.Conv(6, 16, (5, 5), padding="{second}", rngs=rngs)
        self.d1 = nnx.Linear({features}, 120, rngs=rngs)
        self.d2 = nnx.Linear(120, {hidden}, rngs=rngs)
        self.d3 = nnx.Linear({hidden}, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.relu(self.c1(x)), (2, 2), (2, 2))
        x = nnx.avg_pool(nnx.relu(self.c2(x)), (2, 2), (2, 2))
        x = {head}
        return self.d3(nnx.relu(self.d2(nnx.relu(self.d1(x)))))
"""
"""A LeNet, on images of 28x28."""
CASES: Mapping[str, Mapping[str, str]] = {
    "LeNet, wrapping": {
        "first": "CIRCULAR",
        "second": "CIRCULAR",
        "features": "16",
        "head": "x.mean((1, 2))",
    },
    "LeNet, zero padding": {
        "first": "SAME",
        "second": "VALID",
        "features": "400",
        "head": "x.reshape(x.shape[0], -1)",
    },
}
"""The second ends in a flatten, and is told of counterfactuals, a scene and a background besides."""
FIRST_AIM, SECOND_AIM = 4, 2
WATCHING = "watching for changes"
"""What `--watch` prints when it has answered."""


def run(path: Path, *, repeats: int, quick: bool, until: float) -> None:
    """Measure every case, append the rows to `path`, print a table.

    Raises:
        ChildProcessError: a process failed.
    """
    rows, console = Rows(path, part="command", until=until, quick=quick), Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        importing = [sys.executable, "-c", "from flax import nnx"]
        _seconds(importing, folder)  # writes byte code
        for case in rows.in_time(list(CASES)[: 1 if quick else None]):
            console.print(f"{case} ...")
            file = folder / "net.py"
            seconds: dict[str, list[float]] = {}
            for turn in range(1 if quick else repeats):
                file.write_text(_source(case, 84))
                verify = [sys.executable, "-m", "shiftproof", "verify", f"{file.name}:Net"]
                cache = folder / f"cache {case} {turn}"
                cache.mkdir()
                found = {"import of flax.nnx": _seconds(importing, folder)[1]}
                _, found["first run"] = _seconds(verify, folder, cache)
                begun, found["second run"] = _seconds(verify, folder, cache)
                found["second run, to the verdict"] = begun
                found["--watch"] = _watched(verify, file, case, cache)
                for figure, second in found.items():
                    seconds.setdefault(figure, []).append(second)
            _add(rows, case, seconds)
    rows.show(console)


def _add(rows: Rows, case: str, seconds: Mapping[str, Sequence[float]]) -> None:
    aims = {"first run": FIRST_AIM, "second run": SECOND_AIM}
    (reference, base), *others = seconds.items()
    rows.add(case, reference, base, unit="s")
    for figure, samples in others:
        rows.add(case, figure, samples, unit="s")
        shares = ratios(samples, base)
        rows.add(case, f"{figure} / import", shares, unit="ratio", aim=aims.get(figure))


def _source(case: str, hidden: int) -> str:
    return MODEL.format(**CASES[case], hidden=hidden)


def _environment(cache: Path | None) -> dict[str, str]:
    """Of a process: an own cache folder, byte code, and this package."""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for name in ("PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR"):
        own.pop(name, None)
    return own if cache is None else own | {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)}


def _started(arguments: Sequence[str], folder: Path, cache: Path | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=_environment(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _seconds(
    arguments: Sequence[str], folder: Path, cache: Path | None = None
) -> tuple[float, float]:
    """Until a process has written a line, and until it ends.

    Raises:
        ChildProcessError: it failed, or ended before it said anything, as only an import may.
    """
    begin = time.perf_counter()
    with _started(arguments, folder, cache) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        first = time.perf_counter() - begin
        process.stdout.read()
        code = process.wait()
    if code not in (0, 1) or (cache is not None and not line):
        raise ChildProcessError(f"{' '.join(arguments)} ended with {code}.")
    return first, time.perf_counter() - begin


def _watched(arguments: Sequence[str], file: Path, case: str, cache: Path) -> float:
    """From a change of the file until what changed in the verdict is told."""
    with _started([*arguments, "--watch"], file.parent, cache) as process:
        assert process.stdout is not None
        _read_until(process.stdout.readline, WATCHING)
        begin = time.perf_counter()
        file.write_text(_source(case, 96))
        _read_until(process.stdout.readline, WATCHING)
        seconds = time.perf_counter() - begin
        process.send_signal(signal.SIGINT)
    return seconds


def _read_until(readline: Callable[[], str], words: str) -> None:
    """Read lines up to one with these words.

    Raises:
        ChildProcessError: there is none.
    """
    for line in iter(readline, ""):
        if words in line:
            return
    raise ChildProcessError(f"shiftproof verify --watch ended before it said {words!r}.")
