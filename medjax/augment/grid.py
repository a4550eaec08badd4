"""Spatial augmentation that moves voxels without interpolation."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from medjax.core.arrays import per_sample
from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Key

from .compose import Invertible, Transform, keyed
from .entries import IMAGE, Entries, Image, Labels, move, spatial_sizes


def flip(axis: int = -1, *, probability: float = 0.5, entries: Entries = IMAGE) -> Invertible:
    """Mirror some samples along one axis; its own inverse.

    Args:
        axis: of the spatial ones, counted from their end: -1 is the last.
        probability: that a sample is mirrored; 1 mirrors all.
        entries: what moves.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        number = _axis(axis, len(sizes))
        chosen = jax.vmap(lambda k: jax.random.bernoulli(k, probability))(keyed(key, batch))

        def grid(x: Array, entry: Image | Labels) -> Array:
            return jnp.where(per_sample(chosen, x.ndim), jnp.flip(x, number + 1), x)

        def place(points: Array) -> Array:
            mirrored = points.at[..., number].set(sizes[number] - 1 - points[..., number])
            return jnp.where(per_sample(chosen, 3), mirrored, points)

        return move(batch, entries, grid, place)

    return Invertible(transform, transform)


def rotate90(
    axes: tuple[int, int] = (-2, -1), *, turns: int | None = None, entries: Entries = IMAGE
) -> Invertible:
    """Rotate by quarter turns from the first axis towards the second, as `numpy.rot90`.

    Args:
        axes: two spatial ones, counted from their end.
        turns: how many, for all samples; None draws 0 to 3 for each, which needs equal
            sizes along both axes.
        entries: what moves.

    Raises:
        InputError: when called, for random turns in a plane that is not square.
    """

    def by(sign: int) -> Transform:
        def transform(key: Key[Array, ""], batch: Batch) -> Batch:
            sizes = spatial_sizes(batch, entries)
            plane = tuple(_axis(axis, len(sizes)) for axis in axes)
            if turns is None and sizes[plane[0]] != sizes[plane[1]]:
                raise InputError("axes", "equal sizes, or a fixed number of turns", sizes)
            if turns is not None:
                return _turned(batch, entries, sizes, plane, sign * turns)
            drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, 4))(keyed(key, batch))
            turned = [_turned(batch, entries, sizes, plane, sign * n) for n in range(4)]

            def pick(*options: Array) -> Array:
                which = [per_sample(drawn == n, options[0].ndim) for n in range(4)]
                return jnp.select(which, list(options))

            names = [name for name in entries if turned[1][name] is not batch[name]]
            return {**batch, **{n: pick(*(option[n] for option in turned)) for n in names}}

        return transform

    return Invertible(by(1), by(-1))


def random_crop(size: tuple[int, ...], *, entries: Entries = IMAGE) -> Transform:
    """Cut a part of the given size out of each sample, at a random place.

    Args:
        size: spatial sizes of the part.
        entries: what is cut; points and boxes keep their place on the anatomy, also
            where that is outside the part.

    Raises:
        InputError: when called, for a size that does not fit into the images.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        if len(size) != len(sizes) or any(part > n for part, n in zip(size, sizes, strict=True)):
            raise InputError("size", f"one within {sizes}", size)
        room = jnp.asarray([n - part + 1 for part, n in zip(size, sizes, strict=True)])
        draw = jax.vmap(lambda k: jax.random.randint(k, room.shape, 0, room))
        starts = draw(keyed(key, batch))

        def grid(x: Array, entry: Image | Labels) -> Array:
            def cut(one: Array, start: Array) -> Array:
                return jax.lax.dynamic_slice(one, tuple(start), size)

            return jax.vmap(cut)(x, starts)

        return move(batch, entries, grid, lambda p: p - starts[:, None].astype(p.dtype))

    return transform


def center(size: tuple[int, ...], *, entries: Entries = IMAGE) -> Transform:
    """Crop or pad each axis about the centre to the given size; nothing random.

    Where the difference is odd, the part begins half a voxel late (cropping) or early
    (padding), as in nnU-Net.

    Args:
        size: spatial sizes of the result.
        entries: what moves; padding has their ``outside``.

    Raises:
        InputError: when called, for a size with another number of axes.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        if len(size) != len(sizes):
            raise InputError("size", f"{len(sizes)} sizes", size)
        # Before and after each axis; negative where something is cut away.
        pairs = list(zip(size, sizes, strict=True))
        before = [(to - n) // 2 if to > n else -((n - to) // 2) for to, n in pairs]
        edges = [(b, to - n - b, 0) for b, (to, n) in zip(before, pairs, strict=True)]

        def grid(x: Array, entry: Image | Labels) -> Array:
            value = jnp.asarray(entry.outside, x.dtype)
            return jax.lax.pad(x, value, [(0, 0, 0), *edges])

        return move(batch, entries, grid, lambda p: p + jnp.asarray(before, p.dtype)[None, None])

    return transform


def reduce(factor: int, *, entries: Entries = IMAGE) -> Transform:
    """Average blocks of ``factor`` voxels along each spatial axis.

    After an interpolation on the finer grid, so that augmented images are as sharp
    as those that were not interpolated.

    Args:
        factor: at least 1; must divide the sizes.
        entries: what is reduced: images, soft labels, points and boxes.

    Raises:
        InputError: when called, for sizes that do not divide or integer labels.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        if any(n % factor for n in sizes):
            raise InputError("sizes", f"those that {factor} divides", sizes)

        def grid(x: Array, entry: Image | Labels) -> Array:
            if not jnp.issubdtype(x.dtype, jnp.inexact):
                raise InputError("labels", "soft ones, whose average has a meaning", x.dtype)
            blocks = [part for n in sizes for part in (n // factor, factor)]
            axes = tuple(range(2, 2 * len(sizes) + 1, 2))
            return jnp.mean(x.reshape(x.shape[0], *blocks), axes)

        return move(batch, entries, grid, lambda p: (p + 0.5) / factor - 0.5)

    return transform


def _axis(axis: int, ndim: int) -> int:
    if not -ndim <= axis < 0:
        raise InputError("axis", f"a spatial one, from -{ndim} to -1", axis)
    return axis + ndim


def _turned(
    batch: Batch, entries: Entries, sizes: tuple[int, ...], plane: tuple[int, ...], turns: int
) -> Batch:
    first, second = plane
    turns %= 4

    def grid(x: Array, entry: Image | Labels) -> Array:
        return jnp.rot90(x, turns, (first + 1, second + 1))

    def place(points: Array) -> Array:
        lengths = list(sizes)
        for _ in range(turns):
            # A quarter turn sends (a, b) to (length of b - 1 - b, a).
            a, b = points[..., first], points[..., second]
            points = points.at[..., first].set(lengths[second] - 1 - b).at[..., second].set(a)
            lengths[first], lengths[second] = lengths[second], lengths[first]
        return points

    return move(batch, entries, grid, place) if turns else batch
