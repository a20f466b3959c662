"""The letters of a figure of matplotlib: where they are, which lie on each other, how small the smallest are."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def boxes_of(figure: Figure) -> list[tuple[str, Bbox]]:
    """The texts that a figure shows, those of its legend too, with their places."""
    FigureCanvasAgg(figure).draw()
    axes = [axis for each in figure.axes for axis in (each.xaxis, each.yaxis)]
    beyond = [
        label
        for axis in axes
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not inside(tick.get_loc(), axis.get_view_interval())  # never drawn
    ]
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    found = [(t.get_text(), t.get_window_extent()) for t in texts if t not in beyond]
    return [(text, box) for text, box in found if box.width]


def inside(place: float, room) -> bool:
    return min(room) <= place <= max(room)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    boxes = boxes_of(figure)
    pairs = [
        (one, other)
        for number, (one, a) in enumerate(boxes)
        for other, b in boxes[number + 1 :]
        if min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)
    ]
    whole = figure.bbox
    return pairs + [
        (text, "the edge")
        for text, b in boxes
        if min(b.x0, b.y0) < -0.5 or b.x1 > whole.x1 + 0.5 or b.y1 > whole.y1 + 0.5
    ]


def smallest_letters(figure: Figure) -> float:
    """Points of the smallest letters that the figure shows."""
    shown = {text for text, _ in boxes_of(figure)}
    return min(t.get_fontsize() for t in figure.findobj(Text) if t.get_text() in shown)
