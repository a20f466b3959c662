"""Assertions: what a test says about the shifts of a model, with a message that needs no manual.

Plain functions that raise `AssertionError`, so they work under pytest, unittest and absl alike. An assertion asks for
a proof unless told otherwise; what is neither proved nor refuted raises `UndecidedError`, which is an `AssertionError`
too but never to be mistaken for a failure of the model.
"""

import dataclasses
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from shiftproof.deciding.verdict import PropertyVerdict, Verdict, Word
from shiftproof.deciding.verify import Law, Property, Weights, asked_mask, shifts_of, verify
from shiftproof.errors import InputError, UndecidedError
from shiftproof.refuting.counterexample import from_witness
from shiftproof.refuting.witness import Witness
from shiftproof.sweeping.result import Status, axis_names
from shiftproof.sweeping.sweep import sweep
from shiftproof.translation import Boundary, Shift

Evidence = Literal["proof", "sweep"]
Claimed = Literal["equivariance", "invariance"]
Shifts = Sequence[Sequence[int | str]] | np.ndarray | None

WIDEST = 16
"""Rows and columns of an image that are drawn."""

MARGIN = 2
"""Zeros that are drawn around the content of an image."""


@dataclasses.dataclass(frozen=True)
class _Request:
    """Everything that is passed on to `verify`, and how to fail."""

    model: Any
    images: Any
    options: Mapping[str, Any]
    custom_message: str | None
    include_default_message: bool
    exception_type: type[Exception]

    def verdict(self, property: Property) -> Verdict:
        return verify(self.model, self.images, property=property, **self.options)

    def fail(self, message: str, kind: type[Exception] | None = None) -> None:
        """Raise, with the user's words first, as chex does."""
        parts = [self.custom_message or ""]
        if self.include_default_message or not self.custom_message:
            parts.append(message)
        raise (kind or self.exception_type)("\n".join(part for part in parts if part))


def assert_equivariant(
    model: Any,
    images: Any,
    *,
    stride: int | Sequence[int] | None = None,
    shifts: Shifts = None,
    law: Law = "any",
    boundary: Boundary = "circular",
    evidence: Evidence = "proof",
    weights: Weights = "all",
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """Fail unless every output that has a grid moves with the image, under all shifts asked.

    Args:
        model: an `nnx.Module`, linen `(module, variables)`, or a callable on batches.
        images: the shape of one image, or images (batch, *shape).
        stride: ask for the multiples of this many pixels along every axis, or one number per axis.
        shifts: ask for these shifts; all by default. A step may be a string such as `4Z`.
        law: of the output shift, `any` or the `same`.
        boundary: `circular`; others can be swept only.
        evidence: `proof`, or `sweep`: equality seen for the images (integer probes for a shape) is enough.
            The law `any` is then swept as Δ/s, s being the stride.
        weights: `all` or `these`.
        custom_message: put before the message, or in its place where `include_default_message` is false.
        include_default_message: whether the message that explains is shown.
        exception_type: raised where the property fails.
        options: of `verify` or `sweep`, such as `apply_kwargs`, `spatial_axes`, `seed`.

    Raises:
        AssertionError: it fails under a shift asked; the message draws a counterexample.
        UndecidedError: neither proved nor refuted.

    >>> from flax import nnx
    >>> assert_equivariant(lambda x: nnx.max_pool(x, (2, 2), (2, 2)), (8, 8, 1), stride=2)
    """
    request = _Request(
        model,
        images,
        {"law": law, "weights": weights, **options},
        custom_message,
        include_default_message,
        exception_type,
    )
    _assert_holds(request, "equivariance", _multiples(stride, shifts, request), evidence, boundary)


def assert_invariant(
    model: Any,
    images: Any,
    *,
    stride: int | Sequence[int] | None = None,
    shifts: Shifts = None,
    boundary: Boundary = "circular",
    evidence: Evidence = "proof",
    weights: Weights = "all",
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """Fail unless no output changes under the shifts asked; arguments as for `assert_equivariant`.

    >>> assert_invariant(lambda x: x.max((1, 2)), (8, 8, 1))
    """
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        custom_message,
        include_default_message,
        exception_type,
    )
    _assert_holds(request, "invariance", _multiples(stride, shifts, request), evidence, boundary)


def assert_breaks(
    model: Any,
    images: Any,
    *,
    property: Claimed = "invariance",
    shifts: Shifts = None,
    weights: Weights = "all",
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """The negative twin: fail unless the property is refuted under every shift asked (all but 0 by default).

    >>> assert_breaks(lambda x: x[:, ::2], (8, 8, 1), property="equivariance", shifts=[(1, 0)])
    """
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        custom_message,
        include_default_message,
        exception_type,
    )
    verdict = request.verdict(property)
    asked = asked_mask(shifts, verdict.grid)
    if shifts is None:
        asked = asked.copy()
        asked[(0,) * asked.ndim] = False
    for name, found in _claims(verdict, property):
        words = found.map[asked]
        if np.any(words == Word.UNDECIDED):
            request.fail(_undecided_text(name, found, asked), UndecidedError)
        kept = asked & (found.map == Word.PROVED)
        if kept.any():
            shift = _smallest(kept)
            request.fail(
                f"{property} of {name} was to break, but it is proved under {int(kept.sum())} of "
                f"{int(asked.sum())} shifts asked, {residues(found)[0]}.\n"
                f"  smallest: {_steps(shift)}: {found.evidence(shift).text}"
            )


def assert_lattice(
    model: Any,
    images: Any,
    lattice: str,
    *,
    property: Claimed = "invariance",
    weights: Weights = "all",
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """Fail unless the shifts that keep the property are exactly this lattice: proved inside, refuted outside.

    Args:
        model: as for `assert_equivariant`.
        images: as there.
        lattice: such as `4Z x 4Z`, `2Z x 0`, or `Z` on one axis.
        property: `equivariance` or `invariance`.
        weights: `all` or `these`.
        custom_message: as there.
        include_default_message: as there.
        exception_type: as there.
        options: of `verify`.

    >>> from flax import nnx
    >>> pool = lambda x: nnx.max_pool(x, (2, 2), (2, 2))
    >>> assert_lattice(pool, (8, 8, 1), "2Z x 2Z", property="equivariance")
    """
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        custom_message,
        include_default_message,
        exception_type,
    )
    steps = [step.strip() for step in re.split(r"[x×]", lattice)]
    verdict = request.verdict(property)
    if len(steps) != len(verdict.grid):
        raise InputError(
            f"the lattice {lattice!r} has {len(steps)} axes, the grid {verdict.grid} has {len(verdict.grid)}."
        )
    expected = asked_mask(shifts_of([",".join(steps)]), verdict.grid)
    for name, found in _claims(verdict, property):
        if found.undecided:
            everywhere = np.ones_like(expected)
            request.fail(_undecided_text(name, found, everywhere), UndecidedError)
        proved = found.map == Word.PROVED
        if not np.array_equal(proved, expected):
            only = int(proved.sum())
            message = (
                f"{property} of {name} holds on {found.lattice} ({only} of {proved.size} shifts), expected "
                f"{lattice} ({int(expected.sum())})."
            )
            missing = expected & ~proved
            if missing.any():
                message += "\n" + _failure(verdict, name, found, missing)
            else:
                shift = _smallest(proved & ~expected)
                message += f"\n  also under {_steps(shift)}: {found.evidence(shift).text}"
            request.fail(message)


def _multiples(stride: int | Sequence[int] | None, shifts: Shifts, request: _Request) -> Shifts:
    if stride is None:
        return shifts
    if shifts is not None:
        raise InputError("stride= and shifts= exclude each other.")
    sizes = (
        len(_grid_of(request)) * [stride] if isinstance(stride, (int, np.integer)) else list(stride)
    )
    return [tuple(f"{int(step)}Z" for step in sizes)]


def _grid_of(request: _Request) -> tuple[int, ...]:
    shape = (
        request.images if isinstance(request.images, (tuple, list)) else request.images.shape[1:]
    )
    axes = request.options.get("spatial_axes")
    return tuple(shape[axis] for axis in (range(len(shape) - 1) if axes is None else axes))


def _claims(verdict: Verdict, property: Claimed) -> list[tuple[str, PropertyVerdict]]:
    """The verdicts on the property, by output; an error where there is none."""
    found = [(output.name, getattr(output, property)) for output in verdict.outputs]
    asked = [(name, claim) for name, claim in found if claim is not None]
    if not asked:
        raise InputError(f"no output has a verdict on {property}: none has a grid.")
    return asked


def _assert_holds(
    request: _Request, property: Claimed, shifts: Shifts, evidence: Evidence, boundary: Boundary
) -> None:
    if evidence not in get_args(Evidence):
        raise InputError(f"evidence must be one of proof, sweep; got {evidence!r}.")
    if evidence == "sweep":
        _assert_swept(request, property, shifts, boundary)
        return
    if boundary != "circular":
        raise InputError(f'boundary={boundary!r} can be swept only: add evidence="sweep".')
    verdict = request.verdict(property)
    asked = asked_mask(shifts, verdict.grid)
    for name, found in _claims(verdict, property):
        refuted = asked & (found.map == Word.REFUTED)
        if refuted.any():
            request.fail(
                f"{property} of {name} is refuted under {int(refuted.sum())} of {int(asked.sum())} shifts asked.\n"
                + _failure(verdict, name, found, refuted)
            )
        if np.any(found.map[asked] == Word.UNDECIDED):
            request.fail(_undecided_text(name, found, asked), UndecidedError)


def _assert_swept(request: _Request, property: Claimed, shifts: Shifts, boundary: Boundary) -> None:
    options = dict(request.options)
    kind = options.pop("weights")
    law = {"any": "stride"}.get(options.pop("law", "any"), "same")
    result = sweep(
        request.model,
        request.images,
        layers=[],
        law=law,  # type: ignore[arg-type]
        boundary=boundary,
        weights="these" if kind == "these" else None,
        **options,
    )
    for layer in result.layers:
        if property == "equivariance" and not layer.has_grid:
            continue
        status = result.status(property, layer.name)
        asked = np.ones(status.shape, bool)
        if boundary == "circular":
            asked = asked_mask(shifts, result.grid)
        elif shifts is not None:
            raise InputError(
                "shifts= belongs to the torus: leave it out, or use boundary='circular'."
            )
        bad = asked & (status != Status.EQUAL)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            shift = tuple(i + room[0] for i, room in zip(place, result.ranges, strict=True))
            deviation = getattr(result, property)[result.index(layer.name)][place]
            request.fail(
                f"{property} of {layer.output} was swept and fails under {int(bad.sum())} of {int(asked.sum())} shifts "
                f"asked ({boundary}).\n  first: {_steps(shift)}: deviates by {deviation:.4g}"
            )


# --- messages ---


def _failure(verdict: Verdict, name: str, found: PropertyVerdict, failing: np.ndarray) -> str:
    """Which shifts, the smallest, its counterexample drawn, the layer and line, the repair, and how to replay."""
    shift = _smallest(failing)
    evidence = found.evidence(shift)
    lines = [
        f"  fails for: {residues(found)[1]}",
        f"  smallest: {_steps(shift)}: {evidence.text}",
    ]
    if evidence.witness is not None:
        lines += _picture(evidence.witness, verdict)
    causes = [cause for cause in verdict.causes if cause.repair]
    if causes:
        cause = causes[0]
        place = f" ({cause.source})" if cause.source else ""
        lines.append(f"  breaks first at: {cause.layer}{place}, {cause.primitive}: {cause.reason}")
        lines.append(f"  cheapest repair: {cause.repair}")
    if evidence.witness is not None:
        path = _stored(verdict, evidence.witness)
        lines.append(f"  replay: shiftproof replay {path} --target YOUR_FILE.py:FACTORY")
    return "\n".join(lines)


def residues(found: PropertyVerdict) -> tuple[str, str]:
    """The shifts that keep the property, and those that do not, in words."""
    steps = found.lattice.steps
    names = axis_names(len(found.lattice.grid))
    if steps is None:
        return f"those of {found.lattice}", f"all shifts outside {found.lattice}"
    kept, broken = [], []
    for axis, step, size in zip(names, steps, found.lattice.grid, strict=True):
        if step == 1:
            continue
        if step == size:
            kept.append(f"{axis} = 0")
            broken.append(f"{axis} not 0")
        elif step == 2:
            kept.append(f"{axis} even")
            broken.append(f"{axis} odd")
        else:
            kept.append(f"{axis} a multiple of {step}")
            broken.append(f"{axis} no multiple of {step}")
    return ("all with " + " and ".join(kept) if kept else "all"), (
        "all with " + " or ".join(broken) if broken else "none"
    )


def _undecided_text(name: str, found: PropertyVerdict, asked: np.ndarray) -> str:
    left = asked & (found.map == Word.UNDECIDED)
    shift = _smallest(left)
    return (
        f"{found.claim.property} of {name} is undecided under {int(left.sum())} of {int(asked.sum())} shifts asked: "
        f"neither proved nor refuted.\n  smallest: {_steps(shift)}: {found.reason(shift)}\n"
        '  evidence="sweep" accepts equality that was only seen.'
    )


def _smallest(mask: np.ndarray) -> Shift:
    """The shift of the mask nearest to 0 on the torus."""
    places = np.argwhere(mask)
    sizes = np.array(mask.shape)
    signed = np.where(places > sizes // 2, places - sizes, places)
    order = np.lexsort((*(-signed).T, np.abs(signed).sum(1)))
    return tuple(int(i) for i in signed[order[0]])


def _steps(shift: Shift) -> str:
    names = axis_names(len(shift))
    return "(" + ", ".join(f"{n}={s}" for n, s in zip(names, shift, strict=True)) + ")"


def _picture(witness: Witness, verdict: Verdict) -> list[str]:
    """The image of a counterexample in characters, cropped to its content, and what it shows."""
    difference = witness.difference
    strength = (
        "exact integers"
        if witness.evidence == "exact"
        else f"{difference.deviation / witness.floor:.0e} times the rounding floor"
    )
    weights = {"these": "own weights", "integers": "integer weights", "random": "random weights"}
    drawn = draw_image(witness.image, verdict.spatial_axes)
    return [
        f"  counterexample for {_steps(witness.shift)}: the outputs differ by {difference.deviation:.4g} ({strength}, "
        f"{weights[witness.trial.draw]}); the image:",
        *(f"      {line}" for line in drawn),
    ]


def draw_image(image: np.ndarray, axes: Sequence[int]) -> list[str]:
    """Rows of characters: `.` for 0, digits for magnitudes (`+` above 9); the channel of largest magnitude.

    Args:
        image: one image.
        axes: its grid axes; of more than two the slice with the largest value is drawn.
    """
    others = tuple(axis for axis in range(image.ndim) if axis not in axes)
    flat = np.max(np.abs(image), axis=others) if others else np.abs(image)
    while flat.ndim > 2:
        flat = flat[int(np.argmax(flat.reshape(len(flat), -1).max(1)))]
    rows = flat[None] if flat.ndim == 1 else flat
    places = np.argwhere(rows) if rows.any() else np.zeros((1, 2), int)
    first = np.maximum(places.min(0) - MARGIN, 0)
    last = np.minimum(np.minimum(places.max(0) + MARGIN + 1, rows.shape), first + WIDEST)
    note = []
    if tuple(last - first) != rows.shape:
        note = [
            f"(rows from {first[0]}, columns from {first[1]}, of {rows.shape[0]}x{rows.shape[1]})"
        ]
    rows = rows[first[0] : last[0], first[1] : last[1]]

    def glyph(value: float) -> str:
        return "." if value == 0 else "+" if value > 9 else str(max(1, round(value)))

    return [" ".join(glyph(float(v)) for v in row) for row in rows] + note


def _stored(verdict: Verdict, witness: Witness) -> Path:
    """The counterexample as a file in the folder for temporary files."""
    folder = Path(tempfile.gettempdir()) / "shiftproof"
    example = from_witness(witness, model=verdict.model, spatial_axes=verdict.spatial_axes)
    steps = "_".join(map(str, witness.shift))
    name = f"{verdict.model}.{witness.claim.output}.{witness.claim.property}.{steps}.counterexample.npz"
    return example.save(folder / re.sub(r"[^\w.-]", "_", name))
