"""A generator of random JAX programs: a few lines of source text over the primitives with all their parameters.

Strides, modes, fill values, dilations, update functions, machine integers that wrap, infinities, loops. Most lines are
such as keep a shift (rolls, wraps, circulant matrices); many are slightly wrong. The generator counts the binary digits
that hold a value exactly, so that a function with jumps (a comparison, a cast, an argmax) is only asked about values
that no arithmetic rounded, where the image has few digits.

Over 600 lines, because the steps are one list.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

GRIDS = ((4,), (5,), (6,), (6,), (8,), (9,), (2, 2), (2, 3), (4, 2), (3, 3), (4, 3), (1, 4))
IMAGE_BITS, EXACT_BITS, MAX_CELLS = 20, 50, 160
INTEGERS = ("int8", "uint8", "int16", "int32", "uint32")


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a program.

    Attributes:
        name: its variable.
        shape: batch included.
        dtype: as the user runs it.
        bits: how many binary digits hold it exactly, for images that have that property; None where it is rounded.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bits: int | None

    @property
    def floating(self) -> bool:
        return self.dtype in ("float32", "bfloat16")

    @property
    def integer(self) -> bool:
        return self.dtype in INTEGERS

    @property
    def real(self) -> bool:
        return self.floating or self.integer


@dataclasses.dataclass(frozen=True)
class Line:
    """`value = text`."""

    value: Value
    text: str


@dataclasses.dataclass(frozen=True)
class Program:
    """Source text with the shape of its image."""

    seed: int
    shape: tuple[int, ...]
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        head = f"# seed {self.seed}; sp.verify(f, {self.shape})\ndef f(x):"
        body = [f"    {line.value.name} = {line.text}" for line in self.lines]
        return "\n".join([head, *body, f"    return {self.output.name}"])

    @property
    def output(self) -> Value:
        return self.lines[-1].value

    def function(self, *, wide: bool = False, all_values: bool = False) -> Callable:
        """The function of a batch; its float types are 64 bits wide for the judge."""
        names = ", ".join(line.value.name for line in self.lines)
        body = [f"    {line.value.name} = {line.text}" for line in self.lines]
        end = f"    return ({names},)" if all_values else f"    return {self.output.name}"
        space = namespace(wide)
        exec("\n".join(["def f(x):", *body, end]), space)
        return space["f"]


def namespace(wide: bool) -> dict[str, Any]:
    """What the text of a line may name; BF rounds in the user's program, and must not in the judge's."""
    floats = jnp.float64 if wide else jnp.float32
    half = floats if wide else jnp.bfloat16
    return {"jax": jax, "jnp": jnp, "np": np, "lax": lax, "F": floats, "BF": half}


# --- the generator ---

Step = tuple[str, int | None]


class Grower:
    """A program that grows, line by line."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        grid = self.rng.choice(GRIDS)
        self.shape = (*grid, self.rng.choice((1, 1, 2)))
        self.values = [Value("x", (1, *self.shape), "float32", IMAGE_BITS)]
        self.lines: list[Line] = []

    def grow(self, length: int) -> Program:
        """A program of about so many lines."""
        if self.chance(0.4):
            for step in self.rng.choice(CHAINS):
                for _ in range(4):  # until the step finds an operand
                    if self.extend(step):
                        break
        for _ in range(40 * length):
            if len(self.lines) >= length:
                break
            whole_number = self.values[-1].integer and self.chance(0.6)
            self.extend(self.rng.choice(WHOLE_STEPS if whole_number else STEPS))
        if self.values[-1].integer and self.chance(0.5):
            self.extend(cast)
        if self.chance(0.5):
            self.extend(total)
        if not self.lines:
            self.extend(roll)
        return Program(self.seed, self.shape, needed(self.lines))

    def extend(self, step: Callable[["Grower"], Step | None]) -> bool:
        """One more line, where the step finds operands and JAX takes them; whether it did."""
        found = step(self)
        made = found and shape_of(found[0], self.values)
        if found is None or made is None:
            return False
        (text, bits), (shape, dtype) = found, made
        if not 0 < math.prod(shape) <= MAX_CELLS or len(shape) > 6:
            return False
        if dtype == "bool":
            bits = 1
        elif dtype in INTEGERS:
            bits = int(dtype.strip("uint"))
        elif bits is not None and bits > EXACT_BITS:
            bits = None
        value = Value(f"v{len(self.lines)}", shape, dtype, bits)
        self.lines.append(Line(value, text))
        self.values.append(value)
        return True

    def pick(self, accept: Callable[[Value], bool]) -> Value | None:
        """One of the last values that the step can take, mostly the very last."""
        fitting = [value for value in self.values if accept(value)]
        if not fitting:
            return None
        return fitting[-1] if self.chance(0.85) else self.rng.choice(fitting)

    def some(self) -> Value:
        return self.pick(lambda v: True) or self.values[0]

    def axis(self, value: Value) -> int:
        """An axis that is not the batch's, of more than one cell where there is one, mostly one of the first."""
        axes = [a for a in range(1, len(value.shape)) if value.shape[a] > 1]
        if not axes:
            return max(len(value.shape) - 1, 0)
        return self.rng.choice(axes[: len(self.shape) - 1] if self.chance(0.7) else axes)

    def two(self) -> tuple[Value, Value] | None:
        """Two values of one shape and type."""
        first = self.some()
        second = self.pick(lambda v: (v.shape, v.dtype) == (first.shape, first.dtype))
        return None if second is None else (first, second)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def table(self, n: int) -> list[int]:
        """Small whole numbers: all alike, periodic, or random."""
        kind = self.rng.random()
        period = 1 if kind < 0.2 else self.rng.choice([d for d in range(1, n + 1) if n % d == 0])
        if kind > 0.85:
            period = n
        numbers = [self.rng.randint(-3, 3) for _ in range(period)]
        return (numbers * n)[:n]

    def indices(self, n: int) -> list[int]:
        """Cells along an axis of n: a rotation, a reflection, a stride, doubled, random, or beyond the end."""
        start = self.rng.randrange(n)
        choices = [
            [(i + start) % n for i in range(n)],
            [(i + start) % n for i in range(n)],
            [(start - i) % n for i in range(n)],
            list(range(0, n, 2)),
            [i // 2 for i in range(2 * n)],
            list(range(n)) * 2,
            [self.rng.randrange(n) for _ in range(n)],
            [i + 1 for i in range(n)],
            [i - n for i in range(n)],
            [self.rng.randrange(-n, 2 * n) for _ in range(n)],
            [start],
        ]
        return self.rng.choice(choices)


def shape_of(text: str, values: Sequence[Value]) -> tuple[tuple[int, ...], str] | None:
    """Shape and type of a line, in the user's numbers; None where JAX refuses it there or in the judge's."""
    found = []
    for wide in (False, True):
        with jax.enable_x64(wide):
            structs = {
                v.name: jax.ShapeDtypeStruct(
                    v.shape, "float64" if wide and v.floating else _judged(v.dtype, wide)
                )
                for v in values
            }
            space = namespace(wide)
            try:
                made = jax.eval_shape(lambda s, space=space: eval(text, {**space, **s}), structs)
            except (TypeError, ValueError, IndexError, ZeroDivisionError, NotImplementedError):
                return None
            found.append((made.shape, str(made.dtype)))
    (shape, dtype), (wide_shape, wide_dtype) = found
    expected = {"float32": "float64", "bfloat16": "float64", "complex64": "complex128"}
    return (
        (shape, dtype) if (wide_shape, wide_dtype) == (shape, expected.get(dtype, dtype)) else None
    )


def _judged(dtype: str, wide: bool) -> str:
    return "complex128" if wide and dtype == "complex64" else dtype


def more(bits: int | None, extra: int) -> int | None:
    return None if bits is None else bits + extra


def greatest(*bits: int | None) -> int | None:
    return None if None in bits else max(b for b in bits if b is not None)


def index(axis: int, inner: object) -> str:
    return f"{':, ' * axis}{inner}"


def array(numbers: Sequence[float], dtype: str = "np.int32") -> str:
    return f"np.array({list(numbers)}, {dtype})"


# steps: moves


def roll(g: Grower) -> Step | None:
    v = g.some()
    axis = g.axis(v)
    return f"jnp.roll({v.name}, {g.rng.randint(-2, 3)}, {axis})", v.bits


def cut(g: Grower) -> Step | None:
    v = g.some()
    axis = g.axis(v)
    n = v.shape[axis] if v.shape else 0
    start, stop = g.rng.choice((0, 0, 0, 1)), n - g.rng.choice((0, 0, 0, 1))
    stride = g.rng.choice((1, 2, 2, 3))
    return f"lax.slice_in_dim({v.name}, {start}, {stop}, {stride}, {axis})", v.bits


def backwards(g: Grower) -> Step | None:
    v = g.some()
    axis = g.axis(v)
    if g.chance(0.5):
        return f"lax.rev({v.name}, ({axis},))", v.bits
    return f"{v.name}[{index(axis, g.rng.choice(('::-1', '::-2', '-1::-1', '1::2')))}]", v.bits


def take(g: Grower) -> Step | None:
    v = g.some()
    axis = g.axis(v)
    at = array(g.indices(v.shape[axis] if v.shape else 1))
    form = g.rng.random()
    if form < 0.3:
        return f"{v.name}[{index(axis, at)}]", v.bits
    if form < 0.5:
        return f"jnp.take({v.name}, {at}, {axis}, mode={g.rng.choice(('wrap', 'clip'))!r})", v.bits
    mode = g.rng.choice(("fill", "clip", "promise_in_bounds", "fill"))
    if mode == "promise_in_bounds" and v.shape:
        n = v.shape[axis]
        at = array([i % n for i in g.indices(n)])
    fill = 0 if v.dtype == "bool" or v.dtype.startswith("u") else g.rng.choice((0, 0, 1, -2))
    return f"{v.name}.at[{index(axis, at)}].get(mode={mode!r}, fill_value={fill})", v.bits


def scatter(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.real)
    if v is None:
        return None
    axis = g.axis(v)
    at = f"{v.name}.at[{index(axis, array(g.indices(v.shape[axis] if v.shape else 1)))}]"
    mode = g.rng.choice(("", "", ", mode='drop'", ", mode='clip'"))
    number = g.rng.choice((0, 1, 2, 5))
    form = g.rng.random()
    if form < 0.3:
        fn, extra = g.rng.choice(
            (("lambda t: t + 1", 1), ("lambda t: -t", 0), ("lambda t: t * t", v.bits or 0))
        )
        return f"{at}.apply({fn}{mode})", more(v.bits, extra)
    if form < 0.5:
        return f"{at}.add({number}{mode})", more(v.bits, 6)
    kind = g.rng.choice(("set", "min", "max", "multiply"))
    # a number is multiplied into a cell as often as its index is named
    return f"{at}.{kind}({number}{mode})", more(v.bits, 60 if kind == "multiply" else 3)


def scatter_values(g: Grower) -> Step | None:
    """A value scattered into zeros: onto itself turned, or with collisions that add up."""
    v = g.pick(lambda v: v.real)
    if v is None:
        return None
    axis = g.axis(v)
    n = v.shape[axis] if v.shape else 1
    at = [i for i in g.indices(n)][:n]
    if len(at) < n:
        return None
    kind = g.rng.choice(("add", "add", "max", "set"))
    if kind == "set" and len({i % n for i in at}) < n:  # which of several wins is not defined
        return None
    mode = g.rng.choice(("", ", mode='drop'"))
    return f"jnp.zeros_like({v.name}).at[{index(axis, array(at))}].{kind}({v.name}{mode})", more(
        v.bits, 4
    )


def pad(g: Grower) -> Step | None:
    v = g.some()
    if not v.shape:
        return None
    axis, rng = g.axis(v), g.rng
    if v.real and g.chance(0.5):
        width = [(0, 0)] * len(v.shape)
        width[axis] = (rng.choice((0, 1, 2)), rng.choice((0, 1, 2)))
        mode = rng.choice(("wrap", "wrap", "edge", "reflect"))
        return f"jnp.pad({v.name}, {width}, mode={mode!r})", v.bits
    config = [(0, 0, 0)] * len(v.shape)
    config[axis] = (rng.choice((0, 1, -1)), rng.choice((0, 1, -1)), rng.choice((0, 0, 1)))
    fills = ("0.0", "0.0", "-0.0", "1.0", "-np.inf", "np.inf") if v.floating else ("0", "1")
    return (
        f"lax.pad({v.name}, np.array({rng.choice(fills)}).astype({v.name}.dtype), {config})",
        v.bits,
    )


def join(g: Grower) -> Step | None:
    found = g.two()
    if found is None or not found[0].shape:
        return None
    v, w = found
    axis = g.axis(v)
    if g.chance(0.5):
        head, tail = (f"{v.name}[{index(axis, part)}]" for part in ("-1:", ":2"))
        return f"jnp.concatenate([{head}, {v.name}, {tail}], {axis})", v.bits
    return f"jnp.concatenate([{v.name}, {w.name}], {axis})", greatest(v.bits, w.bits)


def fold(g: Grower) -> Step | None:
    """Split an axis into two, or merge two, or change their order."""
    v = g.some()
    if len(v.shape) < 2:
        return None
    axis, shape = g.axis(v), list(v.shape)
    form = g.rng.random()
    if form < 0.5:
        n = shape[axis]
        part = g.rng.choice([d for d in range(1, n + 1) if n % d == 0])
        return f"{v.name}.reshape({(*shape[:axis], n // part, part, *shape[axis + 1 :])})", v.bits
    if form < 0.75 and axis + 1 < len(shape):
        merged = (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
        return f"{v.name}.reshape({merged})", v.bits
    other = g.axis(v)
    if other == axis:
        return None
    return f"jnp.swapaxes({v.name}, {axis}, {other})", v.bits


def repeat(g: Grower) -> Step | None:
    v = g.some()
    axis = g.axis(v)
    if g.chance(0.5):
        return f"jnp.repeat({v.name}, 2, {axis})", v.bits
    times = [1] * len(v.shape)
    if times:
        times[axis] = 2
    return f"jnp.tile({v.name}, {times})", v.bits


# steps: sums, products, windows


def add(g: Grower) -> Step | None:
    found = g.two()
    if found is None or found[0].dtype == "bool":
        return None
    v, w = found
    sign = g.rng.choice("+*" if v == w else "+-*")
    exact = v.bits is not None and w.bits is not None
    if sign == "*":
        product = v.bits + w.bits if exact else None  # type: ignore[operator]
        return f"{v.name} * {w.name}", product
    return f"{v.name} {sign} {w.name}", more(greatest(v.bits, w.bits), 1)


def neighbours(g: Grower) -> Step | None:
    """Cells of an axis in pairs, or each with the next one on the torus."""
    v = g.pick(lambda v: v.real and len(v.shape) > 1)
    if v is None:
        return None
    axis, name = g.axis(v), v.name
    sign = g.rng.choice("++-*")
    bits = None if v.bits is None else 2 * v.bits if sign == "*" else v.bits + 1
    if g.chance(0.4):
        return f"{name} {sign} jnp.roll({name}, 1, {axis})", bits
    first, second = (f"{name}[{index(axis, part)}]" for part in ("::2", "1::2"))
    return f"{first} {sign} {second}", bits


def with_table(g: Grower) -> Step | None:
    """A table of positions, mostly a periodic one."""
    v = g.pick(lambda v: v.real)
    if v is None or not v.shape:
        return None
    axis = g.axis(v)
    numbers: list[float] = [float(t) for t in g.table(v.shape[axis])]
    if v.floating and g.chance(0.2):
        numbers = [-0.0 if t == 0 else t for t in numbers]
    shape = [1] * len(v.shape)
    shape[axis] = -1
    table = f"np.array({numbers}).astype({v.name}.dtype).reshape({shape})"
    if v.dtype.startswith("u"):
        table = f"np.array({[abs(t) for t in numbers]}).astype({v.name}.dtype).reshape({shape})"
    sign = g.rng.choice("+*")
    return f"{v.name} {sign} {table}", more(v.bits, 3)


def reduce(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.real)
    if v is None or len(v.shape) < 2:
        return None
    axis, keep = g.axis(v), g.chance(0.4)
    kind = g.rng.choice(("sum", "sum", "max", "min", "prod", "mean"))
    bits = {"sum": more(v.bits, 4), "max": v.bits, "min": v.bits}.get(kind)
    if kind == "mean":
        return (f"jnp.mean({v.name}, {axis}, keepdims={keep})", None) if v.floating else None
    dtype = f", dtype={v.name}.dtype" if kind in ("sum", "prod") else ""
    return f"jnp.{kind}({v.name}, {axis}{dtype}, keepdims={keep})", bits


def total(g: Grower) -> Step | None:
    """All axes but the last of the last value: what a head does."""
    v = g.values[-1]
    axes = tuple(range(1, max(len(v.shape) - 1, 1)))
    if not v.real or len(v.shape) < 2:
        return None
    kind = g.rng.choice(("sum", "sum", "max", "mean" if v.floating else "min"))
    dtype = f", dtype={v.name}.dtype" if kind == "sum" else ""
    bits = {"sum": more(v.bits, 8), "max": v.bits, "min": v.bits}.get(kind)
    return f"jnp.{kind}({v.name}, {axes or 1}{dtype})", bits


def running(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.real)
    if v is None or len(v.shape) < 2:
        return None
    kind = g.rng.choice(("cumsum", "cummax", "cummin", "cumprod"))
    bits = {"cumsum": more(v.bits, 4), "cumprod": None}.get(kind, v.bits)
    return f"lax.{kind}({v.name}, {g.axis(v)}, reverse={g.chance(0.3)})", bits


def matrix(g: Grower) -> Step | None:
    """A constant matrix along an axis: circulant, block circulant, or random."""
    v = g.pick(lambda v: v.dtype in ("float32", "int32"))
    if v is None or len(v.shape) < 2:
        return None
    axis = g.axis(v)
    n = v.shape[axis]
    row = [g.rng.randint(-2, 2) for _ in range(n)]
    rows = [row[-i:] + row[:-i] for i in range(n)]
    if g.chance(0.3):
        rows = [[g.rng.randint(-2, 2) for _ in range(n)] for _ in range(n)]
    if g.chance(0.2):
        rows = [r[:1] for r in rows]
    text = f"np.array({rows}, np.int32).astype({v.name}.dtype)"
    return f"jnp.moveaxis(jnp.tensordot({v.name}, {text}, (({axis},), (0,))), -1, {axis})", more(
        v.bits, 6
    )


def convolve(g: Grower) -> Step | None:
    v, rng = g.pick(lambda v: v.dtype == "float32" and len(v.shape) in (3, 4)), g.rng
    if v is None:
        return None
    rank, channels = len(v.shape) - 2, v.shape[-1]
    letters = "HW"[-rank:]
    groups = channels if g.chance(0.3) else 1
    features = groups * rng.choice((1, 2))
    sizes = [min(rng.choice((1, 2, 3)), n) for n in v.shape[1:-1]]
    shape = (*sizes, channels // groups, features)
    taps = [rng.randint(-2, 2) for _ in range(math.prod(shape))]
    dilation = [rng.choice((1, 1, 2)) for _ in sizes]
    base = [rng.choice((1, 1, 1, 2)) for _ in sizes]
    strides = [rng.choice((1, 1, 2)) for _ in sizes]
    reach = [d * (k - 1) for d, k in zip(dilation, sizes, strict=True)]
    name = v.name
    if g.chance(0.7):
        name = f"jnp.pad({name}, {[(0, 0), *((r, 0) for r in reach), (0, 0)]}, mode='wrap')"
        padding: Any = "VALID"
    else:
        padding = [(rng.choice((0, 1)), rng.choice((0, 1, r))) for r in reach]
    kernel = f"np.array({taps}, np.int32).reshape({shape}).astype({v.name}.dtype)"
    return (
        f"lax.conv_general_dilated({name}, {kernel}, {strides}, {padding!r}, lhs_dilation={base}, "
        f"rhs_dilation={dilation}, dimension_numbers=('N{letters}C', '{letters}IO', 'N{letters}C'), "
        f"feature_group_count={groups})"
    ), more(v.bits, 7)


def convolve_batches(g: Grower) -> Step | None:
    """The grid as the batch of a convolution in groups of the batch."""
    v = g.pick(lambda v: v.dtype == "float32" and len(v.shape) == 3 and v.shape[1] % 2 == 0)
    if v is None:
        return None
    channels = v.shape[2]
    taps = [g.rng.randint(-2, 2) for _ in range(2 * channels)]
    kernel = f"np.array({taps}, np.int32).reshape(1, {channels}, 2).astype({v.name}.dtype)"
    return (
        f"lax.conv_general_dilated({v.name}, {kernel}, (1,), 'VALID', "
        f"dimension_numbers=('WNC', 'WIO', 'WNC'), batch_group_count=2)"
    ), more(v.bits, 4)


def window(g: Grower) -> Step | None:
    v, rng = g.pick(lambda v: v.dtype in ("float32", "int32", "int8")), g.rng
    if v is None or len(v.shape) < 2:
        return None
    axis = g.axis(v)
    ones = [1] * len(v.shape)
    sizes, strides, base, dilation = list(ones), list(ones), list(ones), list(ones)
    sizes[axis], strides[axis] = rng.choice((2, 2, 3)), rng.choice((1, 2, 2, 3))
    base[axis], dilation[axis] = rng.choice((1, 1, 1, 2)), rng.choice((1, 1, 1, 2))
    padding: list[tuple[int, int]] = [(0, 0)] * len(v.shape)
    name = v.name
    form = rng.random()
    if form < 0.3:
        width = [(0, 0)] * len(v.shape)
        width[axis] = (dilation[axis] * (sizes[axis] - 1), 0)
        name = f"jnp.pad({name}, {width}, mode='wrap')"
    elif form < 0.5:
        padding[axis] = (rng.choice((0, 1)), rng.choice((0, 1)))
    kind, start = rng.choice(
        (("add", "0"), ("add", "0"), ("max", "-np.inf"), ("min", "np.inf"), ("max", "0"), ("add", "1"), ("mul", "1"))
    )  # fmt: skip
    if v.integer and "inf" in start:
        limit = "min" if kind == "max" else "max"
        start = f"np.iinfo({v.name}.dtype).{limit}"
    bits = {"add": more(v.bits, 4), "mul": None}.get(kind, v.bits)
    return (
        f"lax.reduce_window({name}, np.array({start}).astype({v.name}.dtype), lax.{kind}, {sizes}, {strides}, "
        f"{padding}, base_dilation={base}, window_dilation={dilation})"
    ), bits


def gram(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "float32" and len(v.shape) == 3)
    if v is None:
        return None
    spec = g.rng.choice(("bic,bjc->bij", "bic,bjc->bi", "bic,bid->bcd", "bic,bjc->bjc"))
    return f"jnp.einsum({spec!r}, {v.name}, {v.name})", None if v.bits is None else 2 * v.bits + 4


# steps: order, choices, jumps: of exact values only


def exact(v: Value) -> bool:
    return v.real and v.bits is not None and len(v.shape) > 1


def order(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.real and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    form = g.rng.random()
    if form < 0.5:
        return f"lax.sort({v.name}, dimension={axis})", v.bits
    n = v.shape[-1]
    moved = v.name if form < 0.7 else f"jnp.swapaxes({v.name}, {axis}, -1)"
    size = n if form < 0.7 else v.shape[axis]
    return f"lax.top_k({moved}, {min(g.rng.choice((1, 2, 3)), size)})[0]", v.bits


def order_with(g: Grower) -> Step | None:
    """One value in the order of another; ties are told apart by position."""
    v = g.pick(exact)
    w = v and g.pick(lambda w: w.shape == v.shape and w.real)
    if v is None or w is None:
        return None
    return f"lax.sort(({v.name}, {w.name}), dimension={g.axis(v)}, num_keys=1)[1]", w.bits


def arg(g: Grower) -> Step | None:
    v = g.pick(exact)
    if v is None:
        return None
    kind = g.rng.choice(("argmax", "argmin"))
    return f"lax.{kind}({v.name}, {g.axis(v)}, np.int32)", 32


def turn_by_argmax(g: Grower) -> Step | None:
    """Turned so that the greatest comes first: which of several is told by position."""
    v = g.pick(exact)
    if v is None:
        return None
    axis = g.axis(v)
    others = tuple(a for a in range(len(v.shape)) if a != axis)
    return f"jnp.roll({v.name}, -jnp.argmax({v.name}.sum({others})), {axis})", v.bits


def choose(g: Grower) -> Step | None:
    found = g.two()
    if found is None or not (exact(found[0]) and exact(found[1])):
        return None
    v, w = found
    test = g.rng.choice(
        (
            f"{v.name} > {w.name}",
            f"{v.name} >= 1",
            f"{v.name} == {w.name}",
            f"jnp.sum({v.name}) > 0",
        )
    )
    other = g.rng.choice((w.name, f"-{w.name}", "0"))
    return f"jnp.where({test}, {v.name}, {other}).astype({v.name}.dtype)", greatest(v.bits, w.bits)


def masked(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.floating and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    mask = [t > 0 for t in g.table(v.shape[axis])]
    if len(set(mask)) == 1:
        mask[0] = not mask[0]
    shape = [1] * len(v.shape)
    shape[axis] = -1
    off = g.rng.choice(("-jnp.inf", "0.0", "-0.0", "7.0"))
    text = f"jnp.where(np.array({mask}).reshape({shape}), {v.name}, {off})"
    if off == "-jnp.inf" and g.chance(0.7):
        end = g.rng.choice((f"jnp.max({text}, {axis})", f"jax.nn.softmax({text}, {axis})"))
        return end, v.bits if "max(" in end and "soft" not in end else None
    return text, v.bits


def jump(g: Grower) -> Step | None:
    v = g.pick(lambda v: exact(v) and v.floating)
    if v is None:
        return None
    return g.rng.choice(
        (
            (f"jnp.sign({v.name})", 2),
            (f"jnp.floor({v.name} * 0.25)", more(v.bits, 2)),
            (f"jnp.round({v.name} * 0.5)", more(v.bits, 2)),
            (f"lax.rem({v.name}, jnp.full_like({v.name}, 3))", v.bits),
            (f"({v.name} > 1).astype(F)", 1),
            (f"({v.name} // 2)", more(v.bits, 2)),
        )
    )


BIG = "float(2**20)"
"""Added and taken away again: float32 loses digits between, the reals and float64 do not."""


def smooth(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.floating)
    if v is None:
        return None
    name = v.name
    return g.rng.choice(
        (
            (f"jax.nn.relu({name})", v.bits),
            (f"jax.nn.relu({name} - 2)", more(v.bits, 1)),
            (f"abs({name})", v.bits),
            (f"jnp.square({name})", None if v.bits is None else 2 * v.bits),
            (f"3 * {name} - 1", more(v.bits, 3)),
            (f"jnp.tanh({name})", None),
            (f"jnp.clip({name}, -2, 5)", v.bits),
            (f"jax.nn.silu({name})", None),
            (f"jnp.cos({name})", None),
            (f"{name}.astype(BF).astype(F)", v.bits),
            (f"{name} * 0.1", None),
            (f"jax.nn.relu({name} - 1000)", more(v.bits, 1)),
            (f"{name} + 1000.0", more(v.bits, 1)),
            (f"jnp.exp({name} * 0.25)", None),
            (f"({name} + {BIG}) - {BIG}", more(v.bits, 12)),
            (f"jax.jit(lambda t: t * 2 + 1)({name})", more(v.bits, 2)),
            (f"jax.checkpoint(lambda t: t * t)({name})", None if v.bits is None else 2 * v.bits),
        )
    )


def normalise(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.floating and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    text = f"({v.name} - jnp.mean({v.name}, {axis}, keepdims=True))"
    if g.chance(0.3):
        return f"jax.nn.softmax({v.name}, {axis})", None
    if g.chance(0.5):
        return text, None
    return f"{text} / jnp.sqrt(jnp.var({v.name}, {axis}, keepdims=True) + 1)", None


FUNCTIONS = (
    "jnp.arctan({})",
    "jnp.arcsinh({})",
    "jnp.arcsin(jnp.clip({}, -1, 1))",
    "jnp.arccosh(1 + abs({}))",
    "jnp.arctanh(jnp.tanh({}) * 0.5)",
    "jnp.arctan2({}, 2.0)",
    "jnp.arctan2(1.0, {})",
    "lax.erf({})",
    "lax.erfc({} * 0.25)",
    "lax.erf_inv(jnp.tanh({}) * 0.5)",
    "jnp.expm1({} * 0.125)",
    "jnp.exp2({} * 0.125)",
    "jnp.log(1 + abs({}))",
    "jnp.log1p(abs({}))",
    "jnp.log2(1 + abs({}))",
    "lax.rsqrt(1 + abs({}))",
    "jnp.cbrt({})",
    "jnp.sin({})",
    "jnp.sinh({} * 0.125)",
    "jnp.cosh({} * 0.125)",
    "jnp.power(1 + abs({}), 0.3)",
    "jnp.power(abs({}), 2)",
    "lax.lgamma(1 + abs({}))",
    "lax.digamma(1 + abs({}))",
    "lax.bessel_i1e({})",
    "lax.logistic({})",
    "1 / (1 + abs({}))",
    "((({} * 1e-30) * 1e-30) * 1e30) * 1e30",
    "({} + 1e20) - 1e20",
    "({} * 1e30) * 1e-30",
    "jnp.minimum({}, jnp.inf)",
    "jnp.where({} > 1e9, jnp.inf, {})",
    "jnp.logaddexp({} * 0.5, 0.0)",
)
"""Functions of cells, and detours by numbers that are large, small or infinite."""


def cellwise(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.floating)
    if v is None:
        return None
    text = g.rng.choice(FUNCTIONS)
    return text.replace("{}", v.name), None


def between(g: Grower) -> Step | None:
    """Numbers between two others, also where these are the wrong way round; powers; zeros of both signs."""
    v = g.pick(lambda v: v.floating)
    if v is None:
        return None
    low, high = g.rng.choice(((-2.0, 3.0), (3.0, -2.0), (0.0, 0.0), (-0.0, 7.0)))
    third = None if v.bits is None else 3 * v.bits
    return g.rng.choice(
        (
            (f"lax.clamp({low}, {v.name}, {high})", greatest(v.bits, 3)),
            (f"lax.integer_pow({v.name}, 3)", third),
            (f"{v.name} * -0.0", v.bits),
            (f"jnp.maximum({v.name}, -0.0)", v.bits),
            (f"jnp.ceil({v.name} * 0.5)", more(v.bits, 2)) if exact(v) else (v.name, v.bits),
        )
    )


def update(g: Grower) -> Step | None:
    """A block is read or written at a start that may lie beyond the end."""
    v = g.pick(lambda v: len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    n = v.shape[axis]
    size, start = g.rng.randint(1, n), g.rng.randint(-2, n + 1)
    block = f"lax.dynamic_slice_in_dim({v.name}, {g.rng.randint(-1, n)}, {size}, {axis})"
    if g.chance(0.5):
        return block, v.bits
    return f"lax.dynamic_update_slice_in_dim({v.name}, {block}, {start}, {axis})", v.bits


def order_by_two(g: Grower) -> Step | None:
    """Sorted by two keys, the second where the first ones tie."""
    v = g.pick(exact)
    w = v and g.pick(lambda w: w.shape == v.shape and exact(w))
    if v is None or w is None:
        return None
    stable = g.chance(0.5)
    text = f"lax.sort((jnp.sign({v.name}), {w.name}), dimension={g.axis(v)}, num_keys=2, is_stable={stable})"
    return f"{text}[1]", w.bits


# steps: types and machine integers


def cast(g: Grower) -> Step | None:
    v = g.some()
    if v.floating and v.bits is not None and v.bits <= 30:
        small = g.rng.choice(("int8", "int8", "uint8", "int16", "int32", "uint32"))
        return f"{v.name}.astype(jnp.int32).astype(jnp.{small})", 32
    if v.integer and g.chance(0.6):
        return f"{v.name}.astype(F)", v.bits
    if v.integer:
        return f"{v.name}.astype(jnp.{g.rng.choice(INTEGERS)})", 32
    if v.dtype == "bool":
        return f"{v.name}.astype({g.rng.choice(('F', 'jnp.int8', 'jnp.int32'))})", 1
    return None


def whole(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.integer)
    if v is None:
        return None
    name = v.name
    forms = [f"{name} * 37", f"{name} + 100", f"{name} * {name}", f"{name} << 2", f"{name} & 6", f"{name} % 4",
             f"{name} // 3", f"-{name}", f"abs({name})", f"{name} ^ 5", f"{name} >> 1", f"{name} > 3",
             f"lax.population_count({name})", f"jnp.maximum({name}, 3)", f"{name} != 0", f"~{name}", f"{name} | 9",
             f"lax.clz({name})", f"lax.integer_pow({name}, 3)", f"lax.rem({name}, {name} * 0 + 3)",
             f"lax.shift_right_logical({name}, {name} * 0 + 2)", f"{name} << 9", f"{name} // -2", f"{name} % -3",
             f"lax.clamp({name} * 0 + 1, {name}, {name} * 0 + 5)", f"jnp.sign({name})"]  # fmt: skip
    return g.rng.choice(forms), 32


def of_bools(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "bool" and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    turned = f"jnp.roll({v.name}, 1, {axis})"
    return g.rng.choice(
        (
            f"jnp.any({v.name}, {axis})",
            f"jnp.all({v.name}, {axis})",
            f"~{v.name}",
            f"{v.name} ^ {turned}",
            f"{v.name} & {turned}",
        )
    ), 1


# steps: spectra, loops, vmap, derivatives


def spectrum(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "float32" and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    kind = g.rng.choice(("fft", "rfft"))
    text = f"jnp.fft.{kind}({v.name}, axis={axis})"
    n = v.shape[axis]
    shape = [1] * len(v.shape)
    shape[axis] = -1
    numbers = g.table(n if kind == "fft" else n // 2 + 1)
    filtered = f"{text} * np.array({numbers}, np.int32).reshape({shape})"
    size = f"n={n}, " if kind == "rfft" else ""
    back = f"jnp.fft.i{kind}({filtered}, {size}axis={axis})"
    part = f"abs({text})[{index(axis, ':2')}]"
    return g.rng.choice((f"abs({text})", f"abs({filtered})", f"{back}.real", text, part)), None


def of_complex(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "complex64")
    if v is None:
        return None
    z = v.name
    return g.rng.choice(
        (f"abs({z})", f"{z}.real", f"{z}.imag", f"{z} * {z}.conj()", f"2 * {z}")
    ), None


def loop(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.real and len(v.shape) > 1)
    if v is None:
        return None
    name, axis = v.name, g.axis(v)
    along = f"jnp.moveaxis({name}, {axis}, 0)"
    start = f"jnp.zeros_like({along}[0])"
    forms: list[Step] = [
        (f"lax.scan(lambda c, t: (c + t, c), {start}, {along})[0]", more(v.bits, 4)),
        (f"lax.scan(lambda c, t: (c + t, c), {start}, {along})[1]", more(v.bits, 4)),
        (f"lax.scan(lambda c, t: (jnp.maximum(c, t), None), {start}, {along})[0]", v.bits),
        (f"lax.scan(lambda c, t: (t, t - c), {along}[-1], {along})[1]", more(v.bits, 1)),
        (f"lax.scan(lambda c, t: (2 * c + t, None), {start}, {along})[0]", more(v.bits, 14)),
        (f"lax.fori_loop(0, 3, lambda i, c: c + jnp.roll(c, 1, {axis}), {name})", more(v.bits, 4)),
        (f"lax.fori_loop(0, 2, lambda i, c: jnp.roll(c, i, {axis}) - {name}, {name})", more(v.bits, 3)),
        (f"lax.fori_loop(0, {v.shape[axis]}, lambda i, c: c + lax.dynamic_index_in_dim({name}, i, {axis}, False), "
         f"jnp.zeros_like({name}[{index(axis, 0)}]))", more(v.bits, 4)),
        (f"lax.associative_scan(jnp.add, {name}, axis={axis})", more(v.bits, 4)),
    ]  # fmt: skip
    if v.bits is not None:
        forms.append(
            (
                f"lax.cond(jnp.sum({name}) > 0, lambda t: t + 1, lambda t: -t, {name})",
                more(v.bits, 1),
            )
        )
        forms.append(
            (
                f"lax.cond({name}.ravel()[0] > 0, lambda t: t, lambda t: 2 * t, {name})",
                more(v.bits, 1),
            )
        )
    if v.integer:
        forms.append((f"lax.while_loop(lambda t: jnp.max(t) > 5, lambda t: t // 2, {name})", 32))
    return g.rng.choice(forms)


def mapped(g: Grower) -> Step | None:
    v = g.pick(lambda v: len(v.shape) > 2)
    if v is None:
        return None
    axis, name = g.axis(v), v.name
    n = v.shape[axis]
    size = g.rng.choice((1, 2, n))
    start = g.rng.choice((0, 1, n - 1))
    batch = g.rng.choice([a for a in range(len(v.shape)) if a != axis])
    inner = axis - (batch < axis)
    over = f"in_axes={batch}, out_axes={batch}"
    places = array([0] if g.chance(0.5) else list(range(n)))
    doubled = f"jnp.concatenate([{name}, {name}], {axis})"
    zeros = f"0 * lax.slice_in_dim(t, 0, {size}, 1, {inner})"
    forms = (
        f"jax.vmap(lambda t: lax.dynamic_slice_in_dim(t, {start}, {size}, {inner}), {over})({name})",
        f"jax.vmap(lambda t: jnp.roll(t, {start}, {inner}), {over})({name})",
        f"jax.vmap(lambda t: lax.dynamic_update_slice_in_dim(t, {zeros}, {start}, {inner}), {over})({name})",
        f"jax.vmap(lambda i: lax.dynamic_slice_in_dim({doubled}, i, {size}, {axis}))({places})",
        f"jax.vmap(lambda i: lax.dynamic_index_in_dim({name}, i, {axis}, False), out_axes={axis})"
        f"({array(g.indices(n))})",
    )
    return g.rng.choice(forms), v.bits


def derivative(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "float32" and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    bits = more(v.bits, 3)
    first, second = (f"lax.slice_in_dim(t, {a}, {b}, 1, {axis})" for a, b in ((1, None), (0, -1)))
    energy, extra = g.rng.choice(
        (
            (f"t * jnp.roll(t, 1, {axis})", bits),
            (f"{first} * {second}", bits),
            ("jnp.tanh(t)", None),
            (f"t[{index(axis, '::2')}] ** 2", bits),
        )
    )
    return f"jax.grad(lambda t: jnp.sum({energy}))({v.name})", extra


def to_float(g: Grower) -> Step | None:
    v = g.values[-1]
    return (f"{v.name}.astype(F)", v.bits) if v.integer or v.dtype == "bool" else None


def tenth(g: Grower) -> Step | None:
    v = g.values[-1]
    return (f"{v.name} * 0.1", None) if v.floating else None


def full_spectrum(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "float32" and len(v.shape) > 1)
    return None if v is None else (f"jnp.fft.fft({v.name}, axis={g.axis(v)})", None)


def spectrum_loop(g: Grower) -> Step | None:
    v = g.pick(lambda v: v.dtype == "complex64")
    if v is None:
        return None
    z = v.name
    forms = (
        f"lax.scan(lambda p, _: (-p, None), {z}, length=2)[0]",
        f"lax.fori_loop(0, 2, lambda i, p: 3 * p, {z})",
        f"lax.cond(True, lambda p: -p, lambda p: p, {z})",
        f"lax.scan(lambda p, _: (p.conj(), None), {z}, length=2)[0]",
    )
    return g.rng.choice(forms), None


def by_residue(g: Grower) -> Step | None:
    """Cells that meet others of their residue, or of their block."""
    v = g.pick(lambda v: v.floating and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    n = v.shape[axis]
    part = g.rng.choice([d for d in range(1, n + 1) if n % d == 0])
    split = f"{v.name}.reshape({(*v.shape[:axis], n // part, part, *v.shape[axis + 1 :])})"
    kind = g.rng.choice(("sum", "max"))
    met = f"{kind}({axis + g.rng.choice((0, 0, 1))}, keepdims=True)"
    bits = None if v.bits is None else 2 * v.bits + 4
    return f"({split} * {split}.{met}).reshape({v.shape})", bits


def wrapped_run(g: Grower) -> Step | None:
    """Wrapped, averaged by a window with zeros beyond the border, and cut, often by enough."""
    v = g.pick(lambda v: v.floating and len(v.shape) > 1)
    if v is None:
        return None
    axis = g.axis(v)
    width = [(0, 0)] * len(v.shape)
    margin = g.rng.choice((1, 1, 2))
    width[axis] = (margin, margin)
    size = [1] * len(v.shape)
    size[axis] = 3
    kind, start = g.rng.choice((("add", 0), ("max", "-np.inf"), ("max", 0)))
    wide = f"jnp.pad({v.name}, {width}, mode='wrap')"
    met = f"lax.reduce_window({wide}, np.array({start}).astype({v.name}.dtype), lax.{kind}, {size}, 1, 'SAME')"
    kept = g.rng.choice((margin, margin, margin - 1))
    return f"lax.slice_in_dim({met}, {kept}, {v.shape[axis] + kept}, 1, {axis})", more(v.bits, 2)


CHAINS = (
    (cast, neighbours, to_float, total),
    (cast, whole, neighbours, to_float, total),
    (cast, window, to_float, total),
    (cast, fold, reduce, to_float, total),
    (scatter, total),
    (scatter, smooth, scatter, total),
    (scatter_values, total),
    (jump, tenth, loop, total),
    (smooth, loop, total),
    (full_spectrum, spectrum_loop, of_complex, total),
    (full_spectrum, of_complex),
    (by_residue,),
    (by_residue, smooth, total),
    (wrapped_run, smooth, wrapped_run),
    (matrix, smooth, matrix),
    (window, convolve, total),
    (take, smooth, total),
    (mapped, reduce, total),
    (masked, reduce, total),
)
"""Steps that meet in this order in known faults."""

STEPS = (
    *(roll, cut, cut, backwards, take, take, scatter, scatter, scatter_values, pad, pad, join),
    *(fold, fold, repeat, add, add, add, with_table, with_table, reduce, reduce, running, matrix),
    *(convolve, convolve, convolve, convolve_batches, window, window, window, gram, order, order),
    *(order_with, arg, turn_by_argmax, choose, masked, masked, jump, smooth, smooth, smooth),
    *(
        normalise,
        cast,
        cast,
        cast,
        cast,
        cast,
        cast,
        whole,
        whole,
        of_bools,
        spectrum,
        of_complex,
        loop,
        loop,
    ),
    *(mapped, mapped, derivative, neighbours, neighbours),
    *(cellwise, cellwise, cellwise, between, between, update, update, order_by_two),
)
WHOLE_STEPS = (
    *(whole, whole, whole, add, add, neighbours, neighbours, neighbours, window, reduce, running),
    *(cast, cast, loop, matrix, scatter, with_table, order, choose, pad),
)
"""For a value of machine integers, so that they meet others before they are floats again."""


def random_program(seed: int, length: int | None = None) -> Program:
    """The program of a seed."""
    grower = Grower(seed)
    return grower.grow(length or grower.rng.choice((2, 3, 3, 4, 5, 6)))


def needed(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines on which the last depends."""
    wanted, kept = {lines[-1].value.name}, []
    for line in reversed(lines):
        if line.value.name in wanted:
            kept.append(line)
            wanted |= set(split_names(line.text))
    return tuple(reversed(kept))


def split_names(text: str) -> list[str]:
    """The text in pieces: runs of letters, digits and underscores, and what lies between."""
    return ["".join(run) for _, run in itertools.groupby(text, lambda c: c.isalnum() or c == "_")]
