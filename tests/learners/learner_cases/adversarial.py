"""Adversarial learners on tiny images, for the laws of `tests/learners/adversarial`."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import tiny

from medjax.augment.discriminator import adaptive, diff_augment, translate
from medjax.layers.pool import average_pool
from medjax.layers.subpixel import SubPixel, nearest
from medjax.learners import adversarial
from medjax.learners.adversarial import Penalty
from medjax.learners.top_gan import top_gan as transferred
from medjax.losses.adversarial import hinge
from medjax.losses.penalties import consistency, r1
from medjax.losses.pixel import l1
from medjax.models.backbone import Backbone, Features
from medjax.models.generative import (
    DCGANDiscriminator,
    DCGANGenerator,
    PatchGAN,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    TranslationResNet,
)
from medjax.models.restoration import CNCL, DnCNN

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


class Parser(nn.Module):
    """Logits of three classes, of each pixel by itself."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3)(jnp.tanh(nn.Dense(8)(x)))


class Halves(Backbone):
    """Maps of a half and of a quarter of the image's size."""

    @nn.compact
    def features(self, x, train=False):
        fine = jnp.tanh(nn.Conv(4, (2, 2), 2)(x))
        coarse = jnp.tanh(nn.Conv(4, (2, 2), 2)(fine))
        return Features(coarse.mean((1, 2)), (fine, coarse))


class Painter(nn.Module):
    """Images by one convolution, which is soon compiled."""

    @nn.compact
    def __call__(self, x, train=False):
        return jnp.tanh(x[..., :1] + nn.Conv(1, (3, 3))(x))


def translators():
    """Networks from image to image, and of images."""
    return Painter(), DCGANDiscriminator(widths=(8,), norm="none")


def triple():
    generator, discriminator, *_ = players(known=3, labels=3)
    classifier = DCGANDiscriminator(3, widths=(8,), norm="none")
    return generator, classifier, discriminator, adam(), adam(), adam()


def td_gan():
    image = jnp.zeros((1, *SIZE, 1))
    frozen = Parser().init(jax.random.key(0, impl="philox2x32"), image)
    names = {"first": "image", "second": "target", "first_label": "regions"}
    optimizers = adam(), adam()
    return adversarial.td_gan(*translators(), Parser(), frozen, *optimizers, pool=0, **names)


class Larger(nn.Module):
    """Twice as large by one convolution, with another of a reference."""

    @nn.compact
    def __call__(self, x, reference=None, train=False):
        y = SubPixel(1, 2)(x)
        return y if reference is None else y + nn.Conv(1, (3, 3))(reference)


class Smaller(nn.Module):
    """Half as large by one convolution."""

    @nn.compact
    def __call__(self, x, train=False):
        return average_pool(nn.Conv(1, (3, 3))(x), 2)


class Pairs(nn.Module):
    """The logit of a fine image beside a coarse one, and five maps to go by."""

    @nn.compact
    def __call__(self, x, coarse, train=False):
        y = nn.leaky_relu(nn.Conv(4, (3, 3))(jnp.concatenate([x, nearest(coarse, 2)], -1)))
        return nn.Dense(1)(y.mean(axis=(1, 2))), [y] * 5


def judge():
    return DCGANDiscriminator(widths=(8,), norm="none")


def enlarging(make, discriminator, **options):
    """A learner of fine images from coarse ones, which are their means."""
    return tiny.seen_as(make(Larger(), discriminator, adam(), adam(), **options), coarse)


def coarse(batch):
    return {**batch, "high": batch["image"], "low": average_pool(batch["image"], 2)}


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
    "cncl": lambda: adversarial.cncl(
        CNCL(DnCNN(4, 2, residual=False), DnCNN(4, 2, residual=False)),
        PatchGAN((4, 8), norm="none"),
        adam(),
        adam(),
        weight=1.0,
    ),
    "pix2pix_efficientnet": lambda: adversarial.pix2pix_efficientnet(
        backbone=Halves(),
        features=(8, 4),
        reduction=4,
        discriminator=PatchGAN((4, 8), norm="none"),
        learning_rate=5e-3,
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
    "gan_3d": lambda: tiny.seen_as(
        adversarial.gan_3d((4, 4, 4), widths=(4,), latent=4, learning_rates=(5e-3, 5e-3)),
        lambda batch: {**batch, "image": jax.nn.sigmoid(batch["image"]).reshape(8, 4, 4, 4, 1)},
    ),
    "triple_gan": lambda: adversarial.triple_gan(*triple(), classes=3, label="partly", latent=4),
    "infilling_gan": lambda: adversarial.infilling_gan(
        adversarial.Infiller(Painter(), 3),
        *players(labels=3)[1:],
        weight=1.0,
        boundary=1.0,
        sigma=1.0,
    ),
    "shape_consistent_gan": lambda: adversarial.shape_consistent_gan(
        *translators(),
        Parser(),
        adam(),
        adam(),
        first="image",
        second="target",
        first_label="regions",
        second_label="regions",
        pool=0,
    ),
    "td_gan": td_gan,
    "super_resolution_gan": lambda: enlarging(adversarial.super_resolution_gan, judge()),
    "rirgan": lambda: enlarging(adversarial.rirgan, judge()),
    "medsrgan": lambda: enlarging(adversarial.medsrgan, Pairs()),
    "three_stage_gan": lambda: enlarging(adversarial.three_stage_gan, judge(), perceptual=l1),
    "t_gan": lambda: enlarging(adversarial.t_gan, Pairs(), reference="target"),
    "cycle_sr": lambda: tiny.seen_as(
        adversarial.cycle_sr(Larger(), Smaller(), judge(), adam(), adam(), perceptual=l1, pool=0),
        coarse,
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
        "mask": jnp.zeros(image.shape[:-1], bool).at[:, 2:5, 3:6].set(True),
        "regions": jnp.digitize(image[..., 0], jnp.asarray([-0.2, 0.2])).astype(jnp.int32),
        "source": image,
        "target": jnp.tanh(-2 * image),
    }


def top_gan():
    """A classifier from a GAN's discriminator, whose loss falls as any."""
    gan = MAKE["gan"]()
    shapes = {"image": jnp.zeros((1, *SIZE, 1)), "index": jnp.zeros(1, jnp.int32)}
    state = gan.init(jax.random.key(0, impl="philox2x32"), shapes)
    classifier = DCGANDiscriminator(3, widths=(8,), norm="none", deviation=4)
    return tiny.seen_as(transferred(classifier, adam(0.02), state), prepared)


CASES = {name: lambda make=make: tiny.seen_as(make(), prepared) for name, make in MAKE.items()}
