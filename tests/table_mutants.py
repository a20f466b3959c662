"""Mutants of the table of primitives: an entry moved to another class, or without one of its checks.

A mutant is caught where a program that meets the entry gives another observation: what kernel and field say of it under
every shift, whether the field's numbers are residues, what its error bound counts, or an error. The programs are the
cases of `primitives`, and laws: of a primitive that is linear, or an extremum, what only such a one keeps.

    python tests/table_mutants.py            all mutants, with the program that catches each
"""

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import primitives
from jax import lax
from jax.ad_checkpoint import checkpoint_name

import shiftproof.tracing.primitives as table
from shiftproof.errors import ShiftproofError
from shiftproof.proving.analysis import Prover
from shiftproof.proving.graph import build_graph
from shiftproof.proving.runs import Question, Runs
from shiftproof.tracing.model import adapt, trace_once, weights_in
from shiftproof.tracing.primitives import TABLE, Entry, Kind, nothing
from shiftproof_kernel import Theorem, invariant

TWO = np.array([[3.0], [5.0]])


def halves(x: Any) -> Any:
    """Sums of neighbours; behind something linear, their sum does not see where pairs begin."""
    return x[:, ::2] + x[:, 1::2]


def tops(x: Any) -> Any:
    """Maxima of neighbours; the same for maxima."""
    return jnp.maximum(x[:, ::2], x[:, 1::2])


def bind(name: str, *arrays: Any, **params: Any) -> Any:
    """A primitive by name, for those that jax.numpy rewrites."""
    return getattr(lax, f"{name}_p").bind(*arrays, **params)


def somewhere(x: Any) -> Any:
    """A place that the image chooses."""
    return x[0, :1, 0].astype(int)


def masked(x: Any) -> Any:
    """Some cells are infinite, whatever the image."""
    return jnp.where(np.array([[False], [True]]), -jnp.inf, halves(x))


LAWS: dict[str, Callable[[Any], Any]] = {
    "add": lambda x: (halves(x) + halves(2 * x)).sum(1),
    "add_any": lambda x: jax.grad(lambda z: ((z + z * 3) * z).sum())(halves(x)).sum(1),
    "sub": lambda x: (halves(x) - halves(x * 3)).sum(1),
    "neg": lambda x: (-halves(x)).sum(1),
    "mul": lambda x: ((halves(x) * 3).sum(1), halves(x) * halves(x)),
    "div": lambda x: (halves(x) / 3).sum(1),
    "square": lambda x: (jnp.square(halves(x)) - halves(x) * halves(x)).sum(1),
    "real": lambda x: lax.real(lax.complex(halves(x), halves(2 * x))).sum(1),
    "imag": lambda x: lax.imag(lax.complex(halves(x), halves(2 * x))).sum(1),
    "complex": lambda x: lax.real(lax.complex(halves(x), halves(2 * x))).sum(1),
    "conj": lambda x: lax.imag(lax.conj(lax.complex(halves(x), halves(2 * x)))).sum(1),
    "convert_element_type": lambda x: halves(x).astype(jnp.complex64).real.sum(1),
    "cumsum": lambda x: jnp.cumsum(halves(x), 1)[:, -1],
    "reduce_window_sum": lambda x: lax.reduce_window(
        halves(x), 0.0, lax.add, (1, 2, 1), (1, 2, 1), "VALID"
    ).sum(1),
    "scatter-add": lambda x: jnp.zeros((1, 3, 1)).at[:, :2].add(halves(x)).sum(1),
    "scatter-sub": lambda x: jnp.zeros((1, 3, 1)).at[:, :2].subtract(halves(x)).sum(1),
    "dot_general": lambda x: jnp.einsum("bnc,cd->bnd", halves(x), np.ones((1, 2)) * 3).sum(1),
    "conv_general_dilated": lambda x: lax.conv_general_dilated(
        halves(x), jnp.ones((1, 1, 1)) * 3, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    ).sum(1),
    "max": lambda x: tops(x).max(1),
    "min": lambda x: jnp.minimum(x[:, ::2], x[:, 1::2]).min(1),
    "and": lambda x: jnp.all((x > 0)[:, ::2] & (x > 0)[:, 1::2], 1),
    "or": lambda x: jnp.any((x > 0)[:, ::2] | (x > 0)[:, 1::2], 1),
    "copy": lambda x: (bind("copy", masked(x)).max(1), bind("copy", halves(x)).sum(1)),
    "name": lambda x: (
        checkpoint_name(masked(x), "a").max(1),
        checkpoint_name(halves(x), "a").sum(1),
    ),
    "device_put": lambda x: (jax.device_put(masked(x)).max(1), jax.device_put(halves(x)).sum(1)),
    "stop_gradient": lambda x: lax.stop_gradient(masked(x)).max(1),
    "select_n": lambda x: masked(x).max(1),
    "scatter": lambda x: x.at[:, :1].apply(lambda v: v + 1),
    "scatter-add, somewhere": lambda x: jnp.zeros((4,)).at[somewhere(x)].add(1.0),
    "scatter-sub, somewhere": lambda x: jnp.zeros((4,)).at[somewhere(x)].subtract(1.0),
    "scatter-max, somewhere": lambda x: jnp.zeros((4,)).at[somewhere(x)].max(1.0),
    "scatter-min, somewhere": lambda x: jnp.zeros((4,)).at[somewhere(x)].min(-1.0),
    "scatter-mul, somewhere": lambda x: jnp.ones((4,)).at[somewhere(x)].multiply(2.0),
    "gather": lambda x: x[:, (x[0, :, 0] > 0).astype(int)],
    "bitcast_convert_type": lambda x: lax.bitcast_convert_type(x, jnp.int16),
}
"""By primitive, a program on (4, 1) whose answers need its class."""

PAIRED = """
    atan2 eq ge gt igamma igammac igamma_grad_a le lt ne nextafter polygamma pow rem
    shift_left shift_right_arithmetic shift_right_logical
""".split()
INTEGERS = ("shift_left", "shift_right_arithmetic", "shift_right_logical")


def paired(name: str) -> Callable[[Any], Any]:
    """A function of two neighbours: one for which their order did not matter would not see a shift by one of two."""

    def law(x: Any) -> Any:
        y = x.astype(jnp.int32) if name in INTEGERS else x
        return bind(name, y[:, 0], y[:, 1])

    return law


@dataclasses.dataclass(frozen=True)
class Program:
    """A traced program, its grid, and what is free."""

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    weights: str


def programs() -> dict[str, list[Program]]:
    """For every primitive the programs that meet it on the way from the image; its law first, short ones before."""
    found: dict[str, list[Program]] = {}
    laws = [(name, fn, (4, 1)) for name, fn in LAWS.items()]
    laws += [(name, paired(name), (2, 1)) for name in PAIRED]
    for label, fn, shape in laws:
        name = label.partition(",")[0]
        law = Program(f"law of {label}", lambda fn=fn: fn, shape, (0,), "all")
        for met in _met(law):
            found.setdefault(met, []).insert(0 if met == name else len(found.get(met, [])), law)
    for case in primitives.CASES:
        program = Program(case.name, case.make, case.image, case.axes, case.weights)
        for name in _met(program):
            found.setdefault(name, []).append(program)
    return found


@dataclasses.dataclass(frozen=True)
class Traced:
    """A program as it was traced on one image."""

    program: Any
    weights: list[Any]
    opaque: frozenset[int]
    axes: tuple[int, ...]
    grid: tuple[int, ...]


@functools.cache
def _traced(program: Program) -> Traced:
    model = adapt(program.build())
    traced = trace_once(model, (1, *program.shape))
    free = zip(traced.weights, model.opaque, strict=True)
    return Traced(
        traced,
        weights_in(model, traced),
        frozenset(n for n, opaque in free if opaque and program.weights == "all"),
        tuple(axis + 1 for axis in program.axes),
        tuple(program.shape[axis] for axis in program.axes),
    )


def _met(program: Program) -> set[str]:
    try:
        one = _traced(program).program
    except ShiftproofError:  # some cases ask for 64-bit mode
        return set()
    return {eqn.name for eqn in one.equations if eqn.outputs[0] in one.from_images}


def by_kernel(program: Program) -> Any:
    """What the kernel says of every output under every shift; the error where there is one."""
    one = _traced(program)
    try:
        graph = build_graph(one.program, one.weights, opaque=one.opaque, spatial_axes=one.axes)
        prover = Prover(graph, one.grid)
        return [
            [
                (isinstance(o, Theorem), isinstance(o, Theorem) and invariant(o))
                for shift in np.ndindex(*one.grid)
                for o in [prover.derive(shift).outcomes[output]]
            ]
            for output in graph.program.outputs
        ]
    except Exception as error:  # whatever a wrong table leads to
        return f"{type(error).__name__}"


def by_field(program: Program) -> Any:
    """Which shifts leave each output as it is, whether all numbers are residues, and what is counted."""
    one = _traced(program)
    outputs = [o for o in one.program.outputs if isinstance(o, int)]
    try:
        runs = Runs(Question(one.program, one.weights, one.opaque, one.axes, 0), 2, outputs)
        shifts = list(np.ndindex(*one.grid))
        values = list(runs.values(shifts))
        moduli = np.asarray(runs.arithmetic.primes)
        parts = [part for row in values for value in row for part in value]
        inside = all(
            bool(np.all((p >= 0) & (p < moduli.reshape(-1, *[1] * (p.ndim - 1))))) for p in parts
        )
        kept = [
            [
                all(np.array_equal(a, b) for a, b in zip(v, w, strict=True))
                for v, w in zip(values[0], row, strict=True)
            ]
            for row in values
        ]
        tally = runs.tally
        return kept, inside, tally.size.degree, tally.lookups, sorted(runs.field.opaque)
    except Exception as error:  # whatever a wrong table leads to
        return f"{type(error).__name__}"


@dataclasses.dataclass(frozen=True)
class Mutant:
    """An entry in place of another."""

    primitive: str
    what: str
    entry: Entry


def mutants(names: Any) -> Iterator[Mutant]:
    """Every class but its own, and every check dropped, of the entries named."""
    for name in sorted(names):
        entry = TABLE[name]
        for kind in Kind:
            if kind not in (entry.kind, Kind.LOOKUP):
                yield Mutant(name, f"is {kind.name}", dataclasses.replace(entry, kind=kind))
        if entry.known and entry.kind is not Kind.OPAQUE:
            yield Mutant(name, "needs nothing known", dataclasses.replace(entry, known=()))
        for key, check in entry.params.items():
            if check is nothing:
                loose = {**entry.params, key: table.anything}
                yield Mutant(name, f"takes any {key}", dataclasses.replace(entry, params=loose))


def caught_by(mutant: Mutant, met: list[Program]) -> str:
    """The program whose observation differs, and by what; "" where there is none."""
    for observe in (by_kernel, by_field):
        for program in met[:MOST]:
            before = _before(observe, program)
            kept = TABLE[mutant.primitive]
            TABLE[mutant.primitive] = mutant.entry  # type: ignore[index]
            try:
                after = observe(program)
            finally:
                TABLE[mutant.primitive] = kept  # type: ignore[index]
            if after != before:
                return f"{observe.__name__.removeprefix('by_')}: {program.name}"
    return ""


MOST = 12
"""Programs that a mutant is tried on."""


@functools.cache
def _before(observe: Callable[[Program], Any], program: Program) -> Any:
    return observe(program)


def main() -> int:
    """Try all mutants; returns the number of those that nothing catches."""
    met = programs()
    left = 0
    for mutant in mutants(set(met) & set(TABLE)):
        by = caught_by(mutant, met[mutant.primitive])
        left += not by
        print(f"{mutant.primitive} {mutant.what}: {by or 'SURVIVES'}", flush=True)
    print(f"{left} survive")
    return left


if __name__ == "__main__":
    sys.exit(bool(main()))
