"""B4, C1, C4, C5: what becomes of the shifts in whole networks."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from flax import nnx

from proofs.claims import models
from proofs.claims.audit import Audit, counted, filled, outputs
from proofs.claims.claim import Claim, Evidence, Findings, Statement
from proofs.claims.models import STAGES, Prefix
from proofs.claims.pictures import chain
from shiftproof import layers
from shiftproof.deciding.words import Word
from shiftproof.zoo import LeNet
from shiftproof.zoo.pitfalls import PITFALLS


def lenet(audit: Audit, *, head: str, stride: int) -> tuple[LeNet, tuple[int, int, int]]:
    """A circular LeNet and the shape of its images; small where the audit is quick."""
    size, width = (12, 2) if audit.quick else (28, 4)
    head_: Any = head
    model = LeNet(head=head_, pool_stride=stride, size=size, width=width, rngs=nnx.Rngs(0))
    return model, (size, size, 1)


# --- B4 ---

SHORT = ("1 conv", "2 pool, stride 2", "3 conv", "4 pool, stride 2", "5 global mean")


def _chain(audit: Audit) -> Findings:
    size = 12 if audit.quick else 28
    evidence, rows, masks, notes = [], [], [], []
    steps = (1, 2, 2, 4, 4)
    for depth, name in enumerate(STAGES, start=1):
        model, last = Prefix(depth, rngs=nnx.Rngs(0)), depth == len(STAGES)
        kind: Any = "invariance" if last else "equivariance"
        stage = f"{depth} {name}"
        piece, found = audit.decide(
            "rows", model, (size, size, 1), steps=(steps[depth - 1],) * 2, name=stage, property=kind
        )
        evidence.append(piece)
        rows.append((stage, kind, str(found.lattice), str(found.proved), str(found.refuted)))
        masks.append(found.map == Word.PROVED)
        notes.append(str(found.lattice))
    table = (
        "The lattice, stage by stage",
        ("up to", "property", "lattice", "proved", "refuted"),
        tuple(rows),
    )
    return Findings(tuple(evidence), (chain(SHORT, masks, notes),), (table,))


# --- C1, C5 ---


def _stride_one(audit: Audit) -> Findings:
    model, shape = lenet(audit, head="global", stride=1)
    flat, _ = lenet(audit, head="flatten", stride=1)
    sizes = shape[:2]
    pools = [
        audit.lattice(
            "activations",
            functools.partial(_trunk, window=window),
            (6, 6, 1),
            steps=(1, 1),
            name=f"max pool {window}×{window}, stride 1",
        )
        for window in (2, 3)
    ]
    return Findings(
        (
            audit.lattice(
                "identical",
                Prefix(1, rngs=nnx.Rngs(0)),
                (6, 6, 1),
                steps=(6, 6),
                name="activations of a circular convolution",
                property="invariance",
            ),
            audit.contradicts("never", model, shape, name="LeNet, stride 1, global mean"),
            *audit.theorems(
                "activations", "windows see the same", "windows_move", "maps_move", "laws_compose"
            ),
            *pools,
            audit.lattice(
                "global",
                model,
                shape,
                steps=(1, 1),
                name="LeNet, stride 1, global mean",
                property="invariance",
            ),
            audit.lattice(
                "flatten",
                flat,
                shape,
                steps=sizes,
                name="LeNet, stride 1, flatten",
                property="invariance",
            ),
        )
    )


def _trunk(x: Any, *, window: int) -> Any:
    return layers.max_pool(nnx.relu(x), window)


def _strided(audit: Audit) -> Findings:
    flat, shape = lenet(audit, head="flatten", stride=2)
    pooled, _ = lenet(audit, head="global", stride=2)
    one, _ = lenet(audit, head="global", stride=1)
    prefix = Prefix(4, rngs=nnx.Rngs(0))
    return Findings(
        (
            audit.contradicts("every", one, shape, name="LeNet, stride 1, global mean"),
            audit.lattice(
                "equivariant",
                prefix,
                shape,
                steps=(4, 4),
                name="activations after two pools of stride 2",
            ),
            audit.lattice(
                "invariant",
                flat,
                shape,
                steps=shape[:2],
                name="LeNet, stride 2, flatten",
                property="invariance",
            ),
            audit.lattice(
                "invariant",
                pooled,
                shape,
                steps=(4, 4),
                name="LeNet, stride 2, global mean",
                property="invariance",
            ),
        )
    )


# --- C4 ---


COUNTER: dict[str, Callable] = {
    "average pooling, then global mean": models.average_then_mean,
    "max pooling, then global max": models.maximum_then_maximum,
    "blur 1 2 1, then global mean": models.blur_then_mean,
}


def _irreversible(audit: Audit) -> Findings:
    shape = (6, 8, 2)
    examples = [
        audit.contradicts("law", model, shape, name=name) for name, model in COUNTER.items()
    ]
    return Findings(
        (
            counted("fields", *receptive_fields()),
            *examples,
            *polyphase(audit),
            *audit.theorems("polyphase", "a unique phase is found again"),
            tied(),
            audit.lattice(
                "break",
                models.lopsided_blur_then_mean,
                shape,
                steps=(2, 2),
                name="blur 1 3 1, then global mean",
                property="invariance",
            ),
            audit.program("break", PITFALLS["pool-stride"].repaired, name="max pool 2×2, stride 2"),
        ),
        tables=(field_table(),),
    )


LAYERS = (
    ("conv 5×5", 5, 1),
    ("max pool 2×2, stride 2", 2, 2),
    ("conv 5×5", 5, 1),
    ("max pool 2×2, stride 2", 2, 2),
)


def fields() -> list[tuple[str, int, int]]:
    """Receptive field and jump after each layer: `r + (k - 1) j` and `j s`."""
    field, jump, found = 1, 1, []
    for name, window, stride in LAYERS:
        field, jump = field + (window - 1) * jump, jump * stride
        found.append((name, field, jump))
    return found


def field_table() -> tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Receptive fields as a table."""
    rows = tuple((name, f"{field} × {field}", str(jump)) for name, field, jump in fields())
    return "Receptive field and jump, in pixels", ("up to", "receptive field", "jump"), rows


def receptive_fields() -> tuple[bool, str]:
    """Whether the compiled network does what the formula says: pixels that move a cell, and its neighbour's."""
    for depth, (name, field, jump) in enumerate(fields(), start=1):
        model, size = filled(Prefix(depth, widths=(1, 1), rngs=nnx.Rngs(0)), low=1, high=3), 48
        images = np.zeros((size, size, size, 1), np.float32)
        images[np.arange(size), size // 2, np.arange(size)] = (
            1  # one column each, in the middle row
        )
        still = outputs(model, np.zeros((1, size, size, 1), np.float32))[0]
        moved = np.any(outputs(model, images) != still, axis=(1, 3))
        cell = moved.shape[1] // 2
        first, second = np.flatnonzero(moved[:, cell]), np.flatnonzero(moved[:, cell + 1])
        if (len(first), second[0] - first[0]) != (field, jump) or np.ptp(first) + 1 != field:
            return False, f"{name}: {len(first)} pixels, jump {second[0] - first[0]}"
    last = fields()[-1]
    return True, (
        "on the compiled network one bright pixel after another: the formula is met after every layer, "
        "up to a field of "
        f"{last[1]} pixels and a jump of {last[2]}"
    )


def polyphase(audit: Audit) -> tuple[Evidence, ...]:
    """All shifts of random integer images, whose four phases differ in norm."""
    count, sizes = (20 if audit.quick else 200), (6, 8)
    images = np.random.default_rng(0).integers(-8, 9, (count, *sizes, 2)).astype(np.float32)
    images = np.stack([image for image in images if _norms_differ(image)])
    still, bad = outputs(models.polyphase_then_mean, images), []
    for shift in itertools.product(*map(range, sizes)):
        moved = outputs(models.polyphase_then_mean, np.roll(images, shift, (1, 2)))
        # the mean divides the same exact sum by the same number, so equal means equal
        if not np.array_equal(moved, still):
            bad.append(shift)
    word = "fails" if bad else "holds"
    text = f"polyphase selection, then global mean: {len(images)} integer images without ties, all shifts"
    return (
        Evidence(
            "polyphase",
            "sweep",
            word,
            f"{text}: {'equal in every bit' if not bad else f'differs under {bad[0]}'}",
        ),
        *(
            (Evidence("law", "sweep", "fails", f"{text}: the scores never change"),)
            if not bad
            else ()
        ),
    )


def _norms_differ(image: np.ndarray) -> bool:
    norms = [(image[i::2, j::2] ** 2).sum() for i, j in itertools.product(range(2), repeat=2)]
    return len(set(norms)) == len(norms)


def tied() -> Evidence:
    """An image whose phases have one norm and other means: the choice depends on their order."""
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, 0, 0], image[0, 0, 1], image[0, 1, 0], image[0, 1, 1] = 2, -2, 2, -2
    still, moved = (
        float(outputs(models.polyphase_then_mean, x)[0, 0]) for x in (image, np.roll(image, 1, 2))
    )
    word = "holds" if still != moved else "fails"
    return Evidence(
        "ties",
        "counterexample",
        word,
        f"four phases of equal norm: the score is {still} and, shifted by (0, 1), {moved}",
    )


B4 = Claim(
    "B4",
    "Convolution early, pooling deep: abstraction comes gradually.",
    (
        Statement(
            "rows",
            "The lattice of proved shifts after each stage of a network, each row proved by certificate and exact by "
            "counterexamples.",
            role="figure",
            needs=frozenset({"verdict"}),
        ),
    ),
    _chain,
    "Each pool of stride 2 halves the lattice on both axes. The mean at the end turns what is left of "
    "equivariance into "
    "invariance, and adds nothing to it.",
)
C1 = Claim(
    "C1",
    "A CNN with max pooling (2×2 or 3×3, stride 1) does not give identical activations or class scores "
    "for shifted inputs.",
    (
        Statement("identical", "The activations are not identical.", needs=frozenset({"verdict"})),
        Statement("never", "The class scores are not identical, whatever the head."),
        Statement(
            "activations",
            "Circular, stride 1: the activations are exact shifted copies, for every shift.",
            role="condition",
            needs=frozenset({"theorem", "verdict"}),
        ),
        Statement(
            "global",
            "With a head that pools over all positions, the scores are identical under every shift.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "flatten",
            "With flatten and a dense layer they are identical under none but 0.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
    ),
    _stride_one,
    "The usual answer argues as if the stride were above 1. With the stride of 1 that the question names, the "
    "activations only move, and the head decides.",
    condition="circular, stride 1: activations follow every shift; scores keep every shift with global "
    "pooling, 0 alone with flatten",
)
C4 = Claim(
    "C4",
    "Deeper layers see more and are more robust, but misalignment is irreversible.",
    (
        Statement(
            "fields",
            "After each layer the receptive field is $r + (k − 1) j$ and the jump $j s$.",
            role="figure",
            needs=frozenset({"count"}),
            case="receptive fields",
        ),
        Statement(
            "law",
            "What a strided layer has misaligned no later layer aligns: no network with a layer of "
            "stride 2 is invariant "
            "under every shift.",
            case="as a law",
        ),
        Statement(
            "polyphase",
            "Choosing the phase of largest norm, then the mean: invariant under every shift, for images without ties.",
            needs=frozenset({"theorem", "sweep"}),
            case="polyphase except on ties",
        ),
        Statement(
            "ties",
            "With ties it is not.",
            needs=frozenset({"counterexample"}),
            case="polyphase except on ties",
        ),
        Statement(
            "break",
            "The layers do misalign: on their own, and with taps of unequal sums, only $2ℤ × 2ℤ$ is left.",
            needs=frozenset({"verdict"}),
            case="polyphase except on ties",
        ),
    ),
    _irreversible,
    "A verdict on a network is not the worst verdict of its layers. Average pooling and then the mean "
    "over everything is "
    "the mean over everything.",
)
C5 = Claim(
    "C5",
    "Therefore a CNN with standard max pooling is neither fully equivariant nor invariant.",
    (
        Statement("every", "No CNN with max pooling is invariant under every shift."),
        Statement(
            "equivariant",
            "With two pools of stride 2: the activations follow exactly $4ℤ × 4ℤ$.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "invariant",
            "Then its scores keep exactly $4ℤ × 4ℤ$ with a global mean, and shift 0 alone with flatten.",
            role="condition",
            needs=frozenset({"verdict"}),
        ),
    ),
    _strided,
    "It depends on the stride, not on the pool: with stride 1 and a global mean the same network is "
    "invariant under every "
    "shift.",
    condition="pools of stride above 1; here two of stride 2: exactly $4ℤ × 4ℤ$",
)
