"""Flax: `nnx.Module`, in its evaluation view, and linen `(module, variables)`. Batches, channels last."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.errors
import jax
from flax import linen, nnx

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import Door, Model, floating
from shiftproof.tracing.trace import dotted


class Nnx(Door):
    """`nnx.Module`."""

    kind, framework = "nnx", "Flax"
    keys = {"rngs": "nnx.Rngs({seed})"}  # noqa: RUF012  declared as a ClassVar above

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return isinstance(value, nnx.Module)

    def makes(self, kind: type) -> bool:
        """As `Door.makes`."""
        return issubclass(kind, nnx.Module)

    def called(self, model: Any) -> Callable[..., Any]:
        """As `Door.called`."""
        return type(model).__call__

    def make_key(self, name: str, seed: int) -> Any:
        """As `Door.make_key`."""
        return nnx.Rngs(seed)

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """Dropout off, stored statistics: a copy, so that the user's model is never changed."""
        view = nnx.view(
            model, deterministic=True, use_running_average=True, raise_if_not_found=False
        )
        graph, state = nnx.split(view)

        def call(weights: Any, images: Any) -> Any:
            # merged inside the traced function: modules that write their own state write to a copy
            return nnx.merge(graph, weights)(images, **arguments)

        def leaves_of(*kinds: type[nnx.Variable]) -> tuple[bool, ...]:
            found = jax.tree_util.tree_map(
                lambda variable: isinstance(variable, kinds),
                state,
                is_leaf=lambda node: isinstance(node, nnx.Variable),
            )
            return tuple(jax.tree_util.tree_leaves(found))

        parameters, statistics = leaves_of(nnx.Param), leaves_of(nnx.Param, nnx.BatchStat)
        label = name or type(model).__name__
        return Model(label, self, call, state, parameters, floating(state, statistics))

    def remedy(self, error: Exception) -> str:
        """As `Door.remedy`."""
        if isinstance(error, flax.errors.TraceContextError):
            return (
                "The function closes over an nnx model that writes its own state. Pass the nnx.Module itself (it is "
                "then copied), or call model.eval() first."
            )
        return ""


class Linen(Door):
    """Linen `(module, variables)`, and bound modules."""

    kind, framework = "linen", "Flax"

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return isinstance(_first(value), linen.Module)

    def makes(self, kind: type) -> bool:
        """As `Door.makes`."""
        return issubclass(kind, linen.Module)

    def called(self, model: Any) -> Callable[..., Any]:
        """As `Door.called`."""
        return type(_first(model)).__call__

    def lacks_weights(self, model: Any) -> bool:
        """As `Door.lacks_weights`."""
        return isinstance(model, linen.Module) and model.scope is None

    def initialised(self, model: Any, images: Any, arguments: Mapping[str, Any], seed: int) -> Any:
        """As `Door.initialised`."""
        keys = {"params": jax.random.key(seed), "dropout": jax.random.key(seed + 1)}
        return model, model.init(keys, images, **arguments)

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`; the inference switch is an argument of the call."""
        if self.lacks_weights(model):
            raise InputError(
                f"a linen module has no weights of its own: pass ({type(model).__name__}(...), variables), "
                "with variables = module.init(key, images)."
            )
        module, variables = model.unbind() if isinstance(model, linen.Module) else model
        if not isinstance(variables, Mapping):
            raise InputError(
                f"the variables of a linen module are a mapping of collections; got {type(variables).__name__}."
            )
        leaves = jax.tree_util.tree_flatten_with_path(variables)[0]
        collections = [dotted(path[:1]) for path, _ in leaves]
        replaceable = tuple(collection == "params" for collection in collections)
        learnt = [collection in ("params", "batch_stats") for collection in collections]

        def call(weights: Any, images: Any) -> Any:
            return module.apply(weights, images, **arguments)

        label = name or type(module).__name__
        return Model(label, self, call, variables, replaceable, floating(variables, learnt))

    def remedy(self, error: Exception) -> str:
        """As `Door.remedy`."""
        if isinstance(error, flax.errors.ModifyScopeVariableError):
            return (
                "The model updates batch statistics, so it is in training mode. Pass its inference switch, for example "
                'apply_kwargs={"train": False} or {"use_running_average": True}.'
            )
        if isinstance(error, flax.errors.InvalidRngError):
            return (
                "The model asks for random numbers, so dropout is probably in training mode. Pass its inference "
                'switch, for example apply_kwargs={"train": False} or {"deterministic": True}.'
            )
        return ""


def _first(value: Any) -> Any:
    """The module of a pair; else the value itself."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 else value
