"""One self-contained HTML page: text, tables and figures, styled by `template.html.jinja`.

Nothing is loaded from elsewhere: figures are data URIs and there is no script. All text is escaped.
"""

import base64
import dataclasses
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from shiftproof.files import write_atomic
from shiftproof.report.tables import Table


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        png: its bytes.
        alternative: says what is to be seen, for those who do not see it.
        caption: below it.
        wide: too detailed for a phone; there it scrolls sideways.
    """

    png: bytes
    alternative: str
    caption: str = ""
    wide: bool = True

    @property
    def uri(self) -> str:
        """The bytes as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclasses.dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them; printed open where the browser can."""

    title: str
    blocks: tuple["Block", ...]


Block = Prose | Picture | Table | Folded


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def write_report(
    path: str | Path, title: str, *, summary: str, sections: Sequence[Section]
) -> Path:
    """Write the page, atomically; the same content gives the same bytes.

    Args:
        path: of the HTML file; its folder is made.
        title: of the page.
        summary: one sentence, on top.
        sections: in order.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(path)
    write_atomic(path, render_report(title, summary=summary, sections=sections).encode("utf-8"))
    return path


def render_report(title: str, *, summary: str, sections: Sequence[Section]) -> str:
    """The page as text.

    >>> "<h1>a &lt; b</h1>" in render_report("a < b", summary="", sections=())
    True
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["kind"] = _kind
    source = resources.files("shiftproof.report").joinpath("template.html.jinja").read_text("utf-8")
    template = environment.from_string(source)
    return template.render(title=title, summary=summary, sections=sections)


def _kind(block: Any) -> str:
    """The name by which the template tells blocks apart."""
    return type(block).__name__
