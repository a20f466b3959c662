"""Algebras: each evaluates a program on values of its own, by one rule per class of primitives."""
