"""Complete bases: what no local rule can prove, decided by finitely many exact runs of the compiled program.

Average pooling breaks a shift by one pixel, yet the mean over its output does not. No rule that looks at one equation
can know that, but the two together are affine, and two affine functions that agree on zero and on all unit impulses are
equal. So a *segment* of the program, from one value to another, that is affine or max-plus linear (`linearity`), is
settled by its `responses`: under a shift that rolls its source, its target stays, or is rolled, or neither.

A segment may lie anywhere. The kernel proves how the source moves; behind a target that stays, the kernel goes on with
a program in which the target is a weight. Where the segment is the whole program from the images to an output, it
decides completely: a shift that it does not prove comes with an image that refutes it.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ContradictionError
from shiftproof.proving.analysis import Claim, Prover, axis_step, divisors
from shiftproof.proving.basis.linearity import KINDS, Kind, Regions, find_regions, place
from shiftproof.proving.basis.responses import (
    Declined,
    Responses,
    make_tail,
    on_cpu,
    precision,
    respond,
)
from shiftproof.proving.geometry import geometry_of
from shiftproof.proving.graph import build_graph
from shiftproof.tracing.settings import settings
from shiftproof.tracing.trace import Program, known_values
from shiftproof.translation import Shift
from shiftproof_kernel import Theorem, equivariant

__all__ = ["SCHEMA", "TRUSTED", "Basis", "Segment", "find_basis"]

SCHEMA = "shiftproof.basis/1"

TRUSTED = (
    "the rules of linearity, one per primitive named",
    "the values of the compiled program on the impulses, which the exactness bound makes exact",
    "constants as the program computes them in floating point",
    "the kernel, for how sources move and for what follows from targets that stay",
)
"""What a claim by a complete basis rests on."""

MAX_SUMS = 64
"""How many sums of impulses are tried where one image must refute every output shift."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of the program that a complete basis decides.

    Attributes:
        kind: `affine`, `max-plus` or `min-plus`.
        source: number of the value that it starts from.
        target: number of the value that it ends in.
        responses: the compiled program's values on the basis.
    """

    kind: Kind
    source: int
    target: int
    responses: Responses

    @property
    def impulses(self) -> int:
        """How many impulses the basis has."""
        return len(self.responses.table)

    @property
    def equations(self) -> list[str]:
        """The primitives on the way, with the user's lines, each of which a rule of linearity accepted."""
        part = self.responses.tail.program
        return [place(eqn) for eqn in part.equations if eqn.outputs[0] in part.from_images]

    def __str__(self) -> str:
        steps = self.equations
        way = steps[0] if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
        return (
            f"{way}: {self.kind} in a value of {self.impulses} cells by rule on {len(steps)} equations; "
            f"the compiled program ran on all {self.impulses} impulses ({self.responses.tail.exactness})"
        )


@dataclasses.dataclass(frozen=True)
class Setting:
    """The question that bases answer: a program, its weights, and its grid.

    Attributes:
        program: the traced model.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
    """

    program: Program
    weights: Sequence[Any]
    opaque: Set[int]
    spatial_axes: Sequence[int]

    @property
    def grid(self) -> tuple[int, ...]:
        """The sizes of the grid."""
        shape = self.program.avals[self.program.images].shape
        return tuple(shape[axis] for axis in self.spatial_axes)

    def without(self, cuts: frozenset[int]) -> "Setting":
        """The same, but the values given are weights, whatever made them."""
        program, added = self.program, sorted(cuts)
        equations = [eqn for eqn in program.equations if not cuts.intersection(eqn.outputs)]
        zeros = [np.zeros(program.avals[n].shape, program.avals[n].dtype) for n in added]
        cut = dataclasses.replace(
            program,
            equations=tuple(equations),
            weights=(*program.weights, *added),
            weight_names=(*program.weight_names, *(f"cut.{n}" for n in added)),
        )
        return dataclasses.replace(
            self, program=cut, weights=[*self.weights, *zeros], opaque=self.opaque | cuts
        )

    def prover(self) -> Prover:
        """The kernel on this program."""
        graph = build_graph(
            self.program, self.weights, opaque=self.opaque, spatial_axes=self.spatial_axes
        )
        return Prover(graph, self.grid)


@dataclasses.dataclass(frozen=True, eq=False)
class Basis:
    """Segments of one program, and what follows from them by the kernel.

    Attributes:
        setting: the program and its weights.
        segments: in the order of the program; none where bases are of no help.
        declined: why bases do not help further, one sentence each.
        provers: the kernel on the program in which some values are weights, made when asked for.
    """

    setting: Setting
    segments: tuple[Segment, ...]
    declined: tuple[str, ...]
    provers: dict[frozenset[int], Prover]

    @property
    def kind(self) -> str:
        """The kinds of its segments."""
        return ", ".join(dict.fromkeys(segment.kind for segment in self.segments))

    def describe(self) -> str:
        """What the segments are, and what is trusted."""
        return "\n".join([*map(str, self.segments), "trusted: " + "; ".join(TRUSTED)])

    def output_shift(self, claim: Claim, shift: Shift) -> Shift | None:
        """By what the output moves under the claim, `()` for invariance; None where nothing is proved."""
        cuts = self.settled(shift)
        found = self._prover(cuts).output_shift(claim, shift)
        if found is None and claim.property == "equivariance":
            found = next(self._moves(claim, shift, cuts), None)
        return found

    def proves(self, claim: Claim, shift: Shift) -> bool:
        """Whether the claim follows under this shift."""
        return self.output_shift(claim, shift) is not None

    def may_help(self, source: int, target: int) -> bool:
        """Whether under some shift the kernel knows how the source is rolled, and nothing of the target."""
        grid = self.setting.grid
        for axis, n in enumerate(grid):
            for shift in (axis_step(grid, axis, step) for step in divisors(n)):
                prover = self._prover(self.settled(shift))
                known = _roll(prover, source, shift) is not None
                if known and _outcome(prover, target, shift) is None:
                    return True
        return False

    def tried(self, kind: Kind, source: int, target: int, values: Mapping[int, Any]) -> "Basis":
        """This basis and one more segment, or the reason why there is none."""
        program = self.setting.program
        try:
            tail = make_tail(program, values, kind=kind, source=source, target=target)
            responses = respond(tail)
        except Declined as reason:
            text = f"{kind} segment up to {_maker(program, target)}: {reason}"
            return dataclasses.replace(self, declined=(*self.declined, text))
        segment = Segment(kind, source, target, responses)
        return dataclasses.replace(self, segments=(*self.segments, segment))

    def settled(self, shift: Shift) -> frozenset[int]:
        """The targets of all segments that stay under the shift; later ones may build on earlier ones."""
        cuts: frozenset[int] = frozenset()
        for segment in self.segments:
            roll = self._roll(segment, shift, cuts)
            if roll is not None and segment.responses.unmoved(roll):
                cuts |= {segment.target}
        return cuts

    def _moves(self, claim: Claim, shift: Shift, cuts: frozenset[int]) -> Iterator[Shift]:
        """Output shifts under which the output, itself the target of a segment, is equivariant."""
        for segment in self.segments:
            roll = self._roll(segment, shift, cuts)
            entire = segment.responses.tail.entire
            if roll is None or not entire or segment.target != self._output(claim):
                continue
            tried = itertools.chain(
                self._lawful(claim, shift),
                segment.responses.candidates(roll, claim.axes) if claim.law == "any" else (),
            )
            for steps in tried:
                if segment.responses.moved(roll, dict(zip(claim.axes, steps, strict=True))):
                    yield steps

    def _lawful(self, claim: Claim, shift: Shift) -> list[Shift]:
        """The output shift that the law demands, or the one that strides suggest."""
        expected = claim.expected(shift)
        if expected is not None:
            return [expected]
        if len(claim.sizes) != len(shift):
            return []
        triples = list(zip(shift, claim.sizes, self.setting.grid, strict=True))
        even = all(s * m % n == 0 for s, m, n in triples)
        return [tuple(s * m // n % m for s, m, n in triples)] if even else []

    def _output(self, claim: Claim) -> int:
        output = self.setting.program.outputs[claim.leaf]
        return output if isinstance(output, int) else -1

    def _prover(self, cuts: frozenset[int]) -> Prover:
        if cuts not in self.provers:
            with _ready(self.setting.program):
                self.provers[cuts] = self.setting.without(cuts).prover()
        return self.provers[cuts]

    def _roll(self, segment: Segment, shift: Shift, cuts: frozenset[int]) -> Shift | None:
        return _roll(self._prover(cuts), segment.source, shift)

    # --- refutation ---

    def deciding(self, claim: Claim) -> Segment | None:
        """The segment that is the whole program from the images to the output of the claim, if there is one."""
        for segment in self.segments:
            whole = segment.source == self.setting.program.images
            known = claim.property == "invariance" or segment.responses.tail.entire
            if whole and known and segment.target == self._output(claim):
                return segment
        return None

    def counterexample(self, claim: Claim, shift: Shift) -> np.ndarray | None:
        """A batch of images that refutes the claim under the shift, run on the compiled program.

        None where the claim is proved, where no segment decides it, or where no one image that was tried refutes all
        output shifts.

        Raises:
            ContradictionError: the compiled program does not differ where its responses do.
        """
        segment = self.deciding(claim)
        if segment is None or self.proves(claim, shift):
            return None
        axes = tuple(self.setting.spatial_axes)
        responses = segment.responses
        for image in _impulses(responses, axes, shift):
            with _ready(self.setting.program):
                before = np.asarray(responses.tail.run(image))
                after = np.asarray(responses.tail.run(np.roll(image, shift, axes)))
            if claim.property == "invariance":
                if np.array_equal(before, after):
                    raise ContradictionError(
                        f"the responses to impulses say that invariance under {shift} fails, the program does not"
                    )
                return image
            if not any(
                np.array_equal(np.roll(before, steps, claim.axes), after)
                for steps in self._all_steps(claim, shift)
            ):
                return image
        return None

    def _all_steps(self, claim: Claim, shift: Shift) -> Iterator[Shift]:
        if claim.law == "same":
            return iter(self._lawful(claim, shift))
        return itertools.product(*map(range, claim.sizes))

    # --- certificates ---

    def used(self, claim: Claim, shift: Shift) -> tuple[Segment, ...]:
        """Segments without any of which the claim does not follow."""
        kept = self.segments
        for segment in self.segments:
            fewer = tuple(s for s in kept if s is not segment)
            if Basis(self.setting, fewer, (), self.provers).proves(claim, shift):
                kept = fewer
        return kept

    def to_json(self, claim: Claim, shifts: Sequence[Shift]) -> dict[str, Any]:
        """The certificate of a claim under some shifts, and so under all that they generate.

        Raises:
            ValueError: the claim does not follow under one of them.
        """
        used: list[Segment] = []
        generators = []
        for shift in shifts:
            moved = self.output_shift(claim, shift)
            if moved is None:
                raise ValueError(f"{claim.property} under {shift} does not follow from a basis")
            cuts = self.settled(shift)
            steps = []
            for segment in self.used(claim, shift):
                used += [segment] if segment not in used else []
                roll = self._roll(segment, shift, cuts - {segment.target})
                stays = segment.target in cuts
                steps.append(
                    {
                        "segment": used.index(segment),
                        "source_shift": None if roll is None else list(roll),
                        "target": "stays" if stays else "is rolled as the output",
                    }
                )
            generators.append(
                {"shift": list(shift), "output_shift": list(moved) or None, "uses": steps}
            )
        return {
            "schema": SCHEMA,
            "statement": {
                "property": claim.property,
                "output": claim.output,
                "axes": list(claim.axes),
                "law": claim.law,
                "grid": list(self.setting.grid),
                "boundary": "circular",
                "weights": self._weights(),
            },
            "program": self.setting.program.fingerprint,
            "generators": generators,
            "segments": [_segment_json(segment) for segment in used],
            "trusted": list(TRUSTED),
        }

    def _weights(self) -> str:
        names = zip(self.setting.program.weights, self.setting.program.weight_names, strict=True)
        opaque = [name for number, name in names if number in self.setting.opaque]
        return f"any values of {', '.join(opaque)}" if opaque else "as given"


def _segment_json(segment: Segment) -> dict[str, Any]:
    tail = segment.responses.tail
    source, target = (tail.program.avals[n] for n in (segment.source, segment.target))
    return {
        "kind": segment.kind,
        "source": {
            "value": segment.source,
            "shape": list(source.shape),
            "dtype": str(source.dtype),
        },
        "target": {
            "value": segment.target,
            "shape": list(target.shape),
            "dtype": str(target.dtype),
        },
        "equations": segment.equations,
        "impulses": segment.impulses,
        "height": tail.signed_height,
        "constant": "included" if tail.entire else "left out",
        "responses_sha256": segment.responses.sha256,
        "exactness": {"units": tail.exactness.bound, "limit": tail.exactness.limit},
    }


def _impulses(responses: Responses, axes: Sequence[int], shift: Shift) -> Iterator[np.ndarray]:
    """Finite images: an impulse whose response changes, if there is one; then sums of two, and of three."""
    tail = responses.tail
    aval = tail.program.avals[tail.source]
    height = tail.signed_height
    moved = np.roll(responses.classes, tuple(-s for s in shift), tuple(axes))
    for cell in np.argwhere(moved != responses.classes)[:1]:
        image = np.zeros(aval.shape, aval.dtype)
        image[tuple(cell)] = height
        yield image
    generator = np.random.default_rng(0)
    for number in range(MAX_SUMS):
        image = np.zeros(aval.shape, aval.dtype)
        for weight in range(1, 3 if 2 * number < MAX_SUMS else 4):
            image[tuple(generator.integers(aval.shape))] = weight * height
        yield image


@contextlib.contextmanager
def _ready(program: Program) -> Iterator[None]:
    with on_cpu(), settings(precision(program)):
        yield


def _roll(prover: Prover, value: int, shift: Shift) -> Shift | None:
    """The steps by which the kernel knows a value to be rolled, one per axis; None where it does not."""
    outcome = _outcome(prover, value, shift)
    if outcome is None:
        return None
    return equivariant(outcome, range(len(outcome.fact.shape)))


def _outcome(prover: Prover, value: int, shift: Shift) -> Theorem | None:
    node = prover.graph.nodes.get(value)
    outcome = None if node is None else prover.derive(shift).outcomes[node]
    return outcome if isinstance(outcome, Theorem) else None


# --- the search for segments ---


def find_basis(
    prover: Prover,
    program: Program,
    weights: Sequence[Any],
    *,
    opaque: Set[int],
    spatial_axes: Sequence[int],
    claims: Sequence[Claim],
) -> Basis:
    """The segments that may prove more of the claims than the kernel does.

    Args:
        prover: of the graph of the same program, with the same opaque weights.
        program: the traced model.
        weights: one array per weight, in order.
        opaque: numbers of the weights that stand for any values.
        spatial_axes: grid axes of the batched images.
        claims: what is asked.
    """
    plain = [_on_host(weight) for weight in weights]
    setting = Setting(program, plain, opaque, tuple(spatial_axes))
    open_claims = [claim for claim in claims if not _is_settled(prover, claim)]
    provers = {frozenset(): prover}
    if not open_claims:
        return Basis(setting, (), (), provers)
    try:
        with _ready(program):
            return _search(Basis(setting, (), (), provers), open_claims)
    except Declined as reason:
        return Basis(setting, (), (str(reason),), provers)


def _search(basis: Basis, claims: Sequence[Claim]) -> Basis:
    setting = basis.setting
    program, opaque = setting.program, setting.opaque
    given = zip(program.weights, setting.weights, strict=True)
    known = {n: w for n, w in given if n not in opaque} | dict(program.constants)
    values = known_values(program, known)
    regions = [find_regions(program, values, opaque=opaque, kind=kind) for kind in KINDS]
    for found, source, target in _ends(setting, regions, claims):
        whole = source == program.images and target in _outputs(program, claims)
        if whole or basis.may_help(source, target):
            basis = basis.tried(found.kind, source, target, values)
    limits = _limits(program, regions, claims)
    return dataclasses.replace(basis, declined=(*basis.declined, *limits))


def _on_host(weight: Any) -> Any:
    numeric = isinstance(weight, np.ndarray) or jnp.issubdtype(weight.dtype, np.number)
    return np.asarray(weight) if numeric else weight


def _is_settled(prover: Prover, claim: Claim) -> bool:
    ones = (axis_step(prover.grid, axis, 1) for axis, n in enumerate(prover.grid) if n > 1)
    return all(prover.proves(claim, shift) for shift in ones)


def _outputs(program: Program, claims: Sequence[Claim]) -> set[int]:
    leaves = (program.outputs[claim.leaf] for claim in claims)
    return {leaf for leaf in leaves if isinstance(leaf, int)}


def _ends(
    setting: Setting, regions: Sequence[Regions], claims: Sequence[Claim]
) -> Iterator[tuple[Regions, int, int]]:
    """Regions, with a source and the values without a grid in which the region ends, in the order of the program."""
    program = setting.program
    outputs = _outputs(program, claims)
    geometry = geometry_of(program, setting.spatial_axes)
    seen: set[tuple[int, int]] = set()
    for eqn in program.equations:
        target = eqn.outputs[0]
        for found in regions:
            source = found.sources.get(target, target)
            if source == target or (source, target) in seen or len(eqn.outputs) > 1:
                continue
            shape = program.avals[target].shape
            labels = geometry.labels(target, shape)
            a_map = any(label and n > 1 for label, n in zip(labels, shape, strict=True))
            if target in outputs or (not a_map and _is_end(program, found, target)):
                seen.add((source, target))
                yield found, source, target


def _is_end(program: Program, regions: Regions, target: int) -> bool:
    """Whether some equation leads from the target out of its region."""
    inside = regions.sources[target]
    return any(
        regions.sources.get(eqn.outputs[0]) != inside
        for eqn in program.equations
        if target in eqn.inputs
    )


def _limits(program: Program, regions: Sequence[Regions], claims: Sequence[Claim]) -> list[str]:
    """Why the outputs of the claims are not linear in the images, for the kind that reaches back furthest."""
    reasons = []
    for claim in claims:
        output = program.outputs[claim.leaf]
        if isinstance(output, int) and output in program.from_images:
            source, place_of = min((r.sources[output], i) for i, r in enumerate(regions))
            found = regions[place_of]
            if source != program.images:
                reasons.append(f"{claim.output} is not {found.kind}: {found.reasons[source]}")
    return list(dict.fromkeys(reasons))


def _maker(program: Program, value: int) -> str:
    return next(place(eqn) for eqn in program.equations if value in eqn.outputs)
