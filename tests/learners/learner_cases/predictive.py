"""Pretext tasks on tiny images, for the laws of learners."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import optax
import tiny

from medjax.core.arrays import per_sample
from medjax.layers import Conv
from medjax.learners import predictive
from medjax.models.backbone import Backbone, Features
from medjax.models.pretraining import MAEDecoder
from medjax.models.unet import UNet
from medjax.models.vit import ViT

ADAM = optax.adam(1e-2)


class Tiny(Backbone):
    """Two stages with batch norm, so that there are other collections too."""

    @nn.compact
    def features(self, x, train=False):
        maps = []
        for width in (16, 32):
            x = Conv(width, strides=2, use_bias=False)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
            maps.append(x)
        return Features(x.mean(axis=tuple(range(1, x.ndim - 1))), tuple(maps))


def vit(patch=2):
    return ViT(width=32, depth=1, heads=2, patch=patch, image_size=8, positions="sinusoidal")


def unet():
    return UNet(1, (4, 8))


# name: a learner of images with one channel
MAKE = {
    "mae": lambda: predictive.mae(vit(), ADAM, decoder=MAEDecoder(32, 1, 2)),
    "simmim": lambda: predictive.simmim(vit(), ADAM, unit=4),
    "inpainting": lambda: predictive.inpainting(Tiny(), ADAM, width=32),
    "colourisation": lambda: predictive.colourisation(Tiny(), ADAM, kind="intensity", width=128),
    "relative_patch": lambda: predictive.relative_patch(Tiny(), ADAM, patch=2),
    "jigsaw": lambda: predictive.jigsaw(Tiny(), ADAM, grid=2, count=8, hidden=64),
    "rotation": lambda: predictive.rotation(Tiny(), ADAM),
    "rubiks_cube": lambda: predictive.rubiks_cube(Tiny(), ADAM, count=8, hidden=64),
    "rubiks_cube_plus": lambda: predictive.rubiks_cube_plus(Tiny(), ADAM, count=8, hidden=64),
    "context_restoration": lambda: predictive.context_restoration(unet(), ADAM, patch=2),
    "models_genesis": lambda: predictive.models_genesis(unet(), ADAM),
    "anatomical_position": lambda: predictive.anatomical_position(Tiny(), ADAM, patch=4),
    "metadata": lambda: predictive.metadata(Tiny(), ADAM, targets={"half": 2, "mean": None}),
}


def prepared(batch):
    """The batch with a channel, with samples that differ in brightness, and fields of a header."""
    mean = batch["index"].astype(jnp.float32) / 4 - 1
    x = 0.3 * batch["image"][..., None]
    x = x + per_sample(mean, x.ndim)
    return {**batch, "image": x, "half": batch["index"] % 2, "mean": mean}


CASES = {name: lambda make=make: tiny.seen_as(make(), prepared) for name, make in MAKE.items()}
