"""Haiku: `(transformed, params)` and `(transformed, params, state)`. Batches, channels last.

The inference switch is an argument of the user's function, mostly `is_training`. In training mode it either draws
random numbers, for which it is given no key, or it returns another state than it was given.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax

from shiftproof.errors import InputError, ModelCallError
from shiftproof.tracing.doors.door import (
    POOLS,
    WRAP_CONVOLUTION,
    WRAP_POOL,
    Door,
    Model,
    Words,
    floating,
    is_kind,
)

SWITCH = 'apply_kwargs={"is_training": False}'


class Haiku(Door):
    """What `haiku.transform` and `haiku.transform_with_state` return, with its parameters and state."""

    kind, framework = "haiku", "Haiku"
    package, least = "dm-haiku", (0, 0, 15)
    words = Words(
        convolution=WRAP_CONVOLUTION,
        valid=WRAP_CONVOLUTION,
        pools=POOLS,
        by_hand=WRAP_POOL,
        random="switch it off, such as by is_training=False",
    )

    def takes(self, value: Any) -> bool:
        """As `Door.takes`; what holds several functions too, which `open` tells apart."""
        first = _first(value)
        return _is_transformed(first) or _is_multi(first)

    def called(self, model: Any) -> Callable[..., Any] | None:
        """As `Door.called`."""
        return getattr(_first(model).apply, "_original_fn", None)

    def lacks_weights(self, model: Any) -> bool:
        """As `Door.lacks_weights`."""
        return _is_transformed(model)

    def initialised(self, model: Any, images: Any, arguments: Mapping[str, Any], seed: int) -> Any:
        """As `Door.initialised`; in training mode, in which alone statistics are made."""
        training = {name: not value for name, value in arguments.items()}
        made = model.init(jax.random.key(seed), images, **training)
        return (model, *made) if _has_state(model) else (model, made)

    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """As `Door.open`."""
        self.check_version()
        transformed = _first(model)
        _check_one_function(transformed)
        stateful = _has_state(transformed)
        wanted = "(transformed, params, state)" if stateful else "(transformed, params)"
        given = () if _is_transformed(model) else model[1:]
        if len(given) != 1 + stateful or not all(isinstance(part, Mapping) for part in given):
            how = "params, state" if stateful else "params"
            raise InputError(
                f"what Haiku transformed has no weights of its own: pass {wanted}, with {how} = "
                "transformed.init(key, images)."
            )
        # the collections of Flax, so that layers have the names of their modules
        weights = dict(zip(("params", "batch_stats"), given, strict=False))
        takes_rng = "rng" in inspect.signature(transformed.apply).parameters
        rng = (None,) if takes_rng else ()

        def call(weights: Any, images: Any) -> Any:
            if not stateful:
                return transformed.apply(weights["params"], *rng, images, **arguments)
            state = weights["batch_stats"]
            outputs, after = transformed.apply(weights["params"], state, *rng, images, **arguments)
            _check_unchanged(state, after)
            return outputs

        leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
        parameters = tuple(path[0].key == "params" for path, _ in leaves)
        learnt = floating(weights, [True] * len(leaves))
        label = name or getattr(self.called(model), "__name__", "transformed")
        return Model(label, self, call, weights, parameters, learnt)

    def remedy(self, error: Exception) -> str:
        """As `Door.remedy`."""
        if "non-None PRNGKey" in str(error):
            return (
                "The model asks for random numbers, so dropout is probably in training mode. Pass its inference "
                f"switch, for example {SWITCH}."
            )
        return ""


def _is_transformed(value: Any) -> bool:
    return is_kind(type(value), "haiku", "Transformed", "TransformedWithState")


def _has_state(transformed: Any) -> bool:
    return is_kind(type(transformed), "haiku", "TransformedWithState")


def _is_multi(value: Any) -> bool:
    return is_kind(type(value), "haiku", "MultiTransformed", "MultiTransformedWithState")


def _first(value: Any) -> Any:
    """What was transformed, alone or with its weights."""
    alone = not isinstance(value, tuple) or not value or _is_transformed(value) or _is_multi(value)
    return value if alone else value[0]


def _check_one_function(transformed: Any) -> None:
    """Stop where several functions were transformed together.

    Raises:
        InputError: with how to take one of them, which has the same weights.
    """
    if not _is_multi(transformed):
        return
    kind = type(transformed).__name__
    made = kind.removeprefix("Multi")
    weights = "params, state" if made.endswith("WithState") else "params"
    places = jax.tree_util.tree_flatten_with_path(transformed.apply)[0]
    names = [f"multi.apply{jax.tree_util.keystr(path)}" for path, _ in places] or ["multi.apply"]
    raise InputError(
        f"{kind} of Haiku holds several functions, and one is verified at a time: pass (hk.{made}(multi.init, "
        f"{names[0]}), {weights}). Its functions: {', '.join(names)}."
    )


def _check_unchanged(before: Any, after: Any) -> None:
    """Stop where a call returns another state than it was given, which inference does not.

    Raises:
        ModelCallError: with the layer and the remedy.
    """
    old = dict(jax.tree_util.tree_flatten_with_path(before)[0])
    new = jax.tree_util.tree_flatten_with_path(after)[0]
    changed = [path for path, leaf in new if old.get(path) is not leaf]
    if changed:
        place = str(getattr(changed[0][0], "key", changed[0][0]))
        raise ModelCallError(
            f"it updates its state in {place}, such as the statistics of a batch norm, so it is in training mode. Pass "
            f"its inference switch, for example {SWITCH}."
        )
