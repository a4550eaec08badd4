"""Augmentation of what a discriminator sees: differentiable, and adaptive.

Real and generated images go through it alike, and the generator's gradient comes back through
it, so that few images suffice and the generator does not learn the augmentation. Everything
here is differentiable in the images almost everywhere, to any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp

from medjax.core.errors import InputError
from medjax.core.types import Array, Batch, Float, Key

from .compose import Transform, chain, keyed, where_chosen
from .entries import Entries, Image, on_images, spatial_sizes
from .erase import cutout
from .grid import center, flip, random_crop, rotate90
from .intensity import brightness
from .spatial import deform

LAST: Entries = MappingProxyType({"image": Image(channels="last")})
"""What adversarial learners hand over: images with channels last."""


def diff_augment(
    policy: Sequence[str] = ("colour", "translation", "cutout"), *, entries: Entries = LAST
) -> Transform:
    """DiffAugment (Zhao et al. 2020, arXiv:2006.10738, section 4): always on, three kinds.

    As in the paper's code: brightness by an even draw from [-0.5, 0.5], saturation by a factor
    from [0, 2], contrast by one from [0.5, 1.5], then a shift of up to an eighth of the size
    with zeros behind, then a hole of half of the size. For images whose values span about 2.
    What differs: 2D and 3D; the hole's place is drawn in fractions of a voxel.

    Args:
        policy: which of "colour", "translation" and "cutout", in this order.
        entries: of which the images change.

    Raises:
        InputError: for another kind.
    """
    kinds: dict[str, Transform] = {
        "colour": chain(
            brightness(0.5, entries=entries),
            saturation(1.0, entries=entries),
            about_mean(0.5, entries=entries),
        ),
        "translation": translate(1 / 8, entries=entries),
        "cutout": cutout(0.5, entries=entries),
    }
    for kind in policy:
        if kind not in kinds:
            raise InputError("policy", f"some of {', '.join(kinds)}", repr(kind))
    return chain(*(kinds[kind] for kind in policy))


class Adaptive(NamedTuple):
    """Augmentation by a chance that follows how well the discriminator knows its images.

    Attributes:
        transform: from a chance, a float32 scalar that may be traced, to a transform.
        update: ``(chance, logits of real images) -> chance``, once a step.
    """

    transform: Callable[[Array], Transform]
    update: Callable[[Array, Array], Float[Array, ""]]


def adaptive(*, target: float = 0.6, images: float = 500_000, entries: Entries = LAST) -> Adaptive:
    """Adaptive discriminator augmentation (Karras et al. 2020, ADA, arXiv:2006.06676).

    The sign of real images' logits says how far the discriminator overfits (``r_t``, eq. 1):
    where its mean is above the target, the chance rises by the batch's share of ``images``,
    else it falls. Each kind of change is on with that chance, a sample at a time (appendix B):
    mirroring, quarter turns, whole shifts, one affine map (zoom, turn and stretch in one
    interpolation), brightness, contrast, saturation.

    What differs from the paper: zoom, turn and stretch share a chance, since they share an
    interpolation, which is linear; shifts are whole; no turns of hue or luminance, which images of
    medicine lack; the chance moves each step, not each fourth, and stays within [0, 1]; 2D and
    3D, with quarter turns in the last plane where that is square.

    Args:
        target: of the mean sign.
        images: shown in the time that the chance needs from 0 to 1.
        entries: of which the images change.

    Raises:
        InputError: for a target outside (-1, 1), or no images.
    """
    if not -1 < target < 1:
        raise InputError("target", "a number between -1 and 1", target)
    if not images > 0:
        raise InputError("images", "a number above 0", images)

    def quarter(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        return rotate90(entries=entries)(key, batch) if sizes[-1] == sizes[-2] else batch

    kinds = (
        flip(entries=entries),
        quarter,
        translate(1 / 8, entries=entries),
        deform(zoom=0.2 * math.log(2), scale=0.2 * math.log(2), rotation=180.0, entries=entries),
        brightness(0.2, entries=entries),
        about_mean(0.5, entries=entries),
        saturation(1.0, entries=entries),
    )

    def transform(chance: Array) -> Transform:
        return chain(*(_by_chance(chance, kind) for kind in kinds))

    def update(chance: Array, real: Array) -> Float[Array, ""]:
        sign = jnp.mean(jnp.sign(jax.lax.stop_gradient(real)).astype(jnp.float32))
        return jnp.clip(chance + jnp.sign(sign - target) * (real.shape[0] / images), 0, 1)

    return Adaptive(transform, update)


def translate(share: float, *, entries: Entries = LAST) -> Transform:
    """Move images by whole voxels, with their ``outside`` coming in.

    Args:
        share: the largest shift either way, in parts of each size.
        entries: what moves.

    Raises:
        InputError: for a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise InputError("share", "a number from 0 to 1", share)

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        sizes = spatial_sizes(batch, entries)
        room = tuple(n + 2 * int(n * share + 0.5) for n in sizes)
        return random_crop(sizes, entries=entries)(key, center(room, entries=entries)(key, batch))

    return transform


def about_mean(spread: float, *, entries: Entries = LAST) -> Transform:
    """Stretch intensities about each image's mean by a factor; nothing is cut.

    Args:
        spread: the factor is drawn evenly from ``1 - spread`` to ``1 + spread``.
        entries: of which the images change.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        mean = jnp.mean(x, keepdims=True)
        return mean + (x - mean) * _factor(key, spread, x)

    return on_images(rule, entries)


def saturation(spread: float, *, entries: Entries = LAST) -> Transform:
    """Stretch each voxel's channels about their mean by a factor; one channel stays as it is.

    Args:
        spread: the factor is drawn evenly from ``1 - spread`` to ``1 + spread``.
        entries: of which the images change.
    """

    def rule(key: Key[Array, ""], x: Array, axes: tuple[int, ...]) -> Array:
        (channel,) = {-1 - i for i in range(x.ndim)} - set(axes) or {None}
        if channel is None:
            return x
        mean = jnp.mean(x, channel, keepdims=True)
        return mean + (x - mean) * _factor(key, spread, x)

    return on_images(rule, entries)


def _factor(key: Key[Array, ""], spread: float, x: Array) -> Array:
    return jax.random.uniform(key, (), minval=1 - spread, maxval=1 + spread).astype(x.dtype)


def _by_chance(chance: Array, step: Transform) -> Transform:
    """As `medjax.augment.sometimes`, of a chance that may be traced."""

    def transform(key: Key[Array, ""], batch: Batch) -> Batch:
        choice, own = jax.random.split(key)
        draw = jax.vmap(lambda k: jax.random.uniform(k))
        return where_chosen(draw(keyed(choice, batch)) < chance, step, own, batch)

    return transform
