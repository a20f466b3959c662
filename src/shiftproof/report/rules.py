"""The rules in tables: those of the kernel, and for every primitive of JAX its class.

Both are read off the objects that the prover uses, so that they cannot say anything else.
"""

import inspect
import typing
from typing import Any

import jax.extend

from shiftproof.report.tables import Table
from shiftproof.tracing.primitives import TABLE, Kind
from shiftproof.tracing.trace import CALLS
from shiftproof_kernel.program import Operation
from shiftproof_kernel.program import kind as kind_of


def rules_tables() -> tuple[Table, Table]:
    """The kernel's rules, and the primitives, each family on one line."""
    return _kernel(), _primitives()


def _kernel() -> Table:
    rows = tuple((kind_of(one), _sentence(one)) for one in typing.get_args(Operation))
    return Table(
        "Operations of the kernel's programs, with a rule for each",
        ("operation", "class of functions"),
        rows,
        flexible=frozenset({1}),
        note="shiftproof_kernel/TRUST.md says what is trusted.",
    )


def _primitives() -> Table:
    rows = []
    for kind in Kind:
        if kind not in (Kind.OPAQUE, Kind.LOOKUP):
            names = sorted(name for name, entry in TABLE.items() if entry.kind is kind)
            rows.append(
                (kind.name.lower(), " ".join(names), f"{kind.value[0].upper()}{kind.value[1:]}.")
            )
    rows.append(("calls", " ".join(sorted(CALLS)), "Replaced by what they call."))
    opaque: dict[str, list[str]] = {}
    for name, entry in TABLE.items():
        if entry.kind is Kind.OPAQUE:
            opaque.setdefault(f"{entry.note[0].upper()}{entry.note[1:]}.", []).append(name)
    rows += [("opaque", " ".join(sorted(names)), note) for note, names in opaque.items()]
    rest = sorted(_known_to_jax() - set(TABLE) - set(CALLS))
    if rest:
        rows.append(("opaque", " ".join(rest), "Without an entry in the table."))
    return Table(
        "Primitives of JAX",
        ("class", "primitives", "meaning"),
        tuple(rows),
        flexible=frozenset({1, 2}),
        note="What depends neither on the images nor on opaque weights is computed, whatever its primitives.",
    )


def _known_to_jax() -> set[str]:
    module = jax.extend.core.primitives
    found = (getattr(module, name) for name in dir(module) if name.endswith("_p"))
    return {primitive.name for primitive in found}


def _sentence(function: Any) -> str:
    """The first paragraph of a docstring."""
    text = inspect.getdoc(function) or ""
    return " ".join(text.split("\n\n")[0].split())
