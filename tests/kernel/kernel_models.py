"""Kernel programs of real models, each with what must be proved of it."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from shiftproof import zoo
from shiftproof.proving.graph import build_graph
from shiftproof.tracing.model import adapt, trace_model
from shiftproof_kernel import Program, Refusal, make_certificate
from shiftproof_kernel.program import Constant


def strided(padding: str = "CIRCULAR") -> nnx.Module:
    """One convolution of stride 2."""
    conv = nnx.Conv(1, 2, (3, 3), strides=2, padding=padding, rngs=nnx.Rngs(0))
    return nnx.Sequential(conv, nnx.relu)


def lenet() -> nnx.Module:
    return zoo.LeNet(head="global", size=8, width=2, classes=3, rngs=nnx.Rngs(0))


def resnet() -> nnx.Module:
    sizes = {"widths": (4, 6), "blocks": (1, 1), "strides": (1, 2), "channels": 1, "classes": 3}
    model = zoo.ResNet(**sizes, rngs=nnx.Rngs(0))
    model.eval()
    return model


def vit() -> nnx.Module:
    sizes = {"size": 4, "patch": 2, "width": 4, "depth": 1, "heads": 2, "channels": 1}
    return zoo.ViT(**sizes, rngs=nnx.Rngs(0))


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
    boundary: str = "torus"


EXAMPLES = {
    "conv": Example(strided, (4, 6), "equivariance", ((2, 0), (0, 2)), 6),
    "lenet": Example(lenet, (8, 8), "invariance", ((4, 0), (0, 4)), 4),
    "resnet": Example(resnet, (4, 4), "invariance", ((2, 0), (0, 2)), 4),
    "vit": Example(vit, (4, 4), "invariance", ((2, 0), (0, 2)), 4),
    "transpose": Example(lambda: transposed, (3, 4), "equivariance", ((1, 0), (0, 1)), 12),
    "circulant": Example(lambda: blended, (4, 3), "equivariance", ((1, 0), (0, 1)), 12, "same"),
    "padded": Example(
        lambda: strided("SAME"), (8, 6), "equivariance", ((2, 0), (0, 2)), None, boundary="scene"
    ),
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
        for roll in node.op.rolls if isinstance(node.op, Constant) else ():
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
