"""Kernels: which cells of a weight are summed up together, as the contraction that uses it says.

Frameworks lay their kernels out in many ways, and a depthwise kernel has its outputs on two axes. What makes of a
weight a kernel is the convolution or product that it enters; the way there only moves cells.
"""

from collections.abc import Mapping

import numpy as np

from shiftproof.tracing.trace import Equation, Program

_SAME_ORDER = frozenset("broadcast_in_dim convert_element_type copy reshape squeeze".split())
"""Primitives that keep cells in their order, where they keep their number."""


def kernels_of(program: Program) -> Mapping[int, np.ndarray]:
    """By position of the weight, the numbers of its cells as a matrix (inputs, outputs); without those that enter no
    contraction with what depends on the images.

    Args:
        program: the traced model.
    """
    followed = {
        number: (
            position,
            np.arange(program.avals[number].size).reshape(program.avals[number].shape),
        )
        for position, number in enumerate(program.weights)
    }
    found: dict[int, np.ndarray] = {}
    for eqn in program.equations:
        for place, operand in enumerate(eqn.inputs):
            if not isinstance(operand, int) or operand not in followed:
                continue
            position, cells = followed[operand]
            if eqn.outputs[0] in program.from_images:
                matrix = _matrix(eqn, place, cells)
                if matrix is not None:
                    found.setdefault(position, matrix)
                continue
            shape = program.avals[eqn.outputs[0]].shape
            if eqn.name == "transpose":
                followed[eqn.outputs[0]] = position, cells.transpose(eqn.params["permutation"])
            elif eqn.name in _SAME_ORDER and cells.size == np.prod(shape, dtype=int):
                followed[eqn.outputs[0]] = position, cells.reshape(shape)
    return found


def _matrix(eqn: Equation, place: int, cells: np.ndarray) -> np.ndarray | None:
    """The cells of an operand of a contraction, (inputs, outputs); None for other equations."""
    if eqn.name == "conv_general_dilated" and place == 1:
        outputs: tuple[int, ...] = (eqn.params["dimension_numbers"].rhs_spec[0],)
    elif eqn.name == "dot_general":
        contracted = eqn.params["dimension_numbers"][0][place]
        outputs = tuple(axis for axis in range(cells.ndim) if axis not in contracted)
    else:
        return None
    inputs = tuple(axis for axis in range(cells.ndim) if axis not in outputs)
    sizes = [int(np.prod([cells.shape[axis] for axis in axes])) for axes in (inputs, outputs)]
    return cells.transpose(*inputs, *outputs).reshape(sizes)
