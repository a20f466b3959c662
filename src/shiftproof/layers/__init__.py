"""Repairs: the pooling and subsampling layers that keep more shifts, channels last, for 1-D to 3-D grids.

| layer | keeps, on the torus |
|---|---|
| `max_pool`, `avg_pool`, `min_pool` | every shift at stride 1; multiples of the stride where it divides the size |
| `BlurPool` | multiples of the stride; all shifts after a global mean, but not after a function between the two |
| `LowPassPool` | multiples of the stride; any other shift moves the output by a fraction of a cell |
| `AdaptivePolyphaseSampling`, `LearnablePolyphaseSampling` | every shift, up to an output shift of the image |
| `global_avg_pool`, `global_max_pool` | turn what moves, by whatever shift, into what stays |

Inputs have the shape (batch, *grid, channels).
"""

from shiftproof.layers.blur import BlurPool
from shiftproof.layers.lowpass import LowPassPool
from shiftproof.layers.polyphase import AdaptivePolyphaseSampling, LearnablePolyphaseSampling
from shiftproof.layers.pooling import (
    avg_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
    min_pool,
)

__all__ = [
    "AdaptivePolyphaseSampling",
    "BlurPool",
    "LearnablePolyphaseSampling",
    "LowPassPool",
    "avg_pool",
    "global_avg_pool",
    "global_max_pool",
    "max_pool",
    "min_pool",
]


def __dir__() -> list[str]:
    return __all__
