"""The brute force that verdicts are held against: a model run on many images, under every shift, and nothing else.

It knows JAX, NumPy and `np.roll`, and nothing of shiftproof but its three words. What fails on one image fails. What
holds on all of them is taken for true: the images are of many kinds, since machine integers wrap only on large
numbers and ties happen only among small ones. A finite number of images proves nothing, so a table that is judged
here states how many shifts are true, too.
"""

import dataclasses
import functools
import itertools
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

import shiftproof as sp
from shiftproof.errors import ShiftproofError, ShiftproofWarning

Shift = tuple[int, ...]

SMALL = 1e-2
"""Outputs below that are what rounding leaves where terms cancel: no part of them is told apart."""


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A program and the right value of one property.

    Attributes:
        name: unique.
        build: makes the model, in the form in which a user passes it.
        shape: of one image.
        property: `invariance` or `equivariance`: the one whose shifts are counted; none where only an error is right.
        proved: how many shifts must be proved; None where any number of the true ones will do.
        refuted: how many must be refuted at least; all that are false where None.
        true: how many are true; as many as must be proved where None.
        leaf: the output that is counted.
        weights: `all` or `these`; as `verify` takes it by default where None.
        axes: grid axes of the batched output, where they are not the first ones after the batch.
        options: further arguments of `verify`.
        reals: makes a program of the same meaning over the reals that floats compute well, where `build` does not.
        dtype: in which the model is run by brute force.
        tolerance: how far apart equal numbers may be, relative to the largest.
        pictures: further images, where none of the usual kinds tells.
        note: words that a note of the verdict must hold.
        refusal: words of an error that is right, too; an error is the only right answer where nothing is counted.
    """

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...]
    property: str
    proved: int | None
    refuted: int | None = None
    true: int | None = None
    leaf: int = 0
    weights: str | None = None
    axes: tuple[int, ...] | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reals: Callable[[], Any] | None = None
    dtype: str = "float32"
    tolerance: float = 2e-4
    pictures: tuple[Any, ...] = ()
    note: str = ""
    refusal: str = ""

    @property
    def grid_axes(self) -> tuple[int, ...]:
        """Grid axes of one image."""
        return tuple(self.options.get("spatial_axes", range(len(self.shape) - 1)))

    @property
    def total(self) -> int:
        """How many shifts there are."""
        return math.prod(self.shape[axis] for axis in self.grid_axes)


@dataclasses.dataclass(frozen=True)
class Truth:
    """Which shifts hold on all images that were run, by output: masks of the shape of the grid."""

    invariance: np.ndarray
    equivariance: np.ndarray
    images: int


def images(shape: Sequence[int], seed: int = 0) -> list[np.ndarray]:
    """Images of many kinds: dense, sparse, tied, small and large, whole and broken numbers."""
    rng = np.random.default_rng(seed)
    dot = np.zeros(shape)
    dot.flat[rng.integers(dot.size)] = 5
    return [
        rng.normal(size=shape),
        rng.normal(size=shape),
        3 * rng.normal(size=shape),
        rng.integers(-9, 10, shape),
        rng.integers(-3, 4, shape) / 4,
        rng.integers(-128, 128, shape),
        rng.integers(0, 100, shape),
        rng.integers(-(2**30), 2**30, shape),
        3000 * rng.normal(size=shape),
        abs(rng.normal(size=shape)) + 0.1,
        rng.integers(-9, 10, shape) * (rng.random(shape) < 0.3),
        dot,
    ]


def calls(model: Any, *, weights: str = "all", draws: int = 3) -> list[Callable]:
    """The model as functions of a batch: with its own weights, or with several random ones."""
    if isinstance(model, nnx.Module):
        model.eval()
        if weights == "these":
            return [model]  # type: ignore[list-item]
        graph, state = nnx.split(model)
        return [nnx.merge(graph, _drawn(state, seed)) for seed in range(draws)]  # type: ignore[list-item]
    if isinstance(model, tuple):
        module, variables = model
        drawn = [variables] if weights == "these" else [_drawn(variables, s) for s in range(draws)]
        return [functools.partial(module.apply, v) for v in drawn]
    return [model]


def _drawn(tree: Any, seed: int) -> Any:
    """Random numbers in place of all floating arrays; positive where they are variances."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> Any:
        if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact):
            return leaf
        new = rng.normal(size=leaf.shape)
        if jax.numpy.issubdtype(leaf.dtype, jax.numpy.complexfloating):
            new = new + 1j * rng.normal(size=leaf.shape)
        elif "var" in jax.tree_util.keystr(path):
            new = abs(new) + 0.5
        return jax.numpy.asarray(new, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, tree)


def orbit(
    call: Callable, image: np.ndarray, axes: Sequence[int], shifts: Sequence[Shift]
) -> list[np.ndarray]:
    """Each output leaf of the image under these shifts: (shift, *output), real or complex."""
    found = []
    for shift in shifts:
        out = call(np.roll(image, shift, axes)[None])
        found.append([np.asarray(leaf) for leaf in jax.tree.leaves(out)])
    return [wide(np.stack(leaf)) for leaf in zip(*found, strict=True)]


def wide(values: np.ndarray) -> np.ndarray:
    """The numbers in 64 bits, or twice 64."""
    return values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)


def differ(a: np.ndarray, b: np.ndarray, tolerance: float) -> np.ndarray:
    """Which rows differ by more than the tolerance anywhere; an infinity equals itself only."""
    with np.errstate(invalid="ignore"):
        near = (a == b) | (abs(a - b) <= tolerance)
    return ~near.reshape(*near.shape[:2], -1).all(-1)


def rolls(still: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """All rolls of an output along its axes: (roll, *output)."""
    steps = itertools.product(*(range(still.shape[axis]) for axis in axes))
    return np.stack([np.roll(still, step, axes) for step in steps])


def matches(
    values: np.ndarray, axes: Sequence[int] | None, tolerance: float, *, infinite: bool = False
) -> np.ndarray | None:
    """Which output roll explains which shift on one image: (shift, roll); None where the image judges nothing.

    Args:
        values: the output under each shift, shift 0 first.
        axes: along which the output may roll; None for no roll.
        tolerance: relative to the largest number.
        infinite: whether infinities are meant; otherwise something overflowed, and floats say nothing of the reals.
    """
    finite = values[np.isfinite(values)]
    broken = np.isnan(values).any() if infinite else finite.size < values.size
    if broken or not finite.size:
        return None
    candidates = rolls(values[0], axes) if axes else values[:1]
    loose = tolerance * max(float(abs(finite).max()), SMALL)
    return ~differ(values[:, None], candidates[None], loose)


def truths(
    functions: Sequence[Callable],
    pictures: Sequence[np.ndarray],
    axes: Sequence[int],
    outputs: Sequence[Sequence[int] | None],
    *,
    dtype: str = "float32",
    tolerance: float = 2e-4,
    infinite: bool = False,
) -> list[Truth]:
    """For each output leaf the shifts that hold on all pictures, for all functions.

    Args:
        functions: of a batch of one image.
        pictures: single images.
        axes: grid axes of one image.
        outputs: for each leaf the axes along which it may roll.
        dtype: float32 runs as the user does, float64 with 64-bit types enabled.
        tolerance: relative to the largest number of an output.
        infinite: whether infinities are meant.
    """
    grid = [pictures[0].shape[axis] for axis in axes]
    shifts = list(np.ndindex(*grid))
    still = [np.ones(len(shifts), bool) for _ in outputs]
    moved: list[Any] = [True for _ in outputs]
    used = [0 for _ in outputs]
    with jax.enable_x64(dtype == "float64"):
        for function in functions:
            compiled = jax.jit(lambda x, function=function: function(x))
            for picture in pictures:
                leaves = orbit(compiled, picture.astype(dtype), axes, shifts)
                for i, (leaf, roll) in enumerate(zip(leaves, outputs, strict=True)):
                    same = matches(leaf, None, tolerance, infinite=infinite)
                    rolled = matches(leaf, roll, tolerance, infinite=infinite)
                    if same is None or rolled is None:
                        continue
                    used[i] += 1
                    still[i] &= same[:, 0]
                    moved[i] = moved[i] & rolled
    return [
        Truth(s.reshape(grid), np.asarray(m).any(-1).reshape(grid), n)
        for s, m, n in zip(still, moved, used, strict=True)
    ]


@functools.cache
def truth(case: Case) -> Truth:
    """What brute force says of the counted output of a case."""
    functions = calls((case.reals or case.build)(), weights=case.weights or "all")
    axes = case.axes or tuple(range(1, 1 + len(case.grid_axes)))
    pictures = [*images(case.shape), *(np.reshape(p, case.shape) for p in case.pictures)]
    with jax.enable_x64(case.dtype == "float64"):
        made = jax.eval_shape(functions[0], pictures[0].astype(case.dtype)[None])
    outputs = [axes if leaf.ndim > max(axes) else None for leaf in jax.tree.leaves(made)]
    options = {"dtype": case.dtype, "tolerance": case.tolerance}
    return truths(functions, pictures, case.grid_axes, outputs, **options)[case.leaf]


def assert_right_value(case: Case) -> None:
    """The number in the table is what brute force finds, on enough images to mean something."""
    if not case.property:
        return
    found = truth(case)
    expected = case.proved if case.true is None else case.true
    assert found.images >= 4
    assert int(getattr(found, case.property).sum()) == expected


def verdict(case: Case) -> Any:
    """What shiftproof says, warnings aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShiftproofWarning)
        options = {"weights": case.weights, **case.options}
        return sp.verify(case.build(), case.shape, **options)


def words(found: Any, word: str) -> np.ndarray:
    """The shifts that have that word."""
    return found.map == getattr(sp.Word, word)


def assert_sound(found: Any, holds: np.ndarray, name: str) -> None:
    """No proved shift fails, and no refuted one holds."""
    false = [tuple(map(int, s)) for s in np.argwhere(words(found, "PROVED") & ~holds)]
    assert not false, f"{name} proved though false: {false}"
    true = [tuple(map(int, s)) for s in np.argwhere(words(found, "REFUTED") & holds)]
    assert not true, f"{name} refuted though true: {true}"


def assert_decided(case: Case) -> Any:
    """The verdict is sound on both properties, and decides as many shifts as it should of the one that is counted.

    Gives the verdict; None where an error is right.
    """
    try:
        answer = verdict(case)
    except ShiftproofError as error:
        if case.refusal and re.search(case.refusal, str(error)):
            return None
        raise
    assert case.property, f"not refused: {answer}"
    right = truth(case)
    output = answer.outputs[case.leaf]
    for name in ("equivariance", "invariance"):
        found = getattr(output, name)
        if found is not None:
            assert_sound(found, getattr(right, name), name)
    found = getattr(output, case.property)
    assert found is not None, f"{case.property} was not asked; notes: {answer.notes}"
    true = int(getattr(right, case.property).sum())
    least = case.total - true if case.refuted is None else case.refuted
    told = (
        f"proved {found.proved}, refuted {found.refuted_text}, undecided {found.undecided}; "
        f"{list(found.reasons.values())[:2]}"
    )
    assert case.proved is None or found.proved == case.proved, told
    assert found.refuted + found.refuted_numerically >= least, told
    assert case.note.lower() in " ".join(answer.notes).lower()
    return answer
