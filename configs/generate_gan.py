"""A GAN of the images of a prepared store, in 2D or 3D: DCGAN, WGAN-GP or StyleGAN2.

    medjax data prepare FOLDER stores/slices
    medjax train configs/generate_gan.py --store stores/slices --run runs/stylegan2
    medjax weights export runs/stylegan2 -o generator.safetensors
    medjax show configs/generate_gan.py --method dcgan --size 64 64

Networks, losses and rates are the papers' (see `medjax.learners.adversarial`) at the widths that
are asked for. The scalars of a run are a log of stability: losses and their ratio, gradients,
and how often the discriminator is right. Where one player has won or gradients run away the run
says so, or stops. The run's folder has pictures of the same sixteen latents at every so many
steps in ``samples/``, and at the end the film of them. The generator's average is what is kept.
Without a store, 'show' works and 'train' does not.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from medjax import data, learners, training
from medjax.augment.discriminator import adaptive, diff_augment
from medjax.core.errors import InputError
from medjax.learners import adversarial
from medjax.models.generative import (
    DCGANDiscriminator,
    DCGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)


def experiment(
    *,
    store: str = "",
    method: Literal["dcgan", "wgan_gp", "stylegan2"] = "stylegan2",
    size: tuple[int, ...] = (64, 64),
    channels: int = 1,
    width: int = 32,
    most: int = 256,
    latent: int = 128,
    low: float = 0.0,
    high: float = 1.0,
    augment: Literal["none", "diff", "adaptive"] = "diff",
    gamma: float = 1.0,
    precision: Literal["float32", "bfloat16"] = "float32",
    steps: int = 20_000,
    batch_size: int = 32,
    learning_rate: float = 2e-4,
    average: float = 0.999,
    per_image: int = 1,
    cache: float = 0.0,
    workers: int = 0,
    placement: str = "data",
    on_error: Literal["raise", "skip"] = "raise",
    checkpoint_every: int = 500,
    draw_every: int = 500,
    on_unstable: Literal["warn", "stop", "ignore"] = "warn",
    seed: int = 0,
) -> training.Experiment:
    """One run.

    Args:
        store: folder or URL, as 'medjax data prepare' makes it.
        method: DCGAN, WGAN with a gradient penalty, or StyleGAN2.
        size: of the images along each axis, two or three numbers that halve to 4 or so.
        channels: of the store's images, where no store is given.
        width: channels of the finest maps; each halving doubles them.
        most: channels at most.
        latent: channels of the noise.
        low: brightness that the networks see as -1; darker is cut.
        high: brightness that they see as 1.
        augment: what the discriminator sees images through; it keeps it from learning a small
            set by heart.
        gamma: weight of StyleGAN2's R1.
        precision: of the networks' computation; parameters are float32.
        steps: of training.
        batch_size: images a step, over all devices; WGAN-GP's critic takes five times as many.
        learning_rate: of both players; ten times this for StyleGAN2, as in the papers.
        average: decay of the generator's average.
        per_image: patches of each image in an epoch.
        cache: GiB of memory for decoded images, once a host, whatever the workers.
        workers: loader processes.
        placement: of state and batch over the devices, such as data or fsdp.
        on_error: stop at a case that cannot be read, or skip and list it.
        checkpoint_every: steps between checkpoints.
        draw_every: steps between pictures.
        on_unstable: what to do where the training seems to fail; a critic is not judged.
        seed: of everything random.
    """
    if not low < high:
        raise InputError("--high", f"a number above --low, {low}", high)
    halvings = max(1, min(size).bit_length() - 3) if min(size) > 0 else 1
    archive = data.Archive(store, size, per_image, cache)
    channels = archive.channels(channels)
    fine = tuple(min(most, width * 2**level) for level in range(halvings + 1))
    dtype = {"dtype": jnp.dtype(precision)}
    seen = {"none": None, "diff": diff_augment(), "adaptive": adaptive()}[augment]
    shared = {"latent": latent, "average": average, "augment": seen}
    critic_steps = 5 if method == "wgan_gp" else 1
    if method == "stylegan2":
        learner = adversarial.stylegan2(
            StyleGAN2Generator(size, channels, fine[::-1], width=most, **dtype),
            StyleGAN2Discriminator(fine, **dtype),
            lazy(10 * learning_rate, 4),
            lazy(10 * learning_rate, 16),
            gamma=gamma,
            **shared,
        )
    else:
        if method == "dcgan":
            make, norm, (b1, b2) = adversarial.gan, "batch", (0.5, 0.999)
        else:
            make = partial(adversarial.wgan_gp, critic_steps=critic_steps)
            norm, (b1, b2) = "none", (0.0, 0.9)
        adam = partial(optax.adam, learning_rate, b1=b1, b2=b2)
        learner = make(
            DCGANGenerator(size, channels, fine[:halvings][::-1], **dtype),
            DCGANDiscriminator(widths=fine[:halvings], norm=norm, **dtype),
            adam(),
            adam(),
            **shared,
        )
    batch_size *= critic_steps

    def scaled(key, batch):
        image = 2 * (batch["image"] - low) / (high - low) - 1
        return {**batch, "image": jnp.clip(image, -1, 1)}

    return training.Experiment(
        title=f"{method}, images of {size}",
        learner=learners.augmented(learner, scaled),
        example={
            "image": jax.ShapeDtypeStruct((batch_size, *size, channels), jnp.float32),
            "index": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        },
        train=archive.training(
            batch_size=batch_size, seed=seed, workers=workers, on_error=on_error
        ),
        steps=steps,
        seed=seed,
        checkpoint_every=checkpoint_every,
        samples=training.Samples(batch={"index": np.arange(16, dtype=np.int32)}, every=draw_every),
        rules=() if method == "wgan_gp" else training.adversarial_rules(),
        on_unstable=on_unstable,
        placement=training.Placement.parse(placement),
        pretrained=adversarial.generator_variables,
    )


def lazy(rate: float, every: int) -> optax.GradientTransformation:
    """StyleGAN2's Adam, as its authors scale it where a term is computed every so-manieth step."""
    c = every / (every + 1)
    return optax.adam(rate * c, b1=0.0, b2=0.99**c)
