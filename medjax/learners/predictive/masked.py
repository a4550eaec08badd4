"""Masked image modelling: most of the image is hidden and painted again."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.augment.corrupt import enlarged, masked_count, random_mask
from medjax.core.errors import InputError
from medjax.core.types import Array, Float
from medjax.layers.conv import Size, per_axis
from medjax.layers.patch import patch_grid, to_patches
from medjax.learners.learner import Learner
from medjax.models.pretraining import MAEDecoder, MaskedAutoencoder, SimMIM
from medjax.models.vit import ViT

from .pretext import masked_mean, pretext


def mae(
    backbone: ViT,
    optimizer: optax.GradientTransformation,
    *,
    ratio: float = 0.75,
    decoder: MAEDecoder | None = None,
    image: str = "image",
) -> Learner:
    """Masked autoencoder of He et al. 2022 (arXiv:2111.06377); in 3D as Chen et al. 2023 do.

    As in the paper: random patches are hidden, the encoder sees the others alone, a light
    decoder paints all of them from its output and learned vectors, and the loss is the
    squared error at hidden patches, whose values are normalised patch by patch. What
    differs: 3D by the input (arXiv:2204.11716), and an image that is no whole number of
    patches is filled with zeros, which count.

    Args:
        backbone: the encoder, without head. Sinusoidal positions are the paper's.
        optimizer: any Optax transformation.
        ratio: share of the patches that is hidden, rounded up.
        decoder: by default the paper's, 8 blocks of width 512, in the backbone's dtype.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the encoder is ``state.params["backbone"]``.

    Raises:
        InputError: when called, for a ratio that hides no patch or all.
    """
    decoder = MAEDecoder(dtype=backbone.dtype) if decoder is None else decoder

    def task(keys, x, batch):
        count = math.prod(patch_grid(x.shape[1:-1], backbone.patch))
        mask = jax.vmap(lambda key: random_mask(key, (count,), ratio))(keys)
        order = jnp.argsort(mask, axis=-1, stable=True)
        patches = to_patches(x, backbone.patch).reshape(x.shape[0], count, -1)
        inputs = (x, order, count - masked_count(count, ratio))
        return inputs, (normalised_patches(patches), mask)

    def loss(predicted, target):
        patches, mask = target
        return masked_mean((predicted - patches) ** 2, mask)

    return pretext(MaskedAutoencoder(backbone, decoder), task, loss, optimizer, image=image)


def normalised_patches(patches: Float[Array, "... values"]) -> Float[Array, "... values"]:
    """Each patch with mean 0 and variance 1, float32; one without contrast is zero.

    The variance is over one value fewer than there are, and 1e-6 is added to it, as in the
    authors' code.
    """
    patches = patches.astype(jnp.float32)
    patches = patches - patches.mean(axis=-1, keepdims=True)
    freedom = max(patches.shape[-1] - 1, 1)
    variance = jnp.sum(patches**2, axis=-1, keepdims=True) / freedom
    return patches * jax.lax.rsqrt(variance + 1e-6)


def simmim(
    backbone: Any,
    optimizer: optax.GradientTransformation,
    *,
    ratio: float = 0.6,
    unit: Size = 32,
    image: str = "image",
) -> Learner:
    """SimMIM of Xie et al. 2022 (arXiv:2111.09886): raw pixels by a linear head.

    As in the paper: random units are hidden from a backbone that sees all tokens, and the
    loss is the absolute error at hidden pixels. What differs: 3D by the input; see also
    `medjax.models.pretraining.SimMIM`.

    Args:
        backbone: `ViT` or `Swin`, without head.
        optimizer: any Optax transformation.
        ratio: share of the units that is hidden, rounded up.
        unit: size of a unit in pixels, whole patches of the backbone; 32 in the paper.
        image: see `pretext`.

    Returns:
        A learner as `pretext` makes it; the backbone is ``state.params["backbone"]``.

    Raises:
        InputError: for a backbone without patches; when called, for a unit that is not made
            of patches, or a ratio that hides no unit or all.
    """
    if not hasattr(backbone, "patch"):
        name = type(backbone).__name__
        raise InputError("backbone", "one that embeds patches, ViT or Swin", name)

    def task(keys, x, batch):
        spatial = x.shape[1:-1]
        units = per_axis(unit, len(spatial), "unit")
        patch = per_axis(backbone.patch, len(spatial), "patch")
        if any(u % p for u, p in zip(units, patch, strict=True)):
            raise InputError("unit", f"a multiple of the patch {patch}", units)
        grid = patch_grid(spatial, units)
        hide = jax.vmap(lambda key: enlarged(random_mask(key, grid, ratio), units, spatial))
        mask = hide(keys)
        return (x, mask), (x, mask)

    def loss(predicted, target):
        x, mask = target
        return masked_mean(jnp.abs(predicted - x.astype(predicted.dtype)), mask)

    return pretext(SimMIM(backbone), task, loss, optimizer, image=image)
