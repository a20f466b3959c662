"""The arithmetic of the rules, as functions of integers: every formula once, and none anywhere else.

They neither branch nor call anything, so they run on the symbols of a solver too, which proves them for all sizes.
Greatest common divisors and inverses come as arguments. A condition is a tuple, all of whose members must hold.
Notation: a window shows n cells of a signal of a period N from the offset o, A[i] = S[(o + i) mod N], and the shift
moves the signal by r: S(Tx)[u] = S(x)[u - r]. A scene has no period: A[i] = S[o + i] for low <= i < high.
"""


def covers(n: int, period: int) -> tuple[bool, ...]:
    """The n cells are whole periods."""
    return (n % period == 0,)


def holds_still(period: int, step: int, still: int) -> tuple[bool, ...]:
    """Values that repeat after `still` cells are those of a signal of this period, and look alike one step on."""
    return (period % still == 0, step % still == 0)


def moves_alike(period: int, step: int, other: int, other_step: int) -> tuple[bool, ...]:
    """A signal of period `other` is one of this period as well, and moves by this step."""
    return (period % other == 0, (step - other_step) % other == 0)


def splits(period: int, step: int, block: int) -> tuple[bool, ...]:
    """B[u][j] = S[u block + j] is a signal of blocks: the period and the step are whole blocks."""
    return (period % block == 0, step % block == 0)


def split(n: int, period: int, step: int, block: int) -> tuple[int, int, int]:
    """Size, period and step of the blocks."""
    return n // block, period // block, step // block


def merge(n: int, period: int, offset: int, step: int, block: int) -> tuple[int, int, int, int]:
    """S[u block + j] = B[u][j]: size, period, offset and step of the cells of the blocks."""
    return n * block, period * block, offset * block, step * block


def strides(step: int, common: int) -> tuple[bool, ...]:
    """T[q] = S[a + s q] moves, by the r' that solves s r' = r modulo N: `common` = gcd(N, s) divides r."""
    return (step % common == 0,)


def strided_period(period: int, common: int) -> int:
    """The period of T."""
    return period // common


def strided_step(period: int, step: int, common: int, inverse: int) -> int:
    """r' = (r / common) (s / common)^-1 modulo the period of T; the inverse is given."""
    return step // common * inverse % period


def pads_inside(low: int, high: int, base: int) -> tuple[bool, ...]:
    """Before the first cell and behind the last lies no more than between two cells, `base` apart."""
    return (low < base, high < base)


def stretched_size(n: int, low: int, high: int, base: int) -> int:
    """The cells of an axis whose cells were pulled `base` apart, with more before and behind (or, negative, fewer)."""
    return (n - 1) * base + 1 + low + high


def stretch(period: int, step: int, base: int) -> tuple[int, int]:
    """Period and step of the signal whose cells were pulled apart."""
    return period * base, step * base


def stretched_offset(offset: int, low: int, base: int) -> int:
    """Where a window on it begins, with `low` cells more than before."""
    return offset * base - low


def reach(size: int, dilation: int) -> int:
    """From the first cell of a window to its last."""
    return dilation * (size - 1)


def places(cells: int, reach: int, stride: int) -> int:
    """Where a window fits: at 0, stride, 2 stride, ..., up to cells - 1 - reach."""
    return (cells - 1 - reach) // stride + 1


def folds(n: int, period: int, stride: int, low: int, high: int, reach: int) -> tuple[bool, ...]:
    """Every weight of a window meets every cell of one period, so sums of its places modulo the period move."""
    return (n == period, stride == 1, low >= reach, high >= reach)


def same_cell(period: int, first: int, second: int) -> tuple[bool, ...]:
    """Two positions are the same cell of the signal."""
    return ((first - second) % period == 0,)


def leap(period: int, first: int, second: int) -> int:
    """How many cells further on the second position is: the same for the same cells."""
    return (second - first) % period


def stays(step: int, still: int) -> tuple[bool, ...]:
    """Values that repeat after `still` cells look alike one step of a scene on."""
    return (step % still == 0,)


def within(low: int, high: int, start: int, stride: int, reach: int) -> tuple[int, int]:
    """From which place q on, and below which, cell start + stride q, and the next up to `reach`, are in an interior."""
    return (low - start + stride - 1) // stride, (high - start - reach + stride - 1) // stride


def scene_strides(step: int, stride: int) -> tuple[bool, ...]:
    """T[q] = S[a + s q] moves, by the r' that solves s r' = r."""
    return (step % stride == 0,)


def scene_strided(step: int, stride: int) -> int:
    """That r'."""
    return step // stride


def scene_merge(
    n: int, low: int, high: int, offset: int, step: int, block: int
) -> tuple[int, int, int, int, int]:
    """S[u block + j] = B[u][j]: size, interior, offset and step of the cells of the blocks."""
    return n * block, low * block, high * block, offset * block, step * block


def scene_stretch(low: int, high: int, step: int, pad: int, base: int) -> tuple[int, int, int]:
    """Interior and step after cells were pulled `base` apart, and `pad` put before: what lies between two is right."""
    return (low - 1) * base + 1 + pad, high * base + pad, step * base


def mirror(n: int, low: int, high: int) -> tuple[int, int]:
    """The cells from low to below high, counted from the other end."""
    return n - high, n - low


def rolls(size: int, roll: int, known: int, multiple: int) -> tuple[bool, ...]:
    """Along one axis the roll is that multiple of a known one."""
    return ((multiple * known - roll) % size == 0,)


def turned(first: int, step: int, start: int, stride: int) -> tuple[int, int]:
    """Cells start + stride q of a spectrum: cell k is turned by first + k step."""
    return first + start * step, step * stride


def turned_twice(first: int, step: int, other: int, other_step: int) -> tuple[int, int]:
    """A product is turned by what turns its factors."""
    return first + other, step + other_step


def turned_back(first: int, step: int) -> tuple[int, int]:
    """A conjugate is turned the other way."""
    return 0 - first, 0 - step


def returns(period: int, first: int, step: int, n: int) -> tuple[bool, ...]:
    """Cell k of n is turned by k r of n, for a whole r: first + k step of the period."""
    return (first % period == 0, step * n % period == 0)


def returned_step(period: int, step: int, n: int) -> int:
    """That r."""
    return step * n // period
