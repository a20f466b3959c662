"""Arguments: what a user passes, checked before anything runs. A mistake is told with what to write instead."""

import dataclasses
import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ContradictionError, InputError, ShiftproofError

P = ParamSpec("P")
R = TypeVar("R")

NO_IMAGES = (str, bytes, Mapping, set, frozenset)
"""Kinds of arguments of which NumPy makes arrays that are none of numbers."""


def at_the_door(*, also: Iterable[str] = ()) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a public function tell a wrong call on one screen: the line that called, and what to write instead.

    Args:
        also: names that it takes as `**options`.
    """

    def door(function: Callable[P, R]) -> Callable[P, R]:
        taken = inspect.signature(function).parameters.values()
        known = [*(p.name for p in taken if p.kind is not p.VAR_KEYWORD), *also]

        @functools.wraps(function)
        def called(*arguments: P.args, **options: P.kwargs) -> R:
            __tracebackhide__ = True  # pytest then shows the line of the test, and not these
            check_names(function.__name__, options, known)
            try:
                return function(*arguments, **options)
            except ContradictionError:
                raise  # a defect of ours: every frame may help
            except ShiftproofError as error:
                raise error.with_traceback(None)  # noqa: B904  it is the same error

        return called

    return door


def check_names(function: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Stop where a function was given an argument that it does not know.

    Raises:
        TypeError: as Python does, with the name that is close.
    """
    __tracebackhide__ = True
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}=?" if close else f"it takes {', '.join(known)}."
            raise TypeError(f"{function} takes no argument {name}=; {hint}")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Stop where an argument is none of the words that it may be."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def is_whole(value: Any) -> bool:
    """Whether something is an integer; a truth is none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_whole(name: str, value: Any, *, least: int) -> int:
    """A count.

    Raises:
        InputError: it is no integer, or too small.
    """
    if not is_whole(value) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}; got {value!r}.")
    return int(value)


def check_seed(seed: Any) -> None:
    """Stop where NumPy's generator would."""
    check_whole("seed", seed, least=0)


def check_integers(name: str, value: Any, example: str) -> tuple[int, ...]:
    """Several integers, such as axes or sizes.

    Raises:
        InputError: they are one, or something else.
    """
    several = isinstance(value, Iterable) and not isinstance(value, str)
    listed = list(value) if several else []
    if not several or not all(map(is_whole, listed)):
        raise InputError(f"{name}= takes integers in a tuple, such as {example}; got {value!r}.")
    return tuple(int(n) for n in listed)


def check_sizes(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Sizes of a grid, one per axis.

    Raises:
        InputError: they are not as many as the axes, no integers, or below 1.
    """
    sizes = check_integers(name, value, "(28,)" if rank == 1 else f"({', '.join(['28'] * rank)})")
    if len(sizes) != rank:
        raise InputError(f"{name}={sizes} has {len(sizes)} sizes for {rank} grid axes.")
    if min(sizes) < 1:
        raise InputError(f"{name}={sizes} has a size below 1.")
    return sizes


def check_keywords(apply_kwargs: Any) -> dict[str, Any]:
    """Keyword arguments of the model's call.

    Raises:
        InputError: they are no dict of names.
    """
    given = {} if apply_kwargs is None else apply_kwargs
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise InputError(f"apply_kwargs= takes a dict such as {{'train': False}}; got {given!r}.")
    return dict(given)


def check_folder(name: str, value: Any) -> None:
    """Stop where a folder cannot be one.

    Raises:
        InputError: it is no path, or a file.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{name}= takes the path of a folder; got {value!r}.")
    if Path(value).is_file():
        raise InputError(f"{name}={str(value)!r} is a file: pass a folder.")


@dataclasses.dataclass(frozen=True)
class Given:
    """What was passed for images.

    Attributes:
        shape: of one image.
        axes: its grid axes, batch not counted.
        array: the images; None where only a shape was passed.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    array: np.ndarray | None

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def batch_axes(self) -> tuple[int, ...]:
        """The grid axes of a batch of images."""
        return tuple(axis + 1 for axis in self.axes)


def read_images(images: Any, spatial_axes: Any, *, channels_first: bool = False) -> Given:
    """What was passed for images: the shape of one, or a batch.

    Args:
        images: the shape of one image; or (batch, *grid, channels), or with `spatial_axes` any layout whose axis 0 is
            the batch.
        spatial_axes: grid axes of *one* image, batch not counted, in the order of a shift; by default all but that of
            the channels.
        channels_first: whether these are the first axis of one image; else the last.

    Raises:
        InputError: no such thing, of a wrong rank or dtype, empty or not finite.
    """
    shape = _shape_of(images)
    array = None if shape else _array_of(images)
    if array is not None:
        shape = array.shape[1:]
    assert shape is not None
    needed = 1 if spatial_axes is not None else 2
    if (len(shape) if array is None else array.ndim - 1) < needed:
        raise InputError(_too_few_axes(shape, array))
    if array is not None:
        _check_numbers(array)
    return Given(shape, _axes_of(shape, spatial_axes, channels_first), array)


def _shape_of(images: Any) -> tuple[int, ...] | None:
    """The shape of one image, where that is what was passed; None where it should be images."""
    if images is None or isinstance(images, NO_IMAGES):
        told = repr(images) if isinstance(images, (str, bytes)) else f"a {type(images).__name__}"
        raise InputError(
            f"images are {told}: pass the shape of one image, such as (28, 28, 1), or numbers in an array (batch, "
            "*grid, channels)."
        )
    if is_whole(images):
        raise InputError(
            f"images are {images}, one number: pass the shape of one image, height, width and channels, such as "
            f"({images}, {images}, 1)."
        )
    numbers = (int, float, complex, np.number, np.bool_)
    if not isinstance(images, (tuple, list)) or not all(isinstance(n, numbers) for n in images):
        return None
    if not images or not all(is_whole(size) and size > 0 for size in images):
        raise InputError(
            f"the shape {tuple(images)} of one image is none: it needs whole sizes of at least 1, such as (28, 28, 1)."
        )
    return tuple(int(size) for size in images)


def _array_of(images: Any) -> np.ndarray:
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise InputError(f"images are no array: {error}") from error
    if array.dtype == bool or array.dtype == np.uint8:
        raise InputError(
            f"images have dtype {array.dtype}, which leaves their scale open: convert them first, "
            "for example images.astype(np.float32) / 256."
        )
    if not jnp.issubdtype(array.dtype, np.floating) and not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"images have dtype {array.dtype}; numbers are needed (float32, int32, ...): convert them first, for "
            "example by np.array(images, np.float32)."
        )
    return array


def _too_few_axes(shape: tuple[int, ...], array: np.ndarray | None) -> str:
    if array is None:
        return (
            f"the shape {shape} of one image has no axis for channels; needed is (*grid, channels), for example "
            f"{(*shape, 1)}. Or name the grid by spatial_axes=."
        )
    return (
        f"images have shape {array.shape}; needed is (batch, *grid, channels), for example (8, 28, 28, 1). "
        "Add what is missing, as in images[None, ..., None], or name the grid by spatial_axes=."
    )


def _check_numbers(array: np.ndarray) -> None:
    if 0 in array.shape:
        raise InputError(f"images have shape {array.shape}: there is nothing to shift.")
    finite = np.isfinite(array.astype(np.float64))
    if not np.all(finite):
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"images hold NaN or infinity, first at index {place}: remove or replace them."
        )


def _axes_of(shape: tuple[int, ...], spatial_axes: Any, channels_first: bool) -> tuple[int, ...]:
    rank = len(shape)
    if spatial_axes is None:
        return tuple(range(1, rank)) if channels_first else tuple(range(rank - 1))
    chosen = check_integers("spatial_axes", spatial_axes, "(0, 1)")
    if not chosen or any(not -rank <= axis < rank for axis in chosen):
        raise InputError(f"spatial_axes={chosen} do not fit one image of shape {shape}.")
    axes = tuple(axis % rank for axis in chosen)
    if len(set(axes)) != len(axes):
        raise InputError(f"spatial_axes={chosen} name the same axis twice.")
    return axes
