"""The faults of the first edition, each decided rightly now, and each right value found again by brute force."""

import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

import brute
import faults
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import recheck
from amounts import sampled
from brute import Case
from flax import linen, nnx
from jax import Array, lax
from jax.experimental import io_callback

import shiftproof as sp
from shiftproof import cli, zoo
from shiftproof.errors import InexactWarning, InputError, ModelCallError, ShiftproofError
from shiftproof.layers import AdaptivePolyphaseSampling
from shiftproof.report.tables import count_text

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Reports of contradictions are written to the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", faults.CASES, ids=lambda case: case.name)
def test_the_right_value_is_right(case: Case) -> None:
    brute.assert_right_value(case)


@pytest.mark.parametrize("case", sampled(faults.CASES, plain=12, slow=1))
def test_every_fault_is_decided(case: Case) -> None:
    """Its counterexamples hold in exact numbers, too."""
    answer = brute.assert_decided(case)
    if answer is not None:
        recheck.assert_true(case.name, answer)


def test_what_is_asserted_here_can_fail() -> None:
    """The brute force sees a wrong number, a wrong proof and a wrong refutation."""
    shifted = next(case for case in faults.CASES if case.name == "F1")
    wrong = Case("wrong", shifted.build, shifted.shape, "equivariance", 3)
    with pytest.raises(AssertionError):
        brute.assert_right_value(wrong)
    verdict = sp.verify(lambda x: jnp.roll(x, 1, 1), (4, 1))
    with pytest.raises(AssertionError, match="proved though false"):
        brute.assert_sound(verdict.equivariance, np.arange(4) < 3, "equivariance")
    with pytest.raises(AssertionError, match="refuted though true"):
        brute.assert_sound(verdict.invariance, np.arange(4) < 3, "invariance")


def answer(ask: Callable[[], Any], words: str) -> Any:
    """The answer; None where it was refused in these words."""
    try:
        return ask()
    except ShiftproofError as error:
        told = str(error)
    assert re.search(words, told), told
    return None


# --- A3, B6: no function of the image, or one that is written with a mutable array ---


@pytest.mark.parametrize("ask", [sp.verify, sp.sweep])
def test_a3_random_numbers_without_a_key_are_refused(ask) -> None:
    with pytest.raises(ModelCallError, match="random numbers without a key"):
        ask(lambda x: x.sum() + lax.rng_uniform(0.0, 1.0, ()), (4, 4, 1))


def test_b6_a_mutable_array_is_decided_as_written_or_refused() -> None:
    verdict = answer(lambda: sp.verify(faults.written_and_read, (4, 1)), "mutable|Ref|effect")
    if verdict is not None:
        assert (verdict.equivariance.proved, verdict.equivariance.refuted) == (4, 0)


def test_b6_a_mutable_array_is_swept_or_refused() -> None:
    sweep = answer(lambda: sp.sweep(faults.written_and_read, (4, 1)), "mutable|Ref|effect")
    if sweep is not None:
        assert sweep.count("equivariance").equal == 4


# --- D1, D3: the question is asked, or it is said why not ---

MATRIX = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32) + 6 * np.eye(6)
MATRIX = MATRIX.astype(np.float32)
UNASKED: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "real spectrum and back": (lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x[..., 0])), (6, 6, 1)),
    "complex": (lambda x: lax.complex(x, 2 * x), (6, 6, 1)),
    "solve": (lambda x: jnp.linalg.solve(MATRIX, x[..., 0].T).T, (6, 1)),
    "conjugate gradients": (
        lambda x: jax.scipy.sparse.linalg.cg(
            lambda v: 3 * v + jnp.roll(v, 1, 1) + jnp.roll(v, -1, 1), x
        )[0],
        (6, 1),
    ),
    "resize by 1.5": (lambda x: jax.image.resize(x, (1, 9, 9, 1), "linear"), (6, 6, 1)),
    "a part, twice": (lambda x: jnp.tile(x[:, ::2], (1, 2, 1)), (5, 1)),
    "adaptive pooling, 8 to 3": (
        lambda x: jnp.stack([x[:, i * 8 // 3 : -(-(i + 1) * 8 // 3)].mean(1) for i in range(3)], 1),
        (8, 1),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNASKED)
def test_d1_equivariance_is_asked_or_the_reason_is_said(name) -> None:
    fn, shape = UNASKED[name]
    verdict = sp.verify(fn, shape)
    if verdict.outputs[0].equivariance is None:
        assert any("equivariance" in note and "output_axes" in note for note in verdict.notes)


def test_d1_the_identity_by_its_spectrum_is_not_refuted() -> None:
    fn, shape = UNASKED["real spectrum and back"]
    found = sp.verify(fn, shape, output_axes=(1, 2)).equivariance
    assert found.refuted == 0


def channels_first(x: Any) -> Any:
    kernel = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    padded = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="wrap")
    return lax.conv(padded, kernel, (1, 1), "VALID")


@pytest.mark.slow
def test_d3_channels_first_without_a_word() -> None:
    said(lambda: sp.verify(channels_first, (3, 8, 8)), "channels|spatial_axes")


@pytest.mark.slow
def test_d3_a_shape_with_the_batch_in_it() -> None:
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    said(lambda: sp.verify(conv, (1, 8, 8, 1)), "batch")


def said(ask: Callable[[], Any], words: str) -> None:
    """The words are in an error, or in a note of the verdict."""
    verdict = answer(ask, words)
    if verdict is not None:
        assert re.search(words, " ".join(verdict.notes))


# --- E: geometry ---


def cells(*indices: int) -> Callable:
    return lambda x: x[:, jnp.array(indices)]


@pytest.mark.slow
@pytest.mark.parametrize("fn", [lambda x: x[:, 1:15], cells(*range(1, 15))], ids=["slice", "index"])
def test_e1_placements_behind_a_slice_and_behind_the_same_cells_by_index(fn) -> None:
    result = sp.placements(fn, (2, 1), canvas=(16,))
    assert (result.count("equivariance").equal, result.total) == (15, 15)
    assert not result.causes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "equal"),
    [
        pytest.param(lambda x: x[:, 1:7], 11, id="E2, slice"),
        pytest.param(cells(*range(1, 7)), 11, id="E2, index"),
        pytest.param(cells(0, 0, 1, 1, 2, 2, 3, 3), 7, id="E3"),
    ],
)
def test_a_scene_is_swept_at_the_step_of_the_layer(fn, equal) -> None:
    """Six cells of one pixel share a cell under 11 shifts, eight of half a pixel under 7."""
    count = sp.sweep(fn, (48, 1), boundary="scene", grid=(8,)).count("equivariance")
    assert (count.equal, count.total) == (equal, 41)


SINES = jnp.sin(jnp.arange(8.0))[:, None]


def complex_table(x: Any) -> Any:
    return lax.complex(x, 0.1 * x) * SINES


def bits_and_back(x: Any) -> Any:
    """Cannot be computed in another precision, so its rounding noise is not known."""
    bits = lax.bitcast_convert_type(0.1 * x, jnp.int32)
    return complex_table(lax.bitcast_convert_type(bits, jnp.float32))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_e7_a_complex_layer_is_judged_against_its_own_noise(dtype) -> None:
    result = sp.sweep(complex_table, (8, 1), dtype=dtype)
    assert all(layer.noise > 0 for layer in result.layers)
    counts = [str(result.count("equivariance", i)) for i in range(len(result.layers))]
    assert counts == ["8/8", "1/8"]


@pytest.mark.slow
def test_e7_a_large_deviation_is_decided_where_no_noise_is_known() -> None:
    result = sp.sweep(bits_and_back, (8, 1))
    assert np.isnan(result.layers[-1].noise)
    assert str(result.count("equivariance")) == "1/8"
    # a small one may be rounding
    near = sp.sweep(lambda x: 1e-6 * bits_and_back(x) + 9, (8, 1)).count("invariance")
    assert (near.equal, near.differs, near.unclear) == (1, 0, 7)


@pytest.mark.slow
@pytest.mark.filterwarnings("error:Casting complex")
def test_e7_complex_layers_on_a_background_and_cell_by_cell() -> None:
    placed = sp.placements(lambda x: lax.complex(x, x + 1), (2, 1), canvas=(8,))
    assert str(placed.count("equivariance")) == "7/7"
    assert str(placed.backgrounds[-1]) == "1"
    scene = sp.verify_scene(lambda x: lax.complex(x, x * SINES), (8, 1))
    region = scene.outputs[0].region
    assert region is not None
    assert (region.proved, region.refuted) == (0, 8)


@pytest.mark.slow
def test_e7_equivariance_of_scores_does_not_apply() -> None:
    def scores(x: Array) -> Array:
        return x.mean(1) @ jnp.ones((1, 3))

    result = sp.sweep(scores, (8, 1))
    assert str(result.count("equivariance")) == count_text(result, -1, property="equivariance")
    assert str(result.count("equivariance")) == "does not apply"
    assert result.plot(-1, property="equivariance").axes[0].get_title("left") == (
        "equivariance does not apply"
    )
    assert result.to_json()["layers"][-1]["equivariance"] is None
    with pytest.raises(InputError, match="does not apply"):
        sp.assert_equivariant(scores, (8, 1), evidence="sweep")


class NormThenStride(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.norm = nnx.GroupNorm(2, num_groups=1, rngs=rngs)
        self.conv = nnx.Conv(2, 2, (2, 2), strides=2, padding="VALID", rngs=rngs)

    def __call__(self, x):
        return self.conv(self.norm(x))


class Tokens(nnx.Module):
    def __init__(self):
        self.patches = nnx.Conv(1, 2, (4, 4), strides=4, padding="VALID", rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.patches(x).reshape(x.shape[0], -1, 2)


class Flat(nnx.Module):
    def __init__(self):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.conv(x).reshape(x.shape[0], -1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "shape", "field", "jump"),
    [
        pytest.param(NormThenStride, (8, 8, 2), [None, None], ["2", "2"], id="norm"),
        pytest.param(Tokens, (16, 16, 1), [4, 4], ["4", "4"], id="tokens"),
        pytest.param(Flat, (4, 4, 1), [None, None], [None, None], id="flatten"),
        pytest.param(
            lambda: zoo.build("conv-transpose3x3-stride2"),
            (8, 8, 2),
            [2, 2],
            ["1/2", "1/2"],
            id="transposed",
        ),
    ],
)
def test_e4_receptive_field_and_jump(build, shape, field, jump) -> None:
    layer = sp.verify(build(), shape).to_dict()["layers"][-1]
    assert layer["jump"] == jump
    assert layer["receptive_field"] == field


# --- F: the user's process, and messages ---

CLOSURES = {
    "F1": ("x[:, P]", "np.array([1, 2, 3, 0])", 4),
    "F1, added": ("x + P", "np.array([[1], [2], [1], [2]])", 2),
    "F2, float64": ("x * P", "np.array([[1.0], [2.0], [1.0], [2.0]])", 2),
    "F2, complex128": ("abs(x * P)", "np.array([[1j], [2.0], [1j], [2.0]])", 2),
    "F2, a product": ("x[..., 0] @ P", "np.array([[0.0, 1], [1, 0]]).repeat(2, 0).repeat(2, 1)", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "raised"),
    [
        *(pytest.param(name, False, id=name) for name in CLOSURES),
        *(pytest.param(name, True, id=f"{name}, raised") for name in ("F1", "F2, complex128")),
    ],
)
def test_the_users_function_runs_as_before(name, raised) -> None:
    """A process of its own, since a broken cache of JAX would break what follows here."""
    text, table, proved = CLOSURES[name]
    code = f"""
        import jax, jax.numpy as jnp, numpy as np, shiftproof as sp
        raised = {raised}
        P = {table}
        def f(x):
            y = {text}
            if raised and x.ndim == 3:
                raise RuntimeError("of the user")
            return y
        if raised:
            try:
                sp.verify(f, (4, 1))
            except sp.errors.ShiftproofError:
                pass
            else:
                raise SystemExit("no error was raised")
            raised = False
        else:
            found = sp.verify(f, (4, 1)).equivariance
            assert (found.proved, found.refuted) == ({proved}, {4 - proved}), found
        x = jnp.arange(4.0).reshape(1, 4, 1)
        expected = np.asarray(eval({text!r}, {{"P": P, "x": np.asarray(x)}}))
        for call in (f, jax.jit(f), jax.jit(lambda x: f(x) + 0)):
            out = call(x)
            assert out.dtype in (jnp.float32, jnp.complex64), out.dtype
            np.testing.assert_allclose(out, expected, rtol=1e-6)
        assert not jax.config.jax_enable_x64
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


class ComplexLayer(nnx.Module):
    def __init__(self):
        self.weights = nnx.Param(jnp.array([[1 + 2j, 3], [1j, 2]]))

    def __call__(self, x):
        return (x @ self.weights[...]).real


class LinenLayer(linen.Module):
    @linen.compact
    def __call__(self, x):
        weights = self.param("weights", linen.initializers.normal(dtype=jnp.complex64), (2, 2))
        return (x @ weights).real


def linen_layer() -> Any:
    module = LinenLayer()
    return module, module.init(jax.random.key(0), jnp.ones((1, 4, 2)))


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("build", [ComplexLayer, linen_layer])
@pytest.mark.parametrize("ask", ["these", "all", "sweep", "sweep of integers"])
def test_f3_complex_parameters_without_a_warning(build, ask) -> None:
    if ask.startswith("sweep"):
        weights = "integers" if ask.endswith("integers") else "these"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InexactWarning)  # complex numbers are rounded
            count = sp.sweep(build(), (4, 2), weights=weights).count("equivariance")
        assert (count.equal, count.total) == (4, 4)
    else:
        assert sp.verify(build(), (4, 2), weights=ask).equivariance.proved == 4


def calls_back(x: Any) -> Any:
    return x + io_callback(np.float32, jax.ShapeDtypeStruct((), jnp.float32), 1.0)


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "callback": (lambda: sp.verify(calls_back, (4, 1)), "callback|effect"),
    "no cells": (lambda: sp.verify(lambda x: x[:, :0], (4, 1)), "without cells"),
    "a letter for a step": (
        lambda: sp.verify(lambda x: x, (4, 4, 1), shifts=[("xZ", 0)]),
        "xZ",
    ),
    "a negative seed": (lambda: sp.verify(lambda x: x, (4, 4, 1), seed=-1), "seed"),
    "a negative size": (lambda: sp.verify(lambda x: x, (4, -4, 1)), "shape|size"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_f4_one_clear_message_each(name) -> None:
    ask, words = MISTAKES[name]
    with pytest.raises(ShiftproofError, match=words):
        ask()


DENSE = nnx.Linear(16, 3, rngs=nnx.Rngs(0))


class Written(linen.Module):
    """Initialised on 32 images, which it takes from then on."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x.reshape(32, -1))


def written() -> Any:
    module = Written()
    return module, module.init(jax.random.key(0), jnp.ones((32, 4, 4, 1)))


BATCHES = {
    "reshape": (lambda: lambda x: DENSE(x.reshape(8, -1)), 8),
    "linen": (written, 32),
    "a table": (lambda: lambda x: jnp.concatenate([x, jnp.zeros((6, 4, 4, 1))], -1), 6),
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("ask", [sp.verify, sp.verify_scene, sp.counterfactuals, sp.sweep])
def test_f8_a_batch_that_is_written_into_a_model(name, ask) -> None:
    build, size = BATCHES[name]
    given = 4 if ask is sp.sweep else 1
    words = (
        f"takes {size} images at a time, not {given}: .* x.reshape.{size}, -1.. Write x.shape.0."
    )
    with pytest.raises(ModelCallError, match=words) as caught:
        ask(build(), (4, 4, 1))
    assert ("jnp.repeat" in str(caught.value)) == (size % given == 0)


@pytest.mark.slow
def test_f8_such_a_model_is_verified_as_its_message_says() -> None:
    model = BATCHES["reshape"][0]()
    assert sp.verify(lambda x: model(jnp.repeat(x, 8, 0)), (4, 4, 1)).invariance.proved == 1


def test_f8_a_reshape_that_jax_lets_pass() -> None:
    with pytest.raises(ModelCallError, match=r"\(1, 4, 4, 1\) to \(8, 16\) at test_faults.py"):
        sp.verify(lambda x: lax.reshape(x, (8, 16)), (4, 4, 1))


OTHERS = {
    "a dict": (lambda x: 2 * x["image"], "takes a dict"),
    "a dict, asked": (lambda x: 2 * x.get("image"), r"such as a dict, wrap it"),
    "a key besides": (lambda x, key: x, r"takes more than images.* lambda x: model\(x, other\)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_f8_other_inputs(name) -> None:
    model, words = OTHERS[name]
    with pytest.raises(ModelCallError, match=words):
        sp.verify(model, (4, 4, 1))


def test_f8_a_format_that_the_model_does_not_take() -> None:
    with pytest.raises(ModelCallError, match="on images of float32: leave dtype= out"):
        sp.sweep(lambda x: lax.complex(x, x).real, (4, 4, 1), dtype="bfloat16")


CHANNELS_FIRST = """
import jax.numpy as jnp
from flax import nnx
conv = nnx.Conv(3, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
class Model(nnx.Module):
    def __init__(self):
        self.conv = conv
    def __call__(self, x):
        return jnp.moveaxis(self.conv(jnp.moveaxis(x, 1, -1)), -1, 1)
def make():
    return Model()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("", 2, "channels first: say --shape 3 32 32 --spatial-axes 1 2"),
        ("--grid 4 4", 2, "channels first: say --shape 3 4 4 --spatial-axes 1 2"),
        ("--shape 4 4 3", 2, r"\(3, 4, 4\), with the channels first.* spatial_axes=\(1, 2\)"),
        ("--shape 3 8 8 --no-why", 1, "3x8 with 8 channels. If channels come first, .*spatial"),
        ("--shape 3 4 4 --spatial-axes 1 2 --property equivariance --no-why", 0, "16 of 16"),
    ],
)
def test_f8_a_file_with_the_channels_first(options, code, words, tmp_path, capsys) -> None:
    (tmp_path / "first.py").write_text(CHANNELS_FIRST)
    with pytest.raises(SystemExit) as caught:
        cli.main(["verify", str(tmp_path / "first.py"), *options.split()])
    captured = capsys.readouterr()
    assert caught.value.code == code
    assert re.search(words, " ".join((captured.err + captured.out).split()))


@pytest.mark.slow
def test_f4_a_tiny_pixel_is_an_image_like_any_other() -> None:
    found = sp.verify(lambda x: 2 * x, np.full((1, 4, 1), 1e-310)).equivariance
    assert (found.proved, found.refuted) == (4, 0)


def test_f4_a_key_among_the_outputs() -> None:
    """It is refused by name, or it stays as it is and the other output is decided."""
    verdict = answer(lambda: sp.verify(lambda x: (x, jax.random.key(0)), (4, 1)), "key")
    if verdict is not None:
        assert verdict.equivariance.proved == 4
        assert verdict.outputs[-1].invariance is None or verdict.outputs[-1].invariance.proved == 4


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numpy.py", "numpy.py:make"])
def test_f4_a_file_named_like_a_package(tmp_path, target) -> None:
    """In a process of its own, which imports the user's numpy in place of NumPy if it goes wrong."""
    (tmp_path / "numpy.py").write_text(
        "from flax import nnx\n"
        "def make():\n    return nnx.Conv(1, 2, (3, 3), padding='CIRCULAR', rngs=nnx.Rngs(0))\n"
    )
    command = [sys.executable, "-P", "-m", "shiftproof", "verify", target]
    done = subprocess.run(
        [*command, "--shape", "4", "4", "1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert "16/16" in done.stdout or (done.returncode == 2 and "numpy.py" in done.stderr)


# --- the known answers that a sweep on the torus does not show ---


@pytest.mark.slow
def test_a_valid_convolution_agrees_on_two_crops_at_every_offset() -> None:
    conv = nnx.Conv(1, 2, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    scene = np.random.default_rng(0).integers(-9, 10, (1, 14, 14, 1)).astype(np.float32)
    result = sp.sweep(conv, scene, boundary="scene", grid=(8, 8), layers=[])
    count = result.count("equivariance")
    assert count.equal == count.total == 49
    reaches = sp.verify_scene(conv, (8, 8, 1)).layers[-1].border.reaches
    assert [(reach.low, reach.high, reach.size) for reach in reaches] == [(0, 6, 6)] * 2


@pytest.mark.slow
def test_adaptive_polyphase_sampling_keeps_every_shift_of_generic_images() -> None:
    layer = AdaptivePolyphaseSampling(2)
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    count = sp.sweep(lambda x: layer(x).mean((1, 2)), images, layers=[]).count("invariance")
    assert (count.equal, count.total) == (1024, 1024)


@pytest.mark.slow
def test_adaptive_polyphase_sampling_does_not_keep_all_shifts_of_all_images() -> None:
    layer = AdaptivePolyphaseSampling(2)
    image = np.array([5.0, 3, 0, 4]).reshape(1, 4, 1)
    sums = [float(layer(np.roll(image, s, 1)).sum()) for s in range(4)]
    assert sums == [5, 7, 5, 7]
    found = sp.verify(lambda x: layer(x).sum(1), (4, 1)).invariance
    assert found.proved <= 2
    assert found.map[1] != sp.Word.PROVED


@pytest.mark.slow
def test_a_choice_that_ties_beside_a_scatter_is_noted() -> None:
    """The layers of a widened program are looked at in 64-bit mode; else JAX refuses to add to an array in places."""

    def f(x: Array) -> Array:
        y = x[:, :, :3].at[:, :, np.array([0], np.int32)].add(5, mode="drop")
        z = jnp.concatenate([y, y], 2)
        return jnp.roll(z, -jnp.argmax(z.sum((0, 1, 3))), 2).mean((1, 2))

    assert any("ties" in note for note in sp.verify(f, (1, 4, 1)).notes)
