"""Figures that a notebook shows as pictures, although no pyplot made them.

Notebooks draw the figures of pyplot, once it is loaded there. Ours are made without it, so that a report has no global
state, and say themselves what they look like.
"""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure with a picture of its own."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
