"""The sweep against an independent slow oracle, number by number."""

import jax
import numpy as np
import oracle
import pytest
from flax import nnx

import shiftproof as sp


def integer_conv(
    *, stride: int, padding: str, size: int, seed: int
) -> tuple[nnx.Conv, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    kernel = generator.integers(-3, 4, (size, size, 2, 3))
    bias = generator.integers(-3, 4, 3)
    layer = nnx.Conv(2, 3, (size, size), strides=stride, padding=padding, rngs=nnx.Rngs(0))
    layer.kernel[...] = jax.numpy.asarray(kernel, np.float32)
    layer.bias[...] = jax.numpy.asarray(bias, np.float32)
    return layer, kernel, bias


def check(result: sp.Sweep, expected) -> None:
    assert result.layers[-1].exact
    for shift, (equivariance, invariance) in expected.items():
        got = result.invariance[-1][shift], result.invariance_cells[-1][shift]
        assert got == invariance, shift
        if equivariance is None:
            assert np.isnan(result.equivariance[-1][shift])
            assert result.equivariance_cells[-1][shift] == -1
        else:
            got = result.equivariance[-1][shift], result.equivariance_cells[-1][shift]
            assert got == equivariance, shift


@pytest.mark.slow
@pytest.mark.parametrize("law", ["stride", "any"])
@pytest.mark.parametrize("padding", ["CIRCULAR", "SAME"])
@pytest.mark.parametrize(
    ("grid", "stride", "size"), [((6, 5), 1, 3), ((6, 4), 2, 3), ((5, 6), 1, 2)]
)
def test_convolutions(law, padding, grid, stride, size) -> None:
    layer, kernel, bias = integer_conv(stride=stride, padding=padding, size=size, seed=3)
    x = np.random.default_rng(0).integers(-4, 5, (2, *grid, 2))
    expected = oracle.sweep(
        lambda x: oracle.conv(x, kernel, bias, stride=stride, padding=padding), x, law=law
    )
    check(sp.sweep(layer, x, law=law), expected)


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 1), (2, 3)])
def test_pools(window, stride) -> None:
    x = np.random.default_rng(0).integers(-9, 10, (2, 6, 8, 2))
    expected = oracle.sweep(
        lambda x: oracle.max_pool(x, window=window, stride=stride), x, law="stride"
    )
    result = sp.sweep(lambda x: nnx.max_pool(x, (window, window), (stride, stride)), x)
    check(result, expected)


@pytest.mark.slow
def test_chunks_do_not_change_the_answer() -> None:
    layer, kernel, bias = integer_conv(stride=1, padding="SAME", size=3, seed=5)
    x = np.random.default_rng(0).integers(-4, 5, (1, 4, 5, 2))
    expected = oracle.sweep(
        lambda x: oracle.conv(x, kernel, bias, stride=1, padding="SAME"), x, law="stride"
    )
    for chunk in (2, 3, 7, 20, 64):
        check(sp.sweep(layer, x, chunk=chunk), expected)
