"""The doctor: what this machine is, and whether its arithmetic can be trusted."""

import dataclasses
import os
import platform
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shiftproof.exactness.calibration import Calibration, calibrate
from shiftproof.provenance import provenance
from shiftproof.sweeping.engine import free_memory
from shiftproof.tracing.settings import settings

FORMATS = ("float32", "float64", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What `examine` found on this machine.

    Attributes:
        versions: name to version or setting.
        devices: one entry per local device: kind, platform, free memory, calibration per float format.
    """

    versions: dict[str, str]
    devices: tuple[dict[str, Any], ...]

    @property
    def healthy(self) -> bool:
        """Whether every device is exact on integers in float32, which "exact" sweeps rest on."""
        return all(device["calibration"]["float32"]["exact"] for device in self.devices)


def examine() -> Diagnosis:
    """Look at versions, precision defaults and devices, and calibrate each device."""
    versions = provenance(jax.local_devices()[0])
    for key in ("platform", "device", "matmul_precision"):
        versions.pop(key)
    versions |= {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "default dtype": str(jnp.zeros(()).dtype),
        "default matmul precision": str(jax.config.jax_default_matmul_precision or "of the device"),  # type: ignore[attr-defined]
        "sweeps run at matmul precision": "highest",
    }
    return Diagnosis(versions, tuple(_examine_device(device) for device in jax.local_devices()))


def _examine_device(device: jax.Device) -> dict[str, Any]:
    calibrations: dict[str, Any] = {}
    for dtype in FORMATS:
        with settings(dtype):
            calibrations[dtype] = dataclasses.asdict(_calibrate(device, dtype))
    return {
        "device": str(device),
        "kind": device.device_kind,
        "platform": device.platform,
        "usable_memory_bytes": free_memory(device),
        "calibration": calibrations,
    }


def _calibrate(device: jax.Device, dtype: str) -> Calibration:
    try:
        return calibrate(device, dtype)
    except Exception as error:  # a device may lack a format altogether, and says so in its own way
        return Calibration(
            False, 0, float("nan"), f"{dtype} cannot be used: {type(error).__name__}: {error}"
        )


def render(diagnosis: Diagnosis) -> RenderableType:
    """The diagnosis for a terminal."""
    versions = Table(box=None, show_header=False, pad_edge=False)
    for key, value in diagnosis.versions.items():
        versions.add_row(key, value or "-", style=None)
    devices = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (
        "device",
        "kind",
        "usable memory",
        *(f"integers in {dtype}" for dtype in FORMATS),
    ):
        devices.add_column(heading)
    for device in diagnosis.devices:
        words = [
            "exact" if found["exact"] else f"rounds (off by {found['worst']:.2g})"
            for found in device["calibration"].values()
        ]
        memory = f"{device['usable_memory_bytes'] / 2**30:.1f} GiB"
        devices.add_row(device["device"], device["kind"], memory, *words)
    cases = diagnosis.devices[0]["calibration"]["float32"]["cases"]
    healthy = (
        f"Healthy: {cases} integer convolutions and products per format agree with int64 on the host."
        if diagnosis.healthy
        else "Float32 rounds on integers here: sweeps on this device are judged against measured noise, never as exact."
    )
    return Group(versions, Text(), devices, Text(), Text(healthy))
