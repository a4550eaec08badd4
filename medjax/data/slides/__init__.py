"""Learning from whole slides: where tissue is, tiles of it, and stores made to be read."""

from __future__ import annotations

from .prepare import Prepared, prepare_slide
from .tiles import Tiles
from .tissue import Tissue, find_tissue, tissue_mask

__all__ = ["Prepared", "Tiles", "Tissue", "find_tissue", "prepare_slide", "tissue_mask"]
