"""Sources that read a prepared store: volumes, patches, slices, series and pairs.

Samples are dicts of NumPy arrays with channels last. All have ``groups``, the subjects,
and can be pickled; none imports JAX.
"""

from .base import FromStore
from .pairs import Described, Pairs
from .patches import GridPatches, Patches
from .series import Series
from .slices import Slices
from .volumes import Volumes

__all__ = [
    "Described",
    "FromStore",
    "GridPatches",
    "Pairs",
    "Patches",
    "Series",
    "Slices",
    "Volumes",
]
