"""Heads: the first equation at which fixed weights see every place of the grid, and the value that precedes it.

A dense layer after a flatten, over tokens, or a convolution as large as its map. A counterfactual ends before it, or
averages that value over the grid.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from shiftproof.proving.cells import Labels
from shiftproof.rewriting.changes import grid_axes, moves, moving_axes, runs_along_grid, source_of
from shiftproof.tracing.primitives import PLACES
from shiftproof.tracing.rewrite import Place, places
from shiftproof.tracing.trace import Equation, Program


@dataclasses.dataclass(frozen=True)
class Head:
    """Where the grid ends.

    Attributes:
        place: of the equation that sees every place.
        eqn: that equation.
        source: the user's file and line.
        features: place and position of the value that precedes it; None for the images themselves.
        axes: grid axes of that value.
        has_grid: whether each of these runs along one axis of the image, and is not tokens.
        leaves: the outputs that follow from it.
        is_flattened: whether places are merged into one axis before it.
    """

    place: Place
    eqn: Equation
    source: str
    features: tuple[Place, int] | None
    axes: tuple[int, ...]
    has_grid: bool
    leaves: tuple[int, ...]
    is_flattened: bool

    @property
    def name(self) -> str:
        """What it is, in words."""
        return "convolution over the whole map" if "conv" in self.eqn.name else "dense layer"


def find_heads(program: Program, labels: Mapping[int, Labels], grid: Sequence[int]) -> list[Head]:
    """For every output that has one, the first head on the way to it.

    Args:
        program: the traced model.
        labels: of all values, from the geometry.
        grid: sizes of the grid.
    """
    made = {
        output: (place, i, eqn)
        for place, eqn in places(program)
        for i, output in enumerate(eqn.outputs)
    }
    left = {leaf for leaf, o in enumerate(program.outputs) if isinstance(o, int)}
    found = []
    for place, eqn in places(program):
        for operand in _contracted(program, labels, eqn, grid):
            reached = program.depending_on({eqn.outputs[0]})
            leaves = [leaf for leaf in sorted(left) if program.outputs[leaf] in reached]
            number = _features(program, labels, made, operand)
            axes = moving_axes(labels[number])
            if leaves and any(program.avals[number].shape[axis] > 1 for axis in axes):
                features = None if number == program.images else made[number][:2]
                alone = grid_axes(labels[number]) == axes
                merged = number != operand
                source = source_of(eqn)
                found.append(Head(place, eqn, source, features, axes, alone, tuple(leaves), merged))
                left.difference_update(leaves)
    return found


def _contracted(
    program: Program, labels: Mapping[int, Labels], eqn: Equation, grid: Sequence[int]
) -> Iterator[int]:
    """The operand of which fixed values see every place, so that no grid is left; nothing where none is."""
    if eqn.name == "conv_general_dilated":
        (image, weights), spec = eqn.inputs, eqn.params["dimension_numbers"]
        assert isinstance(weights, int)  # an array is no literal
        if isinstance(image, int) and not np.any(eqn.params["padding"]):
            shape, after = (program.avals[n].shape for n in (image, eqn.outputs[0]))
            out = dict(zip(spec.lhs_spec, spec.out_spec, strict=True))
            kernel = dict(zip(spec.lhs_spec, spec.rhs_spec, strict=True))
            sizes = program.avals[weights].shape
            seen = [(a, label) for a, label in enumerate(labels[image]) if runs_along_grid(label)]
            # the whole map and not a part of it, by its kernel or its stride, nor one that was padded
            if seen and all(
                shape[a] > 1 == after[out[a]]
                and sizes[kernel[a]] == shape[a]
                and label
                and label.jump
                and label.jump * shape[a] == grid[label.axes[0]]
                for a, label in seen
            ):
                yield image
    if eqn.name == "dot_general" and not moving_axes(labels[eqn.outputs[0]]):
        contracted = eqn.params["dimension_numbers"][0]
        for side, other in ((0, 1), (1, 0)):
            number, fixed = eqn.inputs[side], eqn.inputs[other]
            if not isinstance(number, int) or fixed in program.from_images:
                continue
            seen = [labels[number][a] for a in contracted[side] if moves(labels[number][a])]
            learnt = isinstance(fixed, int) and bool(program.weights_of.get(fixed))
            # one axis against a table is a resize
            if seen and (learnt or len(seen) > 1 or any(len(s.axes) > 1 for s in seen if s)):
                yield number


def _features(
    program: Program,
    labels: Mapping[int, Labels],
    made: Mapping[int, tuple[Place, int, Equation]],
    number: int,
) -> int:
    """The value before it was flattened."""
    while number in made:
        _, _, eqn = made[number]
        if grid_axes(labels[number]) and not _is_flattened(program, labels, eqn):
            break
        source = eqn.inputs[0]
        if eqn.name not in PLACES | {"convert_element_type", "copy"} or not isinstance(source, int):
            break
        number = source
    return number


def _is_flattened(program: Program, labels: Mapping[int, Labels], eqn: Equation) -> bool:
    """Whether a reshape leaves no axis for the channels: cells of a grid with one axis still run along it then."""
    if eqn.name != "reshape" or not isinstance(eqn.inputs[0], int):
        return False
    before, after = (program.avals[n].shape for n in (eqn.inputs[0], eqn.outputs[0]))
    return len(after) < len(before) and all(map(moves, labels[eqn.outputs[0]][1:]))
