"""Devices that are no CPU: what they lack is found out, said, and worked around. Stand-ins here, for want of one."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.errors import InputError
from shiftproof.exactness import calibration
from shiftproof.proving.runs import forget_compiled
from shiftproof.tracing.settings import compiler_options, current_device, settings

IMAGES = np.random.default_rng(0).integers(-4, 5, (1, 6, 6, 1))


def none(*, backend=None):
    raise RuntimeError("Unknown backend cpu")


def mean(x):
    return nnx.softmax(x, 1).max((1, 2))


@pytest.fixture
def no_float64(monkeypatch):
    """`sp.sweep` takes its device for one without float64; the host's processor has it."""
    monkeypatch.setattr("shiftproof.sweeping.sweep.has_float64", lambda device: False)


def test_this_processor_has_float64_and_float32_is_told_apart(monkeypatch) -> None:
    device = jax.local_devices()[0]
    assert calibration.has_float64(device)
    narrow = jax.jit  # a device that takes float32 for float64

    def jit(fn):
        return narrow(lambda *values: fn(*(v.astype(jnp.float32) for v in values)))

    monkeypatch.setattr(jax, "jit", jit)
    assert not calibration.has_float64.__wrapped__(device)


@pytest.mark.slow
def test_without_float64_a_sweep_stays_in_float32_and_refuses_what_it_cannot_do(no_float64) -> None:
    result = sp.sweep(mean, IMAGES)
    assert result.header.dtype == "float32"
    with pytest.raises(InputError, match="does not compute in float64: leave dtype out"):
        sp.sweep(mean, IMAGES, dtype="float64")


@pytest.mark.slow
def test_a_verdict_goes_to_the_processor_where_the_device_lacks_float64(monkeypatch) -> None:
    asked, plain = [], calibration.processor
    monkeypatch.setattr(calibration, "processor", lambda other: asked.append(other) or plain(other))
    counts = []
    for has in (True, False):
        monkeypatch.setattr(calibration, "has_float64", lambda device, has=has: has)
        asked.clear()
        forget_compiled()
        assert sp.verify(mean, (4, 4, 1)).invariance.proved == 16
        counts.append(len(asked))
    assert counts[0] < counts[1]  # for the whole verdict, besides what always runs there


def test_without_any_float64_a_verdict_says_what_to_do(monkeypatch) -> None:
    accelerator = SimpleNamespace(platform="tpu", device_kind="some TPU")
    monkeypatch.setattr(calibration, "current_device", lambda: accelerator)
    monkeypatch.setattr(calibration, "has_float64", lambda device: False)
    monkeypatch.setattr(jax, "local_devices", none)
    with pytest.raises(InputError, match="add cpu to JAX_PLATFORMS"):
        sp.verify(mean, (4, 4, 1))


@pytest.mark.slow
def test_enclosures_are_computed_by_the_processor(monkeypatch) -> None:
    """Their bounds are those of its compiler and libraries."""
    device = jax.local_devices()[0]
    asked, plain = [], calibration.processor
    monkeypatch.setattr(calibration, "processor", lambda other: asked.append(other) or plain(other))
    verdict = sp.verify(lambda x: jnp.exp(x[:, 0] / 64), (4, 1))
    assert verdict.invariance.refuted == 3
    assert asked
    assert set(asked) == {device}


def test_the_processor_stands_in_for_an_accelerator(monkeypatch) -> None:
    accelerator = SimpleNamespace(platform="gpu", device_kind="some GPU")
    assert calibration.processor(accelerator) == jax.local_devices(backend="cpu")[0]
    monkeypatch.setattr(jax, "local_devices", none)
    with pytest.raises(InputError, match="on some GPU a verdict needs the processor too"):
        calibration.processor(accelerator)


@pytest.mark.slow
def test_the_precision_is_recorded_and_checked() -> None:
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    for precision in ("highest", "default"):
        result = sp.sweep(conv, IMAGES, precision=precision, dtype="float32")
        assert result.header.provenance["matmul_precision"] == precision
    with pytest.raises(InputError, match="precision must be one of highest, high, default"):
        sp.sweep(conv, IMAGES, precision="low")


def test_another_precision_is_another_question(tmp_path) -> None:
    from shiftproof.errors import ResumeError

    sp.sweep(nnx.relu, IMAGES, directory=tmp_path)
    with pytest.raises(ResumeError, match="matmul_precision: stored highest, now default"):
        sp.sweep(nnx.relu, IMAGES, directory=tmp_path, resume=True, precision="default")


def test_the_precision_reaches_the_program() -> None:
    for precision, expected in (("highest", "HIGHEST"), ("default", "DEFAULT")):
        with settings("float32", precision):
            lowered = jax.jit(jnp.matmul).lower(jnp.ones((2, 2)), jnp.ones((2, 2)))
        assert expected in lowered.as_text()


def test_determinism_is_asked_of_each_function(monkeypatch) -> None:
    """On a GPU every function is compiled to give the same bits again, whatever XLA_FLAGS says."""
    assert compiler_options("gpu") == {"xla_gpu_deterministic_ops": True}
    assert not compiler_options("cpu")
    asked = []

    def options(platform):
        asked.append(platform)
        return {"xla_cpu_enable_fast_math": False}

    monkeypatch.setattr("shiftproof.sweeping.engine.compiler_options", options)
    sp.sweep(nnx.relu, IMAGES)
    assert asked == [current_device().platform]
    monkeypatch.setattr(
        "shiftproof.sweeping.engine.compiler_options", lambda platform: {"no_such_option": True}
    )
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        sp.sweep(nnx.relu, IMAGES)
