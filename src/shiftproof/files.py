"""Files on disk: written whole or not at all, and read back only if unchanged."""

import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from shiftproof.plain import plain_texts


def plain_json(data: Any) -> bytes:
    r"""Data as JSON, with all texts in it plain; NaN and infinity become null.

    >>> plain_json({"name": "a\x1b[2J"})
    b'{"name":"a\\\\x1b[2J"}'
    """
    return msgspec.json.encode(plain_texts(msgspec.to_builtins(data)))


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # a temporary file is private; a report is not
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The permissions that this process withholds from new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
