"""The package as it is published: what is in it, what its page says, and the reference made from its docstrings."""

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import shiftproof as sp

ROOT = Path(__file__).parent.parent
API = [*"-m pdoc --docformat google shiftproof shiftproof_kernel".split()]


def run(*arguments: str | Path, folder: Path = ROOT) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- what is published ---


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.mark.slow
def test_the_distributions_are_built_and_their_page_renders(built) -> None:
    files = sorted(path.name for path in built.iterdir())
    assert files == [
        f"shiftproof-{sp.__version__}-py3-none-any.whl",
        f"shiftproof-{sp.__version__}.tar.gz",
    ]
    told = run("-m", "twine", "check", "--strict", *built.iterdir())
    assert told.count("PASSED") == 2, told


@pytest.mark.slow
def test_the_wheel_holds_what_the_source_holds(built) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    listed = subprocess.run(
        ["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {name for name in names if ".dist-info/" not in name} == {
        name.removeprefix("src/") for name in listed.splitlines()
    }
    page = zipfile.ZipFile(wheel).read(next(n for n in names if n.endswith("/METADATA"))).decode()
    assert "![" not in page, "a relative picture breaks on the page of a package"
    assert not re.findall(r"\]\((?!https:)", page)


@pytest.mark.slow
def test_the_source_distribution_can_run_its_tests(built) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    for name in ("README.md", "LICENSE", "CITATION.cff", "tests/cases.py", "proofs/coq/Groups.v"):
        assert name in names


def test_the_citation_names_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", text, re.MULTILINE) == [sp.__version__]
    assert re.findall(r"^license: (.+)$", text, re.MULTILINE) == ["Apache-2.0"]


def test_the_guide_for_contributors_has_the_commands_of_ci() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    ci = (ROOT / ".ci" / "run").read_text()
    tests = next(line for line in text.splitlines() if line.startswith("python3 -m venv"))
    assert tests in ci
    assert " ".join(API[1:]) in text
    for path in re.findall(r"`((?:src|tests|proofs|benchmarks|\.ci)/[^` ]+|[A-Z]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


# --- the reference ---


class Page(HTMLParser):
    """The ids and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id" and value:
                self.ids.add(value)
            if key in ("href", "src") and value is not None:
                self.links.append(value)


def broken(folder: Path) -> Iterator[str]:
    """Links of a folder's pages that lead nowhere in it; links to other hosts are not followed."""
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = there.exists()
            if is_there and parts.fragment and there in pages:
                is_there = unquote(parts.fragment) in pages[there].ids
            if not is_there:
                yield f"{path.relative_to(folder)}: {link}"


@pytest.mark.slow
def test_the_reference_has_every_public_name_and_no_broken_link(tmp_path) -> None:
    run(*API, "-o", tmp_path)
    assert not [*broken(tmp_path.resolve())]
    page = Page((tmp_path / "shiftproof.html").read_text())
    modules = {path.stem for path in (tmp_path / "shiftproof").iterdir()}
    assert not {*sp.__all__} - page.ids - modules - {"__version__"}
    assert (tmp_path / "shiftproof_kernel.html").exists()


def test_a_broken_link_is_seen(tmp_path) -> None:
    (tmp_path / "a.html").write_text('<a id="here" href="b.html#there">b</a> <a href="#here">a</a>')
    (tmp_path / "b.html").write_text('<p id="elsewhere"> <a href="gone.html"> <a href="https://x">')
    assert [*broken(tmp_path)] == ["a.html: b.html#there", "b.html: gone.html"]
