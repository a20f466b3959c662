"""The sweeps of the demo, and what `results.json` holds of them."""

import concurrent.futures
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from shiftproof.deciding.verdict import Verdict
from shiftproof.deciding.verify import verify
from shiftproof.demo.train import GRAIN, Network, Plan, Stage
from shiftproof.report.tables import labels_text, question_of
from shiftproof.sweeping.result import Status, Sweep
from shiftproof.sweeping.sweep import sweep
from shiftproof.training import Digits

SCHEMA = "shiftproof.demo/3"


class Swept(NamedTuple):
    """A network and its sweeps.

    Attributes:
        network: trained and rounded.
        verdict: every shift of the architecture decided, for all weights.
        architecture: integer probes and weights, law `stride`: what holds whatever was trained.
        digit: the trained network on the pictured image; law `any` where pools are strided, so
            that every shift has a deviation.
        placed: the trained network on test images at every place of an empty background.
    """

    network: Network
    verdict: Verdict
    architecture: Sweep
    digit: Sweep
    placed: Sweep


def sweep_all(
    networks: Sequence[Network],
    plan: Plan,
    digits: Digits,
    *,
    picture: np.ndarray,
    seed: int,
    stage: Stage,
) -> Iterator[Swept]:
    """The sweeps of one network after the other, two networks at a time.

    Half of a sweep is compilation on one core, which a second thread can use the other for.
    """

    shape = (plan.canvas, plan.canvas, 1)

    def sweep_one(network: Network) -> Swept:
        name, model, variant = network.variant.name, network.model, network.variant
        verdict = verify(model, shape, property="invariance", name=name, seed=seed)
        stage(f"{name}, decided: scores invariant {verdict.invariance}")
        architecture = sweep(model, shape, name=name, seed=seed)
        stage(f"{name}, integers: scores invariant {architecture.count('invariance')}")
        # where nothing is strided the laws `stride` and `same` say all, at a fraction of the work
        # of `any`
        law = "any" if variant.pool_stride == 2 else "stride"
        digit = sweep(model, picture, law=law, name=name)
        stage(f"{name}, one image: scores invariant {digit.count('invariance')}")
        images = digits.test[: plan.placed]
        placed = sweep(model, images, boundary="background", layers=[], dtype="float32", name=name)
        stage(f"{name}, placed: {labels_text(placed, -1)} of labels kept")
        return Swept(network, verdict, architecture, digit, placed)

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        yield from pool.map(sweep_one, networks)


def count_stages(plan: Plan) -> int:
    """How many stages training and sweeping this plan have."""
    return 5 * len(plan.variants)


def pictured(swept: Mapping[str, Swept]) -> Swept:
    """The network whose layers Figure 1 shows: the first that has any with a grid, else the last."""
    *others, last = swept.values()
    return next((one for one in others if one.network.variant.padding is not None), last)


# --- results ---


def results_of(
    swept: Mapping[str, Swept], digits: Digits, *, about: str, seed: int
) -> dict[str, Any]:
    """What `results.json` holds: lists for tuples, as JSON would give it back."""
    results = {
        "schema": SCHEMA,
        "summary": f"{proved_sentence(swept)} {placed_sentence(swept)}",
        "images": digits.source,
        "pictured": about,
        "layers_of": pictured(swept).network.variant.name,
        "seed": seed,
        "grain": GRAIN,
        "networks": [_network_results(one) for one in swept.values()],
    }
    return msgspec.json.decode(msgspec.json.encode(results))


def _network_results(swept: Swept) -> dict[str, Any]:
    network, placed = swept.network, swept.placed
    return {
        "name": network.variant.name,
        "parameters": network.parameters,
        "accuracy_trained": network.trained,
        "accuracy_rounded": network.rounded,
        "labels_kept": _share_kept(placed),
        "agreement": _agreement(swept),
        "verdict": swept.verdict.to_dict() | {"seconds": {}},  # the same seed gives the same file
        "architecture": swept.architecture.to_json(),
        "digit": swept.digit.to_json(),
        "placed": placed.to_json(),
    }


def _share_kept(placed: Sweep) -> float:
    """Over all images and placements; 1 is all."""
    return float(np.mean(placed.agreement[-1])) / placed.header.images


def _agreement(swept: Swept) -> dict[str, Any]:
    """Layer by layer: whether what holds for the architecture held on the image too.

    Only layers that are exact in both count. A trained network may pass more shifts, on one image
    and by accident, but never fewer.
    """
    known = {layer.name: layer for layer in swept.digit.layers if layer.exact}
    shared = [x for x in swept.architecture.layers if x.exact and x.name in known]
    pairs = {
        layer.name: [
            one.status(question_of(layer), layer.name) == Status.EQUAL
            for one in (swept.architecture, swept.digit)
        ]
        for layer in shared
    }
    return {
        "layers": list(pairs),
        "contradicted": [n for n, (general, seen) in pairs.items() if np.any(general & ~seen)],
        "identical": [n for n, (general, seen) in pairs.items() if np.array_equal(general, seen)],
    }


def proved_sentence(swept: Mapping[str, Swept]) -> str:
    """Whose class scores survive how many shifts, proved."""
    found = {name: one.verdict.invariance for name, one in swept.items()}
    kept = _kept_words({n: v.proved for n, v in found.items()}, next(iter(found.values())).total)
    return f"Proved for every image, class scores stay the same {kept}."


def moved_sentence(swept: Mapping[str, Swept]) -> str:
    """How many shifts leave the scores of the image as they are, and how far the others move them at most."""
    found = {name: one.digit for name, one in swept.items()}
    counts = {name: sweep.count("invariance") for name, sweep in found.items()}
    kept = _kept_words({n: c.equal for n, c in counts.items()}, next(iter(counts.values())).total)
    most = {n: float(np.nanmax(sweep.invariance[sweep.index(-1)])) for n, sweep in found.items()}
    worst = max(most, key=lambda name: most[name])
    return f"They stay as they are {kept}. The others move them, by up to {most[worst]:.2g} in {worst}."


def _kept_words(counts: Mapping[str, int], total: int) -> str:
    """Such as `under all 784 shifts in one network and under no shift but 0 in 8 of 9 networks`."""
    groups: dict[int, list[str]] = {}
    for name, count in counts.items():
        groups.setdefault(count, []).append(name)
    *first, last = (
        f"under {_shifts_words(count, total)} in {_few(names, len(counts))}"
        for count, names in sorted(groups.items(), reverse=True)
    )
    return f"{', '.join(first)} and {last}" if first else last


def _shifts_words(count: int, total: int) -> str:
    if count == total:
        return f"all {total} shifts"
    # shift 0 keeps everything, which is no finding
    return f"{count} of {total} shifts" if count > 1 else "no shift but 0"


def _few(names: Sequence[str], total: int) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} of {total} networks"


def placed_sentence(swept: Mapping[str, Swept]) -> str:
    """How often the label is kept, in the worst network and in the best."""
    placed = {name: one.placed for name, one in swept.items()}
    first = next(iter(placed.values()))
    ends = [pick(placed, key=lambda name: _share_kept(placed[name])) for pick in (min, max)]
    kept = [f"{labels_text(placed[name], -1)} ({name})" for name in dict.fromkeys(ends)]
    return (
        f"When {first.header.images} real digits are moved to all {first.count('invariance').total} places inside "
        f"the frame, the label stays what it was in {' to '.join(kept)} of the cases."
    )
