"""Arithmetic modulo several primes at once: residues, random functions, random permutations.

A number is a tuple of *tracks*, one residue for each of some primes just below 2^20, kept as floats of 64 bits: a
product of two residues is below 2^40, so sums of up to 2^13 products are exact, at the speed of ordinary convolutions.

Random functions and permutations act on the whole tuple. A track alone is one of a million numbers, and the cells of a
large network are more than that, so that many of them coincide; whole tuples of different expressions never do.
"""

import contextlib
import dataclasses
import functools
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.algebras.at_hand import xp
from shiftproof.algebras.blocks import by_cell
from shiftproof.tracing.settings import SMALL, all_options, current_device

CEILING = 2**20
FLOOR = 700_000
"""Primes are taken between these."""

MOST_TERMS = 2**13
"""Products of residues whose sum a float of 64 bits holds exactly."""

MOST_HALVES = 2**23
"""The same, where one factor is split into two halves of ten bits."""

EXPONENTS = range(-1140, 1025)
"""Of two, in floats of 64 bits that are whole numbers times a power of two."""


class FieldError(Exception):
    """The field cannot run a program, for the reason given."""


@functools.lru_cache(maxsize=64)
def primes(order: int) -> np.ndarray:
    """The primes between `FLOOR` and `CEILING` that are 1 modulo `order`, ascending: their fields hold roots of unity.

    >>> len(primes(1)), int(primes(1)[-1])
    (25482, 1048573)
    """
    sieve = np.ones(CEILING, bool)
    sieve[:2] = False
    for n in range(2, math.isqrt(CEILING) + 1):
        if sieve[n]:
            sieve[n * n :: n] = False
    found = np.flatnonzero(sieve)
    return found[(found >= FLOOR) & (found % order == 1 % order)]


def root_of_unity(prime: int, order: int) -> int:
    """An element of that order, which divides `prime - 1`.

    >>> pow(root_of_unity(13, 4), 2, 13)
    12
    """
    factors = [q for q in range(2, order + 1) if order % q == 0 and _is_prime(q)]
    for base in range(2, prime):
        root = pow(base, (prime - 1) // order, prime)
        if all(pow(root, order // q, prime) != 1 for q in factors):
            return root
    return 1  # order 1


def _is_prime(n: int) -> bool:
    return all(n % q for q in range(2, math.isqrt(n) + 1))


@functools.lru_cache(maxsize=256)
def _powers_of_two(prime: int) -> np.ndarray:
    """2^e modulo the prime, for e in `EXPONENTS`."""
    powers = np.empty(len(EXPONENTS), np.int64)
    powers[0] = pow(2, EXPONENTS.start, prime)
    for i in range(1, len(powers)):
        powers[i] = powers[i - 1] * 2 % prime
    return powers


def residues(array: np.ndarray, prime: int) -> np.ndarray:
    """Finite floats are whole numbers times powers of two, which a field of odd characteristic holds exactly.

    >>> residues(np.array([3, -1, 0.5]), 31).tolist()
    [3.0, 30.0, 16.0]
    """
    if array.dtype.kind in "iub":
        wide = array.astype(np.uint64 if array.dtype.kind == "u" else np.int64)
        return (wide % wide.dtype.type(prime)).astype(np.float64)
    mantissa, exponent = np.frexp(array.astype(np.float64))
    whole = (mantissa * 2.0**53).astype(np.int64) % prime
    powers = _powers_of_two(prime)[exponent.astype(np.int64) - 53 - EXPONENTS.start]
    return (whole * powers % prime).astype(np.float64)


def inverses(array: np.ndarray, prime: int) -> np.ndarray:
    """One over each residue; none of them may be 0."""
    values, places = np.unique(array.astype(np.int64), return_inverse=True)
    if values.size and values[0] == 0:
        raise FieldError(f"a divisor is a multiple of the prime {prime}")
    inverse = np.array([pow(int(v), -1, prime) for v in values], np.float64)
    return inverse[places].reshape(array.shape)


@dataclasses.dataclass(frozen=True)
class Size:
    """How large expressions are: polynomials in fresh elements, whose coefficients are fractions.

    Attributes:
        degree: of the polynomials.
        above: the coefficients are below 2^above in magnitude.
        below: a common denominator of theirs, as a product of powers: base and exponent.
    """

    degree: int = 1
    above: int = 0
    below: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Of the coefficients, as whole numbers over the common denominator."""
        return self.above + sum(n * (base - 1).bit_length() for base, n in self.below.items())

    def with_(self, *others: "Size", terms: int = 1) -> "Size":
        """Of what consists of any of these, or of sums of so many of them."""
        sizes = (self, *others)
        bases = {base for size in sizes for base in size.below}
        return Size(
            max(size.degree for size in sizes),
            max(size.above for size in sizes) + math.ceil(math.log2(max(1, terms))),
            {base: max(size.below.get(base, 0) for size in sizes) for base in bases},
        )

    def times(self, other: "Size", terms: int = 1) -> "Size":
        """Of sums of so many products."""
        bases = {*self.below, *other.below}
        return Size(
            self.degree + other.degree,
            self.above + other.above + math.ceil(math.log2(max(1, terms))),
            {base: self.below.get(base, 0) + other.below.get(base, 0) for base in bases},
        )

    def grown(self, after: "Size", rounds: int) -> "Size":
        """After so many rounds that each add what was added from here to `after`."""
        return Size(
            self.degree + rounds * max(0, after.degree - self.degree),
            self.above + rounds * max(0, after.above - self.above),
            {
                base: old + rounds * max(0, after.below.get(base, 0) - old)
                for base in {*self.below, *after.below}
                for old in (self.below.get(base, 0),)
            },
        )

    def within(self, other: "Size") -> bool:
        """Whether this is no larger in any respect."""
        return (
            self.degree <= other.degree
            and self.above <= other.above
            and all(n <= other.below.get(base, 0) for base, n in self.below.items())
        )


FRESH = Size()


def size_of(array: np.ndarray) -> Size:
    """The size of known numbers: floats are whole numbers over a power of two."""
    whole, exponent = _whole_numbers(array)
    if not whole.size:
        return Size(0)
    top = int(np.max(np.ceil(np.log2(whole.astype(np.float64))).astype(np.int64) + exponent))
    return Size(0, max(0, top), {2: max(0, -int(exponent.min()))})


def size_of_inverses(array: np.ndarray) -> Size:
    """The size of one over each of some known numbers, none of them 0."""
    whole, exponent = _whole_numbers(array)
    least = int(np.min(np.floor(np.log2(whole.astype(np.float64))).astype(np.int64) + exponent))
    multiple = math.lcm(*(int(w) for w in np.unique(whole)))
    return Size(0, max(0, -least), {2: max(0, int(exponent.max())), multiple: 1})


def _whole_numbers(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Odd numbers and exponents of two that give the magnitudes of all finite entries that are not 0."""
    values = np.abs(array[np.isfinite(array)].astype(np.float64))
    mantissa, exponent = np.frexp(values[values > 0])
    whole = (mantissa * 2.0**53).astype(np.int64)
    last = whole & -whole
    return whole // np.maximum(last, 1), exponent - 53 + np.log2(last).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """Tuples of residues, (tracks, *shape) float64, and random functions of them.

    Attributes:
        primes: one a track.
        seed: of all random functions.
        order: of the roots of unity that spectra use; every prime is 1 modulo it.
    """

    primes: tuple[int, ...]
    seed: int
    order: int = 1

    @property
    def tracks(self) -> int:
        """How many residues make a number."""
        return len(self.primes)

    def reduce(self, x: Any) -> Any:
        """Residues of whole numbers of magnitude up to 2^53 - 2^20."""
        return by_cell(_reduced, [x], np.asarray(self.primes, np.float64))

    def embed(self, array: np.ndarray) -> np.ndarray:
        """Known numbers, finite ones; the same in every program, so that equal ones are equal tuples."""
        return np.stack([residues(array, p) for p in self.primes])

    def draw(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Random elements."""
        generator = self._generator(name)
        return np.stack([generator.integers(0, p, tuple(shape)) for p in self.primes]).astype(
            np.float64
        )

    def _generator(self, name: str) -> np.random.Generator:
        return _generator(self.seed, name)

    def roots(self, order: int) -> list[int]:
        """Roots of unity of that order, one a track; of all orders they are powers of one root, drawn at random."""
        if self.order % order:
            raise ValueError(f"{order} does not divide the order of this field, {self.order}")
        fit = [k for k in range(1, self.order + 1) if math.gcd(k, self.order) == 1]
        powers = self._generator("root of unity").choice(fit, self.tracks)
        return [
            pow(root_of_unity(p, self.order), int(k) * (self.order // order), p)
            for p, k in zip(self.primes, powers, strict=True)
        ]

    def function(self, name: str, operands: Sequence[Any]) -> Any:
        """A random function of whole tuples, cell by cell: (tracks, *shape).

        Each track adds all residues, times random odd numbers, modulo 2^64, and mixes the bits of the sum.

        Args:
            name: equal names are equal functions.
            operands: arrays (tracks, *shape) of whole numbers below 2^21; all of one shape.
        """
        draws = _drawn(self.seed, name, self.tracks, sum(len(operand) for operand in operands))
        return by_cell(_mixed, operands, draws, np.asarray(self.primes, np.uint64))

    def permute(self, name: str, x: Any) -> Any:
        """A random permutation of the tuples, cell by cell: four rounds, each of which adds to one half of the tracks a
        random function of the other half (M. Luby, C. Rackoff, 1988).
        """
        return by_cell(_exchanged, [x], *self._rounds(name))

    def unpermute(self, name: str, x: Any) -> Any:
        """The inverse of `permute`."""
        return by_cell(_exchanged_back, [x], *self._rounds(name))

    def _rounds(self, name: str) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """What the random functions of a permutation are made of, and the primes.

        Raises:
            ValueError: one track alone is no pair of halves.
        """
        half = self.tracks // 2
        if not half:
            raise ValueError("a permutation takes two tracks or more")
        counts = (half, self.tracks - half)
        drawn = (
            _drawn(self.seed, f"{name} {i}", counts[i % 2], counts[1 - i % 2]) for i in range(4)
        )
        return tuple(drawn), np.asarray(self.primes, np.float64)


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = np.frombuffer(hashlib.sha256(name.encode()).digest(), np.uint32)
    return np.random.default_rng([seed, *digest])


@functools.lru_cache(maxsize=1024)
def _drawn(seed: int, name: str, tracks: int, count: int) -> np.ndarray:
    """What a random function is made of: two numbers for every track, and one for each number it is given."""
    drawn = _generator(seed, name).integers(0, 2**64, (tracks, count + 2), np.uint64)
    drawn.flags.writeable = False
    return drawn


@functools.lru_cache(maxsize=32)
def is_exact(device: jax.Device) -> bool:
    """Whether a device computes residues as 64-bit integers on the host do: convolutions, products, random functions.

    One that transforms convolutions, or has no true floats of 64 bits, does not. Several images are asked about at
    once, and under all that the compiler is told of runs.
    """
    arithmetic = Arithmetic((1_048_571, 1_048_573), 0)
    images, kernel, left, right = (
        arithmetic.draw(f"trial {i}", shape)
        for i, shape in enumerate([(1, 8, 8, 64), (3, 3, 64, 8), (8, MOST_TERMS), (MOST_TERMS, 8)])
    )
    marks = np.stack([arithmetic.draw(f"marks {i}", (50,)) for i in range(3)])

    def compute(images: Any, left: Any, marks: Any) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        tracks = [
            jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=dimensions)
            for x, w in zip(images, kernel, strict=True)
        ]
        return (
            arithmetic.reduce(jnp.stack(tracks)),
            arithmetic.reduce(jnp.matmul(left, right)),
            arithmetic.function("trial", list(marks)),
        )

    # the second image is the first one backwards
    given = [np.stack([array, array[..., ::-1]]) for array in (images, left, marks)]
    wanted = _on_host(arithmetic, *given, kernel=kernel, right=right)
    with jax.enable_x64(True), jax.default_device(device):
        try:
            lowered = jax.jit(jax.vmap(compute)).lower(*given)
            return all(
                np.array_equal(found, array)
                for options in all_options(device.platform, SMALL)
                for found, array in zip(lowered.compile(options)(*given), wanted, strict=True)
            )
        except (jax.errors.JaxRuntimeError, TypeError, ValueError):
            return False


def _on_host(
    arithmetic: Arithmetic,
    images: np.ndarray,
    left: np.ndarray,
    marks: np.ndarray,
    *,
    kernel: np.ndarray,
    right: np.ndarray,
) -> list[np.ndarray]:
    """What `is_exact` computes, in 64-bit integers."""
    whole = [array.astype(np.int64) for array in (images, kernel, left, right)]
    moduli = np.asarray(arithmetic.primes)
    windows = np.lib.stride_tricks.sliding_window_view(whole[0], (3, 3), (3, 4))
    convolved = np.einsum("btnyxcuv,tuvco->btnyxo", windows, whole[1])
    return [
        convolved % moduli.reshape(-1, 1, 1, 1, 1),
        whole[2] @ whole[3] % moduli.reshape(-1, 1, 1),
        np.stack([arithmetic.function("trial", list(m)) for m in marks]),
    ]


@contextlib.contextmanager
def exact_device() -> Iterator[None]:
    """Run on the current device where it is exact on residues, and on the host's processor where it is not.

    Raises:
        FieldError: neither is exact.
    """
    device = current_device()
    if not is_exact(device):
        try:
            host = jax.local_devices(backend="cpu")[0]
        except RuntimeError:
            host = device
        if not is_exact(host):
            raise FieldError(f"{device.device_kind} does not compute residues exactly")
        device = host
    with jax.default_device(device):
        yield


def _reduced(x: Any, primes: Any) -> Any:
    p = _column(primes, x)
    rest = x - p * xp.floor(x * (1 / p))
    # the quotient may be off by one where it is nearly whole
    rest = xp.where(rest < 0, rest + p, rest)
    return xp.where(rest >= p, rest - p, rest)


def _mixed(*operands: Any) -> Any:
    *arrays, draws, moduli = operands
    x = xp.concatenate(arrays).astype(np.uint64)
    # a product of matrices, which the compiler does not compute anew for every use of the result
    total = xp.tensordot(draws[:, 2:] | np.uint64(1), x, 1)
    high = _mix(_mix(total + _column(draws[:, 0], x)) ^ _column(draws[:, 1], x)) >> np.uint64(32)
    return (high * _column(moduli, x) >> np.uint64(32)).astype(np.float64)


def _exchanged(x: Any, draws: Sequence[Any], primes: Any, *, back: bool = False) -> Any:
    half = len(x) // 2
    parts = [slice(0, half), slice(half, None)]
    halves = [x[part] for part in parts]
    for number in reversed(range(4)) if back else range(4):
        i = number % 2
        p = primes[parts[i]]
        added = _mixed(halves[1 - i], draws[number], p.astype(np.uint64))
        halves[i] = _reduced(halves[i] - added if back else halves[i] + added, p)
    return xp.concatenate(halves)


_exchanged_back = functools.partial(_exchanged, back=True)


def _column(numbers: Any, x: Any) -> Any:
    """One for each row of an array."""
    return numbers.reshape(-1, *[1] * (x.ndim - 1))


def _mix(x: Any) -> Any:
    """A bijection of 64 bits; every bit of the input changes half of those of the output (D. Stafford, 2011)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
