"""The development, compiled once for all tests."""

from pathlib import Path

import pytest

from proofs import checker, coq


@pytest.fixture(scope="session")
def compiled(tmp_path_factory) -> Path:
    """A directory with the compiled development."""
    directory = tmp_path_factory.mktemp("checker")
    wrong, _ = coq.compile_all(directory, sources=checker.SOURCES, theorems=checker.THEOREMS)
    assert {file: problem for file, problem in wrong.items() if problem} == {}
    return directory
