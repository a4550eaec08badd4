"""Blocks of voxels that a text header describes, in its own file or in one beside it.

What NRRD and MetaImage share. Their usual libraries follow a header to any file on the
disk and take memory before they look at what is there; here a header is believed only
as far as the file goes.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import math
import os
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medjax.core.errors import InputError
from medjax.data.geometry import invertible
from medjax.data.image import Image

COLOURS = ("red", "green", "blue", "alpha")
NOTES = "medjax"
"""The key of what a header has no place for, as JSON."""

DEFLATE = 1032
"""The most bytes that one byte of a deflate stream can become."""

_LINES = 1 << 20  # bytes of header that are looked at
_CHUNK = 1 << 24


class Block(NamedTuple):
    """Where the voxels are.

    Attributes:
        source: the file.
        start: its first byte that counts.
        skip: bytes to pass over once decompressed.
        encoding: "raw", "gzip", "zlib", "bzip2" or "ascii".
        dtype: of a voxel, with its byte order.
        shape: the fastest axis first.
    """

    source: Path
    start: int
    skip: int
    encoding: str
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def lines(path: Path, stream: BufferedIOBase) -> Iterator[str]:
    """The lines of a header, one after the other, without their ends.

    Raises:
        InputError: naming the path, for more than a megabyte of them.
    """
    left = _LINES
    while line := stream.readline(left):
        left -= len(line)
        if not left:
            raise InputError(path, f"a header of at most {_LINES} bytes", "a longer one")
        yield line.rstrip(b"\r\n").decode("utf-8", "replace")


def beside(path: Path, name: str) -> Path:
    """The data file of a header, known to lie in the header's folder or below it.

    Raises:
        InputError: naming the header, for another place, by a link too, or no file.
    """
    expected = "a data file in its own folder"
    try:
        found = (path.parent / name).resolve()
        inside = found.is_relative_to(path.parent.resolve())
        there = inside and found.is_file() and os.access(found, os.R_OK)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that cannot be one
        raise InputError(path, expected, "a name that leads nowhere") from None
    if not inside:
        raise InputError(path, expected, "one outside it")
    if not there:
        raise InputError(path, expected, "no file that can be read")
    return found


def require_held(path: Path, block: Block) -> None:
    """Refuse a block that its file cannot hold, before memory is taken.

    Raises:
        InputError: naming the path.
    """
    if min(block.shape) < 1:
        raise InputError(path, "axes of at least one voxel", f"shape {block.shape}")
    held = block.source.stat().st_size
    needed, most = block.nbytes + block.skip, max(held - block.start, 0)
    if block.encoding == "ascii":
        needed = 2 * math.prod(block.shape) - 1  # a digit each, and a space between
    elif block.encoding != "raw":
        most *= DEFLATE  # bzip2 may do better still, with images of nothing
    if needed > most:
        raise InputError(path, f"{needed} bytes of voxels as its header says", f"at most {most}")


def load(path: Path, block: Block) -> np.ndarray:
    """The voxels in the byte order of this machine, axes as in `Block.shape`.

    Raises:
        InputError: naming the path, for a file that holds fewer bytes or more than its
            header says, is damaged, or has voxels that are NaN or infinite.
    """
    require_held(path, block)
    with _intact(path), block.source.open("rb") as stream:
        stream.seek(block.start)
        if block.encoding == "ascii":
            array = _numbers(path, stream, block)
        else:
            content = _content(path, stream, block)
            array = np.frombuffer(content, block.dtype, offset=block.skip)
    array = array.astype(block.dtype.newbyteorder("="), copy=False)
    require_finite(path, array)
    return array.reshape(block.shape, order="F")


def require_finite(path: Path, array: np.ndarray) -> None:
    """Refuse voxels that are NaN or infinite.

    Raises:
        InputError: naming the path, with their number.
    """
    if array.dtype.kind == "f":
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            got = f"{bad} that are NaN or infinite"
            raise InputError(path, f"finite {array.dtype} voxels", got)


def placed(path: Path, matrix: np.ndarray, origin: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """An affine to RAS+ from columns and an origin in a space whose axes differ in sign.

    Raises:
        InputError: naming the path, for an affine without an inverse.
    """
    affine = np.eye(4)
    with np.errstate(all="ignore"):
        # Adding zero makes zeros positive, which a change of sign may have left negative.
        affine[:3] = signs[:, None] * np.column_stack([matrix, origin]) + 0.0
        return invertible(path, affine)


def storable(image: Image) -> np.ndarray:
    """The voxels as a header's number types have them.

    Raises:
        InputError: for other dtypes than integers, float32, float64 and bool (as uint8),
            or empty axes.
    """
    array = image.array.astype(np.uint8) if image.array.dtype == bool else image.array
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.dtype == np.float16:
        raise InputError("array", "integers, float32 or float64", array.dtype)
    if 0 in array.shape:
        raise InputError("array", "a shape without empty axes", array.shape)
    return array


def note(image: Image, modality: str = "") -> str:
    """What a header has no place for; "" where that is nothing."""
    notes: dict[str, Any] = {"modality": modality} if modality else {}
    if image.interval is not None:
        notes["interval"] = float(image.interval)
    if image.ndim == 2:
        notes["ndim"] = 2  # of the volume of one slice that it is stored as
    # An axis of one without a name is read as none.
    if image.channels == ("0",) or image.channels != numbered(len(image.channels)):
        notes["channels"] = list(image.channels)
    return json.dumps(notes) if notes else ""


def noted(text: str) -> dict[str, Any]:
    """What `note` gave; empty for what it did not write."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def numbered(n: int) -> tuple[str, ...]:
    """Names of channels that have none."""
    return tuple(str(i) for i in range(n))


def channel_names(notes: dict[str, Any], n: int) -> tuple[str, ...]:
    """The names that were noted, where they fit, else numbers; none for one without a name."""
    names = notes.get("channels")
    if isinstance(names, list) and len(names) == n:
        return tuple(str(name) for name in names)
    return numbered(n) if n > 1 else ()


def interval(notes: dict[str, Any]) -> float | None:
    """The seconds between times that were noted."""
    step = notes.get("interval")
    return step if isinstance(step, float) and 0 < step < math.inf else None


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, OSError):  # gzip's and bzip2's errors are an OSError
        raise InputError(path, "a whole block of voxels", "a truncated or damaged one") from None


def _content(path: Path, stream: BufferedIOBase, block: Block) -> bytearray:
    needed, held = block.nbytes + block.skip, bytearray()
    for chunk in _chunks(stream, block.encoding):
        held += chunk[: needed + 1 - len(held)]
        if len(held) > needed:
            raise InputError(path, f"{needed} bytes of voxels as its header says", "more")
    if len(held) < needed:
        got = f"a file truncated at {len(held)}"
        raise InputError(path, f"{needed} bytes of voxels as its header says", got)
    return held


def _chunks(stream: BufferedIOBase, encoding: str) -> Iterator[bytes]:
    if encoding == "zlib":
        yield from _inflated(stream)
        return
    opened: Any = stream
    if encoding != "raw":
        opened = gzip.GzipFile(fileobj=stream) if encoding == "gzip" else bz2.BZ2File(stream)
    while chunk := opened.read(_CHUNK):
        yield chunk


def _inflated(stream: BufferedIOBase) -> Iterator[bytes]:
    engine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # with zlib's or gzip's own header
    while not engine.eof:
        chunk = engine.decompress(engine.unconsumed_tail or stream.read(_CHUNK // 64), _CHUNK)
        if not (chunk or engine.unconsumed_tail or engine.eof or _more(stream)):
            raise EOFError
        yield chunk


def _more(stream: BufferedIOBase) -> bool:
    here = stream.tell()
    found = bool(stream.read(1))
    stream.seek(here)
    return found


def _numbers(path: Path, stream: BufferedIOBase, block: Block) -> np.ndarray:
    count, dtype = math.prod(block.shape), block.dtype
    words = stream.read().split(maxsplit=count)
    if len(words) != count:
        got = "more" if len(words) > count else len(words)
        raise InputError(path, f"{count} numbers as its header says", got)
    convert = float if dtype.kind == "f" else int
    try:
        with np.errstate(over="ignore"):
            return np.array([convert(word) for word in words], dtype)
    except (ValueError, OverflowError):
        got = "words or numbers beyond its range"
        raise InputError(path, f"voxels in text of type {dtype.name}", got) from None
