import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftproof.lattice import find_lattice, span

grids = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)


def closure(grid, generators) -> np.ndarray:
    """The subgroup by brute force: add generators until nothing new comes."""
    found = {(0,) * len(grid)}
    frontier = set(found)
    while frontier:
        frontier = {
            tuple((a + b) % n for a, b, n in zip(x, g, grid, strict=True))
            for x in frontier
            for g in generators
        } - found
        found |= frontier
    mask = np.zeros(grid, bool)
    for element in found:
        mask[element] = True
    return mask


@given(st.data())
def test_span_and_find_lattice_agree_with_brute_force(data) -> None:
    grid = data.draw(grids)
    element = st.tuples(*(st.integers(0, n - 1) for n in grid))
    generators = data.draw(st.lists(element, max_size=3))
    mask = closure(grid, generators)
    np.testing.assert_array_equal(span(grid, generators), mask)
    lattice = find_lattice(mask)
    assert lattice is not None
    assert lattice.count == mask.sum()
    np.testing.assert_array_equal(span(grid, lattice.generators), mask)


@given(st.data())
def test_a_set_that_is_no_subgroup_is_no_lattice(data) -> None:
    grid = data.draw(grids)
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=int(np.prod(grid)), max_size=int(np.prod(grid))))
    )
    mask = mask.reshape(grid)
    elements = [tuple(map(int, e)) for e in np.argwhere(mask)]
    closed = bool(mask[(0,) * len(grid)]) and all(
        mask[tuple((a + b) % n for a, b, n in zip(x, y, grid, strict=True))]
        for x, y in itertools.product(elements, repeat=2)
    )
    assert (find_lattice(mask) is not None) == closed


@pytest.mark.parametrize(
    ("grid", "generators", "text"),
    [
        ((8, 8), [(4, 0), (0, 4)], "4Z × 4Z"),
        ((6, 8), [(1, 0), (0, 2)], "Z × 2Z"),
        ((8, 8), [], "only 0"),
        ((8, 8), [(1, 0), (0, 1)], "all shifts"),
        ((8, 8), [(4, 0)], "4Z × 0"),
        ((4, 4), [(1, 1)], "⟨(1, 1)⟩"),
    ],
)
def test_text(grid, generators, text) -> None:
    lattice = find_lattice(span(grid, generators))
    assert str(lattice) == text


def test_without_shift_0_there_is_no_lattice() -> None:
    mask = np.ones((3, 3), bool)
    mask[0, 0] = False
    assert find_lattice(mask) is None
