"""Disturbing: every value on the way changed in its last place, to see what rounding can do.

A large program is run equation by equation for that. As one, a network would take minutes to compile, since the
compiler fuses what disturbs with what is disturbed; one at a time, equations that are alike are compiled once.
"""

import functools
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.tracing.primitives import Kind, entry_of
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    applied_in,
    apply,
    bodies,
    evaluate,
    fixed_values,
    interpret,
    open_body,
    scan_counts,
)

MOST_TOGETHER = 64
"""Equations up to which a program is compiled as one."""

EXACT = frozenset([Kind.MOVES, Kind.EXTREMUM])
"""Classes of equations that give numbers which they were given, but for products; all others round."""

WHOLE = frozenset(
    """
    abs ceil clamp complex conj convert_element_type floor imag neg real rem round select_n sign
    """.split()
)
"""Primitives of other classes that do not round."""


NEVER_ZERO = frozenset("erfc exp exp2 logistic".split())
"""Primitives whose results are not 0, whatever they are given."""

MULTIPLYING = NEVER_ZERO | frozenset(
    "cumprod div integer_pow mul pow reduce_prod scatter-mul scatter_mul square".split()
)
"""Primitives whose results may be smaller than any number of the format, and are not 0."""


STEPS = frozenset("ceil convert_element_type eq floor ge gt le lt ne".split())
"""Primitives whose results jump where operands are equal, or whole."""

BESIDE = 1024.0
"""How many last places from a step an operand counts as upon it."""

SPARE_ROUNDS = 64
"""How many rounds more than twice its own a disturbed loop is given; one that waits for equality would never end."""


def _rounds(eqn: Equation) -> bool:
    entry = entry_of(eqn.name, eqn.params)
    exact = entry is not None and entry.kind in EXACT and eqn.name not in MULTIPLYING
    return eqn.name not in WHOLE and not exact


def _disturb(
    eqn: Equation, operands: Sequence[Any], results: Sequence[Any], salt: Any
) -> tuple[Sequence[Any], Any]:
    """The results, disturbed where the equation rounds; and whether one left the range of its format.

    By at most two units in the last place, as rounding might, and not at all for salt 0. Beside a step, for some salts,
    those upon the step. Out of range is what is infinite, NaN, or below the smallest number, where no operand is
    infinite, NaN or 0.
    """
    given = [jnp.asarray(o.value if isinstance(o, Literal) else o) for o in operands]
    if eqn.name in STEPS:
        results = _upon_step(eqn, given, results, salt)
    if not _rounds(eqn):
        return results, False
    inexact = [jnp.issubdtype(value.dtype, np.inexact) for value in results]
    strides = [np.uint32(40503 + 2 * number) for number in eqn.outputs]
    inner = (each.name for body in bodies(eqn.params) for each in applied_in(body))
    shaken, left = _shaken(
        [o for o in given if jnp.issubdtype(o.dtype, np.inexact)],
        [value for value, free in zip(results, inexact, strict=True) if free],
        [
            _units(1 << (value.size - 1).bit_length(), stride, salt)
            for value, stride, free in zip(results, strides, inexact, strict=True)
            if free
        ],
        multiplies=eqn.name in MULTIPLYING,
        may_be_zero=eqn.name not in NEVER_ZERO,
        # what a loop carries may vanish on the way
        carries=bool(MULTIPLYING.intersection(inner)),
    )
    moved = iter(shaken)
    return [
        next(moved) if free else value for value, free in zip(results, inexact, strict=True)
    ], left


@functools.partial(jax.jit, static_argnames=("multiplies", "may_be_zero", "carries"))
def _shaken(
    given: list[jax.Array],
    made: list[jax.Array],
    units: list[jax.Array],
    *,
    multiplies: bool,
    may_be_zero: bool,
    carries: bool,
) -> tuple[list[jax.Array], jax.Array]:
    finite = jnp.all(jnp.asarray([jnp.all(jnp.isfinite(o)) for o in given]))
    left = jnp.any(jnp.asarray([jnp.any(~jnp.isfinite(r)) for r in made]))
    if multiplies and made:
        small = jnp.abs(made[0]) < jnp.finfo(made[0].dtype).tiny
        for operand in given if may_be_zero else ():
            # a product over an axis has another shape than its result
            nonzero = operand != 0
            small &= nonzero if nonzero.shape in ((), small.shape) else jnp.all(nonzero)
        left |= jnp.any(small)
    if carries:
        left |= jnp.any(jnp.asarray([jnp.any(r == 0) for r in made]))
    shaken = []
    for value, unit in zip(made, units, strict=True):
        own = unit[: value.size].reshape(value.shape).astype(jnp.finfo(value.dtype).dtype)
        shaken.append(value * (1 + own * jnp.finfo(value.dtype).eps).astype(value.dtype))
    return shaken, finite & left


def _upon_step(
    eqn: Equation, operands: Sequence[Any], results: Sequence[Any], salt: Any
) -> Sequence[Any]:
    """The results of a comparison or of a rounding to whole numbers; of every fourth salt for operands that are taken
    for equal, or for whole, where they almost are.

    Of numbers that are equal but for rounding, as x / 49 * 49 and x are, disturbances never make equal ones.
    """
    first, *others = _strong(operands)
    if not jnp.issubdtype(first.dtype, np.floating):
        return results
    if eqn.name == "convert_element_type" and not jnp.issubdtype(results[0].dtype, np.integer):
        return results
    step = others[0] if others else jnp.round(first)
    size = jnp.maximum(jnp.abs(first), jnp.abs(step))
    beside = jnp.abs(first - step) <= BESIDE * float(jnp.finfo(first.dtype).eps) * size
    (upon,) = apply(eqn, [jnp.where(beside, step, first), *others])
    return [jnp.where((salt > 0) & (salt % 4 == 0), upon, results[0])]


def _disturbed_body(body: Program, inputs: Sequence[Any], salt: Any) -> list[Any]:
    """The results of a body of which every equation that rounds is disturbed."""

    def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
        given = [o.value if isinstance(o, Literal) else o for o in operands]
        run = functools.partial(_LOOPS[eqn.name], salt=salt) if eqn.name in _LOOPS else apply
        return _disturb(eqn, given, run(eqn, given), salt)[0]

    start = {**body.constants, **dict(zip(body.weights, inputs, strict=True))}
    values = interpret(body, start, step)
    made = [o.value if isinstance(o, Literal) else values[o] for o in body.outputs]
    return [lax.convert_element_type(v, jnp.result_type(v)) for v in made]


def computed_of_weights(program: Program) -> Set[int]:
    """Rounded values that follow from weights and not from images; constants are what the program makes of them."""
    made = {
        output
        for eqn in program.equations
        if _rounds(eqn) or eqn.name in STEPS
        for output in eqn.outputs
    }
    return made & (program.depending_on(set(program.weights)) - program.from_images)


def disturbed_values(
    program: Program, weights: Sequence[Any], seed: int
) -> tuple[dict[int, Any], Any]:
    """`fixed_values`, where every equation on the way from weights that rounds is disturbed; and whether a value left
    the range of its format.
    """
    computed, wanted = computed_of_weights(program), fixed_values(program, weights)

    def compute(given: dict[int, Any], salt: Any) -> tuple[dict[int, Any], Any]:
        left: list[Any] = [jnp.asarray(False)]

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
            if eqn.outputs[0] in program.from_images:
                return [None] * len(eqn.outputs)
            if eqn.outputs[0] not in computed:
                return apply(eqn, operands)
            run = functools.partial(_LOOPS[eqn.name], salt=salt) if eqn.name in _LOOPS else apply
            results, outside = _disturb(eqn, operands, run(eqn, operands), salt)
            left.append(jnp.asarray(outside))
            return results

        values = interpret(program, {**given, program.images: None}, step)
        return {number: values[number] for number in wanted}, jnp.any(jnp.stack(left))

    given = {**program.constants, **dict(zip(program.weights, weights, strict=True))}
    return compute(given, jnp.uint32(seed))


def _scan(eqn: Equation, operands: Sequence[Any], salt: Any) -> list[Any]:
    constants, carries = scan_counts(eqn)
    body, given = open_body(eqn.params["jaxpr"]), _strong(operands)

    def one(carry: Any, slices: Any) -> Any:
        made = _disturbed_body(body, [*given[:constants], *carry, *slices], salt)
        return made[:carries], made[carries:]

    end = constants + carries
    length, back = int(eqn.params["length"]), bool(eqn.params["reverse"])
    carry, rows = lax.scan(one, given[constants:end], given[end:], length, reverse=back)
    return [*carry, *rows]


def _while(eqn: Equation, operands: Sequence[Any], salt: Any) -> list[Any]:
    params, given = eqn.params, _strong(operands)
    tested = params["cond_nconsts"]
    first = tested + params["body_nconsts"]
    test, body = open_body(params["cond_jaxpr"]), open_body(params["body_jaxpr"])

    def run(salt: Any, most: Any) -> list[Any]:
        """How many rounds there are, and what is carried in the end."""
        return lax.while_loop(
            lambda state: (
                _disturbed_body(test, [*given[:tested], *state[1:]], salt)[0] & (state[0] < most)
            ),
            lambda state: [
                state[0] + 1,
                *_disturbed_body(body, [*given[tested:first], *state[1:]], salt),
            ],
            [jnp.int32(0), *given[first:]],
        )

    own, *_ = run(np.uint32(0), np.iinfo(np.int32).max)
    most = 2 * jnp.minimum(own, 2**29) + SPARE_ROUNDS
    rounds, *carried = run(salt, most)
    # a loop that does not end gives no number, so that nothing is judged by it
    return [
        jnp.where(rounds < most, value, np.nan).astype(value.dtype)
        if jnp.issubdtype(value.dtype, np.inexact)
        else value
        for value in carried
    ]


def _cond(eqn: Equation, operands: Sequence[Any], salt: Any) -> list[Any]:
    choice, *given = _strong(operands)

    def branch(closed: Any) -> Callable[..., list[Any]]:
        return lambda *inputs: _disturbed_body(open_body(closed), inputs, salt)

    return lax.switch(choice, [branch(closed) for closed in eqn.params["branches"]], *given)


def _strong(operands: Sequence[Any]) -> list[Any]:
    """Arrays of a type of their own, as loops carry them."""
    given = [o.value if isinstance(o, Literal) else o for o in operands]
    return [lax.convert_element_type(o, jnp.result_type(o)) for o in given]


_LOOPS: Mapping[str, Callable[..., list[Any]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
"""Loops and branches, run with disturbed bodies."""


@functools.partial(jax.jit, static_argnums=0)
def _units(size: int, stride: Any, salt: Any) -> Any:
    """A cheap pattern of -1, 0, 1 and 2 without order, another one for every stride and salt; all 0 for salt 0.

    Of three salts one lessens every cell and one enlarges it: where a function is as large as it gets, as 1 is of a
    sigmoid, what lies above its rounded value says nothing of what lies below.
    """

    def pattern(number_of_salt: Any) -> Any:
        places = lax.iota(np.uint32, size) + number_of_salt * stride
        bits = (places * np.uint32(2654435761)) >> np.uint32(29)
        return (bits & np.uint32(3)).astype(np.int8) - np.int8(1)

    third = jnp.uint32(salt) % 3 == 0
    first, second = pattern(jnp.uint32(salt) - 2), pattern(jnp.uint32(salt) - 1)
    missing = jnp.where(jnp.minimum(first, second) >= 0, -1, pattern(jnp.uint32(salt)))
    missing = jnp.where(jnp.maximum(first, second) <= 0, 1, missing)
    return jnp.where(salt > 0, jnp.where(third, missing, pattern(jnp.uint32(salt))), 0)


def disturbed(program: Program) -> Callable[..., list[Any]]:
    """The program on several images, `(images, divisors, fixed, salt) -> outputs`, disturbed; the last output says for
    which images a value left the range of its format.
    """

    def one(
        image: jax.Array, divisors: dict[int, Any], fixed: dict[int, Any], salt: Any
    ) -> list[Any]:
        left: list[Any] = [jnp.asarray(False)]

        def after(eqn: Equation, operands: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
            if eqn.name in _LOOPS:
                # rounding may grow from round to round, so what a body computes is disturbed, too
                results = _LOOPS[eqn.name](eqn, operands, salt)
            results, outside = _disturb(eqn, operands, results, salt)
            left.append(jnp.asarray(outside))
            return results

        values = evaluate(program, fixed, image, divisors, after=after)
        outputs = [values[o] if isinstance(o, int) else o.value for o in program.outputs]
        return [*map(jnp.asarray, outputs), jnp.any(jnp.stack(left))]

    run = jax.vmap(one, in_axes=(0, 0, None, None))
    return jax.jit(run) if len(program.equations) <= MOST_TOGETHER else run
