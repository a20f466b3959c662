"""The page of a verdict: the map to be explored, the layers, the counterexamples, and how to check all of it.

The page holds the verdict as its JSON and one byte per shift and property; the evidence for a shift is worked out in
the browser, in the words of `PropertyVerdict.evidence`.
"""

import base64
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from shiftproof.answer import Answer
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.files import file_name, write_atomic
from shiftproof.group import Shift
from shiftproof.plain import plain
from shiftproof.refuting.counterexample import replay_options
from shiftproof.report.causes import NEAR, counterfactual_sections, near_dots
from shiftproof.report.html import (
    Block,
    Chain,
    Commands,
    Example,
    Explorer,
    Folded,
    Link,
    Prose,
    Section,
    write_report,
)
from shiftproof.report.maps import to_png
from shiftproof.report.pages import check_commands, write_all, write_json
from shiftproof.report.pictures import witness_tiles
from shiftproof.report.regions import report_region
from shiftproof.report.tables import Table
from shiftproof.report.verdict_figure import verdict_maps
from shiftproof.report.verdicts import (
    counts_table,
    evidence_table,
    layer_table,
    shrinking,
    summary_of,
    witness_text,
)

MOST_OPEN = 4
"""So many counterexamples stand open, of different properties; the others are folded."""


class VerdictFiles(NamedTuple):
    """Where the files of a verdict lie."""

    html: Path
    maps: Path
    json: Path
    certificates: tuple[Path, ...]
    counterexamples: tuple[Path, ...]
    identities: tuple[Path, ...]


def report_verdict(
    verdict: Verdict,
    directory: str | Path,
    *,
    target: str = "",
    counterfactuals: Mapping[str, Any] | None = None,
    answer: Answer | None = None,
) -> VerdictFiles:
    """Write `report.html`, `maps.png`, `verdict.json`, certificates, identities and counterexamples, each atomically.

    Args:
        verdict: what was decided.
        directory: made if it does not exist.
        target: how the command line found the model, to `replay` counterexamples on it.
        counterfactuals: what would hold without one cause or another, as `Counterfactuals.to_dict()`, where there is no
            answer.
        answer: what stands first; its counterfactuals follow, and what it says of other boundaries joins the layers.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = Path(directory)
    if verdict.boundary != "torus":
        certificates = report_region(verdict, directory, _answer_section(answer))
        return _files(directory, certificates)
    write_atomic(directory / "maps.png", to_png(verdict_maps(verdict)))
    write_json(directory / "verdict.json", verdict.to_dict())
    certificates = write_all(directory, "certificate", verdict.certificates)
    identities = write_all(directory, "identity", verdict.identities)
    examples = []
    for example in verdict.counterexamples(target):
        h = example.header
        steps = "_".join(map(str, h.shift))
        name = f"{h.output}.{h.property}.{steps}.counterexample.npz"
        examples.append(example.save(directory / file_name(name)))
    commands = check_commands(certificates)
    model = f"--target {shlex.quote(target or 'YOUR_FILE.py:NAME')}"
    options = replay_options(verdict.spatial_axes, verdict.shape)
    commands += [f"shiftproof replay {shlex.quote(e.name)} {model}{options}" for e in examples]
    write_report(
        directory / "report.html",
        f"{verdict.model}: every shift decided",
        summary=summary_of(verdict),
        sections=verdict_sections(verdict, commands, counterfactuals, answer),
    )
    return _files(directory, certificates, tuple(examples), identities)


def _files(
    directory: Path,
    certificates: tuple[Path, ...],
    examples: tuple[Path, ...] = (),
    identities: tuple[Path, ...] = (),
) -> VerdictFiles:
    names = ("report.html", "maps.png", "verdict.json")
    page, maps, data = (directory / name for name in names)
    return VerdictFiles(page, maps, data, certificates, examples, identities)


def verdict_sections(
    verdict: Verdict,
    commands: Sequence[str] = (),
    counterfactuals: Mapping[str, Any] | None = None,
    answer: Answer | None = None,
) -> tuple[Section, ...]:
    """The page, in order.

    Args:
        verdict: what was decided.
        commands: that check the files beside the page.
        counterfactuals: as plain data.
        answer: what stands first.
    """
    beyond = {} if answer is None else {"scene": answer.scene, "background": answer.background}
    if counterfactuals is None and answer is not None and answer.why is not None:
        counterfactuals = answer.why.to_dict()
    examples = verdict_examples(verdict)
    settings = tuple((k, v) for k, v in verdict.provenance.items())
    versions = Table("Versions", ("what", "value"), settings, flexible=frozenset({1}))
    sections = [
        *_answer_section(answer),
        Section("Every shift", (explorer(verdict, examples), *map(Prose, verdict.notes))),
        *_these_section(verdict),
        Section("Layer by layer", (verdict_chain(verdict, **beyond),)),
        *([] if counterfactuals is None else counterfactual_sections(counterfactuals)),
        *_example_section(examples),
        Section("Evidence", (counts_table(verdict), evidence_table(verdict), *_undecided(verdict))),
        Section(
            "Check it yourself", (*_checks(commands, verdict), Folded("Versions", (versions,)))
        ),
    ]
    return tuple(sections)


def _answer_section(answer: Answer | None) -> list[Section]:
    if answer is None:
        return []
    rows = tuple(
        ("" if i else name, text)
        for name, texts in answer.paragraphs
        for i, text in enumerate(texts)
    )
    return [Section("The answer", (Table("", ("", ""), rows, flexible=frozenset({1})),))]


def verdict_examples(verdict: Verdict, prefix: str = "") -> dict[str, list[Example]]:
    """The counterexamples of every property, drawn, in the order of its witnesses.

    Args:
        verdict: what was decided.
        prefix: of their keys, where several verdicts stand on one page.
    """
    drawn = {}
    for key, property in _properties(verdict).items():
        claim = property.claim
        law = {"equivariance": "T′ f(x), whichever T′", "invariance": "f(x)"}[claim.property]
        drawn[key] = [
            Example(
                f"{prefix}{key}.{number}",
                f"{claim.property.capitalize()} of {claim.output} fails under {witness.shift}: "
                f"f(T x) is not {law}. It {witness_text(witness)}.",
                witness_tiles(witness, verdict.spatial_axes),
            )
            for number, witness in enumerate(property.witnesses)
        ]
    return drawn


def explorer(verdict: Verdict, examples: Mapping[str, Sequence[Example]]) -> Explorer:
    """The maps of all properties: the verdict as its JSON, and one byte per shift and property.

    Args:
        verdict: what was decided.
        examples: from `verdict_examples`; they stand on the same page.
    """
    properties = _properties(verdict)
    words = {key: v.map.astype(np.uint8).tobytes() for key, v in properties.items()}
    data = {
        "verdict": verdict.to_dict(),
        "maps": {key: base64.b64encode(raw).decode("ascii") for key, raw in words.items()},
        "probes": {key: list(v.probes.items()) for key, v in properties.items()},
        "examples": {key: [{"key": e.key} for e in drawn] for key, drawn in examples.items()},
    }
    return Explorer(f"Every shift of {verdict.model}", summary_of(verdict), data)


def verdict_chain(
    verdict: Verdict, *, scene: Verdict | None = None, background: Verdict | None = None
) -> Chain:
    """The layer table, each row with the shifts near 0 under which the layer is proved to move as a whole, or to stay.

    Args:
        verdict: on the torus.
        scene: as for `layer_table`.
        background: likewise.
    """
    table = layer_table(verdict, scene=scene, background=background)
    *columns, _, _ = table.columns[1:]
    links = [
        Link(
            layer.name,
            near_dots(verdict.grid, _axis_shifts(layer.steps or verdict.grid)),
            row[1 : 1 + len(columns)],
            tuple(shrinking(verdict, layer)),
        )
        for layer, row in zip(verdict.layers, table.rows, strict=True)
    ]
    note = (
        f"Blue dots: the shifts by at most {NEAR} pixels of the lattice so far; the middle is shift 0. 2Z × 2Z are the "
        f"shifts by even steps. Red: why a lattice shrinks, then what may help. {table.note}"
    )
    return Chain("layer", (*columns, "why → what may help"), tuple(links), note)


def _axis_shifts(steps: Sequence[int]) -> list[Shift]:
    """The shift by each step along its own axis."""
    return [tuple(s if a == axis else 0 for a in range(len(steps))) for axis, s in enumerate(steps)]


def _these_section(verdict: Verdict) -> list[Section]:
    """The verdict on the model's own weights, where it was made as well."""
    if verdict.these is None:
        return []
    examples = verdict_examples(verdict.these, "these.")
    drawn = [example for each in examples.values() for example in each]
    blocks: list[Block] = [Prose(summary_of(verdict.these)), explorer(verdict.these, examples)]
    blocks += [Folded("Counterexamples", tuple(drawn))] if drawn else []
    return [Section("With the model's own weights", tuple(blocks))]


def _example_section(examples: Mapping[str, Sequence[Example]]) -> list[Section]:
    drawn = [example for each in examples.values() for example in each]
    if not drawn:
        return []
    shown = [each[0] for each in examples.values() if each][:MOST_OPEN]
    guide = Prose(
        "Each shows an image x on which the property fails, the shifted image T x, and what the model makes of "
        "both. Black is positive, orange negative, paper is zero; red is where the outputs differ."
    )
    rest = [example for example in drawn if example not in shown]
    folded = (Folded(f"{len(rest)} more", tuple(rest)),) if rest else ()
    return [Section("Counterexamples", (guide, *shown, *folded))]


def _checks(commands: Sequence[str], verdict: Verdict) -> list[Block]:
    blocks: list[Block] = []
    if commands:
        what = {
            "certificates": "check replays a proof in a small kernel that needs no JAX",
            "witnesses": "replay runs a counterexample again on the compiled model",
        }
        told = "; ".join(text for files, text in what.items() if getattr(verdict, files))
        blocks += [
            Prose(f"In the folder of this page: {told}."),
            Commands("\n".join(map(plain, commands))),
        ]
    if commands and verdict.identities:
        blocks.append(
            Prose(
                "An identity has no certificate. Its file holds the shifts, the primes and the seed. To decide it "
                "again, verify the model with another seed, or with the option exhaustive, which tries every shift by "
                "itself."
            )
        )
    return blocks


def _undecided(verdict: Verdict) -> list[Prose]:
    return [
        Prose(
            f"{v.claim.property} of {v.claim.output} under {shift} is undecided: {v.reason(shift)}"
        )
        for v in _properties(verdict).values()
        for shift in v.reasons
    ]


def _properties(verdict: Verdict) -> dict[str, PropertyVerdict]:
    """By `output.property`."""
    return {f"{o.name}.{v.claim.property}": v for o in verdict.outputs for v in o.properties}
