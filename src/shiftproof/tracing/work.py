"""Work: about how many multiplications a program costs."""

import math

import numpy as np

from shiftproof.tracing.trace import Equation, Literal, Program, bodies, open_body


def work_of(program: Program) -> float:
    """About how many multiplications one image costs; loops whose length is not written count once."""
    live = program.from_images
    return sum(_work(program, eqn) for eqn in program.equations if eqn.outputs[0] in live)


def _work(program: Program, eqn: Equation) -> float:
    cells = float(sum(math.prod(program.avals[n].shape) for n in eqn.outputs))
    shapes = [
        np.shape(o.value) if isinstance(o, Literal) else program.avals[o].shape for o in eqn.inputs
    ]
    if eqn.name == "conv_general_dilated":
        kernel, features = shapes[1], eqn.params["dimension_numbers"].rhs_spec[0]
        return cells * math.prod(kernel) / max(1, kernel[features])
    if eqn.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return cells * math.prod(shapes[0][axis] for axis in contracted)
    inner = [open_body(body) for body in bodies(eqn.params)]
    repeats = eqn.params.get("length", 1) if eqn.name == "scan" else 1
    return cells + repeats * sum(_work(body, each) for body in inner for each in body.equations)
