"""Comparing: two verdicts side by side, from files, models, or revisions of a file."""
