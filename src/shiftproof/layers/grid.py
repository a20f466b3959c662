"""The grid of an input (batch, *grid, channels): one number per axis, and strides that divide."""

from collections.abc import Sequence

from shiftproof.errors import InputError

Numbers = int | Sequence[int]


def grid_of(shape: Sequence[int], layer: str) -> tuple[int, ...]:
    """The sizes between batch and channels.

    Raises:
        InputError: there is none.
    """
    if len(shape) < 3:
        raise InputError(
            f"{layer}: an input of shape {tuple(shape)} has no grid; give (batch, *grid, channels)."
        )
    return tuple(shape[1:-1])


def per_axis(value: Numbers, rank: int, what: str) -> tuple[int, ...]:
    """One positive number for every grid axis.

    Raises:
        InputError: there are fewer or more, or one is not positive.
    """
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or min(values) < 1:
        raise InputError(
            f"{what} {value} does not fit {rank} grid axes: give one number of at least 1, or one per axis of a "
            "(batch, *grid, channels) input."
        )
    return values


def need_divisors(grid: Sequence[int], strides: Sequence[int], layer: str) -> None:
    """Every stride divides the size of its axis.

    Raises:
        InputError: with the axis and the next size that would do.
    """
    for axis, (n, stride) in enumerate(zip(grid, strides, strict=True)):
        if n % stride:
            raise InputError(
                f"{layer}: stride {stride} does not divide the size {n} of grid axis {axis}, so that the samples "
                f"of one phase do not close around the torus. Pad the axis to {-(-n // stride) * stride}, or use a "
                f"stride that divides {n}."
            )
