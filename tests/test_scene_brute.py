"""Scenes against brute force: crops cut out by hand, moved along both axes at once, every cell compared.

Nothing here is shared with the sweep of cells but the model: no middle, no engine, no axis at a time.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_scene import CASES, border_of, conv

from shiftproof.deciding.region import Border
from shiftproof.deciding.verify import verify_scene


class UNet(nnx.Module):
    """Down, up by repeating, and the skip beside it: the narrower interior counts."""

    def __init__(self):
        self.down, self.low, self.out = conv(3, (1, 2)), conv(3, (2, 2), 1), conv(3, (4, 1), 2)

    def __call__(self, x):
        skip = nnx.relu(self.down(x))
        low = nnx.relu(self.low(nnx.max_pool(skip, (2, 2), (2, 2))))
        up = jnp.repeat(jnp.repeat(low, 2, 1), 2, 2)
        return self.out(jnp.concatenate([up, skip], -1))


NETS = {name: (build, size) for name, (build, size, _) in CASES.items()} | {"U-Net": (UNet, 16)}


def with_integers(model):
    """The same model with small integer weights, if it has any."""
    if isinstance(model, nnx.Module):
        generator = np.random.default_rng(3)

        def drawn(weight):
            signs = generator.choice([-1, 1], weight.shape)
            return jnp.asarray(signs * generator.integers(1, 4, weight.shape), weight.dtype)

        nnx.update(model, jax.tree.map(drawn, nnx.state(model, nnx.Param)))
    return model


def windows(model, output: Border, size: int) -> dict[tuple[int, ...], np.ndarray]:
    """The output on windows of one integer scene, by how many steps they have moved along each axis."""
    step_0, step_1 = (reach.step or 0 for reach in output.reaches)
    most = [max(1, (size - 1) // step) for step in (step_0, step_1)]
    moves = list(itertools.product(*(range(-min(3, m), min(3, m) + 1) for m in most)))
    scene = np.random.default_rng(5).integers(-9, 10, (7 * size, 7 * size, 1)).astype(np.float32)
    crops = [
        scene[3 * size + a * step_0 :, 3 * size + b * step_1 :][:size, :size] for a, b in moves
    ]
    values = np.asarray(model(jnp.asarray(np.stack(crops))))
    return dict(zip(moves, values, strict=True))


def differs(values, output: Border, box) -> bool:
    """Whether f(T x)[u] != f(x)[u - r] for some pair of windows and some u with u and u - r in the box."""
    cells = [reach.cells for reach in output.reaches]
    spans = [range(low, high) for low, high in box]
    still = values[0, 0]
    for (a, b), moved in values.items():
        for u, v in itertools.product(*spans):
            # the window went on, so what it shows came back
            there = u + a * cells[0], v + b * cells[1]
            inside = all(place in span for place, span in zip(there, spans, strict=True))
            if inside and not np.array_equal(moved[u, v], still[there]):
                return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_no_window_differs_inside_and_some_window_does_one_cell_outside(name) -> None:
    build, size = NETS[name]
    model = with_integers(build())
    output = border_of(verify_scene(model, (size, size, 1)))
    values = windows(model, output, size)
    box = [(reach.low, reach.high) for reach in output.reaches]
    assert not differs(values, output, box)
    for axis, reach in enumerate(output.reaches):
        for low, high in ((reach.low - 1, reach.high), (reach.low, reach.high + 1)):
            if low < 0 or high > reach.size:
                continue
            grown = [(low, high) if place == axis else span for place, span in enumerate(box)]
            assert differs(values, output, grown), (axis, low, high)
