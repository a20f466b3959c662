"""Maps of a verdict as one figure: one square per shift, in one of three colours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shiftproof.deciding.verdict import PropertyVerdict, Verdict, Word
from shiftproof.report.cells import centred
from shiftproof.report.maps import EQUAL_COLOUR, GRID_LINES_UP_TO, elided

COLOURS = {Word.PROVED: EQUAL_COLOUR, Word.REFUTED: "#f3d9a4", Word.UNDECIDED: "#7d7d7d"}


def verdict_maps(verdict: Verdict) -> Figure:
    """One map a property and output: blue proved, sand refuted, grey undecided."""
    shown = [(o.name, v) for o in verdict.outputs for v in o.properties]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(
        figsize=(3.1 * columns + 0.2, 3.3 * rows + 0.4), layout="constrained", facecolor="white"
    )
    for place, (name, v) in enumerate(shown):
        _draw(figure.add_subplot(rows, columns, place + 1), name, v)
    keys = [Patch(facecolor=COLOURS[w], label=str(w)) for w in (Word.PROVED, Word.REFUTED)]
    if any(v.undecided for _, v in shown):
        keys.append(Patch(facecolor=COLOURS[Word.UNDECIDED], label="undecided"))
    figure.legend(handles=keys, loc="outside lower left", ncols=3, fontsize=7, frameon=False)
    return figure


def _draw(axes: Axes, name: str, verdict: PropertyVerdict) -> None:
    words = centred(verdict.map)
    down, across = words.shape
    extent = (
        -(across // 2) - 0.5,
        across - across // 2 - 0.5,
        down - down // 2 - 0.5,
        -(down // 2) - 0.5,
    )
    colours = ListedColormap([COLOURS[word] for word in Word])
    norm = Normalize(0, len(Word) - 1)
    axes.imshow(words, cmap=colours, norm=norm, extent=extent, interpolation="nearest")
    axes.set_xlabel("dx", fontsize=7, labelpad=1)
    if down > 1:
        axes.set_ylabel("dy", fontsize=7, labelpad=1)
    else:
        axes.set_yticks([])
    axes.tick_params(labelsize=6, length=2, pad=1.5, width=0.5)
    axes.spines[:].set_linewidth(0.5)
    if max(words.shape) <= GRID_LINES_UP_TO:
        style = {"colors": "white", "linewidths": 0.35}
        axes.vlines(np.arange(extent[0] + 1, extent[1]), extent[3], extent[2], **style)
        axes.hlines(np.arange(extent[3] + 1, extent[2]), extent[0], extent[1], **style)
    elif (words == Word.PROVED).mean() < 0.1:
        rows, columns = np.nonzero(words == Word.PROVED)
        axes.scatter(
            columns + extent[0] + 0.5,
            rows + extent[3] + 0.5,
            s=7,
            marker="s",
            color=COLOURS[Word.PROVED],
            linewidths=0,
        )
    kind = {"equivariance": "equivariant", "invariance": "invariant"}[verdict.claim.property]
    title = f"{elided(name, 44)}\n{verdict.proved} of {verdict.total} {kind}: {verdict.lattice}"
    if verdict.by_identity:
        title += f"\n({verdict.identity_text})"
    axes.set_title(title, fontsize=8, loc="left", parse_math=False)
