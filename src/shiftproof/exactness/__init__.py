"""Exactness: where floats compute exact integers, so that == is meaningful."""
