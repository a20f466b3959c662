"""Random edits of certificates: the checker refuses, or what it accepts is true. See `fuzz`."""

import json
import typing
from collections.abc import Callable

import fuzz
import kernel_models
import pytest
from amounts import ALL

from shiftproof_kernel import arithmetic, certificate
from shiftproof_kernel.program import Operation, kind

SMALL = ("conv", "transpose", "circulant", "padded", "scan")
FIRST = 10**6
"""The first seed; those before it are for trying things out."""


@pytest.fixture(scope="module")
def models() -> list[str]:
    return [json.dumps(kernel_models.certificate_of(name)) for name in SMALL]


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(50 if ALL else 8))
def test_an_edited_certificate_is_refused_or_true(batch: int, models: list[str]) -> None:
    """2,000 edits, with --slow 30,000, and all in all 100,000."""
    tally = fuzz.Tally()
    for seed in range(FIRST + 2000 * batch, FIRST + 2000 * (batch + 1)):
        fuzz.tried(seed, tally, models)
    # it must not become vacuous: figures of a usual run are 150, 400, 550 and 10
    assert tally.accepted["raw"] > 80
    assert tally.accepted["remade"] > 250
    assert tally.run > 350
    assert tally.unrun.total() < 0.1 * tally.run
    assert tally.refused.keys() > {"format", "changed", "claim", "shape"}
    assert len(tally.refused) > 10
    operations = {kind(cls) for cls in typing.get_args(Operation)}
    assert len(tally.operations.keys() & operations) > len(operations) - 3


def many(count: int, start: int = 0) -> None:
    for seed in range(start, count):
        fuzz.tried(seed, fuzz.Tally())


FLAWS: dict[str, Callable] = {
    # formulas of side conditions, which then hold always
    "holds_still": lambda *numbers: (True,),
    "strides": lambda *numbers: (True,),
    "covers": lambda *numbers: (True,),
    "pads_inside": lambda *numbers: (True,),
    "scene_strides": lambda *numbers: (True,),
    "rolls": lambda *numbers: (True,),
    # and of numbers
    "stretched_offset": lambda offset, low, base: offset * base,
    "within": lambda low, high, start, stride, reach: (
        -((start - low) // stride),
        (high - 1 - start) // stride + 1,
    ),
}


RARE = {"rolls": 30_000}
"""Where to begin, unless all are tried, since no edit before finds the flaw."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAWS)
def test_a_flaw_of_the_kernel_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz.corpus()  # made by the kernel as it is
    monkeypatch.setattr(arithmetic, name, FLAWS[name])
    with pytest.raises(fuzz.Unsound, match="false: proved"):
        many(40_000, 0 if ALL else RARE.get(name, 0))


@pytest.mark.slow
def test_a_law_that_is_not_compared_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz.corpus()
    monkeypatch.setattr(certificate, "invariant", lambda theorem: True)
    with pytest.raises(fuzz.Unsound, match="false: proved: invariance"):
        many(20_000)


def test_a_check_that_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0)
    with pytest.raises(fuzz.Unsound, match=r"it took 0.\d s"):
        fuzz.tried(0, fuzz.Tally())


@pytest.mark.slow
def test_an_error_of_the_checker_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "check", lambda data: 1 / 0)
    with pytest.raises(fuzz.Unsound, match="ZeroDivisionError"):
        many(100)
