"""`python -m benchmarks sweep | verify`: rows to a file, a table to the terminal."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks import sweep, verify


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Full sweeps against bare forwards and against the loop that people write by hand."""

    out: Path = Path("benchmarks-sweep.jsonl")
    """Rows are appended to this file."""
    repeats: int = 7
    """Interleaved repetitions; medians need at least 5."""
    quick: bool = False
    """Small cases only, for a look."""


@dataclasses.dataclass(frozen=True)
class Verify:
    """Verdicts on every shift against the sweep that runs them all, and the growth of the analysis."""

    out: Path = Path("benchmarks-verify.jsonl")
    """Rows are appended to this file."""
    repeats: int = 5
    """Repetitions; medians need at least 5."""
    quick: bool = False
    """Small cases only, for a look."""


def main() -> None:
    command = tyro.cli(
        Annotated[Sweep, tyro.conf.subcommand("sweep")]
        | Annotated[Verify, tyro.conf.subcommand("verify")],  # type: ignore[arg-type]
        prog="python -m benchmarks",
        description="What sweeps and verdicts cost, recorded and never asserted.",
    )
    if command.repeats < 5:
        raise SystemExit("--repeats must be at least 5: medians of fewer say little.")
    run = sweep.run if isinstance(command, Sweep) else verify.run
    run(command.out, repeats=command.repeats, quick=command.quick)


main()
