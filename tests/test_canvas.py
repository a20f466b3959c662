import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from shiftproof.canvas import Canvas, translate
from shiftproof.errors import InputError


def one_hot(shape: tuple[int, ...], place: tuple[int, ...]) -> np.ndarray:
    x = np.zeros(shape, np.float32)
    x[place] = 1
    return x


def place_of(x: object) -> tuple[int, ...]:
    (place,) = np.argwhere(np.asarray(x))
    return tuple(int(i) for i in place)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ((1, 0), (0, 2, 1, 2)),  # dy is down
        ((0, 1), (0, 1, 2, 2)),  # dx is right
        ((-2, 0), (0, 4, 1, 2)),  # up, and round the edge of five rows
        ((0, 6), (0, 1, 0, 2)),  # seven columns
        ((5, 7), (0, 1, 1, 2)),  # a whole period is no shift
        ((-11, 15), (0, 0, 2, 2)),  # reduced mod n
    ],
)
def test_sign_and_axis_order_on_a_grid_with_height_unlike_width(shift, expected) -> None:
    x = one_hot((2, 5, 7, 3), (0, 1, 1, 2))
    assert place_of(translate(x, shift, axes=(1, 2))) == expected


def test_translation_is_roll_and_reads_from_u_minus_delta() -> None:
    x = np.arange(2 * 5 * 7 * 3).reshape(2, 5, 7, 3)
    shifted = np.asarray(translate(x, (2, -3), axes=(1, 2)))
    np.testing.assert_array_equal(shifted, np.roll(x, (2, -3), (1, 2)))
    for u, v in itertools.product(range(5), range(7)):
        np.testing.assert_array_equal(shifted[:, u, v], x[:, (u - 2) % 5, (v + 3) % 7])


@pytest.mark.slow
def test_translations_of_the_torus_form_a_group_and_zero_filled_ones_do_not() -> None:
    x = np.arange(1, 6, dtype=np.float32)

    def t(s: int, y: object, boundary: str) -> np.ndarray:
        return np.asarray(translate(y, (s,), axes=(0,), boundary=boundary))  # type: ignore[arg-type]

    for a, b in itertools.product(range(-6, 7), repeat=2):
        np.testing.assert_array_equal(t(a, t(b, x, "torus"), "torus"), t(a + b, x, "torus"))
    assert not np.array_equal(t(-1, t(1, x, "background"), "background"), x)


@pytest.mark.parametrize("shift", range(-7, 8))
def test_zero_fill(shift: int) -> None:
    x = np.arange(1, 6)
    expected = [x[u - shift] if 0 <= u - shift < 5 else 0 for u in range(5)]
    assert translate(x, (shift,), axes=(0,), boundary="background").tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(5,), (3, 4), (2, 3, 4)])
def test_windows_of_the_torus_are_translations(grid) -> None:
    images = np.random.default_rng(0).integers(0, 9, (2, *grid, 3))
    axes = tuple(range(1, 1 + len(grid)))
    canvas = Canvas.torus(images, axes=axes)
    assert len(canvas.shifts) == np.prod(grid)
    np.testing.assert_array_equal(canvas.still, images)
    for shift in canvas.shifts:
        np.testing.assert_array_equal(canvas.window(shift), translate(images, shift, axes=axes))
    far = tuple(-3 * size + 1 for size in grid)
    np.testing.assert_array_equal(canvas.window(far), translate(images, far, axes=axes))


@pytest.mark.slow
def test_a_background_keeps_the_content_inside_and_equals_zero_fill() -> None:
    images = np.zeros((2, 6, 8, 1))
    images[0, 2:4, 1] = 3
    images[1, 3, 5:7] = 2
    canvas = Canvas.background(images, axes=(1, 2))
    assert canvas.ranges == (range(-2, 3), range(-1, 2))
    for shift in canvas.shifts:
        window = np.asarray(canvas.window(shift))
        np.testing.assert_array_equal(
            window, translate(images, shift, axes=(1, 2), boundary="background")
        )
        assert window.sum() == images.sum()  # nothing left the frame


def test_a_background_of_empty_images_has_only_the_shift_0() -> None:
    assert Canvas.background(np.zeros((1, 4, 4, 1)), axes=(1, 2)).ranges == (range(1), range(1))


def test_scene_windows_are_crops() -> None:
    scene = np.random.default_rng(0).integers(0, 99, (1, 9, 12, 1))
    canvas = Canvas.scene(scene, axes=(1, 2), grid=(4, 6))
    assert canvas.ranges == (range(-3, 3), range(-3, 4))
    np.testing.assert_array_equal(canvas.still, scene[:, 2:6, 3:9])
    for dy, dx in canvas.shifts:
        np.testing.assert_array_equal(
            canvas.window((dy, dx)), scene[:, 2 - dy : 6 - dy, 3 - dx : 9 - dx]
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: translate(np.zeros((3, 3)), (1,), axes=(0, 1)), r"1 entries for 2 spatial axes"),
        (
            lambda: translate(np.zeros(3), (1,), axes=(0,), boundary="wrap"),
            "boundary must be one of",
        ),  # type: ignore[arg-type]
        (lambda: translate(np.zeros(3), (1,), axes=(0,), boundary="scene"), "moving the window"),
        (lambda: translate(np.zeros(3), (1,), axes=(4,)), "axis 4 is out of range"),
        (lambda: translate(np.zeros((3, 3)), (1, 1), axes=(0, -2)), "same axis twice"),
        (
            lambda: Canvas.scene(np.zeros((1, 4, 4, 1)), axes=(1, 2), grid=(5, 4)),
            "no window of size",
        ),
    ],
)
def test_errors(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_dtype_is_kept() -> None:
    assert translate(jnp.zeros(3, jnp.bfloat16), (1,), axes=(0,)).dtype == jnp.bfloat16
