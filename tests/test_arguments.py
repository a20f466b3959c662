"""Wrong arguments: one message each, before anything runs, by whichever function; and the process is as it was."""

import inspect
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import shiftproof as sp
from shiftproof import cli
from shiftproof.assertions import Options
from shiftproof.errors import InputError

SHAPE = (4, 4, 1)
IMAGES = np.ones((1, *SHAPE), np.float32)
DATES = np.zeros((1, *SHAPE), "datetime64[s]")

Case = tuple[Any, dict[str, Any], str]

IMAGES_OR_SHAPES: dict[str, Case] = {
    "a text": ("4,4,1", {}, r"images are '4,4,1': pass the shape of one image, such as \(28"),
    "nothing": (None, {}, "images are a NoneType"),
    "a dict": ({"image": IMAGES}, {}, "images are a dict"),
    "an empty shape": ((), {}, r"the shape \(\) of one image is none"),
    "a size of 0": ((4, 0, 1), {}, r"\(4, 0, 1\).* sizes of at least 1"),
    "a negative size": ((4, -4, 1), {}, r"\(4, -4, 1\).* sizes of at least 1"),
    "half a size": ((4.5, 4, 1), {}, "whole sizes"),
    "a truth for a size": ((True, 4, 1), {}, "whole sizes"),
    "no channels": ((4,), {}, r"no axis for channels.*\(4, 1\)"),
    "a number": (4, {}, r"images are 4, one number: pass the shape"),
    "NaN": (IMAGES * np.nan, {}, r"NaN or infinity, first at index \(0, 0, 0, 0\)"),
    "objects": (IMAGES.astype(object), {}, "dtype object.*np.float32"),
    "texts": (IMAGES.astype(str), {}, "numbers are needed"),
    "dates": (DATES, {}, "dtype datetime64.*numbers are needed"),
    "complex": (IMAGES * 1j, {}, "dtype complex64"),
    "bytes": (IMAGES.astype(np.uint8), {}, "uint8.* / 256"),
    "ragged": ([[1, 2], [3]], {}, "images are no array"),
    "no images": (IMAGES[:0], {}, "nothing to shift"),
}
AXES: dict[str, Case] = {
    "one grid axis": (SHAPE, {"spatial_axes": 1}, r"takes integers in a tuple, such as \(0, 1\)"),
    "a half grid axis": (SHAPE, {"spatial_axes": (0.5, 1)}, "takes integers"),
    "a text for grid axes": (SHAPE, {"spatial_axes": "01"}, "takes integers"),
    "a grid axis twice": (SHAPE, {"spatial_axes": (0, -3)}, "same axis twice"),
    "no such grid axis": (SHAPE, {"spatial_axes": (0, 5)}, "do not fit one image"),
    "no grid axes": (SHAPE, {"spatial_axes": ()}, "do not fit one image"),
    "one output axis": (SHAPE, {"output_axes": 1}, r"takes integers in a tuple, such as \(1, 2\)"),
    "a half output axis": (SHAPE, {"output_axes": (1, 1.5)}, "takes integers"),
    "too few output axes": (SHAPE, {"output_axes": (1,)}, "name one axis of the output for each"),
    "an output axis twice": (SHAPE, {"output_axes": (1, -3)}, "same axis twice"),
    "no such output axis": (SHAPE, {"output_axes": (1, 9)}, r"fit no output.*\(\d, 4, 4, 1\)"),
    "the batch": (SHAPE, {"output_axes": (0, 1)}, "which is the batch"),
}
OPTIONS: dict[str, Case] = {
    "weights": (SHAPE, {"weights": "al"}, "weights must be one of .*; got 'al'"),
    "a list of weights": (SHAPE, {"weights": ["all"]}, "weights must be one of"),
    "a property": (SHAPE, {"property": "x"}, "property must be one of .*; got 'x'"),
    "a law": (SHAPE, {"law": "x"}, "law must be one of .*; got 'x'"),
    "a negative seed": (SHAPE, {"seed": -1}, "seed must be an integer of at least 0; got -1"),
    "half a seed": (SHAPE, {"seed": 1.5}, "seed must be an integer"),
    "no seed": (SHAPE, {"seed": None}, "seed must be an integer"),
    "negative seconds": (SHAPE, {"search_seconds": -1}, "search_seconds must be at least 0"),
    "seconds in words": (SHAPE, {"search_seconds": "x"}, "search_seconds must be at least 0"),
    "a name": (SHAPE, {"name": 3}, "name= takes a text"),
    "keywords": (SHAPE, {"apply_kwargs": ["train"]}, "takes a dict such as {'train': False}"),
    "a letter for a step": (SHAPE, {"shifts": [("xZ", 0)]}, "'xZ' is no step"),
    "half a step": (SHAPE, {"shifts": [(1.5, 0)]}, "1.5 is no step"),
    "a long step": (SHAPE, {"shifts": [("9" * 5000 + "Z", 0)]}, "is no step"),
    "a shift of another rank": (SHAPE, {"shifts": [(1, 0, 0)]}, "has 2 steps"),
    "one shift": (SHAPE, {"shifts": (1, 0)}, "takes several shifts"),
    "a text for shifts": (SHAPE, {"shifts": "4Z"}, "takes several shifts"),
    "no shifts": (SHAPE, {"shifts": []}, "names no shift"),
    "an empty mask": (SHAPE, {"shifts": np.zeros((4, 4), bool)}, "names no shift"),
    "a mask of another grid": (SHAPE, {"shifts": np.ones((4, 5), bool)}, "the grid is"),
    "a boundary": (SHAPE, {"boundary": "x"}, "boundary must be one of"),
    "no boundary": (SHAPE, {"boundary": None}, "boundary must be one of"),
}
VERIFIED: dict[str, Case] = {
    "an object on the torus": (SHAPE, {"object": (2, 2)}, "belongs to boundary="),
    "one size of an object": (SHAPE, {"boundary": "background", "object": 2}, "takes integers"),
    "a large object": (SHAPE, {"boundary": "background", "object": (9, 9)}, "does not fit"),
    "an object of no axis": (SHAPE, {"boundary": "background", "object": ()}, "does not fit"),
    "shifts of a scene": (SHAPE, {"boundary": "scene", "shifts": [(1, 0)]}, "belongs to boundary="),
}
SWEPT: dict[str, Case] = {
    "a window of one size": (SHAPE, {"boundary": "scene", "grid": 2}, "takes integers"),
    "half a window": (SHAPE, {"boundary": "scene", "grid": (2.5, 2)}, "takes integers"),
    "a window of no size": (SHAPE, {"boundary": "scene", "grid": (0, 2)}, "size below 1"),
    "a window of another rank": (SHAPE, {"boundary": "scene", "grid": (2,)}, "2 grid axes"),
    "a large window": (SHAPE, {"boundary": "scene", "grid": (9, 9)}, "has no window"),
    "a method": (SHAPE, {"method": "x"}, "method must be one of"),
    "a format": (SHAPE, {"dtype": np.float32}, "dtype must be one of"),
    "a text for layers": (SHAPE, {"layers": "output"}, r"takes several names, such as \['output'"),
    "a number for a layer": (SHAPE, {"layers": [3]}, "takes several names"),
    "an unknown layer": (SHAPE, {"layers": ["no"]}, "no layer is named no; there are output"),
    "no probes": (SHAPE, {"probes": 0}, "number of probes must be an integer of at least 1"),
    "half a probe": (SHAPE, {"probes": 1.5}, "number of probes must be an integer"),
    "a chunk of 1": (SHAPE, {"chunk": 1}, "chunk must be an integer of at least 2"),
    "half a chunk": (SHAPE, {"chunk": 2.5}, "chunk must be an integer"),
    "a number for a folder": (SHAPE, {"directory": 3}, "takes the path of a folder"),
    "a file for a folder": (SHAPE, {"directory": __file__}, "is a file: pass a folder"),
    "no folder to go on from": (SHAPE, {"resume": True}, "needs directory="),
    "a text for devices": (SHAPE, {"devices": "cpu"}, r"as jax.devices\('cpu'\) gives"),
    "a number for a device": (SHAPE, {"devices": [0]}, "takes devices of JAX"),
    "a precision": (SHAPE, {"precision": "x"}, "precision must be one of"),
}
PLACED: dict[str, Case] = {
    "one size": ((2, 2, 1), {"canvas": 8}, "takes integers in a tuple"),
    "half a size": ((2, 2, 1), {"canvas": (8.5, 8)}, "takes integers"),
    "no size": ((2, 2, 1), {"canvas": (0, 8)}, "size below 1"),
    "a small canvas": ((2, 2, 1), {"canvas": (1, 1)}, "does not fit"),
    "another rank": ((2, 2, 1), {"canvas": (8,)}, "2 grid axes"),
    "nothing to place": (IMAGES * 0, {}, "nothing to place"),
}
ASSERTED: dict[str, Case] = {
    "a stride of 0": (SHAPE, {"stride": 0}, "number of at least 1"),
    "half a stride": (SHAPE, {"stride": 1.5}, "takes integers"),
    "a text for a stride": (SHAPE, {"stride": "2"}, "takes integers"),
    "strides of another rank": (SHAPE, {"stride": (2, 2, 2)}, "one per axis"),
    "stride and shifts": (SHAPE, {"stride": 2, "shifts": [(1, 0)]}, "exclude each other"),
    "evidence": (SHAPE, {"evidence": "x"}, "evidence must be one of"),
    "a number for a cache": (SHAPE, {"cache": 3}, "takes the path of a folder"),
    "a file for a cache": (SHAPE, {"cache": __file__}, "is a file: pass a folder"),
    "an exception": (SHAPE, {"exception_type": 3}, "takes a class of exceptions"),
    "a number for a lattice": (SHAPE, {"lattice": 4}, "a text such as '4Z x 4Z'"),
    "a lattice of another rank": (SHAPE, {"lattice": "4Z"}, "write one step per axis"),
    "a letter in a lattice": (SHAPE, {"lattice": "4Q x Z"}, "is no lattice"),
    "both properties": (SHAPE, {"property": "both"}, "property must be one of"),
}
GENERAL = IMAGES_OR_SHAPES | AXES | OPTIONS


def assert_lattice(model: Any, images: Any, lattice: Any = "Z x Z", **options: Any) -> None:
    options = {"property": "equivariance", **options}
    sp.assert_lattice(model, images, lattice, **options)


CALLS: dict[Callable, dict[str, Case]] = {
    sp.verify: GENERAL | VERIFIED,
    sp.counterfactuals: IMAGES_OR_SHAPES | AXES,
    sp.sweep: GENERAL | SWEPT,
    sp.placements: GENERAL | SWEPT | PLACED,
    sp.assert_equivariant: GENERAL | ASSERTED,
    sp.assert_breaks: GENERAL | ASSERTED,
    assert_lattice: GENERAL | ASSERTED,
}


SWEPT_ALONE = {"grid", "method", "dtype", "probes", "chunk", "devices", "precision"}


def taken(call: Callable) -> set[str]:
    """The arguments that a function takes by keyword."""
    known = inspect.signature(call).parameters
    if call is sp.counterfactuals:
        return {"spatial_axes", "output_axes"}
    if "options" in known:
        own = {"property"} if call is assert_lattice else set()
        return own | set(known) | (set(Options.__annotations__) - SWEPT_ALONE)
    return set(known)


CASES = [
    pytest.param(call, *case, id=f"{call.__name__}: {name}")
    for call, known in CALLS.items()
    for name, case in known.items()
    if case[1].keys() <= taken(call)
]


@pytest.mark.parametrize(("call", "images", "options", "message"), CASES)
def test_a_wrong_argument_has_one_message(call, images, options, message) -> None:
    before = jax.config.read("jax_enable_x64"), list(sys.path)
    with pytest.raises(InputError, match=message):
        call(lambda x: 2.0 * x, images, **options)
    assert (jax.config.read("jax_enable_x64"), list(sys.path)) == before


@pytest.mark.parametrize("axes", [(1, 2), (-3, -2), [np.int64(1), 2]])
def test_output_axes_may_be_counted_from_the_end(axes) -> None:
    assert sp.verify(lambda x: 2.0 * x, SHAPE, output_axes=axes).equivariance.proved == 16


def test_output_axes_are_those_of_the_outputs_that_have_them() -> None:
    verdict = sp.verify(lambda x: (2.0 * x, x.sum((1, 2))), SHAPE, output_axes=(1, 2))
    assert [o.equivariance is None for o in verdict.outputs] == [False, True]


@pytest.mark.slow
def test_a_list_is_a_shape_everywhere() -> None:
    assert sp.verify(lambda x: 2.0 * x, list(SHAPE)).equivariance.proved == 16
    assert sp.sweep(lambda x: 2.0 * x, list(SHAPE)).count("equivariance").equal == 16


MODEL = (
    "from flax import nnx\n"
    "def make():\n    return nnx.Conv(1, 2, (3, 3), padding='CIRCULAR', rngs=nnx.Rngs(0))\n"
)
FILES = {
    "own.py": MODEL,
    "json.py": MODEL,
    "broken.py": "def make(:",
    "raises.py": "raise KeyError('boom')",
    "ends.py": "raise SystemExit(3)",
    "ending.py": "def make():\n    raise SystemExit(0)\n",
    "three.py": "def make():\n    return 3\n",
    "own.txt": "",
}
COMMANDS = {
    "verify own.py --shape 4 0 1": "sizes of at least 1",
    "verify own.py --shape 4 -4 1": "sizes of at least 1",
    "verify own.py --grid 4 0": "size below 1",
    "verify own.py --grid 4 4 --channels 0": "sizes of at least 1",
    "verify own.py --shape 4 4 1 --shifts xZ,0": "'xZ,0' is no shift",
    "verify own.py --shape 4 4 1 --shifts 1": "has 2 steps",
    "verify own.py --shape 4 4 1 --seed -1": "seed must be",
    "verify own.py --shape 4 4 1 --spatial-axes 5": "do not fit",
    "verify own.py --shape 4 4 1 --output-axes 0 1": "which is the batch",
    "verify own.py --shape 4 4 1 --out own.py": "--out='own.py' is a file",
    "verify own.py --boundary scene --shape 4 4 1 --out own.py": "--out='own.py' is a file",
    "verify own.py --shape 4 4 1 --search-seconds nan": "at least 0",
    "sweep own.py --shape 4 4 1 --chunk 1": "at least 2",
    "sweep own.py --shape 4 4 1 --processes 2": "need --coordinator",
    "placements own.py --object 2 2 1 --canvas 1 1": "does not fit",
    "verify json.py --shape 4 4 1": "json.py has the name of the module json",
    "verify broken.py --shape 4 4 1": "broken.py cannot be imported: SyntaxError",
    "verify raises.py --shape 4 4 1": "raises.py cannot be imported: KeyError: 'boom'",
    "verify ends.py --shape 4 4 1": "ends.py cannot be imported: SystemExit.*__main__",
    "verify ending.py --shape 4 4 1": "ending.py:make fails: SystemExit",
    "verify three.py --shape 4 4 1": "three.py:make: a model is .*; got int",
    "verify own.txt --shape 4 4 1": "own.txt is no Python file",
    "verify ./ --shape 4 4 1": "./ is a folder",
    "verify :make --shape 4 4 1": "no model is named",
}


@pytest.mark.parametrize("text", COMMANDS)
def test_a_wrong_command_has_one_message(text, tmp_path, monkeypatch, capsys) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as caught:
        cli.main(shlex.split(text))
    told = " ".join(capsys.readouterr().err.split())
    assert caught.value.code == 2, told
    assert told.count("error: ") == 1
    assert "Traceback" not in told
    assert re.search(COMMANDS[text], told)
