"""The GitHub Action: its steps run here, in bash, with programs that write down how they are called."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shiftproof import cli

REPOSITORY = Path(__file__).parent.parent
FOLDER = REPOSITORY / ".github" / "actions" / "shiftproof"
ACTION: dict[str, Any] = yaml.safe_load((FOLDER / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the steps are for bash")


def run(name: str, tmp_path: Path, *, code: int = 0, **inputs: str) -> tuple[int, list[list[str]]]:
    """The exit code of a step, and the commands that it runs, as programs in its place would see them."""
    given = {key: value.get("default", "") for key, value in ACTION["inputs"].items()}
    given |= {key.replace("_", "-"): value for key, value in inputs.items()}
    environment = {"GITHUB_ACTION_PATH": str(FOLDER)}
    for key, value in STEPS[name]["env"].items():
        wanted = value.removeprefix("${{ inputs.").removesuffix(" }}")
        environment[key] = given[wanted]  # KeyError: an input that is not declared
    log = tmp_path / "log"
    log.write_text("")
    for program in ("shiftproof", "python"):
        stub = tmp_path / program
        stub.write_text(
            f'#!/usr/bin/env bash\nprintf "%q " {program} "$@" >> {shlex.quote(str(log))}\n'
            f"echo >> {shlex.quote(str(log))}\nexit {code}\n"
        )
        stub.chmod(0o755)
    environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    # as GitHub runs `shell: bash`
    script = tmp_path / "script.sh"
    script.write_text(STEPS[name]["run"])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [shlex.split(line) for line in log.read_text().splitlines()]


def understood(arguments: list[str], monkeypatch) -> Any:
    """The command that our command line makes of these."""
    found = []
    monkeypatch.setattr(cli, "run", lambda command: found.append(command) or 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 0
    return found[0]


def test_it_is_a_composite_action_whose_scripts_hold_no_input() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert ("run" in step) == (step.get("shell") == "bash")
    assert all(value["description"] for value in ACTION["inputs"].values())


def test_it_installs_the_checkout_that_it_is_in(tmp_path) -> None:
    code, ((*command, checkout, pytest_),) = run("Install", tmp_path)
    assert (code, command, pytest_) == (
        0,
        ["python", "-m", "pip", "install", "--quiet"],
        "pytest",
    )
    assert Path(checkout).resolve() == REPOSITORY.resolve()
    _, (command,) = run("Install", tmp_path, requirements="my requirements.txt")
    assert command[-2:] == ["-r", "my requirements.txt"]


def test_a_bare_target_is_verified(tmp_path, monkeypatch) -> None:
    code, (command,) = run("Verify", tmp_path, target="net.py")
    assert code == 0
    asked = understood(command[1:], monkeypatch)
    assert asked == cli.Verify(target="net.py", out=Path("shiftproof-report/verdict"))


def test_inputs_become_options(tmp_path, monkeypatch) -> None:
    inputs = {"shape": "28 28 1", "lattice": "4Z,4Z 2,0", "property": "equivariance"}
    target = "net.py:make $(touch owned); x"
    _, (command,) = run("Verify", tmp_path, target=target, weights="these", report="a b", **inputs)
    assert understood(command[1:], monkeypatch) == cli.Verify(
        target=target,
        shape=(28, 28, 1),
        shifts=("4Z,4Z", "2,0"),
        property="equivariance",
        weights="these",
        out=Path("a b/verdict"),
    )
    assert not (tmp_path / "owned").exists()
    _, (command,) = run("Verify", tmp_path, target="net.py", boundary="scene")
    assert understood(command[1:], monkeypatch).boundary == "scene"


@pytest.mark.parametrize(
    ("code", "allow", "ends"),
    [
        (0, "false", 0),
        (1, "false", 1),
        (1, "true", 1),
        (2, "true", 2),
        (3, "false", 3),
        (3, "true", 0),
    ],
)
def test_it_fails_where_something_is_not_proved(tmp_path, code, allow, ends) -> None:
    ended, commands = run("Verify", tmp_path, code=code, target="net.py", allow_undecided=allow)
    assert (ended, len(commands)) == (ends, 1)


def test_tests_run_with_the_options_of_the_plugin(tmp_path, pytester) -> None:
    code, (command,) = run("Test", tmp_path, tests="tests/a.py tests/b.py")
    assert code == 0
    assert command[:5] == ["python", "-m", "pytest", "tests/a.py", "tests/b.py"]
    pytester.makepyfile("def test_nothing():\n    pass\n")
    pytester.runpytest(*command[5:]).assert_outcomes(passed=1)
    assert (pytester.path / "shiftproof-report" / "junit.xml").is_file()
    assert run("Test", tmp_path, code=1, tests="tests")[0] == 1
