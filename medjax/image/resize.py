"""Images on finer and coarser grids of the same extent."""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from medjax.core.arrays import at_least_single
from medjax.core.errors import InputError
from medjax.core.types import Array, Float

Interpolation = Literal["linear", "cubic", "lanczos3", "lanczos5"]


def resized(
    x: Float[Array, "batch *spatial channel"],
    sizes: tuple[int, ...],
    method: Interpolation = "cubic",
) -> Float[Array, "batch *sizes channel"]:
    """An image interpolated on another number of voxels, which cover the same extent.

    The classical baseline of super-resolution is the method "cubic": convolution with the
    kernel of Keys 1981 (doi:10.1109/TASSP.1981.1163711, a = -1/2). Where an axis becomes
    shorter the kernel is as much wider, against aliasing, as MATLAB's ``imresize`` has it, by
    which the field makes its low-resolution images. At the border weights are taken of what
    voxels there are, and sum to one; MATLAB mirrors the image.

    Args:
        x: ``(batch, *spatial, channel)`` of any rank.
        sizes: of the spatial axes of the result.
        method: of interpolation.

    Returns:
        float32 (or wider) of the new sizes.

    Raises:
        InputError: for another method, sizes below 1 or another number of them.
    """
    if method not in get_args(Interpolation):
        raise InputError("method", f"one of {', '.join(get_args(Interpolation))}", repr(method))
    if len(sizes) != x.ndim - 2 or min(sizes, default=0) < 1:
        raise InputError("sizes", f"{x.ndim - 2} positive numbers", sizes)
    shape = (x.shape[0], *sizes, x.shape[-1])
    x = at_least_single(x)
    return x if shape == x.shape else jax.image.resize(x, shape, method, precision="highest")


def enlarged(
    x: Float[Array, "batch *spatial channel"],
    scale: tuple[int, ...],
    method: Interpolation = "cubic",
) -> Float[Array, "batch *larger channel"]:
    """`resized` to ``scale`` times as many voxels along each axis."""
    if len(scale) != x.ndim - 2:
        raise InputError("scale", f"{x.ndim - 2} numbers", scale)
    return resized(x, tuple(n * s for n, s in zip(x.shape[1:-1], scale, strict=True)), method)


def gradient_magnitude(x: Float[Array, "batch *spatial channel"]) -> Float[Array, "..."]:
    """How steep an image is at each voxel: the norm of its central differences.

    The border voxel is repeated. The root's slope at a flat place is taken as zero.

    Args:
        x: ``(batch, *spatial, channel)``.

    Returns:
        An image of the same shape; each channel has its own.
    """
    total = jnp.zeros_like(x)
    for axis in range(1, x.ndim - 1):
        edges = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
        wide = jnp.pad(x, edges, mode="edge")
        n = x.shape[axis]
        after = jax.lax.slice_in_dim(wide, 2, n + 2, axis=axis)
        total = total + ((after - jax.lax.slice_in_dim(wide, 0, n, axis=axis)) / 2) ** 2
    safe = jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, jnp.sqrt(safe), 0)
