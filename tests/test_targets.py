"""From a word on the command line to a model: what is found out is told, and what is not clear is asked."""

import sys

import pytest

import shiftproof as sp
from shiftproof.errors import InputError, ModelCallError
from shiftproof.targets import load_target
from shiftproof.tracing.model import adapt, takes

IMPORTS = "import jax, jax.numpy as jnp\nfrom flax import linen as nn, nnx\n"

NET = IMPORTS + (
    "class Block(nnx.Module):\n"
    "    def __init__(self, width, rngs):\n"
    "        self.conv = nnx.Conv(3, width, (3, 3), padding='CIRCULAR', rngs=rngs)\n"
    "    def __call__(self, x):\n"
    "        return nnx.relu(self.conv(x))\n"
    "class Net(nnx.Module):\n"
    "    def __init__(self, *, rngs):\n"
    "        self.block = Block(4, rngs)\n"
    "    def __call__(self, x):\n"
    "        return self.block(x)\n"
)

FLAT = IMPORTS + (
    "def make_model():\n"
    "    layers = nnx.Sequential(nnx.Linear(784, 10, rngs=nnx.Rngs(0)))\n"
    "    return lambda x: layers(x.reshape(x.shape[0], -1))\n"
    "def helper():\n    raise RuntimeError\n"
)

LINEN = IMPORTS + (
    "class Net(nn.Module):\n"
    "    @nn.compact\n"
    "    def __call__(self, x, train: bool):\n"
    "        x = nn.BatchNorm(use_running_average=not train)(nn.Conv(2, (3, 3))(x))\n"
    "        return nn.Dropout(0.5, deterministic=not train)(x)\n"
)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a file under a name of its own, and load a target of it."""
    monkeypatch.chdir(tmp_path)

    def write(content: str, name: str = "", **options):
        count = len(list(tmp_path.iterdir()))
        file = tmp_path / f"written{count}.py"
        file.write_text(content)
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
        return load_target(f"{file.name}{name and ':'}{name}", **options)

    return write


def test_a_class_that_takes_rngs_is_made(load) -> None:
    target = load(NET, "Net")
    assert target.shape == (32, 32, 3)
    first, second = target.notes
    assert first == "Net is made with rngs=nnx.Rngs(0)."
    assert "images are taken to have the shape 32x32x3" in second
    assert load(NET, "Net", grid=(8, 6)).shape == (8, 6, 3)
    assert load(NET, "Net", shape=(4, 4, 3)).notes == (first,)
    with pytest.raises(
        InputError, match=r"Block needs the arguments width, rngs.*rngs=nnx.Rngs\(0"
    ):
        load(NET, "Block")


@pytest.mark.slow
def test_without_a_name_the_likely_candidate_is_taken_or_asked_for(load) -> None:
    target = load(FLAT, channels=1, grid=(28, 28))
    assert target.name == "make_model"
    assert "defines make_model, which is taken" in target.notes[0]
    assert load(NET).name == "Net"  # a Block needs more than rngs
    with pytest.raises(InputError, match=r"defines Net, Twin: say which one.*:Twin"):
        load(NET + "class Twin(Net):\n    pass\n")
    with pytest.raises(InputError, match="defines no model"):
        load("import math\n")
    assert (
        load("def main():\n    raise RuntimeError\ndef half(x):\n    return x[:, ::2]\n").name
        == "half"
    )


def test_the_size_of_a_flattened_image_is_found(load) -> None:
    target = load(FLAT)
    assert target.shape == (28, 28, 1)
    with pytest.raises(InputError, match="shape 28x28x1: say --shape 28 28 1"):
        load(FLAT, grid=(32, 32))


@pytest.mark.parametrize(
    "line",
    ["shape = (9, 7, 1)", "EXAMPLE = jnp.ones((2, 9, 7, 1))", "make_model.shape = (9, 7, 1)"],
)
def test_a_shape_may_be_an_attribute(load, line) -> None:
    target = load(IMPORTS + f"def make_model():\n    return lambda x: x\n{line}\n")
    assert target.shape == (9, 7, 1)
    assert "images have the shape 9x7x1, by " in target.notes[-1]


def test_a_linen_module_gets_weights_and_its_inference_switch(load) -> None:
    target = load(LINEN, shape=(8, 8, 1))
    assert takes(target.model, (8, 8, 1))
    assert "Net is called with train=False, for inference." in target.notes
    assert "the weights of Net are those of its initialisation with key 0." in target.notes
    with pytest.raises(InputError, match="add --shape 32 32 3"):
        load(LINEN)
    pair = LINEN + (
        "def make():\n    net = Net()\n"
        "    return net, net.init(jax.random.key(0), jnp.ones((1, 8, 8, 2)), train=False)\n"
    )
    assert load(pair, "make").shape == (32, 32, 2)


def test_a_module_is_found_as_a_file_is(load, tmp_path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("def half(x):\n    return x[:, ::2]\n")
    assert load_target("pack.inner:half").name == "half"
    assert load_target("pack.inner").name == "half"
    (tmp_path / "lonely.py").write_text("def half(x):\n    return x[:, ::2]\n")
    assert load_target("lonely").name == "half"
    with pytest.raises(InputError, match=r"there is no file lonly.py. Did you mean lonely.py\?"):
        load_target("lonly.py")
    (tmp_path / "numpy.py").write_text("def half(x):\n    return x[:, ::2]\n")
    with pytest.raises(InputError, match=r"numpy\.py has the name of the module numpy.*rename"):
        load_target("numpy.py")
    with pytest.raises(InputError, match=r"mymodel\.py:make_model"):
        load_target("lenet-globl")


def test_a_wrong_shape_gets_the_right_call(load) -> None:
    model = load(NET, "Net").model
    import shiftproof as sp

    for wrong in ((8, 8, 1), (8, 8)):
        with pytest.raises(
            ModelCallError, match=r"It can be called on images of shape \(8, 8, 3\)"
        ):
            sp.verify(model, wrong, spatial_axes=(0, 1))
    strict = adapt(lambda x: x @ jnp_ones())
    with pytest.raises(ModelCallError, match="Check rank and channels"):
        sp.verify(strict, (8, 8, 1))


def jnp_ones():
    import jax.numpy as jnp

    return jnp.ones((5, 5))


FAMILY = IMPORTS + (
    "import functools\n"
    "class Net(nn.Module):\n"
    "    stages: tuple\n"
    "    width: int = 4\n"
    "    @nn.compact\n"
    "    def __call__(self, x):\n"
    "        for _ in self.stages:\n            x = nn.Conv(self.width, (3, 3))(x)\n"
    "        return x.mean((1, 2))\n"
    "Small = functools.partial(Net, stages=(1,))\n"
    "Bare = functools.partial(Net, width=2)\n"
)


def test_partials_of_a_class_are_factories(load) -> None:
    """F10: as in Flax's ImageNet example, where every network is a partial of one class."""
    assert load(FAMILY, shape=(8, 8, 1)).name == "Small"  # the only one that needs nothing more
    assert load(FAMILY, "Small", shape=(8, 8, 1)).name == "Small"
    with pytest.raises(InputError, match=r"Bare needs the arguments stages"):
        load(FAMILY, "Bare")


def test_a_model_of_a_dict_is_told_to_be_wrapped(load) -> None:
    """F8."""
    with pytest.raises(ModelCallError, match=r"takes a dict of arrays\. Wrap it"):
        sp.verify(lambda x: x["image"], (8, 8, 1))
