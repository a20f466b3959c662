"""What the rows of the atlas say, in sentences with numbers.

    rows of part atlas -> an entry per architecture -> sentences under headings

No sentence is written by hand: all are computed from the rows.
"""

import dataclasses
import functools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.atlas import BRUTE, INTERIOR, VERDICT, family_of
from benchmarks.harness import Row, plain_number, quantity
from shiftproof.group import Lattice
from shiftproof.report.tables import counted

KEPT = "What is kept"
"""Heading of the findings that come first."""

NAMED = 6
"""So many architectures are named in a sentence; of more, the number is said."""

CODES: Mapping[str, str] = {
    "padding": "padding with a constant",
    "valid": "a layer without padding (VALID)",
    "glue": "a border joined to others than its neighbours on the torus",
    "stride": "a stride",
    "split": "a cut into patches or blocks",
    "positions": "numbers of their own for every place (a table of positions, a dense layer after a flatten)",
    "contract": "a layer that reads all places together",
    "part": "a part of the image, as a crop or an uneven stride leave it",
    "order": "a dependence on the order of the cells",
    "loop": "a loop over the cells",
    "merge": "two branches on different lattices",
    "phase": "frequencies that are not used by weighted sums",
}
"""Codes of causes in words; another code stands for itself."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One architecture, and what its rows say.

    Attributes:
        name: such as `timm:resnet18`.
        verdict: the row as published; None where it failed.
        repairs: a row per combination of repairs of the same output.
        figures: the last row of every figure.
        seconds: of the verdict, of all repairs and of the scene.
    """

    name: str
    verdict: Row | None
    repairs: tuple[Row, ...]
    figures: Mapping[str, Row]
    seconds: float

    @property
    def family(self) -> str:
        """By its name, so that a list of families can be corrected without another run."""
        return family_of(self.name.partition(":")[2])

    @property
    def facts(self) -> Mapping[str, Any]:
        """As published; none where it failed."""
        return {} if self.verdict is None else self.verdict.facts

    @functools.cached_property
    def lattice(self) -> Lattice:
        """The proved shifts as published."""
        return self._lattice(self.facts["basis"])

    @functools.cached_property
    def best(self) -> Row | None:
        """The combination that keeps most shifts, the cheapest of equal ones; None where none keeps more."""
        found = [row for row in self.repairs if row.median > self.lattice.count]
        return min(found, key=lambda r: (-r.median, r.facts["cost"]), default=None)

    @functools.cached_property
    def repaired(self) -> Lattice:
        """The proved shifts after the best repairs."""
        return self._lattice(self.best.facts["basis"]) if self.best else self.lattice

    @property
    def circular(self) -> Row | None:
        """With circular padding alone; None where no padding can be replaced alone."""
        return next((r for r in self.repairs if r.facts["interventions"] == "padding"), None)

    @property
    def of_stride(self) -> int:
        """The index that the total stride lets expect: its power of the axes, no axis shorter than one step."""
        return math.prod(min(round(self.facts["stride"]), n) for n in self.lattice.grid)

    @property
    def interior(self) -> Row | None:
        """The last layer with an interior of a scene."""
        return self.figures.get(INTERIOR)

    @property
    def pixels(self) -> float | None:
        """Pixels of the image for one cell of the last layer with an interior; None without one."""
        cells = self.interior.facts["cells"] if self.interior else 0
        return self.facts["shifts"] / cells if cells else None

    def _lattice(self, basis: Any) -> Lattice:
        grid = tuple(int(n) for n in self.facts["grid"])
        return Lattice(grid, tuple(tuple(int(n) for n in row) for row in basis))


def entries(rows: Iterable[Row]) -> list[Entry]:
    """One an architecture, in the order of the rows; of a figure that was measured twice, the last row counts."""
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(row.case, {})[row.figure] = row
    made = []
    for name, figures in cases.items():
        verdict = figures.get(VERDICT)
        question = verdict and verdict.facts["question"]
        repairs = tuple(
            row
            for row in figures.values()
            if "interventions" in row.facts
            and "head" not in str(row.facts["interventions"]).split()  # it ends before: no repair
            and row.facts["question"] == question
        )
        seconds = sum(row.median for row in figures.values() if row.unit == "s")
        made.append(Entry(name, verdict, repairs, figures, seconds))
    return made


# --- findings ---


def findings(rows: Iterable[Row]) -> list[str]:
    """What the rows say, in sentences with numbers.

    Args:
        rows: of part `atlas`.
    """
    return [sentence for group in grouped_findings(entries(rows)).values() for sentence in group]


def grouped_findings(found: Sequence[Entry]) -> dict[str, list[str]]:
    """The findings under their headings; of a heading without any, nothing."""
    decided = [each for each in found if each.verdict]
    failed = [each for each in found if not each.verdict]
    groups: dict[str, list[str]] = {}
    if decided:
        groups[KEPT] = [headline(decided), *_repaired(decided), *_strides(decided)]
        groups["Which family gains from which repair"] = [*_families(decided)]
        groups["What costs shifts"] = [*_causes(decided)]
        groups["On a scene"] = [*_interiors(decided)]
        groups["How it is known"] = [_evidence(decided), *_brute(decided), _time(decided)]
    if failed:
        told = f"{_share(failed, found)} could not be decided: {_names(failed)}."
        groups.setdefault("How it is known", []).append(told)
    return {heading: sentences for heading, sentences in groups.items() if sentences}


def headline(decided: Sequence[Entry]) -> str:
    """How many keep a shift other than 0 as they were published, and where that is not rigorous."""
    kept = [each for each in decided if each.lattice.count > 1]
    maps = sum(each.facts["question"] == "equivariance" for each in decided)
    asked = (
        "invariant"
        if not maps
        else "equivariant"
        if maps == len(decided)
        else "invariant (equivariant, where the output is a map)"
    )
    under = "under any shift but 0 as published"
    unsure = [each for each in decided if _left(each)]
    but = f" (not rigorous for all shifts of {_names(unsure)})" if unsure else ""
    if not kept:
        return f"None of {counted(len(decided), 'architecture')} is {asked} {under}{but}."
    are = "is" if len(kept) == 1 else "are"
    return f"{_share(kept, decided)} {are} {asked} {under}: {_names(kept)}{but}."


def _repaired(decided: Sequence[Entry]) -> Iterable[str]:
    padded = [each for each in decided if each.circular]
    circular = [e for e in padded if e.circular and e.circular.median > e.lattice.count]
    helped = [each for each in decided if each.best]
    whole = [each for each in decided if each.repaired.index == 1]
    stuck = [each for each in decided if each.repaired.count == 1]
    yield (
        f"Circular padding alone is proved to keep more shifts in {len(circular)} of the {len(padded)} with padding to "
        f"replace, the best repairs keep more in {_share(helped, decided)}."
    )
    yield (
        f"After the best repairs all shifts are proved to be kept in {len(whole)} of {len(decided)}, none but 0 in "
        f"{len(stuck)}" + (f": {_names(stuck)}." if stuck else ".")
    )


def _evidence(decided: Sequence[Entry]) -> str:
    open_ = [each for each in decided if each.facts["undecided"]]
    rigorous = [e for e in decided if e.facts["refuted"] and not _left(e)]
    sums = {
        name: sum(each.facts[name] for each in decided)
        for name in ("shifts", "proved", "refuted", "numerically", "undecided")
    }
    told = (
        f"Of {sums['shifts']:,} shifts in all, {sums['proved']:,} are proved, {sums['refuted']:,} refuted rigorously, "
        f"{sums['numerically']:,} numerically alone, and {sums['undecided']:,} undecided. "
        f"All that is not proved is refuted rigorously in {_share(rigorous, decided)}"
    )
    return told + (f"; shifts stay open in {len(open_)}: {_names(open_)}." if open_ else ".")


def _left(each: Entry) -> int:
    """Shifts that are neither proved nor refuted rigorously."""
    return each.facts["numerically"] + each.facts["undecided"]


def _families(decided: Sequence[Entry]) -> Iterable[str]:
    groups = _by(decided, lambda e: e.family)
    kept = {family: _kept(mine) for family, mine in groups.items()}
    gain = {family: (after - before) / total for family, (total, before, after) in kept.items()}
    named = [family for family in gain if family != "other"]  # which is no family
    most = max(named, key=lambda family: gain[family], default="")
    if most and gain[most]:
        total, before, after = kept[most]
        label, count = _repairs(groups[most]).most_common(1)[0]
        yield (
            f"The family that gains most is {most}: from {_percent(before / total)} of its shifts to "
            f"{_percent(after / total)}, most often by {label} (in {count} of {len(groups[most])})."
        )
    for family in sorted(gain, key=lambda family: -gain[family]):
        total, before, after = kept[family]
        by = [f"{label} in {n}" for label, n in _repairs(groups[family]).most_common()]
        stuck = sum(each.best is None for each in groups[family])
        by += [f"no repair is proved to help in {stuck}"] if stuck else []
        yield (
            f"{family[0].upper()}{family[1:]} ({len(groups[family])}): {before:,} of {total:,} shifts proved "
            f"as published, {after:,} after the best repairs ({'; '.join(by)})."
        )


def _kept(found: Sequence[Entry]) -> tuple[int, int, int]:
    """All shifts, those kept as published, and those kept after the best repairs."""
    return (
        sum(each.facts["shifts"] for each in found),
        sum(each.lattice.count for each in found),
        sum(each.repaired.count for each in found),
    )


def _repairs(found: Iterable[Entry]) -> Counter[str]:
    return Counter(repair_words(each.best.figure) for each in found if each.best)


def repair_words(label: str) -> str:
    """A combination of repairs, so that it can stand in a list.

    >>> repair_words("circular padding, mean before the dense layer, no positions")
    'circular padding, a mean before the dense layer and no positions'
    """
    *first, last = label.replace("mean", "a mean").split(", ")
    return " and ".join([*([", ".join(first)] if first else []), last])


def _strides(decided: Sequence[Entry]) -> Iterable[str]:
    more = [each for each in decided if each.repaired.index < each.of_stride]
    fewer = [each for each in decided if each.repaired.index > each.of_stride]
    same = len(decided) - len(more) - len(fewer)
    yield (
        f"After the best repairs the proved lattice is that of the total stride (as many cosets as the stride to the "
        f"power of the axes) in {same} of {len(decided)}."
    )
    if more:
        yield f"It is finer than the total stride says in {len(more)}: {_lattices(more)}."
    if fewer:
        yield f"Fewer shifts are proved than the total stride says in {len(fewer)}: {_lattices(fewer)}."


def _lattices(found: Sequence[Entry]) -> str:
    return _some(
        f"{e.name} ({e.repaired}, stride {plain_number(e.facts['stride'])})" for e in found
    )


def _causes(decided: Sequence[Entry]) -> Iterable[str]:
    codes = Counter(code for each in decided for code in _codes(each))
    sizes = Counter(each.family for each in decided)
    for code, count in codes.most_common():
        having = Counter(each.family for each in decided if code in _codes(each))
        where = ", ".join(f"{n} of {sizes[family]} {family}" for family, n in having.most_common())
        words = CODES.get(code, code)
        kinds = Counter(
            kind for e in decided for kind in paddings(e.facts["causes"]) if code == "padding"
        )
        of_them = ", ".join(f"{kind} in {n}" for kind, n in kinds.most_common())
        rest = f" It is {of_them}." if of_them else ""
        yield f"Shifts are lost by {words} in {count} of {len(decided)}: {where}.{rest}"


def _codes(each: Entry) -> list[str]:
    return str(each.facts["codes"]).split()


def paddings(causes: str) -> list[str]:
    """The kinds of padding with a constant among causes, each once.

    >>> paddings("zero padding of the convolution: conv1 (resnet.py:3); stride 2 of the pool keeps one shift in 2: a")
    ['zero padding of the convolution']
    """
    words = (piece.rpartition(": ")[0] for piece in causes.split("; "))
    found = (word for word in words if word.startswith(("zero padding", "padding")))
    apart = "a pad before a layer"
    return [*dict.fromkeys(apart if w == "padding with a constant" else w for w in found)]


def _interiors(decided: Sequence[Entry]) -> Iterable[str]:
    asked = [each for each in decided if each.interior]
    lost = [each for each in asked if each.interior and each.interior.facts["lost"]]
    if not asked:
        return
    never = [each for each in lost if not each.pixels]
    told = (
        f"On a scene some layer has no proved interior in {_share(lost, asked)}, and no layer has one in {len(never)}"
        + (f" ({_names(never)})." if never else ".")
    )
    if found := [each.pixels for each in lost if each.pixels]:
        told += (
            f" Of the others, the last layer with an interior has one cell for every "
            f"{plain_number(statistics.median(found))} pixels in the median ({plain_number(min(found))} to "
            f"{plain_number(max(found))})."
        )
    yield told


def _brute(decided: Sequence[Entry]) -> Iterable[str]:
    checked = [each for each in decided if BRUTE in each.figures]
    if checked:
        agree = [each for each in checked if each.figures[BRUTE].facts["agrees"]]
        other = [each for each in checked if each not in agree]
        yield (
            f"Brute force in PyTorch, every shift in float64, finds the same shifts in {len(agree)} of {len(checked)}"
            + (f"; not in {_names(other)}." if other else ".")
        )


def _time(decided: Sequence[Entry]) -> str:
    worst = max(decided, key=lambda each: each.seconds)
    middle = statistics.median(each.seconds for each in decided)
    return (
        f"Verdict, all repairs and the scene take {quantity(middle, 's')} in the median, "
        f"{quantity(worst.seconds, 's')} at worst ({worst.name})."
    )


def _share(some: Sequence[Entry], all_: Sequence[Entry]) -> str:
    return f"{len(some)} of {counted(len(all_), 'architecture')}"


def _names(found: Sequence[Entry]) -> str:
    return _some(each.name for each in found)


def _some(found: Iterable[str]) -> str:
    words = list(found)
    more = len(words) - NAMED
    return "; ".join(words[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _percent(share: float) -> str:
    return f"{plain_number(100 * share)} %"


def _by(found: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for each in found:
        groups.setdefault(key(each), []).append(each)
    return groups
