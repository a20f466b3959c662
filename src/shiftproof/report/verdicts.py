"""Verdicts in words, tables and characters.

The same tables stand in the terminal and on the page. Nothing depends on colour alone.
"""

import numpy as np

from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.region import Border, RegionVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.group import BOUNDARIES
from shiftproof.proving.identity import error_words
from shiftproof.refuting.witness import Witness
from shiftproof.report.cells import centred
from shiftproof.report.tables import Table, once, sizes_text

GLYPHS = {Word.PROVED: "█", Word.REFUTED: "·", Word.UNDECIDED: "?"}
MOST_ROWS = 40
"""Grids of more rows or columns are not drawn with characters."""


def summary_of(verdict: Verdict) -> str:
    """One sentence: what is proved, refuted and undecided of the outputs."""
    if verdict.boundary != "torus":
        return "; ".join(line.strip() for line in str(verdict).split("\n")) + "."
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
    """The counts, and the layer table."""
    counts = counts_table if verdict.boundary == "torus" else region_table
    return (counts(verdict), layer_table(verdict))


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
        _title(verdict),
        columns,
        rows,
        numbers=frozenset(range(2, columns.index("lattice"))),
        flexible=frozenset({0}),
        note=note,
        optional=(columns.index("output moves"),) if moves else (),
    )


def _title(verdict: Verdict) -> str:
    words = BOUNDARIES[verdict.boundary].words
    return f"{verdict.model}: {words}, {sizes_text(verdict.grid)}, {weights_words(verdict)}"


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


def region_table(verdict: Verdict) -> Table:
    """One row per output: how many cells of a scene, or places of an object, have which word."""
    regions = [(output.name, output.region) for output in verdict.outputs if output.region]
    unit = {"scene": "cells", "background": "places"}[verdict.boundary]
    between = any(region.between for _, region in regions)
    rows = tuple(
        (
            *(name, region.claim, f"{region.proved}/{region.total}"),
            f"{region.refuted}{'' if region.exact or not region.refuted else ' numerically'}",
            str(region.undecided),
            *((_between(region),) if between else ()),
        )
        for name, region in regions
    )
    columns = ("output", "property", f"{unit} proved", "refuted", "undecided")
    errors = {region.error for _, region in regions if region.error}
    note = f"proved: for all {'scenes' if unit == 'cells' else 'objects of this size'}"
    note += ", over the reals." if verdict.weights == "these" else " and weights, over the reals."
    note += f" Beyond certificates by identities in the field, {min(errors)}." if errors else ""
    if between:
        note += " between the steps: one shift of each smallest group that would hold more shifts."
    return Table(
        _title(verdict),
        (*columns, "between the steps") if between else columns,
        rows,
        numbers=frozenset({2, 3, 4}),
        flexible=frozenset({0, 5}),
        note=note,
    )


def _between(region: RegionVerdict) -> str:
    """The shifts between the steps, by their words."""
    told = []
    for word in Word:
        shifts = [str(shift) for shift, found in region.between.items() if found is word]
        told += [f"{', '.join(shifts)} {word}"] if shifts else []
    return "; ".join(told)


def region_text(verdict: Verdict) -> list[str]:
    """What is to be said of a scene or a background besides its summary and the tables."""
    gone, reasons = verdict.vanished, [o.region.reason for o in verdict.outputs if o.region]
    told = "" if gone is None else f"{gone.gone}."
    return [
        *(
            f"Undecided: {reason}."
            for reason in dict.fromkeys(reasons)
            if reason and reason not in told
        ),
        *(
            f"{layer.output}: the interior is no wider than one step, so nothing is claimed."
            for layer in verdict.layers
            if layer.output and layer.border and layer.border.proved and not layer.border.compared
        ),
        *verdict.notes,
    ]


def layer_table(
    verdict: Verdict, *, scene: Verdict | None = None, background: Verdict | None = None
) -> Table:
    """One row a layer: its lattice, receptive field and jump, what is left on a scene and a background, and the cause.

    Args:
        verdict: the rows of which are shown.
        scene: a verdict on the same model as a window on a scene, of which the interiors are shown too.
        background: likewise, of which the places are shown.
    """
    borders = [row.border for row in (scene or verdict).layers]
    places = [row.places for row in (background or verdict).layers]
    columns = {
        "layer": [row.name for row in verdict.layers],
        "source": [row.source for row in verdict.layers],
        "lattice so far": [row.lattice for row in verdict.layers],
        "field": [field_words(row)[0] for row in verdict.layers],
        "jump": [field_words(row)[1] for row in verdict.layers],
        "value": [sizes_text(row.shape[1:]) for row in verdict.layers],
    }
    if any(borders):
        columns["interior"] = [interior_words(border) for border in borders]
        columns["cells"] = ["" if b is None else f"{b.left[0]}/{b.left[1]}" for b in borders]
    if any(places):
        columns["places"] = [
            "" if p is None else f"{p.count(Word.PROVED)}/{p.total}" for p in places
        ]
    why = [shrinking(verdict, row) for row in verdict.layers]
    columns["why it shrinks"] = ["; ".join(dict.fromkeys(w for w, _ in row)) for row in why]
    columns["what may help"] = ["; ".join(dict.fromkeys(r for _, r in row)) for row in why]
    names = tuple(columns)
    note = (
        "lattice so far: the shifts under which the layer is proved to move as a whole, or to stay"
    )
    note += ", by the kernel alone." if verdict.identities or verdict.boundary != "torus" else "."
    note += " field: pixels that a cell depends on; jump: pixels from one cell to the next."
    note += " interior, cells: proved to move with a scene." if any(borders) else ""
    note += " places: at which it is proved to move with the object." if any(places) else ""
    bounds = [x.error for x in (*borders, *places) if x is not None and x.error]
    note += f" Cells and places beyond certificates by identities, {bounds[0]}." if bounds else ""
    return Table(
        "Layer by layer",
        names,
        tuple(zip(*columns.values(), strict=True)),
        numbers=frozenset(
            names.index(n) for n in ("field", "jump", "cells", "places") if n in names
        ),
        flexible=frozenset(
            names.index(n) for n in ("layer", "source", "why it shrinks", "what may help")
        ),
        note=note,
        optional=tuple(
            names.index(n) for n in ("value", "source", "jump", "field", "what may help")
        ),
    )


def interior_words(border: Border | None) -> str:
    """The first and last cell of an interior along each axis, once where all axes agree."""
    if border is None:
        return ""
    spans = [f"{r.low}..{r.high - 1}" if not r.lost else "none" for r in border.reaches]
    return once(spans) if border.proved else "none"


def field_words(layer: LayerVerdict) -> tuple[str, str]:
    """Receptive field and jump, once where all axes agree, such as `5` and `2`."""
    sizes = [
        "–" if f is None else "whole image" if f.size is None else str(f.size) for f in layer.fields
    ]
    jumps = ["–" if f is None or f.jump is None else str(f.jump) for f in layer.fields]
    return once(sizes), once(jumps)


def shrinking(verdict: Verdict, layer: LayerVerdict) -> list[tuple[str, str]]:
    """Why the lattice shrinks at a layer, each reason once with a change that may help."""
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
