"""Outlines drawn by a pathologist, as pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medjax.core.errors import InputError

Outlines = Mapping[int, Sequence[np.ndarray]]
"""Label to polygons ``(n, 2)`` of x and y in pixels of level 0, those drawn last on top."""


def require_outlines(what: object, outlines: Mapping | Sequence) -> Outlines:
    """Outlines as float64 with their labels; polygons without a label have 1.

    Raises:
        InputError: naming ``what``, for other labels than 0 to 255, or what is no polygon.
    """
    labelled = outlines if isinstance(outlines, Mapping) else {1: outlines}
    found = {}
    for label, polygons in labelled.items():
        if not 0 <= label <= 255:
            raise InputError(what, "labels 0 to 255", label)
        found[int(label)] = [np.asarray(p, np.float64) for p in polygons]
        for p in found[int(label)]:
            if p.ndim != 2 or p.shape[1] != 2 or len(p) < 3 or not np.isfinite(p).all():
                raise InputError(what, "polygons (n, 2) of finite numbers", f"shape {p.shape}")
    return found


def draw_outlines(
    outlines: Outlines,
    downsample: tuple[float, float],
    x: float,
    y: float,
    width: int,
    height: int,
) -> np.ndarray:
    """Labels of a region, uint8 ``(height, width)``; arguments as `Slide.read_scaled`'s."""
    out = np.zeros((height, width), np.uint8)
    for label, polygons in outlines.items():
        for polygon in polygons:
            out[inside((polygon - (x, y)) / downsample, width, height)] = label
    return out


def inside(polygon: np.ndarray, width: int, height: int) -> np.ndarray:
    """Which pixels' centres are within a polygon, by the even-odd rule.

    Args:
        polygon: ``(n, 2)`` of x and y; pixel 0 reaches from 0 to 1.
        width: of the region, in pixels.
        height: as well.

    Returns:
        bool ``(height, width)``.
    """
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height:
        return np.zeros((height, width), bool)
    a, b = polygon, np.roll(polygon, -1, axis=0)
    near = (np.minimum(a[:, 1], b[:, 1]) < height) & (np.maximum(a[:, 1], b[:, 1]) > 0)
    a, b = a[near & (a[:, 1] != b[:, 1])], b[near & (a[:, 1] != b[:, 1])]
    centres = np.arange(height)[:, None] + 0.5
    # Half open, so that a corner on a line of centres counts once.
    crossed = (a[:, 1] <= centres) != (b[:, 1] <= centres)
    row, edge = np.nonzero(crossed)
    slope = (b[edge, 0] - a[edge, 0]) / (b[edge, 1] - a[edge, 1])
    at = a[edge, 0] + (centres[row, 0] - a[edge, 1]) * slope
    column = np.clip(np.ceil(at - 0.5), 0, width).astype(int)
    turns = np.zeros((height, width + 1), np.int32)
    np.add.at(turns, (row, column), 1)
    return (np.cumsum(turns, axis=1) % 2 == 1)[:, :width]
