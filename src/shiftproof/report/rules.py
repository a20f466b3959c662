"""The rules in tables: those of the kernel, and for every primitive of JAX what becomes of it.

Both are read off the objects that the prover uses, so that they cannot say anything else.
"""

import inspect
from typing import Any

import jax.extend

from shiftproof.proving import primitives
from shiftproof.proving.primitives import REFUSED, TABLE, whole
from shiftproof.report.tables import Table
from shiftproof.tracing.trace import CALLS
from shiftproof_kernel import RULES


def rules_tables() -> tuple[Table, Table]:
    """The kernel's rules, and the primitives, each family on one line."""
    return _kernel(), _primitives()


def _kernel() -> Table:
    rows = tuple((operation, _sentence(rule)) for operation, rule in RULES.items())
    return Table(
        "Rules of the kernel, one per operation",
        ("operation", "rule"),
        rows,
        flexible=frozenset({1}),
        note="shiftproof_kernel/TRUST.md says what is trusted.",
    )


def _primitives() -> Table:
    covered: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for name, translator in TABLE.items():
        if name not in REFUSED and translator is not whole:
            covered.setdefault(_sentence(translator), []).append(name)
    for name, reason in REFUSED.items():
        refused.setdefault(f"{reason[0].upper()}{reason[1:]}.", []).append(name)
    rows = [("covered", " ".join(sorted(names)), text) for text, names in covered.items()]
    rows.append(("covered", " ".join(sorted(CALLS)), "Replaced by what they call."))
    rows += [("refused", " ".join(sorted(names)), reason) for reason, names in refused.items()]
    rest = sorted(_known_to_jax() - set(TABLE) - set(CALLS) - set(REFUSED) - {"iota"})
    if rest:
        rows.append(("refused", " ".join(rest), "No rule, so no claim once an operand moves."))
    return Table(
        "Primitives of JAX",
        ("", "primitives", "what becomes of them"),
        tuple(rows),
        flexible=frozenset({1, 2}),
        note="What depends neither on the images nor on opaque weights is computed, whatever its primitives.",
    )


def _known_to_jax() -> set[str]:
    module = jax.extend.core.primitives
    found = (getattr(module, name) for name in dir(module) if name.endswith("_p"))
    return {primitive.name for primitive in found}


def _sentence(function: Any) -> str:
    """The first paragraph of a docstring; of the maker, for a function that another one makes."""
    maker = function.__qualname__.split(".")[0]
    text = inspect.getdoc(function) or inspect.getdoc(getattr(primitives, maker)) or ""
    return " ".join(text.split("\n\n")[0].split())
