"""Stages: a sweep by cosets in which every phase of an early layer is computed once.

A whole network needs one forward pass for every coset of its lattice: with a total stride of 32 along two axes, 1,024.
Its early layers keep more shifts. Behind the first strides of 2 and 2 a value keeps 4Z x 4Z, so that under all 1,024
shifts it has but 16 phases; the others are these, moved. So the program is cut where one value alone goes on, and the
part before each cut is run on as many shifts as its own lattice has cosets:

    f = g_m . ... . g_1  and  h = g_k . ... . g_1:    h(T_(r+l) x) = R_l h(T_r x)      for every l of the lattice of h

What one stage hands on is moved by what the kernel proved, and run through the next.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from shiftproof.canvas import slide
from shiftproof.group import Lattice
from shiftproof.proving.layers import Layer
from shiftproof.sweeping.compare import read_layer
from shiftproof.sweeping.cosets import Cosets, cosets_of, prover_of
from shiftproof.sweeping.question import Question
from shiftproof.tracing.trace import Program, evaluate
from shiftproof.tracing.work import work_of

WORTH = 2.0**34
"""Multiplications that must be saved for stages to be worth a second compilation."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the program, from one cut to the next.

    Attributes:
        program: its equations, with the value it begins with for images.
        layers: positions of the layers that are computed in it.
        cosets: of the lattice under which these layers, and what it hands on, are known to move.
        end: number of the value that it hands on; None for the last.
    """

    program: Program
    layers: tuple[int, ...]
    cosets: Cosets
    end: int | None

    @property
    def lattice(self) -> Lattice:
        """The shifts under which its values are known to move."""
        return Lattice(self.cosets.grid, self.cosets.generators)

    def split(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of shifts (count, axes) the numbers of their cosets, the representatives, and what must be added to these,
        as numbers of elements.
        """
        lattice, elements, grid = self.lattice, self.cosets.elements, self.cosets.grid
        numbers = lattice.numbers(shifts)
        first = np.stack(np.unravel_index(numbers, lattice.box), -1).astype(np.int32)
        known = np.ravel_multi_index(tuple(elements.T), grid)
        rest = np.ravel_multi_index(tuple(((shifts - first) % grid).T), grid)
        order = np.argsort(known)
        places = np.searchsorted(known, rest, sorter=order)
        return numbers, first, np.asarray(order)[places].astype(np.int32)


def find_stages(question: Question, cosets: Cosets) -> tuple[Stage, ...]:
    """The stages in which a sweep by these cosets costs least; none where that is not worth while.

    Args:
        question: on the torus.
        cosets: of all its layers.
    """
    program, passes = question.program, len(cosets.representatives)
    if work_of(program) * passes < WORTH:
        return ()
    prover = prover_of(question)
    stages: list[Stage] = []
    begin, first = program.images, 0
    for last, value in _cuts(program):
        inside = _layers_of(question, program.equations[first : last + 1])
        points = [question.layers[i] for i in inside]
        here = cosets_of(question, prover, [*points, _point(question, value)])
        if stages and not _is_subgroup(here, stages[-1].cosets):
            continue
        if len(here.representatives) == passes:
            break
        part = _part(program, begin, program.equations[first : last + 1])
        made = Stage(part, inside, here, value)
        if stages and stages[-1].lattice == made.lattice:
            stages[-1] = _joined(question, stages[-1], made)
        else:
            stages.append(made)
        begin, first = value, last + 1
    if not stages or not _is_subgroup(cosets, stages[-1].cosets):
        return ()
    done = {i for stage in stages for i in stage.layers}
    rest = tuple(i for i in range(len(question.layers)) if i not in done)
    part = _part(program, begin, program.equations[first:])
    # its lattice is that of all layers, and nothing is handed on
    stages.append(Stage(part, rest, dataclasses.replace(cosets, motions=()), None))
    saved = sum(work_of(s.program) * (passes - len(s.cosets.representatives)) for s in stages)
    return tuple(stages) if saved >= WORTH else ()


def _cuts(program: Program) -> Iterator[tuple[int, int]]:
    """Every place where one value alone goes on from the images: the equation that makes it, and its number."""
    used_after: set[int] = set()
    uses: list[frozenset[int]] = []
    for eqn in reversed(program.equations):
        uses.append(frozenset(used_after))
        used_after |= {o for o in eqn.inputs if isinstance(o, int)}
    alive = {program.images}
    for number, (eqn, later) in enumerate(zip(program.equations, reversed(uses), strict=True)):
        alive = {value for value in (*alive, *eqn.outputs) if value in later}
        going = alive & program.from_images
        if len(going) == 1 and going <= set(eqn.outputs):
            yield number, next(iter(going))


def _layers_of(question: Question, equations: Sequence[Any]) -> tuple[int, ...]:
    """Positions of the layers whose values some equations compute from the images."""
    program = question.program
    made = {n for eqn in equations for n in eqn.outputs} & program.from_images
    if equations[0] is program.equations[0]:
        made = made | {program.images}
    return tuple(i for i, layer in enumerate(question.layers) if layer.value in made)


def _point(question: Question, value: int) -> Layer:
    """A value as a point that is compared."""
    shape = tuple(question.program.avals[value].shape)
    return dataclasses.replace(question.layers[-1], name="", value=value, shape=shape)


def _part(program: Program, begin: int, equations: Sequence[Any]) -> Program:
    return dataclasses.replace(program, images=begin, equations=tuple(equations))


def _joined(question: Question, first: Stage, second: Stage) -> Stage:
    """Two stages with one lattice as one."""
    equations = (*first.program.equations, *second.program.equations)
    motions = (*first.cosets.motions[:-1], *second.cosets.motions)
    return Stage(
        _part(question.program, first.program.images, equations),
        (*first.layers, *second.layers),
        dataclasses.replace(second.cosets, motions=motions),
        second.end,
    )


def _is_subgroup(cosets: Cosets, other: Cosets) -> bool:
    larger = Lattice(other.grid, other.generators)
    return all(generator in larger for generator in cosets.generators)


def ordered(cosets: Cosets, stages: Sequence[Stage]) -> Cosets:
    """The cosets in an order in which neighbours share their early phases."""
    shifts = cosets.representatives
    keys = [np.arange(len(shifts)), *(s.lattice.numbers(shifts) for s in reversed(stages))]
    return dataclasses.replace(cosets, representatives=shifts[np.lexsort(keys)])


def describe_stages(stages: Sequence[Stage]) -> str:
    """How many phases each stage is computed in, in words."""
    phases = (
        f"{len(stage.cosets.representatives)} phases of {len(stage.program.equations)} equations"
        for stage in stages
    )
    return ", then ".join(phases)


class Schedule:
    """Which phases of every stage the chunks of a sweep need.

    Args:
        stages: of the sweep.
        groups: the shifts of every chunk, each (chunk, axes).

    Attributes:
        sizes: for every stage but the last the most phases that a chunk needs.
    """

    def __init__(self, stages: Sequence[Stage], groups: Sequence[np.ndarray]) -> None:
        self.stages = tuple(stages)
        found = [[len(phases) for phases in self._phases(group)] for group in groups]
        self.sizes = tuple(max(column) for column in zip(*found, strict=True))

    def _phases(self, shifts: np.ndarray) -> list[np.ndarray]:
        """The numbers of the phases of every stage but the last, ascending."""
        return [np.unique(stage.lattice.numbers(shifts)) for stage in self.stages[:-1]]

    def steps(self, shifts: np.ndarray) -> dict[str, Any]:
        """What `make_staged_forward` is given for a chunk of shifts (chunk, axes).

        Raises:
            ValueError: it needs more phases than any chunk that the schedule was made for.
        """
        phases = self._phases(shifts)
        if any(len(own) > size for own, size in zip(phases, self.sizes, strict=True)):
            raise ValueError("a chunk that the stages were not laid out for")
        given: dict[str, Any] = {"shifts": None, "next": [], "shown": []}
        wanted = shifts
        for stage, own, size in zip(
            reversed(self.stages[:-1]), reversed(phases), reversed(self.sizes), strict=True
        ):
            given["next"].append(self._taken(stage, own, wanted))
            given["shown"].append(self._taken(stage, own, shifts))
            filled = np.concatenate([own, np.repeat(own[:1], size - len(own))])
            wanted = np.stack(np.unravel_index(filled, stage.lattice.box), -1).astype(np.int32)
        return {
            "shifts": wanted.astype(np.int32),
            "next": given["next"][::-1],
            "shown": given["shown"][::-1],
        }

    @staticmethod
    def _taken(stage: Stage, phases: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """(count, 2): for every shift the place of its phase, and the element by which that is moved."""
        numbers, _, elements = stage.split(shifts)
        return np.stack([np.searchsorted(phases, numbers).astype(np.int32), elements], -1)


def make_staged_forward(
    question: Question, stages: Sequence[Stage]
) -> Callable[..., list[jax.Array]]:
    """The function `(fixed, divisors, canvas array, steps) -> values`, as `make_forward` gives of shifts.

    `steps` is what `Schedule.steps` gives; divisors are for as many shifts as the largest of its stages has, or more.
    """
    canvas = question.canvas

    def forward(
        fixed: dict[int, Any], divisors: dict[int, Any], array: jax.Array, steps: dict[str, Any]
    ) -> list[jax.Array]:
        def window(shift: jax.Array) -> jax.Array:
            return slide(array, shift, axes=canvas.axes, grid=canvas.grid, origin=canvas.origin)

        found: dict[int, jax.Array] = {}
        given = jax.vmap(window)(steps["shifts"])
        for number, stage in enumerate(stages):
            layers = [question.layers[i] for i in stage.layers]
            values = _run(stage, layers, fixed, divisors, given)
            if stage.end is None:
                found |= dict(zip(stage.layers, values, strict=True))
                break
            lift = jax.vmap(lambda row, s=stage, v=values: s.cosets.lift(v, row[0], row[1]))
            found |= dict(zip(stage.layers, lift(steps["shown"][number]), strict=False))
            given = lift(steps["next"][number])[-1]
        return [found[i] for i in range(len(question.layers))]

    return forward


def _run(
    stage: Stage,
    layers: Sequence[Layer],
    fixed: dict[int, Any],
    divisors: dict[int, Any],
    given: jax.Array,
) -> list[jax.Array]:
    """The values of a stage's layers, and of what it hands on, for what it is given: each (count, *shape)."""
    own = {n for eqn in stage.program.equations for n in eqn.outputs}
    rows = {n: array[: len(given)] for n, array in divisors.items() if n in own}

    def one(value: jax.Array, rows: dict[int, Any]) -> list[jax.Array]:
        values = evaluate(stage.program, fixed, value, rows)
        ends = [] if stage.end is None else [values[stage.end]]
        return [*(read_layer(layer, values) for layer in layers), *ends]

    return jax.vmap(one)(given, rows)
