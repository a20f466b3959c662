"""Reports: tables for the terminal, maps, what a notebook shows, and one self-contained HTML page.

Reads a `Sweep` or a `Verdict`; nothing of the package but the demo and the command line reads this. Names are loaded
when they are first used: a table in a notebook does not import matplotlib.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shiftproof.report.activations import Strip, activation_figure
    from shiftproof.report.counterfactuals import counterfactual_table
    from shiftproof.report.html import (
        Block,
        Chain,
        Commands,
        Example,
        Explorer,
        Folded,
        Link,
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
    from shiftproof.report.regions import region_map, region_maps
    from shiftproof.report.rules import rules_tables
    from shiftproof.report.tables import Table, compare_table, sweep_table
    from shiftproof.report.verdict_figure import verdict_maps
    from shiftproof.report.verdict_page import VerdictFiles, report_verdict
    from shiftproof.report.verdicts import (
        evidence_table,
        layer_table,
        region_table,
        region_text,
        text_map,
        verdict_tables,
        verdict_text,
    )

_HOMES = {
    **dict.fromkeys(
        (
            "Block",
            "Chain",
            "Commands",
            "Example",
            "Explorer",
            "Folded",
            "Link",
            "Picture",
            "Prose",
            "Section",
            "render_report",
            "write_report",
        ),
        "html",
    ),
    **dict.fromkeys(("ReportFiles", "report_sweep", "summary_of"), "pages"),
    **dict.fromkeys(("Strip", "activation_figure"), "activations"),
    **dict.fromkeys(("Table", "compare_table", "sweep_table"), "tables"),
    **dict.fromkeys(("VerdictFiles", "report_verdict"), "verdict_page"),
    **dict.fromkeys(("break_map", "compare_maps", "label_maps", "layer_maps", "to_png"), "maps"),
    **dict.fromkeys(
        (
            "evidence_table",
            "layer_table",
            "region_table",
            "region_text",
            "text_map",
            "verdict_tables",
            "verdict_text",
        ),
        "verdicts",
    ),
    **dict.fromkeys(("rules_tables",), "rules"),
    **dict.fromkeys(("region_map", "region_maps"), "regions"),
    **dict.fromkeys(("verdict_maps",), "verdict_figure"),
    **dict.fromkeys(("counterfactual_table",), "counterfactuals"),
}

__all__ = [
    "Block",
    "Chain",
    "Commands",
    "Example",
    "Explorer",
    "Folded",
    "Link",
    "Picture",
    "Prose",
    "ReportFiles",
    "Section",
    "Strip",
    "Table",
    "VerdictFiles",
    "activation_figure",
    "break_map",
    "compare_maps",
    "compare_table",
    "counterfactual_table",
    "evidence_table",
    "label_maps",
    "layer_maps",
    "layer_table",
    "region_map",
    "region_maps",
    "region_table",
    "region_text",
    "render_report",
    "report_sweep",
    "report_verdict",
    "rules_tables",
    "summary_of",
    "sweep_table",
    "text_map",
    "to_png",
    "verdict_maps",
    "verdict_tables",
    "verdict_text",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'shiftproof.report' has no attribute {name!r}")
    return getattr(importlib.import_module(f"shiftproof.report.{_HOMES[name]}"), name)
