"""Functions: `(function, params)`, and any callable on batches. Channels last, unless the user says otherwise."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import Door, Model, floating


class Function(Door):
    """A pair `(function, params)`, called as `function(params, images)`."""

    kind, framework = "function", "JAX"

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        pair = isinstance(value, tuple) and len(value) == 2 and callable(value[0])
        return pair and not isinstance(value[0], (type, Model))

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`."""
        function, params = model
        leaves = jax.tree_util.tree_leaves(params)
        if not all(
            isinstance(leaf, (jax.Array, np.ndarray, np.generic, int, float)) for leaf in leaves
        ):
            kinds = sorted({type(leaf).__name__ for leaf in leaves})
            raise InputError(
                f"the params of (function, params) are a pytree of arrays; got {kinds}."
            )
        free = floating(params, [True] * len(leaves))

        def call(weights: Any, images: Any) -> Any:
            return function(weights, images, **arguments)

        label = name or getattr(function, "__name__", "function")
        return Model(label, self, call, params, free, free)


class Callables(Door):
    """Any callable on batches, which may close over weights."""

    kind, framework = "callable", "JAX"

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return callable(value)

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`."""
        label = name or getattr(model, "__name__", type(model).__name__)
        return Model(label, self, lambda _, images: model(images, **arguments), (), (), ())
