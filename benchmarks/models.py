"""Models that only the benchmarks need: two whose searches for counterexamples were slow."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class UNet(nnx.Module):
    """Ronneberger et al., 2015, with circular padding: two convolutions a scale, max pools down, transposed ones up."""

    def __init__(
        self, *, width: int = 8, depth: int = 4, channels: int = 3, rngs: nnx.Rngs
    ) -> None:
        widths = [width * 2**scale for scale in range(depth + 1)]
        self.down = nnx.List(
            [_double(a, b, rngs) for a, b in zip([channels, *widths], widths, strict=False)]
        )
        self.raised = nnx.List(
            [
                nnx.ConvTranspose(2 * w, w, (2, 2), strides=(2, 2), rngs=rngs)
                for w in reversed(widths[:-1])
            ]
        )
        self.up = nnx.List([_double(2 * w, w, rngs) for w in reversed(widths[:-1])])
        self.last = nnx.Conv(width, 1, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, n, n, channels) to (batch, n, n, 1); n is a multiple of 2^depth."""
        skips: list[jax.Array] = []
        for scale, convolutions in enumerate(self.down):
            x = convolutions(nnx.max_pool(x, (2, 2), strides=(2, 2)) if scale else x)
            skips.append(x)
        for skip, raised, convolutions in zip(skips[-2::-1], self.raised, self.up, strict=True):
            x = convolutions(jnp.concatenate([raised(x), skip], -1))
        return self.last(x)


def _double(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Sequential:
    return nnx.Sequential(
        nnx.Conv(inputs, outputs, (3, 3), padding="CIRCULAR", rngs=rngs),
        nnx.relu,
        nnx.Conv(outputs, outputs, (3, 3), padding="CIRCULAR", rngs=rngs),
        nnx.relu,
    )


class Automaton(nnx.Module):
    """A neural cellular automaton (Mordvintsev et al., 2020) on a torus: Sobel filters and an update, many times."""

    def __init__(self, *, channels: int = 16, hidden: int = 64, steps: int = 64, rngs: nnx.Rngs):
        self.steps = steps
        self.hidden = nnx.Conv(3 * channels, hidden, (1, 1), rngs=rngs)
        self.update = nnx.Conv(hidden, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, n, n, channels) to the same."""
        smooth = np.array([1, 2, 1]) / 4
        edges = [np.outer([0, 1, 0], [0, 1, 0]), np.outer(smooth, [-1, 0, 1])]
        filters = jnp.asarray(np.stack([*edges, edges[1].T], -1), x.dtype)
        filters = jnp.tile(filters[:, :, None], (1, 1, 1, x.shape[-1]))

        def step(x: jax.Array, _: None) -> tuple[jax.Array, None]:
            wrapped = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="wrap")
            seen = jax.lax.conv_general_dilated(
                wrapped,
                filters,
                (1, 1),
                "VALID",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=x.shape[-1],
            )
            return x + self.update(nnx.relu(self.hidden(seen))), None

        return jax.lax.scan(step, x, None, length=self.steps)[0]
