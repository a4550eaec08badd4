"""TIFF and OME-TIFF, by tifffile: stacks, tiles, colours, and ImageJ's metadata.

Only tifffile's pages are used. What makes an image of them is understood here, since its
series follow descriptions into other files; and the chain of pages is walked here first,
since a loop in it would hold tifffile for ever.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import math
import struct
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError, MissingExtraError
from medjax.core.files import replacing
from medjax.data.geometry import invertible
from medjax.data.image import Header, Image

from . import ome_xml
from .block import COLOURS, DEFLATE, channel_names, require_finite, storable
from .files import existing
from .ome_xml import MILLIMETRES, Layout

_PAGES = 1 << 16
# By TIFF's number of the compression: the most bytes that one byte can become, about.
_MOST = {1: 1, 5: 2800, 7: 1024, 8: DEFLATE, 32773: 64, 32946: DEFLATE, 50000: 4096}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_JPEG = 7


class _Opened(NamedTuple):
    pages: list[Any]
    layout: Layout
    known: Header


def read(path: str | Path) -> Image:
    """Read an image: ``(x, y)`` or, of several pages, ``(x, y, z)``, and channels.

    OME-XML and ImageJ's description say which page is what; without one, pages are slices
    along z. Spacing is theirs or the resolution's, 1 where the file does not say. Values
    of less than 8 bits are uint8 and halves float32; else they are as stored, those of a
    colour map and those of which 0 is white too. Reduced pages are passed over.

    Raises:
        InputError: naming the path, for a file that is missing, empty, truncated,
            damaged or of another format; for pages that differ, channels and times at
            once, planes in other files, another compression than LZW, Deflate, PackBits,
            Zstandard or JPEG, or another kind of colour than grey and RGB; for NaN or
            infinite voxels.
        MissingExtraError: without tifffile, or imagecodecs where it is compressed.
    """
    path = existing(path)
    with _opened(path) as found:
        known, order = found.known, found.layout.order
        first = found.pages[0]
        depth, samples = first.shaped[1], first.shaped[0] * first.shaped[4]
        n, z = order.shape
        rows = np.empty((n, samples, z * depth, *first.shaped[2:4]), known.dtype)
        for i, j in np.ndindex(n, z):
            page = found.pages[order[i, j]]
            pixels = np.asarray(page.asarray(maxworkers=1, squeeze=False)).reshape(page.shaped)
            pixels = pixels.transpose(0, 4, 1, 2, 3).reshape(samples, *page.shaped[1:4])
            rows[i, :, j * depth : (j + 1) * depth] = pixels
    require_finite(path, rows)
    array = rows.reshape(n * samples, *rows.shape[2:]).transpose(3, 2, 1, 0).reshape(known.shape)
    return Image(
        array,
        known.affine,
        known.channels,
        known.modality,
        found.layout.interval,
        {"format": "tiff"},
    )


def header(path: str | Path) -> Header:
    """What `read` would give, without decoding a pixel.

    Raises:
        InputError: as `read`, for whatever a header shows.
        MissingExtraError: without tifffile.
    """
    with _opened(existing(path)) as found:
        return found.known


def write(path: str | Path, image: Image) -> None:
    """Write an OME-TIFF whole or not at all; the same input gives the same bytes.

    Args:
        path: ends in ``.tif`` or ``.tiff``; an existing file is replaced.
        image: of integers up to 32 bits, float32, float64 or bool (as uint8). Slices and
            channels become pages, red, green and blue of unsigned integers samples. The
            affine is in an annotation that other programs pass over, the spacing where
            they look for it.

    Raises:
        InputError: for another name, dtype or shape, an affine without an inverse,
            or a folder that is missing or cannot be written.
        MissingExtraError: without tifffile.
    """
    path = Path(path)
    if not path.name.lower().endswith((".tif", ".tiff")):
        raise InputError(path, "a name ending in .tif or .tiff", f"'{path.suffix}'")
    array = storable(image)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        raise InputError("array", "integers of up to 32 bits for OME-TIFF", array.dtype)
    image = image.replace(array=array, affine=invertible("affine", image.affine))
    colours = image.channels in (COLOURS[:3], COLOURS) and array.dtype.kind == "u"
    colours = colours and image.interval is None
    x, y, z = (*array.shape[: image.ndim], 1)[:3]
    planes = array.reshape(x, y, z, -1)
    samples = planes.shape[3] if colours else 1
    order = (2, 1, 0, 3) if colours else (3, 2, 1, 0)
    planes = planes.transpose(order).reshape(-1, y, x, *((samples,) if colours else ()))
    try:
        text = ome_xml.describe(image, samples)
    except ValueError:
        raise InputError("channels", "names that XML can hold", "others") from None
    options: dict[str, Any] = {"photometric": "rgb" if colours else "minisblack"}
    if samples == 4:
        options["extrasamples"] = ["unassalpha"]
    library = _tifffile()
    with replacing(path) as part:
        library.imwrite(
            part,
            planes.astype(planes.dtype.newbyteorder("<"), copy=False),
            byteorder="<",
            metadata=None,
            description=text,
            compression="zlib",
            software=False,
            **options,
        )


def _tifffile() -> types.ModuleType:
    try:
        import tifffile
    except ImportError:
        raise MissingExtraError("tifffile", "tiff", "TIFF") from None
    return tifffile


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    library = _tifffile()
    count = _chain(path)
    with _intact(path), library.TiffFile(path) as file:
        pages = [file.pages[i] for i in range(count)]
        full = [page for page in pages if not page.subfiletype & 1] or pages
        for page in full:
            _require_usable(path, file, page)
        first = full[0]
        alike = {(p.shaped, p.dtype) for p in full}
        text = first.description
        if len(alike) > 1:
            raise InputError(path, "pages of one shape and type", f"{len(alike)} of them")
        samples = first.shaped[0] * first.shaped[4]
        if ome_xml.is_ome(text):
            layout = ome_xml.understand(path, text, len(full), samples, first.shaped[2:4])
        else:
            layout = _layout(path, first, text, len(full))
        yield _Opened(full, layout, _known(path, first, layout, samples))


def _chain(path: Path) -> int:
    """The number of pages, known to follow one another to an end.

    Raises:
        InputError: naming the path, for another format, a truncated file, or a loop.
    """
    with path.open("rb") as stream:
        start = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(start[:2], "")
        version = struct.unpack(order + "H", start[2:4])[0] if order and len(start) > 3 else 0
        if version not in (42, 43) or len(start) < (8 if version == 42 else 16):
            raise InputError(path, "a TIFF file", "a file of another format")
        number, entry, place = ("H", 12, "I") if version == 42 else ("Q", 20, "Q")
        at = struct.unpack_from(order + place, start, 4 if version == 42 else 8)[0]
        seen: set[int] = set()
        size = path.stat().st_size
        while at:
            if at in seen or len(seen) == _PAGES:
                got = "a loop" if at in seen else "more"
                raise InputError(path, f"a chain of at most {_PAGES} pages", got)
            seen.add(at)
            found = b""
            if at < size:
                stream.seek(at)
                found = stream.read(struct.calcsize(number))
            tags = struct.unpack(order + number, found)[0] if len(found) in (2, 8) else size
            after = at + struct.calcsize(number) + entry * tags
            if after + struct.calcsize(place) > size:
                raise InputError(path, "a whole chain of pages", "a truncated one")
            stream.seek(after)
            at = struct.unpack(order + place, stream.read(struct.calcsize(place)))[0]
    if not seen:
        raise InputError(path, "a TIFF file with a page", "none")
    return len(seen)


def _require_usable(path: Path, file: Any, page: Any) -> None:
    """Refuse a page that the file cannot hold, or of a kind that is not understood."""
    compression, dtype = int(page.compression), page.dtype
    if compression not in _MOST:
        raise InputError(path, "LZW, Deflate, PackBits, Zstandard, JPEG or none", "another")
    if compression != 1 and importlib.util.find_spec("imagecodecs") is None:
        raise MissingExtraError("imagecodecs", "tiff", "a compressed TIFF")
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8 or 0 in page.shaped:
        raise InputError(path, "integer or float pixels", "another kind or none")
    kinds = {_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK}
    if page.photometric not in kinds and (page.photometric, compression) != (_YCBCR, _JPEG):
        raise InputError(path, "grey or RGB pixels", "other colours")
    if page.is_subsampled and compression != _JPEG:
        raise InputError(path, "colours of one size", "subsampled ones")
    offsets, counts = page.dataoffsets, page.databytecounts
    size = file.filehandle.size
    if any(at < 8 or n < 1 or at + n > size for at, n in zip(offsets, counts, strict=True)):
        raise InputError(path, "strips or tiles within the file", "one beyond its end")
    segments = math.prod(page.chunked)
    if not page.is_contiguous and len(offsets) != segments:
        raise InputError(path, f"{segments} strips or tiles", len(offsets))
    bits = page.bitspersample / (8 * page.dtype.itemsize)
    needed = max(page.nbytes, math.prod(page.chunks) * dtype.itemsize)
    most = sum(counts) * _MOST[compression] + 8
    if (needed if compression != 1 else page.nbytes) * bits > most:
        raise InputError(path, f"{page.nbytes} bytes of pixels as a page says", f"at most {most}")
    if compression == _JPEG:
        for at, n in zip(offsets, counts, strict=True):
            file.filehandle.seek(at)
            _require_frame(path, file.filehandle.read(n), page)


def _require_frame(path: Path, segment: bytes, page: Any) -> None:
    """Refuse a JPEG larger than its tile, which would be decoded whole."""
    chunks = [n for n in page.chunks if n > 1] or [1]
    at = 2
    while at + 9 <= len(segment) and segment[at] == 0xFF:
        marker, size = segment[at + 1], int.from_bytes(segment[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", segment[at + 5 : at + 9])
            if height * width <= math.prod(chunks):
                return
            break
        at += 2 + size
    raise InputError(path, "JPEG tiles as large as the page says", "another size")


def _known(path: Path, first: Any, layout: Layout, samples: int) -> Header:
    n, z = layout.order.shape
    _, depth, y, x, _ = first.shaped
    if (n > 1 and samples > 1) or (z > 1 and depth > 1):
        got = f"{n} channels or times of {samples} samples, {z} slices of {depth}"
        raise InputError(path, "two or three axes in space and one more", got)
    notes, z = layout.notes, z * depth
    names = layout.names
    if not names and samples in (3, 4) and first.photometric in (_RGB, _YCBCR):
        names = COLOURS[:samples]
    if len(names) != n * samples or "channels" in notes:
        names = channel_names(notes, n * samples)
    flat = notes.get("ndim", 2) == 2 and z == 1
    shape = (x, y) if flat else (x, y, z)
    dtype = {"bool": np.dtype(np.uint8), "float16": np.dtype(np.float32)}
    affine = np.diag([*(1.0 if s is None else s for s in layout.spacing), 1.0])
    if "affine" in notes:
        with contextlib.suppress(ValueError, TypeError):
            affine = np.array(notes["affine"], np.float64)
    modality = notes.get("modality", "")
    with np.errstate(all="ignore"):
        affine = invertible(path, affine)
    return Header(
        (*shape, len(names)) if names else shape,
        dtype.get(first.dtype.name, first.dtype.newbyteorder("=")),
        affine,
        names,
        modality if isinstance(modality, str) else "",
    )


def _layout(path: Path, first: Any, text: str, pages: int) -> Layout:
    """What ImageJ or tifffile say of the pages, or that they are slices."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    unit: float | None = {2: 25.4, 3: 10.0}.get(int(first.resolutionunit))
    x, y = (_step(first, code, unit) for code in (282, 283))
    if not text.startswith("ImageJ="):
        return Layout(_stacked(path, text, pages), (x, y, None))
    sizes = [int(fields.get(name, 1)) for name in ("frames", "slices", "channels")]
    if math.prod(sizes) != pages:
        # Without a hyperstack's sizes, images are slices.
        sizes = [1, int(fields.get("images", 1)), 1]
    if math.prod(sizes) != pages or (sizes[0] > 1 and sizes[2] > 1):
        got = f"{pages} pages, {sizes[0]} frames and {sizes[2]} channels"
        raise InputError(path, "ImageJ's slices, and frames or channels, a page each", got)
    frames, slices, channels = sizes
    order = np.arange(pages).reshape(frames, slices, channels).transpose(0, 2, 1)
    told = fields.get("unit", "").replace("\\u00B5", "µ").strip()
    z = None
    if told in MILLIMETRES:
        unit = MILLIMETRES[told]
        x, y = (_step(first, code, unit) for code in (282, 283))
    if unit is not None and "spacing" in fields:
        z = abs(float(fields["spacing"])) * unit or None
    seconds = float(fields.get("finterval", "nan"))
    interval = seconds if frames > 1 and 0 < seconds < math.inf else None
    return Layout(order.reshape(-1, slices), (x, y, z), (), interval)


def _step(first: Any, code: int, unit: float | None) -> float | None:
    """Millimetres between pixels, of which the tag counts how many are in a unit."""
    tag = first.tags.get(code)
    number, whole = tag.value if tag is not None and unit is not None else (0, 0)
    return whole / number * unit if number > 0 and whole > 0 and unit is not None else None


def _stacked(path: Path, text: str, pages: int) -> np.ndarray:
    """Pages as slices, or as the axes that tifffile has noted say."""
    axes, shape = "", ()
    if text.startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(text)
            axes, shape = found.get("axes", ""), found.get("shape", ())
    if not isinstance(axes, str) or len(axes) < 3 or len(axes) != len(shape):
        return np.arange(pages)[None]
    leading = axes[: axes.index("Y")] if "Y" in axes else ""
    sizes = [int(n) for n in shape[: len(leading)]]
    if math.prod(sizes) != pages:
        return np.arange(pages)[None]
    order, letters = np.arange(pages).reshape(sizes), list(leading)
    if "Z" in letters:
        order = np.moveaxis(order, letters.index("Z"), -1)
        others = [n for n, letter in zip(sizes, letters, strict=True) if letter != "Z" and n > 1]
    else:
        order, others = order[..., None], [n for n in sizes if n > 1]
    if len(others) > 1:
        raise InputError(path, "two or three axes in space and one more", f"{len(others)} more")
    return order.reshape(-1, order.shape[-1])


_TOLD = threading.local()


def _caught(record: logging.LogRecord) -> bool:
    """Keep what tifffile logs while a file is read here, by this thread."""
    held = getattr(_TOLD, "held", None)
    if held is None:
        return True
    held.append(record.levelno)
    return False


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    """tifffile tells of damage by errors of any kind, or logs it and goes on."""
    logging.getLogger("tifffile").addFilter(_caught)  # once, however often it is asked
    _TOLD.held = held = []
    try:
        yield
    except (InputError, MissingExtraError, MemoryError):
        raise
    except Exception:
        raise InputError(path, "a whole TIFF file", "a truncated or damaged one") from None
    finally:
        _TOLD.held = None
    if any(level >= logging.ERROR for level in held):
        raise InputError(path, "a whole TIFF file", "a damaged one")
