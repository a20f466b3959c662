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

from shiftproof.errors import ContradictionError
from shiftproof.proving.analysis import Claim, Prover, largest_lattice
from shiftproof.proving.basis import Basis, find_basis, responses
from shiftproof.proving.basis.linearity import RULES, find_regions
from shiftproof.proving.graph import build_graph
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import known_values


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
    ("average, add thirds, mean", lambda x: mean(average(x) + 1 / 3), (6, 6, 1), 36),
    ("board, sum", lambda x: jnp.sum(x * BOARD, (1, 2)), (8, 8, 1), 32),
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
        (lambda x: (matrix(True)(x) + 1) / 3, "any", 8),
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
        (lambda x: mean(average(x).astype(jnp.float16) * 1024 * 1024), "may exceed float16"),
        (lambda x: mean(average(x) * 1e-300 * 1e-20), "underflow|needs integers"),
        (lambda x: mean(jnp.where(jnp.arange(4)[:, None] > 0, average(x), -jnp.inf)), "not finite"),
    ],
)  # fmt: skip
def test_reasons(model, reason) -> None:
    basis = ask(model, (8, 8, 1)).basis
    assert not basis.segments
    assert re.search(reason, " ".join(basis.declined))


def test_what_float32_cannot_hold_float64_can() -> None:
    tenth = float(np.float32(0.1))  # 24 bits
    single, double = (
        ask(lambda x: mean(average(x) * tenth), (8, 8, 1), dtype=dtype)
        for dtype in ("float32", "float64")
    )
    assert double.count("invariance")[1] == 64
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


def test_responses_that_are_not_finite_are_declined(monkeypatch) -> None:
    monkeypatch.setattr(responses, "_plain", lambda table: table * np.nan)
    basis = ask(lambda x: mean(average(x)), (8, 8, 1)).basis
    assert not basis.segments
    assert "a response is not finite" in basis.declined[0]


def test_without_a_cpu_nothing_is_claimed(monkeypatch) -> None:
    def none(platform: str) -> Any:
        raise RuntimeError(f"no {platform}")

    monkeypatch.setattr(responses.jax, "devices", none)
    basis = ask(lambda x: mean(average(x)), (8, 8, 1)).basis
    assert not basis.segments
    assert basis.declined == ("there is no CPU device: no cpu",)


def test_outputs_that_do_not_depend_on_the_images() -> None:
    asked = ask(jnp.zeros_like, (4, 1), law="same")
    assert asked.basis.segments == ()
    assert asked.count("invariance") == (4, 4)
    assert asked.count("equivariance")[1] == 1


# --- the rules of linearity, one by one ---

GRID = np.arange(8.0)
TAP = np.asarray([1.0, -2.0])


def gathered(x: Any, indices: Sequence[int], mode: str) -> Any:
    return x.at[:, np.asarray(indices)].get(mode=mode, fill_value=7.0 if mode == "fill" else None)


def convolved(x: Any, kernel: Any) -> Any:
    return jax.lax.conv_general_dilated(
        x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    )


MOVED = {
    "broadcast_in_dim": lambda x: jnp.broadcast_to(x[:, None], (1, 3, 8, 1)),
    "concatenate": lambda x: jnp.concatenate([x, x + 0, jnp.ones((1, 2, 1))], axis=1),
    "pad": lambda x: jax.lax.pad(x, np.array(2, x.dtype), ((0, 0, 0), (1, -1, 1), (0, 0, 0))),
    "reshape": lambda x: x.reshape(1, 4, 2, 1),
    "slice": lambda x: x[:, 1:7:2],
    "split": lambda x: jnp.concatenate(jnp.split(x, 2, axis=1)[::-1], axis=1),
    "squeeze": lambda x: jnp.squeeze(x, -1),
    "expand_dims": lambda x: jnp.expand_dims(x, 1),
    "transpose": lambda x: jnp.transpose(x, (0, 2, 1)),
    "rev": lambda x: x[:, ::-1],
    "stack": lambda x: jnp.stack([x, x[:, ::-1]], 1).reshape(x.shape[0], -1, 1),
    "tile": lambda x: jnp.tile(x, (1, 2, 1)),
    "copy": lambda x: jnp.copy(x),
    "optimization_barrier": lambda x: jax.lax.optimization_barrier(x),
    "dynamic_slice": lambda x: jax.lax.dynamic_slice(x, (0, jnp.argmax(GRID), 0), (1, 4, 1)),
    "gather": lambda x: gathered(x, [0, 3, 3], "clip"),
    "convert_element_type": lambda x: x.astype(jnp.float32),
    "select_n": lambda x: jnp.where(GRID[:, None] > 3, x, 1.0),
}
"""Linear of every kind."""

ACCEPTED = {
    "affine": MOVED | {
        "add": lambda x: x + 1.5,
        "add_any": lambda x: jax.vjp(lambda y: (y, y), x)[1]((x, x))[0],
        "sub": lambda x: GRID[:, None] - x,
        "neg": lambda x: -x,
        "cumsum": lambda x: jnp.cumsum(x, axis=1),
        "reduce_sum": lambda x: jnp.sum(x, axis=1),
        "reduce_window_sum": lambda x: nnx.avg_pool(x, (2,), (2,)),
        "conv_general_dilated": lambda x: convolved(x, TAP[:, None, None]),
        "dot_general": lambda x: jnp.einsum("bwc,wv->bvc", x, np.outer(GRID, GRID)),
        "mul": lambda x: GRID[:, None] * x,
        "div": lambda x: x / (1 + GRID[:, None]),
    },
    "max-plus": MOVED | {
        "max": lambda x: jnp.maximum(jnp.maximum(x, x[:, ::-1]), 0.5),
        "add": lambda x: GRID[:, None] + x,
        "sub": lambda x: x - GRID[:, None],
        "add_any": None,
        "cummax": lambda x: jax.lax.cummax(x, axis=1),
        "reduce_max": lambda x: jnp.max(x, axis=1),
        "reduce_window_max": lambda x: nnx.max_pool(x, (3,), (2,), "SAME"),
    },
    "min-plus": MOVED | {
        "min": lambda x: jnp.minimum(jnp.minimum(x, x[:, ::-1]), 0.5),
        "add": lambda x: GRID[:, None] + x,
        "sub": lambda x: x - GRID[:, None],
        "add_any": None,
        "cummin": lambda x: jax.lax.cummin(x, axis=1),
        "reduce_min": lambda x: jnp.min(x, axis=1),
        "reduce_window_min": lambda x: nnx.min_pool(x, (3,), (2,), "SAME"),
    },
}  # fmt: skip

UNREACHED = frozenset(["copy_p"])
"""Primitives that do not occur in every supported version of JAX."""

HALF = GRID[:, None] / 2

REFUSED = {
    "affine": (
        lambda x: jnp.abs(x),
        lambda x: jnp.square(x),
        lambda x: jnp.sign(x),
        lambda x: jnp.floor(x),
        lambda x: jnp.exp(x),
        lambda x: jnp.sort(x),
        lambda x: jnp.argmax(x),
        lambda x: x**2,
        lambda x: x * x,
        lambda x: jnp.maximum(x, 0),
        lambda x: jnp.maximum(x, x[:, ::-1]),
        lambda x: jnp.clip(x, -1, 1),
        lambda x: 1 / (2 + x),
        lambda x: x / jnp.zeros(()),
        lambda x: x * np.inf,
        lambda x: x + np.nan,
        lambda x: jnp.where(x > 0, x, 0),
        lambda x: jnp.where(GRID[:, None] > 3, x, np.inf),
        lambda x: x[:, jnp.argmax(x[0, :, 0])],
        lambda x: jax.lax.dynamic_slice(x, (0, jnp.argmax(x), 0), (1, 4, 1)),
        lambda x: jax.lax.dynamic_update_slice(x, x[:, :2], (0, jnp.argmax(x), 0)),
        lambda x: gathered(x, [0, 9], "fill"),
        lambda x: x.astype(jnp.int32),
        lambda x: x.astype(jnp.complex64),
        lambda x: x.astype(bool),
        lambda x: jnp.einsum("bwc,bvc->bwv", x, x),
        lambda x: convolved(x, x[0][:2, :, None]),
        lambda x: jnp.max(x, axis=1),
        lambda x: nnx.max_pool(x, (2,), (2,)),
        lambda x: jnp.cumprod(x, axis=1),
        lambda x: jax.lax.reduce_precision(x, 8, 4),
        lambda x: x.at[:, 0].set(0),
        lambda x: jax.lax.scan(lambda c, y: (c + y, c), x[:, 0], x.swapaxes(0, 1))[0],
        lambda x: jax.lax.cond(x[0, 0, 0] > 0, lambda y: y, lambda y: -y, x),
        lambda x: jnp.fft.fft(x, axis=1).real,
    ),
    "max-plus": (
        lambda x: x + x[:, ::-1],
        lambda x: -x,
        lambda x: HALF - x,
        lambda x: x - x[:, ::-1],
        lambda x: 2 * x,
        lambda x: x / 2,
        lambda x: x + np.inf,
        lambda x: x - np.where(GRID[:, None] > 3, -np.inf, 0),
        lambda x: jnp.maximum(x, np.nan),
        lambda x: jnp.minimum(x, 0),
        lambda x: jnp.min(x, axis=1),
        lambda x: jnp.clip(x, -1, 1),
        lambda x: jnp.sum(x, axis=1),
        lambda x: nnx.min_pool(x, (2,), (2,)),
        lambda x: nnx.avg_pool(x, (2,), (2,)),
        lambda x: jnp.sort(x, axis=1),
        lambda x: jnp.where(x > 0, x, 0),
        lambda x: x.astype(jnp.int32),
        lambda x: gathered(x, [0, 9], "fill"),
    ),
    "min-plus": (
        lambda x: x + x[:, ::-1],
        lambda x: x - np.inf,
        lambda x: jnp.maximum(x, 0),
        lambda x: jnp.max(x, axis=1),
        lambda x: HALF - x,
    ),
}


def traced(model: Callable[[Any], Any], kind: Any, dtype: str = "float64") -> tuple[Any, Any]:
    adapted = adapt(model)
    program = trace_model(adapted, [], np.zeros((1, 8, 1), jnp.dtype(dtype)))
    values = known_values(program, dict(program.constants))
    return program, find_regions(program, values, opaque=set(), kind=kind)


def test_every_rule_has_a_case() -> None:
    for kind, rules in RULES.items():
        assert set(rules) - UNREACHED == set(ACCEPTED[kind]), kind


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, cases in ACCEPTED.items() for name in cases if cases[name]],
)
def test_accepted(kind, name) -> None:
    """The primitive occurs, is accepted, and the function that the responses describe is the program."""
    with settings("float64"):
        program, regions = traced(ACCEPTED[kind][name], kind)
        output = program.outputs[0]
        # jnp.expand_dims is a broadcast_in_dim, jnp.copy may be traced as copy_p
        names = {eqn.name for eqn in program.equations} | {"expand_dims", "copy"}
        assert name in names
        assert regions.reasons == {}
        assert regions.sources[output] == program.images
        values = known_values(program, dict(program.constants))
        tail = responses.make_tail(program, values, kind=kind, source=program.images, target=output)
        found = responses.respond(tail)
        for seed in range(3):
            x = np.random.default_rng(seed).integers(-4, 5, (1, 8, 1)) * float(tail.height)
            assert np.array_equal(rebuilt(found, x.ravel()), np.asarray(tail.run(x)).ravel())


def test_a_wrong_rule_would_be_noticed(monkeypatch) -> None:
    rules = {**RULES["affine"], "abs": RULES["affine"]["neg"]}
    monkeypatch.setitem(RULES, "affine", rules)
    monkeypatch.setitem(ACCEPTED["affine"], "abs", lambda x: jnp.abs(x))
    with pytest.raises(AssertionError):
        test_accepted("affine", "abs")


def rebuilt(found: responses.Responses, x: np.ndarray) -> np.ndarray:
    """The function that the responses describe, at x."""
    height = found.tail.signed_height
    if found.tail.kind == "affine":
        return found.base + (x / height) @ (found.table - found.base)
    entries = np.where(found.table == found.base, found.tail.rest, found.table - height)
    join = np.maximum if found.tail.kind == "max-plus" else np.minimum
    return join(join.reduce(x[:, None] + entries), found.base)


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, i) for kind, models in REFUSED.items() for i in range(len(models))]
)
def test_refused(kind, number) -> None:
    with settings("float64"):
        program, regions = traced(REFUSED[kind][number], kind)
    assert regions.sources[program.outputs[0]] != program.images
    assert all(" at test_basis.py:" in reason for reason in regions.reasons.values())


def test_integers() -> None:
    with settings("float32"):
        for model, linear in (
            (lambda x: x * 3 + jnp.cumsum(x, axis=1), True),
            (lambda x: x // 2, False),
            (lambda x: jax.lax.div(x, jnp.int32(2)), False),
            (lambda x: x.astype(jnp.uint8), False),
            (lambda x: x.astype(jnp.float32) / 2, True),
        ):
            program, regions = traced(model, "affine", "int32")
            assert (regions.sources[program.outputs[0]] == program.images) == linear
        program, regions = traced(lambda x: jnp.max(x, axis=1), "max-plus", "int32")
        assert "computes in int32" in next(iter(regions.reasons.values()))


# --- against exhaustive sweeps ---

TAPS = ([1, 2, 1], [1, 2, 2], [1, 1], [3, 1])

AFFINE_STEPS = (
    lambda x, g: nnx.avg_pool(x, (2, 2), (int(g.integers(1, 3)),) * 2, g.choice(["VALID", "SAME"])),
    lambda x, g: wrapped(x, TAPS[g.integers(len(TAPS))], int(g.integers(1, 3))),
    lambda x, g: jnp.roll(x, int(g.integers(1, 3)), int(g.integers(1, 3))),
    lambda x, g: x[:, :: int(g.integers(1, 3)), :: int(g.integers(1, 3))],
    lambda x, g: x[:, ::-1],
    lambda x, g: x - jnp.roll(x, int(g.integers(1, 4)), 2),
    lambda x, g: x * periodic(x, g),
    lambda x, g: x + periodic(x, g),
    lambda x, g: jnp.concatenate([x, x], axis=int(g.integers(1, 4))),
    lambda x, g: jnp.cumsum(x, axis=int(g.integers(1, 3))),
)  # fmt: skip

TROPICAL_STEPS = (
    lambda x, g: nnx.max_pool(x, (2, 2), (int(g.integers(1, 3)),) * 2, g.choice(["VALID", "SAME"])),
    lambda x, g: jnp.roll(x, int(g.integers(1, 3)), int(g.integers(1, 3))),
    lambda x, g: x[:, :: int(g.integers(1, 3)), :: int(g.integers(1, 3))],
    lambda x, g: x[:, ::-1],
    lambda x, g: jnp.maximum(x, jnp.roll(x, int(g.integers(1, 4)), 2)),
    lambda x, g: x + periodic(x, g),
    lambda x, g: jnp.maximum(x, float(g.integers(-2, 3))),
    lambda x, g: jnp.where(periodic(x, g) > 0, x, -jnp.inf),
    lambda x, g: jnp.concatenate([x, x], axis=int(g.integers(1, 4))),
    lambda x, g: jax.lax.cummax(x, axis=int(g.integers(1, 3))),
)


def periodic(x: Any, generator: np.random.Generator) -> np.ndarray:
    """A small table that repeats along each axis with some divisor of its size."""
    shape = x.shape[1:]
    periods = [generator.choice([d for d in range(1, n + 1) if n % d == 0]) for n in shape]
    block = generator.integers(-2, 3, periods).astype(np.float64)
    return np.tile(block, [n // p for n, p in zip(shape, periods, strict=True)])


def random_model(seed: int) -> tuple[Callable[[Any], Any], tuple[int, ...]]:
    generator = np.random.default_rng(seed)
    steps = AFFINE_STEPS if seed % 2 else TROPICAL_STEPS
    chosen = generator.integers(0, len(steps), generator.integers(1, 4))
    ends = [jnp.sum, jnp.mean] if seed % 2 else [jnp.max]
    end = ends[generator.integers(len(ends))] if generator.random() < 0.7 else None
    shape = [(4, 4, 1), (4, 6, 1), (6, 4, 2), (5, 4, 1)][generator.integers(4)]

    def model(x: Any) -> Any:
        inner = np.random.default_rng(seed)
        for number in chosen:
            x = steps[number](x, inner)
        return x if end is None else end(x, axis=(1, 2))

    return model, shape


@pytest.mark.parametrize("seed", range(24))
def test_random_programs_agree_with_an_exhaustive_sweep(seed) -> None:
    """Both ways: what is proved holds on every input, and what is not comes with an image on which it fails."""
    model, shape = random_model(seed)
    asked = ask(model, shape)
    generator = np.random.default_rng(seed)
    cells = int(np.prod(shape))
    inputs = [generator.integers(-9, 10, (1, *shape)) * 720.0 for _ in range(3)]
    inputs += list(np.eye(cells).reshape(cells, 1, *shape) * 720.0)
    run = jax.jit(lambda x: jax.vmap(model)(x))
    grid = list(itertools.product(*map(range, shape[:-1])))
    with settings("float64"):
        rolled = np.stack([np.roll(x, s, (1, 2)) for s in grid for x in inputs])
        values = np.asarray(run(rolled))
    values = values.reshape(len(grid), len(inputs), *values.shape[1:])
    for claim in asked.claims.values():
        for number, shift in enumerate(grid):
            moved = asked.basis.output_shift(claim, shift)
            axes = tuple(axis + 1 for axis in claim.axes)
            holds = any(
                np.allclose(values[number], np.roll(values[0], steps, axes), rtol=1e-12, atol=1e-9)
                for steps in (
                    [moved] if moved is not None else itertools.product(*map(range, claim.sizes))
                )
            )
            assert holds == (moved is not None), (claim.property, shift, moved)
            if moved is None and asked.basis.deciding(claim):
                image = asked.basis.counterexample(claim, shift)
                assert image is not None or claim.property == "equivariance"


# --- counterexamples and certificates ---


@pytest.mark.parametrize(
    ("model", "property"),
    [
        (lambda x: mean(average(x) * ROW), "invariance"),
        (lambda x: peak(pool(x) + 3.0 * ROW), "invariance"),
        (lambda x: low(nnx.min_pool(x, (2, 2), (2, 2)) + 3.0 * ROW), "invariance"),
        (average, "equivariance"),
        (pool, "equivariance"),
    ],
)
def test_counterexamples(model, property) -> None:
    asked = ask(model, (8, 8, 1))
    claim = asked.claims[property]
    assert asked.basis.deciding(claim)
    image = asked.basis.counterexample(claim, (1, 0))
    assert image is not None
    assert np.count_nonzero(image) == (1 if property == "invariance" else 2)
    before, after = asked.run(image), asked.run(np.roll(image, (1, 0), (1, 2)))
    for steps in itertools.product(*map(range, claim.sizes)):
        assert not np.array_equal(np.roll(before, steps, claim.axes), after)
    assert (
        asked.basis.counterexample(claim, (2, 0) if property == "equivariance" else (0, 1)) is None
    )


def test_a_program_that_contradicts_its_responses_is_an_error(monkeypatch) -> None:
    asked = ask(lambda x: mean(average(x) * ROW), (8, 8, 1))
    monkeypatch.setattr(responses.Tail, "run", lambda self, image: np.zeros(1))
    with pytest.raises(
        ContradictionError, match=r"invariance under \(1, 0\) fails, the program does not"
    ):
        asked.basis.counterexample(asked.claims["invariance"], (1, 0))


def test_certificates() -> None:
    asked = ask(Net(gate), (8, 8, 1))
    claim = asked.claims["invariance"]
    data = asked.basis.to_json(claim, [(1, 0), (0, 1)])
    again = ask(Net(gate), (8, 8, 1)).basis.to_json(claim, [(1, 0), (0, 1)])
    assert json.loads(json.dumps(data)) == data == again
    assert data["schema"] == "shiftproof.basis/1"
    assert data["statement"]["grid"] == [8, 8]
    assert data["statement"]["weights"].startswith("any values of bias, conv.bias, conv.kernel")
    assert [segment["impulses"] for segment in data["segments"]] == [192, 192]
    assert data["segments"][0]["equations"][0].startswith("reduce_window_sum at test_basis.py:")
    assert data["generators"][0]["uses"][0] == {
        "segment": 0,
        "source_shift": [0, 1, 0, 0],
        "target": "stays",
    }
    assert "trusted" in asked.basis.describe()
    with pytest.raises(ValueError, match=r"invariance under \(1, 0\) does not follow"):
        ask(pool, (8, 8, 1)).basis.to_json(claim, [(1, 0)])


def test_certificates_of_equivariance_name_the_output_shift() -> None:
    asked = ask(matrix(True), (8, 1))
    asked = dataclasses.replace(asked, prover=None)
    (first, *_) = asked.basis.to_json(asked.claims["equivariance"], [(1,)])["generators"]
    assert first["output_shift"] == [1]


def test_responses_of_other_programs_have_other_digests() -> None:
    digests = {
        ask(lambda x, t=t: mean(wrapped(x, t, 2)), (8, 8, 1)).basis.segments[0].responses.sha256
        for t in ([1, 2, 1], [1, 2, 2], [1, 3, 3, 1])
    }
    assert len(digests) == 3
