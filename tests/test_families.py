"""Families of published models: every shift is decided, as the mathematics of the architecture and all shifts say."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from amounts import sampled, some
from families import FAMILIES, Family
from flax import linen, nnx
from jax import lax

import shiftproof as sp
from shiftproof.deciding.property import PropertyVerdict
from shiftproof.deciding.verify import verify
from shiftproof.deciding.words import Word
from shiftproof.errors import InputError, ModelCallError, VacuousWarning
from shiftproof.proving.layers import find_layers
from shiftproof.refuting.trials import make_trial
from shiftproof.tracing.model import adapt, trace_model

SWEPT = {
    "resnet, nnx, circular",
    "unet, nnx",
    "glow",
    "argmax",
    "channels first",
    "vector quantiser",
}
"""Families on which the exhaustive sweep of the package is held against the verdict too."""


IMAGES = 4
"""Random images on which all shifts are tried."""


def grid_axes(family: Family) -> tuple[int, ...]:
    """Grid axes of one image."""
    return tuple(family.options.get("spatial_axes", range(len(family.shape) - 1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    sampled(FAMILIES, plain=16, slow=16),
)
def test_every_family_is_decided(family: Family) -> None:
    model = adapt(family.build(), apply_kwargs=family.options.get("apply_kwargs"))
    if family.dead:
        with pytest.warns(VacuousWarning, match="hardly answers to the image"):
            verdict = verify(model, family.shape, **family.options)
    else:
        verdict = verify(model, family.shape, **family.options)
    assert (verdict.these is not None) == (family.dead and model.kind != "callable")
    total = math.prod(family.shape[axis] for axis in grid_axes(family))
    assert len(verdict.outputs) == len(family.answers)
    observed = all_shifts(family, model)
    for leaf, (output, answers) in enumerate(zip(verdict.outputs, family.answers, strict=True)):
        assert (output.equivariance is None) == (answers[0] is None), output.name
        for found, expected in zip((output.equivariance, output.invariance), answers, strict=True):
            if found is not None and expected is not None:
                assert (found.proved + found.undecided, found.refuted) == (
                    expected,
                    total - expected,
                )
                assert found.undecided == 0 or said(found, family.open)
                agrees(family, found, observed[leaf])
    if verdict.these is not None:
        for output, leaf in zip(verdict.these.outputs, observed, strict=True):
            for found in output.properties:
                assert found.undecided == 0
                agrees(family, found, leaf, own=True)


def said(found: PropertyVerdict, reason: str) -> bool:
    """Whether every undecided shift has the reason expected."""
    return bool(reason) and all(reason in text for text in found.reasons.values())


def all_shifts(family: Family, model) -> list[np.ndarray]:
    """Every output with the model's own weights, in float64 where it runs in that: (image, *grid, *output)."""
    images = np.random.default_rng(0).normal(size=(IMAGES, *family.shape))
    axes = grid_axes(family)
    grid = [family.shape[axis] for axis in axes]
    try:
        trial = make_trial(model, images, draw="these", dtype="float64")
    except ModelCallError:  # it insists on float32
        trial = make_trial(model, images, draw="these", dtype="float32")
    shifted = [np.roll(x, s, axes) for x in images for s in itertools.product(*map(range, grid))]
    return [
        leaf.reshape(IMAGES, *grid, *leaf.shape[1:]) for leaf in trial.outputs(np.stack(shifted))
    ]


def agrees(
    family: Family, found: PropertyVerdict, values: np.ndarray, *, own: bool = False
) -> None:
    """No proved shift deviates beyond rounding; every refuted one does, where the weights are not degenerate."""
    rank = found.map.ndim
    scale = max(float(np.abs(values).max()), 1e-300)
    deviations = np.zeros(found.map.shape)
    for image in values:
        still = image[(0,) * rank]
        rolls = list(itertools.product(*(range(n) for n in found.claim.sizes)))
        axes = found.claim.axes
        candidates = np.stack([np.roll(still, roll, axes) if axes else still for roll in rolls])
        for shift in np.ndindex(found.map.shape):
            gaps = np.abs(candidates - image[shift]).reshape(len(candidates), -1).max(1)
            deviations[shift] = max(deviations[shift], float(gaps.min()) / scale)
    assert (
        deviations[found.map == Word.PROVED].max() < 1e-5
    )  # attention and bfloat16 round in less than float64
    if family.swept and (own or not family.dead):
        assert deviations[found.map == Word.REFUTED].min(initial=np.inf) > 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("name", some(sorted(SWEPT), 2))
def test_the_sweep_of_the_package_agrees(name) -> None:
    (family,) = (family for family in FAMILIES if family.name == name)
    model = family.build()
    verdict = sp.verify(model, family.shape, **family.options)
    images = np.random.default_rng(1).normal(size=(2, *family.shape))
    swept = sp.sweep(model, images, layers=[], dtype="float64", **family.options)
    for position, layer in enumerate(swept.layers):
        output = next(o for o in verdict.outputs if o.name == layer.output)
        for found in output.properties:
            equal = swept.status(found.claim.property, position) == sp.Status.EQUAL
            np.testing.assert_array_equal(equal, found.map == Word.PROVED)


# --- what is asked of models in other ways ---


def edges(x):
    """Looks up a table by the whole numbers in the image: every integer image lies at an edge."""
    table = jnp.asarray(np.random.default_rng(0).normal(size=10))
    return table[x.astype(int) % 10].sum(1)


def steps(x):
    """Jumps where values pass whole numbers and thirds."""
    return jnp.floor(3 * x) / 7 + jnp.where(x > 1 / 3, x, 0) ** 2


@pytest.mark.slow
@pytest.mark.parametrize(("model", "expected"), [(edges, 4), (steps, 1)])
def test_a_model_that_jumps_is_decided_beside_its_edges(model, expected) -> None:
    verdict = sp.verify(model, (4, 4, 1)).invariance
    assert (verdict.proved, verdict.refuted, verdict.undecided) == (expected, 16 - expected, 0)


@pytest.mark.slow
def test_infinities_are_values() -> None:
    verdict = sp.verify(lambda x: jnp.log(jnp.abs(x)), (4, 4, 1))
    assert verdict.equivariance.proved == 16
    assert verdict.invariance.refuted == 15


@pytest.mark.slow
def test_images_outside_the_domain_of_a_model_are_no_reason_to_give_up() -> None:
    verdict = sp.verify(lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True), (4, 4, 2))
    assert verdict.equivariance.proved == 16
    assert verdict.invariance.refuted == 15


class Reads(linen.Module):
    @linen.compact
    def __call__(self, x):
        return x * x.mean().item()


class Tokens(nnx.Module):
    def __init__(self, *, rngs):
        self.table = nnx.Embed(10, 4, rngs=rngs)

    def __call__(self, x):
        return self.table(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: (Reads(), {}), r"reads values while it runs \(\.item\(\)"),
        (lambda: Tokens(rngs=nnx.Rngs(0)), r"convert inside: lambda x: model\(x\.astype\(int\)\)"),
        (lambda: lambda x: {"map": x, "name": "net"}, "Outputs are arrays"),
    ],
)
def test_what_cannot_be_traced_is_told_with_a_remedy(model, message) -> None:
    with pytest.raises(ModelCallError, match=message):
        sp.verify(model(), (4, 4, 1))


@pytest.mark.slow
def test_tokens_are_taken_by_a_wrapper() -> None:
    model = Tokens(rngs=nnx.Rngs(0))
    verdict = sp.verify(lambda x: model(x.astype(int) % 10), (4, 4), spatial_axes=(0, 1))
    assert verdict.equivariance.proved == 16
    assert verdict.invariance.refuted == 15


@pytest.mark.slow
def test_a_class_is_no_model_and_a_bound_module_is_one() -> None:
    with pytest.raises(InputError, match="is a class"):
        sp.verify(Tokens, (4, 4, 1))
    conv = linen.Conv(2, (3, 3), padding="CIRCULAR")
    variables = conv.init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
    assert sp.verify(conv.bind(variables), (4, 4, 1)).equivariance.proved == 16


@pytest.mark.parametrize(
    ("model", "grid", "strides"),
    [
        (lambda x: x.reshape(x.shape[0], 16, 3)[..., 0].reshape(-1, 4, 4), (1, 2), ("1", "1")),
        (lambda x: x[:, ::2].reshape(1, 8, 3).transpose(0, 2, 1).reshape(1, 3, 2, 4), (2, 3), ("2", "1")),
        (lambda x: jax.nn.softmax(jnp.einsum("bhwc,biwc->bwhi", x, x)).max(-1), (2, 1), ("1", "1")),
        (lambda x: lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y), x)[..., 0], (1, 2), ("1", "1")),
        (lambda x: lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x).max(-1), (1, 2), ("1", "1")),
        (lambda x: jax.image.resize(x[..., 0], (1, 8, 2), "nearest"), (1, 2), ("1/2", "2")),
        (lambda x: jnp.arange(9.0)[x[..., 0].astype(int) % 9], (1, 2), ("1", "1")),
        (lambda x: jnp.stack([x, 2 * x], 1)[:, 0, :, :, 0], (1, 2), ("1", "1")),
        (lambda x: jnp.concatenate([x, x], 1).reshape(1, 32, 3).max(-1), (None, None), (None, None)),
    ],
)  # fmt: skip
def test_the_grid_of_an_output_is_followed_through_what_models_do(model, grid, strides) -> None:
    program = trace_model(adapt(model), [], np.zeros((1, 4, 4, 3), np.float32))
    (*_, layer) = find_layers(program, (1, 2))
    assert layer.grid == grid
    assert tuple(s and str(s) for s in layer.strides) == strides
