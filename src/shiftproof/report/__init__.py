"""Reports: tables for the terminal, break maps, and one self-contained HTML page.

Reads a `Sweep` and nothing else of the package; nothing of the package but the demo and the
command line reads this.
"""

from shiftproof.report.activations import Strip, activation_figure
from shiftproof.report.html import (
    Block,
    Folded,
    Picture,
    Prose,
    Section,
    render_report,
    write_report,
)
from shiftproof.report.maps import (
    break_map,
    compare_maps,
    label_maps,
    layer_maps,
    to_png,
)
from shiftproof.report.pages import ReportFiles, report_sweep, summary_of
from shiftproof.report.tables import Table, compare_table, sweep_table

__all__ = [
    "Block",
    "Folded",
    "Picture",
    "Prose",
    "ReportFiles",
    "Section",
    "Strip",
    "Table",
    "activation_figure",
    "break_map",
    "compare_maps",
    "compare_table",
    "label_maps",
    "layer_maps",
    "render_report",
    "report_sweep",
    "summary_of",
    "sweep_table",
    "to_png",
    "write_report",
]
