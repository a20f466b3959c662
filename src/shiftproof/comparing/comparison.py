"""Comparisons: two verdicts shift by shift. Which shifts changed their word, what got worse, which layer did it.

    verdict or verdict.json -> its words again -> changes of words -> the first layer that keeps fewer shifts

Both are read from the JSON of a verdict, also where a `Verdict` is at hand, so that there is one way. What a file says
is believed; only that its counts fit its lattices and counterexamples is checked.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shiftproof.comparing.saved import (
    SavedCause,
    SavedLayer,
    SavedProperty,
    SavedRegion,
    SavedVerdict,
    failing_of,
    read_verdict,
)
from shiftproof.deciding.property import words_of
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.errors import InputError
from shiftproof.group import Lattice, Shift, axis_shift, nearest
from shiftproof.plain import plain

DIFF_SCHEMA = "shiftproof.diff/1"
SHOWN = 3
"""Shifts of one change that are listed."""

RANK = {Word.REFUTED: 0, Word.UNDECIDED: 1, Word.PROVED: 2}
"""Words from worst to best: what was not refuted before, and is now, got worse."""

# --- what changed ---


@dataclasses.dataclass(frozen=True)
class Change:
    """Shifts that had one word and have another.

    Attributes:
        before: the word that they had.
        after: the word that they have.
        count: how many they are.
        shifts: the first few, nearest to 0 first.
    """

    before: Word
    after: Word
    count: int
    shifts: tuple[Shift, ...]

    @property
    def is_worse(self) -> bool:
        """Whether the new word is worse: refuted is worse than undecided, and that than proved."""
        return RANK[self.after] < RANK[self.before]


@dataclasses.dataclass(frozen=True)
class OutputChange:
    """What changed for one property of one output.

    Attributes:
        output: its name.
        property: `equivariance` or `invariance`.
        before: counts and lattice in words; "" where there was no such verdict.
        after: the same of the second verdict.
        changes: of words, on the torus.
        is_worse: whether a word got worse, or the verdict is gone; on a scene or a background whether fewer cells or
            places are proved, or more refuted.
    """

    output: str
    property: str
    before: str
    after: str
    changes: tuple[Change, ...]
    is_worse: bool


@dataclasses.dataclass(frozen=True)
class LayerChange:
    """A layer that keeps other shifts than before, or is new and keeps fewer than the one before it.

    Attributes:
        name: of the layer.
        source: the user's file and line, in the second verdict.
        before: what it kept, or what reached it where it is new.
        after: what it keeps.
        is_worse: whether it keeps fewer.
        because: the cause in the second verdict and the repair; "" where none is known.
    """

    name: str
    source: str
    before: str
    after: str
    is_worse: bool
    because: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two verdicts side by side.

    Attributes:
        before: the name of the first model.
        after: the name of the second.
        outputs: one for each output and property of either.
        layers: those that changed, in the order of the program.
    """

    before: str
    after: str
    outputs: tuple[OutputChange, ...]
    layers: tuple[LayerChange, ...]

    @property
    def is_worse(self) -> bool:
        """Whether something got worse."""
        return any(output.is_worse for output in self.outputs)

    @property
    def changed(self) -> bool:
        """Whether any output changed."""
        return any(output.changes or output.before != output.after for output in self.outputs)

    @property
    def blamed(self) -> LayerChange | None:
        """The first layer that keeps fewer shifts than before; None where all keep theirs."""
        return next((layer for layer in self.layers if layer.is_worse), None)

    def __str__(self) -> str:
        lines = [f"{self.before} -> {self.after}"]
        for output in self.outputs:
            lines += _output_lines(output)
        lines += self._layer_lines()
        word = "worse" if self.is_worse else "not worse" if self.changed else "no shift changed"
        return "\n".join([*lines, f"{word}."])

    def _layer_lines(self) -> Iterator[str]:
        found = self.blamed or next(iter(self.layers), None)
        if found is None:
            if self.is_worse:
                yield "layer: none of the layer table keeps fewer shifts"
            return
        where = f" ({found.source})" if found.source else ""
        yield f"layer: {found.name}{where}: {found.before} -> {found.after}"
        if found.because:
            yield f"  because {found.because}"
        others = len(self.layers) - 1
        if others:
            yield f"  {others} more changed"

    def to_dict(self) -> dict[str, Any]:
        """The stable schema `shiftproof.diff/1`."""
        outputs = [dataclasses.asdict(output) for output in self.outputs]
        for output in outputs:
            for change in output["changes"]:
                change |= {"before": str(change["before"]), "after": str(change["after"])}
        return {
            "schema": DIFF_SCHEMA,
            "before": self.before,
            "after": self.after,
            "worse": self.is_worse,
            "changed": self.changed,
            "outputs": outputs,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
        }


def _output_lines(output: OutputChange) -> Iterator[str]:
    if output.before == output.after and not output.changes:
        yield f"{output.output}, {output.property}: {output.after}, as before"
        return
    gone, new = "gone", "not asked before"
    yield f"{output.output}, {output.property}: {output.before or new} -> {output.after or gone}"
    for change in output.changes:
        more = ", ..." if change.count > len(change.shifts) else ""
        noun = "shift was" if change.count == 1 else "shifts were"
        shifts = ", ".join(map(str, change.shifts))
        yield f"  {change.count} {noun} {change.before}, now {change.after}: {shifts}{more}"


# --- how it is found ---


def compare(before: Verdict | str | Path, after: Verdict | str | Path) -> Comparison:
    """Two verdicts side by side: which shifts changed their word, and which layer did it.

    Args:
        before: a `Verdict`, or a file that `verify --json` or `--out` wrote.
        after: another one, on the same grid and the same question.

    Raises:
        ResultFileError: a file is no verdict, or its counts do not fit together.
        InputError: the two are about different questions.
        OSError: a file cannot be read.

    >>> import shiftproof as sp
    >>> verdicts = [sp.verify(lambda x, s=s: x[:, ::s], (4, 1), name=f"every {s}") for s in (1, 2)]
    >>> print(compare(*verdicts))  # doctest: +ELLIPSIS
    every 1 -> every 2
    output, equivariance: 4/4 all shifts -> 2/4 2Z
      2 shifts were proved, now refuted: (1,), (-1,)
    output, invariance: 1/4 only 0, as before
    layer: ...
    worse.
    """
    old, new = read_verdict(before), read_verdict(after)
    _check_comparable(old, new)
    return Comparison(
        plain(old.model),
        plain(new.model),
        tuple(_output_changes(old, new)),
        tuple(_layer_changes(old, new)),
    )


def _check_comparable(old: SavedVerdict, new: SavedVerdict) -> None:
    """Raise where the two answer different questions."""
    for name, say in (
        ("grid", "--grid or --shape"),
        ("boundary", "--boundary"),
        ("weights", "--weights"),
        ("object", "--object"),
    ):
        first, second = getattr(old, name), getattr(new, name)
        if first != second:
            raise InputError(
                f"the verdicts answer different questions: {name} is {first} for {old.model}, and {second} for "
                f"{new.model}. Verify both with the same {say}; plain functions are always asked about as they are."
            )
    laws = [_laws(saved) for saved in (old, new)]
    if all(laws) and laws[0] != laws[1]:
        raise InputError(
            f"the verdicts answer different questions: the law is {' and '.join(sorted(laws[0]))} for {old.model}, "
            f"and {' and '.join(sorted(laws[1]))} for {new.model}. Verify both with the same --law."
        )


def _laws(saved: SavedVerdict) -> set[str]:
    found = (output.equivariance for output in saved.outputs)
    return {one.law for one in found if one is not None and one.law is not None}


def _output_changes(old: SavedVerdict, new: SavedVerdict) -> Iterator[OutputChange]:
    """For each output and property of either: what changed."""
    first, second = _asked(old), _asked(new)
    for key in (*first, *(key for key in second if key not in first)):
        yield _output_change(key, first.get(key), second.get(key), old.grid)


def _asked(saved: SavedVerdict) -> dict[tuple[str, str], SavedProperty | SavedRegion]:
    """The verdicts, by output and property."""
    found: dict[tuple[str, str], SavedProperty | SavedRegion] = {}
    for output in saved.outputs:
        name = plain(output.name)
        if output.equivariance is not None:
            found[name, "equivariance"] = output.equivariance
        if output.invariance is not None:
            found[name, "invariance"] = output.invariance
        if output.region is not None:
            found[name, output.region.property] = output.region
    return found


def _output_change(
    key: tuple[str, str],
    old: SavedProperty | SavedRegion | None,
    new: SavedProperty | SavedRegion | None,
    grid: tuple[int, ...],
) -> OutputChange:
    told = _told(old, grid), _told(new, grid)
    match old, new:
        case SavedProperty(), SavedProperty():
            changes = tuple(_changes(old, new, grid))
            return OutputChange(*key, *told, changes, any(c.is_worse for c in changes))
        case SavedRegion(), SavedRegion():
            worse = RANK[Word[new.word.upper()]] < RANK[Word[old.word.upper()]]
            fewer = new.proved < old.proved or new.refuted > old.refuted
            return OutputChange(*key, *told, (), worse or fewer)
    return OutputChange(*key, *told, (), new is None)


def _told(found: SavedProperty | SavedRegion | None, grid: tuple[int, ...]) -> str:
    match found:
        case SavedProperty():
            lattice = Lattice(grid, tuple(found.lattice))
            counts = {
                "undecided": found.undecided,
                "refuted numerically": found.refuted_numerically,
            }
            doubts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            doubt = f" ({doubts})" if doubts else ""
            return f"{found.proved}/{math.prod(grid)} {lattice}{doubt}"
        case SavedRegion():
            rest = f", {found.refuted} refuted, {found.undecided} undecided"
            return f"{found.proved} of {found.total} {found.unit} proved{rest}"
    return ""


def _changes(old: SavedProperty, new: SavedProperty, grid: tuple[int, ...]) -> Iterator[Change]:
    """The changes of words, those to the worse first."""
    before, after = (words_of(failing_of(found, grid)) for found in (old, new))
    pairs = [(a, b) for a in Word for b in Word if a is not b]
    for a, b in sorted(pairs, key=lambda pair: RANK[pair[1]] - RANK[pair[0]]):
        changed = (before == a) & (after == b)
        if changed.any():
            yield Change(a, b, int(changed.sum()), tuple(nearest(changed, SHOWN)))


def _layer_changes(old: SavedVerdict, new: SavedVerdict) -> Iterator[LayerChange]:
    """The layers that keep other shifts than before; a new one is compared with what reached it before."""
    known = {layer.name: layer for layer in old.layers}
    keeps = functools.partial(_kept, grid=old.grid)
    reaching: SavedLayer | None = None
    for layer in new.layers:
        reference = known.get(layer.name, reaching)
        if reference is not None and layer.name in known:
            reaching = reference
        if reference is None:
            continue
        worse = _keeps_less(layer, reference, old.grid)
        # a new layer that keeps more than what reaches it, as a mean does, changed nothing
        changed = worse or (layer.name in known and _keeps_less(reference, layer, old.grid))
        if changed:
            yield LayerChange(
                plain(layer.name),
                plain(layer.source),
                keeps(reference),
                keeps(layer),
                worse,
                _because(layer, new.causes),
            )


def _lattice(layer: SavedLayer, grid: tuple[int, ...]) -> Lattice | None:
    if layer.steps is None:
        return None
    moving = (axis_shift(grid, axis, step) for axis, step in enumerate(layer.steps))
    return Lattice(grid, tuple(moving))


def _keeps_less(layer: SavedLayer, reference: SavedLayer, grid: tuple[int, ...]) -> bool:
    """Whether a layer keeps fewer shifts than another; on a scene cells of the interior count, else places."""
    if layer.border is not None and reference.border is not None:
        return layer.border.interior_cells < reference.border.interior_cells
    if layer.places is not None and reference.places is not None:
        return layer.places.proved < reference.places.proved
    here, there = _lattice(layer, grid), _lattice(reference, grid)
    if here is None or there is None:
        return False
    if any(row not in here for row in there.basis):
        return True
    counts = layer.identities, reference.identities
    return None not in counts and (counts[0] or 0) < (counts[1] or 0)


def _kept(layer: SavedLayer, *, grid: tuple[int, ...]) -> str:
    if layer.border is not None:
        return f"{layer.border.interior_cells} cells inside"
    if layer.places is not None:
        return f"{layer.places.proved} places"
    lattice = _lattice(layer, grid)
    counted = "" if layer.identities is None else f" ({layer.identities} by identity)"
    return "-" if lattice is None else f"{lattice}{counted}"


def _because(layer: SavedLayer, causes: Sequence[SavedCause]) -> str:
    found = next((cause for cause in causes if cause.layer == layer.name), None)
    return "" if found is None else plain(f"{found.words}; {found.repair}")
