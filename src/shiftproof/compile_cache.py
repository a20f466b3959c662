"""What JAX compiles, kept between runs of the command in a folder of the user's.

JAX keeps it, finds it again by program, versions and flags, and throws out what was not used for longest. Which folder,
and how large it may grow, is said by variables of the environment, since JAX reads these when it is imported.
"""

import hashlib
import os
import platform
import re
from collections.abc import MutableMapping
from pathlib import Path

import platformdirs

OFF = "--no-compile-cache"
"""The flag of the command line that keeps nothing."""

UNREADABLE = "Error (reading|writing) persistent compilation cache entry"
"""What JAX warns of where an entry is broken or cannot be written; it compiles then, as ever."""

LARGEST = 512 * 2**20
"""Bytes that the folder may hold."""

FOLDER = "JAX_COMPILATION_CACHE_DIR"
SETTINGS = {
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(LARGEST),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def keep_compiled(environment: MutableMapping[str, str]) -> Path | None:
    """Have JAX keep what it compiles, unless the user has said where, or there is no folder to write to.

    Args:
        environment: of this process, before JAX is imported.

    Returns:
        The folder; None where nothing was changed.
    """
    if FOLDER in environment:
        return None
    folder = platformdirs.user_cache_path("shiftproof", appauthor=False) / f"jax-{_machine()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    environment[FOLDER] = str(folder)
    for name, value in SETTINGS.items():
        environment.setdefault(name, value)
    return folder


def _machine() -> str:
    """A name for machines with the same instructions: a home folder may be shared with others, which lack some."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    flags = re.search(r"^(flags|Features)\s*:(.*)$", text, re.MULTILINE)
    told = f"{platform.machine()} {flags[2] if flags else platform.processor()}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
