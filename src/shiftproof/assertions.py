"""Assertions: what a test says about the shifts of a model, with a message that needs no manual.

Plain functions that raise `AssertionError`, so they work under pytest, unittest and absl alike. An assertion asks for
a proof unless told otherwise; what is neither proved nor refuted raises `UndecidedError`, which is an `AssertionError`
too but never to be mistaken for a failure of the model.
"""

import dataclasses
import re
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from shiftproof.deciding.cache import Entry
from shiftproof.deciding.verdict import PropertyVerdict, Verdict, Word
from shiftproof.deciding.verify import Law, Weights, ask, asked_mask, shifts_of, verify
from shiftproof.errors import InputError, UndecidedError
from shiftproof.lattice import Lattice
from shiftproof.listening import tell, verdicts_are_wanted
from shiftproof.proving.analysis import Cause
from shiftproof.refuting.counterexample import from_witness
from shiftproof.refuting.witness import Witness, witness_nearby
from shiftproof.sweeping.result import Status, Sweep, axis_names
from shiftproof.sweeping.sweep import sweep
from shiftproof.translation import Boundary, Shift

Evidence = Literal["proof", "sweep"]
Claimed = Literal["equivariance", "invariance"]
Shifts = Sequence[Sequence[int | str]] | np.ndarray | None

WIDTH = 72
"""Columns of a message, which pytest indents."""

INDENT = 14
"""Where the text of a message's rows begins."""

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
    cache: str | Path | None
    custom_message: str | None
    include_default_message: bool
    exception_type: type[Exception]

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the grid."""
        given = isinstance(self.images, (tuple, list))
        shape = self.images if given else np.shape(self.images)[1:]
        axes = self.options.get("spatial_axes")
        return tuple(shape[axis] for axis in (range(len(shape) - 1) if axes is None else axes))

    def settle(self, property: Claimed, wanted: np.ndarray) -> Verdict | None:
        """The verdict; None where the cache confirms the words wanted, so that none is needed.

        Args:
            property: in question.
            wanted: (n1, ..., nd) of `Word`; shifts marked undecided are not asked about.
        """
        asked = wanted != Word.UNDECIDED
        options = {"property": property, **self.options}
        if self.cache is None:
            return verify(self.model, self.images, shifts=asked, **options)
        subject, claims = ask(self.model, self.images, **options)
        entry = Entry(self.cache, subject, claims)
        confirmed = None if verdicts_are_wanted() else entry.confirm(wanted)
        if confirmed is not None:
            tell(confirmed)
            return None
        verdict = verify(self.model, self.images, shifts=asked, **options)
        entry.keep(verdict)
        return verdict

    def fail(self, message: str, kind: type[Exception] | None = None) -> None:
        """Raise, with the user's words first, as chex does."""
        __tracebackhide__ = True
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
    cache: str | Path | None = None,
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
        cache: folder of evidence from earlier runs. Proofs are taken again by the kernel, and counterexamples run
            again; only the search is saved.
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
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request(
        model,
        images,
        {"law": law, "weights": weights, **options},
        cache,
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
    cache: str | Path | None = None,
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """Fail unless no output changes under the shifts asked; arguments as for `assert_equivariant`.

    >>> assert_invariant(lambda x: x.max((1, 2)), (8, 8, 1))
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        cache,
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
    cache: str | Path | None = None,
    custom_message: str | None = None,
    include_default_message: bool = True,
    exception_type: type[Exception] = AssertionError,
    **options: Any,
) -> None:
    """The negative twin: fail unless the property is refuted under every shift asked (all but 0 by default).

    >>> assert_breaks(lambda x: x[:, ::2], (8, 8, 1), property="equivariance", shifts=[(1, 0)])
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        cache,
        custom_message,
        include_default_message,
        exception_type,
    )
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
            head = _head(
                f"{property} of {name} was to break, but it is proved under "
                f"{int(kept.sum())} of {int(asked.sum())} shifts asked."
            )
            request.fail(head + _kept_text(found, kept))


def assert_lattice(
    model: Any,
    images: Any,
    lattice: str,
    *,
    property: Claimed = "invariance",
    weights: Weights = "all",
    cache: str | Path | None = None,
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
        cache: folder of evidence from earlier runs. Proofs are taken again by the kernel, and counterexamples run
            again; only the search is saved.
        custom_message: as there.
        include_default_message: as there.
        exception_type: as there.
        options: of `verify`.

    >>> from flax import nnx
    >>> pool = lambda x: nnx.max_pool(x, (2, 2), (2, 2))
    >>> assert_lattice(pool, (8, 8, 1), "2Z x 2Z", property="equivariance")
    """
    __tracebackhide__ = True  # pytest then shows the line of the test, and not these
    request = _Request(
        model,
        images,
        {"weights": weights, **options},
        cache,
        custom_message,
        include_default_message,
        exception_type,
    )
    expected = _lattice_mask(lattice, request.grid)
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
            continue
        message = _head(
            f"{property} of {name} holds on {found.lattice} ({int(proved.sum())} of {proved.size} "
            f"shifts), expected {lattice} ({int(expected.sum())})."
        )
        missing = expected & ~proved
        if missing.any():
            request.fail(message + failure_text(verdict, found, missing))
        else:
            request.fail(message + _kept_text(found, proved & ~expected))


def _lattice_mask(lattice: str, grid: tuple[int, ...]) -> np.ndarray:
    steps = [step.strip() for step in re.split(r"[x×]", lattice)]
    if len(steps) != len(grid):
        axes = " x ".join(["4Z"] * len(grid))
        raise InputError(
            f"the lattice {lattice!r} has {len(steps)} axes, the grid {grid} has {len(grid)}: "
            f"write one step per axis, such as {axes!r}."
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
    sizes = len(grid) * [stride] if isinstance(stride, (int, np.integer)) else list(stride)
    if len(sizes) != len(grid) or min(sizes) < 1:
        raise InputError(
            f"stride={stride} is no stride of the grid {grid}: give one number of at least 1, or one per axis."
        )
    return [tuple(f"{int(step)}Z" for step in sizes)]


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
    __tracebackhide__ = True
    if evidence not in get_args(Evidence):
        raise InputError(f"evidence must be one of proof, sweep; got {evidence!r}.")
    if evidence == "sweep":
        _assert_swept(request, property, shifts, boundary)
        return
    if boundary != "circular":
        raise InputError(f'boundary={boundary!r} can be swept only: add evidence="sweep".')
    asked = asked_mask(shifts, request.grid)
    verdict = request.settle(property, _words(asked, Word.PROVED))
    if verdict is None:
        return
    for name, found in _claims(verdict, property):
        refuted = asked & (found.map == Word.REFUTED)
        if refuted.any():
            head = _head(
                f"{property} of {name} is refuted under {int(refuted.sum())} of "
                f"{int(asked.sum())} shifts asked."
            )
            request.fail(head + failure_text(verdict, found, refuted))
        if np.any(found.map[asked] == Word.UNDECIDED):
            request.fail(undecided_text(name, found, asked), UndecidedError)


def _assert_swept(request: _Request, property: Claimed, shifts: Shifts, boundary: Boundary) -> None:
    __tracebackhide__ = True
    if shifts is not None and boundary != "circular":
        raise InputError("shifts= belongs to the torus: leave it out, or use boundary='circular'.")
    options = dict(request.options)
    kind = options.pop("weights")
    options |= {
        "law": {"any": "stride"}.get(options.pop("law", "any"), "same"),
        "boundary": boundary,
        "weights": "these" if kind == "these" else None,
    }
    result = sweep(request.model, request.images, layers=[], **options)
    for layer in result.layers:
        if property == "equivariance" and not layer.has_grid:
            continue
        status = result.status(property, layer.name)
        asked = np.ones(status.shape, bool)
        if boundary == "circular":
            asked = asked_mask(shifts, result.grid)
        bad = asked & (status != Status.EQUAL)
        if bad.any():
            everything = sweep(request.model, request.images, **options)
            head = _head(
                f"{property} of {layer.output} was swept ({boundary}) and fails under "
                f"{int(bad.sum())} of {int(asked.sum())} shifts asked."
            )
            request.fail(head + _swept_text(everything, property, layer.name, bad))


def residues(found: PropertyVerdict) -> tuple[str, str]:
    """The shifts that keep the property, and those that do not, in words."""
    return _residues(found.lattice)


def _residues(lattice: Lattice) -> tuple[str, str]:
    steps = lattice.steps
    names = axis_names(len(lattice.grid))
    if steps is None:
        return f"those of {lattice}", f"all outside {lattice}"
    if lattice.count == 1:
        return "shift 0 alone", "every shift but 0"
    kept, broken = [], []
    for axis, step, size in zip(names, steps, lattice.grid, strict=True):
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


def undecided_text(name: str, found: PropertyVerdict, asked: np.ndarray) -> str:
    """What is neither proved nor refuted, and why; below it what to do.

    Args:
        name: of the output.
        found: the verdict on the property.
        asked: mask of the shifts asked about.
    """
    left = asked & (found.map == Word.UNDECIDED)
    shift = _smallest(left)
    head = _head(
        f"{found.claim.property} of {name} is undecided under {int(left.sum())} of "
        f"{int(asked.sum())} shifts asked: neither proved nor refuted.",
        UndecidedError,
    )
    rows = [
        ("smallest", _steps(shift)),
        ("because", found.reason(tuple(s % n for s, n in zip(shift, left.shape, strict=True)))),
        ("to do", 'write that line in another way, or accept what was only seen: evidence="sweep"'),
    ]
    return head + "\n".join(_rows(rows))


def failure_text(verdict: Verdict, found: PropertyVerdict, failing: np.ndarray) -> str:
    """Which shifts, the smallest with its counterexample drawn, the layer and line, the repair, and how to replay.

    Args:
        verdict: of the model.
        found: of the property.
        failing: mask of the refuted shifts asked about.
    """
    shift = _smallest(failing)
    evidence = found.evidence(shift)
    assert evidence.witness is not None, "a refuted shift has a witness"
    nearer = witness_nearby(
        evidence.witness, evidence.shift, evidence.multiple, verdict.spatial_axes
    )
    witness = nearer or evidence.witness
    rows = [("fails for", residues(found)[1])]
    if nearer is None:
        rows.append(("smallest", f"{_steps(shift)}: {evidence.text}"))
    at = shift if nearer else witness.shift
    shown = f"{_steps(at)}: the outputs differ by {_strength(witness)}, for this image:"
    lines = _rows([*rows, ("smallest" if nearer else "example", shown)])
    lines += [" " * INDENT + line for line in draw_image(witness.image, verdict.spatial_axes)]
    rows = []
    cause = _cause_of(verdict, shift)
    if cause is not None:
        place = f" ({cause.source})" if cause.source else ""
        rows.append(("breaks at", f"{cause.layer}{place}, {cause.primitive}: {cause.reason}"))
        rows.append(("repair", cause.repair))
    lines += _rows(rows)
    lines += [
        f"  {'replay':<{INDENT - 4}}  shiftproof replay --target YOUR_FILE.py:FACTORY \\",
        " " * INDENT + str(_stored(verdict, witness)),
    ]
    return "\n".join(lines)


def _kept_text(found: PropertyVerdict, kept: np.ndarray) -> str:
    """What holds although it should not."""
    shift = _smallest(kept)
    rows = [
        ("holds for", residues(found)[0]),
        ("smallest", f"{_steps(shift)}: {found.evidence(shift).text}"),
    ]
    return "\n".join(_rows(rows))


def _swept_text(everything: Sweep, property: Claimed, output: str, bad: np.ndarray) -> str:
    """What a sweep of all layers says of the smallest shift that fails."""
    circular = everything.header.boundary == "circular"
    starts = [room[0] for room in everything.ranges]
    if circular:
        shift = _smallest(bad)
    else:
        moved = np.argwhere(bad) + starts
        shift = tuple(int(i) for i in moved[np.argmin(np.abs(moved).sum(1))])
    place = tuple((s - first) % n for s, first, n in zip(shift, starts, bad.shape, strict=True))
    deviation = getattr(everything, property)[everything.index(output)][place]
    rows = [("smallest", f"{_steps(shift)}: the outputs deviate by {deviation:.4g}")]
    lattice = everything.lattice(property, output) if circular else None
    if lattice is not None:
        rows.insert(0, ("fails for", _residues(lattice)[1]))
    if property == "equivariance":
        broken = (
            layer
            for layer in everything.layers
            if layer.has_grid and everything.status(property, layer.name)[place] != Status.EQUAL
        )
        first = next(broken, None)
        if first is not None:
            rows.append(("breaks at", f"{first.name} ({first.source})"))
    return "\n".join(_rows(rows))


def _head(text: str, kind: type[Exception] = AssertionError) -> str:
    """The first sentence, wrapped, with room for the name of the exception that pytest puts before it."""
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    room = " " * len(f"{module}{kind.__name__}: ")
    return textwrap.fill(text, WIDTH, initial_indent=room).lstrip() + "\n"


def _rows(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Labels in a column, texts beside them, wrapped."""
    lines = []
    for label, text in rows:
        width = WIDTH - INDENT
        first, *others = textwrap.wrap(
            text, width, break_on_hyphens=False, break_long_words=False
        ) or [""]
        lines.append(f"  {label:<{INDENT - 4}}  {first}")
        lines += [" " * INDENT + line for line in others]
    return lines


def _cause_of(verdict: Verdict, shift: Shift) -> Cause | None:
    """The first equation that this shift does not survive: a multiple of the step before it, and not of that behind."""
    steps = [s % n for s, n in zip(shift, verdict.grid, strict=True)]
    for cause in verdict.causes:
        step = steps[cause.axis]
        if step and step % cause.before == 0 and step % cause.after:
            return cause
    return next(iter(verdict.causes), None)


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


def _strength(witness: Witness) -> str:
    """The difference, and why it counts."""
    difference = witness.difference
    how = (
        "exactly"
        if witness.evidence == "exact"
        else f"{difference.deviation / witness.floor:.0e} times what rounding explains"
    )
    weights = {
        "these": "the model's own weights",
        "integers": "integers as weights",
        "random": "random weights",
    }[witness.trial.draw]
    return f"{difference.deviation:.4g} ({how}, with {weights})"


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
