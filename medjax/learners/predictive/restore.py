"""Restoration: an image is damaged and has to be made whole again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.corrupt import (
    box_mask,
    inpaint,
    nonlinear_intensity,
    outpaint,
    shuffle_locally,
    swap_patches,
)
from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.image.similarity import mean_per_sample
from medjax.layers.conv import Size, per_axis
from medjax.learners.learner import Learner
from medjax.models.pretraining import Restorer

from .pretext import masked_mean, pretext


def inpainting(
    backbone: Any,
    optimizer: optax.GradientTransformation,
    *,
    boxes: int = 5,
    size: tuple[float, float] = (0.2, 0.35),
    width: int = 512,
    image: str = "image",
) -> Learner:
    """Context encoder of Pathak et al. 2016 (arXiv:1604.07379), without its adversary.

    As in the paper: random overlapping boxes are filled with a constant mean, an encoder and
    up-convolutions paint them, and the loss is the squared error within them. What differs:
    there is no discriminator, which the authors too leave out where features are the aim; 3D
    by the input; the constant is each image's own mean by channel.

    Args:
        backbone: see `medjax.models.pretraining.Restorer`.
        optimizer: any Optax transformation.
        boxes: number of boxes; the default ones hide about a third of a picture and a tenth
            of a volume.
        size: least and largest side of a box in parts of the image's.
        width: see `medjax.models.pretraining.Restorer`.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the network is ``state.params["backbone"]``.
    """

    def task(keys, x, batch):
        mask = jax.vmap(lambda key: box_mask(key, x.shape[1:-1], size, boxes))(keys)
        mean = x.mean(axis=tuple(range(1, x.ndim - 1)), keepdims=True)
        return (jnp.where(mask[..., None], mean, x),), (x, mask)

    def loss(restored, target):
        x, mask = target
        return masked_mean((restored - x.astype(restored.dtype)) ** 2, mask)

    return pretext(Restorer(backbone, width), task, loss, optimizer, image=image)


def context_restoration(
    backbone: Any,
    optimizer: optax.GradientTransformation,
    *,
    patch: Size,
    swaps: int = 10,
    image: str = "image",
) -> Learner:
    """Context restoration of Chen et al. 2019 (doi:10.1016/j.media.2019.101539).

    As in the paper: pairs of random patches are swapped, which keeps the distribution of
    intensities, and a network puts them back by the squared error of the whole image. What
    differs: 3D by the input.

    Args:
        backbone: see `medjax.models.pretraining.Restorer`.
        optimizer: any Optax transformation.
        patch: size of a patch in pixels along each axis.
        swaps: number of pairs.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the network is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for images into which two patches do not fit.
    """

    def damage(key: Key[Array, ""], x: Array) -> Array:
        return swap_patches(key, x, per_axis(patch, x.ndim - 1, "patch"), swaps)

    return _restored(backbone, damage, optimizer, image)


def models_genesis(
    backbone: Any,
    optimizer: optax.GradientTransformation,
    *,
    shuffle: float = 0.5,
    remap: float = 0.9,
    paint: float = 0.9,
    inner: float = 0.2,
    image: str = "image",
) -> Learner:
    """Models Genesis of Zhou et al. 2019 and 2021 (arXiv:1908.06912, arXiv:2004.07882).

    As there: voxels are shuffled locally, intensities mapped by a random curve, and a part
    painted over, each by chance; an encoder and decoder restores the image by its squared
    error. The chances are those of the authors' code. What differs: 2D and 3D by the input,
    curves within each image's own range, and `shuffle_locally`. Their mirroring, which is no
    damage, is left to `augmented`.

    Args:
        backbone: see `medjax.models.pretraining.Restorer`; theirs is a U-Net.
        optimizer: any Optax transformation.
        shuffle: chance of shuffling, in windows of up to a tenth of each side.
        remap: chance of the nonlinear map of intensities.
        paint: chance of painting.
        inner: chance that painting is inside (`inpaint`) and not outside (`outpaint`).
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the network is ``state.params["backbone"]``.

    Raises:
        InputError: for chances outside [0, 1].
    """
    chances = {"shuffle": shuffle, "remap": remap, "paint": paint, "inner": inner}
    for name, value in chances.items():
        if not 0 <= value <= 1:
            raise InputError(name, "a number from 0 to 1", value)

    def damage(key: Key[Array, ""], x: Array) -> Array:
        draws, *keys = jax.random.split(key, 5)
        shuffled, remapped, over, within = jax.random.uniform(draws, (4,))
        largest = tuple(max(n // 10, 1) for n in x.shape[:-1])
        x = jnp.where(shuffled < shuffle, shuffle_locally(keys[0], x, largest), x)
        x = jnp.where(remapped < remap, nonlinear_intensity(keys[1], x), x)
        over_it = jnp.where(within < inner, inpaint(keys[2], x), outpaint(keys[3], x))
        return jnp.where(over < paint, over_it, x)

    return _restored(backbone, damage, optimizer, image)


def _restored(
    backbone: Any,
    damage: Callable[[Key[Array, ""], Array], Array],
    optimizer: optax.GradientTransformation,
    image: str,
) -> Learner:
    """Undo what is done to one sample, by the mean squared error."""

    def task(keys, x, batch):
        return (jax.vmap(damage)(keys, x),), x

    def loss(restored, x):
        return mean_per_sample((restored - x.astype(restored.dtype)) ** 2)

    return pretext(Restorer(backbone), task, loss, optimizer, image=image)
