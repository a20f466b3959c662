import jax
import numpy as np
import pytest

import shiftproof as sp
from shiftproof.errors import InexactWarning
from shiftproof.exactness import calibration
from shiftproof.exactness.calibration import Calibration, calibrate, calibrate_ahead
from shiftproof.tracing.settings import current_device, settings


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_this_cpu_is_exact_on_integers(dtype) -> None:
    with settings(dtype):
        found = calibrate(jax.local_devices()[0], dtype)
    assert found.exact, found.reason
    assert found.cases == len(calibration.CASES) + 1


@pytest.mark.slow
def test_a_device_that_rounds_is_found_out(monkeypatch) -> None:
    """The twin: products in bfloat16, as some accelerators do by default."""
    honest = jax.lax.conv_general_dilated

    def rounding(x, w, *args, **kwargs):
        return honest(x.astype("bfloat16"), w.astype("bfloat16"), *args, **kwargs).astype(x.dtype)

    monkeypatch.setattr(jax.lax, "conv_general_dilated", rounding)
    calibrate.cache_clear()
    found = calibrate(jax.local_devices()[0], "float32")
    calibrate.cache_clear()
    assert not found.exact
    assert found.worst >= 1
    assert "not exact on integers in float32: conv 3x3" in found.reason


@pytest.mark.slow
def test_a_device_that_gives_nan_is_found_out(monkeypatch) -> None:
    monkeypatch.setattr(jax.lax, "conv_general_dilated", lambda x, w, *_, **__: np.nan + 0 * x)
    monkeypatch.setattr(calibration, "CASES", calibration.CASES[3:4])  # the shape stays
    calibrate.cache_clear()
    found = calibrate(jax.local_devices()[0], "float32")
    calibrate.cache_clear()
    assert not found.exact
    assert np.isnan(found.worst)


@pytest.mark.slow
def test_a_sweep_on_such_a_device_is_not_called_exact(monkeypatch) -> None:
    failed = Calibration(
        False, 6, 8.0, "this device is not exact on integers in float32: conv is off by 8"
    )
    monkeypatch.setattr("shiftproof.sweeping.question.calibrate", lambda *_: failed)
    from flax import nnx

    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    with pytest.warns(InexactWarning, match="not exact on integers"):
        result = sp.sweep(conv, (6, 6, 1))
    assert not result.layers[-1].exact
    assert "conv is off by 8" in result.layers[-1].reason


def test_compiled_values_that_contradict_the_grade_downgrade_it() -> None:
    from shiftproof.exactness.exact import Exactness

    grade = Exactness(True, 10.0, 2.0**24, "", 0.5)
    assert not grade.contradicted_by(np.array([0.5, -2.0, np.inf]))
    assert grade.contradicted_by(np.array([0.5000001]))


def test_what_is_calibrated_ahead_is_not_calibrated_again() -> None:
    calibrate.cache_clear()
    calibrate_ahead()
    device = current_device()
    for dtype in ("float32", "float64"):
        assert calibrate(device, dtype).exact
    assert calibrate.cache_info().hits == 2
