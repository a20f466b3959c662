"""The pytest plugin: a fixture that remembers evidence between runs, a report of a run, and a line that sums it up.

    def test_backbone(shiftproof):
        shiftproof.assert_equivariant(make_backbone(), (28, 28, 1), stride=4)

Loading it imports neither JAX nor NumPy; they come with the first assertion. What is decided in a test travels with
the reports of that test, so that it reaches the controller of xdist too, and is not lost with a worker that dies.
"""

import json
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

WIDTH = 80
"""Columns of what is printed at the end."""

MOST_LINES = 8
"""Undecided claims that are listed."""

WORDS = ("proved", "refuted", "undecided")
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
        record = _record(answer) | {"test": self._test}
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

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        """What was decided in a phase of a test travels with its report."""
        report = yield
        report.shiftproof, self._here = self._here, []
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


def _record(answer: Any) -> dict[str, Any]:
    """A verdict, or what a cache confirmed, as plain data; counts are of the shifts asked about."""
    from shiftproof.deciding.verdict import Verdict
    from shiftproof.deciding.words import Word

    if isinstance(answer, Verdict):
        found = [
            (
                v.claim,
                v.map[answer.asked],
                int((v.certified_map[answer.asked] == Word.PROVED).sum()),
                int(v.numerical_map[answer.asked].sum()),
                v.identity.error if v.identity is not None else "",
                str(v.lattice),
                next(iter(v.reasons.values()), ""),
            )
            for output in answer.outputs
            for v in output.properties
        ]
    else:
        words = answer.words[answer.words != Word.UNDECIDED]
        # a cache confirms what certificates and rigorous counterexamples say, and no identity
        certified = int((words == Word.PROVED).sum())
        found = [(claim, words, certified, 0, "", "", "") for claim in answer.claims]
    claims = [
        {
            "property": claim.property,
            "output": claim.output,
            "lattice": lattice,
            "reason": reason,
            **{str(word): int((words == word).sum()) for word in Word},
            "refuted": int((words == Word.REFUTED).sum()) - numerically,
            "numerically": numerically,
            "by_identity": int((words == Word.PROVED).sum()) - certified,
            "identity": error,
        }
        for claim, words, certified, numerically, error, lattice, reason in found
    ]
    return {
        "model": answer.model,
        "claims": claims,
        "cached": not isinstance(answer, Verdict),
    }


def summary_of(records: list[dict[str, Any]]) -> str:
    """One sentence on what a run decided.

    >>> claim = {"proved": 4, "refuted": 12, "undecided": 0, "by_identity": 0, "numerically": 0}
    >>> summary_of([{"test": "a", "claims": [claim, claim], "cached": False}])
    '2 claims in 1 test: 8 shifts proved, 24 refuted, 0 undecided'
    """
    claims = [claim for record in records for claim in record["claims"]]
    tests = len({record["test"] for record in records})
    counts = {word: sum(claim[word] for claim in claims) for word in WORDS}
    cached = sum(len(record["claims"]) for record in records if record["cached"])
    identities = sum(claim["by_identity"] for claim in claims)
    apart = f" ({identities:,} by identity)" if identities else ""
    numerically = sum(claim["numerically"] for claim in claims)
    seen = f", {numerically:,} refuted numerically" if numerically else ""
    return (
        f"{len(claims)} claim{'s' * (len(claims) != 1)} in {tests} test{'s' * (tests != 1)}: "
        f"{counts['proved']:,} shifts proved{apart}, {counts['refuted']:,} refuted{seen}, "
        f"{counts['undecided']:,} undecided"
        + (f"; {cached} from the cache, checked again" if cached else "")
    )


def undecided_of(records: list[dict[str, Any]]) -> list[str]:
    """One line for each of the first undecided claims: the test, the claim, and why."""
    lines = [
        f"undecided: {record['test']}: {claim['property']} of {claim['output']}: {claim['reason']}"
        for record in records
        for claim in record["claims"]
        if claim["undecided"]
    ]
    more = len(lines) - MOST_LINES
    return lines[:MOST_LINES] + ([f"and {more} more are undecided"] if more > 0 else [])


def _page(records: list[dict[str, Any]]) -> str:
    """The first page of the report of a run: one row a claim, with a link to its verdict."""
    rows = []
    for record in plain_texts(records):
        for claim in record["claims"]:
            link = f'<a href="{quote(record["folder"])}/report.html">{escape(record["test"])}</a>'
            cells = [record["model"], f"{claim['property']} of {claim['output']}", claim["lattice"]]
            cells += [
                f"{claim[key]:,}"
                for key in ("proved", "by_identity", "refuted", "numerically", "undecided")
            ]
            rows.append(f"<tr><td>{link}" + "".join(f"<td>{escape(cell)}" for cell in cells))
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
td:nth-child(n+5), th:nth-child(n+5) {{ text-align: right }}
</style>
</head>
<body>
<main>
<h1>A test run</h1>
<p class="summary">{summary}.</p>
<figure>
<div class="scroll" tabindex="0" role="region" aria-label="the claims"><table>
<thead><tr><th>test<th>model<th>claim<th>lattice<th>proved<th>by identity<th>refuted<th>numerically<th>undecided</thead>
<tbody>
{rows}
</tbody>
</table></div>
<figcaption>Counts are of the shifts that the tests ask about. By identity: those of the proved that no certificate
proves; they are decided in the field, with an error bound below 2^-100.</figcaption>
</figure>
</main>
</body>
</html>
"""
