"""From a trained network to a result on a whole image."""

from .reconstruction import Reconstruct
from .segmentation import Segment
from .tiling import tiled

__all__ = ["Reconstruct", "Segment", "tiled"]
