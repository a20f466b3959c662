"""The case table of the primitives: small models, and under how many shifts something is proved of their outputs.

A case names a function of a batch of images and the shape of one image, channels last. `kept` counts the shifts of the
grid under which the kernel makes a claim about the output, `same` those under which it proves that the output stays.
Cases with few kept shifts are the must-fail twins of their neighbours. For several outputs both are tuples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.ad_checkpoint import checkpoint_name


@dataclass(frozen=True)
class Case:
    """A model and what is proved of it.

    Attributes:
        name: of the case.
        make: gives the model: a function of a batch, or an `nnx.Module`.
        image: shape of one image.
        kept: shifts under which something is claimed of the output; one number per output leaf.
        same: shifts under which the output is proved to stay.
        axes: grid axes of one image.
        weights: `all` or `these`.
    """

    name: str
    make: Callable[[], Any]
    image: tuple[int, ...]
    kept: int | Sequence[int]
    same: int | Sequence[int]
    axes: tuple[int, ...]
    weights: str = "all"


CASES: list[Case] = []
GAP = np.ones((2, 2, 2), np.complex128)


def case(
    name: str,
    fn: Any,
    image: tuple[int, ...],
    kept: int | Sequence[int],
    same: int | Sequence[int] = 1,
    axes: tuple[int, ...] | None = None,
) -> None:
    grid = tuple(range(len(image) - 1)) if axes is None else axes
    CASES.append(Case(name, lambda: fn, image, kept, same, grid))


def layer(
    name: str,
    make: Callable[[nnx.Rngs], Any],
    image: tuple[int, ...],
    kept: int | Sequence[int],
    same: int | Sequence[int] = 1,
    weights: str = "all",
) -> None:
    grid = tuple(range(len(image) - 1))
    CASES.append(Case(name, lambda: make(nnx.Rngs(0)), image, kept, same, grid, weights))


TABLE_2 = np.array([3.0, 5.0])  # repeats nowhere
RAMP = np.arange(12.0)


# --- position by position ---

UNARY = """
    abs acosh asinh atan atanh bessel_i0e bessel_i1e cbrt ceil conj cos cosh digamma erf erf_inv erfc exp exp2
    expm1 floor integer_pow is_finite lgamma log log1p logistic neg reduce_precision round rsqrt sign sin
    sinh sqrt square tan tanh real imag acos asin
    """.split()
SPECIAL: dict[str, Callable] = {
    "conj": lambda x: lax.conj(lax.complex(x, x)),
    "real": lambda x: lax.real(lax.complex(x, 2 * x)),
    "imag": lambda x: lax.imag(lax.complex(x, 2 * x)),
    "integer_pow": lambda x: lax.integer_pow(x, 3),
    "reduce_precision": lambda x: lax.reduce_precision(x, 5, 4),
    "round": lambda x: lax.round(x / 3),
    "acos": lambda x: lax.acos(x / 9),
    "asin": lambda x: lax.asin(x / 9),
    "atanh": lambda x: lax.atanh(x / 9),
    "erf_inv": lambda x: lax.erf_inv(x / 9),
}
for _name in UNARY:
    case(_name, SPECIAL.get(_name) or getattr(lax, _name), (4, 1), 4)

BINARY = """
    add atan2 div eq ge gt igamma igammac le lt max min mul ne nextafter pow rem sub
    """.split()
for _name in BINARY:
    _fn = getattr(lax, _name)
    case(_name, lambda x, _fn=_fn: _fn(x, x + 1), (4, 1), 4)
    case(
        f"{_name}, a position table",
        lambda x, _fn=_fn: _fn(x, x * 0 + RAMP[:4, None] + 1),
        (4, 1),
        1,
    )

WHOLE_NUMBERS = """
    and or xor shift_left shift_right_arithmetic shift_right_logical
    """.split()
for _name in WHOLE_NUMBERS:
    _fn = getattr(lax, f"bitwise_{_name}" if len(_name) < 4 else _name)
    case(_name, lambda x, _fn=_fn: _fn(x.astype(jnp.int32), 2 * x.astype(jnp.int32)), (4, 1), 4)
case("not", lambda x: lax.bitwise_not(x.astype(jnp.int32)), (4, 1), 4)
case("clz", lambda x: lax.clz(x.astype(jnp.int32)), (4, 1), 4)
case("population_count", lambda x: lax.population_count(x.astype(jnp.int32)), (4, 1), 4)
case("complex", lambda x: lax.complex(x, x + 1), (4, 1), 4)
case("polygamma", lambda x: lax.polygamma(jnp.ones_like(x), x), (4, 1), 4)
case("zeta", lambda x: lax.zeta(x + 1, x), (4, 1), 4)
case("betainc", lambda x: lax.betainc(x, x + 1, x / 10), (4, 1), 4)
case("igamma_grad_a", lambda x: lax.igamma_grad_a(x, x + 1), (4, 1), 4)
case("random_gamma_grad", lambda x: lax.random_gamma_grad(x, x + 1), (4, 1), 4)
case("copy", lambda x: jnp.array(x, copy=True), (4, 1), 4)
case("stop_gradient", lambda x: lax.stop_gradient(x) * 2, (4, 1), 4)
case("checkpoint_name", lambda x: checkpoint_name(x, "a") * 2, (4, 1), 4)
case("device_put", lambda x: jax.device_put(x) * 2, (4, 1), 4)
case("optimization_barrier", lambda x: lax.optimization_barrier((x, 2 * x)), (4, 1), (4, 4), (1, 1))
case("convert_element_type", lambda x: (x / 2).astype(jnp.int32), (4, 1), 4)
case("bitcast, same size", lambda x: lax.bitcast_convert_type(x, jnp.int64), (4, 1), 4)
case("bitcast, another size", lambda x: lax.bitcast_convert_type(x, jnp.int32), (4, 1), 1)
case("clamp, scalars", lambda x: lax.clamp(2.0, x, 5.0), (4, 1), 4)
case("clamp, arrays", lambda x: lax.clamp(x - 1, 2 * x, x + 3), (4, 1), 4)
case("clamp, table", lambda x: lax.clamp(0 * x + RAMP[:4, None], x, 0 * x + 9), (4, 1), 1)
case("select_n", lambda x: jnp.where(x > 3, x, 2 * x), (4, 4, 1), 16)
case("select_n, scalar choice", lambda x: lax.select(jnp.sum(x) > 3, x, 2 * x), (4, 1), 4)
case("select_n, mask", lambda x: jnp.where(RAMP[:4, None] > 1, x, 2 * x), (4, 1), 1)
case("select_n, periodic mask", lambda x: jnp.where(RAMP[:4, None] % 2 > 0, x, 0), (4, 1), 2)
case(
    "select_n, full mask",
    lambda x: jnp.where(RAMP[:4, None] >= 0, x, x * RAMP[:4, None]),
    (4, 1),
    4,
)
case(
    "select_n, three cases",
    lambda x: lax.select_n((x % 3).astype(jnp.int32), x, -x, x * x),
    (4, 1),
    4,
)
case("mul by zero", lambda x: x * jnp.zeros((4, 1)) + 1, (4, 1), 4, 4)
case("mul by one zero", lambda x: x * jnp.array([1.0, 1, 1, 0])[:, None], (4, 1), 1)
case("a scalar of the image", lambda x: x / jnp.sum(x), (4, 1), 4)
case("one cell everywhere", lambda x: x - x[:, :1], (4, 1), 1)
case(
    "size one, implicitly",
    lambda x: lax.add(x, jnp.sum(x, 1, keepdims=True) * jnp.ones_like(x)),
    (4, 1),
    4,
)
case("a grid of one cell", lambda x: x + 1, (1, 2), 1, 1)
case("one axis of the grid has one cell", lambda x: x + 1, (1, 4, 1), 4)


# --- the same cells elsewhere ---

case(
    "broadcast_in_dim",
    lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], 3, *x.shape[1:])),
    (4, 2),
    4,
)
case(
    "broadcast_in_dim, of a mean",
    lambda x: jnp.broadcast_to(jnp.mean(x, 1, keepdims=True), x.shape),
    (4, 2),
    4,
    4,
)
case("broadcast_in_dim, of one cell", lambda x: jnp.broadcast_to(x[:, :1], x.shape), (4, 2), 1)
case("expand_dims", lambda x: jnp.expand_dims(x, (1, 3)), (4, 2), 4)
case("squeeze", lambda x: jnp.squeeze(x[..., None], -1), (4, 1), 4)
case("squeeze, one cell", lambda x: jnp.squeeze(x[:, 1:2], 1), (4, 1), 4)
case("reshape, patches", lambda x: x.reshape(x.shape[0], 3, 2, 2), (6, 2), 3)
case("reshape, other patches", lambda x: x.reshape(x.shape[0], 2, 3, 2), (6, 2), 2)
case("reshape, flat", lambda x: x.reshape(x.shape[0], -1), (4, 3), 4)
case("reshape, across", lambda x: x.reshape(x.shape[0], 3, 4), (4, 3), 1)
case("reshape, two axes flat", lambda x: x.reshape(x.shape[0], -1), (4, 3, 2), 12)
case(
    "reshape, two axes flat and back",
    lambda x: x.reshape(x.shape[0], -1, 2).reshape(x.shape),
    (4, 3, 2),
    12,
)
case(
    "reshape, axes turned",
    lambda x: lax.reshape(x, (x.shape[0], 2, 4), (0, 2, 1)),
    (4, 2),
    4,
)
case(
    "reshape, axes turned across",
    lambda x: lax.reshape(x, (x.shape[0], 4, 2), (0, 2, 1)),
    (4, 2),
    2,
)
case("median", lambda x: jnp.median(x, axis=(1, 2)), (4, 2), 4, 4)
case("reshape, size one", lambda x: x.reshape(x.shape[0], 1, 4, 1, 2, 1), (4, 2), 4)
case(
    "patchify",
    lambda x: x.reshape(x.shape[0], 2, 2, 2, 3, 1).transpose(0, 1, 3, 2, 4, 5),
    (4, 6, 1),
    4,
)
case("pixel shuffle", lambda x: x.reshape(x.shape[0], 4, 2).reshape(x.shape[0], 8), (4, 2), 4)
case(
    "pixel shuffle, 2-D",
    lambda x: x.reshape(x.shape[0], 2, 4, 2, 2).transpose(0, 1, 3, 2, 4).reshape(x.shape[0], 4, 8),
    (2, 4, 4),
    8,
)
case("transpose", lambda x: x.transpose(2, 0, 3, 1), (4, 3, 2), 12)
case("tile, minor", lambda x: jnp.tile(x, (1, 1, 3)), (4, 2), 4)
case("tile, grid", lambda x: jnp.tile(x, (1, 2, 1)), (4, 2), 4)
case(
    "tile, grid and another",
    lambda x: jnp.tile(x, (1, 2, 1)) * jnp.tile(RAMP[:4], 2)[:, None],
    (4, 2),
    1,
)
case("repeat", lambda x: jnp.repeat(x, 2, 1), (4, 2), 4)
case("stack, last", lambda x: jnp.stack([x, 2 * x], -1), (4, 2), 4)
case("stack, before the grid", lambda x: jnp.stack([x, 2 * x], 1), (4, 2), 4)
case("unstack", lambda x: jnp.unstack(x, axis=2)[1] * 2, (4, 2), 4)
case("unstack, along the grid", lambda x: jnp.unstack(x, axis=1)[1:3], (4, 2), (4, 4), (1, 1))
case("scatter, subtracted", lambda x: x.at[..., 0].subtract(x[..., 1]), (4, 2), 4)
case("logarithm to the base 2", lambda x: jnp.log2(1 + x**2), (4, 2), 4)
case("stack, interleaved", lambda x: jnp.stack([x, 2 * x], 2).reshape(x.shape[0], 8, 1), (4, 1), 4)
case("slice, contiguous", lambda x: x[:, 1:3], (4, 2), 4)
case("slice, channel", lambda x: x[..., 1:], (4, 2), 4)
case("slice, stride 2", lambda x: x[:, ::2], (4, 2), 2)
case("slice, stride 2 of 5", lambda x: x[:, ::2], (5, 2), 5)
case("slice, stride 2 offset 1", lambda x: x[:, 1::2], (6, 1), 3)
case("slice, stride as long as the axis", lambda x: x[:, ::4], (4, 1), 4)
case("slice, empty", lambda x: (x[:, 2:2], x), (4, 1), (4, 4), (4, 1))
case("rev", lambda x: jnp.flip(x, 1), (4, 2), 4)
case("rev, and back", lambda x: jnp.flip(jnp.flip(x, 1), 1) + x, (4, 2), 4)
case("rev, and the value", lambda x: jnp.flip(x, 1) + x, (4, 2), 2)
case("rev, of channels", lambda x: jnp.flip(x, 2), (4, 2), 4)
case("split", lambda x: jnp.split(x, 2, 1), (4, 2), (4, 4), (1, 1))
case("split, channels", lambda x: jnp.split(x, [1], -1), (4, 3), (4, 4), (1, 1))
case("split, empty part", lambda x: jnp.split(x, [0, 1], -1), (4, 3), (4, 4, 4), (4, 1, 1))
case("concatenate, channels", lambda x: jnp.concatenate([x, 2 * x], -1), (4, 2), 4)
case("concatenate, grid", lambda x: jnp.concatenate([x, x], 1), (4, 2), 4)
case("concatenate, grid, another value", lambda x: jnp.concatenate([x, 2 * x], 1), (4, 2), 4)
case(
    "concatenate, grid, half of another value",
    lambda x: jnp.concatenate([x[:, :2], 2 * x[:, 2:]], 1),
    (4, 2),
    1,
)
case("concatenate, empty", lambda x: jnp.concatenate([x, x[:, :0]], 1), (4, 2), 4)
case(
    "concatenate, another channel",
    lambda x: jnp.concatenate([x[:, :2, :1], x[:, 2:, 1:]], 1),
    (4, 2),
    1,
)
case(
    "concatenate, token",
    lambda x: jnp.concatenate([jnp.zeros((x.shape[0], 1, 2)), x], 1),
    (4, 2),
    4,
)
case(
    "concatenate, zeros and a window",
    lambda x: jnp.diff(jnp.concatenate([jnp.zeros((x.shape[0], 1, 2)), x], 1), axis=1).max(1),
    (4, 2),
    1,
)
case("roll", lambda x: jnp.roll(x, 3, 1), (4, 2), 4)
case("roll, and the value", lambda x: jnp.roll(x, 3, 1) * x, (4, 2), 4)
case("roll, two axes", lambda x: jnp.roll(x, (1, 2), (1, 2)), (4, 3, 1), 12)
case("roll, joined", lambda x: jnp.concatenate([jnp.roll(x, 1, 1), x[:, 3:]], 1), (4, 2), 4)
case("roll, slices off by one", lambda x: jnp.concatenate([x[:, 2:], x[:, 1:2]], 1), (4, 1), 1)
case(
    "dynamic_slice, known", lambda x: lax.dynamic_slice(x, (0, 1, 0), (x.shape[0], 2, 2)), (4, 2), 4
)
case(
    "dynamic_slice, clamped",
    lambda x: lax.dynamic_slice(x, (0, 9, 0), (x.shape[0], 2, 2)),
    (4, 2),
    4,
)
case(
    "dynamic_slice, chosen by the image",
    lambda x: lax.dynamic_slice(x, (0, 0, jnp.sum(x).astype(jnp.int64) % 2), (*x.shape[:2], 1)),
    (4, 2),
    4,
)
case(
    "dynamic_slice, along the grid, chosen by the image",
    lambda x: lax.dynamic_slice(x, (0, jnp.sum(x).astype(jnp.int64) % 2, 0), (x.shape[0], 2, 2)),
    (4, 2),
    1,
)
case(
    "dynamic_slice, chosen by a cell",
    lambda x: lax.dynamic_index_in_dim(x, x[0, 0, 0].astype(jnp.int64) % 2, 2),
    (4, 2),
    1,
)
case(
    "dynamic_update_slice, channel",
    lambda x: lax.dynamic_update_slice(x, 7 * x[..., :1], (0, 0, 1)),
    (4, 2),
    4,
)
case(
    "dynamic_update_slice, all", lambda x: lax.dynamic_update_slice(x, 7 * x, (0, 0, 1)), (4, 2), 4
)
case(
    "dynamic_update_slice, nothing",
    lambda x: lax.dynamic_update_slice(x, x[:, :0], (0, 0, 0)),
    (4, 2),
    1,
)
case(
    "dynamic_update_slice, grid",
    lambda x: lax.dynamic_update_slice(x, 7 * x[:, :1], (0, 1, 0)),
    (4, 2),
    1,
)
case(
    "dynamic_update_slice, box",
    lambda x: lax.dynamic_update_slice(x, jnp.ones((1, 4, 1)), (1, 0, 1)),
    (4, 2),
    4,
)
case(
    "dynamic_update_slice, unknown",
    lambda x: lax.dynamic_update_slice(x, x[..., :1], (0, 0, jnp.sum(x).astype(int) % 2)),
    (4, 2),
    1,
)
case("scatter, channel", lambda x: x.at[..., 0].set(5), (4, 2), 4)
case("scatter, channel from a value", lambda x: x.at[..., 1].set(x[..., 0] * 2), (4, 2), 4)
case("scatter, channels swapped", lambda x: x.at[..., jnp.array([1, 0])].set(x), (4, 2), 1)
case("scatter, grid", lambda x: x.at[:, 0].set(5), (4, 2), 1)
case("scatter, into zeros", lambda x: jnp.zeros((x.shape[0], 4, 5)).at[:, :, 2:4].set(x), (4, 2), 4)
case(
    "scatter, transposed",
    lambda x: jnp.zeros((4, x.shape[0], 3)).at[:, :, 1].set(x[..., 0].T),
    (4, 2),
    4,
)
case("scatter-add, channel", lambda x: x.at[..., 0].add(x[..., 1]), (4, 2), 4)
case("scatter-add, twice", lambda x: x.at[..., jnp.array([0, 0])].add(x), (4, 2), 1)
case("scatter-mul", lambda x: x.at[..., 0].multiply(2), (4, 2), 4)
case("scatter-mul, grid", lambda x: x.at[:, 0].multiply(2), (4, 2), 1)
case("scatter-max, channel", lambda x: x.at[..., 0].max(x[..., 1]), (4, 2), 4)
case("scatter-min, grid", lambda x: x.at[:, 0].min(x[:, 1]), (4, 2), 1)
case("scatter, a function", lambda x: x.at[..., 0].apply(jnp.sin), (4, 2), 4)
case("scatter, a function of the grid", lambda x: x.at[:, 0].apply(jnp.sin), (4, 2), 1)
case("pad, zeros", lambda x: jnp.pad(x, ((0, 0), (1, 1), (0, 0))), (4, 2), 1)
case("pad, channels", lambda x: jnp.pad(x, ((0, 0), (0, 0), (1, 2))), (4, 2), 4)
case("pad, wrap", lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 0)), mode="wrap"), (4, 2), 4)
case(
    "pad, wrap, further than once around",
    lambda x: jnp.pad(x, ((0, 0), (5, 6), (0, 0)), mode="wrap"),
    (4, 2),
    4,
)
case(
    "pad, wrap, 2-D",
    lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="wrap"),
    (4, 3, 1),
    12,
)
case("pad, reflect", lambda x: jnp.pad(x, ((0, 0), (1, 1), (0, 0)), mode="reflect"), (4, 2), 1)
case("pad, edge", lambda x: jnp.pad(x, ((0, 0), (1, 1), (0, 0)), mode="edge"), (4, 2), 1)
case("pad, negative", lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-1, -1, 0), (0, 0, 0))), (4, 2), 4)
case("pad, interior", lambda x: lax.pad(x, 0.0, ((0, 0, 0), (0, 1, 1), (0, 0, 0))), (4, 2), 4)
case(
    "pad, interior and shifted",
    lambda x: lax.pad(x, 3.0, ((0, 0, 0), (1, 0, 1), (0, 0, 0))),
    (4, 2),
    4,
)
case(
    "pad, interior and too much",
    lambda x: lax.pad(x, 0.0, ((0, 0, 0), (1, 2, 1), (0, 0, 0))),
    (4, 2),
    1,
)
case(
    "pad, interior and negative",
    lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-1, -2, 2), (0, 0, 0))),
    (4, 2),
    4,
)
case(
    "pad, by a value of the image",
    lambda x: lax.pad(x, jnp.max(x), ((0, 0, 0), (0, 0, 0), (1, 0, 0))),
    (4, 2),
    4,
)
case(
    "pad, of nothing",
    lambda x: lax.pad(x[:, :0], jnp.max(x), ((0, 0, 0), (2, 0, 0), (0, 0, 0))),
    (4, 2),
    4,
    4,
)
case(
    "gather, resize nearest up",
    lambda x: jax.image.resize(x, (x.shape[0], 8, 2), "nearest"),
    (4, 2),
    4,
)
case(
    "gather, resize nearest down",
    lambda x: jax.image.resize(x, (x.shape[0], 2, 2), "nearest"),
    (4, 2),
    2,
)
case(
    "gather, resize nearest, uneven",
    lambda x: jax.image.resize(x, (x.shape[0], 6, 2), "nearest"),
    (4, 2),
    2,
)
case(
    "gather, resize nearest, 2-D",
    lambda x: jax.image.resize(x, (x.shape[0], 8, 6, 1), "nearest"),
    (4, 3, 1),
    12,
)
case("gather, a list", lambda x: x[:, jnp.array([0, 2])], (4, 2), 2)
case("gather, no pattern", lambda x: x[:, jnp.array([0, 1, 3])], (4, 2), 1)
case("gather, wrapped list", lambda x: x[:, jnp.array([3, 0, 1, 2])], (4, 2), 4)
case("gather, channels", lambda x: x[..., jnp.array([1, 0, 1])], (4, 2), 4)
case("gather, windows", lambda x: x[:, (np.arange(6)[:, None] + np.arange(3)) % 6], (6, 2), 6)
case(
    "gather, windows of stride 2",
    lambda x: x[:, (np.arange(0, 6, 2)[:, None] + np.arange(3)) % 6],
    (6, 2),
    3,
)
case(
    "gather, windows that leave",
    lambda x: x[:, np.minimum(np.arange(6)[:, None] + np.arange(3), 5)],
    (6, 2),
    1,
)
case("gather, diagonal", lambda x: x[:, np.arange(4), np.arange(4)], (4, 4, 1), 1)
case("gather, take", lambda x: jnp.take(x, np.array([1, 3]), axis=1), (4, 2), 2)
case(
    "gather, take, filled", lambda x: jnp.take(x, np.array([1, 9]), axis=1, mode="fill"), (4, 2), 1
)
case(
    "gather, take, clipped", lambda x: jnp.take(x, np.array([1, 9]), axis=1, mode="clip"), (4, 2), 2
)
case("gather, table by the image", lambda x: jnp.asarray(RAMP)[x[..., 0].astype(int)], (4, 2), 4)
case(
    "gather, rows of a table by the image",
    lambda x: jnp.ones((9, 3))[x[..., 0].astype(int)],
    (4, 4, 1),
    16,
)
case(
    "gather, the image by the image",
    lambda x: jnp.take_along_axis(x, x.astype(int) % 4, 1),
    (4, 2),
    1,
)


# --- windows ---


def convolved(x: Any, *, size: Sequence[int] = (3, 3), out: int = 2, **arguments: Any) -> Any:
    groups = arguments.get("feature_group_count", 1)
    rank = x.ndim - 2
    letters = "DHW"[3 - rank :]
    layout = arguments.pop("layout", (f"N{letters}C", f"{letters}IO", f"N{letters}C"))
    channels = x.shape[layout[0].index("C")] // groups
    kernel = np.random.default_rng(0).integers(-3, 4, (*size, channels, out)).astype(float)
    given = {**dict.fromkeys(letters), "I": channels, "O": out}
    order = [f"{letters}IO".index(c) for c in layout[1]]
    assert given
    arguments = {"window_strides": (1,) * rank, "padding": "VALID", **arguments}
    return lax.conv_general_dilated(
        x, jnp.asarray(kernel.transpose(order)), dimension_numbers=layout, **arguments
    )


def wrapped(x: Any, *amounts: tuple[int, int]) -> Any:
    return jnp.pad(x, ((0, 0), *amounts, (0, 0)), mode="wrap")


def pooled(x: Any, window: Sequence[int], **arguments: Any) -> Any:
    rank = len(window)
    arguments = {"window_strides": (1,) * rank, "padding": "VALID", **arguments}
    return lax.reduce_window(x, -jnp.inf, lax.max, window, **arguments)


case("conv, wrapped", lambda x: convolved(wrapped(x, (1, 1), (1, 1))), (4, 4, 2), 16)
case("conv, valid", lambda x: convolved(x), (4, 4, 2), 16)
case("conv, same", lambda x: convolved(x, padding="SAME"), (4, 4, 1), 1)
case("conv, 1-D", lambda x: convolved(wrapped(x, (2, 1)), size=(4,)), (6, 2), 6)
case(
    "conv, 3-D",
    lambda x: convolved(wrapped(x, (1, 0), (0, 1), (1, 1)), size=(2, 2, 3)),
    (2, 3, 4, 1),
    24,
)
case(
    "conv, stride 2",
    lambda x: convolved(wrapped(x, (1, 1)), size=(3,), window_strides=(2,)),
    (6, 1),
    3,
)
case(
    "conv, stride 2 of 5",
    lambda x: convolved(wrapped(x, (1, 1)), size=(3,), window_strides=(2,)),
    (5, 1),
    5,
)
case(
    "conv, stride 2 of 5, once more",
    lambda x: jnp.sum(convolved(wrapped(x, (1, 1)), size=(3,), window_strides=(2,)), 1),
    (5, 1),
    1,
)
case(
    "conv, strides differ",
    lambda x: convolved(wrapped(x, (1, 1), (1, 1)), window_strides=(1, 2)),
    (3, 4, 1),
    6,
)
case("conv, one by one", lambda x: convolved(x, size=(1, 1)), (4, 4, 2), 16)
case(
    "conv, rhs_dilation",
    lambda x: convolved(wrapped(x, (2, 2)), size=(3,), rhs_dilation=(2,)),
    (5, 1),
    5,
)
case(
    "conv, lhs_dilation",
    lambda x: convolved(x, size=(2,), lhs_dilation=(2,), padding=((1, 1),)),
    (4, 1),
    4,
)
case(
    "conv, lhs_dilation, too much padding",
    lambda x: nnx.relu(convolved(x, size=(2,), lhs_dilation=(2,), padding=((1, 2),))),
    (4, 1),
    1,
)
case("conv, negative padding", lambda x: convolved(x, size=(2,), padding=((-1, -1),)), (6, 1), 6)
case(
    "conv, groups",
    lambda x: convolved(wrapped(x, (1, 1)), size=(3,), out=4, feature_group_count=2),
    (4, 4),
    4,
)
case(
    "conv, depthwise",
    lambda x: convolved(wrapped(x, (1, 1)), size=(3,), out=3, feature_group_count=3),
    (4, 3),
    4,
)
case(
    "conv, batch groups",
    lambda x: convolved(wrapped(x, (1, 1)), size=(3,), batch_group_count=2),
    (4, 1),
    4,
)
case(
    "conv, NCHW",
    lambda x: convolved(
        jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="wrap"), layout=("NCHW", "OIHW", "NCHW")
    ),
    (2, 4, 3),
    12,
    axes=(1, 2),
)
case(
    "conv, an odd layout",
    lambda x: convolved(
        wrapped(x, (1, 1), (1, 1)).transpose(1, 3, 0, 2), layout=("HCNW", "IHOW", "WCNH")
    ),
    (4, 3, 2),
    12,
)
case("conv, the grid is the batch", lambda x: convolved(x.transpose(1, 0, 2), size=(2,)), (4, 2), 4)
case(
    "conv, the grid is the channels",
    lambda x: convolved(x.transpose(0, 2, 1), size=(2,)),
    (4, 2),
    1,
)
case(
    "conv, the image is the kernel",
    lambda x: lax.conv(jnp.ones((1, 2, 9)), x.transpose(0, 2, 1)[:, :, :3], (1,), "VALID"),
    (4, 2),
    1,
)
case(
    "conv, kernel of zeros",
    lambda x: lax.conv(x.transpose(0, 2, 1), jnp.zeros((2, 2, 3)), (1,), "SAME"),
    (4, 2),
    4,
    4,
)
case(
    "conv, wrapped off by one",
    lambda x: convolved(jnp.concatenate([x[:, 2:3], x, x[:, :1]], 1), size=(3,)),
    (4, 1),
    1,
)
case(
    "conv, then mean", lambda x: jnp.mean(convolved(wrapped(x, (1, 1)), size=(3,)), 1), (4, 1), 4, 4
)
case(
    "conv stride 2, then mean",
    lambda x: jnp.mean(nnx.relu(convolved(wrapped(x, (1, 1)), size=(3,), window_strides=(2,))), 1),
    (6, 1),
    3,
    3,
)
case("reduce_window_max", lambda x: nnx.max_pool(x, (2, 2), (2, 2)), (4, 6, 1), 6)
case(
    "reduce_window_max, overlapping",
    lambda x: nnx.max_pool(wrapped(x, (1, 1)), (3,), (1,)),
    (4, 1),
    4,
)
case(
    "reduce_window_max, size not divisible",
    lambda x: jnp.sum(nnx.max_pool(x, (2,), (2,)), 1),
    (5, 1),
    1,
)
case("reduce_window_max, same", lambda x: nnx.max_pool(x, (3,), (2,), "SAME"), (4, 1), 1)
case("reduce_window_max, one by one", lambda x: nnx.max_pool(x, (1,), (1,)), (4, 1), 4)
case("reduce_window_max, stride 3", lambda x: nnx.max_pool(x, (2,), (3,)), (6, 1), 2)
case(
    "reduce_window_max, base dilation",
    lambda x: pooled(x, (1, 2, 1), base_dilation=(1, 2, 1), padding=((0, 0), (1, 0), (0, 0))),
    (4, 1),
    4,
)
case(
    "reduce_window_max, window dilation",
    lambda x: pooled(wrapped(x, (1, 1)), (1, 2, 1), window_dilation=(1, 2, 1)),
    (4, 1),
    4,
)
case("reduce_window_max, over channels", lambda x: pooled(x, (1, 1, 2)), (4, 3), 4)
case("reduce_window_max, the whole map", lambda x: nnx.max_pool(x, (4,), (1,)), (4, 1), 4, 4)
case(
    "reduce_window_max, two periods",
    lambda x: nnx.max_pool(wrapped(x, (0, 4)), (8,), (1,)),
    (4, 1),
    4,
    4,
)
case("reduce_window_max, part of the map", lambda x: nnx.max_pool(x, (3,), (3,)), (4, 1), 4)
case("reduce_window_min", lambda x: nnx.min_pool(x, (2,), (2,)), (4, 1), 2)
case("reduce_window_sum", lambda x: nnx.avg_pool(x, (2, 2), (2, 2)), (4, 4, 1), 4)
case("reduce_window_sum, the whole map", lambda x: nnx.avg_pool(x, (2, 2), (2, 2)), (2, 2, 3), 4, 4)
case(
    "reduce_window_sum, the whole map after a stride",
    lambda x: nnx.avg_pool(nnx.max_pool(x, (2, 2), (2, 2)), (2, 2)),
    (4, 4, 1),
    4,
    4,
)
case(
    "reduce_window_sum, count of cells",
    lambda x: nnx.avg_pool(x, (2,), (2,), "SAME", count_include_pad=False),
    (4, 1),
    2,
)
case(
    "reduce_window_sum, padded, count of cells",
    lambda x: nnx.avg_pool(x, (3,), (1,), "SAME", count_include_pad=False),
    (4, 1),
    1,
)
case(
    "reduce_window_sum, padded everywhere",
    lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 1), (1, 1, 1), ((0, 0), (1, 1), (0, 0))),
    (4, 1),
    4,
)
case(
    "reduce_window, of two",
    lambda x: lax.reduce_window(
        (x, 2 * x),
        (0.0, 0.0),
        lambda a, b: (a[0] + b[0], a[1] * b[1]),
        (1, 2, 1),
        (1, 2, 1),
        "VALID",
    ),
    (4, 1),
    (2, 2),
    (1, 1),
)
case(
    "reduce_window, a product",
    lambda x: lax.reduce_window(x, 1.0, lax.mul, (1, 2, 1), (1, 2, 1), "VALID"),
    (4, 1),
    2,
)

for _size in (2, 3, 4):
    for _stride in (1, 2, 3):
        layer(
            f"conv transpose {_size}, stride {_stride}",
            lambda r, k=_size, s=_stride: nnx.ConvTranspose(
                1, 2, (k,), (s,), padding="CIRCULAR", rngs=r
            ),
            (4, 1),
            4,
        )
layer(
    "conv transpose, 2-D",
    lambda r: nnx.ConvTranspose(2, 2, (3, 3), (2, 2), padding="CIRCULAR", rngs=r),
    (2, 3, 2),
    6,
)
layer(
    "conv transpose, 2-D, kernels differ",
    lambda r: nnx.ConvTranspose(1, 1, (2, 4), (2, 1), padding="CIRCULAR", rngs=r),
    (3, 2, 1),
    6,
)
layer(
    "conv transpose, same",
    lambda r: nnx.ConvTranspose(1, 2, (3,), (2,), padding="SAME", rngs=r),
    (4, 1),
    1,
)
for _padding, _kept in {"CIRCULAR": 12, "REFLECT": 1, "SAME": 1, "VALID": 12}.items():
    layer(
        f"nnx.Conv {_padding}",
        lambda r, p=_padding: nnx.Conv(2, 3, (3, 2), padding=p, rngs=r),
        (4, 3, 2),
        _kept,
    )


# --- reductions and contractions ---

case("reduce_sum", lambda x: jnp.sum(x, (1, 2)), (4, 3, 2), 12, 12)
case("reduce_sum, one axis", lambda x: jnp.sum(x, 1), (4, 3, 2), 12, 4)
case("reduce_sum, channels", lambda x: jnp.sum(x, -1), (4, 3, 2), 12)
case("reduce_sum, part of a period", lambda x: jnp.sum(x[:, :3], 1), (4, 1), 1)
case("reduce_sum, of a table", lambda x: jnp.sum(x * RAMP[:4, None], 1), (4, 1), 1)
case("reduce_sum, of nothing", lambda x: x + jnp.sum(x[:, :0]), (4, 1), 4)
case("reduce_prod, of nothing", lambda x: x * jnp.prod(x[:, :0]), (4, 1), 4)
case("reduce_max, of nothing", lambda x: x * jnp.max(x[:, :0], initial=3), (4, 1), 4)
for _name, _fn in {"max": jnp.max, "min": jnp.min, "prod": jnp.prod}.items():
    case(f"reduce_{_name}", lambda x, _fn=_fn: _fn(x, 1), (4, 2), 4, 4)
    case(f"reduce_{_name}, every second cell", lambda x, _fn=_fn: _fn(x[:, ::2], 1), (4, 2), 2, 2)
case("reduce_and", lambda x: jnp.all(x > 2, 1), (4, 2), 4, 4)
case("reduce_or", lambda x: jnp.any(x > 2, 1), (4, 2), 4, 4)
case("reduce_xor", lambda x: lax.reduce_xor(x.astype(int), (1,)), (4, 2), 4, 4)
case("argmax, grid", lambda x: jnp.argmax(x, 1), (4, 2), 1)
case("argmax, channels", lambda x: jnp.argmax(x, -1), (4, 2), 4)
case("argmin", lambda x: jnp.argmin(x, -1), (4, 2), 4)
for _name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"):
    _fn = getattr(lax, _name)
    case(f"{_name}, grid", lambda x, _fn=_fn: _fn(x, 1), (4, 2), 1)
    case(f"{_name}, channels, reversed", lambda x, _fn=_fn: _fn(x, 2, reverse=True), (4, 2), 4)
case("sort, grid", lambda x: jnp.sort(x, 1), (4, 2), 4, 4)
case("sort, part of the grid", lambda x: jnp.sort(x[:, 1:], 1), (4, 2), 1)
case("sort, channels", lambda x: jnp.sort(x, -1), (4, 2), 4)
case(
    "sort, of pairs",
    lambda x: lax.sort((x, 2 * x), dimension=1, num_keys=2),
    (4, 2),
    (4, 4),
    (4, 4),
)
case(
    "sort, one key", lambda x: lax.sort((x, 2 * x), dimension=1, num_keys=1), (4, 2), (1, 1), (1, 1)
)
case(
    "sort, one key, channels",
    lambda x: lax.sort((x, 2 * x), dimension=2, num_keys=1),
    (4, 2),
    (4, 4),
    (1, 1),
)
case("argsort", lambda x: jnp.argsort(x, 1), (4, 2), 1)
case("top_k, grid", lambda x: lax.top_k(x[..., 0], 2), (4, 1), (4, 1), (4, 1))
case("top_k, channels", lambda x: lax.top_k(x, 2), (4, 3), (4, 4), (1, 1))
case("median", lambda x: jnp.median(x, 1), (5, 1), 5, 5)
case("fft, grid", lambda x: jnp.fft.fft(x, axis=1).real, (4, 2), 1)
case("fft, twice", lambda x: jnp.fft.fft(jnp.fft.fft(x, axis=1), axis=1).real, (4, 2), 4)
case("ifft", lambda x: jnp.abs(jnp.fft.ifft(x, axis=1)), (4, 2), 4, 4)
case("fft, magnitudes", lambda x: jnp.abs(jnp.fft.fft2(x, axes=(1, 2))), (3, 4, 1), 12, 12)
case("fft, the mean", lambda x: jnp.fft.fft(x, axis=1)[:, 0].real, (4, 2), 4, 4)
case("fft, a frequency", lambda x: jnp.fft.fft(x, axis=1)[:, 1].real, (4, 2), 1)
case("rfft, of a part", lambda x: jnp.abs(jnp.fft.rfft(x[:, :2], axis=1)), (4, 2), 1)
case("rfft, of more cells", lambda x: jnp.abs(jnp.fft.rfft(x, n=6, axis=1)), (4, 2), 1)
case("irfft", lambda x: jnp.fft.irfft(jnp.fft.rfft(x, axis=1), n=5, axis=1), (5, 2), 5)
case(
    "irfft, one cell more", lambda x: jnp.fft.irfft(jnp.fft.rfft(x, axis=1), n=4, axis=1), (5, 2), 1
)
case(
    "irfft, half the cells",
    lambda x: jnp.fft.irfft(jnp.fft.rfft(x, axis=1)[:, :3], axis=1),
    (8, 1),
    4,
)
case(
    "irfft, twice the cells",
    lambda x: jnp.fft.irfft(jnp.fft.rfft(x, axis=1), n=8, axis=1),
    (4, 1),
    4,
)
case(
    "irfft beside a spectrum",
    lambda x: jnp.fft.irfft(jnp.fft.rfft2(x, axes=(1, 2)), axis=2),
    (3, 4, 1),
    4,
)
case(
    "a spectrum plus a number",
    lambda x: jnp.fft.ifft(jnp.fft.fft(x, axis=1) + 1, axis=1).real,
    (4, 2),
    1,
)
case(
    "a complex relu of a spectrum",
    lambda x: jnp.fft.ifft(jnp.tanh(jnp.fft.fft(x, axis=1)), axis=1).real,
    (4, 2),
    1,
)
case(
    "phases alone",
    lambda x: (lambda y: jnp.fft.ifft2(y / (1 + jnp.abs(y)), axes=(1, 2)).real)(
        jnp.fft.fft2(x, axes=(1, 2))
    ),
    (3, 4, 1),
    12,
)
case(
    "correlation of channels",
    lambda x: (lambda y: jnp.fft.irfft(y[..., 0] * y[..., 1].conj(), n=4))(jnp.fft.rfft(x, axis=1)),
    (4, 2),
    4,
    4,
)
case(
    "convolution of channels",
    lambda x: (lambda y: jnp.fft.irfft(y[..., 0] * y[..., 1], n=4))(jnp.fft.rfft(x, axis=1)),
    (4, 2),
    4,
    2,
)
case(
    "low frequencies, placed among zeros",
    lambda x: (
        lambda y: (
            jnp.fft.ifft(
                jnp.zeros_like(y).at[:, :2].set(y[:, :2]).at[:, -1:].set(y[:, -1:]), axis=1
            ).real
        )
    )(jnp.fft.fft(x, axis=1)),
    (5, 2),
    5,
)
case(
    "low frequencies, placed where others belong",
    lambda x: (lambda y: jnp.fft.ifft(jnp.zeros_like(y).at[:, 1:3].add(y[:, :2]), axis=1).real)(
        jnp.fft.fft(x, axis=1)
    ),
    (5, 2),
    1,
)
case(
    "low frequencies, beside zeros",
    lambda x: (
        lambda y: jnp.fft.ifft(jnp.concatenate([y[:, :2], 0 * GAP, y[:, -2:]], 1), axis=1).real
    )(jnp.fft.fft(x, axis=1)),
    (6, 2),
    6,
)
case(
    "high frequencies, between zeros",
    lambda x: (
        lambda y: jnp.fft.ifft(jnp.concatenate([0 * GAP, y[:, 2:4], 0 * GAP], 1), axis=1).real
    )(jnp.fft.fft(x, axis=1)),
    (6, 2),
    6,
)
case(
    "low frequencies, beside ones",
    lambda x: (lambda y: jnp.fft.ifft(jnp.concatenate([y[:, :2], GAP, y[:, -2:]], 1), axis=1).real)(
        jnp.fft.fft(x, axis=1)
    ),
    (6, 2),
    1,
)
case(
    "low frequencies, by a mask",
    lambda x: (
        lambda y: jnp.fft.ifft(jnp.where(jnp.arange(4)[:, None] % 3 < 2, y, 0), axis=1).real
    )(jnp.fft.fft(x, axis=1)),
    (4, 2),
    4,
)
case(
    "high frequencies, by a mask",
    lambda x: (
        lambda y: jnp.fft.ifft(jnp.where(jnp.arange(4)[:, None] % 3 < 2, 0, -y), axis=1).real
    )(jnp.fft.fft(x, axis=1)),
    (4, 2),
    4,
)
case(
    "two spectra, by a mask",
    lambda x: (
        lambda y: jnp.fft.ifft(jnp.where(jnp.arange(4)[:, None] % 3 < 2, y.conj(), y), axis=1).real
    )(jnp.fft.fft(x, axis=1)),
    (4, 2),
    1,
)
case("fft, channels", lambda x: jnp.abs(jnp.fft.rfft(x, axis=-1)), (4, 3), 4)
case("dot_general, channels", lambda x: x @ np.array([[1.0, 2, 3], [4, 5, 6]]), (4, 4, 2), 16)
case(
    "dot_general, grid against weights",
    lambda x: jnp.einsum("bhc,hk->bkc", x, RAMP.reshape(4, 3)),
    (4, 2),
    1,
)
case(
    "dot_general, grid against ones",
    lambda x: jnp.einsum("bhc,hk->bkc", x, np.ones((4, 3))),
    (4, 2),
    4,
    4,
)
case(
    "dot_general, grid against a periodic table",
    lambda x: jnp.einsum("bhc,h->bc", x, np.array([1.0, 2, 1, 2])),
    (4, 2),
    2,
    2,
)
case(
    "dot_general, circulant",
    lambda x: jnp.einsum("bhc,hk->bkc", x, np.array([[1.0, 2, 3], [3, 1, 2], [2, 3, 1]])),
    (3, 2),
    3,
)
case(
    "dot_general, nearly circulant",
    lambda x: jnp.einsum("bhc,hk->bkc", x, np.array([[1.0, 2, 3], [3, 1, 2], [2, 3, 2]])),
    (3, 2),
    1,
)
case("dot_general, zeros", lambda x: x.reshape(x.shape[0], -1) @ np.zeros((8, 3)), (4, 2), 4, 4)
case(
    "dot_general, flatten",
    lambda x: x.reshape(x.shape[0], -1) @ np.arange(24.0).reshape(8, 3),
    (4, 2),
    1,
)
case("dot_general, outer", lambda x: jnp.einsum("bic,bjc->bij", x, x), (4, 2), 4)
case("dot_general, Gram", lambda x: jnp.einsum("bic,bid->bcd", x, x), (4, 2), 4, 4)
case("dot_general, batch along the grid", lambda x: jnp.einsum("bic,bic->bi", x, x), (4, 2), 4)
case(
    "dot_general, with itself rolled",
    lambda x: jnp.einsum("bic,bic->bc", x, jnp.roll(x, 1, 1)),
    (4, 2),
    4,
    4,
)
case(
    "dot_general, with itself turned",
    lambda x: jnp.einsum("bic,bic->bc", x, jnp.flip(x, 1)),
    (4, 2),
    2,
    2,
)
case("dot_general, part", lambda x: jnp.einsum("bic,bic->bc", x[:, :3], x[:, :3]), (4, 2), 1)
case("resize, linear", lambda x: jax.image.resize(x, (x.shape[0], 8, 2), "linear"), (4, 2), 1)
case(
    "resize, linear, down",
    lambda x: jax.image.resize(x, (x.shape[0], 2, 2), "linear", antialias=False),
    (4, 2),
    2,
)


def attention(x: Any, *, table: Any = 0.0, mask: Any = None) -> Any:
    tokens = x + table
    q, k, v = tokens * 2, jnp.flip(tokens, -1), tokens + 1
    scores = jnp.einsum("bic,bjc->bij", q, k) / 9
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    return jnp.einsum("bij,bjc->bic", jax.nn.softmax(scores, -1), v)


case("attention", attention, (4, 2), 4)
case("attention, then mean", lambda x: jnp.mean(attention(x), 1), (4, 2), 4, 4)
case("attention, positions", lambda x: attention(x, table=RAMP[:4, None]), (4, 2), 1)
case(
    "attention, periodic positions",
    lambda x: attention(x, table=np.array([1.0, 2, 1, 2])[:, None]),
    (4, 2),
    2,
)
case("attention, causal", lambda x: attention(x, mask=np.tri(4) > 0), (4, 2), 1)
case(
    "attention, local mask",
    lambda x: attention(x, mask=np.abs((np.arange(4)[:, None] - np.arange(4) + 2) % 4 - 2) < 2),
    (4, 2),
    4,
)
layer("nnx attention", lambda r: nnx.MultiHeadAttention(2, 4, decode=False, rngs=r), (4, 4), 4)
layer("nnx.LayerNorm", lambda r: nnx.LayerNorm(2, rngs=r), (4, 3, 2), 12)
layer("nnx.GroupNorm", lambda r: nnx.GroupNorm(4, num_groups=2, rngs=r), (4, 3, 4), 12)
layer("nnx.BatchNorm", lambda r: nnx.BatchNorm(2, rngs=r), (4, 3, 2), 12)
layer("nnx.Linear", lambda r: nnx.Linear(2, 3, rngs=r), (4, 2), 4)


# --- calls, loops, branches, randomness ---


@jax.custom_jvp
def doubled(x):
    return 2 * x


doubled.defjvp(lambda primals, tangents: (doubled(*primals), tangents[0]))


@jax.custom_vjp
def tripled(x):
    return 3 * x


tripled.defvjp(lambda x: (3 * x, None), lambda _, g: (g,))

SHIFT = np.array([[1.0], [2], [1], [2]])
case("jit", lambda x: jax.jit(lambda y: jnp.roll(y, 1, 1) + y)(x), (4, 2), 4)
case("jit, with a constant", lambda x: jax.jit(lambda y: y + jnp.asarray(SHIFT))(x), (4, 2), 2)
case("custom_jvp", lambda x: doubled(x), (4, 2), 4)
case("custom_vjp", lambda x: tripled(x), (4, 2), 4)
case("remat", jax.checkpoint(lambda x: jnp.sin(x) * 2), (4, 2), 4)
case("grad", lambda x: jax.grad(lambda y: jnp.sum(jnp.sin(y) * jnp.mean(y)))(x), (4, 2), 4)
case("grad, of a roll", lambda x: jax.grad(lambda y: jnp.sum(y * jnp.roll(y, 1, 1)))(x), (4, 2), 1)


def wrapped_rounds(x, start):
    """What is carried is wrapped, and its neighbours on both sides compared."""

    def step(carry, _):
        wrapped = jnp.concatenate([carry[:, -1:], carry, carry[:, :1]], 1)
        return x + wrapped[:, 2:] - wrapped[:, :-2], None

    return lax.scan(step, start, None, length=3)[0]


case(
    "scan, carry",
    lambda x: lax.scan(lambda c, _: (jnp.sin(c) + jnp.roll(c, 1, 1), None), x, None, length=3)[0],
    (4, 2),
    4,
)
case(
    "scan, stacked",
    lambda x: lax.scan(lambda c, _: (c + 1, c * x), x, None, length=3)[1],
    (4, 2),
    4,
)
case(
    "scan, position table inside",
    lambda x: lax.scan(lambda c, _: (c + RAMP[:4, None], None), x, None, length=3)[0],
    (4, 2),
    1,
)
case(
    "scan, along the grid",
    lambda x: lax.scan(lambda c, s: (c + s, c * s), x[:, 0] * 0, x.transpose(1, 0, 2))[0],
    (4, 2),
    1,
)
case(
    "scan, along channels",
    lambda x: lax.scan(lambda c, s: (c * s, c + s), x[..., 0], x.transpose(2, 0, 1)),
    (4, 2),
    (4, 4),
    (1, 1),
)
case(
    "scan, zeros first",
    lambda x: lax.scan(lambda c, _: (c + x, None), jnp.zeros_like(x), None, length=3)[0],
    (4, 2),
    4,
)
case("scan, zeros that are wrapped", lambda x: wrapped_rounds(x, jnp.zeros_like(x)), (4, 1), 4)
case(
    "scan, a table that is wrapped",
    lambda x: wrapped_rounds(x, jnp.zeros_like(x) + RAMP[:4].reshape(4, 1)),
    (4, 1),
    1,
)
case(
    "scan, counter",
    lambda x: lax.scan(lambda c, i: (c * i, None), x, jnp.arange(3.0))[0],
    (4, 2),
    4,
)
case(
    "scan, a lost carry that nobody reads",
    lambda x: lax.scan(
        lambda c, _: ((c[0] + 1, c[1] + RAMP[:4, None]), None), (x, x), None, length=3
    )[0][0],
    (4, 2),
    4,
)
case(
    "scan, a lost carry",
    lambda x: lax.scan(
        lambda c, _: ((c[0] + c[1], c[1] + RAMP[:4, None]), None), (x, x), None, length=3
    )[0][0],
    (4, 2),
    1,
)
case(
    "scan, of no rounds",
    lambda x: lax.scan(lambda c, _: (c + 1, None), x, None, length=0)[0],
    (4, 2),
    4,
)
case(
    "scan, reversed",
    lambda x: lax.scan(lambda c, s: (c + s, c), x[..., 0], x.transpose(2, 0, 1), reverse=True)[1],
    (4, 2),
    4,
)
case(
    "scan, in a scan",
    lambda x: lax.scan(
        lambda c, _: (
            lax.scan(lambda d, _: (d + jnp.roll(d, 1, 1), None), c, None, length=2)[0],
            None,
        ),
        x,
        None,
        length=2,
    )[0],
    (4, 2),
    4,
)
case("fori_loop", lambda x: lax.fori_loop(0, 3, lambda i, c: c * (i + 1) + x, x), (4, 2), 4)
case(
    "while",
    lambda x: lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0] * 2 + x, c[1] + 1), (x, 0))[0],
    (4, 2),
    4,
)
case(
    "while, tested by a sum",
    lambda x: lax.while_loop(lambda c: jnp.sum(c) < 99, lambda c: 2 * c + jnp.sum(x), x),
    (4, 2),
    4,
)
case(
    "while, tested by a cell",
    lambda x: lax.while_loop(lambda c: c[0, 0, 0] < 99, lambda c: 2 * c + 1, x),
    (4, 2),
    1,
)
case(
    "while, constants",
    lambda x: lax.while_loop(
        lambda c: jnp.all(c < 99 + jnp.sum(x)), lambda c: c + jnp.abs(x) + SHIFT, x
    ),
    (4, 2),
    2,
)
case(
    "cond", lambda x: lax.cond(jnp.sum(x) > 20, jnp.sin, lambda y: jnp.roll(y, 1, 1), x), (4, 2), 4
)
case("cond, chosen by a cell", lambda x: lax.cond(x[0, 0, 0] > 4, jnp.sin, jnp.cos, x), (4, 2), 1)
case(
    "cond, one branch breaks",
    lambda x: lax.cond(jnp.sum(x) > 20, jnp.sin, lambda y: y + RAMP[:4, None], x),
    (4, 2),
    1,
)
case(
    "cond, known choice",
    lambda x: lax.cond(jnp.asarray(1) > 2, lambda y: y + RAMP[:4, None], jnp.sin, x),
    (4, 2),
    4,
)
case(
    "switch",
    lambda x: lax.switch(jnp.sum(x).astype(int) % 3, [jnp.sin, jnp.cos, lambda y: y], x),
    (4, 2),
    4,
)
case("associative_scan, channels", lambda x: lax.associative_scan(jnp.add, x, axis=2), (4, 3), 4)
case("associative_scan, grid", lambda x: lax.associative_scan(jnp.add, x, axis=1), (4, 3), 1)
case("map", lambda x: lax.map(lambda y: jnp.roll(y, 1, 0) + y, x), (4, 2), 4)
case("vmap", lambda x: jax.vmap(lambda y: jnp.roll(y, 1, 0) * jnp.sum(y))(x), (4, 2), 4)
case(
    "random noise of a fixed key",
    lambda x: x + jax.random.normal(jax.random.key(0), x.shape),
    (4, 2),
    1,
)
case(
    "a random scalar of a fixed key", lambda x: x * jax.random.normal(jax.random.key(0)), (4, 2), 4
)
case(
    "random numbers keyed by the image",
    lambda x: x + jax.random.normal(jax.random.key(jnp.sum(x).astype(int))),
    (4, 2),
    4,
)
case("iota", lambda x: x + lax.iota(jnp.float64, 4)[:, None], (4, 2), 1)
case(
    "pytree",
    lambda x: {"a": x, "b": (jnp.mean(x, 1), x * RAMP[:4, None])},
    (4, 2),
    (4, 4, 1),
    (1, 4, 1),
)
case(
    "a claim lost in dead code",
    lambda x: (lambda dead: jnp.roll(x, 1, 1))(jnp.cumsum(x, 1)),
    (4, 2),
    4,
)
case("a claim lost in another output", lambda x: (x + 1, jnp.cumsum(x, 1)), (4, 2), (4, 1), (1, 1))
case("a constant output", lambda x: (x, 3.0, jnp.zeros(2)), (4, 2), (4, 4, 4), (1, 4, 4))
case("an image that is not used", lambda x: jnp.ones((2, 3)), (4, 2), 4, 4)
case(
    "nested constants",
    lambda x: jax.jit(lambda y: jax.jit(lambda z: z * jnp.asarray(SHIFT))(y))(x),
    (4, 2),
    2,
)
case(
    "shrinks to one cell",
    lambda x: nnx.max_pool(nnx.max_pool(x, (2,), (2,)), (2,), (2,))[:, 0],
    (4, 2),
    2,
    2,
)
case(
    "shrinks to one cell, cut",
    lambda x: nnx.max_pool(nnx.max_pool(x, (2,), (2,)), (2,), (2,)),
    (6, 2),
    3,
    1,
)
case("eigenvalues", lambda x: jnp.linalg.eigvalsh(jnp.einsum("bic,bid->bcd", x, x)), (4, 2), 4, 4)
case("solve along the grid", lambda x: jnp.linalg.solve(jnp.eye(4) * 2, x[0]), (4, 2), 1)


# --- idioms of published models ---


def squeezed_and_excited(x: Any) -> Any:
    gate = jnp.mean(x, (1, 2)) @ np.array([[1.0, -1], [2, 1]])
    return x * nnx.sigmoid(gate / 9)[:, None, None]


def swapped_windows(x: Any, shift: int) -> Any:
    """Attention within windows of two cells, shifted by a roll and back."""
    rolled = jnp.roll(x, -shift, 1)
    windows = rolled.reshape(-1, 2, x.shape[-1])
    return jnp.roll(attention(windows).reshape(x.shape), shift, 1)


case("debug.print", lambda x: (jax.debug.print("{}", x[0, 0, 0]), x + 1)[1], (4, 1), 4)
case(
    "platform_dependent",
    lambda x: lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos),
    (4, 1),
    4,
)
case("named_call", jax.named_call(lambda x: jnp.sin(x), name="a"), (4, 1), 4)
case(
    "map, in batches",
    lambda x: lax.map(lambda y: jnp.roll(y, 1, 0) + y, x, batch_size=1),
    (4, 1),
    4,
)
case(
    "patches",
    lambda x: lax.conv_general_dilated_patches(
        wrapped(x, (1, 1)), (3,), (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")
    ),
    (4, 2),
    4,
)
case("softmax over the grid", lambda x: jax.nn.softmax(x, 1), (4, 2), 4)
case("logsumexp over the grid", lambda x: jax.nn.logsumexp(x, (1, 2)), (4, 2, 1), 8, 8)
case("norm", lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True), (4, 2), 4)
case("quantile", lambda x: jnp.quantile(x, 0.3, axis=1), (4, 2), 4, 4)
case("one_hot", lambda x: jax.nn.one_hot(jnp.argmax(x, -1), 2), (4, 2), 4)
case("diff", lambda x: jnp.diff(x, axis=1), (4, 2), 4)
case("diff, all around", lambda x: jnp.diff(x, axis=1, append=x[:, :1]), (4, 2), 4)
case("gradient", lambda x: jnp.gradient(x, axis=1), (4, 2), 1)
case("fftshift", lambda x: jnp.fft.fftshift(x, 1), (4, 2), 4)
case("rot90", lambda x: jnp.rot90(x, 1, (1, 2)), (3, 3, 1), 9)
case("covariance of channels", lambda x: jnp.cov(x[0].T), (4, 2), 4, 4)
case("squeeze and excite", squeezed_and_excited, (4, 3, 2), 12)
case("shifted windows", lambda x: swapped_windows(x, 1), (6, 2), 3)


def with_token(x, places=0.0):
    tokens = jnp.concatenate([jnp.broadcast_to(jnp.arange(2.0), (len(x), 1, 2)), x], 1)
    return attention(tokens + places)


case("class token", lambda x: with_token(x)[:, 0], (4, 2), 4, 4)
case("class token, positions", lambda x: with_token(x, RAMP[:5, None])[:, 0], (4, 2), 1)
case("class token, the other tokens", lambda x: with_token(x)[:, 1:], (4, 2), 4)
case(
    "class token, all tokens flattened",
    lambda x: with_token(x).reshape(-1, 10) @ RAMP[:10],
    (4, 2),
    1,
)
case("class token, a token of the image", lambda x: with_token(x)[:, 1], (4, 2), 4)
case(
    "class token of the image",
    lambda x: attention(jnp.concatenate([x[:, :1], x], 1))[:, 0],
    (4, 2),
    1,
)
case(
    "class token of the mean",
    lambda x: attention(jnp.concatenate([x.mean(1, keepdims=True), x], 1))[:, 0],
    (4, 2),
    4,
    4,
)
case(
    "tokens of two scales",
    lambda x: attention(jnp.concatenate([x[:, ::2] + x[:, 1::2], x], 1)).max(1),
    (4, 2),
    2,
    2,
)
case(
    "class token, a plane",
    lambda x: with_token(x.reshape(len(x), -1, 2))[:, 0],
    (2, 3, 2),
    6,
    6,
)
case(
    "global filter",
    lambda x: jnp.fft.ifft(jnp.fft.fft(x, axis=1) * RAMP[:4, None], axis=1).real,
    (4, 1),
    4,
)
case(
    "polyphase, chosen by norms",
    lambda x: lax.select(jnp.sum(x[:, ::2]) > jnp.sum(x[:, 1::2]), x[:, ::2], x[:, 1::2]),
    (4, 1),
    2,
)
case("histogram of values", lambda x: jnp.sum(x[..., None] > np.arange(3.0), (1, 2)), (4, 2), 4, 4)
layer("nnx.InstanceNorm", lambda r: nnx.InstanceNorm(2, rngs=r), (4, 3, 2), 12)
layer("nnx.RMSNorm", lambda r: nnx.RMSNorm(2, rngs=r), (4, 2), 4)
layer(
    "nnx.Embed, looked up by the image",
    lambda r: (lambda e: lambda x: e(x[..., 0].astype(int)))(nnx.Embed(9, 3, rngs=r)),
    (4, 1),
    4,
)
layer(
    "nnx.Conv, depthwise and separable",
    lambda r: nnx.Sequential(
        nnx.Conv(2, 2, (3,), feature_group_count=2, padding="CIRCULAR", rngs=r),
        nnx.gelu,
        nnx.Conv(2, 3, (1,), rngs=r),
    ),
    (6, 2),
    6,
)
