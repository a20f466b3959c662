"""shiftproof: every integer shift of a Flax model's input grid, decided.

    import shiftproof as sp
    verdict = sp.verify(model, (28, 28, 1))   # every shift decided, by a proof or a counterexample
    result = sp.sweep(model, images)          # how far every layer deviates, for these images

Names are loaded when they are first used, so that importing the package (and `shiftproof --help`) does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from shiftproof._version import __version__

if TYPE_CHECKING:
    from shiftproof import data, layers, zoo
    from shiftproof.assertions import (
        assert_breaks,
        assert_equivariant,
        assert_invariant,
        assert_lattice,
    )
    from shiftproof.certificate import Certificate, check
    from shiftproof.deciding.scene import SceneVerdict, verify_scene
    from shiftproof.deciding.verdict import OutputVerdict, PropertyVerdict, Verdict, Word
    from shiftproof.deciding.verify import verify
    from shiftproof.exactness.calibration import Calibration, calibrate
    from shiftproof.exactness.probes import integer_images
    from shiftproof.group import Lattice, find_lattice
    from shiftproof.refuting.counterexample import Counterexample, load_counterexample, replay
    from shiftproof.rewriting.counterfactuals import Counterfactuals, counterfactuals
    from shiftproof.sweeping.placements import Placements, placements
    from shiftproof.sweeping.result import Count, LayerRecord, Status, Sweep, load_sweep
    from shiftproof.sweeping.sweep import sweep
    from shiftproof.tracing.model import Model, adapt
    from shiftproof.translation import Canvas, translate

_HOMES = {
    "Calibration": "exactness.calibration",
    "calibrate": "exactness.calibration",
    "Canvas": "translation",
    "translate": "translation",
    "Placements": "sweeping.placements",
    "placements": "sweeping.placements",
    "Count": "sweeping.result",
    "LayerRecord": "sweeping.result",
    "Status": "sweeping.result",
    "Sweep": "sweeping.result",
    "load_sweep": "sweeping.result",
    "Lattice": "group",
    "find_lattice": "group",
    "Model": "tracing.model",
    "adapt": "tracing.model",
    "integer_images": "exactness.probes",
    "sweep": "sweeping.sweep",
    "Certificate": "certificate",
    "check": "certificate",
    "Counterexample": "refuting.counterexample",
    "load_counterexample": "refuting.counterexample",
    "replay": "refuting.counterexample",
    "OutputVerdict": "deciding.verdict",
    "PropertyVerdict": "deciding.verdict",
    "Verdict": "deciding.verdict",
    "Word": "deciding.verdict",
    "SceneVerdict": "deciding.scene",
    "verify": "deciding.verify",
    "Counterfactuals": "rewriting.counterfactuals",
    "counterfactuals": "rewriting.counterfactuals",
    "verify_scene": "deciding.scene",
    **dict.fromkeys(
        ("assert_breaks", "assert_equivariant", "assert_invariant", "assert_lattice"), "assertions"
    ),
}
_MODULES = ("data", "errors", "layers", "zoo")

__all__ = [
    "Calibration",
    "Canvas",
    "Certificate",
    "Count",
    "Counterexample",
    "Counterfactuals",
    "Lattice",
    "LayerRecord",
    "Model",
    "OutputVerdict",
    "Placements",
    "PropertyVerdict",
    "SceneVerdict",
    "Status",
    "Sweep",
    "Verdict",
    "Word",
    "__version__",
    "adapt",
    "assert_breaks",
    "assert_equivariant",
    "assert_invariant",
    "assert_lattice",
    "calibrate",
    "check",
    "counterfactuals",
    "data",
    "find_lattice",
    "integer_images",
    "layers",
    "load_counterexample",
    "load_sweep",
    "placements",
    "replay",
    "sweep",
    "translate",
    "verify",
    "verify_scene",
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
