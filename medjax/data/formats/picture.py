"""PNG and JPEG pictures, by Pillow; 16-bit colours by imagecodecs.

What Pillow takes for granted is looked at first: that a PNG is whole, by its check sums,
and that a picture is not so large that decoding it could fill the memory.
"""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import types
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as pillow
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from medjax.core.errors import InputError, MissingExtraError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from .block import COLOURS, DEFLATE
from .files import existing

PIXELS = 1 << 27
"""The most that a picture may have; larger ones are for `slide`."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_ORIENTATION = 0x0112  # EXIF's
_CHANNELS = {"L": (), "LA": ("grey", "alpha"), "RGB": COLOURS[:3], "RGBA": COLOURS, "I;16": ()}
# By EXIF's number, from what is stored to what is meant; both (y, x).
_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
_LOCK = threading.Lock()  # Python's filters of warnings are one for all threads


class _Opened(NamedTuple):
    picture: ImageFile.ImageFile
    content: bytes
    mode: str  # of what is read: palettes become colours
    wide: bool  # 16-bit colours, which Pillow would cut to 8
    turn: int
    known: Header


def read(path: str | Path) -> Image:
    """Read a picture as ``(x, y)``, or ``(x, y, channel)`` where it has colours.

    Palettes become colours, grey of less than 8 bits is stretched to 8, and the turn that
    EXIF asks for is made. Spacing is that of PNG's pHYs or JPEG's density, 1 without one.

    Raises:
        InputError: naming the path, for a file that is missing, empty, truncated,
            damaged, another format, animated, in CMYK, or of more pixels than `PIXELS`.
        MissingExtraError: for 16-bit colours without imagecodecs.
    """
    path = existing(path)
    opened = _opened(path)
    if opened.wide:
        codecs = _imagecodecs()
        with _intact(path):
            rows = np.asarray(codecs.png_decode(opened.content))
    else:
        with _intact(path):
            picture = opened.picture
            picture.load()
            rows = np.asarray(picture if picture.mode == opened.mode else _plain(opened))
    rows = _TURNS.get(opened.turn, np.asarray)(rows)
    array = np.ascontiguousarray(rows.swapaxes(0, 1))
    known = opened.known
    if array.shape != known.shape or array.dtype != known.dtype:
        raise InputError(path, f"{known.shape} as its header says", array.shape)
    return Image(array, known.affine, known.channels, provenance={"format": "picture"})


def header(path: str | Path) -> Header:
    """What `read` would give, without decoding a pixel.

    Raises:
        InputError: as `read`, for whatever a header shows.
    """
    return _opened(existing(path)).known


def write(path: str | Path, image: Image) -> None:
    """Write a PNG whole or not at all; the same input gives the same bytes.

    Args:
        path: ends in ``.png``; an existing file is replaced. JPEG would change the pixels.
        image: ``(x, y)`` of uint8, uint16 or bool (as uint8), without channels or with
            those of grey and alpha, RGB or RGBA. Its affine is a spacing alone, which is
            stored in whole pixels a metre.

    Raises:
        InputError: for another name, dtype, shape, channels or affine, or a folder that
            is missing or cannot be written.
        MissingExtraError: for 16-bit colours without imagecodecs.
    """
    path = Path(path)
    if not path.name.lower().endswith(".png"):
        raise InputError(path, "a name ending in .png, which loses nothing", f"'{path.suffix}'")
    array = image.array.astype(np.uint8) if image.array.dtype == bool else image.array
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError("array", "uint8 or uint16", array.dtype)
    if image.ndim != 2 or 0 in array.shape or array.size > PIXELS * array[0, 0].size:
        raise InputError("array", f"shape (x, y) of 1 to {PIXELS} pixels", array.shape)
    if image.channels not in _CHANNELS.values():
        raise InputError("channels", "none, grey and alpha, or red, green, blue", image.channels)
    density = _density(invertible("affine", image.affine))
    rows = np.ascontiguousarray(array.swapaxes(0, 1))
    rows = rows.astype(rows.dtype.newbyteorder("="), copy=False)
    if rows.dtype == np.uint16 and image.channels:
        content = _with_density(_imagecodecs().png_encode(rows, level=6), density)
    else:
        stream = io.BytesIO()
        pillow.fromarray(rows).save(stream, "PNG")
        content = _with_density(stream.getvalue(), density)
    with replacing(path) as part:
        part.write_bytes(content)


def _imagecodecs() -> types.ModuleType:
    try:
        import imagecodecs
    except ImportError:
        raise MissingExtraError("imagecodecs", "tiff", "a PNG of 16-bit colours") from None
    return imagecodecs


def _opened(path: Path) -> _Opened:
    with path.open("rb") as stream:
        content = stream.read(len(_PNG))
        if not content.startswith((_PNG, _JPEG)):
            raise InputError(path, "a PNG or JPEG picture", "a file of another format")
        content += stream.read(8 * PIXELS)
    png = content.startswith(_PNG)
    exif = _whole_png(path, content) if png else None
    with _LOCK, _intact(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = (PngImageFile if png else JpegImageFile)(io.BytesIO(content))
        if exif is not None:
            picture.info["exif"] = exif  # Pillow would decode to find one at the end
        turn = picture.getexif().get(_ORIENTATION, 1) if "exif" in picture.info else 1
    width, height = picture.size
    if not 0 < width * height <= PIXELS:
        raise InputError(path, f"a picture of 1 to {PIXELS} pixels", f"one of {width * height}")
    # The fewest bits of a pixel: one, deflated; in JPEG, a run of empty blocks of 64.
    if width * height > len(content) * (8 * DEFLATE if png else 1024):
        got = f"a file of {len(content)} bytes"
        raise InputError(path, f"{width * height} pixels as its header says", got)
    if getattr(picture, "is_animated", False):
        raise InputError(path, "one picture", "an animation")
    raw = str(picture.tile[0].args) if png and picture.tile else ""
    mode = _mode(picture)
    if mode not in _CHANNELS:
        raise InputError(path, "grey, RGB or RGBA", f"colours of kind {mode}")
    wide = "16B" in raw and picture.mode != "I;16"
    if wide and raw.startswith("LA"):
        mode = "LA"  # of which Pillow makes RGBA
    spacing = _spacing(picture, png)
    if turn in (5, 6, 7, 8):
        width, height, spacing = height, width, spacing[::-1]
    channels = _CHANNELS[mode]
    known = Header(
        (width, height, len(channels)) if channels else (width, height),
        np.dtype(np.uint16 if wide or mode == "I;16" else np.uint8),
        np.diag([*spacing, 1.0, 1.0]),
        channels,
    )
    return _Opened(picture, content, mode, wide, turn, known)


def _mode(picture: ImageFile.ImageFile) -> str:
    clear = "transparency" in picture.info
    if picture.mode == "P":
        return "RGBA" if clear else "RGB"
    if picture.mode in ("1", "L"):
        return "LA" if clear else "L"
    if picture.mode == "RGB":
        return "RGBA" if clear else "RGB"
    return picture.mode


def _plain(opened: _Opened) -> pillow.Image:
    return opened.picture.convert(opened.mode)


def _whole_png(path: Path, content: bytes) -> bytes | None:
    """The EXIF block of a PNG whose chunks are all there and as their sums say."""
    place, exif = len(_PNG), None
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        name, end = content[place + 4 : place + 8], place + 12 + size
        if end > len(content):
            break
        body = memoryview(content)[place + 4 : end - 4]
        if zlib.crc32(body) != int.from_bytes(content[end - 4 : end], "big"):
            raise InputError(path, "a whole PNG", "one damaged, by its check sums")
        if name == b"eXIf":
            exif = b"Exif\0\0" + bytes(body[4:])
        if name == b"IEND":
            return exif
        place = end
    raise InputError(path, "a whole PNG", "a truncated one")


def _spacing(picture: ImageFile.ImageFile, png: bool) -> tuple[float, float]:
    """Millimetres between pixels along x and y; 1 where the file does not say."""
    info = picture.info
    if png and "dpi" in info:  # from whole pixels a metre
        x, y = (round(n / 0.0254) for n in info["dpi"])
        unit = 1000.0
    elif not png and info.get("jfif_unit") in (1, 2):
        x, y = info["jfif_density"]
        unit = 25.4 if info["jfif_unit"] == 1 else 10.0
    else:
        return 1.0, 1.0
    return (unit / x, unit / y) if x > 0 and y > 0 else (1.0, 1.0)


def _density(affine: np.ndarray) -> tuple[int, int] | None:
    """Whole pixels a metre along x and y; None for a spacing of 1."""
    x, y = float(affine[0, 0]), float(affine[1, 1])
    if not (np.array_equal(affine, np.diag([x, y, affine[2, 2], 1.0])) and min(x, y) > 0):
        raise InputError("affine", "a spacing alone, as a picture has no place", "more")
    if x == y == 1.0:
        return None
    density = round(1000 / x), round(1000 / y)
    for n, step in zip(density, (x, y), strict=True):
        if not (0 < n < 1 << 31 and abs(n * step / 1000 - 1) < 0.01):
            raise InputError("affine", "a spacing that pixels a metre can tell", (x, y))
    return density


def _with_density(content: bytes, density: tuple[int, int] | None) -> bytes:
    """A PNG with a pHYs chunk after its IHDR."""
    if density is None:
        return content
    body = b"pHYs" + struct.pack(">IIB", *density, 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    after = len(_PNG) + 25
    return content[:after] + chunk + content[after:]


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Pillow and the codecs tell of damage by errors of any kind."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:
        raise InputError(path, "a whole picture", "a truncated or damaged one") from None
