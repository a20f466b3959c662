"""Published architectures by name: those of torchvision, timm and Keras, with weights of their own initialisation.

A word such as `torchvision:resnet18` names one. Nothing is downloaded: no pretrained weights are asked for.
"""

import dataclasses
import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from shiftproof.errors import InputError
from shiftproof.tracing.doors import FRAMEWORKS

USUAL = 224
"""The size of images where an architecture does not say it."""

RGB = 3


@dataclasses.dataclass(frozen=True)
class Published:
    """An architecture.

    Attributes:
        model: of its framework, in inference mode where it has one.
        shape: of one image that it takes, in the layout of its framework.
    """

    model: Any
    shape: tuple[int, ...]


def is_collection(word: str) -> bool:
    """Whether a word names a package of architectures."""
    return word in _BUILDERS


def channels_come_first(collection: str) -> bool:
    """Whether images of its architectures are (channels, *grid)."""
    if collection != "keras":
        return True
    return _imported(collection).config.image_data_format() == "channels_first"


def build_published(
    collection: str, name: str, *, grid: Sequence[int] | None = None, seed: int = 0
) -> Published:
    """An architecture by name.

    Args:
        collection: `torchvision`, `timm` or `keras`.
        name: as the package calls it; any case for Keras.
        grid: sizes of the grid; those that it was published for by default.
        seed: of its weights.

    Raises:
        InputError: the package is missing, has no such architecture, or cannot build it for this grid.
    """
    try:
        return _BUILDERS[collection](_imported(collection), name, grid, seed)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{collection}:{name} cannot be built: {type(error).__name__}: {error}"
        ) from error


def _imported(collection: str) -> Any:
    """The package.

    Raises:
        InputError: it is not installed.
    """
    if collection == "keras":
        os.environ.setdefault("KERAS_BACKEND", "jax")  # which is read when it is imported first
    try:
        return importlib.import_module(collection)
    except ImportError as error:
        door = next(d for d in FRAMEWORKS if d.kind == _FRAMEWORK[collection])
        raise InputError(f"{collection} cannot be imported ({error}): {door.install}") from error


def _check_name(collection: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise InputError(f"{collection} has no architecture {name!r}.{hint}")


def _of_torchvision(package: Any, name: str, grid: Sequence[int] | None, seed: int) -> Published:
    models = package.models
    _check_name("torchvision", name, models.list_models())
    builder = models.get_model_builder(name)
    trained = next(iter(models.get_model_weights(name)), None)
    size = getattr(getattr(trained, "transforms", None), "keywords", {}).get("crop_size", USUAL)
    sizes = tuple(grid or (size, size))
    quiet = {"weights": None, "weights_backbone": None, "init_weights": True}
    taken = inspect.signature(builder).parameters
    options = {key: value for key, value in quiet.items() if key in taken}
    if name.startswith("vit") and grid:
        options["image_size"] = sizes[0]
    return Published(_seeded(seed, lambda: builder(**options)), (RGB, *sizes))


def _of_timm(package: Any, name: str, grid: Sequence[int] | None, seed: int) -> Published:
    base = name.partition(".")[0]
    _check_name("timm", base, package.list_models())
    if not grid:
        model = _seeded(seed, lambda: package.create_model(name, pretrained=False))
        channels, *sizes = model.default_cfg["input_size"]
        return Published(model, (channels, *sizes))
    try:
        model = _seeded(
            seed, lambda: package.create_model(name, pretrained=False, img_size=tuple(grid))
        )
    except TypeError:  # it takes images of any size
        model = _seeded(seed, lambda: package.create_model(name, pretrained=False))
    return Published(model, (model.default_cfg["input_size"][0], *grid))


def _of_keras(package: Any, name: str, grid: Sequence[int] | None, seed: int) -> Published:
    makers = {
        key.lower(): value
        for key, value in vars(package.applications).items()
        if inspect.isfunction(value)
    }
    _check_name("keras", name.lower(), sorted(makers))
    package.utils.set_random_seed(seed)
    first = channels_come_first("keras")
    sized = {}
    if grid:
        sized["input_shape"] = (RGB, *grid) if first else (*grid, RGB)
    model = makers[name.lower()](weights=None, **sized)
    return Published(model, tuple(model.input_shape[1:]))


def _seeded(seed: int, make: Callable[[], Any]) -> Any:
    """What `make` returns, in inference mode; the random numbers of PyTorch then go on as they were."""
    torch = sys.modules["torch"]
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return make().eval()


_BUILDERS: dict[str, Callable[[Any, str, Sequence[int] | None, int], Published]] = {
    "torchvision": _of_torchvision,
    "timm": _of_timm,
    "keras": _of_keras,
}
_FRAMEWORK = {"torchvision": "torch", "timm": "torch", "keras": "keras"}
