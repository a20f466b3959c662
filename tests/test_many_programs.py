"""Random programs without a compiler: the interpreter is right, a run is resumed, and what is claimed is true."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import many_programs
import numpy as np
import pytest
import random_jaxprs
from amounts import ALL
from jaxpr_programs import random_program
from numpy_backend import numpy_backend

pytestmark = pytest.mark.skipif(
    jax.__version_info__ >= (0, 11), reason="the interpreter reaches into JAX 0.10"
)
MANY = int(os.environ.get("SHIFTPROOF_RANDOM_PROGRAMS", "240" if ALL else "80"))
"""Programs of the slow tests; 20,000 take 20 minutes of two cores."""


@pytest.mark.parametrize(
    "first",
    [
        0,
        *(
            pytest.param(first, marks=pytest.mark.slow)
            for first in range(20, 100 if ALL else 40, 20)
        ),
    ],
)
def test_without_a_compiler_every_value_is_that_of_xla(first) -> None:
    judged = 0
    for seed in range(first, first + 20):
        program = random_program(seed)
        machine = random_jaxprs.bench(program)
        with jax.enable_x64(True):
            image = random_jaxprs.pictures(program.shape, seed)[0][None] * 1.0
            expected = [np.asarray(value) for value in machine.run(image)]
            with numpy_backend():
                found = [np.asarray(value) for value in random_jaxprs.bench(program).run(image)]
        for line, one, other in zip(program.lines, expected, found, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            if one.dtype.kind in "fc":
                finite = one[np.isfinite(one)]
                scale = np.max(np.abs(finite), initial=1.0)
                np.testing.assert_allclose(
                    other, one, rtol=1e-9, atol=1e-9 * scale, err_msg=line.text
                )
            else:
                np.testing.assert_array_equal(other, one, err_msg=line.text)
            judged += 1
    assert judged > 40


@pytest.mark.slow
def test_without_a_compiler_the_same_is_claimed(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    random_jaxprs.TALLY.clear()
    assert not [
        finding for seed in range(4) for finding in random_jaxprs.judge(random_program(seed))
    ]
    compiled = dict(random_jaxprs.TALLY)
    block = many_programs.judge_block(0, 4)
    assert block["tally"] == compiled
    assert not block["findings"]


CODE = """
import sys
from pathlib import Path
import many_programs

many_programs.run(Path(sys.argv[1]), count=12, workers=1, size=2)
"""


def command(folder: Path) -> list[str]:
    return [sys.executable, "-c", CODE, str(folder)]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(tmp_path) -> None:
    """No block is lost, none is done twice, and half a line does not count."""
    path = tmp_path / "blocks.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    process = subprocess.Popen(
        command(tmp_path), env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    for _ in range(600):
        if path.exists() and path.read_text().count("\n") >= 2:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = path.read_text().splitlines()
    assert before
    path.write_text("\n".join([*before, '{"first": 10, "si']))
    done = subprocess.run(
        command(tmp_path), env=environment, capture_output=True, text=True, check=True
    )
    blocks = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(block["first"] for block in blocks) == [0, 2, 4, 6, 8, 10]
    assert path.read_text().splitlines()[: len(before)] == before
    assert "12 programs, 0 with findings" in done.stdout


@pytest.mark.slow
def test_what_is_found_is_kept(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(
        random_jaxprs, "judge", lambda program: ["wrong"] if program.seed == 3 else []
    )
    block = many_programs.judge_block(0, 5)
    assert block["findings"] == {3: ["wrong"]}
    assert many_programs.summary([block]) == 1
    assert "5 programs, 1 with findings" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, many_programs.BLOCK))
def test_claims_on_very_many_random_programs(first) -> None:
    findings = many_programs.judge_block(first)["findings"]
    assert not findings, "\n\n".join(
        f"{found[0]}\n{random_program(seed)}" for seed, found in findings.items()
    )
