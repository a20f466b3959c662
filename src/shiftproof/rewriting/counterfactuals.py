"""Counterfactuals: the lattice that is left when one cause after the other is removed.

    model -> changes (padding, head, positions) -> one rewritten model per combination -> proved lattices -> repair

A rewritten model is a model: it is proved like any other, and where it is shown it is refuted by
counterexamples too. Nothing of the user's code changes, and weights stay what they are.
"""

import dataclasses
import inspect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax

from shiftproof.deciding.decision import Case
from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.verify import Analysis, analyse, ask, verify
from shiftproof.display import Displayed
from shiftproof.exactness.calibration import float64_device
from shiftproof.group import Lattice
from shiftproof.progress import waiting
from shiftproof.proving.geometry import geometry_of
from shiftproof.rewriting.changes import Change, Skipped, named_by_layer
from shiftproof.rewriting.heads import Head, find_heads
from shiftproof.rewriting.padding import find_paddings
from shiftproof.rewriting.positions import Tables, find_positions
from shiftproof.tracing.arguments import at_the_door
from shiftproof.tracing.model import Model, adapt, weights_in
from shiftproof.tracing.regrow import UnfitError
from shiftproof.tracing.rewrite import Leaf, rewrite
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import known_values

SCHEMA = "shiftproof.counterfactuals/1"

Intervention = Literal["padding", "mean", "positions", "head"]

COSTS: Mapping[Intervention, int] = {"padding": 1, "mean": 2, "positions": 4}
"""What a repair costs: another padding is free; a mean before the dense layer needs another dense layer; a model
without positions is another model. `head`, which ends before the dense layer, is no repair. Sums order combinations."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """The shifts of one output of a row: equivariant where it has a grid, invariant elsewhere.

    Attributes:
        name: of the output.
        shape: batch included.
        question: `equivariance` or `invariance`.
        lattice: the proved shifts.
        refuted: how many are refuted rigorously; None where no counterexample was sought.
        numerically: how many are refuted numerically alone; None likewise.
        undecided: how many are neither; None likewise.
    """

    name: str
    shape: tuple[int, ...]
    question: str
    lattice: Lattice
    refuted: int | None = None
    numerically: int | None = None
    undecided: int | None = None

    @property
    def proved(self) -> int:
        """Number of proved shifts."""
        return self.lattice.count

    @property
    def total(self) -> int:
        """Number of shifts."""
        return math.prod(self.lattice.grid)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "property": self.question,
            "lattice": [list(row) for row in self.lattice.basis],
            "text": str(self.lattice),
            "proved": self.proved,
            "refuted": self.refuted,
            "refuted_numerically": self.numerically,
            "undecided": self.undecided,
            "total": self.total,
        }


@dataclasses.dataclass(frozen=True)
class Row:
    """One counterfactual.

    Attributes:
        interventions: what was done; empty for the model as it is.
        label: the same in words.
        model: the rewritten model, to be verified, swept or asserted like any other.
        outputs: what is proved of each output.
        strides: the lines of strides that still cost shifts, each with its stride.
        left: what else still costs shifts, each with its reason.
    """

    interventions: tuple[Intervention, ...]
    label: str
    model: Model
    outputs: tuple[Counted, ...]
    strides: tuple[tuple[str, int], ...]
    left: tuple[tuple[str, str], ...]

    @property
    def count(self) -> int:
        """Proved shifts, over all outputs."""
        return sum(output.proved for output in self.outputs)

    @property
    def cost(self) -> int:
        """By `COSTS`."""
        return sum(COSTS.get(i, 0) for i in self.interventions)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "interventions": list(self.interventions),
            "label": self.label,
            "outputs": [output.to_dict() for output in self.outputs],
            "strides": [source for source, _ in self.strides],
            "left": [{"source": source, "reason": reason} for source, reason in self.left],
        }


@dataclasses.dataclass(frozen=True)
class Counterfactuals(Displayed):
    """The lattice of a model under every combination of interventions.

    Attributes:
        model: its name.
        grid: sizes of the grid.
        weights: `all` or `these`.
        changes: equations that have another meaning in some row.
        heads: where dense layers see every place.
        skipped: what belongs to a cause and could not be replaced.
        rows: the model as it is first, then by cost.
        chain: the rows of which each adds to the one before what is cheapest and keeps more shifts.
    """

    model: str
    grid: tuple[int, ...]
    weights: str
    changes: tuple[Change, ...]
    heads: tuple[Head, ...]
    skipped: tuple[Skipped, ...]
    rows: tuple[Row, ...]
    chain: tuple[Row, ...]

    @property
    def as_is(self) -> Row:
        """The model as it is."""
        return self.rows[0]

    def row(self, *interventions: Intervention) -> Row:
        """The row with exactly these interventions.

        Raises:
            KeyError: the model has no such cause.
        """
        for row in self.rows:
            if set(row.interventions) == set(interventions):
                return row
        raise KeyError(f"{self.model} has no counterfactual {' + '.join(interventions)}")

    @property
    def repair(self) -> Row | None:
        """The cheapest row that keeps more shifts than the model as it is, `head` apart; None where none does."""
        return self.chain[1] if len(self.chain) > 1 else None

    def steps(self, row: Row) -> list[tuple[str, str]]:
        """What to change in the code for a row: lines and change."""
        found: dict[str, list[str]] = {}
        for change in self.changes:
            if change.kind in row.interventions:
                found.setdefault(change.repair, []).append(change.source)
        for head in self.heads:
            if "mean" in row.interventions:
                instead = " in place of the flatten" if head.is_flattened else ""
                mean = f"before the {head.name}, x.mean({self._axes(head)}){instead}"
                found.setdefault(mean, []).append(head.source)
        return [(lines(sources), change) for change, sources in found.items()]

    def to_dict(self) -> dict[str, Any]:
        """The stable schema `shiftproof.counterfactuals/1`."""
        repair = self.repair
        heads = [
            {
                "kind": "head",
                "source": head.source,
                "primitive": head.eqn.name,
                "what": f"the outputs end before the {head.name}",
                "repair": f"x.mean({self._axes(head)}) before it",
            }
            for head in self.heads
        ]
        return {
            "schema": SCHEMA,
            "model": self.model,
            "grid": list(self.grid),
            "weights": self.weights,
            "summary": self.summary,
            "changes": [
                {
                    "kind": change.kind,
                    "source": change.source,
                    "primitive": change.eqn.name,
                    "what": change.what,
                    "repair": change.repair,
                }
                for change in self.changes
            ]
            + heads,
            "skipped": [
                {"source": s.source, "primitive": s.eqn.name, "reason": s.reason}
                for s in self.skipped
            ],
            "rows": [row.to_dict() for row in self.rows],
            "repair": repair
            and {
                "interventions": list(repair.interventions),
                "steps": [
                    {"source": source, "change": change} for source, change in self.steps(repair)
                ],
                "proved": repair.outputs[0].proved,
                "total": repair.outputs[0].total,
            },
        }

    @property
    def summary(self) -> str:
        """One sentence: the model as it is, and what each further intervention adds."""
        return "; ".join(self.parts)

    @property
    def parts(self) -> list[str]:
        """What the summary says: of the model as it is, and of every further intervention."""
        first, *further = self.chain
        parts = [f"as is {_counted(first)}"]
        known: set[Intervention] = set()
        for row in further:
            added: list[Intervention] = [i for i in row.interventions if i not in known]
            before = "additionally " if known else ""
            parts.append(f"{before}{self._words(added)} {_kept(row)}")
            known.update(added)
        heads = [row for row in self.rows if "head" in row.interventions]
        best = max(
            heads, key=lambda row: (row.count, -row.cost, -len(row.interventions)), default=None
        )
        if best is not None and best.count > first.count:
            others: list[Intervention] = [i for i in best.interventions if i != "head"]
            given = f" {self._words(others)}" if others else ""
            parts.append(f"before {self._head}{given} {_kept(best)}")
        if len(parts) == 1:
            parts.append(self._nothing())
        return parts

    def _nothing(self) -> str:
        as_is = self.as_is
        if all(str(output.lattice) == "all shifts" for output in as_is.outputs):
            return "nothing to repair"
        tried = len(self.rows) > 1
        because = "nothing that was replaced helps" if tried else "there is nothing to replace"
        rest = _remaining(as_is if not tried else self.rows[-1])
        return f"{because} ({rest})" if rest else because

    def _axes(self, head: Head) -> str:
        """The grid axes before a head, as the user's code counts them, which may see one image and no batch."""
        behind = 1 - self.rows[0].model.door.words.first_axis
        return _axes([axis - behind for axis in head.axes])

    @property
    def _head(self) -> str:
        return f"the {self.heads[0].name} at {lines([h.source for h in self.heads])}"

    def _words(self, interventions: Sequence[Intervention]) -> str:
        return " and ".join(self._word(i) for i in interventions)

    def _word(self, intervention: Intervention) -> str:
        if intervention == "padding":
            return "with circular padding"
        if intervention == "positions":
            sources = [c.source for c in self.changes if c.kind == "positions"]
            return f"without what is tied to places at {lines(sources)}"
        if intervention == "mean":
            return f"with a mean over the grid before {self._head}"
        return f"before {self._head}"

    def __repr__(self) -> str:
        return f"Counterfactuals({self.model}: {self.summary})"

    def __str__(self) -> str:
        text = [f"{self.model}: {self.summary}."]
        replaced: dict[str, list[str]] = {}
        for change in self.changes:
            replaced.setdefault(change.what, []).append(change.source)
        text += [f"  {what}: {lines(sources)}" for what, sources in replaced.items()]
        text += [f"  not replaced: {s.reason}, {s.eqn.name} at {s.source}" for s in self.skipped]
        repair = self.repair
        if repair is not None:
            text.append(f"cheapest repair, {_verified(repair)}:")
            text += [f"  {source}: {change}" for source, change in self.steps(repair)]
        return "\n".join(text)


def _verified(row: Row) -> str:
    if any(output.refuted is None for output in row.outputs):
        return "proved to keep these shifts"
    return "verified"


def _axes(axes: Sequence[int]) -> str:
    return f"({', '.join(map(str, axes))})" if len(axes) > 1 else str(axes[0])


def _counted(row: Row) -> str:
    output = row.outputs[0]
    adjective = {"equivariance": "equivariant", "invariance": "invariant"}[output.question]
    return f"{adjective} under {output.proved} of {output.total}"


def _kept(row: Row) -> str:
    lattice = str(row.outputs[0].lattice)
    # a layer on the way may keep fewer shifts than the output, as before a crop
    rest = "" if lattice == "all shifts" else _remaining(row)
    about = "; ".join(part for part in (lattice, rest) if part)
    return f"{_counted(row)} ({about})"


def _remaining(row: Row) -> str:
    """What still costs shifts, in words."""
    strides: dict[int, list[str]] = {}
    for source, stride in row.strides:
        strides.setdefault(stride, []).append(source)
    parts = [f"stride {stride} at {lines(sources)}" for stride, sources in strides.items()]
    parts += [f"{reason} at {source}" for source, reason in row.left[:1]]
    return ", ".join(parts)


def lines(sources: Sequence[str]) -> str:
    """Places in files, each file named once.

    >>> lines(["model.py:31", "model.py:44", "model.py:31", "head.py:7"])
    'model.py:31, :44, head.py:7'
    """
    told, file = [], ""
    for source in dict.fromkeys(sources):
        name, colon, line = source.rpartition(":")
        told.append(f":{line}" if colon and name == file else source or "?")
        file = name if colon else ""
    return ", ".join(told)


@at_the_door(also=[*inspect.signature(ask).parameters][2:])  # `shifts` are always all
@waiting("counterfactuals")
@float64_device()
def counterfactuals(
    model: Any, images: Any, *, refute: bool = True, verdict: Verdict | None = None, **options: Any
) -> Counterfactuals:
    """The lattice of a model as it is, and with each cause of its breaks removed.

    Padding along the grid becomes wrap padding; the outputs end before a dense layer that sees every place, or take the
    mean over the grid there; tables of positions are removed; and all combinations. Each combination is proved; those
    that tell the story, and the cheapest repair among them, are decided in full.

    Args:
        model: of Flax, PyTorch, Equinox, Haiku or Keras, `(function, params)`, or a callable on batches: see `verify`.
        images: the shape of one image, or images (batch, *shape).
        refute: whether counterexamples are sought too, which runs the model; else all counts are of proved shifts.
        verdict: of the model as it is, where it was made already.
        options: of `verify`: weights, law, spatial_axes, output_axes, apply_kwargs, name, seed.

    Returns:
        The rows, the equations that were replaced with their lines, and the cheapest repair.

    Raises:
        As `verify`.

    >>> from flax import nnx
    >>> conv = nnx.Conv(1, 2, (3, 3), padding="SAME", rngs=nnx.Rngs(0))
    >>> found = counterfactuals(conv, (4, 4, 1))
    >>> [(row.label, row.outputs[0].proved) for row in found.rows]
    [('as is', 1), ('circular padding', 16)]
    """
    inner = dict(options)
    adapted = adapt(
        model, apply_kwargs=inner.pop("apply_kwargs", None), name=inner.pop("name", None)
    )
    adapted = dataclasses.replace(adapted, lasting=True)  # one trace for all rows
    analysis = analyse(adapted, images, **inner)
    found, rewritten = _rewritings(adapted, analysis, _find(analysis))
    rows = [_row((), "as is", adapted, analysis)]
    for interventions, changed in rewritten.items():
        own = {k: v for k, v in inner.items() if k != "output_axes" or "head" not in interventions}
        label = ", ".join(_label(i) for i in interventions)
        rows.append(_row(interventions, label, changed, analyse(changed, images, **own)))
    rows[1:] = sorted(rows[1:], key=lambda row: (row.cost, "head" in row.interventions))
    chain = _chain(rows)
    if refute:
        told = {row.interventions: row for row in chain}
        best = max((r for r in rows if "head" in r.interventions), key=_gain, default=None)
        told |= {best.interventions: best} if best else {}
        for position, row in enumerate(rows):
            if row.interventions in told:
                known = verdict if position == 0 else None
                rows[position] = _decided(row, known or verify(row.model, images, **inner))
        chain = _chain(rows)
    return Counterfactuals(
        model=adapted.name,
        grid=analysis.prover.grid,
        weights=analysis.subject.weights,
        changes=tuple(x for x in found.changes if isinstance(x, Change)),
        heads=tuple(found.heads),
        skipped=tuple(x for x in found.changes if isinstance(x, Skipped)),
        rows=tuple(rows),
        chain=tuple(chain),
    )


def _gain(row: Row) -> tuple[int, int]:
    return row.count, -row.cost


@dataclasses.dataclass(frozen=True)
class _Found:
    """All that can be replaced in a program."""

    changes: list[Change | Skipped]
    heads: list[Head]

    def kinds(self) -> set[str]:
        return {change.kind for change in self.changes if isinstance(change, Change)}


def _find(analysis: Analysis) -> _Found:
    # in the program as it was traced, which is what is rewritten; values have the same numbers in the widened one
    subject, program = analysis.subject, analysis.subject.traced
    with settings(""):
        geometry = geometry_of(program, subject.axes)
        labels = geometry.all_labels(program)
        given = zip(program.weights, weights_in(subject.model, program), strict=True)
        known = {n: a for n, a in given if n not in subject.opaque} | dict(program.constants)
        tables = Tables(program, analysis.prover, known_values(program, known))
        words = subject.model.door.words
        changes = [
            *find_paddings(program, geometry, words=words),
            *find_positions(program, labels, tables),
        ]
        heads = find_heads(program, labels, analysis.prover.grid)
    named = partial(named_by_layer, layers=subject.layers)
    return _Found([*map(named, changes)], [*map(named, heads)])


def _rewritings(
    model: Model, analysis: Analysis, found: _Found
) -> tuple[_Found, dict[tuple[Intervention, ...], Model]]:
    """What is replaced, and by interventions the models that have outputs.

    Without the changes that make values longer, if all that they lead to depends on how long those are.
    """
    made = {i: _rewritten(model, analysis, found, i) for i in _combinations(found)}
    growing = [c for c in found.changes if isinstance(c, Change) and c.grows]
    if not growing:
        return found, made
    reasons = {i: _unfit(made[i], analysis) for i in made if "padding" in i}
    if not all(reasons.values()):
        return found, {i: changed for i, changed in made.items() if not reasons.get(i)}
    skipped = [Skipped(c.place, c.eqn, c.source, next(iter(reasons.values()))) for c in growing]
    rest = [*(c for c in found.changes if c not in growing), *skipped]
    return _rewritings(model, analysis, _Found(rest, found.heads))


def _unfit(model: Model, analysis: Analysis) -> str:
    """Why a rewritten model has no output; "" where it has."""
    images = analysis.subject.traced.avals[analysis.subject.traced.images]
    try:
        jax.eval_shape(model.call, model.weights, images)
    except UnfitError as error:
        return str(error)
    return ""


def _combinations(found: _Found) -> Iterator[tuple[Intervention, ...]]:
    """All sets of interventions that the program has a cause for; an output has one end only."""
    kinds = found.kinds()
    ends: list[tuple[Intervention, ...]] = [()]
    if found.heads:
        ends.append(("mean",))
        if any(head.has_grid and head.features is not None for head in found.heads):
            ends.append(("head",))
    paddings: list[tuple[Intervention, ...]] = [(), ("padding",)] if "padding" in kinds else [()]
    tables: list[tuple[Intervention, ...]] = [(), ("positions",)] if "positions" in kinds else [()]
    for padding, end, table in itertools.product(paddings, ends, tables):
        if interventions := (*padding, *end, *table):
            yield interventions


def _label(intervention: Intervention) -> str:
    return {
        "padding": "circular padding",
        "mean": "mean before the dense layer",
        "head": "up to the dense layer",
        "positions": "no positions",
    }[intervention]


def _rewritten(
    model: Model, analysis: Analysis, found: _Found, interventions: Sequence[Intervention]
) -> Model:
    steps = {
        change.place: change.step
        for change in found.changes
        if isinstance(change, Change) and change.kind in interventions
    }
    ends = {leaf: head for head in found.heads for leaf in head.leaves}
    leaves = []
    for leaf, name in enumerate(analysis.subject.program.output_names):
        head = ends.get(leaf)
        if head is None or not {"head", "mean"} & set(interventions):
            leaves.append(Leaf(name, leaf))
        elif "mean" in interventions:
            leaves.append(Leaf(name, None, head.features, head.axes))
        else:
            leaves.append(Leaf(name, None, head.features))
    label = ", ".join(_label(i) for i in interventions)
    return rewrite(model, steps, leaves, name=f"{model.name}, {label}")


def _row(
    interventions: tuple[Intervention, ...], label: str, model: Model, analysis: Analysis
) -> Row:
    outputs = []
    for name in analysis.subject.program.output_names:
        case = _question([case for case in analysis.cases if case.claim.output == name])
        layer = next(layer for layer in analysis.subject.layers if layer.output == name)
        outputs.append(Counted(name, layer.shape, case.claim.property, case.lattice))
    strides: dict[tuple[str, int], None] = {}
    left: dict[tuple[str, str], None] = {}
    for cause in analysis.causes:
        source = cause.source or cause.layer
        if cause.code == "stride" and cause.after < analysis.prover.grid[cause.axis]:
            strides[source, cause.after // cause.before] = None
        else:
            left[source, cause.words] = None
    return Row(interventions, label, model, tuple(outputs), tuple(strides), tuple(left))


def _question(cases: Sequence[Case]) -> Case:
    """Equivariance where it is a question, else invariance."""
    return next((case for case in cases if case.claim.property == "equivariance"), cases[0])


def _decided(row: Row, verdict: Verdict) -> Row:
    """The row with the numbers of a full verdict."""
    outputs = []
    for counted in row.outputs:
        output = next(output for output in verdict.outputs if output.name == counted.name)
        found = getattr(output, counted.question)
        outputs.append(
            dataclasses.replace(
                counted,
                lattice=found.lattice,
                refuted=found.refuted,
                numerically=found.refuted_numerically,
                undecided=found.undecided,
            )
        )
    return dataclasses.replace(row, outputs=tuple(outputs))


def _chain(rows: Sequence[Row]) -> list[Row]:
    """The row as is, then again and again the cheapest row that adds to the last one and keeps more shifts."""
    chain = [rows[0]]
    while True:
        better = [row for row in rows if _adds(row, chain[-1])]
        if not better:
            return chain
        chain.append(min(better, key=lambda row: row.cost))


def _adds(row: Row, last: Row) -> bool:
    more = set(row.interventions) > set(last.interventions) and row.count > last.count
    return more and "head" not in row.interventions
