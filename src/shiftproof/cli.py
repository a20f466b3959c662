"""The command line: `shiftproof demo | sweep | doctor`.

Nothing heavy is imported before a command runs, so that `--help` answers at once. Exit codes: 0 done, 2 a
mistake in the call or its input, 130 interrupted.
"""

import dataclasses
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from shiftproof._version import __version__
from shiftproof.errors import ShiftproofError, ShiftproofWarning

Sizes = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train small networks on real digits and map what every shift does to them.

    Writes report.html, PNGs and results.json, and prints the same as tables.
    """

    out: Path = Path("shiftproof-demo")
    """Folder for the report."""
    mnist: Path | None = None
    """Folder with MNIST's IDX files; scikit-learn's digits otherwise."""
    png: Path | None = None
    """A PNG to picture instead of a digit of the test set."""
    seed: int = 0
    """Of the split, the weights and the training."""
    json: bool = False
    """Print the results as JSON on standard output, everything else on standard error."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Compare every layer of a model under every integer shift of its grid.

    Without images the question is about the architecture: integer probes and integer weights, compared exactly.
    """

    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TARGET")]
    """file.py:factory, package.module:factory, or the name of a zoo model."""
    shape: Sizes | None = None
    """Shape of one image, channels last, such as 28 28 1; zoo models know theirs."""
    digits: bool = False
    """Sweep real digits (scikit-learn's, on a 28x28 canvas)."""
    mnist: Path | None = None
    """Sweep MNIST images from this folder of IDX files."""
    png: Path | None = None
    """Sweep this PNG."""
    count: int = 4
    """How many probes or images."""
    boundary: Literal["circular", "zero", "scene"] = "circular"
    """What enters where content leaves."""
    grid: Sizes | None = None
    """Size of the window that moves over the images; for --boundary scene."""
    law: Literal["same", "stride", "any"] = "stride"
    """Output shift to compare with: the same, divided by the stride, or the best of all."""
    weights: Literal["these", "integers"] | None = None
    """The model's own weights, or small integers; integers without images, these with."""
    dtype: Literal["auto", "float32", "float64", "bfloat16", "float16", "int32"] = "auto"
    """Number format; auto takes the first that is exact."""
    spatial_axes: Sizes | None = None
    """Grid axes of one image, batch not counted; all but the last by default."""
    output_axes: Sizes | None = None
    """Grid axes of the batched outputs, where they cannot be followed."""
    layers: tuple[str, ...] | None = None
    """Names of the layers to keep; all by default."""
    seed: int = 0
    """Of integer probes and weights."""
    chunk: int | None = None
    """Shifts per chunk; chosen from the memory by default."""
    out: Path | None = None
    """Folder for report.html, maps.png, sweep.npz, sweep.json and finished chunks."""
    resume: bool = False
    """Go on with an interrupted sweep in the folder of --out."""
    json: bool = False
    """Print counts, lattices and exactness as JSON on standard output."""


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Print versions, devices and precision defaults, and check that integers stay exact."""

    json: bool = False
    """Print the findings as JSON."""


Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"shiftproof {__version__}")
        sys.exit(0)
    command = tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="shiftproof",
        description="Every integer shift of a Flax model's input grid: where it is equivariant, where invariant.",
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    sys.exit(run(command))


def run(command: Demo | Sweep | Doctor) -> int:
    """Run one command; returns the exit code, after one clear message where it failed."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        errors.print(f"warning: {message}", style="yellow", markup=False)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ShiftproofWarning)
            warnings.showwarning = show
            match command:
                case Demo():
                    _demo(command, errors)
                case Sweep():
                    _sweep(command, errors)
                case Doctor():
                    _doctor(command)
    except (ShiftproofError, ValueError, ImportError, OSError) as error:
        errors.print(f"error: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        hint = ""
        if isinstance(command, Sweep) and command.out is not None:
            hint = f" Finished chunks are in {command.out}; the same command with --resume goes on."
        errors.print(f"interrupted.{hint}", style="yellow", markup=False)
        return 130
    return 0


def _print_json(data: Any) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def _demo(command: Demo, errors: Console) -> None:
    from shiftproof.demo import run_demo

    console = errors if command.json else Console()
    results = run_demo(
        command.out, mnist=command.mnist, png=command.png, seed=command.seed, console=console
    )
    if command.json:
        _print_json(results)


def _sweep(command: Sweep, errors: Console) -> None:
    from shiftproof.progress import reporting
    from shiftproof.report import report_sweep, sweep_table
    from shiftproof.sweeping import sweep
    from shiftproof.targets import load_target

    if command.resume and command.out is None:
        raise ValueError("--resume needs --out, the folder of the interrupted sweep.")
    target = load_target(command.target, seed=command.seed)
    images = _images(command, target.shape)
    with reporting(errors, target.name) as progress:
        result = sweep(
            target.model,
            images,
            spatial_axes=command.spatial_axes,
            output_axes=command.output_axes,
            boundary=command.boundary,
            grid=command.grid,
            law=command.law,
            weights=command.weights,
            dtype=command.dtype,
            layers=command.layers,
            name=target.name,
            seed=command.seed,
            probes=command.count,
            chunk=command.chunk,
            directory=command.out,
            resume=command.resume,
            progress=progress,
        )
    written = report_sweep(result, command.out) if command.out else []
    if command.json:
        _print_json(result.to_json())
        return
    console = Console()
    console.print(sweep_table(result))
    for path in written:
        console.print(f"wrote {path}", highlight=False)


def _images(command: Sweep, shape: tuple[int, ...] | None) -> Any:
    """The images asked for: real ones, or the shape of integer probes."""
    from shiftproof import data

    chosen = [name for name in ("digits", "mnist", "png") if getattr(command, name)]
    if len(chosen) > 1:
        raise ValueError(
            f"--{' and --'.join(chosen)} exclude each other: choose one source of images."
        )
    if command.count < 1:
        raise ValueError(f"--count must be at least 1; got {command.count}.")
    if command.digits:
        return data.digits().images[: command.count]
    if command.mnist is not None:
        return data.mnist(command.mnist).images[: command.count]
    if command.png is not None:
        return data.png(command.png).images
    shape = command.shape or shape
    if shape is None:
        raise ValueError(
            f"the shape of one image is missing: add --shape 28 28 1 (height width channels), or real images by "
            f"--digits, --mnist DIR or --png FILE, to sweep {command.target}."
        )
    return tuple(shape)


def _doctor(command: Doctor) -> None:
    from shiftproof.doctor import examine, render

    diagnosis = examine()
    if command.json:
        _print_json(dataclasses.asdict(diagnosis))
    else:
        Console().print(render(diagnosis))
