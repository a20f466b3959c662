"""C6, D3, D4: what training on real digits shows. These are measurements: seeds and error bars, and no proof."""

import functools
from collections import Counter
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

import shiftproof as sp
from proofs.claims import training
from proofs.claims.audit import Audit
from proofs.claims.claim import Claim, Evidence, Findings, Statement
from proofs.claims.models import parameters
from proofs.claims.pictures import accuracy_maps, gap_figure, kept_maps, three_positions
from shiftproof.report.html import Picture
from shiftproof.sweeping.result import Status
from shiftproof.training import accuracy, fit, scores

SHIFTS = ((0, 0), (0, 1), (2, 2))
"""The three positions: at rest, off the stride, on the stride."""
ERRORS = 2.0
"""A difference counts as seen where it exceeds so many standard errors."""

CNN1, CNN2, DENSE = training.KINDS


class Difference(NamedTuple):
    """A difference over seeds, in points, and whether it stands above its error."""

    word: Literal["borne out", "not seen", "the reverse is seen"]
    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ± {self.error:.1f}"


def differs(differences: np.ndarray) -> Difference:
    """Whether differences, one for each seed and positive where a claim is right, stand above their error."""
    mean = 100 * float(differences.mean())
    error = 100 * float(differences.std(ddof=1) / np.sqrt(len(differences)))
    if abs(mean) <= ERRORS * error:
        return Difference("not seen", mean, error)
    return Difference("borne out" if mean > 0 else "the reverse is seen", mean, error)


# --- D3 ---


def _overfitting(audit: Audit) -> Findings:
    sizes = (50, 200) if audit.quick else (50, 100, 200, 400, 800)
    seeds, steps = audit.seeds, min(audit.steps, 300)
    kinds = {
        "CNN": training.convolutional,
        "dense net": training.dense,
        "narrow dense net": functools.partial(training.dense, hidden=13),
    }
    gaps = {
        name: measure_gaps(make, sizes, seeds=seeds, steps=steps) for name, make in kinds.items()
    }
    held = {name: parameters(make(0)) for name, make in kinds.items()}
    evidence, columns = [], {}
    for key, other in (("gap", "CNN"), ("width", "narrow dense net")):
        found = [differs(column) for column in (gaps["dense net"] - gaps[other]).T]
        words = Counter(difference.word for difference in found)
        said = ", ".join(f"{word} at {count}" for word, count in words.items())
        text = (
            f"that the dense net ({held['dense net']:,} parameters) overfits more than the {other} "
            f"({held[other]:,}) is "
            f"{said} of {len(sizes)} numbers of training images, {seeds} seeds each"
        )
        evidence.append(Evidence(key, "training", "measured", text))
        columns[f"dense − {other}"] = [f"{difference}, {difference.word}" for difference in found]
    rows = tuple((str(size), *cells) for size, *cells in zip(sizes, *columns.values(), strict=True))
    title = "Difference of the gaps in points, mean ± standard error"
    table = (title, ("images", *columns), rows)
    return Findings(tuple(evidence), (gap_figure(sizes, gaps),), (table,))


def measure_gaps(make: Any, sizes: tuple[int, ...], *, seeds: int, steps: int) -> np.ndarray:
    """Train minus test accuracy: (seeds, sizes)."""
    gaps = np.zeros((seeds, len(sizes)))
    for seed in range(seeds):
        for column, size in enumerate(sizes):
            part = training.sample(seed, train=size, test=400)
            images = training.placed(part.train)
            model = fit(make(seed), images, part.train_labels, seed=seed, steps=steps)
            seen = accuracy(model, images, part.train_labels)
            unseen = accuracy(model, training.placed(part.test), part.test_labels)
            gaps[seed, column] = seen - unseen
    return gaps


# --- D4 ---


def _positions(audit: Audit) -> Findings:
    maps = audit.trained.maps
    middle = training.MIDDLE
    loss = {
        name: found[:, middle, middle] - found.mean(axis=(1, 2)) for name, found in maps.items()
    }
    spread = {name: np.ptp(found, axis=(1, 2)) for name, found in maps.items()}
    flat = bool(np.all(spread[CNN1] == 0))
    text = (
        f"the accuracy of the {CNN1} varies by {100 * spread[CNN1].max():.1f} points over all 81 "
        "placements, in any seed"
        f"{': a shift costs it nothing' if flat else ''}"
    )
    return Findings(
        (
            *(
                Evidence(
                    "map", "training", "measured", _loss(name, differs(loss[DENSE] - loss[name]))
                )
                for name in (CNN1, CNN2)
            ),
            Evidence("map", "training", "measured", text),
        ),
        (accuracy_maps(maps),),
    )


def _loss(name: str, found: Difference) -> str:
    return f"{found.word}: from the middle to everywhere the dense net loses {found} points more than the {name}"


# --- C6 ---


def _figure_one(audit: Audit) -> Findings:
    trained = audit.trained
    cnn, dense = trained.models[CNN2][0], trained.models[DENSE][0]
    part = trained.samples[0]
    right = [
        scores(model, training.placed(part.test)).argmax(axis=1) == part.test_labels
        for model in (cnn, dense)
    ]
    number = int(np.flatnonzero(np.all(right, axis=0))[0])
    image, digit = training.placed(part.test[[number]])[0], int(part.test_labels[number])
    images = np.stack([np.roll(image, shift, (0, 1)) for shift in SHIFTS])
    evidence, kept = [], {}
    for name, model in ((CNN2, cnn), (DENSE, dense)):
        result = sp.sweep(model, image[None], weights="these", name=name)
        agreement = result.agreement[result.index(-1)]
        invariance = result.count("invariance")
        equal = result.status("invariance") == Status.EQUAL
        kept[name] = agreement + (equal & (agreement > 0))
        evidence.append(
            Evidence(
                "map",
                "training",
                "measured",
                f"{name}, a {digit} at all {agreement.size} shifts of the torus: the class stays under "
                f"{int(agreement.sum())}, "
                f"the scores under {invariance.equal}",
            )
        )
    moved = {name: scores(model, images) for name, model in ((CNN2, cnn), (DENSE, dense))}
    labels = {
        name: ", ".join(map(str, values.argmax(axis=1).tolist())) for name, values in moved.items()
    }
    text = f"a {digit} at the shifts {', '.join(map(str, SHIFTS))} is called " + "; ".join(
        f"{words} by the {name}" for name, words in labels.items()
    )
    evidence.append(Evidence("panel", "training", "measured", text))
    return Findings(tuple(evidence), (*panels(cnn, dense, images), kept_maps(kept)))


def panels(cnn: Any, dense: Any, images: np.ndarray) -> tuple[Picture, Picture]:
    """Figure 1: image and maps, and the scores, at the three positions."""
    maps: dict[str, Any] = {"image": tuple(images[..., 0])}
    notes: dict[str, Any] = {}
    for name, value in zip(
        ("conv", "pool", "conv 2"), cnn.features(jnp.asarray(images)), strict=True
    ):
        values = np.asarray(value)
        best = int(values[0].sum(axis=(0, 1)).argmax())
        maps[name] = tuple(values[..., best])
        moved = (_moved(values[0], values[i], SHIFTS[i], len(images[0])) for i in (1, 2))
        notes[name] = ["", *moved]
    bars: dict[str, Any] = {}
    for name, model in (("scores of the CNN", cnn), ("of the dense net", dense)):
        values = scores(model, images)
        bars[name] = tuple(values)
        notes[name] = ["", *(_same(values[0], values[i]) for i in (1, 2))]
    return (
        three_positions(
            SHIFTS,
            maps,
            notes,
            words=(
                "A digit at three positions, and maps of a CNN that move along or change.",
                "One test digit at three positions, and a channel after each stage of the CNN. = is "
                "equal in every bit to "
                "the map at shift 0, moved.",
            ),
        ),
        three_positions(
            SHIFTS,
            bars,
            notes,
            words=(
                "Bars of the ten scores of a CNN and of a dense net at three positions.",
                "The ten scores (softmax) at the same positions, the largest in black. = is equal in "
                "every bit to those at "
                "shift 0.",
            ),
        ),
    )


def _moved(still: np.ndarray, moved: np.ndarray, shift: tuple[int, int], size: int) -> str:
    """Whether a map is a moved copy of that at rest."""
    jump = size // len(still)
    if any(step % jump for step in shift):
        return "no copy"
    copy = np.roll(still, [step // jump for step in shift], (0, 1))
    gap = float(np.abs(moved - copy).max())
    return "= moved" if gap == 0 else "≈ moved" if gap < 1e-4 * np.abs(still).max() else "no copy"


def _same(still: np.ndarray, moved: np.ndarray) -> str:
    gap = float(np.abs(moved - still).max())
    return "= equal" if gap == 0 else "≈ equal" if gap < 1e-4 * np.abs(still).max() else "differs"


C6 = Claim(
    "C6",
    "The three images of Figure 1: one digit at three positions.",
    (
        Statement(
            "panel",
            "Activations and scores of a trained CNN and of a dense net for a real digit at three positions.",
            role="figure",
            needs=frozenset({"training"}),
        ),
        Statement(
            "map",
            "Scores and classes over every placement of the torus.",
            role="figure",
            needs=frozenset({"training"}),
        ),
    ),
    _figure_one,
    "Off the stride the CNN's maps are no copies of anything; on the stride they are, and its scores are the same. The "
    "dense net sees three unrelated images.",
)
D3 = Claim(
    "D3",
    "Fewer parameters, less overfitting.",
    (
        Statement(
            "gap",
            "The gap between training and test accuracy of a CNN and a dense net against the number of "
            "training images.",
            role="figure",
            needs=frozenset({"training"}),
        ),
        Statement(
            "width",
            "The same for two dense nets, one of them with as few parameters as the CNN.",
            role="figure",
            needs=frozenset({"training"}),
        ),
    ),
    _overfitting,
)
D4 = Claim(
    "D4",
    "Weight sharing carries a learnt feature to all positions.",
    (
        Statement(
            "map",
            "Trained on digits in the middle alone: accuracy at every placement, CNN against dense net.",
            role="figure",
            needs=frozenset({"training"}),
        ),
    ),
    _positions,
    "With a pool of stride 1 the shared weights carry over exactly. With stride 2 they carry over to "
    "every second place, "
    "as B3 says, and in between the features are seen through a grid they were not learnt on.",
)
