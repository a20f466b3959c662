"""The pages of a sweep: its report, maps, arrays and counts in one folder."""

import base64
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from shiftproof.files import file_name, plain_json, write_atomic
from shiftproof.group import BOUNDARIES
from shiftproof.report.html import Explorer, Folded, Picture, Prose, Section, write_report
from shiftproof.report.maps import layer_maps, to_png
from shiftproof.report.tables import Table, count_text, counted, question_of, sweep_table
from shiftproof.sweeping.result import (
    DIFFERS_BEYOND,
    EQUAL_WITHIN,
    LayerRecord,
    Property,
    Sweep,
)


class ReportFiles(NamedTuple):
    """Where the files of a sweep's report lie."""

    html: Path
    maps: Path
    arrays: Path
    json: Path


def report_sweep(sweep: Sweep, directory: str | Path) -> ReportFiles:
    """Write `report.html`, `maps.png`, `sweep.npz` and `sweep.json`, each atomically.

    Args:
        sweep: what was swept.
        directory: made if it does not exist.

    Raises:
        OSError: the folder cannot be written.
    """
    directory = Path(directory)
    maps = to_png(layer_maps(sweep))
    files = ReportFiles(
        directory / "report.html",
        directory / "maps.png",
        directory / "sweep.npz",
        directory / "sweep.json",
    )
    write_atomic(files.maps, maps)
    write_json(files.json, sweep.to_json())
    sweep.save(files.arrays)
    title = f"{sweep.header.model}: every shift"
    sections = sweep_sections(sweep, maps=maps)
    write_report(files.html, title, summary=summary_of(sweep), sections=sections)
    return files


def write_json(path: Path, data: object) -> None:
    """Indented JSON, keys in the order given; NaN and infinity become null."""
    write_atomic(path, msgspec.json.format(plain_json(data), indent=2) + b"\n")


def write_all(directory: Path, ending: str, files: Mapping[str, object]) -> tuple[Path, ...]:
    """Write each as `NAME.ENDING.json`.

    Args:
        directory: for the files.
        ending: such as `certificate`.
        files: name -> content.
    """
    paths = tuple(directory / file_name(f"{name}.{ending}.json") for name in files)
    for path, content in zip(paths, files.values(), strict=True):
        write_json(path, content)
    return paths


def check_commands(certificates: Iterable[Path]) -> list[str]:
    """The lines for a shell, in the folder of the page, that check certificates."""
    return [f"python -m shiftproof_kernel check {shlex.quote(c.name)}" for c in certificates]


def summary_of(sweep: Sweep) -> str:
    """One sentence: what holds for the outputs, over which shifts."""
    header = sweep.header
    total = sweep.count("invariance").total
    claims = [claim_text(sweep, name) for name in sweep.outputs]
    return (
        f"Over {total} shifts ({BOUNDARIES[header.boundary].words}) of {counted(header.images, 'image')}, "
        f"{'; '.join(claims)}."
    )


def claim_text(sweep: Sweep, layer: str) -> str:
    """Such as: `logits is invariant under 49 of them (4Z × 4Z), exactly`."""
    record = sweep.layers[sweep.index(layer)]
    asked = question_of(record)
    words = {"equivariance": "equivariant", "invariance": "invariant"}[asked]
    count, lattice = sweep.count(asked, layer), sweep.lattice(asked, layer)
    group = f" ({lattice})" if lattice is not None else ""
    basis = "exactly" if record.exact else "within the measured rounding noise"
    doubt = f", {count.unclear} unclear" if count.unclear else ""
    return f"{layer} is {words} under {count.equal} of them{group}{doubt}, {basis}"


def sweep_sections(sweep: Sweep, *, maps: bytes) -> tuple[Section, ...]:
    """The maps to be explored, counts, all maps side by side, and provenance."""
    return (
        Section("Every shift", (explorer(sweep), *_caveats(sweep))),
        Section("Counts", (sweep_table(sweep),)),
        Section("All layers side by side", (maps_picture(sweep, maps), *reading_guide())),
        Section("Provenance", provenance_blocks(sweep)),
    )


def explorer(sweep: Sweep) -> Explorer:
    """The map of every layer: the sweep as its JSON, one byte of status per shift, and two of the deviation.

    Outputs with a grid have two maps. Deviations are the upper halves of 32-bit floats: two to three digits.

    Args:
        sweep: what was swept.
    """
    shown = []
    for layer in reversed(sweep.layers):
        asked: list[Property] = [question_of(layer)]
        if layer.output is not None and layer.has_grid:
            asked.append("invariance")
        shown += [_map_data(sweep, layer.name, property) for property in asked]
    data = {"sweep": sweep.to_json(), "maps": shown}
    return Explorer(f"Every shift of {sweep.header.model}", summary_of(sweep), data)


def _map_data(sweep: Sweep, layer: str, property: Property) -> dict[str, str]:
    deviation = np.nan_to_num(getattr(sweep, property)[sweep.index(layer)]).astype("<f4")
    halves = (deviation.view("<u4") >> 16).astype("<u2")
    status = sweep.status(property, layer).astype(np.uint8)
    return {
        "layer": layer,
        "property": property,
        "status": base64.b64encode(status.tobytes()).decode("ascii"),
        "deviation": base64.b64encode(halves.tobytes()).decode("ascii"),
    }


def _caveats(sweep: Sweep) -> tuple[Prose, ...]:
    seen = f"A sweep saw {counted(sweep.header.images, 'image')}: "
    words = [seen + "a difference it found is real, an equality it found is no proof for others."]
    constant = [layer.name for layer in sweep.layers if layer.vacuous]
    if constant:
        words.append(
            f"Constant, so that every shift passes and nothing is learnt: {', '.join(constant)}."
        )
    return tuple(map(Prose, words))


def maps_picture(sweep: Sweep, png: bytes) -> Picture:
    """The maps of all layers, with words for those who do not see them."""
    described = "; ".join(
        f"{layer.name}: {question_of(layer)} "
        f"{count_text(sweep, layer.name, property=question_of(layer))}"
        for layer in sweep.layers
    )
    return Picture(
        png,
        f"Break maps of {sweep.header.model}. {described}",
        f"{sweep.header.model}: one map a layer, one cell a shift; equivariance where the layer "
        "has a grid, invariance where it has none.",
    )


def reading_guide() -> tuple[Prose, ...]:
    """How to read a map, in three paragraphs."""
    return (
        Prose(
            "How to read a map: every cell is one shift of the input. The centre is shift (0, 0), "
            "a cell to the right is dx = +1 and a cell down is dy = +1."
        ),
        Prose(
            "Blue cells are equal: for equivariance the layer of the shifted image is the shifted "
            "layer, f(Tx) = T'f(x), for invariance it has not changed at all, f(Tx) = f(x). Every "
            "other colour is the largest deviation, on a logarithmic scale that all maps of the "
            "figure share. Hatched: the law gives no output shift in whole cells. Grey: unclear."
        ),
        Prose(
            "Blue cells of a torus that hold for every image form a lattice, such as 4Z × 4Z: "
            "multiples of 4 on both axes. The sign = says that every float up to this layer is the "
            "exact real number, so that equal means equal. The sign ≈ says that the layer is "
            f"rounded; it counts as equal up to {EQUAL_WITHIN} times its measured rounding noise, "
            f"as different from {DIFFERS_BEYOND} times on, and as unclear in between."
        ),
    )


def provenance_blocks(sweep: Sweep) -> tuple[Folded, ...]:
    """What the result depends on, folded: settings, versions, exactness of each layer."""
    return (
        Folded("Settings and versions", (_settings_table(sweep),)),
        Folded("Exactness of each layer", (exactness_table(sweep),)),
    )


def _settings_table(sweep: Sweep) -> Table:
    header = sweep.header
    settings = {
        "boundary": header.boundary,
        "law": header.law,
        "dtype": header.dtype,
        "weights": header.weights,
        "images": str(header.images),
        "scale of the images": str(header.scale),
    }
    rows = tuple((settings | header.provenance).items())
    return Table(f"Settings of {header.model}", ("what", "value"), rows, flexible=frozenset({1}))


def exactness_table(sweep: Sweep) -> Table:
    """Per layer: exact or not, how much of the float's range is used, and why it is rounded."""
    columns = ("layer", "exact", "units met", "of", "noise", "reason")
    rows = tuple(_exactness_row(layer) for layer in sweep.layers)
    return Table(
        "What makes each layer exact",
        columns,
        rows,
        numbers=frozenset({2, 3, 4}),
        flexible=frozenset({0, 5}),
        note="A layer is exact while every number met on the way is a whole number of units that "
        "the float format holds.",
    )


def _exactness_row(layer: LayerRecord) -> tuple[str, ...]:
    noise = "0" if layer.noise == 0 else f"{layer.noise:.1e}"
    exact = "yes" if layer.exact else "no"
    return (layer.name, exact, f"{layer.bound:.3g}", f"{layer.limit:.3g}", noise, layer.reason)
