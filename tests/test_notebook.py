"""What notebooks and rich consoles show of results, what figures they give, and what is not imported for it."""

import html.parser
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import treescope
from chromium import Browser, needs_chromium
from flax import nnx
from matplotlib.figure import Figure
from rich.console import Console
from test_page import decode_png
from test_report import HOSTILE, make_layer, make_sweep, strided

import shiftproof as sp
from shiftproof.errors import InputError
from shiftproof.report.notebook import BLUE, show

pytestmark = pytest.mark.xdist_group("notebook")  # one worker makes what these tests share


def model(x):
    return nnx.max_pool(x, (2, 2), (2, 2))


def conv():
    return nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def verdict():
    return sp.verify(model, (8, 12, 1), name=HOSTILE)


@pytest.fixture(scope="module")
def swept():
    layers = [make_layer("pool", grid=(1, 2), size=7), make_layer("scores", output="o")]
    return make_sweep([strided(), strided(step=14)], layers=layers, model=HOSTILE)


@pytest.fixture(scope="module")
def results(verdict, swept):
    return {
        "verdict": verdict,
        "property": verdict.equivariance,
        "lattice": verdict.equivariance.lattice,
        "sweep": swept,
        "certificate": sp.check(verdict.certificates["output.equivariance"]),
        "scene": sp.verify_scene(conv(), (8, 8, 1), name=HOSTILE),
        "placements": sp.placements(conv(), (3, 3, 1), canvas=(8, 8), name=HOSTILE),
    }


RESULTS = ("verdict", "property", "lattice", "sweep", "certificate", "scene", "placements")


class Balanced(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tags = [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def printed(renderable, width=80):
    stream = io.StringIO()
    Console(file=stream, width=width).print(renderable)
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("name", RESULTS)
def test_html_is_whole_escaped_and_alone(results, name):
    text = results[name]._repr_html_()
    page = Balanced(text)
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(r"https?://|url\(", text)
    assert len(text) < 20_000
    words = {
        "verdict": ("24 of 96", "2Z × 2Z", HOSTILE, "stride 2", "refuted"),
        "property": ("proved for 24 of 96 shifts (2Z × 2Z), refuted for 72",),
        "lattice": ("2Z × 2Z", "24 of 96 shifts of the grid 8×12"),
        "sweep": ("49/784", "4Z × 4Z", "does not prove"),
        "certificate": ("checked by the kernel", "24 of 96", "for all inputs", "(2, 0), (0, 2)"),
        "scene": (HOSTILE, "36 of 64 cells", "refuted: it does not", "jump"),
        "placements": (HOSTILE, "an object of 3x3 on a canvas of 8x8", "36 placements"),
    }[name]
    assert all(word in " ".join(page.texts) for word in words)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("width", [80, 120])
def test_rich_shows_it_without_colour(results, name, width):
    text = printed(results[name], width)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width
    word = {
        "sweep": "4Z × 4Z",
        "certificate": "24 of 96",
        "scene": "36/64",
        "placements": "36 placements",
    }.get(name, "2Z × 2Z")
    assert word in text


def test_repr_is_still_text(results):
    assert "proved 24/96" in repr(results["verdict"])
    assert "Sweep of" in repr(results["sweep"])
    assert str(results["lattice"]) == "2Z × 2Z"


@pytest.mark.slow
def test_identities_are_counted_apart():
    found = sp.verify(lambda x: nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2)), (8, 8, 1))
    words = "48 by identity, error < 2^-1"
    assert words in str(found.invariance)
    assert words in repr(found)
    for result in (found, found.invariance):
        assert words in " ".join(show(result).lines)
        assert all(words in thumb.text for thumb in show(result).maps)
    (axes,) = found.plot().axes
    assert words in axes.get_title(loc="left")
    assert words in " ".join(printed(found.invariance).split())
    table = " ".join(printed(found, 120).split())
    assert "by identity" in table
    assert "decided in the field, error < 2^-1" in table


def test_the_map_is_blue_where_it_is_proved(verdict):
    (thumb,) = show(verdict.equivariance).maps
    palette, levels = decode_png(thumb.png)
    blue = np.all(palette[levels] == BLUE, axis=-1)
    assert np.array_equal(blue, np.roll(verdict.equivariance.map == sp.Word.PROVED, (4, 6), (0, 1)))
    assert blue.sum() == 24


def test_lone_shifts_of_a_large_map_are_seen():
    lattice = sp.Lattice((224, 224), ((32, 0), (0, 32)))
    (thumb,) = show(lattice).maps
    palette, levels = decode_png(thumb.png)
    blue = np.all(palette[levels] == BLUE, axis=-1)
    assert levels.shape == (224, 224)
    assert blue[112, 112]
    assert blue.sum() == 49 * 7 * 7
    assert lattice.count == 49


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(6, 1), (4, 4, 6, 1)])
def test_other_ranks_are_shown(shape):
    verdict = sp.verify(lambda x: x * 2, shape)
    assert "all shifts" in verdict._repr_html_()
    assert "all shifts" in verdict.invariance.lattice._repr_html_() or "only 0" in printed(
        verdict.invariance.lattice
    )


def test_of_three_axes_the_slice_through_shift_0_is_shown():
    deviation = np.ones((4, 5, 6))
    deviation[1] = 0  # dz = 0 of the shifts -1..2, all equal; the middle of the range is dz = 1
    layers = [make_layer("scores", output="o")]
    ranges = ((-1, 3), (-2, 3), (-3, 3))
    sweep = make_sweep([deviation], layers=layers, boundary="background", ranges=ranges)
    (thumb,) = show(sweep).maps
    palette, levels = decode_png(thumb.png)
    assert np.all(palette[levels] == BLUE)
    assert np.array_equal(levels == 1, np.asarray(sweep.plot().axes[0].images[1].get_array()) == 0)


def test_plots_take_one_call(verdict, swept):
    assert isinstance(verdict.plot(), Figure)
    assert len(verdict.plot().axes) == 2
    assert isinstance(swept.plot(), Figure)
    assert "49 of 784" in swept.plot("pool").axes[0].get_title(loc="left")
    with pytest.raises(InputError, match="no layer is named 'nonsense'"):
        swept.plot("nonsense")


def test_a_certificate_exists_only_where_the_kernel_proves(verdict, tmp_path):
    certificate = verdict.certificates["output.equivariance"]
    assert sp.check(certificate).checked.proved == 24
    for change in ({"sha256": "0" * 64}, {"generators": []}, {"schema": "x"}):
        with pytest.raises(InputError, match="proves nothing"):
            sp.check({**certificate, **change})
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="proves nothing"):
        sp.check(tmp_path / "bad.json")
    with pytest.raises(InputError, match=r"missing\.json cannot be read"):
        sp.check(tmp_path / "missing.json")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # treescope walks through all of numpy
def test_treescope_opens_results(verdict):
    assert "Lattice(" in treescope.render_to_text(verdict.equivariance.lattice)
    with treescope.using_expansion_strategy(max_height=None):
        text = treescope.render_to_text(verdict)
    assert "causes" in text
    assert "PropertyVerdict" in text


@pytest.mark.slow
def test_nothing_heavy_is_imported_to_show_a_lattice_or_a_certificate(verdict, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(verdict.certificates["output.equivariance"]))
    for code, absent in (
        ("sp.check(sys.argv[1])", {"jax", "numpy", "matplotlib", "jinja2", "rich"}),
        ("sp.Lattice((4, 4), ((2, 0),))", {"flax", "matplotlib", "jinja2", "rich"}),
        ("sp.check(sys.argv[1])._repr_html_()", {"matplotlib"}),
    ):
        whole = f"import sys, shiftproof as sp; {code}; assert not {absent} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", whole, path], check=True)


@pytest.mark.slow
@needs_chromium
def test_a_notebook_shows_it_light_and_dark(results, tmp_path):
    path = tmp_path / "cells.html"
    path.write_text(
        "<!DOCTYPE html><meta charset=utf-8><meta name=color-scheme content='light dark'><body>"
        + "<hr>".join(result._repr_html_() for result in results.values())
    )
    with Browser() as browser:
        for width, dark in ((1280, False), (1280, True), (390, False)):
            page = browser.open(path, width=width, dark=dark)
            assert page.errors == []
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value("[...document.images].every((i) => i.naturalWidth > 0)")
