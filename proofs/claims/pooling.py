"""B2, B3, C2, C3: what a pooling layer keeps, exactly."""

import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from flax import nnx

from proofs.claims.audit import STRIDES, WINDOWS, Audit, counted, outputs, stride_steps
from proofs.claims.claim import Claim, Evidence, Findings, Statement
from proofs.claims.pictures import count_maps
from shiftproof import layers


def pool(window: int, *, stride: int | Sequence[int], kind: str = "max") -> Callable:
    """A pool on the torus, as a function on (batch, h, w, channels)."""
    pools = {"max": layers.max_pool, "avg": layers.avg_pool}
    return functools.partial(pools[kind], window=window, strides=stride)


# --- B2: one bright pixel ---


def share(shift: Sequence[int], window: int) -> int:
    """`prod max(0, k - |d|)`: of k^d places of a pixel in its window, those that a shift leaves in the same window."""
    return int(np.prod([max(0, window - abs(step)) for step in shift]))


def unchanged(window: int, cells: int = 3) -> np.ndarray:
    """(2k+1, 2k+1): for each shift from -k to k the places of one bright pixel where Flax's max pool stays the same.

    All k² places in the middle window, on a frame of `cells` windows, so that the border plays no part.
    """
    size, middle = window * cells, window * (cells // 2)
    places = list(itertools.product(range(middle, middle + window), repeat=2))
    images = np.zeros((len(places), size, size, 1), np.float32)
    for image, place in zip(images, places, strict=True):
        image[place] = 1
    strided = functools.partial(
        nnx.max_pool, window_shape=(window, window), strides=(window, window)
    )
    still = outputs(strided, images)
    steps = range(-window, window + 1)
    counts = [
        [
            np.all(
                outputs(strided, np.roll(images, (dy, dx), (1, 2))) == still, axis=(1, 2, 3)
            ).sum()
            for dx in steps
        ]
        for dy in steps
    ]
    return np.array(counts)


def _invariance_of_pools(audit: Audit) -> Findings:
    bound = 12 if audit.quick else 40
    wrong = [
        (window, step)
        for window in range(1, bound + 1)
        for step in range(-window - 1, window + 2)
        if sum(0 <= place + step < window for place in range(window)) != share((step,), window)
    ]
    windows = (2, 3) if audit.quick else (2, 3, 4, 5)
    swept = {window: unchanged(window) for window in windows}
    predicted = {
        window: np.array(
            [
                [share((dy, dx), window) for dx in range(-window, window + 1)]
                for dy in range(-window, window + 1)
            ]
        )
        for window in windows
    }
    right = all(np.array_equal(swept[window], predicted[window]) for window in windows)
    cases = sum((2 * window + 1) ** 2 * window**2 for window in windows)
    layers = [(2, (6, 4)), (3, (6, 9))]
    return Findings(
        (
            *(
                audit.lattice(
                    "all inputs",
                    pool(window, stride=window),
                    (*grid, 1),
                    steps=(1, 1),
                    name=f"max pool {window}×{window}, stride {window}",
                    property="invariance",
                )
                for window, grid in layers
            ),
            *(
                audit.lattice(
                    "nothing",
                    pool(window, stride=window),
                    (*grid, 1),
                    steps=grid,
                    name=f"max pool {window}×{window}, stride {window}",
                    property="invariance",
                )
                for window, grid in layers
            ),
            *audit.theorems(
                "share",
                "share of a window",
                "share_of_unnoticed_shifts",
                "share_of_unnoticed_image_shifts",
            ),
            counted(
                "share",
                not wrong,
                f"counted for all windows k ≤ {bound} and |δ| ≤ k + 1 on one axis; axes multiply",
            ),
            counted(
                "share",
                right,
                f"nnx.max_pool, k = {', '.join(map(str, windows))}: {cases} images, all as counted",
                kind="sweep",
            ),
            *audit.theorems("stays", "a maximum that stays"),
            stays(audit, stride=2),
        ),
        pictures=(count_maps(swept),),
    )


def stays(audit: Audit, *, stride: int) -> Evidence:
    """A window is unchanged while its maximum stays inside and nothing larger enters: random images, all shifts."""
    count = 20 if audit.quick else 100
    images = np.random.default_rng(0).integers(0, 50, (count, 6, 6, 1)).astype(np.float32)
    windows = functools.partial(
        nnx.max_pool, window_shape=(stride, stride), strides=(stride, stride)
    )
    still, kept = outputs(windows, images), 0
    for shift in itertools.product(range(6), repeat=2):
        moved = np.roll(images, shift, (1, 2))
        equal = outputs(windows, moved) == still
        # where each window's maximum goes, and the largest value that is in the window after the shift
        for i, j in itertools.product(range(6 // stride), repeat=2):
            cells = np.s_[:, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride]
            inside = np.roll(_marks(images, cells), shift, (1, 2))[cells].max(axis=(1, 2, 3)) > 0
            larger = (moved[cells] > still[:, i : i + 1, j : j + 1]).any(axis=(1, 2, 3))
            predicted = inside & ~larger
            kept += int(predicted.sum())
            if np.any(predicted & ~equal[:, i, j, 0]):
                return Evidence("stays", "sweep", "fails", f"window {(i, j)} under {shift}")
    text = f"{count} random images, 36 shifts: all {kept} windows whose maximum stays largest are unchanged"
    return Evidence("stays", "sweep", "holds", text)


def _marks(images: np.ndarray, cells: tuple) -> np.ndarray:
    """1 at the places where the values in these cells are largest, 0 elsewhere."""
    marks = np.zeros_like(images)
    marks[cells] = images[cells] == images[cells].max(axis=(1, 2, 3), keepdims=True)
    return marks


# --- B3, C2: the lattice of a stride ---


def _stride(audit: Audit) -> Findings:
    cases = [("max", 2, (2, 2), (6, 8)), ("max", 3, (2, 3), (8, 6)), ("max", 2, (2, 2), (7, 6))]
    if not audit.quick:
        cases += [
            ("avg", 2, (2, 2), (6, 8)),
            ("max", 3, (3, 3), (6, 9)),
            ("avg", 3, (2, 2), (5, 8)),
            ("max", 1, (2, 2), (4, 4)),
        ]
    verdicts = [
        audit.lattice(
            "lattice",
            pool(window, stride=strides, kind=kind),
            (*grid, 1),
            steps=stride_steps(grid, strides),
            name=f"{kind} pool {window}×{window}, stride {strides[0]}, {strides[1]} on {grid[0]}×{grid[1]}",
        )
        for kind, window, strides, grid in cases
    ]
    return Findings(
        (
            *audit.theorems("lattice", *STRIDES),
            counted("lattice", *_intervals(12 if audit.quick else 40)),
            *verdicts,
            audit.lattice(
                "whole",
                pool(4, stride=2),
                (4, 4, 1),
                steps=(1, 1),
                name="max pool 4×4, stride 2 on 4×4",
            ),
        )
    )


def _intervals(bound: int) -> tuple[bool, str]:
    """No proper window on a circle is moved onto itself."""
    for size in range(1, bound + 1):
        for window in range(1, size):
            cells = set(range(window))
            for step in range(1, size):
                if {(cell + step) % size for cell in cells} == cells:
                    return False, f"{window} of {size} under {step}"
    return True, f"all windows k < n ≤ {bound} and all steps: none is moved onto itself"


def _multiples(audit: Audit) -> Findings:
    shape = (6, 6, 1)
    return Findings(
        (
            *audit.theorems("multiple", *WINDOWS),
            *audit.theorems("other", "a proper window is moved", "pooling_moves_by_multiples_only"),
            *(
                audit.lattice(
                    key,
                    pool(window, stride=stride),
                    shape,
                    steps=(stride, stride),
                    name=f"max pool {window}×{window}, stride {stride} on 6×6",
                )
                for key in ("multiple", "other")
                for window, stride in (((2, 2),) if audit.quick else ((2, 2), (3, 3), (3, 2)))
            ),
            _witnesses(),
        )
    )


def _witnesses() -> Evidence:
    """For every shift that is no multiple one image that no output shift explains."""
    layer = functools.partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
    image = np.zeros((1, 6, 6, 1), np.float32)
    image[0, [0, 0, 1, 2], [0, 3, 2, 1], 0] = 4, 3, 2, 1
    still, found = outputs(layer, image), 0
    for shift in itertools.product(range(6), repeat=2):
        moved = outputs(layer, np.roll(image, shift, (1, 2)))
        copies = (np.roll(still, back, (1, 2)) for back in itertools.product(range(3), repeat=2))
        multiple = all(step % 2 == 0 for step in shift)
        if any(np.array_equal(moved, copy) for copy in copies) != multiple:
            return Evidence("other", "sweep", "fails", f"the image does not tell shift {shift}")
        found += not multiple
    text = f"one image of four pixels refutes all {found} of 36 shifts that are no multiple of 2, for any output shift"
    return Evidence("other", "sweep", "holds", text)


# --- C3 ---


def crossings(stride: int) -> int:
    """Pairs of a place in a window and a shift smaller than it that cross a boundary, on one image plane, counted."""
    places = list(itertools.product(range(stride), repeat=2))
    shifts = list(itertools.product(range(1 - stride, stride), repeat=2))
    return sum(
        any(not 0 <= p + d < stride for p, d in zip(place, shift, strict=True))
        for place in places
        for shift in shifts
    )


def _boundaries(audit: Audit) -> Findings:
    bound = 8 if audit.quick else 14
    closed = {s: s * s * (s - 1) * (3 * s - 1) for s in range(1, bound + 1)}
    wrong = [s for s in closed if crossings(s) != closed[s]]
    strides, rows = (2, 3) if audit.quick else (2, 3, 4, 5), []
    seen = True
    for stride in strides:
        kept = unchanged(stride)[1:-1, 1:-1]
        pairs = stride**2 * (2 * stride - 1) ** 2
        moved = pairs - int(kept.sum())
        seen &= moved == closed[stride]
        shifts = (2 * stride - 1) ** 2 - 1
        always, never = int((kept == 0).sum()), int((kept == stride**2).sum()) - 1
        seen &= always == 0 and never == 0
        rows.append(
            (
                str(stride),
                str(shifts),
                f"{moved} of {pairs - stride**2}",
                f"{100 * moved / (pairs - stride**2):.0f} %",
            )
        )
    table = (
        "Shifts smaller than the stride: places of a pixel that leave their window",
        ("stride s", "shifts", "places × shifts that cross", "share"),
        tuple(rows),
    )
    return Findings(
        (
            *audit.theorems(
                "cross",
                "share of a window",
                "share_of_unnoticed_shifts",
                "share_of_unnoticed_image_shifts",
            ),
            counted("cross", not wrong, f"s²(s − 1)(3s − 1) counted for all s ≤ {bound}"),
            counted(
                "cross",
                seen,
                f"nnx.max_pool of window = stride = {', '.join(map(str, strides))}, one bright pixel",
                kind="sweep",
            ),
        ),
        tables=(table,),
    )


B2 = Claim(
    "B2",
    "Pooling introduces invariance.",
    (
        Statement(
            "all inputs",
            "A max pool layer is invariant for all inputs under shifts smaller than its window.",
        ),
        Statement(
            "nothing",
            "For all inputs it is invariant under no shift but 0.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "stays",
            "A window's value is unchanged as long as its maximum stays inside and nothing larger enters.",
            role="condition",
            needs=frozenset({"theorem", "sweep"}),
        ),
        Statement(
            "share",
            "For an image of one bright pixel, window = stride = $k$: of the pixel's places, the share "
            "$∏_i max(0, 1 − |δ_i| / k)$ is unchanged under the shift $δ$.",
            role="condition",
            needs=frozenset({"theorem", "count", "sweep"}),
        ),
    ),
    _invariance_of_pools,
    "A shift by one pixel leaves half of all places of a 2-wide window unchanged on each axis: a quarter of the plane "
    "for a diagonal step. That is a statement about some images, and not about the layer.",
    condition="one bright pixel: the share $∏ max(0, 1 − |δ_i| / k)$; for all inputs: shift 0 alone",
)
B3 = Claim(
    "B3",
    "A stride above 1 gives only approximate invariance.",
    (
        Statement(
            "lattice",
            "Window $k < n$, stride $s$: equivariant under $Δ$ if and only if $s | Δ$ on each axis, with "
            "$Δ' = Δ/s$, where "
            "$s | n$. Where $s$ does not divide $n$: only 0 on that axis.",
            needs=frozenset({"theorem", "count", "verdict"}),
        ),
        Statement(
            "whole",
            "A max pool whose window covers the axis, $k ≥ n$, sees everything everywhere: every shift.",
            needs=frozenset({"verdict"}),
        ),
    ),
    _stride,
    "If $Δ'$ serves, the window would be moved onto itself by $Δ − sΔ'$. A window smaller than its circle never is, so "
    "$Δ = sΔ'$.",
)
C2 = Claim(
    "C2",
    "A shift that is no multiple of the stride changes the activations.",
    (
        Statement(
            "multiple",
            "Every multiple of the stride moves the activations as a whole.",
            needs=frozenset({"theorem", "verdict"}),
        ),
        Statement(
            "other",
            "For every other shift some image gives activations that are no moved copy.",
            needs=frozenset({"theorem", "verdict", "sweep"}),
        ),
    ),
    _multiples,
)
C3 = Claim(
    "C3",
    "Shifts smaller than the stride may cross pooling boundaries.",
    (
        Statement(
            "cross",
            "Under a shift $0 ≠ |δ_i| < s$ exactly $s^2 − ∏(s − |δ_i|)$ of the $s^2$ places of a pixel "
            "leave their window: "
            "never none, never all. Over all such shifts, $s^2 (s − 1)(3s − 1)$ pairs.",
            needs=frozenset({"theorem", "count", "sweep"}),
        ),
    ),
    _boundaries,
)
