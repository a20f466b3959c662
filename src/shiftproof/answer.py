"""The answer: what was decided about a model, and what to do, on one screen.

    verdict -> first cause -> what would hold without it, and the repair -> what holds on a scene and a background

The command line, the page, a notebook cell and a failing assertion show these lines first.
"""

import dataclasses
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from shiftproof.beside import beside
from shiftproof.deciding.background import decide_background
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.region import Places, by_identity
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.scene import decide_scene
from shiftproof.deciding.verdict import OutputVerdict, Verdict
from shiftproof.deciding.verify import ask
from shiftproof.deciding.words import Word, refuted_words
from shiftproof.display import Displayed
from shiftproof.group import BOUNDARIES
from shiftproof.progress import waiting
from shiftproof.proving.causes import Cause
from shiftproof.rewriting.counterfactuals import Counterfactuals, counterfactuals
from shiftproof.tracing.settings import current_device

WIDTH, INDENT = 80, 10
"""Columns of the text, and of the names before its paragraphs."""

MOST_OUTPUTS, MOST_STEPS, MOST_NOTES = 4, 4, 2
"""Lines of one kind that are shown."""

FIRST = ("", "because")
"""Paragraphs that need no explanation."""

BORDER = ("padding", "glue", "valid")
"""Codes of causes that lie at the border of the image."""


@dataclasses.dataclass(frozen=True)
class Answer(Displayed):
    """What is told first.

    Attributes:
        verdict: on the torus.
        why: what would hold without one cause or another; None where the lattice is as large as strides allow.
        scene: where the border does not reach; None where padding is no cause.
        background: where it moves with an object; None likewise, or where the model is too large for it.
        notes: that were not told before.
    """

    verdict: Verdict
    why: Counterfactuals | None
    scene: Verdict | None
    background: Verdict | None
    notes: tuple[str, ...]

    @property
    def paragraphs(self) -> list[tuple[str, tuple[str, ...]]]:
        """What is told, in order: sentences, each list under a name of one or two words."""
        found = [
            ("", (self._head(), *self._asked(), *self._outputs())),
            ("because", self._because()),
            ("without", () if self.why is None else tuple(self.why.parts[1:])),
            ("repair", self._repair()),
            ("as it is", tuple(self._as_it_is())),
            ("note", self.notes[:MOST_NOTES]),
        ]
        return [(name, texts) for name, texts in found if texts]

    def __str__(self) -> str:
        return _text(self.paragraphs)

    @property
    def rest(self) -> str:
        """What `begun` does not tell."""
        return _text([part for part in self.paragraphs if part[0] not in FIRST])

    @property
    def is_cut(self) -> bool:
        """Whether there are more outputs, or more causes, than are told."""
        places = {(cause.layer, cause.source) for cause in self.verdict.causes}
        outputs = sum(len(output.properties) for output in self.verdict.outputs)
        return len(places) > 1 or outputs > MOST_OUTPUTS

    def _head(self) -> str:
        verdict = self.verdict
        count, sizes = math.prod(verdict.grid), "x".join(map(str, verdict.grid))
        weights = "for all weights" if verdict.weights == "all" else "with its own weights"
        asked = np.count_nonzero(verdict.asked)
        which = f"all {count}" if asked == count else f"{asked} of {count}"
        told = f"{verdict.model}: {which} shifts of {sizes} pixels, {weights}"
        return f"{told}; {BOUNDARIES[verdict.boundary].words}."

    def _asked(self) -> tuple[str, ...]:
        """What holds of the shifts asked, before what holds of all; nothing where all are."""
        if self.verdict.asked.all():
            return ()
        shown = [(o, v) for o in self.verdict.outputs for v in o.properties][:MOST_OUTPUTS]
        told = (_of_asked(o, v, self.verdict.asked) for o, v in shown)
        return (*told, f"Of all {math.prod(self.verdict.grid)} shifts:")

    def _outputs(self) -> tuple[str, ...]:
        shown = [(o, v) for o in self.verdict.outputs for v in o.properties]
        more = len(shown) - MOST_OUTPUTS
        told = tuple(_decided(output, found) for output, found in shown[:MOST_OUTPUTS])
        return (*told, f"{more} more") if more > 0 else told

    def _because(self) -> tuple[str, ...]:
        causes, grid = self.verdict.causes, self.verdict.grid
        moving = self._moving()
        if moving:
            return (f"{moving}; a mean over its grid behind it would stay",)
        if not causes:
            return ()
        # what leaves no shift at all comes before what leaves some
        first = next((c for c in causes if c.after == grid[c.axis]), causes[0])
        others = len({(c.layer, c.source) for c in causes}) - 1
        more = f" (and {others} more)" if others else ""
        return (f"{because(first)}{more}",)

    def _moving(self) -> str:
        """The first output, where only invariance was asked of it and it moves under more shifts than it stays."""
        output = self.verdict.outputs[0]
        row = next((row for row in self.verdict.layers if row.output == output.name), None)
        found = output.invariance if output.equivariance is None else None
        if found is None or row is None or not row.has_grid or row.steps is None:
            return ""
        moving = math.prod(n // step for n, step in zip(row.grid, row.steps, strict=True))
        return (
            f"{output.name} moves with the image ({row.lattice})" if moving > found.proved else ""
        )

    def _repair(self) -> tuple[str, ...]:
        repair = self.why and self.why.repair
        if not self.why or not repair:
            return ()
        steps = [f"{source}: {change}" for source, change in self.why.steps(repair)]
        return tuple(steps[:MOST_STEPS])

    def _as_it_is(self) -> Iterator[str]:
        if self.scene is not None:
            yield _on_a_scene(self.scene)
        if self.background is not None:
            yield _on_a_background(self.background)


def begun(verdict: Verdict) -> str:
    """The first lines of an answer, which are known before it is explained: what was decided, and the first cause."""
    return str(Answer(verdict, None, None, None, ()))


def because(cause: Cause) -> str:
    """A cause in the user's words, with its layer and line; failing assertions say the same."""
    return f"{cause.words}: {_named(cause.layer, cause.source)}"


def _text(paragraphs: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    return "\n".join(
        _filled("" if i else name, text, INDENT if name else 0)
        for name, texts in paragraphs
        for i, text in enumerate(texts)
    )


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


def _of_asked(output: OutputVerdict, found: PropertyVerdict, asked: np.ndarray) -> str:
    """One sentence about an output, on the shifts asked."""
    words, numerically = found.map[asked], int(np.count_nonzero(found.numerical_map[asked]))
    proved, refuted, undecided = (
        int(np.count_nonzero(words == w)) for w in (Word.PROVED, Word.REFUTED, Word.UNDECIDED)
    )
    told = f"{output.name}: {_adjective(found)} under {proved} of {words.size} asked"
    told += (
        f"; refuted under {refuted_words(refuted - numerically, numerically)}" if refuted else ""
    )
    return f"{told}; undecided under {undecided}." if undecided else f"{told}."


def _adjective(found: PropertyVerdict) -> str:
    return {"equivariance": "equivariant", "invariance": "invariant"}[found.claim.property]


def _decided(output: OutputVerdict, found: PropertyVerdict) -> str:
    """One sentence about an output."""
    told = f"{output.name}: {_adjective(found)} under {found.proved} of {found.total} shifts ({found.lattice})"
    rest = []
    if found.by_identity:
        rest.append(f"{found.identity_text}")
    if found.refuted or found.refuted_numerically:
        rest.append(f"refuted under {found.refuted_text}")
    if found.undecided:
        rest.append(f"undecided under {found.undecided}: {next(iter(found.reasons.values()))}")
    return "; ".join([told, *rest]) + "."


def _on_a_scene(scene: Verdict) -> str:
    """What is left of the border, in one or two sentences."""
    told = "on a scene, where new content enters: "
    moving = [row for row in scene.layers if row.border and row.border.moving]
    output, gone = scene.outputs[0], scene.vanished
    last = moving[-1] if moving else None
    by = by_identity(last.border.error) if last is not None and last.border else ""
    if last is not None and last.output == output.name:
        kept = f"{_left(last)} of {output.name} are proved to just move with it"
        return f"{told}{kept}{by}; the border may reach the others."
    lost = "" if gone is None else f"; of {_named(gone.name, gone.source)} none are"
    if last is None:
        return f"{told}no cells are proved to move with it{lost}."
    return f"{told}{_left(last)} of {last.name} are proved to just move with it{by}{lost}."


def _left(row: LayerVerdict) -> str:
    inside, cells = row.border.left if row.border else (0, 0)
    return f"{inside} of {cells} cells"


def _on_a_background(background: Verdict) -> str:
    """At how many places a layer moves with an object, in one or two sentences."""
    sizes = "x".join(map(str, background.object))
    told = f"on a background, an object of {sizes} on an empty image: "
    rows = [row for row in background.layers if row.places is not None]
    lost = next((row for row in rows if row.places and _kept(row.places) < row.places.total), None)
    last, found = rows[-1], rows[-1].places
    assert found is not None
    verb = "just move with it" if last.has_grid else "stay the same"
    told += f"{last.output} is proved to {verb} at {_kept(found)} of {found.total} places"
    told += by_identity(found.error)
    if found.blind and _kept(found) < found.total:
        told += f"; more may hold, for the field does not look inside {found.blind}"
    if lost is None or lost is last:
        return f"{told}."
    return f"{told}; the first layer with fewer than all is {_named(lost.name, lost.source)}."


def _kept(found: Places) -> int:
    return found.count(Word.PROVED)


@waiting("explain")
def explain(
    verdict: Verdict,
    model: Any,
    images: Any,
    options: Mapping[str, Any] | None = None,
    *,
    why: bool = True,
    told: Sequence[str] = (),
) -> Answer:
    """The answer for a verdict.

    Args:
        verdict: of `verify`.
        model: as given there.
        images: as given there.
        options: that were given to `verify`, but `shifts` and `exhaustive`; none by default.
        why: whether it is asked what would hold without a cause, and beyond the torus.
        told: notes that were told already.

    >>> import shiftproof as sp
    >>> model = lambda x: x[:, ::2].max((1, 2))
    >>> print(sp.explain(sp.verify(model, (4, 4, 1), name="max"), model, (4, 4, 1), why=False))
    ... # doctest: +ELLIPSIS
    max: all 16 shifts of 4x4 pixels, with its own weights; the image wraps around.
    output: invariant under 8 of 16 shifts (2Z × Z); refuted under 8.
    because   stride 2 of slice keeps one shift in 2: slice ...
    """
    notes = tuple(note for note in verdict.notes if note not in told)
    if not why or not _falls_short(verdict):
        return Answer(verdict, None, None, None, notes)
    options = dict(options or {})
    complete = options.pop("property", "both") == "both"
    compare = partial(
        counterfactuals, model, images, verdict=verdict if complete else None, **options
    )
    if not any(cause.code in BORDER for cause in verdict.causes):
        return Answer(verdict, compare(), None, None, notes)
    subject, _ = ask(model, images, **options)
    device = current_device()

    rows, causes = verdict.layers, verdict.causes

    def on_a_background() -> Verdict:
        with jax.default_device(device):
            return decide_background(subject, rows, causes, refute=False)

    with beside(on_a_background) as result:  # the longest of the three
        found = compare()
        scene = decide_scene(subject, rows, causes, refute=False)
        background = result()
    tried = any(o.region and o.region.proved for o in background.outputs)
    return Answer(verdict, found, scene, background if tried else None, notes)


def _falls_short(verdict: Verdict) -> bool:
    """Whether something but strides costs shifts."""
    return any(
        cause.code != "stride" or cause.after == verdict.grid[cause.axis]
        for cause in verdict.causes
    )
