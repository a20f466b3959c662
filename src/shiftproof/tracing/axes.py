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

from shiftproof.tracing.trace import Equation, Literal, Program, interpret, open_body, scan_counts

BATCH = -1
MERGED = -2
"""Origin of an axis into which several were merged, such as tokens; they are found again where it is split."""


@dataclasses.dataclass(frozen=True)
class GridAxis:
    """An array axis that runs along an input axis.

    Attributes:
        axis: of the input; `BATCH` for the batch, `MERGED` for several.
        stride: pixels per cell.
        parts: of a merged axis the label and size of every part, major to minor.
        shared: whether another axis runs along the same input axis, as in a matrix of attention scores: then it is no
            grid, until the other is summed.
    """

    axis: int
    stride: Fraction = Fraction(1)
    parts: "tuple[tuple[GridAxis | None, int], ...]" = ()
    shared: bool = dataclasses.field(default=False, compare=False)

    @property
    def is_grid(self) -> bool:
        """Whether the axis runs along one grid axis of the input, alone."""
        return self.axis >= 0 and not self.shared

    def scaled(self, factor: int | Fraction) -> "GridAxis":
        """The same axis with cells `factor` times as far apart; a merged one has no parts any more."""
        parts = self.parts if factor == 1 else ()
        return dataclasses.replace(self, stride=self.stride * factor, parts=parts)


Label = GridAxis | None
Labels = tuple[Label, ...]
Rule = Callable[[Equation, Sequence[Labels], Sequence[tuple[int, ...]]], Labels]


def label_axes(program: Program, spatial_axes: Sequence[int]) -> dict[int, Labels]:
    """Labels of every value of the program, by number.

    Args:
        program: the traced model; axis 0 of its images is the batch.
        spatial_axes: axes of the batched images that form the grid, in order.
    """
    labels: list[Label] = [None] * len(program.avals[program.images].shape)
    labels[0] = GridAxis(BATCH)
    for position, axis in enumerate(spatial_axes):
        labels[axis] = GridAxis(position)
    return _labelled(program, {program.images: tuple(labels)})


def _labelled(program: Program, given: Mapping[int, Labels]) -> dict[int, Labels]:
    """Labels of every value, from those of some inputs; all other inputs have none."""
    shapes = {number: aval.shape for number, aval in program.avals.items()}
    start: dict[int, Labels] = {number: (None,) * len(shape) for number, shape in shapes.items()}
    start.update(given)

    def step(eqn: Equation, operands: Sequence[Any]) -> list[Labels]:
        known = [(None,) * _rank(o) if isinstance(o, Literal) else o for o in operands]
        sizes = [_shape(o) if isinstance(o, Literal) else shapes[o] for o in eqn.inputs]
        ranks = [len(shapes[output]) for output in eqn.outputs]
        if eqn.name in BODIES:
            results = _results(eqn, known)
        else:
            rule = RULES.get(eqn.name)
            results = [
                rule(eqn, known, [*sizes, shapes[output]]) if rule else () for output in eqn.outputs
            ]
        pairs = zip(results, ranks, strict=True)
        return [_unambiguous(result, rank=rank) for result, rank in pairs]

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
        label and dataclasses.replace(label, shared=origins.count(label.axis) > 1)
        for label in labels
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
    """Aligned blocks of equal product: a split leaves the label on its major part, a merge remembers its parts."""
    target = shapes[-1]
    labels: list[Label] = [None] * len(target)
    if 0 in target:
        return tuple(labels)
    parts = [part for pair in zip(known[0], shapes[0], strict=True) for part in _parts(*pair)]
    source = [size for _, size in parts]
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
        block = [part for part in parts[first_i:i] if part[1] != 1]
        outs = [axis for axis in range(first_j, j) if target[axis] != 1]
        if outs:
            labels[outs[0]] = _regrouped(block, [target[axis] for axis in outs])
    return tuple(labels)


def _parts(label: Label, size: int) -> Sequence[tuple[Label, int]]:
    """The parts of a merged axis, unless it was cut or made longer since."""
    known = label.parts if label else ()
    return known if known and math.prod(n for _, n in known) == size else [(label, size)]


def _regrouped(block: Sequence[tuple[Label, int]], sizes: Sequence[int]) -> Label:
    """The label of the major of several axes that show the same cells as some parts."""
    labelled = [label for label, _ in block if label]
    if len(labelled) == 1 and labelled[0] == block[0][0]:
        minor_in = math.prod(size for _, size in block[1:])
        return labelled[0].scaled(Fraction(math.prod(sizes[1:]), minor_in))
    return GridAxis(MERGED, parts=tuple(block)) if len(sizes) == 1 and labelled else None


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


def _same_shape(
    eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]
) -> Labels:
    """Of the first operand, where the shape is kept."""
    return known[0] if shapes[0] == shapes[-1] else (None,) * len(shapes[-1])


def _gather(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    """The places of the indices, where these run along the grid; else cells picked along the same axes."""
    (picked, *_), (source, *_) = known[1:], shapes
    target = shapes[-1]
    if any(picked):
        offset = eqn.params["dimension_numbers"].offset_dims
        places = iter(picked[:-1])
        return tuple(None if axis in offset else next(places, None) for axis in range(len(target)))
    if len(source) != len(target):
        return (None,) * len(target)
    triples = zip(known[0], source, target, strict=True)
    return tuple(label and label.scaled(Fraction(old, new)) for label, old, new in triples)


def _tile(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    """Copies along an axis leave it no grid."""
    pairs = zip(known[0], eqn.params["reps"], strict=True)
    return tuple(label if count == 1 else None for label, count in pairs)


def _stack(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    joined, axis = _join(eqn, known, [shapes[0]]), eqn.params["axis"]
    return (*joined[:axis], None, *joined[axis:])


def _unstack(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    axis = eqn.params["axis"]
    return (*known[0][:axis], *known[0][axis + 1 :])


def _dot(eqn: Equation, known: Sequence[Labels], shapes: Sequence[tuple[int, ...]]) -> Labels:
    (left_contract, right_contract), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    left, right = known
    shared = [left[a] or right[b] for a, b in zip(left_batch, right_batch, strict=True)]
    left_free = [x for axis, x in enumerate(left) if axis not in (*left_contract, *left_batch)]
    right_free = [x for axis, x in enumerate(right) if axis not in (*right_contract, *right_batch)]
    return tuple(shared + left_free + right_free)


# --- loops and branches: (equation, labels of operands) -> labels of every output ---


Bodies = list[tuple[Program, Sequence[Labels]]]
"""The bodies of a loop or a branch, each with the labels of its inputs."""


def body_labels(eqn: Equation, known: Sequence[Labels]) -> list[tuple[Program, dict[int, Labels]]]:
    """The bodies of a loop or a branch, in the order of `BODIES`, each with the labels of its values.

    Args:
        eqn: a `scan`, `while` or `cond`.
        known: labels of its operands.
    """
    return [
        (body, _labelled(body, dict(zip(body.weights, given, strict=True))))
        for body, given in BODIES[eqn.name](eqn, known)
    ]


def _results(eqn: Equation, known: Sequence[Labels]) -> list[Labels]:
    made = [_outputs_of(body, given) for body, given in BODIES[eqn.name](eqn, known)]
    if eqn.name == "cond":  # what all branches agree on
        return [
            tuple(
                found[0] if len(set(found)) == 1 else None for found in zip(*outputs, strict=True)
            )
            for outputs in zip(*made, strict=True)
        ]
    if eqn.name == "while":
        return made[0]
    # stacks get the axis that slices lost
    constants, carries = scan_counts(eqn)
    along = next((labels[0] for labels in known[constants + carries :] if labels), None)
    return [*made[0][:carries], *((along, *labels) for labels in made[0][carries:])]


def _scan(eqn: Equation, known: Sequence[Labels]) -> Bodies:
    """What is carried keeps the labels that the body gives back; slices lose their first axis."""
    constants, carries = scan_counts(eqn)
    slices = [labels[1:] for labels in known[constants + carries :]]
    body = open_body(eqn.params["jaxpr"])
    return [_carried(body, known[:constants], known[constants : constants + carries], slices)]


def _while(eqn: Equation, known: Sequence[Labels]) -> Bodies:
    tested, used = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    body = open_body(eqn.params["body_jaxpr"])
    return [_carried(body, known[tested : tested + used], known[tested + used :], ())]


def _cond(eqn: Equation, known: Sequence[Labels]) -> Bodies:
    return [(open_body(branch), known[1:]) for branch in eqn.params["branches"]]


def _carried(
    body: Program, constants: Sequence[Labels], start: Sequence[Labels], slices: Sequence[Labels]
) -> tuple[Program, Sequence[Labels]]:
    """The body and the labels of its inputs once its carries have all that the rounds give them."""
    carried = list(start)
    while True:
        inputs = [*constants, *carried, *slices]
        made = _outputs_of(body, inputs)
        fuller = [
            tuple(old or new for old, new in zip(*pair, strict=True))
            for pair in zip(carried, made, strict=False)
        ]
        if fuller == carried:
            return body, inputs
        carried = fuller


def _outputs_of(body: Program, given: Sequence[Labels]) -> list[Labels]:
    labels = _labelled(body, dict(zip(body.weights, given, strict=True)))
    return [(None,) * _rank(o) if isinstance(o, Literal) else labels[o] for o in body.outputs]


BODIES: Mapping[str, Callable[[Equation, Sequence[Labels]], Bodies]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}

ELEMENTWISE = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt
    ceil clamp conj convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv
    erfc exp exp2 expm1 floor ge gt igamma igammac imag integer_pow is_finite le lgamma log
    log1p log2 logistic lt max min mul ne neg nextafter not one_minus_square optimization_barrier or
    polynomial population_count pow real reduce_precision regularized_incomplete_beta rem round rsqrt
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
    "dynamic_update_slice": _keep,
    "fft": _same_shape,
    "gather": _gather,
    "scatter": _keep,
    "scatter-add": _keep,
    "scatter-sub": _keep,
    "stack": _stack,
    "tile": _tile,
    "unstack": _unstack,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _keep,
    "slice": _slice,
    "split": _keep,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
