"""Widening: the program that computes in float64, made of the traced one, without another call of the user's code.

    widen(program)      every float becomes float64, every complex number complex128

Over the real numbers a program does not depend on its formats: casts between floats are the identity, constants and
literals are the numbers that they hold. So a bfloat16 model is decided like any other. Values keep their numbers, and
integers and truths their dtypes. What looks at the bits of a float, or holds a format that is no parameter of its
own, cannot be widened; `WideningError` says what and where, and the program then runs as it was traced.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from shiftproof.errors import WideningError
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    apply,
    interpret,
    located,
    open_body,
)

DTYPES = frozenset(["dtype", "index_dtype", "input_dtype", "new_dtype", "preferred_element_type"])
"""Parameters that state the dtype of an operand or a result."""

HOLD_BODIES = frozenset(
    """
    cond custom_linear_solve reduce reduce_window scan while
    scatter scatter-add scatter-max scatter-min scatter-mul scatter-sub scatter_add scatter_max scatter_min scatter_mul
    """.split()
)
"""Primitives whose bodies are programs of their own, to be widened alike; all others that hold one are refused."""

CONSTANTS_BESIDE: Mapping[str, str] = {"jaxpr": "consts", "update_jaxpr": "update_consts"}
"""Parameters that hold a body whose constants are a parameter of their own."""

STORED: Mapping[str, str] = {
    "bitcast_convert_type": "reads the bits of a float",
    "nextafter": "gives the neighbour of a float, which is another number in another format",
    "random_gamma": "draws other random numbers in another format",
    "pure_callback": "calls a Python function that was promised other formats",
}
"""Primitives that are other functions in other formats, and why they are not widened where a float moves in them.

Where none does, they run in the format in which they were traced, and the result is a number like any other: a random
table is made of the bits of integers.
"""


@dataclasses.dataclass(frozen=True)
class Format:
    """What floats become: real ones, and complex ones."""

    real: Any
    complex: Any

    def dtype(self, dtype: Any) -> Any:
        """The dtype that takes the place of another; integers, truths and random keys stay."""
        if jnp.issubdtype(dtype, np.floating):
            return np.dtype(self.real)
        return np.dtype(self.complex) if jnp.issubdtype(dtype, np.complexfloating) else dtype

    def aval(self, aval: Any) -> jax.ShapeDtypeStruct:
        """The same for a shape and dtype."""
        return jax.ShapeDtypeStruct(aval.shape, self.dtype(aval.dtype))

    def value(self, value: Any) -> Any:
        """The same for an array: the numbers stay, as far as the format holds them.

        Real numbers have one zero, so that -0.0 becomes 0.0.
        """
        return np.asarray(value, self.dtype(value.dtype)) + 0 if is_inexact(value) else value


DOUBLE, SINGLE = Format(np.float64, np.complex128), Format(np.float32, np.complex64)


def is_inexact(value: Any) -> bool:
    """Whether an array, or a shape and dtype, is of floats or complex numbers."""
    return bool(jnp.issubdtype(value.dtype, np.inexact))


def widen(program: Program) -> Program:
    """The same program in float64, to be evaluated in 64-bit mode.

    Raises:
        WideningError: an equation depends on how its floats are stored.
    """
    return recast(program, DOUBLE)


def recast(program: Program, form: Format) -> Program:
    """The same program in another format of all its floats.

    Raises:
        WideningError: an equation depends on how its floats are stored.
    """
    avals = {number: form.aval(aval) for number, aval in program.avals.items()}
    moving = program.depending_on({program.images, *program.weights})
    equations: list[Equation] = []
    for eqn in program.equations:
        if eqn.name in STORED:
            equations += _as_traced(eqn, program.avals, avals, moving, form)
        else:
            equations.append(_recast_equation(eqn, form))
    found = dataclasses.replace(
        program,
        equations=tuple(equations),
        avals=avals,
        constants={n: form.value(value) for n, value in program.constants.items()},
        outputs=tuple(_recast_operand(o, form) for o in program.outputs),
        fingerprint=hashlib.sha256(f"{form}{program.fingerprint}".encode()).hexdigest(),
    )
    _check(found)
    return found


def _recast_operand(operand: int | Literal, form: Format) -> int | Literal:
    return Literal(form.value(operand.value)[()]) if isinstance(operand, Literal) else operand


def _recast_equation(eqn: Equation, form: Format) -> Equation:
    """The same equation on operands of the new format."""
    inputs = tuple(_recast_operand(o, form) for o in eqn.inputs)
    if eqn.name == "reduce_precision":  # it rounds, which the real numbers do not
        return _conversion(eqn, inputs[0], eqn.outputs[0], form.real)
    params = dict(eqn.params)
    for key, value in eqn.params.items():
        params[key] = _recast_parameter(eqn, key, value, form)
    for key, beside in CONSTANTS_BESIDE.items():
        if isinstance(params.get(key), Jaxpr) and beside in params:
            body = _recast_body(ClosedJaxpr(eqn.params[key], eqn.params[beside]), form)
            params |= {key: body.jaxpr, beside: tuple(body.consts)}
    return dataclasses.replace(eqn, params=params, inputs=inputs)


def _conversion(eqn: Equation, operand: int | Literal, output: int, dtype: Any) -> Equation:
    return dataclasses.replace(
        eqn,
        primitive=lax.convert_element_type_p,
        params={"new_dtype": np.dtype(dtype), "weak_type": False, "sharding": None},
        inputs=(operand,),
        outputs=(output,),
    )


def _as_traced(
    eqn: Equation,
    traced: Mapping[int, Any],
    avals: dict[int, Any],
    moving: Set[int],
    form: Format,
) -> list[Equation]:
    """The equation in the format in which it was traced, between conversions; new values are added to `avals`.

    Raises:
        WideningError: a float that depends on the images or on weights meets it.
    """

    def fresh(number: int) -> int:
        avals[len(avals)] = traced[number]
        return len(avals) - 1

    before, inputs, outputs, after = [], [], [], []
    for operand in eqn.inputs:
        if isinstance(operand, int) and is_inexact(traced[operand]):
            if operand in moving:
                raise _error(eqn, STORED[eqn.name])
            before.append(_conversion(eqn, operand, fresh(operand), traced[operand].dtype))
            operand = before[-1].outputs[0]
        inputs.append(operand)
    for output in eqn.outputs:
        given = fresh(output) if is_inexact(traced[output]) else output
        if given != output:
            after.append(_conversion(eqn, given, output, form.dtype(traced[output].dtype)))
        outputs.append(given)
    made = dataclasses.replace(eqn, inputs=tuple(inputs), outputs=tuple(outputs))
    return [*before, made, *after]


def _recast_parameter(eqn: Equation, key: str, value: Any, form: Format) -> Any:
    if key in DTYPES:
        return value if value is None else form.dtype(value)
    if isinstance(value, (lax.DotAlgorithm, lax.DotAlgorithmPreset)):
        return None  # an algorithm names the formats that it computes in
    if key in CONSTANTS_BESIDE and CONSTANTS_BESIDE[key] in eqn.params:
        return value
    if isinstance(value, (Jaxpr, ClosedJaxpr)) or (
        isinstance(value, tuple) and any(isinstance(part, (Jaxpr, ClosedJaxpr)) for part in value)
    ):
        return _recast_bodies(eqn, value, form)
    if isinstance(value, (np.dtype, type)) and jnp.issubdtype(value, np.inexact):
        raise _error(eqn, f"has a parameter {key} that names {np.dtype(value).name}")
    return value


def _recast_bodies(eqn: Equation, value: Any, form: Format) -> Any:
    if eqn.name not in HOLD_BODIES:
        raise _error(eqn, "holds a program that is run in a way that is not known")
    if hasattr(value, "_fields"):  # a named tuple, some of whose places may be empty
        parts = {name: getattr(value, name) for name in value._fields}
        return value._replace(
            **{name: part and _recast_bodies(eqn, part, form) for name, part in parts.items()}
        )
    if isinstance(value, tuple):
        return tuple(_recast_bodies(eqn, part, form) for part in value)
    return _recast_body(value, form)


def _recast_body(closed: Any, form: Format) -> Any:
    """The body of a loop, a branch or an update, traced anew from its recast program."""
    body = recast(open_body(closed), form)

    def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
        with located(eqn.site):
            return apply(eqn, operands)

    with jax.enable_x64(True):
        return jax.make_jaxpr(_runner(body, step))(*(body.avals[n] for n in body.weights))


def _runner(program: Program, step: Callable[..., Sequence[Any]]) -> Callable[..., list[Any]]:
    """The body as a function of its inputs."""

    def run(*inputs: Any) -> list[Any]:
        given = dict(zip(program.weights, inputs, strict=True))
        values = interpret(program, {**program.constants, **given}, step)
        return [values[o] if isinstance(o, int) else o.value for o in program.outputs]

    return run


def _check(program: Program) -> None:
    """Hold every recast equation against the types that it must give; nothing is computed.

    Raises:
        WideningError: it gives others, or JAX refuses it.
    """

    def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
        try:
            results = apply(eqn, operands)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise _error(eqn, f"is refused by JAX ({str(error).splitlines()[0]})") from error
        for result, number in zip(results, eqn.outputs, strict=True):
            wanted, dtype = program.avals[number], jnp.result_type(result)
            if dtype != wanted.dtype or np.shape(result) != wanted.shape:
                raise _error(eqn, f"gives {dtype} where {wanted.dtype} is needed")
        return results

    def run(given: Mapping[int, Any]) -> None:
        interpret(program, given, step)

    inputs = (*program.weights, program.images, *program.constants)
    with jax.enable_x64(True):
        jax.eval_shape(run, {n: program.avals[n] for n in inputs if n in program.avals})


def _error(eqn: Equation, why: str) -> WideningError:
    place = f"{eqn.name} at {eqn.site}" if str(eqn.site) else eqn.name
    return WideningError(
        f"the program cannot be evaluated in float64: {place} {why}. It can be run as it was traced only."
    )
