"""Views of one sample for self-supervised learning: pairs, multi-crop, presets by modality.

Two views teach a network what to ignore: all in which they differ. The distortions of
photographs teach the wrong things here: colour distortion of grey images leaves nothing but a
change of brightness (and in CT takes away the unit), blur erases nodules and microaneurysms,
small crops of a radiograph show no finding that the whole has. `modality_view` therefore takes
its intensities from `medjax.augment.policy.PRESETS`, whose docstrings say what is left out and
why, and its crops from `LEAST_CROP`:

    view = modality_view("ct", (64, 64), entries={"image": Image(channels="last")})
    learner = augmented(simclr(encoder, optimizer), views({"first": view, "second": view}))

Images are about 0 to 1 and not negative, as those presets want them; a z-score goes last into
each view's `chain`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key

from .compose import Transform, chain, keyed
from .entries import IMAGE, Entries, Image, Labels, move, resample, spatial_sizes
from .policy import PRESETS, randaugment

LEAST_CROP: Mapping[str, float] = MappingProxyType(
    {
        "mri": 0.3,
        "ct": 0.3,
        "radiograph": 0.5,
        "ultrasound": 0.5,
        "histology": 0.2,
        "dermoscopy": 0.4,
        "fundus": 0.5,
    }
)
"""Least part of an image that a view shows, in area or volume.

SimCLR's 0.08 suits photographs of one large thing. Tissue is alike over a slide, so that parts
may be small; a radiograph's or a fundus's one finding is small and may be anywhere; a lesion's
border is a criterion. Starting points, to be tuned: no paper has tuned them all.
"""

LARGE = ("large0", "large1")
"""The entries of `multi_crop`'s large views."""


def views(transforms: Mapping[str, Transform], *, image: str = "image") -> Transform:
    """Add views of each sample to the batch, each by a transform and with a key of its own.

    Args:
        transforms: from the name of a new entry to what makes it of ``image``.
        image: what is viewed. It stays, and so do all other entries: a view moves no labels.

    Raises:
        InputError: for no transforms, or a view that has the name of the image.
    """
    if not transforms or image in transforms:
        raise InputError("transforms", f"one or more names other than {image!r}", [*transforms])

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        made = {}
        for number, (name, one) in enumerate(transforms.items()):
            made[name] = one(jax.random.fold_in(key, number), batch)[image]
        return {**batch, **made}

    return transform


def multi_crop(
    large: Transform, small: Transform, *, count: int = 8, image: str = "image"
) -> Transform:
    """Two large views and ``count`` small ones of each sample.

    Caron et al. 2020 (SwAV, arXiv:2006.09882, section 3.3): small views cost little, and a
    network learns from them what the whole looks like. Names are `LARGE` and `small_names`.

    Args:
        large: such as ``modality_view("ct", (224, 224), crop=(0.4, 1.0))``.
        small: such as ``modality_view("ct", (96, 96), crop=(0.05, 0.4))``.
        count: of small views.
        image: see `views`.
    """
    each = dict.fromkeys(LARGE, large) | dict.fromkeys(small_names(count), small)
    return views(each, image=image)


def small_names(count: int) -> tuple[str, ...]:
    """The entries of `multi_crop`'s small views."""
    return tuple(f"small{number}" for number in range(count))


def modality_view(
    modality: str,
    size: tuple[int, ...],
    *,
    crop: tuple[float, float] | None = None,
    count: int = 3,
    magnitude: float = 0.6,
    entries: Entries = IMAGE,
) -> Transform:
    """A random view that suits a modality: `resized_crop`, then `randaugment` of its preset.

    Args:
        modality: a name of `medjax.augment.policy.PRESETS`.
        size: spatial sizes of the view.
        crop: see `resized_crop`; from `LEAST_CROP` to 1 by default.
        count: operations a view, of the preset's.
        magnitude: see `randaugment`. Contrast of views asks for more than supervision does.
        entries: what is viewed.

    Raises:
        InputError: for an unknown modality, and as the parts raise it.
    """
    operations = PRESETS[modality](entries)
    part = (LEAST_CROP[modality], 1.0) if crop is None else crop
    return chain(
        resized_crop(size, part, entries=entries),
        randaugment(operations, count=count, magnitude=magnitude),
    )


def resized_crop(
    size: tuple[int, ...],
    scale: tuple[float, float] = (0.08, 1.0),
    *,
    aspect: float = 4 / 3,
    entries: Entries = IMAGE,
) -> Transform:
    """Cut a random box out of each sample and bring it to one size.

    Inception's crop (Szegedy et al. 2015, arXiv:1409.4842), in 2D and 3D. A box that would
    not fit an axis is cut down to it, where others draw anew. Images are interpolated
    linearly, with a low-pass filter where they get smaller, as products with a matrix an axis.

    Args:
        size: spatial sizes of the result.
        scale: least and largest part of the area or volume; drawn evenly.
        aspect: largest quotient of the parts that are taken of any two axes.
        entries: what is cut.

    Raises:
        InputError: for parts outside (0, 1] or an aspect below 1; when called, for sizes of
            another number of axes.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise InputError("scale", "least and largest part, above 0 and at most 1", scale)
    if aspect < 1:
        raise InputError("aspect", "at least 1", aspect)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        if len(size) != len(sizes):
            raise InputError("size", f"{len(sizes)} sizes", size)
        draw = jax.vmap(functools.partial(_box, sizes=sizes, scale=scale, aspect=aspect))
        start, extent = draw(keyed(key, batch))
        step = extent / jnp.asarray(size, extent.dtype)[None]

        def grid(x: Array, entry: Image | Labels) -> Array:
            linear = isinstance(entry, Image) and jnp.issubdtype(x.dtype, jnp.floating)
            one = _resized if linear else functools.partial(_sampled, entry=entry)
            return jax.vmap(functools.partial(one, size=size))(x, start, step)

        def place(points: Array) -> Array:
            at = (points + 0.5 - start[:, None].astype(points.dtype)) / step[:, None]
            return at.astype(points.dtype) - 0.5

        return move(batch, entries, grid, place)

    return transform


def _box(
    key: Key[Array, ""], *, sizes: tuple[int, ...], scale: tuple[float, float], aspect: float
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Start and extent of a random box, in voxels from the edge of the first one."""
    part_key, aspect_key, place_key = jax.random.split(key, 3)
    n = len(sizes)
    part = jax.random.uniform(part_key, minval=scale[0], maxval=scale[1])
    # Logarithms whose differences are at most that of the aspect.
    most = 0.5 * jnp.log(jnp.asarray(aspect, part.dtype))
    stretch = jax.random.uniform(aspect_key, (n,), minval=-most, maxval=most)
    sides = jnp.minimum(part ** (1 / n) * jnp.exp(stretch - jnp.mean(stretch)), 1)
    extent = sides * jnp.asarray(sizes, sides.dtype)
    room = jnp.asarray(sizes, sides.dtype) - extent
    return jax.random.uniform(place_key, (n,)) * room, extent


def _resized(
    x: Array, start: Float[Array, " n"], step: Float[Array, " n"], *, size: tuple[int, ...]
) -> Array:
    axes = tuple(range(x.ndim))
    wide = x.astype(step.dtype)
    out = jax.image.scale_and_translate(wide, size, axes, 1 / step, -start / step, "linear")
    return out.astype(x.dtype)


def _sampled(
    x: Array,
    start: Float[Array, " n"],
    step: Float[Array, " n"],
    *,
    size: tuple[int, ...],
    entry: Image | Labels,
) -> Array:
    index = [jax.lax.broadcasted_iota(step.dtype, size, axis) for axis in range(x.ndim)]
    positions = [(p + 0.5) * step[i] + (start[i] - 0.5) for i, p in enumerate(index)]
    return resample(x, positions, entry)
