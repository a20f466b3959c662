"""Assertions: they pass, they fail for the right reason, and what they print can be acted on."""

import inspect
import re
import unittest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest
from flax import linen, nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.assertions import Options
from shiftproof.errors import InputError, ModelCallError, UndecidedError
from shiftproof.messages import draw_image


def pool(x):
    return nnx.max_pool(x, (2, 2), (2, 2))


def unknowable(x):
    return jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1)


def message(call, *arguments, kind=AssertionError, **options) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    lines = text.splitlines()
    assert max(len(line) for line in lines if not line.endswith(".npz")) <= 72
    assert len(lines) < 24
    return text


def words(text: str) -> str:
    """A message without its line breaks."""
    return " ".join(text.split())


@pytest.mark.slow
def test_what_holds_passes() -> None:
    sp.assert_equivariant(pool, (8, 8, 1), stride=2)
    sp.assert_equivariant(pool, (8, 8, 1), shifts=[(2, 0), (4, 6)])
    sp.assert_equivariant(zoo.build("conv3x3"), (8, 8, 2), law="same")
    sp.assert_invariant(zoo.build("lenet-global"), (28, 28, 1), stride=(4, 4))
    sp.assert_breaks(pool, (8, 8, 1), property="equivariance", shifts=[(1, 0), (1, 1)])
    sp.assert_breaks(zoo.build("dense"), (8, 8, 2))
    sp.assert_lattice(pool, (8, 8, 1), "2Z x 2Z", property="equivariance")
    sp.assert_lattice(zoo.build("dense"), (8, 8, 2), "8Z x 8Z")


@pytest.mark.slow
def test_a_refuted_property_says_all_that_is_needed() -> None:
    text = message(sp.assert_invariant, zoo.build("lenet-global"), (28, 28, 1), stride=2)
    said = words(text)
    assert "invariance of output is refuted under 147 of 196 shifts asked" in said
    assert "fails for all with dy no multiple of 4 or dx no multiple of 4" in said
    assert re.search(r"smallest \(dy=0, dx=2\): the outputs differ by \d+ \(exactly, with", said)
    because = "because stride 2 of the max pool keeps one shift in 2: max_pool_2 (networks.py:"
    assert because in said
    assert "to do use stride 1" in said
    assert "replay shiftproof replay --target YOUR_FILE.py:FACTORY" in said
    drawn = [
        line.strip() for line in text.splitlines() if set(line.strip()) <= set(". 0123456789+")
    ]
    assert any(any(c.isdigit() for c in line) for line in drawn)


@pytest.mark.slow
def test_the_counterexample_of_a_message_replays(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = zoo.build("conv3x3-same")
    text = message(sp.assert_equivariant, model, (8, 8, 2))
    example = sp.load_counterexample(text.splitlines()[-1].strip())
    assert sp.replay(example, sp.adapt(model)).reproduced
    # of the shift that the message names, not of a multiple of it
    assert example.header.shift == (0, 1)


class Tokens(nnx.Module):
    """Patches, a table of positions, a mean."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.patch = nnx.Conv(1, 4, (2, 2), strides=2, padding="VALID", rngs=rngs)
        self.table = nnx.Param(jnp.arange(16.0).reshape(4, 4, 1))

    def __call__(self, x):
        return nnx.relu(self.patch(x) + self.table[...]).mean((1, 2))


@pytest.mark.slow
def test_the_cause_named_is_that_of_the_shifts_asked() -> None:
    said = words(message(sp.assert_invariant, Tokens(), (8, 8, 1), stride=2))
    assert "numbers of its own for every place (add): a position table" in said
    assert re.search(r"repair .* at test_assertions.py:\d+: proved under \d+ of 64 shifts", said)
    assert "keeps one shift in 2: patch (" in words(
        message(sp.assert_invariant, Tokens(), (8, 8, 1))
    )


@pytest.mark.slow
def test_undecided_is_no_failure_of_the_model() -> None:
    text = message(sp.assert_equivariant, unknowable, (4, 1), kind=UndecidedError)
    said = words(text)
    assert "is undecided under 3 of 4 shifts asked" in said
    assert "cumsum at test_assertions.py:" in said
    assert 'accept what was only seen: evidence="sweep"' in said
    sp.assert_equivariant(unknowable, (4, 1), evidence="sweep")
    message(sp.assert_breaks, unknowable, (4, 1), property="equivariance", kind=UndecidedError)


def averaged(x):
    """Invariant under every shift: of 64 the kernel certifies the 16 even ones, the others are identities."""
    return nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2))


def half(x):
    """Invariant along the first axis, of which the kernel certifies the even shifts."""
    return nnx.relu(nnx.avg_pool(x, (2, 2), (2, 2)).mean(1))[:, 0]


@pytest.mark.slow
def test_certificates_can_be_asked_for() -> None:
    shape = (8, 8, 1)
    sp.assert_invariant(averaged, shape)
    sp.assert_lattice(averaged, shape, "Z x Z")
    sp.assert_invariant(averaged, shape, stride=2, evidence="certificate")
    text = message(
        sp.assert_invariant, averaged, shape, evidence="certificate", kind=UndecidedError
    )
    said = words(text)
    assert re.search(r"an identity in the field, error < 2\^-1\d\d, but not certified", said)
    assert "under 48 of 64 shifts asked" in said
    assert "certified 16 of 64 shifts asked" in said
    assert "smallest (dy=0, dx=1): an identity in the field, error < 2^-1" in said
    assert 'to do accept identities: evidence="proof"' in said
    message(
        sp.assert_lattice, averaged, shape, "Z x Z", evidence="certificate", kind=UndecidedError
    )
    # a scene is proved by certificates anyway
    same = nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))
    sp.assert_equivariant(same, shape, boundary="scene", evidence="certificate")


@pytest.mark.slow
def test_what_is_refuted_by_way_of_an_identity_is_not_certified() -> None:
    sp.assert_breaks(half, (8, 8, 1), shifts=[(0, 1), (1, 1), (1, 3)])
    sp.assert_breaks(half, (8, 8, 1), shifts=[(0, 1), (2, 1)], evidence="certificate")
    # (1, 4) is the shift of the counterexample, (0, 4), and (1, 0), of which there is no certificate
    sp.assert_breaks(half, (8, 8, 1), shifts=[(1, 4)])
    options = {"shifts": [(1, 4)], "evidence": "certificate", "kind": UndecidedError}
    said = words(message(sp.assert_breaks, half, (8, 8, 1), **options))
    assert "under 1 of 1 shifts asked" in said
    assert "(by identity)" in said


def test_the_message_says_which_evidence_it_was() -> None:
    text = message(sp.assert_breaks, averaged, (8, 8, 1), shifts=[(1, 0)])
    assert "smallest (dy=1, dx=0): an identity in the field, error < 2^-1" in words(text)


@pytest.mark.slow
def test_what_should_break_and_does_not_is_told() -> None:
    text = message(sp.assert_breaks, lambda x: x.max((1, 2)), (8, 8, 1))
    assert "was to break, but it is proved under 63 of 63 shifts asked" in words(text)
    assert "smallest (dy=0, dx=1): derived by the kernel" in words(text)


@pytest.mark.slow
def test_a_lattice_must_be_met_exactly() -> None:
    text = message(sp.assert_lattice, pool, (8, 8, 1), "Z x 2Z", property="equivariance")
    assert "holds on 2Z × 2Z (16 of 64 shifts), expected Z x 2Z (32)" in words(text)
    assert "smallest (dy=1, dx=0)" in words(text)
    text = message(sp.assert_lattice, pool, (8, 8, 1), "4Z x 4Z", property="equivariance")
    assert "holds for all with dy even and dx even" in words(text)
    with pytest.raises(InputError, match=r"has 1 axes, the grid.* such as '4Z x 4Z'"):
        sp.assert_lattice(pool, (8, 8, 1), "2Z")


@pytest.mark.slow
def test_sweeps_are_evidence_where_they_are_asked_for() -> None:
    text = message(sp.assert_equivariant, pool, (8, 8, 1), evidence="sweep")
    said = words(text)
    assert "was swept (torus) and fails under 48 of 64 shifts asked" in said
    assert "fails for all with dy odd or dx odd" in said
    assert "breaks at max_pool (test_assertions.py:" in said
    conv = nnx.Conv(1, 1, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    scene = np.random.default_rng(0).integers(0, 9, (1, 12, 12, 1)).astype(np.float32)
    sp.assert_equivariant(conv, scene, evidence="sweep", boundary="scene", grid=(8, 8))
    same = nnx.Conv(1, 1, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    text = message(
        sp.assert_equivariant, same, scene, evidence="sweep", boundary="scene", grid=(8, 8)
    )
    assert "was swept (scene) and fails" in words(text)
    with pytest.raises(InputError, match="shifts= belongs to the torus"):
        sp.assert_equivariant(
            conv, scene, evidence="sweep", boundary="scene", grid=(8, 8), shifts=[(1, 0)]
        )
    with pytest.raises(InputError, match="can be swept only"):
        sp.assert_invariant(conv, scene, boundary="scene")
    with pytest.raises(InputError, match="evidence must be one of"):
        sp.assert_equivariant(conv, scene, evidence="hope")  # type: ignore[arg-type]


@pytest.mark.slow
def test_breaks_and_lattices_may_be_swept_too() -> None:
    asked = {"property": "equivariance", "evidence": "sweep"}
    sp.assert_breaks(pool, (8, 8, 1), shifts=[(1, 0), (0, 3)], **asked)
    sp.assert_lattice(pool, (8, 8, 1), "2Z x 2Z", **asked)
    sp.assert_breaks(conv(padding="SAME"), (6, 6, 1), boundary="background", evidence="sweep")
    said = words(message(sp.assert_breaks, pool, (8, 8, 1), shifts=[(2, 0), (1, 0)], **asked))
    assert "was to break, but was seen to hold under 1 of 2 shifts asked" in said
    assert "holds for all with dy even and dx even smallest (dy=2, dx=0)" in said
    said = words(message(sp.assert_lattice, pool, (8, 8, 1), "4Z x 4Z", **asked))
    assert "was seen to hold under 12 of 60 shifts asked" in said
    assert "fails under" in words(message(sp.assert_lattice, pool, (8, 8, 1), "Z x Z", **asked))
    with pytest.raises(InputError, match="a lattice belongs to the torus"):
        sp.assert_lattice(pool, (8, 8, 1), "Z x Z", boundary="background", **asked)
    with pytest.raises(InputError, match="can be swept only"):
        sp.assert_breaks(pool, (8, 8, 1), boundary="background")


@pytest.mark.slow
def test_scenes_are_proved_where_the_border_does_not_reach() -> None:
    same = nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))
    sp.assert_equivariant(same, (8, 8, 1), boundary="scene", law="same")
    strided = nnx.Conv(1, 1, (3, 3), strides=2, rngs=nnx.Rngs(0))
    sp.assert_equivariant(strided, (9, 9, 1), boundary="scene", stride=2)
    sp.assert_equivariant(strided, (9, 9, 1), boundary="scene", shifts=[(4, 0), (0, 2)])
    said = words(message(sp.assert_equivariant, strided, (9, 9, 1), boundary="scene"))
    assert "equivariance of output on a scene is refuted" in said
    assert "asked steps of 1 x 1 pixels" in said
    assert "cells move, in steps of 2 x 2 pixels" in said
    assert "refuted shifts by (0, 1), (1, 0), (1, 1), by a counterexample" in said
    options = {"boundary": "scene", "stride": 2, "law": "same", "kind": UndecidedError}
    message(sp.assert_equivariant, strided, (9, 9, 1), **options)
    deep = nnx.Sequential(*(nnx.Conv(1, 1, (5, 5), rngs=nnx.Rngs(i)) for i in range(2)))
    said = words(message(sp.assert_equivariant, deep, (8, 8, 1), boundary="scene"))
    assert "because the interior vanishes at layers" in said
    assert "to do larger images, or less padding" in said
    with pytest.raises(InputError, match="no output has a grid"):
        sp.assert_equivariant(lambda x: x.max((1, 2)), (8, 8, 1), boundary="scene")
    with pytest.raises(InputError, match="names no shift"):
        sp.assert_equivariant(same, (8, 8, 1), boundary="scene", shifts=[])
    with pytest.raises(InputError, match="has 2 steps"):
        sp.assert_equivariant(same, (8, 8, 1), boundary="scene", shifts=[(4,)])
    sp.assert_equivariant(same, (8, 8, 1), boundary="scene", shifts=[(5, 0), (0, -5)])
    for shift in ((6, 0), (0, -100)):
        with pytest.raises(
            InputError, match=r"moves every cell out of the interior of output, 1\.\.6"
        ):
            sp.assert_equivariant(same, (8, 8, 1), boundary="scene", shifts=[shift])


@pytest.mark.slow
def test_objects_on_a_background_are_proved_place_by_place() -> None:
    same = nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))
    sp.assert_equivariant(same, (8, 8, 1), boundary="background")
    sp.assert_equivariant(same, (8, 8, 1), boundary="background", object=(3, 3))
    mean = nnx.Sequential(same, lambda x: x.mean((1, 2)))
    said = words(message(sp.assert_invariant, mean, (8, 8, 1), boundary="background"))
    assert "invariance of output on a background is refuted" in said
    assert "holds at 25 of 49 places refuted at 24, by integer objects breaks at" in said
    with pytest.raises(InputError, match="does not fit"):
        sp.assert_equivariant(same, (8, 8, 1), boundary="background", object=(9, 9))
    with pytest.raises(InputError, match="no output has a verdict on equivariance"):
        sp.assert_equivariant(mean, (8, 8, 1), boundary="background")


@pytest.mark.slow
def test_words_of_the_user_come_first() -> None:
    text = message(sp.assert_invariant, pool, (8, 8, 1), custom_message="the backbone")
    assert text.startswith("the backbone\ninvariance of output")
    text = message(
        sp.assert_invariant,
        pool,
        (8, 8, 1),
        custom_message="only this",
        include_default_message=False,
    )
    assert text == "only this"
    message(sp.assert_invariant, pool, (8, 8, 1), exception_type=RuntimeError, kind=RuntimeError)
    with pytest.raises(InputError, match="exclude each other"):
        sp.assert_invariant(pool, (8, 8, 1), stride=2, shifts=[(1, 0)])
    with pytest.raises(InputError, match="is no stride of the grid"):
        sp.assert_invariant(pool, (8, 8, 1), stride=0)
    with pytest.raises(InputError, match="no output has a grid"):
        sp.assert_equivariant(lambda x: x.max((1, 2)), (8, 8, 1))


def conv(size=3, **options):
    return nnx.Conv(1, 2, (size, size), **options, rngs=nnx.Rngs(0))


def flattened():
    layers = nnx.Sequential(conv(padding="CIRCULAR"), nnx.relu)
    head = nnx.Linear(128, 3, rngs=nnx.Rngs(1))
    return lambda x: head(layers(x).reshape(x.shape[0], -1))


def reflected():
    valid = conv(padding="VALID")
    return lambda x: valid(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"))


class Linen(linen.Module):
    """A convolution, dropout, a mean."""

    @linen.compact
    def __call__(self, x, train=True):
        x = linen.Conv(2, (3, 3), padding="CIRCULAR")(x)
        return linen.Dropout(0.5, deterministic=not train)(x).mean((1, 2))


def with_variables(module):
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return module, module.init(keys, jnp.zeros((1, 8, 8, 1)), train=False)


BROKEN = {
    "SAME": (
        lambda: conv(),
        (8, 8, 1),
        "zero padding of the convolution: conv to do use padding=",
    ),
    "a stride": (
        lambda: conv(strides=2, padding="CIRCULAR"),
        (8, 8, 1),
        "stride 2 of the convolution keeps one",
    ),
    "an odd size": (
        lambda: conv(strides=2, padding="CIRCULAR"),
        (7, 7, 1),
        "stride 2 of the convolution does not divide the size 7: conv to do pad to the size 8",
    ),
    "a flattened head": (
        flattened,
        (8, 8, 1),
        "because the dense layer has weights of its own for every p",
    ),
    "reflected borders": (reflected, (8, 8, 1), ": pad (test_assertions.py:"),
    "an even kernel": (lambda: conv(2), (8, 8, 1), "zero padding of the convolution"),
    "an average that counts padding": (
        lambda: lambda x: nnx.avg_pool(x, (3, 3), padding="SAME"),
        (8, 8, 1),
        "zero padding of the average or sum pool: avg_pool",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_understood_without_a_manual(name) -> None:
    make, shape, told = BROKEN[name]
    said = words(message(sp.assert_invariant, make(), shape, shifts=[(0, 1), (1, 0), (2, 2)]))
    assert re.search(r"is refuted under [23] of 3 shifts asked", said)
    assert "smallest (dy=0, dx=1): the outputs differ by" in said
    assert told in said


@pytest.mark.slow
def test_linen_models_are_asked_as_they_are_called() -> None:
    trained = with_variables(Linen())
    sp.assert_invariant(trained, (8, 8, 1), apply_kwargs={"train": False})
    with pytest.raises(
        ModelCallError, match=r'apply_kwargs=\{"train": False\} or \{"deterministic"'
    ):
        sp.assert_invariant(trained, (8, 8, 1))
    with pytest.raises(ModelCallError, match=r"The model reads values while it runs \(\.item\(\)"):
        sp.assert_invariant(lambda x: x * x.max().item(), (8, 8, 1))


@pytest.mark.slow
def test_options_are_declared_once_and_others_are_told() -> None:
    passed = set(inspect.signature(sp.verify).parameters)
    own = {"model", "images", "property", "shifts"}
    assert passed - own <= set(Options.__annotations__)
    known = passed | set(inspect.signature(sp.sweep).parameters)
    assert set(Options.__annotations__) - known == {
        *("evidence", "cache", "custom_message", "include_default_message", "exception_type")
    }
    with pytest.raises(TypeError, match=r"takes no argument wieghts=; did you mean weights=\?"):
        sp.assert_invariant(pool, (4, 4, 1), wieghts="these")  # type: ignore[call-arg]
    with pytest.raises(
        TypeError, match=r"assert_lattice takes no argument qqq=; it takes model, images"
    ):
        sp.assert_lattice(pool, (4, 4, 1), "2Z x 2Z", qqq=1)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="probes= does not go with evidence='proof'"):
        sp.assert_equivariant(pool, (4, 4, 1), probes=2)
    with pytest.raises(InputError, match="exhaustive= does not go with evidence='sweep'"):
        sp.assert_equivariant(pool, (4, 4, 1), evidence="sweep", exhaustive=True)
    assert "is refuted" in message(sp.assert_equivariant, pool, (4, 4, 1), exhaustive=True)


class UnderAbsl(absltest.TestCase):
    """The same functions under absl."""

    def test_fails_as_an_assertion(self) -> None:
        with self.assertRaisesRegex(AssertionError, "refuted"):  # noqa: PT027 - the point of this test
            sp.assert_invariant(pool, (4, 4, 1))


class UnderUnittest(unittest.TestCase):
    """The same functions in another framework."""

    def test_fails_as_an_assertion(self) -> None:
        with self.assertRaises(AssertionError):  # noqa: PT027 - the point of this test
            sp.assert_invariant(pool, (4, 4, 1))


def test_large_images_are_cropped_around_their_content() -> None:
    image = np.zeros((60, 40, 1))
    image[50, 30] = 7
    lines = draw_image(image, (0, 1))
    assert lines[2] == ". . 7 . ."
    assert lines[-1] == "(rows from 48, columns from 28, of 60x40)"
    assert len(draw_image(np.ones((60, 40, 1)), (0, 1))) == 17
    assert draw_image(np.zeros((3, 3, 1)), (0, 1)) == [". . .", ". . .", ". . ."]
    assert draw_image(np.asarray([0.0, 12.0, -3.0])[:, None], (0,)) == [". + 3"]
