"""A model with what is needed to hold its proofs against its values: traced, translated, run under every shift."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import judge
import numpy as np

from shiftproof.proving.analysis import Prover
from shiftproof.proving.graph import Graph, build_graph
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import Program, evaluate, fixed_values

ROUNDING = 1e-9
"""Far above the rounding of float64 in a few operations, far below the change that a false claim would show."""

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiling takes longer than running here."""


@dataclasses.dataclass(frozen=True)
class Traced:
    """A traced model, its whole-numbered weights, one batch, and the kernel's graph.

    Attributes:
        program: the traced model.
        weights: small whole numbers.
        images: a batch of small whole numbers.
        axes: grid axes of the batch.
        graph: of the kernel.
    """

    program: Program
    weights: list[Any]
    images: np.ndarray
    axes: tuple[int, ...]
    graph: Graph

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(self.images.shape[axis] for axis in self.axes)

    def values(self) -> dict[int, np.ndarray]:
        """The values of all nodes of the graph that hold one, under every shift, in row-major order of the shifts."""
        shifted = np.stack([np.roll(self.images, s, self.axes) for s in np.ndindex(*self.grid)])
        fixed = fixed_values(self.program, self.weights)
        nodes = {
            number: node
            for number, node in self.graph.nodes.items()
            if not jnp.issubdtype(self.program.avals[number].dtype, jax.dtypes.prng_key)
        }
        wanted = [number for number in nodes if number in self.program.from_images]

        def run(images: Any) -> list[Any]:
            found = evaluate(self.program, fixed, images)
            return [found[number] for number in wanted]

        made = jax.jit(jax.vmap(run), compiler_options=QUICK)(shifted) if wanted else []
        arrays = dict(zip(wanted, map(np.asarray, made), strict=True))
        for number in nodes.keys() & fixed.keys():
            array = np.asarray(fixed[number])
            arrays[number] = np.broadcast_to(array, (len(shifted), *array.shape))
        return {nodes[number]: array for number, array in arrays.items()}


def traced(
    model: Any, image: Sequence[int], axes: Sequence[int], *, weights: str, seed: str
) -> Traced:
    """Trace a model in float64 on whole numbers.

    Args:
        model: anything that can be adapted.
        image: shape of one image.
        axes: its grid axes.
        weights: `all` or `these`.
        seed: any text.
    """
    generator = np.random.default_rng(list(seed.encode()))
    images = generator.integers(1, 9, (2, *image)).astype(np.float64)
    adapted = adapt(model)
    numbers = [
        jnp.asarray(generator.integers(-3, 4, leaf.shape), leaf.dtype)
        if jnp.issubdtype(leaf.dtype, np.floating)
        else leaf
        for leaf in adapted.cast(jnp.float64)
    ]
    program = trace_model(adapted, numbers, images)
    opaque = set(program.weights) if weights == "all" else set()
    places = tuple(axis + 1 for axis in axes)
    graph = build_graph(program, numbers, opaque=opaque, spatial_axes=places)
    return Traced(program, numbers, images, places, graph)


def first_violation(one: Traced, prover: Prover, tally: judge.Tally) -> judge.Violation | None:
    """The first claim about a model that its values contradict."""
    with jax.enable_x64(True):
        values = one.values()

    def tolerance(number: int) -> float:
        exact = np.issubdtype(values[number].dtype, np.integer) or values[number].dtype == bool
        return 0.0 if exact else ROUNDING

    return judge.first_violation(
        one.graph.program,
        values,
        one.grid,
        lambda shift: prover.derive(shift).outcomes,
        tally,
        tolerance=tolerance,
    )
