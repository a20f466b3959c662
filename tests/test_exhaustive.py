"""Every shift tried one by one in the field: the same as generators and minimal overgroups, and as brute force."""

from typing import Any

import brute
import cases
import faults
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import sampled
from fields import identities

import shiftproof as sp
from shiftproof.deciding.decision import Case
from shiftproof.deciding.verify import ask, graph_of, identities_of
from shiftproof.errors import ContradictionError, InputError, ShiftproofError
from shiftproof.proving.analysis import Prover

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")


def decided(model: Any, shape: Any, **options: Any) -> list[tuple[Case, np.ndarray]]:
    """For each claim the lattice by generators and overgroups, and what the sweep finds; a contradiction raises."""
    subject, claims = ask(model, shape, **options)
    prover, asked = Prover(graph_of(subject), subject.grid), identities_of(subject)
    swept, _ = asked.sweep(claims)
    return [(Case(claim, prover, asked, swept=swept[claim]), swept[claim]) for claim in claims]


@pytest.mark.slow
@pytest.mark.parametrize("row", sampled(cases.CASES, plain=6, slow=6))
def test_known_answers(row: cases.Case) -> None:
    counts = {"equivariance": row.equivariant, "invariance": row.invariant}
    law = "any" if row.law in ("any", "stride") else "same"
    for case, swept in decided(row.build(), row.shape, law=law, apply_kwargs=row.apply_kwargs):
        count = counts[case.claim.property]
        assert not np.any(swept & ~case.lattice.mask())
        if not case.identities.is_blind:
            np.testing.assert_array_equal(swept, case.lattice.mask())
        if count is not None and case.claim.leaf == 0:
            assert case.lattice.mask().sum() <= count


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", sampled([row for row in faults.CASES if row.property], plain=4, slow=4)
)
def test_faults(row: brute.Case) -> None:
    right = brute.truth(row)
    try:
        found = decided(row.build(), row.shape, weights=row.weights, **row.options)
    except ShiftproofError:
        assert row.refusal
        return
    for case, swept in found:
        if case.claim.leaf == row.leaf:
            holds = getattr(right, case.claim.property)
            assert not np.any(swept & ~holds)
            assert not np.any(case.lattice.mask() & ~holds)
            if case.claim.property == row.property and row.proved is not None:
                assert case.lattice.mask().sum() == row.proved


@pytest.mark.slow
def test_verify_says_so() -> None:
    verdict = sp.verify(lambda x: (x[:, ::2] + x[:, 1::2]).sum(1), (6, 1), exhaustive=True)
    assert verdict.invariance.proved == 6
    assert verdict.invariance.certified == 3
    assert verdict.invariance.identity is not None
    assert verdict.invariance.identity.exhaustive


@pytest.mark.slow
def test_a_sweep_that_finds_something_else_is_a_contradiction() -> None:
    subject, claims = ask(jnp.tanh, (4, 1))
    prover, asked = Prover(graph_of(subject), subject.grid), identities_of(subject)
    for shift, words in ((1, "no identity"), (0, "no identity")):
        swept = asked.sweep(claims)[0][claims[0]]
        swept[shift] = False
        with pytest.raises(ContradictionError, match=words):
            Case(claims[0], prover, asked, swept=swept)
    swept = np.array([True, True, False, False])
    with pytest.raises(ContradictionError, match="is an identity"):
        Case(claims[1], prover, asked, swept=swept)


def test_what_the_kernel_alone_knows_is_no_contradiction_where_the_field_is_blind(
    monkeypatch,
) -> None:
    assert identities(lambda x: jnp.linalg.svd(x[..., 0], compute_uv=False), (4, 1)).is_blind
    subject, claims = ask(jnp.tanh, (4, 1))
    prover, asked = Prover(graph_of(subject), subject.grid), identities_of(subject)
    # compiled runs are shared, so that this must not outlive the test
    monkeypatch.setitem(asked.screen().field.opaque, "a stand-in", None)
    nothing = np.arange(4) == 0
    assert Case(claims[0], prover, asked, swept=nothing).lattice.index == 1
    with pytest.raises(ContradictionError, match="is an identity"):
        Case(claims[1], prover, asked, swept=np.ones(4, bool))


@pytest.mark.slow
def test_a_model_that_the_field_cannot_run_is_refused() -> None:
    table = np.array([0.0, 1, 2, 3], np.float32)[:, None]

    def fn(x):
        return jnp.tanh(jnp.where(table > 0, (x + 1) / table, jnp.exp(x) / (table + 1)) * 1)

    with pytest.raises(InputError, match=r"divides by zero.*Leave out exhaustive"):
        sp.verify(lambda x: jax.nn.sigmoid(x / table), (4, 1), exhaustive=True)
    assert sp.verify(fn, (4, 1), exhaustive=True).equivariance.proved == 1
