"""Messages of assertions: what a failing test prints, on one screen of 80 columns, without colour.

Labels in a column, and beside them which shifts fail, the smallest one with its counterexample drawn in characters,
the layer and the user's line, the cheapest repair, and how to replay it.
"""

import hashlib
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shiftproof.answer import because
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.region import NUMERICALLY, RegionVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.errors import UndecidedError
from shiftproof.files import file_name, private_folder
from shiftproof.group import Lattice, Shift, nearest
from shiftproof.proving.causes import Cause
from shiftproof.refuting.counterexample import from_witness, replay_options
from shiftproof.refuting.nearby import witness_nearby
from shiftproof.refuting.witness import Witness
from shiftproof.sweeping.result import Property, Status, Sweep, axis_names

WIDTH = 72
"""Columns of a message, which pytest indents."""

INDENT = 14
"""Where the text of a message's rows begins."""

WIDEST = 16
"""Rows and columns of an image that are drawn."""

MARGIN = 2
"""Zeros that are drawn around the content of an image."""


def residues(lattice: Lattice) -> tuple[str, str]:
    """The shifts of a lattice, and all others, in words.

    >>> residues(Lattice((8, 8), ((2, 0), (0, 1))))
    ('all with dy even', 'all with dy odd')
    """
    steps = lattice.steps
    names = axis_names(len(lattice.grid))
    if steps is None:
        return f"those of {lattice}", f"all outside {lattice}"
    if lattice.count == 1:
        return "shift 0 alone", "every shift but 0"
    kept, broken = [], []
    for axis, step, size in zip(names, steps, lattice.grid, strict=True):
        if step == 1:
            continue
        if step == size:
            kept.append(f"{axis} = 0")
            broken.append(f"{axis} not 0")
        elif step == 2:
            kept.append(f"{axis} even")
            broken.append(f"{axis} odd")
        else:
            kept.append(f"{axis} a multiple of {step}")
            broken.append(f"{axis} no multiple of {step}")
    return ("all with " + " and ".join(kept) if kept else "all"), (
        "all with " + " or ".join(broken) if broken else "none"
    )


def undecided_text(name: str, found: PropertyVerdict, asked: np.ndarray) -> str:
    """What is neither proved nor refuted, and why; below it what to do.

    Args:
        name: of the output.
        found: the verdict on the property.
        asked: mask of the shifts asked about.
    """
    left = asked & (found.map == Word.UNDECIDED)
    shift = _smallest(left)
    told = (
        f"{found.claim.property} of {name} is undecided under {int(left.sum())} of "
        f"{int(asked.sum())} shifts asked: neither proved nor refuted."
    )
    rows = [
        ("smallest", steps_text(shift)),
        ("because", found.reason(tuple(s % n for s, n in zip(shift, left.shape, strict=True)))),
        ("to do", 'write that line in another way, or accept what was only seen: evidence="sweep"'),
    ]
    return _unanswered(told, rows)


def uncertified_text(name: str, found: PropertyVerdict, asked: np.ndarray) -> str:
    """What is decided by an identity alone, where certificates are asked for; arguments as for `undecided_text`."""
    left = asked & (found.certified_map == Word.UNDECIDED)
    shift = _smallest(left)
    bound = "" if found.identity is None else f", {found.identity.error}"
    told = (
        f"{found.claim.property} of {name} is decided by an identity in the field{bound}, but not certified, under "
        f"{int(left.sum())} of {int(asked.sum())} shifts asked."
    )
    certified = found.certified_map == Word.PROVED
    rows = [
        ("certified", f"{int((asked & certified).sum())} of {int(asked.sum())} shifts asked"),
        ("smallest", f"{steps_text(shift)}: {found.evidence(shift).text}"),
        (
            "to do",
            'accept identities: evidence="proof"; or ask only about the shifts that have a certificate',
        ),
    ]
    return _unanswered(told, rows)


def failure_text(
    verdict: Verdict, found: PropertyVerdict, failing: np.ndarray, *, verified: str = ""
) -> str:
    """The cause with layer and line, the repair, which shifts, the smallest with its image drawn, and how to replay.

    Args:
        verdict: of the model.
        found: of the property.
        failing: mask of the refuted shifts asked about.
        verified: the cheapest repair that was proved; "" where there is none.
    """
    shift = _smallest(failing)
    evidence = found.evidence(shift)
    assert evidence.witness is not None, "a refuted shift has a witness"
    nearer = witness_nearby(
        evidence.witness, evidence.shift, evidence.multiple, verdict.spatial_axes
    )
    witness = nearer or evidence.witness
    rows, cause = [], _cause_of(verdict, shift)
    if cause is not None:
        rows.append(("because", because(cause)))
        rows.append(("repair", verified) if verified else ("to do", cause.repair))
    rows.append(("fails for", residues(found.lattice)[1]))
    if nearer is None:
        rows.append(("smallest", f"{steps_text(shift)}: {evidence.text}"))
    at = shift if nearer else witness.shift
    shown = f"{steps_text(at)}: the outputs differ by {_strength(witness)}, for this image:"
    lines = label_rows([*rows, ("smallest" if nearer else "example", shown)])
    lines += [" " * INDENT + line for line in draw_image(witness.image, verdict.spatial_axes)]
    return "\n".join([*lines, *_replay_lines(verdict, witness)])


def kept_text(found: PropertyVerdict, kept: np.ndarray) -> str:
    """What holds although it should not."""
    shift = _smallest(kept)
    rows = [
        ("holds for", residues(found.lattice)[0]),
        ("smallest", f"{steps_text(shift)}: {found.evidence(shift).text}"),
    ]
    return "\n".join(label_rows(rows))


def swept_text(
    everything: Sweep, property: Property, output: str, bad: np.ndarray, *, breaks: bool = False
) -> str:
    """What a sweep of all layers says of the smallest shift that fails."""
    torus = everything.is_torus
    starts = [room[0] for room in everything.ranges]
    if torus:
        shift = _smallest(bad)
    else:
        moved = np.argwhere(bad) + starts
        shift = tuple(int(i) for i in moved[np.argmin(np.abs(moved).sum(1))])
    place = tuple((s - first) % n for s, first, n in zip(shift, starts, bad.shape, strict=True))
    deviation = getattr(everything, property)[everything.index(output)][place]
    told = f"the outputs deviate by {deviation:.4g}"
    if np.isnan(deviation):
        told = "the output would move by no whole number of cells"
    rows = [("smallest", f"{steps_text(shift)}: {told}")]
    lattice = everything.lattice(property, output) if torus else None
    if lattice is not None:
        kept, lost = residues(lattice)
        rows.insert(0, ("holds for", kept) if breaks else ("fails for", lost))
    if breaks:
        return "\n".join(label_rows(rows))
    if property == "equivariance":
        broken = (
            layer
            for layer in everything.layers
            if layer.has_grid and everything.status(property, layer.name)[place] != Status.EQUAL
        )
        first = next(broken, None)
        if first is not None:
            rows.append(("breaks at", f"{first.name} ({first.source})"))
    return "\n".join(label_rows(rows))


def scene_text(
    row: LayerVerdict, asked: Sequence[int], refuted: Sequence[Shift], *, exact: bool
) -> str:
    """What is not proved of an output that is to move with a scene.

    Args:
        row: of the output.
        asked: the step asked for along each axis.
        refuted: shifts between the steps that a counterexample refutes.
        exact: whether it does so exactly.
    """
    assert row.border is not None
    inside, cells = row.border.left
    steps = " x ".join(str(reach.step or "?") for reach in row.border.reaches)
    enough, gone = row.border.proved and row.border.compared, row.gone
    rows = [("asked", f"steps of {' x '.join(map(str, asked))} pixels")]
    if enough:
        rows.append(("proved", f"{inside} of {cells} cells move, in steps of {steps} pixels"))
    elif row.border.proved:
        gone = (
            f"the interior, {inside} of {cells} cells, is no wider than one step of {steps} pixels"
        )
    how = "" if exact else NUMERICALLY
    if refuted:
        rows.append(
            ("refuted", f"shifts by {', '.join(map(str, refuted))}, by a counterexample{how}")
        )
    if gone:
        rows.append(("because", gone))
    remedy = (
        "ask for multiples of these steps, by stride="
        if enough
        else "larger images, or less padding"
    )
    rows.append(("to do", f'{remedy}; evidence="sweep" accepts what was only seen'))
    return "\n".join(label_rows(rows))


def region_text(verdict: Verdict, output: str, region: RegionVerdict) -> str:
    """What is not proved of an output that is to move with an object on a background."""
    row = next(row for row in verdict.layers if row.output == output)
    lost = next((x for x in verdict.layers if x.places and x.places.count(Word.REFUTED)), row)
    rows = [("holds", f"at {region.proved} of {region.total} places")]
    if region.refuted:
        how = "" if region.exact else NUMERICALLY
        rows.append(("refuted", f"at {region.refuted}, by integer objects{how}"))
        rows.append(("breaks at", f"{lost.name} ({lost.source})"))
    if region.undecided:
        rows.append(("undecided", f"at {region.undecided}: {region.reason or verdict.notes[-1]}"))
    return "\n".join(label_rows(rows))


def head(text: str, kind: type[Exception] = AssertionError) -> str:
    """The first sentence, wrapped, with room for the name of the exception that pytest puts before it."""
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    room = " " * len(f"{module}{kind.__name__}: ")
    told = textwrap.fill(text, WIDTH, initial_indent=room, subsequent_indent="  ")
    return told.lstrip() + "\n"


def _unanswered(sentence: str, rows: Sequence[tuple[str, str]]) -> str:
    """The message of an `UndecidedError`."""
    return head(sentence, UndecidedError) + "\n".join(label_rows(rows))


def label_rows(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Labels in a column, texts beside them, wrapped."""
    lines = []
    for label, text in rows:
        width = WIDTH - INDENT
        first, *others = textwrap.wrap(
            text, width, break_on_hyphens=False, break_long_words=False
        ) or [""]
        lines.append(f"  {label:<{INDENT - 4}}  {first}")
        lines += [" " * INDENT + line for line in others]
    return lines


def _cause_of(verdict: Verdict, shift: Shift) -> Cause | None:
    """The first equation that this shift does not survive: a multiple of the step before it, and not of that behind."""
    steps = [s % n for s, n in zip(shift, verdict.grid, strict=True)]
    for cause in verdict.causes:
        step = steps[cause.axis]
        if step and step % cause.before == 0 and step % cause.after:
            return cause
    return next(iter(verdict.causes), None)


def _smallest(mask: np.ndarray) -> Shift:
    """The shift of the mask nearest to 0 on the torus."""
    return nearest(mask, 1)[0]


def steps_text(shift: Shift) -> str:
    """A shift with the names of its axes, such as `(dy=0, dx=1)`."""
    names = axis_names(len(shift))
    return "(" + ", ".join(f"{n}={s}" for n, s in zip(names, shift, strict=True)) + ")"


def _strength(witness: Witness) -> str:
    """The difference, and why it counts."""
    others = len(witness.others)
    more = f", on one of {others + 1} images that no output shift fits together" if others else ""
    return f"{witness.difference.deviation:.4g} ({witness.strength}, with {witness.whose}{more})"


def draw_image(image: np.ndarray, axes: Sequence[int]) -> list[str]:
    """Rows of characters: `.` for 0, digits for magnitudes (`+` above 9); the channel of largest magnitude.

    Args:
        image: one image.
        axes: its grid axes; of more than two the slice with the largest value is drawn.
    """
    others = tuple(axis for axis in range(image.ndim) if axis not in axes)
    flat = np.max(np.abs(image), axis=others) if others else np.abs(image)
    while flat.ndim > 2:
        flat = flat[int(np.argmax(flat.reshape(len(flat), -1).max(1)))]
    rows = flat[None] if flat.ndim == 1 else flat
    places = np.argwhere(rows) if rows.any() else np.zeros((1, 2), int)
    first = np.maximum(places.min(0) - MARGIN, 0)
    last = np.minimum(np.minimum(places.max(0) + MARGIN + 1, rows.shape), first + WIDEST)
    note = []
    if tuple(last - first) != rows.shape:
        note = [
            f"(rows from {first[0]}, columns from {first[1]}, of {rows.shape[0]}x{rows.shape[1]})"
        ]
    rows = rows[first[0] : last[0], first[1] : last[1]]

    def glyph(value: float) -> str:
        return "." if value == 0 else "+" if value > 9 else str(max(1, round(value)))

    return [" ".join(glyph(float(v)) for v in row) for row in rows] + note


def _replay_lines(verdict: Verdict, witness: Witness) -> list[str]:
    """The command that runs the counterexample again; why there is none where the file cannot be written."""
    try:
        stored = _stored(verdict, witness)
    except OSError as error:  # a full disk, a folder of another user: the message matters more
        return label_rows([("not saved", f"the counterexample: {error}")])
    options = replay_options(verdict.spatial_axes, verdict.shape)
    return [
        f"  {'replay':<{INDENT - 4}}  shiftproof replay --target YOUR_FILE.py:FACTORY{options} \\",
        " " * INDENT + str(stored),
    ]


def _stored(verdict: Verdict, witness: Witness) -> Path:
    """The counterexample as a file of this user; of two models with one name each has its own.

    Raises:
        OSError: it cannot be written.
    """
    example = from_witness(witness, model=verdict.model, spatial_axes=verdict.spatial_axes)
    h = example.header
    told = f"{h.program}{h.weights_sha256}{h.arrays}{h.law}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:8]
    steps = "_".join(map(str, witness.shift))
    name = f"{h.model}.{h.output}.{h.property}.{steps}.{digest}.counterexample.npz"
    return example.save(private_folder() / file_name(re.sub(r"[^\w.-]", "_", name)))
