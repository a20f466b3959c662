"""Rows of the layer table: what is known of one layer, on the torus, on a scene and on a background side by side."""

import dataclasses
from typing import Any

from shiftproof.deciding.region import NUMERICALLY, Border, Places, by_identity
from shiftproof.deciding.words import Word
from shiftproof.group import Lattice, axis_shift
from shiftproof.proving.cells import Field


@dataclasses.dataclass(frozen=True)
class LayerVerdict:
    """One link of the chain from the image to the outputs: a row of the layer table.

    Attributes:
        name: as in a sweep.
        source: the user's file and line.
        shape: of its value, batch included.
        steps: per grid axis the smallest step under which the value is proved to move or stay; the size where none is.
        grid: of the image.
        fields: per grid axis, the receptive field and the jump; None where the value does not depend on the image.
        identities: number of shifts under which it just moves, or stays, each tried in the field; None where they were
            not.
        axes: those of its value that run along the grid; None where one does not.
        output: the name of the output it is, or None.
        border: how far the border reaches into it on a scene; None where that was not asked.
        places: what it makes of an object on a background; None likewise.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    steps: tuple[int, ...] | None
    grid: tuple[int, ...]
    fields: tuple[Field | None, ...]
    identities: int | None = None
    axes: tuple[int | None, ...] = ()
    output: str | None = None
    border: Border | None = None
    places: Places | None = None

    @property
    def lattice(self) -> str:
        """The steps in words, such as `2Z × 2Z`."""
        if self.steps is None:
            return "-"
        moving = (axis_shift(self.grid, axis, step) for axis, step in enumerate(self.steps))
        return str(Lattice(self.grid, tuple(moving)))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "name": self.name,
            "source": self.source,
            "shape": list(self.shape),
            "steps": None if self.steps is None else list(self.steps),
            "receptive_field": [field and field.size for field in self.fields],
            "jump": [
                None if not field or field.jump is None else str(field.jump)
                for field in self.fields
            ],
            "whole_image": [field is not None and field.size is None for field in self.fields],
            "identities": self.identities,
            "border": self.border and self.border.to_dict(),
            "places": self.places and self.places.to_dict(),
        }

    @property
    def has_grid(self) -> bool:
        """Whether some axis of its value runs along the grid."""
        return any(axis is not None for axis in self.axes)

    @property
    def told(self) -> str:
        """What was found on a scene or a background, in words; "" on the torus."""
        if self.border is not None and not self.has_grid:
            word = Word(int(self.border.words.flat[0]))
            how = NUMERICALLY if word is Word.REFUTED and not self.border.exact else ""
            return f"{_IN_ALL[word]}{by_identity(self.border.error)}{how}"
        if self.border is not None:
            return f"{_on_a_scene(self.border)}{by_identity(self.border.error)}"
        if self.places is not None:
            verb = "just moves with it" if self.has_grid else "stays the same"
            found = self.places
            told = f"{verb} at {found.count(Word.PROVED)} of {found.total} places"
            return f"{told}{by_identity(found.error)}"
        return ""

    @property
    def gone(self) -> str:
        """Why it has no interior on a scene, in one sentence; "" where it has one."""
        reaches = () if self.border is None else self.border.reaches
        reach = next((reach for reach in reaches if reach.lost), None)
        if reach is None:
            return ""
        place = f" ({self.source})" if self.source else ""
        word = "the interior vanishes" if reach.vanished else "no interior is proved"
        return f"{word} at {self.name}{place}: {reach.lost}"


_IN_ALL = {
    Word.PROVED: "it stays the same, whatever the window does",
    Word.REFUTED: "it changes with the scene",
    Word.UNDECIDED: "not proved to stay the same",
}


def _on_a_scene(border: Border) -> str:
    inside, cells = border.left
    if not border.proved:
        return "no interior"
    if not any(reach.cells for reach in border.reaches):
        return _IN_ALL[Word.PROVED]
    steps = " × ".join(str(reach.step) for reach in border.reaches)
    spans = " × ".join(f"{reach.low}..{reach.high - 1}" for reach in border.reaches)
    where = f" ({spans})" if border.is_box else ""
    told = f"{inside} of {cells} cells{where} move with the scene, in steps of {steps} pixels"
    return told if border.compared else f"{told}: no wider than one step, so nothing is claimed"
