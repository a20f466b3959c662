"""Verdicts in words, tables and characters.

The same tables stand in the terminal and on the page. Nothing depends on colour alone.
"""

import numpy as np

from shiftproof.deciding.verdict import LayerVerdict, PropertyVerdict, Verdict, Word
from shiftproof.proving.identity import error_words
from shiftproof.refuting.witness import Witness
from shiftproof.report.cells import centred
from shiftproof.report.tables import Table, once, sizes_text

GLYPHS = {Word.PROVED: "█", Word.REFUTED: "·", Word.UNDECIDED: "?"}
MOST_ROWS = 40
"""Grids of more rows or columns are not drawn with characters."""


def summary_of(verdict: Verdict) -> str:
    """One sentence: what is proved, refuted and undecided of the outputs."""
    claims = [
        f"{v.claim.property} of {output.name} is proved for {v.proved} of {v.total} shifts "
        f"({v.lattice}{_by_identity(v)}) and refuted for {v.refuted_text}"
        + (f", {v.undecided} are undecided" if v.undecided else "")
        for output in verdict.outputs
        for v in output.properties
    ]
    whose = {"all": "whatever its weights", "these": "with its own weights"}[verdict.weights]
    return f"{verdict.model} on the torus, {whose}: {'; '.join(claims)}."


def _by_identity(verdict: PropertyVerdict) -> str:
    return f"; {verdict.identity_text}" if verdict.by_identity else ""


def weights_words(verdict: Verdict) -> str:
    """What the verdict is about: any weights, or those that the model has."""
    return "the architecture" if verdict.weights == "all" else "its own weights and constants"


def verdict_tables(verdict: Verdict) -> tuple[Table, ...]:
    """The counts, and the chain of layers with what shrinks the lattice."""
    return (counts_table(verdict), _chain(verdict))


def counts_table(verdict: Verdict) -> Table:
    """One row per output and property: how many shifts have which word, and the lattice."""
    found = [(output.name, v) for output in verdict.outputs for v in output.properties]
    identity = any(v.by_identity for _, v in found)
    numerically = any(v.refuted_numerically for _, v in found)
    moves = any(law_text(v) for _, v in found)
    columns = (
        *("output", "property", "proved"),
        *(("by identity",) if identity else ()),
        "refuted",
        *(("numerically",) if numerically else ()),
        *("undecided", "lattice"),
        *(("output moves",) if moves else ()),
    )
    rows = tuple(
        (
            *(name, v.claim.property, f"{v.proved}/{v.total}"),
            *((str(v.by_identity),) if identity else ()),
            *(str(v.refuted),),
            *((str(v.refuted_numerically),) if numerically else ()),
            *(str(v.undecided), str(v.lattice)),
            *((law_text(v),) if moves else ()),
        )
        for name, v in found
    )
    note = "proved: for all inputs, over the reals. refuted: by a counterexample."
    if verdict.weights == "all":
        note = "proved: for all inputs and weights, over the reals. refuted: by a counterexample, with some weights."
    if identity:
        worst = max(v.identity.log2_error for _, v in found if v.identity is not None)
        note += (
            f" by identity: those of the proved that no certificate proves; decided in the field, "
            f"{error_words(worst)}."
        )
    if numerically:
        note += " numerically: refuted by a difference far above rounding, which was measured, not bounded."
    return Table(
        f"{verdict.model}: circular, {sizes_text(verdict.grid)}, {weights_words(verdict)}",
        columns,
        rows,
        numbers=frozenset(range(2, columns.index("lattice"))),
        flexible=frozenset({0}),
        note=note,
        optional=(columns.index("output moves"),) if moves else (),
    )


def law_text(verdict: PropertyVerdict) -> str:
    """How far the output moves, such as `Δ/2`; "" for invariance."""
    if verdict.claim.property == "invariance" or not verdict.proofs:
        return ""
    ratios = set()
    for proof in verdict.proofs:
        for axis, step in enumerate(proof.shift):
            if step and sum(map(bool, proof.shift)) == 1:
                moved = [m for m in proof.output_shift if m]
                ratios.add((step, moved[0] if len(moved) == 1 else None, axis))
    words = {_ratio(step, moved) for step, moved, _ in ratios}
    if len(words) == 1 and None not in words:
        return str(words.pop())
    return ", ".join(f"{p.shift}→{p.output_shift}" for p in verdict.proofs)


def _ratio(step: int, moved: int | None) -> str | None:
    if moved is None:
        return None
    if step == moved:
        return "Δ"
    if step % moved == 0:
        return f"Δ/{step // moved}"
    return f"{moved // step}Δ" if moved % step == 0 else f"{moved}Δ/{step}"


def _chain(verdict: Verdict) -> Table:
    """One row a layer: the lattice up to it, and why it shrank there."""
    columns = ("layer", "source", "lattice so far", "why it shrinks", "cheapest repair")
    rows = []
    for layer in verdict.layers:
        why = shrinking(verdict, layer)
        reasons = list(dict.fromkeys(reason for reason, _ in why))
        repairs = list(dict.fromkeys(repair for _, repair in why))
        rows.append(
            (layer.name, layer.source, layer.lattice, "; ".join(reasons), "; ".join(repairs))
        )
    return Table(
        "Layer by layer",
        columns,
        tuple(rows),
        flexible=frozenset({0, 1, 3, 4}),
        note="lattice so far: the shifts under which the layer is proved to move as a whole, or to stay"
        + (", by the kernel alone." if verdict.identities else "."),
        optional=(1,),
    )


def field_words(layer: LayerVerdict) -> tuple[str, str]:
    """Receptive field and jump, once where all axes agree, such as `5` and `2`."""
    sizes = [
        "–" if f is None else "whole image" if f.size is None else str(f.size) for f in layer.fields
    ]
    jumps = ["–" if f is None or f.jump is None else str(f.jump) for f in layer.fields]
    return once(sizes), once(jumps)


def shrinking(verdict: Verdict, layer: LayerVerdict) -> list[tuple[str, str]]:
    """Why the lattice shrinks at a layer, each reason once with its cheapest repair."""
    why = (
        (cause.words + _place(cause.source, layer.source), cause.repair)
        for cause in verdict.causes
        if cause.layer == layer.name
    )
    return list(dict.fromkeys(why))


def _place(source: str, known: str) -> str:
    """The line of a cause, where it is not that of the layer."""
    return f" ({source})" if source and source != known else ""


def verdict_text(verdict: Verdict) -> list[str]:
    """Maps drawn with characters, one per output and property."""
    parts = []
    for output in verdict.outputs:
        for v in output.properties:
            drawn = text_map(v)
            if drawn:
                words = ", ".join(f"{GLYPHS[w]} {w}" for w in Word if w in v.words)
                parts.append(
                    f"{v.claim.property} of {output.name}: {words}; shift 0 is ringed by [ ]\n{drawn}"
                )
    return parts


def text_map(verdict: PropertyVerdict) -> str:
    """The map with one character per shift, shift 0 in the middle; "" where it is too large or not flat.

    Args:
        verdict: of one property.
    """
    words = verdict.map
    if words.ndim > 2 or max(words.shape) > MOST_ROWS:
        return ""
    rows = centred(words)
    middle = rows.shape[0] // 2, rows.shape[1] // 2
    lines = []
    for i, row in enumerate(rows):
        cells = [f" {GLYPHS[Word(int(word))]}" for word in row]
        line = "".join(cells) + " "
        if i == middle[0]:
            place = 2 * middle[1]
            line = f"{line[:place]}[{line[place + 1]}]{line[place + 3 :]}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def evidence_table(verdict: Verdict) -> Table:
    """One row per proof and counterexample; everything else follows from these."""
    rows = []
    for output in verdict.outputs:
        for v in output.properties:
            rows += [
                (output.name, v.claim.property, str(p.shift), "proved", v.evidence(p.shift).text)
                for p in v.proofs
            ]
            rows += [
                (output.name, v.claim.property, str(w.shift), "refuted", witness_text(w))
                for w in v.witnesses
            ]
    return Table(
        "Evidence",
        ("output", "property", "shift", "word", "by"),
        tuple(rows),
        flexible=frozenset({0, 4}),
        note="All other shifts follow: those that keep a property form a group.",
    )


def witness_text(witness: Witness) -> str:
    """How strongly a counterexample refutes, and on what."""
    deviation, count = witness.difference.deviation, int(np.count_nonzero(witness.image))
    values = "one non-zero value" if count == 1 else f"{count} non-zero values"
    others = len(witness.others)
    if others:
        values += f", with {others} more {'image' if others == 1 else 'images'}, and no output shift fits them all"
    return f"differs by {deviation:.4g} ({witness.strength}); {values}, {witness.whose}, {witness.trial.dtype}"
