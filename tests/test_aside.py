"""The programs set aside, of each kind of fault: decided rightly, and each right value found again by brute force."""

from collections import Counter

import aside
import brute
import faults
import pytest
import recheck
from amounts import some
from brute import Case

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")
PARAMETERS = [pytest.param(case, id=case.name) for case in aside.CASES]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Reports of contradictions are written to the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", some(PARAMETERS, 8))
def test_the_right_value_is_right(case: Case) -> None:
    brute.assert_right_value(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", some(PARAMETERS, 6))
def test_every_program_is_decided(case: Case) -> None:
    """Its counterexamples hold in exact numbers, too."""
    answer = brute.assert_decided(case)
    if answer is not None:
        recheck.assert_true(case.name, answer)


def test_names_are_unique_and_every_kind_has_ten() -> None:
    names = [case.name for case in (*aside.CASES, *faults.CASES)]
    assert len(set(names)) == len(names)
    kinds = Counter(case.name.split()[0] for case in aside.CASES)
    rows = [*(f"A{i}" for i in range(1, 6)), *(f"B{i}" for i in range(1, 7))]
    rows += [*(f"C{i}" for i in range(1, 10)), "C12"]
    assert set(kinds) == set(rows)
    assert min(kinds.values()) >= 10
