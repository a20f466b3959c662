"""The demo: small networks trained on real digits, and what every shift does to them.

    images -> train, round -> sweep (architecture, one digit, all placements) -> tables, figures,
    report.html

Nine networks: pool stride 2 or 1, head flatten or global mean, padding circular or zero, and a
dense net. All see test images at every place of the canvas, too.
"""

from pathlib import Path
from typing import Any

from rich.console import Console

from shiftproof import data
from shiftproof.claims import write_claims
from shiftproof.demo.opening import OPENING
from shiftproof.demo.pages import (
    draw_maps,
    make_figures,
    make_sections,
    make_tables,
    maps_name,
    print_findings,
    show_stages,
)
from shiftproof.demo.sweeps import count_stages, results_of, sweep_all
from shiftproof.demo.train import Plan, Variant, choose_image, open_png, split, train_all
from shiftproof.errors import InputError
from shiftproof.files import write_atomic
from shiftproof.report.html import write_report
from shiftproof.report.pages import write_json
from shiftproof.terminal import Console as PlainConsole

__all__ = ["Plan", "Variant", "run_demo"]


def run_demo(
    directory: str | Path,
    *,
    mnist: str | Path | None = None,
    png: str | Path | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train, sweep, and write `report.html`, PNGs, `results.json` and the claims; prints the same as tables.

    Args:
        directory: for the files; made if it does not exist.
        mnist: folder with MNIST's IDX files; scikit-learn's digits otherwise.
        png: an image to picture instead of a digit of the test set.
        seed: of the split, the weights and the training.
        plan: the sizes.
        console: where progress and tables go; `Console(quiet=True)` for nowhere.

    Returns:
        What `results.json` holds.

    Raises:
        InputError: the directory cannot be written.
        ImportError: the digits are asked for and scikit-learn is missing.
        FileNotFoundError, ValueError: `mnist` or `png` is not what it should be.
    """
    plan, console = plan or Plan(), console or PlainConsole()
    directory = _open_directory(directory)
    digits = split(data.mnist(mnist) if mnist else data.digits(), plan, seed=seed)
    image = open_png(png, canvas=plan.canvas) if png else None
    with show_stages(console, count_stages(plan)) as stage:
        networks = train_all(plan, digits, seed=seed, stage=stage)
        picture, about = image or choose_image(networks, digits)
        swept, maps = {}, {}
        # maps are drawn here, in one thread, while the next networks are swept in others
        for one in sweep_all(networks, plan, digits, picture=picture, seed=seed, stage=stage):
            name = one.network.variant.name
            swept[name], maps[maps_name(name)] = one, draw_maps(one)
    results = results_of(swept, digits, about=about, seed=seed)
    tables = make_tables(swept)
    figures = make_figures(swept, picture) | maps
    for name, figure in figures.items():
        write_atomic(directory / f"{name}.png", figure)
    write_json(directory / "results.json", results)
    path = write_report(
        directory / "report.html",
        "What shifts do to CNNs",
        summary=results["summary"],
        sections=make_sections(results, tables, figures, swept),
        opening=OPENING,
    )
    write_claims(directory / "claims")  # to which the opening leads
    print_findings(console, tables, summary=results["summary"], path=path)
    return results


def _open_directory(directory: str | Path) -> Path:
    """The directory, made and tried before a minute is spent on what cannot be written."""
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomic(path / ".writable", b"")
        (path / ".writable").unlink()
    except OSError as error:
        raise InputError(
            f"cannot write into {path} ({error.strerror or error}); choose another folder."
        ) from error
    return path
