"""The figure of a result, as its method `plot` gives it."""

from typing import Any

from matplotlib.figure import Figure

from shiftproof.deciding.verdict import Verdict
from shiftproof.report.maps import break_map, layer_maps
from shiftproof.report.regions import region_maps
from shiftproof.report.verdict_figure import verdict_maps
from shiftproof.sweeping.result import Property, Sweep


def result_figure(
    result: Any, *, layer: str | int | None = None, property: Property | None = None
) -> Figure:
    """The maps of a verdict or a sweep.

    Args:
        result: what was found.
        layer: of a sweep, the map of one layer; of all by default.
        property: of a sweep, what is asked of its layers.

    Raises:
        InputError: the sweep has no such layer.
    """
    match result:
        case Verdict():
            return (verdict_maps if result.boundary == "torus" else region_maps)(result)
        case Sweep():
            if layer is None:
                return layer_maps(result, property=property)
            return break_map(result, layer, property=property)
        case _:
            raise TypeError(f"a {type(result).__name__} has no figure")
