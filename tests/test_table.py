"""The table: every primitive has one entry, and every mutant of an entry is caught by a named program."""

import pytest
import table_mutants
from amounts import ALL
from table_mutants import Kind, caught_by, mutants, programs

from shiftproof.tracing.primitives import TABLE
from shiftproof.tracing.trace import CALLS

SAMPLE = 40
"""One mutant in so many is tried without --slow."""


@pytest.fixture(scope="module")
def met() -> dict[str, list[table_mutants.Program]]:
    return programs()


@pytest.mark.slow
def test_every_primitive_that_a_program_meets_has_one_entry(met) -> None:
    assert len(met) > 130
    assert set(met) <= set(TABLE)
    assert not set(TABLE) & set(CALLS)


def test_every_parameter_that_a_program_meets_is_named_in_its_entry(met) -> None:
    for name, cases in met.items():
        if TABLE[name].kind is Kind.OPAQUE:
            continue
        for case in cases:
            for eqn in table_mutants._traced(case).program.equations:
                if eqn.name == name:
                    assert set(eqn.params) <= set(TABLE[name].params), f"{name} in {case.name}"


def _uncaught(met: dict[str, list[table_mutants.Program]], step: int) -> list[str]:
    chosen = list(mutants(set(met) & set(TABLE)))[::step]
    assert len(chosen) > 20
    return [f"{m.primitive} {m.what}" for m in chosen if not caught_by(m, met[m.primitive])]


@pytest.mark.slow
def test_mutants_of_the_table_are_caught(met) -> None:
    assert _uncaught(met, SAMPLE) == []


@pytest.mark.slow
def test_more_mutants_of_the_table_are_caught(met) -> None:
    assert _uncaught(met, 1 if ALL else 4) == []
