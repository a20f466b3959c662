"""The field: a program run on numbers for which `==` means equal, for all images, all weights and all functions.

The program is evaluated modulo several primes. Pixels and free weights are random residues; known numbers are what
they are, since floats are whole numbers times powers of two. Constants, and what is computed of them, are the floats
of the program; weights that are known are real numbers, so what rounds on the way from them is not computed, but
evaluated here like the rest. Whatever is not algebraic becomes a random function: a
pointwise function a random function of its operands, a maximum `psi^-1(psi(a) + psi(b))` with a random permutation
psi, so that maxima of maxima regroup; a spectrum is taken with roots of unity. Two outputs that are equal by the laws
of commutative rings, of functions, and of symmetric associative operations, are equal here, whatever the seed. So a
claim that fails here is not an identity of that kind; and one that holds is one, but for an error that is bounded as
follows.

**The error.** Call two expressions different if they are not equal by these laws. Numbers are tuples of k tracks, one
residue modulo an own prime each, and random functions act on tuples. Suppose that in no function two different
arguments have been met whose tuples agree. Then the values of the functions are independent random elements, as fresh
as the pixels, and the difference of two different expressions is a polynomial in fresh elements. Let d be its degree.
On one track it vanishes only if

- it is not zero modulo the track's prime p, and vanishes at random elements: at most d / p of these cases (J.
  Schwartz, 1980; R. Zippel, 1979); or
- its coefficients are all multiples of p. Over a common denominator they are whole numbers of at most b bits (`Size`
  counts magnitude and denominators apart, since sums have the larger of one and all of the others), of which at most
  b / 19 primes above 2^19 are divisors; p was drawn among q primes: b / (19 q). With roots of unity of order n they
  are algebraic integers: with phi(n) conjugates their norm has b phi(n) bits, so at most b phi(n) / 19 pairs of a prime
  and a root divide them, of the q phi(n) pairs among which both were drawn: the same bound; or
- one of d arguments of a random function adds up, modulo 2^64, to the same number as another of N arguments: at most
  d N / 2^43, since the factors are odd and their operands below 2^21.

The sum of the three is the *atom* a. The tracks are independent, so a pair of different expressions agrees with
probability a^k at most. Of the arguments and 0, with which they are compared as well, there are (N + 1)^2 / 2 pairs,
and
one final pair. In all

    error <= ((N + 1)^2 / 2 + 1) a^k,

where N counts the cells at which some function was met, in both runs that are compared, d and b are the largest met;
b also bounds how often one cell may be joined with itself by nested maxima, whose marks add up.
(One chain of expressions instead of all pairs would give a smaller sum, but no bound: the maxima of x, 2x, 4x, 8x,
16x agree modulo 31 with those of y whenever y is x times a power of two.) A random function is one that mixes bits;
that it behaves as one drawn at random is an assumption, as usual for hash functions. So is that of the permutations:
their four rounds mix halves of the tuple, and halves of different tuples do agree now and then, with probability
a^(k/2) a pair. That alone makes no two values equal: both halves of a sum must, each by its own fresh numbers. The
rate of false agreement is measured with tiny primes, where halves agree all the time. The idea of random
interpretation: S. Gulwani, G. Necula, "Discovering affine equalities using random interpretation", 2003; "Global
value numbering using random interpretation", 2004.

**What is not seen**: laws of particular functions (relu(x) - relu(-x) = x); that max(x, x) = x, where an extremum is
taken of more than some hundred cells, or by a scatter, except at 0, where the function itself is used. Then "differs"
is said, which refutes nothing.

**What is no number.** Cells that are infinite or NaN for every image are followed by moves; quotients, functions cell
by cell and updates are asked whether they have a value where all is known to be 0. What is used whole is not asked.

**Who computes.** NumPy, at once, where all numbers are at hand, and JAX where the program is traced to be compiled. The
numbers are the same, since both are exact.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shiftproof.algebras.arithmetic import Arithmetic, FieldError, primes
from shiftproof.algebras.field.algebraic import bilinear, linear, moves, spectral
from shiftproof.algebras.field.functions import (
    extremum,
    lookup,
    opaque,
    ordered,
    pointwise,
    updates,
)
from shiftproof.algebras.field.loops import cond, scan, while_
from shiftproof.algebras.field.values import (
    Call,
    Field,
    Known,
    NotHere,
    Operand,
    Rule,
    Tally,
    Value,
    coded,
)
from shiftproof.tracing.primitives import Kind, is_complex
from shiftproof.tracing.trace import Program, applied

__all__ = [
    "RULES",
    "Field",
    "FieldError",
    "Known",
    "NotHere",
    "Operand",
    "Tally",
    "Value",
    "coded",
    "draw",
    "make_arithmetic",
    "make_field",
    "orders_of_unity",
]


def orders_of_unity(program: Program) -> int:
    """The order of the roots of unity that the spectra of a program need; 1 where there are none."""
    lengths = (e.params["fft_lengths"] for e in applied(program) if e.name == "fft")
    return math.lcm(*(math.lcm(4, *map(int, found)) for found in lengths))


def make_arithmetic(order: int, tracks: int, seed: int) -> tuple[Arithmetic, int]:
    """Primes drawn at random, all different, whose fields hold roots of unity of that order; and among how many.

    Raises:
        FieldError: there are not enough of them below 2^20.
    """
    pool = primes(order)
    if len(pool) < tracks:
        raise FieldError(
            f"spectra need roots of unity of order {order}, and only {len(pool)} primes below 2^20 have them"
        )
    drawn = np.random.default_rng([seed, order]).choice(pool, tracks, replace=False)
    return Arithmetic(tuple(int(p) for p in drawn), seed, order), len(pool)


def draw(arithmetic: Arithmetic, name: str, aval: Any) -> Value:
    """Random numbers in place of any: an image, or a free weight."""
    count = 2 if is_complex(aval) else 1
    return Value(tuple(arithmetic.draw(f"{name} {i}", aval.shape) for i in range(count)))


LOOPS = {"scan": scan, "while": while_, "cond": cond}


def loop(field: Field, call: Call) -> Sequence[Operand]:
    """Loops and branches, each by its own rule."""
    return LOOPS[call.eqn.name](field, call)


RULES: Mapping[Kind, Rule] = {
    Kind.MOVES: moves,
    Kind.LINEAR: linear,
    Kind.BILINEAR: bilinear,
    Kind.POINTWISE: pointwise,
    Kind.EXTREMUM: extremum,
    Kind.ORDERED: ordered,
    Kind.SPECTRAL: spectral,
    Kind.LOOP: loop,
    Kind.UPDATES: updates,
    Kind.LOOKUP: lookup,
    Kind.OPAQUE: opaque,
}
"""One rule per class."""


def make_field(arithmetic: Arithmetic, *, at_once: bool = False) -> Field:
    """The field with the rules of all classes; `at_once` computes without JAX what NumPy can compute."""
    return Field(arithmetic, RULES, at_once=at_once)
