"""Training on labelled images: demo, claims and benchmarks all take the step of `Adam`.

Everything drawn is drawn by NumPy from a seed, so that a network is the same on every machine up to rounding.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from shiftproof.data import Images
from shiftproof.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Digits:
    """Images and classes, split by seed.

    Attributes:
        train, test: (count, height, width, channels) float32 in 0..1.
        train_labels, test_labels: (count,) int32.
        source: where they come from and how they were split.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    source: str


def split(found: Images, *, train: int, test: int, seed: int) -> Digits:
    """At most so many images to train on and to test on, drawn at random; none is in both parts.

    Raises:
        InputError: the images have no labels.
    """
    if found.labels is None:
        raise InputError("training needs labelled images; these have none.")
    order = np.random.default_rng(seed).permutation(len(found.images))
    # a set smaller than what is asked for still keeps a fifth for the test
    count = min(train, len(order) * 4 // 5)
    first, rest = order[:count], order[count : count + test]
    return Digits(
        found.images[first],
        found.labels[first],
        found.images[rest],
        found.labels[rest],
        f"{found.source} Drawn from them at random (seed {seed}): {len(first)} to train on, {len(rest)} to test on.",
    )


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the images of the loss of logits (batch, classes)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam on a loss.

    Attributes:
        loss: `loss(params, *batch)`, a number.
        rate: of learning, one number or by the step.
    """

    loss: Callable[..., jax.Array]
    rate: float | optax.Schedule

    @functools.cached_property
    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.rate)

    def start(self, params: Any) -> tuple[Any, Any]:
        """What `step` carries on."""
        return params, self._optimizer.init(params)

    def step(self, carry: tuple[Any, Any], batch: Any) -> tuple[tuple[Any, Any], None]:
        """One step on one batch, as `jax.lax.scan` takes it."""
        params, memory = carry
        gradient = jax.grad(self.loss)(params, *batch)
        updates, memory = self._optimizer.update(gradient, memory, params)
        return (optax.apply_updates(params, updates), memory), None


def fit(
    model: Any,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    steps: int,
    batch: int = 32,
    learns: Any = ...,
) -> Any:
    """The model, trained in place on random batches with a cosine schedule.

    Args:
        model: an `nnx.Module` from images to logits.
        images: (count, height, width, channels).
        labels: (count,) int32.
        seed: of the batches.
        steps: how many batches.
        batch: images in each.
        learns: filter of Flax for the weights that are trained; all by default.
    """
    graph, free, fixed = nnx.split(model, learns, ...)
    adam, step = _compiled_step(graph, steps)
    carry, generator = adam.start(free), np.random.default_rng(seed)
    # a loop and no scan: convolutions inside of a compiled loop are slow on processors
    for _ in range(steps):
        chosen = generator.integers(0, len(images), batch)
        carry = step(carry, fixed, images[chosen], labels[chosen])
    nnx.update(model, carry[0])
    return model


@functools.lru_cache(maxsize=8)
def _compiled_step(graph: Any, steps: int) -> tuple[Adam, Callable[..., Any]]:
    """Compiled once for all networks of one kind, whatever their weights."""

    def loss(free: Any, fixed: Any, images: Any, labels: Any) -> jax.Array:
        return cross_entropy(nnx.merge(graph, free, fixed)(images), labels)

    adam = Adam(loss, optax.cosine_decay_schedule(5e-3, steps))
    return adam, jax.jit(lambda carry, *batch: adam.step(carry, batch)[0])


def scores(model: Any, images: np.ndarray) -> np.ndarray:
    """Logits (count, classes) of images, compiled once for each kind of network and number of images."""
    graph, state = nnx.split(model)
    return np.asarray(_compiled_call(graph)(state, images))


@functools.lru_cache(maxsize=8)
def _compiled_call(graph: Any) -> Callable[[Any, np.ndarray], jax.Array]:
    return jax.jit(lambda state, images: nnx.merge(graph, state)(images))


def accuracy(model: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is right."""
    return float((scores(model, images).argmax(axis=1) == labels).mean())
