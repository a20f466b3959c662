"""The case table of the primitives: what is proved is true of the values, and no less is proved than should be."""

import jax
import jax.extend.core.primitives as extend
import jax.numpy as jnp
import judge
import numpy as np
import primitives
import pytest

from shiftproof.analysis import Prover
from shiftproof.graph import Graph, build_graph
from shiftproof.model import adapt, trace_model
from shiftproof.primitives import REFUSED, TABLE
from shiftproof.trace import CALLS, Program, evaluate, fixed_values
from shiftproof_kernel import Lost, Theorem, invariant

BATCH = 2
ROUNDING = 1e-9
"""Far above the rounding of float64 in a few operations, far below the change that a false claim would show."""


def images_of(case: primitives.Case) -> np.ndarray:
    generator = np.random.default_rng(list(case.name.encode()))
    return generator.integers(1, 9, (BATCH, *case.image)).astype(np.float64)


def built(case: primitives.Case) -> tuple[Program, list, Graph]:
    """The traced program, integer weights, and the graph of a case."""
    model = adapt(case.make())
    generator = np.random.default_rng(0)
    weights = [
        jnp.asarray(generator.integers(-3, 4, leaf.shape), leaf.dtype)
        if jnp.issubdtype(leaf.dtype, np.floating)
        else leaf
        for leaf in model.cast(jnp.float64)
    ]
    program = trace_model(model, weights, images_of(case))
    axes = tuple(axis + 1 for axis in case.axes)
    opaque = set(program.weights) if case.weights == "all" else set()
    return program, weights, build_graph(program, weights, opaque=opaque, spatial_axes=axes)


def values_of(case: primitives.Case, program: Program, weights: list, graph: Graph) -> dict:
    """The values of all nodes of the graph that hold one, under every shift."""
    images, axes = images_of(case), tuple(axis + 1 for axis in case.axes)
    grid = [case.image[axis] for axis in case.axes]
    shifted = np.stack([np.roll(images, shift, axes) for shift in np.ndindex(*grid)])
    fixed = fixed_values(program, weights)
    keys = {n for n, a in program.avals.items() if jnp.issubdtype(a.dtype, jax.dtypes.prng_key)}
    wanted = [n for n in graph.nodes if n in program.from_images and n not in keys]

    def run(image):
        found = evaluate(program, fixed, image)
        return [found[number] for number in wanted]

    arrays = jax.jit(jax.vmap(run))(shifted) if wanted else []
    count = len(shifted)
    values = {}
    for number, array in zip(wanted, arrays, strict=True):
        values[graph.nodes[number]] = np.asarray(array)
    for number, array in fixed.items():
        if number in graph.nodes and number not in keys:
            values[graph.nodes[number]] = np.broadcast_to(np.asarray(array), (count, *array.shape))
    return values


def counts(case: primitives.Case, graph: Graph, prover: Prover) -> tuple:
    """For every output leaf: under how many shifts something is claimed, and under how many it stays."""
    found = []
    for output in graph.program.outputs:
        outcomes = [prover.derive(shift).outcomes[output] for shift in np.ndindex(*prover.grid)]
        theorems = [outcome for outcome in outcomes if isinstance(outcome, Theorem)]
        found.append((len(theorems), sum(map(invariant, theorems))))
    return tuple(zip(*found, strict=True))


@pytest.mark.parametrize("case", primitives.CASES, ids=lambda case: case.name)
def test_what_is_proved_is_true_and_all_that_should_be(case) -> None:
    with jax.enable_x64(True):
        program, weights, graph = built(case)
        values = values_of(case, program, weights, graph)
    grid = tuple(case.image[axis] for axis in case.axes)
    prover = Prover(graph, grid)

    def tolerance(number: int) -> float:
        exact = np.issubdtype(values[number].dtype, np.integer) or values[number].dtype == bool
        return 0.0 if exact else ROUNDING

    found = judge.first_violation(
        graph.program,
        values,
        grid,
        lambda shift: prover.derive(shift).outcomes,
        judge.Tally(),
        tolerance=tolerance,
    )
    assert found is None, f"unsound under the shift {found.shift}: {found.text}"
    expected = tuple((n,) if isinstance(n, int) else tuple(n) for n in (case.kept, case.same))
    assert counts(case, graph, prover) == expected, _reasons(graph, prover)


def _reasons(graph: Graph, prover: Prover) -> str:
    told = set()
    for shift in np.ndindex(*prover.grid):
        outcomes = prover.derive(shift).outcomes
        told |= {graph.told(o) for o in outcomes if isinstance(o, Lost)}
    return "\n".join(sorted(told))


def test_every_primitive_of_the_table_has_a_case() -> None:
    covered = set()
    with jax.enable_x64(True):
        for case in primitives.CASES:
            model = adapt(case.make())
            program = trace_model(model, model.cast(jnp.float64), images_of(case))
            covered |= {
                eqn.name for eqn in program.equations if eqn.outputs[0] in program.from_images
            }
    assert set(TABLE) - covered <= ALIASES


ALIASES = frozenset(
    """
    bessel_j0 bessel_j1 copy_p random_gamma_grad expand_dims mul_add mulhi sharding_constraint sinc sinpi
    """.split()
)
"""Names of the table that only other versions of JAX use, or programs for several devices."""


def test_every_primitive_of_jax_is_translated_or_refused_for_a_reason() -> None:
    if jax.__version_info__ >= (0, 11):
        pytest.skip("the list of refused primitives is that of jax 0.10")
    found = [getattr(extend, name) for name in dir(extend) if name.endswith("_p")]
    names = {primitive.name for primitive in found} - {"iota"}  # of nothing: always computed
    assert names - set(CALLS) - set(TABLE) - set(REFUSED) == set()
    assert not set(TABLE) & set(REFUSED)
