"""No page runs out of its window: pages with many layers, long names, four causes and three axes, in a real browser."""

import html
from typing import Any

import pytest
from chromium import Browser, needs_chromium
from flax import nnx

import shiftproof as sp
from shiftproof.cli import main
from shiftproof.report.maps import elided
from shiftproof.report.pages import report_sweep
from shiftproof.report.verdict_page import report_verdict

pytestmark = pytest.mark.xdist_group("width")  # one worker makes what these tests share

FILE = """
from flax import nnx


class ResidualStage(nnx.Module):
    def __init__(self, strides, rngs):
        self.projection_convolution_of_the_residual_branch = nnx.Conv(2, 2, (3, 3), rngs=rngs)
        self.downsampling_convolution_of_the_residual_branch = nnx.Conv(
            2, 2, (3, 3), strides=strides, rngs=rngs
        )

    def __call__(self, x):
        y = nnx.relu(self.projection_convolution_of_the_residual_branch(x))
        return nnx.relu(self.downsampling_convolution_of_the_residual_branch(x + y))


class EncoderOfManyStagesWithLongNames(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        table = nnx.initializers.normal()(rngs.params(), (8, 8, 2))
        self.absolute_position_embedding_table = nnx.Param(table)
        self.stem_convolution_with_zero_padding = nnx.Conv(1, 2, (3, 3), rngs=rngs)
        self.residual_stages_of_the_encoder = nnx.List(
            [ResidualStage(strides, rngs) for strides in (2, 1, 2)]
        )
        self.classification_head_after_flattening = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = self.stem_convolution_with_zero_padding(x) + self.absolute_position_embedding_table[...]
        for stage in self.residual_stages_of_the_encoder:
            x = stage(x)
        x = x.reshape(len(x), -1)
        return {"class_scores_of_the_flattened_feature_map": self.classification_head_after_flattening(x)}
"""


class Volume(nnx.Module):
    def __init__(self):
        self.the_only_convolution_of_this_volume = nnx.Conv(1, 2, (3, 3, 3), rngs=nnx.Rngs(0))
        self.head = nnx.Linear(48, 3, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.head(self.the_only_convolution_of_this_volume(x).reshape(len(x), -1))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Name -> page. The verdict is written by the command, since its page holds the answer and the counterfactuals."""
    folder = tmp_path_factory.mktemp("pages")
    file = folder / "encoder_of_many_stages.py"
    file.write_text(FILE)
    with pytest.raises(SystemExit) as stop:
        main(
            ["verify", str(file), *"--grid 8 8 --channels 1 --out".split(), str(folder / "verdict")]
        )
    assert stop.value.code == 1
    space: dict[str, Any] = {}
    exec(FILE, space)
    encoder, volume = space["EncoderOfManyStagesWithLongNames"](), Volume()
    for name, model, shape in (("", encoder, (8, 8, 1)), ("volume-", volume, (2, 3, 4, 1))):
        report_sweep(sp.sweep(model, shape), folder / f"{name}sweep")
        report_verdict(sp.verify_scene(model, shape), folder / f"{name}scene")
    report_verdict(sp.verify(volume, (2, 3, 4, 1)), folder / "volume-verdict")
    return {path.parent.name: path for path in folder.glob("*/report.html")}


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.mark.slow
def test_the_verdict_has_four_causes(pages) -> None:
    text = html.unescape(pages["verdict"].read_text("utf-8"))
    for cause in (
        "zero padding of the convolution",
        "circular padding",
        "tied to places",
        "stride 2",
        "dense layer",
    ):
        assert cause in text
    assert {"verdict", "sweep", "scene", "volume-verdict", "volume-sweep", "volume-scene"} == {
        *pages
    }


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "name", ["verdict", "sweep", "scene", "volume-verdict", "volume-sweep", "volume-scene"]
)
def test_nothing_runs_out_of_the_window(pages, browser, name, width) -> None:
    page = browser.open(pages[name], width=width, touch=width < 400)
    assert page.value("document.documentElement.clientWidth") == width
    assert page.outside() == []
    assert page.unreadable() == []
    assert page.errors == []


@needs_chromium
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("<p style='width: 2000px'>wide</p>", ["P  0..2000", "the page is 2000 wide"]),
        ("<p style='margin-left: -9px'>left</p>", ["P  -9..390"]),
        ("<div style='overflow-x: auto'><p style='width: 2000px'>scrolls</p></div>", []),
        ("<details><table style='width: 700px'><tr><td>cut</table></details>", ["TABLE  0..700"]),
        (
            "<div style='overflow-x: auto'><table style='width: 700px'><tr><td>cut</table></div>",
            ["a table is cut off at 390 of 700"],
        ),
        (
            "<div style='overflow-x: auto; width: 50px'><table style='width: 99px'><tr><td>cut</table></div>",
            ["a table is cut off at 50 of 99"],
        ),
    ],
    ids=["right", "left", "a figure that scrolls", "folded", "a table that scrolls", "a small one"],
)
def test_what_runs_out_is_found(browser, tmp_path, broken, said) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        f"<!DOCTYPE html><meta name=viewport content='width=device-width'><body style='margin: 0'>{broken}"
    )
    found = browser.open(path, width=390).outside()
    assert set(said) <= set(found)
    assert bool(said) == bool(found)


@needs_chromium
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("<figure><p>one<p style='margin-top: -30px'>two</figure>", ['"two" lies on "one"']),
        ("<p>one<p style='margin-top: -30px'>two", []),
        (
            "<table><tr><td>a<td><div style='width: 9px; overflow: hidden; height: 90px'></div></table>",
            ["a row of 9"],
        ),
        (
            "<table><tr><td>a<td><div style='width: 0; overflow: hidden'>so many hidden words</div></table>",
            ["a row of "],
        ),
        (
            "<div style='overflow-x: auto'><p style='width: 2000px'>scrolls</p></div>",
            ["DIV  scrolls sideways without a word"],
        ),
        (
            "<p class=sideways>→</p><div style='overflow-x: auto'><p style='width: 2000px'>scrolls</p></div>",
            [],
        ),
        (
            "<p class=sideways hidden>→</p><div style='overflow-x: auto'><p style='width: 2000px'>scrolls</p></div>",
            ["DIV  scrolls sideways without a word"],
        ),
        (
            "<img class=wide style='width: 800px; max-width: 100%' src='data:image/gif;base64,"
            "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'>",
            ["a figure of 800 is shown at 390"],
        ),
    ],
    ids=[
        "texts on texts",
        "texts of no figure",
        "an empty box",
        "hidden words",
        "no word",
        "a word",
        "a hidden word",
        "a stamp",
    ],
)
def test_what_cannot_be_read_is_found(browser, tmp_path, broken, said) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        f"<!DOCTYPE html><meta name=viewport content='width=device-width'><body style='margin: 0'>{broken}"
    )
    found = browser.open(path, width=390).unreadable()
    assert len(found) == len(said)
    assert all(text.startswith(start) for text, start in zip(found, said, strict=True)), found


@pytest.mark.slow
@needs_chromium
def test_many_maps_to_choose_from_leave_room_for_the_map(pages, browser) -> None:
    page = browser.open(pages["sweep"], width=390, touch=True)
    assert page.value("document.querySelectorAll('.choices label').length") >= 8
    assert page.value("document.querySelector('.choices').clientHeight") < 320


def test_long_names_above_maps_are_cut_and_stay_apart() -> None:
    names = [
        f"residual_stages_of_the_encoder.{i}.{kind}_convolution_of_the_residual_branch"
        for i in range(12)
        for kind in ("projection", "downsampling")
    ]
    cut = [elided(name) for name in names]
    assert max(map(len, cut)) <= 25
    assert len({*cut}) == len(names)
    assert elided("max_pool") == "max_pool"
    assert len(elided("a." * 30)) == 25
