"""`python -m benchmarks [PART]`: rows to a file, a table to look at.

Parts are exact, layers, learning, sweep, verify, field, zoo and scale; report draws their rows. Without a part it runs
all, each in its share of `--minutes` where there is a limit.
"""

import dataclasses
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from benchmarks import exact, field, layers, learning, report, scale, sweep, verify, zoo
from shiftproof.terminal import Console


@dataclasses.dataclass(frozen=True)
class _Part:
    """What all parts share."""

    out: Path = Path("benchmarks.jsonl")
    """Rows are appended to this file."""
    repeats: int = 7
    """Interleaved repetitions; medians need at least 5."""
    quick: bool = False
    """Small cases only, for a look."""
    device: str | None = None
    """Platform to run on, such as cpu, gpu or tpu; JAX's own choice by default."""
    minutes: float | None = None
    """After so many no case begins; what is left out is said."""
    until: tyro.conf.Suppress[float] = math.inf
    """The time after which no case begins."""


@dataclasses.dataclass(frozen=True)
class Exact(_Part):
    """What is taken for exact on this device, held against the host's processor."""


@dataclasses.dataclass(frozen=True)
class Layers(_Part):
    """A convolution against dense layers, and against its own matrix."""

    sizes: tuple[int, ...] = ()
    """Only the equal-function pair, at these sizes of the image."""


@dataclasses.dataclass(frozen=True)
class Learning(_Part):
    """What convolutional and dense networks learn from digits, judged on every placement."""

    mnist: Path | None = None
    """Folder with MNIST's IDX files, instead of scikit-learn's digits."""


@dataclasses.dataclass(frozen=True)
class Sweep(_Part):
    """Full sweeps against bare forwards and against the loop that people write by hand."""


@dataclasses.dataclass(frozen=True)
class Verify(_Part):
    """Verdicts on every shift against the sweep that runs them all, and the growth of the analysis."""

    cases: tuple[str, ...] = ()
    """Only these, such as lenet-28 resnet18-224."""


@dataclasses.dataclass(frozen=True)
class Field(_Part):
    """Exact arithmetic in the field against forward passes, and its share of a verdict."""


@dataclasses.dataclass(frozen=True)
class Zoo(_Part):
    """Families of published models, decided, against a sweep of all their shifts."""


@dataclasses.dataclass(frozen=True)
class Scale(_Part):
    """One sweep shared by several devices and processes."""


@dataclasses.dataclass(frozen=True)
class All(_Part):
    """All parts, one after the other."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Tables and plots of recorded rows, also of several machines side by side."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """JSON Lines as the other parts write them."""
    out: Path = Path("benchmarks-report")
    """Folder for report.html and the plots."""


RUNS: dict[type, Callable[[Any], None]] = {
    Exact: lambda c: exact.run(c.out, quick=c.quick, until=c.until),
    Layers: lambda c: layers.run(
        c.out, repeats=c.repeats, quick=c.quick, until=c.until, sizes=c.sizes
    ),
    Learning: lambda c: learning.run(c.out, quick=c.quick, until=c.until, mnist=c.mnist),
    Sweep: lambda c: sweep.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Verify: lambda c: verify.run(
        c.out, repeats=c.repeats, quick=c.quick, until=c.until, cases=c.cases
    ),
    Field: lambda c: field.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Zoo: lambda c: zoo.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Scale: lambda c: scale.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
}
PARTS = tuple(RUNS)
COMMANDS = (*PARTS, All, Report)


def main() -> int:
    """Run one command; returns the exit code, after one clear message where it failed."""
    names = [kind.__name__.lower() for kind in COMMANDS]
    arguments = sys.argv[1:]
    if not arguments or (arguments[0] not in names and arguments[0] not in ("-h", "--help")):
        if arguments and not arguments[0].startswith("-"):
            print(
                f"error: there is no part {arguments[0]!r}; there are {', '.join(names)}.",
                file=sys.stderr,
            )
            return 2
        arguments = ["all", *arguments]
    command: Any = Annotated[COMMANDS[0], tyro.conf.subcommand(names[0])]
    for kind, name in zip(COMMANDS[1:], names[1:], strict=True):
        command = command | Annotated[kind, tyro.conf.subcommand(name)]
    chosen = tyro.cli(
        command,
        prog="python -m benchmarks",
        description="Convolution against dense, sweeps and verdicts: recorded, never asserted.\n\n"
        "Without a part all run, for hours; --quick takes small cases only, for a look. Parts also take --device gpu, "
        "--minutes 8, --out FILE and more: see `python -m benchmarks all --help`.",
        config=(tyro.conf.FlagCreatePairsOff,),
        args=arguments,
    )
    try:
        _run(chosen)
    except (ValueError, OSError, ImportError) as error:
        Console(stderr=True).say(f"error: {error}", style="red")
        return 2
    return 0


def _choose(platform: str | None) -> None:
    """Use one platform, before anything is computed; the host's processor stays at hand."""
    if platform is None:
        return
    if platform == "cpu":
        jax.config.update("jax_platforms", platform)
    try:
        jax.config.update("jax_default_device", jax.devices(platform)[0])
    except RuntimeError as error:
        raise ValueError(
            f"there is no device {platform!r} that JAX can use here: {error}"
        ) from error


def _run(command: Any) -> None:
    if isinstance(command, Report):
        for written in report.write(command.files, command.out):
            Console().say(f"wrote {written}")
        return
    if command.repeats < 5:
        raise ValueError("--repeats must be at least 5: medians of fewer say little.")
    _choose(command.device)
    parts = PARTS if isinstance(command, All) else (type(command),)
    end = math.inf if command.minutes is None else time.monotonic() + 60 * command.minutes
    for number, part in enumerate(parts):
        begin = time.monotonic()
        until = begin + (end - begin) / (len(parts) - number)
        options = vars(command) | {"until": until}
        known = {field.name for field in dataclasses.fields(part)}
        RUNS[part](part(**{name: options[name] for name in known & options.keys()}))
        if len(parts) > 1:
            Console().rule(f"{part.__name__.lower()}: {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
