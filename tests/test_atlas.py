"""The atlas: rows that can be resumed, findings computed of them, a page to sort, brute force that can disagree."""

import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import msgspec
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import atlas, atlas_page, compare, report
from benchmarks.atlas_findings import entries, findings, paddings, repair_words
from benchmarks.atlas_page import map_of
from benchmarks.harness import Rows, read_rows
from shiftproof.group import Lattice
from tests.chromium import Browser, needs_chromium

TINY = ("flax:super-resolution, zeros", "flax:automaton, zeros")


# --- the run ---


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Path:
    """The rows of two small families, decided."""
    path = tmp_path_factory.mktemp("atlas") / "rows.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atlas, "SEARCH_SECONDS", 0.5)
        atlas.run(path, quick=False, until=math.inf, cases=TINY)
    return path


@pytest.fixture
def named(monkeypatch) -> list[str]:
    """Names of what would be decided, in place of deciding it."""
    found: list[str] = []
    monkeypatch.setattr(atlas, "_decide", lambda rows, each, check: found.append(each.name))
    monkeypatch.setattr(jax, "clear_caches", lambda: None)
    return found


@pytest.mark.slow
def test_a_run_writes_rows_of_the_schema(ran) -> None:
    by_case = {case: [r for r in read_rows(ran) if r.case == case] for case in TINY}
    for case, rows in by_case.items():
        figures = [row.figure for row in rows]
        assert figures == [
            *("verdict", "counterfactuals", "circular padding"),
            *("cheapest repair", "scene", "interior"),
        ]
        facts, total = rows[0].facts, {TINY[0]: 16, TINY[1]: 64}[case]
        assert (facts["shifts"], facts["proved"], facts["question"]) == (total, 1, "equivariance")
        words = (facts[w] for w in ("proved", "refuted", "numerically", "undecided"))
        assert sum(map(int, words)) == total  # type: ignore[arg-type]
        assert rows[2].samples == [total]
        assert facts["codes"] == "padding"


@pytest.mark.slow
def test_a_second_run_skips_what_is_there_and_begins_again_what_was_interrupted(
    ran, named, tmp_path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(ran.read_bytes())
    atlas.run(path, quick=False, until=math.inf, cases=TINY)
    assert named == []
    assert path.read_bytes() == ran.read_bytes()
    path.write_bytes(b"".join(ran.read_bytes().splitlines(keepends=True)[:-1]))
    atlas.run(path, quick=False, until=math.inf, cases=TINY)
    assert named == [TINY[1]]


def test_shares_part_all_architectures_among_processes(named, tmp_path) -> None:
    everything = [each.name for each in atlas.architectures()]
    assert len(everything) == len({*everything}) > 150
    assert {*atlas.QUICK} <= {*everything}
    for share in ("1/2", "2/2"):
        atlas.run(tmp_path / "rows.jsonl", quick=False, until=math.inf, share=share)
        assert {*named} != {*everything} or share == "2/2"
    assert sorted(named) == sorted(everything)


def test_what_fails_is_a_row_with_its_reason_and_is_not_tried_again(
    monkeypatch, tmp_path, named
) -> None:
    def fail(rows, each, check):
        raise ValueError("nothing fits")

    path = tmp_path / "rows.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(atlas, "_decide", fail)
        atlas.run(path, quick=False, until=math.inf, cases=TINY[:1])
    (row,) = read_rows(path)
    assert (row.figure, row.unit) == ("failed", "")
    assert str(row.facts["reason"]).startswith("ValueError: nothing fits (test_atlas.py:")
    atlas.run(path, quick=False, until=math.inf, cases=TINY[:1])
    assert named == []
    # a report of it alone, of which nothing was measured
    written = [p.name for p in report.write([path], tmp_path / "report")]
    assert written == ["report.html", "atlas.html"]
    for name in written:
        text = (tmp_path / "report" / name).read_text()
        assert f"1 of 1 architecture could not be decided: {TINY[0]}." in text
    assert "nothing fits" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cases", "timm:nonsense"], "there is no architecture 'timm:nonsense' in the atlas."),
        (["--share", "3/2"], "--share '3/2' is none: say 1/2 and 2/2 for two processes."),
        (["--share", "0/2"], "--share '0/2' is none"),
        (["--share", "half"], "--share 'half' is none"),
    ],
)
def test_bad_input_gets_one_clear_message(options, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "atlas", *options])
    assert command.main() == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith(f"error: {message}")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("mobilevit_xxs", "attention"),
        ("mobilenet_v2", "mobile"),
        ("convnext 2", "modern convolutional"),
        ("wide resnet", "residual"),
        ("mlp-mixer", "multilayer perceptron"),
        ("hopfield", "other"),
    ],
)
def test_a_family_is_known_by_the_longest_beginning(name, family) -> None:
    assert atlas.family_of(name) == family


# --- findings ---


def add(
    rows: Rows,
    case: str,
    *,
    proved: int = 1,
    basis: tuple[tuple[float, ...], ...] = ((8.0, 0.0), (0.0, 8.0)),
    repairs: dict[str, tuple[str, int, int]] | None = None,
    refuted: int | None = None,
    undecided: int = 0,
    question: str = "invariance",
    codes: str = "",
    causes: str = "",
    stride: float = 4.0,
    interior: tuple[int, int, str, str] = (9, 16, "layer1", "layer2"),
    seconds: float = 10.0,
) -> None:
    """The rows of one architecture on a grid of 8 by 8; a repair is its interventions, shifts and step."""
    rows.add(
        case,
        "verdict",
        [seconds],
        unit="s",
        framework="PyTorch",
        shape=[3, 8, 8],
        grid=[8, 8],
        question=question,
        shifts=64,
        proved=proved,
        refuted=64 - proved - undecided if refuted is None else refuted,
        numerically=0 if refuted is None else 64 - proved - undecided - refuted,
        undecided=undecided,
        basis=[list(row) for row in basis],
        stride=stride,
        causes=causes,
        codes=codes,
    )
    rows.add(case, "counterfactuals", [seconds / 2], unit="s")
    for label, (interventions, kept, step) in (repairs or {}).items():
        rows.add(
            case,
            label,
            [kept],
            unit="shifts",
            interventions=interventions,
            question=question,
            basis=[[float(step), 0.0], [0.0, float(step)]],
            cost=sum(
                {"padding": 1, "mean": 2, "positions": 4}.get(i, 0) for i in interventions.split()
            ),
        )
    if repairs:
        label, (_, kept, _) = next(iter(repairs.items()))
        rows.add(
            case, "cheapest repair", [kept], unit="shifts", label=label, steps="a.py:1: change"
        )
    inside, cells, layer, lost = interior
    rows.add(case, "interior", [inside], unit="cells", layer=layer, cells=cells, lost=lost)


@pytest.fixture
def made(tmp_path) -> Rows:
    """Five architectures by hand, one of which failed."""
    rows = Rows(tmp_path / "made.jsonl", part="atlas")
    add(
        rows,
        "timm:resnet18",
        repairs={"circular padding": ("padding", 4, 4), "up to the dense layer": ("head", 64, 1)},
        codes="padding",
        causes="zero padding of the convolution: conv1 (resnet.py:268)",
    )
    rows.add("timm:resnet18", "brute force", [1], unit="shifts", agrees=True)
    add(
        rows,
        "timm:vit_tiny",
        repairs={
            "no positions": ("positions", 4, 4),
            "circular padding, no positions": ("padding positions", 16, 2),
        },
        refuted=20,
        undecided=40,
        codes="stride positions",
        causes="stride 4 of the convolution keeps one shift in 4: patch_embed",
        interior=(4, 4, "patch_embed", "flatten"),
        seconds=40.0,
    )
    add(
        rows,
        "flax:automaton",
        proved=64,
        basis=((1.0, 0.0), (0.0, 1.0)),
        question="equivariance",
        stride=1.0,
        interior=(36, 64, "out", ""),
    )
    add(rows, "timm:vgg11", codes="positions", interior=(0, 0, "", "features.0"))
    rows.add("timm:pit_ti_224", "failed", [1], unit="", reason="ValueError: too small (a.py:3)")
    return rows


def test_findings_are_the_numbers_of_the_rows(made) -> None:
    found = findings(made.rows)
    for sentence in (
        "1 of 4 architectures is invariant (equivariant, where the output is a map) under any shift but 0 as "
        "published: flax:automaton (not rigorous for all shifts of timm:vit_tiny).",
        "Circular padding alone is proved to keep more shifts in 1 of the 1 with padding to replace, the best repairs "
        "keep more in 2 of 4 architectures.",
        "After the best repairs all shifts are proved to be kept in 1 of 4, none but 0 in 1: timm:vgg11.",
        "After the best repairs the proved lattice is that of the total stride (as many cosets as the stride to the "
        "power of the axes) in 2 of 4.",
        "It is finer than the total stride says in 1: timm:vit_tiny (2Z × 2Z, stride 4).",
        "Fewer shifts are proved than the total stride says in 1: timm:vgg11 (only 0, stride 4).",
        "The family that gains most is attention: from 1.56 % of its shifts to 25 %, most often by circular padding "
        "and no positions (in 1 of 1).",
        "Residual (1): 1 of 64 shifts proved as published, 4 after the best repairs (circular padding in 1).",
        "Plain (1): 1 of 64 shifts proved as published, 1 after the best repairs (no repair is proved to help in 1).",
        "Shifts are lost by padding with a constant in 1 of 4: 1 of 1 residual. It is zero padding of the "
        "convolution in 1.",
        "Shifts are lost by a stride in 1 of 4: 1 of 1 attention.",
        "On a scene some layer has no proved interior in 3 of 4 architectures, and no layer has one in 1 (timm:vgg11). "
        "Of the others, the last layer with an interior has one cell for every 10 pixels in the median (4 to 16).",
        "Of 256 shifts in all, 67 are proved, 146 refuted rigorously, 3 numerically alone, and 40 undecided. All that "
        "is not proved is refuted rigorously in 2 of 4 architectures; shifts stay open in 1: timm:vit_tiny.",
        "Brute force in PyTorch, every shift in float64, finds the same shifts in 1 of 1.",
        "Verdict, all repairs and the scene take 15 s in the median, 60 s at worst (timm:vit_tiny).",
        "1 of 5 architectures could not be decided: timm:pit_ti_224.",
    ):
        assert sentence in found, [s for s in found if s[:20] == sentence[:20]]


@pytest.mark.parametrize(
    ("case", "figure", "change", "sentence"),
    [
        ("timm:resnet18", "brute force", {"agrees": False}, "in 0 of 1; not in timm:resnet18."),
        ("timm:vit_tiny", "verdict", {"undecided": 0}, "and 0 undecided."),
        ("timm:vgg11", "interior", {"lost": ""}, "no proved interior in 2 of 4 architectures"),
        (
            "timm:resnet18",
            "verdict",
            {"stride": 2.0},
            "Fewer shifts are proved than the total stride says in 2",
        ),
        (
            "flax:automaton",
            "verdict",
            {"basis": [[8.0, 0.0], [0.0, 8.0]]},
            "None of 4 architectures is invariant",
        ),
        (
            "timm:resnet18",
            "verdict",
            {"causes": "padding of the max pool with -inf: maxpool (resnet.py:271)"},
            "It is padding of the max pool with -inf in 1.",
        ),
        (
            "timm:vit_tiny",
            "circular padding, no positions",
            {"interventions": "padding positions head"},
            "Attention (1): 1 of 64 shifts proved as published, 4 after",
        ),
    ],
)
def test_another_row_is_another_sentence(made, case, figure, change, sentence) -> None:
    assert sentence not in " ".join(findings(made.rows))
    changed = [
        msgspec.structs.replace(row, facts=row.facts | change)
        if (row.case, row.figure) == (case, figure)
        else row
        for row in made.rows
    ]
    assert changed != made.rows
    assert sentence in " ".join(findings(changed))


def test_the_last_row_of_a_figure_counts(made) -> None:
    add(made, "timm:vgg11", seconds=900.0)
    (found,) = (each for each in entries(made.rows) if each.name == "timm:vgg11")
    assert found.seconds == 1350.0


def test_kinds_of_padding_are_told_apart() -> None:
    told = (
        "zero padding of the convolution: a (a.py:1); padding with a constant: b; the convolution has no padding "
        "(VALID): 3 of 4 cells are left: c; zero padding of the convolution: d"
    )
    assert paddings(told) == ["zero padding of the convolution", "a pad before a layer"]


# --- the page ---


@pytest.mark.parametrize(
    "lattice",
    [
        Lattice((8, 8), ((4, 0), (0, 2))),
        Lattice((6, 6), ((1, 2),)),
        Lattice((64, 64)),
        Lattice((9,), ((3,),)),
        Lattice((4, 4, 4), ((0, 2, 0), (0, 0, 2))),
    ],
    ids=str,
)
def test_a_map_holds_a_dot_for_every_shift(lattice) -> None:
    drawn = map_of(lattice)
    places = re.findall(r"M([\d.]+) ([\d.]+)h0", drawn.path)
    across = {math.floor(float(x)) - drawn.width // 2 for x, _ in places}
    mask = lattice.mask()
    while mask.ndim > 2:
        mask = mask[0]
    columns = mask.any(axis=0) if mask.ndim > 1 else mask
    assert len(places) == np.count_nonzero(mask)
    assert {x % drawn.width for x in across} == {*np.flatnonzero(columns).tolist()}
    assert 0 in across
    assert drawn.words == f"{lattice}: {lattice.count} of {lattice.mask().size:,} shifts"
    assert not drawn.whole
    assert map_of(Lattice((4, 4), ((1, 0), (0, 1)))).whole


def test_the_page_is_one_file_with_a_row_and_a_map_for_every_architecture(made, tmp_path) -> None:
    page, other, *_ = report.write([made.path], tmp_path / "report")
    assert (page.name, other.name) == ("report.html", "atlas.html")
    assert 'href="atlas.html"' in page.read_text()
    text = other.read_text().replace("<wbr>", "")
    assert text.count('<th scope="row"') == 5
    assert text.count('<svg class="lattice"') == 4 + 2  # as published, and after repairs that help
    assert 'aria-label="4Z × 4Z: 4 of 64 shifts"' in text
    assert "ValueError: too small (a.py:3)" in text
    for sentence in findings(made.rows):
        assert sentence in text
    # without a script it is a table with headings, and no form that does nothing
    assert '<form class="go" hidden>' in text
    assert "<button" not in text.partition("<script>")[0]
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_a_quick_run_says_so(tmp_path) -> None:
    rows = Rows(tmp_path / "rows.jsonl", part="atlas", quick=True)
    add(rows, "timm:resnet18")
    assert "QUICK RUN: a few architectures only. None of 1 architecture is" in atlas_page.render(
        rows.rows
    )


def test_rows_of_the_atlas_can_be_compared(made, tmp_path, capsys) -> None:
    other = Rows(tmp_path / "other.jsonl", part="atlas")
    add(other, "timm:resnet18", seconds=20.0)
    assert compare.compare(made.path, other.path) == 0
    out = capsys.readouterr().out
    assert "2 figures compared: 2 no spread." in out
    assert "only in made.jsonl: atlas, 3 cases" in out


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 800, 1280])
def test_the_page_can_be_read_on_a_phone_and_on_a_desk(made, browser, tmp_path, width) -> None:
    path = atlas_page.write(made.rows, tmp_path / "atlas.html")
    page = browser.open(path, width=width, touch=width < 400)
    assert page.outside() == []
    assert page.unreadable() == []
    assert page.errors == []
    assert page.requests == []


NAMES = "[...document.querySelectorAll('tbody tr:not([hidden]) th')].map((e) => e.textContent)"


@pytest.mark.slow
@needs_chromium
def test_the_table_is_sorted_and_filtered_by_keys(made, browser, tmp_path) -> None:
    page = browser.open(atlas_page.write(made.rows, tmp_path / "atlas.html"))
    as_made = [*dict.fromkeys(row.case for row in made.rows)]
    assert page.value(NAMES) == as_made

    def press_enter() -> None:
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        page.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        page.call("Input.dispatchKeyEvent", type="keyUp", **key)
        page.settle()

    head = "[...document.querySelectorAll('thead th')].find((e) => e.textContent === 'open')"
    page.value(f"{head}.querySelector('button').focus()")
    assert page.value(f"{head}.getAttribute('aria-sort')") is None
    press_enter()
    assert page.value(f"{head}.getAttribute('aria-sort')") == "ascending"
    first, *rest = (name for name in as_made if name not in ("timm:vit_tiny", "timm:pit_ti_224"))
    assert page.value(NAMES) == [first, *rest, "timm:vit_tiny", "timm:pit_ti_224"]
    press_enter()
    assert page.value(f"{head}.getAttribute('aria-sort')") == "descending"
    assert page.value(NAMES)[0] == "timm:vit_tiny"
    assert page.value(NAMES)[-1] == "timm:pit_ti_224"  # it has nothing to sort by
    page.value("document.querySelector('[name=search]').focus()")
    page.call("Input.insertText", text="vit timm")
    assert page.value(NAMES) == ["timm:vit_tiny"]
    assert page.value("document.querySelector('output').textContent") == "1 of 5 shown"
    page.value("document.querySelector('form').reset()")
    page.value("document.querySelector('[name=family]').value = 'residual'")
    page.value("document.querySelector('form').dispatchEvent(new Event('input'))")
    assert page.value(NAMES) == ["timm:resnet18"]
    assert page.value("document.querySelectorAll('[aria-sort]').length") == 0
    assert page.errors == []


# --- brute force ---


@pytest.mark.parametrize(
    ("generators", "agrees"),
    [
        (((2, 0), (0, 2)), True),
        (((1, 0), (0, 2)), False),  # more shifts than the network keeps
        (((0, 2),), False),  # fewer
    ],
)
def test_brute_force_agrees_with_the_lattice_and_with_no_other(
    generators, agrees, tmp_path
) -> None:
    torch = pytest.importorskip("torch", reason="brute force runs in PyTorch, which is not here")
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, stride=2, padding=1, padding_mode="circular"),
        torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(3, 5),
    )
    rows = Rows(tmp_path / "rows.jsonl", part="atlas")
    lattice = Lattice((4, 4), generators)
    found = SimpleNamespace(claim=SimpleNamespace(property="invariance"), lattice=lattice)
    atlas._brute_force(rows, "timm:resnet18", model, (1, 4, 4), found, batch=5)
    (row,) = read_rows(rows.path)
    assert row.samples == [4]
    assert row.facts["agrees"] is agrees


# --- what is recorded ---

REPOSITORY = Path(__file__).parent.parent
RECORDED = REPOSITORY / "benchmarks" / "rows" / "atlas.jsonl"


def test_a_hundred_architectures_are_recorded_and_none_failed() -> None:
    found = entries(read_rows(RECORDED))
    assert len(found) >= 100
    assert [each.name for each in found if each.verdict is None] == []
    checked = [each for each in found if "brute force" in each.figures]
    assert checked
    assert all(each.figures["brute force"].facts["agrees"] for each in checked)


def test_the_table_of_the_readme_is_of_the_rows() -> None:
    found = entries(read_rows(RECORDED))
    by_name = {each.name: each for each in found}
    text = (REPOSITORY / "README.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.split("\n") if "of 4,096" in line]
    assert len(lines) >= 8
    for name, published, circular, best, which in lines:
        each = by_name[name]
        assert published == f"{each.lattice.count:,} of {each.facts['shifts']:,}"
        assert circular == (f"{each.circular.median:.0f}" if each.circular else "")
        assert best == f"{each.repaired.count:,}, {each.repaired}", name
        assert which == (repair_words(each.best.figure) if each.best else "none")
    (said,) = re.findall(r"^The \*\*atlas\*\*: (\d+) published", text, re.MULTILINE)
    assert int(said) == len(found)


def test_the_findings_are_of_the_rows() -> None:
    """Sentences of the section are those that the rows give, word by word; their lines may be broken elsewhere."""
    text = (REPOSITORY / "benchmarks" / "README.md").read_text()
    section = text[text.index("### What was found") :]
    told = re.findall(r"^- (.*?)(?=\n- |\n\n|\Z)", section, re.MULTILINE | re.DOTALL)
    told = [" ".join(sentence.split()) for sentence in told]
    assert len(told) >= 8
    computed = findings(read_rows(RECORDED))
    assert [sentence for sentence in told if sentence not in computed] == []


def test_no_recorded_row_names_a_folder_of_the_machine() -> None:
    text = RECORDED.read_text()
    assert not re.search(r'[" (]/(home|root|work|tmp|usr|opt)/', text)
