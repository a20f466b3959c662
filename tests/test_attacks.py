"""What is true over the real numbers is never refuted, and what is false never proved, whatever floats say."""

import pytest
from amounts import sampled
from attacks import ATTACKS, Attack

import shiftproof as sp


@pytest.mark.filterwarnings("ignore::shiftproof.errors.VacuousWarning")
@pytest.mark.parametrize("attack", sampled(ATTACKS, plain=10, slow=1))
def test_attacks(attack: Attack) -> None:
    found = sp.verify(attack.model, (4, 1), search_seconds=1).invariance
    if attack.holds:
        assert (found.refuted, found.refuted_numerically) == (0, 0)
    else:
        assert found.proved == 1
