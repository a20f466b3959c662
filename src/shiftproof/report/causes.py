"""Causes and repairs on the page of a verdict: what would hold of the model without one cause or another.

Reads the plain data of `Counterfactuals.to_dict()`.
"""

from collections.abc import Mapping
from typing import Any

from shiftproof.group import Lattice
from shiftproof.report.html import Block, Chain, Commands, Link, Prose, Section
from shiftproof.report.tables import Table

NEAR = 8
"""A lattice is drawn for shifts up to so many pixels."""


def counterfactual_sections(data: Mapping[str, Any]) -> list[Section]:
    """What would hold if one cause were removed, the cheapest repair, and what was changed to find out.

    Args:
        data: of the schema `shiftproof.counterfactuals/1`.
    """
    links = [
        Link(
            row["label"],
            near_dots(data["grid"], output["lattice"]),
            (
                f"{output['proved']} of {output['total']} ({output['text']})",
                f"{output['property']} of {output['name']}",
                ", ".join(row["strides"]) or "–",
            ),
            tuple((f"{left['reason']} ({left['source']})", "") for left in row["left"]),
        )
        for row in data["rows"]
        for output in row["outputs"]
    ]
    chain = Chain(
        "with",
        ("shifts proved", "question", "strides that still cost shifts", "what else does"),
        tuple(links),
        "Each row is the model with one or several causes removed, proved anew. Blue dots: the proved shifts near 0.",
    )
    blocks: list[Block] = [Prose(f"{data['model']}: {data['summary']}."), chain, *_repair(data)]
    rows = tuple((c["source"], c["primitive"], c["what"], c["repair"]) for c in data["changes"])
    if rows:
        columns = ("source", "operation", "what was changed", "in your code")
        blocks.append(Table("What was changed", columns, rows, flexible=frozenset({2, 3})))
    skipped = "; ".join(f"{s['source']} ({s['primitive']}): {s['reason']}" for s in data["skipped"])
    blocks += [Prose(f"Left as it is: {skipped}.")] if skipped else []
    return [Section("What would hold without one cause", tuple(blocks))]


def _repair(data: Mapping[str, Any]) -> list[Block]:
    repair = data["repair"]
    if repair is None:
        return [Prose("No repair that was tried makes the lattice larger.")]
    steps = "\n".join(f"{step['source']}: {step['change']}" for step in repair["steps"])
    found = f"The cheapest repair, proved for {repair['proved']} of {repair['total']} shifts:"
    return [Prose(found), Commands(steps)]


def near_dots(grid: Any, generators: Any) -> tuple[tuple[int, int], ...]:
    """The shifts (dy, dx) of a lattice that lie near 0, along the last two axes.

    >>> near_dots((8, 8), [(4, 0), (0, 4)])
    ((-4, -4), (-4, 0), (0, -4), (0, 0))
    """
    mask = Lattice(grid, generators).mask()
    mask = mask[(0,) * (mask.ndim - 2)] if mask.ndim > 1 else mask[None]
    rooms = [range(-min(NEAR, n // 2), min(NEAR, (n - 1) // 2) + 1) for n in mask.shape]
    return tuple((y, x) for y in rooms[0] for x in rooms[1] if mask[y, x])
