"""The case table, swept over every shift."""

import math
import warnings

import jax
import numpy as np
import pytest
from amounts import sampled
from cases import CASES, Case, train_batch_norm

import shiftproof as sp
from shiftproof.errors import BatchCoupledWarning, InexactWarning


@pytest.mark.parametrize("case", sampled(CASES, plain=6, slow=1))
def test_case(case: Case) -> None:
    with warnings.catch_warnings():
        if not case.exact:
            warnings.simplefilter("ignore", InexactWarning)
        result = sp.sweep(
            case.build(),
            case.shape,
            layers=[],
            law=case.law,  # type: ignore[arg-type]
            dtype="auto" if case.exact else "float64",
            weights="these" if not case.exact else None,
        )
    total = math.prod(case.shape[:-1])
    output = result.layers[-1]
    assert output.exact is case.exact
    assert not output.vacuous
    for property, expected in (("equivariance", case.equivariant), ("invariance", case.invariant)):
        if expected is None:
            continue
        count = result.count(property, -1)  # type: ignore[arg-type]
        assert (count.equal, count.unclear, count.total) == (expected, 0, total), property
        lattice = result.lattice(property, -1)  # type: ignore[arg-type]
        assert lattice is not None
        assert lattice.count == expected
    if case.equivariant is None:
        assert not output.has_grid


def test_differing_cells_of_a_zero_padded_convolution() -> None:
    case = next(case for case in CASES if case.name == "conv3x3 SAME")
    result = sp.sweep(case.build(), case.shape)
    cells = result.equivariance_cells[-1]
    assert [int(cells[shift]) for shift in ((1, 0), (2, 0), (1, 1), (3, 3))] == [24, 32, 39, 48]
    assert result.layers[-1].exact


@pytest.mark.slow
def test_one_image_may_pass_by_accident_and_several_do_not() -> None:
    """One bright pixel passes max_pool 3x3 stride 2 SAME on a whole lattice that dense images refute."""
    case = next(case for case in CASES if case.name == "max_pool 3x3 stride 2 SAME")
    bright = np.zeros((1, *case.shape))
    bright[0, 3, 3] = 5
    alone = sp.sweep(case.build(), bright)
    assert alone.count("equivariance").equal == 16
    several = sp.sweep(case.build(), np.concatenate([bright, sp.integer_images(case.shape)]))
    assert several.count("equivariance").equal == 1


@pytest.mark.slow
def test_batch_norm_in_training_mode_commutes_when_the_whole_batch_is_rolled() -> None:
    module, variables = train_batch_norm()
    with pytest.warns(BatchCoupledWarning, match="judged as one input"):
        result = sp.sweep(
            (module, variables),
            np.random.default_rng(0).normal(size=(3, 8, 8, 2)),
            apply_kwargs={"mutable": ["batch_stats"]},
            dtype="float64",
        )
    normalised = next(layer.name for layer in result.layers if layer.output == "output.0")
    statistics = [
        layer.name
        for layer in result.layers
        if layer.output and layer.output.startswith("output.1")
    ]
    assert result.count("equivariance", normalised).equal == 64
    assert len(statistics) == 2
    assert all(result.count("invariance", name).equal == 64 for name in statistics)


@pytest.mark.slow
def test_lattice_chain_of_a_network() -> None:
    """Each layer of LeNet in one pass: 1, 2, 2, 4 pixels, then invariance on 4Z x 4Z."""
    case = next(case for case in CASES if case.name == "LeNet, 2 pools, global mean")
    result = sp.sweep(case.build(), case.shape)
    chain = {
        x.name: str(result.lattice("equivariance", x.name)) for x in result.layers if x.has_grid
    }
    assert chain == {
        "conv1": "all shifts",
        "max_pool": "2Z × 2Z",
        "conv2": "2Z × 2Z",
        "max_pool_2": "4Z × 4Z",
    }
    assert [x.output for x in result.layers][-1] == "output"
    assert str(result.lattice("invariance", "logits")) == "4Z × 4Z"
    assert all(layer.exact for layer in result.layers)
    assert result.header.scale == 49  # the mean over 7x7 is made exact by the images, not by luck
    assert jax.config.jax_enable_x64 is False  # float64 was used inside only
