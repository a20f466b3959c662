"""`python -m benchmarks sweep`: rows to a file, a table to the terminal."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks import sweep


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Full sweeps against bare forwards and against the loop that people write by hand."""

    out: Path = Path("benchmarks-sweep.jsonl")
    """Rows are appended to this file."""
    repeats: int = 7
    """Interleaved repetitions; medians need at least 5."""
    quick: bool = False
    """Small cases only, for a look."""


def main() -> None:
    command = tyro.cli(
        Annotated[Sweep, tyro.conf.subcommand("sweep")]
        | Annotated[None, tyro.conf.subcommand("list")],  # type: ignore[arg-type]
        prog="python -m benchmarks",
    )
    if command is None:
        print("sweep: " + (sweep.__doc__ or "").splitlines()[0])
        return
    if command.repeats < 5:
        raise SystemExit("--repeats must be at least 5: medians of fewer say little.")
    sweep.run(command.out, repeats=command.repeats, quick=command.quick)


main()
