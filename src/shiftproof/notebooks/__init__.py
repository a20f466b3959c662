"""Notebooks for students: what a shift is, where pooling breaks it, and how to repair a network of one's own.

They lie beside this file with their outputs. `shiftproof notebooks` copies them to where they can be worked in.
"""

from pathlib import Path

from shiftproof.errors import InputError
from shiftproof.files import write_atomic

NOTEBOOKS = Path(__file__).parent
"""The folder that they lie in."""


def copy_notebooks(directory: str | Path) -> list[Path]:
    """Copy the notebooks into a folder, which is made where it is missing.

    Args:
        directory: the folder. A notebook in it that is as it was shipped is written again.

    Returns:
        The files, in the order in which they are to be read.

    Raises:
        InputError: the folder is a file; or it has a notebook of that name that was changed. Nothing was written.
        OSError: the folder cannot be written.
    """
    if Path(directory).is_file():
        raise InputError(f"{directory} is a file: pass a folder.")
    sources = sorted(NOTEBOOKS.glob("*.ipynb"))
    copies = {Path(directory) / source.name: source.read_bytes() for source in sources}
    changed = [
        str(path)
        for path, content in copies.items()
        if path.exists() and not (path.is_file() and path.read_bytes() == content)
    ]
    if changed:
        raise InputError(
            f"{', '.join(changed)} {'is' if len(changed) == 1 else 'are'} there already, and may hold your answers. "
            "Nothing was written: choose another folder by --out, or move what is there."
        )
    for path, content in copies.items():
        write_atomic(path, content)
    return list(copies)
