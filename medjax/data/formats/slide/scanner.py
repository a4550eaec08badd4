"""Slides as scanners write them, by OpenSlide (Goode et al. 2013, J Pathol Inform 4:27).

The one file that imports it. DICOM is read too, tiled fully or sparsely.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

COARSEST = 25.0
"""Micrometres per pixel beyond which a resolution is that of a screen or printer."""


class Scanned:
    """A `Reader` by OpenSlide.

    Levels below the first are addressed in pixels of level 0, in whole numbers. Where the
    downsample is no whole number, a region may so lie a fraction of a pixel off, at most
    half a pixel of level 0, and is interpolated.
    """

    def __init__(self, path: Path):
        self._slide = _openslide().OpenSlide(path)
        self.sizes = self._slide.level_dimensions
        self.spacing = plausible(
            *(self._slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy")
        )

    def read(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        scale = self._slide.level_downsamples[level]
        place = (round(x * scale), round(y * scale))
        colours = np.asarray(self._slide.read_region(place, level, (width, height)))
        image, alpha = np.ascontiguousarray(colours[..., :3]), colours[..., 3:]
        if alpha.min() == 255:
            return image
        weight = alpha.astype(np.uint32)
        return ((image * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)

    def tissue(self) -> None:
        return None

    def close(self) -> None:
        self._slide.close()


def plausible(x: Any, y: Any) -> tuple[float, float] | None:
    """Micrometres per pixel along x and y, if they are a microscope's."""
    try:
        found = (float(x), float(y))
    except (TypeError, ValueError):
        return None
    return found if all(math.isfinite(f) and 0 < f < COARSEST for f in found) else None


def installed() -> bool:
    try:
        _openslide()
    except (ImportError, OSError):  # the latter: the library itself is missing
        return False
    return True


def vendor(path: Path) -> str | None:
    """Which of OpenSlide's formats a file has."""
    return _openslide().OpenSlide.detect_format(path)


def _openslide() -> Any:
    import openslide

    return openslide
