"""Witnesses: inputs that show that a claim fails under a shift.

Exact integers come first, on which `!=` is a counterexample; then float64, where a difference counts only if it
stands orders of magnitude above the rounding floor. For equivariance a shift is refuted only if no output shift fits;
a shift keeps the multiset of values, so where that changed none does, and no search is needed.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ContradictionError, NonFiniteError
from shiftproof.proving.analysis import Claim
from shiftproof.refuting.enclosing import gap_between
from shiftproof.refuting.probes import (
    generic_probes,
    level_probes,
    small_probes,
    wrapping_probes,
)
from shiftproof.refuting.trials import MOST_SLOTS, Draw, Trial, make_trial
from shiftproof.tracing.model import Model
from shiftproof.translation import Shift

SEPARATION = 1024.0
"""How far above the rounding floor a deviation must stand to refute."""

EXPLAINED = 2.0**16
"""Up to how many times the floor a deviation under a proved shift is rounding; more is a contradiction."""

OWN: Sequence[tuple[Draw, int, str]] = (
    ("these", 0, "small"),
    ("these", 0, "levels"),
    ("these", 0, "generic"),
    ("these", 0, "bytes"),
    ("these", 0, "shorts"),
)
DRAWN: Sequence[tuple[Draw, int, str]] = (
    ("integers", 0, "small"),
    ("integers", 1, "levels"),
    ("sparse", 0, "small"),
    ("sparse", 1, "levels"),
    ("random", 0, "small"),
    ("random", 1, "small"),
    ("random", 2, "generic"),
    ("integers", 2, "bytes"),
    ("integers", 2, "shorts"),
)
"""Whose weights the trials have, in order, what is added to the seed, and which images they try."""

NARROW = {"bytes": 8, "shorts": 16}
"""Images for programs that compute with machine integers of so many bits."""

DISTURBANCES = 3
"""How often last places are disturbed, at random, to see what rounding can do."""

MOST_REDUCTIONS = 60
"""Calls spent on making a counterexample smaller."""

WEIGHTS: Mapping[Draw, str] = {
    "these": "the model's own weights",
    "integers": "integers as weights",
    "sparse": "sparse integers as weights",
    "random": "random weights",
}

Evidence = Literal["exact", "enclosed", "numerical"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How two outputs differ, at best.

    Attributes:
        deviation: the largest difference, for the output shift that fits best.
        output_shift: that output shift; None where the multisets of values differ, so that none can fit.
        place: index of the largest difference in the output.
    """

    deviation: float
    output_shift: Shift | None
    place: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Witness:
    """An image under which a claim fails.

    Attributes:
        claim: what fails.
        shift: of the image, pixels.
        image: (*image shape) float64, unscaled.
        trial: the weights and the number format.
        evidence: `exact` (every number is the real one), `enclosed` (the real outputs lie in enclosures that are
            disjoint in some cell), or `numerical` (the deviation stands far above the rounding that was measured).
        difference: of the two outputs.
        floor: rounding floor of the output; 0 for exact evidence.
        outputs: the output for the image, and for the shifted image.
        gap: by how much the real outputs differ at least, for the output shift that fits best; 0 where numerical.
    """

    claim: Claim
    shift: Shift
    image: np.ndarray
    trial: Trial
    evidence: Evidence
    difference: Difference
    floor: float
    outputs: tuple[np.ndarray, np.ndarray]
    gap: float = 0.0

    @property
    def is_rigorous(self) -> bool:
        """Whether the real outputs are shown to differ."""
        return self.evidence != "numerical"

    @property
    def strength(self) -> str:
        """Why the difference counts, in words."""
        if self.evidence == "exact":
            return "exactly"
        if self.evidence == "enclosed":
            return f"at least by {self.gap:.3g}, by enclosures"
        return f"numerically: {self.difference.deviation / self.floor:.0e} times what rounding explains"

    @property
    def whose(self) -> str:
        """The weights, in words."""
        return WEIGHTS[self.trial.draw]


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A claim under a shift that is neither proved nor refuted; `expected` is the output shift that a law demands."""

    claim: Claim
    shift: Shift
    expected: Shift | None = None

    @property
    def output_shifts(self) -> tuple[Shift, ...] | None:
        """The output shifts that may fit; None for all."""
        if self.claim.property == "invariance":
            return ((0,) * len(self.claim.axes),)
        return None if self.expected is None else (self.expected,)


def compare_outputs(
    doubt: Doubt, still: np.ndarray, moved: np.ndarray, *, limit: float = 0.0
) -> Difference:
    """How far the claim is from holding on a pair of outputs: `f(x)` and `f(T x)`.

    Args:
        doubt: the claim and shift.
        still: output for the image at rest.
        moved: output for the shifted image.
        limit: differences up to this one count as none.
    """
    still, moved = _numbers(still), _numbers(moved)
    axes = doubt.claim.axes
    with np.errstate(invalid="ignore"):
        if doubt.claim.property == "invariance":
            return _difference(still, moved, ())
        if doubt.expected is not None:
            return _difference(np.roll(still, doubt.expected, axes), moved, doubt.expected)
        return _best(still, moved, axes, limit)


def _numbers(value: np.ndarray) -> np.ndarray:
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def _difference(first: np.ndarray, second: np.ndarray, shift: Shift | None) -> Difference:
    gap = np.where(first == second, 0.0, np.abs(first - second))  # infinities may be equal
    place = np.unravel_index(int(np.argmax(gap)), gap.shape) if gap.size else ()
    return Difference(float(np.max(gap, initial=0.0)), shift, tuple(int(i) for i in place))


def _best(still: np.ndarray, moved: np.ndarray, axes: Sequence[int], limit: float) -> Difference:
    """The smallest difference over all output shifts, stopping at the first within the limit."""
    kept = [axis for axis in range(still.ndim) if axis not in axes]
    lines = [
        np.transpose(a, (*kept, *axes)).reshape(*(a.shape[k] for k in kept), -1)
        for a in (still, moved)
    ]
    if still.dtype.kind != "c":
        # sorting never brings values closer than the best shift does
        multiset = _difference(np.sort(lines[0]), np.sort(lines[1]), None).deviation
        if multiset > limit:
            found = _difference(still, moved, None)
            return dataclasses.replace(found, deviation=multiset)
    best: Difference | None = None
    probe = np.argsort(-np.abs(moved).ravel(), kind="stable")[:64]
    cells = np.array(np.unravel_index(probe, moved.shape))
    for shift in itertools.product(*(range(moved.shape[axis]) for axis in axes)):
        places = cells.copy()
        for axis, step in zip(axes, shift, strict=True):
            places[axis] = (places[axis] - step) % moved.shape[axis]
        quick = _difference(still[tuple(places)], moved[tuple(cells)], None).deviation
        if best is not None and quick >= best.deviation:
            continue
        found = _difference(np.roll(still, shift, tuple(axes)), moved, shift)
        if best is None or found.deviation < best.deviation:
            best = found
        if best.deviation <= limit:
            break
    return best if best is not None else Difference(0.0, (), ())


class Bench:
    """Searches witnesses for one model, trial after trial; what was computed once is kept.

    Args:
        model: the adapted model.
        shape: of one image.
        spatial_axes: grid axes of one image.
        architecture: whether weights may be drawn (a claim about all weights), or the model's own must be kept.
        proved: claims that are proved, with the output shift: every trial must agree with them.
        seed: of probes and weights.
        images: images to try first, such as the user's own; (count, *shape).
    """

    def __init__(
        self,
        model: Model,
        shape: Sequence[int],
        *,
        spatial_axes: Sequence[int],
        architecture: bool,
        proved: Sequence[Doubt] = (),
        seed: int = 0,
        images: np.ndarray | None = None,
    ) -> None:
        self.model, self.shape, self.axes = model, tuple(shape), tuple(spatial_axes)
        self.proved, self.seed = tuple(proved), seed
        self.tried: Counter[Doubt] = Counter()
        probes = {
            "small": small_probes(self.shape, self.axes, seed),
            "levels": level_probes(self.shape, seed),
            **{kind: wrapping_probes(self.shape, seed, bits) for kind, bits in NARROW.items()},
            "generic": generic_probes(self.shape, seed),
        }
        if images is not None:
            probes["small"] = np.concatenate([images.astype(np.float64), probes["small"]])
        drawn = architecture and any(model.replaceable)
        kinds = DRAWN if drawn else OWN
        self._draws: list[tuple[Draw, int, np.ndarray]] = [
            (draw, seed + offset, probes[kind]) for draw, offset, kind in kinds
        ]
        self._bits = [NARROW.get(kind) for _, _, kind in kinds]
        self._trials: dict[int, Trial] = {}
        self._rest: dict[tuple[int, int], list[np.ndarray]] = {}
        self._floors: dict[int, list[np.ndarray]] = {}

    def trial(self, index: int) -> Trial:
        """A trial, made when it is first asked for."""
        if index not in self._trials:
            draw, seed, images = self._draws[index]
            self._trials[index] = make_trial(self.model, images, draw=draw, seed=seed)
        return self._trials[index]

    def first(self) -> int:
        """The number of the first trial that judges every output, or else of the first that judges some."""
        useful = [i for i in range(len(self._draws)) if self._is_useful(i)]
        return next((i for i in useful if self._judges_all(i)), useful[0])

    def _is_useful(self, index: int) -> bool:
        """Integer weights in a program that rounds show nothing that random ones do not show better; images for narrow
        integers need a program with such.
        """
        bits = self._bits[index]
        if bits is not None and bits not in self._integers:
            return False
        return self._draws[index][0] != "integers" or any(
            exactness.exact for exactness in self.trial(index).exactness
        )

    @functools.cached_property
    def _integers(self) -> set[int]:
        """Bits of the machine integers on the way from the image."""
        program = self.trial(0).program
        dtypes = (program.avals[number].dtype for number in program.from_images)
        return {8 * d.itemsize for d in dtypes if jnp.issubdtype(d, np.integer)}

    def _judges_all(self, index: int) -> bool:
        return self._draws[index][0] != "integers" or self.trial(index).exact

    def at_rest(self, index: int, number: int) -> list[np.ndarray]:
        """The outputs of a trial for one of its images, unshifted."""
        if (index, number) not in self._rest:
            trial, images = self.trial(index), self._draws[index][2]
            begin = number - number % trial.slots
            block = images[begin : begin + trial.slots]
            values = trial.outputs(block)
            for i in range(len(block)):
                self._rest[index, begin + i] = [leaf[i] for leaf in values]
        return self._rest[index, number]

    def floors(self, index: int) -> list[np.ndarray]:
        """The rounding floor of every output, for each of the first images: 0 where exact.

        Else the largest of: one unit in the last place of the output, its answer to a disturbance of the last place of
        the image, and what it deviates under shifts that are proved, where the true difference is zero. Each image has
        its own, since where a program jumps (rounds, compares, picks the largest), few images lie at the edge.

        Raises:
            ContradictionError: a proved shift deviates by more than rounding explains.
        """
        if index not in self._floors:
            trial, images = self.trial(index), self._draws[index][2]
            block = images[: trial.slots]
            still = [
                np.stack(leaf)
                for leaf in zip(*(self.at_rest(index, i) for i in range(len(block))), strict=True)
            ]
            floors = image_floors(trial, block, still, seed=self.seed)
            self._floors[index] = self._confirmed(trial, block, still, floors)
        return self._floors[index]

    def _floor(self, index: int, number: int, leaf: int) -> float:
        """The floor of an output for one image; of the first images, the largest where it is none of them."""
        floors = self.floors(index)[leaf]
        if number < len(floors):
            return float(floors[number])
        return float(np.max(floors[np.isfinite(floors)], initial=0.0))

    def _confirmed(
        self,
        trial: Trial,
        block: np.ndarray,
        still: Sequence[np.ndarray],
        floors: Sequence[np.ndarray],
    ) -> list[np.ndarray]:
        """The floors, after the trial was held against everything that is proved."""
        seen = list(floors)
        moved: dict[Shift, list[np.ndarray]] = {}
        for fact in self.proved:
            if fact.shift not in moved:
                moved[fact.shift] = trial.outputs(self.shifted(block, fact.shift))
            leaf = fact.claim.leaf
            exactness = trial.exactness[leaf]
            pairs = zip(still[leaf], moved[fact.shift][leaf], strict=True)
            gaps = np.nan_to_num(
                [compare_outputs(fact, a, b).deviation for a, b in pairs], posinf=0
            )
            if trial.draw == "integers" and not exactness.exact:
                continue
            inside = np.isfinite(floors[leaf])
            gap, floor = (float(np.max(a[inside], initial=0.0)) for a in (gaps, floors[leaf]))
            if gap > EXPLAINED * floor:
                raise _contradiction(fact, trial, gap, floor)
            seen[leaf] = np.maximum(seen[leaf], gaps)
        return seen

    def shifted(self, images: np.ndarray, shift: Shift) -> np.ndarray:
        """`T x` for images (count, *image shape)."""
        return np.roll(images, shift, tuple(axis + 1 for axis in self.axes))

    def judge(
        self, index: int, number: int, doubt: Doubt, outputs: tuple[np.ndarray, np.ndarray]
    ) -> Witness | None:
        """The witness that the outputs for an image and the shifted image are, or None where the claim may hold."""
        trial, image = self.trial(index), self._draws[index][2][number]
        floor = self._floor(index, number, doubt.claim.leaf)
        witness = judge(trial, doubt, image, outputs, floor=floor)
        if witness is None or witness.evidence == "exact":
            return witness
        gap = self._gap(trial, image, doubt)
        if gap > 0:
            return dataclasses.replace(witness, evidence="enclosed", gap=gap)
        # what rounding does to the shifted image counts too
        pair = np.stack([image, self.shifted(image[None], doubt.shift)[0]])
        both = rounding_floors(trial, pair, trial.outputs(pair), seed=self.seed)
        floor = max(floor, both[doubt.claim.leaf])
        return judge(trial, doubt, image, outputs, floor=floor)

    def _gap(self, trial: Trial, image: np.ndarray, doubt: Doubt) -> float:
        pair = np.stack([image, self.shifted(image[None], doubt.shift)[0]])
        return gap_between(
            trial, pair, leaf=doubt.claim.leaf, axes=doubt.claim.axes, shifts=doubt.output_shifts
        )

    def search(self, doubts: Sequence[Doubt]) -> dict[Doubt, Witness]:
        """A witness for every doubt for which one is found, made small where that is cheap."""
        found: dict[Doubt, Witness] = {}
        for index in range(len(self._draws)):
            pending = [doubt for doubt in doubts if doubt not in found]
            if not pending:
                break
            if self._is_useful(index):
                found |= self._search(index, pending)
        return found

    def _search(self, index: int, doubts: Sequence[Doubt]) -> dict[Doubt, Witness]:
        """One image after the other, for all shifts that are still in doubt."""
        trial, found = self.trial(index), {}
        for number, image in enumerate(self._draws[index][2]):
            shifts = sorted({doubt.shift for doubt in doubts if doubt not in found})
            if not shifts:
                break
            values = trial.outputs(
                np.stack([self.shifted(image[None], shift)[0] for shift in shifts])
            )
            self.tried.update(doubt for doubt in doubts if doubt not in found)
            for doubt in (doubt for doubt in doubts if doubt not in found):
                leaf, slot = doubt.claim.leaf, shifts.index(doubt.shift)
                still = self.at_rest(index, number)[leaf]
                witness = self.judge(index, number, doubt, (still, values[leaf][slot]))
                if witness is not None:
                    found[doubt] = self._reduced(index, witness, doubt)
        return found

    def _reduced(self, index: int, witness: Witness, doubt: Doubt) -> Witness:
        """The same witness with fewer non-zero pixels, where the evidence is exact and trying is cheap."""
        if witness.evidence != "exact" or witness.trial.slots < MOST_SLOTS:
            return witness
        best, left = witness, MOST_REDUCTIONS
        pixels = _pixels(best.image, self.axes)
        size = len(pixels) // 2
        while size and left:
            parts = (pixels[:i] + pixels[i + size :] for i in range(0, len(pixels), size))
            for kept in itertools.islice((part for part in parts if part), left):
                left -= 1
                smaller = self.retry(index, doubt, _only(best.image, kept, self.axes))
                if smaller is not None:
                    best, pixels = smaller, kept
                    break
            else:
                size //= 2
            size = min(size, len(pixels) // 2)
        return best

    def retry(self, index: int, doubt: Doubt, image: np.ndarray) -> Witness | None:
        """The witness that this image is under an exact trial, or None."""
        pair = np.stack([image, self.shifted(image[None], doubt.shift)[0]])
        values = self.trial(index).outputs(pair)[doubt.claim.leaf]
        return judge(self.trial(index), doubt, image, (values[0], values[1]), floor=0.0)

    def sensitivity(self, index: int) -> list[float]:
        """For every output of the model with its own weights: the relative change between quite different images."""
        images = self._draws[index][2]
        trial = self.trial(index)
        if trial.draw != "these":
            trial = make_trial(self.model, images, draw="these", dtype=trial.dtype)
        # positive, as images are, of two ranges, since a maximum of many values hardly varies; and of zeros and ones,
        # since to an automaton nothing else is an image
        dense = np.random.default_rng(self.seed + 7).random((3, *self.shape))
        dense[1] *= 3
        dense[2] = dense[2] < 0.4
        values = [_numbers(leaf) for leaf in trial.outputs(dense)]
        for name, (*leaf, _) in zip(trial.program.output_names, values, strict=True):
            if not np.all(np.isfinite(leaf)):
                raise NonFiniteError(
                    f"{self.model.name} gives NaN or infinity in {name}, in {int((~np.isfinite(leaf)).sum())} of "
                    f"{np.size(leaf)} entries. Check the weights and the scale of the images."
                )
        return [_change(leaf if np.all(np.isfinite(leaf[2])) else leaf[:2]) for leaf in values]


def _change(outputs: np.ndarray) -> float:
    """The largest difference from the first output, relative to the largest value."""
    largest = float(np.max(np.abs(outputs), initial=0.0))
    return float(np.max(np.abs(outputs - outputs[:1]), initial=0.0)) / max(largest, 1e-300)


def _contradiction(fact: Doubt, trial: Trial, gap: float, floor: float) -> ContradictionError:
    claim = fact.claim
    report = {
        "claim": dataclasses.asdict(claim),
        "shift": fact.shift,
        "output_shift": fact.expected,
        "deviation": gap,
        "explained_by_rounding": EXPLAINED * floor,
        "weights": {"draw": trial.draw, "seed": trial.seed, "sha256": trial.weights_sha256},
        "scale": trial.scale,
        "dtype": trial.dtype,
        "exactness": [str(exactness) for exactness in trial.exactness],
        "program": trial.program.fingerprint,
    }
    return ContradictionError(
        f"{claim.property} of {claim.output} under the shift {fact.shift} is proved, but the compiled program "
        f"deviates by {gap:.3g}, of which rounding explains {EXPLAINED * floor:.3g} ({trial.draw} weights, seed "
        f"{trial.seed}, {trial.dtype}). One of the two is wrong, and none is chosen: this is a defect of shiftproof.",
        report,
    )


def judge(
    trial: Trial,
    doubt: Doubt,
    image: np.ndarray,
    outputs: tuple[np.ndarray, np.ndarray],
    *,
    floor: float,
) -> Witness | None:
    """The witness that a pair of outputs is, or None where the claim may hold.

    Args:
        trial: that gave the outputs.
        doubt: the claim and shift.
        image: unscaled.
        outputs: for the image and for the shifted image.
        floor: the rounding floor of the output.
    """
    exactness = trial.exactness[doubt.claim.leaf]
    if trial.draw == "integers" and not exactness.exact:
        return None
    if any(exactness.contradicted_by(value) for value in outputs):
        return None
    limit = 0.0 if exactness.exact else SEPARATION * floor
    found = compare_outputs(doubt, *outputs, limit=limit)
    if not found.deviation > limit:
        return None
    evidence: Evidence = "exact" if exactness.exact else "numerical"
    gap = found.deviation if exactness.exact else 0.0
    return Witness(doubt.claim, doubt.shift, image, trial, evidence, found, floor, outputs, gap)


def witness_nearby(
    witness: Witness, shift: Shift, multiple: int, axes: Sequence[int], *, seed: int = 0
) -> Witness | None:
    """A witness for a shift of which a multiple is refuted, from the images on the way there.

    Where `f(T x)` and `f(x)` agree for an image and all that `T` makes of it, they agree for its multiples.

    Args:
        witness: of the multiple.
        shift: in question.
        multiple: how often it is taken.
        axes: grid axes of one image.
        seed: of disturbances, where the trial rounds.
    """
    claim, trial = witness.claim, witness.trial
    doubt = Doubt(claim, shift, claim.expected(shift))
    for step in range(multiple):
        start = np.roll(witness.image, [step * s for s in shift], tuple(axes))
        pair = np.stack([start, np.roll(start, shift, tuple(axes))])
        outputs = trial.outputs(pair)
        floor = rounding_floors(trial, pair, outputs, seed=seed)[claim.leaf]
        still, moved = outputs[claim.leaf]
        found = judge(trial, doubt, start, (still, moved), floor=floor)
        if found is not None:
            return found
    return None


def rounding_floors(
    trial: Trial, images: np.ndarray, still: Sequence[np.ndarray], *, seed: int = 0
) -> list[float]:
    """The largest of `image_floors`, for every output."""
    return [float(floors.max()) for floors in image_floors(trial, images, still, seed=seed)]


def image_floors(
    trial: Trial, images: np.ndarray, still: Sequence[np.ndarray], *, seed: int = 0
) -> list[np.ndarray]:
    """For every output and image the answer to disturbances of all last places; 0 where it is exact, and infinite where
    a value on the way leaves the range of its format, so that nothing is judged.

    The image is disturbed, and every value on the way: behind a sign or a round the image alone would change nothing,
    and where large numbers cancel it would change too little.

    Args:
        trial: whose outputs.
        images: (count, *image shape), no more than the trial has slots.
        still: the outputs for them.
        seed: of the disturbance.
    """
    floors = [np.zeros(len(images)) for _ in still]
    if trial.exact:
        return floors
    generator = np.random.default_rng(seed)
    for number in range(1, DISTURBANCES + 1):
        noise = generator.integers(-2, 3, images.shape)
        disturbed, left = trial.disturbed(images * (1 + noise * trial.eps), number)
        for leaf, exactness in enumerate(trial.exactness):
            if not exactness.exact:
                pairs = zip(still[leaf], disturbed[leaf], strict=True)
                seen = [_floor(a, b, trial.eps) for a, b in pairs]
                floors[leaf] = np.maximum(floors[leaf], np.where(left, np.inf, seen))
    return floors


def _floor(first: np.ndarray, second: np.ndarray, eps: float) -> float:
    """Of the finite entries; a probe outside the model's domain says nothing."""
    first, second = _numbers(first), _numbers(second)
    finite = np.isfinite(first) & np.isfinite(second)
    first, second = first[finite], second[finite]
    largest = float(np.max(np.abs(first), initial=0.0))
    return max(float(np.max(np.abs(first - second), initial=0.0)), eps * largest)


def _pixels(image: np.ndarray, axes: Sequence[int]) -> list[tuple[int, ...]]:
    others = tuple(axis for axis in range(image.ndim) if axis not in axes)
    support = np.any(image != 0, axis=others)
    order = sorted(range(len(axes)), key=lambda i: axes[i])
    places = np.argwhere(support)
    back = np.argsort(order)
    return [tuple(int(p[i]) for i in back) for p in places]


def _only(image: np.ndarray, pixels: Sequence[tuple[int, ...]], axes: Sequence[int]) -> np.ndarray:
    """The image with all other pixels zero."""
    result = np.zeros_like(image)
    for pixel in pixels:
        where: list[Any] = [slice(None)] * image.ndim
        for axis, place in zip(axes, pixel, strict=True):
            where[axis] = place
        result[tuple(where)] = image[tuple(where)]
    return result
