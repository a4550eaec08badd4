"""Cases of the diffusion and autoencoder learners, on 8 x 8 images of eight samples."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax import learners
from medjax.learners import autoencoding, diffusion
from medjax.losses.pixel import l2
from medjax.models.generative import GMVAE, VAE, VQVAE, Autoencoder, StackedAutoencoder


class Denoiser(nn.Module):
    """Dense layers over an image, its level, an image to go by and a class."""

    @nn.compact
    def __call__(self, x, time, condition=None, label=None, train=False):
        parts = [x, 0 * x + jnp.tanh(time / 100)[:, None, None]]
        if condition is not None:
            parts.append(condition)
        if label is not None:
            parts.append(0 * x + label.astype(jnp.float32)[:, None, None])
        y = jnp.concatenate([part.reshape(x.shape[0], -1) for part in parts], 1)
        y = nn.Dense(x[0].size)(nn.silu(nn.Dense(128)(y)))
        return y.reshape(x.shape)


def conditioned(key, batch):
    """Images about between -1 and 1, a blurred one to go by, and classes."""
    image = 2 * batch["image"] - 1
    blurred = (image + jnp.roll(image, 1, 1) + jnp.roll(image, 1, 2)) / 3
    label = batch["index"] % 3
    return {**batch, "image": image, "blurred": blurred, "label": label}


def channelled(key, batch):
    """Images with a channel, and classes."""
    batch = conditioned(key, batch)
    return {**batch, "image": batch["image"][..., None]}


def holes(key, images):
    return images * jax.random.bernoulli(key, 0.9, images.shape).astype(images.dtype)


ADAM = optax.adam(0.01)
# A residual block each way: one level, and the code is as large as the image or smaller.
SMALL = {"out_channels": 1, "latent": 4, "features": (8, 8), "blocks": 0, "groups": 4}
SIGMOID = Autoencoder(**SMALL, code_activation=nn.sigmoid)
FEW = diffusion.select(diffusion.linear(), (0, *diffusion.few(4)))


def prepared(learner, transform=conditioned):
    """`learner` on transformed batches, in training and in use."""
    learner = learners.augmented(learner, transform)
    return learner._replace(
        predict=lambda state, batch, predict=learner.predict: predict(state, transform(None, batch))
    )


FAST = optax.adam(0.03)


def coding(learner):
    return prepared(learner, channelled)


CASES = {
    "ddpm": lambda: learners.averaged(
        prepared(
            diffusion.ddpm(
                Denoiser(),
                ADAM,
                condition="blurred",
                label="label",
                drop=0.2,
                guidance=2.0,
                prediction="v",
                clip=(-1, 1),
                sampling=FEW,
            )
        ),
        0.9,
    ),
    "fast_ddpm": lambda: prepared(
        diffusion.fast_ddpm(Denoiser(), ADAM, spacing="non_uniform", condition="blurred")
    ),
    "diffdenoise": lambda: prepared(
        diffusion.diffdenoise(
            Denoiser(),
            ADAM,
            lambda noisy: (noisy + jnp.roll(noisy, 1, 1)) / 2,
            prediction="v",
            sampling=FEW,
        )
    ),
    "edm": lambda: prepared(
        learners.accumulated(
            diffusion.edm(Denoiser(), ADAM, data=0.6, sampling=diffusion.karras(4)), 2
        )
    ),
    "autoencoder": lambda: coding(autoencoding.autoencoder(Autoencoder(**SMALL), FAST)),
    "denoising_autoencoder": lambda: coding(
        autoencoding.denoising_autoencoder(Autoencoder(**SMALL), FAST, holes)
    ),
    "sparse_autoencoder": lambda: coding(
        learners.accumulated(autoencoding.sparse_autoencoder(SIGMOID, FAST, target=0.3), 2)
    ),
    "contractive_autoencoder": lambda: coding(
        autoencoding.contractive_autoencoder(Autoencoder(**SMALL), FAST, contraction=1e-4)
    ),
    "stacked_autoencoder": lambda: coding(
        autoencoding.stacked_autoencoder(StackedAutoencoder(1, (16, 32)), FAST, pretraining=10)
    ),
    "vae": lambda: coding(learners.averaged(autoencoding.vae(VAE(**SMALL), FAST, beta=0.01), 0.9)),
    "cvae": lambda: coding(
        autoencoding.cvae(VAE(**SMALL, classes=3, vector=(4, 4)), FAST, beta=0.01)
    ),
    "gmvae": lambda: coding(
        autoencoding.gmvae(GMVAE(**SMALL, components=3, hidden=8), FAST, beta=0.01)
    ),
    "kl_autoencoder": lambda: coding(
        autoencoding.kl_autoencoder(VAE(**SMALL, attention=True), FAST, loss=l2)
    ),
    "vqvae": lambda: coding(
        autoencoding.vqvae(VQVAE(**SMALL, entries=64, decay=0.5, restart=0.1), FAST)
    ),
}
