"""PyTorch: `torch.nn.Module`, made a function of JAX arrays by torchax. Batches, channels first.

The call is `torch.func.functional_call` on a copy in inference mode, so that the user's model is never changed.
Statistics of norms are those that `eval()` uses; every other buffer (a mask, a table of positions, the kernel of a
blur) is a constant of the architecture, and so is any tensor of PyTorch's own that meets those of the adapter.

The adapter does not follow PyTorch where a part of a tensor is changed in place, and says nothing. So PyTorch answers
too (`Model.native`), and the two are compared.
"""

import contextlib
import copy
import importlib.util
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import READS, Door, Model, Words, floating, is_kind
from shiftproof.tracing.trace import module_scope

WRAP = 'F.pad(x, ..., mode="circular")'
PARAMETRIZATIONS = "parametrizations"
"""The module within a layer that computes its weights, of `torch.nn.utils.parametrize`."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers that training estimates, as all norms of PyTorch call them."""

ADAPTER, RIGHT = "torchax", "torch 2.9 with torchax 0.0.13"

UNFOLLOWED = (
    f"{ADAPTER} does not follow what changes a part of a tensor in place, such as x[:, 0].add_(1), x.view(-1)[0] = 0 "
    "or x.chunk(2)[0].mul_(2): write it without, such as by torch.cat, torch.where or x + mask. It is tested as "
    f"{RIGHT}."
)


class _UnfollowedError(Exception):
    """What the model does on the way to its outputs, and the trace would not hold; `remedy` says what to do."""

    def __init__(self, told: str, remedy: str) -> None:
        super().__init__(told)
        self.remedy = remedy


class Torch(Door):
    """`torch.nn.Module`."""

    kind, framework = "torch", "PyTorch"
    package, least = "torch", (2, 9)
    outputs_axis = 0
    unfollowed = UNFOLLOWED
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
        notes = []
        if any(part.training for part in model.modules()):
            notes.append(
                f"{label} was in training mode; a copy in inference mode (eval()) is taken."
            )
        module = _copied(model, label)
        weights, places = _weights_of(module, label)
        double = any(p.dtype == torch.float64 for p in module.parameters())
        if double and not jax.config.read("jax_enable_x64"):
            notes.append(
                "its weights of float64 were rounded to float32, in which JAX computes unless jax_enable_x64 is set."
            )
        interop, environment = self._adapter(torch)

        def call(weights: Any, images: Any) -> Any:
            given = {
                whole: interop.torch_view(weights[group][layer][own])
                for whole, (group, layer, own) in places.items()
            }
            constants = _Constants(torch, interop)
            quiet = environment.override_property(prng=jax.random.key(0))
            with _as_in_inference(torch), _as_it_was(module), quiet:
                given_images = interop.torch_view(_as_weights(images, weights))
                with environment, constants.mode():
                    outputs = torch.func.functional_call(module, given, (given_images,), arguments)
                constants.check()
                return jax.tree_util.tree_map(constants.array, _plain(outputs))

        def native(images: np.ndarray) -> Any:
            with _as_in_inference(torch), _as_it_was(module):
                given = torch.from_numpy(images.copy()).to(_precision(torch, module))
                return jax.tree_util.tree_map(_array, _plain(module(given, **arguments)))

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
            notes=tuple(notes),
            native=native,
        )

    def _adapter(self, torch: Any) -> tuple[Any, Any]:
        """What views arrays as tensors and back, and the environment in which tensors compute in JAX.

        Importing the adapter switches a setting of PyTorch, which is set back, and offers JAX as a device, to which
        `DataParallel` would move the user's models: the offer is taken back, unless the user imported the adapter.
        """
        fast, known = torch.backends.mha.get_fastpath_enabled(), ADAPTER in sys.modules
        try:
            adapter = importlib.import_module(ADAPTER)
            interop = importlib.import_module(f"{ADAPTER}.interop")
        except Exception as error:  # with another version of PyTorch it fails in many ways
            raise InputError(
                f"{ADAPTER} cannot be imported with torch {torch.__version__} ({type(error).__name__}: {error}). It is "
                f"tested as {self.install}"
            ) from error
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
        if not known:
            adapter.device_module.is_available = lambda: False
        return interop, adapter.default_env()

    def remedy(self, error: Exception) -> str:
        """As `Door.remedy`: an operation that the adapter does not know, values that are read."""
        if isinstance(error, _UnfollowedError):
            return error.remedy
        # errors of JAX seem to come from there too, whose frames it hides: of those, shapes that do not fit
        inner = isinstance(error, (AttributeError, AssertionError, NotImplementedError))
        failed = inner and _traced_back(error)[-1:] == [ADAPTER]
        if type(error).__name__ == "OperatorNotFound" or failed:
            return (
                f"{ADAPTER}, through which models of PyTorch are traced, cannot do this operation. It is tested as "
                f"{RIGHT}; write the operation in others, or leave it out of what is verified."
            )
        if isinstance(error, READS) and ADAPTER in _traced_back(error):
            return (
                "The model reads values while it runs (.item(), float(x), if x > 0, x.numpy()), so it cannot be "
                "traced. Use torch.where there."
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
    module.train().eval().requires_grad_(
        False
    )  # what was computed of weights and kept goes by train()
    for name, part in module.named_modules():
        inner = [child for child, _ in part.named_children() if child != PARAMETRIZATIONS]
        if name and not inner and PARAMETRIZATIONS not in name.split("."):
            _announce(part, name)
    return module


@contextlib.contextmanager
def _as_it_was(module: Any) -> Iterator[None]:
    """Undoes what a call leaves in the layers: some keep what they computed of weights, which would be tracers here."""
    before = [
        (part, dict(vars(part)), [(v, copy.copy(v)) for v in vars(part).values() if _holds(v)])
        for part in module.modules()
    ]
    try:
        yield
    finally:
        for part, attributes, containers in before:
            vars(part).clear()
            vars(part).update(attributes)
            for container, kept in containers:
                container.clear()
                (container.extend if isinstance(container, list) else container.update)(kept)


def _holds(value: Any) -> bool:
    return type(value) in (dict, list, set)


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


def _weights_of(module: Any, label: str) -> tuple[dict[str, Any], dict[str, tuple[str, str, str]]]:
    """The weights in the collections of Flax, by layer and own name; and the place there of each name of PyTorch's.

    Raises:
        InputError: one of them is no array of numbers.
    """
    weights: dict[str, dict[str, dict[str, Any]]] = {}
    places = {}
    named = [(name, tensor, "params") for name, tensor in module.named_parameters()]
    named += [(name, tensor, "") for name, tensor in module.named_buffers()]
    for whole, tensor, group in named:
        layer, dot, own = f".{whole}".partition(
            f".{PARAMETRIZATIONS}."
        )  # of spectral_norm and others
        layer, own = (layer[1:], own.replace(".", "_")) if dot else whole.rpartition(".")[::2]
        group = group or ("batch_stats" if own in STATISTICS else "buffers")
        places[whole] = (group, layer, own)
        try:
            weights.setdefault(group, {}).setdefault(layer, {})[own] = _array(tensor)
        except Exception as error:
            raise InputError(
                f"{label} has {whole}, of {tensor.dtype} on {tensor.device}, {tensor.layout}, which is no array of "
                f"numbers ({type(error).__name__}): pass a model whose weights are dense floats, such as model.float()."
            ) from error
    return weights, places


def _array(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which NumPy has not
        return jnp.asarray(tensor.float().numpy(), jnp.bfloat16)
    return jnp.asarray(tensor.numpy().copy())


def _precision(torch: Any, module: Any) -> Any:
    """The floats that the model computes in, and takes images in."""
    dtypes = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
    return next(dtypes, torch.float32)


class _Constants:
    """Tensors of PyTorch's own that meet those of the adapter in one call: they become constants.

    Code makes them without a device, `torch.arange(8)`, or holds them as plain attributes. PyTorch would let such a
    tensor be changed later, which a constant does not follow; that is noticed.
    """

    def __init__(self, torch: Any, interop: Any) -> None:
        self.torch, self.interop = torch, interop
        self.adapted = (interop.tensor.Tensor, interop.tensor.View)
        self.taken: list[tuple[Any, int]] = []
        self.randomness = torch.get_rng_state()

    def mode(self) -> Any:
        """The context in which they are taken."""
        constants = self

        class Mode(self.torch.overrides.TorchFunctionMode):
            def __torch_function__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                return constants.apply(func, args, kwargs or {})

        return Mode()

    def apply(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A function of PyTorch on tensors of either kind."""
        leaves, structure = jax.tree_util.tree_flatten((args, kwargs))
        if not any(isinstance(leaf, self.adapted) for leaf in leaves):
            return func(*args, **kwargs)
        # one number counts as a number, which may be a size
        own = [n for n, leaf in enumerate(leaves) if self._is_own(leaf) and leaf.ndim]
        for n in own:
            self.taken.append((leaves[n], leaves[n]._version))
            leaves[n] = self.interop.torch_view(_array(leaves[n]))
        before = [leaves[n].jax() for n in own]
        args, kwargs = jax.tree_util.tree_unflatten(structure, leaves)
        result = func(*args, **kwargs)
        if any(leaves[n].jax() is not array for n, array in zip(own, before, strict=True)):
            raise self._changed()
        return result

    def check(self) -> None:
        """Stop where one was changed after it was taken, or where PyTorch drew random numbers.

        Raises:
            _UnfollowedError: with what to do.
        """
        if any(tensor._version != version for tensor, version in self.taken):
            raise self._changed()
        if not self.torch.equal(self.randomness, self.torch.get_rng_state()):
            raise _UnfollowedError(
                "random numbers are drawn on the processor",
                "Switch them off, by training=self.training, or draw them on the device of the images, such as "
                "torch.randn(..., device=x.device).",
            )

    def array(self, output: Any) -> Any:
        """One output as an array."""
        return _array(output) if self._is_own(output) else self.interop.jax_view(output)

    def _is_own(self, leaf: Any) -> bool:
        return isinstance(leaf, self.torch.Tensor) and not isinstance(leaf, self.adapted)

    def _changed(self) -> _UnfollowedError:
        return _UnfollowedError(
            "a tensor that was made on the processor is changed in place, by or beside the images",
            "Make it on the device of the images, such as torch.zeros(..., device=x.device), or do not change it.",
        )


def _traced_back(error: Exception) -> list[str]:
    """The packages whose code an error went through, the innermost last."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return [frame.f_globals.get("__name__", "").partition(".")[0] for frame in frames]


def _as_weights(images: Any, weights: Any) -> Any:
    """Images in the floats of the weights where those are narrower, which PyTorch wants alike."""
    found = (jnp.result_type(leaf) for leaf in jax.tree_util.tree_leaves(weights.get("params", {})))
    dtype = next((d for d in found if jnp.issubdtype(d, jnp.floating)), images.dtype)
    if jnp.issubdtype(images.dtype, jnp.floating) and dtype.itemsize < images.dtype.itemsize:
        return images.astype(dtype)
    return images


@contextlib.contextmanager
def _as_in_inference(torch: Any) -> Iterator[None]:
    """No gradients, random numbers that go on as they were, and attention as it is written: its fast path is one
    operation that shows no lattice.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng([]), torch.no_grad(), warnings.catch_warnings():
            # of float64 and int64, which JAX has where it is told to
            warnings.filterwarnings("ignore", message="Explicitly requested dtype")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _plain(outputs: Any) -> Any:
    """Outputs as dicts and lists; what `transformers` and others return are classes of dicts."""
    if isinstance(outputs, Mapping):
        return {name: _plain(value) for name, value in outputs.items() if value is not None}
    if hasattr(outputs, "_asdict"):
        return _plain(outputs._asdict())
    if isinstance(outputs, (list, tuple)):
        return [_plain(value) for value in outputs]
    return outputs
