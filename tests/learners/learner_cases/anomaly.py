"""Detectors of anomalies on 8 x 8 images, for the laws of `tests/learners/anomaly`."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import tiny

from medjax.learners import anomaly, autoencoding, diffusion
from medjax.learners.adversarial import gan
from medjax.losses.pixel import l1
from medjax.models.backbone import Backbone, Features
from medjax.models.generative.autoencoders import Gaussian

SIZE = (8, 8)


class Maker(nn.Module):
    """Images by one dense layer."""

    @nn.compact
    def __call__(self, z, train=False):
        return nn.Dense(64)(z).reshape(-1, *SIZE, 1)


class Coder(nn.Module):
    """A variational autoencoder of two dense layers, which is soon compiled."""

    def setup(self):
        self.into, self.back = nn.Dense(8), nn.Dense(64)

    def posterior(self, x, label=None, train=False):
        return Gaussian.split(self.into(x.reshape(x.shape[0], -1)))

    def restored(self, code, x, label=None, train=False):
        return self.back(code).reshape(x.shape)

    def sampled(self, x, label=None, train=False):
        posterior = self.posterior(x)
        return self.restored(posterior.sample(self.make_rng("dropout")), x), posterior

    def coded(self, x, train=False):
        code = self.posterior(x).mean
        return self.restored(code, x), code

    def __call__(self, x, train=False):
        return self.coded(x)[0]


class Judge(Backbone):
    """Logits, or a code, from dense features without biases."""

    classes: int = 1

    @nn.compact
    def features(self, x, train=False):
        y = nn.leaky_relu(nn.Dense(16, use_bias=False)(x.reshape(x.shape[0], -1)))
        return Features(y, ())


class Denoiser(nn.Module):
    """Dense layers over an image and its level."""

    @nn.compact
    def __call__(self, x, time, condition=None, label=None, train=False):
        y = jnp.concatenate([x.reshape(x.shape[0], -1), jnp.tanh(time / 100)[:, None]], 1)
        return nn.Dense(64)(nn.silu(nn.Dense(64)(y))).reshape(x.shape)


class Painter(nn.Module):
    """Images from images, through a narrow layer."""

    width: int = 8

    @nn.compact
    def __call__(self, x, train=False):
        y = nn.Dense(self.width)(x.reshape(x.shape[0], -1))
        return nn.Dense(64)(y).reshape(x.shape)


def adam(rate=0.02):
    return optax.adam(rate)


def players():
    return Maker(), Judge()


def gan_learner():
    return gan(*players(), adam(), adam(), latent=4)


@functools.cache
def trained_gan():
    """The state of a GAN that has not learned yet."""
    start = {"image": jnp.zeros((2, *SIZE, 1)), "index": jnp.arange(2, dtype=jnp.int32)}
    return jax.jit(gan_learner().init)(jax.random.key(0, impl="philox2x32"), start)


def few_levels():
    return diffusion.select(diffusion.linear(), (9, 99, 199))


def vae():
    return autoencoding.vae(Coder(), adam(), beta=0.01)


ENERGY = anomaly.vae_energy(Coder(), beta=0.01)

CASES = {
    "reconstruction": lambda: anomaly.reconstruction(
        autoencoding.autoencoder(Coder(), adam()), sigma=0.5
    ),
    "anogan": lambda: anomaly.anogan(gan_learner(), *players(), latent=4, steps=3),
    "f_anogan": lambda: anomaly.f_anogan(Judge(4), *players(), adam(), trained_gan()),
    "ano_vae_gan": lambda: anomaly.ano_vae_gan(Coder(), Judge(), adam(), adam(), beta=0.01),
    "cvae_anomaly": lambda: anomaly.cvae_anomaly(Coder(), adam(), beta=0.01),
    "elbo_gradient": lambda: anomaly.elbo_gradient(vae(), ENERGY),
    "elbo_restoration": lambda: anomaly.elbo_restoration(vae(), ENERGY, steps=3),
    "ddad": lambda: anomaly.ddad(Painter(), adam(), members=2),
    "synomaly": lambda: anomaly.synomaly(
        Denoiser(),
        adam(),
        levels=few_levels(),
        level=1,
        stages=2,
        prediction="x0",
        noise=anomaly.synomaly_noise(size=1.0),
    ),
    "deep_svdd": lambda: anomaly.deep_svdd(Judge(0), adam(0.005), warmup=1),
    "masked_error": lambda: anomaly.masked_error(
        autoencoding.autoencoder(Coder(), adam(), loss=l1),
        lambda state, x, hidden: jnp.where(hidden[..., None], 0, x),
        unit=3,
    ),
    "ssl_error": lambda: anomaly.ssl_error(Painter(), adam(), unit=2, parts=2, boxes=2),
}


def prepared(batch):
    """The batch with a channel, and what is known of it."""
    return {**batch, "image": batch["image"][..., None], "known": batch["index"] < 6}


def oc_ssl():
    """The learner of `ddad`."""
    return tiny.seen_as(anomaly.oc_ssl(Painter(), adam(0.03), members=2), prepared)
