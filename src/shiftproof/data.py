"""Images to sweep over: real digits, MNIST files, one PNG.

Every pixel is a multiple of 1/16 or 1/256 in 0..1. Such values are dyadic: sums and products with
small integers are exact in float32, so an exact comparison of two outputs stays meaningful. A file
is parsed strictly; one that is not what it claims to be is refused, never repaired.
"""

import gzip
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Images", "digits", "mnist", "place", "png"]

PIXEL_TYPE = 0x08  # The IDX code of an unsigned byte.
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"  # The last chunk of every PNG, with its checksum.
DOWNLOAD_AGAIN = "download it again"


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, eq=False)  # Arrays have no single truth value to compare by.
class Images:
    """Images with, where known, their classes.

    Attributes:
        images (count, height, width, channels): float32 in 0..1.
        labels (count,): int32, or None.
        source: one sentence saying what they are.

    Raises:
        ValueError: an array has another shape or type.

    >>> Images(np.zeros((2, 8, 8, 1), np.float32), None, "Two black images.").images.shape
    (2, 8, 8, 1)
    """

    images: np.ndarray
    labels: np.ndarray | None
    source: str

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != np.float32:
            raise ValueError(
                f"images are {self.images.dtype}{list(self.images.shape)},"
                " expected float32[count, height, width, channels]"
            )
        if self.labels is None:
            return
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int32:
            raise ValueError(
                f"labels are {self.labels.dtype}{list(self.labels.shape)},"
                f" expected int32[{len(self.images)}], one per image"
            )


def place(
    images: np.ndarray, *, canvas: Sequence[int], corner: Sequence[int] | None = None
) -> np.ndarray:
    """Images on a larger canvas of zeros: ``y[:, corner + u] = x[:, u]``.

    Args:
        images (count, height, width, channels): any type, kept.
        canvas (2,): pixels, (height, width).
        corner (2,): pixels, (row, column) of the upper left corner; centred if not given.

    Returns:
        (count, *canvas, channels).

    Raises:
        ValueError: the images do not lie within the canvas.

    >>> place(np.ones((1, 1, 2, 1)), canvas=(2, 3), corner=(1, 0))[0, :, :, 0].tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    count, height, width, channels = images.shape
    rows, columns = canvas
    top, left = ((rows - height) // 2, (columns - width) // 2) if corner is None else corner
    if not (0 <= top <= rows - height and 0 <= left <= columns - width):
        raise ValueError(
            f"images of {height}x{width} at corner {(top, left)} leave the canvas of"
            f" {rows}x{columns}; choose a larger canvas or another corner"
        )
    placed = np.zeros((count, rows, columns, channels), images.dtype)
    placed[:, top : top + height, left : left + width] = images
    return placed


def digits(*, small: bool = False) -> Images:
    """The 1,797 handwritten digits that scikit-learn carries, centred on 28x28.

    Each is 8x8 with values 0..16, divided by 16, doubled to 16x16 by repeating pixels and put at
    corner (6, 6).

    Args:
        small: as they are instead, of 8x8 pixels.

    Returns:
        Images (1797, 28, 28, 1), multiples of 1/16, with labels 0..9.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # Optional, and heavy.
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is missing: pip install scikit-learn, or in a checkout of "
            'shiftproof pip install -e ".[digits]"'
        ) from error
    levels, classes = load_digits(return_X_y=True)
    images = np.asarray(levels, np.float32).reshape(-1, 8, 8, 1) / 16
    labels, source = np.asarray(classes, np.int32), "scikit-learn's 1,797 handwritten 8x8 digits"
    if small:
        return Images(images, labels, f"{source}.")
    doubled = images.repeat(2, axis=1).repeat(2, axis=2)
    centred = place(doubled, canvas=(28, 28))
    return Images(centred, labels, f"{source}, doubled and centred on 28x28.")


def mnist(directory: str | Path) -> Images:
    """MNIST, or any set in its format, from IDX files, ``pixel / 256``.

    Looks for ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, else for the same with
    ``train``, each raw or, with ``.gz`` appended, compressed.

    Args:
        directory: where the files lie.

    Returns:
        Images (count, height, width, 1), multiples of 1/256, with labels.

    Raises:
        FileNotFoundError: no such directory, or a file is missing; names what was looked for.
        ValueError: a file is not the IDX file that its name promises, or images and labels
            differ in number.

    >>> mnist("no/such/directory")
    Traceback (most recent call last):
    FileNotFoundError: no directory no/such/directory; give the one that holds the MNIST IDX files
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(
            f"no directory {directory}; give the one that holds the MNIST IDX files"
        )
    images_path = _find(directory, [f"{part}-images-idx3-ubyte" for part in ("t10k", "train")])
    part = images_path.name.split("-")[0]
    labels_path = _find(directory, [f"{part}-labels-idx1-ubyte"])
    pixels, labels = _read_idx(images_path, rank=3), _read_idx(labels_path, rank=1)
    if len(pixels) != len(labels):
        raise ValueError(
            f"{labels_path} holds {len(labels)} labels, expected {len(pixels)} as {images_path}"
            f" holds images; the two are not of one set, {DOWNLOAD_AGAIN}"
        )
    images = pixels[..., None].astype(np.float32) / np.float32(256)
    source = f"{len(images)} images of MNIST format from {images_path}."
    return Images(images, labels.astype(np.int32), source)


def _find(directory: Path, stems: Sequence[str]) -> Path:
    """The first of these files that exists, raw before compressed."""
    names = [stem + suffix for stem in stems for suffix in ("", ".gz")]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise FileNotFoundError(f"{directory} holds none of {', '.join(names)}; put one there")


def _read_idx(path: Path, *, rank: int) -> np.ndarray:
    """The array of an IDX file: magic 0 0 type rank, sizes as big-endian words, then bytes."""
    content = _read_bytes(path)
    magic = bytes([0, 0, PIXEL_TYPE, rank])
    if content[:4] != magic:
        raise ValueError(
            f"{path} starts with bytes {content[:4].hex(' ') or '(none)'}, expected the IDX magic"
            f" {magic.hex(' ')} of unsigned bytes of rank {rank}; {DOWNLOAD_AGAIN}"
        )
    header = 4 + 4 * rank
    if len(content) < header:
        raise ValueError(
            f"{path} is cut off: {len(content)} bytes, expected a header of {header};"
            f" {DOWNLOAD_AGAIN}"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", count=rank, offset=4))
    # Python integers: a product of hostile sizes must not wrap around.
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise ValueError(
            f"{path} has {len(content)} bytes, expected {expected} for its declared sizes {shape};"
            f" {DOWNLOAD_AGAIN}"
        )
    if 0 in shape:
        raise ValueError(f"{path} declares sizes {shape}, expected at least one of each")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} does not unpack ({error}), expected gzip data; {DOWNLOAD_AGAIN}, or drop .gz"
            " from its name if it is unpacked already"
        ) from error


def png(path: str | Path) -> Images:
    """One PNG image, gray or RGB; an alpha channel is dropped.

    Levels 0..255 become ``level / 256``, deeper ones are rounded to 255 levels first.

    Args:
        path: the file.

    Returns:
        Images (1, height, width, 1 or 3), multiples of 1/256, without labels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no PNG, or is damaged.

    >>> png("no/such.png")
    Traceback (most recent call last):
    FileNotFoundError: no file no/such.png; give the path of a PNG image
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give the path of a PNG image")
    levels = np.rint(_decode_png(path) * 255)
    if levels.ndim == 2:
        levels = levels[..., None]
    images = (levels[None, ..., :3] / 256).astype(np.float32)
    return Images(images, None, f"The image {path}.")


def _decode_png(path: Path) -> np.ndarray:
    """(height, width) or (height, width, 3 or 4), float in 0..1."""
    import matplotlib.image  # Heavy, and needed here only.

    content = path.read_bytes()
    if not content.startswith(PNG_SIGNATURE):
        raise ValueError(
            f"{path} starts with bytes {content[:8].hex(' ') or '(none)'}, expected the PNG"
            f" signature {PNG_SIGNATURE.hex(' ')}; convert the image to PNG"
        )
    # The decoder forgives a file that ends before its end mark.
    if PNG_END not in content:
        raise ValueError(
            f"{path} is cut off: no IEND chunk in {len(content)} bytes, expected one at the end;"
            " save the image again"
        )
    try:
        return matplotlib.image.imread(io.BytesIO(content), format="png")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path} does not decode ({error}), expected an undamaged PNG image;"
            " save the image again"
        ) from error
