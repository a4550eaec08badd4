"""A slide as an `Image`, where it is small enough to be held whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medjax.core.errors import InputError
from medjax.data.image import Header, Image

from .slide import LARGEST, Slide, open_slide

COLOURS = ("red", "green", "blue")


def read(path: str | Path, level: int = 0) -> Image:
    """Read one level whole.

    Args:
        path: as `open_slide`'s.
        level: of the slide, 0 the finest.

    Returns:
        uint8 ``(x, y, 3)``, with y downwards. Where the file does not say the size of its
        pixels they are taken to be 1 mm.

    Raises:
        InputError: as `open_slide`'s, for no such level, and, naming the levels, for one
            of more than 1 GiB.
    """
    with open_slide(path) as slide:
        if not 0 <= level < len(slide.levels):
            raise InputError("level", f"0 to {len(slide.levels) - 1} for {path}", level)
        width, height, _ = slide.levels[level]
        if width * height * 3 > LARGEST:
            sizes = ", ".join(f"{i}: {n.width} x {n.height}" for i, n in enumerate(slide.levels))
            raise InputError(path, "a level of at most 1 GiB", f"level {level} of {sizes}")
        array = slide.read(level, 0, 0, width, height).transpose(1, 0, 2)
        return Image(array, _affine(slide, level), COLOURS, "SM")


def header(path: str | Path, level: int = 0) -> Header:
    """What `read` gives, without the pixels; for levels of any size."""
    with open_slide(path) as slide:
        if not 0 <= level < len(slide.levels):
            raise InputError("level", f"0 to {len(slide.levels) - 1} for {path}", level)
        width, height, _ = slide.levels[level]
        shape, dtype = (width, height, 3), np.dtype(np.uint8)
        return Header(shape, dtype, _affine(slide, level), COLOURS, "SM")


def _affine(slide: Slide, level: int) -> np.ndarray:
    """To millimetres in the slide's own plane; voxel 0 of a level covers several of level 0."""
    x, y = slide.levels[level].downsample
    sides = [1.0, 1.0] if slide.spacing is None else [s / 1000 for s in slide.spacing]
    affine = np.diag([sides[0] * x, sides[1] * y, 1.0, 1.0])
    affine[:2, 3] = [(x - 1) / 2 * sides[0], (y - 1) / 2 * sides[1]]
    return affine
