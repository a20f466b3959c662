"""Provenance: the versions and settings that a result depends on, and the hashes that say which question it answers."""

import hashlib
import os
import platform

import flax
import jax
import jaxlib.version
import numpy as np

from shiftproof._version import __version__
from shiftproof.question import Question
from shiftproof.trace import hash_array


def describe(question: Question, device: jax.Device) -> dict[str, str]:
    """What chunks depend on, one readable line each."""
    canvas = question.canvas
    weights = hashlib.sha256(b"".join(hash_array(w) for w in question.weights)).hexdigest()
    return {
        "model": question.model.name,
        "program": question.program.fingerprint,
        "weights": weights,
        "images": hash_array(canvas.array).hex(),
        "grid": " x ".join(map(str, canvas.grid)),
        "axes": f"{canvas.axes} of the images, {[layer.grid for layer in question.layers]} of the layers",
        "boundary": canvas.boundary,
        "law": question.law,
        "dtype": question.dtype,
        "layers": ", ".join(layer.name for layer in question.layers),
        "platform": device.platform,
        "shiftproof": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
    }


def provenance(device: jax.Device) -> dict[str, str]:
    """Versions and settings that a result depends on; not the time, nor how many devices shared the work."""
    flags = [
        f for f in os.environ.get("XLA_FLAGS", "").split() if "host_platform_device_count" not in f
    ]
    return {
        "shiftproof": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
        "flax": flax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": device.platform,
        "device": device.device_kind,
        "matmul_precision": "highest",
        "xla_flags": " ".join(flags),
    }
