"""The engine: one executable, compiled ahead of time, that judges one chunk of shifts per device.

It computes every layer under every shift of a chunk, and reduces it to a few numbers per shift as soon as it is there.
Chunks are sharded over the devices of one mesh axis; each chunk is judged alone, so that its numbers do not depend on
how many devices there are. Where values are looked at themselves, a second one computes these alone.
"""

import functools
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from shiftproof.sweeping.compare import (
    largest_gap,
    make_compare,
    make_forward,
    make_gaps,
    make_lifted_compare,
)
from shiftproof.sweeping.cosets import Cosets
from shiftproof.sweeping.question import Question
from shiftproof.sweeping.stages import Schedule, make_staged_forward
from shiftproof.tracing.settings import compiler_options
from shiftproof.tracing.trace import fixed_divisors

TARGET_IMAGES = 128
"""Images per chunk that keep a processor busy without leaving its caches."""
ACCELERATOR_IMAGES = 2048
"""The same of an accelerator: a chunk of small images costs more to start than to compute (see benchmarks/rows)."""


class Engine:
    """The compiled chunk functions of one question.

    Args:
        question: what is compared.
        chunk: shifts per chunk, shift 0 included.
        devices: one chunk runs on each at a time.
        cosets: with them every shift of a chunk stands for its whole coset.
        block: how many shifts of cosets are compared at a time.
        schedule: with it chunks are computed in stages.
        moving: whether content moves on an empty canvas, so that what enters must be as there.
    """

    def __init__(
        self,
        question: Question,
        *,
        chunk: int,
        devices: Sequence[jax.Device],
        cosets: Cosets | None = None,
        block: int = TARGET_IMAGES,
        schedule: Schedule | None = None,
        moving: bool = False,
    ) -> None:
        self.question = question
        self.chunk = chunk
        self.cosets = cosets
        self.schedule = schedule
        self.devices = list(devices)
        mesh = jax.make_mesh((len(devices),), ("chunk",), (AxisType.Auto,), devices=self.devices)
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._spread = NamedSharding(mesh, PartitionSpec("chunk"))
        about = question.layers, question.canvas, question.law
        self._compare = (
            make_compare(*about)
            if cosets is None
            else make_lifted_compare(
                *about, lift=cosets.lift, elements=cosets.elements, block=block
            )
        )
        self._gaps = None if cosets is None else jax.jit(make_gaps(cosets.lift))
        self._fixed = jax.device_put(question.fixed, self._everywhere)
        divisors = {
            number: np.broadcast_to(value, (chunk, *value.shape))
            for number, value in fixed_divisors(question.program, question.fixed).items()
        }
        self._divisors = jax.device_put(divisors, self._everywhere)
        self._canvas = self.place(question.canvas.array)
        self._still = np.zeros((len(devices), chunk, len(question.canvas.axes)), np.int32)
        self._values = make_forward(question.program, question.layers, question.canvas)
        self._empty = (
            [jnp.zeros(layer.shape, layer.dtype) for layer in question.layers] if moving else []
        )

    @functools.cached_property
    def judged(self) -> Any:
        """The executable that judges a chunk."""

        def judge(fixed: Any, divisors: Any, array: Any, empty: Any, given: Any) -> Any:
            values = self._in_stages(fixed, divisors, array, empty, given)

            def compare(values: Any) -> Any:
                rows = self._compare(values, given["shifts"], *([empty] if empty else []))
                return rows, [value[0] for value in values]

            def rest(values: Any) -> Any:
                rows, _ = jax.eval_shape(compare, values)
                nothing = {name: jnp.zeros(row.shape, row.dtype) for name, row in rows.items()}
                return nothing, [value[0] for value in values]

            # Fused with the comparison, values would be computed twice, with different rounding. On a CPU an
            # `optimization_barrier` does not prevent that, but what a branch is given must be there before.
            return jax.lax.cond(given["compared"], compare, rest, values)

        return self._compiled(judge, self._given(self._still, compared=True))

    @functools.cached_property
    def _forward(self) -> Any:
        def forward(fixed: Any, divisors: Any, array: Any, empty: Any, given: Any) -> Any:
            return self._values(fixed, divisors, array, given["shifts"])

        return self._compiled(forward, {"shifts": self._spread_out(self._still)})

    @functools.cached_property
    def _staged(self) -> Any:
        return self._compiled(self._in_stages, self._given(self._still, compared=False))

    def _in_stages(self, fixed: Any, divisors: Any, array: Any, empty: Any, given: Any) -> Any:
        if self.schedule is None:
            return self._values(fixed, divisors, array, given["shifts"])
        staged = make_staged_forward(self.question, self.schedule.stages)
        return staged(fixed, divisors, array, given["steps"])

    def _compiled(self, fn: Any, given: Any) -> Any:
        """A function of one chunk, compiled for a chunk per device."""

        def one(fixed: Any, given: Any) -> Any:
            found = fn(*fixed, jax.tree.map(lambda x: x[0], given))
            return jax.tree.map(lambda x: x[None], found)

        # not every primitive of a user's model has a replication rule, and none is needed: nothing is exchanged
        sharded = jax.shard_map(
            one,
            mesh=self._spread.mesh,
            in_specs=(PartitionSpec(), PartitionSpec("chunk")),
            out_specs=PartitionSpec("chunk"),
            check_vma=False,
        )
        options = compiler_options(self.devices[0].platform)
        return jax.jit(sharded).lower(self._arguments(), given).compile(options)

    def _arguments(self, canvas: jax.Array | None = None, empty: Any = None) -> tuple[Any, ...]:
        """What the executables are given for all chunks alike."""
        placed = self._canvas if canvas is None else canvas
        return self._fixed, self._divisors, placed, empty or self._empty

    def _spread_out(self, shifts: np.ndarray) -> jax.Array:
        return jax.device_put(shifts.astype(np.int32), self._spread)

    def _given(self, shifts: np.ndarray, *, compared: bool) -> dict[str, Any]:
        """What the executables are given of chunks (devices, chunk, axes), and whether these are compared."""
        chosen = jax.device_put(np.full(len(self.devices), compared), self._spread)
        given: dict[str, Any] = {"shifts": self._spread_out(shifts), "compared": chosen}
        if self.schedule is not None:
            rows = [self.schedule.steps(row) for row in shifts]
            given["steps"] = jax.tree.map(
                lambda *row: jax.device_put(np.stack(row), self._spread), *rows
            )
        return given

    def place(self, array: np.ndarray) -> jax.Array:
        """A canvas on all devices."""
        return jax.device_put(array, self._everywhere)

    def forward(self, shifts: np.ndarray) -> list[jax.Array]:
        """Values of every layer, each (devices, chunk, *shape), for shifts (devices, chunk, axes)."""
        return self._forward(self._arguments(), {"shifts": self._spread_out(shifts)})

    def in_stages(self, shifts: np.ndarray) -> list[jax.Array]:
        """The same values, computed in stages where there is a schedule, which must have been made for these chunks."""
        if self.schedule is None:
            return self.forward(shifts)
        return self._staged(self._arguments(), self._given(shifts, compared=False))

    def rows(
        self, shifts: np.ndarray, empty: Sequence[np.ndarray] | None = None
    ) -> dict[str, jax.Array]:
        """Deviations and counts, each (devices, chunk, layers); dispatched, not waited for.

        With cosets each is (devices, chunk * elements, layers).

        Args:
            shifts: (devices, chunk, axes).
            empty: where content moves, the values of every layer for an empty canvas.
        """
        rows, _ = self.judged(self._arguments(empty=empty), self._given(shifts, compared=True))
        return rows

    def at_rest(self, canvas: np.ndarray | None = None) -> list[np.ndarray]:
        """Values of every layer at shift 0, in the executable and at the batch size of the sweep."""
        placed = None if canvas is None else self.place(canvas)
        _, values = self.judged(self._arguments(placed), self._given(self._still, compared=False))
        return [np.asarray(value[0]) for value in values]

    def gaps(self, shifts: np.ndarray, pairs: np.ndarray) -> list[np.ndarray]:
        """For every layer how far lifted values are from computed ones, each (pairs, 3) with the two entries.

        Args:
            shifts: (chunk, axes), a chunk that holds what is lifted and what it should become.
            pairs: (pairs, 3): the slot that is lifted, the element of the lattice, the slot it should become.
        """
        if self._gaps is None:
            raise ValueError("an engine without cosets lifts nothing")
        values = self.forward(np.stack([shifts] * len(self.devices)))
        found = self._gaps([value[0] for value in values], pairs.astype(np.int32))
        return [np.asarray(gaps) for gaps in found]

    def staged_gaps(self, shifts: np.ndarray) -> list[np.ndarray]:
        """For every layer how far the values of a chunk (chunk, axes) computed in stages are from those computed in
        one: the largest difference, and the two entries that differ so.
        """
        chunks = np.stack([shifts] * len(self.devices))
        both = zip(self.in_stages(chunks), self.forward(chunks), strict=True)
        return [np.asarray(largest_gap(a[0], b[0])) for a, b in both]

    def memory(self) -> int:
        """Bytes that one chunk needs besides its arguments, as the compiler counts them."""
        stats = self.judged.memory_analysis()
        return int(stats.temp_size_in_bytes + stats.output_size_in_bytes) if stats else 0


def chunk_size(question: Question, device: jax.Device) -> int:
    """Shifts per chunk: enough images to be busy, and no more than fit in the memory."""
    batch = question.canvas.array.shape[0]
    avals = question.program.avals
    largest = max(_bytes(avals[number]) for number in question.program.from_images)
    captured = sum(_bytes(avals[x.value]) for x in question.layers if isinstance(x.value, int))
    fitting = free_memory(device) // max(1, 2 * captured + 4 * largest)
    target = TARGET_IMAGES if device.platform == "cpu" else ACCELERATOR_IMAGES
    return int(max(2, min(fitting, max(16, target // batch))))


def _bytes(aval: jax.ShapeDtypeStruct) -> int:
    return int(np.prod(aval.shape, dtype=np.int64)) * aval.dtype.itemsize


def free_memory(device: jax.Device) -> int:
    """Bytes that a chunk may use: half of what is free on the device."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) // 2
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        return 2**30
