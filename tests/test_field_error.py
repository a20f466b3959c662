"""How often the field errs, measured with tiny primes, against the bound that it prints; and what the bound counts."""

import dataclasses
import math

import fields
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import some
from fields import Lab
from jax import lax

from shiftproof.algebras.arithmetic import Size
from shiftproof.algebras.field import Tally

DRAWS, SEEDS = 40_000, 4


def multiples(x):
    return sum(jax.nn.sigmoid(h * x) for h in (1, 2, 4, 8, 16))


def largest(x):
    """A maximum of multiples; psi adds up over all of them."""
    return jnp.stack([h * x for h in (1, 2, 4, 8, 16)]).max(0)


def nested(x, y):
    return jnp.tanh(jnp.tanh(jnp.tanh(x) + y) - 2 * x)


PAIRS = {
    "linear": lambda x, y, z, w: (x + 2 * y, z),
    "product": lambda x, y, z, w: (x * y * z, 0 * w),
    "high power": lambda x, y, z, w: (jnp.square(jnp.square(x)) * y, jnp.square(jnp.square(z)) * w),
    "functions": lambda x, y, z, w: (jnp.tanh(x), jnp.tanh(y)),
    "sums of functions": lambda x, y, z, w: (jnp.tanh(x) + jnp.tanh(y), jnp.tanh(z) + jnp.tanh(w)),
    "functions of products": lambda x, y, z, w: (jnp.tanh(x * y * z), jnp.tanh(0 * w)),
    "functions of functions": lambda x, y, z, w: (nested(x, y), nested(y, x)),
    "multiples": lambda x, y, z, w: (multiples(x), multiples(y)),
    "maxima": lambda x, y, z, w: (jnp.maximum(x, y), jnp.maximum(z, w)),
    "maxima of multiples": lambda x, y, z, w: (largest(x), largest(y)),
    "maxima of equals": lambda x, y, z, w: (jnp.maximum(x, x), y),
    "maxima of maxima": lambda x, y, z, w: (
        jnp.maximum(jnp.maximum(x, y), jnp.maximum(x, z)),
        jnp.maximum(jnp.maximum(x, w), y),
    ),
    "quotients": lambda x, y, z, w: (x / y, z / w),
    "choices": lambda x, y, z, w: (jnp.where(x > 0, y, z), jnp.where(x > 0, w, z)),
    "sets": lambda x, y, z, w: (
        jnp.sort(jnp.stack([x, y]), 0)[0],
        jnp.sort(jnp.stack([z, w]), 0)[0],
    ),
    "lines that seem flat": lambda x, y, z, w: (lax.cummax(jnp.stack([x, y]), 0)[1], y),
    "sequences": lambda x, y, z, w: (
        jnp.argmax(jnp.stack([x, y]), 0),
        jnp.argmax(jnp.stack([y, x]), 0),
    ),
}
MODULI = [(31, 37), (31, 31), (251, 257)]


def split(x):
    return [x[0, :, i] for i in range(4)]


def measured(name: str, moduli: tuple[int, ...]) -> tuple[float, Tally]:
    """The rate at which two different expressions agree; and what is counted for one pair."""
    agree = 0
    traced = fields.program(lambda x: PAIRS[name](*split(x)), np.ones((1, DRAWS, 4)))
    for seed in range(SEEDS):
        lab = Lab(traced, moduli, seed)
        first, second = (np.asarray(value.parts[0]) for value in lab.run(lab.image))
        agree += int(np.all(first == second, axis=0).sum())
    one = Lab(fields.program(lambda x: PAIRS[name](*split(x)), np.ones((1, 1, 4))), moduli)
    tally_of = one.run(one.image)
    tally = one.made[-1].tally
    tally.met(tally_of)
    # the two expressions stand for the two runs that are compared
    tally = dataclasses.replace(tally, lookups=math.ceil(tally.lookups / 2))
    return agree / (DRAWS * SEEDS), tally


def bound(tally: Tally, moduli: tuple[int, ...]) -> float:
    """With small coefficients, none of which a prime divides."""
    return 2 ** tally.log2_error(math.inf, moduli)  # type: ignore[arg-type]


RATES: dict[tuple[str, tuple[int, ...]], tuple[float, Tally]] = {}


def rate(name: str, moduli: tuple[int, ...]) -> tuple[float, Tally]:
    if (name, moduli) not in RATES:
        RATES[name, moduli] = measured(name, moduli)
    return RATES[name, moduli]


@pytest.mark.slow
@pytest.mark.parametrize("moduli", MODULI, ids=str)
@pytest.mark.parametrize("name", some(PAIRS, 2))
def test_different_expressions_agree_as_seldom_as_the_bound_says(name, moduli) -> None:
    found, tally = rate(name, moduli)
    spread = 4 * math.sqrt(bound(tally, moduli) / (DRAWS * SEEDS))
    assert found <= bound(tally, moduli) + spread
    if moduli[0] == 31:
        assert 0 < found < 0.2


@pytest.mark.slow
def test_a_bound_without_degrees_or_without_pairs_is_exceeded() -> None:
    """So the measurement can tell a bound that is too small."""
    found, tally = rate("product", (31, 37))
    constant = dataclasses.replace(tally, size=dataclasses.replace(tally.size, degree=1))
    assert found > 1.5 * bound(constant, (31, 37))
    found, tally = rate("multiples", (31, 31))
    assert found > 1.5 * bound(dataclasses.replace(tally, lookups=0), (31, 31))


# --- what is counted ---


def tally_of(fn, shape=(1, 4, 2)) -> Tally:
    lab = Lab(fields.program(fn, np.ones(shape, np.float32)))
    values = lab.run(lab.image)
    lab.made[-1].tally.met(values)
    return lab.made[-1].tally


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "lookups"),
    [
        (lambda x: 2 * x + x.sum(), 0),
        (jnp.tanh, 8),
        (lambda x: jnp.arctan2(x[:, :, :1], x[:, :1]), 8),
        (lambda x: jnp.tanh(jnp.tanh(x).sum(1)), 10),
        (lambda x: jnp.max(x, 1), 4 * 8 + 4 * 2),
        # the last 8 are compared with the first cell of their line
        (lambda x: jnp.sort(x, 1), 8 + 8 + 8),
        (lambda x: jnp.argmax(x, 1), 8 + 2 + 8),
        (lambda x: lax.cummax(x, 1), 8 + 8 + 8),
        (lambda x: lax.cumprod(x, 1), 8 + 8),
        (lambda x: x / x[:, :1], 8),
        (lambda x: lax.fori_loop(0, 10, lambda _, y: jnp.tanh(y), x), 80),
        (lambda x: lax.fori_loop(0, 1500, lambda _, y: jnp.tanh(y + 1), x), 1500 * 8),
        (
            lambda x: lax.fori_loop(
                0, 1500, lambda _, y: lax.fori_loop(0, 1200, lambda _, z: jnp.tanh(z + 1), y), x
            ),
            1500 * 1200 * 8,
        ),
    ],
)
def test_every_cell_at_which_a_function_is_met_is_counted(fn, lookups) -> None:
    assert tally_of(fn).lookups == lookups


@pytest.mark.parametrize(
    ("fn", "degree"),
    [
        (lambda x: x + x.sum(), 1),
        (lambda x: x * x[:, :1] * x, 3),
        (lambda x: jnp.tanh(x * x) * x, 2),
        (lambda x: jnp.where(x > 0, x, x * x), 3),
        (lambda x: x / (x * x), 2),
        (lambda x: jnp.abs(lax.complex(x, x)) * 1, 2),
        (lambda x: jnp.max(x * x * x, 1), 3),
        (lambda x: lax.fori_loop(0, 6, lambda _, y: y * y, x), 64),
        (lambda x: lax.fori_loop(0, 1500, lambda _, y: y * x + 1, x), 1501 + 1),
    ],
)
def test_degrees_are_counted(fn, degree) -> None:
    found = tally_of(fn).size.degree
    assert degree <= found <= degree + 1


@pytest.mark.slow
def test_what_grows_faster_than_by_steps_in_a_long_loop_is_opaque() -> None:
    for body in (
        lambda _, y: y * y + 1,
        lambda _, y: 1 - y * (1 - y),
        lambda _, y: y * y[:, ::-1] + 1,
    ):
        lab = Lab(
            fields.program(lambda x, b=body: lax.fori_loop(0, 1500, b, x), np.ones((1, 4, 2)))
        )
        lab.run(lab.image)
        assert "grow too fast" in next(iter(lab.made[-1].opaque))


@pytest.mark.parametrize(
    ("fn", "bits"),
    [
        (lambda x: x * 2.0**100 + x * 2.0**-100, 200),
        (lambda x: x / 3 + x / 7 + x / 5, 7),
        (lambda x: (x / np.arange(1.0, 65)[:, None]).sum(1), 88),
        (lambda x: x.sum(1), 6),
        (lambda x: x.at[:, np.zeros(1000, int)].add(1.0), 9),
        (lambda x: jnp.cos(0 * x) * 1.0 + jnp.exp(0 * x) / 3, 1),
        (lambda x: jnp.logaddexp(0 * x, np.float32(0.3)), 20),
        (lambda x: jnp.fft.ifft(x, axis=1).real, 12),
        (lambda x: lax.fori_loop(0, 1500, lambda _, y: y + y, x), 1500),
        (lambda x: lax.fori_loop(0, 1500, lambda _, y: (y + x) / 3, x), 2 * 1500),
    ],
)
def test_the_bits_of_coefficients_are_counted(fn, bits) -> None:
    """At least those of the largest numerator, found by hand."""
    found = tally_of(fn, (1, 64, 2)).size.bits
    assert bits <= found <= 40 * bits + 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "joined"),
    [
        (lambda x: x.max(1), 6),
        (lambda x: jnp.sort(x, 1), 6),
        (lambda x: lax.fori_loop(0, 40, lambda _, y: jnp.maximum(y, y), x), 40),
        (lambda x: lax.fori_loop(0, 2500, lambda _, y: jnp.maximum(y, y), x), 2500),
    ],
)
def test_how_often_a_cell_is_joined_is_counted(fn, joined) -> None:
    """max(y, y), forty times over, has 2^40 marks of y: among them a multiple of some prime."""
    assert joined <= tally_of(fn, (1, 64, 2)).joined <= joined + 1


def test_the_bound_grows_with_everything_that_is_counted() -> None:
    moduli, pool = (1_048_571, 1_048_573), 25_000
    least = Tally().log2_error(pool, moduli)
    for tally in (
        Tally(lookups=10**6),
        Tally(size=Size(100)),
        Tally(size=Size(1, 100)),
        Tally(size=Size(1, 0, {2: 100})),
        Tally(joined=100),
    ):
        assert tally.log2_error(pool, moduli) > least + 1
    assert Tally().log2_error(100, moduli) > least
