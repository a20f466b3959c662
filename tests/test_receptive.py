"""Receptive fields: against what perturbed pixels change, and against published figures."""

import jax
import numpy as np
import pytest
from amounts import some
from flax import nnx
from test_scene import Residual, conv, patches, pool, resized, stack, upsampled

import shiftproof as sp
from shiftproof.deciding.verify import ask
from shiftproof.refuting.trials import make_trial
from shiftproof.tracing.model import adapt


def dependence(model, size: int) -> np.ndarray:
    """Which output cells (rows) change with which pixels (rows of the image): (cells, pixels)."""
    generator = np.random.default_rng(0)
    still = generator.integers(1, 9, (1, size, size, 1)).astype(float)
    changed = np.repeat(still, size, 0)
    for pixel in range(size):
        changed[pixel, pixel] += generator.integers(1, 9, (size, 1))
    trial = make_trial(
        adapt(model), np.concatenate([still, changed]), draw="random", dtype="float64"
    )
    (values,) = trial.outputs(np.concatenate([still, changed]))
    moved = np.abs(values[1:] - values[:1]) > 1e-9
    return moved.reshape(size, *values.shape[2:]).any((-1, -2)).T


LINEAR = {
    "same": conv,
    "dilated": lambda: conv(kernel_dilation=2),
    "strided": lambda: stack(conv(strides=2), conv(5, (2, 1), 1)),
    "average pool": lambda: stack(conv(), pool(nnx.avg_pool)),
    "residual": Residual,
    "repeated": lambda: stack(conv(), upsampled),
    "resized": lambda: stack(conv(), resized),
    "resized by 5/4": lambda: stack(
        conv(), lambda x: jax.image.resize(x, (len(x), 20, 20, x.shape[3]), "nearest")
    ),
    "patches": lambda: stack(conv(), patches),
    "circular": lambda: conv(5, padding="CIRCULAR"),
    "transposed, of uneven phases": lambda: nnx.ConvTranspose(
        1, 1, (5, 5), 2, padding="SAME", rngs=nnx.Rngs(0)
    ),
    "transposed": lambda: nnx.ConvTranspose(1, 1, (3, 3), 2, padding="SAME", rngs=nnx.Rngs(0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", some(LINEAR, 2))
def test_fields_hold_what_cells_depend_on(name) -> None:
    model, size = LINEAR[name](), 16
    (output,) = [layer for layer in sp.verify_scene(model, (size, size, 1)).layers if layer.output]
    assert output.border is not None
    reach = output.border.reaches[0]
    field = reach.field
    assert field is not None
    found = dependence(model, size)
    widths = set()
    for cell in range(reach.low, reach.high):
        pixels = np.flatnonzero(found[cell])
        assert field.low + field.jump * cell <= pixels[0]
        assert pixels[-1] <= field.high + field.jump * cell
        widths.add(pixels[-1] - pixels[0] + 1)
    assert max(widths) == field.size  # and no wider than need be


def vgg16():
    """Thirteen convolutions and five pools; one channel will do for its receptive field."""
    layers = []
    for count in (2, 2, 3, 3, 3):
        layers += [conv(3, (1, 1), len(layers) + i) for i in range(count)]
        layers.append(pool())
    return stack(*layers)


class Bottleneck(nnx.Module):
    """A block of ResNet-50; the stride stands in its first convolution, or in its second one."""

    def __init__(self, stride, *, second):
        self.reduce = conv(1, (1, 1), 1, strides=1 if second else stride)
        self.middle = conv(3, (1, 1), 2, strides=stride if second else 1)
        self.restore = conv(1, (1, 1), 3)
        self.shortcut = conv(1, (1, 1), 4, strides=stride)

    def __call__(self, x):
        y = nnx.relu(self.middle(nnx.relu(self.reduce(x))))
        return self.restore(y) + self.shortcut(x)


def resnet50(*, second):
    blocks = [
        Bottleneck(2 if block == 0 and stage else 1, second=second)
        for stage, count in enumerate((3, 4, 6, 3))
        for block in range(count)
    ]
    first = conv(7, (1, 1), 0, strides=2)
    return stack(first, pool(size=3, stride=2, padding="SAME"), *blocks)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (vgg16, 212),  # Araujo, Norris and Sim 2019, table of receptive fields
        (lambda: resnet50(second=False), 483),  # the same table, resnet_v1_50
        (
            lambda: resnet50(second=True),
            427,
        ),  # with the stride in the 3x3 convolution, as torchvision has it
    ],
)
def test_published_receptive_fields(build, size) -> None:
    subject, _ = ask(build(), (64, 64, 1))
    field = subject.layers[-1].fields[0]
    assert field is not None
    assert (field.size, field.jump) == (size, 32)
