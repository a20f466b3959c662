"""Killed sweeps go on with the same final bytes; changed questions and damaged files are told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.errors import DamagedChunkWarning, ResumeError

IMAGES = np.random.default_rng(0).integers(-4, 5, (2, 8, 8, 1)).astype(np.float32)


def model(seed: int = 0) -> nnx.Module:
    return nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(seed))


def run(directory: Path, **options) -> bytes:
    defaults = {"chunk": 9, "directory": directory}
    sp.sweep(
        options.pop("model", model()), options.pop("images", IMAGES), **{**defaults, **options}
    )
    return (directory / "sweep.npz").read_bytes()


SCRIPT = """
import sys
import numpy as np
from flax import nnx
import shiftproof as sp

def progress(done, total):
    print(done, flush=True)
    if done and sys.argv[2] == "slow":
        import time
        time.sleep(0.2)

images = np.random.default_rng(0).integers(-4, 5, (2, 8, 8, 1)).astype(np.float32)
conv = nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
sp.sweep(conv, images, chunk=3, directory=sys.argv[1], resume=True, progress=progress)
"""


@pytest.mark.slow
def test_kill_9_and_resume_give_the_same_bytes(tmp_path) -> None:
    whole = run(tmp_path / "whole", chunk=3)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "killed")]
    with subprocess.Popen([*command, "slow"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 10:
                break
        os.kill(process.pid, signal.SIGKILL)
    stored = sorted((tmp_path / "killed" / "chunks").glob("*.chunk"))
    assert 0 < len(stored) < 32
    assert not (tmp_path / "killed" / "sweep.npz").exists()
    ages = {path: path.stat().st_mtime_ns for path in stored}
    subprocess.run([*command, "fast"], check=True, stdout=subprocess.PIPE)
    assert (tmp_path / "killed" / "sweep.npz").read_bytes() == whole
    assert {
        path: path.stat().st_mtime_ns for path in stored
    } == ages  # finished chunks were not computed again


@pytest.mark.slow
def test_a_folder_that_holds_a_sweep_is_not_overwritten(tmp_path) -> None:
    first = run(tmp_path)
    with pytest.raises(ResumeError, match=r"already holds a sweep. Go on with it by --resume"):
        run(tmp_path)
    assert run(tmp_path, resume=True) == first


@pytest.mark.slow
def test_a_resumed_sweep_keeps_its_chunk_size(tmp_path) -> None:
    assert run(tmp_path, resume=True, chunk=9) == run(tmp_path, resume=True, chunk=30)


CHANGES = {
    "weights": {"model": model(1)},
    "program": {"model": nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))},
    "model": {"name": "another"},
    "images": {"images": IMAGES + 1},
    "grid": {"images": IMAGES[:, :6]},
    "boundary": {
        "images": np.pad(IMAGES[:, 2:6, 2:6], ((0, 0), (2, 2), (2, 2), (0, 0))),
        "boundary": "background",
    },
    "axes": {"output_axes": (2, 1)},
    "law": {"law": "same"},
    "dtype": {"dtype": "float32"},
}


@pytest.mark.slow
@pytest.mark.parametrize("key", CHANGES)
def test_resume_refuses_another_question_and_names_the_difference(tmp_path, key) -> None:
    run(tmp_path)
    with pytest.raises(ResumeError, match=rf"another question.*\b{key}: stored .*, now "):
        run(tmp_path, resume=True, **CHANGES[key])


@pytest.mark.slow
def test_resume_refuses_another_version(tmp_path, monkeypatch) -> None:
    run(tmp_path)
    monkeypatch.setattr("shiftproof.sweeping.question.__version__", "9.9")
    with pytest.raises(ResumeError, match=r"shiftproof: stored .*, now 9.9"):
        run(tmp_path, resume=True)


def truncate(content: bytes) -> bytes:
    return content[:-20]


def flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def flip_header(content: bytes) -> bytes:
    return content.replace(b'"index":1', b'"index":2')


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncate, flip_last, flip_header, lambda _: b""])
def test_a_damaged_chunk_is_detected_and_computed_again(tmp_path, damage) -> None:
    whole = run(tmp_path)
    chunk = tmp_path / "chunks" / "000001.chunk"
    chunk.write_bytes(damage(chunk.read_bytes()))
    with pytest.warns(DamagedChunkWarning, match=r"000001\.chunk was truncated or altered"):
        assert run(tmp_path, resume=True) == whole


@pytest.mark.slow
def test_a_chunk_of_another_sweep_is_not_taken(tmp_path) -> None:
    whole = run(tmp_path / "a")
    run(tmp_path / "b", images=IMAGES + 1)
    (tmp_path / "b" / "chunks" / "000000.chunk").rename(tmp_path / "a" / "chunks" / "000000.chunk")
    with pytest.warns(DamagedChunkWarning, match="000000"):
        assert run(tmp_path / "a", resume=True) == whole


@pytest.mark.slow
def test_a_damaged_plan_is_refused(tmp_path) -> None:
    run(tmp_path)
    plan = tmp_path / "plan.json"
    plan.write_bytes(plan.read_bytes()[:-5])
    with pytest.raises(ResumeError, match=r"plan\.json is damaged"):
        run(tmp_path, resume=True)
    plan.write_text('{"schema": "shiftproof.plan/9", "question": {}, "chunk": 3}')
    with pytest.raises(ResumeError, match=r"this version reads 'shiftproof\.plan/1'"):
        run(tmp_path, resume=True)


def test_no_temporary_files_are_left(tmp_path) -> None:
    run(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@pytest.mark.slow
def test_resume_refuses_other_axes_of_the_same_scene(tmp_path) -> None:
    """Images, grid and program agree; only the meaning of a shift differs."""
    scene = np.random.default_rng(0).integers(-4, 5, (1, 6, 6, 6))
    options = {"boundary": "scene", "model": nnx.relu, "images": scene}
    run(tmp_path, grid=(6, 6), spatial_axes=(0, 1), **options)
    with pytest.raises(ResumeError, match=r"axes: stored \(1, 2\)"):
        run(tmp_path, grid=(6, 6), spatial_axes=(1, 2), resume=True, **options)
