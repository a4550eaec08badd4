"""Pyramids in tiled TIFF, BigTIFF and OME-TIFF, by tifffile: a tile read costs that tile."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import weakref
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .scanner import plausible

_CODECS = {1, 5, 7, 8, 32773, 32946, 50000}
"""None, LZW, JPEG, deflate, PackBits, deflate's old number, Zstandard: those that cannot
be made to give more than their tile. OpenSlide reads the JPEG 2000 of scanners."""
_PAGES = 256  # looked at; slides have a dozen
_TILE = 1 << 26  # bytes
_MICROMETRES = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4}
_STARTS_OF_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Tiled:
    """A `Reader` by tifffile, of a file that `checked` has opened; it is closed with this.

    Levels are the tiled pages, and pages below them, that have the first one's proportions.
    """

    def __init__(self, file: Any):
        self._file = file
        # Also when nobody holds it any more: one thread must not close what another reads.
        self.close = weakref.finalize(self, file.close)
        self._pages = [_Page(page, file.filehandle.size) for page in _levels(file)]
        self.sizes = [page.size for page in self._pages]
        self.spacing = _spacing(file)
        self._lock = threading.Lock()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        page = self._pages[level]
        edge_x, edge_y = page.tile
        out = np.empty((height, width, 3), np.uint8)
        for row in range(y // edge_y, (y + height - 1) // edge_y + 1):
            for column in range(x // edge_x, (x + width - 1) // edge_x + 1):
                tile = self._tile(page, row, column)
                top, left = row * edge_y, column * edge_x
                y0, y1 = max(top, y), min(top + edge_y, y + height)
                x0, x1 = max(left, x), min(left + edge_x, x + width)
                part = tile[y0 - top : y1 - top, x0 - left : x1 - left]
                out[y0 - y : y1 - y, x0 - x : x1 - x] = part
        return out

    def _tile(self, page: _Page, row: int, column: int) -> np.ndarray:
        index = row * page.across + column
        offset, count = int(page.offsets[index]), int(page.counts[index])
        if count == 0:  # how tiles without contents are left out
            return np.full((*page.tile[::-1], 3), 255, np.uint8)
        handle = self._file.filehandle
        with self._lock:
            handle.seek(offset)
            data = handle.read(count)
        return page.decoded(data, index)

    def tissue(self) -> None:
        return None


class _Page:
    """One level: where its tiles are, and how to decode them."""

    def __init__(self, page: Any, file_size: int):
        self._page = page
        self.size = (int(page.imagewidth), int(page.imagelength))
        self.tile = (int(page.tilewidth), int(page.tilelength))
        self.across = -(-self.size[0] // self.tile[0])
        tiles = self.across * -(-self.size[1] // self.tile[1])
        if page.bitspersample != 8 or page.dtype != np.uint8 or page.planarconfig != 1:
            raise ValueError("not 8-bit colours side by side")
        if page.samplesperpixel not in (1, 3, 4) or page.photometric not in (1, 2, 6):
            raise ValueError("not grey or red, green and blue")
        if page.compression not in _CODECS or page.tiledepth != 1:
            raise ValueError("a compression that is not read here")
        self.offsets, self.counts = _tables(page, file_size)
        if not len(self.offsets) == len(self.counts) == tiles:
            raise ValueError("a list of tiles of another length")
        self._tables = page.jpegtables if page.compression == 7 else None

    def decoded(self, data: bytes, index: int) -> np.ndarray:
        """uint8 ``(y, x, 3)`` of one tile; smaller at the slide's edges in some files."""
        keywords = {}
        if self._page.compression == 7:
            if not _fits(data, self.tile):
                raise ValueError("a JPEG larger than its tile")
            keywords["jpegtables"] = self._tables
        tile = self._page.decode(data, index, **keywords)[0][0]
        return np.repeat(tile, 3, axis=2) if tile.shape[2] == 1 else tile[..., :3]


def installed() -> bool:
    try:
        _tifffile()
    except ImportError:
        return False
    return True


def checked(path: Path) -> Any:
    """A TIFF, open, whose tables are known to hold nothing that its file cannot.

    OpenSlide ends the whole process where memory is refused to it.
    """
    file = _tifffile().TiffFile(path)
    try:
        file.pages.cache = True
        for page in _pages(file.pages):
            if page.is_tiled:
                _tables(page, file.filehandle.size)
    except BaseException:
        file.close()
        raise
    return file


def _pages(pages: Any) -> list[Any]:
    # One after the other: to count them all would take for ever where one leads back.
    return [page.aspage() for page in itertools.islice(pages or (), _PAGES)]


def _tables(page: Any, file_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each tile begins and how long it is, in bytes."""
    if page.tilewidth * page.tilelength * page.samplesperpixel > _TILE:
        raise ValueError("tiles of more than 64 MiB")
    offsets = np.asarray(page.dataoffsets, np.uint64)
    counts = np.asarray(page.databytecounts, np.uint64)
    # Not their sum, which could wrap.
    if len(offsets) != len(counts) or (counts > _left(file_size, offsets))[counts > 0].any():
        raise ValueError("tiles beyond the end of the file")
    return offsets, counts


def _left(file_size: int, offsets: np.ndarray) -> np.ndarray:
    return np.uint64(file_size) - np.minimum(np.uint64(file_size), offsets)


def _tifffile() -> Any:
    import tifffile

    log = logging.getLogger("tifffile")
    if not log.handlers:  # else what it has to say of a damaged file is printed
        log.addHandler(logging.NullHandler())
    return tifffile


def _levels(file: Any) -> list[Any]:
    """The first tiled page and the smaller ones of its proportions, the largest first."""
    found: list[Any] = []
    for page in _pages(file.pages):
        both = (page, *_pages(page.pages))
        found += [p for p in both if p.is_tiled and 0 not in p.shape]
    if not found:
        raise ValueError("no tiles")
    first = found[0]
    levels = {(first.imagewidth, first.imagelength): first}
    for page in found[1:]:
        factor = first.imagewidth / page.imagewidth
        # Each level may have been rounded, and its tiles' edge lost.
        alike = abs(first.imagelength / factor - page.imagelength) <= 1 + page.imagelength / 100
        if factor > 1 and alike and page.samplesperpixel == first.samplesperpixel:
            levels.setdefault((page.imagewidth, page.imagelength), page)
    return sorted(levels.values(), key=lambda p: -p.imagewidth)


def _spacing(file: Any) -> tuple[float, float] | None:
    """Micrometres per pixel: by OME, by Aperio's description, by the resolution."""
    page = file.pages.first
    description = page.description if isinstance(page.description, str) else ""
    if file.is_ome and (found := _ome_spacing(file.ome_metadata)):
        return found
    if found := re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description):
        return plausible(found.group(1), found.group(1))
    tags = page.tags
    unit = {2: 25400.0, 3: 10000.0}.get(tags.valueof("ResolutionUnit", 1))
    sides = [tags.valueof(name, None) for name in ("XResolution", "YResolution")]
    if unit is None or None in sides or any(0 in side for side in sides):
        return None
    return plausible(*(unit * side[1] / side[0] for side in sides))


def _ome_spacing(text: str | None) -> tuple[float, float] | None:
    if text is None or "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can grow without end
        return None
    for element in ElementTree.fromstring(text).iter():
        if element.tag.endswith("}Pixels"):
            sides = []
            for axis in "XY":
                factor = _MICROMETRES.get(element.get(f"PhysicalSize{axis}Unit", "µm"))
                size = element.get(f"PhysicalSize{axis}")
                sides.append(factor * float(size) if factor and size else None)
            return plausible(*sides)
    return None


def _fits(data: bytes, tile: tuple[int, int]) -> bool:
    """Whether a JPEG's own size is no larger than its tile's."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _STARTS_OF_FRAMES:
            high, wide = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (5, 7))
            return 0 < wide <= tile[0] and 0 < high <= tile[1]
        if marker == 0xFF:  # a byte that only fills
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
