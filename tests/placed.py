"""Brute force over places: what every layer makes of random objects, moved over an empty canvas.

An object is put everywhere. A layer just moves with it where its cells show what they showed with the object in the
middle, as many cells away, and what enters is what the layer answers to an empty canvas.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.deciding.subject import Subject
from shiftproof.proving.layers import Layer
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import evaluate, fixed_values

OBJECTS = 20
TOLERANCE = 1e-9
"""Of the largest value of a layer; the program is computed in float64."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of a layer.

    Attributes:
        places: where all its cells just moved, for all objects.
        whole: where the object is a whole number of cells away from the middle.
        cells: which cells just moved at all of these places.
    """

    places: np.ndarray
    whole: np.ndarray
    cells: np.ndarray

    def __and__(self, other: "Seen") -> "Seen":
        return Seen(self.places & other.places, self.whole, self.cells & other.cells)


def see(subject: Subject, object: Sequence[int]) -> dict[str, Seen]:
    """Every layer at every place, for random whole numbers as objects.

    Positive weights keep a ReLU from hiding a difference, and weights of both signs a maximum.
    """
    if not subject.opaque:
        return _see(subject, object, subject.arrays, OBJECTS, 1)
    positive = _see(subject, object, weights(subject, 1, (1.0,)), OBJECTS // 2, 1)
    mixed = _see(subject, object, weights(subject, 2, (-1.0, 1.0)), OBJECTS // 2, 2)
    return {name: seen & mixed[name] for name, seen in positive.items()}


def weights(subject: Subject, seed: int, signs: Sequence[float]) -> list[Any]:
    """Random weights in place of those that may be any; a variance is positive in any case."""
    generator = np.random.default_rng(seed)
    program, drawn = subject.program, []
    for number, name, array in zip(
        program.weights, program.weight_names, subject.arrays, strict=True
    ):
        values = generator.uniform(0.5, 1.5, np.shape(array))
        if not name.endswith("var"):
            values *= generator.choice(signs, np.shape(array))
        values /= np.sqrt(np.prod(np.shape(array)[:-1]))
        drawn.append(values.astype(array.dtype) if number in subject.opaque else array)
    return drawn


def _see(
    subject: Subject, object: Sequence[int], arrays: Sequence[Any], count: int, seed: int
) -> dict[str, Seen]:
    program, grid, axes = subject.program, subject.grid, subject.image_axes
    layers = [layer for layer in subject.layers if layer.value in program.from_images]
    sizes = list(subject.shape)
    for axis, size in zip(axes, object, strict=True):
        sizes[axis] = size
    things = np.random.default_rng(seed).integers(-8, 9, (count, *sizes)).astype(float)
    # with negative ones too, since a maximum beside a border lacks the zero of the canvas
    things = np.concatenate([things, -np.abs(things) - 1])
    rest = tuple((n - o) // 2 for n, o in zip(grid, object, strict=True))
    rooms = tuple(n - o + 1 for n, o in zip(grid, object, strict=True))
    seen = {
        x.name: Seen(np.zeros(rooms, bool), np.zeros(rooms, bool), np.ones(x.grid_shape, bool))
        for x in layers
    }

    with settings(subject.dtype):
        fixed = fixed_values(program, arrays)

        def one(image: Any) -> list[Any]:
            values = evaluate(program, fixed, image[None])
            return [values[layer.value] for layer in layers if isinstance(layer.value, int)]

        run = jax.jit(jax.vmap(one))

        def answers(place: Sequence[int] | None) -> list[np.ndarray]:
            images = np.zeros((len(things), *subject.shape))
            if place is not None:
                cut: list[slice] = [slice(None)] * images.ndim
                for axis, at, size in zip(axes, place, object, strict=True):
                    cut[axis + 1] = slice(at, at + size)
                images[tuple(cut)] = things
            return [np.asarray(value) for value in run(jnp.asarray(images))]

        still, empty = answers(rest), answers(None)
        for place in np.ndindex(*rooms):
            shift = [p - r for p, r in zip(place, rest, strict=True)]
            for layer, *values in zip(layers, answers(place), still, empty, strict=True):
                _look(seen[layer.name], layer, place, shift, *values)
    return seen


def _look(
    seen: Seen,
    layer: Layer,
    place: tuple[int, ...],
    shift: Sequence[int],
    value: np.ndarray,
    still: np.ndarray,
    empty: np.ndarray,
) -> None:
    moves = []
    for step, jump in zip(shift, layer.strides, strict=True):
        cells = step / jump if jump else 0
        if cells != int(cells):
            return
        moves.append(int(cells))
    wanted = slid(still, empty, moves, layer.grid)
    alike = np.abs(value * 1.0 - wanted) <= TOLERANCE * np.abs(still * 1.0).max()
    kept = [axis + 1 for axis in layer.grid if axis is not None]
    alike = np.moveaxis(alike, kept, range(len(kept)))
    alike = alike.reshape(*layer.grid_shape, -1).all(-1)
    seen.whole[place] = True
    seen.places[place] = alike.all()
    seen.cells[...] &= alike


def slid(
    value: np.ndarray, empty: np.ndarray, moves: Sequence[int], grid: Sequence[int | None]
) -> np.ndarray:
    """Values (count, *layer) moved by so many cells; what an empty canvas gives enters."""
    made = empty.copy()
    source, target = [slice(None)] * value.ndim, [slice(None)] * value.ndim
    for axis, step in zip(grid, moves, strict=True):
        if axis is not None:
            size = value.shape[axis + 1]
            source[axis + 1] = slice(max(0, -step), max(0, size - max(0, step)))
            target[axis + 1] = slice(max(0, step), max(0, size + min(0, step)))
    made[tuple(target)] = value[tuple(source)]
    return made
