"""The search for counterexamples: its budget, what it tries, and several images where one does not suffice."""

import collections
import itertools
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import Array, lax

import shiftproof as sp
from shiftproof import zoo
from shiftproof.deciding.cache import Entry
from shiftproof.deciding.verify import ask
from shiftproof.errors import InputError
from shiftproof.messages import failure_text
from shiftproof.proving.analysis import Claim
from shiftproof.refuting import trials
from shiftproof.refuting.bench import Bench
from shiftproof.refuting.budget import Budget
from shiftproof.refuting.counterexample import from_witness, load_counterexample, replay
from shiftproof.refuting.nearby import witness_nearby
from shiftproof.refuting.sensitivity import sensitivity
from shiftproof.refuting.trials import Trial, make_trial
from shiftproof.refuting.witness import Doubt
from shiftproof.report.verdicts import witness_text
from shiftproof.tracing.model import adapt
from shiftproof.tracing.work import work_of

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def flattened() -> Any:
    return zoo.build("conv3x3-same")


def bench(model: Any, spent: Budget, shape: tuple[int, ...] = (6, 6, 2)) -> Bench:
    return Bench(adapt(model), shape, spatial_axes=(0, 1), architecture=True, budget=spent)


INVARIANCE = Claim("output", 0, "invariance", (), (), "any")


# --- the budget ---


def test_seconds_count_beside_compilation() -> None:
    clock = Clock()
    spent = Budget(seconds=10, clock=clock)
    clock.now = 7
    with spent.uncounted():
        clock.now = 100
    assert (spent.taken, spent.is_spent, spent.stopped) == (7, False, "")
    clock.now = 103
    assert spent.is_spent
    spent.run = 230
    clock.now = 500  # what is done behind the search is not the search
    assert spent.stopped.startswith(
        "the search stopped after 10 s and 0 images; its budget is 10 s"
    )


def test_a_part_of_a_budget_leaves_the_rest() -> None:
    clock = Clock()
    spent = Budget(seconds=10, clock=clock)
    with spent.part(0.75):
        clock.now = 7
        assert not spent.is_spent
        clock.now = 8
        assert spent.is_spent
    assert (spent.is_spent, spent.stopped) == (False, "")
    clock.now = 10
    with spent.part(0.75):
        assert spent.is_spent
    assert not spent.stopped
    assert spent.is_spent
    assert spent.stopped


def test_images_count() -> None:
    spent = Budget(images=2, clock=Clock())
    spent.run = 1
    assert not spent.is_spent
    spent.run = 2
    assert spent.is_spent
    assert "2 images" in spent.stopped


def test_what_is_no_budget_is_refused() -> None:
    for seconds in (-1.0, float("nan")):
        with pytest.raises(InputError, match="search_seconds"):
            Budget(seconds)


@pytest.mark.slow
def test_a_search_ends_with_its_budget_and_keeps_what_it_found(monkeypatch) -> None:
    """Every image takes a second; compilation takes an hour, which does not count."""
    clock = Clock()
    run, compiled = Trial._run, trials._compile

    def slow_run(self: Trial, *args: Any) -> Any:
        result = run(self, *args)
        clock.now += 1
        return result

    def slow_compile(*args: Any) -> Any:
        clock.now += 3600
        return compiled(*args)

    monkeypatch.setattr(Trial, "_run", slow_run)
    monkeypatch.setattr(trials, "_compile", slow_compile)
    monkeypatch.setattr(trials, "CHEAP_WORK", 1)
    trials.forget_compiled()
    # a convolution with circular padding keeps all shifts, so nothing is found under its own law
    still = nnx.Conv(2, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    spent = Budget(seconds=5, clock=clock)
    claim = Claim("output", 0, "equivariance", (1, 2), (6, 6), "same")
    doubts = [Doubt(claim, (i, 0), (i, 0)) for i in range(1, 6)]
    searching = bench(still, spent)
    assert searching.search(doubts) == {}
    assert 5 <= spent.run <= 6
    assert spent.stopped.startswith(f"the search stopped after {spent.taken:.0f} s and ")
    assert clock.now > 3600
    # what fails is found with the first image, and the rest is left
    spent = Budget(seconds=3, clock=clock)
    failing = [Doubt(INVARIANCE, (i, 0)) for i in range(1, 6)]
    found = bench(flattened(), spent).search(failing)
    assert 1 <= len(found) < 5
    trials.forget_compiled()


@pytest.mark.slow
def test_a_verdict_names_the_budget_that_was_spent() -> None:
    verdict = sp.verify(flattened(), (6, 6, 2), search_seconds=0)
    found = verdict.invariance
    (note,) = (note for note in verdict.notes if "the search stopped" in note)
    assert "35 shifts for equivariance of output, 35 shifts for invariance of output" in note
    assert (found.proved, found.refuted, found.undecided) == (1, 0, 35)
    shift = next(iter(found.reasons))
    reason = found.reason(shift)
    assert re.search(r"the search stopped after \d+ s and \d+ images", reason)
    assert "its budget is 0 s beside compilation (search_seconds)" in reason
    assert "0 images were tried under this shift" in reason
    enough = sp.verify(flattened(), (6, 6, 2), search_seconds=1000)
    assert (enough.invariance.refuted, enough.invariance.undecided) == (35, 0)
    assert not any("the search stopped" in note for note in enough.notes)


def test_work_counts_what_a_loop_repeats() -> None:
    def once(x: Array) -> Array:
        kernel = jnp.ones((3, 3, 2, 5))
        dims = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dims)

    def often(x: Array) -> Array:
        step = lambda c, _: (c @ jnp.ones((2, 2)), None)  # noqa: E731
        return lax.scan(step, x, None, length=7)[0]

    def work(fn: Any) -> float:
        return work_of(make_trial(adapt(fn), np.zeros((1, 4, 4, 2)), draw="these").program)

    cells = 16 * 5
    assert cells * 18 <= work(once) <= cells * 20
    assert 7 * 32 * 2 <= work(often) <= 7 * 32 * 2 + 2 * 7 * 32 + 64


# --- a search costs a few forward passes ---


class SmallUNet(nnx.Module):
    """Two scales, joined."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        kinds: dict[str, Any] = {"padding": "CIRCULAR", "rngs": rngs}
        self.first = nnx.Conv(2, 4, (3, 3), **kinds)
        self.inner = nnx.Conv(4, 8, (3, 3), **kinds)
        self.up = nnx.ConvTranspose(8, 4, (2, 2), strides=(2, 2), rngs=rngs)
        self.last = nnx.Conv(8, 1, (3, 3), **kinds)

    def __call__(self, x: Array) -> Array:
        x = nnx.gelu(self.first(x))
        y = nnx.gelu(self.inner(nnx.max_pool(x, (2, 2), strides=(2, 2))))
        return self.last(jnp.concatenate([self.up(y), x], -1))


@pytest.mark.slow
def test_a_costly_model_is_run_on_few_images_and_on_none_twice(monkeypatch) -> None:
    """Six minimal larger groups: one image at rest, six shifted, two proved shifts, two of the model's own weights."""
    run = Trial._run
    seen: list[tuple[str, int, bytes]] = []

    def counted(self: Trial, images: Any, salt: int) -> Any:
        assert len(images) == 1  # no slot is filled for nothing
        seen.append((self.weights_sha256, salt, np.asarray(images).tobytes()))
        return run(self, images, salt)

    monkeypatch.setattr(Trial, "_run", counted)
    monkeypatch.setattr(trials, "CHEAP_WORK", 1)
    verdict = sp.verify(SmallUNet(), (8, 8, 2))
    assert (verdict.equivariance.proved, verdict.equivariance.undecided) == (16, 0)
    assert (verdict.invariance.proved, verdict.invariance.undecided) == (1, 0)
    assert max(collections.Counter(seen).values()) == 1
    assert sum(salt == 0 for _, salt, _ in seen) <= 2 + 1 + 6 + 2


def test_outputs_that_are_kept_are_those_of_a_new_run() -> None:
    images = np.random.default_rng(0).normal(size=(5, 6, 6, 2))
    kept = make_trial(adapt(flattened()), images, draw="random")
    first = kept.outputs(images[:3])
    again = kept.outputs(images[[4, 2, 0, 2]])
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(after[[2, 1]], before[[0, 2]])
        np.testing.assert_array_equal(after[1], after[3])
    fresh = make_trial(adapt(flattened()), images, draw="random")
    for one, other in zip(fresh.outputs(images[[4, 2, 0, 2]]), again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_kept_is_bounded(monkeypatch) -> None:
    images = np.random.default_rng(0).normal(size=(20, 6, 6, 2))
    trial = make_trial(adapt(flattened()), images, draw="random")
    each = (
        sum(leaf.nbytes for leaf in trial.outputs(images[:1])) + 1
    )  # and whether a value left the range
    monkeypatch.setattr(trials, "KEPT_BYTES", 4 * each)
    assert trial.outputs(images)[0].shape[0] == 20
    assert len(trial.kept) == 4


@pytest.mark.slow
def test_the_third_image_is_for_models_that_answer_to_zeros_and_ones_only() -> None:
    def zeros_and_ones(x: Array) -> Array:
        return jnp.where((x == 0) | (x == 1), x, 0.0)

    def own(fn: Any) -> Trial:
        return make_trial(adapt(fn), np.ones((1, 6, 6, 1)), draw="these")

    automaton, plain, dead = own(zeros_and_ones), own(lambda x: 2 * x), own(lambda x: 0 * x)
    assert sensitivity(automaton, "automaton") == [1.0]
    assert sensitivity(plain, "plain")[0] > 0.1
    assert sensitivity(dead, "dead") == [0.0]
    assert [trial.budget.run for trial in (automaton, plain, dead)] == [3, 2, 3]


# --- C14: a model that takes long ---


def blurred(x: Array, stride: int) -> Array:
    taps = jnp.array([1.0, 3.0, 3.0, 1.0])
    kernel = jnp.outer(taps, taps)[:, :, None, None] / 64
    kernel = jnp.broadcast_to(kernel, (4, 4, 1, x.shape[-1])).astype(x.dtype)
    pads = [(2, 2), (2, 2)] if stride == 1 else [(1, 1), (1, 1)]
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


class ResidualBlock(nnx.Module):
    def __init__(self, channels: int, features: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(channels, channels, (3, 3), rngs=rngs)
        self.second = nnx.Conv(channels, features, (3, 3), strides=2, padding="VALID", rngs=rngs)
        self.skip = nnx.Conv(channels, features, (1, 1), use_bias=False, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        y = nnx.leaky_relu(self.first(x), 0.2) * 2**0.5
        y = nnx.leaky_relu(self.second(blurred(y, 1)), 0.2) * 2**0.5
        return (y + self.skip(blurred(x, 2))) / 2**0.5


class Discriminator(nnx.Module):
    """Like that of StyleGAN2: residual blocks that blur before they stride, and the deviation over the batch."""

    def __init__(self, size: int = 64, widths: tuple[int, ...] = (8, 16, 16, 16, 16)) -> None:
        rngs = nnx.Rngs(0)
        last, side = widths[-1], size >> (len(widths) - 1)
        self.colours = nnx.Conv(3, widths[0], (1, 1), rngs=rngs)
        pairs = itertools.pairwise(widths)
        self.blocks = nnx.List([ResidualBlock(a, b, rngs) for a, b in pairs])
        self.conv = nnx.Conv(last + 1, last, (3, 3), rngs=rngs)
        self.dense = nnx.Linear(last * side * side, last, rngs=rngs)
        self.score = nnx.Linear(last, 1, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = nnx.leaky_relu(self.colours(x), 0.2) * 2**0.5
        for block in self.blocks:
            x = block(x)
        n, h, w, _ = x.shape
        deviation = jnp.sqrt(x.var(0) + 1e-8).mean()
        x = jnp.concatenate([x, jnp.broadcast_to(deviation, (n, h, w, 1))], -1)
        x = nnx.leaky_relu(self.conv(x), 0.2) * 2**0.5
        x = nnx.leaky_relu(self.dense(x.reshape(n, -1)), 0.2) * 2**0.5
        return self.score(x)


@pytest.mark.slow
def test_c14_a_discriminator_is_decided_or_the_budget_is_named() -> None:
    found = sp.verify(Discriminator(), (64, 64, 3), search_seconds=8).invariance
    assert found.proved == 1
    assert found.refuted == 4095 or "the search stopped after" in found.reason((1, 0))


# --- C13: the model's own weights ---


class Life(nnx.Module):
    """Conway's rules, and nothing but death where the weights are others."""

    def __init__(self, padding: str) -> None:
        self.kernel = nnx.Param(jnp.ones((3, 3, 1, 1)).at[1, 1].set(9.0))
        self.padding = padding

    def __call__(self, x: Array) -> Array:
        kernel, dims = self.kernel[...], ("NHWC", "HWIO", "NHWC")
        if self.padding == "wrap":
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
        pads = "VALID" if self.padding == "wrap" else "SAME"
        for _ in range(1 if self.padding == "wrap" else 4):
            n = lax.conv_general_dilated(x, kernel, (1, 1), pads, dimension_numbers=dims)
            x = ((n == 3) | (n == 11) | (n == 12)).astype(jnp.float32)
        return x


@pytest.mark.slow
def test_c13_one_choice_of_weights_refutes_and_the_models_own_is_one() -> None:
    verdict = sp.verify(Life("zeros"), (8, 8, 1), weights="all")
    for found in verdict.outputs[0].properties:
        assert (found.proved, found.refuted) == (1, 63)
    assert {w.trial.draw for w in verdict.witnesses} == {"these"}
    assert all(replay(e, adapt(Life("zeros"))).reproduced for e in verdict.counterexamples())


@pytest.mark.slow
def test_c13_nothing_is_refuted_that_holds() -> None:
    found = sp.verify(Life("wrap"), (8, 8, 1), weights="all").equivariance
    assert (found.proved, found.refuted) == (64, 0)


# --- C11: several images ---


def polyphase(x: Array, stride: int) -> Array:
    """The phase of the largest norm, as one writes it by hand."""
    n, h, w, c = x.shape
    parts = x.reshape(n, h // stride, stride, w // stride, stride, c).transpose(0, 2, 4, 1, 3, 5)
    phases = parts.reshape(n, stride**2, h // stride, w // stride, c)
    chosen = jnp.argmax((phases**2).sum((2, 3, 4)), 1)
    return jnp.take_along_axis(phases, chosen[:, None, None, None, None], 1)[:, 0]


@pytest.fixture(scope="module", params=[(2, 48), (4, 60)], ids=["stride 2", "stride 4"])
def sampled(request) -> tuple[Any, sp.Verdict, int]:
    stride, refuted = request.param

    def model(x: Array) -> Array:
        return polyphase(x, stride)

    return model, sp.verify(model, (8, 8, 1), property="equivariance"), refuted


@pytest.mark.slow
def test_c11_adaptive_polyphase_by_hand_is_refuted(sampled) -> None:
    _, verdict, refuted = sampled
    found = verdict.equivariance
    assert found.refuted == refuted
    stride = {48: 2, 60: 4}[refuted]
    kept = np.zeros((8, 8), bool)
    kept[::stride, ::stride] = True
    np.testing.assert_array_equal(found.map == sp.Word.REFUTED, ~kept)
    assert any(witness.others for witness in verdict.witnesses)


def rolls_that_fit(model: Any, image: np.ndarray, shift: tuple[int, ...]) -> set[tuple[int, ...]]:
    """By brute force, in NumPy."""
    still, moved = (np.asarray(model(x[None])) for x in (image, np.roll(image, shift, (0, 1))))
    shifts = np.ndindex(*still.shape[1:3])
    return {s for s in shifts if np.array_equal(np.roll(still, s, (1, 2)), moved)}


@pytest.mark.slow
def test_c11_each_image_leaves_some_output_shift_and_together_they_leave_none(sampled) -> None:
    model, verdict, _ = sampled
    several = [witness for witness in verdict.witnesses if witness.others]
    for witness in several:
        left = [rolls_that_fit(model, image, witness.shift) for image in witness.images]
        assert not set.intersection(*left)
        for number in range(len(left)):  # no image is there for nothing
            assert set.intersection(*(left[:number] + left[number + 1 :]))
        assert len(witness.difference.place) == witness.outputs[0].ndim
        deviation = np.roll(witness.outputs[0], witness.difference.output_shift, (1, 2))
        gap = np.abs(deviation - witness.outputs[1])[witness.difference.place]
        assert gap == witness.difference.deviation > 0


@pytest.mark.slow
def test_c11_all_images_are_in_the_file_and_are_replayed(sampled, tmp_path) -> None:
    model, verdict, _ = sampled
    for example in verdict.counterexamples():
        loaded = load_counterexample(example.save(tmp_path / "one.npz"))
        assert loaded.header == example.header
        assert loaded.images.shape == (loaded.header.images, 8, 8, 1)
        result = replay(loaded, adapt(model))
        assert result.reproduced
        assert result.changed == ()
        assert result.deviation == example.header.deviation
        assert ("images together" in str(loaded)) == (loaded.header.images > 1)


def test_c11_several_images_are_said_to_be_several(sampled) -> None:
    _, verdict, _ = sampled
    witness = next(w for w in verdict.witnesses if len(w.others) == 1)
    assert "1 more image, and no output shift fits them all" in witness_text(witness)
    failing = np.zeros((8, 8), bool)
    failing[witness.shift] = True
    told = failure_text(verdict, verdict.equivariance, failing)
    assert "on one of" in " ".join(told.split())
    assert "images that no output shift fits together" in " ".join(told.split())


@pytest.mark.slow
def test_c11_a_cache_runs_all_images_again(sampled, tmp_path) -> None:
    model, verdict, refuted = sampled
    subject, claims = ask(model, (8, 8, 1), property="equivariance")
    entry = Entry(tmp_path, subject, claims)
    entry.keep(verdict)
    failing = verdict.equivariance.map == sp.Word.REFUTED
    assert failing.sum() == refuted
    assert entry.confirm(np.where(failing, sp.Word.REFUTED, sp.Word.UNDECIDED)) is not None
    assert entry.confirm(np.full((8, 8), sp.Word.REFUTED)) is None


def test_c11_one_of_several_images_does_not_suffice_in_a_file(sampled) -> None:
    model, verdict, _ = sampled
    witness = next(w for w in verdict.witnesses if len(w.others) == 1)
    for pair in witness.pairs:
        one = type(witness)(
            witness.claim,
            witness.shift,
            pair.image,
            witness.trial,
            witness.evidence,
            witness.difference,
            0.0,
            (pair.still, pair.moved),
        )
        example = from_witness(one, model="alone", spatial_axes=(0, 1))
        assert not replay(example, adapt(model)).reproduced


def test_c11_a_multiple_refuted_by_several_images_refutes_the_shift(sampled) -> None:
    _, verdict, _ = sampled
    witness = next(w for w in verdict.witnesses if w.others)
    root = tuple(3 * s % 8 for s in witness.shift)  # 3 * 3 = 1 modulo 8
    nearby = witness_nearby(witness, root, 3, (0, 1))
    assert nearby is not None
    assert nearby.shift == root


@pytest.mark.slow
def test_c11_nothing_is_refuted_that_several_images_keep() -> None:
    """The law may differ between shifts, and not between images: a strided copy of a wrapped blur."""

    def model(x: Array) -> Array:
        return (x + jnp.roll(x, 1, 1))[:, ::2]

    found = sp.verify(model, (8, 1), property="equivariance")
    assert (found.equivariance.proved, found.equivariance.refuted) == (4, 4)


@pytest.mark.slow
def test_old_files_of_one_image_are_read_and_written_as_before(tmp_path) -> None:
    (example, *_) = sp.verify(flattened(), (6, 6, 2)).counterexamples()
    path = example.save(tmp_path / "one.npz")
    with np.load(path) as archive:
        assert b'"images"' not in archive["header"].tobytes()
        assert archive["image"].shape == (6, 6, 2)
    assert load_counterexample(path).header.images == 1
