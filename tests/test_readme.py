"""The README keeps its word: its code runs, and CI runs its test command."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_six_lines_print_what_they_say(capsys) -> None:
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 6
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    expected = re.findall(r"# (\d+/\d+ .*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.split("\n")[:-1] == expected


def test_ci_runs_the_test_command_literally() -> None:
    command = next(block.strip() for block in blocks("bash") if "pytest" in block)
    assert command in (REPOSITORY / ".ci" / "run").read_text()


def test_links_to_files_resolve() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (REPOSITORY / target).exists(), target
