"""Kernels: the cells of a weight that a contraction sums up, in any layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from shiftproof.refuting.kernels import kernels_of
from shiftproof.tracing.trace import trace


def matrix(function, *weights, shape=(1, 6, 6, 4)):
    """The matrices of a function of weights and images."""
    images = jax.ShapeDtypeStruct(shape, np.float32)
    return kernels_of(trace(lambda w, x: function(x, *w), list(weights), images))


def convolved(x, kernel, spec, groups=1):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=spec, feature_group_count=groups
    )


HWIO, OIHW = jnp.ones((3, 3, 4, 5)), jnp.ones((5, 4, 3, 3))
LAYOUTS = {
    "outputs last": (lambda x, k: convolved(x, k, ("NHWC", "HWIO", "NHWC")), HWIO, (36, 5)),
    "outputs first": (lambda x, k: convolved(x, k, ("NHWC", "OIHW", "NHWC")), OIHW, (36, 5)),
    "depthwise, outputs on two axes": (
        lambda x, k: convolved(x, k.reshape(3, 3, 1, 8), ("NHWC", "HWIO", "NHWC"), 4),
        jnp.ones((3, 3, 4, 2)),
        (9, 8),
    ),
    "dense": (lambda x, k: x @ k, jnp.ones((4, 7)), (4, 7)),
    "dense, turned": (lambda x, k: x @ k.T, jnp.ones((7, 4)), (4, 7)),
    "heads": (
        lambda x, k: jnp.einsum("bhwc,cnd->bhwnd", x, k),
        jnp.ones((4, 2, 3)),
        (4, 6),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_inputs_and_outputs_are_those_of_the_contraction(name) -> None:
    function, kernel, shape = LAYOUTS[name]
    found = matrix(function, kernel)[0]
    assert found.shape == shape
    assert sorted(found.ravel()) == list(range(kernel.size))
    # with one output's cells alone, only that output answers
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 4)).astype(np.float32)
    alone = np.zeros(kernel.size, np.float32)
    alone[found[:, 1]] = 1
    answer = np.asarray(function(jnp.asarray(image), alone.reshape(kernel.shape)))
    answer = answer.reshape(-1, shape[1])
    assert [bool(np.any(answer[:, column])) for column in range(shape[1])] == [
        column == 1 for column in range(shape[1])
    ]


def test_what_enters_no_contraction_is_no_kernel() -> None:
    assert matrix(lambda x, scale, bias: x * scale + bias, jnp.ones(4), jnp.ones(4)) == {}
    standardised = matrix(lambda x, k: x @ (k - k.mean(0)), jnp.ones((4, 7)))
    assert standardised == {}


def test_a_weight_that_is_used_twice_has_the_matrix_of_its_first_use() -> None:
    found = matrix(lambda x, k: (x @ k) @ k.T, jnp.ones((4, 7)))
    assert found[0].shape == (4, 7)


@pytest.mark.slow
def test_kernels_of_flax_have_their_outputs_last() -> None:
    graph, state = nnx.split(nnx.ConvTranspose(4, 5, (3, 3), rngs=nnx.Rngs(0)))
    images = jax.ShapeDtypeStruct((1, 6, 6, 4), np.float32)
    program = trace(lambda w, x: nnx.merge(graph, w)(x), state, images)
    (kernel,) = kernels_of(program).values()
    assert kernel.shape == (36, 5)
    assert np.array_equal(kernel, np.arange(180).reshape(36, 5))
