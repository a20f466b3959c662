"""Equinox: `equinox.Module`, and `(model, state)` where it has layers with a state.

Its modules take one image, channels first, so the call is `jax.vmap` over the batch. Inference mode is
`equinox.nn.inference_mode`, on a copy. Parameters are all floating arrays, those that `equinox.filter_grad` takes;
arrays of integers, and static fields, are constants.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import (
    WRAP_POOL,
    Door,
    Model,
    Words,
    floating,
    is_kind,
)

BATCHED = ("_VmapWrapper", "_PmapWrapper")
"""Modules of Equinox that take batches themselves."""


class Equinox(Door):
    """`equinox.Module`, or `(model, state)`."""

    kind, framework = "equinox", "Equinox"
    package, least = "equinox", (0, 13, 2)
    outputs_axis = 0
    keys = {"key": "jax.random.key({seed})"}  # noqa: RUF012  declared as a ClassVar above
    words = Words(
        convolution='padding_mode="CIRCULAR"',
        valid='padding="SAME", padding_mode="CIRCULAR"',
        pools={},
        by_hand=WRAP_POOL.replace('padding="VALID"', "padding=0"),
        random="switch it off, by eqx.nn.inference_mode or inference=True",
        first_axis=0,
    )

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return self.makes(type(value[0] if _is_pair(value) else value))

    def makes(self, kind: type) -> bool:
        """As `Door.makes`."""
        return is_kind(kind, "equinox", "Module")

    def is_channels_first(self, model: Any) -> bool:
        """As `Door.is_channels_first`."""
        return True

    def called(self, model: Any) -> Callable[..., Any] | None:
        """As `Door.called`; None where the module cannot be called."""
        module = model[0] if _is_pair(model) else model
        return module if callable(module) else None

    def make_key(self, name: str, seed: int) -> Any:
        """As `Door.make_key`."""
        return jax.random.key(seed)

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`: a copy in inference mode, vmapped over the batch."""
        self.check_version()
        eqx = sys.modules["equinox"]
        module, state = model if _is_pair(model) else (model, None)
        _check_module(module, state)
        if not _is_pair(model):
            module, state = _with_initial_state(eqx, module)
        given, notes = _with_key(module, arguments)
        label = name or getattr(module, "__name__", type(module).__name__)
        function = type(module).__call__
        if is_kind(type(module), "equinox", "BoundMethod"):  # model.features, say
            function, module = module.__func__, module.__self__
        arrays, static = eqx.partition(eqx.nn.inference_mode(module), eqx.is_array)
        weights = arrays if state is None else {"params": arrays, "batch_stats": state}

        def call(weights: Any, images: Any) -> Any:
            arrays = weights if state is None else weights["params"]
            whole = eqx.combine(arrays, static)

            def one(image: Any) -> Any:
                if state is None:
                    return function(whole, image, **given)
                return _without_state(function(whole, image, weights["batch_stats"], **given))

            return jax.vmap(one)(images)

        leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
        statistics = [
            state is not None and getattr(path[0], "key", "") == "batch_stats" for path, _ in leaves
        ]
        learnt = floating(weights, [True] * len(leaves))
        parameters = tuple(free and not own for free, own in zip(learnt, statistics, strict=True))
        return Model(
            label, self, call, weights, parameters, learnt, channels_first=True, notes=notes
        )


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def _is_state(value: Any) -> bool:
    return is_kind(type(value), "equinox", "State")


def _check_module(module: Any, state: Any) -> None:
    """Stop where an Equinox module is not one from one image to outputs.

    Raises:
        InputError: with what to pass.
    """
    name = type(module).__name__
    if name in BATCHED:
        raise InputError(
            "an Equinox module is called on one image, and vmapped over the batch here: pass the module itself, "
            "without filter_vmap."
        )
    if not callable(module):
        raise InputError(
            f"{name} is an Equinox module without __call__: pass a method of it, such as model.features, or a function "
            "of a batch of images."
        )
    if state is not None and not _is_state(state):
        raise InputError(
            "a pair with an Equinox module is (model, state), as eqx.nn.make_with_state returns; got "
            f"({name}, {type(state).__name__})."
        )


def _with_initial_state(eqx: Any, module: Any) -> tuple[Any, Any]:
    """A module and the state that its stateful layers begin with, which is None where it has none."""
    indices = [
        leaf
        for leaf in jax.tree_util.tree_leaves(module, is_leaf=lambda x: _is_index(x))
        if _is_index(leaf)
    ]
    if not indices:
        return module, None
    try:
        return eqx.nn.delete_init_state(module), eqx.nn.State(module)
    except ValueError as error:
        raise InputError(
            f"{type(module).__name__} has layers with a state, such as BatchNorm, and the state is apart from it: pass "
            "(model, state), as eqx.nn.make_with_state returns them."
        ) from error


def _is_index(value: Any) -> bool:
    return is_kind(type(value), "equinox", "StateIndex")


def _with_key(module: Any, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments of the call, with a key where it wants one: code may split keys for dropout that is off."""
    try:
        wanted = inspect.signature(module).parameters.get("key")
    except (TypeError, ValueError):
        wanted = None
    if wanted is None or "key" in arguments or wanted.default is not wanted.empty:
        return dict(arguments), ()
    note = (
        "its call takes a key, and was given jax.random.key(0) for every image: in inference mode none should be drawn "
        "from it."
    )
    return {**arguments, "key": jax.random.key(0)}, (note,)


def _without_state(outputs: Any) -> Any:
    """The outputs without the state that comes with them."""
    if isinstance(outputs, tuple) and outputs and _is_state(outputs[-1]):
        return outputs[0] if len(outputs) == 2 else outputs[:-1]
    return outputs
