"""Learning: convolutional against dense networks, trained on digits in the middle of a canvas, judged everywhere.

What weight sharing buys in data: the gap between training and test accuracy against the number of training images.
What it buys in shifts: test accuracy on **every** placement of the digit, after training on centred digits alone and
with random placements. All seeds and sizes of one kind of network are trained side by side in one program, by
Adam, with the same images in the same order for every kind.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import Rows
from shiftproof import data
from shiftproof.layers import AdaptivePolyphaseSampling, BlurPool
from shiftproof.terminal import Console
from shiftproof.tracing.settings import settings
from shiftproof.training import Adam, cross_entropy

CLASSES = 10
MARGIN = 4
"""Free cells around a digit in the middle of its canvas, and so how far a placement lies from it."""
Params = dict[str, Any]
Apply = Callable[[Params, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is learnt.

    Attributes:
        seeds: networks of every kind and size.
        sizes: numbers of training images.
        test: test images.
        steps, batch: of the training.
    """

    seeds: int = 5
    sizes: tuple[int, ...] = (50, 100, 200, 400, 1000)
    test: int = 400
    steps: int = 400
    batch: int = 32


# --- networks ---


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        name: unique.
        shapes: of its parameters, by name.
        apply: parameters and images (batch, n, n, 1) to logits (batch, 10).
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    apply: Apply

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def draw(self, seed: int) -> Params:
        """Parameters of one network: kernels by He's rule, biases zero."""
        generator = np.random.default_rng(seed)
        return {
            name: np.zeros(shape, np.float32)
            if len(shape) == 1
            else generator.normal(0, (2 / shape[0]) ** 0.5, shape).astype(np.float32)
            for name, shape in self.shapes.items()
        }


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Circular 3x3 convolution by a kernel (9 * channels, filters), as one product: many networks run side by side."""
    n, m = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
    windows = [x[:, i : i + n, j : j + m] for i in range(3) for j in range(3)]
    return jnp.concatenate(windows, -1) @ kernel


def largest_of_four(x: jax.Array) -> jax.Array:
    """2x2 max pool of stride 1, on the torus."""
    x = jnp.maximum(x, jnp.roll(x, -1, 1))
    return jnp.maximum(x, jnp.roll(x, -1, 2))


def every_second(x: jax.Array) -> jax.Array:
    """Plain subsampling."""
    return x[:, ::2, ::2]


def convolutional(name: str, subsample: Callable[[jax.Array], jax.Array]) -> Kind:
    """Two convolutions with pools, the maximum over positions, a linear layer; kinds differ in how they subsample."""

    def apply(params: Params, x: jax.Array) -> jax.Array:
        for layer in ("1", "2"):
            x = jax.nn.relu(convolve(x, params[f"kernel {layer}"]) + params[f"bias {layer}"])
            x = subsample(largest_of_four(x))
        return x.max((1, 2)) @ params["head"] + params["head bias"]

    shapes = {"kernel 1": (9, 8), "bias 1": (8,), "kernel 2": (72, 16), "bias 2": (16,)}
    return Kind(name, shapes | {"head": (16, CLASSES), "head bias": (CLASSES,)}, apply)


def dense(name: str, inputs: int, hidden: int) -> Kind:
    """One hidden layer that reads every position."""

    def apply(params: Params, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(x.reshape(x.shape[0], -1) @ params["hidden"] + params["hidden bias"])
        return x @ params["head"] + params["head bias"]

    shapes = {"hidden": (inputs, hidden), "hidden bias": (hidden,)}
    return Kind(name, shapes | {"head": (hidden, CLASSES), "head bias": (CLASSES,)}, apply)


def kinds(canvas: int) -> tuple[Kind, ...]:
    """The networks that are compared: convolutional ones, and dense ones of as many parameters or as much width."""
    stride2 = convolutional("CNN, pool stride 2", every_second)
    inputs = canvas**2
    alike = max(1, round((stride2.parameters - CLASSES) / (inputs + 1 + CLASSES)))
    return (
        stride2,
        convolutional("CNN, pool stride 1", lambda x: x),
        convolutional("CNN, blur-pool", BlurPool(2)),
        convolutional("CNN, polyphase", AdaptivePolyphaseSampling(2)),
        dense("dense, as many parameters", inputs, alike),
        dense("dense, as wide", inputs, 8 * inputs),
    )


# --- training ---


@dataclasses.dataclass(frozen=True)
class Digits:
    """Digits in the middle of a canvas, (count, n, n, 1), with their classes."""

    images: np.ndarray
    labels: np.ndarray
    source: str

    @property
    def canvas(self) -> int:
        """Height and width."""
        return self.images.shape[1]


def load(mnist: Path | None) -> Digits:
    """Real digits on a canvas: scikit-learn's, 8x8 on 16x16, or MNIST's, 28x28 on 36x36."""
    found = data.digits(small=True) if mnist is None else data.mnist(mnist)
    if found.labels is None:
        raise ValueError("to learn needs labels, and these images have none.")
    n = found.images.shape[1] + 2 * MARGIN
    return Digits(data.place(found.images, canvas=(n, n)), found.labels, found.source)


@dataclasses.dataclass(frozen=True)
class Run:
    """One network to be trained: on so many images, centred or placed at random."""

    seed: int
    size: int
    placed: bool


def runs_of(plan: Plan) -> list[Run]:
    """Every size with centred digits, the largest also with random placements."""
    seeds = range(plan.seeds)
    centred = [Run(seed, size, False) for size in plan.sizes for seed in seeds]
    return centred + [Run(seed, plan.sizes[-1], True) for seed in seeds]


@dataclasses.dataclass(frozen=True)
class Lessons:
    """What every run sees, the same for every kind of network.

    Attributes:
        order: (runs, digits): the digits in the order of each run's seed; the first ones are for training.
        batches: (runs, steps, batch) which of its training images.
        moves: (runs, steps, batch, 2) where they are placed, from the middle.
    """

    order: np.ndarray
    batches: np.ndarray
    moves: np.ndarray


def lessons_of(plan: Plan, runs: Sequence[Run], count: int) -> Lessons:
    """Draw them by the seeds of the runs."""
    order, batches, moves = [], [], []
    for run in runs:
        generator = np.random.default_rng(run.seed)
        order.append(generator.permutation(count))
        shape = plan.steps, plan.batch
        batches.append(generator.integers(0, run.size, shape))
        moves.append(generator.integers(-MARGIN, MARGIN + 1, (*shape, 2)) * run.placed)
    return Lessons(np.stack(order), np.stack(batches), np.stack(moves))


def train(kind: Kind, plan: Plan, runs: Sequence[Run], lessons: Lessons, digits: Digits) -> Params:
    """The parameters of all runs, trained in one program: (runs, *shape)."""
    rate = optax.cosine_decay_schedule(1e-2, plan.steps)
    images, labels = jnp.asarray(digits.images), jnp.asarray(digits.labels)

    def loss(params: Params, order: Any, chosen: Any, where: Any) -> jax.Array:
        chosen = order[chosen]
        x = jax.vmap(lambda image, move: jnp.roll(image, move, (0, 1)))(images[chosen], where)
        return cross_entropy(kind.apply(params, x), labels[chosen])

    def one(params: Params, order: Any, *lessons: Any) -> Params:
        adam = Adam(lambda params, *lesson: loss(params, order, *lesson), rate)
        return jax.lax.scan(adam.step, adam.start(params), lessons)[0][0]

    drawn = [kind.draw(run.seed) for run in runs]
    start = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
    return jax.jit(jax.vmap(one))(start, lessons.order, lessons.batches, lessons.moves)


def accuracies(
    kind: Kind, params: Params, chosen: np.ndarray, digits: Digits, moves: np.ndarray
) -> np.ndarray:
    """Per cent of some digits that each run labels right, (runs, moves); `chosen` is (runs, count)."""
    images, labels = jnp.asarray(digits.images), jnp.asarray(digits.labels)

    def one(params: Params, chosen: jax.Array) -> jax.Array:
        def at(move: jax.Array) -> jax.Array:
            x = jnp.roll(images[chosen], move, (1, 2))
            return 100 * (kind.apply(params, x).argmax(1) == labels[chosen]).mean()

        return jax.lax.map(at, moves)

    return np.asarray(jax.jit(jax.vmap(one))(params, chosen))


# --- measurements ---


def run(path: Path, *, until: float, mnist: Path | None = None) -> None:
    """Train every kind, append the rows to `path`, print a table."""
    plan, digits = Plan(), load(mnist)
    rows, console = Rows(path, part="learning", until=until), Console()
    if plan.sizes[-1] + plan.test > len(digits.images):
        raise ValueError(
            f"{digits.source}: {len(digits.images)} digits are fewer than the "
            f"{plan.sizes[-1]} to train on and the {plan.test} to test on."
        )
    with settings("float32"):
        for kind in rows.in_time(kinds(digits.canvas)):
            begin = time.perf_counter()
            learn(rows, kind, plan, digits)
            console.print(f"{kind.name}: {time.perf_counter() - begin:.0f} s", highlight=False)
    rows.show(console)


def learn(rows: Rows, kind: Kind, plan: Plan, digits: Digits) -> None:
    """Train all runs of one kind, and record what they can."""
    runs = runs_of(plan)
    lessons = lessons_of(plan, runs, len(digits.images))
    begin = time.perf_counter()
    params = jax.block_until_ready(train(kind, plan, runs, lessons, digits))
    seconds = time.perf_counter() - begin
    tested = lessons.order[:, -plan.test :]
    middle = np.zeros((1, 2), np.int32)
    everywhere = np.stack(
        np.meshgrid(*[np.arange(-MARGIN, MARGIN + 1)] * 2, indexing="ij"), -1
    ).reshape(-1, 2)
    unseen = accuracies(kind, params, tested, digits, middle)[:, 0]
    facts = {
        "parameters": kind.parameters,
        "canvas": digits.canvas,
        "digits": digits.source,
        "dtype": "float32",
        "precision": rows.machine.matmul_precision,
        **dataclasses.asdict(plan),
        "sizes": list(plan.sizes),
    }
    add = functools.partial(rows.add, kind.name, **facts)
    add("training of all runs, compiled", [seconds], unit="s", runs=len(runs))
    for size in plan.sizes:
        mine = [i for i, run in enumerate(runs) if run.size == size and not run.placed]
        part = jax.tree.map(lambda leaf, mine=mine: leaf[np.array(mine)], params)
        seen = accuracies(kind, part, lessons.order[mine, :size], digits, middle)[:, 0]
        add(f"test accuracy, {size} images", unseen[mine].tolist(), unit="%", images=size)
        add(f"gap, {size} images", (seen - unseen[mine]).tolist(), unit="%", images=size)
    for placed in (False, True):
        last = plan.sizes[-1]
        mine = [i for i, run in enumerate(runs) if run.size == last and run.placed == placed]
        part = jax.tree.map(lambda leaf, mine=mine: leaf[np.array(mine)], params)
        found = accuracies(kind, part, tested[mine], digits, everywhere)
        name = "placed at random" if placed else "centred"
        side = 2 * MARGIN + 1
        add(
            f"accuracy everywhere, trained {name}",
            found.mean(1).tolist(),
            unit="%",
            placed=placed,
            map=found.mean(0).reshape(side, side).tolist(),
        )
