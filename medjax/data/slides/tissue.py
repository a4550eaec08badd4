"""Where on a slide tissue is.

Glass is grey, stained tissue is not: Otsu's threshold (1979, IEEE Trans Syst Man Cybern
9:62-66) on the saturation of a small picture, smoothed by a median, closed, and rid of
small parts and holes, as in CLAM (Lu et al. 2021, Nat Biomed Eng 5:555-570). What differs:
the small picture is an average rather than a sample; the threshold is kept between bounds,
so that an empty slide has no tissue and a full one no glass; ink and black borders are
left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from medjax.data.formats.slide import Slide

SPACING = 8.0
"""Micrometres per pixel of a mask."""

_UNKNOWN = 32.0  # pixels of level 0 in one of a mask, where the slide's spacing is unknown
_SMALLEST = 100.0  # edge in micrometres of the square that parts and holes must exceed
_BOUNDS = (13, 51)  # of the threshold: glass of most scanners is below, stained tissue above
_BLACK = 60  # the brightest colour of what no light came through
_INK = 20  # by which green exceeds red in green and blue ink
_STRIP = 256  # rows of the mask at a time


class Tissue(NamedTuple):
    """A mask of tissue and where it lies.

    Attributes:
        mask: bool ``(y, x)``; it begins where the slide does.
        downsample: pixels of level 0 along x and y that one pixel of it covers.
    """

    mask: np.ndarray
    downsample: tuple[float, float]

    def fractions(self, x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
        """How much of each rectangle of a grid is tissue.

        Args:
            x: left edges ``(columns,)``, in pixels of level 0.
            y: upper edges ``(rows,)``.
            width: of all rectangles, in pixels of level 0.
            height: of all as well.

        Returns:
            float64 ``(rows, columns)``; what lies outside the mask is no tissue.
        """
        rows = _sums(self.mask, y / self.downsample[1], height / self.downsample[1])
        both = _sums(rows.T, x / self.downsample[0], width / self.downsample[0]).T
        return both / (width * height / math.prod(self.downsample))


def tissue_mask(slide: Slide, spacing: float | None = None) -> np.ndarray:
    """The mask of `find_tissue`, bool ``(y, x)``."""
    return find_tissue(slide, spacing).mask


def find_tissue(slide: Slide, spacing: float | None = None) -> Tissue:
    """Find tissue, in memory bounded by the mask.

    Parts and holes of less than 100 micrometres squared are left out and filled. Ink is
    known by red being weaker than green, which no common stain does (hematoxylin, eosin
    and DAB absorb green or blue most: Ruifrok & Johnston 2001, Anal Quant Cytol Histol
    23:291-299); red ink cannot be told from blood by its colour and stays.

    Args:
        slide: open.
        spacing: micrometres per pixel of the mask; None for the mask stored with a prepared
            slide, else 8, or 32 pixels of level 0 (as though these were of 0.25
            micrometres) where the slide's spacing is unknown.

    Returns:
        The mask; its last row and column may reach beyond the slide.

    Raises:
        InputError: for a spacing given for a slide whose own is unknown or coarser, and
            naming the path, for what cannot be read.
    """
    if spacing is None and (stored := slide.stored_tissue()) is not None:
        return Tissue(*stored)
    if spacing is None and slide.spacing is None:
        downsample, area = (_UNKNOWN, _UNKNOWN), (_SMALLEST / SPACING) ** 2
    else:
        downsample = slide.downsample(spacing or max(SPACING, *slide.spacing))
        sides = [d * s for d, s in zip(downsample, slide.spacing, strict=True)]
        area = _SMALLEST**2 / math.prod(sides)
    saturation, dark = _saturation(slide, downsample)
    saturation = ndimage.median_filter(saturation, 3)
    histogram = np.bincount(saturation[~dark], minlength=256)
    mask = (saturation > np.clip(otsu(histogram), *_BOUNDS)) & ~dark
    mask = np.pad(mask, 2, mode="edge")
    mask = ndimage.binary_closing(mask, np.ones((3, 3), bool), iterations=2)[2:-2, 2:-2]
    mask = ~_large(~_large(mask, area), area)
    return Tissue(mask & ~dark, downsample)


def otsu(histogram: np.ndarray) -> int:
    """The last bin of the darker of two classes with the largest variance between them."""
    counts = histogram.astype(np.float64)
    weight = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(len(counts)))
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums * weight[-1] - sums[-1] * weight) ** 2 / (weight * rest)
    return int(np.argmax(np.nan_to_num(between, nan=0.0, posinf=0.0)))


def _saturation(slide: Slide, downsample: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Saturation, uint8 ``(y, x)``, and where ink or black is, with a margin."""
    width, height, _ = slide.levels[0]
    columns, rows = math.ceil(width / downsample[0]), math.ceil(height / downsample[1])
    saturation, dark = np.empty((rows, columns), np.uint8), np.empty((rows, columns), bool)
    for i in range(0, rows, _STRIP):
        count = min(_STRIP, rows - i)
        strip = slide.read_scaled(downsample, 0, i * downsample[1], columns, count)
        high = strip.max(axis=2)
        span = (high - strip.min(axis=2)).astype(np.uint16)
        saturation[i : i + count] = span * 255 // np.maximum(high, 1)
        ink = strip[..., 0].astype(np.int16) + _INK < strip[..., 1]
        dark[i : i + count] = ink | (high < _BLACK)
    return saturation, ndimage.binary_dilation(dark, iterations=2)


def _large(mask: np.ndarray, area: float) -> np.ndarray:
    """The connected parts of at least ``area`` pixels."""
    parts, _ = ndimage.label(mask)
    keep = np.bincount(parts.ravel()) >= area
    keep[0] = False
    return keep[parts]


def _sums(array: np.ndarray, starts: np.ndarray, length: float) -> np.ndarray:
    """Sums over stretches of the first axis, with parts of entries at their ends."""
    total = np.zeros((len(array) + 1, array.shape[1]))
    np.cumsum(array, axis=0, dtype=np.float64, out=total[1:])

    def until(at: np.ndarray) -> np.ndarray:
        at = np.clip(at, 0, len(array))
        whole = np.minimum(at.astype(int), len(array) - 1)
        part = (at - whole)[:, None]
        return total[whole] * (1 - part) + total[whole + 1] * part

    return until(starts + length) - until(starts)
