"""Deviations under all shifts against a tolerance, held against NumPy's own shifts."""

import itertools
import re

import numpy as np
import pytest
from flax import nnx

import shiftproof as sp

GRID = (6, 8)
IMAGES = np.random.default_rng(0).normal(size=(3, *GRID, 1)).astype(np.float32)


def conv(**options) -> nnx.Conv:
    return nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0), **options)


def deviations(model, images, *, moved: int) -> np.ndarray:
    """`max |f(T x) - T' f(x)|` by NumPy; T' is 0 where `moved` is, else the shift divided by it; NaN for parts."""
    still = np.asarray(model(images))
    found = np.full(GRID, np.nan)
    for shift in itertools.product(*map(range, GRID)):
        if moved and any(step % moved for step in shift):
            continue
        steps = [step // moved if moved else 0 for step in shift]
        expected = np.roll(still, steps, (1, 2)) if moved else still
        found[shift] = np.abs(model(np.roll(images, shift, (1, 2))) - expected).max()
    return found


def message(model, images=IMAGES, **options) -> str:
    with pytest.raises(AssertionError) as caught:
        sp.assert_close_under_shifts(model, images, **options)
    return " ".join(str(caught.value).split())


@pytest.mark.slow
@pytest.mark.parametrize("quantile", [0.3, 0.9])
@pytest.mark.parametrize("property", ["equivariance", "invariance"])
def test_counts_and_the_largest_deviation_are_those_of_numpy(property, quantile) -> None:
    model = conv()
    brute = deviations(model, IMAGES, moved=int(property == "equivariance"))
    atol = float(np.quantile(brute, quantile))
    told = message(model, atol=atol, property=property)
    count = int((brute > atol).sum())
    assert f"{property} of output: it deviates by more than {atol:.4g} under {count} of 48" in told
    found = re.search(
        r"largest (\S+) at \(dy=(-?\d+), dx=(-?\d+)\), in image (\d), cell \((\d), (\d)\), entry (\d)",
        told,
    )
    assert found
    largest, dy, dx, image, row, column, channel = map(float, found.groups())
    shift = int(dy), int(dx)
    assert largest == pytest.approx(brute.max(), rel=1e-4)
    assert brute[shift] == pytest.approx(brute.max(), rel=1e-4)
    still, moved = (np.asarray(model(x)) for x in (IMAGES, np.roll(IMAGES, shift, (1, 2))))
    expected = np.roll(still, shift, (1, 2)) if property == "equivariance" else still
    place = tuple(map(int, (image, row, column, channel)))
    assert abs(moved - expected)[place] == pytest.approx(largest, rel=1e-4)
    sp.assert_close_under_shifts(model, IMAGES, atol=brute.max() * 1.001, property=property)


@pytest.mark.slow
def test_what_just_moves_is_close_and_a_tolerance_can_be_relative() -> None:
    sp.assert_close_under_shifts(conv(padding="CIRCULAR"), IMAGES, atol=1e-5)
    sp.assert_close_under_shifts(conv(), 1000 * IMAGES, atol=0, rtol=2.0)
    assert "more than" in message(conv(), 1000 * IMAGES, atol=2.0)


@pytest.mark.slow
def test_one_image_is_enough() -> None:
    sp.assert_close_under_shifts(conv(padding="CIRCULAR"), IMAGES[0], atol=1e-5)
    told = message(conv(), IMAGES[0], atol=1e-3)
    assert "under 47 of 48 shifts" in told
    assert "in image 0" in told
    assert "under 47 of 48" in message(
        lambda x: nnx.Conv.__call__(conv(), x), IMAGES[:1], atol=1e-3
    )


@pytest.mark.slow
def test_a_stride_moves_by_whole_cells_only() -> None:
    strided = conv(padding="CIRCULAR", strides=2)
    told = message(strided, atol=1e-4)
    assert "under 36 of 48 shifts" in told
    assert "under 36 the output would move by a part of a cell" in told
    assert "largest" not in told
    assert "ask for shifts=[('2Z', '2Z')], or for law=\"any\"" in told
    sp.assert_close_under_shifts(strided, IMAGES, atol=1e-4, shifts=[("2Z", "2Z")])
    assert "under 36 of 48 shifts. largest" in message(strided, atol=1e-4, law="any")
    padded = conv(strides=2)
    brute = deviations(padded, IMAGES, moved=2)
    told = message(padded, atol=1e-3, shifts=[("2Z", "2Z")])
    assert f"under {int((brute > 1e-3).sum())} of 12 shifts" in told
    (largest,) = re.findall(r"largest (\S+) at", told)
    assert float(largest) == pytest.approx(np.nanmax(brute), rel=1e-4)


@pytest.mark.slow
def test_an_output_without_a_grid_is_to_stay() -> None:
    def mean(x):
        return nnx.max_pool(x, (2, 2), (2, 2)).mean((1, 2))

    brute = deviations(mean, IMAGES, moved=0)
    told = message(mean, atol=1e-3)
    assert (
        f"invariance of output: it deviates by more than 0.001 under {(brute > 1e-3).sum()}" in told
    )
    assert ", in image" in told
    assert "cell" not in told
    sp.assert_close_under_shifts(mean, IMAGES, atol=float(brute.max()) * 1.001)
    with pytest.raises(sp.errors.InputError, match="no output has a grid"):
        sp.assert_close_under_shifts(mean, IMAGES, atol=1, property="equivariance")


@pytest.mark.slow
def test_every_output_is_asked() -> None:
    def both(x):
        return {"kept": x, "padded": conv()(x)}

    assert message(both, atol=1e-3).startswith("equivariance of output.padded: ")


def test_the_message_begins_with_the_users() -> None:
    assert message(conv(), atol=0.001, custom_message="the backbone").startswith(
        "the backbone equivariance of output"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"atol": -1}, "atol= is a number of at least 0"),
        ({"atol": float("nan")}, "atol= is a number of at least 0"),
        ({"atol": "0.1"}, "atol= is a number of at least 0"),
        ({"atol": 1, "rtol": True}, "rtol= is a number of at least 0"),
        ({"atol": 1, "property": "variance"}, "property"),
        ({"atol": 1, "law": "other"}, "law"),
        ({"atol": 1, "shifts": [(1,)]}, "2 steps"),
    ],
)
def test_wrong_arguments(options, said) -> None:
    with pytest.raises(sp.errors.InputError, match=said):
        sp.assert_close_under_shifts(conv(), IMAGES, **options)
