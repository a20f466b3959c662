"""Scenes: what the kernel proves of every value when the image is a window that moves over an infinite scene.

One axis of the grid at a time, for the smallest step that passes all strides on the way.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

from shiftproof.group import axis_shift
from shiftproof.proving.graph import Graph
from shiftproof_kernel import Lost, Refusal, Theorem, derive, interior

MOST_STEPS = 64
"""Steps tried along one axis."""


@dataclasses.dataclass(frozen=True)
class Passage:
    """What is proved of one value when the window moves along one axis of the grid.

    Attributes:
        step: pixels by which the window moves.
        moves: for each axis of the value (step, low, high): by how many cells it moves, and the interior in which it
            does; (0, 0, n) along an axis that stays.
    """

    step: int
    moves: tuple[tuple[int, int, int], ...]


class SceneProver:
    """Asks the kernel about one graph, each axis once.

    Args:
        graph: of the traced model.
        grid: sizes of the window.
    """

    def __init__(self, graph: Graph, grid: Sequence[int]) -> None:
        self.graph = graph
        self.grid = tuple(grid)

    @functools.cache  # noqa: B019 - one prover lives as long as its answers
    def along(self, axis: int) -> list[Passage | Lost]:
        """For every node the passage of the smallest step, or why there is none."""
        tried: dict[int, list[Theorem | Lost]] = {}
        waiting = [1]
        while waiting and len(tried) < MOST_STEPS:
            step = min(waiting)
            waiting.remove(step)
            tried[step] = self._derive(axis, step)
            for stride in _strides(tried[step]):
                larger = math.lcm(step, stride), step * stride
                waiting += [s for s in set(larger) if s not in tried and s not in waiting]
            waiting = [s for s in waiting if s < 2 * self.grid[axis]]
        steps = sorted(tried)
        return [self._best(n, [(s, tried[s][n]) for s in steps]) for n in range(len(tried[1]))]

    def _derive(self, axis: int, step: int) -> list[Theorem | Lost]:
        shift = axis_shift(self.grid, axis, step)
        return derive(self.graph.program, shift, boundary="scene")

    @staticmethod
    def _best(number: int, outcomes: Sequence[tuple[int, Theorem | Lost]]) -> Passage | Lost:
        """The first theorem that shows a window; else the refusal that no larger step would lift."""
        lost = []
        for step, outcome in outcomes:
            if isinstance(outcome, Lost):
                lost.append(outcome)
                continue
            moves = interior(outcome, range(len(outcome.fact.shape)))
            if moves is not None:
                return Passage(step, moves)
            text = "axes are merged into one, along which cells do not lie as in the scene"
            lost.append(Lost(number, Refusal("merge", text)))
        firm = [outcome for outcome in lost if outcome.refusal.code not in ("stride", "split")]
        return (firm or lost)[0]


def _strides(outcomes: Sequence[Theorem | Lost]) -> set[int]:
    """Strides and blocks that a step was no multiple of."""
    found = set()
    for outcome in outcomes:
        if isinstance(outcome, Lost) and outcome.refusal.code in ("stride", "split"):
            detail = outcome.refusal.detail
            found.add(abs(detail.get("stride", detail.get("block", 1))))
    return found - {0, 1}
