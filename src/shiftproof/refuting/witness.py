"""Witnesses: inputs that show that a claim fails under a shift.

Exact integers come first, on which `!=` is a counterexample; then float64, where a difference counts only if it
stands orders of magnitude above the rounding floor. For equivariance a shift is refuted only if no output shift fits;
a shift keeps the multiset of values, so where that changed none does, and no search is needed.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ContradictionError
from shiftproof.proving.analysis import Claim
from shiftproof.refuting.budget import Budget
from shiftproof.refuting.draws import plans
from shiftproof.refuting.probes import lit_pixels, only
from shiftproof.refuting.trials import MOST_SLOTS, Trial, make_trial
from shiftproof.tracing.model import Model
from shiftproof.translation import Shift

SEPARATION = 1024.0
"""How far above the rounding floor a deviation must stand to refute."""

EXPLAINED = 2.0**16
"""Up to how many times the floor a deviation under a proved shift is rounding; more is a contradiction."""

DISTURBANCES = 3
"""How often last places are disturbed, at random, to see what rounding can do."""

MOST_REDUCTIONS = 60
"""Calls spent on making a counterexample smaller."""

Evidence = Literal["exact", "separated"]


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
class Pair:
    """An image with its outputs.

    Attributes:
        image: (*image shape) float64, unscaled.
        still: the output for it.
        moved: the output for the shifted image.
    """

    image: np.ndarray
    still: np.ndarray
    moved: np.ndarray


@dataclasses.dataclass(frozen=True)
class Witness:
    """An image under which a claim fails, or several that no output shift fits together.

    Attributes:
        claim: what fails.
        shift: of the image, pixels.
        image: (*image shape) float64, unscaled.
        trial: the weights and the number format.
        evidence: `exact` (equality is meaningful) or `separated` (the deviation stands far above the floor).
        difference: of the two outputs.
        floor: rounding floor of the output; 0 for exact evidence.
        outputs: the output for the image, and for the shifted image.
        others: where some output shift fits this image, others that it does not fit.
    """

    claim: Claim
    shift: Shift
    image: np.ndarray
    trial: Trial
    evidence: Evidence
    difference: Difference
    floor: float
    outputs: tuple[np.ndarray, np.ndarray]
    others: tuple[Pair, ...] = ()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All images with their outputs."""
        return (Pair(self.image, *self.outputs), *self.others)

    @property
    def images(self) -> np.ndarray:
        """All images, (count, *image shape)."""
        return np.stack([pair.image for pair in self.pairs])


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A claim under a shift that is neither proved nor refuted; `expected` is the output shift that a law demands."""

    claim: Claim
    shift: Shift
    expected: Shift | None = None

    @property
    def is_free(self) -> bool:
        """Whether the output may move by any shift, so that one image may leave some that another rules out."""
        return self.claim.property == "equivariance" and self.expected is None


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
    still, moved = numbers(still), numbers(moved)
    axes = doubt.claim.axes
    with np.errstate(invalid="ignore"):
        if doubt.claim.property == "invariance":
            return _difference(still, moved, ())
        if doubt.expected is not None:
            return _difference(np.roll(still, doubt.expected, axes), moved, doubt.expected)
        return _best(still, moved, axes, limit)


def compare_pairs(
    doubt: Doubt, still: np.ndarray, moved: np.ndarray, *, limit: float = 0.0
) -> Difference:
    """The same for the outputs of several images, (count, *output shape), of which all move by one output shift."""
    # behind the axes of the claim, images are compared like channels
    return compare_outputs(doubt, np.moveaxis(still, 0, -1), np.moveaxis(moved, 0, -1), limit=limit)


def numbers(value: np.ndarray) -> np.ndarray:
    """An array as complex or real numbers of double precision."""
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
        budget: of the search.
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
        budget: Budget | None = None,
    ) -> None:
        self.model, self.shape, self.axes = model, tuple(shape), tuple(spatial_axes)
        self.proved, self.seed, self.budget = tuple(proved), seed, budget or Budget()
        self.tried: Counter[Doubt] = Counter()
        drawn = architecture and any(model.replaceable)
        self._plans = plans(self.shape, self.axes, drawn=drawn, seed=seed, images=images)
        self._trials: dict[int, Trial] = {}
        self._rest: dict[tuple[int, int], list[np.ndarray]] = {}
        self._floors: dict[int, list[np.ndarray]] = {}

    def trial(self, index: int) -> Trial:
        """A trial, made when it is first asked for."""
        if index not in self._trials:
            plan = self._plans[index]
            self._trials[index] = make_trial(
                self.model, plan.images, draw=plan.draw, seed=plan.seed, budget=self.budget
            )
        return self._trials[index]

    def first(self) -> int:
        """The number of the first trial that judges every output, or else of the first that judges some."""
        some: int | None = None
        for index in filter(self._is_useful, range(len(self._plans))):
            if self._judges_all(index):
                return index
            some = index if some is None else some
        assert some is not None  # the model's own weights are among the draws
        return some

    def own(self) -> Trial:
        """The first trial of the model's own weights."""
        return self.trial(next(i for i, plan in enumerate(self._plans) if plan.draw == "these"))

    def _is_useful(self, index: int) -> bool:
        """Integer weights in a program that rounds show nothing that random ones do not show better; images for narrow
        integers need a program with such.
        """
        bits = self._plans[index].bits
        if bits is not None and bits not in self._integers:
            return False
        return self._plans[index].draw != "integers" or any(
            exactness.exact for exactness in self.trial(index).exactness
        )

    @functools.cached_property
    def _integers(self) -> set[int]:
        """Bits of the machine integers on the way from the image."""
        program = self.trial(0).program
        dtypes = (program.avals[number].dtype for number in program.from_images)
        return {8 * d.itemsize for d in dtypes if jnp.issubdtype(d, np.integer)}

    def _judges_all(self, index: int) -> bool:
        return self._plans[index].draw != "integers" or self.trial(index).exact

    def at_rest(self, index: int, number: int) -> list[np.ndarray]:
        """The outputs of a trial for one of its images, unshifted."""
        if (index, number) not in self._rest:
            trial, images = self.trial(index), self._plans[index].images
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
            trial, images = self.trial(index), self._plans[index].images
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
        trial, image = self.trial(index), self._plans[index].images[number]
        floor = self._floor(index, number, doubt.claim.leaf)
        witness = judge(trial, doubt, image, outputs, floor=floor)
        if witness is None or witness.evidence == "exact":
            return witness
        # what rounding does to the shifted image counts too
        pair = np.stack([image, self.shifted(image[None], doubt.shift)[0]])
        both = rounding_floors(trial, pair, trial.outputs(pair), seed=self.seed)
        floor = max(floor, both[doubt.claim.leaf])
        return judge(trial, doubt, image, outputs, floor=floor)

    def search(self, doubts: Sequence[Doubt]) -> dict[Doubt, Witness]:
        """A witness for every doubt for which one is found, made small where that is cheap."""
        found: dict[Doubt, Witness] = {}
        for index in range(len(self._plans)):
            pending = [doubt for doubt in doubts if doubt not in found]
            if not pending or self.budget.is_spent:
                break
            if self._is_useful(index):
                found |= self._search(index, pending)
        return found

    def _search(self, index: int, doubts: Sequence[Doubt]) -> dict[Doubt, Witness]:
        """One image after the other, for all shifts that are still in doubt."""
        trial, images = self.trial(index), self._plans[index].images
        found: dict[Doubt, Witness] = {}
        for number in range(len(images)):
            pending = [doubt for doubt in doubts if doubt not in found]
            shifts = sorted({doubt.shift for doubt in pending})
            for begin in range(0, len(shifts), trial.slots):
                if self.budget.is_spent:
                    return found
                block = shifts[begin : begin + trial.slots]
                moved = [self.shifted(images[number : number + 1], shift) for shift in block]
                values = trial.outputs(np.concatenate(moved))
                for doubt in (doubt for doubt in pending if doubt.shift in block):
                    self.tried[doubt] += 1
                    leaf, slot = doubt.claim.leaf, block.index(doubt.shift)
                    still = self.at_rest(index, number)[leaf]
                    witness = self.judge(index, number, doubt, (still, values[leaf][slot]))
                    if witness is not None:
                        found[doubt] = self._reduced(index, witness, doubt)
        pending = [doubt for doubt in doubts if doubt not in found and doubt.is_free]
        together = {doubt: self._together(index, doubt) for doubt in pending}
        return found | {doubt: w for doubt, w in together.items() if w is not None}

    def _together(self, index: int, doubt: Doubt) -> Witness | None:
        """The witness that the images of a trial are together, as few of them as do."""
        trial, leaf = self.trial(index), doubt.claim.leaf
        images = self._plans[index].images
        floors = {i: self._floor(index, i, leaf) for i in range(len(images))}

        def judged(chosen: Sequence[int]) -> Witness | None:
            if self.budget.is_spent or len(chosen) < 2:
                return None
            least, some = max(floors[i] for i in chosen), images[chosen]
            both = (trial.outputs(x)[leaf] for x in (some, self.shifted(some, doubt.shift)))
            if compare_pairs(doubt, *both, limit=least).deviation <= least:
                return None  # no need to disturb anything
            return rejudge(trial, doubt, some, axes=self.axes, least=least, seed=self.seed)[0]

        kept = [i for i, floor in floors.items() if np.isfinite(floor)]
        best = judged(kept)
        for number in kept if best is not None else ():
            fewer = [image for image in kept if image != number]
            found = judged(fewer)
            if found is not None:
                best, kept = found, fewer
        return best

    def _reduced(self, index: int, witness: Witness, doubt: Doubt) -> Witness:
        """The same witness with fewer non-zero pixels, where the evidence is exact and trying is cheap."""
        if witness.evidence != "exact" or witness.trial.slots < MOST_SLOTS:
            return witness
        best, left = witness, MOST_REDUCTIONS
        pixels = lit_pixels(best.image, self.axes)
        size = len(pixels) // 2
        while size and left and not self.budget.is_spent:
            parts = (pixels[:i] + pixels[i + size :] for i in range(0, len(pixels), size))
            for kept in itertools.islice((part for part in parts if part), left):
                left -= 1
                smaller = self.retry(index, doubt, only(best.image, kept, self.axes))
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
    evidence: Evidence = "exact" if exactness.exact else "separated"
    return Witness(doubt.claim, doubt.shift, image, trial, evidence, found, floor, outputs)


def rejudge(
    trial: Trial,
    doubt: Doubt,
    images: np.ndarray,
    *,
    axes: Sequence[int],
    least: float = 0.0,
    seed: int = 0,
) -> tuple[Witness | None, tuple[Pair, ...], float]:
    """The witness that images are together, run anew; all images with their outputs; and the largest rounding floor.

    Args:
        trial: to run.
        doubt: the claim and shift.
        images: (count, *image shape); the claim fails where no output shift fits them all.
        axes: grid axes of one image.
        least: floor that is known already.
        seed: of disturbances, where the trial rounds.
    """
    both = np.concatenate([images, np.roll(images, doubt.shift, tuple(a + 1 for a in axes))])
    outputs = trial.outputs(both)
    floor = max(least, rounding_floors(trial, both, outputs, seed=seed)[doubt.claim.leaf])
    still, moved = np.split(outputs[doubt.claim.leaf], 2)
    pairs = tuple(Pair(*row) for row in zip(images, still, moved, strict=True))
    if len(images) == 1:
        return judge(trial, doubt, images[0], (still[0], moved[0]), floor=floor), pairs, floor
    # behind the axes of the claim, images are compared like channels: one output shift for all of them
    stacked = (np.moveaxis(still, 0, -1), np.moveaxis(moved, 0, -1))
    found = judge(trial, doubt, images[0], stacked, floor=floor)
    if found is None:
        return None, pairs, floor
    *place, worst = found.difference.place
    first, others = pairs[worst], (*pairs[:worst], *pairs[worst + 1 :])
    return (
        dataclasses.replace(
            found,
            image=first.image,
            outputs=(first.still, first.moved),
            difference=dataclasses.replace(found.difference, place=tuple(place)),
            others=others,
        ),
        pairs,
        floor,
    )


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
    first, second = numbers(first), numbers(second)
    finite = np.isfinite(first) & np.isfinite(second)
    first, second = first[finite], second[finite]
    largest = float(np.max(np.abs(first), initial=0.0))
    return max(float(np.max(np.abs(first - second), initial=0.0)), eps * largest)
