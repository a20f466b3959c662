"""Training on real digits, small enough to be repeated over seeds: one loop, compiled once per kind of network."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from proofs.claims.models import SmallCNN
from shiftproof import data
from shiftproof.zoo import DenseNet

CANVAS = 16
"""Height and width of the images; the digits on them are 8 by 8."""
DIGIT = 8
MIDDLE = (CANVAS - DIGIT) // 2
Corner = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Digits, split by seed: (count, 8, 8, 1) in 0..1, and their classes."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 digits at their own 8 by 8 pixels."""
    found = data.digits()
    if found.labels is None:
        raise ValueError("digits have labels")
    return found.images[:, 6:22:2, 6:22:2], found.labels


def sample(seed: int, *, train: int, test: int) -> Sample:
    """Digits drawn at random, without any in both parts."""
    images, labels = _digits()
    order = np.random.default_rng(seed).permutation(len(images))
    first, rest = order[:train], order[train : train + test]
    return Sample(images[first], labels[first], images[rest], labels[rest])


def placed(images: np.ndarray, corner: Corner = (MIDDLE, MIDDLE)) -> np.ndarray:
    """The digits on the canvas, their upper left corner there."""
    return data.place(images, canvas=(CANVAS, CANVAS), corner=corner)


def dense(seed: int, *, hidden: int = 64) -> DenseNet:
    """A dense net of one hidden layer."""
    return DenseNet(shape=(CANVAS, CANVAS, 1), hidden=hidden, rngs=nnx.Rngs(seed))


def convolutional(seed: int, *, stride: int = 2) -> SmallCNN:
    """A CNN that reads the maximum over positions; the stride is that of its pool."""
    return SmallCNN(stride=stride, rngs=nnx.Rngs(seed))


@functools.lru_cache(maxsize=8)
def _step(graph: Any, steps: int) -> tuple[Any, Callable[..., Any]]:
    """Adam with a cosine schedule: the optimizer, and one compiled step."""
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, steps))

    def loss(state: Any, images: Any, labels: Any) -> Any:
        logits = nnx.merge(graph, state)(images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(state: Any, memory: Any, images: Any, labels: Any) -> Any:
        updates, memory = optimizer.update(jax.grad(loss)(state, images, labels), memory, state)
        return optax.apply_updates(state, updates), memory

    return optimizer, step


def fit(
    model: Any, images: np.ndarray, labels: np.ndarray, *, seed: int, steps: int, batch: int = 32
) -> Any:
    """The model, trained in place."""
    graph, state = nnx.split(model)
    optimizer, step = _step(graph, steps)
    memory, generator = optimizer.init(state), np.random.default_rng(seed)
    for _ in range(steps):
        chosen = generator.integers(0, len(images), batch)
        state, memory = step(state, memory, images[chosen], labels[chosen])
    nnx.update(model, state)
    return model


@functools.lru_cache(maxsize=8)
def _scorer(graph: Any) -> Callable[[Any, Any], Any]:
    return jax.jit(lambda state, images: nnx.merge(graph, state)(images))


def scores(model: Any, images: np.ndarray) -> np.ndarray:
    """Logits (count, 10)."""
    graph, state = nnx.split(model)
    return np.asarray(_scorer(graph)(state, jnp.asarray(images)))


def accuracy(model: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is right."""
    return float((scores(model, images).argmax(axis=1) == labels).mean())


KINDS: Mapping[str, Callable[[int], Any]] = {
    "CNN, pool stride 1": functools.partial(convolutional, stride=1),
    "CNN, pool stride 2": convolutional,
    "dense net": dense,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Networks of every kind, one for each seed, and the digits that those of one seed saw."""

    samples: tuple[Sample, ...]
    models: Mapping[str, tuple[Any, ...]]

    @functools.cached_property
    def maps(self) -> dict[str, np.ndarray]:
        """For each kind the test accuracy at every placement of the digit: (seeds, 9, 9)."""
        corners = range(CANVAS - DIGIT + 1)
        return {
            kind: np.array(
                [
                    [
                        [accuracy(m, placed(s.test, (i, j)), s.test_labels) for j in corners]
                        for i in corners
                    ]
                    for m, s in zip(models, self.samples, strict=True)
                ]
            )
            for kind, models in self.models.items()
        }


def train_all(*, seeds: int, steps: int, train: int = 1200, test: int = 200) -> Trained:
    """Every kind on the same centred digits, for every seed."""
    samples = tuple(sample(seed, train=train, test=test) for seed in range(seeds))
    models = {
        kind: tuple(
            fit(make(seed), placed(part.train), part.train_labels, seed=seed, steps=steps)
            for seed, part in enumerate(samples)
        )
        for kind, make in KINDS.items()
    }
    return Trained(samples, models)
