"""Non-local means: average over places whose surroundings are alike."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

from .neighbours import extended, offsets, shifted, summed


@functools.partial(jax.jit, static_argnames=("patch", "search", "ndim"))
def nonlocal_means(
    x: Float[Array, "..."],
    h: float | Array,
    sigma: float | Array = 0.0,
    *,
    patch: int = 2,
    search: int = 5,
    ndim: int = 2,
) -> Float[Array, "..."]:
    """Denoise by weights ``exp(-max(d^2 - 2 sigma^2, 0) / h^2)``.

    Buades, Coll and Morel (2005), Multiscale Model Simul 4:490, where ``d^2`` is the mean square
    of the difference of two patches, from which what noise alone would make of it is taken
    away, as in their IPOL article (2011, doi:10.5201/ipol.2011.bcm_nlm). Patches are flat, those
    at the border are reflected, and only places within the image are averaged. Magnitude
    images of MRI go through `medjax.image.rician.stabilised` before.

    Args:
        x: real, ``(..., *spatial)``.
        h: how far apart patches may be; about 0.8 of the noise's standard deviation where
            ``sigma`` is that, and a little more where it is 0.
        sigma: standard deviation of the noise.
        patch: radius of a patch.
        search: radius of the neighbourhood that is searched.
        ndim: number of trailing spatial axes.

    Returns:
        An image of the shape and dtype of ``x``.

    Raises:
        InputError: for a radius below 0.
    """
    if min(patch, search) < 0:
        raise InputError("patch and search", "at least 0", (patch, search))
    h, sigma = jnp.asarray(h, x.dtype), jnp.asarray(sigma, x.dtype)
    near = extended(x, patch, ndim, "reflect")
    wide = extended(near, search, ndim, "constant")
    inside = extended(jnp.ones(x.shape[x.ndim - ndim :], x.dtype), search, ndim, "constant")
    far = extended(x, search, ndim, "constant")

    def term(offset: Array) -> tuple[Array, Array]:
        squares = (near - shifted(wide, offset, search, ndim)) ** 2
        distance = _means(squares, 2 * patch + 1, ndim)
        weight = jnp.exp(-jnp.maximum(distance - 2 * sigma**2, 0) / h**2)
        weight = weight * _as(shifted(inside, offset, search, ndim), x.ndim)
        return weight * shifted(far, offset, search, ndim), weight

    total, weights = summed(term, offsets(search, ndim))
    return total / weights


def _means(x: Array, window: int, ndim: int) -> Array:
    """Of all windows that lie inside of the image."""
    for axis in range(x.ndim - ndim, x.ndim):
        count = x.shape[axis] - window + 1
        parts = (jax.lax.slice_in_dim(x, i, i + count, axis=axis) for i in range(window))
        x = sum(parts) / window
    return x


def _as(mask: Array, ndim: int) -> Array:
    return mask.reshape((1,) * (ndim - mask.ndim) + mask.shape)
