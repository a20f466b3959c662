"""A traced function run in the field, without compiling it: what the tests of the field share."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from shiftproof.algebras.arithmetic import Arithmetic, primes
from shiftproof.algebras.field import Field, Known, Value, coded, make_field, orders_of_unity
from shiftproof.proving.analysis import Claim
from shiftproof.proving.identity import Identities
from shiftproof.proving.runs import Question
from shiftproof.tracing.trace import Program, trace

INVARIANCE = Claim("output", 0, "invariance", (), (), "any")


def program(
    fn: Callable[..., Any], image: Any, weights: Mapping[str, Any] | None = None
) -> Program:
    """The trace of `fn(image, **weights)`."""
    return trace(lambda w, x: fn(x, **w), dict(weights or {}), image)


@dataclasses.dataclass
class Lab:
    """A program and a field.

    Attributes:
        program: what is run.
        moduli: of the tracks; two large primes that have the roots of unity needed, where None.
        seed: of the field.
    """

    program: Program
    moduli: tuple[int, ...] | None = None
    seed: int = 0
    made: list[Field] = dataclasses.field(default_factory=list)

    @property
    def arithmetic(self) -> Arithmetic:
        order = orders_of_unity(self.program)
        moduli = self.moduli or tuple(int(p) for p in primes(order)[-2:])
        return Arithmetic(moduli, self.seed, order)

    @property
    def image(self) -> np.ndarray:
        """Random elements in place of the image."""
        return self.arithmetic.draw("image", self.program.avals[self.program.images].shape)

    def run(self, image: np.ndarray, weights: Sequence[np.ndarray] = ()) -> list[Value]:
        """The outputs for residues in place of image and weights."""
        field = make_field(self.arithmetic)
        self.made.append(field)
        start: dict[int, Any] = {n: Known(a) for n, a in self.program.constants.items()}
        start |= {n: Value((w,)) for n, w in zip(self.program.weights, weights, strict=True)}
        start[self.program.images] = Value((image,))
        with jax.enable_x64(True):
            values = field.run(self.program, start)
            return [field.value(values[o]) for o in self.program.outputs if isinstance(o, int)]

    def rolled(self, shift: Sequence[int]) -> list[list[np.ndarray]]:
        """The parts of all outputs for a random image, shifted."""
        axes = tuple(2 + axis for axis in range(len(shift)))
        outputs = self.run(np.roll(self.image, shift, axes))
        return [[np.asarray(part) for part in coded(value)] for value in outputs]


def identities(
    fn: Callable[[Any], Any], shape: Sequence[int], dtype: str = "float32", seed: int = 0
) -> Identities:
    """The field on a function of a batch of images."""
    traced = program(fn, jax.ShapeDtypeStruct((1, *shape), dtype))
    return Identities(Question(traced, (), frozenset(), tuple(range(1, len(shape))), seed))


def equivariance(shape: Sequence[int], law: str = "same") -> Claim:
    """The claim that the first output moves with the image."""
    return Claim("output", 0, "equivariance", tuple(range(1, len(shape))), tuple(shape[:-1]), law)


def claimed(
    fn: Callable[[Any], Any],
    shape: Sequence[int],
    claim: Claim,
    dtype: str = "float32",
    seed: int = 0,
) -> int:
    """Of how many shifts the field says that they keep a property of the output."""
    asked = identities(fn, shape, dtype, seed)
    return sum(asked.output_shift(claim, s) is not None for s in np.ndindex(*shape[:-1]))


def bound(lab: Lab, pool: float = math.inf) -> float:
    """The error bound of the last run."""
    field = lab.made[-1]
    return 2 ** field.tally.log2_error(pool, lab.arithmetic.primes)  # type: ignore[arg-type]
