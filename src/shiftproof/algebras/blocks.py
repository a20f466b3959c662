"""Blocks: a function of each cell, on arrays of many; by NumPy in blocks that fit into caches, or compiled.

What JAX compiles keeps in registers what is made on the way, and is a few times as fast. To compile it takes as long as
millions of numbers take NumPy, so that is done when so many were asked for. What is compiled is compared with NumPy on
the first block, and never used where it differs.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from shiftproof.algebras.at_hand import in_numpy

CELLS = 2**14
"""Cells that NumPy computes together: what is made of them on the way stays in the caches of a processor."""

NUMBERS = 2**17
"""Numbers of one array that what is compiled takes at once; other shapes would have to be compiled, too."""

COMPILING = 2**22
"""Numbers that NumPy computes in the time that compiling takes."""


def by_cell(function: Callable[..., Any], arrays: Sequence[Any], *constants: Any) -> Any:
    """A function of each cell of some arrays: (rows, *cells), with the same cells in all.

    Args:
        function: of the arrays and the constants, by `xp`; it gives (rows, *cells).
        arrays: of NumPy, or such as are being traced.
        constants: arrays of NumPy, or tuples of such.
    """
    if not in_numpy(*arrays):
        return _jitted(function)(*arrays, *constants)
    flat = [array.reshape(len(array), -1) for array in arrays]
    shape, cells = arrays[0].shape[1:], flat[0].shape[1]
    compute, size = function, CELLS
    most = NUMBERS // max(1, *map(len, flat))
    if cells >= most:
        kinds = tuple((len(array), array.dtype) for array in flat)
        blocks = [array[:, :most] for array in flat]
        if found := _compiled(function, kinds).ready(blocks, constants, cells):
            compute, size = found, most
    if cells <= size:
        found = compute(*flat, *constants)
        return found.reshape(len(found), *shape)
    starts = [*range(0, cells - size, size), cells - size]  # the last two may overlap
    made = [compute(*(array[:, s : s + size] for array in flat), *constants) for s in starts]
    whole = np.empty((len(made[0]), cells), made[0].dtype)
    for start, block in zip(starts, made, strict=True):
        whole[:, start : start + size] = block
    return whole.reshape(len(whole), *shape)


class _Compiled:
    """A function of blocks of one shape, compiled when that pays."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._asked = 0
        self._agrees: bool | None = None
        self._lock = threading.Lock()

    def ready(
        self, blocks: Sequence[np.ndarray], constants: Sequence[Any], cells: int
    ) -> Callable[..., np.ndarray] | None:
        """The compiled function; None where NumPy is to compute.

        Args:
            blocks: the first of those that are asked about.
            constants: what the function is given besides.
            cells: of all blocks together.
        """
        with self._lock:
            self._asked += cells * sum(map(len, blocks))
            if self._asked < COMPILING or self._agrees is False or _processor() is None:
                return None
            if self._agrees is None:
                wanted = self._function(*blocks, *constants)
                self._agrees = np.array_equal(wanted, self._run(*blocks, *constants))
        return self._run if self._agrees else None

    def _run(self, *given: Any) -> np.ndarray:
        with jax.enable_x64(True), jax.default_device(_processor()):
            return np.asarray(_jitted(self._function)(*given))


@functools.cache
def _jitted(function: Callable[..., Any]) -> Any:
    """Compiled, or, within a program that is being traced, traced once for all calls on the same shapes."""
    return jax.jit(function)


@functools.cache
def _compiled(function: Callable[..., Any], kinds: Any) -> _Compiled:
    """What is compiled for blocks with so many rows, of such numbers."""
    return _Compiled(function)


def _processor() -> jax.Device | None:
    """The processor of the host; None where JAX may not use it."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return None
