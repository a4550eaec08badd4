"""What a batch's entries are, so that one transform moves them all together.

A mapping such as ``{"image": Image(channels="last"), "label": Labels(), "box": Boxes()}``
is written once and given to every transform. Spatial transforms move all entries of
it, each in its own way; intensity transforms change the images and leave the rest.
All grids of a mapping have the same spatial sizes, two or three of them.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key
from medjax.image.warp import sample_linear, sample_majority, sample_nearest

from .compose import Transform, keyed

Channels = Literal["first", "last"] | None


Rule = Callable[..., Array]
"""What an intensity transform does to one sample: ``(key, image, axes) -> image``.

The image is floating or complex, ``(*spatial)``, with a channel axis before or behind;
``axes`` are the spatial ones, counted from the end. The result has its shape and dtype.
"""


@dataclasses.dataclass(frozen=True)
class Image:
    """Intensities: ``(batch, *spatial)``, floating or complex, interpolated linearly.

    Args:
        channels: where there is one more axis: "last" as networks have channels, or
            "first", before the spatial axes, as reconstruction has coils.
        independent: whether intensity transforms draw for each channel by itself, as
            befits sequences of MRI; colours and coils share one draw.
        outside: the value beyond the image.
    """

    channels: Channels = None
    independent: bool = False
    outside: float = 0.0


@dataclasses.dataclass(frozen=True)
class Labels:
    """Classes of voxels: ``(batch, *spatial)``, integer or bool, never averaged.

    Floating ones are one-hot or soft maps, with channels, and are interpolated linearly.

    Args:
        channels: as for `Image`.
        smooth: take the class with the largest share of the neighbours' weights (the
            argmax of interpolated one-hot maps) instead of the nearest voxel's.
        outside: the class beyond the image.
    """

    channels: Channels = None
    smooth: bool = False
    outside: float = 0


@dataclasses.dataclass(frozen=True)
class Points:
    """Positions: floating ``(batch, points, n)`` in voxels, axes as the image has them.

    0 is the centre of the first voxel. Points may lie, or come to lie, outside the
    image; rows of NaN stay NaN, so that samples may have different numbers of them.
    """


@dataclasses.dataclass(frozen=True)
class Boxes:
    """Boxes along the axes: floating ``(batch, boxes, 2 n)``, lower corner, then upper.

    Positions are those of `Points`: a box around the voxels 2 to 4 runs from 1.5 to
    4.5. A box becomes the one that encloses its moved corners; with elastic
    deformation also the middles of its edges and faces, which makes it a close guess.
    """


@dataclasses.dataclass(frozen=True)
class Classes:
    """One-hot or soft classes of whole samples: floating ``(batch, class)``.

    Nothing moves them; `mixup` and `cutmix` mix them.
    """


Entry = Image | Labels | Points | Boxes | Classes
Entries = Mapping[str, Entry]

IMAGE: Entries = MappingProxyType({"image": Image()})
"""The default: one image without channels."""


def spatial_sizes(batch: Batch, entries: Entries) -> tuple[int, ...]:
    """The spatial sizes that all grids among the entries share.

    Raises:
        InputError: for entries that the batch lacks or that have wrong shapes.
    """
    found: dict[tuple[int, ...], str] = {}
    for name, entry in entries.items():
        if name not in batch:
            raise InputError(name, "an entry of the batch", f"entries {sorted(batch)}")
        if isinstance(entry, Image | Labels):
            _check_dtype(name, entry, batch[name])
            shape = batch[name].shape
            sizes = {None: shape[1:], "last": shape[1:-1], "first": shape[2:]}[entry.channels]
            if len(sizes) not in (2, 3):
                expected = f"2 or 3 spatial axes with channels={entry.channels!r}"
                raise InputError(name, expected, f"shape {shape}")
            found.setdefault(sizes, name)
    if len(found) != 1:
        raise InputError("entries", "images or labels of the same spatial sizes", found)
    (sizes,) = found
    for name, entry in entries.items():
        if isinstance(entry, Points | Boxes):
            wanted = len(sizes) * (1 if isinstance(entry, Points) else 2)
            if batch[name].ndim != 3 or batch[name].shape[-1] != wanted:
                raise InputError(name, f"(batch, count, {wanted})", f"shape {batch[name].shape}")
    return sizes


def move(
    batch: Batch,
    entries: Entries,
    grid: Callable[..., Array],
    place: Callable[[Float[Array, "batch points n"]], Float[Array, "batch points n"]],
    *,
    along_edges: int = 2,
) -> Batch:
    """The batch with its entries moved.

    Args:
        batch: checked by `spatial_sizes`.
        entries: of the batch.
        grid: ``(x, entry) -> x``, moves one channel ``(batch, *spatial)`` of an image or
            of labels.
        place: moves positions ``(batch, points, n)`` to where the grid moves them.
        along_edges: points of a box that are moved, along each axis: 2 are its corners.
    """
    moved = {}
    for name, entry in entries.items():
        x = batch[name]
        if isinstance(entry, Image | Labels):
            one = functools.partial(grid, entry=entry)
            axis = _axis(entry)
            if axis is None or x.shape[axis] == 1:
                bare = one(x if axis is None else jnp.squeeze(x, axis))
                moved[name] = bare if axis is None else jnp.expand_dims(bare, axis)
            else:
                # Mapped where it lies: to bring it forward would cost more than the rest.
                moved[name] = jax.vmap(one, axis, axis)(x)
        elif isinstance(entry, Points):
            moved[name] = place(x)
        elif isinstance(entry, Boxes):
            moved[name] = _enclosing(x, place, along_edges)
    return {**batch, **moved}


def resample(x: Array, positions: list[Array], entry: Image | Labels) -> Array:
    """One sample's ``(*spatial)`` of an entry at positions, as its kind asks for."""
    if isinstance(entry, Image) or jnp.issubdtype(x.dtype, jnp.floating):
        kind = sample_linear
    else:
        kind = sample_majority if entry.smooth else sample_nearest
    return kind(x, positions, outside=entry.outside)


def on_images(rule: Rule, entries: Entries) -> Transform:
    """The transform that changes every image of the entries by a rule.

    Args:
        rule: what happens to one sample; to one channel of it where those are independent.
        entries: of the batch. Each image draws for itself.
    """

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        n = len(spatial_sizes(batch, entries))
        changed = {}
        for number, (name, entry) in enumerate(entries.items()):
            if not isinstance(entry, Image):
                continue
            keys = keyed(jax.random.fold_in(key, number), batch)
            changed[name] = _ruled(rule, keys, batch[name], entry, n)
        return {**batch, **changed}

    return transform


def _ruled(rule: Rule, keys: Key[Array, " batch"], x: Array, entry: Image, n: int) -> Array:
    axis = _axis(entry)
    bare = functools.partial(rule, axes=tuple(range(-n, 0)))
    if axis is None:
        return jax.vmap(bare)(keys, x)
    if entry.independent:
        count = jnp.arange(x.shape[axis])
        keys = jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(keys, count)
        within = axis - (axis > 0)
        return jax.vmap(jax.vmap(bare, (0, within), within))(keys, x)
    if x.shape[axis] == 1:
        # XLA's CPU backend sums along a last axis of one without vector instructions.
        return jnp.expand_dims(jax.vmap(bare)(keys, jnp.squeeze(x, axis)), axis)
    last = -1 if axis == -1 else 0
    return jax.vmap(functools.partial(rule, axes=tuple(range(last - n, last))))(keys, x)


def _axis(entry: Image | Labels) -> int | None:
    """The axis of the channels."""
    return {None: None, "first": 1, "last": -1}[entry.channels]


def _check_dtype(name: str, entry: Image | Labels, x: Array) -> None:
    if isinstance(entry, Image):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            raise InputError(name, "floating or complex images", x.dtype)
    elif jnp.issubdtype(x.dtype, jnp.floating) and entry.channels is None:
        raise InputError(name, "integer labels, or floating maps with channels", x.dtype)
    elif jnp.iscomplexobj(x):
        raise InputError(name, "labels", x.dtype)


def _enclosing(boxes: Array, place: Callable[[Array], Array], along_edges: int) -> Array:
    n = boxes.shape[-1] // 2
    lower, upper = boxes[..., None, :n], boxes[..., None, n:]
    steps = [i / (along_edges - 1) for i in range(along_edges)]
    share = jnp.asarray(list(itertools.product(steps, repeat=n)), boxes.dtype)[None, None]
    points = lower + share * (upper - lower)
    moved = place(points.reshape(boxes.shape[0], -1, n)).reshape(points.shape)
    return jnp.concatenate([jnp.min(moved, -2), jnp.max(moved, -2)], -1)
