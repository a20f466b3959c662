"""The pytest plugin: a fixture that remembers evidence between runs, a report of a run, and a line that sums it up.

    def test_backbone(shiftproof):
        shiftproof.assert_equivariant(make_backbone(), (28, 28, 1), stride=4)

Loading it imports neither JAX nor NumPy; they come with the first assertion. What is decided in a test travels with
the reports of that test, so that it reaches the controller of xdist too, and is not lost with a worker that dies.
"""

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Generator
from functools import cached_property, partial
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shiftproof.listening import Listener, listening
from shiftproof.plain import plain, plain_texts
from shiftproof.records import (
    UNEXPECTED,
    annotations_of,
    properties_of,
    record_of,
    settle,
    summary_of,
    undecided_of,
)

WIDTH = 80
"""Columns of what is printed at the end."""

MARKER = (
    "shiftproof(**options): what the `shiftproof` fixture passes to every verification and assertion of a test, such "
    "as weights='these', apply_kwargs={'train': False}, spatial_axes=(1, 2), or for assertions evidence='certificate'; "
    "the nearest marker wins."
)

UNREAD = (
    "@pytest.mark.shiftproof changes nothing in this test: the fixture `shiftproof` reads it, so add that argument to "
    "the test, and call shiftproof.assert_invariant(...) and the like on it; or pass the options to each assertion."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line and of the configuration file."""
    group = parser.getgroup("shiftproof", "which shifts a model keeps")
    group.addoption(
        "--shiftproof-report",
        metavar="DIR",
        help="write every verdict of the run to this folder: pages, maps, certificates, counterexamples",
    )
    group.addoption(
        "--shiftproof-cache",
        metavar="DIR",
        help="folder of evidence from earlier runs, or 'off' (default: in pytest's own cache)",
    )
    parser.addini("shiftproof_report", "as --shiftproof-report", default="")
    parser.addini("shiftproof_cache", "as --shiftproof-cache", default="")
    parser.addini(
        "shiftproof_weights",
        "weights that the fixture asks about: all (default) or these",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and listen."""
    config.addinivalue_line("markers", MARKER)
    config.pluginmanager.register(Run(config), "shiftproof-run")


@pytest.fixture
def shiftproof(request: pytest.FixtureRequest) -> "Bound":
    """`verify` and the assertions of shiftproof, bound to the options of the run, its markers, and its cache."""
    options: dict[str, Any] = {}
    weights = request.config.getini("shiftproof_weights")
    if weights:
        options["weights"] = weights
    for marker in reversed(list(request.node.iter_markers("shiftproof"))):
        if marker.args:
            raise pytest.UsageError(
                f"@pytest.mark.shiftproof takes keyword arguments, such as weights='these'; got {marker.args}."
            )
        options |= marker.kwargs
    if options:
        _check_options(options)
    return Bound(options, _cache_of(request.config))


def _check_options(options: dict[str, Any]) -> None:
    """Stop where a marker has an option that nothing takes."""
    from shiftproof.assertions import Options
    from shiftproof.tracing.arguments import check_names

    __tracebackhide__ = True
    try:
        check_names("@pytest.mark.shiftproof", options, [*Options.__annotations__, "property"])
    except TypeError as error:
        pytest.fail(str(error), pytrace=False)


def _cache_of(config: pytest.Config) -> Path | None:
    """The folder of the cache; None where it is off, or where pytest's own is and no other is named."""
    named = config.getoption("--shiftproof-cache") or config.getini("shiftproof_cache")
    if named == "off":
        return None
    if named:
        return config.rootpath / named
    cache = getattr(config, "cache", None)
    return None if cache is None else Path(cache.mkdir("shiftproof"))


class Bound:
    """The functions of shiftproof with options of a test run; arguments of a call come before them.

    Args:
        options: of `verify`, for every call; `evidence` is for assertions only.
        cache: folder of evidence, or None.
    """

    def __init__(self, options: dict[str, Any], cache: Path | None) -> None:
        self.options, self.cache = options, cache

    # no functions of their own: a traceback then shows the line of the test

    @cached_property
    def verify(self) -> Any:
        """`shiftproof.verify`."""
        shared = {name: value for name, value in self.options.items() if name != "evidence"}
        return self._bound("verify", shared)

    @cached_property
    def assert_equivariant(self) -> Any:
        """`shiftproof.assert_equivariant`."""
        return self._asserting("assert_equivariant")

    @cached_property
    def assert_invariant(self) -> Any:
        """`shiftproof.assert_invariant`."""
        return self._asserting("assert_invariant")

    @cached_property
    def assert_breaks(self) -> Any:
        """`shiftproof.assert_breaks`."""
        return self._asserting("assert_breaks")

    @cached_property
    def assert_lattice(self) -> Any:
        """`shiftproof.assert_lattice`."""
        return self._asserting("assert_lattice")

    def _asserting(self, name: str) -> Any:
        return self._bound(name, {"cache": self.cache, **self.options})

    @staticmethod
    def _bound(name: str, options: dict[str, Any]) -> Any:
        import shiftproof

        return partial(getattr(shiftproof, name), **options)


class Run:
    """Collects what the tests of a run decide.

    Args:
        config: of pytest.
    """

    def __init__(self, config: pytest.Config) -> None:
        named = config.getoption("--shiftproof-report") or config.getini("shiftproof_report")
        self.report = config.rootpath / named if named else None
        self.gathers = not hasattr(config, "workerinput")
        self.records: list[dict[str, Any]] = []
        self._here: list[dict[str, Any]] = []
        self._test = ""
        self._names: Counter[str] = Counter()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Warn where a test's own marker is read by nothing; one of a module or class may be meant for other tests."""
        marked = any(marker.name == "shiftproof" for marker in item.own_markers)
        if marked and "shiftproof" not in getattr(item, "fixturenames", ()):
            item.warn(pytest.PytestWarning(UNREAD))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Listen while a test runs, its fixtures included."""
        self._test = item.nodeid
        with listening(Listener(self._hear, complete=self.report is not None)):
            return (yield)

    def _hear(self, answer: Any) -> None:
        record = record_of(answer) | {"test": self._test, "file": "", "line": 1}
        if self.report is not None:
            from shiftproof.report.verdict_page import report_verdict

            record["folder"] = self._folder(answer.model)
            report_verdict(answer, self.report / record["folder"])
        self._here.append(record)

    def _folder(self, model: str) -> str:
        """A name for the files of a verdict: the test, the model, and a number where there are several."""
        name = re.sub(r"[^\w.-]+", "_", f"{self._test}-{model}").strip("_")[-100:]
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}-{self._names[name]}"

    # the outermost wrapper: that a test is expected to fail is known by then
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """What was decided in a phase of a test travels with its report, and as properties for JUnit's XML."""
        report = yield
        here, self._here = plain_texts(self._here), []  # halves of characters cannot travel
        settle(here, failed=report.outcome == "failed")
        for record in here:
            record["file"], record["line"] = _place_of(report, item.config.rootpath)
        told = sum(name.endswith(".model") for name, _ in item.user_properties)
        properties = list(properties_of(here, told + 1))
        item.user_properties += properties  # of the reports of the phases that follow
        report.user_properties += properties
        report.shiftproof = here
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report brings, from this process or another."""
        self.records += getattr(report, "shiftproof", [])

    def pytest_sessionfinish(self) -> None:
        """Write the first page of the report, once for all workers."""
        if self.report is not None and self.gathers:
            self.report.mkdir(parents=True, exist_ok=True)
            (self.report / "run.json").write_text(json.dumps(plain_texts(self.records), indent=1))
            (self.report / "index.html").write_text(_page(self.records), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """How many shifts were proved, refuted and left undecided, and why; nothing where none was asked about."""
        if not self.records:
            return
        lines = [summary_of(self.records)]
        lines += undecided_of(self.records)
        if self.report is not None:
            lines.append(f"report: {self.report / 'index.html'}")
        terminalreporter.section("shiftproof")
        for line in map(plain, lines):
            for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False):
                terminalreporter.write_line(part)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in annotations_of(self.records):
                terminalreporter.write_line(line)


def _place_of(report: pytest.TestReport, root: Path) -> tuple[str, int]:
    """Where a test failed, in its own lines, else where it begins; the path as GitHub knows it, from its checkout."""
    file, line, _ = report.location
    crash = getattr(report.longrepr, "reprcrash", None)
    path, number = (file, (line or 0) + 1) if crash is None else (crash.path, crash.lineno)
    checkout = Path(os.environ.get("GITHUB_WORKSPACE") or root)
    whole = root / path
    inside = whole.relative_to(checkout) if whole.is_relative_to(checkout) else whole
    return inside.as_posix(), number


def _page(records: list[dict[str, Any]]) -> str:
    """The first page of the report of a run: one row a claim, with a link to its verdict."""
    rows = []
    for record in plain_texts(records):
        for claim in record["claims"]:
            link = f'<a href="{quote(record["folder"])}/report.html">{escape(record["test"])}</a>'
            cells = [record["model"], f"{claim['property']} of {claim['output']}"]
            cells += [claim["status"], claim["lattice"]]
            cells += [
                f"{claim[key]:,}"
                for key in ("proved", "by_identity", "refuted", "numerically", "undecided")
            ]
            wrong = ' class="unexpected"' if claim["status"] == UNEXPECTED else ""
            rows.append(f"<tr{wrong}><td>{link}" + "".join(f"<td>{escape(cell)}" for cell in cells))
    style = resources.files("shiftproof.report").joinpath("style.css").read_text("utf-8")
    return PAGE.format(summary=escape(summary_of(records)), rows="\n".join(rows), style=style)


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>shiftproof: a test run</title>
<style>
{style}
td:nth-child(n+6), th:nth-child(n+6) {{ text-align: right }}
.unexpected td:nth-child(4) {{ font-weight: bold }}
</style>
</head>
<body>
<main>
<h1>A test run</h1>
<p class="summary">{summary}.</p>
<figure>
<div class="scroll" tabindex="0" role="region" aria-label="the claims"><table>
<thead><tr><th>test<th>model<th>claim<th>status<th>lattice
<th>proved<th>by identity<th>refuted<th>numerically<th>undecided</thead>
<tbody>
{rows}
</tbody>
</table></div>
<figcaption>As expected: what the assertion asks for; shifts that it expects to be refuted are no failure. Only
asked: no assertion expects anything. Counts are of the shifts that the tests ask about; on a scene of the cells of the
output, on a background of the places of the object. By identity: those of the proved that no certificate proves; they
are decided in the field, with an error bound below 2^-100.</figcaption>
</figure>
</main>
</body>
</html>
"""
