"""Maps of a verdict as one figure: one square per shift, in one of three colours."""

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.words import Word
from shiftproof.report.cells import centred
from shiftproof.report.maps import EQUAL_COLOUR, elided, label_axes, map_extent, mark_sparse
from shiftproof.report.shown_figure import ShownFigure

COLOURS = {Word.PROVED: EQUAL_COLOUR, Word.REFUTED: "#f3d9a4", Word.UNDECIDED: "#7d7d7d"}


def verdict_maps(verdict: Verdict) -> Figure:
    """One map a property and output: blue proved, sand refuted, grey undecided."""
    shown = [(o.name, v) for o in verdict.outputs for v in o.properties]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    height = 3.3 if len(verdict.grid) > 1 else 1.1  # a line, or a square
    size = (3.1 * columns + 0.2, height * rows + 0.4)
    figure = ShownFigure(figsize=size, layout="constrained", facecolor="white")
    for place, (name, v) in enumerate(shown):
        _draw(figure.add_subplot(rows, columns, place + 1), name, v)
    keys = [Patch(facecolor=COLOURS[w], label=str(w)) for w in (Word.PROVED, Word.REFUTED)]
    if any(v.undecided for _, v in shown):
        keys.append(Patch(facecolor=COLOURS[Word.UNDECIDED], label="undecided"))
    figure.legend(handles=keys, loc="outside lower left", ncols=3, fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, name: str, verdict: PropertyVerdict) -> None:
    words = centred(verdict.map)
    down, across = ([*range(-(n // 2), n - n // 2)] for n in words.shape)
    down = down if len(down) > 1 else []
    colours = ListedColormap([COLOURS[word] for word in Word])
    norm = Normalize(0, len(Word) - 1)
    extent = map_extent(across, down)
    axes.imshow(words, cmap=colours, norm=norm, extent=extent, interpolation="nearest")
    label_axes(axes, across, down)
    mark_sparse(axes, words == Word.PROVED, across, down)
    kind = {"equivariance": "equivariant", "invariance": "invariant"}[verdict.claim.property]
    title = f"{elided(name, 44)}\n{verdict.proved} of {verdict.total} {kind}: {verdict.lattice}"
    if verdict.by_identity:
        title += f"\n({verdict.identity_text})"
    axes.set_title(title, fontsize=8, loc="left", parse_math=False)
