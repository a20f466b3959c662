"""The settings of JAX under which everything is traced and run."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def settings(dtype: str) -> Iterator[None]:
    """Full precision of products, and float64 only where it is asked for."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.default_matmul_precision("highest"))
        if dtype == "float64":
            stack.enter_context(jax.enable_x64(True))
        yield
