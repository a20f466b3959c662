"""D1, D2: parameters, counted on the real modules."""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from proofs.claims.audit import Audit, counted, filled, outputs
from proofs.claims.claim import Claim, Findings, Statement
from proofs.claims.models import parameters

IMAGE = (28, 28, 3)
FILTERS = 3


def convolution(
    window: int = 2, channels: int = 3, filters: int = FILTERS, *, bias: bool = True
) -> nnx.Conv:
    """A Flax convolution without padding."""
    return nnx.Conv(
        channels, filters, (window, window), padding="VALID", use_bias=bias, rngs=nnx.Rngs(0)
    )


def shapes(build: Callable[..., nnx.Module], *arguments: int) -> list[tuple[int, ...]]:
    """Shapes of the parameters of the module that `build` makes, without making its arrays."""
    module = nnx.eval_shape(lambda: build(*arguments))
    return sorted(leaf.shape for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


def count(build: Callable[..., nnx.Module], *arguments: int) -> int:
    """How many numbers they hold."""
    return sum(math.prod(shape) for shape in shapes(build, *arguments))


def dense(inputs: int, units: int) -> nnx.Linear:
    """A dense layer of Flax."""
    return nnx.Linear(inputs, units, rngs=nnx.Rngs(0))


def conv_formula(window: int, channels: int, filters: int) -> int:
    """`k² C F + F`."""
    return window**2 * channels * filters + filters


def dense_formula(inputs: int, units: int) -> int:
    """`(n + 1) H`."""
    return (inputs + 1) * units


def conv_shapes(window: int, channels: int, filters: int) -> list[tuple[int, ...]]:
    """A kernel of k × k × C × F and a bias of F."""
    return sorted([(window, window, channels, filters), (filters,)])


def dense_shapes(inputs: int, units: int) -> list[tuple[int, ...]]:
    """A kernel of n × H and a bias of H."""
    return sorted([(inputs, units), (units,)])


def agrees(build: Callable, case: tuple[int, ...], wanted: Callable, formula: Callable) -> bool:
    """Whether the module holds arrays of these shapes and as many numbers as the formula says."""
    return shapes(build, *case) == wanted(*case) and count(build, *case) == formula(*case)


def _example(audit: Audit) -> Findings:
    with_bias, without = parameters(convolution()), parameters(convolution(bias=False))
    inputs = int(np.prod(IMAGE))
    units = (1, 2, 7, 100)
    found = {h: count(dense, inputs, h) for h in units}
    shares = {total // h for h, total in found.items() if total % h == 0}
    rows = (
        ("nnx.Conv(3, 3, (2, 2))", str(with_bias)),
        ("nnx.Conv(3, 3, (2, 2), use_bias=False)", str(without)),
        *((f"nnx.Linear({inputs}, {h})", f"{total:,}") for h, total in found.items()),
    )
    bound = 3 if audit.quick else 5
    conv_cases = list(itertools.product(range(1, bound + 1), repeat=3))
    dense_cases = list(itertools.product((1, 2, 3, 16, 17), (1, 2, 5, 9)))
    conv_right = all(agrees(convolution, c, conv_shapes, conv_formula) for c in conv_cases)
    dense_right = all(agrees(dense, c, dense_shapes, dense_formula) for c in dense_cases)
    per_unit = shares.pop() if len(shares) == 1 else None
    text = (
        f"the modules hold {with_bias}, {without} and {per_unit} H numbers; H = 100: {found[100]:,}"
    )
    right = (with_bias, without, per_unit, found[100]) == (39, 36, 2353, 235_300)
    return Findings(
        (
            counted("example", right, text),
            counted(
                "formula",
                conv_right,
                f"{len(conv_cases)} modules nnx.Conv: a kernel of k × k × C × F, a bias of F",
            ),
            counted(
                "formula",
                dense_right,
                f"{len(dense_cases)} modules nnx.Linear: a kernel of n × H, a bias of H",
            ),
        ),
        tables=(("Parameters, from the modules themselves", ("module", "parameters"), rows),),
    )


def _growth(audit: Audit) -> Findings:
    sizes = (7, 14, 28, 56, 112, 224)
    conv = {size: run_on(size) for size in sizes}
    layers = {size: count(dense, 3 * size * size, 100) for size in sizes}
    flat = len(set(conv.values())) == 1
    grows = all(layers[2 * n] - 100 == 4 * (layers[n] - 100) for n in sizes[:-1])
    rows = tuple((f"{n}×{n}×3", str(conv[n]), f"{layers[n]:,}") for n in sizes)
    image = (14, 14, 3) if audit.quick else IMAGE
    equal, text = same_function(image)
    return Findings(
        (
            counted(
                "growth",
                flat,
                f"one nnx.Conv reads images from {sizes[0]} to {sizes[-1]} pixels with {conv[28]} numbers",
            ),
            counted("growth", grows, "nnx.Linear: weights grow fourfold where the side doubles"),
            counted("pair", equal, text),
        ),
        tables=(
            (
                "Parameters against the size of the image",
                ("image", "conv, 3 filters 2×2", "dense, 100 units"),
                rows,
            ),
        ),
    )


def run_on(size: int) -> int:
    """Parameters of the convolution, after it has read an image of that size."""
    layer = convolution()
    shape = nnx.eval_shape(lambda: layer(jnp.zeros((1, size, size, 3)))).shape
    if shape != (1, size - 1, size - 1, FILTERS):
        raise ValueError(f"the convolution gave {shape}")
    return parameters(layer)


def same_function(image: tuple[int, int, int]) -> tuple[bool, str]:
    """The convolution's own matrix in a dense layer computes the same numbers: all impulses and random integers."""
    layer = filled(convolution())
    inputs = int(np.prod(image))
    zero = outputs(layer, np.zeros((1, *image)))[0]
    impulses = np.eye(inputs, dtype=np.float32).reshape(-1, *image)
    matrix = np.concatenate([outputs(layer, part) - zero for part in np.array_split(impulses, 8)])
    matrix = matrix.reshape(inputs, -1)
    twin = nnx.Linear(*matrix.shape, rngs=nnx.Rngs(0))
    nnx.update(twin, {"kernel": jnp.asarray(matrix), "bias": jnp.asarray(zero.reshape(-1))})
    images = np.random.default_rng(0).integers(-8, 9, (16, *image)).astype(np.float32)
    images = np.concatenate([images, impulses[:: max(1, inputs // 64)]])
    expected = outputs(layer, images).reshape(len(images), -1)
    equal = np.array_equal(outputs(twin, images.reshape(len(images), -1)), expected)
    filled_in = int(np.count_nonzero(matrix))
    return equal, (
        f"the matrix of the convolution is {matrix.shape[0]} × {matrix.shape[1]}; of its {matrix.size:,} entries "
        f"{filled_in:,} are not zero, {len(np.unique(matrix[matrix != 0]))} of them different; "
        f"{len(images)} integer images "
        f"give {'the same numbers' if equal else 'other numbers'} in a dense layer of {parameters(twin):,} parameters, "
        f"exactly, against {parameters(layer)} in the convolution"
    )


D1 = Claim(
    "D1",
    "A 28×28×3 image: three 2×2×3 filters need 39 parameters (36 without bias); a dense layer of H units needs 2353 H "
    "(H = 100: 235,300).",
    (
        Statement(
            "example",
            "$2·2·3·3 + 3 = 39$, without bias 36; $(28·28·3 + 1) H = 2353 H$.",
            needs=frozenset({"count"}),
        ),
        Statement(
            "formula",
            "For all sizes: $k^2 C F + F$ for $F$ filters of $k×k×C$, and $(n + 1) H$ for $H$ units on $n$ inputs.",
            needs=frozenset({"count"}),
        ),
    ),
    _example,
)
D2 = Claim(
    "D2",
    "The parameters of a convolution do not grow with the image, those of a dense layer do.",
    (
        Statement(
            "growth",
            "$k^2 C F + F$ does not contain the size of the image; $(n + 1) H$ grows with every pixel.",
            needs=frozenset({"count"}),
            case="formulas",
        ),
        Statement(
            "pair",
            "A convolution and a dense layer that compute the same function, exactly: the dense one holds the "
            "convolution's matrix, for 28×28×3 and three 2×2 filters 2352 × 2187.",
            role="figure",
            needs=frozenset({"count"}),
            case="equal functions",
        ),
    ),
    _growth,
    "The two layers are the same function. What a convolution saves is not computing power but the freedom to be "
    "anything else.",
)
