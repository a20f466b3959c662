"""Mutants of the table of primitives: every entry in every other class, every guard dropped; and what kills each.

    python tests/table_mutants.py [WORD]      prints each mutant (with that word in it), its killer, and the score

A mutant is killed by a named program if it cannot be evaluated any more, if what the field computes without random
functions is not what the program computes, or if it answers otherwise: other shifts keep the output, or what was
computed is taken for any function.
"""

import ast
import contextlib
import dataclasses
import functools
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import primitives as table_of_cases
from fields import Lab
from jax import lax

from shiftproof.algebras.field import Known, Value, coded, make_field, orders_of_unity
from shiftproof.tracing import primitives
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.primitives import TABLE, Entry, Kind, anything
from shiftproof.tracing.trace import CALLS, Program, evaluate, fixed_values, open_body

MOST = 6
"""Programs per primitive, the shortest first."""

LONGEST = 40
"""Equations of a program that is run."""


def by_name(name: str, *arrays: Any, **params: Any) -> Any:
    """A primitive applied as it is."""
    return jax.make_jaxpr(lambda *a: getattr(lax, name)(*a, **params))(*arrays)


def whole(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of integers of eight bits."""
    return lambda x: fn(x.astype(jnp.int8))


def mirrored(x: Any) -> Any:
    """Twice the first half of a line, and its sum with the second: what is a sum is told from what is any function."""
    return x[:, :2], x[:, :2] + x[:, 2:]


FOUR = (4, 1)
EXTRA: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "int8 sums, cast to float": (whole(lambda y: (y[:, :2] + y[:, 2:]).astype(float).sum(1)), FOUR),
    "int8 to int32": (whole(lambda y: y.astype(jnp.int32).sum(1) - y.sum(1)), FOUR),
    "int8 quotient": (whole(lambda y: (y // 2) * 2 - y), FOUR),
    "lax.div of int8": (whole(lambda y: lax.div(y, 2 * y + 1).sum(1)), FOUR),
    "truths to numbers": (lambda x: (x > 2).astype(float).sum(1), FOUR),
    "numbers to truths": (lambda x: x.astype(bool).astype(float).sum(1) - x.sum(1), FOUR),
    "floats to integers": (lambda x: (x / 2).astype(int).sum(1) - (x / 2).sum(1).astype(int), FOUR),
    "complex to real": (
        lambda x: lax.convert_element_type(lax.complex(x, x * x), np.float64).sum(1),
        FOUR,
    ),
    "real to complex": (lambda x: x.astype(complex).imag + x, FOUR),
    "integers, shorter": (whole(lambda y: (y + y).astype(jnp.int4).astype(jnp.int8).sum(1)), FOUR),
    "bits of another width": (
        lambda x: lax.bitcast_convert_type(x, jnp.int32).sum(1),
        FOUR,
    ),
    "dot of int8 in int32": (
        whole(lambda y: lax.dot_general(y, y, (((1,), (1,)), ((0,), (0,))), None, np.int32)),
        FOUR,
    ),
    "dot of int8 in float": (
        whole(lambda y: lax.dot_general(y, y, (((1,), (1,)), ((0,), (0,))), None, np.float32)),
        FOUR,
    ),
    "an update of one's own": (lambda x: x.at[0, 0].apply(lambda v: v + 1).sum(1), FOUR),
    "an update that multiplies": (lambda x: x.at[:, 0].multiply(x[:, 1]).sum(1), FOUR),
    "an update that adds": (lambda x: x.at[:, np.array([0, 0, 1])].add(x[:, :3]).sum(1), FOUR),
    "an update that subtracts": (lambda x: x.at[:, np.array([0, 2, 3, 1])].subtract(x), FOUR),
    "an update where the image wants": (
        lambda x: x.at[0, x[0, 0, 0].astype(int)].set(x[0, 1]),
        FOUR,
    ),
    "an addition where the image wants": (
        lambda x: x.at[0, x[0, 0, 0].astype(int)].add(x[0, 1]),
        FOUR,
    ),
    "a subtraction where the image wants": (
        lambda x: x.at[0, x[0, 0, 0].astype(int)].add(-x[0, 1]),
        FOUR,
    ),
    "a slice where the image wants": (
        lambda x: lax.dynamic_slice(x, (0, x[0, 0, 0].astype(int), 0), (1, 2, 1)),
        FOUR,
    ),
    "a slice set where the image wants": (
        lambda x: lax.dynamic_update_slice(x, 2 * x[:, :1], (0, x[0, 0, 0].astype(int), 0)),
        FOUR,
    ),
    "a look-up where the image wants": (lambda x: jnp.arange(9.0)[x.astype(int)], FOUR),
    "a choice where the image wants": (lambda x: jnp.where(x > 2, x, x * x), FOUR),
    "a choice by a table": (lambda x: jnp.where(np.array([[0], [1]] * 2) > 0, x, -x), FOUR),
    "a product in another type": (
        lambda x: (
            lax.mul_p.bind(x.astype(np.int8), x.astype(np.int8), out_dtype=np.dtype("int32"))
            if "out_dtype" in inspect.signature(lax.mul).parameters
            else x
        ),
        FOUR,
    ),
    "an exact exponential": (lambda x: lax.exp(x, accuracy=lax.AccuracyMode.HIGHEST), FOUR),
    "digits of one width": (
        lambda x: lax.bitcast_convert_type(x, jnp.int64).sum(1) - x.astype(jnp.int64).sum(1),
        FOUR,
    ),
    "a window by a body": (
        lambda x: lax.reduce_window(x, 0.0, lambda a, b: a * b + a, (1, 2, 1), (1, 1, 1), "SAME"),
        FOUR,
    ),
    "sums of two halves": (mirrored, FOUR),
    "cumulative sums": (lambda x: lax.cumsum(x, 1)[:, -1] - x.sum(1), FOUR),
    "sums of windows": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 1), (1, 2, 1), "VALID").sum(1),
        FOUR,
    ),
    "a complex line": (lambda x: lax.complex(x, x * x).imag.sum(1), FOUR),
    "conjugates": (lambda x: jnp.conj(lax.complex(x, x)).imag.sum(1) + x.sum(1), FOUR),
    "maxima of two": (lambda x: jnp.maximum(x[:, :2], x[:, 2:]).max(1), FOUR),
    "minima of two": (lambda x: jnp.minimum(x[:, :2], x[:, 2:]).min(1), FOUR),
    "both of two": (lambda x: ((x > 2)[:, :2] & (x > 2)[:, 2:]).all(1), FOUR),
    "one of two": (lambda x: ((x > 2)[:, :2] | (x > 2)[:, 2:]).any(1), FOUR),
    "products of all": (lambda x: jnp.prod(x.reshape(2, 2, 2).prod(1), 1), FOUR),
    "a binary sum of all": (
        whole(lambda y: lax.reduce_xor(lax.reduce_xor(y.reshape(2, 2, 2), (1,)), (1,))),
        FOUR,
    ),
    "maxima of windows": (
        lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 1), (1, 2, 1), "VALID").max(1),
        FOUR,
    ),
    "minima of windows": (
        lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 2, 1), (1, 2, 1), "VALID").min(1),
        FOUR,
    ),
    "sorted": (lambda x: jnp.sort(x, 1), FOUR),
    "sorted, with company": (lambda x: lax.sort((x, 2 * x), dimension=1, num_keys=1)[1], FOUR),
    "the largest two": (lambda x: lax.top_k(x[..., 0], 2)[0], FOUR),
    "where the largest is": (lambda x: jnp.argmax(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "where the least is": (lambda x: jnp.argmin(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "running maxima": (lambda x: lax.cummax(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "running minima": (lambda x: lax.cummin(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "running products": (lambda x: lax.cumprod(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "running soft maxima": (lambda x: lax.cumlogsumexp(jnp.concatenate([x, 2 * x], 2), 2), FOUR),
    "a spectrum": (lambda x: jnp.fft.ifft(jnp.fft.fft(x, axis=1), axis=1).real - x, FOUR),
    "an empty array": (lambda x: x[:, :0].sum() + x, FOUR),
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """A traced program and its numbers.

    Attributes:
        name: of the case.
        program: traced.
        weights: whole numbers.
        free: whether the weights may be any.
        image: whole numbers.
        axes: grid axes of the batch.
    """

    name: str
    program: Program
    weights: list[Any]
    free: bool
    image: np.ndarray
    axes: tuple[int, ...]

    @functools.cached_property
    def met(self) -> frozenset[str]:
        """The primitives, those of bodies included."""
        return frozenset(names(self.program))


def names(program: Program) -> Iterator[str]:
    """The primitives of a program and of its bodies."""
    for eqn in program.equations:
        yield eqn.name
        for value in eqn.params.values():
            for body in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(body, "eqns") and hasattr(body, "jaxpr"):
                    yield from names(open_body(body))


def subject(name: str, model: Any, shape: Any, axes: Any, weights: str) -> Subject:
    rng = np.random.default_rng(list(name.encode()))
    image = rng.integers(1, 9, (2, *shape)) * rng.choice([-1, 1], (2, *shape))
    with jax.enable_x64(True):
        adapted = adapt(model)
        numbers = [
            jnp.asarray(rng.integers(-3, 4, leaf.shape), leaf.dtype)
            if jnp.issubdtype(leaf.dtype, np.floating)
            else leaf
            for leaf in adapted.cast(jnp.float64)
        ]
        program = trace_model(adapted, numbers, image.astype(np.float64))
    places = tuple(axis + 1 for axis in axes)
    return Subject(name, program, numbers, weights == "all", image.astype(np.float64), places)


@functools.cache
def subjects() -> tuple[Subject, ...]:
    """All programs, the shortest first."""
    found = [
        subject(name, fn, shape, tuple(range(len(shape) - 1)), "these")
        for name, (fn, shape) in EXTRA.items()
    ]
    for case in table_of_cases.CASES:
        found.append(subject(case.name, case.make(), case.image, case.axes, case.weights))
    return tuple(sorted(found, key=lambda s: len(s.program.equations)))


@functools.cache
def users(name: str) -> tuple[Subject, ...]:
    """Some programs that meet a primitive: those made for it first, then the shortest."""
    found = [s for s in subjects() if name in s.met and len(s.program.equations) <= LONGEST]
    made = [s for s in found if s.name in EXTRA]
    return (*found[:MOST], *(s for s in made if s not in found[:MOST]))


def signature(one: Subject) -> Any:
    """What the field says of a program: whether it computed it, and which shifts keep which output.

    Raises:
        AssertionError: what it computed is not what the program computes.
    """
    lab = Lab(one.program)
    arithmetic = lab.arithmetic
    program, field = one.program, make_field(arithmetic)

    def run(image: np.ndarray, free: Mapping[int, Any]) -> list[Value]:
        start: dict[int, Any] = {n: Known(a) for n, a in program.constants.items()}
        start |= {n: Known(w) for n, w in zip(program.weights, one.weights, strict=True)}
        start |= {n: Value((w,)) for n, w in free.items()}
        start[program.images] = Value((image,))
        values = field.run(program, start)
        return [field.value(values[o]) for o in program.outputs if isinstance(o, int) and kept(o)]

    def kept(number: int) -> bool:
        return not jnp.issubdtype(program.avals[number].dtype, jax.dtypes.prng_key)

    with jax.enable_x64(True):
        free = dict(zip(program.weights, one.weights, strict=True)) if one.free else {}
        free = {
            n: w for n, w in free.items() if jnp.issubdtype(w.dtype, np.floating) and np.size(w)
        }
        made = run(
            arithmetic.embed(one.image),
            {n: arithmetic.embed(np.asarray(w)) for n, w in free.items()},
        )
        computed = field.tally.lookups == 0
        if computed and orders_of_unity(program) == 1:
            check(one, made, arithmetic)
        given = {n: arithmetic.draw(f"weight {n}", np.shape(w)) for n, w in free.items()}
        answers = []
        still: list[Any] = []
        for shift in np.ndindex(*(one.image.shape[axis] for axis in one.axes)):
            image = np.roll(lab.image, shift, tuple(axis + 1 for axis in one.axes))
            outputs = [[np.asarray(p) for p in coded(v)] for v in run(image, given)]
            still = still or outputs
            for before, after in zip(still, outputs, strict=True):
                answers.append(all(map(np.array_equal, before, after)))
                if before[0].ndim > max(one.axes) + 1:
                    places = tuple(axis + 1 for axis in one.axes)
                    moved = [np.roll(part, shift, places) for part in before]
                    answers.append(all(map(np.array_equal, moved, after)))
    return computed, bool(field.opaque), tuple(answers)


def check(one: Subject, made: list[Value], arithmetic: Any) -> None:
    """What was computed without random functions is what the program computes, where that is a dyadic number."""
    fixed = fixed_values(one.program, one.weights)
    values = {**fixed, **evaluate(one.program, fixed, one.image)}
    outputs = [
        np.asarray(values[o])
        for o in one.program.outputs
        if isinstance(o, int) and not jnp.issubdtype(values[o].dtype, jax.dtypes.prng_key)
    ]
    for real, value in zip(outputs, made, strict=True):
        parts = (real.real, real.imag) if np.iscomplexobj(real) else (real,)
        if real.dtype.kind in "iu":  # sums wrap
            continue
        for part, found in zip(parts, value.parts, strict=True):
            wide = part.astype(np.float64) * 2.0**20
            fine = np.isfinite(wide) & (wide == np.round(wide))
            expected = arithmetic.embed(np.where(fine, part, 0).astype(np.float64))
            right = np.all((np.asarray(found) == expected) | ~fine)
            assert right, f"computed wrongly: {one.name}"


# --- mutants ---


class Mutant(NamedTuple):
    """One change: its label, the primitives that it concerns, and a context in which it is made."""

    label: str
    concerns: tuple[str, ...]
    made: Callable[[], Any]


@contextlib.contextmanager
def replaced(name: str, entry: Entry) -> Iterator[None]:
    """Another entry in the table."""
    old = TABLE[name]
    TABLE[name] = entry  # type: ignore[index]
    try:
        yield
    finally:
        TABLE[name] = old  # type: ignore[index]


@contextlib.contextmanager
def changed(source: str) -> Iterator[None]:
    """`_by_types` with another text."""
    old = primitives._by_types
    exec(compile(source, "<mutant>", "exec"), vars(primitives))
    try:
        yield
    finally:
        primitives._by_types = old


def mutants() -> Iterator[Mutant]:
    """All changes to entries that some program meets, and to the rules by types."""
    met = frozenset().union(*(s.met for s in subjects()))
    for name in sorted(met & TABLE.keys()):
        entry = TABLE[name]
        for kind in Kind:
            if kind is not entry.kind:
                moved = dataclasses.replace(entry, kind=kind, otherwise=Kind.OPAQUE)
                yield Mutant(
                    f"{name}: {entry.kind.name} -> {kind.name}",
                    (name,),
                    functools.partial(replaced, name, moved),
                )
        if entry.known:
            free = dataclasses.replace(entry, known=())
            yield Mutant(
                f"{name}: nothing must be known", (name,), functools.partial(replaced, name, free)
            )
            for kind in Kind:
                if kind is not entry.otherwise:
                    other = dataclasses.replace(entry, otherwise=kind)
                    yield Mutant(
                        f"{name}: otherwise {entry.otherwise.name} -> {kind.name}",
                        (name,),
                        functools.partial(replaced, name, other),
                    )
        for key, test in entry.params.items():
            if test is not anything:
                loose = dataclasses.replace(entry, params={**entry.params, key: anything})
                yield Mutant(
                    f"{name}: any {key}", (name,), functools.partial(replaced, name, loose)
                )
            less = {k: v for k, v in entry.params.items() if k != key}
            strict = dataclasses.replace(entry, params=less)
            yield Mutant(
                f"{name}: without {key}", (name,), functools.partial(replaced, name, strict)
            )
    arithmetic = (
        "add",
        "convert_element_type",
        "mul",
        "div",
        "dot_general",
        "bitcast_convert_type",
    )
    others = tuple(n for n in sorted(met) if n in TABLE and n not in arithmetic)
    for label, source in rules_by_types():
        yield Mutant(label, (*arithmetic, *others), functools.partial(changed, source))


def rules_by_types() -> Iterator[tuple[str, str]]:
    """`_by_types` with one condition that always or never holds."""
    text = inspect.getsource(primitives._by_types)
    count = sum(isinstance(n, (ast.If, ast.BoolOp)) for n in ast.walk(ast.parse(text)))
    for number in range(count):
        for value in (True, False):
            tree = ast.parse(text)
            nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.If, ast.BoolOp))]
            node = nodes[number]
            if isinstance(node, ast.If):
                told, node.test = ast.unparse(node.test), ast.Constant(value)
            else:
                told = ast.unparse(node)
                node.values = [ast.Constant(value)]
            yield f"_by_types: {told} -> {value}", ast.unparse(ast.fix_missing_locations(tree))


EQUIVALENT: dict[str, str] = {}
"""Mutants that say the same as the table, each with the reason why."""


@functools.cache
def right(name: str, place: int) -> Any:
    """The answer of the table as it is."""
    return signature(users(name)[place])


def killer(mutant: Mutant) -> str | None:
    """The program that kills it; None where it survives."""
    for name in mutant.concerns:
        for place, one in enumerate(users(name)):
            expected = right(name, place)
            with mutant.made():
                try:
                    found = signature(one)
                except Exception as error:
                    return f"{one.name} ({type(error).__name__})"
            if found != expected:
                return one.name
    return None


def survey(word: str = "", every: int = 1) -> Iterator[tuple[Mutant, str | None]]:
    """The mutants whose label holds the word, each or one of so many, with its killer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, mutant in enumerate(mutants()):
            if word in mutant.label and number % every == 0:
                yield mutant, killer(mutant)


def without_entry() -> set[str]:
    """Primitives of any program that are neither in the table nor inlined."""
    return set().union(*(s.met for s in subjects())) - TABLE.keys() - CALLS.keys()


def main() -> int:
    start, killed, total, equivalent = time.perf_counter(), 0, 0, 0
    for mutant, found in survey(*sys.argv[1:2]):
        total += 1
        if found is None and mutant.label in EQUIVALENT:
            equivalent += 1
            print(f"equivalent  {mutant.label}\n            {EQUIVALENT[mutant.label]}", flush=True)
        else:
            killed += found is not None
            print(
                f"{'killed  ' if found else 'SURVIVES'}  {mutant.label}\n            {found or '-'}",
                flush=True,
            )
    seconds = time.perf_counter() - start
    print(f"{killed} of {total - equivalent} killed, {equivalent} equivalent, {seconds:.0f} s")
    return killed + equivalent != total


if __name__ == "__main__":
    sys.exit(main())
