"""Keras, on its JAX backend: `keras.Model`, or any layer, that is built. Batches, in the layout of its layers.

The call is `stateless_call` with `training=False`, so that the user's model is never changed.
"""

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax

from shiftproof.errors import InputError
from shiftproof.tracing.doors.door import Door, Model, Words, floating, is_kind

WRAP = 'keras.ops.pad(x, ..., mode="wrap") before it, padding="valid" in it'


class Keras(Door):
    """`keras.Model`, or a `keras.Layer`."""

    kind, framework = "keras", "Keras"
    package, least = "keras", (3, 10)
    words = Words(
        convolution=WRAP,
        valid=WRAP,
        pools={},
        by_hand=WRAP,
        random="switch it off: training=False",
    )

    def takes(self, value: Any) -> bool:
        """As `Door.takes`."""
        return self.makes(type(value))

    def makes(self, kind: type) -> bool:
        """As `Door.makes`."""
        return is_kind(kind, "keras", "Layer")

    def is_channels_first(self, model: Any) -> bool:
        """By the first layer that says so; else by the configuration of Keras."""
        layers = [model, *getattr(model, "layers", ())]
        said = (getattr(layer, "data_format", None) for layer in layers)
        configured = sys.modules["keras"].config.image_data_format()
        return next((each for each in said if each), configured) == "channels_first"

    def lacks_weights(self, model: Any) -> bool:
        """As `Door.lacks_weights`."""
        return not model.built

    def initialised(self, model: Any, images: Any, arguments: Mapping[str, Any], seed: int) -> Any:
        """As `Door.initialised`."""
        sys.modules["keras"].utils.set_random_seed(seed)
        model(images, training=False)
        return model

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`.

        Raises:
            InputError: Keras runs on another backend, or the model is not built.
        """
        self.check_version()
        backend = sys.modules["keras"].backend.backend()
        if backend != "jax":
            raise InputError(
                f"Keras runs on {backend} here, and models are traced in JAX: set KERAS_BACKEND=jax in the "
                "environment, before Keras is imported."
            )
        if not model.built:
            raise InputError(
                f"{model.name} is not built, so it has no weights: call it once on images, or "
                "model.build((None, 28, 28, 1))."
            )
        # the collections of Flax, and for each variable the names of its layer and of its own
        groups = {"params": model.trainable_variables, "batch_stats": model.non_trainable_variables}
        places = {group: _places(model, variables) for group, variables in groups.items()}
        weights: dict[str, dict[str, dict[str, Any]]] = {}
        for group, variables in groups.items():
            for (layer, own), variable in zip(places[group], variables, strict=True):
                weights.setdefault(group, {}).setdefault(layer, {})[own] = variable.value
        # a call that takes no such argument hands none on, and its layers then are not in training mode
        switch = {"training": False} if _takes_training(model) else {}
        given = {**switch, **arguments}

        def call(weights: Any, images: Any) -> Any:
            trainable, fixed = (
                [weights[group][layer][own] for layer, own in places[group]] for group in groups
            )
            outputs, _ = model.stateless_call(trainable, fixed, images, **given)
            return outputs

        leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
        parameters = [path[0].key == "params" for path, _ in leaves]
        learnt = floating(weights, [True] * len(leaves))
        replaceable = floating(weights, parameters)
        first = self.is_channels_first(model)
        return Model(
            name or model.name, self, call, weights, replaceable, learnt, channels_first=first
        )


def _takes_training(model: Any) -> bool:
    parameters = inspect.signature(model.call).parameters.values()
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def _places(model: Any, variables: Any) -> list[tuple[str, str]]:
    """For each variable the path of its layer within the model, and its own name, made unique."""
    found: list[tuple[str, str]] = []
    for variable in variables:
        layer, _, own = variable.path.removeprefix(f"{model.name}/").rpartition("/")
        alike = sum(place == (layer, own) for place in found)
        found.append((layer, f"{own}_{alike}" if alike else own))
    return found
