"""Cosets: with a proved lattice, one forward pass per coset gives every layer under every shift.

    f(T_(Δ+l) x) = R_l f(T_Δ x)      for every l of the lattice

The kernel's fact about a layer says, axis by axis, which cell of `f(x)` each cell of `f(T_l x)` shows: that is `R_l`.
It is read off for the generators only; what their multiples and sums do follows. The lattice is the largest one found
under which *every* compared layer has such a fact for all weights, so a layer without one (a dense layer after a
flatten, a window with zero padding) leaves no lattice at all; a sweep of fewer layers has the larger one.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.group import Lattice, Shift, largest_lattice
from shiftproof.proving.analysis import Prover
from shiftproof.proving.graph import build_graph
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.question import Question
from shiftproof_kernel import Fact, Moving, Still, Theorem

Factors = Sequence[Still | Moving]


@dataclasses.dataclass(frozen=True)
class Motion:
    """What the multiples of one generator do along one axis of a layer's value.

    Attributes:
        generator: its position among the generators.
        axis: of the value.
        sources: (order, size) int32; under k times the generator cell i shows what `sources[k mod order, i]` showed.
    """

    generator: int
    axis: int
    sources: np.ndarray


@dataclasses.dataclass(frozen=True)
class Cosets:
    """A lattice of shifts under which all compared layers are known to move, and its cosets.

    Attributes:
        grid: sizes (n1, ..., nd).
        generators: of the lattice; none where only shift 0 is known.
        elements: (count, axes) int32, all shifts of the lattice, 0 first.
        multiples: (count, generators) int32, how often each generator enters each element.
        representatives: (cosets, axes) int32, one shift of every coset, 0 first.
        motions: for each layer how its value moves; none where the lattice leaves it as it is.
        limit: the first layer that is known under no shift but 0, where there is one.
    """

    grid: tuple[int, ...]
    generators: tuple[Shift, ...]
    elements: np.ndarray
    multiples: np.ndarray
    representatives: np.ndarray
    motions: tuple[tuple[Motion, ...], ...]
    limit: Layer | None

    def lift(
        self, values: Sequence[jax.Array], slot: jax.Array, element: jax.Array
    ) -> list[jax.Array]:
        """The values that all layers take when the shift of a slot grows by an element; traceable.

        Args:
            values: of every layer, each (chunk, *shape).
            slot: which shift of the chunk.
            element: which element of the lattice.
        """
        multiples = jnp.asarray(self.multiples)[element]
        lifted = []
        for value, motions in zip(values, self.motions, strict=True):
            moved = value[slot]
            for motion in motions:
                power = multiples[motion.generator] % len(motion.sources)
                sources = jnp.asarray(motion.sources)[power]
                moved = jnp.take(moved, sources, axis=motion.axis, mode="clip")
            lifted.append(moved)
        return lifted

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Lifted shifts to recompute, as pairs (representative, element), (count, 2): each generator once, then others.

        All of them, where there are no more than `count`.
        """
        pairs = np.indices((len(self.representatives), len(self.elements))).reshape(2, -1).T
        pairs = np.random.default_rng(seed).permutation(pairs[pairs[:, 1] > 0])
        alone = self.multiples[pairs[:, 1]]
        first = [
            np.flatnonzero((alone[:, j] == 1) & (alone.sum(1) == 1))[0]
            for j in range(len(self.generators))
        ]
        order = [*first, *np.setdiff1d(np.arange(len(pairs)), first)]
        return pairs[order[: max(count, len(first))]]


def find_cosets(question: Question) -> Cosets:
    """The largest lattice found under which the kernel knows, for all weights, how every layer of a question moves."""
    return cosets_of(question, prover_of(question), question.layers)


def prover_of(question: Question) -> Prover:
    """Asks the kernel how the values of a question's program move, for all weights."""
    program, axes = question.program, question.canvas.axes
    opaque = frozenset(program.weights)
    graph = build_graph(program, question.weights, opaque=opaque, spatial_axes=axes)
    return Prover(graph, question.canvas.grid)


def cosets_of(question: Question, prover: Prover, layers: Sequence[Layer]) -> Cosets:
    """The same for some layers.

    Args:
        question: whose program.
        prover: of that program.
        layers: points of it.
    """
    grid, never = question.canvas.grid, list(layers)

    def holds(shift: Shift) -> bool:
        facts = [_fact(question, prover, layer, shift) for layer in layers]
        known = [x for x, fact in zip(layers, facts, strict=True) if fact is not None]
        never[:] = [layer for layer in never if layer not in known]
        return len(known) == len(facts)

    generators, lattice = largest_lattice(grid, holds)
    elements, multiples = _elements(grid, generators)
    return Cosets(
        grid=grid,
        generators=tuple(generators),
        elements=elements,
        multiples=multiples,
        representatives=np.array(list(np.ndindex(*lattice.box)), np.int32),
        motions=tuple(
            tuple(
                motion
                for position, generator in enumerate(generators)
                for motion in _motions(_fact(question, prover, layer, generator), position)
            )
            for layer in layers
        ),
        limit=never[0] if never and not generators else None,
    )


def _fact(question: Question, prover: Prover, layer: Layer, shift: Shift) -> Fact | None:
    """The fact about a layer, where it says which cell of the value at rest each cell shows."""
    if not isinstance(layer.value, int) or layer.value not in question.program.from_images:
        return Fact((), ())  # no shift changes what does not depend on the images
    node = prover.graph.nodes.get(layer.value)
    if node is None:
        return None
    outcome = prover.derive(shift).outcomes[node]
    if not isinstance(outcome, Theorem) or outcome.fact.shape != layer.shape:
        return None
    # a window on less than one period shows cells that the value at rest does not have
    shown = all(
        isinstance(factor, Still) or (isinstance(factor, Moving) and factor.n >= factor.period)
        for factors in outcome.fact.axes
        for factor in factors
    )
    return outcome.fact if shown else None


def _motions(fact: Fact | None, generator: int) -> list[Motion]:
    if fact is None:
        raise ValueError("a generator of the lattice must have a fact for every layer")
    motions = []
    for axis, factors in enumerate(fact.axes):
        moving = [factor for factor in factors if isinstance(factor, Moving)]
        if moving:
            order = math.lcm(*(f.period // math.gcd(f.period, f.step) for f in moving))
            sources = np.stack([_sources(factors, k) for k in range(order)]).astype(np.int32)  # type: ignore[arg-type]
            motions.append(Motion(generator, axis, sources))
    return motions


def _sources(factors: Factors, multiple: int) -> np.ndarray:
    """Along one axis: the cell of the value at rest that each cell shows under a multiple of the shift.

    >>> _sources([Moving(n=4, period=4, offset=0, step=1)], 1).tolist()
    [3, 0, 1, 2]
    >>> _sources([Moving(n=2, period=2, offset=0, step=1), Still(n=2, period=2)], 3).tolist()
    [2, 3, 0, 1]
    """
    sizes = [factor.n for factor in factors]
    cells = np.indices(sizes)
    for position, factor in enumerate(factors):
        if isinstance(factor, Moving) and multiple * factor.step % factor.period:
            cells[position] = (cells[position] - multiple * factor.step) % factor.period
    return np.ravel_multi_index(tuple(cells), sizes).ravel()


def _elements(grid: Sequence[int], generators: Sequence[Shift]) -> tuple[np.ndarray, np.ndarray]:
    """Every shift of a lattice once, and the multiples of the generators whose sum it is."""
    elements = np.zeros((1, len(grid)), np.int64)
    multiples = np.zeros((1, 0), np.int64)
    for position, generator in enumerate(generators):
        index = Lattice(tuple(grid), tuple(generators[:position])).order(generator)
        steps = np.arange(index)[:, None, None]
        elements = ((elements + steps * np.array(generator)) % grid).reshape(-1, len(grid))
        counts = np.broadcast_to(steps, (index, len(multiples), 1))
        multiples = np.concatenate([np.tile(multiples, (index, 1, 1)), counts], 2)
        multiples = multiples.reshape(-1, position + 1)
    return elements.astype(np.int32), multiples.astype(np.int32)
