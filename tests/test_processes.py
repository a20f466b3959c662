"""Several processes share one sweep: the same bytes for any number of them, and a lost one costs little."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import shiftproof as sp
from shiftproof.errors import DeviceMemoryError, InputError, SmallerChunkWarning
from shiftproof.sweeping import sweep as module
from shiftproof.sweeping.engine import Engine
from shiftproof.sweeping.processes import Crew
from shiftproof.sweeping.store import Store

pytestmark = pytest.mark.xdist_group("processes")  # one worker makes what these tests share

SCRIPT = """
import sys, time
import jax
from flax import nnx
import numpy as np
import shiftproof as sp

directory, index, count, port, pause = sys.argv[1], *map(int, sys.argv[2:])
if count > 1:
    jax.distributed.initialize(f"localhost:{port}", count, index)
    assert jax.process_count() == count and len(jax.local_devices()) == 2

def progress(done, total):
    print(done, flush=True)
    time.sleep(pause / 10)

net = nnx.Sequential(nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0)), nnx.relu)
images = np.random.default_rng(0).integers(-4, 5, (2, 8, 8, 1)).astype(np.float32)
result = sp.sweep(
    net, images, chunk=3, directory=directory, resume=True, progress=progress, method=sys.argv[6]
)
print(result.count("equivariance"), flush=True)
"""


def start(
    directory: Path, *, count: int, pause: int = 0, method: str = "brute"
) -> list[subprocess.Popen]:
    """The processes of one sweep, on two forced host devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    script = SCRIPT.replace("*map(int, sys.argv[2:])", "*map(int, sys.argv[2:6])")
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", script, directory, *map(str, (i, count, port, pause)), method],
            env={**os.environ, **flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def finish(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out.endswith("64/64\n")


def stored(directory: Path) -> dict[str, bytes]:
    files = [directory / "sweep.npz", directory / "plan.json", *(directory / "chunks").iterdir()]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("alone")
    finish(start(directory, count=1))
    return stored(directory)


@pytest.mark.slow
def test_two_processes_give_the_bytes_of_one(alone, tmp_path) -> None:
    finish(start(tmp_path, count=2))
    assert stored(tmp_path) == alone


@pytest.mark.slow
def test_a_lost_process_costs_its_unfinished_chunks_only(alone, tmp_path) -> None:
    """Of three one is killed midway; the others finish their shares; two go on."""
    processes = start(tmp_path, count=3, pause=2)
    victim = processes[2]
    assert victim.stdout is not None
    for line in victim.stdout:
        if line.strip().isdigit() and int(line) > 1:  # it has stored chunks
            break
    victim.send_signal(signal.SIGKILL)
    chunks = tmp_path / "chunks"
    share, missing = set(range(32)[2::3]), set(range(32))
    for _ in range(600):
        missing = set(range(32)) - {int(path.stem) for path in chunks.glob("*.chunk")}
        if missing <= share:
            break
        time.sleep(0.1)
    for process in processes:
        process.kill()
        process.communicate()
    assert missing < share, "of its share, what it had not finished"
    assert missing
    assert not (tmp_path / "sweep.npz").exists()
    ages = {path: path.stat().st_mtime_ns for path in chunks.glob("*.chunk")}
    finish(start(tmp_path, count=2))
    assert stored(tmp_path) == alone
    assert {path: path.stat().st_mtime_ns for path in ages} == ages  # none was computed again


# --- what needs no processes ---


def relu(x):
    return np.maximum(0, 1) * x


def test_several_processes_need_a_folder(monkeypatch) -> None:
    monkeypatch.setattr(Crew, "here", classmethod(lambda cls: cls(1, 2)))
    with pytest.raises(InputError, match="a sweep by 2 processes needs directory="):
        sp.sweep(relu, (4, 4, 1))


def test_a_folder_that_is_not_shared_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Crew, "agree", lambda self, values: np.array(True))
    monkeypatch.setattr(Crew, "here", classmethod(lambda cls: cls(1, 2)))
    with pytest.raises(InputError, match=r"process 1 does not see .*plan\.json"):
        sp.sweep(relu, (4, 4, 1), directory=tmp_path)


def test_shares_are_disjoint_and_complete() -> None:
    work = np.arange(3, 20)
    shares = [Crew(index, 4).share(work) for index in range(4)]
    assert sorted(np.concatenate(shares)) == work.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


class Small:
    """A device that has room for so many shifts at a time."""

    def __init__(self, monkeypatch, room: int) -> None:
        import jax

        self.tried: list[int] = []
        at_rest = Engine.at_rest

        def limited(engine, canvas=None):
            self.tried.append(engine.chunk)
            if engine.chunk > room:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")
            return at_rest(engine, canvas)

        monkeypatch.setattr(Engine, "at_rest", limited)


@pytest.mark.slow
def test_a_device_out_of_memory_gets_smaller_chunks(tmp_path, monkeypatch) -> None:
    images = np.random.default_rng(0).integers(-4, 5, (1, 6, 6, 1))
    sp.sweep(relu, images, chunk=5, directory=tmp_path / "right")
    device = Small(monkeypatch, room=6)
    with pytest.warns(SmallerChunkWarning) as told:
        result = sp.sweep(relu, images, chunk=20, directory=tmp_path / "backed")
    assert "chunks of 19 shifts" in str(told[0].message)
    assert "going on with 4" in str(told[-1].message)
    assert list(dict.fromkeys(device.tried)) == [19, 8, 4]
    assert str(result.count("equivariance")) == "36/36"
    plans = [Store(tmp_path / name)._read_plan() for name in ("right", "backed")]
    assert plans[0].question == plans[1].question
    assert plans[1].chunk <= 6
    monkeypatch.undo()
    again = sp.sweep(relu, images, directory=tmp_path / "backed", resume=True)
    np.testing.assert_array_equal(again.equivariance, result.equivariance)


@pytest.mark.slow
def test_a_device_without_room_for_one_shift_is_told(monkeypatch) -> None:
    Small(monkeypatch, room=0)
    with (
        pytest.warns(SmallerChunkWarning),
        pytest.raises(DeviceMemoryError, match=r"chunks of \d shifts .*fewer are not possible"),
    ):
        sp.sweep(relu, (4, 4, 1), chunk=8)


@pytest.mark.slow
def test_begun_chunks_keep_their_size(tmp_path, monkeypatch) -> None:
    images = np.random.default_rng(0).integers(-4, 5, (1, 6, 6, 1))
    sp.sweep(relu, images, chunk=20, directory=tmp_path)
    (tmp_path / "chunks" / "000001.chunk").unlink()
    Small(monkeypatch, room=6)
    with pytest.raises(DeviceMemoryError, match=r"with which .* was begun"):
        sp.sweep(relu, images, directory=tmp_path, resume=True)


def test_other_failures_of_the_device_are_not_hidden(monkeypatch) -> None:
    import jax

    def fail(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(module, "check_call", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        sp.sweep(relu, (4, 4, 1))


@pytest.mark.slow
def test_joining_nobody_is_told() -> None:
    command = [sys.executable, "-m", "shiftproof", "sweep", "conv3x3", "--distributed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--coordinator HOST:PORT --processes COUNT --process INDEX" in done.stderr
