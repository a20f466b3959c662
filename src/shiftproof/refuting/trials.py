"""Trials: one choice of weights and number format of a model, compiled, on which counterexamples are sought.

A trial of an architecture draws its weights: small integers where the program is exact on them, sparse or random ones
else. A trial of this very model keeps its weights. Everything that is compared
comes from one executable at one batch size.
"""

import dataclasses
import functools
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from shiftproof.algebras.digits import grade_program, rounded_weights
from shiftproof.errors import ModelCallError, WideningError
from shiftproof.exactness.calibration import calibrate
from shiftproof.exactness.exact import Exactness, judge
from shiftproof.exactness.probes import integer_question
from shiftproof.refuting.budget import Budget, work_of
from shiftproof.refuting.weights import QUIET, random_weights, sparse_weights
from shiftproof.tracing.model import Model, native_dtype, program_in, weights_in
from shiftproof.tracing.primitives import Kind, entry_of
from shiftproof.tracing.settings import compiler_options, current_device, settings
from shiftproof.tracing.trace import (
    Equation,
    Program,
    applied_in,
    apply,
    bodies,
    evaluate,
    fixed_divisors,
    fixed_values,
    hash_array,
    interpret,
    open_body,
    scan_counts,
)
from shiftproof.tracing.trace import (
    Literal as Constant,
)

Draw = Literal["these", "integers", "sparse", "quiet", "random"]

WORKING_BYTES = 2**26
"""Memory that one call of a trial may fill with intermediate values."""

MOST_SLOTS = 16

CHEAP_WORK = 2**27
"""Multiplications that one call of a trial may cost beyond those for one image."""

KEPT_BYTES = 2**27
"""Memory that the outputs of a trial may fill that are kept, so that no image is run twice."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A model with weights and a number format.

    Attributes:
        program: of one image, in that format.
        weights: one array per weight of the program.
        draw: whose weights: `these`, `integers`, `sparse`, `quiet` or `random`.
        seed: of drawn weights.
        scale: what images are multiplied by before they enter the program.
        dtype: of the images: `float64`, where the program was widened, or what it was traced in.
        exactness: of every output, on all images of the magnitude it was graded for.
        fixed: the values of the program that do not depend on the images.
        package: of the model's framework, for the record of versions; "" where it is Flax, or none.
        budget: to which every run is charged.
        kept: the last outputs, by disturbance and hash of the image.
        balls: the last enclosures of all outputs, by hash of the image.
        loose: outputs whose enclosures are so wide that they say nothing.
        given: by disturbance, what does not depend on the images, and divisors.
        unknown: for each output the images for which its enclosures are infinite in all cells.
    """

    program: Program
    weights: list[Any]
    draw: Draw
    seed: int
    scale: int
    dtype: str
    exactness: tuple[Exactness, ...]
    fixed: dict[int, jax.Array]
    package: str = ""
    budget: Budget = dataclasses.field(default_factory=Budget, compare=False, repr=False)
    kept: dict[tuple[int, bytes], list[np.ndarray]] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )
    balls: dict[bytes, list[Any]] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )
    loose: set[int] = dataclasses.field(default_factory=set, compare=False, repr=False)
    given: dict[int, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    unknown: Counter[int] = dataclasses.field(default_factory=Counter, compare=False, repr=False)

    @property
    def exact(self) -> bool:
        """Whether `==` is meaningful on every output."""
        return all(exactness.exact for exactness in self.exactness)

    @functools.cached_property
    def weights_sha256(self) -> str:
        """The hash of all weights."""
        return hashlib.sha256(b"".join(hash_array(w) for w in self.weights)).hexdigest()

    @functools.cached_property
    def eps(self) -> float:
        """The relative rounding of the coarsest float on the way from the images."""
        return max(self.program.rounding.values())

    @functools.cached_property
    def slots(self) -> int:
        """Images per call: as many as are useful, fit, and cost little together; one where one costs much."""
        sizes = [
            math.prod(self.program.avals[n].shape) * self.program.avals[n].dtype.itemsize
            for n in self.program.from_images
        ]
        fit = WORKING_BYTES // max(1, 4 * max(sizes, default=1))
        cheap = CHEAP_WORK // max(1.0, work_of(self.program))
        return int(min(MOST_SLOTS, max(1, min(fit, cheap))))

    def bound_on(self, images: np.ndarray, leaf: int) -> float:
        """The largest number of units met on the way to an output, on all shifts of these images alone, unscaled."""
        with settings(self.dtype):
            grades, reach = grade_program(self.program, self.fixed, images * float(self.scale))
        return judge(self.program, self.program.outputs[leaf], grades=grades, reach=reach).bound

    def outputs(self, images: np.ndarray) -> list[np.ndarray]:
        """Every output, (count, *shape), for images (count, *image shape), unscaled.

        Raises:
            ModelCallError: the program has an operation that cannot run on several images at once.
        """
        return self._outputs(images, 0)[0]

    def disturbed(self, images: np.ndarray, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
        """The outputs when every value on the way is disturbed in its last place, and for which images some value left
        the range of its format: it overflowed, or vanished though it is a product of numbers that are not 0.

        Args:
            images: as for `outputs`.
            seed: of the disturbance, from 1.
        """
        leaves, left = self._outputs(images, seed)
        return leaves, left | self._given(seed)[2]

    def _outputs(self, images: np.ndarray, salt: int) -> tuple[list[np.ndarray], np.ndarray]:
        """What the program gives; an image that it was run on before is not run again."""
        keys = [(salt, hashlib.sha256(image.tobytes()).digest()) for image in images]
        found = {key: self.kept[key] for key in keys if key in self.kept}
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in found}
        missing = sorted(first.values())
        with settings(self.dtype):
            for begin in range(0, len(missing), self.slots):
                numbers = missing[begin : begin + self.slots]
                part = np.zeros((self.slots, 1, *images.shape[1:]), np.float64)
                part[: len(numbers), 0] = images[numbers] * float(self.scale)
                values = self._run(jnp.asarray(part.astype(jnp.dtype(self.dtype))), salt)
                self.budget.run += len(numbers)
                host = [np.asarray(value) for value in values]
                found |= {
                    keys[n]: [np.array(leaf[i]) for leaf in host] for i, n in enumerate(numbers)
                }
        self._keep(found)
        *leaves, left = (np.stack(leaf) for leaf in zip(*map(found.get, keys), strict=True))
        return leaves, left

    def _keep(self, found: Mapping[tuple[int, bytes], list[np.ndarray]]) -> None:
        self.kept.update(found)
        each = sum(leaf.nbytes for leaf in next(iter(found.values())))
        while len(self.kept) * each > KEPT_BYTES:
            del self.kept[next(iter(self.kept))]

    def _run(self, images: jax.Array, seed: int) -> list[Any]:
        program = self.program
        # undisturbed, the program is run as it is
        salt = np.uint32(seed) if seed else None
        # a fingerprint does not tell the functions apart that a program calls back
        own = id(program) if program.calls_python else 0
        key = (program.fingerprint, self.dtype, self.slots, own, seed > 0)
        fixed, divisors, _ = self._given(seed)
        if key not in _COMPILED:
            while len(_COMPILED) >= MOST_COMPILED:
                del _COMPILED[next(iter(_COMPILED))]
            # the program is kept, so that its id stays its own
            with self.budget.uncounted():
                run = _compile(program, images, divisors, fixed, salt)
            _COMPILED[key] = program, run
        return _COMPILED[key][1](images, divisors, fixed, salt)

    def _given(self, seed: int) -> tuple[dict[int, Any], dict[int, jax.Array], bool]:
        """What does not depend on the images, disturbed too; divisors in full shape, so that they stay divisors; and
        whether a value that is computed of weights left the range of its format.
        """
        if seed not in self.given:
            fixed, left = self.fixed, False
            if seed and _computed_of_weights(self.program):
                with settings(self.dtype), self.budget.uncounted():
                    fixed, left = _disturbed_values(self.program, self.weights, seed)
            divisors = {
                number: jnp.broadcast_to(jnp.asarray(value), (self.slots, *value.shape))
                for number, value in fixed_divisors(self.program, fixed).items()
            }
            self.given[seed] = fixed, divisors, bool(left)
        return self.given[seed]


_COMPILED: dict[tuple[str, str, int, int, bool], tuple[Program, Any]] = {}
"""Executables by program, format and slots: trials that differ in their weights share one."""

MOST_COMPILED = 8


def forget_compiled() -> None:
    """Drop all executables, so that the next trial compiles again; for benchmarks."""
    _COMPILED.clear()


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


def _shake(eqn: Equation, results: Sequence[Any], salt: Any) -> list[Any]:
    """The results, disturbed by at most two units in their last place, as rounding might; not at all for salt 0."""
    shaken = []
    for number, value in zip(eqn.outputs, results, strict=True):
        if jnp.issubdtype(value.dtype, np.inexact):
            units = _units(value.size, number, salt).astype(jnp.finfo(value.dtype).dtype)
            strength = jnp.where(salt > 0, jnp.finfo(value.dtype).eps, 0).astype(units.dtype)
            value = value * (1 + units * strength).reshape(value.shape).astype(value.dtype)
        shaken.append(value)
    return shaken


def _unsettle(
    eqn: Equation, operands: Sequence[Any], results: Sequence[Any], salt: Any
) -> Sequence[Any]:
    """The results, disturbed where the equation rounds; and beside a step, for some salts, those upon the step."""
    if eqn.name in STEPS:
        results = _upon_step(eqn, operands, results, salt)
    return _shake(eqn, results, salt) if _rounds(eqn) else results


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
        given = [o.value if isinstance(o, Constant) else o for o in operands]
        run = functools.partial(_LOOPS[eqn.name], salt=salt) if eqn.name in _LOOPS else apply
        results = run(eqn, given)
        return _unsettle(eqn, given, results, salt)

    start = {**body.constants, **dict(zip(body.weights, inputs, strict=True))}
    values = interpret(body, start, step)
    made = [o.value if isinstance(o, Constant) else values[o] for o in body.outputs]
    return [lax.convert_element_type(v, jnp.result_type(v)) for v in made]


def _computed_of_weights(program: Program) -> Set[int]:
    """Rounded values that follow from weights and not from images; constants are what the program makes of them."""
    made = {
        output
        for eqn in program.equations
        if _rounds(eqn) or eqn.name in STEPS
        for output in eqn.outputs
    }
    return made & (program.depending_on(set(program.weights)) - program.from_images)


def _disturbed_values(
    program: Program, weights: Sequence[Any], seed: int
) -> tuple[dict[int, Any], Any]:
    """`fixed_values`, where every equation on the way from weights that rounds is disturbed; and whether a value left
    the range of its format.
    """
    computed, wanted = _computed_of_weights(program), fixed_values(program, weights)

    def compute(given: dict[int, Any], salt: Any) -> tuple[dict[int, Any], Any]:
        left: list[Any] = [jnp.asarray(False)]

        def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
            if eqn.outputs[0] in program.from_images:
                return [None] * len(eqn.outputs)
            if eqn.outputs[0] not in computed:
                return apply(eqn, operands)
            run = functools.partial(_LOOPS[eqn.name], salt=salt) if eqn.name in _LOOPS else apply
            results = run(eqn, operands)
            if _rounds(eqn):
                left.append(_leaves_range(eqn, operands, results))
            return _unsettle(eqn, operands, results, salt)

        values = interpret(program, {**given, program.images: None}, step)
        return {number: values[number] for number in wanted}, jnp.any(jnp.stack(left))

    given = {**program.constants, **dict(zip(program.weights, weights, strict=True))}
    return jax.jit(compute)(given, np.uint32(seed))


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
    given = [o.value if isinstance(o, Constant) else o for o in operands]
    return [lax.convert_element_type(o, jnp.result_type(o)) for o in given]


_LOOPS: Mapping[str, Callable[..., list[Any]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
"""Loops and branches, run with disturbed bodies."""


def _units(size: int, number: int, salt: Any) -> Any:
    """A cheap pattern of -1, 0, 1 and 2 without order, another one for every value and salt.

    Of three salts one lessens every cell and one enlarges it: where a function is as large as it gets, as 1 is of a
    sigmoid, what lies above its rounded value says nothing of what lies below.
    """

    def pattern(number_of_salt: Any) -> Any:
        places = lax.iota(np.uint32, size) + number_of_salt * np.uint32(40503 + 2 * number)
        bits = (places * np.uint32(2654435761)) >> np.uint32(29)
        return (bits & np.uint32(3)).astype(np.int32) - 1

    third = jnp.uint32(salt) % 3 == 0
    first, second = pattern(jnp.uint32(salt) - 2), pattern(jnp.uint32(salt) - 1)
    missing = jnp.where(jnp.minimum(first, second) >= 0, -1, pattern(jnp.uint32(salt)))
    missing = jnp.where(jnp.maximum(first, second) <= 0, 1, missing)
    return jnp.where(third, missing, pattern(jnp.uint32(salt)))


def _leaves_range(eqn: Equation, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Whether a result is infinite, NaN, or below the smallest number, and no operand is infinite, NaN or 0."""
    given = [jnp.asarray(o.value if isinstance(o, Constant) else o) for o in operands]
    given = [o for o in given if jnp.issubdtype(o.dtype, np.inexact)]
    made = [r for r in results if jnp.issubdtype(r.dtype, np.inexact)]
    finite = jnp.all(jnp.asarray([jnp.all(jnp.isfinite(o)) for o in given]))
    left = jnp.any(jnp.asarray([jnp.any(~jnp.isfinite(r)) for r in made]))
    if eqn.name in MULTIPLYING and made:
        small = jnp.abs(made[0]) < jnp.finfo(made[0].dtype).tiny
        for operand in given if eqn.name not in NEVER_ZERO else ():
            # a product over an axis has another shape than its result
            nonzero = operand != 0
            small &= nonzero if nonzero.shape in ((), small.shape) else jnp.all(nonzero)
        left |= jnp.any(small)
    inner = (each.name for body in bodies(eqn.params) for each in applied_in(body))
    if MULTIPLYING.intersection(inner):  # what a loop carries may vanish on the way
        left |= jnp.any(jnp.asarray([jnp.any(r == 0) for r in made]))
    return finite & left


def _compile(program: Program, images: Any, divisors: Any, fixed: Any, salt: Any) -> Any:
    def one(
        image: jax.Array, divisors: dict[int, Any], fixed: dict[int, Any], salt: Any
    ) -> list[Any]:
        left: list[Any] = [jnp.asarray(False)]

        def after(eqn: Equation, operands: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
            if salt is None:
                return results
            if not _rounds(eqn):
                return _unsettle(eqn, operands, results, salt)
            if (
                eqn.name in _LOOPS
            ):  # rounding may grow from round to round, so what a body computes is disturbed, too
                results = _LOOPS[eqn.name](eqn, operands, salt)
            left.append(_leaves_range(eqn, operands, results))
            return _unsettle(eqn, operands, results, salt)

        values = evaluate(program, fixed, image, divisors, after=after)
        outputs = [values[o] if isinstance(o, int) else o.value for o in program.outputs]
        return [*map(jnp.asarray, outputs), jnp.any(jnp.stack(left))]

    def run(
        images: jax.Array, divisors: dict[int, Any], fixed: dict[int, Any], salt: Any
    ) -> list[Any]:
        return jax.vmap(one, in_axes=(0, 0, None, None))(images, divisors, fixed, salt)

    try:
        options = compiler_options(current_device().platform)
        return jax.jit(run).lower(images, divisors, fixed, salt).compile(options)
    except Exception as error:
        raise ModelCallError(
            f"the model cannot be run on several images at once: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}"
        ) from error


def make_trial(
    model: Model,
    images: np.ndarray,
    *,
    draw: Draw,
    seed: int = 0,
    dtype: str = "auto",
    scale: int | None = None,
    budget: Budget | None = None,
) -> Trial:
    """A trial; its exactness holds for all shifts of the images given.

    Args:
        model: the adapted model.
        images: (count, *image shape) the probes, unscaled.
        draw: whose weights.
        seed: of drawn weights.
        dtype: `auto` takes the program as it was traced where every output is exact, else float64 where it can be
            widened to that.
        scale: of the images, where it is known already.
        budget: to which its runs are charged; one of its own by default.

    Raises:
        ModelCallError: the model cannot be called on such images.
    """
    make = functools.partial(_make, model, images, draw=draw, seed=seed, budget=budget or Budget())
    if dtype != "auto":
        return make(dtype=dtype, scale=scale)
    native, single = native_dtype(), None
    if draw in ("these", "integers") and native != "float64":
        single = make(dtype=native)
        if single.exact:
            return single
    try:
        return make(dtype="float64")
    except WideningError:
        return single or make(dtype=native)


def _make(
    model: Model,
    images: np.ndarray,
    *,
    draw: Draw,
    seed: int,
    dtype: str,
    budget: Budget,
    scale: int | None = None,
) -> Trial:
    program = program_in(model, (1, *images.shape[1:]), dtype)
    weights = weights_in(model, program)
    with settings(dtype):
        factor = scale or 1
        if draw == "integers":
            drawn = integer_question(
                program,
                weights,
                images,
                replaceable=model.replaceable,
                seed=seed,
                scale=scale,
            )
            weights, factor = drawn.weights, drawn.scale
        elif draw in ("sparse", "quiet"):
            loud = QUIET if draw == "quiet" else 1.0
            weights = sparse_weights(
                program,
                weights,
                model.replaceable,
                seed,
                scale=loud,
                outputs_axis=model.door.outputs_axis,
            )
        elif draw == "random":
            weights = random_weights(
                weights, model.replaceable, seed, outputs_axis=model.door.outputs_axis
            )
        fixed = fixed_values(program, weights)
        grades, reach = grade_program(program, fixed, images * float(factor))
        exactness = tuple(judge(program, o, grades=grades, reach=reach) for o in program.outputs)
        if rounded := rounded_weights(program, weights):
            exactness = tuple(e.downgraded(rounded) for e in exactness)
        calibration = calibrate(current_device(), dtype)
        if not calibration.exact:
            exactness = tuple(e.downgraded(calibration.reason) for e in exactness)
    package = model.door.package
    return Trial(program, weights, draw, seed, factor, dtype, exactness, fixed, package, budget)
