"""One self-contained HTML page: text, tables, figures, and maps of shifts that can be explored.

    blocks -> blocks.html.jinja, page.html.jinja, style.css, explore.js -> one file

Every page of the project is made here, the audit's too, which extends the same template. Nothing is loaded from
elsewhere, and the page's own policy forbids it: figures are data URIs, the script and the style stand inside. All text
is escaped, and plain.
"""

import base64
import dataclasses
import struct
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from shiftproof.files import plain_json, write_atomic
from shiftproof.group import Shift
from shiftproof.plain import plain_lines
from shiftproof.report.pictures import Tile
from shiftproof.report.tables import Table


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Terms:
    """Words in bold, and what is said of each: definitions, or an answer and its reason.

    Attributes:
        rows: word, sentence.
    """

    rows: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Reference:
    """A sentence that ends in a link.

    Attributes:
        text: before the link.
        label: what the link says.
        address: a file beside the page.
    """

    text: str
    label: str
    address: str


@dataclasses.dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    text: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        png: its bytes.
        alternative: says what is to be seen, for those who do not see it.
        caption: below it.
        wide: as large as it was drawn, so that its letters can be read; on a phone it scrolls sideways. Otherwise as
            wide as the column of text.
        title: in bold before the caption.
    """

    png: bytes
    alternative: str
    caption: str = ""
    wide: bool = True
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Small pictures side by side, as many in a row as fit, each above its title and caption."""

    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class Example:
    """A counterexample, drawn small: its tiles stand side by side.

    Attributes:
        key: unique on the page; a map shows the tiles by it.
        text: what they show.
        tiles: from left to right.
    """

    key: str
    text: str
    tiles: tuple[Tile, ...]


@dataclasses.dataclass(frozen=True)
class Explorer:
    """Maps with one cell per shift; pointing at a cell, or going there by keys, says all that is known of it.

    Attributes:
        title: for a screen reader.
        alternative: the finding in words, where no script runs.
        data: what `explore.js` reads: a verdict or a sweep as its JSON, and its arrays.
    """

    title: str
    alternative: str
    data: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Link:
    """One row of a chain.

    Attributes:
        name: of the layer or variant.
        dots: shifts (dy, dx) near 0 that the lattice holds.
        cells: one per column of the chain.
        reasons: why the lattice shrinks here, each with its repair or place.
    """

    name: str
    dots: tuple[Shift, ...]
    cells: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Chain:
    """Layers, or variants of a model, each with what is left of the lattice.

    Attributes:
        head: heading of the names.
        columns: headings of the cells, and of the reasons.
        links: in order.
        note: below.
    """

    head: str
    columns: tuple[str, ...]
    links: tuple[Link, ...]
    note: str


@dataclasses.dataclass(frozen=True)
class Folded:
    """Blocks behind a line that opens them; printed open where the browser can."""

    title: str
    blocks: tuple["Block", ...]


Block = (
    Prose
    | Terms
    | Reference
    | Commands
    | Picture
    | Gallery
    | Table
    | Example
    | Explorer
    | Chain
    | Folded
)


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def write_report(
    path: str | Path,
    title: str,
    *,
    summary: str,
    sections: Sequence[Section],
    opening: Sequence[Block] | None = None,
) -> Path:
    """Write the page, atomically; the same content gives the same bytes.

    Args:
        path: of the HTML file; its folder is made.
        title: of the page.
        summary: one sentence, on top.
        sections: in order.
        opening: what stands before the summary; a page that has one lists its sections, too.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(path)
    page = render_report(title, summary=summary, sections=sections, opening=opening)
    write_atomic(path, page.encode("utf-8"))
    return path


def render_report(
    title: str,
    *,
    summary: str,
    sections: Sequence[Section],
    opening: Sequence[Block] | None = None,
) -> str:
    """The page as text; arguments as for `write_report`.

    >>> "<h1>a &lt; b</h1>" in render_report("a < b", summary="", sections=())
    True
    """
    explores = any(isinstance(block, Explorer) for block in _all(s.blocks for s in sections))
    return (
        page_environment()
        .get_template("page.html.jinja")
        .render(title=title, summary=summary, sections=sections, opening=opening, explores=explores)
    )


def page_environment(*folders: Path) -> jinja2.Environment:
    """The templates of the reports, and those in further folders, which may extend them.

    Args:
        folders: of templates.
    """
    loaders = [jinja2.FunctionLoader(_source), jinja2.FileSystemLoader([*folders])]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": _kind,
        "uri": png_uri,
        "drawn": drawn_width,
        "embedded": embedded,
    }
    environment.globals |= {
        "include_raw": lambda name: Markup(_source(name)),
        "explores": False,
        "opening": None,
    }
    return environment


def _source(name: str) -> str | None:
    """A file beside this module; None where there is none."""
    path = resources.files("shiftproof.report").joinpath(name)
    return path.read_text("utf-8") if path.is_file() else None


def _kind(block: Any) -> str:
    """The name by which the template tells blocks apart."""
    return type(block).__name__


def _finalize(value: Any) -> Any:
    """What a template writes: all text is plain, but for our own scripts and styles."""
    return value if not isinstance(value, str) or isinstance(value, Markup) else plain_lines(value)


def png_uri(png: bytes) -> str:
    """The bytes as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def drawn_width(png: bytes) -> int:
    """The width at which a figure was drawn, in pixels of CSS, 96 an inch; 0 where the PNG does not say.

    Its letters are then as large as they were said to be: 8 points are 10.7 pixels.
    """
    at = png.find(b"pHYs")  # pixels per metre, after the size
    if at < 0:
        return 0
    (width,), (density,) = (struct.unpack_from(">I", png, place) for place in (16, at + 4))
    return round(width / density / 0.0254 * 96)


def embedded(data: Any) -> Markup:
    r"""JSON that may stand inside a script element, whatever its strings hold; NaN becomes null.

    >>> str(embedded({"a": "</script>"}))
    '{"a":"\\u003c/script>"}'
    """
    return Markup(plain_json(data).decode("utf-8").replace("<", "\\u003c"))


def _all(groups: Any) -> Any:
    """Blocks, and those that are folded inside."""
    for blocks in groups:
        for block in blocks:
            yield block
            if isinstance(block, Folded):
                yield from _all([block.blocks])
