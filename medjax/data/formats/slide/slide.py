"""A slide: a picture of gigapixels at several resolutions, of which regions are read."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medjax.core.errors import InputError

from .average import average, overlaps
from .reader import Reader, open_reader, whole

LARGEST = 1 << 30
"""Bytes of the largest region that is read at once."""

_BLOCK = 2048  # edge, in pixels of the level, of what is averaged at once


class Level(NamedTuple):
    """One resolution of a slide.

    Attributes:
        width: in pixels.
        height: in pixels.
        downsample: pixels of level 0 along x and y that one pixel covers.
    """

    width: int
    height: int
    downsample: tuple[float, float]


class Slide:
    """A slide of any format, open.

    It may be used by several threads at once, pickled (by its path) and taken into
    another process, where the file is opened anew.

    Args:
        path: of the file; for OME-Zarr of the folder (or a URL such as
            ``gs://bucket/slide.zarr``), for DICOM of any file of the slide or of the
            folder that holds it alone.
        spacing: micrometres per pixel of level 0, for files that do not say.

    Raises:
        InputError: naming the path, for what is no slide or a damaged one.
        MissingExtraError: where no library for it is installed.

    Attributes:
        path: as given.
        levels: the finest first.
        spacing: micrometres per pixel of level 0 along x and y; None where unknown.
    """

    def __init__(self, path: str | Path, *, spacing: float | None = None):
        self.path, self._given = path, spacing
        if spacing is not None and not (math.isfinite(spacing) and spacing > 0):
            raise InputError("spacing", "micrometres per pixel", spacing)
        reader = open_reader(path)
        self._opened = (os.getpid(), reader)
        self._inherited: list[Reader] = []
        sizes = [(int(w), int(h)) for w, h in reader.sizes]
        if not sizes or min(min(size) for size in sizes) < 1:
            raise InputError(path, "a slide with levels of pixels", "an empty one")
        self.levels = tuple(Level(*size, _downsample(sizes[0], size)) for size in sizes)
        self.spacing = reader.spacing or (None if spacing is None else (spacing, spacing))

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self):
        return _reopened, (self.path, self._given)

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        pid, reader = self._opened
        self._opened = (pid, None)
        if reader is not None:
            reader.close()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """A region of one level.

        Args:
            level: index in ``levels``.
            x: of the region's left edge, in pixels of that level; may be negative.
            y: of its upper edge.
            width: in pixels of that level.
            height: as well.

        Returns:
            uint8 ``(height, width, 3)``: red, green, blue; white outside the slide and
            where the scanner left a gap.

        Raises:
            InputError: for no such level, an empty region or one of more than 1 GiB,
                and, naming the path, for what cannot be decoded.
        """
        if not 0 <= level < len(self.levels):
            raise InputError("level", f"0 to {len(self.levels) - 1} for {self.path}", level)
        if min(width, height) < 1 or width * height * 3 > LARGEST:
            got = f"{width} x {height} pixels"
            raise InputError("region", "one of 1 pixel to 1 GiB", got)
        reader = self._here()
        size = self.levels[level]
        left, right = max(x, 0), min(x + width, size.width)
        top, bottom = max(y, 0), min(y + height, size.height)
        if (left, top, right, bottom) == (x, y, x + width, y + height):
            with whole(self.path):
                return reader.read(level, x, y, width, height)
        out = np.full((height, width, 3), 255, np.uint8)
        if left < right and top < bottom:
            with whole(self.path):
                part = reader.read(level, left, top, right - left, bottom - top)
            out[top - y : bottom - y, left - x : right - x] = part
        return out

    def read_scaled(
        self, downsample: tuple[float, float], x: float, y: float, width: int, height: int
    ) -> np.ndarray:
        """A region at any resolution, averaged over each pixel's area.

        It is made from the coarsest level that is as fine. Where a level has that very
        resolution, its pixels come as they are, from the nearest whole position.

        Args:
            downsample: pixels of level 0 along x and y that one pixel of the result covers.
            x: of the region's left edge, in pixels of level 0.
            y: of its upper edge.
            width: in pixels of the result.
            height: as well.

        Returns:
            uint8 ``(height, width, 3)``, white outside the slide.

        Raises:
            InputError: as `read`, and for a resolution finer than level 0.
        """
        level = self._level(downsample)
        scale = self.levels[level].downsample
        factors = (downsample[0] / scale[0], downsample[1] / scale[1])
        left, top = x / scale[0], y / scale[1]
        if max(abs(f - 1) for f in factors) < 1e-6:
            return self.read(level, round(left), round(top), width, height)
        out = np.empty((height, width, 3), np.uint8)
        step_x, step_y = (max(1, int(_BLOCK / f)) for f in factors)
        for i in range(0, height, step_y):
            rows = min(step_y, height - i)
            y0, wy = _aligned(top + i * factors[1], factors[1], rows)
            for j in range(0, width, step_x):
                columns = min(step_x, width - j)
                x0, wx = _aligned(left + j * factors[0], factors[0], columns)
                block = self.read(level, x0, y0, wx.shape[1], wy.shape[1])
                out[i : i + rows, j : j + columns] = average(block, wy, wx)
        return out

    def stored_tissue(self) -> tuple[np.ndarray, tuple[float, float]] | None:
        """The tissue mask stored with a prepared slide, and its downsample.

        Returns:
            bool ``(y, x)`` and pixels of level 0 along x and y that one of it covers; None
            for other slides.

        Raises:
            InputError: naming the path, for a mask that cannot be read.
        """
        with whole(self.path):
            return self._here().tissue()

    def thumbnail(self, size: int) -> np.ndarray:
        """The whole slide, uint8 ``(y, x, 3)``, its longer edge ``size`` pixels or its own."""
        if size < 1:
            raise InputError("size", "a positive number of pixels", size)
        width, height, _ = self.levels[0]
        factor = max(width, height) / min(size, max(width, height))
        columns, rows = max(1, round(width / factor)), max(1, round(height / factor))
        return self.read_scaled((width / columns, height / rows), 0, 0, columns, rows)

    def downsample(self, spacing: float) -> tuple[float, float]:
        """Pixels of level 0 along x and y in ``spacing`` micrometres.

        A level within 1 % of that spacing is taken to have it, so that its pixels can be
        used as they are.

        Raises:
            InputError: where the slide's own spacing is unknown, or coarser.
        """
        if self.spacing is None:
            got = "a file that does not say; give spacing="
            raise InputError(self.path, "micrometres per pixel", got)
        if not (math.isfinite(spacing) and spacing > 0):
            raise InputError("spacing", "micrometres per pixel", spacing)
        wanted = (spacing / self.spacing[0], spacing / self.spacing[1])
        for level in self.levels:
            if all(abs(d / w - 1) < 0.01 for d, w in zip(level.downsample, wanted, strict=True)):
                return level.downsample
        if min(wanted) < 1:
            got = f"{max(self.spacing):.4g} at its finest level"
            raise InputError(self.path, f"{spacing:g} micrometres per pixel", got)
        return wanted

    def _level(self, downsample: tuple[float, float]) -> int:
        """The coarsest level that is as fine."""
        if not min(downsample) > 1 - 1e-6:
            raise InputError("downsample", "numbers of at least 1", downsample)
        x, y = (d * (1 + 1e-6) for d in downsample)
        fine = [
            i for i, n in enumerate(self.levels) if n.downsample[0] <= x and n.downsample[1] <= y
        ]
        return max(fine, key=lambda i: self.levels[i].downsample)

    def _here(self) -> Reader:
        """The reader of this process."""
        pid, reader = self._opened
        if reader is None:
            raise InputError(self.path, "an open slide", "a closed one")
        if pid != os.getpid():
            # Kept, as to close what a forking parent has opened could disturb its libraries.
            self._inherited.append(reader)
            reader = open_reader(self.path)
            self._opened = (os.getpid(), reader)
        return reader


def open_slide(path: str | Path, *, spacing: float | None = None) -> Slide:
    """Open a slide of any format: see `Slide`."""
    return Slide(path, spacing=spacing)


def _reopened(path: str | Path, spacing: float | None) -> Slide:
    return Slide(path, spacing=spacing)


def _aligned(start: float, factor: float, count: int):
    """The first whole pixel of a stretch that begins at ``start``, and its `overlaps`."""
    first = math.floor(start + 1e-6)
    inside = max(start - first, 0.0)
    size = math.ceil(inside + count * factor - 1e-6)
    return first, overlaps(inside, factor, count, size)


def _downsample(finest: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The ratio of sizes, or the whole number that was rounded to them."""
    ratios = (finest[0] / size[0], finest[1] / size[1])
    whole = max(1, round(math.sqrt(ratios[0] * ratios[1])))
    near = (abs(big / whole - small) < 1 for big, small in zip(finest, size, strict=True))
    return (float(whole), float(whole)) if all(near) else ratios
