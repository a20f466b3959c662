"""Any number of devices gives the same bytes; forced host devices stand in for accelerators."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
import jax, numpy as np
import shiftproof as sp
from flax import nnx

assert len(jax.local_devices()) == int(sys.argv[1])
net = nnx.Sequential(
    nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0)),
    lambda x: nnx.max_pool(nnx.relu(x), (2, 2), (2, 2)).mean((1, 2)),
    nnx.Linear(4, 3, rngs=nnx.Rngs(1)),
)
images = np.random.default_rng(0).integers(-4, 5, (2, 12, 12, 1))
for weights, dtype in (("integers", "auto"), ("these", "float32")):
    sp.sweep(net, images, weights=weights, dtype=dtype, chunk=20, directory=f"{sys.argv[2]}/{weights}")
"""


@pytest.mark.slow
def test_four_devices_give_the_bytes_of_one(tmp_path) -> None:
    for count in (1, 4):
        flags = f"--xla_force_host_platform_device_count={count}"
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(count), str(tmp_path / str(count))],
            check=True,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        )
    for weights in ("integers", "these"):
        one, four = (tmp_path / str(count) / weights for count in (1, 4))
        assert (one / "sweep.npz").read_bytes() == (four / "sweep.npz").read_bytes()
        chunks = sorted(path.name for path in (one / "chunks").iterdir())
        assert len(chunks) == 8  # two rounds of four
        for name in chunks:
            assert (one / "chunks" / name).read_bytes() == (four / "chunks" / name).read_bytes()
