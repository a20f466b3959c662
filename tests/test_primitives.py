"""The case table of the primitives: what is proved is true of the values, and no less is proved than should be."""

import jax
import jax.extend.core.primitives as extend
import judge
import numpy as np
import primitives
import pytest
from amounts import sampled
from traced import Traced, first_violation, traced

import shiftproof.proving.primitives as translators
from shiftproof.proving.analysis import Prover
from shiftproof.proving.building import Call, Operand
from shiftproof.proving.graph import Graph
from shiftproof.proving.primitives import RULES
from shiftproof.tracing.primitives import TABLE, Kind
from shiftproof.tracing.trace import CALLS
from shiftproof_kernel import Lost, Theorem, invariant


def traced_case(case: primitives.Case) -> Traced:
    with jax.enable_x64(True):
        return traced(case.make(), case.image, case.axes, weights=case.weights, seed=case.name)


def counts(prover: Prover) -> tuple[tuple[int, ...], ...]:
    """For every output leaf: under how many shifts something is claimed, and under how many it stays."""
    found = []
    for output in prover.graph.program.outputs:
        outcomes = [prover.derive(shift).outcomes[output] for shift in np.ndindex(*prover.grid)]
        theorems = [outcome for outcome in outcomes if isinstance(outcome, Theorem)]
        found.append((len(theorems), sum(map(invariant, theorems))))
    return tuple(zip(*found, strict=True))


@pytest.mark.parametrize("case", sampled(primitives.CASES, plain=8, slow=1))
def test_what_is_proved_is_true_and_all_that_should_be(case) -> None:
    one = traced_case(case)
    prover = Prover(one.graph, one.grid)
    found = first_violation(one, prover, judge.Tally())
    assert found is None, f"unsound under the shift {found.shift}: {found.text}"
    expected = tuple((n,) if isinstance(n, int) else tuple(n) for n in (case.kept, case.same))
    assert counts(prover) == expected, reasons(one.graph, prover)


def reasons(graph: Graph, prover: Prover) -> str:
    told = set()
    for shift in np.ndindex(*prover.grid):
        outcomes = prover.derive(shift).outcomes
        told |= {graph.told(o) for o in outcomes if isinstance(o, Lost)}
    return "\n".join(sorted(told))


def unchanged(call: Call) -> list[Operand]:
    return [call.operands[0]]


FLAWS = {
    "cumsum, grid": ("cumsum", translators.elementwise),
    "rev": ("rev", translators.passed_on),
    "argmax, grid": ("argmax", translators.reduction(symmetric=True)),
    "fft, grid": ("fft", translators.elementwise),
    "dot_general, Gram": ("dot_general", unchanged),
    "scatter, grid": ("scatter", unchanged),
    "random noise of a fixed key": ("add", unchanged),
    "cond, chosen by a cell": ("cond", lambda call: [call.operands[1]]),
}
"""Cases that must be found unsound where a primitive is translated as another kind of function."""


@pytest.mark.parametrize("name", FLAWS)
def test_a_wrong_translation_is_found(name, monkeypatch) -> None:
    primitive, translator = FLAWS[name]
    monkeypatch.setitem(RULES[TABLE[primitive].kind][0], primitive, translator)
    (case,) = [case for case in primitives.CASES if case.name == name]
    one = traced_case(case)
    found = first_violation(one, Prover(one.graph, one.grid), judge.Tally())
    assert found is not None


@pytest.mark.slow
def test_every_primitive_of_the_table_has_a_case() -> None:
    covered = set()
    for case in primitives.CASES:
        program = traced_case(case).program
        covered |= {eqn.name for eqn in program.equations if eqn.outputs[0] in program.from_images}
    opaque = {name for name, entry in TABLE.items() if entry.kind is Kind.OPAQUE}
    assert set(TABLE) - opaque - covered <= ALIASES


ALIASES = frozenset(
    """
    bessel_j0 bessel_j1 copy_p expand_dims log2 mul_add mulhi one_minus_square polynomial random_gamma_grad scatter_max
    scatter_min scatter_mul
    sharding_constraint sinc sinpi
    """.split()
)
"""Names of the table that only other versions of JAX use, or programs for several devices."""


def test_every_primitive_of_jax_has_an_entry() -> None:
    if jax.__version_info__ >= (0, 11):
        pytest.skip("the table is complete for jax 0.10; what it lacks is opaque")
    found = [getattr(extend, name) for name in dir(extend) if name.endswith("_p")]
    names = {primitive.name for primitive in found}
    assert names - set(CALLS) - set(TABLE) == set()
    assert not set(TABLE) & set(CALLS)
    assert all(entry.note for entry in TABLE.values() if entry.kind is Kind.OPAQUE)
