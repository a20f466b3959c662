"""The claims that ship with shiftproof: the command, and the page in a browser.

That they are what the audit finds is tested beside the audit, in `proofs/claims/test_claims.py`.
"""

import html
import json
import re
import subprocess
import sys

import pytest
from chromium import Browser, needs_chromium

import shiftproof as sp
from shiftproof import cli
from shiftproof.claims import PAGE, find_claim, load_claims
from shiftproof.errors import InputError
from shiftproof.terminal import Console
from shiftproof_kernel import check_text

LONGEST_PAGE = 1_500_000
"""Bytes of all files together."""


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main([*arguments])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


# --- the command ---


@pytest.mark.slow
def test_the_claims_are_listed_in_words_and_the_page_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "claims")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    for claim in load_claims():
        assert re.search(rf"^{re.escape(claim.id)} ", out, flags=re.M)
        assert claim.told.split()[0] in said
    assert "three 2×2×3 filters" in said
    assert out.splitlines()[-1] == "wrote shiftproof-claims/audit.html"
    assert max(map(len, out.splitlines())) <= 80
    there = tmp_path / "shiftproof-claims"
    files = {path.relative_to(there) for path in there.rglob("*") if path.is_file()}
    assert files == {path.relative_to(PAGE) for path in PAGE.rglob("*") if path.is_file()}
    code, out, _ = call(capsys, "claims", "--out", "mine")
    assert code == 0
    assert (tmp_path / "mine" / "audit.html").read_bytes() == (PAGE / "audit.html").read_bytes()


def test_the_page_is_opened_where_somebody_can_see_it(capsys, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(Console, "has_display", True)
    _, out, _ = call(capsys, "claims", "--out", str(tmp_path / "a"))
    assert opened == [(tmp_path / "a" / "audit.html").as_uri()]
    assert "opened" in out.splitlines()[-2] + out.splitlines()[-1]


@pytest.mark.parametrize(
    ("terminal", "variables", "seen"),
    [
        (True, {"DISPLAY": ":0"}, True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (True, {}, False),
        (False, {"DISPLAY": ":0"}, False),
    ],
)
def test_a_display_is_a_terminal_with_windows(monkeypatch, terminal, variables, seen):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Console(force_terminal=terminal).has_display is seen


def test_one_claim_is_printed_with_statements_and_evidence(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(capsys, "claims", "A1")
    assert code == 0
    said = " ".join(out.split())
    assert said.startswith("A1 (T_Δ x)(u) = x(u − Δ) shifts an image")
    assert "verdict: on the grid and the torus: proved; on a frame: amended" in said
    assert "refuted, as told (on a frame): On a frame with zero fill too" in said
    assert "counterexample: the row [0, 0, 7] shifted by 1 and back is [0, 0, 0]" in said
    assert not list(tmp_path.iterdir())


def test_claims_as_json(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, _ = call(capsys, "claims", "--json")
    assert [claim["id"] for claim in json.loads(out)] == [claim.id for claim in load_claims()]
    _, out, _ = call(capsys, "claims", "d1", "--json")
    (claim,) = json.loads(out)
    assert claim["verdict"] == "proved"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("id", ["B1'", "b1'", "B1-prime", "b1-PRIME"])
def test_a_prime_may_be_spelled_out(id):
    assert find_claim(id).id == "B1'"


def test_an_unknown_claim_is_told_with_close_ones(capsys):
    code, out, err = call(capsys, "claims", "C9")
    assert (code, out) == (2, "")
    said = " ".join(err.split())
    assert said.startswith("error: there is no claim 'C9'; there are A1, A2, B1, B1', B2,")
    assert re.search(r"Did you mean C\d or C\d or C\d\?$", said)
    with pytest.raises(InputError, match=r"no claim 'pooling'; there are A1.* D5\.$"):
        find_claim("pooling")


def test_a_folder_that_cannot_be_written_is_told(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = call(capsys, "claims", "--out", str(tmp_path / "file"))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "file" in err


@pytest.mark.slow
def test_claims_are_shown_without_jax():
    code = (
        "import sys\nfrom shiftproof import cli\n"
        "try:\n    cli.main(['claims', 'A1'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'jax', 'flax', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# --- the page ---


def disagreements(text: str, claims) -> list[str]:
    """The claims of which the page says another verdict, other words or other evidence than the data."""
    articles = dict(re.findall(r'<article id="([^"]*)">(.*?)</article>', text, flags=re.S))
    found = []
    for claim in claims:
        article = articles[claim.id.replace("'", "-prime")]
        plain = " ".join(html.unescape(re.sub(r"<[^>]*>", "", article)).split())
        same = (
            re.findall(r'<span class="badge [a-z]*">(.*?)</span>', article)
            == claim.verdict.split("; "),
            re.findall(r'<div class="statement is-([a-z]*)">', article)
            == [statement.word for statement in claim.statements],
            all(" ".join(piece.text.split()) in plain for piece in claim.evidence),
        )
        found += [] if all(same) else [claim.id]
    return found


def test_the_page_says_what_the_data_say():
    text = (PAGE / "audit.html").read_text("utf-8")
    assert disagreements(text, load_claims()) == []


@pytest.mark.parametrize(
    ("said", "other", "claim"),
    [
        (
            '<span class="badge refuted">as a law: refuted',
            '<span class="badge proved">as a law: proved',
            "C4",
        ),
        ("the row [0, 0, 7] shifted", "the row [0, 7, 0] shifted", "A1"),
        ('<div class="statement is-refuted">', '<div class="statement is-proved">', "A1"),
    ],
)
def test_a_page_that_says_otherwise_is_noticed(said, other, claim):
    text = (PAGE / "audit.html").read_text("utf-8")
    assert said in text
    assert claim in disagreements(text.replace(said, other), load_claims())


@pytest.mark.slow
def test_its_links_lead_to_files_that_can_be_checked():
    text = (PAGE / "audit.html").read_text("utf-8")
    links = {link for link in re.findall(r'href="([^#"][^"]*)"', text)}
    files = {path.relative_to(PAGE).as_posix() for path in (PAGE / "evidence").rglob("*.*")}
    assert html.unescape(" ".join(sorted(links))) == " ".join(sorted(files))
    assert {link for claim in load_claims() for e in claim.evidence for link in e.files} == files
    for name in files:
        if name.endswith(".certificate.json"):
            check_text((PAGE / name).read_text())
        elif name.endswith(".npz"):
            assert sp.load_counterexample(PAGE / name).header.deviation > 0


def test_it_is_small_and_loads_nothing():
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LONGEST_PAGE
    text = (PAGE / "audit.html").read_text("utf-8")
    assert "<script" not in text
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', text))
    assert not re.search(r"[\s\"'(=]/(root|home|tmp|Users)/\w", text)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_read_on_a_phone_and_on_a_desk(width):
    with Browser() as browser:
        page = browser.open(PAGE / "audit.html", width=width, touch=width < 400)
        assert page.outside() == []
        assert page.unreadable() == []
        assert page.errors == []
