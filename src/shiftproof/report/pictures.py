"""Small pictures of arrays: one pixel per cell, and bars for scores.

Zero is paper, positive values are ink, negative ones orange; differences are red. Pictures that are compared share one
scale. PNGs are written here, with a palette: 224 by 224 cells that are mostly zero take a few hundred bytes.
"""

import dataclasses
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from shiftproof.group import Shift
from shiftproof.proving.analysis import Claim
from shiftproof.refuting.witness import Pair, Witness

PAPER, INK, NEGATIVE, RED = (247, 247, 245), (20, 23, 28), (214, 106, 0), (166, 20, 60)
MOST_BARS = 32
SEEN = 64
"""A value that is a smaller part of its picture than one in so many is not seen."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """One small picture.

    Attributes:
        role: `image`, `shifted`, `still`, `moved`, `law` or `difference`.
        title: below it.
        note: smaller, below the title.
        alternative: says what is to be seen.
        png: one pixel per cell; empty where there are bars.
        bars: heights from -30 to 30, each with whether it differs from its counterpart.
        strip: a single row, drawn higher than it is.
    """

    role: str
    title: str
    note: str = ""
    alternative: str = ""
    png: bytes = b""
    bars: tuple[tuple[float, bool], ...] = ()
    strip: bool = False


def witness_tiles(witness: Witness, spatial_axes: Sequence[int]) -> tuple[Tile, ...]:
    """A counterexample in five or six pictures: image, shifted image, outputs, difference.

    Args:
        witness: the counterexample.
        spatial_axes: grid axes of one image.
    """
    pair = witness.pairs[0]
    fitted = witness.difference.output_shift
    return pair_tiles(witness.claim, witness.shift, pair, spatial_axes, fitted=fitted)


def pair_tiles(
    claim: Claim, shift: Shift, pair: Pair, spatial_axes: Sequence[int], *, fitted: Shift | None
) -> tuple[Tile, ...]:
    """The same of an image and its outputs.

    The images show the channel in which most happens; the outputs the one in which they differ most.

    Args:
        claim: what fails.
        shift: of the image, pixels.
        pair: the image, and the outputs for it and for the shifted image.
        spatial_axes: grid axes of one image.
        fitted: the output shift that fits best; None where none can fit.
    """
    image = pair.image
    shifted = np.roll(image, shift, tuple(spatial_axes))
    at = np.unravel_index(int(np.argmax(np.abs(image))), image.shape)
    pictures = [_plane(array, spatial_axes, at) for array in (image, shifted)]
    titles = (("image", "x", "an image"), ("shifted", "T x", f"moved by {_steps(shift)}"))
    tiles = [
        _drawn(role, title, note, picture, float(np.abs(pictures[0]).max()))
        for (role, title, note), picture in zip(titles, pictures, strict=True)
    ]
    return (*tiles, *_outputs(claim, pair, fitted))


def _outputs(claim: Claim, pair: Pair, fitted: Shift | None) -> list[Tile]:
    still, moved = (np.asarray(o) for o in (pair.still, pair.moved))
    if still.dtype.kind == "c":
        still, moved = np.abs(still), np.abs(moved)
    still, moved = (np.nan_to_num(o.astype(np.float64)) for o in (still, moved))
    expected = np.roll(still, fitted, claim.axes) if fitted and claim.axes else still
    gap = np.abs(moved - expected)
    at = np.unravel_index(int(np.argmax(gap)), gap.shape)
    pairs = [
        ("still", "f(x)", "the output", still),
        ("moved", "f(T x)", "of the moved image", moved),
    ]
    note = f"up to {gap.max():.4g}"
    if claim.property == "equivariance":
        law = f"moved by {_steps(fitted)}, the best fit" if fitted else "no shift fits; not moved"
        pairs.append(("law", "T′ f(x)", law, expected))
        note = note if fitted else ""
    pairs.append(("difference", "difference", note, gap))
    if claim.property == "invariance" and sum(n > 1 for n in still.shape) <= 1:
        return _bars(pairs)
    planes = {role: _plane(array, claim.axes or _longest(still), at) for role, _, _, array in pairs}
    scale = max(
        float(np.abs(plane).max()) for role, plane in planes.items() if role != "difference"
    )
    return [
        _drawn(role, title, note, planes[role], float(gap.max()) if role == "difference" else scale)
        for role, title, note, _ in pairs
    ]


def _longest(array: np.ndarray) -> tuple[int, ...]:
    """The two axes that are drawn where an output has no grid: the first that are longer than 1."""
    return tuple(axis for axis, size in enumerate(array.shape) if size > 1)[:2]


def _plane(array: np.ndarray, axes: Sequence[int], at: Sequence[Any]) -> np.ndarray:
    """The last two of `axes`, through the place `at` on all others; one row where there is only one."""
    shown = tuple(axes)[-2:]
    index = tuple(slice(None) if axis in shown else at[axis] for axis in range(array.ndim))
    plane = array[index].astype(np.float64)
    return _grown(plane[None] if plane.ndim == 1 else plane)


def _grown(plane: np.ndarray) -> np.ndarray:
    """Lone values of a large plane, such as one pixel of 224 by 224, made large enough to be seen."""
    reach = max(plane.shape) // SEEN
    if not reach or np.count_nonzero(plane) > 0.01 * plane.size:
        return plane
    for axis, size in enumerate(plane.shape):
        moved = np.stack(
            [
                np.roll(plane, step, axis)
                for step in range(-min(reach, size // 2), min(reach, size // 2) + 1)
            ]
        )
        plane = np.take_along_axis(moved, np.abs(moved).argmax(0)[None], 0)[0]
    return plane


def _bars(pairs: Sequence[tuple[str, str, str, np.ndarray]]) -> list[Tile]:
    """Scores as bars on one scale; of many, those that differ most."""
    values = {role: array.ravel() for role, _, _, array in pairs}
    gap = values["difference"]
    shown = np.sort(np.argsort(-gap, kind="stable")[:MOST_BARS])
    scale = max(float(np.abs(values[role][shown]).max()) for role in ("still", "moved")) or 1.0
    tiles = []
    for role, title, note, _ in pairs:
        top = float(gap.max()) or 1.0 if role == "difference" else scale
        heights = tuple(
            (round(28 * float(values[role][i]) / top, 2), role != "still" and bool(gap[i] > 0))
            for i in shown
        )
        some = f"{len(shown)} of {gap.size} scores" if gap.size > len(shown) else ""
        words = "; ".join(filter(None, (note, some)))
        tiles.append(Tile(role, title, words, f"{title}: {len(shown)} bars", bars=heights))
    return tiles


def _drawn(role: str, title: str, note: str, plane: np.ndarray, scale: float) -> Tile:
    colours = (PAPER, RED) if role == "difference" else (PAPER, INK)
    png = encode_png(plane / (scale or 1.0), colours)
    across, down = plane.shape[::-1]
    return Tile(role, title, note, f"{title}, {down} by {across} cells", png, strip=down == 1)


def encode_png(values: np.ndarray, colours: tuple[tuple[int, ...], tuple[int, ...]]) -> bytes:
    """A PNG of one pixel per value; the same values give the same bytes.

    Args:
        values: (rows, columns) from -1 (orange) by 0 (the first colour) to 1 (the second).
        colours: red, green, blue from 0 to 255.
    """
    zero, one = (np.array(colour, float) for colour in colours)
    share = np.linspace(-1, 1, 255)[:, None]
    # the root lifts what is faint: a small value must be seen
    palette = zero + (np.where(share < 0, NEGATIVE, one) - zero) * np.abs(share) ** 0.7
    levels = np.clip(np.round(values * 127) + 127, 0, 254)
    return indexed_png(levels, palette)


def indexed_png(levels: np.ndarray, palette: Any) -> bytes:
    """A PNG of one pixel per level; the same levels give the same bytes.

    Args:
        levels: (rows, columns) from 0 to 255.
        palette: (levels, 3) red, green, blue from 0 to 255.
    """
    rows = b"".join(b"\0" + row.tobytes() for row in levels.astype(np.uint8))
    height, width = levels.shape
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", np.round(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _steps(shift: Sequence[int]) -> str:
    return f"({', '.join(map(str, shift))})"
