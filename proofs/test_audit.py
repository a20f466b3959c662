"""The audit as a whole: what it prints, what its page holds, and when its exit code says yes."""

import dataclasses
import html.parser
import json

import pytest

from proofs import __main__ as program
from proofs import page, running
from proofs.claims import CLAIMS
from proofs.claims.audit import Audit
from proofs.claims.claim import Claim, Decided, Evidence, Findings, Statement, decide
from proofs.outcome import Outcome
from shiftproof.claims import load_claims
from shiftproof.refuting.counterexample import load_counterexample
from shiftproof_kernel import check_text

pytestmark = pytest.mark.xdist_group("audit page")  # one worker makes what these tests share

PROVED = Outcome("t", "z3", "1 < 2", "proved")
FAILED = Outcome("t", "cvc5", "1 < 2", "failed", "it is not")
MISSING = Outcome("u", "coq", "1 < 2", "not run", "coqc is missing: apt install coq")


def example(word: str = "holds", *, text: str = "a < b") -> Decided:
    statement = Statement("told", "$a_{i+1} < b$ for all <b>", needs=frozenset({"count"}))
    claim = Claim("X'", "It is $x^2$ so & <so>.", (statement,), lambda audit: Findings(()))
    evidence = Evidence("told", "count", word, text)  # type: ignore[arg-type]
    return decide(claim, Findings((evidence,), tables=(("Title", ("a", "b"), (("<1>", "2"),)),)))


@pytest.fixture(scope="module")
def audited() -> list[Decided]:
    """Two claims whose evidence has files, tables and a picture, and takes a moment."""
    chosen = running.choose("C3,B2")
    outcomes = tuple(running.lemmas.run())
    return list(running.examine(chosen, Audit(outcomes, quick=True), lambda text: None))


# --- exit codes ---


@pytest.mark.parametrize(
    ("decided", "outcomes", "strict", "code"),
    [
        ([example()], [PROVED], True, 0),
        ([example("fails")], [PROVED], True, 0),
        ([example("undecided")], [PROVED], False, 3),
        ([example("not run")], [PROVED], False, 3),
        ([example()], [PROVED, MISSING], False, 0),
        ([example()], [PROVED, MISSING], True, 3),
        ([example()], [PROVED, FAILED], False, 1),
        ([], [PROVED], False, 3),
    ],
)
def test_the_exit_code_is_0_only_where_all_is_decided(decided, outcomes, strict, code) -> None:
    assert running.Report(tuple(decided), tuple(outcomes), strict=strict).exit_code == code


def test_a_claim_that_cannot_be_examined_is_undecided_and_says_why() -> None:
    def fail(audit: object) -> Findings:
        raise ImportError("the digits are missing")

    told: list[str] = []
    claim = dataclasses.replace(example().claim, examine=fail)
    [one] = running.examine([claim], Audit(()), told.append)
    assert (one.verdict, one.is_decided) == ("undecided", False)
    assert "ImportError: the digits are missing" in one.reasons[0]
    assert any("Traceback" in line for line in told)


def test_claims_are_chosen_by_id() -> None:
    assert [claim.id for claim in running.choose("D1, B1'")] == ["B1'", "D1"]
    assert running.choose("") == CLAIMS
    with pytest.raises(ValueError, match="no claim Z9; there are A1, A2"):
        running.choose("A1,Z9")


# --- the command ---


@pytest.fixture
def quick_theorems(monkeypatch):
    """The audit with the theorems that the claims add, so that no test waits for all of them."""
    found = [*running.lemmas.run(), MISSING]
    monkeypatch.setattr(program, "prove_theorems", lambda tell: tuple(found))
    return found


@pytest.mark.slow
def test_the_command_writes_a_page_and_names_what_is_missing(
    tmp_path, capsys, quick_theorems
) -> None:
    arguments = ["--quick", "--only", "C3", "--out", str(tmp_path / "out")]
    assert program.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "1 claim: 1 proved" in printed
    assert "Shifts smaller than the stride may cross pooling boundaries." in " ".join(
        printed.split()
    )
    assert "not run: coq. coqc is missing: apt install coq" in printed
    assert (tmp_path / "out" / "audit.html").exists()
    assert program.main([*arguments, "--strict"]) == 3


@pytest.mark.slow
def test_a_failed_theorem_is_named(tmp_path, capsys, quick_theorems) -> None:
    quick_theorems.append(FAILED)
    assert program.main(["--quick", "--only", "C3", "--out", str(tmp_path)]) == 1
    assert "failed: t by cvc5: it is not" in capsys.readouterr().out


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder in place of the one that ships, with a page in it, and one claim to audit."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "audit.html").write_text("the old page")
    (folder / "stale.npz").write_text("")
    monkeypatch.setattr(program, "PAGE", folder)
    chosen = running.choose("C3")
    monkeypatch.setattr(program, "choose", lambda ids: chosen)
    return folder


@pytest.mark.slow
def test_a_page_ships_with_nothing_of_the_old_one(shelf, capsys, quick_theorems) -> None:
    quick_theorems.remove(MISSING)
    assert program.main(["--ship"]) == 0
    assert f"page: {shelf / 'audit.html'}" in capsys.readouterr().out
    assert not (shelf / "stale.npz").exists()
    (claim,) = load_claims(shelf)
    assert (claim.id, claim.verdict) == ("C3", "proved")
    first = (shelf / "audit.json").read_bytes(), (shelf / "audit.html").read_bytes()
    # the times of the proofs are others, and on no page
    quick_theorems[:] = [dataclasses.replace(o, seconds=o.seconds + 1) for o in quick_theorems]
    assert program.main(["--ship"]) == 0
    assert first == ((shelf / "audit.json").read_bytes(), (shelf / "audit.html").read_bytes())


@pytest.mark.slow
def test_no_page_ships_while_a_tool_is_missing(shelf, capsys, quick_theorems) -> None:
    assert program.main(["--ship"]) == 3
    assert f"error: {shelf} stays as it was" in capsys.readouterr().out
    assert {path.name for path in shelf.iterdir()} == {"audit.html", "stale.npz"}
    assert (shelf / "audit.html").read_text() == "the old page"


@pytest.mark.parametrize("option", [["--quick"], ["--only", "C3"]])
def test_no_part_of_an_audit_ships(shelf, capsys, option) -> None:
    assert program.main(["--ship", *option]) == 2
    assert "leave out --quick and --only" in capsys.readouterr().out
    assert (shelf / "audit.html").read_text() == "the old page"


def test_mistakes_in_the_call_are_told(tmp_path, capsys, quick_theorems) -> None:
    assert program.main(["--only", "Z9"]) == 2
    assert "there is no claim Z9" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert program.main(["--quick", "--only", "C3", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().out
    with pytest.raises(SystemExit) as leaving:
        program.main(["--slow"])
    assert leaving.value.code == 2


# --- the page ---


class Reader(html.parser.HTMLParser):
    """Collects links, sources and text, and knows whether tags are balanced."""

    VOID = frozenset({"meta", "img", "br", "link", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    return reader


@pytest.mark.slow
def test_the_page_loads_nothing_and_its_links_lead_to_files(tmp_path, audited) -> None:
    path = page.write_page(tmp_path, audited, running.lemmas.run(), settings={"jax": "x"})
    reader = read(path.read_text("utf-8"))
    sources = [value for name, value in reader.attributes if name == "src"]
    links = [value for name, value in reader.attributes if name == "href"]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    anchors = {value for name, value in reader.attributes if name == "id"}
    for link in links:
        assert link[1:] in anchors if link.startswith("#") else (tmp_path / link).is_file()
    assert any(link.endswith(".npz") for link in links)
    assert "@import" not in path.read_text()
    assert "<script" not in path.read_text()


def test_files_beside_the_page_can_be_checked_again(tmp_path, audited) -> None:
    page.write_page(tmp_path, audited, [PROVED], settings={})
    files = [path for path in (tmp_path / "evidence").rglob("*") if path.is_file()]
    assert files
    for path in files:
        if path.suffix == ".npz":
            assert load_counterexample(path).header.deviation > 0
        else:
            check_text(path.read_text())
    data = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    assert {claim["id"]: claim["verdict"] for claim in data["claims"]} == {
        "B2": "amended",
        "C3": "proved",
    }
    assert data["theorems"][0]["status"] == "proved"


def test_everything_on_the_page_is_escaped() -> None:
    text = page.render([example(text="<script>x</script>")], [PROVED], settings={"a": "<i>"})
    read(text)
    assert "<script>" not in text
    assert "&lt;1&gt;" in text
    assert (
        '<span class="m"><i>a</i><sub><i>i</i>+1</sub> &lt; <i>b</i></span> for all &lt;b&gt;'
        in text
    )


def test_an_undecided_claim_says_why_on_the_page() -> None:
    reader = read(page.render([example("undecided", text="nobody knows")], [PROVED], settings={}))
    assert "Undecided: told: nobody knows" in reader.words


def test_statements_are_balanced_and_have_no_stray_signs() -> None:
    for claim in CLAIMS:
        for text in (
            claim.told,
            claim.remark,
            claim.condition,
            *(s.text for s in claim.statements),
        ):
            assert (
                text.count("$") % 2 == text.count("`") % 2 == text.count("{") - text.count("}") == 0
            )
            assert not {"$", "`"} & set(page.to_text(text))


def test_colours_follow_the_gravest_word() -> None:
    assert page.tone("a: proved; b: amended") == "amended"
    assert page.tone("a: measured; b: proved") == "proved"
    assert page.tone("undecided") == "undecided"
