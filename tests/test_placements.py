"""Placements on an empty canvas: exact counts by formula, causes with their line, and twins that fail."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import shiftproof as sp
from shiftproof.errors import InputError
from shiftproof.sweeping.placements import SCHEMA, Placements


class Stack(nnx.Module):
    """Zero padded convolutions of one kernel size with ReLUs between them, then a head."""

    def __init__(self, depth, *, kernel=3, bias=False, strides=1, between=None, head=None):
        rngs = nnx.Rngs(0)
        self.convs = nnx.List(
            nnx.Conv(1, 1, (kernel, kernel), strides=strides, use_bias=bias, rngs=rngs)
            for _ in range(depth)
        )
        self.between, self.head = between, head

    def __call__(self, x):
        for i, conv in enumerate(self.convs):
            x = conv(nnx.relu(x) if i else x)
            x = self.between(x) if self.between and not i else x
        return self.head(x) if self.head else x


def total(x):
    return x.sum((1, 2))


def place(model, size: int = 2, canvas: tuple[int, int] = (10, 11), **options) -> Placements:
    return sp.placements(model, (size, size, 1), canvas=canvas, **options)


def inner(size: int, canvas: tuple[int, int], distance: int) -> int:
    """Placements at that distance from all edges, or further."""
    return int(np.prod([n - size + 1 - 2 * distance for n in canvas]))


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "kernel"), [(1, 3), (2, 3), (3, 3), (2, 5)])
def test_a_stack_without_bias_moves_wherever_no_layer_but_the_last_meets_the_border(
    depth, kernel
) -> None:
    """The last convolution may reach over the border: what it loses there lies outside of the frame."""
    radius, canvas = kernel // 2, (14, 15)
    result = place(Stack(depth, kernel=kernel), canvas=canvas)
    for i in range(depth):
        assert result.count("equivariance", i).equal == inner(2, canvas, i * radius)
        assert result.layers[i].exact
    expected = np.zeros((13, 14), bool)
    expected[tuple(slice((depth - 1) * radius, n - (depth - 1) * radius) for n in (13, 14))] = True
    np.testing.assert_array_equal(result.equal("equivariance"), expected)
    assert [cause.code for cause in result.causes] == ["border"] * (depth - 1)
    assert not result.notes


@pytest.mark.slow
def test_a_global_sum_needs_the_whole_answer_inside() -> None:
    canvas = (12, 12)
    result = place(Stack(2, head=total), canvas=canvas)
    assert result.count("invariance").equal == inner(2, canvas, 2)
    (border, frame) = result.causes
    assert (border.before, border.after) == (inner(2, canvas, 0), inner(2, canvas, 1))
    assert (frame.code, frame.before, frame.after) == ("frame", border.after, inner(2, canvas, 2))
    assert "within 2 pixels of the edges" in frame.text


@pytest.mark.slow
def test_a_bias_leaks_the_border_to_every_placement() -> None:
    """One convolution with bias is harmless; the next one sees the edge of its background."""
    one = place(Stack(1, bias=True))
    assert one.count("equivariance").equal == one.total == 9 * 10
    assert not one.causes
    two = place(Stack(2, bias=True))
    assert two.count("equivariance", 0).equal == two.total
    assert two.count("equivariance").equal == 1
    (cause,) = two.causes
    assert (cause.code, cause.layer, cause.before, cause.after) == ("background", "convs.1", 90, 1)
    first, second = two.backgrounds
    assert first is not None
    assert second is not None
    assert first.constant
    assert not first.zero
    assert not second.constant
    assert "convs.0 (test_placements.py:" in cause.text
    assert f"answers {first}, not 0, to an empty canvas" in cause.text
    assert "test_placements.py:" in cause.source


@pytest.mark.slow
def test_valid_convolutions_with_bias_see_no_edge() -> None:
    rngs = nnx.Rngs(0)
    valid = nnx.Sequential(*(nnx.Conv(1, 1, (3, 3), padding="VALID", rngs=rngs) for _ in range(2)))
    result = place(valid)
    assert result.count("equivariance").equal == result.total
    assert result.backgrounds[-1].constant
    assert not result.backgrounds[-1].zero


@pytest.mark.slow
def test_a_cell_that_leaves_the_frame_leaves_an_empty_canvas_behind() -> None:
    """One cell that sees all: moved by one it is out, and the object is not."""
    whole = lambda x: nnx.avg_pool(9 * x, (3, 3), padding="VALID")  # noqa: E731
    result = place(whole, size=1, canvas=(3, 3))
    assert result.count("equivariance") == sp.Count(equal=1, differs=8, unclear=0, undefined=0)
    assert result.count("invariance").equal == 9


@pytest.mark.slow
def test_a_stride_leaves_a_sublattice_of_placements() -> None:
    result = place(lambda x: nnx.max_pool(x, (2, 2), (2, 2)), size=3, canvas=(12, 12))
    count = result.count("equivariance")
    assert (count.equal, count.undefined, count.differs) == (25, 75, 0)
    rows, columns = np.nonzero(result.equal("equivariance"))
    assert {int(r) % 2 for r in rows} == {int(c) % 2 for c in columns} == {0}
    (cause,) = result.causes
    assert (cause.code, cause.before, cause.after) == ("stride", 100, 25)
    assert "one cell every 2 pixels" in cause.text


@pytest.mark.slow
def test_max_pools_pad_with_minus_infinity_and_see_no_edge_where_average_pools_do() -> None:
    """Behind a bias: padding that counts for nothing keeps the background even, zeros that count do not."""
    background = lambda x: nnx.relu(x) + 3  # noqa: E731
    pools = {
        "max": lambda x: nnx.max_pool(background(x), (3, 3), (1, 1), "SAME"),
        "average": lambda x: nnx.avg_pool(9 * background(x), (3, 3), (1, 1), "SAME"),
        "uncounted": lambda x: nnx.avg_pool(
            36 * background(x), (3, 3), (1, 1), "SAME", count_include_pad=False
        ),
    }
    found = {name: place(pool, canvas=(9, 9)) for name, pool in pools.items()}
    assert str(found["max"].backgrounds[-1]) == "3"
    assert found["max"].count("equivariance").equal == found["max"].total == 64
    assert str(found["average"].backgrounds[-1]) == "uneven, 12 to 27"
    assert found["average"].count("equivariance").equal == 1
    # dividing by the cells inside keeps the background, not the object beside the border
    assert str(found["uncounted"].backgrounds[-1]) == "108"
    assert found["uncounted"].count("equivariance").equal == inner(2, (9, 9), 2)
    plain = place(lambda x: nnx.avg_pool(9 * x, (3, 3), (1, 1), "SAME"), canvas=(9, 9))
    assert plain.count("equivariance").equal == 64  # on a background of 0 counting zeros is right


def test_a_circular_convolution_wraps_what_reaches_the_border() -> None:
    conv = nnx.Conv(1, 1, (3, 3), padding="CIRCULAR", use_bias=True, rngs=nnx.Rngs(0))
    result = place(conv, canvas=(9, 9))
    assert result.count("equivariance").equal == inner(2, (9, 9), 1)
    (cause,) = result.causes
    assert cause.code == "border"
    assert "comes back on the other side" in cause.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        lambda x: x + jnp.arange(9 * 9).reshape(1, 9, 9, 1),
        lambda x: x * jnp.arange(1, 9 * 9 + 1).reshape(1, 9, 9, 1),
        lambda x: x.reshape(len(x), -1),
    ],
    ids=["table", "mask", "flatten"],
)
def test_what_knows_places_is_told_from_what_sees_the_border(head) -> None:
    result = place(lambda x: head(x), canvas=(9, 9))
    assert result.count("equivariance" if result.layers[-1].has_grid else "invariance").equal == 1
    assert result.causes[-1].code == "places"


@pytest.mark.slow
def test_an_answer_in_every_cell_is_told_from_one_that_moves() -> None:
    """The mean over the frame is added everywhere: what enters at the edge is no empty canvas."""
    result = place(lambda x: x + 81 * x.mean((1, 2), keepdims=True), canvas=(9, 9))
    assert result.count("equivariance").equal == 1
    assert result.causes[-1].code == "places"


@pytest.mark.slow
def test_tokens_that_lose_the_grid_are_no_cause_where_the_output_has_it_back() -> None:
    """Patches in one axis: only the table of positions costs the multiples of the patch size."""
    free = sp.placements(sp.zoo.build("vit"), (4, 4, 3), canvas=(16, 16), weights="these")
    assert free.count("invariance").equal == 9
    assert [(cause.code, cause.after) for cause in free.causes] == [("stride", 9)]
    table = sp.placements(
        sp.zoo.build("vit-positions"), (4, 4, 3), canvas=(16, 16), weights="these"
    )
    assert table.count("invariance").equal == 1
    assert [(cause.code, cause.after) for cause in table.causes] == [("stride", 9), ("places", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "canvas"), [(4, (7, 7)), (5, (9, 9)), (4, (8, 7))])
def test_a_border_that_leaves_one_place_is_still_the_border(depth, canvas) -> None:
    """E6: all places but the middle are lost, because the layer sees the border from everywhere else."""
    result = place(Stack(depth), size=1, canvas=canvas)
    last = result.causes[-1]
    assert last.after <= 2
    assert {cause.code for cause in result.causes} == {"border"}
    assert "of the edges of the canvas" in last.text or "edge of the canvas" in last.text
    table = jnp.arange(81.0).reshape(9, 9, 1) + 1
    (cause,) = place(lambda x: x * table, size=1, canvas=(9, 9)).causes
    assert (cause.code, cause.after) == ("places", 1)


@pytest.mark.slow
def test_resizes_are_followed() -> None:
    """E5: the grid of a resized map is that of the image, and what is lost is lost at the border."""
    for how, sizes, left in (("bilinear", (10, 10), 49), ("cubic", (10, 10), 9)):
        result = place(lambda x: jax.image.resize(x, (len(x), 20, 20, 1), how), canvas=sizes)  # noqa: B023
        assert result.layers[-1].has_grid
        assert result.count("equivariance").equal == left
        assert {cause.code for cause in result.causes} == {"border"}


@pytest.mark.slow
def test_an_independent_loop_agrees() -> None:
    """Every placement run by hand, and compared cell by cell with the central one."""
    model = Stack(2, bias=True, strides=2, kernel=3, head=lambda x: nnx.relu(x))
    rng = np.random.default_rng(3)
    thing = rng.integers(1, 9, (2, 3, 2, 1)).astype(np.float64)
    result = sp.placements(model, thing, canvas=(12, 13), weights="integers", dtype="float32")
    weights = {}
    for i, conv in enumerate(model.convs):
        weights[f"kernel{i}"] = rng.integers(-2, 3, conv.kernel.shape)
        conv.kernel[...] = jnp.asarray(weights[f"kernel{i}"], jnp.float32)
        conv.bias[...] = jnp.ones(1)
    result = sp.placements(model, thing, canvas=(12, 13))
    run = nnx.jit(lambda m, x: m(x))
    outputs = {}
    for corner in itertools.product(range(10), range(12)):
        frame = np.zeros((2, 12, 13, 1), np.float32)
        frame[:, corner[0] : corner[0] + 3, corner[1] : corner[1] + 2] = thing
        outputs[corner] = np.asarray(run(model, frame))
    empty = np.asarray(run(model, np.zeros((2, 12, 13, 1), np.float32)))
    centre = result.reference
    assert centre == (4, 5)
    for corner, output in outputs.items():
        shift = (corner[0] - centre[0], corner[1] - centre[1])
        expected = None
        if shift[0] % 4 == 0 and shift[1] % 4 == 0:
            expected = all(
                np.array_equal(
                    output[:, u, v],
                    outputs[centre][:, u - shift[0] // 4, v - shift[1] // 4]
                    if 0 <= u - shift[0] // 4 < 3 and 0 <= v - shift[1] // 4 < 4
                    else empty[:, u, v],
                )
                for u, v in itertools.product(range(3), range(4))
            )
        status = result.sweep.status("equivariance")[corner]
        assert status == (
            sp.Status.UNDEFINED
            if expected is None
            else sp.Status.EQUAL
            if expected
            else sp.Status.DIFFERS
        )
        same = np.array_equal(output, outputs[centre])
        assert (result.sweep.status("invariance")[corner] == sp.Status.EQUAL) == same


@pytest.mark.slow
def test_digits_are_taken_as_they_lie_and_centred() -> None:
    digit = np.zeros((1, 10, 10, 1))
    digit[0, 0:3, 5:9, 0] = 1
    result = sp.placements(Stack(2), digit)
    assert (result.object, result.canvas, result.reference) == ((3, 4), (10, 10), (3, 3))
    assert result.sweep.header.weights == "these"
    assert result.total == 8 * 7


@pytest.mark.slow
def test_progress_ends_with_all_placements() -> None:
    steps = []
    place(Stack(1), progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (90, 90)


@pytest.mark.slow
def test_one_and_three_axes() -> None:
    line = nnx.Conv(1, 1, (3,), use_bias=False, rngs=nnx.Rngs(0))
    result = sp.placements(lambda x: line(line(x)), (2, 1), canvas=(9,))
    assert result.count("equivariance").equal == 6
    assert "# . #" not in str(result)
    assert ". # # # # # # ." in str(result)
    cube = nnx.Conv(1, 1, (3, 3, 3), use_bias=False, rngs=nnx.Rngs(0))
    solid = sp.placements(lambda x: cube(cube(x)), (1, 1, 1, 1), canvas=(5, 6, 7))
    assert solid.count("equivariance").equal == 3 * 4 * 5


@pytest.mark.slow
def test_an_object_that_fills_the_canvas_is_said_to_be_cut() -> None:
    result = place(Stack(2), size=6, canvas=(8, 8))
    (note,) = result.notes
    assert "even from the centre the answer to the object reaches the border at convs.0" in note


@pytest.mark.slow
def test_the_text_fits_a_terminal_and_the_json_says_the_same() -> None:
    result = place(Stack(2, bias=True, head=total), name="a network with a rather long name")
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert "convs.0  test_placements.py" in str(result)
    data = json.loads(json.dumps(result.to_dict()))
    assert data["schema"] == SCHEMA
    assert data["placements"] == 90
    assert [layer["name"] for layer in data["layers"]] == ["convs.0", "convs.1", "sum"]
    assert data["layers"][0]["equivariance"]["equal"] == 90
    assert data["layers"][2]["equivariance"] is None
    assert data["causes"][0]["code"] == "background"


@pytest.mark.slow
def test_rounded_layers_are_judged_by_noise() -> None:
    soft = lambda x: nnx.softmax(x.sum((1, 2)) / 3)  # noqa: E731
    result = sp.placements(soft, np.ones((1, 2, 2, 3)) / 3, canvas=(6, 6))
    assert not result.layers[-1].exact
    assert result.count("invariance").equal == result.total == 25


@pytest.mark.parametrize(
    ("objects", "options", "message"),
    [
        ((3, 3, 1), {"canvas": (2, 8)}, "an object of 3x3 does not fit on a canvas of 2x8"),
        ((3, 3, 1), {"canvas": (8,)}, "has 1 sizes for 2 grid axes"),
        (np.zeros((1, 4, 4, 1)), {}, "all zero: there is nothing to place"),
        ((3, 3, 1), {"canvas": (8, 8), "weights": "integers"}, "no parameters to replace"),
        ((3, 3, 1), {"canvas": (8, 8), "weights": "others"}, "weights must be one of"),
    ],
)
def test_mistakes_are_told(objects, options, message) -> None:
    with pytest.raises(InputError, match=message):
        sp.placements(lambda x: x, objects, **options)
