"""Lemmas: a line of mathematics, and the function that builds its claim by running the kernel's formulas on symbols."""

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from proofs.rules.claim import Claim
from proofs.rules.terms import Integer, lift, unknown
from shiftproof_kernel import arithmetic

Formulas = Any
"""The functions of `shiftproof_kernel.arithmetic`, by name: the kernel's own, or mutants of them."""

KERNEL: Mapping[str, Callable[..., Any]] = {
    name: function
    for name, function in vars(arithmetic).items()
    if inspect.isfunction(function) and function.__module__ == arithmetic.__name__
}
"""Every formula of the kernel."""


class Lemma(NamedTuple):
    """What holds for all integers.

    Attributes:
        name: of the lemma.
        statement: in one line of mathematics.
        build: gives the claim. Its first argument is the kernel's formulas, the other positional arguments are sizes,
            that is integers of at least 1, and the arguments by keyword any integers. It runs on numbers as well.
        rule: a function of the kernel that branches; then it is the first argument, in the place of the formulas.
    """

    name: str
    statement: str
    build: Callable[..., Claim]
    rule: Callable[..., Any] | None = None

    @property
    def sizes(self) -> tuple[str, ...]:
        """The unknowns that are at least 1."""
        parameters = list(inspect.signature(self.build).parameters.values())[1:]
        return tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)

    @property
    def integers(self) -> tuple[str, ...]:
        """The other unknowns."""
        parameters = inspect.signature(self.build).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def claim(
        self,
        formulas: Mapping[str, Callable[..., Any]] = KERNEL,
        values: Mapping[str, int] | None = None,
    ) -> Claim:
        """The claim of these formulas: about symbols, or, with values for the unknowns, about numbers."""
        names = (*self.sizes, *self.integers)
        given: dict[str, Integer] = {
            name: unknown(name) if values is None else values[name] for name in names
        }
        if self.rule is not None:  # on numbers too its path is given, so these are terms
            given = {name: lift(value) for name, value in given.items()}
        sizes = [given[name] for name in self.sizes]
        integers = {name: given[name] for name in self.integers}
        return self.build(self.rule or SimpleNamespace(**formulas), *sizes, **integers)

    def used(self) -> frozenset[str]:
        """The formulas of the kernel that it runs by itself."""
        seen: set[str] = set()

        def watched(name: str) -> Callable[..., Any]:
            def run(*arguments: Integer) -> Any:
                seen.add(name)
                return KERNEL[name](*arguments)

            return run

        self.claim({name: watched(name) for name in KERNEL})
        return frozenset(seen)

    def formula(self) -> str:
        """Hypotheses and conclusions as the formulas wrote them."""
        claim = self.claim()
        sizes = [f"{name} > 0" for name in self.sizes]
        given = ", ".join([*sizes, *map(str, claim.hypotheses().values())])
        return f"{given}  ⟹  {', '.join(str(goal.truth) for goal in claim.then)}"
