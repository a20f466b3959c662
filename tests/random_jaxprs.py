"""A brute force that judges every claim about random JAX programs.

What is claimed is held against all shifts of images of many kinds, in float64. Where an image holds whole or dyadic
numbers of few bits, so do all values that a function with jumps is asked about (see `jaxpr_programs`), so that rounding
never decides. One unsound claim is a finding; so are a contradiction and a bare error.

    python -m tests.random_jaxprs --count 1000 --seed 0

prints every finding, its program cut down to the lines that matter.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # as pytest does

import brute
import jax
import numpy as np
from jaxpr_programs import (
    IMAGE_BITS,
    Line,
    Program,
    Value,
    needed,
    random_program,
    split_names,
)

import shiftproof as sp
from shiftproof.errors import (
    ContradictionError,
    NonDeterministicError,
    ShiftproofError,
    ShiftproofWarning,
)

# --- the judge ---

ROUNDING = 1e-9
"""Of the largest value met on the way: far more than float64 loses, far less than a real difference."""


def pictures(shape: Sequence[int], seed: int) -> list[np.ndarray]:
    """Images of few bits: small and large whole numbers, dyadic fractions, ties, zeros."""
    rng = np.random.default_rng(seed)
    bit = 2 ** (IMAGE_BITS - 1)
    dot = np.zeros(shape)
    dot.flat[rng.integers(dot.size)] = 3
    return [
        rng.integers(-9, 10, shape),
        rng.integers(-9, 10, shape),
        rng.integers(-200, 200, shape),
        rng.integers(-bit, bit, shape),
        rng.integers(1, bit, shape),
        rng.integers(-512, 512, shape) / 64,
        rng.integers(-64, 64, shape) / 64,
        rng.integers(-1, 2, shape),
        dot,
        -3 * dot,
        rng.integers(30000, 70000, shape),
    ]


@dataclasses.dataclass(frozen=True)
class Bench:
    """A program run under every shift, in float64.

    Attributes:
        run: the compiled function of a batch of one; it gives every value of the program.
        shifts: of the grid, shift 0 first.
        rounded: for each value whether it is rounded even where the image has few bits.
        infinite: whether the program names infinity; elsewhere it comes from overflow, and says nothing of the reals.
    """

    run: Callable
    shifts: tuple[tuple[int, ...], ...]
    rounded: tuple[bool, ...]
    infinite: bool

    def orbit(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """The output under each shift, and how far equal numbers may be apart; infinitely, where nothing is said."""
        outputs, largest = [], 1.0
        few_bits = bool(
            (image * 64 == np.round(image * 64)).all() and abs(image).max() < 2**IMAGE_BITS
        )
        axes = tuple(range(len(self.shifts[0])))
        with jax.enable_x64(True):
            for shift in self.shifts:
                values = [np.asarray(v) for v in self.run(np.roll(image, shift, axes)[None] * 1.0)]
                outputs.append(values[-1])
                for value, rounded in zip(values, self.rounded, strict=True):
                    if rounded or not few_bits:
                        largest = max(largest, self._largest(value))
        return brute.wide(np.stack(outputs)), ROUNDING * largest

    def _largest(self, value: np.ndarray) -> float:
        size = abs(value.astype(np.complex128))
        if self.infinite:
            size = size[np.isfinite(size)]
        return float(np.nan_to_num(size, nan=np.inf).max(initial=0))


def bench(program: Program) -> Bench:
    """Compiled once."""
    run = jax.jit(program.function(wide=True, all_values=True))
    rounded = tuple(line.value.bits is None for line in program.lines)
    return Bench(run, tuple(np.ndindex(*program.shape[:-1])), rounded, "inf" in str(program))


def holds(values: np.ndarray, loose: float, axes: Sequence[int] | None) -> np.ndarray | None:
    """Which output roll explains which shift; None where the image says nothing."""
    if np.isnan(values).any() or loose > 1e200:
        return None
    candidates = brute.rolls(values[0], axes) if axes else values[:1]
    return ~brute.differ(values[:, None], candidates[None], loose)


def judge(program: Program) -> list[str]:
    """Unsound claims, crashes and contradictions; none if all is well."""
    shape = program.shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftproofWarning)
            verdict = sp.verify(program.function(), shape)
    except (ContradictionError, NonDeterministicError) as error:
        return [f"{type(error).__name__}: {error}"]
    except ShiftproofError as error:
        TALLY[type(error).__name__] += 1
        return []
    except Exception as error:  # a bare error of any kind is a fault
        return [f"crash: {type(error).__name__}: {str(error)[:300]}"]
    machine = bench(program)
    orbits = [machine.orbit(image) for image in pictures(shape, program.seed)]
    found = []
    for claimed in verdict.outputs[0].properties:
        found += list(violations(claimed, machine, orbits, shape))
    return found


def violations(
    claimed: Any, machine: Bench, orbits: Sequence[tuple[np.ndarray, float]], shape: Sequence[int]
) -> Iterator[str]:
    """Claims on one property that the runs contradict."""
    name = claimed.claim.property
    axes = claimed.claim.axes if name == "equivariance" else None
    explained: Any = True
    judged = 0
    for values, loose in orbits:
        held = holds(values, loose, axes)
        if held is not None:
            judged, explained = judged + 1, explained & held
    if not judged:
        TALLY["not judged"] += 1
        return
    true = np.asarray(explained).any(-1).reshape(shape[:-1])
    proved, refuted = brute.words(claimed, "PROVED"), brute.words(claimed, "REFUTED")
    TALLY[f"{name} proved"] += int(proved.sum())
    TALLY[f"{name} refuted"] += int(refuted.sum())
    TALLY[f"{name} undecided though true"] += int((true & ~proved & ~refuted).sum())
    TALLY[f"{name} undecided though false"] += int((~true & ~proved & ~refuted).sum())
    if (proved & ~true).any():
        yield f"{name} proved though false: {np.argwhere(proved & ~true).tolist()}"
    if (refuted & true).any() and not replayed(claimed, machine, axes):
        yield f"{name} refuted though true: {np.argwhere(refuted & true).tolist()}"


def replayed(claimed: Any, machine: Bench, axes: Sequence[int] | None) -> bool:
    """Whether each counterexample shows in float64 what it says: no output roll explains all of its images."""
    for witness in claimed.witnesses:
        explained: Any = True
        for image in (witness.image, *(pair.image for pair in witness.others)):
            held = holds(*machine.orbit(np.asarray(image, np.float64)), axes)
            if held is None:
                return False
            explained = explained & held
        if explained[machine.shifts.index(tuple(witness.shift))].any():
            return False
    return True


TALLY: Counter[str] = Counter()


# --- smaller programs ---


def minimise(program: Program, fails: Callable[[Program], bool], budget: int = 60) -> Program:
    """Fewer lines that still fail: lines are dropped, or replaced by an earlier value of their shape."""
    tried = 0
    changed = True
    while changed:
        changed = False
        for smaller in shorter(program):
            tried += 1
            if tried > budget:
                return program
            if fails(smaller):
                program, changed = smaller, True
                break
    return program


def shorter(program: Program) -> Iterator[Program]:
    """Programs of fewer lines."""
    lines = program.lines
    if len(lines) > 1:
        yield dataclasses.replace(program, lines=needed(lines[:-1]))
    kept = needed(lines)
    if len(kept) < len(lines):
        yield dataclasses.replace(program, lines=kept)
    start = Value("x", (1, *program.shape), "float32", IMAGE_BITS)
    for i, line in enumerate(lines[:-1]):
        for other in (start, *(earlier.value for earlier in lines[:i])):
            if (other.shape, other.dtype) == (line.value.shape, line.value.dtype):
                rest = [
                    Line(k.value, renamed(k.text, line.value.name, other.name))
                    for k in lines[i + 1 :]
                ]
                yield dataclasses.replace(program, lines=needed((*lines[:i], *rest)))


def renamed(text: str, name: str, other: str) -> str:
    return "".join(other if part == name else part for part in split_names(text))


def kind_of(finding: str) -> str:
    """The first words, which tell one kind from another."""
    return " ".join(finding.replace(":", " ").split()[:4])


def main() -> int:
    """Judge many programs, and print what fails."""
    parser = argparse.ArgumentParser(description="Random JAX programs against the prover.")
    parser.add_argument("--count", type=int, default=100, help="how many programs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first program")
    parser.add_argument("--show", action="store_true", help="print every program")
    parser.add_argument("--no-minimise", action="store_true", help="print failing programs whole")
    options = parser.parse_args()
    failed, started = 0, time.monotonic()
    os.chdir(tempfile.mkdtemp())  # reports of contradictions are written to the working directory
    for seed in range(options.seed, options.seed + options.count):
        program = random_program(seed)
        if options.show:
            print(program, flush=True)
        findings = judge(program)
        if not findings:
            continue
        failed += 1
        kind = kind_of(findings[0])
        if not options.no_minimise:
            program = minimise(program, lambda p, kind=kind: kind in map(kind_of, judge(p)))
        print(f"--- {findings[0][:400]}\n{program}", flush=True)
        if seed % 25 == 24:
            jax.clear_caches()
    print(f"{failed} of {options.count} failed, {time.monotonic() - started:.0f} s; {dict(TALLY)}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
