"""What operations mean in `Semantics.v` is what JAX computes: cells are numbered, and followed through both."""

import json
import random
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from proofs import checker, coq
from proofs.checker.terms import integer, listed
from proofs.checker.test_checker import needs_coq

pytestmark = pytest.mark.xdist_group("coq")
CASES = 40


def told(directory: Path, terms: list[str], *before: str) -> list:
    """What Coq evaluates lists of integers to."""
    commands = {f"t{number}": f"Eval vm_compute in ({term})" for number, term in enumerate(terms)}
    answers = coq.answers(directory, [*checker.HEADER, ABSENT, *before], commands)
    texts = [answers[name].partition("=")[2].rpartition(":")[0] for name in commands]
    return [json.loads(text.replace(";", ",")) for text in texts]


ABSENT = "Definition cell (v : option Z) : Z := match v with Some j => j | None => 99 end."
"""Padding has the number 99."""


@pytest.mark.slow
@needs_coq
def test_windows_and_padding_are_those_of_jax(compiled) -> None:
    chance, terms, right = random.Random(1), [], []
    while len(terms) < CASES:
        n, width, stride, base, dilation = (chance.randint(1, most) for most in (7, 3, 3, 3, 3))
        low, high = chance.randint(-2, 3), chance.randint(-2, 3)
        cells = (n - 1) * base + 1 + low + high
        count = (cells - 1 - dilation * (width - 1)) // stride + 1
        if count <= 0 or cells <= 0 or (min(low, high) < 0 and n * base < 5):
            continue
        numbers = " ".join(map(integer, (width, stride, low, high, base, dilation)))
        dim = f"Dim 0%nat 0%nat {numbers}"
        terms.append(f"map (fun q => map cell (shown [{dim}] [] [{n}] [q] 0)) (range {count})")
        padded = lax.pad(jnp.arange(n), 99, [(low, high, base - 1)])
        picked = np.arange(count)[:, None] * stride + np.arange(width)[None, :] * dilation
        right.append(np.asarray(padded)[picked].tolist())
        one, kernel = jnp.arange(n, dtype=float)[None, None] - 99, jnp.eye(width)[:, None]
        patches = lax.conv_general_dilated(
            one, kernel, (stride,), [(low, high)], lhs_dilation=(base,), rhs_dilation=(dilation,)
        )
        assert (np.asarray(patches[0].T) + 99).astype(int).tolist() == right[-1]
        terms.append(f"map (fun w => cell (stands {n} {integer(low)} {base} w)) (range {cells})")
        right.append(np.asarray(padded).tolist())
    assert told(compiled, terms) == right


@pytest.mark.slow
@needs_coq
def test_reshapes_and_transpositions_are_those_of_jax(compiled) -> None:
    shape, made, order = (2, 3, 4), (4, 6), (2, 0, 1)
    cells = np.arange(24).reshape(shape)
    places = np.argwhere(np.ones(made)).tolist()
    turned = np.argwhere(np.ones([shape[axis] for axis in order])).tolist()
    old, new = (listed(map(integer, one)) for one in (shape, made))
    terms = [
        f"Semantics.place {old} (cell_at {old} (Semantics.place {new} {i}))".replace(",", ";")
        for i in places
    ]
    named = "[" + "; ".join(f"{axis}%nat" for axis in order) + "]"
    terms += [
        f"Semantics.place {old} (build 3 (fun a => nth (position a {named}) {i} 0))".replace(
            ",", ";"
        )
        for i in turned
    ]
    reshaped, transposed = lax.reshape(cells, made), lax.transpose(cells, order)
    right = [*np.asarray(reshaped).ravel().tolist(), *np.asarray(transposed).ravel().tolist()]
    assert told(compiled, ["[" + "; ".join(terms) + "]"]) == [right]


@pytest.mark.slow
@needs_coq
def test_positions_from_a_list_are_those_of_jax(compiled) -> None:
    chance, terms, right = random.Random(3), [], []
    for _ in range(10):
        index = [chance.randrange(7) for _ in range(chance.randint(1, 9))]
        places = listed(map(integer, index))
        terms.append(f"map (fun q => picked {places} q) (range {len(index)})")
        right.append(np.asarray(jnp.take(jnp.arange(7), jnp.array(index))).tolist())
    assert told(compiled, terms) == right


AT = (
    "From Shifts Require Import Transposed.",
    "Definition at_ l (i : list Z) : Z := nth (Z.to_nat (nth 0 i 0)) l 0.",
)
"""The example of a transposed convolution, and a list as an array."""


@pytest.mark.slow
@needs_coq
def test_a_weighted_sum_whose_laps_are_summed_is_that_of_jax(compiled) -> None:
    chance, terms, right = random.Random(2), [], []
    for _ in range(10):
        kernel, image = ([chance.randint(-9, 9) for _ in range(n)] for n in (2, 4))
        weights, cells = (listed(map(integer, one)) for one in (kernel, image))
        terms.append(
            f"map (fun q => layer_of (at_ {weights}) (fun _ => at_ {cells}) 6%nat [q]) (range 4)"
        )
        one, two = (jnp.array(numbers, float)[None, None] for numbers in (image, kernel))
        full = lax.conv_general_dilated(one, two, (1,), [(1, 1)])[0, 0]
        eight = lax.pad(full, 0.0, [(0, 3, 0)])
        right.append(np.asarray(eight.reshape(2, 4).sum(0)).astype(int).tolist())
    assert told(compiled, terms, *AT) == right


GAUSS = (
    "From Shifts Require Import Filters.",
    "Definition at_ (l : list (Z * Z)) (i : list Z) : Z * Z := nth (Z.to_nat (nth 0 i 0)) l (0, 0).",
    "Definition plain (l : list (Z * Z)) : list Z := flat_map (fun v => [fst v; snd v]) l.",
)
"""The example of a filter of frequencies, and a list of numbers of Gauss as an array."""


@pytest.mark.slow
@needs_coq
def test_fourier_transforms_and_products_of_spectra_are_those_of_jax(compiled) -> None:
    chance, terms, right = random.Random(4), [], []

    def numbers() -> tuple[np.ndarray, str]:
        pairs = [(chance.randint(-9, 9), chance.randint(-9, 9)) for _ in range(4)]
        named = listed(f"({integer(x)}, {integer(y)})" for x, y in pairs)
        return np.array([x + 1j * y for x, y in pairs]), named

    for _ in range(10):
        (signal, cells), (filter_, weights) = numbers(), numbers()
        spectrum = jnp.fft.fft(signal)
        cases = {
            f"transform 1 (at_ {cells}) [q]": spectrum,
            f"transform (-1) (at_ {cells}) [q]": 4 * jnp.fft.ifft(signal),
            f"filtered (at_ {weights}) (fun _ => at_ {cells}) 4%nat [q]": 4
            * jnp.fft.ifft(spectrum * filter_),
            f"conjugate numbers_of_gauss (at_ {cells} [q])": jnp.conj(signal),
        }
        for term, values in cases.items():
            terms.append(f"plain (map (fun q => {term}) (range 4))")
            parts = np.stack([np.real(values), np.imag(values)], 1).ravel()
            right.append(np.rint(parts).astype(int).tolist())
            assert np.allclose(parts, right[-1], atol=1e-2)
    assert told(compiled, terms, *GAUSS) == right
