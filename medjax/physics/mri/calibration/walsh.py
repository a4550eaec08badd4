"""Walsh's adaptive combination: sensitivities from local covariances of coil images."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Complex

from .eigen import largest, principal, turned
from .patches import per_axis, require_coils


def walsh(
    images: Array, *, block: int | Sequence[int] = 7, steps: int = 10, ndim: int = 2
) -> Complex[Array, "..."]:
    """Sensitivities as principal components of the coils' covariance around each pixel.

    The stochastic matched filter of Walsh et al. 2000, Magn Reson Med 43:682, for
    white noise; whiten the data first where it is not (`whitening`).
    ``sum(conj(maps) * images)`` over the coils is the adaptive combination, which
    has the phase of the first virtual coil of the whole image. Blocks are cut off
    at the borders. The covariances at all pixels are in memory at once.

    Args:
        images: complex, ``(*batch, coil, *spatial)``; as a rule of low resolution,
            such as those of the centre of k-space.
        block: size of the neighbourhood along each axis, or one for all; odd.
        steps: of the power iteration.
        ndim: number of spatial axes.

    Returns:
        Maps of the shape of ``images``, of unit norm over the coils; zero where a
        whole neighbourhood is exactly zero.

    Raises:
        InputError: for real images or ones without a coil axis, or an even block.
    """
    require_coils(images, ndim, "walsh")
    blocks = per_axis(block, ndim, "block")
    if any(b % 2 == 0 for b in blocks):
        raise InputError("block", "odd sizes", blocks)
    one = functools.partial(_walsh, blocks=blocks, steps=steps)
    flat = images.reshape(-1, *images.shape[-ndim - 1 :])
    return jax.lax.map(one, flat).reshape(images.shape)


@functools.partial(jax.jit, static_argnames=("blocks", "steps"))
def _walsh(images: Array, *, blocks: tuple[int, ...], steps: int) -> Array:
    coils, *spatial = images.shape
    covariance = images[:, None] * jnp.conj(images)[None]
    for axis, (n, b) in enumerate(zip(spatial, blocks, strict=True), start=2):
        padding = [(0, 0)] * covariance.ndim
        padding[axis] = (b // 2, b // 2)
        padded = jnp.pad(covariance, padding)
        covariance = sum(jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i in range(b))
    maps, _ = largest(covariance.reshape(coils, coils, -1), 1, steps)
    return turned(maps, principal(images))[0].reshape(images.shape)
