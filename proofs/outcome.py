"""Outcomes: what came of one proof. A tool that is missing proves nothing, and is said to be missing."""

import dataclasses
from typing import Literal

Status = Literal["proved", "failed", "not run"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One lemma, tried by one method.

    Attributes:
        name: of the lemma.
        method: such as `z3`, `cvc5`, `identity`, `coq`.
        statement: in words or formulas.
        status: `not run` where a tool is missing; that is never a pass.
        detail: why it failed, or what to install.
        seconds: that it took.
    """

    name: str
    method: str
    statement: str
    status: Status
    detail: str = ""
    seconds: float = 0.0
