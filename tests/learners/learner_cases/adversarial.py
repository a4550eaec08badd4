"""Adversarial learners on tiny images, for the laws of `tests/learners/adversarial`."""

from __future__ import annotations

import jax.numpy as jnp
import optax
import tiny

from medjax.augment.discriminator import adaptive, diff_augment, translate
from medjax.learners import adversarial
from medjax.learners.adversarial import Penalty
from medjax.losses.adversarial import hinge
from medjax.losses.penalties import consistency, r1
from medjax.models.generative import (
    DCGANDiscriminator,
    DCGANGenerator,
    PatchGAN,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    TranslationResNet,
)

SIZE = (8, 8)


def adam(rate=5e-3):
    return optax.adam(rate, b1=0.5)


def players(**options):
    """Networks and optimisers, without batch norm."""
    generator = DCGANGenerator(SIZE, 1, (8,), norm="none", classes=options.pop("known", 0))
    discriminator = DCGANDiscriminator(widths=(8,), norm="none", **options)
    return generator, discriminator, adam(), adam()


def rising():
    """An adaptive augmentation of one kind, which is soon compiled."""
    return adaptive(images=100)._replace(transform=lambda chance: translate(1 / 8))


def mirrored(key, images):
    return jnp.flip(images, 2)


# name: a learner of images with one channel
MAKE = {
    "adversarial": lambda: adversarial.adversarial(
        *players(spectral=True),
        loss=hinge(),
        inputs=adversarial.latents(4),
        penalties=(Penalty(r1, 0.1, 2), Penalty(consistency(mirrored), 0.1)),
        augment=rising(),
        average=0.9,
    ),
    "gan": lambda: adversarial.gan(
        *players(deviation=4), latent=4, augment=diff_augment(("translation",))
    ),
    "dcgan": lambda: adversarial.dcgan(SIZE, widths=(8, 16), latent=4, learning_rate=5e-3),
    "wgan": lambda: adversarial.wgan(*players(), critic_steps=2, latent=4),
    "wgan_gp": lambda: adversarial.wgan_gp(*players(), critic_steps=2, latent=4),
    "cgan": lambda: adversarial.cgan(*players(known=3, labels=3), latent=4),
    "acgan": lambda: adversarial.acgan(*players(known=3, classes=4), latent=4),
    "semi_supervised_gan": lambda: adversarial.semi_supervised_gan(
        *players(classes=3), label="partly", latent=4
    ),
    "pix2pix": lambda: adversarial.pix2pix(
        TranslationResNet(1, (4, 8), blocks=1),
        PatchGAN((4, 8), norm="none"),
        adam(),
        adam(),
        weight=1.0,
    ),
    "cyclegan": lambda: adversarial.cyclegan(
        TranslationResNet(1, (4,), blocks=1),
        PatchGAN((4, 8), norm="none"),
        adam(),
        adam(),
        first="image",
        second="target",
        pool=12,
    ),
    "stylegan2": lambda: adversarial.stylegan2(
        StyleGAN2Generator(SIZE, 1, (4,), layers=1, width=4),
        StyleGAN2Discriminator((4, 4)),
        adam(),
        adam(),
        gamma=0.1,
        latent=4,
    ),
}


def prepared(batch):
    """The batch with a channel, classes that show, and another kind of image."""
    label = batch["index"] % 3
    bright = (label.astype(jnp.float32) - 1)[:, None, None, None]
    image = batch["image"][..., None] - 0.5 + 0.5 * bright
    return {
        "index": batch["index"],
        "image": image,
        "label": label,
        "partly": jnp.where(batch["index"] < 6, label, -1),
        "source": image,
        "target": jnp.tanh(-2 * image),
    }


CASES = {name: lambda make=make: tiny.seen_as(make(), prepared) for name, make in MAKE.items()}
