"""`python -m shiftproof_kernel check FILE`, in a bare Python."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_certificate import certificate, certificate_text, fixed_up, put

import shiftproof_kernel
from shiftproof_kernel.__main__ import main

SOURCE = Path(shiftproof_kernel.__file__).parent
BARE = ("-I", "-S", "-c")
RUN = f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); "


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "proof.json"
    path.write_text(certificate_text("conv"))
    return path


def others() -> list[str]:
    """Other interpreters of this machine that run and are new enough."""
    found = {}
    for name in ("python3.11", "python3.12", "python3.13", "python3.14"):
        path = shutil.which(name)
        if path and Path(path).resolve() != Path(sys.executable).resolve():
            probe = subprocess.run([path, *BARE, "import json"], capture_output=True)
            if probe.returncode == 0:
                found[name] = path
    return list(found.values())


def test_a_proof_exits_with_0_and_one_line(file: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("proved: equivariance of 'output'")
    assert (out.count("\n"), err) == (1, "")


def test_a_change_exits_with_1_and_one_line(file: Path, capsys: pytest.CaptureFixture) -> None:
    file.write_text(file.read_text().replace('"proved": 6', '"proved": 7'))
    assert main(["check", str(file)]) == 1
    assert (
        capsys.readouterr().out
        == "refused: statement: the file has something else than what follows\n"
    )


def test_what_a_file_says_never_looks_like_a_verdict(
    file: Path, capsys: pytest.CaptureFixture
) -> None:
    data = certificate("conv")
    for path in (("program", "nodes", 5, "op"), ("statement", "output"), ("statement", "property")):
        text = "\u2028x\nproved: everything\n"
        file.write_text(json.dumps(fixed_up(put(data, path, text))))
        assert main(["check", str(file)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("refused: ")
    named = fixed_up(put(data, ("statement", "output"), "✓ proved"))
    file.write_text(json.dumps(named))
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out.isascii()


@pytest.mark.parametrize("arguments", [[], ["check"], ["prove", "x"], ["check", "x", "y"]])
def test_a_wrong_call_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == "usage: python -m shiftproof_kernel check FILE\n"


def test_a_missing_file_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_bytes_that_are_no_text_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert main(["check", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [RecursionError(), MemoryError(), RecursionError("too deep\nproved: all")]
)
def test_a_checker_that_gives_up_proves_nothing(
    file: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def give_up(text: str) -> None:
        raise error

    monkeypatch.setattr("shiftproof_kernel.__main__.check_text", give_up)
    assert main(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("refused: ")
    assert out.count("\n") == 1


def test_an_error_of_the_checker_does_not_exit_with_0(file: Path) -> None:
    code = (
        RUN
        + "import shiftproof_kernel.__main__ as m; m.check_text = lambda text: 1 / 0; m.main(['check', sys.argv[1]])"
    )
    assert (
        subprocess.run([sys.executable, *BARE, code, str(file)], capture_output=True).returncode
        == 1
    )


def test_a_verdict_that_cannot_be_written_does_not_exit_with_0(file: Path) -> None:
    command = f"{sys.executable} -m shiftproof_kernel check {file} >/dev/full"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    assert (
        subprocess.run(["sh", "-c", command], env=environment, capture_output=True).returncode != 0
    )


def test_importing_the_kernel_loads_the_standard_library_only() -> None:
    code = RUN + (
        "before = set(sys.modules); import shiftproof_kernel, shiftproof_kernel.__main__; "
        "roots = {name.split('.')[0] for name in set(sys.modules) - before} - {'shiftproof_kernel'}; "
        "foreign = roots - sys.stdlib_module_names; assert not foreign, foreign"
    )
    subprocess.run([sys.executable, *BARE, code], check=True)


def test_the_kernel_names_the_standard_library_only() -> None:
    for path in SOURCE.glob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root = name.split(".")[0]
                assert root == "shiftproof_kernel" or root in sys.stdlib_module_names, name
            assert not isinstance(node, ast.Assert), f"{path.name}: an assert vanishes under -O"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv", "lenet", "resnet", "vit", "scan"])
def test_a_bare_interpreter_checks_what_this_one_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_text(certificate_text(name))
    code = (
        RUN + "from shiftproof_kernel.__main__ import main; sys.exit(main(['check', sys.argv[1]]))"
    )
    found = subprocess.run([sys.executable, *BARE, code, str(path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    path.write_text(certificate_text(name).replace('"shape": [1', '"shape": [2', 1))
    assert (
        subprocess.run([sys.executable, *BARE, code, str(path)], capture_output=True).returncode
        == 1
    )


@pytest.mark.slow
def test_other_interpreters_check_what_this_one_made(file: Path) -> None:
    interpreters = others()
    if not interpreters:
        pytest.skip("there is no other Python from 3.11 on")
    for interpreter in interpreters:
        code = (
            RUN
            + "from shiftproof_kernel.__main__ import main; sys.exit(main(['check', sys.argv[1]]))"
        )
        found = subprocess.run(
            [interpreter, *BARE, code, str(file)], capture_output=True, text=True
        )
        assert found.returncode == 0, found.stdout + found.stderr
        assert found.stdout.startswith("proved: ")


def test_it_runs_as_a_module(file: Path) -> None:
    environment = {"PYTHONPATH": str(SOURCE.parent)}
    command = [sys.executable, "-O", "-m", "shiftproof_kernel", "check", str(file)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (found.returncode, found.stdout.count("\n")) == (0, 1)
