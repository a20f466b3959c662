"""The bench: a search for counterexamples, trial after trial, each held against what is proved."""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from shiftproof.errors import ContradictionError
from shiftproof.group import Shift
from shiftproof.refuting.branches import silent_weights
from shiftproof.refuting.budget import Budget
from shiftproof.refuting.draws import plans
from shiftproof.refuting.enclosing import gap_between
from shiftproof.refuting.judging import SEPARATION, judge
from shiftproof.refuting.probes import lit_pixels, only
from shiftproof.refuting.trials import MOST_SLOTS, Trial, make_trial
from shiftproof.refuting.witness import Doubt, Evidence, Witness, compare_outputs
from shiftproof.tracing.model import Model

PHASES: Mapping[Evidence, float] = {"exact": 0.75, "enclosed": 0.75, "numerical": 1.0}
"""What is looked for, in order, and the share of the budget that may be spent by its end: some is kept for what is
merely seen numerically. Weights on which a program may be exact come first, since they need no enclosures.
"""

MOST_REDUCTIONS = 60
"""Calls spent on making a counterexample smaller."""


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
        self._checked: dict[int, list[float]] = {}

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
        integers need a program with such, and shallow weights one with residual branches.
        """
        if self._plans[index].draw == "shallow":
            return self._has_branches
        bits = self._plans[index].bits
        if bits is not None and bits not in self._integers:
            return False
        return self._plans[index].draw != "integers" or any(
            exactness.exact for exactness in self.trial(index).exactness
        )

    @functools.cached_property
    def _has_branches(self) -> bool:
        """Whether shallow weights are others than quiet ones."""
        return bool(silent_weights(self.trial(0).program, self.model.replaceable))

    @functools.cached_property
    def _integers(self) -> set[int]:
        """Bits of the machine integers on the way from the image."""
        program = self.trial(0).program
        dtypes = (program.avals[number].dtype for number in program.from_images)
        return {8 * d.itemsize for d in dtypes if jnp.issubdtype(d, np.integer)}

    def _judges_all(self, index: int) -> bool:
        return self._plans[index].draw != "integers" or self.trial(index).exact

    def check(self, index: int) -> list[float]:
        """Hold a trial against everything that is proved; for every output what it deviates there by rounding.

        Raises:
            ContradictionError: the outputs differ under a proved shift: exactly, or by their enclosures.
        """
        if index not in self._checked:
            trial = self.trial(index)
            block = self._plans[index].images[: trial.slots]
            still = trial.outputs(block)
            seen = [0.0] * len(still)
            for fact in self.proved:
                leaf = fact.claim.leaf
                if trial.draw == "integers" and not trial.exactness[leaf].exact:
                    continue
                moved = trial.outputs(self.shifted(block, fact.shift))[leaf]
                for image, first, second in zip(block, still[leaf], moved, strict=True):
                    deviation = self._deviation(trial, fact, image, first, second)
                    seen[leaf] = max(seen[leaf], deviation)
            self._checked[index] = seen
        return self._checked[index]

    def _deviation(
        self, trial: Trial, fact: Doubt, image: np.ndarray, still: np.ndarray, moved: np.ndarray
    ) -> float:
        """What a proved shift deviates on one image, which is rounding; what is no number says nothing."""
        deviation = compare_outputs(fact, still, moved).deviation
        if not 0 < deviation < math.inf:
            return 0.0
        exactness, gap = trial.exactness[fact.claim.leaf], deviation
        if any(exactness.contradicted_by(value) for value in (still, moved)):
            return 0.0
        if not exactness.exact:
            if deviation <= SEPARATION * trial.eps * float(np.max(np.abs(still), initial=0.0)):
                return deviation
            pair = np.stack([image, self.shifted(image[None], fact.shift)[0]])
            claim, shifts = fact.claim, fact.output_shifts
            gap = gap_between(trial, pair, leaf=claim.leaf, axes=claim.axes, shifts=shifts)
        if gap > 0:
            raise _contradiction(fact, trial, gap)
        return deviation

    def shifted(self, images: np.ndarray, shift: Shift) -> np.ndarray:
        """`T x` for images (count, *image shape)."""
        return np.roll(images, shift, tuple(axis + 1 for axis in self.axes))

    def judge(
        self, index: int, doubt: Doubt, images: np.ndarray, *, rigorous: bool
    ) -> Witness | None:
        """The witness that images are under a trial, or None where the claim may hold.

        Args:
            index: of the trial.
            doubt: the claim and shift.
            images: (count, *image shape).
            rigorous: whether nothing that is merely seen numerically counts.
        """
        least = self.check(index)[doubt.claim.leaf]
        how = {"axes": self.axes, "rigorous": rigorous, "least": least, "seed": self.seed}
        return judge(self.trial(index), doubt, images, **how)[0]

    def search(self, doubts: Sequence[Doubt]) -> dict[Doubt, Witness]:
        """A witness for every doubt for which one is found, made small where that is cheap.

        Rigorous ones are looked for with all weights and images, before one that is merely seen numerically counts.
        """
        found: dict[Doubt, Witness] = {}
        for phase, share in PHASES.items():
            with self.budget.part(share):
                for index in range(len(self._plans)) if phase != "exact" else self._exact_first:
                    pending = [doubt for doubt in doubts if doubt not in found]
                    if pending and not self.budget.is_spent and self._is_useful(index):
                        found |= self._search(index, pending, phase)
        return found

    @functools.cached_property
    def _exact_first(self) -> list[int]:
        """Trials on which programs are exact more often than on others: integers, and the first sparse weights."""
        draws = [plan.draw for plan in self._plans]
        integers = [index for index, draw in enumerate(draws) if draw == "integers"]
        return [*integers, draws.index("sparse")] if "sparse" in draws else integers

    def _may_show(self, index: int, doubt: Doubt, phase: Evidence) -> bool:
        """Whether a trial may show now what it has not shown before."""
        trial, leaf = self.trial(index), doubt.claim.leaf
        if trial.exactness[leaf].exact:
            return phase == ("exact" if index in self._exact_first else "enclosed")
        return phase == "numerical" or (phase == "enclosed" and leaf not in trial.loose)

    def _search(self, index: int, doubts: Sequence[Doubt], phase: Evidence) -> dict[Doubt, Witness]:
        """One image after the other, for all shifts that are still in doubt."""
        trial, images, rigorous = self.trial(index), self._plans[index].images, phase != "numerical"
        found: dict[Doubt, Witness] = {}
        for number in range(len(images)):
            pending = [d for d in doubts if d not in found and self._may_show(index, d, phase)]
            shifts = sorted({doubt.shift for doubt in pending})
            for begin in range(0, len(shifts), trial.slots):
                if self.budget.is_spent:
                    return found
                block = shifts[begin : begin + trial.slots]
                one = images[number : number + 1]
                # run together; each is looked up when it is judged
                trial.outputs(np.concatenate([self.shifted(one, shift) for shift in block]))
                for doubt in (doubt for doubt in pending if doubt.shift in block):
                    self.tried[doubt] += rigorous  # and not again numerically
                    witness = self.judge(index, doubt, one, rigorous=rigorous)
                    if witness is not None:
                        found[doubt] = self._reduced(index, witness, doubt)
        pending = [d for d in doubts if d not in found and self._may_show(index, d, phase)]
        pending = [doubt for doubt in pending if doubt.is_free]
        together = {doubt: self._together(index, doubt, rigorous=rigorous) for doubt in pending}
        return found | {doubt: w for doubt, w in together.items() if w is not None}

    def _together(self, index: int, doubt: Doubt, *, rigorous: bool) -> Witness | None:
        """The witness that the images of a trial are together, as few of them as do."""
        images = self._plans[index].images

        def judged(chosen: Sequence[int]) -> Witness | None:
            if self.budget.is_spent or len(chosen) < 2:
                return None
            return self.judge(index, doubt, images[chosen], rigorous=rigorous)

        kept = list(range(len(images)))
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
                smaller = only(best.image, kept, self.axes)[None]
                smaller = self.judge(index, doubt, smaller, rigorous=True)
                if smaller is not None:
                    best, pixels = smaller, kept
                    break
            else:
                size //= 2
            size = min(size, len(pixels) // 2)
        return best


def _contradiction(fact: Doubt, trial: Trial, gap: float) -> ContradictionError:
    claim, exact = fact.claim, trial.exactness[fact.claim.leaf].exact
    report = {
        "claim": dataclasses.asdict(claim),
        "shift": fact.shift,
        "output_shift": fact.expected,
        "deviation": gap,
        "weights": {"draw": trial.draw, "seed": trial.seed, "sha256": trial.weights_sha256},
        "scale": trial.scale,
        "dtype": trial.dtype,
        "exactness": [str(exactness) for exactness in trial.exactness],
        "program": trial.program.fingerprint,
    }
    how = (
        f"deviates by {gap:.3g}, exactly"
        if exact
        else f"deviates by {gap:.3g} at least, by enclosures"
    )
    return ContradictionError(
        f"{claim.property} of {claim.output} under the shift {fact.shift} is proved, but the compiled program {how} "
        f"({trial.draw} weights, seed {trial.seed}, {trial.dtype}). One of the two is wrong, and none is chosen: this "
        "is a defect of shiftproof.",
        report,
    )
