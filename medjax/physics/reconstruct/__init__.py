"""Reconstruction without learned parameters: named methods as short compositions.

Weights keep each paper's own form, as the first line of each docstring shows:
`cg_sense` minimises ``|A x - y|^2 + w |x|^2`` on the scale of ``A^H A``; the sparse and
low-rank methods minimise ``|A x - y|^2 / 2`` plus a term whose weight is relative to the
brightest pixel of ``A^H y``, so that it serves any scale of the data.
"""

from .compressed_sensing import SoftCoils, l1_espirit, wavelet_l1
from .denoiser_priors import plug_and_play, red
from .line_filter import line_filter, still_lines
from .low_rank_sparse import low_rank_sparse
from .motion import joint_motion, register_shots
from .sense import cg_sense, sense
from .total_variation import total_variation

__all__ = [
    "SoftCoils",
    "cg_sense",
    "joint_motion",
    "l1_espirit",
    "line_filter",
    "low_rank_sparse",
    "plug_and_play",
    "red",
    "register_shots",
    "sense",
    "still_lines",
    "total_variation",
    "wavelet_l1",
]
