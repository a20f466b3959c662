"""Targets: from the word on the command line to a model, and to the shape of an image that it takes.

A word is `path/to/file.py`, `package.module`, either of them with `:name`, the name of a zoo model, or that of a
published architecture (`torchvision:resnet18`, `timm:convnext_tiny`, `keras:resnet50`). The name in a file is that of
a factory without arguments, of a class, of a model, or of a function on batches; without one, what the file defines is
taken if there is one candidate. Whatever was not said but found out is a note, and is always printed.
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof import zoo
from shiftproof.errors import InputError
from shiftproof.published import build_published, channels_come_first, is_collection
from shiftproof.tracing.arguments import check_sizes
from shiftproof.tracing.doors import FRAMEWORKS, door_for, door_of, framework_of
from shiftproof.tracing.doors.door import Door, image_shape
from shiftproof.tracing.model import (
    ACCEPTED,
    Model,
    adapt,
    channel_counts,
    channels_first,
    grid_ranks,
    takes,
)

USUAL = ("model", "make_model", "make", "create_model", "build_model", "build", "get_model")
"""Names that are taken for the model among several."""

NEVER_CALLED = ("main", "train", "run", "test")
"""Functions without arguments that are no factories."""

SHAPES = ("image_shape", "input_shape", "shape", "example", "examples")
"""Attributes of a factory, or of its file, that hold the shape of one image or a batch of images; in any case."""

SWITCHES = {"train": False, "training": False, "is_training": False, "deterministic": True}
"""Arguments of a model's call that switch inference on."""

SIZES = (32, 28, 224, 64, 16, 8, 128, 96, 256, 384, 512)
"""Sizes of the grid that are tried, in order."""

SHAPE_FLAG = "--shape {grid} {channels}"
"""How the shape of an image is said on the command line."""

CHANNELS_FIRST = {"{grid} {channels}": "{channels} {grid}", "3 3 {channels}": "{channels} 3 3"}
"""Parts of such a flag, and what they are where the channels come first."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A model that was named on the command line.

    Attributes:
        name: for reports.
        model: adapted, ready to be verified or swept.
        shape: of one image, where it is known or could be found out.
        notes: what was not said but found out.
    """

    name: str
    model: Model
    shape: tuple[int, ...] | None
    notes: tuple[str, ...] = ()


def load_target(
    text: str,
    *,
    seed: int = 0,
    shape: Sequence[int] | None = None,
    grid: Sequence[int] | None = None,
    channels: int | None = None,
    flag: str = SHAPE_FLAG,
) -> Target:
    """Load what `text` names.

    Args:
        text: the word.
        seed: of the weights of zoo models, and of classes that take `rngs` or `key`.
        shape: of one image, where it was said.
        grid: its grid, where that was said.
        channels: its channels, where they were said.
        flag: what remedies tell the user to say, with `{grid}` and `{channels}`.

    Raises:
        InputError: no such file, module, name or zoo model, several candidates, or a factory that needs arguments or
            fails.
    """
    notes: list[str] = []
    place, colon, name = text.rpartition(":")
    if not colon and text in zoo.ENTRIES:
        entry = zoo.ENTRIES[text]
        return Target(
            text, adapt(zoo.build(text, seed), name=text), _said(shape, grid, channels, entry.shape)
        )
    if not colon:
        place, name = text, ""
    if is_collection(place):
        return _published(place, name, seed, shape, grid, channels)
    module = _module(place, named=bool(colon))
    found = _named(module, place, name) if name else None
    if found is None:
        name = _only_candidate(module, place)
        found = getattr(module, name)
        notes.append(f"{place} defines {name}, which is taken for the model.")
    built = _build(found, f"{place}:{name}", seed, notes)
    known = _attribute(found, module, notes)
    door = door_of(built)
    first = door is not None and door.is_channels_first(built)
    shape = _said(shape, grid, channels, known, channels_first=first)
    switch = _switch(door, built)
    if switch:
        said = ", ".join(f"{key}={value}" for key, value in switch.items())
        notes.append(f"{name} is called with {said}, for inference.")
    if door is not None and door.lacks_weights(built):
        built = _initialised(door, built, name, shape, switch, seed, notes, flag)
    try:
        model = adapt(built, apply_kwargs=switch, name=name)
    except InputError as error:
        raise InputError(f"{place}:{name}: {error}") from error
    if shape is None:
        shape = _found_shape(model, grid, channels, notes, flag)
    return Target(name, model, shape, tuple(notes))


def _published(
    place: str,
    name: str,
    seed: int,
    shape: Sequence[int] | None,
    grid: Sequence[int] | None,
    channels: int | None,
) -> Target:
    """An architecture by the name that its package gives it."""
    first = channels_come_first(place)
    if shape is not None:
        said = _said(shape, grid, channels, None)
        assert said is not None
        grid = said[1:] if first else said[:-1]
        found = build_published(place, name, grid=grid, seed=seed)
        return Target(name, adapt(found.model, name=name), said)
    found = build_published(place, name, grid=grid, seed=seed)
    whole = _said(None, grid, channels, found.shape, channels_first=first)
    note = f"images have the shape {_times(found.shape)}, for which {name} was published."
    return Target(name, adapt(found.model, name=name), whole, () if grid else (note,))


# --- the file ---


def _module(place: str, *, named: bool) -> ModuleType:
    if not place:
        raise InputError(
            "no model is named: name its file, as in mymodel.py or mymodel.py:make_model."
        )
    if place.endswith(".py"):
        return _load_file(Path(place))
    if "/" in place or Path(place).is_file():
        kind = "a folder" if Path(place).is_dir() else "no Python file"
        raise InputError(
            f"{place} is {kind}: name a file, as in mymodel.py, or a module, as in package.module."
        )
    if named or "." in place or Path(place).is_dir():
        return _load_module(place)
    if Path(f"{place}.py").is_file():
        return _load_file(Path(f"{place}.py"))
    try:
        zoo.build(place)
    except ValueError as error:
        raise InputError(
            f"{error}. A model of your own is named by its file, as in mymodel.py or mymodel.py:make_model, or by its "
            "module, as in package.module:make_model."
        ) from error
    raise AssertionError("a zoo model was found before")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside)
        hint = f" Did you mean {path.parent / close[0]}?" if close else ""
        raise InputError(f"there is no file {path}.{hint}")
    if path.stem in sys.modules and _is_installed(path.stem):
        raise InputError(
            f"{path} has the name of the module {path.stem}, which is installed and in use: rename the file."
        )
    sys.path.insert(0, str(path.parent.resolve()))  # so that it finds the files beside it
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.path.remove(str(path.parent.resolve()))
        sys.modules.pop(path.stem)
        sys.modules.update({} if before is None else {path.stem: before})
        raise InputError(_import_failure(str(path), error)) from error
    return module


def _import_failure(place: str, error: BaseException) -> str:
    told = f"{place} cannot be imported: {type(error).__name__}: {error}"
    if isinstance(error, SystemExit):  # whose code would else be taken for an answer of ours
        told += ". It ends the process: put what it runs under if __name__ == '__main__':"
    if isinstance(error, ModuleNotFoundError):
        missing = (door for door in FRAMEWORKS if door.package and door.kind == error.name)
        told += "".join(f". It needs {door.framework}: {door.install}" for door in missing)
    return told


def _is_installed(name: str) -> bool:
    return name in sys.stdlib_module_names or name in importlib.metadata.packages_distributions()


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InputError(_import_failure(f"module {name!r}", error)) from error


def _named(module: ModuleType, place: str, name: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    own = _own(module)
    close = difflib.get_close_matches(name, own, n=1)
    hint = f" Did you mean {place}:{close[0]}?" if close else ""
    raise InputError(
        f"{place} defines no {name!r}; it defines {', '.join(own) or 'no model and no factory'}.{hint}"
    )


def _own(module: ModuleType) -> dict[str, int]:
    """What the file itself defines that may be a model, by name, and how likely it is: 0 is most likely."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        made = _made_by(value)
        if framework_of(value):
            found[name] = 0
        elif getattr(made, "__module__", None) != module.__name__ or not callable(made):
            continue
        elif inspect.isclass(made):
            door = door_for(made)
            if door is not None:
                found[name] = 3 if set(_required(value)) - set(door.keys) else 1
        elif len(_required(value)) == 0 and not name.startswith(NEVER_CALLED):
            found[name] = 1
        else:
            found[name] = 2 if len(_required(value)) == 1 else 3
    return found


def _only_candidate(module: ModuleType, place: str) -> str:
    """The name that is taken where none was said: a usual one, or the only one of the most likely kind."""
    own = _own(module)
    usual = [name for name in USUAL if name in own]
    if usual:
        return usual[0]
    if not own:
        raise InputError(
            f"{place} defines no model: {ACCEPTED}; nor a factory of one: def make_model(): return model."
        )
    likely = [name for name, kind in own.items() if kind == min(own.values())]
    if len(likely) > 1 or own[likely[0]] > 2:
        names = [f"{place}:{name}" for name in likely]
        raise InputError(
            f"{place} defines {', '.join(likely)}: say which one by its name, as in {names[-1]}."
        )
    return likely[0]


# --- the model ---


def _made_by(value: Any) -> Any:
    """The class or function behind a `functools.partial`; else the value itself."""
    return _made_by(value.func) if isinstance(value, functools.partial) else value


def _build(found: Any, text: str, seed: int, notes: list[str]) -> Any:
    """The model itself, or what its factory or class returns."""
    if framework_of(found) or isinstance(found, tuple) or not callable(found):
        return found
    name, needed = text.rpartition(":")[2], _required(found)
    arguments: dict[str, Any] = {}
    made = _made_by(found)
    door = _maker(made, needed)
    if needed and door is not None and set(needed) == set(door.keys):
        arguments, needed = {key: door.make_key(key, seed) for key in needed}, []
        told = ", ".join(f"{key}={door.keys[key].format(seed=seed)}" for key in arguments)
        notes.append(f"{name} is made with {told}.")
    if len(needed) == 1 and not inspect.isclass(made):
        return found  # a function of one argument is a model on batches
    if needed:
        codes = {} if door is None else door.keys
        given = ", ".join(f"{n}={codes.get(n, '...').format(seed=0)}" for n in needed)
        raise InputError(
            f"{text} needs the arguments {', '.join(needed)}. Name a factory without arguments, for example "
            f"def make_model(): return {name}({given})"
        )
    try:
        return found(**arguments)
    except (Exception, SystemExit) as error:
        raise InputError(f"{text} fails: {type(error).__name__}: {error}") from error


def _required(function: Any) -> list[str]:
    """The arguments without a default; of a class those of its constructor."""
    try:
        made = function.__init__ if inspect.isclass(function) else function
        parameters = list(inspect.signature(made).parameters.values())[made is not function :]
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _maker(made: Any, needed: Sequence[str]) -> Door | None:
    """The door of the framework that a class or factory makes models of, by its type or by what it wants a seed as."""
    door = door_for(made) if inspect.isclass(made) else None
    return door or next((door for door in FRAMEWORKS if set(needed) & set(door.keys)), None)


def _switch(door: Door | None, model: Any) -> dict[str, Any]:
    """The arguments of its call that switch inference on."""
    called = None if door is None else door.called(model)
    names = {} if called is None else inspect.signature(called).parameters
    return {name: value for name, value in SWITCHES.items() if name in names}


def _initialised(
    door: Door,
    model: Any,
    name: str,
    shape: Sequence[int] | None,
    switch: dict[str, Any],
    seed: int,
    notes: list[str],
    flag: str,
) -> Any:
    """The model with weights of its own initialisation."""
    if shape is None:
        such = _flag(_in_layout(flag, door.is_channels_first(model)), (32, 32), 3)
        raise InputError(
            f"{name} is a model of {door.framework} without weights, and they depend on the shape of the images: add "
            f"{such}, or return it with its weights from a factory: for Flax and Haiku as a tuple."
        )
    try:
        made = door.initialised(model, jnp.zeros((1, *shape)), switch, seed)
    except Exception as error:
        raise InputError(
            f"{name} cannot be initialised on an image of shape {tuple(shape)}: {type(error).__name__}: {error}"
        ) from error
    notes.append(f"the weights of {name} are those of its initialisation with key {seed}.")
    return made


# --- the shape ---


def _said(
    shape: Sequence[int] | None,
    grid: Sequence[int] | None,
    channels: int | None,
    known: tuple[int, ...] | None,
    *,
    channels_first: bool = False,
) -> tuple[int, ...] | None:
    """The shape as far as it was said, else as it is known; None where it must be found out."""
    if shape is not None and (grid is not None or channels is not None):
        raise InputError("--shape and --grid or --channels exclude each other.")
    if grid is not None:
        grid = check_sizes("grid", grid, len(grid))
    if shape is not None:
        return tuple(shape)
    if grid is not None and channels is not None:
        return image_shape(grid, channels, channels_first=channels_first)
    if known is None:
        return None
    own_grid, own = (known[1:], known[0]) if channels_first else (known[:-1], known[-1])
    return image_shape(
        grid or own_grid, own if channels is None else channels, channels_first=channels_first
    )


def _attribute(found: Any, module: ModuleType, notes: list[str]) -> tuple[int, ...] | None:
    """The shape that an attribute of the factory or of the file holds."""
    for owner, place in ((found, getattr(found, "__name__", "")), (module, module.__name__)):
        for name in (spelling for word in SHAPES for spelling in (word, word.upper())):
            value = vars(owner).get(name) if hasattr(owner, "__dict__") else None
            shape = _as_shape(value)
            if shape:
                notes.append(f"images have the shape {_times(shape)}, by {place}.{name}.")
                return shape
    return None


def _as_shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, (tuple, list)) and value and all(type(n) is int for n in value):
        return tuple(value)
    if isinstance(value, (np.ndarray, jax.Array)) and value.ndim > 2:
        return tuple(value.shape[1:])
    return None


def _found_shape(
    model: Model,
    grid: Sequence[int] | None,
    channels: int | None,
    notes: list[str],
    flag: str,
) -> tuple[int, ...] | None:
    """The first usual shape on which the model can be called, told as a note; None where there is none."""
    shape = _first_taken(model, grid, channels)
    if shape is not None:
        notes.append(
            f"images are taken to have the shape {_times(shape)}, on which {model.name} can be called; "
            f"to say otherwise: {_flag_for(model, flag, shape)}."
        )
        return shape
    first = None if model.channels_first else channels_first(model, _grids(model, grid))
    if first is not None:
        axes = " ".join(map(str, range(1, len(first))))
        raise InputError(
            f"{model.name} takes images with the channels first: say --shape {' '.join(map(str, first))} "
            f"--spatial-axes {axes}."
        )
    if grid or channels:
        other = _first_taken(model, None, None)
        if other is not None:
            raise InputError(
                f"{model.name} cannot be called on such images, but on those of the shape {_times(other)}: "
                f"say {_flag_for(model, flag, other)}."
            )
    return shape


def _first_taken(
    model: Model, grid: Sequence[int] | None, channels: int | None
) -> tuple[int, ...] | None:
    counts = [channels] if channels is not None else channel_counts(model)
    shapes = (model.image_shape(sizes, count) for sizes in _grids(model, grid) for count in counts)
    return next((shape for shape in shapes if takes(model, shape)), None)


def _grids(model: Model, grid: Sequence[int] | None) -> list[Sequence[int]]:
    """The grid that was said, else usual ones of the ranks of its kernels."""
    ranks = grid_ranks(model) or [2]
    return [grid] if grid else [rank * (size,) for rank in ranks for size in SIZES]


def _flag_for(model: Model, flag: str, shape: Sequence[int]) -> str:
    return _flag(_in_layout(flag, model.channels_first), *model.grid_and_channels(shape))


def _in_layout(flag: str, channels_first: bool) -> str:
    for last, first in CHANNELS_FIRST.items() if channels_first else ():
        flag = flag.replace(last, first)
    return flag


def _flag(flag: str, grid: Sequence[int], channels: int) -> str:
    return flag.format(grid=" ".join(map(str, grid)), channels=channels)


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
