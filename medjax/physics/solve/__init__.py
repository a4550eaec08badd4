"""Inverse problems: solvers for operators, and proximal maps."""

from .admm import admm, least_squares_update
from .cg import conjugate_gradient
from .fista import fista, power_iteration, safe_step
from .fixed_point import differentiate_fixed_point, fixed_point
from .landweber import landweber
from .low_rank import local_low_rank_prox, nuclear_norm_prox
from .lsqr import lsqr
from .pdhg import pdhg
from .pogm import pogm
from .proximal import (
    box,
    conjugate_prox,
    group_soft_threshold,
    simplex,
    soft_threshold,
    squared_l2,
)
from .robust_pca import robust_pca
from .total_variation import dual_ball, total_variation_prox
from .wavelet_shrinkage import wavelet_prox

__all__ = [
    "admm",
    "box",
    "conjugate_gradient",
    "conjugate_prox",
    "differentiate_fixed_point",
    "dual_ball",
    "fista",
    "fixed_point",
    "group_soft_threshold",
    "landweber",
    "least_squares_update",
    "local_low_rank_prox",
    "lsqr",
    "nuclear_norm_prox",
    "pdhg",
    "pogm",
    "power_iteration",
    "robust_pca",
    "safe_step",
    "simplex",
    "soft_threshold",
    "squared_l2",
    "total_variation_prox",
    "wavelet_prox",
]
