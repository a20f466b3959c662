"""The proved checker: a function in Coq that reads certificates, with the theorem that what it accepts holds.

    Facts.v       factors, coordinates, and when one fact follows from another
    Parts.v       axes of several parts, side by side
    Semantics.v   programs, models, shifts and statements: what the theorem is about
    Indices.v     lemmas about indices, products of lists, and labels
    Rules.v       what is given, maps, broadcasts, reshapes, transpositions
    Rolls.v       constants that rolls leave as they are
    Orders.v      whole periods, whose cells are taken in another order
    Views.v       slices, padding, windows, functions of whole operands
    Picks.v       positions from a list
    Mixtures.v    reductions, and arrays side by side
    Sums.v        sums of cells, and arrays of such sums
    Folds.v       folds: sums that are moved, and padded by zeros
    Laps.v        weighted sums over windows, which make folds
    Additions.v   sums along axes, which end folds
    Turns.v       by how much a shift turns the cells of a spectrum
    Spectra.v     cells that are turned, and moved, added up or multiplied
    Fourier.v     the transforms that make spectra, and end them
    Slices.v      slices of one array that are glued together again
    Checker.v     the checker
    Nodes.v       what it knows of a node is right: of cells, and of sums of cells
    Turned.v      the same of cells that are turned back
    Walk.v        and of all nodes, one after another
    Torus.v       what follows for the output, and for all shifts that the generators reach
    Scenes.v      the same of a scene
    Soundness.v   `checked_statements_hold`: where it says `Proved`, every model of the program is as stated
    Examples.v    a network, its models, and certificates that are refused
    Transposed.v  the same of a transposed convolution
    Tokens.v      the same of a token beside the cells of an image
    Frames.v      the same of a network that sees a scene
    Filters.v     the same of a product of spectra
    Lists.v       positions that follow a pattern, and others that are refused
    Masks.v       constants that a roll leaves as they are, and others that are refused

    python -m proofs checker FILE...    check files with it; without files, the golden certificates

A certificate becomes a term (`terms`), which Coq evaluates. What an operation means stands in `Semantics.v`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proofs import coq
from proofs.checker import terms
from shiftproof_kernel import Refusal
from shiftproof_kernel.certificate import SCHEMA

SOURCES = Path(__file__).parent
THEOREMS: Mapping[str, tuple[str, ...]] = {
    "Facts": ("follows_right",),
    "Parts": ("follows_axis_right", "follows_places_right"),
    "Semantics": (),
    "Indices": (),
    "Rules": (
        "image_right",
        "constant_right",
        "maps_right",
        "broadcast_right",
        "transpose_right",
        "reshape_right",
    ),
    "Rolls": ("rolled_right",),
    "Orders": (),
    "Views": ("take_right", "pad_right", "window_right"),
    "Picks": ("pick_right",),
    "Mixtures": ("mix_right", "concat_right"),
    "Sums": (),
    "Folds": (
        "reshape_sums_right",
        "transpose_sums_right",
        "sums_along",
        "padded_laps_right",
        "reshape_fold_right",
        "transpose_fold_right",
        "take_fold_right",
        "pad_fold_right",
    ),
    "Laps": ("laps_meet", "laps_right"),
    "Additions": ("sum_fold_right",),
    "Turns": ("cancels_right",),
    "Spectra": (),
    "Fourier": ("fourier_right",),
    "Slices": ("origin_right",),
    "Checker": (),
    "Nodes": (),
    "Turned": (),
    "Walk": ("derived_right",),
    "Torus": (),
    "Scenes": (),
    "Soundness": ("checked_statements_hold",),
    "Examples": ("network_has_models", "network_is_invariant"),
    "Transposed": ("layer_has_models", "layer_moves"),
    "Tokens": ("tokens_have_models", "tokens_move"),
    "Frames": ("frame_has_models", "frame_moves"),
    "Filters": ("filter_has_models", "filter_moves"),
    "Lists": (),
    "Masks": (),
}
"""The theorems of each file; a file may use those before it."""

HEADER = (
    "From Coq Require Import ZArith List.",
    "From Shifts Require Import Facts Parts Turns Semantics Checker.",
    "Import ListNotations.",
    "Open Scope Z_scope.",
)
RESULT = re.compile(
    r"= (Proved|Refused|NotCovered)(?: \((AtNode|AtStatement) ?(\d*)\)| AtStatement)?\s*: result"
)
PROVED = "proved by the proved checker"


def judge(directory: Path, certificates: Sequence[Any]) -> list[str]:
    """What the checker, compiled into a directory, says of each certificate: Coq starts once.

    It is `proved by the proved checker`, `refused: ...` with the node, or `not covered: ...` with the operation.
    """
    said: dict[int, str] = {}
    definitions: list[str] = []
    for number, data in enumerate(certificates):
        try:
            definitions.append(terms.certificate(data, f"c{number}"))
        except Refusal as refusal:
            outside = str(refusal).startswith("not covered")
            said[number] = str(refusal) if outside else f"refused: {refusal}"
        except (KeyError, TypeError, AttributeError, IndexError, ValueError):
            said[number] = "refused: this is no certificate"
    asked = [number for number in range(len(certificates)) if number not in said]
    commands = {f"c{number}": f"Eval vm_compute in (check c{number})" for number in asked}
    answers = coq.answers(directory, [*HEADER, *definitions], commands) if asked else {}
    for number in asked:
        said[number] = _words(answers.get(f"c{number}", ""), certificates[number])
    return [said[number] for number in range(len(certificates))]


def judge_texts(directory: Path, texts: Sequence[str]) -> list[str]:
    """The same of certificates as read from files."""
    found = list(map(_read, texts))
    verdicts = iter(judge(directory, [data for data in found if not isinstance(data, Refusal)]))
    return [f"refused: {one}" if isinstance(one, Refusal) else next(verdicts) for one in found]


def _read(text: str) -> Any:
    """A certificate, or why it is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Refusal("format", f"this is no certificate: {error}")
    known = isinstance(data, Mapping) and data.get("schema") == SCHEMA
    return data if known else Refusal("format", f"this is no certificate of the schema {SCHEMA}")


def stated(text: str) -> str:
    """What the checker proves of a file that it accepts: counts, names and digests in it are not read."""
    data = json.loads(text)
    question = terms.asked(data)
    moves = [
        str(entry["shift"]) + (f" -> {entry['output_shift']}" if question.axes else "")
        for entry in data["generators"]
    ]
    along = f" along axes {list(question.axes)}" if question.axes else ""
    same = ", as the image does" if question.law == "same" else ""
    scene = question.boundary == "scene"
    box = f" of a scene, of cells in {data['statement']['interior']}" if scene else ""
    exact = ", where sums are exact" if terms.reads_sums(data) else ""
    if terms.reads_spectra(data):
        exact = ", where sums, products and Fourier transforms are exact"
    return f"{question.property}{along}{same}{box}{exact}, under all sums of {', '.join(moves)}"


def _words(answer: str, data: Any) -> str:
    """Coq's answer in words."""
    found = RESULT.search(answer)
    if found is None:
        return "refused: Coq gives no answer"
    result, _, node = found.groups()
    if result == "Proved":
        return PROVED
    if result == "Refused":
        return f"refused: node {node}" if node else "refused: the statement does not follow"
    return f"not covered: {_uncovered(data, int(node))}" if node else "not covered: the conclusion"


def _uncovered(data: Any, number: int) -> str:
    """The operation of a node, and what about it is not covered."""
    node = data["program"]["nodes"][number]
    places = [*node["inputs"], number]
    kinds = {
        name
        for entry in data["generators"]
        for row in [terms.rows(entry)]
        for place in places
        for name in ({"fold"} if terms.has_folds(row[place]) else set())
        | terms.strangers(row[place])
    }
    of = f" of a {', '.join(sorted(kinds))}" if kinds else ""
    return f"{node['op']['kind']}{of} (node {number})"
