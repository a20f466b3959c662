"""shiftproof: every integer shift of a Flax model's input grid, decided.

    import shiftproof as sp
    result = sp.sweep(model, images)

Names are loaded when they are first used, so that importing the package (and `shiftproof --help`) does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from shiftproof._version import __version__

if TYPE_CHECKING:
    from shiftproof import data, zoo
    from shiftproof.calibration import Calibration, calibrate
    from shiftproof.lattice import Lattice, find_lattice
    from shiftproof.model import Model, adapt
    from shiftproof.probes import integer_images
    from shiftproof.result import Count, LayerRecord, Status, Sweep, load_sweep
    from shiftproof.sweeping import sweep
    from shiftproof.translation import Canvas, translate

_HOMES = {
    "Calibration": "calibration",
    "calibrate": "calibration",
    "Canvas": "translation",
    "translate": "translation",
    "Count": "result",
    "LayerRecord": "result",
    "Status": "result",
    "Sweep": "result",
    "load_sweep": "result",
    "Lattice": "lattice",
    "find_lattice": "lattice",
    "Model": "model",
    "adapt": "model",
    "integer_images": "probes",
    "sweep": "sweeping",
}
_MODULES = ("data", "errors", "zoo")

__all__ = [
    "Calibration",
    "Canvas",
    "Count",
    "Lattice",
    "LayerRecord",
    "Model",
    "Status",
    "Sweep",
    "__version__",
    "adapt",
    "calibrate",
    "data",
    "find_lattice",
    "integer_images",
    "load_sweep",
    "sweep",
    "translate",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"shiftproof.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"shiftproof.{name}")
    else:
        raise AttributeError(f"module 'shiftproof' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
