"""What the page of the demo shows first: break maps with a sentence each, then one digit at three places.

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
from shiftproof.report.html import Gallery, Picture, Prose, Section
from shiftproof.report.maps import single_maps, to_png
from shiftproof.report.pictures import INK, PAPER, encode_png
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
HEADINGS = {
    "convolutions.0": "conv1",
    "max_pool": "pool1",
    "convolutions.1": "conv2",
    "max_pool_2": "pool2",
    "reshape": "flat",
}
"""Short names of the layers."""
ENLARGED = 8
"""Pixels of the screen, along each axis, for one pixel of a digit."""


# --- break maps ---


def break_map_section(swept: Mapping[str, Swept]) -> Section:
    """The map of every layer of one network on one image, each with a sentence."""
    shown = swept.get(MAPPED.name) or pictured(swept)
    network, sweep = shown.network.variant.name, shown.digit
    pictures = [
        Picture(to_png(figure), f"Break map of {layer}", _layer_sentence(shown, layer), title=layer)
        for layer, figure in single_maps(sweep).items()
    ]
    guide = (
        f"What {network} makes of one digit, layer by layer. One square is one shift of the image, shift (0, 0) in "
        "the middle. Blue: the layer moves with the image, or stays the same. Yellow to red: it differs, red the most. "
        "The name of a network says its padding, the stride of its pools, and its head: a flatten or a global mean."
    )
    return Section("Which shifts each layer follows", (Prose(guide), Gallery(tuple(pictures))))


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
    results: Mapping[str, Any], figure: bytes, swept: Mapping[str, Swept], picture: np.ndarray
) -> Section:
    """The digit at three places, which networks answer the same there, and Figure 1."""
    positions = ", ".join(map(str, SHIFTS))
    caption = (
        f"The same three images inside {results['layers_of']}: of each layer with a grid its most active channel. On "
        "the right the class scores (softmax) of a few networks. Blue notes: a moved copy, or the same scores; red "
        "notes: the largest difference."
    )
    digits = tuple(_digit(shift, swept, picture) for shift in SHIFTS)
    return Section(
        "One digit at three places",
        (
            Prose(f"{results['pictured']} What leaves on one side enters on the other."),
            Gallery(digits),
            _answer_table(swept),
            Picture(figure, f"One image at the shifts {positions}, layer by layer", caption),
        ),
    )


def _digit(shift: Shift, swept: Mapping[str, Swept], picture: np.ndarray) -> Picture:
    """The digit at one place, and which networks give the same scores there."""
    plane = np.roll(picture, shift, (1, 2))[0, :, :, 0]
    large = np.kron(plane / (np.abs(plane).max() or 1), np.ones((ENLARGED, ENLARGED)))
    png = encode_png(large, (PAPER, INK))
    if not any(shift):
        return Picture(png, "The digit, not moved", "where it was.", title="The digit")
    same = [name for name, one in swept.items() if _answer(one, shift) == SAME_SCORES]
    words = f"same scores from {len(same)} of {len(swept)} networks"
    return Picture(
        png,
        f"The digit, moved by {shift}",
        f"{words}{': ' if same else ''}{', '.join(same)}.",
        title=f"Moved by {shift}:",
    )


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
        "Which network answers the same",
        ("network", *(f"moved by {shift}" for shift in moved)),
        tuple((name, *(_answer(one, shift) for shift in moved)) for name, one in swept.items()),
        flexible=frozenset(range(len(SHIFTS))),
        note="On this one digit. What holds for every image stands in the next section.",
    )


# --- Figure 1 ---


def figure_one(swept: Mapping[str, Swept], picture: np.ndarray) -> Figure:
    """The image at three positions: the layers of one CNN, and the scores of a few networks."""
    images = np.concatenate([np.roll(picture, shift, (1, 2)) for shift in SHIFTS])
    strips = [Strip("input", tuple(images[..., 0]), ("",) * len(SHIFTS), (None,) * len(SHIFTS))]
    strips += _layer_strips(pictured(swept), images)
    strips += [
        _score_strip(swept[variant.name], images) for variant in SCORED if variant.name in swept
    ]
    return activation_figure(strips, shifts=SHIFTS)


def _layer_strips(swept: Swept, images: np.ndarray) -> list[Strip]:
    """For each layer with a grid the channel that is most active at rest."""
    network: Network = swept.network
    adapted = adapt(network.model)
    weights = adapted.cast("float32")
    program = trace_model(adapted, weights, images)
    layers = [layer for layer in find_layers(program, (1, 2)) if layer.has_grid]
    fixed = fixed_values(program, weights)
    values = read_values(program, [x.value for x in layers], fixed=fixed, images=images)
    strips = []
    for layer, value in zip(layers, values, strict=True):
        channel = int(value[0].sum(axis=(0, 1)).argmax())
        notes, equal = _notes(swept, layer.name, alike="moved copy")
        title = HEADINGS.get(layer.name, layer.name)
        strips.append(Strip(title, tuple(value[..., channel]), notes, equal))
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
