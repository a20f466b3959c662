"""The guide keeps its word: its examples run and print what they say, and it knows every public name."""

import doctest
import re
from importlib import resources

import pytest

import shiftproof as sp

GUIDE = resources.files("shiftproof").joinpath("GUIDE.md").read_text("utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
IMPORTS = ">>> import shiftproof as sp\n>>> from flax import nnx\n"


def run(code: str) -> tuple[doctest.TestResults, str]:
    """What the examples print where they do not print what they say."""
    test = doctest.DocTestParser().get_doctest(code, {"__name__": "guide"}, "GUIDE.md", None, 0)
    told: list[str] = []
    return doctest.DocTestRunner(verbose=False).run(test, out=told.append), "".join(told)


@pytest.mark.slow
def test_the_examples_print_what_they_say() -> None:
    results, told = run("\n".join(BLOCKS))
    assert not results.failed, told
    assert results.attempted > 25


@pytest.mark.slow
def test_an_example_that_is_wrong_is_noticed() -> None:
    (block,) = (block for block in BLOCKS if "1/49 only 0" in block)
    assert run(IMPORTS + block)[0].failed == 0
    results, told = run(IMPORTS + block.replace("1/49 only 0", "49/49 all shifts"))
    assert results.failed == 1
    assert "Got:\n    '1/49 only 0'" in told


def test_every_public_name_is_in_the_guide() -> None:
    missing = [name for name in sp.__all__ if f"`{name}`" not in GUIDE and name != "__version__"]
    assert not missing


def test_the_tables_of_names_have_no_others() -> None:
    names = re.findall(r"`([A-Za-z_]+)`", GUIDE[GUIDE.index("## Names") :])
    assert len(names) > 25
    assert not set(names) - set(sp.__all__)
