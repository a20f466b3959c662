"""Sweeping: every shift of given images, compared at every layer."""
