"""Verification: every shift, cell or place decided, by a proof for all inputs or a counterexample. On the torus:

    model -> program -> graph -> lattice that is proved -> minimal larger groups -> one counterexample each -> Verdict

The proof holds for all inputs, and for all weights unless the model's own are asked for. Where a compiled program
contradicts a proof, verification stops: neither is chosen.
"""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.asked import asked_mask
from shiftproof.deciding.background import decide_background
from shiftproof.deciding.decision import Case
from shiftproof.deciding.notes import budget_notes, tie_notes, verdict_notes
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.scene import decide_scene
from shiftproof.deciding.subject import Subject, Weights, graph_of, identities_of, timed
from shiftproof.deciding.verdict import OutputVerdict, Verdict, verdict_of
from shiftproof.errors import (
    ContradictionError,
    InputError,
    NonDeterministicError,
    WideningError,
)
from shiftproof.exactness.calibration import float64_device
from shiftproof.files import plain_json, write_atomic
from shiftproof.group import BoundaryName, Lattice, check_boundary
from shiftproof.layers.polyphase import Ties
from shiftproof.listening import tell
from shiftproof.progress import waiting
from shiftproof.provenance import provenance
from shiftproof.proving.analysis import Claim, Prover
from shiftproof.proving.asked import in_floats
from shiftproof.proving.causes import Cause, find_causes, layer_steps
from shiftproof.proving.identity import Identities
from shiftproof.proving.layers import Layer, find_layers
from shiftproof.proving.polyphase import Conditional, conditional
from shiftproof.proving.selections import find_selections
from shiftproof.refuting.bench import Bench
from shiftproof.refuting.budget import SEARCH_SECONDS, Budget
from shiftproof.refuting.sensitivity import DEAD, sensitivity
from shiftproof.tracing.arguments import (
    at_the_door,
    check_choice,
    check_integers,
    check_seed,
    read_images,
)
from shiftproof.tracing.model import (
    Model,
    adapt,
    native_dtype,
    program_in,
    trace_again,
    trace_once,
    weights_in,
)
from shiftproof.tracing.settings import current_device, settings

Law = Literal["any", "same"]
Property = Literal["both", "equivariance", "invariance"]

SWEPT = (
    "every shift of the grid was also tried by itself in the field, and agrees with the lattice."
)
MOST_COLOURS = 4
"""An image with no more rows than this, and many more columns and channels, may have its channels first."""


@at_the_door()
@waiting("verify")
@float64_device()
def verify(
    model: Any,
    images: Any,
    *,
    boundary: BoundaryName = "torus",
    object: Sequence[int] | None = None,
    property: Property = "both",
    law: Law = "any",
    weights: Weights | None = None,
    shifts: Sequence[Sequence[int | str]] | np.ndarray | None = None,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    seed: int = 0,
    exhaustive: bool = False,
    search_seconds: float = SEARCH_SECONDS,
) -> Verdict:
    """Decide equivariance and invariance of a model under every shift of its grid.

    Equivariance under Δ: for some output shift Δ', `f(T_Δ x) = T_Δ' f(x)` for all x. Invariance: `f(T_Δ x) = f(x)`.

    Where the image does not wrap around, the question is where that holds: on a scene in which cells of the outputs, on
    a background at which places of an object, with the output shift Δ divided by the stride.

    Args:
        model: an `nnx.Module`, linen `(module, variables)`, an `equinox.Module` or `(model, state)`, a Haiku
            `(transformed, params)` or `(transformed, params, state)`, a `keras.Model`, a `torch.nn.Module`, `(function,
            params)` called as `function(params, images)`, or a callable on batches.
        images: the shape of one image, such as `(28, 28, 1)`; or images (batch, *shape), tried first.
        boundary: what enters where content leaves: on the `torus` what leaves on the other side; on a `scene`, of which
            the image is a window, new content; on a `background`, where an object moves on an empty image, nothing.
        object: on a background the sizes of the object; a quarter of the image by default.
        property: `equivariance`, `invariance` or `both`; on the torus.
        law: of the output shift: `any`, or the `same` as that of the image; on the torus.
        weights: `all` asks about the architecture, for any weights; `these` about the model with its own. The arrays
            that a plain callable closes over are part of the function, so the default for it is `these`, and else
            `all`.
        shifts: on the torus, the shifts asked about, for `Verdict.word`; all by default. A step may be a string such as
            `4Z`, all multiples of 4. Every shift is decided in any case.
        spatial_axes: grid axes of one image (batch not counted), in the order of a shift; all but that of the channels
            by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.
        apply_kwargs: keyword arguments of the model's call.
        name: of the model in reports.
        seed: of probes, drawn weights, and the field.
        exhaustive: also try every shift of the grid in the field, one by one, and compare the result with the lattice
            that generators and minimal overgroups give. On a scene and a background: look at every cell, and every
            place, of a large model too.
        search_seconds: that the search for counterexamples may take beside compilation; what is left then is undecided,
            and the reason says so.

    Returns:
        A `Verdict`: one word per shift, cell or place with its evidence, certificates, counterexamples, layers and
        causes.

    Raises:
        InputError, ModelCallError, NonDeterministicError, NonFiniteError: each says what to do.
        ContradictionError: a proof and the compiled program disagree.

    Warns:
        VacuousWarning: an output does not answer to the image.

    >>> import jax.numpy as jnp
    >>> verdict = verify(lambda x: x[:, ::2].max((1, 2)), (4, 4, 1))
    >>> verdict.invariance.lattice.count, verdict.invariance.refuted, verdict.invariance.undecided
    (8, 8, 0)
    >>> from flax import nnx
    >>> print(verify(nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0)), (8, 8, 1), boundary="scene"))
    Conv as a window of 8x8 on a scene, for all weights
      output: 36 of 64 cells (1..6 × 1..6) move with the scene, in steps of 1 × 1 pixels; refuted in 28
    """
    check_boundary(boundary)
    if boundary != "torus":
        for argument, given, default in (
            ("property", property, "both"),
            ("law", law, "any"),
            ("shifts", shifts, None),
        ):
            if given is not default and given != default:
                raise InputError(
                    f'{argument}= belongs to boundary="torus", and this is {boundary!r}; leave it out.'
                )
    if object is not None and boundary != "background":
        raise InputError('object= belongs to boundary="background", where one moves.')
    if object is not None:
        object = check_integers("object", object, "(3, 3)")
    subject, claims = ask(
        model,
        images,
        property=property,
        law=law,
        weights=weights,
        spatial_axes=spatial_axes,
        output_axes=output_axes,
        apply_kwargs=apply_kwargs,
        name=name,
        seed=seed,
        search_seconds=search_seconds,
    )
    if boundary != "torus":
        rows, causes = chain(subject)
        if boundary == "scene":
            verdict = decide_scene(subject, rows, causes, exhaustive=exhaustive)
        else:
            verdict = decide_background(subject, rows, causes, object=object, exhaustive=exhaustive)
        tell(verdict)
        return verdict
    asked = asked_mask(shifts, subject.grid)
    try:
        verdict = _decide(subject, claims, asked, exhaustive=exhaustive)
    except ContradictionError as error:
        raise _reported(error, subject) from error
    if subject.weights == "all" and any(output.vacuous for output in verdict.outputs):
        these = _decide(
            dataclasses.replace(subject, weights="these"), claims, asked, exhaustive=exhaustive
        )
        verdict = dataclasses.replace(verdict, these=these)
    if verdict.witnesses or (verdict.these and verdict.these.witnesses):
        _check_deterministic(subject)
    tell(verdict)
    return verdict


@at_the_door(also=[name for name in inspect.signature(verify).parameters if name != "boundary"])
def verify_scene(model: Any, images: Any, **options: Any) -> Verdict:
    """`verify` with `boundary="scene"`: where a model just moves with a scene of which its input is a window."""
    return verify(model, images, boundary="scene", **options)


def chain(subject: Subject) -> tuple[list[LayerVerdict], tuple[Cause, ...]]:
    """The layer table on the torus, and where the lattice shrinks, by the kernel alone."""
    with settings(subject.dtype):
        prover = Prover(graph_of(subject), subject.grid)
        steps = layer_steps(prover, subject.layers)
        return _rows(subject, steps), _causes(prover, subject)


def _causes(prover: Prover, subject: Subject) -> tuple[Cause, ...]:
    words = subject.model.door.words
    return tuple(find_causes(prover, subject.layers, subject.program, words=words))


def _rows(
    subject: Subject,
    steps: Sequence[tuple[int, ...] | None],
    identities: Sequence[int | None] | None = None,
) -> list[LayerVerdict]:
    counts = identities or [None] * len(subject.layers)
    return [
        LayerVerdict(
            x.name,
            str(x.site),
            x.shape,
            step,
            subject.grid,
            x.fields,
            count,
            x.grid,
            x.output,
        )
        for x, step, count in zip(subject.layers, steps, counts, strict=True)
    ]


def analyse(model: Any, images: Any, **options: Any) -> "Analysis":
    """What is proved of a model, without a search for counterexamples: a matter of tracing.

    Args:
        model: as for `verify`.
        images: as there.
        options: of `verify`, but `shifts`.
    """
    return _analyse(*ask(model, images, **options))


def ask(
    model: Any,
    images: Any,
    *,
    property: Property = "both",
    law: Law = "any",
    weights: Weights | None = None,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
    apply_kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
    seed: int = 0,
    search_seconds: float = SEARCH_SECONDS,
) -> "tuple[Subject, list[Claim]]":
    """What `verify` decides: the traced model, and one claim per output and property; arguments are its own."""
    check_choice("property", property, get_args(Property))
    check_choice("law", law, get_args(Law))
    if weights is not None:
        check_choice("weights", weights, get_args(Weights))
    adapted = adapt(model, apply_kwargs=apply_kwargs, name=name)
    check_seed(seed)
    given = read_images(images, spatial_axes, channels_first=adapted.channels_first)
    subject = _trace(
        adapted,
        given.shape,
        given.batch_axes,
        output_axes=output_axes,
        weights=weights or ("these" if adapted.kind == "callable" else "all"),
        images=None if given.array is None else given.array.astype(np.float64),
        seed=seed,
        search_seconds=search_seconds,
        notes=(*adapted.notes, *(() if spatial_axes is not None else _taken(adapted, given.shape))),
    )
    _check_weights(subject)
    return subject, _claims(subject, property, law)


def _check_weights(subject: Subject) -> None:
    """Stop where all weights are asked about, and what a plain callable closes over cannot be told from constants."""
    held = [number for number, array in subject.traced.constants.items() if np.size(array) > 1]
    if subject.weights == "all" and subject.model.kind == "callable" and held:
        shapes = ", ".join(str(tuple(subject.traced.avals[number].shape)) for number in held[:3])
        raise InputError(
            f'weights="all" needs to know which arrays are weights, and {subject.model.name} closes over arrays of '
            f"shapes {shapes}. Pass (function, params), to be called as function(params, images), or the module of "
            'the framework itself; or ask about weights="these".'
        )


def _channels(count: int) -> str:
    return f"{count} channel{'s' if count != 1 else ''}"


def _taken(model: Model, shape: tuple[int, ...]) -> tuple[str, ...]:
    """What the axes of an image, or an unusual shape, were taken for, where nothing was said of its axes."""
    if model.channels_first:
        sizes = "x".join(map(str, shape[1:]))
        return (
            f"the shape {shape} of one image was taken for a grid of {sizes} with {_channels(shape[0])}, as "
            f"{model.door.framework} has the channels first. To say otherwise, pass "
            "spatial_axes= (--spatial-axes).",
        )
    *grid, channels = shape
    sizes = "x".join(map(str, grid))
    if len(shape) > 3 and shape[0] == 1:
        return (
            f"the shape {shape} of one image was taken for a grid of {sizes} with {channels} channels. The batch is "
            f"not counted: if the first axis is the batch, pass {shape[1:]}.",
        )
    if len(shape) == 3 and shape[0] <= MOST_COLOURS and min(shape[1:]) >= 2 * MOST_COLOURS:
        return (
            f"the shape {shape} of one image was taken for a grid of {sizes} with {channels} channels. If channels "
            "come first, pass spatial_axes=(1, 2) (--spatial-axes 1 2).",
        )
    return ()


def _trace(
    model: Model,
    shape: tuple[int, ...],
    axes: Sequence[int],
    *,
    output_axes: Sequence[int] | None,
    weights: Weights,
    images: np.ndarray | None,
    seed: int,
    search_seconds: float,
    notes: tuple[str, ...],
) -> Subject:
    """Trace the model on one image, which is the one call of the user's code, and widen the program where possible."""
    seconds: dict[str, float] = {}
    with timed(seconds, "trace"):
        traced, dtype = trace_once(model, (1, *shape)), "float64"
        try:
            program = program_in(model, (1, *shape), dtype)
        except WideningError:
            program, dtype = traced, native_dtype()
        arrays = weights_in(model, program)
        with settings(dtype):
            oracle = in_floats(program, arrays)
            layers = find_layers(program, axes, output_axes=output_axes, oracle=oracle)
    return Subject(
        model=model,
        shape=shape,
        axes=tuple(axes),
        traced=traced,
        program=program,
        arrays=arrays,
        dtype=dtype,
        layers=layers,
        weights=weights,
        images=images,
        seed=seed,
        search_seconds=search_seconds,
        seconds=seconds,
        notes=(*notes, *(layer.note for layer in layers if layer.note)),
        output_axes=output_axes,
    )


def _check_deterministic(subject: Subject) -> None:
    """Call the user's code again, for a counterexample that was found: randomness may sit in Python.

    Raises:
        NonDeterministicError: it gives another program.
    """
    again = trace_again(subject.model, (1, *subject.shape))
    if again.fingerprint != subject.traced.fingerprint:
        raise NonDeterministicError(
            f"{subject.model.name} is not deterministic: two traces of it differ. Pass a fixed key, switch dropout "
            "off, and keep NumPy's generator out of the call."
        )


def _reported(error: ContradictionError, subject: Subject) -> ContradictionError:
    """The error with the path of a full report, written to the working directory."""
    report = error.report | {
        "error": str(error),
        "model": subject.model.name,
        "grid": subject.grid,
        "weights_asked": subject.weights,
        "seed": subject.seed,
        "graph": graph_of(subject).program.to_json(),
        "jaxpr_sha256": subject.program.fingerprint,
        "provenance": provenance(current_device(), subject.model.door.package),
    }
    path = Path(f"shiftproof-contradiction-{subject.program.fingerprint[:12]}.json")
    write_atomic(path, msgspec.json.format(plain_json(report)))
    return ContradictionError(f"{error} Please report it with the file {path}.", report)


def _claims(subject: Subject, property: Property, law: Law) -> list[Claim]:
    claims = []
    outputs = {layer.output: layer for layer in subject.layers if layer.output is not None}
    for leaf, name in enumerate(subject.program.output_names):
        axes = tuple(axis for axis in outputs[name].grid if axis is not None)
        sizes = tuple(outputs[name].shape[axis] for axis in axes)
        if axes and law == "same" and len(axes) != len(subject.grid):
            raise InputError(
                f'{name} has {len(axes)} grid axes of {len(subject.grid)}: use law="any".'
            )
        if axes and property != "invariance":
            claims.append(Claim(name, leaf, "equivariance", axes, sizes, law))
        if property != "equivariance":
            claims.append(Claim(name, leaf, "invariance", (), (), "any"))
    if not claims:
        raise InputError(
            "no output has a grid, so there is no equivariance to ask about: ask for invariance, or name the grid "
            "axes by output_axes=."
        )
    return claims


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What is proved of a model, before counterexamples are sought.

    Attributes:
        subject: the traced model.
        prover: of its graph.
        cases: one a claim, each with the lattice that is proved.
        steps: the lattice of every layer.
        causes: where the lattice shrinks.
        conditional: by claim what polyphase layers keep beside what is proved.
        identities: for every layer the number of shifts under which it just moves, or stays; None where not every shift
            was tried.
        seconds: what each stage took.
    """

    subject: Subject
    prover: Prover
    cases: list[Case]
    steps: list[tuple[int, ...] | None]
    causes: tuple[Cause, ...]
    conditional: dict[Claim, Conditional]
    identities: list[int | None]
    seconds: dict[str, float]


def _analyse(subject: Subject, claims: Sequence[Claim], *, exhaustive: bool = False) -> Analysis:
    seconds = dict(subject.seconds)
    with timed(seconds, "analysis"), settings(subject.dtype):
        prover = Prover(graph_of(subject), subject.grid)
    with timed(seconds, "identities"):
        identities = identities_of(subject)
        swept, kept_by = _swept(identities, claims, subject.layers) if exhaustive else ({}, [])
        cases = [Case(c, prover, identities, swept=swept.get(c)) for c in claims]
    with timed(seconds, "analysis"), settings(subject.dtype):
        steps = layer_steps(prover, subject.layers)
        causes = _causes(prover, subject)
        kept = _kept(prover, subject, {case.claim: case.lattice for case in cases})
    counts: list[int | None] = [int(mask.sum()) for mask in kept_by]
    counts = counts or [None] * len(steps)
    return Analysis(subject, prover, cases, steps, causes, kept, counts, seconds)


def _kept(
    prover: Prover, subject: Subject, proved: Mapping[Claim, Lattice]
) -> dict[Claim, Conditional]:
    """What polyphase layers keep beside what is proved."""
    selections = find_selections(subject.program)
    if not selections:
        return {}
    if any(selection.ties == "first" for selection in selections):
        prover = Prover(graph_of(subject, ties=get_args(Ties)), subject.grid)
    return conditional(prover, subject.program, selections, proved)


def _swept(
    identities: Identities, claims: Sequence[Claim], layers: Sequence[Layer]
) -> tuple[dict[Claim, np.ndarray], list[np.ndarray]]:
    try:
        return identities.sweep(claims, layers)
    except FieldError as reason:
        raise InputError(
            f"the field cannot try every shift of this model: {reason}. Leave out exhaustive=True."
        ) from reason


def _decide(
    subject: Subject, claims: Sequence[Claim], asked: np.ndarray, *, exhaustive: bool = False
) -> Verdict:
    analysis = _analyse(subject, claims, exhaustive=exhaustive)
    cases, seconds = analysis.cases, analysis.seconds
    bench = Bench(
        subject.model,
        subject.shape,
        spatial_axes=subject.image_axes,
        architecture=subject.weights == "all",
        proved=[fact for case in cases for fact in case.facts()],
        seed=subject.seed,
        images=subject.images,
        budget=Budget(subject.search_seconds),
    )
    with timed(seconds, "witnesses"):
        changes = sensitivity(bench.own(), subject.model.name, seed=subject.seed)
        choices = tie_notes(subject, bench.trial(bench.first()))
        bench.check(bench.first())
        bench_found = bench.search([doubt for case in cases for doubt in case.doubts()])
        for case in cases:
            case.settle(bench_found, bench)
    seconds["enclosures"] = bench.budget.enclosing
    with timed(seconds, "certificates"):
        digest = subject.weights_sha256
        verdicts = {
            case.claim: dataclasses.replace(
                case.verdict(weights_sha256=digest),
                conditional=analysis.conditional.get(case.claim),
            )
            for case in cases
        }
    outputs = tuple(
        OutputVerdict(
            name=name,
            shape=next(layer.shape for layer in subject.layers if layer.output == name),
            equivariance=_of(verdicts, leaf, "equivariance"),
            invariance=_of(verdicts, leaf, "invariance"),
            vacuous=changes[leaf] < DEAD,
        )
        for leaf, name in enumerate(subject.program.output_names)
    )
    return verdict_of(
        subject,
        "torus",
        outputs,
        _rows(subject, analysis.steps, analysis.identities),
        analysis.causes,
        asked=asked,
        notes=(
            *verdict_notes(subject, outputs, changes),
            *budget_notes(bench.budget, outputs),
            *((SWEPT,) if exhaustive else ()),
            *choices,
            *(f"{c.property} of {c.output} is {kept}." for c, kept in analysis.conditional.items()),
        ),
        seconds=seconds,
    )


def _of(
    verdicts: Mapping[Claim, PropertyVerdict], leaf: int, property: str
) -> PropertyVerdict | None:
    found = (v for c, v in verdicts.items() if c.leaf == leaf and c.property == property)
    return next(found, None)
