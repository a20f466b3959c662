"""What the page of the demo shows first: two definitions, break maps, then one digit at three places.

sweep of one digit -> a map and a sentence per layer
the digit at three places -> which networks give the same scores, and Figure 1
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from shiftproof.demo.sweeps import Swept, pictured
from shiftproof.demo.train import Network, Variant
from shiftproof.group import Lattice, Shift
from shiftproof.proving.layers import find_layers
from shiftproof.report.activations import Strip, activation_figure
from shiftproof.report.html import (
    Folded,
    Gallery,
    Picture,
    Prose,
    Reference,
    Section,
    Terms,
)
from shiftproof.report.maps import single_maps, to_png
from shiftproof.report.tables import Table, question_of
from shiftproof.sweeping.checks import read_values
from shiftproof.sweeping.result import Status
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import fixed_values
from shiftproof.training import scores

SHIFTS = ((0, 0), (0, 1), (4, 4))
"""The three positions of Figure 1: at rest, off every stride, on every stride."""
MAPPED = Variant("CIRCULAR", 2, "global")
"""The network whose break maps stand first; the README shows the same maps."""
SCORED = (
    Variant("CIRCULAR", 2),
    MAPPED,
    Variant("CIRCULAR", 1, "global"),
    Variant(None),
)
"""The networks whose scores Figure 1 shows."""
OPENING = (
    Terms(
        (
            ("equivariance", "the output moves when the image does: f(T x) = T′ f(x)."),
            ("invariance", "the output stays the same: f(T x) = f(x)."),
        )
    ),
    Reference(
        "What courses say about this, each claim stated exactly and decided (also by the command shiftproof claims):",
        "the audited claims",
        "claims/audit.html",
    ),
    Prose(
        "Small networks were trained on real digits. A name says how the convolutions pad (circular: the image wraps "
        "around; SAME: zeros), the stride of the two max pools, and the head: flatten, where a dense layer reads every "
        "position, or global, where it reads the mean over all positions. The dense net has no convolutions. A shift "
        "T by (dy, dx) moves the image so many pixels down and to the right, and T′ the output; what leaves on one "
        "side enters on the other."
    ),
)
"""What stands before everything else."""


# --- break maps ---


def break_map_section(swept: Mapping[str, Swept]) -> Section:
    """The map of every layer of one network on one image, each with a sentence."""
    shown = swept.get(MAPPED.name) or pictured(swept)
    network, sweep = shown.network.variant.name, shown.digit
    pictures = [
        Picture(to_png(figure), f"Break map of {layer}", _layer_sentence(shown, layer), title=layer)
        for layer, figure in single_maps(sweep).items()
    ]
    counts = ", ".join(
        f"{layer.name} {sweep.count(question_of(layer), layer.name).equal}"
        for layer in sweep.layers
    )
    total = sweep.count("invariance").total
    return Section(
        "Which shifts does each layer follow?",
        (
            answer(
                f"Of {total} shifts, in {network} on one digit: {counts}.",
                "A convolution that wraps around computes the same sum at every place, so it moves with every shift. A "
                "pool of stride 2 looks at every second place, so it keeps every second shift in each direction; a "
                "second one keeps every fourth.",
            ),
            Prose(
                "One square is one shift, shift (0, 0) in the middle. Blue: the layer moves with the image, or stays "
                "the same. Yellow to red: it differs, red the most."
            ),
            Gallery(tuple(pictures)),
        ),
    )


def answer(text: str, why: str) -> Terms:
    """What a section found, and the reason."""
    return Terms((("Answer", text), ("Why", why)))


def _layer_sentence(swept: Swept, layer: str) -> str:
    """Such as `moves with the image under 196 of 784 shifts, the multiples of 2 in every direction (stride 2)`."""
    sweep = swept.digit
    asked = question_of(sweep.layers[sweep.index(layer)])
    verb = {"equivariance": "moves with the image", "invariance": "stays the same"}[asked]
    count = sweep.count(asked, layer)
    if count.equal == count.total:
        return f"{verb} under all {count.total} shifts."
    # one layer may lose shifts along every axis for the same reason
    why = dict.fromkeys(cause.words for cause in swept.verdict.causes if cause.layer == layer)
    reason = f" ({', '.join(why)})" if why else ""
    return f"{verb} under {count.equal} of {count.total} shifts{_which(sweep.lattice(asked, layer))}{reason}."


def _which(lattice: Lattice | None) -> str:
    """A lattice of few shifts in words, after a comma; "" where there is none."""
    if lattice is None:
        return ""
    if lattice.count == 1:
        return ", only where nothing moves"
    if lattice.steps is not None and len(set(lattice.steps)) == 1:
        return f", the multiples of {lattice.steps[0]} in every direction"
    return f", {lattice}"


# --- one digit at three places ---


def position_section(
    results: Mapping[str, Any], figures: Mapping[str, bytes], swept: Mapping[str, Swept]
) -> Section:
    """The digit at three places, which networks answer the same there, and Figure 1."""
    positions = ", ".join(map(str, SHIFTS))
    inside = (
        f"Figure 1. {results['pictured']} Inside {results['layers_of']}: of each layer with a grid its most active "
        "channel. Blue: a moved copy. Red: the largest difference from a moved copy."
    )
    outside = (
        "The class scores (softmax) of a few networks for the same three images, the largest in black. Blue: the same "
        "scores. Red: the largest difference."
    )
    return Section(
        "One digit at three places: are the scores the same?",
        (
            answer(
                " ".join(_same_at(shift, swept) for shift in SHIFTS[1:]),
                "The shift (4, 4) is a multiple of 4, the two strides multiplied. (0, 1) is not, and a pool of "
                "stride 2 then sees other windows. A dense layer reads every position by its own weights, so its "
                "scores change whenever the maps below it move; a mean over all positions does not see where they "
                "are. Zero padding shows where the border is, if the digit comes near.",
            ),
            Picture(figures["figure1"], f"One image at the shifts {positions}, by layer", inside),
            Picture(figures["figure1-scores"], f"Class scores at the shifts {positions}", outside),
            Folded("What each network answers", (_answer_table(swept),)),
        ),
    )


def _same_at(shift: Shift, swept: Mapping[str, Swept]) -> str:
    """Which networks give the same scores for the moved digit."""
    same = [name for name, one in swept.items() if _answer(one, shift) == SAME_SCORES]
    words = f"the same scores from {len(same)} of {len(swept)} networks"
    return f"Moved by {shift}: {words}{': ' if same else ''}{', '.join(same)}."


SAME_SCORES, SAME_LABEL, OTHER_LABEL = "same scores", "same digit, other scores", "another digit"


def _answer(swept: Swept, shift: Shift) -> str:
    """What a network answers on the moved digit, compared with the digit at rest."""
    sweep = swept.digit
    at, output = sweep.at(shift), sweep.outputs[-1]
    if sweep.status("invariance", output)[at] == Status.EQUAL:
        return SAME_SCORES
    return SAME_LABEL if sweep.agreement[sweep.index(output)][at] == 1 else OTHER_LABEL


def _answer_table(swept: Mapping[str, Swept]) -> Table:
    moved = SHIFTS[1:]
    return Table(
        "Compared with the digit at rest",
        ("network", *(f"moved by {shift}" for shift in moved)),
        tuple((name, *(_answer(one, shift) for shift in moved)) for name, one in swept.items()),
        flexible=frozenset(range(len(SHIFTS))),
        note="On this one digit. What holds for every image is in the next section.",
    )


# --- Figure 1 ---


def figure_one(swept: Mapping[str, Swept], picture: np.ndarray) -> dict[str, Figure]:
    """The image at three positions: the layers of one CNN, and the scores of a few networks."""
    images = np.concatenate([np.roll(picture, shift, (1, 2)) for shift in SHIFTS])
    strips = [Strip("input", tuple(images[..., 0]), ("",) * len(SHIFTS), (None,) * len(SHIFTS))]
    strips += _layer_strips(pictured(swept), images)
    shown = [variant.name for variant in SCORED if variant.name in swept]
    bars = [_score_strip(swept[name], images) for name in shown or [*swept][-1:]]
    return {
        "figure1": activation_figure(strips, shifts=SHIFTS),
        "figure1-scores": activation_figure(bars, shifts=SHIFTS),
    }


def _layer_strips(swept: Swept, images: np.ndarray) -> list[Strip]:
    """For each layer with a grid the channel that is most active at rest."""
    network: Network = swept.network
    adapted = adapt(network.model)
    weights = adapted.cast("float32")
    program = trace_model(adapted, weights, images)
    layers = [layer for layer in find_layers(program, (1, 2)) if layer.has_grid]
    fixed = fixed_values(program, weights)
    (values,) = read_values(program, [x.value for x in layers], images, fixed=fixed)
    strips = []
    for layer, value in zip(layers, values, strict=True):
        channel = int(value[0].sum(axis=(0, 1)).argmax())
        notes, equal = _notes(swept, layer.name, alike="moved copy")
        strips.append(Strip(layer.name, tuple(value[..., channel]), notes, equal))
    return strips


def _score_strip(swept: Swept, images: np.ndarray) -> Strip:
    network = swept.network
    notes, equal = _notes(swept, swept.digit.outputs[-1], alike="same scores")
    title = network.variant.name.replace(" ", "\n", 1)
    return Strip(title, tuple(scores(network.model, images)), notes, equal)


def _notes(
    swept: Swept, layer: str, *, alike: str
) -> tuple[tuple[str, ...], tuple[bool | None, ...]]:
    """What the sweep says of each of the three shifts."""
    result = swept.digit
    record = result.layers[result.index(layer)]
    asked = question_of(record)
    status, deviation = result.status(asked, layer), getattr(result, asked)[result.index(layer)]
    mark = "=" if record.exact else "≈"
    notes: list[str] = [""]
    equal: list[bool | None] = [None]
    for shift in SHIFTS[1:]:
        at = result.at(shift)
        equal.append(bool(status[at] == Status.EQUAL))
        notes.append(f"{mark} {alike}" if equal[-1] else f"differs by {deviation[at]:.2g}")
    return tuple(notes), tuple(equal)
