"""Turns of images and pieces of them, as puzzles are made of.

Pure functions of one sample ``(*spatial, channel)``, as those of `medjax.augment.corrupt`.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from medjax.core.arrays import with_rank
from medjax.core.errors import InputError
from medjax.core.types import Array, Bool, Float, Key


def cut(image: Array, start: Array, size: tuple[int, ...]) -> Array:
    """The patch of one sample that begins at ``start``, an integer ``(axis,)``."""
    return jax.lax.dynamic_slice(image, (*start, 0), (*size, image.shape[-1]))


def quarter_turns(ndim: int) -> tuple[tuple[tuple[int, ...], tuple[bool, ...]], ...]:
    """Rotations by 0, 90, 180 and 270 degrees about each axis: 4 in 2D, 10 in 3D.

    Returns:
        The order of axes and which are mirrored after it, for no turn and then each plane
        of axes by 1, 2 and 3 quarters as `numpy.rot90` counts them.
    """
    turns = [(tuple(range(ndim)), (False,) * ndim)]
    for a, b in itertools.combinations(range(ndim), 2):
        swapped = tuple({a: b, b: a}.get(axis, axis) for axis in range(ndim))
        for order, mirrored in ((swapped, {a}), (turns[0][0], {a, b}), (swapped, {b})):
            turns.append((order, tuple(axis in mirrored for axis in range(ndim))))
    return tuple(turns)


def turned(
    image: Float[Array, "*spatial channel"], number: Array
) -> Float[Array, "*spatial channel"]:
    """One of `quarter_turns` of an image with equal sizes along all axes.

    Args:
        image: one sample.
        number: integer scalar, which turn.

    Raises:
        InputError: for unequal sizes.
    """
    if len(set(image.shape[:-1])) != 1:
        raise InputError("image", "equal sizes along all axes, to be turned", image.shape[:-1])
    turns = quarter_turns(image.ndim - 1)
    orders = sorted({order for order, _ in turns})
    which = jnp.asarray([orders.index(order) for order, _ in turns], jnp.int32)[number]
    last = image.ndim - 1
    image = jax.lax.select_n(which, *(image.transpose(*order, last) for order in orders))
    return mirrored(image, jnp.asarray([flags for _, flags in turns])[number])


def mirrored(
    image: Float[Array, "*spatial channel"], axes: Bool[Array, " axis"]
) -> Float[Array, "*spatial channel"]:
    """The image mirrored along the spatial axes that are true."""
    for axis in range(image.ndim - 1):
        image = jnp.where(axes[axis], jnp.flip(image, axis), image)
    return image


def tiles(
    key: Key[Array, ""],
    image: Float[Array, "*spatial channel"],
    grid: tuple[int, ...],
    gap: tuple[int, ...],
) -> Float[Array, "tile *size channel"]:
    """Cut an image into a grid of cells, and of each cell a tile at a random place.

    What is over beyond a whole number of cells is left out.

    Args:
        key: random key.
        image: one sample.
        grid: cells along each axis.
        gap: by how much tiles are smaller than cells, so that borders do not tell neighbours.

    Returns:
        The tiles in the order of the grid's rows.

    Raises:
        InputError: where cells are not larger than the gap.
    """
    cells = [n // g for n, g in zip(image.shape[:-1], grid, strict=True)]
    size = tuple(c - g for c, g in zip(cells, gap, strict=True))
    if min(size) < 1:
        raise InputError("gap", f"one below the cells' sizes {tuple(cells)}", gap)
    corners = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, len(grid))
    room = with_rank(jnp.asarray(gap, jnp.int32) + 1, 2)
    starts = jax.random.randint(key, corners.shape, 0, room)
    starts = starts + jnp.asarray(corners * np.asarray(cells), jnp.int32)
    return jax.vmap(lambda start: cut(image, start, size))(starts)
