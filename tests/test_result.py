import dataclasses
import json

import msgspec
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.errors import InputError, ResultFileError
from shiftproof.sweeping.result import Status, axis_names


@pytest.fixture(scope="module")
def result() -> sp.Sweep:
    net = nnx.Sequential(
        nnx.Conv(1, 2, (3, 3), padding="CIRCULAR", rngs=nnx.Rngs(0)),
        lambda x: nnx.max_pool(x, (2, 2), (2, 2)),
    )
    return sp.sweep(net, (6, 8, 1), name="tiny")


@pytest.mark.slow
def test_saved_and_loaded_sweeps_are_alike(result, tmp_path) -> None:
    path = result.save(tmp_path / "deep" / "sweep.npz")
    loaded = sp.load_sweep(path)
    assert loaded.header == result.header
    for name in (
        "equivariance",
        "equivariance_cells",
        "invariance",
        "invariance_cells",
        "agreement",
    ):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result, name))
    assert loaded.save(tmp_path / "again.npz").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("old", "new"), [("circular", "torus"), ("zero", "background")])
def test_boundaries_of_older_files_have_their_names_of_today(result, tmp_path, old, new) -> None:
    header = msgspec.structs.replace(result.header, boundary=old)
    path = dataclasses.replace(result, header=header).save(tmp_path / "sweep.npz")
    assert sp.load_sweep(path).header.boundary == new


@pytest.mark.slow
def test_probes_on_a_background_have_room_to_move() -> None:
    conv = nnx.Conv(1, 2, (3, 3), use_bias=False, rngs=nnx.Rngs(0))
    swept = sp.sweep(conv, (8, 8, 1), boundary="background")
    assert swept.ranges == (range(-3, 4), range(-3, 4))
    assert str(swept.count("equivariance")) == "49/49"


def test_maps_have_the_axes_layer_dy_dx(result) -> None:
    assert result.equivariance.shape == (2, 6, 8)
    assert result.at((-1, 9)) == (5, 1)
    assert [x.name for x in result.layers] == ["layers.0", "max_pool"]


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_truncated_files_are_detected(result, tmp_path, keep) -> None:
    path = result.save(tmp_path / "sweep.npz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ResultFileError, match="no readable sweep"):
        sp.load_sweep(path)


def test_altered_files_are_detected(result, tmp_path) -> None:
    path = result.save(tmp_path / "sweep.npz")
    content = bytearray(path.read_bytes())
    for position in range(60, len(content) - 1200, 97):  # anywhere in the archived data
        altered = bytearray(content)
        altered[position] ^= 0x55
        path.write_bytes(altered)
        try:
            loaded = sp.load_sweep(path)
        except ResultFileError:
            continue
        # what slipped through lies in the archive's own padding, not in the data
        assert loaded.header == result.header
        np.testing.assert_array_equal(loaded.invariance, result.invariance)


def test_other_schemas_and_files_are_refused(result, tmp_path) -> None:
    header = msgspec.structs.replace(result.header, schema="shiftproof.sweep/9")
    path = sp.Sweep(
        header,
        *[
            getattr(result, n)
            for n in (
                "equivariance",
                "equivariance_cells",
                "invariance",
                "invariance_cells",
                "agreement",
            )
        ],
    ).save(tmp_path / "new.npz")
    with pytest.raises(
        ResultFileError,
        match=r"schema 'shiftproof.sweep/9'; this version reads 'shiftproof.sweep/1'",
    ):
        sp.load_sweep(path)
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(ResultFileError, match="another kind of file"):
        sp.load_sweep(text)
    with pytest.raises(FileNotFoundError):
        sp.load_sweep(tmp_path / "none.npz")


def test_json_summary(result) -> None:
    data = json.loads(msgspec.json.encode(result.to_json()))
    assert data["schema"] == "shiftproof.sweep/1"
    assert (data["model"], data["grid"], data["weights"]) == ("tiny", [6, 8], "integers")
    conv, pool = data["layers"]
    assert conv["equivariance"]["lattice"] == [[1, 0], [0, 1]]
    assert pool["equivariance"] | {"max_deviation": 0} == {
        "lattice": [[2, 0], [0, 2]],
        "equal": 12,
        "differs": 0,
        "unclear": 0,
        "undefined": 36,
        "max_deviation": 0,
    }
    assert pool["invariance"]["equal"] == 1
    assert pool["exact"] is True
    assert {"jax", "jaxlib", "flax", "python", "device", "seed", "weights", "images"} <= set(
        data["provenance"]
    )


@pytest.mark.slow
def test_json_has_no_equivariance_without_a_grid() -> None:
    data = sp.sweep(lambda x: x.sum((1, 2)), (4, 4, 1)).to_json()
    assert data["layers"][-1]["equivariance"] is None


def test_xarray(result) -> None:
    dataset = result.to_xarray()
    assert dict(dataset.sizes) == {"layer": 2, "dy": 6, "dx": 8}
    assert float(dataset.equivariance.sel(layer="max_pool", dy=2, dx=4)) == 0
    assert np.isnan(float(dataset.equivariance.sel(layer="max_pool", dy=1, dx=4)))


def test_unknown_names(result) -> None:
    with pytest.raises(InputError, match=r"no layer is named 'conv'; there are layers.0, max_pool"):
        result.count("equivariance", "conv")
    with pytest.raises(InputError, match="property must be one of"):
        result.count("symmetry")
    with pytest.raises(InputError, match="has 1 entries for a grid of 2 axes"):
        result.at((1,))


def synthetic(result: sp.Sweep, *, noise: float, deviations: list[float]) -> np.ndarray:
    """Statuses of a rounded layer with the given noise and deviations."""
    record = msgspec.structs.replace(result.layers[0], exact=False, noise=noise)
    header = msgspec.structs.replace(
        result.header, layers=(record,), grid=(len(deviations),), ranges=((0, len(deviations)),)
    )
    deviation = np.array([deviations])
    cells = (deviation > 0).astype(np.int32)
    return sp.Sweep(header, deviation, cells, deviation, cells, cells).status("invariance")


@pytest.mark.slow
def test_rounded_layers_are_judged_against_their_noise(result) -> None:
    statuses = synthetic(result, noise=1e-6, deviations=[0, 1e-6, 1.5e-5, 2e-5, 1e-3, 2e-3])
    equal, unclear, differs = Status.EQUAL, Status.UNCLEAR, Status.DIFFERS
    assert statuses.tolist() == [equal, equal, equal, unclear, unclear, differs]


def test_without_a_noise_floor_only_equal_bits_are_equal(result) -> None:
    statuses = synthetic(result, noise=float("nan"), deviations=[0, 1e-30, 5])
    assert statuses.tolist() == [Status.EQUAL, Status.UNCLEAR, Status.UNCLEAR]


def test_axis_names() -> None:
    assert [axis_names(rank) for rank in (1, 2, 3)] == [("dx",), ("dy", "dx"), ("dz", "dy", "dx")]
