"""The networks that the claims train on real digits, small enough to be repeated over seeds."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flax import nnx

from proofs.claims.models import SmallCNN
from shiftproof import data
from shiftproof.training import Digits, accuracy, fit, split
from shiftproof.zoo import DenseNet

CANVAS = 16
"""Height and width of the images; the digits on them are 8 by 8."""
DIGIT = 8
MIDDLE = (CANVAS - DIGIT) // 2
Corner = tuple[int, int]


@functools.cache
def _digits() -> data.Images:
    return data.digits(small=True)


def sample(seed: int, *, train: int, test: int) -> Digits:
    """Digits (count, 8, 8, 1) drawn at random, without any in both parts."""
    return split(_digits(), train=train, test=test, seed=seed)


def placed(images: np.ndarray, corner: Corner = (MIDDLE, MIDDLE)) -> np.ndarray:
    """The digits on the canvas, their upper left corner there."""
    return data.place(images, canvas=(CANVAS, CANVAS), corner=corner)


def dense(seed: int, *, hidden: int = 64) -> DenseNet:
    """A dense net of one hidden layer."""
    return DenseNet(shape=(CANVAS, CANVAS, 1), hidden=hidden, rngs=nnx.Rngs(seed))


def convolutional(seed: int, *, stride: int = 2) -> SmallCNN:
    """A CNN that reads the maximum over positions; the stride is that of its pool."""
    return SmallCNN(stride=stride, rngs=nnx.Rngs(seed))


KINDS: Mapping[str, Callable[[int], Any]] = {
    "CNN, pool stride 1": functools.partial(convolutional, stride=1),
    "CNN, pool stride 2": convolutional,
    "dense net": dense,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Networks of every kind, one for each seed, and the digits that those of one seed saw."""

    samples: tuple[Digits, ...]
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
