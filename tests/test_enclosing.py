"""Refuted by enclosures: where real outputs are shown to differ, and where nothing may be said."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import ALL
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.algebras.interval import enclose
from shiftproof.algebras.interval.ball import NoEnclosure
from shiftproof.errors import ContradictionError
from shiftproof.exactness.probes import additive_weights
from shiftproof.refuting import enclosing
from shiftproof.refuting.enclosing import gap_between
from shiftproof.refuting.trials import make_trial
from shiftproof.refuting.weights import QUIET, TAPS, sparse_weights
from shiftproof.tracing.model import adapt, program_in, trace_model, weights_in


def pooled(x: jax.Array) -> jax.Array:
    """Divided by nine, so that numbers are rounded."""
    return nnx.avg_pool(x, (3, 3), (2, 2), padding="SAME")


class Deep(nnx.Module):
    """Twelve normalised layers, whose radii multiply under dense weights."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        sizes = [(2, 8), *[(8, 8)] * 11]
        self.convs = nnx.List([nnx.Conv(a, b, (3, 3), padding="SAME", rngs=rngs) for a, b in sizes])
        self.norms = nnx.List([nnx.LayerNorm(8, rngs=rngs) for _ in sizes])

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nnx.gelu(norm(conv(x)))
        return x.mean((1, 2))


@pytest.mark.slow
def test_what_rounds_is_refuted_by_enclosures() -> None:
    verdict = sp.verify(pooled, (8, 8, 1))
    for found in (verdict.equivariance, verdict.invariance):
        assert (found.refuted, found.refuted_numerically) == (63, 0)
        for witness in found.witnesses:
            assert witness.evidence == "enclosed"
            assert 0 < witness.gap <= witness.difference.deviation
            assert "at least by" in witness.strength
        data = found.to_dict()
        assert data["refuted_numerically"] == 0
        assert all(row["gap"] > 0 for row in data["evidence"]["witnesses"])


@pytest.mark.slow
def test_deep_networks_are_refuted_by_enclosures() -> None:
    verdict = sp.verify(Deep(), (8, 8, 2))
    assert verdict.invariance.refuted == 63
    assert all(witness.evidence == "enclosed" for witness in verdict.witnesses)


@pytest.mark.slow
def test_deep_attention_is_refuted_by_enclosures() -> None:
    """Twelve blocks, where random and sparse weights leave nothing known of the outputs."""
    model = zoo.ViT(size=16, patch=8, width=8, depth=12, heads=2, rngs=nnx.Rngs(0))
    found = sp.verify(model, (16, 16, 3)).invariance
    assert (found.proved, found.refuted, found.undecided) == (4, 252, 0)
    assert {w.evidence for w in found.witnesses} == {"enclosed"}
    assert {w.trial.draw for w in found.witnesses} <= {"quiet", "shallow"}


def test_random_keys_have_an_enclosure_where_their_seed_is_certain() -> None:
    """A number that rounds is surely between two whole ones, or it may be one, on either side."""

    def model(x):
        seed = (x[:, 0] / 3).astype(jnp.uint32)
        return x.mean((1, 2)) + jax.random.bits(jax.random.key(seed[0, 0]), (1,), "uint8")

    found = sp.verify(model, (4, 1)).invariance
    assert (found.proved, found.refuted) == (1, 3)
    adapted, image = adapt(model), np.zeros((1, 4, 1))
    with jax.enable_x64(True):
        program = trace_model(adapted, [], image)
        image[0, 0, 0] = 1.0
        assert np.all(np.isfinite(enclose(program, {}, image).outputs[0].rad))
        image[0, 0, 0] = np.nextafter(3.0, 0)  # a third of it is below 1, and rounds to 1
        with pytest.raises(NoEnclosure, match="random keys"):
            enclose(program, {}, image)


@pytest.mark.slow
def test_of_what_nothing_is_known_is_asked_a_few_times_only(monkeypatch) -> None:
    """One enclosure an image at rest, of few images; then the weights are given up."""
    seen: list[tuple[str, bytes]] = []
    run = enclosing._enclosed

    def unknown(trial, image):
        seen.append((trial.weights_sha256, image.tobytes()))
        (ball,) = run(trial, image)
        return [(ball[0] * 0, ball[1] + np.inf)]

    monkeypatch.setattr(enclosing, "_enclosed", unknown)
    found = sp.verify(pooled, (8, 8, 1), weights="these").invariance
    assert (found.refuted, found.refuted_numerically) == (0, 63)
    assert len(set(seen)) == len(seen)
    assert 0 < len(seen) <= 3 * enclosing.MOST_UNKNOWN  # of three trials


@pytest.mark.slow
@pytest.mark.skipif(
    not ALL, reason="attention is, in another test, and ResNet-18 in test_verify.py"
)
def test_a_vision_transformer_is_refuted_by_enclosures() -> None:
    entry = zoo.ENTRIES["vit-positions"]
    verdict = sp.verify(entry.build(), entry.shape)
    assert verdict.witnesses
    assert all(witness.evidence == "enclosed" for witness in verdict.witnesses)


@pytest.mark.slow
def test_what_is_true_is_never_enclosed_as_false() -> None:
    """Claims that hold over the reals, of programs that round."""
    images = np.random.default_rng(0).normal(size=(3, 6, 6, 1))
    models = [
        lambda x: jax.nn.softmax(x.reshape(x.shape[0], -1)).sum(1),
        lambda x: ((x * 1e9 + x) / 3).sum((1, 2)),
        lambda x: jnp.sqrt((x - x.mean((1, 2), keepdims=True)) ** 2).mean((1, 2)),
    ]
    for model in models:
        trial = make_trial(adapt(model), images, draw="these")
        for image, shift in itertools.product(images, [(1, 0), (2, 3)]):
            pair = np.stack([image, np.roll(image, shift, (0, 1))])
            assert gap_between(trial, pair, leaf=0, axes=(), shifts=((),)) == 0


@pytest.mark.slow
def test_a_proof_is_contradicted_by_enclosures(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "shiftproof.proving.analysis.Prover.output_shift",
        lambda self, claim, shift: shift[: len(claim.axes)],
    )
    monkeypatch.setattr("shiftproof.proving.identity.Identities.denies", lambda *_: False)
    with pytest.raises(ContradictionError, match=r"is proved, but .* by enclosures"):
        sp.verify(pooled, (4, 4, 1))


def balls(generator: np.random.Generator, radius: float) -> tuple[np.ndarray, np.ndarray]:
    mid = generator.integers(0, 3, (1, 4, 4, 2)).astype(np.float64)
    return mid, np.full(mid.shape, radius)


@pytest.mark.slow
def test_an_output_shift_that_may_fit_leaves_no_gap(monkeypatch) -> None:
    """Against all output shifts by hand, for one image and for two together."""
    generator = np.random.default_rng(0)
    shifts = list(itertools.product(range(4), range(4)))
    seen = set()
    for _ in range(40):
        radius, count = float(generator.choice([0.0, 0.3, 0.6])), int(generator.choice([1, 2]))
        still, moved = [], []
        for _ in range(count):
            mid, rad = balls(generator, radius)
            other = np.roll(mid, tuple(generator.integers(0, 2, 2)), (1, 2))
            still.append((mid, rad))
            moved.append((other + generator.choice([0.0, 0.0, 1.0], other.shape), rad))
        stacked = [np.stack([ball[i] for ball in (*still, *moved)], -1) for i in range(2)]
        halves = zip(*(np.split(part, 2, -1) for part in stacked), strict=True)
        monkeypatch.setattr(enclosing, "enclosures", lambda *_, found=halves: next(found))
        trial = make_trial(adapt(lambda x: x), np.zeros((1, 4, 4, 2)), draw="these")
        found = gap_between(trial, np.zeros((2 * count, 4, 4, 2)), leaf=0, axes=(1, 2), shifts=None)
        by_hand = min(
            max(
                np.max(np.abs(np.roll(a, shift, (1, 2)) - b)) - 2 * radius
                for (a, _), (b, _) in zip(still, moved, strict=True)
            )
            for shift in shifts
        )
        assert (found > 0) == (by_hand > 1e-9)
        assert found <= max(by_hand, 0.0)
        seen.add((count, found > 0))
    assert seen == {(1, True), (1, False), (2, True), (2, False)}


def test_sparse_weights_have_few_inputs_each() -> None:
    images = np.zeros((1, 8, 8, 2))
    model = adapt(Deep())
    program = program_in(model, (1, *images.shape[1:]), "float64")
    weights = weights_in(model, program)
    drawn = sparse_weights(program, weights, [True] * len(weights), 0)
    kernels = 0
    for weight, before in zip(drawn, weights, strict=True):
        assert weight.shape == before.shape
        if weight.ndim == 4:
            count = np.count_nonzero(weight.reshape(-1, weight.shape[-1]), 0)
            assert count.min() >= 1
            assert count.max() <= TAPS
            kernels += 1
        else:
            assert np.all(weight != 0)
    assert kernels == 12
    quiet = sparse_weights(program, weights, [True] * len(weights), 0, scale=QUIET)
    for name, one, other in zip(program.weight_names, drawn, quiet, strict=True):
        small = one.ndim == 4 or name in additive_weights(program)
        np.testing.assert_array_equal(other, one * (QUIET if small else 1))
