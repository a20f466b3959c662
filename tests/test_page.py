"""The report in a real browser: its data, its words for every shift, keys, mouse, touch, print, dark, and its size."""

import base64
import dataclasses
import html
import json
import re
import struct
import zlib

import numpy as np
import pytest
from chromium import Browser, needs_chromium
from flax import nnx
from test_report import HOSTILE, make_layer, make_sweep, strided

import shiftproof as sp
from shiftproof.deciding.property import Proof
from shiftproof.group import Lattice
from shiftproof.report.html import embedded
from shiftproof.report.pages import report_sweep
from shiftproof.report.pictures import INK, PAPER, encode_png
from shiftproof.report.verdict_page import report_verdict, verdict_examples

pytestmark = pytest.mark.xdist_group("page")  # one worker makes what these tests share


class Net(nnx.Module):
    """Two outputs: a map that keeps 2Z × 2Z, and scores that are invariant on it."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.head = nnx.Linear(2, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv(x)), (2, 2), (2, 2))
        return {"map": x, "scores": self.head(x.mean((1, 2)))}


@pytest.fixture(scope="module")
def verdict():
    return sp.verify(Net(), (8, 12, 1), name=HOSTILE)


@pytest.fixture(scope="module")
def undecided():
    """A layer that moves with the image, of which every second column was left undecided."""
    known = sp.verify(lambda x: 2 * x, (4, 4, 1))
    even = Lattice((4, 4), ((1, 0), (0, 2)))
    doubt = dataclasses.replace(
        known.equivariance,
        lattice=even,
        proofs=tuple(Proof(shift, shift, "kernel") for shift in even.generators),
        reasons={(0, 1): "why"},
        probes={(0, 1): 12, (2, 3): 5},
    )
    output = dataclasses.replace(known.outputs[0], equivariance=doubt)
    return dataclasses.replace(known, outputs=(output,))


@pytest.fixture(scope="module")
def identity():
    """Invariant along one axis; certified under even shifts only. Some shifts are refuted by way of the others."""
    return sp.verify(lambda x: nnx.avg_pool(x, (2, 2), (2, 2)).mean(1)[:, 0], (8, 8, 1))


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def written(verdict, tmp_path_factory):
    return report_verdict(verdict, tmp_path_factory.mktemp("verdict")).html


@pytest.fixture(scope="module")
def page(browser, written):
    return browser.open(written)


# --- what needs no browser ---


def decode_png(png):
    """The palette and the levels of a PNG that `encode_png` wrote."""
    chunks, rest = {}, png[8:]
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, body, check = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert struct.unpack(">I", check) == (zlib.crc32(kind + body),)
        chunks[kind], rest = body, rest[12 + size :]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3), rows[:, 1:]


def test_a_picture_has_one_pixel_a_value():
    palette, levels = decode_png(
        encode_png(np.array([[0.0, 1.0, -1.0], [0.5, 0, 0]]), (PAPER, INK))
    )
    colours = palette[levels]
    assert tuple(colours[0, 0]) == tuple(colours[1, 2]) == PAPER
    assert tuple(colours[0, 1]) == INK
    assert colours[0, 2, 0] > colours[0, 2, 2] + 100  # orange
    assert INK[0] < colours[1, 0, 0] < PAPER[0]


@pytest.mark.slow
def test_a_counterexample_shows_the_shift_and_where_the_outputs_differ(verdict):
    examples = verdict_examples(verdict)
    for key, drawn in examples.items():
        name, _, property = key.rpartition(".")
        output = next(o for o in verdict.outputs if o.name == name)
        for example, witness in zip(drawn, getattr(output, property).witnesses, strict=True):
            tiles = {tile.role: tile for tile in example.tiles}
            image, shifted = (decode_png(tiles[role].png)[1] for role in ("image", "shifted"))
            assert np.array_equal(np.roll(image, witness.shift, (0, 1)), shifted)
            assert not np.array_equal(image, shifted)
            assert ("law" in tiles) == (property == "equivariance")
            if name.endswith("scores"):
                assert any(off for _, off in tiles["difference"].bars)
                assert len(tiles["moved"].bars) == 3
            else:
                assert np.any(decode_png(tiles["difference"].png)[1] != 127)
            assert str(witness.shift) in example.text


@pytest.mark.slow
def test_of_many_scores_those_that_differ_most_are_drawn():
    model = nnx.Sequential(lambda x: x.reshape(len(x), -1), nnx.Linear(16, 100, rngs=nnx.Rngs(0)))
    (drawn, *_) = verdict_examples(sp.verify(model, (4, 4, 1)))["output.invariance"]
    bars = next(tile for tile in drawn.tiles if tile.role == "difference")
    assert len(bars.bars) == 32
    assert "32 of 100" in bars.note


@pytest.mark.slow
def test_a_lone_pixel_of_a_large_image_is_seen():
    model = nnx.Sequential(
        lambda x: x.reshape(len(x), -1), nnx.Linear(128 * 4, 2, rngs=nnx.Rngs(0))
    )
    verdict = sp.verify(model, (128, 4, 1))
    (drawn, *_) = verdict_examples(verdict)["output.invariance"]
    witness = verdict.invariance.witnesses[0]
    assert np.count_nonzero(witness.image) == 1
    tiles = {tile.role: tile for tile in drawn.tiles}
    image, shifted = (decode_png(tiles[role].png)[1] for role in ("image", "shifted"))
    assert np.count_nonzero(image != 127) == 5 * 4
    assert np.array_equal(np.roll(image, witness.shift, (0, 1)), shifted)


def test_data_cannot_leave_its_element():
    text = str(embedded({"name": "</script><b>", "nan": float("nan")}))
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><b>", "nan": None}


@pytest.mark.slow
def test_the_page_holds_the_verdict_and_forbids_the_network(verdict, written):
    text = written.read_text("utf-8")
    (raw,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    data = json.loads(raw)
    assert data["verdict"] == json.loads(written.with_name("verdict.json").read_text("utf-8"))
    for output in verdict.outputs:
        for v in output.properties:
            words = np.frombuffer(
                base64.b64decode(data["maps"][f"{output.name}.{v.claim.property}"]), np.uint8
            )
            assert np.array_equal(words.reshape(v.map.shape), v.map)
    assert "default-src 'none'" in text
    assert text.count("<script") == 2
    assert html.escape(HOSTILE) in text.replace("&#34;", "&quot;")
    commands = re.findall(r"shiftproof replay ([^\s<]+)", text)
    assert commands
    assert all(written.with_name(name).is_file() for name in commands)


COUNTERFACTUALS = {
    "schema": "shiftproof.counterfactuals/1",
    "model": "Net",
    "grid": [32, 32],
    "weights": "all",
    "summary": "as is 1 of 1024; with circular padding 16 of 1024 (8Z × 8Z; stride 2 at net.py:31, :44, :57)",
    "changes": [
        {
            "kind": "padding",
            "source": "net.py:31",
            "primitive": "conv_general_dilated",
            "what": "zero padding became wrap padding",
            "repair": 'padding="CIRCULAR"',
        }
    ],
    "skipped": [{"source": "net.py:70", "primitive": "pad", "reason": "its value is no constant"}],
    "rows": [
        {
            "interventions": interventions,
            "label": label,
            "outputs": [
                {
                    "name": "output",
                    "shape": [1, 10],
                    "property": "invariance",
                    "lattice": lattice,
                    "text": text,
                    "proved": proved,
                    "refuted": None,
                    "undecided": None,
                    "total": 1024,
                }
            ],
            "strides": strides,
            "left": left,
        }
        for interventions, label, lattice, text, proved, strides, left in (
            (
                [],
                "as is",
                [[32, 0], [0, 32]],
                "only 0",
                1,
                [],
                [{"source": "net.py:31", "reason": "zeros enter"}],
            ),
            (
                ["padding"],
                "circular padding",
                [[8, 0], [0, 8]],
                "8Z × 8Z",
                16,
                ["net.py:31", "net.py:44"],
                [],
            ),
        )
    ],
    "repair": {
        "interventions": ["padding"],
        "steps": [{"source": "net.py:31", "change": 'padding="CIRCULAR"'}],
        "proved": 16,
        "total": 1024,
    },
}


@pytest.mark.slow
def test_causes_and_repairs_stand_where_they_are_known(verdict, written, tmp_path):
    assert "without one cause" not in written.read_text("utf-8")
    known = report_verdict(verdict, tmp_path / "b", counterfactuals=COUNTERFACTUALS)
    text = html.unescape(known.html.read_text("utf-8"))
    for words in (
        "with circular padding 16 of 1024",
        "16 of 1024 (8Z × 8Z)",
        "net.py:31, net.py:44",
        "zeros enter",
        'net.py:31: padding="CIRCULAR"',
        "net.py:70 (pad): its value is no constant",
    ):
        assert words in text
    chains = re.findall(r"<svg class=\"lattice\".*?</svg>", text, re.DOTALL)[-2:]
    assert [chain.count("<circle") for chain in chains] == [1, 9]
    none = report_verdict(
        verdict, tmp_path / "c", counterfactuals={**COUNTERFACTUALS, "repair": None}
    )
    assert "No repair that was tried" in none.html.read_text("utf-8")


# --- in the browser ---

SAYS = "document.querySelector('.says').innerText"


@pytest.mark.slow
@needs_chromium
def test_it_opens_without_errors_and_asks_for_nothing(page):
    assert page.errors == []
    assert page.requests == []
    assert page.value("explorers.length") == 1


@needs_chromium
def test_data_read_back_in_the_browser_is_the_json(page, verdict):
    data = page.value("JSON.parse(document.querySelector('.explorer script').textContent).verdict")
    assert data == json.loads(json.dumps(verdict.to_dict()))
    words = page.value("explorers[0].maps.map((map) => [...map.words])")
    shown = [v.map.ravel().tolist() for o in verdict.outputs for v in o.properties]
    assert words == shown


@pytest.mark.slow
@needs_chromium
def test_the_evidence_of_every_shift_is_that_of_the_verdict(
    page, verdict, undecided, identity, browser, tmp_path
):
    opened = [
        (shown, browser.open(report_verdict(shown, tmp_path / str(number)).html))
        for number, shown in enumerate((undecided, identity))
    ]
    for shown, on in ((verdict, page), *opened):
        properties = [v for o in shown.outputs for v in o.properties]
        for number, property in enumerate(properties):
            told = on.value(
                f"(() => {{ const map = explorers[0].maps[{number}]; const all = [];"
                "for (let y = 0; y < map.axes[0].size; y++) for (let x = 0; x < map.axes[1].size; x++) {"
                "const found = map.tell([y, x]); all.push([found.word, found.text, found.multiple || 1]); }"
                "return all; })()"
            )
            for shift, (word, text, multiple) in zip(
                np.ndindex(property.map.shape), told, strict=True
            ):
                evidence = property.evidence(shift)
                assert (word, text, multiple) == (
                    str(evidence.word),
                    evidence.text,
                    evidence.multiple,
                )
        assert on.errors == []
    # so that those words were compared too
    assert undecided.equivariance.undecided
    told = [identity.invariance.evidence(shift) for shift in ((1, 0), (3, 0), (1, 4))]
    assert all("identity" in evidence.text for evidence in told)
    assert [evidence.by for evidence in told] == ["identity", "identity", "counterexample"]


@pytest.mark.slow
def test_a_page_counts_identities_apart_and_lies_beside_their_files(identity, tmp_path):
    files = report_verdict(identity, tmp_path)
    html = files.html.read_text()
    assert "4 by identity, error &lt; 2^-1" in html
    assert "an identity in the field, error &lt; 2^-1" in html
    assert "by the kernel alone" in html
    assert "An identity has no certificate" in html
    assert {path.name for path in files.identities} == {
        "output.equivariance.identity.json",
        "output.invariance.identity.json",
    }
    data = json.loads(files.identities[1].read_text())
    assert data["statement"]["certified"] == 4
    assert data["shifts"] == [{"shift": [1, 0], "output_shift": []}]
    assert data["log2_error"] >= identity.invariance.identity.log2_error  # rounded to the safe side


@pytest.mark.slow
@needs_chromium
def test_identities_are_marked_on_the_map(identity, browser, tmp_path):
    page = browser.open(report_verdict(identity, tmp_path).html)
    legend = page.value("document.querySelector('.legend').textContent")
    assert "4 of them by identity (with a dot), error < 2^-1" in legend
    assert page.value("explorers[0].maps.map((map) => map.certified.size)") == [4, 4]


@pytest.mark.slow
@needs_chromium
def test_keys_walk_over_the_map_and_the_evidence_is_read_out(page):
    page.value("document.querySelector('.map canvas').focus()")
    assert page.value("document.querySelector('.says').ariaLive") == "polite"
    page.key("Home")
    assert "dy = 0, dx = 0" in page.value(SAYS).replace("\xa0", " ")
    page.key("ArrowRight")
    page.key("ArrowUp")
    said = page.value(SAYS).replace("\xa0", " ")
    assert "dy = −1, dx = 1" in said
    assert "refuted" in said
    page.key("ArrowDown")
    page.key("ArrowRight", shift=True)
    said = page.value(SAYS).replace("\xa0", " ")
    assert "dy = 0, dx = 2" in said
    assert "proved" in said
    assert "moves by" in said
    for _ in range(5):
        page.key("ArrowDown")
    assert "dy = −3" in page.value(SAYS).replace("\xa0", " ")  # the torus wraps
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.key("Tab")
    assert page.value("document.activeElement.tagName") == "INPUT"
    assert page.value(outline) == "solid"


def place(page, shift):
    """Where the middle of a cell is, in the window."""
    page.value(
        "document.querySelector('.map canvas').scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    left, top = page.value(
        "(({left, top}) => [left, top])(document.querySelector('.map canvas').getBoundingClientRect())"
    )
    x, y = page.value(f"explorers[0].place({list(shift)})")
    return left + x, top + y


@pytest.mark.slow
@needs_chromium
def test_pointing_shows_and_a_click_stays(page):
    page.key("Home")
    page.value("document.querySelector('.map canvas').focus()")
    page.key("Home")
    page.mouse(*place(page, (1, -2)), "mouseMoved")
    assert "dy = 1, dx = −2" in page.value(SAYS).replace("\xa0", " ")
    page.mouse(2, 2, "mouseMoved")
    assert "dy = 0, dx = 0" in page.value(SAYS).replace("\xa0", " ")
    page.mouse(*place(page, (2, -4)), "mouseMoved", "mousePressed", "mouseReleased")
    page.mouse(2, 2, "mouseMoved")
    said = page.value(SAYS).replace("\xa0", " ")
    assert "dy = 2, dx = −4" in said
    assert "proved" in said
    assert page.value("[...document.querySelectorAll('.go input')].map((i) => i.value)") == [
        "2",
        "-4",
    ]


@pytest.mark.slow
@needs_chromium
def test_a_refuted_shift_shows_its_counterexample_and_a_proved_one_moves_the_image(page):
    roles = "[...document.querySelectorAll('.says .tile')].map((tile) => tile.dataset.role)"
    page.value("document.querySelector('.map canvas').focus()")
    page.key("Home")
    page.key("ArrowRight")
    assert page.value(roles) == ["image", "shifted", "moved", "law", "difference"]
    page.key("ArrowRight")
    page.settle()
    assert page.value(roles) == ["image", "image", "still", "still"]
    pixels = (
        "(() => { const [first, second] = document.querySelectorAll('.says .tile');"
        "const image = first.querySelector('img'), copy = document.createElement('canvas');"
        "[copy.width, copy.height] = [image.naturalWidth, image.naturalHeight];"
        "copy.getContext('2d').drawImage(image, 0, 0);"
        "const red = (c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, i) => i % 4 === 0); return [red(copy), red(second.querySelector('canvas'))]; })()"
    )
    image, moved = (np.array(values).reshape(8, 12) for values in page.value(pixels))
    assert np.array_equal(np.roll(image, (0, 2), (0, 1)), moved)
    assert not np.array_equal(image, moved)


@needs_chromium
def test_another_map_can_be_chosen(page):
    titles = "document.querySelector('.explorer > figcaption b').textContent"
    assert page.value(titles).endswith("map: equivariance")
    page.value("document.querySelectorAll('.choices input')[2].click()")
    assert page.value(titles).endswith("scores: invariance")
    assert "24 proved" in page.value("document.querySelector('.legend').innerText")
    page.value("document.querySelectorAll('.choices input')[0].click()")


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_every_width_light_and_dark(written, browser, width, dark):
    phone = width < 400
    page = browser.open(written, width=width, dark=dark, touch=phone)
    assert page.value("document.documentElement.scrollWidth") == width
    ground = page.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 200) == dark
    stacked = "document.querySelector('.panel').getBoundingClientRect().left < 100"
    assert page.value(stacked) == phone
    if phone:
        page.tap(*place(page, (-2, 4)))
        assert "dy = −2, dx = 4" in page.value(SAYS).replace("\xa0", " ")
        page.resize(844, 390)
        page.settle()
        assert page.value("document.querySelector('.map canvas').clientWidth") > 400
    assert page.errors == []


@pytest.mark.slow
@needs_chromium
def test_it_prints_in_light_colours(written, browser):
    page = browser.open(written, dark=True)
    assert page.pdf().startswith(b"%PDF")
    corner = (
        "(() => { const c = document.querySelector('.map canvas');"
        "return [...c.getContext('2d').getImageData(c.width - 12, 12, 1, 1).data].slice(0, 3); })()"
    )
    dark = page.value(corner)
    page.value("dispatchEvent(new Event('beforeprint'))")
    assert sum(page.value(corner)) > sum(dark) + 200
    page.value("dispatchEvent(new Event('afterprint'))")
    assert page.value(corner) == dark


@pytest.mark.slow
@needs_chromium
def test_one_and_three_axes_can_be_walked_too(browser, tmp_path):
    model = nnx.Sequential(lambda x: x.reshape(len(x), -1), nnx.Linear(24, 2, rngs=nnx.Rngs(0)))
    page = browser.open(report_verdict(sp.verify(model, (2, 3, 4, 1)), tmp_path / "3").html)
    page.value("document.querySelector('.map canvas').focus()")
    page.key("Home")
    page.key("PageDown")
    assert "dz = −1, dy = 0, dx = 0" in page.value(SAYS).replace("\xa0", " ")
    assert "refuted" in page.value(SAYS)
    assert page.errors == []

    def pool(x):
        return nnx.max_pool(x, (2,), (2,))

    page = browser.open(report_verdict(sp.verify(pool, (8, 1)), tmp_path / "1").html)
    page.value("document.querySelector('.map canvas').focus()")
    page.key("Home")
    page.key("ArrowRight", shift=True)
    assert "dx = 2" in page.value(SAYS).replace("\xa0", " ")
    assert "proved" in page.value(SAYS)
    assert page.errors == []


@pytest.mark.slow
@needs_chromium
def test_a_large_verdict_is_small_and_answers_at_once(browser, tmp_path):
    def model(x):
        return nnx.max_pool(x, (32, 32), (32, 32))

    path = report_verdict(sp.verify(model, (224, 224, 1)), tmp_path).html
    assert path.stat().st_size < 3e6
    page = browser.open(path, width=390, touch=True)
    assert page.errors == []
    assert page.value("explorers[0].maps[0].words.length") == 50176
    x, y = place(page, (32, -64))
    page.tap(x + 3, y - 3)  # next to a lone proved cell, which is smaller than a finger
    said = page.value(SAYS).replace("\xa0", " ")
    assert "dy = 32, dx = −64" in said
    assert "moves by (1" in said


@pytest.mark.slow
@needs_chromium
def test_the_verdict_on_the_own_weights_stands_beside(verdict, browser, tmp_path):
    both = dataclasses.replace(verdict, these=verdict)
    page = browser.open(report_verdict(both, tmp_path).html)
    assert page.errors == []
    assert page.value("explorers.length") == 2
    keys = page.value("[...document.querySelectorAll('.example')].map((example) => example.id)")
    assert len(keys) == len(set(keys)) == 2 * len(verdict.witnesses)
    drawn = "[...document.querySelectorAll('.says')].map((s) => s.querySelectorAll('.tile').length)"
    assert page.value(drawn) == [5, 5]
    page.value("document.querySelectorAll('.choices')[1].querySelectorAll('input')[2].click()")
    chosen = "[...document.querySelectorAll('.choices input')].map((radio) => radio.checked)"
    assert page.value(chosen) == [True, False, False, False, False, True]


@pytest.mark.slow
@needs_chromium
def test_a_sweep_can_be_explored(browser, tmp_path):
    scores = strided(value=1.0)
    scores[3, 5], scores[4, 4] = 0.25, 2e-5
    layers = [
        make_layer("pool", grid=(1, 2), size=7),
        make_layer("scores", exact=False, noise=1e-6, output="output"),
    ]
    swept = make_sweep([strided(), scores], layers=layers)
    page = browser.open(report_sweep(swept, tmp_path / "a").html)
    assert page.errors == []
    data = page.value("JSON.parse(document.querySelector('.explorer script').textContent).sweep")
    assert data == json.loads((tmp_path / "a" / "sweep.json").read_text("utf-8"))
    words = page.value("explorers[0].maps.map((map) => [...map.words])")
    assert words == [
        swept.status("invariance", "scores").ravel().tolist(),
        swept.status("equivariance", "pool").ravel().tolist(),
    ]
    told = page.value("[[3, 5], [4, 4], [0, 8]].map((shift) => explorers[0].maps[0].tell(shift))")
    assert [found["word"] for found in told] == ["differs", "unclear", "equal"]
    assert "0.25" in told[0]["lines"][0]
    assert page.value("explorers[0].maps[0].shade([3, 5]) !== explorers[0].maps[0].shade([3, 6])")

    layer = make_layer("scores", output="o")
    zero = make_sweep(
        np.arange(20.0).reshape(1, 4, 5),
        layers=[layer],
        boundary="background",
        ranges=((-1, 3), (-2, 3)),
    )
    page = browser.open(report_sweep(zero, tmp_path / "b").html)
    assert page.value("explorers[0].maps[0].tell([-1, -2]).word") == "equal"
    assert "19" in page.value("explorers[0].maps[0].tell([2, 2]).lines[0]")
    page.value("document.querySelector('.map canvas').focus()")
    for _ in range(6):
        page.key("ArrowRight")
    assert "dx = 2" in page.value(SAYS).replace("\xa0", " ")  # the edge holds
    assert page.errors == []
