"""GANs that denoise: settings of pix2pix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import optax

from medjax.learners.combinators import augmented
from medjax.learners.learner import Learner
from medjax.losses.adversarial import AdversarialLoss, least_squares
from medjax.models.backbone import Backbone
from medjax.models.classifiers.efficientnet import EfficientNet
from medjax.models.generative.patchgan import PatchGAN
from medjax.models.restoration.backbone_unet import BackboneUNet

from .translation import pix2pix

_BOTH = "content and noise"


def cncl(
    generator: nn.Module,
    discriminator: Any,
    generator_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
    *,
    source: str = "source",
    target: str = "target",
    weight: float = 100.0,
    loss: AdversarialLoss | None = None,
    **options: Any,
) -> Learner:
    """Content-noise complementary learning (Geng et al. 2022, doi:10.1109/TMI.2021.3113365).

    As in the paper and its authors' code: the content and the noise are both near their truths
    by the mean absolute error, with equal weights, and a discriminator sees both beside the
    noisy image, by least squares. Their discriminator is
    `medjax.models.generative.PatchGAN`; their optimiser Adam at 0.00002 with ``b1=0.5``.

    Args:
        generator: `medjax.models.restoration.CNCL`.
        discriminator: ``(content and noise, source, train) -> logits``.
        generator_optimizer: any Optax transformation.
        discriminator_optimizer: another.
        source: the batch's entry of noisy images, floating, channels last.
        target: the entry of clean ones.
        weight: of the mean absolute error.
        loss: `least_squares` by default.
        **options: of `adversarial`.

    Returns:
        A learner as `pix2pix` makes it, whose `predict` gives the content.
    """
    learner = pix2pix(
        generator.clone(both=True),
        discriminator,
        generator_optimizer,
        discriminator_optimizer,
        source=source,
        target=_BOTH,
        weight=weight,
        loss=least_squares() if loss is None else loss,
        **options,
    )

    def parted(key, batch):
        content, noisy = batch[target], batch[source]
        return {**batch, _BOTH: jnp.concatenate([content, noisy - content], axis=-1)}

    def predict(state, batch):
        both = learner.predict(state, batch)
        return both[..., : both.shape[-1] // 2]

    return augmented(learner, parted)._replace(predict=predict)


def pix2pix_efficientnet(
    *,
    channels: int = 1,
    backbone: Backbone | None = None,
    features: Sequence[int] = (256, 128, 64, 32, 16),
    reduction: int = 32,
    discriminator: Any = None,
    learning_rate: float = 2e-4,
    **options: Any,
) -> Learner:
    """pix2pix whose generator's encoder is EfficientNet-B3.

    The method of Isola et al. 2017 (arXiv:1611.07004) with a U-Net on the maps of Tan & Le's
    EfficientNet (2019, arXiv:1905.11946), `medjax.models.restoration.BackboneUNet`, in place of
    theirs; Adam at 0.0002 with a momentum of 0.5, as there. Reviews name it as a denoiser; the
    decoder's widths are this implementation's choice. Images are in [-1, 1].

    Args:
        channels: of the target.
        backbone: of the generator; EfficientNet-B3 by default. Imported weights take their place
            in the state: ``state.params["generator"]["backbone"]``.
        features: see `BackboneUNet`, as for ``reduction``.
        reduction: see there.
        discriminator: ``(images, source, train) -> logits``; `PatchGAN` by default.
        learning_rate: of both optimisers.
        **options: of `pix2pix`, such as ``source`` and ``target``.
    """
    backbone = EfficientNet.named("b3") if backbone is None else backbone
    generator = BackboneUNet(channels, backbone, tuple(features), reduction, activation=jnp.tanh)
    return pix2pix(
        generator,
        PatchGAN() if discriminator is None else discriminator,
        optax.adam(learning_rate, b1=0.5),
        optax.adam(learning_rate, b1=0.5),
        **options,
    )
