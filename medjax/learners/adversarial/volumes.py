"""3D-GAN: volumes from noise, and a discriminator that rests while it is ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from medjax.core.errors import InputError
from medjax.core.types import Array, Key
from medjax.learners.learner import Learner
from medjax.losses.adversarial import non_saturating
from medjax.models.backbone import Features
from medjax.models.generative.dcgan import DCGANDiscriminator, DCGANGenerator

from .adversarial import adversarial, latents


class _Centred(DCGANDiscriminator):
    """Sees what is from 0 to 1 as from -1 to 1."""

    def features(self, x: Array, train: bool = False) -> Features:
        return super().features(2 * x - 1, train)


def gan_3d(
    size: tuple[int, ...] = (64, 64, 64),
    *,
    channels: int = 1,
    widths: Sequence[int] = (64, 128, 256, 512),
    latent: int = 200,
    learning_rates: tuple[float, float] = (2e-4, 2e-4),
    rest: float | None = None,
    draw: Callable[[Key[Array, ""], tuple[int, ...]], Array] = jax.random.normal,
    **options: Any,
) -> Learner:
    """3D-GAN (Wu et al. 2016, arXiv:1610.07584): a volume generator.

    Batches hold volumes from 0 to 1, as it makes them; with others, from -1 to 1 say, training
    goes wrong without a word.

    Learning a probabilistic latent space of object shapes via 3D generative-adversarial
    modeling, section 3.1. As there: DCGAN's networks with windows of 4 x 4 x 4, volumes in
    [0, 1] from a sigmoid, Adam with a momentum of 0.5. What differs: any size, any number of
    channels, the generator's loss is the one that keeps its slope, the discriminator sees
    volumes as from -1 to 1, and the defaults of the last three arguments. The paper's are
    ``learning_rates=(2.5e-3, 1e-5), rest=0.8, draw=jax.random.uniform``, for long runs of
    batches of 100. Runs of some hundred steps collapsed with them, and with volumes that the
    discriminator saw as they are (``experiments/generation``).

    Args:
        size: spatial sizes, multiples of 2 to the power of ``len(widths)``.
        channels: of the volumes.
        widths: of the discriminator's convolutions; the generator has them the other way round.
        latent: channels of the noise.
        learning_rates: of the generator and of the discriminator.
        rest: see `resting`; None for a discriminator that learns in each step.
        draw: the noise, see `medjax.learners.adversarial.latents`.
        **options: of `adversarial`.

    Raises:
        InputError: for sizes of another number of axes than three.
    """
    if len(size) != 3:
        raise InputError("size", "sizes along three axes", size)
    generator = DCGANGenerator(size, channels, tuple(reversed(widths)), activation=nn.sigmoid)
    discriminator = _Centred(widths=tuple(widths))
    adam = partial(optax.adam, b1=0.5)
    learner = adversarial(
        generator,
        discriminator,
        *(adam(rate) for rate in learning_rates),
        inputs=latents(latent, draw=draw),
        loss=non_saturating(),
        **options,
    )
    return learner if rest is None else resting(learner, rest)


def resting(learner: Learner, above: float = 0.8) -> Learner:
    """The discriminator learns only from batches that it does not tell apart well enough.

    Wu et al. 2016, section 3.1: in 3D it learns faster than the generator, and is held where
    its accuracy on the last batch is above 0.8. What differs: the accuracy is that of the
    present batch before it would be learned from, so that nothing need be remembered. Whether
    it rested is the scalar ``resting``; its batch statistics move on while it does.

    Args:
        learner: of `adversarial` or a setting of it.
        above: the accuracy on real and generated images together above which it rests.

    Returns:
        A learner of the same state.

    Raises:
        InputError: for an accuracy outside (0, 1].
    """
    if not 0 < above <= 1:
        raise InputError("above", "an accuracy in (0, 1]", above)
    *turns, last = learner.phases

    def held(phase):
        def gradients(state, batch, key):
            computed = phase.gradients(state, batch, key)
            right = (computed.scalars["real_accuracy"] + computed.scalars["fake_accuracy"]) / 2
            rests = jnp.float32(right > above)
            return computed._replace(scalars={**computed.scalars, "resting": rests})

        def update(state, computed):
            after = phase.update(state, computed)
            rests = computed.scalars["resting"] > 0
            keep = lambda old, new: jax.tree.map(  # noqa: E731
                lambda a, b: jnp.where(rests, a, b), old, new
            )
            return after.replace(
                params=keep(state.params, after.params),
                optimizer=keep(state.optimizer, after.optimizer),
            )

        return phase._replace(gradients=gradients, update=update)

    return learner._replace(phases=(*map(held, turns), last))
