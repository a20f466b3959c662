"""A1, A2: what a shift is, and the two things that a function may do with it."""

import itertools

import numpy as np
from flax import nnx

import shiftproof as sp
from proofs.claims.audit import Audit, counted
from proofs.claims.claim import Claim, Evidence, Findings, Statement
from proofs.claims.models import Decoder
from shiftproof.zoo.pitfalls import mean_of_circular


def _translation(audit: Audit) -> Findings:
    sizes = ((2, 3), (3, 3)) if audit.quick else ((1, 1), (2, 3), (4, 4), (5, 3), (6, 4))
    wrong = [n for n in sizes if not acts(n, "torus")]
    pairs = sum(int(np.prod(n)) ** 2 for n in sizes)
    text = (
        f"all {pairs} pairs of shifts of {len(sizes)} tori with a different number in every pixel"
    )
    return Findings(
        (
            *audit.theorems("action", "shifts add", "shifts_act_as_group", "torus_of_shifts"),
            counted("action", not wrong, text, kind="sweep"),
            _lost_content(),
            *audit.theorems("inside", "there and back on a frame", "frames_act_while_inside"),
            counted("inside", *_kept_content(5)),
        )
    )


def acts(sizes: tuple[int, int], boundary: str) -> bool:
    """Whether shifts of a frame with that boundary compose as they add, all pairs tried."""
    image = np.arange(1, 1 + np.prod(sizes)).reshape(sizes)

    def moved(x: np.ndarray, shift: tuple[int, ...]) -> np.ndarray:
        return np.asarray(sp.translate(x, shift, axes=(0, 1), boundary=boundary))  # type: ignore[arg-type]

    shifts = list(itertools.product(*map(range, sizes)))
    once = {shift: moved(image, shift) for shift in shifts}
    for first, second in itertools.product(shifts, repeat=2):
        total = tuple(a + b for a, b in zip(first, second, strict=True))
        if not np.array_equal(moved(once[first], second), moved(image, total)):
            return False
        if boundary != "torus":
            back = moved(once[first], tuple(-step for step in first))
            if not np.array_equal(back, image):
                return False
    return np.array_equal(once[0, 0], image)


def _lost_content() -> Evidence:
    image = np.array([[0, 0, 7]])
    away = sp.translate(image, (0, 1), axes=(0, 1), boundary="background")
    back = np.asarray(sp.translate(away, (0, -1), axes=(0, 1), boundary="background"))
    word = "holds" if np.array_equal(back, image) else "fails"
    text = f"the row {image[0].tolist()} shifted by 1 and back is {back[0].tolist()}: the 7 has left the frame"
    return Evidence("frame", "counterexample", word, text)


def _kept_content(size: int) -> tuple[bool, str]:
    """Zero fill loses a pixel exactly where it leaves the frame; linear, so single pixels decide."""
    tried = 0
    for pixel, step in itertools.product(range(size), range(-size, size + 1)):
        image = np.eye(1, size, pixel, dtype=int)
        away = sp.translate(image, (step,), axes=(1,), boundary="background")
        back = np.asarray(sp.translate(away, (-step,), axes=(1,), boundary="background"))
        tried += 1
        if np.array_equal(back, image) != (0 <= pixel + step < size):
            return False, f"pixel {pixel} under {step}"
    return (
        True,
        f"{tried} pixels and steps on a frame of {size}: lost exactly where the pixel leaves",
    )


def _independence(audit: Audit) -> Findings:
    conv = nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0))
    decoder, shape = Decoder(rngs=nnx.Rngs(0)), (6, 6, 1)
    return Findings(
        (
            *audit.theorems("one way", "equivariance_and_invariance_differ"),
            audit.lattice("one way", conv, shape, steps=(1, 1), name="conv"),
            audit.lattice("one way", conv, shape, steps=(6, 6), name="conv", property="invariance"),
            audit.lattice(
                "other way", decoder, shape, steps=(1, 1), name="decoder", property="invariance"
            ),
            audit.lattice("other way", decoder, shape, steps=(6, 6), name="decoder", law="same"),
            *audit.theorems(
                "pooled",
                "whole periods",
                "full_reductions_are_invariant",
                "image_reductions_are_invariant",
                "invariant_after_equivariant",
            ),
            audit.lattice(
                "pooled",
                mean_of_circular(),
                shape,
                steps=(1, 1),
                name="mean of a convolution",
                property="invariance",
            ),
        )
    )


A1 = Claim(
    "A1",
    "$(T_Δ x)(u) = x(u − Δ)$ shifts an image without altering its structure.",
    (
        Statement(
            "action",
            "Shifts act: $T_0 = id$ and $T_Δ T_Γ = T_{Δ+Γ}$, on $ℤ^d$ and on every torus.",
            needs=frozenset({"theorem", "sweep"}),
            case="on the grid and the torus",
        ),
        Statement(
            "frame",
            "On a frame with zero fill too: $T_{−Δ} T_Δ x = x$ for all $x$.",
            case="on a frame",
        ),
        Statement(
            "inside",
            "On a frame: $T_{−Δ} T_Δ x = x$ where all content of $x$ stays inside under $Δ$.",
            role="condition",
            needs=frozenset({"theorem", "count"}),
            case="on a frame",
        ),
    ),
    _translation,
    "On a torus nothing is lost, so shifts form a group and everything below can speak of lattices. On a frame a shift "
    "is no bijection: what leaves does not return.",
    condition="content stays inside the frame",
)
A2 = Claim(
    "A2",
    "Equivariance and invariance are different properties.",
    (
        Statement(
            "one way",
            "An equivariant map, $f(T_Δ x) = T_Δ f(x)$ for all $Δ$, need not be invariant.",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "other way",
            "An invariant map, $f(T_Δ x) = f(x)$ for all $Δ$, need not satisfy $f(T_Δ x) = T_Δ f(x)$.",
            needs=frozenset({"verdict"}),
        ),
        Statement(
            "pooled",
            "If $f$ is equivariant, then $f$ followed by global pooling is invariant.",
            needs=frozenset({"theorem", "verdict"}),
        ),
    ),
    _independence,
    "The output shift matters: if any $Δ'$ may serve, invariance is the case $Δ' = 0$ of equivariance. The witness "
    "draws a picture from the mean of the image: it never changes, so it does not move along.",
)
