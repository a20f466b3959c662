"""Provenance: the versions and settings that a result depends on."""

import importlib.metadata
import os
import platform

import flax
import jax
import jaxlib.version
import numpy as np

from shiftproof._version import __version__


def provenance(device: jax.Device, package: str = "") -> dict[str, str]:
    """Versions and settings that a result depends on; not the time, nor how many devices shared the work.

    Args:
        device: that ran it.
        package: of the model's framework, as the registry calls it; "" where it is Flax, or none.
    """
    flags = [
        f for f in os.environ.get("XLA_FLAGS", "").split() if "host_platform_device_count" not in f
    ]
    return {
        "shiftproof": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "flax": flax.__version__,
        **({package: importlib.metadata.version(package)} if package else {}),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": device.platform,
        "device": device.device_kind,
        "matmul_precision": "highest",
        "xla_flags": " ".join(flags),
    }
