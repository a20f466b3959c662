"""A fuzzer of certificates: random edits with right digests, and what the checker says of them.

    python tests/kernel/fuzz.py [COUNT [FIRST]]     edits of so many seeds from the first on, and what became of them

One edit of two is *raw*: anything is put anywhere in the file, and all digests are made to fit. The other one changes
what a certificate is made from, the question, the program, the shifts and the choices, and everything that follows is
made again, so that many pass. Whatever is accepted is run: the program on random numbers, with any weights, and with
constants that have the periods and rolls that the program states; so a statement that is false is found.
"""

import copy
import dataclasses
import functools
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import interpret
import kernels
import numpy as np
from kernel_cases import CASES, Case
from kernel_cases import program as build
from scene_cases import SCENES

from shiftproof_kernel import (
    Checked,
    Lost,
    Program,
    Refusal,
    check,
    check_text,
    decode_program,
    derive,
    make_certificate,
)
from shiftproof_kernel.certificate import Question
from shiftproof_kernel.derivation import STEPS, Work
from shiftproof_kernel.facts import is_still
from shiftproof_kernel.program import (
    Branch,
    Constant,
    Fourier,
    Input,
    Loop,
    digest,
    fields,
    kind,
    typed,
)

CELLS = 400
"""Programs with larger arrays are not run: sums of more products than this do not fit 64 bits."""
WORK = 2000
"""Cases that take more steps are not edited."""
SECONDS = 60
"""A check that takes longer hangs: the slowest so far took less than 2."""
STALE = ("statement", "generators", "program", "made_with")


class Unsound(Exception):
    """A statement was accepted that is false, or the checker failed."""


@dataclass
class Tally:
    """What became of the edits: how many were refused and why, how many accepted, run, and not run and why."""

    refused: Counter = field(default_factory=Counter)
    accepted: Counter = field(default_factory=Counter)
    unrun: Counter = field(default_factory=Counter)
    operations: Counter = field(default_factory=Counter)
    run: int = 0
    slowest: float = 0.0

    def timed(self, function: Callable, *arguments: Any) -> Any:
        """What the kernel says, within the time that it has."""
        start = time.process_time()
        try:
            return function(*arguments)
        finally:
            taken = time.process_time() - start
            self.slowest = max(self.slowest, taken)
            if taken > SECONDS:
                raise Unsound(f"it took {taken:.1f} s")


# --- what is edited ---


@functools.cache
def corpus() -> tuple[str, ...]:
    """Certificates of all cases of which one can be made, and of those of which only a part has one a few."""
    made = [certificate_of(case) for case in [*CASES.values(), *SCENES.values()]]
    found = [one for one in made if one is not None]
    part = [one for one in found if one["program"]["outputs"] == [0]]
    rest = [one for one in found if one["program"]["outputs"] != [0]]
    return tuple(map(json.dumps, [*rest, *part[::4]]))


def certificate_of(case: Case) -> dict[str, Any] | None:
    """A certificate of the last node of a case that moves, or stays; None where there is none, or it takes long."""
    made = build(kernels.REAL, case.nodes)
    images = [node for node in made.nodes if isinstance(node.op, Input)]
    grid = tuple(n for axis in images[0].op.grid for n in images[0].shape[axis : axis + 1])
    torus = case.boundary == "torus"
    shift = tuple(s % n for s, n in zip(case.shift, grid, strict=False)) if torus else case.shift
    work = Work()
    try:
        outcomes = derive(made, shift, choices=case.choices, boundary=case.boundary, work=work)
    except Refusal:
        return None
    if work.left < STEPS - WORK:
        return None
    for number in reversed(range(len(made.nodes))):
        outcome = outcomes[number]
        if isinstance(outcome, Lost) or isinstance(made.nodes[number].op, Constant):
            continue
        axes = tuple(a for a, factors in enumerate(outcome.fact.axes) if not is_still(factors))
        question = {"property": "equivariance", "axes": axes, "boundary": case.boundary}
        if not axes:
            question = {"property": "invariance"}
        try:
            return make_certificate(
                Program(made.nodes, (number,)),
                {"output": "y", "grid": grid, **question},
                [(shift, case.choices)],
                "a case",
            )
        except Refusal:
            continue
    return None


# --- edits ---


def walk(rng: random.Random, data: Any, stop: float) -> tuple[Any, Any]:
    """A random place: what holds it, and its key there."""
    holder, key = data, rng.choice(list(data))
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() > stop:
        holder = holder[key]
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    return holder, key


def another(rng: random.Random, value: Any, donor: Any) -> Any:
    """Something else for a value, mostly of its type."""
    if rng.random() < 0.06:
        return rng.choice((None, [], {}, "", 0, True, 1.0, "x", [value], value, {"kind": "map"}))
    match value:
        case bool():
            return not value
        case int():
            near = (value + 1, value - 1, value + 1, value - 1, value + 2)
            far = (2 * value, value // 2, -value, 0, 1, 2, rng.randrange(12))
            huge = (2**48, 2**48 + 1, 2**70, -(2**48))
            return rng.choice((*near, *near, *far, rng.choice(huge)))
        case str():
            return rng.choice((value + "x", value[:-1], "", "scene", "torus", "same", "0" * 64))
        case list() if value:
            return _edited_list(rng, list(value), donor)
        case dict():
            return _edited_object(rng, dict(value), donor)
    return rng.choice(([0], [[0]], [0, 1], "0" * 64, 0))


def _edited_list(rng: random.Random, value: list, donor: Any) -> list:
    at = rng.randrange(len(value))
    way = rng.randrange(7)
    if way == 0:
        del value[at]
    elif way == 1:
        value.insert(at, value[rng.randrange(len(value))])
    elif way == 2:
        other = rng.randrange(len(value))
        value[at], value[other] = value[other], value[at]
    elif way == 3:
        value.reverse()
    elif way == 4 and rng.random() < 0.2:
        value = value * rng.choice((2, 3, 40, 300))
    elif way == 5:
        value.append(_of_kind(rng, donor, value[at]))
    else:
        value[at] = another(rng, value[at], donor)
    return value


def _edited_object(rng: random.Random, value: dict, donor: Any) -> Any:
    way = rng.randrange(5)
    if way == 0 and value:
        del value[rng.choice(list(value))]
    elif way == 1:
        value["more"] = 0
    elif way == 2:
        value["kind"] = rng.choice(("map", "node", "weight", "combine", "reshape", "span", "dim"))
    elif way == 3:
        return _of_kind(rng, donor, value)
    elif value:
        key = rng.choice(list(value))
        value[key] = another(rng, value[key], donor)
    return value


def _of_kind(rng: random.Random, donor: Any, value: Any) -> Any:
    """A part of another certificate, of the kind of this value where one is met."""
    for _ in range(8):
        holder, key = walk(rng, donor, 0.2)
        found = holder[key]
        if type(found) is type(value) and (
            not isinstance(found, dict) or found.get("kind") == value.get("kind")
        ):
            return copy.deepcopy(found)
    return value


def raw(rng: random.Random, data: dict[str, Any], donor: Any) -> dict[str, Any]:
    """Anything anywhere, and digests that fit."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        part = rng.choice((data, data["program"], data["statement"], data["generators"]))
        if not isinstance(part, dict | list) or not part:
            part = data
        holder, key = walk(rng, part, 0.15) if isinstance(part, dict) else (part, 0)
        holder[key] = another(rng, holder[key], donor)
        if not all(isinstance(data.get(name), dict | list) for name in STALE[:3]):
            break
    return fixed_up(data)


def fixed_up(data: Any) -> Any:
    """All digests fit again, where there is something to take them of."""
    try:
        data["program_sha256"] = digest(data["program"])
        data["sha256"] = digest({key: item for key, item in data.items() if key != "sha256"})
    except (Refusal, KeyError, TypeError):
        pass
    return data


def meant(rng: random.Random, data: dict[str, Any], donor: Any) -> None:
    """A change of what is asked, of whom, or by which shifts."""
    nodes = data["program"]["nodes"]
    node = rng.choice(nodes[rng.randrange(len(nodes)) :])
    way = rng.randrange(17)
    if way == 0:
        statement = data["statement"]
        name = rng.choice(("grid", "axes", "law", "boundary", "property"))
        statement[name] = another(rng, statement[name], donor)
    elif way == 1:
        generator = rng.choice(data["generators"])
        name = rng.choice(("shift", "choices"))
        generator[name] = another(rng, generator[name], donor)
    elif way in (2, 3):
        shift = [rng.randrange(max(n, 1)) for n in data["statement"]["grid"]]
        if data["statement"]["boundary"] == "scene":
            axis = rng.randrange(len(shift))
            shift = [s if a == axis else 0 for a, s in enumerate(shift)]
        data["generators"] = [{"shift": shift, "choices": data["generators"][0]["choices"]}]
    elif way == 4:
        data["program"]["outputs"] = [nodes.index(node)]
    elif way in (5, 6):
        _with_node(rng, data, donor)
    elif way in (7, 8) and node["inputs"]:
        alike = [i for i, other in enumerate(nodes) if other["shape"] == node["shape"]]
        node["inputs"][rng.randrange(len(node["inputs"]))] = rng.choice(alike)
    elif way == 9:
        node["shape"] = another(rng, node["shape"], donor)
    elif way == 10 and any(one["op"]["kind"] == "constant" for one in nodes):
        at = rng.choice([i for i, one in enumerate(nodes) if one["op"]["kind"] == "constant"])
        roll = [rng.randrange(n) for n in nodes[at]["shape"]]
        data["generators"][0]["choices"] = [[at, *roll]]
        if rng.random() < 0.5:
            data["program"]["outputs"] = [at]
            data["statement"] |= {"property": "equivariance", "axes": [*range(len(roll))]}
    elif len(node["op"]) > 1:
        holder, key = walk(rng, node["op"], 0.1)
        if key != "kind":
            holder[key] = another(rng, holder[key], donor)


def _with_node(rng: random.Random, data: dict[str, Any], donor: Any) -> None:
    """One more operation on the output, taken from another program."""
    nodes, output = data["program"]["nodes"], data["program"]["outputs"][0]
    found = copy.deepcopy(rng.choice(donor["program"]["nodes"]))
    found["inputs"] = [
        output if rng.random() < 0.8 else rng.randrange(len(nodes)) for _ in found["inputs"]
    ]
    nodes.append(found)
    data["program"]["outputs"] = [len(nodes) - 1]


GIVES = re.compile(r"gives shape \(([0-9, ]*)\), not")


def remade(rng: random.Random, data: dict[str, Any], donor: Any, tally: Tally) -> dict[str, Any]:
    """The certificate of something else. Where a shape no longer follows it is changed, for some nodes."""
    try:
        for _ in range(rng.choice((1, 1, 2, 3))):
            meant(rng, data, donor)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Refusal("fuzzer", "an edit does not fit one before it") from error
    question = {name: data["statement"][name] for name in fields(Question)}
    generators = []
    for entry in data["generators"]:
        rows = typed(tuple[tuple[int, ...], ...], entry["choices"], "choices")
        shift = typed(tuple[int, ...], entry["shift"], "shift")
        generators.append((shift, {number: tuple(roll) for number, *roll in filter(None, rows)}))
    for _ in range(4):
        program = decode_program(data["program"])
        try:
            return tally.timed(make_certificate, program, question, generators, "a fuzzer")
        except Refusal as refusal:
            found, place = GIVES.search(str(refusal)), re.match(r"node (\d+) ", str(refusal))
            if found is None or place is None:
                raise
            shape = [int(n) for n in found[1].split(",") if n.strip()]
            data["program"]["nodes"][int(place[1])]["shape"] = shape
    raise Refusal("shape", "no shape fits")


# --- what is accepted is run ---


def needed(program: Program) -> Program:
    """The program without what its output does not need; images stay."""
    kept = set(program.outputs)
    for number in reversed(range(len(program.nodes))):
        if number in kept:
            kept.update(program.nodes[number].inputs)
    kept |= {n for n, node in enumerate(program.nodes) if isinstance(node.op, Input)}
    new = {number: place for place, number in enumerate(sorted(kept))}
    nodes = tuple(
        dataclasses.replace(program.nodes[n], inputs=tuple(new[i] for i in program.nodes[n].inputs))
        for n in new
    )
    return Program(nodes, tuple(new[n] for n in program.outputs), program.weights)


def constant_of(op: Constant, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Random numbers, equal wherever the periods and rolls say so."""
    axes = range(len(shape))
    label = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    rolls = [roll for roll in op.rolls if len(roll) == len(shape)]
    while True:
        before = label
        for axis, period in zip(axes, op.periods, strict=False):
            n = shape[axis]
            for start in range(min(period, n) if period > 0 else 0):
                index = np.arange(start, n, period)
                least = label.take(index, axis).min(axis, keepdims=True)
                label = label.copy()
                np.moveaxis(label, axis, 0)[index] = np.moveaxis(least, axis, 0)
        for roll in rolls:
            label = np.minimum(label, np.roll(label, roll, tuple(axes)))
        if np.array_equal(label, before):
            return interpret.numbers(rng, (label.size,))[label]


def constants_of(program: Program, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Arrays of all constants of a program."""
    return {
        number: constant_of(node.op, node.shape, rng)
        for number, node in enumerate(program.nodes)
        if isinstance(node.op, Constant)
    }


def bodies_of(program: Program, rng: np.random.Generator) -> dict[int, dict[str, Any]]:
    """Those of the bodies in it, as `interpret` wants them."""
    found = {}
    for number, node in enumerate(program.nodes):
        match node.op:
            case Loop(body, test):
                inner = {("body", "inside body"): body, ("test", "inside test"): test}
            case Branch(bodies):
                inner = {(f"body {i}", f"inside {i}"): body for i, body in enumerate(bodies)}
            case _:
                continue
        found[number] = {}
        for (own, deeper), body in inner.items():
            if body is not None:
                found[number] |= {own: constants_of(body, rng), deeper: bodies_of(body, rng)}
    return found


def everything(program: Program) -> Iterator[Program]:
    """The program and all within it."""
    yield program
    for node in program.nodes:
        for body in node.bodies:
            yield from everything(body)


def small(program: Program) -> str:
    """Why a program is not run, or nothing."""
    for part in everything(program):
        for node in part.nodes:
            seen = 1
            for dim in getattr(node.op, "dims", ()):
                width = part.nodes[node.inputs[0]].shape[dim.axis] * dim.base
                width += abs(dim.low) + abs(dim.high)
                seen *= max(width, node.shape[dim.out] * dim.size)
            pulled = abs(getattr(node.op, "inner", 0)) + abs(getattr(node.op, "low", 0))
            if int(np.prod(node.shape, dtype=object)) > CELLS or seen > CELLS**2 or pulled > CELLS:
                return "large"
            if isinstance(node.op, Fourier):
                n = max(node.shape[node.op.axis], part.nodes[node.inputs[0]].shape[node.op.axis])
                sizes = {n, 2 * n - 1, 2 * n - 2} if node.op.half else {n}
                if any(interpret.ORDER % max(size, 1) for size in sizes):
                    return "no roots"
    return ""


def images_of(
    program: Program, shifts: Sequence[Sequence[int]], boundary: str, rng: np.random.Generator
) -> list[np.ndarray]:
    """Every image, first as it is and then under each of the shifts."""
    found = []
    for node in program.nodes:
        if isinstance(node.op, Input):
            axes = node.op.grid
            if boundary == "torus":
                image = interpret.numbers(rng, node.shape)
                moved = [np.roll(image, shift, axes) for shift in shifts]
            else:
                most = [max(shift[i] for shift in shifts) for i in range(len(axes))]
                size = list(node.shape)
                for axis, room in zip(axes, most, strict=True):
                    size[axis] += room
                scene = interpret.numbers(rng, size)
                moved = []
                for shift in shifts:
                    place = [slice(None)] * scene.ndim
                    for axis, room, step in zip(axes, most, shift, strict=True):
                        place[axis] = slice(room - step, room - step + node.shape[axis])
                    moved.append(scene[tuple(place)])
            found.append(np.stack(moved))
    return found


def agrees(checked: Checked, before: np.ndarray, after: np.ndarray, moved: Sequence[int]) -> bool:
    """Whether two values of the output are what the statement says."""
    if checked.interior is None:
        rolled = np.roll(before, moved, checked.axes) if checked.axes else before
        return np.array_equal(after, rolled)
    here, there = [slice(None)] * before.ndim, [slice(None)] * before.ndim
    for axis, (low, high), step in zip(checked.axes, checked.interior, moved, strict=True):
        start, end = max(low, low + step), min(high, high + step)
        here[axis], there[axis] = slice(start, end), slice(start - step, end - step)
        if start >= end:
            return True
    return np.array_equal(after[tuple(here)], before[tuple(there)])


def holds(checked: Checked, program: Program, seed: int) -> bool | str:
    """Whether a statement is true of random numbers; or why it was not tried.

    Each generator is tried, and the sum of all of them.
    """
    program = needed(program)
    rng = np.random.default_rng(seed)
    count = len(checked.grid)
    moves = [(shift, out or (0,) * len(checked.axes)) for shift, out in checked.generators[:6]]
    if len(checked.generators) <= 6:
        total = [sum(column) for column in zip(*(shift for shift, _ in moves), strict=True)]
        moves.append(
            (total, [sum(column) for column in zip(*(out for _, out in moves), strict=True)])
        )
    if checked.boundary == "scene" and max(max(shift) for shift, _ in moves) > CELLS:
        return "large"
    shifts = [(0,) * count, *(shift for shift, _ in moves)]
    try:
        why = small(program)
        if why:
            return why
        images = images_of(program, shifts, checked.boundary, rng)
        constants, bodies = constants_of(program, rng), bodies_of(program, rng)
        values = interpret.run(program, images, constants, seed, bodies)[program.outputs[0]]
    except (AssertionError, ValueError, IndexError, TypeError, KeyError) as error:
        return f"no program: {type(error).__name__}"
    return all(
        agrees(checked, values[0], value, out)
        for value, (_, out) in zip(values[1:], moves, strict=True)
    )


# --- the loop ---


def tried(seed: int, tally: Tally, more: Sequence[str] = ()) -> None:
    """One edit, by its seed.

    Args:
        seed: of the edit.
        tally: counts what became of it.
        more: certificates beside those of the cases, to be edited one time of ten.
    """
    rng = random.Random(seed)
    texts = more if more and rng.random() < 0.1 else corpus()
    data, donor = json.loads(rng.choice(texts)), json.loads(rng.choice(corpus()))
    way = rng.choice(("raw", "remade"))
    try:
        changed = raw(rng, data, donor) if way == "raw" else remade(rng, data, donor, tally)
        checked = tally.timed(check, changed)
    except Refusal as refusal:
        tally.refused[refusal.code] += 1
        return
    except Exception as error:
        raise Unsound(f"edit {seed}: {type(error).__name__}: {error}") from error
    tally.accepted[way] += 1
    _judge(seed, changed, checked, tally)


def _judge(seed: int, data: Mapping[str, Any], checked: Checked, tally: Tally) -> None:
    """A statement that was accepted is read again from a text, and run."""
    if check_text(json.dumps(data)) != checked:
        raise Unsound(f"edit {seed}: the text says something else than the data")
    program = decode_program(data["program"])
    found = holds(checked, program, seed)
    if isinstance(found, str):
        tally.unrun[found] += 1
        return
    tally.run += 1
    tally.operations.update({kind(node.op) for node in needed(program).nodes})
    if not found:
        raise Unsound(f"edit {seed}: false: {checked}\n{json.dumps(data['program'])}")


def main(count: int = 2000, first: int = 0) -> int:
    tally, start = Tally(), time.perf_counter()
    for seed in range(first, first + count):
        tried(seed, tally)
    print(
        f"{count} edits in {time.perf_counter() - start:.0f} s, the slowest check {tally.slowest:.2f} s"
    )
    for name in ("refused", "accepted", "unrun", "operations"):
        print(name, dict(getattr(tally, name).most_common()))
    print("run", tally.run)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
