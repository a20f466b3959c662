"""Layers: a convolution against dense layers, one layer at a time.

Three comparisons. The *question*: three 2x2x3 filters on a 28x28x3 image (39 parameters) against dense layers that
read the same image. The *equal function*: the same convolution and its own matrix, which give equal integers before
either is timed, so that what differs is weight sharing alone. The *sweeps*: over image size, channels, kernel, batch
and number format, forward and backward.

Arithmetic and bytes are counted by formula, and as the compiler counts them. What a program achieves is a share of its
*roof*: of the speed it would have if it computed as fast as a large matrix product, or read its bytes as fast as this
machine reads a block of that size, whichever is slower. A block that fits into a cache is read faster than one that
does not, so the roof is measured for blocks of many sizes.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Row, Rows, compile_program, interleaved, ratios
from shiftproof.sweeping.engine import free_memory
from shiftproof.terminal import Console
from shiftproof.tracing.settings import settings

Direction = Literal["forward", "backward"]
TURNS = 4
"""Inputs that take turns."""
ROUNDING = 1e-5
"""Of float32, in a convolution that is transformed."""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A VALID convolution of square images, and its own matrix.

    Attributes:
        size: height and width of the image, pixels.
        kernel: of the filters.
        channels: of the image, and
        filters: of the result.
        batch: images.
        dtype: of images and weights.
    """

    size: int = 28
    kernel: int = 2
    channels: int = 3
    filters: int = 3
    batch: int = 16
    dtype: str = "float32"

    @property
    def places(self) -> int:
        """Height and width of the result."""
        return self.size - self.kernel + 1

    @property
    def inputs(self) -> int:
        """Numbers of one image."""
        return self.size**2 * self.channels

    @property
    def outputs(self) -> int:
        """Numbers of one result."""
        return self.places**2 * self.filters

    @property
    def weights(self) -> int:
        """Parameters of the filters, with bias."""
        return (self.kernel**2 * self.channels + 1) * self.filters

    @property
    def multiplications(self) -> int:
        """Of one image."""
        return self.kernel**2 * self.channels * self.outputs

    def draw(self, seed: int, *, top: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Integers up to `top`: filters (k, k, channels, filters), bias (filters,), images (batch, n, n, channels)."""
        generator = np.random.default_rng(seed)
        filters = (self.kernel, self.kernel, self.channels, self.filters)
        images = (self.batch, self.size, self.size, self.channels)
        shapes = filters, (self.filters,), images
        return tuple(generator.integers(-top, top + 1, shape) for shape in shapes)

    def matrix(self, filters: np.ndarray) -> np.ndarray:
        """The filters as a matrix (inputs, outputs): each of them, once for every place."""
        shape = (self.size, self.size, self.channels, self.places, self.places, self.filters)
        matrix = np.zeros(shape, jnp.dtype(self.dtype))
        y, x = np.meshgrid(np.arange(self.places), np.arange(self.places), indexing="ij")
        for u in range(self.kernel):
            for v in range(self.kernel):
                matrix[y + u, x + v, :, y, x, :] = filters[u, v]
        return matrix.reshape(self.inputs, self.outputs)


def convolve(weights: Sequence[jax.Array], images: jax.Array) -> jax.Array:
    """(batch, places, places, filters)."""
    filters, bias = weights
    return bias + jax.lax.conv_general_dilated(
        images, filters, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def multiply(weights: Sequence[jax.Array], images: jax.Array) -> jax.Array:
    """(batch, outputs): a dense layer on the flattened images."""
    matrix, bias = weights
    return images.reshape(images.shape[0], -1) @ matrix + bias


def backward(layer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The gradients of half the sum of squares, for weights and images."""

    def half_squares(weights: Any, images: Any) -> Any:
        return 0.5 * jnp.sum(jnp.square(layer(weights, images).astype(jnp.float32)))

    return jax.grad(half_squares, (0, 1))


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer to be timed, with what it costs by formula."""

    name: str
    call: Callable[[Any, Any], Any]
    weights: tuple[np.ndarray, np.ndarray]
    multiplications: int

    def facts(self, images: np.ndarray, outputs: int, direction: Direction) -> dict[str, Any]:
        """Parameters, arithmetic and bytes of one call, by formula."""
        work = 2 * self.multiplications * len(images)
        parameters = sum(weight.size for weight in self.weights)
        read = parameters + images.size
        # backward: the forward pass, and one product of the same size for each of the two gradients, which are as
        # large as what is read
        written = read if direction == "backward" else outputs * len(images)
        return {
            "parameters": parameters,
            "flops": work * (3 if direction == "backward" else 1),
            "bytes": images.itemsize * (read + written),
        }


# --- cases ---


QUESTION = Convolution()
HIDDEN = (10, 128, QUESTION.outputs)
"""Outputs of the dense layers that read the image of the question."""


def sweeps(*, quick: bool) -> Iterator[tuple[str, Convolution, Sequence[Direction]]]:
    """What is varied, one thing at a time."""
    both: tuple[Direction, ...] = ("forward", "backward")
    base = Convolution()
    for size in (8, 14, 28) if quick else (4, 6, 8, 11, 14, 20, 28, 40, 56, 80, 112, 160, 224):
        yield "size", dataclasses.replace(base, size=size), both if size <= 28 else both[:1]
    for channels in (3, 16) if quick else (1, 3, 8, 16, 32):
        varied = dataclasses.replace(base, size=14, channels=channels, filters=channels)
        yield "channels", varied, both
    for kernel in (2, 5) if quick else (1, 2, 3, 5, 7, 9):
        yield "kernel", dataclasses.replace(base, size=14, kernel=kernel), both
    for batch in (1, 16) if quick else (1, 4, 16, 64, 256, 4096):
        yield "batch", dataclasses.replace(base, batch=batch), both
    for dtype in ("float32", "bfloat16"):
        yield "dtype", dataclasses.replace(base, dtype=dtype), both[:1]


def needed_bytes(case: Convolution, direction: Direction) -> int:
    """Memory of the matrix, and of its gradient."""
    size = case.inputs * case.outputs * jnp.dtype(case.dtype).itemsize
    return size * (3 if direction == "backward" else 1)


LARGEST = 16 * 2**30
"""Bytes of a matrix that is still made; larger ones take longer to make than to measure."""


def too_large(case: Convolution, direction: Direction = "forward") -> str:
    """Why the matrix of a convolution is left out; "" where it fits."""
    allowed = min(free_memory(jax.local_devices()[0]) // 2, LARGEST)
    needed = needed_bytes(case, direction)
    if needed <= allowed:
        return ""
    return (
        f"size {case.size}, {direction}: the matrix of the convolution has {case.inputs:,} x {case.outputs:,} entries, "
        f"{needed / 2**30:.1f} GiB in all, and {allowed / 2**30:.1f} GiB may be used. The filters have {case.weights}."
    )


# --- measurements ---


def run(path: Path, *, repeats: int, quick: bool, until: float, sizes: Sequence[int] = ()) -> None:
    """Measure every case, append the rows to `path`, print a table.

    Raises:
        ValueError: a size asked for does not fit into the memory, or is smaller than the kernel.
    """
    for size in sizes:
        if size < 2 or (reason := too_large(dataclasses.replace(QUESTION, size=size))):
            raise ValueError(reason if size >= 2 else f"size {size} is smaller than the kernel, 2.")
    rows, console = Rows(path, part="layers", until=until, quick=quick), Console()
    with settings("float32"):
        measure_roof(rows, repeats=repeats, quick=quick)
        _question(rows, repeats=repeats)
        cases = (
            [("size", dataclasses.replace(QUESTION, size=n), ("forward",)) for n in sizes]
            if sizes
            else sweeps(quick=quick)
        )
        for varied, case, directions in rows.in_time(cases):
            for direction in directions:
                if reason := too_large(case, direction):
                    console.print(f"left out: {reason}", highlight=False)
                    continue
                _equal_function(rows, varied, case, direction, repeats=repeats)
        # once more: a busy machine is slow at times
        measure_roof(rows, repeats=repeats, quick=quick)
    rows.show(console, units=("ratio", "FLOP/s", "B/s"))


BLOCKS = tuple(2**k for k in range(16, 29, 2))
"""Bytes of the blocks that are read, 64 KiB to 256 MiB: of every cache, and of the memory."""
LARGE_BLOCKS = tuple(2**k for k in range(20, 33, 2))
"""The same on an accelerator, up to 4 GiB: small ones take no longer than a start."""


def measure_roof(rows: Rows, *, repeats: int, quick: bool) -> None:
    """Record the operations per second of a large product, and the bytes per second of reading blocks.

    A block is read by a sum and by a product with a vector; each sample is of the faster one.
    """
    large = rows.machine.platform != "cpu"
    n = 1024 if quick else 8192 if large else 2048
    facts = {"precision": rows.machine.matmul_precision}
    for dtype in ("float32", "bfloat16"):
        ones = [[jnp.full((n, n), i, dtype)] * 2 for i in range(2)]
        product = compile_program(jnp.matmul, ones)
        seconds = interleaved({"product": product.run}, repeats=repeats)["product"]
        rates = [2 * n**3 / s for s in seconds]
        rows.add(
            f"roof, {dtype}", "matrix product", rates, unit="FLOP/s", size=n, dtype=dtype, **facts
        )
    for size in LARGE_BLOCKS if large else BLOCKS:
        side = math.isqrt(size // 4)
        block = jnp.ones((side, side), jnp.float32)
        inputs = [(block, jnp.full(side, i, jnp.float32)) for i in range(2)]
        ways = {
            "sum": compile_program(lambda block, x: jnp.sum(block) + x[0], inputs),
            "product": compile_program(lambda block, x: block @ x, inputs),
        }
        seconds = interleaved({name: way.run for name, way in ways.items()}, repeats=repeats)
        rates = [size / min(pair) for pair in zip(*seconds.values(), strict=True)]
        name = f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"
        rows.add("roof", f"reading {name}", rates, unit="B/s", bytes=size, **facts)


@dataclasses.dataclass(frozen=True)
class Roof:
    """What one machine reaches at most.

    Attributes:
        products: by dtype, operations per second of a matrix product.
        reading: by bytes of a block, bytes per second of reading it.
    """

    products: dict[str, float]
    reading: dict[int, float]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Roof":
        """The best samples of the rows that `measure_roof` made."""
        products: dict[str, float] = {}
        reading: dict[int, float] = {}
        for row in rows:
            match row.facts:
                case {"bytes": int(size)} if row.case == "roof":
                    reading[size] = max([reading.get(size, 0), *row.samples])
                case {"dtype": str(dtype)} if row.case == f"roof, {dtype}":
                    products[dtype] = max([products.get(dtype, 0), *row.samples])
        return cls(products, reading)

    def bandwidth(self, size: float) -> float:
        """Bytes per second at which so many bytes can be read, at most.

        A smaller block is never read more slowly than a larger one, so that this is the best of all blocks but those
        that are smaller than the next one below `size`: they may lie in a cache into which `size` does not fit.
        """
        below = max([block for block in self.reading if block <= size], default=0)
        return max(rate for block, rate in self.reading.items() if block >= below)

    def least_seconds(self, row: Row) -> float | None:
        """The seconds that the roof allows for a layer's pass; None where no roof was measured for it."""
        match row.facts:
            case {"dtype": str(dtype), "flops": int(work), "bytes": int(size)} if (
                self.reading and dtype in self.products
            ):
                return max(work / self.products[dtype], size / self.bandwidth(size))
        return None


def _question(rows: Rows, *, repeats: int) -> None:
    """The filters of the question against dense layers that read the same image."""
    case = QUESTION
    filters, bias, images = case.draw(0)
    layers = [Layer("convolution", convolve, (filters, bias), case.multiplications)]
    for hidden in HIDDEN:
        dense = np.random.default_rng(1).integers(-4, 5, (case.inputs, hidden))
        weights = dense, np.zeros(hidden, int)
        layers.append(Layer(f"dense {case.inputs} -> {hidden}", multiply, weights, dense.size))
    outputs = [case.outputs, *HIDDEN]
    for direction in ("forward", "backward"):
        _compare(rows, f"question, {direction}", layers, outputs, case, images, direction, repeats)


def _equal_function(
    rows: Rows, varied: str, case: Convolution, direction: Direction, *, repeats: int
) -> None:
    """A convolution and its matrix: equal integers first, then time."""
    convolution, matrix, images = equal_pair(case)
    layers = [
        Layer("convolution", convolve, convolution, case.multiplications),
        Layer("its matrix", multiply, matrix, matrix[0].size),
    ]
    name = f"equal function, {varied} {getattr(case, varied)}, {direction}"
    _compare(rows, name, layers, [case.outputs] * 2, case, images, direction, repeats)


Weights = tuple[np.ndarray, np.ndarray]


def equal_pair(case: Convolution) -> tuple[Weights, Weights, np.ndarray]:
    """Weights of a convolution and of its matrix, and images, all integers, on which the two give the same bits.

    An accelerator's library may transform a convolution, and round: a difference of `ROUNDING` of the largest value is
    let pass there.

    Raises:
        ArithmeticError: they differ, so that there is nothing to compare in time.
    """
    top = 1 if case.dtype == "bfloat16" else 4
    filters, bias, images = case.draw(0, top=top)
    largest = case.kernel**2 * case.channels * top**2 + top
    if largest > 2 ** (jnp.finfo(case.dtype).nmant + 1):
        raise ArithmeticError(f"{case}: sums up to {largest} are rounded in {case.dtype}.")
    convolution, matrix = (filters, bias), (case.matrix(filters), np.tile(bias, case.places**2))
    x = jnp.asarray(images, case.dtype)
    left, right = (
        np.asarray(jax.jit(layer)([jnp.asarray(w, case.dtype) for w in weights], x))
        for layer, weights in ((convolve, convolution), (multiply, matrix))
    )
    gap = np.max(np.abs(left.reshape(case.batch, -1) - right).astype(np.float64))
    allowed = 0 if jax.local_devices()[0].platform == "cpu" else ROUNDING * largest
    if gap > allowed:
        raise ArithmeticError(f"{case}: the convolution and its matrix differ on integers.")
    return convolution, matrix, images


def _compare(
    rows: Rows,
    name: str,
    layers: Sequence[Layer],
    outputs: Sequence[int],
    case: Convolution,
    images: np.ndarray,
    direction: Direction,
    repeats: int,
) -> None:
    """Time some layers in turn, and the ratio of each to the first."""
    turns = [jnp.asarray(np.roll(images, i, 1), case.dtype) for i in range(TURNS)]
    programs, facts = {}, {}
    for layer, count in zip(layers, outputs, strict=True):
        call = layer.call if direction == "forward" else backward(layer.call)
        weights = [jnp.asarray(weight, case.dtype) for weight in layer.weights]
        programs[layer.name] = compile_program(call, [(weights, x) for x in turns])
        facts[layer.name] = {
            **dataclasses.asdict(case),
            "direction": direction,
            "precision": rows.machine.matmul_precision,
            "seed": 0,
            **layer.facts(np.asarray(turns[0]), count, direction),
            **programs[layer.name].facts,
        }
    seconds = interleaved({n: p.run for n, p in programs.items()}, repeats=repeats)
    first = layers[0].name
    for layer in layers:
        samples, known = seconds[layer.name], facts[layer.name]
        known["images_per_second"] = case.batch / float(np.median(samples))
        rows.add(name, layer.name, samples, unit="s", **known)
        if layer.name != first:
            ratio = ratios(samples, seconds[first])
            rows.add(name, f"{layer.name} / {first}", ratio, unit="ratio", **_small(known))


def _small(facts: dict[str, Any]) -> dict[str, Any]:
    """What of the facts belongs to a ratio as well."""
    fields = [field.name for field in dataclasses.fields(Convolution)]
    return {key: facts[key] for key in (*fields, "direction")}


def exponent(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The b of values = a sizes^b, fitted to the logarithms, and its standard error; NaN for fewer than three points.

    >>> exponent([1, 2, 4, 8], [3, 12, 48, 192])
    (2.0, 0.0)
    """
    x, y = np.log(sizes), np.log(values)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    freedom = len(x) - 2
    error = math.sqrt(float(rest @ rest) / freedom / float(x @ x)) if freedom > 0 else math.nan
    return round(slope, 12), round(error, 12)
