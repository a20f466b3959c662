"""The command line: options of several commands, a class of options for each, the functions that run them, one table.

Nothing heavy is imported before a command runs, so that `--help` answers at once. Exit codes: 0 done (for `verify` and
`check`: proved; for `replay`: reproduced; for `diff`: not worse), 1 refuted (or not proved, not reproduced, worse), 2 a
mistake in the call or its input, 3 undecided (`replay`: nothing was run), 4 a defect of shiftproof itself, 5 `replay`
on another model than the file is about, 130 interrupted.

Over 600 lines, because the commands are one list, most of it help.
"""

import atexit
import contextlib
import dataclasses
import functools
import gc
import io
import operator
import os
import shlex
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from shiftproof import compile_cache
from shiftproof._version import __version__
from shiftproof.errors import ContradictionError, ShiftproofError, ShiftproofWarning
from shiftproof.plain import plain_lines
from shiftproof.terminal import Console

# Options of several commands, each declared once.
Sizes = Annotated[tuple[int, ...] | None, arg(metavar="N [N ...]")]
"""Sizes or axes of a grid; None where they are not said."""
Target = Annotated[
    Positional[str],
    arg(
        metavar="TARGET",
        help="The model: file.py, file.py:name, package.module:name (of a class, factory or function), a zoo model, "
        "or a published architecture by name, such as torchvision:resnet18, timm:convnext_tiny, keras:resnet50.",
    ),
]
File = Annotated[Positional[Path], arg(metavar="FILE")]
Shape = Annotated[
    Sizes,
    arg(
        help="Shape of one image in the layout of the model's framework, such as 28 28 1, or with the channels first "
        "(PyTorch, Equinox) 1 28 28. By default it is found out from the model."
    ),
]
Grid = Annotated[
    Sizes, arg(help="Sizes of one image (height and width), such as 28 28; in place of --shape.")
]
Channels = Annotated[
    int | None, arg(help="Channels of one image. By default they are found out from the model.")
]
Weights = Annotated[
    Literal["all", "these"] | None,
    arg(
        help="Ask about all weights (the architecture; default), or about those that the model has (default for a "
        "plain function, whose weights cannot be told from its constants)."
    ),
]
SpatialAxes = Annotated[
    Sizes,
    arg(
        help="Axes of one image that shift, batch not counted. By default all but that of the channels, which the "
        "framework has last, or first (PyTorch, Equinox)."
    ),
]
OutputAxes = Annotated[
    Sizes,
    arg(help="Axes of the outputs that shift, batch counted; only needed if an error asks for it."),
]
Layers = Annotated[
    tuple[str, ...] | None, arg(help="Names of the layers to compare. All by default.")
]
Seed = Annotated[int, arg(help="Random seed for images, weights and all else that is drawn.")]
Json = Annotated[bool, arg(help="Print the result as JSON on standard output.")]


Boundary = Literal["torus", "scene", "background"]
"""As `group.BoundaryName`; that module imports NumPy, which `--help` does not wait for."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train small networks on digits, and show what every shift does to them.

    Writes report.html, pictures and results.json, and prints tables.
    """

    out: Path = Path("shiftproof-demo")
    """Folder for the report."""
    mnist: Path | None = None
    """Folder with MNIST's IDX files. By default scikit-learn's digits are used."""
    png: Path | None = None
    """PNG file to show in place of a digit."""
    seed: Seed = 0
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Shift given images, and measure how far every layer deviates.

    Without images: test images and weights of small whole numbers.
    """

    target: Target
    shape: Shape = None
    digits: bool = False
    """Take real digits (scikit-learn's, on an empty 28x28 image)."""
    mnist: Path | None = None
    """Take MNIST images from this folder of IDX files."""
    png: Path | None = None
    """Take this PNG file."""
    count: int = 4
    """Number of images."""
    boundary: Boundary = "torus"
    """What enters at the border: the other side (torus), more of a larger scene, or nothing (background)."""
    grid: Sizes = None
    """Sizes of the window that moves over the images, such as 28 28; for --boundary scene."""
    law: Literal["same", "stride", "any"] = "stride"
    """How far the output should move: as far as the image, that divided by the stride, or as fits best."""
    weights: Literal["these", "integers"] | None = None
    """These of the model (default with images), or small integers (default without)."""
    dtype: Literal["auto", "float32", "float64", "bfloat16", "float16", "int32"] = "auto"
    """Number format. auto: float32, or float64 if only that is exact."""
    spatial_axes: SpatialAxes = None
    output_axes: OutputAxes = None
    layers: Layers = None
    seed: Seed = 0
    chunk: int | None = None
    """Shifts computed at once. By default as many as fit into memory."""
    out: Path | None = None
    """Write report.html, maps.png, sweep.npz, sweep.json and finished chunks to this folder."""
    resume: bool = False
    """Continue an interrupted sweep in the folder of --out."""
    precision: Literal["highest", "high", "default"] = "highest"
    """Precision of float32 products and convolutions. Matters on GPUs and TPUs only."""
    distributed: bool = False
    """Share the work with the other processes of a TPU slice, Slurm or MPI job, through the folder of --out."""
    coordinator: str | None = None
    """HOST:PORT of the first process, to share the work by hand; with --processes and --process."""
    processes: int | None = None
    """Number of processes that share the work."""
    process: int | None = None
    """Number of this process, from 0."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Placements:
    """Put given objects everywhere on an empty image: which layers move along?

    By default test objects and weights of small whole numbers, compared exactly.
    """

    target: Target
    object: Sizes = None
    """Shape of one object in the layout of the model's framework, such as 3 3 1. For zoo models a quarter of the image
    by default."""
    canvas: Sizes = None
    """Sizes of the empty image, such as 28 28. Not needed for zoo models."""
    digits: bool = False
    """Take real digits (scikit-learn's, on an empty 28x28 image), with the model's own weights."""
    count: int = 4
    """Number of objects."""
    weights: Literal["these", "integers"] | None = None
    """These of the model (default with --digits), or small integers (default otherwise)."""
    spatial_axes: SpatialAxes = None
    output_axes: OutputAxes = None
    layers: Layers = None
    seed: Seed = 0
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Verify:
    """Decide every shift: proved for all images, refuted by an image, or undecided.

    Exit code 0: all asked is proved; 1: something is refuted; 3: undecided.

    On a scene 0: each output has cells that just move with it; 1: one has none.
    """

    target: Target
    shape: Shape = None
    grid: Grid = None
    channels: Channels = None
    boundary: Boundary = "torus"
    """What enters at the border: the other side (torus), more of a larger scene, or nothing (an object moves about)."""
    object: Sizes = None
    """Sizes of the object on a background, such as 3 3; a quarter of the image by default."""
    property: Literal["both", "equivariance", "invariance"] = "both"
    """Whether the output moves with the image (equivariance), stays the same (invariance), or both questions."""
    law: Literal["any", "same"] = "any"
    """How far the output may move: any shift that fits, or the same as the image."""
    weights: Weights = None
    shifts: tuple[str, ...] | None = None
    """Shifts that the exit code is about: some, such as 4,0 0,4, or every 4th: 4Z,4Z. All by default."""
    spatial_axes: SpatialAxes = None
    output_axes: OutputAxes = None
    why: bool = True
    """Print also what would hold without the causes, the repair, and other boundaries; --no-why is faster."""
    full: bool = False
    """Print all tables and maps, too."""
    sweep: bool = False
    """Measure how far the outputs deviate under every shift, too. Shifts that must deviate alike run once."""
    brute: bool = False
    """With --sweep: run every shift."""
    exhaustive: bool = False
    """Try every shift by itself, too, in exact arithmetic, and compare. Slower; the answer is the same."""
    search_seconds: float = 40.0
    """Seconds for the search for counterexamples, compilation not counted. What is left is undecided."""
    watch: bool = False
    """Verify again whenever a file of the model changes, and print what changed. Ctrl-C ends."""
    seed: Seed = 0
    out: Path | None = None
    """Write report.html, maps.png, verdict.json, proofs and counterexamples to this folder."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Diff:
    """Compare two verdicts, models or revisions of a file, shift by shift.

    Prints which shifts changed their word, and which layer did it.

    Exit code 0: nothing got worse; 1: something did.
    """

    first: Annotated[
        Positional[str],
        arg(
            metavar="A",
            help="A verdict (a file of verify --json, or a folder of --out), or a model as for verify.",
        ),
    ]
    second: Annotated[Positional[str | None], arg(metavar="B")] = None
    """Another one."""
    rev: Annotated[
        tuple[str, str] | None,
        arg(
            metavar="OLD NEW",
            help="Compare these two git revisions of one file: shiftproof diff net.py --rev main HEAD.",
        ),
    ] = None
    shape: Shape = None
    grid: Grid = None
    channels: Channels = None
    boundary: Boundary = "torus"
    """As for verify, like all options here; they belong to models."""
    object: Sizes = None
    """Sizes of the object on a background."""
    property: Literal["both", "equivariance", "invariance"] = "both"
    """What is compared."""
    law: Literal["any", "same"] = "any"
    """How far the output may move."""
    weights: Weights = None
    spatial_axes: SpatialAxes = None
    output_axes: OutputAxes = None
    exhaustive: bool = False
    """Try every shift by itself, too."""
    search_seconds: float = 40.0
    """Seconds for the search for counterexamples, for each model."""
    seed: Seed = 0
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Check:
    """Check the file of a proof, without JAX. Exit code 0 only if it proves."""

    file: File
    """A *.certificate.json that verify --out wrote."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """Print what a counterexample claims; with --target run it again on your model.

    Exit code 0: the outputs differ again; 1: they do not; 3: nothing was run; 5: it was run on another model.
    """

    file: File
    """A *.counterexample.npz that verify --out wrote. Nothing that it names is run."""
    target: str | None = None
    """The model to run it on, as for verify."""
    spatial_axes: SpatialAxes = None
    output_axes: OutputAxes = None
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Rules:
    """Print the rules of proof, and which of them every primitive of JAX uses."""

    json: Json = False


@dataclasses.dataclass(frozen=True)
class Pitfalls:
    """List what people believe about CNNs; run a counterexample and a repair."""

    name: Annotated[Positional[str | None], arg(metavar="NAME")] = None
    """The one to run, or all. Without a name they are listed."""


@dataclasses.dataclass(frozen=True)
class Notebooks:
    """Copy three notebooks for students, with exercises, to a folder.

    What a shift is, where pooling breaks it, and how to repair your own network.
    """

    out: Path = Path("shiftproof-notebooks")
    """Folder for the notebooks. Files that were changed in it are never overwritten."""


@dataclasses.dataclass(frozen=True)
class Claims:
    """Show common claims about CNNs: exact statement, verdict, counterexample.

    Lists them, writes the page of their audit and, on a display, opens it.
    """

    id: Annotated[Positional[str | None], arg(metavar="ID")] = None
    """A claim to print in full, such as A1; writes no page."""
    out: Path = Path("shiftproof-claims")
    """Folder for the page."""
    json: Json = False


@dataclasses.dataclass(frozen=True)
class Zoo:
    """List the models that come with shiftproof; each name is a TARGET."""

    json: Json = False


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Print versions and devices, and check that whole numbers stay exact on them."""

    json: Json = False


MOST = 20
"""Layers whose table is printed without --full."""

EXITS = {"proved": 0, "refuted": 1, "undecided": 3}
OTHER_MODEL = 5


@dataclasses.dataclass(frozen=True)
class Terminal:
    """Where a command prints.

    Attributes:
        errors: standard error: notes, warnings, progress.
        warned: the warnings that were printed already.
        noted: the notes that were.
    """

    errors: Console
    warned: list[str] = dataclasses.field(default_factory=list)
    noted: list[str] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        """Print what was not said but found out, once."""
        if text not in self.noted:
            self.noted.append(text)
            self.errors.say(f"note: {text}")

    def warn(self, message: Warning | str, *_: Any, **__: Any) -> None:
        """In place of `warnings.showwarning`."""
        self.warned.append(str(message))
        self.errors.say(f"warning: {message}", style="yellow")


def _print_json(data: Any) -> None:
    import msgspec

    from shiftproof.files import plain_json

    print(msgspec.json.format(plain_json(data), indent=2).decode())


def _demo(command: Demo, terminal: Terminal) -> int:
    from shiftproof.demo import run_demo

    console = terminal.errors if command.json else Console()
    results = run_demo(
        command.out, mnist=command.mnist, png=command.png, seed=command.seed, console=console
    )
    if command.json:
        _print_json(results)
    return 0


def _sweep(command: Sweep, terminal: Terminal) -> int:
    from shiftproof.progress import reporting
    from shiftproof.report.pages import report_sweep
    from shiftproof.report.tables import sweep_table
    from shiftproof.sweeping.processes import Crew, join
    from shiftproof.sweeping.sweep import sweep

    if command.resume and command.out is None:
        raise ValueError("--resume needs --out, the folder of the interrupted sweep.")
    if command.distributed or command.coordinator:
        join(command.coordinator, command.processes, command.process)
    elif command.processes is not None or command.process is not None:
        raise ValueError("--processes and --process need --coordinator HOST:PORT.")
    images = _real_images(command)
    shape = command.shape if images is None else images.shape[1:]
    target = _load(command, terminal, shape=shape)
    if images is None and target.shape is None:
        raise ValueError(
            f"the shape of one image is missing, and {target.name} could not be called on any usual one: add --shape "
            "28 28 1 (height width channels), or real images by --digits, --mnist DIR or --png FILE."
        )
    with reporting(terminal.errors, target.name) as progress:
        result = sweep(
            target.model,
            target.shape if images is None else images,
            **_shared(command, target),
            boundary=command.boundary,
            grid=command.grid,
            law=command.law,
            weights=command.weights,
            dtype=command.dtype,
            layers=command.layers,
            probes=command.count,
            chunk=command.chunk,
            directory=command.out,
            resume=command.resume,
            precision=command.precision,
            progress=progress,
        )
    if not Crew.here().first:
        return 0  # the first process tells and writes
    written = report_sweep(result, command.out) if command.out else []
    if command.json:
        _print_json(result.to_json())
        return 0
    console = Console()
    console.print(sweep_table(result))
    for path in written:
        console.say(f"wrote {path}")
    return 0


def _placements(command: Placements, terminal: Terminal) -> int:
    from shiftproof import data
    from shiftproof.progress import reporting
    from shiftproof.sweeping.placements import placements

    objects: Any = command.object
    canvas, shape = command.canvas, None
    if command.digits:
        objects = data.digits().images[: command.count]
        shape = objects.shape[1:]
    elif canvas is not None and objects is not None:
        shape = (*canvas, objects[-1])
    flag = "--canvas {grid} --object 3 3 {channels}"
    target = _load(command, terminal, shape=shape, flag=flag)
    if not command.digits and target.shape is not None:
        grid, channels = target.model.grid_and_channels(target.shape)
        canvas = canvas or grid
        sizes = [max(1, size // 4) for size in canvas]
        objects = objects or target.model.image_shape(sizes, channels)
    if objects is None or (canvas is None and not command.digits):
        raise ValueError(
            f"what is to be placed is missing: add --object 3 3 1 --canvas 28 28, or --digits, to place objects for "
            f"{command.target}."
        )
    with reporting(terminal.errors, target.name) as progress:
        result = placements(
            target.model,
            objects,
            canvas=canvas,
            **_shared(command, target),
            weights=command.weights,
            layers=command.layers,
            probes=command.count,
            progress=progress,
        )
    if command.json:
        _print_json(result.to_dict())
    else:
        Console().say(*str(result).split("\n"))
    return 0


def _verify(command: Verify, terminal: Terminal) -> int:
    if command.brute and not command.sweep:
        raise ValueError("--brute belongs to --sweep.")
    if command.watch:
        return EXITS[str(_watch(command, terminal).word)]
    answered = _answered if command.boundary == "torus" else _answered_region
    return EXITS[str(answered(command, terminal).word)]


def _answered(command: Verify, terminal: Terminal) -> Any:
    """The verdict, printed with all that was asked for."""
    from shiftproof.answer import begun, explain
    from shiftproof.progress import reporting

    target, verdict, options = _decided(command, terminal)
    console = Console()
    if not command.json:  # explaining takes longer than deciding
        console.say(*begun(verdict).split("\n"))
    answer = explain(
        verdict, target.model, target.shape, options, why=command.why, told=terminal.warned
    )
    measured = None
    if command.sweep:
        from shiftproof.sweeping.sweep import sweep

        with reporting(terminal.errors, target.name) as progress:
            measured = sweep(
                target.model,
                target.shape,
                layers=[],
                method="brute" if command.brute else "cosets",
                progress=progress,
                **_shared(command, target),
            )
    why = answer.why and answer.why.to_dict()
    written = None
    if command.out:
        from shiftproof.report.verdict_page import report_verdict

        written = report_verdict(
            verdict,
            command.out,
            target=command.target,
            answer=answer,
        )
    if command.json:
        data = verdict.to_dict()
        data |= {} if why is None else {"counterfactuals": why}
        beyond = {"scene": answer.scene, "background": answer.background}
        data |= {name: found.to_dict() for name, found in beyond.items() if found is not None}
        data |= {} if measured is None else {"sweep": measured.to_json()}
        _print_json(data)
        return verdict
    if answer.rest:
        console.say(*answer.rest.split("\n"))
    if answer.is_cut and not command.full:
        console.say("--full shows all of it.")
    if command.full:
        _print_in_full(console, answer)
    if measured is not None:
        from shiftproof.report.tables import sweep_table

        console.print(sweep_table(measured))
    if written is not None:
        identities = f"{len(written.identities)} identities, " if written.identities else ""
        console.say(
            f"wrote {written.html.parent}: report.html, maps.png, verdict.json, "
            f"{len(written.certificates)} certificates, {identities}{len(written.counterexamples)} counterexamples"
        )
    return verdict


def _decided(command: Verify, terminal: Terminal) -> tuple[Any, Any, dict[str, Any]]:
    """The target, its verdict, and with which options it was verified."""
    from shiftproof.deciding.asked import shifts_of
    from shiftproof.deciding.verify import verify

    target = _target_of(command, terminal)
    options = {
        "property": command.property,
        "law": command.law,
        "weights": command.weights,
        "search_seconds": command.search_seconds,
        **_shared(command, target),
    }
    verdict = verify(
        target.model,
        target.shape,
        shifts=None if command.shifts is None else shifts_of(command.shifts),
        exhaustive=command.exhaustive,
        **options,
    )
    return target, verdict, options


def _watch(command: Verify, terminal: Terminal) -> Any:
    """The answer; then, whenever a file of the model changes, what changed. Returns the last verdict."""
    from shiftproof.comparing.comparison import compare
    from shiftproof.watching import Watch

    if command.json or command.out or command.sweep or command.boundary != "torus":
        raise ValueError("--watch goes with none of --json, --out, --sweep and --boundary.")
    watch, verdict, console = Watch(command.target), None, Console()
    try:
        while True:
            try:
                if verdict is None:
                    verdict = _answered(command, terminal)
                else:
                    before, (_, verdict, _) = verdict, _decided(command, terminal)
                    console.say(*str(compare(before, verdict)).split("\n"))
            except ContradictionError:
                raise
            except (ShiftproofError, ValueError) as error:
                terminal.errors.say(f"error: {error}", style="red")
            console.say("", "watching for changes; Ctrl-C ends.")
            changed = watch.wait()
            names = ", ".join(sorted(path.name for path in changed))
            console.say(f"{time.strftime('%H:%M:%S')} {names} changed.")
    except KeyboardInterrupt:
        if verdict is None:
            raise
        return verdict


def _answered_region(command: Verify, terminal: Terminal) -> Any:
    """The verdict on a scene or a background, printed."""
    from shiftproof.deciding.asked import shifts_of
    from shiftproof.deciding.verify import verify
    from shiftproof.report.verdicts import region_text, verdict_tables

    if command.sweep:
        raise ValueError(
            "--sweep belongs to the torus: see shiftproof sweep --boundary, or shiftproof placements."
        )
    target = _target_of(command, terminal)
    verdict = verify(
        target.model,
        target.shape,
        boundary=command.boundary,
        object=command.object,
        property=command.property,
        law=command.law,
        shifts=None if command.shifts is None else shifts_of(command.shifts),
        weights=command.weights,
        exhaustive=command.exhaustive,
        **_shared(command, target),
    )
    written = None
    if command.out:
        from shiftproof.report.verdict_page import report_verdict

        written = report_verdict(verdict, command.out)
    if command.json:
        _print_json(verdict.to_dict())
        return verdict
    console = Console()
    console.say(*str(verdict).split("\n"))
    counts, layers = verdict_tables(verdict)
    for table in (
        (counts, layers) if command.full else (layers,) if len(layers.rows) <= MOST else ()
    ):
        console.print()
        console.print(table)
    for text in region_text(verdict):
        console.say(*text.split("\n"))
    if written is not None:
        console.say(
            f"wrote {written.html.parent}: report.html, maps.png, verdict.json, {len(written.certificates)} "
            "certificates"
        )
    return verdict


def _print_in_full(console: Any, answer: Any) -> None:
    """All tables and maps behind an answer."""
    from shiftproof.report.counterfactuals import counterfactual_table
    from shiftproof.report.verdicts import layer_table, verdict_tables, verdict_text

    counts, _ = verdict_tables(answer.verdict)
    layers = layer_table(answer.verdict, scene=answer.scene, background=answer.background)
    for table in (counts, layers):
        console.print()
        console.print(table)
    for text in verdict_text(answer.verdict):
        console.print()
        console.say(*text.split("\n"))
    if answer.why is not None:
        console.print(counterfactual_table(answer.why))
        console.say(*str(answer.why).split("\n"))


def _target_of(command: Verify, terminal: Terminal) -> Any:
    """The model, and the shape of one image by whichever option or finding gives it."""
    from shiftproof.tracing.arguments import check_folder

    if command.out is not None:
        check_folder("--out", command.out)
    target = _load(
        command, terminal, shape=command.shape, grid=command.grid, channels=command.channels
    )
    if target.shape is None:
        raise ValueError(
            f"the shape of one image is missing, and {target.name} could not be called on any usual one: add --grid 28 "
            f"28 --channels 1, or --shape 28 28 1."
        )
    return target


def _load(command: Any, terminal: Terminal, **said: Any) -> Any:
    """The model, and notes on what was found out about it."""
    from shiftproof.beside import beside
    from shiftproof.exactness.calibration import calibrate_ahead
    from shiftproof.targets import load_target

    with beside(calibrate_ahead):  # the user's constructor is compiled by one core
        target = load_target(command.target, seed=command.seed, **said)
    for note in target.notes:
        terminal.note(note)
    return target


def _shared(command: Any, target: Any) -> dict[str, Any]:
    """The arguments that everything which decides or sweeps a model takes."""
    return {
        "spatial_axes": command.spatial_axes,
        "output_axes": command.output_axes,
        "name": target.name,
        "seed": command.seed,
    }


def _diff(command: Diff, terminal: Terminal) -> int:
    import tempfile

    from shiftproof.comparing.comparison import compare
    from shiftproof.comparing.sources import is_saved, two_files

    targets = [name for name in (command.first, command.second) if name is not None]
    with tempfile.TemporaryDirectory(prefix="shiftproof-") as folder:
        files = two_files(
            targets, _verify_options(command), Path(folder), terminal.note, revisions=command.rev
        )
        found = compare(*(file for _, file in files))
    found = dataclasses.replace(found, before=files[0][0], after=files[1][0])
    if command.json:
        _print_json(found.to_dict())
    else:
        told = str(found).split("\n")
        if any(map(is_saved, targets)):
            told.append("What a file says is believed; nothing in it was proved again.")
        Console().say(*told)
    return 1 if found.is_worse else 0


def _verify_options(command: Diff) -> list[str]:
    """What was said beyond the defaults, as options of `verify`."""
    own = ("first", "second", "rev", "json")
    words: list[str] = []
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if field.name in own or value == field.default:
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if value is not True:
            words += map(str, value if isinstance(value, tuple) else (value,))
    return words


def _check(command: Check, terminal: Terminal) -> int:
    from shiftproof_kernel.__main__ import main as check

    told, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(wrong):
        code = check(["check", str(command.file)])
    for console, text in ((Console(), told.getvalue()), (terminal.errors, wrong.getvalue())):
        if text:
            console.say(text.rstrip())
    return code


def _replay(command: Replay, _: Terminal) -> int:
    from shiftproof.refuting.counterexample import load_counterexample, replay
    from shiftproof.targets import load_target

    example = load_counterexample(command.file)
    console = Console()
    if command.target is None:
        if command.json:
            _print_json({"claim": str(example), "reproduced": None})
            return EXITS["undecided"]
        console.say(
            str(example),
            "Nothing was run: this is what the file claims. Add --target FILE.py:NAME to run it on your model."
            + (f" It was written for {example.header.target!r}." if example.header.target else ""),
        )
        return EXITS["undecided"]
    # the seed of the weights is part of the counterexample; that of the factory was the same
    seed = example.header.seed if example.header.draw == "these" else 0
    target = load_target(command.target, seed=seed, shape=example.images.shape[1:])
    result = replay(
        example, target.model, spatial_axes=command.spatial_axes, output_axes=command.output_axes
    )
    if command.json:
        _print_json(
            {
                "reproduced": result.reproduced,
                "other_model": result.other,
                "deviation": result.deviation,
                "floor": result.floor,
                "bound": result.bound,
                "limit": result.limit,
                "changed": list(result.changed),
            }
        )
        return _replayed(result)
    console.say(str(example))
    for line in result.changed:
        console.say(f"changed since: {line}", style="yellow")
    console.say(result.text())
    return _replayed(result)


def _replayed(result: Any) -> int:
    """The exit code: what another model does says nothing about the claim of the file."""
    if result.other:
        return OTHER_MODEL
    return 0 if result.reproduced else 1


def _rules(command: Rules, _: Terminal) -> int:
    from shiftproof.report.rules import rules_tables

    tables = rules_tables()
    if command.json:
        _print_json([{"title": t.title, "columns": t.columns, "rows": t.rows} for t in tables])
        return 0
    console = Console()
    for table in tables:
        console.print(table)
        console.print()
    return 0


def _real_images(command: Sweep) -> Any:
    """The images asked for; None where integer probes are."""
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
    return None


def _pitfalls(command: Pitfalls, _: Terminal) -> int:
    if command.name is None:
        from shiftproof.zoo.pitfalls import PITFALLS

        width = max(map(len, PITFALLS))
        for pitfall in PITFALLS.values():
            lines = textwrap.wrap(pitfall.claim, 76 - width)
            print(f"{pitfall.name:{width}}  {lines[0]}")
            print("".join(f"{'':{width}}  {line}\n" for line in lines[1:]), end="")
        print(
            f"\nshiftproof pitfalls NAME runs one, in seconds; shiftproof pitfalls all runs {len(PITFALLS)}."
        )
        return 0
    from shiftproof.pitfalls import PITFALLS, find_pitfall, run_pitfall

    wrong = []
    for pitfall in PITFALLS.values() if command.name == "all" else [find_pitfall(command.name)]:
        outcome = run_pitfall(pitfall)
        print(f"{outcome}\n")
        if not outcome.as_stated:
            wrong.append(pitfall.name)
    if wrong:
        print(f"Not as stated: {', '.join(wrong)}.")
    return 1 if wrong else 0


def _notebooks(command: Notebooks, _: Terminal) -> int:
    import importlib.util

    from shiftproof.notebooks import copy_notebooks

    written = copy_notebooks(command.out)
    console = Console()
    console.say(f"wrote {command.out}: {', '.join(path.name for path in written)}")
    needed = {"jupyterlab": "jupyterlab", "sklearn": "scikit-learn"}
    missing = [name for module, name in needed.items() if not importlib.util.find_spec(module)]
    if missing:
        console.say(
            f"They need {' and '.join(missing)}: pip install {' '.join(missing)}, or in a checkout of shiftproof pip "
            'install -e ".[notebooks]".'
        )
    console.say(f"To open them: jupyter lab {shlex.quote(str(written[0]))}")
    return 0


def _claims(command: Claims, _: Terminal) -> int:
    import webbrowser

    from shiftproof.claims import claims_table, find_claim, load_claims, write_claims

    claims = load_claims() if command.id is None else (find_claim(command.id),)
    if command.json:
        _print_json(claims)
        return 0
    console = Console()
    if command.id is not None:
        console.say(*str(claims[0]).split("\n"))
        return 0
    page = write_claims(command.out)
    console.print(claims_table(claims))
    console.say("", "shiftproof claims ID prints one, with its statements and evidence.")
    opened = console.has_display and webbrowser.open(page.resolve().as_uri())
    console.say(f"{'opened' if opened else 'wrote'} {page}")
    return 0


def _zoo(command: Zoo, _: Terminal) -> int:
    from shiftproof.zoo import ENTRIES

    if command.json:
        rows = [{"name": e.name, "shape": e.shape, "about": e.about} for e in ENTRIES.values()]
        _print_json(rows)
        return 0
    shapes = {entry.name: "x".join(map(str, entry.shape)) for entry in ENTRIES.values()}
    width, wide = max(map(len, ENTRIES)), max(map(len, shapes.values()))
    for entry in ENTRIES.values():
        print(f"{entry.name:{width}}  {shapes[entry.name]:{wide}}  {entry.about}")
    print("\nshiftproof verify NAME decides one; shiftproof sweep NAME measures it.")
    return 0


def _doctor(command: Doctor, _: Terminal) -> int:
    from shiftproof.doctor import examine, render

    diagnosis = examine()
    if command.json:
        _print_json(dataclasses.asdict(diagnosis))
    else:
        Console().print(render(diagnosis))
    return 0


COMMANDS: dict[type, Callable[[Any, Terminal], int]] = {
    Demo: _demo,
    Verify: _verify,
    Sweep: _sweep,
    Placements: _placements,
    Diff: _diff,
    Check: _check,
    Replay: _replay,
    Rules: _rules,
    Pitfalls: _pitfalls,
    Claims: _claims,
    Notebooks: _notebooks,
    Zoo: _zoo,
    Doctor: _doctor,
}
"""The commands, in the order of `--help`; each is called by the name of its class."""


COLLECTING = 100_000, 50, 50
"""After how many new objects Python looks for garbage, in place of 700: a sixth of the time that imports take."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code."""
    if (
        arguments is None
    ):  # a process of its own: imports make objects by the million, and little garbage
        gc.set_threshold(*COLLECTING)
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"shiftproof {__version__}")
        sys.exit(0)
    keeps = compile_cache.OFF not in arguments
    arguments = [word for word in arguments if word != compile_cache.OFF]
    told = io.StringIO()
    plainly = all(map(str.isprintable, arguments))  # tyro quotes them as they are, in its colours
    try:
        with contextlib.nullcontext() if plainly else contextlib.redirect_stderr(told):
            command = tyro.cli(
                functools.reduce(operator.or_, COMMANDS),
                prog="shiftproof",
                description="What does a vision model make of a shifted image? Every shift is decided.\n\n"
                f"What JAX compiles is kept for the next run; {compile_cache.OFF} keeps nothing.\n\n"
                f"shiftproof {__version__} (--version prints that).",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit:
        sys.stderr.write(plain_lines(told.getvalue()))  # in a box, so that it forges no line
        raise
    if keeps:
        compile_cache.keep_compiled(os.environ)
    # else Python looks through all of JAX for garbage, for half a second
    atexit.register(gc.freeze)
    sys.exit(run(command))


def run(command: Any) -> int:
    """Run one command; returns the exit code, after one clear message where it failed."""
    errors = Console(stderr=True)
    terminal = Terminal(errors)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", ShiftproofWarning)
            warnings.filterwarnings("ignore", message=compile_cache.UNREADABLE)
            warnings.showwarning = terminal.warn
            return COMMANDS[type(command)](command, terminal)
    except ContradictionError as error:
        errors.say(f"internal error: {error}", style="red")
        return 4
    except (ShiftproofError, ValueError, ImportError, OSError) as error:
        errors.say(f"error: {error}", style="red")
        return 2
    except KeyboardInterrupt:
        hint = ""
        if isinstance(command, Sweep) and command.out is not None:
            hint = f" Finished chunks are in {command.out}; the same command with --resume goes on."
        errors.say(f"interrupted.{hint}", style="yellow")
        return 130
