"""Two files of rows, old against new: what has become slower, or larger, by more than it varies.

    rows of OLD, rows of NEW -> pairs of the same figure of the same case on the same device -> ratios with their spread

Compared is what costs: seconds and bytes. Rates and ratios within one run say the same again, and accuracies are no
cost. The *ratio* is that of the medians. Its *spread* goes from the lower quartile of NEW over the upper quartile of
OLD to the upper over the lower. A ratio is *noise* where its spread holds 1. Of two runs that do not differ, about 3 in
100 figures lie outside by chance, if samples are independent. One run does not show what differs from run to run, so
files may hold several runs: the samples of a figure are pooled.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.harness import (
    Machine,
    Row,
    machine_box,
    plain_number,
    quantity,
    read_rows,
    spread,
    used_columns,
)
from shiftproof.report.tables import Table, counted
from shiftproof.terminal import Console

MEMORY = "MiB"
COSTS = ("s", "us", MEMORY)
"""Units of which more is worse."""
TASK = ("shape", "shifts", "steps", "seeds", "dtype", "batch")
"""Facts that say what was run; rows that differ in one of them are of different cases."""
FEWEST = 3
"""Samples of which the quartiles are known; a figure with fewer has no spread."""
SHOWN = 5
"""Of the cases of a part that only one file holds."""
LOCAL = ("load", "git", "dirty", "shiftproof")
"""What differs between two runs of one machine."""
Word = Literal["noise", "no spread", "slower", "faster", "larger", "smaller", "same"]
Key = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One figure, old and new.

    Attributes:
        row: the first of the new rows; it names part, case, figure and unit.
        old, new: median, lower and upper quartile of all samples.
        known: whether there are samples enough for a spread; what a compiler counts has none, and is known.
    """

    row: Row
    old: tuple[float, float, float]
    new: tuple[float, float, float]
    known: bool

    @property
    def ratio(self) -> float:
        """New median over old median."""
        return self.new[0] / self.old[0]

    @property
    def low(self) -> float:
        """The lower end of the spread."""
        return self.new[1] / self.old[2]

    @property
    def high(self) -> float:
        """The upper end."""
        return self.new[2] / self.old[1]

    @property
    def word(self) -> Word:
        """What the ratio says."""
        if not self.known:
            return "no spread"
        if self.low <= 1 <= self.high:
            return "same" if self.row.unit == MEMORY else "noise"
        more, less = ("larger", "smaller") if self.row.unit == MEMORY else ("slower", "faster")
        return more if self.ratio > 1 else less


def compare(old: Path, new: Path, *, fail_if: float | None = None) -> int:
    """Print the ratios of two files of rows.

    Args:
        old, new: JSON Lines as the parts write them.
        fail_if: a ratio, at least 1.

    Returns:
        1 where a spread lies above `fail_if` as a whole, else 0.

    Raises:
        ValueError: a file holds something else than rows, or the two have none in common.
        OSError: a file cannot be read.
    """
    if fail_if is not None and not fail_if >= 1:
        raise ValueError(f"--fail-if {fail_if:g} must be at least 1: it is a ratio, new over old.")
    files = {_short(path, other): read_rows(path) for path, other in ((old, new), (new, old))}
    if len(files) == 1:
        raise ValueError(f"{old} is compared with itself.")
    for path, rows in zip((old, new), files.values(), strict=True):
        if not rows:
            raise ValueError(f"{path} holds no rows.")
    before, after = (_costs(rows) for rows in files.values())
    pairs = sorted(
        (_pair(before[key], after[key]) for key in after if key in before), key=lambda p: p.ratio
    )
    if not pairs:
        holds = "; ".join(f"{name} holds {_parts(rows)}" for name, rows in files.items())
        raise ValueError(
            f"the files have no seconds and no bytes of the same case and device in common: {holds}."
        )
    console = Console()
    console.print(used_columns(_table(pairs)))
    console.print(machine_box({name: [r.machine for r in rows] for name, rows in files.items()}))
    for name, mine, other in zip(files, (before, after), (after, before), strict=True):
        for line in _only(name, mine, other):
            console.say(line)
    for warning in _warnings(files):
        console.say(f"warning: {warning}", style="yellow")
    console.say(_summary(pairs))
    if fail_if is None:
        return 0
    above = [pair for pair in pairs if pair.known and pair.low > fail_if]
    for pair in above:
        what = f"{pair.row.part}, {pair.row.case}, {pair.row.figure}"
        console.say(f"above {fail_if:g}: {what}: {plain_number(pair.ratio)}", style="red")
    if not above:
        console.say(f"No ratio is above {fail_if:g} beyond its spread.")
    return int(bool(above))


def _short(path: Path, other: Path) -> str:
    """The name of a file, with its folder where the other one has the same name."""
    return str(path) if path.name == other.name else path.name


def _costs(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Rows of what costs, by all that makes them the same figure."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        if row.unit in COSTS and row.median > 0:
            device = row.machine.platform, row.machine.device
            task = (str(row.facts.get(name)) for name in TASK)
            key = (row.part, row.case, row.figure, row.unit, *device, *task)
            found.setdefault(key, []).append(row)
    return found


def _pair(old: Sequence[Row], new: Sequence[Row]) -> Pair:
    samples = [[s for row in rows for s in row.samples] for rows in (old, new)]
    enough = min(map(len, samples)) >= FEWEST
    return Pair(new[0], *map(spread, samples), known=enough or new[0].unit == MEMORY)


def _table(pairs: Sequence[Pair]) -> Table:
    cells = tuple(
        (
            pair.row.part,
            pair.row.case,
            pair.row.figure,
            quantity(pair.old[0], pair.row.unit),
            quantity(pair.new[0], pair.row.unit),
            plain_number(pair.ratio),
            f"{plain_number(pair.low)} .. {plain_number(pair.high)}"
            if pair.known and pair.row.unit != MEMORY
            else "",
            pair.word,
        )
        for pair in pairs
    )
    return Table(
        "New over old",
        ("part", "case", "figure", "old", "new", "new/old", "spread", ""),
        cells,
        numbers=frozenset({3, 4, 5}),
        flexible=frozenset({1, 2}),
        optional=(0, 3, 4),
        note="new/old: of the medians. spread: lower quartile of new over upper quartile of old, to upper over lower. "
        "noise: the spread holds 1; about 3 in 100 figures of equal speed lie outside by chance, more where the "
        f"machine is busy. no spread: fewer than {FEWEST} samples.",
    )


def _only(name: str, mine: dict[Key, list[Row]], other: dict[Key, list[Row]]) -> list[str]:
    """What one file alone holds, a line a part."""
    parts: dict[str, dict[str, None]] = {}
    for part, case, *_ in (key for key in mine if key not in other):
        parts.setdefault(part, {})[case] = None
    lines = []
    for part, found in parts.items():
        cases = list(found)
        more = f"; and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
        lines.append(
            f"only in {name}: {part}, {counted(len(cases), 'case')}: {'; '.join(cases[:SHOWN])}{more}"
        )
    return lines


def _warnings(files: dict[str, list[Row]]) -> list[str]:
    """What else than the code may be the reason of a ratio."""
    machines = [[row.machine for row in rows] for rows in files.values()]
    differing = []
    for field in Machine.__struct_fields__:
        seen = [", ".join(sorted({str(getattr(m, field)) for m in found})) for found in machines]
        if field not in LOCAL and seen[0] != seen[1] and field not in ("clock_mhz", "memory_bytes"):
            differing.append(f"{field} ({' and '.join(seen)})")
    warnings = []
    if differing:
        warnings.append(
            f"the machines differ in {', '.join(differing)}: the ratios are of machines as well as of code."
        )
    for name, rows in files.items():
        commits = sorted({row.machine.git[:10] for row in rows})
        if len(commits) > 1:
            pooled = " and ".join(commits)
            warnings.append(f"{name} holds rows of several commits ({pooled}); they are pooled.")
        if busy := [r for r in rows if r.machine.load and r.machine.load > r.machine.processors]:
            warnings.append(
                f"{name}: {len(busy)} of {len(rows)} rows were measured while more processes were busy than there are "
                f"cores."
            )
    return warnings


def _summary(pairs: Sequence[Pair]) -> str:
    words = [pair.word for pair in pairs]
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted({*words}))
    return f"{counted(len(pairs), 'figure')} compared: {counts}."


def _parts(rows: Sequence[Row]) -> str:
    parts = ", ".join(dict.fromkeys(row.part for row in rows))
    return f"{parts} on {', '.join(dict.fromkeys(row.machine.device for row in rows))}"
