"""The result of a sweep: deviations per layer and shift, what they mean, and their form on disk.

Arrays have the axes (layer, *shift): for images (layer, dy, dx). On the torus position (i, j) is the shift (i, j)
mod n; for the other boundaries `ranges` says which shift each position is.
"""

import dataclasses
import enum
import math
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from shiftproof.archive import read_archive, write_archive
from shiftproof.display import Displayed, figure_of
from shiftproof.errors import InputError, ResultFileError
from shiftproof.group import Lattice, find_lattice

SCHEMA = "shiftproof.sweep/1"
EQUAL_WITHIN = 16
"""A rounded layer counts as equal up to this multiple of its measured noise ..."""
DIFFERS_BEYOND = 1024
"""... and as different from this multiple on; in between it is unclear."""
DIFFERS_FROM = 1 / 8
"""Where no noise could be measured: floats that are this part of the largest one apart were not rounded so far."""

DOES_NOT_APPLY = "does not apply"
"""What is said in place of a count where there is nothing to count."""

Property = Literal["equivariance", "invariance"]
_ARRAYS = ("equivariance", "equivariance_cells", "invariance", "invariance_cells", "agreement")


class Status(enum.IntEnum):
    """What a sweep saw at one shift; never a proof, since it saw these images only."""

    DIFFERS = 0
    EQUAL = 1
    UNCLEAR = 2
    UNDEFINED = 3


class Count(msgspec.Struct, frozen=True):
    """Number of shifts per status."""

    equal: int
    differs: int
    unclear: int
    undefined: int

    @property
    def total(self) -> int:
        """All shifts swept."""
        return self.equal + self.differs + self.unclear + self.undefined

    @property
    def applies(self) -> bool:
        """Whether the question was asked of any shift; equivariance is not, where a layer has no grid."""
        return self.undefined < self.total

    def __str__(self) -> str:
        if not self.applies:
            return DOES_NOT_APPLY
        doubt = f" ({self.unclear} unclear)" if self.unclear else ""
        return f"{self.equal}/{self.total}{doubt}"


class LayerRecord(msgspec.Struct, frozen=True):
    """What a sweep knows about one layer besides its maps.

    Attributes:
        name: unique in the sweep.
        source: `file.py:line` in the user's code, or "".
        shape: of its value, batch included.
        dtype: of its value.
        grid: for each spatial axis, the axis of the value that runs along it, or None.
        strides: for each spatial axis, pixels per cell as a fraction such as "2", or None.
        output: name of the model output it is, or None.
        exact: whether every float up to here is the exact real number, so that equal means equal.
        bound: largest number of units met on the way, of `limit` that the float format holds.
        limit: 2^24 for float32, 2^53 for float64.
        reason: why it is not exact, or "".
        noise: measured rounding noise; 0 where exact, NaN where it could not be measured.
        magnitude: largest absolute value at shift 0.
        vacuous: True where quite other images give the same values.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    dtype: str
    grid: tuple[int | None, ...]
    strides: tuple[str | None, ...]
    output: str | None
    exact: bool
    bound: float
    limit: float
    reason: str
    noise: float
    magnitude: float
    vacuous: bool

    @property
    def has_grid(self) -> bool:
        """Whether equivariance is a question for this layer."""
        return any(axis is not None for axis in self.grid)

    @property
    def rounded_alone(self) -> bool:
        """Whether rounding moves its values a little; an integer that was made of floats may jump."""
        return self.magnitude > 0 and self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Cells along each spatial axis; 1 where the value does not run along it."""
        return tuple(1 if axis is None else self.shape[axis] for axis in self.grid)


class CosetRecord(msgspec.Struct, frozen=True):
    """How a sweep by cosets got its values.

    Attributes:
        generators: of the lattice under which every layer is proved to move.
        forwards: forward passes, one per coset; all other shifts were lifted from them.
        checked: how many lifted shifts were computed as well, and agreed.
        unchecked: layers that took no part in that check, since their noise could not be measured.
    """

    generators: tuple[tuple[int, ...], ...]
    forwards: int
    checked: int
    unchecked: tuple[str, ...]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything of a sweep but its arrays; the JSON that stands in its file.

    `cosets` is None, and not written, where every shift was computed.
    """

    schema: str
    model: str
    grid: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]
    boundary: str
    law: str
    dtype: str
    weights: str
    scale: int
    images: int
    layers: tuple[LayerRecord, ...]
    provenance: dict[str, str]
    cosets: CosetRecord | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep(Displayed):
    """Deviations of every layer under every shift.

    Attributes:
        header: names, sizes, exactness, provenance.
        equivariance: (layer, *shift) float64, `max |f(T x) - T' f(x)|`; NaN where the law gives no output shift.
        equivariance_cells: (layer, *shift) int32, grid cells that differ for some image; -1 where undefined.
        invariance: (layer, *shift) float64, `max |f(T x) - f(x)|`.
        invariance_cells: (layer, *shift) int32, cells (entries, where there is no grid) that differ.
        agreement: (layer, *shift) int32, images whose largest logit keeps its place; -1 where no logits.
    """

    header: Header
    equivariance: np.ndarray
    equivariance_cells: np.ndarray
    invariance: np.ndarray
    invariance_cells: np.ndarray
    agreement: np.ndarray

    @property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The layers in order, outputs last."""
        return self.header.layers

    @property
    def grid(self) -> tuple[int, ...]:
        """Sizes of the input grid."""
        return self.header.grid

    @property
    def ranges(self) -> tuple[range, ...]:
        """The shifts along each axis."""
        return tuple(range(start, stop) for start, stop in self.header.ranges)

    @property
    def is_torus(self) -> bool:
        """Whether the images wrapped around."""
        return self.header.boundary == "torus"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that are outputs of the model."""
        return tuple(layer.name for layer in self.layers if layer.output is not None)

    def index(self, layer: str | int = -1) -> int:
        """Position of a layer by name (or position); the last output by default."""
        if isinstance(layer, int):
            return range(len(self.layers))[layer]
        names = [record.name for record in self.layers]
        if layer not in names:
            raise InputError(f"no layer is named {layer!r}; there are {', '.join(names)}.")
        return names.index(layer)

    def at(self, shift: tuple[int, ...]) -> tuple[int, ...]:
        """The position of a shift in the maps; reduced mod n on the torus."""
        if len(shift) != len(self.grid):
            raise InputError(
                f"shift {shift} has {len(shift)} entries for a grid of {len(self.grid)} axes."
            )
        if self.is_torus:
            return tuple(step % size for step, size in zip(shift, self.grid, strict=True))
        for step, room in zip(shift, self.ranges, strict=True):
            if step not in room:
                raise InputError(
                    f"shift {shift} was not swept: the boundary {self.header.boundary} allows "
                    f"{' and '.join(f'{r.start}..{r.stop - 1}' for r in self.ranges)}."
                )
        return tuple(step - room.start for step, room in zip(shift, self.ranges, strict=True))

    def status(self, property: Property, layer: str | int = -1) -> np.ndarray:
        """The `Status` of every shift, (*shift) int8.

        Exact layers are compared by `==`. Rounded ones are equal up to 16 times their measured noise, different
        from 1024 times on, and unclear in between. Where no noise could be measured, floats are different from one
        eighth of the layer's largest value on, and unclear below; integers and truths that rounding may have turned
        are unclear.
        """
        _check_property(property)
        i = self.index(layer)
        record = self.layers[i]
        deviation = getattr(self, property)[i]
        cells = getattr(self, f"{property}_cells")[i]
        status = np.where(cells == 0, Status.EQUAL, Status.DIFFERS)
        if not record.exact and not math.isnan(record.noise):
            status = np.where(deviation <= EQUAL_WITHIN * record.noise, Status.EQUAL, status)
            unclear = (deviation > EQUAL_WITHIN * record.noise) & (
                deviation < DIFFERS_BEYOND * record.noise
            )
            status = np.where(unclear, Status.UNCLEAR, status)
        elif not record.exact:
            far = record.rounded_alone & (deviation >= DIFFERS_FROM * record.magnitude)
            status = np.where((cells > 0) & ~far, Status.UNCLEAR, status)
        return np.where(cells < 0, Status.UNDEFINED, status).astype(np.int8)

    def count(self, property: Property, layer: str | int = -1) -> Count:
        """How many shifts have which status."""
        status = self.status(property, layer)
        return Count(
            *(
                int(np.sum(status == kind))
                for kind in (Status.EQUAL, Status.DIFFERS, Status.UNCLEAR, Status.UNDEFINED)
            )
        )

    def lattice(self, property: Property, layer: str | int = -1) -> Lattice | None:
        """The passing shifts as a lattice; None where they are no subgroup, or the boundary is no torus."""
        if not self.is_torus:
            return None
        return find_lattice(self.status(property, layer) == Status.EQUAL)

    def to_json(self) -> dict[str, Any]:
        """The sweep without its maps: names, counts and lattices per layer, as plain data."""
        data = msgspec.to_builtins(self.header)
        for i, entry in enumerate(data["layers"]):
            for name in get_args(Property):
                asked = name == "invariance" or self.layers[i].has_grid
                entry[name] = self._summary(name, i) if asked else None
        return data

    def _summary(self, property: Property, layer: int) -> dict[str, Any]:
        lattice = self.lattice(property, layer)
        deviation = getattr(self, property)[layer]
        known = deviation[~np.isnan(deviation)]
        return {
            "lattice": None if lattice is None else [list(g) for g in lattice.generators],
            **msgspec.to_builtins(self.count(property, layer)),
            "max_deviation": float(known.max(initial=0.0)),
        }

    def to_xarray(self) -> Any:
        """The maps as an `xarray.Dataset` with the coordinates layer, dy, dx (extra `xarray`)."""
        try:
            import xarray
        except ImportError as error:
            raise ImportError(
                'to_xarray needs xarray: pip install xarray, or in a checkout of shiftproof pip install -e ".[xarray]".'
            ) from error
        axes = axis_names(len(self.grid))
        coordinates = {"layer": [record.name for record in self.layers]}
        coordinates |= {axis: list(room) for axis, room in zip(axes, self.ranges, strict=True)}
        variables = {name: (("layer", *axes), getattr(self, name)) for name in _ARRAYS}
        return xarray.Dataset(
            variables, coordinates, {"model": self.header.model, "law": self.header.law}
        )

    def plot(self, layer: str | int | None = None, *, property: Property | None = None) -> Any:
        """The maps of deviations, as a `matplotlib.figure.Figure`.

        Args:
            layer: the map of one layer; of all by default.
            property: what is asked; equivariance where a layer has a grid, else invariance, by default.

        Raises:
            InputError: no such layer.
        """
        return figure_of(self, layer=layer, property=property)

    def save(self, path: str | Path) -> Path:
        """Write one `.npz` file, atomically; the same sweep gives the same bytes."""
        return write_archive(path, self.header, {name: getattr(self, name) for name in _ARRAYS})

    def __repr__(self) -> str:
        cosets = self.header.cosets
        by = f", {cosets.forwards} forward passes" if cosets else ""
        lines = [f"Sweep of {self.header.model}, {self.header.boundary}, law {self.header.law}{by}"]
        for record in self.layers:
            equivariance = self.count("equivariance", record.name) if record.has_grid else "-"
            lines.append(
                f"  {record.name}: equivariance {equivariance}, invariance {self.count('invariance', record.name)}"
            )
        return "\n".join(lines)


def load_sweep(path: str | Path) -> Sweep:
    """Read what `Sweep.save` wrote.

    Raises:
        ResultFileError: truncated, altered, of another schema, or not a sweep at all.
    """
    header, raw = read_archive(
        path, Header, _ARRAYS, schema=SCHEMA, what="sweep", remedy="Sweep again."
    )
    shape = (len(header.layers), *(stop - start for start, stop in header.ranges))
    for name, array in raw.items():
        if array.shape != shape:
            raise ResultFileError(
                f"{path}: {name} has shape {array.shape}, its header says {shape}."
            )
    boundary = {"circular": "torus", "zero": "background"}.get(header.boundary, header.boundary)
    return Sweep(msgspec.structs.replace(header, boundary=boundary), **raw)


def axis_names(rank: int) -> tuple[str, ...]:
    """Names of the shift axes: (dx,), (dy, dx) or (dz, dy, dx).

    >>> axis_names(2)
    ('dy', 'dx')
    """
    if rank <= 3:
        return ("dz", "dy", "dx")[3 - rank :]
    return tuple(f"d{axis}" for axis in range(rank))


def _check_property(property: str) -> None:
    if property not in get_args(Property):
        raise InputError(
            f"property must be one of {', '.join(get_args(Property))}; got {property!r}."
        )
