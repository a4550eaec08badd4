"""Blocks of networks, channels last; one class serves 2D and 3D by the rank of its input."""

from .blocks import ConvBlock
from .conv import Conv, ConvTranspose, convolve
from .norm import Norm, normalization
from .pool import average_pool
from .recurrent import ConvGRU

__all__ = [
    "Conv",
    "ConvBlock",
    "ConvGRU",
    "ConvTranspose",
    "Norm",
    "average_pool",
    "convolve",
    "normalization",
]
