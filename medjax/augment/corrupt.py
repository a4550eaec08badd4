"""What self-supervision does to images: hides, swaps, shuffles, paints and remaps them.

Pure functions of a key and one sample ``(*spatial, channel)``, to be mapped over a batch with
one key a sample (`medjax.augment.keyed`). All channels of a voxel share a fate.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float, Key

from .pieces import cut

_TRIES = 8  # places drawn for a patch until one does not overlap its partner
_CURVE, _TABLE = 512, 256  # points of a curve, and of the table that it becomes


def masked_count(count: int, ratio: float) -> int:
    """How many of ``count`` cells a ratio hides, rounded up as MAE and SimMIM do.

    Raises:
        InputError: where none or all would be hidden.
    """
    hidden = math.ceil(count * ratio - 1e-6)
    if not 0 < hidden < count:
        raise InputError("ratio", f"one that hides some of {count} cells and not all", ratio)
    return hidden


def random_mask(key: Key[Array, ""], shape: tuple[int, ...], ratio: float) -> Bool[Array, "*shape"]:
    """True at exactly `masked_count` cells, all sets of so many equally likely."""
    count = math.prod(shape)
    order = jnp.argsort(jax.random.uniform(key, (count,)))
    return (order < masked_count(count, ratio)).reshape(shape)


def enlarged(
    mask: Bool[Array, "*grid"], unit: tuple[int, ...], spatial: tuple[int, ...]
) -> Bool[Array, "*spatial"]:
    """A mask of cells as one of voxels: each cell ``unit`` large, the last ones cut off."""
    for axis, (size, n) in enumerate(zip(unit, spatial, strict=True)):
        mask = jax.lax.slice_in_dim(jnp.repeat(mask, size, axis), 0, n, axis=axis)
    return mask


def box_mask(
    key: Key[Array, ""], shape: tuple[int, ...], ends: tuple[float, float], count: int
) -> Bool[Array, "*shape"]:
    """The voxels of some random boxes, all of which lie within the image.

    Args:
        key: random key.
        shape: of the image.
        ends: least and largest side of a box in parts of the image's, each side drawn evenly.
        count: of boxes, which may overlap.

    Raises:
        InputError: for sides outside (0, 1] or fewer than one box.
    """
    if not 0 < ends[0] <= ends[1] <= 1:
        raise InputError("ends", "parts of the image, above 0 and at most 1", ends)
    if count < 1:
        raise InputError("count", "at least 1", count)
    sizes = jnp.asarray(shape, jnp.int32)[None]
    side_key, place_key = jax.random.split(key)
    share = jax.random.uniform(side_key, (count, len(shape)), minval=ends[0], maxval=ends[1])
    sides = jnp.clip(jnp.round(share * sizes.astype(share.dtype)).astype(jnp.int32), 1, sizes)
    starts = jax.random.randint(place_key, sides.shape, 0, sizes - sides + 1)

    def inside(start: Array, side: Array) -> Array:
        found = jnp.ones(shape, bool)
        for axis in range(len(shape)):
            place = jax.lax.broadcasted_iota(jnp.int32, shape, axis) - start[axis]
            found = found & (place >= 0) & (place < side[axis])
        return found

    return functools.reduce(jnp.logical_or, map(inside, starts, sides))


def painted(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"], mask: Bool[Array, "*spatial"]
) -> Float[Array, "*spatial channel"]:
    """Even noise between the image's least and largest value where the mask is true."""
    low, high = jnp.min(image), jnp.max(image)
    noise = jax.random.uniform(key, image.shape, image.dtype) * (high - low) + low
    return jnp.where(mask[..., None], noise, image)


def inpaint(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"]
) -> Float[Array, "*spatial channel"]:
    """Noise in five boxes of a sixth to a third of each side (Models Genesis).

    Zhou et al. 2021 (arXiv:2004.07882), whose authors' code draws up to five boxes.
    """
    box_key, noise_key = jax.random.split(key)
    return painted(noise_key, image, box_mask(box_key, image.shape[:-1], (1 / 6, 1 / 3), 5))


def outpaint(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"]
) -> Float[Array, "*spatial channel"]:
    """Noise everywhere but in five boxes of 3/7 to 4/7 of each side; see `inpaint`."""
    box_key, noise_key = jax.random.split(key)
    kept = box_mask(box_key, image.shape[:-1], (3 / 7, 4 / 7), 5)
    return painted(noise_key, image, ~kept)


def swap_patches(
    key: Key[Array, ""],
    image: Float[Array, "*spatial channel"],
    size: tuple[int, ...],
    swaps: int,
) -> Float[Array, "*spatial channel"]:
    """Swap pairs of patches that do not overlap, pair after pair: intensities only move.

    Algorithm 1 of Chen et al. 2019 (doi:10.1016/j.media.2019.101539). A patch for which eight
    random places all overlap its partner stays where it is.

    Args:
        key: random key.
        image: one sample.
        size: of a patch along each spatial axis.
        swaps: number of pairs.

    Raises:
        InputError: where no two patches fit beside each other.
    """
    spatial = image.shape[:-1]
    pairs = list(zip(spatial, size, strict=True))
    if any(n < s for n, s in pairs) or not any(n >= 2 * s for n, s in pairs):
        raise InputError("patch", f"a size of which two fit into {spatial}", size)
    room = jnp.asarray([n - s + 1 for n, s in pairs], jnp.int32)
    sides = jnp.asarray(size, jnp.int32)[None]

    def swap(number: Array, image: Array) -> Array:
        one, other = jax.random.split(jax.random.fold_in(key, number))
        first = jax.random.randint(one, room.shape, 0, room)
        places = jax.random.randint(other, (_TRIES, len(size)), 0, room[None])
        apart = jnp.any(jnp.abs(places - first[None]) >= sides, axis=-1)
        second = jnp.where(jnp.any(apart), places[jnp.argmax(apart)], first)
        a, b = cut(image, first, size), cut(image, second, size)
        image = jax.lax.dynamic_update_slice(image, b, (*first, 0))
        return jax.lax.dynamic_update_slice(image, a, (*second, 0))

    return jax.lax.fori_loop(0, swaps, swap, image)


def shuffle_locally(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"], largest: tuple[int, ...]
) -> Float[Array, "*spatial channel"]:
    """Shuffle the voxels within windows that lie side by side and cover the image.

    Zhou et al. 2021 (arXiv:2004.07882) shuffle within some thousand random windows of random
    sizes, one after the other. What differs: a sample's windows have one random size and do
    not overlap, so that it is one permutation and one sort.

    Args:
        key: random key.
        image: one sample.
        largest: window along each axis; its sides are drawn evenly from 1 to these.
    """
    spatial = image.shape[:-1]
    size_key, offset_key, order_key = jax.random.split(key, 3)
    most = jnp.asarray(largest, jnp.int32)
    sides = jax.random.randint(size_key, most.shape, 1, most + 1)
    offsets = jax.random.randint(offset_key, most.shape, 0, sides)
    # A voxel's place when windows are counted one after the other, each row by row: the
    # voxels in windows before its own, and those before it in its own.
    first, within = jnp.zeros(spatial, jnp.int32), jnp.zeros(spatial, jnp.int32)
    before = jnp.ones(spatial, jnp.int32)
    for axis, n in enumerate(spatial):
        place = jax.lax.broadcasted_iota(jnp.int32, spatial, axis)
        edge = (place + offsets[axis]) // sides[axis] * sides[axis] - offsets[axis]
        start, stop = jnp.maximum(edge, 0), jnp.minimum(edge + sides[axis], n)
        first = first + before * start * math.prod(spatial[axis + 1 :])
        within = within * (stop - start) + place - start
        before = before * (stop - start)
    noise = jax.random.bits(order_key, spatial)
    voxels = jnp.arange(math.prod(spatial), dtype=jnp.int32)
    shuffled = jax.lax.sort((first.ravel(), noise.ravel(), voxels), num_keys=2)[-1]
    source = shuffled[(first + within).ravel()]
    return image.reshape(-1, image.shape[-1])[source].reshape(image.shape)


def nonlinear_intensity(
    key: Key[Array, ""], image: Float[Array, "*spatial channel"]
) -> Float[Array, "*spatial channel"]:
    """Map intensities by a random monotone curve, half of the time a falling one.

    Zhou et al. 2021 (arXiv:2004.07882): a cubic Bezier curve between two corners of the unit
    square, with two control points anywhere in it. Intensities are taken within the image's
    own range, which stays.
    """
    point_key, turn_key = jax.random.split(key)
    points = jax.random.uniform(point_key, (2, 2))
    t = jnp.linspace(0.0, 1.0, _CURVE)
    early, late = 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t)
    x, y = (early * points[0, i] + late * points[1, i] + t**3 for i in range(2))
    y = jnp.where(jax.random.bernoulli(turn_key), jnp.flip(y), y)
    table = jnp.interp(jnp.linspace(0.0, 1.0, _TABLE), x, y)
    low = jnp.min(image).astype(jnp.float32)
    extent = jnp.max(image).astype(jnp.float32) - low
    place = (image.astype(jnp.float32) - low) / jnp.where(extent > 0, extent, 1) * (_TABLE - 1)
    cell = jnp.clip(place.astype(jnp.int32), 0, _TABLE - 2)
    share = place - cell.astype(jnp.float32)
    value = table[cell] * (1 - share) + table[cell + 1] * share
    return (value * extent + low).astype(image.dtype)
