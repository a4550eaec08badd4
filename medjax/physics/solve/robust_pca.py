"""Robust principal components: a matrix as low rank plus sparse."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Inexact

from .low_rank import nuclear_norm_prox
from .proximal import soft_threshold


@functools.partial(jax.jit, static_argnames=("max_steps", "tolerance", "growth", "ndim"))
def robust_pca(
    x: Inexact[Array, "..."],
    weight: float | Array | None = None,
    *,
    max_steps: int = 100,
    tolerance: float = 1e-4,
    growth: float = 1.5,
    ndim: int = 2,
) -> tuple[Inexact[Array, "..."], Inexact[Array, "..."]]:
    """Split a series into what stays, of low rank, and what moves, sparse: ``x = L + S``.

    Principal component pursuit, ``min |L|_* + weight |S|_1`` (Candes et al. 2011, J ACM 58:11),
    by the inexact augmented Lagrange multipliers of Lin, Chen and Ma (2010, arXiv:1009.5055,
    algorithm 5). A control for motion: frames of one position are of low rank, and what moves
    between them is not. `medjax.physics.reconstruct.low_rank_sparse` is the like of it for scans
    that are undersampled.

    Args:
        x: real or complex, ``(*batch, frame, *spatial)``.
        weight: of what is sparse; ``1 / sqrt(max(frames, voxels))`` by default, as in the
            papers.
        max_steps: an upper bound on the number of steps.
        tolerance: steps end where all samples have ``|x - L - S| <= tolerance |x|``.
        growth: by which the penalty grows in each step.
        ndim: number of spatial axes.

    Returns:
        ``L`` and ``S``, of the shape and dtype of ``x``.

    Raises:
        InputError: for an array without an axis of frames, or ``growth`` below 1.
    """
    if x.ndim <= ndim:
        raise InputError("x", f"an axis of frames and {ndim} spatial ones", x.shape)
    if growth < 1:
        raise InputError("growth", "at least 1", growth)
    problem, real = ndim + 1, jnp.finfo(x.dtype).dtype
    axes = tuple(range(x.ndim - problem, x.ndim))
    frames = x.shape[-problem]
    voxels = math.prod(x.shape[x.ndim - ndim :])
    if weight is None:
        weight = max(frames, voxels) ** -0.5
    weight = jnp.asarray(weight, real)
    casorati = x.reshape(*x.shape[:-problem], frames, -1)
    gram = jnp.matmul(casorati, jnp.conj(jnp.swapaxes(casorati, -1, -2)), precision="highest")
    greatest = jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[..., -1], 0))
    greatest = per_sample(jnp.where(greatest > 0, greatest, 1), x.ndim)
    peak = jnp.max(jnp.abs(x), axis=axes, keepdims=True)
    dual = x / jnp.maximum(greatest, peak / weight).astype(x.dtype)
    size = jnp.linalg.norm(casorati, axis=(-2, -1))

    def going(carry: tuple) -> Array:
        step, residual = carry[0], carry[-1]
        return (step < max_steps) & jnp.any(residual > tolerance * size)

    def body(carry: tuple) -> tuple:
        step, low, sparse, dual, mu, _ = carry
        shift = dual / mu.astype(x.dtype)
        low = nuclear_norm_prox(x - sparse + shift, 1 / mu, ndim=ndim)
        sparse = soft_threshold(x - low + shift, weight / mu)
        left = x - low - sparse
        dual = dual + mu.astype(x.dtype) * left
        residual = jnp.linalg.norm(left.reshape(casorati.shape), axis=(-2, -1))
        return step + 1, low, sparse, dual, jnp.minimum(mu * growth, last), residual

    zero, first = jnp.zeros_like(x), 1.25 / greatest
    last = 1e7 * first  # as the authors' code has it
    start = (jnp.zeros((), jnp.int32), zero, zero, dual, first, size)
    _, low, sparse, *_ = jax.lax.while_loop(going, body, start)
    return low, sparse
