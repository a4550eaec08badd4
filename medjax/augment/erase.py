"""Augmentation that takes parts of the image away."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float, Key

from .compose import Transform
from .entries import IMAGE, Entries, on_images


def cutout(
    size: float | tuple[float, float],
    *,
    holes: int = 1,
    fill: float = 0.0,
    entries: Entries = IMAGE,
) -> Transform:
    """Fill boxes at random places with a constant; labels stay.

    Cutout (DeVries & Taylor 2017, Improved regularization of convolutional neural
    networks with cutout) is one large hole, coarse dropout many small ones. As in that
    paper a hole's centre lies anywhere in the image, so that a part of it may lie outside.

    Args:
        size: the holes' sides in parts of the image's, or the least and the largest of
            what is drawn for each side of each hole.
        holes: how many a sample.
        fill: the value in the holes.
        entries: of which the images change; all channels together unless independent.

    Raises:
        InputError: for sizes outside (0, 1] or fewer than one hole.
    """
    ends = (size, size) if isinstance(size, int | float) else size
    if not 0 < ends[0] <= ends[1] <= 1:
        raise InputError("size", "parts of the image, above 0 and at most 1", size)
    if holes < 1:
        raise InputError("holes", "at least 1", holes)

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        hole = boxes(key, tuple(x.shape[a] for a in axes), ends, holes)
        sizes = [x.shape[a] if a - x.ndim in axes else 1 for a in range(x.ndim)]
        return jnp.where(hole.reshape(sizes), jnp.asarray(fill, x.dtype), x)

    return on_images(rule, entries)


def boxes(
    key: Key[Array, ""], shape: tuple[int, ...], ends: tuple[float, float], count: int
) -> Bool[Array, "*spatial"]:
    """The voxels that lie in any of some random boxes.

    Args:
        key: random key.
        shape: of the image.
        ends: least and largest side in parts of the image's.
        count: of boxes.
    """
    place, extent = jax.random.split(key)
    centres = jax.random.uniform(place, (count, len(shape)))
    sides = jax.random.uniform(extent, (count, len(shape)), minval=ends[0], maxval=ends[1])
    found = [inside(shape, c, s) for c, s in zip(centres, sides, strict=True)]
    return functools.reduce(jnp.logical_or, found)


def inside(
    shape: tuple[int, ...], centre: Float[Array, " n"], side: Float[Array, " n"]
) -> Bool[Array, "*spatial"]:
    """The voxels whose centres lie in a box, all in parts of the image's extent."""
    found = jnp.ones(shape, bool)
    for axis, n in enumerate(shape):
        place = (jax.lax.broadcasted_iota(centre.dtype, shape, axis) + 0.5) / n
        found = found & (jnp.abs(place - centre[axis]) < side[axis] / 2)
    return found
