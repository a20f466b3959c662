"""The harness: interleaved timing, medians with quartiles, the machine, and rows on disk."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from rich.table import Table

from shiftproof.provenance import provenance

SCHEMA = "shiftproof.benchmark/1"


def interleaved(
    actions: Mapping[str, Callable[[], Any]], *, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each action, one warm-up each, then A B C A B C ..., so that drift hits all alike."""
    for action in actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            begin = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def spread(samples: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(samples, n=4) if len(samples) > 1 else samples * 3
    return {"median": middle, "quartile_low": low, "quartile_high": high}


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Ratio of every interleaved pair."""
    return [a / b for a, b in zip(above, below, strict=True)]


def machine() -> dict[str, Any]:
    """Where the rows were measured."""
    return {
        **provenance(jax.local_devices()[0]),
        "devices": len(jax.local_devices()),
        "processors": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "git": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


class Rows:
    """Rows of one run, appended to a JSON Lines file as they are made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.machine = machine()
        self.rows: list[dict[str, Any]] = []

    def add(self, case: str, figure: str, samples: list[float], *, unit: str, **facts: Any) -> None:
        """Record the samples of one figure of one case."""
        row = {
            "schema": SCHEMA,
            "case": case,
            "figure": figure,
            "unit": unit,
            **spread(samples),
            "samples": samples,
            **facts,
            "machine": self.machine,
        }
        self.rows.append(row)
        with self.path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")


def table(rows: Rows) -> Table:
    """The rows of one run, medians and quartiles."""
    drawn = Table(
        title=f"{rows.machine['processor']}, {rows.machine['processors']} processors, jax {rows.machine['jax']}"
    )
    for heading in ("case", "figure", "median", "quartiles", "aim"):
        drawn.add_column(
            heading, justify="right" if heading in ("median", "quartiles", "aim") else "left"
        )
    for row in rows.rows:
        quartiles = (
            f"{row['quartile_low']:.4g} .. {row['quartile_high']:.4g}"
            if len(row["samples"]) > 1
            else ""
        )
        unit = "" if row["unit"] == "ratio" else f" {row['unit']}"
        drawn.add_row(
            row["case"],
            row["figure"],
            f"{row['median']:.4g}{unit}",
            quartiles,
            str(row.get("aim", "")),
        )
    return drawn
