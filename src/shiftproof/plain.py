r"""Plain text: what strangers name is printed so that it shows, and never so that it acts.

Names of models, layers and outputs, paths, fields of files and messages of a user's code may hold anything: sequences
that move a terminal's cursor, line breaks that forge a line of ours, marks that turn the direction of writing, halves
of characters that no file takes. Here they become escapes, such as `\x1b` and `\u202e`; letters of all languages stay.

Both ends are needed. Where a name enters, `plain` takes its line breaks, for only there it is known that they are not
ours. Where text leaves, in an error, on a terminal, on a page or in JSON, the rest is caught, wherever it came from.

Standard library only, since errors and the pytest plugin use it.
"""

import re
from collections.abc import Mapping
from typing import Any


def plain(text: str) -> str:
    r"""Text for one line: whatever is not printable as its escape, line breaks too. Twice is the same as once.

    >>> plain("héllo 日本"), plain("a\x1b[2J\nb\u202e\ud800")
    ('héllo 日本', 'a\\x1b[2J\\nb\\u202e\\ud800')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain_lines(text: str) -> str:
    r"""Text of several lines, whose line breaks are ours: all else as `plain` does.

    >>> plain_lines("one\ntwo\r")
    'one\ntwo\\r'
    """
    return "\n".join(map(plain, text.split("\n")))


def hanging(text: str) -> str:
    r"""Text whose line breaks may be a stranger's: every line but the first is indented, so that it forges none.

    >>> hanging("error: no file a\nproved: all")
    'error: no file a\n  proved: all'
    """
    return re.sub(r"\n(?=\S)", "\n  ", plain_lines(text))


def plain_texts(data: Any) -> Any:
    r"""Data of dicts, lists and scalars, as JSON has them, with all texts in it `plain`.

    >>> plain_texts({"a\r": ["\x9b", 1]})
    {'a\\r': ['\\x9b', 1]}
    """
    if isinstance(data, str):
        return plain(data)
    if isinstance(data, Mapping):
        return {plain_texts(key): plain_texts(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain_texts(item) for item in data]
    return data
