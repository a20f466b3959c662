"""Complete bases: exact counts, must-fail twins, every rule of linearity, and agreement with exhaustive sweeps."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from shiftproof.analysis import Claim, Prover, largest_lattice
from shiftproof.basis import Basis, find_basis, linearity, responses
from shiftproof.basis.linearity import RULES, find_regions
from shiftproof.graph import build_graph
from shiftproof.model import adapt, trace_model
from shiftproof.question import settings


@dataclasses.dataclass(frozen=True)
class Asked:
    """A model, what the kernel and what its basis say."""

    basis: Basis
    prover: Prover
    claims: dict[str, Claim]
    run: Callable[[Any], np.ndarray]

    def count(self, property: str) -> tuple[int, int]:
        """How many shifts the kernel proves, and how many the basis proves."""
        claim = self.claims[property]
        counts = []
        for prover in (self.prover, self.basis):
            _, mask = largest_lattice(
                self.prover.grid, lambda shift, by=prover: by.output_shift(claim, shift) is not None
            )
            counts.append(int(mask.sum()))
        return counts[0], counts[1]


def ask(
    model: Any,
    shape: Sequence[int],
    *,
    weights: str = "all",
    dtype: str = "float64",
    law: str = "any",
    axes: Sequence[int] | None = None,
) -> Asked:
    adapted = adapt(model)
    with settings(dtype):
        given = adapted.cast(dtype)
        program = trace_model(adapted, given, np.zeros((1, *shape), jnp.dtype(dtype)))
        opaque = {
            number
            for number, free in zip(program.weights, adapted.replaceable, strict=True)
            if free and weights == "all"
        }
        spatial = tuple(range(1, len(shape)))
        graph = build_graph(program, given, opaque=opaque, spatial_axes=spatial)
        prover = Prover(graph, shape[:-1])
        claims = {"invariance": Claim("output", 0, "invariance", (), (), "any")}
        out = jax.eval_shape(
            adapted.call, adapted.weights, jax.ShapeDtypeStruct((1, *shape), jnp.dtype(dtype))
        ).shape
        wanted = spatial if axes is None and len(out) == len(shape) + 1 else tuple(axes or ())
        if wanted:
            sizes = tuple(out[axis] for axis in wanted)
            claims["equivariance"] = Claim("output", 0, "equivariance", wanted, sizes, law)
        basis = find_basis(
            prover,
            program,
            given,
            opaque=opaque,
            spatial_axes=spatial,
            claims=list(claims.values()),
        )

    def run(x: Any) -> np.ndarray:
        with settings(dtype):
            tree = jax.tree_util.tree_structure(adapted.weights)
            return np.asarray(adapted.call(jax.tree_util.tree_unflatten(tree, given), x))

    return Asked(basis, prover, claims, run)


def average(x: Any) -> Any:
    return nnx.avg_pool(x, (2, 2), (2, 2))


def mean(x: Any) -> Any:
    return jnp.mean(x, axis=(1, 2))


def peak(x: Any) -> Any:
    return jnp.max(x, axis=(1, 2))


def low(x: Any) -> Any:
    return jnp.min(x, axis=(1, 2))


def pool(x: Any, padding: str = "VALID") -> Any:
    return nnx.max_pool(x, (2, 2), (2, 2), padding)


def wrapped(x: Any, taps: Sequence[float], stride: int = 1) -> Any:
    """The same taps along both axes, on the torus."""
    line = jnp.asarray(taps, x.dtype)
    size, channels = len(taps), x.shape[-1]
    kernel = jnp.tile(jnp.einsum("i,j->ij", line, line)[:, :, None, None], (1, 1, 1, channels))
    sides = (size - 1) // 2, size // 2
    return jax.lax.conv_general_dilated(
        jnp.pad(x, ((0, 0), sides, sides, (0, 0)), mode="wrap"),
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )


def matrix(circulant: bool, *, spoilt: bool = False, bias: str = "none") -> Callable[[Any], Any]:
    table = np.random.default_rng(1).integers(-3, 4, (8, 8)).astype(np.float64)
    if circulant:
        table = np.stack([np.roll(table[0], i) for i in range(8)])
    table[5, 3] += spoilt
    added = {"none": np.zeros(8), "flat": np.ones(8), "bent": np.arange(8.0)}[bias]
    return lambda x: (x[..., 0] @ jnp.asarray(table, x.dtype) + jnp.asarray(added))[..., None]


# --- exact counts, and twins that must fail ---

ROW = np.arange(4.0).reshape(4, 1, 1) > 0
BOARD = (np.indices((8, 8)).sum(0) % 2)[..., None]

INVARIANCE = (
    ("average, mean", lambda x: mean(average(x)), (8, 8, 2), 64),
    ("average, mean, wide", lambda x: mean(average(x)), (4, 6, 1), 24),
    ("average, ReLU, mean", lambda x: mean(nnx.relu(average(x) - 1)), (8, 8, 2), 16),
    ("average, mask, mean", lambda x: mean(average(x) * ROW), (8, 8, 1), 8),
    ("average, choice, mean", lambda x: mean(jnp.where(ROW, average(x), 0)), (8, 8, 1), 8),
    ("average of 7, mean", lambda x: mean(average(x)), (7, 7, 1), 1),
    ("average of 7 x 8, mean", lambda x: mean(average(x)), (7, 8, 1), 8),
    ("max, max", lambda x: peak(pool(x)), (8, 8, 2), 64),
    ("max, ReLU, max", lambda x: peak(nnx.relu(pool(x))), (8, 8, 2), 64),
    ("max, 2 max, max", lambda x: peak(2 * pool(x)), (8, 8, 1), 16),
    ("max, mean", lambda x: mean(pool(x)), (8, 8, 1), 16),
    ("max, add rows, max", lambda x: peak(pool(x) + 3.0 * ROW), (8, 8, 1), 8),
    ("max, add a diagonal, max", lambda x: peak(pool(x) + np.eye(4)[..., None]), (8, 8, 1), 4),
    ("max of 7, max", lambda x: peak(pool(x)), (7, 7, 1), 1),
    ("max of 7, padded, max", lambda x: peak(pool(x, "SAME")), (7, 7, 1), 49),
    ("min, min", lambda x: low(nnx.min_pool(x, (2, 2), (2, 2))), (8, 8, 1), 64),
    ("min, max", lambda x: peak(nnx.min_pool(x, (2, 2), (2, 2))), (8, 8, 1), 16),
    ("blur [1, 2, 1], mean", lambda x: mean(wrapped(x, [1, 2, 1], 2)), (8, 8, 2), 64),
    ("blur [1, 2, 2], mean", lambda x: mean(wrapped(x, [1, 2, 2], 2)), (8, 8, 2), 16),
    ("blur [1, 3, 3, 1], mean", lambda x: mean(wrapped(x, [1, 3, 3, 1], 2)), (8, 8, 1), 64),
    ("every second, mean", lambda x: mean(x[:, ::2, ::2]), (8, 8, 1), 16),
    ("every second column, mean", lambda x: mean(x[:, :, ::2]), (8, 8, 1), 32),
    ("a board, sum", lambda x: jnp.sum(x * BOARD, (1, 2)), (8, 8, 1), 32),
)
"""Model, image shape, and how many shifts keep the output."""


@pytest.mark.parametrize(
    ("model", "shape", "count"), [row[1:] for row in INVARIANCE], ids=[row[0] for row in INVARIANCE]
)
def test_invariance_counts(model, shape, count) -> None:
    kernel, basis = ask(model, shape, dtype="float32").count("invariance")
    assert kernel <= basis == count


@pytest.mark.parametrize(
    ("model", "law", "count"),
    [
        (matrix(True), "any", 8),
        (matrix(True), "same", 8),
        (matrix(True, bias="flat"), "any", 8),
        (matrix(True, bias="bent"), "any", 1),
        (matrix(True, spoilt=True), "any", 1),
        (matrix(False), "any", 1),
        (lambda x: matrix(True)(x)[:, ::-1], "any", 8),
        (lambda x: matrix(True)(x)[:, ::-1], "same", 2),
        (lambda x: jax.lax.cummax(pad_low(x), axis=1)[:, 8:], "any", 1),
        (lambda x: jnp.maximum(x, jnp.roll(x, 3, 1)), "same", 8),
        (lambda x: x[:, ::2], "any", 4),
        (lambda x: x[:, ::2], "same", 1),
        (lambda x: x * 0 + 1, "any", 8),
    ],
)
def test_equivariance_counts(model, law, count) -> None:
    kernel, basis = ask(model, (8, 1), law=law).count("equivariance")
    assert kernel <= basis == count


def pad_low(x: Any) -> Any:
    return jnp.concatenate([jnp.full_like(x, -jnp.inf), x], axis=1)


# --- segments between weights that stand for any values ---


class Net(nnx.Module):
    """Convolution, `middle`, Dense; the convolution and the Dense have weights of any values."""

    def __init__(self, middle: Callable[[Any], Any], features: int = 3, **options: Any):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 3, (3, 3), rngs=rngs, **{"padding": "CIRCULAR", **options})
        self.dense = nnx.Linear(features, 4, rngs=rngs)
        self.bias = nnx.Param(jnp.ones(3))
        self.table = nnx.Param(jnp.ones((1, 8, 8, 1)))
        self.middle = middle

    def __call__(self, x):
        return self.dense(self.middle(self, nnx.relu(self.conv(x))))


def gate(net: Net, x: Any) -> Any:
    """A gate that stays under every shift times a map, averaged: one segment builds on another."""
    return mean(average(x * nnx.sigmoid(mean(average(x)))[:, None, None]))


def both(net: Net, x: Any) -> Any:
    """Two segments of different kinds, joined."""
    return jnp.concatenate([mean(average(x)), peak(pool(x))], axis=-1)


@pytest.mark.parametrize(
    ("net", "count", "kinds"),
    [
        (lambda: Net(lambda net, x: mean(average(x))), 64, "affine"),
        (lambda: Net(lambda net, x: peak(pool(x))), 64, "max-plus"),
        (lambda: Net(lambda net, x: mean(average(x) + net.bias[...])), 64, "affine"),
        (lambda: Net(lambda net, x: peak(pool(x) + net.bias[...])), 16, ""),
        (lambda: Net(lambda net, x: mean(average(x) * net.bias[...])), 16, ""),
        (lambda: Net(lambda net, x: mean(average(nnx.relu(x - 1)))), 64, "affine"),
        (lambda: Net(lambda net, x: mean(nnx.relu(average(x) - 1))), 16, ""),
        (lambda: Net(lambda net, x: mean(average(x)), strides=2), 16, "affine"),
        (lambda: Net(lambda net, x: mean(average(x)), padding="SAME"), 1, ""),
        (lambda: Net(lambda net, x: mean(average(x + net.table[...]))), 64, "affine"),
        (lambda: Net(gate), 64, "affine"),
        (lambda: Net(both, features=6), 64, "affine, max-plus"),
    ],
)
def test_segments(net, count, kinds) -> None:
    asked = ask(net(), (8, 8, 1))
    kernel, basis = asked.count("invariance")
    assert kernel <= basis == count
    assert asked.basis.kind == kinds
    assert asked.basis.deciding(asked.claims["invariance"]) is None
    assert asked.basis.counterexample(asked.claims["invariance"], (1, 0)) is None


def test_segments_agree_with_the_compiled_model() -> None:
    x = np.random.default_rng(0).integers(-4, 5, (1, 8, 8, 1)).astype(np.float64)
    for middle, holds in ((gate, True), (lambda net, x: mean(nnx.relu(average(x) - 1)), False)):
        asked = ask(Net(middle), (8, 8, 1), weights="these")
        for shift in itertools.product(range(8), repeat=2):
            gap = np.abs(asked.run(np.roll(x, shift, (1, 2))) - asked.run(x)).max()
            even = not any(s % 2 for s in shift)
            assert (gap < 1e-12) == (holds or even)
            assert asked.basis.proves(asked.claims["invariance"], shift) == (holds or even)


def test_a_segment_needs_the_earlier_one_it_builds_on() -> None:
    asked = ask(Net(gate), (8, 8, 1))
    claim = asked.claims["invariance"]
    first, second = asked.basis.segments
    assert asked.basis.used(claim, (1, 0)) == (first, second)
    assert asked.basis.used(claim, (2, 0)) == ()
    assert asked.basis.settled((1, 0)) == {first.target, second.target}
    later = Basis(asked.basis.setting, [second], (), {frozenset(): asked.prover})
    assert later.settled((1, 0)) == frozenset()
    assert not later.proves(claim, (1, 0))


# --- reasons ---


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda x: mean(nnx.relu(average(x) - 1)), r"output is not affine: max at test_basis.py:\d+ is not affine"),
        (lambda x: mean(average(x) * average(x)), "mul at .* multiplies two values that depend on"),
        (lambda x: mean(average(x) + jnp.abs(average(x))), "add at .* joins values"),
        (lambda x: mean(average(x) * 0.1 * 0.3), "mul at .* needs integers up to"),
        (lambda x: peak(pool(x) + pool(x[:, ::-1])), "add at .* joins two values"),
        (lambda x: mean(average(x).astype(jnp.float16) * 1024 * 1024), "overflow float16"),
        (lambda x: mean(average(x) * 1e-300 * 1e-20), "underflow|needs integers"),
        (lambda x: mean(jnp.where(jnp.arange(4)[:, None] > 0, average(x), -jnp.inf)), "not finite"),
    ],
)  # fmt: skip
def test_reasons(model, reason) -> None:
    basis = ask(model, (8, 8, 1)).basis
    assert not basis.segments
    assert re.search(reason, " ".join(basis.declined))


def test_what_float32_cannot_hold_float64_can() -> None:
    taps = [0.1, 0.2, 0.1]  # 24 bits each in float32
    exact = ask(lambda x: mean(wrapped(x, np.float32(taps), 2)), (8, 8, 1), dtype="float64")
    assert exact.count("invariance")[1] == 16  # 2 * 0.1 is not 0.2 + rounding of the products
    single = ask(lambda x: mean(wrapped(x, taps, 2)), (8, 8, 1), dtype="float32")
    assert not single.basis.segments
    assert "float32 holds" in single.basis.declined[0]


def test_limits_of_work(monkeypatch) -> None:
    for name, text in (
        ("MAX_WORK", "operations, the limit is"),
        ("MAX_TABLE", "responses are more"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(responses, name, 10)
            asked = ask(lambda x: mean(average(x)), (8, 8, 1))
        assert not asked.basis.segments
        assert text in asked.basis.declined[0]


def test_a_mean_over_odd_sizes_scales_its_impulses() -> None:
    (segment,) = ask(lambda x: mean(average(x)), (14, 10, 1)).basis.segments
    assert segment.responses.tail.height == 35
    assert set(segment.responses.table.ravel()) == {0.25}
    assert segment.responses.base == 0


def test_constants_do_not_hide_entries_of_a_maximum() -> None:
    """The entry -9 lies below the constant 5: an impulse of height 0 would not see it."""
    table = np.zeros((8, 1))
    table[0] = -9
    asked = ask(lambda x: jnp.maximum(jnp.max(x + table, axis=1), 5.0), (8, 1))
    (segment,) = asked.basis.segments
    assert segment.responses.tail.height == 19
    assert sorted(set(segment.responses.table.ravel())) == [10, 19]
    assert asked.count("invariance") == (1, 1)
    image = asked.basis.counterexample(asked.claims["invariance"], (1,))
    assert image is not None
    assert np.all(np.isfinite(image))


def test_programs_that_the_kernel_proves_have_no_segments() -> None:
    basis = ask(mean, (8, 8, 1)).basis
    assert (basis.segments, basis.declined, basis.kind) == ((), (), "")


def test_a_changed_response_is_noticed(monkeypatch) -> None:
    real = responses._plain
    monkeypatch.setattr(responses, "_plain", lambda table: real(table) + 2.0**-40)
    basis = ask(lambda x: mean(average(x)), (8, 8, 1)).basis
    assert not basis.segments
    assert "the compiler changed the arithmetic" in basis.declined[0]
