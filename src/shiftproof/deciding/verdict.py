"""Verdicts: everything `verify` decided about a model, whatever enters at the border of the image.

On the torus an output has a word for every shift, on a scene for every cell, on a background for every place of an
object. The layers are one table for all three.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.region import RegionVerdict
from shiftproof.deciding.rows import LayerVerdict
from shiftproof.deciding.subject import Subject
from shiftproof.deciding.words import Word
from shiftproof.display import Displayed, figure_of
from shiftproof.errors import InputError
from shiftproof.group import BoundaryName
from shiftproof.provenance import provenance
from shiftproof.proving.causes import Cause
from shiftproof.refuting.counterexample import Counterexample, from_witness
from shiftproof.refuting.witness import Witness
from shiftproof.tracing.settings import current_device

SCHEMA = "shiftproof.verdict/1"
IDENTITY_SCHEMA = "shiftproof.identity/1"


@dataclasses.dataclass(frozen=True)
class OutputVerdict:
    """The verdicts on one output.

    Attributes:
        name: of the output.
        shape: of the output, batch included.
        equivariance: on the torus; None where the output has no grid, or it was not asked for.
        invariance: on the torus; None where it was not asked for.
        vacuous: whether the output does not answer to the image with the model's own weights; asked on the torus.
        region: on a scene the words of its cells, on a background those of the places of the object; else None.
    """

    name: str
    shape: tuple[int, ...]
    equivariance: PropertyVerdict | None = None
    invariance: PropertyVerdict | None = None
    vacuous: bool = False
    region: RegionVerdict | None = None

    @property
    def properties(self) -> tuple[PropertyVerdict, ...]:
        """The verdicts that were asked for, equivariance first."""
        return tuple(v for v in (self.equivariance, self.invariance) if v is not None)


@dataclasses.dataclass(frozen=True)
class Verdict(Displayed):
    """Everything `verify` decided about a model.

    Attributes:
        model: its name.
        grid: sizes of the grid.
        shape: of one image.
        spatial_axes: grid axes of one image.
        boundary: `torus`, `scene` or `background`.
        weights: `all` or `these`.
        outputs: one verdict per output leaf.
        layers: the chain of lattices, from the image to the outputs.
        causes: the equations at which a lattice shrinks, in order.
        asked: the shifts that were asked about; (n1, ..., nd) bool.
        notes: what a reader should know, such as a model that is dead at its initialisation.
        these: the verdict on the model's own weights, where it was made because they are degenerate.
        seconds: what each stage took; `enclosures` are a part of `witnesses`, the search for counterexamples.
        provenance: versions and hashes.
        object: on a background, sizes of the object; else ().
    """

    model: str
    grid: tuple[int, ...]
    shape: tuple[int, ...]
    spatial_axes: tuple[int, ...]
    boundary: str
    weights: str
    outputs: tuple[OutputVerdict, ...]
    layers: tuple[LayerVerdict, ...]
    causes: tuple[Cause, ...]
    asked: np.ndarray
    notes: tuple[str, ...]
    these: "Verdict | None"
    seconds: Mapping[str, float]
    provenance: Mapping[str, str]
    object: tuple[int, ...] = ()

    @property
    def equivariance(self) -> PropertyVerdict:
        """The verdict on the equivariance of the only output, or of the first that has a grid.

        Raises:
            InputError: no output has a grid.
        """
        return self._first("equivariance")

    @property
    def invariance(self) -> PropertyVerdict:
        """The verdict on the invariance of the first output."""
        return self._first("invariance")

    def _first(self, property: str) -> PropertyVerdict:
        found = (getattr(output, property) for output in self.outputs)
        verdict = next((v for v in found if v is not None), None)
        if verdict is None:
            why = "no output has a grid" if property == "equivariance" else "it was not asked for"
            if self.boundary != "torus":
                why = f"on a {self.boundary} ask verdict.outputs[0].region"
            raise InputError(f"there is no verdict on {property}: {why}.")
        return verdict

    @property
    def word(self) -> Word:
        """The word for all that is asked: refuted if something is, even numerically, else undecided if something is.

        Else it is proved. On a scene and on a background the words of the outputs are taken: see `RegionVerdict`.
        """
        if self.boundary != "torus":
            return _worst({output.region.word for output in self.outputs if output.region})
        found = [v for output in self.outputs for v in output.properties]
        if self.asked.all():  # no map is needed
            words = {w for v in found for w in v.words}
        else:
            words = {Word(int(w)) for v in found for w in np.unique(v.map[self.asked])}
        return _worst(words)

    @property
    def proved(self) -> bool:
        """Whether the word is `proved`."""
        return self.word is Word.PROVED

    @property
    def vanished(self) -> "LayerVerdict | None":
        """On a scene, the first layer without an interior; None where all have one."""
        found = (layer for layer in self.layers if layer.border and not layer.border.proved)
        return next(found, None)

    def layer(self, name: str) -> LayerVerdict:
        """A row of the layer table.

        Raises:
            InputError: no layer has that name.
        """
        found = {layer.name: layer for layer in self.layers}
        if name not in found:
            raise InputError(f"no layer is named {name!r}; there are {', '.join(found)}.")
        return found[name]

    @property
    def certificates(self) -> dict[str, Mapping[str, Any]]:
        """The kernel certificates, by `output.property`."""
        found = {
            f"{output.name}.{verdict.claim.property}": verdict.certificate
            for output in self.outputs
            for verdict in output.properties
            if verdict.certificate is not None
        }
        regions = ((output.name, output.region) for output in self.outputs)
        return found | {
            f"{name}.{region.claim}": region.certificate
            for name, region in regions
            if region is not None and region.certificate is not None
        }

    @property
    def identities(self) -> dict[str, Mapping[str, Any]]:
        """What was decided in the field, by `output.property`: the claim, its shifts, primes, seed and error bound."""
        return {
            f"{output.name}.{verdict.claim.property}": {
                "schema": IDENTITY_SCHEMA,
                "model": self.model,
                "statement": {
                    "property": verdict.claim.property,
                    "output": output.name,
                    "law": verdict.claim.law,
                    "axes": list(verdict.claim.axes),
                    "grid": list(self.grid),
                    "boundary": self.boundary,
                    "weights": self.weights,
                    "proved": verdict.proved,
                    "certified": verdict.certified,
                },
                **verdict.identity.to_dict(),
            }
            for output in self.outputs
            for verdict in output.properties
            if verdict.identity is not None
        }

    @property
    def witnesses(self) -> tuple[Witness, ...]:
        """All counterexamples."""
        return tuple(w for o in self.outputs for v in o.properties for w in v.witnesses)

    def counterexamples(self, target: str = "") -> list[Counterexample]:
        """Every witness, ready to be saved.

        Args:
            target: how the command line found the model, so that `replay` finds it again.
        """
        return [
            from_witness(w, model=self.model, spatial_axes=self.spatial_axes, target=target)
            for w in self.witnesses
        ]

    def plot(self) -> Any:
        """The maps of all outputs and properties, as a `matplotlib.figure.Figure`.

        One square per shift, shift 0 in the middle: blue proved, sand refuted, grey undecided.
        """
        return figure_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The stable schema `shiftproof.verdict/1`."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "grid": list(self.grid),
            "boundary": self.boundary,
            "object": list(self.object) or None,
            "weights": self.weights,
            "word": str(self.word),
            "outputs": [
                {
                    "name": output.name,
                    "shape": list(output.shape),
                    "vacuous": output.vacuous,
                    "equivariance": output.equivariance and output.equivariance.to_dict(),
                    "invariance": output.invariance and output.invariance.to_dict(),
                    "region": output.region and output.region.to_dict(),
                }
                for output in self.outputs
            ],
            "layers": [layer.to_dict() for layer in self.layers],
            "causes": [dataclasses.asdict(cause) for cause in self.causes],
            "notes": list(self.notes),
            "these": self.these and self.these.to_dict(),
            "seconds": {stage: round(time, 4) for stage, time in self.seconds.items()},
            "provenance": dict(self.provenance),
        }

    def __str__(self) -> str:
        if self.boundary == "torus":
            return repr(self)
        sizes, object = _times(self.grid), _times(self.object)
        weights = "for all weights" if self.weights == "all" else "with its own weights"
        what = {
            "scene": f"{self.model} as a window of {sizes} on a scene",
            "background": f"{self.model}: an object of {object} on an empty image of {sizes}",
        }
        lines = [f"{what[self.boundary]}, {weights}"]
        rows = {row.output: row for row in self.layers if row.output}
        for output in self.outputs:
            if output.region is not None:
                lines.append(f"  {output.name}: {rows[output.name].told}{output.region.rest}")
        if self.vanished is not None:
            lines.append(f"  {self.vanished.gone}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        if self.boundary != "torus":
            return str(self)
        lines = [f"Verdict on {self.model}, {self.boundary}, weights {self.weights}"]
        for output in self.outputs:
            lines += [
                f"  {output.name}: {v.claim.property} proved {v.proved}/{v.total} ({v.lattice}), "
                f"refuted {v.refuted_text}, undecided {v.undecided}"
                + (f"; proved: {v.identity_text}" if v.by_identity else "")
                for v in output.properties
            ]
        return "\n".join(lines)


def verdict_of(
    subject: Subject,
    boundary: BoundaryName,
    outputs: Sequence[OutputVerdict],
    layers: Sequence[LayerVerdict],
    causes: Sequence[Cause],
    *,
    notes: Sequence[str],
    seconds: Mapping[str, float],
    asked: np.ndarray | None = None,
    object: tuple[int, ...] = (),
) -> Verdict:
    """The verdict on a traced model; `notes` follow its own, and all shifts were asked about unless `asked` says so."""
    return Verdict(
        model=subject.model.name,
        grid=subject.grid,
        shape=subject.shape,
        spatial_axes=subject.image_axes,
        boundary=boundary,
        weights=subject.weights,
        outputs=tuple(outputs),
        layers=tuple(layers),
        causes=tuple(causes),
        asked=np.broadcast_to(True, subject.grid) if asked is None else asked,
        notes=(*subject.notes, *notes),
        these=None,
        seconds=seconds,
        provenance=provenance(current_device(), subject.model.door.package)
        | {"program": subject.program.fingerprint, "seed": str(subject.seed)},
        object=object,
    )


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _worst(words: AbstractSet[Word]) -> Word:
    """Refuted if some is, else undecided if some is, else proved."""
    return next((w for w in (Word.REFUTED, Word.UNDECIDED) if w in words), Word.PROVED)
