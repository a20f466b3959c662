"""Counterexamples are true in exact numbers: none disagrees, few cannot be judged, and forged ones are caught."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import aside
import brute
import exact_numbers as numbers
import exactly
import faults
import jax
import jax.numpy as jnp
import numpy as np
import primitives
import pytest
from amounts import ALL
from exact_numbers import Complex, Number, Span, Unknown
from families import FAMILIES
from flax import nnx
from jaxpr_programs import random_program
from recheck import Tally, recheck

import shiftproof as sp
from shiftproof import zoo
from shiftproof.errors import NonFiniteError, ShiftproofError, ShiftproofWarning
from shiftproof.refuting import trials
from shiftproof.refuting.witness import Witness
from shiftproof.tracing.model import adapt, trace_model
from shiftproof.tracing.trace import evaluate, fixed_values
from shiftproof.zoo.pitfalls import PITFALLS

pytestmark = pytest.mark.filterwarnings("ignore::shiftproof.errors.ShiftproofWarning")

RARE = 0.05
"""The share of counterexamples of which something may be left open."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Reports of contradictions are written to the working directory."""
    monkeypatch.chdir(tmp_path)


# --- where counterexamples come from ---

Verdicts = Iterator[tuple[str, Any]]


def of_cases(cases: Sequence[brute.Case]) -> Verdicts:
    """Of the programs of each kind of fault; some are refused, as they should be."""
    for case in cases:
        try:
            yield case.name, brute.verdict(case)
        except ShiftproofError:
            assert case.refusal, case.name


def of_random(seeds: range) -> Verdicts:
    """Of random programs; some have no finite value."""
    for seed in seeds:
        program = random_program(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShiftproofWarning)
            try:
                yield str(program), sp.verify(program.function(), program.shape)
            except NonFiniteError:
                continue


def of_pitfalls(names: Sequence[str]) -> Verdicts:
    """Of small images on the torus, broken and repaired."""
    for name in names:
        for program in (PITFALLS[name].broken, PITFALLS[name].repaired):
            if program.canvas is None and max(program.shape) <= 16:
                options = {"property": program.asked, **program.options}
                yield name, sp.verify(program.make(), program.shape, **options)


def of_zoo(names: Sequence[str]) -> Verdicts:
    for name in names:
        entry = zoo.ENTRIES[name]
        yield name, sp.verify(entry.build(), entry.shape)


def of_families(step: slice) -> Verdicts:
    for family in FAMILIES[step]:
        yield family.name, sp.verify(family.build(), family.shape, **family.options)


def polyphase(x: Any) -> Any:
    """The phase of the largest norm: one image does not rule out all output shifts."""
    phases = x.reshape(x.shape[0], 4, 2, 1).transpose(0, 2, 1, 3)
    chosen = jnp.argmax((phases**2).sum((2, 3)), 1)
    return jnp.take_along_axis(phases, chosen[:, None, None, None], 1)[:, 0]


def judged(*sources: Verdicts) -> Tally:
    """All counterexamples judged; none is denied, and few are left open."""
    tally = Tally()
    for source in sources:
        for name, verdict in source:
            tally.add(name, verdict)
    assert not tally.faults, "\n".join(tally.faults[:20])
    unsaid = tally.unsaid["exact"] + tally.unsaid["enclosed"]
    assert unsaid <= RARE * tally.rigorous, f"{unsaid} of {tally.rigorous}: {tally.why}"
    return tally


CASES = (*aside.CASES, *faults.CASES)
SMALL = [name for name, entry in zoo.ENTRIES.items() if max(entry.shape) <= 8]
LEAST = 300 if ALL else 60


@pytest.mark.slow
def test_one_of_each_kind() -> None:
    several = sp.verify(polyphase, (8, 1), property="equivariance")
    assert any(witness.others for witness in several.witnesses)
    named = {"A2 squares", "A4 complex root", "C4, 1", "C1, float16, SAME", "D2"}
    tally = judged(
        iter([("polyphase", several)]),
        of_cases([case for case in CASES if case.name in named]),
        of_zoo(["conv3x3-same", "avgpool3x3-stride2", "maxpool3x3-stride2-same", "dense"]),
        of_pitfalls(["size-parity", "patches"]),
        of_random(range(4)),
    )
    assert tally.judged["exact"] > 20
    assert tally.judged["enclosed"] > 10
    assert tally.judged["numerical"] > 0


@pytest.mark.slow
def test_counterexamples_of_small_programs() -> None:
    """A third of the programs of each kind of fault; their own tests judge the others, as they do these."""
    tally = judged(
        of_cases(CASES[1 :: 3 if ALL else 24]), of_pitfalls(list(PITFALLS)), of_zoo(SMALL)
    )
    assert tally.rigorous >= LEAST


@pytest.mark.slow
def test_counterexamples_of_families() -> None:
    step, least = (13, 30) if ALL else (39, 8)
    assert judged(of_families(slice(4, None, step))).rigorous >= least


@pytest.mark.slow
def test_counterexamples_of_random_programs() -> None:
    assert judged(of_random(range(4, 34 if ALL else 14))).rigorous >= (20 if ALL else 6)


# --- what is forged is caught ---


@functools.cache
def witnesses(evidence: str) -> tuple[Witness, ...]:
    """Of a small model: a convolution, exactly, or a mean of nine cells, by enclosures."""
    name = {"exact": "conv3x3-same", "enclosed": "avgpool3x3-stride2"}[evidence]
    entry = zoo.ENTRIES[name]
    found = sp.verify(entry.build(), entry.shape).witnesses
    assert {witness.evidence for witness in found} == {evidence}
    return found


def caught(witness: Witness, words: str) -> bool:
    """Whether the fault is told; the axes are those of the models above."""
    return any(words in fault for fault in recheck(witness, (0, 1)).faults)


@pytest.mark.slow
@pytest.mark.parametrize("evidence", ["exact", "enclosed"])
@pytest.mark.parametrize("place", range(2))
def test_a_symmetric_image_is_caught(evidence, place) -> None:
    """All cells of it are alike, so that nothing moves."""
    witness = witnesses(evidence)[place]
    assert recheck(witness, (0, 1)).faults == ()
    flat = dataclasses.replace(witness, image=np.ones_like(witness.image))
    assert caught(flat, "do not differ")


def test_an_output_off_by_one_unit_is_caught() -> None:
    witness = witnesses("exact")[0]
    for which in range(2):
        outputs = [array.copy() for array in witness.outputs]
        outputs[which][0, 3, 2, 1] += 1
        forged = dataclasses.replace(witness, outputs=tuple(outputs))
        assert caught(forged, "is called exact")


def test_an_enclosure_beside_the_truth_is_caught() -> None:
    witness = witnesses("enclosed")[0]
    trial = witness.trial
    kept = {key: list(balls) for key, balls in trial.balls.items()}
    try:
        for key, ((mid, rad), *rest) in kept.items():
            trial.balls[key] = [(mid + 2 * rad + 1e-13, rad), *rest]
        assert caught(witness, "is not")
    finally:
        trial.balls.update(kept)
    assert recheck(witness, (0, 1)).faults == ()


@pytest.mark.parametrize("evidence", ["exact", "enclosed"])
def test_a_larger_gap_and_another_cell_are_caught(evidence) -> None:
    witness = witnesses(evidence)[0]
    larger = dataclasses.replace(witness, gap=3 * witness.difference.deviation)
    assert caught(larger, "by less than")
    still, moved = witness.outputs
    rolled = np.roll(still, witness.difference.output_shift or 0, witness.claim.axes or None)
    equal = np.argwhere(rolled == moved)
    assert len(equal)
    other = dataclasses.replace(witness.difference, place=tuple(map(int, equal[0])))
    assert caught(dataclasses.replace(witness, difference=other), "in the cell")


def test_a_shift_that_holds_is_caught() -> None:
    witness = next(w for w in witnesses("enclosed") if w.claim.property == "equivariance")
    assert caught(dataclasses.replace(witness, shift=(2, 0)), "for the output shift (1, 0)")


# --- weights are real numbers, and so is what is computed of them ---


class Vanishing(nnx.Module):
    """Zero for all weights, but for what rounds on the way from weights to what the image meets."""

    def __init__(self, zero: Callable[[Any], Any]) -> None:
        self.zero = nnx.static(zero)
        self.weight = nnx.Param(jnp.array([0.7]))

    def __call__(self, x: Any) -> Any:
        return x * self.zero(self.weight[...])


ZEROS = {
    "circle": lambda w: jnp.sin(w) ** 2 + jnp.cos(w) ** 2 - 1,
    "root": lambda w: jnp.sqrt(w * w + 2) ** 2 - w * w - 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ZEROS)
def test_what_rounds_before_the_image_is_met_is_not_exact(name, monkeypatch) -> None:
    """Where that is not looked at, a true claim is refuted exactly, and exact numbers deny it."""
    found = sp.verify(Vanishing(ZEROS[name]), (4, 1), property="invariance")
    assert (found.invariance.refuted, found.invariance.refuted_numerically) == (0, 0)
    monkeypatch.setattr(trials, "rounded_weights", lambda *_: "")
    wrong = sp.verify(Vanishing(ZEROS[name]), (4, 1), property="invariance")
    assert wrong.invariance.refuted == 3
    tally = Tally()
    tally.add(name, wrong)
    assert any("is called exact" in fault for fault in tally.faults)


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [*ZEROS.values(), lambda w: w / 49 * 49 - w])
def test_rounding_of_weights_is_no_deviation(fixed) -> None:
    """Their noise is measured too, whatever the images are multiplied by."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShiftproofWarning)  # it hardly answers to its image
        found = sp.verify(Vanishing(fixed), (4, 1), property="invariance", weights="these")
    assert (found.invariance.refuted, found.invariance.refuted_numerically) == (0, 0)


@pytest.mark.slow
def test_what_is_exact_before_the_image_is_met_stays_exact() -> None:
    """Sums and products of whole weights, moved and halved."""

    def fixed(w: Any) -> Any:
        return (w * w - 3 * w)[::-1] / 2

    found = sp.verify(Vanishing(fixed), (4, 1), property="invariance").invariance
    assert found.refuted == 3
    assert {witness.evidence for witness in found.witnesses} == {"exact"}


# --- the numbers themselves ---


def held(cell: Number, value: Any, loose: float) -> bool:
    """Whether a float is the number, but for rounding."""
    if type(cell) is Unknown:
        return True
    if type(cell) is Complex:
        return held(cell.re, value.real, loose) and held(cell.im, value.imag, loose)
    ends = (
        [float(numbers.mp.make_mpf(e)) for e in (cell.lo, cell.hi)]
        if type(cell) is Span
        else [cell]
    )
    return all(end == value or abs(float(end) - float(value)) <= loose for end in ends)


def first_difference(case: primitives.Case) -> tuple[str, int, int]:
    """What differs from floats of 64 bits, how many cells there are, and of how many nothing is said."""
    generator = np.random.default_rng(list(case.name.encode()))
    images = generator.integers(1, 9, (2, *case.image)).astype(np.float64)
    model = adapt(case.make())
    with jax.enable_x64(True):
        weights = [
            jnp.asarray(generator.integers(-3, 4, leaf.shape), leaf.dtype)
            if jnp.issubdtype(leaf.dtype, np.floating)
            else leaf
            for leaf in model.cast(jnp.float64)
        ]
        program = trace_model(model, weights, images)
        outputs = [o for o in program.outputs if o in program.from_images]
        values = evaluate(program, fixed_values(program, weights), images)
        start = exactly.given(program, weights) | {program.images: exactly.exact(images)}
        true = exactly.evaluate(program, start, outputs)
    count = unsaid = 0
    for number, cells in zip(outputs, true, strict=True):
        floats = np.asarray(values[number])
        sizes = np.abs(floats[np.isfinite(floats)])
        loose = 1e-7 * max(1.0, float(sizes.max(initial=0)))
        for cell, value in zip(cells.flat, floats.flat, strict=True):
            count, unsaid = count + 1, unsaid + (type(cell) is Unknown)
            if not held(cell, value, loose):
                return f"{case.name}: {cell} is not {value}", count, unsaid
    return "", count, unsaid


def hold_against_floats(cases: Sequence[primitives.Case]) -> None:
    found = [first_difference(case) for case in cases]
    assert [text for text, _, _ in found if text] == []
    assert sum(unsaid for _, _, unsaid in found) <= RARE * sum(count for _, count, _ in found)


@pytest.mark.slow
def test_every_primitive_is_read_as_jax_reads_it() -> None:
    hold_against_floats(primitives.CASES[::15])


@pytest.mark.slow
def test_all_primitives_are_read_as_jax_reads_them() -> None:
    hold_against_floats(primitives.CASES[:: 1 if ALL else 6])


def pooled(x: Any) -> Any:
    return nnx.max_pool(x, (2,), (2,))


def read_wrongly(name: str, rule: Callable[..., Any], fn: Callable, monkeypatch: Any) -> bool:
    """Whether a wrong reading of a primitive is seen."""
    case = primitives.Case(name, lambda: fn, (6, 2), 0, 0, (0,))
    assert first_difference(case)[0] == ""
    monkeypatch.setattr(exactly, "RULES", {**exactly.RULES, name: rule})
    return bool(first_difference(case)[0])


@pytest.mark.parametrize(
    ("name", "rule", "fn"),
    [
        ("cumsum", exactly.running(numbers.mul), lambda x: jnp.cumsum(x, 1)),
        ("argmax", exactly.extreme_place(-1), lambda x: jnp.argmax(x, 1)),
        ("rev", exactly.same, lambda x: x[:, ::-1]),
        ("reduce_window_max", exactly.named_window("min"), pooled),
        ("scatter-add", exactly.scatter(numbers.mul), lambda x: x.at[:, 0].add(x[:, 1])),
        ("round", lambda c: [exactly.each(numbers.floor, *c.operands)], lambda x: jnp.round(x / 2)),
    ],
)
def test_a_wrong_reading_is_seen(name, rule, fn, monkeypatch) -> None:
    assert read_wrongly(name, rule, fn, monkeypatch)


def test_irrational_numbers_are_enclosed_and_ties_are_not_decided() -> None:
    third, two = numbers.Fraction(1, 3), numbers.root(2)
    assert type(two) is Span
    assert numbers.compare(two, numbers.Fraction(14142135623730950488, 10**19)) == 1
    assert numbers.compare(two, numbers.Fraction(14142135623730950489, 10**19)) == -1
    assert numbers.compare(numbers.mul(two, two), 2) is None
    assert type(numbers.lt(numbers.mul(two, two), 2)) is Unknown
    assert type(numbers.floor(numbers.mul(two, two))) is Unknown
    assert numbers.add(third, numbers.add(third, third)) == 1
    assert numbers.root(numbers.Fraction(9, 4)) == numbers.Fraction(3, 2)
    assert type(numbers.div(1, numbers.sub(two, two))) is Unknown
