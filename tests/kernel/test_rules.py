"""The rules say of every case exactly what the table says, and what they claim is true of whole numbers."""

import dataclasses
from collections.abc import Iterator

import interpret
import kernels
import meaning
import numpy as np
import pytest
from kernel_cases import CASES, Case, Inner, judge, program
from scene_cases import SCENES

from shiftproof_kernel import Fact, Scene

SIZES = 10**5
"""Cases with larger arrays are not run on numbers."""


@pytest.mark.parametrize("name", [*CASES, *SCENES])
def test_case(name: str) -> None:
    judge(kernels.REAL, (CASES | SCENES)[name])


def test_no_name_is_taken_twice() -> None:
    assert not CASES.keys() & SCENES


def values_of(spec, rng) -> np.ndarray:
    """A constant with the periods and one of the rolls that it claims."""
    shape, periods, rolls = spec[2], spec[3]["periods"], spec[3]["rolls"]
    value = interpret.numbers(rng, [min(p, n) for p, n in zip(periods, shape, strict=True)])
    for axis, n in enumerate(shape):
        value = value.take(range(n), axis, mode="wrap")
    for roll in rolls:
        moved, total = value, value * np.uint64(0)
        for _ in range(int(np.lcm.reduce(shape))):
            total, moved = total + moved, np.roll(moved, roll, tuple(range(len(shape))))
        value = total
    return value


def constants_of(nodes, rng) -> dict[int, np.ndarray]:
    return {i: values_of(spec, rng) for i, spec in enumerate(nodes) if spec[0] == "constant"}


def bodies_of(nodes, rng) -> dict[int, dict]:
    """Constants of the bodies of loops and branches, as `interpret` wants them."""
    found = {}
    for number, (_, _, _, params) in enumerate(nodes):
        inner = {key: params[key] for key in ("body", "test") if isinstance(params.get(key), Inner)}
        inner |= {f"body {i}": body for i, body in enumerate(params.get("bodies", ()))}
        if inner:
            found[number] = {}
            for key, body in inner.items():
                found[number][key] = constants_of(body.nodes, rng)
                inside = {"body": "inside body", "test": "inside test"}.get(key)
                found[number][inside or key.replace("body", "inside")] = bodies_of(body.nodes, rng)
    return found


def claims(case: Case) -> bool:
    return not case.expected.startswith("!")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if claims(case)])
def test_claims_hold_for_whole_numbers(name: str) -> None:
    case = CASES[name]
    made = program(kernels.REAL, case.nodes)
    if max(int(np.prod(node.shape)) for node in made.nodes) > SIZES or "grows" in name:
        pytest.skip("too large to run")
    grids = [
        (node.op.grid, node.shape) for node in made.nodes if isinstance(node.op, kernels.REAL.Input)
    ]
    grid = tuple(grids[0][1][axis] for axis in grids[0][0])
    rng = np.random.default_rng(7)
    if len({tuple(shape[a] for a in axes) for axes, shape in grids}) > 1:
        pytest.skip("two images of different sizes have no common shifts to sweep")
    inputs = [interpret.shifted(interpret.numbers(rng, shape), axes) for axes, shape in grids]
    values = interpret.run(
        made, inputs, constants_of(case.nodes, rng), 3, bodies_of(case.nodes, rng)
    )
    turns = meaning.turns(grid, [s % n for s, n in zip(case.shift, grid, strict=True)])
    for theorem, value in zip(
        kernels.REAL.derive(made, case.shift, choices=case.choices), values, strict=True
    ):
        if not isinstance(theorem, kernels.REAL.Lost):
            assert meaning.holds(theorem.fact, value[turns])


CROPS = 9


@pytest.mark.parametrize("name", [name for name, case in SCENES.items() if claims(case)])
def test_claims_hold_in_scenes_and_not_one_cell_further(name: str) -> None:
    """Of crops of one scene, under repeated shifts. In a larger interior they fail, but where a case is loose."""
    case = SCENES[name]
    made = program(kernels.REAL, case.nodes)
    if max(map(abs, case.shift)) > SIZES:
        pytest.skip("too large to run")
    rng, crops = np.random.default_rng(7), []
    for node in made.nodes:
        if isinstance(node.op, kernels.REAL.Input):
            size, axes = list(node.shape), node.op.grid
            for axis, step in zip(axes, case.shift, strict=True):
                size[axis] += (CROPS - 1) * abs(step)
            sizes = [node.shape[axis] for axis in axes]
            scene = interpret.numbers(rng, size)
            crops.append(meaning.panned(scene, axes, sizes, case.shift, CROPS))
    constants = constants_of(case.nodes, rng)
    values = interpret.run(made, crops, constants, 3, bodies_of(case.nodes, rng))
    outcomes = kernels.REAL.derive(made, case.shift, boundary="scene")
    for outcome, value in zip(outcomes, values, strict=True):
        if not isinstance(outcome, kernels.REAL.Lost):
            assert meaning.holds(outcome.fact, value)
    for fact in larger(outcomes[-1].fact):
        assert meaning.holds(fact, values[-1]) == (name in LOOSE)


def larger(fact: Fact) -> Iterator[Fact]:
    """The fact with one interior that is one cell larger, on one side."""
    for axis, factors in enumerate(fact.axes):
        for at, factor in enumerate(factors):
            if isinstance(factor, Scene):
                for low, high in ((factor.low - 1, factor.high), (factor.low, factor.high + 1)):
                    more = dataclasses.replace(factor, low=low, high=high)
                    if more.low >= 0 and more.high <= more.n:
                        other = (*factors[:at], more, *factors[at + 1 :])
                        yield Fact((*fact.axes[:axis], other, *fact.axes[axis + 1 :]), fact.signal)


LOOSE = {
    "a pattern at the border": "cells are picked in blocks, and of the first block one cell is right",
    "a pattern of two that ends at the border": "the same of the last block",
    "branches with different interiors": "the body that is chosen has more than both have",
}
"""Cases whose interior is smaller than it could be, each with the reason why."""
