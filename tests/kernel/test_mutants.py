"""Every mutant of the kernel is killed by a named test, and the table of mutants is not empty."""

import mutants


def test_a_mutant_that_changes_nothing_survives() -> None:
    nothing = mutants.Mutant("rules", "nothing", lambda on: None)
    assert mutants.killer(nothing, mutants.tests()) is None


def test_a_side_condition_is_found_and_its_loss_is_killed_for_that_reason() -> None:
    found = {mutant.label: killer for mutant, killer in mutants.survey("arithmetic.pads_inside")}
    assert found["arithmetic.pads_inside: low < base  ->  True"] is not None
    assert found["arithmetic.pads_inside: high < base  ->  True"] is not None


def test_every_mutant_is_killed() -> None:
    found = list(mutants.survey())
    survivors = [m.label for m, killer in found if killer is None]
    assert set(survivors) == set(mutants.EQUIVALENT)
    assert len(found) > 600
    assert {m.module for m, _ in found} == set(mutants.MUTATED)
