"""Notation: the one spelling of statements, shown as HTML on the page and as plain text elsewhere.

Mathematics stands between dollar signs, where `_` and `^` lower and raise one sign or a group in braces; names of
programs stand between backquotes.
"""

import html
import re

_SPAN = re.compile(r"\$([^$]*)\$|`([^`]*)`")
_INDEX = re.compile(r"([_^])(?:\{([^{}]*)\}|(.))")
_LETTER = re.compile(r"(?<![A-Za-z&;])[A-Za-z](?![A-Za-z;])")


def to_html(text: str) -> str:
    """The text as HTML.

    >>> to_html("$T_{a+b} < n^2$ in `pool`")
    '<span class="m"><i>T</i><sub><i>a</i>+<i>b</i></sub> &lt; <i>n</i><sup>2</sup></span> in <code>pool</code>'
    """
    parts, end = [], 0
    for match in _SPAN.finditer(text):
        parts.append(html.escape(text[end : match.start()]))
        mathematics, code = match.groups()
        parts.append(
            f"<code>{html.escape(code)}</code>"
            if mathematics is None
            else f'<span class="m">{_formula(mathematics)}</span>'
        )
        end = match.end()
    return "".join(parts) + html.escape(text[end:])


def _formula(text: str) -> str:
    parts, end = [], 0
    for match in _INDEX.finditer(text):
        parts.append(_letters(text[end : match.start()]))
        tag = "sub" if match[1] == "_" else "sup"
        parts.append(f"<{tag}>{_letters(match[2] or match[3])}</{tag}>")
        end = match.end()
    return "".join(parts) + _letters(text[end:])


def _letters(text: str) -> str:
    """Single letters are variables, and slanted; words such as id are not."""
    return _LETTER.sub(r"<i>\g<0></i>", html.escape(text, quote=False))


def to_text(text: str) -> str:
    """The text without its signs.

    >>> to_text("for $T_{a+b} < n^2$ and `max_pool`")
    'for T_(a+b) < n^2 and max_pool'
    """
    return re.sub(r"\{([^{}]*)\}", r"(\1)", text.replace("$", "").replace("`", ""))
