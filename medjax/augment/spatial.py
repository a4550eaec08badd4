"""Spatial augmentation with one interpolation for all of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key
from medjax.image.spline import INJECTIVE, invert_displacement, small_inverse, spline_field
from medjax.image.warp import affine_positions

from .compose import Invertible, Transform, keyed
from .entries import IMAGE, Entries, Image, Labels, move, resample, spatial_sizes


class Map(NamedTuple):
    """From a place ``p`` of the output to one of the input, in voxels.

    It is ``matrix (p + u(p)) + offset``, with ``u`` a field of cubic B-splines, whose ``control``
    points are ``(*batch, n, *points)``.
    """

    matrix: Float[Array, "*batch n n"]
    offset: Float[Array, "*batch n"]
    control: Float[Array, "..."] | None


def deform(
    *,
    rotation: float | Sequence[float] = 0.0,
    zoom: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    translation: float = 0.0,
    mirror: Sequence[int] = (),
    elastic: float = 0.0,
    intervals: int = 6,
    size: tuple[int, ...] | None = None,
    spacing: Sequence[float] | str | None = None,
    entries: Entries = IMAGE,
) -> Transform:
    """Rotate, scale, shear, move, mirror, bend and crop, with one interpolation for all.

    Every parameter is drawn evenly up to the given size, either way. An output voxel
    ``p`` shows the input at ``c + M (p + u(p) - c') + t`` with ``c`` and ``c'`` the
    centres of input and output, ``M`` rotation times scales times shear times
    mirroring, and ``u`` a free-form deformation: cubic B-splines with random
    coefficients (Rueckert et al. 1999, Nonrigid registration using free-form
    deformations). Points and boxes follow by its inverse: exact for affine maps, by
    Newton's method for elastic ones.

    Args:
        rotation: largest angle in degrees: 2D in the plane; 3D about each of the three
            axes, one number or one for each. The axes' turns follow each other.
        zoom: largest logarithm of the factor that all axes share: 0.1 is 0.9 to 1.1.
        scale: the same for a factor of each axis by itself.
        shear: largest shear: displacement along one axis per distance along a later one.
        translation: largest displacement along each axis in voxels.
        mirror: spatial axes, counted from their end, each mirrored half of the time.
        elastic: largest displacement of the deformation's control points, in parts of
            the distance between them; at most 0.4, which keeps the map one-to-one.
        intervals: between control points along each axis.
        size: of the output, cut out of the input at a random place; None keeps the size.
        spacing: of the voxels in mm, one number an axis, or the name of a batch entry
            ``(batch, axis)``. Then turns, shears and scales are of the anatomy rather
            than of the array, and ``translation`` is in mm.
        entries: what moves.

    Returns:
        A transform; with an inverse (another interpolation) if ``elastic`` is 0 and
        ``size`` is None.

    Raises:
        InputError: for an elastic deformation that might fold; when called, for sizes,
            angles, axes or spacings that do not fit the images.
    """
    if not 0 <= elastic <= INJECTIVE:
        raise InputError("elastic", f"0 to {INJECTIVE}, so that nothing folds", elastic)
    if intervals < 1:
        raise InputError("intervals", "at least 1", intervals)

    drawn = functools.partial(
        deform_map,
        rotation=rotation,
        zoom=zoom,
        scale=scale,
        shear=shear,
        translation=translation,
        mirror=mirror,
        elastic=elastic,
        intervals=intervals,
    )

    def maps(key: Key[Array, ""], batch: Batch) -> tuple[Map, tuple[int, ...]]:
        sizes = spatial_sizes(batch, entries)
        _check(sizes, size, mirror)
        voxel = _voxels(spacing, batch, len(sizes))
        draw = jax.vmap(lambda k, v: drawn(k, v, sizes, size or sizes))
        return draw(keyed(key, batch), voxel), sizes

    def forward(key: Key[Array, ""], batch: Batch) -> Batch:
        where, sizes = maps(key, batch)
        return _resampled(batch, entries, where, size or sizes)

    def backward(key: Key[Array, ""], batch: Batch) -> Batch:
        where, sizes = maps(key, batch)
        matrix = small_inverse(where.matrix)
        offset = -jnp.sum(matrix * where.offset[:, None], -1)
        return _resampled(batch, entries, Map(matrix, offset, None), sizes)

    return forward if elastic or size is not None else Invertible(forward, backward)


def deform_map(
    key: Key[Array, ""],
    voxel: Float[Array, " n"],
    sizes: tuple[int, ...],
    out: tuple[int, ...],
    *,
    rotation: float | Sequence[float],
    zoom: float,
    scale: float,
    shear: float,
    translation: float,
    mirror: Sequence[int],
    elastic: float,
    intervals: int,
) -> Map:
    """Draw one sample's map; arguments as for `deform`.

    Args:
        key: the sample's own.
        voxel: spacing, 1 where lengths are in voxels.
        sizes: of the input.
        out: sizes of the output.
    """
    n, dtype = len(sizes), voxel.dtype
    keys = jax.random.split(key, 8)

    def uniform(number: int, shape: tuple[int, ...], most: Array | float) -> Array:
        return jax.random.uniform(keys[number], shape, dtype, -1.0, 1.0) * most

    most = _angles(rotation, n)
    turn = _turns(uniform(0, (len(most),), jnp.deg2rad(jnp.asarray(most, dtype))))
    factors = jnp.exp(uniform(1, (n,), scale) + uniform(4, (1,), zoom))
    above = jnp.triu_indices(n, 1)
    skew = jnp.eye(n, dtype=dtype).at[above].set(uniform(2, (n * (n - 1) // 2,), shear))
    signs = jnp.where(jax.random.bernoulli(keys[5], 0.5, (n,)), -1, 1).astype(dtype)
    mirrored = jnp.asarray([axis - n in mirror for axis in range(n)])
    # Products of n x n matrices as sums: on accelerators a dot would be rounded.
    matrix = _product(turn, factors[:, None] * skew) * jnp.where(mirrored, signs, 1)[None]
    matrix = matrix * voxel[None] / voxel[:, None]
    shift = uniform(3, (n,), translation) / voxel
    room = [max(a - b, 0) / 2 for a, b in zip(sizes, out, strict=True)]
    if any(room):
        shift = shift + uniform(6, (n,), jnp.asarray(room, dtype))
    to, about = (jnp.asarray([(m - 1) / 2 for m in s], dtype) for s in (sizes, out))
    control = None
    if elastic:
        distance = jnp.asarray(out, dtype).reshape(n, *(1,) * n) / intervals
        control = uniform(7, (n, *(intervals + 3,) * n), elastic * distance)
    return Map(matrix, to + shift - jnp.sum(matrix * about[None], 1), control)


def _resampled(batch: Batch, entries: Entries, where: Map, out: tuple[int, ...]) -> Batch:
    def positions(one: Map) -> list[Array]:
        straight = affine_positions(one.matrix, one.offset, out)
        if one.control is None:
            return straight
        # The matrix acts on the few coefficients rather than on the field of all voxels.
        n = len(out)
        control = jnp.sum(one.matrix.reshape(n, n, *(1,) * n) * one.control[None], 1)
        return [p + u for p, u in zip(straight, spline_field(control, out), strict=True)]

    def grid(x: Array, entry: Image | Labels) -> Array:
        return jax.vmap(lambda one, m: resample(one, positions(m), entry))(x, where)

    def place(points: Array) -> Array:
        def one(p: Array, m: Map) -> Array:
            back = small_inverse(m.matrix)
            p = jnp.sum(back[None] * (p.astype(back.dtype) - m.offset[None])[:, None], -1)
            return p if m.control is None else invert_displacement(m.control, p, out)

        return jax.vmap(one)(points, where).astype(points.dtype)

    return move(batch, entries, grid, place, along_edges=2 if where.control is None else 3)


def _angles(rotation: float | Sequence[float], n: int) -> tuple[float, ...]:
    count = 1 if n == 2 else 3
    given = (rotation,) * count if isinstance(rotation, int | float) else tuple(rotation)
    if len(given) != count:
        raise InputError("rotation", f"one angle or {count} for {n}D", rotation)
    return given


def _turns(angles: Float[Array, " planes"]) -> Float[Array, "n n"]:
    """The product of a rotation in each plane; about the first axis first from the left."""
    planes = [(0, 1)] if len(angles) == 1 else [(1, 2), (0, 2), (0, 1)]
    n = planes[0][1] + 1
    turn = jnp.eye(n, dtype=angles.dtype)
    for angle, (a, b) in zip(angles, planes, strict=True):
        c, s = jnp.cos(angle), jnp.sin(angle)
        one = jnp.eye(n, dtype=angles.dtype)
        one = one.at[a, a].set(c).at[a, b].set(-s).at[b, a].set(s).at[b, b].set(c)
        turn = _product(turn, one)
    return turn


def _product(a: Float[Array, "n n"], b: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return jnp.sum(a[:, :, None] * b[None], 1)


def _voxels(spacing: Sequence[float] | str | None, batch: Batch, n: int) -> Float[Array, "batch n"]:
    count = batch["index"].shape[0]
    if isinstance(spacing, str):
        voxel = batch[spacing]
        if voxel.shape != (count, n):
            raise InputError(spacing, f"({count}, {n})", f"shape {voxel.shape}")
        return voxel.astype(jnp.float32)
    if spacing is not None and len(spacing) != n:
        raise InputError("spacing", f"{n} numbers", spacing)
    voxel = jnp.asarray(spacing or (1.0,) * n, jnp.float32)
    return jnp.broadcast_to(voxel[None], (count, n))


def _check(sizes: tuple[int, ...], size: tuple[int, ...] | None, mirror: Sequence[int]) -> None:
    if size is not None and len(size) != len(sizes):
        raise InputError("size", f"{len(sizes)} sizes", size)
    if any(not -len(sizes) <= axis < 0 for axis in mirror):
        raise InputError("mirror", f"spatial axes from -{len(sizes)} to -1", mirror)
