"""Every mutant of the kernel is killed by a named test, and the table of mutants is not empty."""

import re
import subprocess
import sys
from pathlib import Path

import mutants
import pytest
from amounts import ALL


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: JAX, once loaded, swallows the alarm that stops mutants which never end."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(mutants.__file__).parent,
    )


@pytest.mark.slow
def test_a_mutant_that_changes_nothing_survives() -> None:
    lines = (
        "import mutants",
        "nothing = mutants.Mutant('rules', 'nothing', lambda on: None)",
        "print(mutants.killer(nothing, mutants.timed()))",
    )
    found = ran("-c", "; ".join(lines))
    assert found.stdout == "None\n", found


def test_conditions_and_numbers_of_every_module_are_changed() -> None:
    labels = {mutant.label for mutant in mutants.mutants()}
    assert "arithmetic.pads_inside: low < base  ->  True" in labels
    assert "arithmetic.stretch: step * base  ->  step * base + 1" in labels
    assert "rules._need_whole: symmetric  ->  True" in labels
    assert {label.split(".")[0] for label in labels} == set(mutants.MUTATED)


@pytest.mark.slow
def test_every_mutant_is_killed() -> None:
    """One of four, or all."""
    every = 1 if ALL else 4
    found = ran(mutants.__file__, "", str(every))
    assert found.returncode == 0, "\n".join(
        line for line in found.stdout.splitlines() if "SURVIVES" in line
    )
    score = re.search(r"(\d+) of (\d+) killed, (\d+) equivalent", found.stdout)
    assert score is not None
    killed, total, equivalent = map(int, score.groups())
    assert killed == total > 1000 // every
    assert equivalent == len(mutants.EQUIVALENT) or every > 1
