"""Files on disk: written whole or not at all, and read back only if unchanged."""

import contextlib
import getpass
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from shiftproof.plain import plain_texts

MOST_BYTES = 160
"""Of the name of a file; systems take 255, and a temporary file adds some."""


def plain_json(data: Any) -> bytes:
    r"""Data as JSON, with all texts in it plain; NaN and infinity become null.

    >>> plain_json({"name": "a\x1b[2J"})
    b'{"name":"a\\\\x1b[2J"}'
    """
    with contextlib.suppress(UnicodeEncodeError):  # half a character
        encoded = msgspec.json.encode(data)
        text = encoded.decode()
        if text.isprintable() and "\\" not in text:  # as certificates are, of millions of numbers
            return encoded
    return msgspec.json.encode(plain_texts(msgspec.to_builtins(data)))


def file_name(text: str) -> str:
    """A name of one file, in no other folder, ending as the text does; different texts have different names.

    >>> file_name("output.logits.certificate.json"), file_name("../a b")
    ('output.logits.certificate.json', '..%2fa%20b')
    """
    name = re.sub(r"[^\w.-]", lambda found: f"%{ord(found[0]):02x}", text)
    if len(name.encode()) <= MOST_BYTES:
        return name
    return f"{name[:16]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}-{name[-40:]}"


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


def private_folder() -> Path:
    """The folder of this user among the temporary files, which no other user can write; made where it is missing.

    Raises:
        OSError: it cannot be made, is a file, or is another user's.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / file_name(
        f"shiftproof-{getpass.getuser() if user is None else user}"
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()  # not of what a link of somebody else points to
    if not stat.S_ISDIR(found.st_mode) or (user is not None and found.st_uid != user):
        raise PermissionError(f"{folder} is not a folder of this user")
    return folder


def _umask() -> int:
    """The permissions that this process withholds from new files; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
