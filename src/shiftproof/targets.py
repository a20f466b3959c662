"""Targets: from the word on the command line to a model.

`path/to/file.py:factory`, `package.module:factory`, or the name of a zoo model. A factory takes no arguments and
returns an `nnx.Module`, a linen `(module, variables)` pair or a callable on batches. The name may also be that of
such a model itself. Nothing is ever constructed by guessing arguments.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from flax import linen, nnx

from shiftproof import zoo
from shiftproof.errors import InputError


@dataclasses.dataclass(frozen=True)
class Target:
    """A model that was named on the command line.

    Attributes:
        name: for reports.
        model: what `shiftproof.adapt` accepts.
        shape: of one image, where the target says so (zoo models do).
    """

    name: str
    model: Any
    shape: tuple[int, ...] | None


def load_target(text: str, *, seed: int = 0) -> Target:
    """Load what `text` names.

    Raises:
        InputError: no such file, module, name or zoo model, or a factory that needs arguments or fails.
    """
    place, colon, name = text.rpartition(":")
    if not colon:
        return _from_zoo(text, seed)
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    if not hasattr(module, name):
        candidates = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise InputError(
            f"{place} defines no {name!r}; it defines {', '.join(candidates) or 'no callables'}."
        )
    return Target(name, _build(getattr(module, name), text), None)


def _from_zoo(name: str, seed: int) -> Target:
    if name.endswith(".py"):
        raise InputError(
            f"{name}: add the name of a factory in that file, as in {name}:make_model."
        )
    try:
        model = zoo.build(name, seed)
    except ValueError as error:
        raise InputError(
            f"{error} A model of your own is named file.py:factory or package.module:factory."
        ) from error
    return Target(name, model, zoo.ENTRIES[name].shape)


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    sys.path.insert(0, str(path.parent.resolve()))  # so that it finds the files beside it
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise InputError(
            f"module {name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _build(found: Any, text: str) -> Any:
    """The model itself, or what its factory returns."""
    if isinstance(found, (nnx.Module, tuple)) or not callable(found):
        return found
    needed = _required(found)
    if len(needed) == 1 and not inspect.isclass(found):
        return found  # a function of one argument is a model on batches
    if needed:
        raise InputError(
            f"{text} needs the arguments {', '.join(needed)}. Name a factory without arguments, for example "
            f"def make_model(): return {found.__name__}({', '.join(f'{n}=...' for n in needed)})"
        )
    try:
        built = found()
    except Exception as error:
        raise InputError(f"{text} fails: {type(error).__name__}: {error}") from error
    if isinstance(built, linen.Module):
        raise InputError(
            f"{text} returns a linen module without weights: return (module, variables) instead."
        )
    return built


def _required(function: Any) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
