"""Small files that once made the checker work for long: what they cost is counted, so no clock is looked at."""

import sys
from collections.abc import Callable
from types import FrameType

import kernels
import pytest
from kernel_cases import (
    IMAGE,
    Inner,
    Spec,
    concat,
    given,
    loop,
    mapped,
    mix,
    part,
    pick,
    weight,
)
from kernel_cases import program as build

from shiftproof_kernel import Refusal, derive, make_certificate
from shiftproof_kernel.derivation import STEPS, Work

EQUIVARIANCE = {"property": "equivariance", "output": "y", "axes": (0,), "grid": (8,)}
LOST = mix((0,), (), (0,))
BACKWARDS = (0, *range(7, 0, -1))


def calls(function: Callable[[], object]) -> int:
    """How many functions of Python are entered, or generators taken up again."""
    count = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(see)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.slow
def test_what_is_lost_is_paid_for_by_every_generator() -> None:
    """30 seconds, and hundreds of megabytes, for 500 kB."""
    made = build(kernels.REAL, [IMAGE, LOST, *[mapped((1,))] * 1000], (0,))
    make_certificate(made, EQUIVARIANCE, [((1,), {})] * 50, "")
    with pytest.raises(Refusal, match=f"more than {STEPS} steps"):
        make_certificate(made, EQUIVARIANCE, [((1,), {})] * 150, "")


def nested(depth: int, lost: int) -> Spec:
    """Loops in loops, which lose one of their three carries in every round; what they lost is used within."""
    start = [given(8)] * 4
    inner = [mapped((4,))] * lost if depth == 0 else [nested(depth - 1, lost)]
    nodes = [*start, LOST, *inner, pick(0, BACKWARDS, 8)]
    return loop((0, 0, 0, 0), (8,), Inner(nodes, (4, 1, 2)), constants=1, carries=3)


@pytest.mark.slow
def test_what_is_lost_is_paid_for_in_every_round() -> None:
    """13 seconds for 80 kB."""
    work, made = Work(), build(kernels.REAL, [IMAGE, nested(2, 300), mapped((0,), 8)])
    derive(made, (1,), work=work)
    assert STEPS - work.left > 4**3 * 2 * 300
    many = build(kernels.REAL, [IMAGE, nested(4, 300), mapped((0,), 8)], (2,))
    with pytest.raises(Refusal, match=f"more than {STEPS} steps"):
        make_certificate(many, EQUIVARIANCE, [((1,), {})], "")


def test_losses_of_a_body_are_told_apart_at_once() -> None:
    """5 seconds for 140 kB: each output of a body was compared with each operand."""

    def cost(count: int) -> int:
        body = Inner(
            [*[given()] * count, given(8), part(count, 0, 2, 4)], (0, *[count + 1] * count)
        )
        nodes = [IMAGE, LOST, loop((*[1] * count, 0), (4,), body, constants=count + 1)]
        made = build(kernels.REAL, nodes)
        return calls(lambda: derive(made, (1,)))

    assert cost(400) < 6 * cost(100)


def test_parts_meet_one_by_one() -> None:
    """6 seconds for 76 kB: for each part all others were counted again."""

    def cost(pairs: int) -> int:
        n = 9 * pairs
        made = build(kernels.REAL, [IMAGE, weight(1), concat((1, 0) * pairs, n), mapped((2,), n)])
        return calls(lambda: derive(made, (1,)))

    assert cost(32) < 6 * cost(8)
