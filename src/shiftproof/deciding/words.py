"""The three words."""

import enum


class Word(enum.IntEnum):
    """What is known of a property under one shift, in one cell, or at one place."""

    UNDECIDED = 0
    PROVED = 1
    REFUTED = 2

    def __str__(self) -> str:
        return self.name.lower()


def refuted_words(refuted: int, numerically: int) -> str:
    """How many shifts are refuted, those refuted numerically apart.

    >>> refuted_words(3, 0), refuted_words(3, 2)
    ('3', '3 and 2 numerically')
    """
    return f"{refuted}" + (f" and {numerically} numerically" if numerically else "")
