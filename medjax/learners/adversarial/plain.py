"""GANs from noise: the settings of `adversarial` that have names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.learners.learner import Learner
from medjax.losses.adversarial import non_saturating, wasserstein
from medjax.losses.penalties import gradient_penalty, r1
from medjax.models.generative.dcgan import DCGANDiscriminator, DCGANGenerator

from .adversarial import adversarial, latents
from .regularise import Penalty, path_length


def gan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    latent: int = 128,
    **options: Any,
) -> Learner:
    """The first GAN (Goodfellow et al. 2014, arXiv:1406.2661), with its non-saturating loss.

    Args:
        generator: ``(latent, train) -> images``.
        discriminator: ``(images, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        latent: channels of the noise.
        **options: of `adversarial`.
    """
    networks = (generator, discriminator, generator_optimizer, discriminator_optimizer)
    return adversarial(*networks, inputs=latents(latent), loss=non_saturating(), **options)


def dcgan(
    size: tuple[int, ...],
    *,
    channels: int = 1,
    widths: Sequence[int] = (64, 128, 256, 512),
    latent: int = 100,
    learning_rate: float = 2e-4,
    **options: Any,
) -> Learner:
    """DCGAN (Radford et al. 2016, arXiv:1511.06434), 2D or 3D by ``size``.

    As in the paper: its networks, and Adam at 0.0002 with a momentum of 0.5 for both. Images
    are in [-1, 1]. In 3D it is the plain form of 3D-GAN (Wu et al. 2016, arXiv:1610.07584).

    Args:
        size: spatial sizes, multiples of 2 to the power of ``len(widths)``.
        channels: of the images.
        widths: of the discriminator's convolutions; the generator has them the other way round.
        latent: channels of the noise.
        learning_rate: of both.
        **options: of `adversarial`.
    """
    generator = DCGANGenerator(size, channels, tuple(reversed(widths)))
    discriminator = DCGANDiscriminator(widths=tuple(widths))
    adam = partial(optax.adam, learning_rate, b1=0.5)
    return gan(generator, discriminator, adam(), adam(), latent=latent, **options)


def wgan(
    generator: Any,
    critic: Any,
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
    *,
    clip: float = 0.01,
    critic_steps: int = 5,
    latent: int = 128,
    **options: Any,
) -> Learner:
    """Wasserstein GAN with clipped weights (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

    The paper's optimiser is RMSProp at 0.00005, without momentum. Each of the critic's steps has
    its own part of the batch, as in the paper each has its own batch.

    Args:
        generator: as for `gan`.
        critic: ``(images, train) -> values``.
        generator_optimizer: any Optax transformation.
        critic_optimizer: another; its updates are cut so that weights stay within the bounds.
        clip: largest magnitude of the critic's weights.
        critic_steps: for each of the generator's.
        latent: channels of the noise.
        **options: of `adversarial`.

    Raises:
        InputError: for bounds that are not positive.
    """
    return adversarial(
        generator,
        critic,
        generator_optimizer,
        optax.chain(critic_optimizer, within(clip)),
        loss=wasserstein(),
        inputs=latents(latent),
        discriminator_steps=critic_steps,
        **options,
    )


def wgan_gp(
    generator: Any,
    critic: Any,
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
    *,
    weight: float = 10.0,
    critic_steps: int = 5,
    latent: int = 128,
    **options: Any,
) -> Learner:
    """Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    The paper's optimiser is Adam at 0.0001 with ``b1=0, b2=0.9``. The critic must look at each
    sample by itself: no batch norm in it.

    Args:
        generator: as for `gan`.
        critic: ``(images, train) -> values``.
        generator_optimizer: any Optax transformation.
        critic_optimizer: another.
        weight: of the penalty.
        critic_steps: see `wgan`.
        latent: channels of the noise.
        **options: of `adversarial`.
    """
    return adversarial(
        generator,
        critic,
        generator_optimizer,
        critic_optimizer,
        loss=wasserstein(),
        inputs=latents(latent),
        penalties=(Penalty(gradient_penalty, weight),),
        discriminator_steps=critic_steps,
        **options,
    )


def stylegan2(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    gamma: float = 10.0,
    penalty_every: int = 16,
    path_weight: float = 2.0,
    path_every: int = 4,
    latent: int = 512,
    average: float = 0.999,
    **options: Any,
) -> Learner:
    """StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): R1 and path length, both lazily.

    As in the paper: the non-saturating loss, R1 in each 16th step, path length regularisation
    in each fourth, style mixing (the generator's ``mixing``), an average of the generator. The
    authors' optimiser is Adam at 0.002 with ``b1=0, b2=0.99``; with lazy regularisation they
    scale the rate by ``c = k / (k + 1)`` and raise the betas to the power of c, which is the
    caller's. `medjax.augment.discriminator.adaptive` as ``augment`` makes it StyleGAN2-ADA.

    Args:
        generator: with methods ``styles`` and ``synthesise``:
            `medjax.models.generative.StyleGAN2Generator`.
        discriminator: ``(images, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        gamma: weight of R1.
        penalty_every: steps from one R1 to the next.
        path_weight: of path length regularisation; 0 for none.
        path_every: steps from one to the next.
        latent: channels of the noise.
        average: decay of the generator's average.
        **options: of `adversarial`.
    """
    path = path_length(path_weight, path_every)
    return gan(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        latent=latent,
        penalties=(Penalty(r1, gamma, penalty_every),),
        regularisers=(path,) if path_weight else (),
        average=average,
        **options,
    )


def within(limit: float) -> optax.GradientTransformation:
    """Cut updates so that parameters end within ``[-limit, limit]``, but for rounding.

    Raises:
        InputError: for a limit that is not positive.
    """
    if not limit > 0:
        raise InputError("clip", "a number above 0", limit)

    def update(updates, state, params):
        cut = jax.tree.map(lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params)
        return cut, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
