"""Models: what a user hands in is adapted by the door of its framework, traced, and cast.

A `Model` is a pure function `(weights, images) -> outputs` plus its weights; the user's model is never changed. Every
failure of the user's code while it is traced is told with its likely remedy.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError, ModelCallError, WideningError
from shiftproof.tracing.arguments import check_keywords
from shiftproof.tracing.doors import DOORS, door_of
from shiftproof.tracing.doors.door import READS, Model
from shiftproof.tracing.faithful import check_faithful
from shiftproof.tracing.settings import Precision, settings
from shiftproof.tracing.trace import Program, trace, with_user_frames
from shiftproof.tracing.widen import widen

ACCEPTED = (
    "an nnx.Module, a linen (module, variables) pair, an equinox.Module, a Haiku (transformed, params), a keras.Model, "
    "a torch.nn.Module, a pair (function, params) or a callable on batches"
)
"""What a model may be, in words."""


def adapt(
    model: Any, *, apply_kwargs: Mapping[str, Any] | None = None, name: str | None = None
) -> Model:
    """Make a `Model` of anything callable on a batch of images.

    Args:
        model: what one of the doors takes (`shiftproof.tracing.doors`): an `nnx.Module`, a linen `(module, variables)`
            pair, an `equinox.Module` or `(model, state)`, a Haiku `(transformed, params)` or `(transformed, params,
            state)`, a `keras.Model`, a `torch.nn.Module`, a pair `(function, params)` that is called as
            `function(params, images)`, or a callable on batches. Or a `Model`.
        apply_kwargs: keyword arguments of the call, such as `{"train": False}`; `method` and `rngs` for linen too.
        name: for reports; the class or function name by default.

    Raises:
        InputError: anything else, with what was passed and what is accepted.
    """
    arguments = check_keywords(apply_kwargs)
    if name is not None and not isinstance(name, str):
        raise InputError(f"name= takes a text for reports; got {name!r}.")
    if isinstance(model, Model):
        return model if model.lasting else dataclasses.replace(model, programs={})
    if isinstance(model, type):
        raise InputError(f"{model.__name__} is a class: pass a model that was made of it.")
    door = door_of(model)
    if door is None:
        raise InputError(f"a model is {ACCEPTED}; got {type(model).__name__}.")
    return door.open(model, arguments, name)


def native_dtype() -> str:
    """The floats that JAX computes in where nothing else is said: float32, or float64 for those who chose that."""
    return jnp.zeros(()).dtype.name


def trace_model(model: Model, weights: Sequence[Any], images: Any) -> Program:
    """Trace a model on images; every failure of the user's code is told with its likely remedy.

    Args:
        model: the adapted model.
        weights: one array per leaf of its weights.
        images: an array, or a shape and dtype.

    Raises:
        ModelCallError: the model cannot be called on such images, cannot be traced, or has side effects.
    """
    structure = jax.tree_util.tree_structure(model.weights)
    tree = jax.tree_util.tree_unflatten(structure, list(weights))
    try:
        return trace(model.call, tree, jax.ShapeDtypeStruct(images.shape, images.dtype))
    except ModelCallError as error:
        raise ModelCallError(f"{model.name}: {error}") from error
    except Exception as error:
        raise ModelCallError(
            f"{model.name} cannot be called on images of shape {images.shape}, {images.dtype}: "
            f"{_first_line(error)}\n{_remedy(error) or _right_call(model, images, str(error))}"
        ) from with_user_frames(error)


def _check_outputs(model: Model, program: Program) -> None:
    """Stop where an output cannot be compared, or where XLA would, since lax.reshape lets other sizes pass."""
    for eqn in program.equations:
        shapes = [
            program.avals[o].shape for o in (*eqn.inputs[:1], eqn.outputs[0]) if isinstance(o, int)
        ]
        if eqn.name == "reshape" and len({math.prod(shape) for shape in shapes}) > 1:
            raise ModelCallError(
                f"{model.name} reshapes an array of shape {shapes[0]} to {shapes[1]} at {eqn.site}, which holds "
                "another number of cells: a size is written there, that of the batch perhaps. Write x.shape[0] there."
            )
    if not program.outputs:
        raise ModelCallError(f"{model.name} returns no arrays, so there is nothing to compare.")
    for name, output in zip(program.output_names, program.outputs, strict=True):
        aval = program.avals[output] if isinstance(output, int) else output.value
        if jnp.issubdtype(aval.dtype, jax.dtypes.extended):
            raise ModelCallError(
                f"{model.name} returns random keys in {name}, which are no numbers to compare: drop them by a lambda, "
                "or return jax.random.key_data of them."
            )
        if 0 in aval.shape:
            raise ModelCallError(
                f"{model.name} returns an array without cells in {name}, of shape {tuple(aval.shape)}, so there is "
                "nothing to compare: use larger images, or drop that output by a lambda."
            )


def trace_again(model: Model, shape: Sequence[int]) -> Program:
    """Call the user's code once more, as it is called by `trace_once` in the dtype of JAX, and remember nothing."""
    leaves = jax.tree_util.tree_leaves(model.weights)
    with settings(""):
        return trace_model(model, leaves, jax.ShapeDtypeStruct(tuple(shape), native_dtype()))


def trace_once(
    model: Model, shape: Sequence[int], dtype: str = "", *, precision: Precision = "highest"
) -> Program:
    """The program of a model on a batch of images; the user's code runs for the first such batch only.

    It runs in the user's own configuration of JAX, never in a 64-bit mode that was not chosen by the user.

    Args:
        model: the adapted model.
        shape: of the images, batch included.
        dtype: of the images; by default the floats of JAX. Weights then are as they are; another dtype of floats is
            theirs too, as by `model.astype(...)`.
        precision: of matrix products.

    Raises:
        ModelCallError: as `trace_model`, or an output cannot be compared.
    """
    native = native_dtype()
    dtype = dtype or native
    key = dtype, tuple(shape), precision
    if key not in model.programs:
        kept = dtype == native or not jnp.issubdtype(jnp.dtype(dtype), np.floating)
        leaves = jax.tree_util.tree_leaves(model.weights) if kept else model.cast(dtype)
        with settings(dtype if dtype == native else "", precision):
            images = jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))
            program = trace_model(model, leaves, images)
        _check_outputs(model, program)
        if dtype == native and not any(traced[1][1:] == key[1][1:] for traced in model.programs):
            check_faithful(model, program)
        model.programs[key] = program
    found = model.programs[key]
    assert isinstance(found, Program)
    return found


def program_in(
    model: Model, shape: Sequence[int], dtype: str, *, precision: Precision = "highest"
) -> Program:
    """The program that computes in `dtype`: as it was traced, or widened to float64.

    Raises:
        WideningError: it cannot be evaluated in float64, and was not traced in it either.
        ModelCallError: as `trace_once`.
    """
    if dtype != "float64":
        return trace_once(model, shape, dtype, precision=precision)
    traced = trace_once(model, shape, precision=precision)
    key = "widened", tuple(shape), precision
    if key not in model.programs:
        try:
            model.programs[key] = widen(traced)
        except WideningError as error:
            model.programs[key] = error
    found = model.programs[key]
    if isinstance(found, Program):
        return found
    if native_dtype() == "float64":
        return traced
    raise found


def weights_in(model: Model, program: Program) -> list[Any]:
    """The model's own weights, copied to NumPy in the dtypes in which a program takes them; random keys as they are."""
    leaves = jax.tree_util.tree_leaves(model.weights)
    dtypes = [program.avals[number].dtype for number in program.weights]
    return [
        leaf if jnp.issubdtype(dtype, jax.dtypes.extended) else np.array(leaf).astype(dtype)
        for leaf, dtype in zip(leaves, dtypes, strict=True)
    ]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


_READS_REMEDY = (
    "The model reads values while it runs (.item(), float(x), if x > 0, NumPy calls), so it cannot be traced. Use "
    "jax.numpy, jnp.where or jax.lax.cond there."
)

_DEFAULT_REMEDY = (
    "Images are {layout}. Check rank and channels, and pass further arguments by "
    "apply_kwargs= or a lambda."
)


BATCHES = (2, 4, 8, 16, 32, 64, 128, 256)
"""Sizes of a batch that are tried where a model cannot be called."""

_WORDS = {
    "integer": "Images are floats here. Where the model takes integers, such as tokens or levels, convert inside: "
    "lambda x: model(x.astype(int)).",
    "string indexing": "The model takes a dict of arrays. Wrap it, such as lambda x: model({'image': x}); what stays "
    "fixed may stand there too.",
    "not a valid JAX type": "Outputs are arrays. Drop all else by a lambda.",
    "has no attribute": "Images are an array of JAX. Where the model takes something else, such as a dict, wrap it, "
    "as in lambda x: model({'image': x}); where it calls what other arrays have, use jax.numpy.",
    "required positional argument": "The model takes more than images. Pass the others by apply_kwargs= where they "
    "have names, or by a lambda, such as lambda x: model(x, other).",
    "unexpected keyword argument": "The model's call takes no argument of that name: leave it out of apply_kwargs=.",
}
"""Remedies by a word of the message, where its type says little."""


def _remedy(error: Exception) -> str:
    # of every framework: a function may close over a model of any of them
    said = (door.remedy(error) for door in DOORS)
    found = next((text for text in said if text), "")
    spoken = (text for word, text in _WORDS.items() if word in str(error))
    return found or (_READS_REMEDY if isinstance(error, READS) else next(spoken, ""))


def _right_call(model: Model, images: Any, told: str) -> str:
    """How the model can be called, where a way is found: in another format, batch, or shape of one image.

    Args:
        model: the adapted model.
        images: what it could not be called on.
        told: what it said then; sizes that it wants stand there.
    """
    count, *sizes = images.shape
    shape = tuple(sizes)
    if takes(model, shape, batch=count):
        return f"It can be called on images of {native_dtype()}: leave dtype= out."
    batch = _written_batch(model, shape, told)
    if batch is not None:
        repeated = f", or wrap it, as in lambda x: model(jnp.repeat(x, {batch // count}, 0))"
        return (
            f"The model takes {batch} images at a time, not {count}: the size of the batch is written into it, as in "
            f"x.reshape({batch}, -1). Write x.shape[0] there{'' if batch % count else repeated}."
        )
    return _right_shape(model, shape)


def _written_batch(model: Model, shape: tuple[int, ...], told: str) -> int | None:
    """The batch on which the model can be called, among the sizes in a message and usual ones; None if none is."""
    said = sorted({int(n) for n in re.findall(r"\b\d{1,4}\b", told)} - {0, 1})
    return next((n for n in (*said, *BATCHES, 1) if takes(model, shape, batch=n)), None)


def _right_shape(model: Model, shape: tuple[int, ...]) -> str:
    """The shape with other channels, or with an axis for them, or with them first, with which it can be called."""
    layout = "(batch, channels, *grid)" if model.channels_first else "(batch, *grid, channels)"
    if model.channels_first:
        layout += f", as {model.door.framework} has them"
    else:
        first = channels_first(model, [shape[:-1], shape[1:]])
        if first is not None:
            return (
                f"It can be called on images of shape {first}, with the channels first: pass that, and spatial_axes="
                f"{tuple(range(1, len(first)))}."
            )
    missing = len(shape) in grid_ranks(model)
    for channels in channel_counts(model):
        # in a layout that has them first, the last axis may have been meant for them
        last = not model.channels_first or (shape[-1] == channels and shape[0] != channels)
        grid = shape if missing else shape[:-1] if last else shape[1:]
        right = model.image_shape(grid, channels)
        if right != shape and takes(model, right):
            return f"It can be called on images of shape {right}; images are {layout}."
    return _DEFAULT_REMEDY.format(layout=layout)


def _kernels(model: Model) -> list[tuple[int, ...]]:
    """The shapes of its weights; where outputs come first, a bias has axes of size 1 behind them, and is none."""
    shapes = [np.shape(leaf) for leaf in jax.tree_util.tree_leaves(model.weights)]
    last = model.door.outputs_axis != 0
    return [s for s in shapes if last or len(s) < 2 or math.prod(s[1:]) > 1]


def grid_ranks(model: Model) -> list[int]:
    """How many axes the grid may have, by the kernels of its convolutions."""
    return list(dict.fromkeys(len(s) - 2 for s in _kernels(model) if 3 <= len(s) <= 5))


def channel_counts(model: Model) -> list[int]:
    """The channels that its kernels take, those of convolutions first, then 1 and 3."""
    kernels = sorted((s for s in _kernels(model) if len(s) > 1), key=lambda shape: len(shape) < 3)
    inputs = 1 if model.door.outputs_axis == 0 else -2
    return list(dict.fromkeys([*(shape[inputs] for shape in kernels), 1, 3]))


def channels_first(model: Model, grids: Iterable[Sequence[int]]) -> tuple[int, ...] | None:
    """The first shape (channels, *grid) on which the model can be called, where it cannot with the channels last."""
    for grid in grids:
        for channels in channel_counts(model):
            shape = (channels, *grid)
            last = (*grid, channels)
            if len(shape) > 2 and shape != last and takes(model, shape) and not takes(model, last):
                return shape
    return None


def takes(model: Model, shape: Sequence[int], *, batch: int = 1) -> bool:
    """Whether the model can be called on images of this shape; it is traced only."""
    images = jax.ShapeDtypeStruct((batch, *shape), native_dtype())
    try:
        jax.eval_shape(model.call, model.weights, images)
    except Exception:  # whatever a model of the user may raise
        return False
    return True
