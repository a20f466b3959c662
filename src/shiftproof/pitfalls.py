"""Pitfalls, run: the verdict on each program of `zoo.pitfalls`, its counterexample, and the verdict on its repair."""

import dataclasses
import inspect
import textwrap

import numpy as np

from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.verify import verify
from shiftproof.errors import InputError
from shiftproof.messages import draw_image
from shiftproof.sweeping.placements import Placements, placements
from shiftproof.zoo import pitfalls as programs
from shiftproof.zoo.pitfalls import PITFALLS, Pitfall, Program

WIDTH = 78


@dataclasses.dataclass(frozen=True)
class Answer:
    """What shiftproof says of a program.

    Attributes:
        program: what was asked.
        found: a verdict on the torus, or the placements on its canvas.
    """

    program: Program
    found: Verdict | Placements

    @property
    def verdict(self) -> PropertyVerdict:
        """The verdict on the property asked, on the torus."""
        if not isinstance(self.found, Verdict):
            raise InputError(f"{self.program.make.__name__} is placed on a canvas, not rolled.")
        return getattr(self.found, self.program.asked)

    @property
    def counts(self) -> tuple[int, int]:
        """How many shifts, or placements, keep the property, and how many break it."""
        if isinstance(self.found, Placements):
            count = self.found.count(self.program.asked)
            return count.equal, count.differs + count.undefined
        return self.verdict.proved, self.verdict.refuted

    @property
    def as_stated(self) -> bool:
        """Whether the counts are those that the pitfall states, with nothing left open."""
        return self.counts == (self.program.holds, self.program.total - self.program.holds)

    def __str__(self) -> str:
        held, broken = self.counts
        asked = self.program.asked
        if isinstance(self.found, Placements):
            word = "moves with the object" if asked == "equivariance" else "stays the same"
            sizes = "x".join(map(str, self.found.canvas))
            return f"The output {word} at {held} of {self.found.total} placements on a canvas of {sizes}."
        left = f", undecided for {self.verdict.undecided}" if self.verdict.undecided else ""
        refuted = f", refuted for {broken}" if broken else ""
        lattice = self.verdict.lattice
        return f"{asked.capitalize()}: proved for {held} of {self.program.total} shifts ({lattice}){refuted}{left}."

    def counterexample(self) -> str:
        """Where the property fails, drawn where it is an image; the program has such a place."""
        if isinstance(self.found, Placements):
            deviation = getattr(self.found.sweep, self.program.asked)[-1]
            place = tuple(int(i) for i in np.argwhere(np.nan_to_num(deviation) > 0)[0])
            return (
                f"With the object at {place} it deviates by {deviation[place]:.4g} from what it is with the object at "
                f"{self.found.reference}. {' '.join(cause.text for cause in self.found.causes[-1:])}"
            )
        witness = self.verdict.witnesses[0]
        image = draw_image(witness.image, self.found.spatial_axes)
        gap = witness.difference.deviation
        head = f"Under the shift {witness.shift} the outputs differ by {gap:.4g}, for this image:"
        return "\n".join([head, *(f"    {line}" for line in image)])


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A pitfall that was run.

    Attributes:
        pitfall: which.
        passed: whether the check that people write passes on the broken program; None where there is none.
        broken: the answer on the broken program, and
        repaired: on the repaired one.
    """

    pitfall: Pitfall
    passed: bool | None
    broken: Answer
    repaired: Answer

    @property
    def as_stated(self) -> bool:
        """Whether everything is as the pitfall states it."""
        return self.passed is not False and self.broken.as_stated and self.repaired.as_stated

    def __str__(self) -> str:
        pitfall = self.pitfall
        told = [f"{pitfall.name}\n{'=' * len(pitfall.name)}", _wrapped(f'"{pitfall.claim}"')]
        told.append(_source(pitfall.broken))
        if pitfall.check is not None:
            told.append(_indented(inspect.getsource(pitfall.check)))
            told.append(f"The check {'passes' if self.passed else 'fails'}.")
        told += [_wrapped(f"{self.broken}"), _wrapped(self.broken.counterexample())]
        told += [_wrapped(f"Why: {pitfall.truth}"), _wrapped(f"Repair: {pitfall.remedy}")]
        repaired = _indented(inspect.getsource(pitfall.repaired.make))
        told += [repaired, _wrapped(f"{self.repaired}")]
        told.append(_wrapped(f"Met in: {'; '.join(pitfall.sources)}."))
        return "\n\n".join(told)


def find_pitfall(name: str) -> Pitfall:
    """The pitfall of that name; raises `InputError` where there is none."""
    if name not in PITFALLS:
        raise InputError(f"no pitfall is named {name!r}; there are {', '.join(PITFALLS)}.")
    return PITFALLS[name]


def run_pitfall(pitfall: Pitfall) -> Outcome:
    """Decide the broken program and the repaired one, and run the check that people write.

    >>> outcome = run_pitfall(find_pitfall("pool-stride"))
    >>> outcome.broken.counts, outcome.repaired.counts
    ((1, 63), (16, 48))
    """
    passed = None if pitfall.check is None else pitfall.check(pitfall.broken.make())
    return Outcome(pitfall, passed, _answer(pitfall.broken), _answer(pitfall.repaired))


def _answer(program: Program) -> Answer:
    name = program.make.__name__
    if program.canvas is not None:
        found = placements(program.make(), program.shape, canvas=program.canvas, name=name)
        return Answer(program, found)
    options = {"property": program.asked, "name": name, **program.options}
    return Answer(program, verify(program.make(), program.shape, **options))


def _source(program: Program) -> str:
    """The source of a program, and of what it uses from the same file."""
    names = program.make.__code__.co_names
    used = [vars(programs)[name] for name in names if name in vars(programs)]
    helpers = [f for f in used if getattr(f, "__module__", "") == programs.__name__]
    return "\n\n".join(_indented(inspect.getsource(f)) for f in (*helpers, program.make))


def _indented(text: str) -> str:
    return textwrap.indent(text.rstrip(), "    ")


def _wrapped(text: str) -> str:
    """Lines of at most `WIDTH`; what is indented stays as it is drawn."""
    lines = [
        line if line.startswith(" ") else textwrap.fill(line, WIDTH) for line in text.split("\n")
    ]
    return "\n".join(lines)
