"""`python -m proofs`: prove the theorems, decide the claims, write the page.

And `python -m proofs certificates`, which makes the golden ones again, and `python -m proofs checker`, which lets the
proved checker read certificates.
"""

import argparse
import importlib.metadata
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import jax
from rich.console import Console

from proofs import certificates, checker, coq
from proofs.claims.audit import Audit
from proofs.page import audited, summary, write_page
from proofs.running import (
    PROVED,
    REFUTED,
    UNDECIDED,
    USAGE,
    Report,
    choose,
    count,
    examine,
    prove_theorems,
)
from shiftproof.claims import PAGE, claims_table
from shiftproof.files import write_atomic


def main(arguments: list[str]) -> int:
    """Run the audit; returns its exit code: 0 all decided, 1 a proof failed, 2 a mistake in the call, 3 undecided."""
    options = _parser().parse_args(arguments)
    console = Console()
    if options.command == "certificates":
        return _certificates(console, write=options.write)
    if options.command == "checker":
        return _checker(console, options.files or certificates.files())
    if options.ship:
        if options.quick or options.only:
            _say(
                console,
                "error: --ship takes all claims at full sizes: leave out --quick and --only.",
            )
            return USAGE
        options.out, options.strict = PAGE, True
    try:
        claims = choose(options.only)
        write_atomic(options.out / ".writable", b"")  # before minutes are spent
        (options.out / ".writable").unlink()
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
    _print(console, report)
    if options.ship and report.exit_code:
        _say(console, f"error: {PAGE} stays as it was: only a page on which all is decided ships.")
        return report.exit_code
    if options.ship:
        shutil.rmtree(PAGE, ignore_errors=True)  # with files that no claim has any more
    path = write_page(options.out, decided, outcomes, settings=_settings(quick=options.quick))
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
    parser.add_argument(
        "--ship", action="store_true", help="write the page that `shiftproof claims` shows; strict"
    )
    parser.add_argument("--only", default="", metavar="A1,B2", help="these claims only")
    commands = parser.add_subparsers(dest="command")
    golden = commands.add_parser(
        "certificates", help="make the golden certificates again and compare"
    )
    golden.add_argument("--write", action="store_true", help="write them instead")
    proved = commands.add_parser(
        "checker", help="check certificates with the checker proved in Coq"
    )
    proved.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="default: the golden ones"
    )
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
    console.print()
    console.print(claims_table(tuple(map(audited, report.decided))))
    _say(console, summary(report.decided))
    for claim in report.undecided:
        for reason in claim.reasons:
            _say(console, f"{claim.claim.id} is undecided: {reason}")
    for outcome in report.failed:
        _say(console, f"failed: {outcome.name} by {outcome.method}: {outcome.detail}")
    for method, why in report.missing.items():
        _say(console, f"not run: {method}. {why}")


def _certificates(console: Console, *, write: bool) -> int:
    """Make the golden certificates again; compare them with the files, or write them."""
    trouble = 0
    for line in certificates.renew(write=write):
        _say(console, line.text)
        trouble += not line.right
    return REFUTED if trouble else PROVED


def _checker(console: Console, files: Sequence[Path]) -> int:
    """Prove the checker, then let it read files; 0 all proved, 1 one refused, 3 one not covered or Coq missing."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        outcomes = coq.run(sources=checker.SOURCES, theorems=checker.THEOREMS, directory=directory)
        _say(console, f"the checker itself: {count(outcomes)}")
        wrong = [outcome for outcome in outcomes if outcome.status != "proved"]
        for outcome in wrong:
            _say(console, f"{outcome.status}: {outcome.name}. {outcome.detail}")
        if wrong:
            return REFUTED if any(o.status == "failed" for o in wrong) else UNDECIDED
        try:
            texts = [path.read_text("utf-8") for path in files]
        except (OSError, UnicodeDecodeError) as error:
            _say(console, f"error: {error}")
            return USAGE
        verdicts = checker.judge_texts(directory, texts)
    for path, text, verdict in zip(files, texts, verdicts, strict=True):
        more = f": {checker.stated(text)}" if verdict == checker.PROVED else ""
        _say(console, f"{path}: {verdict}{more}")
    if any(verdict.startswith("refused") for verdict in verdicts):
        return REFUTED
    return PROVED if all(verdict == checker.PROVED for verdict in verdicts) else UNDECIDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
