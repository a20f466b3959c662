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
from typing import Any

from shiftproof.errors import InputError
from shiftproof.proving.asked import Oracle, find_roll
from shiftproof.proving.cells import BATCH, Field
from shiftproof.proving.geometry import Geometry, geometry_of
from shiftproof.tracing.arguments import check_integers
from shiftproof.tracing.primitives import CELLS, CONTRACTIONS, PLACES, REDUCTIONS, WINDOWS
from shiftproof.tracing.trace import Equation, Literal, Program, Site, name_of_layer

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
        fields: for each spatial axis what a cell sees; None where the value does not depend on the images.
        note: of an output that has no grid along some axis though it could: why, and what to pass; "" else.
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
    fields: tuple[Field | None, ...]
    note: str = ""

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
    joins: list[str] = dataclasses.field(default_factory=list)
    active: bool = False


def find_layers(
    program: Program,
    spatial_axes: Sequence[int],
    *,
    output_axes: Sequence[int] | None = None,
    oracle: Oracle | None = None,
    geometry: Geometry | None = None,
) -> tuple[Layer, ...]:
    """The layers of a program in order, then its outputs where they are none of those.

    Args:
        program: the traced model.
        spatial_axes: the grid axes of the batched images.
        output_axes: the grid axes of the batched outputs, where they cannot be followed through the program.
        oracle: the model; an output that cannot be followed is then asked how it moves with the image.
        geometry: of the program, where it is known.
    """
    geometry = geometry or geometry_of(program, spatial_axes)
    captured: dict[int | Literal, tuple[str, Site]] = {}
    for run in _runs(program, geometry):
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
    if output_axes is not None:
        output_axes = _check_declared(program, output_axes, len(spatial_axes))
    layers = []
    for name, (value, _, site, leaf) in zip(unique, points, strict=True):
        layer = _layer(program, name, site, value, geometry, leaf, len(spatial_axes))
        if leaf is not None and isinstance(value, int):
            position = program.output_names.index(leaf)
            output = _Output(program, layer, position, spatial_axes, geometry)
            layer = output.placed(output_axes, oracle)
        layers.append(layer)
    return tuple(layers)


def _check_declared(program: Program, output_axes: Any, rank: int) -> tuple[int, ...]:
    """The grid axes that were declared for the outputs, as integers.

    Raises:
        InputError: they are not as many as those of the images, name one twice, or no output has them.
    """
    axes = check_integers("output_axes", output_axes, "(1,)" if rank == 1 else "(1, 2)")
    if len(axes) != rank:
        raise InputError(
            f"output_axes={axes} do not fit the grid of the images, which has {rank} axes: name one axis of the output "
            "for each, in that order."
        )
    operands = zip(program.output_names, program.outputs, strict=True)
    shapes = {n: tuple(program.avals[o].shape) for n, o in operands if isinstance(o, int)}
    fitting = [s for s in shapes.values() if all(-len(s) <= axis < len(s) for axis in axes)]
    if not fitting:
        told = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise InputError(f"output_axes={axes} fit no output; there is {told}, batch included.")
    for shape in fitting:
        if len({axis % len(shape) for axis in axes}) < rank:
            raise InputError(f"output_axes={axes} name the same axis twice.")
    return axes


def _layer(
    program: Program,
    name: str,
    site: Site,
    value: int | Literal,
    geometry: Geometry,
    leaf: str | None,
    rank: int,
) -> Layer:
    aval = value.value if isinstance(value, Literal) else program.avals[value]
    shape = tuple(getattr(aval, "shape", ()))
    fields = tuple(geometry.field(value, position, shape) for position in range(rank))
    batch = geometry.field(value, BATCH, shape)
    there = [field if field is not None and field.axis is not None else None for field in fields]
    return Layer(
        name=name,
        site=site,
        value=value,
        shape=shape,
        dtype=str(getattr(aval, "dtype", type(aval).__name__)),
        grid=tuple(field and field.axis for field in there),
        strides=tuple(field and field.jump for field in there),
        batch=batch and batch.axis,
        output=leaf,
        fields=fields,
    )


@dataclasses.dataclass(frozen=True)
class _Output:
    """An output as the geometry shows it, whose grid may have to be found in other ways."""

    program: Program
    layer: Layer
    position: int
    spatial_axes: Sequence[int]
    geometry: Geometry

    @property
    def sizes(self) -> list[int]:
        """Of the grid of the images."""
        return [self.program.avals[self.program.images].shape[a] for a in self.spatial_axes]

    def placed(self, declared: Sequence[int] | None, oracle: Oracle | None) -> Layer:
        """The grid of an output: declared, or followed, or asked, or of the images' sizes times whole numbers."""
        layer = self.layer
        axes = None if declared is None else self.declared(declared)
        if axes is not None:
            return self._on(axes)
        unknown = self._unknown()
        if unknown and oracle is not None:
            layer = self._asked(oracle, unknown)
        if not layer.has_grid and unknown and self._is_alike():
            return self._on(self.spatial_axes)
        layer = dataclasses.replace(layer, batch=self._batch(layer))
        left = [axis for axis in unknown if layer.grid[axis] is None]
        entangled = sorted(
            self._counted() - {a for a, place in enumerate(layer.grid) if place is not None}
        )
        if left or entangled:
            layer = dataclasses.replace(layer, note=self._note(left, entangled))
        return layer

    def declared(self, axes: Sequence[int]) -> tuple[int, ...] | None:
        """Declared axes, counted from the front; None where the output has no such axis, as others may.

        Raises:
            InputError: one of them is the batch.
        """
        rank = len(self.layer.shape)
        if not all(-rank <= axis < rank for axis in axes):
            return None
        found = tuple(axis % rank for axis in axes)
        if self.layer.batch in found:
            raise InputError(
                f"output_axes={tuple(axes)} name axis {self.layer.batch} of {self.layer.output}, of shape "
                f"{self.layer.shape}, which is the batch: name the axes that run along the grid, such as (1, 2)."
            )
        return found

    def _counted(self) -> set[int]:
        """Axes of the grid of which the output's cells count the pixels, be it on axes that they share."""
        return {v.source for v in self.geometry.of(self.layer.value).views if v.source != BATCH}

    def _unknown(self) -> list[int]:
        """Axes of the grid along which the output may run, for all that could be followed."""
        lost = dict(self.geometry.of(self.layer.value).lost)
        wide = [n for axis, n in enumerate(self.layer.shape) if axis and n > 1]
        like_a_map = len(self.layer.shape) > 2 and len(wide) >= len(self.sizes)
        like_a_map &= not self.layer.has_grid
        return [
            position
            for position, (axis, field) in enumerate(
                zip(self.layer.grid, self.layer.fields, strict=True)
            )
            if axis is None
            and field is not None
            and wide
            and self.sizes[position] > 1
            and position not in self._counted()
            and (position in lost or like_a_map)
        ]

    def _on(self, axes: Sequence[int]) -> Layer:
        """The layer with its grid on these axes."""
        grid: list[int | None] = [None] * len(self.sizes)
        strides: list[Fraction | None] = [None] * len(self.sizes)
        for position, axis in enumerate(axes):
            grid[position] = axis
            strides[position] = Fraction(self.sizes[position], self.layer.shape[axis])
        return dataclasses.replace(
            self.layer, grid=tuple(grid), strides=tuple(strides), batch=0 if 0 not in axes else None
        )

    def _asked(self, oracle: Oracle, unknown: Sequence[int]) -> Layer:
        """The layer with the axes that were seen to roll with the image."""
        grid, strides = list(self.layer.grid), list(self.layer.strides)
        for position in unknown:
            taken = [axis for axis in grid if axis is not None]
            free = [a for a, n in enumerate(self.layer.shape) if a and n > 1 and a not in taken]
            images = self.program.avals[self.program.images]
            found = find_roll(oracle, self.position, images, self.spatial_axes[position], free)
            if found is not None:
                grid[position], strides[position] = found
        return dataclasses.replace(self.layer, grid=tuple(grid), strides=tuple(strides))

    def _is_alike(self) -> bool:
        """Whether the output has the rank of the images, and their sizes times, or over, whole numbers."""
        shape, given = self.layer.shape, self.program.avals[self.program.images].shape
        return len(shape) == len(given) and all(
            shape[axis] > 1 and (shape[axis] % given[axis] == 0 or given[axis] % shape[axis] == 0)
            for axis in self.spatial_axes
        )

    def _batch(self, layer: Layer) -> int | None:
        """Outputs have the batch first, by contract, even where it could not be followed."""
        given = self.program.avals[self.program.images].shape
        lost = layer.batch is None and layer.shape and layer.shape[0] == given[0]
        return 0 if lost and 0 not in layer.grid else layer.batch

    def _note(self, left: Sequence[int], entangled: Sequence[int]) -> str:
        """Why an output is not asked for equivariance along some axes, and what to pass."""
        axes = [*left, *entangled]
        some = len(axes) < sum(n > 1 for n in self.sizes)
        along = (
            f" along {' and '.join(f'axis {axis}' for axis in axes)} of the grid" if some else ""
        )
        if left:
            why = f"none of its axes could be followed to the image{self._place(left)}"
        else:
            why = "the places of the grid share an axis, as tokens do, or lie along several at once"
        shape = "x".join(map(str, self.layer.shape))
        return (
            f"{self.layer.output} of shape {shape} is not asked for equivariance{along}: {why}. If some of its axes "
            "run along the grid, name them, such as output_axes=(1, 2) (the batch is axis 0); else reshape it to a map."
        )

    def _place(self, left: Sequence[int]) -> str:
        """The equation at which the grid was lost."""
        lost = dict(self.geometry.of(self.layer.value).lost)
        found = (self.geometry.graph.origins[lost[axis]] for axis in left if axis in lost)
        eqn = next((eqn for eqn in found if eqn is not None), None)
        if eqn is None:
            return ""
        return f" (lost at {eqn.name}{f', {eqn.site}' if str(eqn.site) else ''})"


def _runs(program: Program, geometry: Geometry) -> list[_Run]:
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
        joins = len(branches) > 1
        run.joins += [eqn.name] if joins and eqn.name in CELLS else []
        run.active |= _is_active(eqn, program, geometry, joins=joins)
        maker.update(dict.fromkeys(eqn.outputs, len(runs) - 1))
    return runs


def _starts_layer(eqn: Equation, run: _Run, modules: Sequence[str]) -> bool:
    landmarks = CONTRACTIONS | WINDOWS
    done = any(made.name in landmarks for made in run.equations)
    if (eqn.site.frames, eqn.site.module) != (run.site.frames, run.site.module):
        return True
    if eqn.name in landmarks:
        return done and (list(modules) != run.modules or not modules)
    # without a line of the user's (nnx.Sequential), a reduction after a convolution is a norm or a softmax
    return done and not eqn.site.frames and eqn.name in REDUCTIONS


def _is_active(eqn: Equation, program: Program, geometry: Geometry, *, joins: bool) -> bool:
    """Whether the equation can change which shifts survive, so that its layer is worth a look."""
    if eqn.name in CELLS:
        return joins
    if eqn.name == "slice":
        return any(stride != 1 for stride in eqn.params["strides"] or ())
    if eqn.name == "reshape":
        before, after = (
            {label.axes for label in geometry.labels(value, program.avals[value].shape) if label}
            for value in (eqn.inputs[0], eqn.outputs[0])
            if isinstance(value, int)
        )
        return before != after
    return eqn.name not in PLACES


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
    collections = ("params.", "batch_stats.", "buffers.")
    path = next((weight.removeprefix(c) for c in collections if weight.startswith(c)), weight)
    return path.rpartition(".")[0]


def _name(run: _Run) -> str:
    named = [module for module in (*run.modules, run.site.module) if module]
    if named:
        return name_of_layer(named[0])
    # a convolution with padding before it is a convolution
    landmarks = [e for e in run.equations if e.name in CONTRACTIONS | WINDOWS]
    callee = landmarks[0].site.callee if landmarks else run.site.callee
    if callee == "reduce_window" and landmarks:  # one word of JAX for every pool
        return NAMES.get(landmarks[0].name, callee)
    if callee:
        return NAMES.get(callee, callee)
    names = [eqn.name for eqn in run.equations]
    active = [name for name in names if name not in PLACES | CELLS]
    name = (active or run.joins or names)[0]
    return NAMES.get(name, name)


def _unique(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return unique
