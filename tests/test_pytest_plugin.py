"""The pytest plugin in test runs of its own, as a user's would be."""

import importlib.metadata
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import pytest

from shiftproof.records import EXPECTED, UNEXPECTED, annotations_of

PLUGIN = "shiftproof.pytest_plugin"
INSTALLED = bool(importlib.metadata.entry_points(group="pytest11", name="shiftproof"))
NAMED = () if INSTALLED else ("-p", PLUGIN)

SUITE = """
import pytest
import jax.numpy as jnp
import shiftproof as sp
from flax import nnx

def pool(x):
    return nnx.max_pool(x, (2, 2), (2, 2))

def unknowable(x):
    return jnp.where(jnp.cumsum(x**2, 1) >= 0, x, x + 1)

def test_proved(shiftproof):
    shiftproof.assert_equivariant(pool, (8, 8, 1), stride=2)

@pytest.mark.shiftproof(property="equivariance")
class TestMarked:
    def test_lattice(self, shiftproof):
        shiftproof.assert_lattice(pool, (8, 8, 1), "2Z x 2Z")

    def test_breaks(self, shiftproof):
        shiftproof.assert_breaks(pool, (8, 8, 1), shifts=[(1, 0)])

def test_plain_functions_are_counted():
    sp.assert_breaks(pool, (8, 8, 1), property="equivariance", shifts=[(1, 1)])

def test_fails(shiftproof):
    shiftproof.assert_equivariant(pool, (8, 8, 1))

def test_undecided(shiftproof):
    with pytest.raises(sp.errors.UndecidedError):
        shiftproof.assert_equivariant(unknowable, (4, 1))
"""


TOLD = (
    "6 claims in 6 tests, 5 as expected, 1 not as expected: 49 shifts proved, "
    "98 refuted (50 as expected), 3 undecided"
)


def run(pytester, *arguments: str) -> tuple[pytest.RunResult, str]:
    result = pytester.runpytest_subprocess(*NAMED, *arguments, timeout=120)
    return result, " ".join(result.stdout.str().split())


@pytest.mark.slow
def test_a_run_is_summed_up_and_the_next_one_asks_the_cache(pytester) -> None:
    pytester.makepyfile(SUITE)
    result, said = run(pytester)
    result.assert_outcomes(passed=5, failed=1)
    assert TOLD in said
    assert "undecided: test_a_run_is_summed_up" in said
    assert "cumsum at test_a_run" in said
    assert "2 from the cache, checked again" in said  # the same question, asked of the same program
    lines = result.stdout.str().splitlines()
    section = next(i for i, line in enumerate(lines) if re.fullmatch("=+ shiftproof =+", line))
    assert max(map(len, lines[section + 1 : section + 5])) <= 80
    # the traceback is the line of the test and the message, nothing of the assertion's own frames
    assert "assertions.py" not in said
    result, said = run(pytester)
    result.assert_outcomes(passed=5, failed=1)
    assert TOLD in said
    assert "3 from the cache, checked again" in said


@pytest.mark.slow
def test_workers_write_one_report(pytester) -> None:
    pytester.makepyfile(SUITE)
    result, said = run(pytester, "-n", "2", "--shiftproof-report", "report")
    result.assert_outcomes(passed=5, failed=1)
    assert TOLD in said
    report = pytester.path / "report"
    page = (report / "index.html").read_text()
    records = json.loads((report / "run.json").read_text())
    assert sum(len(record["claims"]) for record in records) == 6
    assert page.count("<tr><td>") == 5
    assert page.count('<tr class="unexpected"><td>') == 1
    assert page.count("<td>as expected<td>") == 5
    folders = {record["folder"] for record in records}
    assert len(folders) == 6
    for folder in folders:
        names = {path.name for path in (report / folder).iterdir()}
        assert {"report.html", "maps.png", "verdict.json"} <= names
        assert f'href="{folder}/report.html"' in page
    lattice = next(r["folder"] for r in records if "test_lattice" in r["test"])
    assert list((report / lattice).glob("*.certificate.json"))
    assert list((report / lattice).glob("*.counterexample.npz"))


@pytest.mark.slow
def test_options_come_from_the_configuration_and_the_nearest_marker(pytester) -> None:
    pytester.makeini(
        "[pytest]\nshiftproof_weights = these\nshiftproof_cache = evidence\n"
        "shiftproof_report = out\naddopts = --strict-markers\n"
    )
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.shiftproof(law="same", seed=1)

        @pytest.mark.shiftproof(seed=2)
        def test_options(shiftproof, request):
            assert shiftproof.options == {"weights": "these", "law": "same", "seed": 2}
            assert shiftproof.cache == request.config.rootpath / "evidence"

        @pytest.mark.shiftproof("these")
        def test_positions(shiftproof):
            pass
        """
    )
    result, said = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    assert "@pytest.mark.shiftproof takes keyword arguments" in said
    assert "= shiftproof =" not in said  # nothing was asked


@pytest.mark.slow
def test_identities_are_counted_apart_and_certificates_can_be_asked_for(pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        import shiftproof as sp
        from flax import nnx

        def averaged(x):
            return nnx.avg_pool(x, (2, 2), (2, 2)).mean((1, 2))

        def test_proof(shiftproof):
            shiftproof.assert_invariant(averaged, (8, 8, 1))

        @pytest.mark.shiftproof(evidence="certificate", property="invariance")
        class TestCertified:
            def test_even(self, shiftproof):
                shiftproof.assert_lattice(averaged, (8, 8, 1), "Z x Z", evidence="proof")
                assert shiftproof.verify(averaged, (8, 8, 1)).invariance.by_identity == 48

            def test_all(self, shiftproof):
                with pytest.raises(sp.errors.UndecidedError, match="not certified"):
                    shiftproof.assert_lattice(averaged, (8, 8, 1), "Z x Z")
        """
    )
    result, said = run(pytester, "--shiftproof-report", "report")
    result.assert_outcomes(passed=3)
    assert (
        "4 claims in 3 tests, 3 as expected, 1 only asked: 256 shifts proved (192 by identity), 0 refuted"
        in said
    )
    report = pytester.path / "report"
    records = json.loads((report / "run.json").read_text())
    claims = [claim for record in records for claim in record["claims"]]
    assert {claim["by_identity"] for claim in claims} == {48}
    assert all(re.fullmatch(r"error < 2\^-1\d\d", claim["identity"]) for claim in claims)
    assert "<th>by identity" in (report / "index.html").read_text()
    assert len(list(report.glob("*/*.identity.json"))) == 4


@pytest.mark.slow
def test_claims_are_properties_in_the_xml_and_failing_ones_are_annotated(
    pytester, monkeypatch
) -> None:
    pytester.makepyfile(SUITE)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    result, _ = run(pytester, "--junitxml", "junit.xml", "-n", "1")
    found = {}
    for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase"):
        pairs = [(p.get("name"), p.get("value")) for p in case.iter("property")]
        found[case.get("name")] = dict(pairs)
        assert len(pairs) == len(found[case.get("name")]) == 11  # no property twice
    names = ("model", "property", "unit", "proved", "refuted", "undecided", "status")
    told = {
        name: " ".join(str(claim[f"shiftproof.1.{key}"]) for key in names)
        for name, claim in found.items()
    }
    assert told == {
        "test_proved": "pool equivariance shifts 16 0 0 as expected",
        "test_lattice": "pool equivariance shifts 16 48 0 as expected",
        "test_breaks": "pool equivariance shifts 0 1 0 as expected",
        "test_plain_functions_are_counted": "pool equivariance shifts 0 1 0 as expected",
        "test_fails": "pool equivariance shifts 16 48 0 not as expected",
        "test_undecided": "unknowable equivariance shifts 1 0 3 as expected",
    }
    (line,) = [line for line in result.stdout.str().splitlines() if line.startswith("::")]
    file = next(pytester.path.glob("test_*.py"))
    number = next(
        i for i, text in enumerate(file.read_text().splitlines(), 1) if "(pool, (8, 8, 1))" in text
    )
    place = f"file={pytester.path.name}/{file.name},line={number},title=shiftproof"
    assert line.startswith(f"::error {place}::{file.name}::test_fails: equivariance of output of")
    assert "not as expected: 16 shifts proved, 48 refuted, 0 undecided; because of stride 2" in line


@pytest.mark.slow
def test_outside_of_github_nothing_is_annotated(pytester, monkeypatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    pytester.makepyfile(
        "import shiftproof as sp\ndef test_it():\n    sp.assert_equivariant(lambda x: x[:, ::2], (4, 1))\n"
    )
    result, said = run(pytester)
    result.assert_outcomes(failed=1)
    assert "1 claim in 1 test, 1 not as expected: 2 shifts proved, 2 refuted, 0 undecided" in said
    assert "::error" not in said


def test_names_end_no_line_of_an_annotation() -> None:
    counts = {"proved": 1, "refuted": 2, "numerically": 1, "undecided": 1}
    claim = {
        "property": "invariance",
        "output": "a\n::error::b",
        "unit": "shifts",
        "reason": "50%\r",
    }
    claim |= counts | {"status": UNEXPECTED}
    record = {"test": "t", "model": "m\x1b", "file": "a,b:c\n.py", "line": 3, "cause": ""}
    (line,) = annotations_of([record | {"claims": [claim, claim | {"status": EXPECTED}]}])
    assert line == (
        "::error file=a%2Cb%3Ac\\n.py,line=3,title=shiftproof::t: invariance of a\\n::error::b of m\\x1b is not as "
        "expected: 1 shifts proved, 2 refuted, 1 refuted numerically, 1 undecided; 50%25\\r"
    )


@pytest.mark.slow
def test_scenes_and_backgrounds_are_in_the_report_with_their_status(pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        import shiftproof as sp
        from flax import nnx

        conv = nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(0))
        two = nnx.Sequential(*(nnx.Conv(1, 1, (3, 3), rngs=nnx.Rngs(i)) for i in range(2)))
        wide = nnx.Conv(1, 1, (3, 3), strides=2, rngs=nnx.Rngs(0))

        def test_scene(shiftproof):
            shiftproof.assert_equivariant(conv, (8, 8, 1), boundary="scene")

        def test_steps(shiftproof):
            shiftproof.assert_equivariant(wide, (8, 8, 1), boundary="scene")

        def test_background(shiftproof):
            with pytest.raises(AssertionError):
                shiftproof.assert_equivariant(two, (8, 8, 1), boundary="background")

        def test_asked():
            sp.verify(conv, (8, 8, 1), boundary="scene")
        """
    )
    result, said = run(pytester, "--shiftproof-report", "report", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=3, failed=1)
    records = json.loads((pytester.path / "report" / "run.json").read_text())
    told = [
        (r["boundary"], c["unit"], c["proved"], c["refuted"], c["status"])
        for r in records
        for c in r["claims"]
    ]
    assert told[0] == ("scene", "cells", 36, 28, "as expected")
    assert told[1][1] == "cells"
    assert told[1][4] == "not as expected"
    assert told[2] == ("background", "places", 1, 48, "as expected")
    assert told[3] == ("scene", "cells", 36, 28, "only asked")
    assert "2 as expected, 1 not as expected, 1 only asked: " in said
    page = (pytester.path / "report" / "index.html").read_text()
    assert page.count("<tr><td>") == 3
    assert page.count('<tr class="unexpected"><td>') == 1
    assert page.count("<td>only asked") == 1
    for record in records:
        assert (pytester.path / "report" / record["folder"] / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--shiftproof-cache=off"], ["-p", "no:cacheprovider"]])
def test_without_a_cache(pytester, arguments) -> None:
    pytester.makepyfile("def test_none(shiftproof):\n    assert shiftproof.cache is None\n")
    result, _ = run(pytester, *arguments)
    result.assert_outcomes(passed=1)


def test_loading_it_does_not_import_jax() -> None:
    code = f"import sys, {PLUGIN}\nassert not {{'jax', 'numpy', 'flax', 'rich'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_run_that_asks_nothing_does_not_import_jax(pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_none(shiftproof):
            assert shiftproof.cache is not None
            assert not {"jax", "numpy", "flax"} & set(sys.modules)
        """
    )
    # other plugins of this environment may import what they like
    others = ("hypothesispytest", "jaxtyping", "typeguard", "chex", "xdist", "xdist.looponfail")
    result, _ = run(pytester, *(f"-pno:{name}" for name in others))
    result.assert_outcomes(passed=1)


def test_the_wheel_names_the_plugin() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"shiftproof": PLUGIN}
    assert not INSTALLED or importlib.import_module(PLUGIN).pytest_configure


@pytest.mark.slow
def test_the_sample_of_the_guide_runs(pytester) -> None:
    guide = resources.files("shiftproof").joinpath("GUIDE.md").read_text("utf-8")
    (sample,) = re.findall(r"```python\n(def test_.*?)```", guide, re.DOTALL)
    made = """
        import pytest
        from flax import nnx

        def make_backbone():
            return nnx.Conv(1, 2, (3, 3), strides=2, padding="CIRCULAR", rngs=nnx.Rngs(0))
    """
    pytester.makepyfile(textwrap.dedent(made) + "\n" + sample)
    result, _ = run(pytester)
    result.assert_outcomes(passed=2)
