"""Soundness by machine: what the kernel claims of random programs is true of their values, under every shift.

The normal run judges some thousand programs, always the same ones. The long mode judges as many as are asked for, from
another seed on, in as many processes as pytest-xdist is given:

    python -m pytest -n 2 tests/test_soundness.py --soundness-programs 1000000 --soundness-seed 10000000
    python -m pytest -n 2 tests/test_soundness.py --soundness-models 10000 --soundness-seed 10000000
"""

import dataclasses
import itertools
import random
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import interpret
import jax
import judge
import meaning
import numpy as np
import programs
import pytest
import random_models
from amounts import sampled
from traced import first_violation as model_violation
from traced import traced

from shiftproof.proving.analysis import Prover
from shiftproof_kernel import (
    Fact,
    Fold,
    Joined,
    Lost,
    Moving,
    Node,
    Phase,
    Program,
    Refusal,
    Scene,
    Still,
    Theorem,
    arithmetic,
)
from shiftproof_kernel.derivation import _Walk, derive
from shiftproof_kernel.facts import Factor, still
from shiftproof_kernel.program import Concat, Input, Operation, Select, Weight, kind

BATCHES = 8
OPERATIONS = {kind(cls) for cls in typing.get_args(Operation)}


def panned(
    sample: programs.Sample, shifts: Sequence[tuple[int, ...]]
) -> list[dict[int, np.ndarray]]:
    """The values of all nodes for crops of one large scene, for each shift those that it moves by 0, 1, ... steps."""
    node = next(node for node in sample.program.nodes if isinstance(node.op, Input))
    axes, runs = node.op.grid, []
    for shift in shifts:
        count = 2 + max(
            -(-n // abs(step)) for n, step in zip(sample.grid, shift, strict=True) if step
        )
        size = list(node.shape)
        for axis, step in zip(axes, shift, strict=True):
            size[axis] += (count - 1) * abs(step)
        scene = interpret.numbers(np.random.default_rng([sample.seed, 1]), size)
        runs.append(meaning.panned(scene, axes, sample.grid, shift, count))
    found = interpret.run(
        sample.program, [np.concatenate(runs)], sample.constants, sample.seed, sample.bodies
    )
    ends = np.cumsum([0, *map(len, runs)])
    return [
        {number: value[start:end] for number, value in enumerate(found)}
        for start, end in itertools.pairwise(ends)
    ]


def steps_of(sample: programs.Sample) -> list[tuple[int, ...]]:
    """Shifts of a scene: along each axis a few steps, one of them backwards, and one along all axes."""
    rng = random.Random(sample.seed)
    found = [tuple(rng.choice((1, 2, 4)) for _ in sample.grid)]
    for axis, n in enumerate(sample.grid):
        for step in {1, rng.choice((2, 4)), rng.choice((3, 6, 8)), n, -2}:
            found.append(tuple(step if a == axis else 0 for a in range(len(sample.grid))))
    return found


def first_scene_violation(sample: programs.Sample, tally: judge.Tally) -> judge.Violation | None:
    """The same under the boundary `scene`."""
    shifts = steps_of(sample)
    for shift, orbits in zip(shifts, panned(sample, shifts), strict=True):
        outcomes = derive(sample.program, shift, boundary="scene")
        found = judge.violation(sample.program, shift, outcomes, orbits, tally)
        if found is not None:
            return found
    return None


def values_of(sample: programs.Sample) -> dict[int, np.ndarray]:
    """The values of all nodes under every shift."""
    node = next(node for node in sample.program.nodes if isinstance(node.op, Input))
    image = interpret.numbers(np.random.default_rng([sample.seed, 1]), node.shape)
    if sample.seed % 2 and any(isinstance(each.op, Select) for each in sample.program.nodes):
        image %= np.uint64(2)  # components tie, by their words too
    images = interpret.shifted(image, node.op.grid)
    found = interpret.run(sample.program, [images], sample.constants, sample.seed, sample.bodies)
    return dict(enumerate(found))


def first_violation(sample: programs.Sample, tally: judge.Tally) -> judge.Violation | None:
    """The first claim about a program that its values contradict."""
    if sample.boundary == "scene":
        return first_scene_violation(sample, tally)
    rng = random.Random(sample.seed)

    def outcomes(shift: tuple[int, ...]) -> judge.Outcomes:
        choices = {}
        for number, roll in sample.rolls.items():
            sizes = sample.program.nodes[number].shape
            factor = rng.randrange(2 * max(sizes))
            if factor % 2 == 0:
                choices[number] = tuple(
                    factor // 2 * r % n for r, n in zip(roll, sizes, strict=True)
                )
        return derive(sample.program, shift, choices=choices)

    return judge.first_violation(sample.program, values_of(sample), sample.grid, outcomes, tally)


def only(sample: programs.Sample, numbers: Sequence[int]) -> programs.Sample:
    """The part of a program that some nodes depend on."""
    nodes = sample.program.nodes
    needed = set(numbers)
    for number in reversed(range(len(nodes))):
        if number in needed:
            needed.update(nodes[number].inputs)
    needed |= {number for number, node in enumerate(nodes) if isinstance(node.op, Input)}
    new = {number: position for position, number in enumerate(sorted(needed))}
    kept = tuple(
        dataclasses.replace(nodes[number], inputs=tuple(new[i] for i in nodes[number].inputs))
        for number in new
    )

    def moved(table: dict) -> dict:
        return {new[number]: value for number, value in table.items() if number in new}

    return dataclasses.replace(
        sample,
        program=Program(kept, tuple(new[number] for number in numbers)),
        constants=moved(dict(sample.constants)),
        bodies=moved(dict(sample.bodies)),
        rolls=moved(dict(sample.rolls)),
    )


def simpler(sample: programs.Sample) -> Iterator[programs.Sample]:
    """The same program with one node replaced by an earlier one of its shape, or by an array that does not move."""
    nodes = sample.program.nodes
    for number in reversed(range(len(nodes))):
        node = nodes[number]
        if isinstance(node.op, Input | Weight):
            continue
        earlier = [i for i in range(number) if nodes[i].shape == node.shape]
        for other in earlier[:3]:
            changed = tuple(
                dataclasses.replace(n, inputs=tuple(other if i == number else i for i in n.inputs))
                for n in nodes
            )
            outputs = tuple(other if i == number else i for i in sample.program.outputs)
            yield only(dataclasses.replace(sample, program=Program(changed, outputs)), outputs)


def shrunk(sample: programs.Sample, violation: judge.Violation) -> programs.Sample:
    """A smaller program of which something false is claimed."""
    sample = only(sample, violation.numbers)
    for _ in range(200):
        for tried in simpler(sample):
            found = first_violation(tried, judge.Tally())
            if found is not None and len(tried.program.nodes) < len(sample.program.nodes):
                sample = only(tried, found.numbers)
                break
        else:
            break
    return sample


def judged(
    seeds: Sequence[int], tally: judge.Tally, boundary: str = "torus"
) -> tuple[programs.Sample, str] | None:
    """The first unsound claim about the programs of some seeds, told with a program as small as was found."""
    for seed in seeds:
        sample = programs.random_sample(seed, boundary=boundary)
        violation = first_violation(sample, tally)
        if violation is not None:
            small = shrunk(sample, violation)
            found = first_violation(small, judge.Tally()) or violation
            return small, f"unsound under the shift {found.shift}:\n{small}\n{found.text}"
    return None


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_claim_about_a_random_program_is_false(batch, request, record_property) -> None:
    count = request.config.getoption("--soundness-programs")
    first = request.config.getoption("--soundness-seed")
    tally = judge.Tally()
    found = judged(range(first + batch, first + count, BATCHES), tally)
    assert found is None, found[1]
    for name in ("claims", "moving", "repaired", "signals", "lost"):
        record_property(name, getattr(tally, name))  # pytest --junit-xml=FILE writes them down
    # the test must not become vacuous: figures of the normal run, per program, are 72, 8 and 10
    share = -(-count // BATCHES)
    assert tally.moving > 30 * share
    assert tally.repaired > 3 * share
    assert tally.signals > 3 * share


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(4))
def test_no_claim_about_a_random_program_that_sees_a_scene_is_false(batch, request) -> None:
    count = request.config.getoption("--soundness-programs") // 6
    first = request.config.getoption("--soundness-seed")
    tally = judge.Tally()
    found = judged(range(first + batch, first + count, 4), tally, "scene")
    assert found is None, found[1]
    # figures of the normal run, per program, are 95 and 14
    share = -(-count // 4)
    assert tally.moving > 40 * share
    assert tally.signals > 5 * share


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(4))
def test_no_claim_about_a_random_model_is_false(batch, request) -> None:
    """The same of models in JAX, so that the translation is held to it too."""
    count = request.config.getoption("--soundness-models")
    first = request.config.getoption("--soundness-seed")
    tally = judge.Tally()
    for seed in range(first + batch, first + count, 4):
        model, image = random_models.random_model(seed)
        with jax.enable_x64(True):
            one = traced(model, image, range(len(image) - 1), weights="all", seed=str(seed))
        found = model_violation(one, Prover(one.graph, one.grid), tally)
        assert found is None, f"unsound of the model {seed} under {found.shift}: {found.text}"
    assert tally.moving > 20 * -(-count // 4)


@pytest.mark.slow
def test_every_operation_and_every_kind_of_factor_occurs_in_a_claim() -> None:
    tally = judge.Tally()
    assert judged(range(300), tally) is None
    assert set(tally.operations) >= OPERATIONS - {"weight"}
    assert set(tally.factors) == {
        *("flat", "still", "periodic", "fold, whole", "fold, laps", "fold, cells"),
        *("moving, part of a period", "moving, part of a period, offset"),
        *("moving, period", "moving, period, offset", "moving, periods", "moving, periods, offset"),
        "parts",
        *("phase, all frequencies", "phase, some frequencies"),
    }
    assert set(tally.refusals) >= {
        *("contract", "fold", "glue", "laws", "merge", "order", "padding", "part"),
        *("phase", "positions", "split", "stride"),
    }


@pytest.mark.slow
def test_every_operation_and_every_kind_of_interior_occurs_in_a_claim_about_a_scene() -> None:
    tally = judge.Tally()
    assert judged(range(100), tally, "scene") is None
    assert set(tally.operations) >= OPERATIONS - {"weight", "constant", "select"}
    assert set(tally.factors) == {
        *("flat", "still", "periodic", "scene, full", "scene, part", "scene, narrow"),
        *("scene, full, backwards", "scene, part, backwards", "scene, narrow, backwards"),
    }
    assert set(tally.refusals) >= {
        *("contract", "interior", "glue", "merge", "order", "part", "positions", "split", "stride"),
    }


def weaker_and_wrong(fact: Fact, rng: random.Random) -> Iterator[tuple[str, Fact]]:
    """Facts that say a little more, or a little else, than the one given."""
    for axis, factors in enumerate(fact.axes):
        for position, factor in enumerate(factors):
            for name, other in _wrong_factors(factor, rng):
                changed = (*factors[:position], other, *factors[position + 1 :])
                yield name, Fact((*fact.axes[:axis], changed, *fact.axes[axis + 1 :]), fact.signal)


def _wrong_factors(factor: Factor, rng: random.Random) -> Iterator[tuple[str, Factor]]:
    match factor:
        case Still(n, period):
            if period > 1:
                yield "flat", Still(n, 1)
            if n == period > 1:
                yield "moving", Moving(n, n, 0, rng.randrange(1, n))
        case Moving(n, period, offset, step):
            yield "still", Still(n, n)
            if n > 1:
                yield "step", Moving(n, period, offset, (step + rng.randrange(1, period)) % period)
                if 2 * step % period:
                    yield "reversed", Moving(n, period, offset, -step % period)
            smaller = [p for p in range(1, period) if period % p == 0 and p < n]
            if smaller:
                wrong = rng.choice(smaller)
                yield "period", Moving(n, wrong, offset % wrong, step % wrong)
        case Fold(n, period, step, part, tag):
            if part != "laps":
                yield "fold", Fold(n, period, (step + 1) % period, part, tag)
        case Joined(parts):
            position = rng.randrange(len(parts))
            for _, other in _wrong_factors(parts[position][0], rng) if parts[position] else ():
                changed = (other, *parts[position][1:])
                yield "part", Joined((*parts[:position], changed, *parts[position + 1 :]))
        case Phase(n, period, first, step):
            yield "unturned", Still(n, n)
            yield "turned", Phase(n, period, first, (step + 1) % period)
            yield "all turned", Phase(n, period, (first + 1) % period, step)
        case Scene(n, low, high, _, step):
            if high - low > abs(step) + 1:
                yield "scene's step", dataclasses.replace(factor, step=step + rng.choice((-1, 1)))
                yield "scene, backwards", dataclasses.replace(factor, step=-step)
            if high - low > abs(step):
                if low > 0:
                    yield "low", dataclasses.replace(factor, low=low - 1)
                if high < n:
                    yield "high", dataclasses.replace(factor, high=high + 1)


@pytest.mark.slow
def test_the_judge_rejects_what_is_slightly_wrong() -> None:
    """The judge can fail: of facts with a factor changed it rejects all but those that happen to be true too."""
    tried, caught = Counter(), Counter()
    for seed in range(400):
        sample = programs.random_sample(seed)
        values, rng = values_of(sample), random.Random(seed)
        shift = tuple(n // 2 for n in sample.grid)
        orbit = meaning.turns(sample.grid, shift)
        for number, outcome in enumerate(derive(sample.program, shift)):
            if isinstance(outcome, Lost):
                continue
            for name, wrong in weaker_and_wrong(outcome.fact, rng):
                tried[name] += 1
                caught[name] += not meaning.holds(wrong, values[number][orbit])
    assert set(tried) == {
        *("flat", "moving", "still", "step", "reversed", "period", "fold"),
        *("unturned", "turned", "all turned", "part"),
    }
    for name, count in tried.items():
        assert caught[name] > 0.6 * count > 20, f"{name}: {caught[name]} of {count}"


@pytest.mark.slow
def test_the_judge_rejects_an_interior_one_cell_too_large() -> None:
    """All but few: a rule may know less than there is."""
    tried, caught = Counter(), Counter()
    for seed in range(60):
        sample = programs.random_sample(seed, boundary="scene")
        shifts, rng = steps_of(sample), random.Random(seed)
        for shift, orbits in zip(shifts, panned(sample, shifts), strict=True):
            outcomes = derive(sample.program, shift, boundary="scene")
            for number, outcome in enumerate(outcomes):
                if isinstance(outcome, Theorem):
                    for name, wrong in weaker_and_wrong(outcome.fact, rng):
                        tried[name] += 1
                        caught[name] += not meaning.holds(wrong, orbits[number])
    for name in ("low", "high", "scene's step", "scene, backwards"):
        assert caught[name] > 0.8 * tried[name] > 40, name


@pytest.mark.slow
def test_the_judge_rejects_signals_that_differ() -> None:
    """Two arrays of one law said to show one signal, though one is a function of the other."""
    tried = caught = 0
    for seed in range(150):
        sample = programs.random_sample(seed)
        values = values_of(sample)
        shift = tuple(n // 2 for n in sample.grid)
        orbit = meaning.turns(sample.grid, shift)
        found = [
            (number, outcome.fact)
            for number, outcome in enumerate(derive(sample.program, shift))
            if isinstance(outcome, Theorem)
            and any(isinstance(f, Moving) for factors in outcome.fact.axes for f in factors)
        ]
        laws: dict[tuple, tuple[int, Fact]] = {}
        for number, fact in found:
            other = laws.setdefault(fact.axes, (number, fact))
            if other[1].signal != fact.signal and np.any(values[number] != values[other[0]]):
                tried += 1
                orbits = {n: values[n][orbit] for n in (number, other[0])}
                pair = [
                    (number, Fact(fact.axes, ("one",))),
                    (other[0], Fact(fact.axes, ("one",))),
                ]
                caught += bool(meaning.broken_signals(pair, orbits))
    assert caught > 0.9 * tried > 100


def claims_too_much(op: str, code: str, claim: Callable[..., Fact]) -> Callable:
    """The conclusion about a node, with a claim where an operation should refuse."""
    sound = _Walk._concluded

    def concluded(walk: _Walk, number: int, node: Node, premises: Any, here: Any) -> Fact | Lost:
        try:
            outcome = sound(walk, number, node, premises, here)
        except Refusal as refusal:
            if kind(node.op) != op or refusal.code != code:
                raise
        else:
            lost = isinstance(outcome, Lost) and outcome.refusal.code == code
            if kind(node.op) != op or not lost:
                return outcome
        return claim(node, premises)

    return concluded


def stays(node: Node, premises: Sequence[Fact | Lost]) -> Fact:
    return Fact(tuple(still(n) for n in node.shape))


def as_first(node: Node, premises: Sequence[Fact | Lost]) -> Fact:
    facts = [fact for fact in premises if isinstance(fact, Fact)]
    fact = next((fact for fact in facts if fact.shape == node.shape), None)
    if fact is None:
        raise Refusal("test", "no operand has the shape of the result")
    return Fact(fact.axes)


FLAWS = {
    "map: a position table": ("map", "positions", as_first),
    "map: two laws": ("map", "laws", as_first),
    "map: a repeated cell": ("map", "cell", as_first),
    "map: laps": ("map", "fold", as_first),
    "reshape: blocks": ("reshape", "split", stays),
    "take: no pattern": ("take", "order", stays),
    "take: stride": ("take", "stride", stays),
    "concat: another signal": ("concat", "glue", stays),
    "pad": ("pad", "padding", stays),
    "window: padding": ("window", "padding", as_first),
    "window: stride": ("window", "stride", stays),
    "window: mixed": ("window", "contract", stays),
    "mix: part": ("mix", "part", stays),
    "mix: order": ("mix", "order", stays),
    "map: a spectrum": ("map", "phase", stays),
    "fourier: other frequencies": ("fourier", "phase", stays),
    "concat: spectra": ("concat", "phase", stays),
    "whole": ("whole", "contract", stays),
    "loop": ("loop", "positions", as_first),
    "branch": ("branch", "contract", as_first),
}
"""Rules that claim where they should refuse: operation, code of the refusal, and what is claimed instead."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    sampled(FLAWS, plain=6, slow=3),
)
def test_a_rule_that_claims_too_much_is_found_and_the_program_shrunk(name, monkeypatch) -> None:
    op, code, claim = FLAWS[name]
    monkeypatch.setattr(_Walk, "_concluded", claims_too_much(op, code, claim))
    found = judged(range(1200), judge.Tally())
    assert found is not None
    small, text = found
    assert text.startswith("unsound under the shift")
    assert kind(small.program.nodes[-1].op) == op
    assert len(small.program.nodes) <= 14


def one_more(name: str, place: int, more: int) -> Callable:
    """A formula with one of its numbers changed by one, so that an interior is a cell too large."""
    sound = getattr(arithmetic, name)

    def formula(*numbers: int) -> tuple[int, ...]:
        found = sound(*numbers)
        return (*found[:place], found[place] + more, *found[place + 1 :])

    return formula


GENEROUS = {
    "places, below": ("within", 1, 1),
    "places, from": ("within", 0, -1),
    "holes, from": ("scene_stretch", 0, -1),
    "holes, below": ("scene_stretch", 1, 1),
    "blocks, from": ("scene_merge", 1, -1),
    "blocks, below": ("scene_merge", 2, 1),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if "blocks" in n else []) for n in GENEROUS],
)
def test_an_interior_one_cell_too_large_is_found_and_the_program_shrunk(name, monkeypatch) -> None:
    formula = GENEROUS[name][0]
    monkeypatch.setattr(arithmetic, formula, one_more(*GENEROUS[name]))
    found = judged(range(400), judge.Tally(), "scene")
    assert found is not None
    small, text = found
    assert text.startswith("unsound under the shift")
    assert len(small.program.nodes) <= 14


def test_a_scene_that_ignores_what_a_join_does_not_know_is_found(monkeypatch) -> None:
    """Every cell of a join is called right, wrapped and foreign ones too."""
    sound = _Walk._concluded

    def claims_all(walk: _Walk, number: int, node: Node, premises: Any, here: Any) -> Fact | Lost:
        fact = sound(walk, number, node, premises, here)
        if isinstance(fact, Lost) or not isinstance(node.op, Concat):
            return fact
        axes = [
            tuple(
                dataclasses.replace(f, low=0, high=f.n) if isinstance(f, Scene) else f
                for f in factors
            )
            for factors in fact.axes
        ]
        return Fact(tuple(axes), fact.signal)

    monkeypatch.setattr(_Walk, "_concluded", claims_all)
    found = judged(range(100), judge.Tally(), "scene")
    assert found is not None
    assert isinstance(found[0].program.nodes[-1].op, Concat)
