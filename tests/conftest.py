"""Settings shared by all tests: hypothesis draws the same examples every time, and never times them.

Tests marked slow repeat on more models what others show on a few; they run with --slow, as in CI.
"""

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


def pytest_collection_modifyitems(config, items) -> None:
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: add --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)
