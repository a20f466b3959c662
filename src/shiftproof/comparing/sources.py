"""Sources: from what `shiftproof diff` is given to the files of two verdicts.

A model is verified in a process of its own. Two versions of one file have the same name, and so have the files that
they import: in one process the second version would get the modules of the first.
"""

import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from shiftproof.errors import InputError

DECIDED = (0, 1, 3)
"""Exit codes of `verify` with a verdict."""


def is_saved(text: str) -> bool:
    """Whether a word of the command line names a verdict's file, or a folder of `--out`."""
    return text.endswith(".json") or (Path(text) / "verdict.json").is_file()


def saved_file(text: str) -> Path:
    """The file of a verdict that a word names."""
    path = Path(text)
    return path / "verdict.json" if path.is_dir() else path


def verified(
    target: str, options: Sequence[str], file: Path, *, folder: Path | None = None
) -> Path:
    """Verify a model in a process of its own, and write its verdict.

    Args:
        target: the model, as for `shiftproof verify`.
        options: of that command.
        file: to be written.
        folder: where the process runs; here by default.

    Raises:
        InputError: it ended without a verdict; it has said why on standard error.
    """
    # -P: as for the command, no module is found in the folder just because it is the current one
    command = [sys.executable, "-P", "-m", "shiftproof", "verify", target, *options]
    with file.open("wb") as stream:
        done = subprocess.run(
            [*command, "--no-why", "--json"], stdout=stream, cwd=folder, check=False
        )
    if done.returncode not in DECIDED:
        raise InputError(f"there is no verdict on {target}, and so nothing to compare.")
    return file


def checkouts(target: str, names: Sequence[str], folder: Path) -> list[tuple[Path, str]]:
    """The repository of a file as it was, for each revision: where it lies, and the target in it.

    All of the repository is taken, for a file imports others. Its own history is read, nothing else: no work tree and
    no index is touched.

    Args:
        target: `file.py` or `file.py:name`.
        names: of the revisions, as git knows them.
        folder: for the copies.

    Raises:
        InputError: there is no git, no repository, no such revision, or no such file in it.
    """
    place, colon, name = target.rpartition(":") if ".py:" in target else (target, "", "")
    path = Path(place)
    if path.suffix != ".py":
        raise InputError(f"--rev takes a file, such as net.py or net.py:make; got {target!r}.")
    here = path.resolve().parent
    if not here.is_dir():
        raise InputError(f"there is no folder {path.parent}.")
    top = Path(_git(here, "rev-parse", "--show-toplevel"))
    inside = path.resolve().relative_to(top.resolve()).as_posix()
    found = []
    for number, revision in enumerate(names):
        copy = folder / str(number)
        commit = _git(here, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        archive = folder / f"{number}.zip"
        _git(top, "archive", "--format=zip", f"--output={archive}", commit)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(copy)
        if not (copy / inside).is_file():
            raise InputError(f"there is no file {inside} in the revision {revision}.")
        found.append((copy, f"{inside}{colon}{name}"))
    return found


def _git(folder: Path, *arguments: str) -> str:
    """What git answers in a folder."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise InputError("--rev needs git, which is not installed.") from error
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {done.stderr.strip() or 'it failed'}")
    return done.stdout.strip()


def two_files(
    targets: Sequence[str],
    options: Sequence[str],
    folder: Path,
    note: Callable[[str], None],
    *,
    revisions: Sequence[str] | None = None,
) -> list[tuple[str, Path]]:
    """What the two verdicts are called, and their files.

    Args:
        targets: two verdicts or models; with `revisions` one file.
        options: of `verify`, for models.
        folder: for what is written.
        note: told what runs.
        revisions: two of the file, as git knows them.

    Raises:
        InputError: something is missing, or does not go together.
    """
    if revisions is None and len(targets) != 2:
        raise InputError(
            "two are compared: name two verdicts or two models, or one file with --rev OLD NEW."
        )
    if revisions is not None and len(targets) != 1:
        raise InputError("--rev OLD NEW compares revisions of one file: name that file alone.")
    if options and revisions is None and all(map(is_saved, targets)):
        raise InputError(f"{options[0]} belongs to models, but both are saved verdicts.")
    if revisions is None:
        jobs = [(text, None, text) for text in targets]
    else:
        places = checkouts(targets[0], revisions, folder)
        named = zip(places, revisions, strict=True)
        jobs = [(target, copy, f"{target} of {name}") for (copy, target), name in named]
    found = []
    for number, (target, place, label) in enumerate(jobs):
        if place is None and is_saved(target):
            found.append((label, saved_file(target)))
            continue
        note(f"verifying {label}.")
        file = folder / f"{number}.json"
        found.append((label, verified(target, options, file, folder=place)))
    return found
