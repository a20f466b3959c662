"""The kernel of shiftproof: it decides, without JAX, whether a certificate proves its statement.

A *program* as plain data (`program`) is what a statement is about. *Facts* (`facts`) say how an array of the program
answers a shift. *Rules* (`rules`) say which fact a result has, given those of its operands; a *derivation*
(`derivation`) applies them in order. A *certificate* (`certificate`) holds what the derivations must reproduce.
TRUST.md beside this file says what is trusted.
"""

from shiftproof_kernel.certificate import Checked, check, check_text, make_certificate
from shiftproof_kernel.derivation import Lost, Theorem, derive, equivariant, interior, invariant
from shiftproof_kernel.facts import Fact, Fold, Joined, Moving, Phase, Refusal, Scene, Still
from shiftproof_kernel.program import Node, Program, decode_program

__all__ = [
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
