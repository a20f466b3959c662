"""The harness: what one row says, how a program is timed, and the machine it was timed on.

Programs are compiled ahead of time and take their weights as arguments, so that nothing is folded away; their inputs
take turns, so that no cache is what is measured; programs that are compared run in turn, so that drift hits all alike.
A row is one figure of one case, with every sample: medians and quartiles are what is shown, and no timing decides
a test.
"""

import dataclasses
import hashlib
import inspect
import itertools
import json
import math
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import jax
import msgspec
import numpy as np

from shiftproof.plain import plain_texts
from shiftproof.provenance import provenance
from shiftproof.proving import runs
from shiftproof.refuting import trials
from shiftproof.report.tables import Table
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
    def kind(self) -> str:
        """What computes, such as `AMD EPYC, 2 cores` or `NVIDIA H200`."""
        if self.platform != "cpu":
            return self.device
        name = re.sub(r"\(R\)|\(TM\)| Processor", "", self.processor)
        return f"{name}, {self.processors} cores"

    @property
    def label(self) -> str:
        """One line; rows of the same label were measured on the same kind of machine."""
        return f"{self.devices} x {self.kind}, jax {self.jax}"


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
    samples: Annotated[list[float], msgspec.Meta(min_length=1)]
    aim: float | None
    facts: dict[str, Fact]
    machine: Machine


def schema() -> dict[str, Any]:
    """The JSON Schema of a row, with descriptions as every version of msgspec would write them."""
    found = json.loads(msgspec.json.encode(msgspec.json.schema(Row)))
    for definition in found["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return found


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
        quick: a quick run; every row then has the fact `quick`.

    Raises:
        ValueError: the file cannot be written.
    """

    def __init__(
        self, path: Path, *, part: str, until: float = math.inf, quick: bool = False
    ) -> None:
        self.path, self.part, self.until, self.quick = path, part, until, quick
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
            facts | ({"quick": True} if self.quick else {}),
            self.machine,
        )
        self.rows.append(row)
        with self.path.open("ab") as stream:
            stream.write(msgspec.json.encode(row) + b"\n")

    def show(self, console: Console, units: Container[str] | None = None) -> None:
        """The rows so far, or those of some units, as a table."""
        shown = [row for row in self.rows if units is None or row.unit in units]
        title = self.machine.label + (", quick run" if self.quick else "")
        console.print(figure_table(title, shown))
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


PREFIXES = (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")


def scale(value: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the unit that people then read: ms, GB/s, GFLOP/s.

    >>> scale(0.0047, "s"), scale(1.794e11, "FLOP/s"), scale(12, "us")
    ((0.001, 'ms'), (1000000000.0, 'GFLOP/s'), (1, 'µs'))
    """
    if unit == "us":
        factor, name = scale(value * 1e-6, "s")
        return (1, name) if name == "µs" else (factor * 1e6, name)
    if unit == "s":
        return next(((f, n) for f, n in ((1, "s"), (1e-3, "ms")) if abs(value) >= f), (1e-6, "µs"))
    if unit in ("FLOP/s", "B/s", "B"):
        factor, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), (1, ""))
        return factor, prefix + unit
    return 1, {"ratio": "", "count": "", "1/s": "/s"}.get(unit, unit)


def plain_number(value: float) -> str:
    """Three digits, thousands apart, never an exponent.

    >>> plain_number(0.4749), plain_number(50171.7), plain_number(3), plain_number(0.0000123)
    ('0.475', '50,172', '3', '0.0000123')
    """
    if abs(value) >= 99.95 or value == 0:
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def quantity(value: float, unit: str) -> str:
    """A value with its unit.

    >>> quantity(0.004749, "s"), quantity(6.16e9, "B/s"), quantity(1.4, "ratio")
    ('4.75 ms', '6.16 GB/s', '1.4')
    """
    factor, name = scale(value, unit)
    return f"{plain_number(value / factor)} {name}".rstrip()


def quartiles(row: Row) -> str:
    """In the unit of the median; "" where there is one sample."""
    if len(row.samples) == 1:
        return ""
    factor, _ = scale(row.median, row.unit)
    return " .. ".join(plain_number(q / factor) for q in (row.quartile_low, row.quartile_high))


def figure_table(title: str, rows: Iterable[Row], *, machines: bool = False) -> Table:
    """Medians and quartiles of some rows; with `machines`, where each was measured."""
    cells = tuple(
        (
            row.case,
            row.figure,
            quantity(row.median, row.unit),
            quartiles(row),
            "" if row.aim is None else plain_number(row.aim),
            *((row.machine.label,) if machines else ()),
        )
        for row in rows
    )
    columns = ("case", "figure", "median", "quartiles", "aim", *(("machine",) if machines else ()))
    return used_columns(
        Table(title, columns, cells, numbers=frozenset({2, 3, 4}), flexible=frozenset({0, 1, 3, 5}))
    )


def used_columns(table: Table) -> Table:
    """The table without the columns in which no row has anything."""
    kept = [i for i in range(len(table.columns)) if any(row[i] for row in table.rows)]
    place = {old: new for new, old in enumerate(kept)}
    return dataclasses.replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
        numbers=frozenset(place[i] for i in table.numbers if i in place),
        flexible=frozenset(place[i] for i in table.flexible if i in place),
        optional=tuple(place[i] for i in table.optional if i in place),
    )


def machine_box(named: Mapping[str, Sequence[Machine]]) -> Table:
    """One column a machine, or a file: what was measured on, all that is known of it."""
    asked: dict[str, Callable[[Machine], str]] = {
        "device": lambda m: f"{m.devices} x {m.device}",
        "processor": lambda m: m.processor,
        "cores": lambda m: str(m.processors),
        "memory of the device": lambda m: quantity(m.memory_bytes, "B") if m.memory_bytes else "",
        "highest clock": lambda m: f"{m.clock_mhz:,.0f} MHz" if m.clock_mhz else "",
        "system": lambda m: m.system,
        "python": lambda m: m.python,
        "jax, jaxlib": lambda m: f"{m.jax}, {m.jaxlib}",
        "flax": lambda m: m.flax,
        "numpy": lambda m: m.numpy,
        "shiftproof": lambda m: m.shiftproof,
        "precision of products": lambda m: m.matmul_precision,
        "XLA_FLAGS": lambda m: m.xla_flags,
        "processes": lambda m: str(m.processes),
        "commit": lambda m: m.git[:10] + (" and changes" if m.dirty else ""),
    }
    rows = [
        (
            name,
            *(", ".join(filter(None, dict.fromkeys(map(ask, found)))) for found in named.values()),
        )
        for name, ask in asked.items()
    ]
    loads = [[m.load for m in machines if m.load is not None] for machines in named.values()]
    rows.append(
        (
            "load (busy processes)",
            *(f"{min(found):.1f} .. {max(found):.1f}" if found else "" for found in loads),
        )
    )
    return Table(
        "Where it was measured",
        ("", *named),
        tuple(row for row in rows if any(row[1:])),
        flexible=frozenset(range(1, len(named) + 1)),
    )
