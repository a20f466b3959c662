"""Residues, random functions, roots of unity and sizes, against Python's whole numbers and fractions."""

import math
import os
import subprocess
import sys
import warnings
from fractions import Fraction

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftproof.algebras import arithmetic
from shiftproof.algebras.arithmetic import (
    Arithmetic,
    FieldError,
    Size,
    exact_device,
    inverses,
    is_exact,
    primes,
    residues,
    root_of_unity,
    size_of,
    size_of_inverses,
)
from shiftproof.tracing.settings import current_device

P, Q = 1_048_571, 1_048_573
TWO = Arithmetic((P, Q), 0)
FOUR = Arithmetic((P, Q, 1_048_559, 1_048_549), 3)


def fraction_modulo(number: Fraction, prime: int) -> int:
    return number.numerator * pow(number.denominator, -1, prime) % prime


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=1, max_size=5), st.sampled_from([3, 31, P, Q]))
def test_floats_are_the_fractions_that_they_are(numbers, prime) -> None:
    expected = [fraction_modulo(Fraction(x), prime) for x in numbers]
    assert residues(np.array(numbers), prime).tolist() == expected


@pytest.mark.parametrize(
    "array",
    [
        np.array([5e-324, -5e-324, 1.7976931348623157e308, -0.0, 2.0**-1022]),
        np.array([2**64 - 1, 2**63, 7], np.uint64),
        np.array([-(2**63), -1, 2**63 - 1], np.int64),
        np.array([-128, 127], np.int8),
        np.array([True, False]),
        np.array([0.1, -3.5, 2.0**-24], np.float16),
    ],
    ids=lambda array: str(array.dtype),
)
def test_numbers_of_every_type_are_what_they_are(array) -> None:
    found = TWO.embed(array)
    for row, prime in zip(found, TWO.primes, strict=True):
        assert row.tolist() == [fraction_modulo(Fraction(x.item()), prime) for x in array]


@pytest.mark.slow
@given(
    st.lists(st.integers(2**20 - 2**53, 2**53 - 2**20), min_size=1, max_size=8),
    st.sampled_from([31, P, Q]),
)
def test_whole_numbers_are_reduced(numbers, prime) -> None:
    with jax.enable_x64(True):
        found = Arithmetic((prime,), 0).reduce(np.array([numbers], np.float64))
    assert np.asarray(found)[0].tolist() == [n % prime for n in numbers]


def test_multiples_of_a_prime_and_their_neighbours_are_reduced() -> None:
    near = np.array([k * P + d for k in (0, 1, 2**20, 2**32) for d in (-1, 0, 1)], np.float64)
    with jax.enable_x64(True):
        for numbers in (near, -near):
            found = np.asarray(Arithmetic((P,), 0).reduce(numbers[None]))[0]
            assert found.tolist() == [int(n) % P for n in numbers]


def test_a_product_with_the_inverse_is_one_and_zero_has_none() -> None:
    numbers = np.arange(1.0, 31)
    assert (inverses(numbers, 31) * numbers % 31).tolist() == [1.0] * 30
    with pytest.raises(FieldError, match="multiple of the prime 31"):
        inverses(np.array([1.0, 0.0]), 31)


@pytest.mark.slow
@pytest.mark.parametrize("field", [TWO, FOUR, Arithmetic((31, 37, 41), 1)])
def test_permutations_are_undone_and_injective(field) -> None:
    with jax.enable_x64(True):
        x = field.draw("x", (500,))
        there = field.permute("max", x)
        np.testing.assert_array_equal(field.unpermute("max", there), x)
        np.testing.assert_array_equal(field.permute("max", field.unpermute("max", x)), x)
    pairs = {tuple(column) for column in x.T}
    assert len({tuple(column) for column in np.asarray(there).T}) == len(pairs)
    assert not np.array_equal(there, x)


def test_all_tuples_of_a_tiny_field_are_permuted() -> None:
    tiny = Arithmetic((3, 5), 0)
    x = np.stack(np.meshgrid(np.arange(3.0), np.arange(5.0), indexing="ij")).reshape(2, -1)
    with jax.enable_x64(True):
        found = np.asarray(tiny.permute("max", x))
    assert sorted(zip(*found.tolist(), strict=True)) == sorted(zip(*x.tolist(), strict=True))


def test_a_permutation_needs_two_tracks() -> None:
    with pytest.raises(ValueError, match="two tracks"):
        Arithmetic((31,), 0).permute("max", np.zeros((1, 2)))


@pytest.mark.slow
def test_a_function_sees_every_track_of_every_operand_its_name_and_the_seed() -> None:
    with jax.enable_x64(True):
        x, y = FOUR.draw("x", (50,)), FOUR.draw("y", (50,))
        found = np.asarray(FOUR.function("f", [x, y]))
        np.testing.assert_array_equal(FOUR.function("f", [x, y]), found)
        np.testing.assert_array_equal(FOUR.function("f", [x, y]), found)
        others = [FOUR.function("g", [x, y]), FOUR.function("f", [y, x]), FOUR.function("f", [x])]
        others.append(Arithmetic(FOUR.primes, 4).function("f", [x, y]))
        for operand in (0, 1):
            for track in range(4):
                changed = [x.copy(), y.copy()]
                changed[operand][track] = (changed[operand][track] + 1) % FOUR.primes[track]
                others.append(FOUR.function("f", changed))
        for other in others:
            assert np.mean(np.asarray(other) == found) < 0.05
    assert found.min() >= 0
    assert all(row.max() < p for row, p in zip(found, FOUR.primes, strict=True))


def test_names_that_a_short_checksum_takes_for_equal_are_told_apart() -> None:
    """These two words have one CRC-32 and one length."""
    one, other = TWO.draw("plumless", (9,)), TWO.draw("buckeroo", (9,))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("prime", "order"), [(13, 4), (31, 30), (P, 1), (Q, 4)])
def test_roots_have_their_order(prime, order) -> None:
    root = root_of_unity(prime, order)
    assert [k for k in range(1, order + 1) if pow(root, k, prime) == 1] == [order]


def test_roots_of_all_orders_are_powers_of_one_that_is_drawn() -> None:
    moduli = tuple(int(p) for p in primes(24)[:6])
    fields = [Arithmetic(moduli, seed, 24) for seed in range(20)]
    for field in fields:
        for order in (3, 4, 6, 8, 12):
            for p, whole, part in zip(moduli, field.roots(24), field.roots(order), strict=True):
                assert part == pow(whole, 24 // order, p)
    assert len({field.roots(24)[0] for field in fields}) == 8  # as many as there are
    with pytest.raises(ValueError, match="does not divide"):
        fields[0].roots(5)


def test_primes_are_prime_and_have_the_roots() -> None:
    for order in (1, 12, 224):
        found = primes(order)
        assert all(p % order == 1 % order for p in found)
    assert all(p % d for p in primes(1)[:20] for d in range(2, math.isqrt(p) + 1))
    assert 2**20 - 1 not in primes(1)


# --- sizes ---


def covers(size: Size, numbers: list[Fraction]) -> None:
    """The numbers are below 2^above, and whole ones over the denominator."""
    denominator = math.prod(base**n for base, n in size.below.items())
    for number in numbers:
        assert abs(number) <= 2**size.above
        whole = number * denominator
        assert whole.denominator == 1
        assert abs(whole.numerator).bit_length() <= size.bits + 1


@given(st.lists(FLOATS, min_size=1, max_size=4), st.lists(FLOATS, min_size=1, max_size=4))
def test_sizes_cover_sums_and_products_of_floats(a, b) -> None:
    first, second = size_of(np.array(a)), size_of(np.array(b))
    assert first.degree == 0
    covers(first, [Fraction(x) for x in a])
    covers(first.with_(second, terms=2), [Fraction(x) + Fraction(y) for x in a for y in b])
    products = [Fraction(x) * Fraction(y) for x in a for y in b]
    covers(first.times(second, len(products)), [*products, sum(products, Fraction(0))])


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.integers(-30, 30))
def test_sizes_cover_sums_of_quotients(divisors, exponent) -> None:
    """One over three and one over seven have no common power of two."""
    numbers = [Fraction(d) * Fraction(2) ** exponent for d in divisors]
    size = size_of_inverses(np.array([float(n) for n in numbers]))
    quotients = [1 / n for n in numbers]
    covers(size.with_(terms=len(numbers)), [*quotients, sum(quotients, Fraction(0))])


def test_the_denominators_of_two_divisions_are_both_counted() -> None:
    thirds, sevenths = (size_of_inverses(np.array([n])) for n in (3.0, 7.0))
    covers(thirds.with_(sevenths, terms=2), [Fraction(1, 3) + Fraction(1, 7)])
    covers(thirds.times(thirds), [Fraction(1, 9)])


def test_growth_goes_on_from_round_to_round() -> None:
    first, after = Size(1, 2, {2: 3}), Size(3, 2, {2: 4, 7: 1})
    assert first.grown(after, 10) == Size(21, 2, {2: 13, 7: 10})
    assert after.within(first.grown(after, 1))
    assert not after.within(first)


# --- the device ---


@pytest.mark.slow
def test_this_processor_is_exact_and_one_that_rounds_is_found_out(monkeypatch) -> None:
    device = current_device()
    assert is_exact(device)
    honest = jax.lax.conv_general_dilated
    numpy = jax.numpy
    stand_ins = [
        (jax.lax, "conv_general_dilated", lambda *a, **k: honest(*a, **k) + 1.0),
        (numpy, "matmul", lambda a, b: numpy.einsum("tij,tjk->tik", a, b) + 1.0),
        (numpy, "tensordot", lambda a, b, n: a @ b + np.uint64(1)),
    ]
    for module, name, wrong in stand_ins:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, wrong)
            jax.clear_caches()  # of what was traced with the honest one
            assert not is_exact.__wrapped__(device), name
    jax.clear_caches()
    with monkeypatch.context() as patch:
        patch.setattr(jax, "enable_x64", lambda on: warnings.catch_warnings(action="ignore"))
        assert not is_exact.__wrapped__(device)  # floats of 32 bits in place of 64


SEVERAL_AT_ONCE = """
import jax, numpy as np
from shiftproof.algebras.arithmetic import Arithmetic, is_exact
told = is_exact(jax.devices()[0])
field = Arithmetic((1_048_571, 1_048_573), 0)
images = np.stack([field.draw(name, (8, 8)) for name in "ab"])
with jax.enable_x64(True):
    found = jax.jit(jax.vmap(lambda x: field.function("f", [x])))(images)
print(told, np.array_equal(found, [field.function("f", [x]) for x in images]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["", "--xla_disable_hlo_passes=fusion"])
def test_a_compiler_that_is_wrong_on_several_images_at_once_is_found_out(flags) -> None:
    """XLA of jaxlib 0.10 is, where it is told to fuse nothing."""
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_COMPILATION_CACHE_DIR": ""}
    run = [sys.executable, "-c", SEVERAL_AT_ONCE]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120)
    told, right = done.stdout.split()
    assert told == right
    assert flags or told == "True"


def test_the_field_runs_on_the_processor_where_the_device_rounds(monkeypatch) -> None:
    asked = []

    def stand_in(device):
        asked.append(device)
        return len(asked) > 1

    monkeypatch.setattr(arithmetic, "is_exact", stand_in)
    with exact_device():
        assert current_device() == jax.local_devices(backend="cpu")[0]
    assert len(asked) == 2
    monkeypatch.setattr(arithmetic, "is_exact", lambda device: False)
    with pytest.raises(FieldError, match="does not compute residues exactly"), exact_device():
        pass
