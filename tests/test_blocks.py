"""Blocks: NumPy, what is compiled for blocks, and what is traced give the same numbers."""

import jax
import numpy as np
import pytest

from shiftproof.algebras import blocks
from shiftproof.algebras.arithmetic import Arithmetic, primes
from shiftproof.algebras.at_hand import in_numpy, xp
from shiftproof.algebras.blocks import by_cell

CELLS = [(1,), (5, 7), (40, 50), (3, 1001), (0, 4)]


@pytest.fixture
def small(monkeypatch):
    """Blocks of few numbers, so that small arrays have several."""
    monkeypatch.setattr(blocks, "CELLS", 64)
    monkeypatch.setattr(blocks, "NUMBERS", 900)
    blocks._compiled.cache_clear()
    yield monkeypatch
    blocks._compiled.cache_clear()


def field(tracks: int) -> Arithmetic:
    return Arithmetic(tuple(int(p) for p in primes(1)[-tracks:]), 0)


def computed(arithmetic: Arithmetic, x: np.ndarray) -> list[np.ndarray]:
    permuted = arithmetic.permute("permutation", x)
    return [
        arithmetic.reduce(2**22 - 3 * x),
        arithmetic.function("function", [x, x[:1]]),
        permuted,
        arithmetic.unpermute("permutation", permuted),
    ]


def counted(monkeypatch) -> list[int]:
    """Grows with every block that what is compiled computes."""
    calls: list[int] = []
    run = blocks._Compiled._run

    def told(self, *given):
        calls.append(1)
        return run(self, *given)

    monkeypatch.setattr(blocks._Compiled, "_run", told)
    return calls


@pytest.mark.parametrize("tracks", [2, 3, 11])
@pytest.mark.parametrize("cells", CELLS)
def test_whoever_computes_the_numbers_are_the_same(small, tracks, cells) -> None:
    arithmetic = field(tracks)
    x = arithmetic.draw("x", cells)
    small.setattr(blocks, "COMPILING", 2**60)
    numpy = computed(arithmetic, x)
    small.setattr(blocks, "COMPILING", 0)
    calls = counted(small)
    compiled = computed(arithmetic, x)
    assert len(calls) > 8 or x[0].size < 900 // tracks  # what only is compared runs four times
    with jax.enable_x64(True):
        traced = jax.jit(lambda x: computed(arithmetic, x))(x)
    np.testing.assert_array_equal(numpy[3], x)  # the inverse
    whole = [(2**22 - 3 * x) % np.reshape(arithmetic.primes, (-1, *[1] * len(cells)))]
    np.testing.assert_array_equal(numpy[0], whole[0])
    for one, two, three in zip(numpy, compiled, traced, strict=True):
        assert one.shape == (tracks, *cells)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, np.asarray(three))


class Told:
    """A function that says who computed it, and may lie when it is compiled."""

    def __init__(self, *, lies: bool = False) -> None:
        self.lies, self.traced, self.by_numpy = lies, 0, 0

    def __call__(self, x, step):
        if in_numpy(x):
            self.by_numpy += 1
            return xp.sqrt(x) + step
        self.traced += 1
        return xp.sqrt(x) + step + (1e-9 if self.lies else 0)


def test_a_function_is_compiled_once_when_that_pays(small) -> None:
    small.setattr(blocks, "COMPILING", 4000)
    told, x = Told(), np.arange(2000.0).reshape(2, 1000)
    for calls in (1, 2, 3, 4):
        np.testing.assert_array_equal(by_cell(told, [x], np.float64(1)), np.sqrt(x) + 1)
        assert told.traced == (calls > 1)
    # 16 blocks, and the first one that is compared: 450 cells are 3 blocks of what is compiled
    assert told.by_numpy == 16 + 1


def test_the_twin_that_differs_is_never_used(small) -> None:
    small.setattr(blocks, "COMPILING", 0)
    told, x = Told(lies=True), np.arange(2000.0).reshape(2, 1000)
    for _ in range(3):
        np.testing.assert_array_equal(by_cell(told, [x], np.float64(1)), np.sqrt(x) + 1)
    assert told.traced == 1


def test_without_a_processor_for_jax_numpy_computes(small) -> None:
    small.setattr(blocks, "COMPILING", 0)
    small.setattr(blocks, "_processor", lambda: None)
    told, x = Told(), np.arange(2000.0).reshape(2, 1000)
    np.testing.assert_array_equal(by_cell(told, [x], np.float64(1)), np.sqrt(x) + 1)
    assert not told.traced
