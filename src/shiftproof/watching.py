"""Watching: the files of a model, until one of them changes.

    target -> its folder -> Python files in it, and modules loaded from it -> the next change -> these modules forgotten

Times and sizes of files are looked at a few times a second, which works on every system and file system.
"""

import importlib
import linecache
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from shiftproof.errors import InputError

SECONDS = 0.2
"""Between two looks at the files."""

Snapshot = dict[Path, tuple[int, int]]
"""Time of change, in ns, and size of every file."""


class Watch:
    """The files of one target.

    Args:
        target: the word of the command line, such as `net.py:make_model` or `package.module`.
        sleep: waits for so many seconds.

    Raises:
        InputError: the target is in no file of the user's.
    """

    def __init__(self, target: str, sleep: Callable[[float], None] = time.sleep) -> None:
        place, colon, name = target.rpartition(":")
        place = place if colon else name
        module = place.replace(".", "/")
        found = [
            path
            for path in (Path(place), Path(f"{module}.py"), Path(module) / "__init__.py")
            if path.suffix == ".py" and path.is_file()
        ]
        if not found:
            raise InputError(
                f"--watch belongs to a model in a file, as in net.py or package.module; {target} is in none."
            )
        self.folder = found[0].resolve().parent if place.endswith(".py") else Path.cwd()
        self.sleep = sleep
        self.seen: Snapshot = self.snapshot()
        # Python takes a compiled file for current if time (in seconds) and size fit, as after 3 -> 5 at once
        sys.dont_write_bytecode = True

    def snapshot(self) -> Snapshot:
        """The files as they are now: those beside the target, and those of modules loaded from its folder."""
        files = {*self.folder.glob("*.py"), *_loaded(self.folder).values()}
        return {path: (s.st_mtime_ns, s.st_size) for path in files if (s := _status(path))}

    def wait(self) -> list[Path]:
        """Wait for a change, and forget the modules that it may concern; the files that changed.

        A file that was loaded for the first time since is none of them; one that came and was not loaded is.
        """
        loaded = set(_loaded(self.folder).values())
        self.seen = {p: s for p, s in self.snapshot().items() if p in loaded} | self.seen
        while (now := self.snapshot()) == self.seen:
            self.sleep(SECONDS)
        while True:  # an editor may still be writing
            self.sleep(SECONDS)
            if (later := self.snapshot()) == now:
                break
            now = later
        changed = sorted(
            path for path in now.keys() | self.seen.keys() if now.get(path) != self.seen.get(path)
        )
        self.seen = now
        for name in _loaded(self.folder):
            del sys.modules[name]
        importlib.invalidate_caches()
        linecache.checkcache()
        return changed


def _loaded(folder: Path) -> dict[str, Path]:
    """Modules from a folder, by name; not those of an environment that lies in it."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file) if isinstance(file, str) else None
        if name == "__main__" or path is None or not path.is_relative_to(folder):
            continue
        if not {"site-packages", "dist-packages"} & set(path.parts):
            found[name] = path
    return found


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
