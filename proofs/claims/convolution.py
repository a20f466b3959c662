"""B1, B1', D5: convolution and shifts, in both directions."""

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import shiftproof as sp
from proofs.claims.audit import STRIDES, WINDOWS, Audit, counted, filled, outputs, stride_steps
from proofs.claims.claim import Claim, Findings, Statement
from proofs.claims.models import TrueConvolution
from shiftproof.zoo import Dense
from shiftproof.zoo.pitfalls import PITFALLS


def conv(window: Sequence[int], *, stride: int | Sequence[int] = 1) -> nnx.Conv:
    """A circular Flax convolution from one channel to two."""
    return nnx.Conv(1, 2, tuple(window), strides=stride, padding="CIRCULAR", rngs=nnx.Rngs(0))


def _convolution(audit: Audit) -> Findings:
    layers = {
        "conv 3, 1-D": (conv((3,)), (7, 1)),
        "conv 3×3": (conv((3, 3)), (6, 5, 1)),
        "conv 4×2": (conv((4, 2)), (6, 5, 1)),
        "conv 3×3×3": (conv((3, 3, 3)), (3, 4, 3, 1)),
        "convolution with the kernel turned": (TrueConvolution(rngs=nnx.Rngs(0)), (6, 5, 1)),
    }
    chosen = list(layers.items())[1::3] if audit.quick else list(layers.items())
    verdicts = [
        audit.lattice("all", model, shape, steps=(1,) * (len(shape) - 1), name=name)
        for name, (model, shape) in chosen
    ]
    return Findings((*audit.theorems("all", *WINDOWS), *verdicts))


def _layers(audit: Audit) -> Findings:
    zeros, circular = PITFALLS["zero-padding"].broken, PITFALLS["zero-padding"].repaired
    strided2, stride2 = PITFALLS["size-parity"].repaired, (8, 6)
    strided = [
        ((3, 3), 2, stride2),
        ((3, 2), (2, 3), stride2),
        ((2, 2), 2, (7, 6)),
        ((3, 3), 3, (6, 9)),
    ]
    chosen = strided[:3:2] if audit.quick else strided
    evidence = [
        audit.program("every", zeros, name="SAME conv", steps=(1, 1)),
        audit.program("every", strided2, name="conv of stride 2", steps=(1, 1)),
        audit.program("circular", circular, name="circular conv"),
        *audit.theorems("circular", *WINDOWS, "wrap padding is a torus", "circular_windows_move"),
        *audit.theorems("strided", *STRIDES),
        audit.program("zero", zeros, name="SAME conv"),
        *audit.theorems("interior", "windows see the same"),
        *(
            counted("interior", *interior(size, window))
            for size, window in ((9, 3), (9, 5), (8, 4))
        ),
    ]
    for window, stride, grid in chosen:
        strides = (stride, stride) if isinstance(stride, int) else stride
        evidence.append(
            audit.lattice(
                "strided",
                conv(window, stride=stride),
                (*grid, 1),
                steps=stride_steps(grid, strides),
                name=f"conv {window[0]}×{window[1]}, stride {strides[0]}, {strides[1]} on {grid[0]}×{grid[1]}",
            )
        )
    return Findings(tuple(evidence))


def interior(size: int, window: int) -> tuple[bool, str]:
    """Whether a SAME convolution over a moving camera keeps exactly the cells whose windows lie in both frames."""
    layer = filled(
        nnx.Conv(1, 1, (window,), padding="SAME", use_bias=False, rngs=nnx.Rngs(0)), low=1, high=9
    )
    scene = np.random.default_rng(1).integers(1, 9, 3 * size)
    before, after = (window - 1) // 2, window // 2
    seen = 0
    for shift in range(-size + 1, size):
        first, second = scene[size : 2 * size], scene[size - shift : 2 * size - shift]
        still, moved = outputs(layer, np.stack([first, second])[..., None])[..., 0]
        for cell in range(max(0, shift), min(size, size + shift)):
            equal = moved[cell] == still[cell - shift]
            whole = all(before <= place < size - after for place in (cell, cell - shift))
            seen += 1
            if shift and equal != whole:
                return (
                    False,
                    f"cell {cell} of {size} under {shift}: equal {equal}, interior {whole}",
                )
    return True, (
        f"SAME conv of {window} on {size} pixels of a scene: of {seen} cells, under all shifts, those and only those "
        "are equal whose window lies inside both frames"
    )


# --- the converse: exact linear algebra ---


def _converse(audit: Audit) -> Findings:
    cases: list[tuple[tuple[int, ...], int]] = [
        ((4,), 1),
        ((6,), 2),
        ((6,), 3),
        ((3, 3), 1),
        ((4, 4), 2),
    ]
    if not audit.quick:
        cases += [
            ((5,), 1),
            ((8,), 1),
            ((8,), 2),
            ((12,), 3),
            ((9,), 3),
            ((2, 3), 1),
            ((4, 2), 2),
            ((6, 3), 3),
        ]
    rows, right = [], True
    for sizes, stride in cases:
        found, cells = commutant(sizes, stride), int(np.prod(sizes))
        law = cells * stride ** len(sizes)
        right &= found == law
        grid = " × ".join(map(str, sizes))
        rows.append(
            (grid, str(stride), str(cells**2), str(found), f"{cells}·{stride}^{len(sizes)} = {law}")
        )
    strided = [row for row in rows if row[1] != "1"]
    table = (
        "Linear maps that commute with all multiples of s",
        ("torus", "s", "all maps: N²", "commuting maps", "N·s^d"),
        tuple(rows),
    )
    same = all(row[3] == row[4].split(" = ")[1] for row in rows if row[1] == "1")
    evidence = (
        *audit.theorems(
            "converse",
            "commuting matrices are circulant",
            "commuting_with_all_shifts_is_convolution",
            "plane_commuting_is_convolution",
        ),
        counted(
            "converse",
            same,
            f"exact rank on {len(rows) - len(strided)} tori: the dimension is N of N²",
        ),
        *audit.theorems("dimension", "a stride keeps s columns", "first_rows_decide"),
        counted("dimension", right, f"exact rank over the rationals, {len(rows)} tori and strides"),
        audit.lattice(
            "dense",
            Dense(shape=(4, 4, 1), features=3, rngs=nnx.Rngs(0)),
            (4, 4, 1),
            steps=(4, 4),
            name="dense layer",
            property="invariance",
        ),
        audit.lattice(
            "dense",
            OnTorus(np.random.default_rng(0).integers(-9, 9, (16, 16)), 4),
            (4, 4, 1),
            steps=(4, 4),
            name="dense layer on a torus",
        ),
        audit.lattice(
            "circulant",
            OnTorus(circulant(4), 4),
            (4, 4, 1),
            steps=(1, 1),
            name="circulant dense layer",
            weights="these",
        ),
    )
    return Findings(evidence, tables=(table,))


def commutant(sizes: tuple[int, ...], stride: int) -> int:
    """Dimension of the matrices that commute with the shifts by multiples of the stride: N² minus an exact rank.

    The equations say `A T = T A` for each generator T, one unknown per entry of A.
    """
    cells = int(np.prod(sizes))
    equations = []
    for axis in range(len(sizes)):
        shift = tuple(stride if a == axis else 0 for a in range(len(sizes)))
        images = np.eye(cells, dtype=np.int64).reshape(cells, *sizes)
        axes = tuple(range(1, 1 + len(sizes)))
        move = np.asarray(sp.translate(images, shift, axes=axes)).reshape(cells, cells).T
        left = {
            (u, w): v for u, w in itertools.product(range(cells), repeat=2) if (v := move[u, w])
        }
        by_row = {u: [(w, v) for (a, w), v in left.items() if a == u] for u in range(cells)}
        by_column = {w: [(u, v) for (u, a), v in left.items() if a == w] for w in range(cells)}
        for row, column in itertools.product(range(cells), repeat=2):
            equation: dict[int, Fraction] = {}
            for inner, value in by_column[column]:  # (A T)[row, column]
                _add(equation, row * cells + inner, Fraction(int(value)))
            for inner, value in by_row[row]:  # minus (T A)[row, column]
                _add(equation, inner * cells + column, -Fraction(int(value)))
            equations.append(equation)
    return cells**2 - rank(equations)


def _add(equation: dict[int, Fraction], unknown: int, value: Fraction) -> None:
    total = equation.get(unknown, Fraction(0)) + value
    if total:
        equation[unknown] = total
    else:
        equation.pop(unknown, None)


def rank(equations: list[dict[int, Fraction]]) -> int:
    """The rank of sparse equations, by exact elimination."""
    pivots: dict[int, dict[int, Fraction]] = {}
    for equation in equations:
        row = dict(equation)
        while row:
            lead = min(row)
            pivot = pivots.get(lead)
            if pivot is None:
                head = row[lead]
                pivots[lead] = {unknown: value / head for unknown, value in row.items()}
                break
            factor = row[lead]
            for unknown, value in pivot.items():
                _add(row, unknown, -factor * value)
    return len(pivots)


def circulant(size: int) -> np.ndarray:
    """A block circulant matrix on a square torus: `A[u, v] = k(u - v)` for random small integers k."""
    kernel = np.random.default_rng(0).integers(-5, 6, (size, size))
    cells = list(itertools.product(range(size), repeat=2))
    return np.array([[kernel[(a - c) % size, (b - d) % size] for c, d in cells] for a, b in cells])


class OnTorus(nnx.Module):
    """A linear layer whose outputs stand on the grid of its inputs."""

    def __init__(self, matrix: np.ndarray, size: int):
        self.layer = nnx.Linear(len(matrix), len(matrix), use_bias=False, rngs=nnx.Rngs(0))
        self.layer.kernel[...] = jnp.asarray(matrix.T, jnp.float32)
        self.size = size

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, size, size, 1) -> (batch, size, size, 1)."""
        return self.layer(x.reshape(x.shape[0], -1)).reshape(-1, self.size, self.size, 1)


_statement = functools.partial(Statement, needs=frozenset({"theorem", "verdict"}))

B1 = Claim(
    "B1",
    "Convolution is inherently translation equivariant.",
    (
        _statement(
            "all",
            "$(T_Δ x) * k = T_Δ (x * k)$ for $(x * k)(u) = Σ_v x(v) k(u − v)$: all $x$, all $k$, all $Δ$, on $ℤ^d$ and "
            "every torus. The same for cross-correlation $Σ_v x(u + v) k(v)$, which is what Flax computes.",
        ),
    ),
    _convolution,
)
B1_PRIME = Claim(
    "B1'",
    "So are convolutional layers.",
    (
        Statement(
            "every",
            "Every Flax `Conv`, as compiled, is equivariant under every shift of its torus.",
        ),
        _statement(
            "circular", "With `CIRCULAR` padding and stride 1: every shift.", role="condition"
        ),
        _statement(
            "strided",
            "With `CIRCULAR` padding and stride $s$: exactly $sℤ$ on each axis where $s$ divides the "
            "size, only 0 where not.",
            role="condition",
        ),
        Statement(
            "zero",
            "With zeros (`SAME`): on the torus shift 0 alone.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "interior",
            "With zeros, over a scene that moves through the frame: equal exactly in the interior, where the window "
            "lies inside both frames.",
            role="condition",
            needs=frozenset({"theorem", "count"}),
        ),
    ),
    _layers,
    "The mathematics of convolution knows no border and no stride. Layers have both.",
    condition="circular: every shift at stride 1, $sℤ$ at a stride $s$ that divides the size; zeros: 0, "
    "and the interior of a scene",
)
D5 = Claim(
    "D5",
    "A dense layer has no reason to treat shifted inputs alike.",
    (
        Statement(
            "converse",
            "A linear map on a torus of $N$ pixels commutes with all shifts if and only if it is a "
            "circular convolution "
            "(its matrix is circulant, $A(u, v) = k(u − v)$): $N$ dimensions of $N^2$.",
            needs=frozenset({"theorem", "count"}),
        ),
        Statement(
            "dimension",
            "Those that commute with the multiples of $s$ on each of $d$ axes have $N s^d$ dimensions.",
            needs=frozenset({"theorem", "count"}),
        ),
        Statement(
            "dense",
            "A dense layer of Flax, for all weights: shift 0 alone, neither invariant nor equivariant.",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "circulant",
            "With a circulant matrix for its weights it is equivariant under every shift.",
            needs=frozenset({"verdict"}),
        ),
    ),
    _converse,
    "Sharing weights is not one way to be equivariant among others. For linear maps it is the only one.",
)
