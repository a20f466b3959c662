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
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.digits import grade_program, rounded_weights
from shiftproof.errors import ModelCallError, WideningError
from shiftproof.exactness.calibration import calibrate
from shiftproof.exactness.exact import Exactness, judge
from shiftproof.exactness.probes import integer_question
from shiftproof.refuting.branches import silent_weights
from shiftproof.refuting.budget import Budget
from shiftproof.refuting.disturbing import computed_of_weights, disturbed, disturbed_values
from shiftproof.refuting.weights import QUIET, random_weights, sparse_weights
from shiftproof.tracing.model import Model, native_dtype, program_in, weights_in
from shiftproof.tracing.settings import SMALL, compiler_options, current_device, settings
from shiftproof.tracing.trace import (
    Program,
    evaluate,
    fixed_divisors,
    fixed_values,
    hash_array,
)
from shiftproof.tracing.work import work_of

Draw = Literal["these", "integers", "sparse", "quiet", "shallow", "random"]

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
        draw: whose weights: `these`, `integers`, `sparse`, `quiet`, `shallow` or `random`.
        seed: of drawn weights.
        scale: what images are multiplied by before they enter the program.
        dtype: of the images: `float64`, where the program was widened, or what it was traced in.
        exactness: of every output, on all images of the magnitude it was graded for.
        fixed: the values of the program that do not depend on the images.
        package: of the model's framework, for the record of versions; "" where it is Flax, or none.
        budget: to which every run is charged.
        kept: the last outputs, by disturbance and hash of the image.
        balls: the last enclosures of all outputs, by hash of the image.
        embedded: the enclosures of weights and constants, by number, where they are kept.
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
    embedded: dict[int, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
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
        plain = np.ascontiguousarray(images)
        keys = [(salt, hashlib.sha256(image.data).digest()) for image in plain]
        found = {key: self.kept[key] for key in keys if key in self.kept}
        first = {key: i for i, key in reversed(list(enumerate(keys))) if key not in found}
        missing = sorted(first.values())
        with settings(self.dtype):
            for begin in range(0, len(missing), self.slots):
                numbers = missing[begin : begin + self.slots]
                part = np.zeros((self.slots, 1, *images.shape[1:]), jnp.dtype(self.dtype))
                for slot, number in enumerate(numbers):
                    image = images[number]
                    part[slot, 0] = image if self.scale == 1 else image * float(self.scale)
                values = self._run(jax.device_put(part), salt)
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
        # a fingerprint does not tell the functions apart that a program calls back
        own = id(program) if program.calls_python else 0
        key = (program.fingerprint, self.dtype, self.slots, own, seed > 0)
        fixed, divisors, _ = self._given(seed)
        salt = jnp.uint32(seed)
        if key in _COMPILED:
            return _COMPILED[key][1](images, divisors, fixed, salt)
        while len(_COMPILED) >= MOST_COMPILED:
            del _COMPILED[next(iter(_COMPILED))]
        with self.budget.uncounted():
            try:
                run = disturbed(program) if seed else _compile(program, images, divisors, fixed)
                outputs = run(images, divisors, fixed, salt)
            except Exception as error:
                raise ModelCallError(
                    f"the model cannot be run on several images at once: {type(error).__name__}: "
                    f"{str(error).splitlines()[0] if str(error) else ''}"
                ) from error
        # the program is kept, so that its id stays its own
        _COMPILED[key] = program, run
        return outputs

    def _given(self, seed: int) -> tuple[dict[int, Any], dict[int, jax.Array], bool]:
        """What does not depend on the images, disturbed too; divisors in full shape, so that they stay divisors; and
        whether a value that is computed of weights left the range of its format.
        """
        if seed not in self.given:
            fixed, left = self.fixed, False
            if seed and computed_of_weights(self.program):
                with settings(self.dtype), self.budget.uncounted():
                    fixed, left = disturbed_values(self.program, self.weights, seed)
            divisors = {
                number: jax.device_put(np.broadcast_to(value, (self.slots, *value.shape)))
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


def _compile(program: Program, images: Any, divisors: Any, fixed: Any) -> Callable[..., list[Any]]:
    """The program on several images, compiled as one; it never says that a value left the range of its format."""

    def one(image: jax.Array, divisors: dict[int, Any], fixed: dict[int, Any]) -> list[Any]:
        values = evaluate(program, fixed, image, divisors)
        outputs = [values[o] if isinstance(o, int) else o.value for o in program.outputs]
        return [*map(jnp.asarray, outputs), jnp.asarray(False)]

    run = jax.jit(jax.vmap(one, in_axes=(0, 0, None)))
    cells = len(images) * sum(math.prod(program.avals[n].shape) for n in program.from_images)
    # it is run on images by the dozen: what is not optimised at all takes seven times as long
    options = compiler_options(current_device().platform, max(cells, SMALL))
    compiled = run.lower(images, divisors, fixed).compile(options)
    return lambda images, divisors, fixed, _: compiled(images, divisors, fixed)


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
        elif draw in ("sparse", "quiet", "shallow"):
            loud = 1.0 if draw == "sparse" else QUIET
            silent = (
                silent_weights(program, model.replaceable) if draw == "shallow" else frozenset()
            )
            weights = sparse_weights(
                program, weights, model.replaceable, seed, scale=loud, silent=silent
            )
        elif draw == "random":
            weights = random_weights(program, weights, model.replaceable, seed)
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
