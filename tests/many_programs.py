"""Very many random programs, judged without a compiler, unattended: blocks of seeds, each done once and kept.

    python -m tests.many_programs --count 1000000 --directory DIR --workers 2

goes on where it was stopped, by whatever. `DIR/blocks.jsonl` has a line for every finished block: its first seed, its
size, seconds, what was claimed, and the findings with their seeds; a line that was cut off does not count, and its
block is done again. Every worker is a new process after a few blocks, so that memory stays bounded.
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

import jax
import random_jaxprs
from jaxpr_programs import random_program
from numpy_backend import numpy_backend

BLOCK = 100
"""Programs of a block."""
BLOCKS_OF_A_WORKER = 20


def judge_block(first: int, size: int = BLOCK) -> dict[str, Any]:
    """What is claimed of some programs, and what is found wrong."""
    random_jaxprs.TALLY.clear()
    findings: dict[int, list[str]] = {}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), numpy_backend():
        for seed in range(first, first + size):
            found = random_jaxprs.judge(random_program(seed))
            if found:
                findings[seed] = found
    jax.clear_caches()
    return {
        "first": first,
        "size": size,
        "seconds": round(time.monotonic() - begin, 1),
        "tally": dict(random_jaxprs.TALLY),
        "findings": findings,
    }


def finished(path: Path) -> list[dict[str, Any]]:
    """The blocks of a file, and the file without a line that was cut off."""
    if not path.exists():
        return []
    whole, _, rest = path.read_text().rpartition("\n")
    if rest:
        path.write_text(whole + "\n" if whole else "")
    return [json.loads(line) for line in whole.splitlines()]


def pending(done: Sequence[dict[str, Any]], count: int, size: int, seed: int) -> Iterator[int]:
    """First seeds of the blocks that are left."""
    begun = {block["first"] for block in done}
    return (first for first in range(seed, seed + count, size) if first not in begun)


def run(directory: Path, *, count: int, workers: int, size: int = BLOCK, seed: int = 0) -> int:
    """Judge what is left; the number of programs with findings."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "blocks.jsonl"
    left = [(first, size) for first in pending(finished(path), count, size, seed)]
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(workers, initializer=_quiet, maxtasksperchild=BLOCKS_OF_A_WORKER) as pool:
        for block in pool.imap_unordered(_judge, left):
            with path.open("a") as stream:
                stream.write(json.dumps(block) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            for number, found in block["findings"].items():
                print(f"--- seed {number}: {found[0][:300]}\n{random_program(number)}", flush=True)
    return summary(finished(path))


def _quiet() -> None:
    warnings.simplefilter("ignore")


def _judge(block: tuple[int, int]) -> dict[str, Any]:
    return judge_block(*block)


def summary(blocks: Sequence[dict[str, Any]]) -> int:
    """Print what was done; the number of programs with findings."""
    tally: collections.Counter[str] = collections.Counter()
    for block in blocks:
        tally.update(block["tally"])
    programs = sum(block["size"] for block in blocks)
    seconds = sum(block["seconds"] for block in blocks)
    wrong = sum(len(block["findings"]) for block in blocks)
    print(f"{programs} programs, {wrong} with findings, {seconds:.0f} s of one core; {dict(tally)}")
    return wrong


def main() -> int:
    """Judge many programs, and say what fails."""
    parser = argparse.ArgumentParser(description="Random JAX programs against the prover, resumed.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first program")
    parser.add_argument("--directory", type=Path, required=True, help="what is done is kept here")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    options = parser.parse_args()
    wrong = run(options.directory, count=options.count, workers=options.workers, seed=options.seed)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
