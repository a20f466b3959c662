"""The small programs on which the first edition failed, with their right values, and known answers beside them.

Names are those of the list of faults: A was proved though false, B refuted though true, C undecided though mathematics
decides, D the wrong question. Programs are written as a user would write them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brute import Case
from flax import nnx
from jax import lax

from shiftproof.layers import BlurPool

Array = Any


def fixed(fn: Any) -> Any:
    """A factory of one function."""
    return lambda: fn


# --- A: proved though false ---


def own_update(x: Array) -> Array:
    """A scatter whose update is not a set: it adds 1 to a value that is 0 for ordinary images."""
    return nnx.relu(x[:, 2, 2, :] - 1000).at[0, 0].apply(lambda v: v + 1)


def wrapping_pairs(x: Array) -> Array:
    y = x.astype(jnp.int8)
    return (y[:, ::2] + y[:, 1::2]).astype(jnp.float32).sum(1)


def signed_zeros(x: Array, table: Any = (0.0, -0.0, 0.0, -0.0)) -> Array:
    return jnp.arctan2(jnp.array(table, x.dtype)[:, None], x)


def looks_at_dtype(x: Array) -> Array:
    """Invariant for whoever traces it in float64; the user runs it in float32."""
    return x.sum((1, 2)) if x.dtype == jnp.float64 else x[:, 0]


def looks_at_dtype_twin(x: Array) -> Array:
    return x[:, 0] if x.dtype == jnp.float64 else x.sum((1, 2))


# --- B: refuted though true ---


def absolute_sums(x: Array) -> Array:
    """All numbers are unsigned, so that no absolute value changes anything."""
    y = (x.astype(jnp.int32) * 512).astype(jnp.uint32).astype(x.dtype).ravel()
    s = y[0]
    for i in range(1, 36):
        s = abs(s + y[i])
    return s


def large_table(x: Array) -> Array:
    t = jnp.arange(16.0).reshape(4, 4, 1) * 1e9
    return (((x * 1.1 + t) - t) ** 2).sum((1, 2))


def sum_of_signs(x: Array) -> Array:
    return lax.scan(lambda c, v: (c + v, None), 0.0, (jnp.sign(x) * 0.1).ravel())[0]


def centred_signs(x: Array) -> Array:
    """Zero, but for what rounding leaves; a disturbed image leaves the very same."""
    return (jnp.sign(x) - jnp.sign(x).mean(1, keepdims=True)).sum(1)


def product_of_exponentials(x: Array) -> Array:
    """The exponents sum to zero: it is 1, but for overflow on the way."""
    y = (x - jnp.mean(x)).ravel()
    return lax.scan(lambda c, v: (c * jnp.exp(20 * v), None), jnp.ones((), x.dtype), y)[0]


class LargeBias(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 4, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.conv.bias[...] += 1e3  # type: ignore[index]
        self.norm = nnx.GroupNorm(4, num_groups=2, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


def written_and_read(x: Array) -> Array:
    """The identity through a mutable array."""
    ref = jax.new_ref(jnp.zeros_like(x))
    ref[...] = x
    return ref[...]


# --- C: undecided though mathematics decides ---


class HalfConv(nnx.Module):
    """silu of a convolution in some precision."""

    def __init__(self, dtype: Any, padding: str):
        self.conv = nnx.Conv(1, 2, (3, 3), padding=padding, dtype=dtype, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.silu(self.conv(x))


def spectrum_by_scan(x: Array) -> Array:
    p = lax.scan(lambda p, _: (-p, None), jnp.fft.fft(x, axis=1), length=3)[0]
    return abs(p).sum(1)


def spectrum_by_loop(x: Array) -> Array:
    p = lax.fori_loop(0, 3, lambda i, p: 2 * p, jnp.fft.fft2(x, axes=(1, 2)))
    return abs(p).sum((1, 2))


def spectrum_by_cond(x: Array) -> Array:
    p = jnp.fft.fft(x, axis=1)
    return abs(lax.cond(x.sum() > 0, lambda p: -p, lambda p: 2 * p, p)).sum(1)


def energy(z: Array) -> Array:
    return (z * jnp.roll(z, 1, 1)).sum() + (z**4).sum()


def strided_gradient(x: Array) -> Array:
    return abs(jax.grad(lambda z: (z[:, ::2] ** 2).sum())(x))


class WrapThenCrop(nnx.Module):
    """Padded by wrapping once, then zero padded convolutions whose border is cut away."""

    def __init__(self, depth: int):
        rngs = nnx.Rngs(0)
        self.convs = nnx.List(nnx.Conv(1, 1, (3, 3), rngs=rngs) for _ in range(depth))

    def __call__(self, x):
        p = len(self.convs)
        x = jnp.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), mode="wrap")
        for conv in self.convs:
            x = nnx.relu(conv(x))
        return x[:, p:-p, p:-p]


def translations(rows: int, columns: int) -> np.ndarray:
    """Row i: the cells of a flattened grid, moved by its cell i."""
    cells = np.arange(rows * columns).reshape(rows, columns)
    moved = [np.roll(cells, s, (0, 1)).ravel() for s in np.ndindex(rows, columns)]
    return np.stack(moved).astype(np.int32)


TRANSLATIONS = translations(4, 4)
TAPS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def group_convolution(x: Array) -> Array:
    return jnp.tanh(x.reshape(x.shape[0], 16)[:, TRANSLATIONS] @ TAPS).sum((1, 2))


class CirculantIndex(nnx.Module):
    """One learned row, gathered into a circulant matrix."""

    def __init__(self, n: int):
        self.row = nnx.Param(jax.random.normal(jax.random.key(0), (n,)))

    def __call__(self, x):
        i = jnp.arange(self.row.shape[0])
        return (x[..., 0] @ self.row[...][(i[:, None] - i) % len(i)])[..., None]


class Permutations(nnx.Module):
    """One learned filter on the grid, gathered by a table of 2-D translations."""

    def __init__(self):
        self.taps = nnx.Param(jax.random.normal(jax.random.key(0), (16,)))

    def __call__(self, x):
        return (x.reshape(-1, 16) @ self.taps[...][TRANSLATIONS].T).reshape(-1, 4, 4, 1)


class ToroidalBias(nnx.Module):
    """Attention over all cells of a line, with a learned bias by their distance on the torus."""

    def __init__(self, n: int):
        self.table = nnx.Param(jax.random.normal(jax.random.key(0), (n,)))
        self.query = nnx.Linear(2, 3, rngs=nnx.Rngs(1))
        self.key = nnx.Linear(2, 3, rngs=nnx.Rngs(2))

    def __call__(self, x):
        i = jnp.arange(self.table.shape[0])
        bias = self.table[...][(i[:, None] - i[None]) % len(i)]
        scores = jnp.einsum("bic,bjc->bij", self.query(x), self.key(x)) + bias
        return jax.nn.softmax(scores, -1) @ x


class BlurThenMean(nnx.Module):
    def __init__(self, flatten: bool):
        self.flatten, self.blur = flatten, BlurPool(2)
        self.head = nnx.Linear(4 if flatten else 1, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        y = self.blur(nnx.relu(x)).mean(1)
        return self.head(y.reshape(y.shape[0], -1) if self.flatten else y)


def residue_blocks(x: Array) -> Array:
    y = x.reshape(x.shape[0], 2, 3)
    return (y * y.sum(1, keepdims=True)).reshape(x.shape)


class PoolConvMean(nnx.Module):
    def __init__(self):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.conv(nnx.avg_pool(x, (2, 2), (2, 2))).mean((1, 2))


def sliced_under_vmap(x: Array) -> Array:
    return jax.vmap(lambda row: lax.dynamic_slice_in_dim(row, 1, 2, axis=1))(x).mean(2)


def finite_volume(x: Array) -> Array:
    """A step of advection on a torus of one row: the roll along the row axis does nothing."""
    flux = [x - jnp.roll(x, 1, axis) for axis in (1, 2)]
    return x - 0.1 * jnp.tanh(flux[0] + flux[1])


def adaptive_by_hand(x: Array) -> Array:
    """Adaptive polyphase sampling of a line, its tie broken by position: CASES names [5, 3, 0, 4]."""
    phases = jnp.stack([x[:, ::2], x[:, 1::2]], 1)
    chosen = jnp.argmax((phases**2).sum((2, 3)), 1)
    return jnp.take_along_axis(phases, chosen[:, None, None, None], 1)[:, 0].sum(1)


CIRCULANT = np.stack([np.roll([3.0, -1, 2, 5, 0, 1], i) for i in range(6)]).astype(np.float32)
INVARIANCE, EQUIVARIANCE = "invariance", "equivariance"
LINE, SMALL, SIX = (6, 1), (4, 4, 1), (6, 6, 1)

CASES = (
    # A1: what it adds is met by no ordinary image, so a search may well find no counterexample.
    Case("A1", fixed(own_update), SMALL, INVARIANCE, 1, refuted=0),
    Case("A2", fixed(wrapping_pairs), LINE, INVARIANCE, 3),
    Case(
        "A4",
        fixed(signed_zeros),
        (4, 1),
        EQUIVARIANCE,
        4,
        reals=fixed(lambda x: signed_zeros(x, (0.0,) * 4)),
        note="zero",
    ),
    Case("A5", fixed(looks_at_dtype), (4, 1), INVARIANCE, 1),
    Case("A5, twin", fixed(looks_at_dtype_twin), (4, 1), INVARIANCE, 4),
    Case("B1", fixed(absolute_sums), SIX, INVARIANCE, None, true=36, dtype="float64"),
    Case("B2", fixed(large_table), SMALL, INVARIANCE, 16, dtype="float64"),
    Case("B3", fixed(sum_of_signs), SMALL, INVARIANCE, 16),
    Case("B3, proved", fixed(centred_signs), LINE, INVARIANCE, 6),
    Case("B4", fixed(product_of_exponentials), SMALL, INVARIANCE, None, true=16, dtype="float64"),
    *(
        Case(f"B5, {w}", LargeBias, (8, 8, 1), EQUIVARIANCE, 64, weights=w, dtype="float64")
        for w in ("these", "all")
    ),
    *(
        Case(
            f"C1, {dtype}, {padding}",
            lambda dtype=dtype, padding=padding: HalfConv(dtype, padding),
            SIX,
            EQUIVARIANCE,
            count,
            reals=lambda padding=padding: HalfConv(None, padding),
        )
        for dtype in ("bfloat16", "float16")
        for padding, count in (("SAME", 1), ("CIRCULAR", 36))
    ),
    Case("C2, scan", fixed(spectrum_by_scan), LINE, INVARIANCE, 6),
    Case("C2, fori_loop", fixed(spectrum_by_loop), SMALL, INVARIANCE, 16),
    Case("C2, cond", fixed(spectrum_by_cond), LINE, INVARIANCE, 6, dtype="float64"),
    Case("C3", fixed(jax.grad(energy)), LINE, EQUIVARIANCE, 6),
    Case("C3, 2-D", fixed(jax.grad(energy)), SMALL, EQUIVARIANCE, 16),
    # the gradient of a slice is a padding whose parameters are NumPy's integers
    Case("numpy integers as parameters", fixed(strided_gradient), LINE, EQUIVARIANCE, 3),
    Case(
        "a pattern twice", fixed(lambda x: x[:, jnp.array([0, 1, 0, 1])]), (4, 1), EQUIVARIANCE, 1
    ),
    Case("C4, 1", lambda: WrapThenCrop(1), SIX, EQUIVARIANCE, 36),
    Case("C4, 2", lambda: WrapThenCrop(2), SIX, EQUIVARIANCE, 36),
    Case("C5", fixed(group_convolution), SMALL, INVARIANCE, 16),
    *(
        Case(
            f"C6, circulant index, {w}", lambda: CirculantIndex(6), LINE, EQUIVARIANCE, 6, weights=w
        )
        for w in ("these", "all")
    ),
    *(
        Case(f"C6, permutations, {w}", Permutations, SMALL, EQUIVARIANCE, 16, weights=w)
        for w in ("these", "all")
    ),
    *(
        Case(f"C6, toroidal bias, {w}", lambda: ToroidalBias(6), (6, 2), EQUIVARIANCE, 6, weights=w)
        for w in ("these", "all")
    ),
    Case("C7", lambda: BlurThenMean(True), (8, 8, 1), INVARIANCE, 8),
    Case("C7, by channel", lambda: BlurThenMean(False), (8, 8, 1), EQUIVARIANCE, 32, axes=(1,)),
    Case("C8", fixed(residue_blocks), LINE, EQUIVARIANCE, 6),
    Case("C9", PoolConvMean, SIX, INVARIANCE, 36),
    Case("C12, vmap", fixed(sliced_under_vmap), SMALL, EQUIVARIANCE, 4, axes=(1,)),
    Case("C12, roll", fixed(finite_volume), (1, 8, 1), EQUIVARIANCE, 8),
    Case(
        "D2",
        fixed(lambda x: jnp.einsum("ij,bjwc->biwc", CIRCULANT, x)),
        (6, 4, 1),
        EQUIVARIANCE,
        24,
    ),
    Case(
        "D2, other axis",
        fixed(lambda x: jnp.einsum("ij,bwjc->bwic", CIRCULANT, x)),
        (4, 6, 1),
        EQUIVARIANCE,
        24,
    ),
    Case("F1", fixed(lambda x: x[:, np.array([1, 2, 3, 0])]), (4, 1), EQUIVARIANCE, 4),
    Case(
        "adaptive polyphase, a tie",
        fixed(adaptive_by_hand),
        (4, 1),
        INVARIANCE,
        None,
        refuted=0,
        true=2,
        pictures=((5, 3, 0, 4),),
    ),
)
