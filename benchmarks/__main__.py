"""`python -m benchmarks [PART]`: rows to a file, a table to look at.

Parts are exact, layers, learning, sweep, verify, command, field, zoo and scale, and atlas, which takes hours and runs
only where it is named; report draws their rows, compare sets two files of them side by side. Without a part it runs all
but the atlas, each in its share of `--minutes` where there is a limit.
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

from benchmarks import (
    atlas,
    command,
    compare,
    exact,
    field,
    layers,
    learning,
    report,
    scale,
    sweep,
    verify,
    zoo,
)
from shiftproof.terminal import Console


@dataclasses.dataclass(frozen=True)
class _Part:
    """What all parts share."""

    out: Path = Path("benchmarks.jsonl")
    """Rows are appended to this file."""
    repeats: int = 7
    """Interleaved repetitions; medians need at least 5."""
    quick: bool = False
    """Small cases only, to see that everything runs; leaves learning out."""
    device: str | None = None
    """Platform to run on, such as cpu, gpu or tpu; JAX's own choice by default."""
    minutes: float | None = None
    """After so many no case begins; what is left out is said."""
    until: tyro.conf.Suppress[float] = math.inf
    """The time after which no case begins."""


@dataclasses.dataclass(frozen=True)
class Exact(_Part):
    """What is taken for exact on this device, compared with the host's processor."""


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
class Command(_Part):
    """Whole processes of `shiftproof verify FILE` against one that only imports Flax."""


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
class Atlas(_Part):
    """Published architectures decided, as published and with each cause removed; for hours, and not among all parts."""

    cases: tuple[str, ...] = ()
    """Only these, such as timm:resnet18."""
    share: str = "1/1"
    """Which part of them, such as 1/2 and 2/2 for two processes at once."""


@dataclasses.dataclass(frozen=True)
class All(_Part):
    """All parts, one after the other."""


@dataclasses.dataclass(frozen=True)
class Report:
    """Tables and plots of recorded rows, also of several machines side by side."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """JSON Lines as the other parts write them."""
    out: Path = Path("benchmarks-report")
    """Folder for report.html, and for every figure as SVG and PNG."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Ratios of two files of rows, new over old, with their spread."""

    old: tyro.conf.Positional[Path]
    """JSON Lines as the parts write them."""
    new: tyro.conf.Positional[Path]
    """The same of a later commit, or of another machine."""
    fail_if: float | None = None
    """Exit with 1 where a ratio is above this one beyond its spread, such as 1.2."""


RUNS: dict[type, Callable[[Any], None]] = {
    Exact: lambda c: exact.run(c.out, quick=c.quick, until=c.until),
    Layers: lambda c: layers.run(
        c.out, repeats=c.repeats, quick=c.quick, until=c.until, sizes=c.sizes
    ),
    Learning: lambda c: learning.run(c.out, until=c.until, mnist=c.mnist),
    Sweep: lambda c: sweep.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Verify: lambda c: verify.run(
        c.out, repeats=c.repeats, quick=c.quick, until=c.until, cases=c.cases
    ),
    Command: lambda c: command.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Field: lambda c: field.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Zoo: lambda c: zoo.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
    Scale: lambda c: scale.run(c.out, repeats=c.repeats, quick=c.quick, until=c.until),
}
PARTS = tuple(RUNS)
RUNS[Atlas] = lambda c: atlas.run(c.out, quick=c.quick, until=c.until, cases=c.cases, share=c.share)
COMMANDS = (*PARTS, Atlas, All, Report, Compare)
EXAMPLES = """Convolution against dense, sweeps and verdicts: recorded, never asserted.

$ python -m benchmarks                    all parts, for hours
$ python -m benchmarks --quick            small cases only, 5 minutes
$ python -m benchmarks layers --quick     one part
$ python -m benchmarks report FILE        tables and figures of recorded rows
$ python -m benchmarks compare OLD NEW    what has become slower

All parts take --quick, --repeats 7, --device gpu, --minutes 8 and --out FILE."""
UNTRAINED = "networks that are trained for seconds say nothing of what they learn."
QUICK = "quick run: small cases, that say nothing of larger ones"


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
    union: Any = Annotated[COMMANDS[0], tyro.conf.subcommand(names[0])]
    for kind, name in zip(COMMANDS[1:], names[1:], strict=True):
        union = union | Annotated[kind, tyro.conf.subcommand(name)]
    chosen = tyro.cli(
        union,
        prog="python -m benchmarks",
        description=EXAMPLES,
        config=(tyro.conf.FlagCreatePairsOff,),
        args=arguments,
        default=All(),
    )
    try:
        return _run(chosen)
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else error
        Console(stderr=True).say(f"error: {told}.", style="red")
        return 2
    except (ValueError, ImportError) as error:
        Console(stderr=True).say(f"error: {error}", style="red")
        return 2


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


def _run(chosen: Any) -> int:
    match chosen:
        case Compare(old, new, fail_if):
            return compare.compare(old, new, fail_if=fail_if)
        case Report(files, out):
            for written in report.write(files, out):
                Console().say(f"wrote {written}")
        case _:
            _measure(chosen)
    return 0


def _measure(chosen: Any) -> None:
    """Run one part, or all."""
    if chosen.repeats < 5:
        raise ValueError("--repeats must be at least 5: medians of fewer say little.")
    if chosen.quick and isinstance(chosen, Learning):
        raise ValueError(
            f"learning has no quick run: {UNTRAINED} Leave --quick out: it takes some minutes."
        )
    _choose(chosen.device)
    parts = PARTS if isinstance(chosen, All) else (type(chosen),)
    console = Console()
    if chosen.quick:
        console.rule(QUICK)
        parts = tuple(part for part in parts if part is not Learning)
    end = math.inf if chosen.minutes is None else time.monotonic() + 60 * chosen.minutes
    for number, part in enumerate(parts):
        begin = time.monotonic()
        until = begin + (end - begin) / (len(parts) - number)
        options = vars(chosen) | {"until": until}
        known = {field.name for field in dataclasses.fields(part)}
        RUNS[part](part(**{name: options[name] for name in known & options.keys()}))
        if len(parts) > 1:
            console.rule(f"{part.__name__.lower()}: {time.monotonic() - begin:.0f} s")
    if chosen.quick:
        console.rule(QUICK)
        if isinstance(chosen, All):
            console.say(f"learning was left out: {UNTRAINED} For it: python -m benchmarks learning")


if __name__ == "__main__":
    sys.exit(main())
