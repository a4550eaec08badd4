"""Super-resolution in cycles, without pairs."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss
from medjax.losses.combine import Loss

from .cycle import Both, cycled


def cycle_sr(
    enlarge: Any,
    reduce: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    low: str = "low",
    high: str = "high",
    cycle: float = 10.0,
    perceptual: Loss | None = None,
    perceptual_weight: float = 1.0,
    pool: int = 50,
    loss: AdversarialLoss | None = None,
    average: float | None = None,
) -> Learner:
    """Super-resolution without pairs: coarse, fine, coarse, and fine, coarse, fine again.

    Liu et al. 2020 (Perception consistency ultrasound image super-resolution via self-supervised
    CycleGAN, arXiv:2012.14142). As in the paper: one generator enlarges and one reduces, each way
    there and back must end where it began, in pixels and in what a fixed network sees, and a
    discriminator judges each kind. What differs: the two kinds need not be of one image, with
    which no pair is needed at all; and discriminators see pools of former images, as CycleGAN's.

    Args:
        enlarge: ``(low, train) -> images`` of the fine kind.
        reduce: ``(high, train) -> images`` of the coarse kind, such as
            `medjax.models.restoration.Degrader`.
        discriminator: ``(images, train) -> logits``; there are two of this form.
        generator_optimizer: of both generators.
        discriminator_optimizer: of both discriminators.
        low: the batch's entry of coarse images, floating, channels last.
        high: the entry of fine ones.
        cycle: weight of the ways there and back, in pixels.
        perceptual: another distance of where they end and where they began; see
            `medjax.losses.perceptual`.
        perceptual_weight: its weight.
        pool: see `medjax.learners.adversarial.cyclegan`, as for ``loss`` and ``average``.

    Returns:
        A learner as `cyclegan` makes it, whose `predict` gives ``{high: ..., low: ...}``: the fine
        images of the coarse ones, and the other way round; the generators' parameters are
        ``first`` (that enlarges) and ``second``.
    """

    def consistent(apply, fake, back, batch, frozen):
        del apply, fake, frozen
        values = sum(
            perceptual(again, batch[name]) for again, name in zip(back, (high, low), strict=True)
        )
        return perceptual_weight * values, {"perceptual": jnp.mean(values)}

    return cycled(
        Both(enlarge, reduce),
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        first=high,
        second=low,
        cycle=cycle,
        identity=0.0,
        pool=pool,
        loss=loss,
        average=average,
        term=None if perceptual is None else consistent,
    )
