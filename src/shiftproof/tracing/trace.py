"""Tracing: a model becomes a flat `Program`, and one loop, `interpret`, walks it for every analysis.

This is the only module that touches JAX internals. Calls (`jit`, `custom_jvp_call`, `remat`, ...) are inlined, so
that a program is one list of equations; each remembers the place in the user's code that made it.
`scan`, `while` and `cond` stay single equations.

Over 600 lines, because JAX's internals are met here and nowhere else.
"""

import dataclasses
import functools
import hashlib
import os
import re
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax._src import source_info_util
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr

from shiftproof.errors import ModelCallError
from shiftproof.plain import plain

CALLS: Mapping[str, str] = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_vmap_call": "call",
    "remat": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "composite": "jaxpr",
}
"""Call primitives and the parameter that holds what they call; `call_jaxpr` where they have none of that name."""

_ADDRESS = r"0x[0-9a-f]+"
_MARK = "__shiftproof_trace__"
_MODULE = "__shiftproof_module__"
_ADAPTER = f"{os.sep}torchax{os.sep}"
_OWN = f"{Path(__file__).parents[1]}{os.sep}"


@dataclasses.dataclass(frozen=True)
class Frame:
    """One place in the user's code: file, line, columns of the call, and the function it is in."""

    file: str
    line: int
    columns: tuple[int, int]
    function: str

    def __str__(self) -> str:
        cell = _cell_number(self.file)
        if cell:
            return f"cell {cell}, line {self.line}"
        return f"{plain(os.path.basename(self.file))}:{self.line}"


def _cell_number(file: str) -> str:
    """The number of the cell of a notebook whose code IPython keeps under this name of a file; "" elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    named = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)(file)
    found = re.fullmatch(r"In\s*\[(\d+)\]", named[1]) if named else None
    return found[1] if found else ""


@dataclasses.dataclass(frozen=True)
class Site:
    """Where an equation comes from.

    Attributes:
        frames: the user's frames, innermost first; empty where the model is no user code.
        callee: the public library function that the innermost frame called, such as `max_pool`, or "".
        module: the name of the layer that was called there, where its framework says it (`module_scope`), or "".
        traceback: what JAX remembers of the place, for `located`.
    """

    frames: tuple[Frame, ...]
    callee: str
    module: str = ""
    traceback: Any = dataclasses.field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return str(self.frames[0]) if self.frames else ""


@dataclasses.dataclass(frozen=True)
class Equation:
    """One primitive application; values are numbered, literals stand in place.

    Attributes:
        primitive: the JAX primitive.
        params: its parameters.
        inputs: for each operand the number of a value, or a `Literal`.
        outputs: the numbers of the values it defines.
        site: the place in the user's code.
        context: JAX's settings where it was traced, such as 64-bit mode.
    """

    primitive: Any
    params: Mapping[str, Any]
    inputs: "tuple[int | Literal, ...]"
    outputs: tuple[int, ...]
    site: Site
    context: Any

    @property
    def name(self) -> str:
        """The name of the primitive."""
        return self.primitive.name


@dataclasses.dataclass(frozen=True)
class Literal:
    """A constant written into an equation."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Composite:
    """An operation that its maker named by `jax.lax.composite`, and that was inlined as any other call.

    Attributes:
        equation: the call.
        within: the numbers of the values that its parts define, its outputs among them.
        modes: whether it was traced in 64-bit mode, and with which precision of products.
    """

    equation: Equation
    within: range
    modes: tuple[bool, Any]

    def is_like(self, function: Callable[..., Any], *arguments: Any) -> bool:
        """Whether `function(*arguments)`, traced in the same modes, holds one composite, and that is defined alike."""
        wide, precision = self.modes
        with jax.enable_x64(wide), jax.default_matmul_precision(precision):
            made = _flatten(jax.make_jaxpr(function)(*arguments))[0].composites
        return [other.definition for other in made] == [self.definition]

    @property
    def definition(self) -> tuple[Any, ...]:
        """Its name, version and settings, and the text of its program, which may hold no constants."""
        jaxpr, constants = _open(_called(self.equation))
        settings = [self.equation.params[key] for key in ("name", "version", "attributes")]
        return (*settings, len(constants), len(jaxpr.constvars), str(jaxpr))

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings, by name."""
        found = self.equation.params["attributes"]
        return {name: tree.unflatten(leaves) for name, leaves, tree in found}

    @property
    def operands(self) -> list[jax.ShapeDtypeStruct]:
        """Shape and dtype of every operand, as it was traced."""
        avals = (variable.aval for variable in _open(_called(self.equation))[0].invars)
        return [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]


@dataclasses.dataclass(frozen=True)
class Program:
    """A traced model, `(weights, images) -> outputs`, as a flat list of equations.

    Attributes:
        equations: in order of execution.
        avals: shape and dtype of every value, by number.
        weights: numbers of the weight values, in the order of `weight_names`.
        weight_names: dotted path of each weight.
        images: number of the image value.
        constants: value of every constant of the program (tables, masks, closed-over arrays), by number; copies, so
            that no array of the user's is ever given to JAX under another mode than the user's own.
        outputs: numbers (or literals) of the outputs.
        output_names: dotted path of each output leaf; `output` where there is one.
        fingerprint: sha256 of the program's text and of its constants, and of the format it was recast to.
        composites: the composites that were inlined, in order.
    """

    equations: tuple[Equation, ...]
    avals: Mapping[int, jax.ShapeDtypeStruct]
    weights: tuple[int, ...]
    weight_names: tuple[str, ...]
    images: int
    constants: Mapping[int, Any]
    outputs: tuple[int | Literal, ...]
    output_names: tuple[str, ...]
    fingerprint: str
    composites: tuple[Composite, ...] = ()

    @functools.cached_property
    def calls_python(self) -> bool:
        """Whether an equation holds a Python function, which the fingerprint does not tell from others."""
        texts = (str(value) for eqn in self.equations for value in eqn.params.values())
        return any(re.search(_ADDRESS, text) for text in texts)

    @functools.cached_property
    def from_images(self) -> frozenset[int]:
        """The numbers of all values that depend on the images."""
        return self.depending_on({self.images})

    def depending_on(self, numbers: Set[int]) -> frozenset[int]:
        """The numbers of all values that depend on some of those given, these included."""
        reached = set(numbers)
        for eqn in self.equations:
            if any(o in reached for o in eqn.inputs if isinstance(o, int)):
                reached.update(eqn.outputs)
        return frozenset(reached)

    @functools.cached_property
    def last_uses(self) -> Sequence[frozenset[int]]:
        """For every equation the numbers of the values that none after it uses."""
        used: set[int] = set()
        found = []
        for eqn in reversed(self.equations):
            here = {*(o for o in eqn.inputs if isinstance(o, int)), *eqn.outputs}
            found.append(frozenset(here - used))
            used |= here
        return found[::-1]

    @functools.cached_property
    def rounding(self) -> Mapping[int, float]:
        """For every value that depends on the images: the relative rounding of the coarsest float on the way to it."""
        found = {self.images: _rounding(self.avals[self.images].dtype)}
        for eqn in self.equations:
            before = [found[o] for o in eqn.inputs if isinstance(o, int) and o in found]
            if before:
                coarsest = max(*before, *map(_rounding, self.formats(eqn)))
                found.update(dict.fromkeys(eqn.outputs, coarsest))
        return found

    def formats(self, eqn: Equation) -> Iterator[Any]:
        """The dtypes of the results of an equation, and of all that is computed in its bodies."""
        yield from (self.avals[output].dtype for output in eqn.outputs)
        for body in bodies(eqn.params):
            yield from _formats(body)

    @functools.cached_property
    def weights_of(self) -> Mapping[int, frozenset[str]]:
        """For every value that depends on weights but not on the images: which weights."""
        names = {
            number: frozenset([name])
            for number, name in zip(self.weights, self.weight_names, strict=True)
        }
        for eqn in self.equations:
            if not any(output in self.from_images for output in eqn.outputs):
                used = [names.get(o, frozenset()) for o in eqn.inputs if isinstance(o, int)]
                names.update(dict.fromkeys(eqn.outputs, frozenset().union(*used)))
        return names


def _formats(jaxpr: Any) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        yield from (variable.aval.dtype for variable in eqn.outvars)
        for body in bodies(eqn.params):
            yield from _formats(body)


def _rounding(dtype: Any) -> float:
    """Of a floating or complex dtype; 0 of those that do not round."""
    return float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, np.inexact) else 0.0


def interpret(
    program: Program,
    values: Mapping[int, Any],
    step: Callable[..., Sequence[Any]],
    *,
    keep: Set[int] | None = None,
) -> dict[int, Any]:
    """Walk the program once: `step(equation, operands)` gives the meanings of its outputs.

    Args:
        program: what to walk.
        values: the meaning of every input and constant, by number.
        step: called with an equation and the list of its operands, literals as `Literal`.
        keep: numbers of the values that are wanted; others are dropped after their last use. None for all.

    Returns:
        The meaning of every value, or of those wanted, by number.
    """
    meaning = dict(values)
    for eqn, done in zip(program.equations, program.last_uses, strict=True):
        operands = [o if isinstance(o, Literal) else meaning[o] for o in eqn.inputs]
        meaning.update(zip(eqn.outputs, step(eqn, operands), strict=True))
        if keep is not None:
            for number in done - keep:
                del meaning[number]
    return meaning if keep is None else {number: meaning[number] for number in keep}


def apply(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
    """The step of plain evaluation: bind the primitive to concrete or traced arrays."""
    arrays = [o.value if isinstance(o, Literal) else o for o in operands]
    params = eqn.primitive.get_bind_params(dict(eqn.params))
    with eqn.context.manager:
        result = eqn.primitive.bind(*arrays, **params)
    return result if eqn.primitive.multiple_results else [result]


def located(site: Site) -> AbstractContextManager[Any]:
    """A context in which all that is traced comes from that place in the user's code."""
    return source_info_util.user_context(site.traceback)


def fixed_values(program: Program, weights: Sequence[Any]) -> dict[int, jax.Array]:
    """All values that do not depend on the images but are needed by what does, computed once."""
    known = dict(zip(program.weights, weights, strict=True)) | dict(program.constants)
    return known_values(program, known)


def known_values(
    program: Program, known: Mapping[int, Any], without: Set[int] = frozenset()
) -> dict[int, jax.Array]:
    """All values that follow from the known ones and are used together with some that do not, computed once.

    Args:
        program: the traced model.
        known: arrays, by number.
        without: values that are not to be computed, nor what follows from them.
    """
    numbers = frozenset(known), frozenset(without)
    # of a model that is traced anew, or of which a part is asked about
    outputs = tuple(o for o in program.outputs if isinstance(o, int))
    part = program.images, outputs, tuple((eqn.name, eqn.outputs) for eqn in program.equations)
    key = (program.fingerprint, id(program) if program.calls_python else 0, part, *numbers)
    entry = _BEFOREHAND.get(key)
    if entry is None:
        # constants are given, and not kept; a program that calls back is kept, so that its id stays its own
        kept = program if program.calls_python else dataclasses.replace(program, constants={})
        entry = kept, *_beforehand(kept, *numbers)
        with _LOCK:  # scenes are decided in a thread of their own
            while len(_BEFOREHAND) >= MOST_BEFOREHAND:
                del _BEFOREHAND[next(iter(_BEFOREHAND))]
            _BEFOREHAND[key] = entry
    _, wanted, compute = entry
    return dict(zip(wanted, compute(dict(known)), strict=True))


_BEFOREHAND: dict[tuple[Any, ...], tuple[Program, list[int], Callable[..., list[Any]]]] = {}
"""By program and sets of values: what `known_values` found to follow, and its compiled function."""

MOST_BEFOREHAND = 32
_LOCK = threading.Lock()


def _beforehand(
    program: Program, known: Set[int], without: Set[int]
) -> tuple[list[int], Callable[..., list[Any]]]:
    """Which values follow from those known and are needed, and a compiled function that computes them."""
    unknown = program.depending_on(({*program.weights, program.images} - known) | without)
    needed = {o for o in program.outputs if isinstance(o, int)}
    for eqn in program.equations:
        if eqn.outputs[0] in unknown:
            needed.update(o for o in eqn.inputs if isinstance(o, int))
    wanted = sorted(needed - unknown)

    def compute(inputs: dict[int, Any]) -> list[Any]:
        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
            if eqn.outputs[0] in unknown:
                return [None] * len(eqn.outputs)
            return apply(eqn, operands)

        found = interpret(program, {**dict.fromkeys(unknown), **inputs}, step)
        return [found[number] for number in wanted]

    return wanted, jax.jit(compute)


def fixed_divisors(program: Program, fixed: Mapping[int, Any]) -> dict[int, np.ndarray]:
    """For every division by a fixed value, by the number of its result: the divisor in the result's full shape.

    Given to `evaluate` as arguments of full shape, they stay divisions. XLA turns a division by anything broadcast into
    a multiplication by its rounded reciprocal, and 49 * (1 / 49) is not 1: another program than the one asked about.
    """
    found = {}
    for eqn in program.equations:
        if eqn.name == "div" and eqn.outputs[0] in program.from_images:
            divisor = eqn.inputs[1]
            value = divisor.value if isinstance(divisor, Literal) else fixed.get(divisor)
            if value is not None:
                aval = program.avals[eqn.outputs[0]]
                found[eqn.outputs[0]] = np.broadcast_to(np.asarray(value, aval.dtype), aval.shape)
    return found


def evaluate(
    program: Program,
    fixed: Mapping[int, Any],
    images: Any,
    divisors: Mapping[int, Any] | None = None,
    *,
    after: Callable[[Equation, Sequence[Any], Sequence[Any]], Sequence[Any]] | None = None,
) -> dict[int, Any]:
    """All values that depend on the images, given the fixed ones; traceable, so it can be jitted and vmapped.

    Args:
        program: the traced model.
        fixed: from `fixed_values`.
        images: one batch.
        divisors: from `fixed_divisors`, where divisions must round as they are written.
        after: given an equation, its operands and its results, the results that are used.
    """
    divisors = divisors or {}

    def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
        if eqn.outputs[0] not in program.from_images:
            return [fixed.get(output) for output in eqn.outputs]
        if eqn.outputs[0] in divisors:
            operands = [operands[0], divisors[eqn.outputs[0]]]
        results = apply(eqn, operands)
        return results if after is None else after(eqn, operands, results)

    start = dict.fromkeys((*program.weights, *program.constants))
    return interpret(program, {**start, **fixed, program.images: images}, step)


def trace(fn: Callable[[Any, Any], Any], weights: Any, images: Any) -> Program:
    """Trace `fn(weights, images)` into a `Program`.

    Args:
        fn: a pure function of a pytree of weights and one array of images.
        weights: pytree of arrays.
        images: array, or a shape and dtype.

    Raises:
        ModelCallError: an equation has a side effect, or draws random numbers without a key.
        Whatever `fn` raises, unchanged.
    """
    closed, shapes = jax.make_jaxpr(_marked(fn), return_shape=True)(weights, images)
    _refuse_effects(_open(closed)[0])
    builder, numbers, outputs = _flatten(closed)
    weight_paths = jax.tree_util.tree_flatten_with_path(weights)[0]
    output_paths = jax.tree_util.tree_flatten_with_path(shapes)[0]
    return Program(
        equations=_live(builder.equations, outputs),
        avals=builder.avals,
        weights=tuple(numbers[:-1]),
        weight_names=tuple(dotted(path) for path, _ in weight_paths),
        images=numbers[-1],
        constants=builder.constants,
        outputs=tuple(outputs),
        output_names=tuple(("output." + dotted(path)).strip(".") for path, _ in output_paths),
        fingerprint=_fingerprint(closed, builder.constants),
        composites=tuple(builder.composites),
    )


def open_body(closed: Any) -> Program:
    """The program of a loop's body or a branch: all its inputs are `weights`, and it has no images."""
    builder, numbers, outputs = _flatten(closed)
    return Program(
        equations=_live(builder.equations, outputs),
        avals=builder.avals,
        weights=tuple(numbers),
        weight_names=tuple(f"input.{i}" for i in range(len(numbers))),
        images=-1,
        constants=builder.constants,
        outputs=tuple(outputs),
        output_names=tuple(f"output.{i}" for i in range(len(outputs))),
        fingerprint=_fingerprint(closed, builder.constants),
    )


def scan_counts(eqn: Equation) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many are carried."""
    if "ft_in" in eqn.params:  # jax 0.12: one tree of constants, carries and slices
        constants, carries, _ = eqn.params["ft_in"].unpack()
        return len(list(constants)), len(list(carries))
    return eqn.params["num_consts"], eqn.params["num_carry"]


def _flatten(closed: Any) -> tuple["_Builder", list[int], list["int | Literal"]]:
    """A builder that holds all equations of a jaxpr, and the numbers of its inputs and outputs."""
    jaxpr, constants = _open(closed)
    builder = _Builder()
    numbers = builder.declare(jaxpr.invars)
    constant_numbers = builder.declare(jaxpr.constvars)
    builder.constants.update(zip(constant_numbers, map(_copied, constants), strict=True))
    environment = dict(zip(jaxpr.invars, numbers, strict=True))
    environment |= dict(zip(jaxpr.constvars, constant_numbers, strict=True))
    outputs = builder.inline(jaxpr, environment, prefix=None)
    return builder, numbers, outputs


def _live(equations: Sequence[Equation], outputs: Sequence[int | Literal]) -> tuple[Equation, ...]:
    """The equations that the outputs depend on."""
    needed = {o for o in outputs if isinstance(o, int)}
    kept = []
    for eqn in reversed(equations):
        if needed.intersection(eqn.outputs):
            kept.append(eqn)
            needed.update(o for o in eqn.inputs if isinstance(o, int))
    return tuple(reversed(kept))


def dotted(path: Sequence[Any]) -> str:
    """A key path of a pytree as `conv1.kernel`; the `value` that Flax wraps around arrays is dropped."""
    keys = [getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))) for key in path]
    if (
        keys
        and keys[-1] in ("value", "raw_value")
        and isinstance(path[-1], jax.tree_util.GetAttrKey)
    ):
        keys = keys[:-1]
    return plain(".".join(str(key) for key in keys))


class _Builder:
    """Collects equations and numbers values while calls are inlined."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.avals: dict[int, jax.ShapeDtypeStruct] = {}
        self.constants: dict[int, Any] = {}
        self.composites: list[Composite] = []

    def declare(self, variables: Sequence[Any]) -> list[int]:
        numbers = []
        for variable in variables:
            number = len(self.avals)
            dtype = _canonical_dtype(variable.aval.dtype)
            self.avals[number] = jax.ShapeDtypeStruct(variable.aval.shape, dtype)
            numbers.append(number)
        return numbers

    def inline(
        self, jaxpr: Any, environment: dict[Any, Any], prefix: Site | None
    ) -> list[int | Literal]:
        """Append the equations of `jaxpr`, calls replaced by what they call; returns its outputs."""

        def read(atom: Any) -> int | Literal:
            # a scalar of NumPy, which has a dtype and a hash
            return Literal(_copied(atom.val)[()]) if hasattr(atom, "val") else environment[atom]

        for eqn in jaxpr.eqns:
            site = prefix or _site(eqn)
            inputs = tuple(read(atom) for atom in eqn.invars)
            if eqn.primitive.name not in CALLS:
                outputs = self.declare(eqn.outvars)
                made = Equation(eqn.primitive, eqn.params, inputs, tuple(outputs), site, eqn.ctx)
                self.equations.append(made)
            else:
                first = len(self.avals)
                outputs = self._inline_call(_called(eqn), inputs, site)
                results = tuple(o for o in outputs if isinstance(o, int))
                if eqn.primitive.name == "composite" and len(results) == len(outputs):
                    call = Equation(eqn.primitive, eqn.params, inputs, results, site, eqn.ctx)
                    within = range(first, len(self.avals))
                    self.composites.append(Composite(call, within, _modes()))
            environment.update(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _inline_call(
        self, closed: Any, inputs: Sequence[int | Literal], site: Site
    ) -> list[int | Literal]:
        jaxpr, constants = _open(closed)
        numbers = self.declare(jaxpr.constvars)
        self.constants.update(zip(numbers, map(_copied, constants), strict=True))
        inner = dict(zip(jaxpr.constvars, numbers, strict=True))
        inner |= dict(zip(jaxpr.invars, inputs, strict=True))
        # A library's own jit (relu, pad, mean) belongs to the line that called it. A jit around user code keeps
        # the user's lines inside it: its equations have frames below the calling line.
        own = None if _holds_user_code(jaxpr, site) else site
        return self.inline(jaxpr, inner, prefix=own)


def _called(eqn: Any) -> Any:
    """What a call primitive calls; that of a composite has one name or the other, by version."""
    return eqn.params.get(CALLS[eqn.primitive.name], eqn.params.get("call_jaxpr"))


def _modes() -> tuple[bool, Any]:
    """Whether JAX is in 64-bit mode now, and its precision of products."""
    config: Any = jax.config
    return bool(config.jax_enable_x64), config.jax_default_matmul_precision


def _canonical_dtype(dtype: Any) -> Any:
    """Without 64-bit mode, JAX keeps float64 tables of NumPy in a program, and narrows them where they are used."""
    return (
        dtype
        if jnp.issubdtype(dtype, jax.dtypes.extended)
        else jax.dtypes.canonicalize_dtype(dtype)
    )


def _copied(value: Any) -> Any:
    """A constant as a NumPy array of our own; random keys, which nobody can write to, as they are.

    JAX remembers, for a NumPy array that a function closes over, the type it was given first. An array of the user's
    that met JAX once in 64-bit mode fails afterwards in the user's own calls, so it must never do so.
    """
    dtype = value.dtype if hasattr(value, "dtype") else jnp.result_type(value)
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return value
    return np.array(value, _canonical_dtype(dtype))


def _open(closed: Any) -> tuple[Any, Sequence[Any]]:
    """The jaxpr and its constants, across the merge of ClosedJaxpr into Jaxpr (jax 0.11)."""
    return getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())


def _holds_user_code(jaxpr: Any, site: Site) -> bool:
    for eqn in jaxpr.eqns:
        frames = _site(eqn).frames
        # jit caches: the frames may be those of an earlier call, so compare the innermost function only
        if frames and site.frames and frames[0].function != site.frames[0].function:
            return True
    return False


def _refuse_effects(jaxpr: Any) -> None:
    """Stop where an equation does more than compute: such a model is no function of its images and weights.

    Printing is no matter: what is printed goes nowhere. `jax.pure_callback` promises to be a function.

    Raises:
        ModelCallError: with the equation, the user's line and the remedy.
    """
    for eqn in jaxpr.eqns:
        for body in bodies(eqn.params):
            _refuse_effects(body)
        effects = {type(effect).__name__ for effect in eqn.effects}
        effects = {effect for effect in effects if "Debug" not in effect}
        if effects or eqn.primitive.name in UNKEYED:
            site = str(_site(eqn))
            place = f"{eqn.primitive.name} at {site}" if site else eqn.primitive.name
            raise ModelCallError(f"{place} {_why_refused(eqn.primitive.name)}")


UNKEYED = frozenset(["rng_uniform"])
"""Primitives that draw random numbers from a hidden state, though JAX gives them no effect."""


def _why_refused(name: str) -> str:
    if name in UNKEYED:
        return (
            "draws random numbers without a key, so the model gives other results each time. Use jax.random with a "
            "fixed key, or switch the randomness off."
        )
    if "callback" in name:
        return (
            "calls back to Python with side effects, so the model may give other results each time. Use "
            "jax.pure_callback, if it is a function, or leave it out."
        )
    return (
        "has side effects (it makes, reads or writes a mutable array), so the program cannot be taken apart equation "
        "by equation. Return new values instead of writing to a jax.Ref."
    )


def bodies(params: Mapping[str, Any]) -> Iterator[Any]:
    """The programs that an equation holds in its parameters, as jaxprs without their constants."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, (Jaxpr, ClosedJaxpr)):
                yield _open(part)[0]


@dataclasses.dataclass(frozen=True)
class Applied:
    """A primitive with the values that are written into the program for it.

    Attributes:
        name: of the primitive.
        params: of the equation.
        fixed: for each operand its value where that is a constant or a literal, else None.
        dtypes: of the operands.
    """

    name: str
    params: Mapping[str, Any]
    fixed: tuple[Any, ...]
    dtypes: tuple[Any, ...]


def applied(program: Program) -> Iterator[Applied]:
    """Every equation of a program, those in the bodies of loops and branches too."""
    for eqn in program.equations:
        yield Applied(
            eqn.name,
            eqn.params,
            tuple(
                o.value if isinstance(o, Literal) else program.constants.get(o) for o in eqn.inputs
            ),
            tuple(
                jnp.result_type(o.value) if isinstance(o, Literal) else program.avals[o].dtype
                for o in eqn.inputs
            ),
        )
        for body in bodies(eqn.params):
            yield from applied_in(body)


def applied_in(jaxpr: Any) -> Iterator[Applied]:
    """The same for a body."""
    for eqn in jaxpr.eqns:
        yield Applied(
            eqn.primitive.name,
            eqn.params,
            tuple(getattr(operand, "val", None) for operand in eqn.invars),
            tuple(operand.aval.dtype for operand in eqn.invars),
        )
        for body in bodies(eqn.params):
            yield from applied_in(body)


OTHERS = (
    "jaxlib",
    "optax",
    "chex",
    "einops",
    "equinox",
    "haiku",
    "jaxtyping",
    "keras",
    "jmp",
    "torch",
    "torchax",
)
"""Libraries that a model may call, beside those imported here."""


def _library_roots() -> tuple[str, ...]:
    return _roots_of(tuple(name for name in OTHERS if name in sys.modules))


@functools.cache
def _roots_of(imported: tuple[str, ...]) -> tuple[str, ...]:
    """The folders of libraries; of others than these, wherever they were imported from."""
    packages = [Path(module.__file__ or "").parent for module in (jax, flax, np)]
    packages += [Path(sysconfig.get_paths()["stdlib"]), Path(_OWN)]
    files = (getattr(sys.modules[name], "__file__", None) for name in imported)
    packages += [Path(file).parent for file in files if file]
    return tuple(f"{root}{os.sep}" for root in packages)


def _is_library(file: str) -> bool:
    # the zoo is written as a user would write it, and is traced as user code
    return file.startswith(_library_roots()) and not file.startswith(f"{_OWN}zoo{os.sep}")


def with_user_frames(error: Exception) -> Exception:
    """An error of the user's code with the frames of that code alone; those of JAX and Flax fill screens."""
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        if not _is_library(traceback.tb_frame.f_code.co_filename):
            frames.append(traceback)
        traceback = traceback.tb_next
    found = None
    for frame in reversed(frames):
        found = types.TracebackType(found, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return error.with_traceback(found)


def _is_public(name: str, file: str) -> bool:
    functional = sys.modules.get("torch.nn.functional")
    if functional is not None and file.startswith(str(Path(functional.__file__ or "").parents[1])):
        return hasattr(functional, name)
    return _is_public_here(name)


@functools.cache
def _is_public_here(name: str) -> bool:
    # `call` is a name of nnx, and what every layer of Keras is called by
    return name != "call" and any(hasattr(library, name) for library in (jnp, jax.nn, jax.lax, nnx))


def _marked(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` under a name that ends the walk up the stack: what called shiftproof is no part of the model."""

    def call(*arguments: Any) -> Any:
        return fn(*arguments)

    call.__code__ = call.__code__.replace(co_name=_MARK, co_qualname=_MARK)
    return call


def module_scope(name: str) -> AbstractContextManager[Any]:
    """A context in which all that is traced belongs to the layer of that name."""
    return jax.named_scope(f"{_MODULE}{name_of_layer(name)}")


def name_of_layer(path: str) -> str:
    """A layer as users call it: `model[0]` where the model itself is a list of layers, as `torch.nn.Sequential` is.

    >>> name_of_layer("0.conv"), name_of_layer("layer1.0.conv")
    ('model[0].conv', 'layer1.0.conv')
    """
    return re.sub(r"^\d+", r"model[\g<0>]", path)


def _module_of(stack: Any) -> str:
    """The innermost layer that said its name."""
    names = [part.name for part in stack.stack if part.name.startswith(_MODULE)]
    return names[-1].removeprefix(_MODULE) if names else ""


def _site(eqn: Any) -> Site:
    traceback = eqn.source_info.traceback
    if traceback is None:
        return Site((), "")
    frames: list[Frame] = []
    callee = ""
    for code, instruction in zip(*traceback.raw_frames(), strict=True):
        if code.co_name == _MARK:
            break
        if _is_library(code.co_filename):
            # outwards: the last public name before the user's line (jnp.mean goes through _mean and meth)
            inside = code.co_filename.startswith(_OWN) or _ADAPTER in code.co_filename
            if not frames and not inside and _is_public(code.co_name.lstrip("_"), code.co_filename):
                callee = code.co_name.lstrip("_")
            continue
        place = source_info_util.raw_frame_to_frame(code, instruction)
        frames.append(
            Frame(
                place.file_name,
                place.start_line,
                (place.start_column, place.end_column),
                place.function_name,
            )
        )
    return Site(tuple(frames), callee, _module_of(eqn.source_info.name_stack), traceback)


def _fingerprint(closed: Any, constants: Mapping[int, Any]) -> str:
    digest = hashlib.sha256(re.sub(_ADDRESS, "0x", str(closed)).encode())
    held = (array for eqn in _open(closed)[0].eqns for array in held_arrays(eqn.params.values()))
    for value in (*constants.values(), *held):
        digest.update(hash_array(value))
    return digest.hexdigest()


def held_arrays(values: Iterable[Any]) -> Iterator[Any]:
    """The arrays in parameters, and in programs that these hold: the text of a program names them and no more."""
    for value in values:
        if isinstance(value, (Jaxpr, ClosedJaxpr)):
            jaxpr, constants = _open(value)
            yield from constants
            for eqn in jaxpr.eqns:
                yield from held_arrays(eqn.params.values())
        elif isinstance(value, (tuple, list)):
            yield from held_arrays(value)
        elif isinstance(value, jax.Array) or hasattr(value, "__array__"):
            yield value


def is_at_hand(value: Any) -> bool:
    """Whether the numbers of an array are known now, and not only when what is being traced will run."""
    return not isinstance(value, Tracer)


def hash_array(value: Any) -> bytes:
    """sha256 of an array's dtype, shape and bytes; typed PRNG keys by their data."""
    if jnp.issubdtype(getattr(value, "dtype", np.float32), jax.dtypes.prng_key):
        with jax.ensure_compile_time_eval():
            value = jax.random.key_data(value)
    array = np.ascontiguousarray(value)
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + array.tobytes()).digest()
