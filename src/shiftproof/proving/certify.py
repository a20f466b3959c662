"""Certificates of a verdict: the part of the graph that an output needs, and a derivation for each generator."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from shiftproof._version import __version__
from shiftproof.group import Shift
from shiftproof.proving.analysis import Claim, Prover
from shiftproof_kernel import Program, make_certificate
from shiftproof_kernel.program import Input


def certify(
    prover: Prover, claim: Claim, shifts: Sequence[Shift], *, weights_sha256: str
) -> dict[str, Any] | None:
    """The certificate of what the kernel proves of a claim; None where that is shift 0 alone.

    Args:
        prover: whose derivations are written down.
        claim: what is proved.
        shifts: generators of the lattice, each of which the kernel derives.
        weights_sha256: of these weights; "" for all.
    """
    if not shifts:
        return None
    program, places = needed_part(prover.graph.program, claim.leaf)
    generators: list[tuple[Shift, Mapping[int, Sequence[int]]]] = []
    for shift in shifts:
        choices = prover.derive(shift).choices
        generators.append((shift, {places[n]: roll for n, roll in choices.items() if n in places}))
    return certificate_of(program, claim, prover.grid, generators, weights_sha256=weights_sha256)


def certificate_of(
    program: Program,
    claim: Claim,
    grid: Sequence[int],
    generators: Sequence[tuple[Shift, Mapping[int, Sequence[int]]]],
    *,
    weights_sha256: str,
    boundary: str = "torus",
) -> dict[str, Any]:
    """The certificate that the kernel makes of derivations on a program.

    Args:
        program: of the one output in question.
        claim: what is proved.
        grid: its sizes.
        generators: shifts, each with the rolls chosen for constants.
        weights_sha256: of these weights; "" for all.
        boundary: `torus`, or `scene`.

    Raises:
        Refusal: the claim does not follow.
    """
    moves = claim.property == "equivariance"
    question = {
        "property": claim.property,
        "output": claim.output,
        "grid": tuple(grid),
        "axes": tuple(claim.axes) if moves else (),
        "law": claim.law if moves else "any",
        "boundary": boundary,
    }
    own = dataclasses.replace(program, weights=weights_sha256)
    return make_certificate(own, question, generators, f"shiftproof {__version__}")


def needed_part(program: Program, leaf: int) -> tuple[Program, dict[int, int]]:
    """The program of one output, without what it does not need, and the new number of every node kept."""
    needed = {program.outputs[leaf]}
    # the image stays, even where a constant does not need it: its grid is part of the statement
    needed |= {number for number, node in enumerate(program.nodes) if isinstance(node.op, Input)}
    for number in range(len(program.nodes) - 1, -1, -1):
        if number in needed:
            needed.update(program.nodes[number].inputs)
    kept = sorted(needed)
    places = {number: place for place, number in enumerate(kept)}
    nodes = [program.nodes[number] for number in kept]
    moved = tuple(
        dataclasses.replace(node, inputs=tuple(places[i] for i in node.inputs)) for node in nodes
    )
    return Program(moved, (places[program.outputs[leaf]],)), places
