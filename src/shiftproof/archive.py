"""Archives: a typed header and arrays in one `.npz` file, written whole or not at all, and read back strictly."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from shiftproof.errors import ResultFileError
from shiftproof.files import write_atomic

Header = TypeVar("Header")


def write_archive(path: str | Path, header: Any, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a header (a msgspec struct) and arrays; the same content gives the same bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(msgspec.json.encode(header), np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, header=text, **arrays)
    write_atomic(Path(path), buffer.getvalue())
    return Path(path)


def read_archive(
    path: str | Path,
    kind: type[Header],
    names: Sequence[str],
    *,
    schema: str,
    what: str,
    remedy: str,
) -> tuple[Header, dict[str, np.ndarray]]:
    """The header and the arrays of a file.

    Args:
        path: of the file.
        kind: type of the header, which has a field `schema`.
        names: of the arrays.
        schema: that the header must name.
        what: the file is, for messages.
        remedy: what to do about a file that cannot be read.

    Raises:
        ResultFileError: truncated, altered, of another schema, or another kind of file.
    """
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as archive:
            raw = {name: archive[name] for name in ("header", *names)}
        header = msgspec.json.decode(raw.pop("header").tobytes(), type=kind)
    except OSError:
        raise
    except Exception as error:
        raise ResultFileError(
            f"{path} is no readable {what} ({type(error).__name__}: {error}): it is truncated, altered or another kind "
            f"of file. {remedy}"
        ) from error
    found = getattr(header, "schema", None)
    if found != schema:
        raise ResultFileError(f"{path} has schema {found!r}; this version reads {schema!r}.")
    return header, raw
