"""Further programs of each kind of fault: other primitives, shapes, types, modes and wrappers, with their right counts.

The first word of a name is the row of the list of faults; `faults.py` has the program of the row itself. Every count is
found again by brute force. Twins that look alike and are false stand among their true neighbours.

Over 600 lines, because it is one list of programs.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brute import Case
from faults import TRANSLATIONS, CirculantIndex, HalfConv, WrapThenCrop, fixed, translations
from flax import nnx
from jax import lax

from shiftproof.layers import BlurPool

Array = Any
INV, EQ = "invariance", "equivariance"
LINE, FOUR, SIX, SQUARE = (6, 1), (4, 1), (6, 6, 1), (4, 4, 1)
CASES: list[Case] = []


def aside(
    name: str,
    fn: Callable,
    shape: tuple[int, ...],
    property: str,
    proved: int | None,
    **options: Any,
) -> None:
    CASES.append(Case(name, fixed(fn), shape, property, proved, **options))


def built(
    name: str,
    build: Callable[[], Any],
    shape: tuple[int, ...],
    property: str,
    proved: int | None,
    **options: Any,
) -> None:
    CASES.append(Case(name, build, shape, property, proved, **options))


# --- A1: scatters that do more than set, and gathers with modes ---

aside("A1 add one", lambda x: x.at[:, 0].apply(lambda v: v + 1), FOUR, EQ, 1)
aside("A1 add one everywhere", lambda x: x.at[:, :].apply(lambda v: v + 1), FOUR, EQ, 4)
aside("A1 double every other", lambda x: x.at[:, ::2].apply(lambda v: 2 * v), FOUR, EQ, 2)
aside("A1 sine of a row", lambda x: x.at[:, 1].apply(jnp.sin), SQUARE, EQ, 4)
aside("A1 the identity", lambda x: x.at[:, 0].apply(lambda v: v), FOUR, EQ, None, true=4)
aside(
    "A1 cosine of what is mostly zero",
    lambda x: nnx.relu(x[:, 0] - 1000).at[0, 0].apply(jnp.cos),
    FOUR,
    INV,
    1,
    refuted=0,
)
aside(
    "A1 exp of what is mostly zero, 2-D",
    lambda x: nnx.relu(x[:, 1, 1] - 1000).at[0].apply(lambda v: jnp.exp(-v)),
    SQUARE,
    INV,
    1,
    refuted=0,
    pictures=tuple(np.random.default_rng(0).normal(size=(6, 16)) * 3000),
)
aside("A1 multiply one cell", lambda x: x.at[:, 0].multiply(2.0), FOUR, EQ, 1)
aside("A1 multiply all by index", lambda x: x.at[:, jnp.arange(4)].multiply(2.0), FOUR, EQ, 4)
aside("A1 multiply twice", lambda x: x.at[:, jnp.array([0, 0, 2, 2])].multiply(2.0), FOUR, EQ, 2)
aside("A1 max with zero", lambda x: x.at[:, 0].max(0.0), FOUR, EQ, 1)
aside("A1 min with zero", lambda x: x.at[:, jnp.array([0, 2])].min(0.0), FOUR, EQ, 2)
aside("A1 add twice", lambda x: x.at[:, jnp.arange(8) // 2].add(1.0), FOUR, EQ, 4)
aside(
    "A1 add twice to some, sum",
    lambda x: x.at[:, jnp.array([0, 0, 2])].add(1.0).sum(1),
    FOUR,
    INV,
    4,
)
aside("A1 divide", lambda x: x.at[:, jnp.array([1, 3])].divide(2.0), FOUR, EQ, 2)
aside("A1 power", lambda x: x.at[:, 1].power(2), FOUR, EQ, 1)
aside("A1 add, drop", lambda x: x.at[:, jnp.array([0, 1, 5])].add(1.0, mode="drop"), FOUR, EQ, 1)
aside("A1 add, drop all", lambda x: x.at[:, jnp.array([4, 5])].add(1.0, mode="drop"), FOUR, EQ, 4)
aside("A1 add, clip", lambda x: x.at[:, jnp.array([0, 1, 2, 7])].add(1.0, mode="clip"), FOUR, EQ, 4)
aside(
    "A1 set, clip, twice", lambda x: x.at[:, jnp.array([3, 7])].set(0.0, mode="clip"), FOUR, EQ, 1
)
aside(
    "A1 get, fill",
    lambda x: x.at[:, jnp.array([1, 2, 3, 4])].get(mode="fill", fill_value=0.0),
    FOUR,
    EQ,
    1,
)
aside(
    "A1 get, fill with seven, sum",
    lambda x: x.at[:, jnp.arange(8)].get(mode="fill", fill_value=7.0).sum(1),
    FOUR,
    INV,
    4,
)
aside("A1 get, clip", lambda x: x.at[:, jnp.array([1, 2, 3, 4])].get(mode="clip"), FOUR, EQ, 1)
aside("A1 get, wrap", lambda x: jnp.take(x, jnp.array([1, 2, 3, 4]), 1, mode="wrap"), FOUR, EQ, 4)
aside("A1 get, negative", lambda x: x[:, jnp.array([-1, -4, -3, -2])], FOUR, EQ, 4)
aside(
    "A1 get, in bounds",
    lambda x: x.at[:, jnp.array([1, 2, 3, 0])].get(mode="promise_in_bounds"),
    FOUR,
    EQ,
    4,
)
aside(
    "A1 scattered into zeros",
    lambda x: jnp.zeros_like(x).at[:, jnp.array([1, 2, 3, 0])].add(x),
    FOUR,
    EQ,
    4,
)
aside(
    "A1 scattered into zeros, reflected",
    lambda x: jnp.zeros_like(x).at[:, jnp.array([2, 1, 0, 3])].set(x),
    FOUR,
    EQ,
    4,
)
aside(
    "A1 scattered twice, colliding",
    lambda x: jnp.zeros_like(x).at[:, jnp.array([0, 0, 2, 2])].add(x),
    FOUR,
    EQ,
    2,
)
aside(
    "A1 scattered twice, greatest",
    lambda x: jnp.full_like(x, -jnp.inf).at[:, jnp.zeros(4, int)].max(x)[:, 0],
    FOUR,
    INV,
    4,
)
aside(
    "A1 products in one cell",
    lambda x: jnp.ones_like(x).at[:, jnp.zeros(4, int)].multiply(x)[:, 0],
    FOUR,
    INV,
    4,
)
aside("A1 in jit", jax.jit(lambda x: x.at[:, 1, 2].apply(jnp.tanh)), SQUARE, EQ, 1)
aside(
    "A1 under vmap",
    lambda x: jax.vmap(lambda row: row.at[:, 0].apply(lambda v: v * v), 1, 1)(x),
    SQUARE,
    EQ,
    4,
)

# --- A2: machine integers wrap ---


def whole(x: Array, dtype: Any) -> Array:
    """The integer part, as small machine integers that wrap."""
    return x.astype(jnp.int32).astype(dtype)


def paired(dtype: Any, combine: Callable) -> Callable:
    """Pairs of neighbours, combined in machine integers and summed as floats."""

    def fn(x: Array) -> Array:
        y = whole(x, dtype)
        return combine(y[:, ::2], y[:, 1::2]).astype(jnp.float32).sum(1)

    return fn


for _type in ("int8", "uint8", "int16", "uint16"):
    aside(f"A2 pairs add, {_type}", paired(_type, lambda a, b: a + b), LINE, INV, 3)
aside("A2 pairs subtract, uint8", paired("uint8", lambda a, b: a - b), LINE, INV, 3)
aside("A2 pairs multiply, int8", paired("int8", lambda a, b: a * b), LINE, INV, 3)
aside(
    "A2 pairs multiply, int32", paired("int32", lambda a, b: a * b), LINE, INV, 3, dtype="float64"
)
aside("A2 pairs, shifted left", paired("int8", lambda a, b: (a << 3) + b), LINE, INV, 3)
aside("A2 pairs, xor", paired("int16", jnp.bitwise_xor), LINE, INV, 3)
aside(
    "A2 neighbours multiply",
    lambda x: (whole(x, "int16") * jnp.roll(whole(x, "int16"), 1, 1)).astype(jnp.float32).sum(1),
    LINE,
    INV,
    6,
)
aside(
    "A2 squares",
    lambda x: (whole(x, "int8") * whole(x, "int8")).astype(jnp.float32).sum(1),
    LINE,
    INV,
    6,
)
aside(
    "A2 sum of bytes, which wraps as a whole",
    lambda x: whole(x, "int8").sum(1, dtype=jnp.int8).astype(jnp.float32),
    LINE,
    INV,
    6,
)
aside(
    "A2 windows of bytes",
    lambda x: (
        lax.reduce_window(whole(x, "int8"), np.int8(0), lax.add, (1, 2, 1), (1, 2, 1), "VALID")
        .astype(jnp.float32)
        .sum(1)
    ),
    LINE,
    INV,
    3,
)
aside(
    "A2 blocks of bytes",
    lambda x: (
        whole(x, "int8")
        .reshape(-1, 2, 2, 2, 2)
        .sum((2, 4), dtype=jnp.int8)
        .astype(jnp.float32)
        .sum((1, 2))
    ),
    SQUARE,
    INV,
    4,
)
aside(
    "A2 running sum of bytes, its last",
    lambda x: lax.cumsum(whole(x, "int8"), 1)[:, -1].astype(jnp.float32),
    LINE,
    INV,
    None,
    true=6,
)
aside(
    "A2 circular convolution of integers",
    lambda x: sum(
        c * jnp.roll(whole(x, "int32"), i, 1) for i, c in enumerate((2**20, -3, 7))
    ).astype(jnp.float32),  # type: ignore[union-attr]
    LINE,
    EQ,
    6,
    dtype="float64",
)
aside(
    "A2 mean of pairs, by shift",
    lambda x: (
        ((whole(x, "int8")[:, ::2] + whole(x, "int8")[:, 1::2]) >> 1).astype(jnp.float32).sum(1)
    ),
    LINE,
    INV,
    3,
)

# --- A3: no function of the image ---

RANDOM = "(?i)random|determin|not a function|effect"
for _name, _fn in {
    "mean": lambda x: x.mean((1, 2)) + lax.rng_uniform(0.0, 1.0, (1,)),
    "noise": lambda x: x + lax.rng_uniform(0.0, 1.0, (1, 4, 4, 1)),
    "mask": lambda x: x * (lax.rng_uniform(0.0, 1.0, (1, 4, 4, 1)) > 0.5),
    "product": lambda x: x.sum() * lax.rng_uniform(0.0, 1.0, ()),
    "jit": jax.jit(lambda x: x.sum() + lax.rng_uniform(0.0, 1.0, ())),
    "loop": lambda x: lax.fori_loop(0, 2, lambda i, c: c + lax.rng_uniform(0.0, 1.0, ()), x.sum()),
    "scan": lambda x: lax.scan(
        lambda c, _: (c + lax.rng_uniform(0.0, 1.0, ()), None), x.sum(), length=2
    )[0],
    "branch": lambda x: lax.cond(
        x.sum() > 0, lambda y: y + lax.rng_uniform(0.0, 1.0, ()), lambda y: y, x.max()
    ),
    "max": lambda x: jnp.maximum(x.max(), 100 * lax.rng_uniform(0.0, 1.0, ())),
    "shift": lambda x: jnp.roll(x, lax.rng_uniform(0, 4, ()), 1).sum((1, 2)) + x[:, 0, 0],
    "second output": lambda x: (x, lax.rng_uniform(0.0, 1.0, ())),
}.items():
    if _name != "shift":
        aside(f"A3 {_name}", _fn, SQUARE, "", 0, refusal=RANDOM)
KEY = jax.random.key(0)
aside("A3 twin, noise of a key", lambda x: x + jax.random.normal(KEY, (1, 4, 1)), FOUR, EQ, 1)
aside("A3 twin, one number of a key", lambda x: x + jax.random.normal(KEY, ()), FOUR, EQ, 4)
aside(
    "A3 twin, dropped by a key",
    lambda x: jnp.where(jax.random.bernoulli(KEY, 0.5, (1, 8, 1)), x, 0).sum(1),
    (8, 1),
    INV,
    1,
)

# --- A4: zero has one sign in the reals ---

SIGNED = np.array([0.0, -0.0, 0.0, -0.0], np.float32)
for _name, _fn, _note in (
    ("arctan2 with moving sign", lambda t, x: jnp.arctan2(t, -abs(x) - 1), "zero"),
    ("arctan2 of a product", lambda t, x: jnp.arctan2(t * 3, x), "zero"),
    ("phase of a complex number", lambda t, x: jnp.angle(lax.complex(x, t + 0 * x)), "zero"),
    ("complex root", lambda t, x: jnp.sqrt(lax.complex(x, t * jnp.ones_like(x))).imag, "zero"),
    ("complex logarithm", lambda t, x: jnp.log(lax.complex(x, t * jnp.ones_like(x))).imag, "zero"),
    ("sum", lambda t, x: x + t, ""),
    ("product", lambda t, x: x * t + jnp.tanh(x), ""),
    ("max", lambda t, x: jnp.maximum(x, t), ""),
    ("comparison", lambda t, x: jnp.where(x >= t, x, 2 * x), ""),
    ("sign", lambda t, x: x * jnp.sign(t) + x, ""),
    ("select", lambda t, x: jnp.where(t == 0, x, -x), ""),
    ("minus", lambda t, x: jnp.minimum(x, -t), ""),
):
    aside(
        f"A4 {_name}",
        functools.partial(lambda f, x: f(SIGNED[:, None], x), _fn),
        FOUR,
        EQ,
        4,
        reals=fixed(functools.partial(lambda f, x: f(abs(SIGNED[:, None]), x), _fn)),
        note=_note,
    )

# --- A5: a model that looks at the types it is given ---

for _name, _wide in (
    ("dtype", lambda x: x.dtype == jnp.float64),
    ("itemsize", lambda x: x.dtype.itemsize == 8),
    ("result type", lambda x: jnp.result_type(x, 1.0) == jnp.float64),
    ("finfo", lambda x: jnp.finfo(x.dtype).bits == 64),
    ("configuration", lambda x: jax.config.jax_enable_x64),
    ("type of a new array", lambda x: jnp.zeros(()).dtype == jnp.float64),
    ("type of a range", lambda x: jnp.arange(3).dtype == jnp.int64),
    ("canonical type", lambda x: jax.dtypes.canonicalize_dtype(float) == np.float64),
):
    aside(
        f"A5 {_name}",
        functools.partial(lambda wide, x: x.sum(1) if wide(x) else x[:, 0], _wide),
        FOUR,
        INV,
        1,
    )
    aside(
        f"A5 {_name}, the other way",
        functools.partial(lambda wide, x: x[:, 0] if wide(x) else x.sum(1), _wide),
        FOUR,
        INV,
        4,
    )

# --- B1: what bounds know of unsigned numbers ---


def redundant(step: Callable, convert: Callable) -> Callable:
    """A sum of numbers that are not negative, through a step that changes none of its parts."""

    def fn(x: Array) -> Array:
        y = convert(x.astype(jnp.int32)).astype(x.dtype).ravel()
        total = y[0]
        for i in range(1, y.size):
            total = step(total + y[i])
        return total

    return fn


for _name, _step in (
    ("abs", abs),
    ("relu", nnx.relu),
    ("max", lambda v: jnp.maximum(v, -1)),
    ("where", lambda v: jnp.where(v < 0, -5 * v, v)),
):
    for _type, _convert in (
        ("uint8", lambda y: y.astype(jnp.uint8)),
        ("uint16", lambda y: (y * 3).astype(jnp.int16).astype(jnp.uint16)),
        ("uint32", lambda y: (-abs(y) - 1).astype(jnp.uint32)),
        ("bool", lambda y: (y > 0) | (y < -2)),
    ):
        aside(
            f"B1 {_name}, {_type}",
            redundant(_step, _convert),
            LINE,
            INV,
            None,
            true=6,
            dtype="float64",
        )

# --- B2: large numbers that cancel ---

BIG = np.arange(16, dtype=np.float32).reshape(4, 4, 1) * np.float32(2**30)
RAMP = np.arange(6, dtype=np.float32)[:, None] * np.float32(2**33)
for _name, _fn, _shape, _property, _count in (
    ("added and taken away", lambda x: (x + BIG) - BIG, SQUARE, EQ, 16),
    ("a square", lambda x: (((x * 1.1 + BIG) - BIG) ** 2).sum((1, 2)), SQUARE, INV, 16),
    ("a tanh", lambda x: jnp.tanh((3 * x - BIG) + BIG), SQUARE, EQ, 16),
    ("sums", lambda x: (x + RAMP).sum(1) - RAMP.sum(), LINE, INV, 6),
    ("a line", lambda x: (x - RAMP) + jnp.asarray(RAMP), LINE, EQ, 6),
    ("half is left", lambda x: (x + RAMP) - RAMP / 2, LINE, EQ, 1),
    ("doubled", lambda x: (2 * (x + RAMP) - 2 * RAMP).sum(1), LINE, INV, 6),
    ("a moving average", lambda x: (jnp.roll(x + RAMP, 1, 1) - jnp.roll(RAMP, 1, 0)) + x, LINE, EQ, 6),
    ("cancelled by another axis", lambda x: (x + RAMP[:4, :, None]) - RAMP[:4, :, None], SQUARE, EQ, 16),
    ("in a loop", lambda x: lax.fori_loop(0, 3, lambda i, c: (c + RAMP) - RAMP, x), LINE, EQ, 6),
    ("by a matrix", lambda x: jnp.einsum("bic,ij->bjc", x + RAMP, np.ones((6, 6))) - 6 * RAMP.mean(), LINE, INV, 6),
    ("a maximum", lambda x: ((x + RAMP) - RAMP).max(1), LINE, INV, 6),
):  # fmt: skip
    aside(f"B2 {_name}", _fn, _shape, _property, _count, dtype="float64", tolerance=1e-3)

# --- B3: behind steps a disturbed image changes nothing ---


def by_scan(step: Callable, start: float, prepare: Callable) -> Callable:
    return lambda x: lax.scan(
        lambda c, v: (step(c, v), None), jnp.full((), start, x.dtype), prepare(x).ravel()
    )[0]


def add(c: Array, v: Array) -> Array:
    return c + v


for _name, _step, _start, _prepare, _shape in (
    ("signs, line", add, 0, lambda x: jnp.sign(x) * 0.1, LINE),
    ("rounded", add, 0, lambda x: jnp.round(x) * 0.1, SQUARE),
    ("floor", add, 0, lambda x: jnp.floor(x) * 0.3, SQUARE),
    ("ceil", add, 0, lambda x: jnp.ceil(x / 2) * 0.1, LINE),
    ("comparison", add, 0, lambda x: (x > 0.5) * 0.1, SQUARE),
    ("whole numbers", add, 0, lambda x: x.astype(jnp.int32) * 0.7, LINE),
    ("product", lambda c, v: c * (1 + 0.1 * v), 1, jnp.sign, SQUARE),
    ("greatest", jnp.maximum, -1e9, lambda x: jnp.round(x) * 0.1, SQUARE),
    ("least", jnp.minimum, 1e9, lambda x: jnp.floor(x) * 0.1, LINE),
    ("finite or not", add, 0, lambda x: jnp.where(x > 0, 0.1, 0.3), SQUARE),
):
    _true = 6 if _shape == LINE else 16
    _fn = by_scan(_step, _start, _prepare)
    aside(f"B3 {_name}", _fn, _shape, INV, None, true=_true, dtype="float64")
aside(
    "B3 loop",
    lambda x: lax.fori_loop(
        0,
        6,
        lambda i, c: c + jnp.sign(lax.dynamic_index_in_dim(x, i, 1, False)) * 0.1,
        jnp.zeros((1, 1), x.dtype),
    ),
    LINE,
    INV,
    None,
    true=6,
    dtype="float64",
)
aside("B3 order counts", by_scan(lambda c, v: 0.5 * c + v, 0, jnp.sign), LINE, INV, 1)

# --- B4: infinities on the way ---


def centred(x: Array) -> Array:
    return (x - x.mean()).ravel()


for _name, _fn, _shape in (
    ("product of exponentials",
     lambda x: lax.scan(lambda c, v: (c * jnp.exp(9 * v), None), jnp.ones((), x.dtype), centred(x))[0],
     LINE),
    ("running product", lambda x: jnp.cumprod(jnp.exp(9 * centred(x)))[-1], LINE),
    ("log of a sum", lambda x: jnp.log(jnp.exp(9 * x).sum((1, 2))), SQUARE),
    ("soft maximum by hand", lambda x: (x * jnp.exp(9 * x)).sum(1) / jnp.exp(9 * x).sum(1), LINE),
    ("power sum", lambda x: ((x**32).sum(1)) ** (1 / 32), LINE),
    ("hyperbolic", lambda x: jnp.sinh(5 * x).sum((1, 2)), SQUARE),
    ("one over", lambda x: 1 / jnp.exp(9 * x).mean((1, 2)), SQUARE),
    ("product", lambda x: jnp.prod(1e4 * x, axis=1) * 1e-24, LINE),
    ("nested", lambda x: jnp.exp(jnp.exp(x).sum((1, 2)) * 0.1), SQUARE),
    ("geometric mean", lambda x: jnp.prod(jnp.exp(x), axis=(1, 2)) ** (1 / 16), SQUARE),
):  # fmt: skip
    aside(
        f"B4 {_name}", _fn, _shape, INV, None, true=16 if len(_shape) == 3 else 6, dtype="float64"
    )

# --- B5: a large bias before a normalisation ---


class Normalised(nnx.Module):
    def __init__(self, rank: int, bias: float, norm: Callable[[nnx.Rngs], Any]):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 4, (3,) * rank, padding="CIRCULAR", rngs=rngs)
        self.conv.bias[...] += bias  # type: ignore[index]
        self.norm = norm(rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


NORMS: dict[str, Callable[[nnx.Rngs], Any]] = {
    "GroupNorm 1": lambda rngs: nnx.GroupNorm(4, num_groups=1, rngs=rngs),
    "GroupNorm 4": lambda rngs: nnx.GroupNorm(4, num_groups=4, rngs=rngs),
    "LayerNorm": lambda rngs: nnx.LayerNorm(4, rngs=rngs),
    "RMSNorm": lambda rngs: nnx.RMSNorm(4, rngs=rngs),
    "InstanceNorm": lambda rngs: nnx.InstanceNorm(4, rngs=rngs),
    "GroupNorm, slow": lambda rngs: nnx.GroupNorm(
        4, num_groups=2, use_fast_variance=False, rngs=rngs
    ),
}
for _name, _norm in NORMS.items():
    for _bias, _shape, _weights in ((1e3, SQUARE, "these"), (1e4, LINE, "all")):
        built(
            f"B5 {_name}, {_bias:g}, {_weights}",
            lambda n=_norm, b=_bias, s=_shape: Normalised(len(s) - 1, b, n),
            _shape,
            EQ,
            16 if _shape == SQUARE else 6,
            weights=_weights,
            dtype="float64",
        )

# --- B6: mutable arrays, as they are written, or refused ---


def referenced(write: Callable[[Any, Array], None], start: Callable = jnp.zeros_like) -> Callable:
    def fn(x: Array) -> Array:
        ref = jax.new_ref(start(x))
        write(ref, x)
        return ref[...]

    return fn


def _set(ref: Any, x: Array) -> None:
    ref[...] = x


def _half(ref: Any, x: Array) -> None:
    ref[:, ::2] = x[:, ::2]


def _twice(ref: Any, x: Array) -> None:
    ref[...] = x
    ref[...] = ref[...] + jnp.roll(x, 1, 1)


def _accumulate(ref: Any, x: Array) -> None:
    for i in range(3):
        ref[...] += jnp.roll(x, i, 1)


def _first(ref: Any, x: Array) -> None:
    ref[:, 0] = x[:, 0] + 1


def _loop(ref: Any, x: Array) -> None:
    def body(i: Any, c: Any) -> Any:
        ref[...] = ref[...] + x
        return c

    lax.fori_loop(0, 3, body, 0)


def _overwritten(ref: Any, x: Array) -> None:
    ref[:, 0] = x[:, 0] * 9
    ref[...] = jnp.tanh(x)


def _sum(ref: Any, x: Array) -> None:
    ref[...] = ref[...] + x.sum(1, keepdims=True)


def _square(ref: Any, x: Array) -> None:
    ref[...] = x
    ref[...] = ref[...] ** 2


def _nothing(ref: Any, x: Array) -> None:
    ref[...] = ref[...] * 2


MUTABLE = "(?i)mutable|Ref|effect"
for _name, _write, _start, _count in (
    ("set", _set, jnp.zeros_like, 4),
    ("every other cell", _half, jnp.zeros_like, 2),
    ("twice", _twice, jnp.zeros_like, 4),
    ("accumulated", _accumulate, jnp.zeros_like, 4),
    ("the first cell", _first, jnp.asarray, 1),
    ("in a loop", _loop, jnp.zeros_like, 4),
    ("overwritten", _overwritten, jnp.zeros_like, 4),
    ("a sum", _sum, jnp.asarray, 4),
    ("squared", _square, jnp.zeros_like, 4),
    ("doubled", _nothing, jnp.asarray, 4),
):
    aside(f"B6 {_name}", referenced(_write, _start), FOUR, EQ, _count, refusal=MUTABLE)

# --- C1: half precision ---


class Half(nnx.Module):
    """Small nets in some precision."""

    def __init__(self, kind: str, dtype: Any):
        rngs = nnx.Rngs(0)
        self.kind = kind
        padding = "SAME" if "same" in kind else "CIRCULAR"
        self.conv = nnx.Conv(2, 2, (3,), padding=padding, dtype=dtype, rngs=rngs)
        self.norm = nnx.LayerNorm(2, dtype=dtype, rngs=rngs)
        self.flat = nnx.Linear(12, 3, dtype=dtype, rngs=rngs)
        self.head = nnx.Linear(2, 3, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        y = nnx.relu(self.conv(x))
        if "norm" in self.kind:
            y = self.norm(y)
        if "pool" in self.kind:
            y = nnx.max_pool(y, (2,), (2,))
        if "flat" in self.kind:
            return self.flat(y.reshape(y.shape[0], -1))
        return self.head(y.mean(1)) if "mean" in self.kind else y


for _dtype in ("bfloat16", "float16"):
    for _kind, _property, _count in (
        ("same", EQ, 1),
        ("same mean", INV, 1),
        ("circular mean", INV, 6),
        ("circular flat", INV, 1),
        ("circular pool", EQ, 3),
        ("circular norm mean", INV, 6),
    ):
        built(
            f"C1 {_kind}, {_dtype}",
            lambda k=_kind, d=_dtype: Half(k, d),
            (6, 2),
            _property,
            _count,
            reals=lambda k=_kind: Half(k, None),
        )
built(
    "C1 strides",
    lambda: nnx.Sequential(HalfConv("bfloat16", "CIRCULAR"), lambda x: x[:, ::2, ::3]),
    SIX,
    EQ,
    6,
    reals=lambda: nnx.Sequential(HalfConv(None, "CIRCULAR"), lambda x: x[:, ::2, ::3]),
)

# --- C2: spectra through loops ---


def fft(x: Array) -> Array:
    return jnp.fft.fft(x, axis=1)


SPECTRAL = np.random.default_rng(1).normal(size=(6, 1)).astype(np.float32)
for _name, _fn, _shape, _property, _count in (
    ("scan, doubled", lambda x: abs(lax.scan(lambda p, _: (2 * p, None), fft(x), length=2)[0]), LINE, INV, 6),
    ("scan, filtered", lambda x: abs(lax.scan(lambda p, _: (p * SPECTRAL, None), fft(x), length=2)[0]), LINE, INV, 6),
    ("scan of filters",
     lambda x: abs(lax.scan(lambda p, w: (p * w, None), fft(x), jnp.stack([SPECTRAL, SPECTRAL[::-1]]))[0]),
     LINE, INV, 6),
    ("fori_loop", lambda x: abs(lax.fori_loop(0, 2, lambda i, p: -p, fft(x))), LINE, INV, 6),
    ("while_loop",
     lambda x: abs(lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, -s[1]), (0, fft(x)))[1]),
     LINE, INV, 6),
    ("switch",
     lambda x: abs(lax.switch(jnp.clip(x.sum().astype(jnp.int32), 0, 1), [lambda p: p, lambda p: -3 * p], fft(x))),
     LINE, INV, 6),
    ("cond, a constant choice", lambda x: abs(lax.cond(True, lambda p: -p, lambda p: p, fft(x))), LINE, INV, 6),
    ("and back",
     lambda x: jnp.fft.ifft(lax.scan(lambda p, _: (p * SPECTRAL, None), fft(x), length=2)[0], axis=1).real,
     LINE, EQ, 6),
    ("2-D",
     lambda x: abs(lax.scan(lambda p, _: (p / 2, None), jnp.fft.fft2(x, axes=(1, 2)), length=2)[0]).sum((1, 2)),
     SQUARE, INV, 16),
    ("real spectrum", lambda x: abs(lax.fori_loop(0, 2, lambda i, p: 3 * p, jnp.fft.rfft(x, axis=1))), LINE, INV, 6),
    ("nested",
     lambda x: abs(lax.scan(lambda p, _: (lax.fori_loop(0, 2, lambda i, q: -q, p), None), fft(x), length=2)[0]),
     LINE, INV, 6),
    ("its real part", lambda x: lax.scan(lambda p, _: (2 * p, None), fft(x), length=2)[0].real, LINE, INV, 1),
):  # fmt: skip
    aside(f"C2 {_name}", _fn, _shape, _property, _count, dtype="float64")

# --- C3: gradients ---


def circular(x: Array, taps: tuple[float, ...] = (1.0, -2.0, 0.5)) -> Array:
    return sum(t * jnp.roll(x, i, 1) for i, t in enumerate(taps))  # type: ignore[return-value]


PINNED = np.array([1.0, 0, 0, 0, 0, 0], np.float32)[:, None]
for _name, _energy, _shape, _count in (
    ("a chain", lambda z: jnp.tanh(z * jnp.roll(z, 1, 1)).sum(), LINE, 6),
    ("by slices", lambda z: (z[:, 1:] * z[:, :-1]).sum() + (z[:, 0] * z[:, -1]).sum(), LINE, 6),
    ("an open chain", lambda z: (z[:, 1:] * z[:, :-1]).sum(), LINE, 1),
    ("a convolution", lambda z: (circular(z) ** 2).sum(), LINE, 6),
    ("a lattice", lambda z: sum((z * jnp.roll(z, 1, a)).sum() for a in (1, 2)) + jnp.cos(z).sum(), SQUARE, 16),
    ("second neighbours", lambda z: (z * jnp.roll(z, -2, 1)).sum() + (z**4).sum(), LINE, 6),
    ("pinned", lambda z: (z * jnp.roll(z, 1, 1)).sum() + (PINNED * z**2).sum(), LINE, 1),
    ("padded by wrapping", lambda z: (jnp.pad(z, ((0, 0), (1, 0), (0, 0)), mode="wrap")[:, :-1] * z**2).sum(), LINE, 6),
    ("pairs", lambda z: (z[:, ::2] * z[:, 1::2]).sum(), LINE, 3),
    ("log of a sum", lambda z: jax.nn.logsumexp(circular(z)), LINE, 6),
):  # fmt: skip
    aside(f"C3 {_name}", jax.grad(_energy), _shape, EQ, _count, dtype="float64")
aside(
    "C3 product with the second derivative",
    lambda x: jax.jvp(jax.grad(lambda z: (z**3 * jnp.roll(z, 1, 1)).sum()), (x,), (x,))[1],
    LINE,
    EQ,
    6,
    dtype="float64",
)
aside(
    "C3 transposed",
    lambda x: jax.vjp(circular, x)[1](jnp.tanh(x))[0],
    LINE,
    EQ,
    6,
)

# --- C4: wrap, run on, crop ---


class WrapLine(nnx.Module):
    """As `WrapThenCrop`, on a line, with other kernels, functions and margins."""

    def __init__(self, kernels: tuple[int, ...], margin: int, between: Callable, dilation: int = 1):
        rngs = nnx.Rngs(0)
        self.margin, self.between = margin, between
        self.convs = nnx.List(
            nnx.Conv(1, 1, (k,), kernel_dilation=dilation, rngs=rngs) for k in kernels
        )

    def __call__(self, x):
        x = jnp.pad(x, ((0, 0), (self.margin,) * 2, (0, 0)), mode="wrap")
        for conv in self.convs:
            x = self.between(conv(x))
        return x[:, self.margin : -self.margin]


built("C4 three layers", lambda: WrapThenCrop(3), SIX, EQ, 36)
for _name, _kernels, _margin, _between, _dilation, _count in (
    ("tanh", (3, 3), 2, jnp.tanh, 1, 6),
    ("wide margin", (3, 3), 4, nnx.relu, 1, 6),
    ("narrow margin", (3, 3), 1, nnx.relu, 1, 1),
    ("five", (5,), 2, nnx.relu, 1, 6),
    ("five and three", (5, 3), 3, nnx.silu, 1, 6),
    ("even kernel", (4,), 2, nnx.relu, 1, 6),
    ("dilated", (3,), 2, nnx.relu, 2, 6),
    ("dilated, narrow margin", (3,), 1, nnx.relu, 2, 1),
    ("many", (3, 3, 3, 3), 4, nnx.gelu, 1, 6),
    ("half a margin", (5, 5), 3, nnx.relu, 1, 1),
):
    built(
        f"C4 {_name}",
        lambda k=_kernels, m=_margin, b=_between, d=_dilation: WrapLine(k, m, b, d),
        LINE,
        EQ,
        _count,
    )
aside(
    "C4 max pool",
    lambda x: nnx.max_pool(jnp.pad(x, ((0, 0), (1, 1), (0, 0)), mode="wrap"), (3,), (1,), "SAME")[
        :, 1:-1
    ],
    LINE,
    EQ,
    6,
)
aside(
    "C4 average pool, 2-D",
    lambda x: nnx.avg_pool(
        jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap"), (3, 3), (1, 1), "SAME"
    )[:, 1:-1, 1:-1],
    SQUARE,
    EQ,
    16,
)

# --- C5: tables of translations ---

RNG = np.random.default_rng(2)
TAPS = {n: RNG.normal(size=(n, 3)).astype(np.float32) for n in (6, 12, 16)}


def gathered(table: np.ndarray, end: Callable) -> Callable:
    cells = table.shape[1]
    return lambda x: end(x.reshape(x.shape[0], -1)[:, table] @ TAPS[cells])


def tanh_sum(y: Array) -> Array:
    return jnp.tanh(y).sum((1, 2))


SHUFFLE = RNG.permutation(16)
for _name, _fn, _shape, _property, _count in (
    ("3 x 4", gathered(translations(3, 4), tanh_sum), (3, 4, 1), INV, 12),
    ("2 x 6", gathered(translations(2, 6), tanh_sum), (2, 6, 1), INV, 12),
    ("a line", gathered(translations(1, 6), tanh_sum), LINE, INV, 6),
    ("maximum", gathered(TRANSLATIONS, lambda y: y.max(1)), SQUARE, INV, 16),
    ("in another order", gathered(TRANSLATIONS[SHUFFLE], tanh_sum), SQUARE, INV, 16),
    ("cells in another order", gathered(TRANSLATIONS[:, SHUFFLE], tanh_sum), SQUARE, INV, 16),
    ("back", gathered(np.argsort(TRANSLATIONS, 1).astype(np.int32), tanh_sum), SQUARE, INV, 16),
    ("every other row", gathered(TRANSLATIONS.reshape(4, 4, 16)[::2].reshape(8, 16), tanh_sum), SQUARE, INV, 8),
    ("rows only", gathered(TRANSLATIONS.reshape(4, 4, 16)[:, 0], tanh_sum), SQUARE, INV, 4),
    ("some", gathered(TRANSLATIONS[:5], tanh_sum), SQUARE, INV, 1),
    ("as a map", gathered(TRANSLATIONS, lambda y: jnp.tanh(y).reshape(-1, 4, 4, 3)), SQUARE, EQ, 16),
    ("sorted", gathered(TRANSLATIONS, lambda y: jnp.sort(y, 1)[:, :3]), SQUARE, INV, 16),
):  # fmt: skip
    aside(f"C5 {_name}", _fn, _shape, _property, _count)

# --- C6: weights that an index makes circulant ---


class Indexed(nnx.Module):
    """A learned row, made a matrix in some way."""

    def __init__(self, make: Callable[[Array], Array], n: int = 6, size: int = 0):
        self.make = make
        self.row = nnx.Param(jax.random.normal(jax.random.key(0), (size or n,)))

    def __call__(self, x):
        return (x[..., 0] @ self.make(self.row[...]))[..., None]


INDEX = np.arange(6)
for _name, _make, _size, _count in (
    ("reversed", lambda k: k[(INDEX - INDEX[:, None]) % 6], 6, 6),
    ("anti-circulant", lambda k: k[(INDEX + INDEX[:, None]) % 6], 6, 6),
    ("rolled rows", lambda k: jnp.stack([jnp.roll(k, i) for i in range(6)]), 6, 6),
    ("rolled under vmap", lambda k: jax.vmap(lambda i: jnp.roll(k, i))(jnp.arange(6)), 6, 6),
    ("symmetric", lambda k: k[np.minimum((INDEX - INDEX[:, None]) % 6, (INDEX[:, None] - INDEX) % 6)], 4, 6),
    ("Toeplitz", lambda k: k[INDEX - INDEX[:, None] + 5], 11, 1),
    ("every second", lambda k: k[(2 * INDEX[:, None] - 2 * INDEX) % 6], 6, 6),
    ("halves", lambda k: k[(INDEX[:, None] // 2 - INDEX // 2) % 3], 3, 3),
    ("take", lambda k: jnp.take(k, (INDEX[:, None] - INDEX) % 6, mode="wrap"), 6, 6),
    ("of a power", lambda k: jnp.tanh(k)[(INDEX[:, None] - INDEX) % 6] ** 2, 6, 6),
    ("doubled and cut", lambda k: jnp.concatenate([k, k])[6 + INDEX - INDEX[:, None]], 6, 6),
):  # fmt: skip
    for _weights in ("these", "all"):
        built(
            f"C6 {_name}, {_weights}",
            lambda m=_make, s=_size: Indexed(m, 6, s),
            LINE,
            EQ,
            _count,
            weights=_weights,
        )
built("C6 eight cells", lambda: CirculantIndex(8), (8, 1), EQ, 8)

# --- C7: pooled, and one axis gone ---


class Ended(nnx.Module):
    """A part, the mean over rows, and a dense layer of what is left."""

    def __init__(self, part: Callable, width: int, flatten: bool = True):
        self.part, self.flatten = part, flatten
        self.head = nnx.Linear(width, 2, rngs=nnx.Rngs(0))

    def __call__(self, x):
        y = self.part(x).mean(1)
        return self.head(y.reshape(y.shape[0], -1) if self.flatten else y)


def averaged(x: Array) -> Array:
    return nnx.avg_pool(x, (2, 2), (2, 2))


for _name, _part, _width, _flatten, _shape, _property, _count in (
    ("average pool", averaged, 2, True, SQUARE, INV, 4),
    ("average pool by channel", averaged, 1, False, SQUARE, EQ, 8),
    ("relu, average pool", lambda x: averaged(nnx.relu(x)), 2, True, SQUARE, INV, 4),
    ("average pool, relu", lambda x: nnx.relu(averaged(x) - 1), 2, True, SQUARE, INV, 2),
    ("blur", BlurPool(2), 2, True, SQUARE, INV, 4),
    ("blur, tanh", lambda x: jnp.tanh(BlurPool(2)(x)), 2, True, SQUARE, INV, 2),
    ("blur twice", lambda x: BlurPool(2)(BlurPool(2)(x)), 2, True, (8, 8, 1), INV, 8),
    ("max pool", lambda x: nnx.max_pool(x, (2, 2), (2, 2)), 2, True, SQUARE, INV, 2),
    ("rows are pooled", lambda x: nnx.avg_pool(x, (2, 1), (2, 1)), 4, True, SQUARE, INV, 4),
    ("rows are pooled by channel", lambda x: nnx.avg_pool(x, (2, 1), (2, 1)), 1, False, SQUARE, EQ, 16),
    ("strided", lambda x: x[:, ::2, ::2], 2, True, SQUARE, INV, 2),
):  # fmt: skip
    built(
        f"C7 {_name}",
        lambda p=_part, w=_width, f=_flatten: Ended(p, w, f),
        _shape,
        _property,
        _count,
        axes=None if _flatten else (1,),
    )

# --- C8: blocks by residue ---


def blocks(sizes: tuple[int, ...], fn: Callable) -> Callable:
    return lambda x: fn(x.reshape(x.shape[0], *sizes)).reshape(x.shape)


for _name, _fn, _shape, _property, _count in (
    ("3 x 2", blocks((3, 2), lambda y: y * y.sum(1, keepdims=True)), LINE, EQ, 6),
    ("maximum", blocks((2, 3), lambda y: y - y.max(1, keepdims=True)), LINE, EQ, 6),
    ("mean", blocks((2, 4), lambda y: y - y.mean(1, keepdims=True)), (8, 1), EQ, 8),
    ("along the block", blocks((2, 3), lambda y: y * y.sum(2, keepdims=True)), LINE, EQ, 2),
    ("all of it", blocks((2, 3), lambda y: y * y.sum((1, 2), keepdims=True)), LINE, EQ, 6),
    ("softmax", blocks((2, 3), lambda y: jax.nn.softmax(y, 1)), LINE, EQ, 6),
    ("three factors", blocks((2, 2, 2), lambda y: y * y.sum(1, keepdims=True)), (8, 1), EQ, 8),
    ("two of three factors", blocks((2, 2, 2), lambda y: y * y.sum((1, 2), keepdims=True)), (8, 1), EQ, 8),
    ("the middle factor", blocks((2, 2, 2), lambda y: y * y.sum(2, keepdims=True)), (8, 1), EQ, 2),
    ("residues alone", lambda x: x.reshape(-1, 2, 3, 1).sum(1), LINE, EQ, 6),
    ("residues, sorted", lambda x: jnp.sort(x.reshape(-1, 2, 3).max(1), 1), LINE, INV, 6),
    ("2-D",
     lambda x: (lambda y: y - y.mean((1, 3), keepdims=True))(x.reshape(-1, 2, 2, 2, 2)).reshape(x.shape),
     SQUARE, EQ, 16),
    ("a dot product", blocks((2, 3), lambda y: jnp.einsum("bij,bkj->bik", y, y) @ y), LINE, EQ, 2),
):  # fmt: skip
    aside(f"C8 {_name}", _fn, _shape, _property, _count)

# --- C9: pooled, mixed by unknown weights, and averaged ---


class Averaged(nnx.Module):
    """A pool, a layer of unknown weights, a mean over all cells."""

    def __init__(self, pool: Callable, layer: Callable[[nnx.Rngs], Any], axes: tuple[int, ...]):
        self.pool, self.layer, self.axes = pool, layer(nnx.Rngs(0)), axes

    def __call__(self, x):
        return self.layer(self.pool(x)).mean(self.axes)


def circular_conv(rank: int, strides: int = 1, **options: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: nnx.Conv(
        1, 2, (3,) * rank, strides=strides, padding="CIRCULAR", rngs=rngs, **options
    )


def linear(rngs: nnx.Rngs) -> Any:
    return nnx.Linear(1, 3, rngs=rngs)


def pool(window: int, stride: int, rank: int) -> Callable:
    return lambda x: nnx.avg_pool(x, (window,) * rank, (stride,) * rank)


for _name, _pool, _layer, _shape, _count in (
    ("1-D", pool(2, 2, 1), circular_conv(1), LINE, 6),
    ("windows of three", pool(3, 3, 1), circular_conv(1), LINE, 6),
    ("3-D", pool(2, 2, 3), circular_conv(3), (4, 4, 2, 1), 32),
    ("linear", pool(2, 2, 2), linear, SQUARE, 16),
    ("no bias", pool(2, 2, 2), circular_conv(2, use_bias=False), SQUARE, 16),
    ("blur", BlurPool(2), circular_conv(2), SQUARE, 16),
    ("twice", lambda x: pool(2, 2, 1)(pool(2, 2, 1)(x)), circular_conv(1), (8, 1), 8),
    ("relu first", lambda x: pool(2, 2, 1)(nnx.relu(x)), circular_conv(1), LINE, 6),
    ("relu between", lambda x: nnx.relu(pool(2, 2, 1)(x)), circular_conv(1), LINE, 3),
    ("max pool", lambda x: nnx.max_pool(x, (2,), (2,)), circular_conv(1), LINE, 3),
    ("stride in the convolution", pool(2, 1, 1), circular_conv(1, 2), (7, 1), 1),
    ("dilated", pool(2, 2, 1), circular_conv(1, kernel_dilation=2), (8, 1), 8),
):
    built(
        f"C9 {_name}",
        lambda p=_pool, la=_layer, s=_shape: Averaged(p, la, tuple(range(1, len(s)))),
        _shape,
        INV,
        _count,
    )

# --- C12: indices under vmap, and axes of one cell ---


def rows(fn: Callable) -> Callable:
    """The function of one row of cells, for all rows."""
    return lambda x: jax.vmap(jax.vmap(fn))(x)


for _name, _fn, _shape, _property, _count, _axes in (
    ("slice per image",
     lambda x: jax.vmap(lambda y: lax.dynamic_slice_in_dim(y, 0, 2, 1))(x).sum(2), SQUARE, EQ, 4,
     (1,)),
    ("slice per row", rows(lambda r: lax.dynamic_slice_in_dim(r, 1, 3, 0).sum(0)), SQUARE, EQ, 4, (1,)),
    ("index per row", rows(lambda r: lax.dynamic_index_in_dim(r, 2, 0, False)), SQUARE, EQ, 4, (1,)),
    ("whole slice per row", rows(lambda r: lax.dynamic_slice_in_dim(r, 0, 4, 0)), SQUARE, EQ, 16, None),
    ("update per row", rows(lambda r: lax.dynamic_update_slice_in_dim(r, 0 * r[:1], 1, 0)), SQUARE, EQ, 4, None),
    ("whole update per row", rows(lambda r: lax.dynamic_update_slice_in_dim(r, 2 * r, 0, 0)), SQUARE, EQ, 16, None),
    ("roll per row", rows(lambda r: jnp.roll(r, 1, 0)), SQUARE, EQ, 16, None),
    ("take per row", rows(lambda r: r[jnp.array([1, 2, 3, 0])]), SQUARE, EQ, 16, None),
    ("slices at several places",
     lambda x: jax.vmap(lambda i: lax.dynamic_slice_in_dim(x, i, 2, 1).sum(1), out_axes=1)(jnp.array([0, 2])),
     FOUR, EQ, 2, None),
    ("slices at all places",
     lambda x: jax.vmap(
         lambda i: lax.dynamic_slice_in_dim(jnp.concatenate([x, x], 1), i, 2, 1).sum(1), out_axes=1
     )(jnp.arange(4)),
     FOUR, EQ, 4, None),
    ("roll of one row", lambda x: x + jnp.tanh(jnp.roll(x, 1, 1)), (1, 6, 1), EQ, 6, None),
    ("roll of one column", lambda x: x * jnp.roll(x, (1, 2), (1, 2)), (6, 1, 1), EQ, 6, None),
    ("roll of one plane", lambda x: x + sum(jnp.roll(x, 1, a) for a in (1, 2, 3)), (1, 2, 3, 1), EQ, 6, None),
    ("roll of one cell", lambda x: jnp.roll(x, -3, 1) ** 2, (1, 1), EQ, 1, None),
    ("Laplacian of one row",
     lambda x: sum(jnp.roll(x, s, a) - x for a in (1, 2) for s in (1, -1)),
     (1, 6, 1), EQ, 6, None),
):  # fmt: skip
    aside(f"C12 {_name}", _fn, _shape, _property, _count, axes=_axes)

# --- the same kinds in three dimensions, wrapped, in complex numbers, backwards ---

CUBE = (2, 2, 2, 1)


@jax.custom_jvp
def bytes_in_pairs(x: Array) -> Array:
    return paired("int8", lambda a, b: a + b)(x)


bytes_in_pairs.defjvp(lambda primals, tangents: (bytes_in_pairs(*primals), 0 * tangents[0].sum(1)))


@jax.custom_vjp
def cubed(z: Array) -> Array:
    return (z**3 * jnp.roll(z, 1, 1)).sum()


cubed.defvjp(lambda z: (cubed(z), z), lambda z, g: (g * jnp.tanh(z + jnp.roll(z, 1, 1)),))


def cube_translations() -> np.ndarray:
    cells = np.arange(8).reshape(2, 2, 2)
    return np.stack([np.roll(cells, s, (0, 1, 2)).ravel() for s in np.ndindex(2, 2, 2)])


def byte_sums(a: Array, b: Array) -> Array:
    return (whole(a, "int8") + whole(b, "int8")).astype(jnp.float32)


def cube_conv(x: Array) -> Array:
    """Wrapped, convolved with zeros beyond the border, cropped."""
    wide = jnp.pad(x, ((0, 0), *[(1, 1)] * 3, (0, 0)), mode="wrap")
    kernel = np.arange(27, dtype=np.float32).reshape(3, 3, 3, 1, 1)
    numbers = ("NDHWC", "DHWIO", "NDHWC")
    return lax.conv_general_dilated(wide, kernel, (1, 1, 1), "SAME", dimension_numbers=numbers)[
        :, 1:-1, 1:-1, 1:-1
    ]


def complex_pair(x: Array) -> Array:
    return lax.complex(x, jnp.tanh(x))


CUBE_TABLE = cube_translations().astype(np.int32)
CUBE_TAPS = RNG.normal(size=(8, 2)).astype(np.float32)
for _name, _fn, _shape, _property, _count in (
    ("A1 a plane of a cube", lambda x: x.at[:, 0].apply(jnp.sin), CUBE, EQ, 4),
    ("A1 complex", lambda x: abs(complex_pair(x).at[:, jnp.array([0, 2])].multiply(2j)), FOUR, EQ, 2),
    ("A1 backwards", lambda x: x[:, ::-1].at[:, ::2].apply(jnp.cos), FOUR, EQ, 2),
    ("A1 fill with the greatest byte",
     lambda x: whole(x, "uint8").at[:, jnp.array([1, 2, 3, 4])].get(mode="fill", fill_value=255)
     .astype(jnp.float32).min(1),
     FOUR, INV, 1),
    ("A1 set by a mask", lambda x: x.at[np.array([[True, False, True, False]])].set(0.0), FOUR, EQ, 2),
    ("A2 halves of a cube", lambda x: byte_sums(x[:, 0], x[:, 1]).sum((1, 2)), CUBE, INV, 8),
    ("A2 custom derivative", bytes_in_pairs, LINE, INV, 3),
    ("A2 jit", jax.jit(paired("uint8", lambda a, b: a + b)), LINE, INV, 3),
    ("A2 under vmap", lambda x: jax.vmap(lambda r: paired("int8", lambda a, b: a + b)(r[None])[0])(x), LINE, INV, 3),
    ("A2 in a scan",
     lambda x: lax.scan(lambda c, t: (c + t, None), jnp.zeros((1, 1)),
                        jnp.moveaxis(byte_sums(x[:, ::2], x[:, 1::2]), 1, 0))[0],
     LINE, INV, 3),
    ("C2 jit", jax.jit(lambda x: abs(lax.fori_loop(0, 3, lambda i, p: -2 * p, fft(x)))), LINE, INV, 6),
    ("C2 a cube",
     lambda x: abs(lax.scan(lambda p, _: (-p, None), jnp.fft.fftn(x, axes=(1, 2, 3)), length=2)[0]),
     CUBE, INV, 8),
    ("C3 custom derivative", jax.grad(cubed), LINE, EQ, 6),
    ("C4 a cube", cube_conv, CUBE, EQ, 8),
    ("C5 a cube", lambda x: jnp.tanh(x.reshape(-1, 8)[:, CUBE_TABLE] @ CUBE_TAPS).sum((1, 2)), CUBE, INV, 8),
    ("C8 complex", lambda x: abs(blocks((2, 3), lambda y: y * y.sum(1, keepdims=True))(complex_pair(x))), LINE, EQ, 6),
    ("C9 in a scan",
     lambda x: lax.scan(lambda c, _: (3 * c, None), pool(2, 2, 1)(x), length=2)[0].mean(1),
     LINE, INV, 6),
    ("C12 of a cube", rows(lambda r: lax.dynamic_slice_in_dim(r, 0, 1, 1).sum(1)), CUBE, EQ, 4),
):  # fmt: skip
    aside(_name, _fn, _shape, _property, _count, axes=(1, 2) if _name == "C12 of a cube" else None)


def _rounds(body: Callable, count: int) -> Callable:
    return lambda y: lax.fori_loop(0, count, lambda i, y: body(y), y)


def _logistic_map(y: Array) -> Array:
    return 4 * y * (1 - y)


def _same_map(y: Array) -> Array:
    return 4 * jnp.exp(jnp.log(y) + jnp.log1p(-y))


def _start(x: Array) -> Array:
    """Of large images always 0.9, whatever their last places are."""
    return jnp.clip(x.max(1), 0.1, 0.9)


aside(
    "B4 chaos in one of two loops of the same meaning",
    lambda x: lax.cond(
        x[0, 0, 0] > x[0, 1, 0], _rounds(_logistic_map, 200), _rounds(_same_map, 200), _start(x)
    ),
    LINE,
    INV,
    None,
    true=6,
    reals=fixed(lambda x: _start(x)),
)
for _name, _fn in {
    "sigmoid below one": lambda x: (nnx.sigmoid(x) < 1)[:, 0].astype(jnp.float32),
    "tanh below one": lambda x: (jnp.tanh(x) < 1)[:, 0].astype(jnp.float32),
    "erf below one": lambda x: (lax.erf(x) < 1)[:, 0].astype(jnp.float32),
    "the sign of gelu": lambda x: (jnp.sign(nnx.gelu(x, approximate=False)) == jnp.sign(x))[
        :, 0
    ].astype(jnp.float32),
    "silu is zero at zero alone": lambda x: ((nnx.silu(30 * x) == 0) == (x == 0))[:, 0].astype(
        jnp.float32
    ),
}.items():
    aside(
        f"B4 {_name}",
        _fn,
        FOUR,
        INV,
        None,
        true=4,
        reals=fixed(lambda x: jnp.ones_like(x)[:, 0]),
    )
aside("B4 sigmoid below a half", lambda x: (nnx.sigmoid(x) < 0.5)[:, 0] * 1.0, FOUR, INV, 1)
