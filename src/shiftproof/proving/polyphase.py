"""Polyphase sampling: what is kept beside what is proved.

The kernel has an operation for the choice that such a layer makes (`shiftproof.proving.selections`). Two things are
kept of which it proves no statement. A layer that takes the first of the phases that tie is such a choice for the
images in which none tie: so what the kernel derives of the program with the choice in place of the layer holds of
these images. And an output may move by a shift that depends on the image: then no one output shift is the same for all
images, as equivariance asks. The result is *conditional*, and never called proved.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from shiftproof.group import Lattice, Shift, largest_lattice
from shiftproof.proving.analysis import Claim, Prover
from shiftproof.proving.selections import Selection
from shiftproof.tracing.trace import Program
from shiftproof_kernel import Fact, Lost, Theorem, equivariant


@dataclasses.dataclass(frozen=True)
class Conditional:
    """What holds of a property behind polyphase sampling, and is not proved.

    Attributes:
        lattice: the shifts.
        except_ties: where phases must not tie: the lines of the layers; empty where it holds for every image.
        wanders: whether the output moves by a shift that depends on the image.
    """

    lattice: Lattice
    except_ties: tuple[str, ...]
    wanders: bool = False

    def __str__(self) -> str:
        places = ", ".join(filter(None, self.except_ties))
        where = f", except where two phases tie{f' ({places})' if places else ''}"
        where = where if self.except_ties else ""
        how = ", up to an output shift that depends on the image" if self.wanders else ""
        return (
            f"kept under {self.lattice.count} of {math.prod(self.lattice.grid)} shifts ({self.lattice}){where}{how}, "
            "by what the kernel derives of the choice that polyphase sampling makes"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "lattice": [list(row) for row in self.lattice.generators],
            "shifts": self.lattice.count,
            "except_ties_at": list(self.except_ties),
            "output_shift_of_the_image": self.wanders,
        }


def conditional(
    prover: Prover,
    program: Program,
    selections: Sequence[Selection],
    proved: Mapping[Claim, Lattice],
) -> dict[Claim, Conditional]:
    """For every claim that polyphase layers keep under more shifts than are proved: under which, and where.

    Args:
        prover: of the graph in which all of the layers are selections.
        program: the traced model.
        selections: its layers.
        proved: for every claim the shifts that are proved.
    """
    found = {}
    for claim, lattice in proved.items():
        _, kept = largest_lattice(prover.grid, lambda shift: _keeps(prover, claim, shift) != "")  # noqa: B023
        if kept.count > lattice.count:
            output = program.outputs[claim.leaf]
            lines = dict.fromkeys(
                s.source
                for s in selections
                if s.ties == "first" and output in program.depending_on({*s.equation.outputs})
            )
            wanders = any(_keeps(prover, claim, shift) == "wanders" for shift in kept.generators)
            found[claim] = Conditional(kept, tuple(lines), wanders)
    return found


def _keeps(prover: Prover, claim: Claim, shift: Shift) -> str:
    """How the output keeps the claim under a shift: it is derived, or the output wanders; "" where neither."""
    if prover.proves(claim, shift):
        return "kept"
    program = prover.graph.program
    number = program.outputs[claim.leaf]
    outcome = prover.derive(shift).outcomes[number]
    if claim.property != "equivariance" or claim.law != "any" or not isinstance(outcome, Lost):
        return ""
    along = [Theorem(program, shift, "torus", number, Fact(axes)) for axes in outcome.along]
    whole = bool(along) and all(equivariant(one, claim.axes) is not None for one in along)
    return "wanders" if whole else ""
