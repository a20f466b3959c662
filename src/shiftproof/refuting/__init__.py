"""Refuting: counterexamples, searched for on the compiled program and kept as files."""
