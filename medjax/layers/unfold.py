"""The neighbourhood of each voxel as its channels."""

from __future__ import annotations

import itertools

import jax.numpy as jnp

from medjax.core.types import Array, Float

from .conv import Size, per_axis


def unfolded(
    x: Float[Array, "batch *spatial channel"], window: Size = 3
) -> Float[Array, "batch *spatial values"]:
    """The window about each voxel, its values in the order ``(*window, channel)``.

    Args:
        x: image; beyond its border there are zeros.
        window: odd size along each axis.
    """
    window = per_axis(window, x.ndim - 2, "window")
    sizes = x.shape[1:-1]
    x = jnp.pad(x, [(0, 0), *((w // 2, w // 2) for w in window), (0, 0)])
    starts = itertools.product(*map(range, window))
    parts = [
        x[:, *(slice(i, i + n) for i, n in zip(start, sizes, strict=True))] for start in starts
    ]
    return jnp.concatenate(parts, axis=-1)
