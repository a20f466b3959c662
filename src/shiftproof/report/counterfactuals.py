"""Counterfactuals as a table: what would hold with one cause after the other removed."""

from shiftproof.deciding.words import refuted_words
from shiftproof.report.tables import Table
from shiftproof.rewriting.counterfactuals import Counterfactuals, Row, lines


def counterfactual_table(found: Counterfactuals) -> Table:
    """One row a combination of interventions and output.

    Args:
        found: from `counterfactuals`.
    """
    many = len(found.as_is.outputs) > 1
    rows = []
    for row in found.rows:
        for counted in row.outputs:
            rows.append(
                (
                    row.label,
                    counted.name,
                    counted.question,
                    f"{counted.proved}/{counted.total}",
                    "-"
                    if counted.refuted is None
                    else refuted_words(counted.refuted, counted.numerically or 0),
                    str(counted.lattice),
                    _breaks(row),
                )
            )
    columns = ("the model", "output", "property", "proved", "refuted", "lattice", "breaks at")
    shown = [0, *([1] if many else []), 2, 3, 4, 5, 6]
    return Table(
        f"{found.model}: what would hold",
        tuple(columns[i] for i in shown),
        tuple(tuple(cells[i] for i in shown) for cells in rows),
        numbers=frozenset(i for i, n in enumerate(shown) if n in (3, 4)),
        flexible=frozenset(i for i, n in enumerate(shown) if n in (0, 6)),
        note="Each row is the traced program with other equations in place of those named below; -: no counterexample "
        "was sought.",
    )


def _breaks(row: Row) -> str:
    """The lines that still cost shifts; the first is where most is lost."""
    return lines([source for source, *_ in (*row.left, *row.strides)])
