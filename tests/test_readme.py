"""The README keeps its word: its code runs, its commands are understood, and CI runs its test command."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from amounts import ALL, sampled

from shiftproof import cli

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
GUIDE = (REPOSITORY / "src" / "shiftproof" / "GUIDE.md").read_text()
PAGES = ("README.md", "benchmarks/README.md", "src/shiftproof/GUIDE.md")

COSTLY = ("shiftproof verify resnet18",)
"""Takes a minute; `test_verify.py` verifies that network too."""

JARGON = ("lattice", "coset", "torus", "subgroup", "kernel", "field", "jaxpr", "enclosure")
"""Words that the first screen of a page does without."""


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def commands(page: str) -> list[str]:
    """The commands of shiftproof and its kernel in the blocks for a shell, without their comments."""
    lines = "".join(blocks("bash", page)).splitlines()
    ours = ("shiftproof ", "python -m shiftproof_kernel ")
    return [line.partition(" #")[0].strip() for line in lines if line.startswith(ours)]


@pytest.mark.slow
def test_the_python_lines_run_in_order_and_print_what_they_say(capsys) -> None:
    _, code, asserted = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    expected = re.findall(r"# (\d+/\d+ .*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.split("\n")[:-1] == expected
    exec(compile(asserted, "README.md", "exec"), names)
    with pytest.raises(AssertionError, match="refuted under"):
        exec(compile(asserted.replace("stride=2", "stride=1"), "README.md", "exec"), names)


def words(command: str) -> list[str]:
    """The arguments of shiftproof in a line for a shell."""
    return shlex.split(command.replace("python -m shiftproof_kernel", "shiftproof", 1))[1:]


@pytest.mark.parametrize("command", dict.fromkeys(commands(README) + commands(GUIDE)))
def test_every_command_is_understood(command, monkeypatch) -> None:
    understood = []
    monkeypatch.setattr(cli, "run", lambda parsed: understood.append(parsed) or 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(words(command))
    assert stop.value.code == 0
    assert understood


def test_a_command_that_is_wrong_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(cli, "run", lambda parsed: 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(["verify", "net.py", "--bondary", "scene"])
    assert stop.value.code == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", sampled(["README", "GUIDE"], plain=2, slow=2))
def test_the_commands_run_one_after_the_other(name, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    page, net = {"README": README, "GUIDE": GUIDE}[name], blocks("python")[0]
    for revision in (net, net.replace("rngs=rngs)", 'padding="CIRCULAR", rngs=rngs)', 1), net):
        (tmp_path / "net.py").write_text(revision)
        for command in ("init -q", "add net.py", "commit -q -m net"):
            who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
            subprocess.run(["git", *who, *command.split()], check=True, timeout=60)
    printed = {}
    for command in commands(page):
        if command in COSTLY and not ALL:
            continue
        with pytest.raises(SystemExit) as stop:
            cli.main(words(command))
        out, err = capsys.readouterr()
        assert stop.value.code in (0, 1, 3), (command, err)
        printed[command] = out
    if page is README:
        (answer,) = (block for block in blocks("text") if block.startswith("Net: "))
        assert printed["shiftproof verify net.py"] == answer
    else:
        assert printed[next(c for c in printed if c.startswith("python"))].startswith("proved: ")
        assert "no shift changed." in printed["shiftproof diff before/ net.py"]


def test_ci_runs_the_test_command_literally() -> None:
    command = next(block.strip() for block in blocks("bash") if "pytest" in block)
    assert command in (REPOSITORY / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_and_headings_resolve(page) -> None:
    here = (REPOSITORY / page).parent
    for target, heading in re.findall(
        r"\]\(([^)#:]*)(?:#([^)]+))?\)", (REPOSITORY / page).read_text()
    ):
        file = here / target if target else REPOSITORY / page
        assert file.exists(), target
        if heading:
            assert heading in headings(file.read_text()), heading


def headings(text: str) -> set[str]:
    """What a page's headings are called in links."""
    return {
        re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_the_readme_is_short_and_begins_in_plain_words() -> None:
    assert len(README.splitlines()) <= 220
    first_screen = README[: README.index("## Your model")].lower()
    assert not [word for word in JARGON if word in first_screen]
