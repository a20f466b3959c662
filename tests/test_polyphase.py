"""Polyphase sampling: what is proved of it, what is kept beside that, and both held against every shift."""

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
from shiftproof.layers import (
    AdaptivePolyphaseSampling,
    LearnablePolyphaseSampling,
    max_pool,
    polyphase,
)
from shiftproof.layers.polyphase import COMPOSITE, VERSION, reference
from shiftproof.proving.selections import SELECTION, find_selections, with_selections


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

    def __init__(self, other, ties="first"):
        self.sample, self.other = AdaptivePolyphaseSampling(2, ties=ties), other

    def __call__(self, x):
        return self.sample(x).mean((1, 2)) + self.other(x)


class Gated(nnx.Module):
    """A polyphase layer between convolutions, and channels weighed by what all cells of them say."""

    def __init__(self, gate):
        self.sample, self.gate = AdaptivePolyphaseSampling(2, ties="canonical"), gate
        self.first, self.last = conv((1, 2)), conv((2, 2), 1)
        self.dense = nnx.Linear(2, 2, rngs=nnx.Rngs(2))

    def __call__(self, x):
        y = nnx.relu(self.first(x))
        z = self.sample(y)
        weight = nnx.sigmoid(self.dense((z if self.gate == "picked" else y).mean((1, 2))))
        return self.last(z * weight[:, None, None]).mean((1, 2))


class Between(nnx.Module):
    """Two polyphase layers, and something between them."""

    def __init__(self, between):
        self.sample, self.between = AdaptivePolyphaseSampling(2, ties="canonical"), between

    def __call__(self, x):
        return self.sample(self.between(self.sample(x))).mean((1, 2))


class Scored(nnx.Module):
    """A learned score whose weights the image makes."""

    def __init__(self, of):
        self.layer = LearnablePolyphaseSampling(
            1, deterministic=True, ties="canonical", rngs=nnx.Rngs(0)
        )
        self.of = of

    def __call__(self, x):
        weights = tuple(p[...] for p in (self.layer.kernel, self.layer.bias, self.layer.head))
        weights = (weights[0] * self.of(x), *weights[1:])
        return reference((2, 2), "learned", "canonical")((x,), weights)[0].max((1, 2))


def learnt(ties="first"):
    layer = LearnablePolyphaseSampling(1, deterministic=True, ties=ties, rngs=nnx.Rngs(0))
    return nnx.Sequential(layer, lambda x: x.max((1, 2)))


def strided(x):
    return nnx.max_pool(x, (2, 2), (2, 2)).mean((1, 2))


def canonical(**options):
    return lambda: Net(ties="canonical", **options)


def backwards(x):
    return x[:, ::-1]


def chosen(x):
    """A branch by what was picked, and by the image."""
    y = AdaptivePolyphaseSampling(2, ties="canonical")(x).sum()
    return jax.lax.cond(y > 0, lambda z: z.sum((1, 2)), lambda z: z.max((1, 2)), x)


# model, how many of the 64 shifts the kernel proves, and how many are kept beside (None: no more)
CASES = {
    "one layer": (Net, 1, 64),
    "canonical": (canonical(), 64, None),
    "two layers": (lambda: Net(depth=2), 1, 64),
    "two canonical layers": (canonical(depth=2), 64, None),
    "a stride before": (lambda: Net(before=lambda x: nnx.max_pool(x, (2, 2), (2, 2))), 1, 16),
    "a stride before canonical": (canonical(before=lambda x: x[:, ::2, ::2]), 16, None),
    "circular pool behind": (canonical(behind=lambda x: max_pool(x, 2, 1)), 64, None),
    "a convolution behind": (canonical(behind=conv((2, 2), 5)), 64, None),
    "learned": (learnt, 1, 64),
    "learned, canonical": (lambda: learnt("canonical"), 64, None),
    "shared phase": (lambda: Skip(True), 64, None),
    "a gate of what was picked": (lambda: Gated("picked"), 64, None),
    "a gate of the image": (lambda: Gated("image"), 64, None),
    "transposed between": (lambda: Between(lambda x: x.transpose(0, 2, 1, 3)), 64, None),
    "backwards between": (lambda: Between(backwards), 64, None),
    "still path around": (lambda: Around(lambda x: x.mean((1, 2)), "canonical"), 64, None),
    "strided path around": (lambda: Around(strided, "canonical"), 16, None),
    "a branch": (lambda: chosen, 64, None),
    "weights of a score by all cells": (lambda: Scored(lambda x: x.max()), 64, None),
    # what must not be proved
    "separate phases": (lambda: Skip(False), 1, None),
    "zero padding before": (
        lambda: nnx.Sequential(
            conv(padding="SAME"), Net(ties="canonical").sample, lambda x: x.mean((1, 2))
        ),
        1,
        None,
    ),
    "zero padding behind": (canonical(behind=conv((2, 2), 5, padding="SAME")), 1, None),
    "no padding behind": (canonical(behind=conv((2, 2), 5, padding="VALID")), 1, None),
    "a stride behind": (canonical(behind=lambda x: nnx.max_pool(x, (2, 2), (2, 2))), 1, None),
    "flatten behind": (
        canonical(behind=lambda x: x.reshape(1, -1)[:, :3], head="as is"),
        1,
        None,
    ),
    "a table behind": (canonical(behind=lambda x: x * jnp.arange(4.0)[:, None]), 1, None),
    "a part behind": (canonical(behind=lambda x: x[:, :2]), 1, None),
    "backwards beside forwards": (canonical(behind=lambda x: x * backwards(x)), 1, None),
    "turned beside not": (canonical(behind=lambda x: x * x.transpose(0, 2, 1, 3)), 1, None),
    "the image beside": (lambda: Beside(), 1, None),
    "weights of a score by one cell": (lambda: Scored(lambda x: x[0, 0, 0, 0]), 1, None),
    "tokens of two axes": (
        lambda: (
            lambda x: AdaptivePolyphaseSampling(2, ties="canonical")(x.reshape(1, 64, 1)).max(1)
        ),
        8,  # a row on is 8 of 64 tokens on
        None,
    ),
}
PROVED = [name for name, (_, proved, _) in CASES.items() if proved > 1]


class Beside(nnx.Module):
    """What was picked, times a part of the image of the same size."""

    def __call__(self, x):
        return (AdaptivePolyphaseSampling(2, ties="canonical")(x) * x[:, ::2, ::2]).mean((1, 2))


@functools.cache
def verdict_of(name):
    return sp.verify(CASES[name][0](), (8, 8, 1), property="invariance", search_seconds=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", some(CASES, 8))
def test_what_is_proved_and_what_is_kept_beside(name) -> None:
    verdict, (_, proved, kept) = verdict_of(name), CASES[name]
    found = verdict.invariance
    assert found.proved == found.certified == proved
    if kept is None:
        assert found.conditional is None
        assert not any("polyphase sampling makes" in note for note in verdict.notes)
        return
    assert found.conditional is not None
    assert found.conditional.lattice.count == kept
    assert any("the choice that polyphase sampling makes" in note for note in verdict.notes)
    assert found.to_dict()["conditional"]["shifts"] == kept


@pytest.mark.slow
@pytest.mark.parametrize("name", ["separate phases", "the image beside"])
def test_what_meets_at_different_phases_is_told_with_the_remedy(name) -> None:
    (cause, *_) = (c for c in verdict_of(name).causes if c.code == "wanders")
    assert cause.words.startswith("mul: what ")
    assert "one polyphase layer" in cause.repair


def changed_bits(model, images, step=1):
    """The shifts, by multiples of a step, under which an output of some image changes in a bit."""
    size = images.shape[1]
    shifts = [(i, j) for i in range(0, size, step) for j in range(0, size, step)]
    rolled = jnp.stack([jnp.roll(images, shift, (1, 2)) for shift in shifts])
    run = jax.jit(lambda x: jax.lax.map(lambda image: model(image[None])[0], x))
    outputs = np.stack([np.asarray(run(one)) for one in rolled])
    changed = (outputs != outputs[:1]).reshape(len(shifts), -1).any(1)
    return [shift for shift, each in zip(shifts, changed, strict=True) if each]


def tied_images(size=8):
    """Images whose components tie: constant ones, periodic ones, [5, 3, 0, 4], and of few values."""
    rng = np.random.default_rng(0)
    line = np.array([5.0, 3, 0, 4] * (size // 4))
    found = [np.ones((size, size)), np.zeros((size, size)), np.add.outer(line, 0 * line)]
    found += [np.add.outer(0 * line, line), np.add.outer(line, line)]
    found += [np.tile(rng.integers(0, 3, (2, 2)), (size // 2, size // 2)) for _ in range(3)]
    found += [np.tile(rng.integers(0, 2, (4, 4)), (size // 4, size // 4)) for _ in range(3)]
    found += [rng.integers(0, 2, (size, size)) for _ in range(8)]
    return np.stack(found)[..., None].astype(np.float32)


class Integers(nnx.Module):
    """Sampling by comparisons alone, between windows and sums of whole numbers: nothing rounds."""

    def __init__(self, ties="canonical", depth=2, order="max"):
        self.sample, self.depth = AdaptivePolyphaseSampling(2, order=order, ties=ties), depth

    def __call__(self, x):
        for _ in range(self.depth):
            x = self.sample(x - 2 * jnp.roll(x, 1, 1) + jnp.roll(x, 1, 2))
        return max_pool(x, 2, 1).sum((1, 2))


@pytest.mark.slow
def test_no_shift_of_images_that_tie_changes_a_bit() -> None:
    """A vote apart from the kernel: the compiled model on every shift."""
    found = sp.verify(Integers(), (8, 8, 1), property="invariance").invariance
    assert (found.proved, found.certified) == (64, 64)
    images = tied_images()
    assert changed_bits(Integers(), images) == []
    assert changed_bits(Integers(order="l1"), images) == []  # sums of small whole numbers
    assert changed_bits(Integers(ties="first"), images) != []


@pytest.mark.slow
def test_no_shift_of_images_in_general_position_changes_a_bit() -> None:
    """Chosen by the largest value, which only compares; and of what is chosen the largest value."""
    images = np.random.default_rng(1).normal(size=(4, 8, 8, 1)).astype(np.float32)
    layer = AdaptivePolyphaseSampling(2, order="max", ties="canonical")
    model = lambda x: max_pool(layer(x), 2, 1).max((1, 2))  # noqa: E731
    assert changed_bits(model, np.concatenate([images, tied_images()])) == []
    assert changed_bits(lambda x: x[:, ::2, ::2].max((1, 2)), images) != []


@pytest.mark.slow
@pytest.mark.parametrize("name", some(PROVED, 5))
def test_every_shift_that_is_proved_agrees(name) -> None:
    """Up to rounding, on images without ties."""
    model, lattice = CASES[name][0](), verdict_of(name).invariance.lattice
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    rolled = jnp.stack([jnp.roll(images, (i, j), (1, 2)) for i in range(8) for j in range(8)])
    run = jax.jit(lambda x: jax.lax.map(lambda image: model(image[None])[0], x))
    outputs = np.stack([np.asarray(run(one)) for one in rolled])
    gaps = np.abs(outputs - outputs[:1]).reshape(64, -1).max(1).reshape(8, 8)
    assert gaps[lattice.mask()].max() < 1e-5
    assert "stride" not in name or gaps[~lattice.mask()].max() > 1e-3


@pytest.mark.slow
def test_ties_are_told_where_they_matter() -> None:
    first = verdict_of("one layer").invariance.conditional
    assert len(first.except_ties) == 1
    assert "test_polyphase.py" in first.except_ties[0]
    assert "except where two phases tie (test_polyphase.py:" in str(first)


@pytest.mark.slow
def test_the_published_tie_refutes_and_canonical_ties_are_proved() -> None:
    """[5, 3, 0, 4] sums to 5, 7, 5, 7: refuted for all images, kept for all without ties."""
    image = np.array([5.0, 3, 0, 4]).reshape(1, 4, 1)
    for ties, words in (("first", (1, 2)), ("canonical", (4, 0))):
        layer = AdaptivePolyphaseSampling(2, ties=ties)
        found = sp.verify(
            lambda x, layer=layer: layer(x).sum(1), image, property="invariance"
        ).invariance
        assert (found.proved, found.refuted) == words
        assert (found.conditional is None) == (ties == "canonical")
        if ties == "first":
            assert found.conditional.lattice.count == 4
            assert found.conditional.except_ties


@pytest.mark.slow
@pytest.mark.parametrize("ties", ["first", "canonical"])
def test_a_map_moves_by_a_shift_that_depends_on_the_image(ties) -> None:
    """No one output shift is the same for all images, so that is no equivariance."""
    verdict = sp.verify(Net(head="map", ties=ties), (8, 8, 1), search_seconds=2)
    found = verdict.equivariance
    assert found is not None
    assert found.proved == 1
    assert found.conditional is not None
    assert found.conditional.wanders
    assert found.conditional.lattice.count == 64
    assert "up to an output shift that depends on the image" in str(found.conditional)
    assert bool(found.conditional.except_ties) == (ties == "first")
    assert verdict.invariance.conditional is None
    assert verdict.invariance.proved == 1


@pytest.mark.slow
def test_a_map_does_not_move_as_the_image_does() -> None:
    same = sp.verify(
        Net(head="map"), (8, 8, 1), law="same", property="equivariance", search_seconds=2
    ).equivariance
    assert same is not None
    assert same.conditional is None


@pytest.mark.slow
def test_why_a_map_is_not_proved() -> None:
    found = sp.verify(
        Net(head="map", ties="canonical"), (8, 8, 1), property="equivariance", search_seconds=0.01
    ).equivariance
    reasons = " ".join(found.reasons.values())
    assert found.proved == 1
    assert not reasons or "moves by a number of cells that depends on the image" in reasons


@pytest.mark.slow
def test_a_scene_proves_nothing_of_a_selection() -> None:
    layer = AdaptivePolyphaseSampling(2, ties="canonical")
    verdict = sp.verify(layer, (8, 8, 1), boundary="scene")
    assert not verdict.outputs[0].region.proved


# --- a name is no proof ---


def selections(model, shape=(8, 8, 1)):
    subject, _ = ask(model, shape)
    assert isinstance(subject, Subject)
    return find_selections(subject.program)


def named(function, name=COMPOSITE, version=VERSION, **settings):
    """A composite with the settings of the layer that computes something else."""
    settings = {"strides": (2, 2), "order": "l2", "ties": "canonical"} | settings
    made = jax.lax.composite(lambda x, **_: function(x), name, version)
    return lambda x: made(x, **settings)


def first_phase(x):
    return x[:, ::2, ::2]


def ours(x, **settings):
    settings = {"strides": (2, 2), "order": "l2", "ties": "canonical"} | settings
    return polyphase._select((x,), (), **settings)[0]


def test_our_own_definition_under_the_name_is_taken() -> None:
    assert len(selections(named(ours))) == 1
    (found,) = selections(Net(ties="canonical"))
    assert (found.strides, found.ties) == ((2, 2), "canonical")
    assert "test_polyphase.py" in found.source


NAMESAKES = {
    "a stride": (first_phase, {}),
    "the first of those that tie": (functools.partial(ours, ties="first"), {}),
    "another score": (functools.partial(ours, order="l1"), {}),
    "other strides": (functools.partial(ours, strides=(2, 4)), {}),
    "a roll": (lambda x: jnp.roll(ours(x), 1, 1), {}),
    "another name": (ours, {"name": "shiftproof.polyphase"}),
    "another version": (ours, {"version": VERSION + 1}),
    "a stride of 0": (first_phase, {"strides": (0, 2)}),
    "strides that do not divide": (first_phase, {"strides": (3, 3)}),
    "strides of three axes": (first_phase, {"strides": (2, 2, 2)}),
    "strides as words": (first_phase, {"strides": "2x2"}),
    "no such order": (first_phase, {"order": "l7"}),
    "a score that needs weights": (first_phase, {"order": "learned"}),
    "a further setting": (ours, {"more": 1}),
    "other words": (ours, {"ties": 0}),
}


@pytest.mark.parametrize("name", NAMESAKES)
def test_a_namesake_that_is_something_else_is_not_taken(name) -> None:
    function, settings = NAMESAKES[name]
    assert selections(named(function, **settings)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a stride", "the first of those that tie", "a roll"])
def test_a_namesake_is_decided_by_what_it_computes(name) -> None:
    function, settings = NAMESAKES[name]
    model = named(function, **settings)
    found = sp.verify(
        lambda x: model(x).max((1, 2)), (8, 8, 1), property="invariance", search_seconds=2
    ).invariance
    assert found.proved == (16 if name == "a stride" else 1)
    assert found.conditional is None


@pytest.mark.slow
def test_images_that_are_cut_at_several_phases_are_not_taken() -> None:
    """A batch made of parts of the image, and arrays of several types, which are rounded to one."""
    layer = AdaptivePolyphaseSampling(2, ties="canonical")
    assert selections(lambda x: layer(x.reshape(2, 4, 8, 1))) == []
    assert selections(lambda x: layer(x, x.astype(jnp.int32))[0]) == []
    assert selections(lambda x: layer(x, x.astype(jnp.bfloat16))[0]) == []
    assert len(selections(lambda x: layer(x, 2 * x)[0])) == 1
    assert len(selections(lambda x: layer(x.astype(jnp.bfloat16)))) == 1


@pytest.mark.parametrize(
    ("kernel", "bias", "head", "taken"),
    [
        ((3, 3, 1, 2), (2,), (2, 1), True),
        ((5, 5, 1, 2), (2,), (2, 1), False),
        ((1, 1, 1, 2), (2,), (2, 1), False),
        ((3, 2, 1, 2), (2,), (2, 1), False),
        ((3, 3, 1, 2), (4, 4, 2), (2, 1), False),
        ((3, 3, 1, 2), (4, 1, 1), (2, 1), False),
        ((3, 3, 1, 2), (), (2, 1), False),
        ((3, 3, 1, 2), (2,), (2,), False),
    ],
)
def test_a_score_that_a_roll_may_change_is_not_taken(kernel, bias, head, taken) -> None:
    """Our own definition, with weights of shapes that no layer has."""
    weights = tuple(map(jnp.ones, (kernel, bias, head)))
    layer = reference((2, 2), "learned", "canonical")
    assert bool(selections(lambda x: layer((x,), weights)[0])) == taken


def test_a_score_without_weights_is_given_none() -> None:
    layer = reference((2, 2), "l2", "canonical")
    assert selections(lambda x: layer((x,), (jnp.ones(3),))[0]) == []


@pytest.mark.slow
def test_a_layer_in_a_loop_is_not_taken() -> None:
    layer = AdaptivePolyphaseSampling(2, ties="canonical")
    scanned = lambda x: jax.lax.scan(lambda c, _: (c + layer(x).sum(), None), 0.0, length=2)[0]  # noqa: E731
    assert selections(scanned) == []
    assert selections(jax.vmap(lambda x: layer(x[None])[0])) == []


def test_a_result_that_nobody_needs_is_left_out() -> None:
    for ties, expected in (("first", 1), ("canonical", 2)):
        layer = AdaptivePolyphaseSampling(2, ties=ties)
        subject, _ = ask(lambda x, layer=layer: layer(x, jnp.roll(x, 1, 1) + 1)[0], (8, 8, 1))
        program = with_selections(subject.program, [ties])
        (equation,) = (e for e in program.equations if e.primitive is SELECTION)
        assert len(equation.outputs) == expected


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_floats_of_8_bits_keep_every_shift_and_are_not_proved(dtype) -> None:
    """Some have no infinity, and what was taken for the least of them was NaN: all words lost, and phase 0 won."""
    sampling = sp.layers.AdaptivePolyphaseSampling(2, order="max", ties="canonical")

    def model(x):
        return sampling(x.astype(dtype)).astype(x.dtype).sum((1, 2))

    image = jnp.array([0.0, 1.0, 1.0, 1.0]).reshape(1, 4, 1)
    assert {float(model(jnp.roll(image, k, 1))[0]) for k in range(4)} == {2.0}
    assert sp.verify(model, (4, 1), search_seconds=1).invariance.proved == 1
