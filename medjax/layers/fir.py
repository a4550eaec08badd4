"""Filtering with few taps along each axis, and enlarging and reducing with it."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Float

TAPS = (1.0, 3.0, 3.0, 1.0)
"""A binomial filter: what StyleGAN2 has (Karras et al. 2020, arXiv:1912.04958, appendix B)."""


def filtered(
    x: Float[Array, "batch *spatial channel"],
    taps: Sequence[float] = TAPS,
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Float[Array, "batch *resampled channel"]:
    """Put ``up - 1`` zeros after each value, pad with zeros, convolve, keep every ``down``-th.

    Along each spatial axis alike. The taps are divided by their sum and multiplied by ``up``,
    so that a constant stays one.

    Args:
        x: image with any number of spatial axes.
        taps: of the filter, one at least; not mirrored, this is a convolution.
        up: factor of enlargement.
        down: factor of reduction.
        padding: zeros before and after each axis, counted after enlargement; negative crops.

    Returns:
        ``(size * up + sum(padding) - len(taps)) // down + 1`` an axis, in the dtype of ``x``.

    Raises:
        InputError: for factors below 1, taps whose sum is 0, and an image smaller than the taps.

    Sums of shifted slices: XLA makes one loop of them, on CPU too, where its convolutions in
    groups are slow.
    """
    if min(up, down) < 1:
        raise InputError("up, down", "numbers of at least 1", (up, down))
    if not taps or not sum(taps):
        raise InputError("taps", "at least one, with a sum that is not 0", taps)
    weights = [tap * up / sum(taps) for tap in reversed(taps)]
    for axis in range(1, x.ndim - 1):
        edges = [(0, 0, 0)] * x.ndim
        edges[axis] = (padding[0], padding[1] + up - 1, up - 1)
        wide = jax.lax.pad(x, jnp.zeros((), x.dtype), edges)
        outputs = (wide.shape[axis] - len(weights)) // down + 1
        if outputs < 1:
            raise InputError("filtered", f"sizes of {len(weights)} at least", x.shape[1:-1])
        reach = (outputs - 1) * down + 1
        parts = (
            weight * jax.lax.slice_in_dim(wide, i, i + reach, down, axis)
            for i, weight in enumerate(weights)
        )
        x = sum(parts)
    return x


def upsample(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS, factor: int = 2
) -> Float[Array, "batch *larger channel"]:
    """Enlarge each spatial axis ``factor`` times, smoothly; arguments as for `filtered`."""
    count = len(taps)
    edges = ((count + factor - 1) // 2, (count - factor) // 2)
    return filtered(x, taps, up=factor, padding=edges)


def downsample(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS, factor: int = 2
) -> Float[Array, "batch *smaller channel"]:
    """Reduce each spatial axis ``factor`` times without aliasing; arguments as for `filtered`."""
    count = len(taps)
    edges = ((count - factor + 1) // 2, (count - factor) // 2)
    return filtered(x, taps, down=factor, padding=edges)


def blur(
    x: Float[Array, "batch *spatial channel"], taps: Sequence[float] = TAPS
) -> Float[Array, "batch *spatial channel"]:
    """Filter an image and keep its size; an even number of taps moves it by half a voxel."""
    count = len(taps)
    return filtered(x, taps, padding=(count // 2, (count - 1) // 2))
