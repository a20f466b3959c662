"""Selections: random small programs around them, run on images that tie, and what the kernel says of every node.

    python tests/kernel/test_selections.py [COUNT [FIRST]]     as many programs, from another seed on

The judge is `tests/judge.py`: what is said to stay stays, bit for bit in arithmetic modulo a prime, and what is said to
wander is explained by one shift of what was picked, the same for all nodes behind it.
"""

import dataclasses
import random
import sys
from collections.abc import Sequence

import interpret
import judge
import numpy as np
import pytest
from amounts import ALL

from shiftproof_kernel import Node, Program, derivation, derive
from shiftproof_kernel.facts import Fact
from shiftproof_kernel.program import (
    Branch,
    Broadcast,
    Concat,
    Dim,
    Input,
    Map,
    Mix,
    Select,
    Span,
    Take,
    Transpose,
    Weight,
    Whole,
    Window,
)

GRIDS = ((4,), (6,), (8,), (2, 2), (4, 2), (2, 4), (4, 4), (2, 6))
COUNT = 40


@dataclasses.dataclass
class Grower:
    """A random program that grows."""

    rng: random.Random
    nodes: list[Node]

    def add(self, op, inputs: Sequence[int], shape: Sequence[int]) -> int:
        self.nodes.append(Node(op, tuple(inputs), tuple(shape)))
        return len(self.nodes) - 1

    def any(self) -> int:
        """A node with an axis, mostly a late one."""
        found = [n for n, node in enumerate(self.nodes) if node.shape]
        return self.rng.choice(found[-4:] if self.rng.random() < 0.7 else found)

    def shape(self, node: int) -> tuple[int, ...]:
        return self.nodes[node].shape

    def fitting(self, shape: tuple[int, ...]) -> list[int]:
        return [n for n, node in enumerate(self.nodes) if node.shape == shape]


def _select(g: Grower, node: int) -> None:
    shape = g.shape(node)
    axes = list(range(len(shape)))
    if g.rng.random() < 0.15:
        axes = axes[:1]
    strides = [g.rng.choice([s for s in (1, 2, 3, shape[a]) if shape[a] % s == 0]) for a in axes]
    if g.rng.random() < 0.8 and shape[0] % 2 == 0:
        strides[0] = 2
    sizes = list(shape)
    for axis, stride in zip(axes, strides, strict=True):
        sizes[axis] //= stride
    inputs = [node]
    if g.rng.random() < 0.3:
        inputs.append(g.any())
    for _ in range(
        g.rng.choice((1, 1, 2))
    ):  # another selection with the same operands is another choice
        g.add(Select(tuple(axes), tuple(strides)), inputs, sizes)


def _map(g: Grower, node: int) -> None:
    others = [g.rng.choice(g.fitting(g.shape(node))) for _ in range(g.rng.choice((0, 1, 1, 2)))]
    g.add(Map(), [node, *others], g.shape(node))


def _gate(g: Grower, node: int) -> None:
    """A number that all cells of another node make, at every place."""
    other = g.any()
    rank = len(g.shape(other))
    total = g.add(Mix(tuple(range(rank)), (), symmetric=True, sum=True), [other], ())
    wide = g.add(Broadcast(()), [total], g.shape(node))
    g.add(Map(), [node, wide], g.shape(node))


def _mean(g: Grower, node: int) -> None:
    shape = g.shape(node)
    axes = tuple(a for a in range(len(shape)) if g.rng.random() < 0.6)
    rest = [n for a, n in enumerate(shape) if a not in axes]
    if axes:
        g.add(Mix(axes, (), symmetric=g.rng.random() < 0.9, sum=False), [node], rest)


def _turn(g: Grower, node: int) -> None:
    """Axes in another order, or backwards, or rolled."""
    shape, axis = g.shape(node), g.rng.randrange(len(g.shape(node)))
    n = shape[axis]
    way = g.rng.randrange(3)
    if way == 0:
        order = list(range(len(shape)))
        g.rng.shuffle(order)
        g.add(Transpose(tuple(order)), [node], [shape[a] for a in order])
    elif way == 1:
        g.add(Take(axis, Span(n - 1, -1)), [node], shape)
    elif n > 1:
        k = g.rng.randrange(1, n)
        sizes = [(*shape[:axis], m, *shape[axis + 1 :]) for m in (n - k, k)]
        parts = [
            g.add(Take(axis, Span(k, 1)), [node], sizes[0]),
            g.add(Take(axis, Span(0, 1)), [node], sizes[1]),
        ]
        g.add(Concat(axis), parts, shape)


def _part(g: Grower, node: int) -> None:
    """Every second cell, or some."""
    shape, axis = g.shape(node), g.rng.randrange(len(g.shape(node)))
    n, step = shape[axis], g.rng.choice((1, 2))
    count = g.rng.choice((n // 2, n // 2, 1))
    if count > 0 and (count - 1) * step < n:
        g.add(Take(axis, Span(0, step)), [node], (*shape[:axis], count, *shape[axis + 1 :]))


def _window(g: Grower, node: int) -> None:
    """Two cells at a time, around the torus or not, or with zeros."""
    shape, axis = g.shape(node), g.rng.randrange(len(g.shape(node)))
    n, kept = shape[axis], tuple((a, a) for a in range(len(g.shape(node))) if a != axis)
    way = g.rng.choice("rrrzv")
    if way == "r":
        first = g.add(Take(axis, Span(0, 1)), [node], (*shape[:axis], 1, *shape[axis + 1 :]))
        node = g.add(Concat(axis), [node, first], (*shape[:axis], n + 1, *shape[axis + 1 :]))
    low, count = (1, n) if way == "z" else (0, n if way == "r" else n - 1)
    if count:
        dim = Dim(axis, axis, size=2, stride=1, low=low, high=0, base=1, dilation=1)
        g.add(
            Window((dim,), kept, symmetric=False, linear=False),
            [node],
            (*shape[:axis], count, *shape[axis + 1 :]),
        )


def _table(g: Grower, node: int) -> None:
    """Weights of some axes."""
    own = [1 if g.rng.random() < 0.7 else n for n in g.shape(node)]
    weight = g.add(Weight(), (), own)
    g.add(Map(), [node, weight], g.shape(node))


def _flat(g: Grower, node: int) -> None:
    g.add(Whole(()), [node], (2,))


def _branch(g: Grower, node: int) -> None:
    """A choice by a number that the image makes, or by a weight, between a selection's sum and another number."""
    shape = g.shape(node)
    choice = g.add(Mix(tuple(range(len(shape))), (), symmetric=True, sum=True), [node], ())
    if shape[0] % 2:
        return
    axes = tuple(range(len(shape)))
    given = Node(Input(()), (), shape)
    picked = Node(Select(axes, (2,) + (1,) * (len(shape) - 1)), (0,), (shape[0] // 2, *shape[1:]))
    bodies = []
    for last in (1, 0):
        out = Node(Mix(axes, (), symmetric=True, sum=True), (last,), ())
        bodies.append(Program((given, picked, out), (2,)))
    g.add(Branch(tuple(bodies), 0), [choice, g.any() if g.rng.random() < 0.2 else node], ())


PIECES = (
    _select,
    _select,
    _select,
    _map,
    _map,
    _map,
    _gate,
    _mean,
    _turn,
    _turn,
    _part,
    _window,
    _window,
    _table,
    _flat,
    _branch,
)


def random_program(seed: int) -> Program:
    """Some pieces behind an image, the first of them mostly a selection."""
    rng = random.Random(seed)
    grid = rng.choice(GRIDS)
    g = Grower(rng, [Node(Input(tuple(range(len(grid)))), (), grid)])
    if rng.random() < 0.8:
        _select(g, 0)
    while len(g.nodes) < 12:
        rng.choice(PIECES)(g, g.any())
    return Program(tuple(g.nodes), (len(g.nodes) - 1,))


def violation(seed: int, tally: judge.Tally) -> judge.Violation | None:
    """What the kernel says of a random program, and what its values contradict."""
    program = random_program(seed)
    grid = program.nodes[0].shape
    axes = tuple(range(len(grid)))
    rng = np.random.default_rng(seed)
    bodies = {
        number: {key: {} for i in range(2) for key in (f"body {i}", f"inside {i}")}
        for number, node in enumerate(program.nodes)
        if isinstance(node.op, Branch)
    }
    for colours in (2, 2, 3, interpret.PRIME):
        image = rng.integers(0, colours, grid).astype(np.uint64)
        try:
            values = interpret.run(program, [interpret.shifted(image, axes)], {}, seed, bodies)
        except (ValueError, IndexError, AssertionError):
            return None  # it makes no sense, as two windows of different sizes
        found = judge.first_violation(
            program, dict(enumerate(values)), grid, lambda shift: derive(program, shift), tally
        )
        if found is not None:
            return found
    return None


def first(seeds: Sequence[int], tally: judge.Tally) -> str:
    for seed in seeds:
        found = violation(seed, tally)
        if found is not None:
            nodes = "\n".join(
                f"  {n} = {x.op} {x.inputs} -> {x.shape}"
                for n, x in enumerate(random_program(seed).nodes)
            )
            return (
                f"seed {seed}, shift {found.shift}, nodes {found.numbers}:\n{nodes}\n{found.text}"
            )
    return ""


def test_what_is_said_of_random_programs_with_selections_holds() -> None:
    tally = judge.Tally()
    assert first(range(COUNT), tally) == ""
    # the test must not become vacuous: each program counts under four images
    assert tally.wandering > 20 * COUNT
    assert tally.repaired > 20 * COUNT
    assert tally.operations["select"] > COUNT
    assert tally.refusals["wanders"] > COUNT


def _mixed(premise, selection, axis, number):
    return (
        premise.along[axis % len(premise.along)]
        if isinstance(premise, derivation.Wandering)
        else SEEN(premise, selection, axis, number)
    )


def _beside_the_image(premise, selection, axis, number):
    return premise if isinstance(premise, Fact) else SEEN(premise, selection, axis, number)


SEEN, SELECT, SETTLED = derivation._seen, derivation.select, derivation._settled


def _of_one_axis(op, shape, facts):
    found = SELECT(op, shape, facts)
    return found[:1] * len(found)


def _still_if_one_says_so(selection, along):
    still = [fact for fact in along if all(map(derivation.is_still, fact.axes))]
    return still[0] if still else SETTLED(selection, along)


BROKEN = {
    "two selections meet": ("_seen", _mixed, 900),
    "the image meets what wanders": ("_seen", _beside_the_image, 120),
    "the first axis speaks for all": ("select", _of_one_axis, 0),
    "what stays along one axis stays": ("_settled", _still_if_one_says_so, 0),
}
"""What is put in place of a function; and the program to begin with, unless all are tried: none before finds it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found_out(name, monkeypatch) -> None:
    place, rule, start = BROKEN[name]
    monkeypatch.setattr(derivation, place, rule)
    assert first(range(0 if ALL else start, 50 * COUNT), judge.Tally()) != ""


@pytest.mark.slow
def test_a_selection_that_is_not_of_the_class_is_found_out(monkeypatch) -> None:
    """The first of the phases that tie, as `ties="first"` takes it."""
    monkeypatch.setattr(interpret, "FIRST", True)
    assert first(range(10 * COUNT), judge.Tally()) != ""


if __name__ == "__main__":
    count, start = (
        [*map(int, sys.argv[1:]), 2000, 0][:2] if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    )
    made = judge.Tally()
    print(first(range(start, start + count), made) or f"nothing false in {count} programs: {made}")
