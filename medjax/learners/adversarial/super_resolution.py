"""Adversarial super-resolution: a fine image from a coarse one, as settings of `adversarial`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from medjax.core.types import Array
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, non_saturating, relativistic_average
from medjax.losses.combine import Loss
from medjax.losses.perceptual import matched
from medjax.losses.pixel import l1, l2

from .adversarial import adversarial, entries_of

HALVING = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16)
"""Weights of five maps from the finest to the coarsest (MedSRGAN, Gu et al. 2020)."""


def super_resolution_gan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    low: str = "low",
    high: str = "high",
    beside: Sequence[str] = (),
    paired: bool = False,
    content: Loss = l1,
    content_weight: float = 1.0,
    perceptual: Loss | None = None,
    perceptual_weight: float = 1.0,
    adversarial_weight: float = 1e-3,
    feature_weights: Sequence[float] = (),
    feature_weight: float = 1.0,
    loss: AdversarialLoss | None = None,
    **options: Any,
) -> Learner:
    """A fine image from a coarse one: near the true one, alike in features, and plausible.

    The form of SRGAN (Ledig et al. 2017, arXiv:1609.04802, eq. 3: content plus 1e-3 of the
    adversarial loss) and of what came after it. Details that a generator adds are plausible,
    not measured: what is not in the coarse image is invented.

    Args:
        generator: ``(low, *beside, train) -> images``.
        discriminator: ``(images, train) -> logits``; with ``paired`` ``(images, low, train)``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        low: the batch's entry of coarse images, floating, channels last.
        high: the entry of fine ones.
        beside: entries that the generator is given too, such as a reference.
        paired: whether the discriminator sees the coarse image beside the fine one.
        content: distance of images.
        content_weight: its weight.
        perceptual: another distance, by what a fixed network sees: see
            `medjax.losses.perceptual`.
        perceptual_weight: its weight.
        adversarial_weight: of what the generator minimises to deceive.
        feature_weights: of maps that the discriminator gives beside its logits, as
            ``(logits, maps)``: the generator's are to be the true image's
            (`medjax.models.restoration.PairDiscriminator`). With none it gives logits alone.
        feature_weight: of their sum.
        loss: `non_saturating` by default.
        **options: of `adversarial`.

    Returns:
        A learner as `adversarial` makes it, with the scalars ``content`` and, where there are
        any, ``perceptual`` and ``features``.
    """
    loss = non_saturating() if loss is None else loss

    def deceive(real: Array, fake: Array) -> Array:
        return adversarial_weight * loss.generator(real, fake)

    def near(images, fake, real, batch):
        values = content(images, batch[high])
        total, scalars = content_weight * values, {"content": jnp.mean(values)}
        if perceptual is not None:
            values = perceptual(images, batch[high])
            total = total + perceptual_weight * values
            scalars["perceptual"] = jnp.mean(values)
        if feature_weights:
            values = matched(fake[1], jax.lax.stop_gradient(real[1]), feature_weights)
            total = total + feature_weight * values
            scalars["features"] = jnp.mean(values)
        return total, scalars

    def read(output: Any) -> Array:
        return output[0] if feature_weights else output

    return adversarial(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        loss=loss._replace(generator=deceive),
        inputs=entries_of(low, *beside),
        image=high,
        conditions=(low,) if paired else (),
        read=read,
        generator_term=near,
        **options,
    )


def rirgan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    perceptual: Loss | None = None,
    adversarial_weight: float = 5e-3,
    content_weight: float = 1e-2,
    **options: Any,
) -> Learner:
    """RIRGAN (Yu et al. 2023, doi:10.1016/j.compbiomed.2023.107632): relativistic, hybrid loss.

    As in the paper's abstract: a relativistic average discriminator and a sum of losses that
    balances measures and looks; coarse images that are noisy too make it denoise. Its generator
    is `medjax.models.restoration.RIRGenerator`. The weights by default are ESRGAN's (Wang et al.
    2018, arXiv:1809.00219, eq. 3: 1 of the perceptual loss, 5e-3 and 1e-2), which has this
    discriminator; without a perceptual loss the distance of pixels should weigh more.

    Args:
        generator: ``(low, train) -> images``.
        discriminator: ``(images, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        perceptual: see `super_resolution_gan`, as for the weights.
        **options: of `super_resolution_gan` and `adversarial`.
    """
    return super_resolution_gan(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        loss=relativistic_average(),
        perceptual=perceptual,
        adversarial_weight=adversarial_weight,
        content_weight=content_weight,
        **options,
    )


def medsrgan(
    generator: Any,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    perceptual: Loss | None = None,
    adversarial_weight: float = 5e-2,
    feature_weight: float = 5e-3,
    content_weight: float = 1e-2,
    **options: Any,
) -> Learner:
    """MedSRGAN (Gu et al. 2020, doi:10.1007/s11042-020-08980-w): pairs and their features.

    As in the paper: the discriminator judges pairs of coarse and fine images by cross-entropy;
    the generator minimises content (distances of VGG-19's maps, and of pixels), the
    adversarial loss and the distance of the discriminator's own features. The networks
    are `medjax.models.restoration.RWMAN` and `PairDiscriminator`; weights are those for MRI (for
    CT 1e-2, 1e-4 and no pixels), with Adam at 1e-4 for both. The paper's content is
    ``perceptual(features, HALVING)`` on the maps of VGG-19.

    Args:
        generator: ``(low, train) -> images``.
        discriminator: ``(images, low, train) -> (logits, five maps)``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        perceptual: see `super_resolution_gan`, as for the weights.
        **options: of `super_resolution_gan` and `adversarial`.
    """
    return super_resolution_gan(
        generator,
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        paired=True,
        perceptual=perceptual,
        adversarial_weight=adversarial_weight,
        feature_weights=HALVING,
        feature_weight=feature_weight,
        content_weight=content_weight,
        **options,
    )


def t_gan(*networks: Any, reference: str | None = None, **options: Any) -> Learner:
    """T-GAN (Du & Tian 2023, arXiv:2212.13068): a texture transformer as generator.

    As in the paper: content, adversarial and adversarial feature loss in one sum, as MedSRGAN
    has it; the generator is a transformer that brings texture to where it fits,
    `medjax.models.restoration.TextureTransformer`. The weights by default are `medsrgan`'s.

    Args:
        *networks: generator, discriminator and their optimisers, as for `medsrgan`.
        reference: the batch's entry of reference images; None where the generator is to find
            texture in the image itself.
        **options: of `medsrgan`, `super_resolution_gan` and `adversarial`.
    """
    return medsrgan(*networks, beside=() if reference is None else (reference,), **options)


def three_stage_gan(*networks: Any, **options: Any) -> Learner:
    """The GAN of Ahmad et al. 2022 (doi:10.1038/s41598-022-13658-4), with a generator of 3 stages.

    As in the paper's abstract: adversarial learning of `medjax.models.restoration.ThreeStageSR`
    with a further term against large errors. That term is here the mean square of pixels in
    `super_resolution_gan`'s ``content``, beside its ``perceptual``: a choice of this
    implementation, as are the weights.

    Args:
        *networks: generator, discriminator and their optimisers, as for
            `super_resolution_gan`.
        **options: of `super_resolution_gan` and `adversarial`.
    """
    return super_resolution_gan(*networks, **{"content": l2, **options})
