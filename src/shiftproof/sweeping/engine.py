"""The engine: two executables, compiled ahead of time, that judge one chunk of shifts per device.

`forward` computes every layer under every shift of a chunk, `compare` reduces them to a few numbers per shift.
Chunks are sharded over the devices of one mesh axis; each chunk is judged alone, so that its numbers do
not depend on how many devices there are.
"""

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
    ) -> None:
        self.question = question
        self.chunk = chunk
        self.cosets = cosets
        self.schedule = schedule
        self.devices = list(devices)
        mesh = jax.make_mesh((len(devices),), ("chunk",), (AxisType.Auto,), devices=self.devices)
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._spread = NamedSharding(mesh, PartitionSpec("chunk"))
        alone, spread = PartitionSpec(), PartitionSpec("chunk")
        forward = make_forward(question.program, question.layers, question.canvas)
        about = question.layers, question.canvas, question.law
        compare = (
            make_compare(*about)
            if cosets is None
            else make_lifted_compare(
                *about, lift=cosets.lift, elements=cosets.elements, block=block
            )
        )
        self._gaps = None if cosets is None else jax.jit(make_gaps(cosets.lift))

        def forward_one(fixed: Any, divisors: Any, array: Any, shifts: Any) -> Any:
            return [value[None] for value in forward(fixed, divisors, array, shifts[0])]

        def compare_one(values: Any, shifts: Any) -> Any:
            rows = compare([value[0] for value in values], shifts[0])
            return {name: row[None] for name, row in rows.items()}

        self._fixed = jax.device_put(question.fixed, self._everywhere)
        divisors = {
            number: np.broadcast_to(value, (chunk, *value.shape))
            for number, value in fixed_divisors(question.program, question.fixed).items()
        }
        self._divisors = jax.device_put(divisors, self._everywhere)
        self._canvas = self.place(question.canvas.array)
        shape = (len(devices), chunk, len(question.canvas.axes))
        shifts = jax.ShapeDtypeStruct(shape, np.int32, sharding=self._spread)
        self._forward = _compile(
            forward_one,
            mesh,
            (alone, alone, alone, spread),
            (self._fixed, self._divisors, self._canvas, shifts),
        )
        if schedule is not None:
            staged = make_staged_forward(question, schedule.stages)

            def staged_one(fixed: Any, divisors: Any, array: Any, steps: Any) -> Any:
                steps = jax.tree.map(lambda step: step[0], steps)
                return [value[None] for value in staged(fixed, divisors, array, steps)]

            still = np.zeros((len(devices), chunk, len(question.canvas.axes)), np.int32)
            self._staged = _compile(
                staged_one,
                mesh,
                (alone, alone, alone, spread),
                (self._fixed, self._divisors, self._canvas, self._steps(schedule, still)),
            )
        values = [
            jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self._spread)
            for x in self._forward.out_info
        ]
        self._compare = _compile(compare_one, mesh, (spread, spread), (values, shifts))

    def place(self, array: np.ndarray) -> jax.Array:
        """A canvas on all devices."""
        return jax.device_put(jnp.asarray(array), self._everywhere)

    def forward(self, shifts: np.ndarray, canvas: jax.Array | None = None) -> list[jax.Array]:
        """Values of every layer, each (devices, chunk, *shape), for shifts (devices, chunk, axes)."""
        placed = jax.device_put(shifts.astype(np.int32), self._spread)
        canvas = self._canvas if canvas is None else canvas
        return self._forward(self._fixed, self._divisors, canvas, placed)

    def _steps(self, schedule: Schedule, shifts: np.ndarray) -> Any:
        rows = [schedule.steps(row) for row in shifts]
        return jax.tree.map(lambda *row: jax.device_put(np.stack(row), self._spread), *rows)

    def in_stages(self, shifts: np.ndarray) -> list[jax.Array]:
        """The same values, computed in stages where there is a schedule, which must have been made for these chunks."""
        if self.schedule is None:
            return self.forward(shifts)
        steps = self._steps(self.schedule, shifts)
        return self._staged(self._fixed, self._divisors, self._canvas, steps)

    def rows(self, shifts: np.ndarray) -> dict[str, jax.Array]:
        """Deviations and counts, each (devices, chunk, layers); dispatched, not waited for.

        With cosets each is (devices, chunk * elements, layers).
        """
        placed = jax.device_put(shifts.astype(np.int32), self._spread)
        return self._compare(self.in_stages(shifts), placed)

    def at_rest(self, canvas: np.ndarray | None = None) -> list[np.ndarray]:
        """Values of every layer at shift 0, in the executable and at the batch size of the sweep."""
        zeros = np.zeros((len(self.devices), self.chunk, len(self.question.canvas.axes)), np.int32)
        values = self.forward(zeros, None if canvas is None else self.place(canvas))
        return [np.asarray(value[0, 0]) for value in values]

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
        stats = self._forward.memory_analysis()
        return int(stats.temp_size_in_bytes + stats.output_size_in_bytes) if stats else 0


def _compile(fn: Any, mesh: Any, specs: Any, arguments: Any) -> Any:
    # not every primitive of a user's model has a replication rule, and none is needed: nothing is exchanged
    sharded = jax.shard_map(
        fn, mesh=mesh, in_specs=specs, out_specs=PartitionSpec("chunk"), check_vma=False
    )
    platform = mesh.devices.flat[0].platform
    return jax.jit(sharded).lower(*arguments).compile(compiler_options(platform))


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
