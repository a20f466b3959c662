import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftproof.deciding.asked import asked_mask
from shiftproof.errors import InputError
from shiftproof.group import Background, Failing, Lattice, find_lattice, largest_lattice, simplest
from shiftproof.testing import strategies
from shiftproof.testing.strategies import lattices, shifts

grids = strategies.grids(max_side=9)


def times(k, shift, grid):
    return tuple(k * s % n for s, n in zip(shift, grid, strict=True))


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


@pytest.mark.slow
@given(st.data())
def test_lattices_agree_with_brute_force(data) -> None:
    grid = data.draw(grids)
    generators = tuple(data.draw(st.lists(shifts(grid), max_size=3)))
    mask, lattice = closure(grid, generators), Lattice(grid, generators)
    np.testing.assert_array_equal(lattice.mask(), mask)
    assert (lattice.count, lattice.index) == (mask.sum(), mask.size // mask.sum())
    assert find_lattice(mask) == lattice == Lattice(grid, lattice.generators)
    shift = data.draw(shifts(grid))
    assert (shift in lattice) == mask[shift]
    assert (lattice.reduced(shift) == shift) == all(
        s < b for s, b in zip(shift, lattice.box, strict=True)
    )
    order = next(k for k in itertools.count(1) if mask[times(k, shift, grid)])
    assert lattice.order(shift) == order


@pytest.mark.slow
@given(st.data())
def test_cosets_are_told_apart(data) -> None:
    grid = data.draw(grids)
    lattice = data.draw(lattices(grid))
    a, b = data.draw(shifts(grid)), data.draw(shifts(grid))
    gap = tuple(x - y for x, y in zip(a, b, strict=True))
    cosets = lattice.cosets()
    assert (cosets[a] == cosets[b]) == (gap in lattice)
    assert cosets[a] == lattice.numbers(np.array([a]))[0]
    assert set(np.unique(cosets)) == set(range(lattice.index))


def covers(grid, mask: np.ndarray) -> set[bytes]:
    """The subgroups that cover one minimally, by brute force: those by one element with none in between."""
    larger = {
        closure(grid, [*map(tuple, np.argwhere(mask).tolist()), g]).tobytes()
        for g in map(tuple, np.argwhere(~mask).tolist())
    }
    masks = [np.frombuffer(m, bool).reshape(grid) for m in larger]
    return {
        m.tobytes()
        for m in masks
        if not any(np.all(o <= m) and not np.array_equal(o, m) for o in masks)
    }


@pytest.mark.parametrize(
    ("grid", "generators"),
    [
        ((6,), []),
        ((4, 4), []),
        ((6, 4), [(0, 2)]),
        ((3, 3), []),
        ((4, 4), [(1, 1)]),
        ((2, 2, 2), []),
    ],
)
def test_overgroups_are_all_minimal_larger_groups(grid, generators) -> None:
    lattice = Lattice(grid, tuple(generators))
    mask = lattice.mask()
    found = lattice.overgroups
    assert {o.lattice.mask().tobytes() for o in found} == covers(grid, mask)
    assert len({o.lattice for o in found}) == len(found)
    for overgroup in found:
        assert overgroup.lattice.count == overgroup.prime * lattice.count
        assert overgroup.shift == simplest(overgroup.lattice.mask() & ~mask)


@pytest.mark.slow
@given(st.data())
def test_a_shift_fails_where_one_of_its_multiples_does(data) -> None:
    grid = data.draw(grids)
    lattice = data.draw(lattices(grid))
    outside = [o.shift for o in lattice.overgroups]
    drawn = data.draw(st.lists(st.sampled_from(outside), max_size=3)) if outside else []
    drawn += [s for s in data.draw(st.lists(shifts(grid), max_size=2)) if s not in lattice]
    failing = Failing(lattice, tuple(drawn))
    mask = failing.mask()
    for shift in np.ndindex(grid):
        reached = [times(k, shift, grid) for k in range(math.lcm(*grid))]
        gaps = [[a - b for a, b in zip(k, r, strict=True)] for k in drawn for r in reached]
        fails = any(gap in lattice for gap in gaps)
        assert mask[shift] == fails == (shift in failing)
    assert failing.count == mask.sum()
    if failing.is_complete:
        assert np.all(mask | lattice.mask())
    neither = ~(mask | lattice.mask())
    assert np.array_equal(failing.left, neither[tuple(map(slice, lattice.box))])


@pytest.mark.slow
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


@pytest.mark.slow
@given(st.data())
def test_the_largest_lattice_is_found_by_asking(data) -> None:
    grid = data.draw(grids)
    wanted = data.draw(lattices(grid))
    generators, found = largest_lattice(grid, lambda shift: shift in wanted)
    assert found == wanted == Lattice(grid, tuple(generators))
    assert all(
        Lattice(grid, tuple(g for g in generators if g != left)) != wanted for left in generators
    )


@pytest.mark.parametrize(
    ("grid", "generators", "text"),
    [
        ((8, 8), [(4, 0), (0, 4)], "4Z × 4Z"),
        ((6, 8), [(1, 0), (0, 2)], "Z × 2Z"),
        ((8, 8), [], "only 0"),
        ((8, 8), [(1, 0), (0, 1)], "all shifts"),
        ((8, 8), [(4, 0)], "4Z × 0"),
        ((8, 8), [(5, 0)], "Z × 0"),
        ((4, 4), [(1, 1)], "⟨(1, 1)⟩"),
    ],
)
def test_text(grid, generators, text) -> None:
    assert str(Lattice(grid, tuple(generators))) == text


def test_without_shift_0_there_is_no_lattice() -> None:
    mask = np.ones((3, 3), bool)
    mask[0, 0] = False
    assert find_lattice(mask) is None


@pytest.mark.parametrize("grid", [(1024, 1024), (10**6,), (44100,), (64, 64, 64)])
def test_nothing_grows_with_the_grid(grid, monkeypatch) -> None:
    """F5: a verdict on a large grid needs no array of its size."""
    for name in ("mask", "cosets"):
        monkeypatch.setattr(Lattice, name, None)
    lattice = Lattice(
        grid, tuple(tuple(4 * int(i == j) for j in range(len(grid))) for i in range(len(grid)))
    )
    assert lattice.index == 4 ** len(grid)
    failing = Failing(lattice, tuple(o.shift for o in lattice.overgroups))
    assert failing.count == math.prod(grid) - lattice.count
    assert (1,) * len(grid) in failing
    left = Failing(lattice, ()).left
    assert left.shape == lattice.box
    assert left.sum() == lattice.index - 1
    assert asked_mask(None, grid).strides == (0,) * len(grid)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lattice((8, 8), ((1,),)),
        lambda: Lattice((8, 8), ((0.5, 0),)),
        lambda: (0.5, 0) in Lattice((8, 8), ((2, 0),)),
        lambda: (1, 0, 0) in Lattice((8, 8)),
        lambda: Lattice((-2,)),
        lambda: Lattice(()),
        lambda: Lattice((0, 4)),
        lambda: find_lattice(np.zeros((0, 3), bool)),
        lambda: find_lattice(np.ones((), bool)),
        lambda: Background.of((6, 7), (7, 1)),
        lambda: Background.of((6, 7), (2,)),
        lambda: Background.of((6, 7), (0, 1)),
    ],
)
def test_mistakes_are_told(make) -> None:
    with pytest.raises(InputError, match=r"grid"):
        make()
