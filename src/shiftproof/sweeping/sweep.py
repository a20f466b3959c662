"""The sweep: every shift of the grid, every layer, in one pass of equal chunks.

    model, images -> program, layers -> exactness -> checked call -> chunks over all devices -> Sweep

By brute force every shift has its forward pass. By cosets a proved lattice leaves one forward pass per coset, and the
other shifts are lifted from it; where that saves much, early layers are computed once per coset of their own, larger
lattice (stages). Some of what was lifted is computed as well, and must agree.

A sweep saw what it saw: it can refute, and on exact layers its refutations are exact, but an equality that holds for
these images is no proof for others.
"""

import collections
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import msgspec
import numpy as np

from shiftproof.canvas import Canvas
from shiftproof.errors import (
    ContradictionError,
    DeviceMemoryError,
    InputError,
    NonFiniteError,
    SmallerChunkWarning,
)
from shiftproof.exactness.calibration import has_float64
from shiftproof.exactness.probes import integer_images, object_in_the_middle
from shiftproof.group import BoundaryName, check_boundary
from shiftproof.provenance import provenance
from shiftproof.sweeping.checks import CallReport, check_call
from shiftproof.sweeping.compare import Law, defined, output_steps, overlap_cells
from shiftproof.sweeping.cosets import Cosets, find_cosets
from shiftproof.sweeping.engine import Engine, chunk_size
from shiftproof.sweeping.lifted import check_lifted, check_stages
from shiftproof.sweeping.noise import measure_noise
from shiftproof.sweeping.processes import Crew
from shiftproof.sweeping.question import (
    DTYPES,
    Asker,
    Question,
    Weights,
    calibrated,
    choose_weights,
    describe,
    warn_inexact,
)
from shiftproof.sweeping.result import SCHEMA, CosetRecord, Header, LayerRecord, Sweep
from shiftproof.sweeping.stages import Schedule, Stage, describe_stages, find_stages, ordered
from shiftproof.sweeping.store import PLAN_SCHEMA, Plan, Store
from shiftproof.tracing.arguments import (
    at_the_door,
    check_choice,
    check_folder,
    check_seed,
    check_sizes,
    check_whole,
    read_images,
)
from shiftproof.tracing.model import adapt
from shiftproof.tracing.settings import Precision, settings

Method = Literal["brute", "cosets"]
Progress = Callable[[int, int], None]


@at_the_door()
def sweep(
    model: Any,
    images: Any,
    *,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    boundary: BoundaryName = "torus",
    grid: Sequence[int] | None = None,
    law: Law = "stride",
    method: Method = "brute",
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
    precision: Precision = "highest",
) -> Sweep:
    """Compare every layer of a model under every integer shift of its grid.

    Args:
        model: of Flax, PyTorch, Equinox, Haiku or Keras, `(function, params)`, or a callable on batches: see `verify`.
        images: (batch, *grid, channels) numbers; or the shape of one image, such as `(28, 28, 1)`, for integer probes.
        spatial_axes: grid axes of one image (batch not counted), in the order of a shift; all but that of the channels
            by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.
        boundary: `torus`; `background`, where zeros enter and no content leaves (integer probes are then a quarter of
            the image); or `scene`, where `images` are scenes larger than `grid`.
        grid: sizes of the window, for `scene` only.
        law: `stride` (Δ' = Δ/s), `same` (Δ' = Δ) or `any` (the best of all output shifts; torus only).
        method: `brute` computes every shift; `cosets` computes one shift per coset of the lattice under which every
            layer kept is proved to move, and lifts the others (torus only). Without such a lattice it is brute force,
            and `provenance["cosets"]` says why; fewer `layers` may have one.
        weights: `these`, or `integers` to ask about the architecture; the latter by default when `images` is a shape.
        dtype: `auto` takes float32 where exact, else float64 where exact, else float32. Float32 is the program as it is
            traced, float64 the same one widened; for others the model is called on images, and weights, in that format.
        layers: names of the layers to keep; all by default. Outputs always stay.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in reports.
        seed: of integer probes and weights.
        probes: how many integer probes, when `images` is a shape.
        chunk: shifts per chunk and device, at least 3 by cosets; chosen from the memory by default.
        directory: where finished chunks and `sweep.npz` are stored.
        resume: go on with what `directory` holds.
        progress: called with (shifts done, shifts in all).
        devices: the devices to share the work; all local ones by default.
        precision: of matrix products and convolutions, `highest`, `high` or `default`, as JAX names them. A device that
            then rounds integers is found out by calibration, and its layers are not called exact.

    Returns:
        A `Sweep`: deviations (layer, *shift), exactness and provenance.

    Raises:
        InputError, ModelCallError, NonDeterministicError, NonFiniteError, ResumeError: each says what to do.
        ContradictionError: a lifted shift was computed, and differs.

    >>> import jax.numpy as jnp
    >>> result = sweep(lambda x: jnp.maximum(x, 0).sum((1, 2)), (4, 4, 1))
    >>> str(result.count("invariance"))
    '16/16'
    """
    check_seed(seed)
    adapted = adapt(model, apply_kwargs=apply_kwargs, name=name)
    check_choice("law", law, get_args(Law))
    check_choice("method", method, get_args(Method))
    check_choice("dtype", dtype, DTYPES)
    check_choice("precision", precision, get_args(Precision))
    if chunk is not None:
        check_whole("chunk", chunk, least=2)  # shift 0 sits in every chunk
    check_boundary(boundary)
    if law == "any" and boundary != "torus":
        raise InputError('law="any" needs the torus: use boundary="torus", or law="stride".')
    if method == "cosets" and boundary != "torus":
        raise InputError(
            f'method="cosets" needs the torus, where shifts form a group; use "brute" with boundary={boundary!r}.'
        )
    if directory is not None:
        check_folder("directory", directory)
    elif resume:
        raise InputError("resume=True needs directory=, the folder of the interrupted sweep.")
    used = _devices_of(devices)
    given = read_images(images, spatial_axes, channels_first=adapted.channels_first)
    array = given.array
    kind = choose_weights(adapted, weights, probing=array is None)
    if array is None:
        array = integer_images(given.shape, count=probes, seed=seed)
        if boundary == "background":
            array = object_in_the_middle(array, given.batch_axes)
    canvas = _make_canvas(array, given.batch_axes, boundary=boundary, grid=grid)
    asker = Asker(
        adapted,
        canvas,
        law=law,
        kind=kind,
        output_axes=output_axes,
        keep=layers,
        seed=seed,
        precision=precision,
    )
    question = asker.choose(dtype, float64=has_float64(used[0]))
    with settings(question.dtype, precision):
        return _run(
            question,
            method=method,
            chunk=chunk,
            store=Store(directory) if directory is not None else None,
            resume=resume,
            progress=progress,
            devices=used,
            seed=seed,
        )


def _devices_of(devices: Sequence[jax.Device] | None) -> list[jax.Device]:
    """The devices to be used; all local ones where none are said.

    Raises:
        InputError: they are no devices of JAX.
    """
    listed = jax.local_devices() if devices is None else devices
    if not isinstance(listed, (list, tuple)) or not all(isinstance(d, jax.Device) for d in listed):
        raise InputError(
            f"devices= takes devices of JAX, as jax.devices('cpu') gives; got {devices!r}."
        )
    return list(listed) or jax.local_devices()


def _make_canvas(
    images: np.ndarray, axes: Sequence[int], *, boundary: BoundaryName, grid: Sequence[int] | None
) -> Canvas:
    if boundary == "scene":
        if grid is None:
            raise InputError(
                'boundary="scene" needs grid=, the size of the window that moves over the scene.'
            )
        return Canvas.scene(images, axes=axes, grid=check_sizes("grid", grid, len(axes)))
    if grid is not None:
        raise InputError(
            f'grid= belongs to boundary="scene"; with {boundary!r} the grid is that of the images.'
        )
    return (Canvas.torus if boundary == "torus" else Canvas.background)(images, axes=axes)


def _run(
    question: Question,
    *,
    method: Method,
    chunk: int | None,
    store: Store | None,
    resume: bool,
    progress: Progress | None,
    devices: Sequence[jax.Device],
    seed: int,
) -> Sweep:
    question = calibrated(question, devices[0])
    asked, details = describe(question, devices[0]), {"seed": str(seed)}
    cosets = find_cosets(question) if method == "cosets" else None
    if cosets is not None and not cosets.generators:
        details["cosets"] = _why_brute(cosets)
        cosets = None
    stages: tuple[Stage, ...] = ()
    if cosets is not None:
        asked["method"] = f"cosets of {cosets.generators}"
        if stages := find_stages(question, cosets):
            details["stages"] = describe_stages(stages)
            asked["method"] += f" in stages, {details['stages']}"
            cosets = ordered(cosets, stages)
    plan = Plan(PLAN_SCHEMA, asked, chunk or chunk_size(question, devices[0]))
    crew = Crew.here()
    plan = crew.open(store, plan, resume=resume)
    shifts = question.canvas.shifts if cosets is None else cosets.representatives
    least = 1 if cosets is None else 3
    while True:
        groups = make_groups(shifts, plan.chunk, least=least)
        try:
            engine = Engine(
                question,
                chunk=len(groups[0]),
                devices=devices[: len(groups)],
                cosets=cosets,
                block=plan.chunk,
                schedule=Schedule(stages, groups) if stages else None,
            )
            report = check_call(engine)
            rows = run_chunks(engine, groups, plan=plan, store=store, crew=crew, progress=progress)
            break
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            plan = _smaller(plan, len(groups[0]), error, least=least, store=store, crew=crew)
    question = dataclasses.replace(question, exactness=report.exactness)
    warn_inexact(question)
    noise = measure_noise(question)
    record = None
    if cosets is not None:
        check_stages(engine, question, noise, groups[:: max(1, len(groups) - 1)])
        record = check_lifted(engine, question, noise, seed=seed)
    placed = place_rows(groups, rows, cosets, grid=question.canvas.grid)
    maps = make_maps(question, *placed)
    header = make_header(
        question,
        report,
        noise,
        provenance=provenance(devices[0], question.model.door.package)
        | describe(question, devices[0])
        | details,
        cosets=record,
    )
    result = Sweep(header, **maps)
    if store is not None and crew.first:
        result.save(store.directory / "sweep.npz")
    crew.meet("sweep")
    return result


def _smaller(
    plan: Plan, chunk: int, error: Exception, *, least: int, store: Store | None, crew: Crew
) -> Plan:
    """The plan with half as many shifts per chunk, after the device ran out of memory.

    Raises:
        DeviceMemoryError: there is no smaller chunk, or others rely on this one.
    """
    cause = f"the device has no memory for chunks of {chunk} shifts ({str(error).splitlines()[0]})"
    smaller = chunk // 2
    if smaller < max(2, least):
        raise DeviceMemoryError(
            f"{cause}, and fewer are not possible. Use fewer images, or only some layers (layers=), or a device with "
            "more memory."
        ) from error
    if crew.count > 1:
        raise DeviceMemoryError(
            f"{cause}. Pass chunk={smaller} to all processes, and a new folder."
        ) from error
    if store is not None and store.holds_chunks:
        raise DeviceMemoryError(
            f"{cause}, with which {store.directory} was begun. Choose another folder, or a device with more memory."
        ) from error
    warnings.warn(f"{cause}; going on with {smaller}.", SmallerChunkWarning, stacklevel=4)
    plan = msgspec.structs.replace(plan, chunk=smaller)
    if store is not None:
        store.begin(plan)
    return plan


def _why_brute(cosets: Cosets) -> str:
    why = "every shift was computed: no lattice was found under which all layers are proved to move"
    if cosets.limit is None:
        return why
    where = f" ({cosets.limit.site})" if str(cosets.limit.site) else ""
    advice = "" if cosets.limit.output else "; layers= can leave it out"
    return f"{why}, and none for layer {cosets.limit.name}{where} alone{advice}"


def make_groups(shifts: np.ndarray, chunk: int, *, least: int = 1) -> list[np.ndarray]:
    """All shifts but 0 in equal chunks that each begin with shift 0; short ones are filled up with it."""
    moving = shifts[np.any(shifts != 0, axis=1)]
    count = -(-len(moving) // (chunk - 1))
    each = -(-len(moving) // max(1, count))
    groups = np.zeros((max(1, count), max(each + 1, least), shifts.shape[1]), np.int32)
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
    crew: Crew | None = None,
    progress: Progress | None = None,
) -> list[dict[str, np.ndarray]]:
    """The rows of every chunk, stored ones read and the others computed, one chunk per device at a time.

    Of what is missing a crew of several processes computes one share each, and reads the others' from the store.
    """
    crew = crew or Crew()
    rows: dict[int, dict[str, np.ndarray]] = {}
    for index in range(len(groups)):
        stored = store.read(plan, index) if store and plan else None
        if stored is not None:
            rows[index] = stored
    total = len(engine.question.canvas.shifts)
    each = 1 if engine.cosets is None else len(engine.cosets.elements)

    def report() -> None:
        if progress is not None:
            # the last chunk is filled up, and shift 0 sits in every one
            done = 1 + each * sum(len(groups[index]) - 1 for index in rows)
            progress(total if len(rows) == len(groups) else min(done, total), total)

    def finish(indices: Sequence[int], pending: Mapping[str, jax.Array]) -> None:
        result = {name: np.asarray(value) for name, value in pending.items()}
        for position, index in enumerate(indices):
            rows[index] = {name: value[position] for name, value in result.items()}
            if store and plan:
                store.write(plan, index, rows[index])
        report()

    report()
    there = crew.agree(np.array([index in rows for index in range(len(groups))]))
    missing = crew.share(np.flatnonzero(~there)).tolist()
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
    if crew.count > 1:
        crew.meet("chunks")
        _join(rows, groups, plan=plan, store=store)
        report()
    return [rows[index] for index in range(len(groups))]


def _join(
    rows: dict[int, dict[str, np.ndarray]],
    groups: Sequence[np.ndarray],
    *,
    plan: Plan | None,
    store: Store | None,
) -> None:
    """Read the chunks that other processes stored."""
    for index in range(len(groups)):
        stored = store.read(plan, index) if store and plan and index not in rows else None
        if stored is not None:
            rows[index] = stored
        elif index not in rows:
            raise InputError(
                f"chunk {index}, which another process finished, is not in the folder of this one: the folder must be "
                "shared by all processes."
            )


def place_rows(
    groups: Sequence[np.ndarray],
    rows: Sequence[Mapping[str, np.ndarray]],
    cosets: Cosets | None,
    *,
    grid: Sequence[int],
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Every shift once, and its rows: fillers are left out, and so is shift 0 in all chunks but the first.

    Raises:
        ContradictionError: under shift 0 a layer differs from itself.
    """
    if any(np.any(row[name][0] > 0) for row in rows for name in ("equivariance", "invariance")):
        raise ContradictionError(
            "under shift 0 a layer differs from itself: the compiler has what is compared computed twice, with "
            "different rounding, so that no deviation can be believed. Please report a bug, with the model, the "
            "version of jaxlib and the device."
        )
    shifts, kept = [], []
    for index, group in enumerate(groups):
        real = np.any(group != 0, axis=1)
        real[0] = index == 0
        if cosets is not None:
            group = ((group[:, None] + cosets.elements) % grid).reshape(-1, len(grid))
            real = np.repeat(real, len(cosets.elements))
        shifts.append(group[real])
        kept.append(real)
    placed = {
        name: np.concatenate([row[name][real] for row, real in zip(rows, kept, strict=True)])
        for name in rows[0]
    }
    return np.concatenate(shifts), placed


def make_maps(
    question: Question, order: np.ndarray, rows: Mapping[str, np.ndarray], *, whole: bool = False
) -> dict[str, np.ndarray]:
    """Put the rows where their shifts belong and mask what the law leaves undefined.

    Args:
        question: what was compared.
        order: (count, axes), the shifts of the rows.
        rows: each (count, layers).
        whole: whether all cells were compared, also where frames do not overlap.
    """
    canvas = question.canvas
    shape = (len(question.layers), *(len(room) for room in canvas.ranges))
    starts = np.array([room.start for room in canvas.ranges])
    maps: dict[str, np.ndarray] = {}
    for name, found in rows.items():
        kind = np.float64 if name in ("equivariance", "invariance") else np.int32
        maps[name] = np.zeros(shape, kind)
        maps[name][(slice(None), *(order - starts).T)] = found.T
    _check_rows(question, maps)
    shifts = canvas.shifts
    for i, layer in enumerate(question.layers):
        undefined = np.ones(len(shifts), bool)
        if layer.has_grid and question.law == "any":
            undefined[:] = False
        elif layer.has_grid:
            undefined = ~defined(shifts, output_steps(layer, canvas, question.law))
            if not whole:
                undefined |= overlap_cells(layer, canvas, shifts, question.law) == 0
        maps["equivariance"][i][undefined.reshape(shape[1:])] = np.nan
        maps["equivariance_cells"][i][undefined.reshape(shape[1:])] = -1
    return maps


def make_header(
    question: Question,
    report: CallReport,
    noise: Sequence[float],
    *,
    provenance: dict[str, str],
    cosets: CosetRecord | None,
) -> Header:
    """What a result of this question says besides its maps."""
    canvas = question.canvas
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
    return Header(
        schema=SCHEMA,
        model=question.model.name,
        grid=canvas.grid,
        ranges=tuple((room.start, room.stop) for room in canvas.ranges),
        boundary=canvas.boundary.name,
        law=question.law,
        dtype=question.dtype,
        weights=question.weights_kind,
        scale=question.scale,
        images=canvas.array.shape[0],
        layers=records,
        provenance=provenance,
        cosets=cosets,
    )


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
