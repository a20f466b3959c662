"""Strategies for Hypothesis: they draw what they say, reach all of it, find what is wrong, and shrink it."""

import importlib
import sys

import hypothesis
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings

import shiftproof as sp
from shiftproof.errors import InputError
from shiftproof.testing import strategies as st
from shiftproof.testing.strategies import PADDINGS

few = settings(max_examples=10)


def moved(x, shift, stride=1):
    return np.asarray(sp.translate(x, [s // stride for s in shift], axes=range(1, x.ndim - 1)))


@given(st.grids(max_dims=2, max_side=5), st.image_shapes(max_channels=2), st.batch_shapes())
def test_shapes_are_within_their_bounds(grid, image, batch) -> None:
    assert 1 <= len(grid) <= 2
    assert set(grid) <= set(range(1, 6))
    assert 2 <= len(image) <= 4
    assert 1 <= image[-1] <= 2
    assert 3 <= len(batch) <= 5
    assert max(batch) <= 8
    assert batch[0] <= 3


def drawn(strategy, count: int = 300) -> list:
    """What a strategy gives."""
    found = []

    @settings(max_examples=count, database=None)
    @given(strategy)
    def keep(one) -> None:
        found.append(one)

    keep()
    return found


@pytest.mark.parametrize(
    ("grid", "count"), [((6,), 4), ((4, 4), 15), ((2, 2, 2), 16), ((1,), 1), ((3, 5), 4)]
)
def test_all_lattices_are_drawn(grid, count) -> None:
    found = drawn(st.lattices(grid))
    assert {lattice.grid for lattice in found} == {grid}
    assert len(set(found)) == count


@pytest.mark.parametrize(
    ("asked", "lattice"),
    [
        (st.shifts((4, 3)), sp.Lattice((4, 3), ((1, 0), (0, 1)))),
        (st.shifts((8, 9), stride=2), sp.Lattice((8, 9), ((2, 0), (0, 1)))),
        (st.shifts((8, 8), stride=(4, 2)), sp.Lattice((8, 8), ((4, 0), (0, 2)))),
        (st.shifts(sp.Lattice((6, 6), ((1, 2),))), sp.Lattice((6, 6), ((1, 2),))),
        (st.shifts(sp.Lattice((5, 5))), sp.Lattice((5, 5))),
    ],
)
def test_all_shifts_of_a_lattice_are_drawn_and_no_others(asked, lattice) -> None:
    found = set(drawn(asked))
    assert found <= set(map(tuple, np.argwhere(lattice.mask()).tolist()))
    assert len(found) == lattice.count


@given(st.images((4, 3, 2), count=2))
def test_images_are_batches_of_whole_numbers(images) -> None:
    assert images.shape == (2, 4, 3, 2)
    assert images.dtype == np.float32
    assert np.all(images == np.round(images))
    assert np.abs(images).max() <= 4


@pytest.mark.slow
def test_images_are_of_many_kinds() -> None:
    found = np.array(drawn(st.images((4, 4, 1))))
    nonzero = (found != 0).mean((1, 2, 3, 4))
    assert (nonzero < 0.5).any()
    assert (nonzero > 0.9).any()
    assert set(np.unique(found)) == set(range(-4, 5))


# --- property tests of layers ---


@pytest.mark.slow
@given(st.images((6, 6, 1)), st.shifts((6, 6)))
def test_a_layer_that_moves_along_passes(images, shift) -> None:
    def pool(x):
        return sp.layers.max_pool(x, 3)

    np.testing.assert_array_equal(pool(moved(images, shift)), moved(pool(images), shift))


@pytest.mark.slow
def test_a_layer_that_does_not_is_found_and_the_example_is_small() -> None:
    examples = []

    def pool(x):
        return nnx.max_pool(x, (3, 3), padding="SAME")

    @given(st.images((6, 6, 1)), st.shifts((6, 6)))
    def property_test(images, shift) -> None:
        kept = np.array_equal(pool(moved(images, shift)), moved(pool(images), shift))
        if not kept:
            examples.append((images, shift))
        assert kept

    with pytest.raises(AssertionError) as caught:
        property_test()
    assert "Failing test case: property_test" in caught.value.__notes__[0]
    images, shift = examples[-1]
    assert shift == (0, 1)
    values, counts = np.unique(images, return_counts=True)
    assert len(values) == 2
    assert counts.min() == 1


@pytest.mark.slow
@few
@given(
    st.models((6, 6, 1), paddings=("CIRCULAR",), strides=(1,)),
    st.images((6, 6, 1)),
    st.shifts((6, 6)),
)
def test_models_that_wrap_around_without_strides_keep_every_shift(model, images, shift) -> None:
    assert np.array_equal(model(moved(images, shift)), moved(model(images), shift)), shift


@pytest.mark.slow
@few
@given(
    st.models((6, 6, 1), paddings=("CIRCULAR",), strides=(1,), pooled=True),
    st.images((6, 6, 1)),
    st.shifts((6, 6)),
)
def test_and_pooled_they_stay(model, images, shift) -> None:
    assert np.array_equal(model(moved(images, shift)), model(images))
    assert model(images).ndim == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choices", "culprit"),
    [
        ({"strides": (1,), "paddings": ("CIRCULAR", "SAME")}, "padding='SAME'"),
        ({"strides": (1, 2), "paddings": ("CIRCULAR",)}, "strides=(2,)"),
    ],
)
def test_a_model_that_breaks_shrinks_to_the_layer_that_does(choices, culprit) -> None:
    def breaks(case) -> bool:
        model, images, shift = case
        return not np.array_equal(model(moved(images, shift)), moved(model(images), shift))

    cases = hypothesis.strategies.tuples(
        st.models((4, 1), **choices), st.images((4, 1)), st.shifts((4,))
    )
    options = settings(max_examples=400, database=None, deadline=None)
    model, _, shift = hypothesis.find(cases, breaks, settings=options)
    assert len(model.layers) == 1
    assert shift == (1,)
    assert culprit in repr(model) == str(model)


@pytest.mark.slow
@few
@given(
    st.batch_shapes(max_dims=3, max_side=5).flatmap(
        lambda shape: hypothesis.strategies.tuples(
            st.models(shape[1:]), st.images(shape[1:], count=shape[0])
        )
    )
)
def test_models_of_any_shape_are_called_on_batches(case) -> None:
    model, images = case
    assert isinstance(model, nnx.Module)
    found = model(images)
    assert found.ndim == images.ndim
    assert len(found) == len(images)
    assert np.all(found * 8 == np.round(found * 8))  # averages of up to 2 x 2 x 2 cells


@pytest.mark.slow
@settings(max_examples=4)
@given(
    st.models((4, 4, 1), max_layers=2, strides=(1,), paddings=PADDINGS[:2]), st.images((4, 4, 1))
)
def test_what_is_proved_of_a_model_is_seen(model, images) -> None:
    found = sp.verify(model, (4, 4, 1), weights="these", law="same", property="equivariance")
    kept = np.argwhere(found.equivariance.map == sp.Word.PROVED).tolist()
    assert [0, 0] in kept
    for shift in kept:
        assert np.array_equal(model(moved(images, shift)), moved(model(images), shift))


# --- wrong calls ---

MISTAKES = {
    "no grid": (lambda: st.shifts(()), "one positive size per axis"),
    "a size of 0": (lambda: st.lattices((4, 0)), "one positive size per axis"),
    "a stride of 0": (lambda: st.shifts((4, 4), stride=0), "stride=0 is no stride of the grid"),
    "another rank": (lambda: st.shifts((4, 4), stride=(2,)), r"stride=\(2,\) is no stride"),
    "half a stride": (lambda: st.shifts((4, 4), stride=1.5), "stride= takes integers"),
    "no image": (lambda: st.images(()), "is no shape of an image"),
    "half a size": (lambda: st.images((4.5, 1)), "shape= takes integers"),
    "no images": (lambda: st.images((4, 1), count=0), "count must be an integer of at least 1"),
    "no channels": (lambda: st.models((4,)), "is no shape of an image"),
    "a padding": (lambda: st.models((4, 1), paddings=("ZERO",)), "paddings= takes some of"),
    "one padding": (lambda: st.models((4, 1), paddings="SAME"), "paddings= takes some of"),
    "no padding": (lambda: st.models((4, 1), paddings=()), "paddings= takes some of"),
    "no strides": (lambda: st.models((4, 1), strides=()), "strides= takes numbers"),
    "no layers": (lambda: st.models((4, 1), max_layers=0), "max_layers must be an integer"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_call_has_one_message(name) -> None:
    call, message = MISTAKES[name]
    with pytest.raises(InputError, match=message):
        call()


def test_without_hypothesis_the_remedy_works_from_a_checkout(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "shiftproof.testing.strategies")
    with pytest.raises(ImportError, match=r'pip install -e "\.\[testing\]"') as found:
        importlib.import_module("shiftproof.testing.strategies")
    assert '"shiftproof[' not in str(found.value)
