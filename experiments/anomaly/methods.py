"""The detectors, at the size of this experiment; nothing in here was chosen by their scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
from data import SIZE

from medjax.learners import adversarial, anomaly, autoencoding, diffusion
from medjax.learners.learner import Learner
from medjax.losses.pixel import l1
from medjax.models import UNet
from medjax.models.generative import (
    GMVAE,
    VAE,
    Autoencoder,
    DCGANDiscriminator,
    DCGANGenerator,
    DiffusionUNet,
)

WIDTHS = (8, 16, 32)  # channels at each size, of all networks
LATENT = 32  # numbers of a code
GRID = tuple(n // 2 ** (len(WIDTHS) - 1) for n in SIZE)
VECTOR = {"out_channels": 1, "features": WIDTHS, "latent": LATENT, "vector": GRID, "groups": 8}
SPATIAL = {"out_channels": 1, "features": WIDTHS, "latent": 1, "groups": 8}
BETA = 0.02  # voxels have normal errors of the deviation 0.1


def adam(steps: int, rate: float = 1e-3) -> optax.GradientTransformation:
    """With a warm-up and a cosine."""
    return optax.adam(
        optax.warmup_cosine_decay_schedule(0.0, rate, max(1, steps // 20), max(2, steps))
    )


@dataclasses.dataclass(frozen=True)
class Training:
    """A learner, and the detectors that look at what it has learned.

    Attributes:
        learner: ``(steps, state of `after`, or None) -> learner``.
        detectors: label to ``(steps, state of `after`) -> Detector`` of that learner.
        after: another training whose state this one begins with.
        batch_size: of a step.
    """

    learner: Callable[[int, Any], Learner]
    detectors: dict[str, Callable[[int, Any], anomaly.Detector]]
    after: str | None = None
    batch_size: int = 16


def alone(make: Callable[..., anomaly.Detector], *labels: str, **more: Any) -> Training:
    """A training with detectors that bring their learners, which are the same."""
    functions = dict.fromkeys(labels, make) | more.pop("detectors", {})
    return Training(lambda steps, start: make(steps, start).learner, functions, **more)


def autoencoder(steps, start=None):
    learner = autoencoding.autoencoder(Autoencoder(**VECTOR), adam(steps), loss=l1)
    return anomaly.reconstruction(learner)


def vae_learner(steps):
    return autoencoding.vae(VAE(**VECTOR), adam(steps), beta=BETA)


def vae(steps, start=None):
    return anomaly.reconstruction(vae_learner(steps))


def vae_slope(steps, start=None):
    return anomaly.elbo_gradient(vae_learner(steps), anomaly.vae_energy(VAE(**VECTOR), beta=BETA))


def vae_restored(steps, start=None):
    energy = anomaly.vae_energy(VAE(**VECTOR), beta=BETA)
    return anomaly.elbo_restoration(vae_learner(steps), energy, steps=30)


def gmvae_restored(steps, start=None):
    module = GMVAE(**SPATIAL, components=6)
    learner = autoencoding.gmvae(module, adam(steps), beta=BETA)
    return anomaly.elbo_restoration(learner, anomaly.gmvae_energy(module, beta=BETA), steps=30)


def cvae(steps, start=None):
    return anomaly.cvae_anomaly(VAE(**VECTOR), adam(steps), beta=BETA)


def ano_vae_gan(steps, start=None):
    judge = DCGANDiscriminator(widths=WIDTHS, norm="none")
    return anomaly.ano_vae_gan(
        VAE(**SPATIAL), judge, adam(steps), optax.adam(2e-4, b1=0.5), beta=BETA
    )


def players():
    generator = DCGANGenerator(SIZE, 1, tuple(reversed(WIDTHS)))
    return generator, DCGANDiscriminator(widths=WIDTHS, norm="none")


def wgan_gp(steps, start=None):
    optimizers = (optax.adam(2e-4, b1=0.0, b2=0.9) for _ in range(2))
    return adversarial.wgan_gp(*players(), *optimizers, latent=LATENT, average=0.99)


def anogan(steps, start=None):
    return anomaly.anogan(wgan_gp(steps), *players(), latent=LATENT, steps=100)


def f_anogan(steps, start):
    encoder = DCGANDiscriminator(LATENT, widths=WIDTHS, norm="none")
    return anomaly.f_anogan(encoder, *players(), adam(steps), start)


def ddad(kind):
    def make(steps, start=None):
        return anomaly.ddad(Autoencoder(**VECTOR), adam(steps), members=2, kind=kind, loss=l1)

    return make


def synomaly(steps, start=None):
    levels = diffusion.cosine()
    network = DiffusionUNet(1, features=WIDTHS, blocks=1, attention=(), groups=8)
    inside = lambda image: image[..., 0] > -0.8  # noqa: E731
    noise = anomaly.synomaly_noise(size=2.0, threshold=0.65, inside=inside)
    return anomaly.synomaly(network, adam(steps), levels=levels, level=300, noise=noise)


class Plain(nn.Module):
    """Convolutions without biases, so that not all images can be mapped to one point."""

    @nn.compact
    def __call__(self, x, train=False):
        for width in WIDTHS:
            x = nn.leaky_relu(nn.Conv(width, (4, 4), 2, use_bias=False)(x))
        return nn.Dense(32, use_bias=False)(x.reshape(x.shape[0], -1))


def deep_svdd(steps, start=None):
    optimizer = optax.adamw(1e-4, weight_decay=1e-4)
    return anomaly.deep_svdd(Plain(), optimizer, warmup=max(1, min(50, steps // 2)))


def inpainting(steps, start=None):
    return anomaly.ssl_error(UNet(1, features=WIDTHS), adam(steps), unit=4, parts=4)


TRAININGS = {
    "autoencoder": alone(autoencoder, "autoencoder"),
    "vae": alone(vae, "VAE", detectors={"VAE, slope": vae_slope, "VAE, restoration": vae_restored}),
    "gmvae": alone(gmvae_restored, "GMVAE, restoration"),
    "cvae": alone(cvae, "context-encoding VAE"),
    "ano_vae_gan": alone(ano_vae_gan, "AnoVAEGAN"),
    "wgan_gp": Training(wgan_gp, {"AnoGAN": anogan}, batch_size=80),
    "f_anogan": alone(f_anogan, "f-AnoGAN", after="wgan_gp"),
    "ddad": alone(ddad("inter"), "DDAD, inter", detectors={"DDAD, intra": ddad("intra")}),
    "synomaly": alone(synomaly, "Synomaly"),
    "deep_svdd": alone(deep_svdd, "Deep SVDD"),
    "inpainting": alone(inpainting, "inpainting error"),
}


def controls(images: np.ndarray) -> dict[str, Callable[[np.ndarray, int], np.ndarray]]:
    """Maps without learning, ``(test images, seed) -> (slice, y, x)``, from training images."""
    mean, deviation = images.mean(0), images.std(0) + 0.05
    flat = images.reshape(len(images), -1)

    def nearest(x: np.ndarray, seed: int) -> np.ndarray:
        apart = (
            (x.reshape(len(x), -1) ** 2).sum(1)[:, None]
            - 2 * x.reshape(len(x), -1) @ flat.T
            + (flat**2).sum(1)[None]
        )
        return np.abs(x - images[apart.argmin(1)])[..., 0]

    return {
        "chance": lambda x, seed: np.random.default_rng(seed).random(x.shape[:-1]),
        "brightness": lambda x, seed: x[..., 0],
        "z-score": lambda x, seed: np.abs((x - mean) / deviation)[..., 0],
        "nearest training slice": nearest,
    }


def batches(normal: np.ndarray, unlabelled: np.ndarray, with_unlabelled: bool):
    """``indices -> batch`` and how many there are; only DDAD sees what is not known."""
    images = np.concatenate([normal, unlabelled]) if with_unlabelled else normal

    def batch_of(chosen: np.ndarray) -> dict[str, Any]:
        return {
            "image": jnp.asarray(images[chosen]),
            "known": jnp.asarray(chosen < len(normal)),
            "index": jnp.asarray(chosen, jnp.int32),
        }

    return batch_of, len(images)
