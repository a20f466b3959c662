"""Benchmarks: recorded as JSON Lines with the machine beside them, never asserted."""
