"""The terminal: rich's console, on which text of strangers is printed plain.

What is rendered on it, tables too, holds no control characters but those of rich itself, which are its colours and the
movements of its progress bars. `say` is for sentences.
"""

import itertools
import os
import sys
import textwrap
from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from shiftproof.plain import hanging, plain_lines


class Console(rich.console.Console):
    """A console of rich that prints plain text."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of what is printed; every `print` of rich takes them from here."""
        for segment in super().render(renderable, options):
            # a segment with control codes is rich's own, and holds no text of ours
            yield segment if segment.control else segment._replace(text=plain_lines(segment.text))

    @property
    def has_display(self) -> bool:
        """Whether somebody looks at this terminal, on a machine that can open a window."""
        windows = sys.platform in ("darwin", "win32") or os.environ.keys() & {
            "DISPLAY",
            "WAYLAND_DISPLAY",
        }
        return self.is_terminal and bool(windows)

    def say(self, *lines: str, style: str = "") -> None:
        """Print lines without markup, wrapped to the room there is; nothing but a line given here begins one.

        Args:
            lines: ours; a line break inside of one may be a stranger's.
            style: of rich, such as `red`.
        """
        for part in itertools.chain.from_iterable(hanging(line).split("\n") for line in lines):
            self.print(Text(_wrapped(part, max(self.width, 20)), style=style), soft_wrap=True)


def _wrapped(line: str, width: int) -> str:
    """A line in lines that are no longer, but for words that are, such as paths; all but the first are indented."""
    space = " " * (len(line) - len(line.lstrip(" ")))
    # the first word stays with the second, as in "error: PATH"
    first, blank, rest = line.removeprefix(space).partition(" ")
    wrapped = textwrap.fill(
        rest,
        width,
        initial_indent=space + first + blank,
        subsequent_indent=space + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped or line
