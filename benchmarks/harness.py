"""The harness: what one row says, how a program is timed, and the machine it was timed on.

Programs are compiled ahead of time and take their weights as arguments, so that nothing is folded away; their inputs
take turns, so that no cache is what is measured; programs that are compared run in turn, so that drift hits all alike.
A row is one figure of one case, with every sample: medians and quartiles are what is shown, and no timing decides
a test.
"""

import dataclasses
import hashlib
import itertools
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
import msgspec
from rich.table import Table

from shiftproof.plain import plain_texts
from shiftproof.provenance import provenance
from shiftproof.proving import runs
from shiftproof.refuting import trials
from shiftproof.terminal import Console

SCHEMA = "shiftproof.benchmark/2"
SAMPLE_SECONDS = 0.005
"""A sample is repeated until it lasts this long."""


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where, and by what, a row was measured; `memory_bytes` and `clock_mhz` (the highest) are of the device."""

    shiftproof: str
    jax: str
    jaxlib: str
    flax: str
    numpy: str
    python: str
    platform: str
    device: str
    devices: int
    processes: int
    processor: str
    processors: int
    system: str
    matmul_precision: str
    xla_flags: str
    load: float | None
    git: str
    dirty: bool
    memory_bytes: int | None = None
    clock_mhz: float | None = None

    @property
    def label(self) -> str:
        """Short, for tables that hold rows of several machines."""
        kind = self.processor if self.platform == "cpu" else self.device
        return f"{self.devices} x {kind} ({self.processors} processors), jax {self.jax}"


Fact = str | int | float | bool | None | list[int | float | list[float]]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure of one case.

    Attributes:
        schema: of this record.
        part: of the benchmarks, such as `layers`.
        case: what was run.
        figure: what was measured of it.
        unit: of the samples.
        median, quartile_low, quartile_high: of them.
        samples: as measured.
        aim: what was hoped for.
        facts: of the case: shapes, dtype, seed, sha256 of the compiled program, parameters, arithmetic, memory, ...
        machine: where.
    """

    schema: Literal["shiftproof.benchmark/2"]
    part: str
    case: str
    figure: str
    unit: str
    median: float
    quartile_low: float
    quartile_high: float
    samples: list[float]
    aim: float | None
    facts: dict[str, Fact]
    machine: Machine


def read_rows(path: Path) -> list[Row]:
    """The rows of a file.

    Raises:
        ValueError: a line is no row of this schema; the message names it.
    """
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            rows.append(msgspec.convert(plain_texts(msgspec.json.decode(line)), Row))
        except msgspec.DecodeError as error:
            raise ValueError(
                f"{path}, line {number}: {error}; rows have the schema {SCHEMA}."
            ) from error
    return rows


def machine() -> Machine:
    """This one, now."""
    device = jax.local_devices()[0]
    memory, clock = _of_processor() if device.platform == "cpu" else _of_accelerator()
    return Machine(
        **provenance(device),
        devices=jax.device_count(),
        processes=jax.process_count(),
        processor=_processor(),
        processors=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        git=_git("rev-parse", "HEAD"),
        dirty=bool(_git("status", "--porcelain")),
        memory_bytes=memory,
        clock_mhz=clock,
    )


def _of_processor() -> tuple[int | None, float | None]:
    """Bytes of memory, and the clock where the system tells it."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except (OSError, ValueError, AttributeError):
        return None, None
    clocks = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    return memory, max(clocks, default=None)


def _of_accelerator() -> tuple[int | None, float | None]:
    """What NVIDIA's tool tells of the first device; of others, the memory that JAX knows of."""
    asked = [
        "nvidia-smi",
        "--query-gpu=memory.total,clocks.max.sm",
        "--format=csv,noheader,nounits",
    ]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        memory, clock = told.splitlines()[0].split(",")
        return int(memory) * 2**20, float(clock)
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        stats = jax.local_devices()[0].memory_stats() or {}
        return stats.get("bytes_limit"), None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


Item = TypeVar("Item")


class Rows:
    """Rows of one part and run, appended to a JSON Lines file as they are made.

    Args:
        path: of the file.
        part: of the benchmarks.
        until: the time (`time.monotonic`) after which no case begins.

    Raises:
        ValueError: the file cannot be written.
    """

    def __init__(self, path: Path, *, part: str, until: float = math.inf) -> None:
        self.path, self.part, self.until = path, part, until
        self.machine = machine()
        self.rows: list[Row] = []
        try:
            with path.open("a"):
                pass
        except OSError as error:
            raise ValueError(f"rows cannot be written to {path}: {error.strerror}.") from error

    def in_time(self, cases: Iterable[Item]) -> Iterator[Item]:
        """The cases that begin in time; says how many are left out."""
        cases = list(cases)
        for number, case in enumerate(cases):
            if time.monotonic() > self.until:
                print(f"{self.part}: no time for {len(cases) - number} of {len(cases)} cases.")
                return
            yield case

    def add(
        self,
        case: str,
        figure: str,
        samples: Sequence[float],
        *,
        unit: str,
        aim: float | None = None,
        **facts: Any,
    ) -> None:
        """Record the samples of one figure of one case."""
        row = Row(
            SCHEMA,
            self.part,
            case,
            figure,
            unit,
            *spread(samples),
            list(samples),
            aim,
            facts,
            self.machine,
        )
        self.rows.append(row)
        with self.path.open("ab") as stream:
            stream.write(msgspec.json.encode(row) + b"\n")

    def show(self, console: Console, units: Container[str] | None = None) -> None:
        """The rows so far, or those of some units, as a table."""
        console.print(table(row for row in self.rows if units is None or row.unit in units))
        console.print(f"{len(self.rows)} rows in {self.path}", highlight=False)


def spread(samples: Sequence[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    low, middle, high = statistics.quantiles(samples, n=4) if len(samples) > 1 else [*samples] * 3
    return middle, low, high


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratio of every interleaved pair."""
    return [a / b for a, b in zip(above, below, strict=True)]


def interleaved(
    actions: Mapping[str, Callable[[], Any]], *, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each action, one warm-up each, then A B C A B C ..., so that drift hits all alike."""
    inner = {}
    for name, action in actions.items():
        action()
        begin = time.perf_counter()
        action()
        inner[name] = max(1, round(SAMPLE_SECONDS / (time.perf_counter() - begin)))
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            begin = time.perf_counter()
            for _ in range(inner[name]):
                action()
            seconds[name].append((time.perf_counter() - begin) / inner[name])
    return seconds


def forget_compiled() -> None:
    """Forget every compiled program, so that the next run pays for compilation, as a first one does."""
    trials.forget_compiled()
    runs.forget_compiled()
    jax.clear_caches()


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program compiled ahead of time, with what the compiler says of it.

    Attributes:
        run: one call, on inputs that take turns, waited for.
        compile_seconds: what the compilation took.
        facts: `program` (sha256), `flops_compiled`, `bytes_compiled`, `memory_bytes`; None where it does not say.
    """

    run: Callable[[], Any]
    compile_seconds: float
    facts: dict[str, Fact]


def compile_program(function: Callable[..., Any], inputs: Sequence[Sequence[Any]]) -> Compiled:
    """Compile a function for the first of several tuples of arguments; all have the same shapes."""
    lowered = jax.jit(function).lower(*inputs[0])
    begin = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - begin
    turns = itertools.cycle(inputs)
    cost = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    return Compiled(
        lambda: jax.block_until_ready(compiled(*next(turns))),
        seconds,
        {
            "program": hashlib.sha256(lowered.as_text().encode()).hexdigest(),
            "flops_compiled": cost.get("flops"),
            "bytes_compiled": cost.get("bytes accessed"),
            "memory_bytes": memory
            and memory.temp_size_in_bytes
            + memory.argument_size_in_bytes
            + memory.output_size_in_bytes,
            "compile_seconds": seconds,
        },
    )


def table(rows: Iterable[Row]) -> Table:
    """Medians and quartiles of some rows."""
    rows = list(rows)
    drawn = Table(title=rows[0].machine.label if rows else None)
    for heading in ("case", "figure", "median", "quartiles", "aim"):
        numeric = heading in ("median", "quartiles", "aim")
        drawn.add_column(heading, justify="right" if numeric else "left")
    for row in rows:
        unit = "" if row.unit in ("ratio", "count") else f" {row.unit}"
        several = len(row.samples) > 1
        drawn.add_row(
            row.case,
            row.figure,
            f"{row.median:.4g}{unit}",
            f"{row.quartile_low:.4g} .. {row.quartile_high:.4g}" if several else "",
            "" if row.aim is None else f"{row.aim:g}",
        )
    return drawn
