"""Deciding: a word for every shift, with its evidence."""
