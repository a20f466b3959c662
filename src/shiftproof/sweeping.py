"""The sweep: every shift of the grid, every layer, in one pass of equal chunks.

    model, images -> program, layers -> exactness -> checked call -> chunks over all devices -> Sweep

A sweep saw what it saw: it can refute, and on exact layers its refutations are exact, but an equality that holds for
these images is no proof for others.
"""

import collections
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import jax
import numpy as np

from shiftproof.calibration import calibrate
from shiftproof.checks import CallReport, check_call
from shiftproof.compare import Law, defined, output_steps, overlap_cells
from shiftproof.engine import Engine, chunk_size
from shiftproof.errors import InexactWarning, InputError, NonFiniteError
from shiftproof.model import adapt, check_images
from shiftproof.noise import measure_noise
from shiftproof.probes import integer_images
from shiftproof.provenance import describe, provenance
from shiftproof.question import DTYPES, Asker, Question, Weights, settings
from shiftproof.result import SCHEMA, Header, LayerRecord, Sweep
from shiftproof.store import PLAN_SCHEMA, Plan, Store
from shiftproof.translation import Boundary, Canvas, check_boundary

Progress = Callable[[int, int], None]


def sweep(
    model: Any,
    images: Any,
    *,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    boundary: Boundary = "circular",
    grid: Sequence[int] | None = None,
    law: Law = "stride",
    weights: Weights | None = None,
    dtype: str = "auto",
    layers: Sequence[str] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    seed: int = 0,
    probes: int = 4,
    chunk: int | None = None,
    directory: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Sweep:
    """Compare every layer of a model under every integer shift of its grid.

    Args:
        model: an `nnx.Module`, linen `(module, variables)`, or a callable on batches.
        images: (batch, *grid, channels) numbers; or the shape of one image, such as `(28, 28, 1)`, for integer probes.
        spatial_axes: grid axes of one image (batch not counted), in the order of a shift; all but the last by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.
        boundary: `circular`, `zero`, or `scene` (then `images` are scenes larger than `grid`).
        grid: sizes of the window, for `scene` only.
        law: `stride` (Δ' = Δ/s), `same` (Δ' = Δ) or `any` (the best of all output shifts; torus only).
        weights: `these`, or `integers` to ask about the architecture; the latter by default when `images` is a shape.
        dtype: `auto` takes float32 where exact, else float64 where exact, else float32.
        layers: names of the layers to keep; all by default. Outputs always stay.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in reports.
        seed: of integer probes and weights.
        probes: how many integer probes, when `images` is a shape.
        chunk: shifts per chunk and device; chosen from the memory by default.
        directory: where finished chunks and `sweep.npz` are stored.
        resume: go on with what `directory` holds.
        progress: called with (shifts done, shifts in all).
        devices: the devices to share the work; all local ones by default.

    Returns:
        A `Sweep`: deviations (layer, *shift), exactness and provenance.

    Raises:
        InputError, ModelCallError, NonDeterministicError, NonFiniteError, ResumeError: each says what to do.

    >>> import jax.numpy as jnp
    >>> result = sweep(lambda x: jnp.maximum(x, 0).sum((1, 2)), (4, 4, 1))
    >>> str(result.count("invariance"))
    '16/16'
    """
    adapted = adapt(model, apply_kwargs=apply_kwargs, name=name)
    _check_choice("law", law, get_args(Law))
    _check_choice("dtype", dtype, DTYPES)
    if chunk is not None and chunk < 2:
        raise InputError(
            f"chunk={chunk} is too small: shift 0 sits in every chunk, so at least 2 are needed."
        )
    check_boundary(boundary)
    if law == "any" and boundary != "circular":
        raise InputError('law="any" needs the torus: use boundary="circular", or law="stride".')
    if _is_shape(images):
        images, default = integer_images(images, count=probes, seed=seed), "integers"
    else:
        default = "these"
    kind: Weights = weights or ("these" if not adapted.replaceable else default)
    _check_choice("weights", kind, get_args(Weights))
    if kind == "integers" and not any(adapted.replaceable):
        raise InputError(
            f"{adapted.name} has no parameters to replace by integers: a plain callable hides them. Pass the "
            'nnx.Module or (module, variables) itself, or weights="these".'
        )
    array, axes = check_images(images, spatial_axes)
    canvas = _make_canvas(array, axes, boundary=boundary, grid=grid)
    asker = Asker(
        adapted, canvas, law=law, kind=kind, output_axes=output_axes, keep=layers, seed=seed
    )
    question = asker.choose(dtype)
    with settings(question.dtype):
        return _run(
            question,
            chunk=chunk,
            store=Store(directory) if directory is not None else None,
            resume=resume,
            progress=progress,
            devices=list(devices or jax.local_devices()),
            seed=seed,
        )


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def _is_shape(images: Any) -> bool:
    return (
        isinstance(images, tuple)
        and bool(images)
        and all(isinstance(size, (int, np.integer)) for size in images)
    )


def _make_canvas(
    images: np.ndarray, axes: Sequence[int], *, boundary: Boundary, grid: Sequence[int] | None
) -> Canvas:
    if boundary == "scene":
        if grid is None:
            raise InputError(
                'boundary="scene" needs grid=, the size of the window that moves over the scene.'
            )
        return Canvas.scene(images, axes=axes, grid=grid)
    if grid is not None:
        raise InputError(
            f'grid= belongs to boundary="scene"; with {boundary!r} the grid is that of the images.'
        )
    return (
        Canvas.circular(images, axes=axes)
        if boundary == "circular"
        else Canvas.zero(images, axes=axes)
    )


def _run(
    question: Question,
    *,
    chunk: int | None,
    store: Store | None,
    resume: bool,
    progress: Progress | None,
    devices: Sequence[jax.Device],
    seed: int,
) -> Sweep:
    question = _calibrated(question, devices[0])
    plan = Plan(
        PLAN_SCHEMA, describe(question, devices[0]), chunk or chunk_size(question, devices[0])
    )
    if store is not None:
        plan = store.open(plan, resume=resume)
    groups = make_groups(question.canvas.shifts, plan.chunk)
    engine = Engine(question, chunk=len(groups[0]), devices=devices[: len(groups)])
    report = check_call(engine)
    question = dataclasses.replace(question, exactness=report.exactness)
    _warn_inexact(question)
    rows = run_chunks(engine, groups, plan=plan, store=store, progress=progress)
    order = np.concatenate([group[1:] for group in groups])
    result = _assemble(question, rows, order, report=report, device=devices[0], seed=seed)
    if store is not None:
        result.save(store.directory / "sweep.npz")
    return result


def _calibrated(question: Question, device: jax.Device) -> Question:
    """Downgrade `exact` where the device itself is not exact on integers."""
    if not question.dtype.startswith(("float", "bfloat")):
        return question
    found = calibrate(device, question.dtype)
    if found.exact:
        return question
    return dataclasses.replace(
        question,
        exactness=tuple(exactness.downgraded(found.reason) for exactness in question.exactness),
    )


def _warn_inexact(question: Question) -> None:
    rounded = [
        (x, e) for x, e in zip(question.layers, question.exactness, strict=True) if not e.exact
    ]
    if rounded and question.weights_kind == "integers":
        layer, first = rounded[0]
        warnings.warn(
            f"{question.model.name}: not exact from layer {layer.name} on ({first.reason}); from there equality is "
            "judged against the measured rounding noise.",
            InexactWarning,
            stacklevel=4,
        )


def make_groups(shifts: np.ndarray, chunk: int) -> list[np.ndarray]:
    """All shifts but 0 in equal chunks that each begin with shift 0; short ones are filled up with it."""
    moving = shifts[np.any(shifts != 0, axis=1)]
    count = -(-len(moving) // (chunk - 1))
    if count == 0:
        return [np.zeros((1, shifts.shape[1]), np.int32)]
    each = -(-len(moving) // count)
    groups = np.zeros((count, each + 1, shifts.shape[1]), np.int32)
    for i in range(count):
        part = moving[i * each : (i + 1) * each]
        groups[i, 1 : 1 + len(part)] = part
    return list(groups)


def run_chunks(
    engine: Engine,
    groups: Sequence[np.ndarray],
    *,
    plan: Plan | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[dict[str, np.ndarray]]:
    """The rows of every chunk, stored ones read and the others computed, one chunk per device at a time."""
    rows: dict[int, dict[str, np.ndarray]] = {}
    for index in range(len(groups)):
        stored = store.read(plan, index) if store and plan else None
        if stored is not None:
            rows[index] = stored
    total = len(engine.question.canvas.shifts)

    def report() -> None:
        if progress is not None:
            # the last chunk is filled up, and shift 0 sits in every one
            done = 1 + sum(len(groups[index]) - 1 for index in rows)
            progress(total if len(rows) == len(groups) else min(done, total), total)

    def finish(indices: Sequence[int], pending: Mapping[str, jax.Array]) -> None:
        result = {name: np.asarray(value) for name, value in pending.items()}
        for position, index in enumerate(indices):
            rows[index] = {name: value[position] for name, value in result.items()}
            if store and plan:
                store.write(plan, index, rows[index])
        report()

    report()
    missing = [index for index in range(len(groups)) if index not in rows]
    width = len(engine.devices)
    waiting: collections.deque[tuple[Sequence[int], Mapping[str, jax.Array]]] = collections.deque()
    for begin in range(0, len(missing), width):
        indices = missing[begin : begin + width]
        batch = [groups[index] for index in indices]
        batch += [np.zeros_like(groups[0])] * (width - len(batch))
        waiting.append((indices, engine.rows(np.stack(batch))))
        if len(waiting) > 1:  # the device works on one chunk while the host stores the one before
            finish(*waiting.popleft())
    while waiting:
        finish(*waiting.popleft())
    return [rows[index] for index in range(len(groups))]


def _assemble(
    question: Question,
    rows: Sequence[Mapping[str, np.ndarray]],
    order: np.ndarray,
    *,
    report: CallReport,
    device: jax.Device,
    seed: int,
) -> Sweep:
    """Put the rows where their shifts belong and mask what the law leaves undefined."""
    canvas = question.canvas
    noise = measure_noise(question)
    shape = (len(question.layers), *(len(room) for room in canvas.ranges))
    starts = np.array([room.start for room in canvas.ranges])
    maps: dict[str, np.ndarray] = {}
    for name in rows[0]:
        whole = np.zeros(shape, np.float64 if name in ("equivariance", "invariance") else np.int32)
        moved = np.concatenate([chunk[name][1:] for chunk in rows])
        where = (slice(None), *(order - starts).T)
        whole[where] = moved.T
        # fillers of the last chunk are shift 0 as well, so slot 0 has the last word
        whole[(slice(None), *(-starts))] = rows[0][name][0]
        maps[name] = whole
    _check_rows(question, maps)
    shifts = canvas.shifts
    for i, layer in enumerate(question.layers):
        undefined = np.ones(len(shifts), bool)
        if layer.has_grid and question.law == "any":
            undefined[:] = False
        elif layer.has_grid:
            undefined = ~defined(shifts, output_steps(layer, canvas, question.law))
            undefined |= overlap_cells(layer, canvas, shifts, question.law) == 0
        maps["equivariance"][i][undefined.reshape(shape[1:])] = np.nan
        maps["equivariance_cells"][i][undefined.reshape(shape[1:])] = -1
    records = tuple(
        LayerRecord(
            name=layer.name,
            source=str(layer.site),
            shape=layer.shape,
            dtype=layer.dtype,
            grid=layer.grid,
            strides=tuple(None if s is None else str(s) for s in layer.strides),
            output=layer.output,
            exact=exactness.exact,
            bound=exactness.bound,
            limit=exactness.limit,
            reason=exactness.reason,
            noise=noise[i],
            magnitude=report.magnitude[i],
            vacuous=report.vacuous[i],
        )
        for i, (layer, exactness) in enumerate(
            zip(question.layers, question.exactness, strict=True)
        )
    )
    header = Header(
        schema=SCHEMA,
        model=question.model.name,
        grid=canvas.grid,
        ranges=tuple((room.start, room.stop) for room in canvas.ranges),
        boundary=canvas.boundary,
        law=question.law,
        dtype=question.dtype,
        weights=question.weights_kind,
        scale=question.scale,
        images=canvas.array.shape[0],
        layers=records,
        provenance=provenance(device) | describe(question, device) | {"seed": str(seed)},
    )
    return Sweep(header, **maps)


def _check_rows(question: Question, maps: Mapping[str, np.ndarray]) -> None:
    """Stop where a layer became NaN or infinite under some shift, though it was finite at shift 0."""
    bad = np.argwhere(~np.isfinite(maps["invariance"]))
    if len(bad):
        layer = question.layers[bad[0][0]]
        shift = tuple(
            int(i) + room.start for i, room in zip(bad[0][1:], question.canvas.ranges, strict=True)
        )
        raise NonFiniteError(
            f"{question.model.name} gives NaN or infinity in layer {layer.name} ({layer.site}) under {len(bad)} "
            f"shifts, first under {shift}. Check the scale of the images."
        )
