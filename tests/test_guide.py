"""The guide keeps its word: its examples run and print what they say, and it knows every public name."""

import doctest
import re
from importlib import resources

import shiftproof as sp

GUIDE = resources.files("shiftproof").joinpath("GUIDE.md").read_text("utf-8")


def test_the_examples_print_what_they_say() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {"__name__": "guide"}, "GUIDE.md", None, 0)
    told: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert not results.failed, "".join(told)
    assert results.attempted > 15


def test_an_example_that_is_wrong_is_noticed() -> None:
    wrong = GUIDE.replace("1/49 only 0", "49/49 all shifts")
    assert wrong != GUIDE
    code = "\n".join(re.findall(r"```python\n(.*?)```", wrong, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {"__name__": "guide"}, "GUIDE.md", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 1


def test_every_public_name_is_in_the_guide() -> None:
    missing = [name for name in sp.__all__ if f"`{name}`" not in GUIDE and name != "__version__"]
    assert not missing
