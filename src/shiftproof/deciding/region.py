"""Regions: a word for each cell of an output on a scene, and for each place of an object on a background."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from shiftproof.deciding.words import Word
from shiftproof.group import Shift
from shiftproof.proving.cells import Field


@dataclasses.dataclass(frozen=True)
class Reach:
    """What is known of a layer on a scene, along one axis of the grid.

    Attributes:
        step: the smallest step of the window, in pixels, under which the layer moves; None where none is proved.
        cells: by how many cells it then moves; negative after a flip.
        low, high: the interior: cells from `low` up to `high` - 1, of
        size: cells in all.
        field: the receptive field; None where the layer does not depend on the image.
        lost: why nothing is proved; "" where something is.
        vanished: whether that is because no interior is left.
    """

    step: int | None
    cells: int
    low: int
    high: int
    size: int
    field: Field | None
    lost: str
    vanished: bool

    @property
    def compared(self) -> bool:
        """Whether two windows show one point of the scene in their interiors; else the claim would be empty."""
        return not self.cells or self.high - self.low > abs(self.cells)

    @property
    def jump(self) -> Fraction | None:
        """Pixels between neighbouring cells; negative after a flip."""
        return None if self.step is None or not self.cells else Fraction(self.step, self.cells)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        field = self.field
        return {
            "step": self.step,
            "jump": None if self.jump is None else str(self.jump),
            "interior": [self.low, self.high],
            "size": self.size,
            "receptive_field": None if field is None else field.size,
            "receptive_offset": None if field is None else field.offset,
            "whole_image": field is not None and field.size is None,
            "reason": self.lost or None,
        }


@dataclasses.dataclass(frozen=True)
class Border:
    """How far the border of the image reaches into a layer on a scene.

    The interior is a set of cells that just move with the scene. A cell outside of it is refuted where on some scene it
    shows something else than the interior does of the same point, or than its neighbours where there is no interior.

    Attributes:
        reaches: one for each axis of the grid.
        words: (n1, ..., nd) of `Word`, along the axes of the grid.
        certified: how many cells a derivation of the kernel covers.
        exact: whether what is refuted is so exactly; else by a difference far above rounding.
        error: the bound of the error of what is proved by identity; "" where nothing is.
    """

    reaches: tuple[Reach, ...]
    words: np.ndarray
    certified: int = 0
    exact: bool = True
    error: str = ""

    @property
    def interior(self) -> np.ndarray:
        """(n1, ..., nd) bool: the cells that are proved to move with the scene."""
        return self.words == Word.PROVED

    @property
    def proved(self) -> bool:
        """Whether an interior is left along every axis."""
        return not any(reach.lost for reach in self.reaches)

    @property
    def compared(self) -> bool:
        """Whether the interior is wider than one move along every axis."""
        return all(reach.compared for reach in self.reaches)

    @property
    def moving(self) -> bool:
        """Whether cells are proved to move, and not just to stay."""
        return self.proved and self.compared and any(reach.cells for reach in self.reaches)

    @property
    def left(self) -> tuple[int, int]:
        """Cells of the interior, and cells in all."""
        return int(np.count_nonzero(self.interior)), self.words.size

    @property
    def is_box(self) -> bool:
        """Whether the interior is all cells between its first and its last along every axis."""
        return self.left[0] == math.prod(reach.high - reach.low for reach in self.reaches)

    def divides(self, steps: Sequence[int]) -> bool:
        """Whether its steps divide these, one along each axis."""
        pairs = zip(steps, self.reaches, strict=True)
        return all(step % (reach.step or 1) == 0 for step, reach in pairs)

    def just_moves(self, steps: Sequence[int], law: str) -> bool:
        """Whether the interior is proved to move with the scene in these steps; by the law `same`, as far as that."""
        same = law == "any" or all(reach.cells == reach.step for reach in self.reaches)
        return self.proved and self.compared and same and self.divides(steps)

    def count(self, word: Word) -> int:
        """How many cells have a word."""
        return int(np.count_nonzero(self.words == word))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        inside, cells = self.left
        return {
            "cells": cells,
            "interior_cells": inside,
            "certified_cells": self.certified,
            "refuted_cells": self.count(Word.REFUTED),
            "undecided_cells": self.count(Word.UNDECIDED),
            "refuted_exactly": self.exact,
            "error": self.error or None,
            "axes": [reach.to_dict() for reach in self.reaches],
        }


@dataclasses.dataclass(frozen=True)
class Places:
    """What a layer makes of an object at every place of an empty image.

    Attributes:
        words: (places along every axis) of `Word`: whether all its cells just move with the object, or stay the same
            where it has no grid.
        asked: in the same shape, whether the object is moved by a whole number of cells; elsewhere nothing is asked.
        cells: (n1, ..., nd) bool: which of its cells are proved to just move under every place asked.
        constant: whether the layer answers the same in all cells to an empty image.
        exact: whether what is refuted is so exactly; else by a difference far above rounding.
        blind: an equation on the way to it into which the field does not look, so that more may hold; "" where none is.
        error: the bound of the error of what is proved by identity; "" where nothing is.
    """

    words: np.ndarray
    asked: np.ndarray
    cells: np.ndarray
    constant: bool
    exact: bool = True
    blind: str = ""
    error: str = ""

    def count(self, word: Word) -> int:
        """How many of the places asked have a word."""
        return int(np.count_nonzero(self.asked & (self.words == word)))

    @property
    def total(self) -> int:
        """How many places are asked."""
        return int(np.count_nonzero(self.asked))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "places": self.total,
            "proved": self.count(Word.PROVED),
            "refuted": self.count(Word.REFUTED),
            "undecided": self.count(Word.UNDECIDED),
            "refuted_exactly": self.exact,
            "error": self.error or None,
            "moving_cells": int(np.count_nonzero(self.cells)),
            "cells": int(self.cells.size),
            "constant": self.constant,
        }


_WHERE = {"cells": "in", "places": "at"}

NUMERICALLY = " (numerically, far above rounding)"
"""Said of what is refuted neither exactly nor by enclosures."""


def by_identity(error: str) -> str:
    """How something is proved that no certificate proves; "" where nothing is.

    >>> by_identity("error < 2^-100")
    ' (by identity, error < 2^-100)'
    """
    return f" (by identity, {error})" if error else ""


@dataclasses.dataclass(frozen=True)
class RegionVerdict:
    """The verdict on an output that is asked about cell by cell, or place by place.

    Attributes:
        claim: `equivariance` where the output has a grid, else `invariance`.
        unit: what has a word.
        map: of `Word`.
        asked: in the same shape, where something is asked.
        word: for the output as a whole. On a scene it is proved where cells are left that just move with it, and
            refuted where every cell is; on a background proved where every place is, and refuted where one is.
        exact: whether what is refuted is so exactly; else by a difference far above rounding.
        error: the bound of the error of what is proved by identity; "" where nothing is.
        reason: why something is undecided; "" where nothing is.
        between: on a scene, shifts between the steps, one in each smallest larger group, with their words.
        certificate: what the kernel replays; None where there is none.
    """

    claim: Literal["equivariance", "invariance"]
    unit: Literal["cells", "places"]
    map: np.ndarray
    asked: np.ndarray
    word: Word
    exact: bool
    error: str
    reason: str
    between: Mapping[Shift, Word] = dataclasses.field(default_factory=dict)
    certificate: Mapping[str, Any] | None = None

    def count(self, word: Word) -> int:
        """How many of those asked have a word."""
        return int(np.count_nonzero(self.asked & (self.map == word)))

    @property
    def total(self) -> int:
        """How many are asked."""
        return int(np.count_nonzero(self.asked))

    @property
    def proved(self) -> int:
        """How many are proved."""
        return self.count(Word.PROVED)

    @property
    def refuted(self) -> int:
        """How many are refuted."""
        return self.count(Word.REFUTED)

    @property
    def undecided(self) -> int:
        """How many are undecided."""
        return self.count(Word.UNDECIDED)

    @property
    def rest(self) -> str:
        """What is not proved, in words that follow what is; "" where everything is."""
        if self.unit == "cells" and self.claim == "invariance":
            return ""
        how = "" if self.exact else NUMERICALLY
        told = f"; refuted {_WHERE[self.unit]} {self.refuted}{how}" if self.refuted else ""
        told += f"; undecided {_WHERE[self.unit]} {self.undecided}" if self.undecided else ""
        broken = [str(shift) for shift, word in self.between.items() if word is Word.REFUTED]
        return told + (f"; not under shifts by {', '.join(broken)}{how}" if broken else "")

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "property": self.claim,
            "unit": self.unit,
            "word": str(self.word),
            "total": self.total,
            "proved": self.proved,
            "refuted": self.refuted,
            "undecided": self.undecided,
            "refuted_exactly": self.exact,
            "error": self.error or None,
            "reason": self.reason or None,
            "between": [{"shift": list(s), "word": str(w)} for s, w in self.between.items()],
        }
