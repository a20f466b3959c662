"""Grid axes: which axes of each intermediate array are the grid, and how far apart its cells lie.

A forward pass over the program labels every axis that runs along a spatial axis of the input (or along the
batch) and composes the stride layer by layer. A label says where an axis comes from; it claims nothing about
equivariance. What no rule understands loses its labels, and is then compared without a grid.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from shiftproof.trace import Equation, Literal, Program, interpret

BATCH = -1
SHARED = -2
"""Origin of axes of which several run along the same input axis, as in a matrix of attention scores."""


@dataclasses.dataclass(frozen=True)
class GridAxis:
    """An array axis that runs along input axis `axis` (`BATCH` for the batch), one cell every `stride` pixels."""

    axis: int
    stride: Fraction = Fraction(1)

    def scaled(self, factor: int | Fraction) -> "GridAxis":
        """The same axis with cells `factor` times as far apart."""
        return GridAxis(self.axis, self.stride * factor)


Label = GridAxis | None
Labels = tuple[Label, ...]
Rule = Callable[[Equation, Sequence[Labels], Sequence[tuple[int, ...]]], Labels]


def label_axes(program: Program, spatial_axes: Sequence[int]) -> dict[int, Labels]:
    """Labels of every value of the program, by number.

    Args:
        program: the traced model; axis 0 of its images is the batch.
        spatial_axes: axes of the batched images that form the grid, in order.
    """
    shapes = {number: aval.shape for number, aval in program.avals.items()}
    start: dict[int, Labels] = {number: (None,) * len(shape) for number, shape in shapes.items()}
    labels: list[Label] = [None] * len(shapes[program.images])
    labels[0] = GridAxis(BATCH)
    for position, axis in enumerate(spatial_axes):
        labels[axis] = GridAxis(position)
    start[program.images] = tuple(labels)

    def step(eqn: Equation, operands: Sequence[Any]) -> list[Labels]:
        known = [(None,) * _rank(o) if isinstance(o, Literal) else o for o in operands]
        sizes = [_shape(o) if isinstance(o, Literal) else shapes[o] for o in eqn.inputs]
        rule = RULES.get(eqn.name)
        results = []
        for output in eqn.outputs:
            shape = shapes[output]
            result = rule(eqn, known, [*sizes, shape]) if rule else (None,) * len(shape)
            results.append(_unambiguous(result, rank=len(shape)))
        return results

    return interpret(program, start, step)


def _shape(literal: Literal) -> tuple[int, ...]:
    return tuple(getattr(literal.value, "shape", ()))


def _rank(literal: Literal) -> int:
    return len(_shape(literal))


def _unambiguous(labels: Labels, *, rank: int) -> Labels:
    """Several axes along the same input axis are no grid, and known to be none."""
    if len(labels) != rank:
        return (None,) * rank
    origins = [label.axis for label in labels if label]
    return tuple(
        GridAxis(SHARED) if label and origins.count(label.axis) > 1 else label for label in labels
    )


# --- rules: (equation, labels of operands, shapes of operands and output) -> labels of the output ---


def _join(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    """Elementwise: an axis keeps its label unless two operands disagree."""
    rank = len(shapes[-1])
    joined: list[Label] = []
    for axis in range(rank):
        found = {labels[axis] for labels in known if len(labels) == rank and labels[axis]}
        joined.append(found.pop() if len(found) == 1 else None)
    return tuple(joined)


def _broadcast(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    labels: list[Label] = [None] * len(shapes[-1])
    for axis, target in enumerate(eqn.params["broadcast_dimensions"]):
        labels[target] = known[0][axis]
    return tuple(labels)


def _transpose(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    return tuple(known[0][axis] for axis in eqn.params["permutation"])


def _squeeze(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    return tuple(
        label for axis, label in enumerate(known[0]) if axis not in eqn.params["dimensions"]
    )


def _reduce(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    return tuple(label for axis, label in enumerate(known[0]) if axis not in eqn.params["axes"])


def _reshape(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    """Aligned blocks of equal product: a split leaves the label on its major part, a merge keeps a major one."""
    source, target = shapes[0], shapes[-1]
    labels: list[Label] = [None] * len(target)
    if 0 in source:
        return tuple(labels)
    i = j = 0
    while i < len(source) and j < len(target):
        first_i, first_j = i, j
        size_i, size_j = source[i], target[j]
        i, j = i + 1, j + 1
        while size_i != size_j:
            if size_i < size_j:
                size_i, i = size_i * source[i], i + 1
            else:
                size_j, j = size_j * target[j], j + 1
        block_in = [axis for axis in range(first_i, i) if source[axis] != 1]
        block_out = [axis for axis in range(first_j, j) if target[axis] != 1]
        labelled = [axis for axis in block_in if known[0][axis]]
        if block_out and len(labelled) == 1 and labelled[0] == block_in[0]:
            minor_in = math.prod(source[axis] for axis in block_in[1:])
            minor_out = math.prod(target[axis] for axis in block_out[1:])
            major = known[0][block_in[0]]
            labels[block_out[0]] = major.scaled(Fraction(minor_out, minor_in)) if major else None
    return tuple(labels)


def _slice(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    strides = eqn.params["strides"] or (1,) * len(known[0])
    return tuple(label and label.scaled(s) for label, s in zip(known[0], strides, strict=True))


def _pad(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    interior = [inner for _, _, inner in eqn.params["padding_config"]]
    pairs = zip(known[0], interior, strict=True)
    return tuple(label and label.scaled(Fraction(1, inner + 1)) for label, inner in pairs)


def _concatenate(
    eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]
) -> Labels:
    return _join(eqn, known, shapes)


def _keep(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    return known[0]


def _along(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    """Cumulative operations and sort: the axis they run along is no grid afterwards."""
    dropped = eqn.params.get("axis", eqn.params.get("dimension"))
    return tuple(None if axis == dropped else label for axis, label in enumerate(known[0]))


def _window(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    ones = (1,) * len(known[0])
    strides = eqn.params["window_strides"]
    dilations = eqn.params.get("base_dilation") or ones
    triples = zip(known[0], strides, dilations, strict=True)
    return tuple(label and label.scaled(Fraction(s, d)) for label, s, d in triples)


def _convolution(
    eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]
) -> Labels:
    numbers = eqn.params["dimension_numbers"]
    labels: list[Label] = [None] * len(shapes[-1])
    labels[numbers.out_spec[0]] = known[0][numbers.lhs_spec[0]]
    strides, dilations = eqn.params["window_strides"], eqn.params["lhs_dilation"]
    for position, stride in enumerate(strides):
        label = known[0][numbers.lhs_spec[2 + position]]
        scale = Fraction(stride, dilations[position])
        labels[numbers.out_spec[2 + position]] = label and label.scaled(scale)
    return tuple(labels)


def _dot(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    (left_contract, right_contract), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    left, right = known
    shared = [left[a] or right[b] for a, b in zip(left_batch, right_batch, strict=True)]
    left_free = [x for axis, x in enumerate(left) if axis not in (*left_contract, *left_batch)]
    right_free = [x for axis, x in enumerate(right) if axis not in (*right_contract, *right_batch)]
    return tuple(shared + left_free + right_free)


ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt
    ceil clamp conj convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv
    erfc exp exp2 expm1 floor ge gt igamma igammac imag integer_pow is_finite le lgamma log
    log1p logistic lt max min mul ne neg nextafter not optimization_barrier or
    population_count pow real reduce_precision regularized_incomplete_beta rem round rsqrt
    select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square
    stop_gradient sub tan tanh xor
    """.split()
)
"""Primitives that act on every position alike."""

MOVES = frozenset(
    """
    broadcast_in_dim concatenate expand_dims pad reshape slice split squeeze transpose
    """.split()
)
"""Primitives that only place values elsewhere."""

REDUCTIONS = frozenset(
    """
    argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor
    """.split()
)
WINDOWS = frozenset(
    ["reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"]
)
CONTRACTIONS = frozenset(["conv_general_dilated", "dot_general"])

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _join),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(WINDOWS, _window),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort"), _along),
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "dynamic_slice": _keep,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _keep,
    "slice": _slice,
    "split": _keep,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
