"""How results show themselves: as HTML in a notebook, by rich in a terminal, and as figures.

What they show is made in `report`, which reads the results, so that they cannot import it. The package's `__init__`,
which runs first and stands above all modules, hands in the views; they load `report` when something is shown.
"""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Views:
    """What makes the views of a result.

    Attributes:
        html: result -> HTML that stands alone.
        rich: result -> what rich prints.
        figure: result, with its options -> a `matplotlib.figure.Figure`.
    """

    html: Callable[[Any], str]
    rich: Callable[[Any], Any]
    figure: Callable[..., Any]


_HANDED: list[Views] = []


def hand_in(views: Views) -> None:
    """Let results show themselves by these views."""
    _HANDED[:] = [views]


def figure_of(result: "Displayed", **options: Any) -> Any:
    """The figure of a result.

    Args:
        result: a verdict, a scene or a sweep.
        options: those of its method `plot`.
    """
    return _HANDED[0].figure(result, **options)


class Displayed:
    """A result that notebooks and rich show in full; `repr` stays text."""

    def _repr_html_(self) -> str:
        return _HANDED[0].html(self)

    def __rich__(self) -> Any:
        return _HANDED[0].rich(self)
