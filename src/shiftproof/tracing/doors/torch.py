"""PyTorch: `torch.nn.Module`, made a function of JAX arrays by torchax. Batches, channels first.

The call is `torch.func.functional_call` on a copy in inference mode, so that the user's model is never changed.
Statistics of norms are those that `eval()` uses; every other buffer (a mask, a table of positions, the kernel of a
blur) is a constant of the architecture.
"""

import contextlib
import copy
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import Door, Model, Words, floating, is_kind
from shiftproof.tracing.trace import module_scope

WRAP = 'F.pad(x, ..., mode="circular")'
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers that training estimates, as all norms of PyTorch call them."""

ADAPTER, RIGHT = "torchax", "torch 2.9 with torchax 0.0.13"


class Torch(Door):
    """`torch.nn.Module`."""

    kind, framework = "torch", "PyTorch"
    package, least = "torch", (2, 9)
    outputs_axis = 0
    words = Words(
        convolution='padding_mode="circular"',
        valid='padding=(size of the kernel) // 2, padding_mode="circular"',
        pools={},
        by_hand=f"{WRAP} before the pool, padding=0 in it",
        random="switch it off, by training=self.training, or model.eval() before",
        pad=WRAP,
    )

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return self.makes(type(value))

    def makes(self, kind: type) -> bool:
        """As `Door.makes`."""
        return is_kind(kind, "torch", "Module")

    def is_channels_first(self, model: Any) -> bool:
        """As `Door.is_channels_first`."""
        return True

    def lacks_weights(self, model: Any) -> bool:
        """As `Door.lacks_weights`: it has lazy layers that saw no images yet."""
        return any(_is_lazy(parameter) for parameter in model.parameters())

    def initialised(self, model: Any, images: Any, arguments: Mapping[str, Any], seed: int) -> Any:
        """As `Door.initialised`."""
        torch = sys.modules["torch"]
        with torch.random.fork_rng([]), torch.no_grad():
            torch.manual_seed(seed)
            model.eval()(torch.from_numpy(np.array(images)), **arguments)
        return model

    def check_version(self) -> None:
        """As `Door.check_version`; the adapter must be there too."""
        super().check_version()
        if importlib.util.find_spec(ADAPTER) is None:
            raise InputError(f"models of PyTorch are traced through {ADAPTER}: {self.install}")

    @property
    def install(self) -> str:
        """As `Door.install`: the combination that is tested."""
        return (
            f'{RIGHT}: pip install "torch==2.9.*" "{ADAPTER}==0.0.13", or in a checkout of shiftproof '
            'pip install -e ".[torch]"'
        )

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`.

        Raises:
            InputError: PyTorch or its adapter is missing or too old, a layer has no weights yet, or the module is
                compiled to TorchScript.
        """
        self.check_version()
        torch = sys.modules["torch"]
        label = name or type(model).__name__
        model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
        if isinstance(model, torch.nn.DataParallel):
            model = model.module
        if isinstance(model, torch.jit.ScriptModule):
            raise InputError(
                f"{label} is compiled by torch.jit, and shows no layers: pass the module that it was made of."
            )
        if self.lacks_weights(model):
            raise InputError(
                f"{label} has lazy layers without weights: call it once on images, such as torch.zeros(1, 3, 32, 32)."
            )
        notes = ()
        if any(part.training for part in model.modules()):
            notes = (f"{label} was in training mode; a copy in inference mode (eval()) is taken.",)
        module = _copied(model, label)
        weights, places = _weights_of(module)
        interop, environment = _adapter(torch)

        def call(weights: Any, images: Any) -> Any:
            given = {
                whole: interop.torch_view(weights[group][layer][own])
                for whole, (group, layer, own) in places.items()
            }
            with _as_in_inference(torch), environment.override_property(prng=jax.random.key(0)):
                with environment:
                    outputs = torch.func.functional_call(
                        module, given, (interop.torch_view(images),), arguments
                    )
                return interop.jax_view(_plain(outputs))

        leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
        groups = [path[0].key for path, _ in leaves]
        return Model(
            label,
            self,
            call,
            weights,
            floating(weights, [group == "params" for group in groups]),
            floating(weights, [group in ("params", "batch_stats") for group in groups]),
            channels_first=True,
            notes=notes,
        )

    def remedy(self, error: Exception) -> str:
        """As `Door.remedy`: an operation that the adapter does not know."""
        if type(error).__name__ == "OperatorNotFound":
            return (
                f"{ADAPTER}, through which models of PyTorch are traced, has no such operation. It is tested as "
                f"{RIGHT}; write the operation in others, or leave it out of what is verified."
            )
        return ""


def _is_lazy(parameter: Any) -> bool:
    return is_kind(type(parameter), "torch", "UninitializedTensorMixin")


def _copied(model: Any, label: str) -> Any:
    """A copy in inference mode whose layers, which hold no others, say their names while they are traced.

    Raises:
        InputError: it cannot be copied.
    """
    try:
        module = copy.deepcopy(model)
    except Exception as error:
        raise InputError(
            f"{label} cannot be copied, and the one that was passed is never changed: {type(error).__name__}: {error}. "
            "Leave out what copy.deepcopy fails on, such as open files and locks."
        ) from error
    module.eval().requires_grad_(False)
    for name, part in module.named_modules():
        if name and next(part.children(), None) is None:
            _announce(part, name)
    return module


def _announce(layer: Any, name: str) -> None:
    entered: list[contextlib.ExitStack] = []

    def enter(*_: Any) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(module_scope(name))
        entered.append(stack)

    def leave(*_: Any) -> None:
        entered.pop().close()

    layer.register_forward_pre_hook(enter)
    layer.register_forward_hook(leave, always_call=True)


def _weights_of(module: Any) -> tuple[dict[str, Any], dict[str, tuple[str, str, str]]]:
    """The weights in the collections of Flax, by layer and own name; and the place there of each name of PyTorch's."""
    weights: dict[str, dict[str, dict[str, Any]]] = {}
    places = {}
    named = [(name, tensor, "params") for name, tensor in module.named_parameters()]
    named += [(name, tensor, "") for name, tensor in module.named_buffers()]
    for whole, tensor, group in named:
        layer, _, own = whole.rpartition(".")
        group = group or ("batch_stats" if own in STATISTICS else "buffers")
        places[whole] = (group, layer, own)
        weights.setdefault(group, {}).setdefault(layer, {})[own] = _array(tensor)
    return weights, places


def _array(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which NumPy has not
        return jnp.asarray(tensor.float().numpy(), jnp.bfloat16)
    return jnp.asarray(tensor.numpy().copy())


def _adapter(torch: Any) -> tuple[Any, Any]:
    """What views arrays as tensors and back, and the environment in which tensors compute in JAX.

    Importing the adapter switches a setting of PyTorch, which is set back.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    adapter = importlib.import_module(ADAPTER)
    interop = importlib.import_module(f"{ADAPTER}.interop")
    torch.backends.mha.set_fastpath_enabled(fast)
    return interop, adapter.default_env()


@contextlib.contextmanager
def _as_in_inference(torch: Any) -> Iterator[None]:
    """No gradients, and attention as it is written: its fast path is one operation that shows no lattice."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _plain(outputs: Any) -> Any:
    """Outputs as dicts and lists; what `transformers` and others return are classes of dicts."""
    if isinstance(outputs, Mapping):
        return {name: _plain(value) for name, value in outputs.items() if value is not None}
    if isinstance(outputs, (list, tuple)):
        return [_plain(value) for value in outputs]
    return outputs
