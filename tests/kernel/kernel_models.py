"""Kernel programs of real models, each with what must be proved of it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof.proving.graph import build_graph
from shiftproof.tracing.model import adapt, trace_model
from shiftproof_kernel import Program, Refusal, make_certificate

circular = functools.partial(nnx.Conv, padding="CIRCULAR")


class Small(nnx.Module):
    """One circular convolution of stride 2."""

    def __init__(self) -> None:
        self.conv = circular(1, 2, (3, 3), strides=2, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.relu(self.conv(x))


class Padded(nnx.Module):
    """One convolution of stride 2 with zeros around."""

    def __init__(self) -> None:
        self.conv = nnx.Conv(1, 2, (3, 3), strides=2, padding="SAME", rngs=nnx.Rngs(0))

    def __call__(self, x):
        return nnx.relu(self.conv(x))


class LeNet(nnx.Module):
    """Two circular convolutions, two pools, a global mean, a dense layer."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.first = circular(1, 4, (5, 5), rngs=rngs)
        self.second = circular(4, 6, (5, 5), rngs=rngs)
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        for conv in (self.first, self.second):
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), (2, 2))
        return self.head(x.mean((1, 2)))


class Block(nnx.Module):
    """A residual block."""

    def __init__(self, features: int, out: int, stride: int, rngs: nnx.Rngs) -> None:
        self.first = circular(features, out, (3, 3), strides=stride, rngs=rngs)
        self.second = circular(out, out, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(out, use_running_average=True, rngs=rngs)
        self.short = nnx.Conv(features, out, (1, 1), strides=stride, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.short(x) + self.norm(self.second(nnx.relu(self.first(x)))))


class ResNet(nnx.Module):
    """Two blocks, the second of stride 2, and a global mean."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.blocks = nnx.List([Block(1, 4, 1, rngs), Block(4, 6, 2, rngs)])
        self.head = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((1, 2)))


class ViT(nnx.Module):
    """Patches, attention without positions, the mean over tokens."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.patches = nnx.Conv(1, 4, (2, 2), strides=2, padding="VALID", rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x)
        x = x.reshape(x.shape[0], -1, x.shape[-1])
        return self.norm(x + self.attention(x)).mean(1)


def transposed(x):
    """A circular transposed convolution, whose laps fold."""
    return nnx.ConvTranspose(1, 2, (3, 3), strides=2, padding="CIRCULAR", rngs=nnx.Rngs(0))(x)


def blended(x):
    """A circulant matrix times the rows: a constant that moves with the image."""
    matrix = jnp.asarray(np.stack([np.roll([3.0, 1, 0, 2], k) for k in range(4)]))
    return jnp.einsum("ij,bjkc->bikc", matrix, x)


def scanned(x):
    """A loop that rolls its carry, sums on the way, and has an output that nobody asked for."""

    def step(carry, _):
        value, lost = carry
        return (jnp.roll(value, 1, 1) * 2, lost + jnp.arange(4.0)[:, None, None]), value.sum()

    (value, _), _ = jax.lax.scan(step, (x, x), None, length=2)
    return value


@dataclasses.dataclass(frozen=True)
class Example:
    """A model, the grid, the property, generators of the lattice, and how many shifts that are (none has a scene)."""

    model: Callable[[], object]
    grid: tuple[int, int]
    property: str
    generators: tuple[tuple[int, int], ...]
    proved: int | None
    law: str = "any"
    boundary: str = "circular"


EXAMPLES = {
    "conv": Example(Small, (4, 6), "equivariance", ((2, 0), (0, 2)), 6),
    "lenet": Example(LeNet, (8, 8), "invariance", ((4, 0), (0, 4)), 4),
    "resnet": Example(ResNet, (4, 4), "invariance", ((2, 0), (0, 2)), 4),
    "vit": Example(ViT, (4, 4), "invariance", ((2, 0), (0, 2)), 4),
    "transpose": Example(lambda: transposed, (3, 4), "equivariance", ((1, 0), (0, 1)), 12),
    "circulant": Example(lambda: blended, (4, 3), "equivariance", ((1, 0), (0, 1)), 12, "same"),
    "padded": Example(Padded, (8, 6), "equivariance", ((2, 0), (0, 2)), None, boundary="scene"),
    "scan": Example(lambda: scanned, (4, 4), "equivariance", ((1, 0), (0, 1)), 16, "same"),
}


def kernel_program(model: object, grid: tuple[int, ...]) -> Program:
    """What the kernel reasons about, for batches of one image of one channel."""
    adapted = adapt(model)
    arrays = adapted.cast("float32")
    program = trace_model(adapted, arrays, np.zeros((1, *grid, 1), np.float32))
    opaque = {n for n, free in zip(program.weights, adapted.opaque, strict=True) if free}
    return build_graph(program, arrays, opaque=opaque, spatial_axes=(1, 2)).program


def choices_of(program: Program) -> Iterator[dict[int, tuple[int, ...]]]:
    """No choice, or one constant that moves by a multiple of a roll that it is known to allow."""
    yield {}
    for number, node in enumerate(program.nodes):
        for roll in node.params.get("rolls", ()):
            for k in range(1, max(node.shape)):
                yield {number: tuple(k * r % n for r, n in zip(roll, node.shape, strict=True))}


def certificate_of(name: str) -> dict:
    """The certificate of an example."""
    example = EXAMPLES[name]
    program = kernel_program(example.model(), example.grid)
    statement = {"property": example.property, "output": "output", "grid": example.grid}
    if example.property == "equivariance":
        statement |= {"axes": (1, 2), "law": example.law, "boundary": example.boundary}
    generators = []
    for shift in example.generators:
        for choices in choices_of(program):
            try:
                make_certificate(program, statement, [(shift, choices)], "")
            except Refusal:
                continue
            generators.append((shift, choices))
            break
    return make_certificate(program, statement, generators, "tests")
