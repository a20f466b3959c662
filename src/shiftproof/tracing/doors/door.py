"""A door: how the models of one framework are found, called and spoken of, behind one interface.

Whatever comes in leaves as a `Model`, a pure function `(weights, images) -> outputs` with its weights. A framework is
known by the types of what the user hands in, and is never imported for that: who has a model of it has it imported.
"""

import abc
import dataclasses
import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from shiftproof.errors import InputError, WideningError
from shiftproof.plain import plain
from shiftproof.tracing.trace import Program


@dataclasses.dataclass(frozen=True)
class Words:
    """Repairs as the users of a framework write them.

    Attributes:
        convolution: of a convolution with zero padding.
        valid: of a convolution without padding.
        pools: by primitive, of a pool; `by_hand` where there is none.
        by_hand: of a pool for which the framework has nothing.
        random: that switches dropout and noise off.
        first_axis: the number of the first axis after the batch: 0 where the user's code sees one image.
        pad: that goes around the border, for pools for which the framework has nothing.
    """

    convolution: str
    valid: str
    pools: Mapping[str, str]
    by_hand: str
    random: str
    first_axis: int = 1
    pad: str = 'jnp.pad(..., mode="wrap")'

    def pool(self, primitive: str) -> str:
        """The repair of a pool."""
        return self.pools.get(primitive, self.by_hand)

    @property
    def around(self) -> str:
        """The repair of layers without padding, convolutions and pools alike."""
        pools = "shiftproof.layers" if self.pools else f"{self.pad} before them"
        return f"circular padding, {pools} for pools"


WRAP_POOL = 'jnp.pad(x, ..., mode="wrap") before the pool, padding="VALID" in it'
WRAP_CONVOLUTION = 'jnp.pad(x, ..., mode="wrap") before it, padding="VALID" in it'
POOLS = {
    "reduce_window_max": "shiftproof.layers.max_pool",
    "reduce_window_min": "shiftproof.layers.min_pool",
    "reduce_window_sum": "shiftproof.layers.avg_pool",
}
"""By primitive, the pool that goes around the border as `SAME` places it; for batches with the channels last."""

FLAX = Words(
    convolution='padding="CIRCULAR"',
    valid='padding="CIRCULAR"',
    pools=POOLS,
    by_hand=WRAP_POOL,
    random="switch it off, such as by deterministic=True, or model.eval() before",
)
"""The words for Flax, and for functions."""


READS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)
"""What JAX raises where a model reads values while it is traced."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as a pure function.

    Attributes:
        name: for reports.
        door: of its framework.
        call: `(weights, images) -> pytree of arrays`; images have the batch as axis 0.
        weights: pytree of arrays; empty for a callable.
        replaceable: for each leaf of `weights`, whether it is a parameter (and no statistic, table or key).
        opaque: for each leaf, whether it is a parameter or a statistic, any value of which is the same architecture.
        channels_first: whether one image is (channels, *grid); else (*grid, channels).
        notes: what was done to call it, for a reader of the verdict.
        programs: traces made so far, and what came of widening them; for `trace_once` and `program_in`.
        native: what its framework itself answers to a batch of images, as a pytree of arrays, with the model's own
            weights; None where the trace is of that very code.
        lasting: whether the traces outlive one call of ours. What the user hands in may be another model by the next.
    """

    name: str
    door: "Door"
    call: Callable[[Any, Any], Any]
    weights: Any
    replaceable: tuple[bool, ...]
    opaque: tuple[bool, ...]
    channels_first: bool = False
    notes: tuple[str, ...] = ()
    programs: "dict[tuple[Any, ...], Program | WideningError]" = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )
    native: Callable[[np.ndarray], Any] | None = None
    lasting: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain(self.name))

    @property
    def kind(self) -> str:
        """That of its door: `nnx`, `linen`, `equinox`, `haiku`, `keras`, `torch`, `function` or `callable`."""
        return self.door.kind

    def image_shape(self, grid: Sequence[int], channels: int) -> tuple[int, ...]:
        """The shape of one image."""
        return image_shape(grid, channels, channels_first=self.channels_first)

    def grid_and_channels(self, shape: Sequence[int]) -> tuple[tuple[int, ...], int]:
        """The grid and the channels of the shape of one image."""
        grid, channels = (shape[1:], shape[0]) if self.channels_first else (shape[:-1], shape[-1])
        return tuple(grid), channels

    def cast(self, dtype: Any) -> list[Any]:
        """The leaves of `weights`, floating ones in `dtype`."""
        leaves = jax.tree_util.tree_leaves(self.weights)
        return [_cast(leaf, dtype) for leaf in leaves]


def image_shape(grid: Sequence[int], channels: int, *, channels_first: bool) -> tuple[int, ...]:
    """The shape of one image in a layout."""
    return (channels, *grid) if channels_first else (*grid, channels)


def _cast(leaf: Any, dtype: Any) -> Any:
    array = leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)
    return array.astype(dtype) if jnp.issubdtype(array.dtype, np.floating) else array


class Door(abc.ABC):
    """One framework."""

    kind: ClassVar[str]
    """Its name in one word."""
    framework: ClassVar[str]
    """Its name in a sentence."""
    package: ClassVar[str] = ""
    """What to install for it, as the registry calls it; "" for what shiftproof itself needs."""
    least: ClassVar[tuple[int, ...]] = ()
    """The first version of that which we call."""
    words: ClassVar[Words] = FLAX
    """Repairs as its users write them."""
    keys: ClassVar[Mapping[str, str]] = {}
    """Arguments of a constructor that seed its weights, each with the code that makes it, `{seed}` open."""

    outputs_axis: ClassVar[int] = -1
    """The axis of its kernels, of convolutions and dense layers, that counts their outputs: the last, or 0."""
    unfollowed: ClassVar[str] = ""
    """What to do where the trace of a model is another function than its framework computes (`Model.native`)."""

    @abc.abstractmethod
    def takes(self, value: Any) -> bool:
        """Whether a value is a model of this framework, or one with its weights, or one that lacks them."""

    @abc.abstractmethod
    def open(self, model: Any, arguments: Mapping[str, Any], name: str | None) -> Model:
        """The model as a pure function, in inference mode where the framework can be told so from outside.

        Args:
            model: which `takes` holds of.
            arguments: keyword arguments of its call.
            name: for reports; that of the class or function by default.

        Raises:
            InputError: weights are missing, or are something else.
        """

    def makes(self, kind: type) -> bool:
        """Whether the instances of a class are models of this framework."""
        return False

    def is_channels_first(self, model: Any) -> bool:
        """Whether one image of the model is (channels, *grid)."""
        return False

    def called(self, model: Any) -> Callable[..., Any] | None:
        """The user's code that is called on images, whose arguments may switch inference on; None if not known."""
        return None

    def lacks_weights(self, model: Any) -> bool:
        """Whether the model must be initialised on images first."""
        return False

    def initialised(self, model: Any, images: Any, arguments: Mapping[str, Any], seed: int) -> Any:
        """The model with weights of its own initialisation, where it lacks them."""
        raise InputError(f"{self.framework} initialises its models itself.")

    def make_key(self, name: str, seed: int) -> Any:
        """The value of an argument in `keys`."""
        raise InputError(f"{self.framework} knows no argument {name}.")

    @property
    def install(self) -> str:
        """How to get it."""
        needed = f"{self.package}>={'.'.join(map(str, self.least))}"
        return f'pip install "{needed}", or in a checkout of shiftproof pip install -e ".[{self.kind}]"'

    def check_version(self) -> None:
        """Stop where the framework is older than what we know how to call.

        Raises:
            InputError: it is older.
        """
        found = importlib.metadata.version(self.package)
        if tuple(int(n) for n in re.findall(r"\d+", found)[: len(self.least)]) < self.least:
            raise InputError(f"{self.package} {found} is too old: {self.install}")

    def remedy(self, error: Exception) -> str:
        """What to do about an error of its own that says that a model is not in inference mode; "" for others."""
        return ""


def is_kind(kind: type, package: str, *names: str) -> bool:
    """Whether a class is, or inherits from, a class of a package that has one of these names.

    >>> is_kind(type(jnp.zeros(1)), "haiku", "Transformed")
    False
    """
    return any(
        base.__module__.partition(".")[0] == package and base.__name__ in names
        for base in kind.__mro__
    )


def floating(weights: Any, chosen: Sequence[bool]) -> tuple[bool, ...]:
    """Of the leaves chosen, those that hold floats."""
    leaves = jax.tree_util.tree_leaves(weights)
    return tuple(
        free and bool(jnp.issubdtype(jnp.result_type(leaf), np.floating))
        for leaf, free in zip(leaves, chosen, strict=True)
    )
