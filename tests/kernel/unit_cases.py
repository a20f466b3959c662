"""Named tests of single functions of the kernel, beside the case table."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kernel_cases import (
    CASES,
    IMAGE,
    PLANE,
    TWO,
    Inner,
    branch,
    broadcast,
    concat,
    constant,
    dim,
    fourier,
    given,
    image,
    loop,
    mapped,
    mix,
    part,
    pick,
    program,
    reshape,
    weight,
    whole,
    window,
)

Kernel = SimpleNamespace


def arithmetic_is_what_it_says(k: Kernel) -> None:
    a = k.arithmetic
    assert (a.covers(6, 3), a.covers(7, 3)) == ((True,), (False,))
    assert a.holds_still(6, 4, 2) == (True, True)
    assert a.holds_still(5, 4, 2) == (False, True)
    assert a.holds_still(6, 3, 2) == (True, False)
    assert a.moves_alike(6, 5, 3, 2) == (True, True)
    assert a.moves_alike(5, 5, 3, 2) == (False, True)
    assert a.moves_alike(6, 4, 3, 2) == (True, False)
    assert a.splits(6, 4, 2) == (True, True)
    assert a.splits(5, 4, 2) == (False, True)
    assert a.splits(6, 3, 2) == (True, False)
    assert a.split(12, 6, 4, 2) == (6, 3, 2)
    assert a.merge(6, 3, 1, 2, 2) == (12, 6, 2, 4)
    assert (a.strides(4, 2), a.strides(3, 2)) == ((True,), (False,))
    # T[q] = S[a + 6 q] of a signal of period 8 that moves by 2: 6 r' = 2 modulo 8, so r' = 3 modulo 4
    assert (a.strided_period(8, 2), a.strided_step(4, 2, 2, 3)) == (4, 3)
    assert a.pads_inside(1, 2, 3) == (True, True)
    assert a.pads_inside(3, 2, 3) == (False, True)
    assert a.pads_inside(2, 3, 3) == (True, False)
    assert a.stretched_size(4, 1, 2, 3) == 13
    assert a.stretch(4, 1, 3) == (12, 3)
    assert a.stretched_offset(2, 1, 3) == 5
    assert a.reach(3, 2) == 4
    assert (a.places(9, 4, 2), a.places(10, 4, 2), a.places(4, 4, 2)) == (3, 3, 0)
    assert a.folds(4, 4, 1, 2, 2, 2) == (True, True, True, True)
    assert a.folds(3, 4, 2, 1, 1, 2) == (False, False, False, False)
    assert a.folds(4, 4, 1, 3, 3, 2) == (True, True, True, True)
    assert (a.same_cell(4, 9, 1), a.same_cell(4, 9, 2)) == ((True,), (False,))
    assert a.turned(1, 3, 2, 5) == (7, 15)
    assert a.turned_twice(1, 2, 3, 5) == (4, 7)
    assert a.turned_back(1, -2) == (-1, 2)
    assert a.returns(8, 8, 2, 4) == (True, True)
    assert a.returns(8, 4, 2, 4) == (False, True)
    assert a.returns(8, 0, 1, 4) == (True, False)
    assert a.returned_step(8, 6, 4) == 3
    assert (a.stays(6, 3), a.stays(7, 3)) == ((True,), (False,))
    # from 3 to below 12 lie the cells 1 + 2 q and two more for q from 1 to 4
    assert a.within(3, 12, 1, 2, 2) == (1, 5)
    assert a.within(4, 11, 1, 2, 2) == (2, 4)
    assert (a.scene_strides(6, 3), a.scene_strides(-7, 3)) == ((True,), (False,))
    assert (a.scene_strided(6, 3), a.scene_strided(-6, 3)) == (2, -2)
    assert a.scene_merge(6, 1, 5, 3, 2, 4) == (24, 4, 20, 12, 8)
    assert a.scene_stretch(2, 5, 4, 1, 3) == (5, 16, 12)
    assert a.mirror(8, 1, 5) == (3, 7)
    assert (a.rolls(8, 2, 3, 6), a.rolls(8, 2, 3, 5)) == ((True,), (False,))


def factors_have_a_normal_form(k: Kernel) -> None:
    assert k.tidy([k.Moving(12, 4, 1, 4)]) == (k.Still(12, 4),)
    assert k.tidy([k.Moving(3, 4, 9, 6)]) == (k.Moving(3, 4, 1, 2),)
    assert k.tidy([k.Still(1, 1), k.Still(3, 9)]) == (k.Still(3, 3),)
    assert k.tidy([k.Still(2, 1), k.Moving(6, 4, 0, 1)]) == (k.Still(2, 1), k.Moving(6, 4, 0, 1))
    assert k.tidy([k.Still(2, 1), k.Moving(6, 3, 2, 1)]) == (k.Moving(12, 3, 2, 1),)
    assert k.tidy([k.Still(2, 1), k.Still(4, 2)]) == (k.Still(8, 2),)
    assert k.tidy([k.Still(2, 1), k.Still(5, 2)]) == (k.Still(10, 5),)
    assert k.tidy([k.Still(4, 2), k.Still(3, 1)]) == (k.Still(12, 6),)
    assert k.tidy([k.Moving(4, 4, 1, 1), k.Still(2, 1)]) == (k.Moving(4, 4, 1, 1), k.Still(2, 1))
    assert k.tidy([k.Moving(4, 5, 1, 2), k.Still(3, 3)]) == (k.Moving(12, 15, 3, 6),)
    assert k.tidy([k.Phase(1, 8, 11, 5)]) == (k.Phase(1, 8, 3, 0),)
    assert k.tidy([k.Phase(4, 8, 9, -1)]) == (k.Phase(4, 8, 1, 7),)
    assert k.tidy([k.Phase(4, 8, 16, 8)]) == (k.Still(4, 4),)
    assert k.tidy([k.Phase(4, 8, 1, 8)]) == (k.Phase(4, 8, 1, 0),)
    assert k.tidy([k.Phase(2, 8, 0, 4)]) == (k.Phase(2, 8, 0, 4),)
    assert k.Phase(4, 8, 1, 7) != k.Moving(4, 8, 1, 7)
    fold = k.Fold(6, 4, 1, "whole", 0)
    assert k.tidy([k.Still(2, 1), fold]) == (k.Still(2, 1), fold)
    assert k.tidy([k.Scene(6, -2, 9, 1, 4)]) == (k.Scene(6, 0, 6, 1, 4),)
    assert k.tidy([k.Scene(6, 2, 3, 1, 4), k.Still(2, 2)]) == (k.Scene(12, 4, 6, 2, 8),)
    assert k.tidy([k.Scene(1, 0, 1, 1, 4), k.Still(2, 1)]) == (
        k.Scene(1, 0, 1, 1, 4),
        k.Still(2, 1),
    )


def one_axis_is_one_factor(k: Kernel) -> None:
    assert k.merged(()) == k.Still(1, 1)
    assert k.merged((k.Moving(4, 4, 1, 1), k.Still(2, 1))) == k.Moving(8, 8, 2, 2)
    assert k.merged((k.Moving(4, 5, 1, 2),)) == k.Moving(4, 5, 1, 2)
    assert k.merged((k.Scene(4, 1, 3, 1, 1), k.Still(2, 1))) == k.Scene(8, 2, 6, 2, 2)
    refuses(k, "merge", "minor part", k.merged, (k.Still(2, 1), k.Scene(4, 0, 4, 0, 1)))
    refuses(k, "merge", "moves in its minor part", k.merged, (k.Still(2, 2), k.Moving(4, 4, 0, 1)))
    refuses(k, "merge", "moves in its minor part", k.merged, (k.Still(2, 1), k.Moving(6, 4, 0, 1)))


def factors_split(k: Kernel) -> None:
    assert k.split(k.Still(6, 2), 6) == (k.Still(1, 1), k.Still(6, 2))
    assert k.split(k.Moving(8, 8, 3, 1), 8) == (k.Still(1, 1), k.Moving(8, 8, 3, 1))
    assert k.split(k.Still(12, 6), 3) == (k.Still(4, 2), k.Still(3, 3))
    assert k.split(k.Still(12, 3), 6) == (k.Still(2, 1), k.Still(6, 3))
    assert k.split(k.Still(12, 5), 4) == (k.Still(3, 3), k.Still(4, 4))
    assert k.split(k.Moving(12, 3, 1, 1), 6) == (k.Still(2, 1), k.Moving(6, 3, 1, 1))
    assert k.split(k.Moving(12, 16, 3, 8), 4) == (k.Moving(3, 4, 0, 2), k.Still(4, 4))
    assert k.split(k.Moving(6, 8, 3, 1), 6) == (k.Still(1, 1), k.Moving(6, 8, 3, 1))
    assert k.split(k.Moving(3, 4, 1, 2), 1) == (k.Moving(3, 4, 0, 2), k.Still(1, 1))
    assert k.split(k.Still(20, 10), 5) == (k.Still(4, 2), k.Still(5, 5))
    assert k.split(k.Still(20, 5), 10) == (k.Still(2, 1), k.Still(10, 5))
    assert k.split(k.Moving(20, 5, 1, 2), 10) == (k.Still(2, 1), k.Moving(10, 5, 1, 2))
    refuses(k, "split", "blocks of 4", k.split, k.Moving(12, 16, 3, 6), 4)
    fold = k.Fold(8, 4, 1, "whole", 2)
    laps, cells = k.Fold(2, 4, 1, "laps", 2), k.Fold(4, 4, 1, "cells", 2)
    assert k.split(fold, 4) == (laps, cells)
    refuses(k, "fold", "laps of 4 are split into 2", k.split, fold, 2)
    assert k.split(k.Phase(4, 8, 1, 7), 4) == (k.Still(1, 1), k.Phase(4, 8, 1, 7))
    refuses(k, "split", "cut into blocks", k.split, k.Phase(4, 8, 1, 7), 2)
    refuses(k, "fold", "laps of 2 are split into 2", k.split, k.Fold(4, 2, 1, "laps", 2), 2)
    assert k.split(k.Scene(40, 11, 39, 5, 10), 5) == (k.Scene(8, 3, 7, 0, 2), k.Still(5, 5))
    assert k.split(k.Scene(3, 0, 3, 5, 2), 1) == (k.Scene(3, 0, 3, 0, 2), k.Still(1, 1))
    assert k.split(k.Scene(6, 1, 3, 5, 1), 6) == (k.Still(1, 1), k.Scene(6, 1, 3, 5, 1))
    refuses(k, "split", "blocks of 4", k.split, k.Scene(12, 0, 12, 3, 6), 4)


def scenes_meet_no_torus(k: Kernel) -> None:
    scene, torus = (k.Scene(8, 1, 7, 3, 2),), (k.Moving(8, 8, 0, 2),)
    assert k.unify([scene, (k.Scene(8, 2, 8, 4, 2),)], 8) == (k.Scene(8, 2, 7, 3, 2),)
    for pair in ([scene, torus], [torus, scene]):
        refuses(k, "laws", "another by something else", k.unify, pair, 8)
    refuses(k, "laws", "moves by 2 of a scene", k.unify, [scene, (k.Scene(8, 1, 7, 3, 1),)], 8)


def boundaries_are_two(k: Kernel) -> None:
    made = program(k, [IMAGE, constant(8, rolls=((1,),))])
    refuses(k, "format", "none of torus, scene", lambda: k.derive(made, (1,), boundary="zero"))
    choose = lambda boundary: k.derive(made, (1,), choices={1: (1,)}, boundary=boundary)  # noqa: E731
    assert choose("torus")[1].fact.axes == ((k.Moving(8, 8, 0, 1),),)
    refuses(k, "constant", "no constant moves with a scene", choose, "scene")
    theorem = k.derive(made, (1,), boundary="scene")[0]
    assert theorem.boundary == "scene"
    assert theorem.fact.axes == ((k.Scene(8, 0, 8, 0, 1),),)
    assert last(k, (1,), IMAGE).boundary == "torus"


def refuses(k: Kernel, code: str, message: str, function: Callable, *arguments: Any) -> None:
    with pytest.raises(k.Refusal, match=message) as caught:
        function(*arguments)
    assert caught.value.code == code


def last(k: Kernel, shift: tuple[int, ...], *nodes: Any, boundary: str = "torus") -> Any:
    return k.derive(program(k, nodes), shift, boundary=boundary)[-1]


def refusals_carry_numbers(k: Kernel) -> None:
    for name, expected in {
        "a position table stops it": {"step": 1, "period": 8},
        "a stride that breaks the step": {"stride": 2, "period": 8, "step": 3},
        "more around than between, behind": {"low": 1, "high": 2, "period": 4, "step": 1},
        "blocks that do not divide the step": {"step": 1, "period": 8, "block": 2},
    }.items():
        found = last(k, CASES[name].shift, *CASES[name].nodes).refusal.detail
        assert {key: found[key] for key in expected} == expected, found


def losses_name_the_first_node(k: Kernel) -> None:
    lost = [IMAGE, weight(8), mapped((0, 1), 8)]
    assert last(k, (1,), *lost, mapped((2,), 8)).number == 2
    inner = loop((0, 1), (8,), TWO, carries=2, result=1)
    assert last(k, (1,), IMAGE, weight(8), mapped((0,), 8), inner, mapped((3,), 8)).number == 3
    outer = last(k, (1,), *lost, loop((0, 2), (8,), TWO, carries=2, result=1))
    assert outer.number == 2
    assert str(outer.refusal).endswith("by 1 of 8"), "it was not lost in the body"
    within = Inner([given(8), given(8), weight(8), weight(1), mapped((0, 2), 8)], (4, 1))
    inside = last(k, (1,), *lost, loop((0, 2), (8,), within, carries=2))
    assert inside.number == 3, "it was lost in the body, beside what was lost before"
    assert inside.shape == (8,)
    stacked = loop((0, 2), (3, 8), Inner(TWO.nodes, (2, 3, 3)), carries=2, result=2)
    outer = last(k, (1,), *lost, stacked)
    assert outer.number == 2
    assert str(outer.refusal).endswith("by 1 of 8"), "it was not lost in the body"


def losses_name_the_source(k: Kernel) -> None:
    body = k.Program(
        (
            k.Node(k.Input(()), (), (8,)),
            k.Node(k.Weight(), (), (8,)),
            k.Node(k.Map(), (0, 1), (8,), "net.py:7"),
        ),
        (2,),
    )
    looped = k.Loop(body, None, constants=0, carries=1, result=0)
    made = k.Program((k.Node(k.Input((0,)), (), (8,)), k.Node(looped, (0,), (8,))), (1,))
    assert str(k.derive(made, (1,))[1].refusal).endswith("(map net.py:7)")


def conclusions(k: Kernel) -> None:
    plane = last(k, (1, 2), PLANE)
    assert k.equivariant(plane, (0, 1)) == (1, 2)
    assert k.equivariant(plane, (1, 0)) == (2, 1)
    assert k.equivariant(plane, (0,)) is None, "an axis moves that is not named"
    assert k.equivariant(plane, (1,)) is None, "an axis moves that is not named"
    assert k.equivariant(plane, (0, 1, 1)) is None, "an axis is named twice"
    assert k.equivariant(plane, (0, 1, 2)) is None, "an axis is named that is not there"
    assert k.equivariant(plane, (0, -1)) is None, "an axis is named that is not there"
    assert not k.invariant(plane)
    mean = last(k, (1, 2), PLANE, mix((0,), (4,), (1,), symmetric=True))
    assert k.equivariant(mean, (0,)) == (1,)
    still = last(k, (1, 2), PLANE, weight(4, 6))
    assert k.invariant(still)
    assert k.equivariant(still, (0, 1)) == (0, 0)
    assert k.equivariant(still, ()) == ()
    twice = last(k, (1,), image(4), broadcast(0, (1,), 2, 4), reshape(1, 8))
    assert k.equivariant(twice, (0,)) == (1,), "two periods roll as one does"
    half = last(k, (1,), IMAGE, part(0, 0, 1, 4))
    assert k.equivariant(half, (0,)) is None, "half a period does not roll"
    longer = last(k, (1,), image(4), broadcast(0, (1,), 2, 4), reshape(1, 8), part(2, 0, 1, 6))
    assert k.equivariant(longer, (0,)) is None, "one and a half periods do not roll"
    both = last(k, (1, 2), PLANE, reshape(0, 24))
    assert k.equivariant(both, (0,)) is None, "two windows on one axis do not roll"
    laps = last(k, (1,), image(4), window((0,), (8,), dim(size=5, low=4, high=4), linear=True))
    assert laps.fact.axes == ((k.Fold(8, 4, 1, "whole", 0),),)
    assert k.equivariant(laps, (0,)) is None, "laps are not summed"
    assert not k.invariant(laps)
    tokens = last(k, (1,), IMAGE, weight(1), concat((1, 0), 9))
    assert k.equivariant(tokens, (0,)) is None, "parts do not roll"
    assert not k.invariant(tokens)
    spectrum = last(k, (1,), IMAGE, fourier(0, 8))
    assert k.equivariant(spectrum, (0,)) is None, "a spectrum does not roll"
    assert not k.invariant(spectrum)


def conclusions_about_scenes(k: Kernel) -> None:
    both = [window((0,), (2, 6), dim(size=3, stride=2, high=1), dim(1, size=3, low=1, high=1))]
    plane = last(k, (2, 1), PLANE, *both, boundary="scene")
    assert k.interior(plane, (0, 1)) == ((1, 0, 1), (1, 1, 5))
    assert k.interior(plane, (1, 0)) == ((1, 1, 5), (1, 0, 1))
    assert k.interior(plane, (0,)) is None, "an axis moves that is not named"
    assert k.interior(plane, (0, 1, 1)) is None, "an axis is named twice"
    assert k.interior(plane, (0, 2)) is None, "an axis is named that is not there"
    assert k.equivariant(plane, (0, 1)) is None, "nothing rolls"
    assert not k.invariant(plane)
    one = last(k, (0, 1), PLANE, *both, boundary="scene")
    assert k.interior(one, (0, 1)) == ((0, 0, 2), (1, 1, 5))
    assert k.interior(one, (1,)) == ((1, 1, 5),)
    table = last(k, (0, 1), PLANE, weight(4, 6), boundary="scene")
    assert k.interior(table, (0, 1)) == ((0, 0, 4), (0, 0, 6))
    two = last(k, (1, 1), PLANE, reshape(0, 24), boundary="scene")
    assert k.interior(two, (0,)) is None, "two scenes on one axis"
    other = k.Fact(((k.Moving(8, 8, 0, 1),),))
    odd = k.Theorem(one.program, (1, 1), "scene", 0, other)
    assert k.interior(odd, (0,)) is None, "only scenes have an interior"
    assert k.interior(last(k, (1, 2), PLANE), (0, 1)) is None, "a torus is no scene"
    assert k.interior(last(k, (1, 2), PLANE, weight(4)), (0,)) is None, "a torus is no scene"


def theorems_say_what_was_derived(k: Kernel) -> None:
    made = program(k, [IMAGE, mapped((0,), 8)])
    theorem = k.derive(made, [3])[1]
    assert (theorem.program, theorem.shift, theorem.number) == (made, (3,), 1)
    assert theorem.fact.axes == ((k.Moving(8, 8, 0, 3),),)


def work_is_paid(k: Kernel) -> None:
    """For the node and its axes, for every operand and its factors, and for what is written in the node."""

    def cost(*nodes: Any) -> int:
        work = k.Work()
        k.derive(program(k, nodes), (1,), work=work)
        return k.STEPS - work.left

    def last(*nodes: Any) -> int:
        return cost(*nodes) - cost(*nodes[:-1])

    assert cost(IMAGE) == 2 + 1
    assert last(IMAGE, weight(8)) == 2
    assert last(IMAGE, mapped((0,), 8)) == 2 + 1 + 1 + 1
    assert last(IMAGE, mapped((0, 0, 0), 8)) == 2 + 3 + 3 + 3 * 1
    assert last(IMAGE, weight(1), concat((1, 0), 9)) == 2 + 2 + 1 + 2 * 1
    tokens = [IMAGE, weight(3), concat((1, 0), 11)]
    assert last(*tokens, mapped((2, 2, 1), 11)) == 2 + 3 + 5 + 3 * 5
    assert last(*tokens, part(2, 3, 1, 8)) == 2 + 1 + 2 + 1 * 2
    assert last(IMAGE, pick(0, (0, 1, 4), 3)) == 2 + 1 + 1 + 1 + 3
    assert last(IMAGE, constant(4, 4, rolls=((1, 1), (2, 2)))) == 3 + (2 + 2) * 3
    assert last(IMAGE, whole((0,), (8,), [(0, 0)] * 100)) == 2 + 1 + 1 + 1 + 100
    lost = [IMAGE, weight(8), mapped((0, 1), 8)]
    assert last(*lost, mapped((2,), 8)) == 1 + 1
    assert last(*lost, mapped((2, 0, 0), 8)) == 1 + 3
    assert last(*lost, concat((0, 2), 16)) == 2 + 2 + 1 + 1
    body = Inner([given(8), mapped((0,), 8)], (1, 0, 0))
    # its own price, the carry before and after the round, three outputs, and two nodes
    assert last(IMAGE, loop((0,), (8,), body, carries=1)) == 5 + 2 * 4 + 3 + 2 + 5
    assert last(IMAGE, constant(), branch((1, 0), (8,), [body])) == 2 + 2 + 1 + 2 + 3 + 7 + 4 + 1


def work_has_an_end(k: Kernel) -> None:
    made = program(k, [IMAGE, mapped((0,), 8)])
    work = k.Work()
    work.left = 16
    assert isinstance(k.derive(made, (1,), work=work)[1], k.Theorem)
    assert isinstance(k.derive(made, (1,), work=work)[1], k.Theorem)
    assert work.left == 0
    lost = k.derive(made, (1,), work=work)[1]
    assert lost.number == 0
    assert lost.refusal.code == "budget"
    assert isinstance(k.derive(made, (1,))[1], k.Theorem)


def a_derivation_done_again_gives_equal_facts(k: Kernel) -> None:
    for name in ("a carry is rolled", "branches that agree", "a roll", "a class token"):
        case = CASES[name]
        first, second = (k.derive(program(k, case.nodes), case.shift) for _ in range(2))
        assert first == second
        assert first[-1].fact.signal == second[-1].fact.signal != ()


def signals_have_one_name_each(k: Kernel) -> None:
    """Within a derivation, also where bodies of loops and branches give one another's numbers to their nodes."""
    body = Inner([given(8), mapped((0,), 8)], (1,))
    inner = Inner([given(8), loop((0,), (8,), body, carries=1), mapped((1,), 8)], (1,))
    twice = Inner([given(8), given(8), mapped((0,), 8), mapped((1,), 8)], (2, 3))
    nodes = [IMAGE, mapped((0,), 8), loop((0,), (8,), inner, carries=1)]
    nodes += [loop((0, 1), (8,), twice, carries=2, result=i) for i in range(2)]
    nodes += [constant(), branch((5, 0), (8,), [body, body])]
    found = k.derive(program(k, nodes), (1,))
    names = [one.fact.signal for one in found]
    assert len(set(names)) == len(names) == 7
    assert [one.fact.axes for one in found[3:5]] == [((k.Moving(8, 8, 0, 1),),)] * 2


def parts_of_one_signal_have_its_name(k: Kernel) -> None:
    made = program(k, [IMAGE, part(0, 0, 1, 3), part(0, 3, 1, 5), mapped((0,), 8)])
    found = [one.fact.signal for one in k.derive(made, (1,))]
    assert found[0] == found[1] == found[2] != found[3]


UNITS: dict[str, Callable[[Kernel], None]] = {
    test.__name__.replace("_", " "): test
    for test in (
        arithmetic_is_what_it_says,
        factors_have_a_normal_form,
        one_axis_is_one_factor,
        factors_split,
        refusals_carry_numbers,
        losses_name_the_first_node,
        losses_name_the_source,
        conclusions,
        conclusions_about_scenes,
        scenes_meet_no_torus,
        boundaries_are_two,
        theorems_say_what_was_derived,
        work_is_paid,
        work_has_an_end,
        a_derivation_done_again_gives_equal_facts,
        signals_have_one_name_each,
        parts_of_one_signal_have_its_name,
    )
}
