"""Verification: the known answers, decided for every shift, and every twin that must fail."""

import dataclasses
import gc
import itertools
import json
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import sampled
from cases import CASES, Case
from flax import linen, nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.deciding.asked import shifts_of
from shiftproof.deciding.words import Word
from shiftproof.errors import ContradictionError, InputError, VacuousWarning
from shiftproof.proving.identity import Identities
from shiftproof.refuting.bench import Bench
from shiftproof.refuting.trials import make_trial
from shiftproof.tracing.model import adapt
from shiftproof_kernel import check

SMALL_ZOO = [name for name, entry in zoo.ENTRIES.items() if math.prod(entry.shape[:-1]) <= 64]


def counts(verdict) -> tuple[int, int, int]:
    return verdict.proved, verdict.refuted, verdict.undecided


def conv(padding="CIRCULAR", strides=1, kernel=(3, 3), channels=1, features=2):
    return nnx.Conv(channels, features, kernel, strides=strides, padding=padding, rngs=nnx.Rngs(0))


# --- known answers ---


@pytest.mark.parametrize("case", sampled(CASES, plain=12, slow=1))
def test_case(case: Case) -> None:
    verdict = sp.verify(case.build(), case.shape, apply_kwargs=case.apply_kwargs)
    total = math.prod(case.shape[:-1])
    output = verdict.outputs[0]
    assert output.invariance is not None
    for found, expected in (
        (output.equivariance, case.equivariant),
        (output.invariance, case.invariant),
    ):
        if expected is not None and found is not None:
            assert counts(found) == (expected, total - expected, 0)
            assert found.lattice.count == expected
    assert (output.equivariance is None) == (case.equivariant is None)
    for certificate in verdict.certificates.values():
        checked = check(certificate)
        claim = getattr(output, checked.property)
        kernel_only = all(proof.method == "kernel" for proof in claim.proofs)
        assert checked.proved == claim.proved or (not kernel_only and checked.proved < claim.proved)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    sampled(SMALL_ZOO, plain=4, slow=4),
)
def test_verdict_and_exhaustive_sweep_agree_on_the_zoo(name) -> None:
    model, shape = zoo.build(name), zoo.ENTRIES[name].shape
    verdict = sp.verify(model, shape)
    swept = sp.sweep(model, shape, layers=[])
    for property in ("equivariance", "invariance"):
        found = getattr(verdict.outputs[0], property)
        if found is None:
            continue
        assert found.undecided == 0
        equal = swept.status(property, -1) == sp.Status.EQUAL
        np.testing.assert_array_equal(found.map == Word.PROVED, equal)


NETWORKS = sorted(set(zoo.ENTRIES) - set(SMALL_ZOO) - {"resnet18"})
FIRST = {"lenet-global", "resnet-same", "vit"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in FIRST else [pytest.mark.slow]) for n in NETWORKS],
)
def test_every_network_of_the_zoo_is_decided(name) -> None:
    verdict = sp.verify(zoo.build(name), zoo.ENTRIES[name].shape).invariance
    expected = {"lenet-global": 49, "polyphase": 144, "resnet": 64, "vit": 16}.get(name, 1)
    total = math.prod(zoo.ENTRIES[name].shape[:-1])
    assert counts(verdict) == (expected, total - expected, 0)


@pytest.mark.slow
def test_resnet18_at_224_is_decided_for_every_shift() -> None:
    verdict = sp.verify(zoo.build("resnet18"), (224, 224, 3)).invariance
    assert counts(verdict) == (49, 50127, 0)
    assert str(verdict.lattice) == "32Z × 32Z"
    assert {witness.evidence for witness in verdict.witnesses} == {"enclosed"}


@pytest.mark.slow
def test_a_refuted_shift_comes_with_a_multiple_in_the_coset_of_a_witness() -> None:
    verdict = sp.verify(zoo.build("lenet-global"), (28, 28, 1)).invariance
    inside = verdict.map == Word.PROVED
    for shift in itertools.product((0, 1, 2, 7, 14, 27), repeat=2):
        evidence = verdict.evidence(shift)
        assert evidence.word == verdict.map[shift]
        if evidence.word is Word.REFUTED:
            assert evidence.witness is not None
            reached = tuple(
                (evidence.multiple * s + o) % 28
                for s, o in zip(shift, evidence.offset, strict=True)
            )
            assert reached == evidence.witness.shift
            assert inside[evidence.offset]
    assert "derived by the kernel" in verdict.evidence((4, 0)).text
    assert "composed of" in verdict.evidence((8, -4)).text
    with pytest.raises(InputError, match="has 2 steps"):
        verdict.evidence((1,))


# --- laws, weights, lattices that are not products ---


@pytest.mark.slow
def test_the_output_shift_is_reported_and_the_same_law_is_another_question() -> None:
    model = zoo.build("conv-transpose3x3-stride2")
    loose = sp.verify(model, (8, 8, 2), property="equivariance").equivariance
    assert {(p.shift, p.output_shift) for p in loose.proofs} == {((1, 0), (2, 0)), ((0, 1), (0, 2))}
    strict = sp.verify(model, (8, 8, 2), property="equivariance", law="same").equivariance
    assert counts(strict) == (1, 63, 0)
    assert counts(sp.verify(conv(), (8, 8, 1), law="same").equivariance) == (64, 0, 0)


class Table(nnx.Module):
    """A position table that repeats every second row and column, as it happens."""

    def __init__(self) -> None:
        tile = np.arange(4.0).reshape(2, 2)
        self.table = nnx.Param(jnp.asarray(np.tile(tile, (4, 4))[..., None], jnp.float32))

    def __call__(self, x):
        return jnp.maximum(x + self.table[...], 0)


@pytest.mark.slow
def test_weights_are_any_or_these() -> None:
    assert counts(sp.verify(Table(), (8, 8, 1)).equivariance) == (1, 63, 0)
    these = sp.verify(Table(), (8, 8, 1), weights="these")
    assert counts(these.equivariance) == (16, 48, 0)
    statement = these.certificates["output.equivariance"]["statement"]
    assert statement["weights"] == "these"
    assert len(statement["weights_sha256"]) == 64


@pytest.mark.slow
def test_a_lattice_may_be_a_diagonal() -> None:
    rows, columns = np.indices((8, 8))
    mask = jnp.asarray(((rows - columns) % 8)[..., None] + 1, jnp.float32)
    verdict = sp.verify(lambda x: x * mask, (8, 8, 1)).equivariance
    assert counts(verdict) == (8, 56, 0)
    assert str(verdict.lattice) == "⟨(1, 1)⟩"
    assert verdict.lattice.basis == ((1, 1), (0, 8))


@pytest.mark.slow
def test_grids_of_one_and_three_axes_and_other_layouts() -> None:
    line = nnx.Conv(1, 2, (3,), strides=2, padding="CIRCULAR", rngs=nnx.Rngs(0))
    assert counts(sp.verify(line, (8, 1)).equivariance) == (4, 4, 0)
    cube = nnx.Conv(1, 2, (2, 2, 2), padding="CIRCULAR", rngs=nnx.Rngs(0))
    assert counts(sp.verify(cube, (2, 4, 2, 1)).equivariance) == (16, 0, 0)

    def first_channels(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    verdict = sp.verify(first_channels, (3, 4, 8), spatial_axes=(1, 2)).equivariance
    assert counts(verdict) == (8, 24, 0)


@pytest.mark.slow
def test_every_output_leaf_has_its_verdict() -> None:
    def model(x):
        return {
            "map": x * 2,
            "pooled": sp.layers.max_pool(x, 2, 2),
            "max": x.max((1, 2)),
        }

    verdict = sp.verify(model, (8, 8, 1))
    found = {o.name: o for o in verdict.outputs}
    assert counts(found["output.map"].equivariance) == (64, 0, 0)
    assert counts(found["output.pooled"].equivariance) == (16, 48, 0)
    assert found["output.max"].equivariance is None
    assert counts(found["output.max"].invariance) == (64, 0, 0)


@pytest.mark.slow
def test_linen_models_with_statistics() -> None:
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x, train):
            x = linen.Conv(3, (3, 3), padding="CIRCULAR")(x)
            x = linen.BatchNorm(use_running_average=not train)(x)
            return linen.relu(x).mean((1, 2))

    module = Net()
    variables = module.init(jax.random.key(0), jnp.ones((1, 8, 8, 1)), train=False)
    verdict = sp.verify((module, variables), (8, 8, 1), apply_kwargs={"train": False})
    assert counts(verdict.invariance) == (64, 0, 0)
    assert verdict.weights == "all"


# --- flaws that hide: each must be refuted by a counterexample that shows it ---


def one_pixel(x):
    return x * jnp.ones((8, 8, 1)).at[3, 5].set(2)


def last_row(x):
    return x * jnp.ones((8, 1, 1)).at[-1].set(3)


def one_channel(x):
    return jnp.concatenate(
        [x[..., :3], jnp.roll(x[..., 3:], 1, 1) * jnp.ones((8, 1, 1)).at[0].set(0)], -1
    )


def one_tap(x):
    wrapped = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), mode="wrap")
    taps = [wrapped[:, i : i + 8] for i in range(3)]
    return taps[0] + 2 * taps[1] + 3 * taps[2] * jnp.ones((8, 1, 1)).at[4].set(0)


def slice_off_by_one(x):
    wrapped = jnp.concatenate([x[:, -2:-1], x, x[:, :1]], 1)
    return nnx.max_pool(wrapped, (3, 1), (1, 1), "VALID")


def odd_sizes(x):
    return nnx.max_pool(x, (2, 2), (2, 2))


FLAWS = {
    "one pixel": (one_pixel, (8, 8, 1), (0, 3, 5, 0)),
    "last row": (last_row, (8, 8, 1), (0, 7, None, 0)),
    "channel 3": (one_channel, (8, 8, 4), (0, 0, None, 3)),
    "one tap": (one_tap, (8, 8, 1), (0, 4, None, 0)),
    "wrapped slice": (slice_off_by_one, (8, 8, 1), (0, 0, None, 0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAWS)
def test_a_hidden_flaw_is_refuted_where_it_sits(name) -> None:
    model, shape, flaw = FLAWS[name]
    verdict = sp.verify(model, shape).equivariance
    assert verdict.undecided == 0
    vertical = [w for w in verdict.witnesses if w.shift[0] and not w.shift[1]]
    assert vertical
    for witness in vertical:
        still, moved = witness.outputs
        differs = np.roll(still, witness.shift, (1, 2)) != moved
        assert differs.any()
        # the same shift of the output differs at the flaw, or where the flaw was moved to
        places = np.argwhere(differs)
        here = [tuple(p) for p in places]
        near = {
            tuple((f if f is not None else p[a]) for a, f in enumerate(flaw)) for p in places
        } | {
            tuple(
                ((f + (witness.shift[0] if a == 1 else 0)) % 8 if f is not None else p[a])
                for a, f in enumerate(flaw)
            )
            for p in places
        }
        assert near & set(here)


@pytest.mark.slow
def test_only_odd_sizes_break_a_pool() -> None:
    assert counts(sp.verify(odd_sizes, (8, 8, 1)).equivariance) == (16, 48, 0)
    assert counts(sp.verify(odd_sizes, (7, 7, 1)).equivariance) == (1, 48, 0)


# --- what cannot be proved, and what must not be believed ---


def polyphase(x):
    """Adaptive polyphase sampling: of the two phases, the one of larger norm; ties go to the first."""
    phases = jnp.stack([x[:, ::2], x[:, 1::2]])
    best = jnp.argmax((phases**2).sum((1, 2, 3)))
    return jax.lax.dynamic_index_in_dim(phases, best, 0, keepdims=False).sum(1)


@pytest.mark.slow
def test_polyphase_sampling_is_no_proof_and_the_tie_refutes_it() -> None:
    verdict = sp.verify(polyphase, (4, 1)).invariance
    assert list(verdict.map == Word.PROVED) == [True, False, True, False]
    tie = np.asarray([5.0, 3.0, 0.0, 4.0]).reshape(1, 4, 1)
    given = sp.verify(polyphase, tie).invariance
    assert counts(given) == (2, 2, 0)
    assert sorted(float(polyphase(np.roll(tie, k, 1))[0, 0]) for k in range(4)) == [5, 5, 7, 7]


@pytest.mark.slow
def test_what_is_neither_is_undecided_with_a_reason() -> None:
    # the choice is always the same, but no rule knows that a sum of squares is not negative
    undecided = sp.verify(lambda x: jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1), (4, 1))
    found = undecided.equivariance
    assert counts(found) == (1, 0, 3)
    assert undecided.word is Word.REFUTED  # invariance fails
    text = found.evidence((1,)).text
    assert "cumsum" in text
    assert "test_verify.py" in text
    assert "in the field the outputs differ, which refutes nothing" in text
    assert "images were tried under this shift" in text


@pytest.mark.slow
def test_a_reason_names_what_the_field_does_not_look_inside_once() -> None:
    matrix = np.eye(6, dtype=np.float32) * 3
    solved = sp.verify(lambda x: jnp.linalg.solve(matrix, x[..., 0].T).T, (6, 1), output_axes=(1,))
    reason = solved.equivariance.reason((1,))
    assert reason.count("linear algebra sees rows and columns in their order") == 1
    assert "the field does not look inside it either" in reason


@pytest.mark.slow
def test_a_program_that_the_field_refuses_is_left_to_the_kernel() -> None:
    """An image less itself is 0, where a logarithm is infinite; the program goes on with numbers."""
    refused = sp.verify(
        lambda x: (jnp.exp(jnp.log(x - x)) + x).reshape(1, 4, 2).mean(2).mean(1), (8, 1)
    )
    found = refused.invariance
    assert counts(found) == (4, 0, 4)
    assert "the field cannot run the program: a function is infinite or NaN at 0" in found.reason(
        (1,)
    )


class Dead(nnx.Module):
    """A zero-initialised head: with these weights nothing moves, the architecture does."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 2, (3, 3), strides=2, padding="CIRCULAR", rngs=rngs)
        self.head = nnx.Linear(2, 3, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.conv(x)).mean((1, 2)))


@pytest.mark.slow
def test_a_dead_model_is_told_and_both_verdicts_are_given() -> None:
    with pytest.warns(VacuousWarning, match="hardly answers to the image"):
        verdict = sp.verify(Dead(), (8, 8, 1))
    assert counts(verdict.invariance) == (16, 48, 0)
    assert verdict.outputs[0].vacuous
    assert verdict.these is not None
    assert verdict.these.weights == "these"
    assert verdict.these.invariance.refuted == 0


@pytest.mark.slow
def test_a_proof_that_the_program_contradicts_stops_everything(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "shiftproof.proving.analysis.Prover.output_shift",
        lambda self, claim, shift: shift[: len(claim.axes)],
    )
    with pytest.raises(ContradictionError, match="proved by the kernel, and denied by the field"):
        sp.verify(conv(padding="SAME"), (4, 4, 1))
    monkeypatch.setattr("shiftproof.proving.identity.Identities.denies", lambda *_: False)
    with pytest.raises(
        ContradictionError, match=r"is proved, but .*file shiftproof-contradiction-"
    ):
        sp.verify(conv(padding="SAME"), (4, 4, 1))
    (report,) = tmp_path.glob("shiftproof-contradiction-*.json")  # of one program, written anew
    data = json.loads(report.read_text())
    assert data["deviation"] > 0
    assert data["graph"]["nodes"]
    assert data["provenance"]["jax"]


@pytest.mark.slow
def test_a_proof_that_a_broken_program_has_too_is_vacuous() -> None:
    with pytest.warns(VacuousWarning):
        constant = sp.verify(lambda x: jnp.zeros((x.shape[0], 3)), (4, 4, 1))
    assert counts(constant.invariance) == (16, 0, 0)
    assert constant.invariance.vacuous
    assert any("says nothing about it" in note for note in constant.notes)
    real = sp.verify(zoo.build("lenet-global"), (28, 28, 1)).invariance
    assert not real.vacuous
    assert real.proved == 49


@pytest.mark.slow
def test_several_inputs_share_the_shift_and_others_are_held() -> None:
    first, second = conv(channels=1), conv(channels=1, strides=1, kernel=(2, 2))

    def pair(x, gain):
        left, right = x[..., :1], x[..., 1:]
        return nnx.relu(first(left)) * second(right) * gain

    held = jnp.asarray([2.0, 3.0])
    verdict = sp.verify(pair, (8, 8, 2), apply_kwargs={"gain": held}).equivariance
    assert counts(verdict) == (64, 0, 0)
    tied = jnp.arange(64.0).reshape(8, 8, 1)
    verdict = sp.verify(pair, (8, 8, 2), apply_kwargs={"gain": tied}).equivariance
    assert counts(verdict) == (1, 63, 0)


@pytest.mark.slow
def test_probes_outside_the_domain_of_a_model_say_nothing() -> None:
    verdict = sp.verify(lambda x: jnp.sqrt(nnx.max_pool(x, (2, 2), (2, 2))), (8, 8, 1))
    assert counts(verdict.equivariance) == (16, 48, 0)
    assert counts(verdict.invariance) == (1, 63, 0)


@pytest.mark.slow
def test_rounding_is_no_contradiction_and_no_refutation() -> None:
    def model(x):
        return jax.nn.softmax(x.reshape(x.shape[0], -1)).reshape(x.shape)

    verdict = sp.verify(model, (8, 8, 1))
    assert counts(verdict.equivariance) == (64, 0, 0)
    assert all(w.evidence == "enclosed" for w in verdict.witnesses)
    assert all(w.difference.deviation >= w.gap > 0 for w in verdict.witnesses)


# --- the question ---


@pytest.mark.slow
def test_the_schema_is_stable() -> None:
    data = sp.verify(zoo.build("lenet-global"), (28, 28, 1)).to_dict()
    assert data["schema"] == "shiftproof.verdict/1"
    assert (data["grid"], data["boundary"], data["weights"]) == ([28, 28], "torus", "all")
    (output,) = data["outputs"]
    assert output["equivariance"] is None
    wanted = {"lattice": [[4, 0], [0, 4]], "proved": 49, "refuted": 735, "undecided": 0}
    assert {key: output["invariance"][key] for key in wanted} == wanted
    evidence = output["invariance"]["evidence"]
    assert (evidence["certified"], evidence["by_identity"], evidence["identity"]) == (49, 0, None)
    assert {proof["by"] for proof in evidence["proofs"]} == {"kernel"}
    flat = sp.verify(zoo.build("dense"), (8, 8, 2)).to_dict()
    assert flat["outputs"][0]["invariance"]["lattice"] == [[8, 0], [0, 8]]
    json.dumps(data)


@pytest.mark.slow
def test_layers_and_causes_name_the_line_and_the_repair() -> None:
    verdict = sp.verify(zoo.build("lenet-global"), (28, 28, 1))
    lattices = {layer.name: layer.lattice for layer in verdict.layers}
    assert lattices["conv1"] == "all shifts"
    assert lattices["max_pool"] == "2Z × 2Z"
    assert lattices["max_pool_2"] == "4Z × 4Z"
    assert {(c.layer, c.before, c.after) for c in verdict.causes} == {
        ("max_pool", 1, 2),
        ("max_pool_2", 2, 4),
    }
    assert all(c.source.startswith("networks.py:") for c in verdict.causes)
    padded = sp.verify(zoo.build("lenet-global-same"), (28, 28, 1))
    assert padded.causes[0].words == "zero padding of the convolution"
    assert padded.causes[0].repair == 'use padding="CIRCULAR"'
    odd = sp.verify(conv(strides=2), (7, 7, 1))
    assert "pad to the size 8" in odd.causes[0].repair
    flat = sp.verify(zoo.build("dense"), (8, 8, 2))
    assert flat.causes[0].words.startswith("the dense layer has weights of its own for every place")
    assert flat.causes[0].repair == "pool globally before it"
    halved = sp.verify(lambda x: jnp.fft.fft(x, axis=1).real, (8, 1))
    assert "or take magnitudes" in halved.causes[0].repair


@pytest.mark.slow
def test_asking_for_less() -> None:
    pool = wrap_pool_model
    assert sp.verify(pool, (8, 8, 1), property="equivariance").word is Word.REFUTED
    some = sp.verify(pool, (8, 8, 1), property="equivariance", shifts=[("2Z", "2Z")])
    assert some.word is Word.PROVED
    assert some.outputs[0].invariance is None
    with pytest.raises(InputError, match="no verdict on invariance"):
        some.invariance  # noqa: B018
    with pytest.raises(InputError, match="no output has a grid"):
        sp.verify(lambda x: x.max((1, 2)), (4, 4, 1), property="equivariance")
    with pytest.raises(InputError, match="has 2 steps"):
        sp.verify(pool, (8, 8, 1), shifts=[(1,)])
    with pytest.raises(InputError, match="is no shift"):
        shifts_of(["four,0"])
    with pytest.raises(InputError, match="law must be one of any, same"):
        sp.verify(pool, (8, 8, 1), law="stride")  # type: ignore[arg-type]


def wrap_pool_model(x):
    return nnx.max_pool(x, (2, 2), (2, 2))


@pytest.mark.slow
def test_the_users_model_is_not_changed_and_its_errors_are_told() -> None:
    model = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
    before = jax.tree_util.tree_map(np.asarray, nnx.state(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sp.verify(model, (4, 4, 1))
    after = nnx.state(model)
    jax.tree_util.tree_map(np.testing.assert_array_equal, before, after)
    generator = np.random.default_rng(0)
    with pytest.raises(sp.errors.NonDeterministicError, match="two traces of it differ"):
        sp.verify(lambda x: x * generator.normal(), (4, 4, 1))
    with pytest.raises(sp.errors.NonFiniteError, match="NaN or infinity in output"):
        sp.verify(lambda x: jnp.log(x - 1e9), (4, 4, 1))
    with pytest.raises(sp.errors.ModelCallError, match="cannot be called on images"):
        sp.verify(conv(channels=3), (4, 4, 1))


@pytest.mark.slow
def test_a_program_that_computes_in_float32_on_the_way_is_judged_by_its_rounding() -> None:
    # attention scores are float32 even in float64; on 3x3 tokens their rounding is not symmetric
    rngs = nnx.Rngs(0)
    vit = zoo.ViT(size=12, patch=4, width=8, depth=1, heads=2, positions=False, rngs=rngs)
    vit.eval()
    assert counts(sp.verify(vit, (12, 12, 3)).invariance) == (9, 135, 0)
    images = np.random.default_rng(0).normal(size=(1, 12, 12, 3))
    swept = sp.sweep(vit, images, dtype="float64", layers=[])
    assert swept.count("invariance").equal == 9


@pytest.mark.slow
def test_products_and_functions_among_moves_and_extrema_round() -> None:
    """A product over an axis, and what scatters write, is disturbed, and may leave the range of floats."""
    small = np.full((1, 4, 1), 1e-200)
    rounding = {
        "product": (lambda x: jnp.prod(x, 1), True, True),
        "multiplied": (lambda x: x.at[:, 0].multiply(x[:, 1]), True, True),
        "applied": (lambda x: x.at[:, 0].apply(jnp.exp), True, False),
        "greatest": (lambda x: x.at[:, 0].max(x[:, 1]), False, False),
        "set": (lambda x: x.at[:, 0].set(x[:, 1]), False, False),
    }
    broken = np.linspace(1.1, 2.3, 4).reshape(1, 4, 1)
    for name, (fn, rounds, vanishes) in rounding.items():
        trial = make_trial(adapt(fn), small, draw="these", seed=0, dtype="float64")
        # moves are exact, whatever the image
        trial = dataclasses.replace(
            trial, exactness=(dataclasses.replace(trial.exactness[0], exact=False),)
        )
        assert trial.disturbed(small, 1)[1].tolist() == [vanishes], name
        (still,), (shaken,) = trial.outputs(broken), trial.disturbed(broken, 1)[0]
        assert np.array_equal(still, shaken) != rounds, name


@pytest.mark.slow
def test_programs_that_call_back_do_not_share_an_executable() -> None:
    def calling_back(factor):
        def model(x):
            return jax.pure_callback(
                lambda v: np.asarray(v) * np.float32(factor),
                jax.ShapeDtypeStruct(x.shape, x.dtype),
                x,
                vmap_method="sequential",
            )

        return model

    image = np.ones((1, 4, 4, 1))
    trials = [
        make_trial(sp.adapt(calling_back(factor)), image, draw="these", dtype="float32")
        for factor in (2, 3)
    ]
    assert trials[0].program.fingerprint == trials[1].program.fingerprint
    assert [float(trial.outputs(image)[0].max()) for trial in trials] == [2, 3]


@pytest.mark.slow
def test_layers_have_receptive_fields_and_jumps() -> None:
    def model(x):
        x = nnx.max_pool(x, (3, 1), (2, 1), padding="VALID")
        x = nnx.max_pool(x, (2, 2), (2, 2))
        return {"map": x, "mean": x.mean((1, 2))}

    verdict = sp.verify(model, (13, 8, 1))
    layers = {layer["name"]: layer for layer in verdict.to_dict()["layers"]}
    found = [(x["receptive_field"], x["jump"]) for x in layers.values()]
    assert found[0] == ([3, 1], ["2", "1"])
    assert layers["output.map"]["receptive_field"] == [5, 2]
    assert layers["output.map"]["jump"] == ["4", "2"]
    assert layers["output.mean"]["receptive_field"] == [None, None]
    assert layers["output.mean"]["jump"] == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "asks"),
    [
        (lambda x: jnp.isnan(0 / x), True),
        (lambda x: jnp.isfinite(jnp.log(x)), True),
        (lambda x: x != 2 * x, False),
    ],
)
def test_a_note_says_where_a_program_asks_whether_something_is_a_number(model, asks) -> None:
    notes = sp.verify(model, (4, 1)).notes
    assert any("asks whether something is a number" in note for note in notes) == asks


def _conv(**options):
    return nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0), **options)


NAMED = {
    "zero padding of the convolution": _conv,
    "stride 2 of the convolution keeps one shift in 2": lambda: _conv(
        strides=2, padding="CIRCULAR"
    ),
    "stride 2 of the max pool keeps one shift in 2": lambda: (
        lambda x: nnx.max_pool(x, (2, 2), (2, 2))
    ),
    "zero padding of the average or sum pool": lambda: (
        lambda x: nnx.avg_pool(x, (3, 3), padding="SAME")
    ),
    "the max pool has no padding (VALID): 7 of 8 cells are left": lambda: (
        lambda x: nnx.max_pool(x, (2, 2))
    ),
    "the convolution has no padding (VALID): 6 of 8 cells are left": lambda: (
        lambda x: _conv(padding="VALID")(x).mean((1, 2))
    ),
    "the convolution leaves 10 cells of a border padded by hand, where 8 go around": lambda: (
        lambda x: _conv(padding="VALID")(jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="wrap"))
    ),
    "sort takes a part of the image, not all of a row or column": lambda: (
        lambda x: jnp.sort(x[:, ::3], axis=1)
    ),
    "a mask that knows places": lambda: lambda x: jnp.where(np.tri(8)[..., None] > 0, x, 0),
    "cumsum depends on the order of the cells": lambda: lambda x: jnp.cumsum(x, 1),
    "borders joined to cells": lambda: (
        lambda x: jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    ),
    "a cut into blocks of 2, such as patches": lambda: (
        lambda x: x.reshape(-1, 4, 2, 4, 2).mean((2, 4))[..., None]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("words", NAMED)
def test_causes_name_the_thing_as_a_user_would(words) -> None:
    """F7 and H1: zero padding, VALID, stride, dense layer, sort, mask; never axes and periods."""
    first = sp.verify(NAMED[words](), (8, 8, 1), search_seconds=2).causes[0]
    assert first.words.startswith(words)
    assert "axis" not in first.words + first.repair
    assert first.layer != "pad" or first.code == "glue"


@pytest.mark.slow
def test_nothing_of_a_verdict_is_kept_when_it_is_dropped() -> None:
    """What a refusal came through held the probes, the weights and the field: gigabytes of a large image."""
    model = nnx.Conv(1, 1, (3, 3), strides=2, rngs=nnx.Rngs(0))
    sp.verify(model, (8, 8, 1))
    gc.collect()
    before = sum(isinstance(each, (Bench, Identities)) for each in gc.get_objects())
    gc.disable()
    try:
        sp.verify(model, (8, 8, 1))
        after = sum(isinstance(each, (Bench, Identities)) for each in gc.get_objects())
    finally:
        gc.enable()
    assert after == before
