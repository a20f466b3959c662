"""How results show themselves: as HTML in a notebook, and by rich in a terminal.

Both are made in the report room, which reads all others. It is loaded by name when something is shown, so that imports
keep running one way and nothing is imported for a result at which nobody looks.
"""

import importlib
from typing import Any


def report_room(module: str) -> Any:
    """A module of the report room.

    Args:
        module: its name, such as `notebook`.
    """
    return importlib.import_module(f"shiftproof.report.{module}")


class Displayed:
    """A result that notebooks and rich show in full; `repr` stays text."""

    def _repr_html_(self) -> str:
        return report_room("notebook").html_of(self)

    def __rich__(self) -> Any:
        return report_room("notebook").rich_of(self)
