"""Smoothing that keeps edges, by weighted least squares."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg

from medjax.core.errors import InputError
from medjax.core.types import Array, Float


def weighted_least_squares(
    x: Float[Array, "batch *spatial channel"],
    strength: float = 1.0,
    *,
    sharpness: float = 1.2,
    flat: float = 1e-2,
    steps: int = 100,
    tolerance: float = 1e-4,
) -> Float[Array, "batch *spatial channel"]:
    """The smooth image near ``x`` that may step where ``x`` does.

    Farbman et al. 2008 (Edge-preserving decompositions for multi-scale tone and detail
    manipulation, doi:10.1145/1360612.1360666, eq. 3 to 5): the minimum of ``(u - x)^2`` plus
    ``strength`` times the squared differences of neighbours, each by the weight
    ``1 / (|difference of x|^sharpness + flat)``. With growing strengths it is a pyramid of
    coarser and coarser images without halos. What differs: any number of axes; differences are
    of the image divided by its range, a channel of a sample at a time, in place of the
    logarithm of luminance, since intensities may be negative; conjugate gradients with the
    diagonal as their preconditioner solve it.

    Args:
        x: image.
        strength: of smoothing, from 0.
        sharpness: how steeply a difference forbids smoothing across it.
        flat: difference below which a place counts as flat, to the power of ``sharpness``.
        steps: of conjugate gradients, at most.
        tolerance: relative residual at which they stop.

    Returns:
        float32 image of the same shape.

    Raises:
        InputError: for a negative strength.
    """
    if strength < 0:
        raise InputError("strength", "a number from 0", strength)

    def one(image: Array) -> Array:
        guide = jax.lax.stop_gradient(image)
        extent = jnp.max(guide) - jnp.min(guide)
        guide = guide / jnp.where(extent > 0, extent, 1)
        axes = range(image.ndim)
        weights = [strength / (jnp.abs(jnp.diff(guide, axis=a)) ** sharpness + flat) for a in axes]

        def normal(u: Array) -> Array:
            flows = (w * jnp.diff(u, axis=a) for a, w in zip(axes, weights, strict=True))
            return u - sum(_divergence(f, a) for a, f in zip(axes, flows, strict=True))

        diagonal = 1 + sum(_neighbours(w, a) for a, w in zip(axes, weights, strict=True))
        solution, _ = cg(
            normal, image, image, tol=tolerance, maxiter=steps, M=lambda r: r / diagonal
        )
        return solution

    channels = jnp.moveaxis(x.astype(jnp.float32), -1, 1)
    return jnp.moveaxis(jax.vmap(jax.vmap(one))(channels), 1, -1)


def _divergence(flow: Array, axis: int) -> Array:
    """What flows out of each voxel less what flows in: minus the transpose of `jnp.diff`."""
    edges = [(1, 1) if a == axis else (0, 0) for a in range(flow.ndim)]
    return jnp.diff(jnp.pad(flow, edges), axis=axis)


def _neighbours(weight: Array, axis: int) -> Array:
    """Sum of the weights on both sides of each voxel."""
    before, after = ([(0, 0)] * weight.ndim for _ in range(2))
    before[axis], after[axis] = (1, 0), (0, 1)
    return jnp.pad(weight, before) + jnp.pad(weight, after)
