"""Every mutant of the kernel is killed by a named test, and the table of mutants is not empty."""

import re
import subprocess
import sys

import mutants
import pytest
from amounts import ALL


@pytest.mark.slow
def test_a_mutant_that_changes_nothing_survives() -> None:
    nothing = mutants.Mutant("rules", "nothing", lambda on: None)
    assert mutants.killer(nothing, mutants.tests()) is None


def test_conditions_and_numbers_of_every_module_are_changed() -> None:
    labels = {mutant.label for mutant in mutants.mutants()}
    assert "arithmetic.pads_inside: low < base  ->  True" in labels
    assert "arithmetic.stretch: step * base  ->  step * base + 1" in labels
    assert "rules._need_whole: symmetric  ->  True" in labels
    assert {label.split(".")[0] for label in labels} == set(mutants.MUTATED)


@pytest.mark.slow
def test_every_mutant_is_killed() -> None:
    """One of four, or all.

    In a process of its own: JAX, once loaded, swallows the alarm that stops mutants which never end.
    """
    every = 1 if ALL else 4
    command = [sys.executable, mutants.__file__, "", str(every)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, "\n".join(
        line for line in found.stdout.splitlines() if "SURVIVES" in line
    )
    score = re.search(r"(\d+) of (\d+) killed, (\d+) equivalent", found.stdout)
    assert score is not None
    killed, total, equivalent = map(int, score.groups())
    assert killed == total > 1000 // every
    assert equivalent == len(mutants.EQUIVALENT) or every > 1
