"""Counterexamples as files: an image, a shift and weights under which a claim fails, to be run again by anyone.

The file holds the image (several, where each leaves some output shift that another rules out), the outputs, the
weights' seed and hash, and the bound or the floor against which the difference was judged. `replay` builds the same
trial of the model, runs it, and judges anew.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np

from shiftproof.archive import read_archive, write_archive
from shiftproof.errors import InputError, ResultFileError
from shiftproof.exactness.calibration import float64_device
from shiftproof.provenance import provenance
from shiftproof.proving.analysis import Claim
from shiftproof.proving.asked import in_floats
from shiftproof.proving.layers import find_layers
from shiftproof.refuting.judging import judge
from shiftproof.refuting.trials import Draw, Trial, make_trial
from shiftproof.refuting.witness import (
    Difference,
    Doubt,
    Evidence,
    Witness,
    compare_outputs,
    compare_pairs,
)
from shiftproof.tracing.arguments import read_images
from shiftproof.tracing.model import Model
from shiftproof.tracing.settings import current_device, settings

SCHEMA = "shiftproof.counterexample/1"
_ARRAYS = ("image", "still", "moved")


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a counterexample shows, and what it depends on.

    Attributes:
        schema: `shiftproof.counterexample/1`.
        model: its name.
        target: how the command line found it, or "".
        spatial_axes: grid axes of one image.
        property: `equivariance` or `invariance`.
        output: name of the output, at position
        leaf: among the outputs.
        axes: grid axes of the output.
        sizes: of the output along them.
        law: `any` or `same`.
        shift: of the image, pixels.
        draw: whose weights: `these`, `integers`, `sparse`, `quiet` or `random`.
        seed: of drawn weights.
        scale: what the image is multiplied by.
        weights_sha256: hash of all weights.
        dtype: number format.
        evidence: `exact`, `enclosed` or `numerical`; `separated` is the first edition's word for `numerical`.
        bound: for exact evidence the largest number of units met, on all shifts of the image, of
        limit: units that the number format holds.
        deviation: the largest difference of the outputs, for the output shift that fits best.
        floor: rounding floor; 0 for exact evidence.
        gap: by how much the real outputs differ at least; 0 for numerical evidence.
        program: fingerprint of the traced program.
        arrays: sha256 of the arrays.
        provenance: versions and device.
        images: how many there are, where one does not suffice; then the arrays have one more axis, the first.
    """

    schema: str
    model: str
    target: str
    spatial_axes: tuple[int, ...]
    property: Literal["equivariance", "invariance"]
    output: str
    leaf: int
    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    law: Literal["any", "same"]
    shift: tuple[int, ...]
    draw: Draw
    seed: int
    scale: int
    weights_sha256: str
    dtype: str
    evidence: Literal["exact", "enclosed", "numerical", "separated"]
    bound: float
    limit: float
    deviation: float
    floor: float
    program: str
    arrays: str
    provenance: dict[str, str]
    gap: float = 0.0
    images: int = 1


def grounds_of(found: "Header | Replay") -> str:
    """Why a difference counts."""
    if found.evidence == "exact":
        return f"exact, {found.bound:.3g} of {found.limit:.3g} units"
    if found.evidence == "enclosed":
        return f"at least by {found.gap:.3g}, by enclosures"
    if not found.floor:
        return "which rounding may explain"
    return f"numerically: {found.deviation / found.floor:.3g} times the rounding floor of {found.floor:.2g}"


@dataclasses.dataclass(frozen=True)
class Counterexample:
    """A file's content.

    Attributes:
        header: what it shows.
        image: (*image shape) float64, unscaled; (images, *image shape) where it takes several.
        still: the output for the image, or each of them.
        moved: the output for the shifted image.
    """

    header: Header
    image: np.ndarray
    still: np.ndarray
    moved: np.ndarray

    @property
    def images(self) -> np.ndarray:
        """All images, (images, *image shape)."""
        return self.image if self.header.images > 1 else self.image[None]

    @property
    def claim(self) -> Claim:
        """What fails."""
        h = self.header
        return Claim(h.output, h.leaf, h.property, h.axes, h.sizes, h.law)

    @property
    def difference(self) -> Difference:
        """How the outputs in the file differ, for the output shift that fits best."""
        doubt = Doubt(self.claim, self.header.shift, self.claim.expected(self.header.shift))
        if self.header.images == 1:
            return compare_outputs(doubt, self.still, self.moved)
        return compare_pairs(doubt, self.still, self.moved)

    def save(self, path: str | Path) -> Path:
        """Write one `.npz` file, atomically."""
        return write_archive(path, self.header, {name: getattr(self, name) for name in _ARRAYS})

    def __repr__(self) -> str:
        return f"Counterexample({self})"

    def __str__(self) -> str:
        h = self.header
        how = grounds_of(h)
        return (
            f"{h.model}: {h.property} of {h.output}{_law(h)} fails under the shift {h.shift}: the outputs differ by "
            f"{h.deviation:.6g} ({how})"
            + (f" on {h.images} images together" if h.images > 1 else "")
        )


def _law(header: Header) -> str:
    same = header.property == "equivariance" and header.law == "same"
    return ", moved as far as the image," if same else ""


def from_witness(
    witness: Witness, *, model: str, spatial_axes: tuple[int, ...], target: str = ""
) -> Counterexample:
    """A witness as a counterexample.

    Args:
        witness: what was found.
        model: its name.
        spatial_axes: grid axes of one image.
        target: how the command line found the model, so that `replay` finds it again.
    """
    trial, claim = witness.trial, witness.claim
    exactness = trial.exactness[claim.leaf]
    pairs = witness.pairs
    arrays = {name: np.stack([getattr(pair, name) for pair in pairs]) for name in _ARRAYS}
    if len(pairs) == 1:
        arrays = {name: array[0] for name, array in arrays.items()}
    header = Header(
        schema=SCHEMA,
        model=model,
        target=target,
        spatial_axes=spatial_axes,
        property=cast(Literal["equivariance", "invariance"], claim.property),
        output=claim.output,
        leaf=claim.leaf,
        axes=claim.axes,
        sizes=claim.sizes,
        law=cast(Literal["any", "same"], claim.law),
        shift=witness.shift,
        draw=trial.draw,
        seed=trial.seed,
        scale=trial.scale,
        weights_sha256=trial.weights_sha256,
        dtype=trial.dtype,
        evidence=witness.evidence,
        # of its own images, as `replay` will find it; the search was graded for all of its probes
        bound=trial.bound_on(np.stack([pair.image for pair in pairs]), claim.leaf),
        limit=exactness.limit,
        deviation=witness.difference.deviation,
        floor=witness.floor,
        program=trial.program.fingerprint,
        arrays=_hash(arrays),
        provenance=provenance(current_device(), trial.package),
        gap=witness.gap,
        images=len(pairs),
    )
    return Counterexample(header, **arrays)


def replay_options(spatial_axes: Sequence[int], shape: Sequence[int]) -> str:
    """What `shiftproof replay` must be told of the axes of images; "" where they are all but the last.

    >>> replay_options((0, 1), (8, 8, 3)), replay_options((1, 2), (3, 8, 8))
    ('', ' --spatial-axes 1 2')
    """
    if tuple(spatial_axes) == tuple(range(len(shape) - 1)):
        return ""
    return f" --spatial-axes {' '.join(map(str, spatial_axes))}"


def _hash(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in _ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def load_counterexample(path: str | Path) -> Counterexample:
    """Read what `Counterexample.save` wrote.

    Raises:
        ResultFileError: truncated, altered, of another schema, or no counterexample at all.
    """
    header, raw = read_archive(
        path, Header, _ARRAYS, schema=SCHEMA, what="counterexample", remedy="Verify again."
    )
    if _hash(raw) != header.arrays:
        raise ResultFileError(f"{path} was altered: its arrays do not fit their hash.")
    return Counterexample(header, **raw)


def _check_axes(
    header: Header,
    model: str,
    trial: Trial,
    axes: Sequence[int],
    output_axes: Sequence[int] | None,
) -> None:
    """Stop where a file is about other axes of the output than those along which the grid runs."""
    with settings(trial.dtype):
        oracle = in_floats(trial.program, trial.weights)
        layers = find_layers(trial.program, axes, output_axes=output_axes, oracle=oracle)
    (layer,) = (layer for layer in layers if layer.output == header.output)
    own = tuple(axis for axis in layer.grid if axis is not None)
    asked = own if header.property == "equivariance" else ()
    sizes = tuple(layer.shape[axis] for axis in asked)
    if (header.axes, header.sizes) != (asked, sizes):
        raise InputError(
            f"the file says that {header.property} of {header.output} is asked along its axes {header.axes} of sizes "
            f"{header.sizes}; in {model} these are {asked} of {sizes}. Pass output_axes= (--output-axes) if the model "
            "was verified with it; otherwise the file is about another model, or was altered."
        )


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a counterexample shows when it is run again.

    Attributes:
        reproduced: whether the claim fails again, by the same rule.
        evidence: `exact`, `enclosed` or `numerical`; "" where it does not fail.
        deviation: the largest difference of the outputs now.
        floor: the rounding floor now; 0 where the evidence is not numerical.
        gap: by how much the real outputs differ at least.
        bound: units met, of
        limit: units that the number format holds; for exact evidence.
        other: whether it was run on another program, or with other weights, than the file is about.
        changed: what is not as it was when the file was written.
        still: the output for the image (or each of several), now.
        moved: the output for the shifted image, now.
    """

    reproduced: bool
    evidence: Evidence | Literal[""]
    deviation: float
    floor: float
    gap: float
    bound: float
    limit: float
    other: bool
    changed: tuple[str, ...]
    still: np.ndarray
    moved: np.ndarray

    def text(self) -> str:
        """One line: reproduced or not, and on what grounds."""
        word = "reproduced" if self.reproduced else "NOT reproduced"
        if self.other:
            word = f"another model than the file is about, on which it is {word}"
        grounds = grounds_of(self)
        return f"{word}: the outputs differ by {self.deviation:.6g}, {grounds}"


@float64_device()
def replay(
    counterexample: Counterexample,
    model: Model,
    *,
    spatial_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> Replay:
    """Run a counterexample on the compiled model.

    The grid, and how it runs through the output, are the model's; a file that says otherwise is refused.

    Args:
        counterexample: from `load_counterexample`.
        model: the adapted model.
        spatial_axes: grid axes of one image; all but that of the channels by default.
        output_axes: grid axes of the batched outputs, where they cannot be followed through the program.

    Raises:
        InputError: the model takes other images, has other outputs, or other axes than the file says.
    """
    h, images = counterexample.header, counterexample.images
    given = read_images(images, spatial_axes, channels_first=model.channels_first)
    if h.spatial_axes != given.axes:
        raise InputError(
            f"the file takes the axes {h.spatial_axes} of an image for its grid, and not {given.axes}: if that is "
            f"right for {model.name}, pass spatial_axes={h.spatial_axes} (--spatial-axes)."
        )
    if len(h.shift) != len(given.axes):
        raise InputError(
            f"the file is about the shift {h.shift} of a grid of {len(given.axes)} axes."
        )
    trial = make_trial(model, images, draw=h.draw, seed=h.seed, dtype=h.dtype, scale=h.scale)
    names = trial.program.output_names
    if not 0 <= h.leaf < len(names) or names[h.leaf] != h.output:
        raise InputError(
            f"{model.name} has the outputs {', '.join(names)}; the file is about {h.output}."
        )
    _check_axes(h, model.name, trial, given.batch_axes, output_axes)
    claim = counterexample.claim
    doubt = Doubt(claim, h.shift, claim.expected(h.shift))
    witness, pairs = judge(trial, doubt, images, axes=h.spatial_axes, seed=h.seed)
    still, moved = (np.stack([getattr(pair, name) for pair in pairs]) for name in _ARRAYS[1:])
    found = witness.difference if witness else compare_pairs(doubt, still, moved)
    if h.images == 1:
        still, moved = still[0], moved[0]
    exactness = trial.exactness[h.leaf]
    other, changed = False, []
    if trial.weights_sha256 != h.weights_sha256:
        other = True
        changed.append("the weights are others")
    if trial.program.fingerprint != h.program:
        other = True
        changed.append(
            "the program is another (another model, or another version of JAX or of its framework)"
        )
    if not np.array_equal(still, counterexample.still) or not np.array_equal(
        moved, counterexample.moved
    ):
        changed.append("the outputs differ from those in the file")
    return Replay(
        reproduced=witness is not None,
        evidence=witness.evidence if witness else "",
        deviation=found.deviation,
        floor=witness.floor if witness else 0.0,
        gap=witness.gap if witness else 0.0,
        bound=exactness.bound,
        limit=exactness.limit,
        other=other,
        changed=tuple(changed),
        still=still,
        moved=moved,
    )
