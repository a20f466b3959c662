"""What holds behind polyphase sampling: cut at the layer, proved on both sides, and held against every shift."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import some
from flax import nnx

import shiftproof as sp
from shiftproof.deciding.subject import Subject
from shiftproof.deciding.verify import ask
from shiftproof.layers import AdaptivePolyphaseSampling, LearnablePolyphaseSampling, max_pool
from shiftproof.proving.polyphase import find_selections
from shiftproof.tracing.settings import settings


def conv(channels=(1, 2), seed=0, **options):
    options = {"padding": "CIRCULAR", **options}
    return nnx.Conv(*channels, (3, 3), rngs=nnx.Rngs(seed), **options)


class Net(nnx.Module):
    """Convolutions, each followed by a polyphase layer; then a head."""

    def __init__(self, *, ties="first", depth=1, head="mean", before=None, behind=None):
        widths = [1, *[2] * depth]
        pairs = itertools.pairwise(widths)
        self.convolutions = nnx.List(conv(pair, i) for i, pair in enumerate(pairs))
        self.sample = AdaptivePolyphaseSampling(2, ties=ties)
        self.before, self.behind, self.head = before, behind, head

    def __call__(self, x):
        for layer in self.convolutions:
            x = nnx.relu(layer(x))
            x = self.sample(x if self.before is None else self.before(x))
        if self.behind is not None:
            x = self.behind(x)
        return x.mean((1, 2)) if self.head == "mean" else x


class Skip(nnx.Module):
    """Two branches, cut at one shared phase, or each at its own."""

    def __init__(self, shared):
        self.main, self.shared = conv((1, 1)), shared
        self.sample = AdaptivePolyphaseSampling(2, ties="canonical")

    def __call__(self, x):
        y = nnx.relu(self.main(x))
        cut = self.sample(y, x) if self.shared else (self.sample(y), self.sample(x))
        return (cut[0] * cut[1]).mean((1, 2))


class Around(nnx.Module):
    """A polyphase layer, and a path around it."""

    def __init__(self, other):
        self.sample, self.other = AdaptivePolyphaseSampling(2), other

    def __call__(self, x):
        return self.sample(x).mean((1, 2)) + self.other(x)


def learnt():
    layer = LearnablePolyphaseSampling(1, deterministic=True, rngs=nnx.Rngs(0))
    return nnx.Sequential(layer, lambda x: x.max((1, 2)))


def strided(x):
    return nnx.max_pool(x, (2, 2), (2, 2)).mean((1, 2))


# model, how many of the 64 shifts are kept (None: nothing can be said)
CASES = {
    "one layer": (Net, 64),
    "canonical": (lambda: Net(ties="canonical"), 64),
    "two layers": (lambda: Net(depth=2), 64),
    "a stride before": (lambda: Net(before=lambda x: nnx.max_pool(x, (2, 2), (2, 2))), 16),
    "circular pool behind": (lambda: Net(behind=lambda x: max_pool(x, 2, 1)), 64),
    "learned": (learnt, 64),
    "shared phase": (lambda: Skip(True), 64),
    "separate phases": (lambda: Skip(False), None),
    "zero padding before": (
        lambda: nnx.Sequential(
            conv(padding="SAME"), Net(depth=1, head="mean").sample, lambda x: x.mean((1, 2))
        ),
        None,
    ),
    "zero padding behind": (lambda: Net(behind=conv((2, 2), 5, padding="SAME")), None),
    "a stride behind": (lambda: Net(behind=lambda x: nnx.max_pool(x, (2, 2), (2, 2))), None),
    "flatten behind": (lambda: Net(behind=lambda x: x.reshape(1, -1)[:, :3], head="as is"), None),
    "strided path around": (lambda: Around(strided), None),
    "still path around": (lambda: Around(lambda x: x.mean((1, 2))), None),
}


@functools.cache
def verdict_of(name):
    return sp.verify(CASES[name][0](), (8, 8, 1), property="invariance")


@pytest.mark.slow
@pytest.mark.parametrize("name", some(CASES, 4))
def test_what_is_kept_and_never_called_proved(name) -> None:
    verdict, expected = verdict_of(name), CASES[name][1]
    found = verdict.invariance
    assert found.proved + found.undecided + found.refuted == 64
    if expected is None:
        assert found.conditional is None
        return
    assert found.conditional is not None
    assert found.conditional.lattice.count == expected
    assert found.proved < expected  # the kernel alone does not know the theorem
    assert any("the theorem about it" in note for note in verdict.notes)
    assert found.to_dict()["conditional"]["shifts"] == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", some((n for n, (_, kept) in CASES.items() if kept), 2))
def test_every_shift_agrees_on_images_without_ties(name) -> None:
    build, _ = CASES[name]
    model = build()
    lattice = verdict_of(name).invariance.conditional.lattice
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    rolled = jnp.stack([jnp.roll(images, (i, j), (1, 2)) for i in range(8) for j in range(8)])
    outputs = np.asarray(jax.vmap(jax.vmap(lambda x: model(x[None])[0]))(rolled))
    gaps = np.abs(outputs - outputs[:1]).max((1, 2)).reshape(8, 8)
    step = 8 // int(lattice.count**0.5)
    assert gaps[::step, ::step].max() < 1e-5
    if step > 1:
        assert gaps[1].max() > 1e-3


@pytest.mark.slow
def test_ties_are_told_where_they_matter() -> None:
    first, canonical = (
        verdict_of(name).invariance.conditional for name in ("one layer", "canonical")
    )
    assert len(first.except_ties) == 1
    assert "test_polyphase.py" in first.except_ties[0]
    assert "except where two phases tie (test_polyphase.py:" in str(first)
    assert not canonical.except_ties
    assert "tie" not in str(canonical)


@pytest.mark.slow
def test_the_published_tie_refutes_and_the_condition_says_so() -> None:
    """[5, 3, 0, 4] sums to 5, 7, 5, 7: refuted for all images, kept for all without ties."""
    image = np.array([5.0, 3, 0, 4]).reshape(1, 4, 1)
    for ties, refuted in (("first", 2), ("canonical", 0)):
        layer = AdaptivePolyphaseSampling(2, ties=ties)
        found = sp.verify(
            lambda x, layer=layer: layer(x).sum(1), image, property="invariance"
        ).invariance
        assert found.refuted == refuted
        assert found.conditional is not None
        assert found.conditional.lattice.count == 4
        assert bool(found.conditional.except_ties) == (ties == "first")


@pytest.mark.slow
def test_a_map_moves_by_a_shift_that_depends_on_the_image() -> None:
    verdict = sp.verify(Net(head="map"), (8, 8, 1))
    assert verdict.equivariance is not None
    assert verdict.equivariance.conditional is not None
    assert verdict.equivariance.conditional.lattice.count == 64
    assert verdict.invariance.conditional is None
    same = sp.verify(Net(head="map"), (8, 8, 1), law="same", property="equivariance").equivariance
    assert same is not None
    assert same.conditional is None  # it does not move by the same shift


# --- a name is no proof ---


def selections(model):
    subject, _ = ask(model, (8, 8, 1))
    assert isinstance(subject, Subject)
    with settings(""):
        return find_selections(subject.traced)


@pytest.mark.slow
def test_namesakes_that_compute_something_else_are_not_taken() -> None:
    def select(arrays, weights):
        return tuple(x[:, ::2, ::2] for x in arrays)

    select.__name__ = "polyphase_2x2_l2_first"
    fake = jax.jit(select)
    model = nnx.Sequential(lambda x: fake((x,), ())[0], lambda x: x.max((1, 2)))
    assert selections(model) == []
    found = sp.verify(model, (8, 8, 1), property="invariance").invariance
    assert found.conditional is None
    assert found.proved == 16
    assert len(selections(Net())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "polyphase_3x3_l2_first",
        "polyphase_2_l1_canonical",
        "polyphase_0x2_max_first",
        "polyphase_2x2_learned_first",
        "polyphase_2x2x2_l2_first",
    ],
)
def test_namesakes_that_the_layer_would_refuse_do_no_harm(name) -> None:
    def select(x):
        return nnx.relu(x)

    select.__name__ = name
    fake = jax.jit(select)
    found = sp.verify(lambda x: fake(x).max((1, 2)), (8, 8, 1), property="invariance").invariance
    assert (found.proved, found.conditional) == (64, None)


def test_settings_that_differ_from_the_name_are_not_taken() -> None:
    from shiftproof.layers import polyphase

    other = polyphase.reference((2, 2), "l1", "first")
    original = other.__wrapped__

    def select(arrays, weights):
        return original(arrays, weights)

    select.__name__ = "polyphase_2x2_l2_canonical"
    fake = jax.jit(select)
    assert selections(lambda x: fake((x,), ())[0].max((1, 2))) == []
