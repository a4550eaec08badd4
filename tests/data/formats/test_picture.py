import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageFile

from medjax.core.errors import InputError
from medjax.data import Image
from medjax.data.formats import picture

COLOURS = ("red", "green", "blue", "alpha")


def numbers(shape, dtype=np.uint8):
    top = np.iinfo(dtype).max
    return np.random.default_rng(1).integers(0, top, shape, dtype, endpoint=True)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.png"
    picture.write(path, Image(numbers((5, 7, 3)), np.diag([0.5, 0.25, 1, 1]), COLOURS[:3]))
    return path


def refuse(path, match):
    for function in (picture.read, picture.header):
        with pytest.raises(InputError, match=match) as caught:
            function(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def chunks(content):
    at = 8
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : end - 4]
        at = end


def png(*parts):
    """A PNG with right check sums, whatever its chunks say."""
    whole = b"\x89PNG\r\n\x1a\n"
    for name, data in parts:
        whole += struct.pack(">I", len(data)) + name + data
        whole += struct.pack(">I", zlib.crc32(name + data))
    return whole


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), ("grey", "alpha"), COLOURS[:3], COLOURS])
def test_round_trip(tmp_path, dtype, channels):
    if dtype == np.uint16 and channels:
        pytest.importorskip("imagecodecs")
    path, array = tmp_path / "a.png", numbers((5, 7, len(channels)) if channels else (5, 7), dtype)
    affine = np.diag([0.5, 0.25, 1, 1])
    for name in ("a.png", "b.png"):
        picture.write(tmp_path / name, Image(array, affine, channels))
    image, known = picture.read(path), picture.header(path)
    assert image.array.dtype == known.dtype == dtype
    np.testing.assert_array_equal(image.array, array)
    np.testing.assert_array_equal(image.affine, affine)
    np.testing.assert_array_equal(known.affine, affine)
    assert known.shape == array.shape
    assert image.channels == known.channels == channels
    assert path.read_bytes() == (tmp_path / "b.png").read_bytes()


def test_x_is_to_the_right_and_y_downwards(tmp_path):
    path, rows = tmp_path / "a.png", np.zeros((4, 6), np.uint8)
    rows[1, 5] = 9
    pillow.fromarray(rows).save(path)
    image = picture.read(path)
    assert image.array.shape == (6, 4)
    assert image.array[5, 1] == 9
    assert image.spacing == (1.0, 1.0)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_the_turn_that_exif_asks_for_is_made(tmp_path, name):
    from PIL import ImageOps

    path = tmp_path / name
    rows = pillow.fromarray(numbers((16, 24)))
    for turn in range(1, 9):
        exif = pillow.Exif()
        exif[0x0112] = turn
        rows.save(path, exif=exif, dpi=(100, 200))
        with pillow.open(path) as opened:
            expected = np.asarray(ImageOps.exif_transpose(opened)).T
        image, known = picture.read(path), picture.header(path)
        np.testing.assert_array_equal(image.array, expected)
        assert known.shape == expected.shape
        spacing = (0.254, 0.127) if turn < 5 else (0.127, 0.254)
        np.testing.assert_allclose(image.spacing, spacing, rtol=1e-4)


def test_an_exif_block_after_the_pixels_counts_too(tmp_path):
    path = tmp_path / "a.png"
    exif = pillow.Exif()
    exif[0x0112] = 6
    pillow.fromarray(numbers((4, 6))).save(path, exif=exif)
    parts = dict(chunks(path.read_bytes()))
    order = (b"IHDR", b"IDAT", b"eXIf", b"IEND")
    path.write_bytes(png(*((name, parts[name]) for name in order)))
    assert picture.header(path).shape == picture.read(path).array.shape == (4, 6)


def test_kinds_of_pixels(tmp_path):
    colours = pillow.fromarray(numbers((4, 6, 3)))
    path = tmp_path / "a.png"
    for mode, options, channels in (
        ("1", {}, ()),
        ("P", {}, COLOURS[:3]),
        ("P", {"transparency": 3}, COLOURS),
        ("L", {"transparency": 3}, ("grey", "alpha")),
        ("RGB", {"transparency": (1, 2, 3)}, COLOURS),
    ):
        one = colours.convert(mode)
        one.save(path, **options)
        image = picture.read(path)
        assert image.channels == channels
        assert image.array.dtype == np.uint8
        expected = np.asarray(one.convert("RGB" if "red" in channels else "L"))
        found = image.array[..., :1] if "grey" in channels else image.array[..., :3]
        np.testing.assert_array_equal(
            (found if channels else image.array).swapaxes(0, 1).reshape(expected.shape), expected
        )
    colours.convert("CMYK").save(tmp_path / "a.jpg")
    refuse(tmp_path / "a.jpg", "grey, RGB or RGBA, got colours of kind CMYK")
    colours.save(path, save_all=True, append_images=[colours.rotate(180)])
    refuse(path, "one picture, got an animation")


def test_missing_empty_and_foreign_files_are_named(tmp_path, file):
    refuse(tmp_path / "none.png", "nothing at this path")
    refuse(tmp_path, "a folder")
    path = tmp_path / "b.png"
    path.touch()
    refuse(path, "empty")
    for content in (b"not an image at all" * 40, b"GIF89a" + bytes(99)):
        path.write_bytes(content)
        refuse(path, "another format")


@pytest.mark.parametrize("keep", [9, 20, 50, 90, -12, -1])
def test_truncated_and_damaged_pngs_are_named(file, keep):
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    refuse(file, "a whole PNG, got a truncated one")
    broken = bytearray(content)
    broken[keep] ^= 4
    file.write_bytes(broken)
    refuse(file, "a whole PNG")


def test_truncated_jpegs_are_named(tmp_path):
    stream = io.BytesIO()
    pillow.fromarray(numbers((64, 64, 3))).save(stream, "JPEG")
    path, content = tmp_path / "a.jpg", stream.getvalue()
    for keep in (3, 30, 300, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:keep])
        with pytest.raises(InputError, match="picture"):
            picture.read(path)


def test_bombs_and_promises_take_no_memory(tmp_path, monkeypatch):
    stream = io.BytesIO()
    pillow.fromarray(numbers((8, 8))).save(stream, "JPEG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("read"))
    path = tmp_path / "a.png"
    data = zlib.compress(bytes(1 << 20))

    def promise(width, height):
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        path.write_bytes(png((b"IHDR", head), (b"IDAT", data), (b"IEND", b"")))

    promise(100_000, 100_000)
    refuse(path, "a picture of 1 to 134217728 pixels, got one of 10000000000")
    promise(10_000, 10_000)
    refuse(path, "100000000 pixels as its header says, got a file of")
    content = bytearray(stream.getvalue())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 10_000, 10_000)
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    refuse(path, "100000000 pixels as its header says")


def test_writing_refuses_and_leaves_what_was_there(file):
    before, eye = file.read_bytes(), np.eye(4)
    shifted = eye.copy()
    shifted[0, 3] = 1
    for bad, match in (
        (Image(numbers((3, 4)).astype(np.float32), eye), "uint8 or uint16"),
        (Image(numbers((3, 4, 5)), eye), r"shape \(x, y\)"),
        (Image(numbers((3, 0)), eye), r"shape \(x, y\)"),
        (Image(numbers((3, 4, 2)), eye, ("a", "b")), "none, grey and alpha"),
        (Image(numbers((3, 4)), shifted), "a spacing alone"),
        (Image(numbers((3, 4)), np.diag([-1.0, 1, 1, 1])), "a spacing alone"),
        (Image(numbers((3, 4)), np.diag([300.0, 1, 1, 1])), "that pixels a metre can tell"),
    ):
        with pytest.raises(InputError, match=match):
            picture.write(file, bad)
    with pytest.raises(InputError, match=r"\.png, which loses nothing"):
        picture.write(file.with_name("a.jpg"), Image(numbers((3, 4)), eye))
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_real_pictures():
    """What scikit-image's wheel holds: grey, RGB, RGBA, 16-bit colours and JPEG."""
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    camera = picture.read(folder / "camera.png")
    assert camera.array.shape == (512, 512)
    np.testing.assert_allclose(camera.spacing, 25.4 / 72, rtol=1e-3)
    with pillow.open(folder / "camera.png") as opened:
        np.testing.assert_array_equal(camera.array.T, np.asarray(opened))
    horse = picture.header(folder / "horse.png")
    assert (horse.shape, horse.channels) == ((400, 328, 4), COLOURS)
    retina = picture.read(folder / "retina.jpg")
    assert retina.array.shape == (1411, 1411, 3)
    assert retina.array[700, 700].argmax() == 0  # the back of an eye is red
    np.testing.assert_allclose(retina.spacing, 25.4 / 150)
    pytest.importorskip("imagecodecs")
    board = picture.read(folder / "chessboard_RGB.png")
    assert board.array.dtype == np.uint16
    assert board.array.min() == 0
    assert board.array.max() == 65535
    assert (board.array % 257).any()  # not 8 bits stretched to 16
