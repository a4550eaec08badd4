"""DICOM's elements, by pydicom (the extra ``dicom``), and where the pixels lie in a file.

Only elements that make an image are read: names, dates and whatever else tells of a
person stay in the file, and none of them can come up in an error. No element is read
past the end of its file, nor a compressed stream inflated past its limit.
"""

from __future__ import annotations

import contextlib
import functools
import io
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medjax.core.errors import InputError, MissingExtraError

from ..files import existing

DEFLATE = 1032  # the most bytes that one byte of a deflate stream can become
SLACK = 1 << 26  # what may be inflated whatever a file's size: its elements, an empty image
_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_NATIVE = (_IMPLICIT, "1.2.840.10008.1.2.1", _DEFLATED, _BIG_ENDIAN)
_PIXELS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")  # with a length of four bytes
_UNDEFINED = 0xFFFFFFFF
_MARK = b"DICM"
# Without a preamble a file starts with an element of group 2 or 8, little-endian.
_FIRST = {bytes([group, 0, element, 0]) for group in (2, 8) for element in range(0x20)}
_CHUNK = 1 << 20


class File(NamedTuple):
    """A file's elements, and where its pixels are.

    Attributes:
        path: of the file.
        size: in bytes; of a deflated one the most that it could become.
        dataset: of pydicom, with the elements that were asked for.
        syntax: the transfer syntax's identifier.
        keyword: of the element with the pixels; "" where there is none.
        representation: that element's value representation, such as "OW".
        offset: of its value, in the file or in the inflated stream.
        length: of its value in bytes; None where it is in fragments.
    """

    path: Path
    size: int
    dataset: Any
    syntax: str
    keyword: str
    representation: str
    offset: int
    length: int | None

    @property
    def native(self) -> bool:
        """Whether pixels are stored as they are."""
        return self.syntax in _NATIVE

    @property
    def big_endian(self) -> bool:
        return self.syntax == _BIG_ENDIAN


def library() -> Any:
    """pydicom.

    Raises:
        MissingExtraError: where it is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise MissingExtraError("pydicom", "dicom", "DICOM") from None
    return pydicom


@contextlib.contextmanager
def intact(path: Path, expected: str = "a whole DICOM file") -> Iterator[None]:
    """Whatever damage makes pydicom raise, and it can be anything with the file's contents
    in the words, becomes one error that names the file; and no warning is shown."""
    try:
        with _QUIET:
            yield
    except (InputError, MissingExtraError):
        raise
    except Exception:
        raise InputError(path, expected, "a damaged one") from None


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM's do, with a preamble or without."""
    with _opened(path) as raw:
        return raw.read(132)[128:] == _MARK or (raw.seek(0) == 0 and raw.read(4) in _FIRST)


def parse(path: str | Path, keywords: Sequence[str]) -> File:
    """Read some of a file's elements, none past its pixels.

    Args:
        path: of a file, with DICOM's preamble or without.
        keywords: of the elements, in DICOM's terms.

    Raises:
        InputError: naming the file, for what is not DICOM or is damaged.
        MissingExtraError: where pydicom is not installed.
    """
    path = existing(path)
    tags = _tags(tuple(keywords))
    found: list[tuple[int, str | None, int]] = []

    def at_pixels(tag: Any, representation: str | None, length: int) -> bool:
        if int(tag) in _PIXELS:
            found.append((int(tag), representation, length))
        return bool(found)

    with intact(path), _opened(path) as raw:
        meta, syntax = _start(path, raw)
        stream = _Inflated(raw, SLACK) if syntax == _DEFLATED else raw
        dataset = _elements(stream, syntax, at_pixels, tags)
        dataset.file_meta = meta
        if not found:
            return File(path, path.stat().st_size, dataset, syntax, "", "", 0, 0)
        tag, representation, length = found[0]
        offset = stream.tell() + (12 if representation in _LONG else 8)
        size = path.stat().st_size * (DEFLATE if syntax == _DEFLATED else 1)
        kind, length = representation or "OW", None if length == _UNDEFINED else length
        return File(path, size, dataset, syntax, _PIXELS[tag], kind, offset, length)


@functools.cache
def _tags(keywords: tuple[str, ...]) -> list[int]:
    return [library().tag.Tag(keyword) for keyword in keywords]


def pixel_bytes(file: File) -> bytes:
    """The value of the element with the pixels, fragments with their items' headers.

    Raises:
        InputError: naming the file, for fewer bytes than it promised.
    """
    with intact(file.path), _opened(file.path) as raw:
        if file.syntax == _DEFLATED:
            _start(file.path, raw)
            raw = _Inflated(raw, SLACK + (file.length or 0))
        raw.seek(file.offset)
        value = raw.read(file.size if file.length is None else file.length)
    if file.length is not None and len(value) < file.length:
        raise InputError(file.path, f"{file.length} bytes of pixels", len(value))
    return value


def whole(file: File) -> Any:
    """All elements of a file that `parse` has found to be an image, as pydicom's dataset.

    Raises:
        InputError: naming the file, for a damaged one.
    """
    with intact(file.path), _opened(file.path) as raw:
        meta, syntax = _start(file.path, raw)
        stream = _Inflated(raw, 2 * SLACK + (file.length or 0)) if syntax == _DEFLATED else raw
        dataset = _elements(stream, syntax, None, None)
        dataset.file_meta = meta
        return dataset


def _elements(stream: Any, syntax: str, stop_when: Any, tags: Any) -> Any:
    return library().filereader.read_dataset(
        stream,
        is_implicit_VR=syntax == _IMPLICIT,
        is_little_endian=syntax != _BIG_ENDIAN,
        stop_when=stop_when,
        specific_tags=tags,
    )


def _start(path: Path, stream: Any) -> tuple[Any, str]:
    """The file meta information and the transfer syntax; the stream is left behind them."""
    if stream.read(132)[128:] != _MARK:
        stream.seek(0)
        if stream.read(4) not in _FIRST:
            raise InputError(path, "a DICOM file", "a file of another format")
        stream.seek(0)
    meta = _elements(stream, "", lambda tag, *_: tag >> 16 != 2, None)
    meta = library().dataset.FileMetaDataset(meta)
    syntax = str(meta.get("TransferSyntaxUID") or "")
    if not syntax:
        start = stream.read(6)
        explicit = start[4:6].isalpha() and start[4:6].isupper()
        syntax = _NATIVE[1] if explicit else _IMPLICIT
        stream.seek(-len(start), io.SEEK_CUR)
    return meta, syntax


class _Bounded(io.BufferedReader):
    """A file that never makes room for more bytes than it still holds."""

    def __init__(self, path: Path):
        super().__init__(io.FileIO(path))
        self._end = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _CHUNK:
            size = max(0, min(size, self._end - self.tell()))
        return super().read(size)


def _opened(path: Path) -> _Bounded:
    try:
        return _Bounded(path)
    except OSError as error:
        reason = (error.strerror or "a failed read").lower()
        raise InputError(path, "a file that can be read", reason) from None


class _Inflated(io.RawIOBase):
    """The start of a raw deflate stream, inflated as far as it is read."""

    def __init__(self, raw: io.BufferedReader, limit: int):
        self._raw, self._limit = raw, limit
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._held, self._place = bytearray(), 0

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._place = offset + (self._place if whence == io.SEEK_CUR else 0)
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        end = self._place + size
        while len(self._held) < end and not self._inflate.eof:
            if len(self._held) > self._limit:
                raise zlib.error("more than the limit")
            packed = self._inflate.unconsumed_tail or self._raw.read(_CHUNK)
            if not packed:
                break
            self._held += self._inflate.decompress(packed, _CHUNK)
        part = bytes(self._held[self._place : end])
        self._place += len(part)
        return part


class _Quiet:
    """Silences warnings while any thread is inside; `warnings.catch_warnings` by itself
    would leave them silenced for good when two threads overlap."""

    def __init__(self):
        self._lock, self._inside = threading.Lock(), 0
        self._caught: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._caught.__exit__(None, None, None)


_QUIET = _Quiet()
