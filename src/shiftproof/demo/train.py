"""The networks of the demo: nine architectures, trained on real digits and rounded.

Trained weights are rounded to multiples of 1/256, so that convolutions and pools of a trained
network are exact in float64, and "equal" means equal.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof import data, training
from shiftproof.training import Adam, Digits, cross_entropy, scores
from shiftproof.zoo import DenseNet, LeNet

GRAIN = 256
"""Trained weights are rounded to multiples of 1/256."""
DECAY = 1e-4
"""Weight of the squared weights of a global head, which are large without."""
CLASSES = 10

Stage = Callable[[str], None]
"""Is told of each finished stage."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network of the demo; a dense net where `padding` is None."""

    padding: Literal["CIRCULAR", "SAME"] | None
    pool_stride: int = 0
    head: Literal["flatten", "global"] = "flatten"

    @property
    def name(self) -> str:
        """Such as `circular stride 2 global`."""
        if self.padding is None:
            return "dense"
        return f"{_PADDING[self.padding]} stride {self.pool_stride} {self.head}"


_PADDING = {"CIRCULAR": "circular", "SAME": "SAME"}
VARIANTS = (
    *itertools.starmap(Variant, itertools.product(_PADDING, (2, 1), ("flatten", "global"))),
    Variant(None),
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Sizes of the demo; the default takes about three minutes on two cores.

    Attributes:
        variants: the networks; the trunk of a padding stands before those that borrow its
            convolutions.
        canvas: height and width of the images, pixels.
        train, test: images to train on and to judge by, at most.
        steps, batch: of the training of one network.
        width: channels of the first convolution.
        placed: test images that every network sees at every place of the canvas.
    """

    variants: tuple[Variant, ...] = VARIANTS
    canvas: int = 28
    train: int = 1500
    test: int = 500
    steps: int = 150
    batch: int = 32
    width: int = 4
    placed: int = 20


# --- images ---


def split(found: data.Images, plan: Plan, *, seed: int) -> Digits:
    """Labelled images, fitted to the canvas and split at random."""
    images, change = _fit(found.images, plan.canvas)
    fitted = dataclasses.replace(found, images=images, source=f"{found.source}{change}")
    return training.split(fitted, train=plan.train, test=plan.test, seed=seed)


def open_png(path: str | Path, *, canvas: int) -> tuple[np.ndarray, str]:
    """The image (1, canvas, canvas, 1), and a sentence saying what was done to it."""
    found = data.png(path)
    image, change = found.images, ""
    if image.shape[-1] == 3:
        # multiples of 1/256 stay exact where they are rounded to such again
        image = np.round(image.mean(axis=-1, keepdims=True) * GRAIN) / np.float32(GRAIN)
        change = " Its colours were averaged."
    image, fitted = _fit(image.astype(np.float32), canvas)
    return image, f"{found.source}{change}{fitted}"


def _fit(images: np.ndarray, canvas: int) -> tuple[np.ndarray, str]:
    """Images cut or placed centrally, and a sentence saying which; "" where they fit."""
    height, width = images.shape[1:3]
    if (height, width) == (canvas, canvas):
        return images, ""
    top, left = max(0, (height - canvas) // 2), max(0, (width - canvas) // 2)
    cut = images[:, top : top + canvas, left : left + canvas]
    placed = data.place(cut, canvas=(canvas, canvas))
    return placed, f" Of {height}x{width} pixels, cut or placed centrally to {canvas}x{canvas}."


# --- training ---


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A trained and rounded network.

    Attributes:
        variant: which.
        model: rounded.
        parameters: how many.
        trained, rounded: test accuracy before and after rounding.
        right: (test images,) bool, which of them it labels right.
    """

    variant: Variant
    model: nnx.Module
    parameters: int
    trained: float
    rounded: float
    right: np.ndarray


def train_all(plan: Plan, digits: Digits, *, seed: int, stage: Stage) -> list[Network]:
    """Train one trunk per padding; the others borrow its convolutions and train their heads."""
    trunks: dict[Any, LeNet] = {}
    networks = []
    for variant in plan.variants:
        model = _build(variant, plan, seed=seed)
        trunk = trunks.get(variant.padding)
        if isinstance(model, LeNet) and trunk is not None:
            _borrow(model, trunk)
        if variant.head == "global" and trunk is not None:
            _fit_global_head(model, plan, digits)
        else:
            training.fit(
                model,
                digits.train,
                digits.train_labels,
                seed=seed,
                steps=plan.steps,
                batch=plan.batch,
                learns=... if trunk is None else _learns,
            )
        if isinstance(model, LeNet):
            trunks.setdefault(variant.padding, model)
        networks.append(_rounded(variant, model, digits))
        stage(f"trained {variant.name}: {100 * networks[-1].rounded:.1f} % of test images")
    return networks


def _build(variant: Variant, plan: Plan, *, seed: int) -> Any:
    """A fresh network; NumPy draws its weights, which compiles nothing and is quick."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: _construct(variant, plan)))
    generator = np.random.default_rng(seed)

    def draw(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if len(leaf.shape) == 1:
            return jnp.zeros(leaf.shape, leaf.dtype)
        fan_in = int(np.prod(leaf.shape[:-1]))
        return jnp.asarray(generator.normal(0, fan_in**-0.5, leaf.shape), leaf.dtype)

    return nnx.merge(graph, jax.tree.map(draw, shapes))


def _construct(variant: Variant, plan: Plan) -> Any:
    if variant.padding is None:
        return DenseNet(shape=(plan.canvas, plan.canvas, 1), rngs=nnx.Rngs(0))
    return LeNet(
        padding=variant.padding,
        head=variant.head,
        pool_stride=variant.pool_stride,
        size=plan.canvas,
        width=plan.width,
        rngs=nnx.Rngs(0),
    )


def _borrow(model: LeNet, trunk: LeNet) -> None:
    """Copy the convolutions; their shapes depend neither on pools nor on the head."""
    for mine, theirs in zip(model.convolutions, trunk.convolutions, strict=True):
        nnx.update(mine, nnx.state(theirs))


def _learns(path: Sequence[Any], _: Any) -> bool:
    """The weights of a network that has borrowed its convolutions."""
    return not str(path[0]).startswith("conv")


def _fit_global_head(model: LeNet, plan: Plan, digits: Digits) -> None:
    """Fit the linear layer on the means of the fixed feature maps, all images at once, in place.

    The means are tiny and much alike; standardised they are learnt in a few hundred steps, and the
    standardisation then goes into the weights.
    """
    features = _features(model, digits.train)
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    standard = jnp.asarray((features - centre) / spread)
    kernel, bias = _fit_linear(standard, jnp.asarray(digits.train_labels), steps=3 * plan.steps)
    kernel = kernel / spread[:, None]
    nnx.update(model.logits, {"kernel": kernel, "bias": bias - centre @ kernel})


@functools.partial(jax.jit, static_argnames="steps")
def _fit_linear(
    features: jax.Array, labels: jax.Array, *, steps: int
) -> tuple[jax.Array, jax.Array]:
    """Kernel (features, 10) and bias (10,) of a softmax regression, a convex problem, by Adam."""

    def loss(head: Any) -> Any:
        fit = cross_entropy(features @ head[0] + head[1], labels)
        return fit + DECAY * jnp.sum(head[0] ** 2)

    adam = Adam(loss, 0.1)
    start = adam.start((jnp.zeros((features.shape[1], CLASSES)), jnp.zeros(CLASSES)))
    return jax.lax.scan(adam.step, start, (), length=steps)[0][0]


def _features(model: LeNet, images: np.ndarray) -> np.ndarray:
    """(count, features): what the last layer reads, by way of an identity in its place."""
    count = model.logits.in_features
    graph, state = nnx.split(model)
    reader = nnx.merge(graph, state)
    reader.logits = nnx.Linear(count, count, use_bias=False, rngs=nnx.Rngs(0))
    reader.logits.kernel[...] = jnp.eye(count)
    return scores(reader, images)


def _rounded(variant: Variant, model: nnx.Module, digits: Digits) -> Network:
    def right() -> np.ndarray:
        return scores(model, digits.test).argmax(axis=1) == digits.test_labels

    before = float(right().mean())
    state = nnx.state(model, nnx.Param)
    nnx.update(model, jax.tree.map(lambda weight: jnp.round(weight * GRAIN) / GRAIN, state))
    parameters = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(state))
    after = right()
    return Network(variant, model, parameters, before, float(after.mean()), after)


def choose_image(networks: Sequence[Network], digits: Digits) -> tuple[np.ndarray, str]:
    """The image of the maps: the first test image that all networks label right, else the first."""
    right = np.all([network.right for network in networks], axis=0)
    index = int(right.argmax())
    which = " that all networks label right" if right.any() else ""
    words = f"The image is the first test image{which}, a {digits.test_labels[index]}."
    return digits.test[[index]], words
