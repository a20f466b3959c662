"""The answer: what was decided about a model, and what to do, on one screen.

    verdict -> first cause -> what would hold without it, and the repair -> what holds on a scene and a background

The command line and the page show these lines first.
"""

import dataclasses
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shiftproof.algebras.arithmetic import FieldError
from shiftproof.deciding.scene import SceneLayer, SceneVerdict, verify_scene
from shiftproof.deciding.subject import Subject, question_of
from shiftproof.deciding.verdict import OutputVerdict, PropertyVerdict, Verdict
from shiftproof.deciding.verify import ask
from shiftproof.proving.identity import error_words
from shiftproof.proving.layers import Layer
from shiftproof.proving.windows import Placed, find_placed
from shiftproof.rewriting.counterfactuals import Counterfactuals, counterfactuals
from shiftproof.tracing.settings import settings

WIDTH, INDENT = 80, 10
"""Columns of the text, and of the names before its paragraphs."""

MOST_OUTPUTS, MOST_STEPS, MOST_NOTES = 4, 4, 2
"""Lines of one kind that are shown."""

BORDER = ("padding", "glue", "valid")
"""Codes of causes that lie at the border of the image."""

AFFORDABLE = 2**26
"""Cells that are computed, at most, to tell what a model makes of an object on an empty background."""


@dataclasses.dataclass(frozen=True)
class Places:
    """What a model makes of an object at every place of an empty image.

    Attributes:
        object: its sizes.
        layers: in order of execution, outputs last, each with what was found.
        log2_error: the base-2 logarithm of the probability that one of the places is too many.
    """

    object: tuple[int, ...]
    layers: tuple[tuple[Layer, Placed], ...]
    log2_error: float

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.object))
        told = f"on a background, an object of {sizes} on an empty image: "
        lost = next((x for x in self.layers if _kept(x[1]) < _whole(x[1])), None)
        layer, found = self.layers[-1]
        verb = "just move with it" if layer.has_grid else "stay the same"
        told += f"{layer.output} is proved to {verb} at {_kept(found)} of {_whole(found)} places"
        told += f" (by identity, {error_words(self.log2_error)})"
        if found.blind and _kept(found) < _whole(found):
            told += f"; more may hold, for the field does not look inside {found.blind}"
        if lost is None or lost[0] is layer:
            return f"{told}."
        return f"{told}; the first layer with fewer than all is {_named(lost[0].name, str(lost[0].site))}."


def _kept(found: Placed) -> int:
    return int(found.places.sum())


def _whole(found: Placed) -> int:
    return int(found.whole.sum())


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is told first.

    Attributes:
        verdict: on the torus.
        why: what would hold without one cause or another; None where the lattice is as large as strides allow.
        scene: where the border does not reach; None where padding is no cause.
        places: of an object on an empty image; None likewise, or where the model is too large for it.
        notes: that were not told before.
    """

    verdict: Verdict
    why: Counterfactuals | None
    scene: SceneVerdict | None
    places: Places | None
    notes: tuple[str, ...]

    @property
    def paragraphs(self) -> list[tuple[str, tuple[str, ...]]]:
        """What is told, in order: sentences, each list under a name of one or two words."""
        found = [
            ("", (self._head(), *self._outputs())),
            ("because", self._because()),
            ("without", () if self.why is None else tuple(self.why.parts[1:])),
            ("repair", self._repair()),
            ("as it is", tuple(self._as_it_is())),
            ("note", self.notes[:MOST_NOTES]),
        ]
        return [(name, texts) for name, texts in found if texts]

    def __str__(self) -> str:
        return "\n".join(
            _filled("" if i else name, text, INDENT if name else 0)
            for name, texts in self.paragraphs
            for i, text in enumerate(texts)
        )

    def _head(self) -> str:
        verdict = self.verdict
        count, sizes = math.prod(verdict.grid), "x".join(map(str, verdict.grid))
        weights = "for all weights" if verdict.weights == "all" else "with its own weights"
        told = f"{verdict.model}: all {count} shifts of {sizes} pixels, {weights}"
        return f"{told}; the image wraps around."

    def _outputs(self) -> tuple[str, ...]:
        shown = [(o, v) for o in self.verdict.outputs for v in o.properties]
        more = len(shown) - MOST_OUTPUTS
        told = tuple(_decided(output, found) for output, found in shown[:MOST_OUTPUTS])
        return (*told, f"{more} more: --full") if more > 0 else told

    def _because(self) -> tuple[str, ...]:
        causes, grid = self.verdict.causes, self.verdict.grid
        if not causes:
            return ()
        # what leaves no shift at all comes before what leaves some
        first = next((c for c in causes if c.after == grid[c.axis]), causes[0])
        others = len({(c.layer, c.source) for c in causes}) - 1
        more = f" (and {others} more: --full)" if others else ""
        return (f"{first.words}: {_named(first.layer, first.source)}{more}",)

    def _repair(self) -> tuple[str, ...]:
        repair = self.why and self.why.repair
        if not self.why or not repair:
            return ()
        steps = [f"{source}: {change}" for source, change in self.why.steps(repair)]
        return tuple(steps[:MOST_STEPS])

    def _as_it_is(self) -> Iterator[str]:
        if self.scene is not None:
            yield _on_a_scene(self.scene)
        if self.places is not None:
            yield str(self.places)


def _filled(name: str, text: str, indent: int) -> str:
    """A paragraph, behind a name where it has one."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=name.ljust(indent),
        subsequent_indent=" " * indent or "  ",
        break_on_hyphens=False,
    )


def _named(layer: str, source: str) -> str:
    return f"{layer} ({source})" if source else layer


def _decided(output: OutputVerdict, found: PropertyVerdict) -> str:
    """One sentence about an output."""
    adjective = {"equivariance": "equivariant", "invariance": "invariant"}[found.claim.property]
    told = (
        f"{output.name}: {adjective} under {found.proved} of {found.total} shifts ({found.lattice})"
    )
    rest = []
    if found.by_identity:
        rest.append(f"{found.identity_text}")
    if found.refuted or found.refuted_numerically:
        rest.append(f"refuted under {found.refuted_text}")
    if found.undecided:
        rest.append(f"undecided under {found.undecided}: {next(iter(found.reasons.values()))}")
    return "; ".join([told, *rest]) + "."


def _on_a_scene(scene: SceneVerdict) -> str:
    """What is left of the border, in one or two sentences."""
    told = "on a scene, where new content enters: "
    moving = [
        x for x in scene.layers if x.proved and x.compared and any(r.cells for r in x.reaches)
    ]
    by = f" (by identity, {scene.error})" if scene.error else ""
    output, gone = scene.outputs[0], scene.vanished
    if output in moving:
        kept = f"{_left(output)} of {output.output} are proved to just move with it"
        return f"{told}{kept}{by}; the border may reach the others."
    lost = "" if gone is None else f"; of {_named(gone.name, gone.source)} none are"
    if not moving:
        return f"{told}no cells are proved to move with it{lost}."
    last = moving[-1]
    return f"{told}{_left(last)} of {last.name} are proved to just move with it{by}{lost}."


def _left(layer: SceneLayer) -> str:
    inside, cells = layer.left
    return f"{inside} of {cells} cells"


def explain(
    verdict: Verdict,
    model: Any,
    images: Any,
    options: Mapping[str, Any],
    *,
    why: bool = True,
    told: Sequence[str] = (),
) -> Answer:
    """The answer for a verdict.

    Args:
        verdict: of `verify`.
        model: as given there.
        images: as given there.
        options: that were given to `verify`, but `shifts` and `exhaustive`.
        why: whether it is asked what would hold without a cause, and beyond the torus.
        told: notes that were told already.
    """
    notes = tuple(note for note in verdict.notes if note not in told)
    if not why or not _falls_short(verdict):
        return Answer(verdict, None, None, None, notes)
    options = dict(options)
    complete = options.pop("property", "both") == "both"
    found = counterfactuals(model, images, verdict=verdict if complete else None, **options)
    at_border = any(cause.code in BORDER for cause in verdict.causes)
    if not at_border:
        return Answer(verdict, found, None, None, notes)
    asked = {k: v for k, v in options.items() if k not in ("law", "search_seconds")}
    scene = verify_scene(model, images, **asked)
    subject, _ = ask(model, images, **options)
    return Answer(verdict, found, scene, _places(subject), notes)


def _falls_short(verdict: Verdict) -> bool:
    """Whether something but strides costs shifts."""
    return any(
        cause.code != "stride" or cause.after == verdict.grid[cause.axis]
        for cause in verdict.causes
    )


def _places(subject: Subject) -> Places | None:
    """What the model makes of an object a quarter of its size; None where that takes long, or cannot be asked."""
    program = subject.program
    sizes = tuple(max(1, n // 4) for n in subject.grid)
    count = math.prod(n - s + 1 for n, s in zip(subject.grid, sizes, strict=True))
    cells = sum(math.prod(program.avals[n].shape) for n in program.from_images)
    if count * cells > AFFORDABLE:
        return None
    try:
        with settings(subject.dtype):
            found, log2_error = find_placed(question_of(subject), subject.layers, sizes)
    except FieldError:
        return None
    rows = [(layer, found[layer.name]) for layer in subject.layers if layer.name in found]
    return Places(sizes, tuple(rows), log2_error) if rows else None
