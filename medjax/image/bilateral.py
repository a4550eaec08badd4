"""The bilateral filter, guided by the image itself or by another one."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .neighbours import extended, offsets, shifted, summed


@functools.partial(jax.jit, static_argnames=("radius", "ndim"))
def bilateral(
    x: Float[Array, "..."],
    spread: float | Array,
    sigma: float | Array = 1.0,
    *,
    guide: Float[Array, "..."] | None = None,
    radius: int = 3,
    ndim: int = 2,
) -> Float[Array, "..."]:
    """Average over neighbours that are near in place and alike in value.

    Tomasi and Manduchi (1998), ICCV, 839: weights ``exp(-distance^2 / 2 sigma^2) exp(-difference^2
    / 2 spread^2)``. With a guide the differences are of the guide's values: the cross (or joint)
    bilateral filter of Petschnigg et al. and of Eisemann and Durand (2004), ACM Trans Graph
    23:664 and 673. An image of the same anatomy with less noise, without motion, or of another
    contrast says where the edges are; edges that it lacks are blurred, and such that it alone
    has leave no trace. Beyond the border the nearest voxel is repeated.

    Args:
        x: real, ``(..., *spatial)``.
        spread: standard deviation of values that count as alike, in units of the guide; one
            number.
        sigma: standard deviation in voxels.
        guide: of the shape of ``x``; the image itself by default.
        radius: neighbours on either side along each axis.
        ndim: number of trailing spatial axes.

    Returns:
        An image of the shape and dtype of ``x``.

    Raises:
        InputError: for a radius below 0, or a guide of another shape.
    """
    if radius < 0:
        raise InputError("radius", "at least 0", radius)
    guide = x if guide is None else guide
    if guide.shape != x.shape:
        raise InputError("guide", f"an image of shape {x.shape}", guide.shape)
    wide, wide_guide = (extended(a, radius, ndim, "edge") for a in (x, guide))
    spread, sigma = jnp.asarray(spread, guide.dtype), jnp.asarray(sigma, x.dtype)

    def term(offset: Array) -> tuple[Array, Array]:
        difference = (shifted(wide_guide, offset, radius, ndim) - guide) / spread
        distance = jnp.sum(offset.astype(x.dtype) ** 2) / sigma**2
        weight = jnp.exp(-0.5 * (difference**2).astype(x.dtype)) * jnp.exp(-0.5 * distance)
        return weight * shifted(wide, offset, radius, ndim), weight

    # The voxel itself has the weight one.
    total, weights = summed(term, offsets(radius, ndim))
    return total / weights
