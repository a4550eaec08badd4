"""Whole slides: pyramids of 8-bit colour, read by the region at any level.

What scanners write (SVS, NDPI, MRXS, SCN, BIF, DICOM and others) is read by OpenSlide,
tiled TIFF and OME-TIFF by tifffile (both by the extra ``slide``), OME-Zarr, which
`medjax.data.slides.prepare_slide` writes, by TensorStore.
"""

from __future__ import annotations

from .image import header, read
from .slide import Level, Slide, open_slide

__all__ = ["Level", "Slide", "header", "open_slide", "read"]
