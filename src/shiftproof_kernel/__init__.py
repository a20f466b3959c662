"""The kernel of shiftproof: it decides, without JAX, whether a certificate proves its statement.

A *statement* is a program as plain data (`program`), a shift and a property. *Facts* (`facts`) say how an array of the
program answers the shift. *Rules* (`rules`) are the only functions that make theorems. A *certificate* (`certificate`)
holds what the rules must reproduce. TRUST.md beside this file says what is trusted.
"""

from shiftproof_kernel.certificate import Checked, check, check_text, make_certificate
from shiftproof_kernel.facts import Fact, Fold, Joined, Moving, Phase, Refusal, Scene, Still
from shiftproof_kernel.program import Node, Program, decode_program
from shiftproof_kernel.rules import RULES, Lost, Theorem, derive, equivariant, interior, invariant

__all__ = [
    "RULES",
    "Checked",
    "Fact",
    "Fold",
    "Joined",
    "Lost",
    "Moving",
    "Node",
    "Phase",
    "Program",
    "Refusal",
    "Scene",
    "Still",
    "Theorem",
    "check",
    "check_text",
    "decode_program",
    "derive",
    "equivariant",
    "interior",
    "invariant",
    "make_certificate",
]
