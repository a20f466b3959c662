"""The audit's tools: theorems by name, verdicts on Flax models with their files, and what several claims share."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import shiftproof as sp
from proofs.claims.claim import Evidence, Kind, Word
from proofs.claims.training import Trained, train_all
from proofs.outcome import Outcome
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verdict import Verdict
from shiftproof.errors import InputError
from shiftproof.zoo.pitfalls import Program
from shiftproof_kernel import check

Property = Literal["equivariance", "invariance"]

METHODS = ("identity", "z3", "cvc5", "coq")
"""Methods that prove; the others are about proofs, such as twins."""
WINDOWS = ("windows see the same", "stride moves", "windows_move", "image_windows_move")
"""Theorems by which any function of a window follows the shifts that are multiples of its stride."""
STRIDES = (
    "windows see the same",
    "a proper window is moved",
    "stride, exact",
    "strides_on_any_torus",
    "pooling_moves_by_multiples_only",
    "stride_that_does_not_divide",
    "image_strides_need_multiples",
)
"""Theorems by which it follows no others."""


@dataclasses.dataclass(frozen=True, eq=False)
class Audit:
    """What evidence functions are given.

    Attributes:
        outcomes: of all theorems, proved by whatever tool there is.
        quick: take small sizes.
        steps: of a training; 0 for as many as the sizes want.
    """

    outcomes: tuple[Outcome, ...]
    quick: bool = False
    steps: int = 0

    def __post_init__(self) -> None:
        if not self.steps:
            object.__setattr__(self, "steps", 150 if self.quick else 500)

    @property
    def seeds(self) -> int:
        """How often a training is repeated."""
        return 2 if self.quick else 5

    @functools.cached_property
    def trained(self) -> Trained:
        """Two CNNs and a dense net for each seed, trained on centred digits; several claims look at them."""
        return train_all(seeds=self.seeds, steps=self.steps)

    def theorems(self, about: str, *names: str) -> tuple[Evidence, ...]:
        """Evidence by theorems, a piece for each; one holds if some method proves it and none fails.

        Args:
            about: key of the statement.
            names: of the theorems.
        """
        return tuple(self._theorem(about, name) for name in names)

    def _theorem(self, about: str, name: str) -> Evidence:
        tried = [outcome for outcome in self.outcomes if outcome.name == name]
        proved = [o for o in tried if o.status == "proved" and o.method in METHODS]
        failed = [outcome for outcome in tried if outcome.status == "failed"]
        if failed:
            text = f"{name}: {failed[0].method} fails: {failed[0].detail}"
            return Evidence(about, "theorem", "undecided", text)
        if proved:
            methods = ", ".join(dict.fromkeys(outcome.method for outcome in proved))
            return Evidence(about, "theorem", "holds", f"{name} ({methods}): {proved[0].statement}")
        why = "; ".join(dict.fromkeys(o.detail for o in tried if o.detail))
        return Evidence(
            about, "theorem", "not run", f"{name}: {why or 'no such theorem was tried'}"
        )

    def program(
        self, about: str, program: Program, *, name: str, steps: Sequence[int] | None = None
    ) -> Evidence:
        """Evidence by a program of the pitfalls: its lattice is as the pitfall says, or as `steps` do."""
        steps = program.steps if steps is None else steps
        return self.lattice(
            about, program.make(), program.shape, steps=steps, name=name, property=program.asked
        )

    def lattice(self, about: str, model: Any, shape: Sequence[int], **asked: Any) -> Evidence:
        """Evidence by the verdict on a model; arguments as for `decide`."""
        return self.decide(about, model, shape, **asked)[0]

    def decide(
        self,
        about: str,
        model: Any,
        shape: Sequence[int],
        *,
        steps: Sequence[int],
        name: str,
        property: Property = "equivariance",
        law: Literal["any", "same"] = "any",
        weights: Literal["all", "these"] | None = None,
    ) -> tuple[Evidence, PropertyVerdict]:
        """The verdict on a model, and evidence that holds where the lattice is the product of these steps, exactly.

        Args:
            about: key of the statement.
            model: a Flax module or function.
            shape: of one image.
            steps: per axis of the grid; the size of the axis where only shift 0 is to hold.
            name: of the model; files are called after it.
            property: in question.
            law: of the output shift.
            weights: `all`, or `these` of the model; by default all that it is known to have.
        """
        verdict = sp.verify(model, shape, property=property, law=law, weights=weights, name=name)
        found = getattr(verdict, property)
        files = files_of(verdict, found, name=f"{name} {property}")
        return judged(
            about, model, found, files, steps=tuple(steps), name=name, quick=self.quick
        ), found

    def contradicts(self, about: str, model: Any, shape: Sequence[int], *, name: str) -> Evidence:
        """Evidence against a law by a model that is invariant under every shift; none where it is not."""
        steps = (1,) * (len(shape) - 1)
        piece = self.lattice(about, model, shape, steps=steps, name=name, property="invariance")
        against: Mapping[Word, Word] = {"holds": "fails", "fails": "holds"}
        return dataclasses.replace(piece, word=against.get(piece.word, piece.word))


def judged(
    about: str,
    model: Any,
    found: PropertyVerdict,
    files: Mapping[str, Any],
    *,
    steps: tuple[int, ...],
    name: str,
    quick: bool,
) -> Evidence:
    """What a verdict says of the lattice that a statement names; certificates are checked, counterexamples replayed."""
    grid = " × ".join(map(str, found.map.shape))
    what = f"{name}, {grid} shifts, {found.claim.property}: {found.lattice}"
    if found.undecided:
        reason = next(iter(found.reasons.values()), "no reason is known")
        return Evidence(
            about, "verdict", "undecided", f"{what}; {found.undecided} undecided: {reason}", files
        )
    examples = [file for path, file in files.items() if path.endswith(".npz")]
    replayed = [_is_reproduced(file, model) for file in examples[: 1 if quick else None]]
    broken = None if found.certificate is None else _broken(found)
    if broken or not all(replayed):
        why = broken or "a counterexample is not reproduced"
        return Evidence(about, "verdict", "undecided", f"{what}; {why}", files)
    right = found.lattice.steps == steps
    text = f"{what}: {_counts(found)}{_backing(found, len(examples), len(replayed))}."
    return Evidence(about, "verdict", "holds" if right else "fails", text, files)


def _is_reproduced(example: sp.Counterexample, model: Any) -> bool:
    axes = example.header.spatial_axes
    try:
        return sp.replay(example, sp.adapt(model), spatial_axes=axes).reproduced
    except InputError:  # it is about another model
        return False


def _counts(found: PropertyVerdict) -> str:
    return f"{found.proved} proved, {found.refuted} refuted"


def _backing(found: PropertyVerdict, examples: int, replayed: int) -> str:
    methods = {proof.method for proof in found.proofs}
    by = [
        words
        for method, words in {
            "kernel": "a certificate that the kernel checks",
            "identity": "an identity in the field",
        }.items()
        if method in methods
    ]
    if examples:
        by.append(f"{examples} counterexample{'s' if examples > 1 else ''} ({replayed} replayed)")
    return f"; by {' and '.join(by)}" if by else ""


def _broken(found: PropertyVerdict) -> str:
    """Why the certificate does not prove what the verdict says; "" where it does."""
    if found.certificate is None:
        return ""
    proved = check(found.certificate).proved
    kernel = all(proof.method == "kernel" for proof in found.proofs)
    if kernel and proved != found.lattice.count:
        return f"the certificate proves {proved} shifts, the verdict {found.lattice.count}"
    return ""


def files_of(verdict: Verdict, found: PropertyVerdict, *, name: str) -> dict[str, Any]:
    """Certificate, identity, and counterexamples of one property, by file name."""
    stem = slug(name)
    files: dict[str, Any] = {}
    if found.certificate is not None:
        files[f"{stem}.certificate.json"] = found.certificate
    if found.identity is not None:
        files[f"{stem}.identity.json"] = found.identity.to_dict()
    examples = [
        example
        for example in verdict.counterexamples()
        if example.header.property == found.claim.property
    ]
    for example in examples:
        steps = "_".join(map(str, example.header.shift))
        files[f"{stem}.{steps}.counterexample.npz"] = example
    return files


def slug(name: str) -> str:
    """The name with dashes, for files.

    >>> slug("max pool 2×2, stride 2")
    'max-pool-2x2-stride-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("×", "x")).strip("-")


def stride_steps(sizes: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """The lattice that the stride law predicts: `sZ` where s divides the size, only 0 elsewhere.

    >>> stride_steps((12, 7), (3, 2))
    (3, 7)
    """
    return tuple(s if n % s == 0 else n for n, s in zip(sizes, strides, strict=True))


def counted(about: str, right: bool, text: str, *, kind: Kind = "count") -> Evidence:
    """Evidence by counting: it holds or it fails."""
    return Evidence(about, kind, "holds" if right else "fails", text)


def outputs(model: Callable[[Any], Any], images: np.ndarray) -> np.ndarray:
    """The model on images, as NumPy."""
    return np.asarray(model(jnp.asarray(images, jnp.float32)))


def filled(model: Any, *, seed: int = 0, low: int = -4, high: int = 5) -> Any:
    """The Flax module with small integers for weights, so that its outputs are exact; changed in place."""
    generator = np.random.default_rng(seed)
    state = nnx.state(model, nnx.Param)
    nnx.update(
        model,
        jax.tree.map(lambda w: jnp.asarray(generator.integers(low, high, w.shape), w.dtype), state),
    )
    return model
