"""The coset sweep gives what brute force gives, from as many forward passes as there are cosets."""

import itertools
import math
import re
import warnings

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from amounts import some
from flax import nnx

import shiftproof as sp
from shiftproof import zoo
from shiftproof.canvas import Canvas
from shiftproof.errors import ContradictionError, InputError, ResumeError
from shiftproof.group import Lattice
from shiftproof.sweeping import cosets as cosets_module
from shiftproof.sweeping.cosets import Cosets, find_cosets
from shiftproof.sweeping.engine import Engine
from shiftproof.sweeping.question import Asker
from shiftproof.sweeping.result import EQUAL_WITHIN, CosetRecord, Header
from shiftproof.tracing.model import adapt

MAPS = ("equivariance", "equivariance_cells", "invariance", "invariance_cells", "agreement")
IMAGES = np.random.default_rng(0).integers(-4, 5, (2, 6, 8, 2)).astype(np.float32)


def lenet(**options):
    return zoo.LeNet(width=2, hidden=8, rngs=nnx.Rngs(0), **options)


def resnet():
    net = zoo.ResNet(widths=(2, 4), blocks=(1, 1), strides=(1, 2), rngs=nnx.Rngs(0))
    net.eval()
    return net


def vit():
    net = zoo.ViT(size=12, patch=4, width=8, depth=1, heads=2, positions=False, rngs=nnx.Rngs(0))
    net.eval()
    return net


def conv(rank: int, **options):
    kernel = (3,) * rank
    return nnx.Conv(2, 3, kernel, padding="CIRCULAR", rngs=nnx.Rngs(0), **options)


def pool(x):
    return nnx.max_pool(x, (2, 2), (2, 2))


CIRCULANT = np.stack([np.roll([3, 1, 2, 1, 1, 1], i) for i in range(6)])


def masked(x):
    """The mask moves with the image along its diagonal only."""
    return x * jnp.asarray(CIRCULANT, x.dtype)[..., None]


def tokens(x):
    """Patches of 2x2 as one axis of tokens, in which two factors move."""
    b, h, w, c = x.shape
    patches = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return patches.reshape(b, h * w // 4, 4 * c) * 2


# name: model, shape of an image, options, generators of the lattice
CASES = {
    "conv": (conv(2), (6, 8, 2), {}, {(1, 0), (0, 1)}),
    "conv, any law": (conv(2), (4, 5, 2), {"law": "any"}, {(1, 0), (0, 1)}),
    "conv, stride 2": (conv(2, strides=2), (6, 8, 2), {}, {(2, 0), (0, 2)}),
    "conv, stride 2, same law": (
        conv(2, strides=2),
        (6, 8, 2),
        {"law": "same"},
        {(2, 0), (0, 2)},
    ),
    "conv, stride (1, 2)": (conv(2, strides=(1, 2)), (6, 8, 2), {}, {(1, 0), (0, 2)}),
    "conv 1-D": (conv(1, strides=2), (12, 2), {}, {(2,)}),
    "conv 3-D": (conv(3, strides=(1, 2, 2)), (3, 4, 6, 2), {}, {(1, 0, 0), (0, 2, 0), (0, 0, 2)}),
    "max pool": (pool, (6, 8, 2), {}, {(2, 0), (0, 2)}),
    "max pool of which one axis only divides": (pool, (7, 8, 2), {}, {(0, 2)}),
    "average pool": (lambda x: nnx.avg_pool(x, (2, 2), (2, 2)), (6, 8, 2), {}, {(2, 0), (0, 2)}),
    "pool, global max": (lambda x: pool(x).max((1, 2)), (6, 8, 3), {}, {(2, 0), (0, 2)}),
    "transposed conv": (
        zoo.build("conv-transpose3x3-stride2"),
        (8, 8, 2),
        {"layers": []},
        {(1, 0), (0, 1)},
    ),
    "diagonal": (masked, (6, 6, 2), {}, {(1, 1)}),
    "tokens": (tokens, (6, 8, 2), {}, {(2, 0), (0, 2)}),
    "constant beside": (lambda x: (x.sum(1), 3.0, jnp.zeros(2)), (4, 4, 1), {}, {(1, 0), (0, 1)}),
    "LeNet": (lenet(head="global"), (12, 12, 1), {}, {(4, 0), (0, 4)}),
}


def record_of(result: sp.Sweep) -> CosetRecord:
    record = result.header.cosets
    assert record is not None
    return record


def assert_alike(brute: sp.Sweep, lifted: sp.Sweep) -> None:
    """Bytes on exact layers, rounding on the others."""
    assert [record.name for record in brute.layers] == [record.name for record in lifted.layers]
    for i, record in enumerate(lifted.layers):
        for name in MAPS:
            a, b = getattr(brute, name)[i], getattr(lifted, name)[i]
            if record.exact:
                assert a.tobytes() == b.tobytes(), (record.name, name)
            elif name in ("equivariance", "invariance"):
                assert np.array_equal(np.isnan(a), np.isnan(b))
                assert np.nanmax(np.abs(a - b), initial=0) <= EQUAL_WITHIN * record.noise
                assert np.array_equal(brute.status(name, i), lifted.status(name, i)), record.name


@pytest.mark.slow
@pytest.mark.parametrize("name", some(CASES, 2))
def test_cosets_give_the_bytes_of_brute_force(name) -> None:
    model, shape, options, generators = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.errors.VacuousWarning)
        brute = sp.sweep(model, shape, **options)
        lifted = sp.sweep(model, shape, method="cosets", **options)
    assert all(record.exact for record in lifted.layers)
    assert_alike(brute, lifted)
    record = record_of(lifted)
    assert set(record.generators) == generators
    grid = shape[:-1]
    assert record.forwards == math.prod(grid) // Lattice(grid, record.generators).count
    assert record.checked == min(8, math.prod(grid) - record.forwards)
    assert record.unchecked == ()
    assert f"{record.forwards} forward passes" in repr(lifted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "size", "forwards", "dtype"),
    [
        pytest.param(vit, 12, 16, "float32", marks=pytest.mark.slow),
        (resnet, 8, 4, "float64"),
    ],
)
def test_rounded_layers_differ_by_rounding_only(build, size, forwards, dtype) -> None:
    """Every layer is lifted, tokens and attention of the ViT included, which move by whole patches."""
    images = np.random.default_rng(0).normal(size=(1, size, size, 3))
    brute = sp.sweep(build(), images, dtype=dtype)
    lifted = sp.sweep(build(), images, dtype=dtype, method="cosets")
    assert not lifted.layers[-1].exact
    assert (record_of(lifted).forwards, record_of(lifted).unchecked) == (forwards, ())
    assert_alike(brute, lifted)


@pytest.mark.slow
def test_one_forward_pass_per_coset(monkeypatch) -> None:
    seen: list[np.ndarray] = []
    rows = Engine.rows

    def spied(engine, shifts):
        seen.append(shifts.reshape(-1, shifts.shape[-1]))
        return rows(engine, shifts)

    monkeypatch.setattr(Engine, "rows", spied)
    result = sp.sweep(lenet(head="global"), (12, 12, 1), method="cosets", layers=[], chunk=6)
    swept = np.unique(np.concatenate(seen), axis=0)
    assert len(swept) == record_of(result).forwards == 16
    assert len(seen) == 3  # fifteen shifts besides 0, five in each chunk
    assert len(np.unique(swept % 4, axis=0)) == 16


@pytest.mark.slow
def test_chunks_do_not_change_the_answer() -> None:
    whole = sp.sweep(conv(2, strides=2), IMAGES, weights="integers")
    for chunk in (2, 3, 5, 64):
        options = {"chunk": chunk, "method": "cosets", "weights": "integers"}
        assert_alike(whole, sp.sweep(conv(2, strides=2), IMAGES, **options))


@pytest.mark.slow
def test_progress_counts_every_shift_once() -> None:
    seen = []
    options = {"chunk": 6, "progress": lambda done, total: seen.append((done, total))}
    sp.sweep(pool, np.tile(IMAGES, (1, 2, 2, 1)) * 2, method="cosets", **options)
    assert seen[0] == (1, 192)
    assert seen[-1] == (192, 192)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


# --- where there is no lattice ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shape", "why"),
    [
        (
            zoo.DenseNet(shape=(6, 6, 1), hidden=4, rngs=nnx.Rngs(0)),
            (6, 6, 1),
            r"none for layer hidden \(networks.py:\d+\) alone; layers= can",
        ),
        (
            lambda x: x.at[:, 2, 3].add(1),
            (12, 12, 1),
            r"none for layer add \(test_cosets.py:\d+\) alone$",
        ),
        # 2Z for one output and 3Z for the other: together only 0 of six
        (lambda x: (nnx.max_pool(x, (2,), (2,)), nnx.max_pool(x, (3,), (3,))), (6, 1), "move$"),
    ],
    ids=["flatten", "one pixel", "outputs"],
)
def test_without_a_lattice_every_shift_is_computed_and_the_result_says_why(
    model, shape, why
) -> None:
    brute, lifted = sp.sweep(model, shape), sp.sweep(model, shape, method="cosets")
    assert lifted.header.cosets is None
    note = lifted.header.provenance["cosets"]
    assert note.startswith("every shift was computed: no lattice was found")
    assert re.search(why, note), note
    for name in MAPS:
        assert getattr(brute, name).tobytes() == getattr(lifted, name).tobytes()


@pytest.mark.slow
def test_fewer_layers_may_have_a_lattice() -> None:
    model = zoo.build("conv-transpose3x3-stride2")
    note = sp.sweep(model, (8, 8, 2), method="cosets").header.provenance["cosets"]
    assert "layer conv_transpose alone; layers= can leave it out" in note
    result = sp.sweep(model, (8, 8, 2), method="cosets", layers=[])
    assert record_of(result).forwards == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"boundary": "background"},
            "needs the torus, .* use \"brute\" with boundary='background'",
        ),
        ({"boundary": "scene", "grid": (4, 4)}, "needs the torus"),
    ],
)
def test_cosets_need_the_torus(options, message) -> None:
    with pytest.raises(InputError, match=message):
        sp.sweep(conv(2), IMAGES, method="cosets", **options)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="method must be one of brute, cosets; got 'lift'"):
        sp.sweep(conv(2), IMAGES, method="lift")  # type: ignore[arg-type]


# --- the sample ---


def roll_too_far(monkeypatch) -> None:
    right = cosets_module._sources
    monkeypatch.setattr(cosets_module, "_sources", lambda f, k: np.roll(right(f, k), int(k > 0)))


def stand_still(monkeypatch) -> None:
    monkeypatch.setattr(cosets_module, "_motions", lambda fact, generator: [])


def claim_too_much(monkeypatch) -> None:
    """A lattice twice as fine as the one that is proved, each generator moving what its double does."""
    right = cosets_module.largest_lattice

    def finer(grid, holds):
        generators, _ = right(grid, holds)
        generators = [(1, 0) if g == (2, 0) else g for g in generators]
        return generators, Lattice(grid, tuple(generators))

    known = cosets_module._fact
    monkeypatch.setattr(cosets_module, "largest_lattice", finer)
    monkeypatch.setattr(
        cosets_module,
        "_fact",
        lambda q, p, layer, shift: known(q, p, layer, (2, 0) if shift == (1, 0) else shift),
    )


@pytest.mark.slow
@pytest.mark.parametrize("break_it", [roll_too_far, stand_still, claim_too_much])
@pytest.mark.parametrize("exact", [True, False])
def test_a_wrong_lattice_is_a_contradiction(monkeypatch, break_it, exact) -> None:
    net = conv(2, strides=2)
    model = net if exact else lambda x: jnp.tanh(net(x))
    images = IMAGES if exact else np.random.default_rng(0).normal(size=(1, 6, 8, 2))
    options = {"method": "cosets", "weights": "integers" if exact else "these", "layers": []}
    sp.sweep(model, images, **options)
    break_it(monkeypatch)
    message = (
        r"layer \w+.* under shift \(\d, \d\), lifted from shift \(\d, \d\) by what the kernel proved, holds "
        r"-?\d.* where the compiled program gives -?\d.*: .* apart, and rounding explains "
        rf"{'0' if exact else '[1-9].*'}. Either .* report a bug, with the model"
    )
    with pytest.raises(ContradictionError, match=message):
        sp.sweep(model, images, **options)


@pytest.mark.slow
def test_nan_is_no_agreement(monkeypatch) -> None:
    def lift(self, values, slot, element):
        return [value[slot] * jnp.nan for value in values]

    monkeypatch.setattr(Cosets, "lift", lift)
    monkeypatch.setattr("shiftproof.sweeping.sweep._check_rows", lambda question, maps: None)
    with pytest.raises(ContradictionError, match="nan apart"):
        sp.sweep(conv(2), IMAGES, method="cosets", weights="integers")


@pytest.mark.slow
def test_layers_whose_noise_cannot_be_measured_are_named() -> None:
    images = np.random.default_rng(0).normal(size=(1, 6, 8, 3))
    result = sp.sweep(
        lambda x: (jnp.exp(x), jnp.argmax(jnp.exp(x), axis=-1)), images, method="cosets"
    )
    assert record_of(result).unchecked == ("output.1",)


def make_question(model, shape):
    images = sp.integer_images(shape, count=1, seed=0)
    axes = tuple(range(1, len(shape)))
    return Asker(adapt(model), Canvas.torus(images, axes=axes)).ask("float32")


def test_the_sample_holds_every_generator_once_and_no_shift_twice() -> None:
    found = find_cosets(make_question(conv(3, strides=(1, 2, 2)), (3, 4, 6, 2)))
    for seed in range(20):
        sample = found.sample(8, seed)
        assert len(np.unique(sample, axis=0)) == len(sample) == 8
        assert np.all(sample[:, 1] > 0)
        assert [tuple(found.elements[e]) for _, e in sample[:3]] == list(found.generators)
    assert not np.array_equal(found.sample(8, 0), found.sample(8, 1))
    assert np.array_equal(found.sample(8, 1), found.sample(8, 1))
    lifted = len(found.representatives) * (len(found.elements) - 1)
    assert len(found.sample(10**6, 0)) == lifted == 72 - len(found.representatives)


# --- the group ---


@pytest.mark.parametrize("grid", [(6,), (1, 4), (4, 6), (2, 3, 4)])
def test_elements_and_representatives_tile_the_grid(grid) -> None:
    shifts = list(itertools.product(*map(range, grid)))
    generator = np.random.default_rng(0)
    for _ in range(40):
        chosen = [shifts[i] for i in generator.integers(0, len(shifts), generator.integers(0, 4))]
        elements, multiples = cosets_module._elements(grid, chosen)
        assert {tuple(e) for e in elements} == {
            tuple(e) for e in np.argwhere(Lattice(grid, chosen).mask())
        }
        assert len(np.unique(elements, axis=0)) == len(elements)
        assert not np.any(elements[0])
        total = multiples @ np.array(chosen, int).reshape(-1, len(grid)) % grid
        assert np.array_equal(total, elements)
        representatives = np.array(list(np.ndindex(*Lattice(grid, tuple(chosen)).box)))
        covered = (representatives[:, None] + elements).reshape(-1, len(grid)) % grid
        assert sorted(map(tuple, covered.tolist())) == shifts


@pytest.mark.slow
@pytest.mark.parametrize("model", [tokens, pool, resnet()], ids=["tokens", "pool", "resnet"])
def test_lift_is_what_the_shift_does(model) -> None:
    """All layers under every element of the lattice, from the values at rest; the layers one after the other."""
    shape = (8, 8, 3)
    question = make_question(model, shape)
    found = find_cosets(question)
    engine = Engine(
        question, chunk=len(found.elements), devices=jax.local_devices()[:1], cosets=found
    )
    values = [value[0] for value in engine.forward(found.elements[None])]
    for element in range(len(found.elements)):
        lifted = found.lift(values, jnp.int32(0), jnp.int32(element))
        for layer, a, b in zip(question.layers, lifted, values, strict=True):
            np.testing.assert_allclose(
                a, b[element], rtol=0, atol=1e-4 * np.abs(b).max(), err_msg=layer.name
            )


# --- on disk ---


@pytest.mark.slow
def test_a_killed_coset_sweep_goes_on(tmp_path) -> None:
    def run(resume: bool) -> bytes:
        sp.sweep(
            conv(2, strides=2),
            IMAGES,
            method="cosets",
            chunk=3,
            directory=tmp_path,
            resume=resume,
        )
        return (tmp_path / "sweep.npz").read_bytes()

    whole = run(resume=False)
    first, second = sorted((tmp_path / "chunks").iterdir())
    age = first.stat().st_mtime_ns
    second.unlink()
    assert run(resume=True) == whole
    assert first.stat().st_mtime_ns == age
    loaded = sp.load_sweep(tmp_path / "sweep.npz")
    assert record_of(loaded).generators == ((2, 0), (0, 2))
    assert loaded.to_json()["cosets"]["forwards"] == 4


@pytest.mark.slow
def test_chunks_of_brute_force_and_of_cosets_are_not_mixed(tmp_path) -> None:
    model = conv(2, strides=2)
    sp.sweep(model, IMAGES, directory=tmp_path / "brute")
    with pytest.raises(ResumeError, match="method: stored nothing, now cosets of"):
        sp.sweep(model, IMAGES, method="cosets", directory=tmp_path / "brute", resume=True)
    sp.sweep(model, IMAGES, method="cosets", directory=tmp_path / "cosets")
    with pytest.raises(ResumeError, match=r"method: stored cosets of .*, now nothing"):
        sp.sweep(model, IMAGES, directory=tmp_path / "cosets", resume=True)


@pytest.mark.slow
def test_the_header_of_brute_force_is_as_before() -> None:
    header = sp.sweep(nnx.relu, IMAGES).header
    written = msgspec.json.decode(msgspec.json.encode(header))
    assert "cosets" not in written
    assert "cosets" not in written["provenance"]
    assert msgspec.json.decode(msgspec.json.encode(header), type=Header).cosets is None
