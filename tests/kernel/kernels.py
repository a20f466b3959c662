"""The kernel as one namespace: the real one, or one built from changed source."""

from types import SimpleNamespace

from shiftproof_kernel import arithmetic, derivation, facts, program, rules


def namespace(*modules: object) -> SimpleNamespace:
    """All names of some modules."""
    found = {}
    for module in modules:
        found |= vars(module)
    return SimpleNamespace(**found)


REAL = namespace(arithmetic, facts, program, rules, derivation)
