"""Runs the notebooks for students, in a process of their own, with answers to their exercises.

`python -m tests.notebooks` runs them all as they are and keeps what they print, after they were edited.
"""

import contextlib
import dataclasses
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import shiftproof
from shiftproof.notebooks import NOTEBOOKS

SECONDS = 120
"""For one cell; a whole notebook takes a few."""

DOTS = re.compile(r"^(\w+) = \.\.\.(?:  #.*)?$", re.MULTILINE)
"""Where an exercise has its dots."""


@dataclasses.dataclass(frozen=True)
class Exercise:
    """A cell with dots, and the answer that stands below it.

    Attributes:
        cell: its number in the notebook.
        source: of the cell.
        name: of what the dots stand for.
        answer: code that says what it is.
    """

    cell: int
    source: str
    name: str
    answer: str

    def filled(self, answer: str) -> str:
        """The cell with an answer in place of the dots."""
        return DOTS.sub(lambda _: answer, self.source, count=1)


def read(name: str) -> Any:
    """A notebook as it is shipped."""
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def exercises(notebook: Any) -> list[Exercise]:
    """All of them; the answer is the code in the fold below."""
    found = []
    for number, cell in enumerate(notebook.cells):
        dots = DOTS.search(cell.source) if cell.cell_type == "code" else None
        if dots:
            below = notebook.cells[number + 1].source
            (answer,) = re.findall(r"^```python\n(.*?)\n```$", below, re.MULTILINE | re.DOTALL)
            found.append(Exercise(number, cell.source, dots[1], answer))
    return found


@contextlib.contextmanager
def _process(notebook: Any, folder: Path) -> Iterator[NotebookClient]:
    """A kernel for a notebook, on the processor, that imports the same shiftproof as this process."""
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", coalesce_streams=True)
    paths = [str(Path(shiftproof.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    here = {"PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}
    here["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # what a user has set up for Jupyter is not read, and what it writes is thrown away
    here |= dict.fromkeys(("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"), str(folder))
    with mock.patch.dict(os.environ, here), client.setup_kernel(cwd=str(folder)):
        yield client


def executed(notebook: Any, folder: Path, answers: Mapping[int, list[str]] | None = None) -> Any:
    """A copy of a notebook with the outputs of its cells, run one after the other in an empty folder.

    Args:
        notebook: not changed.
        folder: where the process runs.
        answers: by the number of an exercise's cell, sources that are run after it. What they print, or the name
            of what they raise, is added to the metadata of the cell, as `told`.

    Raises:
        CellExecutionError: a cell of the notebook fails.
    """
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with _process(notebook, folder) as client:
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
            cell.metadata.pop("execution", None)  # when it ran
            for source in (answers or {}).get(number, ()):
                cell.metadata.setdefault("told", []).append(_told(client, source, number))
            notebook.cells[number] = cell  # the client has put the last one that ran there
    return notebook


def _told(client: NotebookClient, source: str, number: int) -> str:
    """What one more cell prints, or its error; the numbers of the others stay as they are."""
    cell = nbformat.v4.new_code_cell(source)
    try:
        client.execute_cell(cell, number, store_history=False)
    except CellExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    return "".join(output.get("text", "") for output in cell.outputs)


def shown(cell: Any) -> list[dict[str, str]]:
    """The outputs of a cell as text, each by its kind. Of a picture only that there is one.

    Pixels depend on the versions of Matplotlib, of its fonts, and of the library that compresses them.
    """
    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append({output.name: output.text})
        elif output.output_type == "error":
            found.append({"error": output.ename})
        else:
            told = {kind: "".join(text) for kind, text in output.data.items()}
            told |= {kind: "a picture" for kind in told if kind.startswith("image/")}
            found.append({kind: _without_pictures(text) for kind, text in told.items()})
    return found


def _without_pictures(text: str) -> str:
    return re.sub(r"data:image/png;base64,[\w+/=]+", "a picture", text)


def main(folder: Path) -> None:
    """Run all notebooks, and write them with what they print."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(executed(read(path.name), folder), path)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as empty:
        sys.exit(main(Path(empty)))
