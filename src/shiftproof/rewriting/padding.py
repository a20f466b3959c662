"""Padding: every padding along the grid, and the equation with wrap padding in its place.

Convolutions, pools, explicit pads, and pads that were written as pieces of the value itself (mirrored, repeated), at
the top of a program and in the bodies of loops and branches. A convolution padded as `SAME` is wrapped as Flax's
`CIRCULAR` wraps it, so that the counterfactual is the model that the user would write; all else keeps its alignment,
so that values change at the border only.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.proving.cells import Label, Labels
from shiftproof.proving.geometry import LOOPS, Geometry
from shiftproof.rewriting.changes import Change, Skipped, runs_along_grid, source_of
from shiftproof.tracing.doors.door import FLAX, Words
from shiftproof.tracing.primitives import CELLS, PLACES, WINDOWS
from shiftproof.tracing.regrow import Step
from shiftproof.tracing.rewrite import Place, places
from shiftproof.tracing.trace import Equation, Literal, Program, apply
from shiftproof_kernel.arithmetic import pads_inside, reach

Found = Iterator[Change | Skipped]
Pads = dict[int, tuple[int, int]]
"""By axis, how many cells are put before and behind."""

WRAPPED = 'jnp.pad(x, ..., mode="wrap") before it, and the same cells cropped behind'
MOST_CELLS = 2**22
"""Values with more cells are not searched for pieces of themselves."""


def find_paddings(
    program: Program,
    geometry: Geometry,
    *,
    words: Words = FLAX,
    within: Place = (),
    around: str = "",
) -> Found:
    """All paddings along the grid.

    Args:
        program: the traced model, or the body of a loop.
        geometry: of its values.
        words: repairs, as the user's framework has them.
        within: the place of the body.
        around: the line of the loop.
    """
    labels = geometry.all_labels(program)
    full = {**labels, **_labels_of_fixed(program, labels)}
    context = _Context(program, full, around, within, geometry.sizes, words)
    for place, eqn in places(program, within):
        known = [full[o] if isinstance(o, int) else (None,) * np.ndim(o.value) for o in eqn.inputs]
        if eqn.name in LOOPS:
            for number, (body, inner) in enumerate(geometry.bodies(eqn)):
                inside = (*place, ("body", number))
                line = str(eqn.site)
                yield from find_paddings(body, inner, words=words, within=inside, around=line)
        elif eqn.name in FINDERS and known and any(map(runs_along_grid, known[0])):
            yield from FINDERS[eqn.name](context, place, eqn, known[0])
        elif eqn.name == "concatenate":
            yield from _pieces(context, place, eqn)


@dataclasses.dataclass(frozen=True)
class _Context:
    """A program with its labels, and the line of the loop of which it is the body."""

    program: Program
    labels: Mapping[int, Labels]
    around: str
    within: Place
    sizes: Mapping[int, int]
    words: Words

    def change(
        self,
        place: Place,
        eqn: Equation,
        what: str,
        repair: str,
        step: Step,
        *,
        grows: bool = False,
    ) -> Change:
        text = f"{what} became wrap padding"
        source = source_of(eqn, self.around)
        return Change("padding", place, eqn, source, text, repair, step, grows)

    def period(self, label: Label | None) -> int:
        """Cells of the whole torus along an axis that runs along the grid."""
        assert label is not None
        assert label.jump is not None
        return int(self.sizes[label.axes[0]] / abs(label.jump))

    def is_padded(self, operand: int | Literal, axis: int) -> bool:
        """Whether cells were put around a value along an axis, by hand or as `CIRCULAR` does it."""
        while isinstance(operand, int) and (eqn := self.makers.get(operand)) is not None:
            if eqn.name == "pad":
                if any(eqn.params["padding_config"][axis]):
                    return True
                operand = eqn.inputs[0]
            elif eqn.name == "concatenate":
                if eqn.params["dimension"] == axis:
                    return True
                operand = _longest(self, eqn)
            else:
                return False
        return False

    def may_grow(self, operand: int | Literal, axis: int) -> bool:
        """Whether what a window makes of a value may be longer than it is.

        Not in the body of a loop, whose carry keeps its size, and not where the value was padded before.
        """
        return not self.within and not self.is_padded(operand, axis)

    def skipped(self, place: Place, eqn: Equation, reason: str) -> Skipped:
        return Skipped(place, eqn, source_of(eqn, self.around), reason)

    @functools.cached_property
    def makers(self) -> dict[int, Equation]:
        """The equation that makes a value."""
        return {output: eqn for eqn in self.program.equations for output in eqn.outputs}

    def shape(self, operand: int | Literal) -> tuple[int, ...]:
        """The shape of an operand."""
        if isinstance(operand, Literal):
            return np.shape(operand.value)
        return self.program.avals[operand].shape

    def users(self, number: int) -> list[Equation]:
        """The equations that use a value."""
        return [eqn for eqn in self.program.equations if number in eqn.inputs]


def _labels_of_fixed(program: Program, labels: Mapping[int, Labels]) -> dict[int, Labels]:
    """Labels of values that do not depend on the image but meet it cell by cell, as the cells that a pool counts do."""
    found: dict[int, Labels] = {}
    for eqn in reversed(program.equations):
        mine = labels[eqn.outputs[0]]
        mine = mine if any(mine) else found.get(eqn.outputs[0], ())
        if not any(mine):
            continue
        for operand in (o for o in eqn.inputs if isinstance(o, int) and not any(labels[o])):
            rank = len(program.avals[operand].shape)
            if eqn.name in CELLS | WINDOWS and rank == len(mine):
                found[operand] = mine
            elif eqn.name == "broadcast_in_dim":
                found[operand] = tuple(mine[a] for a in eqn.params["broadcast_dimensions"])
    return found


# --- finders: (context, place, equation, labels of its first operand) -> what is found ---


def _convolution(context: _Context, place: Place, eqn: Equation, labels: Labels) -> Found:
    p, numbers = eqn.params, eqn.params["dimension_numbers"]
    shape, kernel = (context.shape(operand) for operand in eqn.inputs)
    target = context.shape(eqn.outputs[0])
    pads: dict[int, tuple[int, int]] = {}
    bases: dict[int, int] = {}
    grows = False
    for i, axis in enumerate(numbers.lhs_spec[2:]):
        low, high = (int(n) for n in p["padding"][i])
        stride, base = int(p["window_strides"][i]), int(p["lhs_dilation"][i])
        window = reach(int(kernel[numbers.rhs_spec[2 + i]]), int(p["rhs_dilation"][i])) + 1
        n, out = shape[axis], target[numbers.out_spec[2 + i]]
        if not runs_along_grid(labels[axis]):
            continue
        period = context.period(labels[axis])
        valid = base == 1 and low == high == 0 and _cuts(n, period, window, stride)
        valid = valid and context.may_grow(eqn.inputs[0], axis)
        if all(pads_inside(low, high, base)) and not valid:
            continue
        if base > 1:
            if _makes_laps(context, eqn.outputs[0]):
                return  # Flax's own circular transposed convolution: laps that are summed
            if stride > 1 or out != n * base:
                yield context.skipped(
                    place, eqn, f"a transposed convolution from {n} to {out} cells"
                )
                return
            high = window - 1 - low
        elif valid or (low, high) == _same(n, window, stride):
            low, high = (window - 1) // 2, window // 2
        pads[axis], bases[axis], grows = (low, high), base, grows or valid
    if pads:
        kind = "transposed convolution" if max(bases.values()) > 1 else "convolution"
        step = _convolve(pads, bases)
        # Flax's Conv takes no circular padding together with input_dilation
        typed = max(bases.values()) == 1 or eqn.site.callee == "conv_transpose"
        written = context.words.valid if grows else context.words.convolution
        repair = written if typed else WRAPPED
        what = f"no padding (VALID) of a {kind}" if grows else f"zero padding of a {kind}"
        yield context.change(place, eqn, what, repair, step, grows=grows)


def _cuts(n: int, period: int, window: int, stride: int) -> bool:
    """Whether a window without padding loses cells of a torus of that period which it would keep around the border.

    An axis that is longer than its period was wrapped before, and loses what was put there. A window over all that is
    left is a layer that reads the whole image.
    """
    return n <= period and period % stride == 0 and stride < window < n


def _same(n: int, window: int, stride: int) -> tuple[int, int]:
    """What `SAME` puts before and behind."""
    total = max((-(-n // stride) - 1) * stride + window - n, 0)
    return total // 2, total - total // 2


def _convolve(pads: Pads, bases: Mapping[int, int]) -> Step:
    def step(eqn: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        spatial = eqn.params["dimension_numbers"].lhs_spec[2:]
        padding, dilation = list(eqn.params["padding"]), list(eqn.params["lhs_dilation"])
        image = arrays[0]
        for i, axis in enumerate(spatial):
            if axis in pads:
                image = _apart(image, axis, bases[axis])
                padding[i], dilation[i] = (0, 0), 1
        params = {**eqn.params, "padding": tuple(padding), "lhs_dilation": tuple(dilation)}
        changed = dataclasses.replace(eqn, params=params)
        return apply(changed, [_wrapped(image, pads), *arrays[1:]])

    return step


def _apart(image: Any, axis: int, base: int) -> Any:
    """Zeros behind every cell of an axis, so that it is `base` times as long and still a torus."""
    if base == 1:
        return image
    config = [(0, base - 1, base - 1) if a == axis else (0, 0, 0) for a in range(image.ndim)]
    return lax.pad(image, jnp.zeros((), image.dtype), config)


def _wrapped(image: Any, pads: Pads) -> Any:
    """Wrap padding; negative numbers cut cells off."""
    for axis, (low, high) in pads.items():
        cut = slice(max(-low, 0), image.shape[axis] - max(-high, 0))
        image = image[(slice(None),) * axis + (cut,)]
    widths = [tuple(max(n, 0) for n in pads.get(a, (0, 0))) for a in range(image.ndim)]
    return jnp.pad(image, widths, mode="wrap")


def _window(context: _Context, place: Place, eqn: Equation, labels: Labels) -> Found:
    p, shape = eqn.params, context.shape(eqn.inputs[0])
    pads, grows = {}, False
    for axis, (low, high) in enumerate(p["padding"]):
        base = (p.get("base_dilation") or (1,) * len(labels))[axis]
        stride = p["window_strides"][axis]
        if not runs_along_grid(labels[axis]):
            continue
        period, dilation = context.period(labels[axis]), p.get("window_dilation")
        window = reach(p["window_dimensions"][axis], dilation[axis] if dilation else 1) + 1
        valid = base == 1 and low == high == 0 and _cuts(shape[axis], period, window, stride)
        valid = valid and context.may_grow(eqn.inputs[0], axis)
        if all(pads_inside(low, high, base)) and not valid:
            continue
        if valid:
            (low, high), grows = _same(period, window, stride), True
        if base > 1:
            yield context.skipped(place, eqn, "a pool over cells that were pulled apart")
            return
        pads[axis] = int(low), int(high)
    if pads:
        what = "no padding (VALID) of a pool" if grows else "padding of a pool"
        repair = context.words.pool(eqn.name) if grows else context.words.by_hand
        yield context.change(place, eqn, what, repair, _pool(pads), grows=grows)


def _pool(pads: Pads) -> Step:
    def step(eqn: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        padding = [(0, 0) if a in pads else pad for a, pad in enumerate(eqn.params["padding"])]
        changed = dataclasses.replace(eqn, params={**eqn.params, "padding": tuple(padding)})
        count = len(eqn.outputs)
        return apply(changed, [*(_wrapped(a, pads) for a in arrays[:count]), *arrays[count:]])

    return step


def _pad(context: _Context, place: Place, eqn: Equation, labels: Labels) -> Found:
    if _makes_laps(context, eqn.outputs[0]):
        return
    pads = {}
    for axis, (low, high, inner) in enumerate(eqn.params["padding_config"]):
        if not runs_along_grid(labels[axis]) or all(pads_inside(low, high, inner + 1)):
            continue
        if inner:
            yield context.skipped(place, eqn, "it pads and pulls cells apart at once")
            return
        pads[axis] = int(low), int(high)
    if pads:
        yield context.change(place, eqn, "constant padding", 'mode="wrap"', _repad(pads))


def _repad(pads: Pads) -> Step:
    def step(eqn: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        config = eqn.params["padding_config"]
        rest = [(0, 0, 0) if a in pads else entry for a, entry in enumerate(config)]
        changed = dataclasses.replace(eqn, params={**eqn.params, "padding_config": tuple(rest)})
        return [_wrapped(value, pads) for value in apply(changed, arrays)]

    return step


def _makes_laps(context: _Context, number: int) -> bool:
    """Whether a value is only split along some axis into laps and cells, and the laps summed, as Flax does."""
    users = context.users(number)
    if len(users) != 1 or number in context.program.outputs:
        return False
    (user,) = users
    if user.name == "pad":
        return _makes_laps(context, user.outputs[0])
    if user.name != "reshape":
        return False
    before, after = (context.program.avals[n].shape for n in (number, user.outputs[0]))
    (*_, summed) = [None, *context.users(user.outputs[0])]
    split = next((a for a, (m, n) in enumerate(zip(before, after, strict=False)) if m != n), 0)
    return (
        summed is not None
        and summed.name == "reduce_sum"
        and len(after) == len(before) + 1
        and tuple(summed.params["axes"]) == (split,)
    )


def _pieces(context: _Context, place: Place, eqn: Equation) -> Found:
    """A value between pieces of itself, or constants: found by running on the numbers of its cells."""
    avals, labels = context.program.avals, context.labels[eqn.outputs[0]]
    axis = int(eqn.params["dimension"])
    if not runs_along_grid(labels[axis]) or math.prod(avals[eqn.outputs[0]].shape) > MOST_CELLS:
        return
    core = _longest(context, eqn)
    root = _root(context, core)
    inner = avals[root].shape
    cells = {root: np.arange(math.prod(inner)).reshape(inner)}
    parts = [part for part in (_cells(context, o, cells) for o in eqn.inputs) if part is not None]
    if len(parts) < len(eqn.inputs):
        return
    found = np.concatenate(parts, axis)
    block, before = _block(found, cells[root]), _block(cells[core], cells[root])
    if block is None or before is None:
        return
    widths = [(s.start, m - s.stop) for m, s in zip(found.shape, block, strict=True)]
    pads = {a: pad for a, pad in enumerate(widths) if any(pad)}
    along = all(runs_along_grid(labels[a]) and max(pad) <= inner[a] for a, pad in pads.items())
    position = eqn.inputs.index(core)
    # what wraps its own operand is written so already, even if that one was padded before it
    if not along or np.array_equal(found, _around(cells[core], axis, position, parts)):
        return

    def step(_: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        # the longest part is the value itself, or what an earlier step made of it
        if arrays[position].shape != context.shape(core):
            raise ValueError("the pieces are counted in cells")
        return [_wrapped(arrays[position][before], pads)]

    what = "constant padding" if np.any(found < 0) else "padding by mirrored or repeated cells"
    yield context.change(place, eqn, what, 'mode="wrap"', step)


def _around(core: np.ndarray, axis: int, position: int, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The part at that position wrapped along an axis, by as many cells as the other parts have."""
    sizes = [part.shape[axis] for part in parts]
    widths = [(0, 0)] * core.ndim
    widths[axis] = sum(sizes[:position]), sum(sizes[position + 1 :])
    return np.pad(core, widths, mode="wrap")


def _block(found: np.ndarray, cells: np.ndarray) -> tuple[slice, ...] | None:
    """Where all cells stand in their order."""
    for start in np.argwhere(found == 0):
        block = tuple(slice(int(s), int(s) + n) for s, n in zip(start, cells.shape, strict=True))
        if np.array_equal(found[block], cells):
            return block
    return None


def _longest(context: _Context, eqn: Equation) -> int:
    """The longest part of a concatenation."""
    axis = int(eqn.params["dimension"])
    parts = [o for o in eqn.inputs if isinstance(o, int)]
    return max(parts, key=lambda n: context.program.avals[n].shape[axis])


def _root(context: _Context, number: int) -> int:
    """The value that pieces are taken of: the operand itself, or what an earlier padding was made of."""
    eqn = context.makers.get(number)
    if eqn is None or eqn.name != "concatenate":
        return number
    return _root(context, _longest(context, eqn))


def _cells(
    context: _Context, operand: int | Literal, cells: dict[int, np.ndarray]
) -> np.ndarray | None:
    """Which cell of the root stands where; -1 for a constant, None where it is no mere placing of cells."""
    if isinstance(operand, Literal):
        return np.full(np.shape(operand.value), -1)
    if operand in cells:
        return cells[operand]
    constant = context.program.constants.get(operand)
    if constant is not None:
        flat = np.size(constant) > 0 and np.all(np.asarray(constant) == np.ravel(constant)[0])
        return np.full(np.shape(constant), -1) if flat else None
    eqn = context.makers.get(operand)
    if eqn is None or eqn.name not in PLACES | {"rev"}:
        return None
    given = [_cells(context, o, cells) for o in eqn.inputs]
    if any(part is None for part in given) or eqn.name == "pad":
        return None
    made = apply(eqn, [jnp.asarray(part, jnp.int32) for part in given])
    cells.update(zip(eqn.outputs, map(np.asarray, made), strict=True))
    return cells[operand]


FINDERS: Mapping[str, Callable[[_Context, Place, Equation, Labels], Found]] = {
    "conv_general_dilated": _convolution,
    "pad": _pad,
    **dict.fromkeys(WINDOWS, _window),
}
"""By primitive, how its padding is found."""
