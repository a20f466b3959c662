"""Archives: a typed header and arrays in one `.npz` file, written whole or not at all, and read back strictly."""

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from shiftproof.errors import ResultFileError
from shiftproof.files import plain_json, write_atomic
from shiftproof.plain import plain_texts

Header = TypeVar("Header")

MOST_BYTES = 2**31
"""A file that unpacks to more is not read: 4 MB may hold gigabytes of zeros."""


def write_archive(path: str | Path, header: Any, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a header (a msgspec struct) and arrays; the same content gives the same bytes.

    Raises:
        OSError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    text = np.frombuffer(plain_json(header), np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, header=text, **arrays)
    write_atomic(Path(path), buffer.getvalue())
    return Path(path)


def _check_size(archive: zipfile.ZipFile) -> None:
    """Stop before anything is unpacked that would fill the memory."""
    total = sum(member.file_size for member in archive.infolist())
    if total > MOST_BYTES:
        raise ValueError(f"it unpacks to {total:,} bytes, and no more than {MOST_BYTES:,} are read")


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of numbers, of the size that its bytes say; no objects, and no texts."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(file)
        if dtype.kind not in "biufc":
            raise ValueError(f"{name} holds no numbers, but {dtype}")
        if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{name} has the shape {shape}, and another number of bytes")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def read_archive(
    path: str | Path,
    kind: type[Header],
    names: Sequence[str],
    *,
    schema: str,
    what: str,
    remedy: str,
) -> tuple[Header, dict[str, np.ndarray]]:
    """The header, its texts plain, and the arrays of a file.

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
        with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as archive:
            _check_size(archive)
            raw = {name: _read_array(archive, name) for name in ("header", *names)}
        told = plain_texts(msgspec.json.decode(raw.pop("header").tobytes()))
        header = msgspec.convert(told, kind)
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
