"""Images from every source, and the refusal of every file that is not what it claims to be."""

import gzip
import struct
import sys

import matplotlib.image
import numpy as np
import PIL.Image
import pytest

from shiftproof import data

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 10
LABELS = np.array([7, 1], np.uint8)


def encode_idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write(tmp_path):
    """Writes an array (as IDX) or bytes to a file of the directory; .gz in the name packs it."""

    def write_file(name, content):
        raw = encode_idx(content) if isinstance(content, np.ndarray) else content
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)

    return write_file


# Images and place


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), None, r"images are float32\[2, 8, 8\], expected float32"),
        (np.zeros((2, 8, 8, 1)), None, r"images are float64\[2, 8, 8, 1\], expected float32"),
        (
            np.zeros((2, 8, 8, 1), np.float32),
            np.zeros(3, np.int32),
            r"int32\[3\], expected int32\[2\]",
        ),
        (
            np.zeros((2, 8, 8, 1), np.float32),
            np.zeros(2, np.int64),
            r"int64\[2\], expected int32\[2\]",
        ),
    ],
)
def test_images_refuse_a_wrong_shape_or_type(images, labels, message):
    with pytest.raises(ValueError, match=message):
        data.Images(images, labels, "Wrong.")


def test_place_puts_images_at_the_corner_and_zeros_elsewhere():
    images = np.random.default_rng(0).integers(1, 9, (2, 3, 4, 2))
    placed = data.place(images, canvas=(6, 9), corner=(2, 5))
    assert placed.shape == (2, 6, 9, 2)
    assert placed.dtype == images.dtype
    np.testing.assert_array_equal(placed[:, 2:5, 5:9], images)
    assert placed.sum() == images.sum()


def test_place_centres_by_default():
    assert data.place(np.ones((1, 2, 2, 1)), canvas=(4, 6))[0, 1:3, 2:4].all()


@pytest.mark.parametrize("corner", [(-1, 0), (0, -1), (4, 0), (0, 6), None])
def test_place_refuses_to_leave_the_canvas(corner):
    canvas = (6, 9) if corner else (2, 9)
    with pytest.raises(ValueError, match=r"images of 3x4 at corner \(.*\) leave the canvas of"):
        data.place(np.ones((1, 3, 4, 1)), canvas=canvas, corner=corner)


# digits


def test_digits_are_the_real_ones_doubled_and_centred():
    table = pytest.importorskip("sklearn.datasets").load_digits()
    digits = data.digits()
    assert digits.images.shape == (1797, 28, 28, 1)
    small = data.digits(small=True)
    np.testing.assert_array_equal(small.images[..., 0] * 16, table.images)
    assert digits.labels.tolist() == small.labels.tolist() == table.target.tolist()
    levels = digits.images[..., 0] * 16
    inside = levels[:, 6:22, 6:22]
    for row in (0, 1):
        for column in (0, 1):
            np.testing.assert_array_equal(inside[:, row::2, column::2], table.images)
    assert levels.sum() == inside.sum()
    assert set(np.unique(levels)) == set(range(17))


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[digits\]"'):
        data.digits()


# mnist


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("part", ["t10k", "train"])
def test_mnist_reads_back_what_was_written(write, tmp_path, part, suffix):
    write(f"{part}-images-idx3-ubyte{suffix}", PIXELS)
    write(f"{part}-labels-idx1-ubyte{suffix}", LABELS)
    mnist = data.mnist(tmp_path)
    np.testing.assert_array_equal(mnist.images[..., 0] * 256, PIXELS)
    assert mnist.labels.tolist() == [7, 1]
    assert f"{part}-images" in mnist.source


def test_mnist_prefers_the_test_part(write, tmp_path):
    for part, pixels in (("train", PIXELS), ("t10k", PIXELS + 1)):
        write(f"{part}-images-idx3-ubyte", pixels)
        write(f"{part}-labels-idx1-ubyte", LABELS)
    assert data.mnist(str(tmp_path)).images[0, 0, 0, 0] == 1 / 256


IMAGES_FILE = encode_idx(PIXELS)
PACKED_FILE = gzip.compress(IMAGES_FILE, mtime=0)  # workers must agree on the parameters of a test


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (IMAGES_FILE[:-1], r"has 39 bytes, expected 40 for its declared sizes \(2, 3, 4\)"),
        (IMAGES_FILE + b"\0", r"has 41 bytes, expected 40 for its declared sizes"),
        (IMAGES_FILE[:9], "is cut off: 9 bytes, expected a header of 16"),
        (b"", r"starts with bytes \(none\), expected the IDX magic 00 00 08 03"),
        (encode_idx(LABELS), "starts with bytes 00 00 08 01, expected the IDX magic 00 00 08 03"),
        (b"\0\0\x0d\3" + IMAGES_FILE[4:], "starts with bytes 00 00 0d 03, expected the IDX magic"),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), r"has 16 bytes, expected 79228162"),
        (
            struct.pack(">4B3I", 0, 0, 8, 3, 2, 0, 4),
            r"declares sizes \(2, 0, 4\), expected at least",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_refuses_a_file_that_is_not_what_it_claims(write, tmp_path, content, message, suffix):
    write(f"t10k-images-idx3-ubyte{suffix}", content)
    write("t10k-labels-idx1-ubyte", LABELS)
    with pytest.raises(ValueError, match=rf"t10k-images-idx3-ubyte{suffix} {message}"):
        data.mnist(tmp_path)


@pytest.mark.parametrize(
    "packed",
    [IMAGES_FILE, PACKED_FILE[:-4], PACKED_FILE[:20], b"\x1f\x8b"],
    ids=["not packed", "cut at the end", "cut early", "magic only"],
)
def test_mnist_refuses_what_does_not_unpack(write, tmp_path, packed):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(packed)
    write("t10k-labels-idx1-ubyte", LABELS)
    with pytest.raises(
        ValueError, match=r"ubyte\.gz does not unpack .* download it again, or drop"
    ):
        data.mnist(tmp_path)


def test_mnist_refuses_a_damaged_stream(write, tmp_path):
    packed = bytearray(PACKED_FILE)
    packed[10] ^= 0xFF  # The first byte behind the header.
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(packed)
    write("t10k-labels-idx1-ubyte", LABELS)
    with pytest.raises(ValueError, match=r"ubyte\.gz does not unpack"):
        data.mnist(tmp_path)


def test_mnist_refuses_labels_of_another_number(write, tmp_path):
    write("t10k-images-idx3-ubyte", PIXELS)
    write("t10k-labels-idx1-ubyte", LABELS[:1])
    with pytest.raises(
        ValueError, match=r"labels-idx1-ubyte holds 1 labels, expected 2 as .* images"
    ):
        data.mnist(tmp_path)


def test_mnist_names_the_missing_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no directory .*nowhere; give the one that holds"):
        data.mnist(tmp_path / "nowhere")


def test_mnist_names_the_files_it_looked_for(write, tmp_path):
    names = "t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz, train-images-idx3-ubyte, train"
    with pytest.raises(FileNotFoundError, match=f"holds none of {names}"):
        data.mnist(tmp_path)
    write("train-images-idx3-ubyte", PIXELS)
    with pytest.raises(FileNotFoundError, match="holds none of train-labels-idx1-ubyte, train"):
        data.mnist(tmp_path)


# png


@pytest.fixture
def save(tmp_path):
    """Writes levels 0..255 as an 8-bit PNG, of the mode that the shape implies."""

    def save_png(levels):
        PIL.Image.fromarray(levels).save(tmp_path / "image.png")
        return tmp_path / "image.png"

    return save_png


@pytest.mark.parametrize("channels", [None, 3, 4])
def test_png_keeps_every_level(save, channels):
    shape = (5, 7) if channels is None else (5, 7, channels)
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = data.png(save(levels))
    expected = levels[..., None] if channels is None else levels[..., :3]
    assert picture.images.dtype == np.float32
    np.testing.assert_array_equal(picture.images[0] * 256, expected)
    assert picture.labels is None
    assert "image.png" in picture.source


def test_png_reads_what_matplotlib_writes(tmp_path):
    matplotlib.image.imsave(tmp_path / "plot.png", np.eye(4), cmap="gray")
    np.testing.assert_array_equal(
        data.png(tmp_path / "plot.png").images[0, ..., 0] * 256, 255 * np.eye(4)
    )


@pytest.mark.parametrize("kept", [8, 20, 40, -12, -1])
def test_png_refuses_a_truncated_file(save, kept):
    path = save(np.zeros((5, 7, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"image\.png is cut off: no IEND chunk in \d+ bytes"):
        data.png(path)


@pytest.mark.parametrize("place", [18, 31, 45])  # Width, header checksum, compressed levels.
def test_png_refuses_a_damaged_file(save, place):
    path = save(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"image\.png does not decode .* expected an undamaged"):
        data.png(path)


@pytest.mark.parametrize(
    ("content", "found"), [(b"", r"\(none\)"), (b"\xff\xd8\xff\xe0JF", "ff d8")]
)
def test_png_refuses_another_format(tmp_path, content, found):
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"photo\.png starts with bytes {found}.* 89 50 4e 47"):
        data.png(tmp_path / "photo.png")


def test_png_names_the_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.png; give the path of a PNG"):
        data.png(tmp_path / "none.png")
