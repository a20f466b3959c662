"""Settings shared by all tests: hypothesis draws the same examples every time, and never times them.

Tests marked slow take more than a quarter of a second, or repeat on more models what others show on a few; they run
with `--slow`, as in CI. What JAX compiles is kept in pytest's cache, for the other workers, the processes that tests
start, and the next run.
"""

import gc
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_addoption(parser) -> None:
    group = parser.getgroup("soundness", "random programs against the prover")
    group.addoption("--soundness-programs", type=int, default=2400, help="how many programs")
    group.addoption("--soundness-models", type=int, default=28, help="how many models in JAX")
    group.addoption("--soundness-seed", type=int, default=0, help="seed of the first one")
    parser.addoption("--slow", action="store_true", help="run the tests that are marked slow, too")


COMPILE_QUICKLY = "--xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1"
"""Flags of XLA: most of a test's time goes into programs that run once, on a few cells."""

if version("jaxlib").startswith("0.10."):  # later ones refuse to start with it
    COMPILE_QUICKLY += " --xla_cpu_use_fusion_emitters=false"


def pytest_configure(config) -> None:
    os.environ.setdefault("XLA_FLAGS", COMPILE_QUICKLY)
    folder = config.cache.mkdir("jax") if config.cache else None
    if folder is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_modifyitems(config, items) -> None:
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: add --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


MORE_MEMORY = 4 * 2**30
"""Bytes by which a worker grows before what JAX compiled is forgotten: two workers fit into a small machine."""

_seen = [0]
"""What was in memory when that was last done; little of it goes back to the system."""


@pytest.fixture(autouse=True)
def bounded_memory():
    """Forgets what was compiled, now and then."""
    yield
    if _resident() > _seen[0] + MORE_MEMORY:
        import jax

        from shiftproof.proving.runs import forget_compiled

        forget_compiled()
        jax.clear_caches()
        gc.collect()
        _seen[0] = _resident()


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
