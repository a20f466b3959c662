"""Assertions: what a test says about the shifts of a model, with a message that needs no manual.

Plain functions that raise `AssertionError`, so they work under pytest, unittest and absl alike. An assertion asks for
a proof unless told otherwise; what is neither proved nor refuted raises `UndecidedError`, which is an `AssertionError`
too but never to be mistaken for a failure of the model.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np

from shiftproof.deciding.asked import asked_mask, shifts_of, steps_asked
from shiftproof.deciding.cache import Entry
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.region import RegionVerdict
from shiftproof.deciding.subject import Weights
from shiftproof.deciding.verdict import OutputVerdict, Verdict
from shiftproof.deciding.verify import Law, ask, verify
from shiftproof.deciding.words import Word
from shiftproof.errors import InputError, UndecidedError
from shiftproof.group import BoundaryName, check_boundary
from shiftproof.listening import expecting, tell, verdicts_are_wanted
from shiftproof.messages import (
    failure_text,
    head,
    kept_text,
    region_text,
    scene_text,
    swept_text,
    uncertified_text,
    undecided_text,
)
from shiftproof.plain import plain_lines
from shiftproof.rewriting.counterfactuals import counterfactuals
from shiftproof.sweeping.result import DOES_NOT_APPLY, Status
from shiftproof.sweeping.sweep import sweep
from shiftproof.tracing.arguments import (
    at_the_door,
    check_choice,
    check_folder,
    check_integers,
    is_whole,
    read_images,
)
from shiftproof.tracing.model import adapt

Evidence = Literal["proof", "certificate", "sweep"]
Claimed = Literal["equivariance", "invariance"]
Shifts = Sequence[Sequence[int | str]] | np.ndarray | None


class Options(TypedDict, total=False):
    """What all assertions take, by keyword.

    Attributes:
        law: of the output shift of equivariance, `any` (default) or the `same`.
        boundary: as for `verify`. On a `scene` the output must have cells that the border does not reach, and these
            move with the scene; on a `background` it must move with an object at every place. Other questions on these
            can be swept only.
        object: as for `verify`.
        evidence: `proof` (default): a certificate, or an identity in the field with an error bound below 2^-100.
            `certificate`: certificates only. `sweep`: equality seen for the images (integer probes for a shape) is
            enough; the law `any` is then swept as Δ/s, s being the stride.
        weights: `all` or `these`; by default as for `verify`.
        cache: folder of evidence from earlier runs. Proofs are taken again by the kernel, and counterexamples run
            again; only the search is saved.
        custom_message: put before the message, or in its place where `include_default_message` is false.
        include_default_message: whether the message that explains is shown.
        exception_type: raised where the property fails; `AssertionError` by default.
        spatial_axes, output_axes, apply_kwargs, name, seed: as for `verify` and `sweep`.
        exhaustive, search_seconds: as for `verify`.
        grid, method, dtype, probes, chunk, devices, precision: as for `sweep`, with `evidence="sweep"`.
    """

    law: Law
    boundary: BoundaryName
    object: Sequence[int] | None
    evidence: Evidence
    weights: Weights | None
    cache: str | Path | None
    custom_message: str | None
    include_default_message: bool
    exception_type: type[Exception]
    spatial_axes: Sequence[int] | None
    output_axes: Sequence[int] | None
    apply_kwargs: Mapping[str, Any] | None
    name: str | None
    seed: int
    exhaustive: bool
    search_seconds: float
    grid: Sequence[int] | None
    method: Literal["brute", "cosets"]
    dtype: str
    probes: int
    chunk: int | None
    devices: Sequence[Any] | None
    precision: Literal["highest", "high", "default"]


@dataclasses.dataclass(frozen=True)
class _Request:
    """A model, what is passed on to `verify` or `sweep`, and how to fail."""

    model: Any
    images: Any
    options: Mapping[str, Any]
    boundary: BoundaryName = "torus"
    evidence: Evidence = "proof"
    cache: str | Path | None = None
    custom_message: str | None = None
    include_default_message: bool = True
    exception_type: type[Exception] = AssertionError

    @classmethod
    def of(cls, model: Any, images: Any, given: Mapping[str, Any]) -> "_Request":
        """The request of an assertion that was given these `Options`.

        Raises:
            InputError: an option has a value that it cannot have.
        """
        if given.get("cache") is not None:
            check_folder("cache", given["cache"])
        kind = given.get("exception_type", AssertionError)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise InputError(f"exception_type= takes a class of exceptions; got {kind!r}.")
        check_boundary(given.get("boundary", "torus"))
        own = {field.name for field in dataclasses.fields(cls)} & set(given)
        passed = {name: value for name, value in given.items() if name not in own}
        options = {"law": "any", "weights": None, **passed}
        return cls(model, images, options, **{name: given[name] for name in own})

    def options_for(self, call: Callable[..., Any], *, apart: str = "") -> dict[str, Any]:
        """The options passed on to a function, one of them set apart.

        Raises:
            InputError: it does not take one of them.
        """
        options = {name: value for name, value in self.options.items() if name != apart}
        known = inspect.signature(call).parameters
        for name in options:
            if name not in known:
                raise InputError(
                    f"{name}= does not go with evidence={self.evidence!r} and boundary={self.boundary!r}: leave it out."
                )
        return options

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        axes = self.options.get("spatial_axes")
        first = adapt(self.model).channels_first if axes is None else False
        return read_images(self.images, axes, channels_first=first).grid

    def settle(self, property: Claimed, wanted: np.ndarray) -> Verdict | None:
        """The verdict; None where the cache confirms the words wanted, so that none is needed.

        Args:
            property: in question.
            wanted: (n1, ..., nd) of `Word`; shifts marked undecided are not asked about.
        """

        def meets(_: Verdict, output: OutputVerdict) -> bool | None:
            found = getattr(output, property)
            if found is None:
                return None
            words = found.certified_map if self.evidence == "certificate" else found.map
            return bool(np.array_equal(words[asked], wanted[asked]))

        asked = wanted != Word.UNDECIDED
        with expecting(meets):
            return self._settled(property, wanted, asked)

    def _settled(self, property: Claimed, wanted: np.ndarray, asked: np.ndarray) -> Verdict | None:
        options = {"property": property, **self.options_for(verify)}
        if self.cache is None or options.get("exhaustive"):
            return verify(self.model, self.images, shifts=asked, **options)
        call = {key: options.pop(key) for key in ("apply_kwargs", "name") if key in options}
        model = dataclasses.replace(adapt(self.model, **call), lasting=True)  # one trace for both
        subject, claims = ask(model, self.images, **options)
        entry = Entry(self.cache, subject, claims)
        confirmed = None if verdicts_are_wanted() else entry.confirm(wanted)
        if confirmed is not None:
            tell(confirmed)
            return None
        verdict = verify(model, self.images, shifts=asked, **options)
        entry.keep(verdict)
        return verdict

    def repaired(self, found: PropertyVerdict) -> str:
        """The cheapest repair that is proved to keep more shifts; "" where none of those tried does."""
        options = {name: value for name, value in self.options.items() if name != "exhaustive"}
        told = counterfactuals(self.model, self.images, refute=False, **options)
        kept = told.repair.outputs if told.repair is not None else ()
        for counted in kept:
            same = (counted.name, counted.question) == (found.claim.output, found.claim.property)
            if same and counted.proved > found.proved and told.repair is not None:
                steps = " and ".join(
                    f"{what} at {where}" for where, what in told.steps(told.repair)
                )
                return f"{steps}: proved under {counted.proved} of {counted.total} shifts"
        return ""

    def fail(self, message: str, kind: type[Exception] | None = None) -> None:
        """Raise, with the user's words first, as chex does."""
        __tracebackhide__ = True
        parts = [self.custom_message or ""]
        if self.include_default_message or not self.custom_message:
            parts.append(message)
        raise (kind or self.exception_type)(plain_lines("\n".join(part for part in parts if part)))


@at_the_door(also=Options.__annotations__)
def assert_equivariant(
    model: Any,
    images: Any,
    *,
    stride: int | Sequence[int] | None = None,
    shifts: Shifts = None,
    **options: Unpack[Options],
) -> None:
    """Fail unless every output that has a grid moves with the image, under all shifts asked.

    Args:
        model: of Flax, PyTorch, Equinox, Haiku or Keras, `(function, params)`, or a callable on batches: see `verify`.
        images: the shape of one image, or images (batch, *shape).
        stride: ask for the multiples of this many pixels along every axis, or one number per axis.
        shifts: ask for these shifts; all by default. A step may be a string such as `4Z`.
        options: shared by all assertions, see `Options`; such as `weights="these"`, `evidence="certificate"`,
            `apply_kwargs={"train": False}`, `custom_message="the backbone"`.

    Raises:
        AssertionError: it fails under a shift asked; the message draws a counterexample.
        UndecidedError: neither proved nor refuted; or proved without a certificate where one is asked for.

    >>> from flax import nnx
    >>> assert_equivariant(lambda x: nnx.max_pool(x, (2, 2), (2, 2)), (8, 8, 1), stride=2)
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request.of(model, images, options)
    _assert_holds(request, "equivariance", _multiples(stride, shifts, request))


@at_the_door(also=Options.__annotations__)
def assert_invariant(
    model: Any,
    images: Any,
    *,
    stride: int | Sequence[int] | None = None,
    shifts: Shifts = None,
    **options: Unpack[Options],
) -> None:
    """Fail unless no output changes under the shifts asked; arguments as for `assert_equivariant`.

    >>> assert_invariant(lambda x: x.max((1, 2)), (8, 8, 1))
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request.of(model, images, options)
    _assert_holds(request, "invariance", _multiples(stride, shifts, request))


@at_the_door(also=Options.__annotations__)
def assert_breaks(
    model: Any,
    images: Any,
    *,
    property: Claimed = "invariance",
    shifts: Shifts = None,
    **options: Unpack[Options],
) -> None:
    """The negative twin: fail unless the property is refuted under every shift asked (all but 0 by default).

    Arguments as for `assert_equivariant`; with `evidence="sweep"` it must be seen to fail for the images.

    >>> assert_breaks(lambda x: x[:, ::2], (8, 8, 1), property="equivariance", shifts=[(1, 0)])
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request.of(model, images, options)
    check_choice("property", property, get_args(Claimed))
    if _is_swept(request, property):
        _assert_swept(request, property, shifts, breaks=True)
        return
    asked = asked_mask(shifts, request.grid)
    if shifts is None:
        asked = asked.copy()
        asked[(0,) * asked.ndim] = False
    verdict = request.settle(property, _words(asked, Word.REFUTED))
    if verdict is None:
        return
    for name, found in _claims(verdict, property):
        if np.any(found.map[asked] == Word.UNDECIDED):
            request.fail(undecided_text(name, found, asked), UndecidedError)
        kept = asked & (found.map == Word.PROVED)
        if kept.any():
            told = head(
                f"{property} of {name} was to break, but it is proved under "
                f"{int(kept.sum())} of {int(asked.sum())} shifts asked."
            )
            request.fail(told + kept_text(found, kept))
        _check_certified(request, name, found, asked)


@at_the_door(also=Options.__annotations__)
def assert_lattice(
    model: Any,
    images: Any,
    lattice: str,
    *,
    property: Claimed = "invariance",
    **options: Unpack[Options],
) -> None:
    """Fail unless the shifts that keep the property are exactly this lattice: proved inside, refuted outside.

    Args:
        model: as for `assert_equivariant`.
        images: as there.
        lattice: such as `4Z x 4Z`, `2Z x 0`, or `Z` on one axis.
        property: `equivariance` or `invariance`.
        options: see `Options`.

    >>> from flax import nnx
    >>> pool = lambda x: nnx.max_pool(x, (2, 2), (2, 2))
    >>> assert_lattice(pool, (8, 8, 1), "2Z x 2Z", property="equivariance")
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request.of(model, images, options)
    check_choice("property", property, get_args(Claimed))
    expected = _lattice_mask(lattice, request.grid)
    if _is_swept(request, property):
        if request.boundary != "torus":
            raise InputError("a lattice belongs to the torus: use boundary='torus'.")
        _assert_swept(request, property, expected)
        if not expected.all():
            _assert_swept(request, property, ~expected, breaks=True)
        return
    wanted = np.where(expected, Word.PROVED, Word.REFUTED).astype(np.uint8)
    verdict = request.settle(property, wanted)
    if verdict is None:
        return
    for name, found in _claims(verdict, property):
        if found.undecided:
            everywhere = np.ones_like(expected)
            request.fail(undecided_text(name, found, everywhere), UndecidedError)
        proved = found.map == Word.PROVED
        if np.array_equal(proved, expected):
            _check_certified(request, name, found, np.ones_like(expected))
            continue
        message = head(
            f"{property} of {name} holds on {found.lattice} ({int(proved.sum())} of {proved.size} "
            f"shifts), expected {lattice} ({int(expected.sum())})."
        )
        missing = expected & ~proved
        if missing.any():
            request.fail(
                message + failure_text(verdict, found, missing, verified=request.repaired(found))
            )
        else:
            request.fail(message + kept_text(found, proved & ~expected))


def _lattice_mask(lattice: str, grid: tuple[int, ...]) -> np.ndarray:
    if not isinstance(lattice, str):
        raise InputError(f"a lattice is a text such as '4Z x 4Z'; got {lattice!r}.")
    steps = [step.strip() for step in re.split(r"[x×]", lattice)]
    example = " x ".join(["4Z"] * len(grid))
    if not all(re.fullmatch(r"\d{0,9}Z|\d{1,9}", step) for step in steps):
        raise InputError(
            f"{lattice!r} is no lattice: write a step such as 4Z, Z or 0 for each axis, with x between them, "
            f"such as {example!r}."
        )
    if len(steps) != len(grid):
        raise InputError(
            f"the lattice {lattice!r} has {len(steps)} axes, the grid {grid} has {len(grid)}: "
            f"write one step per axis, such as {example!r}."
        )
    return asked_mask(shifts_of([",".join(steps)]), grid)


def _words(asked: np.ndarray, word: Word) -> np.ndarray:
    return np.where(asked, word, Word.UNDECIDED).astype(np.uint8)


def _multiples(stride: int | Sequence[int] | None, shifts: Shifts, request: _Request) -> Shifts:
    if stride is None:
        return shifts
    if shifts is not None:
        raise InputError("stride= and shifts= exclude each other.")
    grid = request.grid
    steps = len(grid) * (stride,) if is_whole(stride) else stride
    sizes = check_integers("stride", steps, "(2, 2), or one")
    if len(sizes) != len(grid) or min(sizes) < 1:
        raise InputError(
            f"stride={stride} is no stride of the grid {grid}: give one number of at least 1, or one per axis."
        )
    return [tuple(f"{step}Z" for step in sizes)]


def _claims(verdict: Verdict, property: Claimed) -> list[tuple[str, PropertyVerdict]]:
    """The verdicts on the property, by output; an error where there is none."""
    found = [(output.name, getattr(output, property)) for output in verdict.outputs]
    asked = [(name, claim) for name, claim in found if claim is not None]
    if not asked:
        raise InputError(f"no output has a verdict on {property}: none has a grid.")
    return asked


def _assert_holds(request: _Request, property: Claimed, shifts: Shifts) -> None:
    __tracebackhide__ = True
    proved = request.evidence in ("proof", "certificate")
    if request.boundary == "scene" and property == "equivariance" and proved:
        _assert_on_scene(request, shifts)
        return
    if request.boundary == "background" and request.evidence == "proof" and shifts is None:
        _assert_on_background(request, property)
        return
    if _is_swept(request, property):
        _assert_swept(request, property, shifts)
        return
    asked = asked_mask(shifts, request.grid)
    verdict = request.settle(property, _words(asked, Word.PROVED))
    if verdict is None:
        return
    for name, found in _claims(verdict, property):
        refuted = asked & (found.map == Word.REFUTED)
        if refuted.any():
            seen = int((asked & found.numerical_map).sum())
            told = head(
                f"{property} of {name} is refuted under {int(refuted.sum())} of "
                f"{int(asked.sum())} shifts asked{f', {seen} of them numerically' if seen else ''}."
            )
            request.fail(
                told + failure_text(verdict, found, refuted, verified=request.repaired(found))
            )
        if np.any(found.map[asked] == Word.UNDECIDED):
            request.fail(undecided_text(name, found, asked), UndecidedError)
        _check_certified(request, name, found, asked)


def _check_certified(
    request: _Request, name: str, found: PropertyVerdict, asked: np.ndarray
) -> None:
    """Fail where certificates are asked for, and the word of some shift asked rests on an identity."""
    __tracebackhide__ = True
    if request.evidence == "certificate" and np.any(found.certified_map[asked] == Word.UNDECIDED):
        request.fail(uncertified_text(name, found, asked), UndecidedError)


def _is_swept(request: _Request, property: str) -> bool:
    """Whether a sweep is enough; an error where it is not, and nothing else is there."""
    evidence, boundary = request.evidence, request.boundary
    check_choice("evidence", evidence, get_args(Evidence))
    if evidence != "sweep" and boundary != "torus":
        raise InputError(
            f'{property} with boundary={boundary!r} can be swept only: add evidence="sweep".'
        )
    return evidence == "sweep"


def _assert_on_scene(request: _Request, shifts: Shifts) -> None:
    """Every output with a grid has an interior that moves under all shifts asked, and each leaves cells to compare."""
    __tracebackhide__ = True
    law = request.options["law"]
    options = request.options_for(verify, apart="law")
    asked = steps_asked(shifts, len(request.grid))

    def meets(verdict: Verdict, output: OutputVerdict) -> bool | None:
        row = next(row for row in verdict.layers if row.output == output.name)
        return row.border.just_moves(asked, law) if row.border and row.has_grid else None

    with expecting(meets):
        verdict = verify(request.model, request.images, boundary="scene", **options)
    moving = [row for row in verdict.layers if row.output and row.has_grid]
    if not moving:
        raise InputError("no output has a grid, so there is no equivariance to ask about.")
    regions = {output.name: output.region for output in verdict.outputs}
    for row in moving:
        border, region = row.border, regions[row.output or ""]
        if border is None or region is None:
            raise AssertionError("a verdict on a scene has a border for every layer")
        if not border.just_moves(asked, law):
            broken = [] if border.divides(asked) else _broken(region, shifts)
            is_refuted = region.word is Word.REFUTED or bool(broken)
            kind = AssertionError if is_refuted else UndecidedError
            word = "refuted" if is_refuted else "not proved for all shifts asked"
            told = head(f"equivariance of {row.output} on a scene is {word}.", kind)
            request.fail(
                told + scene_text(row, asked, broken, exact=region.exact),
                None if is_refuted else kind,
            )
        for shift in () if shifts is None else shifts:
            for step, reach in zip(shift, border.reaches, strict=True):
                moved = 0 if isinstance(step, str) else abs(step * reach.cells) // (reach.step or 1)
                if moved >= reach.high - reach.low:
                    raise InputError(
                        f"the shift {tuple(shift)} moves every cell out of the interior of {row.output}, "
                        f"{reach.low}..{reach.high - 1}: nothing would be compared. Ask for smaller shifts."
                    )


def _broken(region: RegionVerdict, shifts: Shifts) -> list[tuple[int, ...]]:
    """The shifts between the steps that are refuted, where all shifts, or just these, are asked about."""
    found = [shift for shift, word in region.between.items() if word is Word.REFUTED]
    if shifts is None:
        return found
    return [shift for shift in found if shift in {tuple(s) for s in shifts}]


def _assert_on_background(request: _Request, property: Claimed) -> None:
    """Every output moves with an object, or stays the same, at every place."""
    __tracebackhide__ = True
    options = request.options_for(verify, apart="law")

    def meets(_: Verdict, output: OutputVerdict) -> bool | None:
        region = output.region
        if region is None or region.claim != property:
            return None
        return region.word is Word.PROVED

    with expecting(meets):
        verdict = verify(request.model, request.images, boundary="background", **options)
    regions = [(o.name, o.region) for o in verdict.outputs if o.region]
    asked = [(name, region) for name, region in regions if region.claim == property]
    if not asked:
        raise InputError(f"no output has a verdict on {property}: see the outputs' grids.")
    for name, region in asked:
        if region.word is not Word.PROVED:
            refuted = region.word is Word.REFUTED
            kind = AssertionError if refuted else UndecidedError
            word = "refuted" if refuted else "not proved"
            told = head(f"{property} of {name} on a background is {word}.", kind)
            request.fail(told + region_text(verdict, name, region), None if refuted else kind)


def _assert_swept(
    request: _Request, property: Claimed, shifts: Shifts, *, breaks: bool = False
) -> None:
    """Every output was seen to keep the property, or with `breaks` to lose it, under all shifts asked."""
    __tracebackhide__ = True
    boundary = request.boundary
    if shifts is not None and boundary != "torus":
        raise InputError("shifts= belongs to the torus: leave it out, or use boundary='torus'.")
    options = request.options_for(sweep)
    kind = options.pop("weights")
    options |= {
        "law": {"any": "stride"}.get(options.pop("law"), "same"),
        "boundary": boundary,
        "weights": "these" if kind == "these" else None,
    }
    result = sweep(request.model, request.images, layers=[], **options)
    if property == "equivariance" and not any(layer.has_grid for layer in result.layers):
        raise InputError(
            f"no output has a grid, so {property} {DOES_NOT_APPLY}: ask for invariance."
        )
    for layer in result.layers:
        if property == "equivariance" and not layer.has_grid:
            continue
        status = result.status(property, layer.name)
        asked = np.ones(status.shape, bool)
        if boundary == "torus":
            asked = asked_mask(shifts, result.grid).copy()
        if breaks:
            kept = np.isin(status, (Status.EQUAL, Status.UNCLEAR))
            if shifts is None:
                asked[tuple(-room[0] for room in result.ranges)] = False
            wrong, how = asked & kept, "was to break, but was seen to hold"
        else:
            wrong, how = asked & (status != Status.EQUAL), "fails"
        if wrong.any():
            everything = sweep(request.model, request.images, **options)
            told = head(
                f"{property} of {layer.output} was swept ({boundary}) and {how} under "
                f"{int(wrong.sum())} of {int(asked.sum())} shifts asked."
            )
            text = swept_text(everything, property, layer.name, wrong, breaks=breaks)
            request.fail(told + text)
