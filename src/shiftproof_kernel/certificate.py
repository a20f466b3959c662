"""Certificates: a statement, its program, and a derivation for each generator of the lattice; and their check.

The check trusts nothing in the file. From the question, the program, the shifts and the choices it makes the
certificate again, by the rules, and accepts the file only where it is that certificate, character by character.
The shifts are closed under composition: what holds for two holds for both after one another, so it holds for all that
they generate.

In a scene each generator moves one axis of the grid, and axes of the output that no other one moves. Its theorem says
f(T X)[u] = f(X)[u - r] for u and u - r in the interior, also for every multiple of T and r. For a sum of multiples, go
from u to u minus all output shifts one generator after another: each place on the way has every coordinate of u or of
the last one, so it lies in the interior, a box, if these two do.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shiftproof_kernel.derivation import (
    Choices,
    Lost,
    Shift,
    Theorem,
    Work,
    derive,
    equivariant,
    interior,
    invariant,
)
from shiftproof_kernel.facts import Factors, Refusal, need
from shiftproof_kernel.program import (
    Constant,
    Input,
    Program,
    Weight,
    canonical,
    decode_program,
    digest,
    expect_keys,
    fields,
    kind,
    plain,
    typed,
)

SCHEMA = "shiftproof.certificate/4"
LONGEST = 2**22
"""Bytes of a file."""
DEEPEST = 100
"""Lists and objects within each other."""
DIMENSIONS = 8
"""The most axes of a grid."""
Interior = tuple[tuple[int, int], ...]
Box = tuple[tuple[int, int, int], ...]
Generators = Iterable[tuple[Shift, Choices]]


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of the one output of a program.

    Attributes:
        property: `equivariance`, or `invariance`.
        output: its name, a label.
        grid: the sizes of the image along the axes that are shifted.
        axes: of the output, along which it moves; none for an invariance.
        law: of an equivariance: the output shift is `any`, or the `same` as that of the input.
        boundary: `torus`; or, for an equivariance, `scene`.
    """

    property: str
    output: str
    grid: tuple[int, ...]
    axes: tuple[int, ...] = ()
    law: str = "any"
    boundary: str = "torus"

    def __post_init__(self) -> None:
        for name, hint in fields(Question).items():
            object.__setattr__(self, name, typed(hint, getattr(self, name), name))
        grid, moves = self.grid, self.property == "equivariance"
        need(moves or self.property == "invariance", "format", "the property is unknown")
        sized = 0 < len(grid) <= DIMENSIONS and min(grid) > 0
        need(sized, "format", f"a grid has one to {DIMENSIONS} axes, not empty")
        need(moves == bool(self.axes), "format", "an equivariance, and no invariance, has axes")
        need(self.law in ("any", "same")[: 1 + moves], "format", "the law is unknown")
        as_many = self.law == "any" or len(self.axes) == len(grid)
        need(
            as_many, "format", "an output that moves as the input does has as many axes as the grid"
        )
        known = self.boundary == "torus" or (self.boundary == "scene" and moves)
        need(known, "format", "the boundary must be a torus, or, of an equivariance, a scene")


@dataclasses.dataclass(frozen=True)
class Statement(Question):
    """The question, and what follows.

    Attributes:
        weights: `all`, any values of the weights of the program; or `these`, from which the program was made.
        weights_sha256: of these; "" for all.
        free: how many weights the program has that may have any values.
        constants: how many constants it has, each with the periods and rolls that it states.
        interior: of a scene, for each of the axes, from where to below where.
        proved: of a torus, how many shifts the generators reach.
        shifts: of how many. Of a scene these are all multiples of the generators, and their sums.
    """

    weights: str = "all"
    weights_sha256: str = ""
    free: int = 0
    constants: int = 0
    interior: Interior | None = None
    proved: int | None = None
    shifts: int | None = None


@dataclasses.dataclass(frozen=True)
class Wandering:
    """What holds of a node if what a selection picked moves by one cell along one of its axes, for each in turn."""

    selection: int
    along: tuple[tuple[Factors, ...], ...]


@dataclasses.dataclass(frozen=True)
class Generator:
    """A shift, by what the output moves under it, the rolls chosen for constants, and what holds of every node."""

    shift: Shift
    output_shift: Shift | None
    choices: tuple[tuple[int, ...], ...]
    facts: tuple[tuple[Factors, ...] | Wandering | None, ...]


@dataclasses.dataclass(frozen=True)
class Checked(Statement):
    """What a certificate proves: a statement, its generators with their output shifts, and about which program."""

    generators: tuple[tuple[Shift, Shift | None], ...] = ()
    program_sha256: str = ""

    def __str__(self) -> str:
        lattice = " ".join(f"{a}" if b is None else f"{a}->{b}" for a, b in self.generators)
        moved = f" along its axes {list(self.axes)} ({self.law} output shift)" if self.axes else ""
        grid = "x".join(map(str, self.grid))
        if self.interior is None:
            under = f"under {self.proved} of {self.shifts} shifts of the {self.boundary} {grid}"
            inputs = "for all inputs"
        else:
            box = " x ".join(f"{low}..{high - 1}" for low, high in self.interior)
            under = f"under all shifts of a {self.boundary}, seen through a grid of {grid}"
            inputs = f"at all cells that lie with their shifted places in {box}, for all scenes"
        return (
            f"proved: {self.property} of {self.output!a}{moved} {under}, generated by {lattice}, "
            f"{inputs} and {self._weights()}, over the reals; program {self.program_sha256}"
        )

    def _weights(self) -> str:
        fixed = f" ({self.constants} constants as the program states)" if self.constants else ""
        if self.weights == "these":
            return f"the weights {self.weights_sha256}{fixed}"
        many = f"all values of {self.free} weights" if self.free else "no weights"
        return many + fixed


def make_certificate(
    program: Program, question: Mapping[str, Any], generators: Generators, made_with: str
) -> dict[str, Any]:
    """The certificate of what is asked.

    Args:
        program: with the output in question as its only one.
        question: the fields of a `Question`.
        generators: shifts of the lattice, each with the choices of its derivation.
        made_with: a note.

    Raises:
        Refusal: it does not follow.
    """
    unknown = sorted(set(question) - set(fields(Question)))
    need(not unknown, "format", f"a question has no field {', '.join(map(repr, unknown))}")
    return _certificate(program, Question(**question), generators, made_with)[0]


def check_text(text: str) -> Checked:
    """Check a certificate as read from a file; duplicate keys, trailing data and NaN are refused too."""
    need(len(text) <= LONGEST, "budget", f"the file has more than {LONGEST} characters")
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal("format", f"this is no certificate: {error}") from error
    return check(data)


def check(data: Any) -> Checked:
    """What a certificate proves.

    Raises:
        Refusal: with the reason, where it proves nothing.
    """
    _need_shallow(data)
    schema = data.get("schema") if isinstance(data, Mapping) else None
    old = isinstance(schema, str) and schema.startswith("shiftproof.certificate/")
    again = ": `shiftproof verify FILE --out FOLDER` makes it again" if old else ""
    need(schema == SCHEMA, "format", f"this is no certificate of the schema {SCHEMA}{again}")
    made = ("statement", "program", "program_sha256", "generators", "made_with", "sha256")
    expect_keys(data, ("schema", *made), "certificate")
    statement = data["statement"]
    expect_keys(statement, ("kind", *fields(Statement)), "statement")
    question = Question(**{name: statement[name] for name in fields(Question)})
    need(isinstance(data["generators"], list), "format", "generators are no list")
    generators = []
    for entry in data["generators"]:
        expect_keys(entry, ("kind", *fields(Generator)), "generator")
        rows = typed(tuple[tuple[int, ...], ...], entry["choices"], "choices")
        need(all(rows), "format", "a choice is empty")
        shift = typed(tuple[int, ...], entry["shift"], "shift")
        generators.append((shift, {number: roll for number, *roll in rows}))
    note = typed(str, data["made_with"], "made_with")
    right, checked = _certificate(decode_program(data["program"]), question, generators, note)
    for name in made:
        same = canonical(data[name]) == canonical(right[name])
        need(same, "changed", f"{name}: the file has something else than what follows")
    return checked


def _certificate(
    program: Program, question: Question, generators: Generators, note: str
) -> tuple[dict[str, Any], Checked]:
    """The one certificate of a question about a program, and what it proves; or a refusal."""
    grid, generators = question.grid, list(generators)
    images = [(node.op.grid, node.shape) for node in program.nodes if isinstance(node.op, Input)]
    sizes = [[shape[axis : axis + 1] for axis in axes] for axes, shape in images]
    fits = len(sizes) > 0 and all(found == [(n,) for n in grid] for found in sizes)
    need(fits, "format", "the program has no image, or one of another grid")
    need(len(program.outputs) == 1, "format", "the program has several outputs")
    need(len(generators) > 0, "format", "there is no generator")
    work = Work()
    derived = [_derived(program, question, shift, rolls, work) for shift, rolls in generators]
    entries = [entry for entry, _ in derived]
    torus = question.boundary == "torus"
    statement = Statement(
        **dataclasses.asdict(question),
        weights="these" if program.weights else "all",
        weights_sha256=program.weights,
        free=_count(program, Weight),
        constants=_count(program, Constant),
        interior=None if torus else _joint([box for _, box in derived]),
        proved=subgroup_order(grid, [entry.shift for entry in entries]) if torus else None,
        shifts=math.prod(grid) if torus else None,
    )
    moves = tuple((entry.shift, entry.output_shift) for entry in entries)
    said = {name: getattr(statement, name) for name in fields(Statement)}
    checked = Checked(**said, generators=moves, program_sha256=program.sha256())
    certificate = {
        "schema": SCHEMA,
        "statement": plain(statement),
        "program": program.to_json(),
        "program_sha256": checked.program_sha256,
        "generators": plain(entries),
        "made_with": typed(str, note, "made_with"),
    }
    return certificate | {"sha256": digest(certificate)}, checked


def _count(program: Program, operation: type) -> int:
    """How often an operation stands in a program, and in those within it."""
    own = sum(isinstance(node.op, operation) for node in program.nodes)
    return own + sum(_count(body, operation) for node in program.nodes for body in node.bodies)


def _derived(
    program: Program, question: Question, shift: Shift, choices: Choices, work: Work
) -> tuple[Generator, Box]:
    """What holds of every node under one shift, the output shift that follows, and of a scene with its interior."""
    nodes = program.nodes
    _need_shift(question, shift)
    constants = {number for number, node in enumerate(nodes) if isinstance(node.op, Constant)}
    need(set(choices) <= constants, "format", "a choice is made for something else than a constant")
    outcomes = derive(program, shift, choices=choices, boundary=question.boundary, work=work)
    outcome = outcomes[program.outputs[0]]
    if isinstance(outcome, Lost):
        node, refusal = nodes[outcome.number], outcome.refusal
        place = f"node {outcome.number} ({kind(node.op)} {node.source}) under the shift {shift}"
        raise Refusal(refusal.code, f"{place}: {refusal}", **refusal.detail)
    text, box = f"{question.property} under {shift} does not follow", ()
    if question.property == "invariance":
        need(invariant(outcome), "claim", text)
        moved = None
    else:
        if question.boundary == "scene":
            found = interior(outcome, question.axes)
            moved = None if found is None else tuple(step for step, _, _ in found)
            box = found or ()
        else:
            moved = equivariant(outcome, question.axes)
        if moved is None:
            raise Refusal("claim", text)
        _need_law(question, shift, moved, outcome.fact.shape)
    rolls = tuple((number, *roll) for number, roll in sorted(choices.items()))
    return Generator(shift, moved, rolls, tuple(map(_row, outcomes))), box


def _row(outcome: Theorem | Lost) -> tuple[Factors, ...] | Wandering | None:
    """What a certificate lists of a node."""
    if isinstance(outcome, Lost):
        return Wandering(outcome.number, outcome.along) if outcome.along else None
    return outcome.fact.axes


def _need_shift(question: Question, shift: Shift) -> None:
    """A generator is a shift of the grid."""
    need(len(shift) == len(question.grid), "format", "a shift has one step per axis of the grid")
    if question.boundary == "scene":
        one = sum(map(bool, shift)) == 1 and sum(shift) > 0
        need(one, "format", "a generator of a scene moves one axis of the grid, forwards")
    else:
        inside = all(0 <= s < n for s, n in zip(shift, question.grid, strict=True))
        need(inside, "format", "each step of a shift is from 0 to its size")


def _need_law(question: Question, shift: Shift, moved: Shift, shape: Shift) -> None:
    """Where the output must move as the input does, it does: on a torus, modulo its sizes."""
    asked = shift if question.law == "same" else moved
    if question.boundary == "torus":
        sizes = (shape[axis] for axis in question.axes)
        asked = tuple(s % n for s, n in zip(asked, sizes, strict=True))
    need(asked == moved, "claim", f"the output moves by {moved}, the input by {shift}")


def _joint(boxes: Sequence[Box]) -> tuple[tuple[int, int], ...]:
    """The interior that all generators have. Each axis is moved by one of them at most, by less than it is wide."""
    joint = []
    for along in zip(*boxes, strict=True):
        low, high = max(low for _, low, _ in along), min(high for _, _, high in along)
        steps = [abs(step) for step, _, _ in along if step]
        need(len(steps) <= 1, "claim", "two generators move one axis of the output")
        need(
            sum(steps) < high - low,
            "interior",
            "no cell lies in the interior with its shifted place",
        )
        joint.append((low, high))
    return tuple(joint)


def subgroup_order(grid: Sequence[int], generators: Iterable[Shift]) -> int:
    """How many shifts are sums of the generators: cells of the grid, over the index of the lattice of the integers.

    Rows are the generators and the sizes; Euclid leaves one row per axis, and the index is the product of their ends.
    """
    rows = [list(shift) for shift in generators]
    rows += [[n if a == axis else 0 for a in range(len(grid))] for axis, n in enumerate(grid)]
    index = 1
    for axis in range(len(grid)):
        while len(live := [row for row in rows if row[axis]]) > 1:
            least = min(live, key=lambda row: abs(row[axis]))
            for row in live:
                if row is not least:
                    times = row[axis] // least[axis]
                    row[:] = [a - times * b for a, b in zip(row, least, strict=True)]
        index *= abs(live[0][axis])
        rows = [row for row in rows if row is not live[0]]
    return math.prod(grid) // index


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a field appears twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _need_shallow(data: Any) -> None:
    """Lists and objects do not lie within each other without end."""
    level = [data]
    for _ in range(DEEPEST):
        level = [
            item
            for one in level
            if isinstance(one, list | tuple | Mapping)
            for item in (one.values() if isinstance(one, Mapping) else one)
        ]
        if not level:
            return
    raise Refusal("budget", f"lists and objects lie within each other more than {DEEPEST} deep")
