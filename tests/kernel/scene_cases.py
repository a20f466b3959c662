"""The case table of scenes: what must be said where a shift brings new content in, and which cells the border reaches.

`V8[1,7)+0>2` shows 8 cells, of which those from 1 to below 7 are right, of a scene from offset 0 that moves by 2.
"""

import dataclasses

from kernel_cases import (
    IMAGE,
    NEXT,
    PLANE,
    ZERO,
    Case,
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
    pad,
    part,
    pick,
    reshape,
    transpose,
    weight,
    whole,
    window,
)

SAME = dim(size=3, low=1, high=1)
BACK = dim(size=3, low=2)  # looks two cells back
AHEAD = dim(size=2, high=1)
LOST = [IMAGE, weight(8), mapped((0, 1), 8)]


def same(source: int, size: int = 8) -> tuple:
    return window((source,), (size,), SAME)


TABLE: dict[str, Case] = {
    # assumptions
    "a scene moves": Case((3,), [IMAGE], "V8[0,8)+0>3"),
    "a scene moves by more than is seen": Case((11,), [IMAGE], "V8[0,8)+0>11"),
    "a scene moves back": Case((-8,), [IMAGE], "V8[0,8)+0>-8"),
    "one cell of a scene moves": Case((1,), [image(1)], "V1[0,1)+0>1"),
    "no step, no scene": Case((0, 2), [PLANE], "S4/4 | V6[0,6)+0>2"),
    "axes off the grid of a scene stay": Case(
        (1, 2), [image(2, 4, 6, grid=(2, 1))], "S2/2 | V4[0,4)+0>2 | V6[0,6)+0>1"
    ),
    "a scene needs a step per axis": Case(
        (1, 1), [IMAGE], "!shape: one step for every axis of the grid"
    ),
    # position by position
    "interiors meet": Case(
        (1,),
        [IMAGE, window((0,), (8,), BACK), window((0,), (8,), AHEAD), mapped((1, 2), 8)],
        "V8[2,7)+0>1",
    ),
    "interiors meet in another order": Case(
        (1,),
        [IMAGE, window((0,), (8,), BACK), window((0,), (8,), AHEAD), mapped((2, 1, 0), 8)],
        "V8[2,7)+0>1",
    ),
    "interiors that do not meet": Case(
        (1,),
        [
            IMAGE,
            window((0,), (8,), dim(size=5, low=4)),
            window((0,), (8,), dim(size=5, high=4)),
            mapped((1, 2), 8),
        ],
        "!interior: the border reaches every cell",
    ),
    "a table stops a scene": Case((1,), LOST, "!positions: meet values that move by 1"),
    "a periodic table allows its period in a scene": Case(
        (4,), [IMAGE, constant(8, periods=(2,)), mapped((1, 0), 8)], "V8[0,8)+0>4"
    ),
    "a periodic table stops other steps of a scene": Case(
        (3,), [IMAGE, constant(8, periods=(2,)), mapped((0, 1), 8)], "!positions: move by 3"
    ),
    "two tables must both repeat in a scene": Case(
        (2,),
        [image(12), constant(12, periods=(2,)), constant(12, periods=(3,)), mapped((0, 1, 2), 12)],
        "!positions: move by 2",
    ),
    "flat meets a scene": Case(
        (1,), [IMAGE, constant(8, periods=(1,)), mapped((1, 0), 8)], "V8[0,8)+0>1"
    ),
    "other laws of a scene do not meet": Case(
        (1, 2),
        [image(4, 4, grid=(0, 1)), transpose(0, (1, 0), 4, 4), mapped((0, 1), 4, 4)],
        "!laws: moves by 1 of a scene",
    ),
    "a cell of a scene is not repeated": Case(
        (1,), [IMAGE, part(0, 0, 1, 1), mapped((1, 0), 8)], "!cell: a moving cell"
    ),
    # reshape
    "blocks of a scene": Case((4,), [IMAGE, reshape(0, 4, 2)], "V4[0,4)+0>2 | S2/2"),
    "blocks that do not divide the step of a scene": Case(
        (3,), [IMAGE, reshape(0, 4, 2)], "!split: moves by 3 is cut into blocks of 2"
    ),
    "blocks that the border touches": Case(
        (3,), [image(9), same(0, 9), reshape(1, 3, 3)], "V3[1,2)+0>1 | S3/3"
    ),
    "blocks that the border leaves": Case(
        (3,),
        [image(9), window((0,), (9,), dim(size=4, low=3)), reshape(1, 3, 3)],
        "V3[1,3)+0>1 | S3/3",
    ),
    "the border touches every block": Case(
        (2,), [image(4), same(0, 4), reshape(1, 2, 2)], "!interior: nothing is left"
    ),
    "rows of a scene are joined": Case((2,), [image(4, 3), reshape(0, 12)], "V12[0,12)+0>6"),
    "rows of a part are joined": Case(
        (2,),
        [
            image(6, 3),
            window((0,), (6, 3), dim(size=3, low=1, high=1), kept=((1, 1),)),
            part(1, 0, 1, 5, 3),
            reshape(2, 15),
        ],
        "V15[3,15)+0>6",
    ),
    "rows of a later part are joined": Case(
        (2,), [image(6, 3), part(0, 2, 1, 3, 3), reshape(1, 9)], "V9[0,9)+6>6"
    ),
    "pixels of a scene repeat": Case(
        (1,), [image(4), broadcast(0, (0,), 4, 3), reshape(1, 12)], "V4[0,4)+0>1 S3/1"
    ),
    "tiles of a scene are none": Case(
        (1,), [image(4), broadcast(0, (1,), 3, 4), reshape(1, 12)], "S3/1 V4[0,4)+0>1"
    ),
    "two scenes stay two factors": Case((1, 2), [PLANE, reshape(0, 24)], "V4[0,4)+0>1 V6[0,6)+0>2"),
    "a slice of two scenes": Case(
        (1, 2), [PLANE, reshape(0, 24), part(1, 0, 1, 12)], "!merge: moves in its minor part"
    ),
    # take
    "a part of a scene": Case((1,), [IMAGE, part(0, 5, 1, 2)], "V2[0,2)+5>1"),
    "a part of a part of a scene": Case(
        (1,), [IMAGE, part(0, 2, 1, 5), part(1, 1, 1, 3)], "V3[0,3)+3>1"
    ),
    "a part with the border before it": Case(
        (1,), [IMAGE, same(0), part(1, 0, 1, 4)], "V4[1,4)+0>1"
    ),
    "a part with the border behind it": Case(
        (1,), [IMAGE, same(0), part(1, 5, 1, 3)], "V3[0,2)+5>1"
    ),
    "a part of the border": Case(
        (1,), [IMAGE, same(0), part(1, 7, 1, 1)], "!interior: nothing is left"
    ),
    "every second of a scene": Case((4,), [IMAGE, part(0, 1, 2, 3)], "V3[0,3)+0>2"),
    "every second, the last at the border": Case(
        (2,), [IMAGE, same(0), part(1, 1, 2, 4)], "V4[0,3)+0>1"
    ),
    "every second, the first at the border": Case(
        (2,), [IMAGE, same(0), part(1, 0, 2, 4)], "V4[1,4)+0>1"
    ),
    "every second of an odd step of a scene": Case(
        (3,), [IMAGE, part(0, 1, 2, 3)], "!stride: stride 2 meets a scene that moves by 3"
    ),
    "a scene backwards": Case((1,), [IMAGE, part(0, 7, -1, 8)], "V8[0,8)+0>-1"),
    "a scene backwards, with a border": Case(
        (1,), [IMAGE, window((0,), (8,), BACK), part(1, 7, -1, 8)], "V8[0,6)+0>-1"
    ),
    "a part backwards, with a border": Case(
        (1,), [IMAGE, window((0,), (8,), BACK), part(1, 5, -1, 5)], "V5[0,4)+0>-1"
    ),
    "a scene backwards, with a border behind": Case(
        (1,), [IMAGE, window((0,), (8,), dim(size=3, high=2)), part(1, 7, -1, 8)], "V8[2,8)+0>-1"
    ),
    "every second backwards": Case(
        (4,), [IMAGE, window((0,), (8,), BACK), part(1, 7, -2, 4)], "V4[0,3)+0>-2"
    ),
    "every second backwards of an odd step": Case(
        (3,), [IMAGE, part(0, 7, -2, 4)], "!stride: meets a scene that moves by 3"
    ),
    "one cell of a scene again and again": Case(
        (1,), [IMAGE, part(0, 3, 0, 4)], "!stride: stride 0 meets a scene"
    ),
    "a pattern of a scene": Case((4,), [IMAGE, pick(0, (0, 1, 4, 5), 4)], "V4[0,4)+0>2"),
    "a pattern at the border": Case(
        (4,),
        [IMAGE, window((0,), (8,), dim(size=2, low=1)), pick(1, (0, 1, 4, 5), 4)],
        "V4[2,4)+0>2",
    ),
    "a pattern that ends at the border": Case(
        (4,),
        [IMAGE, window((0,), (8,), dim(size=3, high=2)), pick(1, (0, 2, 4, 6), 4)],
        "V4[0,3)+0>2",
    ),
    "a pattern of two that ends at the border": Case(
        (4,),
        [IMAGE, window((0,), (8,), dim(size=3, high=2)), pick(1, (0, 2, 3, 4, 6, 7), 6)],
        "V6[0,3)+0>3",
    ),
    "a pattern of one cell of a scene, repeated": Case(
        (2,), [IMAGE, pick(0, (0, 0, 2, 2, 4, 4), 6)], "V3[0,3)+0>1 S2/1"
    ),
    "a pattern backwards": Case(
        (2,), [IMAGE, window((0,), (8,), BACK), pick(1, (5, 5, 3, 3, 1, 1), 6)], "V3[0,2)+0>-1 S2/1"
    ),
    "a pattern of two backwards": Case(
        (2,), [IMAGE, window((0,), (8,), BACK), pick(1, (6, 7, 4, 5, 2, 3), 6)], "V6[0,6)+0>-2"
    ),
    "a pattern of two backwards, with a border behind": Case(
        (2,), [IMAGE, window((0,), (8,), AHEAD), pick(1, (6, 7, 4, 5, 2, 3), 6)], "V6[2,6)+0>-2"
    ),
    "a pattern around the border of a scene": Case(
        (1,), [IMAGE, pick(0, (6, 7, 0, 1), 4)], "!stride: meets a scene that moves by 1"
    ),
    "no pattern of a scene": Case(
        (4,), [IMAGE, pick(0, (0, 1, 4, 6), 4)], "!order: without a regular pattern"
    ),
    "channels of a scene": Case(
        (1,), [image(8, 4), part(0, 1, 1, 8, 2, axis=1)], "V8[0,8)+0>1 | S2/2"
    ),
    # concat
    "zeros are joined": Case((1,), [IMAGE, weight(1), concat((1, 0, 1), 10)], "V10[1,9)+-1>1"),
    "wrapped cells are a border": Case(
        (1,), [IMAGE, part(0, 7, 1, 1), part(0, 0, 1, 1), concat((1, 0, 2), 10)], "V10[1,9)+-1>1"
    ),
    "a roll has a border": Case(
        (1,), [IMAGE, part(0, 5, 1, 3), part(0, 0, 1, 5), concat((1, 2), 8)], "V8[3,8)+-3>1"
    ),
    "of equal parts the first": Case(
        (1,), [IMAGE, part(0, 4, 1, 4), part(0, 0, 1, 4), concat((1, 2), 8)], "V8[0,4)+4>1"
    ),
    "parts of a scene that meet": Case(
        (1,), [IMAGE, part(0, 0, 1, 3), part(0, 3, 1, 5), concat((1, 2), 8)], "V8[0,8)+0>1"
    ),
    "three parts of a scene that meet": Case(
        (1,),
        [IMAGE, part(0, 1, 1, 2), part(0, 3, 1, 2), part(0, 5, 1, 2), concat((1, 2, 3), 6)],
        "V6[0,6)+1>1",
    ),
    "parts with a gap": Case(
        (1,), [IMAGE, part(0, 0, 1, 3), part(0, 4, 1, 4), concat((1, 2), 7)], "V7[3,7)+1>1"
    ),
    "parts with something between": Case(
        (1,),
        [IMAGE, part(0, 0, 1, 3), weight(1), part(0, 4, 1, 4), concat((1, 2, 3), 8)],
        "V8[4,8)+0>1",
    ),
    "parts whose borders meet": Case(
        (1,),
        [IMAGE, same(0), part(1, 0, 1, 4), part(1, 4, 1, 4), concat((2, 3), 8)],
        "V8[1,7)+0>1",
    ),
    "parts of another signal": Case(
        (1,),
        [IMAGE, mapped((0,), 8), part(0, 0, 1, 4), part(1, 4, 1, 4), concat((2, 3), 8)],
        "V8[0,4)+0>1",
    ),
    "parts that meet are glued again": Case(
        (1,),
        [
            IMAGE,
            part(0, 5, 1, 3),
            part(0, 0, 1, 5),
            concat((1, 2), 8),
            part(3, 3, 1, 5),
            concat((4, 1), 8),
        ],
        "V8[0,8)+0>1",
    ),
    "parts of other channels": Case(
        (1,),
        [
            image(8, 4),
            part(0, 0, 1, 8, 2, axis=1),
            part(0, 2, 1, 8, 2, axis=1),
            part(1, 0, 1, 4, 2),
            part(2, 4, 1, 4, 2),
            concat((3, 4), 8, 2),
        ],
        "V8[0,4)+0>1 | S2/2",
    ),
    "parts of another scene axis": Case(
        (1, 1),
        [
            image(4, 6, grid=(0, 1)),
            part(0, 0, 1, 4, 2, axis=1),
            part(0, 2, 1, 4, 2, axis=1),
            part(1, 0, 1, 2, 2),
            part(2, 2, 1, 2, 2),
            concat((3, 4), 4, 2),
        ],
        "V4[0,2)+0>1 | V2[0,2)+0>1",
    ),
    "every second and the others": Case(
        (2,), [IMAGE, part(0, 0, 2, 4), part(0, 1, 2, 4), concat((1, 2), 8)], "V8[0,4)+0>1"
    ),
    "what is lost is a border": Case((1,), [*LOST, concat((2, 0), 16)], "V16[8,16)+-8>1"),
    "what has no interior is a border": Case(
        (1,),
        [IMAGE, window((0,), (8,), dim(size=9, low=4, high=4)), concat((0, 1), 16)],
        "V16[0,8)+0>1",
    ),
    "all is lost": Case((1,), [*LOST, concat((2, 2), 16)], "!positions: move by 1"),
    "what is lost beside what stays": Case(
        (1,), [*LOST, weight(2), concat((3, 2), 10)], "!positions: move by 1"
    ),
    "a lost channel": Case(
        (1,),
        [image(8, 2), weight(8, 2), mapped((0, 1), 8, 2), concat((0, 2), 8, 4, axis=1)],
        "!positions: move by 1",
    ),
    "channels of a scene are joined": Case(
        (1,),
        [
            image(8, 2),
            window((0,), (8, 2), SAME, kept=((1, 1),)),
            concat((0, 1), 8, 4, axis=1),
        ],
        "V8[1,7)+0>1 | S4/4",
    ),
    "joined scenes of another sum": Case(
        (1,), [IMAGE, concat((0, 0), 15)], "!shape: arrays joined have other sizes"
    ),
    "joined scenes of different sizes": Case(
        (1,), [image(8, 2), weight(8, 3), concat((0, 1), 16, 2)], "!shape: different sizes"
    ),
    "axes of two factors are joined": Case(
        (0, 2), [PLANE, reshape(0, 24), concat((1, 1), 48)], "!glue: axis has several factors"
    ),
    "an axis of two factors is a border": Case(
        (0, 2),
        [PLANE, reshape(0, 24), part(0, 1, 1, 1, 6), reshape(2, 6), concat((1, 3), 30)],
        "V30[24,30)+-24>2",
    ),
    # pad
    "zeros around a scene": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 11, low=2, high=1)], "V11[2,10)+-2>1"
    ),
    "holes in a scene": Case(
        (1,), [image(4), ZERO, pad((0, 1), 12, low=1, high=1, inner=2)], "V12[0,12)+-1>3"
    ),
    "holes in a scene, and more around": Case(
        (1,), [image(4), ZERO, pad((0, 1), 12, low=3, inner=1, high=2)], "V12[2,11)+-3>2"
    ),
    "holes beside a border": Case(
        (1,), [image(6), same(0, 6), ZERO, pad((1, 2), 16, inner=2)], "V16[1,15)+0>3"
    ),
    "cells of a scene are cut": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 5, low=-1, high=-2)], "V5[0,5)+1>1"
    ),
    "all cells of a scene are cut": Case(
        (1,), [IMAGE, ZERO, pad((0, 1), 8, low=-4, high=-4)], "!shape: everything is cut away"
    ),
    "zeros beside a scene": Case(
        (1,), [image(4, 2), ZERO, pad((0, 1), 4, 3, axis=1, low=1)], "V4[0,4)+0>1 | S3/3"
    ),
    # windows
    "a window inside": Case((1,), [IMAGE, window((0,), (6,), dim(size=3))], "V6[0,6)+0>1"),
    "a window of the same size": Case((1,), [IMAGE, same(0)], "V8[1,7)+0>1"),
    "three windows of the same size": Case((1,), [IMAGE, same(0), same(1), same(2)], "V8[3,5)+0>1"),
    "one window too many": Case(
        (1,), [IMAGE, *map(same, range(4))], "!interior: of the interior nothing is left"
    ),
    "an even window": Case(
        (1,), [IMAGE, window((0,), (8,), dim(size=4, low=1, high=2))], "V8[1,6)+0>1"
    ),
    "a stride of a scene": Case(
        (4,), [IMAGE, window((0,), (4,), dim(size=3, stride=2, high=1))], "V4[0,3)+0>2"
    ),
    "a stride of a scene with zeros before": Case(
        (2,), [IMAGE, window((0,), (4,), dim(size=3, stride=2, low=1))], "V4[1,4)+0>1"
    ),
    "a stride larger than its window": Case(
        (3,), [IMAGE, window((0,), (3,), dim(stride=3, low=1))], "V3[1,3)+0>1"
    ),
    "a stride that breaks the step of a scene": Case(
        (3,), [IMAGE, window((0,), (4,), dim(size=2, stride=2))], "!stride: that moves by 3"
    ),
    "a dilated window of a scene": Case(
        (1,), [IMAGE, window((0,), (8,), dim(size=3, dilation=2, low=2, high=2))], "V8[2,6)+0>1"
    ),
    "a window over holes of a scene": Case(
        (1,), [image(4), window((0,), (8,), dim(size=3, base=2, low=1, high=2))], "V8[0,7)+0>2"
    ),
    "a window over holes beside a border": Case(
        (1,),
        [image(6), same(0, 6), window((1,), (9,), dim(size=3, base=2))],
        "V9[1,8)+0>2",
    ),
    "no laps of a scene": Case(
        (1,), [image(6), window((0,), (8,), dim(size=3, low=2, high=2), linear=True)], "V8[2,6)+0>1"
    ),
    "a sum as long as the view": Case(
        (1,),
        [
            image(4),
            broadcast(0, (0,), 4),
            window((1,), (3,), dim(size=4, low=1, high=1), symmetric=True),
        ],
        "V3[1,2)+0>1",
    ),
    "windows of both axes": Case(
        (1, 2),
        [PLANE, window((0,), (4, 3), dim(size=3, low=1, high=1), dim(1, size=3, stride=2, high=1))],
        "V4[1,3)+0>1 | V3[0,2)+0>1",
    ),
    "a window larger than the view": Case(
        (1,), [IMAGE, window((0,), (1,), dim(size=9))], "!shape: larger than its axis"
    ),
    # mixtures
    "a sum over a scene": Case(
        (1,), [IMAGE, mix((0,), (), (0,), symmetric=True, total=True)], "!part: which has no end"
    ),
    "a sum over a scene and a table": Case(
        (8,), [IMAGE, weight(8), mix((1, 0), (), (0,), symmetric=True)], "!part: which has no end"
    ),
    "a sum over channels of a scene": Case(
        (1,), [image(8, 3), mix((0,), (8,), (1,), symmetric=True, total=True)], "V8[0,8)+0>1"
    ),
    "a spectrum of a scene": Case((1,), [IMAGE, fourier(0, 8)], "!part: which has no end"),
    "spectra beside a scene": Case(
        (1,), [image(8, 4), fourier(0, 8, 4, axis=1)], "V8[0,8)+0>1 | S4/4"
    ),
    "a scene is used whole": Case(
        (1,), [IMAGE, whole((0,), (8,))], "!contract: cells of a moving axis"
    ),
    "a scene is kept": Case(
        (1,), [image(8, 3), whole((0,), (8, 3), kept=((0, 0),))], "V8[0,8)+0>1 | S3/3"
    ),
    # programs within programs
    "a loop keeps a scene": Case((1,), [IMAGE, loop((0,), (8,), NEXT, carries=1)], "V8[0,8)+0>1"),
    "a loop weakens a scene once": Case(
        (1,),
        [
            IMAGE,
            same(0),
            loop(
                (1, 0),
                (8,),
                Inner([given(8), given(8), mapped((0, 1), 8)], (2, 0)),
                carries=2,
                result=1,
            ),
        ],
        "V8[1,7)+0>1",
    ),
    "a loop that eats its interior": Case(
        (1,),
        [IMAGE, loop((0,), (8,), Inner([given(8), same(0)], (1,)), carries=1)],
        "!interior: nothing is left",
    ),
    "a loop along a scene": Case(
        (1,),
        [
            image(3, 8),
            weight(8),
            loop((1, 0), (8,), Inner([given(8), given(8), mapped((0, 1), 8)], (2,)), carries=1),
        ],
        "!order: along a moving axis",
    ),
    "branches with different interiors": Case(
        (1,),
        [IMAGE, ZERO, branch((1, 0), (8,), [NEXT, Inner([given(8), same(0)], (1,))])],
        "V8[1,7)+0>1",
    ),
    "a choice by a scene": Case(
        (1,),
        [image(1), branch((0, 0), (1,), [Inner([given(1)], (0,))])],
        "!contract: decided by is moved",
    ),
    # sizes
    "a step as large as may be": Case((2**48,), [IMAGE], f"V8[0,8)+0>{2**48}"),
    "a step that is too large": Case((-(2**48) - 1,), [IMAGE], "!size: larger than 2^48"),
    "holes that are too many": Case(
        (1,),
        [IMAGE, ZERO, part(0, 1, 1, 1), *[pad((i, 1), 1, inner=2**25 - 1) for i in (2, 3)]],
        "!size: larger than 2^48",
    ),
}

SCENES = {name: dataclasses.replace(case, boundary="scene") for name, case in TABLE.items()}
