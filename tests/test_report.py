"""Reports: exact counts in tables, lattices in maps, one self-contained page."""

import html.parser
import io
import json
import re

import matplotlib.image
import numpy as np
import pytest
from figures import overlaps, smallest_letters
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure
from rich.console import Console

from shiftproof import load_sweep
from shiftproof.report.activations import Strip, activation_figure
from shiftproof.report.cells import central
from shiftproof.report.html import (
    Folded,
    Gallery,
    Picture,
    Prose,
    Reference,
    Section,
    Terms,
    drawn_width,
    render_report,
)
from shiftproof.report.maps import (
    EQUAL_COLOUR,
    LETTERS,
    UNCLEAR_COLOUR,
    break_map,
    compare_maps,
    deviation_colours,
    label_maps,
    layer_maps,
    single_maps,
    to_png,
)
from shiftproof.report.pages import report_sweep
from shiftproof.report.pictures import encode_png
from shiftproof.report.tables import Table, compare_table, lattice_text, sweep_table
from shiftproof.sweeping.result import SCHEMA, Header, LayerRecord, Sweep

HOSTILE = '<script>alert("[bold]")</script> $\\frac{'


def make_layer(name, *, grid=(None, None), size=1, exact=True, noise=0.0, output=None):
    """A record of a layer with `size` cells along each spatial axis that `grid` names."""
    shape = (1, *([size] * len(grid)), 3)
    return LayerRecord(
        name=name,
        source="net.py:7",
        shape=shape,
        dtype="float32",
        grid=grid,
        strides=tuple(None if axis is None else "4" for axis in grid),
        output=output,
        exact=exact,
        bound=100.0,
        limit=2.0**24,
        reason="" if exact else "division by 49",
        noise=noise,
        magnitude=1.0,
        vacuous=False,
    )


def make_sweep(maps, *, layers, boundary="torus", ranges=None, model="Net", law="any"):
    """A sweep that deviates by `maps` (layer, *shift) for either property; NaN is undefined."""
    maps = np.asarray(maps, np.float64)
    shape = maps.shape[1:]
    cells = np.where(np.isnan(maps), -1, (maps > 0)).astype(np.int32)
    header = Header(
        schema=SCHEMA,
        model=model,
        grid=shape,
        ranges=tuple(ranges or ((0, size) for size in shape)),
        boundary=boundary,
        law=law,
        dtype="float32",
        weights="these",
        scale=1,
        images=2,
        layers=tuple(layers),
        provenance={"jax": "0.0", "flax": "0.0"},
    )
    known = np.nan_to_num(maps)
    agreement = np.where(known > 0, 1, 2).astype(np.int32)
    agreement[:-1] = -1
    return Sweep(header, maps, cells, known, np.maximum(cells, 0), agreement)


def strided(size=28, step=4, value=0.5):
    """0 on the multiples of `step`, else `value`."""
    deviation = np.full((size, size), value)
    deviation[::step, ::step] = 0
    return deviation


@pytest.fixture
def sweep():
    """A pool that keeps 4Z × 4Z, and scores whose rounding leaves some shifts in doubt."""
    scores = strided(value=1.0)
    scores[0, 0] = 1e-9
    scores[4, 4] = 2e-5
    layers = [
        make_layer("pool", grid=(1, 2), size=7),
        make_layer("scores", exact=False, noise=1e-6, output="output"),
    ]
    return make_sweep([strided(), scores], layers=layers)


@pytest.fixture(params=[1, 2, 3])
def any_rank(request):
    rank = request.param
    deviation = np.full((1, *[6] * rank), 0.25)
    deviation[(0, *[slice(None, None, 2)] * rank)] = 0
    layer = make_layer("conv", grid=tuple(range(1, rank + 1)), size=3, output="output")
    return make_sweep(deviation, layers=[layer])


def printed(renderable, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width).print(renderable)
    return stream.getvalue()


# --- maps ---


def shown(axes):
    """The deviations and the flags (0 equal, 1 unclear) that an axes shows, masked elsewhere."""
    deviation, flags = axes.images
    return deviation.get_array(), flags.get_array()


def test_map_puts_shift_zero_in_the_centre_and_marks_the_lattice(sweep):
    axes = break_map(sweep, "pool").axes[0]
    deviation, flags = shown(axes)
    shifts = np.arange(28) - 14
    expected = (shifts[:, None] % 4 == 0) & (shifts[None] % 4 == 0)
    assert np.array_equal(~np.ma.getmaskarray(flags), expected)
    assert expected[14, 14]
    assert np.array_equal(np.ma.getmaskarray(deviation), expected)
    assert np.all(deviation.compressed() == 0.5)
    assert axes.images[0].get_extent() == [-14.5, 13.5, 13.5, -14.5]
    assert "49 of 784" in axes.get_title(loc="left")
    assert "4Z × 4Z" in axes.get_title(loc="left")


def test_map_is_not_transposed_nor_mirrored():
    deviation = np.ones((1, 6, 8))
    deviation[0, 0, 0] = deviation[0, 1, 6] = 0  # the shift (1, -2)
    sweep = make_sweep(deviation, layers=[make_layer("conv", grid=(1, 2), size=3, output="o")])
    _, flags = shown(break_map(sweep).axes[0])
    assert {tuple(index) for index in np.argwhere(~flags.mask)} == {(3, 4), (4, 2)}


def test_equal_cells_have_a_colour_of_their_own(sweep):
    png = to_png(break_map(sweep, "pool"))
    pixels = matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]
    blue = np.all(np.abs(pixels - to_rgba(EQUAL_COLOUR)[:3]) < 0.01, axis=-1)
    assert blue.sum() > 49 * 9
    scale = deviation_colours()(np.linspace(0, 1, 64))[:, :3]
    assert np.abs(scale - to_rgba(EQUAL_COLOUR)[:3]).sum(axis=1).min() > 0.8
    # none of them is as blue as it is red
    assert np.all(scale[:, 0] > scale[:, 2])


def test_unclear_and_undefined_are_kept_apart(sweep):
    axes = break_map(sweep, "scores", property="invariance").axes[0]
    _, flags = shown(axes)
    assert flags[14, 14] == 0
    assert flags[18, 18] == 1
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == ["equal", "unclear"]
    assert UNCLEAR_COLOUR != EQUAL_COLOUR

    deviation = np.where(strided() > 0, np.nan, 0)[None]
    layer = make_layer("pool", grid=(1, 2), size=7, output="o")
    figure = break_map(make_sweep(deviation, layers=[layer]))
    deviation, flags = shown(figure.axes[0])
    assert np.ma.getmaskarray(deviation).all()
    assert (~flags.mask).sum() == 49
    assert "no output shift" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_all_layers_share_one_scale(sweep):
    figure = layer_maps(sweep)
    norms = {id(axes.images[0].norm) for axes in figure.axes[:2]}
    assert len(norms) == 1
    assert isinstance(figure.axes[0].images[0].norm, LogNorm)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert "equivariant" in titles[0]
    assert "≈" in titles[1]
    assert "invariant" in titles[1]


def test_single_maps_are_the_maps_of_all_layers_apart(sweep):
    together, apart = layer_maps(sweep), single_maps(sweep)
    assert list(apart) == [layer.name for layer in sweep.layers]
    assert len({id(figure.axes[0].images[0].norm) for figure in apart.values()}) == 1
    for axes, figure in zip(together.axes, apart.values(), strict=False):
        (alone,) = figure.axes
        assert alone.get_title(loc="left") == ""
        for one, other in zip(shown(axes), shown(alone), strict=True):
            assert np.ma.allequal(one, other)


def test_a_map_without_any_deviation_is_drawn():
    layer = make_layer("conv", grid=(1, 2), size=28, output="o")
    figure = break_map(make_sweep(np.zeros((1, 28, 28)), layers=[layer]))
    _, flags = shown(figure.axes[0])
    assert not np.ma.getmaskarray(flags).any()
    assert len(figure.axes) == 1  # no colour bar for nothing
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.slow
def test_maps_of_every_rank(any_rank):
    figure = layer_maps(any_rank)
    rank = len(any_rank.grid)
    _, flags = shown(figure.axes[0])
    assert flags.shape == ((1, 6) if rank == 1 else (6, 6))
    # from -3 to 2, of which -2, 0 and 2 are even
    assert (~flags.mask).sum() == 3 ** min(rank, 2)
    title = figure.axes[0].get_title(loc="left")
    assert f"{3**rank} of {6**rank}" in title
    assert ("dz=0" in title) == (rank == 3)
    assert to_png(figure).startswith(b"\x89PNG")


def test_zero_boundary_is_not_rolled():
    deviation = np.arange(20.0).reshape(1, 4, 5)
    layer = make_layer("scores", output="o")
    sweep = make_sweep(deviation, layers=[layer], boundary="background", ranges=((-1, 3), (-2, 3)))
    axes = break_map(sweep).axes[0]
    assert axes.images[0].get_extent() == [-2.5, 2.5, 2.5, -1.5]
    assert np.array_equal(central(deviation[0], sweep), deviation[0])
    assert lattice_text(sweep, "scores", property="invariance") == ""


def test_label_map_shows_the_share_kept(sweep):
    figure = label_maps({"a": sweep, HOSTILE: sweep})
    values = figure.axes[1].images[0].get_array()
    assert values[15, 15] == 0.5
    assert values[18, 14] == 1.0
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.slow
def test_same_figure_same_bytes(sweep):
    assert to_png(layer_maps(sweep)) == to_png(layer_maps(sweep))


def test_large_grid_marks_lone_shifts():
    layer = make_layer("conv", grid=(1, 2), size=7, output="o")
    sweep = make_sweep(strided(size=96, step=32)[None], layers=[layer])
    (points,) = break_map(sweep).axes[0].collections
    assert sorted(map(tuple, points.get_offsets().tolist())) == [
        (x, y) for x in (-32, 0, 32) for y in (-32, 0, 32)
    ]


def test_activation_figure():
    values = tuple(np.eye(4) * factor for factor in (1, 2))
    scores = tuple(np.arange(10.0) for _ in range(2))
    strips = [
        Strip("$input", values, ("", "= moved copy"), (None, True)),
        Strip("scores", scores, ("", "differs by 2"), (None, False)),
    ]
    figure = activation_figure(strips, shifts=((0, 0), (0, 1)))
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "= moved copy", "differs by 2"]
    assert to_png(figure).startswith(b"\x89PNG")


NETWORKS = tuple(f"circular stride {i} flatten" for i in range(9))


def demo_figures(sweep) -> dict[str, Figure]:
    """Of as many networks, layers and scores as the demo shows, with names as long."""
    shifts = ((0, 0), (0, 1), (4, 4))
    notes, equal = ("", "= moved copy", "differs by 1.2e+03"), (None, True, False)
    maps = [
        Strip(name, (np.eye(28),) * 3, notes, equal) for name in ("input", "conv1", "max_pool_2")
    ]
    notes = ("", "≈ same scores", "differs by 16")
    bars = [
        Strip("circular\nstride 2 flatten", (np.arange(10.0),) * 3, notes, equal) for _ in range(4)
    ]
    return single_maps(sweep) | {
        "layers": activation_figure(maps, shifts=shifts),
        "scores": activation_figure(bars, shifts=shifts),
        "networks": compare_maps(dict.fromkeys(NETWORKS, sweep), columns=3),
        "labels": label_maps(dict.fromkeys(NETWORKS, sweep), columns=3),
    }


@pytest.mark.slow
def test_letters_of_the_demo_can_be_read(sweep):
    for name, figure in demo_figures(sweep).items():
        assert not overlaps(figure), name
        assert smallest_letters(figure) >= LETTERS, name


@pytest.mark.slow
def test_letters_that_cannot_be_read_are_noticed(sweep):
    figure = demo_figures(sweep)["scores"]
    figure.axes[0].set_title("a title as long as two columns of the figure")
    assert overlaps(figure)
    figure.axes[0].set_title("small", fontsize=6)
    assert smallest_letters(figure) == 6


@pytest.mark.parametrize("dpi", [96, 150, 220])
def test_a_page_knows_how_large_a_figure_was_drawn(dpi):
    assert drawn_width(to_png(Figure(figsize=(4, 1)), dpi=dpi)) == 384
    assert drawn_width(encode_png(np.eye(3), ((0, 0, 0), (9, 9, 9)))) == 0


# --- tables ---


def test_sweep_table_has_the_exact_counts(sweep):
    text = printed(sweep_table(sweep))
    assert "= 49/784 4Z × 4Z" in text
    assert "≈ 48/784 (1 unclear) no lattice" in text
    assert "7×7 /4" in text
    assert "net.py:7" in text
    assert "53.0 %" in text  # 47 of 784 shifts keep both labels, the others one of two
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_narrow_terminals_leave_columns_out_and_say_so():
    layers = [make_layer("convolutions.0", grid=(1, 2), size=7)]
    layers.append(make_layer("logits", output="o"))
    table = sweep_table(make_sweep([strided(), strided()], layers=layers))
    for width, shown in ((80, False), (100, True)):
        text = printed(table, width=width)
        assert max(map(len, text.splitlines())) <= width
        (line,) = (line for line in text.splitlines() if "convolutions.0" in line)
        assert line.count("= 49/784 4Z × 4Z") == 2
        assert ("net.py:7" in line) is shown
        assert ("Not shown, for want of room: source" in text) is not shown


def test_labels_short_of_all_are_never_all():
    deviation = np.zeros((1, 60, 60))
    deviation[0, 1, 1] = 1
    sweep = make_sweep(deviation, layers=[make_layer("scores", output="o")])
    assert "99.9 %" in printed(sweep_table(sweep))


@pytest.mark.slow
def test_long_and_hostile_names_fit(sweep):
    layers = [make_layer("blocks.0.attention.projection" * 2, grid=(1, 2), size=7)]
    layers.append(make_layer("[bold]x[/]", output="o"))
    odd = make_sweep([strided(), strided()], layers=layers, model=HOSTILE)
    text = printed(sweep_table(odd))
    assert max(map(len, text.splitlines())) <= 100
    assert "[bold]x[/]" in text
    assert text.count("= 49/784 4Z × 4Z") == 3
    assert to_png(layer_maps(odd)).startswith(b"\x89PNG")


def test_compare_table(sweep):
    other = make_sweep(
        [np.zeros((28, 28))], layers=[make_layer("scores", output="o")], model="other"
    )
    table = compare_table({"one": sweep, "two": other})
    assert table.columns == ("network", "pool\nE", "scores\nI")
    assert table.rows == (("one", "49", "≈48?"), ("two", "", "784"))
    assert "784" in table.title
    assert max(map(len, printed(table).splitlines())) <= 100


def test_compare_table_falls_back_to_outputs():
    layers = [make_layer(f"l{i}", output="o" if i == 19 else None) for i in range(20)]
    sweep = make_sweep([strided()] * 20, layers=layers)
    assert compare_table({"net": sweep}).columns == ("network", "l19\nI")


# --- the page ---


class Page(html.parser.HTMLParser):
    """Collects what a page refers to, and refuses tags that do not close."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.texts, self.tags = [], [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.slow
def test_report_of_a_sweep(sweep, tmp_path):
    files = report_sweep(sweep, tmp_path / "new" / "folder")
    assert all(path.is_file() for path in files)
    text = files.html.read_text("utf-8")
    page = Page(text)
    seen = " ".join(page.texts)
    for words in ("pool", "scores", "= 49/784 4Z × 4Z", "≈ 48/784", "net.py:7", "division by 49"):
        assert words in seen
    assert "scores is invariant under 48 of them, 1 unclear, within the measured" in seen
    assert files.maps.read_bytes().startswith(b"\x89PNG")
    assert repr(load_sweep(files.arrays)) == repr(sweep)
    layers = json.loads(files.json.read_text())["layers"]
    assert layers[0]["equivariance"]["equal"] == 49
    assert sorted(path.name for path in files.html.parent.iterdir()) == sorted(
        path.name for path in files
    )


@pytest.mark.slow
def test_page_is_self_contained(sweep, tmp_path):
    text = report_sweep(sweep, tmp_path).html.read_text("utf-8")
    page = Page(text)
    assert page.references
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"https?://|url\(|@import", style)
    assert not page.tags & {"link", "iframe", "object"}
    assert not re.search(r"https?://|fetch\(|XMLHttp|import\(", text[text.rindex("<script>") :])
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style
    assert 'name="viewport"' in text


def test_page_escapes_hostile_names(tmp_path):
    layer = make_layer(HOSTILE, output="o")
    sweep = make_sweep([strided()], layers=[layer], model=HOSTILE)
    text = report_sweep(sweep, tmp_path).html.read_text("utf-8")
    assert text.count("<script") == 2  # the data, and what reads it
    assert HOSTILE in " ".join(Page(text).texts)


@pytest.mark.slow
def test_same_sweep_same_page(sweep, tmp_path):
    first, second = (report_sweep(sweep, tmp_path / name) for name in "ab")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_every_block_is_rendered():
    table = Table("T", ("a", "b"), (("1 < 2", "3"),), numbers=frozenset({1}), note="N")
    blocks = (
        Prose("P & Q"),
        Terms((("word", "what < it says"),)),
        Reference("It is", "there", "claims/audit.html"),
        table,
        Picture(b"png", 'say "it"', "C"),
        Gallery((Picture(b"png", "what is seen", "C2", title="T2"),)),
        Folded("F", (Prose("inside"), Folded("G", (Prose("deep"),)))),
    )
    page = Page(render_report("T", summary="S", sections=[Section("H", blocks)]))
    seen = " ".join(page.texts)
    assert all(
        words in seen
        for words in ("P & Q", "1 < 2", "N", "C", "T2", "C2", "inside", "deep", "S", "H")
    )
    assert "word what < it says It is there" in " ".join(seen.split())
    assert "<nav" not in render_report("T", summary="S", sections=[])


def test_a_page_with_an_opening_lists_its_sections():
    sections = [Section("First <one>", ()), Section("Second", ())]
    text = render_report("T", summary="S", sections=sections, opening=(Prose("before"),))
    Page(text)
    assert text.index("before") < text.index('class="summary"') < text.index("<nav")
    for number, title in enumerate(("First &lt;one&gt;", "Second"), start=1):
        assert f'<a href="#section-{number}">{title}</a>' in text
        assert f'<section id="section-{number}">\n<h2>{title}</h2>' in text
