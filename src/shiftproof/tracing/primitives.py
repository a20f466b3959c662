"""The table: what every primitive of JAX means, said once.

A primitive belongs to one of a few *classes* of functions. The field has one rule per class; the facts of the kernel
have one per class too, told apart by what becomes of the axes. Over the reals JAX runs the primitives themselves. The
entry of a primitive names the parameters that it understands, and which of their values. Default deny: a primitive
without an entry, a parameter that its entry does not name, or a value that it does not accept, makes the equation
opaque, that is, any function of its whole operands. Nothing is guessed.

This table is trusted, and cross-examined: kernel and field must agree wherever both say something, and random programs
are compared with the compiled program.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Kind(enum.Enum):
    """The classes of functions."""

    MOVES = "every output cell is an input cell or a constant"
    LINEAR = "sums of cells with fixed integer coefficients"
    BILINEAR = "sums of products of cells of two operands"
    POINTWISE = "any function, cell by cell, named by primitive and parameters"
    EXTREMUM = "symmetric and associative, with a neutral element"
    ORDERED = "any function of cells in their order along an axis"
    SPECTRAL = "a discrete Fourier transform"
    LOOP = "a body, its carry, its trip count"
    UPDATES = "any function of what is there and of an update, at known places"
    LOOKUP = "cells of an operand at places that the image chooses"
    OPAQUE = "any function of its whole operands"


class Form(enum.Enum):
    """What a primitive does to the axes; layers and rewrites ask for it."""

    CELLS = "cell by cell"
    PLACES = "cells are only placed elsewhere"
    REDUCTION = "axes are reduced"
    WINDOW = "a window runs along the axes"
    CONTRACTION = "products are summed over axes"
    OTHER = "anything else"


Check = Callable[[Any], bool]


def anything(value: Any) -> bool:
    """The value may be what it likes: it says how to compute, or every value of it is understood."""
    return True


def nothing(value: Any) -> bool:
    """Absent."""
    return value is None


def floating_or_none(value: Any) -> bool:
    """Absent, or a type of real numbers: casts between floats are the identity over the reals."""
    return value is None or jnp.issubdtype(value, np.inexact)


def plain(value: Any) -> bool:
    """A type of numbers or truths, as opposed to random keys."""
    return jnp.issubdtype(value, np.number) or jnp.issubdtype(value, np.bool_)


def is_complex(aval: Any) -> bool:
    """Whether an array of this type holds complex numbers."""
    return jnp.issubdtype(aval.dtype, np.complexfloating)


def combines_by(name: str) -> Check:
    """A body `a, b -> name(a, b)`: how an update is combined with what is there."""

    def check(value: Any) -> bool:
        body = getattr(value, "jaxpr", value)
        return (
            body is not None
            and len(body.eqns) == 1
            and body.eqns[0].primitive.name == name
            and list(body.eqns[0].invars) == list(body.invars)
            and list(body.outvars) == list(body.eqns[0].outvars)
        )

    return check


def one_of(*values: Any) -> Check:
    """One of a few values."""
    return lambda value: value in values


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of a primitive.

    Attributes:
        kind: its class.
        params: every parameter that is understood, with the values that are.
        known: operands that must be known (independent of image and free weights) for it to be of that class; else it
            is of the class
        otherwise: which needs nothing to be known.
        instead: the entry that is read where a parameter has a value that this one does not accept.
        form: what it does to the axes.
        note: why a primitive is opaque.
    """

    kind: Kind
    params: Mapping[str, Check] = dataclasses.field(default_factory=dict)
    known: tuple[int, ...] = ()
    otherwise: Kind = Kind.OPAQUE
    instead: "Entry | None" = None
    form: Form = Form.OTHER
    note: str = ""


def _entries(
    kind: Kind, names: str, form: Form = Form.OTHER, /, **params: Check
) -> dict[str, Entry]:
    """The same entry for several primitives."""
    return dict.fromkeys(names.split(), Entry(kind, params, form=form))


def _opaque(names: str, note: str) -> dict[str, Entry]:
    return dict.fromkeys(names.split(), Entry(Kind.OPAQUE, note=note))


_AXES = {"axes": anything, "out_sharding": anything}
_WINDOW = dict.fromkeys(
    "window_dimensions window_strides padding base_dilation window_dilation".split(), anything
)
_INDEXED = dict.fromkeys(("dimension_numbers", "indices_are_sorted", "unique_indices"), anything)
_SCATTER = {**_INDEXED, "update_consts": one_of(()), "mode": anything}
_UPDATES = Entry(Kind.UPDATES, {**_SCATTER, "update_jaxpr": anything}, known=(1,))
_UNBOUNDED = tuple(range(1, 64))
"""All operands after the first."""

TABLE: Mapping[str, Entry] = {
    # --- cells that only change places ---
    **_entries(Kind.MOVES, "copy copy_p optimization_barrier stop_gradient", Form.CELLS),
    **_entries(Kind.MOVES, "name", name=anything),
    **_entries(Kind.MOVES, "device_put", devices=anything, srcs=anything, copy_semantics=anything),
    **_entries(
        Kind.MOVES,
        "sharding_constraint",
        sharding=anything,
        layout=anything,
        context_mesh=anything,
        unconstrained_dims=anything,
    ),
    **_entries(
        Kind.MOVES,
        "broadcast_in_dim",
        Form.PLACES,
        shape=anything,
        broadcast_dimensions=anything,
        sharding=anything,
    ),
    **_entries(Kind.MOVES, "concatenate", Form.PLACES, dimension=anything),
    **_entries(Kind.MOVES, "expand_dims squeeze", Form.PLACES, dimensions=anything),
    **_entries(Kind.MOVES, "pad", Form.PLACES, padding_config=anything),
    **_entries(
        Kind.MOVES,
        "reshape",
        Form.PLACES,
        new_sizes=anything,
        dimensions=anything,
        sharding=anything,
    ),
    **_entries(Kind.MOVES, "rev", dimensions=anything),
    **_entries(
        Kind.MOVES,
        "slice",
        Form.PLACES,
        start_indices=anything,
        limit_indices=anything,
        strides=anything,
    ),
    **_entries(Kind.MOVES, "split", Form.PLACES, sizes=anything, axis=anything),
    **_entries(Kind.MOVES, "stack unstack", axis=anything),
    **_entries(Kind.MOVES, "tile", reps=anything),
    **_entries(Kind.MOVES, "transpose", Form.PLACES, permutation=anything),
    "dynamic_slice": Entry(
        Kind.MOVES, {"slice_sizes": anything}, known=_UNBOUNDED, otherwise=Kind.LOOKUP
    ),
    "dynamic_update_slice": Entry(Kind.MOVES, known=_UNBOUNDED[1:]),
    "gather": Entry(
        Kind.MOVES,
        {**_INDEXED, "slice_sizes": anything, "fill_value": anything, "mode": anything},
        known=(1,),
        otherwise=Kind.LOOKUP,
    ),
    # `x.at[i].apply(f)` is this primitive with a body of its own
    "scatter": Entry(
        Kind.MOVES, {**_SCATTER, "update_jaxpr": nothing}, known=(1,), instead=_UPDATES
    ),
    "select_n": Entry(Kind.MOVES, known=(0,), otherwise=Kind.POINTWISE, form=Form.CELLS),
    # --- sums ---
    **_entries(Kind.LINEAR, "add add_any neg sub real imag complex", Form.CELLS),
    **_entries(Kind.LINEAR, "conj", Form.CELLS, input_dtype=anything),
    **_entries(
        Kind.LINEAR,
        "convert_element_type",
        Form.CELLS,
        new_dtype=plain,
        weak_type=anything,
        sharding=anything,
    ),
    **_entries(Kind.LINEAR, "reduce_sum", Form.REDUCTION, **_AXES),
    **_entries(Kind.LINEAR, "cumsum", axis=anything, reverse=anything),
    **_entries(Kind.LINEAR, "reduce_window_sum", Form.WINDOW, **_WINDOW),
    "scatter-add": Entry(Kind.LINEAR, {**_SCATTER, "update_jaxpr": combines_by("add")}, known=(1,)),
    "scatter-sub": Entry(Kind.LINEAR, {**_SCATTER, "update_jaxpr": combines_by("sub")}, known=(1,)),
    # --- products ---
    **_entries(Kind.BILINEAR, "mul", Form.CELLS, out_dtype=floating_or_none),
    **_entries(Kind.BILINEAR, "div square", Form.CELLS),
    **_entries(
        Kind.BILINEAR,
        "dot_general",
        Form.CONTRACTION,
        dimension_numbers=anything,
        precision=anything,
        preferred_element_type=anything,
        out_sharding=anything,
    ),
    **_entries(
        Kind.BILINEAR,
        "conv_general_dilated",
        Form.CONTRACTION,
        window_strides=anything,
        padding=anything,
        lhs_dilation=anything,
        rhs_dilation=anything,
        dimension_numbers=anything,
        feature_group_count=anything,
        batch_group_count=anything,
        precision=anything,
        preferred_element_type=anything,
        out_sharding=anything,
    ),
    # --- cell by cell ---
    **_entries(
        Kind.POINTWISE,
        """
        abs acos acosh asin asinh atan atan2 atanh bessel_i0e bessel_i1e bessel_j0 bessel_j1 ceil clamp clz cosh
        digamma eq erf erf_inv erfc floor ge gt igamma igamma_grad_a igammac is_finite le lgamma lt
        mul_add mulhi ne nextafter not one_minus_square polygamma population_count pow random_gamma_grad
        regularized_incomplete_beta rem shift_left shift_right_arithmetic shift_right_logical sign sinc sinh
        sinpi xor zeta
        """,
        Form.CELLS,
        accuracy=anything,
    ),
    **_entries(
        Kind.POINTWISE,
        "cbrt cos exp exp2 expm1 log log1p log2 logistic rsqrt sin sqrt tan tanh",
        Form.CELLS,
        accuracy=anything,
    ),
    **_entries(Kind.POINTWISE, "bitcast_convert_type", Form.CELLS, new_dtype=plain),
    **_entries(Kind.POINTWISE, "integer_pow", Form.CELLS, y=anything),
    **_entries(
        Kind.POINTWISE,
        "reduce_precision",
        Form.CELLS,
        exponent_bits=anything,
        mantissa_bits=anything,
    ),
    **_entries(Kind.POINTWISE, "round", Form.CELLS, rounding_method=anything),
    # --- order does not matter ---
    **_entries(Kind.EXTREMUM, "max min and or", Form.CELLS),
    **_entries(
        Kind.EXTREMUM,
        "reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_xor",
        Form.REDUCTION,
        **_AXES,
    ),
    **_entries(Kind.EXTREMUM, "reduce_window_max reduce_window_min", Form.WINDOW, **_WINDOW),
    **{
        f"scatter{mark}{name}": Entry(
            Kind.EXTREMUM,
            {**_SCATTER, "update_jaxpr": combines_by(name)},
            known=(1,),
            instead=_UPDATES,
        )
        for mark in "-_"
        for name in ("max", "min", "mul")
    },
    # --- order matters ---
    **_entries(Kind.ORDERED, "argmax argmin", Form.REDUCTION, axes=anything, index_dtype=anything),
    **_entries(Kind.ORDERED, "cumlogsumexp cummax cummin cumprod", axis=anything, reverse=anything),
    **_entries(Kind.ORDERED, "sort", dimension=anything, is_stable=anything, num_keys=anything),
    **_entries(Kind.ORDERED, "top_k", k=anything, axis=anything, is_stable=anything),
    **_entries(
        Kind.ORDERED, "reduce_window", Form.WINDOW, jaxpr=anything, consts=one_of(()), **_WINDOW
    ),
    # --- spectra ---
    **_entries(Kind.SPECTRAL, "fft", fft_type=anything, fft_lengths=anything),
    # --- loops and branches; calls are inlined when a program is made ---
    **_entries(
        Kind.LOOP,
        "scan",
        **dict.fromkeys(
            """
            reverse length jaxpr linear num_consts num_carry unroll _split_transpose ft_in ft_out
            """.split(),
            anything,
        ),
    ),
    **_entries(
        Kind.LOOP,
        "while",
        **dict.fromkeys("cond_nconsts cond_jaxpr body_nconsts body_jaxpr".split(), anything),
    ),
    **_entries(
        Kind.LOOP,
        "cond",
        **dict.fromkeys("branches linear branches_platforms ft_in ft_out".split(), anything),
    ),
    # --- used whole, and why ---
    **_opaque(
        """
        cholesky custom_lin custom_linear_solve eig eigh hessenberg householder_product lu qr schur svd
        triangular_solve tridiagonal tridiagonal_solve
        """,
        "linear algebra sees rows and columns in their order",
    ),
    **_opaque(
        """
        random_bits random_fold_in random_gamma random_seed random_split random_unwrap random_wrap
        rng_bit_generator rng_uniform threefry2x32
        """,
        "random numbers drawn for what depends on the image differ from place to place",
    ),
    **_opaque(
        """
        approx_top_k ragged_dot_general reduce select_and_gather_add select_and_scatter select_and_scatter_add
        """,
        "no class fits",
    ),
    **_opaque(
        """
        all_gather all_to_all axis_index pmax pmin ppermute psum ragged_all_to_all shard_map
        """,
        "it works across devices",
    ),
    **_opaque(
        """
        after_all create_token custom_partitioning debug_callback empty2 get infeed io_callback outfeed pallas_call
        pure_callback swap
        """,
        "it runs code, or uses memory, that the traced program does not show",
    ),
    **_opaque("eq_to le_to lt_to", "a total order of floats is no function of real numbers"),
    **_opaque("iota platform_index", "it has no operands"),
}
"""Every primitive, once. Order within a class does not matter."""


def of_form(form: Form) -> frozenset[str]:
    """All primitives of one form."""
    return frozenset(name for name, entry in TABLE.items() if entry.form is form)


CELLS = of_form(Form.CELLS)
PLACES = of_form(Form.PLACES)
REDUCTIONS = of_form(Form.REDUCTION)
WINDOWS = of_form(Form.WINDOW)
CONTRACTIONS = of_form(Form.CONTRACTION)
MOVES = frozenset(name for name, entry in TABLE.items() if entry.kind is Kind.MOVES)
RANDOM = frozenset(
    {"random_bits", "random_gamma", "rng_bit_generator", "rng_uniform", "threefry2x32"}
)
"""Those that make random numbers of a key."""
SIGNED_ZEROS = frozenset(
    """
    atan2 bitcast_convert_type digamma div eq_to integer_pow le_to lt_to nextafter polygamma pow rsqrt top_k
    """.split()
)
"""Primitives that tell -0.0 from 0.0 over floats; over the reals the two are one number."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """How one equation is read.

    Attributes:
        kind: its class.
        reason: why it is opaque; "" elsewhere.
    """

    kind: Kind
    reason: str = ""


def entry_of(name: str, params: Mapping[str, Any]) -> Entry | None:
    """The entry of an equation, or the one that its parameters ask for instead; None where there is none."""
    entry = TABLE.get(name)
    if entry is None or entry.instead is None:
        return entry
    understood = (check(params[key]) for key, check in entry.params.items() if key in params)
    return entry if all(understood) else entry.instead


def read(
    name: str,
    params: Mapping[str, Any],
    operands: Sequence[Any],
    known: Sequence[bool],
    result: Any,
) -> Reading:
    """The class of an equation.

    Args:
        name: of the primitive.
        params: of the equation.
        operands: shape and dtype of each.
        known: for each operand whether its values are known: they depend neither on the image nor on free weights.
        result: shape and dtype of the first result.
    """
    entry = entry_of(name, params)
    if entry is None:
        return Reading(Kind.OPAQUE, "a primitive without an entry in the table")
    if entry.kind is Kind.OPAQUE:
        return Reading(Kind.OPAQUE, entry.note)
    for key, value in params.items():
        check = entry.params.get(key)
        if check is None:
            return Reading(Kind.OPAQUE, f"its parameter {key} is not in the table")
        if not check(value):
            return Reading(Kind.OPAQUE, f"the value of its parameter {key} is not in the table")
    if not all(plain(aval.dtype) for aval in (*operands, result)):
        return Reading(Kind.OPAQUE, "it computes with random keys")
    kind = entry.kind
    if not all(known[i] for i in entry.known if i < len(known)):
        kind = entry.otherwise
        if kind is Kind.OPAQUE:
            return Reading(kind, "it looks up places that depend on the image, or on free weights")
    return _by_types(name, kind, operands, result)


def _by_types(name: str, kind: Kind, operands: Sequence[Any], result: Any) -> Reading:
    """Machine integers are a ring, that of the integers modulo a power of two, and no field.

    Sums and products of one type of integers are those of the ring, wrapped or not. What leaves the ring, such as a
    cast to floats or to wider integers, or a quotient, is a function of the wrapped number, cell by cell.
    """
    types = {np.dtype(aval.dtype) if _is_numpy(aval) else aval.dtype for aval in operands}
    if name == "bitcast_convert_type" and operands[0].shape != result.shape:
        return Reading(Kind.OPAQUE, "it takes numbers apart, or joins some into one")
    if name == "convert_element_type":
        (source,) = types
        exact = _is_inexact(source) or jnp.issubdtype(source, np.bool_)
        target_fits = _is_inexact(result.dtype) or jnp.issubdtype(source, np.bool_)
        if jnp.issubdtype(source, np.complexfloating) and not jnp.issubdtype(
            result.dtype, np.complexfloating
        ):
            return Reading(Kind.OPAQUE, "a complex number is cast to a real one")
        return Reading(kind if exact and target_fits else Kind.POINTWISE)
    if kind in (Kind.LINEAR, Kind.BILINEAR) and not _is_inexact(result.dtype):
        if name == "div":
            return Reading(Kind.POINTWISE)
        if any(jnp.issubdtype(aval.dtype, np.bool_) for aval in (*operands, result)):
            return Reading(Kind.OPAQUE, "it adds or multiplies truths")
        numbers = operands[:1] if "scatter" in name else operands
        if any(aval.dtype != result.dtype for aval in numbers):
            return Reading(Kind.OPAQUE, "it mixes integers of several widths")
    if kind in (Kind.LINEAR, Kind.BILINEAR) and _is_inexact(result.dtype):
        numbers = [operands[0], operands[-1]] if "scatter" in name else operands
        if not all(_is_inexact(aval.dtype) for aval in numbers):
            return Reading(Kind.OPAQUE, "it mixes integers and floats")
    return Reading(kind)


def _is_numpy(aval: Any) -> bool:
    return not jnp.issubdtype(aval.dtype, jax.dtypes.extended)


def _is_inexact(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, np.inexact)


def type_of(value: Any) -> Any:
    """Shape and dtype of an array or number."""
    return jax.ShapeDtypeStruct(np.shape(value), jnp.result_type(value))
