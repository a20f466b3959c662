"""Rewriting: a model whose traced program is evaluated with another meaning at some of its equations.

The rewritten model is traced like any other, so that it can be verified, swept and asserted; that runs the program
that the model was traced to, and not the user's code. An equation is found again, in whatever number format, by its
place: its primitive, and how many of that primitive came before. What takes the place of an equation comes from the
same line of the user's code, and weights stay what they are.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from shiftproof.errors import ModelCallError
from shiftproof.tracing.model import Model, trace_once
from shiftproof.tracing.regrow import Step, Unfit, UnfitError, has_grown, regrow
from shiftproof.tracing.trace import (
    Equation,
    Literal,
    Program,
    apply,
    interpret,
    located,
    open_body,
    scan_counts,
)

Place = tuple[tuple[str, int], ...]
"""An equation of a program; of the body of a loop: the loop, the number of its body, and the equation in it."""


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An output of a rewritten model.

    Attributes:
        name: as in the program, such as `output.logits`.
        leaf: its position among the outputs of the program, where it stays what it was.
        value: else place and position of the value that takes its place; None for the images themselves.
        mean: axes of that value that are averaged.
    """

    name: str
    leaf: int | None
    value: tuple[Place, int] | None = None
    mean: tuple[int, ...] = ()


def places(program: Program, within: Place = ()) -> Iterator[tuple[Place, Equation]]:
    """Every equation of a program, or of the body that `within` names, with its place."""
    counts: Counter[str] = Counter()
    for eqn in program.equations:
        yield (*within, (eqn.name, counts[eqn.name])), eqn
        counts[eqn.name] += 1


def rewrite(
    model: Model, steps: Mapping[Place, Step], leaves: Sequence[Leaf], *, name: str
) -> Model:
    """The model with other meanings of some equations, and other outputs.

    Args:
        model: what is rewritten; it is not changed.
        steps: by place, what is done there instead.
        leaves: the outputs; one alone is returned bare, several as a dict.
        name: for reports.

    Raises, when it is called or traced:
        UnfitError: a step made a value longer, and an output depends on how long it was.
    """

    def call(weights: Any, images: Any) -> Any:
        arrays = jax.tree_util.tree_leaves(weights)
        program = trace_once(model, images.shape, images.dtype.name)
        found = {place: eqn for place, eqn in places(program)}
        missing = [place for place in steps if place[:1] not in found]
        if missing:
            raise ModelCallError(
                f"{model.name} traces to another program here than where it was rewritten: it has no {missing[0]}."
            )
        inputs = dict(zip(program.weights, arrays, strict=True)) | {program.images: images}
        values = _run(program, inputs, steps, ())
        outputs: dict[str, Any] = {}
        for leaf in leaves:
            if leaf.leaf is not None:
                value = _read(program.outputs[leaf.leaf], values)
            elif leaf.value is None:
                value = images
            else:
                place, position = leaf.value
                value = values[found[place].outputs[position]]
            if isinstance(value, Unfit):
                raise UnfitError(value.reason)
            outputs[leaf.name.removeprefix("output.")] = (
                value.mean(leaf.mean) if leaf.mean else value
            )
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    return dataclasses.replace(model, name=name, call=call, programs={}, native=None, lasting=False)


def _read(value: int | Literal, values: Mapping[int, Any]) -> Any:
    return jnp.asarray(value.value) if isinstance(value, Literal) else values[value]


def _run(
    program: Program, inputs: Mapping[int, Any], steps: Mapping[Place, Step], within: Place
) -> dict[int, Any]:
    """All values of a program, or of a body, with the steps that lie within it taken."""
    known = iter(places(program, within))

    def step(eqn: Equation, operands: Sequence[Any]) -> Sequence[Any]:
        place, _ = next(known)
        arrays = [o.value if isinstance(o, Literal) else o for o in operands]
        with located(eqn.site):
            if has_grown(program, eqn, operands):
                return regrow(program, eqn, operands, steps.get(place))
            if place in steps:
                return steps[place](eqn, arrays)
            if any(other[: len(place)] == place for other in steps):
                return LOOPS[eqn.name](eqn, arrays, steps, place)
            return apply(eqn, operands)

    return interpret(program, {**program.constants, **inputs}, step)


def _body(
    closed: Any, steps: Mapping[Place, Step], place: Place, number: int
) -> Callable[..., Any]:
    """The body as a function of its inputs."""
    body = open_body(closed)

    def run(*inputs: Any) -> list[Any]:
        given = dict(zip(body.weights, inputs, strict=True))
        values = _run(body, given, steps, (*place, ("body", number)))
        return [_read(output, values) for output in body.outputs]

    return run


def _scan(
    eqn: Equation, arrays: Sequence[Any], steps: Mapping[Place, Step], place: Place
) -> Sequence[Any]:
    constants, carries = scan_counts(eqn)
    body = _body(eqn.params["jaxpr"], steps, place, 0)

    def one(carry: list[Any], piece: list[Any]) -> tuple[list[Any], list[Any]]:
        made = body(*arrays[:constants], *carry, *piece)
        return made[:carries], made[carries:]

    start, slices = arrays[constants : constants + carries], arrays[constants + carries :]
    settings = {key: eqn.params[key] for key in ("length", "reverse", "unroll")}
    carry, stacked = lax.scan(one, list(start), list(slices), **settings)
    return [*carry, *stacked]


def _while(
    eqn: Equation, arrays: Sequence[Any], steps: Mapping[Place, Step], place: Place
) -> Sequence[Any]:
    tested, used = eqn.params["cond_nconsts"], eqn.params["body_nconsts"]
    body = _body(eqn.params["body_jaxpr"], steps, place, 0)
    test = _body(eqn.params["cond_jaxpr"], {}, place, 1)
    constants = arrays[tested : tested + used]
    return lax.while_loop(
        lambda state: test(*arrays[:tested], *state)[0],
        lambda state: body(*constants, *state),
        list(arrays[tested + used :]),
    )


def _cond(
    eqn: Equation, arrays: Sequence[Any], steps: Mapping[Place, Step], place: Place
) -> Sequence[Any]:
    branches = [_body(b, steps, place, i) for i, b in enumerate(eqn.params["branches"])]
    return lax.switch(jnp.asarray(arrays[0], jnp.int32), branches, *arrays[1:])


LOOPS: Mapping[str, Callable[..., Sequence[Any]]] = {"scan": _scan, "while": _while, "cond": _cond}
"""Loops and branches, run with other bodies."""
