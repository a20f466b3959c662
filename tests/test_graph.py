"""The graph: traps met on published models, each with a twin that must fail, and reasons that name what was lost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import shiftproof
from shiftproof.proving.analysis import Prover
from shiftproof.proving.graph import Graph, build_graph
from shiftproof.proving.periods import periods, rolls
from shiftproof.tracing.model import adapt, trace_model
from shiftproof_kernel import Lost, Theorem, equivariant, invariant
from shiftproof_kernel.program import Constant

RAMP = np.arange(8.0)


def prover_of(fn, image=(8, 1), *, weights="all") -> Prover:
    """The prover of a model whose grid axes are all but the last."""
    model = adapt(fn)
    leaves = model.cast(jnp.float32)
    program = trace_model(model, leaves, np.zeros((1, *image), np.float32))
    opaque = set(program.weights) if weights == "all" else set()
    axes = tuple(range(1, len(image)))
    graph = build_graph(program, leaves, opaque=opaque, spatial_axes=axes)
    return Prover(graph, image[:-1])


def kept(prover: Prover, leaf: int = 0) -> list:
    """The shifts under which something is claimed of an output."""
    output = prover.graph.program.outputs[leaf]
    shifts = np.ndindex(*prover.grid)
    return [s for s in shifts if isinstance(prover.derive(s).outcomes[output], Theorem)]


def stays(prover: Prover, leaf: int = 0) -> list:
    """The shifts under which an output is proved to stay."""
    output = prover.graph.program.outputs[leaf]
    return [s for s in kept(prover, leaf) if invariant(prover.derive(s).outcomes[output])]


def reason(prover: Prover, shift, leaf: int = 0) -> str:
    """Why nothing is claimed of an output."""
    lost = prover.derive(shift).outcomes[prover.graph.program.outputs[leaf]]
    assert isinstance(lost, Lost)
    return prover.graph.told(lost)


# --- traps ---


def test_a_lost_claim_is_a_value_and_spoils_nothing_else() -> None:
    def model(x):
        dead = jnp.cumsum(x, 1)
        unread = jnp.cumsum(x * 2, 1)
        return jnp.roll(x, 1, 1), unread, jnp.mean(x, 1) + 0 * dead[:, :1].sum()

    prover = prover_of(model)
    assert len(kept(prover, 0)) == 8
    assert len(kept(prover, 1)) == 1
    assert len(stays(prover, 2)) == 8


def test_what_depends_on_nothing_is_computed_and_its_periods_are_seen() -> None:
    count = prover_of(lambda x: nnx.avg_pool(x, (2,), (2,), "SAME", count_include_pad=False))
    assert kept(count) == [(0,), (2,), (4,), (6,)]
    mask = prover_of(lambda x: x * (jnp.arange(8) % 4 == 0)[:, None])
    assert kept(mask) == [(0,), (4,)]
    table = prover_of(lambda x: x * (jnp.arange(8) % 7 == 0)[:, None])
    assert kept(table) == [(0,)]


@pytest.mark.slow
def test_a_nearest_resize_is_a_gather_that_is_run_on_the_numbers_of_cells() -> None:
    up = prover_of(lambda x: jax.image.resize(x, (1, 16, 1), "nearest"))
    assert len(kept(up)) == 8
    outcome = up.derive((1,)).outcomes[up.graph.program.outputs[0]]
    assert equivariant(outcome, (1,)) == (2,)
    uneven = prover_of(lambda x: jax.image.resize(x, (1, 12, 1), "nearest"))
    assert kept(uneven) == [(0,), (2,), (4,), (6,)]
    clipped = prover_of(lambda x: x[:, np.minimum(np.arange(8) + 1, 7)])
    assert kept(clipped) == [(0,)]


@pytest.mark.parametrize("pool", [nnx.avg_pool, nnx.max_pool])
def test_a_window_that_covers_a_period_is_a_reduction(pool) -> None:
    assert len(stays(prover_of(lambda x: pool(x, (2, 2), (2, 2)), (2, 2, 3)))) == 4
    assert len(stays(prover_of(lambda x: pool(x, (2, 2), (2, 2)), (2, 3, 3)))) < 4
    assert len(stays(prover_of(lambda x: pool(x, (7,), (1,)), (8, 1)))) == 1


def test_axes_of_length_one_are_repeated() -> None:
    whole = prover_of(lambda x: x - jnp.mean(x, 1, keepdims=True))
    assert len(kept(whole)) == 8
    cell = prover_of(lambda x: x - x[:, :1])
    assert kept(cell) == [(0,)]


def test_a_map_that_shrinks_to_one_cell_stays_only_under_the_lattice_on_the_way() -> None:
    def pooled(x, times):
        for _ in range(times):
            x = nnx.max_pool(x, (2,), (2,))
        return x

    assert stays(prover_of(lambda x: pooled(x, 3))) == [(0,), (4,)]
    assert stays(prover_of(lambda x: pooled(x, 2), (4, 1))) == [(0,), (2,)]
    assert stays(prover_of(lambda x: pooled(x, 2), (6, 1))) == [(0,)]


def test_constants_of_closed_over_arrays_sit_in_nested_programs() -> None:
    def with_table(table):
        return lambda x: jax.jit(lambda y: jax.checkpoint(lambda z: z + jnp.asarray(table))(y))(x)

    assert kept(prover_of(with_table(np.tile([[1.0], [2]], (4, 1))))) == [(0,), (2,), (4,), (6,)]
    assert kept(prover_of(with_table(RAMP[:, None]))) == [(0,)]


# --- weights ---


class Table(nnx.Module):
    def __init__(self, values):
        self.table = nnx.Param(jnp.asarray(values, jnp.float32)[:, None])

    def __call__(self, x):
        return x + self.table


def test_a_periodic_weight_is_seen_only_where_these_weights_are_asked_about() -> None:
    periodic = Table(np.tile([1.0, 2], 4))
    assert kept(prover_of(periodic)) == [(0,)]
    assert len(kept(prover_of(periodic, weights="these"))) == 4
    assert kept(prover_of(Table(RAMP), weights="these")) == [(0,)]


def test_a_weight_of_zeros_is_not_taken_for_zero() -> None:
    class Head(nnx.Module):
        def __init__(self):
            self.kernel = nnx.Param(jnp.zeros((8, 2)))

        def __call__(self, x):
            return x.reshape(1, -1) @ self.kernel

    assert stays(prover_of(Head())) == [(0,)]
    assert len(stays(prover_of(Head(), weights="these"))) == 8


def test_a_table_of_imaginary_numbers_is_not_zero() -> None:
    """`any` of an array of JAX's looks at real parts only."""
    table = 1j * np.arange(1, 9)[:, None]
    assert stays(prover_of(lambda x: jnp.abs(x * table))) == [(0,)]
    assert len(stays(prover_of(lambda x: jnp.abs(x * (0 * table))))) == 8


def test_weights_without_cells() -> None:
    class Odd(nnx.Module):
        def __init__(self):
            self.nothing = nnx.Param(jnp.zeros((1, 0, 1)))

        def __call__(self, x):
            return jnp.concatenate([x, self.nothing], 1) + jnp.sum(self.nothing)

    assert len(kept(prover_of(Odd()))) == 8


# --- arrays without cells: once a source of false claims ---


def test_an_empty_product_is_one_and_not_zero() -> None:
    assert len(kept(prover_of(lambda x: x * jnp.prod(x[:, :0])))) == 8
    assert stays(prover_of(lambda x: x * jnp.prod(x[:, :0]))) == [(0,)]


def test_an_empty_update_changes_nothing() -> None:
    prover = prover_of(lambda x: x * lax.dynamic_update_slice(x, x[:, :0], (0, 0, 0)))
    assert stays(prover) == [(0,)]


# --- reasons ---


def test_a_reason_names_primitive_line_and_what_was_lost() -> None:
    told = reason(prover_of(lambda x: jnp.linalg.solve(jnp.eye(8), x[0])), (1,))
    assert "lu" in told or "triangular_solve" in told or "linear_solve" in told
    assert "linear algebra sees rows and columns in their order" in told
    assert "test_graph.py:" in told


def test_the_reason_of_a_primitive_without_a_rule_says_so() -> None:
    def model(x):
        return jax.pure_callback(lambda a: a, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert reason(prover_of(model), (1,)).startswith("pure_callback at test_graph.py:")
    assert "that the traced program does not show" in reason(prover_of(model), (1,))


@pytest.mark.parametrize(
    ("model", "told"),
    {
        "stride": (lambda x: x[:, ::2], "slice at .*: stride 2 meets a signal of period 8"),
        "padding": (
            lambda x: nnx.max_pool(x, (3,), (1,), "SAME"),
            "reduce_window_max at .* by 1 of 8 is padded by foreign values",
        ),
        "positions": (lambda x: x + RAMP[:, None], "add at .* stay in place meet values that move"),
        "order": (lambda x: jnp.cumsum(x, 1), "cumsum at .*order"),
        "part": (lambda x: jnp.sum(x[:, 1:], 1), "reduce_sum at .*part of a moving axis"),
        "loop": (
            lambda x: lax.scan(lambda c, _: (c + RAMP[:, None], None), x, None, length=2)[0],
            r"scan at test_graph.py:\d+: .*\(map add test_graph.py:\d+\)",
        ),
    }.values(),
    ids=["stride", "padding", "positions", "order", "part", "loop"],
)
def test_reasons(model, told) -> None:
    import re

    assert re.search(told, reason(prover_of(model), (1,)))


# --- constants ---


def test_periods() -> None:
    assert periods(np.ones((3, 4))) == (1, 1)
    assert periods(np.array([1, 2, 1, 2, 1])) == (5,)
    assert periods(np.array([1, 1, 2, 1, 1, 2])) == (3,)
    assert periods(np.array([1, 1, 1, 1, 1, 2])) == (6,)
    assert periods(np.array([np.nan, np.nan])) == (1,)
    assert periods(np.array(3.0)) == ()


def test_rolls() -> None:
    circulant = np.array([np.roll([1, 2, 3, 4], k) for k in range(4)])
    assert rolls(circulant) == ((1, 1),)
    assert rolls(circulant[:, ::-1]) == ((1, 3),)
    assert rolls(np.roll(circulant, 1, 0)[:, :3]) == ()
    circulant[2, 1] += 1
    assert rolls(circulant) == ()


@pytest.mark.slow
def test_a_checkerboard_keeps_every_second_shift() -> None:
    board = (np.indices((8, 8)).sum(0) % 2)[..., None] * 1.0
    verdict = shiftproof.verify(lambda x: nnx.relu(x) * board, (8, 8, 1))
    counts = verdict.to_dict()["outputs"][0]["equivariance"]
    assert (counts["proved"], counts["refuted"], counts["undecided"]) == (32, 32, 0)
    broken = board.copy()
    broken[3, 4] = 0.5
    broken_verdict = shiftproof.verify(lambda x: nnx.relu(x) * broken, (8, 8, 1))
    assert broken_verdict.to_dict()["outputs"][0]["equivariance"]["proved"] == 1


def test_diagonal_stripes_keep_the_shifts_along_them() -> None:
    rows, columns = np.indices((5, 10))
    stripes = ((rows + 2 * columns) % 5)[..., None] * 1.0
    assert rolls(stripes) == ((1, 2, 0),)
    kept_shifts = kept(prover_of(lambda x: nnx.relu(x) * stripes, (5, 10, 1)))
    along = [(a, b) for a, b in np.ndindex(5, 10) if (a + 2 * b) % 5 == 0]
    assert set(kept_shifts) >= {(1, 2), (2, 4), (3, 6), (4, 8), (0, 5)}
    assert set(kept_shifts) <= set(along)
    assert len(along) == 10


def test_the_same_array_becomes_one_constant() -> None:
    prover = prover_of(lambda x: (x + RAMP[:, None]) * RAMP[:, None])
    assert isinstance(prover.graph, Graph)
    tables = [n for n in prover.graph.program.nodes if isinstance(n.op, Constant) and 8 in n.shape]
    assert 1 <= len(tables) <= 2
