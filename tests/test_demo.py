"""The demo, small: it trains, sweeps, and its files say what it found."""

import html
import io
import json
import re
import struct

import numpy as np
import pytest
from chromium import Browser, needs_chromium
from flax import nnx
from matplotlib.image import imsave
from rich.console import Console

from shiftproof import data, demo
from shiftproof.demo import train
from shiftproof.errors import InputError

pytestmark = pytest.mark.xdist_group("demo")  # one worker makes what these tests share

TRUNK = demo.Variant("CIRCULAR", 2, "flatten")
CNN, DENSE = demo.Variant("CIRCULAR", 2, "global"), demo.Variant(None)
SMALL = demo.Plan(
    variants=(CNN, DENSE),
    canvas=12,
    train=64,
    test=16,
    steps=3,
    batch=8,
    width=1,
    placed=2,
)


def quiet():
    return Console(quiet=True)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo") / "new"
    with open(directory.parent / "log", "w") as log:
        console = Console(file=log, width=100)
        results = demo.run_demo(directory, plan=SMALL, console=console)
    return directory, results, (directory.parent / "log").read_text()


@pytest.mark.slow
def test_files(ran):
    directory, results, _ = ran
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "report.html",
        "results.json",
        "claims",
        "figure1.png",
        "figure1-scores.png",
        "scores.png",
        "labels.png",
        "maps-circular-stride-2-global.png",
        "maps-dense.png",
    }
    assert json.loads((directory / "results.json").read_text()) == results


@pytest.mark.slow
def test_exact_counts_of_the_architectures(ran):
    cnn, dense = ran[1]["networks"]
    layers = cnn["architecture"]["layers"]
    found = {x["name"]: x["equivariance"]["equal"] for x in layers if x["equivariance"]}
    assert list(found.values()) == [144, 36, 36, 9]
    assert layers[-1]["invariance"]["equal"] == 9
    assert layers[-1]["invariance"]["lattice"] == [[4, 0], [0, 4]]
    assert dense["architecture"]["layers"][-1]["invariance"]["equal"] == 1
    decided = [network["verdict"]["outputs"][0]["invariance"] for network in (cnn, dense)]
    assert [(d["proved"], d["refuted"], d["undecided"]) for d in decided] == [
        (9, 135, 0),
        (1, 143, 0),
    ]
    assert len(cnn["agreement"]["layers"]) >= 4
    for network in (cnn, dense):
        assert network["agreement"]["contradicted"] == []


@pytest.mark.slow
def test_findings_are_computed_and_said(ran):
    directory, results, log = ran
    summary = results["summary"]
    assert (
        "under 9 of 144 shifts in circular stride 2 global and under no shift but 0 in dense. "
        in summary
    )
    assert "the label stays what it was in " in summary
    assert summary.count(". ") == 1  # two sentences
    page = (directory / "report.html").read_text("utf-8")
    assert summary in page
    for name in (CNN.name, DENSE.name):
        assert name in page
        assert f"trained {name}" in log
    assert "report.html" in log
    assert "144" in log
    assert max(len(line) for line in log.splitlines() if "─" in line) <= 100


def sections(page: str) -> list[str]:
    return page.split("<h2>")


@pytest.mark.slow
def test_the_definitions_come_first_then_the_contents(ran):
    directory, results, _ = ran
    page = html.unescape((directory / "report.html").read_text("utf-8"))
    lead, *found = sections(page)
    begin = lead.index("the output moves when the image does: f(T x) = T′ f(x)")
    assert begin < lead.index("the output stays the same: f(T x) = f(x)")
    assert begin < lead.index(results["summary"])
    listed = re.findall(r'<li><a href="#(section-\d)">(.*?)</a></li>', lead)
    titles = re.findall(r'<section id="(section-\d)">\n<h2>(.*?)</h2>', page)
    assert listed == titles
    assert len(listed) == len(found) >= 5
    (link,) = re.findall(r'href="(claims/.*?)"', lead)
    assert "39 parameters" in (directory / link).read_text("utf-8")


@pytest.mark.slow
def test_questions_have_answers_and_reasons(ran):
    _, *found = sections((ran[0] / "report.html").read_text("utf-8"))
    asked = [section for section in found if section.partition("</h2>")[0].endswith("?")]
    assert len(asked) == 5
    for section in asked:
        assert section.index("<dt>Answer</dt>") < section.index("<dt>Why</dt>")


@pytest.mark.slow
def test_break_maps_come_first_then_one_digit_at_three_places(ran):
    page = (ran[0] / "report.html").read_text("utf-8")
    lead, maps, digits, *_ = sections(page)
    assert html.unescape(lead).count(ran[1]["summary"]) == 1
    assert maps.count("<img") == 6
    assert "conv1 144, max_pool 36, conv2 36, max_pool_2 9, mean 9, logits 9." in maps
    assert "<b>conv1</b> moves with the image under all 144 shifts." in maps
    assert re.search(
        r"<b>max_pool_2</b> moves .* under 9 of 144 shifts, the multiples of 4 in every", maps
    )
    assert re.search(
        r"<b>logits</b> stays the same under 9 of 144 shifts, the multiples of 4", maps
    )
    assert digits.count("<img") == 2
    assert "same scores from 0 of 2 networks." in digits
    assert f"same scores from 1 of 2 networks: {CNN.name}." in digits
    assert re.search(rf"{CNN.name}</td>\n<td.*(digit|scores)</td>\n<td.*>same scores</td>", digits)


@pytest.mark.slow
def test_a_layer_and_a_network_have_one_name(ran):
    """Those of the model; no others stand in headings, captions, maps or on the terminal."""
    directory, results, log = ran
    page = (directory / "report.html").read_text("utf-8")
    layers = {x["name"] for x in results["networks"][0]["digit"]["layers"]}
    assert layers == {"conv1", "max_pool", "conv2", "max_pool_2", "mean", "logits"}
    shown = re.sub(
        r"data:image/png;base64,[^\"]*|<script.*?</script>|<style>.*?</style>", "", page, flags=re.S
    )
    for other in ("convolutions.0", "pool1", "pool2", "/2 global", "/1 flatten"):
        assert other not in shown
        assert other not in log
    assert not re.search(r"<td[^>]*>-</td>", shown)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_out_of_the_window(ran, width):
    with Browser() as browser:
        page = browser.open(ran[0] / "report.html", width=width, touch=width < 400)
        height = page.value("document.documentElement.scrollHeight")
        assert height < (6_000 if width > 400 else 9_000)  # 14,000 before sections were folded
        assert page.outside() == []
        assert page.unreadable() == []
        assert page.errors == []


@pytest.mark.slow
def test_same_seed_same_results(ran, tmp_path):
    plan = demo.Plan(**{**vars(SMALL), "variants": (DENSE,)})
    first, second = (
        demo.run_demo(tmp_path / name, plan=plan, console=quiet(), seed=3) for name in "ab"
    )
    assert first == second
    pages = [(tmp_path / name / "report.html").read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


@pytest.mark.slow
def test_every_network_is_placed_and_stands_on_one_line(tmp_path):
    plan = demo.Plan(**{**vars(SMALL), "variants": (demo.Variant("SAME", 1), DENSE)})
    log = io.StringIO()
    results = demo.run_demo(tmp_path, plan=plan, console=Console(file=log, width=80))
    assert all(network["labels_kept"] is not None for network in results["networks"])
    assert "under no shift but 0 in SAME stride 1 flatten and dense. " in results["summary"]
    # every network of every table stands on one line of 80 columns
    lines = log.getvalue().splitlines()
    assert sum(line.startswith("SAME stride 1 flatten ") for line in lines) == 4
    assert not any(line.endswith(" -") for line in lines)


@pytest.mark.slow
def test_weights_are_rounded_and_convolutions_shared():
    digits = train.split(data.digits(), SMALL, seed=0)
    plan = demo.Plan(**{**vars(SMALL), "variants": (TRUNK, CNN)})
    trunk, other = train.train_all(plan, digits, seed=0, stage=lambda text: None)
    for network in (trunk, other):
        for leaf in map(np.asarray, nnx.to_pure_dict(nnx.state(network.model))["logits"].values()):
            assert np.array_equal(leaf * 256, np.round(leaf * 256))
    kernels = [np.asarray(n.model.convolutions[0].kernel[...]) for n in (trunk, other)]
    assert np.array_equal(*kernels)
    assert 0 <= trunk.rounded <= 1


@pytest.mark.slow
def test_training_learns():
    plan = demo.Plan(variants=(DENSE,), steps=60)
    digits = train.split(data.digits(), plan, seed=0)
    (network,) = train.train_all(plan, digits, seed=0, stage=lambda text: None)
    assert network.trained > 0.8
    assert len(digits.train) == 1437  # a fifth of 1,797 is kept for the test
    assert len(digits.test) == 360


def test_png_is_fitted_and_said_so(tmp_path):
    path = tmp_path / "wide.png"
    imsave(path, np.linspace(0, 1, 20 * 40 * 3).reshape(20, 40, 3))
    image, about = train.open_png(path, canvas=28)
    assert image.shape == (1, 28, 28, 1)
    assert np.array_equal(image * 256, np.round(image * 256))
    assert not image[:, :4].any()
    assert image[:, 4:24].all(axis=(0, 3))[1:].all()
    assert "20x40" in about
    assert "averaged" in about


def test_mnist_is_split(tmp_path):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (30, 28, 28), np.uint8)
    header = struct.pack(">4B3I", 0, 0, 8, 3, 30, 28, 28)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    labels = np.arange(30, dtype=np.uint8) % 10
    header = struct.pack(">4BI", 0, 0, 8, 1, 30)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    digits = train.split(data.mnist(tmp_path), demo.Plan(), seed=0)
    assert len(digits.train) == 24
    assert len(digits.test) == 6
    assert "24 to train on, 6 to test on" in digits.source
    together = np.concatenate([digits.train, digits.test])
    assert len(np.unique(together.reshape(30, -1), axis=0)) == 30


def test_unwritable_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write into .*choose another folder"):
        demo.run_demo(tmp_path / "file", console=quiet())


def test_missing_mnist(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory"):
        demo.run_demo(tmp_path, mnist=tmp_path / "none", console=quiet())


def test_missing_png(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        demo.run_demo(tmp_path, png=tmp_path / "none.png", console=quiet())
