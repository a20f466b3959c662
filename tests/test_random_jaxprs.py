"""Random JAX programs: whatever is claimed of them is true under every shift, and the judge sees what is false."""

import random

import jax
import numpy as np
import pytest
import random_jaxprs
from amounts import ALL
from jaxpr_programs import Line, Program, Value, random_program

from shiftproof import Word

QUICK, SLOW = 20, 80 if ALL else 20


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """Reports of contradictions are written to the working directory."""
    monkeypatch.chdir(tmp_path)


def check(seeds: range) -> None:
    failed = []
    for seed in seeds:
        program = random_program(seed)
        failed += [f"{finding}\n{program}" for finding in random_jaxprs.judge(program)]
    assert not failed, "\n\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, QUICK, 10))
def test_claims_on_random_programs(first) -> None:
    check(range(first, first + 10))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, QUICK + SLOW, 20))
def test_claims_on_more_random_programs(first) -> None:
    check(range(first, first + 20))


def one_line(text: str, shape: tuple[int, ...] = (4, 1), bits: int | None = None) -> Program:
    return Program(0, shape, (Line(Value("v0", (1, *shape), "float32", bits), text),))


@pytest.mark.parametrize(
    ("text", "word"),
    [("jnp.roll(x, 1, 1)", Word.REFUTED), ("x * np.array([[1.], [2.], [3.], [4.]])", Word.PROVED)],
)
def test_the_judge_sees_a_false_word(text, word, monkeypatch) -> None:
    """Every shift is called refuted, or proved, with nothing behind it."""
    program = one_line(text)
    verify = random_jaxprs.sp.verify

    def wrong(*arguments):
        verdict = verify(*arguments)
        found = verdict.outputs[0].equivariance
        found.map[...] = word
        object.__setattr__(found, "witnesses", ())
        return verdict

    monkeypatch.setattr(random_jaxprs.sp, "verify", wrong)
    monkeypatch.setattr(random_jaxprs, "replayed", lambda *arguments: False)
    assert any(
        "equivariance" in finding and "though" in finding
        for finding in random_jaxprs.judge(program)
    )


def test_a_crash_is_a_finding(monkeypatch) -> None:
    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(random_jaxprs.sp, "verify", broken)
    assert random_jaxprs.judge(one_line("x + 1"))[0].startswith("crash: ZeroDivisionError")


@pytest.mark.slow
def test_programs_repeat_and_differ() -> None:
    texts = [str(random_program(seed)) for seed in range(30)]
    assert texts == [str(random_program(seed)) for seed in range(30)]
    assert len(set(texts)) == 30


@pytest.mark.slow
def test_bits_are_enough() -> None:
    """What is said to be exact is: float64 and the same program in whole numbers of Python agree on it."""
    judged = 0
    for seed in range(40):
        program = random_program(seed)
        exact = [line.value.bits is not None for line in program.lines]
        machine = random_jaxprs.bench(program)
        image = random.Random(seed).choices(range(-(2**19), 2**19), k=int(np.prod(program.shape)))
        with jax.enable_x64(True):
            values = machine.run(np.reshape(image, (1, *program.shape)) / 1.0)
        for value, known, line in zip(values, exact, program.lines, strict=True):
            numbers = np.asarray(value)
            if known and line.value.floating:
                judged += 1
                finite = numbers[np.isfinite(numbers)]
                steps = finite * 2.0**20
                np.testing.assert_array_equal(steps, np.round(steps))
                assert abs(finite).max(initial=0) < 2.0**line.value.bits
    assert judged > 40


def test_a_program_is_cut_down_to_the_line_that_matters() -> None:
    program = Program(
        0,
        (4, 1),
        tuple(
            Line(Value(f"v{i}", (1, 4, 1), "float32", None), text)
            for i, text in enumerate(("x + 1", "jnp.cos(v0)", "3 * v1", "v2 + v0"))
        ),
    )
    small = random_jaxprs.minimise(program, lambda p: any("cos" in k.text for k in p.lines))
    assert [line.text for line in small.lines] == ["jnp.cos(x)"]
