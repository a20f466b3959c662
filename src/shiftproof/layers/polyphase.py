"""Polyphase sampling: of the s^d ways to subsample a grid, the image itself chooses one.

A shift of the image permutes its polyphase components, and rolls each. A choice by a score that no roll changes follows
them. So the output moves by a shift that depends on the image, and a global pool behind it keeps **every** shift: where
no two components tie. The image [5, 3, 0, 4] with stride 2 has the components [5, 0] and [3, 4], with one l2 norm; the
first of them wins whatever the shift, and the sums of its four rolls are 5, 7, 5, 7.

A. Chaman and I. Dokmanic, Truly Shift-Invariant Convolutional Neural Networks, CVPR 2021 (arXiv:2011.14214), and
Truly Shift-Equivariant Convolutional Neural Networks with Adaptive Polyphase Upsampling, 2021 (arXiv:2105.04040);
R. Rojas-Gomez et al., Learnable Polyphase Sampling for Shift Invariant and Equivariant Convolutional Networks, NeurIPS
2022 (arXiv:2210.08001), who learn the score.

**Ties broken canonically.** `ties="canonical"` makes the claim unconditional. Write each component that ties from every
one of its cells on, around the torus, and let the words so made compete lexicographically; the component with the
greatest word wins. *Proof.* The words of a component are those of its rolls, so a shift of the image leaves the set of
all words as it is, and each still belongs to the same component, now rolled. If the greatest word belongs to one
component, that one wins before and after the shift. If it belongs to two, they have a word in common, so they are rolls
of each other: any choice gives the same output up to a roll. `proofs/coq/Polyphase.v` proves it in Coq, for any number
of axes. Branches that share the choice are spelt along, as further channels, so that they are rolled alike. Nothing is
computed with the values, they are compared; so behind `order="max"`, which also only compares, it holds bit for bit.
The norms add, and floats round what they add, so that components that tie in the reals may be told apart by rounding.
`verify` proves what follows behind such a layer, over the reals: the kernel has an operation for the choice (`Select`).

The competition ends when one component is left: with images in general position after the first cell, and at all only
where the scores tie. It costs, per step, one pass over the grid, and memory for one more copy of it; in the worst case
(an image that is the same everywhere) there are as many steps as a component has values.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof.errors import InputError
from shiftproof.layers.grid import Numbers, grid_of, need_divisors, per_axis

Array = jax.Array
Order = Literal["l1", "l2", "max", "learned"]
Ties = Literal["first", "canonical"]


COMPOSITE, VERSION = "shiftproof.polyphase_sampling", 1
"""The name of the selection in a traced program, and which of its definitions it is."""


def _select(
    arrays: tuple[Array, ...],
    weights: tuple[Array, ...],
    *,
    strides: tuple[int, ...],
    order: Order,
    ties: Ties,
) -> tuple[Array, ...]:
    """The component of every array (batch, *grid, channels) at the phase that the first chooses."""
    return _pick(arrays, choose(arrays, weights, strides, order=order, ties=ties), strides)


@functools.cache
def reference(strides: tuple[int, ...], order: Order, ties: Ties) -> Any:
    """The selection of one set of settings, as one compiled function.

    `f(arrays, weights)` takes arrays (batch, *grid, channels) and the weights of a learned score, and gives the
    chosen component of each array. In a traced program it is a `composite` of JAX with these settings, so that `verify`
    finds it. That has no derivative of its own and cannot be mapped over; derivatives, and what `vmap` makes of
    it, are those of the plain function.
    """
    settings = {"strides": strides, "order": order, "ties": ties}
    plain = functools.partial(_select, **settings)
    composite = jax.lax.composite(_select, COMPOSITE, VERSION)

    @jax.custom_batching.custom_vmap
    def named(arrays: tuple[Array, ...], weights: tuple[Array, ...]) -> tuple[Array, ...]:
        return composite(arrays, weights, **settings)

    @named.def_vmap
    def mapped(size: int, batched: Any, *operands: Any) -> Any:
        axes = jax.tree.map(lambda each: 0 if each else None, tuple(batched))
        made = jax.vmap(plain, in_axes=axes, axis_size=size)(*operands)
        return made, (True,) * len(made)

    @jax.custom_jvp
    def select(arrays: tuple[Array, ...], weights: tuple[Array, ...]) -> tuple[Array, ...]:
        return named(arrays, weights)

    select.defjvp(lambda operands, tangents: jax.jvp(plain, operands, tangents))
    return jax.jit(select)


def components(x: Array, strides: Sequence[int]) -> Array:
    """All polyphase components, `y[b, p, u] = x[b, s u + p]`, as (batch, phases, *grid / strides, channels).

    >>> components(jnp.array([5, 3, 0, 4]).reshape(1, 4, 1), (2,))[0, :, :, 0].tolist()
    [[5, 0], [3, 4]]
    """
    pairs = zip(x.shape[1:-1], strides, strict=True)
    split = x.reshape(len(x), *itertools.chain(*((n // s, s) for n, s in pairs)), x.shape[-1])
    rank = len(strides)
    cells, phases = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    turned = split.transpose(0, *phases, *cells, 2 * rank + 1)
    return turned.reshape(len(x), math.prod(strides), *turned.shape[1 + rank :])


def choose(
    arrays: Sequence[Array],
    weights: Sequence[Array],
    strides: Sequence[int],
    *,
    order: Order,
    ties: Ties,
) -> Array:
    """The phase of every image, (batch,) int: the one of the largest score of the first array.

    Canonical ties are broken by all arrays together.
    """
    parts = [components(jax.lax.stop_gradient(x), strides) for x in arrays]
    points = scores(parts[0], jax.lax.stop_gradient(tuple(weights)), order)
    if ties == "first":
        return points.argmax(1)
    best = points == points.max(1, keepdims=True)
    return _greatest_word(jnp.concatenate(parts, -1), best).argmax(1)


def scores(parts: Array, weights: Sequence[Array], order: Order) -> Array:
    """How much each component (batch, phases, *cells, channels) speaks for itself, (batch, phases).

    No roll of a component changes its score, up to rounding.
    """
    axes = tuple(range(2, parts.ndim))
    match order:
        case "l1":
            return jnp.abs(parts).sum(axes)
        case "l2":
            return jnp.square(parts).sum(axes)
        case "max":
            return jnp.abs(parts).max(axes)
        case "learned":
            return _logits(parts, *weights)


def _logits(parts: Array, kernel: Array, bias: Array, head: Array) -> Array:
    """A circular convolution, ReLU, the mean over the cells, and one weighted sum: the same for every component."""
    rank = parts.ndim - 3
    flat = parts.reshape(-1, *parts.shape[2:])
    wide = jnp.pad(flat, [(0, 0), *[(1, 1)] * rank, (0, 0)], mode="wrap")
    numbers = (
        (0, rank + 1, *range(1, rank + 1)),
        (rank + 1, rank, *range(rank)),
        (0, rank + 1, *range(1, rank + 1)),
    )
    layout = jax.lax.ConvDimensionNumbers(*numbers)
    hidden = jax.lax.conv_general_dilated(
        wide, kernel, (1,) * rank, "VALID", dimension_numbers=layout
    )
    mean = jax.nn.relu(hidden + bias).mean(range(1, rank + 1))
    return (mean @ head).reshape(parts.shape[:2])


def _greatest_word(parts: Array, best: Array) -> Array:
    """Of the best components (batch, phases) those with the greatest word.

    A word begins at a cell: its letters are the values from there on, around the torus. All words start together; those
    whose next letter is not the greatest are out.
    """
    batch, phases, *cells, channels = parts.shape
    axes, inside = tuple(range(1, 2 + len(cells))), tuple(range(2, 2 + len(cells)))
    letters = math.prod(cells) * channels

    def open_(state: tuple[Array, Array]) -> Array:
        step, alive = state
        tied = alive.any(inside).sum(1) > 1
        return (step < letters) & tied.any()

    def advance(state: tuple[Array, Array]) -> tuple[Array, Array]:
        step, alive = state
        place, channel = step // channels, step % channels
        values = jax.lax.dynamic_index_in_dim(parts, channel, parts.ndim - 1, keepdims=False)
        for axis, n in reversed(list(enumerate(cells, start=2))):
            values = jnp.roll(values, -(place % n), axis)
            place = place // n
        least = jnp.array(False) if values.dtype == bool else _least(values.dtype)
        greatest = jnp.where(alive, values, least).max(axes, keepdims=True)
        return step + 1, alive & (values == greatest)

    shape = (batch, phases, *cells)
    alive = jnp.broadcast_to(best.reshape(batch, phases, *[1] * len(cells)), shape)
    return jax.lax.while_loop(open_, advance, (jnp.zeros((), jnp.int32), alive))[1].any(inside)


def _least(dtype: Any) -> Array:
    """The least number of a type; some floats of 8 bits have no infinity."""
    if not jnp.issubdtype(dtype, jnp.floating):
        return jnp.array(jnp.iinfo(dtype).min, dtype)
    least = np.array(-np.inf).astype(dtype)
    return jnp.array(least if np.isinf(least.astype(np.float64)) else jnp.finfo(dtype).min, dtype)


def _pick(arrays: Sequence[Array], phase: Array, strides: Sequence[int]) -> tuple[Array, ...]:
    """The component of that phase, of every array."""
    picked = []
    for x in arrays:
        parts = components(x, strides)
        index = phase.reshape(-1, *[1] * (parts.ndim - 1))
        picked.append(jnp.take_along_axis(parts, index, 1)[:, 0])
    return tuple(picked)


def _checked(arrays: Sequence[Array], strides: Numbers, layer: str) -> tuple[int, ...]:
    """The strides of all grid axes, for arrays of one grid and batch."""
    grid = grid_of(arrays[0].shape, layer)
    steps = per_axis(strides, len(grid), "strides")
    need_divisors(grid, steps, layer)
    for x in arrays[1:]:
        if x.shape[:-1] != arrays[0].shape[:-1]:
            raise InputError(
                f"{layer}: branches of shapes {arrays[0].shape} and {x.shape} cannot share one phase: bring them to "
                "one batch and grid first, with layers of stride 1."
            )
    return steps


def _one_or_all(found: tuple[Array, ...]) -> Any:
    return found[0] if len(found) == 1 else found


class AdaptivePolyphaseSampling(nnx.Module):
    """The polyphase component with the largest norm, per image.

    Args:
        strides: cells, one number or one per grid axis; each divides the size of its axis.
        order: the norm that decides, of all values of a component: `l1`, `l2` or `max`. After a max pool the largest
            value lies in several components, so `max` ties on every image.
        ties: between components of one norm, `first` takes the first (row-major by phase), as published: the claim then
            fails for images that tie. `canonical` makes it hold for all images; see the module.

    Raises:
        InputError: no such order or tie-breaking.

    >>> image = jnp.array([1.0, 3.0, 2.0, 4.0]).reshape(1, 4, 1)
    >>> [AdaptivePolyphaseSampling()(jnp.roll(image, k, 1)).ravel().tolist() for k in range(3)]
    [[3.0, 4.0], [4.0, 3.0], [4.0, 3.0]]
    """

    def __init__(self, strides: Numbers = 2, *, order: Order = "l2", ties: Ties = "first") -> None:
        if order not in ("l1", "l2", "max"):
            raise InputError(
                f"AdaptivePolyphaseSampling: order must be l1, l2 or max; got {order!r}."
            )
        _check_ties(ties, "AdaptivePolyphaseSampling")
        self.strides, self.order, self.ties = strides, order, ties

    def __call__(self, x: Array, *branches: Array) -> Any:
        """The chosen component of `x`, (batch, *grid / strides, channels).

        Args:
            x (batch, *grid, channels): decides.
            branches: further arrays of the same batch and grid, such as a skip branch, cut at the same phase.

        Returns:
            One array; with branches a tuple of all of them.

        Raises:
            InputError: a stride does not divide its axis, or the branches have another grid.
        """
        strides = _checked((x, *branches), self.strides, "AdaptivePolyphaseSampling")
        return _one_or_all(reference(strides, self.order, self.ties)((x, *branches), ()))


def _check_ties(ties: str, layer: str) -> None:
    if ties not in get_args(Ties):
        raise InputError(f"{layer}: ties must be first or canonical; got {ties!r}.")


class LearnablePolyphaseSampling(nnx.Module):
    """The polyphase component with the largest logit, from a small network that is the same for all components.

    In evaluation (`model.eval()`, or `deterministic=True`) the best component is taken. In training the components are
    summed with the weights of a Gumbel-softmax over the logits, which lets gradients reach the network.

    Args:
        features: channels of the input that decides.
        strides: cells, one number or one per grid axis; each divides the size of its axis.
        rank: number of grid axes.
        hidden: channels of the network.
        temperature: of the softmax.
        ties: as in `AdaptivePolyphaseSampling`.
        deterministic: whether the best component is taken.
        rngs: for the weights, and the stream `gumbel` (or `default`) for the noise.

    >>> layer = LearnablePolyphaseSampling(3, deterministic=True, rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((2, 8, 8, 3))).shape
    (2, 4, 4, 3)
    """

    def __init__(
        self,
        features: int,
        strides: Numbers = 2,
        *,
        rank: int = 2,
        hidden: int = 8,
        temperature: float = 1.0,
        ties: Ties = "first",
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        _check_ties(ties, "LearnablePolyphaseSampling")
        init = nnx.initializers.lecun_normal()
        self.kernel = nnx.Param(init(rngs.params(), (*[3] * rank, features, hidden)))
        self.bias = nnx.Param(jnp.zeros(hidden))
        self.head = nnx.Param(init(rngs.params(), (hidden, 1)))
        self.strides, self.temperature, self.ties = strides, temperature, ties
        self.rank, self.features, self.deterministic = rank, features, deterministic
        stream = "gumbel" if "gumbel" in rngs else "default"
        self.noise = rngs[stream].fork() if stream in rngs else None

    def __call__(self, x: Array, *branches: Array) -> Any:
        """As `AdaptivePolyphaseSampling`.

        Raises:
            InputError: as there, or the channels or grid axes are not those of the layer, or there is no noise.
        """
        arrays = (x, *branches)
        strides = _checked(arrays, self.strides, "LearnablePolyphaseSampling")
        if len(strides) != self.rank or x.shape[-1] != self.features:
            raise InputError(
                f"LearnablePolyphaseSampling: an input of shape {x.shape} has {len(strides)} grid axes and "
                f"{x.shape[-1]} channels; the layer was made with rank={self.rank}, features={self.features}."
            )
        weights = tuple(param[...].astype(x.dtype) for param in (self.kernel, self.bias, self.head))
        if self.deterministic:
            return _one_or_all(reference(strides, "learned", self.ties)(arrays, weights))
        if self.noise is None:
            raise InputError(
                "LearnablePolyphaseSampling: training draws noise, and there is no random stream: make the layer with "
                "rngs=nnx.Rngs(0, gumbel=1), or call model.eval() first."
            )
        logits = scores(components(x, strides), weights, "learned")
        noise = jax.random.gumbel(self.noise(), logits.shape, logits.dtype)
        share = jax.nn.softmax((logits + noise) / self.temperature, axis=1)
        mixed = (
            jnp.einsum("bp,bp...->b...", share, components(array, strides)) for array in arrays
        )
        return _one_or_all(tuple(mixed))
