"""Proving: the program as operations of the kernel, the largest lattice that it proves, and where it shrinks."""
