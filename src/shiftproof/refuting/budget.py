"""The budget of a search for counterexamples: seconds beside compilation, and images that the program is run on.

What is spent is counted wherever a trial runs, so that every stage of a search answers to the same budget. Where it is
spent, what is left is undecided, and the reason says so.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from shiftproof.errors import InputError

SEARCH_SECONDS = 40.0
"""Seconds that the search of one verdict may take, compilation not counted."""

MOST_IMAGES = 20_000
"""Images on which the search of one verdict may run the program, disturbed ones too."""


@dataclasses.dataclass
class Budget:
    """What a search may take, and what it took.

    Attributes:
        seconds: that it may take beside compilation.
        images: on which it may run the program.
        clock: gives seconds.
        run: images on which it ran the program.
        enclosing: seconds that enclosures took, their compilation included.
    """

    seconds: float = SEARCH_SECONDS
    images: int = MOST_IMAGES
    clock: Callable[[], float] = time.perf_counter
    run: int = 0
    enclosing: float = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.seconds, (int, float, np.number)) and self.seconds >= 0):
            raise InputError(f"search_seconds must be at least 0; got {self.seconds!r}.")
        self._begin = self.clock()
        self._stopped = ""
        self._share = 1.0

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is done inside takes no time, as compilation does."""
        begin = self.clock()
        try:
            yield
        finally:
            self._begin += self.clock() - begin

    @contextmanager
    def part(self, share: float) -> Iterator[None]:
        """What is done inside stops where this share is spent, and leaves the rest to what comes after."""
        self._share = share
        try:
            yield
        finally:
            self._share = 1.0

    @property
    def taken(self) -> float:
        """Seconds since the search began, beside compilation."""
        return self.clock() - self._begin

    @property
    def is_spent(self) -> bool:
        """Whether the search must stop; once the whole is spent, it stays so."""
        seconds, run = self._share * self.seconds, self._share * self.images
        spent = self.taken >= seconds or self.run >= run
        if spent and self._share == 1 and not self._stopped:
            images = "1 image" if self.run == 1 else f"{self.run} images"
            self._stopped = f"the search stopped after {self.taken:.0f} s and {images}"
        return spent or bool(self._stopped)

    @property
    def stopped(self) -> str:
        """In words, when and why the search stopped; "" where it did not."""
        if not self._stopped:
            return ""
        return (
            f"{self._stopped}; its budget is {self.seconds:g} s beside compilation (search_seconds) and {self.images} "
            "images"
        )
