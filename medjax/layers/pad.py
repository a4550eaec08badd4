"""To sizes that a network can halve, and back."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp

from medjax.core.types import Array


def padded(x: Array, multiples: Sequence[int]) -> tuple[Array, list[int]]:
    """An image reflected evenly at both ends of each axis to a multiple.

    Args:
        x: ``(batch, *spatial, channel)``.
        multiples: one for each spatial axis.

    Returns:
        The image, and how much stands before each axis.
    """
    padding = [-n % m for n, m in zip(x.shape[1:-1], multiples, strict=True)]
    before = [p // 2 for p in padding]
    if any(padding):
        edges = [(low, p - low) for low, p in zip(before, padding, strict=True)]
        x = jnp.pad(x, [(0, 0), *edges, (0, 0)], mode="reflect")
    return x, before


def cropped(x: Array, before: Sequence[int], sizes: Sequence[int]) -> Array:
    """What stood in the middle before `padded`: ``sizes`` voxels from ``before`` on each axis."""
    return x[:, *(slice(low, low + n) for low, n in zip(before, sizes, strict=True))]
