"""`python -m proofs`: prove the theorems, decide the claims, write the page; and `python -m proofs certificates`."""

import argparse
import importlib.metadata
import platform
import sys
import time
from pathlib import Path

import jax
from rich.console import Console

from proofs import certificates
from proofs.claims.audit import Audit
from proofs.claims.claim import KINDS, Decided
from proofs.notation import to_text
from proofs.page import summary, write_page
from proofs.running import PROVED, REFUTED, USAGE, Report, choose, examine, prove_theorems
from shiftproof.files import write_atomic
from shiftproof.report.tables import Table


def main(arguments: list[str]) -> int:
    """Run the audit; returns its exit code: 0 all decided, 1 a proof failed, 2 a mistake in the call, 3 undecided."""
    options = _parser().parse_args(arguments)
    console = Console()
    if options.command == "certificates":
        return _certificates(console, write=options.write)
    try:
        claims = choose(options.only)
        write_atomic(
            options.out / "audit.html", b""
        )  # before minutes are spent on what cannot be written
    except ValueError as error:
        _say(console, f"error: {error}")
        return USAGE
    except OSError as error:
        _say(console, f"error: {options.out} cannot be written: {error}")
        return USAGE
    begin = time.monotonic()

    def tell(text: str) -> None:
        _say(console, f"{time.monotonic() - begin:5.0f} s  {text}")

    outcomes = prove_theorems(tell)
    decided = examine(claims, Audit(outcomes, quick=options.quick), tell)
    report = Report(decided, outcomes, strict=options.strict)
    settings = _settings(quick=options.quick) | {"seconds": f"{time.monotonic() - begin:.0f}"}
    path = write_page(options.out, decided, outcomes, settings=settings)
    _print(console, report)
    _say(console, f"page: {path}")
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m proofs",
        description="Prove the theorems, decide the claims of the coursework, and write a page that shows how.",
        epilog="exit code: 0 all decided, 1 a proof failed, 2 a mistake in the call, 3 something is undecided",
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer seeds")
    parser.add_argument(
        "--strict", action="store_true", help="a missing tool is a failure too (exit code 3)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("shiftproof-audit"), help="folder of the page"
    )
    parser.add_argument("--only", default="", metavar="A1,B2", help="these claims only")
    commands = parser.add_subparsers(dest="command")
    golden = commands.add_parser(
        "certificates", help="make the golden certificates again and compare"
    )
    golden.add_argument("--write", action="store_true", help="write them instead")
    return parser


def _settings(*, quick: bool) -> dict[str, str]:
    packages = ("shiftproof", "jax", "flax", "optax", "numpy", "z3-solver", "cvc5")
    found = {"sizes": "quick" if quick else "full", "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    return found | {"device": jax.devices()[0].device_kind}


def _say(console: Console, text: str) -> None:
    """A line as it is, of any length."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print(console: Console, report: Report) -> None:
    rows = tuple(_row(claim) for claim in report.decided)
    columns = ("claim", "verdict", "condition", "evidence")
    console.print()
    console.print(Table(summary(report.decided), columns, rows, flexible=frozenset({1, 2, 3})))
    for claim in report.undecided:
        for reason in claim.reasons:
            _say(console, f"{claim.claim.id} is undecided: {reason}")
    for outcome in report.failed:
        _say(console, f"failed: {outcome.name} by {outcome.method}: {outcome.detail}")
    for method, why in report.missing.items():
        _say(console, f"not run: {method}. {why}")


def _row(decided: Decided) -> tuple[str, str, str, str]:
    kinds = dict.fromkeys(
        KINDS[piece.kind] for piece in decided.findings.evidence if piece.word != "not run"
    )
    return decided.claim.id, decided.verdict, to_text(decided.condition), "; ".join(kinds)


def _certificates(console: Console, *, write: bool) -> int:
    """Make the golden certificates again; compare them with the files, or write them."""
    trouble = 0
    for line in certificates.renew(write=write):
        _say(console, line.text)
        trouble += not line.right
    return REFUTED if trouble else PROVED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
