"""Layers: the points of a program that a sweep looks at, named as the user wrote them.

Pools, means and reshapes are functions in Flax and invisible to its captures, so layers are read off the program.
Consecutive equations from the same call in the user's code form one layer. It is named by the module whose weights
it uses, or by the library function that was called. What acts on every position alike (activations, padding before
a window) is left to the next layer; what joins two branches is a layer of its own.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from shiftproof.tracing import axes
from shiftproof.tracing.axes import BATCH, Labels
from shiftproof.tracing.trace import Equation, Literal, Program, Site

NAMES = {
    "conv_general_dilated": "conv",
    "dot_general": "dot",
    "reduce_window_max": "max_pool",
    "reduce_window_min": "min_pool",
    "reduce_window_sum": "sum_pool",
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "select_and_gather_add": "max_pool",
}
"""Names for primitives that no library function and no module names."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One point of the program whose value is compared.

    Attributes:
        name: unique; the module path (`conv1`, `blocks.0.conv`) or the function called (`max_pool`).
        site: the place in the user's code.
        value: number of its value in the program, or a literal.
        shape: of that value, batch included.
        dtype: of that value.
        grid: for each spatial axis of the input, the axis of the value that runs along it, or None.
        strides: for each spatial axis, pixels of the input per cell; None where `grid` is None.
        batch: the axis of the value that is the batch, or None.
        output: the name of the model output it is, or None.
    """

    name: str
    site: Site
    value: int | Literal
    shape: tuple[int, ...]
    dtype: str
    grid: tuple[int | None, ...]
    strides: tuple[Fraction | None, ...]
    batch: int | None
    output: str | None

    @property
    def has_grid(self) -> bool:
        """Whether some axis runs along the grid, so that equivariance is a question."""
        return any(axis is not None for axis in self.grid)

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Cells along each spatial axis; 1 where the value does not run along it."""
        return tuple(1 if axis is None else self.shape[axis] for axis in self.grid)


@dataclasses.dataclass
class _Run:
    """Consecutive equations of one call, while they are collected."""

    site: Site
    modules: list[str] = dataclasses.field(default_factory=list)
    equations: list[Equation] = dataclasses.field(default_factory=list)
    active: bool = False


def find_layers(
    program: Program, spatial_axes: Sequence[int], *, output_axes: Sequence[int] | None = None
) -> tuple[Layer, ...]:
    """The layers of a program in order, then its outputs where they are none of those.

    Args:
        program: the traced model.
        spatial_axes: the grid axes of the batched images.
        output_axes: the grid axes of the batched outputs, where they cannot be followed through the program.
    """
    labels = axes.label_axes(program, spatial_axes)
    captured: dict[int | Literal, tuple[str, Site]] = {}
    for run in _runs(program, labels):
        value = _value_of(run, program)
        if run.active and value is not None:
            captured[value] = (_name(run), run.site)
    outputs = dict(zip(program.output_names, program.outputs, strict=True))
    points: list[tuple[int | Literal, str, Site, str | None]] = [
        (value, *names, None) for value, names in captured.items() if value not in outputs.values()
    ]
    for leaf, value in outputs.items():
        name, site = captured.get(value, (leaf, Site((), "")))
        points.append((value, name if len(outputs) == 1 else leaf, site, leaf))
    unique = _unique([name for _, name, _, _ in points])
    layers = []
    for name, (value, _, site, leaf) in zip(unique, points, strict=True):
        known = () if isinstance(value, Literal) else labels[value]
        if leaf is not None:
            known = _output_labels(program, value, known, spatial_axes, output_axes)
        layers.append(_layer(program, name, site, value, known, leaf, len(spatial_axes)))
    return tuple(layers)


def _layer(
    program: Program,
    name: str,
    site: Site,
    value: int | Literal,
    labels: Labels,
    leaf: str | None,
    rank: int,
) -> Layer:
    aval = value.value if isinstance(value, Literal) else program.avals[value]
    origins = {
        label.axis: (axis, label.stride)
        for axis, label in enumerate(labels)
        if label and (label.is_grid or label.axis == BATCH)
    }
    grid = tuple(origins.get(position, (None, None)) for position in range(rank))
    return Layer(
        name=name,
        site=site,
        value=value,
        shape=tuple(getattr(aval, "shape", ())),
        dtype=str(getattr(aval, "dtype", type(aval).__name__)),
        grid=tuple(axis for axis, _ in grid),
        strides=tuple(stride for _, stride in grid),
        batch=origins.get(BATCH, (None, None))[0],
        output=leaf,
    )


def _output_labels(
    program: Program,
    value: int | Literal,
    labels: Labels,
    spatial_axes: Sequence[int],
    declared: Sequence[int] | None,
) -> Labels:
    """An output's grid: declared, or followed, or of the images' sizes times (or over) whole numbers."""
    if isinstance(value, Literal):
        return labels
    shape, given = program.avals[value].shape, program.avals[program.images].shape
    followed = any(label and label.axis != BATCH for label in labels)
    alike = len(shape) == len(given) and all(
        shape[axis] > 1 and (shape[axis] % given[axis] == 0 or given[axis] % shape[axis] == 0)
        for axis in spatial_axes
    )
    chosen = declared if declared is not None else spatial_axes if alike and not followed else ()
    if not chosen or max(chosen) >= len(shape):
        # outputs have the batch first, by contract, even where it could not be followed
        lost = shape and shape[0] == given[0] and not any(label for label in labels)
        return (axes.GridAxis(BATCH), *labels[1:]) if lost else labels
    fresh: list[axes.Label] = [None] * len(shape)
    fresh[0] = axes.GridAxis(BATCH)
    for position, axis in enumerate(chosen):
        fresh[axis] = axes.GridAxis(position, Fraction(given[spatial_axes[position]], shape[axis]))
    return tuple(fresh)


def _runs(program: Program, labels: dict[int, Labels]) -> list[_Run]:
    runs: list[_Run] = []
    maker: dict[int, int] = {}
    for eqn in program.equations:
        if eqn.outputs[0] not in program.from_images:
            continue
        moving = [o for o in eqn.inputs if isinstance(o, int) and o in program.from_images]
        used = {n for o in eqn.inputs if isinstance(o, int) for n in program.weights_of.get(o, ())}
        modules = sorted({_module(name) for name in used})
        if not runs or _starts_layer(eqn, runs[-1], modules):
            runs.append(_Run(eqn.site))
        run = runs[-1]
        run.equations.append(eqn)
        run.modules += [module for module in modules if module not in run.modules]
        branches = {maker.get(operand, -1) for operand in moving}
        run.active |= _is_active(eqn, labels, joins=len(branches) > 1)
        maker.update(dict.fromkeys(eqn.outputs, len(runs) - 1))
    return runs


def _starts_layer(eqn: Equation, run: _Run, modules: Sequence[str]) -> bool:
    landmarks = axes.CONTRACTIONS | axes.WINDOWS
    done = any(made.name in landmarks for made in run.equations)
    if eqn.site.frames != run.site.frames:
        return True
    if eqn.name in landmarks:
        return done and (list(modules) != run.modules or not modules)
    # without a line of the user's (nnx.Sequential), a reduction after a convolution is a norm or a softmax
    return done and not eqn.site.frames and eqn.name in axes.REDUCTIONS


def _is_active(eqn: Equation, labels: dict[int, Labels], *, joins: bool) -> bool:
    """Whether the equation can change which shifts survive, so that its layer is worth a look."""
    if eqn.name in axes.ELEMENTWISE:
        return joins
    if eqn.name == "slice":
        return any(stride != 1 for stride in eqn.params["strides"] or ())
    if eqn.name == "reshape":
        before = {x.axis for o in eqn.inputs if isinstance(o, int) for x in labels[o] if x}
        after = {x.axis for x in labels[eqn.outputs[0]] if x}
        return before != after
    return eqn.name not in axes.MOVES


def _value_of(run: _Run, program: Program) -> int | None:
    """The last value of the run that is used outside it, or None where the run is dead."""
    inside = {id(eqn) for eqn in run.equations}
    used = {
        o for e in program.equations if id(e) not in inside for o in e.inputs if isinstance(o, int)
    }
    used |= {o for o in program.outputs if isinstance(o, int)}
    made = [output for eqn in run.equations for output in eqn.outputs if output in used]
    return made[-1] if made else None


def _module(weight: str) -> str:
    """The module a weight belongs to: its path without collection and last key."""
    collections = ("params.", "batch_stats.")
    path = next((weight.removeprefix(c) for c in collections if weight.startswith(c)), weight)
    return path.rpartition(".")[0]


def _name(run: _Run) -> str:
    named = [module for module in run.modules if module]
    if named:
        return named[0]
    if run.site.callee:
        return NAMES.get(run.site.callee, run.site.callee)
    names = [eqn.name for eqn in run.equations]
    active = [name for name in names if name not in axes.MOVES | axes.ELEMENTWISE]
    joins = [name for name in names if name in axes.ELEMENTWISE]
    name = (active or joins or names)[0]
    return NAMES.get(name, name)


def _unique(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique
